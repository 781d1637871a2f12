/* The look-ups of bench/dns.c with c-ares. */
#define _GNU_SOURCE
#include "../dns_server.h"

#include <ares.h>
#include <sys/epoll.h>

static ares_channel channel;
static int epoll;
static long started, ended, wanted, warm;
static double begun;
static int over;

static void look_up(void);

static void
on_result(void *arg, int status, int timeouts, struct hostent *host)
{
	(void)arg, (void)timeouts, (void)host;
	BENCH_CHECK(status == ARES_SUCCESS);
	if (++ended == warm)
		begun = processor_time();
	if (ended == wanted)
		over = 1;
	else if (started < wanted)
		look_up();
}

static void
look_up(void)
{
	static char name[40];

	snprintf(name, sizeof name, "host%ld.example.com", started++);
	ares_gethostbyname(channel, name, AF_INET, on_result, NULL);
}

/* c-ares reports which sockets it waits for. */
static void
watch(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct epoll_event event = {(readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u), {.fd = fd}};
	int size = BUFFER;

	(void)arg;
	if (!readable && !writable) {
		epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
	} else if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) {
		epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
	} else {
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	}
}

static double
look_ups(long in_flight, long count)
{
	struct sockaddr_in address;
	int fd = bound_socket(&address);
	pid_t child = start_child(serve, fd);
	struct ares_options options = {.sock_state_cb = watch, .flags = ARES_FLAG_NOSEARCH, .lookups = (char *)"b"};
	char server[40];

	epoll = epoll_create1(0);
	snprintf(server, sizeof server, "127.0.0.1:%d", ntohs(address.sin_port));
	BENCH_CHECK(ares_library_init(ARES_LIB_INIT_ALL) == 0);
	BENCH_CHECK(ares_init_options(&channel, &options, ARES_OPT_SOCK_STATE_CB | ARES_OPT_FLAGS | ARES_OPT_LOOKUPS) == 0);
	BENCH_CHECK(ares_set_servers_ports_csv(channel, server) == 0);
	warm = 2 * in_flight;
	wanted = warm + count;
	while (started < in_flight)
		look_up();
	while (!over) {
		struct epoll_event events[16];
		struct timeval longest = {1, 0}, room, *timeout = ares_timeout(channel, &longest, &room);
		int ready = epoll_wait(epoll, events, 16, (int)(timeout->tv_sec * 1000 + timeout->tv_usec / 1000));

		for (int i = 0; i < ready; i++)
			ares_process_fd(channel, events[i].events & EPOLLIN ? events[i].data.fd : ARES_SOCKET_BAD,
			    events[i].events & EPOLLOUT ? events[i].data.fd : ARES_SOCKET_BAD);
		if (ready == 0)
			ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	}
	begun = (processor_time() - begun) / (double)count;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return begun;
}

static const struct benchmark benchmarks[] = {
	LOOK_UPS,
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, benchmarks, sizeof benchmarks / sizeof benchmarks[0]);
}
