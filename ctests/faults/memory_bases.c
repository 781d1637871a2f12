/* Bases with everything that can be configured, while memory runs out. */
#define _GNU_SOURCE
#include "scenarios.h"

#include <event2/event_struct.h>

static void
count(evutil_socket_t fd, short what, void *counter)
{
	(void)fd;
	(void)what;
	++*(int *)counter;
}

static int
count_listed(const struct event_base *base, const struct event *event, void *counter)
{
	(void)base;
	(void)event;
	++*(int *)counter;
	return 0;
}

enum { COMMON = 6, EVENTS = 4 * COMMON, PRIORITIES = 8 };

/* A base with what can be configured. */
static struct event_base *
configured_base(int flags, int threads, int *refused)
{
	static const char *const unknown[] = {"devpoll", "kqueue", "nothing"};
	const struct timeval interval = {5, 0};
	struct event_config *configuration = event_config_new();
	struct event_base *base;
	int i;
	if (!configuration)
		return NULL;
	for (i = 0; i < 3; i++)
		*refused |= event_config_avoid_method(configuration, unknown[i]) != 0;
	*refused |= event_config_set_flag(configuration, flags) != 0;
	*refused |= event_config_set_max_dispatch_interval(configuration, &interval, 3, 1) != 0;
	*refused |= threads && evthread_use_pthreads();
	base = event_base_new_with_config(configuration);
	event_config_free(configuration);
	if (base)
		*refused |= event_base_priority_init(base, PRIORITIES) != 0;
	return base;
}

/* Timers with common timeouts, and every fourth event is a signal's. How many were added. */
static int
add_events(struct event_base *base, struct event **events, int *ran)
{
	int i, added = 0;
	for (i = 0; i < EVENTS; i++) {
		const struct timeval duration = {0, 1000 * (i % COMMON + 1)}, *common = event_base_init_common_timeout(base, &duration);
		int is_signal = i % 4 == 3;
		events[i] = event_new(base, is_signal ? SIGUSR1 : -1, is_signal ? EV_SIGNAL | EV_PERSIST : EV_PERSIST, count, ran);
		if (!events[i])
			continue;
		event_priority_set(events[i], i % event_base_get_npriorities(base));
		if (event_add(events[i], common ? common : &duration))
			HOLDS(!event_pending(events[i], EV_TIMEOUT | EV_SIGNAL, NULL), "what was not added is pending");
		else
			added += common != NULL;
	}
	return added;
}

static void
list_events(struct event_base *base, int added)
{
	int listed = 0;
	FILE *nowhere = fopen("/dev/null", "w");
	HOLDS(event_base_foreach_event(base, count_listed, &listed) == 0 && listed >= added, "what was added is not listed");
	event_base_dump_events(base, nowhere);
	fclose(nowhere);
}

static enum ending
use_base(int flags, int threads)
{
	const struct timeval later = {5, 0}, at_once = {0, 0};
	struct event *events[EVENTS] = {NULL};
	int refused = 0, ran = 0, once = 0, taken, added, i;
	struct event_base *base = configured_base(flags, threads, &refused);
	if (!base)
		return REFUSED;
	added = add_events(base, events, &ran);
	refused |= added < EVENTS;
	list_events(base, added);
	taken = !event_base_once(base, -1, EV_TIMEOUT, count, &once, &at_once);
	/* Nobody waits for this one. */
	refused |= !taken || event_base_once(base, -1, EV_TIMEOUT, count, &once, &later);
	for (i = 0; i < 3; i++)
		refused |= event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0;
	refused |= event_base_loopexit(base, NULL) != 0;
	for (i = 0; i < EVENTS; i++) {
		if (events[i])
			event_free(events[i]);
	}
	finish_base(base);
	HOLDS(!taken || once == 1, "a timeout that was taken did not run");
	return refused ? REFUSED : DONE;
}

IN_MEMORY(bases)
{
	return use_base(0, 0);
}

IN_MEMORY(bases_without_locks)
{
	return use_base(EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV | EVENT_BASE_FLAG_NO_CACHE_TIME | EVENT_BASE_FLAG_PRECISE_TIMER, 1);
}

IN_MEMORY(bases_with_locks)
{
	return use_base(EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST | EVENT_BASE_FLAG_STARTUP_IOCP, 1);
}

IN_MEMORY(bases_with_lock_debugging)
{
	static int debugging;
	if (!debugging++)
		evthread_enable_lock_debugging();
	return use_base(0, 1);
}

/* Debug mode cannot go on without memory for its notes. */
static void
refuse(int error)
{
	(void)error;
	_exit(REFUSED);
}

IN_MEMORY(debug_mode)
{
	enum { ASSIGNED = 30 };
	static int debugging;
	struct event events[ASSIGNED];
	struct event_base *base;
	int i, ran = 0;
	event_set_fatal_callback(refuse);
	if (!debugging++)
		event_enable_debug_mode();
	if (!(base = new_base(0)))
		return REFUSED;
	for (i = 0; i < ASSIGNED; i++) {
		HOLDS(!event_assign(&events[i], base, -1, EV_PERSIST, count, &ran), "an event cannot be assigned");
		event_active(&events[i], EV_READ, 1);
	}
	event_base_loop(base, EVLOOP_NONBLOCK);
	HOLDS(ran == ASSIGNED, "not all ran");
	for (i = 0; i < ASSIGNED; i++) {
		event_del(&events[i]);
		event_debug_unassign(&events[i]);
	}
	finish_base(base);
	return DONE;
}

enum { MANY = 20 };

IN_MEMORY(descriptors)
{
	struct event_base *base = new_base(0);
	struct event *events[MANY] = {NULL};
	int pipes[MANY][2], i, ran = 0, added = 0, refused = 0;
	if (!base)
		return REFUSED;
	for (i = 0; i < MANY; i++) {
		HOLDS(pipe2(pipes[i], O_NONBLOCK | O_CLOEXEC) == 0 && write(pipes[i][1], "x", 1) == 1, "a pipe");
		events[i] = event_new(base, pipes[i][0], EV_READ | (i % 2 ? EV_PERSIST : 0) | (i % 3 ? 0 : EV_CLOSED), count, &ran);
		if (!events[i] || event_add(events[i], NULL))
			refused = 1;
		else
			added++;
	}
	for (i = 0; i < 50 && ran < added; i++)
		refused |= event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0;
	HOLDS(refused || ran >= added, "not all ran");
	for (i = 0; i < MANY; i++) {
		if (events[i])
			event_free(events[i]);
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	finish_base(base);
	return refused ? REFUSED : DONE;
}
