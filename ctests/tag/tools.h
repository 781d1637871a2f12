/* What the tests of tagged items share. */
#ifndef CTESTS_TAG_TOOLS_H
#define CTESTS_TAG_TOOLS_H

#include "buffer/tools.h"

#include <event2/event.h>
#include <event2/tag.h>
#include <limits.h>

/* Prints a buffer's bytes. */
BUFFER_ void
print_bytes(const char *label, struct evbuffer *buffer)
{
	unsigned char bytes[64];
	ev_ssize_t count = evbuffer_copyout(buffer, bytes, sizeof bytes);

	check_chains(buffer);
	printf("%s:", label);
	for (ev_ssize_t i = 0; i < count; i++)
		printf(" %02x", bytes[i]);
	printf(evbuffer_get_length(buffer) > sizeof bytes ? " ... %zu\n" : "\n", evbuffer_get_length(buffer));
}

/* What one reader did with some bytes. */
struct outcome {
	long long result;
	unsigned long long value, more;
	size_t left;
};

typedef struct outcome (*reader)(struct evbuffer *buffer, ev_uint32_t need_tag);

BUFFER_ struct outcome
outcome_of(struct evbuffer *buffer, long long result, unsigned long long value, unsigned long long more)
{
	struct outcome outcome = {result, value, more, evbuffer_get_length(buffer)};
	check_chains(buffer);
	return outcome;
}

BUFFER_ unsigned long long
hash_of(const void *data, size_t length, unsigned long long hash)
{
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ ((const unsigned char *)data)[i]) * 0x100000001b3ull;
	return hash;
}

/* Every reader. What a failure leaves in its results other than the tag is not specified, so it is
 * only looked at after success. */

BUFFER_ struct outcome
read_peek(struct evbuffer *buffer, ev_uint32_t need_tag)
{
	ev_uint32_t tag = 0x5a5a;
	int result = evtag_peek(buffer, &tag);
	(void)need_tag;
	return outcome_of(buffer, result, tag, 0);
}

BUFFER_ struct outcome
read_payload_length(struct evbuffer *buffer, ev_uint32_t need_tag)
{
	ev_uint32_t length = 0x5a5a;
	int result = evtag_payload_length(buffer, &length);
	(void)need_tag;
	return outcome_of(buffer, result, length, 0);
}

/* Sums of more than 32 bits are a difference of their own. */
BUFFER_ struct outcome
read_peek_length(struct evbuffer *buffer, ev_uint32_t need_tag)
{
	ev_uint32_t length = 0x5a5a;
	int result;
	(void)need_tag;
	if (!evtag_payload_length(buffer, &length) && length > 0xfffffff0u)
		return outcome_of(buffer, 0, 0, 0);
	result = evtag_peek_length(buffer, &length);
	return outcome_of(buffer, result, length, 0);
}

BUFFER_ struct outcome
read_header(struct evbuffer *buffer, ev_uint32_t need_tag)
{
	ev_uint32_t tag = 0x5a5a;
	int result = evtag_unmarshal_header(buffer, &tag);
	(void)need_tag;
	return outcome_of(buffer, result, tag, 0);
}

BUFFER_ struct outcome
read_consume(struct evbuffer *buffer, ev_uint32_t need_tag)
{
	(void)need_tag;
	return outcome_of(buffer, evtag_consume(buffer), 0, 0);
}

BUFFER_ struct outcome
read_buffer(struct evbuffer *buffer, ev_uint32_t need_tag)
{
	ev_uint32_t tag = 0x5a5a;
	struct evbuffer *payload = new_buffer();
	struct outcome outcome;
	int result;

	(void)need_tag;
	evbuffer_add(payload, "+", 1);
	result = evtag_unmarshal(buffer, &tag, payload);
	check_chains(payload);
	CHECK_EQUAL(evbuffer_get_length(payload), (result < 0 ? 0 : result) + 1);
	outcome = outcome_of(buffer, result, tag,
	    hash_of(evbuffer_pullup(payload, -1), evbuffer_get_length(payload), 0));
	evbuffer_free(payload);
	return outcome;
}

BUFFER_ struct outcome
read_int(struct evbuffer *buffer, ev_uint32_t need_tag)
{
	ev_uint32_t value = 0;
	int result = evtag_unmarshal_int(buffer, need_tag, &value);
	return outcome_of(buffer, result, result < 0 ? 0 : value, 0);
}

BUFFER_ struct outcome
read_int64(struct evbuffer *buffer, ev_uint32_t need_tag)
{
	ev_uint64_t value = 0;
	int result = evtag_unmarshal_int64(buffer, need_tag, &value);
	return outcome_of(buffer, result, result < 0 ? 0 : value, 0);
}

BUFFER_ struct outcome
read_fixed(struct evbuffer *buffer, ev_uint32_t need_tag)
{
	unsigned char data[4] = "....";
	int result = evtag_unmarshal_fixed(buffer, need_tag, data, 3);
	CHECK(data[3] == '.');
	return outcome_of(buffer, result, hash_of(data, 3, 0), 0);
}

BUFFER_ struct outcome
read_string(struct evbuffer *buffer, ev_uint32_t need_tag)
{
	static char untouched[] = "untouched";
	char *text = untouched;
	int result = evtag_unmarshal_string(buffer, need_tag, &text);
	struct outcome outcome = outcome_of(buffer, result, hash_of(text, strlen(text), 0), strlen(text));
	CHECK((result == 0) == (text != untouched));
	if (text != untouched)
		free(text);
	return outcome;
}

BUFFER_ struct outcome
read_timeval(struct evbuffer *buffer, ev_uint32_t need_tag)
{
	struct timeval tv = {0, 0};
	int result = evtag_unmarshal_timeval(buffer, need_tag, &tv);
	return outcome_of(buffer, result, result < 0 ? 0 : tv.tv_sec, result < 0 ? 0 : tv.tv_usec);
}

static const struct {
	const char *name;
	reader read;
} readers[] = {
    {"peek", read_peek},
    {"payload_length", read_payload_length},
    {"peek_length", read_peek_length},
    {"header", read_header},
    {"consume", read_consume},
    {"buffer", read_buffer},
    {"int", read_int},
    {"int64", read_int64},
    {"fixed", read_fixed},
    {"string", read_string},
    {"timeval", read_timeval},
};

enum { READERS = sizeof readers / sizeof readers[0] };

/* What a reader does with the bytes, in chains of the given lengths. */
BUFFER_ struct outcome
read_split(int index, const void *bytes, size_t length, size_t first, size_t second, ev_uint32_t need_tag)
{
	struct evbuffer *buffer = split_buffer(bytes, length, first, second);
	struct outcome outcome = readers[index].read(buffer, need_tag);

	/* What is left is the end of what was there. */
	check_content(buffer, (const char *)bytes + length - outcome.left, outcome.left);
	evbuffer_free(buffer);
	return outcome;
}

/* The same for bytes in one chain, which must not differ from what happens in many. */
BUFFER_ struct outcome
read_bytes(int index, const void *bytes, size_t length, ev_uint32_t need_tag)
{
	struct outcome whole = read_split(index, bytes, length, length, 0, need_tag);

	for (size_t first = 0; first < length && first < 12; first++) {
		struct outcome split = read_split(index, bytes, length, first, 1, need_tag);
		CHECK(!memcmp(&whole, &split, sizeof whole));
	}
	return whole;
}

#endif
