/* Messages made of definitions: their entries, their bytes, and back. */
#include "messages.h"

static size_t
bytes_of(struct evbuffer *buffer, unsigned char *bytes, size_t size)
{
	size_t length = evbuffer_get_length(buffer);

	CHECK(length <= size);
	CHECK_EQUAL(evbuffer_copyout(buffer, bytes, size), length);
	return length;
}

static void
check_same_bytes(struct evbuffer *a, struct evbuffer *b)
{
	unsigned char first[4096], second[4096];
	size_t length = bytes_of(a, first, sizeof first);

	CHECK_EQUAL(length, bytes_of(b, second, sizeof second));
	CHECK(!memcmp(first, second, length));
}

CASE(entries_are_in_the_order_of_their_definition, ONE_BACKEND)
{
	struct everything *msg = new_everything();
	struct evbuffer *buffer = evbuffer_new(), *expected = everything_by_hand();

	everything_marshal(buffer, msg);
	check_same_bytes(buffer, expected);
	evbuffer_free(buffer);
	evbuffer_free(expected);
	everything_free(msg);
}

CASE(a_message_comes_back_from_its_bytes, ONE_BACKEND)
{
	struct everything *msg = everything_new();
	struct evbuffer *buffer = everything_by_hand(), *again = evbuffer_new(), *expected = everything_by_hand();
	struct point *point;
	ev_uint8_t *bytes;
	ev_uint64_t large;
	ev_uint32_t number, length;
	char *text;

	CHECK_EQUAL(everything_unmarshal(msg, buffer), 0);
	CHECK_EQUAL(evbuffer_get_length(buffer), 0);
	everything_marshal(again, msg);
	check_same_bytes(again, expected);

	CHECK(EVTAG_HAS(msg, number) && EVTAG_HAS(msg, places) && EVTAG_HAS(msg, maybe_text));
	CHECK_EQUAL(EVTAG_GET(msg, number, &number), 0);
	CHECK_EQUAL(number, 0xdeadbeef);
	CHECK_EQUAL(EVTAG_GET(msg, large, &large), 0);
	CHECK(large == 0xdeadbeefcafeull);
	CHECK_EQUAL(EVTAG_GET(msg, text, &text), 0);
	CHECK(text == msg->text_data);
	CHECK_STRING(text, "text");
	CHECK_EQUAL(EVTAG_GET(msg, fixed, &bytes), 0);
	CHECK(bytes == msg->fixed_data);
	CHECK_EQUAL(EVTAG_GET_WITH_LEN(msg, some, &bytes, &length), 0);
	CHECK_EQUAL(length, 5);
	CHECK(!memcmp(bytes, "so\0me", 5));
	CHECK_EQUAL(EVTAG_GET_WITH_LEN(msg, maybe_some, &bytes, &length), 0);
	CHECK_EQUAL(length, 0);
	CHECK_EQUAL(EVTAG_GET(msg, place, &point), 0);
	CHECK_EQUAL(point->x_data * 10 + point->y_data, 12);
	CHECK(!EVTAG_HAS(point, label));
	CHECK_EQUAL(EVTAG_ARRAY_LEN(msg, numbers), 5);
	CHECK_EQUAL(EVTAG_ARRAY_GET(msg, numbers, 4, &number), 0);
	CHECK_EQUAL(number, 4);
	CHECK_EQUAL(EVTAG_ARRAY_GET(msg, larges, 4, &large), 0);
	CHECK(large == 1ull << 34);
	CHECK_EQUAL(EVTAG_ARRAY_GET(msg, texts, 2, &text), 0);
	CHECK_STRING(text, "c");
	CHECK_EQUAL(EVTAG_ARRAY_GET(msg, places, 3, &point), 0);
	CHECK_EQUAL(point->y_data, 9);
	CHECK_STRING(point->label_data, "d");
	evbuffer_free(buffer);
	evbuffer_free(again);
	evbuffer_free(expected);
	everything_free(msg);
}

/* Nothing is set in a new message, and in one that was cleared. */
static void
check_empty(struct everything *msg)
{
	static const ev_uint8_t zeros[KEY_LENGTH];
	ev_uint8_t *bytes;
	ev_uint64_t large;
	ev_uint32_t number, length;
	struct point *point;
	char *text;

	CHECK_EQUAL(everything_complete(msg), -1);
	CHECK(!EVTAG_HAS(msg, number) && !EVTAG_HAS(msg, numbers) && !EVTAG_HAS(msg, maybe_place));
	CHECK_EQUAL(EVTAG_GET(msg, number, &number), -1);
	CHECK_EQUAL(EVTAG_GET(msg, large, &large), -1);
	CHECK_EQUAL(EVTAG_GET(msg, text, &text), -1);
	CHECK_EQUAL(EVTAG_GET(msg, fixed, &bytes), -1);
	CHECK(!memcmp(msg->fixed_data, zeros, sizeof zeros));
	CHECK_EQUAL(EVTAG_GET_WITH_LEN(msg, some, &bytes, &length), -1);
	CHECK_EQUAL(EVTAG_ARRAY_GET(msg, numbers, 0, &number), -1);
	CHECK_EQUAL(EVTAG_ARRAY_GET(msg, larges, 0, &large), -1);
	CHECK_EQUAL(EVTAG_ARRAY_GET(msg, texts, 0, &text), -1);
	CHECK_EQUAL(EVTAG_ARRAY_GET(msg, places, 0, &point), -1);
	CHECK_EQUAL(msg->numbers_length + msg->texts_length + msg->places_length + (int)msg->some_length, 0);
	CHECK(!msg->text_data && !msg->some_data && !msg->place_data && !msg->numbers_data);
}

CASE(nothing_is_set_at_first_and_after_clearing, ONE_BACKEND)
{
	struct everything *msg = everything_new_with_arg("ignored");

	check_empty(msg);
	everything_free(msg);
	msg = new_everything();
	everything_clear(msg);
	check_empty(msg);
	CHECK_EQUAL(msg->number_data, 0xdeadbeef);
	everything_clear(msg);
	CHECK_EQUAL(EVTAG_ASSIGN(msg, text, "used again"), 0);
	everything_free(msg);
}

/* A mandatory entry without a value: zero, or nothing where there is no such value. */
CASE(mandatory_entries_without_a_value, ONE_BACKEND)
{
	static const ev_uint8_t zeros[KEY_LENGTH];
	struct everything *msg = everything_new();
	struct evbuffer *buffer = evbuffer_new(), *expected = evbuffer_new();

	everything_marshal(buffer, msg);
	evtag_marshal_int(expected, 1, 0);
	evtag_marshal_int64(expected, 2, 0);
	evtag_marshal(expected, 4, zeros, sizeof zeros);
	evtag_marshal(expected, 5, NULL, 0);
	check_same_bytes(buffer, expected);
	CHECK_EQUAL(everything_unmarshal(msg, buffer), -1);
	evbuffer_free(buffer);
	evbuffer_free(expected);
	everything_free(msg);
}

CASE(missing_entries_are_noticed, ONE_BACKEND)
{
	for (int i = 0; i < 8; i++) {
		struct everything *msg = new_everything();
		switch (i) {
		case 0: msg->number_set = 0; break;
		case 1: msg->large_set = 0; break;
		case 2: msg->text_set = 0; break;
		case 3: msg->fixed_set = 0; break;
		case 4: msg->some_set = 0; break;
		case 5: msg->place_data->y_set = 0; break;
		case 6: msg->places_data[2]->x_set = 0; break;
		case 7: msg->maybe_place_data->x_set = 0; break;
		}
		CHECK_EQUAL(everything_complete(msg), -1);
		everything_free(msg);
	}
}

CASE(assigning_replaces, ONE_BACKEND)
{
	struct everything *msg = new_everything();
	struct point *point = point_new(), *before;
	ev_uint8_t fixed[KEY_LENGTH] = "other";
	ev_uint64_t large;
	ev_uint32_t number;
	char *text;

	CHECK_EQUAL(EVTAG_ASSIGN(msg, number, 1), 0);
	CHECK_EQUAL(EVTAG_ASSIGN(msg, text, "longer than before"), 0);
	CHECK_STRING(msg->text_data, "longer than before");
	CHECK_EQUAL(EVTAG_ASSIGN(msg, fixed, fixed), 0);
	CHECK(!memcmp(msg->fixed_data, fixed, sizeof fixed));
	CHECK_EQUAL(EVTAG_ASSIGN_WITH_LEN(msg, some, (const ev_uint8_t *)"x", 1), 0);
	CHECK_EQUAL(msg->some_length, 1);

	point_x_assign(point, 5);
	point_y_assign(point, 6);
	point_label_assign(point, "copied");
	before = msg->place_data;
	CHECK_EQUAL(EVTAG_ASSIGN(msg, place, point), 0);
	CHECK(msg->place_data != point && msg->place_data != before);
	CHECK(msg->place_data->label_data != point->label_data);
	CHECK_STRING(msg->place_data->label_data, "copied");

	CHECK_EQUAL(everything_numbers_assign(msg, 4, 40), 0);
	CHECK_EQUAL(EVTAG_ARRAY_GET(msg, numbers, 4, &number), 0);
	CHECK_EQUAL(number, 40);
	CHECK_EQUAL(everything_larges_assign(msg, 0, 41), 0);
	CHECK_EQUAL(EVTAG_ARRAY_GET(msg, larges, 0, &large), 0);
	CHECK_EQUAL(large, 41);
	CHECK_EQUAL(everything_texts_assign(msg, 1, "replaced"), 0);
	CHECK_EQUAL(EVTAG_ARRAY_GET(msg, texts, 1, &text), 0);
	CHECK_STRING(text, "replaced");
	CHECK_EQUAL(everything_places_assign(msg, 0, point), 0);
	CHECK_STRING(msg->places_data[0]->label_data, "copied");
	for (int offset = -1; offset < 6; offset += 6) {
		CHECK_EQUAL(everything_numbers_assign(msg, offset, 0), -1);
		CHECK_EQUAL(everything_larges_assign(msg, offset, 0), -1);
		CHECK_EQUAL(everything_texts_assign(msg, offset, "x"), -1);
		CHECK_EQUAL(everything_places_assign(msg, offset, point), -1);
		CHECK_EQUAL(EVTAG_ARRAY_GET(msg, numbers, offset, &number), -1);
		CHECK_EQUAL(EVTAG_ARRAY_GET(msg, texts, offset, &text), -1);
	}
	point_free(point);
	everything_free(msg);
}

/* An entry may be assigned its own value. */
CASE(assigning_a_value_to_itself, ONE_BACKEND)
{
	struct everything *msg = new_everything();
	struct evbuffer *buffer = evbuffer_new(), *expected = everything_by_hand();

	CHECK_EQUAL(EVTAG_ASSIGN(msg, text, msg->text_data), 0);
	CHECK_EQUAL(EVTAG_ASSIGN(msg, fixed, msg->fixed_data), 0);
	CHECK_EQUAL(EVTAG_ASSIGN_WITH_LEN(msg, some, msg->some_data, msg->some_length), 0);
	CHECK_EQUAL(EVTAG_ASSIGN(msg, place, msg->place_data), 0);
	CHECK_EQUAL(everything_texts_assign(msg, 1, msg->texts_data[1]), 0);
	CHECK_EQUAL(everything_places_assign(msg, 1, msg->places_data[1]), 0);
	everything_marshal(buffer, msg);
	check_same_bytes(buffer, expected);
	evbuffer_free(buffer);
	evbuffer_free(expected);
	everything_free(msg);
}

CASE(an_incomplete_structure_is_not_assigned, ONE_BACKEND)
{
	struct strict *msg = strict_new();
	struct strict_part *part = strict_part_new(), *added;

	CHECK_EQUAL(EVTAG_ASSIGN(msg, part, part), -1);
	CHECK(!EVTAG_HAS(msg, part));
	CHECK_EQUAL(EVTAG_ASSIGN(part, name, "name"), 0);
	CHECK_EQUAL(EVTAG_ASSIGN(msg, part, part), 0);
	CHECK_STRING(msg->part_data->name_data, "name");
	added = EVTAG_ARRAY_ADD(msg, parts);
	CHECK_EQUAL(EVTAG_ASSIGN(added, name, "first"), 0);
	strict_part_clear(part);
	CHECK_EQUAL(strict_parts_assign(msg, 0, part), -1);
	CHECK_STRING(msg->parts_data[0]->name_data, "first");
	CHECK_EQUAL(EVTAG_ASSIGN(msg, part, part), -1);
	CHECK(!EVTAG_HAS(msg, part));
	CHECK_EQUAL(strict_complete(msg), 0);
	strict_part_free(part);
	strict_free(msg);
}

/* Getting a missing structure creates it. */
CASE(getting_a_structure_makes_it, ONE_BACKEND)
{
	struct everything *msg = everything_new();
	struct point *point = NULL, *again = NULL;

	CHECK_EQUAL(EVTAG_GET(msg, maybe_place, &point), 0);
	CHECK(point && EVTAG_HAS(msg, maybe_place));
	CHECK(!EVTAG_HAS(point, x));
	CHECK_EQUAL(EVTAG_GET(msg, maybe_place, &again), 0);
	CHECK(point == again);
	everything_free(msg);
}

CASE(arrays_double, ONE_BACKEND)
{
	struct everything *msg = everything_new();
	char *text = (char *)"";

	for (int i = 0; i < 9; i++) {
		CHECK(EVTAG_ARRAY_ADD_VALUE(msg, numbers, i));
		printf("%d of %d\n", msg->numbers_length, msg->numbers_num_allocated);
	}
	CHECK(EVTAG_ARRAY_ADD_VALUE(msg, texts, NULL));
	CHECK_EQUAL(EVTAG_ARRAY_GET(msg, texts, 0, &text), 0);
	CHECK_STRING(text, NULL);
	everything_free(msg);
}

/* A string that is not there leaves nothing in the bytes. */
CASE(strings_that_are_null, ONE_BACKEND)
{
	struct everything *msg = new_everything();
	struct evbuffer *buffer = evbuffer_new(), *expected = everything_by_hand();

	CHECK(EVTAG_ARRAY_ADD_VALUE(msg, texts, NULL));
	everything_marshal(buffer, msg);
	check_same_bytes(buffer, expected);
	evbuffer_free(buffer);
	evbuffer_free(expected);
	everything_free(msg);
}

CASE(messages_as_items, ONE_BACKEND)
{
	struct evbuffer *buffer = evbuffer_new(), *expected = evbuffer_new();
	struct point *point = point_new(), *other = point_new();

	point_x_assign(point, 3);
	point_y_assign(point, 4);
	evtag_marshal_point(buffer, 0x1234, point);
	marshal_point(expected, 0x1234, 3, 4, NULL);
	check_same_bytes(buffer, expected);
	evbuffer_add(buffer, "behind", 6);
	CHECK_EQUAL(evtag_unmarshal_point(buffer, 0x1234, other), 0);
	CHECK_EQUAL(other->y_data, 4);
	CHECK_EQUAL(evbuffer_get_length(buffer), 6);

	/* An item with another tag, or with an invalid message, is consumed too. */
	evbuffer_drain(buffer, 6);
	evtag_marshal_point(buffer, 1, point);
	evtag_marshal_string(buffer, 2, "no message at all");
	evtag_marshal_string(buffer, 3, "\x01\x01\x05\x02\x09\x06");
	evbuffer_add(buffer, "behind", 6);
	point_clear(other);
	CHECK_EQUAL(evtag_unmarshal_point(buffer, 7, other), -1);
	CHECK_EQUAL(evtag_unmarshal_point(buffer, 2, other), -1);
	point_clear(other);
	CHECK_EQUAL(evtag_unmarshal_point(buffer, 3, other), -1);
	CHECK_EQUAL(evbuffer_get_length(buffer), 6);
	evbuffer_free(buffer);
	evbuffer_free(expected);
	point_free(point);
	point_free(other);
}

CASE(a_structure_without_entries, ONE_BACKEND)
{
	struct nothing *msg = nothing_new();
	struct evbuffer *buffer = evbuffer_new();

	CHECK_EQUAL(nothing_complete(msg), 0);
	nothing_marshal(buffer, msg);
	CHECK_EQUAL(evbuffer_get_length(buffer), 0);
	CHECK_EQUAL(nothing_unmarshal(msg, buffer), 0);
	evtag_marshal_int(buffer, 1, 1);
	CHECK_EQUAL(nothing_unmarshal(msg, buffer), -1);
	evbuffer_free(buffer);
	nothing_free(msg);
}

/* A structure whose code another generator made. */
CASE(structures_of_other_files, ONE_BACKEND)
{
	struct borrower *msg = borrower_new(), *copy = borrower_new();
	struct foreign one = {5, 1}, none = {0, 0}, *many;
	struct evbuffer *buffer = evbuffer_new();

	CHECK_EQUAL(EVTAG_ASSIGN(msg, one, &one), 0);
	for (ev_uint32_t i = 0; i < 3; i++) {
		many = EVTAG_ARRAY_ADD(msg, many);
		many->value = i;
		many->set = 1;
	}
	CHECK_EQUAL(borrower_many_assign(msg, 1, &one), 0);
	borrower_marshal(buffer, msg);
	CHECK_EQUAL(borrower_unmarshal(copy, buffer), 0);
	CHECK_EQUAL(copy->one_data->value, 5);
	CHECK_EQUAL(EVTAG_ARRAY_LEN(copy, many), 3);
	CHECK_EQUAL(copy->many_data[1]->value, 5);
	CHECK_EQUAL(copy->many_data[2]->value, 2);
	many = EVTAG_ARRAY_ADD(copy, many);
	*many = none;
	CHECK_EQUAL(borrower_complete(copy), -1);
	evbuffer_free(buffer);
	borrower_free(msg);
	borrower_free(copy);
}

CASE(tags_as_constants, ONE_BACKEND)
{
	enum everything_ tag = EVERYTHING_MAYBE_NUMBER;

	printf("%#x %d %d %d\n", tag, EVERYTHING_NUMBER, EVERYTHING_MAX_TAGS, NOTHING_MAX_TAGS);
}
