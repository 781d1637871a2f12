/* event2/listener.h: accepting connections.
 *
 * An `evconnlistener` watches a listening socket and hands each accepted connection to a
 * callback.
 *
 * Threads: with `LEV_OPT_THREADSAFE` a listener may be used from any thread. Callbacks run in the
 * thread of the loop, with the listener's lock held: when another thread has disabled or freed a
 * listener, no callback of it is running any more. Do not hold a lock there that a callback needs.
 */
#ifndef EVENT2_LISTENER_H_INCLUDED_
#define EVENT2_LISTENER_H_INCLUDED_

#include <event2/visibility.h>
#include <event2/event.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sockaddr;

/** Accepts connections. */
struct evconnlistener;

/** Gets a connection. The socket `fd` belongs to the function. `addr` is the address of the peer,
 * of `socklen` bytes, and valid during the call; `arg` is what was given with the function. */
typedef void (*evconnlistener_cb)(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr, int socklen, void *arg);
/** Learns that accepting failed; errno says why. */
typedef void (*evconnlistener_errorcb)(struct evconnlistener *listener, void *arg);

/* generated from src/c_api/listener.rs */

#ifdef __cplusplus
}
#endif

#endif
