//! event2/util.h: portable helpers for sockets, addresses, time, text and random numbers.

use super::{EvutilSocket, copy_text, status};
use crate::hooks::memory;
use crate::util::clock::MonotonicClock as MonotonicTimer;
use crate::util::{
    SystemError, address, ascii, clock, date, random, resolve, resolve_errors, socket_address,
    sockets,
};
use libc::{addrinfo, sockaddr, timeval, tm};
use std::cmp::Ordering;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ptr;

/// Flag for evutil_configure_monotonic_time(): precise to the microsecond, slower to read.
pub const EV_MONOT_PRECISE: c_int = 1;
/// Flag for evutil_configure_monotonic_time(): derived from the time of day, corrected if that is
/// set back. For tests.
pub const EV_MONOT_FALLBACK: c_int = 2;

const _: () = assert!(EV_MONOT_PRECISE == clock::PRECISE && EV_MONOT_FALLBACK == clock::FALLBACK);

/// Writes a date like "Thu, 01 Jan 1970 00:00:00 GMT", with English names in every locale.
///
/// `tm` is used as it is: no field is normalised or computed from others. NULL means now. At most
/// `datelen` bytes are written, including the terminator.
///
/// Returns the length of the whole text, so a result of `datelen` or more means that it was
/// truncated; 0 if `datelen` is 0; or -1, with an empty string, if the month or the day of the week
/// is out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_date_rfc1123(
    date: *mut c_char,
    datelen: usize,
    tm: *const tm,
) -> c_int {
    if datelen == 0 {
        return 0;
    }
    // SAFETY: the caller guarantees the fields, or null.
    let fields = unsafe { tm.as_ref() }.copied().unwrap_or_else(date::now);
    let text = date::rfc1123(&fields);
    let bytes = text.as_ref().map_or(&b""[..], |text| text.as_bytes());
    // SAFETY: the caller guarantees the room.
    unsafe { copy_text(bytes, date, datelen) };
    text.as_ref()
        .map_or(-1, |text| text.as_bytes().len() as c_int)
}

/// Makes a timer for evutil_gettime_monotonic().
///
/// Free it with evutil_monotonic_timer_free(). Returns NULL when memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_monotonic_timer_new() -> *mut MonotonicTimer {
    memory::allocate_zeroed::<MonotonicTimer>().map_or(ptr::null_mut(), |timer| timer.as_ptr())
}

/// Frees a timer. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_monotonic_timer_free(timer: *mut MonotonicTimer) {
    if !timer.is_null() {
        // SAFETY: the caller gives up a timer that `evutil_monotonic_timer_new` made.
        unsafe { memory::free(timer.cast()) };
    }
}

/// Chooses the clock of a timer by `EV_MONOT_*` flags; 0 is a fast clock that advances in steps of
/// a few milliseconds. The timer is reset. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_configure_monotonic_time(
    timer: *mut MonotonicTimer,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the memory of a timer; what it contained does not matter.
    unsafe { timer.write(MonotonicTimer::new(flags)) };
    0
}

/// Stores the time since a fixed but unspecified moment. It is independent of the system's clock
/// being set, and never goes back for the same timer.
///
/// A timer may be used by one thread at a time. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_gettime_monotonic(
    timer: *mut MonotonicTimer,
    tp: *mut timeval,
) -> c_int {
    // SAFETY: the caller guarantees the timer and room for the time.
    unsafe { *tp = (*timer).now() };
    0
}

/// Makes two sockets that are connected to each other, like `socketpair()`.
///
/// `type` may contain `SOCK_NONBLOCK` and `SOCK_CLOEXEC`. Returns 0; or -1, with the reason in
/// errno and `sv` unchanged.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_socketpair(
    d: c_int,
    r#type: c_int,
    protocol: c_int,
    sv: *mut EvutilSocket,
) -> c_int {
    match sockets::socket_pair(d, r#type, protocol) {
        Ok(pair) => {
            // SAFETY: the caller guarantees room for two descriptors.
            unsafe { sv.cast::<[EvutilSocket; 2]>().write(pair) };
            0
        }
        Err(SystemError) => -1,
    }
}

/// Makes a descriptor non-blocking.
///
/// Returns 0; or -1, with a warning and the reason in errno.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_make_socket_nonblocking(sock: EvutilSocket) -> c_int {
    status(sockets::make_nonblocking(sock))
}

/// Lets a listening socket take over an address right after another program has closed it
/// (`SO_REUSEADDR`). Call it before binding.
///
/// Returns 0, or -1 with the reason in errno.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_make_listen_socket_reuseable(sock: EvutilSocket) -> c_int {
    status(sockets::set_option(
        sock,
        libc::SOL_SOCKET,
        libc::SO_REUSEADDR,
        1,
    ))
}

/// Allows several sockets of this user to listen on one port and share its connections
/// (`SO_REUSEPORT`). Call it for each of them, before binding.
///
/// Returns 0, or -1 with the reason in errno.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_make_listen_socket_reuseable_port(
    sock: EvutilSocket,
) -> c_int {
    status(sockets::set_option(
        sock,
        libc::SOL_SOCKET,
        libc::SO_REUSEPORT,
        1,
    ))
}

/// Restricts a listening IPv6 socket to IPv6, so that another socket can listen for IPv4 on the
/// same port. Call it before binding.
///
/// Returns 0, or -1 with the reason in errno (`ENOPROTOOPT` for a socket that is not IPv6).
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_make_listen_socket_ipv6only(sock: EvutilSocket) -> c_int {
    status(sockets::set_option(
        sock,
        libc::IPPROTO_IPV6,
        libc::IPV6_V6ONLY,
        1,
    ))
}

/// Closes a descriptor in programs that are started with `exec`.
///
/// Returns 0; or -1, with a warning and the reason in errno.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_make_socket_closeonexec(sock: EvutilSocket) -> c_int {
    status(sockets::make_close_on_exec(sock))
}

/// Closes a socket. Returns 0, or -1 with the reason in errno.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_closesocket(sock: EvutilSocket) -> c_int {
    status(sockets::close(sock))
}

/// Makes a listening TCP socket report a connection only once data has arrived on it, or after a
/// second. For protocols in which the client speaks first.
///
/// Returns 0, or -1 with the reason in errno.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_make_tcp_listen_socket_deferred(
    sock: EvutilSocket,
) -> c_int {
    status(sockets::set_option(
        sock,
        libc::IPPROTO_TCP,
        libc::TCP_DEFER_ACCEPT,
        1,
    ))
}

/// Parses a 64-bit number like `strtoll()`: any base from 2 to 36, or 0 to derive it from the
/// prefix. If the number does not fit, `errno` is set to `ERANGE` and the result is the nearest
/// number that does.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_strtoll(
    s: *const c_char,
    endptr: *mut *mut c_char,
    base: c_int,
) -> i64 {
    // SAFETY: the caller guarantees the text and the output, which may be null.
    unsafe { libc::strtoll(s, endptr, base) }
}

/// Writes an address as text: dotted decimal for `AF_INET` (`src` is a `struct in_addr`), in the
/// style of RFC 5952 for `AF_INET6` (`struct in6_addr`).
///
/// Returns `dst`; or NULL if the text and its terminator do not fit into `len` bytes or the family
/// is not supported. errno is not set.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_inet_ntop(
    af: c_int,
    src: *const c_void,
    dst: *mut c_char,
    len: usize,
) -> *const c_char {
    let text = match af {
        // SAFETY: the caller guarantees an address of this family.
        libc::AF_INET => address::format_ipv4(unsafe { src.cast::<[u8; 4]>().read() }.into()),
        // SAFETY: as above.
        libc::AF_INET6 => address::format_ipv6(unsafe { src.cast::<[u8; 16]>().read() }.into()),
        _ => return ptr::null(),
    };
    if text.as_bytes().len() >= len {
        return ptr::null();
    }
    // SAFETY: the caller guarantees the room.
    unsafe { copy_text(text.as_bytes(), dst, len) };
    dst
}

/// Parses an IPv6 address that may be followed by `%` and a zone, which is an interface's name or
/// number; or any other address, like evutil_inet_pton().
///
/// Stores the number of the interface, or 0 if there is none, in `*indexp`. Returns what
/// evutil_inet_pton() returns; also 0 if the zone is neither an interface nor a number.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_inet_pton_scope(
    af: c_int,
    src: *const c_char,
    dst: *mut c_void,
    indexp: *mut c_uint,
) -> c_int {
    // SAFETY: the caller guarantees the text, the output and the index.
    unsafe {
        *indexp = 0;
        if af != libc::AF_INET6 {
            return evutil_inet_pton(af, src, dst);
        }
        let parsed = address::parse_scoped_ipv6(CStr::from_ptr(src).to_bytes());
        let Some(zone) = parsed.zone else { return 0 };
        *indexp = zone;
        write_address(parsed.address.map(|address| address.octets()), dst)
    }
}

/// Parses an address: for `AF_INET` dotted decimal, in which leading zeros do not mean octal, into
/// a `struct in_addr`; for `AF_INET6` any form of RFC 4291, without a zone, into a `struct
/// in6_addr`.
///
/// Returns 1 on success; 0, with `dst` unchanged, if the text is not such an address; or -1 if the
/// family is not supported. errno is not set.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_inet_pton(
    af: c_int,
    src: *const c_char,
    dst: *mut c_void,
) -> c_int {
    // SAFETY: the caller guarantees the text and room for an address of this family.
    unsafe {
        match af {
            libc::AF_INET => {
                let address = address::parse_ipv4(CStr::from_ptr(src).to_bytes());
                write_address(address.as_ref().map(Ipv4Addr::octets), dst)
            }
            libc::AF_INET6 => {
                let address = address::parse_ipv6(CStr::from_ptr(src).to_bytes());
                write_address(address.as_ref().map(Ipv6Addr::octets), dst)
            }
            _ => -1,
        }
    }
}

/// Stores the bytes of an address: 1, or 0 when there is none.
///
/// # Safety
/// `dst` has room for the bytes.
unsafe fn write_address<T>(octets: Option<T>, dst: *mut c_void) -> c_int {
    let Some(octets) = octets else { return 0 };
    // SAFETY: the caller guarantees the room.
    unsafe { dst.cast::<T>().write_unaligned(octets) };
    1
}

/// Parses a numeric address with or without a port: `[v6]:port`, `[v6]`, `v6`, `v4:port` or `v4`.
/// IPv6 addresses may have a zone. Ports are from 1 to 65535; without one, the port is 0.
///
/// `*outlen` is the size of `out` in bytes, and is set to the length of the address. Returns 0; or
/// -1, with nothing changed, if the text is not valid or `out` is too small.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_parse_sockaddr_port(
    str: *const c_char,
    out: *mut sockaddr,
    outlen: *mut c_int,
) -> c_int {
    // SAFETY: the caller guarantees the text, and the room that it names.
    unsafe {
        let Some(address) = socket_address::parse(CStr::from_ptr(str).to_bytes()) else {
            return -1;
        };
        let length = address.length() as c_int;
        if *outlen < length {
            return -1;
        }
        address.write(out.cast());
        *outlen = length;
    }
    0
}

/// Compares two socket addresses by family, then address, then, if `include_port` is not 0, port.
/// Zones are not compared. Addresses other than IPv4 and IPv6 are equal only to themselves.
///
/// Returns a number below, equal to or above 0. The order is consistent but has no meaning.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_sockaddr_cmp(
    sa1: *const sockaddr,
    sa2: *const sockaddr,
    include_port: c_int,
) -> c_int {
    // SAFETY: the caller guarantees addresses as long as their families say.
    unsafe { socket_address::compare(sa1, sa2, include_port != 0) }
}

/// Compares two strings like `strcasecmp()`, but folds only ASCII letters, in every locale. Bytes
/// above 127 sort before all others. Returns -1, 0 or 1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_ascii_strcasecmp(
    str1: *const c_char,
    str2: *const c_char,
) -> c_int {
    // SAFETY: the caller guarantees the strings.
    unsafe { evutil_ascii_strncasecmp(str1, str2, usize::MAX) }
}

/// Compares at most `n` bytes of two strings like evutil_ascii_strcasecmp().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_ascii_strncasecmp(
    str1: *const c_char,
    str2: *const c_char,
    n: usize,
) -> c_int {
    // SAFETY: the caller guarantees the strings.
    match unsafe { ascii::compare_ignoring_case(str1, str2, n) } {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }
}

/// Resolves a host and a service name with the system's `getaddrinfo()`, which blocks.
///
/// NULL hints mean no restriction and no flags. The list in `*res` belongs to the caller, who frees
/// it with evutil_freeaddrinfo(). Thread-safe. Returns 0 or an `EVUTIL_EAI_*` code.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_getaddrinfo(
    nodename: *const c_char,
    servname: *const c_char,
    hints_in: *const addrinfo,
    res: *mut *mut addrinfo,
) -> c_int {
    // SAFETY: the caller guarantees the strings, the hints and the output.
    unsafe { resolve::resolve(nodename, servname, hints_in, res) }
}

/// Frees a list from evutil_getaddrinfo() or evdns_getaddrinfo(). NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_freeaddrinfo(ai: *mut addrinfo) {
    // SAFETY: the caller gives up a list of these functions.
    unsafe { resolve::free_list(ai) }
}

/// The English text for an `EVUTIL_EAI_*` code: a constant.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_gai_strerror(err: c_int) -> *const c_char {
    resolve_errors::text(err)
}

/// Fills a buffer with cryptographically secure random bytes from the operating system.
///
/// Thread-safe, even without lock callbacks; after a fork, parent and child get different bytes. If
/// the system has no random numbers at all, this is a fatal error.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_secure_rng_get_bytes(buf: *mut c_void, n: usize) {
    if n > 0 {
        // SAFETY: the caller guarantees `n` writable bytes.
        random::fill(unsafe { std::slice::from_raw_parts_mut(buf.cast(), n) });
    }
}

/// Initialises the random number generator. It needs no initialisation, so this has no effect.
/// Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_secure_rng_init() -> c_int {
    0
}

/// Sets the device to read random bytes from: not supported, because the operating system is always
/// asked. Returns -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_secure_rng_set_urandom_device_file(
    _fname: *mut c_char,
) -> c_int {
    -1
}

/// Adds entropy to the random number generator: has no effect, because the operating system needs
/// none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_secure_rng_add_bytes(_dat: *const c_char, _datlen: usize) {}
