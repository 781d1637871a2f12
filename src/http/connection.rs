//! Connections: what those of servers and of clients have in common.
//!
//! A connection has one bufferevent for all of its life. Code that calls functions of the program
//! holds a [`Pin`]: the program may free the connection in any of them, which ends it at once
//! except for its memory. After each such call, the code checks whether the connection was freed.

use super::abi::{ConnectionFn, RequestError, RequestQueue};
use super::client::Client;
use super::framing::Framing;
use super::parser::HeadState;
use super::request::RequestPtr;
use super::server::Server;
use super::{client, incoming};
use crate::base::{self, EventBase};
use crate::buffer::{Evbuffer, Guard as BufferGuard, Held as HeldBuffer};
use crate::bufferevent::limit::DEFAULT_SINGLE;
use crate::bufferevent::{self, Bufferevent, BuffereventPtr, Direction, Guard, Held};
use crate::event::{EventCallback, kind};
use crate::hooks::memory::{self, OutOfMemory};
use crate::list::{TailLink, TailQueue, links};
use libc::{sockaddr, timeval};
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_char, c_int, c_void};
use std::ops::Deref;
use std::ptr::{self, NonNull, addr_of_mut};

/// What a connection is doing at the moment.
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
    /// Reads the rest of a body that is too long, only so that the error reply arrives.
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

/// Bits of `Connection::bits`.
pub mod bit {
    /// The program has freed it; only its memory is left.
    pub const FREED: u16 = 0x01;
    /// It is freed when it is neither used nor connected.
    pub const FREE_ON_COMPLETION: u16 = 0x02;
    /// The peer sends nothing more.
    pub const PEER_ENDED: u16 = 0x04;
    /// A handler has the request and has not begun to reply.
    pub const HELD: u16 = 0x08;
    /// The library is writing: what the bufferevent reports in the meantime has to wait.
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

/// How much of a large body is read at once.
pub const LARGE_PIECE: usize = 262_144;
/// How much of a large reply is written at once: a file of a megabyte goes out whole.
pub const LARGE_REPLY: usize = 2 << 20;

/// Room that is made at once while at least that much of a body is missing, and twice as much is
/// there: a peer that stops in between has made us take half as much again as it has sent. With
/// what the buffer and an allocator put before it, it fills whole pages.
const LONG_STRETCH: usize = (2 << 20) - 192;

/// The most room that is made at once for what comes in small pieces, half as much as is there; and the
/// least.
const SHORT_STRETCH: usize = (16 << 10) - 192;
const SHORTEST_STRETCH: usize = 2048;

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
    /// Makes the loop continue the work on the connection.
    pub(super) deferred: UnsafeCell<EventCallback>,
}

links! {
    /// The links among the connections of a server.
    pub struct ServerLinks: TailLink<Connection> in link;
}

/// The connections of a server.
pub type ConnectionQueue = TailQueue<ServerLinks>;

/// A connection that is live, or pinned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ConnectionPtr(NonNull<Connection>);

impl Deref for ConnectionPtr {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        // SAFETY: `new` promised a live object. What changes in it is in cells, and its link is
        // used through raw pointers only.
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

/// The size for a limit of the C interface.
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

    /// [`ConnectionPtr::bufferevent`], which the connection has no more then.
    pub(super) fn take_bufferevent(self) -> Option<Guard> {
        let bufferevent = self.bufferevent();
        self.bufferevent.set(ptr::null_mut());
        bufferevent
    }

    /// [`ConnectionPtr::bufferevent`] without a reference, where no code of the program runs.
    #[inline]
    pub(super) fn held_bufferevent(self) -> Option<Held> {
        let bufferevent = self.bufferevent.get();
        // SAFETY: as in `bufferevent`.
        (!bufferevent.is_null()).then(|| unsafe { Held::new(bufferevent) })
    }

    /// A buffer of the bufferevent, which has the same lock.
    #[inline]
    fn buffer(self, direction: Direction) -> Option<*mut Evbuffer> {
        // SAFETY: as in `bufferevent`; it has the same buffers all its life.
        let bufferevent = unsafe { BuffereventPtr::new(self.bufferevent.get()) }?;
        Some(bufferevent.buffer(direction))
    }

    #[inline]
    fn guarded_buffer(self, direction: Direction) -> Option<BufferGuard> {
        // SAFETY: the buffers live as long as the bufferevent.
        self.buffer(direction)
            .map(|buffer| unsafe { BufferGuard::new(buffer) })
    }

    #[inline]
    fn length(self, direction: Direction) -> usize {
        // SAFETY: as in `guarded_buffer`.
        self.buffer(direction)
            .map_or(0, |buffer| unsafe { HeldBuffer::new(buffer) }.length())
    }

    /// The received data.
    pub(super) fn input(self) -> Option<BufferGuard> {
        self.guarded_buffer(Direction::Read)
    }

    /// The data to send.
    pub(super) fn output(self) -> Option<BufferGuard> {
        self.guarded_buffer(Direction::Write)
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

    /// Makes room in the input for the next stretch of a long body, of which that much is there and
    /// that much is missing.
    pub(super) fn make_room_for_stretch(self, present: usize, missing: i64) {
        let (Some(stretch), Some(input)) = (self.stretch(present, missing), self.input()) else {
            return;
        };
        let begun = input.length();
        // Without that memory, each read looks for its own, as those of long pieces do at first.
        if stretch == LONG_STRETCH && begun == 0 {
            let _ = input.expand_in_present_pages(stretch);
        } else if stretch <= SHORT_STRETCH && begun < stretch && !input.expects_much() {
            let _ = input.expand(stretch - begun);
        }
    }

    /// How much of a body is taken out of the input now, of which that much is there and that much is
    /// missing: nothing until the room there is full.
    pub(super) fn portion(self, input: &BufferGuard, present: usize, missing: i64) -> i64 {
        let Some(stretch) = self.stretch(present, missing) else {
            return missing;
        };
        let (unread, first) = (input.length(), input.contiguous());
        if unread < stretch {
            return 0;
        }
        // A short rest, behind which more will come, would take along room for that.
        let leaves_rest = stretch <= SHORT_STRETCH
            && first >= stretch
            && unread - first < stretch
            && missing - first as i64 >= stretch as i64;
        if leaves_rest { first as i64 } else { missing }
    }

    /// In what portions a body is taken out of the input. One with a high mark would stand still before
    /// the room for a portion is full.
    fn stretch(self, present: usize, missing: i64) -> Option<usize> {
        let stretch = if present >= 2 * LONG_STRETCH {
            LONG_STRETCH
        } else {
            (present / 2).min(SHORT_STRETCH)
        };
        let is_worth_it = stretch >= SHORTEST_STRETCH && missing >= stretch as i64;
        let has_mark = || {
            self.held_bufferevent()
                .is_none_or(|bufferevent| bufferevent.input_room().is_some())
        };
        (is_worth_it && !has_mark()).then_some(stretch)
    }

    /// The number of bytes in the input.
    #[inline]
    pub(super) fn unread(self) -> usize {
        self.length(Direction::Read)
    }

    /// How many bytes have not gone out.
    #[inline]
    pub(super) fn unwritten(self) -> usize {
        self.length(Direction::Write)
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

    /// Puts the current request, to which there is nothing to add, aside until its reply is
    /// written.
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
                request.retire(self);
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

    /// Starts reading.
    pub(super) fn start_reading(self) {
        if let Some(bufferevent) = self.bufferevent() {
            bufferevent.enable_or_give_up(Direction::Read);
        }
    }

    /// [`ConnectionPtr::start_reading`] for one that probably reads already: only the timeout
    /// restarts.
    pub(super) fn keep_reading(self) {
        let runs = self.held_bufferevent().is_none_or(|bufferevent| {
            let timed = bufferevent.timeout(Direction::Read).is_some();
            bufferevent.is_enabled(Direction::Read) && !timed
        });
        if !runs {
            self.start_reading();
        }
    }

    /// Continues writing, even if the program has disabled it.
    pub(super) fn keep_writing(self) {
        let runs = self
            .held_bufferevent()
            .is_none_or(|bufferevent| bufferevent.is_enabled(Direction::Write));
        if !runs {
            self.enable_writing();
        }
    }

    #[inline(never)]
    fn enable_writing(self) {
        if let Some(bufferevent) = self.bufferevent() {
            bufferevent.enable_or_give_up(Direction::Write);
        }
    }

    /// Stops reading.
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

    /// The limit of incoming heads.
    pub fn most_headers(self) -> usize {
        self.most_headers.get()
    }

    /// Sets the limit of incoming heads; a negative number means none.
    pub fn set_most_headers(self, size: isize) {
        self.most_headers.set(limit(size));
    }

    /// Sets the limit of incoming bodies; a negative number means none.
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
        self.enable_writing();
    }

    /// Remembers what to call when the connection ends.
    pub fn set_close_callback(self, callback: Option<ConnectionFn>, argument: *mut c_void) {
        self.close_callback.set(callback);
        self.close_argument.set(argument);
    }

    /// The address of the peer; of family 0 if there never was one.
    pub fn peer_address(self) -> *const sockaddr {
        match self.bufferevent() {
            Some(bufferevent) => bufferevent.peer_address(),
            None => bufferevent::connect::no_address(),
        }
    }

    #[cold]
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
        if self.unwritten() > 0 {
            return false;
        }
        let bufferevent = self.held_bufferevent();
        match bufferevent.as_ref().and_then(|held| held.underlying()) {
            Some(below) if below.length(Direction::Write) > 0 => {
                incoming::watch_flushing(self, below);
                false
            }
            _ => true,
        }
    }
}
