/* What a server sends: heads, bodies, streamed replies, error pages, and when the connection ends. */
#include "tools.h"

/* What came back, without the date. */
static const char *
reply_to(const char *request)
{
	static char text[1 << 17];
	const char *from, *date;
	int fd = connect_raw();

	memset(&answer, 0, sizeof answer);
	send_bytes(fd, request, strlen(request));
	settle(fd);
	text[0] = 0;
	for (from = answer.text; (date = strstr(from, "\r\nDate: ")) != NULL; from = strstr(date + 2, "\r\n"))
		snprintf(text + strlen(text), sizeof text - strlen(text), "%.*s", (int)(date - from), from);
	snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", from, answer.ended ? "(end)" : "(open)");
	close(fd);
	settle(-1);
	return text;
}

static void
print_reply_to(const char *request)
{
	printf("--- %.*s\n%s\n", (int)strcspn(request, "\r"), request, reply_to(request));
}

static void
say(struct evhttp_request *req, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	evbuffer_add_printf(body, "%s", (const char *)arg);
	evhttp_send_reply(req, 200, "Fine", body);
	CHECK_EQUAL(evbuffer_get_length(body), 0);
	evbuffer_free(body);
}

CASE(whole_replies, ONE_BACKEND)
{
	start_server();
	CHECK_EQUAL(evhttp_set_cb(http, "/say", say, "hello"), 0);
	print_reply_to("GET /say HTTP/1.1\r\nHost: x\r\n\r\n");
	print_reply_to("GET /say HTTP/1.1\r\nConnection: close\r\n\r\n");
	print_reply_to("GET /say HTTP/1.0\r\n\r\n");
	print_reply_to("GET /say HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
	print_reply_to("GET /say HTTP/0.9\r\n\r\n");
	print_reply_to("POST /say HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
	print_reply_to("PATCH /say HTTP/1.1\r\n\r\n");
	print_reply_to("BREW /say HTTP/1.1\r\n\r\n");
	evhttp_set_allowed_methods(http, EVHTTP_REQ_PATCH | 1 << 15);
	print_reply_to("PATCH /say HTTP/1.1\r\n\r\n");
	print_reply_to("BREW /say HTTP/1.1\r\n\r\n");
	print_reply_to("GET /say HTTP/1.1\r\n\r\n");
	evhttp_set_allowed_methods(http, EVHTTP_REQ_TRACE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PUT);
	print_reply_to("TRACE /say HTTP/1.1\r\n\r\n");
	print_reply_to("OPTIONS /say HTTP/1.1\r\n\r\n");
	print_reply_to("PUT /say HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
	stop_server();
}

static void
say_nothing(struct evhttp_request *req, void *arg)
{
	evhttp_send_reply(req, *(int *)arg, NULL, NULL);
}

CASE(codes_and_phrases, ONE_BACKEND)
{
	static int codes[] = {101, 102, 200, 204, 205, 206, 250, 302, 304, 404, 408, 413, 414, 416, 417, 418, 500, 505, 599, 600, 999, 99};
	size_t i;

	start_server();
	for (i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		evhttp_set_gencb(http, say_nothing, &codes[i]);
		print_reply_to("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
	}
	stop_server();
}

DIFFERENCE(phrase_of_307, ONE_BACKEND, "the reason phrase of 307 is that of 306")
{
	static int code = 307;

	start_server();
	evhttp_set_gencb(http, say_nothing, &code);
	CHECK(strncmp(reply_to("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 307 Temporary Redirect\r\n", 33) == 0);
	stop_server();
}

static void
own_headers(struct evhttp_request *req, void *arg)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	evhttp_add_header(headers, "X-A", "1");
	evhttp_add_header(headers, "date", "today");
	evhttp_add_header(headers, "Content-type", "text/plain");
	evhttp_add_header(headers, "Connection", "close");
	evhttp_add_header(headers, "x-a", "2");
	evbuffer_add_printf(evhttp_request_get_output_buffer(req), "first ");
	evbuffer_add_printf(body, "second");
	evhttp_send_reply(req, 201, NULL, body);
	evbuffer_free(body);
}

CASE(headers_of_the_program, ONE_BACKEND)
{
	int fd;

	start_server();
	evhttp_set_gencb(http, own_headers, NULL);
	fd = connect_raw();
	memset(&answer, 0, sizeof answer);
	send_bytes(fd, "GET / HTTP/1.1\r\n\r\n", 18);
	settle(fd);
	printf("%s%s\n", answer.text, answer.ended ? "(end)" : "(open)");
	close(fd);
	evhttp_set_default_content_type(http, NULL);
	evhttp_set_gencb(http, say, "x");
	print_reply_to("GET / HTTP/1.1\r\n\r\n");
	evhttp_set_default_content_type(http, "a/b");
	print_reply_to("GET / HTTP/1.1\r\n\r\n");
	stop_server();
}

/* Heads around the lengths for which a server may have room. */
static void
many_headers(struct evhttp_request *req, void *arg)
{
	char name[16], value[100];
	int i, *wanted = arg;

	memset(value, 'v', sizeof value);
	value[wanted[1]] = 0;
	for (i = 0; i < wanted[0]; i++) {
		snprintf(name, sizeof name, "X-%d", i);
		evhttp_add_header(evhttp_request_get_output_headers(req), name, value);
	}
	evhttp_send_reply(req, 200, "OK", NULL);
}

CASE(heads_of_every_length, ONE_BACKEND)
{
	const char *reply, *last;
	char name[24];
	int i, wanted[2];

	start_server();
	evhttp_set_gencb(http, many_headers, wanted);
	for (i = 0; i < 40; i++) {
		wanted[0] = i < 20 ? 12 + i : 100;
		wanted[1] = i < 20 ? 90 : 40 + i;
		reply = reply_to("GET / HTTP/1.1\r\n\r\n");
		snprintf(name, sizeof name, "\r\nX-%d: v", wanted[0] - 1);
		last = strstr(reply, name);
		printf("%d of %d: %zu bytes, the last header at %zd\n", wanted[0], wanted[1], strlen(reply),
		       last ? last - reply : -1);
	}
	stop_server();
}

static void
fail(struct evhttp_request *req, void *arg)
{
	evhttp_add_header(evhttp_request_get_output_headers(req), "X", "lost");
	evbuffer_add_printf(evhttp_request_get_output_buffer(req), "in front of the page: ");
	evhttp_send_error(req, 503, arg);
}

CASE(error_pages, ONE_BACKEND)
{
	start_server();
	evhttp_set_gencb(http, NULL, NULL);
	evhttp_set_cb(http, "/plain", fail, NULL);
	evhttp_set_cb(http, "/reason", fail, "<b>no</b>");
	print_reply_to("GET /plain HTTP/1.1\r\n\r\n");
	print_reply_to("GET /reason HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	print_reply_to("GET /<&\"'>?x HTTP/1.1\r\n\r\n");
	print_reply_to("GET /no HTTP/1.0\r\n\r\n");
	print_reply_to("GET / HTTP/1.1\r\nbad\r\n\r\n");
	print_reply_to("rubbish that is no request\r\n\r\n");
	stop_server();
}

DIFFERENCE(head_has_no_body, ONE_BACKEND, "the reply to a HEAD request is sent with its body")
{
	const char *reply;

	start_server();
	evhttp_set_gencb(http, say, "hello");
	reply = reply_to("HEAD / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n");
	CHECK(strstr(reply, "Content-Length: 5\r\n\r\nHTTP/1.1 200 Fine\r\n") != NULL);
	CHECK(strstr(reply, "\r\n\r\nhello(open)") != NULL);
	stop_server();
}

static struct evhttp_request *streaming;
static int completed, closed, freed_inside;

static void
completed_cb(struct evhttp_request *req, void *arg)
{
	CHECK(arg == &completed);
	CHECK_EQUAL(evbuffer_get_length(evhttp_request_get_output_buffer(req)), 0);
	CHECK(evhttp_request_get_connection(req) != NULL);
	completed++;
	progress++;
}

static void
start_streaming(struct evhttp_request *req, void *arg)
{
	if (arg)
		evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Length", arg);
	evhttp_request_set_on_complete_cb(req, completed_cb, &completed);
	streaming = req;
	evhttp_send_reply_start(req, 200, "Go");
	progress++;
}

static void
stream(const char *text)
{
	struct evbuffer *piece = evbuffer_new();

	evbuffer_add_printf(piece, "%s", text);
	evhttp_send_reply_chunk(streaming, piece);
	printf("left %zu\n", evbuffer_get_length(piece));
	evbuffer_free(piece);
}

static void
print_streamed(const char *request)
{
	int fd = connect_raw();
	char *date, *end;

	completed = 0;
	memset(&answer, 0, sizeof answer);
	send_bytes(fd, request, strlen(request));
	settle(fd);
	CHECK_EQUAL(completed, 0);
	stream("Hello, world!");
	settle(fd);
	stream("");
	stream("and more");
	evhttp_send_reply_end(streaming);
	settle(fd);
	CHECK_EQUAL(completed, 1);
	if ((date = strstr(answer.text, "Date: ")) != NULL) {
		end = strstr(date, "\r\n") + 2;
		memmove(date, end, strlen(end) + 1);
	}
	printf("--- %s%s%s\n", request, answer.text, answer.ended ? "(end)" : "(open)");
	close(fd);
	settle(-1);
}

CASE(streamed_replies, ONE_BACKEND)
{
	start_server();
	evhttp_set_cb(http, "/", start_streaming, NULL);
	evhttp_set_cb(http, "/21", start_streaming, "21");
	print_streamed("GET / HTTP/1.1\r\n\r\n");
	print_streamed("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
	print_streamed("GET / HTTP/1.0\r\n\r\n");
	print_streamed("GET /21 HTTP/1.1\r\n\r\n");
	print_streamed("GET /21 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	print_streamed("HEAD /21 HTTP/1.1\r\n\r\n");
	stop_server();
}

static void
noticed_close(struct evhttp_connection *evcon, void *arg)
{
	CHECK(evcon != NULL);
	closed++;
	progress++;
	if (arg) {
		evhttp_request_free(streaming);
		streaming = NULL;
		freed_inside++;
	}
}

static void
start_streaming_watched(struct evhttp_request *req, void *arg)
{
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), noticed_close, arg);
	start_streaming(req, NULL);
}

/* The client leaves in the middle of a streamed reply. */
CASE(client_leaves_while_streaming, ONE_BACKEND)
{
	int fd;

	start_server();
	evhttp_set_gencb(http, start_streaming_watched, NULL);
	fd = connect_raw();
	send_bytes(fd, "GET / HTTP/1.1\r\n\r\n", 18);
	settle(fd);
	close(fd);
	settle(-1);
	CHECK_EQUAL(closed, 1);
	CHECK(evhttp_request_get_connection(streaming) == NULL);
	stream("ignored");
	evhttp_request_free(streaming);

	fd = connect_raw();
	send_bytes(fd, "GET / HTTP/1.1\r\n\r\n", 18);
	settle(fd);
	close(fd);
	settle(-1);
	CHECK_EQUAL(closed, 2);
	evhttp_send_reply_end(streaming);
	CHECK_EQUAL(completed, 0);
	stop_server();
}

/* One piece only, and then the end is noticed without writing; the close callback frees the request. */
CASE(request_freed_in_the_close_callback, ONE_BACKEND)
{
	int fd;

	start_server();
	evhttp_set_gencb(http, start_streaming_watched, &closed);
	fd = connect_raw();
	send_bytes(fd, "GET / HTTP/1.1\r\n\r\n", 18);
	settle(fd);
	stream("one");
	settle(fd);
	close(fd);
	settle(-1);
	CHECK_EQUAL(closed, 1);
	CHECK_EQUAL(freed_inside, 1);
	stop_server();
}

/* The callback of a piece paces the reply. */
static int pieces;

static void
next_piece(struct evhttp_connection *evcon, void *arg)
{
	struct evbuffer *piece;

	CHECK(arg == &pieces && evcon == evhttp_request_get_connection(streaming));
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_output(evhttp_connection_get_bufferevent(evcon))), 0);
	progress++;
	if (++pieces > 5) {
		evhttp_send_reply_end(streaming);
		return;
	}
	piece = evbuffer_new();
	evbuffer_add_printf(piece, "piece %d", pieces);
	evhttp_send_reply_chunk_with_cb(streaming, piece, next_piece, &pieces);
	evbuffer_free(piece);
}

static void
pace(struct evhttp_request *req, void *arg)
{
	struct evbuffer *piece = evbuffer_new();

	(void)arg;
	streaming = req;
	evhttp_send_reply_start(req, 200, NULL);
	evbuffer_add_printf(piece, "first");
	evhttp_send_reply_chunk_with_cb(req, piece, next_piece, &pieces);
	evbuffer_free(piece);
}

CASE(pieces_one_after_the_other, ONE_BACKEND)
{
	start_server();
	evhttp_set_gencb(http, pace, NULL);
	printf("%s\n", strstr(reply_to("GET / HTTP/1.1\r\n\r\n"), "\r\n\r\n"));
	CHECK_EQUAL(pieces, 6);
	pieces = 0;
	printf("%s\n", strstr(reply_to("GET / HTTP/1.0\r\n\r\n"), "\r\n\r\n"));
	CHECK_EQUAL(pieces, 6);
	stop_server();
}

DIFFERENCE(streaming_to_kept_1_0, ONE_BACKEND, "a streamed reply to HTTP/1.0 with keep-alive says that it is empty")
{
	start_server();
	evhttp_set_gencb(http, pace, NULL);
	const char *reply = reply_to("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	CHECK(strstr(reply, "Content-Length") == NULL && strstr(reply, "keep-alive") == NULL);
	CHECK(strstr(reply, "\r\n\r\nfirstpiece 1piece 2piece 3piece 4piece 5(end)") != NULL);
	stop_server();
}

DIFFERENCE(reason_with_line_end, ONE_BACKEND, "a reason with a line end can add headers to a reply")
{
	start_server();
	evhttp_set_gencb(http, note_and_reply, "OK\r\nEvil: yes");
	CHECK(strncmp(reply_to("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 200 OK  Evil: yes\r\n", 28) == 0);
	stop_server();
}

/* A peer that shuts down its side while a complete reply is sent gets all of it, and the replies to its other requests. */
static void
large(struct evhttp_request *req, void *arg)
{
	static char bytes[8 << 20];
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	evbuffer_add_reference(body, bytes, sizeof bytes, NULL, NULL);
	evhttp_send_reply(req, 200, NULL, body);
	evbuffer_free(body);
}

DIFFERENCE(half_closed_peer_gets_all, ONE_BACKEND, "a reply is truncated when the client shuts down its side of the connection")
{
	static const char requests[] = "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n";
	int fd;

	start_server();
	evhttp_set_gencb(http, large, NULL);
	fd = connect_raw();
	send_bytes(fd, requests, strlen(requests));
	shutdown(fd, SHUT_WR);
	settle(fd);
	CHECK(answer.length > 2 * (8 << 20));
	CHECK(answer.ended);
	close(fd);
	stop_server();
}

/* What is sent while a reply is held back is not buffered without limit. */
static struct evhttp_request *held;

static void
hold(struct evhttp_request *req, void *arg)
{
	struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));

	(void)arg;
	CHECK_EQUAL(bufferevent_get_enabled(bev) & EV_READ, 0);
	held = req;
	progress++;
}

CASE(held_requests, ONE_BACKEND)
{
	struct bufferevent *bev;
	int fd;

	start_server();
	evhttp_set_gencb(http, hold, NULL);
	fd = connect_raw();
	memset(&answer, 0, sizeof answer);
	send_bytes(fd, "GET / HTTP/1.1\r\n\r\n", 18);
	settle(fd);
	CHECK(held != NULL);
	bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(held));
	CHECK_EQUAL(bufferevent_get_enabled(bev) & EV_READ, 0);
	send_bytes(fd, "GET / HTTP/1.1\r\n\r\n", 18);
	settle(fd);
	CHECK_EQUAL(answer.length, 0);
	evhttp_send_reply(held, 200, NULL, NULL);
	CHECK(evhttp_request_get_connection(held) != NULL);
	held = NULL;
	settle(fd);
	CHECK(held != NULL);
	CHECK(strncmp(answer.text, "HTTP/1.1 200 OK\r\n", 17) == 0);
	/* The end is noticed when the reply begins. */
	close(fd);
	settle(-1);
	CHECK(evhttp_request_get_connection(held) != NULL);
	evhttp_send_reply(held, 200, NULL, NULL);
	settle(-1);
	stop_server();
}

/* A handler that takes the connection over. */
static int raw_bytes;

static void
raw_read(struct bufferevent *bev, void *arg)
{
	(void)arg;
	raw_bytes += (int)evbuffer_get_length(bufferevent_get_input(bev));
	evbuffer_drain(bufferevent_get_input(bev), (size_t)-1);
	bufferevent_write(bev, "raw", 3);
	progress++;
}

static void
take_over(struct evhttp_request *req, void *arg)
{
	struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));

	(void)arg;
	held = req;
	bufferevent_setcb(bev, raw_read, NULL, NULL, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	bufferevent_write(bev, "hello", 5);
}

CASE(connection_taken_over, ONE_BACKEND)
{
	int fd;

	start_server();
	evhttp_set_gencb(http, take_over, NULL);
	fd = connect_raw();
	memset(&answer, 0, sizeof answer);
	send_bytes(fd, "GET / HTTP/1.1\r\n\r\n", 18);
	settle(fd);
	CHECK_STRING(answer.text, "hello");
	send_bytes(fd, "more", 4);
	settle(fd);
	CHECK_STRING(answer.text, "helloraw");
	CHECK_EQUAL(raw_bytes, 4);
	evhttp_connection_free(evhttp_request_get_connection(held));
	settle(fd);
	CHECK(answer.ended);
	close(fd);
	stop_server();
}

/* Everything may be freed in a handler. */
static void
free_connection(struct evhttp_request *req, void *arg)
{
	(void)arg;
	progress++;
	evhttp_connection_free(evhttp_request_get_connection(req));
}

static void
free_all(struct evhttp_request *req, void *arg)
{
	(void)req;
	(void)arg;
	progress++;
	evhttp_free(http);
	http = NULL;
}

static void
remove_oneself(struct evhttp_request *req, void *arg)
{
	(void)arg;
	CHECK_EQUAL(evhttp_del_cb(http, "/self"), 0);
	CHECK_EQUAL(evhttp_del_cb(http, "/self"), -1);
	evhttp_send_reply(req, 200, NULL, NULL);
}

CASE(freed_in_a_handler, ONE_BACKEND)
{
	start_server();
	evhttp_set_cb(http, "/connection", free_connection, NULL);
	evhttp_set_cb(http, "/self", remove_oneself, NULL);
	evhttp_set_cb(http, "/all", free_all, NULL);
	CHECK_EQUAL(evhttp_set_cb(http, "/all", free_all, NULL), -1);
	CHECK_STRING(reply_to("GET /connection HTTP/1.1\r\n\r\n"), "(end)");
	CHECK(strncmp(reply_to("GET /self HTTP/1.1\r\n\r\n"), "HTTP/1.1 200 OK", 15) == 0);
	CHECK_STRING(reply_to("GET /all HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"), "(end)");
	CHECK(http == NULL);
	event_base_free(base);
}

/* A client that reads a long reply slowly, and sends nothing in the meantime: how much it gets. `stalled` if the
 * test itself got no processor for the length of the timeout. */
static size_t
take_slowly(int *stalled)
{
	static char bytes[1 << 18];
	long long next = milliseconds(), before = next, now;
	size_t length = 0;
	ssize_t count;
	int fd = connect_raw();

	*stalled = 0;
	send_bytes(fd, "GET / HTTP/1.1\r\n\r\n", 18);
	while ((count = recv(fd, bytes, sizeof bytes, 0)) != 0) {
		if (count > 0)
			length += (size_t)count;
		for (next += 30; (now = milliseconds()) < next; before = now) {
			*stalled |= now - before > 200;
			event_base_loop(base, EVLOOP_NONBLOCK);
		}
	}
	*stalled |= milliseconds() - before > 200;
	close(fd);
	return length;
}

DIFFERENCE(slow_client, ONE_BACKEND, "a long reply is truncated when the client sends nothing for as long as the server's timeout")
{
	struct timeval timeout = {0, 500000};
	size_t length;
	int stalled, tries = 0;

	start_server();
	evhttp_set_timeout_tv(http, &timeout);
	evhttp_set_gencb(http, large, NULL);
	do {
		length = take_slowly(&stalled);
	} while (length < 8 << 20 && stalled && tries++ < 10);
	CHECK(length > 8 << 20);
	stop_server();
}
