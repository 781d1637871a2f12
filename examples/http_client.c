/* An HTTP client: fetches a page and writes it to standard output as it arrives.
 *
 *     gcc http_client.c -o http_client $(pkg-config --cflags --libs libevent)
 *     ./http_client http://127.0.0.1:8080/hello?name=you
 */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int status = EXIT_FAILURE;

/* Called with each piece of the body. */
static void
part(struct evhttp_request *request, void *arg)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(request);

	(void)arg;
	while (evbuffer_get_length(body) > 0 && evbuffer_write(body, STDOUT_FILENO) > 0)
		;
}

/* Called when the reply is complete, or there is none. The library frees the request. */
static void
done(struct evhttp_request *request, void *arg)
{
	struct event_base *base = arg;
	int code = request ? evhttp_request_get_response_code(request) : 0;

	if (code == 0)
		fprintf(stderr, "http_client: no reply\n");
	else if (code != HTTP_OK)
		fprintf(stderr, "http_client: %d %s\n", code, evhttp_request_get_response_code_line(request));
	else
		status = EXIT_SUCCESS;
	event_base_loopexit(base, NULL);
}

int
main(int argc, char **argv)
{
	struct event_base *base = event_base_new();
	struct evhttp_uri *uri = argc == 2 ? evhttp_uri_parse(argv[1]) : NULL;
	struct evhttp_connection *connection;
	struct evhttp_request *request;
	const char *host, *path, *query;
	char target[2048], authority[300];
	int port;

	if (!base || !uri || !(host = evhttp_uri_get_host(uri))) {
		fprintf(stderr, "usage: %s http://HOST[:PORT]/PATH\n", argv[0]);
		return EXIT_FAILURE;
	}
	port = evhttp_uri_get_port(uri) < 0 ? 80 : evhttp_uri_get_port(uri);
	path = evhttp_uri_get_path(uri);
	query = evhttp_uri_get_query(uri);
	snprintf(target, sizeof target, "%s%s%s", path && *path ? path : "/", query ? "?" : "", query ? query : "");
	snprintf(authority, sizeof authority, "%s:%d", host, port);

	/* Without a resolver, looking up the name blocks; dns_lookup.c has a resolver. */
	connection = evhttp_connection_base_new(base, NULL, host, (ev_uint16_t)port);
	request = evhttp_request_new(done, base);
	if (!connection || !request)
		return EXIT_FAILURE;
	evhttp_connection_set_timeout(connection, 30);
	evhttp_request_set_chunked_cb(request, part);
	evhttp_add_header(evhttp_request_get_output_headers(request), "Host", authority);
	evhttp_add_header(evhttp_request_get_output_headers(request), "Connection", "close");
	/* From here on the library owns the request. */
	if (evhttp_make_request(connection, request, EVHTTP_REQ_GET, target) == 0)
		event_base_dispatch(base);

	evhttp_connection_free(connection);
	evhttp_uri_free(uri);
	event_base_free(base);
	return status;
}
