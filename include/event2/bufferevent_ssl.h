/* event2/bufferevent_ssl.h: TLS bufferevents.
 *
 * A TLS bufferevent joins an SSL of OpenSSL with the interface of bufferevents: the program reads
 * and writes plain data, the bufferevent makes the handshake, and encrypts and decrypts. It goes
 * over a socket, or over another bufferevent.
 *
 * Link with -levent_openssl -levent -lssl -lcrypto.
 *
 * Functions that get another bufferevent, or NULL, do nothing and say so with what they return.
 * OpenSSL's error queue of the thread is emptied whenever a TLS bufferevent does something.
 *
 * Threads: as with other bufferevents, `BEV_OPT_THREADSAFE` allows calls from any thread; what the
 * program does with the SSL itself is not covered by the lock.
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

/** An SSL of OpenSSL. */
struct ssl_st;

/** What comes first on a new TLS bufferevent. */
enum bufferevent_ssl_state {
    /** Data: the handshake is over. */
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
 * That one, `underlying`, may be a socket, also one that is still connecting, a pair, a filter or
 * another TLS bufferevent, and must be of the same `base`. From now on its callbacks belong to
 * the TLS bufferevent, its low and high read watermarks are 0, and it is enabled for both
 * directions; its high write watermark, timeouts and rate limits stay in force. BIOs that `ssl`
 * has are replaced. `state` and `options` are as for bufferevent_openssl_socket_new(), but
 * `BEV_OPT_CLOSE_ON_FREE` frees the SSL and the underlying bufferevent. With
 * `BEV_OPT_THREADSAFE` both bufferevents have one lock.
 *
 * Data that is written is encrypted at once.
 *
 * Returns the bufferevent, or NULL as bufferevent_openssl_socket_new(), or when `underlying` is
 * NULL.
 */
EVENT2_EXPORT_SYMBOL
struct bufferevent *bufferevent_openssl_filter_new(struct event_base *base,
    struct bufferevent *underlying, struct ssl_st *ssl, enum bufferevent_ssl_state state,
    int options);

/**
 * Makes a TLS bufferevent on a socket.
 *
 * `fd` is a non-blocking socket, which may be connecting still; or -1 for none yet: give it one
 * with bufferevent_setfd() or bufferevent_socket_connect(). An SSL that has a descriptor already
 * keeps it; `fd` then is that descriptor or -1. Everything about the session, like certificates,
 * verification and the name of the peer, is set on `ssl` beforehand.
 *
 * `state` says what comes first: a handshake as client or server, which begins from the loop and
 * ends with the event `BEV_EVENT_CONNECTED`; or, with `BUFFEREVENT_SSL_OPEN`, data. A handshake
 * that `ssl` had begun in the former two cases is forgotten.
 *
 * `options` are `BEV_OPT_*`. `BEV_OPT_CLOSE_ON_FREE` frees the SSL and closes the socket with the
 * bufferevent. Nothing is ever sent to say that the session ends: call `SSL_shutdown()` before
 * freeing.
 *
 * The SSL reads as much from the socket as it has room for: use the socket for nothing else.
 *
 * Returns the bufferevent, or NULL when `ssl` has another descriptor than `fd`, `state` or
 * `options` make no sense, or memory is short. The SSL is then freed if the options have
 * `BEV_OPT_CLOSE_ON_FREE`; the socket stays open.
 */
EVENT2_EXPORT_SYMBOL
struct bufferevent *bufferevent_openssl_socket_new(struct event_base *base, evutil_socket_t fd,
    struct ssl_st *ssl, enum bufferevent_ssl_state state, int options);

/**
 * Returns whether an end of the connection without the end of the session is taken for a proper
 * end: 1 or 0; -1 when this is no TLS bufferevent.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_openssl_get_allow_dirty_shutdown(struct bufferevent *bev);

/**
 * Sets what to do when the connection ends before the peer has ended the session, which anybody
 * on the way can bring about: unless `allow_dirty_shutdown` is 0, the event callback gets
 * `BEV_EVENT_EOF` for that and not, which is the default, `BEV_EVENT_ERROR`. An end in the middle
 * of the handshake is always an error.
 */
EVENT2_EXPORT_SYMBOL
void bufferevent_openssl_set_allow_dirty_shutdown(struct bufferevent *bev,
    int allow_dirty_shutdown);

/**
 * Returns the SSL of a TLS bufferevent, which owns it as before; NULL for other bufferevents.
 *
 * Ask it what you like, and shut it down before freeing; reading, writing and replacing its
 * BIOs are the bufferevent's business.
 */
EVENT2_EXPORT_SYMBOL
struct ssl_st *bufferevent_openssl_get_ssl(struct bufferevent *bufev);

/**
 * Begins another handshake in the middle of a session, before TLS 1.3. `BEV_EVENT_CONNECTED`
 * tells its end.
 *
 * Returns 1 when it is over already, which includes TLS 1.3, where nothing happens; 0 when it
 * has begun; -1 when this is no TLS bufferevent, or it failed.
 */
EVENT2_EXPORT_SYMBOL
int bufferevent_ssl_renegotiate(struct bufferevent *bev);

/**
 * Takes an error that OpenSSL reported, the last one first.
 *
 * When the event callback is told of an end or an error, up to three are kept: what
 * `SSL_get_error()` said, then the codes of the error queue, which the functions `ERR_*` make
 * text of. Returns 0 when there are no more, or this is no TLS bufferevent.
 */
EVENT2_EXPORT_SYMBOL
unsigned long bufferevent_get_openssl_error(struct bufferevent *bev);

#endif

#ifdef __cplusplus
}
#endif

#endif
