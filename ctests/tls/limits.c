/* compile: -Wl,--no-as-needed -levent_openssl -lssl -lcrypto */
/* Rate limits and full inputs, in the handshake and in the middle of a record. */
#include "tls/tools.h"

DIFFERENCE(limit_in_the_middle_of_a_record, ONE_BACKEND,
	   "a TLS stream stalls when a rate limit stops it in the middle of a record")
{
	struct timeval tick = {0, 5000};
	struct ev_token_bucket_cfg *limit = ev_token_bucket_cfg_new(1000, 1000, 100000, 100000, &tick);
	static const char record[16000];
	int transport;

	begin();
	for (transport = 0; transport < TRANSPORTS; transport++) {
		connect_ends(transport);
		CHECK_EQUAL(bufferevent_set_rate_limit(server.bev, limit), 0);
		server.wanted = sizeof record;
		CHECK_EQUAL(SSL_write(client.ssl, record, sizeof record), sizeof record);
		run_until(&server.finished, 1);
		CHECK_EQUAL(bufferevent_set_rate_limit(server.bev, NULL), 0);
		free_ends();
	}
	ev_token_bucket_cfg_free(limit);
	end_all();
}

/* An end is reported once, even if a limit stopped the direction in the meantime and releases it; nor is it
 * reported again when the program enables the other direction. */
DIFFERENCE(end_is_not_reported_again_after_a_limit, ONE_BACKEND,
	   "a TLS bufferevent that has failed reports that again when its rate limit lets it continue")
{
	struct timeval tick = {0, 5000};
	struct ev_token_bucket_cfg *limit = ev_token_bucket_cfg_new(1000, 1000, 1000, 1000, &tick);

	begin();
	connect_ends(TCP);
	CHECK_EQUAL(bufferevent_set_rate_limit(server.bev, limit), 0);
	shutdown(bufferevent_getfd(client.bev), SHUT_RDWR);
	run_until(&server.ended, 1);
	CHECK(bufferevent_get_enabled(server.bev) & EV_READ);
	for (int i = 0; i < 3; i++) {
		CHECK_EQUAL(bufferevent_decrement_read_limit(server.bev, 3000), 0);
		CHECK_EQUAL(bufferevent_decrement_write_limit(server.bev, 3000), 0);
		while (bufferevent_get_read_limit(server.bev) <= 0 || bufferevent_get_write_limit(server.bev) <= 0)
			event_base_loop(base, EVLOOP_ONCE);
		settle();
		CHECK_EQUAL(server.ended, 1);
	}
	CHECK_EQUAL(bufferevent_set_rate_limit(server.bev, NULL), 0);
	free_ends();
	ev_token_bucket_cfg_free(limit);
	end_all();
}

/* The handshake is charged, but not held back. */
CASE(limit_during_the_handshake, ONE_BACKEND)
{
	struct timeval tick = {10, 0};
	struct ev_token_bucket_cfg *limit = ev_token_bucket_cfg_new(100, 100, 100, 100, &tick);
	int transport;

	begin();
	for (transport = PAIR_OF_SOCKETS; transport <= TCP; transport++) {
		make_ends(transport);
		CHECK_EQUAL(bufferevent_set_rate_limit(server.bev, limit), 0);
		CHECK_EQUAL(bufferevent_set_rate_limit(client.bev, limit), 0);
		run_until(&client.connected, 1);
		run_until(&server.connected, 1);
		printf("below nothing: %d %d\n", bufferevent_get_read_limit(server.bev) < 0, bufferevent_get_write_limit(server.bev) < 0);
		CHECK_EQUAL(bufferevent_set_rate_limit(server.bev, NULL), 0);
		CHECK_EQUAL(bufferevent_set_rate_limit(client.bev, NULL), 0);
		free_ends();
	}
	ev_token_bucket_cfg_free(limit);
	end_all();
}

/* Nor does an input that is full. */
CASE(full_input_during_the_handshake, EVERY_BACKEND)
{
	begin();
	make_ends(TCP);
	bufferevent_setwatermark(client.bev, EV_READ, 0, 10);
	CHECK_EQUAL(evbuffer_add(bufferevent_get_input(client.bev), "full already", 12), 0);
	run_until(&client.connected, 1);
	run_until(&server.connected, 1);
	end_all();
}

/* What was counted on one connection is not charged to another. */
DIFFERENCE(counting_restarts_with_another_connection, EVERY_BACKEND,
	   "a TLS bufferevent exceeds its rate limit by far after another descriptor was set")
{
	struct timeval tick = {10, 0};
	struct ev_token_bucket_cfg *limit = ev_token_bucket_cfg_new(100000, 100000, 100000, 100000, &tick);
	int fds[2];

	begin();
	connect_ends(TCP);
	server.wanted = 500000;
	write_pattern(&client, 500000, 1);
	run_until(&server.finished, 1);
	CHECK_EQUAL(bufferevent_set_rate_limit(server.bev, limit), 0);
	close(bufferevent_getfd(server.bev));
	free_end(&client);
	make_connection(AF_INET, fds);
	CHECK_EQUAL(bufferevent_setfd(server.bev, fds[0]), 0);
	make_end(&client, "client", NULL, fds[1], BUFFEREVENT_SSL_CONNECTING);
	server.connected = 0;
	run_until(&server.connected, 1);
	CHECK(bufferevent_get_read_limit(server.bev) < 100000);
	CHECK(bufferevent_get_write_limit(server.bev) < 100000);
	CHECK_EQUAL(bufferevent_set_rate_limit(server.bev, NULL), 0);
	ev_token_bucket_cfg_free(limit);
	end_all();
}
