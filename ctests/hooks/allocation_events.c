/* Every allocation for an event may fail: the documented error, nothing lost, nothing changed. */
#include "allocation.h"

#include <signal.h>

static void
base_with_a_reader_on_a_large_number(void)
{
	fresh_base();
	descriptor = fcntl(ends[0], F_DUPFD, 900);
	ev = event_new(base, descriptor, EV_READ | EV_PERSIST, count_event, &calls);
}

static void
base_with_a_reader_with_timeout(void)
{
	base_with_a_reader();
	timeout = &hour;
}

static void
base_with_a_signal_event(void)
{
	fresh_base();
	ev = evsignal_new(base, SIGUSR1, count_event, &calls);
}

static void
base_with_a_signal_event_with_timeout(void)
{
	base_with_a_signal_event();
	timeout = &hour;
}

static void
base_with_a_timer(void)
{
	fresh_base();
	ev = evtimer_new(base, count_event, &calls);
	timeout = &hour;
}

static void
signal_is_called(void)
{
	raise(SIGUSR1);
	event_base_loop(base, EVLOOP_ONCE);
	CHECK_EQUAL(calls, 1);
}

static void
is_pending(void)
{
	CHECK_EQUAL(event_pending(ev, EV_TIMEOUT, NULL), EV_TIMEOUT);
}

CASE(add_of_a_descriptor, EVERY_BACKEND | OWN)
{
	run_scenario(base_with_a_reader, add_event, reader_is_called, done);
}

CASE(add_of_a_large_descriptor, EVERY_BACKEND | OWN)
{
	run_scenario(base_with_a_reader_on_a_large_number, add_event, reader_is_called, done);
}

CASE(add_of_a_descriptor_with_timeout, EVERY_BACKEND | OWN)
{
	run_scenario(base_with_a_reader_with_timeout, add_event, reader_is_called, done);
}

CASE(add_of_a_timer, ONE_BACKEND | OWN)
{
	run_scenario(base_with_a_timer, add_event, is_pending, done);
}

/* The disposition must be the program's own again after a failure. */
static int
add_signal_event(void)
{
	struct sigaction action;

	if (add_event())
		return 1;
	CHECK(sigaction(SIGUSR1, NULL, &action) == 0);
	CHECK(action.sa_handler == SIG_DFL);
	return 0;
}

DIFFERENCE(add_of_a_signal, EVERY_BACKEND | OWN,
	"a failed event_add of a signal leaks and leaves the library's handler installed")
{
	run_scenario(base_with_a_signal_event, add_signal_event, signal_is_called, done);
	run_scenario(base_with_a_signal_event_with_timeout, add_signal_event, signal_is_called, done);
}

static int
make_event(void)
{
	ev = event_new(base, descriptor, EV_READ | EV_PERSIST, count_event, &calls);
	return ev != NULL;
}

static void
new_reader_is_called(void)
{
	CHECK(add_event());
	reader_is_called();
}

CASE(creation_of_an_event, ONE_BACKEND | OWN)
{
	run_scenario(fresh_base, make_event, new_reader_is_called, done);
}

/* Many timers, so that the heap grows; a failed one is not pending, the others all run. */
enum { TIMERS = 100 };

static struct event timers[TIMERS];

static int
add_many_timers(void)
{
	int i, all = 1;

	for (i = 0; i < TIMERS; i++) {
		if (event_pending(&timers[i], EV_TIMEOUT, NULL))
			continue;
		if (event_add(&timers[i], &(struct timeval){0, i % 7}) != 0)
			all = 0;
		else
			CHECK(event_pending(&timers[i], EV_TIMEOUT, NULL));
	}
	if (!all) {
		for (i = 0; i < TIMERS; i++)
			event_del(&timers[i]);
	}
	return all;
}

static void
base_for_many_timers(void)
{
	int i;

	fresh_base();
	for (i = 0; i < TIMERS; i++)
		evtimer_assign(&timers[i], base, count_event, &calls);
}

static void
all_timers_run(void)
{
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(calls, TIMERS);
}

CASE(add_of_many_timers, ONE_BACKEND | OWN)
{
	run_scenario(base_for_many_timers, add_many_timers, all_timers_run, done);
}

static int
once_reader(void)
{
	return event_base_once(base, descriptor, EV_READ, count_event, &calls, timeout) == 0;
}

static int
once_at_once(void)
{
	return event_base_once(base, -1, EV_TIMEOUT, count_event, &calls, NULL) == 0;
}

static int
once_later(void)
{
	return event_base_once(base, -1, EV_TIMEOUT, count_event, &calls, &(struct timeval){0, 1}) == 0;
}

static void
once_is_called(void)
{
	put_byte(ends[1]);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(calls, 1);
}

CASE(event_base_once_on_a_descriptor, EVERY_BACKEND | OWN)
{
	run_scenario(fresh_base, once_reader, once_is_called, done);
}

CASE(event_base_once_as_timer, ONE_BACKEND | OWN)
{
	run_scenario(fresh_base, once_at_once, once_is_called, done);
	run_scenario(fresh_base, once_later, once_is_called, done);
}

DIFFERENCE(event_base_once_unlocks_when_it_fails, ONE_BACKEND | OWN,
	"event_base_once that fails for lack of memory leaves the base locked: every other thread hangs")
{
	alarm(30);
	allocator_install();
	CHECK(evthread_use_pthreads() == 0);
	run_scenario(fresh_base, once_reader, once_is_called, done);
}

static int
exit_at_once(void)
{
	return event_base_loopexit(base, NULL) == 0;
}

static int
exit_later(void)
{
	return event_base_loopexit(base, &(struct timeval){0, 1}) == 0;
}

static void
loop_exits(void)
{
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY), 0);
}

CASE(loopexit, ONE_BACKEND | OWN)
{
	run_scenario(fresh_base, exit_at_once, loop_exits, done);
	run_scenario(fresh_base, exit_later, loop_exits, done);
}

static int
common_timeout(void)
{
	timeout = event_base_init_common_timeout(base, &(struct timeval){0, 1000});
	return timeout != NULL;
}

static void
common_timeout_is_called(void)
{
	ev = evtimer_new(base, count_event, &calls);
	CHECK(event_add(ev, timeout) == 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(calls, 1);
}

CASE(creation_of_a_common_timeout, ONE_BACKEND | OWN)
{
	run_scenario(fresh_base, common_timeout, common_timeout_is_called, done);
}

/* Enough common timeouts that the table of them grows while one of them is in use. */
static int
many_common_timeouts(void)
{
	const struct timeval *one, *same;
	int i;

	for (i = 0; i < 40; i++) {
		one = event_base_init_common_timeout(base, &(struct timeval){10, i});
		if (!one)
			return 0;
		same = event_base_init_common_timeout(base, &(struct timeval){10, i});
		CHECK(same == one);
	}
	return 1;
}

static void
base_with_a_common_timeout_in_use(void)
{
	base_with_a_timer();
	CHECK(common_timeout());
	event_add(ev, timeout);
}

static void
common_timeout_still_works(void)
{
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(calls, 1);
}

CASE(creation_of_many_common_timeouts, ONE_BACKEND | OWN)
{
	run_scenario(base_with_a_common_timeout_in_use, many_common_timeouts, common_timeout_still_works, done);
}

static void
base_with_a_timer_and_a_common_timeout(void)
{
	base_with_a_timer();
	CHECK(common_timeout());
}

CASE(add_with_a_common_timeout, ONE_BACKEND | OWN)
{
	run_scenario(base_with_a_timer_and_a_common_timeout, add_event, common_timeout_still_works, done);
}

/* Lack of memory at most makes the loop slower. */
enum { READERS = 60 };

static struct event readers[READERS];
static int reader_ends[READERS][2];

static void
base_with_many_ready_readers(void)
{
	int i;

	fresh_base();
	for (i = 0; i < READERS; i++) {
		make_pipe(reader_ends[i]);
		event_assign(&readers[i], base, reader_ends[i][0], EV_READ, count_event, &calls);
		CHECK(event_add(&readers[i], NULL) == 0);
		put_byte(reader_ends[i][1]);
	}
}

static int
loop_until_empty(void)
{
	return event_base_dispatch(base) == 1;
}

static void
all_readers_ran(void)
{
	CHECK_EQUAL(calls, READERS);
}

static void
close_many_readers(void)
{
	int i;

	for (i = 0; i < READERS; i++) {
		close(reader_ends[i][0]);
		close(reader_ends[i][1]);
	}
	done();
}

CASE(loop_with_many_ready_descriptors, EVERY_BACKEND | OWN)
{
	run_scenario(base_with_many_ready_readers, loop_until_empty, all_readers_ran, close_many_readers);
}
