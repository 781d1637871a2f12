//! The evbuffer: a queue of bytes in a list of chains.
//!
//! - [`abi`]: C types and constants.
//! - [`chain`]: one block of bytes, or a view of bytes elsewhere.
//! - [`chains`]: the list of chains of a buffer and its invariants.
//! - [`mod@reference`], [`mod@file`]: bytes that the program, or a file, owns.
//! - [`append`], [`space`], [`extract`], [`transfer`]: the operations.
//! - [`position`], [`search`], [`substring`], [`mod@line`]: finding bytes.
//! - [`transport`], [`read_room`]: reading from and writing to descriptors.
//! - [`callbacks`], [`deferred`]: calling the program when a buffer has changed.
//!
//! Every operation works through a [`Guard`]: the lock and one reference. State is in cells, and
//! nothing but the guard's raw pointer is alive while the program's code runs.

pub mod abi;
pub mod append;
pub mod callbacks;
pub mod chain;
pub mod chains;
pub mod deferred;
pub mod extract;
pub mod file;
pub mod line;
pub mod position;
pub mod read_room;
pub mod reference;
pub mod search;
pub mod space;
pub mod substring;
pub mod transfer;
pub mod transport;

use crate::hooks::memory::{self, OutOfMemory};
use crate::hooks::threads::{self, Lock};
use callbacks::{CallbackList, Round};
use chain::ChainPtr;
use chains::Slot;
use deferred::Deferral;
use std::cell::{Cell, UnsafeCell};
use std::ffi::c_void;
use std::mem::offset_of;
use std::ops::Deref;
use std::ptr::{self, NonNull};

/// Why an operation did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The end that it would change is frozen.
    Frozen,
    /// A size or position is out of range.
    Range,
    /// The allocator refused.
    OutOfMemory,
    /// A system call failed; errno says why.
    System,
    /// The bytes are held in a way that does not allow it.
    Unsuitable,
}

impl From<OutOfMemory> for Refused {
    fn from(_: OutOfMemory) -> Self {
        Refused::OutOfMemory
    }
}

/// One end of a buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum End {
    Front,
    Back,
}

/// `struct evbuffer`. The first four fields are read by validation code in other programs; their
/// invariants are in [`chains`].
#[repr(C)]
pub struct Evbuffer {
    first: Cell<Option<ChainPtr>>,
    last: Cell<Option<ChainPtr>>,
    last_with_data: Cell<Slot>,
    length: Cell<usize>,
    /// Protects everything here. Recursive, because callbacks run with it held.
    lock: Cell<Lock>,
    /// Bytes added and removed that were not reported to the callbacks yet. Not next to `length`:
    /// the compiler would change both with one wide access, which waits for narrow ones before it.
    added: Cell<usize>,
    deleted: Cell<usize>,
    owns_lock: Cell<bool>,
    front_frozen: Cell<bool>,
    back_frozen: Cell<bool>,
    /// The last read brought more than a short one does.
    expects_much: Cell<bool>,
    /// The object that the buffer is part of is notified of changes, after the callbacks.
    notifies_parent: Cell<bool>,
    /// How many small pieces that were moved here have kept their chains since it was empty.
    pieces: Cell<u8>,
    flags: Cell<u32>,
    /// The program's reference, one per guard, one while a deferred notification is queued.
    references: Cell<i32>,
    callbacks: UnsafeCell<CallbackList>,
    /// The innermost round of callbacks that is running.
    round: Cell<*const Round>,
    /// The buffer's own block that defers callbacks, or null while they are not deferred.
    deferral: Cell<*mut Deferral>,
    /// The object that the buffer is part of, or null.
    parent: Cell<*mut c_void>,
}

const _: () = {
    assert!(offset_of!(Evbuffer, first) == 0);
    assert!(offset_of!(Evbuffer, last) == 8);
    assert!(offset_of!(Evbuffer, last_with_data) == 16);
    assert!(offset_of!(Evbuffer, length) == 24);
};

/// References of a buffer that is being destroyed: code of the program that still uses it during
/// the destruction must not start a second one.
const DYING: i32 = i32::MAX / 2;

impl Evbuffer {
    /// An empty buffer with one reference and no lock.
    pub fn create() -> Result<NonNull<Evbuffer>, OutOfMemory> {
        let block = memory::malloc(size_of::<Evbuffer>()).cast::<Evbuffer>();
        let buffer = NonNull::new(block).ok_or(OutOfMemory)?;
        // SAFETY: the block is fresh, large enough and aligned for anything; the slot is the
        // address of a field in it and is not followed before the fields are written.
        unsafe {
            let first = NonNull::new_unchecked(ptr::addr_of_mut!((*block).first));
            block.write(Evbuffer {
                first: Cell::new(None),
                last: Cell::new(None),
                last_with_data: Cell::new(Slot::at(first)),
                length: Cell::new(0),
                added: Cell::new(0),
                deleted: Cell::new(0),
                lock: Cell::new(Lock::NONE),
                owns_lock: Cell::new(false),
                front_frozen: Cell::new(false),
                back_frozen: Cell::new(false),
                expects_much: Cell::new(false),
                notifies_parent: Cell::new(false),
                pieces: Cell::new(0),
                flags: Cell::new(0),
                references: Cell::new(1),
                callbacks: UnsafeCell::new(CallbackList::EMPTY),
                round: Cell::new(ptr::null()),
                deferral: Cell::new(ptr::null_mut()),
                parent: Cell::new(ptr::null_mut()),
            });
        }
        Ok(buffer)
    }

    /// Gives the buffer a lock: the program's, or with [`Lock::NONE`] a new one of its own.
    ///
    /// Not thread-safe: to be called before the buffer is shared.
    pub fn enable_locking(&self, lock: Lock) -> Result<(), Refused> {
        if !self.lock.get().is_none() {
            return Err(Refused::Unsuitable);
        }
        if lock.is_none() {
            let own = Lock::allocate(threads::RECURSIVE)?;
            if own.is_none() {
                return Err(Refused::Unsuitable);
            }
            self.lock.set(own);
            self.owns_lock.set(true);
        } else {
            self.lock.set(lock);
        }
        Ok(())
    }

    /// Takes the lock, if there is one.
    #[inline]
    pub fn lock(&self) {
        self.lock.get().acquire();
    }

    /// Releases the lock.
    #[inline]
    pub fn unlock(&self) {
        self.lock.get().release();
    }

    /// The number of bytes.
    #[inline]
    pub fn length(&self) -> usize {
        self.length.get()
    }

    /// The number of bytes in the first chain.
    pub fn contiguous(&self) -> usize {
        self.first.get().map_or(0, |chain| chain.length.get())
    }

    /// Whether the last read brought more than a short one does.
    pub fn expects_much(&self) -> bool {
        self.expects_much.get()
    }

    /// Sets and clears flags.
    pub fn change_flags(&self, set: u32, clear: u32) {
        self.flags.set((self.flags.get() | set) & !clear);
    }

    /// Whether what the buffer is part of is notified of changes by which bytes come in, after the
    /// callbacks.
    pub fn set_notifies_parent(&self, notifies: bool) {
        self.notifies_parent.set(notifies);
    }

    /// Allows or forbids changes at one end.
    pub fn set_frozen(&self, end: End, frozen: bool) {
        match end {
            End::Front => self.front_frozen.set(frozen),
            End::Back => self.back_frozen.set(frozen),
        }
    }

    /// Refuses when the end must not be changed.
    #[inline]
    fn check_frozen(&self, end: End) -> Result<(), Refused> {
        let frozen = match end {
            End::Front => &self.front_frozen,
            End::Back => &self.back_frozen,
        };
        if frozen.get() {
            Err(Refused::Frozen)
        } else {
            Ok(())
        }
    }

    /// Counts added bytes, for the total and for the callbacks.
    #[inline]
    fn count_added(&self, count: usize) {
        self.length.set(self.length.get() + count);
        self.added.set(self.added.get() + count);
    }

    /// Counts removed bytes, for the total and for the callbacks.
    #[inline]
    fn count_deleted(&self, count: usize) {
        self.length.set(self.length.get() - count);
        self.deleted.set(self.deleted.get() + count);
    }

    /// Refuses a total that no longer fits the signed sizes of the interface.
    #[inline]
    fn check_total(&self, more: usize) -> Result<(), Refused> {
        if more > chain::LONGEST - self.length.get().min(chain::LONGEST) {
            Err(Refused::Range)
        } else {
            Ok(())
        }
    }
}

/// A buffer's lock, held while none of the program's code runs that could free the buffer.
/// Dereferences to it.
pub struct Held(NonNull<Evbuffer>);

impl Held {
    /// Takes the lock.
    ///
    /// # Safety
    /// `buffer` is live, and stays so.
    #[inline]
    pub unsafe fn new(buffer: *const Evbuffer) -> Held {
        // SAFETY: the caller guarantees the buffer, which is therefore not null.
        let held = Held(unsafe { NonNull::new_unchecked(buffer.cast_mut()) });
        held.lock();
        held
    }
}

impl Deref for Held {
    type Target = Evbuffer;
    #[inline]
    fn deref(&self) -> &Evbuffer {
        // SAFETY: the maker guarantees that the buffer is live; its fields are cells.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        self.unlock();
    }
}

/// A buffer's lock, held, together with a reference, so that a callback may free the buffer that
/// is calling it. Dereferences to the buffer, for the time of one expression.
pub struct Guard(NonNull<Evbuffer>);

impl Guard {
    /// Takes the lock and a reference.
    ///
    /// # Safety
    /// `buffer` is live.
    #[inline]
    pub unsafe fn new(buffer: *mut Evbuffer) -> Guard {
        // SAFETY: the caller guarantees the buffer, which is therefore not null.
        let guard = Guard(unsafe { NonNull::new_unchecked(buffer) });
        guard.lock();
        guard.references.set(guard.references.get() + 1);
        guard
    }

    /// Takes over a lock and a reference that the caller already holds.
    ///
    /// # Safety
    /// `buffer` is live, locked by this thread, and the reference is the caller's to give.
    pub unsafe fn adopt(buffer: *mut Evbuffer) -> Guard {
        // SAFETY: the caller guarantees the buffer, which is therefore not null.
        Guard(unsafe { NonNull::new_unchecked(buffer) })
    }

    /// Guards of two buffers, taken in the order of the locks' addresses, so that two threads
    /// that use the same buffers never wait for each other.
    ///
    /// # Safety
    /// Both are live.
    #[inline(always)]
    pub unsafe fn pair(a: *mut Evbuffer, b: *mut Evbuffer) -> (Guard, Guard) {
        // SAFETY: the caller guarantees both.
        unsafe {
            if (*a).lock.get().as_ptr() <= (*b).lock.get().as_ptr() {
                (Guard::new(a), Guard::new(b))
            } else {
                let b = Guard::new(b);
                (Guard::new(a), b)
            }
        }
    }

    /// The buffer's address.
    pub fn as_ptr(&self) -> *mut Evbuffer {
        self.0.as_ptr()
    }

    /// One reference more, which outlives the guard.
    pub fn add_reference(&self) {
        self.references.set(self.references.get() + 1);
    }

    /// One reference less; the buffer lives at least as long as the guard.
    pub fn drop_reference(&self) {
        self.references.set(self.references.get() - 1);
    }

    /// Empties a buffer if it has nothing but data, and only the caller has a reference of it.
    /// Returns whether it now is like a new one.
    #[inline(never)]
    pub fn renew(&self) -> bool {
        if !self.is_as_made() {
            return false;
        }
        self.expects_much.set(false);
        if self.first.get().is_some() {
            self.length.set(0);
            self.detach_all().release();
        }
        // Code of the program may have run.
        self.is_as_made() && self.first.get().is_none()
    }

    fn is_as_made(&self) -> bool {
        let of_guard = 1;
        self.references.get() == 1 + of_guard
            && self.lock.get().is_none()
            && self.is_unwatched()
            && self.deferral.get().is_null()
            && self.parent.get().is_null()
            && !self.front_frozen.get()
            && !self.back_frozen.get()
            && self.flags.get() == 0
    }

    #[cold]
    fn destroy(&mut self) {
        self.references.set(DYING);
        self.detach_all().release();
        self.free_callbacks();
        let (lock, owned) = (self.lock.get(), self.owns_lock.get());
        lock.release();
        // SAFETY: the last reference is gone, so nobody waits for the lock or uses the buffer.
        unsafe {
            if owned {
                lock.free(threads::RECURSIVE);
            }
            memory::free((*self.0.as_ptr()).deferral.get().cast());
            memory::free(self.0.as_ptr().cast());
        }
    }
}

impl Deref for Guard {
    type Target = Evbuffer;
    #[inline]
    fn deref(&self) -> &Evbuffer {
        // SAFETY: the guard's reference keeps the buffer alive; its fields are cells.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        let references = self.references.get() - 1;
        self.references.set(references);
        if references == 0 {
            self.destroy();
            return;
        }
        self.unlock();
    }
}
