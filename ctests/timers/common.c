/* Common timeouts: many events with the same duration in one queue. */
#define _GNU_SOURCE
#include "trace.h"

static const struct timeval *
common_milliseconds(struct event_base *base, int count)
{
	struct timeval tv = milliseconds_from_now(count);
	const struct timeval *common = event_base_init_common_timeout(base, &tv);
	CHECK(common);
	return common;
}

CASE(equal_durations_share_a_queue, ONE_BACKEND)
{
	struct event_base *base = new_base();
	const struct timeval *first = common_milliseconds(base, 1500), *second = common_milliseconds(base, 2000);
	struct timeval odd = {0, 1500001}, copy = *first;
	CHECK(first != second);
	CHECK(common_milliseconds(base, 1500) == first);
	CHECK(event_base_init_common_timeout(base, first) == first);
	CHECK(event_base_init_common_timeout(base, &copy) == first);
	CHECK(event_base_init_common_timeout(base, &odd) != first);
	CHECK_EQUAL(first->tv_sec, 1);
	CHECK_EQUAL(first->tv_usec & 0xfffff, 500000);
	printf("0x%08lx 0x%08lx\n", (long)first->tv_usec, (long)second->tv_usec);
	event_base_free(base);
}

/* The queue goes on with what is due later. */
CASE(added_later_runs_later, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	const struct timeval *common = common_milliseconds(base, 60);
	struct event *first = named_event(base, -1, 0, "first"), *later = named_event(base, -1, 0, "later");
	CHECK_EQUAL(event_add(first, common), 0);
	pause_milliseconds(30);
	CHECK_EQUAL(event_add(later, common), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(first);
	event_free(later);
	event_base_free(base);
}

CASE(at_most_256_queues, ONE_BACKEND)
{
	struct event_base *base = new_base();
	struct timeval tv = {1000, 0};
	int i;
	log_to_stdout();
	for (i = 0; i < 256; i++)
		common_milliseconds(base, i + 1);
	CHECK(!event_base_init_common_timeout(base, &tv));
	CHECK(event_base_init_common_timeout(base, common_milliseconds(base, 256)));
	event_base_free(base);
}

CASE(first_added_runs_first, EVERY_BACKEND)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
	struct event_base *base = new_base();
	const struct timeval *common = common_milliseconds(base, 5);
	struct event *events[6];
	int i;
	for (i = 0; i < 6; i++)
		events[i] = named_event(base, -1, 0, names[i]);
	for (i = 0; i < 6; i++)
		CHECK_EQUAL(event_add(events[(i * 5 + 1) % 6], common), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	for (i = 0; i < 6; i++)
		event_free(events[i]);
	event_base_free(base);
}

CASE(adding_again_moves_to_the_end, EVERY_BACKEND)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	struct event_base *base = new_base();
	const struct timeval *common = common_milliseconds(base, 20);
	struct event *events[4];
	int i;
	for (i = 0; i < 4; i++) {
		events[i] = named_event(base, -1, 0, names[i]);
		CHECK_EQUAL(event_add(events[i], common), 0);
	}
	CHECK_EQUAL(event_add(events[0], common), 0);
	CHECK_EQUAL(event_del(events[1]), 0);
	CHECK_EQUAL(add_timed(events[2], 1), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	for (i = 0; i < 4; i++)
		event_free(events[i]);
	event_base_free(base);
}

/* What timers have run, and whether one of them was so late that it may have been due together with the next. */
static char order[100];
static long long added_at;
static int disturbed;

static void
note_call(evutil_socket_t fd, short what, void *duration)
{
	(void)fd;
	(void)what;
	snprintf(order + strlen(order), sizeof order - strlen(order), "%d ", *(int *)duration);
	disturbed |= milliseconds() - added_at > *(int *)duration + 50;
}

CASE(common_and_other_timers_in_turn, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	int durations[] = {10, 80, 160}, tries = 0, i;
	struct event *events[3];
	for (i = 0; i < 3; i++)
		events[i] = event_new(base, -1, 0, note_call, &durations[i]);
	do {
		order[0] = 0;
		disturbed = 0;
		added_at = milliseconds();
		CHECK_EQUAL(event_add(events[2], common_milliseconds(base, 160)), 0);
		CHECK_EQUAL(add_timed(events[1], 80), 0);
		CHECK_EQUAL(event_add(events[0], common_milliseconds(base, 10)), 0);
		CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 3);
		CHECK_EQUAL(event_base_dispatch(base), 1);
	} while (disturbed && tries++ < 50);
	printf("%s\n", order);
	for (i = 0; i < 3; i++)
		event_free(events[i]);
	event_base_free(base);
}

CASE(common_and_other_timers_overdue, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *common_short = named_event(base, -1, 0, "common 10"), *plain = named_event(base, -1, 0, "plain 80");
	struct event *common_long = named_event(base, -1, 0, "common 160");
	CHECK_EQUAL(event_add(common_long, common_milliseconds(base, 160)), 0);
	CHECK_EQUAL(event_add(common_short, common_milliseconds(base, 10)), 0);
	CHECK_EQUAL(add_timed(plain, 80), 0);
	pause_milliseconds(180);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	event_free(common_short);
	event_free(common_long);
	event_free(plain);
	event_base_free(base);
}

CASE(common_timeouts_have_priorities, EVERY_BACKEND)
{
	static const char *const names[] = {"0", "1", "2"};
	struct event_base *base = new_base();
	struct event *events[3];
	int i;
	CHECK_EQUAL(event_base_priority_init(base, 3), 0);
	for (i = 2; i >= 0; i--) {
		events[i] = named_event_at(base, -1, 0, names[i], i);
		CHECK_EQUAL(event_add(events[i], common_milliseconds(base, 5)), 0);
	}
	pause_milliseconds(20);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	for (i = 0; i < 3; i++)
		event_free(events[i]);
	event_base_free(base);
}

CASE(common_timeouts_of_readers, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *once, *persistent;
	int ends[2], i;
	make_pipe(ends);
	once = named_event(base, ends[0], EV_READ, "once");
	persistent = named_event(base, ends[0], EV_READ | EV_PERSIST, "persistent");
	CHECK_EQUAL(event_add(once, common_milliseconds(base, 5)), 0);
	for (i = 0; i < 4; i++) {
		if (i == 1)
			CHECK_EQUAL(event_add(persistent, common_milliseconds(base, 5)), 0);
		if (i == 3) {
			CHECK_EQUAL(event_add(once, common_milliseconds(base, 3600000)), 0);
			CHECK_EQUAL(event_add(persistent, common_milliseconds(base, 3600000)), 0);
			put_byte(ends[1]);
		}
		CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
		printf("once %s, ", flag_names(event_pending(once, 0x7fff, NULL)));
		printf("persistent %s\n", flag_names(event_pending(persistent, 0x7fff, NULL)));
	}
	CHECK_EQUAL(event_remove_timer(persistent), 0);
	printf("persistent %s\n", flag_names(event_pending(persistent, 0x7fff, NULL)));
	event_free(once);
	event_free(persistent);
	event_base_free(base);
}

CASE(the_deadline_is_a_time_of_day, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev = named_event(base, -1, 0, "");
	struct timeval tv, now;
	CHECK_EQUAL(event_add(ev, common_milliseconds(base, 5000)), 0);
	printf("flags 0x%02x, bits 0x%08lx\n", ev->ev_evcallback.evcb_flags, (long)ev->ev_timeout.tv_usec & 0xfff00000);
	CHECK_EQUAL(event_pending(ev, EV_TIMEOUT, &tv), EV_TIMEOUT);
	CHECK(tv.tv_usec >= 0 && tv.tv_usec < 1000000);
	evutil_gettimeofday(&now, NULL);
	evutil_timersub(&tv, &now, &tv);
	CHECK(tv.tv_sec >= 3 && tv.tv_sec <= 5);
	event_free(ev);
	event_base_free(base);
}

static int calls;

static void
count_and_delete_the_next(evutil_socket_t fd, short what, void *next)
{
	(void)fd;
	(void)what;
	calls++;
	if (next)
		CHECK_EQUAL(event_del(next), 0);
}

CASE(deleting_others_of_the_queue, EVERY_BACKEND)
{
	enum { COUNT = 1000 };
	struct event_base *base = new_base();
	const struct timeval *common = common_milliseconds(base, 5);
	struct event *events = calloc(COUNT, sizeof *events);
	int i;
	for (i = 0; i < COUNT; i++) {
		event_assign(&events[i], base, -1, 0, count_and_delete_the_next, i + 1 < COUNT ? &events[i + 1] : NULL);
		CHECK_EQUAL(event_add(&events[i], common), 0);
	}
	CHECK_EQUAL(event_base_dispatch(base), 1);
	printf("%d calls\n", calls);
	event_base_free(base);
	free(events);
}

/* Both are due when the loop begins. The persistent one is due again earlier than the other, which
 * is added again before it. */
static void
add_again(evutil_socket_t fd, short what, void *arg)
{
	struct event *self = *(struct event **)arg;
	const struct timeval common = *(const struct timeval *)((struct event **)arg)[1];
	(void)fd;
	(void)what;
	puts("added again");
	event_add(self, &common);
}

static void
count_to_two(evutil_socket_t fd, short what, void *arg)
{
	static int calls;
	(void)fd;
	(void)what;
	puts("persistent");
	/* At once: on a busy machine the other may be due in the same pass. */
	if (++calls == 2)
		event_base_loopbreak(arg);
}

CASE(late_persistent_events_keep_their_order, ONE_BACKEND)
{
	struct event_base *base = new_base();
	const struct timeval *common = common_milliseconds(base, 300);
	void *argument[2] = {NULL, (void *)common};
	struct event *one_shot = event_new(base, -1, 0, add_again, argument);
	struct event *persistent = event_new(base, -1, EV_PERSIST, count_to_two, base);
	long long begun;
	int tries = 0;
	argument[0] = one_shot;
	/* Again if it was so long that the persistent one would be due again later. */
	do {
		begun = milliseconds();
		CHECK_EQUAL(event_add(one_shot, common), 0);
		usleep(50000);
		CHECK_EQUAL(event_add(persistent, common), 0);
		usleep(450000);
	} while (milliseconds() - begun > 560 && tries++ < 50);
	CHECK_EQUAL(event_base_dispatch(base), 0);
	event_free(one_shot);
	event_free(persistent);
	event_base_free(base);
}

DIFFERENCE(a_million_microseconds_are_a_second, ONE_BACKEND,
	"a common timeout of 1,000,000 microseconds is not the same as one second")
{
	struct event_base *base = new_base();
	struct timeval second = {1, 0}, same = {0, 1000000};
	CHECK(event_base_init_common_timeout(base, &second) == event_base_init_common_timeout(base, &same));
	event_base_free(base);
}
