/* The system's configuration: /etc/resolv.conf and /etc/hosts, in a directory that only this process sees. */
#define _GNU_SOURCE
#include "tools.h"

#include <event2/dns_compat.h>
#include <event2/event_compat.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/stat.h>

static void
write_file(const char *path, const char *format, ...)
{
	FILE *file = fopen(path, "w");
	va_list arguments;

	CHECK(file);
	va_start(arguments, format);
	vfprintf(file, format, arguments);
	va_end(arguments);
	CHECK_EQUAL(fclose(file), 0);
}

/* Writes to a file of the kernel; returns whether it was accepted. */
static int
put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return written;
}

/* A user who may not mount may do so in a namespace of his own; returns whether that is possible. */
static int
enter_namespace(void)
{
	char user[40], group[40];

	snprintf(user, sizeof user, "0 %u 1", (unsigned)getuid());
	snprintf(group, sizeof group, "0 %u 1", (unsigned)getgid());
	return !unshare(CLONE_NEWUSER | CLONE_NEWNS) && put_text("/proc/self/setgroups", "deny") && put_text("/proc/self/uid_map", user) &&
	       put_text("/proc/self/gid_map", group);
}

/* Puts an empty folder over /etc. */
static void
hide_etc(void)
{
	if ((unshare(CLONE_NEWNS) && !enter_namespace()) || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/etc", "tmpfs", 0, NULL))
		harness_skip("/etc cannot be replaced without privileges");
	/* What libc looks names up in. */
	write_file("/etc/nsswitch.conf", "hosts: files\n");
}

static void
answer_in_domain(struct server *from, const struct query *query)
{
	if (strstr(query->name, "second.test"))
		answer_address(from, query);
	else
		answer_empty(from, query, 3);
}

static void
on_list(int result, struct evutil_addrinfo *list, void *name)
{
	printf("%s: %d\n", (const char *)name, result);
	for (struct evutil_addrinfo *one = list; one; one = one->ai_next) {
		char text[64];
		const void *address = one->ai_family == AF_INET ? (void *)&((struct sockaddr_in *)one->ai_addr)->sin_addr
								: (void *)&((struct sockaddr_in6 *)one->ai_addr)->sin6_addr;

		printf("  %s port %d\n", inet_ntop(one->ai_family, address, text, sizeof text),
		       ntohs(((struct sockaddr_in *)one->ai_addr)->sin_port));
	}
	if (list)
		evutil_freeaddrinfo(list);
	reported++;
}

static struct evutil_addrinfo stream = {.ai_family = PF_UNSPEC, .ai_socktype = SOCK_STREAM};

/* A name that is known without a query. */
static void
look_up_at_once(const char *name)
{
	CHECK(!evdns_getaddrinfo(dns, name, "80", &stream, on_list, (void *)name));
}

static void
print_server(void)
{
	struct sockaddr_in address;

	printf("%d servers", evdns_base_count_nameservers(dns));
	if (evdns_base_get_nameserver_addr(dns, 0, (struct sockaddr *)&address, sizeof address) == sizeof address)
		printf(", at %s%s", inet_ntoa(address.sin_addr), ntohs(address.sin_port) == 53 ? ":53" : "");
	printf("\n");
}

CASE(files_of_the_system, ONE_BACKEND)
{
	struct evutil_addrinfo *list = NULL;

	hide_etc();
	base = new_base();
	start_server(&server, "server", answer_in_domain);
	write_file("/etc/resolv.conf", "# by hand\nnameserver 127.0.0.1:%d\nsearch first.test second.test\noptions timeout:9 attempts:1 ndots:2\n",
		   server.port);
	write_file("/etc/hosts", "127.0.0.1 localhost\n192.0.2.7 here.test Alias # a comment\n2001:db8::7 here.test\n");
	dns = evdns_base_new(base, EVDNS_BASE_INITIALIZE_NAMESERVERS);
	CHECK(dns);
	CHECK_EQUAL(evdns_base_count_nameservers(dns), 1);
	/* The domains of the file, in its order, and first since the name has too few dots. */
	resolve_ipv4("a.host", 0);
	resolve_ipv4("a.host.second.test", 0);
	look_up_at_once("here.test");
	look_up_at_once("ALIAS");
	look_up_at_once("localhost");
	CHECK(evdns_getaddrinfo(dns, "other", "80", &stream, on_list, "other"));
	wait_for(&reported, 1);
	/* The look-up that waits reads the same names, by way of libc. */
	printf("%d\n", evutil_getaddrinfo("alias", "80", &stream, &list));
	on_list(0, list, "alias, waiting");
	/* Read once: later changes are not seen. */
	write_file("/etc/hosts", "192.0.2.8 here.test\n");
	look_up_at_once("here.test");
	CHECK_EQUAL(evdns_base_resolv_conf_parse(dns, DNS_OPTION_HOSTSFILE, "/etc/resolv.conf"), 0);
	look_up_at_once("here.test");
	evdns_base_clear_host_addresses(dns);
	CHECK_EQUAL(evdns_base_load_hosts(dns, "/etc/hosts"), 0);
	look_up_at_once("here.test");
	end();
}

/* What cannot be read, and names that stay. */
CASE(files_that_are_missing, ONE_BACKEND)
{
	hide_etc();
	base = new_base();
	CHECK(!evdns_base_new(base, EVDNS_BASE_INITIALIZE_NAMESERVERS));
	CHECK(!evdns_base_new(base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_NAMESERVERS_NO_DEFAULT));
	dns = evdns_base_new(base, 0);
	printf("%d\n", evdns_base_resolv_conf_parse(dns, DNS_OPTIONS_ALL | DNS_OPTION_NAMESERVERS_NO_DEFAULT, "/etc/resolv.conf"));
	print_server();
	printf("%d\n", evdns_base_resolv_conf_parse(dns, DNS_OPTIONS_ALL, NULL));
	print_server();
	look_up_at_once("localhost");
	CHECK_EQUAL(mkdir("/etc/resolv.conf", 0700), 0);
	CHECK(!evdns_base_new(base, EVDNS_BASE_INITIALIZE_NAMESERVERS));
	evdns_base_free(dns, 0);
	CHECK_EQUAL(rmdir("/etc/resolv.conf"), 0);
	write_file("/etc/resolv.conf", "search a.test\n");
	dns = evdns_base_new(base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_NAMESERVERS_NO_DEFAULT);
	CHECK(dns);
	print_server();
	look_up_at_once("localhost");
	evdns_base_free(dns, 0);
	event_base_free(base);
}

/* The resolver of the process. */
CASE(used_by_the_old_interface, ONE_BACKEND)
{
	hide_etc();
	base = event_init();
	CHECK_EQUAL(evdns_init(), -1);
	CHECK_EQUAL(evdns_resolv_conf_parse(DNS_OPTION_NAMESERVERS, "/etc/resolv.conf"), 1);
	printf("%d servers\n", evdns_count_nameservers());
	evdns_shutdown(0);
	start_server(&server, "server", answer_in_domain);
	write_file("/etc/resolv.conf", "search second.test\nnameserver 127.0.0.1:%d\n", server.port);
	CHECK_EQUAL(evdns_init(), 0);
	CHECK_EQUAL(evdns_resolve_ipv4("host", 0, on_result, "host"), 0);
	wait_for(&reported, 1);
	CHECK_EQUAL(evdns_resolv_conf_parse(DNS_OPTIONS_ALL, "/etc/resolv.conf"), 0);
	printf("%d servers\n", evdns_count_nameservers());
	evdns_shutdown(1);
	end();
}

DIFFERENCE(servers_of_the_file_do_not_keep_the_loop_running, ONE_BACKEND,
	"with EVDNS_BASE_DISABLE_WHEN_INACTIVE the servers of resolv.conf keep the loop running until they are used")
{
	hide_etc();
	base = new_base();
	write_file("/etc/resolv.conf", "nameserver 127.0.0.1\n");
	dns = evdns_base_new(base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	CHECK(dns);
	alarm(30);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	evdns_base_free(dns, 0);
	event_base_free(base);
}
