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

/// Makes a client's connection to a host. Nothing is looked up or connected before the first
/// request.
///
/// `address` is a name or a numeric address, and is copied. With a `dnsbase`, names are looked up
/// in the background; with NULL, the first request blocks for that. `bev`, if not NULL, is a
/// bufferevent without a descriptor, which the connection then owns; use a TLS bufferevent for
/// HTTPS. A `base` of NULL is that of event_init().
///
/// Returns NULL if memory is short; `bev` then remains the caller's. The caller owns the connection
/// and frees it with evhttp_connection_free().
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

/// Makes a client's connection to a host, with a bufferevent of its own: see
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

/// The bufferevent of a connection, which owns it.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_get_bufferevent(
    evcon: *mut Connection,
) -> *mut Bufferevent {
    // SAFETY: the caller guarantees the connection.
    unsafe { connection(evcon) }.bufferevent_ptr()
}

/// The server that accepted a connection; NULL for a client's connection.
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

/// Chooses the family of the addresses that a client connects to: `AF_INET`, `AF_INET6`, or
/// `AF_UNSPEC`, the default, for either.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_set_family(
    evcon: *mut Connection,
    family: c_int,
) {
    // SAFETY: the caller guarantees the connection.
    unsafe { connection(evcon) }.set_family(family);
}

/// Sets the flags of a client's connection, `EVHTTP_CON_REUSE_CONNECTED_ADDR` and
/// `EVHTTP_CON_READ_ON_WRITE_ERROR`, replacing those it had.
///
/// Returns 0, or 1, with nothing changed, if there are other flags among them.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_set_flags(
    evcon: *mut Connection,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the connection.
    let known = unsafe { connection(evcon) }.set_flags(flags);
    c_int::from(!known)
}

/// Limits the size of the first line and the headers of incoming messages, in bytes without line
/// ends; a negative number means no limit.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_set_max_headers_size(
    evcon: *mut Connection,
    new_max_headers_size: isize,
) {
    // SAFETY: the caller guarantees the connection.
    unsafe { connection(evcon) }.set_most_headers(new_max_headers_size);
}

/// Limits the size of the body of incoming messages, in bytes; a negative number means no limit.
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
/// Its requests are freed, except those that the program owns, and none of their callbacks is
/// called. May be called from one of these callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_free(evcon: *mut Connection) {
    // SAFETY: the caller hands the connection over.
    if let Some(connection) = unsafe { ConnectionPtr::new(evcon) } {
        connection.free();
    }
}

/// Lets the library free a client's connection once it has no more requests and is not connected:
/// after the last reply if that closes the connection, otherwise when the server or a timeout
/// closes it.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_free_on_completion(evcon: *mut Connection) {
    // SAFETY: the caller guarantees the connection.
    unsafe { connection(evcon) }.free_on_completion();
}

/// Sets the address that a client connects from. The string is copied. Call it while the connection
/// is not connected.
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

/// Sets the port that a client connects from; 0, the default, means any. Call it while the
/// connection is not connected.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_set_local_port(
    evcon: *mut Connection,
    port: u16,
) {
    // SAFETY: the caller guarantees the connection.
    unsafe { connection(evcon) }.set_local_port(port);
}

/// Sets the timeout of a connection in seconds, both for connecting and for reading or writing. -1
/// restores the defaults: 45 seconds for connecting, 50 otherwise.
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

/// Like evhttp_connection_set_timeout(), with a `struct timeval`; NULL restores the defaults.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_set_timeout_tv(
    evcon: *mut Connection,
    tv: *const timeval,
) {
    // SAFETY: the caller guarantees the connection and the time.
    unsafe { connect::set_timeouts(connection(evcon), tv.as_ref().copied()) };
}

/// Sets the pause before a client tries to connect again. It doubles with each attempt, up to an
/// hour. NULL restores the default of 2 seconds.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_set_initial_retry_tv(
    evcon: *mut Connection,
    tv: *const timeval,
) {
    // SAFETY: the caller guarantees the connection and the time.
    unsafe { connection(evcon).set_first_pause(tv.as_ref().copied()) };
}

/// Sets how often a client tries to connect again if the host refuses or does not answer; -1 means
/// without limit, and 0, the default, never.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_set_retries(
    evcon: *mut Connection,
    retry_max: c_int,
) {
    // SAFETY: the caller guarantees the connection.
    unsafe { connection(evcon) }.set_retries(retry_max);
}

/// Sets a function that is called when an established connection ends, just before its socket is
/// closed. It must not free the connection.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_set_closecb(
    evcon: *mut Connection,
    cb: Option<unsafe extern "C-unwind" fn(evcon: *mut Connection, arg: *mut c_void)>,
    arg: *mut c_void,
) {
    // SAFETY: the caller guarantees the connection.
    unsafe { connection(evcon) }.set_close_callback(cb, arg);
}

/// Gets the host and port of a client's connection, or the numeric address and port of the peer of
/// a server's connection. The string belongs to the connection.
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

/// The address of the peer, never NULL; its family is `AF_UNSPEC` before anything was connected. It
/// belongs to the connection.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_get_addr(
    evcon: *mut Connection,
) -> *const sockaddr {
    // SAFETY: the caller guarantees the connection.
    unsafe { connection(evcon) }.peer_address()
}

/// Sends a request with the method `type` for `uri`, which is sent as it is. Requests on a
/// connection are sent one after the other; the connection is made when it is needed.
///
/// Content-Length is added for a body, and always for POST and PUT; Host is not added. The
/// request's callback gets the request with its reply; or, with response code 0, if no connection
/// could be made; or NULL if the request failed. After the callback the library frees the request
/// unless the program owns it.
///
/// Returns 0, or -1 if memory is short, the local address cannot be used, or `uri` contains a line
/// break. In that case no callback follows, and the request is freed unless the program owns it.
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

/// Cancels a client's request; it is freed unless the program owns it.
///
/// If it is the first in the queue of its connection, its error callback gets
/// `EVREQ_HTTP_REQUEST_CANCEL`, and the requests queued behind it continue on a new connection. Its
/// other callbacks are no longer called.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_cancel_request(req: *mut EvhttpRequest) {
    // SAFETY: the caller guarantees the request.
    if let Some(request) = unsafe { RequestPtr::new(req) } {
        client::cancel(request);
    }
}

/// Makes a request for evhttp_make_request(), which says when `cb` is called. Returns NULL if
/// memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_new(
    cb: Option<unsafe extern "C-unwind" fn(req: *mut EvhttpRequest, arg: *mut c_void)>,
    arg: *mut c_void,
) -> *mut EvhttpRequest {
    RequestPtr::create(cb, arg).map_or(ptr::null_mut(), RequestPtr::as_ptr)
}

/// Sets a function that is called for each piece of the body of a reply: for each chunk if the body
/// is chunked, otherwise for whatever has arrived.
///
/// The piece is in evhttp_request_get_input_buffer(); what the function leaves there is discarded.
/// The function may cancel the request and free the connection.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_set_chunked_cb(
    req: *mut EvhttpRequest,
    cb: Option<unsafe extern "C-unwind" fn(req: *mut EvhttpRequest, arg: *mut c_void)>,
) {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).chunk_cb.set(cb) };
}

/// Sets a function that is called when the headers of a reply have arrived. If it returns a
/// negative number, the request fails.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_set_header_cb(
    req: *mut EvhttpRequest,
    cb: Option<unsafe extern "C-unwind" fn(req: *mut EvhttpRequest, arg: *mut c_void) -> c_int>,
) {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).header_cb.set(cb) };
}

/// Sets a function that is called when a request fails, with the reason and the request's argument.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_set_error_cb(
    req: *mut EvhttpRequest,
    cb: Option<unsafe extern "C-unwind" fn(error: RequestErrorValue, arg: *mut c_void)>,
) {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).error_cb.set(cb) };
}

/// Sets a function that is called when a server's reply has been written, before the request is
/// freed. It must not free the request or its connection.
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

/// Frees a request that was not sent, that the program owns, or whose connection is gone. While one
/// of its callbacks is running, the request is freed when that returns.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_free(req: *mut EvhttpRequest) {
    // SAFETY: the caller hands the request over.
    if let Some(request) = unsafe { RequestPtr::new(req) } {
        request.free();
    }
}

/// Makes the program the owner of a client's request: the program then frees it with
/// evhttp_request_free().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_own(req: *mut EvhttpRequest) {
    // SAFETY: the caller guarantees the request.
    if let Some(request) = unsafe { RequestPtr::new(req) } {
        request.insert(flag::USER_OWNED);
    }
}

/// Whether the program owns a request: 1 or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_is_owned(req: *mut EvhttpRequest) -> c_int {
    // SAFETY: the caller guarantees the request.
    let request = unsafe { RequestPtr::new(req) };
    c_int::from(request.is_some_and(|request| request.has(flag::USER_OWNED)))
}

/// The connection of a request; NULL if it has none, or none any more.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_connection(
    req: *mut EvhttpRequest,
) -> *mut Connection {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).evcon.get() }
}

/// The target of a request, unchanged. It belongs to the request.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_uri(req: *const EvhttpRequest) -> *const c_char {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).uri.get() }
}

/// The target of a request to a server as a parsed URI; NULL for a client's request. It belongs to
/// the request.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_evhttp_uri(
    req: *const EvhttpRequest,
) -> *const Uri {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).uri_elems.get() }
}

/// The method of a request; 32768 for a method without a constant.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_command(
    req: *const EvhttpRequest,
) -> CommandValue {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).method.get() }
}

/// The status code of the reply; 0 if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_response_code(
    req: *const EvhttpRequest,
) -> c_int {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).response_code.get() }
}

/// The reason phrase of the reply; NULL if there is none. It belongs to the request.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_response_code_line(
    req: *const EvhttpRequest,
) -> *const c_char {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).response_code_line.get() }
}

/// The headers that were received. They belong to the request.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_input_headers(
    req: *mut EvhttpRequest,
) -> *mut Evkeyvalq {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).input_headers.get() }
}

/// The headers to send. They belong to the request.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_output_headers(
    req: *mut EvhttpRequest,
) -> *mut Evkeyvalq {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).output_headers.get() }
}

/// The body that was received. It belongs to the request.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_input_buffer(
    req: *mut EvhttpRequest,
) -> *mut Evbuffer {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).input_buffer.get() }
}

/// The body to send. It belongs to the request.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_output_buffer(
    req: *mut EvhttpRequest,
) -> *mut Evbuffer {
    // SAFETY: the caller guarantees the request.
    unsafe { (*req).output_buffer.get() }
}

/// The host that a request is for, without a port: taken from the target, otherwise from the Host
/// header; NULL if neither has one. It belongs to the request.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_request_get_host(req: *mut EvhttpRequest) -> *const c_char {
    // SAFETY: the caller guarantees the request.
    unsafe { RequestPtr::new(req) }.map_or(ptr::null(), RequestPtr::host)
}
