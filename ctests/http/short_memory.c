/* Each allocation fails in its turn, or all from it on: requests come to an end once, nothing is lost, and the
 * next exchange works. */
#include "client_tools.h"

#include <event2/listener.h>

static struct evhttp_connection *connection;
static int callbacks, replied;
static long waits;

static void
count_reply(struct evhttp_request *req, void *arg)
{
	(void)arg;
	callbacks++;
	if (req && evhttp_request_get_response_code(req) == 200)
		replied++;
}

static void
take(struct evhttp_request *req, void *arg)
{
	(void)arg;
	evbuffer_drain(evhttp_request_get_input_buffer(req), 2);
}

static void
stream_reply(struct evhttp_request *req, void *arg)
{
	struct evbuffer *piece = evbuffer_new();

	evhttp_send_reply_start(req, 200, NULL);
	if (piece) {
		evbuffer_add(piece, "some data", 9);
		evhttp_send_reply_chunk(req, piece);
		evbuffer_add(piece, "more data", 9);
		evhttp_send_reply_chunk_with_cb(req, piece, NULL, arg);
		evbuffer_free(piece);
	}
	evhttp_send_reply_end(req);
}

static void
whole_reply(struct evhttp_request *req, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	if (body)
		evbuffer_add(body, "some data", 9);
	evhttp_add_header(evhttp_request_get_output_headers(req), "X", "Y");
	evhttp_send_reply(req, 200, "Fine", body);
	if (body)
		evbuffer_free(body);
}

static int
ask(enum evhttp_cmd_type method, const char *uri, size_t length)
{
	static char bytes[5000];
	struct evhttp_request *req = evhttp_request_new(count_reply, NULL);

	if (!req)
		return 0;
	if (length)
		evbuffer_add(evhttp_request_get_output_buffer(req), bytes, length);
	else
		evhttp_request_set_chunked_cb(req, take);
	evhttp_add_header(evhttp_request_get_output_headers(req), "Host", "x");
	if (strcmp(uri, "/hundred") == 0)
		evhttp_add_header(evhttp_request_get_output_headers(req), "Expect", "100-continue");
	return evhttp_make_request(connection, req, method, uri) == 0;
}

/* Makes requests of several kinds, of which each comes to an end; how many there were. */
static int
exchange(void)
{
	int made = 0, before = callbacks;

	made += ask(EVHTTP_REQ_GET, "/whole?a=b", 0);
	made += ask(EVHTTP_REQ_GET, "/stream%20me", 0);
	made += ask(EVHTTP_REQ_POST, "/whole", 5000);
	made += ask(EVHTTP_REQ_POST, "/hundred", 10);
	made += ask(EVHTTP_REQ_GET, "http://host/none", 0);
	made += ask(EVHTTP_REQ_TRACE, "/", 0);
	while (callbacks < before + made) {
		CHECK(waits++ < 100000000);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	CHECK_EQUAL(callbacks, before + made);
	return made;
}

static struct evhttp_bound_socket *
make_server(const struct timeval *timeout)
{
	struct evhttp *host;

	http = evhttp_new(base);
	if (!http)
		return NULL;
	evhttp_set_timeout_tv(http, timeout);
	evhttp_set_cb(http, "/whole", whole_reply, NULL);
	evhttp_set_cb(http, "/stream me", stream_reply, NULL);
	evhttp_set_cb(http, "/hundred", whole_reply, NULL);
	evhttp_add_server_alias(http, "alias");
	evhttp_set_default_content_type(http, "text/plain");
	host = evhttp_new(NULL);
	if (host && evhttp_add_virtual_host(http, "*.com", host) < 0)
		evhttp_free(host);
	return evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
}

/* What failed can be done again. */
static void
exchange_again(void)
{
	int again = 0;

	evhttp_set_cb(http, "/whole", whole_reply, NULL);
	evhttp_set_cb(http, "/stream me", stream_reply, NULL);
	evhttp_set_cb(http, "/hundred", whole_reply, NULL);
	do {
		/* Where all is slow, the timeout may still end some. */
		CHECK(again++ < 20);
		replied = 0;
		exchange();
	} while (replied < 4);
	CHECK_EQUAL(replied, 4);
}

/* Everything is made, used and freed; returns whether some allocation failed in the meantime. */
static int
run_with_failure(long number, int on)
{
	struct evhttp_bound_socket *bound;
	struct timeval timeout = {0, 200000};
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	int failed;

	base = event_base_new();
	CHECK(base != NULL);
	allocator_fail_at(number);
	allocator.fail_on = on;
	bound = make_server(&timeout);
	if (bound) {
		CHECK(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length) == 0);
		connection = evhttp_connection_base_new(base, NULL, "127.0.0.1", ntohs(address.sin_port));
		if (connection) {
			evhttp_connection_set_timeout_tv(connection, &timeout);
			exchange();
			failed = allocator.failed > 0;
			allocator_fail_at(0);
			allocator.failed = failed;
			exchange_again();
			evhttp_connection_free(connection);
		}
	}
	failed = allocator.failed > 0;
	allocator_fail_at(0);
	if (http)
		evhttp_free(http);
	event_base_free(base);
	CHECK_EQUAL(allocator.alive, 0);
	return failed;
}

static void
quiet(int severity, const char *message)
{
	(void)severity;
	(void)message;
}

DIFFERENCE(each_allocation_fails, ONE_BACKEND | SLOW | OWN_DEBUG_MODE, "running out of memory makes HTTP servers and clients crash or leak")
{
	long number;

	signal(SIGPIPE, SIG_IGN);
	event_set_log_callback(quiet);
	allocator_install();
	for (number = 1; run_with_failure(number, 0); number++)
		;
	printf("%d\n", number > 100);
}

DIFFERENCE(all_allocations_fail_from_one_on, ONE_BACKEND | SLOW | OWN_DEBUG_MODE, "running out of memory makes HTTP servers and clients crash or leak")
{
	long number;

	signal(SIGPIPE, SIG_IGN);
	event_set_log_callback(quiet);
	allocator_install();
	for (number = 1; run_with_failure(number, 1); number++)
		;
	printf("%d\n", number > 100);
}
