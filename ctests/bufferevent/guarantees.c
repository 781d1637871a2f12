/* What programs may rely on, however few system calls are made. */
#include "allocator.h"
#include "one.h"

#include <event2/bufferevent_struct.h>

static struct traced side = {.name = "side", .drain = -1};
static void
begin(int options)
{
	use_connection(options);
	printf("--\n");
}

static void
count_call(evutil_socket_t fd, short what, void *count)
{
	(void)fd, (void)what;
	++*(int *)count;
}

static void
count_read(struct bufferevent *reader, void *count)
{
	CHECK(evbuffer_get_length(bufferevent_get_input(reader)) <= 1000);
	evbuffer_drain(bufferevent_get_input(reader), 1000);
	++*(int *)count;
}

/* One read for each time that a descriptor is ready, so that nobody waits for long. */
CASE(readers_take_turns, EVERY_BACKEND)
{
	static char data[5000];
	struct bufferevent *readers[2];
	int peers[2], reads[2] = {0, 0}, i;

	make_base();
	for (i = 0; i < 2; i++) {
		make_connection(0, ends);
		peers[i] = ends[1];
		readers[i] = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE);
		bufferevent_setcb(readers[i], count_read, NULL, NULL, &reads[i]);
		bufferevent_set_max_single_read(readers[i], 1000);
		bufferevent_enable(readers[i], EV_READ);
	}
	settle();
	for (i = 0; i < 2; i++)
		send_all(peers[i], data, 2000 + 2000 * i);
	for (i = 0; i < 5; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
		printf("pass %d: %d and %d reads\n", i, reads[0], reads[1]);
	}
	for (i = 0; i < 2; i++) {
		bufferevent_free(readers[i]);
		close(peers[i]);
	}
	finish();
}

/* The end of a stream is found by a read that gets nothing, for which there was room. */
DIFFERENCE(the_end_keeps_no_memory, ONE_BACKEND | OWN_DEBUG_MODE,
	"a read that finds only the end of the stream leaves its memory in the buffer")
{
	struct bufferevent *readers[20];
	int peers[20], i;
	size_t before;

	allocator_install();
	make_base();
	for (i = 0; i < 20; i++) {
		make_connection(0, ends);
		peers[i] = ends[1];
		readers[i] = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE);
		bufferevent_enable(readers[i], EV_READ);
	}
	settle();
	before = allocator.held;
	for (i = 0; i < 20; i++)
		close(peers[i]);
	settle();
	/* What one base keeps for all of them does not count. */
	CHECK(allocator.held < before + 20 * 500 + 32768);
	for (i = 0; i < 20; i++)
		bufferevent_free(readers[i]);
	finish();
}

static void
print_name(evutil_socket_t fd, short what, void *name)
{
	(void)fd, (void)what;
	printf("%s\n", (char *)name);
}

/* Output leaves at the priority of its bufferevent. */
CASE(writing_has_a_priority, EVERY_BACKEND)
{
	static const char *const names[] = {"before", "after"};
	struct event *events[2];
	char byte;
	int i;

	make_base();
	event_base_priority_init(base, 3);
	make_connection(0, ends);
	bev = make_bufferevent(ends[0], 0, &side);
	bufferevent_enable(bev, EV_READ);
	send_all(ends[1], "x", 1);
	settle();
	for (i = 0; i < 2; i++) {
		events[i] = event_new(base, -1, 0, print_name, (void *)names[i]);
		event_priority_set(events[i], 2 * i);
	}
	bufferevent_write(bev, "abc", 3);
	event_active(events[1], EV_TIMEOUT, 1);
	event_active(events[0], EV_TIMEOUT, 1);
	event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	printf("pass over, %d\n", (int)recv(ends[1], &byte, 1, MSG_DONTWAIT | MSG_PEEK));
	settle();
	for (i = 0; i < 2; i++)
		event_free(events[i]);
	end_of_used_connection();
}

/* After everything is sent, nothing wakes the loop. */
CASE(idle_connections_wake_nobody, EVERY_BACKEND)
{
	struct timeval soon = {0, 30000};
	int timers = 0, i;

	begin(0);
	for (i = 0; i < 3; i++) {
		bufferevent_write(bev, "abc", 3);
		settle();
		event_base_once(base, -1, EV_TIMEOUT, count_call, &timers, &soon);
		CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
		CHECK_EQUAL(timers, i + 1);
	}
	end_of_used_connection();
}

/* Other events on the same descriptor get what they wait for, whatever the bufferevent does. */
static void
share_descriptor(short trigger)
{
	struct event *reader, *writer;
	char sink[100];
	int reads = 0, writes = 0, i;

	begin(0);
	reader = event_new(base, ends[0], EV_READ | EV_PERSIST | trigger, count_call, &reads);
	writer = event_new(base, ends[0], EV_WRITE | EV_PERSIST | trigger, count_call, &writes);
	event_add(writer, NULL);
	for (i = 0; i < 3; i++) {
		bufferevent_write(bev, "abc", 3);
		event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
		event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
		printf("received %d, %s\n", received(ends[1], sink, sizeof sink), writes ? "told" : "not told");
		if (!trigger)
			CHECK(writes >= i + 1);
	}
	event_del(writer);
	event_add(reader, NULL);
	bufferevent_write(bev, "abc", 3);
	event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	send_all(ends[1], "def", 3);
	event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	printf("%s, %d reads\n", reads ? "told" : "not told", side.reads);
	event_free(reader);
	event_free(writer);
	bufferevent_write(bev, "abc", 3);
	settle();
	printf("received %d\n", received(ends[1], sink, sizeof sink));
	end_of_used_connection();
}

CASE(shares_its_descriptor, EVERY_BACKEND)
{
	share_descriptor(0);
}

CASE(shares_its_descriptor_with_edge_triggered_events, EPOLL_ONLY)
{
	share_descriptor(EV_ET);
}

/* A duplicate that stays open does not keep the bufferevent's registration. */
CASE(nothing_stays_of_a_closed_descriptor, EVERY_BACKEND)
{
	struct timeval soon = {0, 30000};
	int timers = 0, copy;

	begin(0);
	copy = dup(ends[0]);
	bufferevent_write(bev, "abc", 3);
	bufferevent_setfd(bev, -1);
	close(ends[0]);
	send_all(ends[1], "def", 3);
	event_base_once(base, -1, EV_TIMEOUT, count_call, &timers, &soon);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	CHECK_EQUAL(timers, 1);
	CHECK_EQUAL(side.reads, 1);
	bufferevent_free(bev);
	settle();
	close(copy);
	close(ends[1]);
	finish();
}

/* The read timeout restarts with every read; programs can see that. */
CASE(deadline_after_a_read, EVERY_BACKEND)
{
	struct timeval timeout = {100, 0}, due, before, after;

	begin(0);
	bufferevent_set_timeouts(bev, &timeout, NULL);
	run_for(30);
	evutil_gettimeofday(&before, NULL);
	send_all(ends[1], "abc", 3);
	settle();
	evutil_gettimeofday(&after, NULL);
	CHECK(event_pending(&bev->ev_read, EV_TIMEOUT, &due));
	/* The loop's clock may be a few milliseconds behind. */
	evutil_timeradd(&after, &timeout, &after);
	before.tv_sec += 99;
	before.tv_usec += 990000;
	CHECK(evutil_timercmp(&due, &before, >=) || due.tv_sec > before.tv_sec);
	after.tv_sec++;
	CHECK(evutil_timercmp(&due, &after, <=));
	end_of_used_connection();
}

/* The time for a write runs from the moment when there is something to write. */
CASE(write_timeout_runs_from_the_write, EVERY_BACKEND)
{
	static const char block[4096];
	struct timeval timeout = {0, 50000};

	begin(0);
	bufferevent_disable(bev, EV_READ);
	while (send(ends[0], block, sizeof block, MSG_DONTWAIT) > 0 || send(ends[0], block, 1, MSG_DONTWAIT) > 0)
		;
	bufferevent_set_timeouts(bev, NULL, &timeout);
	bufferevent_write(bev, "abc", 3);
	printf("timer %d\n", !!event_pending(&bev->ev_write, EV_TIMEOUT, NULL));
	/* Whatever keeps the program from running the loop meanwhile. */
	usleep(100000);
	event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	printf("events %d\n", side.events);
	end_of_used_connection();
}

/* What is late can be sent nevertheless. */
DIFFERENCE(late_writes_are_no_timeouts, EVERY_BACKEND,
	   "a busy loop reports a write timeout although the write has been possible all the time")
{
	struct timeval timeout = {0, 50000};
	char byte;

	begin(0);
	bufferevent_set_timeouts(bev, NULL, &timeout);
	bufferevent_write(bev, "abc", 3);
	usleep(100000);
	settle();
	CHECK_EQUAL(recv(ends[1], &byte, 1, MSG_DONTWAIT), 1);
	printf("events %d, timer %d\n", side.events, !!event_pending(&bev->ev_write, EV_TIMEOUT, NULL));
	end_of_used_connection();
}

/* Also when it is set, changed or removed after the write. */
CASE(write_timeout_changed_after_the_write, EVERY_BACKEND)
{
	struct timeval timeout = {0, 50000}, longer = {50, 0};

	begin(0);
	bufferevent_write(bev, "abc", 3);
	bufferevent_set_timeouts(bev, NULL, &timeout);
	printf("timer %d\n", !!event_pending(&bev->ev_write, EV_TIMEOUT, NULL));
	bufferevent_set_timeouts(bev, NULL, NULL);
	printf("timer %d\n", !!event_pending(&bev->ev_write, EV_TIMEOUT, NULL));
	bufferevent_set_timeouts(bev, NULL, &longer);
	printf("timer %d\n", !!event_pending(&bev->ev_write, EV_TIMEOUT, NULL));
	bufferevent_disable(bev, EV_WRITE);
	printf("timer %d\n", !!event_pending(&bev->ev_write, EV_TIMEOUT, NULL));
	bufferevent_enable(bev, EV_WRITE);
	settle();
	printf("timer %d\n", !!event_pending(&bev->ev_write, EV_TIMEOUT, NULL));
	end_of_used_connection();
}

/* Where data passes from one buffer to another unchanged, it is not copied. */
static const char *
place_of(struct evbuffer *buffer)
{
	struct evbuffer_iovec piece;

	CHECK(evbuffer_peek(buffer, -1, NULL, &piece, 1) >= 1);
	return piece.iov_base;
}

static const char large[100000];

static void
pass_through(struct bufferevent *in, struct bufferevent *out)
{
	CHECK_EQUAL(evbuffer_add_reference(bufferevent_get_output(in), large, sizeof large, NULL, NULL), 0);
	settle();
	printf("%d bytes, %s\n", (int)evbuffer_get_length(bufferevent_get_input(out)),
	       place_of(bufferevent_get_input(out)) == large ? "not copied" : "copied");
}

CASE(pairs_do_not_copy, ONE_BACKEND)
{
	struct bufferevent *pair[2];

	make_base();
	CHECK_EQUAL(bufferevent_pair_new(base, 0, pair), 0);
	bufferevent_enable(pair[1], EV_READ);
	pass_through(pair[0], pair[1]);
	bufferevent_free(pair[0]);
	bufferevent_free(pair[1]);
	finish();
}

CASE(filters_without_functions_do_not_copy, ONE_BACKEND)
{
	struct bufferevent *pair[2], *top, *bottom;

	make_base();
	CHECK_EQUAL(bufferevent_pair_new(base, 0, pair), 0);
	top = bufferevent_filter_new(pair[0], NULL, NULL, BEV_OPT_CLOSE_ON_FREE, NULL, NULL);
	bottom = bufferevent_filter_new(pair[1], NULL, NULL, BEV_OPT_CLOSE_ON_FREE, NULL, NULL);
	bufferevent_enable(bottom, EV_READ);
	pass_through(top, bottom);
	bufferevent_free(top);
	bufferevent_free(bottom);
	finish();
}
