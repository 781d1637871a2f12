//! Asking over TCP if an answer does not fit into a datagram: one connection per server, on which
//! each message follows its length. It is closed when it was idle for a while.

use super::flight;
use super::log;
use super::name_server::ServerPtr;
use super::reply;
use super::request::{RequestLinks, RequestPtr};
use super::resolver::{BasePtr, Hold};
use super::timeouts::Timeouts;
use crate::base::Guard;
use crate::base::pending::Blocking;
use crate::event::{Event, EventPtr, assign, debug, kind};
use crate::hooks::log::Severity;
use crate::hooks::memory::{self, Array, OutOfMemory};
use crate::list::TailQueue;
use crate::system::{self, errno};
use crate::util::sockets::{self, Connecting};
use libc::timeval;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_short, c_void};
use std::mem::size_of;
use std::ops::Deref;
use std::ptr::NonNull;

/// How long a connection is kept without anything to do.
const IDLE: timeval = timeval {
    tv_sec: 5,
    tv_usec: 0,
};
/// Bytes of one read.
const READ_SIZE: usize = 4096;
/// So many reads, then others have their turn.
const MOST_READS: usize = 8;
/// Bytes of the length in front of a message.
const LENGTH: usize = 2;

/// A connection to a server.
pub struct Stream {
    server: ServerPtr,
    /// -1 while there is none.
    socket: Cell<c_int>,
    /// Waits for bytes, and for the end of idleness. Neither event keeps the loop running: the
    /// questions that wait do.
    read_event: UnsafeCell<Event>,
    write_event: UnsafeCell<Event>,
    output: UnsafeCell<Array<u8>>,
    /// The questions that were sent over it.
    pub(super) timeouts: Timeouts,
    /// How much of the output was sent.
    sent: Cell<usize>,
    input: UnsafeCell<Array<u8>>,
}

/// A connection that lives. Its fields are used with the resolver's lock held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StreamPtr(NonNull<Stream>);

impl Deref for StreamPtr {
    type Target = Stream;
    fn deref(&self) -> &Stream {
        // SAFETY: connections live as long as their server; the fields are cells.
        unsafe { self.0.as_ref() }
    }
}

/// The connection is of no use.
struct Broken;

impl From<OutOfMemory> for Broken {
    fn from(_: OutOfMemory) -> Broken {
        Broken
    }
}

impl ServerPtr {
    /// Sends a question over the connection, which is made if there is none; whether that works.
    pub(super) fn send_over_stream(self, base: BasePtr, request: RequestPtr) -> bool {
        let stream = match self.stream.get() {
            Some(stream) => stream,
            None => match Stream::create(base, self) {
                Ok(stream) => {
                    self.stream.set(Some(stream));
                    stream
                }
                Err(OutOfMemory) => return false,
            },
        };
        if stream.socket.get() < 0 && stream.connect(base).is_err() {
            stream.close();
            return false;
        }
        stream.enqueue(request.packet()).is_ok()
    }
}

impl Stream {
    fn create(base: BasePtr, server: ServerPtr) -> Result<StreamPtr, OutOfMemory> {
        let block = memory::malloc(size_of::<Stream>());
        let stream = StreamPtr(NonNull::new(block.cast()).ok_or(OutOfMemory)?);
        // SAFETY: the block is new and large enough; zero bytes are valid events.
        unsafe {
            stream.0.write(Stream {
                server,
                socket: Cell::new(-1),
                read_event: UnsafeCell::new(std::mem::zeroed()),
                write_event: UnsafeCell::new(std::mem::zeroed()),
                output: UnsafeCell::new(Array::new()),
                timeouts: Timeouts::new(),
                sent: Cell::new(0),
                input: UnsafeCell::new(Array::new()),
            });
            stream.timeouts.prepare(base, questions_are_due, block);
        }
        Ok(stream)
    }
}

impl StreamPtr {
    fn events(self) -> [EventPtr; 2] {
        // SAFETY: parts of a live object; the address of a field is not null.
        [&self.read_event, &self.write_event]
            .map(|event| unsafe { EventPtr::new(event.get()).unwrap_unchecked() })
    }

    /// Begins a connection.
    fn connect(self, base: BasePtr) -> Result<(), Broken> {
        let address = &self.server.address;
        // SAFETY: a complete address.
        let (socket, progress) =
            unsafe { sockets::connect_new(address.as_ptr(), address.length()) }
                .map_err(|_| Broken)?;
        self.socket.set(socket);
        let argument = self.0.as_ptr().cast();
        let wanted = kind::READ | kind::PERSIST;
        // SAFETY: the events stay as long as the stream, and are in no list without a connection.
        let read = unsafe {
            let (base, write) = (base.event_base, self.write_event.get());
            assign::internal(write, base, socket, kind::WRITE, room_again, argument);
            let read = self.read_event.get();
            assign::internal(read, base, socket, wanted, bytes_wait, argument)
        };
        if progress == Connecting::Refused {
            return Err(Broken);
        }
        // SAFETY: the loop's base outlives its resolvers.
        let mut guard = unsafe { Guard::lock(base.event_base) };
        guard.add(read, Some(&IDLE)).map_err(|_| Broken)
    }

    /// Appends a question to what is to be sent.
    fn enqueue(self, packet: &[u8]) -> Result<(), Broken> {
        let length = u16::try_from(packet.len()).map_err(|_| Broken)?;
        // SAFETY: the lock is held, and nothing here calls the program.
        let output = unsafe { &mut *self.output.get() };
        output.try_reserve(LENGTH + packet.len())?;
        output.extend_reserved(&length.to_be_bytes());
        output.extend_reserved(packet);
        // A connection within this machine, or one that was there, takes it at once.
        self.write()
    }

    fn watch_for_room(self) -> Result<(), Broken> {
        let [_, write] = self.events();
        // SAFETY: the loop's base outlives its resolvers.
        unsafe { Guard::lock(write.base()) }
            .add(write, None)
            .map_err(|_| Broken)
    }

    /// Sends as much as the socket takes.
    fn write(self) -> Result<(), Broken> {
        // SAFETY: as in `enqueue`.
        let output = unsafe { &mut *self.output.get() };
        let rest = &output[self.sent.get()..];
        if rest.is_empty() {
            return Ok(());
        }
        // SAFETY: the bytes are there.
        let count = unsafe {
            system::send(
                self.socket.get(),
                rest.as_ptr().cast(),
                rest.len(),
                libc::MSG_NOSIGNAL,
            )
        };
        match usize::try_from(count) {
            Ok(count) => self.sent.set(self.sent.get() + count),
            Err(_) if sockets::read_write_retriable(errno()) => {}
            Err(_) => return Err(Broken),
        }
        if self.sent.get() < output.len() {
            return self.watch_for_room();
        }
        *output = Array::new();
        self.sent.set(0);
        Ok(())
    }

    /// Reads what has arrived and handles the replies that are complete.
    fn read(self, base: BasePtr) -> Result<(), Broken> {
        for _ in 0..MOST_READS {
            let mut bytes = [0u8; READ_SIZE];
            // SAFETY: the room has the length that is given.
            let count =
                unsafe { system::recv(self.socket.get(), bytes.as_mut_ptr().cast(), READ_SIZE, 0) };
            let count = match usize::try_from(count) {
                Ok(0) => return Err(Broken),
                Ok(count) => count,
                Err(_) if sockets::read_write_retriable(errno()) => return Ok(()),
                Err(_) => return Err(Broken),
            };
            {
                // SAFETY: as in `enqueue`.
                let input = unsafe { &mut *self.input.get() };
                input.try_reserve(count)?;
                input.extend_reserved(&bytes[..count]);
            }
            self.take_replies(base);
            if count < READ_SIZE {
                break;
            }
        }
        Ok(())
    }

    fn take_replies(self, base: BasePtr) {
        // The bytes are out of the stream while they are looked at.
        // SAFETY: as in `enqueue`.
        let mut input = std::mem::take(unsafe { &mut *self.input.get() });
        let mut place = 0;
        while let Some((message, after)) = message_at(&input, place) {
            take_reply(base, self.server, message);
            place = after;
        }
        let left = input.len() - place;
        if left == 0 {
            return;
        }
        if place > 0 {
            input.copy_within(place.., 0);
            input.truncate(left);
        }
        // SAFETY: as in `enqueue`.
        unsafe { *self.input.get() = input };
    }

    /// Closes the connection.
    fn close(self) {
        let socket = self.socket.replace(-1);
        if socket < 0 {
            return;
        }
        for event in self.events() {
            // SAFETY: the loop's base outlives its resolvers. A refusal was logged.
            let _ = unsafe { Guard::lock(event.base()) }.delete(event, Blocking::No);
            debug::note_teardown(event);
        }
        let _ = sockets::close(socket);
        // SAFETY: as in `enqueue`.
        unsafe {
            *self.input.get() = Array::new();
            *self.output.get() = Array::new();
        }
        self.sent.set(0);
    }

    /// The connection is broken: its questions are sent over a new one, or fail.
    fn fail(self, base: BasePtr) {
        log::message(
            Severity::Debug,
            format_args!("TCP connection to {} has ended", self.server.text()),
        );
        self.close();
        // As many as there are now: those that are asked again are queued after them.
        let mut next = self.timeouts.first();
        let mut affected = Array::<RequestPtr>::new();
        while let Some(request) = next {
            // SAFETY: the look-up is in the queue.
            next = unsafe { RequestPtr::new(TailQueue::<RequestLinks>::next(request.as_ptr())) };
            // Without memory the time-out ends it.
            if affected.try_push(request).is_err() {
                break;
            }
        }
        for request in affected.iter() {
            flight::ask_over_stream(base, *request, self.server);
        }
    }

    /// Frees the connection of a server that is in no resolver any more. The lock is not held.
    pub(super) fn destroy(self, base: BasePtr) {
        self.timeouts.end(base);
        if self.socket.get() >= 0 {
            for event in self.events() {
                // SAFETY: the loop's base outlives its resolvers. A refusal was logged.
                let _ = unsafe { Guard::lock(event.base()) }.delete(event, Blocking::Yes);
            }
        }
        self.close();
        // SAFETY: the block was made by `create`, and nobody uses it any more.
        unsafe {
            std::ptr::drop_in_place(self.0.as_ptr());
            memory::free(self.0.as_ptr().cast());
        }
    }
}

/// The message that begins at a place, if it is complete, and where the next one begins.
fn message_at(input: &[u8], place: usize) -> Option<(&[u8], usize)> {
    let start = place + LENGTH;
    let length = input.get(place..start)?;
    let end = start + usize::from(u16::from_be_bytes([length[0], length[1]]));
    Some((input.get(start..end)?, end))
}

/// Handles a message, which may be the reply to a question that was sent over this connection.
fn take_reply(base: BasePtr, server: ServerPtr, message: &[u8]) {
    let Some(request) = reply::reply_id(message).and_then(|id| base.asked(id)) else {
        return;
    };
    if request.streamed.get() > 0 && request.server.get() == Some(server) {
        let verdict = reply::evaluate(message, request.question(base));
        flight::answered(base, request, server, &verdict, message);
    }
}

/// The stream that an event belongs to, with the lock of its resolver; nothing when that was freed.
///
/// # Safety
/// The memory of the stream is there.
unsafe fn enter(stream: *mut c_void) -> Option<(StreamPtr, Hold)> {
    // SAFETY: the caller guarantees the memory, to which the resolver belongs.
    unsafe {
        let stream = StreamPtr(NonNull::new(stream.cast())?);
        let hold = Hold::enter(stream.server.base().as_ptr())?;
        (!stream.server.removed.get() && stream.socket.get() >= 0).then_some((stream, hold))
    }
}

/// Runs when the first of the questions is due.
unsafe extern "C-unwind" fn questions_are_due(_: c_int, _: c_short, stream: *mut c_void) {
    // SAFETY: the memory stays until this function has returned.
    unsafe {
        let Some(stream) = NonNull::new(stream.cast()).map(StreamPtr) else {
            return;
        };
        let Some(hold) = Hold::enter(stream.server.base().as_ptr()) else {
            return;
        };
        if !stream.server.removed.get() {
            stream.timeouts.expire(*hold);
        }
    }
}

/// Runs when bytes have arrived, or none for a while.
unsafe extern "C-unwind" fn bytes_wait(_: c_int, what: c_short, stream: *mut c_void) {
    // SAFETY: the memory stays until this function has returned.
    let Some((stream, hold)) = (unsafe { enter(stream) }) else {
        return;
    };
    let result = if what & kind::READ != 0 {
        stream.read(*hold)
    } else {
        // Questions that still wait end by their own time-outs.
        Err(Broken)
    };
    if result.is_err() {
        stream.fail(*hold);
    }
    flight::promote(*hold);
}

/// Runs when the connection is made, and when it takes more bytes.
unsafe extern "C-unwind" fn room_again(_: c_int, _: c_short, stream: *mut c_void) {
    // SAFETY: the memory stays until this function has returned.
    let Some((stream, hold)) = (unsafe { enter(stream) }) else {
        return;
    };
    let made = match sockets::finished_connecting(stream.socket.get()) {
        Ok(Connecting::InProgress) => stream.watch_for_room(),
        Ok(_) => stream.write(),
        Err(_) => Err(Broken),
    };
    if made.is_err() {
        stream.fail(*hold);
        flight::promote(*hold);
    }
}
