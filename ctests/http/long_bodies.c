/* Bodies of many megabytes, for which room is made in large pieces. */
#include "tools.h"

/* What is held is compared. */
#define ALONE ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS

enum { PERIOD = 251, MEGABYTE = 1 << 20, PATIENCE = 200000 };

static unsigned char pattern[PERIOD * 1000];
static int whole;
/* How much is sent at once, at most, and what else the library holds. */
static size_t at_once = sizeof pattern, beside = MEGABYTE;

/* The body is what was sent: each byte tells its position. */
static void
check_body(struct evhttp_request *req, void *length)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(req);
	size_t position = 0;

	CHECK_EQUAL(evbuffer_get_length(body), *(size_t *)length);
	while (evbuffer_get_length(body) > 0) {
		struct evbuffer_iovec piece;
		size_t start = position % PERIOD, count;

		CHECK_EQUAL(evbuffer_peek(body, 1, NULL, &piece, 1) >= 1, 1);
		count = piece.iov_len < sizeof pattern - start ? piece.iov_len : sizeof pattern - start;
		CHECK(memcmp(piece.iov_base, pattern + start, count) == 0);
		position += count;
		evbuffer_drain(body, count);
	}
	whole++;
	evhttp_send_reply(req, 200, "OK", NULL);
}

/* Sends that much of a body, and lets the server take it; the library holds no more than twice as much. */
static void
send_body(int fd, size_t length)
{
	size_t sent = 0;
	int passes = 0;

	while (sent < length && passes++ < PATIENCE) {
		size_t start = sent % PERIOD, most = at_once < sizeof pattern - start ? at_once : sizeof pattern - start;
		ssize_t count = send(fd, pattern + start, most < length - sent ? most : length - sent,
		    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (count > 0) {
			sent += (size_t)count;
			passes = 0;
		}
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (allocator.held > 2 * sent + beside)
			printf("%zu bytes held of %zu\n", allocator.held, sent);
		CHECK(allocator.held <= 2 * sent + beside);
	}
	CHECK_EQUAL(sent, length);
}

static void
upload(int fd, size_t *length)
{
	char head[100];
	int before = whole;

	snprintf(head, sizeof head, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", *length);
	CHECK_EQUAL(send(fd, head, strlen(head), MSG_NOSIGNAL), strlen(head));
	send_body(fd, *length);
	for (int passes = 0; whole == before && passes < PATIENCE; passes++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	CHECK_EQUAL(whole, before + 1);
}

static void
fill_pattern(void)
{
	for (size_t i = 0; i < sizeof pattern; i++)
		pattern[i] = (unsigned char)(i % PERIOD);
}

/* Bodies of several lengths, and a short one behind each on the same connection. */
static void
upload_all(void)
{
	static const size_t lengths[] = {24 * MEGABYTE - 384, 25 * MEGABYTE + 7, 34 * MEGABYTE};
	size_t length;
	int fd;

	fill_pattern();
	evhttp_set_gencb(http, check_body, &length);
	fd = connect_raw();
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		length = lengths[i];
		upload(fd, &length);
		length = 1000;
		upload(fd, &length);
	}
	CHECK_EQUAL(whole, 6);
	close(fd);
	stop_server();
	CHECK_EQUAL(allocator.alive, 0);
}

CASE(long_bodies_come_whole, ALONE)
{
	allocator_install();
	start_server();
	upload_all();
}

CASE(bodies_in_pieces_of_each_size, ALONE)
{
	static const size_t sizes[] = {1, 10, 100, 1000, 2047, 2048, 4000, 4095, 4096, 4097, 9000, 16192, 16384, 20000};
	size_t length;
	int fd;

	allocator_install();
	start_server();
	fill_pattern();
	evhttp_set_gencb(http, check_body, &length);
	fd = connect_raw();
	beside = 65536;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		at_once = sizes[i];
		length = at_once < 100 ? 5000 + 600 * at_once : 150000 + at_once;
		upload(fd, &length);
	}
	close(fd);
	stop_server();
	CHECK_EQUAL(allocator.alive, 0);
}

static struct bufferevent *
with_a_high_mark(struct event_base *loop, void *arg)
{
	struct bufferevent *bev = bufferevent_socket_new(loop, -1, 0);

	(void)arg;
	bufferevent_setwatermark(bev, EV_READ, 0, 65536);
	return bev;
}

DIFFERENCE(long_bodies_through_a_high_mark, ALONE,
	   "a server does not read a whole body that is longer than the high watermark of the connection's bufferevent")
{
	allocator_install();
	start_server();
	evhttp_set_bevcb(http, with_a_high_mark, NULL);
	upload_all();
}

static void *
no_large_block(size_t size)
{
	return size > 2 * MEGABYTE ? NULL : allocator_malloc(size);
}

CASE(long_bodies_without_large_blocks, ALONE)
{
	event_set_mem_functions(no_large_block, allocator_realloc, allocator_free);
	start_server();
	upload_all();
}

/* The client disconnects in the middle of a long body. */
CASE(long_bodies_that_end_early, ALONE)
{
	static const char head[] = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n";

	allocator_install();
	start_server();
	evhttp_set_gencb(http, check_body, NULL);
	for (size_t length = 17; length < 30; length += 10) {
		int fd = connect_raw();

		CHECK_EQUAL(send(fd, head, strlen(head), MSG_NOSIGNAL), strlen(head));
		send_body(fd, length * MEGABYTE);
		close(fd);
		for (int i = 0; i < 1000 && allocator.held > MEGABYTE; i++)
			event_base_loop(base, EVLOOP_NONBLOCK);
		CHECK(allocator.held < MEGABYTE);
	}
	CHECK_EQUAL(whole, 0);
	stop_server();
	CHECK_EQUAL(allocator.alive, 0);
}
