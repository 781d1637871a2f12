/* Bufferevents: nanoseconds of CPU of the loop's thread per echoed message, nanoseconds per streamed
 * kilobyte, bytes of heap per idle object. bench/syscalls counts the system calls of the same work. */
#define _GNU_SOURCE
#include "bench.h"
#include "connections.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 50 };

static struct event_base *base;

static double
wall_clock(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* --- Echo: the server's loop in this thread, the clients in another. ------------------------------- */

static struct clients clients;
static int open_connections;

static void
echo(struct bufferevent *bev, void *arg)
{
	(void)arg;
	bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

static void
end_of_client(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)arg;
	BENCH_CHECK(what & BEV_EVENT_EOF);
	if (--open_connections == 0)
		event_base_loopbreak(base);
}

static double
echo_cpu(int count, long total)
{
	struct bufferevent *servers[MOST];
	pthread_t thread;
	double start, used;

	clients = (struct clients){.count = count, .messages = total};
	open_connections = count;
	base = event_base_new();
	for (int i = 0; i < count; i++) {
		int ends[2];

		make_connection(ends);
		clients.fds[i] = ends[0];
		servers[i] = bufferevent_socket_new(base, ends[1], BEV_OPT_CLOSE_ON_FREE);
		bufferevent_setcb(servers[i], echo, NULL, end_of_client, NULL);
		bufferevent_enable(servers[i], EV_READ);
	}
	BENCH_CHECK(pthread_create(&thread, NULL, run_clients, &clients) == 0);
	start = thread_cpu();
	event_base_dispatch(base);
	used = thread_cpu() - start;
	pthread_join(thread, NULL);
	for (int i = 0; i < count; i++) {
		bufferevent_free(servers[i]);
		close(clients.fds[i]);
	}
	event_base_free(base);
	return used / (double)total;
}

static double
echo_1(void)
{
	return echo_cpu(1, 20000);
}

static double
echo_10(void)
{
	return echo_cpu(10, 50000);
}

static double
echo_50(void)
{
	return echo_cpu(50, 100000);
}

/* --- Streaming: a thread writes, the loop reads; and the other way round. ----------------------------- */

static size_t stream_size;
static int stream_end;

static void *
send_stream(void *arg)
{
	static char data[65536];
	size_t sent = 0;

	(void)arg;
	while (sent < stream_size) {
		ssize_t now = send(stream_end, data, sizeof data, 0);

		BENCH_CHECK(now > 0);
		sent += (size_t)now;
	}
	return NULL;
}

static void *
receive_stream(void *arg)
{
	static char data[65536];
	size_t got = 0;

	(void)arg;
	while (got < stream_size) {
		ssize_t now = recv(stream_end, data, sizeof data, 0);

		BENCH_CHECK(now > 0);
		got += (size_t)now;
	}
	return NULL;
}

static size_t passed;

static void
drain(struct bufferevent *bev, void *arg)
{
	struct evbuffer *input = bufferevent_get_input(bev);
	size_t length = evbuffer_get_length(input);

	(void)arg;
	passed += length;
	evbuffer_drain(input, length);
	if (passed >= stream_size)
		event_base_loopbreak(base);
}

static void
refill(struct bufferevent *bev, void *arg)
{
	static char data[65536];

	(void)arg;
	if (passed >= stream_size) {
		event_base_loopbreak(base);
		return;
	}
	passed += sizeof data;
	bufferevent_write(bev, data, sizeof data);
}

/* Nanoseconds of one clock for a kilobyte. */
static double
stream(int in, size_t size, double (*now)(void))
{
	struct bufferevent *bev;
	pthread_t thread;
	double start;
	int ends[2];

	make_connection(ends);
	stream_end = ends[0];
	stream_size = size;
	passed = 0;
	base = event_base_new();
	bev = bufferevent_socket_new(base, ends[1], BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(bev, in ? drain : NULL, in ? NULL : refill, NULL, NULL);
	bufferevent_enable(bev, in ? EV_READ : EV_WRITE);
	BENCH_CHECK(pthread_create(&thread, NULL, in ? send_stream : receive_stream, NULL) == 0);
	start = now();
	event_base_dispatch(base);
	start = now() - start;
	pthread_join(thread, NULL);
	bufferevent_free(bev);
	close(ends[0]);
	event_base_free(base);
	return start / ((double)size / 1000);
}

enum { STREAM = 400000000 };

static double
stream_in(void)
{
	return stream(1, STREAM, wall_clock);
}

static double
stream_in_cpu(void)
{
	return stream(1, STREAM, thread_cpu);
}

static double
stream_out(void)
{
	return stream(0, STREAM, wall_clock);
}

static double
stream_out_cpu(void)
{
	return stream(0, STREAM, thread_cpu);
}

/* --- Idle objects. ------------------------------------------------------------------------------------ */

enum { OBJECTS = 10000 };
static struct bufferevent *idle[OBJECTS];

static void
make_idle(void)
{
	for (int i = 0; i < OBJECTS; i++)
		idle[i] = bufferevent_socket_new(base, -1, 0);
}

static void
free_idle(void)
{
	for (int i = 0; i < OBJECTS; i++)
		bufferevent_free(idle[i]);
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static double
idle_heap(void)
{
	size_t before;

	base = event_base_new();
	before = mallinfo2().uordblks;
	make_idle();
	return (double)(mallinfo2().uordblks - before) / OBJECTS;
}

static double
new_and_free(void)
{
	double start;

	base = event_base_new();
	make_idle();
	free_idle();
	start = wall_clock();
	make_idle();
	free_idle();
	return (wall_clock() - start) / OBJECTS;
}

static const struct benchmark benchmarks[] = {
	{"echo 64 bytes, 1 connection, CPU", .measure = echo_1},
	{"echo 64 bytes, 10 connections, CPU", .measure = echo_10},
	{"echo 64 bytes, 50 connections, CPU", .measure = echo_50},
	{"1 kB streamed in", .measure = stream_in},
	{"1 kB streamed in, CPU", .measure = stream_in_cpu},
	{"1 kB streamed out", .measure = stream_out},
	{"1 kB streamed out, CPU", .measure = stream_out_cpu},
	{"bytes of an idle bufferevent", .measure = idle_heap},
	{"new+free", .measure = new_and_free},
};

/* Also: "echo CONNECTIONS MESSAGES" and "stream BYTES", to be traced. */
int
main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "echo"))
		return echo_cpu(atoi(argv[2]), atol(argv[3])) < 0;
	if (argc == 3 && !strcmp(argv[1], "stream"))
		return stream(1, strtoull(argv[2], NULL, 10), wall_clock) < 0;
	return bench_main(argc, argv, benchmarks, sizeof benchmarks / sizeof benchmarks[0]);
}
