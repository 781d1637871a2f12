/* Monotonic timers and arithmetic with times. */
#include "harness.h"

#include <event2/event.h>
#include <event2/util.h>
#include <limits.h>
#include <string.h>
#include <sys/time.h>

long evutil_tv_to_msec_(const struct timeval *tv);
void evutil_usleep_(const struct timeval *tv);
int evutil_configure_monotonic_time_(struct evutil_monotonic_timer *mt, int flags);
int evutil_gettime_monotonic_(struct evutil_monotonic_timer *mt, struct timeval *tv);

static long long
microseconds(const struct timeval *tv)
{
	return tv->tv_sec * 1000000LL + tv->tv_usec;
}

CASE(timers_do_not_go_back, ONE_BACKEND)
{
	for (int flags = 0; flags < 4; flags++) {
		struct evutil_monotonic_timer *timer = evutil_monotonic_timer_new();
		struct timeval last = {0, 0}, now, pause = {0, 1000};
		CHECK(timer != NULL);
		CHECK_EQUAL(evutil_configure_monotonic_time(timer, flags), 0);
		for (int i = 0; i < 1000; i++) {
			CHECK_EQUAL(evutil_gettime_monotonic(timer, &now), 0);
			CHECK(now.tv_usec >= 0 && now.tv_usec < 1000000);
			CHECK(evutil_timercmp(&now, &last, >=));
			last = now;
			if (i % 100 == 0)
				evutil_usleep_(&pause);
		}
		evutil_monotonic_timer_free(timer);
	}
	evutil_monotonic_timer_free(NULL);
}

CASE(timers_measure, ONE_BACKEND)
{
	struct timeval pause = {0, 50000};
	for (int flags = 0; flags < 4; flags++) {
		struct evutil_monotonic_timer *timer = evutil_monotonic_timer_new();
		struct timeval before, after;
		CHECK_EQUAL(evutil_configure_monotonic_time_(timer, flags), 0);
		CHECK_EQUAL(evutil_gettime_monotonic_(timer, &before), 0);
		evutil_usleep_(&pause);
		CHECK_EQUAL(evutil_gettime_monotonic_(timer, &after), 0);
		CHECK(microseconds(&after) - microseconds(&before) > 30000);
		CHECK(microseconds(&after) - microseconds(&before) < 20000000);
		evutil_monotonic_timer_free(timer);
	}
}

CASE(timers_read_the_clock_that_was_asked_for, ONE_BACKEND)
{
	struct evutil_monotonic_timer *timer = evutil_monotonic_timer_new();
	struct timeval now, expected;
	struct timespec clock;
	for (int flags = 0; flags < 2; flags++) {
		evutil_configure_monotonic_time(timer, flags);
		evutil_gettime_monotonic(timer, &now);
		clock_gettime(CLOCK_MONOTONIC, &clock);
		CHECK(clock.tv_sec - now.tv_sec <= 5 && now.tv_sec <= clock.tv_sec);
	}
	evutil_configure_monotonic_time(timer, EV_MONOT_FALLBACK | EV_MONOT_PRECISE);
	evutil_gettime_monotonic(timer, &now);
	gettimeofday(&expected, NULL);
	CHECK(expected.tv_sec - now.tv_sec <= 5);
	evutil_monotonic_timer_free(timer);
}

DIFFERENCE(timers_need_no_configuration, ONE_BACKEND,
	"an evutil_monotonic_timer that was not configured reads the time of day")
{
	struct evutil_monotonic_timer *timer = evutil_monotonic_timer_new();
	struct timeval now;
	struct timespec clock;
	evutil_gettime_monotonic(timer, &now);
	clock_gettime(CLOCK_MONOTONIC, &clock);
	CHECK(clock.tv_sec - now.tv_sec <= 5 && now.tv_sec <= clock.tv_sec);
	evutil_monotonic_timer_free(timer);
}

static void *
refuse(size_t size)
{
	(void)size;
	return NULL;
}

CASE(timers_without_memory, ONE_BACKEND)
{
	struct evutil_monotonic_timer *timer;
	event_set_mem_functions(refuse, NULL, NULL);
	CHECK(evutil_monotonic_timer_new() == NULL);
	event_set_mem_functions(NULL, NULL, NULL);
	timer = evutil_monotonic_timer_new();
	CHECK(timer);
	evutil_monotonic_timer_free(timer);
}

CASE(milliseconds_are_rounded_up, ONE_BACKEND)
{
	static const struct timeval times[] = {{0, 0}, {0, 1}, {0, 999}, {0, 1000}, {0, 1001}, {0, 999999},
		{0, 1000000}, {0, 1000001}, {1, 0}, {1, 1}, {-1, 0}, {-1, 999999}, {0, -1}, {0, -999}, {0, -1000},
		{0, -5000}, {2147483647, 5}, {(LONG_MAX - 999) / 1000, 0}, {(LONG_MAX - 999) / 1000, 1000000 - 999},
		{(LONG_MAX - 999) / 1000 + 1, 0}, {LONG_MAX, 0}};
	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		printf("%ld %ld: %ld\n", (long)times[i].tv_sec, (long)times[i].tv_usec,
		    evutil_tv_to_msec_(&times[i]));
}

CASE(a_sleep, ONE_BACKEND)
{
	struct timeval pause = {0, 20000}, zero = {0, 0};
	long long start = milliseconds();
	evutil_usleep_(NULL);
	evutil_usleep_(&zero);
	evutil_usleep_(&pause);
	CHECK(milliseconds() - start >= 19);
}

CASE(arithmetic, ONE_BACKEND)
{
	struct timeval a = {1, 600000}, b = {2, 500000}, c;
	evutil_timeradd(&a, &b, &c);
	CHECK(c.tv_sec == 4 && c.tv_usec == 100000);
	evutil_timersub(&b, &a, &c);
	CHECK(c.tv_sec == 0 && c.tv_usec == 900000);
	CHECK(evutil_timerisset(&c));
	evutil_timerclear(&c);
	CHECK(!evutil_timerisset(&c));
	CHECK(evutil_timercmp(&a, &b, <) && evutil_timercmp(&a, &b, <=) && evutil_timercmp(&a, &a, ==));
	CHECK(evutil_timercmp(&b, &a, >) && evutil_timercmp(&b, &a, >=) && !evutil_timercmp(&b, &a, ==));
}
