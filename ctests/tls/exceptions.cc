/* compile: -Wl,--no-as-needed -levent_openssl -lssl -lcrypto */
/* Exceptions that callbacks of TLS bufferevents throw go through to whoever runs the loop. The connection
 * goes on afterwards, and nothing is left behind at its end. */
extern "C" {
#include "harness.h"
}

#include <cstdlib>
#include <cstring>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <fcntl.h>
#include <initializer_list>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

static struct event_base *base;
static SSL_CTX *context;
static long alive; /* blocks that the library has */

static void *count_realloc(void *block, size_t size)
{
	alive += !block;
	return realloc(block, size);
}
static void *count_malloc(size_t size) { return count_realloc(nullptr, size); }
static void count_free(void *block)
{
	alive--;
	free(block);
}

static void make_context(int version)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();

	context = SSL_CTX_new(TLS_method());
	SSL_CTX_set_min_proto_version(context, version);
	SSL_CTX_set_max_proto_version(context, version);
	X509_set_pubkey(certificate, key);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	CHECK(X509_sign(certificate, key, EVP_sha256()) > 0);
	CHECK(SSL_CTX_use_certificate(context, certificate) == 1);
	CHECK(SSL_CTX_use_PrivateKey(context, key) == 1);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

enum occasion { CONNECTED, READ, WRITE, END };
static enum occasion thrown_on;
static int thrown, connected, ended;
static size_t got;

static void occur(enum occasion occasion)
{
	if (occasion != thrown_on || thrown)
		return;
	thrown = 1;
	throw occasion;
}

static void on_read(struct bufferevent *bev, void *)
{
	struct evbuffer *input = bufferevent_get_input(bev);

	got += evbuffer_get_length(input);
	evbuffer_drain(input, evbuffer_get_length(input));
	occur(READ);
}

static void on_write(struct bufferevent *, void *) { occur(WRITE); }

static void on_event(struct bufferevent *, short what, void *)
{
	if (what & BEV_EVENT_CONNECTED) {
		connected++;
		occur(CONNECTED);
	} else {
		ended++;
		occur(END);
	}
}

static struct bufferevent *make(struct bufferevent *below, int fd, enum bufferevent_ssl_state state, int options)
{
	struct bufferevent *bev = below ? bufferevent_openssl_filter_new(base, below, SSL_new(context), state, options)
					: bufferevent_openssl_socket_new(base, fd, SSL_new(context), state, options);

	CHECK(bev);
	bufferevent_setcb(bev, on_read, on_write, on_event, nullptr);
	CHECK(bufferevent_enable(bev, EV_READ | EV_WRITE) == 0);
	return bev;
}

enum { AMOUNT = 200000 };

/* Runs the loop until something holds, also behind an exception. */
template <typename Condition> static void run_until(Condition holds)
{
	int passes = 0, caught = 0;

	while (!holds()) {
		try {
			CHECK(event_base_loop(base, EVLOOP_ONCE) >= 0);
		} catch (enum occasion occasion) {
			CHECK(occasion == thrown_on);
			CHECK(++caught == 1);
		}
		CHECK(++passes < 100000);
	}
}

/* Two ends on a socketpair, or on bufferevents on it or on a pair. */
static void session(int transport, int options)
{
	static const char data[AMOUNT] = "";
	struct bufferevent *below[2] = {}, *client, *server;
	struct evbuffer *output;
	int fds[2] = {-1, -1};

	thrown = connected = ended = 0;
	got = 0;
	options |= BEV_OPT_CLOSE_ON_FREE;
	if (transport == 2)
		CHECK(bufferevent_pair_new(base, options, below) == 0);
	else
		CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	for (int i = 0; i < 2 && transport == 1; i++)
		below[i] = bufferevent_socket_new(base, fds[i], options);
	client = make(below[0], fds[0], BUFFEREVENT_SSL_CONNECTING, options);
	server = make(below[1], fds[1], BUFFEREVENT_SSL_ACCEPTING, options);
	output = bufferevent_get_output(client);
	run_until([] { return connected == 2; });
	CHECK(bufferevent_write(client, data, sizeof data) == 0);
	run_until([] { return got == AMOUNT && (thrown_on != WRITE || thrown); });
	CHECK(evbuffer_get_length(output) == 0);
	SSL_shutdown(bufferevent_openssl_get_ssl(client));
	run_until([] { return ended > 0; });
	CHECK(thrown == 1);
	bufferevent_free(client);
	bufferevent_free(server);
}

static void throw_everywhere(int options)
{
	event_set_mem_functions(count_malloc, count_realloc, count_free);
	for (int version : {TLS1_2_VERSION, TLS1_3_VERSION})
		for (int transport = 0; transport < 3; transport++)
			for (int occasion = CONNECTED; occasion <= END; occasion++) {
				thrown_on = static_cast<enum occasion>(occasion);
				make_context(version);
				base = event_base_new();
				session(transport, options);
				/* What was freed goes from the loop. */
				for (int i = 0; i < 5; i++)
					CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
				event_base_free(base);
				SSL_CTX_free(context);
				CHECK(alive == 0);
			}
}

DIFFERENCE(exceptions_of_callbacks, EVERY_BACKEND | OWN_DEBUG_MODE,
	   "after an exception of a callback of TLS the loop believes that it still runs, and the connection never ends")
{
	throw_everywhere(0);
}

DIFFERENCE(exceptions_of_deferred_callbacks, EVERY_BACKEND | OWN_DEBUG_MODE,
	   "after an exception of a deferred callback of TLS the loop believes that it still runs")
{
	throw_everywhere(BEV_OPT_DEFER_CALLBACKS);
}
