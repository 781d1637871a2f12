/* compile: -Wl,--no-as-needed -levent_openssl -lssl -lcrypto */
/* What is below TLS: a bufferevent that is also used before and beside it, and the BIO between them. */
#include "common/allocator.h"
#include "tls/tools.h"

#include <event2/bufferevent_struct.h>
#include <event2/listener.h>
#include <event2/thread.h>

static struct bufferevent *
socket_bufferevent(int fd)
{
	struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

	CHECK(bev);
	return bev;
}

/* --- Before TLS ---------------------------------------------------------------------------------------- */

/* The first words of the client are in the input already when TLS begins, as after STARTTLS. */
static void
begin_late(void)
{
	struct bufferevent *below;
	int fds[2], i;

	make_connection(AF_INET, fds);
	below = socket_bufferevent(fds[1]);
	CHECK_EQUAL(bufferevent_enable(below, EV_READ), 0);
	make_end(&client, "client", NULL, fds[0], BUFFEREVENT_SSL_CONNECTING);
	for (i = 0; i < 1000 && !evbuffer_get_length(bufferevent_get_input(below)); i++)
		CHECK(event_base_loop(base, EVLOOP_ONCE) >= 0);
	make_end(&server, "server", below, -1, BUFFEREVENT_SSL_ACCEPTING);
	exchange_and_free(20000);
}

CASE(input_is_there_already, EVERY_BACKEND)
{
	for_versions(begin_late);
}

/* A handshake that the program has begun over another transport is discarded together with that. */
static void
begin_again_with(struct end *end, const char *name, int fd, int filter, enum bufferevent_ssl_state state)
{
	SSL *ssl = SSL_new(context);

	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	if (state == BUFFEREVENT_SSL_CONNECTING)
		CHECK_EQUAL(SSL_connect(ssl), -1);
	else
		CHECK_EQUAL(SSL_accept(ssl), -1);
	if (!filter)
		SSL_set_bio(ssl, NULL, NULL);
	make_end_with(end, name, filter ? socket_bufferevent(fd) : NULL, fd, ssl, state);
	CHECK_EQUAL(bufferevent_enable(end->bev, EV_READ | EV_WRITE), 0);
}

static void
begin_again(void)
{
	int fds[2], filter;

	for (filter = 0; filter < 2; filter++) {
		make_connection(AF_INET, fds);
		begin_again_with(&client, "client", fds[0], filter, BUFFEREVENT_SSL_CONNECTING);
		begin_again_with(&server, "server", fds[1], filter, BUFFEREVENT_SSL_ACCEPTING);
		run_until(&client.connected, 1);
		run_until(&server.connected, 1);
		free_ends();
	}
}

CASE(begun_handshakes_are_forgotten, EVERY_BACKEND)
{
	for_versions(begin_again);
}

/* --- How it begins ------------------------------------------------------------------------------------- */

static void
accept_one(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	(void)listener, (void)address, (void)length, (void)arg;
	make_end(&server, "server", socket_bufferevent(fd), -1, BUFFEREVENT_SSL_ACCEPTING);
}

static struct evconnlistener *
listen_here(union any_address *address, socklen_t *length)
{
	int fd = listen_on(AF_INET, address, length);
	struct evconnlistener *listener;

	CHECK_EQUAL(evutil_make_socket_nonblocking(fd), 0);
	CHECK((listener = evconnlistener_new(base, accept_one, NULL, LEV_OPT_CLOSE_ON_FREE, 0, fd)));
	memset(&server, 0, sizeof server);
	return listener;
}

/* One below that is still connecting: reading need not be enabled. */
DIFFERENCE(on_one_that_connects, EVERY_BACKEND,
	   "a TLS filter on a bufferevent that is still connecting starts no handshake unless reading is enabled")
{
	struct evconnlistener *listener;
	struct bufferevent *below;
	union any_address address;
	socklen_t length;

	begin();
	listener = listen_here(&address, &length);
	below = socket_bufferevent(-1);
	CHECK_EQUAL(bufferevent_socket_connect(below, &address.any, length), 0);
	make_end_with(&client, "client", below, -1, SSL_new(context), BUFFEREVENT_SSL_CONNECTING);
	run_until(&client.connected, 1);
	CHECK_EQUAL(client.last, BEV_EVENT_CONNECTED);
	free_ends();
	evconnlistener_free(listener);
	end_all();
}

DIFFERENCE(on_a_pair, ONE_BACKEND, "a TLS filter on a pair starts no handshake unless reading is enabled")
{
	struct bufferevent *pair[2];

	begin();
	CHECK_EQUAL(bufferevent_pair_new(base, BEV_OPT_CLOSE_ON_FREE, pair), 0);
	make_end_with(&client, "client", pair[0], -1, SSL_new(context), BUFFEREVENT_SSL_CONNECTING);
	make_end_with(&server, "server", pair[1], -1, SSL_new(context), BUFFEREVENT_SSL_ACCEPTING);
	run_until(&client.connected, 1);
	run_until(&server.connected, 1);
	end_all();
}

/* A connection that is made through the filter, after that was enabled. */
DIFFERENCE(connected_through_the_filter, EVERY_BACKEND,
	   "a TLS filter that is enabled before it is connected starts its handshake twice, which fails")
{
	struct evconnlistener *listener;
	union any_address address;
	socklen_t length;

	begin();
	listener = listen_here(&address, &length);
	make_end(&client, "client", socket_bufferevent(-1), -1, BUFFEREVENT_SSL_CONNECTING);
	settle();
	CHECK_EQUAL(bufferevent_socket_connect(client.bev, &address.any, length), 0);
	run_until(&client.connected, 1);
	run_until(&server.connected, 1);
	CHECK_EQUAL(client.ended + server.ended, 0);
	free_ends();
	evconnlistener_free(listener);
	end_all();
}

CASE(connection_below_is_refused, EVERY_BACKEND)
{
	struct bufferevent *below;
	union any_address address;
	socklen_t length;
	int allowed;

	begin();
	close(listen_on(AF_INET, &address, &length));
	for (allowed = 0; allowed < 2; allowed++) {
		below = socket_bufferevent(-1);
		CHECK_EQUAL(bufferevent_socket_connect(below, &address.any, length), 0);
		make_end_with(&client, "client", below, -1, SSL_new(context), BUFFEREVENT_SSL_CONNECTING);
		bufferevent_openssl_set_allow_dirty_shutdown(client.bev, allowed);
		client.trace = 1;
		run_until(&client.ended, 1);
		printf("%s\n", strerror(client.error));
		settle();
		CHECK_EQUAL(client.ended, 1);
		free_ends();
	}
	end_all();
}

/* --- Beside TLS ---------------------------------------------------------------------------------------- */

/* The timeouts of the one below are reported through the filter. */
static void
timeout_below(void)
{
	struct timeval soon = {0, 20000};

	connect_ends(FILTER_ON_TCP);
	client.trace = 1;
	CHECK_EQUAL(bufferevent_set_timeouts(bufferevent_get_underlying(client.bev), &soon, NULL), 0);
	run_until(&client.timeouts, 1);
	settle();
	CHECK_EQUAL(client.timeouts, 1);
	free_ends();
}

CASE(timeouts_of_the_one_below, EVERY_BACKEND)
{
	for_versions(timeout_below);
}

/* Nothing is read below before somebody wants to read, in a session that is open from the start. */
static void
open_from_the_start(void)
{
	struct bufferevent *below;
	SSL *ssl;
	int fds[2];

	make_connection(AF_INET, fds);
	make_end(&client, "client", NULL, fds[0], BUFFEREVENT_SSL_CONNECTING);
	keep_everything(&server, "server", NULL, fds[1], BUFFEREVENT_SSL_ACCEPTING);
	run_until(&client.connected, 1);
	run_until(&server.connected, 1);
	settle();
	ssl = server.ssl;
	bufferevent_free(server.bev);
	below = socket_bufferevent(fds[1]);
	make_end_with(&server, "server", below, -1, ssl, BUFFEREVENT_SSL_OPEN);
	write_pattern(&client, 5000, 1);
	settle();
	printf("below: %s, %zu bytes\n", enabled_names(below), evbuffer_get_length(bufferevent_get_input(below)));
	CHECK_EQUAL(server.connected + server.reads, 0);
	server.wanted = 5000;
	CHECK_EQUAL(bufferevent_enable(server.bev, EV_READ), 0);
	run_until(&server.finished, 1);
	print_end(&server);
	CHECK_EQUAL(server.connected, 0);
	free_ends();
}

CASE(nothing_is_read_before_it_is_wanted, EVERY_BACKEND)
{
	for_versions(open_from_the_start);
}

/* Callbacks of the one below that come without its lock. */
static void
unlocked_below(int options)
{
	struct bufferevent *below[2];
	int fds[2], i;

	make_connection(AF_INET, fds);
	for (i = 0; i < 2; i++)
		CHECK((below[i] = bufferevent_socket_new(base, fds[i], BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE |
							 BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS)));
	options_now = options;
	make_end(&client, "client", below[0], -1, BUFFEREVENT_SSL_CONNECTING);
	make_end(&server, "server", below[1], -1, BUFFEREVENT_SSL_ACCEPTING);
	exchange_and_free(50000);
}

CASE(unlocked_callbacks_below, EVERY_BACKEND | OWN_LOCKS)
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	begin();
	unlocked_below(BEV_OPT_THREADSAFE);
	unlocked_below(BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS);
	end_all();
}

/* --- The descriptor below ------------------------------------------------------------------------------ */

CASE(pair_below_takes_no_descriptor, ONE_BACKEND)
{
	begin();
	connect_ends(FILTER_ON_PAIR);
	printf("%d\n", bufferevent_setfd(client.bev, 7));
	printf("%d\n", bufferevent_setfd(client.bev, -1));
	printf("%d\n", bufferevent_getfd(client.bev));
	end_all();
}

DIFFERENCE(open_session_goes_over_to_another_descriptor, ONE_BACKEND,
	   "a TLS filter that was made in the open state keeps its old descriptor when it is given another")
{
	struct bufferevent *below;
	int fds[2], others[2];

	begin();
	make_connection(AF_INET, fds);
	make_connection(AF_INET, others);
	below = socket_bufferevent(fds[0]);
	make_end_with(&client, "client", below, -1, SSL_new(context), BUFFEREVENT_SSL_OPEN);
	CHECK_EQUAL(bufferevent_setfd(client.bev, others[0]), 0);
	CHECK_EQUAL(bufferevent_getfd(below), others[0]);
	close(fds[0]);
	close(fds[1]);
	close(others[1]);
	end_all();
}

/* --- The BIO ------------------------------------------------------------------------------------------- */

/* What an operation of it has returned, and what it wants. */
static void
show(const char *operation, int result, BIO *bio)
{
	printf("%s: %d%s%s\n", operation, result, BIO_should_retry(bio) ? ", again" : "",
	       BIO_should_read(bio) ? ", to read" : BIO_should_write(bio) ? ", to write" : "");
}

CASE(what_the_bio_can, ONE_BACKEND)
{
	struct evbuffer *input, *output;
	struct bufferevent *below;
	char data[100];
	int fds[2];
	BIO *bio;

	begin();
	make_connection(0, fds);
	below = socket_bufferevent(-1);
	make_end_with(&client, "client", below, -1, SSL_new(context), BUFFEREVENT_SSL_OPEN);
	bio = SSL_get_wbio(client.ssl);
	input = bufferevent_get_input(below);
	output = bufferevent_get_output(below);
	printf("read and write are one: %d, descriptor %d\n", SSL_get_rbio(client.ssl) == bio, SSL_get_fd(client.ssl));
	show("read", BIO_read(bio, data, 10), bio);
	show("write", BIO_write(bio, "abc", 3), bio);
	show("puts", BIO_puts(bio, "defg"), bio);
	printf("output: %zu, pending %d\n", evbuffer_get_length(output), (int)BIO_wpending(bio));
	bufferevent_setwatermark(below, EV_WRITE, 0, 10);
	show("write", BIO_write(bio, "0123456789", 10), bio);
	show("write", BIO_write(bio, "0123456789", 10), bio);
	CHECK_EQUAL(bufferevent_setfd(below, fds[0]), 0);
	CHECK_EQUAL(bufferevent_enable(below, EV_READ | EV_WRITE), 0);
	settle();
	printf("sent: %d\n", received(fds[1], data, sizeof data));
	CHECK_EQUAL(bufferevent_enable(client.bev, 0), 0);
	evbuffer_unfreeze(input, 0);
	evbuffer_add(input, "input", 5);
	printf("pending: %d\n", (int)BIO_pending(bio));
	show("read", BIO_read(bio, data, 3), bio);
	show("read", BIO_read(bio, data, 3), bio);
	show("gets", BIO_gets(bio, data, 3), bio);
	printf("flush %d, eof %d, close %d\n", (int)BIO_flush(bio), (int)BIO_eof(bio), (int)BIO_get_close(bio));
	(void)BIO_set_close(bio, BIO_CLOSE);
	printf("close %d\n", (int)BIO_get_close(bio));
	/* Or it would free the one below. */
	(void)BIO_set_close(bio, BIO_NOCLOSE);
	close(fds[1]);
	end_all();
}

/* --- The end of the base ------------------------------------------------------------------------------- */

/* Deferred callbacks in a base that is freed release what they hold. */
DIFFERENCE(base_is_freed_first, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS,
	   "a TLS filter that waits to be freed when its base is freed is never freed")
{
	int transport;

	allocator_install();
	for (transport = 0; transport < TRANSPORTS; transport++) {
		begin();
		make_ends(transport);
		CHECK_EQUAL(bufferevent_write(client.bev, "x", 1), 0);
		free_end(&client);
		free_end(&server);
		event_base_free(base);
		SSL_CTX_free(context);
	}
	libevent_global_shutdown();
	CHECK_EQUAL(allocator.alive, 0);
}
