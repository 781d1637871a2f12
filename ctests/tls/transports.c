/* compile: -Wl,--no-as-needed -levent_openssl -lssl -lcrypto */
/* TLS over every transport: bytes, limits, ends. */
#include "tls/tools.h"

#include <event2/listener.h>
#include <event2/thread.h>
#include <pthread.h>

/* Runs body for every transport. */
static void
for_transports(void (*body)(enum transport transport))
{
	int transport;

	for (transport = 0; transport < TRANSPORTS; transport++) {
		printf("%s\n", transports[transport]);
		make_ends(transport);
		body(transport);
		free_end(&client);
		free_end(&server);
		settle();
	}
}

/* --- Content both ways ------------------------------------------------------------------------- */

static void
exchange(size_t size)
{
	client.wanted = server.wanted = size;
	write_pattern(&client, size, 1);
	write_pattern(&server, size, 2);
	run_until(&client.finished, 1);
	run_until(&server.finished, 1);
	run_until(&client.writes, 1);
	run_until(&server.writes, 1);
	print_end(&client);
	print_end(&server);
}

static void
echo_lines(enum transport transport)
{
	int i;

	(void)transport;
	server.echo = 1;
	for (i = 1; i <= 50; i++) {
		client.finished = 0;
		client.wanted = i * 40;
		write_pattern(&client, 40, i);
		run_until(&client.finished, 1);
	}
	print_end(&client);
	print_end(&server);
}

CASE(echo, EVERY_BACKEND)
{
	begin();
	for_transports(echo_lines);
	end_all();
}

CASE(echo_with_deferred_callbacks, EVERY_BACKEND)
{
	begin();
	options_now = BEV_OPT_DEFER_CALLBACKS;
	for_transports(echo_lines);
	end_all();
}

CASE(echo_with_locks, EVERY_BACKEND | OWN_LOCKS)
{
	CHECK_EQUAL(evthread_use_pthreads(), 0);
	begin();
	options_now = BEV_OPT_THREADSAFE;
	for_transports(echo_lines);
	options_now = BEV_OPT_THREADSAFE | BEV_OPT_DEFER_CALLBACKS | BEV_OPT_UNLOCK_CALLBACKS;
	for_transports(echo_lines);
	end_all();
}

static void
exchange_much(enum transport transport)
{
	exchange(transport == PAIR_OF_SOCKETS && !under_valgrind() ? 10000000 : 1000000);
}

CASE(large_transfers, EVERY_BACKEND)
{
	begin();
	for_transports(exchange_much);
	end_all();
}

/* In the middle of a record the bare socket mode would stall: the rest of it wakes nobody. */
static void
exchange_through_watermarks(enum transport transport)
{
	bufferevent_setwatermark(client.bev, EV_READ, 0, transport < FILTER_ON_SOCKET ? 40000 : 1000);
	bufferevent_setwatermark(server.bev, EV_READ, 0, 30000);
	bufferevent_setwatermark(client.bev, EV_WRITE, 5000, 0);
	exchange(300000);
}

CASE(transfers_through_watermarks, EVERY_BACKEND)
{
	begin();
	for_transports(exchange_through_watermarks);
	end_all();
}

/* The client takes nothing until the server's records have filled its input. */
static void
refuse_then_take(enum transport transport)
{
	(void)transport;
	run_until(&client.connected, 1);
	run_until(&server.connected, 1);
	CHECK_EQUAL(bufferevent_disable(client.bev, EV_READ), 0);
	write_pattern(&server, 200000, 3);
	settle();
	printf("read while disabled: %d\n", client.reads);
	client.wanted = 200000;
	CHECK_EQUAL(bufferevent_enable(client.bev, EV_READ), 0);
	run_until(&client.finished, 1);
	print_end(&client);
}

CASE(reading_disabled, EVERY_BACKEND)
{
	begin();
	for_transports(refuse_then_take);
	end_all();
}

/* --- Limits -------------------------------------------------------------------------------------- */

/* As with watermarks, a limit of reading may stop the bare socket mode in the middle of a record. */
static void
exchange_slowly(enum transport transport)
{
	size_t read_limit = transport < FILTER_ON_SOCKET ? 100000000 : 40000;
	struct timeval tick = {0, 5000};
	struct ev_token_bucket_cfg *configuration = ev_token_bucket_cfg_new(read_limit, read_limit, 30000, 30000, &tick);
	struct bufferevent_rate_limit_group *group = bufferevent_rate_limit_group_new(base, configuration);
	ev_uint64_t total_read, total_written;

	CHECK(configuration && group);
	CHECK_EQUAL(bufferevent_set_rate_limit(client.bev, configuration), 0);
	CHECK_EQUAL(bufferevent_add_to_rate_limit_group(server.bev, group), 0);
	exchange(400000);
	bufferevent_rate_limit_group_get_totals(group, &total_read, &total_written);
	printf("charged the group for all: %d %d\n", total_read >= 60000, total_written >= 400000);
	CHECK_EQUAL(bufferevent_set_rate_limit(client.bev, NULL), 0);
	CHECK_EQUAL(bufferevent_remove_from_rate_limit_group(server.bev), 0);
	bufferevent_rate_limit_group_free(group);
	ev_token_bucket_cfg_free(configuration);
}

CASE(rate_limits, ONE_BACKEND)
{
	begin();
	for_transports(exchange_slowly);
	end_all();
}

/* --- Ends ---------------------------------------------------------------------------------------- */

/* The server sees the end behind the bytes, and still answers. */
static void
end_one_half(enum transport transport)
{
	(void)transport;
	run_until(&client.connected, 1);
	run_until(&server.connected, 1);
	server.wanted = 100000;
	write_pattern(&client, 100000, 4);
	run_until(&server.finished, 1);
	CHECK_EQUAL(SSL_shutdown(bufferevent_openssl_get_ssl(client.bev)), 0);
	run_until(&server.ended, 1);
	print_end(&server);
	print_errors(&server);
	client.wanted = 70000;
	write_pattern(&server, 70000, 5);
	run_until(&client.finished, 1);
	print_end(&client);
}

CASE(half_closed, EVERY_BACKEND)
{
	begin();
	for_transports(end_one_half);
	end_all();
}

static void
close_silently(enum transport transport)
{
	(void)transport;
	run_until(&client.connected, 1);
	run_until(&server.connected, 1);
	free_end(&client);
	settle();
	if (transport == FILTER_ON_PAIR) {
		/* The partner of a pair does not learn of it. */
		CHECK_EQUAL(server.ended, 0);
		return;
	}
	run_until(&server.ended, 1);
	print_end(&server);
	print_errors(&server);
}

CASE(closed_without_notice, EVERY_BACKEND)
{
	begin();
	for_transports(close_silently);
	end_all();
}

CASE(no_tls_at_the_other_side, EVERY_BACKEND)
{
	struct bufferevent *under;
	int ends[2], filter;

	begin();
	for (filter = 0; filter < 2; filter++) {
		make_socketpair(ends);
		under = filter ? bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE) : NULL;
		make_end(&server, "server", under, ends[0], BUFFEREVENT_SSL_ACCEPTING);
		send_all(ends[1], "GET / HTTP/1.0\r\n\r\n", 18);
		run_until(&server.ended, 1);
		print_end(&server);
		print_errors(&server);
		free_end(&server);
		settle();
		close(ends[1]);
	}
	end_all();
}

/* --- Timeouts ------------------------------------------------------------------------------------ */

CASE(timeout_of_the_handshake, EVERY_BACKEND)
{
	struct timeval soon = {0, 20000};
	int ends[2];

	begin();
	make_socketpair(ends);
	make_end(&client, "client", NULL, ends[0], BUFFEREVENT_SSL_CONNECTING);
	bufferevent_set_timeouts(client.bev, &soon, &soon);
	run_until(&client.timeouts, 1);
	print_end(&client);
	close(ends[1]);
	end_all();
}

static void
wait_for_silence(enum transport transport)
{
	struct timeval soon = {0, 20000};

	(void)transport;
	run_until(&client.connected, 1);
	run_until(&server.connected, 1);
	bufferevent_set_timeouts(client.bev, &soon, NULL);
	run_until(&client.timeouts, 1);
	print_end(&client);
	printf("enabled %s\n", enabled_names(client.bev));
	bufferevent_set_timeouts(client.bev, NULL, NULL);
	CHECK_EQUAL(bufferevent_enable(client.bev, EV_READ), 0);
	exchange(10000);
}

CASE(read_timeout, EVERY_BACKEND)
{
	begin();
	for_transports(wait_for_silence);
	end_all();
}

/* --- What callbacks may do ----------------------------------------------------------------------- */

static const char *free_in;

static void
free_now(struct end *end, const char *callback)
{
	if (strcmp(callback, free_in) != 0 || !end->bev)
		return;
	printf("%s: freed in its %s callback\n", end->name, callback);
	free_end(end);
}

static void
free_the_client(enum transport transport)
{
	(void)transport;
	client.then = free_now;
	write_pattern(&client, 50000, 6);
	write_pattern(&server, 50000, 7);
	if (strcmp(free_in, "event") == 0)
		run_until(&client.connected, 1);
	else
		run_until(strcmp(free_in, "read") == 0 ? &client.reads : &client.writes, 1);
	settle();
	printf("free: %d, callbacks of the freed one: %d\n", client.bev == NULL,
	       strcmp(free_in, "event") == 0 ? client.last != BEV_EVENT_CONNECTED : client.connected - 1);
}

static void
free_in_callback(const char *callback)
{
	int deferred;

	begin();
	free_in = callback;
	for (deferred = 0; deferred < 2; deferred++) {
		options_now = deferred ? BEV_OPT_DEFER_CALLBACKS : 0;
		for_transports(free_the_client);
	}
	end_all();
}

CASE(freed_in_the_read_callback, EVERY_BACKEND)
{
	free_in_callback("read");
}

CASE(freed_in_the_write_callback, EVERY_BACKEND)
{
	free_in_callback("write");
}

CASE(freed_when_connected, EVERY_BACKEND)
{
	free_in_callback("event");
}

/* --- Connecting, descriptors, renegotiation ------------------------------------------------------ */

static void
accept_one(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	(void)listener, (void)address, (void)length, (void)arg;
	make_end(&server, "server", NULL, fd, BUFFEREVENT_SSL_ACCEPTING);
}

static void
connect_and_exchange(int by_name)
{
	union any_address address;
	socklen_t length;
	int fd = listen_on(AF_INET, &address, &length);
	struct evconnlistener *listener;

	CHECK_EQUAL(evutil_make_socket_nonblocking(fd), 0);
	listener = evconnlistener_new(base, accept_one, NULL, LEV_OPT_CLOSE_ON_FREE, 0, fd);
	CHECK(listener);
	make_end(&client, "client", NULL, -1, BUFFEREVENT_SSL_CONNECTING);
	if (by_name)
		CHECK_EQUAL(bufferevent_socket_connect_hostname(client.bev, NULL, AF_INET, "127.0.0.1",
								ntohs(address.in.sin_port)), 0);
	else
		CHECK_EQUAL(bufferevent_socket_connect(client.bev, &address.any, length), 0);
	run_until(&client.connected, 1);
	run_until(&server.connected, 1);
	exchange(100000);
	free_end(&client);
	free_end(&server);
	settle();
	evconnlistener_free(listener);
}

CASE(connecting, EVERY_BACKEND)
{
	begin();
	connect_and_exchange(0);
	connect_and_exchange(1);
	end_all();
}

/* A name that does not exist. */
CASE(connecting_to_an_unknown_name, EVERY_BACKEND)
{
	begin();
	make_end(&client, "client", NULL, -1, BUFFEREVENT_SSL_CONNECTING);
	client.trace = 1;
	bufferevent_socket_connect_hostname(client.bev, NULL, AF_INET, "no name at all", 443);
	run_until(&client.ended, 1);
	printf("%d\n", bufferevent_socket_get_dns_error(client.bev) != 0);
	settle();
	CHECK_EQUAL(client.ended, 1);
	end_all();
}

/* A session that never existed has no direction, no OpenSSL error, and no proper end either. */
DIFFERENCE(connecting_where_nobody_listens, EVERY_BACKEND,
	   "a refused connection for TLS is reported as an error while reading")
{
	union any_address address;
	socklen_t length;
	int dirty;

	begin();
	close(listen_on(AF_INET, &address, &length));
	for (dirty = 0; dirty < 2; dirty++) {
		make_end(&client, "client", NULL, -1, BUFFEREVENT_SSL_CONNECTING);
		bufferevent_openssl_set_allow_dirty_shutdown(client.bev, dirty);
		CHECK_EQUAL(bufferevent_socket_connect(client.bev, &address.any, length), 0);
		run_until(&client.ended, 1);
		CHECK_EQUAL(client.last, BEV_EVENT_ERROR);
		CHECK_EQUAL(client.error, ECONNREFUSED);
		CHECK_EQUAL(bufferevent_get_openssl_error(client.bev), 0);
		settle();
		CHECK_EQUAL(client.ended, 1);
		free_end(&client);
	}
	end_all();
}
