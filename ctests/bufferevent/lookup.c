/* Connecting by name. The resolver is a stand-in that answers when the test says so. */
#include "tools.h"

#include <event2/dns.h>

typedef void resolved(int, struct evutil_addrinfo *, void *);
typedef struct evdns_getaddrinfo_request *resolver(struct evdns_base *, const char *, const char *,
    const struct evutil_addrinfo *, resolved *, void *);
void evutil_set_evdns_getaddrinfo_fn_(resolver *fn);
void evutil_set_evdns_getaddrinfo_cancel_fn_(void (*fn)(struct evdns_getaddrinfo_request *));
struct evutil_addrinfo *evutil_new_addrinfo_(struct sockaddr *sa, ev_socklen_t socklen, const struct evutil_addrinfo *hints);
struct evutil_addrinfo *evutil_addrinfo_append_(struct evutil_addrinfo *first, struct evutil_addrinfo *append);

struct evdns_getaddrinfo_request {
	resolved *answer;
	void *arg;
	int cancelled;
};

enum { REQUESTS = 4 };
static struct evdns_getaddrinfo_request requests[REQUESTS];
static int requested, answer_at_once;
static struct evdns_base *const dns_base = (struct evdns_base *)&requests;

static union any_address address;
static socklen_t length;
static int listener;

static struct traced client = {.name = "client", .drain = -1};
static struct bufferevent *bev;

static struct evutil_addrinfo *
list_of(const union any_address *one, socklen_t its_length)
{
	struct evutil_addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP}, *list;
	union any_address copy = *one;

	list = evutil_new_addrinfo_(&copy.any, its_length, &hints);
	CHECK(list);
	return list;
}

static struct evdns_getaddrinfo_request *
look_up(struct evdns_base *given, const char *host, const char *service, const struct evutil_addrinfo *hints, resolved *answer,
	void *arg)
{
	struct evdns_getaddrinfo_request *request = &requests[requested++];

	CHECK(given == dns_base && requested <= REQUESTS);
	printf("look up %s:%s, family %s, type %d, protocol %d, flags %d\n", host, service,
	       hints->ai_family == AF_INET ? "IPv4" : hints->ai_family == AF_INET6 ? "IPv6" : "any", hints->ai_socktype,
	       hints->ai_protocol, hints->ai_flags);
	if (answer_at_once) {
		answer(0, list_of(&address, length), arg);
		return NULL;
	}
	request->answer = answer;
	request->arg = arg;
	return request;
}

static void
cancel(struct evdns_getaddrinfo_request *request)
{
	printf("cancelled\n");
	request->cancelled++;
}

static void
answer(int number, int result, struct evutil_addrinfo *list)
{
	printf("-- answered\n");
	requests[number].answer(result, list, requests[number].arg);
}

static void
begin(int options)
{
	evutil_set_evdns_getaddrinfo_fn_(look_up);
	evutil_set_evdns_getaddrinfo_cancel_fn_(cancel);
	make_base();
	listener = listen_on(AF_INET, &address, &length);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	bev = make_bufferevent(-1, options, &client);
}

static void
begin_look_up(int options)
{
	begin(options | BEV_OPT_CLOSE_ON_FREE);
	CHECK_EQUAL(bufferevent_socket_connect_hostname(bev, dns_base, AF_UNSPEC, "a.name", 80), 0);
	CHECK_EQUAL(requested, 1);
	settle();
	CHECK_EQUAL(happened, 0);
}

static void
report(void)
{
	printf("name error %d, %s descriptor, enabled %s\n", bufferevent_socket_get_dns_error(bev),
	       bufferevent_getfd(bev) < 0 ? "no" : "a", enabled_names(bev));
}

static void
end(void)
{
	bufferevent_free(bev);
	finish();
	close(listener);
}

CASE(found_and_connected, EVERY_BACKEND)
{
	char data[10];
	int server;

	begin_look_up(0);
	/* Nothing happens before the answer, whatever is enabled. */
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	bufferevent_write(bev, "early", 5);
	settle();
	report();
	CHECK_EQUAL(happened, 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	answer(0, 0, list_of(&address, length));
	report();
	run_until(&happened, 2);
	settle();
	report();
	server = accept(listener, NULL, NULL);
	CHECK(server >= 0);
	CHECK_EQUAL(received(server, data, sizeof data), 5);
	send_all(server, "hello", 5);
	run_until(&happened, 3);
	close(server);
	end();
}

CASE(questions, ONE_BACKEND)
{
	static const struct {
		int family, port;
		const char *host;
	} questions[] = {{AF_UNSPEC, 1, "some.name"}, {AF_INET, 65535, "127.0.0.1"}, {AF_INET6, 80, "::1"}};
	int i;

	begin(0);
	for (i = 0; i < 3; i++) {
		CHECK_EQUAL(bufferevent_socket_connect_hostname(bev, dns_base, questions[i].family, questions[i].host,
								questions[i].port), 0);
		answer(i, EVUTIL_EAI_NONAME, NULL);
	}
	end();
}

CASE(answered_at_once, ONE_BACKEND)
{
	begin(BEV_OPT_CLOSE_ON_FREE);
	answer_at_once = 1;
	CHECK_EQUAL(bufferevent_socket_connect_hostname(bev, dns_base, AF_INET, "127.0.0.1", 80), 0);
	report();
	CHECK_EQUAL(happened, 0);
	run_until(&happened, 1);
	settle();
	end();
}

static void
play_failure(int options, int result)
{
	begin_look_up(options);
	bufferevent_enable(bev, EV_READ);
	answer(0, result, NULL);
	report();
	settle();
	report();
	end();
}

CASE(not_found, ONE_BACKEND)
{
	play_failure(0, EVUTIL_EAI_NONAME);
}

CASE(not_found_deferred, ONE_BACKEND)
{
	play_failure(BEV_OPT_DEFER_CALLBACKS, EVUTIL_EAI_AGAIN);
}

/* Nobody is told. */
CASE(answered_as_cancelled, ONE_BACKEND)
{
	play_failure(0, EVUTIL_EAI_CANCEL);
	CHECK_EQUAL(happened, 0);
}

/* A look-up that was not cancelled is answered as cancelled, after one that was. */
CASE(two_answered_as_cancelled, ONE_BACKEND)
{
	int ends[2];

	begin_look_up(0);
	make_connection(0, ends);
	CHECK_EQUAL(bufferevent_setfd(bev, ends[0]), 0);
	answer(0, EVUTIL_EAI_CANCEL, NULL);
	bufferevent_setfd(bev, -1);
	close(ends[0]);
	close(ends[1]);
	CHECK_EQUAL(bufferevent_socket_connect_hostname(bev, dns_base, AF_UNSPEC, "another.name", 80), 0);
	answer(1, EVUTIL_EAI_CANCEL, NULL);
	report();
	CHECK_EQUAL(bufferevent_socket_connect_hostname(bev, dns_base, AF_UNSPEC, "a.third.name", 80), 0);
	answer(2, 0, list_of(&address, length));
	run_until(&happened, 1);
	CHECK_EQUAL(client.last, BEV_EVENT_CONNECTED);
	report();
	end();
}

CASE(descriptor_set_meanwhile, ONE_BACKEND)
{
	int ends[2];

	begin_look_up(0);
	bufferevent_enable(bev, EV_READ);
	make_connection(0, ends);
	CHECK_EQUAL(bufferevent_setfd(bev, ends[0]), 0);
	CHECK_EQUAL(requests[0].cancelled, 1);
	settle();
	answer(0, EVUTIL_EAI_CANCEL, NULL);
	send_all(ends[1], "hello", 5);
	settle();
	CHECK_EQUAL(client.reads, 1);
	report();
	close(ends[1]);
	end();
}

/* Only the first address is tried. */
CASE(first_address_refuses, ONE_BACKEND)
{
	union any_address refusing;
	socklen_t its_length;

	close(listen_on(AF_INET, &refusing, &its_length));
	begin_look_up(0);
	answer(0, 0, evutil_addrinfo_append_(list_of(&refusing, its_length), list_of(&address, length)));
	run_until(&happened, 1);
	settle();
	CHECK_EQUAL(happened, 1);
	report();
	end();
}

CASE(address_of_no_family, ONE_BACKEND)
{
	union any_address none = {.any = {.sa_family = 200}};

	begin_look_up(0);
	answer(0, 0, list_of(&none, sizeof none.in));
	settle();
	report();
	end();
}

CASE(long_addresses, ONE_BACKEND)
{
	close(listen_on(AF_UNIX, &address, &length));
	begin_look_up(0);
	close(listener);
	listener = listen_on(AF_UNIX, &address, &length);
	memset(&address.un.sun_path[1], 'x', sizeof address.un.sun_path - 1);
	answer(0, 0, list_of(&address, sizeof address.un));
	settle();
	/* Nobody listens there. */
	CHECK_EQUAL(client.last, BEV_EVENT_ERROR);
	CHECK_EQUAL(bufferevent_socket_get_dns_error(bev), 0);
	end();
}

CASE(addresses_of_impossible_length, ONE_BACKEND)
{
	union {
		union any_address address;
		char bytes[300];
	} impossible = {.address = {.any = {.sa_family = AF_INET}}};
	struct evutil_addrinfo hints = {.ai_socktype = SOCK_STREAM};

	begin_look_up(0);
	answer(0, 0, evutil_new_addrinfo_(&impossible.address.any, sizeof impossible, &hints));
	settle();
	CHECK_EQUAL(client.last, BEV_EVENT_ERROR);
	CHECK_EQUAL(bufferevent_socket_get_dns_error(bev), EVUTIL_EAI_FAIL);
	CHECK_EQUAL(bufferevent_getfd(bev), -1);
	end();
}

/* --- What 2.1 does not do. ----------------------------------------------------------------------------- */

DIFFERENCE(freed_meanwhile, ONE_BACKEND,
	"a bufferevent freed during the look-up of its peer's name still connects when the answer comes")
{
	begin(0);
	CHECK_EQUAL(bufferevent_socket_connect_hostname(bev, dns_base, AF_UNSPEC, "a.name", 80), 0);
	bufferevent_free(bev);
	CHECK_EQUAL(requests[0].cancelled, 1);
	settle();
	answer(0, EVUTIL_EAI_CANCEL, NULL);
	finish();
	close(listener);
}

/* The answer was on its way already. */
DIFFERENCE(freed_and_answered, ONE_BACKEND,
	"a bufferevent freed during the look-up of its peer's name still connects when the answer comes")
{
	begin(0);
	CHECK_EQUAL(bufferevent_socket_connect_hostname(bev, dns_base, AF_UNSPEC, "a.name", 80), 0);
	bufferevent_free(bev);
	answer(0, 0, list_of(&address, length));
	settle();
	CHECK_EQUAL(happened, 0);
	CHECK(accept(listener, NULL, NULL) < 0 && errno == EAGAIN);
	finish();
	close(listener);
}

DIFFERENCE(second_look_up_is_refused, ONE_BACKEND,
	"a second bufferevent_socket_connect_hostname during the first is accepted, and both connect")
{
	begin_look_up(0);
	CHECK_EQUAL(bufferevent_socket_connect_hostname(bev, dns_base, AF_UNSPEC, "b.name", 80), -1);
	CHECK_EQUAL(requested, 1);
	answer(0, 0, list_of(&address, length));
	run_until(&happened, 1);
	CHECK_EQUAL(client.last, BEV_EVENT_CONNECTED);
	end();
}

DIFFERENCE(brackets_around_ipv6, ONE_BACKEND,
	"bufferevent_socket_connect_hostname does not accept addresses in brackets such as "
	"[::1], which its header promises")
{
	int v6;

	begin(BEV_OPT_CLOSE_ON_FREE);
	v6 = listen_on(AF_INET6, &address, &length);
	CHECK_EQUAL(bufferevent_socket_connect_hostname(bev, NULL, AF_UNSPEC, "[::1]", ntohs(address.in6.sin6_port)), 0);
	run_until(&happened, 1);
	CHECK_EQUAL(client.last, BEV_EVENT_CONNECTED);
	close(v6);
	end();
}
