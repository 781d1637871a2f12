/* What the program may free in which callback, and calls that end in unusual ways. */
#include "tools.h"

static void
ignore_message(int severity, const char *text)
{
	(void)severity;
	(void)text;
}

/* What is freed cannot be used any more. */
static void
spoiling_free(void *memory)
{
	memset(memory, 0xdd, ((struct allocator_block *)memory - 1)->size);
	allocator_free(memory);
}

static void
watch_memory(void)
{
	event_set_mem_functions(allocator_malloc, allocator_realloc, spoiling_free);
}

/* Debug mode keeps some. */
enum { COUNTS_MEMORY = ONE_BACKEND | OWN_DEBUG_MODE };

static void
check_memory(void)
{
	CHECK_EQUAL(allocator.alive, 0);
}

/* A server that says what the test wants, to one request of each connection. */
static struct evhttp *fake;
static int fake_code;
static const char *fake_body;
static size_t fake_length;

static void
answer_anything(struct evhttp_request *request, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	evbuffer_add(body, fake_body, fake_length);
	evhttp_send_reply(request, fake_code, "Whatever", body);
	evbuffer_free(body);
}

static void
start_fake(void)
{
	signal(SIGPIPE, SIG_IGN);
	side.base = event_base_new();
	fake = evhttp_new(side.base);
	evhttp_set_gencb(fake, answer_anything, NULL);
	side.port = bound_port(fake);
	start_client(1);
}

static void
end_fake(void)
{
	evrpc_pool_free(side.pool);
	evhttp_free(fake);
	event_base_free(side.base);
}

#define ANSWER(code, body)                                                                         \
	do {                                                                                       \
		char label_[64];                                                                   \
		snprintf(label_, sizeof label_, "%d with %s", code, #body);                        \
		fake_code = code;                                                                  \
		fake_body = body;                                                                  \
		fake_length = sizeof(body) - 1;                                                    \
		call_and_print(label_, "x");                                                       \
	} while (0)

CASE(answers_of_other_servers, ONE_BACKEND)
{
	event_set_log_callback(ignore_message);
	start_fake();
	ANSWER(200, "\x01\x02hi");
	ANSWER(200, "");
	ANSWER(200, "text");
	ANSWER(200, "\x01\x02hi\x03");
	ANSWER(200, "\x01\x7f\xff\xff\xff\xf0hi");
	ANSWER(201, "\x01\x02hi");
	ANSWER(404, "not found");
	ANSWER(500, "");
	end_fake();
}

DIFFERENCE(an_error_with_a_message_is_an_error, ONE_BACKEND,
    "a reply with an HTTP error status counts as success if its body happens to be a valid message")
{
	start_fake();
	for (fake_code = 300; fake_code <= 503; fake_code += 100) {
		fake_body = "\x01\x02hi";
		fake_length = 4;
		call_and_print("error", "x");
		CHECK_EQUAL(side.status, EVRPC_STATUS_ERR_BADPAYLOAD);
		CHECK_EQUAL(side.code, fake_code);
	}
	end_fake();
}

/* The pool and the calls are freed in callbacks. */
static void
free_pool(struct evrpc_status *status, struct question *question, struct answer *answer, void *arg)
{
	on_answer(status, question, answer, arg);
	evrpc_pool_free(side.pool);
	side.pool = NULL;
}

DIFFERENCE(a_callback_frees_the_pool, COUNTS_MEMORY, "a program that frees its pool in the callback of a call crashes")
{
	struct one_call *calls[4];

	watch_memory();
	start_both(2);
	for (int i = 0; i < 4; i++) {
		calls[i] = new_call("x");
		EVRPC_MAKE_REQUEST(Ask, side.pool, calls[i]->question, calls[i]->answer, free_pool, calls[i]);
	}
	run_until(&side.done, 1);
	run_a_little();
	CHECK_EQUAL(side.done, 1);
	for (int i = 0; i < 4; i++)
		free_call(calls[i]);
	end_both();
}

static EVRPC_STRUCT(Ask) *kept[32];
static int kept_count;

static void
keep(EVRPC_STRUCT(Ask) *rpc)
{
	kept[kept_count++] = rpc;
}

CASE(a_pool_with_calls_is_freed, ONE_BACKEND)
{
	struct one_call *calls[4];

	start_both(2);
	side.handle = keep;
	for (int i = 0; i < 4; i++) {
		calls[i] = new_call("x");
		EVRPC_MAKE_REQUEST(Ask, side.pool, calls[i]->question, calls[i]->answer, on_answer, calls[i]);
	}
	run_until(&kept_count, 2);
	evrpc_pool_free(side.pool);
	side.pool = NULL;
	run_a_little();
	CHECK_EQUAL(side.done, 0);
	for (int i = 0; i < 2; i++)
		EVRPC_REQUEST_DONE(kept[i]);
	run_a_little();
	for (int i = 0; i < 4; i++)
		free_call(calls[i]);
	end_both();
}

DIFFERENCE(a_pool_with_timed_calls_is_freed, COUNTS_MEMORY | SLOW,
    "freeing a pool while a call with a timeout is under way crashes when the timeout passes")
{
	struct one_call *call = new_call("x");
	struct timeval moment = {1, 200000};

	watch_memory();
	start_both(1);
	side.handle = keep;
	evrpc_pool_set_timeout(side.pool, 1);
	EVRPC_MAKE_REQUEST(Ask, side.pool, call->question, call->answer, on_answer, call);
	run_until(&kept_count, 1);
	evrpc_pool_free(side.pool);
	side.pool = NULL;
	event_base_loopexit(side.base, &moment);
	event_base_dispatch(side.base);
	CHECK_EQUAL(side.done, 0);
	EVRPC_REQUEST_DONE(kept[0]);
	run_a_little();
	free_call(call);
	end_both();
	check_memory();
}

DIFFERENCE(a_pool_without_connections, ONE_BACKEND, "a call on a pool that has no connection yet ends the process")
{
	struct one_call *call = new_call("waits");

	start_both(0);
	CHECK_EQUAL(EVRPC_MAKE_REQUEST(Ask, side.pool, call->question, call->answer, on_answer, call), 0);
	run_a_little();
	CHECK_EQUAL(side.done, 0);
	evrpc_pool_add_connection(side.pool, new_connection(side.port));
	run_until(&side.done, 1);
	CHECK_EQUAL(side.status, EVRPC_STATUS_ERR_NONE);
	free_call(call);
	end_both();
}

static int
end_first_call(void *ctx, struct evhttp_request *request, struct evbuffer *buffer, void *arg)
{
	int *left = arg;

	(void)ctx;
	(void)request;
	(void)buffer;
	return (*left)-- > 0 ? EVRPC_TERMINATE : EVRPC_CONTINUE;
}

static int
pause_first_call(void *ctx, struct evhttp_request *request, struct evbuffer *buffer, void *arg)
{
	void **paused = arg;

	(void)request;
	(void)buffer;
	if (*paused)
		return EVRPC_CONTINUE;
	*paused = ctx;
	return EVRPC_PAUSE;
}

DIFFERENCE(a_connection_that_becomes_free_gets_a_call, ONE_BACKEND,
    "while a hook holds the answer of a call, the calls that wait for its connection do not start")
{
	struct one_call *calls[2];
	void *paused = NULL;

	start_both(1);
	evrpc_add_hook(side.pool, EVRPC_INPUT, pause_first_call, &paused);
	for (int i = 0; i < 2; i++) {
		calls[i] = new_call("x");
		EVRPC_MAKE_REQUEST(Ask, side.pool, calls[i]->question, calls[i]->answer, on_answer, calls[i]);
	}
	run_until(&side.done, 1);
	CHECK_EQUAL(side.handled, 2);
	CHECK_EQUAL(evrpc_resume_request(side.pool, paused, EVRPC_CONTINUE), 0);
	CHECK_EQUAL(side.done, 2);
	for (int i = 0; i < 2; i++)
		free_call(calls[i]);
	end_both();
}

/* A call waits for the connection; the one before it never gets as far as the wire. */
DIFFERENCE(the_next_call_begins_when_one_was_not_sent, ONE_BACKEND,
    "when a call ends before it is sent, those queued behind it wait forever")
{
	struct one_call *calls[3];
	int ended_by_hook = 1;

	start_both(1);
	side.handle = keep;
	for (int i = 0; i < 3; i++) {
		calls[i] = new_call("x");
		EVRPC_MAKE_REQUEST(Ask, side.pool, calls[i]->question, calls[i]->answer, on_answer, calls[i]);
	}
	evrpc_add_hook(side.pool, EVRPC_OUTPUT, end_first_call, &ended_by_hook);
	run_until(&kept_count, 1);
	side.handle = NULL;
	answer_now(kept[0]);
	run_until(&side.done, 3);
	CHECK_EQUAL(side.handled, 2);
	for (int i = 0; i < 3; i++)
		free_call(calls[i]);
	end_both();
}

DIFFERENCE(calls_that_hooks_end_leave_nothing, COUNTS_MEMORY,
    "a call that a hook ends before it is sent leaks memory")
{
	struct one_call *call = new_call("x");
	int ended_by_hook = 3;
	long before;

	watch_memory();
	start_both(1);
	evrpc_add_hook(side.pool, EVRPC_OUTPUT, end_first_call, &ended_by_hook);
	before = allocator.alive;
	for (int i = 0; i < 3; i++)
		EVRPC_MAKE_REQUEST(Ask, side.pool, call->question, call->answer, on_answer, call);
	CHECK_EQUAL(side.done, 3);
	CHECK_EQUAL(side.status, EVRPC_STATUS_ERR_UNSTARTED);
	CHECK_EQUAL(allocator.alive, before);
	free_call(call);
	end_both();
	check_memory();
}

DIFFERENCE(names_that_are_taken, ONE_BACKEND,
    "registering a name twice is not refused, and unregistering it twice ends the process")
{
	start_both(1);
	CHECK_EQUAL(EVRPC_REGISTER(side.rpc, Ask, question, answer, on_ask, &side), -1);
	call_and_print("the first", "x");
	CHECK_EQUAL(EVRPC_UNREGISTER(side.rpc, Ask), 0);
	CHECK_EQUAL(EVRPC_UNREGISTER(side.rpc, Ask), -1);
	CHECK_EQUAL(EVRPC_REGISTER(side.rpc, Ask, question, answer, on_ask, &side), 0);
	end_both();
}

DIFFERENCE(a_server_is_freed_with_paused_calls, COUNTS_MEMORY,
    "calls that a hook has paused are never answered and leak when the evrpc_base is freed")
{
	struct one_call *call = new_call("x");
	void *paused = NULL;
	struct evrpc_base *other;

	watch_memory();
	start_both(1);
	evrpc_add_hook(side.rpc, EVRPC_INPUT, pause_first_call, &paused);
	EVRPC_MAKE_REQUEST(Ask, side.pool, call->question, call->answer, on_answer, call);
	while (!paused)
		event_base_loop(side.base, EVLOOP_ONCE);
	evrpc_free(side.rpc);
	side.rpc = NULL;
	run_until(&side.done, 1);
	CHECK_EQUAL(side.status, EVRPC_STATUS_ERR_BADPAYLOAD);
	CHECK_EQUAL(side.code, 503);
	other = evrpc_init(side.http);
	CHECK_EQUAL(evrpc_resume_request(other, paused, EVRPC_CONTINUE), -1);
	evrpc_free(other);
	free_call(call);
	end_both();
	check_memory();
}

DIFFERENCE(the_http_server_is_freed_first, COUNTS_MEMORY, "freeing the HTTP server before the evrpc_base crashes")
{
	watch_memory();
	start_server();
	evhttp_free(side.http);
	side.http = NULL;
	end_both();
	check_memory();
}

/* The handler frees the objects that it depends on. */
static void
unregister_in_handler(EVRPC_STRUCT(Ask) *rpc)
{
	CHECK_EQUAL(EVRPC_UNREGISTER(side.rpc, Ask), 0);
	answer_now(rpc);
}

DIFFERENCE(a_handler_ends_its_registration, COUNTS_MEMORY,
    "a handler that unregisters itself and then answers uses freed memory")
{
	int left = 0;

	watch_memory();
	start_both(1);
	side.handle = unregister_in_handler;
	/* The hooks see the reply all the same. */
	CHECK(evrpc_add_hook(side.rpc, EVRPC_OUTPUT, end_first_call, &left));
	call_and_print("last", "x");
	CHECK_EQUAL(side.status, EVRPC_STATUS_ERR_NONE);
	CHECK_EQUAL(left, -1);
	CHECK_EQUAL(EVRPC_UNREGISTER(side.rpc, Ask), -1);
	evrpc_free(side.rpc);
	side.rpc = NULL;
	end_both();
	check_memory();
}

static void
free_server_in_handler(EVRPC_STRUCT(Ask) *rpc)
{
	evrpc_free(side.rpc);
	side.rpc = NULL;
	answer_now(rpc);
}

DIFFERENCE(a_handler_frees_the_servers_side, COUNTS_MEMORY,
    "a handler that frees the evrpc_base and then answers uses freed memory")
{
	watch_memory();
	start_both(1);
	evrpc_add_hook(side.rpc, EVRPC_OUTPUT, end_first_call, &side.status);
	side.handle = free_server_in_handler;
	call_and_print("last", "x");
	CHECK_EQUAL(side.status, EVRPC_STATUS_ERR_NONE);
	end_both();
	check_memory();
}

static void
free_http_in_handler(EVRPC_STRUCT(Ask) *rpc)
{
	evhttp_free(side.http);
	side.http = NULL;
	answer_now(rpc);
}

DIFFERENCE(a_handler_frees_the_http_server, COUNTS_MEMORY,
    "a handler that frees the HTTP server and then answers uses freed memory")
{
	watch_memory();
	start_both(1);
	side.handle = free_http_in_handler;
	call_and_print("last", "x");
	CHECK_EQUAL(side.status, EVRPC_STATUS_ERR_TIMEOUT);
	end_both();
	check_memory();
}

static int
free_pool_in_hook(void *ctx, struct evhttp_request *request, struct evbuffer *buffer, void *arg)
{
	(void)ctx;
	(void)request;
	(void)buffer;
	if (side.pool)
		evrpc_pool_free(side.pool);
	side.pool = NULL;
	return *(int *)arg;
}

DIFFERENCE(a_hook_frees_the_pool, COUNTS_MEMORY, "a hook of a pool that frees the pool crashes")
{
	watch_memory();
	for (int type = EVRPC_INPUT; type <= EVRPC_OUTPUT; type++) {
		for (int result = EVRPC_TERMINATE; result <= EVRPC_PAUSE; result++) {
			struct one_call *calls[2];
			start_both(1);
			evrpc_add_hook(side.pool, type, free_pool_in_hook, &result);
			evrpc_pool_set_timeout(side.pool, 5);
			for (int i = 0; i < 2 && side.pool; i++) {
				calls[i] = new_call("x");
				EVRPC_MAKE_REQUEST(Ask, side.pool, calls[i]->question, calls[i]->answer, on_answer, calls[i]);
			}
			while (side.pool)
				event_base_loop(side.base, EVLOOP_ONCE);
			run_a_little();
			CHECK_EQUAL(side.done, 0);
			free_call(calls[0]);
			if (type == EVRPC_INPUT)
				free_call(calls[1]);
			end_both();
		}
	}
	check_memory();
}

static int
remove_itself(void *ctx, struct evhttp_request *request, struct evbuffer *buffer, void *arg)
{
	void **handle = arg;

	(void)ctx;
	(void)request;
	(void)buffer;
	CHECK_EQUAL(evrpc_remove_hook(side.rpc, EVRPC_INPUT, *handle), 1);
	CHECK_EQUAL(evrpc_remove_hook(side.rpc, EVRPC_INPUT, *handle), 0);
	return EVRPC_CONTINUE;
}

DIFFERENCE(a_hook_removes_itself, COUNTS_MEMORY, "a hook that removes itself makes the server use freed memory")
{
	void *handle, *second;
	int left = 0;

	watch_memory();
	start_both(1);
	handle = evrpc_add_hook(side.rpc, EVRPC_INPUT, remove_itself, &handle);
	second = evrpc_add_hook(side.rpc, EVRPC_INPUT, end_first_call, &left);
	call_and_print("removed", "x");
	call_and_print("removed", "x");
	CHECK_EQUAL(left, -2);
	CHECK_EQUAL(evrpc_remove_hook(side.rpc, EVRPC_INPUT, second), 1);
	end_both();
	check_memory();
}

/* Queued calls are not affected when one takes too long. */
DIFFERENCE(only_the_slow_call_times_out, ONE_BACKEND | SLOW,
    "the timeout of a call that waits on a busy connection ends the call before it")
{
	struct one_call *first = new_call("first"), *second = new_call("second");
	struct timeval moment = {0, 500000};
	void *paused = NULL, *handle;

	start_both(1);
	side.handle = keep;
	/* The second is sent first, and waits on the connection behind the first for a second. */
	handle = evrpc_add_hook(side.pool, EVRPC_OUTPUT, pause_first_call, &paused);
	evrpc_pool_set_timeout(side.pool, 1);
	EVRPC_MAKE_REQUEST(Ask, side.pool, second->question, second->answer, on_answer, second);
	second->number = 2;
	evrpc_remove_hook(side.pool, EVRPC_OUTPUT, handle);
	evrpc_pool_set_timeout(side.pool, 3);
	EVRPC_MAKE_REQUEST(Ask, side.pool, first->question, first->answer, on_answer, first);
	evrpc_pool_set_timeout(side.pool, 1);
	CHECK_EQUAL(evrpc_resume_request(side.pool, paused, EVRPC_CONTINUE), 0);
	evrpc_pool_set_timeout(side.pool, 3);
	run_until(&side.done, 1);
	CHECK_EQUAL(side.order[0], 2);
	CHECK_EQUAL(side.status, EVRPC_STATUS_ERR_TIMEOUT);
	event_base_loopexit(side.base, &moment);
	event_base_dispatch(side.base);
	CHECK_EQUAL(side.done, 1);
	answer_now(kept[0]);
	run_until(&side.done, 2);
	CHECK_EQUAL(side.status, EVRPC_STATUS_ERR_NONE);
	free_call(first);
	free_call(second);
	end_both();
}

/* A connection that was taken out, and freed by the program with its call. */
DIFFERENCE(a_connection_is_freed_with_its_call, COUNTS_MEMORY,
    "freeing a connection with a call under way leaks the call")
{
	struct evhttp_connection *evcon;
	struct one_call *call = new_call("x");

	watch_memory();
	start_both(0);
	side.handle = keep;
	evcon = new_connection(side.port);
	evrpc_pool_add_connection(side.pool, evcon);
	evrpc_pool_set_timeout(side.pool, 5);
	EVRPC_MAKE_REQUEST(Ask, side.pool, call->question, call->answer, on_answer, call);
	run_until(&kept_count, 1);
	evrpc_pool_remove_connection(side.pool, evcon);
	evhttp_connection_free(evcon);
	run_a_little();
	CHECK_EQUAL(side.done, 0);
	EVRPC_REQUEST_DONE(kept[0]);
	free_call(call);
	end_both();
	check_memory();
}

DIFFERENCE(hooks_and_data_without_memory, COUNTS_MEMORY, "running out of memory for a hook or its data ends the process")
{
	watch_memory();
	event_set_log_callback(ignore_message);
	start_both(1);
	allocator.fail_on = 1;
	allocator_fail_at(1);
	CHECK(!evrpc_add_hook(side.pool, EVRPC_INPUT, remove_itself, NULL));
	CHECK(!evrpc_pool_new(side.base));
	CHECK(!evrpc_init(side.http));
	CHECK_EQUAL(EVRPC_REGISTER(side.rpc, Other, question, answer, on_ask, &side), -1);
	allocator_fail_at(0);
	end_both();
	check_memory();
}

DIFFERENCE(a_pool_is_freed_with_paused_calls, COUNTS_MEMORY, "calls that a hook has paused leak when their pool is freed")
{
	struct one_call *call = new_call("x");

	watch_memory();
	for (int type = EVRPC_INPUT; type <= EVRPC_OUTPUT; type++) {
		void *paused = NULL;
		side.pool = NULL;
		start_both(1);
		evrpc_add_hook(side.pool, type, pause_first_call, &paused);
		evrpc_pool_set_timeout(side.pool, 5);
		EVRPC_MAKE_REQUEST(Ask, side.pool, call->question, call->answer, on_answer, call);
		while (!paused)
			event_base_loop(side.base, EVLOOP_ONCE);
		run_a_little();
		end_both();
		CHECK_EQUAL(side.done, 0);
	}
	check_memory();
	free_call(call);
}

static int
resume_another(void *ctx, struct evhttp_request *request, struct evbuffer *buffer, void *arg)
{
	void **paused = arg;
	int first = !*paused;

	(void)request;
	(void)buffer;
	if (first) {
		*paused = ctx;
		return EVRPC_PAUSE;
	}
	CHECK_EQUAL(evrpc_resume_request(side.pool, *paused, EVRPC_CONTINUE), 0);
	CHECK_EQUAL(evrpc_resume_request(side.pool, *paused, EVRPC_CONTINUE), -1);
	return EVRPC_CONTINUE;
}

/* A hook of one call resumes another. */
CASE(a_hook_resumes_another_call, ONE_BACKEND)
{
	struct one_call *calls[2];
	void *paused = NULL;

	start_both(2);
	evrpc_add_hook(side.pool, EVRPC_OUTPUT, resume_another, &paused);
	for (int i = 0; i < 2; i++) {
		calls[i] = new_call(i ? "second" : "first");
		EVRPC_MAKE_REQUEST(Ask, side.pool, calls[i]->question, calls[i]->answer, on_answer, calls[i]);
	}
	run_until(&side.done, 2);
	for (int i = 0; i < 2; i++) {
		print_ended("resumed", calls[i]);
		free_call(calls[i]);
	}
	end_both();
}
