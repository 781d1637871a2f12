//! event2/dns_compat.h: the resolver of the process.

use super::EvutilSocket;
use super::dns::{
    evdns_add_server_port_with_base, evdns_base_clear_nameservers_and_suspend,
    evdns_base_count_nameservers, evdns_base_nameserver_add, evdns_base_nameserver_ip_add,
    evdns_base_resolv_conf_parse, evdns_base_resolve_ipv4, evdns_base_resolve_ipv6,
    evdns_base_resolve_reverse, evdns_base_resolve_reverse_ipv6, evdns_base_resume,
    evdns_base_search_add, evdns_base_search_clear, evdns_base_search_ndots_set,
    evdns_base_set_option,
};
use crate::dns::global;
use crate::dns::port::{DnsRequestFn, EvdnsServerPort};
use crate::dns::request::{DnsResultFn, EvdnsRequest};
use crate::dns::resolver::EvdnsBase;
use libc::{in_addr, in6_addr};
use std::ffi::{c_char, c_int, c_ulong, c_void};
use std::ptr;

/// Calls `then` with the resolver, if there is one.
fn existing<R>(without: R, then: impl FnOnce(*mut EvdnsBase) -> R) -> R {
    match global::get() {
        base if base.is_null() => without,
        base => then(base),
    }
}

/// Calls `then` with the resolver, which is made where there was none.
fn made(then: impl FnOnce(*mut EvdnsBase) -> c_int) -> c_int {
    global::get_or_create().map_or(-1, |base| then(base.as_ptr()))
}

/// The C form of whether a look-up was started.
fn started(request: *mut EvdnsRequest) -> c_int {
    if request.is_null() { -1 } else { 0 }
}

/// Makes the process-wide resolver, with the system's configuration. Returns 0, or -1 on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_init() -> c_int {
    global::initialise().map_or(-1, |()| 0)
}

/// The process-wide resolver, or NULL if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_get_global_base() -> *mut EvdnsBase {
    global::get()
}

/// Frees the process-wide resolver like evdns_base_free(), and resets evdns_set_log_fn().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_shutdown(fail_requests: c_int) {
    global::shut_down(fail_requests != 0);
}

/// See evdns_base_nameserver_add(). Makes the resolver if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_nameserver_add(address: c_ulong) -> c_int {
    // SAFETY: the resolver lives.
    made(|base| unsafe { evdns_base_nameserver_add(base, address) })
}

/// See evdns_base_count_nameservers(). Returns 0 without a resolver.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_count_nameservers() -> c_int {
    // SAFETY: the resolver lives.
    existing(0, |base| unsafe { evdns_base_count_nameservers(base) })
}

/// See evdns_base_clear_nameservers_and_suspend(). Returns -1 without a resolver.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_clear_nameservers_and_suspend() -> c_int {
    // SAFETY: the resolver lives.
    existing(-1, |base| unsafe {
        evdns_base_clear_nameservers_and_suspend(base)
    })
}

/// See evdns_base_resume(). Returns -1 without a resolver.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_resume() -> c_int {
    // SAFETY: the resolver lives.
    existing(-1, |base| unsafe { evdns_base_resume(base) })
}

/// See evdns_base_nameserver_ip_add(). Makes the resolver if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_nameserver_ip_add(ip_as_string: *const c_char) -> c_int {
    // SAFETY: the resolver lives; the caller guarantees the text.
    made(|base| unsafe { evdns_base_nameserver_ip_add(base, ip_as_string) })
}

/// See evdns_base_resolve_ipv4(). Returns 0 if the look-up was started, otherwise -1. It cannot be
/// cancelled.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_resolve_ipv4(
    name: *const c_char,
    flags: c_int,
    callback: Option<DnsResultFn>,
    ptr: *mut c_void,
) -> c_int {
    // SAFETY: the resolver lives; the caller guarantees the name.
    existing(-1, |base| unsafe {
        started(evdns_base_resolve_ipv4(base, name, flags, callback, ptr))
    })
}

/// See evdns_base_resolve_ipv6(). Returns 0 if the look-up was started, otherwise -1. It cannot be
/// cancelled.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_resolve_ipv6(
    name: *const c_char,
    flags: c_int,
    callback: Option<DnsResultFn>,
    ptr: *mut c_void,
) -> c_int {
    // SAFETY: the resolver lives; the caller guarantees the name.
    existing(-1, |base| unsafe {
        started(evdns_base_resolve_ipv6(base, name, flags, callback, ptr))
    })
}

/// See evdns_base_resolve_reverse(). Returns 0 if the look-up was started, otherwise -1. It cannot be
/// cancelled.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_resolve_reverse(
    r#in: *const in_addr,
    flags: c_int,
    callback: Option<DnsResultFn>,
    ptr: *mut c_void,
) -> c_int {
    // SAFETY: the resolver lives; the caller guarantees the address.
    existing(-1, |base| unsafe {
        started(evdns_base_resolve_reverse(base, r#in, flags, callback, ptr))
    })
}

/// See evdns_base_resolve_reverse_ipv6(). Returns 0 if the look-up was started, otherwise -1. It
/// cannot be cancelled.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_resolve_reverse_ipv6(
    r#in: *const in6_addr,
    flags: c_int,
    callback: Option<DnsResultFn>,
    ptr: *mut c_void,
) -> c_int {
    // SAFETY: the resolver lives; the caller guarantees the address.
    existing(-1, |base| unsafe {
        started(evdns_base_resolve_reverse_ipv6(
            base, r#in, flags, callback, ptr,
        ))
    })
}

/// See evdns_base_set_option(); `flags` is ignored. Makes the resolver if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_set_option(
    option: *const c_char,
    val: *const c_char,
    flags: c_int,
) -> c_int {
    let _ = flags;
    // SAFETY: the resolver lives; the caller guarantees the strings.
    made(|base| unsafe { evdns_base_set_option(base, option, val) })
}

/// See evdns_base_resolv_conf_parse(). Makes the resolver if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_resolv_conf_parse(
    flags: c_int,
    filename: *const c_char,
) -> c_int {
    // SAFETY: the resolver lives; the caller guarantees the name.
    made(|base| unsafe { evdns_base_resolv_conf_parse(base, flags, filename) })
}

/// See evdns_base_search_clear(). Has no effect without a resolver.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_search_clear() {
    // SAFETY: the resolver lives.
    existing((), |base| unsafe { evdns_base_search_clear(base) });
}

/// See evdns_base_search_add(). Has no effect without a resolver.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_search_add(domain: *const c_char) {
    // SAFETY: the resolver lives; the caller guarantees the domain.
    existing((), |base| unsafe { evdns_base_search_add(base, domain) });
}

/// See evdns_base_search_ndots_set(). Has no effect without a resolver.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_search_ndots_set(ndots: c_int) {
    // SAFETY: the resolver lives.
    existing((), |base| unsafe {
        evdns_base_search_ndots_set(base, ndots)
    });
}

/// See evdns_add_server_port_with_base(), on the base that event_init() made.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_add_server_port(
    socket: EvutilSocket,
    flags: c_int,
    callback: Option<DnsRequestFn>,
    user_data: *mut c_void,
) -> *mut EvdnsServerPort {
    // SAFETY: the loop is the current one.
    unsafe { evdns_add_server_port_with_base(ptr::null_mut(), socket, flags, callback, user_data) }
}
