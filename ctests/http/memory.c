/* How much memory a peer can make the library hold: no more than the limits allow, and 64 KiB. */
#include "client_tools.h"

enum { SLACK = 64 << 10, PIECE = 1 << 14, FLOOD = 8 << 20 };

static size_t held_most, held_before;

static void
look(void)
{
	if (allocator.held > held_most)
		held_most = allocator.held;
}

/* Sends a start and then a piece again and again, for as long as the server takes it; returns the most
 * that the library held, beyond what it held after the start. */
static size_t
held_in_a_flood(const char *start, const char *piece, size_t length)
{
	static char bytes[PIECE * 2];
	size_t used, total;
	int fd = connect_raw();

	memset(&answer, 0, sizeof answer);
	seen[0] = 0;
	send_bytes(fd, start, strlen(start));
	settle(fd);
	for (used = 0; used + length <= PIECE; used += length)
		memcpy(bytes + used, piece, length);
	held_before = held_most = allocator.held;
	for (total = 0; total < FLOOD && !answer.ended;) {
		size_t sent = send_bytes(fd, bytes, used);

		look();
		total += sent;
		if (sent < used)
			break;
	}
	for (int i = 0; i < 20; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		look();
	}
	receive(fd);
	see_answer();
	close(fd);
	settle(-1);
	CHECK(held_most >= held_before);
	return held_most - held_before;
}

static void
check_bound(const char *start, const char *piece, size_t limit)
{
	size_t held = held_in_a_flood(start, piece, strlen(piece));

	if (held > limit + SLACK)
		printf("%zu bytes held: %.60s\n", held, start);
	CHECK(held <= limit + SLACK);
}

static void
start_limited_server(void)
{
	allocator_install();
	start_server();
	evhttp_set_max_headers_size(http, 4096);
	evhttp_set_max_body_size(http, 4096);
}

#define CHUNKED "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
#define ALONE ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS

CASE(what_the_limits_bound, ALONE)
{
	start_limited_server();
	check_bound("GET /", "aaaaaaaaaaaaaaaa", 4096);
	check_bound("GET / HTTP/1.1\r\n", "aaaaaaaaaaaaaaaa", 4096);
	check_bound("GET / HTTP/1.1\r\nX: ", "aaaaaaaaaaaaaaaa", 4096);
	/* A header costs a pair with two strings besides its bytes. */
	check_bound("GET / HTTP/1.1\r\n", "a:\r\n", 64 * 4096);
	check_bound("GET / HTTP/1.1\r\nX: a\r\n", " a\r\n", 4096);
	check_bound("POST / HTTP/1.1\r\nContent-Length: 4096\r\n\r\n", "a", 4096);
	check_bound("POST / HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n", "a", 4096);
	check_bound(CHUNKED, "8\r\n12345678\r\n", 4096);
	check_bound(CHUNKED "1000000\r\n", "a", 4096);
	check_bound(CHUNKED "0\r\nX: ", "a", 4096);
	check_bound(CHUNKED "0\r\n", "a:\r\n", 64 * 4096);
	stop_server();
	CHECK_EQUAL(allocator.alive, 0);
}

/* Lines that are neither header nor body have a limit even where the program has set none. */
#define FRAMING_DIFFERENCE(id, reason, start, piece)                  \
	DIFFERENCE(id, ALONE, reason)                                 \
	{                                                             \
		allocator_install();                                  \
		start_server();                                       \
		check_bound(start, piece, 0);                         \
		CHECK_STRING(seen, "-> 400 end");                     \
		stop_server();                                        \
	}

FRAMING_DIFFERENCE(zeros_of_a_chunk_size, "the size of a chunk with any number of zeros is kept in memory, whatever the limits",
	CHUNKED, "0000000000000000")
FRAMING_DIFFERENCE(an_extension_without_end, "a line with the size of a chunk is kept in memory until it ends, whatever the limits",
	CHUNKED "1 ;", "aaaaaaaaaaaaaaaa")

/* Chunk after chunk with long extensions costs no memory either. */
CASE(extensions_of_chunks, ALONE)
{
	static char piece[1100];

	start_limited_server();
	snprintf(piece, sizeof piece, "0000000000000001 ;%01000d\r\na\r\n", 1);
	check_bound(CHUNKED, piece, 4096);
	CHECK_STRING(seen, "-> 413 end"); /* the body becomes too long in the end */
	stop_server();
}

/* --- While the server is busy it reads no further --- */

static struct evhttp_request *kept;

static void
keep(struct evhttp_request *req, void *arg)
{
	(void)arg;
	kept = req;
	progress++;
}

static void
flood_while_busy(void)
{
	size_t held = held_in_a_flood("GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", 18);

	if (held > SLACK)
		printf("%zu bytes held\n", held);
	CHECK(held <= SLACK);
}

CASE(while_a_handler_keeps_a_request, ALONE)
{
	allocator_install();
	start_server();
	evhttp_set_gencb(http, keep, NULL);
	flood_while_busy();
	stop_server();
}

static void
begin_a_stream(struct evhttp_request *req, void *arg)
{
	(void)arg;
	kept = req;
	evhttp_send_reply_start(req, 200, NULL);
}

DIFFERENCE(while_a_reply_is_streamed, ALONE,
	"what a client sends while its reply is being sent is buffered without limit")
{
	allocator_install();
	start_server();
	evhttp_set_gencb(http, begin_a_stream, NULL);
	flood_while_busy();
	stop_server();
}

static void
reply_with_much(struct evhttp_request *req, void *arg)
{
	static char much[4 << 20];
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	evbuffer_add_reference(body, much, sizeof much, NULL, NULL);
	evhttp_send_reply(req, 200, NULL, body);
	evbuffer_free(body);
}

/* The client keeps sending and reads nothing of its reply. */
DIFFERENCE(while_a_reply_waits_for_its_client, ALONE,
	"what a client sends while it does not read its reply is buffered without limit")
{
	static char bytes[PIECE];
	size_t total = 0;
	int fd, stuck = 0;

	allocator_install();
	start_server();
	evhttp_set_gencb(http, reply_with_much, NULL);
	fd = connect_raw();
	CHECK(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0) == 18);
	for (int i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	memset(bytes, 'x', sizeof bytes);
	held_before = held_most = allocator.held;
	while (total < FLOOD && stuck < 10) {
		ssize_t sent = send(fd, bytes, sizeof bytes, MSG_NOSIGNAL);

		total += sent > 0 ? (size_t)sent : 0;
		stuck = sent > 0 ? 0 : stuck + 1;
		event_base_loop(base, EVLOOP_NONBLOCK);
		look();
	}
	CHECK(stuck && held_most - held_before <= SLACK);
	close(fd);
	settle(-1);
	stop_server();
}

/* --- The same for clients --- */

static size_t
held_by_a_client(const char *start, const char *piece, ev_ssize_t headers, ev_ssize_t body)
{
	static char bytes[PIECE * 2];
	struct evhttp_connection *client = new_client();
	size_t used, total = 0, length = strlen(piece);
	int fd;

	evhttp_connection_set_max_headers_size(client, headers);
	evhttp_connection_set_max_body_size(client, body);
	requests_done = 0;
	seen[0] = 0;
	CHECK(evhttp_make_request(client, new_request(), EVHTTP_REQ_GET, "/") == 0);
	fd = accept_client();
	read_until(fd, "\r\n\r\n");
	CHECK(send(fd, start, strlen(start), MSG_NOSIGNAL) > 0);
	turn();
	for (used = 0; used + length <= PIECE; used += length)
		memcpy(bytes + used, piece, length);
	held_before = held_most = allocator.held;
	while (total < FLOOD && !requests_done) {
		ssize_t sent = send(fd, bytes + total % used, used - total % used, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN)
			break;
		total += sent > 0 ? (size_t)sent : 0;
		event_base_loop(base, EVLOOP_NONBLOCK);
		look();
	}
	close(fd);
	TURN_UNTIL(requests_done);
	evhttp_connection_free(client);
	return held_most - held_before;
}

CASE(what_the_limits_of_a_client_bound, ALONE)
{
	static const char *const starts[] = {"HTTP/1.1 200 ", "HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000000\r\n"};

	allocator_install();
	start_peer();
	for (int i = 0; i < 5; i++)
		CHECK(held_by_a_client(starts[i], "a", 4096, 4096) <= 4096 + SLACK);
	stop_peer();
	CHECK_EQUAL(allocator.alive, 0);
}

DIFFERENCE(a_chunk_size_without_end, ALONE, "a client keeps the line with the chunk size until it ends, whatever its limits")
{
	allocator_install();
	start_peer();
	CHECK(held_by_a_client("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1 ;", "a", -1, -1) <= SLACK);
	CHECK_STRING(seen, "invalid; no reply; ");
	stop_peer();
}

static int replies;

static void
reply_at_length(struct evhttp_request *req, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	evbuffer_add_printf(body, "%04000d", 1);
	evhttp_send_reply(req, 200, "OK", body);
	evbuffer_free(body);
	replies++;
}

/* A peer that reads nothing sends request after request: replies are queued when the server is freed. */
CASE(freed_with_replies_in_line, ALONE)
{
	static const char one[] = "GET / HTTP/1.1\r\n\r\n";
	static char all[500 * (sizeof one - 1)];
	int fd, i, before = -1;

	allocator_install();
	start_server();
	evhttp_set_gencb(http, reply_at_length, NULL);
	fd = connect_raw();
	for (i = 0; i < 500; i++)
		memcpy(all + i * (sizeof one - 1), one, sizeof one - 1);
	CHECK_EQUAL(send(fd, all, sizeof all, MSG_NOSIGNAL), sizeof all);
	while (replies != before) {
		before = replies;
		for (i = 0; i < 20; i++)
			event_base_loop(base, EVLOOP_NONBLOCK);
	}
	CHECK(replies > 0 && replies < 500);
	close(fd);
	stop_server();
	CHECK_EQUAL(allocator.alive, 0);
}

static void
print_piece(struct evhttp_request *req, void *arg)
{
	struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));

	(void)arg;
	printf("%zu bytes, reads of %d\n", evbuffer_get_length(evhttp_request_get_input_buffer(req)),
	       (int)bufferevent_get_max_single_read(bev));
	evhttp_send_reply(req, 200, "OK", NULL);
	replies++;
}

/* What is done to read a large body fast is undone after it. */
CASE(reads_after_a_large_body, ONE_BACKEND)
{
	static char body[300000];
	static const char small[] = "GET / HTTP/1.1\r\n\r\n";
	char head[100];
	size_t sent = 0;
	int fd;

	start_server();
	evhttp_set_gencb(http, print_piece, NULL);
	fd = connect_raw();
	snprintf(head, sizeof head, "POST / HTTP/1.1\r\nContent-Length: %zu\r\n\r\n", sizeof body);
	CHECK_EQUAL(send(fd, head, strlen(head), MSG_NOSIGNAL), strlen(head));
	memset(body, 'a', sizeof body);
	while (replies < 1) {
		ssize_t count = send(fd, body + sent, sizeof body - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		sent += count > 0 ? (size_t)count : 0;
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	CHECK_EQUAL(send(fd, small, sizeof small - 1, MSG_NOSIGNAL), sizeof small - 1);
	while (replies < 2)
		event_base_loop(base, EVLOOP_ONCE);
	close(fd);
	stop_server();
}

/* --- The most that is held at any moment, also within a call --- */

static void *
noting_malloc(size_t size)
{
	void *block = allocator_malloc(size);

	look();
	return block;
}

static void *
noting_realloc(void *memory, size_t size)
{
	void *block = allocator_realloc(memory, size);

	look();
	return block;
}

enum { LONG = 1200 << 10 };

static void
reply_with_a_long_header(struct evhttp_request *req, void *arg)
{
	static char value[LONG + 1];

	(void)arg;
	memset(value, 'v', LONG);
	evhttp_add_header(evhttp_request_get_output_headers(req), "X", value);
	held_before = held_most = allocator.held;
	evhttp_send_reply(req, 200, "OK", NULL);
	replies++;
}

/* The header and its copy in the output; no third one. */
CASE(a_long_header_is_copied_once, ALONE)
{
	int fd;

	event_set_mem_functions(noting_malloc, noting_realloc, allocator_free);
	start_server();
	evhttp_set_gencb(http, reply_with_a_long_header, NULL);
	fd = connect_raw();
	CHECK_EQUAL(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
	while (!replies)
		event_base_loop(base, EVLOOP_ONCE);
	CHECK(held_most - held_before < 2 * LONG - LONG / 5);
	settle(fd);
	CHECK(answer.length > LONG && !answer.ended);
	close(fd);
	stop_server();
	CHECK_EQUAL(allocator.alive, 0);
}

static void
note_held(struct evhttp_request *req, void *arg)
{
	(void)arg;
	CHECK(strlen(evhttp_find_header(evhttp_request_get_input_headers(req), "X")) == LONG + 1);
	replies++;
}

/* A value of many lines takes no more room than one on one line. */
CASE(a_folded_header_takes_its_size, ALONE)
{
	static const char head[] = "GET / HTTP/1.1\r\nX: a\r\n";
	static char lines[LONG / 512 * 514];
	int fd;

	event_set_mem_functions(noting_malloc, noting_realloc, allocator_free);
	start_server();
	evhttp_set_gencb(http, note_held, NULL);
	fd = connect_raw();
	CHECK_EQUAL(send(fd, head, sizeof head - 1, MSG_NOSIGNAL), sizeof head - 1);
	settle(fd);
	held_before = held_most = allocator.held;
	for (char *line = lines; line < lines + sizeof lines; line += 514) {
		memset(line, 'v', 512);
		*line = ' ';
		memcpy(line + 512, "\r\n", 2);
	}
	CHECK_EQUAL(send_bytes(fd, lines, sizeof lines), sizeof lines);
	send_bytes(fd, "\r\n", 2);
	while (!replies)
		event_base_loop(base, EVLOOP_ONCE);
	CHECK(held_most - held_before < LONG + LONG / 5 + SLACK);
	close(fd);
	stop_server();
}

/* A program may make thousands of requests before it sends one. */
CASE(a_request_of_a_program_is_small, ALONE)
{
	struct evhttp_connection *connection;
	size_t before;

	allocator_install();
	base = event_base_new();
	connection = evhttp_connection_base_new(base, NULL, "127.0.0.1", 9);
	before = allocator.held;
	for (int i = 0; i < 100; i++)
		evhttp_make_request(connection, evhttp_request_new(NULL, NULL), EVHTTP_REQ_GET, "/path");
	printf("of 100 requests, more than %d bytes each: %d\n", 570, allocator.held - before > 570 * 100);
	evhttp_connection_free(connection);
	event_base_free(base);
	CHECK_EQUAL(allocator.alive, 0);
}
