/* Remote calls and their server while system calls fail. */
#define _GNU_SOURCE
#include "scenarios.h"

#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/rpc.h>
#include <event2/rpc_struct.h>
#include <event2/tag.h>

#include "messages.gen.c"

EVRPC_HEADER(Ask, question, answer)
EVRPC_GENERATE(Ask, question, answer)

enum { CALLS = 3 };

struct calls {
	struct evrpc_pool *pool;
	struct question *question;
	struct answer *answer;
	int ended, failed, finished;
};

static void
reply(EVRPC_STRUCT(Ask) *rpc, void *arg)
{
	char text[64];
	(void)arg;
	snprintf(text, sizeof text, "%s!", rpc->request->text_data);
	EVTAG_ASSIGN(rpc->reply, text, text);
	EVRPC_REQUEST_DONE(rpc);
}

static int call(struct calls *calls);

static void
answered(struct evrpc_status *status, struct question *question, struct answer *answer, void *arg)
{
	struct calls *calls = arg;
	char wanted[64];
	snprintf(wanted, sizeof wanted, "call %d!", calls->ended++);
	if (status->error == EVRPC_STATUS_ERR_NONE)
		HOLDS(!strcmp(answer->text_data, wanted), "a wrong answer");
	else
		calls->failed = 1;
	question_free(question);
	answer_free(answer);
	calls->question = NULL;
	/* A call that fails at once is told of before call() returns. */
	if (calls->failed || calls->ended == CALLS || call(calls))
		calls->finished = 1;
}

static int
call(struct calls *calls)
{
	char text[64];
	snprintf(text, sizeof text, "call %d", calls->ended);
	calls->question = question_new();
	calls->answer = answer_new();
	EVTAG_ASSIGN(calls->question, text, text);
	if (!EVRPC_MAKE_REQUEST(Ask, calls->pool, calls->question, calls->answer, answered, calls))
		return 0;
	calls->failed = 1;
	return -1;
}

/* A pool with a connection, and all calls. */
static enum ending
make_calls(struct event_base *base, int port)
{
	struct calls calls = {.pool = evrpc_pool_new(base)};
	struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	struct evhttp_connection *connection = NULL;
	enum ending ending = REFUSED;
	/* The pool gives it a base. */
	if (bev)
		connection = evhttp_connection_base_bufferevent_new(NULL, NULL, bev, "127.0.0.1", port);
	if (bev && !connection)
		bufferevent_free(bev);
	if (calls.pool && connection) {
		evhttp_connection_set_timeout(connection, 1);
		evrpc_pool_add_connection(calls.pool, connection);
		if (!call(&calls) && run_until(base, &calls.finished) == DONE && !calls.failed)
			ending = DONE;
	} else if (connection) {
		evhttp_connection_free(connection);
	}
	if (calls.pool)
		evrpc_pool_free(calls.pool);
	/* For a call that did not end. */
	if (calls.question) {
		question_free(calls.question);
		answer_free(calls.answer);
	}
	return ending;
}

SCENARIO(rpc)
{
	struct event_base *base = new_base(0);
	struct evhttp *http;
	struct evrpc_base *server = NULL;
	struct evhttp_bound_socket *bound = NULL;
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	enum ending ending = REFUSED;
	if (!base)
		return REFUSED;
	http = evhttp_new(base);
	if (http && (server = evrpc_init(http)) && !EVRPC_REGISTER(server, Ask, question, answer, reply, NULL))
		bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	if (bound && !getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length))
		ending = make_calls(base, ntohs(address.sin_port));
	if (server) {
		EVRPC_UNREGISTER(server, Ask);
		evrpc_free(server);
	}
	if (http)
		evhttp_free(http);
	finish_base(base);
	return ending;
}
