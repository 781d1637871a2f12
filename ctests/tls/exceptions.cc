/* compile: -Wl,--no-as-needed -levent_openssl -lssl -lcrypto */
/* Exceptions that callbacks of TLS bufferevents throw go through to whoever runs the loop. The connection
 * goes on afterwards, and nothing is left behind at its end. What leaves a function that OpenSSL calls,
 * by an exception or because the thread is cancelled, gets through as well; that connection can be freed, and
 * others go on. */
extern "C" {
#include "harness.h"
}

#include <cstdlib>
#include <cstring>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <initializer_list>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
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
	SSL *ssl = SSL_new(context);
	struct bufferevent *bev;

	/* Names that a server is asked about. */
	CHECK(SSL_set_tlsext_host_name(ssl, "test") == 1);
	CHECK(SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char *>("\4test"), 5) == 0);
	bev = below ? bufferevent_openssl_filter_new(base, below, ssl, state, options)
		    : bufferevent_openssl_socket_new(base, fd, ssl, state, options);
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

static struct bufferevent *client, *server;

/* Two ends on a socketpair, or on bufferevents on it or on a pair. */
static void make_ends(int transport, int options)
{
	struct bufferevent *below[2] = {};
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
}

static void session(int transport, int options)
{
	static const char data[AMOUNT] = "";
	struct evbuffer *output;

	make_ends(transport, options);
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

/* What was freed goes from the loop. */
static void free_everything()
{
	for (int i = 0; i < 5; i++)
		CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
	event_base_free(base);
	SSL_CTX_free(context);
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
				free_everything();
				CHECK(alive == 0);
			}
}

DIFFERENCE(exceptions_of_callbacks, EVERY_BACKEND | OWN_DEBUG_MODE,
	   "after an exception in a TLS callback the loop cannot be entered again, and the connection never ends")
{
	throw_everywhere(0);
}

DIFFERENCE(exceptions_of_deferred_callbacks, EVERY_BACKEND | OWN_DEBUG_MODE,
	   "after an exception in a deferred TLS callback the loop cannot be entered again")
{
	throw_everywhere(BEV_OPT_DEFER_CALLBACKS);
}

/* --- Functions that OpenSSL calls ---------------------------------------------------------------------- */

enum function { NONE, INFO, MESSAGE, NAME, PROTOCOL, NEW_SESSION, KEY_LOG, VERIFY };
static enum function left_in;
static bool cancels; /* the thread, in place of throwing */

static void leave(enum function function)
{
	if (function != left_in || thrown)
		return;
	thrown = 1;
	if (!cancels)
		throw function;
	CHECK(pthread_cancel(pthread_self()) == 0);
	pthread_testcancel();
}

static void on_info(const SSL *, int, int) { leave(INFO); }
static void on_message(int, int, int, const void *, size_t, SSL *, void *) { leave(MESSAGE); }
static void on_key(const SSL *, const char *) { leave(KEY_LOG); }

static int on_name(SSL *, int *, void *)
{
	leave(NAME);
	return SSL_TLSEXT_ERR_OK;
}

static int on_protocol(SSL *, const unsigned char **chosen, unsigned char *length, const unsigned char *offered, unsigned,
		       void *)
{
	leave(PROTOCOL);
	*chosen = offered + 1;
	*length = offered[0];
	return SSL_TLSEXT_ERR_OK;
}

static int on_session(SSL *, SSL_SESSION *)
{
	leave(NEW_SESSION);
	return 0;
}

static int on_certificate(int, X509_STORE_CTX *)
{
	leave(VERIFY);
	return 1;
}

static void watch_openssl()
{
	SSL_CTX_set_info_callback(context, on_info);
	SSL_CTX_set_msg_callback(context, on_message);
	SSL_CTX_set_keylog_callback(context, on_key);
	SSL_CTX_set_tlsext_servername_callback(context, on_name);
	SSL_CTX_set_alpn_select_cb(context, on_protocol, nullptr);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_BOTH);
	SSL_CTX_sess_set_new_cb(context, on_session);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, on_certificate);
}

/* Runs the loop until a function was left, and a while longer: the connection has failed. */
static void *run_through(void *)
{
	int caught = 0;

	for (int passes = 0; passes < 300; passes++) {
		try {
			CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
		} catch (enum function function) {
			CHECK(function == left_in);
			caught++;
		}
	}
	CHECK(caught == 1);
	CHECK(ended > 0);
	return nullptr;
}

static void leave_in_handshake(int transport, int options)
{
	pthread_t thread;
	void *result;

	make_ends(transport, options);
	if (cancels) {
		CHECK(pthread_create(&thread, nullptr, run_through, nullptr) == 0);
		CHECK(pthread_join(thread, &result) == 0);
		CHECK(result == PTHREAD_CANCELED);
	} else {
		run_through(nullptr);
	}
	CHECK(thrown == 1);
	bufferevent_free(client);
	bufferevent_free(server);
}

/* OpenSSL itself loses memory when it is left, and tools that look for leaks say so. */
static void skip_where_leaks_are_looked_for()
{
	const char *preloaded = getenv("LD_PRELOAD");

	if (!getenv("ASAN_OPTIONS") && !(preloaded && strstr(preloaded, "vgpreload")))
		return;
	puts("OpenSSL loses memory when one of its functions is left");
	exit(77);
}

static void leave_everywhere(int options)
{
	for (int version : {TLS1_2_VERSION, TLS1_3_VERSION})
		for (int transport = 0; transport < 3; transport++)
			for (int function = INFO; function <= VERIFY; function++) {
				left_in = static_cast<enum function>(function);
				make_context(version);
				watch_openssl();
				base = event_base_new();
				leave_in_handshake(transport, options);
				left_in = NONE;
				thrown_on = READ;
				session(transport, options);
				free_everything();
			}
	libevent_global_shutdown();
	CHECK(alive == 0);
}

DIFFERENCE(exceptions_in_openssl, EVERY_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS,
	   "after an exception in a function that OpenSSL calls the loop cannot be entered again")
{
	skip_where_leaks_are_looked_for();
	event_set_mem_functions(count_malloc, count_realloc, count_free);
	leave_everywhere(0);
}

DIFFERENCE(cancelled_in_openssl, EVERY_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS,
	   "a thread that is cancelled in a function that OpenSSL calls never leaves the loop or releases its locks")
{
	skip_where_leaks_are_looked_for();
	event_set_mem_functions(count_malloc, count_realloc, count_free);
	CHECK(evthread_use_pthreads() == 0);
	cancels = true;
	leave_everywhere(0);
	leave_everywhere(BEV_OPT_THREADSAFE);
}
