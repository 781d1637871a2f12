//! C types and constants of event2/http.h and event2/http_struct.h that the layer works with.

use super::connection::Connection;
use super::headers::Evkeyvalq;
use super::listening::BoundSocket;
use super::uri::Uri;
use crate::base::EventBase;
use crate::buffer::Evbuffer;
use crate::bufferevent::Bufferevent;
use crate::list::{TailLink, TailQueue, links};
use std::cell::Cell;
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::mem::{offset_of, size_of};

/// Called with a request: to handle it, or because it is done.
pub type RequestFn = unsafe extern "C-unwind" fn(req: *mut EvhttpRequest, arg: *mut c_void);
/// Called with a reply whose headers have arrived; a negative result ends the request.
pub type HeaderFn = unsafe extern "C-unwind" fn(req: *mut EvhttpRequest, arg: *mut c_void) -> c_int;
/// Called because a request failed.
pub type ErrorFn = unsafe extern "C-unwind" fn(error: c_uint, arg: *mut c_void);
/// Called about a connection.
pub type ConnectionFn = unsafe extern "C-unwind" fn(evcon: *mut Connection, arg: *mut c_void);
/// Makes the bufferevent of an accepted connection.
pub type BuffereventMakerFn =
    unsafe extern "C-unwind" fn(base: *mut EventBase, arg: *mut c_void) -> *mut Bufferevent;

/// A function that is called for each listener of a server.
pub type BoundSocketFn = unsafe extern "C-unwind" fn(bound: *mut BoundSocket, arg: *mut c_void);

/// A value of `enum evhttp_cmd_type`, which may be out of range.
pub type CommandValue = c_uint;
/// A value of `enum evhttp_request_error`, which may be out of range.
pub type RequestErrorValue = c_uint;

/// Bits of [`EvhttpRequest::flags`].
#[allow(missing_docs)]
pub mod flag {
    use std::ffi::c_int;
    pub const OWN_CONNECTION: c_int = 0x0001;
    pub const PROXY_REQUEST: c_int = 0x0002;
    pub const USER_OWNED: c_int = 0x0004;
    pub const DEFER_FREE: c_int = 0x0008;
    pub const NEEDS_FREE: c_int = 0x0010;
    /// The connection ends after the reply whatever the headers say. From here on not public.
    pub const CLOSE_AFTER: c_int = 0x10000;
    /// The reply says that the connection ends.
    pub const REPLY_CLOSES: c_int = 0x20000;
    /// The request waits for its notification that no connection could be made.
    pub const UNCONNECTED: c_int = 0x40000;
    /// A client's body waits until the server wants it.
    pub const BODY_HELD_BACK: c_int = 0x80000;
    /// No byte of the body of the reply is sent.
    pub const BODILESS: c_int = 0x100000;
}

/// Methods, as bits of [`EvhttpRequest::method`].
#[allow(missing_docs)]
pub mod method {
    use std::ffi::c_uint;
    pub const GET: c_uint = 1;
    pub const POST: c_uint = 1 << 1;
    pub const HEAD: c_uint = 1 << 2;
    pub const PUT: c_uint = 1 << 3;
    pub const DELETE: c_uint = 1 << 4;
    pub const OPTIONS: c_uint = 1 << 5;
    pub const TRACE: c_uint = 1 << 6;
    pub const CONNECT: c_uint = 1 << 7;
    pub const PATCH: c_uint = 1 << 8;
    /// Any other.
    pub const UNKNOWN: c_uint = 1 << 15;
    /// What servers allow by default.
    pub const DEFAULT: u16 = (GET | POST | HEAD | PUT | DELETE) as u16;
}

/// `enum evhttp_request_kind`.
#[allow(missing_docs)]
pub mod request_kind {
    use std::ffi::c_uint;
    pub const REQUEST: c_uint = 0;
    pub const RESPONSE: c_uint = 1;
}

/// Why a request failed; the numbers are those of `enum evhttp_request_error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
#[repr(u32)]
pub enum RequestError {
    Timeout = 0,
    Eof = 1,
    InvalidHeader = 2,
    Buffer = 3,
    Cancelled = 4,
    DataTooLong = 5,
}

impl RequestError {
    /// The error of a number; those that do not exist are like a failed connection.
    pub fn from_number(number: c_uint) -> RequestError {
        use RequestError::*;
        match number {
            0 => Timeout,
            1 => Eof,
            2 => InvalidHeader,
            4 => Cancelled,
            5 => DataTooLong,
            _ => Buffer,
        }
    }
}

/// `struct evhttp_request`. Programs read and write the fields themselves, so that each is looked
/// at when it is needed and never remembered.
#[repr(C)]
#[allow(missing_docs)]
pub struct EvhttpRequest {
    pub next: TailLink<EvhttpRequest>,
    pub evcon: Cell<*mut Connection>,
    pub flags: Cell<c_int>,
    pub input_headers: Cell<*mut Evkeyvalq>,
    pub output_headers: Cell<*mut Evkeyvalq>,
    pub remote_host: Cell<*mut c_char>,
    pub remote_port: Cell<u16>,
    pub host_cache: Cell<*mut c_char>,
    pub kind: Cell<c_uint>,
    pub method: Cell<c_uint>,
    pub headers_size: Cell<usize>,
    pub body_size: Cell<usize>,
    pub uri: Cell<*mut c_char>,
    pub uri_elems: Cell<*mut Uri>,
    pub major: Cell<c_char>,
    pub minor: Cell<c_char>,
    pub response_code: Cell<c_int>,
    pub response_code_line: Cell<*mut c_char>,
    pub input_buffer: Cell<*mut Evbuffer>,
    pub ntoread: Cell<i64>,
    bits: Cell<c_uint>,
    pub output_buffer: Cell<*mut Evbuffer>,
    pub cb: Cell<Option<RequestFn>>,
    pub cb_arg: Cell<*mut c_void>,
    pub chunk_cb: Cell<Option<RequestFn>>,
    pub header_cb: Cell<Option<HeaderFn>>,
    pub error_cb: Cell<Option<ErrorFn>>,
    pub on_complete_cb: Cell<Option<RequestFn>>,
    pub on_complete_cb_arg: Cell<*mut c_void>,
}

const _: () = {
    assert!(size_of::<EvhttpRequest>() == 216);
    assert!(offset_of!(EvhttpRequest, evcon) == 16);
    assert!(offset_of!(EvhttpRequest, flags) == 24);
    assert!(offset_of!(EvhttpRequest, input_headers) == 32);
    assert!(offset_of!(EvhttpRequest, output_headers) == 40);
    assert!(offset_of!(EvhttpRequest, remote_host) == 48);
    assert!(offset_of!(EvhttpRequest, remote_port) == 56);
    assert!(offset_of!(EvhttpRequest, host_cache) == 64);
    assert!(offset_of!(EvhttpRequest, kind) == 72);
    assert!(offset_of!(EvhttpRequest, method) == 76);
    assert!(offset_of!(EvhttpRequest, headers_size) == 80);
    assert!(offset_of!(EvhttpRequest, body_size) == 88);
    assert!(offset_of!(EvhttpRequest, uri) == 96);
    assert!(offset_of!(EvhttpRequest, uri_elems) == 104);
    assert!(offset_of!(EvhttpRequest, major) == 112);
    assert!(offset_of!(EvhttpRequest, minor) == 113);
    assert!(offset_of!(EvhttpRequest, response_code) == 116);
    assert!(offset_of!(EvhttpRequest, response_code_line) == 120);
    assert!(offset_of!(EvhttpRequest, input_buffer) == 128);
    assert!(offset_of!(EvhttpRequest, ntoread) == 136);
    assert!(offset_of!(EvhttpRequest, bits) == 144);
    assert!(offset_of!(EvhttpRequest, output_buffer) == 152);
    assert!(offset_of!(EvhttpRequest, cb) == 160);
    assert!(offset_of!(EvhttpRequest, cb_arg) == 168);
    assert!(offset_of!(EvhttpRequest, chunk_cb) == 176);
    assert!(offset_of!(EvhttpRequest, header_cb) == 184);
    assert!(offset_of!(EvhttpRequest, error_cb) == 192);
    assert!(offset_of!(EvhttpRequest, on_complete_cb) == 200);
    assert!(offset_of!(EvhttpRequest, on_complete_cb_arg) == 208);
};

const CHUNKED: c_uint = 1;
const USER_DONE: c_uint = 2;

impl EvhttpRequest {
    fn set_bit(&self, bit: c_uint, value: bool) {
        let others = self.bits.get() & !bit;
        self.bits.set(others | if value { bit } else { 0 });
    }

    /// Whether the body is received, or sent, in chunks.
    pub fn is_chunked(&self) -> bool {
        self.bits.get() & CHUNKED != 0
    }

    /// Stores [`EvhttpRequest::is_chunked`].
    pub fn set_chunked(&self, chunked: bool) {
        self.set_bit(CHUNKED, chunked);
    }

    /// Whether the program has nothing to add to the reply.
    pub fn is_user_done(&self) -> bool {
        self.bits.get() & USER_DONE != 0
    }

    /// Stores [`EvhttpRequest::is_user_done`].
    pub fn set_user_done(&self, done: bool) {
        self.set_bit(USER_DONE, done);
    }
}

links! {
    /// The links of a request among those of its connection.
    pub struct RequestLinks: TailLink<EvhttpRequest> in next;
}

/// The requests of a connection.
pub type RequestQueue = TailQueue<RequestLinks>;
