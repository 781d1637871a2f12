/* event_base_once: an event that the library owns. */
#define _GNU_SOURCE
#include "trace.h"

#include <event2/thread.h>

CASE(what_it_accepts, EVERY_BACKEND)
{
	static const short interests[] = {0, EV_TIMEOUT, EV_READ, EV_WRITE, EV_CLOSED, EV_SIGNAL, EV_PERSIST, EV_ET,
					  EV_TIMEOUT | EV_READ, EV_READ | EV_WRITE, EV_READ | EV_PERSIST,
					  EV_TIMEOUT | EV_PERSIST, EV_TIMEOUT | EV_SIGNAL, EV_READ | EV_ET,
					  EV_TIMEOUT | EV_ET, EV_FINALIZE, EV_FINALIZE | EV_READ};
	struct event_base *base = new_base();
	int ends[2], timed;
	size_t i;
	make_socketpair(ends);
	put_byte(ends[1]);
	log_to_stdout();
	for (timed = 0; timed < 2; timed++) {
		struct timeval tv = {3600, 0};
		for (i = 0; i < sizeof interests / sizeof interests[0]; i++) {
			printf("%s%s: %d\n", flag_names(interests[i]), timed ? ", timed" : "",
			       event_base_once(base, ends[0], interests[i], print_call, "called", timed ? &tv : NULL));
			poll_once(base);
		}
	}
	printf("still there: %d\n", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	CHECK_EQUAL(event_base_once(NULL, ends[0], EV_READ, print_call, "called", NULL), -1);
	event_base_free(base);
}

CASE(timeout_of_once, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct timeval soon = {0, 5000}, zero = {0, 0};
	int ends[2];
	make_pipe(ends);
	CHECK_EQUAL(event_base_once(base, ends[0], EV_READ | EV_TIMEOUT, print_call, "reader", &soon), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(event_base_once(base, ends[0], EV_READ, print_call, "reader, zero", &zero), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, print_call, "timer", &soon), 0);
	CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, print_call, "timer, zero", &zero), 0);
	CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, print_call, "timer, none", NULL), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

static void
count_down(evutil_socket_t fd, short what, void *left)
{
	(void)fd;
	CHECK_EQUAL(what, EV_TIMEOUT);
	--*(int *)left;
}

static struct event_base *chain_base;
static int chain_writer;

static void
chain(evutil_socket_t fd, short what, void *arg)
{
	int *left = arg;
	(void)fd;
	printf("%d: %s\n", *left, flag_names(what));
	if (chain_writer)
		put_byte(chain_writer);
	if ((*left)-- > 0)
		CHECK_EQUAL(event_base_once(chain_base, -1, EV_TIMEOUT, chain, left, NULL), 0);
}

CASE(once_from_once_runs_in_the_same_pass, EVERY_BACKEND)
{
	struct event *reader;
	int left = 3, ends[2];
	chain_base = new_base();
	make_pipe(ends);
	chain_writer = ends[1];
	reader = added_event(chain_base, ends[0], EV_READ, "reader");
	CHECK_EQUAL(event_base_once(chain_base, -1, EV_TIMEOUT, chain, &left, NULL), 0);
	CHECK_EQUAL(event_base_dispatch(chain_base), 1);
	event_free(reader);
	event_base_free(chain_base);
}

CASE(many_at_once, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	int i, left = 50;
	for (i = 0; i < 50; i++)
		CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, count_down, &left, NULL), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE), 50);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(left, 0);
	event_base_free(base);
}

CASE(never_called, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct timeval tv = {3600, 0};
	int ends[2];
	make_pipe(ends);
	CHECK_EQUAL(event_base_once(base, ends[0], EV_READ, print_call, "reader", NULL), 0);
	CHECK_EQUAL(event_base_once(base, ends[0], EV_READ, print_call, "reader", &tv), 0);
	CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, print_call, "timer", &tv), 0);
	CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, print_call, "active", NULL), 0);
	printf("%d\n", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	event_base_free(base);
	close(ends[0]);
	close(ends[1]);
}

CASE(refused_by_the_kernel, EVERY_BACKEND | OWN_LOCKS | OWN_DEBUG_MODE)
{
	struct event_base *base = new_base();
	log_to_stdout();
	if (uses_method(base, "epoll") && !uses_changelist(base))
		CHECK_EQUAL(event_base_once(base, 100, EV_READ, print_call, "closed descriptor", NULL), -1);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

DIFFERENCE(refused_by_the_kernel_without_a_lock_left, ONE_BACKEND | OWN_LOCKS | OWN_DEBUG_MODE,
	   "event_base_once keeps the base locked when the kernel refuses its descriptor: every other thread hangs")
{
	struct event_base *base;
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	base = new_base();
	CHECK_EQUAL(event_base_once(base, 100, EV_READ, print_call, "closed descriptor", NULL), -1);
	alarm(30);
	CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, print_call, "works", NULL), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}
