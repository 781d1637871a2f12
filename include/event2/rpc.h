/* event2/rpc.h: calls of functions in other processes, over HTTP.
 *
 * A call takes a message there and brings one back. Messages are structures that event_rpcgen.py(1)
 * makes of definitions, with functions that turn them into bytes and back.
 *
 * Both sides say once, in a header, that there is a call Echo which takes a `struct question` and
 * brings a `struct answer`:
 *
 *     EVRPC_HEADER(Echo, question, answer)
 *
 * and the client, in one of its C files, EVRPC_GENERATE(Echo, question, answer).
 *
 * A server hands what handles the call to EVRPC_REGISTER(). That function looks at `rpc->request`,
 * fills `rpc->reply`, and calls EVRPC_REQUEST_DONE(), at once or later. A client has a pool of
 * connections, evrpc_pool_new(), and calls EVRPC_MAKE_REQUEST(); a callback gets the reply.
 *
 * On the way, a call is an HTTP request POST /.rpc.Echo with the bytes of the message as its body.
 * Whatever is wrong with it on the server is answered with 503.
 *
 * Threads: nothing here has a lock. Use a server or a pool in the thread that runs its loop.
 */
#ifndef EVENT2_RPC_H_INCLUDED_
#define EVENT2_RPC_H_INCLUDED_

#include <event2/util.h>
#include <event2/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The entries of messages. `msg` points to a message, `member` is the name of an entry. */

/** Tells whether an entry is there. */
#define EVTAG_HAS(msg, member) ((msg)->member##_set == 1)

#ifndef EVENT2_RPC_COMPAT_H_INCLUDED_
/** Sets an entry to a copy of a value. Returns 0, or -1 when memory is short. */
#define EVTAG_ASSIGN(msg, member, value) (*(msg)->base->member##_assign)((msg), (value))
/** The same for bytes of any number. */
#define EVTAG_ASSIGN_WITH_LEN(msg, member, value, len) \
    (*(msg)->base->member##_assign)((msg), (value), (len))
/** Stores the value of an entry at `pvalue`; it belongs to the message. Returns 0, or -1 when the
 * entry is not there. One that is a structure is made when it is not there. */
#define EVTAG_GET(msg, member, pvalue) (*(msg)->base->member##_get)((msg), (pvalue))
/** The same for bytes of any number. */
#define EVTAG_GET_WITH_LEN(msg, member, pvalue, plen) \
    (*(msg)->base->member##_get)((msg), (pvalue), (plen))
#endif

/** Appends a copy of a value to an array. Returns a pointer to it, which is good until the next
 * one is added, or NULL when memory is short. */
#define EVTAG_ARRAY_ADD_VALUE(msg, member, value) (*(msg)->base->member##_add)((msg), (value))
/** Appends an empty structure to an array of them. Returns it, or NULL when memory is short. */
#define EVTAG_ARRAY_ADD(msg, member) (*(msg)->base->member##_add)(msg)
/** Stores an element of an array at `pvalue`. Returns 0, or -1 when there is no such element. */
#define EVTAG_ARRAY_GET(msg, member, offset, pvalue) \
    (*(msg)->base->member##_get)((msg), (offset), (pvalue))
/** The number of elements of an array. */
#define EVTAG_ARRAY_LEN(msg, member) ((msg)->member##_length)

struct evbuffer;
struct event_base;
struct evhttp;
struct evhttp_connection;
struct evhttp_request;
/** What handles the calls of one name. */
struct evrpc;
/** All the calls that a server handles. */
struct evrpc_base;
struct evrpc_hook_meta;
/** The connections of a client. */
struct evrpc_pool;
/** A call at the server; EVRPC_STRUCT() is what it looks like. */
struct evrpc_req_generic;
/** A call at the client. */
struct evrpc_request_wrapper;
/** How a call ended. */
struct evrpc_status;

/** The structure of a call at the server: with `request`, `reply` and `http_req`. */
#define EVRPC_STRUCT(rpcname) struct evrpc_req__##rpcname

/** Declares a call, once in a source file: its EVRPC_STRUCT(), and the function that
 * EVRPC_GENERATE() makes. */
#define EVRPC_HEADER(rpcname, reqstruct, rplystruct) \
    EVRPC_STRUCT(rpcname) { \
        struct evrpc_hook_meta *hook_meta; \
        struct reqstruct *request; \
        struct rplystruct *reply; \
        struct evrpc *rpc; \
        struct evhttp_request *http_req; \
        struct evbuffer *rpc_data; \
    }; \
    EVENT2_EXPORT_SYMBOL \
    int evrpc_send_request_##rpcname(struct evrpc_pool *, struct reqstruct *, struct rplystruct *, \
        void (*)(struct evrpc_status *, struct reqstruct *, struct rplystruct *, void *cbarg), \
        void *);

/** Defines the function behind EVRPC_MAKE_REQUEST(), once in a program. */
#define EVRPC_GENERATE(rpcname, reqstruct, rplystruct) \
    int evrpc_send_request_##rpcname(struct evrpc_pool *pool, struct reqstruct *request, \
        struct rplystruct *reply, \
        void (*cb)(struct evrpc_status *, struct reqstruct *, struct rplystruct *, void *cbarg), \
        void *cbarg) \
    { \
        return evrpc_send_request_generic(pool, request, reply, \
            (void (*)(struct evrpc_status *, void *, void *, void *))cb, cbarg, #rpcname, \
            (void (*)(struct evbuffer *, void *))reqstruct##_marshal, \
            (void (*)(void *))rplystruct##_clear, \
            (int (*)(void *, struct evbuffer *))rplystruct##_unmarshal); \
    }

/** Has a function handle the calls of one name: `callback(EVRPC_STRUCT(name) *rpc, void *cbarg)`.
 * Returns 0, or -1. */
#define EVRPC_REGISTER(base, name, request, reply, callback, cbarg) \
    evrpc_register_generic(base, #name, \
        (void (*)(struct evrpc_req_generic *, void *))callback, cbarg, \
        (void *(*)(void *))request##_new_with_arg, NULL, (void (*)(void *))request##_free, \
        (int (*)(void *, struct evbuffer *))request##_unmarshal, \
        (void *(*)(void *))reply##_new_with_arg, NULL, (void (*)(void *))reply##_free, \
        (int (*)(void *))reply##_complete, (void (*)(struct evbuffer *, void *))reply##_marshal)

/** Takes that back. Returns 0, or -1 when there is none. */
#define EVRPC_UNREGISTER(base, name) evrpc_unregister_rpc((base), #name)

/** The HTTP request of a call at the server. */
#define EVRPC_REQUEST_HTTP(rpc_req) (rpc_req)->http_req

/** Sends the reply. The call, its request and its reply are gone afterwards. */
#define EVRPC_REQUEST_DONE(rpc_req) do { \
        struct evrpc_req_generic *req_ = (struct evrpc_req_generic *)(rpc_req); \
        evrpc_request_done(req_); \
    } while (0)

/** Makes a call: see evrpc_send_request_generic(). `cb(status, request, reply, cbarg)` is called
 * when it ends, which may be before this returns. */
#define EVRPC_MAKE_REQUEST(name, pool, request, reply, cb, cbarg) \
    evrpc_send_request_##name((pool), (request), (reply), (cb), (cbarg))

/** Prepares a call for evrpc_make_request(). Returns NULL when memory is short. */
#define EVRPC_MAKE_CTX(rpcname, reqstruct, rplystruct, pool, request, reply, cb, cbarg) \
    evrpc_make_request_ctx(pool, request, reply, #rpcname, \
        (void (*)(struct evbuffer *, void *))reqstruct##_marshal, \
        (void (*)(void *))rplystruct##_clear, \
        (int (*)(void *, struct evbuffer *))rplystruct##_unmarshal, \
        (void (*)(struct evrpc_status *, void *, void *, void *))cb, cbarg)

#ifndef _WIN32
/* Names of the 1.x series. */
#define INPUT EVRPC_INPUT
#define OUTPUT EVRPC_OUTPUT
#endif

/** Which way a message goes. */
enum EVRPC_HOOK_TYPE {
    /** To this side: requests at a server, replies at a client. */
    EVRPC_INPUT,
    /** From this side. */
    EVRPC_OUTPUT
};

/** What a hook decides. */
enum EVRPC_HOOK_RESULT {
    /** The call ends here. */
    EVRPC_TERMINATE = -1,
    /** The call goes on. */
    EVRPC_CONTINUE = 0,
    /** The call waits until evrpc_resume_request(). */
    EVRPC_PAUSE = 1
};

/**
 * Begins the server's side of calls on an HTTP server.
 *
 * Returns NULL when memory is short. Free it before the HTTP server. Several can stand on one
 * HTTP server.
 */
EVENT2_EXPORT_SYMBOL
struct evrpc_base *evrpc_init(struct evhttp *server);

/**
 * Ends the server's side of calls, all registrations and hooks. The HTTP server stays.
 *
 * Calls that wait for evrpc_resume_request() are answered with an error. Those that handlers have
 * stay theirs, and evrpc_request_done() ends them as always.
 */
EVENT2_EXPORT_SYMBOL
void evrpc_free(struct evrpc_base *base);

/**
 * Registers what handles the calls of one name; use EVRPC_REGISTER().
 *
 * `name` is copied. `callback(call, cbarg)` gets each call, of which `req_unmarshal` has read the
 * request into a message that `req_new(req_new_arg)` made, and `rpl_new(rpl_new_arg)` the message
 * for the reply.
 *
 * Returns 0, or -1 when memory is short or there is something for that name already.
 */
EVENT2_EXPORT_SYMBOL
int evrpc_register_generic(struct evrpc_base *base, const char *name,
    void (*callback)(struct evrpc_req_generic*, void*), void *cbarg, void *(*req_new)(void*),
    void *req_new_arg, void (*req_free)(void*), int (*req_unmarshal)(void*, struct evbuffer*),
    void *(*rpl_new)(void*), void *rpl_new_arg, void (*rpl_free)(void*),
    int (*rpl_complete)(void*), void (*rpl_marshal)(struct evbuffer*, void*));

/**
 * Registers what handles the calls of the name `rpc->uri`; use EVRPC_REGISTER().
 *
 * `rpc` is filled but for its last three members. It and its name have to be blocks of the
 * library's allocator, and belong to the library then.
 *
 * Returns 0, or -1 when memory is short or there is something for that name already; both blocks
 * are then still the caller's.
 */
EVENT2_EXPORT_SYMBOL
int evrpc_register_rpc(struct evrpc_base *base, struct evrpc *rpc,
    void (*callback)(struct evrpc_req_generic*, void*), void *cbarg);

/**
 * Ends what handles the calls of one name. Calls that it has stay its own until they are done.
 *
 * Returns 0, or -1 when there is none.
 */
EVENT2_EXPORT_SYMBOL
int evrpc_unregister_rpc(struct evrpc_base *base, const char *name);

/**
 * Sends the reply of a call; use EVRPC_REQUEST_DONE().
 *
 * Every call has to end with this, in its handler or later. Something missing in the reply makes
 * it an error. The call and its messages are gone afterwards, also when the client has left.
 */
EVENT2_EXPORT_SYMBOL
void evrpc_request_done(struct evrpc_req_generic *req);

/** The message that came with a call. */
EVENT2_EXPORT_SYMBOL
void *evrpc_get_request(struct evrpc_req_generic *req);

/** The message that is to be sent back. */
EVENT2_EXPORT_SYMBOL
void *evrpc_get_reply(struct evrpc_req_generic *req);

/**
 * Makes a pool of connections.
 *
 * `base` runs the connections and the timeouts of calls. With NULL they have the bases that the
 * connections bring, or the current one. Returns NULL when memory is short.
 */
EVENT2_EXPORT_SYMBOL
struct evrpc_pool *evrpc_pool_new(struct event_base *base);

/**
 * Frees a pool and its connections. Calls end without a word; their messages are the caller's.
 *
 * Callbacks of its calls may do this.
 */
EVENT2_EXPORT_SYMBOL
void evrpc_pool_free(struct evrpc_pool *pool);

/**
 * Gives a connection of a client to a pool, which owns it then. Calls that wait begin on it.
 *
 * It must not have another base than the pool. The timeout of the pool becomes its own unless it
 * has one.
 */
EVENT2_EXPORT_SYMBOL
void evrpc_pool_add_connection(struct evrpc_pool *pool, struct evhttp_connection *evcon);

/**
 * Takes a connection out of a pool; it is the caller's again. A call that runs on it goes on.
 */
EVENT2_EXPORT_SYMBOL
void evrpc_pool_remove_connection(struct evrpc_pool *pool, struct evhttp_connection *evcon);

/**
 * Sets how many seconds a call may take from when it is sent, and the timeout of the connections.
 *
 * 0 means for ever; -1, the timeouts of HTTP connections alone, as at first.
 */
EVENT2_EXPORT_SYMBOL
void evrpc_pool_set_timeout(struct evrpc_pool *pool, int timeout_in_secs);

/**
 * Prepares a call; use EVRPC_MAKE_CTX().
 *
 * The messages stay the caller's, and have to live until `cb`. The request is turned into bytes
 * when the call is sent. `rpl_clear` empties the reply when the call fails.
 *
 * Returns what evrpc_make_request() takes, or NULL when memory is short.
 */
EVENT2_EXPORT_SYMBOL
struct evrpc_request_wrapper *evrpc_make_request_ctx(struct evrpc_pool *pool, void *request,
    void *reply, const char *rpcname, void (*req_marshal)(struct evbuffer*, void*),
    void (*rpl_clear)(void*), int (*rpl_unmarshal)(void*, struct evbuffer*),
    void (*cb)(struct evrpc_status*, void*, void*, void*), void *cbarg);

/**
 * Makes a prepared call: at once when a connection of its pool is free, or when it is its turn.
 *
 * Returns 0. The callback may have run by then.
 */
EVENT2_EXPORT_SYMBOL
int evrpc_make_request(struct evrpc_request_wrapper *ctx);

/**
 * Makes a call; use EVRPC_MAKE_REQUEST().
 *
 * `cb(status, request, reply, cb_arg)` is called when it ends, which may be before this returns.
 * The messages stay the caller's, and have to live until then.
 *
 * Returns 0; or -1 when memory is short, after calling `cb` with EVRPC_STATUS_ERR_UNSTARTED.
 */
EVENT2_EXPORT_SYMBOL
int evrpc_send_request_generic(struct evrpc_pool *pool, void *request, void *reply,
    void (*cb)(struct evrpc_status*, void*, void*, void*), void *cb_arg, const char *rpcname,
    void (*req_marshal)(struct evbuffer*, void*), void (*rpl_clear)(void*),
    int (*rpl_unmarshal)(void*, struct evbuffer*));

/** The pool of a prepared call. */
EVENT2_EXPORT_SYMBOL
struct evrpc_pool *evrpc_request_get_pool(struct evrpc_request_wrapper *ctx);

/** Chooses another pool for a prepared call. */
EVENT2_EXPORT_SYMBOL
void evrpc_request_set_pool(struct evrpc_request_wrapper *ctx, struct evrpc_pool *pool);

/** Chooses another callback for a prepared call. */
EVENT2_EXPORT_SYMBOL
void evrpc_request_set_cb(struct evrpc_request_wrapper *ctx,
    void (*cb)(struct evrpc_status*, void*, void*, void*), void *cb_arg);

/**
 * Has a function look at every call that comes in to, or goes out from, a server or a pool.
 *
 * `vbase` is a `struct evrpc_base` or a `struct evrpc_pool`. `cb(ctx, http_req, buffer, cb_arg)`
 * may change the bytes of the message in `buffer`, and says with a number of
 * `enum EVRPC_HOOK_RESULT` what becomes of the call. The first that does not let it go on is the
 * last that sees it. `ctx` is the same for all hooks of a call, and at a server also for its
 * handler.
 *
 * Returns a handle for evrpc_remove_hook(), or NULL when memory is short.
 */
EVENT2_EXPORT_SYMBOL
void *evrpc_add_hook(void *vbase, enum EVRPC_HOOK_TYPE hook_type,
    int (*cb)(void*, struct evhttp_request*, struct evbuffer*, void*), void *cb_arg);

/**
 * Takes a function out that evrpc_add_hook() put in. Any hook may do this, for itself too.
 *
 * Returns 1, or 0 when it is not there.
 */
EVENT2_EXPORT_SYMBOL
int evrpc_remove_hook(void *vbase, enum EVRPC_HOOK_TYPE hook_type, void *handle);

/**
 * Goes on with a call that a hook of `vbase` paused, or ends it if `res` is EVRPC_TERMINATE.
 *
 * `ctx` is what the hook got. Callbacks may run before this returns.
 *
 * Returns 0, or -1 when no such call is paused.
 */
EVENT2_EXPORT_SYMBOL
int evrpc_resume_request(void *vbase, void *ctx, enum EVRPC_HOOK_RESULT res);

/**
 * Finds what evrpc_hook_add_meta() has remembered first with a key.
 *
 * Stores where it is, until the call ends, and its size. Returns 0, or -1 when there is nothing.
 */
EVENT2_EXPORT_SYMBOL
int evrpc_hook_find_meta(void *ctx, const char *key, void **data, size_t *data_size);

/** The connection of a call that hooks have seen, or NULL when it is gone. */
EVENT2_EXPORT_SYMBOL
struct evhttp_connection *evrpc_hook_get_connection(void *ctx);

/** Remembers a copy of data with a call, for hooks and the handler, until the call ends. Of data
 * with the same key the first counts. */
EVENT2_EXPORT_SYMBOL
void evrpc_hook_add_meta(void *ctx, const char *key, const void *data, size_t data_size);

#ifdef __cplusplus
}
#endif

#endif
