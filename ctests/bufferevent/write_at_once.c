/* Output is sent in the pass after the one that wrote it, whether or not the kernel was asked first:
 * what programs see of that. */
#include "one.h"

#include <event2/bufferevent_struct.h>
#include <fcntl.h>

static struct traced side = {.name = "side", .drain = -1};
static void
begin(int options)
{
	use_connection(options);
}

/* Nothing more can be written until the other end reads. */
static void
fill_socket(void)
{
	static const char block[4096];

	while (send(ends[0], block, sizeof block, MSG_DONTWAIT) > 0)
		;
	while (send(ends[0], block, 1, MSG_DONTWAIT) > 0)
		;
}

static void
count_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	++*(int *)arg;
}

CASE(write_itself_sends_nothing, EVERY_BACKEND)
{
	char data[100];

	begin(0);
	bufferevent_write(bev, "abc", 3);
	bufferevent_write(bev, "def", 3);
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_output(bev)), 6);
	CHECK_EQUAL(recv(ends[1], data, sizeof data, MSG_DONTWAIT), -1);
	CHECK(event_pending(&bev->ev_write, EV_WRITE, NULL));
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	CHECK_EQUAL(recv(ends[1], data, sizeof data, MSG_DONTWAIT), 6);
	CHECK_EQUAL(side.writes, 1);
	CHECK(!event_pending(&bev->ev_write, EV_WRITE, NULL));
	end_of_used_connection();
}

CASE(freed_before_the_pass, EVERY_BACKEND)
{
	char data[100];

	begin(0);
	bufferevent_write(bev, "abc", 3);
	bufferevent_free(bev);
	settle();
	CHECK_EQUAL(recv(ends[1], data, sizeof data, MSG_DONTWAIT), -1);
	close(ends[0]);
	close(ends[1]);
	finish();
}

CASE(disabled_before_the_pass, EVERY_BACKEND)
{
	char data[100];

	begin(0);
	bufferevent_write(bev, "abc", 3);
	bufferevent_disable(bev, EV_WRITE);
	CHECK(!event_pending(&bev->ev_write, EV_WRITE, NULL));
	settle();
	CHECK_EQUAL(recv(ends[1], data, sizeof data, MSG_DONTWAIT), -1);
	bufferevent_enable(bev, EV_WRITE);
	settle();
	CHECK_EQUAL(recv(ends[1], data, sizeof data, MSG_DONTWAIT), 3);
	end_of_used_connection();
}

/* A cancelled one leaves its place in the queue to the next. */
CASE(another_writes_after_one_was_disabled, EVERY_BACKEND)
{
	struct traced traced = {.name = "another", .drain = -1};
	struct bufferevent *another;
	int other_ends[2];
	char data[100];

	begin(0);
	another = make_used_connection(other_ends, BEV_OPT_CLOSE_ON_FREE, &traced);
	bufferevent_write(bev, "abc", 3);
	bufferevent_disable(bev, EV_WRITE);
	bufferevent_write(another, "defg", 4);
	event_base_loop(base, EVLOOP_NONBLOCK);
	CHECK_EQUAL(recv(other_ends[1], data, sizeof data, MSG_DONTWAIT), 4);
	bufferevent_enable(bev, EV_WRITE);
	event_base_loop(base, EVLOOP_NONBLOCK);
	CHECK_EQUAL(recv(ends[1], data, sizeof data, MSG_DONTWAIT), 3);
	bufferevent_free(another);
	close(other_ends[1]);
	end_of_used_connection();
}

/* A loop that waits for one event does not end because a write was refused. */
CASE(refused_write_ends_no_pass, EVERY_BACKEND)
{
	struct timeval soon = {0, 30000};
	int timers = 0;

	begin(0);
	fill_socket();
	bufferevent_write(bev, "abc", 3);
	event_base_once(base, -1, EV_TIMEOUT, count_timer, &timers, &soon);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	CHECK_EQUAL(timers, 1);
	CHECK_EQUAL(side.writes, 0);
	CHECK(event_pending(&bev->ev_write, EV_WRITE, NULL));
	end_of_used_connection();
}

static void
count_byte(evutil_socket_t fd, short what, void *count)
{
	(void)what;
	take_byte(fd);
	++*(int *)count;
}

/* Nor does it go on, because of that, after what is behind the write in the queue. */
CASE(reader_after_a_refused_write_ends_the_pass, EVERY_BACKEND)
{
	struct timeval late = {1, 500000};
	int timers = 0, bytes = 0, pipes[2];

	begin(0);
	make_pipe(pipes);
	fill_socket();
	bufferevent_write(bev, "abc", 3);
	put_byte(pipes[1]);
	CHECK_EQUAL(event_base_once(base, pipes[0], EV_READ, count_byte, &bytes, NULL), 0);
	event_base_once(base, -1, EV_TIMEOUT, count_timer, &timers, &late);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	CHECK_EQUAL(bytes, 1);
	CHECK_EQUAL(timers, 0);
	close(pipes[0]);
	close(pipes[1]);
	end();
}

/* Output that cannot be sent keeps the loop running, and its timeout runs. */
CASE(refused_write_times_out, EVERY_BACKEND)
{
	struct timeval soon = {0, 30000};

	begin(0);
	fill_socket();
	bufferevent_disable(bev, EV_READ);
	bufferevent_set_timeouts(bev, NULL, &soon);
	bufferevent_write(bev, "abc", 3);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(side.last, BEV_EVENT_WRITING | BEV_EVENT_TIMEOUT);
	end_of_used_connection();
}

static int others;

static void
refill(struct bufferevent *writer, void *arg)
{
	(void)arg;
	bufferevent_write(writer, "again and again", 15);
}

static void
count_read(struct bufferevent *reader, void *arg)
{
	struct evbuffer *input = bufferevent_get_input(reader);

	(void)arg;
	evbuffer_drain(input, evbuffer_get_length(input));
	if (++others < 50)
		send_all(ends[1], "x", 1);
	else
		event_base_loopbreak(base);
}

static void
discard(struct bufferevent *reader, void *arg)
{
	struct evbuffer *input = bufferevent_get_input(reader);

	(void)arg;
	evbuffer_drain(input, evbuffer_get_length(input));
}

/* A write callback that always writes again lets the others have their turn. */
CASE(refilling_starves_nobody, EVERY_BACKEND)
{
	struct bufferevent *writer, *sink;
	int pair[2];

	begin(0);
	make_connection(0, pair);
	writer = make_bufferevent(pair[0], BEV_OPT_CLOSE_ON_FREE, NULL);
	sink = make_bufferevent(pair[1], BEV_OPT_CLOSE_ON_FREE, NULL);
	bufferevent_setcb(sink, discard, NULL, NULL, NULL);
	bufferevent_setcb(writer, discard, refill, NULL, NULL);
	bufferevent_enable(sink, EV_READ);
	bufferevent_enable(writer, EV_READ | EV_WRITE);
	bufferevent_setcb(bev, count_read, NULL, NULL, NULL);
	send_all(ends[1], "x", 1);
	CHECK_EQUAL(event_base_dispatch(base), 0);
	CHECK_EQUAL(others, 50);
	bufferevent_free(writer);
	bufferevent_free(sink);
	end_of_used_connection();
}

static int refills;

/* The other end reads all that comes, so that writing never stops. */
static void
refill_and_read(struct bufferevent *writer, void *arg)
{
	char data[4096];

	(void)arg;
	while (recv(ends[1], data, sizeof data, MSG_DONTWAIT) > 0)
		;
	if (++refills > 1000)
		event_base_loopbreak(base);
	bufferevent_write(writer, "more", 4);
}

/* A loop that is to end after one iteration ends, though there is always something to write. */
static void
refill_in_single_iterations(int flags)
{
	int turns;

	begin(0);
	bufferevent_setcb(bev, NULL, refill_and_read, NULL, NULL);
	bufferevent_write(bev, "some", 4);
	for (turns = 0; turns < 20; turns++) {
		CHECK_EQUAL(event_base_loop(base, flags), 0);
		CHECK(!event_base_got_break(base));
	}
	CHECK(refills >= 5);
	bufferevent_free(bev);
	close(ends[0]);
	close(ends[1]);
	finish();
}

CASE(refilling_ends_a_single_iteration, EVERY_BACKEND)
{
	refill_in_single_iterations(EVLOOP_ONCE);
}

CASE(refilling_ends_a_single_iteration_without_waiting, EVERY_BACKEND)
{
	refill_in_single_iterations(EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static void
leave(struct bufferevent *writer, void *arg)
{
	(void)writer;
	if (*(int *)arg)
		event_base_loopbreak(base);
	else
		event_base_loopexit(base, NULL);
}

/* Stopping the loop from the write callback works the same. */
CASE(write_callback_stops_the_loop, EVERY_BACKEND)
{
	int by_break;

	begin(0);
	for (by_break = 0; by_break < 2; by_break++) {
		bufferevent_setcb(bev, NULL, leave, NULL, &by_break);
		bufferevent_write(bev, "abc", 3);
		CHECK_EQUAL(event_base_dispatch(base), 0);
		CHECK_EQUAL(event_base_got_break(base), by_break);
		CHECK_EQUAL(event_base_got_exit(base), !by_break);
	}
	end_of_used_connection();
}

/* A descriptor that blocks is written to only when the kernel says that it can be. */
CASE(blocking_descriptor, OWN_DEBUG_MODE)
{
	struct timeval soon = {0, 20000};
	int timers = 0;

	make_base();
	make_connection(0, ends);
	CHECK_EQUAL(fcntl(ends[0], F_SETFL, fcntl(ends[0], F_GETFL) & ~O_NONBLOCK), 0);
	bev = make_bufferevent(ends[0], 0, &side);
	bufferevent_enable(bev, EV_READ);
	send_all(ends[1], "x", 1);
	settle();
	fill_socket();
	bufferevent_write(bev, "abc", 3);
	event_base_once(base, -1, EV_TIMEOUT, count_timer, &timers, &soon);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	CHECK_EQUAL(timers, 1);
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_output(bev)), 3);
	end_of_used_connection();
}
