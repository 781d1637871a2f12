/* The event whose callback is running, as event_base_get_running_event reports it. */
#define _GNU_SOURCE
#include "trace.h"

#include <malloc.h>

static void
check_running(evutil_socket_t fd, short what, void *arg)
{
	struct event *running = event_base_get_running_event(arg);
	(void)fd;
	(void)what;
	printf("running: %d\n", running != NULL && event_get_callback_arg(running) == arg);
}

CASE(the_running_event, EVERY_BACKEND)
{
	struct event_base *base = new_base();
	struct event *ev = event_new(base, -1, 0, check_running, base);
	event_active(ev, EV_READ, 1);
	poll_once(base);
	CHECK_EQUAL(add_timed(ev, 0), 0);
	event_base_dispatch(base);
	CHECK_EQUAL(event_base_once(base, -1, EV_TIMEOUT, check_running, base, NULL), 0);
	event_base_dispatch(base);
	event_free(ev);
	event_base_free(base);
}

/* The address of the running event is known for as long as its callback runs. */
static void
free_running(evutil_socket_t fd, short what, void *base)
{
	struct event *running = event_base_get_running_event(base);
	(void)fd;
	(void)what;
	CHECK(running);
	event_free(running);
	CHECK(event_base_get_running_event(base) == running);
	printf("freed\n");
}

static void
run_events_that_free_themselves(void)
{
	static const short kinds[] = {0, EV_PERSIST, EV_SIGNAL, EV_SIGNAL | EV_PERSIST, EV_FINALIZE};
	struct event_base *base = new_base();
	size_t i;
	for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		event_active(event_new(base, kinds[i] & EV_SIGNAL ? SIGUSR1 : -1, kinds[i], free_running, base), EV_READ, 2);
		poll_once(base);
	}
	event_base_free(base);
}

CASE(the_running_event_may_be_freed, ONE_BACKEND)
{
	run_events_that_free_themselves();
}

static void
clear_and_free(void *memory)
{
	if (memory)
		explicit_bzero(memory, malloc_usable_size(memory));
	free(memory);
}

DIFFERENCE(the_freed_running_event_is_not_read, ONE_BACKEND,
	   "event_base_get_running_event reads an event that its callback has freed")
{
	event_set_mem_functions(malloc, realloc, clear_and_free);
	run_events_that_free_themselves();
}

DIFFERENCE(no_event_is_running, EVERY_BACKEND,
	"event_base_get_running_event crashes outside callbacks")
{
	struct event_base *base = new_base();
	struct event *ev = named_event(base, -1, 0, "called");
	CHECK(!event_base_get_running_event(base));
	event_active(ev, EV_READ, 1);
	poll_once(base);
	CHECK(!event_base_get_running_event(base));
	event_free(ev);
	event_base_free(base);
}
