/* A handshake between two ends in one loop, without a certificate. */
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/ssl.h>
#include <stdio.h>

static int connected;

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	connected += what == BEV_EVENT_CONNECTED;
	if (connected == 2 || what != BEV_EVENT_CONNECTED)
		event_base_loopbreak(arg);
}

int
main(void)
{
	struct event_base *base = event_base_new();
	SSL_CTX *context = SSL_CTX_new(TLS_method());
	struct bufferevent *pair[2], *tls[2];
	int i;

	if (!base || !context || bufferevent_pair_new(base, BEV_OPT_CLOSE_ON_FREE, pair) != 0)
		return 1;
	/* Anonymous: both ends of it are this program. */
	SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_cipher_list(context, "aNULL");
	SSL_CTX_set_dh_auto(context, 1);
	for (i = 0; i < 2; i++) {
		tls[i] = bufferevent_openssl_filter_new(base, pair[i], SSL_new(context),
			i ? BUFFEREVENT_SSL_ACCEPTING : BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
		if (!tls[i])
			return 1;
		bufferevent_setcb(tls[i], NULL, NULL, on_event, base);
		bufferevent_enable(tls[i], EV_READ | EV_WRITE);
	}
	event_base_dispatch(base);
	printf("%d connected\n", connected);
	for (i = 0; i < 2; i++)
		bufferevent_free(tls[i]);
	SSL_CTX_free(context);
	event_base_free(base);
	return 0;
}
