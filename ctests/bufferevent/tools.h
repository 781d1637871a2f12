/* What the tests of bufferevents share: callbacks that print their arguments, connected ends, and
 * running the loop until nothing happens any more. */
#ifndef CTESTS_BUFFEREVENT_TOOLS_H
#define CTESTS_BUFFEREVENT_TOOLS_H

#include "addresses.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/util.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>

static struct event_base *base __attribute__((unused));

/* The names of the bits of an event callback. */
OBSERVE_ const char *
event_names(short what)
{
	static const struct bit_name names[] = {{BEV_EVENT_READING, "reading"}, {BEV_EVENT_WRITING, "writing"},
						{BEV_EVENT_EOF, "eof"}, {BEV_EVENT_ERROR, "error"},
						{BEV_EVENT_TIMEOUT, "timeout"}, {BEV_EVENT_CONNECTED, "connected"},
						{0, NULL}};
	static char text[100];

	return bit_names(what, names, text);
}

OBSERVE_ const char *
enabled_names(struct bufferevent *bev)
{
	static const char *const names[] = {"none", "read", "write", "read and write"};
	short enabled = bufferevent_get_enabled(bev);

	return names[(enabled & EV_READ ? 1 : 0) + (enabled & EV_WRITE ? 2 : 0)];
}

/* What the argument of the printing callbacks says. */
struct traced {
	const char *name;
	int drain;               /* bytes that the read callback takes; -1: all */
	int reads, writes, events;
	short last;              /* the last event */
	void (*then)(struct bufferevent *bev, const char *callback); /* what else the callbacks do */
};

static int happened __attribute__((unused)); /* callbacks of all of them */

OBSERVE_ void
trace_read(struct bufferevent *bev, void *arg)
{
	struct traced *traced = arg;
	struct evbuffer *input = bufferevent_get_input(bev);

	happened++;
	traced->reads++;
	printf("%s: read, %d bytes\n", traced->name, (int)evbuffer_get_length(input));
	if (traced->drain)
		evbuffer_drain(input, traced->drain < 0 ? evbuffer_get_length(input) : (size_t)traced->drain);
	if (traced->then)
		traced->then(bev, "read");
}

OBSERVE_ void
trace_write(struct bufferevent *bev, void *arg)
{
	struct traced *traced = arg;

	happened++;
	traced->writes++;
	printf("%s: write, %d left\n", traced->name, (int)evbuffer_get_length(bufferevent_get_output(bev)));
	if (traced->then)
		traced->then(bev, "write");
}

OBSERVE_ void
trace_event(struct bufferevent *bev, short what, void *arg)
{
	struct traced *traced = arg;
	int error = errno;

	happened++;
	traced->events++;
	traced->last = what;
	printf("%s: event %s%s%s, enabled %s\n", traced->name, event_names(what), what & BEV_EVENT_ERROR ? ", " : "",
	       what & BEV_EVENT_ERROR ? strerror(error) : "", enabled_names(bev));
	if (traced->then)
		traced->then(bev, "event");
}

OBSERVE_ void
trace(struct bufferevent *bev, struct traced *traced)
{
	bufferevent_setcb(bev, trace_read, trace_write, trace_event, traced);
}

OBSERVE_ struct bufferevent *
make_bufferevent(int fd, int options, struct traced *traced)
{
	struct bufferevent *bev = bufferevent_socket_new(base, fd, options);

	CHECK(bev);
	if (traced)
		trace(bev, traced);
	return bev;
}

OBSERVE_ void
make_base(void)
{
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	CHECK(base);
}

/* Runs the loop without waiting until nothing happens any more. */
OBSERVE_ void
settle(void)
{
	int i;

	for (i = 0; i < 6; i++)
		CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
}

OBSERVE_ void
run_until(const int *count, int wanted)
{
	run_base_until(base, count, wanted);
}

/* Runs the loop for a time, and some passes more: the time may be over after one pass if the machine
 * was busy meanwhile. */
OBSERVE_ void
run_for(int duration)
{
	struct timeval time = {duration / 1000, duration % 1000 * 1000};
	int i;

	CHECK(event_base_loopexit(base, &time) == 0);
	CHECK(event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY) == 0);
	for (i = 0; i < 5; i++)
		CHECK(event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK) >= 0);
}

/* Ends without callbacks, and runs the finalizers. */
OBSERVE_ void
finish(void)
{
	settle();
	event_base_free(base);
}

/* What the raw end of a connection has received, without waiting. */
OBSERVE_ int
received(int fd, char *data, int size)
{
	int total = 0, got;

	while (total < size && (got = recv(fd, data + total, size - total, MSG_DONTWAIT)) > 0)
		total += got;
	return total;
}

OBSERVE_ void
send_all(int fd, const void *data, size_t size)
{
	CHECK(send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size);
}

/* A listening socket of a family, and its address. */
OBSERVE_ int
listen_on(int family, union any_address *address, socklen_t *length)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	*length = loopback_address(family, address);
	CHECK(bind(fd, &address->any, *length) == 0);
	CHECK(listen(fd, 500) == 0);
	*length = sizeof *address;
	CHECK(getsockname(fd, &address->any, length) == 0);
	return fd;
}

/* Two connected sockets of a family, non-blocking. */
OBSERVE_ void
make_connection(int family, int ends[2])
{
	union any_address address;
	socklen_t length;
	int listener;

	if (family == 0) {
		make_socketpair(ends);
		return;
	}
	listener = listen_on(family, &address, &length);
	ends[0] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(connect(ends[0], &address.any, length) == 0);
	ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	CHECK(ends[1] >= 0);
	CHECK(evutil_make_socket_nonblocking(ends[0]) == 0);
	close(listener);
}

/* A bufferevent on one end of a connection on which data has passed already. */
OBSERVE_ struct bufferevent *
make_used_connection(int ends[2], int options, struct traced *traced)
{
	struct bufferevent *bev;

	make_connection(0, ends);
	bev = make_bufferevent(ends[0], options, traced);
	bufferevent_enable(bev, EV_READ);
	send_all(ends[1], "x", 1);
	settle();
	CHECK_EQUAL(traced->reads, 1);
	return bev;
}

/* Closes a TCP connection with a reset. */
OBSERVE_ void
reset_connection(int fd)
{
	struct linger linger = {1, 0};

	CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
	close(fd);
}

#endif
