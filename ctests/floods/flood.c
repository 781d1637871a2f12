/* Floods a server, and measures ordinary clients at the same time, on bare sockets.
 *
 *   flood KIND PORT FLOOD CONNECTIONS SECONDS LEAST PID
 *
 * It lasts at least this many seconds, and until at least this many things are done.
 *
 * Prints: requests of the ordinary clients, how many failed, their latencies at 50 and 99 percent in
 * microseconds, and what the flood did. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 8, MOST_SAMPLES = 400000 };

static const char *kind, *flood;
static struct sockaddr_in server = {.sin_family = AF_INET};
static volatile int stopped;
static SSL_CTX *context;

static long
now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* --- Ordinary clients ----------------------------------------------------------------------------- */

struct client {
	pthread_t thread;
	int fd;
	SSL *ssl;
	unsigned *samples;
	unsigned count, failed;
};

static int
is(const char *word)
{
	return !strcmp(kind, word);
}

static int
make_request(char *out, unsigned number)
{
	static const char question[] = "\0\0\1\0\0\1\0\0\0\0\0\0\4name\4test\0\0\1\0\1";
	if (is("http"))
		return sprintf(out, "GET /path HTTP/1.1\r\nHost: test\r\nX-Number: %08u\r\n\r\n", number);
	if (is("dns")) {
		memcpy(out, question, sizeof question - 1);
		out[0] = (char)(number >> 8);
		out[1] = (char)number;
		return sizeof question - 1;
	}
	memset(out, 'a' + number % 26, 64);
	return 64;
}

static ssize_t
put(struct client *client, const char *bytes, int length)
{
	return client->ssl ? SSL_write(client->ssl, bytes, length) : send(client->fd, bytes, length, MSG_NOSIGNAL);
}

static ssize_t
take(struct client *client, char *bytes, int length)
{
	return client->ssl ? SSL_read(client->ssl, bytes, length) : recv(client->fd, bytes, length, 0);
}

/* Reads until the answer is complete; returns whether it is right. */
static int
read_answer(struct client *client, const char *request, int length)
{
	char bytes[4096];
	ssize_t got;
	int have = 0;
	for (;;) {
		char *end;
		got = take(client, bytes + have, sizeof bytes - 1 - have);
		if (got <= 0)
			return 0;
		have += got;
		bytes[have] = 0;
		if (is("dns")) {
			if (have > 40 && !memcmp(bytes, request, 2))
				return 1;
			have = 0; /* a late answer to a query that was sent twice */
			continue;
		}
		if (is("http")) {
			end = strstr(bytes, "\r\n\r\n");
			if (end && have >= end + 4 - bytes + 128)
				return !strncmp(bytes, "HTTP/1.1 200 ", 13) && have == end + 4 - bytes + 128;
		} else if (have >= length) {
			return have == length && !memcmp(bytes, request, length);
		}
	}
}

static int
connect_client(struct client *client)
{
	/* Datagrams may be dropped: queries are repeated, as a resolver does. */
	struct timeval limit = {is("dns") ? 1 : 20, 0};
	client->fd = socket(AF_INET, is("dns") ? SOCK_DGRAM : SOCK_STREAM, 0);
	setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (connect(client->fd, (struct sockaddr *)&server, sizeof server))
		return 0;
	if (!is("tls"))
		return 1;
	client->ssl = SSL_new(context);
	SSL_set_fd(client->ssl, client->fd);
	return SSL_connect(client->ssl) == 1;
}

/* Whether a request gets the right answer. */
static int
transact(struct client *client, const char *request, int length)
{
	int tries;
	for (tries = 0; tries < (is("dns") ? 10 : 1); tries++) {
		if (put(client, request, length) == length && read_answer(client, request, length))
			return 1;
	}
	return 0;
}

static void *
run_client(void *arg)
{
	struct client *client = arg;
	char request[256];
	unsigned number = 0;
	int length;
	long start;
	if (!connect_client(client)) {
		client->failed++;
		return NULL;
	}
	while ((!stopped || !client->count) && client->count < MOST_SAMPLES) {
		length = make_request(request, number++);
		start = now();
		if (!transact(client, request, length)) {
			client->failed++;
			break;
		}
		client->samples[client->count++] = now() - start;
		usleep(1000);
	}
	if (client->ssl)
		SSL_free(client->ssl);
	close(client->fd);
	return NULL;
}

/* --- The flood ---------------------------------------------------------------------------------------- */

static int
open_connection(void)
{
	int fd = socket(AF_INET, (is("dns") ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

static void
reset(int fd)
{
	struct linger at_once = {1, 0};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close(fd);
}

static void
send_some(int fd, size_t count)
{
	static char bytes[16384];
	size_t i;
	if (!bytes[0]) {
		memset(bytes, 'G', sizeof bytes);
		for (i = 0; i + 64 < sizeof bytes; i += 64)
			memcpy(bytes + i, "GET / HTTP/1.1\r\nHost: a\r\nX-Padding: 0123456789012345678901234\r\n\r\n", 64);
	}
	if (send(fd, bytes + rand() % 32, count, MSG_NOSIGNAL) < 0)
		return;
}

/* Does to each connection what the flood's name says; returns the number of things done. */
static long
work(int *fds, int count, pid_t pid, long until, long least)
{
	long done = 0;
	int i;
	while (now() < until || done < least) {
		for (i = 0; i < count && (now() < until || done < least); i++) {
			if (!strcmp(flood, "drip")) {
				send_some(fds[i], 1);
			} else if (!strcmp(flood, "deaf")) {
				send_some(fds[i], 8192);
			} else if (!strcmp(flood, "resets")) {
				send_some(fds[i], 100);
				reset(fds[i]);
				fds[i] = open_connection();
			} else if (!strcmp(flood, "visits")) {
				close(fds[i]);
				fds[i] = open_connection();
			} else if (!strcmp(flood, "signals")) {
				kill(pid, SIGUSR2);
			} else if (!strcmp(flood, "children")) {
				kill(pid, SIGHUP);
				usleep(200000);
			} else if (!strcmp(flood, "forks")) {
				kill(pid, SIGWINCH);
				usleep(rand() % 20000);
			} else {
				usleep(10000);
				continue;
			}
			done++;
			if (done % 64 == 0)
				usleep(500);
		}
		if (!strcmp(flood, "drip") && now() < until)
			usleep(200000);
	}
	return done;
}

static int
by_size(const void *a, const void *b)
{
	unsigned first = *(const unsigned *)a, second = *(const unsigned *)b;
	return first < second ? -1 : first > second;
}

static void
print_figures(struct client *clients, int connections, long done)
{
	static unsigned all[CLIENTS * MOST_SAMPLES];
	unsigned count = 0, failed = 0;
	int i;
	for (i = 0; i < CLIENTS; i++) {
		memcpy(all + count, clients[i].samples, clients[i].count * sizeof *all);
		count += clients[i].count;
		failed += clients[i].failed;
	}
	qsort(all, count, sizeof *all, by_size);
	printf("%u %u %u %u %d %ld\n", count, failed, count ? all[count / 2] : 0, count ? all[count - 1 - count / 100] : 0, connections, done);
}

int
main(int count, char **words)
{
	struct client clients[CLIENTS] = {{0}};
	int *fds, i, wanted, opened = 0;
	long done;
	if (count != 8)
		return 2;
	kind = words[1];
	flood = words[3];
	server.sin_port = htons(atoi(words[2]));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	wanted = atoi(words[4]);
	context = SSL_CTX_new(TLS_client_method());
	fds = calloc(wanted, sizeof *fds);
	for (i = 0; i < wanted; i++) {
		fds[i] = open_connection();
		opened += fds[i] >= 0;
		if (i % 64 == 63)
			usleep(1000);
	}
	for (i = 0; i < CLIENTS; i++) {
		clients[i].samples = calloc(MOST_SAMPLES, sizeof(unsigned));
		pthread_create(&clients[i].thread, NULL, run_client, &clients[i]);
	}
	done = work(fds, wanted, atoi(words[7]), now() + atol(words[5]) * 1000000, atol(words[6]));
	stopped = 1;
	for (i = 0; i < CLIENTS; i++)
		pthread_join(clients[i].thread, NULL);
	print_figures(clients, opened, done);
	return 0;
}
