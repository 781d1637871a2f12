/* Timers: when they run and in which order, changed and removed, persistent, many, and odd times. */
#define _GNU_SOURCE
#include "trace.h"

#include <limits.h>

CASE(by_deadline, EVERY_BACKEND)
{
	static const char *const names[] = {"10", "20", "30", "40", "50"};
	struct event_base *base = new_base();
	struct event *events[5];
	int i;
	for (i = 0; i < 5; i++) {
		int which = (i * 3 + 1) % 5;
		events[which] = named_event(base, -1, 0, names[which]);
		CHECK_EQUAL(add_timed(events[which], 10 * (which + 1)), 0);
	}
	CHECK_EQUAL(event_base_dispatch(base), 1);
	printf("again, all at once\n");
	for (i = 4; i >= 0; i--)
		CHECK_EQUAL(add_timed(events[i], 10 * (i + 1)), 0);
	pause_milliseconds(70);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	for (i = 0; i < 5; i++)
		event_free(events[i]);
	event_base_free(base);
}

/* A repeating timer that runs late is due again as if it had run on time. */
static struct timeval kept[4];

static void
keep_deadline(evutil_socket_t fd, short what, void *arg)
{
	static int count;
	struct event *ev = arg;
	(void)fd;
	(void)what;
	kept[count++] = ev->ev_timeout;
	if (count == 4)
		CHECK_EQUAL(event_del(ev), 0);
}

static void
hold_up(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	pause_milliseconds(30);
}

CASE(periods_do_not_drift, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct timeval period = milliseconds_from_now(100), early = milliseconds_from_now(90);
	struct event *ev = event_new(base, -1, EV_PERSIST, keep_deadline, event_self_cbarg());
	struct event *other = event_new(base, -1, EV_PERSIST, hold_up, NULL);
	int i;
	CHECK_EQUAL(event_add(other, &early), 0);
	CHECK_EQUAL(event_add(ev, &period), 0);
	while (event_pending(ev, EV_TIMEOUT, NULL))
		CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	for (i = 1; i < 4; i++) {
		struct timeval passed;
		long milliseconds_passed;
		evutil_timersub(&kept[i], &kept[i - 1], &passed);
		milliseconds_passed = passed.tv_sec * 1000 + passed.tv_usec / 1000;
		/* Where the machine was busy for a whole period, that one is left out. */
		CHECK(milliseconds_passed == 100 || milliseconds_passed >= 200);
	}
	event_free(ev);
	event_free(other);
	event_base_free(base);
}

CASE(not_early_and_not_very_late, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev = named_event(base, -1, 0, "timer");
	long long start = milliseconds(), passed;
	CHECK_EQUAL(add_timed(ev, 60), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	passed = milliseconds() - start;
	CHECK(passed >= 60 - 10 && passed < 10000);
	event_free(ev);
	event_base_free(base);
}

CASE(precise_and_not_early, EVERY_BACKEND)
{
	struct event_base *base = base_with_flags(EVENT_BASE_FLAG_PRECISE_TIMER);
	struct event *ev = named_event(base, -1, 0, "timer");
	struct timeval tv = {0, 1500}, start, end;
	int i;
	for (i = 0; i < 20; i++) {
		CHECK_EQUAL(event_gettime_monotonic(base, &start), 0);
		CHECK_EQUAL(event_add(ev, &tv), 0);
		CHECK_EQUAL(event_base_dispatch(base), 1);
		CHECK_EQUAL(event_gettime_monotonic(base, &end), 0);
		evutil_timersub(&end, &start, &end);
		CHECK(evutil_timercmp(&end, &tv, >=));
	}
	event_free(ev);
	event_base_free(base);
}

CASE(zero_and_negative_times, EVERY_BACKEND)
{
	static const struct timeval times[] = {{0, 0}, {-1, 0}, {-5000000, 0}, {-2, 999999}};
	struct event_base *base = new_base();
	struct event *ev = named_event(base, -1, 0, "due");
	size_t i;
	for (i = 0; i < sizeof times / sizeof times[0]; i++) {
		CHECK_EQUAL(event_add(ev, &times[i]), 0);
		CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	}
	event_free(ev);
	event_base_free(base);
}

CASE(equal_deadlines_all_run, EVERY_BACKEND)
{
	enum { COUNT = 100 };
	struct event_base *base = new_base();
	struct event events[COUNT];
	int i;
	for (i = 0; i < COUNT; i++) {
		event_assign(&events[i], base, -1, 0, print_call, "one of many");
		CHECK_EQUAL(add_timed(&events[i], 5), 0);
	}
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

/* Timers that are due together, among others that are not. */
struct together {
	struct event_base *base;
	struct event *soon[200], *far[1000];
	int soon_count, far_count;
	int order[200], called;
};

static struct together together;

static void
note_order(evutil_socket_t fd, short what, void *number)
{
	(void)fd;
	(void)what;
	together.order[together.called++] = *(int *)number;
}

/* In a callback, where all that is added is added at the same time. Every third comes last. */
static void
add_together(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	for (int i = 0; i < together.far_count; i++)
		add_timed(together.far[i], 3600000 + i * 37 % 1000);
	for (int i = 0; i < together.soon_count; i++)
		add_timed(together.soon[i], 1);
	for (int i = 0; i < together.far_count; i += 2)
		event_del(together.far[i]);
	for (int i = 0; i < together.soon_count; i += 3)
		add_timed(together.soon[i], 1);
}

static void
run_together(int soon_count, int far_count)
{
	static int numbers[200];
	struct timeval now = {0, 0};
	int at = 0;

	together = (struct together){.base = new_base(), .soon_count = soon_count, .far_count = far_count};
	for (int i = 0; i < soon_count; i++) {
		numbers[i] = i;
		together.soon[i] = event_new(together.base, -1, 0, note_order, &numbers[i]);
	}
	for (int i = 0; i < far_count; i++)
		together.far[i] = event_new(together.base, -1, 0, note_order, &numbers[0]);
	CHECK_EQUAL(event_base_once(together.base, -1, EV_TIMEOUT, add_together, NULL, &now), 0);
	while (together.called < soon_count)
		CHECK(event_base_loop(together.base, EVLOOP_ONCE) >= 0);
	for (int i = 0; i < soon_count; i++)
		if (i % 3 != 0)
			CHECK_EQUAL(together.order[at++], i);
	for (int i = 0; i < soon_count; i += 3)
		CHECK_EQUAL(together.order[at++], i);
	for (int i = 0; i < soon_count; i++)
		event_free(together.soon[i]);
	for (int i = 0; i < far_count; i++)
		event_free(together.far[i]);
	event_base_free(together.base);
}

DIFFERENCE(equal_deadlines_run_in_the_order_they_were_added, ONE_BACKEND,
	"timers that are due at the same time run in no order, not as they were added")
{
	run_together(200, 0);
	run_together(200, 100);
	run_together(3, 1000);
	run_together(20, 1000);
	run_together(100, 1000);
}

CASE(changing_the_time, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *moved = named_event(base, -1, 0, "moved"), *fixed = named_event(base, -1, 0, "fixed");
	printf("to later\n");
	CHECK_EQUAL(add_timed(fixed, 20), 0);
	CHECK_EQUAL(add_timed(moved, 1), 0);
	CHECK_EQUAL(add_timed(moved, 40), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	printf("to earlier\n");
	CHECK_EQUAL(add_timed(moved, 3600000), 0);
	CHECK_EQUAL(add_timed(fixed, 20), 0);
	CHECK_EQUAL(add_timed(moved, 1), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	printf("kept\n");
	CHECK_EQUAL(add_timed(moved, 1), 0);
	CHECK_EQUAL(event_add(moved, NULL), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(moved);
	event_free(fixed);
	event_base_free(base);
}

CASE(removing_the_timer, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev = named_event(base, -1, 0, "timer"), *other = named_event(base, -1, 0, "other");
	CHECK_EQUAL(event_remove_timer(ev), 0);
	CHECK_EQUAL(add_timed(ev, 1), 0);
	CHECK_EQUAL(add_timed(other, 20), 0);
	CHECK_EQUAL(event_remove_timer(ev), 0);
	CHECK_EQUAL(event_pending(ev, EV_TIMEOUT, NULL), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(add_timed(ev, 0), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(ev);
	event_free(other);
	event_base_free(base);
}

/* Many. */
static struct timeval last_deadline;
static int fired;

static void
check_order(evutil_socket_t fd, short what, void *arg)
{
	struct event *ev = arg;
	(void)fd;
	CHECK_EQUAL(what, EV_TIMEOUT);
	CHECK(evutil_timercmp(&ev->ev_timeout, &last_deadline, >=));
	last_deadline = ev->ev_timeout;
	fired++;
}

CASE(a_hundred_thousand_timers, EVERY_BACKEND)
{
	enum { COUNT = 100000 };
	struct event_base *base = new_base();
	struct event *events = calloc(COUNT, sizeof *events);
	unsigned seed = 1;
	int i;
	for (i = 0; i < COUNT; i++) {
		struct timeval tv = {0, 0};
		seed = seed * 1103515245 + 12345;
		tv.tv_usec = (suseconds_t)((seed >> 8) % 20000);
		event_assign(&events[i], base, -1, 0, check_order, &events[i]);
		CHECK_EQUAL(event_add(&events[i], &tv), 0);
	}
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), COUNT);
	for (i = 0; i < COUNT; i += 3)
		CHECK_EQUAL(event_del(&events[i]), 0);
	for (i = 1; i < COUNT; i += 3)
		CHECK_EQUAL(add_timed(&events[i], 20 + i % 10), 0);
	pause_milliseconds(60);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	CHECK_EQUAL(fired, COUNT - (COUNT + 2) / 3);
	event_base_free(base);
	free(events);
}

/* Persistent. */
static int stop_after;

static void
count_down(evutil_socket_t fd, short what, void *arg)
{
	struct event *ev = arg;
	struct timeval tv;
	print_call(fd, what, "called");
	CHECK_EQUAL(event_pending(ev, EV_TIMEOUT, &tv), EV_TIMEOUT);
	if (--stop_after == 0)
		CHECK_EQUAL(event_del(ev), 0);
}

CASE(persistent_timers_repeat, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event ev;
	event_assign(&ev, base, -1, EV_PERSIST, count_down, &ev);
	stop_after = 4;
	CHECK_EQUAL(add_timed(&ev, 5), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(stop_after, 0);
	event_base_free(base);
}

static struct timeval deadlines[4];
static int deadlines_seen;

static void
note_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct event *ev = arg;
	(void)fd;
	(void)what;
	deadlines[deadlines_seen] = ev->ev_timeout;
	if (deadlines_seen++ == 1)
		pause_milliseconds(120);
	if (deadlines_seen == 4)
		CHECK_EQUAL(event_del(ev), 0);
}

CASE(missed_periods_are_skipped, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event ev;
	struct timeval step;
	event_assign(&ev, base, -1, EV_PERSIST, note_deadline, &ev);
	CHECK_EQUAL(add_timed(&ev, 30), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(deadlines_seen, 4);
	/* The third call was due 30 ms after the second and came after 120; the fourth deadline counts
	 * from there. */
	evutil_timersub(&deadlines[2], &deadlines[1], &step);
	CHECK(step.tv_sec > 0 || step.tv_usec >= 100000);
	evutil_timersub(&deadlines[3], &deadlines[2], &step);
	CHECK(step.tv_sec > 0 || step.tv_usec >= 30000);
	event_base_free(base);
}

CASE(a_period_of_zero_is_no_period, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev = named_event(base, -1, EV_PERSIST, "called");
	CHECK_EQUAL(add_timed(ev, 0), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(event_pending(ev, EV_TIMEOUT, NULL), 0);
	event_free(ev);
	event_base_free(base);
}

CASE(the_period_survives_deletion, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev = named_event(base, -1, EV_PERSIST, "called");
	CHECK_EQUAL(add_timed(ev, 3600000), 0);
	CHECK_EQUAL(event_del(ev), 0);
	event_active(ev, EV_READ, 1);
	poll_once(base);
	printf("pending %s\n", flag_names(event_pending(ev, 0x7fff, NULL)));
	CHECK_EQUAL(event_remove_timer(ev), 0);
	event_active(ev, EV_READ, 1);
	poll_once(base);
	printf("pending %s\n", flag_names(event_pending(ev, 0x7fff, NULL)));
	event_free(ev);
	event_base_free(base);
}

CASE(the_period_survives_deletion_of_a_reader, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev;
	int ends[2];
	make_pipe(ends);
	put_byte(ends[1]);
	ev = named_event(base, ends[0], EV_READ | EV_PERSIST, "called");
	CHECK_EQUAL(add_timed(ev, 3600000), 0);
	CHECK_EQUAL(event_del(ev), 0);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	printf("pending %s\n", flag_names(event_pending(ev, 0x7fff, NULL)));
	poll_once(base);
	printf("pending %s\n", flag_names(event_pending(ev, 0x7fff, NULL)));
	event_free(ev);
	event_base_free(base);
}

static void
change_period(evutil_socket_t fd, short what, void *arg)
{
	struct event *ev = arg;
	struct timeval before, after;
	print_call(fd, what, "called");
	CHECK_EQUAL(event_pending(ev, EV_TIMEOUT, &before), EV_TIMEOUT);
	CHECK_EQUAL(add_timed(ev, 3600000), 0);
	CHECK_EQUAL(event_pending(ev, EV_TIMEOUT, &after), EV_TIMEOUT);
	evutil_timersub(&after, &before, &after);
	CHECK(after.tv_sec >= 3590);
}

CASE(the_period_changes_in_the_callback, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event ev;
	event_assign(&ev, base, -1, EV_PERSIST, change_period, &ev);
	CHECK_EQUAL(add_timed(&ev, 5), 0);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	CHECK_EQUAL(poll_once(base), 0);
	CHECK_EQUAL(event_del(&ev), 0);
	event_base_free(base);
}

/* Rearming in the callback: the next pass, not the same. */
static void
rearm(evutil_socket_t fd, short what, void *arg)
{
	print_call(fd, what, "timer");
	if (--stop_after > 0)
		CHECK_EQUAL(add_timed(arg, 0), 0);
}

CASE(rearmed_timers_let_readers_run, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *reader, ev;
	int ends[2];
	make_pipe(ends);
	put_byte(ends[1]);
	reader = named_event(base, ends[0], EV_READ | EV_PERSIST, "reader");
	event_assign(&ev, base, -1, 0, rearm, &ev);
	stop_after = 3;
	CHECK_EQUAL(event_add(reader, NULL), 0);
	CHECK_EQUAL(add_timed(&ev, 0), 0);
	while (stop_after)
		poll_once(base);
	event_free(reader);
	event_base_free(base);
}

/* The time that event_add counts from is that of the pass. */
static struct event *early, *late;

static void
add_after_a_while(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	CHECK_EQUAL(add_timed(late, 55), 0);
	pause_milliseconds(80);
	CHECK_EQUAL(add_timed(early, 20), 0);
}

static void
add_in_a_slow_callback(int flags)
{
	struct event_base *base = base_with_flags(flags);
	early = named_event(base, -1, 0, "20 ms, added after 80");
	late = named_event(base, -1, 0, "55 ms");
	CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, add_after_a_while, NULL, NULL), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(early);
	event_free(late);
	event_base_free(base);
}

CASE(times_count_from_the_start_of_the_pass, EVERY_BACKEND)
{
	printf("cached time\n");
	add_in_a_slow_callback(0);
	printf("no cached time\n");
	add_in_a_slow_callback(EVENT_BASE_FLAG_NO_CACHE_TIME);
}

/* Defects of the reference. */
static void
run_slowly(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	pause_milliseconds(300);
}

DIFFERENCE(timers_are_on_time_after_a_slow_callback, EVERY_BACKEND,
	   "timers are late by the time that the callbacks of the previous pass took")
{
	struct event_base *base = new_base();
	struct event *slow = event_new(base, -1, 0, run_slowly, NULL), *timer = named_event(base, -1, 0, "timer");
	long long start, passed;
	int tries = 0;
	/* A busy machine may make it late as well, but not each time. */
	do {
		start = milliseconds();
		CHECK_EQUAL(add_timed(timer, 400), 0);
		CHECK_EQUAL(add_timed(slow, 1), 0);
		CHECK_EQUAL(event_base_dispatch(base), 1);
		passed = milliseconds() - start;
		CHECK(passed >= 390);
	} while (passed >= 650 && tries++ < 5);
	CHECK(passed < 650);
	event_free(slow);
	event_free(timer);
	event_base_free(base);
}

static double
seconds_left(struct event *ev)
{
	struct timeval deadline, now;
	CHECK_EQUAL(event_pending(ev, EV_TIMEOUT, &deadline), EV_TIMEOUT);
	CHECK(deadline.tv_usec >= 0 && deadline.tv_usec < 1000000);
	evutil_gettimeofday(&now, NULL);
	return (double)(deadline.tv_sec - now.tv_sec) + (double)(deadline.tv_usec - now.tv_usec) / 1e6;
}

DIFFERENCE(times_are_normalised, EVERY_BACKEND,
	"a timeout with more than a million microseconds is due at a wrong time")
{
	static const struct {
		struct timeval tv;
		double seconds;
	} times[] = {{{0, 3500000}, 3.5}, {{10, 99000000}, 109}, {{100, -5000000}, 95}, {{-10, 15000000}, 5}};
	struct event_base *base = new_base();
	struct event *ev = named_event(base, -1, 0, "");
	size_t i;
	for (i = 0; i < sizeof times / sizeof times[0]; i++) {
		double left;
		CHECK_EQUAL(event_add(ev, &times[i].tv), 0);
		left = seconds_left(ev);
		CHECK(left > times[i].seconds - 2 && left < times[i].seconds + 0.1);
		CHECK_EQUAL(poll_once(base), 0);
		CHECK_EQUAL(event_pending(ev, EV_TIMEOUT, NULL), EV_TIMEOUT);
	}
	event_free(ev);
	event_base_free(base);
}

DIFFERENCE(very_long_times_are_never_due, EVERY_BACKEND,
	"a timeout near the largest possible one is due at once")
{
	static const struct timeval times[] = {{LONG_MAX, 0}, {LONG_MAX, 999999}, {LONG_MAX - 1, 0}, {LONG_MAX / 2, 0}};
	struct event_base *base = new_base();
	struct event *ev = named_event(base, -1, EV_PERSIST, "due");
	size_t i;
	for (i = 0; i < sizeof times / sizeof times[0]; i++) {
		CHECK_EQUAL(event_add(ev, &times[i]), 0);
		CHECK_EQUAL(poll_once(base), 0);
		CHECK_EQUAL(ev->ev_res, 0);
		CHECK_EQUAL(event_pending(ev, EV_TIMEOUT, NULL), EV_TIMEOUT);
		run_for(base, 5);
		CHECK_EQUAL(ev->ev_res, 0);
	}
	event_free(ev);
	event_base_free(base);
}

/* A persistent timer that the program activates: the next call comes a period later. */
enum { PERIOD = 200 };
static struct event *by_hand;
static int late_calls;

static void
look_at_the_next_call(evutil_socket_t fd, short what, void *base)
{
	struct timeval due, now, left;

	(void)fd;
	(void)what;
	CHECK(event_pending(by_hand, EV_TIMEOUT, &due));
	evutil_gettimeofday(&now, NULL);
	evutil_timersub(&due, &now, &left);
	late_calls += left.tv_sec * 1000 + left.tv_usec / 1000 > PERIOD + 20;
	event_base_loopbreak(base);
}

static int
activate_by_hand(short what, int common)
{
	struct event_base *base = event_base_new();
	struct timeval period = {0, PERIOD * 1000};
	const struct timeval *used = common ? event_base_init_common_timeout(base, &period) : &period;

	late_calls = 0;
	by_hand = event_new(base, -1, EV_PERSIST, look_at_the_next_call, base);
	event_add(by_hand, used);
	event_active(by_hand, what, 1);
	event_base_dispatch(base);
	event_free(by_hand);
	event_base_free(base);
	return late_calls;
}

CASE(persistent_timer_activated_for_another_reason, EVERY_BACKEND)
{
	CHECK_EQUAL(activate_by_hand(EV_READ, 0), 0);
	CHECK_EQUAL(activate_by_hand(EV_READ, 1), 0);
}

DIFFERENCE(persistent_timer_activated_by_hand, EVERY_BACKEND,
	"A persistent timer that is activated with EV_TIMEOUT waits two periods before its next call.")
{
	CHECK_EQUAL(activate_by_hand(EV_TIMEOUT, 0), 0);
	CHECK_EQUAL(activate_by_hand(EV_TIMEOUT, 1), 0);
}
