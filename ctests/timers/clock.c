/* The clocks: cached time of a base, its monotonic clock, monotonic timers. */
#define _GNU_SOURCE
#include "trace.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/timerfd.h>

static long long
microseconds(const struct timeval *tv)
{
	return tv->tv_sec * 1000000LL + tv->tv_usec;
}

static long long
cached(struct event_base *base)
{
	struct timeval tv;
	CHECK_EQUAL(event_base_gettimeofday_cached(base, &tv), 0);
	return microseconds(&tv);
}

static long long
time_of_day(void)
{
	struct timeval tv;
	evutil_gettimeofday(&tv, NULL);
	return microseconds(&tv);
}

CASE(outside_the_loop_it_is_the_time_of_day, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	long long before = time_of_day(), now = cached(base), after = time_of_day();
	CHECK(before <= now && now <= after);
	pause_milliseconds(20);
	CHECK(cached(base) >= now + 20000);
	CHECK_EQUAL(event_base_update_cache_time(base), 0);
	poll_once(base);
	before = time_of_day();
	CHECK(cached(base) >= before);
	event_base_free(base);
}

CASE(without_a_base, ONE_BACKEND)
{
	long long before = time_of_day(), now = cached(NULL), after = time_of_day();
	struct timeval tv;
	CHECK(before <= now && now <= after);
	CHECK_EQUAL(event_base_update_cache_time(NULL), -1);
	CHECK_EQUAL(event_gettime_monotonic(NULL, &tv), -1);
}

static void
watch_cached_time(evutil_socket_t fd, short what, void *arg)
{
	struct event_base *base = arg;
	long long start = cached(base), now = time_of_day();
	struct timeval first, second;
	(void)fd;
	(void)what;
	CHECK(llabs(now - start) < 2000000);
	CHECK_EQUAL(event_gettime_monotonic(base, &first), 0);
	pause_milliseconds(30);
	CHECK_EQUAL(event_gettime_monotonic(base, &second), 0);
	CHECK(microseconds(&second) > microseconds(&first));
	printf("stands still: %d\n", cached(base) == start);
	CHECK_EQUAL(event_base_update_cache_time(base), 0);
	printf("moved by an update: %d\n", cached(base) >= start + 20000);
	start = cached(base);
	pause_milliseconds(30);
	printf("stands still again: %d\n", cached(base) == start);
}

static void
watch_with_flags(int flags)
{
	struct event_base *base = base_with_flags(flags);
	printf("flags 0x%x\n", flags);
	CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, watch_cached_time, base, NULL), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

CASE(cached_in_callbacks, EVERY_BACKEND)
{
	watch_with_flags(0);
	watch_with_flags(EVENT_BASE_FLAG_PRECISE_TIMER);
	watch_with_flags(EVENT_BASE_FLAG_NO_CACHE_TIME);
}

static long long first_cached;

static void
compare_cached_time(evutil_socket_t fd, short what, void *base)
{
	(void)fd;
	(void)what;
	if (!first_cached)
		first_cached = cached(base);
	else
		printf("the same in the pass: %d\n", cached(base) == first_cached);
	pause_milliseconds(20);
}

CASE(all_callbacks_of_a_pass_see_the_same_time, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	int i;
	for (i = 0; i < 3; i++)
		CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, compare_cached_time, base, NULL), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

static void
update_then_add(evutil_socket_t fd, short what, void *arg)
{
	struct event *timer = arg;
	struct timeval now, left;
	(void)fd;
	(void)what;
	pause_milliseconds(300);
	CHECK_EQUAL(event_base_update_cache_time(event_get_base(timer)), 0);
	CHECK_EQUAL(add_timed(timer, 5000), 0);
	CHECK_EQUAL(event_gettime_monotonic(event_get_base(timer), &now), 0);
	evutil_timersub(&timer->ev_timeout, &now, &left);
	printf("counted from the updated time: %d\n", microseconds(&left) > 4850000);
	CHECK_EQUAL(event_del(timer), 0);
}

CASE(timers_count_from_the_updated_time, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *timer = named_event(base, -1, 0, "");
	struct event *adder = event_new(base, -1, 0, update_then_add, timer);
	event_active(adder, EV_READ, 1);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(adder);
	event_free(timer);
	event_base_free(base);
}

CASE(clock_of_a_base_is_monotonic, EVERY_BACKEND)
{
	static const int flags[] = {0, EVENT_BASE_FLAG_PRECISE_TIMER};
	size_t i;
	for (i = 0; i < 2; i++) {
		struct event_base *base = base_with_flags(flags[i]);
		struct timeval tv;
		struct timespec monotonic;
		CHECK_EQUAL(event_gettime_monotonic(base, &tv), 0);
		clock_gettime(CLOCK_MONOTONIC, &monotonic);
		CHECK(llabs(microseconds(&tv) - monotonic.tv_sec * 1000000LL - monotonic.tv_nsec / 1000) < 2000000);
		CHECK_EQUAL(event_gettime_monotonic(base, NULL), -1);
		event_base_free(base);
	}
}

CASE(monotonic_timers, ONE_BACKEND)
{
	static const int flags[] = {0, EV_MONOT_PRECISE, EV_MONOT_FALLBACK, EV_MONOT_PRECISE | EV_MONOT_FALLBACK};
	size_t i;
	int step;
	evutil_monotonic_timer_free(NULL);
	for (i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		struct evutil_monotonic_timer *timer = evutil_monotonic_timer_new();
		struct timeval now, last = {0, 0};
		CHECK(timer);
		CHECK_EQUAL(evutil_configure_monotonic_time(timer, flags[i]), 0);
		for (step = 0; step < 1000; step++) {
			CHECK_EQUAL(evutil_gettime_monotonic(timer, &now), 0);
			CHECK(evutil_timercmp(&now, &last, >=));
			last = now;
		}
		pause_milliseconds(20);
		CHECK_EQUAL(evutil_gettime_monotonic(timer, &now), 0);
		CHECK(microseconds(&now) - microseconds(&last) >= 10000);
		printf("flags %d: %s\n", flags[i],
		       llabs(microseconds(&now) - time_of_day()) < 5000000 ? "time of day" : "monotonic");
		evutil_monotonic_timer_free(timer);
	}
}

DIFFERENCE(monotonic_timers_not_configured, ONE_BACKEND,
	"an evutil_monotonic_timer that was not configured reads the time of day")
{
	struct evutil_monotonic_timer *timer = evutil_monotonic_timer_new();
	struct timespec monotonic;
	struct timeval now;
	CHECK_EQUAL(evutil_gettime_monotonic(timer, &now), 0);
	clock_gettime(CLOCK_MONOTONIC, &monotonic);
	CHECK(llabs(microseconds(&now) - monotonic.tv_sec * 1000000LL - monotonic.tv_nsec / 1000) < 5000000);
	evutil_monotonic_timer_free(timer);
}

static int timers_refused;

/* Stands before the C library's function for the library under test too. */
int
timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
	int (*real)(int, int, const struct itimerspec *, struct itimerspec *) =
		(int (*)(int, int, const struct itimerspec *, struct itimerspec *))dlsym(RTLD_NEXT, "timerfd_settime");
	if (!timers_refused)
		return real(fd, flags, value, old);
	errno = EINVAL;
	return -1;
}

DIFFERENCE(refused_timer_does_not_make_the_wait_endless, EPOLL_ONLY,
	   "with precise timers, a timer descriptor that cannot be set makes the loop sleep forever")
{
	struct event_base *base = base_with_flags(EVENT_BASE_FLAG_PRECISE_TIMER);
	struct event *ev = named_event(base, -1, 0, "timer"), *reader;
	int ends[2];
	/* What ends the first wait has a second one begin, with the same deadline. */
	make_pipe(ends);
	put_byte(ends[1]);
	reader = added_event(base, ends[0], EV_READ, "reader");
	CHECK_EQUAL(add_timed(ev, 30), 0);
	alarm(30);
	timers_refused = 1;
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(reader);
	event_free(ev);
	event_base_free(base);
}
