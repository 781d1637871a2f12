/* What handlers and callbacks of servers may do to what they are called about: free it, keep it, reply later. */
#include "client_tools.h"

static const char get[] = "GET / HTTP/1.1\r\n\r\n";
static struct evhttp_request *kept;

static void
ask_on(int fd, const char *bytes)
{
	memset(&answer, 0, sizeof answer);
	seen[0] = 0;
	send_bytes(fd, bytes, strlen(bytes));
	settle(fd);
}

static int
ask_raw(const char *bytes)
{
	int fd = connect_raw();

	ask_on(fd, bytes);
	return fd;
}

static void
leave(int fd)
{
	close(fd);
	settle(-1);
}

static struct evbuffer *
text(const char *bytes)
{
	struct evbuffer *buffer = evbuffer_new();

	evbuffer_add(buffer, bytes, strlen(bytes));
	return buffer;
}

/* --- Handlers --- */

static struct bufferevent *
bufferevent_of(struct evhttp_request *req)
{
	return evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));
}

static void
reply_and_read(struct evhttp_request *req)
{
	struct bufferevent *bev = bufferevent_of(req);

	evhttp_send_reply(req, 200, NULL, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void
stop_reading(struct evhttp_request *req, void *later)
{
	see("%s; ", evhttp_request_get_uri(req));
	bufferevent_disable(bufferevent_of(req), EV_READ);
	kept = req;
	if (!later)
		reply_and_read(req);
}

/* Programs that switch reading off until they have replied, as a remedy for what older releases did. */
CASE(reading_switched_off_and_on, ONE_BACKEND)
{
	int fd;

	start_server();
	evhttp_set_gencb(http, stop_reading, NULL);
	fd = ask_raw("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
	send_bytes(fd, "GET /3 HTTP/1.1\r\n\r\n", 19);
	settle(fd);
	see_answer();
	printf("%s\n", seen);
	leave(fd);

	evhttp_set_gencb(http, stop_reading, base);
	fd = ask_raw("GET /4 HTTP/1.1\r\n\r\nGET /5 HTTP/1.1\r\n\r\n");
	CHECK_STRING(seen, "/4; ");
	reply_and_read(kept);
	settle(fd);
	CHECK_STRING(seen, "/4; /5; ");
	reply_and_read(kept);
	settle(fd);
	see_answer();
	printf("%s\n", seen);
	leave(fd);
	stop_server();
}

static struct evhttp_bound_socket *second_socket;

static void
change_sockets(struct evhttp_request *req, void *arg)
{
	(void)arg;
	if (strcmp(evhttp_request_get_uri(req), "/add") == 0)
		second_socket = evhttp_accept_socket_with_handle(http, listening_socket());
	else
		evhttp_del_accept_socket(http, second_socket);
	evhttp_send_reply(req, 200, NULL, NULL);
}

/* Also the listener that the connection came over. */
CASE(listeners_come_and_go, ONE_BACKEND)
{
	int fd;

	start_server();
	evhttp_set_gencb(http, change_sockets, NULL);
	leave(ask_raw("GET /add HTTP/1.1\r\n\r\n"));
	fd = ask_raw("GET /remove HTTP/1.1\r\n\r\n");
	ask_on(fd, "GET /add HTTP/1.1\r\n\r\n");
	see_answer();
	printf("%s\n", seen);
	leave(fd);
	leave(ask_raw("GET /remove HTTP/1.1\r\n\r\n"));
	stop_server();
}

static void
own_and_free(struct evhttp_request *req, void *arg)
{
	(void)arg;
	evhttp_request_own(req);
	kept = req;
	evhttp_connection_free(evhttp_request_get_connection(req));
	progress++;
}

DIFFERENCE(owned_when_its_connection_is_freed, ONE_BACKEND,
	"a request that the program of a server owns still points to its connection after that was freed")
{
	int fd;

	start_server();
	evhttp_set_gencb(http, own_and_free, NULL);
	fd = ask_raw(get);
	CHECK(answer.ended && answer.length == 0);
	CHECK(evhttp_request_get_connection(kept) == NULL);
	CHECK_STRING(evhttp_request_get_uri(kept), "/");
	evhttp_send_reply(kept, 200, NULL, NULL);
	leave(fd);
	stop_server();
}

static void
own_and_reply(struct evhttp_request *req, void *arg)
{
	(void)arg;
	evhttp_request_own(req);
	evhttp_send_reply(req, 200, NULL, NULL);
}

/* Once it has been replied to, it is freed all the same. */
CASE(owned_and_replied_to, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	int fd;

	allocator_install();
	start_server();
	evhttp_set_gencb(http, own_and_reply, NULL);
	fd = ask_raw("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n");
	see_answer();
	printf("%s\n", seen);
	leave(fd);
	stop_server();
	CHECK_EQUAL(allocator.alive, 0);
}

/* --- Replies in pieces --- */

static int closed;

static void
note_close(struct evhttp_connection *evcon, void *arg)
{
	(void)evcon;
	(void)arg;
	closed++;
	progress++;
}

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
	(void)arg;
	kept = req;
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), note_close, NULL);
	evhttp_request_set_on_complete_cb(req, note_complete, NULL);
	evhttp_send_reply_start(req, 200, NULL);
	progress++;
}

static void
free_connection(struct evhttp_connection *evcon, void *arg)
{
	(void)arg;
	progress++;
	evhttp_connection_free(evcon);
}

static void
free_server(struct evhttp_connection *evcon, void *arg)
{
	(void)evcon;
	(void)arg;
	progress++;
	evhttp_free(http);
	http = NULL;
}

static void
send_piece(void (*then)(struct evhttp_connection *, void *))
{
	struct evbuffer *piece = text("piece");

	evhttp_send_reply_chunk_with_cb(kept, piece, then, NULL);
	CHECK_EQUAL(evbuffer_get_length(piece), 0);
	evbuffer_free(piece);
}

CASE(freed_when_a_piece_was_written, ONE_BACKEND)
{
	int fd;

	start_server();
	evhttp_set_gencb(http, begin_stream, NULL);
	fd = ask_raw(get);
	send_piece(free_connection);
	settle(fd);
	CHECK(answer.ended && strstr(answer.text, "\r\n\r\n5\r\npiece\r\n"));
	leave(fd);
	fd = ask_raw(get);
	send_piece(free_server);
	settle(fd);
	CHECK(answer.ended && http == NULL);
	CHECK_STRING(seen, "");
	CHECK_EQUAL(closed, 2);
	leave(fd);
	event_base_free(base);
}

/* Only the callback of the last piece is called. */
static void
never(struct evhttp_connection *evcon, void *arg)
{
	(void)evcon;
	(void)arg;
	see("never; ");
}

static void
piece_is_written(struct evhttp_connection *evcon, void *arg)
{
	(void)evcon;
	(void)arg;
	see("written; ");
}

CASE(callbacks_of_pieces, ONE_BACKEND)
{
	int fd;

	start_server();
	evhttp_set_gencb(http, begin_stream, NULL);
	fd = ask_raw(get);
	send_piece(never);
	send_piece(piece_is_written);
	settle(fd);
	CHECK_STRING(seen, "written; ");
	send_piece(never);
	send_piece(NULL);
	settle(fd);
	send_piece(never);
	evhttp_send_reply_end(kept);
	settle(fd);
	CHECK_STRING(seen, "written; complete; ");
	leave(fd);
	stop_server();
}

/* A reply after the client has left: nothing is sent, chunks stay the program's, and the request is freed at the end. */
static void
end_whole(void)
{
	evhttp_send_reply(kept, 200, NULL, NULL);
}

static void
end_with_error(void)
{
	evhttp_send_error(kept, 500, NULL);
}

static void
end_stream(void)
{
	struct evbuffer *piece = text("piece");

	evhttp_send_reply_start(kept, 200, NULL);
	evhttp_send_reply_chunk(kept, piece);
	CHECK_EQUAL(evbuffer_get_length(piece), 5);
	evbuffer_free(piece);
	evhttp_send_reply_end(kept);
}

static void
free_request(void)
{
	evhttp_request_free(kept);
}

CASE(replies_after_the_client_left, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	static void (*const ends[])(void) = {end_whole, end_with_error, end_stream, free_request};

	allocator_install();
	start_server();
	evhttp_set_gencb(http, begin_stream, NULL);
	for (int i = 0; i < 4; i++) {
		leave(ask_raw(get));
		CHECK_EQUAL(closed, i + 1);
		CHECK(evhttp_request_get_connection(kept) == NULL);
		ends[i]();
	}
	CHECK_STRING(seen, "");
	stop_server();
	CHECK_EQUAL(allocator.alive, 0);
}

/* A stream that waits for its program longer than the server's timeout. */
CASE(stream_times_out, ONE_BACKEND)
{
	struct timeval timeout = {0, 50000};
	int fd;

	start_server();
	evhttp_set_timeout_tv(http, &timeout);
	evhttp_set_gencb(http, begin_stream, NULL);
	fd = connect_raw();
	memset(&answer, 0, sizeof answer);
	send_bytes(fd, get, sizeof get - 1);
	TURN_UNTIL((receive(fd), answer.ended));
	CHECK_EQUAL(closed, 1);
	CHECK(evhttp_request_get_connection(kept) == NULL);
	evhttp_send_reply_end(kept);
	CHECK_STRING(seen, "");
	leave(fd);
	stop_server();
}
