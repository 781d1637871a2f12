/* Peers that reset their connection, in every state of it: which callbacks run, in which order, and that nothing
 * is leaked. */
#include "client_tools.h"

#include <poll.h>

#define ALONE EVERY_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS

static int descriptors;

/* The library's end of a connection of the test's. */
static int
other_end(int fd)
{
	struct sockaddr_in own, peer;
	socklen_t length = sizeof own;

	CHECK(getsockname(fd, (struct sockaddr *)&own, &length) == 0);
	for (int other = 0; other < 1024; other++) {
		length = sizeof peer;
		if (getpeername(other, (struct sockaddr *)&peer, &length) == 0 && peer.sin_port == own.sin_port)
			return other;
	}
	return -1;
}

/* Waits until the other end's kernel has what was sent, and lets the other end read it. */
static void
let_read(int fd)
{
	int waiting, one = 1, other = other_end(fd);

	TURN_UNTIL({
		setsockopt(other, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
		ioctl(fd, SIOCOUTQ, &waiting) == 0 && waiting == 0;
	});
	turn();
}

static void
say(int fd, const char *bytes)
{
	CHECK_EQUAL(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL), (ssize_t)strlen(bytes));
	let_read(fd);
}

/* Ends a connection with a reset, and waits until the other end's kernel knows. */
static void
reset(int fd)
{
	struct linger at_once = {1, 0};
	struct pollfd other = {.fd = other_end(fd)};

	CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
	close(fd);
	CHECK(poll(&other, 1, 10000) == 1 && other.revents & POLLHUP);
}

/* --- Servers --- */

static struct evhttp_request *held;

static int
has_connections(void)
{
	return ((void **)http)[6] != NULL;
}

static void
note_close(struct evhttp_connection *evcon, void *arg)
{
	(void)evcon;
	(void)arg;
	see("closed; ");
}

static void
note_complete(struct evhttp_request *req, void *arg)
{
	(void)req;
	(void)arg;
	see("complete; ");
}

static void
watch(struct evhttp_request *req)
{
	see("handled; ");
	held = req;
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), note_close, NULL);
	evhttp_request_set_on_complete_cb(req, note_complete, NULL);
}

static void
reply(struct evhttp_request *req, void *arg)
{
	(void)arg;
	watch(req);
	evhttp_send_reply(req, 200, NULL, NULL);
}

static void
hold(struct evhttp_request *req, void *arg)
{
	(void)arg;
	watch(req);
}

static void
start(void (*handler)(struct evhttp_request *, void *))
{
	allocator_install();
	signal(SIGPIPE, SIG_IGN);
	descriptors = open_descriptors();
	base = event_base_new();
	http = evhttp_new(base);
	peer_port = port_of(evhttp_bind_socket_with_handle(http, "127.0.0.1", 0));
	evhttp_set_gencb(http, handler, NULL);
}

/* Nothing is left, neither memory nor descriptors. */
static void
stop(void)
{
	stop_server();
	CHECK_EQUAL(allocator.alive, 0);
	CHECK_EQUAL(open_descriptors(), descriptors);
}

/* A connection to the server, accepted. */
static int
join(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	address.sin_port = htons((unsigned short)peer_port);
	CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EINPROGRESS);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	TURN_UNTIL(has_connections());
	return fd;
}

/* The callbacks that run from here until the server has freed the connection. */
static const char *
callbacks_of_reset(int fd)
{
	seen[0] = 0;
	reset(fd);
	TURN_UNTIL(!has_connections());
	turn();
	return seen;
}

#define POST "POST / HTTP/1.1\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static const char *const parts_of_requests[] = {
	"", "G", "GET / HTTP/1.1", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nX: ", "GET / HTTP/1.1\r\nX: y\r\n",
	POST "Content-Length: 5\r\n\r\n", POST "Content-Length: 5\r\n\r\nab",
	POST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
	CHUNKED, CHUNKED "3", CHUNKED "3\r\n", CHUNKED "3\r\nab", CHUNKED "3\r\nabc", CHUNKED "3\r\nabc\r\n",
	CHUNKED "3\r\nabc\r\n0", CHUNKED "3\r\nabc\r\n0\r\n", CHUNKED "3\r\nabc\r\n0\r\nX: y\r\n"};

/* Nobody handles a part of a request; the program knows of a connection that had a whole one before, or none, when
 * it was idle. */
CASE(in_a_request, ALONE)
{
	int fd;

	start(reply);
	for (size_t i = 0; i < sizeof parts_of_requests / sizeof parts_of_requests[0]; i++) {
		fd = join();
		say(fd, parts_of_requests[i]);
		CHECK_STRING(callbacks_of_reset(fd), "");

		fd = join();
		say(fd, "GET / HTTP/1.1\r\n\r\n");
		read_until(fd, "\r\n\r\n");
		CHECK_STRING(seen, "handled; complete; ");
		say(fd, parts_of_requests[i]);
		CHECK_STRING(callbacks_of_reset(fd), "closed; ");
	}
	stop();
}

/* Nothing is noticed while the program holds the request; its reply is lost, and ends the connection. */
CASE(while_a_request_is_held, ALONE)
{
	int fd;

	start(hold);
	fd = join();
	say(fd, "GET / HTTP/1.1\r\n\r\n");
	CHECK_STRING(seen, "handled; ");
	seen[0] = 0;
	reset(fd);
	turn();
	CHECK_STRING(seen, "");
	CHECK(has_connections());
	CHECK(evhttp_request_get_connection(held) != NULL);
	evhttp_send_reply(held, 200, NULL, NULL);
	TURN_UNTIL(!has_connections());
	CHECK_STRING(seen, "closed; ");
	stop();
}

/* The first piece is begun only now, so that the request is detached before anything was written. */
CASE(while_a_request_is_held_to_be_streamed, ALONE)
{
	int fd;

	start(hold);
	fd = join();
	say(fd, "GET / HTTP/1.1\r\n\r\n");
	seen[0] = 0;
	reset(fd);
	evhttp_send_reply_start(held, 200, NULL);
	TURN_UNTIL(!has_connections());
	CHECK_STRING(seen, "closed; ");
	CHECK(evhttp_request_get_connection(held) == NULL);
	evhttp_send_reply_end(held);
	stop();
}

static void
reply_much(struct evhttp_request *req, void *arg)
{
	static char bytes[8 << 20];
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	watch(req);
	evbuffer_add_reference(body, bytes, sizeof bytes, NULL, NULL);
	evhttp_send_reply(req, 200, NULL, body);
	evbuffer_free(body);
}

/* A whole reply of which a part was written: it is not complete. */
CASE(in_a_reply, ALONE)
{
	int fd;

	start(reply_much);
	fd = join();
	say(fd, "GET / HTTP/1.1\r\n\r\nGET /never HTTP/1.1\r\n\r\n");
	read_until(fd, "\r\n\r\n");
	CHECK_STRING(callbacks_of_reset(fd), "closed; ");
	stop();
}

/* Pieces with a callback: before any, when all that there were have gone out, and with one that has to wait. */
static void
note_written(struct evhttp_connection *evcon, void *arg)
{
	(void)evcon;
	(void)arg;
	see("written; ");
}

static size_t
left_of_piece(size_t length)
{
	static char bytes[8 << 20];
	struct evbuffer *piece = evbuffer_new();
	size_t left;

	evbuffer_add_reference(piece, bytes, length, NULL, NULL);
	evhttp_send_reply_chunk_with_cb(held, piece, note_written, NULL);
	left = evbuffer_get_length(piece);
	evbuffer_free(piece);
	return left;
}

static void
reset_of_stream(int fd)
{
	CHECK_STRING(callbacks_of_reset(fd), "closed; ");
	CHECK(evhttp_request_get_connection(held) == NULL);
	CHECK_EQUAL(left_of_piece(5), 5);
	evhttp_send_reply_end(held);
	CHECK_STRING(seen, "closed; ");
}

static int
stream_of(size_t length)
{
	int fd = join();

	seen[0] = 0;
	say(fd, "GET / HTTP/1.1\r\n\r\n");
	evhttp_send_reply_start(held, 200, NULL);
	if (length)
		CHECK_EQUAL(left_of_piece(length), 0);
	read_until(fd, "\r\n\r\n");
	return fd;
}

CASE(in_a_stream, ALONE)
{
	int fd;

	start(hold);
	reset_of_stream(stream_of(0));
	fd = stream_of(5);
	TURN_UNTIL(strstr(seen, "written; "));
	CHECK_STRING(seen, "handled; written; ");
	reset_of_stream(fd);
	fd = stream_of(8 << 20);
	CHECK_STRING(seen, "handled; ");
	reset_of_stream(fd);
	/* The stream has been ended, but is yet to be written. */
	fd = stream_of(8 << 20);
	evhttp_send_reply_end(held);
	CHECK_STRING(callbacks_of_reset(fd), "closed; ");
	stop();
}

/* The program continues to write before it has noticed. */
CASE(unnoticed_in_a_stream, ALONE)
{
	int fd;

	start(hold);
	fd = stream_of(5);
	TURN_UNTIL(strstr(seen, "written; "));
	seen[0] = 0;
	reset(fd);
	CHECK_EQUAL(left_of_piece(5), 0);
	TURN_UNTIL(!has_connections());
	CHECK_STRING(seen, "closed; ");
	CHECK(evhttp_request_get_connection(held) == NULL);
	evhttp_send_reply_end(held);
	stop();
}

/* A body that is too long, of which the server reads on to be able to say so. */
CASE(while_a_server_lingers, ALONE)
{
	int fd;

	start(reply);
	evhttp_set_max_body_size(http, 10);
	CHECK_EQUAL(evhttp_set_flags(http, EVHTTP_SERVER_LINGERING_CLOSE), 0);
	fd = join();
	say(fd, POST "Content-Length: 100\r\n\r\n");
	CHECK_STRING(callbacks_of_reset(fd), "");
	fd = join();
	say(fd, "GET / HTTP/1.1\r\n\r\n");
	say(fd, POST "Content-Length: 100\r\n\r\n0123456789abcdef");
	CHECK_STRING(callbacks_of_reset(fd), "closed; ");
	stop();
}

/* --- Clients --- */

static struct evhttp_connection *client;

static void
start_client(void)
{
	allocator_install();
	descriptors = open_descriptors();
	start_peer();
	client = new_client();
	evhttp_connection_set_closecb(client, note_close, NULL);
}

static void
stop_client(void)
{
	evhttp_connection_free(client);
	stop_peer();
	CHECK_EQUAL(allocator.alive, 0);
	CHECK_EQUAL(open_descriptors(), descriptors);
}

/* The system's errno is available. */
static void
note_reset(enum evhttp_request_error error, void *arg)
{
	see(errno == ECONNRESET ? "reset: " : "errno %d: ", errno);
	note_error(error, arg);
}

static void
note_piece(struct evhttp_request *req, void *arg)
{
	(void)arg;
	see("piece of %zu; ", evbuffer_get_length(evhttp_request_get_input_buffer(req)));
}

static int
note_headers(struct evhttp_request *req, void *arg)
{
	(void)req;
	(void)arg;
	see("headers; ");
	return 0;
}

static struct evhttp_request *
ask(enum evhttp_cmd_type method, size_t length)
{
	static char bytes[8 << 20];
	struct evhttp_request *req = new_request();

	evhttp_request_set_error_cb(req, note_reset);
	evhttp_request_set_chunked_cb(req, note_piece);
	evhttp_request_set_header_cb(req, note_headers);
	evbuffer_add(evhttp_request_get_output_buffer(req), bytes, length);
	CHECK_EQUAL(evhttp_make_request(client, req, method, "/"), 0);
	return req;
}

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#define HEAD "HTTP/1.1 200 OK\r\n"
#define CHUNKS HEAD "Transfer-Encoding: chunked\r\n\r\n"

static const char *const parts_of_replies[] = {
	"", "HTTP/1.1 2", HEAD, HEAD "X: ", HEAD "X: y\r\n", HEAD "Content-Length: 5\r\n\r\n",
	HEAD "Content-Length: 5\r\n\r\nab", CHUNKS, CHUNKS "3", CHUNKS "3\r\n", CHUNKS "3\r\nab", CHUNKS "3\r\nabc",
	CHUNKS "3\r\nabc\r\n", CHUNKS "3\r\nabc\r\n0\r\n", CHUNKS "3\r\nabc\r\n0\r\nX: y\r\n", HEAD "\r\n", HEAD "\r\nabc",
	"HTTP/1.1 100 Continue\r\n\r\n"};

/* Also one that would have ended with the connection fails. The next request goes on over another connection. */
CASE(in_a_reply_to_a_client, ALONE)
{
	int fd;

	start_client();
	for (size_t i = 0; i < sizeof parts_of_replies / sizeof parts_of_replies[0]; i++) {
		seen[0] = 0;
		requests_done = 0;
		ask(EVHTTP_REQ_GET, 0);
		ask(EVHTTP_REQ_GET, 0);
		fd = accept_client();
		read_until(fd, "\r\n\r\n");
		say(fd, parts_of_replies[i]);
		CHECK_EQUAL(requests_done, 0);
		see("| ");
		reset(fd);
		TURN_UNTIL(requests_done == 1);
		see("| ");
		fd = accept_client();
		read_until(fd, "\r\n\r\n");
		say(fd, ok);
		TURN_UNTIL(requests_done == 2);
		reset(fd);
		TURN_UNTIL(strstr(strrchr(seen, '|'), "closed; "));
		printf("%s\n", seen);
	}
	stop_client();
}

/* Nobody has asked for anything: only the close callback is called, and the next request connects anew. */
CASE(of_an_idle_client, ALONE)
{
	int fd;

	start_client();
	for (int i = 1; i <= 2; i++) {
		ask(EVHTTP_REQ_GET, 0);
		fd = accept_client();
		read_until(fd, "\r\n\r\n");
		say(fd, ok);
		TURN_UNTIL(requests_done == i);
		seen[0] = 0;
		reset(fd);
		TURN_UNTIL(seen[0]);
		turn();
		CHECK_STRING(seen, "closed; ");
	}
	stop_client();
}

/* The client asks before it has noticed: the request fails, once, and is not made again. */
CASE(unnoticed_by_an_idle_client, ALONE)
{
	int fd;

	start_client();
	ask(EVHTTP_REQ_GET, 0);
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	say(fd, ok);
	TURN_UNTIL(requests_done == 1);
	seen[0] = 0;
	reset(fd);
	ask(EVHTTP_REQ_GET, 0);
	TURN_UNTIL(requests_done == 2);
	turn();
	CHECK(!accepted(&fd));
	CHECK(strstr(seen, "closed; ") == seen && strstr(seen, "eof; no reply; "));
	stop_client();
}

/* Kept, but freed when it is of no more use. */
CASE(of_a_client_that_frees_itself, ALONE)
{
	int fd;

	start_client();
	ask(EVHTTP_REQ_GET, 0);
	evhttp_connection_free_on_completion(client);
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	say(fd, ok);
	TURN_UNTIL(requests_done == 1);
	seen[0] = 0;
	reset(fd);
	TURN_UNTIL(seen[0]);
	CHECK_STRING(seen, "closed; ");

	client = new_client();
	evhttp_connection_set_closecb(client, note_close, NULL);
	evhttp_connection_free_on_completion(client);
	ask(EVHTTP_REQ_GET, 0);
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	seen[0] = 0;
	reset(fd);
	TURN_UNTIL(requests_done == 2);
	CHECK_STRING(seen, "closed; reset: eof; no reply; ");
	stop_peer();
	CHECK_EQUAL(allocator.alive, 0);
	CHECK_EQUAL(open_descriptors(), descriptors);
}

/* While the request is written, without a reply; whatever the client's flags. */
static void
reset_of_upload(int flags)
{
	int fd;

	seen[0] = 0;
	requests_done = 0;
	CHECK_EQUAL(evhttp_connection_set_flags(client, flags), 0);
	ask(EVHTTP_REQ_POST, 8 << 20);
	fd = accept_client();
	memset(&answer, 0, sizeof answer);
	TURN_UNTIL((receive(fd), answer.length > 100000));
	reset(fd);
	TURN_UNTIL(requests_done == 1);
	CHECK(strstr(seen, "closed; ") == seen);
	CHECK(strstr(seen, "eof; no reply; "));
	CHECK(strlen(seen) < 50);
}

CASE(in_an_upload, ALONE)
{
	start_client();
	reset_of_upload(0);
	reset_of_upload(EVHTTP_CON_READ_ON_WRITE_ERROR);
	stop_client();
}

/* The head has been written; the body waits for a 100 reply. */
CASE(while_a_client_waits_for_100_continue, ALONE)
{
	struct evhttp_request *req;
	int fd;

	start_client();
	req = ask(EVHTTP_REQ_POST, 0);
	evhttp_add_header(evhttp_request_get_output_headers(req), "Expect", "100-continue");
	evbuffer_add_printf(evhttp_request_get_output_buffer(req), "body");
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	turn();
	reset(fd);
	TURN_UNTIL(requests_done == 1);
	CHECK_STRING(seen, "closed; reset: eof; no reply; ");
	stop_client();
}
