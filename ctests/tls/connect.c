/* compile: -Wl,--no-as-needed -levent_openssl -lssl -lcrypto */
/* TLS over connections that the bufferevent makes: exchanges through watermarks, a peer that sleeps. */
#include "tls/tools.h"

#include <arpa/inet.h>
#include <event2/listener.h>

static union any_address address;
static socklen_t address_length;
static int filters;

static void
accept_one(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer, int length, void *arg)
{
	struct bufferevent *below = NULL;

	(void)listener, (void)peer, (void)length, (void)arg;
	if (filters)
		CHECK((below = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE)));
	make_end(&server, "server", below, fd, BUFFEREVENT_SSL_ACCEPTING);
}

static struct evconnlistener *
listen_here(void)
{
	int fd = listen_on(AF_INET, &address, &address_length);
	struct evconnlistener *listener;

	CHECK_EQUAL(evutil_make_socket_nonblocking(fd), 0);
	listener = evconnlistener_new(base, accept_one, NULL, LEV_OPT_CLOSE_ON_FREE, 0, fd);
	CHECK(listener);
	return listener;
}

/* --- Watermarks ----------------------------------------------------------------------------------------- */

enum { HIGH_MARK = 5120, TAKEN = 512, ADDED = 1024, ALL = 40960 };

static char added[ADDED];
static int at_the_end;

/* Takes a part of what has come and sends twice as much, until all has come. */
static void
take_and_add(struct bufferevent *bev, void *arg)
{
	struct end *end = arg;

	end->reads++;
	CHECK(evbuffer_get_length(bufferevent_get_input(bev)) >= TAKEN);
	CHECK_EQUAL(evbuffer_drain(bufferevent_get_input(bev), TAKEN), 0);
	end->got += TAKEN;
	if (end->got < ALL) {
		CHECK_EQUAL(evbuffer_add_reference(bufferevent_get_output(bev), added, ADDED, NULL, NULL), 0);
	} else {
		at_the_end++;
		bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
	}
}

static void
connected(struct bufferevent *bev, short what, void *arg)
{
	struct end *end = arg;

	CHECK_EQUAL(what, BEV_EVENT_CONNECTED);
	end->connected++;
	bufferevent_setwatermark(bev, EV_READ, 0, HIGH_MARK);
	CHECK_EQUAL(evbuffer_add_reference(bufferevent_get_output(bev), added, ADDED, NULL, NULL), 0);
}

static void
exchange_512(int options)
{
	struct bufferevent *below = NULL;

	options_now = options;
	at_the_end = 0;
	memset(&server, 0, sizeof server);
	if (filters)
		CHECK((below = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE)));
	make_end_with(&client, "client", below, -1, SSL_new(context), BUFFEREVENT_SSL_CONNECTING);
	bufferevent_setcb(client.bev, take_and_add, NULL, connected, &client);
	CHECK_EQUAL(bufferevent_socket_connect(client.bev, &address.any, address_length), 0);
	CHECK_EQUAL(bufferevent_enable(client.bev, EV_READ | EV_WRITE), 0);
	while (!server.bev)
		CHECK(event_base_loop(base, EVLOOP_ONCE) >= 0);
	bufferevent_setcb(server.bev, take_and_add, NULL, connected, &server);
	run_until(&at_the_end, 2);
	printf("client %zu in %d, server %zu in %d\n", client.got, client.reads, server.got, server.reads);
	CHECK_EQUAL(client.connected + server.connected, 2);
	free_ends();
	/* There is nothing left to wait for but the listener. */
	CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
}

static void
exchange_through_watermarks(void)
{
	struct evconnlistener *listener;

	for (filters = 0; filters < 2; filters++) {
		listener = listen_here();
		exchange_512(0);
		exchange_512(BEV_OPT_DEFER_CALLBACKS);
		evconnlistener_free(listener);
		/* Nor that any more: this does not block. */
		CHECK(event_base_loop(base, EVLOOP_ONCE) >= 0);
	}
}

CASE(watermarks_of_both_ends, EVERY_BACKEND)
{
	for_versions(exchange_through_watermarks);
}

/* --- A peer that sleeps --------------------------------------------------------------------------------- */

/* A BIO of the program on the descriptor, which counts. */
static int counted_reads, counted_writes;

static int
counting_read(BIO *bio, char *data, int size)
{
	ssize_t got = recv((int)(intptr_t)BIO_get_data(bio), data, size, 0);

	counted_reads++;
	BIO_clear_retry_flags(bio);
	if (got < 0 && (errno == EAGAIN || errno == ENOTCONN))
		BIO_set_retry_read(bio);
	return got;
}

static int
counting_write(BIO *bio, const char *data, int size)
{
	ssize_t sent = send((int)(intptr_t)BIO_get_data(bio), data, size, MSG_NOSIGNAL);

	counted_writes++;
	BIO_clear_retry_flags(bio);
	if (sent < 0 && (errno == EAGAIN || errno == ENOTCONN))
		BIO_set_retry_write(bio);
	return sent;
}

static long
counting_control(BIO *bio, int command, long number, void *pointer)
{
	(void)number, (void)pointer;
	return command == BIO_C_GET_FD ? (intptr_t)BIO_get_data(bio) : command == BIO_CTRL_FLUSH;
}

static int
counting_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static BIO *
counting_bio(int fd)
{
	static BIO_METHOD *method;
	BIO *bio;

	if (!method) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "counting");
		BIO_meth_set_read(method, counting_read);
		BIO_meth_set_write(method, counting_write);
		BIO_meth_set_ctrl(method, counting_control);
		BIO_meth_set_create(method, counting_create);
	}
	bio = BIO_new(method);
	BIO_set_data(bio, (void *)(intptr_t)fd);
	return bio;
}

static void
connect_to_a_sleeper(void)
{
	int listener = listen_on(AF_INET, &address, &address_length), accepted, fd;
	BIO *bio;

	counted_reads = counted_writes = 0;
	make_end(&client, "client", NULL, -1, BUFFEREVENT_SSL_CONNECTING);
	CHECK_EQUAL(bufferevent_socket_connect(client.bev, &address.any, address_length), 0);
	fd = bufferevent_getfd(client.bev);
	bio = counting_bio(fd);
	SSL_set_bio(client.ssl, bio, bio);
	accepted = accept(listener, NULL, NULL);
	CHECK(accepted >= 0);
	run_for(1000);
	CHECK(counted_reads <= 100);
	CHECK(counted_writes <= 100);
	CHECK_EQUAL(evutil_make_socket_nonblocking(accepted), 0);
	make_end(&server, "server", NULL, accepted, BUFFEREVENT_SSL_ACCEPTING);
	run_until(&client.connected, 1);
	run_until(&server.connected, 1);
	/* So much that it would go through a BIO of the library, if the program's were not there. */
	client.wanted = server.wanted = 300000;
	write_pattern(&client, 300000, 1);
	write_pattern(&server, 300000, 2);
	run_until(&client.finished, 1);
	run_until(&server.finished, 1);
	print_end(&client);
	print_end(&server);
	CHECK(SSL_get_rbio(client.ssl) == bio);
	free_ends();
	CHECK(fcntl(fd, F_GETFD) < 0);
	close(listener);
}

CASE(peer_sleeps, ONE_BACKEND)
{
	for_versions(connect_to_a_sleeper);
}
