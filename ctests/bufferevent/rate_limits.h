/* What the tests of rate limits share: a bufferevent that may send much at once, and what passes. */
#ifndef CTESTS_BUFFEREVENT_RATE_LIMITS_H
#define CTESTS_BUFFEREVENT_RATE_LIMITS_H

#include "one.h"

#include <event2/event_struct.h>

static struct traced side = {.name = "side", .drain = -1};
static const struct timeval long_tick = {1000, 0}, tick = {0, 50000};
static char data[2000000];

OBSERVE_ void
begin(short enabled)
{
	int size = 400000;

	make_base();
	make_connection(0, ends);
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &side);
	bufferevent_disable(bev, EV_WRITE);
	bufferevent_enable(bev, enabled);
	settle();
	printf("--\n");
}

OBSERVE_ int
in(void)
{
	return (int)evbuffer_get_length(bufferevent_get_input(bev));
}

/* When a timer of the base is due, the first one that there is. */
OBSERVE_ int
first_due(const struct event_base *where, const struct event *event, void *due)
{
	(void)where;
	*(struct timeval *)due = event->ev_timeout;
	return 1;
}

OBSERVE_ struct timeval
next_refill(void)
{
	struct timeval due = {0, 0};

	CHECK_EQUAL(event_base_foreach_event(base, first_due, &due), 1);
	return due;
}

static size_t bytes;

OBSERVE_ void
count_bytes(struct bufferevent *from, void *arg)
{
	struct evbuffer *input = bufferevent_get_input(from);

	(void)arg;
	bytes += evbuffer_get_length(input);
	evbuffer_drain(input, evbuffer_get_length(input));
}

#endif
