/* Coverage-guided: the input is what a name server sends over TCP after all its datagrams were marked as
 * truncated: in pieces, with true or false lengths, cut off anywhere. Every look-up ends exactly once. */
#define _GNU_SOURCE
#include "checks.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOOK_UPS = 3 };

static struct event_base *base;
static struct evdns_base *dns;
static int server, listener;
static int reported;
static volatile unsigned sum;
static uint8_t questions[LOOK_UPS][64];
static size_t lengths[LOOK_UPS];

static void
ignore_message(int severity, const char *message)
{
	(void)severity, (void)message;
}

static void
on_result(int result, char type, int count, int ttl, void *addresses, void *arg)
{
	(void)type, (void)arg;
	reported++;
	CHECK(result >= 0 && ttl >= 0);
	if (result)
		CHECK(!addresses && !count);
	for (int i = 0; i < 4 * count; i++)
		sum += ((uint8_t *)addresses)[i];
}

/* Both sockets get the same port, which is free for both. */
static int
bind_both(struct sockaddr_in *address)
{
	socklen_t length = sizeof *address;
	int yes = 1;

	server = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	address->sin_port = 0;
	CHECK_EQUAL(bind(server, (struct sockaddr *)address, length), 0);
	CHECK_EQUAL(getsockname(server, (struct sockaddr *)address, &length), 0);
	if (bind(listener, (struct sockaddr *)address, length) == 0)
		return 1;
	close(server);
	close(listener);
	return 0;
}

static void
begin(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int tries = 0;

	event_set_log_callback(ignore_message);
	base = event_base_new();
	while (!bind_both(&address))
		CHECK(++tries < 100);
	CHECK_EQUAL(listen(listener, 10), 0);
	dns = evdns_base_new(base, 0);
	CHECK_EQUAL(evdns_base_nameserver_sockaddr_add(dns, (struct sockaddr *)&address, sizeof address, 0), 0);
	CHECK_EQUAL(evdns_base_set_option(dns, "attempts", "1"), 0);
	CHECK_EQUAL(evdns_base_set_option(dns, "timeout", "0.002"), 0);
	CHECK_EQUAL(evdns_base_set_option(dns, "randomize-case", "0"), 0);
	CHECK_EQUAL(evdns_base_set_option(dns, "initial-probe-timeout", "1000"), 0);
}

/* Answers every query that came as a datagram with the truncated bit set. */
static void
cut_datagrams(void)
{
	uint8_t packet[64];
	struct sockaddr_in peer;
	socklen_t length = sizeof peer;
	ssize_t asked;

	while ((asked = recvfrom(server, packet, sizeof packet, 0, (struct sockaddr *)&peer, &length)) > 12) {
		int which = (packet[13] - 'a') % LOOK_UPS;

		packet[2] = 0x83;
		memcpy(questions[which], packet, (size_t)asked);
		lengths[which] = (size_t)asked;
		(void)!sendto(server, packet, (size_t)asked, 0, (struct sockaddr *)&peer, length);
		length = sizeof peer;
	}
}

/* Says what the input has next: a byte that says how much it is and what stands in front. Whether the
 * connection goes on. */
static int
say(int fd, const uint8_t **data, size_t *size)
{
	uint8_t control = **data, packet[200];
	size_t count = control >> 3, head = 0, which = control & 3;

	++*data, --*size;
	count = count < *size ? count : *size;
	if (which < LOOK_UPS && lengths[which]) {
		/* Its true length, or a larger one, so that the next piece of input belongs to it. */
		size_t whole = lengths[which] + count + (control & 4 ? 9 : 0);

		packet[0] = (uint8_t)(whole >> 8);
		packet[1] = (uint8_t)whole;
		memcpy(packet + 2, questions[which], lengths[which]);
		packet[4] = 0x81;
		packet[9] = 1;
		head = 2 + lengths[which];
	}
	memcpy(packet + head, *data, count);
	*data += count;
	*size -= count;
	return send(fd, packet, head + count, MSG_NOSIGNAL) == (ssize_t)(head + count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = -1, connections = 0;

	if (size < 1)
		return 0;
	if (!base)
		begin();
	reported = 0;
	memset(lengths, 0, sizeof lengths);
	for (int i = 0; i < LOOK_UPS; i++)
		CHECK(evdns_base_resolve_ipv4(dns, (const char *[]){"a", "b", "c"}[i], DNS_QUERY_NO_SEARCH, on_result, NULL));
	for (int turn = 0; reported < LOOK_UPS; turn++) {
		cut_datagrams();
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (fd < 0 && (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
			connections++;
		if (fd >= 0 && size > 0) {
			/* 0xff closes the connection. */
			if (*data == 0xff) {
				data++, size--;
				close(fd);
				fd = -1;
			} else if (!say(fd, &data, &size)) {
				close(fd);
				fd = -1;
			}
		}
		if (reported < LOOK_UPS && (size == 0 || turn > 100))
			event_base_loop(base, EVLOOP_ONCE);
		CHECK(turn < 10000);
	}
	CHECK(connections <= 2 * LOOK_UPS);
	CHECK_EQUAL(reported, LOOK_UPS);
	/* The next input gets its own connection. */
	if (fd >= 0)
		close(fd);
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
		close(fd);
	event_base_loop(base, EVLOOP_NONBLOCK);
	CHECK_EQUAL(reported, LOOK_UPS);
	return 0;
}
