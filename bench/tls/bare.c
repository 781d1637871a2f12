/* The work of bench/tls_streams.c with OpenSSL and epoll alone: what a program would write that does
 * just this. */
#define _GNU_SOURCE
#include "tls.h"

#include <sys/epoll.h>

static int poller, connections;
static char data[1 << 18];

static double
begin(struct sessions *sessions, unsigned events)
{
	poller = epoll_create1(0);
	connections = sessions->count;
	for (int i = 0; i < sessions->count; i++) {
		struct epoll_event event = {.events = events, .data.ptr = sessions->ssls[i]};

		SSL_set_read_ahead(sessions->ssls[i], 1);
		BENCH_CHECK(epoll_ctl(poller, EPOLL_CTL_ADD, sessions->fds[i], &event) == 0);
	}
	return thread_cpu();
}

/* Calls a function for every connection that is ready, until the clients have ended. */
static double
loop(double start, void (*ready)(SSL *ssl, int length))
{
	struct epoll_event events[64];

	while (connections > 0) {
		int count = epoll_wait(poller, events, 64, -1);

		for (int i = 0; i < count; i++) {
			SSL *ssl = events[i].data.ptr;

			do {
				int length = SSL_read(ssl, data, sizeof data);

				if (length > 0)
					ready(ssl, length);
				else if (!SSL_want_read(ssl))
					connections -= epoll_ctl(poller, EPOLL_CTL_DEL, SSL_get_fd(ssl), NULL) == 0;
				if (length <= 0)
					break;
			} while (SSL_has_pending(ssl));
		}
	}
	return thread_cpu() - start;
}

static void
echo(SSL *ssl, int length)
{
	BENCH_CHECK(SSL_write(ssl, data, length) == length);
}

double
serve_echo(struct sessions *sessions)
{
	return loop(begin(sessions, EPOLLIN), echo);
}

static void
swallow(SSL *ssl, int length)
{
	(void)ssl;
	(void)length;
}

double
serve_input(struct sessions *sessions)
{
	return loop(begin(sessions, EPOLLIN), swallow);
}

double
serve_output(struct sessions *sessions, int piece)
{
	double start = begin(sessions, EPOLLOUT);
	long left = sessions->amount;
	struct epoll_event event;

	(void)piece;
	while (left > 0) {
		int sent, length = left < RECORD ? left : RECORD;

		BENCH_CHECK(epoll_wait(poller, &event, 1, -1) == 1);
		while (left > 0 && (sent = SSL_write(sessions->ssls[0], data, length)) > 0) {
			left -= sent;
			length = left < RECORD ? left : RECORD;
		}
	}
	return thread_cpu() - start;
}

static void
answer(SSL *ssl, int length)
{
	(void)length;
	BENCH_CHECK(SSL_write(ssl, data, SMALL * SMALL_WRITES) == SMALL * SMALL_WRITES);
}

double
serve_small_writes(struct sessions *sessions)
{
	return loop(begin(sessions, EPOLLIN), answer);
}

double
serve_handshakes(int listener, long count)
{
	double start = thread_cpu();

	poller = epoll_create1(0);
	while (count > 0) {
		struct epoll_event event = {.events = EPOLLIN};
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

		if (fd < 0) {
			event.data.ptr = NULL;
			epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
		} else {
			event.data.ptr = new_session(fd, 1);
			epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
		}
		while (epoll_wait(poller, &event, 1, fd < 0 ? -1 : 1000) == 1 && event.data.ptr) {
			SSL *ssl = event.data.ptr;

			if (SSL_do_handshake(ssl) == 1) {
				close(SSL_get_fd(ssl));
				SSL_free(ssl);
				count--;
				break;
			}
		}
	}
	return thread_cpu() - start;
}

static const struct benchmark benchmarks[] = {TLS_BENCHMARKS};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, benchmarks, sizeof benchmarks / sizeof benchmarks[0]);
}
