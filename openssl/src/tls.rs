//! The data of a TLS bufferevent.
//!
//! As in the core, all state is in cells, because callbacks of the program may change it at any
//! call: no references into it are kept across one, only copies of a pointer. All work is done
//! while holding a [`Guard`]: the lock and a reference.

use crate::bulk::BulkPtr;
use crate::libevent::*;
use crate::openssl::{self, SSL};
use std::cell::Cell;
use std::ffi::{c_int, c_short, c_void};
use std::ops::Deref;
use std::ptr::NonNull;

/// A direction of a bufferevent.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Direction {
    Read,
    Write,
}

impl Direction {
    /// Both.
    pub const ALL: [Direction; 2] = [Direction::Read, Direction::Write];

    /// The direction as programs name it: `EV_READ` or `EV_WRITE`.
    pub fn kind(self) -> c_short {
        match self {
            Direction::Read => kind::READ,
            Direction::Write => kind::WRITE,
        }
    }

    /// The direction for event callbacks: `BEV_EVENT_READING` or `BEV_EVENT_WRITING`.
    pub fn event_flag(self) -> c_short {
        match self {
            Direction::Read => event_flag::READING,
            Direction::Write => event_flag::WRITING,
        }
    }
}

/// The state of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Data can be exchanged.
    Open,
    /// In a handshake as the client.
    Connecting,
    /// In a handshake as the server.
    Accepting,
}

impl State {
    /// The state for a number of the C interface.
    pub fn from_number(number: u32) -> Option<State> {
        match number {
            0 => Some(State::Open),
            1 => Some(State::Connecting),
            2 => Some(State::Accepting),
            _ => None,
        }
    }
}

/// How many errors are kept for the program.
pub const MOST_ERRORS: usize = 3;

/// A TLS bufferevent. A filter is followed by an [`EventCallback`] in the same block.
#[repr(C)]
pub struct Tls {
    pub(crate) common: Bufferevent,
    pub(crate) ssl: Cell<*mut SSL>,
    /// The underlying bufferevent; null on a socket.
    pub(crate) below: Cell<*mut Bufferevent>,
    pub(crate) descriptor: Cell<c_int>,
    /// Changes with each new session and at the end, so that code after a callback notices.
    pub(crate) session: Cell<u32>,
    /// The lower bits of what the BIOs had counted when the rate limits were last charged.
    pub(crate) charged: [Cell<u32>; 2],
    /// How many bytes of the output are encrypted and collected, but not sent yet.
    pub(crate) collected: Cell<u32>,
    /// An upper bound of the bytes in the output below that are answers to what was read.
    pub(crate) answers: Cell<u32>,
    pub(crate) errors: Cell<[u32; MOST_ERRORS]>,
    /// The length of a write that OpenSSL requires to be repeated, at most a record; 0 if there is
    /// none.
    pub(crate) unfinished_write: Cell<u16>,
    /// The end of the transport below, kept until what preceded it was read; 0 if there is none.
    pub(crate) end_below: Cell<c_short>,
    marks: Cell<u16>,
    pub(crate) error_count: Cell<u8>,
    /// The state in which each session begins.
    pub(crate) first_state: Cell<State>,
    pub(crate) state: Cell<State>,
    /// Which readiness the handshake waits for.
    pub(crate) handshake_waits_for: Cell<Direction>,
    /// Whether the socket is in blocking mode, once that was determined.
    pub(crate) blocks: Cell<Option<bool>>,
}

// Each connection has one, so its size matters.
const _: () = assert!(size_of::<Tls>() == size_of::<Bufferevent>() + 64);

/// A flag of a bufferevent.
pub struct Mark<'a> {
    among: &'a Cell<u16>,
    bit: u16,
}

impl Mark<'_> {
    /// Whether the flag is set.
    pub fn get(&self) -> bool {
        self.among.get() & self.bit != 0
    }

    /// Sets or clears the flag.
    pub fn set(&self, yes: bool) {
        let others = self.among.get() & !self.bit;
        self.among.set(if yes { others | self.bit } else { others });
    }

    /// Sets or clears the flag and returns what it was.
    pub fn replace(&self, yes: bool) -> bool {
        let before = self.get();
        self.set(yes);
        before
    }
}

macro_rules! marks {
    ($($(#[$text:meta])* $name:ident: $number:literal,)*) => {
        impl Tls {$(
            $(#[$text])*
            pub fn $name(&self) -> Mark<'_> {
                Mark { among: &self.marks, bit: 1 << $number }
            }
        )*}
    };
}

marks! {
    /// The last reference was released.
    detached: 0,
    /// The end of the transport without close_notify is a regular end.
    allows_dirty_shutdown: 1,
    /// The TCP connection for the handshake may still be in progress.
    connect_pending: 2,
    /// The handshake has done its first step.
    handshake_begun: 3,
    /// The program has disabled the direction that the handshake waits for.
    handshake_held: 4,
    /// The SSL must write before it can read.
    read_needs_write: 5,
    /// The SSL must read before it can write.
    write_needs_read: 6,
    /// Less than a record has been received; nothing can be read before more arrives.
    needs_more: 7,
    /// There is output, but registering the write event failed.
    waits_vainly: 8,
    /// The session cannot be used any more: bytes were lost or would be sent twice, or an OpenSSL
    /// operation was interrupted.
    broken: 9,
}

impl Tls {
    /// For each direction: stopped after an end that was reported to the program.
    pub fn halted(&self, direction: Direction) -> Mark<'_> {
        Mark {
            among: &self.marks,
            bit: 1 << (10 + direction as u16),
        }
    }

    /// For each direction: stopped by the core, not the program.
    pub fn suspended(&self, direction: Direction) -> Mark<'_> {
        Mark {
            among: &self.marks,
            bit: 1 << (12 + direction as u16),
        }
    }
}

/// A pointer to a TLS bufferevent that something keeps alive. Fields are used with the lock held,
/// and only within one expression.
#[derive(Clone, Copy)]
pub struct TlsPtr(NonNull<Tls>);

impl Deref for TlsPtr {
    type Target = Tls;
    fn deref(&self) -> &Tls {
        // SAFETY: `new` required a live object, and its fields are cells.
        unsafe { self.0.as_ref() }
    }
}

impl TlsPtr {
    /// # Safety
    /// The bufferevent is a TLS bufferevent and stays alive for as long as the pointer, or a copy
    /// of it, is used.
    pub unsafe fn new(bufferevent: *mut Bufferevent) -> TlsPtr {
        // SAFETY: a live object is not at address 0.
        TlsPtr(unsafe { NonNull::new_unchecked(bufferevent.cast()) })
    }

    /// The pointer for the C interface.
    pub fn as_ptr(self) -> *mut Bufferevent {
        self.0.as_ptr().cast()
    }

    /// The SSL.
    pub fn ssl(self) -> *mut SSL {
        self.ssl.get()
    }

    /// Whether the transport is another bufferevent.
    pub fn is_filter(self) -> bool {
        !self.below.get().is_null()
    }

    /// The event of a direction.
    pub fn event(self, direction: Direction) -> *mut Event {
        match direction {
            Direction::Read => self.common.read_event.get(),
            Direction::Write => self.common.write_event.get(),
        }
    }

    /// The timeout of a direction; zero means none.
    pub fn timeout(self, direction: Direction) -> timeval {
        match direction {
            Direction::Read => self.common.read_timeout.get(),
            Direction::Write => self.common.write_timeout.get(),
        }
    }

    /// The number of bytes in the output.
    pub fn output_length(self) -> usize {
        // SAFETY: the buffers live as long as the bufferevent.
        unsafe { evbuffer_get_length(self.common.output.get()) }
    }

    /// The number of bytes in the input.
    pub fn input_length(self) -> usize {
        // SAFETY: as above.
        unsafe { evbuffer_get_length(self.common.input.get()) }
    }

    /// Whether the program has enabled a direction.
    pub fn is_enabled(self, direction: Direction) -> bool {
        self.common.enabled.get() & direction.kind() != 0
    }

    /// Whether a direction is enabled, not suspended, and has not ended.
    pub fn is_running(self, direction: Direction) -> bool {
        let suspended = match direction {
            Direction::Read => self.common.read_suspended.get(),
            Direction::Write => self.common.write_suspended.get(),
        };
        let over = self.halted(direction).get() || self.broken().get();
        self.is_enabled(direction) && suspended == 0 && !over
    }

    /// Whether the handshake is done, so that data can be exchanged.
    pub fn is_open(self) -> bool {
        self.state.get() == State::Open
    }

    /// Whether this is still the session with that number.
    pub fn is_still(self, session: u32) -> bool {
        self.session.get() == session
    }

    /// The bulk BIO that is chained before the socket's, if there is one.
    pub fn bulk(self) -> Option<BulkPtr> {
        // SAFETY: the SSL lives as long as the bufferevent, and keeps its BIOs unless the program
        // changes them, which it can only do from a callback.
        unsafe { BulkPtr::of(self.ssl()) }
    }

    /// [`TlsPtr::bulk`], which is inserted if there is none yet and the transport allows it.
    pub fn bulk_or_new(self) -> Option<BulkPtr> {
        if self.is_filter() {
            return None;
        }
        self.bulk().or_else(|| {
            self.charge();
            // SAFETY: as above.
            let new = unsafe { BulkPtr::insert(self.ssl()) }?;
            // The new BIO counts from 0.
            self.charged.iter().for_each(|count| count.set(0));
            Some(new)
        })
    }

    /// Charges the ciphertext since the last call to the rate limits.
    pub fn charge(self) {
        // SAFETY: the SSL lives as long as the bufferevent, and its BIOs with it; the lock is held.
        unsafe {
            let read = openssl::SSL_get_rbio(self.ssl());
            if !read.is_null() {
                let count = self.uncharged(Direction::Read, openssl::BIO_number_read(read));
                if count > 0 {
                    bufferevent_decrement_read_buckets_(self.as_ptr(), count);
                }
            }
            let write = openssl::SSL_get_wbio(self.ssl());
            if !write.is_null() {
                let count = self.uncharged(Direction::Write, openssl::BIO_number_written(write));
                if count > 0 {
                    bufferevent_decrement_write_buckets_(self.as_ptr(), count);
                }
            }
        }
    }

    /// How much a BIO has counted since the last call. If the program has replaced it, the count of
    /// the new one may be lower.
    fn uncharged(self, direction: Direction, total: u64) -> isize {
        const FAR: u32 = 1 << 30;
        let total = total as u32;
        let before = self.charged[direction as usize].replace(total);
        match total.wrapping_sub(before) {
            FAR.. => total as isize,
            count => count as isize,
        }
    }

    /// Calls the event callback.
    pub fn run_event_callback(self, what: c_short, options: c_int) {
        // SAFETY: the caller has a guard.
        unsafe { bufferevent_run_eventcb_(self.as_ptr(), what, options) };
    }

    /// The queue entry with which a filter continues from the loop. It holds a reference while
    /// queued.
    pub fn pass(self) -> *mut EventCallback {
        // SAFETY: the block of a filter has the entry after the `Tls`, see `create`.
        unsafe { self.0.as_ptr().add(1).cast() }
    }

    /// Makes the loop call the queue entry of a filter, to do what does not depend on a callback of
    /// the bufferevent below.
    pub fn schedule_pass(self) {
        // SAFETY: the base outlives its bufferevents; the reference keeps the entry alive.
        unsafe {
            if event_deferred_cb_schedule_(self.common.base.get(), self.pass()) != 0 {
                bufferevent_incref(self.as_ptr());
            }
        }
    }
}

/// Holds the lock and a reference, so that callbacks may free the bufferevent.
pub struct Guard(TlsPtr);

impl Guard {
    /// Takes the lock and a reference.
    ///
    /// # Safety
    /// The bufferevent is a live TLS bufferevent.
    pub unsafe fn new(bufferevent: *mut Bufferevent) -> Guard {
        // SAFETY: the caller guarantees the bufferevent.
        unsafe {
            bufferevent_incref_and_lock_(bufferevent);
            Guard(TlsPtr::new(bufferevent))
        }
    }

    /// [`Guard::new`] for a bufferevent whose last reference may already be released; then `None`.
    ///
    /// # Safety
    /// The bufferevent is a TLS bufferevent and was not destroyed yet.
    pub unsafe fn if_alive(bufferevent: *mut c_void) -> Option<Guard> {
        // SAFETY: the caller guarantees the bufferevent.
        let guard = unsafe { Guard::new(bufferevent.cast()) };
        (!guard.detached().get()).then_some(guard)
    }
}

impl Deref for Guard {
    type Target = TlsPtr;
    fn deref(&self) -> &TlsPtr {
        &self.0
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: the guard holds the lock and a reference.
        unsafe { bufferevent_decref_and_unlock_(self.0.as_ptr()) };
    }
}
