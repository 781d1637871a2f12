/* A server that sends back what it gets, over TLS, with a certificate that it makes for itself.
 *
 *     gcc tls_echo.c -o tls_echo $(pkg-config --cflags --libs libevent libevent_openssl openssl)
 *     ./tls_echo 7777        a port, or 0 for any that is free
 *     openssl s_client -quiet -connect 127.0.0.1:7777
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* While this much waits for a client that sends without reading, nothing more is read from it. */
#define MOST_WAITING (256 * 1024)

/* A real server loads its key and certificate from files: SSL_CTX_use_PrivateKey_file() and
 * SSL_CTX_use_certificate_chain_file(). */
static SSL_CTX *
make_context(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);

	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 24 * 60 * 60);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_set_pubkey(certificate, key);
	if (!X509_sign(certificate, key, EVP_sha256()) || SSL_CTX_use_certificate(context, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey(context, key) != 1) {
		ERR_print_errors_fp(stderr);
		exit(EXIT_FAILURE);
	}
	X509_free(certificate);
	EVP_PKEY_free(key);
	return context;
}

/* The input is already decrypted, and the output will be encrypted. */
static void
readable(struct bufferevent *client, void *arg)
{
	struct evbuffer *output = bufferevent_get_output(client);

	(void)arg;
	evbuffer_add_buffer(output, bufferevent_get_input(client));
	if (evbuffer_get_length(output) > MOST_WAITING)
		bufferevent_disable(client, EV_READ);
}

static void
written(struct bufferevent *client, void *arg)
{
	(void)arg;
	bufferevent_enable(client, EV_READ);
}

static void
happened(struct bufferevent *client, short what, void *arg)
{
	unsigned long error;

	(void)arg;
	if (what & BEV_EVENT_CONNECTED) {
		printf("a client speaks %s\n", SSL_get_version(bufferevent_openssl_get_ssl(client)));
		fflush(stdout);
		return;
	}
	if (what & BEV_EVENT_EOF)
		/* The peer has closed the session; so do we. */
		SSL_shutdown(bufferevent_openssl_get_ssl(client));
	while ((error = bufferevent_get_openssl_error(client)) != 0)
		fprintf(stderr, "tls_echo: %s\n", ERR_error_string(error, NULL));
	/* Frees the SSL too, and closes the descriptor. */
	bufferevent_free(client);
}

static void
accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	SSL_CTX *context = arg;
	SSL *ssl = SSL_new(context);
	struct bufferevent *client = ssl ? bufferevent_openssl_socket_new(evconnlistener_get_base(listener), fd, ssl,
									  BUFFEREVENT_SSL_ACCEPTING,
									  BEV_OPT_CLOSE_ON_FREE) : NULL;

	(void)address;
	(void)length;
	if (!client) {
		SSL_free(ssl);
		evutil_closesocket(fd);
		return;
	}
	bufferevent_setcb(client, readable, written, happened, NULL);
	bufferevent_enable(client, EV_READ | EV_WRITE);
}

static void
terminate(evutil_socket_t number, short what, void *arg)
{
	(void)number;
	(void)what;
	event_base_loopexit(arg, NULL);
}

int
main(int argc, char **argv)
{
	struct event_base *base = event_base_new();
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof address;
	SSL_CTX *context = make_context();
	struct evconnlistener *listener;
	struct event *end;

	if (argc != 2 || !base) {
		fprintf(stderr, "usage: %s PORT\n", argv[0]);
		return EXIT_FAILURE;
	}
	/* OpenSSL may write to a socket that the peer has closed. */
	signal(SIGPIPE, SIG_IGN);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((unsigned short)atoi(argv[1]));
	listener = evconnlistener_new_bind(base, accepted, context, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, -1,
					   (struct sockaddr *)&address, sizeof address);
	end = evsignal_new(base, SIGTERM, terminate, base);
	if (!listener || !end || event_add(end, NULL) < 0) {
		perror("tls_echo");
		return EXIT_FAILURE;
	}
	getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &length);
	printf("listening on port %d\n", ntohs(address.sin_port));
	fflush(stdout);
	event_base_dispatch(base);

	evconnlistener_free(listener);
	event_free(end);
	event_base_free(base);
	SSL_CTX_free(context);
	return EXIT_SUCCESS;
}
