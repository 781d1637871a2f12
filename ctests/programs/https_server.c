/* An HTTPS server by evhttp: what is posted comes back. usage: https_server PORT KEY CERTIFICATE */
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static struct bufferevent *
make(struct event_base *base, void *context)
{
	return bufferevent_openssl_socket_new(base, -1, SSL_new(context), BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
}

static void
answer(struct evhttp_request *request, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	if (evhttp_request_get_command(request) == EVHTTP_REQ_GET)
		evbuffer_add_printf(body, "you asked for %s\n", evhttp_request_get_uri(request));
	else
		evbuffer_add_buffer(body, evhttp_request_get_input_buffer(request));
	evhttp_send_reply(request, 200, "OK", body);
	evbuffer_free(body);
}

static void
stop(evutil_socket_t signal, short what, void *base)
{
	(void)signal;
	(void)what;
	event_base_loopbreak(base);
}

int
main(int argc, char **argv)
{
	struct event_base *base = event_base_new();
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	struct evhttp *http = evhttp_new(base);
	struct event *terminated = evsignal_new(base, SIGTERM, stop, base);

	signal(SIGPIPE, SIG_IGN);
	if (argc != 4 || SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_use_certificate_file(context, argv[3], SSL_FILETYPE_PEM) != 1)
		return 2;
	evhttp_set_bevcb(http, make, context);
	evhttp_set_gencb(http, answer, NULL);
	if (evhttp_bind_socket(http, "127.0.0.1", atoi(argv[1])) != 0)
		return 1;
	event_add(terminated, NULL);
	event_base_dispatch(base);
	event_free(terminated);
	evhttp_free(http);
	event_base_free(base);
	SSL_CTX_free(context);
	return 0;
}
