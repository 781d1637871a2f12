/* What programs should not do to bufferevents, and what comes of it. */
#include "tools.h"

#include <event2/listener.h>

static struct traced side = {.name = "side", .drain = -1};
static int ends[2];

/* --- Ends the process. ------------------------------------------------------------------------------ */

static int
take_from_no_limit(void)
{
	struct bufferevent *bev;

	make_base();
	bev = make_bufferevent(-1, 0, &side);
	return bufferevent_decrement_read_limit(bev, 1);
}

CASE(charging_without_a_limit, ONE_BACKEND)
{
	event_set_log_callback(NULL);
	in_child(take_from_no_limit);
}

static int
free_group_with_members(void)
{
	struct ev_token_bucket_cfg *cfg = ev_token_bucket_cfg_new(10, 10, 10, 10, NULL);
	struct bufferevent_rate_limit_group *group;
	struct bufferevent *bev;

	make_base();
	group = bufferevent_rate_limit_group_new(base, cfg);
	bev = make_bufferevent(-1, 0, &side);
	CHECK_EQUAL(bufferevent_add_to_rate_limit_group(bev, group), 0);
	bufferevent_rate_limit_group_free(group);
	return 0;
}

CASE(freeing_a_group_with_members, ONE_BACKEND)
{
	in_child(free_group_with_members);
}

/* --- Does not any more. ------------------------------------------------------------------------------ */

DIFFERENCE(without_any_base, ONE_BACKEND, "A bufferevent or listener without any base crashes")
{
	struct bufferevent *pair[2];

	CHECK(!bufferevent_socket_new(NULL, -1, 0));
	CHECK_EQUAL(bufferevent_pair_new(NULL, 0, pair), -1);
	make_connection(0, ends);
	CHECK(!evconnlistener_new(NULL, NULL, NULL, 0, 0, ends[0]));
	close(ends[0]);
	close(ends[1]);
}

DIFFERENCE(freeing_no_listener, ONE_BACKEND, "evconnlistener_free crashes for NULL")
{
	evconnlistener_free(NULL);
}

DIFFERENCE(reading_from_a_frozen_input, ONE_BACKEND,
	"bufferevent_read of a frozen input returns SIZE_MAX")
{
	struct bufferevent *bev;
	char data[10];

	make_base();
	make_connection(0, ends);
	side.drain = 0;
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &side);
	bufferevent_enable(bev, EV_READ);
	send_all(ends[1], "abc", 3);
	settle();
	CHECK_EQUAL(evbuffer_freeze(bufferevent_get_input(bev), 1), 0);
	CHECK_EQUAL(bufferevent_read(bev, data, sizeof data), 0);
	CHECK_EQUAL(evbuffer_unfreeze(bufferevent_get_input(bev), 1), 0);
	CHECK_EQUAL(bufferevent_read(bev, data, sizeof data), 3);
	bufferevent_free(bev);
	finish();
	close(ends[1]);
}

static int calls;

static enum bufferevent_filter_result
claim_success(struct evbuffer *source, struct evbuffer *target, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *arg)
{
	(void)source;
	(void)target;
	(void)limit;
	(void)mode;
	(void)arg;
	calls++;
	return BEV_OK;
}

DIFFERENCE(filter_that_claims_success, ONE_BACKEND,
	"a filter function that returns BEV_OK without moving anything is called forever: the loop hangs")
{
	struct bufferevent *filter;

	make_base();
	make_connection(0, ends);
	filter = bufferevent_filter_new(make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, NULL), claim_success, claim_success,
					BEV_OPT_CLOSE_ON_FREE, NULL, NULL);
	bufferevent_enable(filter, EV_READ);
	bufferevent_write(filter, "abc", 3);
	CHECK(calls > 0);
	calls = 0;
	send_all(ends[1], "abc", 3);
	settle();
	CHECK(calls > 0);
	bufferevent_flush(filter, EV_READ | EV_WRITE, BEV_FINISHED);
	settle();
	bufferevent_free(filter);
	finish();
	close(ends[1]);
}

/* A reader that leaves a full input as it is. */
DIFFERENCE(full_input_that_nobody_takes, ONE_BACKEND,
	"the loop spins as long as a program does not drain a full input")
{
	struct bufferevent *bev;

	make_base();
	make_connection(0, ends);
	side.drain = 0;
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &side);
	bufferevent_setwatermark(bev, EV_READ, 0, 10);
	bufferevent_enable(bev, EV_READ);
	send_all(ends[1], "0123456789abcdef", 16);
	settle();
	CHECK(side.reads >= 1);
	/* It continues when some of it is taken. */
	side.drain = -1;
	evbuffer_drain(bufferevent_get_input(bev), 10);
	settle();
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_input(bev)), 0);
	bufferevent_free(bev);
	finish();
	close(ends[1]);
}
