/* Coverage-guided: the input is a resolv.conf file and a hosts file. */
#define _GNU_SOURCE
#include "checks.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static struct event_base *base;

static void
ignore_message(int severity, const char *message)
{
	(void)severity, (void)message;
}

static void
on_list(int result, struct evutil_addrinfo *list, void *arg)
{
	(void)arg;
	CHECK(result || list);
	if (list)
		evutil_freeaddrinfo(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct evdns_base *dns;
	struct evdns_getaddrinfo_request *request;
	char path[40], name[20];
	int fd;

	if (!base) {
		base = event_base_new();
		event_set_log_callback(ignore_message);
	}
	fd = memfd_create("file", 0);
	CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	dns = evdns_base_new(base, 0);
	CHECK(dns);
	CHECK(evdns_base_count_nameservers(dns) == 0);
	evdns_base_resolv_conf_parse(dns, DNS_OPTION_SEARCH | DNS_OPTION_MISC, path);
	CHECK_EQUAL(evdns_base_load_hosts(dns, path), 0);
	memcpy(name, data, size < 19 ? size : 19);
	name[size < 19 ? size : 19] = 0;
	request = evdns_getaddrinfo(dns, name, "80", NULL, on_list, NULL);
	if (request)
		evdns_getaddrinfo_cancel(request);
	event_base_loop(base, EVLOOP_NONBLOCK);
	evdns_base_free(dns, 1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	close(fd);
	return 0;
}
