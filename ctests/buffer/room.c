/* Where free room lies: room that was asked for once is found again at the same address, and grows by
 * further chains. Programs that fill it piece by piece rely on that. */
#include "tools.h"

/* Asks for room in at most so many pieces and returns their number. */
static int
ask(struct evbuffer *buffer, size_t size, struct evbuffer_iovec *vec, int pieces)
{
	size_t room = 0;
	int count = evbuffer_reserve_space(buffer, (ev_ssize_t)size, vec, pieces);

	CHECK(count > 0 && count <= pieces);
	for (int i = 0; i < count; i++)
		room += vec[i].iov_len;
	CHECK(room >= size);
	check_chains(buffer);
	return count;
}

static void
fill(struct evbuffer *buffer, struct evbuffer_iovec *vec, size_t first, size_t second)
{
	size_t before = evbuffer_get_length(buffer);

	memset(vec[0].iov_base, 'x', first);
	vec[0].iov_len = first;
	if (second) {
		memset(vec[1].iov_base, 'y', second);
		vec[1].iov_len = second;
	}
	CHECK_EQUAL(evbuffer_commit_space(buffer, vec, second ? 2 : 1), 0);
	CHECK_EQUAL(evbuffer_get_length(buffer), before + first + second);
	check_chains(buffer);
}

/* The rest of a chain is offered whole, wherever it was filled up to, and only then a further chain. */
CASE(room_stays_where_it_is, ONE_BACKEND)
{
	static const size_t sizes[] = {1, 100, 1024, 5000, 70000};

	for (int i = 0; i < 5; i++) {
		struct evbuffer *buffer = new_buffer();
		struct evbuffer_iovec vec[2];
		size_t rest, used = sizes[i] / 2 + 1;
		char *memory;

		CHECK_EQUAL(ask(buffer, sizes[i], vec, 2), 1);
		memory = vec[0].iov_base;
		rest = vec[0].iov_len - used;
		fill(buffer, vec, used, 0);
		CHECK_EQUAL(ask(buffer, rest, vec, 2), 1);
		CHECK(vec[0].iov_base == memory + used && vec[0].iov_len == rest);
		for (int round = 0; round < 3 && rest > 5; round++) {
			CHECK_EQUAL(ask(buffer, rest + 64, vec, 2), 2);
			CHECK(vec[0].iov_base == memory + used && vec[0].iov_len == rest);
			fill(buffer, vec, 1, 0);
			used++;
			rest--;
		}
		CHECK_EQUAL(ask(buffer, rest + 64, vec, 2), 2);
		fill(buffer, vec, rest, 60);
		CHECK_EQUAL(check_chains(buffer), 2);
		CHECK_EQUAL(evbuffer_peek(buffer, -1, NULL, vec, 2), 2);
		CHECK(vec[0].iov_base == memory && vec[0].iov_len == used + rest && vec[1].iov_len == 60);
		evbuffer_free(buffer);
	}
}

enum start { EMPTY, STARTED, FULL };

/* More room than there is: first in one more piece, then in another one. With fewer pieces than that the last ones
 * give way to a larger one, but not a chain that has data. */
static void
grow(enum start start, size_t size)
{
	struct evbuffer *buffer = new_buffer();
	struct evbuffer_iovec vec[3];
	char *places[2];
	size_t room;

	CHECK_EQUAL(ask(buffer, size, vec, 2), 1);
	places[0] = vec[0].iov_base;
	room = vec[0].iov_len;
	if (start == STARTED) {
		fill(buffer, vec, 1, 0);
		places[0]++;
	} else if (start == FULL) {
		fill(buffer, vec, room, 0);
		CHECK_EQUAL(ask(buffer, size, vec, 2), 1);
		places[0] = vec[0].iov_base;
		room = vec[0].iov_len;
	}
	CHECK_EQUAL(ask(buffer, room + 128, vec, 2), 2);
	CHECK(vec[0].iov_base == places[0]);
	places[1] = vec[1].iov_base;
	room = vec[0].iov_len + vec[1].iov_len;
	CHECK_EQUAL(ask(buffer, room + 128, vec, 3), 3);
	CHECK(vec[0].iov_base == places[0] && vec[1].iov_base == places[1]);
	room += vec[2].iov_len;
	CHECK_EQUAL(ask(buffer, room + 128, vec, 2), start == STARTED ? 2 : 1);
	CHECK(start != STARTED || vec[0].iov_base == places[0]);
	fill(buffer, vec, 1, 0);
	evbuffer_free(buffer);
}

CASE(room_grows_by_chains, ONE_BACKEND)
{
	static const size_t sizes[] = {1, 10, 128, 500, 1000, 4000, 5000, 70000};

	for (int i = 0; i < 8; i++) {
		grow(EMPTY, sizes[i]);
		grow(STARTED, sizes[i]);
		grow(FULL, sizes[i]);
	}
}

/* One chain with room for all of it; nothing changes while there is enough. */
CASE(expanding_an_empty_buffer, ONE_BACKEND)
{
	static char data[1024];

	for (size_t size = 1; size < 100000; size = size * 3 + 1) {
		struct evbuffer *buffer = new_buffer();
		struct chain *chain;

		CHECK_EQUAL(evbuffer_expand(buffer, size), 0);
		CHECK_EQUAL(check_chains(buffer), 1);
		chain = chains_of(buffer)->first;
		CHECK(chain->off == 0 && chain->buffer_len >= size);
		if (size > 2 * sizeof data) {
			unsigned char *memory = chain->buffer;

			evbuffer_add(buffer, data, sizeof data);
			CHECK_EQUAL(evbuffer_expand(buffer, size - sizeof data), 0);
			CHECK(chains_of(buffer)->first == chain && chain->buffer == memory);
		}
		evbuffer_free(buffer);
	}
}

/* What is left at the end of a chain moves to its front, if that makes room enough. */
CASE(expanding_behind_a_few_bytes, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	unsigned char *memory;
	struct chain *chain;

	evbuffer_add(buffer, "a", 1);
	chain = chains_of(buffer)->first;
	while (chain->off < chain->buffer_len - 1)
		evbuffer_add(buffer, "b", 1);
	CHECK(chains_of(buffer)->last == chain);
	memory = chain->buffer;
	CHECK_EQUAL(evbuffer_drain(buffer, chain->off - 1), 0);
	CHECK(chain->misalign > 0 && chain->off == 1);
	CHECK_EQUAL(evbuffer_expand(buffer, 40), 0);
	CHECK(chains_of(buffer)->first == chain && chain->buffer == memory && chain->misalign == 0);
	check_text(buffer, "b");
	evbuffer_free(buffer);
}
