/* An HTTP server and a client with everything that can be set, while memory runs out. */
#define _GNU_SOURCE
#include "scenarios.h"

#include <event2/dns.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <sys/queue.h>

enum { ASKED = 5, PIECES = 4 };

struct web {
	struct event_base *base;
	struct evhttp *server, *host;
	struct evhttp_connection *client;
	struct evdns_base *resolver;
	int ended, good, failed, finished;
	struct streaming *streaming;
};

/* A reply that is sent piece by piece. */
struct streaming {
	struct web *web;
	struct evhttp_request *request;
	struct event *timer;
	int left;
};

/* Ends a reply; one that is not whole in a way that the client notices. */
static void
stop_streaming(struct streaming *streaming, int is_whole)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(streaming->request);
	if (connection && !is_whole)
		evhttp_connection_free(connection);
	else
		evhttp_send_reply_end(streaming->request);
	event_free(streaming->timer);
	streaming->web->streaming = NULL;
	free(streaming);
}

static void
send_piece(evutil_socket_t fd, short what, void *arg)
{
	struct streaming *streaming = arg;
	struct evbuffer *piece = evbuffer_new();
	const struct timeval soon = {0, 500};
	(void)fd;
	(void)what;
	if (!piece || evbuffer_add(piece, "piece;", 6) || !streaming->left || !evhttp_request_get_connection(streaming->request)) {
		stop_streaming(streaming, !streaming->left);
	} else {
		streaming->left--;
		evhttp_send_reply_chunk(streaming->request, piece);
		if (event_add(streaming->timer, &soon))
			stop_streaming(streaming, 0);
	}
	if (piece)
		evbuffer_free(piece);
}

static void
serve_stream(struct evhttp_request *request, void *arg)
{
	struct web *web = arg;
	struct streaming *streaming = calloc(1, sizeof *streaming);
	const struct timeval soon = {0, 500};
	*streaming = (struct streaming){.web = web, .request = request, .left = PIECES};
	if (web->streaming || !(streaming->timer = event_new(web->base, -1, 0, send_piece, streaming))) {
		free(streaming);
		evhttp_send_error(request, 503, NULL);
		return;
	}
	web->streaming = streaming;
	evhttp_send_reply_start(request, 200, "OK");
	if (event_add(streaming->timer, &soon))
		stop_streaming(streaming, 0);
}

static void
serve_plain(struct evhttp_request *request, void *arg)
{
	struct evbuffer *body = evbuffer_new();
	struct evkeyvalq query;
	const char *value;
	(void)arg;
	TAILQ_INIT(&query);
	evhttp_request_get_host(request);
	if (!body || evhttp_parse_query_str(evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request)), &query) ||
	    !(value = evhttp_find_header(&query, "q")) || evbuffer_add_printf(body, "answer %s", value) < 0 ||
	    evhttp_add_header(evhttp_request_get_output_headers(request), "X-One", "1"))
		evhttp_send_error(request, 500, "no memory");
	else
		evhttp_send_reply(request, 200, "fine", body);
	evhttp_clear_headers(&query);
	if (body)
		evbuffer_free(body);
}

static struct bufferevent *
make_bufferevent(struct event_base *base, void *arg)
{
	(void)arg;
	return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
}

static int
hear_headers(struct evhttp_request *request, void *arg)
{
	(void)request;
	(void)arg;
	return 0;
}

static void
hear_piece(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evbuffer_drain(evhttp_request_get_input_buffer(request), 6);
}

static void
hear_error(enum evhttp_request_error error, void *arg)
{
	(void)error;
	((struct web *)arg)->failed = 1;
}

static void
hear_answer(struct evhttp_request *request, void *arg)
{
	struct web *web = arg;
	if (request && evhttp_request_get_response_code(request) == 200)
		web->good++;
	else
		web->failed = 1;
	web->finished = ++web->ended == ASKED;
}

static int
ask(struct web *web, int number)
{
	static const char *const uris[ASKED] = {"/plain?q=1", "/stream", "/plain?q=3", "http://v.example/plain?q=4", "/stream"};
	static const char *const hosts[ASKED] = {"main", "alias", "v.example", "v.example", "main"};
	struct evhttp_request *request = evhttp_request_new(hear_answer, web);
	struct evkeyvalq *headers;
	if (!request)
		return 0;
	headers = evhttp_request_get_output_headers(request);
	evhttp_request_set_error_cb(request, hear_error);
	evhttp_request_set_header_cb(request, hear_headers);
	if (number % 2)
		evhttp_request_set_chunked_cb(request, hear_piece);
	if (evhttp_add_header(headers, "Host", hosts[number]) || evhttp_add_header(headers, "X-Long", "a value that takes more room than others")) {
		evhttp_request_free(request);
		return 0;
	}
	if (evhttp_make_request(web->client, request, EVHTTP_REQ_GET, uris[number]))
		return 0;
	return 1;
}

static int
set_up_web(struct web *web, int flags)
{
	const struct timeval limit = {2, 0};
	struct evhttp_bound_socket *bound;
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	int good;
	web->server = evhttp_new(web->base);
	web->host = evhttp_new(web->base);
	if (!web->server || !web->host)
		return 0;
	evhttp_set_max_headers_size(web->server, 10000);
	evhttp_set_max_body_size(web->server, 10000);
	evhttp_set_default_content_type(web->server, "text/plain");
	evhttp_set_allowed_methods(web->server, EVHTTP_REQ_GET | EVHTTP_REQ_POST);
	evhttp_set_timeout_tv(web->server, &limit);
	evhttp_set_bevcb(web->server, make_bufferevent, NULL);
	good = !evhttp_set_cb(web->server, "/plain", serve_plain, web) & !evhttp_set_cb(web->server, "/stream", serve_stream, web) &
	       !evhttp_set_cb(web->host, "/plain", serve_plain, web);
	evhttp_set_gencb(web->server, serve_plain, web);
	good &= !evhttp_add_server_alias(web->server, "alias") & !evhttp_add_server_alias(web->server, "other");
	if (evhttp_add_virtual_host(web->server, "*.example", web->host)) {
		evhttp_free(web->host);
		good = 0;
	}
	web->host = NULL;
	good &= !evhttp_remove_server_alias(web->server, "other") || !good;
	bound = evhttp_bind_socket_with_handle(web->server, "127.0.0.1", 0);
	if (!bound)
		return 0;
	HOLDS(!getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length), "an address");
	if (flags) {
		web->resolver = evdns_base_new(web->base, 0);
		if (!web->resolver)
			return 0;
	}
	web->client = evhttp_connection_base_new(web->base, web->resolver, "127.0.0.1", ntohs(address.sin_port));
	if (!web->client)
		return 0;
	evhttp_connection_set_timeout_tv(web->client, &limit);
	evhttp_connection_set_retries(web->client, 1);
	evhttp_connection_set_initial_retry_tv(web->client, &(struct timeval){0, 1000});
	evhttp_connection_set_local_address(web->client, "127.0.0.1");
	evhttp_connection_set_max_body_size(web->client, 100000);
	evhttp_connection_set_max_headers_size(web->client, 100000);
	return good;
}

static enum ending
use_web(int threads, int flags)
{
	struct web web = {.base = new_base(threads)};
	enum ending ending = REFUSED;
	int i, asked = 0;
	if (!web.base)
		return REFUSED;
	if (set_up_web(&web, flags)) {
		for (i = 0; i < ASKED; i++)
			asked += ask(&web, i);
		web.ended += ASKED - asked;
		web.finished |= web.ended == ASKED;
		if (run_until(web.base, &web.finished) == DONE && web.good == ASKED)
			ending = DONE;
	}
	if (web.client)
		evhttp_connection_free(web.client);
	if (web.streaming)
		stop_streaming(web.streaming, 0);
	if (web.server)
		evhttp_free(web.server);
	if (web.host)
		evhttp_free(web.host);
	if (web.resolver)
		evdns_base_free(web.resolver, 0);
	finish_base(web.base);
	return ending;
}

IN_MEMORY(http_with_all)
{
	return use_web(0, 0);
}

IN_MEMORY(http_with_locks)
{
	return use_web(1, 1);
}
