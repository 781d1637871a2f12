//! Internal exported symbols about sockets, pipes and socket addresses.

use crate::c_api::copy_text;
use crate::system::set_errno;
use crate::util::sockets::{self, Connecting};
use crate::util::{SystemError, socket_address};
use libc::{in_addr, in6_addr, sockaddr, socklen_t};
use std::ffi::{c_char, c_int, c_uint};

/// Stores a pair of descriptors, -1 twice on failure.
///
/// # Safety
/// `out` has room for two descriptors.
unsafe fn write_pair(out: *mut c_int, pair: Result<[c_int; 2], SystemError>) -> c_int {
    let status = if pair.is_ok() { 0 } else { -1 };
    // SAFETY: the caller guarantees the room.
    unsafe { out.cast::<[c_int; 2]>().write(pair.unwrap_or([-1; 2])) };
    status
}

/// socket() with SOCK_NONBLOCK and SOCK_CLOEXEC in the type.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_socket_(
    domain: c_int,
    kind: c_int,
    protocol: c_int,
) -> c_int {
    sockets::socket(domain, kind, protocol).unwrap_or(-1)
}

/// accept4().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_accept4_(
    fd: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller guarantees room for the address, or null.
    unsafe { sockets::accept(fd, address, length, flags) }.unwrap_or(-1)
}

/// A non-blocking, close-on-exec pipe, read end first; both -1 on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_make_internal_pipe_(fd: *mut c_int) -> c_int {
    // SAFETY: the caller guarantees room for two descriptors.
    unsafe { write_pair(fd, sockets::internal_pipe()) }
}

/// eventfd().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_eventfd_(initial: c_uint, flags: c_int) -> c_int {
    sockets::event_descriptor(initial, flags).unwrap_or(-1)
}

/// A connected pair of TCP sockets on the loopback address.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_ersatz_socketpair_(
    family: c_int,
    kind: c_int,
    protocol: c_int,
    fd: *mut c_int,
) -> c_int {
    if fd.is_null() {
        set_errno(libc::EINVAL);
        return -1;
    }
    match sockets::loopback_pair(family, kind, protocol) {
        Ok(pair) => {
            // SAFETY: the caller guarantees room for two descriptors.
            unsafe { fd.cast::<[c_int; 2]>().write(pair) };
            0
        }
        Err(SystemError) => -1,
    }
}

/// Connects a socket, made here when `*fd_ptr` is negative: 1 connected, 0 in progress, 2 refused,
/// -1 failed, with a socket made here closed again.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_socket_connect_(
    fd_ptr: *mut c_int,
    address: *const sockaddr,
    length: c_int,
) -> c_int {
    let length = length as socklen_t;
    // SAFETY: the caller guarantees the address and the descriptor's place.
    unsafe {
        if *fd_ptr >= 0 {
            return sockets::connect(*fd_ptr, address, length)
                .map_or(-1, |progress| progress as c_int);
        }
        match sockets::connect_new(address, length) {
            Ok((fd, progress)) => {
                *fd_ptr = fd;
                progress as c_int
            }
            Err(SystemError) => {
                *fd_ptr = -1;
                -1
            }
        }
    }
}

/// Whether a connection attempt ended: 1 connected, 0 not yet, -1 failed, with the reason in errno.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_socket_finished_connecting_(fd: c_int) -> c_int {
    match sockets::finished_connecting(fd) {
        Ok(Connecting::Done) => 1,
        Ok(_) => 0,
        Err(SystemError) => -1,
    }
}

/// Writes an address as `1.2.3.4:80` or `[::1]:80`, truncated to `length` bytes. Returns `out`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_format_sockaddr_port_(
    address: *const sockaddr,
    out: *mut c_char,
    length: usize,
) -> *const c_char {
    // SAFETY: the caller guarantees the address and the room.
    unsafe {
        let text = socket_address::format(address);
        copy_text(text.as_bytes(), out, length);
    }
    out
}

/// 1 for 127.0.0.0/8 and ::1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_sockaddr_is_loopback_(address: *const sockaddr) -> c_int {
    // SAFETY: the caller guarantees the address.
    c_int::from(unsafe { socket_address::is_loopback(address) })
}

/// 1 for an address that other networks do not reach.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_v4addr_is_local_(address: *const in_addr) -> c_int {
    // SAFETY: the caller guarantees the address.
    let octets = unsafe { (*address).s_addr }.to_ne_bytes();
    c_int::from(socket_address::is_local_v4(octets.into()))
}

/// 1 for an address that other networks do not reach.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_v6addr_is_local_(address: *const in6_addr) -> c_int {
    // SAFETY: the caller guarantees the address.
    let octets = unsafe { (*address).s6_addr };
    c_int::from(socket_address::is_local_v6(octets.into()))
}
