/* The resolver of the process, as the 1.x series had it. */
#include "tools.h"

#include <event2/dns_compat.h>
#include <event2/event_compat.h>

CASE(made_on_demand, ONE_BACKEND)
{
	base = event_init();
	CHECK(!evdns_get_global_base());
	CHECK_EQUAL(evdns_nameserver_ip_add("127.0.0.1:9"), 0);
	CHECK(evdns_get_global_base());
	CHECK_EQUAL(evdns_nameserver_add(htonl(0x7f000002)), 0);
	CHECK_EQUAL(evdns_set_option("timeout", "1", 0), 0);
	printf("%d servers\n", evdns_count_nameservers());
	CHECK_EQUAL(evdns_clear_nameservers_and_suspend(), 0);
	printf("%d servers\n", evdns_count_nameservers());
	CHECK_EQUAL(evdns_resume(), 0);
	evdns_shutdown(0);
	CHECK(!evdns_get_global_base());
	evdns_shutdown(1);
	event_base_free(base);
}

CASE(round_trip, ONE_BACKEND)
{
	char address[40];
	struct in_addr in = {htonl(INADDR_LOOPBACK)};

	base = event_init();
	start_server(&server, "server", answer_address);
	snprintf(address, sizeof address, "127.0.0.1:%d", server.port);
	CHECK_EQUAL(evdns_nameserver_ip_add(address), 0);
	evdns_search_add("b.test");
	evdns_search_ndots_set(2);
	CHECK_EQUAL(evdns_resolve_ipv4("a", 0, on_result, "a"), 0);
	wait_for(&reported, 1);
	evdns_search_clear();
	CHECK_EQUAL(evdns_resolve_ipv6("a", 0, on_result, "a"), 0);
	wait_for(&reported, 1);
	CHECK_EQUAL(evdns_resolve_reverse(&in, 0, on_result, "reverse"), 0);
	wait_for(&reported, 1);
	CHECK_EQUAL(evdns_resolve_ipv4("", 0, on_result, "root"), 0);
	evdns_shutdown(1);
	wait_for(&reported, 1);
	end();
}

static void
count_message(int warning, const char *message)
{
	(void)warning, (void)message;
	reported++;
}

CASE(shutdown_forgets_the_log_function, ONE_BACKEND)
{
	base = event_init();
	evdns_set_log_fn(count_message);
	evdns_nameserver_ip_add("nonsense");
	CHECK(reported > 0);
	evdns_shutdown(0);
	reported = 0;
	evdns_nameserver_ip_add("nonsense");
	CHECK_EQUAL(reported, 0);
	evdns_shutdown(0);
	event_base_free(base);
}

CASE(hooks_without_effect, ONE_BACKEND)
{
	evdns_set_transaction_id_fn(NULL);
	evdns_set_random_bytes_fn(NULL);
}

CASE(without_a_loop, ONE_BACKEND)
{
	CHECK_EQUAL(evdns_init(), -1);
	CHECK(!evdns_get_global_base());
}

DIFFERENCE(without_a_resolver, ONE_BACKEND, "functions of the 1.x series crash when there is no resolver")
{
	struct in_addr in = {htonl(INADDR_LOOPBACK)};
	struct in6_addr in6 = IN6ADDR_LOOPBACK_INIT;

	CHECK_EQUAL(evdns_count_nameservers(), 0);
	CHECK_EQUAL(evdns_clear_nameservers_and_suspend(), -1);
	CHECK_EQUAL(evdns_resume(), -1);
	evdns_search_clear();
	evdns_search_add("x.test");
	evdns_search_ndots_set(1);
	CHECK_EQUAL(evdns_resolve_ipv4("a", 0, on_result, NULL), -1);
	CHECK_EQUAL(evdns_resolve_ipv6("a", 0, on_result, NULL), -1);
	CHECK_EQUAL(evdns_resolve_reverse(&in, 0, on_result, NULL), -1);
	CHECK_EQUAL(evdns_resolve_reverse_ipv6(&in6, 0, on_result, NULL), -1);
	CHECK_EQUAL(evdns_base_load_hosts(NULL, NULL), -1);
	evdns_base_free(NULL, 0);
}

static void
answer_legacy(struct evdns_server_request *request, void *arg)
{
	CHECK_STRING(arg, "data");
	CHECK_EQUAL(evdns_server_request_add_aaaa_reply(request, request->questions[0]->name, 1, "0123456789abcdef", 1), 0);
	CHECK_EQUAL(evdns_server_request_respond(request, 0), 0);
}

/* A server on the loop of the process, asked by the resolver of the process. */
CASE(a_server, ONE_BACKEND)
{
	struct in6_addr in = IN6ADDR_LOOPBACK_INIT;
	struct evdns_server_port *port;
	struct server fake = {0};
	char address[40];

	base = event_init();
	port = evdns_add_server_port(bound_socket(SOCK_DGRAM, &fake.port), 0, answer_legacy, "data");
	CHECK(port);
	snprintf(address, sizeof address, "127.0.0.1:%d", fake.port);
	CHECK_EQUAL(evdns_nameserver_ip_add(address), 0);
	CHECK_EQUAL(evdns_resolve_ipv6("a.test", 0, on_result, "a.test"), 0);
	wait_for(&reported, 1);
	CHECK_EQUAL(evdns_resolve_reverse_ipv6(&in, 0, on_result, "reverse"), 0);
	wait_for(&reported, 1);
	evdns_close_server_port(port);
	evdns_shutdown(0);
	end();
}
