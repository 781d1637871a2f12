//! What a TLS bufferevent is.
//!
//! As in the core, state is in cells and code of the program runs in between: nothing but copies of
//! a pointer is alive meanwhile. Everything is done with a [`Guard`]: the lock and a reference.

use crate::bulk::BulkPtr;
use crate::libevent::*;
use crate::openssl::{self, SSL};
use std::cell::Cell;
use std::ffi::{c_int, c_short, c_void};
use std::ops::Deref;
use std::ptr::NonNull;

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
    pub fn told(self) -> c_short {
        match self {
            Direction::Read => told::READING,
            Direction::Write => told::WRITING,
        }
    }
}

/// How far the connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Data passes.
    Open,
    /// A handshake as the client.
    Connecting,
    /// A handshake as the server.
    Accepting,
}

impl State {
    /// The state of a number of the C interface.
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

/// A TLS bufferevent. One on another bufferevent has an [`EventCallback`] behind it, in the same
/// block.
#[repr(C)]
pub struct Tls {
    pub(crate) common: Bufferevent,
    pub(crate) ssl: Cell<*mut SSL>,
    /// The bufferevent that the ciphertext passes through; null for a descriptor.
    pub(crate) below: Cell<*mut Bufferevent>,
    pub(crate) descriptor: Cell<c_int>,
    /// Counts descriptors and the end: whether callbacks have left things as they were.
    pub(crate) session: Cell<u32>,
    /// What the BIOs had counted when that was last charged, in its lower bits.
    pub(crate) charged: [Cell<u32>; 2],
    /// How much of the output is encrypted and collected, but not sent.
    pub(crate) collected: Cell<u32>,
    /// How much of the output of the one below answers what was read, at most.
    pub(crate) answers: Cell<u32>,
    pub(crate) errors: Cell<[u32; MOST_ERRORS]>,
    /// The length of a write that has to be repeated, no longer than a record; 0 is none.
    pub(crate) unfinished_write: Cell<u16>,
    /// The end of the transport below, until what came before it was read.
    pub(crate) end_below: Cell<c_short>,
    marks: Cell<u16>,
    pub(crate) error_count: Cell<u8>,
    /// Where it begins, and begins again with another descriptor.
    pub(crate) first_state: Cell<State>,
    pub(crate) state: Cell<State>,
    /// What the handshake waits for.
    pub(crate) handshake_waits_for: Cell<Direction>,
    /// Whether the descriptor blocks, once that was asked.
    pub(crate) blocks: Cell<Option<bool>>,
}

// There is one for each connection.
const _: () = assert!(size_of::<Tls>() == size_of::<Bufferevent>() + 64);

/// A yes or no of a bufferevent.
pub struct Mark<'a> {
    among: &'a Cell<u16>,
    bit: u16,
}

impl Mark<'_> {
    /// What it says.
    pub fn get(&self) -> bool {
        self.among.get() & self.bit != 0
    }

    /// Changes what it says.
    pub fn set(&self, yes: bool) {
        let others = self.among.get() & !self.bit;
        self.among.set(if yes { others | self.bit } else { others });
    }

    /// Changes what it says, and tells what it said.
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
    /// The last reference is gone.
    detached: 0,
    /// An end of the transport is taken for a proper one.
    allows_dirty_shutdown: 1,
    /// It is not known yet what became of the connection that the handshake is for.
    connect_pending: 2,
    /// The handshake has made its first step.
    handshake_begun: 3,
    /// The program has disabled what the handshake waits for.
    handshake_held: 4,
    /// A read has to write first.
    read_needs_write: 5,
    /// A write has to read first.
    write_needs_read: 6,
    /// What came in is less than a record; nothing can be read before more has come.
    needs_more: 7,
    /// There is output that could not be waited for.
    waits_vainly: 8,
    /// Bytes of the stream were lost, or would be sent twice, or OpenSSL was left in the middle of
    /// something.
    broken: 9,
}

impl Tls {
    /// For each direction: it rests after an end that the program was told of.
    pub fn rests(&self, direction: Direction) -> Mark<'_> {
        Mark {
            among: &self.marks,
            bit: 1 << (10 + direction as u16),
        }
    }

    /// For each direction: the core, not the program, has stopped it.
    pub fn suspended(&self, direction: Direction) -> Mark<'_> {
        Mark {
            among: &self.marks,
            bit: 1 << (12 + direction as u16),
        }
    }
}

/// A TLS bufferevent that is kept alive. Its fields are used with the lock held, for the time of
/// one expression.
#[derive(Clone, Copy)]
pub struct TlsPtr(NonNull<Tls>);

impl Deref for TlsPtr {
    type Target = Tls;
    fn deref(&self) -> &Tls {
        // SAFETY: `new` promised a live object; its fields are cells.
        unsafe { self.0.as_ref() }
    }
}

impl TlsPtr {
    /// # Safety
    /// The bufferevent is one of this kind, and stays alive for as long as the pointer, or a copy
    /// of it, is used.
    pub unsafe fn new(bufferevent: *mut Bufferevent) -> TlsPtr {
        // SAFETY: a live object is not at null.
        TlsPtr(unsafe { NonNull::new_unchecked(bufferevent.cast()) })
    }

    /// The raw pointer.
    pub fn as_ptr(self) -> *mut Bufferevent {
        self.0.as_ptr().cast()
    }

    /// The SSL.
    pub fn ssl(self) -> *mut SSL {
        self.ssl.get()
    }

    /// Whether this is on another bufferevent.
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

    /// The timeout of a direction; zero is none.
    pub fn timeout(self, direction: Direction) -> timeval {
        match direction {
            Direction::Read => self.common.read_timeout.get(),
            Direction::Write => self.common.write_timeout.get(),
        }
    }

    /// How much there is to send.
    pub fn output_length(self) -> usize {
        // SAFETY: the buffers live as long as the bufferevent.
        unsafe { evbuffer_get_length(self.common.output.get()) }
    }

    /// How much the program has not taken yet.
    pub fn input_length(self) -> usize {
        // SAFETY: as above.
        unsafe { evbuffer_get_length(self.common.input.get()) }
    }

    /// Whether the program wants a direction.
    pub fn is_enabled(self, direction: Direction) -> bool {
        self.common.enabled.get() & direction.kind() != 0
    }

    /// Whether a direction is wanted, nothing suspends it, and it has not ended.
    pub fn is_running(self, direction: Direction) -> bool {
        let suspended = match direction {
            Direction::Read => self.common.read_suspended.get(),
            Direction::Write => self.common.write_suspended.get(),
        };
        let over = self.rests(direction).get() || self.broken().get();
        self.is_enabled(direction) && suspended == 0 && !over
    }

    /// Whether data passes.
    pub fn is_open(self) -> bool {
        self.state.get() == State::Open
    }

    /// Whether nothing was begun anew since a session began.
    pub fn is_still(self, session: u32) -> bool {
        self.session.get() == session
    }

    /// The BIO for bulk that stands before the socket's, if there is one.
    pub fn bulk(self) -> Option<BulkPtr> {
        // SAFETY: the SSL lives as long as the bufferevent, and keeps its BIOs unless the program
        // changes them, which it can only do from a callback.
        unsafe { BulkPtr::of(self.ssl()) }
    }

    /// The same, and there is one from now on if there can be.
    pub fn bulk_or_new(self) -> Option<BulkPtr> {
        if self.is_filter() {
            return None;
        }
        self.bulk().or_else(|| {
            self.charge();
            // SAFETY: as above.
            let new = unsafe { BulkPtr::insert(self.ssl()) }?;
            // It counts anew.
            self.charged.iter().for_each(|count| count.set(0));
            Some(new)
        })
    }

    /// Counts the ciphertext that has passed since the last time.
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

    /// How much a BIO has counted since the last time. The program may have put in another one,
    /// which has counted less.
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
    pub fn tell(self, what: c_short, options: c_int) {
        // SAFETY: the caller has a guard.
        unsafe { bufferevent_run_eventcb_(self.as_ptr(), what, options) };
    }

    /// Goes on from the loop, above another bufferevent. Holds a reference while it is queued.
    pub fn pass(self) -> *mut EventCallback {
        // SAFETY: such a block has it behind the rest.
        unsafe { self.0.as_ptr().add(1).cast() }
    }

    /// Has the loop go on with what can be done above another bufferevent.
    pub fn schedule_pass(self) {
        // SAFETY: the base outlives its bufferevents; the reference keeps the entry alive.
        unsafe {
            if event_deferred_cb_schedule_(self.common.base.get(), self.pass()) != 0 {
                bufferevent_incref(self.as_ptr());
            }
        }
    }
}

/// The lock, held, together with a reference, so that callbacks may free the bufferevent.
pub struct Guard(TlsPtr);

impl Guard {
    /// Takes both.
    ///
    /// # Safety
    /// The bufferevent is one of this kind and live.
    pub unsafe fn new(bufferevent: *mut Bufferevent) -> Guard {
        // SAFETY: the caller guarantees the bufferevent.
        unsafe {
            bufferevent_incref_and_lock_(bufferevent);
            Guard(TlsPtr::new(bufferevent))
        }
    }

    /// [`Guard::new`] for one whose last reference may be gone already; `None` then.
    ///
    /// # Safety
    /// The bufferevent is one of this kind, and was not destroyed yet.
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
        // SAFETY: the guard has both.
        unsafe { bufferevent_decref_and_unlock_(self.0.as_ptr()) };
    }
}
