/* Random calls in random orders, also from callbacks, with servers that answer well, badly, late or not
 * at all: every look-up is reported once, and nothing else happens. */
#include "tools.h"

#include <malloc.h>

enum { SLOTS = 100, KEPT = 8, STEPS = 10000, SERVERS = 3 };

/* A look-up that was not reported yet. */
struct slot {
	int used;
	struct evdns_request *request;
	struct evdns_getaddrinfo_request *list;
};

static struct slot slots[SLOTS];
static struct server servers[SERVERS - 1];
static struct evdns_server_port *port;
static int port_number;
static struct evdns_server_request *kept[KEPT];
static long started;
static int depth;
static unsigned seed;

static int
random_below(int limit)
{
	return rand_r(&seed) % limit;
}

static int
chance(int percent)
{
	return random_below(100) < percent;
}

static void call_something(void);

static void
note_reported(struct slot *slot)
{
	CHECK(slot->used);
	*slot = (struct slot){0};
	reported++;
	if (depth >= 3)
		return;
	depth++;
	for (int more = random_below(3); more > 0; more--)
		call_something();
	depth--;
}

static void
take_result(int result, char type, int count, int ttl, void *addresses, void *slot)
{
	(void)ttl;
	CHECK(result == DNS_ERR_NONE ? !!addresses : !addresses && !count && !type);
	if (type == DNS_PTR)
		CHECK(strlen(*(char **)addresses) < 256);
	note_reported(slot);
}

static void
take_list(int result, struct evutil_addrinfo *list, void *slot)
{
	CHECK(!result == !!list);
	if (list)
		evutil_freeaddrinfo(list);
	note_reported(slot);
}

/* The server that is made with the library. */

static void
finish(struct evdns_server_request *request)
{
	if (chance(20) || evdns_server_request_respond(request, chance(80) ? 0 : random_below(8)))
		evdns_server_request_drop(request);
}

static void
answer_somehow(struct evdns_server_request *request, void *arg)
{
	struct evdns_server_question *question = request->questions[0];
	int place = random_below(KEPT);

	(void)arg;
	if (chance(20))
		evdns_server_request_add_cname_reply(request, question->name, "other.test", 5);
	for (int i = random_below(4); i > 0; i--)
		if (question->type == TYPE_AAAA)
			evdns_server_request_add_aaaa_reply(request, question->name, 1, "0123456789abcdef", 60);
		else
			evdns_server_request_add_a_reply(request, question->name, 2, "\1\2\3\4\5\6\7\10", 60);
	for (int i = chance(5) ? 30 : 0; i > 0; i--)
		evdns_server_request_add_reply(request, random_below(3), question->name, 16, 1, 5, 30, 0, "\35this is the text of a record.");
	if (chance(20) && !kept[place])
		kept[place] = request;
	else
		finish(request);
	if (chance(1) && port) {
		evdns_close_server_port(port);
		port = NULL;
	}
}

static void
open_port(void)
{
	int fd = bound_socket(SOCK_DGRAM, &port_number);

	if (fd >= 0)
		port = evdns_add_server_port_with_base(base, fd, 0, answer_somehow, NULL);
}

/* The servers of plain sockets. */
static void
answer_badly(struct server *from, const struct query *query)
{
	static struct message message;
	int kind = random_below(8);

	if (kind == 0)
		return;
	if (kind == 1) {
		answer_empty(from, query, query->stream < 0 ? FLAG_TC : random_below(8));
		return;
	}
	begin_answer(&message, query, 0, 1, 0);
	put_a(&message, 60, "192.0.2.1");
	if (kind == 2)
		for (int i = 0; i < 3; i++)
			message.bytes[random_below((int)message.length)] ^= (uint8_t)(1 << random_below(8));
	if (kind == 3)
		message.length = (size_t)random_below((int)message.length);
	if (kind == 4)
		message.bytes[3] |= (uint8_t)random_below(8);
	send_message(from, query, &message);
	if (kind == 5)
		send_message(from, query, &message);
	if (query->stream >= 0 && kind == 6)
		shutdown(query->stream, SHUT_RDWR);
}

/* The calls. */

static void
add_some_server(void)
{
	int which = random_below(SERVERS);
	struct server own = {.port = port_number};

	(void)add_server(dns, which ? &servers[which - 1] : &own);
}

static void
make_resolver(void)
{
	dns = evdns_base_new(base, chance(50) ? EVDNS_BASE_DISABLE_WHEN_INACTIVE : 0);
	set("timeout", chance(50) ? "0.01" : "0.003");
	set("attempts", chance(50) ? "1" : "3");
	set("max-inflight", chance(50) ? "2" : "64");
	set("getaddrinfo-allow-skew", "0.005");
	set("initial-probe-timeout", "0.02");
	for (int i = 0; i < SERVERS; i++)
		add_some_server();
}

static void
free_resolver(void)
{
	struct evdns_base *old = dns;

	dns = NULL;
	evdns_base_free(old, 1);
}

static void
look_up(struct slot *slot)
{
	static const char *const names[] = {"a.test", "b", "many.labels.in.a.name.test", "absolute.", "localhost", "c.test"};
	const char *name = names[random_below(6)];
	struct evutil_addrinfo hints = {.ai_family = chance(60) ? AF_UNSPEC : AF_INET6, .ai_flags = chance(50) ? EVUTIL_AI_CANONNAME : 0};
	struct evdns_getaddrinfo_request *list;
	struct in_addr in = {htonl(INADDR_LOOPBACK)};

	slot->used = 1;
	switch (random_below(4)) {
	case 0:
		slot->request = evdns_base_resolve_ipv4(dns, name, random_below(2), take_result, slot);
		break;
	case 1:
		slot->request = evdns_base_resolve_ipv6(dns, name, random_below(2), take_result, slot);
		break;
	case 2:
		slot->request = evdns_base_resolve_reverse(dns, &in, 0, take_result, slot);
		break;
	default:
		started++;
		list = evdns_getaddrinfo(dns, name, "80", &hints, take_list, slot);
		/* It may have been reported already, and another may have started in the same slot. */
		if (list)
			slot->list = list;
		return;
	}
	started += !!slot->request;
	slot->used = !!slot->request;
}

static void
cancel(struct slot *slot)
{
	if (slot->request) {
		evdns_cancel_request(chance(50) ? dns : NULL, slot->request);
	} else if (slot->list) {
		evdns_getaddrinfo_cancel(slot->list);
		slot->list = NULL;
	}
}

static void
change_servers(void)
{
	switch (random_below(4)) {
	case 0:
		evdns_base_clear_nameservers_and_suspend(dns);
		break;
	case 1:
		evdns_base_resume(dns);
		break;
	default:
		add_some_server();
	}
}

static void
change_settings(void)
{
	switch (random_below(5)) {
	case 0:
		evdns_base_search_add(dns, "test");
		break;
	case 1:
		evdns_base_search_clear(dns);
		break;
	case 2:
		set("timeout", chance(50) ? "0.002" : "0.02");
		break;
	case 3:
		set("randomize-case", chance(50) ? "0" : "1");
		break;
	default:
		evdns_base_load_hosts(dns, NULL);
		evdns_base_clear_host_addresses(dns);
	}
}

static void
change_port(void)
{
	int place = random_below(KEPT);

	if (!port)
		open_port();
	if (kept[place])
		finish(kept[place]);
	kept[place] = NULL;
}

static void
call_something(void)
{
	struct slot *slot = &slots[random_below(SLOTS)];
	int kind = random_below(100);

	if (!dns)
		make_resolver();
	else if (kind < 70 && !slot->used)
		look_up(slot);
	else if (kind < 80)
		cancel(slot);
	else if (kind < 90)
		change_servers();
	else if (kind < 95)
		change_settings();
	else if (kind < 99)
		change_port();
	else
		free_resolver();
}

/* Freed memory is overwritten, so that using it fails. */
static void
spoil_and_free(void *block)
{
	memset(block, 0x5a, malloc_usable_size(block));
	free(block);
}

DIFFERENCE(calls_in_any_order, ONE_BACKEND | SLOW, "calls in an unusual order, such as freeing a resolver while it probes a server, crash")
{
	event_set_mem_functions(malloc, realloc, spoil_and_free);
	base = new_base();
	seed = 20260;
	event_set_log_callback(ignore_message);
	for (int i = 0; i < SERVERS - 1; i++) {
		start_server(&servers[i], "server", answer_badly);
		servers[i].quiet = 1;
	}
	open_port();
	for (int i = 0; i < STEPS; i++) {
		call_something();
		if (chance(30))
			event_base_loop(base, EVLOOP_NONBLOCK);
		if (chance(1))
			usleep(3000);
	}
	if (dns)
		free_resolver();
	/* No other resolver is made from now on. */
	depth = 3;
	for (int i = 0; i < 200; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	CHECK(started > STEPS / 10);
	CHECK_EQUAL(reported, started);
	for (int i = 0; i < KEPT; i++)
		if (kept[i])
			evdns_server_request_drop(kept[i]);
	if (port)
		evdns_close_server_port(port);
	for (int i = 0; i < SERVERS - 1; i++)
		stop_server(&servers[i]);
	event_base_free(base);
}
