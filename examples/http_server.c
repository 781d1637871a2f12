/* An HTTP server: greets on one path, and reports the length of what is posted to another.
 *
 *     gcc http_server.c -o http_server $(pkg-config --cflags --libs libevent)
 *     ./http_server 8080        a port, or 0 for any that is free
 *     curl http://127.0.0.1:8080/hello?name=you
 *     curl -d 'some text' http://127.0.0.1:8080/length
 */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static void
reply_with_text(struct evhttp_request *request, struct evbuffer *text)
{
	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "text/plain; charset=utf-8");
	evhttp_send_reply(request, HTTP_OK, "OK", text);
	evbuffer_free(text);
}

/* /hello?name=... */
static void
hello(struct evhttp_request *request, void *arg)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	struct evbuffer *text = evbuffer_new();
	struct evkeyvalq query;
	const char *name = NULL;

	(void)arg;
	if (!text) {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
		return;
	}
	if (evhttp_parse_query_str(evhttp_uri_get_query(uri) ? evhttp_uri_get_query(uri) : "", &query) == 0) {
		/* It is decoded already, and freed with the list. */
		name = evhttp_find_header(&query, "name");
		evbuffer_add_printf(text, "Hello, %s!\n", name ? name : "whoever you are");
		evhttp_clear_headers(&query);
		reply_with_text(request, text);
	} else {
		evbuffer_free(text);
		evhttp_send_error(request, HTTP_BADREQUEST, "The query is malformed.");
	}
}

/* POST /length */
static void
length(struct evhttp_request *request, void *arg)
{
	struct evbuffer *text;

	(void)arg;
	if (evhttp_request_get_command(request) != EVHTTP_REQ_POST) {
		evhttp_send_error(request, HTTP_BADMETHOD, NULL);
		return;
	}
	if (!(text = evbuffer_new())) {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
		return;
	}
	evbuffer_add_printf(text, "%zu bytes\n", evbuffer_get_length(evhttp_request_get_input_buffer(request)));
	reply_with_text(request, text);
}

static void
terminate(evutil_socket_t number, short what, void *arg)
{
	(void)number;
	(void)what;
	event_base_loopexit(arg, NULL);
}

int
main(int argc, char **argv)
{
	struct event_base *base = event_base_new();
	struct sockaddr_in address;
	socklen_t address_length = sizeof address;
	struct evhttp_bound_socket *bound;
	struct evhttp *server;
	struct event *end;

	if (argc != 2 || !base || !(server = evhttp_new(base))) {
		fprintf(stderr, "usage: %s PORT\n", argv[0]);
		return EXIT_FAILURE;
	}
	/* A public server needs limits on time, headers and bodies. */
	evhttp_set_timeout(server, 30);
	evhttp_set_max_headers_size(server, 16 * 1024);
	evhttp_set_max_body_size(server, 8 * 1024 * 1024);
	evhttp_set_cb(server, "/hello", hello, NULL);
	evhttp_set_cb(server, "/length", length, NULL);
	/* Everything else is answered with 404. */
	bound = evhttp_bind_socket_with_handle(server, "127.0.0.1", (ev_uint16_t)atoi(argv[1]));
	end = evsignal_new(base, SIGTERM, terminate, base);
	if (!bound || !end || event_add(end, NULL) < 0) {
		perror("http_server");
		return EXIT_FAILURE;
	}
	getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &address_length);
	printf("listening on port %d\n", ntohs(address.sin_port));
	fflush(stdout);
	event_base_dispatch(base);

	evhttp_free(server);
	event_free(end);
	event_base_free(base);
	return EXIT_SUCCESS;
}
