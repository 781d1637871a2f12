/* Calls at unusual moments, and what a request reports then. */
#include "tools.h"

static struct evhttp_request *kept;

static void
turn_until_handled(int fd, const char *request)
{
	memset(&answer, 0, sizeof answer);
	kept = NULL;
	send_bytes(fd, request, strlen(request));
	settle(fd);
}

static void
send_a_piece(struct evhttp_request *req, const char *text)
{
	struct evbuffer *piece = evbuffer_new();

	evbuffer_add(piece, text, strlen(text));
	evhttp_send_reply_chunk(req, piece);
	CHECK_EQUAL(evbuffer_get_length(piece), 0);
	evbuffer_free(piece);
}

/* The program writes status line and headers itself, and ends the reply all the same. */
static void
write_all(struct evhttp_request *req, void *arg)
{
	(void)arg;
	if (strcmp(evhttp_request_get_uri(req), "/own") != 0) {
		note_and_reply(req, NULL);
		return;
	}
	send_a_piece(req, "HTTP/1.1 200 Own\r\nContent-Length: 2\r\n\r\n");
	send_a_piece(req, "ok");
	evhttp_send_reply_end(req);
}

CASE(a_reply_of_pieces_alone, ONE_BACKEND)
{
	int fd;

	start_server();
	evhttp_set_gencb(http, write_all, NULL);
	fd = connect_raw();
	turn_until_handled(fd, "GET /own HTTP/1.1\r\n\r\n");
	CHECK_STRING(answer.text, "HTTP/1.1 200 Own\r\nContent-Length: 2\r\n\r\nok");
	turn_until_handled(fd, "GET /other HTTP/1.1\r\n\r\n");
	CHECK(strstr(answer.text, "\r\n\r\nok") && !answer.ended);
	close(fd);
	settle(-1);
	stop_server();
}

static void
keep(struct evhttp_request *req, void *arg)
{
	(void)arg;
	kept = req;
	progress++;
}

/* The same, later, with a callback for when the piece is written. */
static void
end_reply(struct evhttp_connection *evcon, void *arg)
{
	(void)evcon;
	evhttp_send_reply_end(arg);
	progress++;
}

CASE(pieces_alone_later, ONE_BACKEND)
{
	struct evbuffer *piece = evbuffer_new();
	int fd;

	start_server();
	evhttp_set_gencb(http, keep, NULL);
	fd = connect_raw();
	turn_until_handled(fd, "GET / HTTP/1.1\r\n\r\n");
	CHECK(kept != NULL);
	evbuffer_add(piece, "piece", 5);
	evhttp_send_reply_chunk_with_cb(kept, piece, end_reply, kept);
	evbuffer_free(piece);
	settle(fd);
	CHECK_STRING(answer.text, "piece");
	turn_until_handled(fd, "GET / HTTP/1.1\r\n\r\n");
	CHECK(kept != NULL);
	evhttp_send_reply(kept, 200, NULL, NULL);
	settle(fd);
	CHECK(!answer.ended);
	close(fd);
	settle(-1);
	stop_server();
}

/* A program that has stopped all of the bufferevent, as some do while they are busy, and then replies. */
static void
stop_and_reply(struct evhttp_request *req, void *arg)
{
	struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));

	CHECK(bufferevent_disable(bev, EV_READ | EV_WRITE) == 0);
	if (strcmp(evhttp_request_get_uri(req), "/pieces") == 0) {
		evhttp_send_reply_start(req, 200, NULL);
		CHECK(bufferevent_disable(bev, EV_WRITE) == 0);
		send_a_piece(req, "piece");
		CHECK(bufferevent_disable(bev, EV_WRITE) == 0);
		evhttp_send_reply_end(req);
	} else if (strcmp(evhttp_request_get_uri(req), "/error") == 0) {
		evhttp_send_error(req, 404, NULL);
	} else {
		note_and_reply(req, arg);
	}
}

CASE(replies_where_writing_was_stopped, ONE_BACKEND)
{
	int fd;

	start_server();
	evhttp_set_gencb(http, stop_and_reply, NULL);
	fd = connect_raw();
	turn_until_handled(fd, "GET /whole HTTP/1.1\r\n\r\n");
	CHECK(strstr(answer.text, "\r\n\r\nok"));
	turn_until_handled(fd, "GET /pieces HTTP/1.1\r\n\r\n");
	CHECK(strstr(answer.text, "\r\n\r\n5\r\npiece\r\n0\r\n\r\n"));
	turn_until_handled(fd, "GET /error HTTP/1.1\r\n\r\n");
	CHECK(strncmp(answer.text, "HTTP/1.1 404 ", 13) == 0 && answer.ended);
	close(fd);
	settle(-1);
	stop_server();
}

/* The public fields of requests, of servers and without a connection. */
CASE(what_requests_say, ONE_BACKEND)
{
	struct evhttp_request *req = evhttp_request_new(NULL, NULL);
	int fd;

	CHECK(req->flags == 0 && req->userdone == 0 && req->kind == EVHTTP_RESPONSE);
	evhttp_send_reply_start(req, 404, NULL);
	CHECK_EQUAL(evhttp_request_get_response_code(req), 404);
	CHECK_STRING(evhttp_request_get_response_code_line(req), "Not Found");
	evhttp_send_reply_end(req);
	start_server();
	evhttp_set_gencb(http, keep, NULL);
	fd = connect_raw();
	for (int i = 0; i < 3; i++) {
		turn_until_handled(fd, "GET / HTTP/1.1\r\n\r\n");
		CHECK(kept->flags == EVHTTP_REQ_OWN_CONNECTION && kept->userdone == 0 && kept->kind == EVHTTP_REQUEST);
		evhttp_send_reply(kept, 200, NULL, NULL);
		CHECK(kept->userdone == 1 && kept->kind == EVHTTP_RESPONSE);
		settle(fd);
	}
	close(fd);
	settle(-1);
	stop_server();
}
