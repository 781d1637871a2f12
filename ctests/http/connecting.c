/* How a client's connection is made: its address before that, pauses between attempts, timeouts set in the meantime, the
 * reported reason of a failure, and requests that are cancelled. */
#include "client_tools.h"

#include <event2/bufferevent_struct.h>
#include <event2/event_compat.h>
#include <event2/http_compat.h>

static struct evhttp_connection *client;

static void
connect_to(int port)
{
	client = evhttp_connection_base_new(base, NULL, "127.0.0.1", (ev_uint16_t)port);
	CHECK(client);
	seen[0] = 0;
	requests_done = 0;
}

static struct evhttp_request *
ask(const char *target)
{
	struct evhttp_request *req = new_request();

	CHECK_EQUAL(evhttp_make_request(client, req, EVHTTP_REQ_GET, target), 0);
	return req;
}

static void
say(int fd, const char *bytes)
{
	CHECK_EQUAL(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL), (ssize_t)strlen(bytes));
}

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/* --- Addresses --- */

static void
print_peer(const char *when)
{
	const struct sockaddr *address = evhttp_connection_get_addr(client);
	char *name;
	ev_uint16_t port;

	CHECK(address != NULL);
	evhttp_connection_get_peer(client, &name, &port);
	printf("%s: %s, port %d, family %d\n", when, name, port == peer_port, address->sa_family);
}

/* There is always an address; its family says whether it is one. */
CASE(address_before_it_is_connected, ONE_BACKEND)
{
	int fd;

	start_peer();
	connect_to(peer_port);
	print_peer("new");
	evhttp_connection_set_family(client, AF_INET);
	print_peer("with a family");
	ask("/");
	print_peer("connecting");
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	print_peer("connected");
	close(fd);
	TURN_UNTIL(requests_done == 1);
	print_peer("closed");
	evhttp_connection_free(client);

	client = evhttp_connection_base_new(base, NULL, "a name", 0);
	print_peer("no address");
	evhttp_connection_free(client);
	stop_peer();
}

CASE(address_without_a_base, ONE_BACKEND)
{
	base = event_init();
	client = evhttp_connection_new("127.0.0.1", 0);
	print_peer("new");
	evhttp_connection_free(client);
	event_base_free(base);
}

/* --- Pauses --- */

static const struct event *events[16];
static int events_found;
static struct event *timer;

static int
find_event(const struct event_base *of, const struct event *event, void *arg)
{
	(void)of;
	(void)arg;
	CHECK(events_found < 16);
	events[events_found++] = event;
	return 0;
}

/* Whether the only timer is that of a pause. */
static int
is_waiting(void)
{
	int timers = 0;

	event_base_loop(base, EVLOOP_NONBLOCK);
	events_found = 0;
	event_base_foreach_event(base, find_event, NULL);
	for (int i = 0; i < events_found; i++) {
		if (event_pending(events[i], EV_TIMEOUT, NULL)) {
			timer = (struct event *)events[i];
			timers++;
		}
	}
	return timers == 1 && !event_pending(timer, EV_WRITE, NULL);
}

static long long
now(void)
{
	struct timeval time;

	gettimeofday(&time, NULL);
	return time.tv_sec * 1000LL + time.tv_usec / 1000;
}

/* The next pause is as long as wanted, in milliseconds; it need not be waited for. */
static void
check_pause(long long wanted, long long began)
{
	enum { CLOCKS_DIFFER_BY = 100 };
	struct timeval due;
	long long until;
	int waits;

	/* If nothing is scheduled, there will be none. */
	TURN_UNTIL((waits = is_waiting()) || !event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED | EVENT_BASE_COUNT_ACTIVE));
	CHECK(waits);
	CHECK(event_pending(timer, EV_TIMEOUT, &due));
	until = due.tv_sec * 1000LL + due.tv_usec / 1000;
	if (until - wanted < began - CLOCKS_DIFFER_BY || until - wanted > now() + CLOCKS_DIFFER_BY)
		printf("a pause of %lld ms in place of %lld ms\n", until - began, wanted);
	CHECK(until - wanted >= began - CLOCKS_DIFFER_BY && until - wanted <= now() + CLOCKS_DIFFER_BY);
}

static void
check_pauses(const struct timeval *first, const int *wanted, int count)
{
	start_peer();
	connect_to(unused_port());
	evhttp_connection_set_retries(client, count);
	evhttp_connection_set_initial_retry_tv(client, first);
	for (int i = 0; i < count; i++) {
		long long began = now();

		if (i == 0)
			ask("/");
		else
			event_active(timer, EV_TIMEOUT, 1);
		check_pause(wanted[i], began);
	}
	CHECK_STRING(seen, "");
	event_active(timer, EV_TIMEOUT, 1);
	TURN_UNTIL(requests_done == 1);
	CHECK_STRING(seen, "not connected; ");
	evhttp_connection_free(client);
	stop_peer();
}

CASE(pauses_of_whole_seconds, ONE_BACKEND)
{
	static const int usual[] = {2000, 4000, 8000, 16000}, long_ones[] = {2000000, 3600000, 3600000};
	struct timeval half_an_hour = {2000, 0};

	check_pauses(NULL, usual, 4);
	check_pauses(&half_an_hour, long_ones, 3);
}

DIFFERENCE(pauses_double, ONE_BACKEND, "a pause of 0.6 seconds is followed by one of 2.2 seconds")
{
	static const int parts[] = {600, 1200, 2400, 4800}, many_parts[] = {1750, 3500, 7000};
	struct timeval part = {0, 600000}, more = {1, 750000};

	check_pauses(&part, parts, 4);
	check_pauses(&more, many_parts, 3);
}

/* A socket that refuses connections until somebody listens on it. */
static void
start_refusing_peer(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;

	start_peer();
	close(peer_listener);
	peer_listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CHECK(bind(peer_listener, (struct sockaddr *)&address, length) == 0);
	CHECK(getsockname(peer_listener, (struct sockaddr *)&address, &length) == 0);
	peer_port = ntohs(address.sin_port);
}

static void
ask_and_check_pause(const char *target, int wanted)
{
	long long began = now();

	ask(target);
	check_pause(wanted, began);
}

/* A request after the attempts for another one were in vain has all of its attempts. The pauses keep doubling until a
 * connection is made. */
static void
check_requests_after_attempts(int flags)
{
	struct timeval half = {0, 500000};
	int fd;

	start_refusing_peer();
	connect_to(peer_port);
	CHECK_EQUAL(evhttp_connection_set_flags(client, flags), 0);
	evhttp_connection_set_initial_retry_tv(client, &half);
	evhttp_connection_set_retries(client, 1);
	ask_and_check_pause("/1", 500);
	event_active(timer, EV_TIMEOUT, 1);
	TURN_UNTIL(requests_done == 1);

	evhttp_connection_set_retries(client, 3);
	ask_and_check_pause("/2", 1000);
	CHECK_EQUAL(listen(peer_listener, 5), 0);
	event_active(timer, EV_TIMEOUT, 1);
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	close(peer_listener);
	say(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
	TURN_UNTIL(requests_done == 2);
	close(fd);
	CHECK_STRING(seen, "not connected; 200 [OK]; ");

	ask_and_check_pause("/3", 500);
	evhttp_connection_free(client);
	event_base_free(base);
}

DIFFERENCE(requests_after_attempts, ONE_BACKEND, "after its attempts to connect have failed, a connection never tries again")
{
	check_requests_after_attempts(0);
	check_requests_after_attempts(EVHTTP_CON_REUSE_CONNECTED_ADDR);
}

/* --- Timeouts --- */

static void
print_timeouts(const char *when, struct evhttp_connection *evcon)
{
	struct bufferevent *bev = evhttp_connection_get_bufferevent(evcon);

	printf("%s: read %ld.%06ld, write %ld.%06ld\n", when, (long)bev->timeout_read.tv_sec,
	       (long)bev->timeout_read.tv_usec, (long)bev->timeout_write.tv_sec, (long)bev->timeout_write.tv_usec);
	if (bufferevent_get_enabled(bev) & EV_READ)
		printf("it %s\n", event_pending(&bev->ev_read, EV_TIMEOUT, NULL) ? "runs" : "does not run");
}

/* No timeout is one, too, until the next connection is made. */
CASE(no_timeout_of_a_client, ONE_BACKEND)
{
	struct timeval none = {0, 0}, some = {7, 5};
	int fd;

	start_peer();
	connect_to(peer_port);
	evhttp_connection_set_timeout_tv(client, &some);
	ask("/");
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	turn();
	print_timeouts("some", client);
	evhttp_connection_set_timeout_tv(client, &none);
	print_timeouts("none", client);
	evhttp_connection_set_timeout(client, 9);
	print_timeouts("9 seconds", client);
	evhttp_connection_set_timeout(client, 0);
	print_timeouts("0 seconds", client);
	say(fd, ok);
	TURN_UNTIL(requests_done == 1);
	turn();
	print_timeouts("idle", client);
	close(fd);
	turn();

	ask("/");
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	turn();
	print_timeouts("the next connection", client);
	evhttp_connection_set_timeout_tv(client, &some);
	evhttp_connection_set_timeout_tv(client, NULL);
	print_timeouts("the usual", client);
	evhttp_connection_free(client);
	close(fd);
	stop_peer();
}

static const char *when;

static void
change_timeout(struct evhttp_request *req, void *seconds)
{
	struct evhttp_connection *evcon = evhttp_request_get_connection(req);

	print_timeouts(when, evcon);
	if (seconds)
		evhttp_connection_set_timeout(evcon, *(int *)seconds);
	print_timeouts("changed", evcon);
	evhttp_send_reply(req, 200, NULL, NULL);
	print_timeouts("replied", evcon);
}

static void
serve(const char *what)
{
	int fd = connect_raw();

	when = what;
	memset(&answer, 0, sizeof answer);
	for (int i = 0; i < 2; i++) {
		send_bytes(fd, "GET / HTTP/1.1\r\n\r\n", 18);
		settle(fd);
		when = "the next request";
	}
	CHECK(!answer.ended);
	close(fd);
	settle(-1);
}

CASE(no_timeout_of_a_server, ONE_BACKEND)
{
	static int none = 0, some = 8;
	struct timeval zero = {0, 0}, time = {7, 5};

	start_server();
	evhttp_set_gencb(http, change_timeout, NULL);
	serve("never set");
	evhttp_set_timeout_tv(http, &time);
	serve("7 seconds");
	evhttp_set_timeout_tv(http, &zero);
	serve("none");
	evhttp_set_timeout(http, 9);
	serve("9 seconds");
	evhttp_set_timeout(http, 0);
	serve("0 seconds");
	evhttp_set_timeout(http, 9);
	evhttp_set_timeout(http, -1);
	serve("-1 second");
	evhttp_set_timeout(http, 9);
	evhttp_set_timeout_tv(http, NULL);
	serve("no time");
	/* Set for one connection. */
	evhttp_set_gencb(http, change_timeout, &some);
	serve("none, and then 8 seconds");
	evhttp_set_timeout(http, 9);
	evhttp_set_gencb(http, change_timeout, &none);
	serve("9 seconds, and then none");
	stop_server();
}

/* --- Reasons --- */

/* No address of that family belongs to the name: nobody was there to refuse a connection. */
DIFFERENCE(an_old_error, ONE_BACKEND,
	"with an old ECONNREFUSED in errno, a failed look-up counts as a refused connection, and no error is reported")
{
	start_peer();
	connect_to(peer_port);
	evhttp_connection_set_family(client, AF_INET6);
	errno = ECONNREFUSED;
	ask("/");
	TURN_UNTIL(requests_done == 1);
	CHECK_STRING(seen, "eof; no reply; ");
	evhttp_connection_free(client);
	stop_peer();
}

static void
change_errno(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	errno = EINVAL;
}

/* And the other way round: what other callbacks leave in errno is no reason either. */
CASE(another_error, ONE_BACKEND)
{
	struct event *always;
	struct timeval none = {0, 0};

	start_peer();
	client = evhttp_connection_base_bufferevent_new(base, NULL,
		bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS), "127.0.0.1",
		(ev_uint16_t)unused_port());
	always = event_new(base, -1, EV_PERSIST, change_errno, NULL);
	event_add(always, &none);
	ask("/");
	TURN_UNTIL((errno = EINVAL, requests_done == 1));
	CHECK_STRING(seen, "not connected; ");
	event_free(always);
	evhttp_connection_free(client);
	stop_peer();
}

/* An event of a bufferevent that is neither end of file, nor an error, nor a timeout. */
static void
trigger(short what)
{
	int fd;

	connect_to(peer_port);
	ask("/");
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	turn();
	bufferevent_trigger_event(evhttp_connection_get_bufferevent(client), what, 0);
	TURN_UNTIL(requests_done == 1);
	printf("0x%02x: %s\n", what, seen);
	evhttp_connection_free(client);
	close(fd);
}

CASE(reasons_of_bufferevents, ONE_BACKEND)
{
	start_peer();
	trigger(BEV_EVENT_READING);
	trigger(BEV_EVENT_WRITING);
	trigger(BEV_EVENT_READING | BEV_EVENT_ERROR);
	trigger(BEV_EVENT_READING | BEV_EVENT_EOF);
	trigger(BEV_EVENT_READING | BEV_EVENT_TIMEOUT);
	stop_peer();
}

/* --- Servers that do not answer --- */

static int others[8];

/* Fills the kernel's queue, so that it does not answer any more. */
static void
start_deaf_peer(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	start_peer();
	CHECK_EQUAL(listen(peer_listener, 0), 0);
	address.sin_port = htons((unsigned short)peer_port);
	for (int i = 0; i < 8; i++) {
		others[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(others[i], (struct sockaddr *)&address, sizeof address);
	}
}

static void
stop_deaf_peer(void)
{
	for (int i = 0; i < 8; i++)
		close(others[i]);
	stop_peer();
}

/* One is cancelled while it connects, and another one is made, which times out: that is reported as its error. */
CASE(given_up_while_nobody_answers, ONE_BACKEND)
{
	struct timeval timeout = {0, 100000};
	struct evhttp_request *req;
	struct bufferevent *bev;

	start_deaf_peer();
	connect_to(peer_port);
	bev = evhttp_connection_get_bufferevent(client);
	req = ask("/1");
	turn();
	evhttp_cancel_request(req);
	CHECK_STRING(seen, "cancelled; ");
	evhttp_connection_set_timeout_tv(client, &timeout);
	ask("/2");
	TURN_UNTIL(requests_done == 1);
	CHECK_STRING(seen, "cancelled; not connected; ");
	/* With another one queued after it, which continues. */
	seen[0] = 0;
	evhttp_connection_set_timeout_tv(client, NULL);
	req = ask("/3");
	ask("/4");
	evhttp_cancel_request(req);
	CHECK_STRING(seen, "cancelled; ");
	evhttp_connection_set_timeout_tv(client, &timeout);
	TURN_UNTIL(requests_done == 2);
	CHECK_STRING(seen, "cancelled; not connected; ");
	CHECK(evhttp_connection_get_bufferevent(client) == bev);
	/* Between two attempts. */
	seen[0] = 0;
	evhttp_connection_set_retries(client, 5);
	req = ask("/5");
	TURN_UNTIL(is_waiting());
	evhttp_cancel_request(req);
	turn();
	CHECK_STRING(seen, "cancelled; ");
	CHECK_EQUAL(evhttp_connection_get_addr(client)->sa_family, AF_INET);
	evhttp_connection_free(client);
	stop_deaf_peer();
}

/* The timeout of a connection that is being made, and none. */
static void
print_connect_timeout(const char *what)
{
	struct bufferevent *bev = evhttp_connection_get_bufferevent(client);

	printf("%s: %ld.%06ld %s\n", what, (long)bev->timeout_write.tv_sec, (long)bev->timeout_write.tv_usec,
	       event_pending(&bev->ev_write, EV_TIMEOUT, NULL) ? "runs" : "does not run");
}

CASE(no_timeout_while_it_connects, ONE_BACKEND)
{
	struct timeval none = {0, 0}, some = {7, 5}, little = {0, 100000};

	start_deaf_peer();
	connect_to(peer_port);
	ask("/");
	turn();
	print_connect_timeout("usual");
	evhttp_connection_set_timeout_tv(client, &some);
	print_connect_timeout("some");
	evhttp_connection_set_timeout_tv(client, &none);
	print_connect_timeout("none");
	evhttp_connection_set_timeout(client, 9);
	print_connect_timeout("9 seconds");
	evhttp_connection_set_timeout(client, 0);
	print_connect_timeout("0 seconds");
	evhttp_connection_set_timeout_tv(client, &little);
	TURN_UNTIL(requests_done == 1);
	/* None means the default for the next attempt. */
	evhttp_connection_set_timeout(client, 0);
	ask("/");
	turn();
	print_connect_timeout("next");
	evhttp_connection_free(client);
	stop_deaf_peer();
}
