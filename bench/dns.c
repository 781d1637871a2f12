/* The cost of look-ups: CPU time of the resolver's process in nanoseconds per look-up, with a server on
 * plain sockets in another process; bytes of heap per look-up under way; and CPU time per answer of a
 * server made with the library. */
#define _GNU_SOURCE
#include "counted_heap.h"
#include "dns_server.h"

#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <event2/event.h>

static struct event_base *base;
static struct evdns_base *dns;
static long started, ended, wanted, warm;
static double begun;

static void look_up(void);

static void
on_result(int result, char type, int count, int ttl, void *addresses, void *arg)
{
	(void)type, (void)count, (void)ttl, (void)addresses, (void)arg;
	BENCH_CHECK(result == DNS_ERR_NONE);
	if (++ended == warm)
		begun = processor_time();
	if (ended == wanted)
		event_base_loopbreak(base);
	else if (started < wanted)
		look_up();
}

static void
look_up(void)
{
	static char name[40];

	snprintf(name, sizeof name, "host%ld.example.com", started++);
	BENCH_CHECK(evdns_base_resolve_ipv4(dns, name, 0, on_result, NULL));
}

/* A resolver that queries `address`; its socket has room for many answers. */
static void
make_resolver(const struct sockaddr_in *address)
{
	int size = BUFFER, fd;

	base = event_base_new();
	dns = evdns_base_new(base, 0);
	BENCH_CHECK(base && dns && evdns_base_set_option(dns, "max-inflight", "60000") == 0);
	/* The next descriptor is the lowest free one. */
	fd = dup(0);
	close(fd);
	BENCH_CHECK(evdns_base_nameserver_sockaddr_add(dns, (const struct sockaddr *)address, sizeof *address, 0) == 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
}

static double
look_ups(long in_flight, long count)
{
	struct sockaddr_in address;
	int fd = bound_socket(&address);
	pid_t child = start_child(serve, fd);

	make_resolver(&address);
	warm = 2 * in_flight;
	wanted = warm + count;
	while (started < in_flight)
		look_up();
	event_base_dispatch(base);
	BENCH_CHECK(ended == wanted);
	begun = (processor_time() - begun) / (double)count;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return begun;
}

/* --- Heap ------------------------------------------------------------------------------------------ */

static double
heap_in_flight(void)
{
	struct sockaddr_in address;
	size_t before;
	long count = 1000;

	bound_socket(&address);
	event_set_mem_functions(counting_malloc, counting_realloc, counting_free);
	make_resolver(&address);
	before = heap_in_use;
	wanted = count;
	while (started < count)
		look_up();
	return (double)(heap_in_use - before) / (double)count;
}

/* --- The server ------------------------------------------------------------------------------------ */

static long answered;

static void
answer(struct evdns_server_request *request, void *arg)
{
	(void)arg;
	evdns_server_request_add_a_reply(request, request->questions[0]->name, 1, "\300\0\2\1", 60);
	BENCH_CHECK(evdns_server_request_respond(request, 0) == 0);
	if (++answered == wanted)
		event_base_loopbreak(base);
}

static double
answers(void)
{
	struct sockaddr_in address;
	int fd = bound_socket(&address), client = client_of(&address);
	pid_t child;

	BENCH_CHECK(evutil_make_socket_nonblocking(fd) == 0);
	base = event_base_new();
	BENCH_CHECK(evdns_add_server_port_with_base(base, fd, 0, answer, NULL));
	child = start_child(ask_on_and_on, client);
	wanted = 2000;
	event_base_dispatch(base);
	wanted = 50000;
	answered = 0;
	begun = processor_time();
	event_base_dispatch(base);
	begun = (processor_time() - begun) / (double)wanted;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return begun;
}

static const struct benchmark benchmarks[] = {
	LOOK_UPS,
	{"heap bytes a look-up in flight", .measure = heap_in_flight},
	{"answers of a server", .measure = answers},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, benchmarks, sizeof benchmarks / sizeof benchmarks[0]);
}
