/* What the tests of HTTP servers share: a server on a socket of the local kind, where bytes are at the other
 * end as soon as they are written, so that no test has to wait; and raw bytes to and from it. */
#ifndef CTESTS_HTTP_TOOLS_H
#define CTESTS_HTTP_TOOLS_H

#include "allocator.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/un.h>

static struct event_base *base __attribute__((unused));
static struct evhttp *http __attribute__((unused));
static struct sockaddr_un server_address __attribute__((unused));
static socklen_t server_address_length __attribute__((unused));

/* Counts whatever a test can see happen, so that settle() knows when nothing does any more. */
static unsigned long progress __attribute__((unused));

/* What the handlers have seen, as text. */
static char seen[1 << 16] __attribute__((unused));

ALLOCATOR_ void __attribute__((format(printf, 1, 2)))
see(const char *format, ...)
{
	size_t length = strlen(seen);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(seen + length, sizeof seen - length, format, arguments);
	va_end(arguments);
	progress++;
}

/* Writes bytes so that each one can be read. */
ALLOCATOR_ void
see_bytes(const char *bytes, size_t length)
{
	for (; length; length--, bytes++)
		see(*bytes >= 32 && *bytes < 127 ? "%c" : "\\x%02x", (unsigned char)*bytes);
}

ALLOCATOR_ const char *
method_name(enum evhttp_cmd_type method)
{
	static const char *const names[] = {"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH"};
	int i;

	for (i = 0; i < 9; i++)
		if ((int)method == 1 << i)
			return names[i];
	return "unknown";
}

/* The handler of most tests: notes the request, its header X and its body, and replies "ok". */
ALLOCATOR_ void
note_and_reply(struct evhttp_request *req, void *arg)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(req), *reply = evbuffer_new();
	const char *header = evhttp_find_header(evhttp_request_get_input_headers(req), "X");
	size_t length = evbuffer_get_length(body);

	see("%s ", method_name(evhttp_request_get_command(req)));
	see_bytes(evhttp_request_get_uri(req), strlen(evhttp_request_get_uri(req)));
	if (header) {
		see(" X=[");
		see_bytes(header, strlen(header));
		see("]");
	}
	if (length > 100) {
		see(" %zu bytes", length);
	} else if (length) {
		see(" [");
		see_bytes((char *)evbuffer_pullup(body, -1), length);
		see("]");
	}
	see("; ");
	evbuffer_add(reply, "ok", 2);
	evhttp_send_reply(req, 200, arg, reply);
	evbuffer_free(reply);
}

/* A listening socket of the local kind under a name that the kernel chooses. */
ALLOCATOR_ int
listening_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un any = {.sun_family = AF_UNIX};

	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof any.sun_family) == 0 && listen(fd, 128) == 0);
	server_address_length = sizeof server_address;
	CHECK(getsockname(fd, (struct sockaddr *)&server_address, &server_address_length) == 0);
	return fd;
}

ALLOCATOR_ void
start_server(void)
{
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	http = evhttp_new(base);
	CHECK(http && evhttp_accept_socket(http, listening_socket()) == 0);
	evhttp_set_gencb(http, note_and_reply, NULL);
}

ALLOCATOR_ void
stop_server(void)
{
	evhttp_free(http);
	event_base_free(base);
}

/* A connection to the server, not blocking. */
ALLOCATOR_ int
connect_raw(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&server_address, server_address_length) == 0);
	return fd;
}

/* What came back on a connection, and whether the server has ended it. */
struct answer {
	char text[1 << 16];
	size_t length; /* of all that came; the text is cut */
	int ended;
};

static struct answer answer __attribute__((unused));

ALLOCATOR_ void
receive(int fd)
{
	static char bytes[1 << 16];
	ssize_t count;

	while (!answer.ended && (count = recv(fd, bytes, sizeof bytes, 0)) != -1) {
		size_t kept = answer.length < sizeof answer.text ? sizeof answer.text - 1 - answer.length : 0;

		if (kept > (size_t)count)
			kept = (size_t)count;
		if (kept)
			memcpy(answer.text + answer.length, bytes, kept);
		if (answer.length + kept < sizeof answer.text)
			answer.text[answer.length + kept] = 0;
		answer.length += (size_t)count;
		answer.ended = count == 0;
		progress++;
	}
	if (!answer.ended && errno != EAGAIN) {
		answer.ended = 1;
		progress++;
	}
}

/* Lets the loop turn until nothing happens any more: nothing comes back, no handler runs, and the server takes
 * nothing that was sent. */
ALLOCATOR_ void
settle(int fd)
{
	unsigned long before;
	int quiet, waiting, waited = -1;

	for (quiet = 0; quiet < 5;) {
		before = progress;
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (fd >= 0) {
			receive(fd);
			CHECK(ioctl(fd, SIOCOUTQ, &waiting) == 0);
			progress += waiting != waited;
			waited = waiting;
		}
		quiet = progress == before ? quiet + 1 : 0;
	}
}

/* Sends as much as the server takes. */
ALLOCATOR_ size_t
send_bytes(int fd, const char *bytes, size_t length)
{
	size_t sent = 0;
	int stuck = 0;

	while (sent < length && stuck < 10) {
		ssize_t count = send(fd, bytes + sent, length - sent, MSG_NOSIGNAL);

		if (count == -1 && errno != EAGAIN)
			break;
		if (count > 0)
			sent += (size_t)count;
		else
			stuck++;
		if (sent < length) {
			unsigned long before = progress;
			int waiting, left;

			CHECK(ioctl(fd, SIOCOUTQ, &waiting) == 0);
			event_base_loop(base, EVLOOP_NONBLOCK);
			receive(fd);
			CHECK(ioctl(fd, SIOCOUTQ, &left) == 0);
			if (count > 0 || progress != before || left != waiting)
				stuck = 0;
		}
	}
	return sent;
}

/* The status codes in what came back, and whether the connection is still open. */
ALLOCATOR_ void
see_answer(void)
{
	const char *line = answer.text;

	see("->");
	while ((line = strstr(line, "HTTP/1.")) != NULL) {
		see(" %.3s", line + 9);
		line++;
	}
	see(answer.ended ? " end" : " open");
}

/* How a stream of bytes is divided. */
enum { WHOLE = 0, BYTE_BY_BYTE = -1 }; /* other numbers: after so many bytes */

/* Sends bytes on a new connection, divided like that, and closes it when nothing happens any more. */
ALLOCATOR_ void
send_divided(const char *bytes, size_t length, int cut)
{
	int fd = connect_raw();
	size_t i, first = cut > 0 && (size_t)cut < length ? (size_t)cut : length;

	memset(&answer, 0, sizeof answer);
	if (cut == BYTE_BY_BYTE) {
		for (i = 0; i < length && !answer.ended; i++) {
			send_bytes(fd, bytes + i, 1);
			settle(fd);
		}
	} else {
		send_bytes(fd, bytes, first);
		settle(fd);
		if (first < length && !answer.ended)
			send_bytes(fd, bytes + first, length - first);
	}
	settle(fd);
	close(fd);
}

/* The same, and says what happened. */
ALLOCATOR_ const char *
outcome(const char *bytes, size_t length, int cut)
{
	seen[0] = 0;
	send_divided(bytes, length, cut);
	see_answer();
	settle(-1);
	return seen;
}

#endif
