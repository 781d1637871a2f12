/* Patterns of remote calls and of the tagged messages that they carry. */
#include "patterns.h"
#include "../rpc_message.h"

#include <event2/http.h>
#include <event2/tag.h>

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
