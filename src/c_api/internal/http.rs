//! Internal exported symbols of HTTP connections and of the parser of messages.

use crate::buffer::{Evbuffer, Guard as BufferGuard};
use crate::c_api::{optional_string, status};
use crate::http::abi::{EvhttpRequest, RequestError, RequestErrorValue};
use crate::http::connection::{Connection, ConnectionPtr};
use crate::http::framing::{self, Encodings};
use crate::http::parser::{self, Fault, HeadState, Progress};
use crate::http::reply;
use crate::http::request::RequestPtr;
use std::ffi::{CStr, c_char, c_int};

/// Ends the connection, if there is one; its close callback is called.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_reset_(evcon: *mut Connection) {
    // SAFETY: the caller guarantees the connection.
    if let Some(connection) = unsafe { ConnectionPtr::new(evcon) } {
        connection.reset();
    }
}

/// Begins to connect. 0, also when that fails later, or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_connect_(evcon: *mut Connection) -> c_int {
    // SAFETY: the caller guarantees the connection.
    unsafe { ConnectionPtr::new(evcon) }.map_or(-1, |connection| status(connection.connect()))
}

/// Fails the request that the connection is busy with.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_connection_fail_(
    evcon: *mut Connection,
    error: RequestErrorValue,
) {
    // SAFETY: the caller guarantees the connection.
    if let Some(connection) = unsafe { ConnectionPtr::new(evcon) } {
        connection.fail(RequestError::from_number(error));
    }
}

/// Reads a message from now on; what is there already is read from the loop.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_start_read_(evcon: *mut Connection) {
    // SAFETY: the caller guarantees the connection.
    if let Some(connection) = unsafe { ConnectionPtr::new(evcon) } {
        connection.start_message();
    }
}

/// Writes from now on.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_start_write_(evcon: *mut Connection) {
    // SAFETY: the caller guarantees the connection.
    if let Some(connection) = unsafe { ConnectionPtr::new(evcon) } {
        connection.start_writing();
    }
}

/// The number of the internal `enum message_read_status`.
fn message_status(result: Result<Progress, Fault>) -> c_int {
    match result {
        Ok(Progress::Done) => 1,
        Ok(Progress::More) => 0,
        Err(Fault::Corrupt | Fault::Memory | Fault::Unwanted) => -1,
        Err(Fault::Ended) => -2,
        Err(Fault::HeadTooLong | Fault::BodyTooLong) => -3,
    }
}

/// Has a parser read from a buffer, with the limit of the request's connection.
///
/// # Safety
/// The request and the buffer are live.
unsafe fn parse(
    req: *mut EvhttpRequest,
    buffer: *mut Evbuffer,
    read: impl Fn(RequestPtr, &BufferGuard, &mut HeadState, usize) -> Result<Progress, Fault>,
) -> c_int {
    // SAFETY: the caller guarantees both.
    let (Some(request), buffer) = (unsafe { (RequestPtr::new(req), BufferGuard::new(buffer)) })
    else {
        return -1;
    };
    let connection = request.connection();
    let limit = connection.map_or(usize::MAX, |connection| connection.most_headers());
    message_status(read(request, &buffer, &mut HeadState::default(), limit))
}

/// Takes the first line of a message out of a buffer: 1, 0 if it is incomplete, -1 if it is
/// malformed, -3 if it is too long.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_parse_firstline_(
    req: *mut EvhttpRequest,
    buffer: *mut Evbuffer,
) -> c_int {
    // SAFETY: the caller guarantees both.
    unsafe { parse(req, buffer, parser::read_first_line) }
}

/// Takes headers out of a buffer through the empty line; results as evhttp_parse_firstline_().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_parse_headers_(
    req: *mut EvhttpRequest,
    buffer: *mut Evbuffer,
) -> c_int {
    // SAFETY: the caller guarantees both.
    unsafe { parse(req, buffer, parser::read_headers) }
}

/// Makes a request a reply with that code; a null reason is the usual phrase.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_response_code_(
    req: *mut EvhttpRequest,
    code: c_int,
    reason: *const c_char,
) {
    // SAFETY: the caller guarantees both.
    unsafe {
        let reason = optional_string(reason).map(CStr::to_bytes);
        if let Some(request) = RequestPtr::new(req) {
            // Without memory the code stays as it was.
            let _ = request.set_response(code, reason);
        }
    }
}

/// Replies with a page, after which the connection ends.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_send_page_(req: *mut EvhttpRequest, databuf: *mut Evbuffer) {
    // SAFETY: the caller guarantees both.
    unsafe { reply::send_page(req, databuf) };
}

/// 1 if a coding, up to `eos` or, for null, the end of the string, is chunked.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_str_is_chunked_(
    value: *const c_char,
    eos: *const c_char,
) -> c_int {
    // SAFETY: the caller guarantees the string, and that `eos` is in it.
    let coding = unsafe {
        if eos.is_null() {
            CStr::from_ptr(value).to_bytes()
        } else {
            std::slice::from_raw_parts(value.cast(), eos.offset_from(value) as usize)
        }
    };
    framing::is_chunked(coding).into()
}

/// 0 if chunked is not the last of a list of codings, 1 if it is, 2 if it is not among them.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_check_transfer_encoding_(value: *const c_char) -> c_int {
    // SAFETY: the caller guarantees the string.
    match framing::encodings(unsafe { CStr::from_ptr(value) }.to_bytes()) {
        Encodings::Invalid => 0,
        Encodings::EndInChunked => 1,
        Encodings::WithoutChunked => 2,
    }
}
