/* event2/bufferevent.h: buffered streams.
 *
 * A `bufferevent` is a stream, usually a connected socket, with an input and an output buffer. It
 * does the reading and writing, and calls the program when there is enough to read, when the output
 * has run low, and when the connection is established, ends or fails.
 *
 * Threads: with `BEV_OPT_THREADSAFE` a bufferevent and both its buffers may be used from any
 * thread, under one lock. Callbacks run in the thread of the loop, with that lock held unless
 * `BEV_OPT_UNLOCK_CALLBACKS` was given.
 *
 * Results: functions that return int return 0 for success and -1 for failure unless their text
 * says otherwise.
 */
#ifndef EVENT2_BUFFEREVENT_H_INCLUDED_
#define EVENT2_BUFFEREVENT_H_INCLUDED_

#include <event2/visibility.h>
#include <event2/event-config.h>
#include <sys/time.h>
#include <sys/types.h>

#include <event2/util.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evbuffer;
struct evdns_base;
struct event_base;
struct sockaddr;

/** A stream with buffers. */
struct bufferevent;
/** Configuration of a rate limit. */
struct ev_token_bucket_cfg;
/** Bufferevents that share a rate limit. */
struct bufferevent_rate_limit_group;

/** The highest rate: no limit. */
#define EV_RATE_LIMIT_MAX EV_SSIZE_MAX

/* generated from src/bufferevent/abi.rs */
/* generated from src/c_api/bufferevent.rs */
/* generated from src/c_api/bufferevent_rate.rs */

#ifdef __cplusplus
}
#endif

#endif
