/* The work on libevent. */
#include "work.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

static struct event_base *base;

static void
open_loop(void)
{
	base = event_base_new();
	BENCH_CHECK(base);
}

static void
readable(evutil_socket_t fd, short what, void *arg)
{
	struct channel *channel = arg;

	(void)fd;
	(void)what;
	channel->ready(channel);
}

static void
watch(struct channel *channel)
{
	channel->handle = event_new(base, channel->fd, EV_READ | EV_PERSIST, readable, channel);
	BENCH_CHECK(channel->handle && event_add(channel->handle, NULL) == 0);
}

static void
forget(struct channel *channel)
{
	event_free(channel->handle);
}

static void
run(void)
{
	event_base_dispatch(base);
}

static void
stop(void)
{
	event_base_loopbreak(base);
}

static void
expired(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	timer_expired();
}

static void
make_timer(struct timer *timer)
{
	timer->handle = evtimer_new(base, expired, NULL);
	BENCH_CHECK(timer->handle);
}

static void
start_timer(struct timer *timer, unsigned milliseconds)
{
	struct timeval time = {milliseconds / 1000, milliseconds % 1000 * 1000};

	evtimer_add(timer->handle, &time);
}

static void
stop_timer(struct timer *timer)
{
	evtimer_del(timer->handle);
}

static void
send_back(struct bufferevent *stream, void *arg)
{
	(void)arg;
	bufferevent_write_buffer(stream, bufferevent_get_input(stream));
}

static void
end_stream(struct bufferevent *stream, short what, void *arg)
{
	(void)arg;
	BENCH_CHECK(what & BEV_EVENT_EOF);
	bufferevent_free(stream);
	connection_ended();
}

static void
echo_stream(int fd)
{
	struct bufferevent *stream = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

	BENCH_CHECK(stream);
	bufferevent_setcb(stream, send_back, NULL, end_stream, NULL);
	bufferevent_enable(stream, EV_READ);
}

const struct loop loop = {open_loop,  watch,	  forget,     run,	  stop,
			  make_timer, start_timer, stop_timer, echo_stream};
