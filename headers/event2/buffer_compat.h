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

/* generated from src/c_api/buffer_compat.rs */

/* What used to be members of the structure. */
#define EVBUFFER_LENGTH(buffer) evbuffer_get_length(buffer)
#define EVBUFFER_DATA(buffer) evbuffer_pullup((buffer), -1)

#ifdef __cplusplus
}
#endif

#endif
