/* Parts of files in buffers: segments, each way to get at their bytes, who closes what. */
#define _GNU_SOURCE /* memfd_create */
#include "tools.h"
#include "observe.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE = 10000 };
static unsigned char content[SIZE];

static int
pattern_file(size_t size)
{
	int fd = memfd_create("file", 0);
	CHECK(fd >= 0);
	fill_pattern(content, sizeof content, 0);
	CHECK_EQUAL(write(fd, content, size), size);
	CHECK_EQUAL(lseek(fd, 5, SEEK_SET), 5);
	return fd;
}

static const unsigned ways[] = {0, EVBUF_FS_DISABLE_MMAP, EVBUF_FS_DISABLE_SENDFILE,
	EVBUF_FS_DISABLE_MMAP | EVBUF_FS_DISABLE_SENDFILE, EVBUF_FS_DISABLE_LOCKING, 0};
enum { WAYS = 6 };

/* Writes everything to a pipe and checks what arrives. */
static void
check_written(struct evbuffer *buffer, const unsigned char *expected, size_t length)
{
	static unsigned char out[SIZE * 3];
	size_t done = 0;
	int pipes[2];
	CHECK_EQUAL(pipe(pipes), 0);
	while (evbuffer_get_length(buffer)) {
		int count = evbuffer_write(buffer, pipes[1]);
		CHECK(count > 0);
		CHECK_EQUAL(read(pipes[0], out + done, (size_t)count), count);
		done += (size_t)count;
		check_chains(buffer);
	}
	CHECK_EQUAL(done, length);
	CHECK(!memcmp(out, expected, length));
	close(pipes[0]);
	close(pipes[1]);
}

CASE(a_segment_in_every_way, ONE_BACKEND)
{
	static const struct {
		ev_off_t offset, length, part, part_length;
	} ranges[] = {{0, SIZE, 0, -1}, {0, -1, 0, SIZE}, {0, SIZE, 100, 5000}, {4096, 4096, 0, 4096},
		{5000, 3000, 10, -1}, {1, 9999, 9998, 1}, {0, SIZE, SIZE - 1, -1}};
	for (int way = 0; way < WAYS; way++) {
		for (size_t r = 0; r < sizeof ranges / sizeof ranges[0]; r++) {
			int fd = pattern_file(SIZE);
			struct evbuffer *buffer = new_buffer();
			struct evbuffer_file_segment *segment =
				evbuffer_file_segment_new(fd, ranges[r].offset, ranges[r].length, ways[way]);
			ev_off_t length = ranges[r].length < 0 ? SIZE : ranges[r].length;
			size_t start = (size_t)(ranges[r].offset + ranges[r].part);
			size_t count = (size_t)(ranges[r].part_length < 0 ? length - ranges[r].part
									  : ranges[r].part_length);
			CHECK(segment);
			if (way == WAYS - 1)
				evbuffer_set_flags(buffer, EVBUFFER_FLAG_DRAINS_TO_FD);
			CHECK_EQUAL(evbuffer_add_file_segment(buffer, segment, ranges[r].part,
					    ranges[r].part_length), 0);
			evbuffer_file_segment_free(segment);
			CHECK_EQUAL(evbuffer_get_length(buffer), count);
			check_chains(buffer);
			printf("flags 0x%x\n", chains_of(buffer)->first->flags);
			if (way != WAYS - 1)
				check_content(buffer, content + start, count);
			check_written(buffer, content + start, count);
			CHECK_EQUAL(lseek(fd, 0, SEEK_CUR), 5);
			CHECK(is_open(fd));
			evbuffer_free(buffer);
			close(fd);
		}
	}
}

CASE(files_between_other_data, ONE_BACKEND)
{
	for (int sendfile = 0; sendfile < 2; sendfile++) {
		struct evbuffer *buffer = new_buffer(), *other = new_buffer();
		unsigned char expected[SIZE + 200];
		size_t used;
		int fd = pattern_file(SIZE);
		if (sendfile)
			evbuffer_set_flags(buffer, EVBUFFER_FLAG_DRAINS_TO_FD);
		evbuffer_add(buffer, "header", 6);
		CHECK_EQUAL(evbuffer_add_file(buffer, fd, 100, 5000), 0);
		evbuffer_add(buffer, "trailer", 7);
		evbuffer_add_buffer(other, buffer);
		evbuffer_prepend(other, "more ", 5);
		used = (size_t)snprintf((char *)expected, sizeof expected, "more header");
		memcpy(expected + used, content + 100, 5000);
		memcpy(expected + used + 5000, "trailer", 7);
		CHECK(is_open(fd));
		check_written(other, expected, used + 5007);
		CHECK(!is_open(fd));
		evbuffer_free(buffer);
		evbuffer_free(other);
	}
}

static void
print_segment_cleanup(struct evbuffer_file_segment const *segment, int flags, void *fd)
{
	(void)segment;
	printf("segment is gone, flags %d, descriptor %s\n", flags, is_open(*(int *)fd) ? "open" : "closed");
}

CASE(a_segment_lives_as_long_as_it_is_used, ONE_BACKEND)
{
	for (int way = 0; way < WAYS; way++) {
		int fd = pattern_file(SIZE);
		struct evbuffer *a = new_buffer(), *b = new_buffer();
		struct evbuffer_file_segment *segment =
			evbuffer_file_segment_new(fd, 0, -1, ways[way] | EVBUF_FS_CLOSE_ON_FREE);
		CHECK(segment);
		if (way == WAYS - 1)
			evbuffer_set_flags(a, EVBUFFER_FLAG_DRAINS_TO_FD);
		evbuffer_file_segment_add_cleanup_cb(segment, print_segment_cleanup, &fd);
		CHECK_EQUAL(evbuffer_add_file_segment(a, segment, 0, 10), 0);
		CHECK_EQUAL(evbuffer_add_file_segment(b, segment, 10, -1), 0);
		CHECK_EQUAL(evbuffer_add_file_segment(a, segment, SIZE, -1), 0);
		puts("free");
		evbuffer_file_segment_free(segment);
		puts("drain");
		evbuffer_drain(b, SIZE);
		puts("drain");
		evbuffer_drain(a, 9);
		puts("drain");
		evbuffer_drain(a, 1);
		CHECK(!is_open(fd));
		evbuffer_free(a);
		evbuffer_free(b);
	}
}

CASE(segments_that_cannot_be, ONE_BACKEND)
{
	struct evbuffer_file_segment *segment;
	int fd = pattern_file(100);
	CHECK(!evbuffer_file_segment_new(fd, -1, 10, 0));
	CHECK(!evbuffer_file_segment_new(fd, 0, -2, 0));
	CHECK(!evbuffer_file_segment_new(fd, 1, (ev_off_t)0x7fffffffffffffff, 0));
	CHECK(!evbuffer_file_segment_new(-1, 0, -1, 0));
	CHECK(!evbuffer_file_segment_new(-1, 0, 10, EVBUF_FS_DISABLE_SENDFILE));
	CHECK(!evbuffer_file_segment_new(fd, 0, 0,
		EVBUF_FS_DISABLE_SENDFILE | EVBUF_FS_DISABLE_MMAP));
	CHECK(!evbuffer_file_segment_new(fd, 50, 51,
		EVBUF_FS_DISABLE_SENDFILE | EVBUF_FS_DISABLE_MMAP)); /* too short */
	CHECK(!evbuffer_file_segment_new(fd, 1, -2, EVBUF_FS_CLOSE_ON_FREE));
	CHECK(is_open(fd));
	segment = evbuffer_file_segment_new(fd, 50, 50, EVBUF_FS_DISABLE_SENDFILE | EVBUF_FS_DISABLE_MMAP);
	CHECK(segment); /* just long enough */
	evbuffer_file_segment_free(segment);
	close(fd);
}

CASE(a_failing_addition_takes_a_reference, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	for (int way = 0; way < 2; way++) {
		int fd = pattern_file(100);
		struct evbuffer_file_segment *segment =
			evbuffer_file_segment_new(fd, 0, 100, EVBUF_FS_CLOSE_ON_FREE);
		evbuffer_file_segment_add_cleanup_cb(segment, print_segment_cleanup, &fd);
		if (way == 0) {
			CHECK_EQUAL(evbuffer_add_file_segment(buffer, segment, 101, -1), -1);
		} else {
			evbuffer_freeze(buffer, 0);
			CHECK_EQUAL(evbuffer_add_file_segment(buffer, segment, 0, -1), -1);
		}
		CHECK(!is_open(fd));
	}
	evbuffer_free(buffer);
}

CASE(whose_descriptor_it_is, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	int fd = pattern_file(100), empty;
	CHECK_EQUAL(evbuffer_add_file(buffer, fd, -1, 10), -1);
	CHECK(is_open(fd));
	CHECK_EQUAL(evbuffer_add_file(buffer, fd, 0, -3), -1);
	CHECK(is_open(fd));
	CHECK_EQUAL(evbuffer_add_file(buffer, -1, 0, -1), -1);
	evbuffer_freeze(buffer, 0);
	CHECK_EQUAL(evbuffer_add_file(buffer, fd, 0, 10), -1);
	CHECK(!is_open(fd));
	evbuffer_unfreeze(buffer, 0);
	fd = pattern_file(100);
	CHECK_EQUAL(evbuffer_add_file(buffer, fd, 0, 10), 0);
	evbuffer_drain(buffer, 9);
	CHECK(is_open(fd));
	evbuffer_free(buffer);
	CHECK(!is_open(fd));

	buffer = new_buffer();
	empty = pattern_file(0);
	CHECK_EQUAL(evbuffer_add_file(buffer, empty, 0, -1), -1);
	CHECK_EQUAL(errno, EINVAL);
	empty = pattern_file(0);
	evbuffer_set_flags(buffer, EVBUFFER_FLAG_DRAINS_TO_FD);
	CHECK_EQUAL(evbuffer_add_file(buffer, empty, 0, -1), 0);
	CHECK_EQUAL(evbuffer_get_length(buffer), 0);
	evbuffer_free(buffer);
	CHECK(!is_open(empty));
}

CASE(a_growing_file, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	int fd = pattern_file(100);
	evbuffer_set_flags(buffer, EVBUFFER_FLAG_DRAINS_TO_FD);
	CHECK_EQUAL(evbuffer_add_file(buffer, fd, 0, -1), 0);
	CHECK_EQUAL(lseek(fd, 0, SEEK_END), 100);
	CHECK_EQUAL(write(fd, content + 100, 1000), 1000);
	check_written(buffer, content, 100); /* as it was */
	evbuffer_free(buffer);
}

CASE(a_truncated_file_sends_nothing, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	int fd = pattern_file(100), pipes[2];
	CHECK_EQUAL(pipe(pipes), 0);
	evbuffer_set_flags(buffer, EVBUFFER_FLAG_DRAINS_TO_FD);
	CHECK_EQUAL(evbuffer_add_file(buffer, fd, 0, -1), 0);
	CHECK_EQUAL(ftruncate(fd, 30), 0);
	CHECK_EQUAL(evbuffer_write(buffer, pipes[1]), 30);
	CHECK_EQUAL(evbuffer_write(buffer, pipes[1]), 0);
	CHECK_EQUAL(evbuffer_get_length(buffer), 70);
	evbuffer_free(buffer);
}

CASE(views_of_files_are_refused, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer(), *other = new_buffer();
	CHECK_EQUAL(evbuffer_add_file(buffer, pattern_file(100), 0, 100), 0);
	CHECK_EQUAL(evbuffer_add_buffer_reference(other, buffer), -1);
	CHECK_EQUAL(evbuffer_get_length(other), 0);
	evbuffer_free(buffer);
	evbuffer_free(other);
}

DIFFERENCE(ranges_outside_a_segment_are_refused, ONE_BACKEND,
	"evbuffer_add_file_segment accepts a part that begins before the file segment or "
	"whose length overflows")
{
	struct evbuffer *buffer = new_buffer();
	static const ev_off_t ranges[][2] = {{-1, 5}, {-100, -1}, {0, 101}, {50, 51},
		{1, (ev_off_t)0x7fffffffffffffff}, {100, 1}, {101, 0}};
	for (int i = 0; i < 7; i++) {
		int fd = pattern_file(200);
		struct evbuffer_file_segment *segment =
			evbuffer_file_segment_new(fd, 0, 100, EVBUF_FS_CLOSE_ON_FREE);
		CHECK_EQUAL(evbuffer_add_file_segment(buffer, segment, ranges[i][0], ranges[i][1]), -1);
		CHECK(!is_open(fd));
	}
	CHECK_EQUAL(evbuffer_get_length(buffer), 0);
	evbuffer_free(buffer);
}

DIFFERENCE(the_rest_of_a_file_ends_with_the_file, ONE_BACKEND,
	"adding \"the rest\" of a file segment from an offset on reads beyond the end of the file")
{
	struct evbuffer *buffer = new_buffer();
	int fd = pattern_file(SIZE);
	CHECK_EQUAL(evbuffer_add_file(buffer, fd, 100, -1), 0);
	check_content(buffer, content + 100, SIZE - 100);
	CHECK_EQUAL(evbuffer_add_file(buffer, pattern_file(100), 101, -1), -1);
	evbuffer_free(buffer);
}

DIFFERENCE(files_that_were_not_read_can_be_looked_at, ONE_BACKEND,
	"peeking at bytes that are still to be sent from a file returns the library's own memory instead")
{
	for (int what = 0; what < 8; what++) {
		struct evbuffer *buffer = new_buffer(), *other = new_buffer();
		unsigned char out[300], *start;
		struct evbuffer_iovec vec[3];
		struct evbuffer_ptr position;
		evbuffer_set_flags(buffer, EVBUFFER_FLAG_DRAINS_TO_FD);
		evbuffer_add(buffer, "head", 4);
		CHECK_EQUAL(evbuffer_add_file(buffer, pattern_file(SIZE), 50, 200), 0);
		evbuffer_add(buffer, "\n", 1);
		switch (what) {
		case 0:
			CHECK_EQUAL(evbuffer_copyout(buffer, out, 204), 204);
			CHECK(!memcmp(out + 4, content + 50, 200));
			break;
		case 1:
			CHECK_EQUAL(evbuffer_remove(buffer, out, 104), 104);
			CHECK(!memcmp(out + 4, content + 50, 100));
			CHECK(!memcmp(evbuffer_pullup(buffer, 100), content + 150, 100));
			break;
		case 2:
			start = evbuffer_pullup(buffer, -1);
			CHECK(start && !memcmp(start + 4, content + 50, 200) && start[204] == '\n');
			break;
		case 3:
			evbuffer_drain(buffer, 4 + 10);
			CHECK(!memcmp(evbuffer_pullup(buffer, 190), content + 60, 190));
			break;
		case 4:
			position = evbuffer_search(buffer, (char *)content + 60, 50, NULL);
			CHECK_EQUAL(position.pos, 14);
			CHECK_EQUAL(evbuffer_copyout_from(buffer, &position, out, 20), 20);
			CHECK(!memcmp(out, content + 60, 20));
			break;
		case 5:
			CHECK_EQUAL(evbuffer_peek(buffer, -1, NULL, vec, 3), 3);
			CHECK(vec[1].iov_len == 200 && !memcmp(vec[1].iov_base, content + 50, 200));
			break;
		case 6:
			CHECK_EQUAL(evbuffer_remove_buffer(buffer, other, 104), 104);
			CHECK_EQUAL(evbuffer_remove_buffer(buffer, other, 50), 50);
			check_chains(buffer);
			CHECK_EQUAL(evbuffer_copyout(other, out, 200), 154);
			CHECK(!memcmp(out + 4, content + 50, 150));
			break;
		default:
			CHECK_EQUAL(evbuffer_search_eol(buffer, NULL, NULL, EVBUFFER_EOL_LF).pos,
				4 + ((unsigned char *)memchr(content + 50, '\n', 200) - (content + 50)));
		}
		evbuffer_free(buffer);
		evbuffer_free(other);
	}
}

DIFFERENCE(files_that_cannot_be_read_give_no_bytes, ONE_BACKEND,
	"peeking at bytes that are still to be sent from a file returns the library's own memory instead")
{
	struct evbuffer *buffer = new_buffer(), *other = new_buffer();
	struct evbuffer_iovec vec[1];
	char out[10];
	int fd = pattern_file(SIZE);
	evbuffer_set_flags(buffer, EVBUFFER_FLAG_DRAINS_TO_FD);
	CHECK_EQUAL(evbuffer_add_file(buffer, fd, 0, 200), 0);
	CHECK_EQUAL(ftruncate(fd, 100), 0);
	CHECK_EQUAL(evbuffer_copyout(buffer, out, 10), -1);
	CHECK_EQUAL(evbuffer_remove(buffer, out, 10), -1);
	CHECK(!evbuffer_pullup(buffer, 10));
	CHECK_EQUAL(evbuffer_peek(buffer, -1, NULL, vec, 1), -1);
	CHECK_EQUAL(evbuffer_search(buffer, "a", 1, NULL).pos, -1);
	CHECK(!evbuffer_readln(buffer, NULL, EVBUFFER_EOL_LF));
	CHECK_EQUAL(evbuffer_get_length(buffer), 200);
	CHECK_EQUAL(evbuffer_drain(buffer, 200), 0);
	evbuffer_free(buffer);
	evbuffer_free(other);
}

DIFFERENCE(sending_a_file_respects_the_limit, ONE_BACKEND,
	"evbuffer_write_atmost with a limit sends all of a file")
{
	struct evbuffer *buffer = new_buffer();
	int pipes[2];
	CHECK_EQUAL(pipe(pipes), 0);
	evbuffer_set_flags(buffer, EVBUFFER_FLAG_DRAINS_TO_FD);
	CHECK_EQUAL(evbuffer_add_file(buffer, pattern_file(SIZE), 0, SIZE), 0);
	CHECK_EQUAL(evbuffer_write_atmost(buffer, pipes[1], 10), 10);
	CHECK_EQUAL(evbuffer_get_length(buffer), SIZE - 10);
	evbuffer_free(buffer);
}

DIFFERENCE(sending_a_file_to_a_full_pipe_fails, ONE_BACKEND,
	"sending a file to a full pipe returns 0, which means end of file, instead of -1 with EAGAIN")
{
	struct evbuffer *buffer = new_buffer();
	static char fill[1 << 20];
	int pipes[2];
	CHECK_EQUAL(pipe2(pipes, O_NONBLOCK), 0);
	while (write(pipes[1], fill, sizeof fill) > 0)
		;
	evbuffer_set_flags(buffer, EVBUFFER_FLAG_DRAINS_TO_FD);
	CHECK_EQUAL(evbuffer_add_file(buffer, pattern_file(SIZE), 0, SIZE), 0);
	CHECK_EQUAL(evbuffer_write(buffer, pipes[1]), -1);
	CHECK_EQUAL(errno, EAGAIN);
	CHECK_EQUAL(evbuffer_get_length(buffer), SIZE);
	evbuffer_free(buffer);
}

DIFFERENCE(files_that_cannot_be_added_are_closed, ONE_BACKEND,
	"evbuffer_add_file leaves the descriptor of a file that cannot be read open although it took it over")
{
	struct evbuffer *buffer = new_buffer();
	int fd = pattern_file(0), short_one = pattern_file(10);
	CHECK_EQUAL(evbuffer_add_file(buffer, fd, 0, -1), -1);
	CHECK(!is_open(fd));
	CHECK_EQUAL(evbuffer_add_file(buffer, short_one, 0, 5000), -1);
	CHECK(!is_open(short_one));
	evbuffer_free(buffer);
}

/* What libevent's own tests read of a segment: bit 0, the kernel can send it; bit 1, it is a mapping. */
static unsigned
nature(struct evbuffer_file_segment *segment)
{
	unsigned word;

	memcpy(&word, (char *)segment + 16, sizeof word);
	return word & 3;
}

CASE(what_a_segment_is, ONE_BACKEND)
{
	static const ev_off_t offsets[] = {0, 1, 4096, 9999};
	struct evbuffer_file_segment *segment;
	size_t i;
	int way, drains;

	for (way = 0; way < WAYS; way++) {
		for (i = 0; i < 4; i++) {
			for (drains = 0; drains < 2; drains++) {
				int fd = pattern_file(SIZE), pipes[2];
				struct evbuffer *buffer = new_buffer();

				CHECK_EQUAL(pipe(pipes), 0);
				if (drains)
					evbuffer_set_flags(buffer, EVBUFFER_FLAG_DRAINS_TO_FD);
				segment = evbuffer_file_segment_new(fd, offsets[i], SIZE - offsets[i], ways[way]);
				CHECK(segment);
				printf("0x%x, offset %d, drains %d: new %u", ways[way], (int)offsets[i], drains,
					nature(segment));
				CHECK_EQUAL(evbuffer_add_file_segment(buffer, segment, 0, -1), 0);
				printf(", added %u", nature(segment));
				CHECK(evbuffer_write(buffer, pipes[1]) > 0);
				printf(", written %u\n", nature(segment));
				evbuffer_free(buffer);
				evbuffer_file_segment_free(segment);
				close(fd);
				close(pipes[0]);
				close(pipes[1]);
			}
		}
	}
}

CASE(what_a_segment_of_a_huge_file_is, ONE_BACKEND)
{
	ev_off_t size = (ev_off_t)1 << 50;
	int fd = memfd_create("huge", 0), way;
	struct evbuffer_file_segment *segment;

	CHECK_EQUAL(ftruncate(fd, size), 0);
	for (way = 0; way < WAYS; way++) {
		segment = evbuffer_file_segment_new(fd, 0, -1, ways[way]);
		printf("0x%x: %d\n", ways[way], segment ? (int)nature(segment) : -1);
		if (segment)
			evbuffer_file_segment_free(segment);
	}
	close(fd);
}

/* What cannot be mapped is read into memory, without the bit. */
CASE(what_a_segment_that_cannot_be_mapped_is, ONE_BACKEND)
{
	int fd = open("/proc/self/maps", O_RDONLY);
	struct evbuffer_file_segment *segment = evbuffer_file_segment_new(fd, 0, 10, EVBUF_FS_DISABLE_SENDFILE);

	printf("%d\n", segment ? (int)nature(segment) : -1);
	if (segment)
		evbuffer_file_segment_free(segment);
	close(fd);
}

DIFFERENCE(looked_at_from_memory_into_a_file, ONE_BACKEND,
    "Copying a range that starts in memory and ends in a file that was not read yet crashes.")
{
	struct evbuffer *buffer = new_buffer();
	int fd = pattern_file(SIZE);
	struct evbuffer_ptr at;
	char out[8];

	evbuffer_set_flags(buffer, EVBUFFER_FLAG_DRAINS_TO_FD);
	evbuffer_add(buffer, "in front", 8);
	CHECK_EQUAL(evbuffer_add_file(buffer, fd, 0, SIZE), 0);
	CHECK_EQUAL(evbuffer_ptr_set(buffer, &at, 4, EVBUFFER_PTR_SET), 0);
	CHECK_EQUAL(evbuffer_copyout_from(buffer, &at, out, 8), 8);
	CHECK(!memcmp(out, "ront", 4));
	CHECK(!memcmp(out + 4, content, 4));
	CHECK_EQUAL(evbuffer_get_length(buffer), SIZE + 8);
	evbuffer_free(buffer);
}
