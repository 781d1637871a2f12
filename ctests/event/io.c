/* Events on descriptors: reading, writing, closing, edge-triggered, persistent, with timeouts;
 * several events on one descriptor, and many descriptors. */
#define _GNU_SOURCE
#include "trace.h"

static void
take_and_print(evutil_socket_t fd, short what, void *name)
{
	if (what & EV_READ)
		take_byte(fd);
	print_call(fd, what, name);
}

CASE(read_once, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_pipe(ends);
	ev = added_event(base, ends[0], EV_READ, "reader");
	CHECK_EQUAL(poll_once(base), 0);
	put_byte(ends[1]);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(event_pending(ev, EV_READ, NULL), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_base_free(base);
}

CASE(read_again_and_again, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2], i;
	make_pipe(ends);
	ev = event_new(base, ends[0], EV_READ | EV_PERSIST, take_and_print, "reader");
	CHECK_EQUAL(event_add(ev, NULL), 0);
	for (i = 0; i < 3; i++) {
		printf("round %d\n", i);
		put_byte(ends[1]);
		CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
		poll_once(base);
	}
	CHECK_EQUAL(event_pending(ev, EV_READ, NULL), EV_READ);
	event_free(ev);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

CASE(level_triggered, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2], i;
	make_pipe(ends);
	ev = added_event(base, ends[0], EV_READ | EV_PERSIST, "unread");
	put_byte(ends[1]);
	for (i = 0; i < 3; i++)
		poll_once(base);
	take_byte(ends[0]);
	poll_once(base);
	event_free(ev);
	event_base_free(base);
}

/* A socket with a full or empty send buffer, with or without something to read. */
CASE(flags_are_limited_to_the_interest, EVERY_BACKEND)
{
	static const short interests[] = {EV_READ, EV_WRITE, EV_READ | EV_WRITE};
	static char block[4096];
	struct event_base *base = new_base();
	int readable, writable;
	size_t i;
	for (readable = 0; readable < 2; readable++) {
		for (writable = 0; writable < 2; writable++) {
			int ends[2];
			make_socketpair(ends);
			if (readable)
				put_byte(ends[1]);
			while (!writable && write(ends[0], block, sizeof block) > 0)
				;
			for (i = 0; i < sizeof interests / sizeof interests[0]; i++) {
				struct event *ev = named_event(base, ends[0], interests[i], "  called");
				printf("readable %d, writable %d, interest %s\n", readable, writable,
				       flag_names(interests[i]));
				CHECK_EQUAL(event_add(ev, NULL), 0);
				poll_once(base);
				event_free(ev);
			}
			close(ends[0]);
			close(ends[1]);
		}
	}
	event_base_free(base);
}

CASE(several_events_on_one_descriptor, EVERY_BACKEND)
{
	static const struct {
		const char *name;
		short interest;
	} kinds[] = {{"read 1", EV_READ | EV_PERSIST}, {"write 1", EV_WRITE | EV_PERSIST},
		     {"read once", EV_READ}, {"both", EV_READ | EV_WRITE | EV_PERSIST},
		     {"read 2", EV_READ | EV_PERSIST}, {"write once", EV_WRITE}};
	struct event_base *base = new_base();
	struct event *events[6];
	int ends[2], i;
	make_socketpair(ends);
	for (i = 0; i < 6; i++) {
		events[i] = added_event(base, ends[0], kinds[i].interest, kinds[i].name);
	}
	printf("writable\n");
	poll_once(base);
	put_byte(ends[1]);
	printf("readable too\n");
	poll_once(base);
	poll_once(base);
	printf("read 1 deleted and added again\n");
	CHECK_EQUAL(event_del(events[0]), 0);
	CHECK_EQUAL(event_add(events[0], NULL), 0);
	poll_once(base);
	printf("both deleted\n");
	CHECK_EQUAL(event_del(events[3]), 0);
	poll_once(base);
	printf("writers deleted\n");
	CHECK_EQUAL(event_del(events[1]), 0);
	poll_once(base);
	printf("readers deleted\n");
	CHECK_EQUAL(event_del(events[0]), 0);
	CHECK_EQUAL(event_del(events[4]), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	for (i = 0; i < 6; i++)
		event_free(events[i]);
	event_base_free(base);
}

CASE(adding_and_deleting_repeatedly, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2], i;
	make_pipe(ends);
	put_byte(ends[1]);
	ev = named_event(base, ends[0], EV_READ | EV_PERSIST, "reader");
	CHECK_EQUAL(event_del(ev), 0);
	for (i = 0; i < 5; i++)
		CHECK_EQUAL(event_add(ev, NULL), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 1);
	poll_once(base);
	for (i = 0; i < 5; i++)
		CHECK_EQUAL(event_del(ev), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	for (i = 0; i < 100; i++) {
		CHECK_EQUAL(event_add(ev, NULL), 0);
		CHECK_EQUAL(event_del(ev), 0);
	}
	CHECK_EQUAL(event_add(ev, NULL), 0);
	poll_once(base);
	CHECK_EQUAL(event_del(ev), 0);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	poll_once(base);
	event_free(ev);
	event_base_free(base);
}

CASE(nothing_to_wait_for, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev = added_event(base, -1, EV_PERSIST, "never");
	CHECK_EQUAL(event_pending(ev, 0x7fff, NULL), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_base_free(base);
}

CASE(negative_descriptors_hold_the_loop, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev = added_event(base, -1, EV_READ | EV_PERSIST, "no descriptor");
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 1);
	CHECK_EQUAL(poll_once(base), 0);
	event_active(ev, EV_WRITE, 1);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	CHECK_EQUAL(add_timed(ev, 1), 0);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	CHECK_EQUAL(event_del(ev), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_base_free(base);
}

/* Timeouts of events on descriptors. */
CASE(timeout_of_a_reader, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_pipe(ends);
	ev = named_event(base, ends[0], EV_READ, "reader");
	CHECK_EQUAL(add_timed(ev, 5), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	put_byte(ends[1]);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(add_timed(ev, 3600000), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(event_pending(ev, EV_READ | EV_TIMEOUT, NULL), 0);
	event_free(ev);
	event_base_free(base);
}

CASE(timeout_of_a_persistent_reader, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2], i;
	make_pipe(ends);
	ev = event_new(base, ends[0], EV_READ | EV_PERSIST, take_and_print, "reader");
	CHECK_EQUAL(add_timed(ev, 5), 0);
	for (i = 0; i < 4; i++) {
		if (i == 2) {
			CHECK_EQUAL(add_timed(ev, 3600000), 0);
			put_byte(ends[1]);
		}
		if (i == 3)
			CHECK_EQUAL(add_timed(ev, 5), 0);
		CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
		printf("pending %s\n", flag_names(event_pending(ev, 0x7fff, NULL)));
	}
	event_free(ev);
	event_base_free(base);
}

/* No interval means no repetition, and the descriptor is no longer watched either. */
CASE(a_persistent_reader_with_no_time, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_pipe(ends);
	ev = event_new(base, ends[0], EV_READ | EV_PERSIST, take_and_print, "reader");
	CHECK_EQUAL(add_timed(ev, 0), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	printf("pending %s\n", flag_names(event_pending(ev, 0x7fff, NULL)));
	put_byte(ends[1]);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	printf("activated by hand, it stays\n");
	CHECK_EQUAL(event_add(ev, NULL), 0);
	take_byte(ends[0]);
	event_active(ev, EV_TIMEOUT, 1);
	poll_once(base);
	printf("pending %s\n", flag_names(event_pending(ev, 0x7fff, NULL)));
	event_free(ev);
	event_base_free(base);
}

CASE(the_timeout_is_removed, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_pipe(ends);
	ev = named_event(base, ends[0], EV_READ | EV_PERSIST, "reader");
	CHECK_EQUAL(event_remove_timer(ev), 0);
	CHECK_EQUAL(add_timed(ev, 5), 0);
	CHECK_EQUAL(event_remove_timer(ev), 0);
	CHECK_EQUAL(event_remove_timer(ev), 0);
	printf("pending %s\n", flag_names(event_pending(ev, 0x7fff, NULL)));
	run_for(base, 20);
	put_byte(ends[1]);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	printf("pending %s\n", flag_names(event_pending(ev, 0x7fff, NULL)));
	event_free(ev);
	event_base_free(base);
}

CASE(adding_without_a_time_keeps_the_timeout, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_pipe(ends);
	ev = named_event(base, ends[0], EV_READ, "reader");
	CHECK_EQUAL(add_timed(ev, 5), 0);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_base_free(base);
}

/* Edge-triggered. */
CASE(edge_triggered, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_socketpair(ends);
	ev = added_event(base, ends[0], EV_READ | EV_PERSIST | EV_ET, "reader");
	put_byte(ends[1]);
	poll_once(base);
	printf("no new edge\n");
	poll_once(base);
	printf("a new edge\n");
	put_byte(ends[1]);
	poll_once(base);
	printf("deleted and added\n");
	CHECK_EQUAL(event_del(ev), 0);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	poll_once(base);
	printf("no new edge\n");
	poll_once(base);
	event_free(ev);
	event_base_free(base);
}

CASE(edge_triggered_reading_and_writing, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *reader, *writer, *both;
	int ends[2];
	make_socketpair(ends);
	reader = added_event(base, ends[0], EV_READ | EV_PERSIST | EV_ET, "reader");
	writer = added_event(base, ends[0], EV_WRITE | EV_PERSIST | EV_ET, "writer");
	both = added_event(base, ends[0], EV_READ | EV_WRITE | EV_ET, "both once");
	poll_once(base);
	printf("readable\n");
	put_byte(ends[1]);
	poll_once(base);
	printf("no new edge\n");
	poll_once(base);
	printf("manually\n");
	event_active(reader, EV_READ, 1);
	poll_once(base);
	event_free(reader);
	event_free(writer);
	event_free(both);
	event_base_free(base);
}

CASE(second_edge_triggered_event_makes_no_edge, EPOLL_ONLY)
{
	struct event_base *base = new_base();
	struct event *first, *second;
	int ends[2];
	make_socketpair(ends);
	first = named_event(base, ends[0], EV_READ | EV_PERSIST | EV_ET, "first");
	second = named_event(base, ends[0], EV_READ | EV_PERSIST | EV_ET, "second");
	CHECK_EQUAL(event_add(first, NULL), 0);
	put_byte(ends[1]);
	poll_once(base);
	CHECK_EQUAL(event_add(second, NULL), 0);
	poll_once(base);
	put_byte(ends[1]);
	poll_once(base);
	event_free(first);
	event_free(second);
	event_base_free(base);
}

CASE(edge_triggered_with_a_timeout, EPOLL_ONLY)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_socketpair(ends);
	ev = named_event(base, ends[0], EV_READ | EV_PERSIST | EV_ET, "reader");
	put_byte(ends[1]);
	CHECK_EQUAL(add_timed(ev, 100), 0);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	printf("pending %s\n", flag_names(event_pending(ev, 0x7fff, NULL)));
	event_free(ev);
	event_base_free(base);
}

/* In debug mode the mix is refused. */
DIFFERENCE(level_triggered_beside_edge_triggered, EPOLL_ONLY | OWN_DEBUG_MODE,
	   "adding an edge-triggered event makes all other events on the descriptor edge-triggered too")
{
	struct event_base *base = new_base();
	struct event *level, *edge;
	int ends[2], calls;
	make_socketpair(ends);
	put_byte(ends[1]);
	level = added_event(base, ends[0], EV_READ | EV_PERSIST, "level");
	edge = added_event(base, ends[0], EV_WRITE | EV_PERSIST | EV_ET, "edge");
	for (calls = 0; calls < 3; calls++) {
		level->ev_res = 0;
		CHECK_EQUAL(poll_once(base), 0);
		CHECK_EQUAL(level->ev_res, EV_READ);
	}
	event_free(edge);
	event_free(level);
	event_base_free(base);
}

DIFFERENCE(edge_triggered_after_level_triggered, EPOLL_ONLY | OWN_DEBUG_MODE,
	   "an edge-triggered event that shared its descriptor with a level-triggered one stays level-triggered after that one is gone")
{
	struct event_base *base = new_base();
	struct event *level, *edge;
	int ends[2];
	make_socketpair(ends);
	put_byte(ends[1]);
	level = named_event(base, ends[0], EV_WRITE | EV_PERSIST, "level");
	edge = named_event(base, ends[0], EV_READ | EV_PERSIST | EV_ET, "edge");
	CHECK_EQUAL(event_add(edge, NULL), 0);
	CHECK_EQUAL(event_add(level, NULL), 0);
	poll_once(base);
	CHECK_EQUAL(event_del(level), 0);
	poll_once(base);
	edge->ev_res = 0;
	poll_once(base);
	CHECK_EQUAL(edge->ev_res, 0);
	put_byte(ends[1]);
	poll_once(base);
	CHECK_EQUAL(edge->ev_res, EV_READ | EV_ET);
	event_free(edge);
	event_free(level);
	event_base_free(base);
}

/* Many. */
static int calls_of[300];

static void
count_call(evutil_socket_t fd, short what, void *arg)
{
	CHECK_EQUAL(what, EV_READ);
	take_byte(fd);
	++*(int *)arg;
}

CASE(many_descriptors_ready_at_once, EVERY_BACKEND)
{
	enum { COUNT = 300 };
	struct event_base *base = new_base();
	struct event *events[COUNT];
	int ends[COUNT][2], i, total = 0;
	for (i = 0; i < COUNT; i++) {
		make_pipe(ends[i]);
		events[i] = event_new(base, ends[i][0], EV_READ | EV_PERSIST, count_call, &calls_of[i]);
		CHECK_EQUAL(event_add(events[i], NULL), 0);
	}
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), COUNT);
	for (i = 0; i < COUNT; i++)
		put_byte(ends[i][1]);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 0);
	for (i = 0; i < COUNT; i++)
		CHECK_EQUAL(calls_of[i], 1);
	for (i = 0; i < COUNT; i += 3)
		put_byte(ends[i][1]);
	for (i = 0; i < COUNT; i += 2)
		event_free(events[i]);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 0);
	for (i = 0; i < COUNT; i++)
		total += calls_of[i];
	CHECK_EQUAL(total, COUNT + COUNT / 6);
	for (i = 1; i < COUNT; i += 2)
		event_free(events[i]);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

DIFFERENCE(descriptors_beyond_a_thousand, EVERY_BACKEND,
	   "the select backend ends the process at descriptors of 1024 and more")
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2], high;
	make_pipe(ends);
	for (high = 4000; high > 1030; high -= 100)
		if (dup3(ends[0], high, O_CLOEXEC) == high)
			break;
	if (high <= 1030)
		harness_skip("too few descriptors allowed");
	ev = named_event(base, high, EV_READ, "high");
	put_byte(ends[1]);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(ev->ev_res, EV_READ);
	event_free(ev);
	event_base_free(base);
}

CASE(at_most_65535_readers_of_one_descriptor, EVERY_BACKEND)
{
	enum { COUNT = 65536 };
	struct event_base *base = new_base();
	struct event *events = calloc(COUNT, sizeof *events);
	int ends[2], i, added = 0;
	make_pipe(ends);
	renumber(ends[0], 100);
	log_to_stdout();
	for (i = 0; i < COUNT; i++) {
		CHECK_EQUAL(event_assign(&events[i], base, 100, EV_READ | EV_PERSIST, print_call, "reader"), 0);
		added += event_add(&events[i], NULL) == 0;
	}
	printf("%d of %d\n", added, COUNT);
	for (i = 0; i < COUNT; i++)
		CHECK_EQUAL(event_del(&events[i]), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
	free(events);
}

CASE(an_impossible_descriptor, EPOLL_ONLY | OWN_DEBUG_MODE)
{
	static const int fds[] = {1 << 27, 1 << 30, 2147483647};
	struct event_base *base = new_base();
	size_t i;
	for (i = 0; i < sizeof fds / sizeof fds[0]; i++) {
		struct event ev;
		event_assign(&ev, base, fds[i], EV_READ, print_call, "");
		printf("%d, pending %d\n", event_add(&ev, NULL), event_pending(&ev, EV_READ, NULL));
	}
	event_base_free(base);
}
