/* Coverage-guided: the input is what a peer sends to a TLS bufferevent: before the handshake, in the middle of it, after
 * it without encryption, or as data of the session, in the last two cases perhaps after much other data. The bufferevent
 * is a client or a server, on a socket or as a filter. The end is reported once, and what is read is exactly what was
 * sent inside the session. */
#define _GNU_SOURCE
#include "tls/tools.h"
#include "checks.h"

enum moment { BEFORE, DURING, BEHIND, INSIDE };
enum { MUCH = 50000 };

static SSL *peer;
static int outside;

/* Moves data between both ends until the peer has taken this many steps. */
static void
converse(int steps)
{
	char bytes[20000];
	int got;

	for (; steps > 0; steps--) {
		CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
		if ((got = received(outside, bytes, sizeof bytes)) > 0)
			CHECK_EQUAL(BIO_write(SSL_get_rbio(peer), bytes, got), got);
		SSL_read(peer, bytes, sizeof bytes);
		ERR_clear_error();
		while ((got = BIO_read(SSL_get_wbio(peer), bytes, sizeof bytes)) > 0)
			send(outside, bytes, got, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
}

static void
make_both(int tested_serves, int filter)
{
	struct bufferevent *below = NULL;
	int fds[2];

	make_connection(0, fds);
	outside = fds[1];
	if (filter)
		CHECK((below = bufferevent_socket_new(base, fds[0], BEV_OPT_CLOSE_ON_FREE)));
	make_end(&client, "tested", below, fds[0], tested_serves ? BUFFEREVENT_SSL_ACCEPTING : BUFFEREVENT_SSL_CONNECTING);
	CHECK((peer = SSL_new(context)));
	SSL_set_bio(peer, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	if (tested_serves)
		SSL_set_connect_state(peer);
	else
		SSL_set_accept_state(peer);
}

static void
send_in_parts(const uint8_t *data, size_t size, size_t part)
{
	size_t length;

	for (; size > 0; data += length, size -= length) {
		length = part < size ? part : size;
		send(outside, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
	}
}

/* A lot of data passes both ways, so that the next records are read and sent several at a time. */
static void
exchange_much(void)
{
	static const char much[MUCH];

	CHECK_EQUAL(SSL_write(peer, much, MUCH), MUCH);
	CHECK_EQUAL(bufferevent_write(client.bev, much, MUCH), 0);
	converse(6);
	CHECK_EQUAL(client.got, MUCH);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum moment moment;
	size_t passed = 0;

	if (size < 3)
		return 0;
	if (!context)
		begin();
	moment = data[0] & 3;
	make_both(data[0] & 4, data[0] & 8);
	converse(moment == BEFORE ? 0 : moment == DURING ? 1 : 6);
	if (moment >= BEHIND && data[0] & 32) {
		exchange_much();
		passed = MUCH;
	}
	if (moment == INSIDE)
		CHECK_EQUAL(SSL_write(peer, data + 2, (int)size - 2), (int)size - 2);
	else
		send_in_parts(data + 2, size - 2, data[0] & 16 ? 1 + data[1] % 40 : size);
	converse(4);
	CHECK(client.ended <= 1);
	CHECK_EQUAL(client.got, passed + (moment == INSIDE ? size - 2 : 0));
	shutdown(outside, SHUT_WR);
	converse(3);
	CHECK(client.ended >= 1);
	close(outside);
	SSL_free(peer);
	free_end(&client);
	settle();
	ERR_clear_error();
	return 0;
}
