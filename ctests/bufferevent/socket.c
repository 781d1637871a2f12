/* Socket bufferevents: their initial state, reading, writing, ends of connections. */
#include "tools.h"

#include <event2/bufferevent_struct.h>
#include <event2/event_struct.h>

static const int families[] = {0, AF_INET, AF_INET6, AF_UNIX};
static const char *const family_names[] = {"socketpair", "IPv4", "IPv6", "unix"};

static struct traced left = {.name = "left", .drain = -1}, right = {.name = "right", .drain = -1};
static int ends[2];

CASE(new_object, ONE_BACKEND)
{
	struct bufferevent *bev;
	bufferevent_data_cb read_callback, write_callback;
	bufferevent_event_cb event_callback;
	size_t low = 7, high = 7;
	void *argument;

	make_base();
	bev = bufferevent_socket_new(base, -1, 0);
	CHECK(bev);
	CHECK_EQUAL(bufferevent_getfd(bev), -1);
	CHECK(bufferevent_get_base(bev) == base);
	CHECK(!bufferevent_get_underlying(bev));
	CHECK_EQUAL(bufferevent_get_enabled(bev), EV_WRITE);
	CHECK_EQUAL(bufferevent_get_priority(bev), 0);
	bufferevent_getcb(bev, &read_callback, &write_callback, &event_callback, &argument);
	CHECK(!read_callback && !write_callback && !event_callback && !argument);
	bufferevent_getcb(bev, NULL, NULL, NULL, NULL);
	CHECK_EQUAL(bufferevent_getwatermark(bev, EV_READ, &low, &high), 0);
	CHECK_EQUAL(low, 0);
	CHECK_EQUAL(high, 0);
	CHECK_EQUAL(bufferevent_getwatermark(bev, EV_WRITE, NULL, NULL), 0);
	CHECK_EQUAL(bufferevent_getwatermark(bev, EV_READ | EV_WRITE, &low, &high), -1);
	CHECK_EQUAL(bufferevent_getwatermark(bev, 0, &low, &high), -1);
	CHECK_EQUAL(bufferevent_get_max_single_read(bev), 16384);
	CHECK_EQUAL(bufferevent_get_max_single_write(bev), 16384);
	CHECK_EQUAL(bufferevent_get_max_to_read(bev), 16384);
	CHECK_EQUAL(bufferevent_get_max_to_write(bev), 16384);
	CHECK(bufferevent_get_read_limit(bev) == EV_SSIZE_MAX);
	CHECK(bufferevent_get_write_limit(bev) == EV_SSIZE_MAX);
	CHECK(!bufferevent_get_token_bucket_cfg(bev));
	CHECK_EQUAL(bufferevent_socket_get_dns_error(bev), 0);
	CHECK(!bufferevent_pair_get_partner(bev));
	CHECK_EQUAL(bufferevent_flush(bev, EV_READ | EV_WRITE, BEV_FINISHED), 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED | EVENT_BASE_COUNT_ACTIVE), 0);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	bufferevent_free(bev);
	finish();
}

CASE(structure, ONE_BACKEND)
{
	struct bufferevent *bev;
	struct timeval time = {3, 4};

	CHECK_EQUAL(sizeof(struct bufferevent), 392);
	CHECK_EQUAL(offsetof(struct bufferevent, input), 272);
	CHECK_EQUAL(offsetof(struct bufferevent, enabled), 384);
	make_base();
	make_connection(0, ends);
	bev = make_bufferevent(ends[0], 0, &left);
	CHECK(bev->input == bufferevent_get_input(bev));
	CHECK(bev->output == bufferevent_get_output(bev));
	CHECK(bev->readcb == trace_read && bev->writecb == trace_write && bev->errorcb == trace_event);
	CHECK(bev->cbarg == &left);
	CHECK(bev->ev_base == base);
	CHECK_EQUAL(event_get_fd(&bev->ev_read), ends[0]);
	CHECK_EQUAL(event_get_fd(&bev->ev_write), ends[0]);
	bufferevent_setwatermark(bev, EV_READ, 5, 50);
	bufferevent_setwatermark(bev, EV_WRITE, 6, 60);
	CHECK(bev->wm_read.low == 5 && bev->wm_read.high == 50 && bev->wm_write.low == 6 && bev->wm_write.high == 60);
	bufferevent_set_timeouts(bev, &time, NULL);
	CHECK(bev->timeout_read.tv_sec == 3 && bev->timeout_read.tv_usec == 4 && bev->timeout_write.tv_sec == 0);
	CHECK_EQUAL(bev->enabled, EV_WRITE);
	CHECK_EQUAL(event_pending(&bev->ev_write, EV_WRITE, NULL), 0);
	CHECK_EQUAL(bufferevent_write(bev, "x", 1), 0);
	CHECK_EQUAL(event_pending(&bev->ev_write, EV_WRITE, NULL), EV_WRITE);
	CHECK_EQUAL(event_pending(&bev->ev_read, EV_READ, NULL), 0);
	CHECK_EQUAL(bufferevent_enable(bev, EV_READ), 0);
	CHECK_EQUAL(event_pending(&bev->ev_read, EV_READ, NULL), EV_READ);
	settle();
	CHECK_EQUAL(event_pending(&bev->ev_write, EV_WRITE, NULL), 0);
	bufferevent_free(bev);
	close(ends[0]);
	close(ends[1]);
	finish();
}

/* Programs read and write the marks in the structure. */
CASE(marks_written_directly, ONE_BACKEND)
{
	struct bufferevent *bev;

	make_base();
	make_connection(0, ends);
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
	bev->wm_read.low = 3;
	bufferevent_enable(bev, EV_READ);
	send_all(ends[1], "ab", 2);
	settle();
	send_all(ends[1], "c", 1);
	settle();
	bufferevent_free(bev);
	close(ends[1]);
	finish();
}

CASE(frozen_ends, ONE_BACKEND)
{
	struct bufferevent *bev;
	struct evbuffer *input, *output;

	make_base();
	make_connection(0, ends);
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, NULL);
	input = bufferevent_get_input(bev);
	output = bufferevent_get_output(bev);
	CHECK_EQUAL(evbuffer_add(input, "x", 1), -1);
	CHECK_EQUAL(evbuffer_drain(output, 1), 0);
	CHECK_EQUAL(evbuffer_prepend(output, "x", 1), -1);
	CHECK_EQUAL(evbuffer_add(output, "xy", 2), 0);
	CHECK_EQUAL(evbuffer_drain(output, 1), -1);
	CHECK_EQUAL(evbuffer_get_length(output), 2);
	bufferevent_free(bev);
	close(ends[1]);
	finish();
}

CASE(refused_options, ONE_BACKEND)
{
	make_base();
	log_without_addresses();
	CHECK(!bufferevent_socket_new(base, -1, BEV_OPT_UNLOCK_CALLBACKS));
	finish();
}

CASE(threadsafe_without_threads, ONE_BACKEND | OWN_LOCKS)
{
	struct bufferevent *pair[2];

	make_base();
	CHECK(!bufferevent_socket_new(base, -1, BEV_OPT_THREADSAFE));
	CHECK_EQUAL(bufferevent_pair_new(base, BEV_OPT_THREADSAFE, pair), -1);
	finish();
}

CASE(write_functions, EVERY_BACKEND)
{
	struct evbuffer *buffer = evbuffer_new();
	struct bufferevent *bev;
	char data[100];

	make_base();
	make_connection(0, ends);
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
	CHECK_EQUAL(bufferevent_write(bev, "", 0), 0);
	settle();
	CHECK_EQUAL(bufferevent_write(bev, "one ", 4), 0);
	CHECK_EQUAL(bufferevent_write(bev, "two ", 4), 0);
	evbuffer_add_printf(buffer, "three ");
	CHECK_EQUAL(bufferevent_write_buffer(bev, buffer), 0);
	CHECK_EQUAL(evbuffer_get_length(buffer), 0);
	CHECK_EQUAL(bufferevent_write_buffer(bev, buffer), 0);
	evbuffer_add_printf(bufferevent_get_output(bev), "%s", "four");
	/* Nothing leaves before the loop runs. */
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_output(bev)), 18);
	CHECK_EQUAL(received(ends[1], data, sizeof data), 0);
	settle();
	data[received(ends[1], data, sizeof data)] = 0;
	printf("%s\n", data);
	CHECK_EQUAL(left.writes, 1);
	evbuffer_free(buffer);
	bufferevent_free(bev);
	close(ends[1]);
	finish();
}

CASE(read_functions, EVERY_BACKEND)
{
	struct evbuffer *buffer = evbuffer_new();
	struct bufferevent *bev;
	char data[100] = "";

	make_base();
	make_connection(0, ends);
	left.drain = 0;
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
	CHECK_EQUAL(bufferevent_read(bev, data, sizeof data), 0);
	CHECK_EQUAL(bufferevent_read_buffer(bev, buffer), 0);
	bufferevent_enable(bev, EV_READ);
	send_all(ends[1], "0123456789", 10);
	settle();
	CHECK_EQUAL(bufferevent_read(bev, data, 4), 4);
	CHECK_EQUAL(bufferevent_read(bev, data, 0), 0);
	CHECK(!memcmp(data, "0123", 4));
	CHECK_EQUAL(bufferevent_read_buffer(bev, buffer), 0);
	CHECK_EQUAL(evbuffer_get_length(buffer), 6);
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_input(bev)), 0);
	send_all(ends[1], "abc", 3);
	settle();
	CHECK_EQUAL(bufferevent_read(bev, data, sizeof data), 3);
	evbuffer_free(buffer);
	bufferevent_free(bev);
	close(ends[1]);
	finish();
}

/* Both directions of a connection, then its end, on every kind of socket. */
CASE(conversation, EVERY_BACKEND)
{
	struct bufferevent *one, *two;
	size_t i;

	make_base();
	for (i = 0; i < sizeof families / sizeof families[0]; i++) {
		printf("%s\n", family_names[i]);
		make_connection(families[i], ends);
		one = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
		two = make_bufferevent(ends[1], BEV_OPT_CLOSE_ON_FREE, &right);
		bufferevent_enable(two, EV_READ);
		bufferevent_write(one, "hello", 5);
		happened = 0;
		run_until(&happened, 2);
		settle();
		bufferevent_enable(one, EV_READ);
		settle();
		bufferevent_write(two, "hello you", 9);
		happened = 0;
		run_until(&happened, 2);
		bufferevent_free(one);
		happened = 0;
		run_until(&happened, 1);
		settle();
		bufferevent_free(two);
		settle();
	}
	finish();
}

CASE(data_then_eof, EVERY_BACKEND)
{
	struct bufferevent *bev;
	size_t i;

	make_base();
	for (i = 0; i < sizeof families / sizeof families[0]; i++) {
		printf("%s\n", family_names[i]);
		make_connection(families[i], ends);
		bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
		send_all(ends[1], "last words", 10);
		close(ends[1]);
		usleep(1000);
		bufferevent_enable(bev, EV_READ);
		happened = 0;
		run_until(&happened, 2);
		settle();
		/* When it is enabled again, that is reported again. */
		bufferevent_enable(bev, EV_READ);
		run_until(&happened, 3);
		settle();
		CHECK_EQUAL(left.last, BEV_EVENT_READING | BEV_EVENT_EOF);
		bufferevent_free(bev);
		settle();
	}
	finish();
}

CASE(data_below_the_mark_then_eof, EVERY_BACKEND)
{
	struct bufferevent *bev;

	make_base();
	make_connection(0, ends);
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
	bufferevent_setwatermark(bev, EV_READ, 20, 0);
	send_all(ends[1], "last words", 10);
	close(ends[1]);
	bufferevent_enable(bev, EV_READ);
	settle();
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_input(bev)), 10);
	bufferevent_free(bev);
	finish();
}

CASE(half_close, EVERY_BACKEND)
{
	struct bufferevent *bev;
	char data[100];
	size_t i;

	make_base();
	for (i = 0; i < sizeof families / sizeof families[0]; i++) {
		printf("%s\n", family_names[i]);
		make_connection(families[i], ends);
		bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
		bufferevent_enable(bev, EV_READ);
		settle();
		shutdown(ends[1], SHUT_WR);
		happened = 0;
		run_until(&happened, 1);
		settle();
		/* The other direction still works. */
		bufferevent_write(bev, "answer", 6);
		happened = 0;
		run_until(&happened, 1);
		settle();
		CHECK_EQUAL(received(ends[1], data, sizeof data), 6);
		bufferevent_free(bev);
		close(ends[1]);
		settle();
	}
	finish();
}

/* Our own side shuts down writing: reading still works, writing is an error. */
CASE(own_half_close, EVERY_BACKEND)
{
	struct bufferevent *bev;

	make_base();
	make_connection(AF_INET, ends);
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
	bufferevent_write(bev, "first", 5);
	settle();
	shutdown(ends[0], SHUT_WR);
	bufferevent_enable(bev, EV_READ);
	send_all(ends[1], "abc", 3);
	happened = 0;
	run_until(&happened, 1);
	settle();
	bufferevent_write(bev, "second", 6);
	happened = 0;
	run_until(&happened, 1);
	settle();
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_output(bev)), 6);
	bufferevent_free(bev);
	close(ends[1]);
	finish();
}

/* The peer is gone: the first write is lost, or fails at once on a unix socket. */
CASE(write_to_a_closed_peer, EVERY_BACKEND)
{
	struct bufferevent *bev;

	make_base();
	make_connection(AF_UNIX, ends);
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
	close(ends[1]);
	bufferevent_write(bev, "lost", 4);
	happened = 0;
	run_until(&happened, 1);
	settle();
	CHECK_EQUAL(evbuffer_get_length(bufferevent_get_output(bev)), 4);
	bufferevent_free(bev);

	make_connection(AF_INET, ends);
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
	close(ends[1]);
	bufferevent_write(bev, "lost", 4);
	happened = 0;
	run_until(&happened, 1);
	usleep(2000);
	bufferevent_write(bev, "refused", 7);
	happened = 0;
	run_until(&happened, 1);
	settle();
	bufferevent_free(bev);
	finish();
}

CASE(reset, EVERY_BACKEND)
{
	struct bufferevent *bev;

	make_base();
	make_connection(AF_INET, ends);
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
	bufferevent_enable(bev, EV_READ);
	settle();
	reset_connection(ends[1]);
	happened = 0;
	run_until(&happened, 1);
	settle();
	bufferevent_free(bev);
	finish();
}

/* A reset is not seen while reading is disabled, and is reported by the first direction that is used. */
CASE(reset_unseen, EVERY_BACKEND)
{
	struct bufferevent *bev;

	make_base();
	make_connection(AF_INET6, ends);
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
	settle();
	happened = 0;
	reset_connection(ends[1]);
	usleep(2000);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(happened, 0);
	bufferevent_write(bev, "x", 1);
	run_until(&happened, 1);
	settle();
	bufferevent_enable(bev, EV_READ);
	run_until(&happened, 2);
	settle();
	bufferevent_free(bev);
	finish();
}

/* Read is enabled first and data is written later: writing is handled first. */
CASE(order_of_directions, EPOLL_ONLY)
{
	struct bufferevent *bev;
	int i;

	make_base();
	for (i = 0; i < 2; i++) {
		make_connection(0, ends);
		bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
		if (i == 0)
			bufferevent_enable(bev, EV_READ);
		bufferevent_write(bev, "request", 7);
		send_all(ends[1], "greeting", 8);
		if (i == 1)
			bufferevent_enable(bev, EV_READ);
		settle();
		bufferevent_free(bev);
		close(ends[1]);
	}
	finish();
}

CASE(enable_and_disable, EVERY_BACKEND)
{
	struct bufferevent *bev;
	char data[100];

	make_base();
	make_connection(0, ends);
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
	send_all(ends[1], "abc", 3);
	settle();
	CHECK_EQUAL(happened, 0);
	CHECK_EQUAL(bufferevent_disable(bev, EV_WRITE), 0);
	CHECK_EQUAL(bufferevent_disable(bev, EV_WRITE), 0);
	CHECK_EQUAL(bufferevent_get_enabled(bev), 0);
	bufferevent_write(bev, "kept back", 9);
	settle();
	CHECK_EQUAL(received(ends[1], data, sizeof data), 0);
	CHECK_EQUAL(bufferevent_enable(bev, EV_WRITE | EV_READ), 0);
	CHECK_EQUAL(bufferevent_get_enabled(bev), EV_READ | EV_WRITE);
	settle();
	CHECK_EQUAL(received(ends[1], data, sizeof data), 9);
	CHECK_EQUAL(bufferevent_disable(bev, EV_READ), 0);
	send_all(ends[1], "abc", 3);
	happened = 0;
	settle();
	CHECK_EQUAL(happened, 0);
	CHECK_EQUAL(bufferevent_enable(bev, EV_READ), 0);
	settle();
	bufferevent_free(bev);
	close(ends[1]);
	finish();
}

/* Enabling writing with nothing to write calls the write callback once, from the loop. */
CASE(kick, EVERY_BACKEND)
{
	struct bufferevent *bev;

	make_base();
	make_connection(0, ends);
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
	settle();
	CHECK_EQUAL(left.writes, 0);
	bufferevent_enable(bev, EV_WRITE);
	CHECK_EQUAL(left.writes, 0);
	CHECK_EQUAL(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED | EVENT_BASE_COUNT_ACTIVE), 1);
	CHECK_EQUAL(event_base_dispatch(base), 1);
	CHECK_EQUAL(left.writes, 1);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	settle();
	CHECK_EQUAL(left.writes, 2);
	bufferevent_setfd(bev, ends[0]);
	settle();
	CHECK_EQUAL(left.writes, 3);
	bufferevent_free(bev);
	close(ends[1]);
	finish();
}

CASE(single_transfers, EVERY_BACKEND)
{
	struct bufferevent *bev;
	static char data[100000];
	int sizes[2] = {200000, 200000};

	make_base();
	make_connection(0, ends);
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &sizes[0], sizeof sizes[0]);
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &sizes[0], sizeof sizes[0]);
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
	CHECK_EQUAL(bufferevent_set_max_single_read(bev, 100), 0);
	CHECK_EQUAL(bufferevent_get_max_single_read(bev), 100);
	CHECK_EQUAL(bufferevent_get_max_to_read(bev), 100);
	CHECK_EQUAL(bufferevent_set_max_single_write(bev, 50), 0);
	CHECK_EQUAL(bufferevent_get_max_single_write(bev), 50);
	CHECK_EQUAL(bufferevent_get_max_to_write(bev), 50);
	bufferevent_enable(bev, EV_READ);
	send_all(ends[1], data, 250);
	run_until(&left.reads, 3);
	bufferevent_setwatermark(bev, EV_WRITE, 1000, 0);
	bufferevent_write(bev, data, 120);
	left.writes = 0;
	run_until(&left.writes, 3);
	CHECK_EQUAL(bufferevent_set_max_single_read(bev, 0), 0);
	CHECK_EQUAL(bufferevent_get_max_single_read(bev), 16384);
	CHECK_EQUAL(bufferevent_set_max_single_write(bev, SIZE_MAX), 0);
	CHECK_EQUAL(bufferevent_get_max_single_write(bev), 16384);
	settle();
	bufferevent_free(bev);
	close(ends[1]);
	finish();
}

DIFFERENCE(reads_of_16_kilobytes, ONE_BACKEND, "A read takes at most 4096 bytes")
{
	struct bufferevent *bev;
	static char data[16384];
	int size = 200000;

	make_base();
	make_connection(0, ends);
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
	bufferevent_enable(bev, EV_READ);
	send_all(ends[1], data, sizeof data);
	settle();
	CHECK_EQUAL(left.reads, 1);
	bufferevent_free(bev);
	close(ends[1]);
	finish();
}

CASE(priorities, ONE_BACKEND)
{
	struct bufferevent *first, *second;
	int other[2];

	make_base();
	event_base_priority_init(base, 5);
	make_connection(0, ends);
	make_connection(0, other);
	first = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
	second = make_bufferevent(other[0], BEV_OPT_CLOSE_ON_FREE, &right);
	CHECK_EQUAL(bufferevent_get_priority(first), 2);
	CHECK_EQUAL(bufferevent_priority_set(first, 5), -1);
	CHECK_EQUAL(bufferevent_priority_set(first, -1), -1);
	CHECK_EQUAL(bufferevent_priority_set(first, 4), 0);
	CHECK_EQUAL(bufferevent_priority_set(second, 0), 0);
	CHECK_EQUAL(bufferevent_get_priority(first), 4);
	bufferevent_enable(first, EV_READ);
	bufferevent_enable(second, EV_READ);
	send_all(ends[1], "one", 3);
	send_all(other[1], "two", 3);
	settle();
	bufferevent_free(first);
	bufferevent_free(second);
	finish();
}

/* Under lock debugging the reference asserts that it holds another base's lock. */
CASE(other_base, ONE_BACKEND | OWN_LOCKS)
{
	struct event_base *other = event_base_new();
	struct bufferevent *bev;

	make_base();
	make_connection(0, ends);
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
	CHECK_EQUAL(bufferevent_base_set(other, bev), 0);
	CHECK(bufferevent_get_base(bev) == other);
	bufferevent_enable(bev, EV_READ);
	CHECK_EQUAL(bufferevent_base_set(base, bev), -1);
	send_all(ends[1], "abc", 3);
	settle();
	CHECK_EQUAL(left.reads, 0);
	event_base_loop(other, EVLOOP_NONBLOCK);
	CHECK_EQUAL(left.reads, 1);
	bufferevent_free(bev);
	event_base_loop(other, EVLOOP_NONBLOCK);
	event_base_free(other);
	close(ends[1]);
	finish();
}

DIFFERENCE(refused_base_changes_nothing, ONE_BACKEND,
	"bufferevent_base_set changes the base although it fails")
{
	struct event_base *other = event_base_new();
	struct bufferevent *bev;

	make_base();
	make_connection(0, ends);
	bev = make_bufferevent(ends[0], BEV_OPT_CLOSE_ON_FREE, &left);
	bufferevent_enable(bev, EV_READ);
	CHECK_EQUAL(bufferevent_base_set(other, bev), -1);
	CHECK(bufferevent_get_base(bev) == base);
	bufferevent_free(bev);
	event_base_free(other);
	close(ends[1]);
	finish();
}
