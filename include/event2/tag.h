/* event2/tag.h: tagged items in buffers.
 *
 * An item is a tag, a length and a payload; a buffer holds any number of them, one behind the
 * other. Writers append an item to a buffer, readers take one from its front. Which kind of payload
 * belongs to a tag is for the two sides to agree on. The bytes are the same on every machine.
 *
 * Writers return nothing. An item that cannot be appended, because memory is short, the end of
 * the buffer is frozen or the payload is too long, is left out whole, with a warning in the log.
 *
 * Readers take out what they understood even when they fail, so they are for items that have
 * arrived whole: evtag_peek_length() tells. They take no memory before they have seen that the
 * payload is there, whatever length a peer declared.
 *
 * Threads: each call is one operation on buffers that have locks.
 */
#ifndef EVENT2_TAG_H_INCLUDED_
#define EVENT2_TAG_H_INCLUDED_

#include <event2/visibility.h>
#include <event2/event-config.h>
#include <sys/time.h>
#include <sys/types.h>

#include <event2/util.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evbuffer;

/** Does nothing. No other function needs it. */
EVENT2_EXPORT_SYMBOL
void evtag_init(void);

/**
 * Takes the tag and the length of an item from a buffer, and leaves the payload at its front.
 *
 * The tag goes to `ptag` unless that is NULL, even when the rest is bad.
 *
 * Returns the length of the payload, all of which is in the buffer; -1 when it is not, when it is
 * longer than `INT_MAX`, or when tag or length is cut short or malformed. What was understood is
 * taken out nevertheless.
 */
EVENT2_EXPORT_SYMBOL
int evtag_unmarshal_header(struct evbuffer *evbuf, ev_uint32_t *ptag);

/** Appends an item: `len` bytes at `data`, which are copied. */
EVENT2_EXPORT_SYMBOL
void evtag_marshal(struct evbuffer *evbuf, ev_uint32_t tag, const void *data, ev_uint32_t len);

/**
 * Appends an item and moves all of `data` into it, without copying.
 *
 * `data` is empty afterwards and stays the caller's. Nothing happens when it is `evbuf` itself, is
 * longer than a length of 32 bits can say, memory is short, or a buffer is frozen.
 */
EVENT2_EXPORT_SYMBOL
void evtag_marshal_buffer(struct evbuffer *evbuf, ev_uint32_t tag, struct evbuffer *data);

/**
 * Appends an integer without tag and length: one to five bytes.
 *
 * The bytes are the same on every machine. Small numbers take fewer: the first half byte counts
 * the half bytes that follow, and leading zeros are left out.
 */
EVENT2_EXPORT_SYMBOL
void evtag_encode_int(struct evbuffer *evbuf, ev_uint32_t number);

/** Appends an integer of 64 bits as evtag_encode_int() does: one to nine bytes. */
EVENT2_EXPORT_SYMBOL
void evtag_encode_int64(struct evbuffer *evbuf, ev_uint64_t number);

/** Appends an item with an integer. */
EVENT2_EXPORT_SYMBOL
void evtag_marshal_int(struct evbuffer *evbuf, ev_uint32_t tag, ev_uint32_t integer);

/** Appends an item with an integer of 64 bits. */
EVENT2_EXPORT_SYMBOL
void evtag_marshal_int64(struct evbuffer *evbuf, ev_uint32_t tag, ev_uint64_t integer);

/** Appends an item with a string, without its terminating NUL. */
EVENT2_EXPORT_SYMBOL
void evtag_marshal_string(struct evbuffer *buf, ev_uint32_t tag, const char *string);

/** Appends an item with a time: its seconds and microseconds, of each the lowest 32 bits. */
EVENT2_EXPORT_SYMBOL
void evtag_marshal_timeval(struct evbuffer *evbuf, ev_uint32_t tag, struct timeval *tv);

/**
 * Takes an item from `src` and moves its payload to the end of `dst`, another buffer.
 *
 * The tag goes to `ptag` unless that is NULL. Returns the length of the payload, or -1 as
 * evtag_unmarshal_header(), and when `dst` is frozen or memory is short; the payload, or the rest
 * of it, is then left in `src`.
 */
EVENT2_EXPORT_SYMBOL
int evtag_unmarshal(struct evbuffer *src, ev_uint32_t *ptag, struct evbuffer *dst);

/**
 * Looks at the tag of the first item, which goes to `ptag` unless that is NULL.
 *
 * Returns how many bytes the tag takes, or -1 when it is cut short or malformed.
 */
EVENT2_EXPORT_SYMBOL
int evtag_peek(struct evbuffer *evbuf, ev_uint32_t *ptag);

/**
 * Looks at how long the first item is: tag, length and payload together.
 *
 * The payload need not be in the buffer yet: compare with evbuffer_get_length(). Returns -1, with
 * `plength` unchanged, when tag or length is cut short or malformed, or the sum takes more than
 * 32 bits.
 */
EVENT2_EXPORT_SYMBOL
int evtag_peek_length(struct evbuffer *evbuf, ev_uint32_t *plength);

/**
 * Looks at how long the payload of the first item is.
 *
 * It need not be in the buffer yet. Returns -1, with `plength` unchanged, when tag or length is
 * cut short or malformed.
 */
EVENT2_EXPORT_SYMBOL
int evtag_payload_length(struct evbuffer *evbuf, ev_uint32_t *plength);

/** Takes an item from a buffer and throws it away. Returns -1 as evtag_unmarshal_header(). */
EVENT2_EXPORT_SYMBOL
int evtag_consume(struct evbuffer *evbuf);

/**
 * Takes an item with an integer, written by evtag_marshal_int(). The integer goes to `pinteger`.
 *
 * Returns how many bytes the integer took, one to five. Returns -1 as evtag_unmarshal_header(),
 * when the item has another tag, of which the tag is then taken out, and when the payload is no
 * integer of 32 bits, in which case the item is taken out.
 */
EVENT2_EXPORT_SYMBOL
int evtag_unmarshal_int(struct evbuffer *evbuf, ev_uint32_t need_tag, ev_uint32_t *pinteger);

/** As evtag_unmarshal_int(), for integers of up to 64 bits, which take one to nine bytes. */
EVENT2_EXPORT_SYMBOL
int evtag_unmarshal_int64(struct evbuffer *evbuf, ev_uint32_t need_tag, ev_uint64_t *pinteger);

/**
 * Takes an item whose payload has exactly `len` bytes, which are copied to `data`.
 *
 * Returns -1 as evtag_unmarshal_header(), and when tag or length is another; the payload is then
 * left in the buffer.
 */
EVENT2_EXPORT_SYMBOL
int evtag_unmarshal_fixed(struct evbuffer *src, ev_uint32_t need_tag, void *data, size_t len);

/**
 * Takes an item with a string. `pstring` gets a copy of the payload with a NUL behind it, which
 * the caller frees with free() or what `event_set_mem_functions()` set in its place.
 *
 * Returns -1 as evtag_unmarshal_header(), and when the item has another tag; also when memory is
 * short, in which case `pstring` gets NULL. The payload is then left in the buffer.
 */
EVENT2_EXPORT_SYMBOL
int evtag_unmarshal_string(struct evbuffer *evbuf, ev_uint32_t need_tag, char **pstring);

/**
 * Takes an item with a time, written by evtag_marshal_timeval(), to `ptv`.
 *
 * Returns -1 as evtag_unmarshal_header(); also when the item has another tag or its payload is not
 * two integers of 32 bits, in which cases the item is taken out.
 */
EVENT2_EXPORT_SYMBOL
int evtag_unmarshal_timeval(struct evbuffer *evbuf, ev_uint32_t need_tag, struct timeval *ptv);

#ifdef __cplusplus
}
#endif

#endif
