/* Items go through a buffer and come back; what is not there yet, or broken, is refused. */
#include "tools.h"

/* Appends one item of every kind, before a byte that belongs to no item. Item i has tag i + 1. */
static void
add_item(struct evbuffer *buffer, int kind)
{
	struct timeval tv = {1234567890, 654321};
	struct evbuffer *payload;

	switch (kind) {
	case 0: evtag_marshal(buffer, 1, "abc", 3); break;
	case 1: evtag_marshal(buffer, 2, NULL, 0); break;
	case 2: evtag_marshal_int(buffer, 3, 5); break;
	case 3: evtag_marshal_int(buffer, 4, 0xdeadbeef); break;
	case 4: evtag_marshal_int64(buffer, 5, 0x123456789abcdef0); break;
	case 5: evtag_marshal_string(buffer, 6, "a string"); break;
	case 6: evtag_marshal_timeval(buffer, 7, &tv); break;
	case 7:
		payload = new_buffer();
		add_chain(payload, "in ");
		add_chain(payload, "several ");
		add_chain(payload, "chains");
		evtag_marshal_buffer(buffer, 8, payload);
		CHECK_EQUAL(evbuffer_get_length(payload), 0);
		evbuffer_add(payload, "reused", 6);
		evbuffer_free(payload);
		break;
	}
	check_chains(buffer);
}

enum { KINDS = 8 };

static size_t
bytes_of_item(int kind, unsigned char *bytes, size_t size)
{
	struct evbuffer *buffer = new_buffer();
	size_t length;

	add_item(buffer, kind);
	length = evbuffer_remove(buffer, bytes, size);
	CHECK_EQUAL(evbuffer_get_length(buffer), 0);
	evbuffer_free(buffer);
	return length;
}

static void
print_outcome(const char *label, int index, ev_uint32_t need_tag, struct outcome outcome)
{
	printf("%s, %s of tag %u: %lld, %#llx %#llx, %zu left\n", label, readers[index].name, need_tag,
	    outcome.result, outcome.value, outcome.more, outcome.left);
}

/* Every kind of item, read by every reader with the right tag and with a wrong one. */
CASE(every_item_by_every_reader, ONE_BACKEND)
{
	unsigned char bytes[64];

	for (int kind = 0; kind < KINDS; kind++) {
		size_t length = bytes_of_item(kind, bytes, sizeof bytes - 1);
		char label[80];
		snprintf(label, sizeof label, "item %d", kind);
		bytes[length++] = 0x42;
		for (int i = 0; i < READERS; i++) {
			for (int wrong = 0; wrong < 2; wrong++) {
				ev_uint32_t tag = kind + 1 + wrong * 0x80;
				print_outcome(label, i, tag, read_bytes(i, bytes, length, tag));
			}
		}
	}
}

/* Nothing but the whole item is read, wherever it is cut. */
CASE(every_truncation_of_every_item, ONE_BACKEND)
{
	unsigned char bytes[64];

	for (int kind = 0; kind < KINDS; kind++) {
		size_t length = bytes_of_item(kind, bytes, sizeof bytes);
		for (size_t cut = 0; cut < length; cut++) {
			char label[80];
			snprintf(label, sizeof label, "item %d, %zu of %zu bytes", kind, cut, length);
			for (int i = 0; i < READERS; i++) {
				print_outcome(label, i, kind + 1, read_bytes(i, bytes, cut, kind + 1));
				print_outcome(label, i, 99, read_bytes(i, bytes, cut, 99));
			}
		}
	}
}

/* One buffer with many items, read back in order. */
CASE(a_stream_of_items, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer(), *payload = new_buffer();

	for (int round = 0; round < 50; round++)
		for (int kind = 0; kind < KINDS; kind++)
			add_item(buffer, kind);
	for (int round = 0; round < 50; round++) {
		char text[8] = "", *string = NULL;
		ev_uint32_t word = 0, tag = 0, length = 0;
		ev_uint64_t number = 0;
		struct timeval tv;
		CHECK_EQUAL(evtag_unmarshal_fixed(buffer, 1, text, 3), 0);
		CHECK_STRING(text, "abc");
		CHECK_EQUAL(evtag_unmarshal_fixed(buffer, 2, NULL, 0), 0);
		CHECK_EQUAL(evtag_unmarshal_int(buffer, 3, &word), 1);
		CHECK_EQUAL(word, 5);
		CHECK_EQUAL(evtag_unmarshal_int(buffer, 4, &word), 5);
		CHECK_EQUAL(word, 0xdeadbeef);
		CHECK_EQUAL(evtag_unmarshal_int64(buffer, 5, &number), 9);
		CHECK(number == 0x123456789abcdef0);
		CHECK_EQUAL(evtag_unmarshal_string(buffer, 6, &string), 0);
		CHECK_STRING(string, "a string");
		free(string);
		CHECK_EQUAL(evtag_unmarshal_timeval(buffer, 7, &tv), 0);
		CHECK_EQUAL(tv.tv_sec, 1234567890);
		CHECK_EQUAL(tv.tv_usec, 654321);
		CHECK_EQUAL(evtag_peek(buffer, &tag), 1);
		CHECK_EQUAL(tag, 8);
		CHECK_EQUAL(evtag_payload_length(buffer, &length), 0);
		CHECK_EQUAL(length, 17);
		CHECK_EQUAL(evtag_peek_length(buffer, &length), 0);
		CHECK_EQUAL(length, 20);
		CHECK_EQUAL(evtag_unmarshal(buffer, NULL, payload), 17);
		check_text(payload, "in several chains");
		evbuffer_drain(payload, 17);
		check_chains(buffer);
	}
	CHECK_EQUAL(evbuffer_get_length(buffer), 0);
	evbuffer_free(payload);
	evbuffer_free(buffer);
}

CASE(payloads_of_many_lengths, ONE_BACKEND)
{
	static unsigned char data[300000];
	struct evbuffer *buffer = new_buffer(), *out = new_buffer();

	fill_pattern(data, sizeof data, 0);
	for (size_t length = 0; length < sizeof data; length += length < 20 ? 1 : length * 2 + 1) {
		char *string = NULL;
		unsigned char *copy = malloc(length + 1);
		ev_uint32_t tag = 0;
		evtag_marshal(buffer, length, data, length);
		evtag_marshal(buffer, length, data, length);
		evtag_marshal(buffer, length, data, length);
		evtag_marshal(buffer, length, data, length);
		check_chains(buffer);
		CHECK_EQUAL(evtag_unmarshal(buffer, &tag, out), length);
		CHECK_EQUAL(tag, length);
		check_content(out, data, length);
		evbuffer_drain(out, length);
		CHECK_EQUAL(evtag_unmarshal_string(buffer, length, &string), 0);
		CHECK(!memcmp(string, data, length) && !string[length]);
		CHECK_EQUAL(evtag_consume(buffer), 0);
		CHECK_EQUAL(evtag_unmarshal_fixed(buffer, length, copy, length), 0);
		CHECK(!memcmp(copy, data, length));
		CHECK_EQUAL(evbuffer_get_length(buffer), 0);
		free(string);
		free(copy);
	}
	evbuffer_free(out);
	evbuffer_free(buffer);
}

/* The header alone, for programs that take the payload themselves. */
CASE(a_header_leaves_the_payload, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	ev_uint32_t tag = 0;

	evtag_marshal(buffer, 0x1234, "payload", 7);
	CHECK_EQUAL(evtag_unmarshal_header(buffer, &tag), 7);
	CHECK_EQUAL(tag, 0x1234);
	check_text(buffer, "payload");
	evbuffer_drain(buffer, 7);
	evtag_marshal(buffer, 0x1234, NULL, 0);
	CHECK_EQUAL(evtag_unmarshal_header(buffer, NULL), 0);
	CHECK_EQUAL(evbuffer_get_length(buffer), 0);
	evbuffer_free(buffer);
}

CASE(strings_with_zero_bytes, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	char *string = NULL;

	evtag_marshal(buffer, 1, "a\0b", 3);
	CHECK_EQUAL(evtag_unmarshal_string(buffer, 1, &string), 0);
	CHECK(!memcmp(string, "a\0b", 4));
	free(string);
	evbuffer_free(buffer);
}

CASE(messages_within_messages, ONE_BACKEND)
{
	struct evbuffer *outer = new_buffer(), *inner = new_buffer();
	ev_uint32_t value = 0, tag = 0;

	evtag_marshal_string(inner, 1, "name");
	evtag_marshal_int(inner, 2, 77);
	evtag_marshal_buffer(outer, 9, inner);
	evtag_marshal_int(outer, 10, 88);
	print_bytes("nested", outer);
	CHECK_EQUAL(evtag_unmarshal(outer, &tag, inner), 10);
	CHECK_EQUAL(tag, 9);
	CHECK_EQUAL(evtag_consume(inner), 0);
	CHECK_EQUAL(evtag_unmarshal_int(inner, 2, &value), 2);
	CHECK_EQUAL(value, 77);
	CHECK_EQUAL(evtag_unmarshal_int(outer, 10, &value), 2);
	CHECK_EQUAL(value, 88);
	evbuffer_free(inner);
	evbuffer_free(outer);
}

static void
count_changes(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	long long *sums = arg;

	(void)buffer;
	sums[0] += info->n_added;
	sums[1] += info->n_deleted;
}

CASE(callbacks_learn_of_every_byte, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer(), *payload = new_buffer();
	long long sums[2] = {0, 0}, payload_sums[2] = {0, 0};
	ev_uint32_t value;
	char *string;

	evbuffer_add(payload, "payload", 7);
	evbuffer_add_cb(buffer, count_changes, sums);
	evbuffer_add_cb(payload, count_changes, payload_sums);
	evtag_marshal_int(buffer, 1, 500);
	evtag_marshal_string(buffer, 2, "text");
	evtag_marshal_buffer(buffer, 3, payload);
	printf("written: %lld added, %lld deleted\n", sums[0], sums[1]);
	printf("payload: %lld added, %lld deleted\n", payload_sums[0], payload_sums[1]);
	CHECK_EQUAL(evtag_unmarshal_int(buffer, 1, &value), 2);
	CHECK_EQUAL(evtag_unmarshal_string(buffer, 2, &string), 0);
	CHECK_EQUAL(evtag_unmarshal(buffer, NULL, payload), 7);
	printf("read: %lld added, %lld deleted\n", sums[0], sums[1]);
	printf("payload: %lld added, %lld deleted\n", payload_sums[0], payload_sums[1]);
	free(string);
	evbuffer_free(payload);
	evbuffer_free(buffer);
}

/* The string is a block of the program's allocator. */
static int strings_made, strings_given_back;

static void *
make_block(size_t size)
{
	strings_made += size == 13;
	return malloc(size);
}

static void
give_back_block(void *block)
{
	strings_given_back++;
	free(block);
}

CASE(strings_come_from_the_programs_allocator, ONE_BACKEND)
{
	struct evbuffer *buffer;
	char *string;

	event_set_mem_functions(make_block, realloc, give_back_block);
	buffer = new_buffer();
	evtag_marshal_string(buffer, 1, "twelve bytes");
	CHECK_EQUAL(evtag_unmarshal_string(buffer, 1, &string), 0);
	CHECK_EQUAL(strings_made, 1);
	CHECK_STRING(string, "twelve bytes");
	give_back_block(string);
	evbuffer_free(buffer);
	CHECK(strings_given_back > 1);
}

CASE(a_frozen_front_can_be_looked_at, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer();
	ev_uint32_t tag = 0, length = 0;

	evtag_marshal(buffer, 5, "abc", 3);
	evbuffer_freeze(buffer, 1);
	CHECK_EQUAL(evtag_peek(buffer, &tag), 1);
	CHECK_EQUAL(tag, 5);
	CHECK_EQUAL(evtag_payload_length(buffer, &length), 0);
	CHECK_EQUAL(length, 3);
	CHECK_EQUAL(evtag_peek_length(buffer, &length), 0);
	CHECK_EQUAL(length, 5);
	evbuffer_free(buffer);
}

DIFFERENCE(nothing_is_read_from_a_frozen_front, ONE_BACKEND,
	"evtag_unmarshal and others take the tag for the length when the front is frozen")
{
	unsigned char bytes[64];

	for (int kind = 0; kind < KINDS; kind++) {
		size_t length = bytes_of_item(kind, bytes, sizeof bytes);
		for (int i = 3; i < READERS; i++) {
			struct evbuffer *buffer = split_buffer((char *)bytes, length, 1, 1);
			evbuffer_freeze(buffer, 1);
			CHECK_EQUAL(readers[i].read(buffer, kind + 1).result, -1);
			evbuffer_unfreeze(buffer, 1);
			check_content(buffer, bytes, length);
			evbuffer_free(buffer);
		}
	}
}

CASE(nothing_is_added_to_a_frozen_end, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer(), *payload = new_buffer();
	struct timeval tv = {1, 2};

	evbuffer_freeze(buffer, 0);
	evtag_marshal(buffer, 1, "abc", 3);
	evtag_marshal_int(buffer, 1, 2);
	evtag_marshal_string(buffer, 1, "abc");
	evtag_marshal_timeval(buffer, 1, &tv);
	evbuffer_add(payload, "abc", 3);
	evtag_marshal_buffer(buffer, 1, payload);
	CHECK_EQUAL(evbuffer_get_length(buffer), 0);
	check_text(payload, "abc");
	evbuffer_free(payload);
	evbuffer_free(buffer);
}

DIFFERENCE(a_payload_that_cannot_move_leaves_no_header, ONE_BACKEND,
	"evtag_marshal_buffer of a frozen buffer appends a header without the payload")
{
	struct evbuffer *buffer = new_buffer(), *payload = new_buffer();

	evbuffer_add(payload, "abc", 3);
	evbuffer_freeze(payload, 1);
	evtag_marshal_buffer(buffer, 1, payload);
	CHECK_EQUAL(evbuffer_get_length(buffer), 0);
	evbuffer_unfreeze(payload, 1);
	check_text(payload, "abc");
	evbuffer_free(payload);
	evbuffer_free(buffer);
}

DIFFERENCE(a_buffer_does_not_go_into_itself, ONE_BACKEND,
	"evtag_marshal_buffer of a buffer into itself appends a header alone")
{
	struct evbuffer *buffer = new_buffer();

	evbuffer_add(buffer, "abc", 3);
	evtag_marshal_buffer(buffer, 1, buffer);
	check_text(buffer, "abc");
	evbuffer_free(buffer);
}

/* A payload that cannot be stored stays where it is. */
CASE(unmarshal_into_a_frozen_buffer, ONE_BACKEND)
{
	struct evbuffer *buffer = new_buffer(), *frozen = new_buffer();
	ev_uint32_t tag = 0;

	evtag_marshal(buffer, 3, "abc", 3);
	evbuffer_freeze(frozen, 0);
	CHECK_EQUAL(evtag_unmarshal(buffer, &tag, frozen), -1);
	CHECK_EQUAL(tag, 3);
	check_text(buffer, "abc");
	evbuffer_free(frozen);
	evbuffer_free(buffer);
}
