/* Patterns of DNS: a resolver and a server in one loop, a server whose client is a bare socket. */
#define _GNU_SOURCE
#include "patterns.h"

#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <sys/mman.h>

struct names {
	struct event_base *base;
	struct evdns_base *dns;
	struct evdns_server_port *port;
	struct sockaddr_in address;
	long answers;
};

static void
answer(struct evdns_server_request *request, void *arg)
{
	(void)arg;
	REQUIRE(evdns_server_request_add_a_reply(request, request->questions[0]->name, 1, "\300\0\2\1", 60) == 0);
	REQUIRE(evdns_server_request_respond(request, 0) == 0);
}

static void
open_server(struct names *names, evdns_request_callback_fn_type callback)
{
	socklen_t length = sizeof names->address;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), size = 8 << 20;

	*names = (struct names){.base = event_base_new()};
	names->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&names->address, length) == 0);
	REQUIRE(getsockname(fd, (struct sockaddr *)&names->address, &length) == 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	names->port = evdns_add_server_port_with_base(names->base, fd, 0, callback, names);
	REQUIRE(names->port);
}

static void
open_resolver(struct names *names)
{
	names->dns = evdns_base_new(names->base, 0);
	REQUIRE(names->dns && evdns_base_set_option(names->dns, "max-inflight", "60000") == 0);
	REQUIRE(evdns_base_nameserver_sockaddr_add(names->dns, (struct sockaddr *)&names->address,
						   sizeof names->address, 0) == 0);
}

static void
close_names(struct names *names)
{
	if (names->dns)
		evdns_base_free(names->dns, 0);
	evdns_close_server_port(names->port);
	turn(names->base);
	event_base_free(names->base);
}

static void
count_answer(int result, char type, int count, int ttl, void *addresses, void *arg)
{
	(void)type, (void)count, (void)ttl, (void)addresses;
	REQUIRE(result == DNS_ERR_NONE);
	++((struct names *)arg)->answers;
}

static void
look_up(struct names *names, long number)
{
	char name[40];

	snprintf(name, sizeof name, "host%ld.example.com", number);
	REQUIRE(evdns_base_resolve_ipv4(names->dns, name, DNS_QUERY_NO_SEARCH, count_answer, names));
}

static void
wait_for_answers(struct names *names, long count)
{
	while (names->answers < count)
		REQUIRE(event_base_loop(names->base, EVLOOP_ONCE) >= 0);
}

PATTERN(dns_look_ups_one_by_one, 200)
{
	struct names names;

	open_server(&names, answer);
	open_resolver(&names);
	for (long i = 0; i < n; i++) {
		look_up(&names, i);
		wait_for_answers(&names, i + 1);
	}
	pattern_load_is_over();
	close_names(&names);
}

PATTERN(dns_look_ups_in_flight, 100)
{
	struct names names;

	open_server(&names, answer);
	open_resolver(&names);
	for (long i = 0; i < n; i++)
		look_up(&names, i);
	wait_for_answers(&names, n);
	pattern_load_is_over();
	close_names(&names);
}

PATTERN(dns_answers_of_a_server, 300)
{
	static const char question[] = "\0\0\1\0\0\1\0\0\0\0\0\0\4host\7example\3com\0\0\1\0\1";
	struct names names;
	char reply[512];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	open_server(&names, answer);
	REQUIRE(connect(fd, (struct sockaddr *)&names.address, sizeof names.address) == 0);
	while (n--) {
		put(fd, question, sizeof question - 1);
		turn(names.base);
		REQUIRE(recv(fd, reply, sizeof reply, 0) > 0);
	}
	close(fd);
	close_names(&names);
}

static long records;

static void
answer_much(struct evdns_server_request *request, void *arg)
{
	char name[40];

	for (long i = 0; i < records; i++) {
		snprintf(name, sizeof name, "host%ld.example.com", i % 100);
		REQUIRE(evdns_server_request_add_a_reply(request, name, 1, "\300\0\2\1", 60) == 0);
	}
	REQUIRE(evdns_server_request_respond(request, 0) == 0);
	++((struct names *)arg)->answers;
}

PATTERN(dns_answer_of_many_records, 100)
{
	static const char question[] = "\0\0\1\0\0\1\0\0\0\0\0\0\4host\7example\3com\0\0\1\0\1";
	struct names names;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	records = n;
	open_server(&names, answer_much);
	REQUIRE(connect(fd, (struct sockaddr *)&names.address, sizeof names.address) == 0);
	put(fd, question, sizeof question - 1);
	wait_for_answers(&names, 1);
	close(fd);
	close_names(&names);
}

/* A file of hosts in memory, whose path is that of its descriptor. */
PATTERN(dns_hosts_file, 300)
{
	struct event_base *base = event_base_new();
	struct evdns_base *dns = evdns_base_new(base, 0);
	char path[40];
	int fd = memfd_create("hosts", 0);

	for (long i = 0; i < n; i++)
		REQUIRE(dprintf(fd, "10.%ld.%ld.%ld host%ld.example.com alias%ld\n", i / 65536, i / 256 % 256, i % 256, i, i) > 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	REQUIRE(lseek(fd, 0, SEEK_SET) == 0 && evdns_base_load_hosts(dns, path) == 0);
	pattern_load_is_over();
	evdns_base_free(dns, 0);
	event_base_free(base);
	close(fd);
}

static void
take_addresses(int result, struct evutil_addrinfo *addresses, void *calls)
{
	REQUIRE(result == 0 && addresses);
	evutil_freeaddrinfo(addresses);
	++*(long *)calls;
}

PATTERN(dns_numeric_getaddrinfo, 500)
{
	struct event_base *base = event_base_new();
	struct evdns_base *dns = evdns_base_new(base, 0);
	struct evutil_addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	long calls = 0, wanted = n;

	while (n--)
		evdns_getaddrinfo(dns, "192.0.2.1", "80", &hints, take_addresses, &calls);
	while (calls < wanted)
		turn(base);
	evdns_base_free(dns, 0);
	event_base_free(base);
}
