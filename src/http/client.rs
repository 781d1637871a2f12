//! Clients: requests one after the other on a connection that is made when it is needed.

use super::abi::{ErrorFn, RequestError, RequestFn, RequestQueue};
use super::abi::{flag, method, request_kind};
use super::connect;
use super::connection::{ConnectionPtr, MOST_UNREAD, State, bit};
use super::framing::{self, Framing};
use super::head::Head;
use super::headers;
use super::parser::{Fault, Progress, method_name};
use super::reading::After;
use super::request::RequestPtr;
use crate::bufferevent::Direction;
use crate::bufferevent::abi::{BEV_EVENT_CONNECTED, BEV_EVENT_EOF, BEV_EVENT_READING};
use crate::bufferevent::abi::{BEV_EVENT_ERROR, BEV_EVENT_TIMEOUT};
use crate::event::Event;
use crate::hooks::memory::OutOfMemory;
use crate::require;
use crate::system::{errno, set_errno};
use crate::util::text::Text;
use libc::timeval;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_char, c_int, c_short, c_uint, c_void};

/// Connects to the address that was found the last time.
pub const CON_REUSE_CONNECTED_ADDR: c_int = 0x0008;
/// Reads the reply of a server that took not all of the request.
pub const CON_READ_ON_WRITE_ERROR: c_int = 0x0010;

/// The part of a connection that only those of clients have.
pub struct Client {
    pub(super) dns_base: *mut c_void,
    pub(super) family: Cell<c_int>,
    pub(super) local_address: Cell<*mut c_char>,
    pub(super) local_port: Cell<u16>,
    pub(super) connect_timeout: Cell<timeval>,
    pub(super) read_timeout: Cell<timeval>,
    pub(super) write_timeout: Cell<timeval>,
    /// How often a connection is tried again; a negative number is without end.
    pub(super) most_retries: Cell<c_int>,
    pub(super) retries: Cell<c_int>,
    /// How often the pause has doubled since a connection was made.
    pub(super) doublings: Cell<u32>,
    pub(super) first_pause: Cell<timeval>,
    pub(super) retry_event: UnsafeCell<Event>,
    /// Requests that are notified one after the other that no connection could be made, or that
    /// they are done.
    pub(super) unconnected: UnsafeCell<RequestQueue>,
    /// The errno of the last failure.
    pub(super) error: Cell<c_int>,
}

/// Why a request was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMade;

impl From<OutOfMemory> for NotMade {
    fn from(_: OutOfMemory) -> NotMade {
        NotMade
    }
}

/// What is reported to the program when a request fails.
struct Callbacks {
    done: Option<RequestFn>,
    failed: Option<ErrorFn>,
    argument: *mut c_void,
}

impl Callbacks {
    fn of(request: RequestPtr) -> Callbacks {
        request.watch(None, std::ptr::null_mut());
        Callbacks {
            done: request.cb.get(),
            failed: request.error_cb.get(),
            argument: request.cb_arg.get(),
        }
    }

    /// Reports it. The request may be freed afterwards.
    fn notify(&self, error: RequestError) {
        // SAFETY: the program's functions, with the argument that it gave.
        unsafe {
            if let Some(failed) = self.failed {
                failed(error as c_uint, self.argument);
            }
            if let Some(done) = self.done.filter(|_| error != RequestError::Cancelled) {
                done(std::ptr::null_mut(), self.argument);
            }
        }
    }
}

impl ConnectionPtr {
    /// The client's part, of a connection that is one's.
    pub(super) fn client_part(&self) -> Option<&Client> {
        // SAFETY: it lives until the connection is freed. What changes in it is in cells.
        unsafe { self.client.get().as_ref() }
    }

    /// Makes a request: at once, or when it is its turn. If that fails it is freed unless it
    /// belongs to the program.
    pub fn make_request(
        self,
        request: RequestPtr,
        method: c_uint,
        uri: &[u8],
    ) -> Result<(), NotMade> {
        require!(request.connection().is_none(), "a request is made twice");
        let pin = self.pin();
        let made = prepare(request, method, uri).and_then(|()| {
            pin.attach(request);
            pin.begin_request(request).inspect_err(|_| {
                pin.detach(request);
            })
        });
        if made.is_err() {
            request.free_unless_owned();
        }
        made
    }

    fn begin_request(self, request: RequestPtr) -> Result<(), NotMade> {
        if self.has(bit::RETRY_PENDING | bit::CONNECT_FAILED) {
            return Ok(());
        }
        if !self.is_connected() {
            return connect::connect(self);
        }
        if self.state.get() == State::Idle && self.current() == Some(request) {
            write_request(self)?;
        }
        Ok(())
    }

    /// Frees the connection if that was asked for on completion, and it is complete.
    pub(super) fn free_if_complete(self) {
        let idle = !self.is_freed() && !self.is_connected() && self.current().is_none();
        let waits = self.state.get() == State::Connecting;
        if idle && !waits && self.has(bit::FREE_ON_COMPLETION) {
            self.free();
        }
    }
}

/// Fills in a request.
fn prepare(request: RequestPtr, method: c_uint, uri: &[u8]) -> Result<(), NotMade> {
    if uri.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return Err(NotMade);
    }
    request.set_uri(uri)?;
    request.kind.set(request_kind::REQUEST);
    request.method.set(method);
    if (request.major.get(), request.minor.get()) == (0, 0) {
        request.major.set(1);
        request.minor.set(1);
    }
    Ok(())
}

/// Whether a request of that method may have a body.
fn may_have_body(method: c_uint) -> bool {
    !matches!(method, method::HEAD | method::TRACE | method::CONNECT)
}

/// Adds the length of the body, if the message does not have it yet.
fn add_length(request: RequestPtr) -> Result<(), OutOfMemory> {
    let length = request.output().length();
    let method = request.method.get();
    let told = request.output_header(b"Content-Length").is_some()
        || request.output_header(b"Transfer-Encoding").is_some();
    let always = matches!(method, method::POST | method::PUT);
    if !told && (always || length > 0 && may_have_body(method)) {
        let digits = Text::<24>::of(format_args!("{length}"));
        request.add_output_header(b"Content-Length", digits.as_bytes())?;
    }
    Ok(())
}

/// Whether the body is sent only when the server wants it.
fn waits_for_consent(request: RequestPtr) -> bool {
    let expected = request.output_header(b"Expect");
    request.is_version_1_1()
        && request.output().length() > 0
        && expected.is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
}

/// Writes the request whose turn it is.
pub(super) fn write_request(connection: ConnectionPtr) -> Result<(), OutOfMemory> {
    let Some(request) = connection.current() else {
        return Ok(());
    };
    request.remove(flag::BODY_HELD_BACK);
    request.response_code.set(0);
    // SAFETY: the list is the request's.
    unsafe { headers::clear(request.input_headers.get()) };
    request.headers_size.set(0);
    request.body_size.set(0);
    add_length(request)?;
    let mut head = Head::empty();
    head.add(
        method_name(request.method.get())
            .unwrap_or("NULL")
            .as_bytes(),
    )?;
    head.add(b" ")?;
    head.add(request.uri_text().unwrap_or(b""))?;
    let (major, minor) = (request.major.get(), request.minor.get());
    head.add(Text::<24>::of(format_args!(" HTTP/{major}.{minor}\r\n")).as_bytes())?;
    head.add_headers(request)?;
    connection.take_callbacks();
    let busy = connection.busy();
    let written = if waits_for_consent(request) {
        request.insert(flag::BODY_HELD_BACK);
        head.write(connection)
    } else {
        head.write_with_body(request, connection)
    };
    drop(busy);
    written?;
    connection.state.set(State::Writing);
    if let Some(bufferevent) = connection.bufferevent() {
        bufferevent.enable_or_give_up(Direction::Write);
    }
    Ok(())
}

/// Something has arrived. The caller has a pin, as for all of these.
pub(super) fn readable(connection: ConnectionPtr) {
    if connection.is_reading() {
        read_reply(connection);
    } else if connection.state.get() == State::Idle {
        // Nobody asked for it.
        connection.reset();
        connection.free_if_complete();
    } else if connection.unread() > MOST_UNREAD {
        connection.stop_reading();
    }
}

/// The output has run low.
pub(super) fn written(connection: ConnectionPtr) {
    if connection.state.get() != State::Writing || connection.unwritten() > 0 {
        return;
    }
    expect_reply(connection);
}

/// The request has been written, or no more of it can be.
fn expect_reply(connection: ConnectionPtr) {
    let Some(request) = connection.current() else {
        return;
    };
    request.kind.set(request_kind::RESPONSE);
    connection.begin_message();
    if !connection.has(bit::PEER_ENDED) {
        connection.keep_reading();
    }
    if connection.unread() > 0 || connection.has(bit::PEER_ENDED) {
        read_reply(connection);
    }
}

/// Does the work that was deferred to the loop.
pub(super) fn run_deferred(connection: ConnectionPtr) {
    if connection.has(bit::ENDING) {
        return end_unfinished(connection);
    }
    connect::notify_remaining(connection);
    if connection.is_freed() {
        return;
    }
    if connection.has(bit::CONNECT_FAILED) {
        return connect::failed(connection);
    }
    match connection.state.get() {
        State::Writing => written(connection),
        State::Connecting => {}
        State::Idle | State::Disconnected => {
            start_next(connection);
            connection.free_if_complete();
        }
        _ => read_reply(connection),
    }
}

/// Does what an exception has kept from being done: the header callback did not say that it wants
/// the reply, or the callback of a reply that ended with the connection has not returned.
fn end_unfinished(connection: ConnectionPtr) {
    connection.remove(bit::ENDING);
    if connection.state.get() == State::Headers {
        return fail(connection, RequestError::Eof);
    }
    connection.reset();
    start_next(connection);
    connection.free_if_complete();
}

/// The connection was made, has ended, failed or timed out.
pub(super) fn handle_event(connection: ConnectionPtr, what: c_short) {
    match connection.state.get() {
        State::Connecting => connect::handle_event(connection, what),
        _ if what == BEV_EVENT_CONNECTED => {}
        State::Disconnected => {}
        State::Idle => {
            connection.reset();
            connection.free_if_complete();
        }
        State::Writing => interrupted(connection, what),
        _ if what & BEV_EVENT_EOF != 0 => {
            connection.insert(bit::PEER_ENDED);
            peer_ended(connection);
        }
        _ => fail(connection, error_of(what)),
    }
}

fn error_of(what: c_short) -> RequestError {
    if what & BEV_EVENT_TIMEOUT != 0 {
        RequestError::Timeout
    } else if what & (BEV_EVENT_EOF | BEV_EVENT_ERROR) != 0 {
        RequestError::Eof
    } else {
        RequestError::Buffer
    }
}

/// Something is wrong before all of the request has been written.
fn interrupted(connection: ConnectionPtr, what: c_short) {
    let reading = what & BEV_EVENT_READING != 0;
    if what & BEV_EVENT_TIMEOUT != 0 {
        if reading {
            // It is not the server's turn.
            connection.start_reading();
        } else {
            fail(connection, RequestError::Timeout);
        }
        return;
    }
    let early = reading && connection.unread() > 0;
    let wanted = connection.flags.get() & CON_READ_ON_WRITE_ERROR != 0;
    if !wanted && early && what & BEV_EVENT_EOF != 0 {
        // A reply that came early. The server may well read the rest of the request.
        return connection.insert(bit::PEER_ENDED);
    }
    if !wanted || reading && !early {
        return fail(connection, error_of(what));
    }
    discard_output(connection);
    connection.insert(bit::WRITING_FAILED);
    if reading {
        connection.insert(bit::PEER_ENDED);
    }
    expect_reply(connection);
}

fn discard_output(connection: ConnectionPtr) {
    use crate::buffer::End;
    if let Some(bufferevent) = connection.bufferevent() {
        // A refusal was logged.
        let _ = bufferevent.disable(crate::event::kind::WRITE);
    }
    if let Some(output) = connection.output() {
        output.set_frozen(End::Front, false);
        let _ = output.drain(output.length());
        output.set_frozen(End::Front, true);
    }
}

/// Continues reading the reply.
fn read_reply(connection: ConnectionPtr) {
    let Some(request) = connection.current() else {
        return;
    };
    match connection.read_message(request) {
        Ok(Progress::Done) => complete(connection, request, Ending::Told),
        Ok(Progress::More) if connection.has(bit::PEER_ENDED) => peer_ended(connection),
        Ok(Progress::More) | Err(Fault::Ended) => {}
        Err(Fault::Corrupt | Fault::HeadTooLong) => fail(connection, RequestError::InvalidHeader),
        Err(Fault::BodyTooLong) => fail(connection, RequestError::DataTooLong),
        Err(Fault::Memory) => fail(connection, RequestError::Buffer),
        Err(Fault::Unwanted) => fail(connection, RequestError::Eof),
    }
}

/// The server has ended the connection, and all that it sent has been read.
fn peer_ended(connection: ConnectionPtr) {
    let body_ends =
        connection.state.get() == State::Body && connection.framing.get() == Framing::UntilClose;
    match connection.current() {
        Some(request) if body_ends => complete(connection, request, Ending::Closed),
        _ => fail(connection, RequestError::Eof),
    }
}

/// The head of a reply is complete: what follows it?
#[inline(never)]
pub(super) fn handle_head(connection: ConnectionPtr, request: RequestPtr) -> Result<After, Fault> {
    if let Some(callback) = request.header_cb.get() {
        let argument = request.cb_arg.get();
        let unfinished = connection.unfinished(bit::ENDING);
        // SAFETY: the program set this function for the request.
        let (result, alive) = request.call(|request| unsafe { callback(request, argument) });
        unfinished.finish();
        if alive.is_none() || connection.is_freed() || connection.current() != alive {
            return Err(Fault::Ended);
        }
        if result < 0 {
            return Err(Fault::Unwanted);
        }
    }
    let code = request.response_code.get();
    if (100..200).contains(&code) && code != 101 {
        return interim(connection, request, code);
    }
    let framing = framing::of_reply(request)?;
    connection.framing.set(framing);
    request.set_chunked(framing == Framing::Chunked);
    request.ntoread.set(match framing {
        Framing::Empty => 0,
        Framing::Length(length) => length,
        Framing::Chunked | Framing::UntilClose => -1,
    });
    if let Framing::Length(length) = framing {
        connection.check_body(request, length)?;
    }
    Ok(match framing {
        Framing::Empty => After::Nothing,
        _ => After::Body,
    })
}

/// A reply that announces another one, or asks for the body.
fn interim(connection: ConnectionPtr, request: RequestPtr, code: c_int) -> Result<After, Fault> {
    // SAFETY: the list is the request's.
    unsafe { headers::clear(request.input_headers.get()) };
    request.headers_size.set(0);
    if code != 100 || !request.has(flag::BODY_HELD_BACK) {
        return Ok(After::AnotherHead);
    }
    request.remove(flag::BODY_HELD_BACK);
    let Some(output) = connection.output() else {
        return Err(Fault::Ended);
    };
    connection.state.set(State::Writing);
    let busy = connection.busy();
    let moved = request.output().move_all_to(&output);
    drop(busy);
    moved.map_err(|_| Fault::Memory)?;
    Ok(After::Pause)
}

/// How the end of a reply is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Told,
    Closed,
}

/// Whether nothing more can come on the connection after a reply.
fn closes(connection: ConnectionPtr, request: RequestPtr, ending: Ending) -> bool {
    if ending == Ending::Closed
        || connection.has(bit::PEER_ENDED | bit::WRITING_FAILED)
        || request.has(flag::BODY_HELD_BACK)
        // What else is there belongs to no request.
        || connection.unread() > 0
    {
        return true;
    }
    if request.method.get() == method::CONNECT {
        return false;
    }
    request.input_has_word(b"Connection", b"close")
        || request.output_has_word(b"Connection", b"close")
        || !request.is_version_1_1() && !request.input_has_word(b"Connection", b"keep-alive")
}

/// A reply is complete.
fn complete(connection: ConnectionPtr, request: RequestPtr, ending: Ending) {
    let closes = closes(connection, request, ending);
    connection.detach(request);
    let unnotified = connect::Unnotified::of(connection, request);
    if !closes {
        connection.state.set(State::Idle);
        start_next(connection);
    } else if ending == Ending::Told {
        connection.reset();
        start_next(connection);
    }
    let unfinished = connection.unfinished(match ending {
        Ending::Told => 0,
        Ending::Closed => bit::ENDING,
    });
    unnotified.notify();
    unfinished.finish();
    if ending == Ending::Closed && !connection.is_freed() {
        connection.reset();
        start_next(connection);
    }
    connection.free_if_complete();
}

/// Starts the next request, if there is one.
pub(super) fn start_next(connection: ConnectionPtr) {
    if connection.is_freed() {
        return;
    }
    if connection.current().is_none() {
        if connection.state.get() == State::Idle {
            connection.keep_reading();
        }
        return;
    }
    let begun = if connection.is_connected() {
        write_request(connection).map_err(NotMade::from)
    } else if connection.has(bit::RETRY_PENDING | bit::CONNECT_FAILED) {
        Ok(())
    } else {
        connect::connect(connection)
    };
    if begun.is_err() && !connection.is_freed() {
        connect::fail_from_loop(connection);
    }
}

/// The current request fails; those queued after it continue on a new connection.
pub(super) fn fail(connection: ConnectionPtr, error: RequestError) {
    let cause = errno();
    let Some(request) = connection.current() else {
        connection.reset();
        return connection.free_if_complete();
    };
    let callbacks = Callbacks::of(request);
    connection.detach(request);
    request.free_unless_owned();
    connection.reset();
    start_next(connection);
    connection.free_if_complete();
    set_errno(cause);
    callbacks.notify(error);
}

/// Cancels a request.
pub fn cancel(request: RequestPtr) {
    let Some(connection) = request.connection() else {
        return request.free_unless_owned();
    };
    let pin = connection.pin();
    if pin.is_incoming() {
        return;
    }
    if request.has(flag::UNCONNECTED) {
        connect::forget_unconnected(*pin, request);
        request.free_unless_owned();
    } else if pin.current() != Some(request) {
        pin.detach(request);
        request.free_unless_owned();
    } else if pin.state.get() == State::Disconnected {
        let callbacks = Callbacks::of(request);
        pin.detach(request);
        request.free_unless_owned();
        if pin.current().is_none() {
            connect::stop_retrying(*pin);
            pin.free_if_complete();
        }
        callbacks.notify(RequestError::Cancelled);
    } else {
        fail(*pin, RequestError::Cancelled);
    }
}
