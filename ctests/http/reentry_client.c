/* What callbacks of clients may do to what they are called about: free it, cancel it, keep it, use it again. */
#include "client_tools.h"

static struct evhttp_request *kept;

static struct evhttp_connection *client;
static struct evhttp_request *others[2];

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
static const char last[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

static void
make(struct evhttp_request *req, const char *target)
{
	CHECK_EQUAL(evhttp_make_request(client, req, EVHTTP_REQ_GET, target), 0);
}

static struct evhttp_request *
request_of(void (*done)(struct evhttp_request *, void *), const char *target)
{
	struct evhttp_request *req = evhttp_request_new(done, NULL);

	evhttp_request_set_error_cb(req, note_error);
	make(req, target);
	return req;
}

static void
say(int fd, const char *bytes)
{
	CHECK_EQUAL(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL), (ssize_t)strlen(bytes));
}

static int
peer_that_says(const char *bytes)
{
	int fd = accept_client();

	read_until(fd, "\r\n\r\n");
	say(fd, bytes);
	return fd;
}

static void
free_client(struct evhttp_request *req, void *arg)
{
	note_reply(req, arg);
	evhttp_connection_free(client);
	client = NULL;
}

/* The connection would have been freed behind the callback. */
static void
free_what_frees_itself(const char *reply, int ends)
{
	int fd;

	client = new_client();
	evhttp_connection_free_on_completion(client);
	requests_done = 0;
	seen[0] = 0;
	request_of(free_client, "/");
	fd = peer_that_says(reply);
	if (ends)
		shutdown(fd, SHUT_WR);
	TURN_UNTIL(requests_done == 1);
	turn();
	CHECK(client == NULL);
	CHECK_STRING(seen, "200 [OK] [ok]; ");
	close(fd);
}

DIFFERENCE(freed_where_it_frees_itself, ONE_BACKEND,
	"a connection that is to be freed on completion is used after it was freed when the last callback frees it")
{
	start_peer();
	free_what_frees_itself(last, 0);
	free_what_frees_itself("HTTP/1.1 200 OK\r\n\r\nok", 1);
	free_what_frees_itself(ok, 0);
	stop_peer();
}

static void
ask_again(struct evhttp_request *req, void *arg)
{
	note_reply(req, arg);
	if (requests_done == 1)
		request_of(note_reply, "/again");
}

/* A request that is made because another one failed is not failed with it. */
CASE(request_made_when_one_fails, ONE_BACKEND)
{
	int fd;

	start_peer();
	client = new_client();
	request_of(ask_again, "/1");
	request_of(note_reply, "/2");
	fd = peer_that_says("rubbish\r\n\r\n");
	TURN_UNTIL(requests_done == 1);
	close(fd);
	fd = peer_that_says(ok);
	CHECK(strncmp(answer.text, "GET /2 ", 7) == 0);
	TURN_UNTIL(requests_done == 2);
	CHECK(strncmp(read_until(fd, "\r\n\r\n"), "GET /again ", 11) == 0);
	say(fd, ok);
	TURN_UNTIL(requests_done == 3);
	CHECK_STRING(seen, "invalid; no reply; 200 [OK] [ok]; 200 [OK] [ok]; ");
	evhttp_connection_free(client);
	close(fd);
	stop_peer();
}

static int dead_port;

static void
ask_again_unconnected(struct evhttp_request *req, void *arg)
{
	(void)arg;
	CHECK(req && evhttp_request_get_response_code(req) == 0);
	see("not connected %s; ", evhttp_request_get_uri(req));
	requests_done++;
	if (strcmp(evhttp_request_get_uri(req), "/1") == 0)
		request_of(ask_again_unconnected, "/again");
}

CASE(request_made_when_all_are_refused, ONE_BACKEND)
{
	start_peer();
	dead_port = peer_port;
	close(peer_listener);
	client = new_client();
	request_of(ask_again_unconnected, "/1");
	request_of(ask_again_unconnected, "/2");
	TURN_UNTIL(requests_done == 3);
	CHECK_STRING(seen, "not connected /1; not connected /2; not connected /again; ");
	evhttp_connection_free(client);
	event_base_free(base);
}

/* Others are cancelled in the callback of the first: one in the middle, and the next, which is on its way already. */
static void
cancel_others(struct evhttp_request *req, void *arg)
{
	note_reply(req, arg);
	evhttp_cancel_request(others[1]);
	CHECK(strstr(seen, "cancelled") == NULL);
	evhttp_cancel_request(others[0]);
}

static void
cancel_after(const char *reply, const char *wanted)
{
	int fd, again;

	client = new_client();
	requests_done = 0;
	seen[0] = 0;
	request_of(cancel_others, "/1");
	others[0] = request_of(note_reply, "/2");
	others[1] = request_of(note_reply, "/3");
	request_of(note_reply, "/4");
	fd = peer_that_says(reply);
	TURN_UNTIL(requests_done == 1);
	close(fd);
	for (again = accept_client(); read_until(again, "\r\n\r\n")[0] == 0; again = accept_client())
		close(again);
	CHECK(strncmp(answer.text, "GET /4 ", 7) == 0);
	say(again, ok);
	TURN_UNTIL(requests_done == 2);
	CHECK_STRING(seen, wanted);
	evhttp_connection_free(client);
	close(again);
}

CASE(others_cancelled, ONE_BACKEND)
{
	start_peer();
	cancel_after(ok, "200 [OK] [ok]; cancelled; 200 [OK] [ok]; ");
	cancel_after(last, "200 [OK] [ok]; cancelled; 200 [OK] [ok]; ");
	cancel_after("rubbish\r\n\r\n", "invalid; no reply; cancelled; 200 [OK] [ok]; ");
	stop_peer();
}

/* What a piece of a reply may lead to, on the last piece, too. */
static void
cancel_it(struct evhttp_request *req, void *arg)
{
	(void)arg;
	see("piece; ");
	evhttp_cancel_request(req);
}

static void
free_both(struct evhttp_request *req, void *arg)
{
	(void)arg;
	see("piece; ");
	evhttp_connection_free(client);
	client = NULL;
	CHECK(evhttp_request_get_connection(req) == NULL);
	evhttp_request_free(req);
	kept = NULL;
}

static void
end_at_piece(void (*piece)(struct evhttp_request *, void *), int owned, int frees_itself, const char *reply)
{
	struct evhttp_request *req = evhttp_request_new(note_reply, NULL);
	int fd;

	client = new_client();
	if (frees_itself)
		evhttp_connection_free_on_completion(client);
	seen[0] = 0;
	requests_done = 0;
	evhttp_request_set_chunked_cb(req, piece);
	evhttp_request_set_error_cb(req, note_error);
	if (owned)
		evhttp_request_own(req);
	kept = req;
	make(req, "/");
	fd = peer_that_says(reply);
	TURN_UNTIL(seen[0]);
	turn();
	CHECK_EQUAL(requests_done, 0);
	CHECK_STRING(seen, piece == cancel_it ? "piece; cancelled; " : "piece; ");
	if (owned && kept) {
		CHECK(evhttp_request_get_connection(req) == NULL);
		evhttp_request_free(req);
	}
	if (client && !frees_itself)
		evhttp_connection_free(client);
	close(fd);
}

static const char chunk[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";

static void
end_at_last_pieces(void (*piece)(struct evhttp_request *, void *), int owned, int frees_itself)
{
	end_at_piece(piece, owned, frees_itself, ok);
	end_at_piece(piece, owned, frees_itself, last);
	end_at_piece(piece, owned, frees_itself, chunk);
	end_at_piece(piece, owned, frees_itself, "HTTP/1.1 200 OK\r\n\r\nok");
}

CASE(cancelled_at_a_piece, ONE_BACKEND)
{
	start_peer();
	end_at_last_pieces(cancel_it, 0, 0);
	stop_peer();
}

DIFFERENCE(owned_and_cancelled_at_a_piece, ONE_BACKEND,
	"a client continues with a request that the program owns and has cancelled in the callback of the last chunk")
{
	start_peer();
	end_at_last_pieces(cancel_it, 1, 0);
	stop_peer();
}

DIFFERENCE(cancelled_where_the_connection_frees_itself, ONE_BACKEND,
	"a connection that is freed on completion is used after that when its last request is cancelled in a chunk callback")
{
	start_peer();
	end_at_last_pieces(cancel_it, 0, 1);
	end_at_last_pieces(cancel_it, 1, 1);
	stop_peer();
}

DIFFERENCE(all_freed_at_a_piece, ONE_BACKEND,
	"a client uses its request after the program has freed the connection, and then the request, in a chunk callback")
{
	start_peer();
	end_at_last_pieces(free_both, 1, 0);
	stop_peer();
}

/* When the headers have come. */
static int
free_at_headers(struct evhttp_request *req, void *arg)
{
	(void)req;
	(void)arg;
	see("headers; ");
	evhttp_connection_free(client);
	client = NULL;
	return 0;
}

static int
cancel_at_headers(struct evhttp_request *req, void *arg)
{
	(void)arg;
	see("headers; ");
	evhttp_cancel_request(req);
	return 0;
}

static void
end_at_headers(int (*headers)(struct evhttp_request *, void *), const char *reply, const char *wanted)
{
	struct evhttp_request *req = new_request();
	int fd;

	client = new_client();
	seen[0] = 0;
	requests_done = 0;
	evhttp_request_set_header_cb(req, headers);
	make(req, "/");
	fd = peer_that_says(reply);
	TURN_UNTIL(seen[0]);
	turn();
	CHECK_EQUAL(requests_done, 0);
	CHECK_STRING(seen, wanted);
	if (client)
		evhttp_connection_free(client);
	close(fd);
}

DIFFERENCE(freed_at_headers, ONE_BACKEND, "a client uses its connection after the program has freed it in the header callback")
{
	start_peer();
	end_at_headers(free_at_headers, ok, "headers; ");
	end_at_headers(free_at_headers, "HTTP/1.1 204 N\r\n\r\n", "headers; ");
	end_at_headers(free_at_headers, "HTTP/1.1 100 C\r\n\r\n", "headers; ");
	stop_peer();
}

DIFFERENCE(cancelled_at_headers, ONE_BACKEND, "a client uses its request after the program has cancelled it in the header callback")
{
	start_peer();
	end_at_headers(cancel_at_headers, ok, "headers; cancelled; ");
	end_at_headers(cancel_at_headers, "HTTP/1.1 204 N\r\n\r\n", "headers; cancelled; ");
	end_at_headers(cancel_at_headers, "HTTP/1.1 100 C\r\n\r\n", "headers; cancelled; ");
	stop_peer();
}

static void
note_complete(struct evhttp_request *req, void *arg)
{
	(void)req;
	(void)arg;
	see("complete; ");
}

/* Kept when it is done; and a server's callback of completion is none of a client's. */
static void
keep(struct evhttp_request *req, void *arg)
{
	note_reply(req, arg);
	evhttp_request_own(req);
	kept = req;
}

CASE(kept_when_it_is_done, ONE_BACKEND)
{
	int fd;

	start_peer();
	client = new_client();
	evhttp_request_set_on_complete_cb(request_of(keep, "/"), note_complete, NULL);
	fd = peer_that_says(ok);
	TURN_UNTIL(requests_done == 1);
	evhttp_connection_free(client);
	turn();
	CHECK_STRING(seen, "200 [OK] [ok]; ");
	CHECK_EQUAL(evhttp_request_get_response_code(kept), 200);
	CHECK_EQUAL(evbuffer_get_length(evhttp_request_get_input_buffer(kept)), 2);
	evhttp_request_free(kept);
	close(fd);
	stop_peer();
}
