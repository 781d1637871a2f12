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

/* generated from src/c_api/tag.rs */

#ifdef __cplusplus
}
#endif

#endif
