//! event2/bufferevent_ssl.h: TLS bufferevents.

// What callers guarantee stands in the words of the C documentation.
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
/// That one, `underlying`, may be a socket, also one that is still connecting, a pair, a filter or
/// another TLS bufferevent, and must be of the same `base`. From now on its callbacks belong to
/// the TLS bufferevent, its low and high read watermarks are 0, and it is enabled for both
/// directions; its high write watermark, timeouts and rate limits stay in force. BIOs that `ssl`
/// has are replaced. `state` and `options` are as for bufferevent_openssl_socket_new(), but
/// `BEV_OPT_CLOSE_ON_FREE` frees the SSL and the underlying bufferevent. With
/// `BEV_OPT_THREADSAFE` both bufferevents have one lock.
///
/// Data that is written is encrypted at once.
///
/// Returns the bufferevent, or NULL as bufferevent_openssl_socket_new(), or when `underlying` is
/// NULL.
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
/// `fd` is a non-blocking socket, which may be connecting still; or -1 for none yet: give it one
/// with bufferevent_setfd() or bufferevent_socket_connect(). An SSL that has a descriptor already
/// keeps it; `fd` then is that descriptor or -1. Everything about the session, like certificates,
/// verification and the name of the peer, is set on `ssl` beforehand.
///
/// `state` says what comes first: a handshake as client or server, which begins from the loop and
/// ends with the event `BEV_EVENT_CONNECTED`; or, with `BUFFEREVENT_SSL_OPEN`, data. A handshake
/// that `ssl` had begun in the former two cases is forgotten.
///
/// `options` are `BEV_OPT_*`. `BEV_OPT_CLOSE_ON_FREE` frees the SSL and closes the socket with the
/// bufferevent. Nothing is ever sent to say that the session ends: call `SSL_shutdown()` before
/// freeing.
///
/// The SSL reads as much from the socket as it has room for: use the socket for nothing else.
///
/// Returns the bufferevent, or NULL when `ssl` has another descriptor than `fd`, `state` or
/// `options` make no sense, or memory is short. The SSL is then freed if the options have
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

/// Returns whether an end of the connection without the end of the session is taken for a proper
/// end: 1 or 0; -1 when this is no TLS bufferevent.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_openssl_get_allow_dirty_shutdown(
    bev: *mut Bufferevent,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { with(bev, |tls| tls.allows_dirty_shutdown().get()) }.map_or(-1, c_int::from)
}

/// Sets what to do when the connection ends before the peer has ended the session, which anybody
/// on the way can bring about: unless `allow_dirty_shutdown` is 0, the event callback gets
/// `BEV_EVENT_EOF` for that and not, which is the default, `BEV_EVENT_ERROR`. An end in the middle
/// of the handshake is always an error.
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

/// Returns the SSL of a TLS bufferevent, which owns it as before; NULL for other bufferevents.
///
/// Ask it what you like, and shut it down before freeing; reading, writing and replacing its
/// BIOs are the bufferevent's business.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_openssl_get_ssl(bufev: *mut Bufferevent) -> *mut SSL {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { of_this_kind(bufev) }.map_or(ptr::null_mut(), TlsPtr::ssl)
}

/// Begins another handshake in the middle of a session, before TLS 1.3. `BEV_EVENT_CONNECTED`
/// tells its end.
///
/// Returns 1 when it is over already, which includes TLS 1.3, where nothing happens; 0 when it
/// has begun; -1 when this is no TLS bufferevent, or it failed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_ssl_renegotiate(bev: *mut Bufferevent) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { with(bev, TlsPtr::renegotiate) }.unwrap_or(-1)
}

/// Takes an error that OpenSSL reported, the last one first.
///
/// When the event callback is told of an end or an error, up to three are kept: what
/// `SSL_get_error()` said, then the codes of the error queue, which the functions `ERR_*` make
/// text of. Returns 0 when there are no more, or this is no TLS bufferevent.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_openssl_error(bev: *mut Bufferevent) -> c_ulong {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { with(bev, TlsPtr::take_error) }.unwrap_or(0)
}
