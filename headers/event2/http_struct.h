/* event2/http_struct.h: the members of `struct evhttp_request`.
 *
 * For programs that access them directly. New programs should use the functions of event2/http.h.
 * A request is always made by a function and cannot be embedded in another structure.
 */
#ifndef EVENT2_HTTP_STRUCT_H_INCLUDED_
#define EVENT2_HTTP_STRUCT_H_INCLUDED_

#include <event2/event-config.h>
#include <sys/time.h>
#include <sys/types.h>

#include <event2/util.h>
#include <event2/http.h>

#ifdef __cplusplus
extern "C" {
#endif

/* TAILQ_ENTRY of sys/queue.h, for as long as this header needs it, where the program has not
 * included that. */
#ifndef TAILQ_ENTRY
#define EVENT_DEFINED_TQENTRY_
#define TAILQ_ENTRY(element) struct { struct element *tqe_next; struct element **tqe_prev; }
#endif

/** A request and its reply. */
struct evhttp_request {
    /** Neighbours among the requests of its connection. */
    TAILQ_ENTRY(evhttp_request) next;
    /** The connection; NULL if there is none, or none any more. */
    struct evhttp_connection *evcon;

    /** A combination of the following bits. */
    int flags;
/** The request owns its connection. */
#define EVHTTP_REQ_OWN_CONNECTION 0x0001
/** The request is for a proxy: its target names another server. */
#define EVHTTP_PROXY_REQUEST 0x0002
/** The program owns the request: evhttp_request_own(). */
#define EVHTTP_USER_OWNED 0x0004
/** A callback of the request is running, and the request is not freed before it returns. */
#define EVHTTP_REQ_DEFER_FREE 0x0008
/** The request will be freed when that callback returns. */
#define EVHTTP_REQ_NEEDS_FREE 0x0010

    /** Headers received. */
    struct evkeyvalq *input_headers;
    /** Headers to send. */
    struct evkeyvalq *output_headers;

    /** On a server: the client's address and port. */
    char *remote_host;
    ev_uint16_t remote_port;

    /** The result of evhttp_request_get_host(). */
    char *host_cache;

    /** Request or reply. */
    enum evhttp_request_kind kind;
    /** The method. */
    enum evhttp_cmd_type type;

    /** Bytes of headers, and of the body, received so far. */
    size_t headers_size;
    size_t body_size;

    /** The target of the request, unchanged. */
    char *uri;
    /** On a server: the same, parsed. */
    struct evhttp_uri *uri_elems;

    /** The HTTP version. */
    char major;
    char minor;

    /** The status code and the reason phrase. */
    int response_code;
    char *response_code_line;

    /** The body received. */
    struct evbuffer *input_buffer;
    /** How many of its bytes are still to come; -1 if not known. */
    ev_int64_t ntoread;
    /** The body is received, or sent, in chunks. */
    unsigned chunked : 1;
    /** The program has replied. */
    unsigned userdone : 1;

    /** The body to send. */
    struct evbuffer *output_buffer;

    /** On a client, called when the request is complete; on a server, called to handle it. */
    void (*cb)(struct evhttp_request *, void *);
    void *cb_arg;
    /** Called when a piece of the body has arrived. */
    void (*chunk_cb)(struct evhttp_request *, void *);
    /** Called when the headers of a reply have arrived. */
    int (*header_cb)(struct evhttp_request *, void *);
    /** Called when the request has failed. */
    void (*error_cb)(enum evhttp_request_error, void *);
    /** Called when the reply has been sent. */
    void (*on_complete_cb)(struct evhttp_request *, void *);
    void *on_complete_cb_arg;
};

#ifdef EVENT_DEFINED_TQENTRY_
#undef TAILQ_ENTRY
#undef EVENT_DEFINED_TQENTRY_
#endif

#ifdef __cplusplus
}
#endif

#endif
