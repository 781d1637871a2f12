/* Coverage-guided: a client and a server made with the library. The input says what requests and replies are made of,
 * and in which pieces the bytes travel. Every request must get its own body back. */
#define _GNU_SOURCE
#include "http/client_tools.h"
#include "checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *choices;
static size_t choices_left;
static struct evhttp_connection *client;
static int port, requests_left;

static unsigned
choose(void)
{
	if (!choices_left)
		return 0;
	choices_left--;
	return *choices++;
}

/* The body of a request, which contains its own length. */
static void
put_body(struct evbuffer *body, unsigned length)
{
	while (length--)
		evbuffer_add_printf(body, "%u,", length);
}

static void
echo(struct evhttp_request *req, void *arg)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(req), *piece;
	unsigned how = choose();

	(void)arg;
	if (how & 2)
		evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
	if (how & 1) {
		evhttp_send_reply(req, 200, NULL, body);
		return;
	}
	evhttp_send_reply_start(req, 200, NULL);
	piece = evbuffer_new();
	while (evbuffer_get_length(body)) {
		evbuffer_remove_buffer(body, piece, 1 + choose());
		evhttp_send_reply_chunk(req, piece);
	}
	evbuffer_free(piece);
	evhttp_send_reply_end(req);
}

static void
check_reply(struct evhttp_request *req, void *arg)
{
	struct evbuffer *wanted = arg, *body;

	CHECK(req && evhttp_request_get_response_code(req) == 200);
	body = evhttp_request_get_input_buffer(req);
	CHECK_EQUAL(evbuffer_get_length(body), evbuffer_get_length(wanted));
	CHECK(evbuffer_get_length(body) == 0 ||
	      memcmp(evbuffer_pullup(body, -1), evbuffer_pullup(wanted, -1), evbuffer_get_length(body)) == 0);
	evbuffer_free(wanted);
	requests_left--;
}

static void
make_request(void)
{
	struct evbuffer *wanted = evbuffer_new();
	struct evhttp_request *req = evhttp_request_new(check_reply, wanted);
	unsigned how = choose(), length = choose() * (how & 4 ? 20 : 1);

	put_body(wanted, length);
	put_body(evhttp_request_get_output_buffer(req), length);
	if (how & 1)
		evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
	if (how & 2)
		evhttp_add_header(evhttp_request_get_output_headers(req), "Expect", "100-continue");
	requests_left++;
	CHECK_EQUAL(evhttp_make_request(client, req, how & 8 ? EVHTTP_REQ_PUT : EVHTTP_REQ_POST, "/"), 0);
}

static void
start_both(void)
{
	struct evhttp_bound_socket *bound;
	struct sockaddr_in address;
	socklen_t length = sizeof address;

	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	http = evhttp_new(base);
	bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	CHECK(bound && getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length) == 0);
	port = ntohs(address.sin_port);
	evhttp_set_gencb(http, echo, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned count;

	if (size < 2)
		return 0;
	if (!base)
		start_both();
	choices = data;
	choices_left = size;
	peer_port = port;
	client = new_client();
	for (count = 1 + choose() % 8; count; count--) {
		make_request();
		if (choose() & 1)
			turn();
	}
	TURN_UNTIL(requests_left == 0);
	evhttp_connection_free(client);
	turn();
	return 0;
}
