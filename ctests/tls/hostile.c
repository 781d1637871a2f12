/* compile: -Wl,--no-as-needed -levent_openssl -lssl -lcrypto */
/* What a peer can do: cut its bytes anywhere, send them one by one, change them. */
#include "tls/tools.h"

/* --- What the other end of a handshake sends, taken from a session in memory ---------------------------- */

enum { MOST = 20000, WORDS = 3000 };

/* An end that the test moves bytes to and from. */
static SSL *peer;

static void
make_peer(int server)
{
	peer = SSL_new(context);
	CHECK(peer);
	SSL_set_bio(peer, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	if (server)
		SSL_set_accept_state(peer);
	else
		SSL_set_connect_state(peer);
}

/* The end under test is on one side of a socketpair, the test on the other. */
static int outside;

static void
make_tested(int server, int filter)
{
	struct bufferevent *below = NULL;
	int fds[2];

	make_connection(0, fds);
	outside = fds[1];
	if (filter)
		CHECK((below = bufferevent_socket_new(base, fds[0], BEV_OPT_CLOSE_ON_FREE)));
	make_end(&client, "tested", below, fds[0], server ? BUFFEREVENT_SSL_ACCEPTING : BUFFEREVENT_SSL_CONNECTING);
}

/* Lets the peer take what the tested end has sent, and says what it wants to send. */
static int
step(char *bytes)
{
	char data[MOST];
	int got;

	CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
	CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
	if ((got = received(outside, data, sizeof data)) > 0)
		CHECK_EQUAL(BIO_write(SSL_get_rbio(peer), data, got), got);
	if (!SSL_is_init_finished(peer))
		SSL_do_handshake(peer);
	else
		SSL_read(peer, data, sizeof data);
	ERR_clear_error();
	got = BIO_read(SSL_get_wbio(peer), bytes, MOST);
	return got > 0 ? got : 0;
}

static void
finish_tested(void)
{
	close(outside);
	SSL_free(peer);
	free_end(&client);
	settle();
}

/* Passes on `limit` bytes of the peer, in parts of a size, and changes the one at a place; returns how many it sent. */
static int
converse(int server, int filter, int limit, int part, int changed)
{
	char bytes[MOST], words[WORDS] = {0};
	int idle = 0, sent = 0, spoke = 0, length, i, size;

	make_tested(server, filter);
	make_peer(!server);
	while (idle < 4 && sent < limit) {
		length = step(bytes);
		if (!length && SSL_is_init_finished(peer) && !spoke++) {
			CHECK(SSL_write(peer, words, sizeof words) > 0);
			length = BIO_read(SSL_get_wbio(peer), bytes, MOST);
		}
		idle = length ? 0 : idle + 1;
		for (i = 0; i < length && sent < limit; i += size, sent += size) {
			size = part < length - i ? part : length - i;
			size = size < limit - sent ? size : limit - sent;
			if (changed >= sent && changed < sent + size)
				bytes[i + changed - sent] ^= 0x41;
			if (send(outside, bytes + i, size, MSG_NOSIGNAL) != size)
				return sent;
			if (part < 100)
				CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
		}
	}
	return sent;
}

static void
byte_by_byte(void)
{
	int server, filter, sent;

	for (server = 0; server < 2; server++)
		for (filter = 0; filter < 2; filter++) {
			sent = converse(server, filter, 1 << 20, 1, -1);
			settle();
			printf("server %d, filter %d: connected %d, got %zu, ended %d\n", server, filter, client.connected, client.got,
			       client.ended);
			CHECK(sent > WORDS);
			finish_tested();
		}
}

CASE(one_byte_at_a_time, EVERY_BACKEND)
{
	for_versions(byte_by_byte);
}

/* Bytes that end anywhere: there is one end and no more, and no data that was not sent. */
static void
cut_anywhere(void)
{
	int server, filter, limit, all, stride = 97;

	for (server = 0; server < 2; server++)
		for (filter = 0; filter < 2; filter++) {
			all = converse(server, filter, 1 << 20, MOST, -1);
			finish_tested();
			/* Signatures differ in length. */
			for (limit = 0; limit < all - 20; limit += limit < 8 || limit > all - 30 ? 1 : stride) {
				converse(server, filter, limit, MOST, -1);
				CHECK_EQUAL(shutdown(outside, SHUT_WR), 0);
				run_until(&client.ended, 1);
				settle();
				CHECK_EQUAL(client.ended, 1);
				CHECK(client.got == 0 || client.got == WORDS);
				finish_tested();
			}
		}
}

CASE(cut_at_every_byte, ONE_BACKEND | SLOW)
{
	for_versions(cut_anywhere);
}

/* A changed byte is noticed, or does not matter; it never passes as data. */
static void
change_anywhere(void)
{
	int server, filter, place, all, stride = 97;

	for (server = 0; server < 2; server++)
		for (filter = 0; filter < 2; filter++) {
			all = converse(server, filter, 1 << 20, MOST, -1);
			finish_tested();
			for (place = 0; place < all; place += stride) {
				converse(server, filter, 1 << 20, MOST, place);
				shutdown(outside, SHUT_WR);
				settle();
				run_until(&client.ended, 1);
				CHECK(client.got == 0 || client.got == WORDS);
				finish_tested();
			}
		}
}

CASE(changed_anywhere, ONE_BACKEND | SLOW)
{
	for_versions(change_anywhere);
}

/* --- A peer that asks for new keys again and again, and takes no answer ---------------------------------- */

static void
flood_with_key_updates(int filter, int count, int recovers)
{
	char byte;
	int i, got;

	make_context(TLS1_3_VERSION);
	make_base();
	make_tested(1, filter);
	CHECK((peer = SSL_new(context)));
	CHECK_EQUAL(evutil_make_socket_nonblocking(outside), 0);
	CHECK_EQUAL(SSL_set_fd(peer, outside), 1);
	SSL_set_connect_state(peer);
	while (SSL_do_handshake(peer) != 1 || !client.connected)
		CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
	settle();
	for (i = 0; i < count; i++) {
		if (SSL_key_update(peer, SSL_KEY_UPDATE_REQUESTED) != 1 || SSL_do_handshake(peer) != 1)
			break;
		if (i % 16 == 0)
			CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
	}
	settle();
	CHECK_EQUAL(client.ended, 0);
	if (filter) {
		struct evbuffer *output = bufferevent_get_output(bufferevent_get_underlying(client.bev));

		CHECK(evbuffer_get_length(output) > 0);
		CHECK(evbuffer_get_length(output) < 200000);
	}
	/* It takes them after all. */
	client.wanted = 4;
	for (i = got = 0; i < 10000 && recovers && !client.finished; i++) {
		CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
		SSL_read(peer, &byte, 1);
		if (got != 4 && SSL_do_handshake(peer) == 1 && (got = SSL_write(peer, "data", 4)) != 4)
			got = 0;
	}
	print_end(&client);
	CHECK_EQUAL(client.got, recovers ? 4 : 0);
	finish_tested();
	finish();
	SSL_CTX_free(context);
}

CASE(key_updates_without_end, EVERY_BACKEND)
{
	flood_with_key_updates(0, 20000, 0);
	/* The answers fill the socket, but the questions do not yet. */
	flood_with_key_updates(0, 400, 1);
}

DIFFERENCE(key_updates_below_a_filter, EVERY_BACKEND,
	   "a peer of a TLS filter that requests new keys and never reads the answers makes the output below grow without bound")
{
	flood_with_key_updates(1, 20000, 0);
	flood_with_key_updates(1, 2800, 1);
}
