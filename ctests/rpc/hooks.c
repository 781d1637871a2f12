/* Hooks: what they see, what they change, and calls that they end or pause. */
#include "tools.h"

/* One hook: prints that it ran, and returns what it is told to. */
struct one_hook {
	const char *name;
	int result;
	int runs;
	void *ctx;
	void *handle;
};

static int
run_hook(void *ctx, struct evhttp_request *request, struct evbuffer *buffer, void *arg)
{
	struct one_hook *hook = arg;

	CHECK(request && buffer);
	printf("%s: %zu bytes\n", hook->name, evbuffer_get_length(buffer));
	hook->runs++;
	hook->ctx = ctx;
	CHECK(evrpc_hook_get_connection(ctx));
	return hook->result;
}

static struct one_hook
    server_in = {"server in", EVRPC_CONTINUE, 0, NULL, NULL},
    server_out = {"server out", EVRPC_CONTINUE, 0, NULL, NULL},
    client_in = {"client in", EVRPC_CONTINUE, 0, NULL, NULL},
    client_out = {"client out", EVRPC_CONTINUE, 0, NULL, NULL};

static void
add_hooks(void)
{
	CHECK((server_in.handle = evrpc_add_hook(side.rpc, EVRPC_INPUT, run_hook, &server_in)));
	CHECK((server_out.handle = evrpc_add_hook(side.rpc, EVRPC_OUTPUT, run_hook, &server_out)));
	CHECK((client_in.handle = evrpc_add_hook(side.pool, EVRPC_INPUT, run_hook, &client_in)));
	CHECK((client_out.handle = evrpc_add_hook(side.pool, EVRPC_OUTPUT, run_hook, &client_out)));
}

static void
check_context(EVRPC_STRUCT(Ask) *rpc)
{
	CHECK(server_in.ctx == rpc);
	answer_now(rpc);
	/* The output hook got the same. */
	CHECK(server_out.ctx == rpc);
}

CASE(hooks_in_their_order, ONE_BACKEND)
{
	struct one_hook second = {"server in, second", EVRPC_CONTINUE, 0, NULL, NULL};

	start_both(1);
	add_hooks();
	CHECK((second.handle = evrpc_add_hook(side.rpc, EVRPC_INPUT, run_hook, &second)));
	side.handle = check_context;
	call_and_print("all", "hello");
	CHECK(client_in.ctx == client_out.ctx);

	CHECK_EQUAL(evrpc_remove_hook(side.rpc, EVRPC_OUTPUT, server_in.handle), 0);
	CHECK_EQUAL(evrpc_remove_hook(side.rpc, EVRPC_INPUT, server_in.handle), 1);
	CHECK_EQUAL(evrpc_remove_hook(side.rpc, EVRPC_INPUT, server_in.handle), 0);
	CHECK_EQUAL(evrpc_remove_hook(side.pool, EVRPC_OUTPUT, client_out.handle), 1);
	side.handle = NULL;
	call_and_print("without two", "hello");
	end_both();
}

CASE(hooks_that_end_calls, ONE_BACKEND)
{
	struct one_hook *hooks[] = {&client_out, &server_in, &server_out, &client_in};

	start_both(1);
	add_hooks();
	for (int i = 0; i < 4; i++) {
		hooks[i]->result = EVRPC_TERMINATE;
		call_and_print(hooks[i]->name, "hello");
		hooks[i]->result = EVRPC_CONTINUE;
	}
	call_and_print("none", "hello");
	end_both();
}

/* The first that does not continue is the last that runs. */
CASE(hooks_after_one_that_ends_the_call, ONE_BACKEND)
{
	struct one_hook second = {"server in, second", EVRPC_CONTINUE, 0, NULL, NULL};

	start_both(1);
	add_hooks();
	evrpc_add_hook(side.rpc, EVRPC_INPUT, run_hook, &second);
	server_in.result = EVRPC_TERMINATE;
	call_and_print("ended", "hello");
	CHECK_EQUAL(second.runs, 0);
	end_both();
}

static int
pause_hook(void *ctx, struct evhttp_request *request, struct evbuffer *buffer, void *arg)
{
	run_hook(ctx, request, buffer, arg);
	return EVRPC_PAUSE;
}

static void
pause_at(struct one_hook *hook, void *vbase, enum EVRPC_HOOK_TYPE type, enum EVRPC_HOOK_RESULT result)
{
	struct one_call *call = new_call("hello");
	int done = side.done, runs = hook->runs;
	void *handle = evrpc_add_hook(vbase, type, pause_hook, hook);
	char label[80];

	EVRPC_MAKE_REQUEST(Ask, side.pool, call->question, call->answer, on_answer, call);
	run_until(&hook->runs, runs + 1);
	run_a_little();
	CHECK_EQUAL(side.done, done);
	CHECK_EQUAL(evrpc_remove_hook(vbase, type, handle), 1);
	CHECK_EQUAL(evrpc_resume_request(vbase, &call, result), -1);
	CHECK_EQUAL(evrpc_resume_request(vbase, hook->ctx, result), 0);
	run_until(&side.done, done + 1);
	CHECK_EQUAL(evrpc_resume_request(vbase, hook->ctx, result), -1);
	snprintf(label, sizeof label, "%s, resumed with %d", hook->name, result);
	print_ended(label, call);
	free_call(call);
}

CASE(hooks_that_pause_calls, ONE_BACKEND)
{
	start_both(1);
	for (int result = EVRPC_TERMINATE; result <= EVRPC_CONTINUE; result++) {
		pause_at(&client_out, side.pool, EVRPC_OUTPUT, result);
		pause_at(&server_in, side.rpc, EVRPC_INPUT, result);
		pause_at(&server_out, side.rpc, EVRPC_OUTPUT, result);
		pause_at(&client_in, side.pool, EVRPC_INPUT, result);
	}
	end_both();
}

/* Each of the four pauses, and a timer of no time goes on. */
struct resuming {
	void *vbase, *ctx;
	struct event *timer;
};
static int resumed;

static void
resume_soon(evutil_socket_t fd, short what, void *arg)
{
	struct resuming *one = arg;

	(void)fd;
	(void)what;
	resumed++;
	CHECK_EQUAL(evrpc_resume_request(one->vbase, one->ctx, EVRPC_CONTINUE), 0);
	event_free(one->timer);
	free(one);
}

static int
pause_for_a_moment(void *ctx, struct evhttp_request *request, struct evbuffer *buffer, void *arg)
{
	struct timeval none = {0, 0};
	struct resuming *one = malloc(sizeof *one);

	(void)request;
	(void)buffer;
	one->vbase = arg;
	one->ctx = ctx;
	one->timer = evtimer_new(side.base, resume_soon, one);
	evtimer_add(one->timer, &none);
	return EVRPC_PAUSE;
}

CASE(four_pauses_of_one_call, ONE_BACKEND)
{
	start_both(1);
	for (int type = EVRPC_INPUT; type <= EVRPC_OUTPUT; type++) {
		evrpc_add_hook(side.rpc, type, pause_for_a_moment, side.rpc);
		evrpc_add_hook(side.pool, type, pause_for_a_moment, side.pool);
	}
	call_and_print("paused", "hello");
	CHECK_EQUAL(resumed, 4);
	call_and_print("and again", "hello");
	CHECK_EQUAL(resumed, 8);
	end_both();
}

/* No base was given. */
CASE(pauses_on_the_current_base, ONE_BACKEND)
{
	side.base = event_init();
	side.http = evhttp_new(NULL);
	side.port = bound_port(side.http);
	side.rpc = evrpc_init(side.http);
	CHECK_EQUAL(EVRPC_REGISTER(side.rpc, Ask, question, answer, on_ask, &side), 0);
	side.pool = evrpc_pool_new(NULL);
	evrpc_pool_add_connection(side.pool, evhttp_connection_new("127.0.0.1", (unsigned short)side.port));
	for (int type = EVRPC_INPUT; type <= EVRPC_OUTPUT; type++) {
		evrpc_add_hook(side.rpc, type, pause_for_a_moment, side.rpc);
		evrpc_add_hook(side.pool, type, pause_for_a_moment, side.pool);
	}
	call_and_print("paused", "hello");
	CHECK_EQUAL(resumed, 4);
	end_both();
}

/* Other calls use the connection while one waits to go out. */
CASE(others_continue_while_one_is_paused, ONE_BACKEND)
{
	struct one_call *first = new_call("first");
	void *handle;

	start_both(1);
	handle = evrpc_add_hook(side.pool, EVRPC_OUTPUT, pause_hook, &client_out);
	EVRPC_MAKE_REQUEST(Ask, side.pool, first->question, first->answer, on_answer, first);
	CHECK_EQUAL(client_out.runs, 1);
	evrpc_remove_hook(side.pool, EVRPC_OUTPUT, handle);
	call_and_print("second", "second");
	CHECK_EQUAL(evrpc_resume_request(side.pool, client_out.ctx, EVRPC_CONTINUE), 0);
	run_until(&side.done, 2);
	print_ended("first", first);
	free_call(first);
	end_both();
}

/* The time of a call is over when it was answered, whatever a hook does with the answer. */
CASE(an_answer_is_paused_for_longer_than_the_timeout, ONE_BACKEND)
{
	struct one_call *call = new_call("hello");

	start_both(1);
	evrpc_pool_set_timeout(side.pool, 1);
	evrpc_add_hook(side.pool, EVRPC_INPUT, pause_hook, &client_in);
	EVRPC_MAKE_REQUEST(Ask, side.pool, call->question, call->answer, on_answer, call);
	run_until(&client_in.runs, 1);
	event_base_loopexit(side.base, &(struct timeval){1, 300000});
	event_base_loop(side.base, EVLOOP_NO_EXIT_ON_EMPTY);
	CHECK_EQUAL(side.done, 0);
	CHECK_EQUAL(evrpc_resume_request(side.pool, client_in.ctx, EVRPC_CONTINUE), 0);
	run_until(&side.done, 1);
	print_ended("resumed", call);
	free_call(call);
	end_both();
}

/* A port that nobody listens on, while the socket is open. */
static int
unused_port(int fd)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;

	CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
	return ntohs(address.sin_port);
}

/* If the connection cannot be made, and is removed from the pool, another one takes the call. */
DIFFERENCE(the_connection_of_a_paused_call_leaves, ONE_BACKEND,
	"a call that a hook has paused is sent on its connection although that has left the pool")
{
	struct one_call *call = new_call("hello");
	struct evhttp_connection *nowhere;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	start_both(0);
	nowhere = new_connection(unused_port(fd));
	evrpc_pool_add_connection(side.pool, nowhere);
	evrpc_add_hook(side.pool, EVRPC_OUTPUT, pause_hook, &client_out);
	EVRPC_MAKE_REQUEST(Ask, side.pool, call->question, call->answer, on_answer, call);
	CHECK_EQUAL(client_out.runs, 1);
	evrpc_pool_add_connection(side.pool, new_connection(side.port));
	evrpc_pool_remove_connection(side.pool, nowhere);
	CHECK_EQUAL(evrpc_resume_request(side.pool, client_out.ctx, EVRPC_CONTINUE), 0);
	run_until(&side.done, 1);
	CHECK_EQUAL(side.status, EVRPC_STATUS_ERR_NONE);
	free_call(call);
	evhttp_connection_free(nowhere);
	close(fd);
	end_both();
}

/* Replaces the text of the one message by another of the same kind. */
static int
replace_message(void *ctx, struct evhttp_request *request, struct evbuffer *buffer, void *arg)
{
	(void)ctx;
	(void)request;
	evbuffer_drain(buffer, evbuffer_get_length(buffer));
	evtag_marshal_string(buffer, QUESTION_TEXT, arg);
	return EVRPC_CONTINUE;
}

CASE(hooks_change_messages, ONE_BACKEND)
{
	start_both(1);
	for (int type = 0; type < 2; type++) {
		void *handle = evrpc_add_hook(side.rpc, type, replace_message, type ? "server out" : "server in");
		call_and_print("changed by the server", "hello");
		evrpc_remove_hook(side.rpc, type, handle);
		handle = evrpc_add_hook(side.pool, type, replace_message, type ? "client out" : "client in");
		call_and_print("changed by the client", "hello");
		evrpc_remove_hook(side.pool, type, handle);
	}
	end_both();
}

static int
spoil_message(void *ctx, struct evhttp_request *request, struct evbuffer *buffer, void *arg)
{
	(void)ctx;
	(void)request;
	(void)arg;
	evbuffer_add(buffer, "spoiled", 7);
	return EVRPC_CONTINUE;
}

CASE(hooks_spoil_messages, ONE_BACKEND)
{
	start_both(1);
	for (int type = 0; type < 2; type++) {
		void *handle = evrpc_add_hook(side.rpc, type, spoil_message, NULL);
		call_and_print("spoiled by the server", "hello");
		evrpc_remove_hook(side.rpc, type, handle);
		handle = evrpc_add_hook(side.pool, type, spoil_message, NULL);
		call_and_print("spoiled by the client", "hello");
		evrpc_remove_hook(side.pool, type, handle);
	}
	end_both();
}

static int
add_headers(void *ctx, struct evhttp_request *request, struct evbuffer *buffer, void *arg)
{
	(void)ctx;
	(void)buffer;
	return evhttp_add_header(arg ? evhttp_request_get_output_headers(request) : evhttp_request_get_input_headers(request),
	    arg ? "X-Output" : "X-Input", "hook");
}

static void
print_own_headers(EVRPC_STRUCT(Ask) *rpc)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(rpc->http_req);

	printf("at the server: %s %s\n", evhttp_find_header(headers, "X-Input"), evhttp_find_header(headers, "X-Output"));
	answer_now(rpc);
}

static void
on_answer_own_headers(struct evrpc_status *status, struct question *question, struct answer *answer, void *arg)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(status->http_req);

	printf("at the client: %s %s\n", evhttp_find_header(headers, "X-Input"), evhttp_find_header(headers, "X-Output"));
	on_answer(status, question, answer, arg);
}

CASE(hooks_add_headers, ONE_BACKEND)
{
	struct one_call *call = new_call("hello");

	start_both(1);
	for (int type = EVRPC_INPUT; type <= EVRPC_OUTPUT; type++) {
		evrpc_add_hook(side.rpc, type, add_headers, type == EVRPC_OUTPUT ? &side : NULL);
		evrpc_add_hook(side.pool, type, add_headers, type == EVRPC_OUTPUT ? &side : NULL);
	}
	side.handle = print_own_headers;
	EVRPC_MAKE_REQUEST(Ask, side.pool, call->question, call->answer, on_answer_own_headers, call);
	run_until(&side.done, 1);
	free_call(call);
	end_both();
}

/* What one hook of a call remembers, the other finds. */
static int
remember(void *ctx, struct evhttp_request *request, struct evbuffer *buffer, void *arg)
{
	char key[] = "key", data[] = "some data";
	void *found = arg;
	size_t size = 77;

	(void)request;
	(void)buffer;
	CHECK_EQUAL(evrpc_hook_find_meta(ctx, "key", &found, &size), -1);
	CHECK(found == arg && size == 77);
	evrpc_hook_add_meta(ctx, key, data, sizeof data);
	evrpc_hook_add_meta(ctx, "key", "second", 7);
	evrpc_hook_add_meta(ctx, "other", arg, 1);
	memset(key, 'x', 3);
	memset(data, 'x', 3);
	return EVRPC_CONTINUE;
}

static int
find(void *ctx, struct evhttp_request *request, struct evbuffer *buffer, void *arg)
{
	void *found = NULL;
	size_t size = 0;

	(void)request;
	(void)buffer;
	CHECK_EQUAL(evrpc_hook_find_meta(ctx, "key", &found, &size), 0);
	CHECK_EQUAL(size, sizeof "some data");
	CHECK_STRING(found, "some data");
	CHECK_EQUAL(evrpc_hook_find_meta(ctx, "other", &found, &size), 0);
	CHECK_EQUAL(size, 1);
	CHECK_EQUAL(*(char *)found, *(char *)arg);
	CHECK_EQUAL(evrpc_hook_find_meta(ctx, "ke", &found, &size), -1);
	CHECK_EQUAL(evrpc_hook_find_meta(ctx, "keys", &found, &size), -1);
	return EVRPC_CONTINUE;
}

static void
find_in_handler(EVRPC_STRUCT(Ask) *rpc)
{
	find(rpc, NULL, NULL, "a");
	CHECK(evrpc_hook_get_connection(rpc) == evhttp_request_get_connection(rpc->http_req));
	answer_now(rpc);
}

CASE(what_hooks_remember, ONE_BACKEND)
{
	start_both(1);
	evrpc_add_hook(side.rpc, EVRPC_INPUT, remember, "a");
	evrpc_add_hook(side.rpc, EVRPC_OUTPUT, find, "a");
	evrpc_add_hook(side.pool, EVRPC_OUTPUT, remember, "b");
	evrpc_add_hook(side.pool, EVRPC_INPUT, find, "b");
	side.handle = find_in_handler;
	call_and_print("remembered", "hello");
	call_and_print("by each call", "hello");
	end_both();
}

static void
no_connection(EVRPC_STRUCT(Ask) *rpc)
{
	CHECK(!evrpc_hook_get_connection(rpc));
	answer_now(rpc);
}

CASE(without_hooks_no_connection_is_known, ONE_BACKEND)
{
	start_both(1);
	side.handle = no_connection;
	call_and_print("no hooks", "hello");
	end_both();
}

static struct one_hook removed_one = {"removed", EVRPC_CONTINUE, 0, NULL, NULL};

static int
remove_another(void *ctx, struct evhttp_request *request, struct evbuffer *buffer, void *arg)
{
	(void)ctx;
	(void)request;
	(void)buffer;
	(void)arg;
	evrpc_remove_hook(side.rpc, EVRPC_INPUT, removed_one.handle);
	return EVRPC_CONTINUE;
}

CASE(a_hook_removes_another, ONE_BACKEND)
{
	start_both(1);
	evrpc_add_hook(side.rpc, EVRPC_INPUT, remove_another, NULL);
	removed_one.handle = evrpc_add_hook(side.rpc, EVRPC_INPUT, run_hook, &removed_one);
	call_and_print("removed", "hello");
	CHECK_EQUAL(removed_one.runs, 0);
	end_both();
}

/* Exported, but in no header: frees a call and leaves its HTTP request to the caller. */
void evrpc_reqstate_free_(struct evrpc_req_generic *);

static void
free_state(EVRPC_STRUCT(Ask) *rpc)
{
	struct evhttp_request *request = rpc->http_req;

	evrpc_reqstate_free_((struct evrpc_req_generic *)rpc);
	evhttp_send_error(request, 500, "By hand");
}

CASE(the_state_of_a_call_is_freed, ONE_BACKEND)
{
	start_both(1);
	side.handle = free_state;
	evrpc_add_hook(side.rpc, EVRPC_INPUT, remember, "a");
	call_and_print("by hand", "hello");
	side.handle = NULL;
	call_and_print("the next call", "hello");
	end_both();
}
