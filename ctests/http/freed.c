/* The connection of a client is freed in each of its callbacks, while others wait. */
#include "client_tools.h"

static struct evhttp_connection *connection;
static int calls;

static void
free_it(void)
{
	calls++;
	if (connection) {
		evhttp_connection_free(connection);
		connection = NULL;
	}
}

static void
free_when_done(struct evhttp_request *req, void *arg)
{
	(void)arg;
	see(req ? "done %d; " : "failed; ", req ? evhttp_request_get_response_code(req) : 0);
	free_it();
}

static void
free_when_failed(enum evhttp_request_error error, void *arg)
{
	(void)arg;
	see("error %d; ", (int)error);
	free_it();
}

static struct evhttp_request *
ask(int in_error)
{
	struct evhttp_request *req = evhttp_request_new(free_when_done, NULL);

	if (in_error)
		evhttp_request_set_error_cb(req, free_when_failed);
	CHECK_EQUAL(evhttp_make_request(connection, req, EVHTTP_REQ_GET, "/"), 0);
	return req;
}

static void
freed_after(const char *reply, int in_error, int ends)
{
	int fd, before = calls;

	connection = evhttp_connection_base_new(base, NULL, "127.0.0.1", (ev_uint16_t)peer_port);
	ask(in_error);
	ask(in_error);
	ask(in_error);
	/* Not one that was given up before it was accepted. */
	for (fd = accept_client(); read_until(fd, "\r\n\r\n")[0] == 0; fd = accept_client())
		close(fd);
	CHECK_EQUAL(send(fd, reply, strlen(reply), MSG_NOSIGNAL), (ssize_t)strlen(reply));
	if (ends)
		shutdown(fd, SHUT_RDWR);
	TURN_UNTIL(calls > before);
	turn();
	close(fd);
	turn();
	see("\n");
}

CASE(in_callbacks, ONE_BACKEND)
{
	start_peer();
	freed_after("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 0, 0);
	freed_after("HTTP/1.1 201 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 0, 0);
	freed_after("HTTP/1.1 202 OK\r\n\r\nok", 0, 1);
	freed_after("HTTP/1.1 203 OK\r\nContent-Length: 5\r\n\r\nok", 0, 1);
	freed_after("HTTP/1.1 203 OK\r\nContent-Length: 5\r\n\r\nok", 1, 1);
	freed_after("rubbish\r\n\r\n", 0, 0);
	freed_after("rubbish\r\n\r\n", 1, 0);
	freed_after("", 1, 1);
	printf("%s", seen);
	stop_peer();
}

DIFFERENCE(when_refused, ONE_BACKEND, "a connection that is freed because it could not be made still notifies the other requests")
{
	start_peer();
	close(peer_listener);
	connection = evhttp_connection_base_new(base, NULL, "127.0.0.1", (ev_uint16_t)peer_port);
	ask(0);
	ask(1);
	ask(0);
	TURN_UNTIL(calls == 1);
	turn();
	printf("%s %d\n", seen, calls);
	event_base_free(base);
}

CASE(when_cancelled, ONE_BACKEND)
{
	struct evhttp_request *req;

	start_peer();
	connection = evhttp_connection_base_new(base, NULL, "127.0.0.1", (ev_uint16_t)peer_port);
	req = ask(1);
	ask(1);
	evhttp_cancel_request(req);
	turn();
	printf("%s %d\n", seen, calls);
	stop_peer();
}

CASE(while_it_connects_and_waits, ONE_BACKEND)
{
	start_peer();
	connection = evhttp_connection_base_new(base, NULL, "127.0.0.1", (ev_uint16_t)peer_port);
	ask(1);
	evhttp_connection_free(connection);
	close(peer_listener);
	connection = evhttp_connection_base_new(base, NULL, "127.0.0.1", (ev_uint16_t)peer_port);
	evhttp_connection_set_retries(connection, 5);
	ask(1);
	turn();
	usleep(1000);
	turn();
	evhttp_connection_free(connection);
	turn();
	printf("%s %d\n", seen, calls);
	event_base_free(base);
}

/* A server is freed in the close callback of a connection of it, whatever ends the connection. */
static void
free_server(struct evhttp_connection *evcon, void *arg)
{
	(void)arg;
	CHECK(evhttp_connection_get_server(evcon) == http);
	see("closed; ");
	evhttp_free(http);
	http = NULL;
}

static void
watch_and_reply(struct evhttp_request *req, void *arg)
{
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), free_server, NULL);
	note_and_reply(req, arg);
}

static void
free_server_when(const char *request, int peer_leaves)
{
	int fd, other;

	seen[0] = 0;
	memset(&answer, 0, sizeof answer);
	start_server();
	evhttp_set_gencb(http, watch_and_reply, NULL);
	other = connect_raw();
	settle(other);
	fd = connect_raw();
	send_bytes(fd, request, strlen(request));
	settle(fd);
	if (peer_leaves) {
		CHECK(http != NULL);
		shutdown(fd, SHUT_RDWR);
		settle(-1);
	}
	CHECK(http == NULL);
	CHECK_STRING(seen, "GET /; closed; ");
	close(fd);
	memset(&answer, 0, sizeof answer);
	receive(other);
	CHECK(answer.ended);
	close(other);
	event_base_free(base);
}

DIFFERENCE(server_in_its_close_callback, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS,
	"a server that is freed in the close callback of a connection frees that connection, and itself, twice")
{
	allocator_install();
	free_server_when("GET / HTTP/1.1\r\n\r\n", 1);
	free_server_when("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 0);
	CHECK_EQUAL(allocator.alive, 0);
}
