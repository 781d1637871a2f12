/* Coverage-guided: the input chooses a sequence of operations on buffers, which are checked against the
 * model after each. These are the model's operations, and some that crash the reference. */
#define _GNU_SOURCE /* memmem, memfd_create */
#include "buffer/model.h"
#include "checks.h"

#include <sys/mman.h>

static const uint8_t *input;
static size_t left;

static unsigned
pick(unsigned bound)
{
	unsigned value = 0;
	for (unsigned reach = 1; reach < bound && left; reach <<= 8, left--)
		value = value << 8 | *input++;
	return bound ? value % bound : 0;
}

static void
op_shared_pullup(struct model *m, struct model *other)
{
	int shared = m->shared;
	m->shared = 0;
	op_pullup(m, other);
	m->shared = shared;
}

static void
op_any_views(struct model *m, struct model *other)
{
	if (evbuffer_add_buffer_reference(m->buffer, other->buffer) == 0) {
		append_model(m, other->data, other->length);
		m->shared = other->shared = 1;
	}
}

static void
op_freeze(struct model *m, struct model *other)
{
	int front = (int)pick(2);
	size_t length = pick_length() + 1;
	(void)other;
	evbuffer_freeze(m->buffer, front);
	if (front) {
		CHECK_EQUAL(evbuffer_drain(m->buffer, length), m->length ? -1 : 0);
		CHECK_EQUAL(evbuffer_prepend(m->buffer, scratch, length), -1);
		CHECK(!evbuffer_readln(m->buffer, NULL, (enum evbuffer_eol_style)pick(5)));
	} else {
		CHECK_EQUAL(evbuffer_add(m->buffer, scratch, length), -1);
		CHECK_EQUAL(evbuffer_add_printf(m->buffer, "x"), -1);
	}
	evbuffer_unfreeze(m->buffer, front);
}

static void
op_impossible_length(struct model *m, struct model *other)
{
	size_t length = (size_t)-1 - pick(100) - (pick(2) ? SIZE_MAX / 2 : 0);
	struct evbuffer_iovec vec[2] = {{scratch, length}, {scratch, pick(200)}};
	(void)other;
	CHECK_EQUAL(evbuffer_add(m->buffer, scratch, length), -1);
	CHECK_EQUAL(evbuffer_prepend(m->buffer, scratch, length), -1);
	CHECK_EQUAL(evbuffer_expand(m->buffer, length), -1);
	CHECK_EQUAL(evbuffer_add_iovec(m->buffer, vec, 2), 0);
	CHECK_EQUAL(evbuffer_reserve_space(m->buffer, (ev_ssize_t)length, vec, 1 + (int)pick(2)), -1);
}

static void
op_add_file(struct model *m, struct model *other)
{
	size_t length = 1 + pick_length(), offset = pick((unsigned)length), count = length - offset;
	int fd = memfd_create("file", 0);
	unsigned flags = pick(16) & ~(unsigned)EVBUF_FS_CLOSE_ON_FREE;
	struct evbuffer_file_segment *segment;
	(void)other;
	if (fd < 0)
		return;
	fill(scratch, length);
	CHECK_EQUAL(write(fd, scratch, length), length);
	segment = evbuffer_file_segment_new(fd, 0, (ev_off_t)length, flags | EVBUF_FS_CLOSE_ON_FREE);
	CHECK(segment);
	if (pick(2))
		evbuffer_set_flags(m->buffer, EVBUFFER_FLAG_DRAINS_TO_FD);
	CHECK_EQUAL(evbuffer_add_file_segment(m->buffer, segment, (ev_off_t)offset, (ev_off_t)count), 0);
	evbuffer_clear_flags(m->buffer, EVBUFFER_FLAG_DRAINS_TO_FD);
	evbuffer_file_segment_free(segment);
	append_model(m, scratch + offset, count);
	m->shared = 1;
}

/* Part of the reserved space, or space that was not reserved. */
static void
op_odd_commit(struct model *m, struct model *other)
{
	struct evbuffer_iovec vec[3];
	int count = evbuffer_reserve_space(m->buffer, 1 + (ev_ssize_t)pick_length(), vec, 1 + (int)pick(3));
	size_t added = 0;
	(void)other;
	CHECK(count >= 1);
	if (pick(2)) {
		int wrong = (int)pick((unsigned)count);
		vec[wrong].iov_len++;
		if (pick(2)) {
			vec[wrong].iov_len = 1;
			vec[wrong].iov_base = (char *)vec[wrong].iov_base + 1;
		}
		CHECK_EQUAL(evbuffer_commit_space(m->buffer, vec, count), -1);
		return;
	}
	for (int i = 0; i < count; i++) {
		size_t most = vec[i].iov_len < 300 ? vec[i].iov_len : 300;
		vec[i].iov_len = pick((unsigned)most + 1);
		fill(vec[i].iov_base, vec[i].iov_len);
		memcpy(m->data + m->length + added, vec[i].iov_base, vec[i].iov_len);
		added += vec[i].iov_len;
	}
	CHECK_EQUAL(evbuffer_commit_space(m->buffer, vec, count), 0);
	m->length += added;
}

/* Bytes of the buffer itself. */
static void
op_add_own(struct model *m, struct model *other)
{
	size_t length = m->length < 500 ? m->length : 500, from = length ? pick((unsigned)length) : 0;
	unsigned char *start = evbuffer_pullup(m->buffer, (ev_ssize_t)length);
	(void)other;
	if (!start)
		return;
	memcpy(scratch, start + from, length - from);
	if (pick(2)) {
		CHECK_EQUAL(evbuffer_add(m->buffer, start + from, length - from), 0);
		append_model(m, scratch, length - from);
	} else {
		CHECK_EQUAL(evbuffer_prepend(m->buffer, start + from, length - from), 0);
		memmove(m->data + length - from, m->data, m->length);
		memcpy(m->data, scratch, length - from);
		m->length += length - from;
	}
}

static void (*const more_operations[])(struct model *, struct model *) = {op_shared_pullup, op_any_views,
	op_freeze, op_impossible_length, op_add_file, op_odd_commit, op_add_own};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	input = bytes;
	left = size;
	model_start();
	while (left) {
		if (pick(4))
			model_step(operations, COUNT(operations));
		else
			model_step(more_operations, COUNT(more_operations));
	}
	model_end();
	return 0;
}
