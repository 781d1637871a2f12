/* Patterns of the loop: bases, descriptors, activation, finalizers. */
#include "patterns.h"

#include <pthread.h>
#include <signal.h>

static struct event_base *
base_with(int flags)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	event_config_set_flag(config, flags);
	base = event_base_new_with_config(config);
	event_config_free(config);
	REQUIRE(base);
	return base;
}

/* Descriptors that stay readable, each with a persistent event. */
static struct event **
watch_many(struct event_base *base, long n, event_callback_fn callback, void *arg)
{
	struct event **events = calloc((size_t)n, sizeof *events);

	for (long i = 0; i < n; i++) {
		int fd = eventfd(1, EFD_NONBLOCK);
		REQUIRE(fd >= 0);
		events[i] = event_new(base, fd, EV_READ | EV_PERSIST, callback, arg);
		REQUIRE(event_add(events[i], NULL) == 0);
	}
	return events;
}

PATTERN(base_new_and_free, 200)
{
	while (n--)
		event_base_free(event_base_new());
}

PATTERN(bases_with_threads, 300)
{
	struct event_base **bases = calloc((size_t)n, sizeof *bases);

	REQUIRE(evthread_use_pthreads() == 0);
	for (long i = 0; i < n; i++)
		REQUIRE(bases[i] = event_base_new());
	pattern_load_is_over();
	for (long i = 0; i < n; i++)
		event_base_free(bases[i]);
}

PATTERN(bases_that_have_read_a_byte, 200)
{
	struct event_base **bases = calloc((size_t)n, sizeof *bases);
	struct bufferevent **bevs = calloc((size_t)n, sizeof *bevs);

	for (long i = 0; i < n; i++) {
		int ends[2];
		make_sockets(ends);
		bases[i] = event_base_new();
		bevs[i] = bufferevent_socket_new(bases[i], ends[0], 0);
		bufferevent_enable(bevs[i], EV_READ);
		put(ends[1], "x", 1);
		turn(bases[i]);
	}
	pattern_load_is_over();
	for (long i = 0; i < n; i++) {
		bufferevent_free(bevs[i]);
		event_base_free(bases[i]);
	}
}

PATTERN(watched_descriptors, 1000)
{
	struct event_base *base = event_base_new();
	long calls = 0;
	struct event **events = watch_many(base, n, count_call, &calls);

	for (int i = 0; i < 10; i++)
		turn(base);
	pattern_load_is_over();
	for (long i = 0; i < n; i++)
		event_free(events[i]);
	event_base_free(base);
}

PATTERN(one_high_descriptor, 100)
{
	struct event_base *base = event_base_new();
	int ends[2], high;
	struct event *ev;

	make_sockets(ends);
	high = fcntl(ends[0], F_DUPFD, 900);
	ev = event_new(base, high, EV_READ | EV_PERSIST, nothing, NULL);
	while (n--) {
		event_add(ev, NULL);
		turn(base);
		event_del(ev);
	}
	pattern_load_is_over();
	event_free(ev);
	event_base_free(base);
}

PATTERN(persistent_and_ready, 2000)
{
	struct event_base *base = event_base_new();
	long calls = 0;
	struct event **events = watch_many(base, 1, count_call, &calls);

	while (n--)
		turn(base);
	event_free(events[0]);
	event_base_free(base);
}

static void
add_again(evutil_socket_t fd, short what, void *arg)
{
	nothing(fd, what, arg);
	event_add(*(struct event **)arg, NULL);
}

PATTERN(one_shot_added_again, 2000)
{
	struct event_base *base = event_base_new();
	struct event *ev;

	ev = event_new(base, eventfd(1, EFD_NONBLOCK), EV_READ, add_again, &ev);
	event_add(ev, NULL);
	while (n--)
		turn(base);
	event_free(ev);
	event_base_free(base);
}

PATTERN(add_and_delete, 2000)
{
	struct event_base *base = event_base_new();
	struct event *ev = event_new(base, eventfd(1, EFD_NONBLOCK), EV_READ, nothing, NULL);

	while (n--) {
		event_add(ev, NULL);
		event_del(ev);
	}
	event_free(ev);
	event_base_free(base);
}

PATTERN(changelist_changes_that_cancel_out, 500)
{
	struct event_base *base = base_with(EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	struct event *reader, *writer;
	int ends[2];

	make_sockets(ends);
	reader = event_new(base, ends[0], EV_READ | EV_PERSIST, nothing, NULL);
	writer = event_new(base, ends[0], EV_WRITE | EV_PERSIST, nothing, NULL);
	event_add(reader, NULL);
	while (n--) {
		for (int i = 0; i < 10; i++) {
			event_add(writer, NULL);
			event_del(writer);
		}
		turn(base);
	}
	event_free(reader);
	event_free(writer);
	event_base_free(base);
}

PATTERN(many_events_on_a_descriptor, 2000)
{
	struct event_base *base = event_base_new();
	struct event **events = calloc((size_t)n, sizeof *events);
	int fd = eventfd(1, EFD_NONBLOCK);

	for (long i = 0; i < n; i++) {
		events[i] = event_new(base, fd, EV_READ | EV_PERSIST, nothing, NULL);
		event_add(events[i], NULL);
	}
	turn(base);
	pattern_load_is_over();
	for (long i = 0; i < n; i++)
		event_free(events[i]);
	event_base_free(base);
}

/* Events that come to a descriptor that another one watches already, and go. */
PATTERN(events_beside_another, 500)
{
	struct event_base *base = event_base_new();
	struct event **events = calloc(10, sizeof *events);
	int fd = eventfd(1, EFD_NONBLOCK);

	for (int i = 0; i < 10; i++)
		events[i] = event_new(base, fd, EV_READ | EV_PERSIST, nothing, NULL);
	event_add(events[0], NULL);
	while (n--) {
		for (int i = 1; i < 10; i++)
			event_add(events[i], NULL);
		for (int i = 1; i < 10; i++)
			event_del(events[i]);
	}
	for (int i = 0; i < 10; i++)
		event_free(events[i]);
	free(events);
	event_base_free(base);
}

struct clock {
	struct event_base *base;
	long readings;
};

static void
read_the_cached_time(evutil_socket_t fd, short what, void *arg)
{
	struct clock *clock = arg;
	struct timeval now;

	nothing(fd, what, NULL);
	while (clock->readings--)
		event_base_gettimeofday_cached(clock->base, &now);
}

PATTERN(cached_time_in_a_callback, 10000)
{
	struct clock clock = {event_base_new(), n};
	struct event *ev = event_new(clock.base, -1, 0, read_the_cached_time, &clock);

	event_active(ev, EV_READ, 1);
	turn(clock.base);
	event_free(ev);
	event_base_free(clock.base);
}

PATTERN(activated_by_hand, 2000)
{
	struct event_base *base = event_base_new();
	struct event *ev = event_new(base, -1, 0, nothing, NULL);

	while (n--) {
		event_active(ev, EV_READ, 1);
		turn(base);
	}
	event_free(ev);
	event_base_free(base);
}

PATTERN(once_with_timeouts, 2000)
{
	struct event_base *base = event_base_new();
	struct timeval none = {0, 0};
	long calls = 0, added = n;

	while (n--)
		event_base_once(base, -1, EV_TIMEOUT, count_call, &calls, &none);
	event_base_dispatch(base);
	REQUIRE(calls == added);
	pattern_load_is_over();
	event_base_free(base);
}

PATTERN(priorities, 1000)
{
	struct event_base *base = event_base_new();
	struct event *events[16];

	event_base_priority_init(base, 16);
	for (int i = 0; i < 16; i++) {
		events[i] = event_new(base, -1, 0, nothing, NULL);
		event_priority_set(events[i], i);
	}
	while (n--) {
		for (int i = 0; i < 16; i++)
			event_active(events[i], EV_READ, 1);
		for (int i = 0; i < 16; i++)
			turn(base);
	}
	for (int i = 0; i < 16; i++)
		event_free(events[i]);
	event_base_free(base);
}

PATTERN(signals, 1000)
{
	struct event_base *base = event_base_new();
	long calls = 0;
	struct event *ev = event_new(base, SIGUSR1, EV_SIGNAL | EV_PERSIST, count_call, &calls);

	event_add(ev, NULL);
	while (n--) {
		raise(SIGUSR1);
		turn(base);
	}
	event_free(ev);
	event_base_free(base);
}

static void
free_nothing(struct event *ev, void *arg)
{
	(void)ev;
	(void)arg;
}

PATTERN(finalizers_then_base_free, 1000)
{
	struct event_base *base = event_base_new();
	struct event **events = watch_many(base, 500, nothing, NULL);

	while (n--)
		event_free_finalize(0, event_new(base, -1, 0, nothing, NULL), free_nothing);
	event_base_free(base);
	free(events);
}

static void
debug_mode_events(long n, int descriptors)
{
	struct timeval hour = {3600, 0};
	struct event_base *base;
	struct event **events = calloc((size_t)n, sizeof *events);

	event_enable_debug_mode();
	base = event_base_new();
	for (long i = 0; i < n; i++)
		events[i] = event_new(base, descriptors ? eventfd(0, EFD_NONBLOCK) : -1, descriptors ? EV_READ : 0, nothing, NULL);
	for (int round = 0; round < 3; round++) {
		for (long i = 0; i < n; i++)
			event_add(events[i], &hour);
		for (long i = 0; i < n; i++)
			event_del(events[i]);
	}
	for (long i = 0; i < n; i++)
		event_free(events[i]);
	event_base_free(base);
}

PATTERN(debug_mode_timers, 2000)
{
	debug_mode_events(n, 0);
}

PATTERN(debug_mode_descriptors, 1000)
{
	debug_mode_events(n, 1);
}

/* --- Threads, each with a base of its own. --------------------------------------------------------- */

static void *
run_a_loop(void *arg)
{
	struct event_base *base = event_base_new();
	long calls = 0;
	struct event **events = watch_many(base, 10, count_call, &calls);

	(void)arg;
	while (calls < 20000)
		turn(base);
	for (int i = 0; i < 10; i++) {
		close(event_get_fd(events[i]));
		event_free(events[i]);
	}
	event_base_free(base);
	return NULL;
}

PATTERN(threads_with_a_base_each, 2)
{
	pthread_t *threads = calloc((size_t)n, sizeof *threads);

	REQUIRE(evthread_use_pthreads() == 0);
	for (long i = 0; i < n; i++)
		REQUIRE(pthread_create(&threads[i], NULL, run_a_loop, NULL) == 0);
	for (long i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	free(threads);
}
