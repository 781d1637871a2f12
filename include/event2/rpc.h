/* event2/rpc.h: remote procedure calls over HTTP.
 *
 * A call sends a message and gets one back. Messages are structures that event_rpcgen.py(1)
 * generates from definitions, together with functions that serialise and parse them.
 *
 * Both sides declare once, in a header, a call Echo that takes a `struct question` and returns a
 * `struct answer`:
 *
 *     EVRPC_HEADER(Echo, question, answer)
 *
 * and the client has EVRPC_GENERATE(Echo, question, answer) in one of its C files.
 *
 * A server registers a handler with EVRPC_REGISTER(). The handler reads `rpc->request`, fills in
 * `rpc->reply`, and calls EVRPC_REQUEST_DONE(), at once or later. A client makes a pool of
 * connections with evrpc_pool_new() and calls EVRPC_MAKE_REQUEST(); a callback gets the reply.
 *
 * On the wire, a call is an HTTP request POST /.rpc.Echo with the serialised message as its body.
 * Any error on the server is answered with 503.
 *
 * Threads: there are no locks. Use a server or a pool only in the thread that runs its loop.
 */
#ifndef EVENT2_RPC_H_INCLUDED_
#define EVENT2_RPC_H_INCLUDED_

#include <event2/util.h>
#include <event2/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Access to the entries of a message. `msg` points to the message, `member` is the name of an
 * entry. */

/** Whether an entry is set. */
#define EVTAG_HAS(msg, member) ((msg)->member##_set == 1)

#ifndef EVENT2_RPC_COMPAT_H_INCLUDED_
/** Sets an entry to a copy of a value. Returns 0, or -1 when memory is short. */
#define EVTAG_ASSIGN(msg, member, value) (*(msg)->base->member##_assign)((msg), (value))
/** The same for a byte array of variable length. */
#define EVTAG_ASSIGN_WITH_LEN(msg, member, value, len) \
    (*(msg)->base->member##_assign)((msg), (value), (len))
/** Stores the value of an entry in `*pvalue`; it belongs to the message. Returns 0, or -1 if the
 * entry is not set. An entry that is a structure is made if it is not set. */
#define EVTAG_GET(msg, member, pvalue) (*(msg)->base->member##_get)((msg), (pvalue))
/** The same for a byte array of variable length. */
#define EVTAG_GET_WITH_LEN(msg, member, pvalue, plen) \
    (*(msg)->base->member##_get)((msg), (pvalue), (plen))
#endif

/** Appends a copy of a value to an array. Returns a pointer to it, valid until the next one is
 * added, or NULL if memory is short. */
#define EVTAG_ARRAY_ADD_VALUE(msg, member, value) (*(msg)->base->member##_add)((msg), (value))
/** Appends an empty structure to an array of structures. Returns it, or NULL if memory is short.
 * */
#define EVTAG_ARRAY_ADD(msg, member) (*(msg)->base->member##_add)(msg)
/** Stores an element of an array in `*pvalue`. Returns 0, or -1 if there is no such element. */
#define EVTAG_ARRAY_GET(msg, member, offset, pvalue) \
    (*(msg)->base->member##_get)((msg), (offset), (pvalue))
/** The number of elements of an array. */
#define EVTAG_ARRAY_LEN(msg, member) ((msg)->member##_length)

struct evbuffer;
struct event_base;
struct evhttp;
struct evhttp_connection;
struct evhttp_request;
/** The registered handler of a call. */
struct evrpc;
/** All calls that a server handles. */
struct evrpc_base;
struct evrpc_hook_meta;
/** The connections of a client. */
struct evrpc_pool;
/** A call on the server; EVRPC_STRUCT() is its typed form. */
struct evrpc_req_generic;
/** A call on the client. */
struct evrpc_request_wrapper;
/** How a call ended. */
struct evrpc_status;

/** The structure of a call on the server, with the members `request`, `reply` and `http_req`. */
#define EVRPC_STRUCT(rpcname) struct evrpc_req__##rpcname

/** Declares a call, once per source file: its EVRPC_STRUCT(), and the function that
 * EVRPC_GENERATE() defines. */
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

/** Registers the handler of a call: `callback(EVRPC_STRUCT(name) *rpc, void *cbarg)`. Returns 0
 * or -1; see evrpc_register_generic(). */
#define EVRPC_REGISTER(base, name, request, reply, callback, cbarg) \
    evrpc_register_generic(base, #name, \
        (void (*)(struct evrpc_req_generic *, void *))callback, cbarg, \
        (void *(*)(void *))request##_new_with_arg, NULL, (void (*)(void *))request##_free, \
        (int (*)(void *, struct evbuffer *))request##_unmarshal, \
        (void *(*)(void *))reply##_new_with_arg, NULL, (void (*)(void *))reply##_free, \
        (int (*)(void *))reply##_complete, (void (*)(struct evbuffer *, void *))reply##_marshal)

/** Removes the handler of a call. Returns 0, or -1 if there is none. */
#define EVRPC_UNREGISTER(base, name) evrpc_unregister_rpc((base), #name)

/** The HTTP request of a call on the server. */
#define EVRPC_REQUEST_HTTP(rpc_req) (rpc_req)->http_req

/** Sends the reply, and frees the call with its request and reply. */
#define EVRPC_REQUEST_DONE(rpc_req) do { \
        struct evrpc_req_generic *req_ = (struct evrpc_req_generic *)(rpc_req); \
        evrpc_request_done(req_); \
    } while (0)

/** Makes a call: see evrpc_send_request_generic(). `cb(status, request, reply, cbarg)` is called
 * when it ends, possibly before this returns. */
#define EVRPC_MAKE_REQUEST(name, pool, request, reply, cb, cbarg) \
    evrpc_send_request_##name((pool), (request), (reply), (cb), (cbarg))

/** Prepares a call for evrpc_make_request(). Returns NULL if memory is short. */
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

/** Which messages a hook sees. */
enum EVRPC_HOOK_TYPE {
    /** Incoming ones: requests on a server, replies on a client. */
    EVRPC_INPUT,
    /** Outgoing ones: replies on a server, requests on a client. */
    EVRPC_OUTPUT
};

/** What a hook decides. */
enum EVRPC_HOOK_RESULT {
    /** The call fails. */
    EVRPC_TERMINATE = -1,
    /** The call continues. */
    EVRPC_CONTINUE = 0,
    /** The call waits for evrpc_resume_request(). */
    EVRPC_PAUSE = 1
};

/**
 * Adds remote calls to an HTTP server. Several such objects can be added to one HTTP server.
 *
 * Returns NULL if memory is short. The caller frees it with evrpc_free(), before the HTTP server.
 */
EVENT2_EXPORT_SYMBOL
struct evrpc_base *evrpc_init(struct evhttp *server);

/**
 * Removes remote calls, with all registrations and hooks, from an HTTP server, which itself stays.
 *
 * Calls that wait for evrpc_resume_request() are answered with an error. Calls that handlers are
 * still working on stay valid, and evrpc_request_done() ends them as usual.
 */
EVENT2_EXPORT_SYMBOL
void evrpc_free(struct evrpc_base *base);

/**
 * Registers the handler for a call; use EVRPC_REGISTER().
 *
 * `name` is copied. `callback(call, cbarg)` is called for each call. Before that, `req_unmarshal`
 * reads the request into a message made with `req_new(req_new_arg)`, and `rpl_new(rpl_new_arg)`
 * makes the message for the reply.
 *
 * Returns 0, or -1 if memory is short or the name is already registered.
 */
EVENT2_EXPORT_SYMBOL
int evrpc_register_generic(struct evrpc_base *base, const char *name,
    void (*callback)(struct evrpc_req_generic*, void*), void *cbarg, void *(*req_new)(void*),
    void *req_new_arg, void (*req_free)(void*), int (*req_unmarshal)(void*, struct evbuffer*),
    void *(*rpl_new)(void*), void *rpl_new_arg, void (*rpl_free)(void*),
    int (*rpl_complete)(void*), void (*rpl_marshal)(struct evbuffer*, void*));

/**
 * Registers the handler for the call named `rpc->uri`; use EVRPC_REGISTER().
 *
 * All members of `rpc` except the last three must be filled in. `rpc` and its name must have been
 * allocated with the library's allocator, and belong to the library from then on.
 *
 * Returns 0, or -1 if memory is short or the name is already registered; both blocks then remain
 * the caller's.
 */
EVENT2_EXPORT_SYMBOL
int evrpc_register_rpc(struct evrpc_base *base, struct evrpc *rpc,
    void (*callback)(struct evrpc_req_generic*, void*), void *cbarg);

/**
 * Removes the handler for a call. Calls that it is working on are not affected.
 *
 * Returns 0, or -1 if there is none.
 */
EVENT2_EXPORT_SYMBOL
int evrpc_unregister_rpc(struct evrpc_base *base, const char *name);

/**
 * Sends the reply of a call; use EVRPC_REQUEST_DONE().
 *
 * Every call must end with this, in its handler or later. If the reply is incomplete, an error is
 * sent. The call and its messages are freed, even if the client has disconnected.
 */
EVENT2_EXPORT_SYMBOL
void evrpc_request_done(struct evrpc_req_generic *req);

/** The request message of a call. */
EVENT2_EXPORT_SYMBOL
void *evrpc_get_request(struct evrpc_req_generic *req);

/** The reply message of a call. */
EVENT2_EXPORT_SYMBOL
void *evrpc_get_reply(struct evrpc_req_generic *req);

/**
 * Makes a pool of client connections.
 *
 * The connections and the timeouts of calls run on `base`. If it is NULL, they run on the base
 * that each connection has, or on the current one. Returns NULL if memory is short.
 */
EVENT2_EXPORT_SYMBOL
struct evrpc_pool *evrpc_pool_new(struct event_base *base);

/**
 * Frees a pool and its connections. Calls under way end without their callbacks; their messages
 * remain the caller's.
 *
 * May be called from the callback of a call.
 */
EVENT2_EXPORT_SYMBOL
void evrpc_pool_free(struct evrpc_pool *pool);

/**
 * Adds a client's connection to a pool, which then owns it. Waiting calls start on it.
 *
 * It must not have another base than the pool. It gets the timeout of the pool unless it has one
 * of its own.
 */
EVENT2_EXPORT_SYMBOL
void evrpc_pool_add_connection(struct evrpc_pool *pool, struct evhttp_connection *evcon);

/**
 * Removes a connection from a pool; the caller owns it again. A call that is running on it
 * continues.
 */
EVENT2_EXPORT_SYMBOL
void evrpc_pool_remove_connection(struct evrpc_pool *pool, struct evhttp_connection *evcon);

/**
 * Sets how many seconds a call may take after it was sent, and the timeout of the connections.
 *
 * 0 means no timeout; -1, the default, leaves only the timeouts of the HTTP connections.
 */
EVENT2_EXPORT_SYMBOL
void evrpc_pool_set_timeout(struct evrpc_pool *pool, int timeout_in_secs);

/**
 * Prepares a call; use EVRPC_MAKE_CTX().
 *
 * The messages remain the caller's and must stay valid until `cb` is called. The request is
 * serialised when the call is sent. `rpl_clear` clears the reply if the call fails.
 *
 * Returns a value for evrpc_make_request(), or NULL if memory is short.
 */
EVENT2_EXPORT_SYMBOL
struct evrpc_request_wrapper *evrpc_make_request_ctx(struct evrpc_pool *pool, void *request,
    void *reply, const char *rpcname, void (*req_marshal)(struct evbuffer*, void*),
    void (*rpl_clear)(void*), int (*rpl_unmarshal)(void*, struct evbuffer*),
    void (*cb)(struct evrpc_status*, void*, void*, void*), void *cbarg);

/**
 * Starts a prepared call: at once if a connection of its pool is free, otherwise when its turn
 * comes.
 *
 * Returns 0. The callback may already have run by then.
 */
EVENT2_EXPORT_SYMBOL
int evrpc_make_request(struct evrpc_request_wrapper *ctx);

/**
 * Makes a call; use EVRPC_MAKE_REQUEST().
 *
 * `cb(status, request, reply, cb_arg)` is called when the call ends, possibly before this returns.
 * The messages remain the caller's and must stay valid until then.
 *
 * Returns 0; or -1 if memory is short, after calling `cb` with EVRPC_STATUS_ERR_UNSTARTED.
 */
EVENT2_EXPORT_SYMBOL
int evrpc_send_request_generic(struct evrpc_pool *pool, void *request, void *reply,
    void (*cb)(struct evrpc_status*, void*, void*, void*), void *cb_arg, const char *rpcname,
    void (*req_marshal)(struct evbuffer*, void*), void (*rpl_clear)(void*),
    int (*rpl_unmarshal)(void*, struct evbuffer*));

/** The pool of a prepared call. */
EVENT2_EXPORT_SYMBOL
struct evrpc_pool *evrpc_request_get_pool(struct evrpc_request_wrapper *ctx);

/** Changes the pool of a prepared call. */
EVENT2_EXPORT_SYMBOL
void evrpc_request_set_pool(struct evrpc_request_wrapper *ctx, struct evrpc_pool *pool);

/** Changes the callback of a prepared call. */
EVENT2_EXPORT_SYMBOL
void evrpc_request_set_cb(struct evrpc_request_wrapper *ctx,
    void (*cb)(struct evrpc_status*, void*, void*, void*), void *cb_arg);

/**
 * Adds a hook: a function that sees every incoming or outgoing message of a server or a pool.
 *
 * `vbase` is a `struct evrpc_base` or a `struct evrpc_pool`. `cb(ctx, http_req, buffer, cb_arg)`
 * may change the bytes of the message in `buffer`, and returns one of `enum EVRPC_HOOK_RESULT`.
 * Unless it returns EVRPC_CONTINUE, later hooks do not see the message. `ctx` is the same for all
 * hooks of a call, and on a server also for its handler.
 *
 * Returns a handle for evrpc_remove_hook(), or NULL if memory is short.
 */
EVENT2_EXPORT_SYMBOL
void *evrpc_add_hook(void *vbase, enum EVRPC_HOOK_TYPE hook_type,
    int (*cb)(void*, struct evhttp_request*, struct evbuffer*, void*), void *cb_arg);

/**
 * Removes a hook. A hook may remove itself or others while it is running.
 *
 * Returns 1, or 0 if it does not exist.
 */
EVENT2_EXPORT_SYMBOL
int evrpc_remove_hook(void *vbase, enum EVRPC_HOOK_TYPE hook_type, void *handle);

/**
 * Continues a call that a hook of `vbase` paused, or ends it if `res` is EVRPC_TERMINATE.
 *
 * `ctx` is the one that the hook got. Callbacks may run before this returns.
 *
 * Returns 0, or -1 if no such call is paused.
 */
EVENT2_EXPORT_SYMBOL
int evrpc_resume_request(void *vbase, void *ctx, enum EVRPC_HOOK_RESULT res);

/**
 * Finds data that evrpc_hook_add_meta() stored with a call; if there are several with the same
 * key, the first.
 *
 * Stores its address, which is valid until the call ends, and its size. Returns 0, or -1 if there
 * is none.
 */
EVENT2_EXPORT_SYMBOL
int evrpc_hook_find_meta(void *ctx, const char *key, void **data, size_t *data_size);

/** The connection of a call that a hook sees, or NULL if it is gone. */
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
