/* Mistakes that the library makes for the program, and that valgrind and the sanitizers have to find
 * in its code, for `run --self-test --under TOOL`: those of memory (memory_...), of threads (race_...),
 * and none (clean_...). */
#include "observe.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>

static struct event_base *base;

CASE(clean_use, ONE_BACKEND)
{
	struct event *ev;

	base = event_base_new();
	ev = event_new(base, -1, 0, ignore_event, NULL);
	event_add(ev, &(struct timeval){0, 0});
	event_base_dispatch(base);
	event_free(ev);
	event_base_free(base);
}

CASE(memory_after_it_was_freed, ONE_BACKEND)
{
	struct event *ev;

	base = event_base_new();
	ev = event_new(base, -1, 0, ignore_event, NULL);
	event_free(ev);
	event_add(ev, &(struct timeval){60, 0});
}

CASE(memory_that_was_lost, ONE_BACKEND)
{
	base = event_base_new();
	event_new(base, -1, 0, ignore_event, NULL);
	event_base_free(base);
}

static void *
add_events(void *unused)
{
	static __thread struct event events[100];
	int i;

	for (i = 0; i < 100; i++) {
		event_assign(&events[i], base, -1, 0, ignore_event, NULL);
		event_active(&events[i], EV_READ, 1);
		event_del(&events[i]);
	}
	return unused;
}

CASE(race_for_a_base_without_a_lock, ONE_BACKEND)
{
	pthread_t thread;

	base = event_base_new();
	pthread_create(&thread, NULL, add_events, NULL);
	add_events(NULL);
	pthread_join(thread, NULL);
}
