/* Servers that do not answer, or refuse: retrying, asking others, and probing whether they are back. */
#include "tools.h"

static int dropped; /* how many questions are not answered yet */

static void
answer_after_drops(struct server *from, const struct query *query)
{
	if (dropped-- > 0)
		return;
	answer_address(from, query);
}

static void
print_log(int warning, const char *message)
{
	static const char *const known[] = {"Nameserver ", "All nameservers have failed", "Address mismatch on received"};

	for (size_t i = 0; i < 3; i++)
		if (!strncmp(message, known[i], strlen(known[i]))) {
			const char *after = strstr(message, " has failed"), *back = strstr(message, " is back");

			printf("[%d] %.12s%s\n", warning, message, after ? after : back ? back : "");
		}
}

CASE(asked_again, ONE_BACKEND)
{
	begin(answer_after_drops);
	set("timeout", "0.1");
	dropped = 2;
	resolve_ipv4("a.test", 0);
	dropped = 3;
	resolve_ipv4("b.test", 0);
	CHECK_EQUAL(server.queries, 6);
	end();
}

CASE(attempts, ONE_BACKEND)
{
	begin(NULL);
	set("timeout", "0.05");
	set("attempts", "1");
	resolve_ipv4("one.test", 0);
	set("attempts", "0");
	resolve_ipv4("none.test", 0);
	set("attempts", "5");
	resolve_ipv4("five.test", 0);
	CHECK_EQUAL(server.queries, 7);
	end();
}

/* The same packet, and never the id 0xffff. */
static uint8_t first[512];

static void
compare_packets(struct server *from, const struct query *query)
{
	CHECK(query->raw[0] != 0xff || query->raw[1] != 0xff);
	CHECK_EQUAL(query->raw[2] << 8 | query->raw[3], 0x0100);
	CHECK_EQUAL(query->raw[5], 1);
	CHECK_EQUAL(query->length, query->question_end);
	if (from->queries == 1)
		memcpy(first, query->raw, query->length);
	CHECK(!memcmp(first, query->raw, query->length));
	if (from->queries == 3)
		answer_address(from, query);
}

CASE(packet_is_repeated, ONE_BACKEND)
{
	begin(compare_packets);
	set("timeout", "0.05");
	resolve_ipv4("host.example.com", 0);
	end();
}

CASE(failure_and_recovery, ONE_BACKEND)
{
	evdns_set_log_fn(print_log);
	begin(answer_after_drops);
	set("timeout", "0.1");
	set("initial-probe-timeout", "0.1");
	dropped = 4;
	resolve_ipv4("a.test", 0);
	/* The probe is lost once, then it gets through. */
	while (dropped >= 0)
		event_base_loop(base, EVLOOP_ONCE);
	run_for(base, 20);
	CHECK_EQUAL(server.queries, 5);
	resolve_ipv4("b.test", 0);
	end();
	evdns_set_log_fn(NULL);
}

/* A server that is down answers a question: it is up. */
CASE(answer_of_a_server_that_is_down, ONE_BACKEND)
{
	evdns_set_log_fn(print_log);
	begin(answer_after_drops);
	set("timeout", "0.05");
	dropped = 3;
	resolve_ipv4("a.test", 0);
	resolve_ipv4("b.test", 0);
	end();
	evdns_set_log_fn(NULL);
}

static int started, none = DNS_ERR_NONE, cancel = DNS_ERR_CANCEL;

static void
count_result(int result, char type, int count, int ttl, void *addresses, void *wanted)
{
	(void)type, (void)count, (void)ttl, (void)addresses;
	CHECK(result == *(int *)wanted || result == DNS_ERR_TIMEOUT);
	reported++;
}

/* What a program might do when a look-up ends or a failure is reported. */
static void
use_the_resolver(int warning, const char *message)
{
	static int inside;
	struct evdns_request *request;

	(void)warning;
	if (inside || (strncmp(message, "Resolve requested", 17) && strncmp(message, "Nameserver", 10)))
		return;
	inside = 1;
	/* Nothing is answered before the server has failed. */
	if (!strncmp(message, "Nameserver", 10))
		dropped = 0;
	CHECK_EQUAL(evdns_base_count_nameservers(dns), 1);
	set("attempts", "3");
	evdns_base_search_add(dns, "test");
	CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, count_result, &none));
	request = evdns_base_resolve_ipv6(dns, "b.test", 0, count_result, &cancel);
	CHECK(request);
	evdns_cancel_request(dns, request);
	started += 2;
	inside = 0;
}

CASE(used_from_its_messages, ONE_BACKEND)
{
	begin(answer_after_drops);
	server.quiet = 1;
	set("timeout", "0.1");
	set("max-timeouts", "1");
	set("initial-probe-timeout", "0.1");
	dropped = 1000;
	evdns_set_log_fn(use_the_resolver);
	CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, count_result, &none));
	while (reported < started + 1)
		wait_for(&reported, 1);
	evdns_set_log_fn(NULL);
	/* A look-up, the failure, and more. */
	CHECK(started > 2);
	end();
	CHECK_EQUAL(reported, started + 1);
}

static void
refuse(struct server *from, const struct query *query)
{
	answer_empty(from, query, 5);
}

static void
not_implemented(struct server *from, const struct query *query)
{
	answer_empty(from, query, 4);
}

CASE(one_unwilling_server, ONE_BACKEND)
{
	evdns_set_log_fn(print_log);
	begin(refuse);
	resolve_ipv4("a.test", 0);
	CHECK_EQUAL(server.queries, 1);
	end();
	evdns_set_log_fn(NULL);
}

/* The only server does not want to, and meanwhile there is another one. */
static void
add_second_and_refuse(struct server *from, const struct query *query)
{
	start_server(&second, "second", answer_address);
	CHECK_EQUAL(add_server(dns, &second), 0);
	answer_empty(from, query, 4);
}

CASE(server_added_while_the_first_refuses, ONE_BACKEND)
{
	begin(add_second_and_refuse);
	set("timeout", "0.2");
	resolve_ipv4("a.test", 0);
	CHECK_EQUAL(server.queries, 1);
	CHECK_EQUAL(second.queries, 1);
	end();
}

static void
two_servers(void (*first_answer)(struct server *, const struct query *), void (*second_answer)(struct server *, const struct query *))
{
	begin(first_answer);
	start_server(&second, "second", second_answer);
	CHECK_EQUAL(add_server(dns, &second), 0);
}

CASE(in_turn, ONE_BACKEND)
{
	two_servers(answer_address, answer_address);
	for (int i = 0; i < 4; i++)
		resolve_ipv4("a.test", 0);
	CHECK_EQUAL(server.queries, 2);
	CHECK_EQUAL(second.queries, 2);
	end();
}

DIFFERENCE(unwilling_server_is_passed_over_at_once, ONE_BACKEND,
    "after one server has refused, the next one is asked only when the first query has timed out")
{
	two_servers(not_implemented, answer_address);
	set("timeout", "30");
	resolve_ipv4("a.test", 0);
	CHECK_EQUAL(server.queries, 1);
	CHECK_EQUAL(second.queries, 1);
	end();
}

DIFFERENCE(silent_server_is_found_out, ONE_BACKEND,
    "a server's timeouts are blamed on the next server, so a dead one is asked again and again")
{
	two_servers(NULL, answer_address);
	server.quiet = second.quiet = 1;
	set("timeout", "0.3");
	for (int i = 0; i < 20; i++)
		resolve_ipv4("a.test", 0);
	/* max-timeouts is 3: the fourth in succession is the last. */
	CHECK_EQUAL(server.queries, 4);
	CHECK_EQUAL(second.queries, 20);
	end();
}

static struct event *keeper;

static void
stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	event_base_loopbreak(base);
}

/* Probes go on although nothing is asked, and do not keep the loop running. */
CASE(probes_under_disable_when_inactive, ONE_BACKEND)
{
	struct timeval second_later = {1, 0};

	base = new_base();
	start_server(&server, "server", NULL);
	dns = evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	CHECK_EQUAL(add_server(dns, &server), 0);
	set("timeout", "0.05");
	set("attempts", "1");
	set("initial-probe-timeout", "0.05");
	resolve_ipv4("a.test", 0);
	CHECK_EQUAL(server.queries, 1);
	keeper = evtimer_new(base, stop, NULL);
	evtimer_add(keeper, &second_later);
	/* One that gets lost is repeated. */
	while (server.queries < 3)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(keeper);
	end();
}

DIFFERENCE(loop_ends_while_a_server_is_down, ONE_BACKEND,
    "with EVDNS_BASE_DISABLE_WHEN_INACTIVE a server that has failed keeps the loop running forever")
{
	base = new_base();
	start_server(&server, "server", NULL);
	dns = evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	CHECK_EQUAL(add_server(dns, &server), 0);
	set("timeout", "0.05");
	set("attempts", "1");
	set("initial-probe-timeout", "0.05");
	resolve_ipv4("a.test", 0);
	stop_server(&server);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	end();
}

CASE(loop_ends_when_inactive, ONE_BACKEND)
{
	base = new_base();
	start_server(&server, "server", answer_address);
	dns = evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	CHECK_EQUAL(add_server(dns, &server), 0);
	set("max-inflight", "3");
	for (int i = 0; i < 20; i++)
		CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, on_result, "a.test"));
	wait_for(&reported, 20);
	stop_server(&server);
	event_base_loop(base, EVLOOP_NONBLOCK);
	printf("%d events\n", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	printf("%d\n", event_base_dispatch(base));
	printf("%d events\n", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	end();
}

/* Without the flag the servers do. */
CASE(servers_keep_the_loop_running, ONE_BACKEND)
{
	struct timeval soon = {0, 20000};

	base = new_base();
	dns = evdns_base_new(base, 0);
	printf("without servers: %d\n", event_base_dispatch(base));
	CHECK_EQUAL(evdns_base_nameserver_ip_add(dns, "127.0.0.1:9"), 0);
	event_base_loopexit(base, &soon);
	printf("with one: %d\n", event_base_dispatch(base));
	end();
}

/* Something else is put in the place of the resolver's socket: poll says at every pass that there is
 * something to read, and reading fails. */
DIFFERENCE(socket_that_fails, ONE_BACKEND, "a resolver whose socket fails makes the loop spin")
{
	struct timeval pause = {0, 200000};
	int fd, other, passes = 0;

	CHECK_EQUAL(setenv("EVENT_NOEPOLL", "1", 1), 0);
	base = new_base();
	event_set_log_callback(ignore_message);
	start_server(&server, "server", answer_address);
	dns = evdns_base_new(base, 0);
	/* The next descriptor is the lowest free one. */
	fd = dup(0);
	close(fd);
	CHECK_EQUAL(add_server(dns, &server), 0);
	other = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK_EQUAL(dup2(other, fd), fd);
	close(other);
	event_base_once(base, -1, EV_TIMEOUT, note_pause, NULL, &pause);
	while (!pause_over) {
		passes++;
		event_base_loop(base, EVLOOP_ONCE);
	}
	CHECK(passes < 50);
	evdns_base_free(dns, 1);
	dns = NULL;
	end();
}

/* A query that is refused is sent to one more server, and then reported. */
CASE(two_unwilling_servers, ONE_BACKEND)
{
	begin(refuse);
	start_server(&second, "second", refuse);
	CHECK_EQUAL(add_server(dns, &second), 0);
	server.quiet = second.quiet = 1;
	resolve_ipv4("a.test", 0);
	CHECK_EQUAL(server.queries + second.queries, 2);
	end();
}

/* A probe of one server must not be sent to another. */
CASE(servers_cleared_during_a_probe, ONE_BACKEND)
{
	long long deadline = milliseconds() + 30000;

	begin(NULL);
	server.quiet = 1;
	set("timeout", "0.02");
	set("attempts", "1");
	set("max-timeouts", "1");
	set("initial-probe-timeout", "0.02");
	resolve_ipv4("a.test", 0);
	server.queries = 0;
	/* The probe is under way; its time-out is longer than a moment. */
	set("timeout", "30");
	while (server.queries == 0) {
		CHECK(milliseconds() < deadline);
		event_base_loop(base, EVLOOP_ONCE);
	}
	CHECK_EQUAL(evdns_base_clear_nameservers_and_suspend(dns), 0);
	start_server(&second, "second", answer_address);
	CHECK_EQUAL(add_server(dns, &second), 0);
	CHECK_EQUAL(evdns_base_resume(dns), 0);
	resolve_ipv4("b.test", 0);
	CHECK_EQUAL(second.queries, 1);
	end();
}

/* A closed port counts as silence: an ICMP error does not end a look-up. */
CASE(closed_port, ONE_BACKEND)
{
	long long began;

	begin(NULL);
	stop_server(&server);
	set("timeout", "0.2");
	set("attempts", "2");
	began = milliseconds();
	resolve_ipv4("a.test", 0);
	CHECK(milliseconds() - began >= 390);
	end();
}

/* A probe that got lost is repeated at the server that it is for. */
static void
answer_no_probe(struct server *from, const struct query *query)
{
	CHECK(strcmp(query->name, "google.com"));
	answer_address(from, query);
}

DIFFERENCE(probes_stay_at_their_server, ONE_BACKEND, "a lost probe is repeated at another server, whose answer is taken to mean that the failed one is back")
{
	long long deadline = milliseconds() + 30000;

	two_servers(refuse, answer_no_probe);
	server.quiet = second.quiet = 1;
	set("initial-probe-timeout", "0.05");
	resolve_ipv4("a.test", 0);
	server.answer = NULL;
	server.queries = 0;
	set("timeout", "0.05");
	while (server.queries < 4) {
		CHECK(milliseconds() < deadline);
		event_base_loop(base, EVLOOP_ONCE);
	}
	end();
}

/* Both questions of a look-up of addresses go out at once, to different servers. */
CASE(families_at_different_servers, ONE_BACKEND)
{
	struct evdns_request *requests[2];

	two_servers(NULL, NULL);
	server.quiet = second.quiet = 1;
	requests[0] = evdns_base_resolve_ipv4(dns, "a.test", 0, on_result, "a.test");
	requests[1] = evdns_base_resolve_ipv6(dns, "a.test", 0, on_result, "a.test");
	run_for(base, 20);
	CHECK_EQUAL(server.queries, 1);
	CHECK_EQUAL(second.queries, 1);
	for (int i = 0; i < 2; i++)
		evdns_cancel_request(dns, requests[i]);
	wait_for(&reported, 2);
	end();
}
