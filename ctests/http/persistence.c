/* Which connections are kept, and which are closed, on either side. */
#include "client_tools.h"

/* The header that the program adds to its reply. */
static void
reply_with(struct evhttp_request *req, void *connection)
{
	if (connection)
		evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", connection);
	evhttp_send_reply(req, 200, NULL, NULL);
}

/* The Connection headers of the reply, and whether the connection ends. */
static const char *
kept_after(const char *request, const char *own)
{
	static char what[200];
	const char *header;
	int fd = connect_raw();

	evhttp_set_gencb(http, reply_with, (void *)own);
	memset(&answer, 0, sizeof answer);
	send_bytes(fd, request, strlen(request));
	settle(fd);
	CHECK(strncmp(answer.text, "HTTP/1.", 7) == 0 && strncmp(answer.text + 8, " 200 ", 5) == 0);
	what[0] = 0;
	for (header = answer.text; (header = strstr(header, "\r\nConnection: ")) != NULL; header++)
		snprintf(what + strlen(what), sizeof what - strlen(what), "%.*s; ", (int)strcspn(header + 14, "\r"), header + 14);
	strcat(what, answer.ended ? "end" : "open");
	close(fd);
	settle(-1);
	return what;
}

#define OF(version, headers) "GET / HTTP/" version "\r\n" headers "\r\n"

struct row {
	const char *request, *own, *wanted;
};

static void
check_rows(const struct row *rows, size_t count)
{
	int wrong = 0;

	start_server();
	for (size_t i = 0; i < count; i++) {
		const char *what = kept_after(rows[i].request, rows[i].own);

		if (strcmp(what, rows[i].wanted) != 0) {
			printf("%s%s: %s, wanted: %s\n", rows[i].request, rows[i].own ? rows[i].own : "", what, rows[i].wanted);
			wrong++;
		}
	}
	stop_server();
	CHECK_EQUAL(wrong, 0);
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof rows / sizeof rows[0])

CASE(servers, ONE_BACKEND)
{
	static const struct row rows[] = {
		{OF("1.1", ""), NULL, "open"},
		{OF("1.1", "Connection: keep-alive\r\n"), NULL, "open"},
		{OF("1.1", "Connection: close\r\n"), NULL, "close; end"},
		{OF("1.1", "connection:  CLOSE \r\n"), NULL, "close; end"},
		{OF("1.1", "Connection: closed\r\n"), NULL, "open"},
		{OF("1.1", "Connection: xclose\r\n"), NULL, "open"},
		{OF("1.1", "Connection:\r\n"), NULL, "open"},
		{OF("1.1", "Proxy-Connection: close\r\n"), NULL, "open"},
		{OF("1.2", ""), NULL, "open"},
		{OF("1.0", ""), NULL, "end"},
		{OF("1.0", "Connection: x\r\n"), NULL, "end"},
		{OF("1.0", "Connection: keep-alive\r\n"), NULL, "keep-alive; open"},
		{OF("1.0", "Connection: Keep-Alive\r\n"), NULL, "keep-alive; open"},
		{OF("1.1", ""), "close", "close; end"},
		{OF("1.1", ""), "Close", "Close; end"},
		{OF("1.1", ""), "keep-alive", "keep-alive; open"},
		{OF("1.1", "Connection: close\r\n"), "close", "close; end"},
		{OF("1.1", "Connection: close\r\n"), "keep-alive", "close; end"},
		{OF("1.0", ""), "keep-alive", "keep-alive; end"},
	};

	CHECK_ROWS(rows);
}

DIFFERENCE(servers_with_lists, ONE_BACKEND, "a server sees close only where it stands alone in the first Connection header")
{
	static const struct row rows[] = {
		{OF("1.1", "Connection: close, x\r\n"), NULL, "close; end"},
		{OF("1.1", "Connection: x,close\r\n"), NULL, "close; end"},
		{OF("1.1", "Connection: x , \tClose\t, y\r\n"), NULL, "close; end"},
		{OF("1.1", "Connection: x\r\nConnection: close\r\n"), NULL, "close; end"},
		{OF("1.1", ""), "x, close", "x, close; end"},
		{OF("1.0", "Connection: TE, keep-alive\r\n"), NULL, "keep-alive; open"},
		{OF("1.0", "Connection: TE\r\nConnection: keep-alive\r\n"), NULL, "keep-alive; open"},
		{OF("1.0", "Connection: keep-alive, close\r\n"), NULL, "close; end"},
	};

	CHECK_ROWS(rows);
}

DIFFERENCE(replies_that_end_it, ONE_BACKEND, "a reply to an HTTP/1.0 request in which the program has set close says keep-alive too")
{
	static const struct row rows[] = {
		{OF("1.0", "Connection: keep-alive\r\n"), "close", "close; end"},
	};

	CHECK_ROWS(rows);
}

DIFFERENCE(servers_with_another_word, ONE_BACKEND, "a server treats any word that begins with keep-alive as keep-alive")
{
	static const struct row rows[] = {
		{OF("1.0", "Connection: keep-alivex\r\n"), NULL, "end"},
	};

	CHECK_ROWS(rows);
}

/* --- Clients --- */

static int
is_kept_after(const char *version, const char *headers, const char *own)
{
	struct evhttp_connection *client = new_client();
	struct evhttp_request *req = new_request();
	char reply[300];
	int fd, ended;

	if (own)
		evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", own);
	requests_done = 0;
	CHECK_EQUAL(evhttp_make_request(client, req, EVHTTP_REQ_GET, "/"), 0);
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	snprintf(reply, sizeof reply, "HTTP/%s 200 OK\r\nContent-Length: 0\r\n%s\r\n", version, headers);
	CHECK_EQUAL(send(fd, reply, strlen(reply), MSG_NOSIGNAL), (ssize_t)strlen(reply));
	TURN_UNTIL(requests_done == 1);
	receive(fd);
	ended = answer.ended;
	close(fd);
	evhttp_connection_free(client);
	return !ended;
}

CASE(clients, ONE_BACKEND)
{
	start_peer();
	CHECK(is_kept_after("1.1", "", NULL));
	CHECK(is_kept_after("1.1", "Connection: keep-alive\r\n", NULL));
	CHECK(is_kept_after("1.1", "Connection: closed\r\n", NULL));
	CHECK(is_kept_after("1.1", "Proxy-Connection: close\r\n", NULL));
	CHECK(!is_kept_after("1.1", "Connection: close\r\n", NULL));
	CHECK(!is_kept_after("1.1", "CONNECTION: CLOSE\r\n", NULL));
	CHECK(!is_kept_after("1.1", "", "close"));
	CHECK(is_kept_after("1.1", "", "keep-alive"));
	CHECK(is_kept_after("1.0", "Connection: keep-alive\r\n", NULL));
	stop_peer();
}

DIFFERENCE(clients_with_lists, ONE_BACKEND, "a client sees close only where it stands alone in the first Connection header")
{
	start_peer();
	CHECK(!is_kept_after("1.1", "Connection: close, x\r\n", NULL));
	CHECK(!is_kept_after("1.1", "Connection: x, close\r\n", NULL));
	CHECK(!is_kept_after("1.1", "Connection: x\r\nConnection: close\r\n", NULL));
	CHECK(!is_kept_after("1.1", "", "x, close"));
	stop_peer();
}

DIFFERENCE(clients_of_1_0, ONE_BACKEND, "a client keeps the connection after a reply of HTTP/1.0, which ends it")
{
	start_peer();
	CHECK(!is_kept_after("1.0", "", NULL));
	CHECK(!is_kept_after("1.0", "Connection: x\r\n", NULL));
	CHECK(is_kept_after("1.0", "Connection: x, Keep-Alive\r\n", NULL));
	stop_peer();
}

/* What a handler does to its request is not seen in the one that comes after it on the connection. */
static int changes_seen;

static void
count_change(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	(void)buffer, (void)info, (void)arg;
	changes_seen++;
}

static void
note_and_change(struct evhttp_request *req, void *arg)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(req);
	struct evbuffer *body = evhttp_request_get_input_buffer(req);
	struct evkeyval *pair;

	(void)arg;
	see("%s", evhttp_request_get_uri(req));
	for (pair = headers->tqh_first; pair; pair = pair->next.tqe_next)
		see(" %s=%s", pair->key, pair->value);
	see(" %zu; ", evbuffer_get_length(body));
	if ((pair = headers->tqh_first) != NULL) {
		free(pair->value);
		pair->value = strdup("mine");
		evhttp_remove_header(headers, "Gone");
		evhttp_add_header(headers, "Added", "by the program");
	}
	evbuffer_add(body, "left", 4);
	evbuffer_add_cb(body, count_change, NULL);
	evhttp_send_reply(req, 200, NULL, NULL);
}

CASE(one_request_after_the_other, ONE_BACKEND)
{
	static const char requests[] =
	    "GET /a HTTP/1.1\r\nHost: h\r\nGone: 1\r\nX: abcd\r\n\r\n"
	    "GET /b HTTP/1.1\r\nHost: i\r\nGone: 2\r\nX: efgh\r\n\r\n"
	    "GET /c HTTP/1.1\r\nhost: i\r\nX: longer\r\n\r\n"
	    "GET /a/path/that/is/longer/than/any/before/it?and=with&a=query HTTP/1.1\r\nHost: long\r\nX: a\r\n b\r\n\r\n"
	    "POST /d HTTP/1.1\r\nHost: mine\r\nContent-Length: 3\r\n\r\nabc"
	    "GET / HTTP/1.1\r\n\r\n"
	    "GET / HTTP/1.1\r\nHost: mine\r\nX: a b\r\n\r\n";

	start_server();
	evhttp_set_gencb(http, note_and_change, NULL);
	for (int cut = BYTE_BY_BYTE; cut <= WHOLE; cut++) {
		seen[0] = 0;
		changes_seen = 0;
		send_divided(requests, sizeof requests - 1, cut);
		see_answer();
		CHECK_STRING(seen,
		    "/a Host=h Gone=1 X=abcd 0; /b Host=i Gone=2 X=efgh 0; /c host=i X=longer 0; "
		    "/a/path/that/is/longer/than/any/before/it?and=with&a=query Host=long X=a b 0; "
		    "/d Host=mine Content-Length=3 3; / 0; / Host=mine X=a b 0; -> 200 200 200 200 200 200 200 open");
		CHECK_EQUAL(changes_seen, 0);
	}
	stop_server();
}

/* A tunnel through a proxy: whatever the headers say, the connection stays open, and what follows goes through it. */
static void
ask_tunnel(struct evhttp_connection *client, enum evhttp_cmd_type method, const char *target)
{
	struct evhttp_request *req = new_request();

	evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
	CHECK_EQUAL(evhttp_make_request(client, req, method, target), 0);
}

CASE(tunnels, ONE_BACKEND)
{
	static const char connected[] = "HTTP/1.1 200 Connected\r\nConnection: close\r\nContent-Length: 5\r\n\r\n";
	static const char through[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	struct evhttp_connection *client;
	int fd;

	start_peer();
	client = new_client();
	ask_tunnel(client, EVHTTP_REQ_CONNECT, "host:80");
	fd = accept_client();
	CHECK_STRING(read_until(fd, "\r\n\r\n"), "CONNECT host:80 HTTP/1.1\r\nConnection: close\r\n\r\n");
	CHECK(send(fd, connected, sizeof connected - 1, MSG_NOSIGNAL) > 0);
	TURN_UNTIL(requests_done == 1);
	ask_tunnel(client, EVHTTP_REQ_GET, "/x");
	CHECK_STRING(read_until(fd, "\r\n\r\n"), "GET /x HTTP/1.1\r\nConnection: close\r\n\r\n");
	CHECK(send(fd, through, sizeof through - 1, MSG_NOSIGNAL) > 0);
	TURN_UNTIL(requests_done == 2);
	CHECK_STRING(seen, "200 [Connected]; 200 [OK] [ok]; ");
	evhttp_connection_free(client);
	close(fd);
	stop_peer();
}
