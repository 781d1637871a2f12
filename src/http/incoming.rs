//! Connections of a server: reading requests, handling them, ending.
//!
//! One request is in progress at a time. What the peer sends meanwhile waits; when it is too much,
//! the connection is not read. A request object is made when the first byte of a request is there.

use super::abi::{RequestError, RequestFn, flag, request_kind};
use super::connection::{ConnectionPtr, MOST_UNREAD, State, bit};
use super::dispatch::{self, Answer};
use super::framing::{self, Framing};
use super::parser::{Fault, Progress};
use super::reading::After;
use super::reply::{self, ErrorPage};
use super::request::RequestPtr;
use super::server::{CON_LINGERING_CLOSE, Server};
use crate::buffer::abi::{EVBUFFER_CB_ENABLED, EvbufferCallbackInfo};
use crate::buffer::callbacks::Function;
use crate::buffer::{Evbuffer, Guard as BufferGuard};
use crate::bufferevent::abi::{
    BEV_EVENT_CONNECTED, BEV_EVENT_EOF, BEV_EVENT_READING, BEV_EVENT_TIMEOUT,
};
use crate::bufferevent::{BuffereventPtr, Direction};
use crate::event::kind;
use crate::hooks::memory::OutOfMemory;
use std::ffi::{CStr, c_int, c_short, c_void};
use std::ptr;

/// Something has arrived. The caller has a pin, as for all of these.
pub(super) fn readable(connection: ConnectionPtr) {
    if connection.is_reading() {
        read_requests(connection);
    } else if connection.has(bit::HELD) || connection.unread() > MOST_UNREAD {
        connection.stop_reading();
    }
}

/// The output has run low.
pub(super) fn written(connection: ConnectionPtr) {
    if connection.unwritten() == 0 {
        connection.free_replied();
        if connection.is_reading() && connection.has(bit::PEER_ENDED) {
            return drop_connection(connection);
        }
    }
    if connection.state.get() != State::Writing || connection.has(bit::HELD) {
        return;
    }
    if let Some(callback) = connection.written_callback.take() {
        let argument = connection.written_argument.get();
        let unfinished = connection.unfinished(0);
        // SAFETY: the program's function, for this connection.
        unsafe { callback(connection.as_ptr(), argument) };
        unfinished.finish();
        if connection.is_freed() {
            return;
        }
    }
    if finish_reply(connection) {
        read_requests(connection);
    }
}

/// Does the work that was deferred to the loop.
pub(super) fn run_deferred(connection: ConnectionPtr) {
    if connection.has(bit::ENDING) {
        connection.free();
    } else if connection.state.get() == State::Writing {
        written(connection);
    } else {
        read_requests(connection);
    }
}

/// The connection has ended, failed or timed out.
pub(super) fn handle_event(connection: ConnectionPtr, what: c_short) {
    if what == BEV_EVENT_CONNECTED {
        return;
    }
    let replying = connection.state.get() == State::Writing;
    let complete = || {
        let current = connection.current();
        current.is_some_and(|request| request.is_user_done())
    };
    let ended = what & BEV_EVENT_EOF != 0;
    if ended && (replying && complete() || connection.is_reading() && connection.unwritten() > 0) {
        connection.insert(bit::PEER_ENDED);
    } else if replying
        && what == BEV_EVENT_TIMEOUT | BEV_EVENT_READING
        && connection.unwritten() > 0
    {
        // It is not the peer's turn to send.
        connection.start_reading();
    } else {
        drop_connection(connection);
    }
}

/// Ends the connection without a word. A request that the program has yet to reply to is the
/// program's from now on.
pub(super) fn drop_connection(connection: ConnectionPtr) {
    let handled = connection.state.get() == State::Writing;
    if let Some(request) = connection.current().filter(|_| handled) {
        if !request.is_user_done() {
            connection.detach(request);
        }
    }
    connection.free();
}

/// The connection fails: at its end, or a timeout, silently; else with an error page.
pub(super) fn fail(connection: ConnectionPtr, error: RequestError) {
    let code = match error {
        RequestError::Timeout | RequestError::Eof => return drop_connection(connection),
        RequestError::DataTooLong => 413,
        _ => 400,
    };
    match connection.current() {
        Some(request) => send_refusal(connection, request, code),
        None => drop_connection(connection),
    }
}

/// Takes the connection out of its server's list.
pub(super) fn leave_server(connection: ConnectionPtr) {
    let server = connection.server.replace(ptr::null_mut());
    if !server.is_null() {
        // SAFETY: a server frees its connections before it ends.
        unsafe { Server::forget(server, connection) };
    }
}

/// Reads requests, and handles each that is whole, for as long as there are any.
fn read_requests(connection: ConnectionPtr) {
    let mut ahead = 0;
    while !connection.is_freed() {
        if ahead < MOST_AHEAD && has_more_behind(connection) && can_read_ahead(connection) {
            ahead += 1;
        } else if !connection.is_reading() {
            return;
        }
        if connection.unread() == 0 {
            return end_with_peer(connection);
        }
        let request = match connection.current() {
            Some(request) => request,
            None => match begin_request(connection) {
                Ok(request) => request,
                Err(OutOfMemory) => return drop_connection(connection),
            },
        };
        match connection.read_message(request) {
            Ok(Progress::Done) => handle(connection, request),
            Ok(Progress::More) => return end_with_peer(connection),
            Err(fault) => return refuse(connection, request, fault),
        }
    }
}

/// The peer sends nothing more: the connection ends once everything is written.
fn end_with_peer(connection: ConnectionPtr) {
    if connection.has(bit::PEER_ENDED) && connection.unwritten() == 0 {
        drop_connection(connection);
    }
}

/// So many replies to pipelined requests are written together.
pub(super) const MOST_AHEAD: usize = 16;
/// But no more than about this many bytes.
const MOST_UNWRITTEN: usize = 16384;

/// Whether there is input behind a request that has been replied to.
fn has_more_behind(connection: ConnectionPtr) -> bool {
    connection.state.get() == State::Writing
        && !connection.has(bit::HELD)
        && connection.unread() > 0
}

/// Goes on to the next request that is there already while the reply to the present one waits to be
/// written, unless it matters to somebody when that is.
#[inline(never)]
fn can_read_ahead(connection: ConnectionPtr) -> bool {
    if connection.unwritten() > MOST_UNWRITTEN || connection.written_callback.get().is_some() {
        return false;
    }
    let Some(request) = connection.current() else {
        return false;
    };
    if !request.is_user_done()
        || request.on_complete_cb.get().is_some()
        || reply::closes(request)
        || connection.is_loop_broken()
    {
        return false;
    }
    connection.put_aside(request);
    connection.begin_message();
    true
}

/// Makes a request for what starts to arrive.
fn begin_request(connection: ConnectionPtr) -> Result<RequestPtr, OutOfMemory> {
    let request = match connection.server() {
        Some(server) => server.spares.request()?,
        None => RequestPtr::create(None, ptr::null_mut())?,
    };
    // SAFETY: the address is a string of the connection's.
    let address = unsafe { CStr::from_ptr(connection.address.get()) }.to_bytes();
    if let Err(refused) = request.set_remote(address, connection.port.get()) {
        request.free();
        return Err(refused);
    }
    request.kind.set(request_kind::REQUEST);
    request.insert(flag::OWN_CONNECTION);
    request.set_user_done(true);
    connection.attach(request);
    Ok(request)
}

/// Answers what cannot be read.
#[cold]
fn refuse(connection: ConnectionPtr, request: RequestPtr, fault: Fault) {
    let code = match fault {
        Fault::BodyTooLong => 413,
        Fault::Corrupt | Fault::HeadTooLong => 400,
        Fault::Memory => return drop_connection(connection),
        Fault::Ended | Fault::Unwanted => return,
    };
    send_refusal(connection, request, code);
}

/// Sends an error page, after which the connection ends. What else the peer sends stays unread.
fn send_refusal(connection: ConnectionPtr, request: RequestPtr, code: c_int) {
    connection.state.set(State::Writing);
    reply::send_error_page(request, code, None, ErrorPage::Plain);
}

/// The head of a request is complete: what follows it?
pub(super) fn handle_head(connection: ConnectionPtr, request: RequestPtr) -> Result<After, Fault> {
    if !dispatch::is_allowed(connection, request) {
        send_refusal(connection, request, 501);
        return Ok(After::Pause);
    }
    let framing = framing::of_request(request)?;
    dispatch::mark_proxy_request(connection, request);
    connection.framing.set(framing);
    request.set_chunked(framing == Framing::Chunked);
    let announced = match framing {
        Framing::Length(length) => length,
        Framing::Chunked => -1,
        _ => {
            request.ntoread.set(-1);
            return Ok(After::Nothing);
        }
    };
    expect_body(connection, request, announced)
}

/// The body of a request comes next, of a length or, with -1, in chunks.
#[inline(never)]
fn expect_body(
    connection: ConnectionPtr,
    request: RequestPtr,
    announced: i64,
) -> Result<After, Fault> {
    request.ntoread.set(announced);
    let expects = request
        .input_header(b"Expect")
        .filter(|_| request.is_version_1_1());
    if let Some(expected) = expects {
        if !expected.eq_ignore_ascii_case(b"100-continue") {
            send_refusal(connection, request, 417);
            return Ok(After::Pause);
        }
        connection.check_body(request, announced.max(0))?;
        if connection.unread() == 0 {
            reply::send_continue(connection, request)?;
        }
    } else if connection.check_body(request, announced.max(0)).is_err() {
        if connection.flags.get() & CON_LINGERING_CLOSE == 0 {
            return Err(Fault::BodyTooLong);
        }
        connection.state.set(State::Discarding);
    }
    Ok(After::Body)
}

/// Has a whole request handled.
fn handle(connection: ConnectionPtr, request: RequestPtr) {
    connection.state.set(State::Writing);
    request.set_user_done(false);
    let handler = match dispatch::route(connection, request) {
        Answer::Handler(handler) => handler,
        Answer::NotFound => {
            return reply::send_error_page(request, 404, None, ErrorPage::NotFound);
        }
    };
    hold(connection);
    // SAFETY: the program's function. It may do anything: nothing of the request is used after.
    unsafe { (handler.callback)(request.as_ptr(), handler.argument) };
    if !connection.is_freed() && connection.has(bit::HELD) {
        stop_unless_wanted(connection);
    }
}

/// While the program has the request and has not begun to reply, nothing is read. For a handler
/// that replies at once that need not reach the kernel: it only sees that reading is disabled.
fn hold(connection: ConnectionPtr) {
    connection.insert(bit::HELD);
    if let Some(bufferevent) = connection.held_bufferevent() {
        let enabled = bufferevent.enabled.get();
        bufferevent.enabled.set(enabled & !kind::READ);
    }
}

/// Stops reading for real, except where the program has enabled it: then it has taken over.
fn stop_unless_wanted(connection: ConnectionPtr) {
    if let Some(bufferevent) = connection.bufferevent() {
        if !bufferevent.is_enabled(Direction::Read) {
            // A refusal was logged.
            let _ = bufferevent.disable(kind::READ);
        }
    }
}

/// A reply begins: the end of the connection is noticed again.
pub(super) fn resume(connection: ConnectionPtr) {
    connection.remove(bit::HELD);
    connection.take_callbacks();
    if connection.unread() <= MOST_UNREAD {
        connection.start_reading();
    }
}

/// The last reply of the connection begins: what else the peer sends stays unread.
pub(super) fn begin_last(connection: ConnectionPtr) {
    connection.remove(bit::HELD);
    connection.take_callbacks();
    connection.stop_reading();
}

/// Ends the request of which the whole reply has gone out. Whether there is a connection to read
/// the next one from.
pub(super) fn finish_reply(connection: ConnectionPtr) -> bool {
    let Some(request) = connection.current() else {
        return false;
    };
    if !request.is_user_done() || !connection.is_flushed() {
        return false;
    }
    let closes = reply::closes(request);
    connection.unqueue(request);
    notify_complete(connection, request, closes);
    if connection.is_freed() {
        return false;
    }
    if closes {
        connection.free();
        return false;
    }
    await_request(connection);
    true
}

/// Tells the program that a reply has gone out, if it wants to know, and frees the request.
fn notify_complete(connection: ConnectionPtr, request: RequestPtr, closes: bool) {
    match request.on_complete_cb.get() {
        Some(callback) => call_complete(connection, request, callback, closes),
        None => request.retire(connection),
    }
}

#[inline(never)]
fn call_complete(
    connection: ConnectionPtr,
    request: RequestPtr,
    callback: RequestFn,
    closes: bool,
) {
    /// The connection goes on even if the function throws.
    struct Next(ConnectionPtr, bool);
    impl Drop for Next {
        fn drop(&mut self) {
            if !self.0.is_freed() && !self.1 {
                await_request(self.0);
            }
        }
    }
    let argument = request.on_complete_cb_arg.get();
    let unfinished = connection.unfinished(if closes { bit::ENDING } else { 0 });
    let next = Next(connection, closes);
    // SAFETY: the program's function, for this request.
    request.call_and_free(|request| unsafe { callback(request, argument) });
    std::mem::forget(next);
    unfinished.finish();
}

/// The connection is ready for the next request.
fn await_request(connection: ConnectionPtr) {
    connection.written_callback.set(None);
    connection.begin_message();
    if !connection.has(bit::PEER_ENDED) {
        connection.keep_reading();
    }
}

/// Has the loop look again when something has left the output of the bufferevent below.
pub(super) fn watch_flushing(connection: ConnectionPtr, below: BuffereventPtr) {
    if connection.has(bit::FLUSHING) {
        return;
    }
    // SAFETY: the buffer lives as long as the bufferevent below, which the one above keeps.
    let output = unsafe { BufferGuard::new(below.buffer(Direction::Write)) };
    let changed = Function::Current(Some(below_changed));
    let argument = connection.as_ptr().cast();
    if output
        .add_callback(changed, argument, EVBUFFER_CB_ENABLED)
        .is_ok()
    {
        connection.insert(bit::FLUSHING);
    }
}

/// Takes the watching function off the bufferevent below.
pub(super) fn stop_watching(connection: ConnectionPtr) {
    if !connection.has(bit::FLUSHING) {
        return;
    }
    connection.remove(bit::FLUSHING);
    let below = connection
        .bufferevent()
        .and_then(|bufferevent| bufferevent.underlying());
    if let Some(below) = below {
        // SAFETY: as in `watch_flushing`.
        let output = unsafe { BufferGuard::new(below.buffer(Direction::Write)) };
        let _ = output.remove_callback(Some(below_changed), connection.as_ptr().cast());
    }
}

unsafe extern "C-unwind" fn below_changed(
    output: *mut Evbuffer,
    _: *const EvbufferCallbackInfo,
    argument: *mut c_void,
) {
    // SAFETY: the function is taken off before the connection ends; the buffer is live.
    unsafe {
        if let Some(connection) = ConnectionPtr::new(argument.cast()) {
            if (*output).length() == 0 {
                connection.schedule();
            }
        }
    }
}
