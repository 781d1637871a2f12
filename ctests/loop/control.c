/* Running the loop: its flags and results, exit, break and continue, loops within loops. */
#define _GNU_SOURCE
#include "trace.h"

#include <signal.h>

static void
print_end(const char *label, struct event_base *base, int result)
{
	printf("%s: %d, exit %d, break %d\n", label, result, event_base_got_exit(base), event_base_got_break(base));
}

static void
print_loop(const char *label, struct event_base *base, int flags)
{
	print_end(label, base, event_base_loop(base, flags));
}

CASE(empty_bases, EVERY_BACKEND)
{
	static const int flags[] = {0, EVLOOP_ONCE, EVLOOP_NONBLOCK, EVLOOP_ONCE | EVLOOP_NONBLOCK,
				    EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY,
				    EVLOOP_ONCE | EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY};
	struct event_base *base = new_base();
	size_t i;
	for (i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		printf("flags %d: ", flags[i]);
		print_loop("", base, flags[i]);
	}
	event_base_free(base);
}

CASE(nothing_ready, EVERY_BACKEND)
{
	static const int flags[] = {EVLOOP_NONBLOCK, EVLOOP_ONCE | EVLOOP_NONBLOCK,
				    EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY};
	struct event_base *base = new_base();
	struct event *ev = named_event(base, -1, EV_READ, "never");
	size_t i;
	CHECK_EQUAL(event_add(ev, NULL), 0);
	for (i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		printf("flags %d: ", flags[i]);
		print_loop("", base, flags[i]);
	}
	event_free(ev);
	event_base_free(base);
}

CASE(once_waits_for_something, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *first = named_event(base, -1, 0, "first"), *second = named_event(base, -1, 0, "second");
	CHECK_EQUAL(add_timed(first, 5), 0);
	CHECK_EQUAL(add_timed(second, 3600000), 0);
	print_loop("once", base, EVLOOP_ONCE);
	CHECK_EQUAL(add_timed(second, 5), 0);
	print_loop("once", base, EVLOOP_ONCE);
	print_loop("once", base, EVLOOP_ONCE);
	event_free(first);
	event_free(second);
	event_base_free(base);
}

CASE(once_runs_all_that_is_active, EVERY_BACKEND)
{
	static const char *const names[] = {"0", "1", "2"};
	struct event_base *base = new_base();
	struct event *events[3], *reader;
	int ends[2], i;
	make_pipe(ends);
	put_byte(ends[1]);
	CHECK_EQUAL(event_base_priority_init(base, 3), 0);
	reader = added_event_at(base, ends[0], EV_READ | EV_PERSIST, "reader", 2);
	for (i = 0; i < 3; i++) {
		events[i] = named_event_at(base, -1, 0, names[i], i);
		event_active(events[i], EV_READ, 1);
	}
	print_loop("once", base, EVLOOP_ONCE);
	for (i = 0; i < 3; i++)
		event_active(events[i], EV_WRITE, 1);
	print_loop("once, non-blocking", base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	for (i = 0; i < 3; i++)
		event_free(events[i]);
	event_free(reader);
	event_base_free(base);
}

static int nonblocking_calls;

static void
stop_after_some(evutil_socket_t fd, short what, void *base)
{
	(void)fd;
	(void)what;
	if (++nonblocking_calls == 1000)
		CHECK_EQUAL(event_base_loopbreak(base), 0);
}

CASE(nonblocking_repeats_while_something_is_ready, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_pipe(ends);
	put_byte(ends[1]);
	ev = event_new(base, ends[0], EV_READ | EV_PERSIST, stop_after_some, base);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	print_loop("non-blocking", base, EVLOOP_NONBLOCK);
	printf("%d calls\n", nonblocking_calls);
	event_free(ev);
	event_base_free(base);
}

CASE(staying_although_empty, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct timeval tv = {0, 5000};
	CHECK_EQUAL(event_base_loopexit(base, &tv), 0);
	print_loop("exit by a timer", base, EVLOOP_NO_EXIT_ON_EMPTY);
	CHECK_EQUAL(event_base_loopexit(base, NULL), 0);
	print_loop("exit before", base, EVLOOP_NO_EXIT_ON_EMPTY);
	CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, print_call, "once", &tv), 0);
	print_loop("once", base, EVLOOP_NO_EXIT_ON_EMPTY | EVLOOP_ONCE);
	event_base_free(base);
}

CASE(the_loop_ends_when_nothing_is_left, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	int i;
	for (i = 0; i < 3; i++) {
		CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, print_call, "once", NULL), 0);
		print_end("dispatch", base, event_base_dispatch(base));
	}
	event_base_free(base);
}

/* Exit, break, continue. */
static struct event_base *running;

static void
call_exit(evutil_socket_t fd, short what, void *name)
{
	print_call(fd, what, name);
	CHECK_EQUAL(event_base_loopexit(running, NULL), 0);
	print_end("after loopexit", running, 0);
}

static void
call_break(evutil_socket_t fd, short what, void *name)
{
	print_call(fd, what, name);
	CHECK_EQUAL(event_base_loopbreak(running), 0);
	print_end("after loopbreak", running, 0);
}

static void
call_continue(evutil_socket_t fd, short what, void *name)
{
	print_call(fd, what, name);
	CHECK_EQUAL(event_base_loopcontinue(running), 0);
}

static void
count_pass(evutil_socket_t fd, short what, void *name)
{
	(void)name;
	take_byte(fd);
	(void)what;

	printf("polled\n");
}

/* Six callbacks at two priorities; the second of the first three does something to the loop. A
 * reader shows when the descriptors are polled. */
static void
play(event_callback_fn act, int flags, const char *label)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
	struct event *events[6], *reader;
	int ends[2], i;
	running = new_base();
	make_pipe(ends);
	CHECK_EQUAL(event_base_priority_init(running, 3), 0);
	reader = event_new(running, ends[0], EV_READ, count_pass, NULL);
	CHECK_EQUAL(event_priority_set(reader, 0), 0);
	CHECK_EQUAL(event_add(reader, NULL), 0);
	for (i = 0; i < 6; i++) {
		events[i] = event_new(running, -1, 0, i == 1 ? act : print_call, (void *)names[i]);
		CHECK_EQUAL(event_priority_set(events[i], i < 3 ? 1 : 2), 0);
		event_active(events[i], EV_READ, 1);
	}
	printf("%s\n", label);
	put_byte(ends[1]);
	print_loop("first loop", running, flags);
	printf("active %d\n", event_base_get_num_events(running, EVENT_BASE_COUNT_ACTIVE));
	print_loop("second loop", running, flags);
	for (i = 0; i < 6; i++)
		event_free(events[i]);
	event_free(reader);
	event_base_free(running);
	close(ends[0]);
	close(ends[1]);
}

CASE(exit_from_a_callback, EVERY_BACKEND)
{
	play(call_exit, 0, "dispatch");
	play(call_exit, EVLOOP_ONCE, "once");
	play(call_exit, EVLOOP_NONBLOCK, "non-blocking");
	play(call_exit, EVLOOP_ONCE | EVLOOP_NONBLOCK, "once, non-blocking");
}

CASE(break_from_a_callback, EVERY_BACKEND)
{
	play(call_break, 0, "dispatch");
	play(call_break, EVLOOP_ONCE, "once");
	play(call_break, EVLOOP_NONBLOCK, "non-blocking");
	play(call_break, EVLOOP_ONCE | EVLOOP_NONBLOCK, "once, non-blocking");
}

CASE(continue_from_a_callback, EVERY_BACKEND)
{
	play(call_continue, 0, "dispatch");
	play(call_continue, EVLOOP_ONCE, "once");
	play(call_continue, EVLOOP_NONBLOCK, "non-blocking");
	play(call_continue, EVLOOP_ONCE | EVLOOP_NONBLOCK, "once, non-blocking");
}

CASE(exit_before_the_loop, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *first = named_event(base, -1, 0, "first"), *timer = named_event(base, -1, 0, "timer");
	event_active(first, EV_READ, 1);
	CHECK_EQUAL(add_timed(timer, 3600000), 0);
	CHECK_EQUAL(event_base_loopexit(base, NULL), 0);
	print_loop("first", base, 0);
	CHECK_EQUAL(event_base_loopexit(base, NULL), 0);
	print_loop("second", base, 0);
	event_free(first);
	event_free(timer);
	event_base_free(base);
}

CASE(break_and_continue_before_the_loop, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev = named_event(base, -1, 0, "called");
	CHECK_EQUAL(event_base_loopbreak(base), 0);
	print_end("set", base, 0);
	event_active(ev, EV_READ, 1);
	print_loop("break", base, 0);
	CHECK_EQUAL(event_base_loopcontinue(base), 0);
	event_active(ev, EV_READ, 1);
	print_loop("continue", base, 0);
	event_free(ev);
	event_base_free(base);
}

CASE(exit_after_a_time, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct timeval soon = {0, 5000}, zero = {0, 0};
	CHECK_EQUAL(event_base_loopexit(base, &soon), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 1);
	print_loop("soon", base, 0);
	CHECK_EQUAL(event_base_loopexit(base, &zero), 0);
	print_loop("zero", base, 0);
	print_loop("nothing left", base, 0);
	event_base_free(base);
}

CASE(an_exit_survives_an_earlier_return, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev = named_event(base, -1, EV_READ, "called");
	struct timeval soon = {0, 150000};
	CHECK_EQUAL(event_add(ev, NULL), 0);
	CHECK_EQUAL(event_base_loopexit(base, &soon), 0);
	event_active(ev, EV_READ, 1);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	print_loop("once", base, EVLOOP_ONCE);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	print_loop("until the exit", base, 0);
	event_free(ev);
	event_base_free(base);
}

CASE(exit_from_the_last_event, EVERY_BACKEND)
{
	running = new_base();
	CHECK_EQUAL(event_base_once(running, -1, EV_TIMEOUT, call_exit, "last", NULL), 0);
	print_loop("loop", running, 0);
	print_loop("again", running, 0);
	CHECK_EQUAL(event_base_once(running, -1, EV_TIMEOUT, call_break, "last", NULL), 0);
	print_loop("loop", running, 0);
	print_loop("again", running, 0);
	event_base_free(running);
}

CASE(exit_from_a_less_urgent_callback, EVERY_BACKEND)
{
	struct event *exiting, *next;
	running = new_base();
	CHECK_EQUAL(event_base_priority_init(running, 4), 0);
	exiting = event_new(running, -1, 0, call_exit, "exiting");
	CHECK_EQUAL(event_priority_set(exiting, 3), 0);
	next = named_event_at(running, -1, 0, "next", 3);
	event_active(exiting, EV_READ, 1);
	event_active(next, EV_READ, 1);
	print_loop("loop", running, 0);
	print_loop("again", running, 0);
	event_free(exiting);
	event_free(next);
	event_base_free(running);
}

CASE(without_a_base, ONE_BACKEND)
{
	struct timeval tv = {0, 0};
	log_to_stdout();
	CHECK_EQUAL(event_base_loopexit(NULL, &tv), -1);
	CHECK_EQUAL(event_base_loopexit(NULL, NULL), -1);
	CHECK_EQUAL(event_base_loopbreak(NULL), -1);
	CHECK_EQUAL(event_base_loopcontinue(NULL), -1);
}

DIFFERENCE(running_without_a_base, ONE_BACKEND,
	"event_base_loop and event_base_dispatch crash for NULL")
{
	CHECK_EQUAL(event_base_loop(NULL, 0), -1);
	CHECK_EQUAL(event_base_dispatch(NULL), -1);
}

DIFFERENCE(asking_without_a_base, ONE_BACKEND, "functions that query a base crash for NULL")
{
	CHECK_EQUAL(event_base_got_exit(NULL), 0);
	CHECK_EQUAL(event_base_got_break(NULL), 0);
	CHECK(event_base_get_num_events(NULL, EVENT_BASE_COUNT_ADDED) <= 0);
	CHECK(event_base_get_max_events(NULL, EVENT_BASE_COUNT_ADDED, 0) <= 0);
}

/* Loops in callbacks. */
static void
call_loop(evutil_socket_t fd, short what, void *base)
{
	(void)fd;
	(void)what;
	print_end("inner", base, event_base_loop(base, EVLOOP_NONBLOCK));
}

CASE(a_loop_in_its_own_callback_is_refused, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev = event_new(base, -1, 0, call_loop, base);
	log_to_stdout();
	event_active(ev, EV_READ, 1);
	print_loop("outer", base, 0);
	print_loop("outer", base, 0);
	event_free(ev);
	event_base_free(base);
}

CASE(a_loop_in_a_callback_of_another_base, EVERY_BACKEND)
{
	struct event_base *outer = new_base(), *inner = new_base();
	struct event *ev = event_new(outer, -1, 0, call_loop, inner);
	struct event *next = named_event(outer, -1, 0, "next");
	CHECK_EQUAL(event_base_once(inner, -1, EV_TIMEOUT, print_call, "once in the inner", NULL), 0);
	event_active(ev, EV_READ, 1);
	event_active(next, EV_READ, 1);
	print_loop("outer", outer, 0);
	event_free(ev);
	event_free(next);
	event_base_free(outer);
	event_base_free(inner);
}

/* Deleting the last event in a callback ends the loop. */
static void
delete_it(evutil_socket_t fd, short what, void *ev)
{
	(void)fd;
	(void)what;
	CHECK_EQUAL(event_del(ev), 0);
	printf("deleted\n");
}

CASE(deleting_the_last_event_ends_the_loop, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *last = named_event(base, -1, EV_READ, "last");
	struct event *timer = event_new(base, -1, 0, delete_it, last);
	CHECK_EQUAL(add_timed(last, 3600000), 0);
	CHECK_EQUAL(add_timed(timer, 5), 0);
	print_loop("loop", base, 0);
	event_free(last);
	event_free(timer);
	event_base_free(base);
}

/* A wait that is interrupted by a signal goes on. */
static void
ignore_signal(int number)
{
	(void)number;
}

CASE(interrupted_waits_continue, EVERY_BACKEND)
{
	struct sigaction action = {.sa_handler = ignore_signal};
	struct event_base *base = new_base();
	struct event *ev = named_event(base, -1, 0, "timer");
	pid_t child, parent = getpid();
	sigaction(12, &action, NULL);
	CHECK_EQUAL(add_timed(ev, 60), 0);
	child = fork();
	if (child == 0) {
		int i;
		for (i = 0; i < 5; i++) {
			pause_milliseconds(5);
			kill(parent, 12);
		}
		_exit(0);
	}
	print_loop("loop", base, EVLOOP_ONCE);
	signal(12, SIG_IGN);
	CHECK(waitpid(child, NULL, 0) == child);
	event_free(ev);
	event_base_free(base);
}

/* Closes the epoll descriptor of the base, which the program can find but should not touch. */
CASE(a_broken_mechanism_ends_the_loop, EPOLL_ONLY)
{
	struct event_base *base = new_base();
	struct event *ev = named_event(base, -1, EV_READ, "event");
	int fd, closed = 0;
	log_to_stdout();
	for (fd = 3; fd < 50; fd++) {
		char path[40], target[100] = "";
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		if (readlink(path, target, sizeof target - 1) > 0 && strstr(target, "eventpoll"))
			closed += close(fd) == 0;
	}
	CHECK_EQUAL(closed, 1);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	print_loop("loop", base, 0);
	print_loop("again", base, EVLOOP_NONBLOCK);
	event_free(ev);
	event_base_free(base);
}
