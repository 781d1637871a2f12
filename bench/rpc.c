/* Remote calls, and the messages that they carry.
 *
 * Calls: CPU time of the process that makes them, and of the one that handles them, in nanoseconds per
 * call; most of it is spent in the kernel. Messages: nanoseconds for writing one of thirty entries into
 * a buffer and reading it back. */
#include "bench.h"
#include "rpc_message.h"

#include <arpa/inet.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Including optional entries. */
static struct thirty *
full_message(void)
{
	struct thirty *full = new_message("a text of thirty-two characters.");

	thirty_c0_assign(full, "");
	thirty_c1_assign(full, "a short text");
	thirty_f0_assign(full, 5);
	thirty_f1_assign(full, 6);
	thirty_f2_assign(full, "optional");
	thirty_g0_add(full, 1);
	thirty_g1_add(full, "element");
	BENCH_CHECK(thirty_complete(full) == 0);
	return full;
}

static struct thirty *message, *again;
static struct evbuffer *buffer;

static void
prepare_message(void)
{
	message = full_message();
	again = thirty_new();
	buffer = evbuffer_new();
}

static void
encode(long count)
{
	while (count-- > 0) {
		thirty_marshal(buffer, message);
		evbuffer_drain(buffer, evbuffer_get_length(buffer));
	}
}

static void
encode_and_decode(long count)
{
	while (count-- > 0) {
		thirty_marshal(buffer, message);
		BENCH_CHECK(thirty_unmarshal(again, buffer) == 0);
		thirty_clear(again);
	}
}

/* The server: a process of its own, which ends when its standard input does. */

static void
end_loop(evutil_socket_t fd, short what, void *base)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(base);
}

static void
serve(int control)
{
	struct event_base *base = event_base_new();
	struct evhttp *http = evhttp_new(base);
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	struct evrpc_base *rpc = evrpc_init(http);
	struct event *end = event_new(base, control, EV_READ, end_loop, base);
	struct sockaddr_in address;
	socklen_t length = sizeof address;

	EVRPC_REGISTER(rpc, Call, thirty, inside, handle, NULL);
	getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length);
	event_add(end, NULL);
	BENCH_CHECK(write(control, &address.sin_port, 2) == 2);
	event_base_dispatch(base);
	_exit(0);
}

static struct event_base *base;
static struct evrpc_pool *pool;
static struct inside *reply;
static long left;

static void
next_call(struct evrpc_status *status, struct thirty *request, struct inside *answer, void *arg)
{
	(void)arg;
	BENCH_CHECK(status->error == EVRPC_STATUS_ERR_NONE && answer->y_set);
	inside_clear(answer);
	if (--left > 0)
		EVRPC_MAKE_REQUEST(Call, pool, request, answer, next_call, NULL);
	else
		event_base_loopbreak(base);
}

static void
make_calls(long count)
{
	left = count;
	EVRPC_MAKE_REQUEST(Call, pool, message, reply, next_call, NULL);
	event_base_dispatch(base);
}

static double
processor_time(int who)
{
	struct rusage usage;

	getrusage(who, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e9 +
	    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e3;
}

enum { CALLS = 20000 };

/* The time of the client, and of the server, which is a child that has ended. */
static double
calls(int who)
{
	int control[2];
	unsigned short port;
	double before;
	pid_t server;

	BENCH_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, control) == 0);
	server = fork();
	if (server == 0) {
		close(control[1]);
		serve(control[0]);
	}
	close(control[0]);
	BENCH_CHECK(read(control[1], &port, 2) == 2);
	message = full_message();
	reply = inside_new();
	base = event_base_new();
	pool = evrpc_pool_new(base);
	evrpc_pool_add_connection(pool, evhttp_connection_base_bufferevent_new(NULL, NULL,
	    bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE), "127.0.0.1", ntohs(port)));
	make_calls(100);
	before = processor_time(RUSAGE_SELF);
	make_calls(CALLS);
	before = processor_time(RUSAGE_SELF) - before;
	close(control[1]);
	waitpid(server, NULL, 0);
	return (who == RUSAGE_SELF ? before : processor_time(who)) / CALLS;
}

static double
client(void)
{
	return calls(RUSAGE_SELF);
}

static double
server(void)
{
	return calls(RUSAGE_CHILDREN);
}

static const struct benchmark benchmarks[] = {
	{"message of 30 entries, encoded", .work = encode, .prepare = prepare_message},
	{"message of 30 entries, encoded and decoded", .work = encode_and_decode, .prepare = prepare_message},
	{"call, processor time of the client", .measure = client},
	{"call, processor time of the server", .measure = server},
};

int
main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	return bench_main(argc, argv, benchmarks, sizeof benchmarks / sizeof benchmarks[0]);
}
