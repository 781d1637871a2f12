//! A socket at which questions are answered: `struct evdns_server_port`.
//!
//! The program's function is called with the lock held, as programs expect it: while it runs, no
//! other thread answers a question of this port or closes it.

use super::datagrams::{Inbox, MOST, Source};
use super::log;
use super::question::{EvdnsServerRequest, RequestLinks, RequestPtr};
use super::wire::{self, Reader, flag};
use crate::base::pending::Blocking;
use crate::base::{self, EventBase, Guard};
use crate::event::{Event, EventPtr, assign, debug, kind};
use crate::hooks::log::Severity;
use crate::hooks::memory;
use crate::hooks::threads::{Lock, RECURSIVE};
use crate::list::TailQueue;
use crate::system::uncancelled::Uncancelled;
use crate::system::{self, errno};
use crate::timers::time;
use crate::util::SystemError;
use crate::util::sockets;
use libc::{sockaddr, socklen_t};
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_short, c_void};
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::ptr::NonNull;

/// Gets a request to answer or to drop, now or later, and the argument.
pub type DnsRequestFn = unsafe extern "C-unwind" fn(*mut EvdnsServerRequest, *mut c_void);

/// So many system calls, then others have their turn.
const MOST_CALLS: usize = 8;
/// The pauses after reading failed, in microseconds: the first one, and the longest one. The socket
/// may go on saying that there is something to read.
const FIRST_PAUSE: u32 = 10_000;
const LONGEST_PAUSE: u32 = 100_000;
/// The code for an operation that is not known.
const NOT_IMPLEMENTED: u16 = 4;

/// `struct evdns_server_port`.
pub struct EvdnsServerPort {
    lock: Lock,
    socket: c_int,
    /// The program's, one for each request, and one while questions are read.
    references: Cell<u32>,
    callback: Option<DnsRequestFn>,
    argument: *mut c_void,
    /// Waits for questions, for space to write while answers wait for that, and for the end of a
    /// pause.
    event: UnsafeCell<Event>,
    /// How long the last pause was, in which no questions are read; 0 while reading works.
    pause: Cell<u32>,
    pausing: Cell<bool>,
    closed: Cell<bool>,
    /// Requests whose answers wait until the socket is writable.
    unsent: UnsafeCell<TailQueue<RequestLinks>>,
}

/// A port that is kept alive by a reference.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PortPtr(NonNull<EvdnsServerPort>);

impl Deref for PortPtr {
    type Target = EvdnsServerPort;
    fn deref(&self) -> &EvdnsServerPort {
        // SAFETY: whoever has the pointer has a reference; the fields are cells.
        unsafe { self.0.as_ref() }
    }
}

/// A port's lock, held, together with a reference.
pub struct Hold(PortPtr);

impl Deref for Hold {
    type Target = PortPtr;
    fn deref(&self) -> &PortPtr {
        &self.0
    }
}

impl Hold {
    fn new(port: PortPtr) -> Hold {
        port.lock.acquire();
        port.references.set(port.references.get() + 1);
        Hold(port)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let port = self.0;
        port.unreference();
        let over = port.references.get() == 0;
        port.lock.release();
        if over {
            port.destroy();
        }
    }
}

/// A port for a socket, which it takes over.
///
/// # Safety
/// `event_base` is live or null, and outlives the port.
pub unsafe fn create(
    event_base: *mut EventBase,
    socket: c_int,
    callback: Option<DnsRequestFn>,
    argument: *mut c_void,
) -> Option<NonNull<EvdnsServerPort>> {
    let event_base = base::or_current(event_base);
    if event_base.is_null() {
        return None;
    }
    let port = allocate(socket, callback, argument)?;
    // SAFETY: the event stays as long as the port, and the caller guarantees the loop's base.
    unsafe {
        let (event, argument) = (port.event.get(), port.0.as_ptr().cast());
        assign::private(event, event_base, socket, kind::PERSIST, is_ready, argument);
    }
    if port.wait().is_err() {
        port.free();
        return None;
    }
    Some(port.0)
}

fn allocate(
    socket: c_int,
    callback: Option<DnsRequestFn>,
    argument: *mut c_void,
) -> Option<PortPtr> {
    let block = memory::malloc(size_of::<EvdnsServerPort>());
    let port = PortPtr(NonNull::new(block.cast())?);
    let Ok(lock) = Lock::allocate(RECURSIVE) else {
        // SAFETY: nobody knows the memory.
        unsafe { memory::free(block) };
        return None;
    };
    // SAFETY: the block is new and large enough; zero bytes are a valid event.
    unsafe {
        port.0.write(EvdnsServerPort {
            lock,
            socket,
            references: Cell::new(1),
            callback,
            argument,
            event: UnsafeCell::new(std::mem::zeroed()),
            pause: Cell::new(0),
            pausing: Cell::new(false),
            closed: Cell::new(false),
            unsent: UnsafeCell::new(std::mem::zeroed()),
        });
        TailQueue::initialise(port.unsent.get());
    }
    Some(port)
}

/// The program closes a port: no question is read any more. Those that were read may still be
/// answered.
///
/// # Safety
/// The program has not closed it.
pub unsafe fn close(port: *mut EvdnsServerPort) {
    let Some(port) = NonNull::new(port).map(PortPtr) else {
        return;
    };
    let hold = Hold::new(port);
    hold.closed.set(true);
    // Without memory, answers that wait are lost, as they may be on their way.
    let _ = hold.wait();
    hold.unreference();
}

impl PortPtr {
    fn event(self) -> EventPtr {
        // SAFETY: part of a live object; the address of a field is not null.
        unsafe { EventPtr::new(self.event.get()).unwrap_unchecked() }
    }

    /// Makes the loop wait for what the port needs now.
    fn wait(self) -> Result<(), SystemError> {
        let (event, pausing) = (self.event(), self.pausing.get() && !self.closed.get());
        let mut wanted = 0;
        if !self.closed.get() && !pausing {
            wanted |= kind::READ;
        }
        if self.first_unsent().is_some() {
            wanted |= kind::WRITE;
        }
        let pause = time::to_timeval(i64::from(self.pause.get()));
        // SAFETY: the loop's base outlives the port.
        let mut guard = unsafe { Guard::lock(event.base()) };
        // A refusal was logged; the event is out.
        let _ = guard.delete(event, Blocking::No);
        event.set_events(wanted | kind::PERSIST);
        if wanted == 0 && !pausing {
            return Ok(());
        }
        guard.add(event, pausing.then_some(&pause))
    }

    fn unreference(self) {
        self.references.set(self.references.get() - 1);
    }

    /// Ends a port to which no reference is left. The lock is not held.
    fn destroy(self) {
        let event = self.event();
        // SAFETY: the loop's base outlives the port. A refusal was logged; the event is out.
        let _ = unsafe { Guard::lock(event.base()) }.delete(event, Blocking::Yes);
        let _ = sockets::close(self.socket);
        self.free();
    }

    fn free(self) {
        debug::note_teardown(self.event());
        // SAFETY: nobody uses the port any more; the block came from the hooks.
        unsafe {
            self.lock.free(RECURSIVE);
            memory::free(self.0.as_ptr().cast());
        }
    }

    /// Reads questions and passes them to the program, until there are none or the port is closed.
    fn read_questions(self) {
        let mut inbox = MaybeUninit::uninit();
        let inbox = Inbox::begin(&mut inbox);
        for _ in 0..MOST_CALLS {
            let count = match inbox.receive(self.socket, MOST) {
                Ok(count) => count,
                Err(error) if sockets::read_write_retriable(error) => return,
                Err(error) => {
                    self.pause_reading();
                    log::message(
                        Severity::Warning,
                        format_args!("Error {error} while reading a DNS request"),
                    );
                    return;
                }
            };
            self.pause.set(0);
            for i in 0..count {
                let (message, source) = inbox.datagram(i);
                self.take(message, source);
                if self.closed.get() {
                    return;
                }
            }
            if count < MOST {
                return;
            }
        }
    }

    /// Lets the socket be for a while. Without a timer the loop tries again at once.
    fn pause_reading(self) {
        let pause = (2 * self.pause.get()).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.pause.set(pause);
        self.pausing.set(true);
        if self.wait().is_err() {
            self.resume_reading();
        }
    }

    /// Waits for questions again.
    fn resume_reading(self) {
        self.pausing.set(false);
        let _ = self.wait();
    }

    /// Handles a datagram: a question is passed to the program.
    fn take(self, message: &[u8], source: &Source) {
        let Ok(header) = Reader::new(message).header() else {
            return;
        };
        if header.flags & flag::RESPONSE != 0 {
            return;
        }
        if header.flags & flag::OPERATION != 0 {
            self.refuse_operation(message, header.flags, source);
            return;
        }
        let Some(request) = RequestPtr::read(self, message, source) else {
            return;
        };
        self.references.set(self.references.get() + 1);
        match self.callback {
            // SAFETY: the callback is the program's, which owns the request now.
            Some(callback) => unsafe { callback(request.seen(), self.argument) },
            None => request.drop_held(),
        }
    }

    /// Answers an operation that is no query.
    fn refuse_operation(self, message: &[u8], flags: u16, source: &Source) {
        let mut answer = [0; wire::HEADER];
        let kept = flags & (flag::OPERATION | flag::RECURSION_DESIRED);
        let flags = flag::RESPONSE | kept | NOT_IMPLEMENTED;
        answer[..2].copy_from_slice(&message[..2]);
        answer[2..4].copy_from_slice(&flags.to_be_bytes());
        // What does not get through is asked again.
        let _ = self.send(&answer, source.as_ptr(), source.length());
    }

    fn send(self, answer: &[u8], address: *const sockaddr, length: socklen_t) -> Result<(), c_int> {
        // It is not both sent and still the program's.
        let _uncancelled = Uncancelled::new();
        loop {
            // SAFETY: the answer and the address are complete.
            let sent = unsafe {
                let flags = libc::MSG_DONTWAIT;
                let bytes = answer.as_ptr().cast();
                system::sendto(self.socket, bytes, answer.len(), flags, address, length)
            };
            match errno() {
                _ if sent >= 0 => return Ok(()),
                libc::EINTR => {}
                error => return Err(error),
            }
        }
    }

    fn first_unsent(self) -> Option<RequestPtr> {
        // SAFETY: requests in the queue are live.
        unsafe { RequestPtr::of(TailQueue::first(self.unsent.get())) }
    }

    /// Sends waiting answers until the socket is full.
    fn send_waiting(self) {
        while let Some(request) = self.first_unsent() {
            let (address, length) = request.source();
            // SAFETY: the lock is held, and nothing here calls the program.
            let answer = unsafe { &*request.answer.get() };
            let sent = self.send(answer, address, length);
            if sent == Err(libc::EAGAIN) {
                return;
            }
            // SAFETY: the request is in the queue.
            unsafe { TailQueue::remove(self.unsent.get(), request.as_ptr()) };
            request.drop_held();
            log_failure(sent);
        }
        if self.event().wants(kind::WRITE) {
            let _ = self.wait();
        }
    }

    /// Lets an answer wait until the socket is writable; whether that is possible.
    fn wait_for_room(self, request: RequestPtr) -> bool {
        let others_wait = self.first_unsent().is_some();
        // SAFETY: the queue is initialised, and the request in none.
        unsafe { TailQueue::push_back(self.unsent.get(), request.as_ptr()) };
        if others_wait || self.wait().is_ok() {
            return true;
        }
        // SAFETY: it was just put there.
        unsafe { TailQueue::remove(self.unsent.get(), request.as_ptr()) };
        self.pause_reading();
        false
    }
}

fn log_failure(sent: Result<(), c_int>) {
    if let Err(error) = sent {
        log::message(
            Severity::Warning,
            format_args!("Error {error} while writing response to port; dropping"),
        );
    }
}

/// What becomes of an answer.
pub enum Answered {
    /// It was sent, and the request is gone.
    Sent,
    /// It will be sent when the socket is writable; the request belongs to the library.
    Later,
    /// Nothing: the request is still the program's.
    NotSent,
}

impl RequestPtr {
    /// The lock of the port, for the functions that prepare an answer.
    pub fn hold_port(self) -> Hold {
        Hold::new(self.port())
    }

    /// Frees a request with the lock of its port held.
    fn drop_held(self) {
        let port = self.port();
        self.free();
        port.unreference();
    }

    /// Frees a request without an answer.
    pub fn drop_request(self) {
        let _hold = self.hold_port();
        self.drop_held();
    }

    /// Sends the answer.
    pub fn respond(self, result: c_int) -> Answered {
        if !(0..=15).contains(&result) {
            return Answered::NotSent;
        }
        let hold = self.hold_port();
        let message = self.write(result);
        let (address, length) = self.source();
        let sent = match hold.first_unsent() {
            Some(_) => Err(libc::EAGAIN),
            None => hold.send(message.as_bytes(), address, length),
        };
        if sent == Err(libc::EAGAIN) {
            return self.keep(&hold, message.as_bytes());
        }
        self.drop_held();
        log_failure(sent);
        Answered::Sent
    }

    /// Lets an answer wait until the socket is writable.
    fn keep(self, hold: &Hold, message: &[u8]) -> Answered {
        if self.keep_answer(message).is_err() || !hold.wait_for_room(self) {
            // SAFETY: the port's lock is held, and nothing here calls the program.
            unsafe { (*self.answer.get()).truncate(0) };
            return Answered::NotSent;
        }
        Answered::Later
    }
}

/// The port of an event, unless it was closed and is about to be destroyed.
///
/// # Safety
/// The memory of the port is there.
unsafe fn enter(port: *mut c_void) -> Option<Hold> {
    let port = PortPtr(NonNull::new(port.cast())?);
    port.lock.acquire();
    if port.references.get() == 0 {
        port.lock.release();
        return None;
    }
    port.references.set(port.references.get() + 1);
    Some(Hold(port))
}

/// Runs when there are questions, when the socket is writable again, and when a pause is over.
unsafe extern "C-unwind" fn is_ready(_: c_int, what: c_short, port: *mut c_void) {
    // SAFETY: the memory stays until this function has returned.
    let Some(hold) = (unsafe { enter(port) }) else {
        return;
    };
    if what & kind::WRITE != 0 {
        hold.send_waiting();
    }
    if hold.closed.get() {
        return;
    }
    if what & kind::TIMEOUT != 0 {
        hold.resume_reading();
    }
    if what & kind::READ != 0 {
        hold.read_questions();
    }
}
