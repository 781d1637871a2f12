/* The domains of the search list: which names are asked for, in which order, and what ends it. */
#include "tools.h"

static const char *present; /* the only name that there is */

static void
answer_present(struct server *from, const struct query *query)
{
	if (!strcmp(query->name, present))
		answer_address(from, query);
	else
		answer_empty(from, query, strncmp(query->name, "empty", 5) ? 3 : 0);
}

static void
look_up(const char *name, int flags, const char *there)
{
	present = there;
	printf("-- %s\n", name);
	resolve_ipv4(name, flags);
}

static void
begin_search(void)
{
	begin(answer_present);
	evdns_base_search_add(dns, "last.test");
	evdns_base_search_add(dns, "..middle.test");
	evdns_base_search_add(dns, "first.test");
}

CASE(order, ONE_BACKEND)
{
	begin_search();
	look_up("host", 0, "host.first.test");
	look_up("host", 0, "host.last.test");
	look_up("host", 0, "host");
	look_up("host", 0, "nothing");
	look_up("a.host", 0, "a.host");
	look_up("a.host", 0, "a.host.middle.test");
	look_up("empty", 0, "empty.last.test");
	look_up("host.", 0, "host.first.test");
	look_up("host", DNS_QUERY_NO_SEARCH, "nothing");
	end();
}

CASE(dots, ONE_BACKEND)
{
	begin_search();
	evdns_base_search_ndots_set(dns, 2);
	look_up("a.host", 0, "a.host.first.test");
	look_up("a.b.host", 0, "a.b.host");
	set("ndots:", "0");
	look_up("host", 0, "host");
	evdns_base_search_clear(dns);
	look_up("host", 0, "nothing");
	evdns_base_search_add(dns, "new.test");
	/* Clearing has reset the number of dots. */
	look_up("host", 0, "host.new.test");
	end();
}

CASE(empty_name, ONE_BACKEND)
{
	begin_search();
	CHECK(!evdns_base_resolve_ipv4(dns, "", 0, on_result, ""));
	end();
}

CASE(candidate_that_is_too_long, ONE_BACKEND)
{
	char name[300] = "";

	for (int i = 0; i < 25; i++)
		strcat(name, "abcdefghi.");
	strcat(name, "z");
	begin_search();
	/* The name alone would do, with a domain behind it is too long; it has dots, so it is first. */
	look_up(name, 0, "nothing");
	evdns_base_search_ndots_set(dns, 100);
	CHECK(!evdns_base_resolve_ipv4(dns, name, 0, on_result, ""));
	end();
}

static struct evdns_request *request;

static void
cancel_at_third(struct server *from, const struct query *query)
{
	answer_empty(from, query, 3);
	if (from->queries == 3)
		evdns_cancel_request(NULL, request);
}

CASE(cancelled_meanwhile, ONE_BACKEND)
{
	begin(cancel_at_third);
	evdns_base_search_add(dns, "d.test");
	evdns_base_search_add(dns, "c.test");
	evdns_base_search_add(dns, "b.test");
	evdns_base_search_add(dns, "a.test");
	request = evdns_base_resolve_ipv4(dns, "host", 0, on_result, "host");
	CHECK(request);
	wait_for(&reported, 1);
	run_for(base, 20);
	CHECK_EQUAL(server.queries, 3);
	end();
}

static void
add_domains_meanwhile(struct server *from, const struct query *query)
{
	if (from->queries == 1)
		for (int i = 0; i < 3; i++)
			evdns_base_search_add(dns, "added.test");
	answer_empty(from, query, 3);
}

DIFFERENCE(domains_added_meanwhile, ONE_BACKEND, "domains added during a search make it try a name twice")
{
	begin(add_domains_meanwhile);
	evdns_base_search_add(dns, "b.test");
	evdns_base_search_add(dns, "a.test");
	resolve_ipv4("host", 0);
	CHECK_EQUAL(server.queries, 3);
	end();
}

/* A failing server ends the search. */
CASE(failure_ends_it, ONE_BACKEND)
{
	begin(NULL);
	set("timeout", "0.05");
	set("attempts", "1");
	evdns_base_search_add(dns, "a.test");
	resolve_ipv4("host", 0);
	end();
}

static void
refuse_but_last(struct server *from, const struct query *query)
{
	if (!strcmp(query->name, "host"))
		answer_address(from, query);
	else
		answer_empty(from, query, from->queries == 1 ? 5 : 1);
}

/* Every other negative answer moves on to the next domain; a trailing dot of a domain does not matter. */
CASE(refusals_lead_on, ONE_BACKEND)
{
	begin(refuse_but_last);
	evdns_base_search_add(dns, "b.test.");
	evdns_base_search_add(dns, "a.test");
	resolve_ipv4("host", 0);
	end();
}
