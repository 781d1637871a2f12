/* A resolver and a name server with everything that can be set, while memory runs out. */
#define _GNU_SOURCE
#include "scenarios.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <pthread.h>

static void
answer(struct evdns_server_request *request, void *arg)
{
	static const unsigned char addresses[64 * 16] = {192, 0, 2, 1};
	int i, failed = 0;
	(void)arg;
	for (i = 0; i < request->nquestions; i++) {
		const char *name = request->questions[i]->name;
		int is_large = !strncmp(name, "large", 5);
		switch (request->questions[i]->type) {
		case EVDNS_TYPE_A:
			if (!strncmp(name, "alias", 5))
				failed |= evdns_server_request_add_cname_reply(request, name, "canonical.test", 60);
			else if (!strncmp(name, "none", 4))
				failed = 3;
			else
				failed |= evdns_server_request_add_a_reply(request, name, is_large ? 60 : 1, addresses, 60);
			if (!strncmp(name, "alias", 5))
				failed |= evdns_server_request_add_a_reply(request, "canonical.test", 1, addresses, 60);
			break;
		case EVDNS_TYPE_AAAA:
			failed |= evdns_server_request_add_aaaa_reply(request, name, 2, addresses, 60);
			break;
		case EVDNS_TYPE_PTR:
			failed |= evdns_server_request_add_ptr_reply(request, NULL, name, "pointed.test", 60);
			break;
		}
	}
	evdns_server_request_add_reply(request, EVDNS_ADDITIONAL_SECTION, "x.test", 16, EVDNS_CLASS_INET, 5, 3, 0, "\2hi");
	if (evdns_server_request_respond(request, failed < 0 ? 2 : failed))
		evdns_server_request_drop(request);
}

struct names {
	int waits, failed, finished;
};

static void
told(struct names *names, int failed)
{
	names->failed |= failed;
	names->finished = --names->waits == 0;
}

static void
resolved(int error, char type, int count, int ttl, void *addresses, void *arg)
{
	(void)type;
	(void)ttl;
	(void)addresses;
	HOLDS(error || count >= 1, "nothing was found");
	told(arg, error != 0 && error != DNS_ERR_CANCEL);
}

static void
found(int error, struct evutil_addrinfo *list, void *arg)
{
	if (list)
		evutil_freeaddrinfo(list);
	told(arg, error != 0 && error != EVUTIL_EAI_CANCEL);
}

/* Answers over streams what did not fit into a datagram. */
static void *
answer_streams(void *arg)
{
	static const unsigned char rest[] = {0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1};
	unsigned char bytes[600], reply[600];
	int fd, length, listening = *(int *)arg;
	while ((fd = accept(listening, NULL, NULL)) >= 0) {
		struct timeval limit = {2, 0};
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
		while (recv(fd, bytes, 2, MSG_WAITALL) == 2 && (length = bytes[0] << 8 | bytes[1]) < 500 &&
		       recv(fd, bytes, length, MSG_WAITALL) == length) {
			int size = length + (int)sizeof rest;
			/* There may be an additional record behind the question. */
			memcpy(reply + 2, bytes, length);
			reply[0] = size >> 8;
			reply[1] = size & 255;
			reply[4] = 0x81;
			reply[5] = 0x80;
			reply[8] = 0;
			reply[9] = 1;
			reply[12] = reply[13] = 0;
			memcpy(reply + 2 + length, rest, sizeof rest);
			if (write(fd, reply, size + 2) != size + 2)
				break;
		}
		close(fd);
	}
	return NULL;
}

/* Two sockets with one port: nobody else has it for datagrams then. */
static void
bind_both(int *datagrams, int *streams, struct sockaddr_in *address)
{
	socklen_t length = sizeof *address;
	*address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	*datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	for (*streams = -1; *streams < 0;) {
		address->sin_port = 0;
		*streams = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		HOLDS(!bind(*streams, (struct sockaddr *)address, length) && !listen(*streams, 10) &&
		      !getsockname(*streams, (struct sockaddr *)address, &length), "a socket");
		if (bind(*datagrams, (struct sockaddr *)address, length)) {
			close(*streams);
			*streams = -1;
		}
	}
}

static int
set_up_resolver(struct evdns_base *resolver, struct sockaddr_in *address)
{
	static const char *const options[][2] = {{"ndots:", "1"}, {"timeout:", "0.3"}, {"attempts:", "2"}, {"max-inflight:", "3"},
		{"randomize-case:", "1"}, {"max-timeouts:", "5"}, {"getaddrinfo-allow-skew:", "1"}, {"initial-probe-timeout:", "1"},
		{"bind-to:", "127.0.0.1"}};
	int good = 1;
	size_t i;
	for (i = 0; i < sizeof options / sizeof *options; i++)
		good &= !evdns_base_set_option(resolver, options[i][0], options[i][1]);
	evdns_base_search_add(resolver, "one.test");
	evdns_base_search_add(resolver, "two.test");
	evdns_base_search_ndots_set(resolver, 2);
	evdns_base_nameserver_ip_add(resolver, "127.0.0.1:1");
	evdns_base_clear_nameservers_and_suspend(resolver);
	good &= !evdns_base_nameserver_sockaddr_add(resolver, (struct sockaddr *)address, sizeof *address, 0);
	evdns_base_resume(resolver);
	return good;
}

/* A look-up that was begun is told of, one that was not has failed. */
static void
begun(struct names *names, int is_begun)
{
	if (!is_begun)
		told(names, 1);
}

static void
look_up_addresses(struct evdns_base *resolver, struct names *names)
{
	static const char *const plain[] = {"alias.test", "large.test", "cancelled.test"};
	struct in_addr four = {htonl(0xc0000201)};
	struct in6_addr six = {{{0x20, 1}}};
	struct evdns_request *request = NULL;
	char name[40];
	int i;
	names->waits += 5 + 3 + 3;
	for (i = 0; i < 5; i++) {
		snprintf(name, sizeof name, "a%d", i);
		begun(names, evdns_base_resolve_ipv4(resolver, name, 0, resolved, names) != NULL);
	}
	for (i = 0; i < 3; i++) {
		request = evdns_base_resolve_ipv4(resolver, plain[i], DNS_QUERY_NO_SEARCH, resolved, names);
		begun(names, request != NULL);
	}
	if (request)
		evdns_cancel_request(resolver, request);
	begun(names, evdns_base_resolve_ipv6(resolver, "six.test", DNS_QUERY_NO_SEARCH, resolved, names) != NULL);
	begun(names, evdns_base_resolve_reverse(resolver, &four, 0, resolved, names) != NULL);
	begun(names, evdns_base_resolve_reverse_ipv6(resolver, &six, 0, resolved, names) != NULL);
}

/* What fails at once is told by the callback, before the call returns. */
static void
look_up_names(struct evdns_base *resolver, struct names *names)
{
	struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = EVUTIL_AI_CANONNAME};
	struct evdns_getaddrinfo_request *request;
	names->waits += 3;
	evdns_getaddrinfo(resolver, "both.test", "80", &hints, found, names);
	evdns_getaddrinfo(resolver, "alias.test", "80", &hints, found, names);
	request = evdns_getaddrinfo(resolver, "gone.test", "80", &hints, found, names);
	if (request)
		evdns_getaddrinfo_cancel(request);
}

static enum ending
use_names(int flags, int threads)
{
	struct event_base *base = new_base(threads);
	/* One for this function, so that it does not end before all have begun. */
	struct names names = {.waits = 1};
	struct evdns_base *resolver;
	struct evdns_server_port *port;
	struct sockaddr_in address;
	pthread_t thread;
	int datagrams, streams;
	enum ending ending = REFUSED;
	if (!base)
		return REFUSED;
	bind_both(&datagrams, &streams, &address);
	HOLDS(!pthread_create(&thread, NULL, answer_streams, &streams), "a thread");
	port = evdns_add_server_port_with_base(base, datagrams, 0, answer, NULL);
	if (!port)
		close(datagrams);
	resolver = evdns_base_new(base, flags);
	if (resolver && port && set_up_resolver(resolver, &address)) {
		look_up_addresses(resolver, &names);
		look_up_names(resolver, &names);
		told(&names, 0);
		if (run_until(base, &names.finished) == DONE && !names.failed)
			ending = DONE;
	}
	faults_stop();
	if (resolver)
		evdns_base_free(resolver, 1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	if (port)
		evdns_close_server_port(port);
	shutdown(streams, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(streams);
	finish_base(base);
	return ending;
}

IN_MEMORY(dns_with_all)
{
	return use_names(0, 0);
}

IN_MEMORY(dns_with_locks)
{
	return use_names(EVDNS_BASE_DISABLE_WHEN_INACTIVE, 1);
}
