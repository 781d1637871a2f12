/* event2/tag.h: tagged items in buffers.
 *
 * An item is a tag, a length and a payload; a buffer holds any number of items in sequence.
 * Writers append an item to a buffer, readers remove one from its front. Both sides have to agree
 * on what kind of payload a tag has. The encoding is the same on every machine.
 *
 * Writers return nothing. An item that cannot be appended, because memory is short, the end of
 * the buffer is frozen or the payload is too long, is left out completely, with a warning in the
 * log.
 *
 * Readers remove what they could parse even if they fail, so use them only for items that have
 * arrived completely: see evtag_peek_length(). They allocate nothing before the whole payload is
 * there, whatever length a peer declares.
 *
 * Threads: if the buffers have locks, each call is atomic.
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

/** Has no effect: no other function needs it. */
EVENT2_EXPORT_SYMBOL
void evtag_init(void);

/**
 * Removes the tag and the length of an item from a buffer, which leaves the payload at its front.
 *
 * The tag is stored in `ptag` unless that is NULL, even if the rest is bad.
 *
 * Returns the length of the payload, all of which is in the buffer; or -1 if the payload is
 * incomplete or longer than `INT_MAX`, or the tag or length is incomplete or malformed. What could
 * be parsed is removed in any case.
 */
EVENT2_EXPORT_SYMBOL
int evtag_unmarshal_header(struct evbuffer *evbuf, ev_uint32_t *ptag);

/** Appends an item with a copy of the `len` bytes at `data`. */
EVENT2_EXPORT_SYMBOL
void evtag_marshal(struct evbuffer *evbuf, ev_uint32_t tag, const void *data, ev_uint32_t len);

/**
 * Appends an item and moves all of `data` into it, without copying.
 *
 * `data` is empty afterwards and remains the caller's. Nothing happens if it is `evbuf` itself,
 * longer than 32 bits can express, memory is short, or a buffer is frozen.
 */
EVENT2_EXPORT_SYMBOL
void evtag_marshal_buffer(struct evbuffer *evbuf, ev_uint32_t tag, struct evbuffer *data);

/**
 * Appends an integer without tag and length: one to five bytes.
 *
 * The bytes are the same on every machine. Small numbers take fewer bytes: the first nibble (half
 * byte) is the number of nibbles that follow, and leading zeros are left out.
 */
EVENT2_EXPORT_SYMBOL
void evtag_encode_int(struct evbuffer *evbuf, ev_uint32_t number);

/** Appends a 64-bit integer like evtag_encode_int(): one to nine bytes. */
EVENT2_EXPORT_SYMBOL
void evtag_encode_int64(struct evbuffer *evbuf, ev_uint64_t number);

/** Appends an item with an integer. */
EVENT2_EXPORT_SYMBOL
void evtag_marshal_int(struct evbuffer *evbuf, ev_uint32_t tag, ev_uint32_t integer);

/** Appends an item with a 64-bit integer. */
EVENT2_EXPORT_SYMBOL
void evtag_marshal_int64(struct evbuffer *evbuf, ev_uint32_t tag, ev_uint64_t integer);

/** Appends an item with a string, without its terminating NUL. */
EVENT2_EXPORT_SYMBOL
void evtag_marshal_string(struct evbuffer *buf, ev_uint32_t tag, const char *string);

/** Appends an item with a time: the low 32 bits of its seconds and of its microseconds. */
EVENT2_EXPORT_SYMBOL
void evtag_marshal_timeval(struct evbuffer *evbuf, ev_uint32_t tag, struct timeval *tv);

/**
 * Removes an item from `src` and moves its payload to the end of `dst`, another buffer.
 *
 * The tag is stored in `ptag` unless that is NULL. Returns the length of the payload; or -1 in the
 * same cases as evtag_unmarshal_header(), and if `dst` is frozen or memory is short. The payload,
 * or the rest of it, then stays in `src`.
 */
EVENT2_EXPORT_SYMBOL
int evtag_unmarshal(struct evbuffer *src, ev_uint32_t *ptag, struct evbuffer *dst);

/**
 * Looks at the tag of the first item, and stores it in `ptag` unless that is NULL.
 *
 * Returns how many bytes the tag takes, or -1 if it is incomplete or malformed.
 */
EVENT2_EXPORT_SYMBOL
int evtag_peek(struct evbuffer *evbuf, ev_uint32_t *ptag);

/**
 * Gets the length of the first item: tag, length and payload together.
 *
 * The payload need not be in the buffer yet: compare with evbuffer_get_length(). Returns 0; or -1,
 * with `plength` unchanged, if the tag or length is incomplete or malformed, or the sum exceeds 32
 * bits.
 */
EVENT2_EXPORT_SYMBOL
int evtag_peek_length(struct evbuffer *evbuf, ev_uint32_t *plength);

/**
 * Gets the length of the payload of the first item.
 *
 * The payload need not be in the buffer yet. Returns 0; or -1, with `plength` unchanged, if the
 * tag or length is incomplete or malformed.
 */
EVENT2_EXPORT_SYMBOL
int evtag_payload_length(struct evbuffer *evbuf, ev_uint32_t *plength);

/**
 * Removes an item from a buffer and discards it. Returns 0, or -1 in the same cases as
 * evtag_unmarshal_header().
 */
EVENT2_EXPORT_SYMBOL
int evtag_consume(struct evbuffer *evbuf);

/**
 * Removes an item with an integer, written by evtag_marshal_int(), and stores the integer in
 * `pinteger`.
 *
 * Returns how many bytes the integer took, one to five; or -1 in the same cases as
 * evtag_unmarshal_header(), if the item has another tag (its tag is then removed), or if the
 * payload is not a 32-bit integer (the item is then removed).
 */
EVENT2_EXPORT_SYMBOL
int evtag_unmarshal_int(struct evbuffer *evbuf, ev_uint32_t need_tag, ev_uint32_t *pinteger);

/** Like evtag_unmarshal_int(), for integers of up to 64 bits, which take one to nine bytes. */
EVENT2_EXPORT_SYMBOL
int evtag_unmarshal_int64(struct evbuffer *evbuf, ev_uint32_t need_tag, ev_uint64_t *pinteger);

/**
 * Removes an item whose payload has exactly `len` bytes, and copies them to `data`.
 *
 * Returns 0; or -1 in the same cases as evtag_unmarshal_header(), and if the tag or length is a
 * different one. The payload then stays in the buffer.
 */
EVENT2_EXPORT_SYMBOL
int evtag_unmarshal_fixed(struct evbuffer *src, ev_uint32_t need_tag, void *data, size_t len);

/**
 * Removes an item with a string. `pstring` gets a NUL-terminated copy of the payload, which the
 * caller frees with free() or the function that event_set_mem_functions() set in its place.
 *
 * Returns 0; or -1 in the same cases as evtag_unmarshal_header(), if the item has another tag, or
 * if memory is short, in which case `pstring` is set to NULL. The payload then stays in the
 * buffer.
 */
EVENT2_EXPORT_SYMBOL
int evtag_unmarshal_string(struct evbuffer *evbuf, ev_uint32_t need_tag, char **pstring);

/**
 * Removes an item with a time, written by evtag_marshal_timeval(), and stores it in `ptv`.
 *
 * Returns 0; or -1 in the same cases as evtag_unmarshal_header(), and if the item has another tag
 * or its payload is not two 32-bit integers; the item is then removed.
 */
EVENT2_EXPORT_SYMBOL
int evtag_unmarshal_timeval(struct evbuffer *evbuf, ev_uint32_t need_tag, struct timeval *ptv);

#ifdef __cplusplus
}
#endif

#endif
