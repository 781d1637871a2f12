/* Programs as they were written for libevent 2.0, often to compile with 1.4 too: tests of the
 * library's configuration macros, bases in variables, events embedded in larger structures. */
#include <event2/event-config.h>
#ifdef _EVENT_HAVE_SYS_TIME_H
#include <sys/time.h>
#endif
#include <sys/types.h>
#ifdef _EVENT_HAVE_UNISTD_H
#include <unistd.h>
#endif
#include <event2/event.h>
#include <event2/event_compat.h>
#include <event2/event_struct.h>
#include <event2/thread.h>
#include <event2/util.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

/* What a program of that time did with the macros: the new calls when it can see that they exist. */
#if defined(_EVENT_NUMERIC_VERSION) && _EVENT_NUMERIC_VERSION >= 0x02000000
#define NEW_CALLS 1
#elif defined(LIBEVENT_VERSION_NUMBER) && LIBEVENT_VERSION_NUMBER >= 0x02000000
#define NEW_CALLS 1
#else
#define NEW_CALLS 0
#endif

CASE(configuration_macros_hold_what_they_say, ONE_BACKEND)
{
#if !defined(_EVENT_HAVE_SYS_TIME_H) || !defined(_EVENT_HAVE_UNISTD_H) || !defined(_EVENT_HAVE_PTHREADS) || !NEW_CALLS
	harness_fail(__FILE__, __LINE__, "programs can see what there is");
#endif
	CHECK_EQUAL(_EVENT_NUMERIC_VERSION, event_get_version_number());
	CHECK_STRING(_EVENT_VERSION, event_get_version());
	CHECK_EQUAL(_EVENT_SIZEOF_LONG, sizeof(long));
	CHECK_EQUAL(_EVENT_SIZEOF_SIZE_T, sizeof(size_t));
#ifdef _EVENT_DISABLE_THREAD_SUPPORT
	harness_fail(__FILE__, __LINE__, "threads are not disabled");
#endif
#ifdef _EVENT_DISABLE_MM_REPLACEMENT
	harness_fail(__FILE__, __LINE__, "memory functions are not disabled");
#endif
	CHECK_EQUAL(EVENT__NUMERIC_VERSION, event_get_version_number());
	CHECK_STRING(EVENT__VERSION, event_get_version());
	CHECK_STRING(LIBEVENT_VERSION, event_get_version());
	CHECK_EQUAL(LIBEVENT_VERSION_NUMBER, event_get_version_number());
}

static void
print_event(evutil_socket_t fd, short what, void *name)
{
	(void)fd;
	printf("%s: %d\n", (char *)name, what);
}

CASE(program_for_both_versions, EVERY_BACKEND)
{
	struct event_base *base;
	struct event *ev;

#if defined(_EVENT_HAVE_PTHREADS) || defined(EVTHREAD_USE_PTHREADS_IMPLEMENTED)
	CHECK_EQUAL(evthread_use_pthreads(), 0);
#endif
#if NEW_CALLS
	base = event_base_new();
	ev = event_new(base, -1, EV_PERSIST, print_event, (void *)"event");
#else
	base = event_init();
	ev = malloc(sizeof(*ev));
	event_set(ev, -1, EV_PERSIST, print_event, (void *)"event");
#endif
	event_active(ev, EV_TIMEOUT, 1);
	CHECK_EQUAL(event_base_dispatch(base), 1);
#if NEW_CALLS
	event_free(ev);
#else
	event_del(ev);
	free(ev);
#endif
	event_base_free(base);
}

/* The size is compared before events are allocated by hand. */
CASE(size_of_struct_event_is_compared, ONE_BACKEND)
{
	CHECK_EQUAL(event_get_struct_event_size(), sizeof(struct event));
}

/* --- Events embedded in a larger structure, found again from the event --- */

struct session {
	char name[16];
	struct event reader;
	int reads, idled;
	struct event idle;
	struct event_base *base;
};

static void
session_idle(evutil_socket_t fd, short what, void *arg)
{
	struct session *session = arg;

	(void)fd;
	CHECK_EQUAL(what, EV_TIMEOUT);
	session->idled++;
	event_del(&session->reader);
}

static void
session_read(evutil_socket_t fd, short what, void *arg)
{
	struct session *session = (struct session *)((char *)arg - offsetof(struct session, reader));
	struct timeval idle_after = {0, 400000};
	char byte;

	CHECK(read(fd, &byte, 1) == 1);
	printf("%s: %c, %d\n", session->name, byte, what);
	session->reads++;
	evtimer_add(&session->idle, &idle_after);
}

CASE(events_embedded_in_a_session, EVERY_BACKEND)
{
	static struct session sessions[3];
	struct event_base *base = event_base_new();
	int pairs[3][2], i;

	for (i = 0; i < 3; i++) {
		CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]) == 0);
		evutil_make_socket_nonblocking(pairs[i][0]);
		snprintf(sessions[i].name, sizeof(sessions[i].name), "session %d", i);
		sessions[i].base = base;
		CHECK(event_assign(&sessions[i].reader, base, pairs[i][0], EV_READ | EV_PERSIST, session_read,
				   &sessions[i].reader) == 0);
		evtimer_assign(&sessions[i].idle, base, session_idle, &sessions[i]);
		event_add(&sessions[i].reader, NULL);
	}
	for (i = 0; i < 3; i++) {
		CHECK(write(pairs[i][1], "a", 1) == 1);
		CHECK_EQUAL(event_base_loop(base, EVLOOP_ONCE), 0);
	}
	CHECK(write(pairs[0][1], "b", 1) == 1);
	while (event_base_loop(base, EVLOOP_ONCE) == 0)
		;
	CHECK_EQUAL(sessions[0].reads, 2);
	for (i = 0; i < 3; i++) {
		CHECK_EQUAL(sessions[i].idled, 1);
		CHECK(!event_pending(&sessions[i].reader, EV_READ | EV_TIMEOUT, NULL));
	}
	event_base_free(base);
}

/* Idle events are plain memory: copied, moved, and released without a call. */
CASE(idle_events_are_plain_memory, EVERY_BACKEND | OWN_DEBUG_MODE)
{
	struct event_base *base = event_base_new();
	struct event *made = malloc(sizeof(*made)), *moved = malloc(sizeof(*moved));

	event_assign(made, base, -1, 0, print_event, (void *)"moved");
	memcpy(moved, made, sizeof(*moved));
	memset(made, 0xee, sizeof(*made));
	free(made);
	event_add(moved, &(struct timeval){0, 1000});
	CHECK_EQUAL(event_base_dispatch(base), 1);
	free(moved);
	event_base_free(base);
}

/* A resolver or an old bufferevent trick: the descriptor and the mask are changed while idle. */
CASE(fields_written_while_idle_count, EVERY_BACKEND)
{
	struct event_base *base = event_base_new();
	struct event ev;
	int first[2], second[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, first) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, second) == 0);
	CHECK(write(second[1], "x", 1) == 1);
	event_assign(&ev, base, first[0], EV_READ, print_event, (void *)"second descriptor");
	ev.ev_fd = second[0];
	event_add(&ev, NULL);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	ev.ev_fd = first[0];
	ev.ev_events = EV_WRITE;
	ev.ev_evcallback.evcb_arg = (void *)"first descriptor, writing";
	event_add(&ev, NULL);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_base_free(base);
}

CASE(internal_mark_does_not_hold_the_loop, EVERY_BACKEND)
{
	struct event_base *base = event_base_new();
	struct event ev;

	evtimer_assign(&ev, base, print_event, (void *)"never");
	ev.ev_evcallback.evcb_flags |= EVLIST_INTERNAL;
	event_add(&ev, &(struct timeval){60, 0});
	CHECK_EQUAL(event_base_dispatch(base), 1);
	event_del(&ev);
	event_base_free(base);
}

/* Whether an event is registered was read from its flags. */
CASE(flags_tell_the_truth, EVERY_BACKEND)
{
	struct event_base *base = event_base_new();
	struct event ev;
	int pair[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	event_assign(&ev, base, pair[0], EV_READ | EV_PERSIST, print_event, (void *)"reader");
	printf("%#x\n", ev.ev_evcallback.evcb_flags);
	event_add(&ev, NULL);
	printf("%#x\n", ev.ev_evcallback.evcb_flags);
	event_add(&ev, &(struct timeval){60, 0});
	printf("%#x\n", ev.ev_evcallback.evcb_flags);
	event_active(&ev, EV_READ, 1);
	printf("%#x\n", ev.ev_evcallback.evcb_flags);
	event_base_loop(base, EVLOOP_ONCE);
	printf("%#x\n", ev.ev_evcallback.evcb_flags);
	event_del(&ev);
	printf("%#x\n", ev.ev_evcallback.evcb_flags);
	event_base_free(base);
}

CASE(time_left_is_read_from_the_event, ONE_BACKEND)
{
	struct event_base *base = event_base_new();
	struct timeval now, left, deadline;
	struct event ev;

	evtimer_assign(&ev, base, print_event, NULL);
	event_add(&ev, &(struct timeval){100, 0});
	event_gettime_monotonic(base, &now);
	evutil_timersub(&ev.ev_timeout, &now, &left);
	CHECK(left.tv_sec >= 90 && left.tv_sec <= 100);
	CHECK(event_pending(&ev, EV_TIMEOUT, &deadline));
	evutil_gettimeofday(&now, NULL);
	evutil_timersub(&deadline, &now, &left);
	CHECK(left.tv_sec >= 90 && left.tv_sec <= 100);
	event_del(&ev);
	event_base_free(base);
}
