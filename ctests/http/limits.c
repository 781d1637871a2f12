/* Limits of headers and bodies, to the byte; and how much memory and work a peer can cause. */
#include "client_tools.h"

#include <time.h>

static char stream[1 << 17];

/* A request whose first line and headers have so many bytes without line ends. */
static const char *
head_of(size_t size)
{
	int used = snprintf(stream, sizeof stream, "GET / HTTP/1.1\r\nA: b\r\nZ: ");
	size_t fill = size - ((size_t)used - 4);

	memset(stream + used, 'x', fill);
	strcpy(stream + used + fill, "\r\n\r\n");
	return stream;
}

static const char *
outcome_of(const char *text, int cut)
{
	const char *what = outcome(text, strlen(text), cut), *arrow = strstr(what, "->");

	return arrow;
}

CASE(headers_to_the_byte, ONE_BACKEND)
{
	static const int limits[] = {30, 100, 1000};

	start_server();
	for (int i = 0; i < 3; i++)
		for (int over = -1; over <= 1; over++) {
			const char *wanted = over > 0 ? "-> 400 end" : "-> 200 open";
			int cut;

			evhttp_set_max_headers_size(http, limits[i]);
			for (cut = WHOLE; cut <= limits[i] + over + 4; cut += 4)
				CHECK_STRING(outcome_of(head_of((size_t)(limits[i] + over)), cut), wanted);
			CHECK_STRING(outcome_of(head_of((size_t)(limits[i] + over)), limits[i] + over + 8), wanted);
		}
	evhttp_set_max_headers_size(http, 0);
	CHECK_STRING(outcome_of("GET / HTTP/1.1\r\n\r\n", WHOLE), "-> 400 end");
	evhttp_set_max_headers_size(http, -1);
	CHECK_STRING(outcome_of(head_of(100000), WHOLE), "-> 200 open");
	stop_server();
}

DIFFERENCE(a_line_end_in_two_parts_does_not_count, ONE_BACKEND,
	"a header of exactly the allowed size is refused when its line end arrives in two parts")
{
	start_server();
	evhttp_set_max_headers_size(http, 100);
	CHECK_STRING(outcome_of(head_of(100), BYTE_BY_BYTE), "-> 200 open");
	CHECK_STRING(outcome_of(head_of(101), BYTE_BY_BYTE), "-> 400 end");
	stop_server();
}

/* A line that is too long is refused before it ends. */
CASE(lines_without_end, ONE_BACKEND)
{
	static const char *const starts[] = {"GET /", "GET / HTTP/1.1\r\nX: ", "GET / HTTP/1.1\r\nX", "GET / HTTP/1.1\r\nX: a\r\n "};

	start_server();
	evhttp_set_max_headers_size(http, 200);
	for (int i = 0; i < 4; i++) {
		size_t used = (size_t)snprintf(stream, sizeof stream, "%s", starts[i]);

		memset(stream + used, 'a', 300);
		stream[used + 300] = 0;
		CHECK_STRING(outcome_of(stream, WHOLE), "-> 400 end");
		CHECK_STRING(outcome_of(stream, BYTE_BY_BYTE), "-> 400 end");
	}
	stop_server();
}

/* The limit is for each request of a connection. */
CASE(limits_are_for_each_request, ONE_BACKEND)
{
	start_server();
	evhttp_set_max_headers_size(http, 40);
	evhttp_set_max_body_size(http, 5);
	stream[0] = 0;
	for (int i = 0; i < 10; i++)
		strcat(stream, "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde");
	CHECK_STRING(outcome_of(stream, WHOLE), "-> 200 200 200 200 200 200 200 200 200 200 open");
	CHECK_STRING(outcome_of(stream, BYTE_BY_BYTE), "-> 200 200 200 200 200 200 200 200 200 200 open");
	stop_server();
}

/* A server's limits are those of the connections that it accepts from then on. */
CASE(limits_are_for_later_connections, ONE_BACKEND)
{
	int fd;

	start_server();
	fd = connect_raw();
	settle(fd);
	evhttp_set_max_headers_size(http, 20);
	evhttp_set_max_body_size(http, 3);
	memset(&answer, 0, sizeof answer);
	send_bytes(fd, "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde", 43);
	settle(fd);
	CHECK(strncmp(answer.text, "HTTP/1.1 200 ", 13) == 0);
	close(fd);
	settle(-1);
	CHECK_STRING(outcome_of(head_of(40), WHOLE), "-> 400 end");
	stop_server();
}

#define POST(headers, rest) "POST / HTTP/1.1\r\n" headers "\r\n\r\n" rest
#define CHUNKED(rest) POST("Transfer-Encoding: chunked", rest)

static void
check_in_every_way(const char *text, const char *wanted)
{
	for (int cut = BYTE_BY_BYTE; cut < (int)strlen(text); cut++)
		CHECK_STRING(outcome_of(text, cut), wanted);
}

CASE(bodies_to_the_byte, ONE_BACKEND)
{
	start_server();
	evhttp_set_max_body_size(http, 5);
	check_in_every_way(POST("Content-Length: 5", "abcde"), "-> 200 open");
	check_in_every_way(POST("Content-Length: 6", "a"), "-> 413 end");
	check_in_every_way(POST("Content-Length: 9223372036854775807", ""), "-> 413 end");
	check_in_every_way(CHUNKED("5\r\nabcde\r\n0\r\n\r\n"), "-> 200 open");
	check_in_every_way(CHUNKED("2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"), "-> 200 open");
	check_in_every_way(CHUNKED("6\r\na"), "-> 413 end");
	check_in_every_way(CHUNKED("2\r\nab\r\n4\r\nc"), "-> 413 end");
	check_in_every_way(CHUNKED("2\r\nab\r\n7fffffffffffffff\r\nc"), "-> 413 end");
	evhttp_set_max_body_size(http, 0);
	check_in_every_way(POST("Content-Length: 0", ""), "-> 200 open");
	check_in_every_way(POST("Content-Length: 1", ""), "-> 413 end");
	check_in_every_way(CHUNKED("1\r\n"), "-> 413 end");
	stop_server();
}

/* Of a chunked body, trailers count as headers. */
CASE(trailers_count, ONE_BACKEND)
{
	const char *what;

	start_server();
	evhttp_set_max_headers_size(http, 100);
	snprintf(stream, sizeof stream, "%s%0*d\r\n\r\n", CHUNKED("0\r\nX: "), 40, 0);
	CHECK_STRING(outcome_of(stream, BYTE_BY_BYTE), "-> 200 open");
	snprintf(stream, sizeof stream, "%s%0*d\r\n\r\n", CHUNKED("0\r\nX: "), 100, 0);
	what = outcome_of(stream, BYTE_BY_BYTE);
	CHECK(strcmp(what, "-> 400 end") == 0 || strcmp(what, "-> 413 end") == 0);
	stop_server();
}

/* --- What a client accepts --- */

static const char *
reply_outcome_with(ev_ssize_t headers, ev_ssize_t body, const char *text)
{
	struct evhttp_connection *client = new_client();
	int fd;

	evhttp_connection_set_max_headers_size(client, headers);
	evhttp_connection_set_max_body_size(client, body);
	seen[0] = 0;
	requests_done = 0;
	CHECK(evhttp_make_request(client, new_request(), EVHTTP_REQ_GET, "/") == 0);
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
	close(fd);
	TURN_UNTIL(requests_done == 1);
	evhttp_connection_free(client);
	return seen;
}

CASE(a_client_has_limits_too, ONE_BACKEND)
{
	/* 15 and 17 bytes without the line ends. */
	static const char *const length = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
	static const char *const chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
	static const char *const until_close = "HTTP/1.1 200 OK\r\n\r\nabc";
	static const char *const ok = "200 [OK] [abc]; ", *const too_long = "too long; no reply; ";

	start_peer();
	CHECK_STRING(reply_outcome_with(-1, -1, length), ok);
	CHECK_STRING(reply_outcome_with(32, 3, length), ok);
	CHECK_STRING(reply_outcome_with(31, -1, length), "invalid; no reply; ");
	CHECK_STRING(reply_outcome_with(10, -1, length), "invalid; no reply; ");
	CHECK_STRING(reply_outcome_with(-1, 2, length), too_long);
	CHECK_STRING(reply_outcome_with(-1, 3, chunks), ok);
	CHECK_STRING(reply_outcome_with(-1, 2, chunks), too_long);
	CHECK_STRING(reply_outcome_with(-1, 3, until_close), ok);
	CHECK_STRING(reply_outcome_with(-1, 2, until_close), too_long);
	stop_peer();
}

/* --- Cost: proportional to the bytes, however they come --- */

static double
seconds_of_processor(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

enum { DRIP = 16 };

/* What it costs to send this start and then a repeated piece in small drops, `total` bytes in all. */
static double
cost_of_dripping(const char *start, const char *piece, size_t total)
{
	int fd = connect_raw();
	size_t sent, length = strlen(piece), turns = 0;
	double before;

	memset(&answer, 0, sizeof answer);
	send_bytes(fd, start, strlen(start));
	settle(fd);
	for (size_t i = 0; i < DRIP * length; i++)
		stream[i] = piece[i % length];
	before = seconds_of_processor();
	for (sent = 0; sent < total; sent += DRIP) {
		CHECK(send(fd, stream + sent % length, DRIP, MSG_NOSIGNAL) == DRIP);
		event_base_loop(base, EVLOOP_NONBLOCK);
		turns++;
	}
	before = seconds_of_processor() - before;
	receive(fd);
	CHECK(!answer.ended);
	close(fd);
	settle(-1);
	return before;
}

/* A body of known length is only counted: anything else that drips must not cost much more. On a busy machine it may
 * appear to, but not each time. */
static void
check_linear(const char *start, const char *piece)
{
	size_t count = 1 << 21;
	double body, other;
	int tries = 0;

	start_server();
	do {
		body = cost_of_dripping("POST / HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n", "abcdefgh", count);
		other = cost_of_dripping(start, piece, count);
	} while (other >= 3 * body && tries++ < 4);
	stop_server();
	CHECK(other < 3 * body);
}

DIFFERENCE(a_first_line_that_drips, ONE_BACKEND | SLOW,
	"a first line that arrives in small pieces is scanned from its start for each of them, so its cost grows with the square of its length")
{
	check_linear("GET /", "abcdefgh");
}

DIFFERENCE(a_header_that_drips, ONE_BACKEND | SLOW,
	"a header that arrives in small pieces is scanned from its start for each of them, so its cost grows with the square of its length")
{
	check_linear("GET / HTTP/1.1\r\nX: ", "abcdefgh");
}

CASE(headers_that_drip, ONE_BACKEND | SLOW)
{
	check_linear("GET / HTTP/1.1\r\n", "X: bcdefghijklmnopqrstuvwxyz1234567890\r\n");
}

CASE(folded_lines_that_drip, ONE_BACKEND | SLOW)
{
	check_linear("GET / HTTP/1.1\r\nX: a\r\n", " bcdefghijklmnopqrstuvwxyz1234567890\r\n");
}

CASE(a_chunk_that_drips, ONE_BACKEND | SLOW)
{
	check_linear(CHUNKED("5000000\r\n"), "abcdefgh");
}

CASE(chunks_that_drip, ONE_BACKEND | SLOW)
{
	check_linear(CHUNKED(""), "1\r\na\r\n");
}
