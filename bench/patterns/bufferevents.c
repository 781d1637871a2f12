/* Patterns of bufferevents and listeners. */
#include "patterns.h"

struct stream {
	struct event_base *base;
	struct bufferevent *bev;
	int other;
};

static struct stream
open_stream(void)
{
	struct stream stream;
	int ends[2];

	make_sockets(ends);
	stream.base = event_base_new();
	stream.bev = bufferevent_socket_new(stream.base, ends[0], BEV_OPT_CLOSE_ON_FREE);
	stream.other = ends[1];
	bufferevent_enable(stream.bev, EV_READ);
	return stream;
}

static void
close_stream(struct stream stream)
{
	bufferevent_free(stream.bev);
	event_base_free(stream.base);
	close(stream.other);
}

static void
trickle(long n, size_t size, void (*look)(struct evbuffer *input))
{
	struct stream stream = open_stream();

	while (n--) {
		put(stream.other, pattern_bytes, size);
		turn(stream.base);
		if (look)
			look(bufferevent_get_input(stream.bev));
	}
	pattern_load_is_over();
	close_stream(stream);
}

static void
look_for_a_line(struct evbuffer *input)
{
	REQUIRE(!evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF));
}

static void
look_for_the_end_of_a_head(struct evbuffer *input)
{
	REQUIRE(evbuffer_search(input, "\r\n\r\n", 4, NULL).pos < 0);
}

static void
pull_up(struct evbuffer *input)
{
	evbuffer_pullup(input, -1);
}

PATTERN(trickle_byte_by_byte, 2000)
{
	trickle(n, 1, NULL);
}

PATTERN(trickle_and_readln, 1000)
{
	trickle(n, 10, look_for_a_line);
}

PATTERN(trickle_and_search, 1000)
{
	trickle(n, 10, look_for_the_end_of_a_head);
}

PATTERN(trickle_100_and_search, 1000)
{
	trickle(n, 100, look_for_the_end_of_a_head);
}

PATTERN(trickle_1000_and_pull_up, 300)
{
	trickle(n, 1000, pull_up);
}

PATTERN(large_messages_and_pull_up, 20)
{
	struct stream stream = open_stream();
	struct evbuffer *input = bufferevent_get_input(stream.bev);

	while (n--) {
		for (int i = 0; i < 16; i++) {
			put(stream.other, pattern_bytes, sizeof pattern_bytes);
			while (evbuffer_get_length(input) < (size_t)(i + 1) * sizeof pattern_bytes)
				turn(stream.base);
		}
		pull_up(input);
		evbuffer_drain(input, evbuffer_get_length(input));
	}
	pattern_load_is_over();
	close_stream(stream);
}

static void
send_back(struct bufferevent *bev, void *arg)
{
	(void)arg;
	bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

PATTERN(echo_64, 1000)
{
	struct stream stream = open_stream();
	char answer[64];

	bufferevent_setcb(stream.bev, send_back, NULL, NULL, NULL);
	bufferevent_enable(stream.bev, EV_READ | EV_WRITE);
	while (n--) {
		put(stream.other, pattern_bytes, 64);
		while (read(stream.other, answer, 64) != 64)
			turn(stream.base);
	}
	close_stream(stream);
}

PATTERN(bufferevents_new_and_free, 500)
{
	struct event_base *base = event_base_new();
	int ends[2];

	make_sockets(ends);
	while (n--) {
		struct bufferevent *bev = bufferevent_socket_new(base, ends[0], 0);
		bufferevent_enable(bev, EV_READ);
		bufferevent_free(bev);
		turn(base);
	}
	event_base_free(base);
}

PATTERN(bufferevents_then_base_free, 500)
{
	struct event_base *base = event_base_new();
	struct bufferevent **bevs = calloc((size_t)n, sizeof *bevs);

	for (long i = 0; i < n; i++) {
		int ends[2];
		make_sockets(ends);
		bevs[i] = bufferevent_socket_new(base, ends[0], 0);
		bufferevent_enable(bevs[i], EV_READ);
	}
	pattern_load_is_over();
	for (long i = 0; i < n; i++)
		bufferevent_free(bevs[i]);
	event_base_free(base);
}

PATTERN(through_a_pair, 1000)
{
	struct event_base *base = event_base_new();
	struct bufferevent *pair[2];
	char out[100];

	REQUIRE(bufferevent_pair_new(base, 0, pair) == 0);
	bufferevent_enable(pair[0], EV_READ | EV_WRITE);
	bufferevent_enable(pair[1], EV_READ | EV_WRITE);
	while (n--) {
		bufferevent_write(pair[0], pattern_bytes, 100);
		turn(base);
		REQUIRE(bufferevent_read(pair[1], out, 100) == 100);
	}
	bufferevent_free(pair[0]);
	bufferevent_free(pair[1]);
	event_base_free(base);
}

PATTERN(pair_that_is_not_read, 1000)
{
	struct event_base *base = event_base_new();
	struct bufferevent *pair[2];

	REQUIRE(bufferevent_pair_new(base, 0, pair) == 0);
	bufferevent_enable(pair[0], EV_READ | EV_WRITE);
	bufferevent_enable(pair[1], EV_READ | EV_WRITE);
	while (n--) {
		bufferevent_write(pair[0], pattern_bytes, 10);
		turn(base);
	}
	pattern_load_is_over();
	bufferevent_free(pair[0]);
	bufferevent_free(pair[1]);
	event_base_free(base);
}

PATTERN(timeouts_with_traffic, 1000)
{
	struct stream stream = open_stream();
	struct timeval minute = {60, 0};
	char out[10];

	bufferevent_set_timeouts(stream.bev, &minute, &minute);
	while (n--) {
		put(stream.other, pattern_bytes, 10);
		turn(stream.base);
		REQUIRE(bufferevent_read(stream.bev, out, 10) == 10);
	}
	close_stream(stream);
}

PATTERN(enabled_and_disabled, 1000)
{
	struct stream stream = open_stream();

	while (n--) {
		bufferevent_disable(stream.bev, EV_READ);
		bufferevent_enable(stream.bev, EV_READ);
	}
	close_stream(stream);
}

static void
close_at_once(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *arg)
{
	(void)listener;
	(void)address;
	(void)length;
	++*(long *)arg;
	close(fd);
}

PATTERN(accepted_connections, 200)
{
	struct event_base *base = event_base_new();
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	long accepted = 0;
	struct evconnlistener *listener = evconnlistener_new_bind(base, close_at_once, &accepted,
		LEV_OPT_CLOSE_ON_FREE, 100, (struct sockaddr *)&address, sizeof address);

	REQUIRE(listener && getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &length) == 0);
	for (long i = 0; i < n; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		REQUIRE(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
		while (accepted <= i)
			turn(base);
		close(fd);
	}
	evconnlistener_free(listener);
	event_base_free(base);
}
