/* Servers and clients of programs that name no base, and a client that fails while its own server handles its
 * request. */
#include "client_tools.h"

#include <event2/event_compat.h>
#include <event2/http_compat.h>

/* Internal to the library, but exported and called by its own tests. */
void evhttp_connection_fail_(struct evhttp_connection *, enum evhttp_request_error);

static void
note_port(struct evhttp_bound_socket *bound, void *count)
{
	peer_port = port_of(bound);
	++*(int *)count;
}

static void
find_port(void)
{
	int count = 0;

	evhttp_foreach_bound_socket(http, note_port, &count);
	CHECK_EQUAL(count, 1);
}

static void
ask(struct evhttp_connection *client)
{
	requests_done = 0;
	CHECK_EQUAL(evhttp_make_request(client, new_request(), EVHTTP_REQ_GET, "/"), 0);
	TURN_UNTIL(requests_done == 1);
	printf("%s\n", seen);
	seen[0] = 0;
}

CASE(without_a_base, ONE_BACKEND)
{
	struct evhttp_connection *client;

	signal(SIGPIPE, SIG_IGN);
	base = event_init();
	http = evhttp_start("127.0.0.1", 0);
	CHECK(http != NULL);
	evhttp_set_gencb(http, note_and_reply, NULL);
	find_port();
	CHECK(evhttp_start("127.0.0.1", (unsigned short)peer_port) == NULL);
	CHECK(evhttp_start("256.0.0.1", 0) == NULL);

	client = evhttp_connection_new("127.0.0.1", (unsigned short)peer_port);
	CHECK(client && evhttp_connection_get_base(client) == NULL);
	ask(client);
	evhttp_connection_free(client);
	evhttp_free(http);
	event_base_free(base);
}

/* The base is chosen before the connection is used. */
CASE(base_chosen_later, ONE_BACKEND)
{
	struct event_base *other = event_base_new();
	struct evhttp_connection *client;

	signal(SIGPIPE, SIG_IGN);
	base = event_init();
	http = evhttp_start("127.0.0.1", 0);
	evhttp_set_gencb(http, note_and_reply, NULL);
	find_port();
	client = evhttp_connection_new("127.0.0.1", (unsigned short)peer_port);
	evhttp_connection_set_base(client, other);
	CHECK(evhttp_connection_get_base(client) == other);
	requests_done = 0;
	CHECK_EQUAL(evhttp_make_request(client, new_request(), EVHTTP_REQ_GET, "/"), 0);
	TURN_UNTIL((event_base_loop(other, EVLOOP_NONBLOCK), requests_done == 1));
	printf("%s\n", seen);
	evhttp_connection_free(client);
	evhttp_free(http);
	event_base_free(base);
	event_base_free(other);
}

/* --- The client fails while its request is handled --- */

static struct evhttp_connection *failing;
static struct evhttp_request *kept;

static void
fail_the_client(struct evhttp_request *req, void *arg)
{
	(void)arg;
	kept = req;
	see("handled; ");
	evhttp_connection_fail_(failing, EVREQ_HTTP_EOF);
	see("failed; ");
}

CASE(failed_while_handled, ONE_BACKEND)
{
	struct timeval timeout = {0, 100000}, pause = {0, 300000};
	int over = 0;

	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	http = evhttp_new(base);
	CHECK(evhttp_bind_socket(http, "127.0.0.1", 0) == 0);
	find_port();
	evhttp_set_gencb(http, fail_the_client, NULL);
	failing = new_client();
	evhttp_connection_set_timeout_tv(failing, &timeout);
	CHECK_EQUAL(evhttp_make_request(failing, new_request(), EVHTTP_REQ_GET, "/"), 0);
	TURN_UNTIL(requests_done == 1);
	TURN_UNTIL(strstr(seen, "failed; "));
	printf("%s\n", seen);
	seen[0] = 0;
	/* A reply to the peer that is gone does no harm. */
	event_base_once(base, -1, EV_TIMEOUT, note_time, &over, &pause);
	TURN_UNTIL(over);
	evhttp_send_reply(kept, 200, NULL, NULL);
	turn();
	evhttp_set_gencb(http, note_and_reply, NULL);
	ask(failing);
	evhttp_connection_free(failing);
	evhttp_free(http);
	event_base_free(base);
}
