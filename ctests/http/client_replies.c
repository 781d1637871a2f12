/* Replies that come to a client in pieces, after interim ones, or before its request is written. */
#include "one_client.h"

static void
cancel_piece(struct evhttp_request *req, void *arg)
{
	(void)arg;
	see("piece; ");
	evhttp_cancel_request(req);
}

static void
free_at_piece(struct evhttp_request *req, void *arg)
{
	(void)arg;
	see("piece; ");
	evhttp_connection_free(evhttp_request_get_connection(req));
	connection = NULL;
}

static void
take_piece(struct evhttp_request *req, void *arg)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(req);

	see("piece [%.*s]; ", (int)evbuffer_get_length(body), (char *)evbuffer_pullup(body, -1));
	if (arg)
		evbuffer_drain(body, 1);
}

static int
see_headers(struct evhttp_request *req, void *arg)
{
	const char *header = evhttp_find_header(evhttp_request_get_input_headers(req), "X");

	see("headers %d %s; ", evhttp_request_get_response_code(req), header ? header : "-");
	return arg ? -1 : 0;
}

static int
ask_with(void (*piece)(struct evhttp_request *, void *), int (*headers)(struct evhttp_request *, void *), void *arg)
{
	struct evhttp_request *req = evhttp_request_new(note_reply, arg);

	evhttp_request_set_chunked_cb(req, piece);
	evhttp_request_set_header_cb(req, headers);
	evhttp_request_set_error_cb(req, note_error);
	CHECK_EQUAL(evhttp_make_request(connection, req, EVHTTP_REQ_GET, "/"), 0);
	return accept_client();
}

static const char chunks[] = "HTTP/1.1 200 OK\r\nX: yes\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";

CASE(replies_in_pieces, ONE_BACKEND)
{
	int fd;

	start_peer();
	new_connection(peer_port);
	fd = ask_with(take_piece, see_headers, NULL);
	answer_with(fd, chunks);
	TURN_UNTIL(requests_done == 1);
	printf("%s\n", seen);
	evhttp_connection_free(connection);
	close(fd);

	new_connection(peer_port);
	fd = ask_with(cancel_piece, NULL, NULL);
	answer_with(fd, chunks);
	TURN_UNTIL(strstr(seen, "cancelled") != NULL);
	turn();
	printf("%s\n", seen);
	evhttp_connection_free(connection);
	close(fd);

	new_connection(peer_port);
	fd = ask_with(free_at_piece, NULL, NULL);
	answer_with(fd, chunks);
	TURN_UNTIL(connection == NULL);
	turn();
	close(fd);

	new_connection(peer_port);
	fd = ask_with(NULL, see_headers, base);
	answer_with(fd, chunks);
	TURN_UNTIL(requests_done == 2);
	printf("%s\n", seen);
	evhttp_connection_free(connection);
	close(fd);
	stop_peer();
}

/* A client asks whether it may send a body of four bytes; returns the peer's end. */
static int
post_with_expectation(void)
{
	struct evhttp_request *req;
	int fd;

	start_peer();
	new_connection(peer_port);
	req = evhttp_request_new(note_reply, NULL);
	evhttp_add_header(evhttp_request_get_output_headers(req), "Expect", "100-continue");
	evbuffer_add_printf(evhttp_request_get_output_buffer(req), "body");
	CHECK_EQUAL(evhttp_make_request(connection, req, EVHTTP_REQ_POST, "/"), 0);
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	return fd;
}

/* Interim replies. */
CASE(continued, ONE_BACKEND)
{
	int fd = post_with_expectation();

	turn();
	receive(fd);
	CHECK(strstr(answer.text, "body") == NULL);
	CHECK(strstr(answer.text, "Content-Length: 4\r\n") != NULL);
	answer_with(fd, "HTTP/1.1 100 Continue\r\n\r\n");
	read_until(fd, "body");
	answer_with(fd, ok);
	TURN_UNTIL(requests_done == 1);
	printf("%s\n", seen);
	evhttp_connection_free(connection);
	close(fd);
	stop_peer();
}

DIFFERENCE(continued_after_another_interim_reply, ONE_BACKEND, "a client takes a reply with the status 103 as the final one")
{
	int fd = post_with_expectation();

	answer_with(fd, "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
	read_until(fd, "body");
	answer_with(fd, ok);
	TURN_UNTIL(requests_done == 1);
	printf("%s\n", seen);
	evhttp_connection_free(connection);
	close(fd);
	stop_peer();
}

/* An upload that the server answers early: it reads the rest nevertheless, or not. */
enum { READS_ON, CLOSES };

static void
upload(int flags, int then)
{
	static char bytes[8 << 20];
	struct evhttp_request *req = evhttp_request_new(note_reply, NULL);
	int fd, done = requests_done;

	CHECK_EQUAL(evhttp_connection_set_flags(connection, flags), 0);
	evhttp_request_set_error_cb(req, note_error);
	evbuffer_add(evhttp_request_get_output_buffer(req), bytes, sizeof bytes);
	CHECK_EQUAL(evhttp_make_request(connection, req, EVHTTP_REQ_POST, "/"), 0);
	fd = accept_client();
	memset(&answer, 0, sizeof answer);
	TURN_UNTIL((receive(fd), answer.length > 100000));
	answer_with(fd, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
	turn();
	CHECK_EQUAL(requests_done, done);
	if (then == READS_ON)
		shutdown(fd, SHUT_WR);
	else
		close(fd);
	TURN_UNTIL((then == CLOSES || (receive(fd), 1)) && requests_done > done);
	if (then == READS_ON)
		close(fd);
}

CASE(upload_answered_early, ONE_BACKEND)
{
	start_peer();
	new_connection(peer_port);
	CHECK_EQUAL(evhttp_connection_set_flags(connection, EVHTTP_CON_LINGERING_CLOSE), 1);
	CHECK_EQUAL(evhttp_connection_set_flags(connection, ~0), 1);
	upload(0, CLOSES);
	CHECK(strstr(seen, "no reply") != NULL);
	upload(EVHTTP_CON_READ_ON_WRITE_ERROR, CLOSES);
	CHECK(strstr(strstr(seen, "no reply"), "413") != NULL);
	evhttp_connection_free(connection);
	stop_peer();
}

DIFFERENCE(upload_answered_early_and_read, ONE_BACKEND,
	   "the reply of a server that closes its side early is lost, although the server reads the rest of the request")
{
	start_peer();
	new_connection(peer_port);
	upload(0, READS_ON);
	CHECK_STRING(seen, "closed; 413 [Too Large] [no]; ");
	evhttp_connection_free(connection);
	stop_peer();
}
