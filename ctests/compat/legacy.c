/* The interface of libevent 1.4: one current base, event_set and the macros of event.h. */
#define _GNU_SOURCE
#include <event.h>

#include "observe.h"

#include <event2/event_struct.h>

static void
print_name(int fd, short what, void *name)
{
	(void)fd;
	printf("%s: %s\n", (char *)name, flag_names(what));
}

CASE(a_program_of_its_time, EVERY_BACKEND)
{
	struct event reader, timer;
	struct timeval tv = {0, 5000};
	struct event_base *base = event_init();
	int ends[2];
	CHECK(base);
	printf("%s, %s\n", event_get_method(), event_base_get_method(base));
	make_pipe(ends);
	event_set(&reader, ends[0], EV_READ, print_name, "reader");
	CHECK(reader.ev_base == base);
	evtimer_set(&timer, print_name, "timer");
	CHECK_EQUAL(event_add(&reader, NULL), 0);
	CHECK_EQUAL(evtimer_add(&timer, &tv), 0);
	CHECK_EQUAL(evtimer_pending(&timer, NULL), EV_TIMEOUT);
	CHECK_EQUAL(evtimer_initialized(&timer), 1);
	put_byte(ends[1]);
	CHECK_EQUAL(event_dispatch(), 1);
	CHECK_EQUAL(event_loop(EVLOOP_NONBLOCK), 1);
	event_base_free(NULL);
}

CASE(macros_of_events, EVERY_BACKEND)
{
	struct event ev;
	struct timeval tv = {0, 1000};
	event_init();
	timeout_set(&ev, print_name, "timeout");
	CHECK_EQUAL(EVENT_FD(&ev), -1);
	CHECK_EQUAL(timeout_initialized(&ev), 1);
	CHECK_EQUAL(timeout_add(&ev, &tv), 0);
	CHECK_EQUAL(timeout_pending(&ev, NULL), EV_TIMEOUT);
	CHECK_EQUAL(timeout_del(&ev), 0);
	CHECK_EQUAL(timeout_add(&ev, &tv), 0);
	CHECK_EQUAL(event_dispatch(), 1);
	signal_set(&ev, 10, print_name, "signal");
	printf("events 0x%02x, fd %d, signal %d\n", ev.ev_events, EVENT_FD(&ev), EVENT_SIGNAL(&ev));
	CHECK_EQUAL(signal_initialized(&ev), 1);
	CHECK_EQUAL(signal_add(&ev, NULL), 0);
	CHECK_EQUAL(signal_pending(&ev, NULL), EV_SIGNAL);
	event_active(&ev, EV_SIGNAL, 1);
	CHECK_EQUAL(event_loop(EVLOOP_ONCE), 0);
	CHECK_EQUAL(signal_del(&ev), 0);
	evsignal_set(&ev, 12, print_name, "signal");
	printf("events 0x%02x, signal %d\n", ev.ev_events, EVENT_SIGNAL(&ev));
}

CASE(the_current_base_is_replaced, EVERY_BACKEND)
{
	struct event_base *first = event_init(), *second = event_init();
	struct event ev;
	CHECK(first != second);
	event_set(&ev, -1, 0, print_name, "on the second");
	CHECK(ev.ev_base == second);
	event_active(&ev, EV_READ, 1);
	CHECK_EQUAL(event_base_loop(first, EVLOOP_NONBLOCK), 1);
	CHECK_EQUAL(event_dispatch(), 1);
	event_base_free(first);
	event_set(&ev, -1, 0, print_name, "still on the second");
	CHECK(ev.ev_base == second);
	event_base_free(second);
	event_set(&ev, -1, 0, print_name, "on none");
	CHECK(!ev.ev_base);
}

CASE(new_bases_are_not_current, ONE_BACKEND)
{
	struct event_base *base = event_base_new();
	struct event ev;
	CHECK(base);
	event_set(&ev, -1, 0, print_name, "on none");
	CHECK(!ev.ev_base);
	CHECK_EQUAL(event_base_set(base, &ev), 0);
	CHECK(ev.ev_base == base);
	event_base_free(base);
}

CASE(loops_on_the_current_base, EVERY_BACKEND)
{
	struct timeval tv = {0, 5000};
	struct event ev;
	struct event_base *base = event_init();
	event_set(&ev, -1, EV_READ | EV_PERSIST, print_name, "event");
	CHECK_EQUAL(event_add(&ev, NULL), 0);
	CHECK_EQUAL(event_loopexit(&tv), 0);
	printf("%d, exit %d\n", event_loop(0), event_base_got_exit(base));
	CHECK_EQUAL(event_loopexit(NULL), 0);
	printf("%d, exit %d\n", event_dispatch(), event_base_got_exit(base));
	CHECK_EQUAL(event_once(-1, EV_TIMEOUT, print_name, "once", NULL), 0);
	CHECK_EQUAL(event_once(-1, EV_TIMEOUT, print_name, "timed once", &tv), 0);
	printf("%d\n", event_loop(EVLOOP_ONCE));
	printf("%d\n", event_loop(EVLOOP_ONCE));
	CHECK_EQUAL(event_loopbreak(), 0);
	printf("%d\n", event_loop(EVLOOP_NONBLOCK));
	CHECK_EQUAL(event_del(&ev), 0);
	printf("%d\n", event_dispatch());
}

CASE(priorities_of_the_current_base, EVERY_BACKEND)
{
	struct event first, second;
	struct event_base *base = event_init();
	CHECK_EQUAL(event_priority_init(4), 0);
	CHECK_EQUAL(event_base_get_npriorities(base), 4);
	CHECK_EQUAL(event_base_get_npriorities(NULL), 4);
	event_set(&first, -1, 0, print_name, "less urgent");
	event_set(&second, -1, 0, print_name, "urgent");
	printf("%d\n", first.ev_evcallback.evcb_pri);
	CHECK_EQUAL(event_priority_set(&second, 0), 0);
	event_active(&first, EV_READ, 1);
	event_active(&second, EV_READ, 1);
	CHECK_EQUAL(event_priority_init(2), -1);
	CHECK_EQUAL(event_dispatch(), 1);
}

CASE(time_of_the_current_base, EVERY_BACKEND)
{
	struct timeval tv, now;
	event_init();
	CHECK_EQUAL(event_base_update_cache_time(NULL), 0);
	CHECK_EQUAL(event_base_gettimeofday_cached(NULL, &tv), 0);
	evutil_gettimeofday(&now, NULL);
	CHECK(now.tv_sec - tv.tv_sec <= 1);
}

CASE(events_assigned_without_a_base_use_the_current, EVERY_BACKEND)
{
	struct event_base *base = event_init();
	struct event *allocated = event_new(NULL, -1, 0, print_name, "allocated");
	struct event assigned;
	CHECK(event_get_base(allocated) == base);
	CHECK_EQUAL(event_assign(&assigned, NULL, -1, 0, print_name, "assigned"), 0);
	CHECK(event_get_base(&assigned) == base);
	event_active(allocated, EV_READ, 1);
	event_active(&assigned, EV_READ, 1);
	CHECK_EQUAL(event_dispatch(), 1);
	event_free(allocated);
}

CASE(without_a_current_base, ONE_BACKEND)
{
	struct timeval tv = {0, 0};
	log_to_stdout();
	CHECK_EQUAL(event_loopexit(&tv), -1);
	CHECK_EQUAL(event_loopbreak(), -1);
	CHECK_EQUAL(event_once(-1, EV_TIMEOUT, print_name, "once", NULL), -1);
}

DIFFERENCE(running_without_a_current_base, ONE_BACKEND,
	"event_dispatch and other calls without a base crash before event_init")
{
	CHECK_EQUAL(event_dispatch(), -1);
	CHECK_EQUAL(event_loop(EVLOOP_NONBLOCK), -1);
	CHECK_EQUAL(event_priority_init(2), -1);
	CHECK(event_base_get_npriorities(NULL) <= 0);
	event_get_method();
}

/* What programs of that time did with the fields: attach to the base of the event. */
struct connection {
	int fd;
	struct event event;
	int flags;
};

static void
serve(int fd, short what, void *arg)
{
	struct connection *connection = arg;
	struct event_base *base = connection->event.ev_base;
	printf("fd ok %d, %s, flags 0x%02x\n", fd == connection->fd, flag_names(what), connection->flags);
	take_byte(fd);
	CHECK_EQUAL(event_del(&connection->event), 0);
	connection->flags = connection->flags & EV_READ ? EV_WRITE | EV_PERSIST : 0;
	if (!connection->flags)
		return;
	event_set(&connection->event, fd, (short)connection->flags, serve, connection);
	CHECK_EQUAL(event_base_set(base, &connection->event), 0);
	CHECK_EQUAL(event_add(&connection->event, NULL), 0);
}

CASE(events_in_structures_are_set_again, EVERY_BACKEND)
{
	struct event_base *base = event_base_new();
	struct connection *connection = calloc(1, sizeof *connection);
	int ends[2];
	make_socketpair(ends);
	connection->fd = ends[0];
	connection->flags = EV_READ | EV_PERSIST;
	event_set(&connection->event, ends[0], (short)connection->flags, serve, connection);
	CHECK_EQUAL(event_base_set(base, &connection->event), 0);
	CHECK_EQUAL(event_add(&connection->event, NULL), 0);
	put_byte(ends[1]);
	put_byte(ends[1]);
	CHECK_EQUAL(event_base_loop(base, 0), 1);
	free(connection);
	event_base_free(base);
}
