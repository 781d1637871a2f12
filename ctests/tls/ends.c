/* compile: -Wl,--no-as-needed -levent_openssl -lssl -lcrypto */
/* How the end of a connection is reported: by the peer, by the transport, by an error, during and after the handshake. */
#include "tls/tools.h"

#include <event2/bufferevent_struct.h>

static int allowed; /* dirty shutdown */

/* The client of a connection whose server is traced. */
static void
connected(enum transport transport)
{
	connect_ends(transport);
	server.trace = 1;
	bufferevent_openssl_set_allow_dirty_shutdown(server.bev, allowed);
}

/* --- The session ends ---------------------------------------------------------------------------- */

static void
close_notify(void)
{
	int transport;

	for (transport = 0; transport < TRANSPORTS; transport++) {
		connected(transport);
		CHECK_EQUAL(SSL_shutdown(client.ssl), 0);
		run_until(&server.ended, 1);
		CHECK_EQUAL(server.last, BEV_EVENT_READING | BEV_EVENT_EOF);
		/* The other direction continues. */
		client.wanted = 5;
		CHECK_EQUAL(bufferevent_write(server.bev, "hello", 5), 0);
		run_until(&client.finished, 1);
		free_ends();
	}
}

CASE(session_ends, EVERY_BACKEND)
{
	for_versions(close_notify);
}

static void
close_notify_after_data(void)
{
	int transport;

	for (transport = 0; transport < TRANSPORTS; transport++) {
		connected(transport);
		server.trace = 0;
		server.wanted = 20000;
		write_pattern(&client, 20000, 1);
		run_until(&client.writes, 1);
		CHECK_EQUAL(SSL_shutdown(client.ssl), 0);
		run_until(&server.ended, 1);
		print_end(&server);
		free_ends();
	}
}

CASE(session_ends_after_data, EVERY_BACKEND)
{
	for_versions(close_notify_after_data);
}

/* The peer ends the session and is gone: nothing can be written any more. */
static void
gone_after_close_notify(void)
{
	connected(PAIR_OF_SOCKETS);
	CHECK_EQUAL(SSL_shutdown(client.ssl), 0);
	CHECK_EQUAL(shutdown(bufferevent_getfd(client.bev), SHUT_RD), 0);
	run_until(&server.ended, 1);
	CHECK_EQUAL(bufferevent_write(server.bev, "hello", 5), 0);
	run_until(&server.ended, 2);
	settle();
	CHECK_EQUAL(server.ended, 2);
	free_ends();
}

CASE(session_ends_and_writing_fails, EVERY_BACKEND)
{
	signal(SIGPIPE, SIG_IGN);
	for_versions(gone_after_close_notify);
}

static int order_of_end;

static void
note_order(struct end *end, const char *callback)
{
	if (!strcmp(callback, "read"))
		CHECK(!end->ended);
	else if (end->ended)
		order_of_end = end->reads > 0 ? 1 : -1;
}

static void
end_together_with_data(void)
{
	int transport;

	for (transport = FILTER_ON_SOCKET; transport < TRANSPORTS; transport++) {
		order_of_end = 0;
		connected(transport);
		server.then = note_order;
		/* Both are there before the server looks. */
		CHECK_EQUAL(bufferevent_disable(server.bev, EV_READ), 0);
		CHECK_EQUAL(bufferevent_write(client.bev, "last words", 10), 0);
		CHECK_EQUAL(SSL_shutdown(client.ssl), 0);
		settle();
		CHECK_EQUAL(bufferevent_enable(server.bev, EV_READ), 0);
		run_until(&server.ended, 1);
		CHECK_EQUAL(order_of_end, 1);
		free_ends();
	}
}

DIFFERENCE(data_before_the_end, EVERY_BACKEND,
	   "a TLS filter reports the end of the session before the data that arrived with it")
{
	for_versions(end_together_with_data);
}

/* --- The transport ends -------------------------------------------------------------------------- */

static void
transport_ends(void)
{
	connected(TCP);
	CHECK_EQUAL(shutdown(bufferevent_getfd(client.bev), SHUT_WR), 0);
	run_until(&server.ended, 1);
	settle();
	CHECK_EQUAL(server.ended, 1);
	free_ends();
}

CASE(transport_ends_on_a_socket, EVERY_BACKEND)
{
	for_versions(transport_ends);
}

DIFFERENCE(allowed_end_of_transport_on_a_socket, EVERY_BACKEND,
	   "with OpenSSL 3 the end of a connection without close_notify is an error even if dirty shutdown is allowed")
{
	allowed = 1;
	for_versions(transport_ends);
	CHECK_EQUAL(server.last, BEV_EVENT_READING | BEV_EVENT_EOF);
}

static void
transport_below_ends(void)
{
	connected(FILTER_ON_TCP);
	CHECK_EQUAL(shutdown(bufferevent_getfd(client.bev), SHUT_WR), 0);
	run_until(&server.ended, 1);
	settle();
	CHECK_EQUAL(server.ended, 1);
	free_ends();
}

CASE(transport_ends_below_a_filter, EVERY_BACKEND)
{
	for (allowed = 0; allowed < 2; allowed++)
		for_versions(transport_below_ends);
}

static void
transport_ends_after_data(void)
{
	int transport;

	for (transport = TCP; transport < FILTER_ON_PAIR; transport++) {
		connected(transport);
		server.trace = 0;
		server.wanted = 20000;
		write_pattern(&client, 20000, 1);
		run_until(&client.writes, 1);
		settle();
		CHECK_EQUAL(shutdown(bufferevent_getfd(client.bev), SHUT_WR), 0);
		run_until(&server.ended, 1);
		print_end(&server);
		free_ends();
	}
}

CASE(transport_ends_after_what_was_sent, EVERY_BACKEND)
{
	for_versions(transport_ends_after_data);
}

/* More than is read at a time is there when the stream below ends. */
static void
pair_ends_after_data(void)
{
	connected(FILTER_ON_PAIR);
	client.trace = server.trace = 0;
	server.wanted = 300000;
	write_pattern(&client, 300000, 1);
	bufferevent_flush(bufferevent_get_underlying(client.bev), EV_WRITE, BEV_FINISHED);
	run_until(&server.ended, 1);
	settle();
	print_end(&server);
	CHECK_EQUAL(server.got, 300000);
	free_ends();
}

CASE(pair_below_ends_after_what_was_sent, EVERY_BACKEND)
{
	for_versions(pair_ends_after_data);
}

static void
ignored_end(void)
{
	SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
	transport_ends();
	transport_below_ends();
}

CASE(transport_ends_and_openssl_ignores_it, EVERY_BACKEND)
{
	for_versions(ignored_end);
}

static void
reset_by_peer(void)
{
	int fd, transport;

	for (transport = TCP; transport < FILTER_ON_PAIR; transport += 2) {
		struct linger linger = {1, 0};

		connected(transport);
		fd = bufferevent_getfd(client.bev);
		CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
		free_end(&client);
		run_until(&server.ended, 1);
		printf("%s\n", strerror(server.error));
		settle();
		free_ends();
	}
}

CASE(reset, EVERY_BACKEND)
{
	for (allowed = 0; allowed < 2; allowed++)
		for_versions(reset_by_peer);
	/* The errno is that of then also when the loop calls. */
	options_now = BEV_OPT_DEFER_CALLBACKS;
	for_versions(reset_by_peer);
}

static void
write_fails(void)
{
	int transport;

	for (transport = TCP; transport < FILTER_ON_PAIR; transport += 2) {
		connected(transport);
		CHECK_EQUAL(bufferevent_disable(server.bev, EV_READ), 0);
		CHECK_EQUAL(shutdown(bufferevent_getfd(server.bev), SHUT_WR), 0);
		CHECK_EQUAL(bufferevent_write(server.bev, "x", 1), 0);
		run_until(&server.ended, 1);
		printf("%s\n", strerror(server.error));
		settle();
		free_ends();
	}
}

CASE(writing_fails, EVERY_BACKEND)
{
	for (allowed = 0; allowed < 2; allowed++)
		for_versions(write_fails);
}

/* --- Rubbish ------------------------------------------------------------------------------------- */

static void
rubbish_in_session(void)
{
	int fd, transport;

	for (transport = TCP; transport < FILTER_ON_PAIR; transport += 2) {
		connected(transport);
		fd = bufferevent_getfd(client.bev);
		send_all(fd, "this is no record at all", 24);
		run_until(&server.ended, 1);
		CHECK(server.last & BEV_EVENT_ERROR);
		settle();
		free_ends();
	}
}

CASE(rubbish, EVERY_BACKEND)
{
	for_versions(rubbish_in_session);
}

/* --- The end in the handshake ---------------------------------------------------------------------- */

static void
end_in_handshake(int reset_it, int filter)
{
	struct bufferevent *below = NULL;
	int fds[2];

	make_connection(AF_INET, fds);
	if (filter)
		CHECK((below = bufferevent_socket_new(base, fds[0], BEV_OPT_CLOSE_ON_FREE)));
	make_end(&server, "server", below, fds[0], BUFFEREVENT_SSL_ACCEPTING);
	server.trace = 1;
	bufferevent_openssl_set_allow_dirty_shutdown(server.bev, allowed);
	settle();
	if (reset_it)
		reset_connection(fds[1]);
	else
		close(fds[1]);
	run_until(&server.ended, 1);
	settle();
	free_end(&server);
	settle();
}

CASE(end_in_the_handshake, EVERY_BACKEND)
{
	int reset_it, filter;

	begin();
	for (allowed = 0; allowed < 2; allowed++)
		for (reset_it = 0; reset_it < 2; reset_it++)
			for (filter = 0; filter < 2; filter++) {
				printf("allowed %d, reset %d, filter %d\n", allowed, reset_it, filter);
				end_in_handshake(reset_it, filter);
			}
	end_all();
}

/* --- What the program can ask for afterwards ------------------------------------------------------- */

CASE(errors_are_taken_out, EVERY_BACKEND)
{
	int i;

	begin();
	connect_ends(TCP);
	CHECK_EQUAL(bufferevent_get_openssl_error(server.bev), 0);
	CHECK_EQUAL(shutdown(bufferevent_getfd(client.bev), SHUT_WR), 0);
	run_until(&server.ended, 1);
	for (i = 0; i < 4; i++)
		printf("%lx\n", bufferevent_get_openssl_error(server.bev));
	printf("enabled %s\n", enabled_names(server.bev));
	/* It tries again when it is enabled. */
	server.trace = 1;
	CHECK_EQUAL(bufferevent_enable(server.bev, EV_READ), 0);
	run_until(&server.ended, 2);
	end_all();
}

static void
look_at_events(struct end *end, const char *callback)
{
	(void)callback;
	if (end->ended) {
		printf("pending: %x %x\n", event_pending(&end->bev->ev_read, EV_READ | EV_WRITE | EV_TIMEOUT, NULL),
		       event_pending(&end->bev->ev_write, EV_READ | EV_WRITE | EV_TIMEOUT, NULL));
		free_end(end);
	}
}

/* The end of a session is reported once, whatever the program does with reading afterwards. */
static void
read_on_after_the_end(void)
{
	int transport;

	for (transport = 0; transport < TRANSPORTS; transport++) {
		connected(transport);
		server.trace = 0;
		CHECK_EQUAL(SSL_shutdown(client.ssl), 0);
		run_until(&server.ended, 1);
		CHECK_EQUAL(bufferevent_disable(server.bev, EV_READ), 0);
		settle();
		CHECK_EQUAL(bufferevent_enable(server.bev, EV_READ), 0);
		settle();
		CHECK_EQUAL(server.ended, 1);
		/* Nor when the transport ends. */
		free_end(&client);
		settle();
		CHECK_EQUAL(server.ended, 1);
		free_ends();
	}
}

DIFFERENCE(reading_is_enabled_after_the_end, EVERY_BACKEND,
	   "a TLS filter reports the end of a session again when reading is enabled afterwards")
{
	for_versions(read_on_after_the_end);
}

static void
leave_error(struct end *end, const char *callback)
{
	(void)end;
	(void)callback;
	ERR_raise(ERR_LIB_USER, ERR_R_PASSED_INVALID_ARGUMENT);
}

/* What other code has left in OpenSSL's queue of errors is none of the connection's. */
static void
errors_of_others(void)
{
	int transport;

	for (transport = 0; transport < TRANSPORTS; transport++) {
		ERR_raise(ERR_LIB_USER, ERR_R_PASSED_INVALID_ARGUMENT);
		connected(transport);
		client.then = server.then = leave_error;
		client.trace = server.trace = 0;
		server.echo = 1;
		client.wanted = server.wanted = 50000;
		write_pattern(&client, 50000, 1);
		run_until(&client.finished, 1);
		ERR_raise(ERR_LIB_USER, ERR_R_PASSED_INVALID_ARGUMENT);
		settle();
		CHECK_EQUAL(client.ended + server.ended, 0);
		print_end(&client);
		free_ends();
		ERR_clear_error();
	}
}

CASE(errors_of_others_do_not_count, EVERY_BACKEND)
{
	for_versions(errors_of_others);
}

/* Neither the descriptor nor a timeout. */
CASE(nothing_is_waited_for_after_the_end, EVERY_BACKEND)
{
	struct timeval timeout = {5, 0};
	int transport;

	begin();
	for (options_now = 0; options_now <= BEV_OPT_DEFER_CALLBACKS; options_now += BEV_OPT_DEFER_CALLBACKS)
		for (transport = 0; transport < TRANSPORTS; transport++) {
			connect_ends(transport);
			CHECK_EQUAL(bufferevent_set_timeouts(server.bev, &timeout, &timeout), 0);
			server.then = look_at_events;
			CHECK_EQUAL(SSL_shutdown(client.ssl), 0);
			run_until(&server.ended, 1);
			free_ends();
		}
	end_all();
}
