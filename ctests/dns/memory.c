/* Memory: a refused allocation is reported and leaves nothing half done, and everything is freed. */
#include "tools.h"
#include "allocator.h"

#include <event2/thread.h>

#define OWN (ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)

static int results, lists;

static void
take_result(int result, char type, int count, int ttl, void *addresses, void *arg)
{
	(void)result, (void)type, (void)count, (void)ttl, (void)addresses, (void)arg;
	results++;
}

static void
take_list(int result, struct evutil_addrinfo *list, void *arg)
{
	(void)result, (void)arg;
	lists++;
	if (list)
		evutil_freeaddrinfo(list);
}

static void
answer_all(struct server *from, const struct query *query)
{
	if (!strncmp(query->name, "cut", 3) && query->stream < 0)
		answer_empty(from, query, FLAG_TC);
	else
		answer_address(from, query);
}

static void
on_question(struct evdns_server_request *request, void *arg)
{
	int *answered = arg;
	const char *name = request->questions[0]->name;

	++*answered;
	if (evdns_server_request_add_a_reply(request, name, 1, "\1\2\3\4", 1) || evdns_server_request_respond(request, 0) < 0)
		evdns_server_request_drop(request);
}

static const char resolv_conf[] = "search a.test b.test c.test\nnameserver 127.0.0.1\nnameserver ::1\noptions ndots:2\n";
static const char hosts[] = "127.0.0.1 localhost\n::1 localhost\n192.0.2.1 one two three\n";
static char conf_path[40], hosts_path[40];

static void
write_file(char *path, const char *text)
{
	int fd;

	strcpy(path, "/tmp/ctests-dns-XXXXXX");
	fd = mkstemp(path);
	CHECK(fd >= 0);
	CHECK_EQUAL(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Uses everything there is, with one allocation failing somewhere. Each look-up that was started ends
 * once. */
static void
use_everything(void)
{
	int started = 0, expected_lists = 0, answered = 0, number = 0;
	long long deadline = milliseconds() + 30000;
	struct evutil_addrinfo hints = {.ai_family = PF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = EVUTIL_AI_CANONNAME};
	struct evdns_server_port *port;
	int fd;

	results = lists = 0;
	dns = evdns_base_new(base, 0);
	if (!dns)
		return;
	evdns_base_set_option(dns, "timeout", "0.05");
	evdns_base_set_option(dns, "attempts", "2");
	evdns_base_set_option(dns, "getaddrinfo-allow-skew", "0.05");
	evdns_base_set_option(dns, "max-inflight", "5");
	evdns_base_resolv_conf_parse(dns, DNS_OPTION_SEARCH, conf_path);
	evdns_base_load_hosts(dns, hosts_path);
	fd = bound_socket(SOCK_DGRAM, &number);
	port = evdns_add_server_port_with_base(base, fd, 0, on_question, &answered);
	if (!port)
		close(fd);
	if (add_server(dns, &server) == 0) {
		for (int i = 0; i < 8; i++)
			started += evdns_base_resolve_ipv4(dns, i == 7 ? "cut.test" : "host", i % 2, take_result, NULL) != NULL;
		for (int i = 0; i < 3; i++) {
			expected_lists++;
			evdns_getaddrinfo(dns, i ? "name.test" : "two", "80", &hints, take_list, NULL);
		}
		if (port)
			sendto(server.fd, "\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1", 19, 0,
			       (struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET,
									.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
									.sin_port = htons((uint16_t)number)},
			       sizeof(struct sockaddr_in));
		while (results < started || lists < expected_lists) {
			CHECK(milliseconds() < deadline);
			event_base_loop(base, EVLOOP_ONCE);
		}
	}
	CHECK_EQUAL(results, started);
	CHECK_EQUAL(lists, expected_lists);
	if (port)
		evdns_close_server_port(port);
	evdns_base_free(dns, 1);
	dns = NULL;
	/* The answer of the port, and ends of connections. */
	for (int i = 0; i < 3; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

DIFFERENCE(every_allocation_fails_in_turn, OWN | SLOW, "when memory is short, look-ups never get a result, and abandoned look-ups are leaked")
{
	long alive, n;

	allocator_install();
	event_set_log_callback(ignore_message);
	base = new_base();
	write_file(conf_path, resolv_conf);
	write_file(hosts_path, hosts);
	start_server(&server, "server", answer_all);
	server.quiet = 1;
	use_everything();
	alive = allocator.alive;
	for (n = 1; n < 400; n++) {
		allocator_fail_at(n);
		use_everything();
		if (!allocator.failed)
			break;
		allocator_fail_at(0);
		/* Connections that the server still has. */
		for (int i = 0; i < 50 && allocator.alive != alive; i++)
			run_for(base, 2);
		CHECK_EQUAL(allocator.alive, alive);
	}
	allocator_fail_at(0);
	CHECK(n > 20 && n < 400);
	stop_server(&server);
	event_base_free(base);
	unlink(conf_path);
	unlink(hosts_path);
}

static void
several_ends(int fail)
{
	struct evdns_request *request;

	base = new_base();
	start_server(&server, "server", NULL);
	server.quiet = 1;
	dns = evdns_base_new(base, 0);
	/* Waits without a server. */
	request = evdns_base_resolve_ipv4(dns, "a.test", 0, take_result, NULL);
	CHECK(request);
	evdns_cancel_request(dns, request);
	poll_once(base);
	CHECK_EQUAL(add_server(dns, &server), 0);
	evdns_base_search_add(dns, "b.test");
	CHECK(evdns_base_resolve_ipv4(dns, "b", 0, take_result, NULL));
	CHECK(evdns_base_resolve_ipv6(dns, "c", 0, take_result, NULL));
	evdns_base_load_hosts(dns, NULL);
	poll_once(base);
	evdns_base_free(dns, fail);
	dns = NULL;
	poll_once(base);
	stop_server(&server);
	event_base_free(base);
}

static void
answer_much(struct server *from, const struct query *query)
{
	static struct message message;

	begin_answer(&message, query, 0, 30, 0);
	for (int i = 0; i < 30; i++)
		put_a(&message, 60, "192.0.2.1");
	send_message(from, query, &message);
}

/* Much more than the question had room for. */
CASE(long_answers_come_back, OWN)
{
	long alive;

	allocator_install();
	base = new_base();
	start_server(&server, "server", answer_much);
	server.quiet = 1;
	dns = evdns_base_new(base, 0);
	CHECK_EQUAL(add_server(dns, &server), 0);
	CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, take_result, NULL));
	wait_for(&results, 1);
	alive = allocator.alive;
	for (int i = 0; i < 5; i++) {
		CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, take_result, NULL));
		wait_for(&results, 1);
	}
	CHECK_EQUAL(allocator.alive, alive);
	evdns_base_free(dns, 0);
	stop_server(&server);
	event_base_free(base);
}

CASE(all_of_it_comes_back, OWN)
{
	allocator_install();
	several_ends(0);
	several_ends(1);
	libevent_global_shutdown();
	printf("%ld\n", allocator.alive);
}

static void
ignore_request(struct evdns_server_request *request, void *arg)
{
	(void)arg;
	evdns_server_request_drop(request);
}

/* What exists without any look-up. The loop's tables of descriptors grow, too. */
CASE(sizes, OWN)
{
	struct evdns_server_port *port;
	size_t held;
	int number = 0;

	allocator_install();
	base = new_base();
	held = allocator.held;
	dns = evdns_base_new(base, 0);
	CHECK(allocator.held - held <= 448);
	held = allocator.held;
	CHECK_EQUAL(evdns_base_nameserver_ip_add(dns, "127.0.0.1"), 0);
	CHECK_EQUAL(evdns_base_nameserver_ip_add(dns, "127.0.0.2"), 0);
	CHECK_EQUAL(evdns_base_nameserver_ip_add(dns, "::1"), 0);
	CHECK(allocator.held - held <= 768 + 2 * 496);
	held = allocator.held;
	port = evdns_add_server_port_with_base(base, bound_socket(SOCK_DGRAM, &number), 0, ignore_request, NULL);
	CHECK(port && allocator.held - held <= 224 + 128);
	evdns_close_server_port(port);
	evdns_base_free(dns, 0);
	event_base_free(base);
}

static void
answer_with_another_name(struct server *from, const struct query *query)
{
	struct message *message = malloc(sizeof *message);

	begin_answer(message, query, 0, 2, 0);
	put_name_record(message, TYPE_CNAME, 60, "real.test");
	put_a(message, 60, "192.0.2.1");
	send_message(from, query, message);
	free(message);
}

CASE(canonical_names_come_back, OWN)
{
	struct evutil_addrinfo hints = {.ai_family = PF_INET, .ai_flags = EVUTIL_AI_CANONNAME};

	allocator_install();
	base = new_base();
	start_server(&server, "server", answer_with_another_name);
	server.quiet = 1;
	dns = evdns_base_new(base, 0);
	CHECK_EQUAL(add_server(dns, &server), 0);
	CHECK(evdns_getaddrinfo(dns, "a.test", "80", &hints, take_list, NULL));
	wait_for(&lists, 1);
	evdns_base_free(dns, 0);
	dns = NULL;
	stop_server(&server);
	event_base_free(base);
	libevent_global_shutdown();
	CHECK_EQUAL(allocator.alive, 0);
}

DIFFERENCE(look_ups_of_addresses_come_back, OWN, "a look-up of addresses that is dropped with its resolver is never freed")
{
	allocator_install();
	base = new_base();
	start_server(&server, "server", NULL);
	server.quiet = 1;
	dns = evdns_base_new(base, 0);
	CHECK_EQUAL(add_server(dns, &server), 0);
	CHECK(evdns_getaddrinfo(dns, "a.test", "80", NULL, take_list, NULL));
	evdns_base_free(dns, 0);
	dns = NULL;
	stop_server(&server);
	event_base_free(base);
	libevent_global_shutdown();
	CHECK_EQUAL(allocator.alive, 0);
}
