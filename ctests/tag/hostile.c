/* Items from a malicious peer, and an allocator that refuses. */
#include "allocator.h"
#include "tools.h"

static void
read_and_print(const char *label, const char *bytes, size_t length)
{
	for (int i = 0; i < READERS; i++) {
		struct outcome outcome = read_bytes(i, bytes, length, 1);
		printf("%s by %s: %lld, %#llx %#llx, %zu left\n", label, readers[i].name, outcome.result,
		    outcome.value, outcome.more, outcome.left);
	}
}

#define READ(text) read_and_print(#text, text, sizeof(text) - 1)

CASE(bytes_that_are_no_item, ONE_BACKEND)
{
	READ("");
	READ("\x80");
	READ("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
	READ("\x80\x80\x80\x80\x80\x01\x01\x00");
	READ("\xff\xff\xff\xff\x1f\x01\x00");
	READ("\x01\x80\x00\x00\x00\x01");
	READ("\x01\xf0\x00\x00\x00\x01\x00\x00\x00\x00");
	READ("\x01\x70\x01\x02\x03");
	READ("\x01\x70");
}

/* Lengths that no buffer keeps. */
CASE(declared_lengths_without_a_payload, ONE_BACKEND)
{
	READ("\x01\x03" "ab");
	READ("\x01\x7f\xff\xff\xff\xf0");
	READ("\x01\x7f\xff\xff\xff\xf0" "abc");
	READ("\x01\x7f\xff\xff\xff\x70" "abc");
	READ("\x01\x70\x00\x00\x00\x80" "abc");
	READ("\x01\x7f\xff\xff\xff\x70");
	READ("\x01\x6f\xff\xff\xff" "abc");
	READ("\x01\x10\x10" "only fifteen...");
	READ("\xff\xff\xff\xff\x0f\x7f\xff\xff\xff\xf0" "abc");
}

/* Payloads that are not what the reader takes them for. */
CASE(payloads_of_another_kind, ONE_BACKEND)
{
	READ("\x01\x00");
	READ("\x01\x00\x05\x06");
	READ("\x01\x03\x05\x08\x08");
	READ("\x01\x01\x12\x03");
	READ("\x01\x01\xf2\x03");
	READ("\x01\x02\xff\xff");
	READ("\x01\x05\x80\x00\x00\x00\x01");
	READ("\x01\x05\x80\x00\x00\x00\x01\x01\x01\x01");
	READ("\x01\x03\x10\x10\x12\x34");
	READ("\x01\x03\x10\x10\x82\x34");
	READ("\x01\x04\x10\x10\x12\x34");
	READ("\x01\x02\x30\x10\x12\x34");
	READ("\x01\x01\x05\x06");
	READ("\x01\x06\x05\x10\x60" "abc");
	READ("\x01\x10\x30" "abc");
	READ("\x81\x00\x10\x30" "abc");
}

/* The reference adds up in 32 bits. */
DIFFERENCE(sum_of_lengths_beyond_32_bits, ONE_BACKEND,
	"evtag_peek_length returns a small length for an item of 4 GiB and more")
{
	struct evbuffer *buffer = new_buffer();
	ev_uint32_t length = 7;

	evbuffer_add(buffer, "\x01\x7f\xff\xff\xff\xf0", 6);
	CHECK_EQUAL(evtag_payload_length(buffer, &length), 0);
	CHECK_EQUAL(length, 0xffffffff);
	length = 7;
	CHECK_EQUAL(evtag_peek_length(buffer, &length), -1);
	CHECK_EQUAL(length, 7);
	evbuffer_free(buffer);
}

CASE(the_largest_sum_of_lengths, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	ev_uint32_t length = 7;

	evbuffer_add(buffer, "\x01\x79\xff\xff\xff\xf0", 6);
	CHECK_EQUAL(evtag_peek_length(buffer, &length), 0);
	CHECK_EQUAL(length, 0xffffffff);
	evbuffer_free(buffer);
}

static unsigned long long random_state;

static unsigned
random_below(unsigned limit)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(random_state >> 33) % limit;
}

static size_t
random_bytes(unsigned char *bytes, size_t size)
{
	size_t length = random_below(size + 1);
	unsigned kind = random_below(4);

	for (size_t i = 0; i < length; i++)
		bytes[i] = random_below(256);
	/* Some that get further: a short tag, often the wanted one, and a short length. */
	if (kind > 0 && length > 0)
		bytes[0] = kind > 1 ? 1 : random_below(0x80);
	if (kind > 1 && length > 1)
		bytes[1] = random_below(16);
	if (kind > 2 && length > 2)
		bytes[2] &= 0x3f;
	return length;
}

CASE(random_bytes_by_every_reader, ONE_BACKEND)
{
	unsigned char bytes[24];
	int accepted = 0;

	for (int round = 0; round < 50; round++) {
		unsigned long long hash = 0;
		random_state = round;
		for (int i = 0; i < 40; i++) {
			size_t length = random_bytes(bytes, sizeof bytes);
			for (int reader = 0; reader < READERS; reader++) {
				struct outcome outcome = read_bytes(reader, bytes, length, 1);
				accepted += outcome.result >= 0;
				hash = hash_of(&outcome, sizeof outcome, hash);
			}
		}
		printf("%d: %016llx, %d accepted\n", round, hash, accepted);
	}
	CHECK(accepted > 500);
}

/* Reading on after every failure terminates. */
CASE(random_bytes_to_the_end, ONE_BACKEND)
{
	unsigned char bytes[300];

	for (int round = 0; round < 300; round++) {
		struct evbuffer *buffer;
		size_t length, before;
		unsigned long long hash = 0;
		random_state = round;
		length = random_bytes(bytes, sizeof bytes);
		buffer = split_buffer((char *)bytes, length, random_below(20), random_below(200));
		do {
			int index = 3 + random_below(READERS - 3);
			struct outcome outcome;
			before = evbuffer_get_length(buffer);
			outcome = readers[index].read(buffer, random_below(3));
			hash = hash_of(&outcome, sizeof outcome, hash);
			CHECK(outcome.left <= before);
			if (outcome.left == before)
				evbuffer_drain(buffer, 1);
		} while (before);
		printf("%d: %016llx\n", round, hash);
		evbuffer_free(buffer);
	}
}

/* A buffer of more than 2 GiB that takes hardly any memory: the same piece again and again. */
static struct evbuffer *
huge_buffer(const char *header, size_t header_length, unsigned mebibytes)
{
	static char piece[1 << 20];
	struct evbuffer *buffer = new_buffer();

	evbuffer_add(buffer, header, header_length);
	for (unsigned i = 0; i < mebibytes; i++)
		CHECK_EQUAL(evbuffer_add_reference(buffer, piece, sizeof piece, NULL, NULL), 0);
	return buffer;
}

/* Even when so much is there. */
CASE(payloads_longer_than_a_result_can_say, ONE_BACKEND)
{
	static const char header[] = "\x01\x70\x00\x00\x00\x80";
	size_t payload = 2049ul << 20;

	for (int i = 3; i < READERS; i++) {
		struct evbuffer *buffer;
		if (readers[i].read == read_int || readers[i].read == read_int64)
			continue;
		buffer = huge_buffer(header, sizeof header - 1, 2049);
		CHECK_EQUAL(readers[i].read(buffer, 1).result, -1);
		CHECK_EQUAL(evbuffer_get_length(buffer), payload);
		evbuffer_free(buffer);
	}
}

CASE(a_large_payload_is_skipped, ONE_BACKEND)
{
	struct evbuffer *buffer = huge_buffer("\x01\x7f\xff\xff\xff\x70", 6, 2049);

	CHECK_EQUAL(evtag_consume(buffer), 0);
	CHECK_EQUAL(evbuffer_get_length(buffer), (2049ul << 20) - INT_MAX);
	evbuffer_free(buffer);
}

DIFFERENCE(a_buffer_too_long_for_an_item, ONE_BACKEND,
	"evtag_marshal_buffer writes the length modulo 2^32 and all the data")
{
	struct evbuffer *payload = huge_buffer("", 0, 4096), *buffer = new_buffer();

	evtag_marshal_buffer(buffer, 1, payload);
	CHECK_EQUAL(evbuffer_get_length(buffer), 0);
	CHECK_EQUAL(evbuffer_get_length(payload), 4096ul << 20);
	evbuffer_free(buffer);
	evbuffer_free(payload);
}

/* --- No memory --- */

static void
write_item(struct evbuffer *buffer, struct evbuffer *payload, int kind)
{
	static char data[10000];
	struct timeval tv = {1234567890, 654321};

	switch (kind) {
	case 0: evtag_marshal(buffer, 1, data, sizeof data); break;
	case 1: evtag_marshal_int64(buffer, 1, 0x123456789abcdef0); break;
	case 2: evtag_marshal_string(buffer, 1, "a string"); break;
	case 3: evtag_marshal_timeval(buffer, 1, &tv); break;
	case 4: evtag_marshal_buffer(buffer, 1, payload); break;
	}
}

static const size_t item_sizes[] = {10004, 11, 10, 10, 7};

DIFFERENCE(no_memory_for_an_item, ONE_BACKEND,
	"evtag_marshal and others append a part of an item when memory is short")
{
	allocator_install();
	for (int kind = 0; kind < 5; kind++) {
		for (int fill = 0; fill < 600; fill++) {
			struct evbuffer *buffer = new_buffer(), *payload = new_buffer();
			static char filling[600];
			size_t length;
			add_chain(payload, "pay");
			add_chain(payload, "ld");
			evbuffer_add(buffer, filling, fill);
			allocator_fail_at(1);
			allocator.fail_on = 1;
			write_item(buffer, payload, kind);
			allocator_fail_at(0);
			length = evbuffer_get_length(buffer);
			check_chains(buffer);
			check_chains(payload);
			CHECK(length == (size_t)fill || length == fill + item_sizes[kind]);
			CHECK(length == (size_t)fill || evbuffer_get_length(payload) == (kind == 4 ? 0 : 5));
			write_item(buffer, payload, kind);
			evbuffer_drain(buffer, fill);
			CHECK_EQUAL(evtag_consume(buffer), 0);
			evbuffer_free(payload);
			evbuffer_free(buffer);
		}
	}
	CHECK_EQUAL(allocator.alive, 0);
}

CASE(no_memory_for_a_string, ONE_BACKEND)
{
	struct evbuffer *buffer;
	char *string = (char *)1;

	allocator_install();
	buffer = new_buffer();
	evtag_marshal_string(buffer, 1, "abc");
	allocator_fail_at(1);
	allocator.fail_on = 1;
	CHECK_EQUAL(evtag_unmarshal_string(buffer, 1, &string), -1);
	CHECK(string == NULL);
	check_text(buffer, "abc");
	evbuffer_free(buffer);
	CHECK_EQUAL(allocator.alive, 0);
}

DIFFERENCE(no_memory_for_reading, ONE_BACKEND,
	"evtag_unmarshal_int needs memory for an item that is in several chains")
{
	static const char *const pieces[] = {"\x02", "\x02", "\x10", "\x20"};
	struct evbuffer *buffer;
	ev_uint32_t value = 0;

	allocator_install();
	buffer = new_buffer();
	for (int i = 0; i < 4; i++)
		add_chain(buffer, pieces[i]);
	allocator_fail_at(1);
	allocator.fail_on = 1;
	CHECK_EQUAL(evtag_unmarshal_int(buffer, 2, &value), 2);
	CHECK_EQUAL(value, 32);
	CHECK_EQUAL(evbuffer_get_length(buffer), 0);
	evbuffer_free(buffer);
	CHECK_EQUAL(allocator.alive, 0);
}
