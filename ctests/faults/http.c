/* An HTTP server and a client while system calls fail. */
#define _GNU_SOURCE
#include "scenarios.h"

#include <event2/http.h>

enum { REQUESTS = 3, BODY = 20000 };

struct exchange {
	struct evhttp_connection *client;
	int asked, answered, failed, finished;
};

static int
add_body(struct evbuffer *out, int stream)
{
	unsigned char bytes[1000];
	size_t at, i;
	for (at = 0; at < BODY; at += sizeof bytes) {
		for (i = 0; i < sizeof bytes; i++)
			bytes[i] = byte_of_stream(stream, at + i);
		if (evbuffer_add(out, bytes, sizeof bytes))
			return -1;
	}
	return 0;
}

/* Echoes the body, in two chunks for one of the paths. */
static void
serve(struct evhttp_request *request, void *arg)
{
	struct evbuffer *input = evhttp_request_get_input_buffer(request), *half = evbuffer_new();
	(void)arg;
	if (evhttp_request_get_uri(request)[1] != 'c') {
		evhttp_send_reply(request, 200, "OK", input);
	} else if (!half || evbuffer_remove_buffer(input, half, BODY / 2) != BODY / 2) {
		evhttp_send_error(request, 500, "no memory");
	} else {
		evhttp_send_reply_start(request, 200, "OK");
		evhttp_send_reply_chunk(request, half);
		evhttp_send_reply_chunk(request, input);
		evhttp_send_reply_end(request);
	}
	if (half)
		evbuffer_free(half);
}

static int ask(struct exchange *exchange);

static void
answered(struct evhttp_request *request, void *arg)
{
	struct exchange *exchange = arg;
	size_t arrived = 0;
	if (request && evhttp_request_get_response_code(request) == 200) {
		take_stream(evhttp_request_get_input_buffer(request), exchange->asked, &arrived);
		HOLDS(arrived == BODY, "an answer with 200 is not whole");
		exchange->answered++;
	} else {
		exchange->failed = 1;
	}
	if (exchange->failed || exchange->answered == REQUESTS || ask(exchange))
		exchange->finished = 1;
}

static int
ask(struct exchange *exchange)
{
	static const char *const paths[] = {"/plain", "/chunks", "/plain"};
	struct evhttp_request *request = evhttp_request_new(answered, exchange);
	if (!request || evhttp_add_header(evhttp_request_get_output_headers(request), "Host", "test") ||
	    add_body(evhttp_request_get_output_buffer(request), exchange->asked + 1)) {
		exchange->failed = 1;
		if (request)
			evhttp_request_free(request);
		return -1;
	}
	exchange->asked++;
	if (evhttp_make_request(exchange->client, request, EVHTTP_REQ_POST, paths[exchange->answered])) {
		exchange->failed = 1;
		return -1;
	}
	return 0;
}

static int
port_of(struct evhttp_bound_socket *bound)
{
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	return getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length) ? 0 : ntohs(address.sin_port);
}

SCENARIO(http)
{
	struct exchange exchange = {0};
	struct event_base *base = new_base(0);
	struct evhttp *server;
	struct evhttp_bound_socket *bound;
	enum ending ending = REFUSED;
	if (!base)
		return REFUSED;
	server = evhttp_new(base);
	bound = server ? evhttp_bind_socket_with_handle(server, "127.0.0.1", 0) : NULL;
	if (bound) {
		evhttp_set_gencb(server, serve, NULL);
		exchange.client = evhttp_connection_base_new(base, NULL, "127.0.0.1", port_of(bound));
	}
	if (exchange.client) {
		evhttp_connection_set_timeout(exchange.client, 1);
		if (!ask(&exchange) && run_until(base, &exchange.finished) == DONE && !exchange.failed)
			ending = DONE;
		evhttp_connection_free(exchange.client);
	}
	if (server)
		evhttp_free(server);
	finish_base(base);
	return ending;
}
