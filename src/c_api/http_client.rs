//! event2/http.h: connections, requests and what they consist of.

use super::{give, optional_string, status};
use crate::base::EventBase;
use crate::buffer::Evbuffer;
use crate::bufferevent::Bufferevent;
use crate::http::abi::{CommandValue, EvhttpRequest, RequestErrorValue, flag};
use crate::http::connection::{Connection, ConnectionPtr};
use crate::http::headers::Evkeyvalq;
use crate::http::request::RequestPtr;
use crate::http::server::Server;
use crate::http::uri::Uri;
use crate::http::{client, connect};
use libc::{sockaddr, timeval};
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

/// `struct evdns_base`, of a layer beside this one.
/// cbindgen:ignore
type EvdnsBase = c_void;

/// The connection of a call.
///
/// # Safety
/// `evcon` is a connection.
unsafe fn connection(evcon: *mut Connection) -> ConnectionPtr {
    // SAFETY: the caller guarantees the connection, which is not at null.
    unsafe { ConnectionPtr::new(evcon).unwrap_unchecked() }
}

/// Makes a connection for requests to a host. Nothing is looked up or connected before the first
/// request.
///
/// `address` is a name or a numeric address, and copied. With a `dnsbase` names are looked up from
/// the loop; with NULL the first request waits for that. `bev`, if not NULL, is a bufferevent
/// without a descriptor, which the connection then owns; one of TLS makes it a client of HTTPS. A
/// `base` of NULL is that of event_init().
///
/// Returns NULL when memory is short; `bev` stays the caller's then. The caller owns the
/// connection: evhttp_connection_free().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_base_bufferevent_new(
    base: *mut EventBase,
    dnsbase: *mut EvdnsBase,
    bev: *mut Bufferevent,
    address: *const c_char,
    port: u16,
) -> *mut Connection {
    // SAFETY: the caller guarantees all of these.
    unsafe {
        let Some(address) = optional_string(address) else {
            return ptr::null_mut();
        };
        connect::create(base, dnsbase, bev, address.to_bytes(), port)
            .map_or(ptr::null_mut(), ConnectionPtr::as_ptr)
    }
}

/// Makes a connection for requests to a host, on a bufferevent of its own: see
/// evhttp_connection_base_bufferevent_new().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_base_new(
    base: *mut EventBase,
    dnsbase: *mut EvdnsBase,
    address: *const c_char,
    port: u16,
) -> *mut Connection {
    // SAFETY: the caller guarantees all of these.
    unsafe { evhttp_connection_base_bufferevent_new(base, dnsbase, ptr::null_mut(), address, port) }
}

/// The bufferevent of a connection. It stays the connection's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_get_bufferevent(
    evcon: *mut Connection,
) -> *mut Bufferevent {
    // SAFETY: the caller guarantees the connection.
    unsafe { connection(evcon) }.bufferevent_ptr()
}

/// The server that accepted a connection; NULL for a client's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_get_server(
    evcon: *mut Connection,
) -> *mut Server {
    // SAFETY: the caller guarantees the connection.
    unsafe { connection(evcon) }.server_ptr()
}

/// The base of a connection.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_get_base(req: *mut Connection) -> *mut EventBase {
    // SAFETY: the caller guarantees the connection.
    unsafe { connection(req) }.base()
}

/// Chooses the family of the addresses that a client connects to: `AF_UNSPEC`, as at first, for
/// either, `AF_INET` or `AF_INET6`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_set_family(
    evcon: *mut Connection,
    family: c_int,
) {
    // SAFETY: the caller guarantees the connection.
    unsafe { connection(evcon) }.set_family(family);
}

/// Sets the flags of a client's connection, `EVHTTP_CON_REUSE_CONNECTED_ADDR` and
/// `EVHTTP_CON_READ_ON_WRITE_ERROR` or-ed, in place of those that it had.
///
/// Returns 0, or 1, with nothing changed, when there are others among them.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_set_flags(
    evcon: *mut Connection,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the connection.
    let known = unsafe { connection(evcon) }.set_flags(flags);
    c_int::from(!known)
}

/// Limits the first line and the headers of messages that come in, in bytes without line ends; a
/// negative number is no limit.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_set_max_headers_size(
    evcon: *mut Connection,
    new_max_headers_size: isize,
) {
    // SAFETY: the caller guarantees the connection.
    unsafe { connection(evcon) }.set_most_headers(new_max_headers_size);
}

/// Limits the body of messages that come in, in bytes; a negative number is no limit.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_set_max_body_size(
    evcon: *mut Connection,
    new_max_body_size: isize,
) {
    // SAFETY: the caller guarantees the connection.
    unsafe { connection(evcon) }.set_most_body(new_max_body_size);
}

/// Frees a connection with its bufferevent, and closes its socket.
///
/// Requests on it are freed, unless the program owns them, and none of their callbacks is called.
/// May be called by them.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_free(evcon: *mut Connection) {
    // SAFETY: the caller hands the connection over.
    if let Some(connection) = unsafe { ConnectionPtr::new(evcon) } {
        connection.free();
    }
}

/// Has a client's connection freed when it has no request any more and is not connected: after the
/// last reply if the connection ends with it, else when the server or a timeout ends it.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_free_on_completion(evcon: *mut Connection) {
    // SAFETY: the caller guarantees the connection.
    unsafe { connection(evcon) }.free_on_completion();
}

/// Sets the address that a client connects from, which is copied. It must not be connected.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_set_local_address(
    evcon: *mut Connection,
    address: *const c_char,
) {
    // SAFETY: the caller guarantees the connection and the address.
    unsafe {
        let address = optional_string(address).map(|address| address.to_bytes());
        connection(evcon).set_local_address(address);
    }
}

/// Sets the port that a client connects from; 0, as at first, is any. It must not be connected.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_set_local_port(
    evcon: *mut Connection,
    port: u16,
) {
    // SAFETY: the caller guarantees the connection.
    unsafe { connection(evcon) }.set_local_port(port);
}

/// Sets the timeout of a connection in seconds: for connecting, and for how long nothing may come
/// in or go out when something should. -1 is the usual ones: 45 seconds to connect, 50 for the
/// others.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_set_timeout(
    evcon: *mut Connection,
    timeout_in_secs: c_int,
) {
    let timeout = (timeout_in_secs != -1).then(|| timeval {
        tv_sec: timeout_in_secs.into(),
        tv_usec: 0,
    });
    // SAFETY: the caller guarantees the connection.
    connect::set_timeouts(unsafe { connection(evcon) }, timeout);
}

/// Like evhttp_connection_set_timeout(), with a time; NULL is the usual ones.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_set_timeout_tv(
    evcon: *mut Connection,
    tv: *const timeval,
) {
    // SAFETY: the caller guarantees the connection and the time.
    unsafe { connect::set_timeouts(connection(evcon), tv.as_ref().copied()) };
}

/// Sets the pause before a client connects again, which doubles from attempt to attempt up to an
/// hour; NULL is 2 seconds.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_set_initial_retry_tv(
    evcon: *mut Connection,
    tv: *const timeval,
) {
    // SAFETY: the caller guarantees the connection and the time.
    unsafe { connection(evcon).set_first_pause(tv.as_ref().copied()) };
}

/// Sets how often a client connects again when the host refuses or does not answer; -1 is without
/// end, 0, as at first, is never.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_set_retries(
    evcon: *mut Connection,
    retry_max: c_int,
) {
    // SAFETY: the caller guarantees the connection.
    unsafe { connection(evcon) }.set_retries(retry_max);
}

/// Sets what is called when a connection ends that was made, just before its socket is closed. It
/// must not free the connection.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_set_closecb(
    evcon: *mut Connection,
    cb: Option<unsafe extern "C-unwind" fn(evcon: *mut Connection, arg: *mut c_void)>,
    arg: *mut c_void,
) {
    // SAFETY: the caller guarantees the connection.
    unsafe { connection(evcon) }.set_close_callback(cb, arg);
}

/// Tells the host and port of a client's connection, the numeric address of the peer of a server's.
/// The string stays the connection's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_get_peer(
    evcon: *mut Connection,
    address: *mut *mut c_char,
    port: *mut u16,
) {
    // SAFETY: the caller guarantees the connection and the places.
    unsafe {
        let (host, number) = connection(evcon).peer();
        give(address, host);
        give(port, number);
    }
}

/// The address of the peer, never NULL; of family `AF_UNSPEC` before anything was connected. It
/// stays the connection's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_get_addr(
    evcon: *mut Connection,
) -> *const sockaddr {
    // SAFETY: the caller guarantees the connection.
    unsafe { connection(evcon) }.peer_address()
}

/// Makes a request with the method `type` for `uri`, which goes out as it is. Requests on a
/// connection wait for each other; it is made when it is needed.
///
/// Content-Length is added for a body, and for POST and PUT; Host is not. The callback of the
/// request gets it with the reply, or with a code of 0 when no connection could be made, or NULL
/// when it failed. Then the library frees it, unless the program owns it.
///
/// Returns -1 when memory is short, the local address cannot be had, or `uri` has a line end. Then
/// no callback follows, and the request is freed, unless the program owns it.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_make_request(
    evcon: *mut Connection,
    req: *mut EvhttpRequest,
    r#type: CommandValue,
    uri: *const c_char,
) -> c_int {
    // SAFETY: the caller guarantees all of these.
    unsafe {
        let (Some(request), Some(uri)) = (RequestPtr::new(req), optional_string(uri)) else {
            return -1;
        };
        status(connection(evcon).make_request(request, r#type, uri.to_bytes()))
    }
}

/// Gives a request of a client up; it is freed unless the program owns it.
///
/// If it was its turn, its error callback gets `EVREQ_HTTP_REQUEST_CANCEL`, and those behind it go
/// on over another connection. Its other callbacks are not called any more.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_cancel_request(req: *mut EvhttpRequest) {
    // SAFETY: the caller guarantees the request.
    if let Some(request) = unsafe { RequestPtr::new(req) } {
        client::cancel(request);
    }
}

/// Makes a request for evhttp_make_request(). `cb` is called when it is done: see there. NULL when
/// memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_new(
    cb: Option<unsafe extern "C-unwind" fn(req: *mut EvhttpRequest, arg: *mut c_void)>,
    arg: *mut c_void,
) -> *mut EvhttpRequest {
    RequestPtr::create(cb, arg).map_or(ptr::null_mut(), RequestPtr::as_ptr)
}

/// Sets what is called with each piece of the body of a reply: with each chunk of a body in chunks,
/// else with what has come in.
///
/// The piece is in evhttp_request_get_input_buffer(); what is left there is thrown away. It may
/// cancel the request and free the connection.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_set_chunked_cb(
    req: *mut EvhttpRequest,
    cb: Option<unsafe extern "C-unwind" fn(req: *mut EvhttpRequest, arg: *mut c_void)>,
) {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).chunk_cb.set(cb) };
}

/// Sets what is called when the headers of a reply have come in. If it returns a negative number
/// the request fails.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_set_header_cb(
    req: *mut EvhttpRequest,
    cb: Option<unsafe extern "C-unwind" fn(req: *mut EvhttpRequest, arg: *mut c_void) -> c_int>,
) {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).header_cb.set(cb) };
}

/// Sets what is called when a request fails, with the reason and the argument of the request.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_set_error_cb(
    req: *mut EvhttpRequest,
    cb: Option<unsafe extern "C-unwind" fn(error: RequestErrorValue, arg: *mut c_void)>,
) {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).error_cb.set(cb) };
}

/// Sets what is called when the reply of a server has been written, before the request is freed. It
/// must not free the request or its connection.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_set_on_complete_cb(
    req: *mut EvhttpRequest,
    cb: Option<unsafe extern "C-unwind" fn(req: *mut EvhttpRequest, arg: *mut c_void)>,
    cb_arg: *mut c_void,
) {
    // SAFETY: the caller guarantees the request.
    unsafe {
        (*req).on_complete_cb.set(cb);
        (*req).on_complete_cb_arg.set(cb_arg);
    }
}

/// Frees a request that was not made, that the program owns, or whose connection has gone. While a
/// callback of it runs, it is freed when that returns.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_free(req: *mut EvhttpRequest) {
    // SAFETY: the caller hands the request over.
    if let Some(request) = unsafe { RequestPtr::new(req) } {
        request.free();
    }
}

/// Makes a request of a client the program's: it frees it with evhttp_request_free() when it is
/// done.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_own(req: *mut EvhttpRequest) {
    // SAFETY: the caller guarantees the request.
    if let Some(request) = unsafe { RequestPtr::new(req) } {
        request.insert(flag::USER_OWNED);
    }
}

/// Whether a request is the program's: 1 or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_is_owned(req: *mut EvhttpRequest) -> c_int {
    // SAFETY: the caller guarantees the request.
    let request = unsafe { RequestPtr::new(req) };
    c_int::from(request.is_some_and(|request| request.has(flag::USER_OWNED)))
}

/// The connection of a request; NULL when there is none, or none any more.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_connection(
    req: *mut EvhttpRequest,
) -> *mut Connection {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).evcon.get() }
}

/// The target of a request as it stands there. It stays the request's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_uri(req: *const EvhttpRequest) -> *const c_char {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).uri.get() }
}

/// The target of a request to a server, taken apart; NULL for a client's. It stays the request's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_evhttp_uri(
    req: *const EvhttpRequest,
) -> *const Uri {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).uri_elems.get() }
}

/// The method of a request; 32768 stands for one that has no name here.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_command(
    req: *const EvhttpRequest,
) -> CommandValue {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).method.get() }
}

/// The status of the reply; 0 when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_response_code(
    req: *const EvhttpRequest,
) -> c_int {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).response_code.get() }
}

/// The text behind the status of the reply; NULL when there is none. It stays the request's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_response_code_line(
    req: *const EvhttpRequest,
) -> *const c_char {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).response_code_line.get() }
}

/// The headers that came in. They stay the request's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_input_headers(
    req: *mut EvhttpRequest,
) -> *mut Evkeyvalq {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).input_headers.get() }
}

/// The headers to go out. They stay the request's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_output_headers(
    req: *mut EvhttpRequest,
) -> *mut Evkeyvalq {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).output_headers.get() }
}

/// The body that came in. It stays the request's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_input_buffer(
    req: *mut EvhttpRequest,
) -> *mut Evbuffer {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).input_buffer.get() }
}

/// The body to go out. It stays the request's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_output_buffer(
    req: *mut EvhttpRequest,
) -> *mut Evbuffer {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).output_buffer.get() }
}

/// The host that a request is for, without a port: that of the target, else that of the header
/// Host, else NULL. It stays the request's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_host(req: *mut EvhttpRequest) -> *const c_char {
    // SAFETY: the caller guarantees the request.
    unsafe { RequestPtr::new(req) }.map_or(ptr::null(), RequestPtr::host)
}
