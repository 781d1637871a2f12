/* What the benchmarks of TLS share: sessions, and the other end, which uses OpenSSL on bare sockets in
 * a process of its own. */
#ifndef BENCH_TLS_H
#define BENCH_TLS_H

#include "../bench.h"
#include "../connections.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

enum { RECORD = 16384, SMALL = 50, SMALL_WRITES = 200 };

static SSL_CTX *context;

static inline void
make_context(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);

	signal(SIGPIPE, SIG_IGN);
	context = SSL_CTX_new(TLS_method());
	X509_set_pubkey(certificate, key);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"bench", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	BENCH_CHECK(X509_sign(certificate, key, EVP_sha256()) > 0);
	BENCH_CHECK(SSL_CTX_use_certificate(context, certificate) == 1);
	BENCH_CHECK(SSL_CTX_use_PrivateKey(context, key) == 1);
	BENCH_CHECK(SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") == 1);
	SSL_CTX_set_num_tickets(context, 0);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

/* Connections with sessions: this process has the servers' ends, and a child runs `client` on the others. */
struct sessions {
	int count;
	long amount;          /* of messages, or of bytes */
	int fds[MOST_CLIENTS];
	SSL *ssls[MOST_CLIENTS];
};

static inline SSL *
new_session(int fd, int server)
{
	SSL *ssl = SSL_new(context);

	BENCH_CHECK(ssl && SSL_set_fd(ssl, fd) == 1);
	if (server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

static inline void
shake_hands(SSL *ssl)
{
	while (SSL_do_handshake(ssl) != 1) {
		struct pollfd wait = {.fd = SSL_get_fd(ssl), .events = POLLIN};

		BENCH_CHECK(SSL_want_read(ssl));
		poll(&wait, 1, 1000);
	}
}

static inline pid_t
start_sessions(struct sessions *sessions, void (*client)(struct sessions *))
{
	int others[MOST_CLIENTS];
	pid_t child;

	for (int i = 0; i < sessions->count; i++) {
		int ends[2];

		make_connection(ends);
		others[i] = ends[0];
		sessions->fds[i] = ends[1];
	}
	child = fork();
	BENCH_CHECK(child >= 0);
	for (int i = 0; i < sessions->count; i++) {
		close(child ? others[i] : sessions->fds[i]);
		if (!child)
			sessions->fds[i] = others[i];
		sessions->ssls[i] = new_session(sessions->fds[i], child != 0);
		shake_hands(sessions->ssls[i]);
	}
	if (child == 0) {
		client(sessions);
		for (int i = 0; i < sessions->count; i++)
			SSL_shutdown(sessions->ssls[i]);
		_exit(0);
	}
	return child;
}

static inline void
wait_for_child(pid_t child)
{
	int status;

	BENCH_CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static inline void
read_all(SSL *ssl, void *data, int length)
{
	int got;

	for (char *place = data; length > 0; place += got, length -= got)
		BENCH_CHECK((got = SSL_read(ssl, place, length)) > 0);
}

/* --- Clients --------------------------------------------------------------------------------------- */

/* Sends a message on every connection, waits for all the answers, and so on. */
static inline void
echo_client(struct sessions *sessions)
{
	char data[MESSAGE] = "message";

	for (long left = sessions->amount; left > 0; left -= sessions->count) {
		for (int i = 0; i < sessions->count; i++)
			BENCH_CHECK(SSL_write(sessions->ssls[i], data, sizeof data) == MESSAGE);
		for (int i = 0; i < sessions->count; i++)
			read_all(sessions->ssls[i], data, sizeof data);
	}
}

static inline void
sending_client(struct sessions *sessions)
{
	static char data[RECORD];

	for (long left = sessions->amount; left > 0; left -= sizeof data)
		BENCH_CHECK(SSL_write(sessions->ssls[0], data, sizeof data) == sizeof data);
}

static inline void
receiving_client(struct sessions *sessions)
{
	static char data[RECORD];
	int got;

	for (long left = sessions->amount; left > 0; left -= got)
		BENCH_CHECK((got = SSL_read(sessions->ssls[0], data, sizeof data)) > 0);
}

/* Sends a byte that asks for many small writes. */
static inline void
asking_client(struct sessions *sessions)
{
	static char data[SMALL * SMALL_WRITES];

	for (long left = sessions->amount; left > 0; left--) {
		BENCH_CHECK(SSL_write(sessions->ssls[0], data, 1) == 1);
		read_all(sessions->ssls[0], data, sizeof data);
	}
}

/* Handshakes one after the other, each on a connection of its own. */
static inline pid_t
start_handshakes(long count, struct sockaddr_in *address)
{
	pid_t child = fork();

	BENCH_CHECK(child >= 0);
	if (child)
		return child;
	for (; count > 0; count--) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		SSL *ssl;
		char byte;

		BENCH_CHECK(connect(fd, (struct sockaddr *)address, sizeof *address) == 0);
		ssl = new_session(fd, 0);
		shake_hands(ssl);
		/* The server ends it. */
		SSL_read(ssl, &byte, 1);
		SSL_free(ssl);
		close(fd);
	}
	_exit(0);
}

static inline int
listen_on_loopback(struct sockaddr_in *address)
{
	socklen_t length = sizeof *address;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	*address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	BENCH_CHECK(bind(listener, (struct sockaddr *)address, length) == 0 && listen(listener, 100) == 0);
	BENCH_CHECK(getsockname(listener, (struct sockaddr *)address, &length) == 0);
	return listener;
}

/* --- The work, which a server does in its own way ---------------------------------------------------- */

/* Each returns the nanoseconds of CPU that the server took. */
double serve_echo(struct sessions *sessions);
double serve_input(struct sessions *sessions);
double serve_output(struct sessions *sessions, int piece);
double serve_small_writes(struct sessions *sessions);
double serve_handshakes(int listener, long count);

static inline double
measure_session(int count, long amount, void (*client)(struct sessions *), double (*serve)(struct sessions *))
{
	static struct sessions sessions;
	pid_t child;
	double used;

	make_context();
	sessions = (struct sessions){.count = count, .amount = amount};
	child = start_sessions(&sessions, client);
	used = serve(&sessions);
	wait_for_child(child);
	return used / (double)amount;
}

static inline double
serve_large_pieces(struct sessions *sessions)
{
	return serve_output(sessions, 65536);
}

static inline double
serve_small_pieces(struct sessions *sessions)
{
	return serve_output(sessions, 4000);
}

static inline double
echo_1(void)
{
	return measure_session(1, 20000, echo_client, serve_echo);
}

static inline double
echo_50(void)
{
	return measure_session(50, 50000, echo_client, serve_echo);
}

static inline double
input_per_kilobyte(void)
{
	return measure_session(1, 200L << 20, sending_client, serve_input) * 1024;
}

static inline double
output_per_kilobyte(void)
{
	return measure_session(1, 200L << 20, receiving_client, serve_large_pieces) * 1024;
}

static inline double
output_in_pieces(void)
{
	return measure_session(1, 100L << 20, receiving_client, serve_small_pieces) * 1024;
}

static inline double
small_writes(void)
{
	return measure_session(1, 1000, asking_client, serve_small_writes);
}

static inline double
handshakes(void)
{
	struct sockaddr_in address;
	long count = 300;
	int listener;
	pid_t child;
	double used;

	make_context();
	listener = listen_on_loopback(&address);
	child = start_handshakes(count, &address);
	used = serve_handshakes(listener, count);
	wait_for_child(child);
	return used / (double)count;
}

#define TLS_BENCHMARKS                                                                             \
	{"echo, 1 connection", .measure = echo_1},                                                 \
	{"echo, 50 connections", .measure = echo_50},                                              \
	{"input, a kilobyte", .measure = input_per_kilobyte},                                      \
	{"output, a kilobyte", .measure = output_per_kilobyte},                                    \
	{"output in pieces, a kilobyte", .measure = output_in_pieces},                             \
	{"200 small writes", .measure = small_writes},                                             \
	{"handshake", .measure = handshakes}

#endif
