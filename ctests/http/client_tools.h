/* What the tests of HTTP clients share: a listening socket on the loopback, whose side of a connection the test
 * itself plays with raw bytes. */
#ifndef CTESTS_HTTP_CLIENT_TOOLS_H
#define CTESTS_HTTP_CLIENT_TOOLS_H

#include "tools.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>

static int peer_listener __attribute__((unused));
static int peer_port __attribute__((unused));

/* A listener for peers, and a base for the client. */
ALLOCATOR_ void
start_peer(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;

	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	peer_listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CHECK(bind(peer_listener, (struct sockaddr *)&address, length) == 0 && listen(peer_listener, 128) == 0);
	CHECK(getsockname(peer_listener, (struct sockaddr *)&address, &length) == 0);
	peer_port = ntohs(address.sin_port);
}

ALLOCATOR_ void
stop_peer(void)
{
	close(peer_listener);
	event_base_free(base);
}

/* Lets the loop turn until the condition holds, for at most half a minute. */
#define TURN_UNTIL(condition)                                                          \
	do {                                                                           \
		long long end_ = milliseconds() + 30000;                               \
		while (!(condition)) {                                                 \
			CHECK(milliseconds() < end_);                                  \
			event_base_loop(base, EVLOOP_NONBLOCK);                        \
		}                                                                      \
	} while (0)

/* Lets the loop turn a few times, for what may happen. */
ALLOCATOR_ void
turn(void)
{
	int i;

	for (i = 0; i < 5; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

ALLOCATOR_ int
accepted(int *fd)
{
	int one = 1;

	*fd = accept4(peer_listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (*fd >= 0)
		setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return *fd >= 0;
}

/* The client's next connection, accepted. */
ALLOCATOR_ int
accept_client(void)
{
	int fd;

	TURN_UNTIL(accepted(&fd));
	return fd;
}

/* Reads what the client sends until that text is in it. */
ALLOCATOR_ const char *
read_until(int fd, const char *text)
{
	memset(&answer, 0, sizeof answer);
	TURN_UNTIL((receive(fd), strstr(answer.text, text) || answer.ended));
	return answer.text;
}

/* A port of this system at which nobody listens. */
ALLOCATOR_ int
unused_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(bind(fd, (struct sockaddr *)&address, length) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
	close(fd);
	return ntohs(address.sin_port);
}

/* The callbacks of requests: they note what came, or the error. */
static int requests_done __attribute__((unused));

ALLOCATOR_ void
note_reply(struct evhttp_request *req, void *arg)
{
	(void)arg;
	requests_done++;
	if (!req) {
		see("no reply; ");
	} else if (evhttp_request_get_response_code(req) == 0) {
		see("not connected; ");
	} else {
		struct evbuffer *body = evhttp_request_get_input_buffer(req);
		const char *header = evhttp_find_header(evhttp_request_get_input_headers(req), "X");
		const char *line = evhttp_request_get_response_code_line(req);
		size_t length = evbuffer_get_length(body);

		see("%d [", evhttp_request_get_response_code(req));
		see_bytes(line, strlen(line));
		see("]");
		if (header) {
			see(" X=[");
			see_bytes(header, strlen(header));
			see("]");
		}
		if (length) {
			see(" [");
			see_bytes((char *)evbuffer_pullup(body, -1), length);
			see("]");
		}
		see("; ");
	}
}

ALLOCATOR_ void
note_error(enum evhttp_request_error error, void *arg)
{
	static const char *const names[] = {"timeout", "eof", "invalid", "buffer", "cancelled", "too long"};

	(void)arg;
	see("%s; ", names[error]);
}

ALLOCATOR_ struct evhttp_connection *
new_client(void)
{
	struct evhttp_connection *client = evhttp_connection_base_new(base, NULL, "127.0.0.1", (ev_uint16_t)peer_port);

	CHECK(client);
	return client;
}

ALLOCATOR_ struct evhttp_request *
new_request(void)
{
	struct evhttp_request *req = evhttp_request_new(note_reply, NULL);

	CHECK(req);
	evhttp_request_set_error_cb(req, note_error);
	return req;
}

/* Sends these bytes to a client, divided as given, and closes the connection. */
ALLOCATOR_ void
answer_divided(int fd, const char *bytes, size_t length, int cut)
{
	size_t i, step = cut == BYTE_BY_BYTE ? 1 : cut > 0 && (size_t)cut < length ? (size_t)cut : length;

	for (i = 0; i < length;) {
		ssize_t sent = send(fd, bytes + i, step < length - i ? step : length - i, MSG_NOSIGNAL);

		if (sent < 0)
			break;
		i += (size_t)sent;
		if (cut != BYTE_BY_BYTE)
			step = length;
		turn();
	}
	close(fd);
}

/* Makes one request, answers it with these bytes, closes the connection, and returns the outcome. */
ALLOCATOR_ const char *
reply_outcome(enum evhttp_cmd_type method, const char *bytes, size_t length, int cut)
{
	struct evhttp_connection *client = new_client();
	int fd;

	seen[0] = 0;
	requests_done = 0;
	CHECK(evhttp_make_request(client, new_request(), method, method == EVHTTP_REQ_CONNECT ? "h:80" : "/") == 0);
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	answer_divided(fd, bytes, length, cut);
	TURN_UNTIL(requests_done == 1);
	evhttp_connection_free(client);
	return seen;
}

/* Where a server on the loopback listens. */
ALLOCATOR_ int
port_of(struct evhttp_bound_socket *bound)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;

	CHECK(bound != NULL);
	CHECK(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length) == 0);
	return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

/* The callback of a timer. */
ALLOCATOR_ void
note_time(evutil_socket_t fd, short what, void *over)
{
	(void)fd;
	(void)what;
	*(int *)over = 1;
}

#endif
