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

/**
 * Makes a server that does not listen yet. A `base` of NULL is that of event_init().
 *
 * It allows GET, POST, HEAD, PUT and DELETE, limits neither headers nor bodies, and waits for its
 * clients indefinitely: see evhttp_set_timeout(), evhttp_set_max_headers_size() and
 * evhttp_set_max_body_size().
 *
 * Returns NULL if memory is short. The caller owns the server and frees it with evhttp_free(),
 * before the base.
 */
EVENT2_EXPORT_SYMBOL
struct evhttp *evhttp_new(struct event_base *base);

/**
 * Frees a server with its listeners, its connections, and the virtual hosts that were added to it.
 *
 * Their sockets are closed. May be called from a callback of one of its requests; that request is
 * freed too unless the program owns it. Requests whose connection is already gone are not freed.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_free(struct evhttp *http);

/**
 * Listens on an address and a port; port 0 lets the kernel choose one.
 *
 * `address` is a numeric address or a name. A name is resolved before this returns, and its first
 * address is used. NULL means all IPv4 addresses. May be called several times.
 *
 * Returns 0, or -1 if the address cannot be resolved, or cannot be listened on (errno says why).
 */
EVENT2_EXPORT_SYMBOL
int evhttp_bind_socket(struct evhttp *http, const char *address, ev_uint16_t port);

/**
 * Like evhttp_bind_socket(), but returns the listener, which belongs to the server, or NULL on
 * failure.
 */
EVENT2_EXPORT_SYMBOL
struct evhttp_bound_socket *evhttp_bind_socket_with_handle(struct evhttp *http,
    const char *address, ev_uint16_t port);

/**
 * Accepts connections on a non-blocking socket that is already listening.
 *
 * Returns 0 on success; the server then owns the socket and will close it. Returns -1 on failure;
 * the socket then remains the caller's.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_accept_socket(struct evhttp *http, evutil_socket_t fd);

/**
 * Like evhttp_accept_socket(), but returns the listener, which belongs to the server, or NULL on
 * failure.
 */
EVENT2_EXPORT_SYMBOL
struct evhttp_bound_socket *evhttp_accept_socket_with_handle(struct evhttp *http,
    evutil_socket_t fd);

/**
 * Accepts connections with a listener that the program has made. Its callback is replaced; its
 * flags stay as they are.
 *
 * The server then owns the listener. Returns NULL if memory is short; the listener then remains
 * the caller's.
 */
EVENT2_EXPORT_SYMBOL
struct evhttp_bound_socket *evhttp_bind_listener(struct evhttp *http,
    struct evconnlistener *listener);

/** The listener of a bound socket. It belongs to the server. */
EVENT2_EXPORT_SYMBOL
struct evconnlistener *evhttp_bound_socket_get_listener(struct evhttp_bound_socket *bound);

/**
 * Calls a function for each listener of a server, in the order in which they were added. The
 * function must not add or remove listeners.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_foreach_bound_socket(struct evhttp *http,
    evhttp_bound_socket_foreach_fn * function, void *argument);

/**
 * Stops listening on a socket and closes it. `bound` is then no longer valid; connections that
 * were already accepted continue.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_del_accept_socket(struct evhttp *http, struct evhttp_bound_socket *bound);

/** The descriptor of a bound socket. It belongs to the server. */
EVENT2_EXPORT_SYMBOL
evutil_socket_t evhttp_bound_socket_get_fd(struct evhttp_bound_socket *bound);

/**
 * Limits the size of the first line and the headers of a request, in bytes without line ends; a
 * negative number means no limit. Longer requests are answered with 400. Applies to connections
 * accepted from now on.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_set_max_headers_size(struct evhttp *http, ev_ssize_t max_headers_size);

/**
 * Limits the size of the body of a request, in bytes; a negative number means no limit. Longer
 * requests are answered with 413. Applies to connections accepted from now on.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_set_max_body_size(struct evhttp *http, ev_ssize_t max_body_size);

/**
 * Sets the Content-Type of replies that have a body but no Content-Type of their own; NULL for
 * none. The string is copied.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_set_default_content_type(struct evhttp *http, const char *content_type);

/**
 * Sets the methods that a server allows, as `EVHTTP_REQ_*` bits. Requests with other methods are
 * answered with 501. Bit 15 stands for all methods that have no constant.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_set_allowed_methods(struct evhttp *http, ev_uint16_t methods);

/**
 * Sets the function that handles requests for a path. It is compared with the path of the request
 * after percent-decoding, without the query.
 *
 * Returns 0, -1 if the path already has a function, or -2 if memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_set_cb(struct evhttp *http, const char *path,
    void (*cb)(struct evhttp_request *req, void *arg), void *cb_arg);

/**
 * Removes the function that handles requests for a path. The function itself may call this.
 *
 * Returns 0, or -1 if there is none.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_del_cb(struct evhttp *http, const char *path);

/**
 * Sets the function that handles requests for all paths without a function of their own; NULL for
 * none. Without it they are answered with 404.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_set_gencb(struct evhttp *http, void (*cb)(struct evhttp_request *req, void *arg),
    void *arg);

/**
 * Sets a function that makes the bufferevents for accepted connections, for example with
 * bufferevent_openssl_socket_new() for HTTPS.
 *
 * It must return a bufferevent without a descriptor, which the connection then owns. If `cb` is
 * NULL, or returns NULL, a plain socket bufferevent is used.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_set_bevcb(struct evhttp *http,
    struct bufferevent *(*cb)(struct event_base *base, void *arg), void *arg);

/**
 * Lets another server handle requests for hosts that match a pattern, in which `*` stands for any
 * text. Case is ignored.
 *
 * Only the path functions, aliases and virtual hosts of `vhost` are used; all other settings are
 * those of the server that accepted the connection. `vhost` must not listen itself. It is freed
 * together with `http`.
 *
 * Returns 0, or -1 if `vhost` listens or is a virtual host already, or memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_add_virtual_host(struct evhttp *http, const char *pattern, struct evhttp *vhost);

/**
 * Removes a virtual host; the caller then owns it again. Returns 0, or -1 if it is not a virtual
 * host of this server.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_remove_virtual_host(struct evhttp *http, struct evhttp *vhost);

/**
 * Gives a server or virtual host another host name. Names are compared before any pattern is.
 * Returns 0, or -1 if memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_add_server_alias(struct evhttp *http, const char *alias);

/**
 * Removes a name that evhttp_add_server_alias() added. Returns 0, or -1 if this server does not
 * have it.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_remove_server_alias(struct evhttp *http, const char *alias);

/**
 * Sets the timeout of connections accepted from now on, in seconds. It passes when nothing was
 * received or sent for that long although something should have been. 0 and -1 mean no timeout.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_set_timeout(struct evhttp *http, int timeout_in_secs);

/** Like evhttp_set_timeout(), with a `struct timeval`; NULL means no timeout. */
EVENT2_EXPORT_SYMBOL
void evhttp_set_timeout_tv(struct evhttp *http, const struct timeval *tv);

/**
 * Sets the `EVHTTP_SERVER_*` flags of a server, replacing those it had.
 *
 * Returns 0, or 1, with nothing changed, if there are unknown flags among them.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_set_flags(struct evhttp *http, int flags);

/**
 * Replies with an HTML page that describes an error, and closes the connection afterwards. Headers
 * that the program has set are not sent.
 *
 * `reason` is put into the page without escaping; NULL means the standard phrase for the code. If
 * the connection is gone, this only frees the request.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_send_error(struct evhttp_request *req, int error, const char *reason);

/**
 * Replies with a status, the headers of evhttp_request_get_output_headers() and a body.
 *
 * A NULL `reason` means the standard phrase; line breaks in it become spaces. `databuf`, which may
 * be NULL, is emptied and remains the caller's. Content-Length, Content-Type and Date are added as
 * needed. For HEAD requests, and with codes that have no body, no body is sent.
 *
 * The reply is sent from the loop. The request stays valid until it has been sent; then the
 * library frees it. If the connection is gone, this only frees the request.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_send_reply(struct evhttp_request *req, int code, const char *reason,
    struct evbuffer *databuf);

/**
 * Starts a reply whose body is sent in pieces: sends the status and the headers.
 *
 * Unless the program has set a Content-Length, the body is chunked for HTTP/1.1 clients; for older
 * ones it ends with the connection. Continue with evhttp_send_reply_chunk() and
 * evhttp_send_reply_end(). Does nothing if the connection is gone.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_send_reply_start(struct evhttp_request *req, int code, const char *reason);

/**
 * Sends a piece of a body and empties `databuf`. If `databuf` is empty, nothing is sent.
 *
 * Does nothing if the connection is gone or the reply has no body.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_send_reply_chunk(struct evhttp_request *req, struct evbuffer *databuf);

/**
 * Like evhttp_send_reply_chunk(). In addition, `cb` is called once, from the loop, when everything
 * sent so far has been written, so that the program can keep in step with a slow client.
 *
 * `cb` may send more, end the reply, or free the connection. Only the function of the latest call
 * is called. It is not called if the connection fails.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_send_reply_chunk_with_cb(struct evhttp_request *req, struct evbuffer *databuf,
    void (*cb)(struct evhttp_connection *evcon, void *arg), void *arg);

/**
 * Ends a reply that evhttp_send_reply_start() started. The library frees the request when
 * everything has been written, which may be during this call, or at once if the connection is
 * gone.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_send_reply_end(struct evhttp_request *req);

/**
 * Makes a client's connection to a host. Nothing is looked up or connected before the first
 * request.
 *
 * `address` is a name or a numeric address, and is copied. With a `dnsbase`, names are looked up
 * in the background; with NULL, the first request blocks for that. `bev`, if not NULL, is a
 * bufferevent without a descriptor, which the connection then owns; use a TLS bufferevent for
 * HTTPS. A `base` of NULL is that of event_init().
 *
 * Returns NULL if memory is short; `bev` then remains the caller's. The caller owns the connection
 * and frees it with evhttp_connection_free().
 */
EVENT2_EXPORT_SYMBOL
struct evhttp_connection *evhttp_connection_base_bufferevent_new(struct event_base *base,
    struct evdns_base *dnsbase, struct bufferevent *bev, const char *address, ev_uint16_t port);

/**
 * Makes a client's connection to a host, with a bufferevent of its own: see
 * evhttp_connection_base_bufferevent_new().
 */
EVENT2_EXPORT_SYMBOL
struct evhttp_connection *evhttp_connection_base_new(struct event_base *base,
    struct evdns_base *dnsbase, const char *address, ev_uint16_t port);

/** The bufferevent of a connection, which owns it. */
EVENT2_EXPORT_SYMBOL
struct bufferevent *evhttp_connection_get_bufferevent(struct evhttp_connection *evcon);

/** The server that accepted a connection; NULL for a client's connection. */
EVENT2_EXPORT_SYMBOL
struct evhttp *evhttp_connection_get_server(struct evhttp_connection *evcon);

/** The base of a connection. */
EVENT2_EXPORT_SYMBOL
struct event_base *evhttp_connection_get_base(struct evhttp_connection *req);

/**
 * Chooses the family of the addresses that a client connects to: `AF_INET`, `AF_INET6`, or
 * `AF_UNSPEC`, the default, for either.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_family(struct evhttp_connection *evcon, int family);

/**
 * Sets the flags of a client's connection, `EVHTTP_CON_REUSE_CONNECTED_ADDR` and
 * `EVHTTP_CON_READ_ON_WRITE_ERROR`, replacing those it had.
 *
 * Returns 0, or 1, with nothing changed, if there are other flags among them.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_connection_set_flags(struct evhttp_connection *evcon, int flags);

/**
 * Limits the size of the first line and the headers of incoming messages, in bytes without line
 * ends; a negative number means no limit.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_max_headers_size(struct evhttp_connection *evcon,
    ev_ssize_t new_max_headers_size);

/**
 * Limits the size of the body of incoming messages, in bytes; a negative number means no limit.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_max_body_size(struct evhttp_connection *evcon,
    ev_ssize_t new_max_body_size);

/**
 * Frees a connection with its bufferevent, and closes its socket.
 *
 * Its requests are freed, except those that the program owns, and none of their callbacks is
 * called. May be called from one of these callbacks.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_free(struct evhttp_connection *evcon);

/**
 * Lets the library free a client's connection once it has no more requests and is not connected:
 * after the last reply if that closes the connection, otherwise when the server or a timeout
 * closes it.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_free_on_completion(struct evhttp_connection *evcon);

/**
 * Sets the address that a client connects from. The string is copied. Call it while the connection
 * is not connected.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_local_address(struct evhttp_connection *evcon, const char *address);

/**
 * Sets the port that a client connects from; 0, the default, means any. Call it while the
 * connection is not connected.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_local_port(struct evhttp_connection *evcon, ev_uint16_t port);

/**
 * Sets the timeout of a connection in seconds, both for connecting and for reading or writing. -1
 * restores the defaults: 45 seconds for connecting, 50 otherwise.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_timeout(struct evhttp_connection *evcon, int timeout_in_secs);

/**
 * Like evhttp_connection_set_timeout(), with a `struct timeval`; NULL restores the defaults.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_timeout_tv(struct evhttp_connection *evcon,
    const struct timeval *tv);

/**
 * Sets the pause before a client tries to connect again. It doubles with each attempt, up to an
 * hour. NULL restores the default of 2 seconds.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_initial_retry_tv(struct evhttp_connection *evcon,
    const struct timeval *tv);

/**
 * Sets how often a client tries to connect again if the host refuses or does not answer; -1 means
 * without limit, and 0, the default, never.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_retries(struct evhttp_connection *evcon, int retry_max);

/**
 * Sets a function that is called when an established connection ends, just before its socket is
 * closed. It must not free the connection.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_closecb(struct evhttp_connection *evcon,
    void (*cb)(struct evhttp_connection *evcon, void *arg), void *arg);

/**
 * Gets the host and port of a client's connection, or the numeric address and port of the peer of
 * a server's connection. The string belongs to the connection.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_get_peer(struct evhttp_connection *evcon, char **address,
    ev_uint16_t *port);

/**
 * The address of the peer, never NULL; its family is `AF_UNSPEC` before anything was connected. It
 * belongs to the connection.
 */
EVENT2_EXPORT_SYMBOL
const struct sockaddr *evhttp_connection_get_addr(struct evhttp_connection *evcon);

/**
 * Sends a request with the method `type` for `uri`, which is sent as it is. Requests on a
 * connection are sent one after the other; the connection is made when it is needed.
 *
 * Content-Length is added for a body, and always for POST and PUT; Host is not added. The
 * request's callback gets the request with its reply; or, with response code 0, if no connection
 * could be made; or NULL if the request failed. After the callback the library frees the request
 * unless the program owns it.
 *
 * Returns 0, or -1 if memory is short, the local address cannot be used, or `uri` contains a line
 * break. In that case no callback follows, and the request is freed unless the program owns it.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_make_request(struct evhttp_connection *evcon, struct evhttp_request *req,
    enum evhttp_cmd_type type, const char *uri);

/**
 * Cancels a client's request; it is freed unless the program owns it.
 *
 * If it is the first in the queue of its connection, its error callback gets
 * `EVREQ_HTTP_REQUEST_CANCEL`, and the requests queued behind it continue on a new connection. Its
 * other callbacks are no longer called.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_cancel_request(struct evhttp_request *req);

/**
 * Makes a request for evhttp_make_request(), which says when `cb` is called. Returns NULL if
 * memory is short.
 */
EVENT2_EXPORT_SYMBOL
struct evhttp_request *evhttp_request_new(void (*cb)(struct evhttp_request *req, void *arg),
    void *arg);

/**
 * Sets a function that is called for each piece of the body of a reply: for each chunk if the body
 * is chunked, otherwise for whatever has arrived.
 *
 * The piece is in evhttp_request_get_input_buffer(); what the function leaves there is discarded.
 * The function may cancel the request and free the connection.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_request_set_chunked_cb(struct evhttp_request *req,
    void (*cb)(struct evhttp_request *req, void *arg));

/**
 * Sets a function that is called when the headers of a reply have arrived. If it returns a
 * negative number, the request fails.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_request_set_header_cb(struct evhttp_request *req,
    int (*cb)(struct evhttp_request *req, void *arg));

/**
 * Sets a function that is called when a request fails, with the reason and the request's argument.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_request_set_error_cb(struct evhttp_request *req,
    void (*cb)(enum evhttp_request_error error, void *arg));

/**
 * Sets a function that is called when a server's reply has been written, before the request is
 * freed. It must not free the request or its connection.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_request_set_on_complete_cb(struct evhttp_request *req,
    void (*cb)(struct evhttp_request *req, void *arg), void *cb_arg);

/**
 * Frees a request that was not sent, that the program owns, or whose connection is gone. While one
 * of its callbacks is running, the request is freed when that returns.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_request_free(struct evhttp_request *req);

/**
 * Makes the program the owner of a client's request: the program then frees it with
 * evhttp_request_free().
 */
EVENT2_EXPORT_SYMBOL
void evhttp_request_own(struct evhttp_request *req);

/** Whether the program owns a request: 1 or 0. */
EVENT2_EXPORT_SYMBOL
int evhttp_request_is_owned(struct evhttp_request *req);

/** The connection of a request; NULL if it has none, or none any more. */
EVENT2_EXPORT_SYMBOL
struct evhttp_connection *evhttp_request_get_connection(struct evhttp_request *req);

/** The target of a request, unchanged. It belongs to the request. */
EVENT2_EXPORT_SYMBOL
const char *evhttp_request_get_uri(const struct evhttp_request *req);

/**
 * The target of a request to a server as a parsed URI; NULL for a client's request. It belongs to
 * the request.
 */
EVENT2_EXPORT_SYMBOL
const struct evhttp_uri *evhttp_request_get_evhttp_uri(const struct evhttp_request *req);

/** The method of a request; 32768 for a method without a constant. */
EVENT2_EXPORT_SYMBOL
enum evhttp_cmd_type evhttp_request_get_command(const struct evhttp_request *req);

/** The status code of the reply; 0 if there is none. */
EVENT2_EXPORT_SYMBOL
int evhttp_request_get_response_code(const struct evhttp_request *req);

/** The reason phrase of the reply; NULL if there is none. It belongs to the request. */
EVENT2_EXPORT_SYMBOL
const char *evhttp_request_get_response_code_line(const struct evhttp_request *req);

/** The headers that were received. They belong to the request. */
EVENT2_EXPORT_SYMBOL
struct evkeyvalq *evhttp_request_get_input_headers(struct evhttp_request *req);

/** The headers to send. They belong to the request. */
EVENT2_EXPORT_SYMBOL
struct evkeyvalq *evhttp_request_get_output_headers(struct evhttp_request *req);

/** The body that was received. It belongs to the request. */
EVENT2_EXPORT_SYMBOL
struct evbuffer *evhttp_request_get_input_buffer(struct evhttp_request *req);

/** The body to send. It belongs to the request. */
EVENT2_EXPORT_SYMBOL
struct evbuffer *evhttp_request_get_output_buffer(struct evhttp_request *req);

/**
 * The host that a request is for, without a port: taken from the target, otherwise from the Host
 * header; NULL if neither has one. It belongs to the request.
 */
EVENT2_EXPORT_SYMBOL
const char *evhttp_request_get_host(struct evhttp_request *req);

/**
 * Finds a header by name, ignoring case.
 *
 * Returns the value of the first header with that name, or NULL if there is none. The value
 * belongs to the list and is valid until the header is removed.
 */
EVENT2_EXPORT_SYMBOL
const char *evhttp_find_header(const struct evkeyvalq *headers, const char *key);

/**
 * Removes the first header with a name, ignoring case. Other headers with that name stay.
 *
 * Returns 0, or -1 if there is none.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_remove_header(struct evkeyvalq *headers, const char *key);

/**
 * Adds a header at the end of a list, which must have been initialised. Both strings are copied.
 * Headers with the same name stay, in front of it.
 *
 * Headers added here cannot break the framing of a message: a name must not be empty or contain
 * line breaks. A value may contain line breaks that are followed by spaces or tabs; each such
 * break, with the spaces and tabs after it, becomes one space.
 *
 * Returns 0, or -1, with nothing changed, if a string is not allowed or memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_add_header(struct evkeyvalq *headers, const char *key, const char *value);

/** Removes all headers from a list, which can then be used again. */
EVENT2_EXPORT_SYMBOL
void evhttp_clear_headers(struct evkeyvalq *headers);

/**
 * Percent-encodes a string for a URI: all characters other than ASCII letters, digits and `-._~`
 * become `%XX`.
 *
 * Returns a new string that the caller frees with free(), or NULL if memory is short.
 */
EVENT2_EXPORT_SYMBOL
char *evhttp_encode_uri(const char *str);

/**
 * Percent-encodes `size` bytes like evhttp_encode_uri(). A negative `size` means that the string
 * ends with a NUL. With `space_to_plus`, spaces become `+`.
 *
 * Returns a new string that the caller frees with free(), or NULL if memory is short.
 */
EVENT2_EXPORT_SYMBOL
char *evhttp_uriencode(const char *str, ev_ssize_t size, int space_to_plus);

/**
 * Decodes a string: `%XX` becomes the character, and after the first question mark `+` becomes a
 * space. This is not correct for any part of a URI: use evhttp_uridecode().
 *
 * Returns a new string that the caller frees with free(), or NULL if memory is short.
 */
EVENT2_EXPORT_SYMBOL
char *evhttp_decode_uri(const char *uri);

/**
 * Decodes a string: `%XX` becomes the character, and with `decode_plus` `+` becomes a space. A `%`
 * that is not followed by two hexadecimal digits stays.
 *
 * The length of the result, which may contain NULs, is stored in `size_out` unless that is NULL.
 * Returns a new NUL-terminated string that the caller frees with free(), or NULL if memory is
 * short.
 */
EVENT2_EXPORT_SYMBOL
char *evhttp_uridecode(const char *uri, int decode_plus, size_t *size_out);

/**
 * Extracts the parameters from the query of a URI into `headers`: see evhttp_parse_query_str().
 *
 * Returns 0, also if there is no query; or -1 if the URI or its query is malformed or memory is
 * short.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_parse_query(const char *uri, struct evkeyvalq *headers);

/**
 * Extracts the parameters from a query such as `one=1&two=2` into `headers`, which is initialised
 * here. The caller clears it with evhttp_clear_headers().
 *
 * Names are kept as they are. Values are decoded: `%XX` becomes the character, and `+` a space. A
 * value ends at an encoded NUL.
 *
 * Returns 0, also for an empty query and NULL; or -1, with an empty list, if a parameter has no
 * name or no `=`, or memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_parse_query_str(const char *uri, struct evkeyvalq *headers);

/**
 * Escapes a string for HTML: the characters `<`, `>`, `"`, `'` and `&`.
 *
 * Returns a new string that the caller frees with free(), or NULL if `html` is NULL or memory is
 * short.
 */
EVENT2_EXPORT_SYMBOL
char *evhttp_htmlescape(const char *html);

/**
 * Makes an empty URI. Returns NULL if memory is short. The caller frees it with evhttp_uri_free().
 */
EVENT2_EXPORT_SYMBOL
struct evhttp_uri *evhttp_uri_new(void);

/**
 * Sets the flags of a URI, 0 or `EVHTTP_URI_NONCONFORMANT`, which apply to later changes of its
 * parts.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_uri_set_flags(struct evhttp_uri *uri, unsigned int flags);

/**
 * The scheme, such as `http`, or NULL. Valid until that part is changed or the URI is freed.
 */
EVENT2_EXPORT_SYMBOL
const char *evhttp_uri_get_scheme(const struct evhttp_uri *uri);

/**
 * The user information, in front of the `@` before the host, or NULL. Valid until that part is
 * changed or the URI is freed.
 */
EVENT2_EXPORT_SYMBOL
const char *evhttp_uri_get_userinfo(const struct evhttp_uri *uri);

/**
 * The host, or NULL. An IPv6 address is in brackets. Valid until that part is changed or the URI
 * is freed.
 */
EVENT2_EXPORT_SYMBOL
const char *evhttp_uri_get_host(const struct evhttp_uri *uri);

/** The port, or -1 if there is none. */
EVENT2_EXPORT_SYMBOL
int evhttp_uri_get_port(const struct evhttp_uri *uri);

/**
 * The path, still encoded. A parsed URI always has a path, which may be empty. Valid until that
 * part is changed or the URI is freed.
 */
EVENT2_EXPORT_SYMBOL
const char *evhttp_uri_get_path(const struct evhttp_uri *uri);

/**
 * The query, after the `?`, still encoded, or NULL if there is no `?`. Valid until that part is
 * changed or the URI is freed.
 */
EVENT2_EXPORT_SYMBOL
const char *evhttp_uri_get_query(const struct evhttp_uri *uri);

/**
 * The fragment, after the `#`, or NULL if there is no `#`. Valid until that part is changed or the
 * URI is freed.
 */
EVENT2_EXPORT_SYMBOL
const char *evhttp_uri_get_fragment(const struct evhttp_uri *uri);

/**
 * Sets the scheme of a URI. The string is copied; NULL removes the part.
 *
 * Returns 0, or -1, with nothing changed, if the string is malformed or memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_uri_set_scheme(struct evhttp_uri *uri, const char *scheme);

/**
 * Sets the user information of a URI, in front of the `@` before the host. The string is copied;
 * NULL removes the part.
 *
 * Returns 0, or -1, with nothing changed, if the string is malformed or memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_uri_set_userinfo(struct evhttp_uri *uri, const char *userinfo);

/**
 * Sets the host of a URI. The string is copied; NULL removes the part. An IPv6 address must be in
 * brackets.
 *
 * Returns 0, or -1, with nothing changed, if the string is malformed or memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_uri_set_host(struct evhttp_uri *uri, const char *host);

/**
 * Sets the port of a URI; -1 removes it.
 *
 * Returns 0, or -1 for a number below -1. Numbers above 65535 are accepted.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_uri_set_port(struct evhttp_uri *uri, int port);

/**
 * Sets the path of a URI. The string is copied; NULL removes the part. It must already be encoded,
 * and contain no `?` and no `#`.
 *
 * Returns 0, or -1, with nothing changed, if the string is malformed or memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_uri_set_path(struct evhttp_uri *uri, const char *path);

/**
 * Sets the query of a URI, after the `?`. The string is copied; NULL removes the part. It must
 * already be encoded, and contain no `#`.
 *
 * Returns 0, or -1, with nothing changed, if the string is malformed or memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_uri_set_query(struct evhttp_uri *uri, const char *query);

/**
 * Sets the fragment of a URI, after the `#`. The string is copied; NULL removes the part. It must
 * already be encoded.
 *
 * Returns 0, or -1, with nothing changed, if the string is malformed or memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_uri_set_fragment(struct evhttp_uri *uri, const char *fragment);

/**
 * Parses a URI, or a reference such as `/path?query`. Nothing is decoded.
 *
 * `flags` is 0 or `EVHTTP_URI_NONCONFORMANT`, which allows path, query and fragment to contain
 * characters that URIs do not allow, such as spaces.
 *
 * Returns the URI, which the caller frees with evhttp_uri_free(), or NULL if the string is
 * malformed or memory is short.
 */
EVENT2_EXPORT_SYMBOL
struct evhttp_uri *evhttp_uri_parse_with_flags(const char *source_uri, unsigned int flags);

/** Like evhttp_uri_parse_with_flags() without flags. */
EVENT2_EXPORT_SYMBOL
struct evhttp_uri *evhttp_uri_parse(const char *source_uri);

/** Frees a URI and its parts. */
EVENT2_EXPORT_SYMBOL
void evhttp_uri_free(struct evhttp_uri *uri);

/**
 * Writes a URI as text into `buf`, which has room for `limit` bytes.
 *
 * Returns `buf`; or NULL, with nothing written, if an argument is NULL, the text does not fit, or
 * the text would parse into different parts: a path without a leading slash after a host, or one
 * with two leading slashes without a host.
 */
EVENT2_EXPORT_SYMBOL
char *evhttp_uri_join(struct evhttp_uri *uri, char *buf, size_t limit);

#ifdef __cplusplus
}
#endif

#endif
