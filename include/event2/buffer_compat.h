/* event2/buffer_compat.h: functions of the 1.x series on buffers.
 *
 * New programs should use evbuffer_readln(), evbuffer_add_cb() and evbuffer_search() instead.
 */
#ifndef EVENT2_BUFFER_COMPAT_H_INCLUDED_
#define EVENT2_BUFFER_COMPAT_H_INCLUDED_

#include <event2/visibility.h>
#include <event2/buffer.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Called after a buffer was changed, with its lock held: the number of bytes before and after the
 * change, and the argument given with it.
 */
typedef void (*evbuffer_cb)(struct evbuffer *buffer, size_t old_len, size_t new_len, void *arg);

/**
 * Removes one line from a buffer, like evbuffer_readln() with `EVBUFFER_EOL_ANY` and no length.
 */
EVENT2_EXPORT_SYMBOL
char *evbuffer_readline(struct evbuffer *buffer);

/**
 * Removes all callbacks of a buffer, then registers `cb` unless it is NULL.
 *
 * Returns 0, or -1, with nothing changed, if memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evbuffer_setcb(struct evbuffer *buffer, evbuffer_cb cb, void *cbarg);

/**
 * Finds the `len` bytes at `what` and makes the data up to their end contiguous.
 *
 * Returns the address where they begin, valid until the buffer is changed; NULL if they are not
 * found, `len` is 0 or memory is short.
 */
EVENT2_EXPORT_SYMBOL
unsigned char *evbuffer_find(struct evbuffer *buffer, const unsigned char *what, size_t len);

/* What used to be members of the structure. */
#define EVBUFFER_LENGTH(buffer) evbuffer_get_length(buffer)
#define EVBUFFER_DATA(buffer) evbuffer_pullup((buffer), -1)

#ifdef __cplusplus
}
#endif

#endif
