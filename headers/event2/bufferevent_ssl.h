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

/* generated from openssl/src/c_api.rs */

#endif

#ifdef __cplusplus
}
#endif

#endif
