/* struct event as programs see and change it: the state bits, the fields, and what may be done to an
 * idle event. */
#define _GNU_SOURCE
#include "trace.h"

#define FLAGS(ev) ((ev)->ev_evcallback.evcb_flags)

static void
print_state(const char *label, const struct event *ev)
{
	printf("%s: flags 0x%02x, events 0x%02x, res 0x%02x, pending %s\n", label, FLAGS(ev), ev->ev_events,
	       ev->ev_res,
	       flag_names(event_pending(ev, EV_TIMEOUT | EV_READ | EV_WRITE | EV_SIGNAL | EV_CLOSED, NULL)));
}

static void
print_state_inside(evutil_socket_t fd, short what, void *ev)
{
	(void)fd;
	printf("called with %s\n", flag_names(what));
	print_state("inside", ev);
}

CASE(size_is_what_programs_were_compiled_with, ONE_BACKEND)
{
	CHECK_EQUAL(event_get_struct_event_size(), sizeof(struct event));
	CHECK_EQUAL(sizeof(struct event), 128);
}

CASE(state_of_a_timer, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event ev;
	event_assign(&ev, base, -1, 0, print_state_inside, &ev);
	print_state("assigned", &ev);
	CHECK_EQUAL(event_add(&ev, NULL), 0);
	print_state("added without a time", &ev);
	CHECK_EQUAL(add_timed(&ev, 1), 0);
	print_state("added", &ev);
	event_base_dispatch(base);
	print_state("after", &ev);
	CHECK_EQUAL(add_timed(&ev, 1000), 0);
	event_active(&ev, EV_TIMEOUT, 1);
	print_state("pending and active", &ev);
	CHECK_EQUAL(event_del(&ev), 0);
	print_state("deleted", &ev);
	event_active(&ev, EV_READ | EV_WRITE, 1);
	print_state("active only", &ev);
	poll_once(base);
	event_debug_unassign(&ev);
	printf("unassigned: 0x%02x, initialized %d\n", FLAGS(&ev), event_initialized(&ev));
	event_base_free(base);
}

CASE(state_of_a_persistent_timer, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event ev;
	event_assign(&ev, base, -1, EV_PERSIST, print_state_inside, &ev);
	CHECK_EQUAL(add_timed(&ev, 1), 0);
	event_base_loop(base, EVLOOP_ONCE);
	print_state("after", &ev);
	CHECK_EQUAL(event_del(&ev), 0);
	print_state("deleted", &ev);
	event_base_free(base);
}

static void
state_of_io(int extra)
{
	struct event_base *base = new_base();
	struct event ev;
	int ends[2];
	make_socketpair(ends);
	event_assign(&ev, base, ends[0], (short)(EV_READ | extra), print_state_inside, &ev);
	CHECK_EQUAL(event_add(&ev, NULL), 0);
	print_state("added", &ev);
	CHECK_EQUAL(add_timed(&ev, 1000), 0);
	print_state("added with a time", &ev);
	event_active(&ev, EV_READ, 1);
	print_state("active", &ev);
	event_active(&ev, EV_WRITE, 1);
	print_state("activated again", &ev);
	poll_once(base);
	print_state("after", &ev);
	CHECK_EQUAL(event_del(&ev), 0);
	print_state("deleted", &ev);
	put_byte(ends[1]);
	CHECK_EQUAL(event_add(&ev, NULL), 0);
	poll_once(base);
	print_state("after reading", &ev);
	CHECK_EQUAL(event_del(&ev), 0);
	event_base_free(base);
	close(ends[0]);
	close(ends[1]);
}

CASE(state_of_io_once, EVERY_BACKEND)
{
	state_of_io(0);
}

CASE(state_of_io_persistent, EVERY_BACKEND)
{
	state_of_io(EV_PERSIST);
}

CASE(state_of_a_signal_event, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event ev;
	event_assign(&ev, base, 10, EV_SIGNAL | EV_PERSIST, print_state_inside, &ev);
	CHECK_EQUAL(add_timed(&ev, 1000), 0);
	print_state("added", &ev);
	event_active(&ev, EV_SIGNAL, 2);
	print_state("active", &ev);
	poll_once(base);
	print_state("after", &ev);
	CHECK_EQUAL(event_del(&ev), 0);
	print_state("deleted", &ev);
	event_base_free(base);
}

CASE(assigning_to_any_memory, EVERY_BACKEND | OWN_DEBUG_MODE)
{
	static const int fills[] = {0x00, 0xff, 0xa5, 0x80};
	struct event_base *base = new_base();
	size_t i;
	for (i = 0; i < sizeof fills / sizeof fills[0]; i++) {
		struct event ev;
		memset(&ev, fills[i], sizeof ev);
		CHECK_EQUAL(event_assign(&ev, base, -1, 0, print_state_inside, &ev), 0);
		print_state("assigned", &ev);
		CHECK_EQUAL(ev.ev_evcallback.evcb_pri, 0);
		CHECK_EQUAL(add_timed(&ev, 0), 0);
		event_base_dispatch(base);
	}
	event_base_free(base);
}

CASE(zeroed_events, EVERY_BACKEND | OWN_DEBUG_MODE)
{
	struct event ev;
	memset(&ev, 0, sizeof ev);
	log_to_stdout();
	CHECK_EQUAL(event_initialized(&ev), 0);
	CHECK_EQUAL(event_del(&ev), -1);
	CHECK_EQUAL(event_del_block(&ev), -1);
	CHECK_EQUAL(event_del_noblock(&ev), -1);
	CHECK_EQUAL(event_add(&ev, NULL), -1);
	CHECK_EQUAL(event_pending(&ev, EV_READ | EV_TIMEOUT, NULL), 0);
	event_active(&ev, EV_READ, 1);
	CHECK_EQUAL(event_remove_timer(&ev), -1);
	CHECK_EQUAL(FLAGS(&ev), 0);
}

CASE(events_without_a_base, EVERY_BACKEND)
{
	struct timeval tv = {1, 0};
	struct event_base *base;
	struct event ev;
	log_to_stdout();
	CHECK_EQUAL(event_assign(&ev, NULL, -1, 0, print_state_inside, &ev), 0);
	CHECK(!event_get_base(&ev));
	CHECK(!ev.ev_base);
	CHECK_EQUAL(event_add(&ev, &tv), -1);
	CHECK_EQUAL(event_del(&ev), -1);
	event_active(&ev, EV_READ, 1);
	CHECK_EQUAL(event_remove_timer(&ev), -1);
	CHECK_EQUAL(event_pending(&ev, EV_TIMEOUT, &tv), 0);
	CHECK_EQUAL(tv.tv_sec, 1);
	printf("0x%02x\n", FLAGS(&ev));
	base = new_base();
	CHECK_EQUAL(event_base_set(base, &ev), 0);
	CHECK_EQUAL(add_timed(&ev, 0), 0);
	event_base_dispatch(base);
	event_base_free(base);
}

CASE(idle_events_move, EVERY_BACKEND | OWN_DEBUG_MODE)
{
	struct event_base *base = new_base();
	struct event *first = malloc(sizeof *first), *second = malloc(sizeof *second);
	int ends[2];
	make_pipe(ends);
	put_byte(ends[1]);
	event_assign(first, base, ends[0], EV_READ, print_call, "moved");
	CHECK_EQUAL(event_add(first, NULL), 0);
	CHECK_EQUAL(event_del(first), 0);
	memcpy(second, first, sizeof *second);
	memset(first, 0xee, sizeof *first);
	free(first);
	CHECK_EQUAL(event_add(second, NULL), 0);
	event_base_dispatch(base);
	free(second);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

/* The fields that programs read and write. */
CASE(base_set_in_the_struct, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event ev;
	event_assign(&ev, NULL, -1, 0, print_call, "base written");
	ev.ev_evcallback.evcb_pri = 0;
	ev.ev_base = base;
	CHECK_EQUAL(add_timed(&ev, 0), 0);
	CHECK(event_get_base(&ev) == base);
	event_base_dispatch(base);
	CHECK(ev.ev_base == base);
	CHECK_EQUAL(event_del(&ev), 0);
	CHECK(ev.ev_base == base);
	log_to_stdout();
	ev.ev_base = NULL;
	CHECK_EQUAL(event_del(&ev), -1);
	event_base_free(base);
}

CASE(descriptor_written_while_idle, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event ev;
	int first[2], second[2];
	make_pipe(first);
	make_pipe(second);
	put_byte(second[1]);
	event_assign(&ev, base, first[0], EV_READ | EV_PERSIST, print_call, "descriptor written");
	CHECK_EQUAL(event_add(&ev, NULL), 0);
	poll_once(base);
	CHECK_EQUAL(event_del(&ev), 0);
	ev.ev_fd = second[0];
	CHECK_EQUAL(event_get_fd(&ev), second[0]);
	CHECK_EQUAL(event_add(&ev, NULL), 0);
	poll_once(base);
	CHECK_EQUAL(event_del(&ev), 0);
	event_base_free(base);
}

CASE(interest_written_while_idle, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event ev;
	int ends[2];
	make_socketpair(ends);
	put_byte(ends[1]);
	event_assign(&ev, base, ends[0], EV_READ, print_call, "interest written");
	CHECK_EQUAL(event_add(&ev, NULL), 0);
	CHECK_EQUAL(event_del(&ev), 0);
	ev.ev_events = EV_WRITE | EV_PERSIST;
	CHECK_EQUAL(event_get_events(&ev), EV_WRITE | EV_PERSIST);
	CHECK_EQUAL(event_add(&ev, NULL), 0);
	poll_once(base);
	poll_once(base);
	CHECK_EQUAL(event_del(&ev), 0);
	ev.ev_events &= ~EV_PERSIST;
	ev.ev_events |= EV_READ;
	CHECK_EQUAL(event_add(&ev, NULL), 0);
	poll_once(base);
	CHECK_EQUAL(event_pending(&ev, EV_READ | EV_WRITE, NULL), 0);
	event_base_free(base);
}

static void
switch_interest(evutil_socket_t fd, short what, void *arg)
{
	struct event *ev = arg;
	(void)fd;
	printf("%s\n", flag_names(what));
	if (what & EV_READ) {
		ev->ev_events = EV_WRITE;
		CHECK_EQUAL(event_add(ev, NULL), 0);
	}
}

CASE(interest_written_in_the_callback, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event ev;
	int ends[2];
	make_socketpair(ends);
	put_byte(ends[1]);
	event_assign(&ev, base, ends[0], EV_READ, switch_interest, &ev);
	CHECK_EQUAL(event_add(&ev, NULL), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

CASE(callback_and_argument_written_while_pending, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event ev;
	int ends[2];
	make_pipe(ends);
	put_byte(ends[1]);
	event_assign(&ev, base, ends[0], EV_READ | EV_PERSIST, NULL, NULL);
	CHECK_EQUAL(event_add(&ev, NULL), 0);
	ev.ev_evcallback.evcb_cb_union.evcb_callback = print_call;
	ev.ev_evcallback.evcb_arg = "written while pending";
	poll_once(base);
	event_active(&ev, EV_WRITE, 1);
	ev.ev_evcallback.evcb_arg = "written while active";
	poll_once(base);
	CHECK(event_get_callback(&ev) == print_call);
	CHECK_STRING(event_get_callback_arg(&ev), "written while active");
	CHECK_EQUAL(event_del(&ev), 0);
	event_base_free(base);
}

static void
take_and_print(evutil_socket_t fd, short what, void *name)
{
	take_byte(fd);
	print_call(fd, what, name);
}

CASE(internal_written_before_adding, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event reader, timer;
	int ends[2];
	make_pipe(ends);
	event_assign(&reader, base, ends[0], EV_READ | EV_PERSIST, take_and_print, "internal reader");
	event_assign(&timer, base, -1, EV_PERSIST, print_call, "internal timer");
	FLAGS(&reader) |= EVLIST_INTERNAL;
	FLAGS(&timer) |= EVLIST_INTERNAL;
	CHECK_EQUAL(event_add(&reader, NULL), 0);
	CHECK_EQUAL(add_timed(&timer, 3600000), 0);
	printf("0x%02x 0x%02x\n", FLAGS(&reader), FLAGS(&timer));
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	put_byte(ends[1]);
	run_for(base, 50);
	printf("0x%02x\n", FLAGS(&reader));
	CHECK_EQUAL(event_del(&reader), 0);
	CHECK_EQUAL(event_del(&timer), 0);
	printf("0x%02x 0x%02x\n", FLAGS(&reader), FLAGS(&timer));
	CHECK_EQUAL(event_base_set(base, &reader), -1);
	event_base_free(base);
}

CASE(deadline_in_the_struct, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct timeval now, left;
	struct event ev;
	event_assign(&ev, base, -1, 0, print_call, "");
	CHECK_EQUAL(add_timed(&ev, 5000), 0);
	CHECK_EQUAL(event_gettime_monotonic(base, &now), 0);
	evutil_timersub(&ev.ev_timeout, &now, &left);
	CHECK(left.tv_sec == 4 || left.tv_sec == 5);
	CHECK_EQUAL(event_del(&ev), 0);
	event_base_free(base);
}

static void
compare_result(evutil_socket_t fd, short what, void *arg)
{
	struct event *ev = arg;
	(void)fd;
	printf("called with 0x%04x, ev_res 0x%04x\n", (unsigned short)what, (unsigned short)ev->ev_res);
}

CASE(result_is_the_flags_of_the_call, EVERY_BACKEND)
{
	static const int results[] = {0, EV_READ, EV_TIMEOUT | EV_WRITE, EV_SIGNAL, 0x7fff, -1, 0x12345};
	struct event_base *base = new_base();
	struct event ev;
	size_t i;
	event_assign(&ev, base, -1, EV_READ, compare_result, &ev);
	for (i = 0; i < sizeof results / sizeof results[0]; i++) {
		event_active(&ev, results[i], 1);
		printf("pending %s\n", flag_names(event_pending(&ev, 0x7fff, NULL)));
		poll_once(base);
	}
	event_base_free(base);
}

DIFFERENCE(interest_written_while_pending, EVERY_BACKEND,
	   "a program that changes ev_events or ev_fd of a pending event is aborted when it deletes the event")
{
	struct event_base *base = new_base();
	struct event ev;
	int ends[2], others[2];
	make_socketpair(ends);
	make_socketpair(others);
	event_assign(&ev, base, ends[0], EV_READ | EV_PERSIST, print_call, "changed");
	CHECK_EQUAL(event_add(&ev, NULL), 0);
	ev.ev_events = EV_WRITE | EV_PERSIST;
	CHECK_EQUAL(event_del(&ev), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	ev.ev_events = EV_READ | EV_PERSIST;
	CHECK_EQUAL(event_add(&ev, NULL), 0);
	ev.ev_fd = others[0];
	CHECK_EQUAL(event_del(&ev), 0);
	ev.ev_fd = ends[0];
	put_byte(ends[1]);
	CHECK_EQUAL(event_add(&ev, NULL), 0);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	CHECK_EQUAL(ev.ev_res, EV_READ);
	CHECK_EQUAL(event_del(&ev), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}
