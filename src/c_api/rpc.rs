//! event2/rpc.h: calls of functions in other processes, over HTTP.

use super::{optional_string, status};
use crate::base::EventBase;
use crate::buffer::Evbuffer;
use crate::hooks::memory;
use crate::http::abi::EvhttpRequest;
use crate::http::connection::{Connection, ConnectionPtr};
use crate::http::server::Server;
use crate::rpc::abi::{Evrpc, EvrpcStatus, HookResultValue, HookTypeValue, Outcome};
use crate::rpc::call::{Call as EvrpcRequestWrapper, CallPtr, Messages};
use crate::rpc::hooks::{Hooked, HookedPtr, Verdict, Way};
use crate::rpc::meta::Context;
use crate::rpc::pool::{Pool as EvrpcPool, PoolPtr};
use crate::rpc::request::{self, Request as EvrpcReqGeneric};
use crate::rpc::server::{Server as EvrpcBase, ServerPtr};
use crate::warning;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

/// Which messages a hook sees.
#[repr(C)]
#[allow(non_camel_case_types)]
pub enum EVRPC_HOOK_TYPE {
    /// Incoming ones: requests on a server, replies on a client.
    EVRPC_INPUT,
    /// Outgoing ones: replies on a server, requests on a client.
    EVRPC_OUTPUT,
}

/// What a hook decides.
#[repr(C)]
#[allow(non_camel_case_types)]
pub enum EVRPC_HOOK_RESULT {
    /// The call fails.
    EVRPC_TERMINATE = -1,
    /// The call continues.
    EVRPC_CONTINUE = 0,
    /// The call waits for evrpc_resume_request().
    EVRPC_PAUSE = 1,
}

/// Adds remote calls to an HTTP server. Several such objects can be added to one HTTP server.
///
/// Returns NULL if memory is short. The caller frees it with evrpc_free(), before the HTTP server.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_init(server: *mut Server) -> *mut EvrpcBase {
    ServerPtr::create(server).map_or(ptr::null_mut(), ServerPtr::as_ptr)
}

/// Removes remote calls, with all registrations and hooks, from an HTTP server, which itself stays.
///
/// Calls that wait for evrpc_resume_request() are answered with an error. Calls that handlers are
/// still working on stay valid, and evrpc_request_done() ends them as usual.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_free(base: *mut EvrpcBase) {
    // SAFETY: the caller guarantees the base.
    if let Some(base) = unsafe { ServerPtr::new(base) } {
        base.free();
    }
}

/// Registers the handler for a call; use EVRPC_REGISTER().
///
/// `name` is copied. `callback(call, cbarg)` is called for each call. Before that, `req_unmarshal`
/// reads the request into a message made with `req_new(req_new_arg)`, and `rpl_new(rpl_new_arg)`
/// makes the message for the reply.
///
/// Returns 0, or -1 if memory is short or the name is already registered.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_register_generic(
    base: *mut EvrpcBase,
    name: *const c_char,
    callback: Option<unsafe extern "C-unwind" fn(*mut EvrpcReqGeneric, *mut c_void)>,
    cbarg: *mut c_void,
    req_new: Option<unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void>,
    req_new_arg: *mut c_void,
    req_free: Option<unsafe extern "C-unwind" fn(*mut c_void)>,
    req_unmarshal: Option<unsafe extern "C-unwind" fn(*mut c_void, *mut Evbuffer) -> c_int>,
    rpl_new: Option<unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void>,
    rpl_new_arg: *mut c_void,
    rpl_free: Option<unsafe extern "C-unwind" fn(*mut c_void)>,
    rpl_complete: Option<unsafe extern "C-unwind" fn(*mut c_void) -> c_int>,
    rpl_marshal: Option<unsafe extern "C-unwind" fn(*mut Evbuffer, *mut c_void)>,
) -> c_int {
    // SAFETY: the caller guarantees the name.
    let uri = unsafe { memory::strdup(name) };
    let rpc = memory::malloc(size_of::<Evrpc>()).cast::<Evrpc>();
    let mut result = -1;
    // SAFETY: the blocks are new; the caller guarantees the rest.
    unsafe {
        if !uri.is_null() && !rpc.is_null() {
            ptr::write_bytes(rpc, 0, 1);
            (*rpc).uri = uri;
            (*rpc).request_new = req_new;
            (*rpc).request_new_arg = req_new_arg;
            (*rpc).request_free = req_free;
            (*rpc).request_unmarshal = req_unmarshal;
            (*rpc).reply_new = rpl_new;
            (*rpc).reply_new_arg = rpl_new_arg;
            (*rpc).reply_free = rpl_free;
            (*rpc).reply_complete = rpl_complete;
            (*rpc).reply_marshal = rpl_marshal;
            result = evrpc_register_rpc(base, rpc, callback, cbarg);
        }
        if result == -1 {
            memory::free(uri.cast());
            memory::free(rpc.cast());
        }
        result
    }
}

/// Registers the handler for the call named `rpc->uri`; use EVRPC_REGISTER().
///
/// All members of `rpc` except the last three must be filled in. `rpc` and its name must have been
/// allocated with the library's allocator, and belong to the library from then on.
///
/// Returns 0, or -1 if memory is short or the name is already registered; both blocks then remain
/// the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_register_rpc(
    base: *mut EvrpcBase,
    rpc: *mut Evrpc,
    callback: Option<unsafe extern "C-unwind" fn(*mut EvrpcReqGeneric, *mut c_void)>,
    cbarg: *mut c_void,
) -> c_int {
    // SAFETY: the caller guarantees all of them.
    unsafe {
        let Some(base) = ServerPtr::new(base) else {
            return -1;
        };
        (*rpc).cb = callback;
        (*rpc).cb_arg = cbarg;
        status(base.register(rpc))
    }
}

/// Removes the handler for a call. Calls that it is working on are not affected.
///
/// Returns 0, or -1 if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_unregister_rpc(
    base: *mut EvrpcBase,
    name: *const c_char,
) -> c_int {
    // SAFETY: the caller guarantees both.
    unsafe {
        let (Some(base), Some(name)) = (ServerPtr::new(base), optional_string(name)) else {
            return -1;
        };
        if base.unregister(name.to_bytes()) {
            0
        } else {
            -1
        }
    }
}

/// Sends the reply of a call; use EVRPC_REQUEST_DONE().
///
/// Every call must end with this, in its handler or later. If the reply is incomplete, an error is
/// sent. The call and its messages are freed, even if the client has disconnected.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_request_done(req: *mut EvrpcReqGeneric) {
    // SAFETY: the caller guarantees the call.
    unsafe { request::done(req) };
}

/// The request message of a call.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_get_request(req: *mut EvrpcReqGeneric) -> *mut c_void {
    // SAFETY: the caller guarantees the call.
    unsafe { (*req).request.get() }
}

/// The reply message of a call.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_get_reply(req: *mut EvrpcReqGeneric) -> *mut c_void {
    // SAFETY: the caller guarantees the call.
    unsafe { (*req).reply.get() }
}

/// Makes a pool of client connections.
///
/// The connections and the timeouts of calls run on `base`. If it is NULL, they run on the base
/// that each connection has, or on the current one. Returns NULL if memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_pool_new(base: *mut EventBase) -> *mut EvrpcPool {
    PoolPtr::create(base).map_or(ptr::null_mut(), PoolPtr::as_ptr)
}

/// Frees a pool and its connections. Calls under way end without their callbacks; their messages
/// remain the caller's.
///
/// May be called from the callback of a call.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_pool_free(pool: *mut EvrpcPool) {
    // SAFETY: the caller guarantees the pool.
    if let Some(pool) = unsafe { PoolPtr::new(pool) } {
        pool.free();
    }
}

/// Adds a client's connection to a pool, which then owns it. Waiting calls start on it.
///
/// It must not have another base than the pool. It gets the timeout of the pool unless it has one
/// of its own.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_pool_add_connection(
    pool: *mut EvrpcPool,
    evcon: *mut Connection,
) {
    // SAFETY: the caller guarantees both.
    if let (Some(pool), Some(evcon)) = unsafe { (PoolPtr::new(pool), ConnectionPtr::new(evcon)) } {
        pool.add(evcon);
    }
}

/// Removes a connection from a pool; the caller owns it again. A call that is running on it
/// continues.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_pool_remove_connection(
    pool: *mut EvrpcPool,
    evcon: *mut Connection,
) {
    // SAFETY: the caller guarantees the pool.
    if let Some(pool) = unsafe { PoolPtr::new(pool) } {
        pool.remove(evcon);
    }
}

/// Sets how many seconds a call may take after it was sent, and the timeout of the connections.
///
/// 0 means no timeout; -1, the default, leaves only the timeouts of the HTTP connections.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_pool_set_timeout(
    pool: *mut EvrpcPool,
    timeout_in_secs: c_int,
) {
    // SAFETY: the caller guarantees the pool.
    if let Some(pool) = unsafe { PoolPtr::new(pool) } {
        pool.set_timeout(timeout_in_secs);
    }
}

/// Prepares a call; use EVRPC_MAKE_CTX().
///
/// The messages remain the caller's and must stay valid until `cb` is called. The request is
/// serialised when the call is sent. `rpl_clear` clears the reply if the call fails.
///
/// Returns a value for evrpc_make_request(), or NULL if memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_make_request_ctx(
    pool: *mut EvrpcPool,
    request: *mut c_void,
    reply: *mut c_void,
    rpcname: *const c_char,
    req_marshal: Option<unsafe extern "C-unwind" fn(*mut Evbuffer, *mut c_void)>,
    rpl_clear: Option<unsafe extern "C-unwind" fn(*mut c_void)>,
    rpl_unmarshal: Option<unsafe extern "C-unwind" fn(*mut c_void, *mut Evbuffer) -> c_int>,
    cb: Option<
        unsafe extern "C-unwind" fn(*mut EvrpcStatus, *mut c_void, *mut c_void, *mut c_void),
    >,
    cbarg: *mut c_void,
) -> *mut EvrpcRequestWrapper {
    let messages = Messages {
        request,
        reply,
        marshal: req_marshal,
        clear: rpl_clear,
        unmarshal: rpl_unmarshal,
    };
    // SAFETY: the caller guarantees the name.
    let name = unsafe { CStr::from_ptr(rpcname) };
    let call = CallPtr::create(pool, name, messages, cb, cbarg);
    call.map_or(ptr::null_mut(), CallPtr::as_ptr)
}

/// Starts a prepared call: at once if a connection of its pool is free, otherwise when its turn
/// comes.
///
/// Returns 0. The callback may already have run by then.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_make_request(ctx: *mut EvrpcRequestWrapper) -> c_int {
    // SAFETY: the caller guarantees the call and its pool.
    unsafe {
        let call = CallPtr::new(ctx);
        let pool = call.and_then(|call| PoolPtr::new(call.pool()));
        let (Some(call), Some(pool)) = (call, pool) else {
            return -1;
        };
        pool.queue(call);
    }
    0
}

/// Makes a call; use EVRPC_MAKE_REQUEST().
///
/// `cb(status, request, reply, cb_arg)` is called when the call ends, possibly before this returns.
/// The messages remain the caller's and must stay valid until then.
///
/// Returns 0; or -1 if memory is short, after calling `cb` with EVRPC_STATUS_ERR_UNSTARTED.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_send_request_generic(
    pool: *mut EvrpcPool,
    request: *mut c_void,
    reply: *mut c_void,
    cb: Option<
        unsafe extern "C-unwind" fn(*mut EvrpcStatus, *mut c_void, *mut c_void, *mut c_void),
    >,
    cb_arg: *mut c_void,
    rpcname: *const c_char,
    req_marshal: Option<unsafe extern "C-unwind" fn(*mut Evbuffer, *mut c_void)>,
    rpl_clear: Option<unsafe extern "C-unwind" fn(*mut c_void)>,
    rpl_unmarshal: Option<unsafe extern "C-unwind" fn(*mut c_void, *mut Evbuffer) -> c_int>,
) -> c_int {
    // SAFETY: the caller guarantees all of them.
    unsafe {
        let call = evrpc_make_request_ctx(
            pool,
            request,
            reply,
            rpcname,
            req_marshal,
            rpl_clear,
            rpl_unmarshal,
            cb,
            cb_arg,
        );
        if !call.is_null() {
            return evrpc_make_request(call);
        }
        let mut unstarted = EvrpcStatus {
            error: Outcome::Unstarted as c_int,
            http_req: ptr::null_mut(),
        };
        if let Some(cb) = cb {
            cb(&raw mut unstarted, request, reply, cb_arg);
        }
        -1
    }
}

/// The pool of a prepared call.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_request_get_pool(
    ctx: *mut EvrpcRequestWrapper,
) -> *mut EvrpcPool {
    // SAFETY: the caller guarantees the call.
    unsafe { CallPtr::new(ctx) }.map_or(ptr::null_mut(), CallPtr::pool)
}

/// Changes the pool of a prepared call.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_request_set_pool(
    ctx: *mut EvrpcRequestWrapper,
    pool: *mut EvrpcPool,
) {
    // SAFETY: the caller guarantees the call.
    if let Some(call) = unsafe { CallPtr::new(ctx) } {
        call.set_pool(pool);
    }
}

/// Changes the callback of a prepared call.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_request_set_cb(
    ctx: *mut EvrpcRequestWrapper,
    cb: Option<
        unsafe extern "C-unwind" fn(*mut EvrpcStatus, *mut c_void, *mut c_void, *mut c_void),
    >,
    cb_arg: *mut c_void,
) {
    // SAFETY: the caller guarantees the call.
    if let Some(call) = unsafe { CallPtr::new(ctx) } {
        call.set_callback(cb, cb_arg);
    }
}

/// Adds a hook: a function that sees every incoming or outgoing message of a server or a pool.
///
/// `vbase` is a `struct evrpc_base` or a `struct evrpc_pool`. `cb(ctx, http_req, buffer, cb_arg)`
/// may change the bytes of the message in `buffer`, and returns one of `enum EVRPC_HOOK_RESULT`.
/// Unless it returns EVRPC_CONTINUE, later hooks do not see the message. `ctx` is the same for all
/// hooks of a call, and on a server also for its handler.
///
/// Returns a handle for evrpc_remove_hook(), or NULL if memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_add_hook(
    vbase: *mut c_void,
    hook_type: HookTypeValue,
    cb: Option<
        unsafe extern "C-unwind" fn(
            *mut c_void,
            *mut EvhttpRequest,
            *mut Evbuffer,
            *mut c_void,
        ) -> c_int,
    >,
    cb_arg: *mut c_void,
) -> *mut c_void {
    // SAFETY: the caller guarantees the base or the pool, which begin alike.
    let hooked = unsafe { HookedPtr::new(vbase.cast::<Hooked>()) };
    let (Some(hooked), Some(way), Some(cb)) = (hooked, Way::from_number(hook_type), cb) else {
        return ptr::null_mut();
    };
    let hook = hooked.add_hook(way, cb, cb_arg);
    hook.map_or(ptr::null_mut(), |hook| hook.cast())
}

/// Removes a hook. A hook may remove itself or others while it is running.
///
/// Returns 1, or 0 if it does not exist.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_remove_hook(
    vbase: *mut c_void,
    hook_type: HookTypeValue,
    handle: *mut c_void,
) -> c_int {
    // SAFETY: the caller guarantees the base or the pool, which begin alike.
    let hooked = unsafe { HookedPtr::new(vbase.cast::<Hooked>()) };
    match (hooked, Way::from_number(hook_type)) {
        (Some(hooked), Some(way)) => hooked.remove_hook(way, handle).into(),
        _ => 0,
    }
}

/// Continues a call that a hook of `vbase` paused, or ends it if `res` is EVRPC_TERMINATE.
///
/// `ctx` is the one that the hook got. Callbacks may run before this returns.
///
/// Returns 0, or -1 if no such call is paused.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_resume_request(
    vbase: *mut c_void,
    ctx: *mut c_void,
    res: HookResultValue,
) -> c_int {
    let verdict = match res {
        -1 => Verdict::Terminate,
        _ => Verdict::Continue,
    };
    // SAFETY: the caller guarantees the base or the pool, which begin alike.
    let hooked = unsafe { HookedPtr::new(vbase.cast::<Hooked>()) };
    match hooked {
        Some(hooked) if hooked.resume(ctx, verdict) => 0,
        _ => -1,
    }
}

/// Stores a copy of data with a call, for its hooks and its handler, until the call ends. If the
/// key is already in use, the earlier data is the one that is found.
/// cbindgen:ignore
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_hook_add_meta(
    ctx: *mut c_void,
    key: *const c_char,
    data: *const c_void,
    data_size: usize,
) -> c_int {
    // SAFETY: the caller guarantees all of them; every call begins with its context.
    let added = unsafe {
        let key = CStr::from_ptr(key).to_bytes();
        (*ctx.cast::<Context>()).add(key, data.cast(), data_size)
    };
    if added.is_err() {
        warning!("evrpc_hook_add_meta: out of memory");
    }
    status(added)
}

/// Finds data that evrpc_hook_add_meta() stored with a call; if there are several with the same
/// key, the first.
///
/// Stores its address, which is valid until the call ends, and its size. Returns 0, or -1 if there
/// is none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_hook_find_meta(
    ctx: *mut c_void,
    key: *const c_char,
    data: *mut *mut c_void,
    data_size: *mut usize,
) -> c_int {
    // SAFETY: the caller guarantees all of them; every call begins with its context.
    unsafe {
        let key = CStr::from_ptr(key).to_bytes();
        let Some((found, size)) = (*ctx.cast::<Context>()).find(key) else {
            return -1;
        };
        data.write(found.cast());
        data_size.write(size);
    }
    0
}

/// The connection of a call that a hook sees, or NULL if it is gone.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_hook_get_connection(ctx: *mut c_void) -> *mut Connection {
    // SAFETY: the caller guarantees the call, which begins with its context.
    unsafe { (*ctx.cast::<Context>()).connection() }
}
