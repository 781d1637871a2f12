/* The work on libev. */
#include "work.h"

#include <ev.h>

static struct ev_loop *events;

static void
open_loop(void)
{
	events = ev_loop_new(0); /* the default one would wait for child processes */
	BENCH_CHECK(events);
}

static void
readable(struct ev_loop *in, ev_io *watcher, int what)
{
	struct channel *channel = watcher->data;

	(void)in;
	(void)what;
	channel->ready(channel);
}

static void
watch(struct channel *channel)
{
	ev_io *watcher = allocate(sizeof *watcher);

	channel->handle = watcher;
	watcher->data = channel;
	ev_io_init(watcher, readable, channel->fd, EV_READ);
	ev_io_start(events, watcher);
}

static void
forget(struct channel *channel)
{
	ev_io_stop(events, channel->handle);
	free(channel->handle);
}

static void
run(void)
{
	ev_run(events, 0);
}

static void
stop(void)
{
	ev_break(events, EVBREAK_ONE);
}

static void
expired(struct ev_loop *in, ev_timer *watcher, int what)
{
	ev_timer_stop(in, watcher);
	(void)what;
	timer_expired();
}

static void
make_timer(struct timer *timer)
{
	ev_timer *watcher = allocate(sizeof *watcher);

	timer->handle = watcher;
	ev_timer_init(watcher, expired, 0., 0.);
}

/* ev_timer_again, with the time to wait as the interval, is the quickest way to change a timer. */
static void
start_timer(struct timer *timer, unsigned milliseconds)
{
	ev_timer *watcher = timer->handle;

	watcher->repeat = milliseconds / 1000.;
	ev_timer_again(events, watcher);
}

static void
stop_timer(struct timer *timer)
{
	ev_timer_stop(events, timer->handle);
}

const struct loop loop = {open_loop,  watch,	  forget,     run, stop,
			  make_timer, start_timer, stop_timer, NULL};
