/* Bytes that come in small pieces and are not taken out yet: what they cost in memory and chains,
 * on every way into a buffer. */
#define _GNU_SOURCE
#include "tools.h"
#include "allocator.h"

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <unistd.h>

enum { BYTES = 30000 };

static struct evbuffer *target;

/* At most 1.2 times the bytes and a constant; and chains that a search walks quickly. */
static void
check_costs(size_t before)
{
	size_t taken = allocator.held - before, length = evbuffer_get_length(target);
	char *bytes = malloc(length);

	CHECK_EQUAL(length, BYTES);
	CHECK(taken < length + length / 5 + 10000);
	CHECK(evbuffer_peek(target, -1, NULL, NULL, 0) < BYTES / 300);
	CHECK_EQUAL(evbuffer_copyout(target, bytes, length), length);
	for (size_t i = 0; i < length; i++)
		CHECK_EQUAL(bytes[i], (char)(i % 251));
	free(bytes);
}

static void
next_bytes(char *bytes, size_t count)
{
	static size_t done;

	for (size_t i = 0; i < count; i++)
		bytes[i] = (char)(done++ % 251);
}

static void
add_bytes(struct evbuffer *buffer, size_t size)
{
	char bytes[3000];

	next_bytes(bytes, size);
	CHECK_EQUAL(evbuffer_add(buffer, bytes, size), 0);
}

CASE(added, ONE_BACKEND)
{
	size_t before;
	allocator_install();
	target = evbuffer_new();
	before = allocator.held;
	for (int i = 0; i < BYTES; i++)
		add_bytes(target, 1);
	check_costs(before);
	evbuffer_free(target);
}

static void
read_pieces(int ends[2], size_t size, int (*take)(int fd))
{
	char bytes[3000];
	for (size_t done = 0; done < BYTES; done += size) {
		next_bytes(bytes, size);
		CHECK_EQUAL(write(ends[1], bytes, size), size);
		CHECK(take(ends[0]) >= 0);
	}
}

static int
read_some(int fd)
{
	return evbuffer_read(target, fd, -1);
}

static void
read_in_pieces_of(size_t size)
{
	int ends[2];
	size_t before;
	allocator_install();
	make_socketpair(ends);
	target = evbuffer_new();
	before = allocator.held;
	read_pieces(ends, size, read_some);
	check_costs(before);
	evbuffer_free(target);
}

CASE(read_byte_by_byte, ONE_BACKEND)
{
	read_in_pieces_of(1);
}

CASE(read_in_pieces_of_500, ONE_BACKEND)
{
	read_in_pieces_of(500);
}

static struct event_base *base;

static int
turn(int fd)
{
	(void)fd;
	return event_base_loop(base, EVLOOP_NONBLOCK);
}

static void
receive_in_pieces_of(size_t size)
{
	struct bufferevent *bev;
	size_t before;
	int ends[2];
	allocator_install();
	make_socketpair(ends);
	base = event_base_new();
	bev = bufferevent_socket_new(base, ends[0], 0);
	bufferevent_enable(bev, EV_READ);
	turn(0);
	target = bufferevent_get_input(bev);
	before = allocator.held;
	read_pieces(ends, size, turn);
	check_costs(before);
	bufferevent_free(bev);
	event_base_free(base);
}

CASE(received_byte_by_byte, EVERY_BACKEND)
{
	receive_in_pieces_of(1);
}

CASE(received_in_pieces_of_10, ONE_BACKEND)
{
	receive_in_pieces_of(10);
}

CASE(received_in_pieces_of_1500, ONE_BACKEND)
{
	receive_in_pieces_of(1500);
}

static void
through_a_pair(size_t size, int filter)
{
	struct bufferevent *pair[2], *in;
	size_t before;
	allocator_install();
	base = event_base_new();
	CHECK_EQUAL(bufferevent_pair_new(base, 0, pair), 0);
	in = filter ? bufferevent_filter_new(pair[1], NULL, NULL, 0, NULL, NULL) : pair[1];
	CHECK(in);
	bufferevent_enable(in, EV_READ | EV_WRITE);
	bufferevent_enable(pair[0], EV_READ | EV_WRITE);
	turn(0);
	target = bufferevent_get_input(in);
	before = allocator.held;
	for (size_t done = 0; done < BYTES; done += size) {
		add_bytes(bufferevent_get_output(pair[0]), size);
		turn(0);
	}
	check_costs(before);
	if (filter)
		bufferevent_free(in);
	bufferevent_free(pair[0]);
	bufferevent_free(pair[1]);
	event_base_free(base);
}

DIFFERENCE(through_a_pair_byte_by_byte, ONE_BACKEND,
	"each piece that arrives through a pair or is moved keeps a chain of its own: 100 kB sent byte by byte take 50 MB")
{
	through_a_pair(1, 0);
}

DIFFERENCE(through_a_filter_byte_by_byte, ONE_BACKEND,
	"each piece that arrives through a filter keeps a chain of its own: 100 kB sent byte by byte take 50 MB")
{
	through_a_pair(1, 1);
}

DIFFERENCE(moved_in_pieces, ONE_BACKEND,
	"moving small buffers one by one into a large one takes a chain for each")
{
	static const size_t sizes[] = {1, 10, 300, 600, 1500};
	allocator_install();
	for (int i = 0; i < 5; i++) {
		size_t before, rest = BYTES;
		target = evbuffer_new();
		before = allocator.held;
		for (; rest; rest -= sizes[i]) {
			struct evbuffer *source = evbuffer_new();
			add_bytes(source, sizes[i]);
			if (rest % 20 == 0)
				CHECK_EQUAL(evbuffer_remove_buffer(source, target, sizes[i]), (int)sizes[i]);
			else
				CHECK_EQUAL(evbuffer_add_buffer(target, source), 0);
			evbuffer_free(source);
		}
		CHECK_EQUAL(evbuffer_get_length(target), BYTES);
		CHECK(allocator.held - before < BYTES + BYTES / 5 + 10000);
		evbuffer_free(target);
	}
}

/* Bytes that a move copies are reported and counted like those it links; a reference is never copied. */
static void
print_change(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *name)
{
	check_chains(buffer);
	printf("%s: %zu +%zu -%zu\n", (const char *)name, info->orig_size, info->n_added, info->n_deleted);
}

CASE(moves_into_room_are_reported, ONE_BACKEND)
{
	struct evbuffer *source = evbuffer_new();
	char text[20] = "";
	target = evbuffer_new();
	evbuffer_add_cb(source, print_change, "source");
	evbuffer_add_cb(target, print_change, "target");
	evbuffer_add(target, "one ", 4);
	evbuffer_add(source, "two ", 4);
	CHECK_EQUAL(evbuffer_add_buffer(target, source), 0);
	evbuffer_add_reference(source, "three", 5, print_cleanup, "three");
	CHECK_EQUAL(evbuffer_add_buffer(target, source), 0);
	CHECK_EQUAL(evbuffer_copyout(target, text, 20), 13);
	puts(text);
	evbuffer_free(source);
	puts("source freed");
	evbuffer_free(target);
}

/* Each before the previous one, so that the list leads downwards in memory. */
CASE(cleanups_of_prepended_references_in_their_order, ONE_BACKEND)
{
	static char names[3][8] = {"first", "second", "third"};
	struct evbuffer *one = evbuffer_new();
	target = evbuffer_new();
	for (int i = 2; i >= 0; i--) {
		evbuffer_add_reference(one, names[i], 5, print_cleanup, names[i]);
		evbuffer_prepend_buffer(target, one);
	}
	evbuffer_free(target);
	evbuffer_free(one);
}

/* A text that does not fit where it is tried first: the same as one that does. */
CASE(formatted_texts_of_every_length, ONE_BACKEND)
{
	char text[1200], expected[1300], *line;
	memset(text, 'x', sizeof text);
	for (int length = 0; length < 1200; length += 7) {
		text[length] = 0;
		target = evbuffer_new();
		for (int i = 0; i < 3; i++) {
			int written = snprintf(expected, sizeof expected, "%s: %d%% %lu %x %c", text, -i, 7ul << 40, 255, 'c');
			CHECK_EQUAL(evbuffer_add_printf(target, "%s: %d%% %lu %x %c", text, -i, 7ul << 40, 255, 'c'), written);
			line = calloc(1, (size_t)written + 1);
			CHECK_EQUAL(evbuffer_copyout(target, line, (size_t)written), written);
			CHECK_STRING(line, expected);
			free(line);
			evbuffer_drain(target, (size_t)written);
		}
		evbuffer_free(target);
		text[length] = 'x';
	}
}

static void
count_end(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	*(short *)arg = what;
}

/* Whole messages and their end, of sizes about those of a read, and with each allocation of the first
 * turn refused. */
CASE(messages_about_the_size_of_a_read, EVERY_BACKEND)
{
	static const size_t sizes[] = {1, 4095, 4096, 4097, 8192, 10000, 16384, 20000};
	static char message[20000], received[20001];
	allocator_install();
	for (size_t i = 0; i < sizeof message; i++)
		message[i] = (char)(i % 251);
	for (int i = 0; i < 8; i++) {
		for (int refused = 0; refused < 4; refused++) {
			struct bufferevent *bev;
			short end = 0;
			int ends[2];
			make_socketpair(ends);
			base = event_base_new();
			bev = bufferevent_socket_new(base, ends[0], 0);
			bufferevent_setcb(bev, NULL, NULL, count_end, &end);
			bufferevent_enable(bev, EV_READ);
			turn(0);
			CHECK_EQUAL(write(ends[1], message, sizes[i]), sizes[i]);
			close(ends[1]);
			allocator_fail_at(refused);
			turn(0);
			allocator_fail_at(0);
			for (int turns = 0; turns < 20 && !end; turns++)
				turn(0);
			if (refused && !(end & BEV_EVENT_EOF))
				CHECK_EQUAL(end, BEV_EVENT_ERROR | BEV_EVENT_READING);
			else
				CHECK_EQUAL(bufferevent_read(bev, received, sizeof received), sizes[i]);
			CHECK(!memcmp(message, received, sizes[i]));
			bufferevent_free(bev);
			event_base_free(base);
			close(ends[0]);
		}
	}
}
