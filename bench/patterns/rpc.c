/* Patterns of remote calls and of the tagged messages that they carry. */
#include "patterns.h"

#include <event2/http.h>
#include <event2/rpc.h>
#include <event2/rpc_struct.h>
#include <event2/tag.h>

#include "rpc.gen.c"

EVRPC_HEADER(Call, thirty, inside)
EVRPC_GENERATE(Call, thirty, inside)

/* What messages need: texts are as long as `text`. */
static struct thirty *
new_message(const char *text)
{
	struct thirty *message = thirty_new();
	struct inside *inside = NULL;
	const ev_uint8_t *bytes = (const ev_uint8_t *)"sixteen bytes!!";

	thirty_a0_assign(message, 0);
	thirty_a1_assign(message, 1);
	thirty_a2_assign(message, 200);
	thirty_a3_assign(message, 3000);
	thirty_a4_assign(message, 40000);
	thirty_a5_assign(message, 500000);
	thirty_a6_assign(message, 60000000);
	thirty_a7_assign(message, 0xffffffff);
	thirty_b0_assign(message, 0);
	thirty_b1_assign(message, 100);
	thirty_b2_assign(message, 20000);
	thirty_b3_assign(message, 3000000);
	thirty_b4_assign(message, 400000000000ull);
	thirty_b5_assign(message, ~0ull);
	thirty_c0_assign(message, text);
	thirty_c1_assign(message, text);
	thirty_c2_assign(message, text);
	thirty_c3_assign(message, text);
	thirty_c4_assign(message, text);
	thirty_c5_assign(message, text);
	thirty_d0_assign(message, bytes, 8);
	thirty_d1_assign(message, bytes, 16);
	thirty_e0_assign(message, bytes);
	thirty_e1_assign(message, bytes);
	thirty_h_get(message, &inside);
	inside_x_assign(inside, 7);
	inside_y_assign(inside, "inside");
	REQUIRE(thirty_complete(message) == 0);
	return message;
}

PATTERN(rpc_messages, 200)
{
	struct thirty *message = new_message("a text of thirty-two characters."), *again = thirty_new();
	struct evbuffer *buffer = evbuffer_new();

	while (n--) {
		thirty_marshal(buffer, message);
		REQUIRE(thirty_unmarshal(again, buffer) == 0);
		thirty_clear(again);
	}
	evbuffer_free(buffer);
	thirty_free(again);
	thirty_free(message);
}

PATTERN(rpc_message_with_a_long_array, 500)
{
	struct thirty *message = new_message("text"), *again = thirty_new();
	struct evbuffer *buffer = evbuffer_new();

	for (long i = 0; i < n; i++) {
		thirty_g0_add(message, (unsigned)i);
		thirty_g1_add(message, "element");
	}
	thirty_marshal(buffer, message);
	REQUIRE(thirty_unmarshal(again, buffer) == 0);
	evbuffer_free(buffer);
	thirty_free(again);
	thirty_free(message);
}

PATTERN(rpc_message_with_long_texts, 2000)
{
	char *text = calloc((size_t)n + 1, 1);
	struct thirty *message, *again = thirty_new();
	struct evbuffer *buffer = evbuffer_new();

	memset(text, 'x', (size_t)n);
	message = new_message(text);
	thirty_marshal(buffer, message);
	REQUIRE(thirty_unmarshal(again, buffer) == 0);
	evbuffer_free(buffer);
	thirty_free(again);
	thirty_free(message);
	free(text);
}

PATTERN(tagged_numbers, 2000)
{
	struct evbuffer *buffer = evbuffer_new();
	ev_uint32_t number;
	ev_uint64_t large;

	for (long i = 0; i < n; i++) {
		evtag_marshal_int(buffer, 1, (ev_uint32_t)i * 77777);
		evtag_marshal_int64(buffer, 200, (ev_uint64_t)i << 33);
	}
	for (long i = 0; i < n; i++) {
		REQUIRE(evtag_unmarshal_int(buffer, 1, &number) != -1);
		REQUIRE(evtag_unmarshal_int64(buffer, 200, &large) != -1);
	}
	evbuffer_free(buffer);
}

/* --- Calls. ------------------------------------------------------------------------------------------ */

static long calls;

static void
handle(EVRPC_STRUCT(Call) *rpc, void *arg)
{
	(void)arg;
	inside_x_assign(rpc->reply, rpc->request->a0_data);
	inside_y_assign(rpc->reply, "reply");
	EVRPC_REQUEST_DONE(rpc);
}

static void
called(struct evrpc_status *status, struct thirty *request, struct inside *reply, void *arg)
{
	(void)request;
	(void)arg;
	REQUIRE(status->error == EVRPC_STATUS_ERR_NONE && reply->y_set);
	inside_clear(reply);
	calls++;
}

PATTERN(rpc_calls, 100)
{
	struct event_base *base = event_base_new();
	struct evhttp *http = evhttp_new(base);
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	struct evrpc_base *server = evrpc_init(http);
	struct evrpc_pool *pool = evrpc_pool_new(base);
	struct thirty *message = new_message("text");
	struct inside *reply = inside_new();
	struct sockaddr_in address;
	socklen_t length = sizeof address;

	REQUIRE(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length) == 0);
	EVRPC_REGISTER(server, Call, thirty, inside, handle, NULL);
	evrpc_pool_add_connection(pool, evhttp_connection_base_bufferevent_new(NULL, NULL,
	    bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE), "127.0.0.1", ntohs(address.sin_port)));
	calls = 0;
	for (long i = 1; i <= n; i++) {
		EVRPC_MAKE_REQUEST(Call, pool, message, reply, called, NULL);
		while (calls < i)
			REQUIRE(event_base_loop(base, EVLOOP_ONCE) >= 0);
	}
	pattern_load_is_over();
	evrpc_pool_free(pool);
	EVRPC_UNREGISTER(server, Call);
	evrpc_free(server);
	evhttp_free(http);
	event_base_free(base);
	inside_free(reply);
	thirty_free(message);
}
