/* Helpers for the tests of the event core: events that print their name when they run, and ways to run a
 * loop once. */
#ifndef CTESTS_TRACE_H
#define CTESTS_TRACE_H

#include "observe.h"

#include <arpa/inet.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <time.h>

/* A callback whose argument is the name of its event. */
OBSERVE_ void
print_call(evutil_socket_t fd, short what, void *name)
{
	(void)fd;
	printf("%s: %s\n", (const char *)name, flag_names(what));
}

/* An event that prints its name. */
OBSERVE_ struct event *
named_event(struct event_base *base, int fd, int what, const char *name)
{
	struct event *ev = event_new(base, fd, (short)what, print_call, (void *)name);
	CHECK(ev);
	return ev;
}

OBSERVE_ struct event *
named_event_at(struct event_base *base, int fd, int what, const char *name, int priority)
{
	struct event *ev = named_event(base, fd, what, name);
	CHECK_EQUAL(event_priority_set(ev, priority), 0);
	return ev;
}

/* The same, added without a time. */
OBSERVE_ struct event *
added_event(struct event_base *base, int fd, int what, const char *name)
{
	struct event *ev = named_event(base, fd, what, name);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	return ev;
}

OBSERVE_ struct event *
added_event_at(struct event_base *base, int fd, int what, const char *name, int priority)
{
	struct event *ev = named_event_at(base, fd, what, name, priority);
	CHECK_EQUAL(event_add(ev, NULL), 0);
	return ev;
}

OBSERVE_ struct event_base *
new_base(void)
{
	struct event_base *base = event_base_new();
	CHECK(base);
	return base;
}

OBSERVE_ struct event_base *
base_with_flags(int flags)
{
	struct event_config *config = event_config_new();
	struct event_base *base;
	CHECK(config);
	CHECK_EQUAL(event_config_set_flag(config, flags), 0);
	base = event_base_new_with_config(config);
	CHECK(base);
	event_config_free(config);
	return base;
}

OBSERVE_ struct timeval
milliseconds_from_now(int count)
{
	struct timeval tv = {count / 1000, count % 1000 * 1000};
	return tv;
}

OBSERVE_ void
pause_milliseconds(int count)
{
	struct timespec pause_for = {count / 1000, count % 1000 * 1000000L};
	nanosleep(&pause_for, NULL);
}

OBSERVE_ int
add_timed(struct event *ev, int count)
{
	struct timeval tv = milliseconds_from_now(count);
	return event_add(ev, &tv);
}

/* Polls once and runs what is ready. */
OBSERVE_ int
poll_once(struct event_base *base)
{
	return event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/* Runs the loop for so many milliseconds, and some passes more: the time may be over after one pass
 * if the machine was busy meanwhile. */
OBSERVE_ void
run_for(struct event_base *base, int count)
{
	struct timeval tv = milliseconds_from_now(count);
	int i;

	CHECK_EQUAL(event_base_loopexit(base, &tv), 0);
	event_base_loop(base, 0);
	for (i = 0; i < 5; i++)
		poll_once(base);
}

OBSERVE_ bool
uses_method(struct event_base *base, const char *name)
{
	return strncmp(event_base_get_method(base), name, strlen(name)) == 0;
}

OBSERVE_ bool
uses_changelist(struct event_base *base)
{
	return strstr(event_base_get_method(base), "changelist") != NULL;
}

/* Two connected TCP sockets on the loopback. */
OBSERVE_ void
make_tcp_pair(int ends[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(listener >= 0);
	CHECK(bind(listener, (struct sockaddr *)&address, length) == 0);
	CHECK(listen(listener, 1) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
	ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(ends[0] >= 0);
	CHECK(connect(ends[0], (struct sockaddr *)&address, length) == 0);
	ends[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	CHECK(ends[1] >= 0);
	CHECK(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
	close(listener);
}

/* Gives a descriptor a number that is the same in every run, for messages that show it. */
OBSERVE_ int
renumber(int fd, int number)
{
	CHECK(dup3(fd, number, O_CLOEXEC) == number);
	close(fd);
	return number;
}

/* A pair of which the first end has such a number. */
OBSERVE_ void
make_numbered_socketpair(int ends[2], int number)
{
	make_socketpair(ends);
	renumber(ends[0], number);
}

#endif
