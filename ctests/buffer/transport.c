/* Reading from and writing to descriptors; room that is reserved and committed. */
#define _GNU_SOURCE /* pipe2 */
#include "tools.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned char data[65536];

static void
make_pipe(int ends[2])
{
	CHECK_EQUAL(pipe2(ends, O_NONBLOCK), 0);
	fill_pattern(data, sizeof data, 0);
}

CASE(reading_takes_what_is_asked_for, ONE_BACKEND)
{
	static const int asked[] = {1, 5, 100, 456, 457, 975, 976, 977, 4095, 4096, 4097, 100000, -1};
	static const size_t queued[] = {1, 5, 456, 500, 1000, 4096, 5000, 30000};
	int ends[2];
	make_pipe(ends);
	for (size_t a = 0; a < sizeof asked / sizeof asked[0]; a++) {
		for (size_t q = 0; q < sizeof queued / sizeof queued[0]; q++) {
			for (int before = 0; before < 3; before++) {
				struct evbuffer *buffer = new_buffer();
				int expected = asked[a] < 0 || asked[a] > 4096 ? 4096 : asked[a];
				size_t old = before ? 400 : 0;
				unsigned char rest[30000];
				if ((size_t)expected > queued[q])
					expected = (int)queued[q];
				evbuffer_add(buffer, data, old);
				if (before == 2)
					evbuffer_expand(buffer, 2000);
				CHECK_EQUAL(write(ends[1], data + old, queued[q]), queued[q]);
				CHECK_EQUAL(evbuffer_read(buffer, ends[0], asked[a]), expected);
				check_content(buffer, data, old + (size_t)expected);
				if ((size_t)expected < queued[q])
					CHECK_EQUAL(read(ends[0], rest, sizeof rest), queued[q] - (size_t)expected);
				evbuffer_free(buffer);
			}
		}
	}
}

CASE(reading_the_end_and_nothing, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	int ends[2];
	make_pipe(ends);
	errno = 0;
	CHECK_EQUAL(evbuffer_read(buffer, ends[0], 100), -1);
	CHECK_EQUAL(errno, EAGAIN);
	CHECK_EQUAL(evbuffer_get_length(buffer), 0);
	evbuffer_add(buffer, "x", 1);
	CHECK_EQUAL(evbuffer_read(buffer, ends[0], 0), 0);
	CHECK_EQUAL(evbuffer_read(buffer, ends[0], 10), -1);
	close(ends[1]);
	CHECK_EQUAL(evbuffer_read(buffer, ends[0], 100), 0);
	CHECK_EQUAL(evbuffer_read(buffer, -1, 100), -1);
	CHECK_EQUAL(errno, EBADF);
	check_text(buffer, "x");
	CHECK_EQUAL(evbuffer_add(buffer, "y", 1), 0);
	check_text(buffer, "xy");
	evbuffer_free(buffer);
}

CASE(reading_many_small_pieces, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	int ends[2];
	size_t done = 0;
	make_pipe(ends);
	for (size_t piece = 1; done + piece < 30000; piece = piece * 3 % 1009 + 1) {
		CHECK_EQUAL(write(ends[1], data + done, piece), piece);
		CHECK_EQUAL(evbuffer_read(buffer, ends[0], -1), piece);
		done += piece;
		check_chains(buffer);
	}
	check_content(buffer, data, done);
	evbuffer_free(buffer);
}

CASE(writing_as_much_as_is_allowed, ONE_BACKEND)
{
	static const ev_ssize_t limits[] = {1, 99, 100, 101, 250, 1000, 12800, 20000, -1, -5};
	int ends[2];
	static unsigned char out[65536];
	make_pipe(ends);
	for (int l = 0; l < 10; l++) {
		struct evbuffer *buffer = new_buffer();
		size_t done = 0;
		int count;
		for (int i = 0; i < 300; i++)
			evbuffer_add_reference(buffer, data + i * 100, 100, NULL, NULL);
		do {
			count = evbuffer_write_atmost(buffer, ends[1], limits[l]);
			if (done == 0)
				printf("%zd: %d\n", limits[l], count);
			if (count > 0) {
				CHECK_EQUAL(read(ends[0], out + done, (size_t)count), count);
				done += (size_t)count;
				CHECK_EQUAL(evbuffer_get_length(buffer), 30000 - done);
			}
		} while (count > 0);
		CHECK_EQUAL(done, 30000);
		CHECK(!memcmp(out, data, done));
		evbuffer_free(buffer);
	}
}

CASE(writing_nothing_fails, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	int ends[2];
	make_pipe(ends);
	errno = 77;
	CHECK_EQUAL(evbuffer_write(buffer, ends[1]), -1);
	evbuffer_add(buffer, "text", 4);
	CHECK_EQUAL(evbuffer_write_atmost(buffer, ends[1], 0), -1);
	CHECK_EQUAL(errno, 77);
	CHECK_EQUAL(evbuffer_write(buffer, -1), -1);
	CHECK_EQUAL(errno, EBADF);
	check_text(buffer, "text");
	evbuffer_free(buffer);
}

CASE(writing_to_a_full_descriptor, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	int ends[2], count;
	size_t total = 0;
	make_pipe(ends);
	for (int i = 0; i < 4; i++)
		evbuffer_add_reference(buffer, data, sizeof data, NULL, NULL);
	while ((count = evbuffer_write(buffer, ends[1])) > 0)
		total += (size_t)count;
	CHECK_EQUAL(count, -1);
	CHECK_EQUAL(errno, EAGAIN);
	CHECK_EQUAL(evbuffer_get_length(buffer), 4 * sizeof data - total);
	check_chains(buffer);
	evbuffer_free(buffer);
}

CASE(reserved_room_becomes_data, ONE_BACKEND)
{
	for (int pieces = 1; pieces <= 4; pieces++) {
		for (size_t before = 0; before < 1100; before += 50) {
			for (size_t size = 1; size < 9000; size = size * 2 + 1) {
				struct evbuffer *buffer = new_buffer();
				struct evbuffer_iovec vec[4], again[4];
				size_t total = 0, done = 0;
				int count;
				fill_pattern(data, 12000, 0);
				evbuffer_add(buffer, data, before);
				count = evbuffer_reserve_space(buffer, (ev_ssize_t)size, vec, pieces);
				CHECK(count >= 1 && count <= pieces);
				CHECK_EQUAL(evbuffer_reserve_space(buffer, (ev_ssize_t)size, again, pieces), count);
				for (int i = 0; i < count; i++) {
					CHECK(vec[i].iov_base == again[i].iov_base && vec[i].iov_len == again[i].iov_len);
					total += vec[i].iov_len;
				}
				CHECK(total >= size);
				CHECK_EQUAL(evbuffer_get_length(buffer), before);
				for (int i = 0; i < count; i++) {
					if (vec[i].iov_len > size - done)
						vec[i].iov_len = size - done;
					memcpy(vec[i].iov_base, data + before + done, vec[i].iov_len);
					done += vec[i].iov_len;
				}
				CHECK_EQUAL(evbuffer_commit_space(buffer, vec, count), 0);
				check_content(buffer, data, before + size);
				CHECK_EQUAL(evbuffer_commit_space(buffer, vec, count), -1); /* twice */
				check_content(buffer, data, before + size);
				evbuffer_free(buffer);
			}
		}
	}
}

CASE(parts_of_reserved_room, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	struct evbuffer_iovec vec[2], wrong[2];
	int count;
	evbuffer_add(buffer, "start", 5);
	count = evbuffer_reserve_space(buffer, 5000, vec, 2);
	CHECK_EQUAL(count, 2);
	/* Vectors that do not describe the reserved space. */
	memcpy(wrong, vec, sizeof vec);
	wrong[0].iov_base = (char *)wrong[0].iov_base + 1;
	wrong[0].iov_len = 1;
	CHECK_EQUAL(evbuffer_commit_space(buffer, wrong, 1), -1);
	memcpy(wrong, vec, sizeof vec);
	wrong[0].iov_len++;
	CHECK_EQUAL(evbuffer_commit_space(buffer, wrong, 2), -1);
	memcpy(wrong, vec, sizeof vec);
	wrong[1].iov_len++;
	CHECK_EQUAL(evbuffer_commit_space(buffer, wrong, 2), -1);
	wrong[0] = vec[1];
	wrong[1] = vec[0];
	CHECK_EQUAL(evbuffer_commit_space(buffer, wrong, 2), -1);
	CHECK_EQUAL(evbuffer_commit_space(buffer, vec, 0), 0);
	check_text(buffer, "start");
	/* Nothing in the first, something in the second. */
	memcpy(vec[1].iov_base, "second", 6);
	vec[0].iov_len = 0;
	vec[1].iov_len = 6;
	CHECK_EQUAL(evbuffer_commit_space(buffer, vec, 2), 0);
	check_text(buffer, "startsecond");
	evbuffer_add(buffer, "!", 1);
	check_text(buffer, "startsecond!");
	evbuffer_free(buffer);

	/* The last chain alone. */
	buffer = new_buffer();
	evbuffer_add(buffer, "start", 5);
	CHECK_EQUAL(evbuffer_reserve_space(buffer, 5000, vec, 2), 2);
	memcpy(vec[1].iov_base, "last", 4);
	vec[1].iov_len = 4;
	CHECK_EQUAL(evbuffer_commit_space(buffer, vec + 1, 1), 0);
	check_text(buffer, "startlast");
	evbuffer_prepend(buffer, "!", 1);
	evbuffer_drain(buffer, 5);
	check_text(buffer, "tlast");
	evbuffer_free(buffer);
}

CASE(reserving_after_data_that_cannot_be_written, ONE_BACKEND)
{
	for (int pieces = 1; pieces < 3; pieces++) {
		struct evbuffer *buffer = new_buffer();
		struct evbuffer_iovec vec[2];
		add_chain(buffer, "reference");
		CHECK_EQUAL(evbuffer_reserve_space(buffer, 10, vec, pieces), 1);
		CHECK(vec[0].iov_len >= 10);
		memcpy(vec[0].iov_base, " and more", 9);
		vec[0].iov_len = 9;
		CHECK_EQUAL(evbuffer_commit_space(buffer, vec, 1), 0);
		check_text(buffer, "reference and more");
		evbuffer_free(buffer);
	}
}

CASE(expanding_makes_contiguous_room, ONE_BACKEND)
{
	for (size_t before = 0; before < 6000; before += 300) {
		for (size_t drained = 0; drained <= before; drained += 250) {
			for (size_t size = 1; size < 9000; size = size * 3 + 1) {
				struct evbuffer *buffer = new_buffer();
				struct evbuffer_iovec vec[1];
				fill_pattern(data, sizeof data, 0);
				evbuffer_add(buffer, data, before);
				evbuffer_drain(buffer, drained);
				CHECK_EQUAL(evbuffer_expand(buffer, size), 0);
				check_content(buffer, data + drained, before - drained);
				CHECK_EQUAL(evbuffer_reserve_space(buffer, (ev_ssize_t)size, vec, 1), 1);
				CHECK(vec[0].iov_len >= size);
				CHECK_EQUAL(evbuffer_add(buffer, data + before, size), 0);
				check_content(buffer, data + drained, before - drained + size);
				evbuffer_free(buffer);
			}
		}
	}
}

DIFFERENCE(no_room_can_be_reserved, ONE_BACKEND,
	"reserving or reading 0 bytes ends the process when the buffer's last block is full")
{
	struct evbuffer *buffer = new_buffer();
	struct evbuffer_iovec vec[2];
	int ends[2];
	make_pipe(ends);
	/* Full in the sizes of both libraries. */
	evbuffer_add(buffer, data, 456);
	evbuffer_add(buffer, data, 520);
	CHECK_EQUAL(evbuffer_reserve_space(buffer, 0, vec, 2), 0);
	CHECK_EQUAL(evbuffer_read(buffer, ends[0], 0), 0);
	evbuffer_drain(buffer, 1000);
	evbuffer_add(buffer, data, 976);
	CHECK_EQUAL(evbuffer_reserve_space(buffer, 0, vec, 2), 0);
	CHECK_EQUAL(evbuffer_read(buffer, ends[0], 0), 0);
	evbuffer_free(buffer);
}

DIFFERENCE(what_was_reserved_can_be_committed, ONE_BACKEND,
	"evbuffer_reserve_space may return space that evbuffer_commit_space then refuses")
{
	struct evbuffer *buffer = new_buffer();
	struct evbuffer_iovec vec[3];
	evbuffer_add(buffer, data, 970); /* a small remainder, then free chains */
	CHECK(evbuffer_reserve_space(buffer, 1000, vec, 2) > 0);
	CHECK(evbuffer_reserve_space(buffer, 5000, vec, 3) > 0);
	CHECK_EQUAL(evbuffer_reserve_space(buffer, 500, vec, 1), 1);
	memcpy(vec[0].iov_base, "text", 4);
	vec[0].iov_len = 4;
	CHECK_EQUAL(evbuffer_commit_space(buffer, vec, 1), 0);
	CHECK_EQUAL(evbuffer_get_length(buffer), 974);
	check_chains(buffer);
	evbuffer_drain(buffer, 970);
	check_text(buffer, "text");
	evbuffer_free(buffer);
}

DIFFERENCE(a_short_read_keeps_little_memory, ONE_BACKEND,
	"evbuffer_read keeps memory for everything that was asked for, however little arrived")
{
	struct evbuffer *buffer = new_buffer();
	int ends[2], count = 0;
	size_t memory = 0;
	struct chain *chain;
	CHECK_EQUAL(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	for (int i = 0; i < 20; i++) {
		CHECK_EQUAL(write(ends[1], "hello", 5), 5);
		CHECK_EQUAL(write(ends[1], data, 4000), 4000); /* what is queued does not count */
		CHECK_EQUAL(evbuffer_read(buffer, ends[0], -1), 5);
		CHECK_EQUAL(recv(ends[0], data, sizeof data, 0), 4000);
	}
	for (chain = chains_of(buffer)->first; chain; chain = chain->next, count++)
		memory += chain->buffer_len;
	CHECK(memory < 1000);
	CHECK_EQUAL(evbuffer_get_length(buffer), 100);
	evbuffer_free(buffer);
}
