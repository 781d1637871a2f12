/* Looks names up with the library and prints what it is told, one line each, in the order of the
 * questions. usage: dns_client SERVER... < QUESTIONS, where a question is "a NAME", "aaaa NAME",
 * "ptr ADDRESS" or "info NAME". A line "wait MILLISECONDS" lets what is before end first. */
#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { MOST = 20000, ANSWER = 16000 };

static struct event_base *base;
static struct evdns_base *dns;
static char *answers[MOST];
static int asked, reported;

static void
end_one(void)
{
	if (++reported == asked)
		event_base_loopexit(base, NULL);
}

static void
add(int number, const char *text)
{
	char *answer = answers[number];

	if (!answer)
		answer = answers[number] = calloc(1, ANSWER);
	if (strlen(answer) + strlen(text) + 2 < ANSWER)
		strcat(strcat(answer, *answer ? " " : ""), text);
}

static void
on_result(int result, char type, int count, int ttl, void *addresses, void *arg)
{
	int number = (int)(long)arg;
	char text[INET6_ADDRSTRLEN];

	(void)ttl;
	if (result)
		add(number, evdns_err_to_string(result));
	for (int i = 0; i < count; i++)
		if (type == DNS_PTR)
			add(number, ((char **)addresses)[i]);
		else if (type == DNS_IPv4_A)
			add(number, inet_ntop(AF_INET, (char *)addresses + 4 * i, text, sizeof text));
		else
			add(number, inet_ntop(AF_INET6, (char *)addresses + 16 * i, text, sizeof text));
	end_one();
}

static void
on_list(int result, struct evutil_addrinfo *list, void *arg)
{
	int number = (int)(long)arg;
	char text[INET6_ADDRSTRLEN];

	if (result)
		add(number, evutil_gai_strerror(result));
	if (list && list->ai_canonname)
		add(number, list->ai_canonname);
	for (struct evutil_addrinfo *one = list; one; one = one->ai_next)
		add(number, one->ai_family == AF_INET
				? inet_ntop(AF_INET, &((struct sockaddr_in *)one->ai_addr)->sin_addr, text, sizeof text)
				: inet_ntop(AF_INET6, &((struct sockaddr_in6 *)one->ai_addr)->sin6_addr, text, sizeof text));
	if (list)
		evutil_freeaddrinfo(list);
	end_one();
}

static void
ask(const char *kind, const char *name)
{
	struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = EVUTIL_AI_CANONNAME};
	void *number = (void *)(long)asked++;
	struct in_addr v4;
	struct in6_addr v6;

	if (!strcmp(kind, "a"))
		evdns_base_resolve_ipv4(dns, name, DNS_QUERY_NO_SEARCH, on_result, number);
	else if (!strcmp(kind, "aaaa"))
		evdns_base_resolve_ipv6(dns, name, DNS_QUERY_NO_SEARCH, on_result, number);
	else if (!strcmp(kind, "info"))
		evdns_getaddrinfo(dns, name, NULL, &hints, on_list, number);
	else if (inet_pton(AF_INET, name, &v4) == 1)
		evdns_base_resolve_reverse(dns, &v4, 0, on_result, number);
	else if (inet_pton(AF_INET6, name, &v6) == 1)
		evdns_base_resolve_reverse_ipv6(dns, &v6, 0, on_result, number);
}

static void
settle(void)
{
	if (reported < asked)
		event_base_dispatch(base);
}

int
main(int argc, char **argv)
{
	char kind[20], name[1000];

	base = event_base_new();
	dns = evdns_base_new(base, 0);
	evdns_base_set_option(dns, "timeout", "0.5");
	evdns_base_set_option(dns, "attempts", "20");
	evdns_base_set_option(dns, "max-inflight", "200");
	evdns_base_set_option(dns, "initial-probe-timeout", "0.2");
	for (int i = 1; i < argc; i++)
		if (evdns_base_nameserver_ip_add(dns, argv[i]))
			return 1;
	while (scanf("%19s %999s", kind, name) == 2) {
		if (!strcmp(kind, "wait")) {
			struct timeval pause = {atoi(name) / 1000, atoi(name) % 1000 * 1000};

			settle();
			event_base_loopexit(base, &pause);
			event_base_dispatch(base);
		} else {
			ask(kind, name);
		}
	}
	settle();
	for (int i = 0; i < asked; i++)
		puts(answers[i] ? answers[i] : "");
	evdns_base_free(dns, 0);
	event_base_free(base);
	return 0;
}
