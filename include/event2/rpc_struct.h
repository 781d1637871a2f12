/* event2/rpc_struct.h: the members of structures of event2/rpc.h. */
#ifndef EVENT2_RPC_STRUCT_H_INCLUDED_
#define EVENT2_RPC_STRUCT_H_INCLUDED_

#ifdef __cplusplus
extern "C" {
#endif

struct evbuffer;
struct evhttp_request;
struct evrpc_base;
struct evrpc_req_generic;

/* Instead of <sys/queue.h>, whose macro has the same form. */
#ifndef TAILQ_ENTRY
#define EVENT_DEFINED_TQENTRY_
#define TAILQ_ENTRY(type) \
    struct { \
        struct type *tqe_next; \
        struct type **tqe_prev; \
    }
#endif

/** The reply has been read. */
#define EVRPC_STATUS_ERR_NONE 0
/** There was no answer, in time or at all. */
#define EVRPC_STATUS_ERR_TIMEOUT 1
/** What came is no reply: an error page, or a message of another kind. */
#define EVRPC_STATUS_ERR_BADPAYLOAD 2
/** The call was never sent. */
#define EVRPC_STATUS_ERR_UNSTARTED 3
/** An input hook ended the call. */
#define EVRPC_STATUS_ERR_HOOKABORTED 4

/** How a call ended. It is good until the callback returns. */
struct evrpc_status {
    /** EVRPC_STATUS_ERR_NONE, or what went wrong. */
    int error;
    /** The HTTP answer, or NULL if there was none. */
    struct evhttp_request *http_req;
};

/** What handles the calls of one name. */
struct evrpc {
    /** The library does not use it. */
    TAILQ_ENTRY(evrpc) next;
    /** The name of the call. */
    const char *uri;
    /** Makes a message for the request, or returns NULL. */
    void *(*request_new)(void *);
    /** Its argument. */
    void *request_new_arg;
    /** Frees it. */
    void (*request_free)(void *);
    /** Reads the request; -1 means that it is none. */
    int (*request_unmarshal)(void *, struct evbuffer *);
    /** Makes a message for the reply, or returns NULL. */
    void *(*reply_new)(void *);
    /** Its argument. */
    void *reply_new_arg;
    /** Frees it. */
    void (*reply_free)(void *);
    /** -1 when something is missing in the reply. */
    int (*reply_complete)(void *);
    /** Appends the reply to a buffer. */
    void (*reply_marshal)(struct evbuffer *, void *);
    /** Handles a call. */
    void (*cb)(struct evrpc_req_generic *, void *);
    /** Its argument. */
    void *cb_arg;
    /** Where it is registered. */
    struct evrpc_base *base;
};

#ifdef EVENT_DEFINED_TQENTRY_
#undef TAILQ_ENTRY
#undef EVENT_DEFINED_TQENTRY_
#endif

#ifdef __cplusplus
}
#endif

#endif
