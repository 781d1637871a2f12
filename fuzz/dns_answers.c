/* Coverage-guided: the input is what a name server answers, which the resolver reads from a socket as
 * usual. Every look-up ends exactly once, whatever the answer is. */
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

static struct event_base *base;
static struct evdns_base *dns;
static int server;
static int reported;
static volatile unsigned sum;

static void
ignore_message(int severity, const char *message)
{
	(void)severity, (void)message;
}

static void
on_result(int result, char type, int count, int ttl, void *addresses, void *arg)
{
	(void)arg;
	reported++;
	CHECK(result >= 0 && ttl >= 0);
	if (result)
		CHECK(!addresses && !count);
	for (int i = 0; i < count; i++)
		if (type == DNS_PTR)
			sum += (unsigned)strlen(((char **)addresses)[i]);
		else
			for (int k = 0; k < (type == DNS_IPv4_A ? 4 : 16); k++)
				sum += ((uint8_t *)addresses)[i * (type == DNS_IPv4_A ? 4 : 16) + k];
}

static void
on_list(int result, struct evutil_addrinfo *list, void *arg)
{
	(void)arg;
	reported++;
	CHECK(result || list);
	if (list)
		evutil_freeaddrinfo(list);
}

static void
begin(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;

	event_set_log_callback(ignore_message);
	base = event_base_new();
	server = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	CHECK_EQUAL(bind(server, (struct sockaddr *)&address, sizeof address), 0);
	CHECK_EQUAL(getsockname(server, (struct sockaddr *)&address, &length), 0);
	dns = evdns_base_new(base, 0);
	CHECK_EQUAL(evdns_base_nameserver_sockaddr_add(dns, (struct sockaddr *)&address, sizeof address, 0), 0);
	CHECK_EQUAL(evdns_base_set_option(dns, "attempts", "1"), 0);
	CHECK_EQUAL(evdns_base_set_option(dns, "timeout", "0.001"), 0);
	CHECK_EQUAL(evdns_base_set_option(dns, "randomize-case", "0"), 0);
	CHECK_EQUAL(evdns_base_set_option(dns, "getaddrinfo-allow-skew", "0.001"), 0);
	CHECK_EQUAL(evdns_base_set_option(dns, "initial-probe-timeout", "1000"), 0);
	evdns_base_search_add(dns, "b");
}

/* The first byte chooses what is asked for; the second how the answer begins: as it should, or with
 * what the input says. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = EVUTIL_AI_CANONNAME};
	struct in_addr in = {htonl(INADDR_LOOPBACK)};

	if (size < 2)
		return 0;
	if (!base)
		begin();
	reported = 0;
	switch (data[0] % 4) {
	case 0:
		CHECK(evdns_base_resolve_ipv4(dns, "a", data[0] & 4 ? 0 : DNS_QUERY_NO_SEARCH, on_result, NULL));
		break;
	case 1:
		CHECK(evdns_base_resolve_ipv6(dns, "a", DNS_QUERY_NO_SEARCH, on_result, NULL));
		break;
	case 2:
		CHECK(evdns_base_resolve_reverse(dns, &in, 0, on_result, NULL));
		break;
	default:
		CHECK(evdns_getaddrinfo(dns, "a.b", "80", &hints, on_list, NULL));
	}
	for (int turn = 0; !reported; turn++) {
		uint8_t packet[1600];
		struct sockaddr_in peer;
		socklen_t length = sizeof peer;
		ssize_t asked;

		while ((asked = recvfrom(server, packet, 512, 0, (struct sockaddr *)&peer, &length)) > 0) {
			/* Either the whole answer, but for the id, is the input's; or the flags, the counts and
			 * what stands behind the question. */
			int whole = !(data[1] & 1) || size < 6;
			size_t head = whole ? 2 : (size_t)asked, used = whole ? 2 : 6;
			size_t rest = size - used < 1000 ? size - used : 1000;

			memcpy(packet + head, data + used, rest);
			if (!whole) {
				packet[2] = data[2] | 0x80;
				packet[3] = data[3];
				packet[7] = data[4] % 40;
				packet[9] = data[5] % 4;
			}
			(void)!sendto(server, packet, head + rest, 0, (struct sockaddr *)&peer, length);
			length = sizeof peer;
		}
		event_base_loop(base, turn < 3 ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
		CHECK(turn < 10000);
	}
	event_base_loop(base, EVLOOP_NONBLOCK);
	CHECK_EQUAL(reported, 1);
	return 0;
}
