/* event_set_mem_functions: everything goes through it, everything comes back, and every allocation
 * may fail: the documented error, nothing lost, nothing changed. */
#include "allocator.h"

#include <event2/event_compat.h>
#include <event2/event_struct.h>
#include <event2/thread.h>
#include <signal.h>
#include <sys/wait.h>

/* Blocks are counted, so nothing may be allocated before the case begins. */
#define OWN (OWN_DEBUG_MODE | OWN_LOCKS)

static struct event_base *base;

static void
ignore_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

static void
count_event(evutil_socket_t fd, short what, void *count)
{
	if ((what & EV_READ) && fd >= 0)
		take_byte(fd);
	++*(int *)count;
}

static void
ignore_message(int severity, const char *message)
{
	(void)severity;
	(void)message;
}

static void
begin(void)
{
	allocator_install();
	event_set_log_callback(ignore_message);
}

/* --- Balance --- */

static void
use_everything(void)
{
	const struct timeval *common;
	struct event_config *config = event_config_new();
	struct event *events[40], *signal_event;
	static struct event finalized;
	int ends[40][2], i, count = 0;

	event_config_avoid_method(config, "nothing");
	event_config_avoid_method(config, "kqueue");
	event_config_set_max_dispatch_interval(config, NULL, 100, 1);
	base = event_base_new_with_config(config);
	event_config_free(config);
	CHECK(event_base_priority_init(base, 5) == 0);
	common = event_base_init_common_timeout(base, &(struct timeval){30, 0});
	for (i = 0; i < 40; i++) {
		make_pipe(ends[i]);
		events[i] = event_new(base, ends[i][0], EV_READ | (i % 2 ? EV_PERSIST : 0), count_event, &count);
		event_priority_set(events[i], i % 5);
		CHECK(event_add(events[i], i % 3 ? common : NULL) == 0);
		put_byte(ends[i][1]);
	}
	signal_event = evsignal_new(base, SIGUSR1, count_event, &count);
	CHECK(event_add(signal_event, &(struct timeval){60, 0}) == 0);
	raise(SIGUSR1);
	evtimer_assign(&finalized, base, ignore_event, NULL);
	event_base_once(base, -1, EV_TIMEOUT, count_event, &count, NULL);
	event_base_once(base, -1, EV_TIMEOUT, ignore_event, NULL, &(struct timeval){60, 0});
	event_base_loopexit(base, &(struct timeval){60, 0});
	for (i = 0; i < 10; i++)
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	CHECK(count >= 42);
	event_finalize(0, &finalized, NULL);
	event_base_loopbreak(base);
	event_reinit(base);
	for (i = 0; i < 40; i++) {
		event_free(events[i]);
		close(ends[i][0]);
		close(ends[i][1]);
	}
	event_free(signal_event);
	event_base_free_nofinalize(base);
}

CASE(every_block_comes_back, EVERY_BACKEND | OWN)
{
	begin();
	use_everything();
	libevent_global_shutdown();
	CHECK(allocator.made > 40);
	CHECK_EQUAL(allocator.alive, 0);
}

CASE(every_block_comes_back_with_locks, EVERY_BACKEND | OWN)
{
	begin();
	CHECK(evthread_use_pthreads() == 0);
	use_everything();
	libevent_global_shutdown();
	CHECK_EQUAL(allocator.alive, 0);
}

CASE(every_block_comes_back_with_lock_debugging, ONE_BACKEND | OWN)
{
	begin();
	evthread_enable_lock_debugging();
	CHECK(evthread_use_pthreads() == 0);
	use_everything();
	libevent_global_shutdown();
	CHECK_EQUAL(allocator.alive, 0);
}

CASE(every_block_comes_back_in_debug_mode, ONE_BACKEND | OWN)
{
	begin();
	event_enable_debug_mode();
	use_everything();
	libevent_global_shutdown();
	CHECK_EQUAL(allocator.alive, 0);
}

CASE(nothing_is_allocated_before_the_first_call, ONE_BACKEND | OWN)
{
	begin();
	CHECK_EQUAL(allocator.made, 0);
	event_get_version();
	event_set_fatal_callback(NULL);
	event_enable_debug_logging(EVENT_DBG_NONE);
	event_enable_debug_mode();
	libevent_global_shutdown();
	CHECK_EQUAL(allocator.made, 0);
}

CASE(idle_event_needs_no_memory, ONE_BACKEND | OWN)
{
	struct event ev;
	long made;

	begin();
	base = event_base_new();
	made = allocator.made;
	event_assign(&ev, base, 7, EV_READ | EV_PERSIST, ignore_event, NULL);
	event_assign(&ev, base, SIGUSR1, EV_SIGNAL, ignore_event, NULL);
	event_del(&ev);
	CHECK_EQUAL(allocator.made, made);
	event_base_free(base);
	libevent_global_shutdown();
	CHECK_EQUAL(allocator.alive, 0);
}

CASE(memory_hooks_can_be_taken_back, ONE_BACKEND | OWN)
{
	begin();
	base = event_base_new();
	event_base_free(base);
	libevent_global_shutdown();
	CHECK_EQUAL(allocator.alive, 0);
	allocator_fail_at(1);
	event_set_mem_functions(NULL, NULL, NULL);
	base = event_base_new();
	CHECK(base);
	CHECK_EQUAL(allocator.made, 0);
	event_base_free(base);
}

CASE(threads_allocate_at_once, EVERY_BACKEND | OWN)
{
	begin();
	CHECK(evthread_use_pthreads() == 0);
	base = event_base_new();
	event_base_free(base);
	CHECK_EQUAL(allocator.alive, 2);
	libevent_global_shutdown();
	CHECK_EQUAL(allocator.alive, 0);
}

/* --- Failure of each allocation in turn --- */

static struct event *ev;
static const struct timeval hour = {3600, 0};
static const struct timeval *timeout;
static int descriptor, ends[2], calls;

struct scenario {
	void (*prepare)(void);
	int (*attempt)(void); /* whether it succeeded */
	void (*verify)(void); /* that what succeeded works */
	void (*finish)(void);
};

/* Runs the scenario with the n-th allocation of the attempt failing, for n from 1 until none
 * fails. What failed has changed nothing that can be seen, and succeeds when repeated; in the end
 * every block and descriptor is back. With fail_on all later allocations fail too. */
static void
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

static void
run_scenario(void (*prepare)(void), int (*attempt)(void), void (*verify)(void), void (*finish)(void))
{
	struct scenario scenario = {prepare, attempt, verify, finish};

	begin();
	fail_each_allocation(&scenario, 0);
	fail_each_allocation(&scenario, 1);
	libevent_global_shutdown();
	CHECK_EQUAL(allocator.alive, 0);
}

static int
no_base_with(const struct event_config *config)
{
	long n, alive = allocator.alive, failed;
	int descriptors = open_descriptors();

	for (n = 1, failed = 1; failed; n++) {
		allocator_fail_at(n);
		base = event_base_new_with_config(config);
		failed = allocator.failed;
		allocator_fail_at(0);
		CHECK(base || failed);
		if (base) {
			CHECK_EQUAL(event_base_dispatch(base), 1);
			event_base_free(base);
		}
		CHECK_EQUAL(allocator.alive, alive);
		CHECK_EQUAL(open_descriptors(), descriptors);
	}
	return n > 2;
}

static int
no_base(void)
{
	struct event_config *config = event_config_new();
	int result = no_base_with(config);

	event_config_free(config);
	return result;
}

CASE(base_creation, EVERY_BACKEND | OWN)
{
	begin();
	allocator.fail_on = 1;
	CHECK(no_base());
	allocator.fail_on = 0;
	CHECK(no_base());
}

CASE(base_creation_with_locks, EVERY_BACKEND | OWN)
{
	begin();
	CHECK(evthread_use_pthreads() == 0);
	allocator.fail_on = 1;
	CHECK(no_base());
	allocator.fail_on = 0;
	CHECK(no_base());
	libevent_global_shutdown();
	CHECK_EQUAL(allocator.alive, 0);
}

CASE(base_creation_with_lock_debugging, EVERY_BACKEND | OWN)
{
	begin();
	evthread_enable_lock_debugging();
	CHECK(evthread_use_pthreads() == 0);
	allocator.fail_on = 1;
	CHECK(no_base());
	allocator.fail_on = 0;
	CHECK(no_base());
	libevent_global_shutdown();
	CHECK_EQUAL(allocator.alive, 0);
}

CASE(base_creation_with_each_flag, ONE_BACKEND | OWN)
{
	struct event_config *config;
	int flag;

	begin();
	CHECK(evthread_use_pthreads() == 0);
	for (flag = EVENT_BASE_FLAG_NOLOCK; flag <= EVENT_BASE_FLAG_PRECISE_TIMER; flag <<= 1) {
		config = event_config_new();
		CHECK(event_config_set_flag(config, flag) == 0);
		CHECK(event_config_set_max_dispatch_interval(config, &hour, 5, 1) == 0);
		CHECK(no_base_with(config));
		event_config_free(config);
	}
}

CASE(base_creation_with_each_method, ONE_BACKEND | OWN)
{
	static const char *const methods[] = {"epoll", "poll", "select"};
	struct event_config *config;
	int last, i;

	begin();
	for (last = 0; last < 3; last++) {
		config = event_config_new();
		for (i = 0; i < 3; i++) {
			if (i != last)
				CHECK(event_config_avoid_method(config, methods[i]) == 0);
		}
		CHECK(no_base_with(config));
		event_config_free(config);
	}
	CHECK_EQUAL(allocator.alive, 0);
}

/* Runs a function in a child whose n-th allocation fails, for n from 1 until none does. It may
 * return, or the process may end with an error; nothing else. */
static void
returns_or_ends(void (*function)(void))
{
	int n, status, ended = 0;

	for (n = 1, status = 1; status; n++) {
		CHECK(n < 500);
		if (fork() == 0) {
			allocator_fail_at(n);
			function();
			_exit(allocator.failed ? 2 : 0);
		}
		CHECK(wait(&status) > 0);
		CHECK(WIFEXITED(status));
		ended += WEXITSTATUS(status) == 1;
	}
	CHECK(ended > 0);
}

static void
make_legacy_base(void)
{
	base = event_init();
	CHECK(base);
}

/* The calls of the 1.4 interface have no way to report it: the process ends. */
CASE(creation_of_the_legacy_base, EVERY_BACKEND | OWN)
{
	begin();
	returns_or_ends(make_legacy_base);
}

static void
make_base_and_event(void)
{
	base = event_base_new();
	if (!base)
		return;
	ev = event_new(base, -1, 0, ignore_event, NULL);
	if (ev)
		event_free(ev);
	event_base_free(base);
}

/* Debug mode cannot do without its notes: the process ends. */
CASE(creation_in_debug_mode, EVERY_BACKEND | OWN)
{
	begin();
	event_enable_debug_mode();
	returns_or_ends(make_base_and_event);
}

CASE(configuration, ONE_BACKEND | OWN)
{
	struct event_config *config;
	long n, failed;

	begin();
	for (n = 1, failed = 1; failed; n++) {
		allocator_fail_at(n);
		config = event_config_new();
		failed = allocator.failed;
		allocator_fail_at(0);
		CHECK(!config == (failed != 0));
		if (config)
			event_config_free(config);
		CHECK_EQUAL(allocator.alive, 0);
	}
	for (n = 1, failed = 1; failed; n++) {
		config = event_config_new();
		allocator_fail_at(n);
		CHECK(event_config_avoid_method(config, "epoll") == (allocator.failed ? -1 : 0));
		failed = allocator.failed;
		allocator_fail_at(0);
		base = event_base_new_with_config(config);
		printf("%s\n", failed ? "failed" : event_base_get_method(base));
		CHECK((strcmp(event_base_get_method(base), "epoll") == 0) == (failed != 0));
		event_base_free(base);
		event_config_free(config);
		CHECK_EQUAL(allocator.alive, 0);
	}
}

/* Scenarios: the base and what is in it, the attempt, the proof. */

static void
fresh_base(void)
{
	base = event_base_new();
	CHECK(base);
	make_pipe(ends);
	descriptor = ends[0];
	timeout = NULL;
	calls = 0;
}

static void
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

static void
base_with_a_reader(void)
{
	fresh_base();
	ev = event_new(base, descriptor, EV_READ | EV_PERSIST, count_event, &calls);
}

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

static int
add_event(void)
{
	int result = event_add(ev, timeout);

	if (result != 0)
		CHECK_EQUAL(event_pending(ev, EV_READ | EV_SIGNAL | EV_TIMEOUT, NULL), 0);
	return result == 0;
}

static void
reader_is_called(void)
{
	put_byte(ends[1]);
	event_base_loop(base, EVLOOP_ONCE);
	CHECK_EQUAL(calls, 1);
	CHECK_EQUAL(event_pending(ev, EV_READ | EV_TIMEOUT, NULL), EV_READ | (timeout ? EV_TIMEOUT : 0));
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

DIFFERENCE(add_of_a_signal, EVERY_BACKEND | OWN, "a failed event_add of a signal leaks and leaves the library's handler installed")
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

DIFFERENCE(event_base_once_unlocks_when_it_fails, ONE_BACKEND | OWN, "a failed event_base_once leaves the base locked")
{
	alarm(3);
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

static int
make_notifiable(void)
{
	return evthread_make_base_notifiable(base) == 0;
}

static void
loop_ends_by_itself(void)
{
	CHECK_EQUAL(event_base_dispatch(base), 1);
}

CASE(wakeup_of_a_base, ONE_BACKEND | OWN)
{
	run_scenario(fresh_base, make_notifiable, loop_ends_by_itself, done);
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

/* A short memory makes the loop slower at most. */
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

static int
seven_priorities(void)
{
	return event_base_priority_init(base, 7) == 0;
}

static void
priorities_work(void)
{
	ev = event_new(base, -1, 0, count_event, &calls);
	CHECK_EQUAL(event_get_priority(ev), 3);
	CHECK_EQUAL(event_priority_set(ev, 6), 0);
	event_active(ev, EV_READ, 1);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(calls, 1);
}

DIFFERENCE(change_of_priorities, ONE_BACKEND | OWN, "a failed event_base_priority_init leaves a base without any priority")
{
	run_scenario(fresh_base, seven_priorities, priorities_work, done);
}

static void
base_with_interest(void)
{
	base_with_a_reader();
	CHECK(add_event());
	evsignal_assign(&timers[0], base, SIGUSR1, count_event, &calls);
	CHECK(event_add(&timers[0], NULL) == 0);
}

static int
reinit(void)
{
	return event_reinit(base) == 0;
}

static void
interest_works(void)
{
	put_byte(ends[1]);
	raise(SIGUSR1);
	event_base_loop(base, EVLOOP_ONCE);
	while (calls < 2)
		event_base_loop(base, EVLOOP_ONCE);
	event_del(&timers[0]);
}

static int
count_events(const struct event_base *of, const struct event *each, void *count)
{
	CHECK(of == base && event_get_base(each) == base);
	++*(int *)count;
	return 0;
}

/* Looking at what there is, changing and removing it needs no memory. */
CASE(nothing_left_for_what_needs_no_memory, EVERY_BACKEND | OWN)
{
	int count = 0;
	FILE *nowhere = fopen("/dev/null", "w");

	begin();
	CHECK(nowhere);
	base_with_interest();
	event_base_loop(base, EVLOOP_NONBLOCK); /* select gets its sets */
	allocator.fail_on = 1;
	allocator_fail_at(1);
	event_base_dump_events(base, nowhere);
	CHECK_EQUAL(event_base_foreach_event(base, count_events, &count), 0);
	CHECK(count >= 2);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 2);
	event_base_active_by_fd(base, descriptor, EV_READ);
	event_base_active_by_signal(base, SIGUSR1);
	interest_works();
	CHECK_EQUAL(event_priority_set(ev, 0), 0);
	CHECK_EQUAL(event_del(ev), 0);
	CHECK_EQUAL(event_base_loopbreak(base), 0);
	CHECK_EQUAL(event_base_loopcontinue(base), 0);
	CHECK_EQUAL(event_base_update_cache_time(base), 0);
	CHECK_EQUAL(allocator.failed, 0);
	allocator_fail_at(0);
	done();
	fclose(nowhere);
	CHECK_EQUAL(allocator.alive, 0);
}

DIFFERENCE(reinit_with_short_memory, EVERY_BACKEND | OWN, "event_reinit ends the process when memory is short")
{
	alarm(5);
	run_scenario(base_with_interest, reinit, interest_works, done);
}

DIFFERENCE(locks_with_short_memory, ONE_BACKEND | OWN, "evthread_use_pthreads hides that its locks could not be made")
{
	long n, failed;
	int result;

	begin();
	for (n = 1, failed = 1; failed; n++) {
		allocator_fail_at(n);
		result = evthread_use_pthreads();
		failed = allocator.failed;
		allocator_fail_at(0);
		CHECK_EQUAL(result, failed ? -1 : 0);
		CHECK_EQUAL(allocator.alive, failed ? 0 : 2);
	}
	base = event_base_new();
	CHECK(base);
	event_base_free(base);
	libevent_global_shutdown();
	CHECK_EQUAL(allocator.alive, 0);
}
