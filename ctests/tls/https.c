/* compile: -Wl,--no-as-needed -levent_openssl -lssl -lcrypto */
/* HTTP over TLS: both sides on bufferevents of either transport, connections that are made again. */
#include "tls/tools.h"

#include <arpa/inet.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <signal.h>

static int filters_of_server, options_of_both;
static size_t body_length;
static int requests_done, last_code;
static size_t last_length;
static SSL *kept; /* that no bufferevent frees */

static struct bufferevent *
make_tls(int filter, int state, int options)
{
	struct bufferevent *bev;
	SSL *ssl = SSL_new(context);

	if (filter)
		bev = bufferevent_openssl_filter_new(base, bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE), ssl,
						     state, options | BEV_OPT_CLOSE_ON_FREE);
	else
		bev = bufferevent_openssl_socket_new(base, -1, ssl, state, options);
	if (!filter && !(options & BEV_OPT_CLOSE_ON_FREE))
		kept = ssl;
	CHECK(bev != NULL);
	bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	return bev;
}

static struct bufferevent *
accepting(struct event_base *its_base, void *arg)
{
	(void)arg;
	CHECK(its_base == base);
	return make_tls(filters_of_server, BUFFEREVENT_SSL_ACCEPTING, options_of_both | BEV_OPT_CLOSE_ON_FREE);
}

static void
serve(struct evhttp_request *req, void *arg)
{
	static char bytes[300000];
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	evbuffer_add(body, bytes, body_length);
	evhttp_send_reply(req, 200, NULL, body);
	evbuffer_free(body);
}

static void
answered(struct evhttp_request *req, void *arg)
{
	(void)arg;
	requests_done++;
	last_code = req ? evhttp_request_get_response_code(req) : -1;
	last_length = req ? evbuffer_get_length(evhttp_request_get_input_buffer(req)) : 0;
}

static void
ask(struct evhttp_connection *evcon, int close_after)
{
	struct evhttp_request *req = evhttp_request_new(answered, NULL);
	int done = requests_done;
	long long end = milliseconds() + 30000;

	if (close_after)
		evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
	CHECK_EQUAL(evhttp_make_request(evcon, req, EVHTTP_REQ_GET, "/"), 0);
	while (requests_done == done) {
		CHECK(milliseconds() < end);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	CHECK_EQUAL(last_code, 200);
	CHECK_EQUAL(last_length, body_length);
}

static void
exchange(int filter_of_client)
{
	struct evhttp *http = evhttp_new(base);
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	struct evhttp_connection *evcon;
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	int i;

	CHECK(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length) == 0);
	evhttp_set_bevcb(http, accepting, NULL);
	evhttp_set_gencb(http, serve, NULL);
	evcon = evhttp_connection_base_bufferevent_new(base, NULL,
		make_tls(filter_of_client, BUFFEREVENT_SSL_CONNECTING, options_of_both), "127.0.0.1",
		ntohs(address.sin_port));
	CHECK(evcon != NULL);
	for (i = 0; i < 4; i++) {
		body_length = i < 2 ? 5 : 300000;
		ask(evcon, i != 1);
	}
	evhttp_connection_free(evcon);
	evhttp_free(http);
	for (i = 0; i < 6; i++)
		CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
	SSL_free(kept);
	kept = NULL;
}

static void
all_options(int filter_of_client, int filter_of_server)
{
	static const int options[] = {0, BEV_OPT_CLOSE_ON_FREE, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS};
	size_t i;

	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	make_context(0);
	filters_of_server = filter_of_server;
	for (i = 0; i < 3; i++) {
		options_of_both = options[i];
		exchange(filter_of_client);
	}
	event_base_free(base);
	SSL_CTX_free(context);
}

CASE(connections_on_sockets, ONE_BACKEND)
{
	all_options(0, 0);
}

DIFFERENCE(clients_on_filters, ONE_BACKEND,
	   "a client of HTTPS on a filter cannot connect a second time, and uses a closed descriptor")
{
	all_options(1, 0);
}

DIFFERENCE(servers_on_filters, ONE_BACKEND,
	   "the end of a long reply of an HTTPS server on filters is lost if the connection ends with it")
{
	all_options(0, 1);
}

/* --- A reply in pieces, and its end --- */

static struct evhttp_request *streaming;

static void
stream_on_time(evutil_socket_t fd, short what, void *arg)
{
	struct timeval none = {0, 0};
	struct evbuffer *piece = evbuffer_new();

	(void)fd;
	(void)what;
	if (*(int *)arg < 3) {
		++*(int *)arg;
		evbuffer_add(piece, "a piece", 7);
		evhttp_send_reply_chunk(streaming, piece);
		event_base_once(base, -1, EV_TIMEOUT, stream_on_time, arg, &none);
	} else {
		evhttp_send_reply_end(streaming);
	}
	evbuffer_free(piece);
}

static void
stream(struct evhttp_request *req, void *arg)
{
	struct timeval none = {0, 0};

	*(int *)arg = 0;
	streaming = req;
	evhttp_send_reply_start(req, 200, NULL);
	event_base_once(base, -1, EV_TIMEOUT, stream_on_time, arg, &none);
}

static int ended_with;

static void
ask_and_note_end(struct bufferevent *bev, short what, void *arg)
{
	(void)arg;
	if (what & BEV_EVENT_CONNECTED)
		bufferevent_write(bev, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 37);
	else
		ended_with = what;
}

static void
streamed(int filter_of_client, int filter_of_server)
{
	struct evhttp *http = evhttp_new(base);
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	struct bufferevent *bev = make_tls(filter_of_client, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	long long end = milliseconds() + 30000;
	int number;
	char *text;

	CHECK(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length) == 0);
	filters_of_server = filter_of_server;
	evhttp_set_bevcb(http, accepting, NULL);
	evhttp_set_gencb(http, stream, &number);
	bufferevent_setcb(bev, NULL, NULL, ask_and_note_end, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	CHECK_EQUAL(bufferevent_socket_connect(bev, (struct sockaddr *)&address, sizeof address), 0);
	for (ended_with = 0; !ended_with;) {
		CHECK(milliseconds() < end);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	CHECK_EQUAL(ended_with & ~BEV_EVENT_READING, BEV_EVENT_EOF);
	evbuffer_add(bufferevent_get_input(bev), "", 1);
	text = (char *)evbuffer_pullup(bufferevent_get_input(bev), -1);
	CHECK_STRING(strstr(text, "\r\n\r\n"), "\r\n\r\n7\r\na piece\r\n7\r\na piece\r\n7\r\na piece\r\n0\r\n\r\n");
	bufferevent_free(bev);
	evhttp_free(http);
}

DIFFERENCE(replies_in_pieces, ONE_BACKEND,
	   "with OpenSSL 3 the end of a reply over TLS without close_notify is an error even if dirty shutdown is allowed")
{
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	make_context(0);
	options_of_both = 0;
	streamed(0, 0);
	streamed(1, 0);
	streamed(0, 1);
	event_base_free(base);
	SSL_CTX_free(context);
}

/* --- A server that is down, and comes up --- */

static struct evhttp *
serve_at(int port)
{
	struct evhttp *http = evhttp_new(base);

	filters_of_server = 0;
	CHECK_EQUAL(evhttp_bind_socket(http, "127.0.0.1", (ev_uint16_t)port), 0);
	evhttp_set_bevcb(http, accepting, NULL);
	evhttp_set_gencb(http, serve, NULL);
	return http;
}

static void
answered_and_freed(struct evhttp_request *req, void *arg)
{
	CHECK(req == NULL);
	requests_done++;
	evhttp_connection_free(*(struct evhttp_connection **)arg);
	*(struct evhttp_connection **)arg = NULL;
}

CASE(nobody_there, ONE_BACKEND)
{
	struct evhttp_connection *evcon;

	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	make_context(0);
	/* The broadcast address is none to connect to. */
	evcon = evhttp_connection_base_bufferevent_new(base, NULL, make_tls(0, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE),
		"255.255.255.255", 443);
	CHECK_EQUAL(evhttp_make_request(evcon, evhttp_request_new(answered_and_freed, &evcon), EVHTTP_REQ_GET, "/"), 0);
	while (requests_done == 0)
		event_base_loop(base, EVLOOP_NONBLOCK);
	CHECK(evcon == NULL);
	event_base_free(base);
	SSL_CTX_free(context);
}

DIFFERENCE(server_that_comes_up, ONE_BACKEND,
	   "after its attempts to connect have failed, a connection never tries again")
{
	struct timeval pause = {0, 20000};
	struct evhttp_connection *evcon;
	struct evhttp_request *req;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct evhttp *http;

	CHECK(bind(fd, (struct sockaddr *)&address, length) == 0 && getsockname(fd, (struct sockaddr *)&address, &length) == 0);
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	make_context(0);
	evcon = evhttp_connection_base_bufferevent_new(base, NULL, make_tls(0, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE),
		"127.0.0.1", ntohs(address.sin_port));
	evhttp_connection_set_retries(evcon, 1);
	evhttp_connection_set_initial_retry_tv(evcon, &pause);
	req = evhttp_request_new(answered, NULL);
	CHECK_EQUAL(evhttp_make_request(evcon, req, EVHTTP_REQ_GET, "/"), 0);
	while (requests_done == 0)
		event_base_loop(base, EVLOOP_NONBLOCK);
	CHECK_EQUAL(last_code, 0);
	close(fd);
	http = serve_at(ntohs(address.sin_port));
	body_length = 5;
	ask(evcon, 1);
	ask(evcon, 0);
	evhttp_connection_free(evcon);
	evhttp_free(http);
	event_base_free(base);
	SSL_CTX_free(context);
}

/* --- A client that never sends its complete request --- */

static int events_of_client, said;
static size_t came;

static void
count_bytes(struct bufferevent *bev, void *arg)
{
	(void)arg;
	came += evbuffer_get_length(bufferevent_get_input(bev));
}

static void
say_half(struct bufferevent *bev, short what, void *arg)
{
	(void)arg;
	if (!(what & BEV_EVENT_CONNECTED)) {
		events_of_client = what;
		return;
	}
	bufferevent_write(bev, "GET /test HTTP/1.0\r\nHost: some", 30);
	bufferevent_enable(bev, EV_READ);
	said = 1;
}

/* The server closes silently: when the client shuts down its side, or has been silent for a second. */
static void
half_a_request(int client_ends)
{
	struct evhttp *http;
	struct evhttp_bound_socket *bound;
	struct bufferevent *bev;
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	long long end = milliseconds() + 30000;

	signal(SIGPIPE, SIG_IGN);
	events_of_client = said = 0;
	base = event_base_new();
	make_context(0);
	filters_of_server = 0;
	http = evhttp_new(base);
	bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	CHECK(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length) == 0);
	evhttp_set_bevcb(http, accepting, NULL);
	evhttp_set_gencb(http, serve, NULL);
	if (!client_ends)
		evhttp_set_timeout(http, 1);
	bev = make_tls(0, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(bev, count_bytes, NULL, say_half, NULL);
	CHECK(bufferevent_socket_connect(bev, (struct sockaddr *)&address, sizeof address) == 0);
	while (!events_of_client) {
		CHECK(milliseconds() < end);
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (client_ends && said && evbuffer_get_length(bufferevent_get_output(bev)) == 0) {
			said = 0;
			SSL_shutdown(bufferevent_openssl_get_ssl(bev));
		}
	}
	printf("event %#x, %zu bytes\n", (unsigned)events_of_client, came);
	CHECK_EQUAL(events_of_client, BEV_EVENT_READING | BEV_EVENT_EOF);
	CHECK_EQUAL(came, 0);
	bufferevent_free(bev);
	evhttp_free(http);
	event_base_free(base);
	SSL_CTX_free(context);
}

DIFFERENCE(half_a_request_at_most, ONE_BACKEND,
	   "with OpenSSL 3 the end of a connection without close_notify is an error even if dirty shutdown is allowed")
{
	half_a_request(1);
	half_a_request(0);
}
