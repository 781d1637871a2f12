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
	int server, filter, limit, all, stride = under_valgrind() ? 97 : 19;

	for (server = 0; server < 2; server++)
		for (filter = 0; filter < 2; filter++) {
			all = converse(server, filter, 1 << 20, MOST, -1);
			finish_tested();
			/* Signatures differ in length. */
			for (limit = 0; limit < all - 20; limit += limit < 20 || limit > all - 40 ? 1 : stride) {
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

/* A byte that was changed is noticed, or does not matter; it never passes as data. */
static void
change_anywhere(void)
{
	int server, filter, place, all, stride = under_valgrind() ? 97 : 19;

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
