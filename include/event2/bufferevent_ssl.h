/* event2/bufferevent_ssl.h: TLS bufferevents.
 *
 * A TLS bufferevent gives an SSL object of OpenSSL the interface of a bufferevent: the program reads
 * and writes plain data, and the bufferevent does the handshake, encrypts and decrypts. It runs on a
 * socket or on another bufferevent.
 *
 * Link with -levent_openssl -levent -lssl -lcrypto.
 *
 * Called with NULL or another kind of bufferevent, these functions do nothing, and their result says
 * so. Whenever a TLS bufferevent does something, it clears OpenSSL's error queue of the thread.
 *
 * Threads: as with other bufferevents, `BEV_OPT_THREADSAFE` allows calls from any thread. The lock
 * does not protect what the program itself does with the SSL.
 */
#ifndef EVENT2_BUFFEREVENT_SSL_H_INCLUDED_
#define EVENT2_BUFFEREVENT_SSL_H_INCLUDED_

#include <event2/visibility.h>
#include <event2/event-config.h>
#include <event2/bufferevent.h>
#include <event2/util.h>

#ifdef __cplusplus
extern "C" {
#endif

/** OpenSSL's `SSL`. */
struct ssl_st;

/** What a new TLS bufferevent starts with. */
enum bufferevent_ssl_state {
    /** Data: the handshake is already done. */
    BUFFEREVENT_SSL_OPEN = 0,
    /** A handshake as the client. */
    BUFFEREVENT_SSL_CONNECTING = 1,
    /** A handshake as the server. */
    BUFFEREVENT_SSL_ACCEPTING = 2
};

#if defined(EVENT__HAVE_OPENSSL) || defined(EVENT_IN_DOXYGEN_)

/**
 * Makes a TLS bufferevent whose ciphertext passes through another bufferevent.
 *
 * `underlying` may be a socket bufferevent, also one that is still connecting, a pair, a filter or
 * another TLS bufferevent, and must have the same `base`. From now on its callbacks belong to the
 * TLS bufferevent, its low and high read watermarks are 0, and both directions are enabled; its
 * high write watermark, timeouts and rate limits stay in force. BIOs that `ssl` already has are
 * replaced. `state` and `options` are as for bufferevent_openssl_socket_new(), but
 * `BEV_OPT_CLOSE_ON_FREE` frees the SSL and the underlying bufferevent. With `BEV_OPT_THREADSAFE`
 * both bufferevents share one lock.
 *
 * Data that is written is encrypted at once.
 *
 * Returns the bufferevent, or NULL in the same cases as bufferevent_openssl_socket_new() and if
 * `underlying` is NULL.
 */
EVENT2_EXPORT_SYMBOL
struct bufferevent *bufferevent_openssl_filter_new(struct event_base *base,
    struct bufferevent *underlying, struct ssl_st *ssl, enum bufferevent_ssl_state state,
    int options);

/**
 * Makes a TLS bufferevent on a socket.
 *
 * `fd` is a non-blocking socket, which may still be connecting, or -1 for none yet: set it later
 * with bufferevent_setfd() or bufferevent_socket_connect(). An SSL that already has a descriptor
 * keeps it; `fd` must then be that descriptor or -1. Everything about the session, such as
 * certificates, verification and the name of the peer, is set on `ssl` beforehand.
 *
 * `state` says what comes first: a handshake as client or server, which starts from the loop and
 * ends with the event `BEV_EVENT_CONNECTED`; or data, with `BUFFEREVENT_SSL_OPEN`. In the first
 * two cases, a handshake that `ssl` had already started is discarded.
 *
 * `options` are `BEV_OPT_*` flags. `BEV_OPT_CLOSE_ON_FREE` frees the SSL and closes the socket
 * together with the bufferevent. The library never sends a close notification on its own: call
 * `SSL_shutdown()` before freeing.
 *
 * The SSL reads as much from the socket as it can, so use the socket for nothing else.
 *
 * Returns the bufferevent, or NULL if `ssl` has a descriptor other than `fd`, `state` or `options`
 * are not valid, or memory is short. In that case the SSL is freed if the options include
 * `BEV_OPT_CLOSE_ON_FREE`; the socket stays open.
 */
EVENT2_EXPORT_SYMBOL
struct bufferevent *bufferevent_openssl_socket_new(struct event_base *base, evutil_socket_t fd,
    struct ssl_st *ssl, enum bufferevent_ssl_state state, int options);

/**
 * Returns 1 if a connection that ends without a close notification counts as properly ended,
 * otherwise 0; -1 if this is not a TLS bufferevent.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_openssl_get_allow_dirty_shutdown(struct bufferevent *bev);

/**
 * Sets what happens if the connection ends before the peer has closed the session, which anyone on
 * the network can cause. With `allow_dirty_shutdown`, the event callback gets `BEV_EVENT_EOF`;
 * without, which is the default, it gets `BEV_EVENT_ERROR`. An end in the middle of the handshake
 * is always an error.
 */
EVENT2_EXPORT_SYMBOL
void bufferevent_openssl_set_allow_dirty_shutdown(struct bufferevent *bev,
    int allow_dirty_shutdown);

/**
 * Returns the SSL of a TLS bufferevent, which keeps owning it; NULL for other bufferevents.
 *
 * The program may query it, and shut it down before freeing the bufferevent. It must not read,
 * write or replace the BIOs.
 */
EVENT2_EXPORT_SYMBOL
struct ssl_st *bufferevent_openssl_get_ssl(struct bufferevent *bufev);

/**
 * Starts another handshake within a session, before TLS 1.3. `BEV_EVENT_CONNECTED` reports its
 * end.
 *
 * Returns 1 if it is already over, which includes TLS 1.3, where nothing happens; 0 if it has
 * started; or -1 if this is not a TLS bufferevent or it failed.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_ssl_renegotiate(struct bufferevent *bev);

/**
 * Removes and returns an error that OpenSSL has reported, the most recent first.
 *
 * When the event callback is called for an end or an error, up to three are kept: the result of
 * `SSL_get_error()`, then codes of the error queue, which the `ERR_*` functions turn into text.
 * Returns 0 if there are no more, or this is not a TLS bufferevent.
 */
EVENT2_EXPORT_SYMBOL
unsigned long bufferevent_get_openssl_error(struct bufferevent *bev);

#endif

#ifdef __cplusplus
}
#endif

#endif
