//! event2/listener.h: accepting connections.

use super::{EvutilSocket, status};
use crate::base::EventBase;
use crate::listener::{
    self, Evconnlistener, EvconnlistenerErrorFn, EvconnlistenerFn, Hold, NoListener, Receiver,
    option,
};
use libc::{sockaddr, socklen_t};
use std::ffi::{c_int, c_uint, c_void};
use std::ptr::{self, NonNull};

/// Leave accepted sockets blocking; otherwise they are made non-blocking.
pub const LEV_OPT_LEAVE_SOCKETS_BLOCKING: c_uint = 0x01;
/// Close the socket when the listener is freed.
pub const LEV_OPT_CLOSE_ON_FREE: c_uint = 0x02;
/// Close accepted sockets, and the one that evconnlistener_new_bind() makes, on `exec`.
pub const LEV_OPT_CLOSE_ON_EXEC: c_uint = 0x04;
/// In evconnlistener_new_bind(): allow the address to be bound again at once (`SO_REUSEADDR`).
pub const LEV_OPT_REUSEABLE: c_uint = 0x08;
/// Give the listener a lock, if threads were set up, so that any thread may use it.
pub const LEV_OPT_THREADSAFE: c_uint = 0x10;
/// Accept nothing until evconnlistener_enable() is called.
pub const LEV_OPT_DISABLED: c_uint = 0x20;
/// In evconnlistener_new_bind(): let the kernel hold back TCP connections until data has arrived.
pub const LEV_OPT_DEFERRED_ACCEPT: c_uint = 0x40;
/// In evconnlistener_new_bind(): allow several sockets to bind the address and share its
/// connections (`SO_REUSEPORT`).
pub const LEV_OPT_REUSEABLE_PORT: c_uint = 0x80;
/// In evconnlistener_new_bind(): keep an IPv6 socket from accepting IPv4 connections.
pub const LEV_OPT_BIND_IPV6ONLY: c_uint = 0x100;

const _: () = {
    assert!(LEV_OPT_LEAVE_SOCKETS_BLOCKING == option::LEAVE_SOCKETS_BLOCKING);
    assert!(LEV_OPT_CLOSE_ON_FREE == option::CLOSE_ON_FREE);
    assert!(LEV_OPT_CLOSE_ON_EXEC == option::CLOSE_ON_EXEC);
    assert!(LEV_OPT_REUSEABLE == option::REUSEABLE);
    assert!(LEV_OPT_THREADSAFE == option::THREADSAFE);
    assert!(LEV_OPT_DISABLED == option::DISABLED);
    assert!(LEV_OPT_DEFERRED_ACCEPT == option::DEFERRED_ACCEPT);
    assert!(LEV_OPT_REUSEABLE_PORT == option::REUSEABLE_PORT);
    assert!(LEV_OPT_BIND_IPV6ONLY == option::BIND_IPV6ONLY);
};

fn or_null(listener: Result<NonNull<Evconnlistener>, NoListener>) -> *mut Evconnlistener {
    listener.map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Makes a listener on a bound, non-blocking socket.
///
/// `cb` is called with every connection and with `arg`; while it is NULL, nothing is accepted.
/// `flags` are `LEV_OPT_*` bits. `backlog` is the queue length for `listen()`; a negative number
/// means a reasonable default, and 0 that the socket is listening already.
///
/// Returns the listener; or NULL if `listen()` fails or the base cannot watch the socket (errno
/// says why), there is no base, or memory is short. The socket then remains the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evconnlistener_new(
    base: *mut EventBase,
    cb: Option<EvconnlistenerFn>,
    arg: *mut c_void,
    flags: c_uint,
    backlog: c_int,
    fd: EvutilSocket,
) -> *mut Evconnlistener {
    let receiver = Receiver {
        callback: cb,
        argument: arg,
    };
    // SAFETY: the caller guarantees the base.
    or_null(unsafe { listener::new(base, receiver, flags, backlog, fd) })
}

/// Makes a listener on a new socket, bound to an address of `len` bytes.
///
/// The arguments are those of evconnlistener_new(), except that `backlog` must not be 0. Freeing
/// the listener closes the socket only with `LEV_OPT_CLOSE_ON_FREE`. Accepted connections have
/// keep-alive enabled.
///
/// Returns the listener, or NULL, with errno set by the step that failed; no socket is left open
/// then.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evconnlistener_new_bind(
    base: *mut EventBase,
    cb: Option<EvconnlistenerFn>,
    arg: *mut c_void,
    flags: c_uint,
    backlog: c_int,
    address: *const sockaddr,
    len: c_int,
) -> *mut Evconnlistener {
    let receiver = Receiver {
        callback: cb,
        argument: arg,
    };
    let length = socklen_t::try_from(len).unwrap_or(0);
    // SAFETY: the caller guarantees the base and the address.
    or_null(unsafe { listener::bind(base, receiver, flags, backlog, address, length) })
}

/// Frees a listener; none of its callbacks is started any more. NULL is ignored.
///
/// With `LEV_OPT_CLOSE_ON_FREE` its socket is closed: at once, or, if this is called from a
/// callback of the listener, when that returns. In a thread other than the loop's, with
/// `LEV_OPT_THREADSAFE`, this does not wait for a running callback.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evconnlistener_free(listener: *mut Evconnlistener) {
    if !listener.is_null() {
        // SAFETY: the caller hands the listener over.
        unsafe { Hold::new(listener) }.free();
    }
}

/// Lets a listener accept connections, including those that are already waiting.
///
/// Returns 0, or -1 if the socket cannot be watched.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evconnlistener_enable(listener: *mut Evconnlistener) -> c_int {
    // SAFETY: the caller guarantees the listener.
    status(unsafe { Hold::new(listener) }.enable())
}

/// Stops a listener from accepting; connections wait in the kernel's queue.
///
/// In a thread other than the loop's, this waits until a running callback has returned. Returns 0,
/// or -1 if the backend reports an error.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evconnlistener_disable(listener: *mut Evconnlistener) -> c_int {
    // SAFETY: the caller guarantees the listener.
    status(unsafe { Hold::new(listener) }.disable())
}

/// The base of a listener.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evconnlistener_get_base(
    listener: *mut Evconnlistener,
) -> *mut EventBase {
    // SAFETY: the caller guarantees the listener.
    unsafe { Hold::new(listener) }.base()
}

/// The listening socket.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evconnlistener_get_fd(
    listener: *mut Evconnlistener,
) -> EvutilSocket {
    // SAFETY: the caller guarantees the listener.
    unsafe { Hold::new(listener) }.fd()
}

/// Replaces the callback, and the argument of both callbacks. With NULL, nothing is accepted until
/// a callback is set again.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evconnlistener_set_cb(
    listener: *mut Evconnlistener,
    cb: Option<EvconnlistenerFn>,
    arg: *mut c_void,
) {
    let receiver = Receiver {
        callback: cb,
        argument: arg,
    };
    // SAFETY: the caller guarantees the listener. A refusal was logged.
    let _ = unsafe { Hold::new(listener) }.set_receiver(receiver);
}

/// Sets a function that is called, with errno set, when accepting fails for a reason other than
/// that no connection is waiting; NULL logs a warning instead.
///
/// The usual reason is that the process has run out of descriptors. The listener then tries again
/// after a pause of up to a tenth of a second, and calls the function each time. It may disable or
/// free the listener.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evconnlistener_set_error_cb(
    listener: *mut Evconnlistener,
    errorcb: Option<EvconnlistenerErrorFn>,
) {
    // SAFETY: the caller guarantees the listener.
    unsafe { Hold::new(listener) }.set_error_callback(errorcb);
}
