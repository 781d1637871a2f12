/* The internal functions of buffers that the library exports, and chains that are pinned. */
#include "tools.h"

#include <event2/event.h>
#include <event2/event_struct.h>

void evbuffer_incref_(struct evbuffer *buf);
void evbuffer_incref_and_lock_(struct evbuffer *buf);
void evbuffer_decref_and_unlock_(struct evbuffer *buf);
void evbuffer_chain_pin_(struct chain *chain, unsigned flag);
void evbuffer_chain_unpin_(struct chain *chain, unsigned flag);
int evbuffer_expand_fast_(struct evbuffer *buf, size_t datlen, int n);
int evbuffer_read_setup_vecs_(struct evbuffer *buf, ev_ssize_t howmuch, struct evbuffer_iovec *vecs,
	int n_vecs, struct chain ***chainp, int exact);
void evbuffer_invoke_callbacks_(struct evbuffer *buf);
int evbuffer_get_callbacks_(struct evbuffer *buf, struct event_callback **cbs, int max_cbs);

CASE(references, ONE_BACKEND)
{
	struct cleanup_count count = {0, NULL, 0};
	struct evbuffer *buffer = new_buffer();
	evbuffer_add_reference(buffer, "text", 4, count_cleanup, &count);
	evbuffer_incref_(buffer);
	evbuffer_incref_and_lock_(buffer);
	evbuffer_free(buffer);
	check_text(buffer, "text");
	evbuffer_decref_and_unlock_(buffer);
	CHECK_EQUAL(count.calls, 0);
	evbuffer_lock(buffer);
	evbuffer_decref_and_unlock_(buffer);
	CHECK_EQUAL(count.calls, 1);
}

CASE(room_for_a_read, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	struct evbuffer_iovec vec[4];
	struct chain **chain;
	size_t total = 0;
	int count;
	evbuffer_add(buffer, "start", 5);
	CHECK_EQUAL(evbuffer_expand_fast_(buffer, 5000, 2), 0);
	check_text(buffer, "start");
	count = evbuffer_read_setup_vecs_(buffer, 5000, vec, 4, &chain, 1);
	CHECK_EQUAL(count, 2);
	CHECK(*chain == chains_of(buffer)->first);
	for (int i = 0; i < count; i++)
		total += vec[i].iov_len;
	CHECK_EQUAL(total, 5000);
	CHECK_EQUAL(evbuffer_read_setup_vecs_(buffer, 5000, vec, 4, &chain, 0), 2);
	CHECK(vec[0].iov_len + vec[1].iov_len >= 5000);
	CHECK_EQUAL(evbuffer_read_setup_vecs_(buffer, 1, vec, 4, &chain, 1), 1);
	CHECK_EQUAL(vec[0].iov_len, 1);
	CHECK_EQUAL(evbuffer_read_setup_vecs_(buffer, -1, vec, 4, &chain, 1), -1);
	CHECK_EQUAL(evbuffer_expand_fast_(buffer, (size_t)-1, 2), -1);
	check_text(buffer, "start");
	evbuffer_free(buffer);
}

static void
count_calls(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *calls)
{
	(void)buffer;
	(void)info;
	++*(int *)calls;
}

CASE(the_handle_of_deferred_callbacks, ONE_BACKEND)
{
	struct event_base *base = event_base_new();
	struct evbuffer *buffer = new_buffer();
	struct event_callback *handle = NULL;
	int calls = 0;
	evbuffer_add_cb(buffer, count_calls, &calls);
	CHECK_EQUAL(evbuffer_get_callbacks_(buffer, &handle, 1), 0);
	evbuffer_invoke_callbacks_(buffer);
	CHECK_EQUAL(calls, 0);
	evbuffer_defer_callbacks(buffer, base);
	CHECK_EQUAL(evbuffer_get_callbacks_(buffer, &handle, 0), -1);
	CHECK_EQUAL(evbuffer_get_callbacks_(buffer, &handle, 1), 1);
	CHECK(handle);
	evbuffer_add(buffer, "a", 1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	CHECK_EQUAL(calls, 1);
	evbuffer_free(buffer);
	event_base_free(base);
}

static struct chain *
pinned_chain(struct evbuffer *buffer, unsigned flag)
{
	struct chain *chain = *chains_of(buffer)->last_with_datap;
	evbuffer_chain_pin_(chain, flag);
	CHECK_EQUAL(chain->flags, flag);
	return chain;
}

CASE(a_released_chain_waits_for_its_pin, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	struct chain *chain;
	evbuffer_add(buffer, "pinned", 6);
	chain = pinned_chain(buffer, CHAIN_PINNED_W);
	CHECK_EQUAL(evbuffer_drain(buffer, 6), 0);
	CHECK_EQUAL(check_chains(buffer), 0);
	CHECK_EQUAL(chain->flags, CHAIN_PINNED_W | CHAIN_DANGLING);
	CHECK(!memcmp(chain->buffer, "pinned", 6));
	evbuffer_add(buffer, "text", 4);
	check_text(buffer, "text");
	evbuffer_chain_unpin_(chain, CHAIN_PINNED_W);
	check_text(buffer, "text");
	evbuffer_free(buffer);
}

CASE(a_chain_pinned_for_reading_stays, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	struct chain *chain;
	add_chain(buffer, "other ");
	evbuffer_add(buffer, "pinned", 6);
	chain = pinned_chain(buffer, CHAIN_PINNED_R);
	CHECK_EQUAL(evbuffer_drain(buffer, 12), 0);
	check_text(buffer, "");
	CHECK(chains_of(buffer)->first == chain);
	evbuffer_chain_unpin_(chain, CHAIN_PINNED_R);
	CHECK_EQUAL(chain->flags, 0);
	evbuffer_add(buffer, "text", 4);
	check_text(buffer, "text");
	evbuffer_free(buffer);
}

CASE(data_of_a_pinned_chain_is_moved_by_copying, ONE_BACKEND)
{
	for (int way = 0; way < 4; way++) {
		struct evbuffer *buffer = new_buffer(), *other = new_buffer();
		struct chain *chain;
		add_chain(buffer, "other ");
		evbuffer_add(buffer, "pinned", 6);
		chain = pinned_chain(buffer, CHAIN_PINNED_R);
		if (way == 0)
			CHECK_EQUAL(evbuffer_add_buffer(other, buffer), 0);
		else if (way == 1)
			CHECK_EQUAL(evbuffer_prepend_buffer(other, buffer), 0);
		else if (way == 2)
			CHECK_EQUAL(evbuffer_remove_buffer(buffer, other, 100), 12);
		else
			CHECK_EQUAL(evbuffer_remove_buffer(buffer, other, 8), 8);
		check_text(buffer, way == 3 ? "nned" : "");
		check_text(other, way == 3 ? "other pi" : "other pinned");
		CHECK(chains_of(buffer)->last == chain);
		CHECK(chains_of(other)->last != chain);
		evbuffer_chain_unpin_(chain, CHAIN_PINNED_R);
		evbuffer_add(buffer, "text", 4);
		check_text(buffer, way == 3 ? "nnedtext" : "text");
		evbuffer_free(buffer);
		evbuffer_free(other);
	}
}

CASE(a_pinned_chain_is_not_pulled_up, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	struct chain *chain;
	add_chain(buffer, "01");
	evbuffer_add(buffer, "23456789", 8);
	chain = pinned_chain(buffer, CHAIN_PINNED_W);
	CHECK(!evbuffer_pullup(buffer, 5));
	CHECK(!evbuffer_pullup(buffer, -1));
	CHECK(evbuffer_pullup(buffer, 2) != NULL);
	check_text(buffer, "0123456789");
	evbuffer_chain_unpin_(chain, CHAIN_PINNED_W);
	CHECK(evbuffer_pullup(buffer, 9) != NULL);
	check_text(buffer, "0123456789");
	evbuffer_free(buffer);
}
