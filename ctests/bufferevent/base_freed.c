/* The base is freed while callbacks of buffers and bufferevents wait in it, and before. */
#include "allocator.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#define ALONE (ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)

static struct event_base *base;
static int calls;

static void
count_change(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	(void)buffer;
	(void)info;
	(void)arg;
	calls++;
}

static void
count_read(struct bufferevent *bev, void *arg)
{
	(void)bev;
	(void)arg;
	calls++;
}

static struct evbuffer *
changed_buffer(void)
{
	struct evbuffer *buffer = evbuffer_new();

	evbuffer_add_cb(buffer, count_change, NULL);
	evbuffer_defer_callbacks(buffer, base);
	evbuffer_add(buffer, "text", 4);
	return buffer;
}

/* A pair whose second has a read callback that waits. */
static void
make_pair(struct bufferevent *pair[2])
{
	CHECK_EQUAL(bufferevent_pair_new(base, BEV_OPT_CLOSE_ON_FREE, pair), 0);
	bufferevent_setcb(pair[1], count_read, NULL, NULL, NULL);
	bufferevent_enable(pair[1], EV_READ);
	evbuffer_defer_callbacks(bufferevent_get_input(pair[1]), base);
	bufferevent_write(pair[0], "text", 4);
}

static void
begin(void)
{
	allocator_install();
	base = event_base_new();
}

/* Nothing was called, and nothing is left. */
static void
end(void)
{
	CHECK_EQUAL(calls, 0);
	CHECK_EQUAL(allocator.alive, 0);
}

DIFFERENCE(buffers_freed_before, ALONE, "event_base_free loses buffers that were freed while their deferred callbacks waited")
{
	begin();
	evbuffer_free(changed_buffer());
	event_base_free(base);
	end();
}

DIFFERENCE(buffers_freed_after_their_base, ALONE, "evbuffer_free loses a buffer whose base was freed while its deferred callbacks waited")
{
	struct evbuffer *buffer;

	begin();
	buffer = changed_buffer();
	event_base_free(base);
	evbuffer_free(buffer);
	end();
}

DIFFERENCE(bufferevents_freed_before, ALONE,
	"event_base_free loses bufferevents that were freed while their deferred callbacks waited")
{
	struct bufferevent *pair[2];

	begin();
	make_pair(pair);
	bufferevent_free(pair[0]);
	bufferevent_free(pair[1]);
	event_base_free(base);
	end();
}

DIFFERENCE(bufferevents_freed_after_their_base, ALONE, "bufferevent_free uses the base even if that was freed before")
{
	struct bufferevent *pair[2], *filter;

	begin();
	make_pair(pair);
	filter = bufferevent_filter_new(pair[0], NULL, NULL, BEV_OPT_CLOSE_ON_FREE, NULL, NULL);
	event_base_free(base);
	bufferevent_free(pair[1]);
	bufferevent_free(filter);
	end();
}

DIFFERENCE(sockets_freed_after_their_base, ALONE, "bufferevent_free uses the base even if that was freed before")
{
	struct bufferevent *bev;
	int ends[2];

	begin();
	make_socketpair(ends);
	bev = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE);
	bufferevent_enable(bev, EV_READ);
	bufferevent_write(bev, "text", 4);
	event_base_free(base);
	bufferevent_free(bev);
	CHECK_EQUAL(close(ends[0]), -1);
	end();
}
