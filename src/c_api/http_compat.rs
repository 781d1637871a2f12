//! event2/http_compat.h: functions of the 1.x series that use one base for the whole process.

use super::http::{evhttp_bind_socket, evhttp_free, evhttp_new};
use super::http_client::evhttp_connection_base_new;
use crate::base::EventBase;
use crate::http::connection::{Connection, ConnectionPtr};
use crate::http::server::Server;
use std::ffi::c_char;
use std::ptr;

/// Makes a server on the base of event_init() and lets it listen. Returns NULL if that fails: see
/// evhttp_bind_socket().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_start(address: *const c_char, port: u16) -> *mut Server {
    // SAFETY: the caller guarantees the address.
    unsafe {
        let http = evhttp_new(ptr::null_mut());
        if !http.is_null() && evhttp_bind_socket(http, address, port) < 0 {
            evhttp_free(http);
            return ptr::null_mut();
        }
        http
    }
}

/// Makes a client's connection to a host, on the base of event_init() or the one that
/// evhttp_connection_set_base() sets.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_new(
    address: *const c_char,
    port: u16,
) -> *mut Connection {
    // SAFETY: the caller guarantees the address.
    unsafe { evhttp_connection_base_new(ptr::null_mut(), ptr::null_mut(), address, port) }
}

/// Sets the base of a connection made by evhttp_connection_new(), before it is used.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_set_base(
    evcon: *mut Connection,
    base: *mut EventBase,
) {
    // SAFETY: the caller guarantees both. Without memory for a bufferevent, requests fail.
    unsafe {
        if let Some(connection) = ConnectionPtr::new(evcon) {
            connection.choose_base(base);
        }
    }
}
