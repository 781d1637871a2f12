/* What the tests of connecting share: an address where somebody listens, refuses or lets connections hang. */
#ifndef CTESTS_BUFFEREVENT_CONNECTING_H
#define CTESTS_BUFFEREVENT_CONNECTING_H

#include "tools.h"

static struct traced client __attribute__((unused)) = {.name = "client", .drain = -1};

OBSERVE_ void
report_error(struct bufferevent *bev)
{
	printf("name error: %d\n", bufferevent_socket_get_dns_error(bev));
}

/* Where the tests connect to. */
static struct {
	union any_address address;
	socklen_t length;
	int listener;
} there;

OBSERVE_ int
connect_there(struct bufferevent *bev)
{
	return bufferevent_socket_connect(bev, &there.address.any, there.length);
}

OBSERVE_ void
listen_somewhere(int family)
{
	there.listener = listen_on(family, &there.address, &there.length);
	make_base();
}

OBSERVE_ void
stop_listening(void)
{
	close(there.listener);
	finish();
}

/* An address where nobody listens. */
OBSERVE_ socklen_t
refusing_address(int family, union any_address *address)
{
	socklen_t length;

	close(listen_on(family, address, &length));
	return length;
}

OBSERVE_ void
refuse_somewhere(int family)
{
	there.length = refusing_address(family, &there.address);
	make_base();
}

/* A listener whose queue is full: connections hang. */
static int queue[200], queued;

OBSERVE_ int
full_listener(union any_address *address, socklen_t *length)
{
	int listener = listen_on(AF_INET, address, length);

	CHECK(listen(listener, 1) == 0);
	while (queued < 200) {
		struct timeval wait = {0, 20000};
		fd_set set;
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

		queue[queued++] = fd;
		connect(fd, &address->any, *length);
		FD_ZERO(&set);
		FD_SET(fd, &set);
		if (select(fd + 1, NULL, &set, NULL, &wait) == 0)
			return listener;
	}
	harness_skip("the queue of a listener does not fill up");
}

OBSERVE_ void
free_it(struct bufferevent *bev, const char *callback)
{
	(void)callback;
	bufferevent_free(bev);
}

#endif
