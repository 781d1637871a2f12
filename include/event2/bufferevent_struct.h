/* event2/bufferevent_struct.h: the members of `struct bufferevent`.
 *
 * For programs of the 1.x series, which accessed them directly. New programs should use the
 * functions of event2/bufferevent.h. A bufferevent is always made by a function and cannot be
 * embedded in another structure.
 */
#ifndef EVENT2_BUFFEREVENT_STRUCT_H_INCLUDED_
#define EVENT2_BUFFEREVENT_STRUCT_H_INCLUDED_

#include <event2/event-config.h>
#include <sys/time.h>
#include <sys/types.h>

#include <event2/util.h>
#include <event2/bufferevent.h>
#include <event2/event_struct.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bufferevent_ops;

/** Fill levels of a buffer, in bytes; 0 means none. */
struct event_watermark {
    /** The callback waits until there is this much to read, or no more than this left to write.
     * */
    size_t low;
    /** Reading pauses at this level. */
    size_t high;
};

/** A bufferevent. The members may be read with its lock held; only functions change them. */
struct bufferevent {
    /** The base whose loop calls the callbacks. */
    struct event_base *ev_base;
    /** The operations of its kind. */
    const struct bufferevent_ops *be_ops;
    /** Waits for readability, and for the read timeout. */
    struct event ev_read;
    /** Waits for writability, and for the write timeout. */
    struct event ev_write;
    /** The received data. */
    struct evbuffer *input;
    /** The data to send. */
    struct evbuffer *output;
    /** Levels of `input`. */
    struct event_watermark wm_read;
    /** Levels of `output`. */
    struct event_watermark wm_write;
    /** The callbacks, and their argument. */
    bufferevent_data_cb readcb;
    bufferevent_data_cb writecb;
    bufferevent_event_cb errorcb;
    void *cbarg;
    /** The timeouts; zero means none. */
    struct timeval timeout_read;
    struct timeval timeout_write;
    /** Which of EV_READ and EV_WRITE the program has enabled. */
    short enabled;
};

#ifdef __cplusplus
}
#endif

#endif
