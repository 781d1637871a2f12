/* Clients that connect by name: what the resolver is asked, how long it may take, and cancelling in the meantime. */
#include "dns/tools.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <signal.h>

static struct evhttp *http;
static struct evhttp_connection *client;
static int port, done;
static char seen[1000];

static void __attribute__((format(printf, 1, 2)))
see(const char *format, ...)
{
	size_t length = strlen(seen);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(seen + length, sizeof seen - length, format, arguments);
	va_end(arguments);
}

static void
reply(struct evhttp_request *req, void *arg)
{
	(void)arg;
	evhttp_send_reply(req, 200, NULL, NULL);
}

static void
note_reply(struct evhttp_request *req, void *arg)
{
	(void)arg;
	done++;
	if (req)
		see("%d; ", evhttp_request_get_response_code(req));
	else
		see("no reply; ");
}

static void
note_error(enum evhttp_request_error error, void *arg)
{
	(void)arg;
	see("error %d; ", error);
}

static struct evhttp_request *
ask(const char *target)
{
	struct evhttp_request *req = evhttp_request_new(note_reply, NULL);

	evhttp_request_set_error_cb(req, note_error);
	CHECK_EQUAL(evhttp_make_request(client, req, EVHTTP_REQ_GET, target), 0);
	return req;
}

static int
bind_http(const char *address)
{
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, address, 0);
	struct sockaddr_storage name;
	socklen_t length = sizeof name;

	CHECK(bound && getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&name, &length) == 0);
	return ntohs(((struct sockaddr_in *)&name)->sin_port);
}

static void
start_http(const char *address)
{
	signal(SIGPIPE, SIG_IGN);
	http = evhttp_new(base);
	evhttp_set_gencb(http, reply, NULL);
	port = bind_http(address);
}

static void
stop_http(void)
{
	evhttp_connection_free(client);
	evhttp_free(http);
}

static void
connect_by(const char *name)
{
	client = evhttp_connection_base_new(base, dns, name, (ev_uint16_t)port);
	CHECK(client != NULL);
}

/* Answers that are right for one family only: a question about the other one gets the address of this one, as some
 * servers do. */
static int family_that_is;

static void
answer_with_one_family(struct server *from, const struct query *query)
{
	static struct message message;

	begin_answer(&message, query, 0, 1, 0);
	if (family_that_is == AF_INET6)
		put_aaaa(&message, 60, "::1");
	else
		put_a(&message, 60, "127.0.0.1");
	send_message(from, query, &message);
}

static void
find(const char *name, int family, int wanted)
{
	connect_by(name);
	evhttp_connection_set_family(client, family);
	ask("/");
	wait_for(&done, 1);
	CHECK_EQUAL(evhttp_connection_get_addr(client)->sa_family, wanted);
	evhttp_connection_free(client);
	client = NULL;
}

/* A name with addresses of one family is found, asked for that family or for any. */
static void
find_one_family(int family, const char *address, const char *name)
{
	begin(answer_with_one_family);
	server.quiet = 1;
	family_that_is = family;
	start_http(address);
	find(name, family, family);
	find(name, AF_UNSPEC, family);
	CHECK_STRING(seen, "200; 200; ");
	evhttp_free(http);
	end();
}

CASE(names_of_ipv6, ONE_BACKEND)
{
	find_one_family(AF_INET6, "::1", "six.test");
}

CASE(names_of_ipv4, ONE_BACKEND)
{
	find_one_family(AF_INET, "127.0.0.1", "four.test");
}

/* Cancelled during the look-up: that is reported at once, and the answer that comes later is ignored. The connection
 * can be used for the next request. */
static int silent;

static void
answer_unless_silent(struct server *from, const struct query *query)
{
	static struct message message;

	if (silent)
		return;
	begin_answer(&message, query, 0, query->type == TYPE_A, 0);
	if (query->type == TYPE_A)
		put_a(&message, 60, "127.0.0.1");
	send_message(from, query, &message);
}

CASE(cancelled_while_it_is_looked_up, ONE_BACKEND)
{
	struct evhttp_request *req;

	begin(answer_unless_silent);
	server.quiet = 1;
	start_http("127.0.0.1");
	connect_by("name.test");
	evhttp_connection_set_family(client, AF_INET);
	req = ask("/");
	evhttp_cancel_request(req);
	CHECK_STRING(seen, "error 4; ");
	run_for(base, 50);
	CHECK_STRING(seen, "error 4; ");
	ask("/");
	wait_for(&done, 1);
	CHECK_STRING(seen, "error 4; 200; ");
	/* One queued after another that is cancelled. */
	evhttp_connection_free(client);
	connect_by("name.test");
	evhttp_connection_set_family(client, AF_INET);
	seen[0] = 0;
	req = ask("/");
	ask("/");
	evhttp_cancel_request(req);
	wait_for(&done, 1);
	CHECK_STRING(seen, "error 4; 200; ");
	/* Freed. */
	evhttp_connection_free(client);
	connect_by("name.test");
	ask("/");
	stop_http();
	run_for(base, 50);
	CHECK_STRING(seen, "error 4; 200; ");
	end();
}

/* The timeout is that of the connection: it does not run while the name is looked up, which takes longer here. */
static int
looked_up_for(int attempts, int milliseconds_each)
{
	long long began = milliseconds();
	char text[20];

	snprintf(text, sizeof text, "%d", attempts);
	CHECK_EQUAL(evdns_base_set_option(dns, "attempts:", text), 0);
	snprintf(text, sizeof text, "%d.%03d", milliseconds_each / 1000, milliseconds_each % 1000);
	CHECK_EQUAL(evdns_base_set_option(dns, "timeout:", text), 0);
	seen[0] = 0;
	ask("/");
	wait_for(&done, 1);
	return (int)(milliseconds() - began);
}

CASE(look_up_takes_longer_than_the_timeout, ONE_BACKEND)
{
	struct timeval timeout = {0, 100000};

	begin(answer_unless_silent);
	server.quiet = silent = 1;
	start_http("127.0.0.1");
	connect_by("name.test");
	evhttp_connection_set_family(client, AF_INET);
	evhttp_connection_set_timeout_tv(client, &timeout);
	CHECK(looked_up_for(1, 400) >= 390);
	CHECK_STRING(seen, "error 1; no reply; ");
	stop_http();
	end();
}

/* A name server at a port where nobody listens: the kernel says so, and the look-up takes its time nevertheless. Its
 * names are those that it says, and no other: also that of this machine. */
static void
look_up_at_a_closed_port(const char *name)
{
	char address[40];
	int closed = 0;

	base = event_base_new();
	close(bound_socket(SOCK_DGRAM, &closed));
	snprintf(address, sizeof address, "127.0.0.1:%d", closed);
	dns = evdns_base_new(base, 0);
	CHECK_EQUAL(evdns_base_nameserver_ip_add(dns, address), 0);
	start_http("127.0.0.1");
	connect_by(name);
	CHECK(looked_up_for(1, 300) >= 290);
	CHECK_STRING(seen, "error 1; no reply; ");
	stop_http();
	evdns_base_free(dns, 0);
	event_base_free(base);
}

CASE(closed_port, ONE_BACKEND)
{
	look_up_at_a_closed_port("name.test");
	look_up_at_a_closed_port("localhost");
}

/* The address that was found the last time is used again, without a query. */
static void
find_again(int listens)
{
	int queries;

	connect_by("name.test");
	evhttp_connection_set_family(client, AF_INET);
	CHECK_EQUAL(evhttp_connection_set_flags(client, EVHTTP_CON_REUSE_CONNECTED_ADDR), 0);
	seen[0] = 0;
	for (int i = 0; i < 2; i++) {
		struct evhttp_request *req = evhttp_request_new(note_reply, NULL);

		evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
		CHECK_EQUAL(evhttp_make_request(client, req, EVHTTP_REQ_GET, "/"), 0);
		wait_for(&done, 1);
		if (i == 0)
			queries = server.queries;
	}
	CHECK_EQUAL(server.queries, queries);
	CHECK_STRING(seen, listens ? "200; 200; " : "0; 0; ");
	evhttp_connection_free(client);
}

CASE(address_used_again, ONE_BACKEND)
{
	begin(answer_unless_silent);
	server.quiet = 1;
	start_http("127.0.0.1");
	find_again(1);
	evhttp_free(http);
	find_again(0);
	end();
}

/* The same between attempts, and for a request that comes after them: the address was found, although nobody listened
 * there. */
static void
bind_refusing_socket(int *fd)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;

	signal(SIGPIPE, SIG_IGN);
	*fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CHECK(bind(*fd, (struct sockaddr *)&address, length) == 0);
	CHECK(getsockname(*fd, (struct sockaddr *)&address, &length) == 0);
	port = ntohs(address.sin_port);
}

DIFFERENCE(address_used_for_later_attempts, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS,
	"after its attempts to connect have failed, a connection never tries again")
{
	struct timeval pause = {0, 10000};
	int fd, queries;

	begin(answer_unless_silent);
	server.quiet = 1;
	bind_refusing_socket(&fd);
	connect_by("name.test");
	evhttp_connection_set_family(client, AF_INET);
	CHECK_EQUAL(evhttp_connection_set_flags(client, EVHTTP_CON_REUSE_CONNECTED_ADDR), 0);
	evhttp_connection_set_initial_retry_tv(client, &pause);
	evhttp_connection_set_retries(client, 2);
	ask("/");
	wait_for(&done, 1);
	CHECK_STRING(seen, "0; ");
	queries = server.queries;
	evhttp_connection_set_retries(client, -1);
	ask("/");
	event_base_loop(base, EVLOOP_NONBLOCK);
	http = evhttp_new(base);
	evhttp_set_gencb(http, reply, NULL);
	CHECK(listen(fd, 5) == 0 && evhttp_accept_socket(http, fd) == 0);
	wait_for(&done, 1);
	CHECK_STRING(seen, "0; 200; ");
	CHECK_EQUAL(server.queries, queries);
	stop_http();
	end();
}

/* A name that does not exist is not a refused connection, whatever an old errno says. */
static void
answer_that_there_is_none(struct server *from, const struct query *query)
{
	answer_empty(from, query, 3);
}

static void
leave_an_error(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	errno = ECONNREFUSED;
}

CASE(no_name_and_an_old_error, ONE_BACKEND)
{
	struct timeval none = {0, 0};
	struct event *always;

	begin(answer_that_there_is_none);
	server.quiet = 1;
	port = 80;
	connect_by("name.test");
	evhttp_connection_set_family(client, AF_INET);
	always = event_new(base, -1, EV_PERSIST, leave_an_error, NULL);
	event_add(always, &none);
	ask("/");
	wait_for(&done, 1);
	CHECK_STRING(seen, "error 1; no reply; ");
	event_free(always);
	evhttp_connection_free(client);
	end();
}

/* The name is found, but the kernel there does not answer: its queue is full. */
CASE(given_up_while_nobody_answers, ONE_BACKEND)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval timeout = {0, 100000};
	struct evhttp_request *req;
	int fd, others[8];

	begin(answer_unless_silent);
	server.quiet = 1;
	bind_refusing_socket(&fd);
	CHECK_EQUAL(listen(fd, 0), 0);
	address.sin_port = htons((unsigned short)port);
	for (int i = 0; i < 8; i++) {
		others[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(others[i], (struct sockaddr *)&address, sizeof address);
	}
	connect_by("name.test");
	evhttp_connection_set_family(client, AF_INET);
	req = ask("/");
	for (int i = 0; evhttp_connection_get_addr(client)->sa_family == AF_UNSPEC && i < 1000; i++)
		run_for(base, 1);
	evhttp_cancel_request(req);
	CHECK_STRING(seen, "error 4; ");
	evhttp_connection_set_timeout_tv(client, &timeout);
	ask("/");
	wait_for(&done, 1);
	CHECK_STRING(seen, "error 4; 0; ");
	evhttp_connection_free(client);
	for (int i = 0; i < 8; i++)
		close(others[i]);
	close(fd);
	end();
}
