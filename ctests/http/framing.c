/* What is sent: whether there is a body, and how its end is marked. */
#include "client_tools.h"

static int code;

static void
say(struct evhttp_request *req, void *own)
{
	struct evbuffer *body = evbuffer_new();

	if (own)
		evhttp_add_header(evhttp_request_get_output_headers(req), own, *(char *)own == 'C' ? "3" : "chunked");
	evbuffer_add(body, "abc", 3);
	evhttp_send_reply(req, code, NULL, body);
	evbuffer_free(body);
}

static void
say_in_pieces(struct evhttp_request *req, void *own)
{
	struct evbuffer *piece = evbuffer_new();

	if (own)
		evhttp_add_header(evhttp_request_get_output_headers(req), "Transfer-Encoding", "chunked");
	evhttp_send_reply_start(req, code, NULL);
	evbuffer_add(piece, "abc", 3);
	evhttp_send_reply_chunk(req, piece);
	evbuffer_free(piece);
	evhttp_send_reply_end(req);
}

static void
fail(struct evhttp_request *req, void *reason)
{
	evhttp_send_error(req, code, reason);
}

/* What is sent for a request, without the date. */
static const char *
sent(const char *request)
{
	int fd = connect_raw();
	char *date;

	memset(&answer, 0, sizeof answer);
	send_bytes(fd, request, strlen(request));
	settle(fd);
	while ((date = strstr(answer.text, "Date: ")) != NULL) {
		char *end = strstr(date, "\r\n") + 2;
		memmove(date, end, strlen(end) + 1);
	}
	close(fd);
	settle(-1);
	return answer.text;
}

#define NEXT "GET / HTTP/1.1\r\n\r\n"

/* The head of a reply that has no body: nothing but the head of the next one follows. */
static int
is_followed_by_next(const char *text)
{
	const char *end = strstr(text, "\r\n\r\n");

	return end && strncmp(end + 4, "HTTP/1.1 ", 9) == 0;
}

DIFFERENCE(codes_without_body, ONE_BACKEND, "a body given with a status that must not have one is sent, and read as the start of the next reply")
{
	static const int codes[] = {101, 102, 199, 204, 304};

	start_server();
	for (int pieces = 0; pieces < 2; pieces++)
		for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
			code = codes[i];
			evhttp_set_gencb(http, pieces ? say_in_pieces : say, NULL);
			CHECK(is_followed_by_next(sent(NEXT NEXT)));
			CHECK(!strstr(answer.text, "abc") && !answer.ended);
		}
	stop_server();
}

CASE(codes_with_body, ONE_BACKEND)
{
	static const int codes[] = {200, 203, 205, 300, 404, 500};

	start_server();
	for (int pieces = 0; pieces < 2; pieces++)
		for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
			code = codes[i];
			evhttp_set_gencb(http, pieces ? say_in_pieces : say, NULL);
			printf("%s%s\n", sent(NEXT), answer.ended ? "(end)" : "(open)");
		}
	stop_server();
}

CASE(bodiless_pieces_stay, ONE_BACKEND)
{
	start_server();
	code = 200;
	evhttp_set_gencb(http, say_in_pieces, NULL);
	printf("%s%s\n", sent("HEAD / HTTP/1.1\r\n\r\n"), answer.ended ? "(end)" : "(open)");
	evhttp_set_allowed_methods(http, EVHTTP_REQ_CONNECT);
	printf("%s%s\n", sent("CONNECT host:80 HTTP/1.1\r\n\r\n"), answer.ended ? "(end)" : "(open)");
	stop_server();
}

DIFFERENCE(error_page_of_head, ONE_BACKEND, "the error page for a HEAD request is sent with its body")
{
	const char *text;

	start_server();
	code = 500;
	evhttp_set_gencb(http, fail, NULL);
	text = sent("HEAD / HTTP/1.1\r\n\r\n");
	CHECK(strncmp(text, "HTTP/1.1 500 ", 13) == 0 && answer.ended);
	CHECK(strcmp(strstr(text, "\r\n\r\n"), "\r\n\r\n") == 0);
	stop_server();
}

DIFFERENCE(error_page_of_connect, ONE_BACKEND, "the error page for a CONNECT request has no length, and does not end the connection as it says")
{
	const char *text;

	start_server();
	code = 502;
	evhttp_set_allowed_methods(http, EVHTTP_REQ_CONNECT);
	evhttp_set_gencb(http, fail, NULL);
	text = sent("CONNECT host:80 HTTP/1.1\r\n\r\n");
	CHECK(strncmp(text, "HTTP/1.1 502 ", 13) == 0 && answer.ended);
	CHECK(strstr(text, "\r\nContent-Length: ") && strstr(text, "\r\nConnection: close\r\n"));
	CHECK(strstr(strstr(text, "\r\n\r\n"), "502"));
	stop_server();
}

/* The program has set the framing headers itself. */
CASE(framing_of_the_program, ONE_BACKEND)
{
	start_server();
	code = 200;
	evhttp_set_gencb(http, say, "Content-Length");
	printf("%s%s\n", sent(NEXT), answer.ended ? "(end)" : "(open)");
	evhttp_set_gencb(http, say, "Transfer-Encoding");
	printf("%s%s\n", sent(NEXT), answer.ended ? "(end)" : "(open)");
	stop_server();
}

DIFFERENCE(coding_of_the_program, ONE_BACKEND, "a reply in pieces has a second Transfer-Encoding header if the program has added one")
{
	const char *text, *coding;

	start_server();
	code = 200;
	evhttp_set_gencb(http, say_in_pieces, base);
	text = sent(NEXT);
	coding = strstr(text, "\r\nTransfer-Encoding: chunked\r\n");
	CHECK(coding && !strstr(coding + 3, "Transfer-Encoding"));
	CHECK(strcmp(strstr(text, "\r\n\r\n"), "\r\n\r\n3\r\nabc\r\n0\r\n\r\n") == 0);
	stop_server();
}

/* Sizes of chunks are in hexadecimal, one for each call, on a connection that is kept. */
static struct evhttp_request *streaming;

static void
stream_on_time(evutil_socket_t fd, short what, void *arg)
{
	static const char *const pieces[] = {"This is funny", "but not hilarious.", "bwv 1052"};
	struct timeval none = {0, 0};
	static int number;

	(void)fd;
	(void)what;
	(void)arg;
	if (number < 3) {
		struct evbuffer *piece = evbuffer_new();

		evbuffer_add(piece, pieces[number], strlen(pieces[number]));
		evhttp_send_reply_chunk(streaming, piece);
		evbuffer_free(piece);
		number++;
		event_base_once(base, -1, EV_TIMEOUT, stream_on_time, NULL, &none);
	} else {
		number = 0;
		evhttp_send_reply_end(streaming);
	}
	progress++;
}

static void
stream(struct evhttp_request *req, void *arg)
{
	struct timeval none = {0, 0};

	streaming = req;
	evhttp_send_reply_start(req, 200, "Everything is fine");
	event_base_once(base, -1, EV_TIMEOUT, stream_on_time, arg, &none);
	progress++;
}

CASE(chunks_of_two_replies, ONE_BACKEND)
{
	start_server();
	evhttp_set_gencb(http, stream, NULL);
	printf("%s%s\n", sent(NEXT "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"), answer.ended ? "(end)" : "(open)");
	stop_server();
}

/* More than four gigabytes in one call, of which the client reads the beginning. */
static void
send_a_huge_piece(struct evhttp_request *req, void *arg)
{
	static char megabyte[1 << 20];
	struct evbuffer *piece = evbuffer_new();

	(void)arg;
	evhttp_send_reply_start(req, 200, NULL);
	for (int i = 0; i < 4097; i++)
		evbuffer_add_reference(piece, megabyte, sizeof megabyte, NULL, NULL);
	evhttp_send_reply_chunk(req, piece);
	evbuffer_free(piece);
}

DIFFERENCE(chunk_of_four_gigabytes, ONE_BACKEND, "a chunk size of four gigabytes or more is truncated to 32 bits")
{
	int fd;

	start_server();
	evhttp_set_gencb(http, send_a_huge_piece, NULL);
	fd = connect_raw();
	memset(&answer, 0, sizeof answer);
	CHECK(send(fd, NEXT, strlen(NEXT), MSG_NOSIGNAL) > 0);
	TURN_UNTIL((answer.length = (size_t)recv(fd, answer.text, sizeof answer.text - 1, MSG_PEEK)) != (size_t)-1 &&
		   strstr(answer.text, "\r\n\r\n") && strstr(strstr(answer.text, "\r\n\r\n") + 4, "\r\n"));
	CHECK(strncmp(strstr(answer.text, "\r\n\r\n"), "\r\n\r\n100100000\r\n", 15) == 0);
	close(fd);
	stop_server();
}

/* --- Requests --- */

/* What a client sends for a request with a body, and a header of the program's. */
static const char *
requested(enum evhttp_cmd_type method, const char *name, const char *value, const char *body)
{
	struct evhttp_connection *client = new_client();
	struct evhttp_request *req = new_request();
	int fd;

	if (name)
		evhttp_add_header(evhttp_request_get_output_headers(req), name, value);
	evbuffer_add(evhttp_request_get_output_buffer(req), body, strlen(body));
	CHECK_EQUAL(evhttp_make_request(client, req, method, "/"), 0);
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	if (*body)
		TURN_UNTIL((receive(fd), strstr(strstr(answer.text, "\r\n\r\n"), body)));
	evhttp_connection_free(client);
	close(fd);
	return answer.text;
}

CASE(requests_with_lengths, ONE_BACKEND)
{
	start_peer();
	puts(requested(EVHTTP_REQ_POST, NULL, NULL, "abc"));
	puts(requested(EVHTTP_REQ_PUT, NULL, NULL, ""));
	puts(requested(EVHTTP_REQ_POST, "Content-Length", "3", "abc"));
	puts(requested(EVHTTP_REQ_GET, NULL, NULL, ""));
	puts(requested(EVHTTP_REQ_DELETE, NULL, NULL, ""));
	stop_peer();
}

DIFFERENCE(requests_with_codings, ONE_BACKEND, "a request with a Transfer-Encoding set by the program gets a Content-Length too")
{
	const char *text;

	start_peer();
	text = requested(EVHTTP_REQ_POST, "Transfer-Encoding", "chunked", "3\r\nabc\r\n0\r\n\r\n");
	CHECK_STRING(text, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
	stop_peer();
}
