/* Bufferevents: nanoseconds of CPU of a server per echoed message, nanoseconds per streamed kilobyte,
 * bytes of heap per idle object. bench/syscalls counts the system calls of the same work. */
#define _GNU_SOURCE
#include "bench.h"
#include "connections.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
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

/* --- Echo: the server in this process, whose CPU is counted; its clients in another. ---------------- */

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
echo_cpu(int count, long messages)
{
	struct clients clients = {.count = count, .messages = messages};
	int servers[MOST], status;
	struct bufferevent *bevs[MOST];
	pid_t child;
	double start, used;

	for (int i = 0; i < count; i++) {
		int ends[2];

		make_connection(ends);
		clients.fds[i] = ends[0];
		servers[i] = ends[1];
	}
	child = start_clients(&clients, servers);
	open_connections = count;
	base = event_base_new();
	for (int i = 0; i < count; i++) {
		bevs[i] = bufferevent_socket_new(base, servers[i], BEV_OPT_CLOSE_ON_FREE);
		bufferevent_setcb(bevs[i], echo, NULL, end_of_client, NULL);
		bufferevent_enable(bevs[i], EV_READ);
	}
	start = thread_cpu();
	event_base_dispatch(base);
	used = thread_cpu() - start;
	BENCH_CHECK(waitpid(child, &status, 0) == child && status == 0);
	for (int i = 0; i < count; i++)
		bufferevent_free(bevs[i]);
	event_base_free(base);
	return used / (double)messages;
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

/* --- Connections: accepted, given a bufferevent, and freed. Clients connect in bursts. ----------------- */

enum { BURST = 100, CONNECTIONS = 20000 };

static void
take_connection(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length,
    void *arg)
{
	struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

	(void)listener;
	(void)address;
	(void)length;
	(void)arg;
	bufferevent_setcb(bev, echo, NULL, end_of_client, NULL);
	bufferevent_free(bev);
	if (--open_connections == 0)
		event_base_loopbreak(base);
}

static void
connect_in_bursts(const struct sockaddr_un *address, socklen_t length)
{
	for (int done = 0; done < CONNECTIONS; done += BURST) {
		int clients[BURST];
		char end;

		for (int i = 0; i < BURST; i++) {
			clients[i] = socket(AF_UNIX, SOCK_STREAM, 0);
			BENCH_CHECK(connect(clients[i], (const struct sockaddr *)address, length) == 0);
		}
		for (int i = 0; i < BURST; i++) {
			BENCH_CHECK(recv(clients[i], &end, 1, 0) == 0);
			close(clients[i]);
		}
	}
}

static double
accept_cpu(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct evconnlistener *listener;
	socklen_t length = sizeof address;
	int status, bound = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	pid_t child;
	double used;

	/* Without a name the kernel chooses one. */
	BENCH_CHECK(bind(bound, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0);
	BENCH_CHECK(getsockname(bound, (struct sockaddr *)&address, &length) == 0);
	BENCH_CHECK(listen(bound, BURST) == 0);
	child = fork();
	BENCH_CHECK(child >= 0);
	if (child == 0) {
		connect_in_bursts(&address, length);
		_exit(0);
	}
	open_connections = CONNECTIONS;
	base = event_base_new();
	listener = evconnlistener_new(base, take_connection, NULL, LEV_OPT_CLOSE_ON_FREE, 0, bound);
	used = thread_cpu();
	event_base_dispatch(base);
	used = thread_cpu() - used;
	evconnlistener_free(listener);
	event_base_free(base);
	BENCH_CHECK(waitpid(child, &status, 0) == child && status == 0);
	return used / CONNECTIONS;
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

/* When the heap returns memory to the system depends on what happens to be at its end, so that is
 * switched off. */
static double
new_and_free(void)
{
	double best = 0;

	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	base = event_base_new();
	for (int round = 0; round < 20; round++) {
		double used = thread_cpu();

		make_idle();
		free_idle();
		used = thread_cpu() - used;
		if (round == 1 || (round > 1 && used < best))
			best = used;
	}
	return best / OBJECTS;
}

static const struct benchmark benchmarks[] = {
	{"echo 64 bytes, 1 connection, CPU", .measure = echo_1},
	{"echo 64 bytes, 10 connections, CPU", .measure = echo_10},
	{"echo 64 bytes, 50 connections, CPU", .measure = echo_50},
	{"accept, new, free, CPU", .measure = accept_cpu},
	{"1 kB streamed in", .measure = stream_in},
	{"1 kB streamed in, CPU", .measure = stream_in_cpu},
	{"1 kB streamed out", .measure = stream_out},
	{"1 kB streamed out, CPU", .measure = stream_out_cpu},
	{"bytes of an idle bufferevent", .measure = idle_heap},
	{"new+free", .measure = new_and_free},
};

/* Also: "echo CONNECTIONS MESSAGES" and "stream BYTES", for tracing. */
int
main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "echo"))
		return echo_cpu(atoi(argv[2]), atol(argv[3])) < 0;
	if (argc == 3 && !strcmp(argv[1], "stream"))
		return stream(1, strtoull(argv[2], NULL, 10), wall_clock) < 0;
	return bench_main(argc, argv, benchmarks, sizeof benchmarks / sizeof benchmarks[0]);
}
