/* TLS bufferevents: nanoseconds of CPU of a server, per message, kilobyte and handshake; bytes of heap
 * per idle connection. bench/tls/bare.c does the same with nothing but OpenSSL and epoll. */
#define _GNU_SOURCE
#include "tls/tls.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <malloc.h>

static struct event_base *base;
static struct sessions *served;
static int open_connections, piece_size;
static long left;

static void
end_of_client(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)arg;
	BENCH_CHECK(what & BEV_EVENT_EOF);
	if (--open_connections == 0)
		event_base_loopbreak(base);
}

/* Runs the loop with bufferevents on open sessions until the clients have ended. */
static double
serve(struct sessions *sessions, bufferevent_data_cb read, bufferevent_data_cb write, void (*begin)(struct bufferevent *))
{
	struct bufferevent *bevs[MOST_CLIENTS];
	double start;

	served = sessions;
	open_connections = sessions->count;
	base = event_base_new();
	for (int i = 0; i < sessions->count; i++) {
		bevs[i] = bufferevent_openssl_socket_new(base, sessions->fds[i], sessions->ssls[i], BUFFEREVENT_SSL_OPEN,
							 BEV_OPT_CLOSE_ON_FREE);
		BENCH_CHECK(bevs[i]);
		bufferevent_setcb(bevs[i], read, write, end_of_client, NULL);
		bufferevent_enable(bevs[i], EV_READ | EV_WRITE);
		if (begin)
			begin(bevs[i]);
	}
	start = thread_cpu();
	event_base_dispatch(base);
	return thread_cpu() - start;
}

static void
echo(struct bufferevent *bev, void *arg)
{
	(void)arg;
	bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

double
serve_echo(struct sessions *sessions)
{
	return serve(sessions, echo, NULL, NULL);
}

static void
swallow(struct bufferevent *bev, void *arg)
{
	struct evbuffer *input = bufferevent_get_input(bev);

	(void)arg;
	evbuffer_drain(input, evbuffer_get_length(input));
}

double
serve_input(struct sessions *sessions)
{
	return serve(sessions, swallow, NULL, NULL);
}

/* Keeps at most 256 kilobytes in the output. */
static void
fill(struct bufferevent *bev, void *arg)
{
	static char data[1 << 17];

	(void)arg;
	for (long room = 1 << 18; left > 0 && room > 0; room -= piece_size, left -= piece_size)
		bufferevent_write(bev, data, left < piece_size ? left : piece_size);
}

static void
begin_filling(struct bufferevent *bev)
{
	fill(bev, NULL);
}

double
serve_output(struct sessions *sessions, int piece)
{
	left = sessions->amount;
	piece_size = piece;
	return serve(sessions, NULL, fill, begin_filling);
}

static void
write_small(struct bufferevent *bev, void *arg)
{
	static char data[SMALL];

	swallow(bev, arg);
	for (int i = 0; i < SMALL_WRITES; i++)
		bufferevent_write(bev, data, sizeof data);
}

double
serve_small_writes(struct sessions *sessions)
{
	return serve(sessions, write_small, NULL, NULL);
}

static void
connected(struct bufferevent *bev, short what, void *arg)
{
	(void)arg;
	BENCH_CHECK(what == BEV_EVENT_CONNECTED);
	bufferevent_free(bev);
	if (--left == 0)
		event_base_loopbreak(base);
}

static void
accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	struct bufferevent *bev;

	(void)listener;
	(void)address;
	(void)length;
	(void)arg;
	bev = bufferevent_openssl_socket_new(base, fd, SSL_new(context), BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(bev, NULL, NULL, connected, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

double
serve_handshakes(int listener, long count)
{
	double used;

	left = count;
	base = event_base_new();
	BENCH_CHECK(evconnlistener_new(base, accepted, NULL, LEV_OPT_CLOSE_ON_FREE, 0, listener));
	used = thread_cpu();
	event_base_dispatch(base);
	used = thread_cpu() - used;
	/* The last client waits for the end of its connection. */
	event_base_free(base);
	return used;
}

/* --- Memory ------------------------------------------------------------------------------------------ */

static size_t in_use;

static void *
counting_realloc(void *block, size_t size)
{
	size_t before = block ? malloc_usable_size(block) + 8 : 0;
	void *new = realloc(block, size);

	in_use += new ? malloc_usable_size(new) + 8 - before : 0;
	return new;
}

static void *
counting_malloc(size_t size)
{
	return counting_realloc(NULL, size);
}

static void
counting_free(void *block)
{
	in_use -= malloc_usable_size(block) + 8;
	free(block);
}

static void
idle_client(struct sessions *sessions)
{
	char byte;

	echo_client(sessions);
	recv(sessions->fds[0], &byte, 1, 0);
}

static void
count_echo(struct bufferevent *bev, void *arg)
{
	echo(bev, arg);
	if (--left == 0)
		event_base_loopexit(base, &(struct timeval){0, 100000});
}

/* The library's bytes for connections that have carried a message. */
static double
idle_bytes(void)
{
	static struct sessions sessions;
	size_t before;
	pid_t child;

	event_set_mem_functions(counting_malloc, counting_realloc, counting_free);
	make_context();
	sessions = (struct sessions){.count = MOST_CLIENTS, .amount = MOST_CLIENTS};
	child = start_sessions(&sessions, idle_client);
	event_base_free(event_base_new());
	before = in_use;
	left = MOST_CLIENTS;
	serve(&sessions, count_echo, NULL, NULL);
	kill(child, SIGKILL);
	return (double)(in_use - before) / MOST_CLIENTS;
}

static const struct benchmark benchmarks[] = {
	TLS_BENCHMARKS,
	{"idle connection, bytes", .measure = idle_bytes},
};

/* `tls_streams echo CONNECTIONS MESSAGES` and `tls_streams stream BYTES` serve that much, for tracing. */
int
main(int argc, char **argv)
{
	/* Freed memory is reused, as in programs that do more than this. */
	mallopt(M_TRIM_THRESHOLD, 1 << 25);
	mallopt(M_MMAP_THRESHOLD, 1 << 25);
	if (argc == 4) {
		measure_session(atoi(argv[2]), atol(argv[3]), echo_client, serve_echo);
		return 0;
	}
	if (argc == 3) {
		measure_session(1, atol(argv[2]), sending_client, serve_input);
		return 0;
	}
	return bench_main(argc, argv, benchmarks, sizeof benchmarks / sizeof benchmarks[0]);
}
