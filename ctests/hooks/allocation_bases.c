/* Every allocation for a base may fail: the documented error, nothing lost, nothing changed. */
#include "allocation.h"

#include <event2/event_compat.h>
#include <signal.h>
#include <sys/wait.h>

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

/* All allocations from one on fail; then each one alone fails. */
static void
try_bases(void)
{
	allocator.fail_on = 1;
	CHECK(no_base());
	allocator.fail_on = 0;
	CHECK(no_base());
}

CASE(base_creation, EVERY_BACKEND | OWN)
{
	begin();
	try_bases();
}

CASE(base_creation_with_locks, EVERY_BACKEND | OWN)
{
	begin();
	CHECK(evthread_use_pthreads() == 0);
	try_bases();
	libevent_global_shutdown();
	CHECK_EQUAL(allocator.alive, 0);
}

CASE(base_creation_with_lock_debugging, EVERY_BACKEND | OWN)
{
	begin();
	evthread_enable_lock_debugging();
	CHECK(evthread_use_pthreads() == 0);
	try_bases();
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

/* Debug mode cannot do without its records: the process ends. */
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

DIFFERENCE(change_of_priorities, ONE_BACKEND | OWN,
	"a failed event_base_priority_init leaves a base without any priority")
{
	run_scenario(fresh_base, seven_priorities, priorities_work, done);
}

static struct event signal_event;

static void
base_with_interest(void)
{
	base_with_a_reader();
	CHECK(add_event());
	evsignal_assign(&signal_event, base, SIGUSR1, count_event, &calls);
	CHECK(event_add(&signal_event, NULL) == 0);
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
	event_del(&signal_event);
}

DIFFERENCE(reinit_with_short_memory, EVERY_BACKEND | OWN,
	"event_reinit ends the process when memory is short")
{
	alarm(30);
	run_scenario(base_with_interest, reinit, interest_works, done);
}

static int
count_events(const struct event_base *of, const struct event *each, void *count)
{
	CHECK(of == base && event_get_base(each) == base);
	++*(int *)count;
	return 0;
}

/* Inspecting, changing and removing what exists needs no memory. */
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

DIFFERENCE(locks_with_short_memory, ONE_BACKEND | OWN,
	"evthread_use_pthreads reports success although its locks could not be made")
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
