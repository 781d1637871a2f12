/* Patterns of timers. */
#include "patterns.h"

static struct event **
make_timers(struct event_base *base, long n, void *arg)
{
	struct event **events = calloc((size_t)n, sizeof *events);

	for (long i = 0; i < n; i++)
		events[i] = event_new(base, -1, 0, count_call, arg);
	return events;
}

static void
free_timers(struct event **events, long n)
{
	for (long i = 0; i < n; i++)
		event_free(events[i]);
	free(events);
}

/* Far in the future, in random order. */
static struct timeval
delay(long i)
{
	unsigned long spread = (unsigned long)i * 2654435761u % 3600000u;
	struct timeval time = {100 + (long)(spread / 1000), (long)(spread % 1000) * 1000};

	return time;
}

PATTERN(timers_added_and_deleted, 5000)
{
	struct event_base *base = event_base_new();
	struct event **events = make_timers(base, n, NULL);

	for (long i = 0; i < n; i++) {
		struct timeval time = delay(i);
		event_add(events[i], &time);
	}
	for (long i = 0; i < n; i++)
		event_del(events[i]);
	pattern_load_is_over();
	free_timers(events, n);
	event_base_free(base);
}

PATTERN(timers_pending, 5000)
{
	struct event_base *base = event_base_new();
	struct event **events = make_timers(base, n, NULL);

	for (long i = 0; i < n; i++) {
		struct timeval time = delay(i);
		event_add(events[i], &time);
	}
	pattern_load_is_over();
	free_timers(events, n);
	event_base_free(base);
}

PATTERN(timers_moved, 5000)
{
	struct event_base *base = event_base_new();
	struct event **events = make_timers(base, 1000, NULL);

	for (long i = 0; i < n; i++) {
		struct timeval time = delay(i);
		event_add(events[i % 1000], &time);
	}
	free_timers(events, 1000);
	event_base_free(base);
}

static void
expire(long n, long spread)
{
	struct event_base *base = event_base_new();
	long calls = 0;
	struct event **events = make_timers(base, n, &calls);

	for (int round = 0; round < 3; round++) {
		struct timeval now;
		event_base_gettimeofday_cached(base, &now);
		for (long i = 0; i < n; i++) {
			struct timeval time = {0, 1 + (long)((unsigned long)i * 2654435761u % (unsigned long)spread)};
			event_add(events[i], &time);
		}
		usleep((useconds_t)spread + 10000);
		turn(base);
	}
	REQUIRE(calls == 3 * n);
	pattern_load_is_over();
	free_timers(events, n);
	event_base_free(base);
}

PATTERN(timers_due_in_no_order, 3000)
{
	expire(n, 7000);
}

PATTERN(timers_due_at_the_same_time, 3000)
{
	expire(n, 1);
}

PATTERN(persistent_timer, 50)
{
	struct event_base *base = event_base_new();
	struct timeval short_time = {0, 1};
	long calls = 0;
	struct event *ev = event_new(base, -1, EV_PERSIST, count_call, &calls);

	event_add(ev, &short_time);
	while (calls < n)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(ev);
	event_base_free(base);
}

PATTERN(pending_asked_with_time, 5000)
{
	struct event_base *base = event_base_new();
	struct event *ev = event_new(base, -1, 0, nothing, NULL);
	struct timeval time = {10, 0};

	event_add(ev, &time);
	while (n--)
		REQUIRE(event_pending(ev, EV_TIMEOUT, &time));
	event_free(ev);
	event_base_free(base);
}

static const struct timeval *
common_timeouts(struct event_base *base)
{
	const struct timeval *last = NULL;

	for (int i = 0; i < 256; i++) {
		struct timeval time = {1000 + i, 0};
		last = event_base_init_common_timeout(base, &time);
	}
	REQUIRE(last);
	return last;
}

PATTERN(base_free_with_a_common_timeout, 3000)
{
	struct event_base *base = event_base_new();
	const struct timeval *last = common_timeouts(base);
	struct event **events = make_timers(base, n, NULL);

	for (long i = 0; i < n; i++)
		event_add(events[i], last);
	event_base_free(base);
	free(events);
}

PATTERN(base_free_with_timers_and_common_timeouts, 3000)
{
	struct event_base *base = event_base_new();
	struct event **events = make_timers(base, n, NULL);

	common_timeouts(base);
	for (long i = 0; i < n; i++) {
		struct timeval time = delay(i);
		event_add(events[i], &time);
	}
	event_base_free(base);
	free(events);
}

PATTERN(common_timeout_moved, 5000)
{
	struct event_base *base = event_base_new();
	const struct timeval *last = common_timeouts(base);
	struct event **events = make_timers(base, 1000, NULL);

	for (long i = 0; i < n; i++)
		event_add(events[i % 1000], last);
	free_timers(events, 1000);
	event_base_free(base);
}
