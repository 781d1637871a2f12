/* A bufferevent that is moved to another base takes everything along: the timer of its rate limit,
 * its queued callbacks, and its priority. */
#include "one.h"

static struct traced side = {.name = "side", .drain = -1};
static struct event_base *old;

/* A bufferevent on `old`, with nothing armed. */
static void
begin(int options, int old_priorities, int new_priorities)
{
	make_base();
	old = event_base_new();
	CHECK_EQUAL(event_base_priority_init(old, old_priorities), 0);
	CHECK_EQUAL(event_base_priority_init(base, new_priorities), 0);
	make_connection(0, ends);
	bev = bufferevent_socket_new(old, ends[0], options | BEV_OPT_CLOSE_ON_FREE);
	trace(bev, &side);
	bufferevent_disable(bev, EV_WRITE);
}

/* Reads three bytes and then waits for the next tick. */
static void
exhaust(int tick_in_milliseconds)
{
	struct timeval tick = {tick_in_milliseconds / 1000, tick_in_milliseconds % 1000 * 1000};

	cfg = ev_token_bucket_cfg_new(3, 3, 3, 3, &tick);
	bufferevent_enable(bev, EV_READ);
	CHECK_EQUAL(bufferevent_set_rate_limit(bev, cfg), 0);
	send_all(ends[1], "abcdef", 6);
	while (side.reads == 0)
		CHECK(event_base_loop(old, EVLOOP_NONBLOCK) >= 0);
	CHECK_EQUAL(event_base_get_num_events(old, EVENT_BASE_COUNT_ADDED), 1);
}

#define STAYS "after bufferevent_base_set, deferred callbacks and waiting for the rate limit stay with the old base"

DIFFERENCE(suspended_by_its_limit, ONE_BACKEND | OWN_LOCKS, STAYS)
{
	begin(0, 1, 1);
	exhaust(300);
	CHECK_EQUAL(bufferevent_base_set(base, bev), 0);
	CHECK_EQUAL(event_base_get_num_events(old, EVENT_BASE_COUNT_ADDED), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 1);
	event_base_free(old);
	run_until(&side.reads, 2);
	end();
}

/* The timer is used again after the move. */
CASE(limited_again, ONE_BACKEND | OWN_LOCKS)
{
	begin(0, 1, 1);
	exhaust(20);
	bufferevent_set_rate_limit(bev, NULL);
	bufferevent_disable(bev, EV_READ);
	CHECK_EQUAL(bufferevent_base_set(base, bev), 0);
	event_base_free(old);
	bufferevent_set_rate_limit(bev, cfg);
	bufferevent_enable(bev, EV_READ);
	send_all(ends[1], "0123456789", 10);
	run_until(&side.reads, 5);
	end();
}

DIFFERENCE(deferred_callback_waits, ONE_BACKEND | OWN_LOCKS, STAYS)
{
	begin(BEV_OPT_DEFER_CALLBACKS, 1, 1);
	bufferevent_trigger(bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS);
	CHECK_EQUAL(bufferevent_base_set(base, bev), 0);
	event_base_loop(old, EVLOOP_NONBLOCK);
	CHECK_EQUAL(side.reads, 0);
	event_base_free(old);
	settle();
	CHECK_EQUAL(side.reads, 1);
	end();
}

DIFFERENCE(fewer_priorities, ONE_BACKEND | OWN_LOCKS,
	"A deferred callback keeps a priority that its new base does not have")
{
	begin(BEV_OPT_DEFER_CALLBACKS, 9, 1);
	CHECK_EQUAL(bufferevent_base_set(base, bev), 0);
	CHECK_EQUAL(bufferevent_get_priority(bev), 0);
	event_base_free(old);
	bufferevent_trigger(bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS);
	settle();
	CHECK_EQUAL(side.reads, 1);
	end();
}

static void
note_reads(evutil_socket_t fd, short what, void *seen)
{
	(void)fd;
	(void)what;
	*(int *)seen = side.reads;
}

/* Between two events, one more urgent and one less. */
DIFFERENCE(more_priorities, ONE_BACKEND | OWN_LOCKS,
	"A deferred callback keeps the priority that it had in its old base")
{
	struct event *urgent, *other;
	int before = -1, after = -1;

	begin(BEV_OPT_DEFER_CALLBACKS, 1, 5);
	CHECK_EQUAL(bufferevent_base_set(base, bev), 0);
	CHECK_EQUAL(bufferevent_get_priority(bev), 2);
	event_base_free(old);
	urgent = event_new(base, -1, 0, note_reads, &before);
	other = event_new(base, -1, 0, note_reads, &after);
	event_priority_set(urgent, 1);
	event_priority_set(other, 3);
	bufferevent_trigger(bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS);
	event_active(other, EV_TIMEOUT, 1);
	event_active(urgent, EV_TIMEOUT, 1);
	settle();
	CHECK_EQUAL(before, 0);
	CHECK_EQUAL(after, 1);
	event_free(urgent);
	event_free(other);
	end();
}

/* What is moved while nothing is queued works as before. */
CASE(idle, ONE_BACKEND | OWN_LOCKS)
{
	begin(BEV_OPT_DEFER_CALLBACKS, 1, 3);
	printf("%d\n", bufferevent_base_set(base, bev));
	printf("priority %d\n", bufferevent_get_priority(bev));
	event_base_free(old);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	settle();
	send_all(ends[1], "abc", 3);
	settle();
	bufferevent_write(bev, "abc", 3);
	settle();
	end();
}

/* A queued callback changes its queue. */
DIFFERENCE(priority_changes_while_callbacks_wait, ONE_BACKEND,
	   "bufferevent_priority_set corrupts the loop's queues while deferred callbacks wait")
{
	struct bufferevent *others[3];
	struct traced traces[3] = {{.name = "first"}, {.name = "second"}, {.name = "third"}};
	int i;

	make_base();
	CHECK_EQUAL(event_base_priority_init(base, 3), 0);
	for (i = 0; i < 3; i++) {
		others[i] = make_bufferevent(-1, BEV_OPT_DEFER_CALLBACKS, &traces[i]);
		bufferevent_trigger(others[i], EV_READ, BEV_TRIG_IGNORE_WATERMARKS);
	}
	bufferevent_priority_set(others[2], 0);
	bufferevent_free(others[2]);
	bufferevent_priority_set(others[1], 2);
	bufferevent_trigger(others[0], EV_WRITE, BEV_TRIG_IGNORE_WATERMARKS);
	bufferevent_trigger(others[1], EV_WRITE, BEV_TRIG_IGNORE_WATERMARKS);
	settle();
	for (i = 0; i < 2; i++)
		bufferevent_free(others[i]);
	finish();
}
