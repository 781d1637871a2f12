/* What the benchmarks of look-ups share: a name server of plain sockets in another process, and the
 * processor time of this one. */
#ifndef BENCH_DNS_SERVER_H
#define BENCH_DNS_SERVER_H

#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 64, SIZE = 512, BUFFER = 64 << 20 };

static double
processor_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int
bound_socket(struct sockaddr_in *address)
{
	socklen_t length = sizeof *address;
	int size = BUFFER, fd = socket(AF_INET, SOCK_DGRAM, 0);

	*address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	BENCH_CHECK(fd >= 0 && bind(fd, (struct sockaddr *)address, length) == 0);
	BENCH_CHECK(getsockname(fd, (struct sockaddr *)address, &length) == 0);
	/* Without that privilege, queries get lost when there are many at a time. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	return fd;
}

static struct mmsghdr messages[BATCH];
static uint8_t packets[BATCH][SIZE];

/* Room for this many datagrams and their sources. */
static void
prepare(int count)
{
	static struct iovec parts[BATCH];
	static struct sockaddr_in peers[BATCH];

	for (int i = 0; i < count; i++) {
		parts[i] = (struct iovec){packets[i], SIZE};
		messages[i].msg_hdr = (struct msghdr){
		    .msg_name = &peers[i], .msg_namelen = sizeof peers[i], .msg_iov = &parts[i], .msg_iovlen = 1};
	}
}

static int
receive(int fd, int flags)
{
	prepare(BATCH);
	return recvmmsg(fd, messages, BATCH, flags, NULL);
}

/* Turns a received query into its answer, with one address. Returns the length. */
static size_t
make_answer(int i)
{
	static const uint8_t record[16] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1};
	size_t length = messages[i].msg_len;

	packets[i][2] = 0x81;
	packets[i][3] = 0x80;
	packets[i][7] = 1;
	memcpy(packets[i] + length, record, sizeof record);
	return length + sizeof record;
}

/* Answers every question. */
static void
serve(int fd)
{
	for (;;) {
		int count = receive(fd, MSG_WAITFORONE);

		for (int i = 0; i < count; i++)
			messages[i].msg_hdr.msg_iov->iov_len = make_answer(i);
		for (int sent = 0; sent < count;) {
			int now = sendmmsg(fd, messages + sent, (unsigned)(count - sent), 0);

			if (now <= 0)
				_exit(1);
			sent += now;
		}
	}
}

/* A socket that asks a server. */
static __attribute__((unused)) int
client_of(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), size = BUFFER;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	BENCH_CHECK(connect(fd, (const struct sockaddr *)address, sizeof *address) == 0);
	return fd;
}

/* Keeps 64 queries in flight. */
static __attribute__((unused)) void
ask_on_and_on(int fd)
{
	static const uint8_t question[] = "\0\0\1\0\0\1\0\0\0\0\0\0\4host\7example\3com\0\0\1\0\1";

	for (int i = 0; i < BATCH; i++)
		(void)!send(fd, question, sizeof question - 1, 0);
	for (;;) {
		int count = receive(fd, MSG_WAITFORONE);

		for (int i = 0; i < count; i++)
			(void)!send(fd, question, sizeof question - 1, 0);
	}
}

static pid_t
start_child(void (*body)(int), int fd)
{
	pid_t child = fork();

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		body(fd);
		_exit(0);
	}
	return child;
}

/* Each program does this many look-ups, with that many in flight, in its own way; returns the time of one. */
static double look_ups(long in_flight, long count);

static double
one_at_a_time(void)
{
	return look_ups(1, 20000);
}

static double
hundred_in_flight(void)
{
	return look_ups(100, 50000);
}

static double
thousand_in_flight(void)
{
	return look_ups(1000, 50000);
}

static double
ten_thousand_in_flight(void)
{
	return look_ups(10000, 50000);
}

#define LOOK_UPS \
	{"look-ups one at a time", .measure = one_at_a_time}, \
	{"look-ups, 100 in flight", .measure = hundred_in_flight}, \
	{"look-ups, 1,000 in flight", .measure = thousand_in_flight}, \
	{"look-ups, 10,000 in flight", .measure = ten_thousand_in_flight}

#endif
