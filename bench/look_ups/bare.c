/* The look-ups and answers of bench/dns.c with bare sockets and epoll: the system calls that each takes,
 * and almost nothing else. No library can cost less than this. */
#define _GNU_SOURCE
#include "../dns_server.h"

#include <sys/epoll.h>

enum { AT_A_TIME = 16, TURNS = 8 };

static int
epoll_on(int fd)
{
	struct epoll_event event = {EPOLLIN, {.fd = fd}};
	int epoll = epoll_create1(0);

	BENCH_CHECK(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
	return epoll;
}

/* Receives up to `most` datagrams with their sources, without waiting. */
static int
receive_now(int fd, int most)
{
	socklen_t length = sizeof(struct sockaddr_in);
	struct msghdr *head = &messages[0].msg_hdr;

	prepare(most);
	if (most > 1)
		return recvmmsg(fd, messages, (unsigned)most, MSG_DONTWAIT, NULL);
	return recvfrom(fd, packets[0], SIZE, MSG_DONTWAIT, head->msg_name, &length) < 0 ? -1 : 1;
}

static void
ask(int fd, const struct sockaddr_in *address)
{
	static const uint8_t head[12] = {1, 2, 1, 0, 0, 1};
	static long number;
	uint8_t question[64];
	char name[40];
	int length = snprintf(name, sizeof name, "host%ld.example.com", number++);

	/* One label is as good as three. */
	memcpy(question, head, sizeof head);
	question[12] = (uint8_t)length;
	memcpy(question + 13, name, (size_t)length);
	memcpy(question + 13 + length, "\0\0\1\0\1", 5);
	BENCH_CHECK(sendto(fd, question, (size_t)length + 18, 0, (const struct sockaddr *)address, sizeof *address) > 0);
}

static double
look_ups(long in_flight, long count)
{
	struct sockaddr_in address;
	int served = bound_socket(&address), size = BUFFER;
	pid_t child = start_child(serve, served);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), epoll = epoll_on(fd);
	long ended = 0, warm = 2 * in_flight, wanted = warm + count;
	int most = in_flight < AT_A_TIME ? (int)in_flight : AT_A_TIME;
	double begun = 0;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	for (long i = 0; i < in_flight; i++)
		ask(fd, &address);
	while (ended < wanted) {
		struct epoll_event event;
		int got = most;

		BENCH_CHECK(epoll_wait(epoll, &event, 1, -1) == 1);
		for (int turn = 0; turn < TURNS && got == most; turn++) {
			got = receive_now(fd, most);
			for (int i = 0; i < got; i++) {
				if (++ended == warm)
					begun = processor_time();
				ask(fd, &address);
			}
			if (in_flight == 1)
				break;
		}
	}
	begun = (processor_time() - begun) / (double)(ended - warm);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return begun;
}

static double
answers(void)
{
	struct sockaddr_in address;
	int fd = bound_socket(&address), client = client_of(&address), epoll = epoll_on(fd);
	pid_t child = start_child(ask_on_and_on, client);
	long answered = 0, warm = 2000, wanted = warm + 50000;
	double begun = 0;

	while (answered < wanted) {
		struct epoll_event event;
		int got = AT_A_TIME;

		BENCH_CHECK(epoll_wait(epoll, &event, 1, -1) == 1);
		for (int turn = 0; turn < TURNS && got == AT_A_TIME; turn++) {
			got = receive_now(fd, AT_A_TIME);
			for (int i = 0; i < got; i++) {
				struct msghdr *head = &messages[i].msg_hdr;
				size_t length = make_answer(i);

				BENCH_CHECK(sendto(fd, packets[i], length, 0, head->msg_name, head->msg_namelen) > 0);
				if (++answered == warm)
					begun = processor_time();
			}
		}
	}
	begun = (processor_time() - begun) / (double)(answered - warm);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return begun;
}

static const struct benchmark benchmarks[] = {
	LOOK_UPS,
	{"answers of a server", .measure = answers},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, benchmarks, sizeof benchmarks / sizeof benchmarks[0]);
}
