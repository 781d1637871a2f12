//! Name resolution that may go through the asynchronous resolver of the DNS part.
//!
//! The DNS part is a layer above this one: it tells here how to reach it when its first base is
//! made. Until then, and without a base, names are resolved by the system, blocking.

use super::resolve;
use libc::addrinfo;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Gets the result code, the list, which it must free, and its argument.
pub type ResolveFn = unsafe extern "C-unwind" fn(c_int, *mut addrinfo, *mut c_void);

/// Starts a request on a DNS base (`evdns_getaddrinfo`); null when the callback has run already.
pub type StartFn = unsafe extern "C-unwind" fn(
    *mut c_void,
    *const c_char,
    *const c_char,
    *const addrinfo,
    Option<ResolveFn>,
    *mut c_void,
) -> *mut c_void;

/// Cancels a request (`evdns_getaddrinfo_cancel`).
pub type CancelFn = unsafe extern "C-unwind" fn(*mut c_void);

static START: AtomicUsize = AtomicUsize::new(0);
static CANCEL: AtomicUsize = AtomicUsize::new(0);

/// Registers how to start a request; the first registration stays.
pub fn register_start(start: Option<StartFn>) {
    let address = start.map_or(0, |start| start as usize);
    let _ = START.compare_exchange(0, address, Relaxed, Relaxed);
}

/// Registers how to cancel a request; the first registration stays.
pub fn register_cancel(cancel: Option<CancelFn>) {
    let address = cancel.map_or(0, |cancel| cancel as usize);
    let _ = CANCEL.compare_exchange(0, address, Relaxed, Relaxed);
}

/// Resolves a name: with a DNS base through the registered resolver, which may call back later,
/// else at once. Returns the request that can be cancelled, or null.
///
/// # Safety
/// The strings and `hints` are null or valid, `dns_base` is null or a DNS base, and `callback`
/// may be called with `argument`.
pub unsafe fn start(
    dns_base: *mut c_void,
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    callback: ResolveFn,
    argument: *mut c_void,
) -> *mut c_void {
    let registered = START.load(Relaxed);
    // SAFETY: only `register_start` stores here, and it stores a `StartFn`; the rest is the
    // caller's guarantee.
    unsafe {
        if !dns_base.is_null() && registered != 0 {
            let start = std::mem::transmute::<usize, StartFn>(registered);
            return start(dns_base, node, service, hints, Some(callback), argument);
        }
        let mut list = ptr::null_mut();
        let code = resolve::resolve(node, service, hints, &mut list);
        callback(code, list, argument);
    }
    ptr::null_mut()
}

/// Cancels a request that [`start`] returned; null is none.
///
/// # Safety
/// The request is null or under way.
pub unsafe fn cancel(request: *mut c_void) {
    let registered = CANCEL.load(Relaxed);
    if !request.is_null() && registered != 0 {
        // SAFETY: only `register_cancel` stores here, and it stores a `CancelFn`.
        unsafe { std::mem::transmute::<usize, CancelFn>(registered)(request) }
    }
}
