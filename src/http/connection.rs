//! Connections: what those of servers and of clients have in common.
//!
//! A connection has one bufferevent for all of its life. Whoever runs functions of the program on
//! the way holds a [`Pin`]: the program may free the connection in any of them, which ends it at
//! once except for its memory. So after each of them it is asked whether the connection is freed.

use super::abi::{ConnectionFn, RequestError, RequestQueue};
use super::client::Client;
use super::framing::Framing;
use super::parser::HeadState;
use super::request::RequestPtr;
use super::server::Server;
use super::{client, connect, incoming};
use crate::base::{self, EventBase, deferred};
use crate::buffer::{End, Evbuffer, Guard as BufferGuard};
use crate::bufferevent::abi::BuffereventOptions;
use crate::bufferevent::limit::DEFAULT_SINGLE;
use crate::bufferevent::{self, Bufferevent, BuffereventPtr, Direction, Guard};
use crate::event::{EventCallback, assign, kind};
use crate::hooks::memory::{self, OutOfMemory};
use crate::list::{Adapter, TailLink, TailQueue};
use crate::system;
use crate::util::sockets;
use libc::{sockaddr, timeval};
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_char, c_int, c_short, c_void};
use std::ops::Deref;
use std::ptr::{self, NonNull, addr_of_mut};

/// How far a connection is with what it does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is none.
    Disconnected,
    /// It is being made.
    Connecting,
    /// A client's that waits for a request.
    Idle,
    /// Reads the first line of a message.
    FirstLine,
    /// Reads the headers.
    Headers,
    /// Reads the body.
    Body,
    /// Reads what follows the last chunk.
    Trailer,
    /// Reads the rest of a body that is too long, only to be able to say so.
    Discarding,
    /// Handles a request or writes a message.
    Writing,
}

/// What is to be read next of a body in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ChunkPart {
    Size,
    Data,
    End,
}

/// Bits of [`Connection::bits`].
pub mod bit {
    /// The program has freed it; only its memory is left.
    pub const FREED: u16 = 0x01;
    /// It is freed when it is neither used nor connected.
    pub const FREE_ON_COMPLETION: u16 = 0x02;
    /// The peer sends nothing more.
    pub const PEER_ENDED: u16 = 0x04;
    /// A handler has the request and has not begun to reply.
    pub const HELD: u16 = 0x08;
    /// A function of this library writes: what the bufferevent tells meanwhile has to wait.
    pub const BUSY: u16 = 0x10;
    /// The loop is to look after the connection.
    pub const SCHEDULED: u16 = 0x20;
    /// A connection could not be made, which the loop is to deal with.
    pub const CONNECT_FAILED: u16 = 0x40;
    /// It failed because the peer refused it or did not answer.
    pub const CONNECT_REFUSED: u16 = 0x80;
    /// The next attempt waits for a timer.
    pub const RETRY_PENDING: u16 = 0x100;
    /// The reply is read although the request has not been written whole.
    pub const WRITING_FAILED: u16 = 0x200;
    /// What was written has yet to leave the bufferevent below.
    pub const FLUSHING: u16 = 0x400;
    /// The program has chosen its timeouts.
    pub const TIMED: u16 = 0x800;
    /// The loop is to end it: what would have done so was left by an exception.
    pub const ENDING: u16 = 0x1000;
}

/// While requests are not read, nothing is taken in any more once there is more than this; what the
/// last read brings and the blocks that hold it fit into 64 KiB, too.
pub const MOST_UNREAD: usize = 32768;

/// How much of a large body is read or written at once.
pub const LARGE_PIECE: usize = 262_144;

/// `struct evhttp_connection`.
pub struct Connection {
    link: TailLink<Connection>,
    pub(super) base: Cell<*mut EventBase>,
    bufferevent: Cell<*mut Bufferevent>,
    pub(super) server: Cell<*mut Server>,
    /// The part that only those of clients have; null for those of servers.
    pub(super) client: Cell<*mut Client>,
    requests: UnsafeCell<RequestQueue>,
    /// Requests whose replies are complete, but not written whole yet, while the next one is read.
    replied: UnsafeCell<RequestQueue>,
    pins: Cell<u32>,
    pub(super) bits: Cell<u16>,
    pub(super) state: Cell<State>,
    pub(super) framing: Cell<Framing>,
    pub(super) chunk_part: Cell<ChunkPart>,
    pub(super) port: Cell<u16>,
    /// The flags that the program set.
    pub(super) flags: Cell<c_int>,
    pub(super) head: Cell<HeadState>,
    pub(super) address: Cell<*mut c_char>,
    pub(super) most_headers: Cell<usize>,
    pub(super) most_body: Cell<u64>,
    pub(super) close_callback: Cell<Option<ConnectionFn>>,
    pub(super) close_argument: Cell<*mut c_void>,
    /// Called when the reply so far has been written.
    pub(super) written_callback: Cell<Option<ConnectionFn>>,
    pub(super) written_argument: Cell<*mut c_void>,
    /// Has the loop look after the connection.
    deferred: UnsafeCell<EventCallback>,
}

/// The links among the connections of a server.
pub struct ServerLinks;

// SAFETY: always the same field.
unsafe impl Adapter for ServerLinks {
    type Item = Connection;
    type Link = TailLink<Connection>;
    unsafe fn link(item: *mut Connection) -> *mut TailLink<Connection> {
        // SAFETY: the caller guarantees the element.
        unsafe { addr_of_mut!((*item).link) }
    }
}

/// The connections of a server.
pub type ConnectionQueue = TailQueue<ServerLinks>;

/// A connection that is live, or pinned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ConnectionPtr(NonNull<Connection>);

impl Deref for ConnectionPtr {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        // SAFETY: `new` promised a live object. What changes in it is in cells, and its link is used
        // through raw pointers only.
        unsafe { self.0.as_ref() }
    }
}

/// Keeps the memory of a connection.
pub struct Pin(ConnectionPtr);

impl Deref for Pin {
    type Target = ConnectionPtr;
    fn deref(&self) -> &ConnectionPtr {
        &self.0
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let pins = self.pins.get() - 1;
        self.pins.set(pins);
        if pins == 0 && self.is_freed() {
            self.0.release_memory();
        }
    }
}

/// A function of the program runs after which there is more to do. When an exception passes, or the
/// thread is cancelled, the loop does it.
pub(super) struct Unfinished {
    connection: ConnectionPtr,
    /// Set in the connection then.
    bits: u16,
}

impl Unfinished {
    /// The function has returned.
    pub(super) fn finish(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.connection.is_freed() {
            self.connection.insert(self.bits);
            self.connection.schedule();
        }
    }
}

/// This library writes to a connection: what the bufferevent tells until this is dropped waits.
pub(super) struct Busy {
    connection: ConnectionPtr,
    before: u16,
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.before == 0 {
            self.connection.remove(bit::BUSY);
        }
    }
}

/// The size that a limit of the C interface stands for.
pub fn limit(size: isize) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

impl ConnectionPtr {
    /// `None` for null.
    ///
    /// # Safety
    /// The connection is live, and stays so or is pinned while the pointer, or a copy, is used.
    pub unsafe fn new(connection: *mut Connection) -> Option<ConnectionPtr> {
        NonNull::new(connection).map(ConnectionPtr)
    }

    /// The raw pointer.
    pub fn as_ptr(self) -> *mut Connection {
        self.0.as_ptr()
    }

    /// A connection that is not connected, on a bufferevent that becomes its own, or without one.
    ///
    /// # Safety
    /// Base and bufferevent are live or null.
    pub(super) unsafe fn create(
        base: *mut EventBase,
        bufferevent: *mut Bufferevent,
        address: &[u8],
        port: u16,
    ) -> Result<ConnectionPtr, OutOfMemory> {
        let address = memory::copy_text(address)?;
        let block = match memory::allocate_zeroed::<Connection>() {
            Ok(block) => block,
            Err(refused) => {
                // SAFETY: nobody knows the copy.
                unsafe { memory::free(address.as_ptr().cast()) };
                return Err(refused);
            }
        };
        // SAFETY: zero bytes are valid for all fields but those that are written here before a
        // reference to the whole is made; the caller guarantees the base.
        let connection = unsafe {
            let fields = block.as_ptr();
            addr_of_mut!((*fields).state).write(Cell::new(State::Disconnected));
            addr_of_mut!((*fields).framing).write(Cell::new(Framing::Empty));
            addr_of_mut!((*fields).chunk_part).write(Cell::new(ChunkPart::Size));
            addr_of_mut!((*fields).head).write(Cell::new(HeadState::default()));
            RequestQueue::initialise((*fields).requests.get());
            RequestQueue::initialise((*fields).replied.get());
            ConnectionPtr(block)
        };
        connection.base.set(base);
        connection.bufferevent.set(bufferevent);
        connection.address.set(address.as_ptr());
        connection.port.set(port);
        connection.most_headers.set(usize::MAX);
        connection.most_body.set(u64::MAX);
        connection.prepare_deferred();
        Ok(connection)
    }

    fn prepare_deferred(self) {
        let base = base::or_current(self.base.get());
        if base.is_null() {
            return;
        }
        // SAFETY: the entry is part of the connection and not queued; the base is live.
        unsafe {
            let priority = assign::middle_priority(base);
            deferred::initialise(self.deferred.get(), priority, attend, self.as_ptr().cast());
        }
    }

    /// Gives a connection that has none a base, and its bufferevent.
    ///
    /// # Safety
    /// `base` is live or null.
    pub unsafe fn set_base(self, base: *mut EventBase) -> Result<(), OutOfMemory> {
        self.base.set(base);
        self.prepare_deferred();
        if let Some(bufferevent) = self.bufferevent() {
            if !base::or_current(base).is_null() {
                // SAFETY: the caller guarantees the base. One that is not connected is idle.
                let _ = unsafe { bufferevent.set_base(base) };
            }
            return Ok(());
        }
        // SAFETY: the caller guarantees the base.
        let made = unsafe { bufferevent::socket::create(base, -1, 0) }.ok_or(OutOfMemory)?;
        self.bufferevent.set(made.as_ptr());
        Ok(())
    }

    /// The base that it was given, or null.
    pub fn event_base(self) -> *mut EventBase {
        self.base.get()
    }

    /// Keeps the memory while functions of the program run.
    pub fn pin(self) -> Pin {
        self.pins.set(self.pins.get() + 1);
        Pin(self)
    }

    /// Whether any of the bits is set.
    pub fn has(self, bits: u16) -> bool {
        self.bits.get() & bits != 0
    }

    /// Sets bits.
    pub(super) fn insert(self, bits: u16) {
        self.bits.set(self.bits.get() | bits);
    }

    /// Clears bits.
    pub(super) fn remove(self, bits: u16) {
        self.bits.set(self.bits.get() & !bits);
    }

    /// Whether only the memory is left.
    pub fn is_freed(self) -> bool {
        self.has(bit::FREED)
    }

    /// Whether it is of a server.
    pub fn is_incoming(self) -> bool {
        self.client.get().is_null()
    }

    /// Whether there is, or was a moment ago, a peer.
    pub fn is_connected(self) -> bool {
        !matches!(self.state.get(), State::Disconnected | State::Connecting)
    }

    /// Whether a message is being read.
    pub fn is_reading(self) -> bool {
        use State::*;
        matches!(
            self.state.get(),
            FirstLine | Headers | Body | Trailer | Discarding
        )
    }

    /// The raw pointer of the bufferevent.
    pub fn bufferevent_ptr(self) -> *mut Bufferevent {
        self.bufferevent.get()
    }

    /// The bufferevent; none while there is no base to make one for.
    pub fn bufferevent(self) -> Option<Guard> {
        let bufferevent = self.bufferevent.get();
        // SAFETY: the connection owns it, and forgets it when it is freed.
        (!bufferevent.is_null()).then(|| unsafe { Guard::new(bufferevent) })
    }

    fn buffer(self, direction: Direction) -> Option<BufferGuard> {
        let bufferevent = self.bufferevent()?;
        // SAFETY: the buffers live as long as the bufferevent.
        Some(unsafe { BufferGuard::new(bufferevent.buffer(direction)) })
    }

    /// What came in.
    pub(super) fn input(self) -> Option<BufferGuard> {
        self.buffer(Direction::Read)
    }

    /// What is to go out.
    pub(super) fn output(self) -> Option<BufferGuard> {
        self.buffer(Direction::Write)
    }

    /// Reads in large pieces while that much of a body is missing at least, so that what is read is
    /// the body. Sizes that the program has chosen stay.
    pub(super) fn read_in_pieces_for(self, missing: i64) {
        let Some(bufferevent) = self.bufferevent() else {
            return;
        };
        let large = missing >= LARGE_PIECE as i64;
        let present = bufferevent.max_single(Direction::Read);
        if large && present == DEFAULT_SINGLE {
            bufferevent.set_max_single(Direction::Read, LARGE_PIECE);
        } else if !large && present == LARGE_PIECE {
            bufferevent.set_max_single(Direction::Read, DEFAULT_SINGLE);
        }
    }

    /// How many bytes came in that were not read.
    pub(super) fn unread(self) -> usize {
        self.bufferevent()
            .map_or(0, |bufferevent| bufferevent.length(Direction::Read))
    }

    /// How many bytes have not gone out.
    pub(super) fn unwritten(self) -> usize {
        self.bufferevent()
            .map_or(0, |bufferevent| bufferevent.length(Direction::Write))
    }

    /// The request that the connection is busy with.
    pub fn current(self) -> Option<RequestPtr> {
        // SAFETY: requests in the queue are live.
        unsafe { RequestPtr::new(RequestQueue::first(self.requests.get())) }
    }

    /// Puts a request at the end of the queue.
    pub(super) fn attach(self, request: RequestPtr) {
        request.evcon.set(self.as_ptr());
        // SAFETY: the request is live and in no queue.
        unsafe { RequestQueue::push_back(self.requests.get(), request.as_ptr()) };
    }

    /// Takes a request out of the queue; it has no connection any more.
    pub(super) fn detach(self, request: RequestPtr) {
        self.unqueue(request);
        request.evcon.set(ptr::null_mut());
    }

    /// Takes a request out of the queue.
    pub(super) fn unqueue(self, request: RequestPtr) {
        // SAFETY: the request is in the queue.
        unsafe { RequestQueue::remove(self.requests.get(), request.as_ptr()) };
    }

    /// Puts the current request, to which there is nothing to add, aside until its reply is written.
    pub(super) fn put_aside(self, request: RequestPtr) {
        self.unqueue(request);
        // SAFETY: the request is live and in no queue.
        unsafe { RequestQueue::push_back(self.replied.get(), request.as_ptr()) };
    }

    /// Frees the requests that were put aside.
    pub(super) fn free_replied(self) {
        let queue = self.replied.get();
        // SAFETY: requests in the queue are live.
        unsafe {
            while let Some(request) = RequestPtr::new(RequestQueue::first(queue)) {
                RequestQueue::remove(queue, request.as_ptr());
                request.free();
            }
        }
    }

    /// Moves all requests to the end of another queue.
    pub(super) fn move_requests(self, other: *mut RequestQueue, each: impl Fn(RequestPtr)) {
        while let Some(request) = self.current() {
            self.unqueue(request);
            each(request);
            // SAFETY: the caller guarantees the queue; the request is in none.
            unsafe { RequestQueue::push_back(other, request.as_ptr()) };
        }
    }

    /// Has the bufferevent call this layer.
    pub(super) fn take_callbacks(self) {
        if let Some(bufferevent) = self.bufferevent() {
            let argument = self.as_ptr().cast();
            bufferevent.set_callbacks(Some(readable), Some(written), Some(happened), argument);
        }
    }

    /// Lets input come in.
    pub(super) fn start_reading(self) {
        if let Some(bufferevent) = self.bufferevent() {
            bufferevent.enable_or_give_up(Direction::Read);
        }
    }

    /// [`ConnectionPtr::start_reading`] where it is likely that it does: only a timeout begins anew.
    pub(super) fn go_on_reading(self) {
        if let Some(bufferevent) = self.bufferevent() {
            let runs = bufferevent.is_enabled(Direction::Read);
            if !runs || bufferevent.timeout(Direction::Read).is_some() {
                bufferevent.enable_or_give_up(Direction::Read);
            }
        }
    }

    /// Lets no input come in.
    pub(super) fn stop_reading(self) {
        if let Some(bufferevent) = self.bufferevent() {
            // A refusal was logged.
            let _ = bufferevent.disable(kind::READ);
        }
    }

    /// Sets the timeouts.
    pub(super) fn set_timeouts(self, read: timeval, write: timeval) {
        if let Some(bufferevent) = self.bufferevent() {
            // A refusal was logged.
            let _ = bufferevent.set_timeouts(read, write);
        }
    }

    /// Before a function of the program is called. The caller has a pin.
    pub(super) fn unfinished(self, bits: u16) -> Unfinished {
        Unfinished {
            connection: self,
            bits,
        }
    }

    /// Before something is written. The caller has a pin.
    pub(super) fn busy(self) -> Busy {
        let before = self.bits.get() & bit::BUSY;
        self.insert(bit::BUSY);
        Busy {
            connection: self,
            before,
        }
    }

    /// Has the loop call [`attend`].
    pub(super) fn schedule(self) {
        if !self.has(bit::SCHEDULED) {
            self.insert(bit::SCHEDULED);
            // SAFETY: the base outlives its connections; the entry is taken out before it ends.
            unsafe { deferred::schedule(self.base.get(), self.deferred.get()) };
        }
    }

    /// Forgets what was known about the message that was read.
    pub(super) fn begin_message(self) {
        self.head.set(HeadState::default());
        self.chunk_part.set(ChunkPart::Size);
        self.state.set(State::FirstLine);
    }

    /// The base.
    pub fn base(self) -> *mut EventBase {
        self.base.get()
    }

    /// The raw pointer of the server.
    pub fn server_ptr(self) -> *mut Server {
        self.server.get()
    }

    /// The host and port as they were given, or the peer's of a server's connection.
    pub fn peer(self) -> (*mut c_char, u16) {
        (self.address.get(), self.port.get())
    }

    /// The limit of heads that come in.
    pub fn most_headers(self) -> usize {
        self.most_headers.get()
    }

    /// Sets the limit of heads that come in; a negative one is none.
    pub fn set_most_headers(self, size: isize) {
        self.most_headers.set(limit(size));
    }

    /// Sets the limit of bodies that come in; a negative one is none.
    pub fn set_most_body(self, size: isize) {
        self.most_body.set(u64::try_from(size).unwrap_or(u64::MAX));
    }

    /// Fails what the connection is busy with.
    pub fn fail(self, error: RequestError) {
        let pin = self.pin();
        if pin.is_incoming() {
            incoming::fail(*pin, error);
        } else {
            client::fail(*pin, error);
        }
    }

    /// Reads a message from now on; what is there already is read from the loop.
    pub fn start_message(self) {
        self.take_callbacks();
        self.begin_message();
        self.start_reading();
        if self.unread() > 0 {
            self.schedule();
        }
    }

    /// Writes from now on.
    pub fn start_writing(self) {
        self.take_callbacks();
        self.state.set(State::Writing);
        if let Some(bufferevent) = self.bufferevent() {
            bufferevent.enable_or_give_up(Direction::Write);
        }
    }

    /// Remembers what to call when the connection ends.
    pub fn set_close_callback(self, callback: Option<ConnectionFn>, argument: *mut c_void) {
        self.close_callback.set(callback);
        self.close_argument.set(argument);
    }

    /// Tells the program that the connection ends, if there is one.
    fn tell_closed(self) {
        if self.is_connected() {
            if let Some(callback) = self.close_callback.get() {
                // SAFETY: the program's function; the caller has a pin.
                unsafe { callback(self.as_ptr(), self.close_argument.get()) };
            }
        }
    }

    /// The address of the peer; of family 0 if there never was one.
    pub fn peer_address(self) -> *const sockaddr {
        match self.bufferevent() {
            Some(bufferevent) => bufferevent.peer_address(),
            None => bufferevent::connect::no_address(),
        }
    }

    /// Ends the connection, if there is one; the object can be connected again.
    pub fn reset(self) {
        let pin = self.pin();
        if let Some(bufferevent) = self.bufferevent() {
            bufferevent.set_callbacks(None, None, None, ptr::null_mut());
            // Refusals were logged.
            let _ = bufferevent.disable_hard(kind::READ | kind::WRITE);
        }
        let disconnecting = Disconnecting(self);
        let unfinished = self.unfinished(0);
        pin.tell_closed();
        unfinished.finish();
        drop(disconnecting);
    }

    /// Frees the connection, and its requests unless they belong to the program. None of their
    /// callbacks is called.
    pub fn free(self) {
        if self.is_freed() {
            return;
        }
        let pin = self.pin();
        self.insert(bit::FREED);
        if let Some(bufferevent) = self.bufferevent() {
            bufferevent.set_callbacks(None, None, None, ptr::null_mut());
        }
        let dismantling = Dismantling(self);
        pin.tell_closed();
        drop(dismantling);
    }

    fn release_memory(self) {
        // SAFETY: nobody has a pin, and the program has given the connection up.
        unsafe {
            memory::free(self.address.get().cast());
            memory::free(self.as_ptr().cast());
        }
    }

    /// Whether all that was written has left the bufferevent and those below it. When it has not
    /// left those below yet, the loop looks again when it may have.
    pub(super) fn is_flushed(self) -> bool {
        let Some(bufferevent) = self.bufferevent() else {
            return true;
        };
        if bufferevent.length(Direction::Write) > 0 {
            return false;
        }
        match bufferevent.underlying() {
            Some(below) if below.length(Direction::Write) > 0 => {
                incoming::watch_flushing(self, below);
                false
            }
            _ => true,
        }
    }
}

/// The rest of [`ConnectionPtr::reset`], also when the close callback throws.
struct Disconnecting(ConnectionPtr);

impl Drop for Disconnecting {
    fn drop(&mut self) {
        let connection = self.0;
        if connection.is_freed() {
            return;
        }
        if let Some(bufferevent) = connection.bufferevent() {
            close_descriptor(*bufferevent);
            for direction in Direction::ALL {
                empty(bufferevent.buffer(direction));
            }
        }
        incoming::stop_watching(connection);
        connection.written_callback.set(None);
        connection.remove(bit::PEER_ENDED | bit::HELD | bit::WRITING_FAILED);
        connection.state.set(State::Disconnected);
    }
}

/// The rest of [`ConnectionPtr::free`], also when the close callback throws.
struct Dismantling(ConnectionPtr);

impl Drop for Dismantling {
    fn drop(&mut self) {
        let connection = self.0;
        incoming::stop_watching(connection);
        incoming::leave_server(connection);
        connection.free_replied();
        while let Some(request) = connection.current() {
            connection.detach(request);
            request.free_unless_owned();
        }
        connect::free_part(connection);
        if connection.has(bit::SCHEDULED) {
            // SAFETY: the base outlives its connections.
            unsafe { deferred::cancel(connection.base.get(), connection.deferred.get()) };
        }
        if let Some(bufferevent) = connection.bufferevent() {
            connection.bufferevent.set(ptr::null_mut());
            end(bufferevent);
        }
        connection.state.set(State::Disconnected);
    }
}

/// Says the peer that nothing more comes.
fn shut_down(descriptor: c_int) {
    // SAFETY: shutdown takes integers only; a peer that has gone already is no failure.
    unsafe { system::shutdown(descriptor, libc::SHUT_WR) };
}

/// Throws away what is in a buffer of a bufferevent that has no descriptor any more.
fn empty(buffer: *mut Evbuffer) {
    // SAFETY: the buffer's bufferevent is guarded by the caller.
    let buffer = unsafe { BufferGuard::new(buffer) };
    if buffer.length() > 0 {
        buffer.set_frozen(End::Front, false);
        let _ = buffer.drain(buffer.length());
    }
}

/// Ends a connection and closes its descriptor, which no bufferevent, also of those below, has any
/// more then: the number may soon be another file's.
fn close_descriptor(bufferevent: BuffereventPtr) {
    let descriptor = bufferevent.descriptor();
    if descriptor >= 0 {
        shut_down(descriptor);
    }
    let mut lowest = bufferevent;
    while let Some(below) = lowest.underlying() {
        lowest = below;
    }
    // The kernel forgets the descriptor before it is closed.
    let _ = lowest.set_descriptor(-1);
    if descriptor >= 0 {
        let _ = sockets::close(descriptor);
    }
}

/// Closes the descriptor of a bufferevent and frees it.
fn end(bufferevent: Guard) {
    const CLOSE_ON_FREE: c_int = BuffereventOptions::BEV_OPT_CLOSE_ON_FREE as c_int;
    if bufferevent.options() & CLOSE_ON_FREE == 0 {
        // A refusal was logged.
        let _ = bufferevent.disable_hard(kind::READ | kind::WRITE);
        close_descriptor(*bufferevent);
    } else if let descriptor @ 0.. = bufferevent.descriptor() {
        shut_down(descriptor);
    }
    BuffereventPtr::free(bufferevent);
}

/// The connection that a callback of this layer is for.
///
/// # Safety
/// `argument` is a connection that is not freed.
unsafe fn pinned(argument: *mut c_void) -> Option<Pin> {
    // SAFETY: the caller guarantees the connection.
    unsafe { ConnectionPtr::new(argument.cast()) }.map(ConnectionPtr::pin)
}

/// Something came in.
unsafe extern "C-unwind" fn readable(_: *mut Bufferevent, argument: *mut c_void) {
    // SAFETY: a connection that is freed takes these functions away.
    let Some(connection) = (unsafe { pinned(argument) }) else {
        return;
    };
    if connection.is_incoming() {
        incoming::readable(*connection);
    } else {
        client::readable(*connection);
    }
    // Replies go out one by one, not after all requests that came in at the same time: what belongs
    // to them is still near.
    if let Some(bufferevent) = connection.bufferevent() {
        bufferevent.write_now();
    }
}

/// What was to go out has gone out.
unsafe extern "C-unwind" fn written(_: *mut Bufferevent, argument: *mut c_void) {
    // SAFETY: as in `readable`.
    let Some(connection) = (unsafe { pinned(argument) }) else {
        return;
    };
    if connection.has(bit::BUSY) {
        connection.schedule();
    } else if connection.is_incoming() {
        incoming::written(*connection);
    } else {
        client::written(*connection);
    }
}

/// The connection was made, has ended, failed or timed out.
unsafe extern "C-unwind" fn happened(_: *mut Bufferevent, what: c_short, argument: *mut c_void) {
    // SAFETY: as in `readable`.
    let Some(connection) = (unsafe { pinned(argument) }) else {
        return;
    };
    if connection.is_incoming() {
        incoming::happened(*connection, what);
    } else {
        client::happened(*connection, what);
    }
}

/// What the loop does for a connection that was scheduled.
unsafe extern "C-unwind" fn attend(_: *mut EventCallback, argument: *mut c_void) {
    // SAFETY: the entry is taken out when the connection is freed.
    let Some(connection) = (unsafe { pinned(argument) }) else {
        return;
    };
    connection.remove(bit::SCHEDULED);
    if connection.is_incoming() {
        incoming::attend(*connection);
    } else {
        client::attend(*connection);
    }
}
