/* How much deferred work runs in one pass of the loop. */
#include "observe.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>

void event_active_later_(struct event *, int);

enum { PASSES = 200, MOST = 100 };
static struct event_base *base;
static int passes, calls;

/* A descriptor that is always ready tells the passes apart. */
static void
count_pass(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (++passes == PASSES)
		event_base_loopbreak(base);
}

static struct event *
watch_passes(int ends[2])
{
	struct event *event;

	passes = calls = 0;
	make_pipe(ends);
	event = event_new(base, ends[1], EV_WRITE | EV_PERSIST, count_pass, NULL);
	event_add(event, NULL);
	return event;
}

static void
print_ratio(const char *what, struct event *watcher, int ends[2])
{
	CHECK(event_base_dispatch(base) == 0);
	/* The first pass, and the last, may lack some. */
	printf("%s: %d calls a pass\n", what, (calls + PASSES / 2) / PASSES);
	event_free(watcher);
	close(ends[0]);
	close(ends[1]);
}

static void
change_again(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	(void)info;
	(void)arg;
	calls++;
	evbuffer_add(buffer, "x", 1);
	evbuffer_drain(buffer, 1);
}

CASE(buffers_that_put_their_callbacks_off, EVERY_BACKEND)
{
	static const int counts[] = {1, 10, 33, 34, 40, 100};
	static struct evbuffer *buffers[MOST];
	char name[40];
	int ends[2], i, n;

	for (n = 0; n < 6; n++) {
		struct event *watcher;

		base = event_base_new();
		watcher = watch_passes(ends);
		for (i = 0; i < counts[n]; i++) {
			buffers[i] = evbuffer_new();
			evbuffer_add_cb(buffers[i], change_again, NULL);
			evbuffer_defer_callbacks(buffers[i], base);
			evbuffer_add(buffers[i], "x", 1);
		}
		snprintf(name, sizeof name, "%d buffers", counts[n]);
		print_ratio(name, watcher, ends);
		for (i = 0; i < counts[n]; i++)
			evbuffer_free(buffers[i]);
		event_base_free(base);
	}
}

static void
put_off(evutil_socket_t fd, short what, void *other)
{
	(void)fd;
	(void)what;
	calls++;
	event_active_later_(*(struct event **)other, EV_READ);
}

CASE(two_events_that_put_each_other_off, EVERY_BACKEND)
{
	struct event *one, *other, *watcher;
	int ends[2];

	base = event_base_new();
	watcher = watch_passes(ends);
	one = event_new(base, -1, EV_PERSIST, put_off, &other);
	other = event_new(base, -1, EV_PERSIST, put_off, &one);
	event_active_later_(one, EV_READ);
	print_ratio("one of two events", watcher, ends);
	event_free(one);
	event_free(other);
	event_base_free(base);
}

/* Bufferevents write before the loop waits; what their callbacks defer still runs once a pass. */
static void
write_again(struct bufferevent *bev, void *arg)
{
	(void)arg;
	bufferevent_write(bev, "x", 1);
}

CASE(put_off_beside_a_bufferevent_that_writes, EVERY_BACKEND)
{
	struct event *event, *watcher;
	struct bufferevent *bev;
	int ends[2], sockets[2];

	base = event_base_new();
	watcher = watch_passes(ends);
	make_socketpair(sockets);
	bev = bufferevent_socket_new(base, sockets[0], BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(bev, NULL, write_again, NULL, NULL);
	bufferevent_enable(bev, EV_WRITE);
	bufferevent_write(bev, "x", 1);
	event = event_new(base, -1, EV_PERSIST, put_off, &event);
	event_active_later_(event, EV_READ);
	print_ratio("an event", watcher, ends);
	bufferevent_free(bev);
	close(sockets[1]);
	event_free(event);
	event_base_free(base);
}
