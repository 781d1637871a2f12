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

/// Accepted sockets are left blocking; otherwise they are made non-blocking.
pub const LEV_OPT_LEAVE_SOCKETS_BLOCKING: c_uint = 0x01;
/// Freeing the listener closes its socket.
pub const LEV_OPT_CLOSE_ON_FREE: c_uint = 0x02;
/// Accepted sockets, and the one that evconnlistener_new_bind() makes, are closed by exec.
pub const LEV_OPT_CLOSE_ON_EXEC: c_uint = 0x04;
/// evconnlistener_new_bind() lets an address be bound again at once (`SO_REUSEADDR`).
pub const LEV_OPT_REUSEABLE: c_uint = 0x08;
/// The listener gets a lock and may be used from any thread, if threads were set up.
pub const LEV_OPT_THREADSAFE: c_uint = 0x10;
/// The listener accepts nothing until evconnlistener_enable() is called.
pub const LEV_OPT_DISABLED: c_uint = 0x20;
/// evconnlistener_new_bind() lets the kernel keep connections back until data has come. TCP only.
pub const LEV_OPT_DEFERRED_ACCEPT: c_uint = 0x40;
/// evconnlistener_new_bind() lets several sockets bind the address and share its connections
/// (`SO_REUSEPORT`).
pub const LEV_OPT_REUSEABLE_PORT: c_uint = 0x80;
/// evconnlistener_new_bind() keeps an IPv6 socket from accepting IPv4 connections.
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
/// `cb` gets every connection, with `arg`; as long as it is `NULL` nothing is accepted. `flags`
/// are `LEV_OPT_*`. `backlog` is the length of the kernel's queue for `listen()`, negative for a
/// reasonable one, 0 when the socket listens already.
///
/// Returns the listener, or `NULL` when `listen()` fails or the base cannot watch the socket (errno
/// says why), there is no base or memory is short; the socket then stays the caller's.
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
/// The arguments are those of evconnlistener_new(), except that `backlog` must not be 0. The
/// socket belongs to the listener only with `LEV_OPT_CLOSE_ON_FREE`. Accepted connections have
/// keep-alive on.
///
/// Returns the listener, or `NULL` with errno saying which step failed; no socket is left then.
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

/// Frees a listener; none of its callbacks begins any more. `NULL` is ignored.
///
/// Its socket is closed with `LEV_OPT_CLOSE_ON_FREE`: at once, or after the callback that this is
/// called from. In another thread than the loop's, with `LEV_OPT_THREADSAFE`, this does not wait
/// for a callback that is running.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evconnlistener_free(listener: *mut Evconnlistener) {
    if !listener.is_null() {
        // SAFETY: the caller hands the listener over.
        unsafe { Hold::new(listener) }.free();
    }
}

/// Lets a listener accept connections, also those that have come meanwhile.
///
/// Returns 0, or -1 when the socket cannot be waited for.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evconnlistener_enable(listener: *mut Evconnlistener) -> c_int {
    // SAFETY: the caller guarantees the listener.
    status(unsafe { Hold::new(listener) }.enable())
}

/// Keeps a listener from accepting; connections wait in the kernel's queue.
///
/// In another thread than the loop's this waits until a running callback has ended. Returns 0, or
/// -1 when the backend reports an error.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evconnlistener_disable(listener: *mut Evconnlistener) -> c_int {
    // SAFETY: the caller guarantees the listener.
    status(unsafe { Hold::new(listener) }.disable())
}

/// The base that a listener was made on.
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

/// Replaces the callback, and the argument of both callbacks. With `NULL` nothing is accepted
/// until there is a callback again.
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

/// Sets what is called, with errno set, when accepting fails for another reason than that there
/// was nothing to accept; `NULL` for a warning instead.
///
/// The usual reason is that the process has no descriptors left. The listener then tries again
/// after a pause of up to a tenth of a second, and the callback is called each time. It may disable
/// or free the listener.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evconnlistener_set_error_cb(
    listener: *mut Evconnlistener,
    errorcb: Option<EvconnlistenerErrorFn>,
) {
    // SAFETY: the caller guarantees the listener.
    unsafe { Hold::new(listener) }.set_error_callback(errorcb);
}
