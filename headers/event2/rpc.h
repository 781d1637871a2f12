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

/* generated from src/c_api/rpc.rs */

/** Remembers a copy of data with a call, for hooks and the handler, until the call ends. Of data
 * with the same key the first counts. */
EVENT2_EXPORT_SYMBOL
void evrpc_hook_add_meta(void *ctx, const char *key, const void *data, size_t data_size);

#ifdef __cplusplus
}
#endif

#endif
