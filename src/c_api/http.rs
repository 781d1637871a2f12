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

/// Makes a server that listens nowhere yet. A `base` of NULL is that of event_init().
///
/// It allows GET, POST, HEAD, PUT and DELETE, limits neither headers nor bodies, and waits for its
/// clients without end: see evhttp_set_timeout(), evhttp_set_max_headers_size() and
/// evhttp_set_max_body_size().
///
/// Returns NULL when memory is short. The caller owns it: evhttp_free(), before the base is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_new(base: *mut EventBase) -> *mut Server {
    ServerPtr::create(base).map_or(ptr::null_mut(), ServerPtr::as_ptr)
}

/// Frees a server with its listeners, its connections, and the virtual hosts that were added to it.
///
/// Their sockets are closed. May be called by a callback of one of its requests, which is freed
/// too unless the program owns it. A request whose connection has gone before stays.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_free(http: *mut Server) {
    // SAFETY: the caller hands the server over.
    if let Some(server) = unsafe { ServerPtr::new(http) } {
        server.free();
    }
}

/// Listens on an address and a port; port 0 is one that the kernel chooses.
///
/// `address` is a numeric address, or a name, for which this waits and of which the first address
/// counts. NULL is every address of IPv4. May be called several times.
///
/// Returns -1 when the address cannot be resolved, or with errno when it cannot be listened on.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_bind_socket(
    http: *mut Server,
    address: *const c_char,
    port: u16,
) -> c_int {
    // SAFETY: the caller guarantees the server and the address.
    status(unsafe { server(http).bind(address, port) })
}

/// Like evhttp_bind_socket(), but returns the listener, which stays the server's, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_bind_socket_with_handle(
    http: *mut Server,
    address: *const c_char,
    port: u16,
) -> *mut BoundSocket {
    // SAFETY: the caller guarantees the server and the address.
    or_null(unsafe { server(http).bind(address, port) })
}

/// Accepts connections on a socket that listens already and does not block.
///
/// Returns 0, and the socket is the server's, which will close it; or -1, and it stays the
/// caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_accept_socket(http: *mut Server, fd: EvutilSocket) -> c_int {
    // SAFETY: the caller guarantees the server.
    status(unsafe { server(http) }.accept_on(fd))
}

/// Like evhttp_accept_socket(), but returns the listener, which stays the server's, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_accept_socket_with_handle(
    http: *mut Server,
    fd: EvutilSocket,
) -> *mut BoundSocket {
    // SAFETY: the caller guarantees the server.
    or_null(unsafe { server(http) }.accept_on(fd))
}

/// Accepts the connections of a listener of the program's. Its callback is replaced; its flags, of
/// whatever kind its socket is, stay.
///
/// The listener is the server's from then on. Returns NULL when memory is short; it stays the
/// caller's then.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_bind_listener(
    http: *mut Server,
    listener: *mut Evconnlistener,
) -> *mut BoundSocket {
    // SAFETY: the caller guarantees both.
    or_null(unsafe { server(http).adopt_listener(listener) })
}

/// The listener of a bound socket. It stays the server's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_bound_socket_get_listener(
    bound: *mut BoundSocket,
) -> *mut Evconnlistener {
    // SAFETY: the caller guarantees the socket.
    unsafe { (*bound).listener() }
}

/// Calls a function for each listener of a server, in the order in which they were added. It must
/// not add or remove any.
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

/// Stops listening on a socket, which is closed. `bound` is not valid any more; connections that
/// were accepted go on.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_del_accept_socket(
    http: *mut Server,
    bound: *mut BoundSocket,
) {
    // SAFETY: the caller guarantees the server and that the socket is its.
    unsafe { server(http).remove_socket(bound) };
}

/// The descriptor of a bound socket. It stays the server's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_bound_socket_get_fd(
    bound: *mut BoundSocket,
) -> EvutilSocket {
    // SAFETY: the caller guarantees the socket.
    unsafe { Hold::new((*bound).listener()).fd() }
}

/// Limits the first line and the headers of requests on connections that are accepted from now on,
/// in bytes without line ends; a negative number is no limit. What is longer is answered with 400.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_set_max_headers_size(
    http: *mut Server,
    max_headers_size: isize,
) {
    // SAFETY: the caller guarantees the server.
    unsafe { server(http) }.set_most_headers(max_headers_size);
}

/// Limits the body of requests on connections that are accepted from now on, in bytes; a negative
/// number is no limit. What is longer is answered with 413.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_set_max_body_size(http: *mut Server, max_body_size: isize) {
    // SAFETY: the caller guarantees the server.
    unsafe { server(http) }.set_most_body(max_body_size);
}

/// Sets the type of replies with a body for which the program names none; NULL for none. It is
/// copied.
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

/// Sets the methods that a server allows, `EVHTTP_REQ_*` or-ed. Requests with others are answered
/// with 501. Bit 15 stands for those that have no name here.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_set_allowed_methods(http: *mut Server, methods: u16) {
    // SAFETY: the caller guarantees the server.
    unsafe { server(http) }.set_methods(methods);
}

/// Sets what handles requests for a path, which is compared with that of the target after escapes
/// were undone. The query does not count.
///
/// Returns 0, -1 when the path has a function already, -2 when memory is short.
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

/// Removes what handles requests for a path; that function itself may call this.
///
/// Returns 0, or -1 when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_del_cb(http: *mut Server, path: *const c_char) -> c_int {
    // SAFETY: the caller guarantees the server and the path.
    unsafe {
        let path = optional_string(path);
        let removed = path.filter(|path| server(http).remove_path(path.to_bytes()));
        status(removed.ok_or(()))
    }
}

/// Sets what handles requests for paths that have no function of their own; NULL for none. Without
/// it they are answered with 404.
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

/// Sets what makes the bufferevents of accepted connections: one without a descriptor, which the
/// connection then owns. NULL, as `cb` or as its result, is a usual one. For TLS it makes one of
/// bufferevent_openssl_socket_new().
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

/// Has another server handle requests for hosts that fit a pattern, in which `*` stands for any
/// text. Letters of either case are the same.
///
/// Only functions for paths, aliases and virtual hosts of `vhost` count; all else is that of the
/// server that accepted the connection. It must not listen itself. It is freed with `http`.
///
/// Returns -1 when it listens, is a virtual host already, or memory is short.
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

/// Gives a virtual host back to the caller, who owns it again. Returns -1 when it is none of this
/// server.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_remove_virtual_host(
    http: *mut Server,
    vhost: *mut Server,
) -> c_int {
    // SAFETY: the caller guarantees both servers.
    status(unsafe { server(http).remove_virtual_host(server(vhost)) })
}

/// Gives a server, or a virtual host, a name by which it is chosen before any pattern is looked at.
/// Returns -1 when memory is short.
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

/// Takes a name away. Returns -1 when this very server does not have it.
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

/// Sets the timeout of connections that are accepted from now on, in seconds: so long nothing may
/// come in, or go out, when something should. 0 and -1 are none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_set_timeout(http: *mut Server, timeout_in_secs: c_int) {
    // SAFETY: the caller guarantees the server.
    unsafe { server(http) }.set_timeout(timeval {
        tv_sec: timeout_in_secs.max(0).into(),
        tv_usec: 0,
    });
}

/// Like evhttp_set_timeout(), with a time; NULL is none.
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

/// Sets the flags of a server, `EVHTTP_SERVER_*` or-ed, in place of those that it had.
///
/// Returns 0, or 1, with nothing changed, when there are others among them.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_set_flags(http: *mut Server, flags: c_int) -> c_int {
    // SAFETY: the caller guarantees the server.
    let known = unsafe { server(http) }.set_flags(flags);
    c_int::from(!known)
}

/// Replies with an HTML page that tells an error. The connection ends after it, and headers that
/// were to go out do not.
///
/// `reason` goes into the page as it is; NULL is the usual phrase. If the connection has gone, this
/// only frees the request.
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
/// `reason` NULL is the usual phrase; line ends in it become blanks. `databuf`, which may be NULL,
/// is emptied and stays the caller's. Headers that tell length, type and date are added. To HEAD,
/// and with codes that have none, no body is sent.
///
/// The reply is sent from the loop. Until it has been, the request is valid; then the library frees
/// it. If the connection has gone, this only frees the request.
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

/// Begins a reply whose body is sent in pieces: sends status and headers.
///
/// Without a Content-Length of the program's, the body goes in chunks to clients of HTTP/1.1, and
/// for older ones ends with the connection. evhttp_send_reply_chunk() and evhttp_send_reply_end()
/// follow. Does nothing if the connection has gone.
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

/// Sends a piece of a body, which is moved out of `databuf`. An empty one sends nothing.
///
/// Does nothing if the connection has gone, or the reply has no body.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_send_reply_chunk(
    req: *mut EvhttpRequest,
    databuf: *mut Evbuffer,
) {
    // SAFETY: the caller guarantees the request and the buffer.
    unsafe { reply::send_piece(req, databuf, None, ptr::null_mut()) };
}

/// Like evhttp_send_reply_chunk(); `cb` is called once, from the loop, when all that was sent so far
/// has been written, so that the program need not have more in memory than its clients take.
///
/// It may send more, end the reply, or free the connection. Only the function of the last call
/// counts. It is not called if the connection goes.
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

/// Ends a reply of evhttp_send_reply_start(). The library frees the request when all has been
/// written, which may be in this call; at once if the connection has gone.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_send_reply_end(req: *mut EvhttpRequest) {
    // SAFETY: the caller guarantees the request.
    unsafe { reply::end(req) };
}
