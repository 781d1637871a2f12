/* Remote calls that succeed, and the outcome of those that fail. */
#include "tools.h"

#include <event2/bufferevent_struct.h>

CASE(a_call_and_its_answer, ONE_BACKEND)
{
	start_both(1);
	call_and_print("first", "hello");
	call_and_print("second, on the same connection", "again");
	CHECK_EQUAL(side.handled, 2);
	end_both();
}

static void
print_headers(EVRPC_STRUCT(Ask) *rpc)
{
	struct evhttp_request *request = EVRPC_REQUEST_HTTP(rpc);
	struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
	const char *length = evhttp_find_header(headers, "Content-Length");

	printf("%s, length %s, type %s\n", evhttp_request_get_uri(request), length ? length : "none",
	    evhttp_find_header(headers, "Content-Type") ? "given" : "none");
	CHECK(evrpc_get_request((struct evrpc_req_generic *)rpc) == rpc->request);
	CHECK(evrpc_get_reply((struct evrpc_req_generic *)rpc) == rpc->reply);
	answer_now(rpc);
}

static void
on_answer_headers(struct evrpc_status *status, struct question *question, struct answer *answer, void *arg)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(status->http_req);

	printf("type %s\n", evhttp_find_header(headers, "Content-Type"));
	on_answer(status, question, answer, arg);
}

static void
name_a_type(EVRPC_STRUCT(Ask) *rpc)
{
	evhttp_add_header(evhttp_request_get_output_headers(rpc->http_req), "Content-Type", "text/x-answer");
	answer_now(rpc);
}

CASE(how_a_call_looks_in_http, ONE_BACKEND)
{
	struct one_call *call = new_call("x");

	start_both(1);
	side.handle = print_headers;
	EVRPC_MAKE_REQUEST(Ask, side.pool, call->question, call->answer, on_answer_headers, call);
	run_until(&side.done, 1);
	side.handle = name_a_type;
	answer_clear(call->answer);
	EVRPC_MAKE_REQUEST(Ask, side.pool, call->question, call->answer, on_answer_headers, call);
	run_until(&side.done, 2);
	free_call(call);
	end_both();
}

CASE(requests_that_are_no_calls, ONE_BACKEND)
{
	static const char good[] = "\x01\x02hi", unknown[] = "\x09\x02hi", cut[] = "\x01\x05hi", empty_text[] = "\x01\x00";
	start_server();
	event_set_log_callback(NULL);
	raw_ask("good", "POST", "/.rpc.Ask", good, 4);
	raw_ask("with a query", "POST", "/.rpc.Ask?x=1", good, 4);
	raw_ask("an empty text", "POST", "/.rpc.Ask", empty_text, 2);
	raw_ask("an unknown tag", "POST", "/.rpc.Ask", unknown, 4);
	raw_ask("cut", "POST", "/.rpc.Ask", cut, 4);
	raw_ask("no body", "POST", "/.rpc.Ask", "", 0);
	raw_ask("text", "POST", "/.rpc.Ask", "hello, world", 12);
	raw_ask("PUT", "PUT", "/.rpc.Ask", good, 4);
	raw_ask("GET", "GET", "/.rpc.Ask", "", 0);
	raw_ask("GET with a body", "GET", "/.rpc.Ask", good, 4);
	raw_ask("another name", "POST", "/.rpc.Other", good, 4);
	raw_ask("no name", "POST", "/.rpc.", good, 4);
	CHECK_EQUAL(side.handled, 3);
	end_both();
}

static void
answer_nothing(EVRPC_STRUCT(Ask) *rpc)
{
	EVRPC_REQUEST_DONE(rpc);
}

CASE(a_reply_that_is_not_complete, ONE_BACKEND)
{
	start_both(1);
	side.handle = answer_nothing;
	call_and_print("incomplete", "x");
	side.handle = NULL;
	call_and_print("the next call", "x");
	end_both();
}

static EVRPC_STRUCT(Ask) *kept[32];
static int kept_count;

static void
keep(EVRPC_STRUCT(Ask) *rpc)
{
	kept[kept_count++] = rpc;
}

CASE(a_reply_that_comes_later, ONE_BACKEND)
{
	struct one_call *call = new_call("later");

	start_both(1);
	side.handle = keep;
	EVRPC_MAKE_REQUEST(Ask, side.pool, call->question, call->answer, on_answer, call);
	run_until(&kept_count, 1);
	run_a_little();
	CHECK_EQUAL(side.done, 0);
	answer_now(kept[0]);
	run_until(&side.done, 1);
	print_ended("later", call);
	free_call(call);
	end_both();
}

CASE(a_client_that_does_not_wait, ONE_BACKEND)
{
	static const char request[] = "POST /.rpc.Ask HTTP/1.1\r\nContent-Length: 4\r\n\r\n\x01\x02hi";
	struct raw_client *client;

	start_server();
	side.handle = keep;
	for (int i = 0; i < 2; i++) {
		client = raw_connect(request, sizeof request - 1);
		run_until(&kept_count, i + 1);
		raw_free(client);
		run_a_little();
	}
	answer_now(kept[0]);
	EVRPC_REQUEST_DONE(kept[1]);
	run_a_little();
	side.handle = NULL;
	raw_ask("others are served", "POST", "/.rpc.Ask", "\x01\x02hi", 4);
	end_both();
}

/* In the order in which they were made, one at a time. */
CASE(calls_on_one_connection, ONE_BACKEND)
{
	struct one_call *calls[10];

	start_both(1);
	for (int i = 0; i < 10; i++) {
		calls[i] = new_call("x");
		calls[i]->number = i;
		CHECK_EQUAL(EVRPC_MAKE_REQUEST(Ask, side.pool, calls[i]->question, calls[i]->answer, on_answer, calls[i]), 0);
	}
	run_until(&side.done, 10);
	for (int i = 0; i < 10; i++) {
		CHECK_EQUAL(side.order[i], i);
		CHECK_STRING(calls[i]->answer->text_data, "x!");
		free_call(calls[i]);
	}
	end_both();
}

/* The server holds all that it can get at once. */
CASE(calls_on_several_connections, ONE_BACKEND)
{
	struct one_call *calls[9];

	start_both(3);
	side.handle = keep;
	for (int i = 0; i < 9; i++) {
		calls[i] = new_call("x");
		EVRPC_MAKE_REQUEST(Ask, side.pool, calls[i]->question, calls[i]->answer, on_answer, calls[i]);
	}
	for (int i = 0; i < 9; i++) {
		run_until(&kept_count, i < 3 ? 3 : i + 1);
		run_a_little();
		CHECK_EQUAL(kept_count, i < 3 ? 3 + i : i + 3 > 9 ? 9 : i + 3);
		answer_now(kept[i]);
		run_until(&side.done, i + 1);
		run_a_little();
	}
	for (int i = 0; i < 9; i++)
		free_call(calls[i]);
	end_both();
}

CASE(a_server_that_takes_too_long, ONE_BACKEND)
{
	long long start;

	start_both(1);
	evrpc_pool_set_timeout(side.pool, 1);
	side.handle = keep;
	start = milliseconds();
	call_and_print("never", "x");
	CHECK(milliseconds() - start >= 900);
	run_a_little();
	EVRPC_REQUEST_DONE(kept[0]);
	side.handle = NULL;
	call_and_print("the next call", "x");
	end_both();
}

static void
close_connection(EVRPC_STRUCT(Ask) *rpc)
{
	/* The connection is freed, and the call stays the handler's. */
	struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(rpc->http_req));

	keep(rpc);
	shutdown(bufferevent_getfd(bev), SHUT_RDWR);
}

CASE(a_server_that_hangs_up, ONE_BACKEND)
{
	start_both(1);
	side.handle = close_connection;
	call_and_print("gone", "x");
	run_a_little();
	EVRPC_REQUEST_DONE(kept[0]);
	side.handle = NULL;
	call_and_print("the next call", "x");
	end_both();
}

CASE(nobody_listens, ONE_BACKEND)
{
	start_both(1);
	EVRPC_UNREGISTER(side.rpc, Ask);
	evrpc_free(side.rpc);
	evhttp_free(side.http);
	side.rpc = NULL;
	side.http = NULL;
	call_and_print("refused", "x");
	call_and_print("refused again", "x");
	end_both();
}

CASE(a_call_that_nobody_handles, ONE_BACKEND)
{
	start_both(1);
	CHECK_EQUAL(EVRPC_UNREGISTER(side.rpc, Ask), 0);
	CHECK_EQUAL(EVRPC_UNREGISTER(side.rpc, Ask), -1);
	CHECK_EQUAL(EVRPC_UNREGISTER(side.rpc, Other), -1);
	call_and_print("not found", "x");
	CHECK_EQUAL(EVRPC_REGISTER(side.rpc, Ask, question, answer, on_ask, &side), 0);
	call_and_print("registered again", "x");
	end_both();
}

static struct one_call *second_call;

static void
call_again(struct evrpc_status *status, struct question *question, struct answer *answer, void *arg)
{
	on_answer(status, question, answer, arg);
	CHECK_EQUAL(EVRPC_MAKE_REQUEST(Ask, side.pool, second_call->question, second_call->answer, on_answer, second_call), 0);
}

CASE(a_call_made_in_a_callback, ONE_BACKEND)
{
	struct one_call *call = new_call("one");

	second_call = new_call("two");
	start_both(1);
	EVRPC_MAKE_REQUEST(Ask, side.pool, call->question, call->answer, call_again, call);
	run_until(&side.done, 2);
	print_ended("second", second_call);
	free_call(call);
	free_call(second_call);
	end_both();
}

static void
on_generic_answer(struct evrpc_status *status, void *question, void *answer, void *arg)
{
	on_answer(status, question, answer, arg);
}

CASE(a_call_prepared_before, ONE_BACKEND)
{
	struct one_call *call = new_call("prepared");
	struct evrpc_request_wrapper *prepared;
	struct evrpc_pool *other;

	start_both(1);
	other = evrpc_pool_new(side.base);
	prepared = EVRPC_MAKE_CTX(Ask, question, answer, other, call->question, call->answer, NULL, NULL);
	CHECK(prepared);
	CHECK(evrpc_request_get_pool(prepared) == other);
	evrpc_request_set_pool(prepared, side.pool);
	CHECK(evrpc_request_get_pool(prepared) == side.pool);
	evrpc_request_set_cb(prepared, on_generic_answer, call);
	run_a_little();
	CHECK_EQUAL(side.handled, 0);
	CHECK_EQUAL(evrpc_make_request(prepared), 0);
	run_until(&side.done, 1);
	print_ended("prepared", call);
	evrpc_pool_free(other);
	free_call(call);
	end_both();
}

CASE(a_registration_filled_by_hand, ONE_BACKEND)
{
	struct evrpc *rpc = calloc(1, sizeof *rpc);

	start_both(1);
	CHECK_EQUAL(EVRPC_UNREGISTER(side.rpc, Ask), 0);
	rpc->uri = strdup("Ask");
	rpc->request_new = (void *(*)(void *))question_new_with_arg;
	rpc->request_free = (void (*)(void *))question_free;
	rpc->request_unmarshal = (int (*)(void *, struct evbuffer *))question_unmarshal;
	rpc->reply_new = (void *(*)(void *))answer_new_with_arg;
	rpc->reply_free = (void (*)(void *))answer_free;
	rpc->reply_complete = (int (*)(void *))answer_complete;
	rpc->reply_marshal = (void (*)(struct evbuffer *, void *))answer_marshal;
	CHECK_EQUAL(evrpc_register_rpc(side.rpc, rpc, (void (*)(struct evrpc_req_generic *, void *))on_ask, &side), 0);
	CHECK(rpc->base == side.rpc && rpc->cb_arg == &side && rpc->cb);
	call_and_print("by hand", "x");
	end_both();
}

/* Pool and connection without a base work on the current one. */
CASE(without_a_base, ONE_BACKEND)
{
	struct evhttp_connection *evcon;
	struct one_call *call = new_call("old");

	side.base = event_init();
	side.http = evhttp_new(NULL);
	side.port = bound_port(side.http);
	side.rpc = evrpc_init(side.http);
	CHECK_EQUAL(EVRPC_REGISTER(side.rpc, Ask, question, answer, on_ask, &side), 0);
	side.pool = evrpc_pool_new(NULL);
	evcon = evhttp_connection_new("127.0.0.1", (unsigned short)side.port);
	evrpc_pool_add_connection(side.pool, evcon);
	evrpc_pool_set_timeout(side.pool, 5);
	EVRPC_MAKE_REQUEST(Ask, side.pool, call->question, call->answer, on_answer, call);
	run_until(&side.done, 1);
	print_ended("old", call);

	/* What libevent's own test of timeouts does. */
	evrpc_pool_set_timeout(side.pool, 1);
	side.handle = keep;
	answer_clear(call->answer);
	EVRPC_MAKE_REQUEST(Ask, side.pool, call->question, call->answer, on_answer, call);
	run_until(&side.done, 2);
	print_ended("timed out", call);
	EVRPC_REQUEST_DONE(kept[0]);
	CHECK_EQUAL(EVRPC_UNREGISTER(side.rpc, Ask), 0);
	evrpc_free(side.rpc);
	evrpc_pool_free(side.pool);
	evhttp_free(side.http);
	free_call(call);
}

CASE(connections_come_and_go, ONE_BACKEND)
{
	struct evhttp_connection *evcon;

	start_both(1);
	evcon = new_connection(side.port);
	evrpc_pool_add_connection(side.pool, evcon);
	call_and_print("two connections", "x");
	evrpc_pool_remove_connection(side.pool, evcon);
	call_and_print("one", "x");
	evhttp_connection_free(evcon);
	call_and_print("still one", "x");
	end_both();
}

static void
print_timeouts(const char *label, struct evhttp_connection *evcon)
{
	struct bufferevent *bev = evhttp_connection_get_bufferevent(evcon);

	printf("%s: reading %d s, writing %d s\n", label, (int)bev->timeout_read.tv_sec, (int)bev->timeout_write.tv_sec);
}

CASE(each_connection_has_the_timeout_of_the_pool, ONE_BACKEND)
{
	struct evhttp_connection *first, *second, *third;

	start_both(0);
	first = new_connection(side.port);
	second = new_connection(side.port);
	third = new_connection(side.port);
	evrpc_pool_add_connection(side.pool, first);
	evrpc_pool_add_connection(side.pool, second);
	evrpc_pool_set_timeout(side.pool, 70);
	evrpc_pool_add_connection(side.pool, third);
	print_timeouts("first", first);
	print_timeouts("second", second);
	print_timeouts("third", third);
	end_both();
}

/* Two servers' sides share one HTTP server. */
CASE(several_sides_of_a_server, ONE_BACKEND)
{
	struct evrpc_base *other;

	start_both(1);
	other = evrpc_init(side.http);
	CHECK_EQUAL(EVRPC_REGISTER(other, Tell, question, answer, on_ask, &side), 0);
	raw_ask("other", "POST", "/.rpc.Tell", "\x01\x02hi", 4);
	raw_ask("first", "POST", "/.rpc.Ask", "\x01\x02hi", 4);
	evrpc_free(other);
	raw_ask("other, freed", "POST", "/.rpc.Tell", "\x01\x02hi", 4);
	end_both();
}

/* A port that nobody listens on, now and later. */
static int
closed_port(void)
{
	struct evhttp *http = evhttp_new(side.base);
	int port = bound_port(http);

	evhttp_free(http);
	return port;
}

CASE(a_connection_that_is_tried_again, ONE_BACKEND | SLOW)
{
	struct evhttp_connection *evcon;
	struct timeval pause = {0, 300000};

	start_both(0);
	evcon = new_connection(closed_port());
	evhttp_connection_set_retries(evcon, 1);
	evhttp_connection_set_initial_retry_tv(evcon, &pause);
	evrpc_pool_add_connection(side.pool, evcon);
	call_and_print("tried twice", "x");
	end_both();
}

/* The next attempt waits for a timer when the time of the call is over. */
CASE(a_call_times_out_between_two_attempts, ONE_BACKEND | SLOW)
{
	struct evhttp_connection *evcon;
	struct timeval pause = {5, 0};
	long long start;

	start_both(0);
	evcon = new_connection(closed_port());
	evhttp_connection_set_retries(evcon, 3);
	evhttp_connection_set_initial_retry_tv(evcon, &pause);
	evrpc_pool_add_connection(side.pool, evcon);
	evrpc_pool_set_timeout(side.pool, 1);
	start = milliseconds();
	call_and_print("refused", "x");
	CHECK_EQUAL(side.status, EVRPC_STATUS_ERR_TIMEOUT);
	CHECK(milliseconds() - start < 4000);
	end_both();
}
