/* A server and its clients in one loop, where each sees the other's every step. */
#include "client_tools.h"

enum { MEGABYTE = 1 << 20, HEADER_LIMIT = 3 * MEGABYTE - 1, BODY_LIMIT = HEADER_LIMIT - 1 };

static struct evhttp_connection *client;
static int closes_of_client, handled;

static void
reply_empty(struct evhttp_request *req, void *arg)
{
	(void)arg;
	handled++;
	evhttp_send_reply(req, 200, "Fine", NULL);
}

static void
note_close(struct evhttp_connection *evcon, void *arg)
{
	const struct sockaddr_in *address = (const struct sockaddr_in *)evhttp_connection_get_addr(evcon);

	(void)arg;
	CHECK(address->sin_family == AF_INET && ntohs(address->sin_port) == peer_port);
	closes_of_client++;
}

static void
start_both(void)
{
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	http = evhttp_new(base);
	peer_port = port_of(evhttp_bind_socket_with_handle(http, "127.0.0.1", 0));
	evhttp_set_gencb(http, reply_empty, NULL);
	client = new_client();
	evhttp_connection_set_closecb(client, note_close, NULL);
}

static void
stop_both(void)
{
	evhttp_connection_free(client);
	stop_server();
}

static int
has_connections(void)
{
	return ((void **)http)[6] != NULL;
}

static struct evhttp_request *
with_header(const char *name, const char *value)
{
	struct evhttp_request *req = new_request();

	CHECK_EQUAL(evhttp_add_header(evhttp_request_get_output_headers(req), name, value), 0);
	return req;
}

/* What the client is told. */
static const char *
client_outcome(struct evhttp_request *req, enum evhttp_cmd_type method, const char *target)
{
	int done = requests_done;

	seen[0] = 0;
	CHECK_EQUAL(evhttp_make_request(client, req, method, target), 0);
	TURN_UNTIL(requests_done > done);
	return seen;
}

static void
add_bytes(struct evhttp_request *req, size_t length)
{
	static char bytes[3 * MEGABYTE];

	CHECK(length <= sizeof bytes);
	memset(bytes, 'x', sizeof bytes);
	evbuffer_add(evhttp_request_get_output_buffer(req), bytes, length);
}

/* --- What is too long, and who is told --- */

static char *
long_text(char first)
{
	char *text = malloc(HEADER_LIMIT + 1);

	memset(text, first, HEADER_LIMIT);
	text[HEADER_LIMIT] = 0;
	return text;
}

static void
start_limited(void)
{
	start_both();
	evhttp_set_max_headers_size(http, HEADER_LIMIT);
	evhttp_set_max_body_size(http, BODY_LIMIT);
	evhttp_set_gencb(http, reply_empty, NULL);
}

CASE(a_head_that_is_too_long, ONE_BACKEND)
{
	char *text = long_text('b');

	start_limited();
	CHECK(strncmp(client_outcome(with_header("Long-Header", text), EVHTTP_REQ_GET, "/"), "400 ", 4) == 0);
	CHECK(strncmp(client_outcome(new_request(), EVHTTP_REQ_GET, text), "400 ", 4) == 0);
	CHECK_EQUAL(handled, 0);
	free(text);
	stop_both();
}

static struct evhttp_request *
upload(size_t length, const char *expectation)
{
	struct evhttp_request *req = expectation ? with_header("Expect", expectation) : new_request();

	add_bytes(req, length);
	return req;
}

/* In the middle of an upload the server closes without reading on: its earlier reply is lost, unless the
 * client asks for it. */
CASE(uploads_that_are_refused, ONE_BACKEND)
{
	start_limited();
	CHECK_STRING(client_outcome(upload(BODY_LIMIT + 1, NULL), EVHTTP_REQ_POST, "/"), "eof; no reply; ");
	CHECK_STRING(client_outcome(upload(MEGABYTE, "101-continue"), EVHTTP_REQ_POST, "/"), "eof; no reply; ");
	CHECK_EQUAL(evhttp_connection_set_flags(client, EVHTTP_CON_READ_ON_WRITE_ERROR), 0);
	CHECK(strncmp(client_outcome(upload(BODY_LIMIT + 1, NULL), EVHTTP_REQ_POST, "/"), "413 ", 4) == 0);
	CHECK(strncmp(client_outcome(upload(MEGABYTE, "101-continue"), EVHTTP_REQ_POST, "/"), "417 ", 4) == 0);
	CHECK_EQUAL(handled, 0);
	stop_both();
}

CASE(uploads_that_wait_to_be_wanted, ONE_BACKEND)
{
	start_limited();
	CHECK(strncmp(client_outcome(upload(BODY_LIMIT + 1, "100-continue"), EVHTTP_REQ_POST, "/"), "413 ", 4) == 0);
	CHECK_EQUAL(handled, 0);
	CHECK(strncmp(client_outcome(upload(MEGABYTE, "100-continue"), EVHTTP_REQ_POST, "/"), "200 ", 4) == 0);
	CHECK_EQUAL(handled, 1);
	stop_both();
}

CASE(uploads_to_servers_that_linger, ONE_BACKEND)
{
	start_both();
	evhttp_set_max_body_size(http, MEGABYTE);
	CHECK_STRING(client_outcome(upload(3 * MEGABYTE, NULL), EVHTTP_REQ_POST, "/"), "eof; no reply; ");
	CHECK_EQUAL(evhttp_set_flags(http, EVHTTP_SERVER_LINGERING_CLOSE), 0);
	CHECK(strncmp(client_outcome(upload(3 * MEGABYTE, NULL), EVHTTP_REQ_POST, "/"), "413 ", 4) == 0);
	stop_both();
}

/* --- One request after the other --- */

static int
is_continued(const char *text)
{
	return strstr(text, "200 [Fine]; ") != NULL;
}

CASE(posts_on_one_connection, ONE_BACKEND)
{
	start_both();
	CHECK(is_continued(client_outcome(upload(5, NULL), EVHTTP_REQ_POST, "/")));
	CHECK(is_continued(client_outcome(upload(5, "100-continue"), EVHTTP_REQ_POST, "/")));
	CHECK(is_continued(client_outcome(upload(300000, "100-continue"), EVHTTP_REQ_PUT, "/")));
	CHECK_EQUAL(handled, 3);
	CHECK_EQUAL(closes_of_client, 0);
	stop_both();
	CHECK_EQUAL(closes_of_client, 1);
}

/* A server's page for what it does not have ends the connection; the client makes another one. */
CASE(continues_after_an_error_page, ONE_BACKEND)
{
	start_both();
	evhttp_set_gencb(http, NULL, NULL);
	evhttp_set_cb(http, "/there", reply_empty, NULL);
	printf("%.50s\n", client_outcome(with_header("Host", "unknown.org"), EVHTTP_REQ_GET, "/absent"));
	CHECK_EQUAL(closes_of_client, 1);
	printf("%s\n", client_outcome(with_header("Host", "unknown.org"), EVHTTP_REQ_GET, "/there"));
	CHECK_EQUAL(closes_of_client, 1);
	stop_both();
}

static void
reply_with_length(struct evhttp_request *req, void *length)
{
	evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Length", length);
	evhttp_send_reply(req, 200, "Fine", NULL);
}

/* Lengths set by the program are sent, even if they make no sense. */
CASE(negative_length_of_the_program, ONE_BACKEND)
{
	static const char get[] = "GET / HTTP/1.1\r\n\r\n";
	int fd;

	start_both();
	evhttp_set_gencb(http, reply_with_length, "-100");
	CHECK_STRING(client_outcome(new_request(), EVHTTP_REQ_GET, "/"), "invalid; no reply; ");
	CHECK_EQUAL(evhttp_accept_socket(http, listening_socket()), 0);
	fd = connect_raw();
	memset(&answer, 0, sizeof answer);
	send_bytes(fd, get, sizeof get - 1);
	settle(fd);
	CHECK(strstr(answer.text, "\r\nContent-Length: -100\r\n"));
	close(fd);
	stop_both();
}

/* Both sides time out while idle; the next request silently makes a new connection. */
CASE(idle_connections_end, ONE_BACKEND)
{
	struct timeval timeout = {0, 100000}, pause = {0, 300000};

	start_both();
	evhttp_set_timeout_tv(http, &timeout);
	evhttp_connection_set_timeout_tv(client, &timeout);
	for (int i = 1; i <= 2; i++) {
		int over = 0;

		while (!is_continued(client_outcome(new_request(), EVHTTP_REQ_GET, "/")))
			; /* the machine was too slow */
		event_base_once(base, -1, EV_TIMEOUT, note_time, &over, &pause);
		TURN_UNTIL(over && !has_connections());
		CHECK(closes_of_client >= i);
	}
	stop_both();
}

/* --- The moment when a program stops the loop --- */

static int completed, came;

static void
complete(struct evhttp_request *req, void *arg)
{
	CHECK(arg == &completed);
	CHECK_EQUAL(evbuffer_get_length(evhttp_request_get_output_buffer(req)), 0);
	completed++;
}

static void
reply_and_complete(struct evhttp_request *req, void *size)
{
	struct evbuffer *body = evbuffer_new();
	static char bytes[1 << 16];

	evbuffer_add(body, bytes, *(size_t *)size);
	evhttp_request_set_on_complete_cb(req, complete, &completed);
	evhttp_send_reply(req, 200, "Fine", body);
	evbuffer_free(body);
}

static void
stop_at_the_end(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)arg;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		event_base_loopexit(base, NULL);
}

static void
count_received(struct bufferevent *bev, void *arg)
{
	struct evbuffer *input = bufferevent_get_input(bev);

	(void)arg;
	came += (int)evbuffer_get_length(input);
	evbuffer_drain(input, evbuffer_get_length(input));
}

static void
stop_with_the_answer(struct evhttp_request *req, void *arg)
{
	(void)arg;
	CHECK(req && evhttp_request_get_response_code(req) == 200);
	requests_done++;
	event_base_loopexit(base, NULL);
}

/* A client that has seen the end of the answer stops the loop: the server knows that the answer is complete,
 * and has no connection any more. */
CASE(complete_when_the_loop_stops, EVERY_BACKEND)
{
	static size_t sizes[] = {0, 5, 1 << 16};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	start_both();
	address.sin_port = htons((unsigned short)peer_port);
	for (size_t i = 0; i < 3; i++) {
		struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
		struct evhttp_request *req = evhttp_request_new(stop_with_the_answer, NULL);

		evhttp_set_gencb(http, reply_and_complete, &sizes[i]);
		bufferevent_setcb(bev, count_received, NULL, stop_at_the_end, NULL);
		bufferevent_enable(bev, EV_READ | EV_WRITE);
		CHECK_EQUAL(bufferevent_socket_connect(bev, (struct sockaddr *)&address, sizeof address), 0);
		bufferevent_write(bev, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 37);
		completed = came = 0;
		CHECK_EQUAL(event_base_dispatch(base), 0);
		CHECK(came > (int)sizes[i]);
		CHECK_EQUAL(completed, 1);
		CHECK(!has_connections());
		bufferevent_free(bev);

		evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
		CHECK_EQUAL(evhttp_make_request(client, req, EVHTTP_REQ_GET, "/"), 0);
		CHECK_EQUAL(event_base_dispatch(base), 0);
		CHECK_EQUAL(requests_done, (int)i + 1);
		CHECK_EQUAL(completed, 2);
		CHECK(!has_connections());
	}
	stop_both();
}

/* The connections are freed when they are of no use any more, on both sides, also of two clients at once. */
CASE(freed_when_the_loop_stops, EVERY_BACKEND)
{
	struct evhttp_connection *clients[2];

	start_both();
	for (int i = 0; i < 2; i++) {
		struct evhttp_request *req = evhttp_request_new(stop_with_the_answer, NULL);

		clients[i] = new_client();
		evhttp_connection_free_on_completion(clients[i]);
		evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
		evhttp_add_header(evhttp_request_get_output_headers(req), "Empty", "itis");
		CHECK_EQUAL(evhttp_make_request(clients[i], req, EVHTTP_REQ_GET, "/"), 0);
	}
	while (requests_done < 2)
		CHECK_EQUAL(event_base_dispatch(base), 0);
	CHECK(!has_connections());
	stop_both();
}

/* --- Bodies that a method does not have --- */

enum { EXTRA = 420000 };

/* The server ends the connection behind its answer, which is not the one to a GET. */
static void
check_extra_body(const char *path, const char *length)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	char head[200];
	static char body[EXTRA];
	size_t sent = 0;
	ssize_t count;

	address.sin_port = htons((unsigned short)peer_port);
	CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EINPROGRESS);
	snprintf(head, sizeof head, "HEAD %s HTTP/1.1\r\nHost: somehost\r\nConnection: close\r\n%s\r\n", path, length);
	memset(body, 'x', sizeof body);
	memset(&answer, 0, sizeof answer);
	TURN_UNTIL(send(fd, head, strlen(head), MSG_NOSIGNAL) == (ssize_t)strlen(head));
	TURN_UNTIL({
		if (sent < EXTRA && (count = send(fd, body + sent, EXTRA - sent, MSG_NOSIGNAL)) > 0)
			sent += (size_t)count;
		receive(fd);
		answer.ended;
	});
	CHECK(strstr(answer.text, "not for HEAD") == NULL);
	close(fd);
}

static void
say_something(struct evhttp_request *req, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	evbuffer_add_printf(body, "not for HEAD");
	evhttp_send_reply(req, 200, "Fine", evhttp_request_get_command(req) == EVHTTP_REQ_HEAD ? NULL : body);
	evbuffer_free(body);
}

CASE(body_of_head, ONE_BACKEND)
{
	start_both();
	evhttp_set_cb(http, "/path", say_something, NULL);
	evhttp_set_gencb(http, say_something, NULL);
	check_extra_body("/path", "");
	check_extra_body("/other", "");
	check_extra_body("/path", "Content-Length: 420000\r\n");
	check_extra_body("/other", "Content-Length: 420000\r\n");
	stop_both();
}

/* --- Connections that are not made --- */

static void
note_and_free(struct evhttp_request *req, void *arg)
{
	(void)arg;
	CHECK(req == NULL);
	requests_done++;
	evhttp_connection_free(client);
	client = NULL;
}

/* The broadcast address is none to connect to. The callback may come before evhttp_make_request() returns. */
CASE(unreachable, ONE_BACKEND)
{
	base = event_base_new();
	client = evhttp_connection_base_new(base, NULL, "255.255.255.255", 80);
	CHECK_EQUAL(evhttp_make_request(client, evhttp_request_new(note_and_free, NULL), EVHTTP_REQ_GET, "/"), 0);
	TURN_UNTIL(requests_done == 1);
	CHECK(client == NULL);
	event_base_free(base);
}

static int changes_before_connect;

static void
count_changes(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	(void)buffer;
	(void)arg;
	changes_before_connect += (int)(info->n_added + info->n_deleted);
}

/* A listener that takes no more connections: the kernel does not answer. */
CASE(connect_times_out, ONE_BACKEND)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval timeout = {0, 100000};
	struct evhttp_request *req;
	struct bufferevent *bev;
	int fds[8];

	start_peer();
	CHECK_EQUAL(listen(peer_listener, 0), 0);
	address.sin_port = htons((unsigned short)peer_port);
	for (int i = 0; i < 8; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(fds[i], (struct sockaddr *)&address, sizeof address);
	}
	client = new_client();
	bev = evhttp_connection_get_bufferevent(client);
	evbuffer_add_cb(bufferevent_get_output(bev), count_changes, NULL);
	evhttp_connection_set_timeout_tv(client, &timeout);
	req = upload(5, NULL);
	CHECK_STRING(client_outcome(req, EVHTTP_REQ_POST, "/"), "not connected; ");
	CHECK_EQUAL(changes_before_connect, 0);
	CHECK(evhttp_connection_get_bufferevent(client) == bev);
	evhttp_connection_free(client);
	for (int i = 0; i < 8; i++)
		close(fds[i]);
	stop_peer();
}
