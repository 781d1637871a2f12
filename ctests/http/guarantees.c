/* What programs rely on although it is easily overlooked: requests that are held for long, the fields of requests,
 * and ownership when something fails. */
#include "client_tools.h"

#define ALONE ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS

static struct evhttp_request *held;
static struct evhttp_connection *client;

static int
connected_with(const char *request)
{
	int fd = connect_raw();

	memset(&answer, 0, sizeof answer);
	seen[0] = 0;
	send_bytes(fd, request, strlen(request));
	settle(fd);
	return fd;
}

static void
leave(int fd)
{
	close(fd);
	settle(-1);
}

static void
hold(struct evhttp_request *req, void *arg)
{
	(void)arg;
	held = req;
	progress++;
}

/* --- Servers --- */

/* No timeout runs while the program has the request; that of the next request starts with the reply. */
CASE(held_longer_than_the_timeout, ONE_BACKEND)
{
	struct timeval timeout = {0, 50000}, pause = {0, 150000};
	int fd, over = 0;

	start_server();
	evhttp_set_gencb(http, hold, NULL);
	fd = connect_raw();
	settle(fd);
	evhttp_set_timeout_tv(http, &timeout);
	leave(fd);
	fd = connected_with("");
	/* On a slow machine it has timed out before it had a request. */
	while (held = NULL, send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL) != 18 || (settle(fd), !held)) {
		leave(fd);
		fd = connected_with("");
	}
	event_base_once(base, -1, EV_TIMEOUT, note_time, &over, &pause);
	TURN_UNTIL(over);
	settle(fd);
	CHECK(!answer.ended && answer.length == 0);
	CHECK(evhttp_request_get_connection(held) != NULL);
	evhttp_send_reply(held, 200, NULL, NULL);
	settle(fd);
	CHECK(strncmp(answer.text, "HTTP/1.1 200 OK\r\n", 17) == 0);
	TURN_UNTIL((receive(fd), answer.ended));
	close(fd);
	stop_server();
}

/* The end of a kept connection after a reply is not a bad request. */
CASE(ends_after_a_reply, ONE_BACKEND)
{
	static const char *const requests[] = {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"};
	size_t length;
	int fd;

	start_server();
	for (int i = 0; i < 2; i++) {
		fd = connected_with(requests[i]);
		CHECK(!answer.ended && strstr(answer.text, " 200 OK\r\n") && strstr(answer.text, "\r\n\r\nok"));
		length = answer.length;
		shutdown(fd, SHUT_WR);
		settle(fd);
		CHECK(answer.ended && answer.length == length);
		leave(fd);
	}
	stop_server();
}

/* A long reply waits for its client, which sends what nobody asked for. */
static void
reply_at_length(struct evhttp_request *req, void *arg)
{
	static char bytes[13 << 20];
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	evbuffer_add_reference(body, bytes, sizeof bytes, NULL, NULL);
	evhttp_send_reply(req, 200, NULL, body);
	evbuffer_free(body);
	progress++;
}

CASE(stray_bytes_during_a_long_reply, ALONE)
{
	int fd;

	allocator_install();
	start_server();
	evhttp_set_gencb(http, reply_at_length, NULL);
	fd = connect_raw();
	CHECK_EQUAL(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
	turn();
	CHECK_EQUAL(send(fd, "abcdef", 6, 0), 6);
	turn();
	stop_server();
	close(fd);
	CHECK_EQUAL(allocator.alive, 0);
}

/* A handler may say which version its reply has. */
static void
stream_as_1_0(struct evhttp_request *req, void *arg)
{
	struct evbuffer *piece = evbuffer_new();

	(void)arg;
	req->major = 1;
	req->minor = 0;
	evhttp_send_reply_start(req, 200, "Fine");
	evbuffer_add(piece, "piece", 5);
	evhttp_send_reply_chunk(req, piece);
	evbuffer_free(piece);
	evhttp_send_reply_end(req);
}

CASE(version_of_the_program, ONE_BACKEND)
{
	start_server();
	evhttp_set_gencb(http, stream_as_1_0, NULL);
	leave(connected_with("GET / HTTP/1.1\r\n\r\n"));
	printf("%s%s\n", answer.text, answer.ended ? "(end)" : "(open)");
	stop_server();
}

/* A streamed reply that has been written ends in the call, where no chunk tells its end. */
static void
note_complete(struct evhttp_request *req, void *arg)
{
	(void)req;
	(void)arg;
	see("complete; ");
}

static void
begin_stream(struct evhttp_request *req, void *arg)
{
	struct evbuffer *piece = evbuffer_new();

	hold(req, arg);
	evhttp_request_set_on_complete_cb(req, note_complete, NULL);
	evhttp_send_reply_start(req, 200, NULL);
	evbuffer_add(piece, "piece", 5);
	evhttp_send_reply_chunk(req, piece);
	evbuffer_free(piece);
}

CASE(streams_end_in_the_call, ONE_BACKEND)
{
	int fd;

	start_server();
	evhttp_set_gencb(http, begin_stream, NULL);
	fd = connected_with("GET / HTTP/1.0\r\n\r\n");
	evhttp_send_reply_end(held);
	CHECK_STRING(seen, "complete; ");
	settle(fd);
	CHECK(answer.ended);
	close(fd);
	fd = connected_with("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n");
	evhttp_send_reply_end(held);
	CHECK_STRING(seen, "");
	settle(fd);
	CHECK_STRING(seen, "complete; ");
	CHECK(!answer.ended);
	leave(fd);
	evhttp_request_free(held);
	stop_server();
}

/* Every address of this machine, at a port of the program's. */
CASE(every_address, ONE_BACKEND)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof address;
	struct evhttp_bound_socket *bound = NULL;
	int fd, tries;

	start_server();
	/* The port may be somebody else's by then. */
	for (tries = 0; !bound && tries < 100; tries++) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		address.sin_port = 0;
		CHECK(bind(fd, (struct sockaddr *)&address, length) == 0);
		CHECK(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
		close(fd);
		bound = evhttp_bind_socket_with_handle(http, NULL, ntohs(address.sin_port));
	}
	CHECK_EQUAL(port_of(bound), ntohs(address.sin_port));
	CHECK(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length) == 0);
	CHECK_EQUAL(address.sin_addr.s_addr, htonl(INADDR_ANY));
	stop_server();
}

/* The fields of a request that a program may look at. */
static void
note_fields(struct evhttp_request *req, void *arg)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);

	(void)arg;
	CHECK(uri == req->uri_elems);
	CHECK_STRING(evhttp_request_get_uri(req), req->uri);
	CHECK(evhttp_request_get_input_headers(req) == req->input_headers);
	CHECK(evhttp_request_get_output_headers(req) == req->output_headers);
	CHECK(evhttp_request_get_input_buffer(req) == req->input_buffer);
	CHECK(evhttp_request_get_output_buffer(req) == req->output_buffer);
	CHECK(evhttp_request_get_connection(req) == req->evcon);
	CHECK_EQUAL(evhttp_request_get_command(req), req->type);
	printf("%s: kind %d, type %d, %d.%d, head of %zu, body of %zu, left %lld, chunked %d, done %d, proxy %d\n", req->uri,
	       req->kind, req->type, req->major, req->minor, req->headers_size, req->body_size, (long long)req->ntoread,
	       req->chunked, req->userdone, (req->flags & EVHTTP_PROXY_REQUEST) != 0);
	printf("  scheme %s host %s port %d path %s query %s fragment %s\n",
	       evhttp_uri_get_scheme(uri) ? evhttp_uri_get_scheme(uri) : "none",
	       evhttp_uri_get_host(uri) ? evhttp_uri_get_host(uri) : "none", evhttp_uri_get_port(uri),
	       evhttp_uri_get_path(uri), evhttp_uri_get_query(uri) ? evhttp_uri_get_query(uri) : "none",
	       evhttp_uri_get_fragment(uri) ? evhttp_uri_get_fragment(uri) : "none");
	evhttp_send_reply(req, 200, NULL, NULL);
	printf("  then kind %d, done %d, code %d %s\n", req->kind, req->userdone, evhttp_request_get_response_code(req),
	       evhttp_request_get_response_code_line(req));
}

CASE(fields_of_requests, ONE_BACKEND)
{
	static const char *const requests[] = {
		"GET /p?q#f HTTP/1.1\r\nA: b\r\n\r\n",
		"GET /old HTTP/1.0\r\n\r\n",
		"POST /length HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde",
		"POST /chunks HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n",
		"GET http://known.org/x HTTP/1.1\r\n\r\n",
		"GET http://unknown.org:81/x HTTP/1.1\r\n\r\n",
		"GET other://unknown.org/x HTTP/1.1\r\n\r\n",
		"CONNECT host:80 HTTP/1.1\r\n\r\n"};

	start_server();
	evhttp_set_allowed_methods(http, 0xffff);
	CHECK_EQUAL(evhttp_add_server_alias(http, "known.org"), 0);
	evhttp_set_gencb(http, note_fields, NULL);
	for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
		leave(connected_with(requests[i]));
	stop_server();
}

DIFFERENCE(target_of_connect, ONE_BACKEND, "the target of a CONNECT request is cut at an @")
{
	start_server();
	evhttp_set_allowed_methods(http, EVHTTP_REQ_CONNECT);
	leave(connected_with("CONNECT user@host:80 HTTP/1.1\r\n\r\n"));
	CHECK_STRING(seen, "CONNECT user@host:80; ");
	stop_server();
}

/* --- Clients --- */

static void
start_client(void)
{
	start_peer();
	client = new_client();
	seen[0] = 0;
	requests_done = 0;
}

static void
print_request(const char *when, struct evhttp_request *req)
{
	printf("%s: kind %d, type %d, %d.%d, code %d, head of %zu, body of %zu, left %lld, remote %s %d, parts %d\n", when,
	       req->kind, req->type, req->major, req->minor, req->response_code, req->headers_size, req->body_size,
	       (long long)req->ntoread, req->remote_host ? req->remote_host : "none", req->remote_port, req->uri_elems != NULL);
}

static void
print_done(struct evhttp_request *req, void *arg)
{
	(void)arg;
	print_request("done", req);
	requests_done++;
}

static void
print_fields(enum evhttp_cmd_type method, const char *reply)
{
	struct evhttp_request *req = evhttp_request_new(print_done, NULL);
	int fd;

	start_client();
	print_request("new", req);
	CHECK_EQUAL(evhttp_make_request(client, req, method, "/x?y"), 0);
	print_request("made", req);
	CHECK_STRING(evhttp_request_get_uri(req), "/x?y");
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	turn();
	print_request("written", req);
	CHECK(send(fd, reply, strlen(reply), MSG_NOSIGNAL) > 0);
	close(fd);
	TURN_UNTIL(requests_done == 1);
	evhttp_connection_free(client);
	stop_peer();
}

CASE(fields_of_a_clients_requests, ONE_BACKEND)
{
	print_fields(EVHTTP_REQ_POST, "HTTP/1.0 201 Made\r\nContent-Length: 5\r\nA: b\r\n\r\nabcde");
	print_fields(EVHTTP_REQ_GET, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	print_fields(EVHTTP_REQ_GET, "HTTP/1.1 200 OK\r\n\r\nabc");
	print_fields(EVHTTP_REQ_GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n");
	print_fields(EVHTTP_REQ_GET, "HTTP/1.1 204 Nothing\r\n\r\n");
	print_fields(EVHTTP_REQ_HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
}

/* Another local address and port of this machine. */
CASE(local_port, ONE_BACKEND)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002)};
	socklen_t length = sizeof address;
	int fd, port;

	start_client();
	fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(bind(fd, (struct sockaddr *)&address, length) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
	port = ntohs(address.sin_port);
	close(fd);
	evhttp_connection_set_local_address(client, "127.0.0.2");
	evhttp_connection_set_local_port(client, (ev_uint16_t)port);
	CHECK_EQUAL(evhttp_make_request(client, new_request(), EVHTTP_REQ_GET, "/"), 0);
	fd = accept_client();
	CHECK(getpeername(fd, (struct sockaddr *)&address, &length) == 0);
	CHECK_EQUAL(ntohl(address.sin_addr.s_addr), 0x7f000002);
	CHECK_EQUAL(ntohs(address.sin_port), port);
	evhttp_connection_free(client);
	close(fd);
	stop_peer();
}

/* A request that cannot be made is freed silently, unless the program owns it. */
DIFFERENCE(request_that_cannot_be_made, ALONE, "a request that cannot be made, because the local address is not one of this machine's, is lost, or still points to the connection")
{
	struct evhttp_request *req;

	allocator_install();
	start_client();
	evhttp_connection_set_local_address(client, "192.0.2.1");
	CHECK_EQUAL(evhttp_make_request(client, new_request(), EVHTTP_REQ_GET, "/"), -1);
	req = new_request();
	evhttp_request_own(req);
	CHECK_EQUAL(evhttp_make_request(client, req, EVHTTP_REQ_GET, "/"), -1);
	CHECK(evhttp_request_get_connection(req) == NULL);
	evhttp_request_free(req);
	turn();
	CHECK_STRING(seen, "");
	evhttp_connection_free(client);
	stop_peer();
	CHECK_EQUAL(allocator.alive, 0);
}

DIFFERENCE(freed_on_completion_when_refused, ALONE,
	"a connection that is to be freed on completion is kept when it could not be made")
{
	allocator_install();
	start_client();
	close(peer_listener);
	evhttp_connection_free_on_completion(client);
	for (int i = 0; i < 2; i++)
		CHECK_EQUAL(evhttp_make_request(client, new_request(), EVHTTP_REQ_GET, "/"), 0);
	TURN_UNTIL(requests_done == 2);
	turn();
	CHECK_STRING(seen, "not connected; not connected; ");
	event_base_free(base);
	CHECK_EQUAL(allocator.alive, 0);
}

/* Without memory for a connection the bufferevent stays the program's. */
DIFFERENCE(bufferevent_stays_the_programs, ALONE,
	"a bufferevent is freed, although it is the program's, when there is no memory for a connection over it")
{
	struct bufferevent *bev;
	int number;

	allocator_install();
	base = event_base_new();
	bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	for (number = 1; !client; number++) {
		allocator_fail_at(number);
		client = evhttp_connection_base_bufferevent_new(base, NULL, bev, "127.0.0.1", 80);
		allocator_fail_at(0);
		CHECK_EQUAL(bufferevent_enable(bev, EV_WRITE), 0);
		CHECK_EQUAL(bufferevent_disable(bev, EV_WRITE), 0);
	}
	CHECK(number > 2);
	CHECK(evhttp_connection_get_bufferevent(client) == bev);
	evhttp_connection_free(client);
	event_base_free(base);
	CHECK_EQUAL(allocator.alive, 0);
}

/* The server never sends a 100 reply. */
CASE(timeout_before_the_body, ONE_BACKEND)
{
	struct timeval timeout = {0, 50000};
	struct evhttp_request *req;
	int fd;

	start_client();
	req = new_request();
	evhttp_add_header(evhttp_request_get_output_headers(req), "Expect", "100-continue");
	evbuffer_add(evhttp_request_get_output_buffer(req), "body", 4);
	CHECK_EQUAL(evhttp_make_request(client, req, EVHTTP_REQ_POST, "/"), 0);
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	turn();
	evhttp_connection_set_timeout_tv(client, &timeout);
	TURN_UNTIL(requests_done == 1);
	CHECK_STRING(seen, "timeout; no reply; ");
	memset(&answer, 0, sizeof answer);
	receive(fd);
	CHECK_EQUAL(answer.length, 0);
	evhttp_connection_free(client);
	close(fd);
	stop_peer();
}

static void
note_close(struct evhttp_connection *evcon, void *arg)
{
	(void)evcon;
	(void)arg;
	see("closed; ");
}

CASE(freed_on_completion_after_a_timeout, ALONE)
{
	struct timeval timeout = {0, 50000};
	int fd;

	allocator_install();
	start_client();
	evhttp_connection_free_on_completion(client);
	evhttp_connection_set_closecb(client, note_close, NULL);
	CHECK_EQUAL(evhttp_make_request(client, new_request(), EVHTTP_REQ_GET, "/"), 0);
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	CHECK(send(fd, "HTTP/1.1 204 N\r\n\r\n", 18, MSG_NOSIGNAL) == 18);
	TURN_UNTIL(requests_done == 1);
	CHECK_STRING(seen, "204 [N]; ");
	evhttp_connection_set_timeout_tv(client, &timeout);
	TURN_UNTIL(strstr(seen, "closed; "));
	turn();
	close(fd);
	stop_peer();
	CHECK_EQUAL(allocator.alive, 0);
}
