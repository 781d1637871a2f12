/* Memory that runs out at every possible place: each operation then either fails and changes
 * nothing, or has done all of it; nothing is lost, kept or given back twice. */
#define _GNU_SOURCE /* memfd_create */
#include "allocator.h"
#include "tools.h"

#include <event2/buffer_compat.h>
#include <limits.h>
#include <sys/mman.h>
#include <unistd.h>

static unsigned char data[20000];
static struct cleanup_count cleaned;

static void
ignore_change(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *argument)
{
	(void)buffer;
	(void)argument;
	CHECK(info->orig_size < 100000);
	CHECK(info->n_added < 100000 && info->n_deleted < 100000);
}

static void
ignore_legacy(struct evbuffer *buffer, size_t before, size_t after, void *argument)
{
	(void)buffer;
	(void)argument;
	CHECK(before < 100000 && after < 100000);
}

static int
file_of(size_t size)
{
	int fd = memfd_create("file", 0);
	CHECK(fd >= 0);
	CHECK_EQUAL(write(fd, data, size), size);
	return fd;
}

/* An operation; `others` bytes of what it adds come from `added`. Returns whether it was complete. */
struct operation {
	const char *name;
	int (*run)(struct evbuffer *buffer, struct evbuffer *other);
	size_t added;     /* at the back of `buffer` when it succeeds */
	size_t in_front;  /* prepended */
	size_t taken;     /* from the front of `buffer` */
	size_t from_other;
};

static int
add_large(struct evbuffer *b, struct evbuffer *o) { (void)o; return evbuffer_add(b, data, 5000) == 0; }
static int
prepend_large(struct evbuffer *b, struct evbuffer *o) { (void)o; return evbuffer_prepend(b, data, 5000) == 0; }
static int
format_large(struct evbuffer *b, struct evbuffer *o)
{
	(void)o;
	return evbuffer_add_printf(b, "%3000s", "x") == 3000;
}
static int
add_iovec(struct evbuffer *b, struct evbuffer *o)
{
	struct evbuffer_iovec vec[3] = {{data, 1000}, {data + 1000, 3000}, {data + 4000, 900}};
	size_t count = evbuffer_add_iovec(b, vec, 3);
	(void)o;
	if (count && count < 4900) /* whole pieces */
		CHECK_EQUAL(evbuffer_add(b, data + count, 4900 - count), 0);
	return count > 0;
}
static int
add_reference(struct evbuffer *b, struct evbuffer *o)
{
	int calls = cleaned.calls, result = evbuffer_add_reference(b, data, 100, count_cleanup, &cleaned);
	(void)o;
	CHECK_EQUAL(cleaned.calls, calls);
	return result == 0;
}
static int
add_views(struct evbuffer *b, struct evbuffer *o) { return evbuffer_add_buffer_reference(b, o) == 0; }
static int
move_part(struct evbuffer *b, struct evbuffer *o)
{
	int count = evbuffer_remove_buffer(o, b, 700);
	CHECK(count == -1 || count == 700 || count == 500); /* the first chain alone */
	if (count == 500)
		CHECK_EQUAL(evbuffer_remove_buffer(o, b, 200), 200);
	return count != -1;
}
static int
pull_up(struct evbuffer *b, struct evbuffer *o) { (void)b; return evbuffer_pullup(o, -1) != NULL; }
static int
expand(struct evbuffer *b, struct evbuffer *o) { (void)o; return evbuffer_expand(b, 7000) == 0; }
static int
reserve_1(struct evbuffer *b, struct evbuffer *o)
{
	struct evbuffer_iovec vec[1];
	(void)o;
	return evbuffer_reserve_space(b, 7000, vec, 1) == 1;
}
static int
reserve_2(struct evbuffer *b, struct evbuffer *o)
{
	struct evbuffer_iovec vec[2];
	(void)o;
	return evbuffer_reserve_space(b, 7000, vec, 2) > 0;
}
static int
read_line(struct evbuffer *b, struct evbuffer *o)
{
	size_t length = 99;
	char *line = evbuffer_readln(b, &length, EVBUFFER_EOL_LF);
	(void)o;
	CHECK(line || !length);
	allocator_free(line);
	return line != NULL;
}
static int
read_pipe(struct evbuffer *b, struct evbuffer *o)
{
	static int ends[2] = {-1, -1};
	int count;
	(void)o;
	if (ends[0] < 0)
		CHECK_EQUAL(pipe(ends), 0);
	CHECK_EQUAL(write(ends[1], data, 3000), 3000);
	count = evbuffer_read(b, ends[0], 3000);
	if (count < 3000) { /* the rest is still there, all of it */
		size_t done = count > 0 ? (size_t)count : 0;
		unsigned char rest[3000];
		CHECK(count != 0);
		CHECK_EQUAL(read(ends[0], rest, 3000), 3000 - done);
		CHECK(!memcmp(rest, data + done, 3000 - done));
		if (count > 0)
			CHECK_EQUAL(evbuffer_add(b, rest, 3000 - done), 0);
	}
	return count > 0;
}
static int
add_callback(struct evbuffer *b, struct evbuffer *o)
{
	struct evbuffer_cb_entry *entry = evbuffer_add_cb(b, ignore_change, NULL);
	(void)o;
	if (entry)
		evbuffer_remove_cb_entry(b, entry);
	return entry != NULL;
}
static int
set_callback(struct evbuffer *b, struct evbuffer *o)
{
	(void)o;
	return evbuffer_setcb(b, ignore_legacy, NULL) == 0;
}
static int
add_file(struct evbuffer *b, struct evbuffer *o)
{
	int fd = file_of(4000), result = evbuffer_add_file(b, fd, 0, 4000);
	(void)o;
	if (result)
		close(fd); /* it may still be ours */
	return !result;
}
static int
add_read_file(struct evbuffer *b, struct evbuffer *o)
{
	int fd = file_of(4000), result = -1;
	struct evbuffer_file_segment *segment = evbuffer_file_segment_new(fd, 0, 4000,
		EVBUF_FS_CLOSE_ON_FREE | EVBUF_FS_DISABLE_MMAP | EVBUF_FS_DISABLE_SENDFILE);
	(void)o;
	if (!segment) {
		close(fd);
		return 0;
	}
	result = evbuffer_add_file_segment(b, segment, 0, 4000);
	if (!result)
		evbuffer_file_segment_free(segment);
	return !result;
}

static const struct operation operations[] = {
	{"add", add_large, 5000, 0, 0, 0},
	{"prepend", prepend_large, 0, 5000, 0, 0},
	{"format", format_large, 3000, 0, 0, 0},
	{"add_iovec", add_iovec, 4900, 0, 0, 0},
	{"add_reference", add_reference, 100, 0, 0, 0},
	{"add_buffer_reference", add_views, 1500, 0, 0, 0},
	{"remove_buffer", move_part, 700, 0, 0, 700},
	{"pullup", pull_up, 0, 0, 0, 0},
	{"expand", expand, 0, 0, 0, 0},
	{"reserve in one", reserve_1, 0, 0, 0, 0},
	{"reserve in two", reserve_2, 0, 0, 0, 0},
	{"readln", read_line, 0, 0, 10, 0},
	{"read", read_pipe, 3000, 0, 0, 0},
	{"add_cb", add_callback, 0, 0, 0, 0},
	{"setcb", set_callback, 0, 0, 0, 0},
	{"add_file", add_file, 4000, 0, 0, 0},
	{"add_file_segment", add_read_file, 4000, 0, 0, 0},
};

/* 410 bytes in three chains, and 1500 in three. */
static void
prepare(struct evbuffer *buffer, struct evbuffer *other)
{
	CHECK_EQUAL(evbuffer_add(buffer, "0123456789", 10), 0);
	evbuffer_drain(buffer, 1);
	CHECK_EQUAL(evbuffer_add_reference(buffer, "\n", 1, NULL, NULL), 0);
	CHECK_EQUAL(evbuffer_add(buffer, data, 400), 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQUAL(evbuffer_add_reference(other, data + i * 500, 500, NULL, NULL), 0);
	CHECK(evbuffer_add_cb(buffer, ignore_change, NULL));
	CHECK(evbuffer_add_cb(other, ignore_change, NULL));
}

static void
check_result(const struct operation *operation, int done, struct evbuffer *buffer, struct evbuffer *other)
{
	static unsigned char out[40000];
	size_t front = done ? operation->in_front : 0, taken = done ? operation->taken : 0;
	size_t added = done ? operation->added : 0, gone = done ? operation->from_other : 0;
	check_chains(buffer);
	check_chains(other);
	CHECK_EQUAL(evbuffer_get_length(buffer), 410 + front + added - taken);
	CHECK_EQUAL(evbuffer_get_length(other), 1500 - gone);
	evbuffer_copyout(buffer, out, sizeof out);
	if (!taken)
		CHECK(!memcmp(out + front, "123456789\n", 10));
	CHECK(!memcmp(out + front + 10 - taken, data, 400));
	if (added && operation->run != format_large)
		CHECK(!memcmp(out + front + 410 - taken, data, added));
	evbuffer_copyout(other, out, sizeof out);
	CHECK(!memcmp(out, data + gone, 1500 - gone));
}

static void
fail_everywhere(const struct operation *operation)
{
	/* Room that was made before the operation failed may stay. */
	int makes_room = operation->run == expand || operation->run == reserve_1 ||
		operation->run == reserve_2 || operation->run == format_large || operation->run == add_iovec;
	int failures = 0, descriptors = open_descriptors(), done;
	cleaned.calls = 0;
	for (long n = 1;; n++) {
		struct evbuffer *buffer = new_buffer(), *other = new_buffer();
		long alive;
		prepare(buffer, other);
		alive = allocator.alive;
		allocator_fail_at(n);
		done = operation->run(buffer, other);
		allocator.fail_at = 0;
		check_result(operation, done, buffer, other);
		if (!done && !makes_room)
			CHECK(allocator.alive <= alive);
		failures += !done;
		CHECK_EQUAL(evbuffer_add(buffer, "more", 4), 0);
		evbuffer_free(buffer);
		evbuffer_free(other);
		if (operation->run != read_pipe)
			CHECK_EQUAL(open_descriptors(), descriptors);
		CHECK_EQUAL(allocator.alive, 0);
		if (!allocator.failed)
			break;
	}
	CHECK(done);
	CHECK(failures > 0 || operation->run == move_part || operation->run == read_pipe);
}

static void
start(void)
{
	allocator_install();
	fill_pattern(data, sizeof data, 0);
	for (size_t i = 0; i < sizeof data; i++)
		if (data[i] == '\n')
			data[i] = ' ';
}

static void
fail_named(const char *name)
{
	start();
	for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
		if (!strcmp(operations[i].name, name))
			fail_everywhere(&operations[i]);
}

CASE(add, ONE_BACKEND) { fail_named("add"); }
CASE(format, ONE_BACKEND) { fail_named("format"); }
CASE(add_iovec_fails, ONE_BACKEND) { fail_named("add_iovec"); }
CASE(add_reference_fails, ONE_BACKEND) { fail_named("add_reference"); }
CASE(pullup, ONE_BACKEND) { fail_named("pullup"); }
CASE(expanding, ONE_BACKEND) { fail_named("expand"); }
CASE(reserving_in_one_piece, ONE_BACKEND) { fail_named("reserve in one"); }
CASE(reserving_in_pieces, ONE_BACKEND) { fail_named("reserve in two"); }
CASE(readln, ONE_BACKEND) { fail_named("readln"); }
CASE(add_cb, ONE_BACKEND) { fail_named("add_cb"); }
CASE(setcb, ONE_BACKEND) { fail_named("setcb"); }

DIFFERENCE(prepend, ONE_BACKEND,
	"evbuffer_prepend that runs out of memory leaves a part of the data in the buffer")
{
	fail_named("prepend");
}
DIFFERENCE(add_buffer_reference, ONE_BACKEND,
	"evbuffer_add_buffer_reference that runs out of memory shares only a part and reports success")
{
	fail_named("add_buffer_reference");
}
DIFFERENCE(remove_buffer, ONE_BACKEND,
	"evbuffer_remove_buffer loses bytes when it runs out of memory")
{
	fail_named("remove_buffer");
}
CASE(reading, ONE_BACKEND) { fail_named("read"); }
/* Most of what the peer sent fits behind the data that is there. */
DIFFERENCE(reading_into_the_room_that_is_there, ONE_BACKEND,
	"when memory is short, a read does not use the space that the buffer still has")
{
	struct evbuffer *buffer;
	struct evbuffer_iovec room;
	char text[2048];
	int ends[2];
	start();
	buffer = new_buffer();
	CHECK_EQUAL(evbuffer_expand(buffer, 1000), 0);
	CHECK_EQUAL(evbuffer_add(buffer, "ab", 2), 0);
	CHECK_EQUAL(evbuffer_reserve_space(buffer, 1, &room, 1), 1);
	CHECK(room.iov_len >= 500 && room.iov_len < sizeof text);
	memset(text, 'x', sizeof text);
	make_pipe(ends);
	CHECK_EQUAL(write(ends[1], text, sizeof text), sizeof text);
	allocator_fail_at(1);
	allocator.fail_on = 1;
	CHECK_EQUAL(evbuffer_read(buffer, ends[0], sizeof text), room.iov_len);
	allocator.fail_on = 0;
	allocator_fail_at(0);
	CHECK_EQUAL(evbuffer_get_length(buffer), 2 + room.iov_len);
	/* The rest is not lost. */
	CHECK_EQUAL(evbuffer_read(buffer, ends[0], sizeof text), sizeof text - room.iov_len);
	evbuffer_free(buffer);
	CHECK_EQUAL(allocator.alive, 0);
}

CASE(adding_a_file, ONE_BACKEND) { fail_named("add_file"); }
CASE(adding_a_segment, ONE_BACKEND) { fail_named("add_file_segment"); }

CASE(no_memory_for_a_buffer, ONE_BACKEND)
{
	struct evbuffer *buffer;
	start();
	allocator_fail_at(1);
	buffer = evbuffer_new();
	CHECK(!buffer);
	CHECK_EQUAL(allocator.alive, 0);
	allocator_fail_at(0);
	buffer = evbuffer_new();
	CHECK(buffer);
	evbuffer_free(buffer);
	CHECK_EQUAL(allocator.alive, 0);
}

CASE(nothing_is_left, ONE_BACKEND)
{
	struct evbuffer *buffer, *other;
	start();
	buffer = new_buffer();
	other = new_buffer();
	prepare(buffer, other);
	for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
		CHECK(operations[i].run(buffer, other) || operations[i].run == read_line ||
			operations[i].run == move_part);
	evbuffer_free(other);
	evbuffer_free(buffer);
	CHECK_EQUAL(allocator.alive, 0);
}

static size_t bytes;

static void *
measure_malloc(size_t size)
{
	bytes += (size + 8 + 15) / 16 * 16;
	return malloc(size);
}

DIFFERENCE(five_bytes_take_little_memory, ONE_BACKEND,
	"a buffer that holds five bytes takes 1,184 bytes of memory")
{
	struct evbuffer *buffer;
	event_set_mem_functions(measure_malloc, realloc, free);
	buffer = new_buffer();
	CHECK_EQUAL(check_chains(buffer), 0);
	evbuffer_add(buffer, "hello", 5);
	CHECK(bytes < 700);
	evbuffer_free(buffer);
}

/* What is pulled up takes memory in proportion to its bytes. */
CASE(pulling_few_bytes_up_takes_little_memory, ONE_BACKEND | OWN_DEBUG_MODE | OWN_LOCKS)
{
	static const char bytes[400];
	struct evbuffer *buffer;
	size_t before;

	allocator_install();
	buffer = evbuffer_new();
	CHECK_EQUAL(evbuffer_add(buffer, bytes, 400), 0);
	CHECK_EQUAL(evbuffer_add_reference(buffer, bytes, 100, NULL, NULL), 0);
	before = allocator.held;
	CHECK(evbuffer_pullup(buffer, -1) != NULL);
	CHECK(allocator.held < before + 2000);
	evbuffer_free(buffer);
}
