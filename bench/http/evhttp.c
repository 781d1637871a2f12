/* The server, and the client, of libevent. */
#include "load.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sys/socket.h>

static char large[LARGE];
static int file;

static void
reply_small(struct evhttp_request *req, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	evbuffer_add(body, large, SMALL);
	evhttp_send_reply(req, HTTP_OK, NULL, body);
	evbuffer_free(body);
}

static void
reply_by_reference(struct evhttp_request *req, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	evbuffer_add_reference(body, large, LARGE, NULL, NULL);
	evhttp_send_reply(req, HTTP_OK, NULL, body);
	evbuffer_free(body);
}

static void
reply_with_file(struct evhttp_request *req, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	evbuffer_add_file(body, dup(file), 0, LARGE);
	evhttp_send_reply(req, HTTP_OK, NULL, body);
	evbuffer_free(body);
}

static void
reply_in_chunks(struct evhttp_request *req, void *arg)
{
	struct evbuffer *chunk = evbuffer_new();

	(void)arg;
	BENCH_CHECK(evbuffer_get_length(evhttp_request_get_input_buffer(req)) == CHUNK * CHUNKS);
	evhttp_send_reply_start(req, HTTP_OK, NULL);
	for (int i = 0; i < CHUNKS; i++) {
		evbuffer_add(chunk, large, CHUNK);
		evhttp_send_reply_chunk(req, chunk);
	}
	evhttp_send_reply_end(req);
	evbuffer_free(chunk);
}

static void
reply_heap(struct evhttp_request *req, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	evbuffer_add_printf(body, "%zu", (size_t)mallinfo2().uordblks);
	evhttp_send_reply(req, HTTP_OK, NULL, body);
	evbuffer_free(body);
}

static void
serve(void)
{
	struct event_base *base = event_base_new();
	struct evhttp *http = evhttp_new(base);
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	struct sockaddr_in address;
	socklen_t length = sizeof address;

	file = large_file();
	memset(large, 'x', sizeof large);
	evhttp_set_cb(http, "/small", reply_small, NULL);
	evhttp_set_cb(http, "/reference", reply_by_reference, NULL);
	evhttp_set_cb(http, "/file", reply_with_file, NULL);
	evhttp_set_cb(http, "/upload", reply_small, NULL);
	evhttp_set_cb(http, "/chunked", reply_in_chunks, NULL);
	evhttp_set_cb(http, "/heap", reply_heap, NULL);
	BENCH_CHECK(bound && getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length) == 0);
	ready(ntohs(address.sin_port));
	event_base_dispatch(base);
}

/* --- The client --- */

static struct event_base *client_base;
static long left;

static void request_again(struct evhttp_request *req, void *connection);

static void
make_request(struct evhttp_connection *connection)
{
	struct evhttp_request *req = evhttp_request_new(request_again, connection);

	evhttp_add_header(evhttp_request_get_output_headers(req), "Host", "localhost");
	BENCH_CHECK(evhttp_make_request(connection, req, EVHTTP_REQ_GET, "/small") == 0);
}

static void
request_again(struct evhttp_request *req, void *connection)
{
	BENCH_CHECK(req && evhttp_request_get_response_code(req) == 200);
	BENCH_CHECK(evbuffer_get_length(evhttp_request_get_input_buffer(req)) == SMALL);
	if (--left > 0)
		make_request(connection);
}

static void
request(int port, int connections, long requests)
{
	client_base = event_base_new();
	left = requests;
	for (int i = 0; i < connections; i++)
		make_request(evhttp_connection_base_new(client_base, NULL, "127.0.0.1", (ev_uint16_t)port));
	event_base_dispatch(client_base);
	/* The CPU is read while the process is still there. */
	pause();
}

const struct server server = {REFERENCE | FILES | UPLOADS | CHUNKED | HEAP | CLIENT | MANY, serve, request};
