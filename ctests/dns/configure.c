/* Options, servers, resolv.conf files. */
#define _GNU_SOURCE
#include "tools.h"

#include <sched.h>
#include <sys/mount.h>

static void
try(const char *option, const char *value)
{
	printf("%s %s: %d\n", option, value, evdns_base_set_option(dns, option, value));
}

CASE(options, ONE_BACKEND)
{
	static const char *const integers[] = {"ndots", "max-timeouts:", "max-inflight", "attempts:x", "randomize-case", "so-rcvbuf", "so-sndbuf"};
	static const char *const times[] = {"timeout", "initial-probe-timeout:", "getaddrinfo-allow-skew"};
	static const char *const numbers[] = {"0", "1", "-1", "-2", "99999", "x", "1x", ""};
	static const char *const seconds[] = {"0", "0.001", "1", "10000", "-1", "x", "1x", "", "0.0001", "2.5"};

	base = new_base();
	dns = evdns_base_new(base, 0);
	for (size_t i = 0; i < sizeof integers / sizeof *integers; i++)
		for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
			try(integers[i], numbers[k]);
	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		for (size_t k = 0; k < sizeof seconds / sizeof *seconds; k++)
			try(times[i], seconds[k]);
	try("bind-to", "1.2.3.4");
	try("bind-to:", "1.2.3.4:53");
	try("bind-to", "::1:82");
	try("bind-to", "[::1]:82");
	try("bind-to", "x");
	try("unknown", "x");
	try("Timeout", "x");
	try("timeouts", "x");
	end();
}

DIFFERENCE(values_that_are_missing_or_endless, ONE_BACKEND, "an option without a value crashes, and an infinite time is accepted")
{
	base = new_base();
	dns = evdns_base_new(base, 0);
	CHECK_EQUAL(evdns_base_set_option(dns, "timeout", "inf"), -1);
	CHECK_EQUAL(evdns_base_set_option(dns, "timeout", "nan"), -1);
	CHECK_EQUAL(evdns_base_set_option(dns, "timeout", NULL), -1);
	end();
}

static void
print_servers(void)
{
	int count = evdns_base_count_nameservers(dns);

	printf("%d servers:", count);
	for (int i = 0; i < count; i++) {
		struct sockaddr_storage storage;
		char text[INET6_ADDRSTRLEN];
		int length = evdns_base_get_nameserver_addr(dns, i, (struct sockaddr *)&storage, sizeof storage);
		const void *address = storage.ss_family == AF_INET ? (void *)&((struct sockaddr_in *)&storage)->sin_addr
								   : (void *)&((struct sockaddr_in6 *)&storage)->sin6_addr;

		printf(" %s %d (%d)", inet_ntop(storage.ss_family, address, text, sizeof text), ntohs(((struct sockaddr_in *)&storage)->sin_port), length);
	}
	printf("\n");
}

CASE(servers, ONE_BACKEND)
{
	static const char *const texts[] = {"127.0.0.1", "127.0.0.2:5353", "::1", "[::1]:5353", "[::2]", "127.0.0.1:53", "127.0.0.1:0",
					    "127.0.0.1:65536", "host", "", "127.0.0.1\r", "[::1", "1.2.3", "127.0.0.3 "};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_storage storage;

	base = new_base();
	dns = evdns_base_new(base, 0);
	printf("%d\n", evdns_base_get_nameserver_addr(dns, 0, NULL, 0));
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		printf("'%s': %d\n", texts[i], evdns_base_nameserver_ip_add(dns, texts[i]));
	printf("%d\n", evdns_base_nameserver_add(dns, htonl(0x7f000005)));
	printf("%d\n", evdns_base_nameserver_add(dns, htonl(0x7f000005)));
	printf("%d\n", evdns_base_nameserver_sockaddr_add(dns, (struct sockaddr *)&address, sizeof address, 0));
	memset(&storage, 0, sizeof storage);
	storage.ss_family = AF_INET;
	printf("%d\n", evdns_base_nameserver_sockaddr_add(dns, (struct sockaddr *)&storage, sizeof storage + 1, 0) != 0);
	print_servers();
	memset(&storage, 0x55, sizeof storage);
	printf("%d %d %d\n", evdns_base_get_nameserver_addr(dns, 0, (struct sockaddr *)&storage, 3),
	       evdns_base_get_nameserver_addr(dns, 99, (struct sockaddr *)&storage, sizeof storage), storage.ss_family == 0x5555);
	printf("%d\n", evdns_base_get_nameserver_addr(dns, -5, (struct sockaddr *)&storage, sizeof storage));
	end();
}

DIFFERENCE(servers_of_several_interfaces, ONE_BACKEND, "the same link-local address on two interfaces counts as one server")
{
	base = new_base();
	dns = evdns_base_new(base, 0);
	CHECK_EQUAL(evdns_base_nameserver_ip_add(dns, "fe80::1%1"), 0);
	CHECK_EQUAL(evdns_base_nameserver_ip_add(dns, "fe80::1%2"), 0);
	CHECK_EQUAL(evdns_base_nameserver_ip_add(dns, "fe80::1%2"), 3);
	end();
}

static const char *
file_of(const char *text)
{
	static char path[40];
	int fd;

	strcpy(path, "/tmp/ctests-dns-XXXXXX");
	fd = mkstemp(path);
	CHECK(fd >= 0);
	CHECK_EQUAL(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	return path;
}

static void
parse(int flags, const char *text)
{
	const char *path = file_of(text);

	printf("%d\n", evdns_base_resolv_conf_parse(dns, flags, path));
	unlink(path);
}

CASE(files, ONE_BACKEND)
{
	base = new_base();
	dns = evdns_base_new(base, 0);
	parse(DNS_OPTIONS_ALL & ~DNS_OPTION_HOSTSFILE, "# comment\n; another\nnameserver\t127.0.0.1\n nameserver 127.0.0.2 trailing\n"
						       "nameserver [::1]:5353\nnameserver 999.1.1.1\nnameserver\nNameserver 127.0.0.9\n"
						       "sortlist x\noptions timeout:3 attempts:x rotate unknown:1\n");
	print_servers();
	parse(DNS_OPTION_SEARCH, "nameserver 127.0.0.3\nsearch a.test\n");
	parse(DNS_OPTION_NAMESERVERS, "nameserver 127.0.0.3\n");
	print_servers();
	printf("%d\n", evdns_base_resolv_conf_parse(dns, DNS_OPTION_MISC, "/nonexistent/resolv.conf"));
	printf("%d\n", evdns_base_resolv_conf_parse(dns, DNS_OPTION_MISC, NULL));
	printf("%d\n", evdns_base_resolv_conf_parse(dns, DNS_OPTION_MISC, "/"));
	print_servers();
	end();
}

CASE(files_without_servers, ONE_BACKEND)
{
	base = new_base();
	dns = evdns_base_new(base, 0);
	parse(DNS_OPTION_MISC, "search x.test\n");
	print_servers();
	parse(DNS_OPTION_NAMESERVERS | DNS_OPTION_NAMESERVERS_NO_DEFAULT, "search x.test\n");
	print_servers();
	parse(DNS_OPTION_NAMESERVERS, "search x.test\n");
	print_servers();
	parse(DNS_OPTION_NAMESERVERS, "search x.test\n");
	CHECK_EQUAL(evdns_base_clear_nameservers_and_suspend(dns), 0);
	printf("%d\n", evdns_base_resolv_conf_parse(dns, DNS_OPTION_NAMESERVERS, "/nonexistent/resolv.conf"));
	print_servers();
	end();
}

/* The library's name for this machine, rather than libc's. */
int
gethostname(char *name, size_t size)
{
	snprintf(name, size, "host.own.test");
	return 0;
}

static void
answer_nothing(struct server *from, const struct query *query)
{
	answer_empty(from, query, 3);
}

/* Without the file, the domain of this machine's name is searched if domains were asked for. */
static void
without_a_file(int parts)
{
	base = new_base();
	start_server(&server, "server", answer_nothing);
	dns = evdns_base_new(base, 0);
	CHECK_EQUAL(evdns_base_resolv_conf_parse(dns, parts, "/nonexistent/resolv.conf"), 1);
	evdns_base_clear_nameservers_and_suspend(dns);
	CHECK_EQUAL(add_server(dns, &server), 0);
	CHECK_EQUAL(evdns_base_resume(dns), 0);
	resolve_ipv4("name", 0);
	end();
}

CASE(own_domain, ONE_BACKEND)
{
	without_a_file(DNS_OPTION_NAMESERVERS);
	without_a_file(DNS_OPTION_NAMESERVERS | DNS_OPTION_SEARCH);
	without_a_file(DNS_OPTION_SEARCH);
}

static void
answer_no_name(struct server *from, const struct query *query)
{
	answer_empty(from, query, 3);
}

CASE(search_lines, ONE_BACKEND)
{
	begin(answer_no_name);
	parse(DNS_OPTION_SEARCH, "search a.test b.test\n");
	resolve_ipv4("host", 0);
	parse(DNS_OPTION_SEARCH, "search c.test\ndomain d.test e.test\n");
	resolve_ipv4("host", 0);
	/* Ignored. */
	parse(DNS_OPTION_NAMESERVERS, "search f.test\n");
	parse(DNS_OPTION_SEARCH, "search g.test\noptions ndots:2\n");
	resolve_ipv4("a.host", 0);
	end();
}

DIFFERENCE(dots_before_domains, ONE_BACKEND,
	   "the option ndots in a resolv.conf file is ignored before the search line, and a comment after that line becomes part of it")
{
	begin(answer_no_name);
	parse(DNS_OPTION_SEARCH, "options ndots:2\nsearch a.test # comment\n");
	server.quiet = 1;
	resolve_ipv4("a.host", 0);
	CHECK_EQUAL(server.queries, 2);
	end();
}

/* This process alone has this text in the system's file. */
static void
replace_system_file(const char *text)
{
	const char *path = file_of(text);
	int seen = (unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
		   mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
		   mount(path, "/etc/resolv.conf", "none", MS_BIND, NULL) == 0;

	unlink(path);
	if (!seen)
		harness_skip("another file cannot be put in the place of /etc/resolv.conf");
}

DIFFERENCE(system_file_without_servers, ONE_BACKEND,
	"a resolver with the system's configuration cannot be made if resolv.conf names no server, though the one on this machine should be used")
{
	replace_system_file("search a.test\n");
	base = new_base();
	dns = evdns_base_new(base, EVDNS_BASE_INITIALIZE_NAMESERVERS);
	CHECK(dns);
	CHECK_EQUAL(evdns_base_count_nameservers(dns), 1);
	end();
}

CASE(bound_address, ONE_BACKEND)
{
	log_to_stdout();
	base = new_base();
	dns = evdns_base_new(base, 0);
	set("bind-to", "127.0.0.1");
	/* Servers on this machine are reached from any source address. */
	printf("%d\n", evdns_base_nameserver_ip_add(dns, "::1"));
	printf("%d\n", evdns_base_nameserver_ip_add(dns, "192.0.2.1"));
	printf("%d\n", evdns_base_nameserver_ip_add(dns, "2001:db8::1"));
	set("bind-to", "192.0.2.99");
	printf("%d\n", evdns_base_nameserver_ip_add(dns, "192.0.2.2"));
	end();
}

CASE(unknown_flags_of_a_resolver, ONE_BACKEND)
{
	log_to_stdout();
	base = new_base();
	dns = evdns_base_new(base, EVDNS_BASE_NAMESERVERS_NO_DEFAULT);
	CHECK(dns);
	printf("%d servers\n", evdns_base_count_nameservers(dns));
	end();
}

/* Addresses that are no servers, and the port as it is given. */
CASE(socket_addresses, ONE_BACKEND)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000009)};
	struct sockaddr_storage odd = {.ss_family = AF_UNIX};

	log_to_stdout();
	base = new_base();
	dns = evdns_base_new(base, 0);
	printf("%d\n", evdns_base_nameserver_sockaddr_add(dns, (struct sockaddr *)&address, sizeof address, 99));
	print_servers();
	odd.ss_family = 200;
	printf("%d\n", evdns_base_nameserver_sockaddr_add(dns, (struct sockaddr *)&odd, sizeof odd, 0));
	/* Three servers: new ones are inserted after the one whose turn it is. */
	evdns_base_clear_nameservers_and_suspend(dns);
	for (int i = 1; i < 5; i++) {
		address.sin_port = htons((uint16_t)(1000 + i));
		CHECK_EQUAL(evdns_base_nameserver_sockaddr_add(dns, (struct sockaddr *)&address, sizeof address, 0), 0);
	}
	print_servers();
	end();
}

/* Sockets made later have buffers of the requested size. */
CASE(sizes_of_buffers, ONE_BACKEND)
{
	int sizes[2] = {0}, fd;
	socklen_t length = sizeof sizes[0];

	base = new_base();
	dns = evdns_base_new(base, 0);
	set("so-rcvbuf", "10240");
	set("so-sndbuf", "20480");
	/* The next descriptor is the lowest free one. */
	fd = dup(0);
	close(fd);
	CHECK_EQUAL(evdns_base_nameserver_ip_add(dns, "127.0.0.1"), 0);
	CHECK_EQUAL(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &sizes[0], &length), 0);
	CHECK_EQUAL(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sizes[1], &length), 0);
	printf("%d %d\n", sizes[0], sizes[1]);
	end();
}
