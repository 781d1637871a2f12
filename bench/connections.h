/* Connections, and the clients of an echo server, for the benchmarks that have one. */
#ifndef BENCH_CONNECTIONS_H
#define BENCH_CONNECTIONS_H

#include "bench.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes of a message to an echo server. */
enum { MESSAGE = 64, MOST_CLIENTS = 200 };

/* Nanoseconds that this thread has kept a processor busy, in the kernel too. */
static inline double
thread_cpu(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* A TCP connection: the client's end, which blocks, and the server's, which does not. */
static inline void
make_connection(int ends[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	BENCH_CHECK(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0);
	BENCH_CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
	ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	BENCH_CHECK(connect(ends[0], (struct sockaddr *)&address, length) == 0);
	ends[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	BENCH_CHECK(ends[1] >= 0);
	setsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(ends[1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	close(listener);
}

/* The clients of an echo server, on bare sockets without a library. */
struct clients {
	int fds[MOST_CLIENTS];
	int count;
	long messages;
};

/* Sends a message on every connection, waits for all the answers, and so on. */
static inline void
run_clients(const struct clients *clients)
{
	char data[MESSAGE] = "message";

	for (long left = clients->messages; left > 0; left -= clients->count) {
		for (int i = 0; i < clients->count; i++)
			BENCH_CHECK(send(clients->fds[i], data, sizeof data, 0) == MESSAGE);
		for (int i = 0; i < clients->count; i++)
			BENCH_CHECK(recv(clients->fds[i], data, sizeof data, MSG_WAITALL) == MESSAGE);
	}
}

/* Runs them in a separate process. Each process keeps only its own ends. */
static inline pid_t
start_clients(const struct clients *clients, const int *servers)
{
	pid_t child = fork();

	BENCH_CHECK(child >= 0);
	for (int i = 0; i < clients->count; i++)
		close(child ? clients->fds[i] : servers[i]);
	if (child == 0) {
		run_clients(clients);
		_exit(0);
	}
	return child;
}

#endif
