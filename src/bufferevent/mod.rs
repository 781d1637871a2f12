//! Bufferevents: streams with a buffer for each direction.
//!
//! - [`abi`]: C types and constants.
//! - [`operations`]: the table of functions that makes a kind.
//! - [`lifetime`]: construction, locks, references and the end.
//! - [`callbacks`]: calling the program, at once or from the loop.
//! - [`flow`], [`cork`]: enabling, suspending and watermarks; holding output back.
//! - [`timeouts`]: the timers of both directions.
//! - [`socket`], [`connect`]: the kind that reads from and writes to a descriptor.
//! - [`pair`]: two that are connected to each other.
//! - [`filter`]: one that changes what passes to and from another.
//! - [`bucket`], [`limit`], [`group`]: limits of the transfer rate.
//!
//! Everything is done through a [`Guard`]: the lock and one reference. State is in cells, because
//! the program reads the public fields, and code of the program that runs in between may do
//! anything: nothing but raw pointers is alive during that time.
//!
//! Lock order: a bufferevent, with its buffers, its partner and those below and above it, which
//! all share one lock; then a group; then the base. From a group a bufferevent's lock is only
//! tried.

pub mod abi;
pub mod bucket;
pub mod callbacks;
pub mod connect;
pub mod cork;
pub mod filter;
pub mod flow;
pub mod group;
pub mod lifetime;
pub mod limit;
pub mod operations;
pub mod pair;
pub mod socket;
pub mod timeouts;

use crate::base::EventBase;
use crate::buffer::Evbuffer;
use crate::buffer::callbacks::CallbackEntry;
use crate::event::{Event, EventCallback, EventPtr, kind};
use crate::hooks::threads::Lock;
use abi::{BEV_EVENT_READING, BEV_EVENT_WRITING, BuffereventDataFn, BuffereventEventFn};
use connect::Peer;
use libc::timeval;
use limit::Limiter;
use operations::Operations;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_short, c_void};
use std::mem::{offset_of, size_of};
use std::ops::Deref;
use std::ptr::NonNull;

/// Fill levels of a buffer (`struct event_watermark`); 0 is none.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Watermarks {
    pub low: usize,
    pub high: usize,
}

/// One way through a bufferevent.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Direction {
    Read,
    Write,
}

impl Direction {
    /// Both.
    pub const ALL: [Direction; 2] = [Direction::Read, Direction::Write];

    /// The kind of readiness, as which programs name the direction.
    pub fn kind(self) -> c_short {
        match self {
            Direction::Read => kind::READ,
            Direction::Write => kind::WRITE,
        }
    }

    /// The bit for event callbacks.
    pub fn event_flag(self) -> c_short {
        match self {
            Direction::Read => BEV_EVENT_READING,
            Direction::Write => BEV_EVENT_WRITING,
        }
    }
}

/// Reasons why a direction is paused although it is enabled.
pub mod suspension {
    /// The input is at its high watermark.
    pub const WATERMARK: u16 = 0x01;
    /// The bufferevent's own rate limit is used up.
    pub const BANDWIDTH: u16 = 0x02;
    /// The group's rate limit is used up.
    pub const GROUP_BANDWIDTH: u16 = 0x04;
    /// The name of the peer is being looked up.
    pub const LOOKUP: u16 = 0x08;
    /// The filter on top of it does not read.
    pub const FILTER_READ: u16 = 0x10;
}

/// Bits of [`Bufferevent::flags`]; the first five are known to other libraries of the family.
mod flag {
    /// The lock is freed with the bufferevent.
    pub const OWNS_LOCK: u16 = 0x01;
    /// The read callback is to be called from the loop.
    pub const READ_CALLBACK_PENDING: u16 = 0x02;
    /// The write callback is to be called from the loop.
    pub const WRITE_CALLBACK_PENDING: u16 = 0x04;
    /// A connection is being made; the write event waits for it.
    pub const CONNECTING: u16 = 0x08;
    /// The program has freed the bufferevent.
    pub const FREED: u16 = 0x20;
    /// The descriptor has proved to be pollable and connected: data passed, or connecting ended.
    pub const ESTABLISHED: u16 = 0x40;
    /// It is known whether the descriptor blocks.
    pub const BLOCKING_KNOWN: u16 = 0x80;
    /// It does not.
    pub const NONBLOCKING: u16 = 0x100;
    /// The descriptor is no socket.
    pub const NO_SOCKET: u16 = 0x200;
    /// The next read is tried without asking the kernel first.
    pub const READ_AT_ONCE: u16 = 0x400;
    /// What is known about a descriptor.
    pub const DESCRIPTOR: u16 =
        CONNECTING | ESTABLISHED | BLOCKING_KNOWN | NONBLOCKING | NO_SOCKET | READ_AT_ONCE;
}

/// `struct bufferevent`, of which programs see the fields up to `enabled`. Kinds of other
/// libraries embed it and use fields after that: those up to `limiter` keep their places, and the
/// whole does not outgrow the structure that they know.
#[repr(C)]
pub struct Bufferevent {
    /// The loop, or null for the one that was current at construction.
    pub base: Cell<*mut EventBase>,
    /// The kind.
    pub operations: Cell<*const Operations>,
    /// Waits for readability and the read timeout.
    pub read_event: UnsafeCell<Event>,
    /// Waits for writability and the write timeout.
    pub write_event: UnsafeCell<Event>,
    /// The received data.
    pub input: Cell<*mut Evbuffer>,
    /// The data to send.
    pub output: Cell<*mut Evbuffer>,
    /// Levels of the input.
    pub read_marks: Cell<Watermarks>,
    /// Levels of the output.
    pub write_marks: Cell<Watermarks>,
    /// The program's functions and their argument.
    pub read_callback: Cell<Option<BuffereventDataFn>>,
    #[allow(missing_docs)]
    pub write_callback: Cell<Option<BuffereventDataFn>>,
    #[allow(missing_docs)]
    pub event_callback: Cell<Option<BuffereventEventFn>>,
    #[allow(missing_docs)]
    pub argument: Cell<*mut c_void>,
    /// Zero is none.
    pub read_timeout: Cell<timeval>,
    /// Zero is none.
    pub write_timeout: Cell<timeval>,
    /// The directions that the program wants, with any other bits that it gave.
    pub enabled: Cell<c_short>,
    /// The callback of the input that watches its high mark, once there was one.
    high_mark_entry: Cell<*mut CallbackEntry>,
    flags: Cell<u16>,
    /// What is to be reported to the event callback from the loop.
    pending_events: Cell<c_short>,
    read_suspended: Cell<u16>,
    write_suspended: Cell<u16>,
    /// The errno that belongs to `pending_events`.
    pending_errno: Cell<c_int>,
    /// Why the last look-up failed; 0 when it did not.
    dns_error: Cell<c_int>,
    /// Calls the program from the loop. Holds a reference while it is queued.
    deferred: UnsafeCell<EventCallback>,
    options: Cell<c_int>,
    references: Cell<c_int>,
    /// Recursive, because callbacks run with it held; the buffers have the same one.
    lock: Cell<Lock>,
    /// The most bytes of one read and of one write.
    max_single_read: Cell<usize>,
    max_single_write: Cell<usize>,
    /// A block with what rate limits need, once there was a limit.
    limiter: Cell<*mut Limiter>,
    /// A block with what is known about the peer, once something was.
    peer: Cell<*mut Peer>,
}

const _: () = {
    assert!(size_of::<Watermarks>() == 16);
    assert!(offset_of!(Watermarks, low) == 0);
    assert!(offset_of!(Watermarks, high) == 8);
    assert!(offset_of!(Bufferevent, base) == 0);
    assert!(offset_of!(Bufferevent, operations) == 8);
    assert!(offset_of!(Bufferevent, read_event) == 16);
    assert!(offset_of!(Bufferevent, write_event) == 144);
    assert!(offset_of!(Bufferevent, input) == 272);
    assert!(offset_of!(Bufferevent, output) == 280);
    assert!(offset_of!(Bufferevent, read_marks) == 288);
    assert!(offset_of!(Bufferevent, write_marks) == 304);
    assert!(offset_of!(Bufferevent, read_callback) == 320);
    assert!(offset_of!(Bufferevent, write_callback) == 328);
    assert!(offset_of!(Bufferevent, event_callback) == 336);
    assert!(offset_of!(Bufferevent, argument) == 344);
    assert!(offset_of!(Bufferevent, read_timeout) == 352);
    assert!(offset_of!(Bufferevent, write_timeout) == 368);
    assert!(offset_of!(Bufferevent, enabled) == 384);
    assert!(offset_of!(Bufferevent, flags) == 400);
    assert!(offset_of!(Bufferevent, read_suspended) == 404);
    assert!(offset_of!(Bufferevent, write_suspended) == 406);
    assert!(offset_of!(Bufferevent, deferred) == 416);
    assert!(offset_of!(Bufferevent, options) == 456);
    assert!(offset_of!(Bufferevent, references) == 460);
    assert!(offset_of!(Bufferevent, lock) == 464);
    assert!(offset_of!(Bufferevent, limiter) == 488);
    // What libevent_openssl reserves. That of the reference reserves 536.
    assert!(size_of::<Bufferevent>() == 504);
};

/// A bufferevent that is kept alive by a reference, or by not being finalized yet. Its fields are
/// used with the lock held, for the time of one expression.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BuffereventPtr(NonNull<Bufferevent>);

impl Deref for BuffereventPtr {
    type Target = Bufferevent;
    #[inline]
    fn deref(&self) -> &Bufferevent {
        // SAFETY: `new` promised a live object; its fields are cells.
        unsafe { self.0.as_ref() }
    }
}

impl BuffereventPtr {
    /// `None` for null.
    ///
    /// # Safety
    /// The bufferevent stays alive for as long as the pointer, or a copy of it, is used.
    pub unsafe fn new(bufferevent: *mut Bufferevent) -> Option<BuffereventPtr> {
        NonNull::new(bufferevent).map(BuffereventPtr)
    }

    /// The raw pointer.
    pub fn as_ptr(self) -> *mut Bufferevent {
        self.0.as_ptr()
    }

    /// The event of a direction.
    pub fn event(self, direction: Direction) -> EventPtr {
        let event = match direction {
            Direction::Read => self.read_event.get(),
            Direction::Write => self.write_event.get(),
        };
        // SAFETY: part of a live object; the address of a field is not null.
        unsafe { EventPtr::new(event).unwrap_unchecked() }
    }

    /// The buffer of a direction.
    pub fn buffer(self, direction: Direction) -> *mut Evbuffer {
        match direction {
            Direction::Read => self.input.get(),
            Direction::Write => self.output.get(),
        }
    }

    /// How much the buffer of a direction holds.
    pub fn length(self, direction: Direction) -> usize {
        // SAFETY: the buffers live as long as the bufferevent, and have its lock.
        unsafe { (*self.buffer(direction)).length() }
    }

    /// The watermarks of a direction.
    pub fn marks(self, direction: Direction) -> Watermarks {
        match direction {
            Direction::Read => self.read_marks.get(),
            Direction::Write => self.write_marks.get(),
        }
    }

    /// The timeout of a direction, unless there is none.
    pub fn timeout(self, direction: Direction) -> Option<timeval> {
        let timeout = match direction {
            Direction::Read => self.read_timeout.get(),
            Direction::Write => self.write_timeout.get(),
        };
        (timeout.tv_sec != 0 || timeout.tv_usec != 0).then_some(timeout)
    }

    fn suspensions(&self, direction: Direction) -> &Cell<u16> {
        match direction {
            Direction::Read => &self.read_suspended,
            Direction::Write => &self.write_suspended,
        }
    }

    /// The [`suspension`] bits of a direction.
    pub fn suspended(self, direction: Direction) -> u16 {
        self.suspensions(direction).get()
    }

    /// Whether the program wants the direction.
    pub fn is_enabled(self, direction: Direction) -> bool {
        self.enabled.get() & direction.kind() != 0
    }

    /// Whether the direction is wanted and nothing suspends it.
    pub fn is_running(self, direction: Direction) -> bool {
        self.is_enabled(direction) && self.suspended(direction) == 0
    }

    /// Whether the fill level of a buffer calls for the callback of its direction.
    pub fn is_level_reached(self, direction: Direction) -> bool {
        let (length, low) = (self.length(direction), self.marks(direction).low);
        match direction {
            Direction::Read => length >= low,
            Direction::Write => length <= low,
        }
    }

    /// The lock.
    pub fn lock(self) -> Lock {
        self.lock.get()
    }

    /// The `BEV_OPT_*` bits.
    pub fn options(self) -> c_int {
        self.options.get()
    }

    fn add_options(self, options: c_int) {
        self.options.set(self.options.get() | options);
    }

    /// Why the last look-up failed.
    pub fn dns_error(self) -> c_int {
        self.dns_error.get()
    }

    fn has(self, flags: u16) -> bool {
        self.flags.get() & flags != 0
    }

    fn set_flags(self, flags: u16) {
        self.flags.set(self.flags.get() | flags);
    }

    fn clear_flags(self, flags: u16) {
        self.flags.set(self.flags.get() & !flags);
    }
}

/// A bufferevent's lock, held while none of the program's code runs that could free it.
pub struct Held(BuffereventPtr);

impl Held {
    /// Takes the lock.
    ///
    /// # Safety
    /// The bufferevent is live, and stays so.
    #[inline]
    pub unsafe fn new(bufferevent: *mut Bufferevent) -> Held {
        // SAFETY: the caller guarantees the bufferevent, which is therefore not null.
        let bufferevent = BuffereventPtr(unsafe { NonNull::new_unchecked(bufferevent) });
        bufferevent.lock().acquire();
        Held(bufferevent)
    }
}

impl Deref for Held {
    type Target = BuffereventPtr;
    #[inline]
    fn deref(&self) -> &BuffereventPtr {
        &self.0
    }
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        self.0.lock().release();
    }
}

/// A bufferevent's lock, held, together with a reference, so that callbacks may free it. A
/// bufferevent without a lock may get one meanwhile, which is not the guard's to release.
pub struct Guard(BuffereventPtr, Lock);

impl Deref for Guard {
    type Target = BuffereventPtr;
    #[inline]
    fn deref(&self) -> &BuffereventPtr {
        &self.0
    }
}
