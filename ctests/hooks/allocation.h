/* What the tests of failing allocations share: a scenario in which each allocation of one step fails
 * in turn, and what such scenarios begin with, do and end with. */
#ifndef CTESTS_HOOKS_ALLOCATION_H
#define CTESTS_HOOKS_ALLOCATION_H

#include "allocator.h"

#include <event2/event_struct.h>
#include <event2/thread.h>

/* Blocks are counted, so nothing may be allocated before the case begins. */
#define OWN (OWN_DEBUG_MODE | OWN_LOCKS)

static struct event_base *base;
static struct event *ev __attribute__((unused));
static const struct timeval hour __attribute__((unused)) = {3600, 0};
static const struct timeval *timeout __attribute__((unused));
static int descriptor __attribute__((unused)), ends[2] __attribute__((unused)), calls __attribute__((unused));

ALLOCATOR_ void
count_event(evutil_socket_t fd, short what, void *count)
{
	if ((what & EV_READ) && fd >= 0)
		take_byte(fd);
	++*(int *)count;
}

ALLOCATOR_ void
ignore_message(int severity, const char *message)
{
	(void)severity;
	(void)message;
}

ALLOCATOR_ void
begin(void)
{
	allocator_install();
	event_set_log_callback(ignore_message);
}

struct scenario {
	void (*prepare)(void);
	int (*attempt)(void); /* whether it succeeded */
	void (*verify)(void); /* that what succeeded works */
	void (*finish)(void);
};

/* Runs the scenario with the n-th allocation of the attempt failing, for n from 1 until none
 * fails. What failed has changed nothing that can be seen, and succeeds when repeated; in the end
 * every block and descriptor is back. With fail_on all later allocations fail too. */
ALLOCATOR_ void
fail_each_allocation(const struct scenario *scenario, int fail_on)
{
	long n, alive = allocator.alive, failed;
	int added, active, priorities, succeeded, descriptors = open_descriptors();

	for (n = 1, failed = 1; failed; n++) {
		CHECK(n < 500);
		scenario->prepare();
		added = event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED);
		active = event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE);
		priorities = event_base_get_npriorities(base);
		allocator.fail_on = fail_on;
		allocator_fail_at(n);
		succeeded = scenario->attempt();
		failed = allocator.failed;
		allocator_fail_at(0);
		CHECK(succeeded || failed);
		if (!succeeded) {
			CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), added);
			CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE), active);
			CHECK_EQUAL(event_base_get_npriorities(base), priorities);
			CHECK(scenario->attempt());
		}
		scenario->verify();
		scenario->finish();
		CHECK_EQUAL(allocator.alive, alive);
		CHECK_EQUAL(open_descriptors(), descriptors);
	}
}

ALLOCATOR_ void
run_scenario(void (*prepare)(void), int (*attempt)(void), void (*verify)(void), void (*finish)(void))
{
	struct scenario scenario = {prepare, attempt, verify, finish};

	begin();
	fail_each_allocation(&scenario, 0);
	fail_each_allocation(&scenario, 1);
	libevent_global_shutdown();
	CHECK_EQUAL(allocator.alive, 0);
}

/* The base and what is in it, the attempt, the proof, the end. */

ALLOCATOR_ void
fresh_base(void)
{
	base = event_base_new();
	CHECK(base);
	make_pipe(ends);
	descriptor = ends[0];
	timeout = NULL;
	calls = 0;
}

ALLOCATOR_ void
done(void)
{
	if (ev)
		event_free(ev);
	ev = NULL;
	event_base_free(base);
	if (descriptor != ends[0])
		close(descriptor);
	close(ends[0]);
	close(ends[1]);
}

ALLOCATOR_ void
base_with_a_reader(void)
{
	fresh_base();
	ev = event_new(base, descriptor, EV_READ | EV_PERSIST, count_event, &calls);
}

ALLOCATOR_ int
add_event(void)
{
	int result = event_add(ev, timeout);

	if (result != 0)
		CHECK_EQUAL(event_pending(ev, EV_READ | EV_SIGNAL | EV_TIMEOUT, NULL), 0);
	return result == 0;
}

ALLOCATOR_ void
reader_is_called(void)
{
	put_byte(ends[1]);
	event_base_loop(base, EVLOOP_ONCE);
	CHECK_EQUAL(calls, 1);
	CHECK_EQUAL(event_pending(ev, EV_READ | EV_TIMEOUT, NULL), EV_READ | (timeout ? EV_TIMEOUT : 0));
}

#endif
