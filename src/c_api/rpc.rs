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

/// Which way a message goes.
#[repr(C)]
#[allow(non_camel_case_types)]
pub enum EVRPC_HOOK_TYPE {
    /// To this side: requests at a server, replies at a client.
    EVRPC_INPUT,
    /// From this side.
    EVRPC_OUTPUT,
}

/// What a hook decides.
#[repr(C)]
#[allow(non_camel_case_types)]
pub enum EVRPC_HOOK_RESULT {
    /// The call ends here.
    EVRPC_TERMINATE = -1,
    /// The call goes on.
    EVRPC_CONTINUE = 0,
    /// The call waits until evrpc_resume_request().
    EVRPC_PAUSE = 1,
}

/// Begins the server's side of calls on an HTTP server.
///
/// Returns NULL when memory is short. Free it before the HTTP server. Several can stand on one
/// HTTP server.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_init(server: *mut Server) -> *mut EvrpcBase {
    ServerPtr::create(server).map_or(ptr::null_mut(), ServerPtr::as_ptr)
}

/// Ends the server's side of calls, all registrations and hooks. The HTTP server stays.
///
/// Calls that wait for evrpc_resume_request() are answered with an error. Those that handlers have
/// stay theirs, and evrpc_request_done() ends them as always.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_free(base: *mut EvrpcBase) {
    // SAFETY: the caller guarantees the base.
    if let Some(base) = unsafe { ServerPtr::new(base) } {
        base.free();
    }
}

/// Registers what handles the calls of one name; use EVRPC_REGISTER().
///
/// `name` is copied. `callback(call, cbarg)` gets each call, of which `req_unmarshal` has read the
/// request into a message that `req_new(req_new_arg)` made, and `rpl_new(rpl_new_arg)` the message
/// for the reply.
///
/// Returns 0, or -1 when memory is short or there is something for that name already.
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
    // SAFETY: the blocks are new, and free what is not used; the caller guarantees the rest.
    unsafe {
        if uri.is_null() || rpc.is_null() {
            memory::free(uri.cast());
            memory::free(rpc.cast());
            return -1;
        }
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
        let result = evrpc_register_rpc(base, rpc, callback, cbarg);
        if result == -1 {
            memory::free(uri.cast());
            memory::free(rpc.cast());
        }
        result
    }
}

/// Registers what handles the calls of the name `rpc->uri`; use EVRPC_REGISTER().
///
/// `rpc` is filled but for its last three members. It and its name have to be blocks of the
/// library's allocator, and belong to the library then.
///
/// Returns 0, or -1 when memory is short or there is something for that name already; both blocks
/// are then still the caller's.
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

/// Ends what handles the calls of one name. Calls that it has stay its own until they are done.
///
/// Returns 0, or -1 when there is none.
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
/// Every call has to end with this, in its handler or later. Something missing in the reply makes
/// it an error. The call and its messages are gone afterwards, also when the client has left.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_request_done(req: *mut EvrpcReqGeneric) {
    // SAFETY: the caller guarantees the call.
    unsafe { request::done(req) };
}

/// The message that came with a call.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_get_request(req: *mut EvrpcReqGeneric) -> *mut c_void {
    // SAFETY: the caller guarantees the call.
    unsafe { (*req).request.get() }
}

/// The message that is to be sent back.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_get_reply(req: *mut EvrpcReqGeneric) -> *mut c_void {
    // SAFETY: the caller guarantees the call.
    unsafe { (*req).reply.get() }
}

/// Makes a pool of connections.
///
/// `base` runs the connections and the timeouts of calls. With NULL they have the bases that the
/// connections bring, or the current one. Returns NULL when memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_pool_new(base: *mut EventBase) -> *mut EvrpcPool {
    PoolPtr::create(base).map_or(ptr::null_mut(), PoolPtr::as_ptr)
}

/// Frees a pool and its connections. Calls end without a word; their messages are the caller's.
///
/// Callbacks of its calls may do this.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_pool_free(pool: *mut EvrpcPool) {
    // SAFETY: the caller guarantees the pool.
    if let Some(pool) = unsafe { PoolPtr::new(pool) } {
        pool.free();
    }
}

/// Gives a connection of a client to a pool, which owns it then. Calls that wait begin on it.
///
/// It must not have another base than the pool. The timeout of the pool becomes its own unless it
/// has one.
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

/// Takes a connection out of a pool; it is the caller's again. A call that runs on it goes on.
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

/// Sets how many seconds a call may take from when it is sent, and the timeout of the connections.
///
/// 0 means for ever; -1, the timeouts of HTTP connections alone, as at first.
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
/// The messages stay the caller's, and have to live until `cb`. The request is turned into bytes
/// when the call is sent. `rpl_clear` empties the reply when the call fails.
///
/// Returns what evrpc_make_request() takes, or NULL when memory is short.
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

/// Makes a prepared call: at once when a connection of its pool is free, or when it is its turn.
///
/// Returns 0. The callback may have run by then.
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
/// `cb(status, request, reply, cb_arg)` is called when it ends, which may be before this returns.
/// The messages stay the caller's, and have to live until then.
///
/// Returns 0; or -1 when memory is short, after calling `cb` with EVRPC_STATUS_ERR_UNSTARTED.
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

/// Chooses another pool for a prepared call.
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

/// Chooses another callback for a prepared call.
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

/// Has a function look at every call that comes in to, or goes out from, a server or a pool.
///
/// `vbase` is a `struct evrpc_base` or a `struct evrpc_pool`. `cb(ctx, http_req, buffer, cb_arg)`
/// may change the bytes of the message in `buffer`, and says with a number of
/// `enum EVRPC_HOOK_RESULT` what becomes of the call. The first that does not let it go on is the
/// last that sees it. `ctx` is the same for all hooks of a call, and at a server also for its
/// handler.
///
/// Returns a handle for evrpc_remove_hook(), or NULL when memory is short.
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

/// Takes a function out that evrpc_add_hook() put in. Any hook may do this, for itself too.
///
/// Returns 1, or 0 when it is not there.
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

/// Goes on with a call that a hook of `vbase` paused, or ends it if `res` is EVRPC_TERMINATE.
///
/// `ctx` is what the hook got. Callbacks may run before this returns.
///
/// Returns 0, or -1 when no such call is paused.
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

/// Remembers a copy of data with a call until it ends.
///
/// Returns 0, or -1 when memory is short. Programs do not see that: the header says `void`, as it
/// did in the 2.1 series.
///
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

/// Finds what evrpc_hook_add_meta() has remembered first with a key.
///
/// Stores where it is, until the call ends, and its size. Returns 0, or -1 when there is nothing.
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

/// The connection of a call that hooks have seen, or NULL when it is gone.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_hook_get_connection(ctx: *mut c_void) -> *mut Connection {
    // SAFETY: the caller guarantees the call, which begins with its context.
    unsafe { (*ctx.cast::<Context>()).connection() }
}
