/* What the tests of remote calls share: a server and a client on one loop, and what they saw. */
#ifndef CTESTS_RPC_TOOLS_H
#define CTESTS_RPC_TOOLS_H

#include "messages.h"

#include <arpa/inet.h>
#include <event2/bufferevent.h>
#include <event2/event_compat.h>
#include <event2/http.h>
#include <event2/http_compat.h>
#include <event2/http_struct.h>
#include <event2/listener.h>
#include <event2/rpc.h>
#include <event2/rpc_struct.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>

#define RPC_ static __attribute__((unused))

EVRPC_HEADER(Ask, question, answer)
EVRPC_GENERATE(Ask, question, answer)

/* The server takes what it is asked in `handle`, or answers at once. */
static struct {
	struct event_base *base;
	struct evhttp *http;
	struct evrpc_base *rpc;
	struct evrpc_pool *pool;
	int port;
	void (*handle)(EVRPC_STRUCT(Ask) *rpc);
	int handled;
	/* What ended. */
	int done, status, code;
	int order[64];
} side;

/* One call of the client. */
struct one_call {
	struct question *question;
	struct answer *answer;
	int number;
};

RPC_ void
answer_now(EVRPC_STRUCT(Ask) *rpc)
{
	char text[256];

	snprintf(text, sizeof text, "%s!", rpc->request->text_data);
	CHECK_EQUAL(EVTAG_ASSIGN(rpc->reply, text, text), 0);
	EVRPC_REQUEST_DONE(rpc);
}

RPC_ void
on_ask(EVRPC_STRUCT(Ask) *rpc, void *arg)
{
	CHECK(arg == &side);
	side.handled++;
	if (side.handle)
		side.handle(rpc);
	else
		answer_now(rpc);
}

RPC_ int
bound_port(struct evhttp *http)
{
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	struct sockaddr_in address;
	socklen_t length = sizeof address;

	CHECK(bound);
	CHECK_EQUAL(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length), 0);
	return ntohs(address.sin_port);
}

/* The current base, on which connections and pools without a base work. */
RPC_ void
start_server(void)
{
	signal(SIGPIPE, SIG_IGN);
	side.base = event_base_new();
	side.http = evhttp_new(side.base);
	side.port = bound_port(side.http);
	side.rpc = evrpc_init(side.http);
	CHECK(side.rpc);
	CHECK_EQUAL(EVRPC_REGISTER(side.rpc, Ask, question, answer, on_ask, &side), 0);
}

RPC_ struct evhttp_connection *
new_connection(int port)
{
	/* Without a base of its own, so that the pool's can be given to it. */
	struct bufferevent *bev = bufferevent_socket_new(side.base, -1, BEV_OPT_CLOSE_ON_FREE);
	struct evhttp_connection *evcon = evhttp_connection_base_bufferevent_new(NULL, NULL, bev, "127.0.0.1", port);

	CHECK(evcon);
	return evcon;
}

RPC_ void
start_client(int connections)
{
	side.pool = evrpc_pool_new(side.base);
	CHECK(side.pool);
	while (connections-- > 0)
		evrpc_pool_add_connection(side.pool, new_connection(side.port));
}

RPC_ void
start_both(int connections)
{
	start_server();
	start_client(connections);
}

RPC_ void
end_both(void)
{
	if (side.pool)
		evrpc_pool_free(side.pool);
	if (side.rpc) {
		CHECK_EQUAL(EVRPC_UNREGISTER(side.rpc, Ask), 0);
		evrpc_free(side.rpc);
	}
	if (side.http)
		evhttp_free(side.http);
	event_base_free(side.base);
}

RPC_ struct one_call *
new_call(const char *text)
{
	struct one_call *call = calloc(1, sizeof *call);

	call->question = question_new();
	call->answer = answer_new();
	CHECK_EQUAL(EVTAG_ASSIGN(call->question, text, text), 0);
	return call;
}

RPC_ void
free_call(struct one_call *call)
{
	question_free(call->question);
	answer_free(call->answer);
	free(call);
}

RPC_ void
on_answer(struct evrpc_status *status, struct question *question, struct answer *answer, void *arg)
{
	struct one_call *call = arg;

	CHECK(question == call->question && answer == call->answer);
	CHECK((status->error == EVRPC_STATUS_ERR_NONE) == (answer_complete(answer) == 0));
	side.order[side.done % 64] = call->number;
	side.done++;
	side.status = status->error;
	side.code = status->http_req ? evhttp_request_get_response_code(status->http_req) : -1;
}

RPC_ void
print_ended(const char *label, struct one_call *call)
{
	printf("%s: status %d, code %d, \"%s\"\n", label, side.status, side.code,
	    call->answer->text_set ? call->answer->text_data : "");
}

/* Runs the loop until so many calls have ended. */
RPC_ void
run_until(int *counter, int count)
{
	long long end = milliseconds() + (under_valgrind() ? 100000 : 30000);

	while (*counter < count) {
		CHECK(milliseconds() < end);
		event_base_loop(side.base, EVLOOP_ONCE);
	}
}

/* Runs what is ready now. */
RPC_ void
run_a_little(void)
{
	for (int i = 0; i < 5; i++) {
		struct timeval moment = {0, 1000};
		event_base_loopexit(side.base, &moment);
		event_base_dispatch(side.base);
	}
}

/* One call, and how it ended. */
RPC_ void
call_and_print(const char *label, const char *text)
{
	struct one_call *call = new_call(text);
	int done = side.done;

	CHECK_EQUAL(EVRPC_MAKE_REQUEST(Ask, side.pool, call->question, call->answer, on_answer, call), 0);
	run_until(&side.done, done + 1);
	print_ended(label, call);
	free_call(call);
}

/* Bytes sent over a connection of their own, and the first line and the body of what comes. */
struct raw_client {
	struct bufferevent *bev;
	int ended;
};

RPC_ void
on_raw_event(struct bufferevent *bev, short what, void *arg)
{
	struct raw_client *client = arg;

	(void)bev;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		client->ended = 1;
}

RPC_ struct raw_client *
raw_connect(const void *bytes, size_t length)
{
	struct raw_client *client = calloc(1, sizeof *client);
	struct sockaddr_in address;

	memset(&address, 0, sizeof address);
	address.sin_family = AF_INET;
	address.sin_port = htons((unsigned short)side.port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	client->bev = bufferevent_socket_new(side.base, -1, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(client->bev, NULL, NULL, on_raw_event, client);
	bufferevent_enable(client->bev, EV_READ);
	bufferevent_write(client->bev, bytes, length);
	CHECK_EQUAL(bufferevent_socket_connect(client->bev, (struct sockaddr *)&address, sizeof address), 0);
	return client;
}

RPC_ void
raw_free(struct raw_client *client)
{
	bufferevent_free(client->bev);
	free(client);
}

/* Prints status line and body length of the answer to a request with `Connection: close`. */
RPC_ void
raw_ask(const char *label, const char *method, const char *path, const void *body, size_t length)
{
	char head[256];
	struct evbuffer *request = evbuffer_new(), *input;
	struct raw_client *client;
	char *line;

	snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", method, path, length);
	evbuffer_add(request, head, strlen(head));
	evbuffer_add(request, body, length);
	client = raw_connect(evbuffer_pullup(request, -1), evbuffer_get_length(request));
	evbuffer_free(request);
	run_until(&client->ended, 1);
	input = bufferevent_get_input(client->bev);
	line = evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF);
	printf("%s: %s\n", label, line ? line : "nothing");
	free(line);
	raw_free(client);
}

#endif
