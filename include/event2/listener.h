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

/** Accepted sockets are left blocking; otherwise they are made non-blocking. */
#define LEV_OPT_LEAVE_SOCKETS_BLOCKING 0x01

/** Freeing the listener closes its socket. */
#define LEV_OPT_CLOSE_ON_FREE 0x02

/** Accepted sockets, and the one that evconnlistener_new_bind() makes, are closed by exec. */
#define LEV_OPT_CLOSE_ON_EXEC 0x04

/** evconnlistener_new_bind() lets an address be bound again at once (`SO_REUSEADDR`). */
#define LEV_OPT_REUSEABLE 0x08

/** The listener gets a lock and may be used from any thread, if threads were set up. */
#define LEV_OPT_THREADSAFE 0x10

/** The listener accepts nothing until evconnlistener_enable() is called. */
#define LEV_OPT_DISABLED 0x20

/**
 * evconnlistener_new_bind() lets the kernel keep connections back until data has come. TCP only.
 */
#define LEV_OPT_DEFERRED_ACCEPT 0x40

/**
 * evconnlistener_new_bind() lets several sockets bind the address and share its connections
 * (`SO_REUSEPORT`).
 */
#define LEV_OPT_REUSEABLE_PORT 0x80

/** evconnlistener_new_bind() keeps an IPv6 socket from accepting IPv4 connections. */
#define LEV_OPT_BIND_IPV6ONLY 0x100

/**
 * Makes a listener on a bound, non-blocking socket.
 *
 * `cb` gets every connection, with `arg`; as long as it is `NULL` nothing is accepted. `flags`
 * are `LEV_OPT_*`. `backlog` is the length of the kernel's queue for `listen()`, negative for a
 * reasonable one, 0 when the socket listens already.
 *
 * Returns the listener, or `NULL` when `listen()` fails or the base cannot watch the socket (errno
 * says why), there is no base or memory is short; the socket then stays the caller's.
 */
EVENT2_EXPORT_SYMBOL
struct evconnlistener *evconnlistener_new(struct event_base *base, evconnlistener_cb cb,
    void *arg, unsigned int flags, int backlog, evutil_socket_t fd);

/**
 * Makes a listener on a new socket, bound to an address of `len` bytes.
 *
 * The arguments are those of evconnlistener_new(), except that `backlog` must not be 0. The
 * socket belongs to the listener only with `LEV_OPT_CLOSE_ON_FREE`. Accepted connections have
 * keep-alive on.
 *
 * Returns the listener, or `NULL` with errno saying which step failed; no socket is left then.
 */
EVENT2_EXPORT_SYMBOL
struct evconnlistener *evconnlistener_new_bind(struct event_base *base, evconnlistener_cb cb,
    void *arg, unsigned int flags, int backlog, const struct sockaddr *address, int len);

/**
 * Frees a listener; none of its callbacks begins any more. `NULL` is ignored.
 *
 * Its socket is closed with `LEV_OPT_CLOSE_ON_FREE`: at once, or after the callback that this is
 * called from. In another thread than the loop's, with `LEV_OPT_THREADSAFE`, this does not wait
 * for a callback that is running.
 */
EVENT2_EXPORT_SYMBOL
void evconnlistener_free(struct evconnlistener *listener);

/**
 * Lets a listener accept connections, also those that have come meanwhile.
 *
 * Returns 0, or -1 when the socket cannot be waited for.
 */
EVENT2_EXPORT_SYMBOL
int evconnlistener_enable(struct evconnlistener *listener);

/**
 * Keeps a listener from accepting; connections wait in the kernel's queue.
 *
 * In another thread than the loop's this waits until a running callback has ended. Returns 0, or
 * -1 when the backend reports an error.
 */
EVENT2_EXPORT_SYMBOL
int evconnlistener_disable(struct evconnlistener *listener);

/** The base that a listener was made on. */
EVENT2_EXPORT_SYMBOL
struct event_base *evconnlistener_get_base(struct evconnlistener *listener);

/** The listening socket. */
EVENT2_EXPORT_SYMBOL
evutil_socket_t evconnlistener_get_fd(struct evconnlistener *listener);

/**
 * Replaces the callback, and the argument of both callbacks. With `NULL` nothing is accepted
 * until there is a callback again.
 */
EVENT2_EXPORT_SYMBOL
void evconnlistener_set_cb(struct evconnlistener *listener, evconnlistener_cb cb, void *arg);

/**
 * Sets what is called, with errno set, when accepting fails for another reason than that there
 * was nothing to accept; `NULL` for a warning instead.
 *
 * The usual reason is that the process has no descriptors left. The listener then tries again
 * after a pause of up to a tenth of a second, and the callback is called each time. It may disable
 * or free the listener.
 */
EVENT2_EXPORT_SYMBOL
void evconnlistener_set_error_cb(struct evconnlistener *listener,
    evconnlistener_errorcb errorcb);

#ifdef __cplusplus
}
#endif

#endif
