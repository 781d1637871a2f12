/* event2/http.h: HTTP servers and clients.
 *
 * A server is a `struct evhttp`: it accepts connections, reads requests, and calls a function of
 * the program for each one when all of it is there. A client is a `struct evhttp_connection`, on
 * which the program makes requests. Each request and its reply is a `struct evhttp_request`. All is
 * driven by the loop of an event base.
 *
 * Threads: a server, its connections and their requests, or a client and its requests, are used
 * from the thread that runs their base only: they have no locks. Functions on headers, queries and
 * URIs touch what they are given and nothing else.
 *
 * Strings that a function returns as new are freed with free(); all others belong to the object
 * that they were got from.
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
/** The request was done. */
#define HTTP_OK 200
/** The request was done, and there is nothing to send. */
#define HTTP_NOCONTENT 204
/** The resource has moved for good. */
#define HTTP_MOVEPERM 301
/** The resource has moved for now. */
#define HTTP_MOVETEMP 302
/** The resource is as the client has it. */
#define HTTP_NOTMODIFIED 304
/** The request is malformed. */
#define HTTP_BADREQUEST 400
/** There is no such resource. */
#define HTTP_NOTFOUND 404
/** The resource does not know this method. */
#define HTTP_BADMETHOD 405
/** The body is longer than the server takes. */
#define HTTP_ENTITYTOOLARGE 413
/** The server does not do what the client expects. */
#define HTTP_EXPECTATIONFAILED 417
/** The server failed. */
#define HTTP_INTERNAL 500
/** The server does not know this method. */
#define HTTP_NOTIMPLEMENTED 501
/** The server cannot serve now. */
#define HTTP_SERVUNAVAIL 503

/* Flags of a server. */
/** A body that is too long is read to its end, so that the client sees the reply that says so. */
#define EVHTTP_SERVER_LINGERING_CLOSE 0x0001

/* Flags of a connection. */
/** Connects to the address that was found the last time, without another look-up. */
#define EVHTTP_CON_REUSE_CONNECTED_ADDR 0x0008
/** Reads the reply of a server that took not all of the request. */
#define EVHTTP_CON_READ_ON_WRITE_ERROR 0x0010
/** Of connections of a server with `EVHTTP_SERVER_LINGERING_CLOSE`; not for programs. */
#define EVHTTP_CON_LINGERING_CLOSE 0x0020
/** Flags from this one on are private. */
#define EVHTTP_CON_PUBLIC_FLAGS_END 0x100000

/* Flags of a URI. */
/** Path, query and fragment may have characters that they may not have in a URI. */
#define EVHTTP_URI_NONCONFORMANT 0x01

/** Methods; those that a server allows are a set of these bits. */
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

/** What a `struct evhttp_request` is at the moment: a request, or the reply to it. */
enum evhttp_request_kind {
    EVHTTP_REQUEST,
    EVHTTP_RESPONSE
};

/** Why a request of a client failed. */
enum evhttp_request_error {
    /** Nothing came in, or went out, for as long as the timeout. */
    EVREQ_HTTP_TIMEOUT,
    /** The connection ended. */
    EVREQ_HTTP_EOF,
    /** The reply is malformed, or its headers are longer than allowed. */
    EVREQ_HTTP_INVALID_HEADER,
    /** The connection failed. */
    EVREQ_HTTP_BUFFER_ERROR,
    /** The program cancelled the request. */
    EVREQ_HTTP_REQUEST_CANCEL,
    /** The body is longer than allowed. */
    EVREQ_HTTP_DATA_TOO_LONG
};

/** A function that evhttp_foreach_bound_socket() calls. */
typedef void evhttp_bound_socket_foreach_fn(struct evhttp_bound_socket *bound, void *argument);

/* generated from src/c_api/http.rs */
/* generated from src/c_api/http_client.rs */
/* generated from src/c_api/http_text.rs */
/* generated from src/c_api/http_uri.rs */

#ifdef __cplusplus
}
#endif

#endif
