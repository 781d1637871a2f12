//! Replies: their heads, whole ones, those in pieces, and error pages.

use super::abi::{ConnectionFn, EvhttpRequest, flag, method, request_kind};
use super::connection::{ConnectionPtr, State, bit};
use super::date::{self, DateCache};
use super::encoding;
use super::head::{DIGITS, Head, append, decimal};
use super::parser::Fault;
use super::request::RequestPtr;
use super::{incoming, status};
use crate::buffer::{Evbuffer, Guard as BufferGuard};
use crate::hooks::memory::{self, OutOfMemory};
use crate::util::text::Text;
use crate::{require, warning};
use std::ffi::{CStr, c_int, c_void};

/// Whether a request wants the connection kept although its version does not say so.
fn asks_for_keep_alive(request: RequestPtr) -> bool {
    request.input_has_word(b"Connection", b"keep-alive")
}

/// Whether the request says that the connection ends after it.
fn asks_for_close(request: RequestPtr) -> bool {
    if request.method.get() == method::CONNECT {
        return false;
    }
    request.input_has_word(b"Connection", b"close")
        || request.has(flag::PROXY_REQUEST)
            && !request.input_has_word(b"Proxy-Connection", b"keep-alive")
}

/// Whether the connection ends after the reply.
pub(super) fn closes(request: RequestPtr) -> bool {
    if asks_for_close(request)
        || request.has(flag::REPLY_CLOSES | flag::CLOSE_AFTER)
        || !request.is_version_1_1() && !asks_for_keep_alive(request)
    {
        return true;
    }
    request.method.get() != method::CONNECT
        && (request.output_has_word(b"Connection", b"close")
            || request.has(flag::PROXY_REQUEST)
                && !request.output_has_word(b"Proxy-Connection", b"keep-alive"))
}

/// Whether bytes of a body may follow the head.
fn may_have_body(request: RequestPtr) -> bool {
    let code = request.response_code.get();
    let bodiless = status::is_bodiless(code)
        || match request.method.get() {
            method::HEAD => true,
            method::CONNECT => (200..300).contains(&code),
            _ => false,
        };
    !bodiless
}

/// Adds the headers that a reply has to have, as far as the program did not.
fn complete_headers(
    request: RequestPtr,
    connection: ConnectionPtr,
    length: Option<usize>,
) -> Result<(), OutOfMemory> {
    let body = may_have_body(request);
    let framed = request.output_header(b"Content-Length").is_some()
        || request.output_header(b"Transfer-Encoding").is_some();
    if request.major.get() == 1 {
        if request.minor.get() >= 1 && request.output_header(b"Date").is_none() {
            request.add_output_header(b"Date", &date(connection))?;
        }
        let can_be_kept = length.is_some() || framed || !body;
        if request.minor.get() == 0 {
            confirm_keep_alive(request, can_be_kept)?;
        }
        // To HEAD, the length of what GET would bring, if that is known.
        let told =
            length.filter(|length| body || *length > 0 && request.method.get() == method::HEAD);
        if let (Some(length), false) = (told, framed) {
            if request.minor.get() >= 1 || asks_for_keep_alive(request) {
                let mut room = [0; DIGITS];
                let digits = decimal(length as i64, &mut room);
                request.add_output_header(b"Content-Length", digits)?;
            }
        }
    }
    if body && request.output_header(b"Content-Type").is_none() {
        if let Some(server) = connection.server() {
            if let Some(kind) = server.content_type() {
                request.add_output_header(b"Content-Type", kind)?;
            }
        }
    }
    if asks_for_close(request) {
        confirm_close(request)?;
    }
    Ok(())
}

/// Says that the connection is kept after a reply of version 1.0, if the request asks for that.
#[inline(never)]
fn confirm_keep_alive(request: RequestPtr, can_be_kept: bool) -> Result<(), OutOfMemory> {
    if !asks_for_keep_alive(request) {
        return Ok(());
    }
    if !can_be_kept {
        request.insert(flag::REPLY_CLOSES);
    } else if request.output_header(b"Connection").is_none() {
        request.add_output_header(b"Connection", b"keep-alive")?;
    }
    Ok(())
}

/// Says that the connection ends, as the request asks.
#[inline(never)]
fn confirm_close(request: RequestPtr) -> Result<(), OutOfMemory> {
    request.remove_output_header(b"Connection");
    if request.has(flag::PROXY_REQUEST) {
        request.remove_output_header(b"Proxy-Connection");
        return Ok(());
    }
    request.add_output_header(b"Connection", b"close")
}

/// Writes the head of the reply, and what there is of its body.
fn write_head(
    request: RequestPtr,
    connection: ConnectionPtr,
    length: Option<usize>,
) -> Result<(), OutOfMemory> {
    complete_headers(request, connection, length)?;
    if !may_have_body(request) {
        drop_body(request);
    }
    let mut head = Head::empty();
    let (major, minor) = (request.major.get(), request.minor.get());
    head.add_status(major, minor, request.response_code.get())?;
    head.add_in_line(request.reason())?;
    head.add(b"\r\n")?;
    head.add_headers(request)?;
    head.write_with_body(request, connection)
}

/// No byte of the body is sent.
#[inline(never)]
fn drop_body(request: RequestPtr) {
    request.insert(flag::BODILESS);
    let body = request.output();
    let _ = body.drain(body.length());
}

fn date(connection: ConnectionPtr) -> [u8; date::LENGTH] {
    match connection.server() {
        Some(server) => server.date.now(),
        None => DateCache::empty().now(),
    }
}

/// What a request needs to be replied to.
///
/// # Safety
/// The request is live.
unsafe fn to_reply(request: *mut EvhttpRequest) -> Option<(RequestPtr, Option<ConnectionPtr>)> {
    // SAFETY: the caller guarantees the request.
    let request = unsafe { RequestPtr::new(request) }?;
    let connection = request.connection();
    if let Some(connection) = connection {
        let current = connection.current();
        require!(current == Some(request), "a reply out of turn");
    }
    Some((request, connection))
}

/// Runs a function that writes to a connection. What the bufferevent reports in the meantime waits.
fn while_busy(connection: ConnectionPtr, work: impl FnOnce() -> Result<(), OutOfMemory>) {
    let pin = connection.pin();
    let busy = pin.busy();
    let result = work();
    drop(busy);
    if pin.is_freed() {
        return;
    }
    pin.keep_writing();
    if result.is_err() {
        warning!("evhttp: out of memory for a reply");
        incoming::drop_connection(*pin);
    }
}

/// The program writes without having begun a reply: what it writes is all of it.
fn begin_without_head(connection: ConnectionPtr) {
    if connection.has(bit::HELD) {
        incoming::resume(connection);
    }
}

/// Begins a reply.
fn begin(
    request: RequestPtr,
    connection: ConnectionPtr,
    code: c_int,
    reason: Option<&[u8]>,
) -> Result<(), OutOfMemory> {
    request.set_response(code, reason)?;
    incoming::resume(connection);
    connection.state.set(State::Writing);
    Ok(())
}

/// Sends a whole reply. The body is moved out of `body`.
///
/// # Safety
/// The request is live, and so is the buffer unless it is null.
pub unsafe fn send(
    request: *mut EvhttpRequest,
    code: c_int,
    reason: Option<&[u8]>,
    body: *mut Evbuffer,
) {
    // SAFETY: the caller guarantees the request.
    let Some((request, connection)) = (unsafe { to_reply(request) }) else {
        return;
    };
    let Some(connection) = connection else {
        return request.free();
    };
    if request.is_user_done() {
        warning!("evhttp_send_reply: the request has a reply");
        return;
    }
    while_busy(connection, || {
        // Also when it fails: the program has done its part, and the request goes.
        request.set_user_done(true);
        if !body.is_null() && body != request.output_buffer.get() {
            // SAFETY: the caller guarantees the buffer, which is another one.
            unsafe { move_all(body, request.output_buffer.get()) }?;
        }
        send_whole(request, connection, code, reason)
    });
}

/// # Safety
/// Both buffers are live, and not the same.
unsafe fn move_all(from: *mut Evbuffer, to: *mut Evbuffer) -> Result<(), OutOfMemory> {
    // SAFETY: the caller guarantees both.
    let (from, to) = unsafe { BufferGuard::pair(from, to) };
    from.move_all_to(&to).map_err(|_| OutOfMemory)
}

fn send_whole(
    request: RequestPtr,
    connection: ConnectionPtr,
    code: c_int,
    reason: Option<&[u8]>,
) -> Result<(), OutOfMemory> {
    begin(request, connection, code, reason)?;
    let length = request.output().length();
    write_head(request, connection, Some(length))
}

/// Sends status line and headers of a reply of which the body follows in pieces.
///
/// # Safety
/// The request is live.
pub unsafe fn start(request: *mut EvhttpRequest, code: c_int, reason: Option<&[u8]>) {
    // SAFETY: the caller guarantees the request.
    let Some((request, connection)) = (unsafe { to_reply(request) }) else {
        return;
    };
    let Some(connection) = connection else {
        if request.set_response(code, reason).is_err() {
            warning!("evhttp_send_reply_start: out of memory");
        }
        return;
    };
    while_busy(connection, || {
        begin(request, connection, code, reason)?;
        let chunked = request.is_version_1_1()
            && may_have_body(request)
            && request.output_header(b"Content-Length").is_none();
        request.set_chunked(chunked);
        if chunked && request.output_header(b"Transfer-Encoding").is_none() {
            request.add_output_header(b"Transfer-Encoding", b"chunked")?;
        }
        write_head(request, connection, None)
    });
}

/// Sends a piece of the body, moved out of `piece`. `callback` is called once all that was sent so
/// far has been written.
///
/// # Safety
/// The request and the buffer are live.
pub unsafe fn send_piece(
    request: *mut EvhttpRequest,
    piece: *mut Evbuffer,
    callback: Option<ConnectionFn>,
    argument: *mut c_void,
) {
    // SAFETY: the caller guarantees the request.
    let Some((request, Some(connection))) = (unsafe { to_reply(request) }) else {
        return;
    };
    // SAFETY: the caller guarantees the buffer.
    let length = unsafe { (*piece).length() };
    if request.has(flag::BODILESS) || length == 0 {
        return;
    }
    connection.written_argument.set(argument);
    connection.written_callback.set(callback);
    while_busy(connection, || {
        begin_without_head(connection);
        let Some(output) = connection.output() else {
            return Ok(());
        };
        // SAFETY: the caller guarantees the buffer, which is not one of the bufferevent's.
        let piece = unsafe { BufferGuard::new(piece) };
        if !request.is_chunked() {
            return piece.move_all_to(&output).map_err(|_| OutOfMemory);
        }
        let size = Text::<24>::of(format_args!("{length:x}\r\n"));
        let moved = piece.move_all_behind(size.as_bytes(), &output);
        moved.map_err(|_| OutOfMemory)?;
        append(&output, b"\r\n")
    });
}

/// The body is complete.
///
/// # Safety
/// The request is live.
pub unsafe fn end(request: *mut EvhttpRequest) {
    // SAFETY: the caller guarantees the request.
    let Some((request, connection)) = (unsafe { to_reply(request) }) else {
        return;
    };
    let Some(connection) = connection else {
        return request.free();
    };
    if request.is_user_done() {
        warning!("evhttp_send_reply_end: the reply has ended");
        return;
    }
    let pin = connection.pin();
    begin_without_head(connection);
    request.set_user_done(true);
    connection.written_callback.set(None);
    if request.is_chunked() {
        while_busy(connection, || match connection.output() {
            Some(output) => append(&output, b"0\r\n\r\n"),
            None => Ok(()),
        });
        if !pin.is_freed() {
            request.set_chunked(false);
        }
    } else if connection.unwritten() == 0 && incoming::finish_reply(*pin) {
        // What follows is read from the loop.
        pin.schedule();
    }
}

/// What an error page says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ErrorPage {
    /// Code and reason.
    Plain,
    /// That there is no such target.
    NotFound,
}

/// `send_error_page` for a program.
///
/// # Safety
/// The request is live.
pub unsafe fn send_error(request: *mut EvhttpRequest, code: c_int, reason: Option<&[u8]>) {
    // SAFETY: the caller guarantees the request.
    if let Some((request, connection)) = unsafe { to_reply(request) } {
        match connection {
            Some(_) if request.is_user_done() => {
                warning!("evhttp_send_error: the request has a reply");
            }
            Some(_) => send_error_page(request, code, reason, ErrorPage::Plain),
            None => request.free(),
        }
    }
}

/// Sends a page that says what is wrong, after which the connection ends.
pub(super) fn send_error_page(
    request: RequestPtr,
    code: c_int,
    reason: Option<&[u8]>,
    page: ErrorPage,
) {
    let Some(connection) = request.connection() else {
        return;
    };
    while_busy(connection, || {
        // As for whole replies.
        request.set_user_done(true);
        let body = request.output();
        request.set_response(code, reason)?;
        match page {
            ErrorPage::Plain => write_plain_page(request, &body)?,
            ErrorPage::NotFound => write_not_found_page(request, &body)?,
        }
        drop(body);
        finish_page(request, connection)
    });
}

/// Sends what is in the output buffer as a page, after which the connection ends.
fn finish_page(request: RequestPtr, connection: ConnectionPtr) -> Result<(), OutOfMemory> {
    if request.major.get() == 0 || request.minor.get() == 0 {
        request.major.set(1);
        request.minor.set(1);
    }
    request.kind.set(request_kind::RESPONSE);
    // SAFETY: the list is the request's.
    unsafe { super::headers::clear(request.output_headers.get()) };
    request.insert(flag::REPLY_CLOSES);
    request.add_output_header(b"Content-Type", b"text/html")?;
    request.add_output_header(b"Connection", b"close")?;
    incoming::begin_last(connection);
    connection.state.set(State::Writing);
    request.set_user_done(true);
    let length = request.output().length();
    write_head(request, connection, Some(length))
}

/// Sends a page of the caller's.
///
/// # Safety
/// The request and the buffer are live.
pub unsafe fn send_page(request: *mut EvhttpRequest, page: *mut Evbuffer) {
    // SAFETY: the caller guarantees the request.
    let Some((request, connection)) = (unsafe { to_reply(request) }) else {
        return;
    };
    let Some(connection) = connection else {
        return request.free();
    };
    while_busy(connection, || {
        if request.response_code.get() == 0 {
            request.set_response(200, None)?;
        }
        // SAFETY: the caller guarantees the buffer.
        unsafe { move_all(page, request.output_buffer.get()) }?;
        finish_page(request, connection)
    });
}

fn write_plain_page(request: RequestPtr, body: &BufferGuard) -> Result<(), OutOfMemory> {
    let code = Text::<12>::of(format_args!("{}", request.response_code.get()));
    let reason = request.reason();
    for text in [
        b"<HTML><HEAD>\n<TITLE>",
        code.as_bytes(),
        b" ",
        reason,
        b"</TITLE>\n</HEAD><BODY>\n<H1>",
        reason,
        b"</H1>\n</BODY></HTML>\n",
    ] {
        append(body, text)?;
    }
    Ok(())
}

fn write_not_found_page(request: RequestPtr, body: &BufferGuard) -> Result<(), OutOfMemory> {
    append(
        body,
        b"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1>\
          <p>The requested URL ",
    )?;
    let target = encoding::escape_html(request.uri_text().unwrap_or(b""))?;
    // SAFETY: the escaped text is a string of our own.
    let appended = unsafe {
        let appended = append(body, CStr::from_ptr(target.as_ptr()).to_bytes());
        memory::free(target.as_ptr().cast());
        appended
    };
    appended?;
    append(body, b" was not found on this server.</p></body></html>\n")
}

/// Tells the client to go on with the body.
pub(super) fn send_continue(connection: ConnectionPtr, request: RequestPtr) -> Result<(), Fault> {
    let Some(output) = connection.output() else {
        return Err(Fault::Ended);
    };
    let (major, minor) = (request.major.get(), request.minor.get());
    let line = Text::<48>::of(format_args!("HTTP/{major}.{minor} 100 Continue\r\n\r\n"));
    append(&output, line.as_bytes()).map_err(|OutOfMemory| Fault::Memory)
}
