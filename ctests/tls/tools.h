/* What the tests of TLS share: contexts, and both ends of a connection. */
#ifndef CTESTS_TLS_TOOLS_H
#define CTESTS_TLS_TOOLS_H

#include "bufferevent/tools.h"

#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* --- Contexts ------------------------------------------------------------------------------------ */

static SSL_CTX *context __attribute__((unused)); /* of both ends */

enum key_kind { ECDSA_KEY, RSA_KEY };

OBSERVE_ EVP_PKEY *
make_key(enum key_kind kind)
{
	EVP_PKEY *key = kind == RSA_KEY ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");

	CHECK(key);
	return key;
}

/* A certificate for a name, signed with the key that it is for, valid from and until some seconds from now. */
OBSERVE_ X509 *
make_certificate(EVP_PKEY *key, const char *name, long from, long until)
{
	X509 *certificate = X509_new();
	X509_NAME *subject = X509_get_subject_name(certificate);

	CHECK(X509_set_version(certificate, 2) == 1);
	CHECK(X509_set_pubkey(certificate, key) == 1);
	CHECK(X509_gmtime_adj(X509_getm_notBefore(certificate), from));
	CHECK(X509_gmtime_adj(X509_getm_notAfter(certificate), until));
	CHECK(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0) == 1);
	CHECK(X509_set_issuer_name(certificate, subject) == 1);
	CHECK(X509_sign(certificate, key, EVP_sha256()) > 0);
	return certificate;
}

/* A context for both ends, with a key and its certificate. The version is 0 for any. */
OBSERVE_ SSL_CTX *
make_context_for(int version, enum key_kind kind, const char *name, long from, long until)
{
	SSL_CTX *made = SSL_CTX_new(TLS_method());
	EVP_PKEY *key = make_key(kind);
	X509 *certificate = make_certificate(key, name, from, until);

	CHECK(made);
	CHECK(SSL_CTX_set_min_proto_version(made, version) == 1);
	CHECK(SSL_CTX_set_max_proto_version(made, version) == 1);
	CHECK(SSL_CTX_use_certificate(made, certificate) == 1);
	CHECK(SSL_CTX_use_PrivateKey(made, key) == 1);
	/* To be verified against itself, by those who do. */
	CHECK(X509_STORE_add_cert(SSL_CTX_get_cert_store(made), certificate) == 1);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return made;
}

OBSERVE_ void
make_context(int version)
{
	context = make_context_for(version, ECDSA_KEY, "test", -3600, 3600);
}

/* --- Both ends of a connection ------------------------------------------------------------------- */

/* The transports. */
enum transport { PAIR_OF_SOCKETS, TCP, FILTER_ON_SOCKET, FILTER_ON_TCP, FILTER_ON_PAIR, TRANSPORTS };
static const char *const transports[] __attribute__((unused)) = {
	"socketpair", "TCP", "filter on a socketpair", "filter on TCP", "filter on a pair"};

struct end {
	const char *name;
	struct bufferevent *bev;
	SSL *ssl;
	size_t got, wanted;   /* bytes */
	unsigned long sum;    /* of what was got */
	int connected, ended, finished, reads, writes, timeouts;
	short last;
	int error;            /* errno then */
	int echo;
	int keep;             /* what is read stays in the input */
	int trace;            /* print what happens */
	void (*then)(struct end *end, const char *callback);
};
static struct end client __attribute__((unused)), server __attribute__((unused));
static int options_now __attribute__((unused)); /* of both bufferevents */

OBSERVE_ void
print_errors(struct end *end)
{
	unsigned long code;

	while ((code = bufferevent_get_openssl_error(end->bev)))
		printf("%s: error %lx\n", end->name, code);
}

OBSERVE_ void
tls_read(struct bufferevent *bev, void *arg)
{
	struct end *end = arg;
	struct evbuffer *input = bufferevent_get_input(bev);
	size_t i, length = evbuffer_get_length(input);
	unsigned char *data;

	end->reads++;
	if (end->trace)
		printf("%s: read, %zu bytes\n", end->name, length);
	if (!end->keep) {
		data = evbuffer_pullup(input, -1);
		for (i = 0; i < length; i++)
			end->sum = end->sum * 31 + data[i];
		end->got += length;
		if (end->echo)
			CHECK_EQUAL(bufferevent_write(bev, data, length), 0);
		/* The last thing, as it may bring more and call this again. */
		evbuffer_drain(input, length);
		end->finished = end->got >= end->wanted;
	}
	if (end->then)
		end->then(end, "read");
}

OBSERVE_ void
tls_write(struct bufferevent *bev, void *arg)
{
	struct end *end = arg;

	(void)bev;
	end->writes++;
	if (end->trace)
		printf("%s: write\n", end->name);
	if (end->then)
		end->then(end, "write");
}

OBSERVE_ void
tls_event(struct bufferevent *bev, short what, void *arg)
{
	struct end *end = arg;
	int error = errno;

	end->last = what;
	end->error = error;
	end->connected += !!(what & BEV_EVENT_CONNECTED);
	end->ended += !!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR));
	end->timeouts += !!(what & BEV_EVENT_TIMEOUT);
	if (end->trace) {
		printf("%s: event %s, enabled %s\n", end->name, event_names(what), enabled_names(bev));
		print_errors(end);
	}
	if (end->then)
		end->then(end, "event");
}

/* Puts TLS on a descriptor, or on a bufferevent. */
OBSERVE_ void
make_end_with(struct end *end, const char *name, struct bufferevent *underlying, int fd, SSL *ssl,
	      enum bufferevent_ssl_state state)
{
	int options = BEV_OPT_CLOSE_ON_FREE | options_now;

	memset(end, 0, sizeof *end);
	end->name = name;
	end->ssl = ssl;
	end->bev = underlying ? bufferevent_openssl_filter_new(base, underlying, ssl, state, options)
			      : bufferevent_openssl_socket_new(base, fd, ssl, state, options);
	CHECK(end->bev);
	CHECK(bufferevent_openssl_get_ssl(end->bev) == ssl);
	bufferevent_setcb(end->bev, tls_read, tls_write, tls_event, end);
}

OBSERVE_ void
make_end(struct end *end, const char *name, struct bufferevent *underlying, int fd, enum bufferevent_ssl_state state)
{
	make_end_with(end, name, underlying, fd, SSL_new(context), state);
	CHECK_EQUAL(bufferevent_enable(end->bev, EV_READ | EV_WRITE), 0);
}

/* One that leaves the SSL and what it goes over when it is freed. */
OBSERVE_ void
keep_everything(struct end *end, const char *name, struct bufferevent *below, int fd, enum bufferevent_ssl_state state)
{
	memset(end, 0, sizeof *end);
	end->name = name;
	end->ssl = SSL_new(context);
	end->bev = below ? bufferevent_openssl_filter_new(base, below, end->ssl, state, 0)
			 : bufferevent_openssl_socket_new(base, fd, end->ssl, state, 0);
	CHECK(end->bev);
	bufferevent_setcb(end->bev, tls_read, tls_write, tls_event, end);
	CHECK_EQUAL(bufferevent_enable(end->bev, EV_READ | EV_WRITE), 0);
}

OBSERVE_ void
make_ends(enum transport transport)
{
	struct bufferevent *under[2] = {NULL, NULL};
	int i, fds[2] = {-1, -1}, options = BEV_OPT_CLOSE_ON_FREE | (options_now & BEV_OPT_THREADSAFE);

	if (transport == FILTER_ON_PAIR)
		CHECK_EQUAL(bufferevent_pair_new(base, options, under), 0);
	else
		make_connection(transport == TCP || transport == FILTER_ON_TCP ? AF_INET : 0, fds);
	for (i = 0; i < 2 && (transport == FILTER_ON_SOCKET || transport == FILTER_ON_TCP); i++)
		CHECK((under[i] = bufferevent_socket_new(base, fds[i], options)));
	make_end(&client, "client", under[0], fds[0], BUFFEREVENT_SSL_CONNECTING);
	make_end(&server, "server", under[1], fds[1], BUFFEREVENT_SSL_ACCEPTING);
	CHECK(bufferevent_get_underlying(client.bev) == under[0]);
	CHECK_EQUAL(bufferevent_getfd(client.bev), fds[0]);
}

OBSERVE_ void
free_end(struct end *end)
{
	if (end->bev)
		bufferevent_free(end->bev);
	end->bev = NULL;
}

OBSERVE_ void
begin(void)
{
	make_context(0);
	make_base();
}

OBSERVE_ void
end_all(void)
{
	free_end(&client);
	free_end(&server);
	finish();
	SSL_CTX_free(context);
}

OBSERVE_ void
print_end(const struct end *end)
{
	printf("%s: connected %d, got %zu bytes, sum %lx, ended %d, last event %s\n", end->name, end->connected,
	       end->got, end->sum, end->ended, event_names(end->last));
}

/* Writes this many bytes, which depend on the seed. */
OBSERVE_ void
write_pattern(struct end *end, size_t size, int seed)
{
	unsigned char data[10000];
	size_t i, part;

	while (size) {
		part = size < sizeof data ? size : sizeof data;
		for (i = 0; i < part; i++)
			data[i] = seed = seed * 1103515245 + 12345;
		CHECK_EQUAL(bufferevent_write(end->bev, data, part), 0);
		size -= part;
	}
}

/* Runs body for TLS 1.2 and 1.3. */
OBSERVE_ void
for_versions(void (*body)(void))
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	int i;

	for (i = 0; i < 2; i++) {
		printf("TLS 1.%d\n", 2 + i);
		make_context(versions[i]);
		make_base();
		body();
		end_all();
	}
}

/* Both ends are connected, and what comes behind the handshake is through. */
OBSERVE_ void
connect_ends(enum transport transport)
{
	make_ends(transport);
	run_until(&client.connected, 1);
	run_until(&server.connected, 1);
	settle();
	client.connected = server.connected = 0;
}

OBSERVE_ void
free_ends(void)
{
	free_end(&client);
	free_end(&server);
	settle();
}

/* Each end sends this many bytes to the other, and prints what arrived. */
OBSERVE_ void
exchange_and_free(size_t bytes)
{
	client.wanted = server.wanted = bytes;
	write_pattern(&client, bytes, 1);
	write_pattern(&server, bytes, 2);
	run_until(&client.finished, 1);
	run_until(&server.finished, 1);
	print_end(&client);
	print_end(&server);
	free_ends();
}

#endif
