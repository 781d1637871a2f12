//! event2/bufferevent_ssl.h: TLS bufferevents.

// What callers must guarantee is stated in the documentation for C.
#![allow(clippy::missing_safety_doc)]

use crate::create::{Transport, create};
use crate::libevent::{Bufferevent, EventBase, EvutilSocket, SslStateValue};
use crate::openssl::SSL;
use crate::operations::of_this_kind;
use crate::tls::{Guard, State, TlsPtr};
use std::ffi::{c_int, c_ulong};
use std::ptr;

/// Runs a function on a bufferevent of this kind, with its lock; `None` for others and null.
///
/// # Safety
/// The bufferevent is null or live.
unsafe fn with<R>(bufev: *mut Bufferevent, call: impl FnOnce(TlsPtr) -> R) -> Option<R> {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe {
        of_this_kind(bufev)?;
        Some(call(*Guard::new(bufev)))
    }
}

/// Makes a TLS bufferevent whose ciphertext passes through another bufferevent.
///
/// `underlying` may be a socket bufferevent, also one that is still connecting, a pair, a filter or
/// another TLS bufferevent, and must have the same `base`. From now on its callbacks belong to the
/// TLS bufferevent, its low and high read watermarks are 0, and both directions are enabled; its
/// high write watermark, timeouts and rate limits stay in force. BIOs that `ssl` already has are
/// replaced. `state` and `options` are as for bufferevent_openssl_socket_new(), but
/// `BEV_OPT_CLOSE_ON_FREE` frees the SSL and the underlying bufferevent. With `BEV_OPT_THREADSAFE`
/// both bufferevents share one lock.
///
/// Data that is written is encrypted at once.
///
/// Returns the bufferevent, or NULL in the same cases as bufferevent_openssl_socket_new() and if
/// `underlying` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_openssl_filter_new(
    base: *mut EventBase,
    underlying: *mut Bufferevent,
    ssl: *mut SSL,
    state: SslStateValue,
    options: c_int,
) -> *mut Bufferevent {
    let transport = Transport::Bufferevent(underlying);
    // SAFETY: the caller guarantees base, bufferevent and SSL.
    unsafe { create(base, transport, ssl, State::from_number(state), options) }
}

/// Makes a TLS bufferevent on a socket.
///
/// `fd` is a non-blocking socket, which may still be connecting, or -1 for none yet: set it later
/// with bufferevent_setfd() or bufferevent_socket_connect(). An SSL that already has a descriptor
/// keeps it; `fd` must then be that descriptor or -1. Everything about the session, such as
/// certificates, verification and the name of the peer, is set on `ssl` beforehand.
///
/// `state` says what comes first: a handshake as client or server, which starts from the loop and
/// ends with the event `BEV_EVENT_CONNECTED`; or data, with `BUFFEREVENT_SSL_OPEN`. In the first
/// two cases, a handshake that `ssl` had already started is discarded.
///
/// `options` are `BEV_OPT_*` flags. `BEV_OPT_CLOSE_ON_FREE` frees the SSL and closes the socket
/// together with the bufferevent. The library never sends a close notification on its own: call
/// `SSL_shutdown()` before freeing.
///
/// The SSL reads as much from the socket as it can, so use the socket for nothing else.
///
/// Returns the bufferevent, or NULL if `ssl` has a descriptor other than `fd`, `state` or `options`
/// are not valid, or memory is short. In that case the SSL is freed if the options include
/// `BEV_OPT_CLOSE_ON_FREE`; the socket stays open.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_openssl_socket_new(
    base: *mut EventBase,
    fd: EvutilSocket,
    ssl: *mut SSL,
    state: SslStateValue,
    options: c_int,
) -> *mut Bufferevent {
    let transport = Transport::Descriptor(fd);
    // SAFETY: the caller guarantees base and SSL.
    unsafe { create(base, transport, ssl, State::from_number(state), options) }
}

/// Returns 1 if a connection that ends without a close notification counts as properly ended,
/// otherwise 0; -1 if this is not a TLS bufferevent.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_openssl_get_allow_dirty_shutdown(
    bev: *mut Bufferevent,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { with(bev, |tls| tls.allows_dirty_shutdown().get()) }.map_or(-1, c_int::from)
}

/// Sets what happens if the connection ends before the peer has closed the session, which anyone on
/// the network can cause. With `allow_dirty_shutdown`, the event callback gets `BEV_EVENT_EOF`;
/// without, which is the default, it gets `BEV_EVENT_ERROR`. An end in the middle of the handshake
/// is always an error.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_openssl_set_allow_dirty_shutdown(
    bev: *mut Bufferevent,
    allow_dirty_shutdown: c_int,
) {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe {
        with(bev, |tls| {
            tls.allows_dirty_shutdown().set(allow_dirty_shutdown != 0)
        })
    };
}

/// Returns the SSL of a TLS bufferevent, which keeps owning it; NULL for other bufferevents.
///
/// The program may query it, and shut it down before freeing the bufferevent. It must not read,
/// write or replace the BIOs.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_openssl_get_ssl(bufev: *mut Bufferevent) -> *mut SSL {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { of_this_kind(bufev) }.map_or(ptr::null_mut(), TlsPtr::ssl)
}

/// Starts another handshake within a session, before TLS 1.3. `BEV_EVENT_CONNECTED` reports its
/// end.
///
/// Returns 1 if it is already over, which includes TLS 1.3, where nothing happens; 0 if it has
/// started; or -1 if this is not a TLS bufferevent or it failed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_ssl_renegotiate(bev: *mut Bufferevent) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { with(bev, TlsPtr::renegotiate) }.unwrap_or(-1)
}

/// Removes and returns an error that OpenSSL has reported, the most recent first.
///
/// When the event callback is called for an end or an error, up to three are kept: the result of
/// `SSL_get_error()`, then codes of the error queue, which the `ERR_*` functions turn into text.
/// Returns 0 if there are no more, or this is not a TLS bufferevent.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_openssl_error(bev: *mut Bufferevent) -> c_ulong {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { with(bev, TlsPtr::take_error) }.unwrap_or(0)
}
