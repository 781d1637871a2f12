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

/* generated from src/c_api/tag.rs */

#ifdef __cplusplus
}
#endif

#endif
