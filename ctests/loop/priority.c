/* The order of callbacks within and across priorities, preemption, and limits on how many run before
 * the descriptors are looked at again. */
#define _GNU_SOURCE
#include "trace.h"

#include <signal.h>

static struct event_base *
base_with_priorities(int count)
{
	struct event_base *base = new_base();
	CHECK_EQUAL(event_base_priority_init(base, count), 0);
	return base;
}

CASE(first_activated_runs_first, EVERY_BACKEND)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
	struct event_base *base = new_base();
	struct event *events[6];
	int i;
	for (i = 0; i < 6; i++)
		events[i] = named_event(base, -1, 0, names[i]);
	for (i = 0; i < 6; i++)
		event_active(events[(i * 5 + 2) % 6], EV_READ, 1);
	event_active(events[2], EV_WRITE, 1);
	CHECK_EQUAL(event_del(events[1]), 0);
	event_active(events[1], EV_READ, 1);
	poll_once(base);
	for (i = 0; i < 6; i++)
		event_free(events[i]);
	event_base_free(base);
}

/* What is due after a less urgent callback runs in one pass, at one time. */
static struct timeval times[2];
static int times_noted;

static void
note_time(evutil_socket_t fd, short what, void *base)
{
	(void)fd;
	(void)what;
	CHECK_EQUAL(event_base_gettimeofday_cached(base, &times[times_noted++]), 0);
	usleep(20000);
}

static struct event *two[2];

static void
add_two(evutil_socket_t fd, short what, void *arg)
{
	struct timeval soon = {0, 1000};
	(void)fd;
	(void)what;
	(void)arg;
	CHECK_EQUAL(event_add(two[0], &soon), 0);
	CHECK_EQUAL(event_add(two[1], &soon), 0);
	usleep(20000);
}

CASE(a_pass_after_a_less_urgent_one_is_complete, EVERY_BACKEND)
{
	struct event_base *base = base_with_priorities(2);
	struct event *late = event_new(base, -1, 0, add_two, NULL);
	int i;
	CHECK_EQUAL(event_priority_set(late, 1), 0);
	for (i = 0; i < 2; i++) {
		two[i] = event_new(base, -1, 0, note_time, base);
		CHECK_EQUAL(event_priority_set(two[i], 0), 0);
	}
	event_active(late, EV_READ, 1);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(times_noted, 2);
	CHECK(evutil_timercmp(&times[0], &times[1], ==));
	for (i = 0; i < 2; i++)
		event_free(two[i]);
	event_free(late);
	event_base_free(base);
}

CASE(urgent_runs_first, EVERY_BACKEND)
{
	static const char *const names[] = {"0", "1", "2", "3", "4"};
	struct event_base *base = base_with_priorities(5);
	struct event *events[10];
	int i;
	for (i = 9; i >= 0; i--) {
		events[i] = named_event_at(base, -1, 0, names[i % 5], i % 5);
		event_active(events[i], i < 5 ? EV_READ : EV_WRITE, 1);
	}
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE), 10);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	for (i = 0; i < 10; i++)
		event_free(events[i]);
	event_base_free(base);
}

CASE(sources_in_order, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *manual, *reader, *timer, *signal_event;
	int ends[2];
	make_pipe(ends);
	put_byte(ends[1]);
	signal_event = named_event(base, 10, EV_SIGNAL, "signal");
	timer = named_event(base, -1, 0, "timer");
	reader = named_event(base, ends[0], EV_READ, "reader");
	manual = named_event(base, -1, 0, "manual");
	CHECK_EQUAL(event_add(signal_event, NULL), 0);
	CHECK_EQUAL(add_timed(timer, 1), 0);
	CHECK_EQUAL(event_add(reader, NULL), 0);
	event_active(manual, EV_READ, 1);
	raise(10);
	pause_milliseconds(30);
	poll_once(base);
	event_free(manual);
	event_free(reader);
	event_free(timer);
	event_free(signal_event);
	event_base_free(base);
}

CASE(readers_by_priority, EVERY_BACKEND)
{
	static const char *const names[] = {"most urgent", "middle", "least urgent"};
	struct event_base *base = base_with_priorities(3);
	struct event *events[3];
	int ends[3][2], i;
	for (i = 0; i < 3; i++) {
		make_pipe(ends[i]);
		put_byte(ends[i][1]);
		events[i] = added_event_at(base, ends[i][0], EV_READ, names[i], i);
	}
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	for (i = 0; i < 3; i++) {
		CHECK_EQUAL(event_priority_set(events[i], 2 - i), 0);
		CHECK_EQUAL(event_add(events[i], NULL), 0);
	}
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	for (i = 0; i < 3; i++)
		event_free(events[i]);
	event_base_free(base);
}

/* Chains of callbacks. */
struct link {
	const char *name;
	struct event *activates;
	struct event *self;
	int times;
	int writes_to;
};

static void
run_link(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;
	(void)fd;
	(void)what;
	printf("%s\n", link->name);
	if (link->writes_to) {
		put_byte(link->writes_to);
		link->writes_to = 0;
	}
	if (link->activates)
		event_active(link->activates, EV_READ, 1);
	if (link->times-- > 0)
		event_active(link->self, EV_READ, 1);
}

CASE(more_urgent_activation_preempts, EVERY_BACKEND)
{
	struct event_base *base = base_with_priorities(3);
	struct link preempting = {.name = "activates the urgent one"};
	struct event *first, *second, *urgent, *least;
	urgent = named_event_at(base, -1, 0, "urgent", 0);
	preempting.activates = urgent;
	first = event_new(base, -1, 0, run_link, &preempting);
	second = named_event(base, -1, 0, "at the same priority");
	least = named_event_at(base, -1, 0, "least urgent", 2);
	event_active(least, EV_READ, 1);
	event_active(first, EV_READ, 1);
	event_active(second, EV_READ, 1);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	event_free(first);
	event_free(second);
	event_free(urgent);
	event_free(least);
	event_base_free(base);
}

CASE(less_urgent_activation_waits, EVERY_BACKEND)
{
	struct event_base *base = base_with_priorities(2);
	struct link yielding = {.name = "activates the less urgent one"};
	struct event *first, *second, *less, *reader;
	int ends[2];
	make_pipe(ends);
	reader = named_event_at(base, ends[0], EV_READ, "urgent reader", 0);
	less = named_event_at(base, -1, 0, "less urgent", 1);
	yielding.activates = less;
	yielding.writes_to = ends[1];
	first = event_new(base, -1, 0, run_link, &yielding);
	second = named_event_at(base, -1, 0, "at the same priority", 0);
	CHECK_EQUAL(event_priority_set(first, 0), 0);
	CHECK_EQUAL(event_add(reader, NULL), 0);
	event_active(first, EV_READ, 1);
	event_active(second, EV_READ, 1);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(first);
	event_free(second);
	event_free(less);
	event_free(reader);
	event_base_free(base);
}

CASE(a_queue_runs_until_it_is_empty, EVERY_BACKEND)
{
	struct event_base *base = base_with_priorities(2);
	struct link again = {.name = "again", .times = 5};
	struct event *urgent, *less, *reader;
	int ends[2];
	make_pipe(ends);
	reader = named_event_at(base, ends[0], EV_READ, "reader", 0);
	less = named_event_at(base, -1, 0, "less urgent", 1);
	urgent = event_new(base, -1, 0, run_link, &again);
	again.self = urgent;
	again.writes_to = ends[1];
	CHECK_EQUAL(event_priority_set(urgent, 0), 0);
	CHECK_EQUAL(event_add(reader, NULL), 0);
	event_active(less, EV_READ, 1);
	event_active(urgent, EV_READ, 1);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(urgent);
	event_free(less);
	event_free(reader);
	event_base_free(base);
}

static int urgent_calls;

static void
break_at_the_fourth(evutil_socket_t fd, short what, void *base)
{
	(void)fd;
	printf("urgent: %s\n", flag_names(what));
	if (++urgent_calls % 4 == 0)
		CHECK_EQUAL(event_base_loopbreak(base), 0);
}

CASE(urgent_starves_the_others, EVERY_BACKEND)
{
	struct event_base *base = base_with_priorities(2);
	struct event *urgent, *less;
	int ends[2], i;
	make_pipe(ends);
	put_byte(ends[1]);
	urgent = event_new(base, ends[0], EV_READ | EV_PERSIST, break_at_the_fourth, base);
	CHECK_EQUAL(event_priority_set(urgent, 0), 0);
	less = named_event_at(base, ends[0], EV_READ | EV_PERSIST, "less urgent", 1);
	CHECK_EQUAL(event_add(urgent, NULL), 0);
	CHECK_EQUAL(event_add(less, NULL), 0);
	for (i = 0; i < 3; i++)
		printf("loop %d\n", event_base_dispatch(base));
	CHECK_EQUAL(less->ev_evcallback.evcb_flags & EVLIST_ACTIVE, EVLIST_ACTIVE);
	CHECK_EQUAL(event_del(urgent), 0);
	poll_once(base);
	event_free(urgent);
	event_free(less);
	event_base_free(base);
}

CASE(once_has_the_middle_priority, EVERY_BACKEND)
{
	static const char *const names[] = {"0", "1", "2", "3", "4"};
	struct event_base *base = base_with_priorities(5);
	struct event *events[5];
	int i;
	CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, print_call, "once", NULL), 0);
	for (i = 4; i >= 0; i--) {
		events[i] = named_event_at(base, -1, 0, names[i], i);
		event_active(events[i], EV_READ, 1);
	}
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	for (i = 0; i < 5; i++)
		event_free(events[i]);
	event_base_free(base);
}

/* Limits. An urgent reader becomes ready when the first callback runs; the less urgent ones show how
 * many run before it is noticed. */
static void
run_with_limits(const struct timeval *interval, int callbacks, int min_priority)
{
	enum { COUNT = 8 };
	static const char *const names[COUNT] = {"1", "2", "3", "4", "5", "6", "7", "8"};
	struct event_config *config = event_config_new();
	struct event_base *base;
	struct event *reader, *events[COUNT];
	struct link writing = {.name = "writes"};
	int ends[2], i;
	CHECK_EQUAL(event_config_set_max_dispatch_interval(config, interval, callbacks, min_priority), 0);
	base = event_base_new_with_config(config);
	event_config_free(config);
	CHECK_EQUAL(event_base_priority_init(base, 3), 0);
	make_pipe(ends);
	reader = added_event_at(base, ends[0], EV_READ, "urgent reader", 0);
	writing.writes_to = ends[1];
	for (i = 0; i < COUNT; i++) {
		if (i == 0)
			events[i] = event_new(base, -1, 0, run_link, &writing);
		else
			events[i] = named_event(base, -1, 0, names[i]);
		CHECK_EQUAL(event_priority_set(events[i], 1), 0);
		event_active(events[i], EV_READ, 1);
	}
	printf("interval %s, %d callbacks, from priority %d\n", interval ? "set" : "none", callbacks, min_priority);
	printf("loop %d\n", event_base_dispatch(base));
	for (i = 0; i < COUNT; i++)
		event_free(events[i]);
	event_free(reader);
	event_base_free(base);
	close(ends[0]);
	close(ends[1]);
}

CASE(limits_on_the_number_of_callbacks, EVERY_BACKEND)
{
	static const int numbers[] = {-1, 0, 1, 3, 7, 8, 100};
	size_t i;
	for (i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		run_with_limits(NULL, numbers[i], 0);
}

CASE(limits_start_at_a_priority, EVERY_BACKEND)
{
	run_with_limits(NULL, 2, 1);
	run_with_limits(NULL, 2, 2);
	run_with_limits(NULL, 2, -5);
	run_with_limits(NULL, 2, 100);
}

CASE(limits_on_the_time, EVERY_BACKEND)
{
	struct timeval zero = {0, 0}, hour = {3600, 0};
	run_with_limits(&zero, -1, 0);
	run_with_limits(&zero, -1, 1);
	run_with_limits(&zero, -1, 2);
	run_with_limits(&zero, 3, 0);
	run_with_limits(&hour, -1, 0);
	run_with_limits(&hour, 3, 0);
}

CASE(a_limit_keeps_the_rest_in_order, EVERY_BACKEND)
{
	static const char *const names[] = {"a", "b", "c", "d", "e"};
	struct event_config *config = event_config_new();
	struct event_base *base;
	struct event *events[5];
	struct link last = {.name = "activates a"};
	int i;
	CHECK_EQUAL(event_config_set_max_dispatch_interval(config, NULL, 2, 0), 0);
	base = event_base_new_with_config(config);
	event_config_free(config);
	for (i = 0; i < 5; i++)
		events[i] = i == 1 ? event_new(base, -1, 0, run_link, &last) : named_event(base, -1, 0, names[i]);
	last.activates = events[0];
	for (i = 0; i < 5; i++)
		event_active(events[i], EV_READ, 1);
	CHECK_EQUAL(event_base_loopexit(base, NULL), 0);
	printf("loop %d\n", event_base_dispatch(base));
	printf("active %d\n", event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE));
	printf("loop %d\n", event_base_loop(base, EVLOOP_ONCE));
	printf("active %d\n", event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE));
	for (i = 0; i < 5; i++)
		event_free(events[i]);
	event_base_free(base);
}

/* A slow callback ends the pass when the interval is over. */
static void
spend_time(evutil_socket_t fd, short what, void *name)
{
	pause_milliseconds(30);
	print_call(fd, what, name);
}

CASE(a_slow_callback_ends_the_pass, EVERY_BACKEND)
{
	struct timeval interval = {0, 10000};
	struct event_config *config = event_config_new();
	struct event_base *base;
	struct event *slow, *next, *reader;
	int ends[2];
	CHECK_EQUAL(event_config_set_max_dispatch_interval(config, &interval, -1, 1), 0);
	base = event_base_new_with_config(config);
	event_config_free(config);
	CHECK_EQUAL(event_base_priority_init(base, 2), 0);
	make_pipe(ends);
	reader = added_event_at(base, ends[0], EV_READ, "urgent reader", 0);
	slow = event_new(base, -1, 0, spend_time, "slow");
	next = named_event(base, -1, 0, "next");
	event_active(slow, EV_READ, 1);
	event_active(next, EV_READ, 1);
	put_byte(ends[1]);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_free(slow);
	event_free(next);
	event_free(reader);
	event_base_free(base);
}
