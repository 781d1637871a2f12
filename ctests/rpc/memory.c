/* Calls while memory is short: each ends, one way or another, and nothing is lost. */
#include "tools.h"

static void
ignore_message(int severity, const char *text)
{
	(void)severity;
	(void)text;
}

static int
remember(void *ctx, struct evhttp_request *request, struct evbuffer *buffer, void *arg)
{
	(void)request;
	(void)buffer;
	evrpc_hook_add_meta(ctx, "key", "value", 5);
	(void)arg;
	return EVRPC_CONTINUE;
}

static void
on_any_answer(struct evrpc_status *status, struct question *question, struct answer *answer, void *arg)
{
	(void)question;
	(void)arg;
	side.done++;
	side.status = status->error;
	if (status->error == EVRPC_STATUS_ERR_NONE)
		CHECK_STRING(answer->text_data, "hello!");
}

static void
answer_if_possible(EVRPC_STRUCT(Ask) *rpc)
{
	/* Without memory for it the reply is not complete. */
	EVTAG_ASSIGN(rpc->reply, text, "hello!");
	EVRPC_REQUEST_DONE(rpc);
}

static void
stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(int *)arg = 1;
}

/* Everything from the beginning, with one allocation that fails, or all from one on for a while.
 * Returns whether none did. */
static int
call_with_failure(long failing, int on)
{
	struct one_call *call = new_call("hello");
	struct timeval limit = {2, 0};
	struct event *timer;
	int late = 0, asked = 0, whole;

	side.done = 0;
	side.base = event_base_new();
	side.http = evhttp_new(side.base);
	side.port = bound_port(side.http);
	side.rpc = evrpc_init(side.http);
	timer = evtimer_new(side.base, stop, &late);
	evtimer_add(timer, &limit);
	side.pool = evrpc_pool_new(side.base);
	evrpc_pool_add_connection(side.pool, new_connection(side.port));
	evrpc_pool_set_timeout(side.pool, 1);

	allocator.fail_on = on;
	allocator_fail_at(failing);
	if (EVRPC_REGISTER(side.rpc, Ask, question, answer, on_ask, &side) == 0) {
		evrpc_add_hook(side.rpc, EVRPC_INPUT, remember, NULL);
		evrpc_add_hook(side.rpc, EVRPC_OUTPUT, remember, NULL);
		evrpc_add_hook(side.pool, EVRPC_INPUT, remember, NULL);
		evrpc_add_hook(side.pool, EVRPC_OUTPUT, remember, NULL);
		EVRPC_MAKE_REQUEST(Ask, side.pool, call->question, call->answer, on_any_answer, call);
		asked = 1;
		for (int i = 0; i < 20 && !side.done && !late; i++)
			event_base_loop(side.base, EVLOOP_ONCE);
	}
	whole = allocator.failed == 0;
	allocator.fail_on = 0;
	allocator_fail_at(0);
	/* Whatever failed, the call ends, at the latest by its timeout. */
	while (asked && !side.done)
		event_base_loop(side.base, EVLOOP_ONCE);
	event_free(timer);
	evrpc_pool_free(side.pool);
	evrpc_free(side.rpc);
	evhttp_free(side.http);
	event_base_free(side.base);
	free_call(call);
	CHECK_EQUAL(allocator.alive, 0);
	CHECK(!late);
	return whole;
}

DIFFERENCE(every_allocation_of_a_call_fails, ONE_BACKEND | SLOW | OWN_DEBUG_MODE,
    "a call crashes the process, or is lost, when memory is short at some point of it")
{
	event_set_mem_functions(allocator_malloc, allocator_realloc, allocator_free);
	event_set_log_callback(ignore_message);
	signal(SIGPIPE, SIG_IGN);
	side.handle = answer_if_possible;
	for (int on = 0; on < 2; on++) {
		long failing = 1;
		while (!call_with_failure(failing, on))
			failing++;
		CHECK(failing > 10);
		CHECK_EQUAL(side.status, EVRPC_STATUS_ERR_NONE);
	}
}
