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

/* generated from openssl/src/c_api.rs */

#endif

#ifdef __cplusplus
}
#endif

#endif
