/* A server for http_clients.py; the path says what it does. */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LARGE = 8 << 20, PIECES = 200 };

static struct event_base *base;

/* Sends back what came in, with its method. */
static void
echo(struct evhttp_request *req, void *arg)
{
	static const char *const names[] = {"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH"};
	const char *type = evhttp_find_header(evhttp_request_get_input_headers(req), "Content-Type");
	int method = 0;

	(void)arg;
	while ((int)evhttp_request_get_command(req) != 1 << method)
		method++;
	evhttp_add_header(evhttp_request_get_output_headers(req), "X-Method", names[method]);
	if (type)
		evhttp_add_header(evhttp_request_get_output_headers(req), "X-Type", type);
	evhttp_send_reply(req, HTTP_OK, NULL, evhttp_request_get_input_buffer(req));
}

static void
small(struct evhttp_request *req, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	evbuffer_add_printf(body, "small");
	evhttp_send_reply(req, HTTP_OK, NULL, body);
	evbuffer_free(body);
}

/* Eight megabytes from a file. */
static void
large(struct evhttp_request *req, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	evbuffer_add_file(body, dup(*(int *)arg), 0, LARGE);
	evhttp_send_reply(req, HTTP_OK, NULL, body);
	evbuffer_free(body);
}

/* Chunks, each sent after the one before was written. */
struct stream {
	struct evhttp_request *req;
	int sent;
};

static void
next_piece(struct evhttp_connection *connection, void *arg)
{
	struct stream *stream = arg;
	struct evbuffer *piece = evbuffer_new();

	(void)connection;
	if (stream->sent == PIECES) {
		evhttp_send_reply_end(stream->req);
		free(stream);
	} else {
		evbuffer_add_printf(piece, "piece %d\n", stream->sent++);
		evhttp_send_reply_chunk_with_cb(stream->req, piece, next_piece, stream);
	}
	evbuffer_free(piece);
}

static void
pieces(struct evhttp_request *req, void *arg)
{
	struct stream *stream = calloc(1, sizeof *stream);

	(void)arg;
	stream->req = req;
	evhttp_send_reply_start(req, HTTP_OK, NULL);
	next_piece(NULL, stream);
}

/* A reply that comes later. */
static void
reply_now(evutil_socket_t fd, short what, void *req)
{
	(void)fd;
	(void)what;
	small(req, NULL);
}

static void
late(struct evhttp_request *req, void *arg)
{
	struct timeval soon = {0, 20000};

	(void)arg;
	event_base_once(base, -1, EV_TIMEOUT, reply_now, req, &soon);
}

static void
query(struct evhttp_request *req, void *arg)
{
	struct evkeyvalq parameters;
	struct evkeyval *pair;
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	if (evhttp_parse_query(evhttp_request_get_uri(req), &parameters) != 0) {
		evhttp_send_error(req, HTTP_BADREQUEST, NULL);
	} else {
		for (pair = parameters.tqh_first; pair; pair = pair->next.tqe_next)
			evbuffer_add_printf(body, "%s is %s\n", pair->key, pair->value);
		evhttp_clear_headers(&parameters);
		evhttp_send_reply(req, HTTP_OK, NULL, body);
	}
	evbuffer_free(body);
}

static void
stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	event_base_loopbreak(base);
}

/* The arguments: a port, and the path of a UNIX socket. */
int
main(int argc, char **argv)
{
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	struct event *term;
	struct evhttp *http;
	int file = memfd_create("large", 0), i;
	unsigned block[1024];

	if (argc != 3)
		return 2;
	for (i = 0; i < LARGE / (int)sizeof block; i++) {
		for (int j = 0; j < 1024; j++)
			block[j] = (unsigned)(i * 1024 + j) * 2654435761u;
		if (write(file, block, sizeof block) != sizeof block)
			return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	http = evhttp_new(base);
	evhttp_set_allowed_methods(http, 0x1ff);
	evhttp_set_max_headers_size(http, 8192);
	evhttp_set_max_body_size(http, 100 << 20);
	evhttp_set_timeout(http, 30);
	evhttp_set_cb(http, "/echo", echo, NULL);
	evhttp_set_cb(http, "/small", small, NULL);
	evhttp_set_cb(http, "/large", large, &file);
	evhttp_set_cb(http, "/pieces", pieces, NULL);
	evhttp_set_cb(http, "/late", late, NULL);
	evhttp_set_cb(http, "/query", query, NULL);
	strncpy(local.sun_path, argv[2], sizeof local.sun_path - 1);
	if (evhttp_bind_socket(http, "127.0.0.1", (ev_uint16_t)atoi(argv[1])) != 0 ||
	    !evhttp_bind_listener(http, evconnlistener_new_bind(base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE, -1,
	        (struct sockaddr *)&local, sizeof local)))
		return 1;
	term = evsignal_new(base, SIGTERM, stop, NULL);
	event_add(term, NULL);
	event_base_dispatch(base);
	event_free(term);
	evhttp_free(http);
	event_base_free(base);
	return 0;
}
