/* Signal events that also have a timeout. */
#include "observe.h"

#include <signal.h>

static struct event_base *base;
static int calls;

static void
print_signal(evutil_socket_t sig, short what, void *name)
{
	struct sigaction action;

	calls++;
	sigaction(SIGUSR1, NULL, &action);
	printf("%s: signal %d %s, %s\n", (const char *)name, (int)sig, flag_names(what),
	       action.sa_handler == SIG_IGN ? "restored" : "watched");
}

static struct event *
watch(short flags, long milliseconds_left)
{
	struct timeval tv = {milliseconds_left / 1000, milliseconds_left % 1000 * 1000};
	struct event *ev;

	base = event_base_new();
	signal(SIGUSR1, SIG_IGN);
	ev = event_new(base, SIGUSR1, EV_SIGNAL | flags, print_signal, flags ? "persistent" : "one-shot");
	CHECK(event_add(ev, &tv) == 0);
	return ev;
}

static void
end(struct event *ev)
{
	printf("pending: %s, %d added\n", flag_names(event_pending(ev, EV_SIGNAL | EV_TIMEOUT, NULL)),
	       event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	event_free(ev);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	event_base_free(base);
}

CASE(timeout_of_a_one_shot_signal, EVERY_BACKEND)
{
	struct event *ev = watch(0, 20);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	end(ev);
}

CASE(timeout_of_a_persistent_signal_ends_the_watch, EVERY_BACKEND)
{
	struct event *ev = watch(EV_PERSIST, 20);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	end(ev);
}

CASE(signal_before_the_timeout_of_a_one_shot, EVERY_BACKEND)
{
	struct event *ev = watch(0, 60000);
	raise(SIGUSR1);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	end(ev);
}

CASE(signal_before_the_timeout_of_a_persistent_event, EVERY_BACKEND)
{
	struct event *ev = watch(EV_PERSIST, 60000);
	raise(SIGUSR1);
	CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	printf("pending: %s\n", flag_names(event_pending(ev, EV_SIGNAL | EV_TIMEOUT, NULL)));
	CHECK_EQUAL(event_remove_timer(ev), 0);
	end(ev);
}

static void
add_again(evutil_socket_t sig, short what, void *ev)
{
	struct timeval minute = {60, 0};

	print_signal(sig, what, "adding again");
	if (what & EV_TIMEOUT)
		CHECK(event_add(*(struct event **)ev, &minute) == 0);
	else
		event_base_loopbreak(base);
}

CASE(signal_event_added_again_at_its_timeout, EVERY_BACKEND)
{
	struct timeval soon = {0, 10000};
	struct event *ev;

	base = event_base_new();
	signal(SIGUSR1, SIG_IGN);
	ev = evsignal_new(base, SIGUSR1, add_again, &ev);
	event_add(ev, &soon);
	event_base_loop(base, EVLOOP_ONCE);
	raise(SIGUSR1);
	CHECK_EQUAL(event_base_dispatch(base), 0);
	end(ev);
}

DIFFERENCE(remove_timer_keeps_a_queued_signal, ONE_BACKEND,
	"event_remove_timer loses the queued callback of a signal event")
{
	struct event *ev = watch(EV_PERSIST, 60000);

	event_active(ev, EV_SIGNAL, 1);
	event_remove_timer(ev);
	event_base_loop(base, EVLOOP_NONBLOCK);
	CHECK_EQUAL(calls, 1);
	end(ev);
}
