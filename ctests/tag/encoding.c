/* The bytes of tags, integers and items. */
#include "tools.h"

#include <event2/tag_compat.h>

/* Functions that the library exports for generated code, which declares them itself. */
int evtag_encode_tag(struct evbuffer *evbuf, ev_uint32_t tag);
int evtag_decode_tag(ev_uint32_t *ptag, struct evbuffer *evbuf);
int evtag_decode_int(ev_uint32_t *pnumber, struct evbuffer *evbuf);
int evtag_decode_int64(ev_uint64_t *pnumber, struct evbuffer *evbuf);

/* Takes everything out of `buffer` and compares it. */
static void
expect(struct evbuffer *buffer, const char *bytes, size_t length)
{
	check_content(buffer, bytes, length);
	CHECK_EQUAL(evbuffer_drain(buffer, length), 0);
}

#define EXPECT(buffer, text) expect(buffer, text, sizeof(text) - 1)

static const struct {
	ev_uint32_t tag;
	int size;
	const char *bytes;
} tags[] = {
    {0, 1, "\x00"},
    {1, 1, "\x01"},
    {0x66, 1, "\x66"},
    {0x7f, 1, "\x7f"},
    {0x80, 2, "\x80\x01"},
    {0x166, 2, "\xe6\x02"},
    {0x3fff, 2, "\xff\x7f"},
    {0x4000, 3, "\x80\x80\x01"},
    {0x1fffff, 3, "\xff\xff\x7f"},
    {0x200000, 4, "\x80\x80\x80\x01"},
    {0xfffffff, 4, "\xff\xff\xff\x7f"},
    {0x10000000, 5, "\x80\x80\x80\x80\x01"},
    {0xffffffff, 5, "\xff\xff\xff\xff\x0f"},
};

CASE(bytes_of_tags, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	ev_uint32_t tag;

	for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
		CHECK_EQUAL(evtag_encode_tag(NULL, tags[i].tag), tags[i].size);
		CHECK_EQUAL(evtag_encode_tag(buffer, tags[i].tag), tags[i].size);
		check_content(buffer, tags[i].bytes, tags[i].size);
		tag = ~tags[i].tag;
		CHECK_EQUAL(evtag_decode_tag(&tag, buffer), tags[i].size);
		CHECK_EQUAL(tag, tags[i].tag);
		CHECK_EQUAL(evbuffer_get_length(buffer), 0);
		evbuffer_add(buffer, tags[i].bytes, tags[i].size);
		CHECK_EQUAL(evtag_peek(buffer, NULL), tags[i].size);
		CHECK_EQUAL(evtag_decode_tag(NULL, buffer), tags[i].size);
		/* Cut short. */
		for (int cut = 0; cut < tags[i].size; cut++) {
			evbuffer_add(buffer, tags[i].bytes, cut);
			tag = 7;
			CHECK_EQUAL(evtag_peek(buffer, &tag), -1);
			CHECK_EQUAL(evtag_decode_tag(&tag, buffer), -1);
			CHECK_EQUAL(tag, 7);
			CHECK_EQUAL(evbuffer_get_length(buffer), cut);
			evbuffer_drain(buffer, cut);
		}
	}
	evbuffer_free(buffer);
}

static const struct {
	const char *bytes;
	size_t length;
	int size;
	ev_uint32_t tag;
} odd_tags[] = {
    {"\x81\x00", 2, 2, 1},
    {"\x81\x80\x80\x80\x00", 5, 5, 1},
    {"\x80\x80\x80\x80\x0f", 5, 5, 0xf0000000},
    {"\xff\xff\xff\xff\x1f", 5, -1, 0},
    {"\xff\xff\xff\xff\x1f\x00\x00", 7, -1, 0},
    {"\x80\x80\x80\x80\x10", 5, -1, 0},
    {"\x80\x80\x80\x80\x80", 5, -1, 0},
    {"\x80\x80\x80\x80\x80\x01", 6, -1, 0},
    {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 12, -1, 0},
    {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, -1, 0},
};

CASE(tags_that_are_not_minimal_or_too_long, ONE_BACKEND)
{
	for (size_t i = 0; i < sizeof odd_tags / sizeof odd_tags[0]; i++) {
		for (size_t split = 0; split <= odd_tags[i].length; split++) {
			struct evbuffer *buffer = split_buffer(odd_tags[i].bytes, odd_tags[i].length, split, 1);
			ev_uint32_t tag = 9;
			CHECK_EQUAL(evtag_peek(buffer, &tag), odd_tags[i].size);
			CHECK_EQUAL(tag, odd_tags[i].size < 0 ? 9 : odd_tags[i].tag);
			check_content(buffer, odd_tags[i].bytes, odd_tags[i].length);
			CHECK_EQUAL(evtag_decode_tag(&tag, buffer), odd_tags[i].size);
			CHECK_EQUAL(tag, odd_tags[i].size < 0 ? 9 : odd_tags[i].tag);
			CHECK_EQUAL(evbuffer_get_length(buffer),
			    odd_tags[i].length - (odd_tags[i].size < 0 ? 0 : odd_tags[i].size));
			evbuffer_free(buffer);
		}
	}
}

static const struct {
	ev_uint64_t value;
	size_t size;
	const char *bytes;
} integers[] = {
    {0, 1, "\x00"},
    {1, 1, "\x01"},
    {15, 1, "\x0f"},
    {16, 2, "\x10\x10"},
    {0xff, 2, "\x1f\xf0"},
    {0xaf0, 2, "\x20\xfa"},
    {0x1000, 3, "\x30\x00\x10"},
    {0xdeadbeef, 5, "\x7f\xee\xbd\xae\xd0"},
    {0xffffffff, 5, "\x7f\xff\xff\xff\xf0"},
    {0x100000000, 5, "\x80\x00\x00\x00\x01"},
    {0xdeadbeefcafe, 7, "\xbe\xfa\xcf\xee\xbd\xae\xd0"},
    {0x123456789abcdef0, 9, "\xf0\xfe\xdc\xba\x98\x76\x54\x32\x10"},
    {0xffffffffffffffff, 9, "\xff\xff\xff\xff\xff\xff\xff\xff\xf0"},
};

CASE(bytes_of_integers, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	ev_uint32_t word;
	ev_uint64_t number;

	for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
		int fits = integers[i].value <= 0xffffffff;
		if (fits) {
			evtag_encode_int(buffer, (ev_uint32_t)integers[i].value);
			expect(buffer, integers[i].bytes, integers[i].size);
			encode_int(buffer, (ev_uint32_t)integers[i].value);
			expect(buffer, integers[i].bytes, integers[i].size);
		}
		encode_int64(buffer, integers[i].value);
		expect(buffer, integers[i].bytes, integers[i].size);
		evtag_encode_int64(buffer, integers[i].value);
		check_content(buffer, integers[i].bytes, integers[i].size);
		word = 7;
		CHECK_EQUAL(evtag_decode_int(&word, buffer), fits ? 0 : -1);
		CHECK_EQUAL(word, fits ? integers[i].value : 7);
		CHECK_EQUAL(evbuffer_get_length(buffer), fits ? 0 : integers[i].size);
		evbuffer_drain(buffer, 100);
		evbuffer_add(buffer, integers[i].bytes, integers[i].size);
		evbuffer_add(buffer, "\x55", 1);
		CHECK_EQUAL(evtag_decode_int64(&number, buffer), 0);
		CHECK(number == integers[i].value);
		EXPECT(buffer, "\x55");
		/* Cut short. */
		for (size_t cut = 0; cut < integers[i].size; cut++) {
			evbuffer_add(buffer, integers[i].bytes, cut);
			number = word = 7;
			CHECK_EQUAL(evtag_decode_int(&word, buffer), -1);
			CHECK_EQUAL(evtag_decode_int64(&number, buffer), -1);
			CHECK(number == 7 && word == 7);
			CHECK_EQUAL(evbuffer_get_length(buffer), cut);
			evbuffer_drain(buffer, cut);
		}
	}
	evbuffer_free(buffer);
}

/* Values with every number of leading zeros, and all bits or one bit set. */
CASE(integers_of_every_length_come_back, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();

	for (int bit = 0; bit < 64; bit++) {
		ev_uint64_t values[] = {1ull << bit, (2ull << bit) - 1, 0xfedcba9876543210ull >> bit};
		for (int i = 0; i < 3; i++) {
			ev_uint64_t number = 0;
			ev_uint32_t word = 0;
			evtag_encode_int64(buffer, values[i]);
			print_bytes("64", buffer);
			CHECK_EQUAL(evtag_decode_int64(&number, buffer), 0);
			CHECK(number == values[i]);
			evtag_encode_int(buffer, (ev_uint32_t)values[i]);
			print_bytes("32", buffer);
			CHECK_EQUAL(evtag_decode_int(&word, buffer), 0);
			CHECK(word == (ev_uint32_t)values[i]);
			CHECK_EQUAL(evbuffer_get_length(buffer), 0);
		}
	}
	evbuffer_free(buffer);
}

/* Every first byte: it says how many nibbles follow. The rest need not be minimal or padded with 0. */
CASE(integers_that_are_not_minimal, ONE_BACKEND)
{
	unsigned char bytes[] = "\x00\x10\x00\xf0\x0f\x00\x00\x00\x0f\xff";

	for (int first = 0; first < 256; first++) {
		for (size_t length = 1; length < sizeof bytes; length++) {
			for (size_t split = 0; split < length; split++) {
				struct evbuffer *buffer;
				ev_uint32_t word = 5;
				ev_uint64_t number = 5;
				int results[2];
				bytes[0] = first;
				buffer = split_buffer((char *)bytes, length, split, 2);
				results[0] = evtag_decode_int64(&number, buffer);
				CHECK(results[0] || evbuffer_get_length(buffer) < length);
				evbuffer_free(buffer);
				buffer = split_buffer((char *)bytes, length, split, 2);
				results[1] = evtag_decode_int(&word, buffer);
				CHECK_EQUAL(results[1], first >= 0x80 ? -1 : results[0]);
				if (split == 0)
					printf("%02x, %zu: %d %#llx left %zu\n", first, length, results[0],
					    (unsigned long long)number, evbuffer_get_length(buffer));
				evbuffer_free(buffer);
			}
		}
	}
}

CASE(bytes_of_items, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer(), *payload = new_buffer();
	struct timeval tv = {1, 2}, negative = {-1, -5}, long_time = {0x123456789, 999999};

	evtag_init();
	evtag_init();
	evtag_marshal(buffer, 0x166, "abc", 3);
	EXPECT(buffer, "\xe6\x02\x03" "abc");
	evtag_marshal(buffer, 0xffffffff, NULL, 0);
	EXPECT(buffer, "\xff\xff\xff\xff\x0f\x00");
	evtag_marshal_int(buffer, 1, 0xdeadbeef);
	EXPECT(buffer, "\x01\x05\x7f\xee\xbd\xae\xd0");
	evtag_marshal_int(buffer, 0, 0);
	EXPECT(buffer, "\x00\x01\x00");
	evtag_marshal_int64(buffer, 1, 0xdeadbeefcafe);
	EXPECT(buffer, "\x01\x07\xbe\xfa\xcf\xee\xbd\xae\xd0");
	evtag_marshal_int64(buffer, 0x80, 0xffffffffffffffff);
	EXPECT(buffer, "\x80\x01\x09\xff\xff\xff\xff\xff\xff\xff\xff\xf0");
	evtag_marshal_string(buffer, 2, "hi");
	EXPECT(buffer, "\x02\x02hi");
	evtag_marshal_string(buffer, 2, "");
	EXPECT(buffer, "\x02\x00");
	evtag_marshal_timeval(buffer, 3, &tv);
	EXPECT(buffer, "\x03\x02\x01\x02");
	evtag_marshal_timeval(buffer, 3, &negative);
	EXPECT(buffer, "\x03\x0a\x7f\xff\xff\xff\xf0\x7b\xff\xff\xff\xf0");
	evtag_marshal_timeval(buffer, 0xffffffff, &long_time);
	print_bytes("a time of more than 32 bits", buffer);
	evbuffer_drain(buffer, 100);
	CHECK(negative.tv_sec == -1 && negative.tv_usec == -5);
	evbuffer_add(payload, "xyz", 3);
	evtag_marshal_buffer(buffer, 4, payload);
	EXPECT(buffer, "\x04\x03xyz");
	CHECK_EQUAL(evbuffer_get_length(payload), 0);
	evtag_marshal_buffer(buffer, 4, payload);
	EXPECT(buffer, "\x04\x00");
	/* Nothing leaves a buffer that is empty. */
	CHECK_EQUAL(evbuffer_freeze(payload, 1), 0);
	evtag_marshal_buffer(buffer, 5, payload);
	EXPECT(buffer, "\x05\x00");
	evbuffer_free(payload);
	evbuffer_free(buffer);
}
