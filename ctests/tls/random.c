/* compile: -Wl,--no-as-needed -levent_openssl -lssl -lcrypto */
/* Many connections with random sizes, settings and limits. */
#include "tls/tools.h"

static unsigned long random_state = 1;

static int
random_below(int limit)
{
	random_state = random_state * 6364136223846793005ul + 1442695040888963407ul;
	return (random_state >> 33) % limit;
}

/* Bytes of all sizes through all settings come out as they went in. */
CASE(random_connections, ONE_BACKEND | SLOW)
{
	struct timeval tick = {0, 2000};
	struct ev_token_bucket_cfg *limit = ev_token_bucket_cfg_new(100000, 200000, 100000, 200000, &tick);
	int i, piece, sizes[2], count = under_valgrind() ? 10 : 200;

	make_base();
	for (i = 0; i < count; i++) {
		context = NULL;
		make_context(i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION);
		options_now = (i / 2 % 2 ? BEV_OPT_DEFER_CALLBACKS : 0);
		make_ends(i % TRANSPORTS);
		sizes[0] = random_below(200000) + 1;
		sizes[1] = random_below(200000) + 1;
		client.wanted = sizes[1];
		server.wanted = sizes[0];
		/* The reference stands still below the length of a record. */
		if (random_below(2))
			bufferevent_setwatermark(client.bev, EV_READ, 0, 20000 + random_below(50000));
		if (random_below(2))
			bufferevent_setwatermark(server.bev, EV_WRITE, random_below(5000), 0);
		if (random_below(4) == 0)
			CHECK_EQUAL(bufferevent_set_rate_limit(client.bev, limit), 0);
		while (sizes[0] || sizes[1]) {
			int side = random_below(2);

			piece = random_below(random_below(2) ? 100 : 30000) + 1;
			piece = piece > sizes[side] ? sizes[side] : piece;
			write_pattern(side ? &server : &client, piece, i + piece);
			sizes[side] -= piece;
			if (random_below(4) == 0)
				CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
		}
		run_until(&client.finished, 1);
		run_until(&server.finished, 1);
		print_end(&client);
		print_end(&server);
		bufferevent_set_rate_limit(client.bev, NULL);
		free_ends();
		SSL_CTX_free(context);
	}
	context = NULL;
	ev_token_bucket_cfg_free(limit);
	end_all();
}
