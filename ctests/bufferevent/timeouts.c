/* Timeouts of bufferevents. */
#include "one.h"

#include <event2/bufferevent_compat.h>
#include <event2/bufferevent_struct.h>

static struct traced side = {.name = "side", .drain = -1}, other = {.name = "other", .drain = -1};
static const struct timeval short_time = {0, 30000}, long_time = {100, 0};
/* The loop's clock moves in steps of this many milliseconds, or more if it is late. */
enum { step = 10 };

static void
begin(short enabled)
{
	connect_bufferevent(0);
	bufferevent_disable(bev, EV_WRITE);
	bufferevent_enable(bev, enabled);
}

/* Deadlines are reported as wall-clock time, which is computed from two clocks. */
static long long
microseconds_between(const struct timeval *from, const struct timeval *to)
{
	return llabs((to->tv_sec - from->tv_sec) * 1000000LL + to->tv_usec - from->tv_usec);
}

/* Fills the socket, so that the rest of what is written waits. */
static void
fill(void)
{
	static char data[1000000];

	CHECK_EQUAL(bufferevent_write(bev, data, sizeof data), 0);
	settle();
	CHECK(evbuffer_get_length(bufferevent_get_output(bev)) > 0);
}

CASE(read_timeout, EVERY_BACKEND)
{
	long long start;

	begin(EV_READ);
	CHECK_EQUAL(bufferevent_set_timeouts(bev, &short_time, NULL), 0);
	start = milliseconds();
	run_until(&happened, 1);
	CHECK(milliseconds() - start >= 30 - step);
	/* Once. */
	run_for(100);
	CHECK_EQUAL(happened, 1);
	/* When it is enabled again, it runs again. */
	bufferevent_enable(bev, EV_READ);
	run_until(&happened, 2);
	end();
}

CASE(write_timeout, EVERY_BACKEND)
{
	long long start;

	begin(EV_WRITE);
	settle();
	CHECK_EQUAL(bufferevent_set_timeouts(bev, NULL, &short_time), 0);
	/* Nothing to write: no timeout. */
	run_for(60);
	CHECK_EQUAL(side.events, 0);
	start = milliseconds();
	fill();
	run_until(&side.events, 1);
	CHECK(milliseconds() - start >= 30 - step);
	run_for(100);
	CHECK_EQUAL(side.events, 1);
	CHECK(evbuffer_get_length(bufferevent_get_output(bev)) > 0);
	end();
}

CASE(both_timeouts, ONE_BACKEND)
{
	begin(EV_READ | EV_WRITE);
	settle();
	bufferevent_set_timeouts(bev, &short_time, &long_time);
	fill();
	run_until(&side.events, 1);
	CHECK_EQUAL(side.last, BEV_EVENT_READING | BEV_EVENT_TIMEOUT);
	bufferevent_set_timeouts(bev, &long_time, &short_time);
	run_until(&side.events, 2);
	CHECK_EQUAL(side.last, BEV_EVENT_WRITING | BEV_EVENT_TIMEOUT);
	end();
}

/* What arrives restarts the timer; what is written does not. */
CASE(restarted_by_reading, EVERY_BACKEND)
{
	struct timeval before, after;
	int i;

	begin(EV_READ | EV_WRITE);
	bufferevent_set_timeouts(bev, &long_time, NULL);
	for (i = 0; i < 4; i++) {
		CHECK(event_pending(&bev->ev_read, EV_TIMEOUT, &before));
		run_for(20);
		send_all(ends[1], "x", 1);
		settle();
		CHECK(event_pending(&bev->ev_read, EV_TIMEOUT, &after));
		CHECK(evutil_timercmp(&before, &after, <));
	}
	CHECK_EQUAL(side.events, 0);
	CHECK(event_pending(&bev->ev_read, EV_TIMEOUT, &before));
	bufferevent_write(bev, "x", 1);
	settle();
	CHECK(event_pending(&bev->ev_read, EV_TIMEOUT, &after));
	CHECK(microseconds_between(&before, &after) < 5000);
	end();
}

/* More data does not give the writer more time. */
CASE(not_extended_by_writing, EVERY_BACKEND)
{
	struct timeval before, after;

	begin(EV_WRITE);
	settle();
	bufferevent_set_timeouts(bev, NULL, &long_time);
	CHECK(!event_pending(&bev->ev_write, EV_TIMEOUT, &before));
	fill();
	CHECK(event_pending(&bev->ev_write, EV_TIMEOUT, &before));
	run_for(10);
	bufferevent_write(bev, "x", 1);
	CHECK(event_pending(&bev->ev_write, EV_TIMEOUT, &after));
	CHECK(microseconds_between(&before, &after) < 5000);
	end();
}

CASE(no_timer_while_disabled, EVERY_BACKEND)
{
	begin(0);
	bufferevent_set_timeouts(bev, &short_time, &short_time);
	bufferevent_write(bev, "x", 1);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(happened, 0);
	bufferevent_enable(bev, EV_READ);
	bufferevent_disable(bev, EV_READ);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(happened, 0);
	end();
}

/* While the input is full the reader is not late. */
CASE(no_timer_while_suspended, EVERY_BACKEND)
{
	begin(EV_READ);
	bufferevent_setcb(bev, NULL, NULL, trace_event, &side);
	bufferevent_setwatermark(bev, EV_READ, 0, 5);
	send_all(ends[1], "0123456789", 10);
	bufferevent_set_timeouts(bev, &short_time, NULL);
	settle();
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(happened, 0);
	evbuffer_drain(bufferevent_get_input(bev), 10);
	settle();
	evbuffer_drain(bufferevent_get_input(bev), 10);
	run_until(&happened, 1);
	end();
}

CASE(timeouts_taken_back, EVERY_BACKEND)
{
	struct timeval zero = {0, 0};

	begin(EV_READ | EV_WRITE);
	bufferevent_set_timeouts(bev, &short_time, &short_time);
	bufferevent_set_timeouts(bev, NULL, NULL);
	settle();
	run_for(80);
	CHECK_EQUAL(side.events, 0);
	bufferevent_set_timeouts(bev, &short_time, NULL);
	bufferevent_set_timeouts(bev, &zero, &zero);
	run_for(80);
	CHECK_EQUAL(side.events, 0);
	end();
}

CASE(set_before_enabling, EVERY_BACKEND)
{
	begin(0);
	bufferevent_set_timeouts(bev, &short_time, NULL);
	bufferevent_enable(bev, EV_READ);
	run_until(&side.events, 1);
	end();
}

CASE(set_while_waiting, EVERY_BACKEND)
{
	begin(EV_READ);
	bufferevent_set_timeouts(bev, &long_time, NULL);
	settle();
	bufferevent_set_timeouts(bev, &short_time, NULL);
	run_until(&side.events, 1);
	end();
}

CASE(whole_seconds, ONE_BACKEND)
{
	begin(EV_READ);
	bufferevent_settimeout(bev, 7, 9);
	CHECK_EQUAL(bev->timeout_read.tv_sec, 7);
	CHECK_EQUAL(bev->timeout_read.tv_usec, 0);
	CHECK_EQUAL(bev->timeout_write.tv_sec, 9);
	bufferevent_settimeout(bev, 0, 0);
	CHECK_EQUAL(bev->timeout_read.tv_sec, 0);
	CHECK(!event_pending(&bev->ev_read, EV_TIMEOUT, NULL));
	end();
}

CASE(common_timeouts, EVERY_BACKEND)
{
	const struct timeval *common;

	begin(EV_READ);
	common = event_base_init_common_timeout(base, &short_time);
	CHECK(common);
	bufferevent_set_timeouts(bev, common, common);
	CHECK(!memcmp(&bev->timeout_read, common, sizeof *common));
	run_until(&side.events, 1);
	end();
}

static void
enable_reading(struct bufferevent *self, const char *callback)
{
	if (!strcmp(callback, "event") && side.events < 3)
		bufferevent_enable(self, EV_READ);
}

CASE(enabled_again_in_the_callback, EVERY_BACKEND)
{
	side.then = enable_reading;
	begin(EV_READ);
	bufferevent_set_timeouts(bev, &short_time, NULL);
	run_until(&side.events, 3);
	end();
}

static void
free_it(struct bufferevent *self, const char *callback)
{
	(void)callback;
	bufferevent_free(self);
	bev = NULL;
}

CASE(freed_in_the_callback, EVERY_BACKEND)
{
	side.then = free_it;
	begin(EV_READ);
	bufferevent_set_timeouts(bev, &short_time, &short_time);
	run_until(&side.events, 1);
	settle();
	CHECK_EQUAL(happened, 1);
	close(ends[1]);
	finish();
}

CASE(deferred_timeout, ONE_BACKEND)
{
	make_base();
	make_connection(0, ends);
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS, &side);
	bufferevent_enable(bev, EV_READ);
	bufferevent_set_timeouts(bev, &short_time, NULL);
	run_until(&side.events, 1);
	end();
}

DIFFERENCE(removed_while_disabled, ONE_BACKEND,
	"a timeout that was removed while reading was disabled comes back when reading is enabled")
{
	begin(EV_READ);
	bufferevent_set_timeouts(bev, &short_time, NULL);
	bufferevent_disable(bev, EV_READ);
	bufferevent_set_timeouts(bev, NULL, NULL);
	bufferevent_enable(bev, EV_READ);
	send_all(ends[1], "x", 1);
	run_for(100);
	CHECK_EQUAL(side.events, 0);
	end();
}

/* --- Pairs. -------------------------------------------------------------------------------------- */

static struct bufferevent *pair[2];

static void
begin_pair(void)
{
	make_base();
	CHECK_EQUAL(bufferevent_pair_new(base, 0, pair), 0);
	trace(pair[0], &side);
	trace(pair[1], &other);
}

static void
end_pair(void)
{
	bufferevent_free(pair[0]);
	bufferevent_free(pair[1]);
	finish();
}

CASE(pair_read_timeout, ONE_BACKEND)
{
	begin_pair();
	bufferevent_set_timeouts(pair[0], &short_time, NULL);
	run_for(60);
	CHECK_EQUAL(happened, 0);
	bufferevent_enable(pair[0], EV_READ);
	run_until(&happened, 1);
	run_for(60);
	CHECK_EQUAL(happened, 1);
	end_pair();
}

CASE(pair_write_timeout, ONE_BACKEND)
{
	begin_pair();
	bufferevent_write(pair[0], "x", 1);
	bufferevent_set_timeouts(pair[0], NULL, &short_time);
	run_until(&happened, 1);
	run_for(60);
	CHECK_EQUAL(happened, 1);
	end_pair();
}

DIFFERENCE(pair_write_timeout_after_transfer, ONE_BACKEND,
	"a pair reports a write timeout although its partner has taken everything")
{
	begin_pair();
	bufferevent_write(pair[0], "x", 1);
	bufferevent_set_timeouts(pair[0], NULL, &short_time);
	bufferevent_enable(pair[1], EV_READ);
	run_for(100);
	CHECK_EQUAL(side.events, 0);
	end_pair();
}

DIFFERENCE(pair_write_timeout_from_write, ONE_BACKEND,
	"a pair never reports a write timeout for data that its partner does not take")
{
	begin_pair();
	bufferevent_set_timeouts(pair[0], NULL, &short_time);
	bufferevent_write(pair[0], "x", 1);
	run_for(100);
	CHECK_EQUAL(side.events, 1);
	end_pair();
}

/* Filters wait for what they write also with nothing to write: libevent's own tests ask for that. */

static void
time_filter(struct bufferevent *below, int written, int timeouts_first)
{
	struct bufferevent *filter = bufferevent_filter_new(below, NULL, NULL, BEV_OPT_CLOSE_ON_FREE, NULL, NULL);

	other.events = 0;
	trace(filter, &other);
	if (timeouts_first)
		bufferevent_set_timeouts(filter, &short_time, &short_time);
	bufferevent_enable(filter, EV_READ | EV_WRITE);
	if (!timeouts_first)
		bufferevent_set_timeouts(filter, &short_time, &short_time);
	if (written)
		bufferevent_write(filter, "abc", (size_t)written);
	run_for(150);
	printf("%d written, timeouts set %s: %d events\n", written, timeouts_first ? "first" : "last", other.events);
	bufferevent_free(filter);
	run_for(1);
}

CASE(idle_filter_over_a_socket, EVERY_BACKEND)
{
	int first, written, sockets[2];

	make_base();
	for (first = 0; first < 2; first++) {
		for (written = 0; written <= 3; written += 3) {
			make_socketpair(sockets);
			time_filter(bufferevent_socket_new(base, sockets[0], BEV_OPT_CLOSE_ON_FREE), written, first);
			close(sockets[1]);
		}
	}
	finish();
}

CASE(idle_filter_over_a_pair, ONE_BACKEND)
{
	int first, written;

	make_base();
	for (first = 0; first < 2; first++) {
		for (written = 0; written <= 3; written += 3) {
			CHECK_EQUAL(bufferevent_pair_new(base, 0, pair), 0);
			bufferevent_enable(pair[1], EV_READ);
			time_filter(pair[0], written, first);
			bufferevent_free(pair[1]);
		}
	}
	finish();
}
