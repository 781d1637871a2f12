/* event2/listener.h: accepting connections.
 *
 * An `evconnlistener` watches a listening socket and hands each accepted connection to a
 * callback.
 *
 * Threads: with `LEV_OPT_THREADSAFE` a listener may be used from any thread. Callbacks run in the
 * thread of the loop, without the listener's lock. evconnlistener_disable() in another thread
 * waits for a running callback, so do not hold a lock that the callback needs;
 * evconnlistener_free() does not wait.
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

/** Called with a new connection. The socket `fd` then belongs to the callback. `addr` is the
 * address of the peer, `socklen` bytes long and valid during the call; `arg` is the argument that
 * was set with the callback. */
typedef void (*evconnlistener_cb)(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr, int socklen, void *arg);
/** Called when accepting failed; errno says why. */
typedef void (*evconnlistener_errorcb)(struct evconnlistener *listener, void *arg);

/* generated from src/c_api/listener.rs */

#ifdef __cplusplus
}
#endif

#endif
