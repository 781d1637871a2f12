/* Looks names up, all at once, and prints their addresses.
 *
 *     gcc dns_lookup.c -o dns_lookup $(pkg-config --cflags --libs libevent)
 *     ./dns_lookup debian.org kernel.org
 *     ./dns_lookup @127.0.0.1:5353 some.name        asks that server
 */
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

static int left, failed;

static void
found(int result, struct evutil_addrinfo *list, void *arg)
{
	const char *name = arg;
	char text[INET6_ADDRSTRLEN];

	if (result != 0) {
		printf("%s: %s\n", name, evutil_gai_strerror(result));
		failed = 1;
	}
	for (struct evutil_addrinfo *one = list; one; one = one->ai_next) {
		const void *address = one->ai_family == AF_INET
			? (const void *)&((struct sockaddr_in *)one->ai_addr)->sin_addr
			: (const void *)&((struct sockaddr_in6 *)one->ai_addr)->sin6_addr;

		printf("%s: %s\n", name, evutil_inet_ntop(one->ai_family, address, text, sizeof text));
	}
	if (list)
		evutil_freeaddrinfo(list);
	left--;
}

int
main(int argc, char **argv)
{
	struct event_base *base = event_base_new();
	/* Either the servers in resolv.conf, or the one named on the command line. */
	int own_server = argc > 1 && argv[1][0] == '@';
	struct evdns_base *resolver;
	/* One result per address, not one per socket type. */
	struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};

	if (!base || argc - own_server < 2) {
		fprintf(stderr, "usage: %s [@SERVER] NAME...\n", argv[0]);
		return EXIT_FAILURE;
	}
	/* With the second flag the loop ends when all look-ups are done. */
	resolver = evdns_base_new(base, (own_server ? 0 : EVDNS_BASE_INITIALIZE_NAMESERVERS) |
						EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (!resolver || (own_server && evdns_base_nameserver_ip_add(resolver, argv[1] + 1) != 0)) {
		fprintf(stderr, "dns_lookup: no such name server\n");
		return EXIT_FAILURE;
	}
	for (int i = 1 + own_server; i < argc; i++) {
		left++;
		/* May call back at once, if the name is an address or is in the hosts file. */
		evdns_getaddrinfo(resolver, argv[i], NULL, &hints, found, argv[i]);
	}
	while (left > 0 && event_base_loop(base, EVLOOP_ONCE) == 0)
		;

	evdns_base_free(resolver, 0);
	event_base_free(base);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
