/* Exceptions that callbacks of remote calls throw go through to whoever runs the loop, and calls go
 * on afterwards. */
extern "C" {
#include "harness.h"
}

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/rpc.h>
#include <event2/rpc_struct.h>
#include <event2/tag.h>
#include <netinet/in.h>

/* A message of one number. */
struct number {
	ev_uint32_t value;
	bool set;
};
static void *number_new_with_arg(void *) { return new number(); }
static void number_free(void *message) { delete static_cast<number *>(message); }
static void number_clear(void *message) { static_cast<number *>(message)->set = false; }
static int number_complete(void *message) { return static_cast<number *>(message)->set ? 0 : -1; }
static void number_marshal(struct evbuffer *buffer, void *message) { evtag_marshal_int(buffer, 1, static_cast<number *>(message)->value); }
static int number_unmarshal(void *message, struct evbuffer *buffer)
{
	static_cast<number *>(message)->set = evtag_unmarshal_int(buffer, 1, &static_cast<number *>(message)->value) > 0;
	return number_complete(message);
}

EVRPC_HEADER(Count, number, number)
EVRPC_GENERATE(Count, number, number)

static struct event_base *base;
static EVRPC_STRUCT(Count) *kept;
static int thrown_by_handler, thrown_by_callback, thrown_by_hook, answers;

static void handle(EVRPC_STRUCT(Count) *rpc, void *)
{
	kept = rpc;
	if (thrown_by_handler-- > 0)
		throw 1;
	rpc->reply->value = rpc->request->value + 1;
	rpc->reply->set = true;
	EVRPC_REQUEST_DONE(rpc);
}

static int hook(void *, struct evhttp_request *, struct evbuffer *, void *)
{
	if (thrown_by_hook-- > 0)
		throw 3;
	return EVRPC_CONTINUE;
}

static void on_answer(struct evrpc_status *status, struct number *, struct number *reply, void *)
{
	printf("status %d, %u\n", status->error, reply->set ? reply->value : 0);
	answers++;
	if (thrown_by_callback-- > 0)
		throw 2;
}

/* Runs until so many answers are there; returns what was thrown. */
static int run(int count)
{
	try {
		while (answers < count)
			if (event_base_loop(base, EVLOOP_ONCE) < 0)
				return -1;
	} catch (int thrown) {
		return thrown;
	}
	return 0;
}

DIFFERENCE(exceptions_of_callbacks, ONE_BACKEND,
    "after an exception in a callback the loop cannot be entered again, and calls never end")
{
	base = event_base_new();
	struct evhttp *http = evhttp_new(base);
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	getsockname(evhttp_bound_socket_get_fd(bound), reinterpret_cast<struct sockaddr *>(&address), &length);
	struct evrpc_base *rpc = evrpc_init(http);
	CHECK_EQUAL(EVRPC_REGISTER(rpc, Count, number, number, handle, NULL), 0);
	struct evrpc_pool *pool = evrpc_pool_new(base);
	evrpc_pool_add_connection(pool, evhttp_connection_base_bufferevent_new(NULL, NULL,
	    bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE), "127.0.0.1", ntohs(address.sin_port)));
	struct number question = {1, true}, answer = {0, false};

	EVRPC_MAKE_REQUEST(Count, pool, &question, &answer, on_answer, NULL);
	CHECK_EQUAL(run(1), 0);
	thrown_by_callback = 1;
	EVRPC_MAKE_REQUEST(Count, pool, &question, &answer, on_answer, NULL);
	CHECK_EQUAL(run(2), 2);
	EVRPC_MAKE_REQUEST(Count, pool, &question, &answer, on_answer, NULL);
	CHECK_EQUAL(run(3), 0);

	/* The handler has the call, and answers it later. */
	thrown_by_handler = 1;
	EVRPC_MAKE_REQUEST(Count, pool, &question, &answer, on_answer, NULL);
	CHECK_EQUAL(run(4), 1);
	handle(kept, NULL);
	CHECK_EQUAL(run(4), 0);
	evrpc_pool_free(pool);
	CHECK_EQUAL(EVRPC_UNREGISTER(rpc, Count), 0);
	evrpc_free(rpc);
	evhttp_free(http);
	event_base_free(base);
}

/* A hook that throws on the way out, in the call that makes the call. */
CASE(exceptions_of_a_hook, ONE_BACKEND)
{
	base = event_base_new();
	struct evhttp *http = evhttp_new(base);
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	getsockname(evhttp_bound_socket_get_fd(bound), reinterpret_cast<struct sockaddr *>(&address), &length);
	struct evrpc_base *rpc = evrpc_init(http);
	CHECK_EQUAL(EVRPC_REGISTER(rpc, Count, number, number, handle, NULL), 0);
	struct evrpc_pool *pool = evrpc_pool_new(base);
	evrpc_pool_add_connection(pool, evhttp_connection_base_bufferevent_new(NULL, NULL,
	    bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE), "127.0.0.1", ntohs(address.sin_port)));
	struct number question = {1, true}, answer = {0, false};
	int thrown = 0;

	evrpc_add_hook(pool, EVRPC_OUTPUT, hook, NULL);
	thrown_by_hook = 1;
	try {
		EVRPC_MAKE_REQUEST(Count, pool, &question, &answer, on_answer, NULL);
	} catch (int what) {
		thrown = what;
	}
	CHECK_EQUAL(thrown, 3);
	EVRPC_MAKE_REQUEST(Count, pool, &question, &answer, on_answer, NULL);
	CHECK_EQUAL(run(1), 0);
	evrpc_pool_free(pool);
	CHECK_EQUAL(EVRPC_UNREGISTER(rpc, Count), 0);
	evrpc_free(rpc);
	evhttp_free(http);
	event_base_free(base);
}
