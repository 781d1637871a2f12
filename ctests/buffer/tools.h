/* What the tests of buffers share. */
#ifndef CTESTS_BUFFER_TOOLS_H
#define CTESTS_BUFFER_TOOLS_H

#include "chains.h"

#include <event2/buffer.h>
#include <string.h>

#define BUFFER_ static __attribute__((unused))

BUFFER_ struct evbuffer *
new_buffer(void)
{
	struct evbuffer *buffer = evbuffer_new();
	CHECK(buffer);
	return buffer;
}

/* Appends a string as a chain of its own. */
BUFFER_ void
add_chain(struct evbuffer *buffer, const char *text)
{
	CHECK_EQUAL(evbuffer_add_reference(buffer, text, strlen(text), NULL, NULL), 0);
}

/* A buffer with the bytes of `text` in chains of the given lengths, the last of which gets the rest. */
BUFFER_ struct evbuffer *
split_buffer(const char *text, size_t length, size_t first, size_t second)
{
	struct evbuffer *buffer = new_buffer();
	size_t ends[3] = {first, first + second, length}, start = 0;
	for (int i = 0; i < 3; i++) {
		if (ends[i] > length)
			ends[i] = length;
		if (ends[i] > start)
			CHECK_EQUAL(evbuffer_add_reference(buffer, text + start, ends[i] - start, NULL, NULL), 0);
		start = ends[i];
	}
	return buffer;
}

BUFFER_ void
check_content(struct evbuffer *buffer, const void *expected, size_t length)
{
	unsigned char *copy = malloc(length + 1);
	check_chains(buffer);
	CHECK_EQUAL(evbuffer_get_length(buffer), length);
	CHECK_EQUAL(evbuffer_copyout(buffer, copy, length + 1), length);
	CHECK(!memcmp(copy, expected, length));
	free(copy);
}

BUFFER_ void
check_text(struct evbuffer *buffer, const char *expected)
{
	check_content(buffer, expected, strlen(expected));
}

/* Prints the content, which is short text. */
BUFFER_ void
print_text(const char *label, struct evbuffer *buffer)
{
	char text[200];
	ev_ssize_t length = evbuffer_copyout(buffer, text, sizeof text - 1);
	check_chains(buffer);
	CHECK(length >= 0);
	text[length] = 0;
	printf("%s: \"%s\" (%zu)\n", label, text, evbuffer_get_length(buffer));
}

/* Bytes that are different at every offset below 64 KiB and easy to compute. */
BUFFER_ void
fill_pattern(unsigned char *data, size_t length, size_t offset)
{
	for (size_t i = 0; i < length; i++)
		data[i] = (unsigned char)((offset + i) * 31 + ((offset + i) >> 8));
}

/* A cleanup function that counts its calls. */
struct cleanup_count {
	int calls;
	const void *data;
	size_t length;
};

BUFFER_ void
count_cleanup(const void *data, size_t length, void *argument)
{
	struct cleanup_count *count = argument;
	count->calls++;
	count->data = data;
	count->length = length;
}

/* A cleanup function that prints its argument. */
BUFFER_ void
print_cleanup(const void *data, size_t length, void *name)
{
	(void)data;
	printf("cleanup of %s, %zu bytes\n", (const char *)name, length);
}

#endif
