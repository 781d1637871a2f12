/* Coverage-guided: the input is a peer's stream of items, read by each reader in turn. It must not matter
 * how the bytes are divided into chains, and what was read can be written and read again. */
#define _GNU_SOURCE
#include "tag/tools.h"
#include "checks.h"

/* The integer comes back from its own encoding, which is not longer than the one it had. */
static void
write_again(unsigned long long value, int size)
{
	struct evbuffer *buffer = new_buffer();
	ev_uint64_t again = 0;

	evtag_marshal_int64(buffer, 1, value);
	CHECK(evtag_unmarshal_int64(buffer, 1, &again) <= size);
	CHECK(again == value);
	CHECK_EQUAL(evbuffer_get_length(buffer), 0);
	evbuffer_free(buffer);
}

static void
read_first_item(const uint8_t *bytes, size_t length)
{
	for (int i = 0; i < READERS; i++) {
		struct outcome outcome = read_bytes(i, bytes, length, bytes[0] & 1);
		if (readers[i].read == read_int64 && outcome.result > 0)
			write_again(outcome.value, (int)outcome.result);
	}
}

/* Until nothing is left; a reader that consumes nothing skips a byte. */
static void
read_all_items(const uint8_t *bytes, size_t length, size_t choices)
{
	struct evbuffer *buffer = split_buffer((const char *)bytes, length, choices % 16, choices % 50);
	size_t before = length;

	while (before > 0) {
		struct outcome outcome = readers[choices % READERS].read(buffer, choices % 3);
		CHECK(outcome.left <= before);
		if (outcome.left == before)
			CHECK_EQUAL(evbuffer_drain(buffer, 1), 0);
		before = evbuffer_get_length(buffer);
		choices = choices * 5 + bytes[before % length];
	}
	evbuffer_free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	read_first_item(data + 1, size - 1);
	read_all_items(data + 1, size - 1, data[0]);
	return 0;
}
