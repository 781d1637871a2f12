/* Patterns of TLS: both ends of a connection in one loop. Most of the instructions are OpenSSL's. */
#include "patterns.h"

#include <event2/bufferevent_ssl.h>
#include <openssl/ssl.h>

static SSL_CTX *context;

static void
make_context(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();

	context = SSL_CTX_new(TLS_method());
	X509_set_pubkey(certificate, key);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	REQUIRE(X509_sign(certificate, key, EVP_sha256()) > 0);
	REQUIRE(SSL_CTX_use_certificate(context, certificate) == 1 && SSL_CTX_use_PrivateKey(context, key) == 1);
	REQUIRE(SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") == 1);
	SSL_CTX_set_num_tickets(context, 0);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

struct session {
	struct bufferevent *client, *server;
	int connected;
};

static void
count_connected(struct bufferevent *bev, short what, void *session)
{
	(void)bev;
	REQUIRE(what == BEV_EVENT_CONNECTED);
	((struct session *)session)->connected++;
}

static struct bufferevent *
make_end(struct event_base *base, int fd, enum bufferevent_ssl_state state, struct session *session)
{
	struct bufferevent *bev =
	    bufferevent_openssl_socket_new(base, fd, SSL_new(context), state, BEV_OPT_CLOSE_ON_FREE);

	REQUIRE(bev);
	bufferevent_setcb(bev, NULL, NULL, count_connected, session);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	return bev;
}

static void
open_session(struct event_base *base, struct session *session)
{
	int ends[2];

	make_sockets(ends);
	session->connected = 0;
	session->client = make_end(base, ends[0], BUFFEREVENT_SSL_CONNECTING, session);
	session->server = make_end(base, ends[1], BUFFEREVENT_SSL_ACCEPTING, session);
	while (session->connected < 2)
		REQUIRE(event_base_loop(base, EVLOOP_ONCE) >= 0);
}

static void
close_session(struct session *session)
{
	bufferevent_free(session->client);
	bufferevent_free(session->server);
}

/* Runs the loop until this much has arrived, and takes it. */
static void
await(struct event_base *base, struct bufferevent *bev, size_t count)
{
	struct evbuffer *input = bufferevent_get_input(bev);

	while (evbuffer_get_length(input) < count)
		REQUIRE(event_base_loop(base, EVLOOP_ONCE) >= 0);
	evbuffer_drain(input, evbuffer_get_length(input));
}

PATTERN(tls_handshakes, 4)
{
	struct event_base *base = event_base_new();
	struct session session;

	make_context();
	while (n--) {
		open_session(base, &session);
		close_session(&session);
		turn(base);
	}
	event_base_free(base);
}

PATTERN(tls_messages, 300)
{
	struct event_base *base = event_base_new();
	struct session session;

	make_context();
	open_session(base, &session);
	while (n--) {
		bufferevent_write(session.client, pattern_bytes, 64);
		await(base, session.server, 64);
		bufferevent_write(session.server, pattern_bytes, 64);
		await(base, session.client, 64);
	}
	pattern_load_is_over();
	close_session(&session);
	event_base_free(base);
}

PATTERN(tls_much_at_once, 20)
{
	struct event_base *base = event_base_new();
	struct session session;

	make_context();
	open_session(base, &session);
	for (long i = 0; i < n; i++)
		bufferevent_write(session.client, pattern_bytes, sizeof pattern_bytes);
	await(base, session.server, (size_t)n * sizeof pattern_bytes);
	pattern_load_is_over();
	close_session(&session);
	event_base_free(base);
}

PATTERN(tls_small_writes, 1000)
{
	struct event_base *base = event_base_new();
	struct session session;

	make_context();
	open_session(base, &session);
	for (long i = 0; i < n; i++)
		bufferevent_write(session.client, pattern_bytes, 50);
	await(base, session.server, (size_t)n * 50);
	close_session(&session);
	event_base_free(base);
}

PATTERN(tls_trickle, 300)
{
	struct event_base *base = event_base_new();
	struct session session;
	struct evbuffer *input;

	make_context();
	open_session(base, &session);
	input = bufferevent_get_input(session.server);
	for (long i = 1; i <= n; i++) {
		bufferevent_write(session.client, pattern_bytes, 10);
		while (evbuffer_get_length(input) < (size_t)i * 10)
			REQUIRE(event_base_loop(base, EVLOOP_ONCE) >= 0);
	}
	pattern_load_is_over();
	close_session(&session);
	event_base_free(base);
}

PATTERN(tls_idle_sessions, 4)
{
	struct event_base *base = event_base_new();
	struct session *sessions = calloc((size_t)n, sizeof *sessions);

	make_context();
	for (long i = 0; i < n; i++) {
		open_session(base, &sessions[i]);
		bufferevent_write(sessions[i].client, pattern_bytes, 64);
		await(base, sessions[i].server, 64);
	}
	pattern_load_is_over();
	for (long i = 0; i < n; i++)
		close_session(&sessions[i]);
	event_base_free(base);
	free(sessions);
}
