/* Generated streams of requests, divided at random, that the reference and ours treat alike. Where they differ is in
 * server_input.c, row by row; none of that is generated here. */
#include "tools.h"
#include "texts.h"

static char stream[1 << 14];

static void __attribute__((format(printf, 1, 2)))
put(const char *format, ...)
{
	size_t used = strlen(stream);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(stream + used, sizeof stream - used, format, arguments);
	va_end(arguments);
}

static const char *
one_of(const char *const *choices)
{
	unsigned count = 0;

	while (choices[count])
		count++;
	return choices[random_below(count)];
}

static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", NULL};
static const char *const targets[] = {"/", "/a", "/a/b?c=d&e=%20", "*", "http://h/x", "http://u@[::1]:80/", "//", "/a b", "/\xff", NULL};
static const char *const versions[] = {"HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2", NULL};
static const char *const headers[] = {"Host: h", "X: y", "X:z", "X:  a b ", "X: 1\r\n 2", "Accept: */*", "Connection: keep-alive",
	"Connection: close", "Connection: Keep-Alive", "Content-Type: text/plain", "X:", "x-y_z.!#$%&'*+^`|~09: 1", NULL};
static const char *const bad_targets[] = {"1a:b", "http://h:x/", "http://[::1/", "http://u@v@h/", NULL};
static const char *const bad_headers[] = {"X", "X\ry: z", "X: a\rb", "Content-Length: x", "Content-Length: -1", "Content-Length: 1,1",
	"Transfer-Encoding: chunked, gzip", "Transfer-Encoding: chunked,", NULL};

/* HTTP/1.0 knows no chunks: there ours ends the connection behind them. */
static void
put_body(int knows_chunks)
{
	unsigned left = random_below(40);
	int i;

	switch (random_below(knows_chunks ? 3 : 1)) {
	case 0:
		put("Content-Length: %u\r\n\r\n%.*s", left, (int)left, "GET / HTTP/1.1\r\n\r\n0123456789abcdefghijklmnop");
		break;
	case 1:
		put("Transfer-Encoding: chunked\r\n\r\n");
		for (i = 0; i < 3; i++) {
			unsigned size = 1 + random_below(20);
			put(random_below(2) ? "%x\r\n%.*s\r\n" : "0%X \r\n%.*s\r\n", size, (int)size, "\r\n0\r\n\r\nabcdefghijklmnopq");
		}
		put(random_below(2) ? "0\r\n\r\n" : "00\r\nX: trailer\r\n\r\n");
		break;
	default:
		put("\r\n");
	}
}

static void
put_request(unsigned how_bad)
{
	const char *end = random_below(5) ? "\r\n" : "\n";
	unsigned bad = random_below(how_bad), count = random_below(4);
	const char *version = one_of(versions);
	int hosts = 0, connections = 0;

	put("%s %s %s%s", one_of(methods), bad == 0 ? one_of(bad_targets) : one_of(targets), version, end);
	if (bad == 1)
		put("%s%s", one_of(bad_headers), end);
	while (count--) {
		const char *header = one_of(headers);
		/* Of these the reference refuses, or does not see, a second one. */
		if (!strncmp(header, "Host:", 5) ? hosts++ : !strncmp(header, "Connection:", 11) && connections++)
			continue;
		put("%s%s", header, end);
	}
	put_body(strcmp(version, "HTTP/1.0") != 0);
}

/* Sends the stream in up to five pieces. */
static const char *
outcome_in_pieces(void)
{
	size_t length = strlen(stream), sent = 0;
	int fd = connect_raw(), i;

	seen[0] = 0;
	memset(&answer, 0, sizeof answer);
	for (i = 0; i < 4 && !answer.ended; i++) {
		size_t piece = random_below((unsigned)(length - sent) + 1);
		sent += send_bytes(fd, stream + sent, piece);
		settle(fd);
	}
	send_bytes(fd, stream + sent, length - sent);
	settle(fd);
	see_answer();
	close(fd);
	settle(-1);
	return seen;
}

static void
run_generated(int streams, unsigned how_bad)
{
	start_server();
	evhttp_set_allowed_methods(http, 0xffff);
	for (int i = 0; i < streams; i++) {
		unsigned requests;

		/* The outcome of one stream does not affect the next. */
		random_state = 0x9e3779b97f4a7c15u * (uint64_t)(i + 1);
		requests = 1 + random_below(4);
		stream[0] = 0;
		while (requests--)
			put_request(how_bad);
		printf("%d: %s\n", i, outcome_in_pieces());
	}
	stop_server();
}

CASE(good_streams, ONE_BACKEND)
{
	run_generated(3000, 1u << 30);
}

CASE(bad_streams, ONE_BACKEND)
{
	run_generated(3000, 8);
}
