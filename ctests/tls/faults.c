/* compile: -Wl,--no-as-needed -levent_openssl -lssl -lcrypto */
/* Memory that is refused to libevent and to OpenSSL: the program gets an error, nothing is lost silently, nothing leaks. */
#include "common/allocator.h"
#include "tls/tools.h"

#include <openssl/crypto.h>

/* --- OpenSSL's allocator: fails at one allocation, or from one on ------------------------------------------ */

static long crypto_made, crypto_fail_at, crypto_failed;

static int
crypto_refuses(void)
{
	if (!crypto_fail_at || ++crypto_made != crypto_fail_at)
		return 0;
	crypto_failed++;
	return 1;
}

static void *
crypto_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return crypto_refuses() ? NULL : malloc(size);
}

static void *
crypto_realloc(void *block, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return crypto_refuses() ? NULL : realloc(block, size);
}

static void
crypto_free(void *block, const char *file, int line)
{
	(void)file;
	(void)line;
	free(block);
}

/* --- A session, whatever becomes of it ---------------------------------------------------------------------- */

enum { AMOUNT = 30000 };

/* An end, or the SSL freed. */
static int
try_end(struct end *end, const char *name, struct bufferevent *below, int fd, enum bufferevent_ssl_state state)
{
	SSL *ssl = SSL_new(context);

	memset(end, 0, sizeof *end);
	end->name = name;
	if (!ssl)
		return 0;
	end->ssl = ssl;
	end->bev = below ? bufferevent_openssl_filter_new(base, below, ssl, state, BEV_OPT_CLOSE_ON_FREE)
			 : bufferevent_openssl_socket_new(base, fd, ssl, state, BEV_OPT_CLOSE_ON_FREE);
	if (!end->bev)
		return 0;
	bufferevent_setcb(end->bev, tls_read, tls_write, tls_event, end);
	return bufferevent_enable(end->bev, EV_READ | EV_WRITE) == 0;
}

/* What was read is a prefix of what was written, and all of it unless an error was reported. */
static void
session(enum transport transport)
{
	static char data[AMOUNT];
	struct bufferevent *below[2] = {NULL, NULL};
	int fds[2], i, made, written = 0;

	make_connection(0, fds);
	for (i = 0; i < 2 && transport == FILTER_ON_SOCKET; i++)
		if (!(below[i] = bufferevent_socket_new(base, fds[i], BEV_OPT_CLOSE_ON_FREE)))
			goto out;
	made = try_end(&client, "client", below[0], fds[0], BUFFEREVENT_SSL_CONNECTING);
	made &= try_end(&server, "server", below[1], fds[1], BUFFEREVENT_SSL_ACCEPTING);
	if (made)
		written = bufferevent_write(client.bev, data, sizeof data) == 0;
	for (i = 0; i < 30 && made && !(server.got == AMOUNT || server.ended || client.ended); i++)
		CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
	CHECK(server.got <= AMOUNT);
	if (made && written && !client.ended && !server.ended)
		CHECK_EQUAL(server.got, AMOUNT);
out:
	for (i = 0; i < 2; i++) {
		struct end *end = i ? &server : &client;

		if (!end->bev && below[i])
			bufferevent_free(below[i]);
		else if (!end->bev)
			close(fds[i]);
	}
	free_ends();
	ERR_clear_error();
}

/* The whole session with an allocation failing, a later one each time, until it needs no more. OpenSSL makes
 * thousands: not all of them are tried. */
static void
fail_each(enum transport transport, int of_openssl)
{
	long at, alive, failed;

	session(transport);
	alive = allocator.alive;
	for (at = 1;; at += under_valgrind() ? 41 : of_openssl && at > 300 ? 5 : 1) {
		client.bev = server.bev = NULL;
		client.ended = server.ended = 0;
		if (of_openssl) {
			crypto_made = crypto_failed = 0;
			crypto_fail_at = at;
		} else
			allocator_fail_at(at);
		session(transport);
		failed = of_openssl ? crypto_failed : allocator.failed;
		crypto_fail_at = 0;
		allocator_fail_at(0);
		/* Tables of the base may have become smaller. */
		CHECK(allocator.alive <= alive);
		if (!failed)
			break;
	}
	session(transport);
	CHECK_EQUAL(server.got, AMOUNT);
}

static void
discard_log(int severity, const char *text)
{
	(void)severity;
	(void)text;
}

static void
fail_in(int of_openssl)
{
	/* Both are asked from the first allocation on. */
	if (of_openssl)
		CHECK_EQUAL(CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free), 1);
	allocator_install();
	event_set_log_callback(discard_log);
	begin();
	fail_each(TCP, of_openssl);
	fail_each(FILTER_ON_SOCKET, of_openssl);
	end_all();
}

DIFFERENCE(memory_of_libevent, ONE_BACKEND | SLOW | OWN_DEBUG_MODE,
	   "running out of memory stalls a TLS stream without an error, or crashes the program")
{
	fail_in(0);
}

DIFFERENCE(memory_of_openssl, ONE_BACKEND | SLOW | OWN_DEBUG_MODE,
	   "a TLS bufferevent that cannot be made because OpenSSL has no memory leaks")
{
	fail_in(1);
}
