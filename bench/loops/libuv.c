/* The work on libuv. */
#include "work.h"

#include <uv.h>

static uv_loop_t *events;

static void
open_loop(void)
{
	events = uv_default_loop();
	BENCH_CHECK(events);
}

static void
readable(uv_poll_t *poll, int status, int what)
{
	struct channel *channel = poll->data;

	(void)what;
	BENCH_CHECK(status == 0);
	channel->ready(channel);
}

static void
watch(struct channel *channel)
{
	uv_poll_t *poll = allocate(sizeof *poll);

	channel->handle = poll;
	poll->data = channel;
	BENCH_CHECK(uv_poll_init(events, poll, channel->fd) == 0);
	BENCH_CHECK(uv_poll_start(poll, UV_READABLE, readable) == 0);
}

static void
free_handle(uv_handle_t *handle)
{
	free(handle);
}

static void
forget(struct channel *channel)
{
	uv_close(channel->handle, free_handle);
}

static void
run(void)
{
	uv_run(events, UV_RUN_DEFAULT);
}

static void
stop(void)
{
	uv_stop(events);
}

static void
expired(uv_timer_t *timer)
{
	(void)timer;
	timer_expired();
}

static void
make_timer(struct timer *timer)
{
	timer->handle = allocate(sizeof(uv_timer_t));
	uv_timer_init(events, timer->handle);
}

static void
start_timer(struct timer *timer, unsigned milliseconds)
{
	uv_timer_start(timer->handle, expired, milliseconds, 0);
}

static void
stop_timer(struct timer *timer)
{
	uv_timer_stop(timer->handle);
}

/* --- Streams. libuv asks for memory to read into and keeps what is written until it is done. -------- */

struct answer {
	uv_write_t request;
	uv_buf_t data;
};

static void
give_memory(uv_handle_t *stream, size_t proposed, uv_buf_t *buffer)
{
	(void)stream;
	*buffer = uv_buf_init(malloc(proposed), (unsigned)proposed);
}

static void
sent(uv_write_t *request, int status)
{
	struct answer *answer = (struct answer *)request;

	BENCH_CHECK(status == 0);
	free(answer->data.base);
	free(answer);
}

static void
send_back(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
	struct answer *answer;

	if (length <= 0) {
		BENCH_CHECK(length == UV_EOF);
		free(buffer->base);
		uv_close((uv_handle_t *)stream, free_handle);
		connection_ended();
		return;
	}
	answer = allocate(sizeof *answer);
	answer->data = uv_buf_init(buffer->base, (unsigned)length);
	BENCH_CHECK(uv_write(&answer->request, stream, &answer->data, 1, sent) == 0);
}

static void
echo_stream(int fd)
{
	uv_tcp_t *stream = allocate(sizeof *stream);

	BENCH_CHECK(uv_tcp_init(events, stream) == 0 && uv_tcp_open(stream, fd) == 0);
	BENCH_CHECK(uv_read_start((uv_stream_t *)stream, give_memory, send_back) == 0);
}

const struct loop loop = {open_loop,  watch,	  forget,     run,	  stop,
			  make_timer, start_timer, stop_timer, echo_stream};
