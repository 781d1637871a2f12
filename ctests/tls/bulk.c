/* compile: -Wl,--no-as-needed -levent_openssl -lssl -lcrypto */
/* More than a record at a time: system calls, memory, and what becomes of bytes in transit. */
#define _GNU_SOURCE
#include "common/allocator.h"
#include "tls/tools.h"

#include <dlfcn.h>
#include <limits.h>
#include <sys/mman.h>

/* --- The system calls of OpenSSL, which are counted ---------------------------------------------------- */

static int reads, writes;

ssize_t
read(int fd, void *data, size_t size)
{
	static ssize_t (*real)(int, void *, size_t);

	if (!real)
		real = (ssize_t(*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
	reads++;
	return real(fd, data, size);
}

ssize_t
write(int fd, const void *data, size_t size)
{
	static ssize_t (*real)(int, const void *, size_t);

	if (!real)
		real = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
	writes++;
	return real(fd, data, size);
}

/* Data that the kernel takes at once, and that is then read. */
static void
transfer_in_few_calls(void)
{
	enum { AMOUNT = 16 * 16384 };
	int size = 1 << 20;

	connect_ends(TCP);
	CHECK(setsockopt(bufferevent_getfd(client.bev), SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
	CHECK_EQUAL(bufferevent_disable(server.bev, EV_READ), 0);
	reads = writes = 0;
	write_pattern(&client, AMOUNT, 1);
	run_until(&client.writes, 1);
	printf("%d records of output\n", AMOUNT / 16384);
	CHECK(writes <= 10);
	server.wanted = AMOUNT;
	reads = 0;
	CHECK_EQUAL(bufferevent_enable(server.bev, EV_READ), 0);
	run_until(&server.finished, 1);
	print_end(&server);
	CHECK(reads <= 24);
	free_ends();
}

DIFFERENCE(records_share_system_calls, ONE_BACKEND,
	   "each record of a long TLS stream takes a system call to write, and two to read")
{
	for_versions(transfer_in_few_calls);
}

/* --- A piece whose length is no int ------------------------------------------------------------------------- */

static int given_back;

static void
unmap(const void *data, size_t size, void *arg)
{
	(void)arg;
	CHECK_EQUAL(munmap((void *)data, size), 0);
	given_back++;
}

/* Pages of zeros, which take no memory as long as they are only read. */
DIFFERENCE(piece_longer_than_an_int_counts, ONE_BACKEND, "writing 2 GiB or more at once ends a TLS connection with an error")
{
	size_t size = (size_t)INT_MAX + 1;
	void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(data != MAP_FAILED);
	begin();
	connect_ends(TCP);
	server.wanted = 1 << 18;
	CHECK_EQUAL(bufferevent_write(client.bev, "begin", 5), 0);
	CHECK_EQUAL(evbuffer_add_reference(bufferevent_get_output(client.bev), data, size, unmap, NULL), 0);
	while (!server.finished && !client.ended && !server.ended)
		event_base_loop(base, EVLOOP_ONCE);
	CHECK(server.finished);
	free_ends();
	CHECK_EQUAL(given_back, 1);
	end_all();
}

/* --- Bytes that are half way -------------------------------------------------------------------------- */

enum { MUCH = 3000000 };

/* A client on TCP sends all that the kernel takes to a server that does not read; returns what is left. */
static size_t
send_until_it_blocks(void)
{
	struct evbuffer *output = bufferevent_get_output(client.bev);
	int size = 100000;
	size_t before;

	CHECK(setsockopt(bufferevent_getfd(client.bev), SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
	CHECK(setsockopt(bufferevent_getfd(server.bev), SOL_SOCKET, SO_RCVBUF, &size, sizeof size) == 0);
	CHECK_EQUAL(bufferevent_disable(server.bev, EV_READ), 0);
	write_pattern(&client, MUCH, 1);
	do {
		before = evbuffer_get_length(output);
		settle();
	} while (evbuffer_get_length(output) < before);
	CHECK(before > 1500000);
	return before;
}

static void
send_to_a_stopped_server(void)
{
	connect_ends(TCP);
	send_until_it_blocks();
	server.wanted = MUCH;
}

static void
free_when_written(struct end *end, const char *callback)
{
	if (!strcmp(callback, "write")) {
		CHECK_EQUAL(evbuffer_get_length(bufferevent_get_output(end->bev)), 0);
		free_end(end);
	}
}

/* When the output is empty, all of it has reached the kernel. */
static void
free_the_sender(void)
{
	send_to_a_stopped_server();
	client.then = free_when_written;
	CHECK_EQUAL(bufferevent_enable(server.bev, EV_READ), 0);
	run_until(&server.finished, 1);
	print_end(&server);
	CHECK(!client.bev);
	free_ends();
}

CASE(sender_is_freed_when_all_is_written, EVERY_BACKEND)
{
	for_versions(free_the_sender);
}

/* What is encrypted already waits, too, while writing is disabled. */
static void
disable_the_sender(void)
{
	size_t left;

	send_to_a_stopped_server();
	CHECK_EQUAL(bufferevent_disable(client.bev, EV_WRITE), 0);
	CHECK_EQUAL(bufferevent_enable(server.bev, EV_READ), 0);
	run_for(50);
	CHECK(server.got < MUCH);
	left = evbuffer_get_length(bufferevent_get_output(client.bev));
	run_for(20);
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_output(client.bev)), left);
	CHECK_EQUAL(bufferevent_enable(client.bev, EV_WRITE), 0);
	run_until(&server.finished, 1);
	print_end(&server);
	free_ends();
}

CASE(sender_is_disabled, ONE_BACKEND)
{
	for_versions(disable_the_sender);
}

/* The receiver is freed in the middle of the stream, and another goes on with its SSL. */
static void
stop_in_the_middle(struct end *end, const char *callback)
{
	(void)callback;
	if (end->got > 500000)
		CHECK_EQUAL(bufferevent_disable(end->bev, EV_READ), 0);
}

static void
change_the_receiver(void)
{
	struct end before;
	int fds[2];

	make_connection(AF_INET, fds);
	make_end(&client, "client", NULL, fds[0], BUFFEREVENT_SSL_CONNECTING);
	keep_everything(&server, "server", NULL, fds[1], BUFFEREVENT_SSL_ACCEPTING);
	run_until(&client.connected, 1);
	run_until(&server.connected, 1);
	server.then = stop_in_the_middle;
	server.wanted = 500000;
	write_pattern(&client, MUCH, 1);
	run_until(&server.finished, 1);
	before = server;
	CHECK(before.got < MUCH);
	bufferevent_free(server.bev);
	make_end_with(&server, "server", NULL, fds[1], before.ssl, BUFFEREVENT_SSL_OPEN);
	server.got = before.got;
	server.sum = before.sum;
	server.wanted = MUCH;
	CHECK_EQUAL(SSL_get_fd(server.ssl), fds[1]);
	CHECK_EQUAL(bufferevent_enable(server.bev, EV_READ), 0);
	run_until(&server.finished, 1);
	print_end(&server);
	free_ends();
}

CASE(receiver_is_replaced, ONE_BACKEND)
{
	for_versions(change_the_receiver);
}

/* Behind the stream, the program uses the SSL itself. */
static void
use_the_ssl(void)
{
	int fd = -1;

	connect_ends(TCP);
	server.wanted = MUCH;
	write_pattern(&client, MUCH, 1);
	run_until(&server.finished, 1);
	printf("descriptor %d %d %d\n", SSL_get_fd(client.ssl) == bufferevent_getfd(client.bev),
	       BIO_get_fd(SSL_get_wbio(client.ssl), &fd) == bufferevent_getfd(client.bev),
	       SSL_get_rfd(server.ssl) == bufferevent_getfd(server.bev));
	printf("pending %d\n", SSL_pending(server.ssl));
	CHECK_EQUAL(SSL_write(client.ssl, "directly", 8), 8);
	CHECK_EQUAL(SSL_shutdown(client.ssl), 0);
	server.trace = 1;
	run_until(&server.ended, 1);
	CHECK_EQUAL(server.got, MUCH + 8);
	free_ends();
}

CASE(program_uses_the_ssl, EVERY_BACKEND)
{
	for_versions(use_the_ssl);
}

/* --- Memory ------------------------------------------------------------------------------------------- */

/* While the peer does not read, and when all has passed. */
static void
memory_in_the_middle(void)
{
	size_t before, output;

	connect_ends(TCP);
	/* The base and the connection have what they need. */
	server.wanted = 1;
	CHECK_EQUAL(bufferevent_write(client.bev, "x", 1), 0);
	run_until(&server.finished, 1);
	settle();
	before = allocator.held;
	output = send_until_it_blocks();
	CHECK(allocator.held - before < output + output / 4 + 100000);
	/* A little at a time. */
	bufferevent_setwatermark(server.bev, EV_READ, 0, 30000);
	server.wanted = 1000000;
	CHECK_EQUAL(bufferevent_enable(server.bev, EV_READ), 0);
	run_until(&server.finished, 1);
	CHECK_EQUAL(bufferevent_disable(server.bev, EV_READ), 0);
	settle();
	output = evbuffer_get_length(bufferevent_get_output(client.bev));
	CHECK(allocator.held - before < output + output / 4 + 200000);
	bufferevent_setwatermark(server.bev, EV_READ, 0, 0);
	server.wanted = MUCH + 1;
	CHECK_EQUAL(bufferevent_enable(server.bev, EV_READ), 0);
	run_until(&server.finished, 1);
	settle();
	/* A quiet connection keeps nothing of that. */
	CHECK(allocator.held < before + 3000);
	print_end(&server);
	free_ends();
}

CASE(memory_in_proportion, ONE_BACKEND | OWN_DEBUG_MODE)
{
	allocator_install();
	for_versions(memory_in_the_middle);
}
