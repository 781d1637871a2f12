/* Parts of files in the output of a bufferevent, which the kernel may send from where they are. */
#include "tools.h"

#include <sys/mman.h>

enum { LENGTH = 1 << 20, START = 4097, PART = 700001, LIMIT = 1 << 18 };

static char contents[LENGTH], arrived[LENGTH];
static size_t count;
static int peer, ends, errors;

static int
new_file(void)
{
	int file = memfd_create("file", 0);

	for (size_t i = 0; i < LENGTH; i++)
		contents[i] = (char)(i * 7 + i / 251);
	CHECK(write(file, contents, LENGTH) == LENGTH);
	return file;
}

/* Two ends of a connection over TCP; neither blocks. */
static void
connect_by_tcp(int fds[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(fds[0], (struct sockaddr *)&address, length) == 0);
	fds[1] = accept(listener, NULL, NULL);
	close(listener);
	CHECK(evutil_make_socket_nonblocking(fds[0]) == 0 && evutil_make_socket_nonblocking(fds[1]) == 0);
}

static void
note_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev, (void)arg;
	ends += (what & BEV_EVENT_EOF) != 0;
	errors += (what & BEV_EVENT_ERROR) != 0;
}

static struct bufferevent *
new_stream(int fd)
{
	struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

	bufferevent_set_max_single_write(bev, LIMIT);
	bufferevent_setcb(bev, NULL, NULL, note_event, NULL);
	return bev;
}

/* Reads until this much has arrived. */
static void
receive(size_t wanted)
{
	count = 0;
	while (count < wanted) {
		ssize_t got;

		event_base_loop(base, EVLOOP_NONBLOCK);
		while ((got = recv(peer, arrived + count, sizeof arrived - count, 0)) > 0)
			count += (size_t)got;
		CHECK(got == -1 && errno == EAGAIN);
	}
	CHECK_EQUAL(count, wanted);
}

static int
sends_full_segments_only(int fd)
{
	int on = -1;
	socklen_t length = sizeof on;

	CHECK(getsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, &length) == 0);
	return on;
}

/* A header, part of a file without its first bytes, and what follows it, if anything does. */
static void
send_part(struct bufferevent *bev, const char *tail)
{
	size_t rest = strlen(tail);
	struct evbuffer *message = evbuffer_new();
	char taken[100];

	CHECK(evbuffer_add_file(message, new_file(), START, PART) == 0);
	CHECK(evbuffer_drain(message, 1000) == 0);
	CHECK(evbuffer_remove(message, taken, sizeof taken) == sizeof taken);
	CHECK(memcmp(taken, contents + START + 1000, sizeof taken) == 0);
	CHECK(evbuffer_prepend(message, "head", 4) == 0 && evbuffer_add(message, tail, rest) == 0);
	CHECK(bufferevent_write_buffer(bev, message) == 0);
	evbuffer_free(message);
	receive(4 + PART - 1100 + rest);
	CHECK(memcmp(arrived, "head", 4) == 0);
	CHECK(memcmp(arrived + 4, contents + START + 1100, PART - 1100) == 0);
	CHECK(memcmp(arrived + count - rest, tail, rest) == 0);
}

CASE(over_tcp, 0)
{
	struct bufferevent *bev;
	int fds[2], on = 1;

	base = event_base_new();
	connect_by_tcp(fds);
	peer = fds[1];
	bev = new_stream(fds[0]);
	send_part(bev, "tail");
	CHECK_EQUAL(sends_full_segments_only(fds[0]), 0);
	bufferevent_set_max_single_write(bev, LENGTH);
	send_part(bev, "");
	CHECK_EQUAL(sends_full_segments_only(fds[0]), 0);
	/* What the program has set stays set. */
	CHECK(setsockopt(fds[0], IPPROTO_TCP, TCP_CORK, &on, sizeof on) == 0);
	send_part(bev, "tail");
	CHECK_EQUAL(sends_full_segments_only(fds[0]), 1);
	CHECK_EQUAL(ends + errors, 0);
	bufferevent_free(bev);
	close(peer);
	event_base_free(base);
}

CASE(over_a_local_socket, ONE_BACKEND)
{
	struct bufferevent *bev;
	int fds[2];

	base = event_base_new();
	CHECK(evutil_socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	CHECK(evutil_make_socket_nonblocking(fds[0]) == 0 && evutil_make_socket_nonblocking(fds[1]) == 0);
	peer = fds[1];
	bev = new_stream(fds[0]);
	send_part(bev, "tail");
	bufferevent_set_max_single_write(bev, LENGTH);
	send_part(bev, "");
	CHECK_EQUAL(ends + errors, 0);
	bufferevent_free(bev);
	close(peer);
	event_base_free(base);
}

/* A segment that leaves the descriptor to the program, which closes it: the bytes are in memory. */
CASE(closed_by_the_program, ONE_BACKEND)
{
	struct evbuffer *message;
	struct evbuffer_file_segment *segment;
	struct bufferevent *bev;
	int fds[2], file = new_file(), other;

	base = event_base_new();
	connect_by_tcp(fds);
	peer = fds[1];
	bev = new_stream(fds[0]);
	message = evbuffer_new();
	segment = evbuffer_file_segment_new(file, 0, LENGTH, 0);
	CHECK(segment && evbuffer_add_file_segment(message, segment, START, PART) == 0);
	evbuffer_file_segment_free(segment);
	close(file);
	/* Most likely under the same number. */
	other = memfd_create("other", 0);
	CHECK(ftruncate(other, LENGTH) == 0);
	CHECK(bufferevent_write_buffer(bev, message) == 0);
	receive(PART);
	CHECK(memcmp(arrived, contents + START, PART) == 0);
	evbuffer_free(message);
	bufferevent_free(bev);
	close(other);
	close(peer);
	event_base_free(base);
}

/* The file is cut while it waits to be sent: the stream fails, the process does not. */
CASE(cut_while_it_waits, ONE_BACKEND)
{
	struct evbuffer *message;
	struct bufferevent *bev;
	int fds[2], file = new_file();

	base = event_base_new();
	connect_by_tcp(fds);
	peer = fds[1];
	bev = new_stream(fds[0]);
	message = evbuffer_new();
	CHECK(evbuffer_add_file(message, dup(file), 0, LENGTH) == 0);
	CHECK(ftruncate(file, START) == 0);
	CHECK(bufferevent_write_buffer(bev, message) == 0);
	for (int turns = 0; turns < 1000 && !ends && !errors; turns++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		while (recv(peer, arrived, sizeof arrived, 0) > 0) {
		}
	}
	CHECK_EQUAL(errors, 1);
	CHECK_EQUAL(ends, 0);
	evbuffer_free(message);
	bufferevent_free(bev);
	close(file);
	close(peer);
	event_base_free(base);
}
