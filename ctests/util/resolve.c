/* Address lists and name resolution without a name server. */
#include "allocator.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netdb.h>
#include <string.h>

const char *evutil_format_sockaddr_port_(const struct sockaddr *sa, char *out, size_t outlen);
struct evutil_addrinfo *evutil_new_addrinfo_(struct sockaddr *sa, ev_socklen_t socklen,
    const struct evutil_addrinfo *hints);
struct evutil_addrinfo *evutil_addrinfo_append_(struct evutil_addrinfo *first, struct evutil_addrinfo *append);
void evutil_adjust_hints_for_addrconfig_(struct evutil_addrinfo *hints);
int evutil_getaddrinfo_common_(const char *nodename, const char *servname, struct evutil_addrinfo *hints,
    struct evutil_addrinfo **res, int *portnum);
struct evdns_base;
struct evdns_getaddrinfo_request;
typedef void resolved(int, struct evutil_addrinfo *, void *);
typedef struct evdns_getaddrinfo_request *resolver(struct evdns_base *, const char *, const char *,
    const struct evutil_addrinfo *, resolved *, void *);
struct evdns_getaddrinfo_request *evutil_getaddrinfo_async_(struct evdns_base *dns_base, const char *nodename,
    const char *servname, const struct evutil_addrinfo *hints_in, resolved *cb, void *arg);
void evutil_getaddrinfo_cancel_async_(struct evdns_getaddrinfo_request *data);
void evutil_set_evdns_getaddrinfo_fn_(resolver *fn);
void evutil_set_evdns_getaddrinfo_cancel_fn_(void (*fn)(struct evdns_getaddrinfo_request *));

#define NEED_RESOLVE -90002

static void
print_list(struct evutil_addrinfo *list)
{
	for (; list; list = list->ai_next) {
		char text[80];
		printf("  flags %#x family %d type %d protocol %d length %d %s%s", (unsigned)list->ai_flags,
		    list->ai_family, list->ai_socktype, list->ai_protocol, (int)list->ai_addrlen,
		    evutil_format_sockaddr_port_(list->ai_addr, text, sizeof text),
		    list->ai_canonname ? " canonical name" : "");
		if (list->ai_family == AF_INET6)
			printf(" zone %u", ((struct sockaddr_in6 *)list->ai_addr)->sin6_scope_id);
		printf("\n");
	}
}

static void
common(const char *node, const char *service, int flags, int family, int type, int protocol)
{
	struct evutil_addrinfo hints = {
		.ai_flags = flags, .ai_family = family, .ai_socktype = type, .ai_protocol = protocol};
	struct evutil_addrinfo *list = NULL;
	int port = -7;
	int result = evutil_getaddrinfo_common_(node, service, &hints, &list, &port);
	printf("%s %s %#x %d %d %d: %d port %d hints %#x %d %d %d\n", node ? node : "-", service ? service : "-",
	    flags, family, type, protocol, result, port, hints.ai_flags, hints.ai_family, hints.ai_socktype,
	    hints.ai_protocol);
	CHECK_EQUAL(result == 0, list != NULL);
	CHECK_EQUAL(result == NEED_RESOLVE, port != -7);
	print_list(list);
	if (list)
		evutil_freeaddrinfo(list);
}

CASE(every_combination_of_hints, ONE_BACKEND)
{
	static const char *const nodes[] = {NULL, "1.2.3.4", "::1", "fe80::2%1", "::1%no-such-if", "example.com", ""};
	static const char *const services[] = {NULL, "80", "0", "no-such-service"};
	static const int flags[] = {0, EVUTIL_AI_PASSIVE, EVUTIL_AI_NUMERICHOST, EVUTIL_AI_CANONNAME};
	static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX};
	static const int kinds[][2] = {{0, 0}, {SOCK_STREAM, 0}, {SOCK_DGRAM, 0}, {SOCK_RAW, 0}, {0, IPPROTO_TCP},
		{0, IPPROTO_UDP}, {0, IPPROTO_SCTP}, {0, 99}, {SOCK_STREAM, IPPROTO_UDP}};
	for (int n = 0; n < 7; n++)
		for (int s = 0; s < 4; s++)
			for (int f = 0; f < 4; f++)
				for (int a = 0; a < 4; a++)
					for (int k = 0; k < 9; k++)
						common(nodes[n], services[s], flags[f], families[a], kinds[k][0],
						    kinds[k][1]);
}

CASE(services, ONE_BACKEND)
{
	static const char *const texts[] = {"80", "0", "00080", "65535", "65536", "99999", "x", "", "8o", "80 ",
		"0x50", "1.0", "-1", "http", "HTTP", "domain", "ssh", "syslog", "shell", "tftp", NULL};
	static const int protocols[] = {0, IPPROTO_TCP, IPPROTO_UDP, 250};
	for (int i = 0; texts[i]; i++)
		for (int p = 0; p < 4; p++) {
			common("name", texts[i], 0, 0, 0, protocols[p]);
			common("name", texts[i], EVUTIL_AI_NUMERICSERV, 0, 0, protocols[p]);
		}
}

DIFFERENCE(port_numbers_are_strict, ONE_BACKEND,
	"evutil_getaddrinfo accepts ports with spaces, signs and numbers that overflow")
{
	static const char *const texts[] = {" 7", "+7", "-0", "4294967303", NULL};
	for (int i = 0; texts[i]; i++) {
		struct evutil_addrinfo hints = {0}, *list = NULL;
		int port = -7;
		CHECK_EQUAL(evutil_getaddrinfo_common_("name", texts[i], &hints, &list, &port), EVUTIL_EAI_NONAME);
	}
}

CASE(lists_are_made_and_joined, ONE_BACKEND)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(7)};
	struct evutil_addrinfo hints = {0}, raw = {.ai_socktype = SOCK_RAW, .ai_protocol = 9}, *list, *one;
	list = evutil_new_addrinfo_((struct sockaddr *)&address, sizeof address, &hints);
	print_list(list);
	one = evutil_new_addrinfo_((struct sockaddr *)&address, sizeof address, &raw);
	print_list(one);
	CHECK(evutil_addrinfo_append_(NULL, one) == one);
	CHECK(evutil_addrinfo_append_(list, NULL) == list);
	CHECK(evutil_addrinfo_append_(list, one) == list);
	print_list(list);
	CHECK(list->ai_next->ai_next == one);
	evutil_freeaddrinfo(list);
}

CASE(lists_without_memory, ONE_BACKEND)
{
	int fails;

	allocator_install();
	for (fails = 1;; fails++) {
		struct evutil_addrinfo hints = {0}, *list = NULL;
		int result, port;
		allocator_fail_at(fails);
		result = evutil_getaddrinfo_common_(NULL, "80", &hints, &list, &port);
		printf("%d: %d\n", fails, result);
		if (result == 0) {
			CHECK_EQUAL(allocator.alive, 4);
			evutil_freeaddrinfo(list);
			CHECK_EQUAL(allocator.alive, 0);
			break;
		}
		CHECK_EQUAL(result, EVUTIL_EAI_MEMORY);
		CHECK_EQUAL(allocator.alive, 0);
	}
	CHECK_EQUAL(fails, 5);
}

static void
blocking(const char *node, const char *service, const struct evutil_addrinfo *hints)
{
	struct evutil_addrinfo *list = NULL;
	int result = evutil_getaddrinfo(node, service, hints, &list);
	printf("%s %s: %d %s\n", node ? node : "-", service ? service : "-", result, evutil_gai_strerror(result));
	if (result == 0) {
		print_list(list);
		evutil_freeaddrinfo(list);
	}
}

CASE(the_blocking_resolver, ONE_BACKEND)
{
	struct evutil_addrinfo stream = {.ai_socktype = SOCK_STREAM}, numeric = stream, ours = stream, odd = {0};
	numeric.ai_flags = EVUTIL_AI_NUMERICHOST | EVUTIL_AI_NUMERICSERV;
	ours.ai_flags = EVUTIL_AI_NUMERICHOST | (int)0x80000000;
	odd.ai_family = 77;
	blocking("1.2.3.4", "80", NULL);
	blocking("1.2.3.4", NULL, &stream);
	blocking("::1", "80", &numeric);
	blocking("1.2.3.4", "http", &numeric);
	blocking("example.com", "80", &numeric);
	blocking("1.2.3.4", "80", &ours);
	blocking(NULL, NULL, &stream);
	blocking(NULL, "80", &stream);
	blocking("1.2.3.4", "80", &odd);
	blocking("localhost", "80", &stream);
}

DIFFERENCE(no_list_can_be_freed, ONE_BACKEND, "evutil_freeaddrinfo(NULL) crashes")
{
	evutil_freeaddrinfo(NULL);
}

DIFFERENCE(mixed_lists_are_freed_by_element, ONE_BACKEND,
    "evutil_freeaddrinfo frees a list of mixed origin as if all of it had the origin of its first element")
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct evutil_addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = EVUTIL_AI_NUMERICHOST}, *ours, *theirs;
	allocator_install();
	for (int first = 0; first < 2; first++) {
		CHECK_EQUAL(evutil_getaddrinfo("1.2.3.4", "80", &hints, &theirs), 0);
		ours = evutil_new_addrinfo_((struct sockaddr *)&address, sizeof address, &hints);
		CHECK_EQUAL(allocator.alive, 1);
		evutil_freeaddrinfo(
		    first ? evutil_addrinfo_append_(ours, theirs) : evutil_addrinfo_append_(theirs, ours));
		CHECK_EQUAL(allocator.alive, 0);
	}
}

CASE(error_texts, ONE_BACKEND)
{
	for (int code = -20; code < 3; code++)
		printf("%d %s\n", code, evutil_gai_strerror(code));
	printf("%s\n", evutil_gai_strerror(EVUTIL_EAI_CANCEL));
	printf("%s\n", evutil_gai_strerror(123456));
}

CASE(the_family_of_this_machine, ONE_BACKEND)
{
	static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX};
	for (int i = 0; i < 4; i++)
		for (int flags = 0; flags <= EVUTIL_AI_ADDRCONFIG; flags += EVUTIL_AI_ADDRCONFIG) {
			struct evutil_addrinfo hints = {.ai_family = families[i], .ai_flags = flags};
			evutil_adjust_hints_for_addrconfig_(&hints);
			evutil_adjust_hints_for_addrconfig_(&hints);
			printf("%d %#x: %d %#x\n", families[i], flags, hints.ai_family, hints.ai_flags);
		}
}

static void
print_result(int result, struct evutil_addrinfo *list, void *arg)
{
	printf("%s: %d\n", (const char *)arg, result);
	if (result == 0) {
		print_list(list);
		evutil_freeaddrinfo(list);
	}
}

static struct evdns_getaddrinfo_request *
first_resolver(struct evdns_base *base, const char *node, const char *service,
    const struct evutil_addrinfo *hints, resolved *cb, void *arg)
{
	printf("first resolver: base %d %s %s hints %d cb %d arg %s\n", base != NULL, node, service, hints != NULL,
	    cb == print_result, (const char *)arg);
	return arg;
}

static struct evdns_getaddrinfo_request *
second_resolver(struct evdns_base *base, const char *node, const char *service,
    const struct evutil_addrinfo *hints, resolved *cb, void *arg)
{
	(void)base, (void)node, (void)service, (void)hints, (void)cb;
	printf("second resolver\n");
	return arg;
}

static void
print_cancel(struct evdns_getaddrinfo_request *request)
{
	printf("cancelled %s\n", (const char *)request);
}

CASE(the_registered_resolver, ONE_BACKEND)
{
	struct evutil_addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = EVUTIL_AI_NUMERICHOST};
	struct evdns_base *base = (struct evdns_base *)"base";
	void *request = "request";
	CHECK(evutil_getaddrinfo_async_(NULL, "1.2.3.4", "80", &hints, print_result, "no base") == NULL);
	CHECK(evutil_getaddrinfo_async_(base, "1.2.3.4", "80", &hints, print_result, "no resolver") == NULL);
	CHECK(evutil_getaddrinfo_async_(base, "name", "80", &hints, print_result, "no address") == NULL);
	evutil_getaddrinfo_cancel_async_(NULL);
	evutil_getaddrinfo_cancel_async_(request);
	evutil_set_evdns_getaddrinfo_fn_(first_resolver);
	evutil_set_evdns_getaddrinfo_fn_(second_resolver);
	evutil_set_evdns_getaddrinfo_fn_(NULL);
	evutil_set_evdns_getaddrinfo_cancel_fn_(print_cancel);
	CHECK(evutil_getaddrinfo_async_(base, "1.2.3.4", "80", &hints, print_result, request) == request);
	CHECK(evutil_getaddrinfo_async_(NULL, "1.2.3.4", "80", &hints, print_result, "no base") == NULL);
	evutil_getaddrinfo_cancel_async_(NULL);
	evutil_getaddrinfo_cancel_async_(request);
}
