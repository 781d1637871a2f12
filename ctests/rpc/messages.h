/* What the tests of generated messages share: their code, whose memory can be made short. */
#ifndef CTESTS_RPC_MESSAGES_H
#define CTESTS_RPC_MESSAGES_H

#include "allocator.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/tag.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGES_ static __attribute__((unused))

MESSAGES_ void *
messages_malloc(size_t size)
{
	return allocator_refuses() ? NULL : malloc(size);
}

MESSAGES_ void *
messages_calloc(size_t count, size_t size)
{
	return allocator_refuses() ? NULL : calloc(count, size);
}

MESSAGES_ void *
messages_realloc(void *memory, size_t size)
{
	return allocator_refuses() ? NULL : realloc(memory, size);
}

#define malloc messages_malloc
#define calloc messages_calloc
#define realloc messages_realloc
#include "rpc/messages.gen.c"
#undef malloc
#undef calloc
#undef realloc

/* The structure of another generator. */

struct foreign *
foreign_new(void)
{
	return messages_calloc(1, sizeof(struct foreign));
}

void
foreign_free(struct foreign *msg)
{
	free(msg);
}

void
foreign_marshal(struct evbuffer *evbuf, const struct foreign *msg)
{
	evtag_marshal_int(evbuf, 1, msg->value);
}

int
foreign_unmarshal(struct foreign *msg, struct evbuffer *evbuf)
{
	while (evbuffer_get_length(evbuf) > 0) {
		if (evtag_unmarshal_int(evbuf, 1, &msg->value) == -1)
			return -1;
		msg->set = 1;
	}
	return foreign_complete(msg);
}

int
foreign_complete(struct foreign *msg)
{
	return msg->set ? 0 : -1;
}

void
evtag_marshal_foreign(struct evbuffer *evbuf, ev_uint32_t tag, const struct foreign *msg)
{
	struct evbuffer *payload = evbuffer_new();

	if (!payload)
		return;
	foreign_marshal(payload, msg);
	evtag_marshal_buffer(evbuf, tag, payload);
	evbuffer_free(payload);
}

int
evtag_unmarshal_foreign(struct evbuffer *evbuf, ev_uint32_t need_tag, struct foreign *msg)
{
	struct evbuffer *payload = evbuffer_new();
	ev_uint32_t tag;
	int result = -1;

	if (payload && evtag_unmarshal(evbuf, &tag, payload) != -1 && tag == need_tag)
		result = foreign_unmarshal(msg, payload);
	if (payload)
		evbuffer_free(payload);
	return result;
}

/* Every entry has a value. */
MESSAGES_ struct everything *
new_everything(void)
{
	struct everything *msg = everything_new();
	struct point *point;
	ev_uint8_t fixed[KEY_LENGTH];

	CHECK(msg);
	memset(fixed, 'f', sizeof fixed);
	CHECK_EQUAL(EVTAG_ASSIGN(msg, number, 0xdeadbeef), 0);
	CHECK_EQUAL(EVTAG_ASSIGN(msg, large, 0xdeadbeefcafeull), 0);
	CHECK_EQUAL(EVTAG_ASSIGN(msg, text, "text"), 0);
	CHECK_EQUAL(EVTAG_ASSIGN(msg, fixed, fixed), 0);
	CHECK_EQUAL(EVTAG_ASSIGN_WITH_LEN(msg, some, (const ev_uint8_t *)"so\0me", 5), 0);
	CHECK_EQUAL(EVTAG_GET(msg, place, &point), 0);
	CHECK_EQUAL(EVTAG_ASSIGN(point, x, 1), 0);
	CHECK_EQUAL(EVTAG_ASSIGN(point, y, 2), 0);
	for (int i = 0; i < 5; i++) {
		char text[] = {(char)('a' + i), 0};
		CHECK_EQUAL(*EVTAG_ARRAY_ADD_VALUE(msg, numbers, i), i);
		CHECK_EQUAL(*EVTAG_ARRAY_ADD_VALUE(msg, larges, 1ull << (i + 30)), 1ull << (i + 30));
		CHECK_STRING(*EVTAG_ARRAY_ADD_VALUE(msg, texts, text), text);
		point = EVTAG_ARRAY_ADD(msg, places);
		CHECK(point);
		CHECK_EQUAL(EVTAG_ASSIGN(point, x, i), 0);
		CHECK_EQUAL(EVTAG_ASSIGN(point, y, i * i), 0);
		CHECK_EQUAL(EVTAG_ASSIGN(point, label, text), 0);
	}
	CHECK_EQUAL(EVTAG_ASSIGN(msg, maybe_number, 7), 0);
	CHECK_EQUAL(EVTAG_ASSIGN(msg, maybe_large, 8), 0);
	CHECK_EQUAL(EVTAG_ASSIGN(msg, maybe_text, ""), 0);
	CHECK_EQUAL(EVTAG_ASSIGN(msg, maybe_fixed, (const ev_uint8_t *)"ab"), 0);
	CHECK_EQUAL(EVTAG_ASSIGN_WITH_LEN(msg, maybe_some, NULL, 0), 0);
	CHECK_EQUAL(EVTAG_ASSIGN(msg, maybe_place, point), 0);
	CHECK_EQUAL(everything_complete(msg), 0);
	return msg;
}

/* The same bytes, by the functions of event2/tag.h. */
MESSAGES_ void
marshal_point(struct evbuffer *buffer, ev_uint32_t tag, ev_uint32_t x, ev_uint32_t y, const char *label)
{
	struct evbuffer *inner = evbuffer_new();

	evtag_marshal_int(inner, 1, x);
	evtag_marshal_int(inner, 2, y);
	if (label)
		evtag_marshal_string(inner, 3, label);
	evtag_marshal_buffer(buffer, tag, inner);
	evbuffer_free(inner);
}

MESSAGES_ struct evbuffer *
everything_by_hand(void)
{
	static const char *labels[] = {"a", "b", "c", "d", "e"};
	struct evbuffer *buffer = evbuffer_new();
	ev_uint8_t fixed[KEY_LENGTH];

	memset(fixed, 'f', sizeof fixed);
	evtag_marshal_int(buffer, 1, 0xdeadbeef);
	evtag_marshal_int64(buffer, 2, 0xdeadbeefcafeull);
	evtag_marshal_string(buffer, 3, "text");
	evtag_marshal(buffer, 4, fixed, sizeof fixed);
	evtag_marshal(buffer, 5, "so\0me", 5);
	marshal_point(buffer, 6, 1, 2, NULL);
	for (int i = 0; i < 5; i++)
		evtag_marshal_int(buffer, 7, i);
	for (int i = 0; i < 5; i++)
		evtag_marshal_int64(buffer, 8, 1ull << (i + 30));
	for (int i = 0; i < 5; i++)
		evtag_marshal_string(buffer, 9, labels[i]);
	for (int i = 0; i < 5; i++)
		marshal_point(buffer, 10, i, i * i, labels[i]);
	evtag_marshal_int(buffer, 0xff23f, 7);
	evtag_marshal_int64(buffer, 12, 8);
	evtag_marshal_string(buffer, 13, "");
	evtag_marshal(buffer, 14, "ab", 2);
	evtag_marshal(buffer, 15, NULL, 0);
	marshal_point(buffer, 16, 4, 16, "e");
	return buffer;
}

#endif
