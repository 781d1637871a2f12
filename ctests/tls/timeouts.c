/* compile: -Wl,--no-as-needed -levent_openssl -lssl -lcrypto */
/* Read and write timeouts, on sockets and in filters. */
#include "tls/tools.h"

#include <event2/bufferevent_struct.h>

static void
timeouts_of(enum transport transport, int open, int repeats)
{
	struct timeval timeout = {0, 30000};
	int fds[2] = {-1, -1};

	if (open)
		connect_ends(transport);
	else {
		struct bufferevent *below = NULL;

		make_connection(AF_INET, fds);
		if (transport == FILTER_ON_TCP)
			CHECK((below = bufferevent_socket_new(base, fds[0], BEV_OPT_CLOSE_ON_FREE)));
		make_end(&server, "server", below, fds[0], BUFFEREVENT_SSL_ACCEPTING);
	}
	server.trace = 1;
	CHECK_EQUAL(bufferevent_set_timeouts(server.bev, &timeout, NULL), 0);
	run_until(&server.timeouts, repeats ? 2 : 1);
	CHECK_EQUAL(bufferevent_set_timeouts(server.bev, NULL, NULL), 0);
	server.timeouts = 0;
	run_for(60);
	CHECK_EQUAL(server.timeouts, 0);
	if (fds[1] >= 0)
		close(fds[1]);
	free_ends();
}

CASE(read_timeouts, EVERY_BACKEND)
{
	begin();
	puts("socket, handshake");
	timeouts_of(TCP, 0, 1);
	puts("socket, open");
	timeouts_of(TCP, 1, 1);
	puts("filter, handshake");
	timeouts_of(FILTER_ON_TCP, 0, 0);
	puts("filter, open");
	timeouts_of(FILTER_ON_TCP, 1, 0);
	end_all();
}

static void
write_timeout(enum transport transport)
{
	struct timeval timeout = {0, 50000};

	connect_ends(transport);
	client.trace = 1;
	CHECK_EQUAL(bufferevent_disable(server.bev, EV_READ), 0);
	write_pattern(&client, 20000000, 1);
	run_for(30);
	CHECK_EQUAL(bufferevent_set_timeouts(client.bev, NULL, &timeout), 0);
	run_until(&client.timeouts, 1);
	CHECK_EQUAL(bufferevent_set_timeouts(client.bev, NULL, NULL), 0);
	free_ends();
}

CASE(write_timeouts, ONE_BACKEND)
{
	begin();
	write_timeout(TCP);
	end_all();
}

/* The timer of a filter runs while something waits to be written, and no longer. */
static void
timer_while_writing(void)
{
	struct timeval hour = {3600, 0}, deadline;
	struct bufferevent *below;

	connect_ends(FILTER_ON_SOCKET);
	below = bufferevent_get_underlying(client.bev);
	CHECK_EQUAL(bufferevent_set_timeouts(client.bev, NULL, &hour), 0);
	bufferevent_setwatermark(below, EV_WRITE, 0, 1000);
	CHECK_EQUAL(bufferevent_disable(below, EV_WRITE), 0);
	server.wanted = 60000;
	write_pattern(&client, 50000, 1);
	settle();
	CHECK(event_pending(&client.bev->ev_write, EV_TIMEOUT, NULL));
	/* More of which nothing goes out does not put it off, when the coarse clock has gone on. */
	deadline = client.bev->ev_write.ev_timeout;
	usleep(30000);
	write_pattern(&client, 10000, 1);
	CHECK(evutil_timercmp(&client.bev->ev_write.ev_timeout, &deadline, ==));
	CHECK_EQUAL(bufferevent_enable(below, EV_WRITE), 0);
	run_until(&server.finished, 1);
	settle();
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_output(client.bev)), 0);
	CHECK(!event_pending(&client.bev->ev_write, EV_TIMEOUT, NULL));
	free_ends();
}

DIFFERENCE(timer_of_a_filter_that_writes, EVERY_BACKEND,
	   "a TLS filter with nothing to write still gets a write timeout")
{
	for_versions(timer_while_writing);
}

/* What is written before the handshake is over has no timer of its own yet. */
CASE(write_before_the_handshake_starts_no_timer, ONE_BACKEND)
{
	struct timeval hour = {3600, 0};
	int transport;

	begin();
	for (transport = FILTER_ON_SOCKET; transport < TRANSPORTS; transport++) {
		make_ends(transport);
		CHECK_EQUAL(bufferevent_set_timeouts(client.bev, NULL, &hour), 0);
		CHECK_EQUAL(bufferevent_write(client.bev, "x", 1), 0);
		CHECK_EQUAL(event_pending(&client.bev->ev_write, EV_TIMEOUT, NULL), 0);
		CHECK_EQUAL(evbuffer_get_length(bufferevent_get_output(client.bev)), 1);
		server.wanted = 1;
		run_until(&server.finished, 1);
		free_ends();
	}
	end_all();
}

DIFFERENCE(write_timeout_with_nothing_to_write, EVERY_BACKEND,
	   "a TLS filter with nothing to write still gets a write timeout")
{
	struct timeval timeout = {0, 20000};
	int transport;

	begin();
	for (transport = 0; transport < TRANSPORTS; transport++) {
		connect_ends(transport);
		CHECK_EQUAL(bufferevent_set_timeouts(client.bev, NULL, &timeout), 0);
		CHECK_EQUAL(bufferevent_write(client.bev, "x", 1), 0);
		run_for(80);
		CHECK_EQUAL(client.timeouts, 0);
		free_ends();
	}
	end_all();
}
