/* What a client does with its requests and connections. The servers are played by the test, or by evhttp. */
#include "one_client.h"


/* What goes out. */
CASE(requests_on_the_wire, ONE_BACKEND)
{
	static const enum evhttp_cmd_type methods[] = {
		EVHTTP_REQ_GET, EVHTTP_REQ_HEAD, EVHTTP_REQ_POST, EVHTTP_REQ_PUT, EVHTTP_REQ_DELETE,
		EVHTTP_REQ_OPTIONS, EVHTTP_REQ_TRACE, EVHTTP_REQ_PATCH, 1 << 12};
	size_t i;
	int fd;

	start_peer();
	new_connection(peer_port);
	for (i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		struct evhttp_request *req = request(methods[i], "/a b?c");

		CHECK(evhttp_request_get_connection(req) == connection);
		evhttp_add_header(evhttp_request_get_output_headers(req), "X", "1");
	}
	fd = accept_client();
	for (i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		printf("%s\n", read_until(fd, "\r\n\r\n"));
		answer_with(fd, methods[i] == EVHTTP_REQ_HEAD ? "HTTP/1.1 200 OK\r\n\r\n" : ok);
	}
	TURN_UNTIL(requests_done == 9);
	printf("%s\n", seen);
	evhttp_connection_free(connection);
	CHECK_EQUAL(closes, 1);
	close(fd);
	stop_peer();
}

CASE(bodies_of_requests, ONE_BACKEND)
{
	struct evhttp_request *req;
	int fd;

	start_peer();
	new_connection(peer_port);
	req = evhttp_request_new(note_reply, NULL);
	evbuffer_add_printf(evhttp_request_get_output_buffer(req), "body");
	CHECK_EQUAL(evhttp_make_request(connection, req, EVHTTP_REQ_POST, "/"), 0);
	req = evhttp_request_new(note_reply, NULL);
	req->major = 1;
	req->minor = 0;
	evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Length", "4");
	evbuffer_add_printf(evhttp_request_get_output_buffer(req), "body");
	CHECK_EQUAL(evhttp_make_request(connection, req, EVHTTP_REQ_PUT, "/"), 0);
	fd = accept_client();
	printf("%s\n", read_until(fd, "body"));
	answer_with(fd, ok);
	printf("%s\n", read_until(fd, "body"));
	answer_with(fd, ok);
	TURN_UNTIL(requests_done == 2);
	evhttp_connection_free(connection);
	close(fd);
	stop_peer();
}

DIFFERENCE(length_of_any_body, ONE_BACKEND, "the body of a DELETE or PATCH request is sent without its length")
{
	struct evhttp_request *req;
	int fd;

	start_peer();
	new_connection(peer_port);
	req = evhttp_request_new(note_reply, NULL);
	evbuffer_add_printf(evhttp_request_get_output_buffer(req), "body");
	CHECK_EQUAL(evhttp_make_request(connection, req, EVHTTP_REQ_PATCH, "/"), 0);
	fd = accept_client();
	CHECK(strstr(read_until(fd, "body"), "Content-Length: 4\r\n") != NULL);
	evhttp_connection_free(connection);
	close(fd);
	stop_peer();
}

/* Which connections are reused, and in what order callbacks run. */
CASE(connections_kept_and_ended, ONE_BACKEND)
{
	static const char *const replies[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"};
	size_t i;
	int fd = -1;

	start_peer();
	new_connection(peer_port);
	for (i = 0; i < 5; i++) {
		request(EVHTTP_REQ_GET, "/");
		if (fd < 0)
			fd = accept_client();
		read_until(fd, "\r\n\r\n");
		answer_with(fd, replies[i]);
		TURN_UNTIL(requests_done == (int)i + 1);
		if (i == 1) {
			TURN_UNTIL((receive(fd), answer.ended));
			close(fd);
			fd = -1;
		}
	}
	/* The server ends the connection while nothing is asked. */
	close(fd);
	TURN_UNTIL(closes == 2);
	request(EVHTTP_REQ_GET, "/");
	fd = accept_client();
	answer_with(fd, ok);
	TURN_UNTIL(requests_done == 6);
	/* Or sends something that was not asked for. */
	answer_with(fd, ok);
	TURN_UNTIL(closes == 3);
	printf("%s\n", seen);
	evhttp_connection_free(connection);
	close(fd);
	stop_peer();
}

DIFFERENCE(queue_continues_after_a_reply_until_close, ONE_BACKEND,
	   "a request queued after one whose reply ends with the connection is sent over the dead connection")
{
	int fd;

	start_peer();
	new_connection(peer_port);
	request(EVHTTP_REQ_GET, "/1");
	request(EVHTTP_REQ_GET, "/2");
	request(EVHTTP_REQ_GET, "/3");
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	answer_with(fd, "HTTP/1.1 200 OK\r\n\r\none");
	close(fd);
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	answer_with(fd, "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\ntwo");
	TURN_UNTIL(requests_done == 2);
	close(fd);
	fd = accept_client();
	CHECK(strstr(read_until(fd, "\r\n\r\n"), "GET /3 ") != NULL);
	answer_with(fd, ok);
	TURN_UNTIL(requests_done == 3);
	CHECK_STRING(seen, "200 [OK] [one]; closed; closed; 200 [OK] [two]; 200 [OK] [ok]; ");
	evhttp_connection_free(connection);
	close(fd);
	stop_peer();
}

/* The current request fails; the others continue. */
CASE(failures, ONE_BACKEND)
{
	static const char *const replies[] = {"", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "rubbish\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -100\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n"};
	size_t i;
	int fd;

	start_peer();
	new_connection(peer_port);
	for (i = 0; i < 5; i++)
		request(EVHTTP_REQ_GET, "/");
	for (i = 0; i < 5; i++) {
		fd = accept_client();
		read_until(fd, "\r\n\r\n");
		answer_with(fd, replies[i]);
		close(fd);
		TURN_UNTIL(requests_done == (int)i + 1);
	}
	printf("%s\n", seen);
	evhttp_connection_free(connection);
	stop_peer();
}

CASE(timeouts, ONE_BACKEND)
{
	struct timeval short_time = {0, 50000}, long_time = {50, 0};
	int fd;

	start_peer();
	new_connection(peer_port);
	evhttp_connection_set_timeout_tv(connection, &short_time);
	request(EVHTTP_REQ_GET, "/");
	fd = accept_client();
	TURN_UNTIL(requests_done == 1);
	CHECK_STRING(seen, "closed; timeout; no reply; ");
	close(fd);
	/* While nothing is asked, too. */
	evhttp_connection_set_timeout_tv(connection, &long_time);
	request(EVHTTP_REQ_GET, "/");
	fd = accept_client();
	answer_with(fd, ok);
	TURN_UNTIL(requests_done == 2);
	evhttp_connection_set_timeout_tv(connection, &short_time);
	TURN_UNTIL(closes == 2);
	printf("%s\n", seen);
	evhttp_connection_free(connection);
	close(fd);
	stop_peer();
}

/* A refused connection: every request's callback runs, from the loop, without a reply but with header lists. */
static void
not_connected(struct evhttp_request *req, void *arg)
{
	(void)arg;
	CHECK(req != NULL);
	CHECK_EQUAL(evhttp_request_get_response_code(req), 0);
	CHECK_EQUAL(evbuffer_get_length(evhttp_request_get_input_buffer(req)), 0);
	CHECK(evhttp_find_header(evhttp_request_get_input_headers(req), "Content-Type") == NULL);
	CHECK(evhttp_request_get_connection(req) == NULL);
	requests_done++;
	see("not connected %s; ", evhttp_request_get_uri(req));
}

static struct evhttp_request *
refused_request(const char *uri)
{
	struct evhttp_request *req = evhttp_request_new(not_connected, NULL);

	evhttp_request_set_error_cb(req, note_error);
	CHECK_EQUAL(evhttp_make_request(connection, req, EVHTTP_REQ_GET, uri), 0);
	return req;
}

CASE(refused, ONE_BACKEND)
{
	struct evhttp_request *owned;

	start_peer();
	new_connection(unused_port());
	refused_request("/1");
	owned = refused_request("/2");
	evhttp_request_own(owned);
	CHECK_EQUAL(evhttp_request_is_owned(owned), 1);
	refused_request("/3");
	CHECK_EQUAL(requests_done, 0);
	TURN_UNTIL(requests_done == 3);
	printf("%s\n", seen);
	evhttp_connection_free(connection);
	CHECK_EQUAL(closes, 0);
	evhttp_request_free(owned);
	stop_peer();
}

/* Attempts and pauses. */
static int
is_between(long long began, int from, int to)
{
	long long took = milliseconds() - began;

	return took >= from && took < to;
}

CASE(retries, ONE_BACKEND)
{
	struct timeval pause = {0, 100000};
	long long began = milliseconds();

	start_peer();
	new_connection(unused_port());
	evhttp_connection_set_retries(connection, 2);
	evhttp_connection_set_initial_retry_tv(connection, &pause);
	refused_request("/");
	TURN_UNTIL(requests_done == 1);
	/* A pause begins at the time of the pass, which may be a little before. */
	CHECK(is_between(began, 290, 5000));
	evhttp_connection_free(connection);
	stop_peer();
}

/* The pauses keep doubling until a connection is made. */
DIFFERENCE(requests_after_retries, ONE_BACKEND, "after its attempts to connect have failed, a connection never tries again")
{
	struct timeval pause = {0, 50000};
	long long began;

	start_peer();
	new_connection(unused_port());
	evhttp_connection_set_retries(connection, 1);
	evhttp_connection_set_initial_retry_tv(connection, &pause);
	refused_request("/1");
	TURN_UNTIL(requests_done == 1);
	began = milliseconds();
	refused_request("/2");
	TURN_UNTIL(requests_done == 2);
	CHECK(is_between(began, 95, 5000));
	evhttp_connection_free(connection);
	stop_peer();
}

CASE(server_that_comes_up, ONE_BACKEND)
{
	struct timeval pause = {0, 20000};
	long long until;
	int fd, port;

	start_peer();
	port = peer_port;
	close(peer_listener);
	new_connection(port);
	evhttp_connection_set_retries(connection, -1);
	evhttp_connection_set_initial_retry_tv(connection, &pause);
	request(EVHTTP_REQ_GET, "/1");
	request(EVHTTP_REQ_GET, "/2");
	until = milliseconds() + 50;
	TURN_UNTIL(milliseconds() > until);
	peer_listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	CHECK(bind(peer_listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(peer_listener, 5) == 0);
	fd = accept_client();
	answer_with(fd, ok);
	TURN_UNTIL(requests_done == 1);
	answer_with(fd, ok);
	TURN_UNTIL(requests_done == 2);
	printf("%s\n", seen);
	evhttp_connection_free(connection);
	close(fd);
	stop_peer();
}

/* A name that is not found. */
CASE(unknown_name, ONE_BACKEND)
{
	start_peer();
	seen[0] = 0;
	connection = evhttp_connection_base_new(base, NULL, "no.such.name.invalid.", 80);
	request(EVHTTP_REQ_GET, "/");
	TURN_UNTIL(requests_done == 1);
	CHECK_STRING(seen, "eof; no reply; ");
	evhttp_connection_free(connection);
	stop_peer();
}

/* Cancelling. */
CASE(cancelled, ONE_BACKEND)
{
	struct evhttp_request *first, *second;
	int fd;

	start_peer();
	new_connection(peer_port);
	/* While it connects. */
	first = request(EVHTTP_REQ_GET, "/1");
	evhttp_cancel_request(first);
	CHECK_STRING(seen, "cancelled; ");
	/* While it waits for its reply; the next one continues. One that waits for its turn is cancelled silently. */
	first = request(EVHTTP_REQ_GET, "/2");
	request(EVHTTP_REQ_GET, "/3");
	second = request(EVHTTP_REQ_GET, "/4");
	fd = accept_client();
	while (read_until(fd, "\r\n\r\n")[0] == 0) {
		close(fd);
		fd = accept_client();
	}
	evhttp_cancel_request(second);
	CHECK_STRING(seen, "cancelled; ");
	evhttp_cancel_request(first);
	CHECK_STRING(seen, "cancelled; closed; cancelled; ");
	close(fd);
	fd = accept_client();
	CHECK(strncmp(read_until(fd, "\r\n\r\n"), "GET /3 ", 7) == 0);
	answer_with(fd, ok);
	TURN_UNTIL(requests_done == 1);
	printf("%s\n", seen);
	evhttp_connection_free(connection);
	close(fd);
	stop_peer();
}

/* The limit applies to each reply, also if the same request is made again. */
DIFFERENCE(one_request_made_again, ONE_BACKEND, "making a request again that the program owns ends the process")
{
	struct evhttp_request *req;
	int fd = -1, i;

	start_peer();
	new_connection(peer_port);
	evhttp_connection_set_max_headers_size(connection, 100);
	evhttp_connection_set_max_body_size(connection, 4);
	req = evhttp_request_new(note_reply, NULL);
	evhttp_request_own(req);
	for (i = 0; i < 5; i++) {
		CHECK_EQUAL(evhttp_make_request(connection, req, EVHTTP_REQ_GET, "/"), 0);
		if (fd < 0)
			fd = accept_client();
		read_until(fd, "\r\n\r\n");
		answer_with(fd, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: 12345678901234567890\r\n\r\nabc");
		TURN_UNTIL(requests_done == i + 1);
		evbuffer_drain(evhttp_request_get_input_buffer(req), 3);
	}
	printf("%s\n", seen);
	evhttp_connection_free(connection);
	evhttp_request_free(req);
	close(fd);
	stop_peer();
}

/* Freed when it is of no more use. */
CASE(freed_on_completion, ONE_BACKEND)
{
	int fd;

	start_peer();
	new_connection(peer_port);
	request(EVHTTP_REQ_GET, "/");
	evhttp_connection_free_on_completion(connection);
	fd = accept_client();
	answer_with(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
	TURN_UNTIL(requests_done == 1);
	close(fd);

	new_connection(peer_port);
	request(EVHTTP_REQ_GET, "/");
	evhttp_connection_free_on_completion(connection);
	fd = accept_client();
	answer_with(fd, ok);
	TURN_UNTIL(requests_done == 2);
	close(fd);
	TURN_UNTIL(closes == 2);

	new_connection(peer_port);
	request(EVHTTP_REQ_GET, "/");
	evhttp_connection_free_on_completion(connection);
	fd = accept_client();
	close(fd);
	TURN_UNTIL(requests_done == 3);
	printf("%s\n", seen);
	stop_peer();
}

CASE(requests_that_cannot_be_made, ONE_BACKEND)
{
	start_peer();
	new_connection(peer_port);
	/* An address that is not this machine's. */
	evhttp_connection_set_local_address(connection, "192.0.2.1");
	struct evhttp_request *req = evhttp_request_new(note_reply, NULL);
	evhttp_request_own(req);
	CHECK_EQUAL(evhttp_make_request(connection, req, EVHTTP_REQ_GET, "/"), -1);
	evhttp_request_free(req);
	turn();
	CHECK_STRING(seen, "");
	evhttp_connection_free(connection);
	stop_peer();
}

CASE(local_address, ONE_BACKEND)
{
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	int fd;

	start_peer();
	new_connection(peer_port);
	evhttp_connection_set_local_address(connection, "127.0.0.2");
	request(EVHTTP_REQ_GET, "/");
	fd = accept_client();
	CHECK(getpeername(fd, (struct sockaddr *)&address, &length) == 0);
	CHECK(address.sin_addr.s_addr == htonl(0x7f000002));
	answer_with(fd, ok);
	TURN_UNTIL(requests_done == 1);
	printf("%s\n", seen);
	CHECK_EQUAL(evhttp_connection_get_addr(connection)->sa_family, AF_INET);
	evhttp_connection_free(connection);
	close(fd);
	stop_peer();
}

/* A program that makes the next request in the callback of the last one. */
static int left = 2000;

static void
ask_again(struct evhttp_request *req, void *arg)
{
	CHECK(req && evhttp_request_get_response_code(req) == 200);
	CHECK(evhttp_request_get_connection(req) == NULL);
	requests_done++;
	if (--left) {
		struct evhttp_request *next = evhttp_request_new(ask_again, arg);

		CHECK_EQUAL(evhttp_make_request(connection, next, EVHTTP_REQ_GET, "/"), 0);
	}
}

static void
reply_empty(struct evhttp_request *req, void *arg)
{
	(void)arg;
	CHECK(evhttp_connection_get_server(evhttp_request_get_connection(req)) == http);
	evhttp_send_reply(req, 200, NULL, NULL);
}

CASE(one_request_after_the_other, ONE_BACKEND)
{
	struct evhttp_request *req;

	base = event_base_new();
	http = evhttp_new(base);
	evhttp_set_gencb(http, reply_empty, NULL);
	new_connection(port_of(evhttp_bind_socket_with_handle(http, "127.0.0.1", 0)));
	req = evhttp_request_new(ask_again, NULL);
	CHECK_EQUAL(evhttp_make_request(connection, req, EVHTTP_REQ_GET, "/"), 0);
	TURN_UNTIL(left == 0);
	CHECK_EQUAL(requests_done, 2000);
	evhttp_connection_free(connection);
	evhttp_free(http);
	event_base_free(base);
}

/* A queue is processed in one go, without the stack growing with it. */
CASE(long_queue, ONE_BACKEND)
{
	int i;

	base = event_base_new();
	http = evhttp_new(base);
	evhttp_set_gencb(http, reply_empty, NULL);
	new_connection(port_of(evhttp_bind_socket_with_handle(http, "127.0.0.1", 0)));
	for (i = 0; i < 1000; i++)
		request(EVHTTP_REQ_GET, "/");
	TURN_UNTIL(requests_done == 1000);
	evhttp_connection_free(connection);
	evhttp_free(http);
	event_base_free(base);
}
