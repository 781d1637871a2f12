/* evdns_getaddrinfo(): both families, in time, with names from hosts files and without a server. */
#include "tools.h"

#include <netdb.h>

static int delay_kind; /* which family the server leaves out: a type, or 0 */
static int refused_type;
static int inside;

static void
print_list(const char *name, int result, struct evutil_addrinfo *list)
{
	printf("%s: %d%s\n", name, result, list ? "" : ", no list");
	for (struct evutil_addrinfo *one = list; one; one = one->ai_next) {
		char text[INET6_ADDRSTRLEN];
		const void *address = one->ai_family == AF_INET ? (void *)&((struct sockaddr_in *)one->ai_addr)->sin_addr
								: (void *)&((struct sockaddr_in6 *)one->ai_addr)->sin6_addr;

		printf("  %s port %d, type %d, protocol %d%s%s\n", inet_ntop(one->ai_family, address, text, sizeof text),
		       ntohs(((struct sockaddr_in *)one->ai_addr)->sin_port), one->ai_socktype, one->ai_protocol,
		       one->ai_canonname ? ", name " : "", one->ai_canonname ? one->ai_canonname : "");
	}
}

static void
on_list(int result, struct evutil_addrinfo *list, void *name)
{
	reported++;
	CHECK(!inside || !list || result == 0);
	print_list(name, result, list);
	if (list)
		evutil_freeaddrinfo(list);
}

/* Starts a look-up and says whether it was answered at once. */
static struct evdns_getaddrinfo_request *
start(const char *name, const char *service, int family, int type, int flags)
{
	struct evutil_addrinfo hints = {.ai_family = family, .ai_socktype = type, .ai_flags = flags};
	struct evdns_getaddrinfo_request *request = evdns_getaddrinfo(dns, name, service, &hints, on_list, (void *)(name ? name : "(none)"));

	printf("%s: %s\n", name ? name : "(none)", request ? "started" : "answered at once");
	return request;
}

static void
look_up(const char *name, const char *service, int family, int type, int flags)
{
	int before = reported;

	if (start(name, service, family, type, flags))
		wait_for(&reported, 1);
	CHECK_EQUAL(reported, before + 1);
}

static void
answer_some(struct server *from, const struct query *query)
{
	static struct message message;

	if (query->type == delay_kind)
		return;
	if (query->type == refused_type || !strcmp(query->name, "absent.test")) {
		answer_empty(from, query, 3);
		return;
	}
	if (!strcmp(query->name, "empty.test")) {
		answer_empty(from, query, 0);
		return;
	}
	begin_answer(&message, query, 0, 3, 0);
	put_name_record(&message, TYPE_CNAME, 60, "real.test");
	if (query->type == TYPE_A) {
		put_a(&message, 60, "192.0.2.2");
		put_a(&message, 60, "192.0.2.1");
	} else {
		put_aaaa(&message, 60, "2001:db8::2");
		put_aaaa(&message, 60, "2001:db8::1");
	}
	send_message(from, query, &message);
}

CASE(families, ONE_BACKEND)
{
	begin(answer_some);
	look_up("both.test", "80", PF_UNSPEC, SOCK_STREAM, 0);
	look_up("v4.test", "http", PF_INET, SOCK_STREAM, 0);
	look_up("v6.test", NULL, PF_INET6, SOCK_DGRAM, 0);
	look_up("any.test", "443", PF_UNSPEC, 0, 0);
	look_up("name.test", "443", PF_UNSPEC, SOCK_STREAM, EVUTIL_AI_CANONNAME);
	look_up("absent.test", "443", PF_UNSPEC, SOCK_STREAM, 0);
	look_up("empty.test", "443", PF_UNSPEC, SOCK_STREAM, 0);
	end();
}

CASE(without_a_server, ONE_BACKEND)
{
	base = new_base();
	dns = evdns_base_new(base, 0);
	look_up("192.0.2.1", "80", PF_UNSPEC, SOCK_STREAM, 0);
	look_up("2001:db8::1", "80", PF_UNSPEC, SOCK_STREAM, 0);
	look_up("::1", "80", PF_INET6, SOCK_STREAM, EVUTIL_AI_NUMERICHOST);
	look_up("a.name", "80", PF_UNSPEC, SOCK_STREAM, EVUTIL_AI_NUMERICHOST);
	look_up(NULL, "80", PF_UNSPEC, SOCK_STREAM, 0);
	look_up(NULL, "80", PF_UNSPEC, SOCK_STREAM, EVUTIL_AI_PASSIVE);
	look_up(NULL, NULL, PF_UNSPEC, SOCK_STREAM, 0);
	look_up("a.name", "no-such-service", PF_UNSPEC, SOCK_STREAM, 0);
	look_up("a.name", "http", PF_UNSPEC, SOCK_STREAM, EVUTIL_AI_NUMERICSERV);
	look_up("a.name", "65536", PF_UNSPEC, SOCK_STREAM, 0);
	look_up("a.name", "80", PF_UNIX, SOCK_STREAM, 0);
	look_up("a..name.with.a.label.that.is.much.too.long.for.any.server.to.be.asked.so.that.nothing.is.sent.to.any"
		".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"80", PF_UNSPEC, SOCK_STREAM, 0);
	end();
}

CASE(without_a_resolver, ONE_BACKEND)
{
	base = new_base();
	look_up("a.name", "80", PF_UNSPEC, SOCK_STREAM, 0);
	end();
}

CASE(slower_family, ONE_BACKEND)
{
	begin(answer_some);
	set("getaddrinfo-allow-skew", "0.1");
	delay_kind = TYPE_AAAA;
	look_up("only-v4.test", "80", PF_UNSPEC, SOCK_STREAM, 0);
	delay_kind = TYPE_A;
	look_up("only-v6.test", "80", PF_UNSPEC, SOCK_STREAM, 0);
	refused_type = TYPE_AAAA;
	look_up("none.test", "80", PF_UNSPEC, SOCK_STREAM, 0);
	delay_kind = 0;
	look_up("refused-v6.test", "80", PF_UNSPEC, SOCK_STREAM, 0);
	refused_type = TYPE_A;
	look_up("refused-v4.test", "80", PF_UNSPEC, SOCK_STREAM, 0);
	end();
}

CASE(silence, ONE_BACKEND)
{
	begin(NULL);
	set("timeout", "0.05");
	set("attempts", "1");
	look_up("silent.test", "80", PF_UNSPEC, SOCK_STREAM, 0);
	end();
}

CASE(cancelled, ONE_BACKEND)
{
	struct evdns_getaddrinfo_request *request;

	begin(answer_some);
	request = start("a.test", "80", PF_UNSPEC, SOCK_STREAM, 0);
	evdns_getaddrinfo_cancel(request);
	evdns_getaddrinfo_cancel(request);
	CHECK_EQUAL(reported, 0);
	wait_for(&reported, 1);
	/* Also when one family was answered. */
	delay_kind = TYPE_AAAA;
	request = start("b.test", "80", PF_UNSPEC, SOCK_STREAM, 0);
	run_for(base, 20);
	evdns_getaddrinfo_cancel(request);
	CHECK_EQUAL(reported, 1);
	wait_for(&reported, 1);
	run_for(base, 20);
	CHECK_EQUAL(reported, 2);
	end();
}

/* One look-up each: the reference ends several in the order of their random ids. */
CASE(freed_and_notified_with_a_family_answered, ONE_BACKEND)
{
	begin(answer_some);
	delay_kind = TYPE_AAAA;
	start("half.test", "80", PF_UNSPEC, SOCK_STREAM, 0);
	run_for(base, 20);
	evdns_base_free(dns, 1);
	dns = NULL;
	wait_for(&reported, 1);
	end();
}

CASE(freed_and_notified_unanswered, ONE_BACKEND)
{
	begin(NULL);
	start("none.test", "80", PF_UNSPEC, SOCK_STREAM, 0);
	evdns_base_free(dns, 1);
	dns = NULL;
	wait_for(&reported, 1);
	end();
}

DIFFERENCE(cancelled_and_freed, ONE_BACKEND, "a look-up that is cancelled before the resolver is freed uses the freed resolver")
{
	struct evdns_getaddrinfo_request *request;

	begin(NULL);
	request = start("a.test", "80", PF_UNSPEC, SOCK_STREAM, 0);
	evdns_getaddrinfo_cancel(request);
	evdns_base_free(dns, 0);
	dns = NULL;
	/* What was the resolver is something else now. */
	void *blocks[64];

	for (int i = 0; i < 64; i++)
		memset(blocks[i] = malloc(16 * (size_t)i + 200), 0xff, 16 * (size_t)i + 200);
	wait_for(&reported, 1);
	for (int i = 0; i < 64; i++)
		free(blocks[i]);
	end();
}

DIFFERENCE(freed_with_a_family_answered, ONE_BACKEND, "the timer for the slower address family still runs after the resolver was freed")
{
	begin(answer_some);
	set("getaddrinfo-allow-skew", "1");
	delay_kind = TYPE_AAAA;
	start("a.test", "80", PF_UNSPEC, SOCK_STREAM, 0);
	run_for(base, 20);
	CHECK_EQUAL(reported, 0);
	evdns_base_free(dns, 0);
	dns = NULL;
	run_for(base, 1100);
	CHECK_EQUAL(reported, 0);
	/* Nothing of it is left. */
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 2);
	end();
}

static const char *
file_of(const char *text)
{
	static char path[] = "/tmp/ctests-dns-XXXXXX";
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	CHECK_EQUAL(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	return path;
}

static const char hosts_text[] = "# comment\n127.0.0.1 localhost\n192.0.2.1 name Alias # name2\n\n2001:db8::1\tname\n"
				 "192.0.2.3:80 ported\nnonsense name3\n  192.0.2.4 indented\n192.0.2.5 name\nfe80::1%1 scoped\n"
				 "192.0.2.6 glued#name4 name5\n[2001:db8::7] bracketed";

CASE(hosts, ONE_BACKEND)
{
	static const char *const names[] = {"name", "NAME", "alias", "localhost", "indented", "scoped", "bracketed", "glued"};
	const char *path = file_of(hosts_text);

	begin(answer_some);
	CHECK_EQUAL(evdns_base_load_hosts(dns, path), 0);
	unlink(path);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		look_up(names[i], "80", PF_UNSPEC, SOCK_STREAM, 0);
	look_up("name", "80", PF_INET, SOCK_STREAM, 0);
	look_up("name", "80", PF_INET6, SOCK_STREAM, 0);
	/* Not in the file, or not as asked. */
	look_up("ported", "80", PF_INET, SOCK_STREAM, 0);
	look_up("name.", "80", PF_INET, SOCK_STREAM, 0);
	look_up("name2", "80", PF_INET, SOCK_STREAM, 0);
	look_up("name4", "80", PF_INET, SOCK_STREAM, 0);
	look_up("name5", "80", PF_INET, SOCK_STREAM, 0);
	evdns_base_clear_host_addresses(dns);
	look_up("name", "80", PF_INET, SOCK_STREAM, 0);
	/* Names of this machine only. */
	CHECK_EQUAL(evdns_base_load_hosts(dns, "/nonexistent/hosts"), -1);
	CHECK_EQUAL(evdns_base_load_hosts(dns, NULL), 0);
	look_up("localhost", "80", PF_UNSPEC, SOCK_STREAM, 0);
	end();
}

DIFFERENCE(hosts_of_the_other_family, ONE_BACKEND, "a name that hosts files have only for the other address family is found, but without an address")
{
	const char *path = file_of("192.0.2.1 name\r\n");

	begin(NULL);
	CHECK_EQUAL(evdns_base_load_hosts(dns, path), 0);
	unlink(path);
	look_up("name", "80", PF_INET, SOCK_STREAM, 0);
	look_up("name", "80", PF_INET6, SOCK_STREAM, 0);
	CHECK_EQUAL(server.queries, 0);
	end();
}

static void
check_ports(int result, struct evutil_addrinfo *list, void *arg)
{
	(void)arg;
	reported++;
	CHECK_EQUAL(result, 0);
	for (struct evutil_addrinfo *one = list; one; one = one->ai_next)
		CHECK_EQUAL(ntohs(((struct sockaddr_in *)one->ai_addr)->sin_port), 80);
	evutil_freeaddrinfo(list);
}

DIFFERENCE(hosts_for_both_protocols, ONE_BACKEND, "an address from a hosts file has no port for UDP")
{
	base = new_base();
	dns = evdns_base_new(base, 0);
	CHECK_EQUAL(evdns_base_load_hosts(dns, NULL), 0);
	CHECK(!evdns_getaddrinfo(dns, "localhost", "80", NULL, check_ports, NULL));
	CHECK_EQUAL(reported, 1);
	end();
}

static void
answer_in_odd_order(struct server *from, const struct query *query)
{
	static struct message message;

	if (!strcmp(query->name, "without.test")) {
		/* A record without an address. */
		begin_answer(&message, query, 0, 1, 0);
		put_record(&message, query->type, 60, "", 0);
	} else if (query->type == TYPE_A) {
		begin_answer(&message, query, 0, 2, 0);
		put_a(&message, 60, "192.0.2.1");
		put_name_record(&message, TYPE_CNAME, 60, "real.test");
	} else {
		begin_answer(&message, query, 0, 0, 0);
	}
	send_message(from, query, &message);
}

CASE(odd_answers, ONE_BACKEND)
{
	begin(answer_in_odd_order);
	look_up("alias.test", "80", PF_INET, SOCK_STREAM, EVUTIL_AI_CANONNAME);
	look_up("alias.test", "80", PF_UNSPEC, SOCK_STREAM, EVUTIL_AI_CANONNAME);
	look_up("without.test", "80", PF_INET, SOCK_STREAM, 0);
	end();
}

/* What counts as an address, and what is asked for. */
CASE(names_that_look_like_addresses, ONE_BACKEND)
{
	struct evutil_addrinfo hints = {.ai_family = PF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = 0};

	begin(answer_some);
	look_up("127.1", "80", PF_INET, SOCK_STREAM, 0);
	look_up("192.0.2.1", "80", PF_INET6, SOCK_STREAM, 0);
	look_up("::1", "80", PF_INET, SOCK_STREAM, 0);
	look_up("192.0.2.1", "80", PF_INET, SOCK_RAW, 0);
	look_up("both.test", "80", PF_UNSPEC, SOCK_STREAM, EVUTIL_AI_ADDRCONFIG);
	look_up("both.test", "80", PF_INET6, SOCK_STREAM, EVUTIL_AI_V4MAPPED | EVUTIL_AI_ALL);
	hints.ai_protocol = IPPROTO_UDP;
	hints.ai_socktype = 0;
	CHECK(!evdns_getaddrinfo(dns, "192.0.2.1", "53", &hints, on_list, "udp"));
	CHECK(!evdns_getaddrinfo(dns, "192.0.2.1", "53", NULL, on_list, "no hints"));
	end();
}

/* This machine's name is treated like any other. */
CASE(localhost_without_hosts, ONE_BACKEND)
{
	begin(NULL);
	set("timeout", "0.05");
	set("attempts", "1");
	look_up("localhost", "80", PF_INET, SOCK_STREAM, 0);
	end();
}

static void
answer_in_domain(struct server *from, const struct query *query)
{
	if (strcmp(query->name, "host.second.test"))
		answer_empty(from, query, 3);
	else
		answer_some(from, query);
}

static void
check_canonical_name(int result, struct evutil_addrinfo *list, void *arg)
{
	(void)arg;
	reported++;
	CHECK_EQUAL(result, 0);
	CHECK_STRING(list->ai_canonname, "real.test");
	evutil_freeaddrinfo(list);
}

DIFFERENCE(canonical_name_after_a_search, ONE_BACKEND, "the canonical name is lost unless it was found in the first domain of the search list")
{
	struct evutil_addrinfo hints = {.ai_family = PF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = EVUTIL_AI_CANONNAME};

	begin(answer_in_domain);
	evdns_base_search_add(dns, "second.test");
	evdns_base_search_add(dns, "first.test");
	CHECK(evdns_getaddrinfo(dns, "host", "80", &hints, check_canonical_name, NULL));
	wait_for(&reported, 1);
	end();
}

static int failed;

static void
count_list(int result, struct evutil_addrinfo *list, void *arg)
{
	CHECK(!inside);
	++*(int *)arg;
	reported++;
	failed += result == EVUTIL_EAI_FAIL;
	if (list)
		evutil_freeaddrinfo(list);
}

static struct evdns_getaddrinfo_request *all[200];
static int ends[200];

static void
cancel_some(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	for (int i = 0; i < 200; i++)
		if (i % 2 == *(int *)arg && !ends[i])
			evdns_getaddrinfo_cancel(all[i]);
}

static void
start_all(void)
{
	memset(ends, 0, sizeof ends);
	inside = 1;
	for (int i = 0; i < 200; i++) {
		all[i] = evdns_getaddrinfo(dns, "a.test", "80", NULL, count_list, &ends[i]);
		CHECK(all[i]);
	}
	inside = 0;
}

/* Many at a time that are cancelled at any moment, or shut down: each is reported once, and never inside a call. */
CASE(many_given_up, ONE_BACKEND)
{
	struct timeval soon = {0, 1000}, later = {0, 3000};
	int halves[2] = {0, 1};

	begin(answer_some);
	server.quiet = 1;
	set("max-inflight", "20");
	start_all();
	event_base_once(base, -1, EV_TIMEOUT, cancel_some, &halves[0], &soon);
	event_base_once(base, -1, EV_TIMEOUT, cancel_some, &halves[1], &later);
	wait_for(&reported, 200);
	run_for(base, 20);
	CHECK_EQUAL(reported, 200);
	start_all();
	inside = 1;
	evdns_base_free(dns, 1);
	inside = 0;
	dns = NULL;
	failed = 0;
	wait_for(&reported, 200);
	CHECK_EQUAL(failed, 200);
	for (int i = 0; i < 200; i++)
		CHECK_EQUAL(ends[i], 1);
	end();
}
