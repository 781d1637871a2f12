/* One side of remote calls between two processes: `rpc serve` prints its port and handles calls
 * until its standard input ends; `rpc call PORT` makes some, and prints how they end. */
#include <arpa/inet.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/rpc.h>
#include <event2/rpc_struct.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "interop/rpc.gen.c"

EVRPC_HEADER(Echo, parcel, parcel)
EVRPC_GENERATE(Echo, parcel, parcel)
EVRPC_HEADER(Fail, parcel, parcel)
EVRPC_GENERATE(Fail, parcel, parcel)
EVRPC_HEADER(Never, parcel, parcel)
EVRPC_GENERATE(Never, parcel, parcel)
EVRPC_HEADER(Unknown, parcel, parcel)
EVRPC_GENERATE(Unknown, parcel, parcel)

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

static struct event_base *base;

/* The server. */

static void
copy_parcel(struct parcel *to, const struct parcel *from)
{
	struct evbuffer *buffer = evbuffer_new();

	parcel_marshal(buffer, from);
	MUST(parcel_unmarshal(to, buffer) == 0);
	evbuffer_free(buffer);
}

static void
echo(EVRPC_STRUCT(Echo) *rpc, void *arg)
{
	(void)arg;
	copy_parcel(rpc->reply, rpc->request);
	EVRPC_REQUEST_DONE(rpc);
}

static void
echo_later(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	echo(arg, NULL);
}

static void
echo_soon(EVRPC_STRUCT(Echo) *rpc, void *arg)
{
	struct timeval moment = {0, 100};

	if (rpc->request->id_data % 3 == 0)
		event_base_once(base, -1, EV_TIMEOUT, echo_later, rpc, &moment);
	else
		echo(rpc, arg);
}

static void
fail(EVRPC_STRUCT(Fail) *rpc, void *arg)
{
	(void)arg;
	EVRPC_REQUEST_DONE(rpc);
}

static void
never(EVRPC_STRUCT(Never) *rpc, void *arg)
{
	(void)rpc;
	(void)arg;
}

static int
add_length(void *ctx, struct evhttp_request *request, struct evbuffer *buffer, void *arg)
{
	char text[32];

	(void)ctx;
	(void)arg;
	snprintf(text, sizeof text, "%zu", evbuffer_get_length(buffer));
	evhttp_add_header(evhttp_request_get_output_headers(request), "X-Length", text);
	return EVRPC_CONTINUE;
}

static void
end(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	event_base_loopbreak(base);
}

static void
serve(void)
{
	struct evhttp *http = evhttp_new(base);
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	struct evrpc_base *rpc = evrpc_init(http);
	struct event *input = event_new(base, 0, EV_READ, end, NULL);
	struct sockaddr_in address;
	socklen_t length = sizeof address;

	MUST(EVRPC_REGISTER(rpc, Echo, parcel, parcel, echo_soon, NULL) == 0);
	MUST(EVRPC_REGISTER(rpc, Fail, parcel, parcel, fail, NULL) == 0);
	MUST(EVRPC_REGISTER(rpc, Never, parcel, parcel, never, NULL) == 0);
	MUST(evrpc_add_hook(rpc, EVRPC_OUTPUT, add_length, NULL));
	event_add(input, NULL);
	getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length);
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	event_base_dispatch(base);
}

/* The client. */

static int done;

static void
print_end(struct evrpc_status *status, struct parcel *request, struct parcel *reply, void *arg)
{
	struct evbuffer *sent = evbuffer_new(), *got = evbuffer_new();
	const char *length = NULL;
	int same;

	parcel_marshal(sent, request);
	parcel_marshal(got, reply);
	same = evbuffer_get_length(sent) == evbuffer_get_length(got) &&
	    !memcmp(evbuffer_pullup(sent, -1), evbuffer_pullup(got, -1), evbuffer_get_length(got));
	if (status->http_req)
		length = evhttp_find_header(evhttp_request_get_input_headers(status->http_req), "X-Length");
	printf("%s: status %d, code %d, %s, X-Length %s of %zu\n", (const char *)arg, status->error,
	    status->http_req ? evhttp_request_get_response_code(status->http_req) : -1,
	    same ? "the same message" : "another message", length ? length : "none", evbuffer_get_length(sent));
	evbuffer_free(sent);
	evbuffer_free(got);
	parcel_free(request);
	parcel_free(reply);
	done++;
}

static void
run_until(int count)
{
	while (done < count)
		event_base_loop(base, EVLOOP_ONCE);
}

static struct parcel *
new_parcel(ev_uint32_t id, size_t size)
{
	struct parcel *parcel = parcel_new(), *inner;
	ev_uint8_t *bytes = calloc(1, size + 1);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (ev_uint8_t)(i * id);
	parcel_id_assign(parcel, id);
	parcel_name_assign(parcel, "a parcel");
	parcel_large_assign(parcel, (ev_uint64_t)id << 33);
	parcel_data_assign(parcel, bytes, (ev_uint32_t)size);
	for (ev_uint32_t i = 0; i < id % 5; i++) {
		parcel_numbers_add(parcel, i * 1000);
		inner = parcel_inner_add(parcel);
		parcel_id_assign(inner, i);
		parcel_name_assign(inner, "");
		parcel_large_assign(inner, ~0ull);
		parcel_data_assign(inner, bytes, 0);
	}
	free(bytes);
	return parcel;
}

static void
call(int port)
{
	struct evrpc_pool *pool = evrpc_pool_new(base);
	int made = 0;

	for (int i = 0; i < 3; i++) {
		struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
		evrpc_pool_add_connection(pool,
		    evhttp_connection_base_bufferevent_new(NULL, NULL, bev, "127.0.0.1", (unsigned short)port));
	}
#define CALL(rpc, id, size, label)                                                                 \
	MUST(EVRPC_MAKE_REQUEST(rpc, pool, new_parcel(id, size), parcel_new(), print_end, (void *)label) == 0); \
	run_until(++made)

	for (ev_uint32_t i = 1; i < 100; i++) {
		CALL(Echo, i, i * 37, "small");
	}
	CALL(Echo, 1, 1000000, "large");
	CALL(Echo, 3, 3000000, "larger");
	CALL(Fail, 1, 10, "incomplete");
	CALL(Unknown, 1, 10, "unknown");
	CALL(Echo, 1, 10, "after errors");
	evrpc_pool_set_timeout(pool, 1);
	CALL(Never, 1, 10, "never");
	/* The others may take longer on a busy machine. */
	evrpc_pool_set_timeout(pool, 60);
	CALL(Echo, 1, 10, "after a timeout");
	for (ev_uint32_t i = 0; i < 300; i++, made++)
		MUST(EVRPC_MAKE_REQUEST(Echo, pool, new_parcel(1, 100), parcel_new(), print_end, (void *)"many") == 0);
	run_until(made);
	evrpc_pool_free(pool);
}

int
main(int argc, char **argv)
{
	base = event_base_new();
	MUST(argc > 1);
	if (!strcmp(argv[1], "serve"))
		serve();
	else if (argc > 2)
		call(atoi(argv[2]));
	event_base_free(base);
	return 0;
}
