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

/** Leave accepted sockets blocking; otherwise they are made non-blocking. */
#define LEV_OPT_LEAVE_SOCKETS_BLOCKING 0x01

/** Close the socket when the listener is freed. */
#define LEV_OPT_CLOSE_ON_FREE 0x02

/** Close accepted sockets, and the one that evconnlistener_new_bind() makes, on `exec`. */
#define LEV_OPT_CLOSE_ON_EXEC 0x04

/**
 * In evconnlistener_new_bind(): allow the address to be bound again at once (`SO_REUSEADDR`).
 */
#define LEV_OPT_REUSEABLE 0x08

/** Give the listener a lock, if threads were set up, so that any thread may use it. */
#define LEV_OPT_THREADSAFE 0x10

/** Accept nothing until evconnlistener_enable() is called. */
#define LEV_OPT_DISABLED 0x20

/**
 * In evconnlistener_new_bind(): let the kernel hold back TCP connections until data has arrived.
 */
#define LEV_OPT_DEFERRED_ACCEPT 0x40

/**
 * In evconnlistener_new_bind(): allow several sockets to bind the address and share its
 * connections (`SO_REUSEPORT`).
 */
#define LEV_OPT_REUSEABLE_PORT 0x80

/** In evconnlistener_new_bind(): keep an IPv6 socket from accepting IPv4 connections. */
#define LEV_OPT_BIND_IPV6ONLY 0x100

/**
 * Makes a listener on a bound, non-blocking socket.
 *
 * `cb` is called with every connection and with `arg`; while it is NULL, nothing is accepted.
 * `flags` are `LEV_OPT_*` bits. `backlog` is the queue length for `listen()`; a negative number
 * means a reasonable default, and 0 that the socket is listening already.
 *
 * Returns the listener; or NULL if `listen()` fails or the base cannot watch the socket (errno
 * says why), there is no base, or memory is short. The socket then remains the caller's.
 */
EVENT2_EXPORT_SYMBOL
struct evconnlistener *evconnlistener_new(struct event_base *base, evconnlistener_cb cb,
    void *arg, unsigned int flags, int backlog, evutil_socket_t fd);

/**
 * Makes a listener on a new socket, bound to an address of `len` bytes.
 *
 * The arguments are those of evconnlistener_new(), except that `backlog` must not be 0. Freeing
 * the listener closes the socket only with `LEV_OPT_CLOSE_ON_FREE`. Accepted connections have
 * keep-alive enabled.
 *
 * Returns the listener, or NULL, with errno set by the step that failed; no socket is left open
 * then.
 */
EVENT2_EXPORT_SYMBOL
struct evconnlistener *evconnlistener_new_bind(struct event_base *base, evconnlistener_cb cb,
    void *arg, unsigned int flags, int backlog, const struct sockaddr *address, int len);

/**
 * Frees a listener; none of its callbacks is started any more. NULL is ignored.
 *
 * With `LEV_OPT_CLOSE_ON_FREE` its socket is closed: at once, or, if this is called from a
 * callback of the listener, when that returns. In a thread other than the loop's, with
 * `LEV_OPT_THREADSAFE`, this does not wait for a running callback.
 */
EVENT2_EXPORT_SYMBOL
void evconnlistener_free(struct evconnlistener *listener);

/**
 * Lets a listener accept connections, including those that are already waiting.
 *
 * Returns 0, or -1 if the socket cannot be watched.
 */
EVENT2_EXPORT_SYMBOL
int evconnlistener_enable(struct evconnlistener *listener);

/**
 * Stops a listener from accepting; connections wait in the kernel's queue.
 *
 * In a thread other than the loop's, this waits until a running callback has returned. Returns 0,
 * or -1 if the backend reports an error.
 */
EVENT2_EXPORT_SYMBOL
int evconnlistener_disable(struct evconnlistener *listener);

/** The base of a listener. */
EVENT2_EXPORT_SYMBOL
struct event_base *evconnlistener_get_base(struct evconnlistener *listener);

/** The listening socket. */
EVENT2_EXPORT_SYMBOL
evutil_socket_t evconnlistener_get_fd(struct evconnlistener *listener);

/**
 * Replaces the callback, and the argument of both callbacks. With NULL, nothing is accepted until
 * a callback is set again.
 */
EVENT2_EXPORT_SYMBOL
void evconnlistener_set_cb(struct evconnlistener *listener, evconnlistener_cb cb, void *arg);

/**
 * Sets a function that is called, with errno set, when accepting fails for a reason other than
 * that no connection is waiting; NULL logs a warning instead.
 *
 * The usual reason is that the process has run out of descriptors. The listener then tries again
 * after a pause of up to a tenth of a second, and calls the function each time. It may disable or
 * free the listener.
 */
EVENT2_EXPORT_SYMBOL
void evconnlistener_set_error_cb(struct evconnlistener *listener,
    evconnlistener_errorcb errorcb);

#ifdef __cplusplus
}
#endif

#endif
