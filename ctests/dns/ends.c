/* How look-ups without an answer end: cancelled, shut down, abandoned; and those that wait. */
#include "tools.h"

static struct evdns_request *request, *other;

static void
cancel_other(int result, char type, int count, int ttl, void *addresses, void *name)
{
	on_result(result, type, count, ttl, addresses, name);
	evdns_cancel_request(dns, request);
	if (other)
		evdns_cancel_request(dns, other);
}

CASE(cancelled_at_once, ONE_BACKEND)
{
	begin(answer_address);
	request = evdns_base_resolve_ipv4(dns, "a.test", 0, on_result, "a.test");
	evdns_cancel_request(dns, request);
	CHECK_EQUAL(reported, 0);
	evdns_cancel_request(dns, request);
	wait_for(&reported, 1);
	run_for(base, 20);
	CHECK_EQUAL(reported, 1);
	end();
}

CASE(cancelled_in_its_callback, ONE_BACKEND)
{
	begin(answer_address);
	request = evdns_base_resolve_ipv4(dns, "a.test", 0, cancel_other, "a.test");
	wait_for(&reported, 1);
	end();
}

CASE(cancelled_while_waiting, ONE_BACKEND)
{
	begin(answer_address);
	set("max-inflight", "1");
	CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, on_result, "a.test"));
	request = evdns_base_resolve_ipv4(dns, "b.test", 0, on_result, "b.test");
	CHECK(evdns_base_resolve_ipv4(dns, "c.test", 0, on_result, "c.test"));
	evdns_cancel_request(NULL, request);
	wait_for(&reported, 3);
	end();
}

/* Nobody answers: they end in the order in which they were asked. */
CASE(silence_ends_in_turn, ONE_BACKEND)
{
	static char *const names[] = {"a.test", "b.test", "c.test"};

	begin(NULL);
	server.quiet = 1; /* on a busy machine the first may end before the last is asked */
	set("attempts", "1");
	set("timeout", "0.2");
	set("max-timeouts", "20");
	for (int i = 0; i < 3; i++) {
		CHECK(evdns_base_resolve_ipv4(dns, names[i], 0, on_result, names[i]));
		run_for(base, 10);
	}
	wait_for(&reported, 3 - reported);
	end();
}

/* Nobody answers: each is asked when the one before has ended. */
CASE(waiting_behind_silence, ONE_BACKEND)
{
	begin(NULL);
	set("timeout", "0.02");
	set("attempts", "1");
	set("max-timeouts", "20");
	set("max-inflight", "1");
	CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, on_result, "a.test"));
	CHECK(evdns_base_resolve_ipv4(dns, "b.test", 0, on_result, "b.test"));
	CHECK(evdns_base_resolve_ipv4(dns, "c.test", 0, on_result, "c.test"));
	wait_for(&reported, 3);
	CHECK_EQUAL(server.queries, 3);
	end();
}

static void
start_ten(void)
{
	static char names[10][10];

	for (int i = 0; i < 10; i++) {
		snprintf(names[i], sizeof names[i], "n%d.test", i);
		CHECK(evdns_base_resolve_ipv4(dns, names[i], 0, on_result, "ten"));
	}
}

CASE(freed_and_notified, ONE_BACKEND)
{
	begin(NULL);
	set("max-inflight", "4");
	start_ten();
	evdns_base_free(dns, 1);
	dns = NULL;
	CHECK_EQUAL(reported, 0);
	poll_once(base);
	CHECK_EQUAL(reported, 10);
	end();
}

CASE(freed_and_forgotten, ONE_BACKEND)
{
	begin(NULL);
	set("max-inflight", "4");
	start_ten();
	evdns_base_free(dns, 0);
	dns = NULL;
	run_for(base, 20);
	CHECK_EQUAL(reported, 0);
	end();
}

CASE(freed_with_results_queued, ONE_BACKEND)
{
	begin(NULL);
	request = evdns_base_resolve_ipv4(dns, "a.test", 0, on_result, "a.test");
	evdns_cancel_request(dns, request);
	evdns_base_free(dns, 0);
	dns = NULL;
	poll_once(base);
	CHECK_EQUAL(reported, 1);
	end();
}

static void
free_resolver(int result, char type, int count, int ttl, void *addresses, void *name)
{
	on_result(result, type, count, ttl, addresses, name);
	evdns_base_free(dns, 1);
	dns = NULL;
}

CASE(freed_in_a_callback, ONE_BACKEND)
{
	begin(answer_address);
	set("max-inflight", "2");
	CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, free_resolver, "a.test"));
	CHECK(evdns_base_resolve_ipv6(dns, "b.test", 0, on_result, "b.test"));
	CHECK(evdns_base_resolve_ipv4(dns, "c.test", 0, on_result, "c.test"));
	wait_for(&reported, 3);
	end();
}

static void
ask_more(int result, char type, int count, int ttl, void *addresses, void *name)
{
	on_result(result, type, count, ttl, addresses, name);
	CHECK(evdns_base_resolve_ipv4(dns, "more.test", 0, on_result, "more.test"));
}

CASE(started_in_a_callback, ONE_BACKEND)
{
	begin(answer_address);
	CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, ask_more, "a.test"));
	wait_for(&reported, 2);
	end();
}

CASE(without_servers_it_waits, ONE_BACKEND)
{
	begin(answer_address);
	CHECK_EQUAL(evdns_base_clear_nameservers_and_suspend(dns), 0);
	CHECK_EQUAL(evdns_base_count_nameservers(dns), 0);
	CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, on_result, "a.test"));
	CHECK_EQUAL(evdns_base_resume(dns), 0);
	run_for(base, 20);
	CHECK_EQUAL(reported, 0);
	CHECK_EQUAL(add_server(dns, &server), 0);
	run_for(base, 20);
	CHECK_EQUAL(reported, 0);
	CHECK_EQUAL(evdns_base_resume(dns), 0);
	wait_for(&reported, 1);
	end();
}

/* Queries in flight wait, and are sent again to the servers that are added. */
CASE(suspended_and_resumed, ONE_BACKEND)
{
	begin(NULL);
	start_server(&second, "second", answer_address);
	CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, on_result, "a.test"));
	poll_once(base);
	CHECK_EQUAL(server.queries, 1);
	CHECK_EQUAL(evdns_base_clear_nameservers_and_suspend(dns), 0);
	CHECK_EQUAL(evdns_base_clear_nameservers_and_suspend(dns), 0);
	CHECK_EQUAL(add_server(dns, &second), 0);
	CHECK_EQUAL(evdns_base_resume(dns), 0);
	wait_for(&reported, 1);
	end();
}

CASE(most_in_flight, ONE_BACKEND)
{
	begin(NULL);
	set("max-inflight", "4");
	start_ten();
	run_for(base, 20);
	CHECK_EQUAL(server.queries, 4);
	/* Waiting queries are sent when another ends, or on request. */
	set("max-inflight", "6");
	run_for(base, 20);
	CHECK_EQUAL(server.queries, 4);
	CHECK_EQUAL(evdns_base_resume(dns), 0);
	run_for(base, 20);
	CHECK_EQUAL(server.queries, 6);
	end();
}

CASE(late_answers_are_ignored, ONE_BACKEND)
{
	begin(answer_address);
	request = evdns_base_resolve_ipv4(dns, "a.test", 0, on_result, "a.test");
	evdns_cancel_request(dns, request);
	run_for(base, 20);
	resolve_ipv4("b.test", 0);
	end();
}

/* With results queued: they are neither delivered nor leaked. */
CASE(loop_freed_before_they_are_reported, ONE_BACKEND)
{
	static struct evdns_request *volatile lost[3];

	begin(NULL);
	set("max-inflight", "1");
	for (int i = 0; i < 3; i++) {
		lost[i] = evdns_base_resolve_ipv4(dns, "a.test", 0, on_result, "a.test");
		CHECK(lost[i]);
	}
	evdns_base_free(dns, 1);
	dns = NULL;
	end();
	CHECK_EQUAL(reported, 0);
}

/* Already found, but not delivered yet. */
CASE(cancelled_with_its_result_queued, ONE_BACKEND)
{
	long long deadline = milliseconds() + 30000;

	begin(answer_address);
	CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, cancel_other, "a.test"));
	request = evdns_base_resolve_ipv4(dns, "b.test", 0, on_result, "b.test");
	/* Both answers are there before the resolver looks. */
	while (server.queries < 2) {
		CHECK(milliseconds() < deadline);
		datagram_waits(server.fd, EV_READ, &server);
	}
	wait_for(&reported, 2);
	end();
}

/* A new one does not wait for those that waited before there was a server. */
CASE(new_ones_take_a_free_slot, ONE_BACKEND)
{
	begin(answer_address);
	CHECK_EQUAL(evdns_base_clear_nameservers_and_suspend(dns), 0);
	CHECK(evdns_base_resolve_ipv4(dns, "older.test", 0, on_result, "older.test"));
	CHECK_EQUAL(add_server(dns, &server), 0);
	CHECK(evdns_base_resolve_ipv4(dns, "newer.test", 0, on_result, "newer.test"));
	wait_for(&reported, 2);
	end();
}

/* The query has been sent when the call returns. Addresses and this machine's names are treated like any name. */
CASE(sent_in_the_call, ONE_BACKEND)
{
	uint8_t bytes[600];

	begin(answer_address);
	CHECK_EQUAL(evdns_base_load_hosts(dns, NULL), 0);
	CHECK(evdns_base_resolve_ipv4(dns, "127.0.0.1", 0, on_result, "127.0.0.1"));
	CHECK_EQUAL(recv(server.fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT), 12 + 11 + 4);
	wait_for(&reported, 1);
	resolve_ipv4("localhost", 0);
	end();
}

/* Time-outs and attempts that change meanwhile. */
CASE(options_changed_meanwhile, ONE_BACKEND)
{
	begin(NULL);
	set("timeout", "30");
	request = evdns_base_resolve_ipv4(dns, "a.test", 0, on_result, "a.test");
	set("timeout", "0.02");
	/* What is running already is not affected. */
	run_for(base, 150);
	CHECK_EQUAL(server.queries, 1);
	evdns_cancel_request(dns, request);
	wait_for(&reported, 1);
	set("timeout", "0.2");
	CHECK(evdns_base_resolve_ipv4(dns, "b.test", 0, on_result, "b.test"));
	set("attempts", "1");
	wait_for(&reported, 1);
	CHECK_EQUAL(server.queries, 2);
	end();
}

/* This many results are delivered in one pass, the rest in the next ones. */
CASE(a_hundred_results, ONE_BACKEND)
{
	struct evdns_request *all[100];

	begin(NULL);
	set("max-inflight", "1");
	for (int i = 0; i < 100; i++)
		all[i] = evdns_base_resolve_ipv4(dns, "a.test", DNS_QUERY_NO_SEARCH, on_result, "one of them");
	for (int i = 0; i < 100; i++)
		evdns_cancel_request(dns, all[i]);
	while (reported < 100) {
		poll_once(base);
		printf("%d told\n", reported);
	}
	end();
}
