/* Many calls over some connections, and their answers. */
#include "tools.h"

enum { CALLS = 10000, CONNECTIONS = 20 };

static unsigned long long random_state = 88172645463325252ull;

static unsigned
random_below(unsigned end)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)(random_state >> 20) % end;
}

static void
answer_later(evutil_socket_t fd, short what, void *arg)
{
	EVRPC_STRUCT(Ask) *rpc = arg;

	(void)fd;
	(void)what;
	CHECK_EQUAL(EVTAG_ASSIGN(rpc->reply, number, rpc->request->delay_data), 0);
	answer_now(rpc);
}

/* Some at once, the others after up to four milliseconds. */
static void
delay(EVRPC_STRUCT(Ask) *rpc)
{
	struct timeval moment = {0, random_below(4000)};

	if (random_below(4) == 0)
		answer_later(-1, 0, rpc);
	else
		CHECK_EQUAL(event_base_once(side.base, -1, EV_TIMEOUT, answer_later, rpc, &moment), 0);
}

static unsigned char answered[CALLS];

static void
on_number(struct evrpc_status *status, struct question *question, struct answer *answer, void *arg)
{
	struct one_call *call = arg;
	char text[16];

	CHECK_EQUAL(status->error, EVRPC_STATUS_ERR_NONE);
	CHECK(question == call->question && answer == call->answer);
	CHECK_EQUAL(answer->number_data, call->number);
	snprintf(text, sizeof text, "%d!", call->number);
	CHECK_STRING(answer->text_data, text);
	CHECK(!answered[call->number]++);
	side.done++;
	free_call(call);
}

static void
call_many(int first, int count)
{
	for (int i = first; i < first + count; i++) {
		char text[16];
		struct one_call *call;
		snprintf(text, sizeof text, "%d", i);
		call = new_call(text);
		call->number = i;
		CHECK_EQUAL(EVTAG_ASSIGN(call->question, delay, i), 0);
		CHECK_EQUAL(EVRPC_MAKE_REQUEST(Ask, side.pool, call->question, call->answer, on_number, call), 0);
	}
}

CASE(ten_thousand_calls_with_delays, ONE_BACKEND | SLOW)
{
	start_both(CONNECTIONS);
	side.handle = delay;
	call_many(0, CALLS / 2);
	run_until(&side.done, CALLS / 4);
	call_many(CALLS / 2, CALLS / 2);
	run_until(&side.done, CALLS);
	CHECK_EQUAL(side.handled, CALLS);
	end_both();
}

/* Peers that send part of a call and disconnect, at every place, do not disturb the others. */
CASE(peers_that_vanish, ONE_BACKEND | SLOW)
{
	static const char request[] = "POST /.rpc.Ask HTTP/1.1\r\nContent-Length: 4\r\n\r\n\x01\x02hi";

	start_both(2);
	side.handle = delay;
	for (size_t cut = 0; cut < sizeof request; cut++) {
		struct raw_client *client = raw_connect(request, cut);
		call_many((int)cut, 1);
		run_until(&side.done, (int)cut + 1);
		raw_free(client);
	}
	run_a_little();
	end_both();
}

/* Servers that send part of an answer and disconnect. */
static struct evconnlistener *cutting;
static size_t cut_at;

static void
answer_a_part(struct bufferevent *bev, void *arg)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\x01\x02hi";
	struct evbuffer *input = bufferevent_get_input(bev);

	(void)arg;
	/* The body is the end of the request. */
	if (evbuffer_search(input, "\r\n\r\n\x01", 5, NULL).pos < 0)
		return;
	bufferevent_write(bev, answer, cut_at);
	bufferevent_flush(bev, EV_WRITE, BEV_FINISHED);
	evbuffer_drain(input, evbuffer_get_length(input));
	if (cut_at == 0)
		bufferevent_free(bev);
}

static void
close_when_written(struct bufferevent *bev, void *arg)
{
	(void)arg;
	bufferevent_free(bev);
}

static void
on_cut_connection(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	struct bufferevent *bev = bufferevent_socket_new(side.base, fd, BEV_OPT_CLOSE_ON_FREE);

	(void)listener;
	(void)address;
	(void)length;
	(void)arg;
	bufferevent_setcb(bev, answer_a_part, close_when_written, NULL, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

CASE(servers_that_vanish, ONE_BACKEND)
{
	struct sockaddr_in address;
	socklen_t length = sizeof address;

	signal(SIGPIPE, SIG_IGN);
	side.base = event_base_new();
	memset(&address, 0, sizeof address);
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cutting = evconnlistener_new_bind(side.base, on_cut_connection, NULL, LEV_OPT_CLOSE_ON_FREE, 16,
	    (struct sockaddr *)&address, sizeof address);
	CHECK(cutting);
	getsockname(evconnlistener_get_fd(cutting), (struct sockaddr *)&address, &length);
	side.port = ntohs(address.sin_port);
	start_client(1);
	for (cut_at = 0; cut_at <= 42; cut_at++) {
		char label[32];
		snprintf(label, sizeof label, "after %zu bytes", cut_at);
		call_and_print(label, "x");
	}
	evrpc_pool_free(side.pool);
	evconnlistener_free(cutting);
	event_base_free(side.base);
}
