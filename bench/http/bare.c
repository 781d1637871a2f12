/* A server that makes only the system calls that any server makes: the cost of a request without a library. It
 * finds the end of each head, and has a single reply. An upload is kept in memory. */
#include "load.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { EVENTS = 32, PIECE = 1 << 18 };

static char reply[300];

/* The replies to what one read returned, in one piece. */
static void
answer(int fd, const char *bytes, ssize_t length)
{
	static char replies[64 * sizeof reply];
	size_t size = strlen(reply), used = 0;
	int last = memmem(bytes, (size_t)length, "Connection: close", 17) != NULL;

	for (const char *end = bytes; (end = memmem(end, (size_t)(bytes + length - end), "\r\n\r\n", 4)) != NULL; end += 4) {
		BENCH_CHECK(used + size <= sizeof replies);
		memcpy(replies + used, reply, size);
		used += size;
	}
	BENCH_CHECK(used && send(fd, replies, used, MSG_NOSIGNAL) == (ssize_t)used);
	if (last)
		close(fd);
}

/* Reads the rest of an upload, of which `kept` bytes came with the head: a request is handled only when it is
 * complete. */
static void
take_upload(int fd, size_t length, size_t kept)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	size_t used = PIECE;
	char *piece = NULL;

	while (kept < length && poll(&readable, 1, -1) == 1) {
		ssize_t got;

		if (used == PIECE) {
			piece = malloc(PIECE);
			BENCH_CHECK(piece);
			used = 0;
		}
		got = recv(fd, piece + used, PIECE - used, 0);
		BENCH_CHECK(got > 0);
		used += (size_t)got;
		kept += (size_t)got;
	}
}

static void
serve(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), queue = epoll_create1(0);
	struct epoll_event events[EVENTS], event = {.events = EPOLLIN, .data.fd = listener};
	char bytes[4096];

	snprintf(reply, sizeof reply,
	    "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: %1$d\r\n"
	    "Content-Type: text/html; charset=ISO-8859-1\r\n\r\n%2$0*1$d", SMALL, 0);
	BENCH_CHECK(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 128) == 0);
	BENCH_CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
	epoll_ctl(queue, EPOLL_CTL_ADD, listener, &event);
	ready(ntohs(address.sin_port));
	for (;;) {
		int count = epoll_wait(queue, events, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;
			ssize_t got;

			if (fd == listener) {
				event.data.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
				epoll_ctl(queue, EPOLL_CTL_ADD, event.data.fd, &event);
			} else if ((got = recv(fd, bytes, sizeof bytes - 1, 0)) > 0) {
				char *end, *told;

				bytes[got] = 0;
				end = strstr(bytes, "\r\n\r\n");
				told = strncmp(bytes, "POST", 4) ? NULL : strstr(bytes, "Content-Length: ");
				if (end && told) {
					take_upload(fd, strtoul(told + 16, NULL, 10), (size_t)(bytes + got - end) - 4);
					got = end + 4 - bytes;
				}
				answer(fd, bytes, got);
			} else {
				close(fd);
			}
		}
	}
}

const struct server server = {MANY | UPLOADS, serve, NULL};
