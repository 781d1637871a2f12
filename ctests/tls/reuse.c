/* compile: -Wl,--no-as-needed -levent_openssl -lssl -lcrypto */
/* Another descriptor, an open session taken over, and freeing and changing things in every callback. */
#include "tls/tools.h"

#include <event2/bufferevent_struct.h>
#include <fcntl.h>

/* --- Another descriptor ------------------------------------------------------------------------------ */

static void
once_again(enum transport transport)
{
	int fds[2], old[2], i;

	for (i = 0; i < 3; i++) {
		client.connected = server.connected = 0;
		client.finished = server.finished = 0;
		client.got = server.got = 0;
		old[0] = bufferevent_getfd(client.bev);
		old[1] = bufferevent_getfd(server.bev);
		make_connection(AF_INET, fds);
		CHECK_EQUAL(bufferevent_setfd(client.bev, fds[0]), 0);
		CHECK_EQUAL(bufferevent_setfd(server.bev, fds[1]), 0);
		CHECK_EQUAL(bufferevent_getfd(client.bev), fds[0]);
		if (transport == TCP)
			CHECK_EQUAL(SSL_get_fd(client.ssl), fds[0]);
		/* Those that were left are the program's. */
		CHECK_EQUAL(close(old[0]), 0);
		CHECK_EQUAL(close(old[1]), 0);
		run_until(&client.connected, 1);
		run_until(&server.connected, 1);
		client.wanted = server.wanted = 20000;
		write_pattern(&client, 20000, i);
		write_pattern(&server, 20000, i + 10);
		run_until(&client.finished, 1);
		run_until(&server.finished, 1);
		print_end(&client);
		print_end(&server);
	}
}

static void
sessions_in_a_row(void)
{
	int transport;

	for (transport = TCP; transport <= FILTER_ON_TCP; transport += 2) {
		connect_ends(transport);
		once_again(transport);
		free_ends();
	}
}

CASE(another_descriptor, EVERY_BACKEND)
{
	for_versions(sessions_in_a_row);
}

static void
after_an_error(void)
{
	connect_ends(TCP);
	CHECK_EQUAL(shutdown(bufferevent_getfd(client.bev), SHUT_WR), 0);
	run_until(&server.ended, 1);
	once_again(TCP);
	free_ends();
}

CASE(another_descriptor_after_an_error, EVERY_BACKEND)
{
	for_versions(after_an_error);
}

static void
without_a_descriptor(void)
{
	int transport, fd;

	for (transport = TCP; transport <= FILTER_ON_TCP; transport += 2) {
		connect_ends(transport);
		server.trace = 1;
		fd = bufferevent_getfd(server.bev);
		CHECK_EQUAL(bufferevent_setfd(server.bev, -1), 0);
		printf("%s\n", bufferevent_getfd(server.bev) == -1 ? "none" : "the same");
		CHECK(fcntl(fd, F_GETFD) >= 0);
		settle();
		if (transport == TCP)
			close(fd);
		free_ends();
	}
}

CASE(no_descriptor_any_more, EVERY_BACKEND)
{
	for_versions(without_a_descriptor);
}

DIFFERENCE(unread_errors_do_not_outlive_a_session, EVERY_BACKEND,
	   "unread errors of a TLS session are kept instead of those of the next one")
{
	int fds[2];

	begin();
	connect_ends(TCP);
	CHECK_EQUAL(shutdown(bufferevent_getfd(client.bev), SHUT_WR), 0);
	run_until(&server.ended, 1);
	close(bufferevent_getfd(server.bev));
	make_connection(AF_INET, fds);
	CHECK_EQUAL(bufferevent_setfd(server.bev, fds[1]), 0);
	CHECK_EQUAL(bufferevent_get_openssl_error(server.bev), 0);
	close(fds[0]);
	end_all();
}

/* A write that could not be finished on one connection does not concern the next one. */
static void
leave_a_write_unfinished(void)
{
	struct evbuffer *output;
	int fds[2];

	connect_ends(TCP);
	CHECK_EQUAL(bufferevent_disable(server.bev, EV_READ), 0);
	write_pattern(&client, 8000000, 1);
	settle();
	output = bufferevent_get_output(client.bev);
	CHECK(evbuffer_get_length(output) > 100000);
	close(bufferevent_getfd(client.bev));
	free_end(&server);
	make_connection(AF_INET, fds);
	CHECK_EQUAL(bufferevent_setfd(client.bev, fds[0]), 0);
	CHECK_EQUAL(evbuffer_drain(output, evbuffer_get_length(output)), 0);
	make_end(&server, "server", NULL, fds[1], BUFFEREVENT_SSL_ACCEPTING);
	run_until(&client.connected, 1);
	run_until(&server.connected, 1);
	CHECK_EQUAL(bufferevent_write(client.bev, "new", 3), 0);
	server.wanted = 3;
	run_until(&server.finished, 1);
	CHECK_EQUAL(server.got, 3);
	free_ends();
}

CASE(unfinished_write_is_forgotten, EVERY_BACKEND)
{
	for_versions(leave_a_write_unfinished);
}

/* The program puts a BIO of its own in; what is closed is the descriptor all the same. */
static void
bio_of_the_program(void)
{
	int fd;

	connect_ends(TCP);
	fd = bufferevent_getfd(client.bev);
	SSL_set_bio(client.ssl, BIO_new_socket(fd, BIO_NOCLOSE), NULL);
	SSL_set0_wbio(client.ssl, SSL_get_rbio(client.ssl));
	BIO_up_ref(SSL_get_rbio(client.ssl));
	exchange_and_free(50000);
	CHECK(fcntl(fd, F_GETFD) < 0);
}

CASE(bio_is_replaced, EVERY_BACKEND)
{
	for_versions(bio_of_the_program);
}

/* --- An open session ---------------------------------------------------------------------------------- */

/* Both ends are freed without anything else, and at once, before the loop runs, made anew on what is there. */
static void
take_over(struct end *end, int filter)
{
	struct bufferevent *below = bufferevent_get_underlying(end->bev);
	const char *name = end->name;
	int fd = bufferevent_getfd(end->bev);
	SSL *ssl = end->ssl;

	bufferevent_free(end->bev);
	make_end_with(end, name, filter ? below : NULL, filter ? -1 : fd, ssl, BUFFEREVENT_SSL_OPEN);
	CHECK_EQUAL(bufferevent_enable(end->bev, EV_READ | EV_WRITE), 0);
	end->trace = 0;
}

static void
start_open(void)
{
	struct bufferevent *below[2];
	int fds[2], filter;

	for (filter = 0; filter < 2; filter++) {
		below[0] = below[1] = NULL;
		make_connection(AF_INET, fds);
		if (filter) {
			CHECK((below[0] = bufferevent_socket_new(base, fds[0], 0)));
			CHECK((below[1] = bufferevent_socket_new(base, fds[1], 0)));
		}
		keep_everything(&client, "client", below[0], fds[0], BUFFEREVENT_SSL_CONNECTING);
		keep_everything(&server, "server", below[1], fds[1], BUFFEREVENT_SSL_ACCEPTING);
		run_until(&client.connected, 1);
		run_until(&server.connected, 1);
		take_over(&client, filter);
		take_over(&server, filter);
		exchange_and_free(40000);
	}
}

CASE(open_session_is_taken_over, EVERY_BACKEND)
{
	for_versions(start_open);
}

/* The program has made the handshake itself. */
static void
own_handshake(void)
{
	int fds[2], i, done = 0;
	SSL *ssl[2];

	make_connection(AF_INET, fds);
	for (i = 0; i < 2; i++) {
		ssl[i] = SSL_new(context);
		CHECK_EQUAL(SSL_set_fd(ssl[i], fds[i]), 1);
	}
	SSL_set_connect_state(ssl[0]);
	SSL_set_accept_state(ssl[1]);
	for (i = 0; i < 1000 && done != 3; i++) {
		done |= SSL_do_handshake(ssl[0]) == 1 ? 1 : 0;
		done |= SSL_do_handshake(ssl[1]) == 1 ? 2 : 0;
	}
	CHECK_EQUAL(done, 3);
	/* What came before the bufferevent was made is not lost. */
	CHECK_EQUAL(SSL_write(ssl[0], "early", 5), 5);
	make_end_with(&client, "client", NULL, fds[0], ssl[0], BUFFEREVENT_SSL_OPEN);
	make_end_with(&server, "server", NULL, -1, ssl[1], BUFFEREVENT_SSL_OPEN);
	server.trace = 1;
	CHECK_EQUAL(bufferevent_getfd(server.bev), fds[1]);
	settle();
	CHECK_EQUAL(bufferevent_enable(server.bev, EV_READ), 0);
	server.wanted = 5;
	run_until(&server.finished, 1);
	CHECK_EQUAL(server.connected, 0);
	free_ends();
}

CASE(handshake_by_the_program, EVERY_BACKEND)
{
	for_versions(own_handshake);
}

/* --- In the callbacks ---------------------------------------------------------------------------------- */

enum action { FREE, DISABLE, SET_DESCRIPTOR, WRITE, FREE_OTHER, ACTIONS };
static enum action action;
static const char *occasion;
static int acted;

static void
act(struct end *end, const char *callback)
{
	struct end *other = end == &client ? &server : &client;

	if (strcmp(callback, occasion) || acted)
		return;
	acted = 1;
	switch (action) {
	case FREE:
		free_end(end);
		break;
	case DISABLE:
		CHECK_EQUAL(bufferevent_disable(end->bev, EV_READ | EV_WRITE), 0);
		CHECK_EQUAL(bufferevent_enable(end->bev, EV_READ | EV_WRITE), 0);
		break;
	case SET_DESCRIPTOR:
		close(bufferevent_getfd(end->bev));
		CHECK_EQUAL(bufferevent_setfd(end->bev, -1), 0);
		break;
	case WRITE:
		CHECK_EQUAL(bufferevent_write(end->bev, "more", 4), 0);
		break;
	default:
		free_end(other);
		break;
	}
}

static void
act_in_callbacks(void)
{
	static const char *const occasions[] = {"event", "read", "write"};
	int transport, i, which;

	for (transport = 0; transport < TRANSPORTS; transport++)
		for (which = 0; which < ACTIONS; which++)
			for (i = 0; i < 3; i++) {
				/* A filter's descriptor is that of another. */
				if (which == SET_DESCRIPTOR && transport > TCP)
					continue;
				action = which;
				occasion = occasions[i];
				acted = 0;
				make_ends(transport);
				client.then = act;
				client.wanted = 4;
				server.wanted = which == WRITE ? 8 : 4;
				CHECK_EQUAL(bufferevent_write(client.bev, "ping", 4), 0);
				CHECK_EQUAL(bufferevent_write(server.bev, "pong", 4), 0);
				run_until(&acted, 1);
				settle();
				settle();
				if (which == DISABLE || which == WRITE) {
					run_until(&client.finished, 1);
					run_until(&server.finished, 1);
					printf("%s, %d in %s: %zu %zu\n", transports[transport], which, occasion,
					       client.got, server.got);
				}
				free_ends();
			}
}

CASE(anything_in_a_callback, EVERY_BACKEND)
{
	for_versions(act_in_callbacks);
}

CASE(anything_in_a_deferred_callback, EVERY_BACKEND)
{
	options_now = BEV_OPT_DEFER_CALLBACKS;
	for_versions(act_in_callbacks);
}

/* A client that is done with its first write, and a server that notices. The loop ends by itself. */
CASE(loop_ends_by_itself, EVERY_BACKEND)
{
	begin();
	make_ends(TCP);
	action = FREE;
	occasion = "write";
	acted = 0;
	client.then = act;
	CHECK_EQUAL(bufferevent_write(client.bev, "x", 1), 0);
	run_until(&server.ended, 1);
	CHECK_EQUAL(acted, 1);
	free_end(&server);
	CHECK(event_base_dispatch(base) >= 0);
	/* One that is disabled holds no event. */
	connect_ends(TCP);
	CHECK_EQUAL(bufferevent_disable(client.bev, EV_READ | EV_WRITE), 0);
	CHECK_EQUAL(bufferevent_disable(server.bev, EV_READ | EV_WRITE), 0);
	CHECK(event_base_dispatch(base) >= 0);
	end_all();
}
