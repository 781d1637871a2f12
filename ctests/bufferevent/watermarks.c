/* Watermarks of socket bufferevents, at their boundaries. */
#include "one.h"

#include <event2/bufferevent_struct.h>

static struct traced side = {.name = "side"};
static char data[300000];

static void
begin(short enabled)
{
	connect_bufferevent(0);
	bufferevent_enable(bev, enabled);
	settle();
	printf("--\n");
}

static int
in(void)
{
	return (int)evbuffer_get_length(bufferevent_get_input(bev));
}

static int
reading(void)
{
	return event_pending(&bev->ev_read, EV_READ, NULL) != 0;
}

CASE(set_and_get, ONE_BACKEND)
{
	size_t low, high;

	begin(EV_READ);
	bufferevent_setwatermark(bev, EV_READ, 1, 2);
	bufferevent_setwatermark(bev, EV_WRITE, 3, 4);
	CHECK_EQUAL(bufferevent_getwatermark(bev, EV_READ, &low, &high), 0);
	CHECK(low == 1 && high == 2);
	CHECK_EQUAL(bufferevent_getwatermark(bev, EV_WRITE, &low, &high), 0);
	CHECK(low == 3 && high == 4);
	bufferevent_setwatermark(bev, EV_READ | EV_WRITE, 5, 60);
	CHECK_EQUAL(bufferevent_getwatermark(bev, EV_READ, &low, NULL), 0);
	CHECK(low == 5);
	CHECK_EQUAL(bufferevent_getwatermark(bev, EV_WRITE, NULL, &high), 0);
	CHECK(high == 60);
	bufferevent_setwatermark(bev, 0, 7, 70);
	CHECK_EQUAL(bufferevent_getwatermark(bev, EV_READ, &low, &high), 0);
	CHECK(low == 5 && high == 60);
	end();
}

CASE(low_read, EVERY_BACKEND)
{
	begin(EV_READ);
	bufferevent_setwatermark(bev, EV_READ, 10, 0);
	send_all(ends[1], data, 9);
	settle();
	CHECK_EQUAL(in(), 9);
	CHECK_EQUAL(side.reads, 0);
	send_all(ends[1], data, 1);
	settle();
	CHECK_EQUAL(side.reads, 1);
	send_all(ends[1], data, 1);
	settle();
	CHECK_EQUAL(side.reads, 2);
	/* Setting it calls no callback. */
	bufferevent_setwatermark(bev, EV_READ, 5, 0);
	settle();
	CHECK_EQUAL(side.reads, 2);
	end();
}

/* Reading stops exactly at the mark and continues when there is room. */
CASE(high_read, EVERY_BACKEND)
{
	begin(EV_READ);
	bufferevent_setwatermark(bev, EV_READ, 0, 10);
	bufferevent_setcb(bev, NULL, trace_write, trace_event, &side);
	send_all(ends[1], data, 9);
	settle();
	CHECK_EQUAL(in(), 9);
	CHECK(reading());
	send_all(ends[1], data, 30);
	settle();
	CHECK_EQUAL(in(), 10);
	CHECK(!reading());
	evbuffer_drain(bufferevent_get_input(bev), 1);
	CHECK(reading());
	CHECK_EQUAL(in(), 9);
	settle();
	CHECK_EQUAL(in(), 10);
	evbuffer_drain(bufferevent_get_input(bev), 10);
	settle();
	CHECK_EQUAL(in(), 10);
	/* A new mark applies at once. */
	bufferevent_setwatermark(bev, EV_READ, 0, 15);
	CHECK(reading());
	settle();
	CHECK_EQUAL(in(), 15);
	bufferevent_setwatermark(bev, EV_READ, 0, 5);
	CHECK(!reading());
	evbuffer_drain(bufferevent_get_input(bev), 10);
	settle();
	CHECK_EQUAL(in(), 5);
	evbuffer_drain(bufferevent_get_input(bev), 5);
	settle();
	CHECK_EQUAL(in(), 5);
	bufferevent_setwatermark(bev, EV_READ, 0, 0);
	settle();
	CHECK_EQUAL(in(), 13);
	CHECK(reading());
	end();
}

CASE(low_above_high, ONE_BACKEND)
{
	begin(EV_READ);
	bufferevent_setwatermark(bev, EV_READ, 20, 10);
	send_all(ends[1], data, 30);
	settle();
	CHECK_EQUAL(in(), 10);
	CHECK_EQUAL(side.reads, 0);
	end();
}

CASE(low_equals_high, EVERY_BACKEND)
{
	side.drain = -1;
	begin(EV_READ);
	bufferevent_setwatermark(bev, EV_READ, 10, 10);
	send_all(ends[1], data, 35);
	settle();
	CHECK_EQUAL(side.reads, 3);
	CHECK_EQUAL(in(), 5);
	end();
}

static int calls_left;

static void
drain_after_some_calls(struct bufferevent *self, const char *callback)
{
	if (!strcmp(callback, "read") && --calls_left == 0)
		evbuffer_drain(bufferevent_get_input(self), 5);
}

/* The callback comes again, without new data, as long as the input is full and something drains. */
CASE(full_input_is_reported_again, ONE_BACKEND)
{
	side.drain = 3;
	begin(EV_READ);
	bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
	send_all(ends[1], data, 20);
	settle();
	CHECK_EQUAL(in(), 20);
	bufferevent_setwatermark(bev, EV_READ, 0, 10);
	trace(bev, &side);
	bufferevent_trigger(bev, EV_READ, 0);
	settle();
	CHECK(in() < 10);
	end();
}

CASE(disabled_while_full, ONE_BACKEND)
{
	side.drain = 0;
	side.then = drain_after_some_calls;
	calls_left = 0;
	begin(EV_READ);
	bufferevent_setwatermark(bev, EV_READ, 0, 10);
	bufferevent_setcb(bev, NULL, NULL, trace_event, &side);
	send_all(ends[1], data, 20);
	settle();
	CHECK_EQUAL(in(), 10);
	bufferevent_disable(bev, EV_READ);
	evbuffer_drain(bufferevent_get_input(bev), 10);
	settle();
	CHECK_EQUAL(in(), 0);
	CHECK(!reading());
	bufferevent_enable(bev, EV_READ);
	settle();
	CHECK_EQUAL(in(), 10);
	/* Enabled again while full it stays suspended. */
	bufferevent_disable(bev, EV_READ);
	bufferevent_enable(bev, EV_READ);
	CHECK(!reading());
	end();
}

/* The end of the connection is seen only when reading continues. */
CASE(eof_after_a_full_input, EVERY_BACKEND)
{
	begin(EV_READ);
	bufferevent_setwatermark(bev, EV_READ, 0, 10);
	bufferevent_setcb(bev, NULL, NULL, trace_event, &side);
	send_all(ends[1], data, 10);
	shutdown(ends[1], SHUT_WR);
	settle();
	CHECK_EQUAL(side.events, 0);
	evbuffer_drain(bufferevent_get_input(bev), 1);
	settle();
	CHECK_EQUAL(side.events, 1);
	CHECK_EQUAL(in(), 9);
	end();
}

DIFFERENCE(unlimited_high_mark, ONE_BACKEND, "a high watermark above SSIZE_MAX stops reading")
{
	begin(EV_READ);
	bufferevent_setwatermark(bev, EV_READ, 0, SIZE_MAX);
	send_all(ends[1], data, 10);
	settle();
	CHECK_EQUAL(in(), 10);
	CHECK_EQUAL(side.reads, 1);
	end();
}

/* --- Writing. ----------------------------------------------------------------------------------- */

static int above, below;

static void
note_length(struct bufferevent *self, void *arg)
{
	size_t length = evbuffer_get_length(bufferevent_get_output(self));

	(void)arg;
	above += length > 50000;
	below += length <= 50000;
}

CASE(low_write_is_kept, EVERY_BACKEND)
{
	int size = 4096, got = 0;

	begin(EV_READ);
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	bufferevent_setcb(bev, NULL, note_length, NULL, NULL);
	bufferevent_setwatermark(bev, EV_WRITE, 50000, 0);
	bufferevent_write(bev, data, 100000);
	while (got < 100000) {
		static char sink[300000];
		got += received(ends[1], sink, sizeof sink);
		settle();
	}
	CHECK_EQUAL(above, 0);
	CHECK(below > 1);
	end();
}

CASE(drained_at_once, EVERY_BACKEND)
{
	begin(EV_READ);
	bufferevent_setwatermark(bev, EV_WRITE, 0, 0);
	bufferevent_write(bev, data, 1000);
	settle();
	CHECK_EQUAL(side.writes, 1);
	bufferevent_setwatermark(bev, EV_WRITE, 2000, 3000);
	settle();
	CHECK_EQUAL(side.writes, 1);
	/* A high mark does not keep it from writing. */
	bufferevent_write(bev, data, 5000);
	settle();
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_output(bev)), 0);
	end();
}
