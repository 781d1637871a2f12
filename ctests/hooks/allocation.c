/* event_set_mem_functions: everything goes through it, and everything comes back. */
#include "allocation.h"

#include <signal.h>

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
	CHECK(event_get_version());
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
	CHECK(base);
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
