/* Bytes that are no message, and memory that runs out. */
#include "messages.h"

/* Reads bytes as a message that ends with the last of them. */
static int
read_bytes(const void *bytes, size_t length)
{
	struct evbuffer *buffer = evbuffer_new();
	struct everything *msg = everything_new();
	int result;

	evbuffer_add(buffer, bytes, length);
	result = everything_unmarshal(msg, buffer);
	everything_clear(msg);
	everything_free(msg);
	evbuffer_free(buffer);
	return result;
}

static size_t
message(unsigned char *bytes, size_t size)
{
	struct evbuffer *buffer = everything_by_hand();
	size_t length = evbuffer_get_length(buffer);

	CHECK(length <= size);
	evbuffer_remove(buffer, bytes, length);
	evbuffer_free(buffer);
	return length;
}

static void
ignore_message(int severity, const char *text)
{
	(void)severity;
	(void)text;
}

/* Optional entries and arrays may be missing, but nothing may be cut. */
CASE(a_message_that_is_cut, ONE_BACKEND)
{
	unsigned char bytes[1024];
	size_t length = message(bytes, sizeof bytes), accepted = 0;

	event_set_log_callback(ignore_message);
	for (size_t cut = 0; cut < length; cut++)
		accepted += read_bytes(bytes, cut) == 0;
	printf("%zu beginnings of %zu\n", accepted, length);
	CHECK_EQUAL(read_bytes(bytes, length), 0);
}

/* Every byte with every value: refused, or another message that can be written and read again. */
CASE(a_message_with_a_changed_byte, ONE_BACKEND)
{
	unsigned char bytes[1024];
	size_t length = message(bytes, sizeof bytes), accepted = 0;

	event_set_log_callback(ignore_message);
	for (size_t place = 0; place < length; place++) {
		unsigned char right = bytes[place];
		for (int value = 0; value < 256; value++) {
			bytes[place] = (unsigned char)value;
			accepted += read_bytes(bytes, length) == 0;
		}
		bytes[place] = right;
	}
	printf("%zu of %zu\n", accepted, 256 * length);
}

CASE(random_bytes, ONE_BACKEND)
{
	unsigned long long random = 88172645463325252ull;
	unsigned char bytes[64];
	int accepted = 0;

	event_set_log_callback(ignore_message);
	for (int round = 0; round < 100000; round++) {
		size_t length;
		for (size_t i = 0; i < sizeof bytes; i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			/* Small numbers are tags and lengths more often. */
			bytes[i] = (unsigned char)(random & 1 ? random >> 8 & 0x13 : random >> 8);
		}
		length = random >> 20 & 63;
		accepted += read_bytes(bytes, length) == 0;
	}
	CHECK_EQUAL(accepted, 0);
}

static void
refused(const char *what, const char *bytes, size_t length)
{
	struct evbuffer *buffer = evbuffer_new();
	struct point *point = point_new();

	evbuffer_add(buffer, bytes, length);
	CHECK_EQUAL(point_unmarshal(point, buffer), -1);
	printf("%s: %d%d%d\n", what, point->x_set, point->y_set, point->label_set);
	evbuffer_free(buffer);
	point_free(point);
}

#define REFUSED(what, bytes) refused(what, bytes, sizeof(bytes) - 1)

CASE(what_is_refused, ONE_BACKEND)
{
	log_to_stdout();
	REFUSED("empty", "");
	REFUSED("unknown tag", "\x01\x01\x05\x02\x01\x05\x09\x00");
	REFUSED("twice", "\x01\x01\x05\x01\x01\x05\x02\x01\x05");
	REFUSED("missing", "\x01\x01\x05");
	REFUSED("no integer", "\x01\x01\x15\x02\x01\x05");
	REFUSED("an empty integer", "\x01\x00\x02\x01\x05");
	REFUSED("longer than the message", "\x01\x01\x05\x02\x01\x05\x03\x05" "abcd");
	REFUSED("two gigabytes", "\x01\x01\x05\x02\x01\x05\x03\x77\xff\xff\xff\xf0" "abcd");
	REFUSED("four gigabytes", "\x01\x01\x05\x02\x01\x05\x03\x7f\xff\xff\xff\xf0" "abcd");
}

/* Reading begins with what is set already. */
CASE(reading_into_a_message_that_is_in_use, ONE_BACKEND)
{
	struct evbuffer *buffer = evbuffer_new();
	struct point *point = point_new();

	CHECK_EQUAL(EVTAG_ASSIGN(point, x, 1), 0);
	evtag_marshal_int(buffer, 1, 2);
	evtag_marshal_int(buffer, 2, 2);
	CHECK_EQUAL(point_unmarshal(point, buffer), -1);
	evbuffer_drain(buffer, evbuffer_get_length(buffer));
	evtag_marshal_int(buffer, 2, 2);
	CHECK_EQUAL(point_unmarshal(point, buffer), 0);
	evbuffer_free(buffer);
	point_free(point);
}

/* An inner message ends where its item ends, whatever its own items say. */
CASE(an_inner_item_that_reaches_out, ONE_BACKEND)
{
	static const char reaching[] = "\x01\x02\x03\x03" "\x03\x01\x05";
	static const char split_header[] = "\x01\x03\x03\x01\x05" "\x03\x01\x05";
	struct evbuffer *buffer = evbuffer_new();
	struct nest *msg = nest_new();

	log_to_stdout();
	evbuffer_add(buffer, reaching, sizeof reaching - 1);
	CHECK_EQUAL(nest_unmarshal(msg, buffer), -1);
	evbuffer_drain(buffer, evbuffer_get_length(buffer));
	nest_clear(msg);
	evbuffer_add(buffer, split_header, sizeof split_header - 1);
	CHECK_EQUAL(nest_unmarshal(msg, buffer), 0);
	CHECK_EQUAL(msg->inner_data->mark_data, 5);
	CHECK_EQUAL(msg->mark_data, 5);
	evbuffer_free(buffer);
	nest_free(msg);
}

static int
read_nest(int levels, ev_uint32_t tag)
{
	struct evbuffer *buffer = evbuffer_new();
	struct nest *msg = nest_new();
	int result;

	for (int level = 0; level < levels; level++) {
		struct evbuffer *outer = evbuffer_new();
		evtag_marshal_buffer(outer, tag, buffer);
		evbuffer_free(buffer);
		buffer = outer;
	}
	result = nest_unmarshal(msg, buffer);
	nest_free(msg);
	evbuffer_free(buffer);
	return result;
}

CASE(messages_in_messages_have_an_end, ONE_BACKEND)
{
	event_set_log_callback(ignore_message);
	for (ev_uint32_t tag = NEST_INNER; tag <= NEST_INNERS; tag++) {
		CHECK_EQUAL(read_nest(EVRPC_MAX_NESTING, tag), 0);
		CHECK_EQUAL(read_nest(EVRPC_MAX_NESTING + 1, tag), -1);
		CHECK_EQUAL(read_nest(20000, tag), -1);
	}
}

/* Every allocation fails once, of the messages and of the library. */
CASE(memory_that_runs_out, ONE_BACKEND)
{
	long failing;

	event_set_mem_functions(allocator_malloc, allocator_realloc, allocator_free);
	event_set_log_callback(ignore_message);
	for (failing = 1;; failing++) {
		struct everything *msg = everything_new(), *other = new_everything();
		struct evbuffer *buffer = everything_by_hand();
		struct nest *nest = nest_new(), *inner;
		int done;

		allocator_fail_at(failing);
		done = everything_unmarshal(msg, buffer) == 0 &&
		    everything_place_assign(msg, other->place_data) == 0 &&
		    everything_places_assign(msg, 1, other->places_data[2]) == 0 &&
		    EVTAG_ASSIGN(msg, text, "new") == 0 &&
		    EVTAG_ARRAY_ADD_VALUE(msg, texts, "more") != NULL &&
		    EVTAG_ARRAY_ADD(msg, places) != NULL &&
		    EVTAG_GET(nest, inner, &inner) == 0;
		done = done && !allocator.failed;
		allocator_fail_at(0);
		everything_free(other);
		everything_free(msg);
		nest_free(nest);
		evbuffer_free(buffer);
		if (done)
			break;
	}
	CHECK(failing > 40);
	CHECK_EQUAL(allocator.alive, 0);
}

/* What was there stays when the new value finds no memory. */
CASE(values_stay_when_memory_is_short, ONE_BACKEND)
{
	struct everything *msg = new_everything();
	struct point *point = msg->places_data[3];
	struct evbuffer *buffer = evbuffer_new(), *expected = everything_by_hand();

	event_set_log_callback(ignore_message);
	allocator.fail_on = 1;
	allocator_fail_at(1);
	CHECK_EQUAL(EVTAG_ASSIGN(msg, text, "new"), -1);
	CHECK_EQUAL(EVTAG_ASSIGN_WITH_LEN(msg, some, (const ev_uint8_t *)"new", 3), -1);
	CHECK_EQUAL(EVTAG_ASSIGN(msg, place, point), -1);
	CHECK_EQUAL(everything_texts_assign(msg, 1, "new"), -1);
	CHECK_EQUAL(everything_places_assign(msg, 1, point), -1);
	CHECK(!EVTAG_ARRAY_ADD_VALUE(msg, texts, "new"));
	CHECK(!EVTAG_ARRAY_ADD(msg, places));
	CHECK(!everything_new());
	allocator.fail_on = 0;
	allocator_fail_at(0);
	everything_marshal(buffer, msg);
	CHECK_EQUAL(evbuffer_get_length(buffer), evbuffer_get_length(expected));
	CHECK(!memcmp(evbuffer_pullup(buffer, -1), evbuffer_pullup(expected, -1), evbuffer_get_length(buffer)));
	evbuffer_free(buffer);
	evbuffer_free(expected);
	everything_free(msg);
}

/* Text with a zero byte comes in whole, and goes out as the string that it then is. */
CASE(strings_with_a_zero_byte, ONE_BACKEND)
{
	struct evbuffer *buffer = evbuffer_new();
	struct strict_part *part = strict_part_new();

	evtag_marshal(buffer, 1, "a\0b", 3);
	CHECK_EQUAL(strict_part_unmarshal(part, buffer), 0);
	CHECK(!memcmp(part->name_data, "a\0b", 4));
	evbuffer_free(buffer);
	strict_part_free(part);
}
