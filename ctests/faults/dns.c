/* A name server and a resolver while system calls fail. */
#define _GNU_SOURCE
#include "scenarios.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>

enum { LOOKUPS = 6 };

struct lookups {
	int ended, failed, finished;
};

static void
serve(struct evdns_server_request *request, void *arg)
{
	static const unsigned char address[4] = {192, 0, 2, 1};
	int i;
	(void)arg;
	for (i = 0; i < request->nquestions; i++) {
		if (request->questions[i]->type == EVDNS_TYPE_A)
			evdns_server_request_add_a_reply(request, request->questions[i]->name, 1, address, 60);
	}
	evdns_server_request_respond(request, 0);
}

static void
end_lookup(struct lookups *lookups, int failed)
{
	lookups->failed += failed;
	lookups->finished = ++lookups->ended == LOOKUPS;
}

static void
resolved(int error, char type, int count, int ttl, void *addresses, void *arg)
{
	(void)ttl;
	HOLDS(error || (type == DNS_IPv4_A && count == 1 && *(uint32_t *)addresses == htonl(0xc0000201)), "a wrong answer");
	end_lookup(arg, error != 0);
}

static void
found(int error, struct evutil_addrinfo *list, void *arg)
{
	HOLDS(error || ((struct sockaddr_in *)list->ai_addr)->sin_addr.s_addr == htonl(0xc0000201), "a wrong answer");
	if (list)
		evutil_freeaddrinfo(list);
	end_lookup(arg, error != 0);
}

/* A socket of the test's own and its address. */
static int
bound_socket(struct sockaddr_in *address)
{
	socklen_t length = sizeof *address;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	memset(address, 0, sizeof *address);
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	HOLDS(fd >= 0 && !bind(fd, (struct sockaddr *)address, length) && !getsockname(fd, (struct sockaddr *)address, &length), "a socket");
	return fd;
}

static enum ending
look_up(struct event_base *base, struct evdns_base *resolver)
{
	struct evutil_addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct lookups lookups = {0};
	char name[40];
	int i;
	for (i = 0; i < LOOKUPS - 1; i++) {
		snprintf(name, sizeof name, "name%d.test", i);
		if (!evdns_base_resolve_ipv4(resolver, name, DNS_QUERY_NO_SEARCH, resolved, &lookups))
			end_lookup(&lookups, 1);
	}
	/* An immediate failure is reported to the callback before the call returns. */
	evdns_getaddrinfo(resolver, "other.test", "80", &hints, found, &lookups);
	if (run_until(base, &lookups.finished) != DONE) {
		/* The loop failed: pending requests are cancelled. */
		faults_stop();
		evdns_base_free(resolver, 0);
		return REFUSED;
	}
	evdns_base_free(resolver, 0);
	return lookups.failed ? REFUSED : DONE;
}

/* The directory of this program. */
static char directory[200];

__attribute__((constructor)) static void
find_directory(void)
{
	if (readlink("/proc/self/exe", directory, sizeof directory - 1) > 0)
		*strrchr(directory, '/') = 0;
}

/* The system's files, made for the test. */
SCENARIO(dns_files)
{
	static const char settings[] = "nameserver 127.0.0.1\noptions attempts:1\n", names[] = "192.0.2.1 here.test\n";
	struct evutil_addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct event_base *base = new_base(0);
	struct evdns_base *resolver;
	struct lookups lookups = {.ended = LOOKUPS - 1};
	char paths[2][sizeof directory + 40];
	int file, i, good = 0;
	if (!base)
		return REFUSED;
	for (i = 0; i < 2; i++) {
		snprintf(paths[i], sizeof paths[i], "%s/file-%d-%d", directory, getpid(), i);
		file = open(paths[i], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		HOLDS(write(file, i ? names : settings, i ? sizeof names - 1 : sizeof settings - 1) > 0, "a file");
		close(file);
	}
	resolver = evdns_base_new(base, 0);
	if (resolver) {
		good = !evdns_base_resolv_conf_parse(resolver, DNS_OPTIONS_ALL & ~DNS_OPTION_HOSTSFILE, paths[0]) &
		       !evdns_base_load_hosts(resolver, paths[1]);
		HOLDS(!good || evdns_base_count_nameservers(resolver) == 1, "a name server is missing");
		if (good) {
			evdns_getaddrinfo(resolver, "here.test", "80", &hints, found, &lookups);
			good = run_until(base, &lookups.finished) == DONE && !lookups.failed;
		}
		evdns_base_free(resolver, 1);
	}
	unlink(paths[0]);
	unlink(paths[1]);
	finish_base(base);
	return good ? DONE : REFUSED;
}

SCENARIO(dns)
{
	struct event_base *base = new_base(0);
	struct evdns_base *resolver;
	struct evdns_server_port *port;
	struct sockaddr_in address;
	enum ending ending = REFUSED;
	int fd;
	if (!base)
		return REFUSED;
	fd = bound_socket(&address);
	port = evdns_add_server_port_with_base(base, fd, 0, serve, NULL);
	resolver = evdns_base_new(base, 0);
	if (!port)
		close(fd);
	if (resolver && port && !evdns_base_set_option(resolver, "timeout", "0.2") && !evdns_base_set_option(resolver, "attempts", "2") &&
	    !evdns_base_nameserver_sockaddr_add(resolver, (struct sockaddr *)&address, sizeof address, 0))
		ending = look_up(base, resolver);
	else if (resolver)
		evdns_base_free(resolver, 0);
	if (port)
		evdns_close_server_port(port);
	event_base_loop(base, EVLOOP_NONBLOCK);
	finish_base(base);
	return ending;
}
