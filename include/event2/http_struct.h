/* event2/http_struct.h: the members of `struct evhttp_request`.
 *
 * For programs that look at them. New programs use the functions of event2/http.h. Every request is
 * made by a function: none can be embedded.
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
    /** The connection; NULL when there is none, or none any more. */
    struct evhttp_connection *evcon;

    /** A set of the following bits. */
    int flags;
/** The connection belongs to the request. */
#define EVHTTP_REQ_OWN_CONNECTION 0x0001
/** The request is meant for another server. */
#define EVHTTP_PROXY_REQUEST 0x0002
/** The request belongs to the program: evhttp_request_own(). */
#define EVHTTP_USER_OWNED 0x0004
/** A callback of the request runs, so it is not freed before that returns. */
#define EVHTTP_REQ_DEFER_FREE 0x0008
/** The request is to be freed when that callback returns. */
#define EVHTTP_REQ_NEEDS_FREE 0x0010

    /** Headers that came in. */
    struct evkeyvalq *input_headers;
    /** Headers to go out. */
    struct evkeyvalq *output_headers;

    /** The client's address and port, of a request to a server. */
    char *remote_host;
    ev_uint16_t remote_port;

    /** What evhttp_request_get_host() has found. */
    char *host_cache;

    /** Request or reply. */
    enum evhttp_request_kind kind;
    /** The method. */
    enum evhttp_cmd_type type;

    /** Bytes of headers and of the body that came in. */
    size_t headers_size;
    size_t body_size;

    /** The target of the request, as it stands there. */
    char *uri;
    /** The same taken apart, on a server. */
    struct evhttp_uri *uri_elems;

    /** The version of HTTP. */
    char major;
    char minor;

    /** The status, and the text behind it. */
    int response_code;
    char *response_code_line;

    /** The body that came in. */
    struct evbuffer *input_buffer;
    /** Bytes of it that are to come; -1 when that is not known. */
    ev_int64_t ntoread;
    /** The body comes, or goes, in chunks. */
    unsigned chunked : 1;
    /** The program has replied. */
    unsigned userdone : 1;

    /** The body to go out. */
    struct evbuffer *output_buffer;

    /** Called when the request is done, or to handle it. */
    void (*cb)(struct evhttp_request *, void *);
    void *cb_arg;
    /** Called when a part of the body has come in. */
    void (*chunk_cb)(struct evhttp_request *, void *);
    /** Called when the headers of a reply have come in. */
    int (*header_cb)(struct evhttp_request *, void *);
    /** Called when the request has failed. */
    void (*error_cb)(enum evhttp_request_error, void *);
    /** Called when the reply has gone out. */
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
