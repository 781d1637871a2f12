/* An HTTP server, and a client, each with a peer on bare sockets in a thread of its own, while system
 * calls fail for the library alone. */
#define _GNU_SOURCE
#include "scenarios.h"

#include <event2/http.h>
#include <pthread.h>

enum { REQUESTS = 3, BODY = 5000 };

/* The peer, and the pipe that it closes when it is done. */
struct peer {
	pthread_t thread;
	int socket, ended[2], port;
	int answered, finished;
};

static void
note_end(evutil_socket_t fd, short what, void *finished)
{
	(void)fd;
	(void)what;
	*(int *)finished = 1;
}

static void
limit_waiting(int fd)
{
	struct timeval limit = {1, 0};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

/* Reads a message with a body of BODY bytes; returns whether it is complete. */
static int
read_message(int fd, char *start, int room, int stream)
{
	char bytes[BODY + 2000], *body = NULL;
	ssize_t got, have = 0, i;
	while (!body || have < body - bytes + BODY) {
		got = read(fd, bytes + have, sizeof bytes - 1 - have);
		if (got <= 0)
			return 0;
		have += got;
		bytes[have] = 0;
		body = memmem(bytes, have, "\r\n\r\n", 4);
		body = body ? body + 4 : NULL;
	}
	snprintf(start, room, "%.*s", (int)strcspn(bytes, "\r"), bytes);
	for (i = 0; i < BODY; i++) {
		if ((unsigned char)body[i] != byte_of_stream(stream, i))
			return -1;
	}
	return have == body - bytes + BODY;
}

static int
write_message(int fd, const char *start, int stream)
{
	char bytes[BODY + 200];
	int length = sprintf(bytes, "%s\r\nHost: test\r\nContent-Length: %d\r\n\r\n", start, BODY), i;
	for (i = 0; i < BODY; i++)
		bytes[length + i] = (char)byte_of_stream(stream, i);
	return write(fd, bytes, length + BODY) == length + BODY;
}

static void
begin(struct peer *peer, void *(*run)(void *), struct event_base *base, struct event **end)
{
	HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, peer->ended) == 0, "a pipe");
	*end = event_new(base, peer->ended[0], EV_READ, note_end, &peer->finished);
	if (*end && event_add(*end, NULL)) {
		event_free(*end);
		*end = NULL;
	}
	HOLDS(pthread_create(&peer->thread, NULL, run, peer) == 0, "a thread");
}

static void
finish(struct peer *peer, struct event *end)
{
	pthread_join(peer->thread, NULL);
	if (end)
		event_free(end);
	close(peer->ended[0]);
}

/* --- The server --------------------------------------------------------------------------------- */

static void *
ask(void *arg)
{
	struct peer *peer = arg;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(peer->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	char start[100];
	int whole;
	peer->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	limit_waiting(peer->socket);
	if (!connect(peer->socket, (struct sockaddr *)&address, sizeof address)) {
		while (peer->answered < REQUESTS && write_message(peer->socket, "POST /path HTTP/1.1", peer->answered)) {
			whole = read_message(peer->socket, start, sizeof start, peer->answered);
			HOLDS(!whole || strncmp(start, "HTTP/1.1 200 ", 13) || whole == 1, "an answer with 200 is not what was sent");
			if (whole != 1 || strncmp(start, "HTTP/1.1 200 ", 13))
				break;
			peer->answered++;
		}
	}
	close(peer->socket);
	close(peer->ended[1]);
	return NULL;
}

static void
send_back(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_send_reply(request, 200, "OK", evhttp_request_get_input_buffer(request));
}

SCENARIO(http_server)
{
	struct peer peer = {.finished = 0};
	struct event_base *base = new_base(0);
	struct evhttp *http;
	struct evhttp_bound_socket *bound;
	struct event *end;
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	enum ending ending = REFUSED;
	if (!base)
		return REFUSED;
	http = evhttp_new(base);
	bound = http ? evhttp_bind_socket_with_handle(http, "127.0.0.1", 0) : NULL;
	if (bound && !getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length)) {
		peer.port = ntohs(address.sin_port);
		evhttp_set_gencb(http, send_back, NULL);
		begin(&peer, ask, base, &end);
		if (end && run_until(base, &peer.finished) == DONE && peer.answered == REQUESTS)
			ending = DONE;
		/* The peer gets nothing of what it still waits for. */
		evhttp_free(http);
		http = NULL;
		finish(&peer, end);
	}
	if (http)
		evhttp_free(http);
	finish_base(base);
	return ending;
}

/* --- The client ---------------------------------------------------------------------------------- */

static void *
serve(void *arg)
{
	struct peer *peer = arg;
	char start[100];
	int fd, number = 0, whole;
	while (number < REQUESTS && (fd = accept(peer->socket, NULL, NULL)) >= 0) {
		limit_waiting(fd);
		while (number < REQUESTS && (whole = read_message(fd, start, sizeof start, number)) != 0) {
			HOLDS(whole == 1 && !strcmp(start, "POST /path HTTP/1.1"), "a request is not what was asked");
			if (!write_message(fd, "HTTP/1.1 200 OK", 10 + number++))
				break;
		}
		close(fd);
	}
	return NULL;
}

struct questions {
	struct evhttp_connection *connection;
	int answered, failed, finished;
};

static int ask_next(struct questions *questions);

static void
answered(struct evhttp_request *request, void *arg)
{
	struct questions *questions = arg;
	size_t arrived = 0;
	if (request && evhttp_request_get_response_code(request) == 200) {
		take_stream(evhttp_request_get_input_buffer(request), 10 + questions->answered++, &arrived);
		HOLDS(arrived == BODY, "an answer with 200 is not whole");
	} else {
		questions->failed = 1;
	}
	questions->finished = questions->failed || questions->answered == REQUESTS || ask_next(questions);
}

static int
ask_next(struct questions *questions)
{
	struct evhttp_request *request = evhttp_request_new(answered, questions);
	unsigned char body[BODY];
	size_t i;
	questions->failed = 1;
	if (!request)
		return -1;
	for (i = 0; i < BODY; i++)
		body[i] = byte_of_stream(questions->answered, i);
	if (evhttp_add_header(evhttp_request_get_output_headers(request), "Host", "test") ||
	    evbuffer_add(evhttp_request_get_output_buffer(request), body, BODY)) {
		evhttp_request_free(request);
		return -1;
	}
	questions->failed = evhttp_make_request(questions->connection, request, EVHTTP_REQ_POST, "/path") != 0;
	return questions->failed ? -1 : 0;
}

SCENARIO(http_client)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	struct questions questions = {.answered = 0};
	struct peer peer = {.finished = 0};
	struct event_base *base = new_base(0);
	enum ending ending = REFUSED;
	if (!base)
		return REFUSED;
	peer.socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	HOLDS(!bind(peer.socket, (struct sockaddr *)&address, length) && !listen(peer.socket, 4) &&
	      !getsockname(peer.socket, (struct sockaddr *)&address, &length), "a socket");
	HOLDS(pthread_create(&peer.thread, NULL, serve, &peer) == 0, "a thread");
	questions.connection = evhttp_connection_base_new(base, NULL, "127.0.0.1", ntohs(address.sin_port));
	if (questions.connection) {
		evhttp_connection_set_timeout(questions.connection, 1);
		if (!ask_next(&questions) && run_until(base, &questions.finished) == DONE && !questions.failed)
			ending = DONE;
		evhttp_connection_free(questions.connection);
	}
	/* No more connections are accepted. */
	shutdown(peer.socket, SHUT_RDWR);
	pthread_join(peer.thread, NULL);
	close(peer.socket);
	finish_base(base);
	return ending;
}
