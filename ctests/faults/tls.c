/* TLS bufferevents while system calls fail: the library's own and those of OpenSSL below it. */
#define _GNU_SOURCE
#include "streams.h"

#include <event2/bufferevent_ssl.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

/* Made before the system fails, so that only the connections are affected. */
static SSL_CTX *client_context, *server_context;

__attribute__((constructor)) static void
make_contexts(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	client_context = SSL_CTX_new(TLS_client_method());
	server_context = SSL_CTX_new(TLS_server_method());
	if (!key || !certificate || !client_context || !server_context)
		abort();
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_set_pubkey(certificate, key);
	if (!X509_sign(certificate, key, EVP_sha256()) || SSL_CTX_use_certificate(server_context, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey(server_context, key) != 1)
		abort();
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static enum bufferevent_ssl_state
state_of(int number)
{
	return number ? BUFFEREVENT_SSL_ACCEPTING : BUFFEREVENT_SSL_CONNECTING;
}

/* One end on a socket of its own, which it owns with its SSL from then on. */
static struct bufferevent *
socket_end(struct event_base *base, int fd, int number)
{
	SSL *ssl = SSL_new(number ? server_context : client_context);
	struct bufferevent *bev = NULL;
	if (ssl)
		bev = bufferevent_openssl_socket_new(base, fd, ssl, state_of(number), BEV_OPT_CLOSE_ON_FREE);
	if (!bev)
		close(fd);
	return bev;
}

/* One end as a filter on a socket bufferevent. */
static void
filter_end(struct event_base *base, int fd, int number, struct stream_end *end)
{
	SSL *ssl = SSL_new(number ? server_context : client_context);
	end->below = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!end->below)
		close(fd);
	if (ssl && end->below)
		end->bev = bufferevent_openssl_filter_new(base, end->below, ssl, state_of(number), BEV_OPT_CLOSE_ON_FREE);
	else if (ssl)
		SSL_free(ssl);
}

static enum ending
tls_streams(int filters)
{
	struct streams streams = {0};
	struct event_base *base = new_base(0);
	enum ending ending = REFUSED;
	int ends[2], i, ready = 1;
	if (!base)
		return REFUSED;
	HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0, "a pair of sockets");
	for (i = 0; i < 2; i++) {
		if (filters)
			filter_end(base, ends[i], i, &streams.ends[i]);
		else
			streams.ends[i].bev = socket_end(base, ends[i], i);
		ready &= set_up_end(&streams, i);
	}
	if (ready)
		ending = run_streams(base, &streams);
	free_streams(&streams);
	finish_base(base);
	return ending;
}

SCENARIO(tls_sockets)
{
	return tls_streams(0);
}

SCENARIO(tls_filters)
{
	return tls_streams(1);
}
