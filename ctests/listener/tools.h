/* What the tests of listeners share: addresses, clients, and a record of what was accepted. */
#ifndef CTESTS_LISTENER_TOOLS_H
#define CTESTS_LISTENER_TOOLS_H

#include "addresses.h"

#include <errno.h>
#include <event2/event_compat.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <netinet/tcp.h>
#include <stddef.h>

/* An abstract name: no file stays behind. */
OBSERVE_ int
abstract_address(const char *name, union any_address *address)
{
	memset(address, 0, sizeof *address);
	address->un.sun_family = AF_UNIX;
	snprintf(address->un.sun_path + 1, sizeof address->un.sun_path - 1, "ctests-%d-%s", (int)getpid(), name);
	return offsetof(struct sockaddr_un, sun_path) + 1 + strlen(address->un.sun_path + 1);
}

/* A blocking socket that is connected to where fd listens. */
OBSERVE_ int
connect_to(int fd)
{
	union any_address address;
	socklen_t length = sizeof address;
	int client;

	CHECK(getsockname(fd, &address.any, &length) == 0);
	client = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(client >= 0);
	CHECK(connect(client, &address.any, length) == 0);
	return client;
}

static struct event_base *base __attribute__((unused));
static struct evconnlistener *listener __attribute__((unused));
static int clients[5] __attribute__((unused));

/* A base with a listener. */
OBSERVE_ void
make_listener(unsigned flags, evconnlistener_cb callback)
{
	union any_address address;
	int length = abstract_address("listener", &address);

	base = event_base_new();
	listener = evconnlistener_new_bind(base, callback, NULL, flags, -1, &address.any, length);
	CHECK(listener);
}

OBSERVE_ void
connect_clients(void)
{
	int i;

	for (i = 0; i < 5; i++)
		clients[i] = connect_to(evconnlistener_get_fd(listener));
}

OBSERVE_ int
socket_option(int fd, int level, int option)
{
	int value = -1;
	socklen_t length = sizeof value;

	CHECK(getsockopt(fd, level, option, &value, &length) == 0);
	return value;
}

/* Whether the other end of a connected socket is gone. */
OBSERVE_ int
peer_is_gone(int fd)
{
	char byte;
	ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT);

	return got == 0 || (got < 0 && errno != EAGAIN);
}

static int accepted __attribute__((unused));

OBSERVE_ void
count_and_close(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	(void)listener;
	(void)address;
	(void)length;
	(void)arg;
	accepted++;
	close(fd);
}

/* Runs the loop without waiting until nothing happens any more. */
OBSERVE_ void
run_ready(struct event_base *base)
{
	int i;

	for (i = 0; i < 3; i++)
		CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
}

/* How often accepting is tried at most in so many milliseconds when it always fails: the pauses
 * grow from 10 milliseconds to 100. */
OBSERVE_ int
most_attempts(long long duration)
{
	return 6 + (int)(duration / 100);
}

#endif
