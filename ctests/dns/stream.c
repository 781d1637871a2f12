/* Answers that do not fit into a datagram: fetched again over TCP. */
#include "tools.h"

static int addresses; /* how many the answer over TCP has */
static int code;      /* what a datagram says besides that it is cut */
static int closed;    /* how many connections are closed without an answer */

static void
cut_datagrams(struct server *from, const struct query *query)
{
	static struct message message;

	if (query->stream < 0) {
		answer_empty(from, query, FLAG_TC | code);
		return;
	}
	if (closed-- > 0) {
		shutdown(query->stream, SHUT_RDWR);
		return;
	}
	begin_answer(&message, query, 0, addresses, 0);
	for (int i = 0; i < addresses; i++) {
		char address[20];

		snprintf(address, sizeof address, "192.0.%d.%d", i / 200, i % 200);
		put_a(&message, 60, address);
	}
	send_message(from, query, &message);
}

DIFFERENCE(cut_answers_are_fetched_over_tcp, ONE_BACKEND, "an answer that does not fit into a datagram is an error instead of being fetched over TCP")
{
	begin(cut_datagrams);
	addresses = 3;
	resolve_ipv4("a.test", 0);
	addresses = 500;
	resolve_ipv4("b.test", 0);
	CHECK_EQUAL(server.streamed, 2);
	end();
}

/* Only the whole answer says what became of the question. */
DIFFERENCE(cut_answers_with_a_code, ONE_BACKEND, "an answer that does not fit into a datagram is an error instead of being fetched over TCP")
{
	begin(cut_datagrams);
	addresses = 1;
	for (code = 0; code < 16; code++)
		resolve_ipv4("a.test", 0);
	CHECK_EQUAL(server.streamed, 16);
	end();
}

DIFFERENCE(many_at_once_over_tcp, ONE_BACKEND, "an answer that does not fit into a datagram is an error instead of being fetched over TCP")
{
	begin(cut_datagrams);
	server.quiet = 1;
	addresses = 1;
	for (int i = 0; i < 50; i++)
		CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, on_result, "a.test"));
	wait_for(&reported, 50);
	CHECK_EQUAL(server.streamed, 50);
	end();
}

static int most_sent; /* bytes that one call takes from the resolver; 0 for any number */

/* The library's way to send, rather than libc's: on a connection to the server it may take few bytes. */
ssize_t
send(int fd, const void *data, size_t size, int flags)
{
	struct sockaddr_in peer;
	socklen_t length = sizeof peer;

	if (most_sent > 0 && size > (size_t)most_sent && getpeername(fd, (struct sockaddr *)&peer, &length) == 0 &&
	    peer.sin_port == htons((uint16_t)server.port))
		size = (size_t)most_sent;
	return sendto(fd, data, size, flags, NULL, 0);
}

DIFFERENCE(questions_that_go_out_in_parts, ONE_BACKEND, "an answer that does not fit into a datagram is an error instead of being fetched over TCP")
{
	begin(cut_datagrams);
	addresses = 1;
	for (most_sent = 1; most_sent < 12; most_sent++)
		resolve_ipv4("a.long.name.in.a.test", 0);
	for (int i = 0; i < 5; i++)
		CHECK(evdns_base_resolve_ipv4(dns, "b.test", 0, on_result, "b.test"));
	wait_for(&reported, 5);
	CHECK_EQUAL(server.streamed, 16);
	end();
}

DIFFERENCE(connection_that_ends_is_made_again, ONE_BACKEND, "an answer that does not fit into a datagram is an error instead of being fetched over TCP")
{
	begin(cut_datagrams);
	addresses = 1;
	closed = 1;
	resolve_ipv4("a.test", 0);
	CHECK_EQUAL(server.streamed, 2);
	end();
}

static int result_seen;

static void
take_code(int result, char type, int count, int ttl, void *data, void *arg)
{
	(void)type, (void)count, (void)ttl, (void)data, (void)arg;
	result_seen = result;
	reported++;
}

/* If TCP fails, the program gets the reason. */
CASE(truncated_where_there_is_no_tcp, ONE_BACKEND)
{
	begin(cut_datagrams);
	event_free(server.accept_event);
	close(server.listener);
	server.listener = -1;
	for (code = 0; code < 6; code++) {
		CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, take_code, NULL));
		wait_for(&reported, 1);
		printf("%s\n", evdns_err_to_string(result_seen));
	}
	server.accept_event = event_new(base, -1, 0, ignore_event, NULL);
	end();
}

DIFFERENCE(closed_again_and_again, ONE_BACKEND, "an answer that does not fit into a datagram is an error instead of being fetched over TCP")
{
	begin(cut_datagrams);
	closed = 1000;
	CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, take_code, NULL));
	wait_for(&reported, 1);
	CHECK_EQUAL(result_seen, DNS_ERR_TRUNCATED);
	CHECK_EQUAL(server.streamed, 2);
	end();
}

static void
say_nothing_over_tcp(struct server *from, const struct query *query)
{
	if (query->stream < 0)
		answer_empty(from, query, FLAG_TC);
}

DIFFERENCE(silence_over_tcp, ONE_BACKEND, "an answer that does not fit into a datagram is an error instead of being fetched over TCP")
{
	begin(say_nothing_over_tcp);
	set("timeout", "0.3");
	CHECK(evdns_base_resolve_ipv4(dns, "a.test", 0, take_code, NULL));
	CHECK(evdns_base_resolve_ipv4(dns, "b.test", 0, take_code, NULL));
	wait_for(&reported, 2);
	CHECK_EQUAL(result_seen, DNS_ERR_TRUNCATED);
	CHECK_EQUAL(server.streamed, 2);
	/* Such a connection does not block others. */
	server.answer = answer_address;
	resolve_ipv4("c.test", 0);
	end();
}

static struct message trickled;
static size_t trickled_length;
static int trickle_fd;
static struct event *trickle_event;

static void
trickle(evutil_socket_t fd, short what, void *arg)
{
	struct timeval soon = {0, 100};

	(void)fd, (void)what, (void)arg;
	if (send(trickle_fd, trickled.bytes + trickled_length, 1, MSG_NOSIGNAL) != 1)
		return;
	if (++trickled_length < trickled.length)
		event_add(trickle_event, &soon);
}

static void
answer_byte_by_byte(struct server *from, const struct query *query)
{
	static struct message message;

	if (query->stream < 0) {
		answer_empty(from, query, FLAG_TC);
		return;
	}
	begin_answer(&message, query, 0, 2, 0);
	put_a(&message, 60, "192.0.2.1");
	put_a(&message, 60, "192.0.2.2");
	trickled.length = 0;
	put16(&trickled, (unsigned)message.length);
	put(&trickled, message.bytes, message.length);
	trickle_fd = query->stream;
	trickle(-1, 0, NULL);
}

DIFFERENCE(byte_by_byte, ONE_BACKEND, "an answer that does not fit into a datagram is an error instead of being fetched over TCP")
{
	begin(answer_byte_by_byte);
	trickle_event = evtimer_new(base, trickle, NULL);
	resolve_ipv4("a.test", 0);
	CHECK_EQUAL(server.streamed, 1);
	event_free(trickle_event);
	end();
}

/* Freed or suspended while a connection is there. */
DIFFERENCE(freed_with_a_connection, ONE_BACKEND, "an answer that does not fit into a datagram is an error instead of being fetched over TCP")
{
	begin(cut_datagrams);
	closed = 0;
	addresses = 1;
	resolve_ipv4("a.test", 0);
	CHECK(evdns_base_resolve_ipv4(dns, "b.test", 0, on_result, "b.test"));
	poll_once(base);
	CHECK_EQUAL(evdns_base_clear_nameservers_and_suspend(dns), 0);
	CHECK_EQUAL(add_server(dns, &server), 0);
	CHECK_EQUAL(evdns_base_resume(dns), 0);
	wait_for(&reported, 1);
	CHECK_EQUAL(server.streamed >= 2, 1);
	end();
}

static int failures; /* how many answers over TCP say that the server has failed */

static void
fail_over_tcp(struct server *from, const struct query *query)
{
	if (query->stream >= 0 && failures-- > 0)
		answer_empty(from, query, 2);
	else
		cut_datagrams(from, query);
}

/* A server that fails over TCP is asked again as one that fails over UDP is. */
DIFFERENCE(failure_over_tcp, ONE_BACKEND, "an answer that does not fit into a datagram is an error instead of being fetched over TCP")
{
	begin(fail_over_tcp);
	set("timeout", "3");
	addresses = 1;
	failures = 1;
	resolve_ipv4("a.test", 0);
	CHECK_EQUAL(server.streamed, 2);
	failures = 100;
	resolve_ipv4("b.test", 0);
	CHECK_EQUAL(server.streamed, 5);
	end();
}
