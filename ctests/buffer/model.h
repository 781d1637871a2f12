/* A model of buffers, for random sequences of operations: each buffer stands next to a plain byte
 * array that says what the buffer must contain and what every call must return. After each
 * operation the contents, the chains and what the callbacks were told are checked.
 *
 * The program that includes this provides pick(). */
#ifndef CTESTS_BUFFER_MODEL_H
#define CTESTS_BUFFER_MODEL_H

#include "chains.h"

#include <event2/buffer.h>
#include <event2/buffer_compat.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { BUFFERS = 3, CAPACITY = 1 << 16, COMFORTABLE = 6000 };

struct model {
	struct evbuffer *buffer;
	unsigned char data[CAPACITY];
	size_t length;
	size_t told;  /* the length that the callbacks would conclude */
	int shared;   /* may have chains that are shared with another buffer */
};

static struct model models[BUFFERS];
static uint64_t hash;
static unsigned char scratch[CAPACITY];
static int referenced, cleaned, pipe_ends[2];

/* A number below the bound: the source of all choices. */
static unsigned pick(unsigned bound);

static void
see(uint64_t value)
{
	hash = (hash ^ value) * 0x100000001b3u;
}

/* Mostly short, sometimes over the sizes of chains. */
static size_t
pick_length(void)
{
	switch (pick(16)) {
	case 0: return 0;
	case 1: return pick(5000);
	case 2: return 400 + pick(200);
	case 3: return 900 + pick(200);
	case 4: return 1;
	default: return pick(120);
	}
}

static void
fill(unsigned char *data, size_t length)
{
	static const char alphabet[] = "aaab\r\n\r\n\0c";
	unsigned state = pick(256);
	for (size_t i = 0; i < length; i++) {
		state = state * 1103515245 + 12345;
		data[i] = (unsigned char)alphabet[(state >> 16) % (sizeof alphabet - 1)];
	}
}

static void
count_changes(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *argument)
{
	struct model *model = argument;
	(void)buffer;
	CHECK_EQUAL(info->orig_size, model->told);
	model->told += info->n_added;
	model->told -= info->n_deleted;
}

static void
cleanup(const void *data, size_t length, void *argument)
{
	CHECK(argument == data);
	CHECK_EQUAL(length, *(const size_t *)argument);
	cleaned++;
	free(argument);
}

static void
append_model(struct model *m, const void *data, size_t length)
{
	memcpy(m->data + m->length, data, length);
	m->length += length;
}

static void
remove_model(struct model *m, size_t length)
{
	m->length -= length;
	memmove(m->data, m->data + length, m->length);
}

/* First occurrence at or after start that ends at or before end; -1 for none. */
static long
find_model(struct model *m, const unsigned char *what, size_t length, size_t start, size_t end)
{
	unsigned char *found;
	if (start > end)
		return -1;
	found = memmem(m->data + start, end - start, what, length);
	return found ? found - m->data : -1;
}

static int
is_return_or_feed(unsigned char c)
{
	return c == '\r' || c == '\n';
}

static long
find_line_model(struct model *m, size_t start, enum evbuffer_eol_style style, size_t *end_length)
{
	size_t i;
	*end_length = 0;
	for (i = start; i < m->length; i++) {
		unsigned char c = m->data[i];
		if (style == EVBUFFER_EOL_ANY && is_return_or_feed(c)) {
			while (i + *end_length < m->length && is_return_or_feed(m->data[i + *end_length]))
				++*end_length;
			return i;
		}
		if ((style == EVBUFFER_EOL_LF && c == '\n') || (style == EVBUFFER_EOL_NUL && !c)) {
			*end_length = 1;
			return i;
		}
		if (style == EVBUFFER_EOL_CRLF && c == '\n') {
			int with_return = i > start && m->data[i - 1] == '\r';
			*end_length = 1 + with_return;
			return i - with_return;
		}
		if (style == EVBUFFER_EOL_CRLF_STRICT && c == '\r' && i + 1 < m->length &&
		    m->data[i + 1] == '\n') {
			*end_length = 2;
			return i;
		}
	}
	return -1;
}

static void
op_add(struct model *m, struct model *other)
{
	size_t length = pick_length();
	(void)other;
	fill(scratch, length);
	CHECK_EQUAL(evbuffer_add(m->buffer, scratch, length), 0);
	append_model(m, scratch, length);
}

static void
op_prepend(struct model *m, struct model *other)
{
	size_t length = pick_length();
	(void)other;
	fill(scratch, length);
	CHECK_EQUAL(evbuffer_prepend(m->buffer, scratch, length), 0);
	memmove(m->data + length, m->data, m->length);
	memcpy(m->data, scratch, length);
	m->length += length;
}

static void
op_add_reference(struct model *m, struct model *other)
{
	size_t length = sizeof(size_t) + pick_length();
	unsigned char *data = malloc(length);
	(void)other;
	fill(data, length);
	memcpy(data, &length, sizeof length);
	referenced++;
	CHECK_EQUAL(evbuffer_add_reference(m->buffer, data, length, cleanup, data), 0);
	append_model(m, data, length);
}

static void
op_printf(struct model *m, struct model *other)
{
	int number = (int)pick(1000000), length, width = (int)pick_length();
	(void)other;
	length = snprintf((char *)scratch, sizeof scratch, "%d:%*d\r\n", number, width, number);
	CHECK_EQUAL(evbuffer_add_printf(m->buffer, "%d:%*d\r\n", number, width, number), length);
	append_model(m, scratch, (size_t)length);
}

static void
op_iovec(struct model *m, struct model *other)
{
	struct evbuffer_iovec vec[5];
	int count = (int)pick(6);
	size_t total = 0;
	(void)other;
	for (int i = 0; i < count; i++) {
		vec[i].iov_base = scratch + total;
		vec[i].iov_len = pick_length() / 2;
		total += vec[i].iov_len;
	}
	fill(scratch, total);
	CHECK_EQUAL(evbuffer_add_iovec(m->buffer, vec, count), total);
	append_model(m, scratch, total);
}

static void
op_drain(struct model *m, struct model *other)
{
	size_t length = pick(8) ? pick_length() : m->length;
	(void)other;
	CHECK_EQUAL(evbuffer_drain(m->buffer, length), 0);
	remove_model(m, length < m->length ? length : m->length);
}

static void
op_remove(struct model *m, struct model *other)
{
	size_t length = pick_length(), expected = length < m->length ? length : m->length;
	(void)other;
	CHECK_EQUAL(evbuffer_remove(m->buffer, scratch, length), expected);
	CHECK(!memcmp(scratch, m->data, expected));
	remove_model(m, expected);
}

static void
op_copyout_from(struct model *m, struct model *other)
{
	struct evbuffer_ptr position;
	size_t start = pick((unsigned)m->length + 1), length = pick_length(), expected;
	(void)other;
	expected = length < m->length - start ? length : m->length - start;
	CHECK_EQUAL(evbuffer_ptr_set(m->buffer, &position, start, EVBUFFER_PTR_SET), 0);
	CHECK_EQUAL(evbuffer_copyout_from(m->buffer, &position, scratch, length), expected);
	CHECK(!memcmp(scratch, m->data + start, expected));
}

static void
op_position(struct model *m, struct model *other)
{
	struct evbuffer_ptr position;
	size_t start = pick((unsigned)m->length + 1), step = pick_length();
	(void)other;
	CHECK_EQUAL(evbuffer_ptr_set(m->buffer, &position, m->length + 1 + step, EVBUFFER_PTR_SET), -1);
	CHECK_EQUAL(position.pos, -1);
	CHECK_EQUAL(evbuffer_ptr_set(m->buffer, &position, start, EVBUFFER_PTR_SET), 0);
	if (start + step <= m->length) {
		CHECK_EQUAL(evbuffer_ptr_set(m->buffer, &position, step, EVBUFFER_PTR_ADD), 0);
		CHECK_EQUAL(position.pos, start + step);
		if (start + step < m->length) {
			CHECK_EQUAL(evbuffer_copyout_from(m->buffer, &position, scratch, 1), 1);
			CHECK_EQUAL(scratch[0], m->data[start + step]);
		}
	} else {
		CHECK_EQUAL(evbuffer_ptr_set(m->buffer, &position, step, EVBUFFER_PTR_ADD), -1);
		CHECK_EQUAL(position.pos, -1);
	}
}

static void
op_add_buffer(struct model *m, struct model *other)
{
	CHECK_EQUAL(evbuffer_add_buffer(m->buffer, other->buffer), 0);
	append_model(m, other->data, other->length);
	m->shared |= other->shared;
	other->length = 0;
}

static void
op_prepend_buffer(struct model *m, struct model *other)
{
	CHECK_EQUAL(evbuffer_prepend_buffer(m->buffer, other->buffer), 0);
	memmove(m->data + other->length, m->data, m->length);
	memcpy(m->data, other->data, other->length);
	m->length += other->length;
	m->shared |= other->shared;
	other->length = 0;
}

static void
op_remove_buffer(struct model *m, struct model *other)
{
	size_t length = pick_length(), expected = length < other->length ? length : other->length;
	CHECK_EQUAL(evbuffer_remove_buffer(other->buffer, m->buffer, length), expected);
	append_model(m, other->data, expected);
	m->shared |= other->shared;
	remove_model(other, expected);
}

static void
op_add_buffer_reference(struct model *m, struct model *other)
{
	if (other->shared)
		return;
	CHECK_EQUAL(evbuffer_add_buffer_reference(m->buffer, other->buffer), 0);
	append_model(m, other->data, other->length);
	m->shared = other->shared = 1;
}

static void
op_pullup(struct model *m, struct model *other)
{
	size_t length = pick(4) ? pick_length() : m->length;
	unsigned char *start;
	(void)other;
	if (m->shared) /* the reference writes into shared chains here */
		return;
	start = evbuffer_pullup(m->buffer, (ev_ssize_t)length);
	see(start != NULL);
	CHECK((start != NULL) == (length > 0 && length <= m->length));
	if (start) {
		CHECK(!memcmp(start, m->data, length));
		CHECK(evbuffer_get_contiguous_space(m->buffer) >= length);
	}
}

static void
op_expand(struct model *m, struct model *other)
{
	(void)other;
	CHECK_EQUAL(evbuffer_expand(m->buffer, pick_length()), 0);
}

static void
op_reserve(struct model *m, struct model *other)
{
	struct evbuffer_iovec vec[4];
	size_t size = 1 + pick_length(), wanted = pick((unsigned)size + 1), left = wanted;
	int count = evbuffer_reserve_space(m->buffer, (ev_ssize_t)size, vec, 1 + (int)pick(4)), i;
	size_t total = 0;
	(void)other;
	CHECK(count >= 1);
	for (i = 0; i < count; i++)
		total += vec[i].iov_len;
	CHECK(total >= size);
	fill(scratch, wanted);
	append_model(m, scratch, wanted);
	for (i = 0; i < count && left; i++) {
		if (vec[i].iov_len > left)
			vec[i].iov_len = left;
		memcpy(vec[i].iov_base, scratch + wanted - left, vec[i].iov_len);
		left -= vec[i].iov_len;
	}
	CHECK_EQUAL(evbuffer_commit_space(m->buffer, vec, i), 0);
}

static void
op_search(struct model *m, struct model *other)
{
	struct evbuffer_ptr start, end, found;
	size_t length = 1 + pick(4), from = pick((unsigned)m->length + 1), to;
	(void)other;
	fill(scratch, length);
	if (m->length && !pick(3)) {
		length = pick_length() % m->length + 1;
		memcpy(scratch, m->data + pick((unsigned)(m->length - length + 1)), length);
	}
	to = pick(2) ? m->length : pick((unsigned)m->length + 1);
	CHECK_EQUAL(evbuffer_ptr_set(m->buffer, &start, from, EVBUFFER_PTR_SET), 0);
	CHECK_EQUAL(evbuffer_ptr_set(m->buffer, &end, to, EVBUFFER_PTR_SET), 0);
	found = evbuffer_search_range(m->buffer, (char *)scratch, length, &start, &end);
	CHECK_EQUAL(found.pos, find_model(m, scratch, length, from, to));
	found = evbuffer_search(m->buffer, (char *)scratch, length, NULL);
	CHECK_EQUAL(found.pos, find_model(m, scratch, length, 0, m->length));
	see((uint64_t)found.pos);
}

static void
op_find(struct model *m, struct model *other)
{
	unsigned char *found;
	size_t length = 1 + pick(3);
	long expected;
	(void)other;
	if (m->shared)
		return;
	fill(scratch, length);
	expected = find_model(m, scratch, length, 0, m->length);
	found = evbuffer_find(m->buffer, scratch, length);
	CHECK((found != NULL) == (expected >= 0));
	if (found)
		CHECK(!memcmp(found - expected, m->data, (size_t)expected + length));
}

static void
op_search_line(struct model *m, struct model *other)
{
	struct evbuffer_ptr start, found;
	enum evbuffer_eol_style style = (enum evbuffer_eol_style)pick(5);
	size_t from = pick((unsigned)m->length + 1), end_length = 99, expected_length;
	(void)other;
	CHECK_EQUAL(evbuffer_ptr_set(m->buffer, &start, from, EVBUFFER_PTR_SET), 0);
	found = evbuffer_search_eol(m->buffer, &start, &end_length, style);
	CHECK_EQUAL(found.pos, find_line_model(m, from, style, &expected_length));
	CHECK_EQUAL(end_length, expected_length);
	see((uint64_t)found.pos);
	see(end_length);
}

static void
op_readln(struct model *m, struct model *other)
{
	enum evbuffer_eol_style style = (enum evbuffer_eol_style)pick(5);
	size_t length = 99, end_length;
	long end = find_line_model(m, 0, style, &end_length);
	char *line = evbuffer_readln(m->buffer, &length, style);
	(void)other;
	see(line != NULL);
	see(length);
	CHECK((line != NULL) == (end >= 0));
	if (!line) {
		CHECK_EQUAL(length, 0);
		return;
	}
	CHECK_EQUAL(length, end);
	CHECK(!memcmp(line, m->data, length) && !line[length]);
	remove_model(m, length + end_length);
	free(line);
}

static void
op_peek(struct model *m, struct model *other)
{
	struct evbuffer_iovec vec[64];
	struct evbuffer_ptr start;
	size_t from = pick((unsigned)m->length + 1), seen = 0, length = pick_length();
	int count, whole = !pick(2), i;
	(void)other;
	CHECK_EQUAL(evbuffer_ptr_set(m->buffer, &start, from, EVBUFFER_PTR_SET), 0);
	count = evbuffer_peek(m->buffer, whole ? -1 : (ev_ssize_t)length, &start, vec, 64);
	CHECK(count >= 0);
	for (i = 0; i < count && i < 64; i++) {
		if (!vec[i].iov_len)
			continue;
		CHECK(from + seen + vec[i].iov_len <= m->length);
		CHECK(!memcmp(vec[i].iov_base, m->data + from + seen, vec[i].iov_len));
		seen += vec[i].iov_len;
	}
	if (count <= 64 && !whole)
		CHECK(seen >= length || seen == m->length - from);
	if (count < 64 && whole)
		CHECK_EQUAL(seen, m->length - from);
}

/* Out through a pipe and in again at the other buffer. */
static void
op_transport(struct model *m, struct model *other)
{
	size_t limit = 1 + pick(4096), expected = limit < m->length ? limit : m->length;
	int written;
	if (pick(8))
		return;
	written = evbuffer_write_atmost(m->buffer, pipe_ends[1], (ev_ssize_t)limit);
	see((uint64_t)written);
	if (!m->length) {
		CHECK_EQUAL(written, -1);
		return;
	}
	CHECK(written > 0 && (size_t)written <= expected); /* at most 128 chains */
	CHECK_EQUAL(evbuffer_read(other->buffer, pipe_ends[0], -1), written);
	append_model(other, m->data, (size_t)written);
	remove_model(m, (size_t)written);
}

static void (*const operations[])(struct model *, struct model *) = {
	op_add, op_add, op_add, op_add, op_prepend, op_prepend, op_add_reference, op_printf, op_iovec,
	op_drain, op_drain, op_remove, op_remove, op_copyout_from, op_position, op_add_buffer,
	op_prepend_buffer, op_remove_buffer, op_remove_buffer, op_remove_buffer,
	op_add_buffer_reference, op_pullup, op_expand, op_reserve, op_reserve, op_search, op_find,
	op_search_line, op_readln, op_readln, op_peek, op_transport};

#define COUNT(array) (sizeof array / sizeof array[0])

static void
check_model(struct model *m)
{
	check_chains(m->buffer);
	CHECK_EQUAL(evbuffer_get_length(m->buffer), m->length);
	CHECK_EQUAL(m->told, m->length);
	CHECK_EQUAL(evbuffer_copyout(m->buffer, scratch, sizeof scratch), m->length);
	CHECK(!memcmp(scratch, m->data, m->length));
	if (!m->length)
		m->shared = 0;
}

/* Does one of the operations to two of the buffers and checks both. */
static void
model_step(void (*const *choice)(struct model *, struct model *), size_t count)
{
	unsigned a = pick(BUFFERS), b = (a + 1 + pick(BUFFERS - 1)) % BUFFERS;
	struct model *used[2] = {&models[a], &models[b]};
	choice[pick((unsigned)count)](used[0], used[1]);
	for (int i = 0; i < 2; i++) {
		struct model *m = used[i];
		check_model(m);
		see(m->length);
		if (m->length > COMFORTABLE) {
			CHECK_EQUAL(evbuffer_drain(m->buffer, m->length - COMFORTABLE / 2), 0);
			remove_model(m, m->length - COMFORTABLE / 2);
			check_model(m);
		}
	}
}

static void
model_start(void)
{
	hash = 0xcbf29ce484222325u;
	referenced = cleaned = 0;
	if (!pipe_ends[1])
		CHECK_EQUAL(pipe(pipe_ends), 0);
	for (int i = 0; i < BUFFERS; i++) {
		models[i].length = models[i].told = 0;
		models[i].shared = 0;
		models[i].buffer = evbuffer_new();
		CHECK(models[i].buffer);
		CHECK(evbuffer_add_cb(models[i].buffer, count_changes, &models[i]));
	}
}

static void
model_end(void)
{
	/* A view in the buffer that it shows a chain of would keep that buffer alive on the reference. */
	for (int i = 0; i < BUFFERS; i++)
		evbuffer_drain(models[i].buffer, models[i].length);
	for (int i = 0; i < BUFFERS; i++)
		evbuffer_free(models[i].buffer);
	CHECK_EQUAL(cleaned, referenced);
}

#endif
