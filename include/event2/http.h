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

/**
 * Makes a server that listens nowhere yet. A `base` of NULL is that of event_init().
 *
 * It allows GET, POST, HEAD, PUT and DELETE, limits neither headers nor bodies, and waits for its
 * clients without end: see evhttp_set_timeout(), evhttp_set_max_headers_size() and
 * evhttp_set_max_body_size().
 *
 * Returns NULL when memory is short. The caller owns it: evhttp_free(), before the base is freed.
 */
EVENT2_EXPORT_SYMBOL
struct evhttp *evhttp_new(struct event_base *base);

/**
 * Frees a server with its listeners, its connections, and the virtual hosts that were added to it.
 *
 * Their sockets are closed. May be called by a callback of one of its requests, which is freed
 * too unless the program owns it. A request whose connection has gone before stays.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_free(struct evhttp *http);

/**
 * Listens on an address and a port; port 0 is one that the kernel chooses.
 *
 * `address` is a numeric address, or a name, for which this waits and of which the first address
 * counts. NULL is every address of IPv4. May be called several times.
 *
 * Returns -1 when the address cannot be resolved, or with errno when it cannot be listened on.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_bind_socket(struct evhttp *http, const char *address, ev_uint16_t port);

/** Like evhttp_bind_socket(), but returns the listener, which stays the server's, or NULL. */
EVENT2_EXPORT_SYMBOL
struct evhttp_bound_socket *evhttp_bind_socket_with_handle(struct evhttp *http,
    const char *address, ev_uint16_t port);

/**
 * Accepts connections on a socket that listens already and does not block.
 *
 * Returns 0, and the socket is the server's, which will close it; or -1, and it stays the
 * caller's.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_accept_socket(struct evhttp *http, evutil_socket_t fd);

/**
 * Like evhttp_accept_socket(), but returns the listener, which stays the server's, or NULL.
 */
EVENT2_EXPORT_SYMBOL
struct evhttp_bound_socket *evhttp_accept_socket_with_handle(struct evhttp *http,
    evutil_socket_t fd);

/**
 * Accepts the connections of a listener of the program's. Its callback is replaced; its flags, of
 * whatever kind its socket is, stay.
 *
 * The listener is the server's from then on. Returns NULL when memory is short; it stays the
 * caller's then.
 */
EVENT2_EXPORT_SYMBOL
struct evhttp_bound_socket *evhttp_bind_listener(struct evhttp *http,
    struct evconnlistener *listener);

/** The listener of a bound socket. It stays the server's. */
EVENT2_EXPORT_SYMBOL
struct evconnlistener *evhttp_bound_socket_get_listener(struct evhttp_bound_socket *bound);

/**
 * Calls a function for each listener of a server, in the order in which they were added. It must
 * not add or remove any.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_foreach_bound_socket(struct evhttp *http,
    evhttp_bound_socket_foreach_fn * function, void *argument);

/**
 * Stops listening on a socket, which is closed. `bound` is not valid any more; connections that
 * were accepted go on.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_del_accept_socket(struct evhttp *http, struct evhttp_bound_socket *bound);

/** The descriptor of a bound socket. It stays the server's. */
EVENT2_EXPORT_SYMBOL
evutil_socket_t evhttp_bound_socket_get_fd(struct evhttp_bound_socket *bound);

/**
 * Limits the first line and the headers of requests on connections that are accepted from now on,
 * in bytes without line ends; a negative number is no limit. What is longer is answered with 400.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_set_max_headers_size(struct evhttp *http, ev_ssize_t max_headers_size);

/**
 * Limits the body of requests on connections that are accepted from now on, in bytes; a negative
 * number is no limit. What is longer is answered with 413.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_set_max_body_size(struct evhttp *http, ev_ssize_t max_body_size);

/**
 * Sets the type of replies with a body for which the program names none; NULL for none. It is
 * copied.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_set_default_content_type(struct evhttp *http, const char *content_type);

/**
 * Sets the methods that a server allows, `EVHTTP_REQ_*` or-ed. Requests with others are answered
 * with 501. Bit 15 stands for those that have no name here.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_set_allowed_methods(struct evhttp *http, ev_uint16_t methods);

/**
 * Sets what handles requests for a path, which is compared with that of the target after escapes
 * were undone. The query does not count.
 *
 * Returns 0, -1 when the path has a function already, -2 when memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_set_cb(struct evhttp *http, const char *path,
    void (*cb)(struct evhttp_request *req, void *arg), void *cb_arg);

/**
 * Removes what handles requests for a path; that function itself may call this.
 *
 * Returns 0, or -1 when there is none.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_del_cb(struct evhttp *http, const char *path);

/**
 * Sets what handles requests for paths that have no function of their own; NULL for none. Without
 * it they are answered with 404.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_set_gencb(struct evhttp *http, void (*cb)(struct evhttp_request *req, void *arg),
    void *arg);

/**
 * Sets what makes the bufferevents of accepted connections: one without a descriptor, which the
 * connection then owns. NULL, as `cb` or as its result, is a usual one. For TLS it makes one of
 * bufferevent_openssl_socket_new().
 */
EVENT2_EXPORT_SYMBOL
void evhttp_set_bevcb(struct evhttp *http,
    struct bufferevent *(*cb)(struct event_base *base, void *arg), void *arg);

/**
 * Has another server handle requests for hosts that fit a pattern, in which `*` stands for any
 * text. Letters of either case are the same.
 *
 * Only functions for paths, aliases and virtual hosts of `vhost` count; all else is that of the
 * server that accepted the connection. It must not listen itself. It is freed with `http`.
 *
 * Returns -1 when it listens, is a virtual host already, or memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_add_virtual_host(struct evhttp *http, const char *pattern, struct evhttp *vhost);

/**
 * Gives a virtual host back to the caller, who owns it again. Returns -1 when it is none of this
 * server.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_remove_virtual_host(struct evhttp *http, struct evhttp *vhost);

/**
 * Gives a server, or a virtual host, a name by which it is chosen before any pattern is looked at.
 * Returns -1 when memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_add_server_alias(struct evhttp *http, const char *alias);

/** Takes a name away. Returns -1 when this very server does not have it. */
EVENT2_EXPORT_SYMBOL
int evhttp_remove_server_alias(struct evhttp *http, const char *alias);

/**
 * Sets the timeout of connections that are accepted from now on, in seconds: so long nothing may
 * come in, or go out, when something should. 0 and -1 are none.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_set_timeout(struct evhttp *http, int timeout_in_secs);

/** Like evhttp_set_timeout(), with a time; NULL is none. */
EVENT2_EXPORT_SYMBOL
void evhttp_set_timeout_tv(struct evhttp *http, const struct timeval *tv);

/**
 * Sets the flags of a server, `EVHTTP_SERVER_*` or-ed, in place of those that it had.
 *
 * Returns 0, or 1, with nothing changed, when there are others among them.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_set_flags(struct evhttp *http, int flags);

/**
 * Replies with an HTML page that tells an error. The connection ends after it, and headers that
 * were to go out do not.
 *
 * `reason` goes into the page as it is; NULL is the usual phrase. If the connection has gone, this
 * only frees the request.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_send_error(struct evhttp_request *req, int error, const char *reason);

/**
 * Replies with a status, the headers of evhttp_request_get_output_headers() and a body.
 *
 * `reason` NULL is the usual phrase; line ends in it become blanks. `databuf`, which may be NULL,
 * is emptied and stays the caller's. Headers that tell length, type and date are added. To HEAD,
 * and with codes that have none, no body is sent.
 *
 * The reply is sent from the loop. Until it has been, the request is valid; then the library frees
 * it. If the connection has gone, this only frees the request.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_send_reply(struct evhttp_request *req, int code, const char *reason,
    struct evbuffer *databuf);

/**
 * Begins a reply whose body is sent in pieces: sends status and headers.
 *
 * Without a Content-Length of the program's, the body goes in chunks to clients of HTTP/1.1, and
 * for older ones ends with the connection. evhttp_send_reply_chunk() and evhttp_send_reply_end()
 * follow. Does nothing if the connection has gone.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_send_reply_start(struct evhttp_request *req, int code, const char *reason);

/**
 * Sends a piece of a body, which is moved out of `databuf`. An empty one sends nothing.
 *
 * Does nothing if the connection has gone, or the reply has no body.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_send_reply_chunk(struct evhttp_request *req, struct evbuffer *databuf);

/**
 * Like evhttp_send_reply_chunk(); `cb` is called once, from the loop, when all that was sent so far
 * has been written, so that the program need not have more in memory than its clients take.
 *
 * It may send more, end the reply, or free the connection. Only the function of the last call
 * counts. It is not called if the connection goes.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_send_reply_chunk_with_cb(struct evhttp_request *req, struct evbuffer *databuf,
    void (*cb)(struct evhttp_connection *evcon, void *arg), void *arg);

/**
 * Ends a reply of evhttp_send_reply_start(). The library frees the request when all has been
 * written, which may be in this call; at once if the connection has gone.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_send_reply_end(struct evhttp_request *req);

/**
 * Makes a connection for requests to a host. Nothing is looked up or connected before the first
 * request.
 *
 * `address` is a name or a numeric address, and copied. With a `dnsbase` names are looked up from
 * the loop; with NULL the first request waits for that. `bev`, if not NULL, is a bufferevent
 * without a descriptor, which the connection then owns; one of TLS makes it a client of HTTPS. A
 * `base` of NULL is that of event_init().
 *
 * Returns NULL when memory is short; `bev` stays the caller's then. The caller owns the
 * connection: evhttp_connection_free().
 */
EVENT2_EXPORT_SYMBOL
struct evhttp_connection *evhttp_connection_base_bufferevent_new(struct event_base *base,
    struct evdns_base *dnsbase, struct bufferevent *bev, const char *address, ev_uint16_t port);

/**
 * Makes a connection for requests to a host, on a bufferevent of its own: see
 * evhttp_connection_base_bufferevent_new().
 */
EVENT2_EXPORT_SYMBOL
struct evhttp_connection *evhttp_connection_base_new(struct event_base *base,
    struct evdns_base *dnsbase, const char *address, ev_uint16_t port);

/** The bufferevent of a connection. It stays the connection's. */
EVENT2_EXPORT_SYMBOL
struct bufferevent *evhttp_connection_get_bufferevent(struct evhttp_connection *evcon);

/** The server that accepted a connection; NULL for a client's. */
EVENT2_EXPORT_SYMBOL
struct evhttp *evhttp_connection_get_server(struct evhttp_connection *evcon);

/** The base of a connection. */
EVENT2_EXPORT_SYMBOL
struct event_base *evhttp_connection_get_base(struct evhttp_connection *req);

/**
 * Chooses the family of the addresses that a client connects to: `AF_UNSPEC`, as at first, for
 * either, `AF_INET` or `AF_INET6`.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_family(struct evhttp_connection *evcon, int family);

/**
 * Sets the flags of a client's connection, `EVHTTP_CON_REUSE_CONNECTED_ADDR` and
 * `EVHTTP_CON_READ_ON_WRITE_ERROR` or-ed, in place of those that it had.
 *
 * Returns 0, or 1, with nothing changed, when there are others among them.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_connection_set_flags(struct evhttp_connection *evcon, int flags);

/**
 * Limits the first line and the headers of messages that come in, in bytes without line ends; a
 * negative number is no limit.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_max_headers_size(struct evhttp_connection *evcon,
    ev_ssize_t new_max_headers_size);

/** Limits the body of messages that come in, in bytes; a negative number is no limit. */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_max_body_size(struct evhttp_connection *evcon,
    ev_ssize_t new_max_body_size);

/**
 * Frees a connection with its bufferevent, and closes its socket.
 *
 * Requests on it are freed, unless the program owns them, and none of their callbacks is called.
 * May be called by them.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_free(struct evhttp_connection *evcon);

/**
 * Has a client's connection freed when it has no request any more and is not connected: after the
 * last reply if the connection ends with it, else when the server or a timeout ends it.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_free_on_completion(struct evhttp_connection *evcon);

/** Sets the address that a client connects from, which is copied. It must not be connected. */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_local_address(struct evhttp_connection *evcon, const char *address);

/**
 * Sets the port that a client connects from; 0, as at first, is any. It must not be connected.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_local_port(struct evhttp_connection *evcon, ev_uint16_t port);

/**
 * Sets the timeout of a connection in seconds: for connecting, and for how long nothing may come
 * in or go out when something should. -1 is the usual ones: 45 seconds to connect, 50 for the
 * others.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_timeout(struct evhttp_connection *evcon, int timeout_in_secs);

/** Like evhttp_connection_set_timeout(), with a time; NULL is the usual ones. */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_timeout_tv(struct evhttp_connection *evcon,
    const struct timeval *tv);

/**
 * Sets the pause before a client connects again, which doubles from attempt to attempt up to an
 * hour; NULL is 2 seconds.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_initial_retry_tv(struct evhttp_connection *evcon,
    const struct timeval *tv);

/**
 * Sets how often a client connects again when the host refuses or does not answer; -1 is without
 * end, 0, as at first, is never.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_retries(struct evhttp_connection *evcon, int retry_max);

/**
 * Sets what is called when a connection ends that was made, just before its socket is closed. It
 * must not free the connection.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_set_closecb(struct evhttp_connection *evcon,
    void (*cb)(struct evhttp_connection *evcon, void *arg), void *arg);

/**
 * Tells the host and port of a client's connection, the numeric address of the peer of a server's.
 * The string stays the connection's.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_connection_get_peer(struct evhttp_connection *evcon, char **address,
    ev_uint16_t *port);

/**
 * The address of the peer, never NULL; of family `AF_UNSPEC` before anything was connected. It
 * stays the connection's.
 */
EVENT2_EXPORT_SYMBOL
const struct sockaddr *evhttp_connection_get_addr(struct evhttp_connection *evcon);

/**
 * Makes a request with the method `type` for `uri`, which goes out as it is. Requests on a
 * connection wait for each other; it is made when it is needed.
 *
 * Content-Length is added for a body, and for POST and PUT; Host is not. The callback of the
 * request gets it with the reply, or with a code of 0 when no connection could be made, or NULL
 * when it failed. Then the library frees it, unless the program owns it.
 *
 * Returns -1 when memory is short, the local address cannot be had, or `uri` has a line end. Then
 * no callback follows, and the request is freed, unless the program owns it.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_make_request(struct evhttp_connection *evcon, struct evhttp_request *req,
    enum evhttp_cmd_type type, const char *uri);

/**
 * Gives a request of a client up; it is freed unless the program owns it.
 *
 * If it was its turn, its error callback gets `EVREQ_HTTP_REQUEST_CANCEL`, and those behind it go
 * on over another connection. Its other callbacks are not called any more.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_cancel_request(struct evhttp_request *req);

/**
 * Makes a request for evhttp_make_request(). `cb` is called when it is done: see there. NULL when
 * memory is short.
 */
EVENT2_EXPORT_SYMBOL
struct evhttp_request *evhttp_request_new(void (*cb)(struct evhttp_request *req, void *arg),
    void *arg);

/**
 * Sets what is called with each piece of the body of a reply: with each chunk of a body in chunks,
 * else with what has come in.
 *
 * The piece is in evhttp_request_get_input_buffer(); what is left there is thrown away. It may
 * cancel the request and free the connection.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_request_set_chunked_cb(struct evhttp_request *req,
    void (*cb)(struct evhttp_request *req, void *arg));

/**
 * Sets what is called when the headers of a reply have come in. If it returns a negative number
 * the request fails.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_request_set_header_cb(struct evhttp_request *req,
    int (*cb)(struct evhttp_request *req, void *arg));

/**
 * Sets what is called when a request fails, with the reason and the argument of the request.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_request_set_error_cb(struct evhttp_request *req,
    void (*cb)(enum evhttp_request_error error, void *arg));

/**
 * Sets what is called when the reply of a server has been written, before the request is freed. It
 * must not free the request or its connection.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_request_set_on_complete_cb(struct evhttp_request *req,
    void (*cb)(struct evhttp_request *req, void *arg), void *cb_arg);

/**
 * Frees a request that was not made, that the program owns, or whose connection has gone. While a
 * callback of it runs, it is freed when that returns.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_request_free(struct evhttp_request *req);

/**
 * Makes a request of a client the program's: it frees it with evhttp_request_free() when it is
 * done.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_request_own(struct evhttp_request *req);

/** Whether a request is the program's: 1 or 0. */
EVENT2_EXPORT_SYMBOL
int evhttp_request_is_owned(struct evhttp_request *req);

/** The connection of a request; NULL when there is none, or none any more. */
EVENT2_EXPORT_SYMBOL
struct evhttp_connection *evhttp_request_get_connection(struct evhttp_request *req);

/** The target of a request as it stands there. It stays the request's. */
EVENT2_EXPORT_SYMBOL
const char *evhttp_request_get_uri(const struct evhttp_request *req);

/**
 * The target of a request to a server, taken apart; NULL for a client's. It stays the request's.
 */
EVENT2_EXPORT_SYMBOL
const struct evhttp_uri *evhttp_request_get_evhttp_uri(const struct evhttp_request *req);

/** The method of a request; 32768 stands for one that has no name here. */
EVENT2_EXPORT_SYMBOL
enum evhttp_cmd_type evhttp_request_get_command(const struct evhttp_request *req);

/** The status of the reply; 0 when there is none. */
EVENT2_EXPORT_SYMBOL
int evhttp_request_get_response_code(const struct evhttp_request *req);

/**
 * The text behind the status of the reply; NULL when there is none. It stays the request's.
 */
EVENT2_EXPORT_SYMBOL
const char *evhttp_request_get_response_code_line(const struct evhttp_request *req);

/** The headers that came in. They stay the request's. */
EVENT2_EXPORT_SYMBOL
struct evkeyvalq *evhttp_request_get_input_headers(struct evhttp_request *req);

/** The headers to go out. They stay the request's. */
EVENT2_EXPORT_SYMBOL
struct evkeyvalq *evhttp_request_get_output_headers(struct evhttp_request *req);

/** The body that came in. It stays the request's. */
EVENT2_EXPORT_SYMBOL
struct evbuffer *evhttp_request_get_input_buffer(struct evhttp_request *req);

/** The body to go out. It stays the request's. */
EVENT2_EXPORT_SYMBOL
struct evbuffer *evhttp_request_get_output_buffer(struct evhttp_request *req);

/**
 * The host that a request is for, without a port: that of the target, else that of the header
 * Host, else NULL. It stays the request's.
 */
EVENT2_EXPORT_SYMBOL
const char *evhttp_request_get_host(struct evhttp_request *req);

/**
 * Finds a header by its name, in any case of letters.
 *
 * Returns the value of the first one of that name, NULL when there is none. The value belongs to
 * the list, and is valid until it is removed.
 */
EVENT2_EXPORT_SYMBOL
const char *evhttp_find_header(const struct evkeyvalq *headers, const char *key);

/**
 * Removes the first header of a name, in any case of letters. Others of that name stay.
 *
 * Returns 0, or -1 when there is none.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_remove_header(struct evkeyvalq *headers, const char *key);

/**
 * Adds a header at the end of a list, which has to be initialised. Both strings are copied.
 * Headers of the same name stay, in front of it.
 *
 * Nothing that is added here can end its line in a message: a name may have no line end and may
 * not be empty. A value may have line ends that a blank or a tab follows; such a line end and the
 * blanks and tabs behind it become one blank.
 *
 * Returns 0, or -1 when a string has what it may not have or memory is short; nothing has changed
 * then.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_add_header(struct evkeyvalq *headers, const char *key, const char *value);

/** Removes all headers of a list, which can be used again. */
EVENT2_EXPORT_SYMBOL
void evhttp_clear_headers(struct evkeyvalq *headers);

/**
 * Encodes a string for a URI: all characters but ASCII letters, digits and `-._~` become `%XX`.
 *
 * Returns a new string that the caller frees with free(), or NULL when memory is short.
 */
EVENT2_EXPORT_SYMBOL
char *evhttp_encode_uri(const char *str);

/**
 * Encodes `size` bytes as evhttp_encode_uri() does. A negative `size` means that the text ends
 * with a NUL. With `space_to_plus`, blanks become `+`.
 *
 * Returns a new string that the caller frees with free(), or NULL when memory is short.
 */
EVENT2_EXPORT_SYMBOL
char *evhttp_uriencode(const char *str, ev_ssize_t size, int space_to_plus);

/**
 * Decodes a string: `%XX` becomes the character, and `+` a blank behind the first question mark.
 * It is right for no part of a URI: use evhttp_uridecode().
 *
 * Returns a new string that the caller frees with free(), or NULL when memory is short.
 */
EVENT2_EXPORT_SYMBOL
char *evhttp_decode_uri(const char *uri);

/**
 * Decodes a string: `%XX` becomes the character, and with `decode_plus` `+` becomes a blank. A `%`
 * without two hexadecimal digits behind it stays.
 *
 * The length of the result, which may contain NULs, goes to `size_out` unless that is NULL.
 * Returns a new string, with a NUL at its end, that the caller frees with free(); NULL when
 * memory is short.
 */
EVENT2_EXPORT_SYMBOL
char *evhttp_uridecode(const char *uri, int decode_plus, size_t *size_out);

/**
 * Takes the parameters out of the query of a URI, into `headers`: see evhttp_parse_query_str().
 *
 * Returns 0, also when there is no query; -1 when the URI or its query is malformed, or memory is
 * short.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_parse_query(const char *uri, struct evkeyvalq *headers);

/**
 * Takes the parameters out of a query, such as `one=1&two=2`, into `headers`, which is
 * initialised here and to be cleared with evhttp_clear_headers().
 *
 * Names are kept as they are. Values are decoded: `%XX` becomes the character, `+` a blank. A
 * value ends at an encoded NUL.
 *
 * Returns 0, also for an empty query and NULL; -1, with an empty list, when a parameter has no
 * name or no `=`, or memory is short.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_parse_query_str(const char *uri, struct evkeyvalq *headers);

/**
 * Escapes a string for HTML: the characters `<`, `>`, `"`, `'` and `&`.
 *
 * Returns a new string that the caller frees with free(), or NULL for NULL and when memory is
 * short.
 */
EVENT2_EXPORT_SYMBOL
char *evhttp_htmlescape(const char *html);

/**
 * Makes a URI without any part. It is to be freed with evhttp_uri_free(). NULL when memory is
 * short.
 */
EVENT2_EXPORT_SYMBOL
struct evhttp_uri *evhttp_uri_new(void);

/**
 * Changes the flags of a URI, which later changes of its parts obey: 0 or
 * `EVHTTP_URI_NONCONFORMANT`.
 */
EVENT2_EXPORT_SYMBOL
void evhttp_uri_set_flags(struct evhttp_uri *uri, unsigned int flags);

/** The scheme, such as `http`, or NULL. It belongs to the URI, until that part is changed. */
EVENT2_EXPORT_SYMBOL
const char *evhttp_uri_get_scheme(const struct evhttp_uri *uri);

/**
 * What stands before the `@` in front of the host, or NULL. It belongs to the URI, until that part is changed.
 */
EVENT2_EXPORT_SYMBOL
const char *evhttp_uri_get_userinfo(const struct evhttp_uri *uri);

/**
 * The host, or NULL. An IPv6 address stands in brackets. It belongs to the URI, until that part is changed.
 */
EVENT2_EXPORT_SYMBOL
const char *evhttp_uri_get_host(const struct evhttp_uri *uri);

/** The port, or -1 when there is none. */
EVENT2_EXPORT_SYMBOL
int evhttp_uri_get_port(const struct evhttp_uri *uri);

/**
 * The path, encoded as it was. A parsed URI has one, if only an empty one. It belongs to the URI, until that part is changed.
 */
EVENT2_EXPORT_SYMBOL
const char *evhttp_uri_get_path(const struct evhttp_uri *uri);

/**
 * What stands behind the `?`, encoded as it was, or NULL when there is no `?`. It belongs to the URI, until that part is changed.
 */
EVENT2_EXPORT_SYMBOL
const char *evhttp_uri_get_query(const struct evhttp_uri *uri);

/**
 * What stands behind the `#`, or NULL when there is no `#`. It belongs to the URI, until that part is changed.
 */
EVENT2_EXPORT_SYMBOL
const char *evhttp_uri_get_fragment(const struct evhttp_uri *uri);

/**
 * Changes the scheme of a URI. The string is copied; NULL takes the part away.
 *
 * Returns 0, or -1 when the string is malformed or memory is short; nothing has changed then.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_uri_set_scheme(struct evhttp_uri *uri, const char *scheme);

/**
 * Changes what stands before the `@` in front of the host. The string is copied; NULL takes the
 * part away.
 *
 * Returns 0, or -1 when the string is malformed or memory is short; nothing has changed then.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_uri_set_userinfo(struct evhttp_uri *uri, const char *userinfo);

/**
 * Changes the host of a URI. The string is copied; NULL takes the part away.
 * An IPv6 address stands in brackets.
 *
 * Returns 0, or -1 when the string is malformed or memory is short; nothing has changed then.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_uri_set_host(struct evhttp_uri *uri, const char *host);

/**
 * Changes the port; -1 takes it away.
 *
 * Returns 0, or -1 for a number below -1. The number is not compared with the highest port.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_uri_set_port(struct evhttp_uri *uri, int port);

/**
 * Changes the path of a URI. The string is copied; NULL takes the part away.
 * The string is taken as encoded, and has no `?` and no `#`.
 *
 * Returns 0, or -1 when the string is malformed or memory is short; nothing has changed then.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_uri_set_path(struct evhttp_uri *uri, const char *path);

/**
 * Changes what stands behind the `?`. The string is copied; NULL takes the part away.
 * The string is taken as encoded, and has no `#`.
 *
 * Returns 0, or -1 when the string is malformed or memory is short; nothing has changed then.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_uri_set_query(struct evhttp_uri *uri, const char *query);

/**
 * Changes what stands behind the `#`. The string is copied; NULL takes the part away.
 * The string is taken as encoded.
 *
 * Returns 0, or -1 when the string is malformed or memory is short; nothing has changed then.
 */
EVENT2_EXPORT_SYMBOL
int evhttp_uri_set_fragment(struct evhttp_uri *uri, const char *fragment);

/**
 * Takes a URI, or a reference such as `/path?query`, apart. Nothing is decoded.
 *
 * With `EVHTTP_URI_NONCONFORMANT`, path, query and fragment may have characters that they may not
 * have in a URI, such as blanks. 0 means none of that.
 *
 * Returns a URI that is to be freed with evhttp_uri_free(); NULL when the string is malformed or
 * memory is short.
 */
EVENT2_EXPORT_SYMBOL
struct evhttp_uri *evhttp_uri_parse_with_flags(const char *source_uri, unsigned int flags);

/** The same as evhttp_uri_parse_with_flags() without flags. */
EVENT2_EXPORT_SYMBOL
struct evhttp_uri *evhttp_uri_parse(const char *source_uri);

/** Frees a URI and its parts. */
EVENT2_EXPORT_SYMBOL
void evhttp_uri_free(struct evhttp_uri *uri);

/**
 * Puts a URI together into `buf`, which has room for `limit` bytes.
 *
 * Returns `buf`. NULL, with nothing written, when an argument is NULL, the URI does not fit, or
 * its text would have other parts: a path without slash behind a host, or one with two slashes
 * where there is no host.
 */
EVENT2_EXPORT_SYMBOL
char *evhttp_uri_join(struct evhttp_uri *uri, char *buf, size_t limit);

#ifdef __cplusplus
}
#endif

#endif
