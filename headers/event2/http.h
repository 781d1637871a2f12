/* event2/http.h: HTTP servers and clients.
 *
 * A server is a `struct evhttp`: it accepts connections, reads requests, and calls a function of
 * the program for each request once it has arrived completely. A client is a `struct
 * evhttp_connection`, on which the program makes requests. A `struct evhttp_request` is a request
 * together with its reply. Everything runs in the loop of an event base.
 *
 * Threads: there are no locks. Use a server or a client, with its connections and requests, only in
 * the thread that runs its base. Functions on headers, queries and URIs access only their arguments.
 *
 * New strings that a function returns are freed with free(); all other strings belong to the object
 * that they were obtained from.
 *
 * Results: functions that return int return 0 for success and -1 for failure unless their text
 * says otherwise.
 */
#ifndef EVENT2_HTTP_H_INCLUDED_
#define EVENT2_HTTP_H_INCLUDED_

#include <event2/visibility.h>
#include <event2/event-config.h>
#include <sys/time.h>
#include <sys/types.h>

#include <event2/util.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bufferevent;
struct evbuffer;
struct evconnlistener;
struct evdns_base;
struct event_base;
struct sockaddr;

/** A server. */
struct evhttp;
/** A listener of a server. */
struct evhttp_bound_socket;
/** A connection, of a client or of a server. */
struct evhttp_connection;
/** A request and its reply; event2/http_struct.h has its members. */
struct evhttp_request;
/** A URI. */
struct evhttp_uri;
/** Headers, or parameters of a query; event2/keyvalq_struct.h has its members. */
struct evkeyvalq;

/* Status codes. */
/** The request succeeded. */
#define HTTP_OK 200
/** The request succeeded, and the reply has no body. */
#define HTTP_NOCONTENT 204
/** The resource has moved permanently. */
#define HTTP_MOVEPERM 301
/** The resource has moved temporarily. */
#define HTTP_MOVETEMP 302
/** The client's copy of the resource is up to date. */
#define HTTP_NOTMODIFIED 304
/** The request is malformed. */
#define HTTP_BADREQUEST 400
/** There is no such resource. */
#define HTTP_NOTFOUND 404
/** The resource does not support this method. */
#define HTTP_BADMETHOD 405
/** The body is longer than the server accepts. */
#define HTTP_ENTITYTOOLARGE 413
/** The server cannot meet the client's Expect header. */
#define HTTP_EXPECTATIONFAILED 417
/** The server failed. */
#define HTTP_INTERNAL 500
/** The server does not support this method. */
#define HTTP_NOTIMPLEMENTED 501
/** The server is temporarily unavailable. */
#define HTTP_SERVUNAVAIL 503

/* Flags of a server. */
/** Read a body that is too long to its end, so that the client gets the error reply. */
#define EVHTTP_SERVER_LINGERING_CLOSE 0x0001

/* Flags of a connection. */
/** Reconnect to the address used before, without another look-up. */
#define EVHTTP_CON_REUSE_CONNECTED_ADDR 0x0008
/** Read the reply of a server that stopped reading the request. */
#define EVHTTP_CON_READ_ON_WRITE_ERROR 0x0010
/** Set by a server with `EVHTTP_SERVER_LINGERING_CLOSE`; not for programs. */
#define EVHTTP_CON_LINGERING_CLOSE 0x0020
/** Flags from this value on are private. */
#define EVHTTP_CON_PUBLIC_FLAGS_END 0x100000

/* Flags of a URI. */
/** Accept characters in path, query and fragment that URIs do not allow. */
#define EVHTTP_URI_NONCONFORMANT 0x01

/** Methods, as bits, so that they can be combined for evhttp_set_allowed_methods(). */
enum evhttp_cmd_type {
    EVHTTP_REQ_GET = 1 << 0,
    EVHTTP_REQ_POST = 1 << 1,
    EVHTTP_REQ_HEAD = 1 << 2,
    EVHTTP_REQ_PUT = 1 << 3,
    EVHTTP_REQ_DELETE = 1 << 4,
    EVHTTP_REQ_OPTIONS = 1 << 5,
    EVHTTP_REQ_TRACE = 1 << 6,
    EVHTTP_REQ_CONNECT = 1 << 7,
    EVHTTP_REQ_PATCH = 1 << 8
};

/** Whether a `struct evhttp_request` currently is a request or the reply to it. */
enum evhttp_request_kind {
    EVHTTP_REQUEST,
    EVHTTP_RESPONSE
};

/** Why a client's request failed. */
enum evhttp_request_error {
    /** Nothing was received or sent before the timeout. */
    EVREQ_HTTP_TIMEOUT,
    /** The peer closed the connection. */
    EVREQ_HTTP_EOF,
    /** The reply is malformed, or its headers exceed the limit. */
    EVREQ_HTTP_INVALID_HEADER,
    /** The connection failed. */
    EVREQ_HTTP_BUFFER_ERROR,
    /** The program cancelled the request. */
    EVREQ_HTTP_REQUEST_CANCEL,
    /** The body exceeds the limit. */
    EVREQ_HTTP_DATA_TOO_LONG
};

/** The type of function that evhttp_foreach_bound_socket() calls. */
typedef void evhttp_bound_socket_foreach_fn(struct evhttp_bound_socket *bound, void *argument);

/* generated from src/c_api/http.rs */
/* generated from src/c_api/http_client.rs */
/* generated from src/c_api/http_text.rs */
/* generated from src/c_api/http_uri.rs */

#ifdef __cplusplus
}
#endif

#endif
