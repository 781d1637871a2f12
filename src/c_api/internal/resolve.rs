//! Internal exported symbols about address lists and name resolution.

use crate::c_api::optional_string;
use crate::util::interfaces;
use crate::util::resolve::{self, Immediate};
use crate::util::resolve_async::{self, CancelFn, ResolveFn, StartFn};
use libc::{addrinfo, sockaddr, socklen_t};
use std::ffi::{c_char, c_int, c_void};

/// A list with one address; null when memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_new_addrinfo_(
    address: *mut sockaddr,
    length: socklen_t,
    hints: *const addrinfo,
) -> *mut addrinfo {
    // SAFETY: the caller guarantees the address and the hints.
    unsafe { resolve::new_list(address, length, &*hints) }
}

/// Appends one list to another; either may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_addrinfo_append_(
    first: *mut addrinfo,
    append: *mut addrinfo,
) -> *mut addrinfo {
    // SAFETY: the caller guarantees the lists.
    unsafe { resolve::append(first, append) }
}

/// Narrows an unspecified family to the only one this machine has addresses of, if wanted.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_adjust_hints_for_addrconfig_(hints: *mut addrinfo) {
    // SAFETY: the caller guarantees the hints.
    interfaces::adjust_hints(unsafe { &mut *hints });
}

/// The part of getaddrinfo that needs no name server: 0, an error, or -90002 with the port.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_getaddrinfo_common_(
    nodename: *const c_char,
    servname: *const c_char,
    hints: *mut addrinfo,
    res: *mut *mut addrinfo,
    portnum: *mut c_int,
) -> c_int {
    // SAFETY: the caller guarantees the strings, the hints and the outputs.
    unsafe {
        let (node, service) = (optional_string(nodename), optional_string(servname));
        let result = resolve::resolve_immediately(node, service, &mut *hints);
        Immediate::write(result, res, portnum)
    }
}

/// Resolves a name through a DNS base, or else at once.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_getaddrinfo_async_(
    dns_base: *mut c_void,
    nodename: *const c_char,
    servname: *const c_char,
    hints_in: *const addrinfo,
    cb: ResolveFn,
    arg: *mut c_void,
) -> *mut c_void {
    // SAFETY: the caller guarantees every pointer and that the callback may be called.
    unsafe { resolve_async::start(dns_base, nodename, servname, hints_in, cb, arg) }
}

/// Cancels what `evutil_getaddrinfo_async_` returned.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_getaddrinfo_cancel_async_(request: *mut c_void) {
    // SAFETY: the caller guarantees a request under way, or null.
    unsafe { resolve_async::cancel(request) }
}

/// Registers how the DNS part starts a request.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_set_evdns_getaddrinfo_fn_(function: Option<StartFn>) {
    resolve_async::register_start(function);
}

/// Registers how the DNS part cancels a request.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_set_evdns_getaddrinfo_cancel_fn_(
    function: Option<CancelFn>,
) {
    resolve_async::register_cancel(function);
}
