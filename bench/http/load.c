/* CPU time of a server's process in nanoseconds per request. This process generates the load with plain
 * sockets: a request on each of its connections, then all the replies, and so on. */
#include "load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { MOST = 1000 };

static pid_t process;
static int port, announcements[2];
static int connections[MOST];

/* --- The process with the server, or the client --- */

void
ready(int number)
{
	BENCH_CHECK(write(announcements[1], &number, sizeof number) == sizeof number);
}

static int
bound_socket(int *number)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	BENCH_CHECK(bind(fd, (struct sockaddr *)&address, length) == 0);
	BENCH_CHECK(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
	*number = ntohs(address.sin_port);
	return fd;
}

int
free_port(void)
{
	int number;

	close(bound_socket(&number));
	return number;
}

int
large_file(void)
{
	int fd = memfd_create("large", 0);

	BENCH_CHECK(fd >= 0 && ftruncate(fd, LARGE) == 0);
	return fd;
}

static void
start_process(void)
{
	fflush(stdout);
	process = fork();
	BENCH_CHECK(process >= 0);
	if (process == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
	}
}

static void
start_server(void)
{
	BENCH_CHECK(pipe(announcements) == 0);
	start_process();
	if (process == 0) {
		server.serve();
		_exit(1);
	}
	BENCH_CHECK(read(announcements[0], &port, sizeof port) == sizeof port);
}

static void
end_process(void)
{
	kill(process, SIGKILL);
	waitpid(process, NULL, 0);
}

/* Nanoseconds of CPU that the process has spent. */
static double
spent(void)
{
	struct timespec time;
	clockid_t clock;

	BENCH_CHECK(clock_getcpuclockid(process, &clock) == 0 && clock_gettime(clock, &time) == 0);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* --- Connections --- */

static int
connected(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1, tries = 0;

	/* Some servers report that they are ready a little too early. */
	while (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
		BENCH_CHECK(tries++ < 500);
		usleep(10000);
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

static void
send_all(int fd, const char *bytes, size_t length)
{
	while (length) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);

		BENCH_CHECK(sent > 0);
		bytes += sent;
		length -= (size_t)sent;
	}
}

/* Acknowledges at once: a server whose reply goes out in several pieces, or which has several replies,
 * would wait for that before it sends the next. */
static ssize_t
receive(int fd, char *bytes, size_t room)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
	return recv(fd, bytes, room, 0);
}

/* Reads this many replies, and returns the last body. */
static const char *
receive_replies(int fd, int count)
{
	static char bytes[1 << 16];
	size_t used = 0, body = 0;

	while (count) {
		ssize_t got = receive(fd, bytes + used, sizeof bytes - 1 - used);
		char *end, *length;

		BENCH_CHECK(got > 0);
		used += (size_t)got;
		bytes[used] = 0;
		while (count && (end = strstr(bytes, "\r\n\r\n")) != NULL) {
			size_t head = (size_t)(end - bytes) + 4, left;

			BENCH_CHECK(memcmp(bytes, "HTTP/1.1 200", 12) == 0);
			length = strcasestr(bytes, "\r\nContent-Length:");
			BENCH_CHECK(length && length < end);
			body = strtoul(length + 17, NULL, 10);
			/* The bytes of large replies are only counted. */
			while (used < head + body) {
				size_t room = sizeof bytes - 1 - head;

				got = receive(fd, bytes + head, body - (used - head) < room ? body - (used - head) : room);
				BENCH_CHECK(got > 0);
				if (head + body >= sizeof bytes) {
					body -= (size_t)got;
				} else {
					used += (size_t)got;
				}
			}
			left = used - head - body;
			if (--count == 0 && left == 0) {
				bytes[used] = 0;
				return bytes + head;
			}
			memmove(bytes, bytes + head + body, left + 1);
			used = left;
		}
	}
	BENCH_CHECK(!"a reply too many");
	return NULL;
}

/* Reads a chunked reply. */
static void
receive_chunks(int fd)
{
	static char bytes[1 << 16];
	size_t used = 0;

	do {
		ssize_t got = receive(fd, bytes + used, sizeof bytes - 1 - used);

		BENCH_CHECK(got > 0);
		used += (size_t)got;
	} while (used < 5 || memcmp(bytes + used - 5, "0\r\n\r\n", 5) != 0);
	BENCH_CHECK(used > CHUNK * CHUNKS);
}

/* --- The load --- */

#define GET(path, headers) "GET " path " HTTP/1.1\r\nHost: localhost\r\n" headers "\r\n"
#define TWENTY_HEADERS                                                                              \
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/html,application/xhtml+xml\r\n" \
	"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nDNT: 1\r\n"        \
	"Connection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\n"     \
	"Sec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\nSec-Fetch-User: ?1\r\n"                 \
	"Cache-Control: max-age=0\r\nCookie: session=0123456789abcdef; theme=dark\r\n"              \
	"Referer: http://localhost/start\r\nX-Forwarded-For: 192.0.2.1\r\nX-Request-Id: 42\r\n"      \
	"If-None-Match: \"abc\"\r\nTE: trailers\r\nPragma: no-cache\r\n"

static void
open_connections(int count)
{
	start_server();
	for (int i = 0; i < count; i++) {
		connections[i] = connected();
		send_all(connections[i], GET("/small", ""), strlen(GET("/small", "")));
		receive_replies(connections[i], 1);
	}
}

static void
close_connections(int count)
{
	end_process();
	for (int i = 0; i < count; i++)
		close(connections[i]);
}

/* CPU for each request, with `depth` requests at once on each of this many connections. */
static double
keep_alive(int count, int depth, const char *request, long requests)
{
	size_t length = strlen(request);
	char *batch = malloc(length * (size_t)depth);
	double used;
	long done;

	for (int i = 0; i < depth; i++)
		memcpy(batch + (size_t)i * length, request, length);
	open_connections(count);
	used = spent();
	for (done = 0; done < requests; done += (long)count * depth) {
		for (int i = 0; i < count; i++)
			send_all(connections[i], batch, length * (size_t)depth);
		for (int i = 0; i < count; i++)
			receive_replies(connections[i], depth);
	}
	used = spent() - used;
	close_connections(count);
	free(batch);
	return used / (double)done;
}

static long once;

static long
requests_or(long usual)
{
	return once ? once : usual;
}

#define LOAD(name, count, depth, request, requests)                                           \
	static double name(void)                                                              \
	{                                                                                     \
		return keep_alive(count, depth, request, requests_or(requests));              \
	}

LOAD(keep_alive_1, 1, 1, GET("/small", ""), 20000)
LOAD(keep_alive_50, 50, 1, GET("/small", ""), 40000)
LOAD(keep_alive_1000, 1000, 1, GET("/small", ""), 40000)
LOAD(pipelined_16, 1, 16, GET("/small", ""), 64000)
LOAD(twenty_headers, 50, 1, GET("/small", TWENTY_HEADERS), 30000)
LOAD(large_by_reference, 1, 1, GET("/reference", ""), 300)
LOAD(large_by_file, 1, 1, GET("/file", ""), 300)

static double
new_connections(void)
{
	long requests = requests_or(5000);
	double used;

	start_server();
	connections[0] = connected();
	close(connections[0]);
	used = spent();
	for (long i = 0; i < requests; i++) {
		int fd = connected();

		send_all(fd, GET("/small", "Connection: close\r\n"), strlen(GET("/small", "Connection: close\r\n")));
		receive_replies(fd, 1);
		close(fd);
	}
	used = spent() - used;
	end_process();
	return used / (double)requests;
}

#define POST(path, headers) "POST " path " HTTP/1.1\r\nHost: localhost\r\n" headers "\r\n"

/* For each megabyte of an upload. */
static double
upload(void)
{
	static char bytes[1 << 16];
	long megabytes = requests_or(100);
	char head[200];
	double used;

	open_connections(1);
	used = spent();
	snprintf(head, sizeof head, POST("/upload", "Content-Length: %ld\r\n"), megabytes << 20);
	send_all(connections[0], head, strlen(head));
	for (long i = 0; i < megabytes * 16; i++)
		send_all(connections[0], bytes, sizeof bytes);
	receive_replies(connections[0], 1);
	used = spent() - used;
	close_connections(1);
	return used / (double)megabytes;
}

static double
chunked_both_ways(void)
{
	static char body[CHUNKS * (CHUNK + 10) + 5];
	const char *head = POST("/chunked", "Transfer-Encoding: chunked\r\n");
	long requests = requests_or(4000);
	size_t length = 0;
	double used;

	for (int i = 0; i < CHUNKS; i++)
		length += (size_t)sprintf(body + length, "%x\r\n%0*d\r\n", CHUNK, CHUNK, 0);
	length += (size_t)sprintf(body + length, "0\r\n\r\n");
	open_connections(1);
	used = spent();
	for (long i = 0; i < requests; i++) {
		send_all(connections[0], head, strlen(head));
		send_all(connections[0], body, length);
		receive_chunks(connections[0]);
	}
	used = spent() - used;
	close_connections(1);
	return used / (double)requests;
}

/* Bytes of heap for a connection that waits for its next request. */
static double
idle_heap(void)
{
	double before, after;
	int fd;

	start_server();
	fd = connected();
	for (int i = 0; i < 2; i++) {
		send_all(fd, GET("/heap", ""), strlen(GET("/heap", "")));
		before = atof(receive_replies(fd, 1));
	}
	for (int i = 0; i < MOST; i++) {
		connections[i] = connected();
		send_all(connections[i], GET("/small", ""), strlen(GET("/small", "")));
		receive_replies(connections[i], 1);
	}
	send_all(fd, GET("/heap", ""), strlen(GET("/heap", "")));
	after = atof(receive_replies(fd, 1));
	close_connections(MOST);
	return (after - before) / MOST;
}

/* --- A server for clients --- */

static double
client_load(int count, long requests)
{
	static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 128\r\n\r\n"
				    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
				    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	int listener = bound_socket(&port), one = 1;
	double used = 0;
	long done = 0;

	BENCH_CHECK(listen(listener, 128) == 0);
	start_process();
	if (process == 0) {
		server.request(port, count, requests + count);
		_exit(0);
	}
	for (int i = 0; i < count; i++) {
		connections[i] = accept(listener, NULL, NULL);
		setsockopt(connections[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	}
	while (done < requests + count) {
		if (done == count)
			used = spent();
		for (int i = 0; i < count; i++, done++) {
			char bytes[1000];

			BENCH_CHECK(recv(connections[i], bytes, sizeof bytes, 0) > 0);
			send_all(connections[i], reply, sizeof reply - 1);
		}
	}
	used = spent() - used;
	close(listener);
	close_connections(count);
	return used / (double)requests;
}

static double
client_1(void)
{
	return client_load(1, requests_or(20000));
}

static double
client_50(void)
{
	return client_load(50, requests_or(40000));
}

static const struct {
	int ability;
	struct benchmark benchmark;
} all[] = {
	{0, {.name = "keep-alive, 1 connection", .measure = keep_alive_1}},
	{0, {.name = "keep-alive, 50 connections", .measure = keep_alive_50}},
	{MANY, {.name = "keep-alive, 1000 connections", .measure = keep_alive_1000}},
	{0, {.name = "pipelined, 16 deep", .measure = pipelined_16}},
	{0, {.name = "20 headers", .measure = twenty_headers}},
	{0, {.name = "new connection each", .measure = new_connections}},
	{REFERENCE, {.name = "1 MB by reference", .measure = large_by_reference}},
	{FILES, {.name = "1 MB of a file", .measure = large_by_file}},
	{UPLOADS, {.name = "upload, each MB", .measure = upload}},
	{CHUNKED, {.name = "chunked both ways", .measure = chunked_both_ways}},
	{HEAP, {.name = "heap of an idle connection", .measure = idle_heap}},
	{CLIENT, {.name = "client, 1 connection", .measure = client_1}},
	{CLIENT, {.name = "client, 50 connections", .measure = client_50}},
};

int
main(int argc, char **argv)
{
	struct rlimit files = {4096, 4096};

	setrlimit(RLIMIT_NOFILE, &files);
	once = argc > 2 ? atol(argv[2]) : 0;
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		const struct benchmark *benchmark = &all[i].benchmark;

		if (all[i].ability && !(server.abilities & all[i].ability))
			continue;
		if (argc < 2 || strcmp(argv[1], "--list") == 0)
			puts(benchmark->name);
		else if (strcmp(argv[1], benchmark->name) == 0)
			printf("%.3f\n", benchmark->measure());
	}
	return 0;
}
