//! The signal handler, and what it reads: a list of the bases that watch signals.
//!
//! The handler only counts, and notifies the loops of the bases that get the signal by a byte in
//! their pipes. A base that was notified and has not looked yet is not notified again, so that one
//! that never runs costs no system calls. Nothing is ever lost: what counts are the counters.

use super::{Held, LIMIT};
use crate::hooks::memory::{self, OutOfMemory};
use crate::system::{self, errno, set_errno, uncancelled};
use std::ffi::c_int;
use std::ptr::{self, NonNull};
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst,
};

/// What the handler knows of a base.
pub struct Receiver {
    next: AtomicPtr<Receiver>,
    /// The end of the pipe to write to.
    pipe: AtomicI32,
    /// The signals that are watched, as bits.
    watched: AtomicU64,
    /// The signals with deliveries, as bits.
    arrived: AtomicU64,
    deliveries: [AtomicU32; LIMIT],
    /// A byte was written since the loop looked last.
    announced: AtomicBool,
    /// The loop has run.
    settled: AtomicBool,
    /// When it was the newest: the larger, the later.
    turn: AtomicU64,
}

static TURNS: AtomicU64 = AtomicU64::new(0);

/// The receivers, in a list that changes with [`Held`].
static RECEIVERS: AtomicPtr<Receiver> = AtomicPtr::new(ptr::null_mut());

/// How many handlers are reading the list.
static READERS: AtomicU32 = AtomicU32::new(0);

/// The place of a signal in a set. Number 0, which is no signal, shares one.
pub fn bit(number: c_int) -> u64 {
    1 << (number & 63)
}

/// The signal handler. Only atomics and `write`, and errno is kept.
pub extern "C" fn deliver(number: c_int) {
    let saved = errno();
    READERS.fetch_add(1, SeqCst);
    let mut newest: Option<&Receiver> = None;
    let mut next = RECEIVERS.load(SeqCst);
    // SAFETY: a receiver that left the list is kept until no handler reads it.
    while let Some(receiver) = unsafe { next.as_ref() } {
        if receiver.watched.load(SeqCst) & bit(number) != 0 {
            if receiver.settled.load(SeqCst) {
                receiver.count(number);
            } else if newest.is_none_or(|other| receiver.is_newer_than(other)) {
                newest = Some(receiver);
            }
        }
        next = receiver.next.load(SeqCst);
    }
    if let Some(receiver) = newest {
        receiver.count(number);
    }
    READERS.fetch_sub(1, SeqCst);
    set_errno(saved);
}

impl Receiver {
    /// A receiver that is in no list and watches nothing.
    pub fn allocate() -> Result<NonNull<Receiver>, OutOfMemory> {
        // Zero bytes are one, but for the descriptor.
        let receiver = memory::allocate_zeroed::<Receiver>()?;
        // SAFETY: the block is new.
        unsafe { receiver.as_ref() }.pipe.store(-1, Relaxed);
        Ok(receiver)
    }

    /// The loop runs: from now on the base gets every delivery of the signals that it watches.
    #[inline]
    pub fn settle(&self) {
        if !self.settled.load(Relaxed) {
            self.settled.store(true, SeqCst);
        }
    }

    /// Of the bases whose loop has not run this is the one that gets deliveries.
    pub fn become_newest(&self) {
        self.turn.store(TURNS.fetch_add(1, SeqCst) + 1, SeqCst);
    }

    fn is_newer_than(&self, other: &Receiver) -> bool {
        self.turn.load(SeqCst) > other.turn.load(SeqCst)
    }

    fn count(&self, number: c_int) {
        if let Some(count) = self.deliveries.get(number as usize) {
            count.fetch_add(1, SeqCst);
        }
        self.arrived.fetch_or(bit(number), SeqCst);
        // Whoever sees this as false has looked before, and looks again for the byte.
        if self.announced.swap(true, SeqCst) {
            return;
        }
        let byte = number as u8;
        // SAFETY: the byte is valid for the call, and the descriptor the base's own for as long as
        // a handler reads the list. A full pipe has notified the loop already.
        while unsafe { uncancelled::write(self.pipe.load(SeqCst), ptr::from_ref(&byte).cast(), 1) }
            < 0
            && errno() == libc::EINTR
        {}
    }

    /// From now on the handler finds the receiver, with this end of a pipe.
    ///
    /// # Safety
    /// It is in no list, and stays until it left this one.
    pub unsafe fn enter(this: NonNull<Receiver>, pipe: c_int) {
        forget_readers_of_the_parent();
        // SAFETY: the caller guarantees the receiver.
        let receiver = unsafe { this.as_ref() };
        let _held = Held::lock();
        receiver.pipe.store(pipe, SeqCst);
        receiver.next.store(RECEIVERS.load(SeqCst), SeqCst);
        RECEIVERS.store(this.as_ptr(), SeqCst);
    }

    /// From now on no handler knows the receiver. What it has counted is forgotten.
    pub fn leave(&self) {
        let held = Held::lock();
        let mut link = &RECEIVERS;
        // SAFETY: receivers in the list are live while the lock is held.
        while let Some(receiver) = unsafe { link.load(SeqCst).as_ref() } {
            if ptr::eq(receiver, self) {
                link.store(self.next.load(SeqCst), SeqCst);
                break;
            }
            link = &receiver.next;
        }
        drop(held);
        await_readers();
        self.pipe.store(-1, Relaxed);
        self.arrived.store(0, Relaxed);
        self.announced.store(false, Relaxed);
        for count in &self.deliveries {
            count.store(0, Relaxed);
        }
    }

    /// Watches a signal, or no longer.
    pub fn watch(&self, number: c_int, watched: bool) {
        if watched {
            self.watched.fetch_or(bit(number), SeqCst);
        } else {
            self.watched.fetch_and(!bit(number), SeqCst);
        }
    }

    /// Whether there are deliveries to take.
    #[inline]
    pub fn has_some(&self) -> bool {
        self.arrived.load(Relaxed) != 0
    }

    /// Takes the counts of all deliveries. The byte that announced them is removed first.
    pub fn take(&self, mut each: impl FnMut(c_int, u32)) {
        self.announced.store(false, SeqCst);
        let arrived = self.arrived.swap(0, SeqCst);
        for (number, count) in self.deliveries.iter().enumerate() {
            let number = number as c_int;
            if arrived & bit(number) != 0 {
                match count.swap(0, SeqCst) {
                    0 => {}
                    count => each(number, count),
                }
            }
        }
    }
}

/// Waits until every handler has ended that may have found something in the list that is no longer
/// there: one in another thread takes a moment, and this thread is in none.
fn await_readers() {
    while READERS.load(SeqCst) > 0 {
        // SAFETY: sched_yield takes no arguments and touches no memory.
        unsafe { system::sched_yield() };
    }
}

/// A forked child counts the handlers that ran in other threads when it was made; it has none.
fn forget_readers_of_the_parent() {
    extern "C" fn in_child() {
        READERS.store(0, SeqCst);
    }
    static ASKED_FOR: AtomicBool = AtomicBool::new(false);
    if !ASKED_FOR.swap(true, Relaxed) {
        // SAFETY: the function may be called at any time. Without memory for it there is only the
        // danger that is described above.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    }
}
