/* The 1.4 interface of bufferevents. */
#include "tools.h"

#include <event2/buffer_compat.h>
#include <event2/bufferevent_compat.h>
#include <event2/bufferevent_struct.h>
#include <event2/event_compat.h>

static int ends[2];
static int reads, writes;
static short last;

static void
on_read(struct bufferevent *bev, void *arg)
{
	char data[100];
	size_t size = bufferevent_read(bev, data, sizeof data);

	reads++;
	printf("%s: read %.*s\n", (char *)arg, (int)size, data);
	CHECK_EQUAL(bufferevent_write(bev, data, size), 0);
}

static void
on_write(struct bufferevent *bev, void *arg)
{
	writes++;
	printf("%s: written, %d left\n", (char *)arg, (int)EVBUFFER_LENGTH(EVBUFFER_OUTPUT(bev)));
}

static void
on_error(struct bufferevent *bev, short what, void *arg)
{
	last = what;
	printf("%s: %s%s%s%s%s\n", (char *)arg, what & EVBUFFER_READ ? "read " : "", what & EVBUFFER_WRITE ? "write " : "",
	       what & EVBUFFER_EOF ? "eof " : "", what & EVBUFFER_ERROR ? "error " : "",
	       what & EVBUFFER_TIMEOUT ? "timeout " : "");
	CHECK(EVBUFFER_INPUT(bev) == bev->input);
}

CASE(echo, EVERY_BACKEND)
{
	evbuffercb read_callback = on_read, write_callback = on_write;
	everrorcb error_callback = on_error;
	struct bufferevent *bev;
	char data[10];

	base = event_init();
	make_connection(0, ends);
	bev = bufferevent_new(ends[0], read_callback, write_callback, error_callback, "echo");
	CHECK(bev);
	CHECK(!bufferevent_get_base(bev));
	CHECK_EQUAL(bufferevent_enable(bev, EV_READ), 0);
	send_all(ends[1], "hello", 5);
	settle();
	CHECK_EQUAL(received(ends[1], data, sizeof data), 5);
	CHECK_EQUAL(reads, 1);
	CHECK_EQUAL(writes, 1);
	shutdown(ends[1], SHUT_WR);
	settle();
	CHECK_EQUAL(last, EVBUFFER_READ | EVBUFFER_EOF);
	bufferevent_free(bev);
	settle();
	CHECK(is_open(ends[0]));
	close(ends[0]);
	close(ends[1]);
	event_base_free(base);
}

CASE(other_base_and_timeout, ONE_BACKEND)
{
	struct event_base *other;
	struct bufferevent *bev;

	base = event_init();
	other = event_base_new();
	make_connection(0, ends);
	bev = bufferevent_new(ends[0], on_read, NULL, on_error, "other");
	CHECK_EQUAL(bufferevent_base_set(other, bev), 0);
	CHECK(bufferevent_get_base(bev) == other);
	bufferevent_settimeout(bev, 1, 0);
	bufferevent_enable(bev, EV_READ);
	send_all(ends[1], "hello", 5);
	event_base_loop(other, EVLOOP_NONBLOCK);
	CHECK_EQUAL(reads, 1);
	bufferevent_setfd(bev, -1);
	bufferevent_free(bev);
	event_base_loop(other, EVLOOP_NONBLOCK);
	event_base_free(other);
	event_base_free(base);
}

/* Without any descriptor, base NULL means the current one. */
CASE(null_base, ONE_BACKEND)
{
	struct bufferevent *bev, *pair[2];

	base = event_init();
	bev = bufferevent_socket_new(NULL, -1, BEV_OPT_DEFER_CALLBACKS);
	CHECK(bev);
	bufferevent_free(bev);
	CHECK_EQUAL(bufferevent_pair_new(NULL, 0, pair), 0);
	bufferevent_enable(pair[1], EV_READ);
	bufferevent_setcb(pair[1], on_read, NULL, on_error, "pair");
	bufferevent_write(pair[0], "hello", 5);
	settle();
	CHECK_EQUAL(reads, 1);
	bufferevent_free(pair[0]);
	bufferevent_free(pair[1]);
	finish();
}
