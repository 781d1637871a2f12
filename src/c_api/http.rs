//! event2/http.h: servers and replies.

use super::{EvutilSocket, optional_string, status};
use crate::base::EventBase;
use crate::buffer::Evbuffer;
use crate::bufferevent::Bufferevent;
use crate::http::abi::{BoundSocketFn, EvhttpRequest};
use crate::http::connection::Connection;
use crate::http::listening::{BoundSocket, NotListening};
use crate::http::paths::{Handler, NotAdded};
use crate::http::reply;
use crate::http::server::{Server, ServerPtr};
use crate::listener::{Evconnlistener, Hold};
use libc::timeval;
use std::ffi::{c_char, c_int, c_void};
use std::ptr::{self, NonNull};

/// The server of a call.
///
/// # Safety
/// `http` is a server.
unsafe fn server(http: *mut Server) -> ServerPtr {
    // SAFETY: the caller guarantees the server, which is not at null.
    unsafe { ServerPtr::new(http).unwrap_unchecked() }
}

fn or_null(bound: Result<NonNull<BoundSocket>, NotListening>) -> *mut BoundSocket {
    bound.map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Makes a server that does not listen yet. A `base` of NULL is that of event_init().
///
/// It allows GET, POST, HEAD, PUT and DELETE, limits neither headers nor bodies, and waits for its
/// clients indefinitely: see evhttp_set_timeout(), evhttp_set_max_headers_size() and
/// evhttp_set_max_body_size().
///
/// Returns NULL if memory is short. The caller owns the server and frees it with evhttp_free(),
/// before the base.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_new(base: *mut EventBase) -> *mut Server {
    ServerPtr::create(base).map_or(ptr::null_mut(), ServerPtr::as_ptr)
}

/// Frees a server with its listeners, its connections, and the virtual hosts that were added to it.
///
/// Their sockets are closed. May be called from a callback of one of its requests; that request is
/// freed too unless the program owns it. Requests whose connection is already gone are not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_free(http: *mut Server) {
    // SAFETY: the caller hands the server over.
    if let Some(server) = unsafe { ServerPtr::new(http) } {
        server.free();
    }
}

/// Listens on an address and a port; port 0 lets the kernel choose one.
///
/// `address` is a numeric address or a name. A name is resolved before this returns, and its first
/// address is used. NULL means all IPv4 addresses. May be called several times.
///
/// Returns 0, or -1 if the address cannot be resolved, or cannot be listened on (errno says why).
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_bind_socket(
    http: *mut Server,
    address: *const c_char,
    port: u16,
) -> c_int {
    // SAFETY: the caller guarantees the server and the address.
    status(unsafe { server(http).bind(address, port) })
}

/// Like evhttp_bind_socket(), but returns the listener, which belongs to the server, or NULL on
/// failure.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_bind_socket_with_handle(
    http: *mut Server,
    address: *const c_char,
    port: u16,
) -> *mut BoundSocket {
    // SAFETY: the caller guarantees the server and the address.
    or_null(unsafe { server(http).bind(address, port) })
}

/// Accepts connections on a non-blocking socket that is already listening.
///
/// Returns 0 on success; the server then owns the socket and will close it. Returns -1 on failure;
/// the socket then remains the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_accept_socket(http: *mut Server, fd: EvutilSocket) -> c_int {
    // SAFETY: the caller guarantees the server.
    status(unsafe { server(http) }.accept_on(fd))
}

/// Like evhttp_accept_socket(), but returns the listener, which belongs to the server, or NULL on
/// failure.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_accept_socket_with_handle(
    http: *mut Server,
    fd: EvutilSocket,
) -> *mut BoundSocket {
    // SAFETY: the caller guarantees the server.
    or_null(unsafe { server(http) }.accept_on(fd))
}

/// Accepts connections with a listener that the program has made. Its callback is replaced; its
/// flags stay as they are.
///
/// The server then owns the listener. Returns NULL if memory is short; the listener then remains
/// the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_bind_listener(
    http: *mut Server,
    listener: *mut Evconnlistener,
) -> *mut BoundSocket {
    // SAFETY: the caller guarantees both.
    or_null(unsafe { server(http).adopt_listener(listener) })
}

/// The listener of a bound socket. It belongs to the server.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_bound_socket_get_listener(
    bound: *mut BoundSocket,
) -> *mut Evconnlistener {
    // SAFETY: the caller guarantees the socket.
    unsafe { (*bound).listener() }
}

/// Calls a function for each listener of a server, in the order in which they were added. The
/// function must not add or remove listeners.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_foreach_bound_socket(
    http: *mut Server,
    function: Option<BoundSocketFn>,
    argument: *mut c_void,
) {
    if let Some(function) = function {
        // SAFETY: the caller guarantees the server and the function.
        unsafe { server(http).for_each_socket(|bound| function(bound, argument)) };
    }
}

/// Stops listening on a socket and closes it. `bound` is then no longer valid; connections that
/// were already accepted continue.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_del_accept_socket(
    http: *mut Server,
    bound: *mut BoundSocket,
) {
    // SAFETY: the caller guarantees the server and that the socket is its.
    unsafe { server(http).remove_socket(bound) };
}

/// The descriptor of a bound socket. It belongs to the server.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_bound_socket_get_fd(
    bound: *mut BoundSocket,
) -> EvutilSocket {
    // SAFETY: the caller guarantees the socket.
    unsafe { Hold::new((*bound).listener()).fd() }
}

/// Limits the size of the first line and the headers of a request, in bytes without line ends; a
/// negative number means no limit. Longer requests are answered with 400. Applies to connections
/// accepted from now on.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_set_max_headers_size(
    http: *mut Server,
    max_headers_size: isize,
) {
    // SAFETY: the caller guarantees the server.
    unsafe { server(http) }.set_most_headers(max_headers_size);
}

/// Limits the size of the body of a request, in bytes; a negative number means no limit. Longer
/// requests are answered with 413. Applies to connections accepted from now on.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_set_max_body_size(http: *mut Server, max_body_size: isize) {
    // SAFETY: the caller guarantees the server.
    unsafe { server(http) }.set_most_body(max_body_size);
}

/// Sets the Content-Type of replies that have a body but no Content-Type of their own; NULL for
/// none. The string is copied.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_set_default_content_type(
    http: *mut Server,
    content_type: *const c_char,
) {
    // SAFETY: the caller guarantees the server and the string.
    unsafe {
        let kind = optional_string(content_type).map(|kind| kind.to_bytes());
        server(http).set_content_type(kind);
    }
}

/// Sets the methods that a server allows, as `EVHTTP_REQ_*` bits. Requests with other methods are
/// answered with 501. Bit 15 stands for all methods that have no constant.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_set_allowed_methods(http: *mut Server, methods: u16) {
    // SAFETY: the caller guarantees the server.
    unsafe { server(http) }.set_methods(methods);
}

/// Sets the function that handles requests for a path. It is compared with the path of the request
/// after percent-decoding, without the query.
///
/// Returns 0, -1 if the path already has a function, or -2 if memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_set_cb(
    http: *mut Server,
    path: *const c_char,
    cb: Option<unsafe extern "C-unwind" fn(req: *mut EvhttpRequest, arg: *mut c_void)>,
    cb_arg: *mut c_void,
) -> c_int {
    // SAFETY: the caller guarantees the server and the path.
    unsafe {
        let (Some(path), Some(callback)) = (optional_string(path), cb) else {
            return -1;
        };
        let handler = Handler {
            callback,
            argument: cb_arg,
            gone: None,
        };
        match server(http).add_path(path.to_bytes(), handler) {
            Ok(()) => 0,
            Err(NotAdded::Present) => -1,
            Err(NotAdded::Memory) => -2,
        }
    }
}

/// Removes the function that handles requests for a path. The function itself may call this.
///
/// Returns 0, or -1 if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_del_cb(http: *mut Server, path: *const c_char) -> c_int {
    // SAFETY: the caller guarantees the server and the path.
    unsafe {
        let path = optional_string(path);
        let removed = path.filter(|path| server(http).remove_path(path.to_bytes()));
        status(removed.ok_or(()))
    }
}

/// Sets the function that handles requests for all paths without a function of their own; NULL for
/// none. Without it they are answered with 404.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_set_gencb(
    http: *mut Server,
    cb: Option<unsafe extern "C-unwind" fn(req: *mut EvhttpRequest, arg: *mut c_void)>,
    arg: *mut c_void,
) {
    let handler = cb.map(|callback| Handler {
        callback,
        argument: arg,
        gone: None,
    });
    // SAFETY: the caller guarantees the server.
    unsafe { server(http) }.set_fallback(handler);
}

/// Sets a function that makes the bufferevents for accepted connections, for example with
/// bufferevent_openssl_socket_new() for HTTPS.
///
/// It must return a bufferevent without a descriptor, which the connection then owns. If `cb` is
/// NULL, or returns NULL, a plain socket bufferevent is used.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_set_bevcb(
    http: *mut Server,
    cb: Option<
        unsafe extern "C-unwind" fn(base: *mut EventBase, arg: *mut c_void) -> *mut Bufferevent,
    >,
    arg: *mut c_void,
) {
    // SAFETY: the caller guarantees the server.
    unsafe { server(http) }.set_bufferevent_maker(cb, arg);
}

/// Lets another server handle requests for hosts that match a pattern, in which `*` stands for any
/// text. Case is ignored.
///
/// Only the path functions, aliases and virtual hosts of `vhost` are used; all other settings are
/// those of the server that accepted the connection. `vhost` must not listen itself. It is freed
/// together with `http`.
///
/// Returns 0, or -1 if `vhost` listens or is a virtual host already, or memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_add_virtual_host(
    http: *mut Server,
    pattern: *const c_char,
    vhost: *mut Server,
) -> c_int {
    // SAFETY: the caller guarantees both servers and the pattern.
    unsafe {
        match optional_string(pattern) {
            Some(pattern) => {
                status(server(http).add_virtual_host(pattern.to_bytes(), server(vhost)))
            }
            None => -1,
        }
    }
}

/// Removes a virtual host; the caller then owns it again. Returns 0, or -1 if it is not a virtual
/// host of this server.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_remove_virtual_host(
    http: *mut Server,
    vhost: *mut Server,
) -> c_int {
    // SAFETY: the caller guarantees both servers.
    status(unsafe { server(http).remove_virtual_host(server(vhost)) })
}

/// Gives a server or virtual host another host name. Names are compared before any pattern is.
/// Returns 0, or -1 if memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_add_server_alias(
    http: *mut Server,
    alias: *const c_char,
) -> c_int {
    // SAFETY: the caller guarantees the server and the name.
    unsafe {
        match optional_string(alias) {
            Some(alias) => status(server(http).add_alias(alias.to_bytes())),
            None => -1,
        }
    }
}

/// Removes a name that evhttp_add_server_alias() added. Returns 0, or -1 if this server does not
/// have it.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_remove_server_alias(
    http: *mut Server,
    alias: *const c_char,
) -> c_int {
    // SAFETY: the caller guarantees the server and the name.
    unsafe {
        let alias = optional_string(alias);
        let removed = alias.filter(|alias| server(http).remove_alias(alias.to_bytes()));
        status(removed.ok_or(()))
    }
}

/// Sets the timeout of connections accepted from now on, in seconds. It passes when nothing was
/// received or sent for that long although something should have been. 0 and -1 mean no timeout.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_set_timeout(http: *mut Server, timeout_in_secs: c_int) {
    // SAFETY: the caller guarantees the server.
    unsafe { server(http) }.set_timeout(timeval {
        tv_sec: timeout_in_secs.max(0).into(),
        tv_usec: 0,
    });
}

/// Like evhttp_set_timeout(), with a `struct timeval`; NULL means no timeout.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_set_timeout_tv(http: *mut Server, tv: *const timeval) {
    // SAFETY: the caller guarantees the server and the time.
    unsafe {
        server(http).set_timeout(tv.as_ref().copied().unwrap_or(timeval {
            tv_sec: 0,
            tv_usec: 0,
        }));
    }
}

/// Sets the `EVHTTP_SERVER_*` flags of a server, replacing those it had.
///
/// Returns 0, or 1, with nothing changed, if there are unknown flags among them.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_set_flags(http: *mut Server, flags: c_int) -> c_int {
    // SAFETY: the caller guarantees the server.
    let known = unsafe { server(http) }.set_flags(flags);
    c_int::from(!known)
}

/// Replies with an HTML page that describes an error, and closes the connection afterwards. Headers
/// that the program has set are not sent.
///
/// `reason` is put into the page without escaping; NULL means the standard phrase for the code. If
/// the connection is gone, this only frees the request.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_send_error(
    req: *mut EvhttpRequest,
    error: c_int,
    reason: *const c_char,
) {
    // SAFETY: the caller guarantees the request and the reason.
    unsafe {
        let reason = optional_string(reason).map(|reason| reason.to_bytes());
        reply::send_error(req, error, reason);
    }
}

/// Replies with a status, the headers of evhttp_request_get_output_headers() and a body.
///
/// A NULL `reason` means the standard phrase; line breaks in it become spaces. `databuf`, which may
/// be NULL, is emptied and remains the caller's. Content-Length, Content-Type and Date are added as
/// needed. For HEAD requests, and with codes that have no body, no body is sent.
///
/// The reply is sent from the loop. The request stays valid until it has been sent; then the
/// library frees it. If the connection is gone, this only frees the request.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_send_reply(
    req: *mut EvhttpRequest,
    code: c_int,
    reason: *const c_char,
    databuf: *mut Evbuffer,
) {
    // SAFETY: the caller guarantees the request, the reason and the buffer.
    unsafe {
        let reason = optional_string(reason).map(|reason| reason.to_bytes());
        reply::send(req, code, reason, databuf);
    }
}

/// Starts a reply whose body is sent in pieces: sends the status and the headers.
///
/// Unless the program has set a Content-Length, the body is chunked for HTTP/1.1 clients; for older
/// ones it ends with the connection. Continue with evhttp_send_reply_chunk() and
/// evhttp_send_reply_end(). Does nothing if the connection is gone.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_send_reply_start(
    req: *mut EvhttpRequest,
    code: c_int,
    reason: *const c_char,
) {
    // SAFETY: the caller guarantees the request and the reason.
    unsafe {
        let reason = optional_string(reason).map(|reason| reason.to_bytes());
        reply::start(req, code, reason);
    }
}

/// Sends a piece of a body and empties `databuf`. If `databuf` is empty, nothing is sent.
///
/// Does nothing if the connection is gone or the reply has no body.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_send_reply_chunk(
    req: *mut EvhttpRequest,
    databuf: *mut Evbuffer,
) {
    // SAFETY: the caller guarantees the request and the buffer.
    unsafe { reply::send_piece(req, databuf, None, ptr::null_mut()) };
}

/// Like evhttp_send_reply_chunk(). In addition, `cb` is called once, from the loop, when everything
/// sent so far has been written, so that the program can keep in step with a slow client.
///
/// `cb` may send more, end the reply, or free the connection. Only the function of the latest call
/// is called. It is not called if the connection fails.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_send_reply_chunk_with_cb(
    req: *mut EvhttpRequest,
    databuf: *mut Evbuffer,
    cb: Option<unsafe extern "C-unwind" fn(evcon: *mut Connection, arg: *mut c_void)>,
    arg: *mut c_void,
) {
    // SAFETY: the caller guarantees the request and the buffer.
    unsafe { reply::send_piece(req, databuf, cb, arg) };
}

/// Ends a reply that evhttp_send_reply_start() started. The library frees the request when
/// everything has been written, which may be during this call, or at once if the connection is
/// gone.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_send_reply_end(req: *mut EvhttpRequest) {
    // SAFETY: the caller guarantees the request.
    unsafe { reply::end(req) };
}
