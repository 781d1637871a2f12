/* event2/rpc_struct.h: the members of the structures of event2/rpc.h. */
#ifndef EVENT2_RPC_STRUCT_H_INCLUDED_
#define EVENT2_RPC_STRUCT_H_INCLUDED_

#ifdef __cplusplus
extern "C" {
#endif

struct evbuffer;
struct evhttp_request;
struct evrpc_base;
struct evrpc_req_generic;

/* The macro of <sys/queue.h>, where the program has not included that. */
#ifndef TAILQ_ENTRY
#define EVENT_DEFINED_TQENTRY_
#define TAILQ_ENTRY(type) \
    struct { \
        struct type *tqe_next; \
        struct type **tqe_prev; \
    }
#endif

/** The call succeeded: there is a reply. */
#define EVRPC_STATUS_ERR_NONE 0
/** No answer arrived, or not in time. */
#define EVRPC_STATUS_ERR_TIMEOUT 1
/** The answer is not a reply to the call: an error page, or a message of another kind. */
#define EVRPC_STATUS_ERR_BADPAYLOAD 2
/** The call was never sent. */
#define EVRPC_STATUS_ERR_UNSTARTED 3
/** An input hook ended the call. */
#define EVRPC_STATUS_ERR_HOOKABORTED 4

/** How a call ended. Valid until the callback returns. */
struct evrpc_status {
    /** EVRPC_STATUS_ERR_NONE, or what went wrong. */
    int error;
    /** The HTTP reply, or NULL if there was none. */
    struct evhttp_request *http_req;
};

/** The registered handler of a call. */
struct evrpc {
    /** Not used by the library. */
    TAILQ_ENTRY(evrpc) next;
    /** The name of the call. */
    const char *uri;
    /** Makes a message for the request; returns NULL on failure. */
    void *(*request_new)(void *);
    /** Its argument. */
    void *request_new_arg;
    /** Frees it. */
    void (*request_free)(void *);
    /** Parses the request; returns -1 if it is malformed. */
    int (*request_unmarshal)(void *, struct evbuffer *);
    /** Makes a message for the reply; returns NULL on failure. */
    void *(*reply_new)(void *);
    /** Its argument. */
    void *reply_new_arg;
    /** Frees it. */
    void (*reply_free)(void *);
    /** Returns -1 if the reply is incomplete. */
    int (*reply_complete)(void *);
    /** Appends the reply to a buffer. */
    void (*reply_marshal)(struct evbuffer *, void *);
    /** The handler. */
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
