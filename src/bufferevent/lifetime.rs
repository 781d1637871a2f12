//! Construction, locks, references and the end.

use super::abi::BuffereventOptions;
use super::operations::Operations;
use super::{Bufferevent, BuffereventPtr, Direction, Guard, callbacks, flag, limit};
use crate::base::{self, EventBase, deferred, live};
use crate::buffer::abi::EvbufferCallbackInfo;
use crate::buffer::deferred::{ParentOperations, set_parent_operations};
use crate::buffer::{Evbuffer, Guard as BufferGuard, Refused};
use crate::event::{EventCallback, assign, debug, kind};
use crate::hooks::memory;
use crate::hooks::threads::{self, Lock};
use crate::warning;
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::mem::forget;
use std::ptr::{self, NonNull};

/// `BEV_OPT_CLOSE_ON_FREE` as a bit of the options.
pub const CLOSE_ON_FREE: c_int = BuffereventOptions::BEV_OPT_CLOSE_ON_FREE as c_int;
/// `BEV_OPT_THREADSAFE` as a bit of the options.
pub const THREADSAFE: c_int = BuffereventOptions::BEV_OPT_THREADSAFE as c_int;
/// `BEV_OPT_DEFER_CALLBACKS` as a bit of the options.
pub const DEFER_CALLBACKS: c_int = BuffereventOptions::BEV_OPT_DEFER_CALLBACKS as c_int;
/// `BEV_OPT_UNLOCK_CALLBACKS` as a bit of the options.
pub const UNLOCK_CALLBACKS: c_int = BuffereventOptions::BEV_OPT_UNLOCK_CALLBACKS as c_int;

/// References of a bufferevent that is to be finalized: code that still uses it meanwhile must
/// not end it a second time.
const DYING: c_int = c_int::MAX / 2;

/// A notification that a buffer has queued holds the bufferevent that the buffer is part of, and
/// which is notified of changes of its output: a callback of the buffer would cost another block.
static PARENT: ParentOperations = ParentOperations {
    add_reference: hold_parent,
    drop_reference: drop_parent,
    notify: notify_parent,
};

unsafe fn hold_parent(parent: *mut c_void) {
    // SAFETY: the buffer belongs to this live bufferevent and has its lock, which is held.
    if let Some(parent) = unsafe { BuffereventPtr::new(parent.cast()) } {
        parent.add_reference();
    }
}

unsafe fn drop_parent(parent: *mut c_void) {
    // SAFETY: the notification's reference keeps the bufferevent alive and is given up.
    drop(unsafe { Guard::acquire(parent.cast()) });
}

unsafe fn notify_parent(parent: *mut c_void, change: &EvbufferCallbackInfo) {
    // SAFETY: as in `hold_parent`.
    if let Some(parent) = unsafe { BuffereventPtr::new(parent.cast()) } {
        parent.output_changed(change);
    }
}

/// Puts a kind's part and the common part into new zeroed memory and prepares the latter.
///
/// # Safety
/// `base` is live or null; `T` begins with a [`Bufferevent`], and zero bytes are a valid `T`.
pub unsafe fn create<T>(
    base: *mut EventBase,
    operations: &'static Operations,
    options: c_int,
) -> Option<NonNull<T>> {
    let block = memory::allocate_zeroed::<T>().ok()?;
    // SAFETY: the caller guarantees the base and the type; the memory is new.
    unsafe {
        let bufferevent = BuffereventPtr::new(block.as_ptr().cast())?;
        if bufferevent.initialise(base, operations, options).is_err() {
            memory::free(block.as_ptr().cast());
            return None;
        }
    }
    Some(block)
}

impl BuffereventPtr {
    /// Prepares the common part of zeroed memory; not the events. On failure nothing is held.
    ///
    /// # Safety
    /// `base` is live or null, and the table stays for good.
    pub unsafe fn initialise(
        self,
        base: *mut EventBase,
        operations: *const Operations,
        options: c_int,
    ) -> Result<(), Refused> {
        if options & UNLOCK_CALLBACKS != 0 && options & DEFER_CALLBACKS == 0 {
            warning!("UNLOCK_CALLBACKS requires DEFER_CALLBACKS");
            return Err(Refused::Unsuitable);
        }
        let loop_base = base::or_current(base);
        if loop_base.is_null() {
            return Err(Refused::Unsuitable);
        }
        self.base.set(base);
        self.operations.set(operations);
        self.options.set(options);
        self.references.set(1);
        self.enabled.set(kind::WRITE);
        self.reset_single_sizes();
        if let Err(refused) = self.make_buffers_and_lock(options) {
            self.free_buffers();
            return Err(refused);
        }
        // SAFETY: the caller guarantees the base; the entry is part of new memory.
        unsafe {
            let priority = assign::middle_priority(loop_base);
            let argument = self.as_ptr().cast();
            deferred::initialise_holding(
                self.deferred.get(),
                priority,
                callbacks::run_deferred,
                argument,
            );
        }
        self.become_parent_of_buffers();
        Ok(())
    }

    /// Makes the buffers hold a reference of the bufferevent while they have queued a notification,
    /// and notify it of changes of the output.
    fn become_parent_of_buffers(self) {
        set_parent_operations(&PARENT);
        for direction in Direction::ALL {
            // SAFETY: the buffers were just made.
            let buffer = unsafe { BufferGuard::new(self.buffer(direction)) };
            buffer.set_parent(self.as_ptr().cast());
            if direction == Direction::Write {
                buffer.set_notifies_parent(true);
            }
        }
    }

    fn make_buffers_and_lock(self, options: c_int) -> Result<(), Refused> {
        for buffer in [&self.input, &self.output] {
            if buffer.get().is_null() {
                buffer.set(Evbuffer::create()?.as_ptr());
            }
        }
        if options & THREADSAFE != 0 {
            self.enable_locking(Lock::NONE)?;
        }
        Ok(())
    }

    fn free_buffers(self) {
        for buffer in [&self.input, &self.output] {
            let buffer: *mut Evbuffer = Cell::replace(buffer, ptr::null_mut());
            if !buffer.is_null() {
                // SAFETY: the buffer is this bufferevent's own.
                unsafe { BufferGuard::new(buffer) }.drop_reference();
            }
        }
    }

    /// Gives the bufferevent and its buffers a lock: the given one; or, for [`Lock::NONE`], that
    /// of the bufferevent below, which gets one if it has none; or a new one of its own.
    pub fn enable_locking(self, lock: Lock) -> Result<(), Refused> {
        if !self.lock().is_none() {
            return Err(Refused::Unsuitable);
        }
        let shared = match self.underlying() {
            _ if !lock.is_none() => lock,
            Some(below) => {
                if below.lock().is_none() {
                    below.enable_locking(Lock::NONE)?;
                }
                below.lock()
            }
            None => {
                let own = Lock::allocate(threads::RECURSIVE)?;
                if own.is_none() {
                    return Err(Refused::Unsuitable);
                }
                self.set_flags(flag::OWNS_LOCK);
                own
            }
        };
        self.lock.set(shared);
        for direction in Direction::ALL {
            // SAFETY: the buffers are live and, without a lock, nobody else's.
            unsafe { (*self.buffer(direction)).enable_locking(shared)? };
        }
        Ok(())
    }

    /// Makes `other`, which shares the lock, the one that frees it.
    pub(super) fn hand_over_lock(self, other: BuffereventPtr) {
        if self.has(flag::OWNS_LOCK) {
            self.clear_flags(flag::OWNS_LOCK);
            other.set_flags(flag::OWNS_LOCK);
        }
    }

    /// Adds a reference. The lock is held.
    pub fn add_reference(self) {
        self.references.set(self.references.get() + 1);
    }

    /// How many references there are.
    pub(super) fn references(self) -> c_int {
        self.references.get()
    }

    /// Releases a reference and the lock that is held; whether it was the last reference. Then the
    /// loop will free the bufferevent when none of its callbacks can be running any more.
    #[inline]
    fn release(self, lock: Lock) -> bool {
        let references = self.references.get() - 1;
        self.references.set(references);
        let last = references == 0;
        let has_base = !last || self.end();
        lock.release();
        if !has_base {
            // SAFETY: as if a loop called it: nothing refers to the bufferevent any more.
            unsafe { finalize(ptr::null_mut(), self.as_ptr().cast()) };
        }
        last
    }

    /// The last reference is gone: the loop may free the bufferevent from now on. False if its base
    /// is gone, and nobody will.
    #[inline(never)]
    fn end(self) -> bool {
        self.references.set(DYING);
        self.unlink();
        self.leave_group(limit::Resume::No);
        self.stop_refill();
        let base = base::or_current(self.base.get());
        if !live::is_live(base) {
            return false;
        }
        let [read, write] = Direction::ALL.map(|direction| self.event(direction).entry());
        let entries = [self.deferred.get(), read.as_ptr(), write.as_ptr()];
        // SAFETY: the base is live; all three have this one as argument, and it
        // stays until the finalizer ran.
        unsafe { deferred::finalize_many(base, &entries, finalize) };
        true
    }

    /// Frees a bufferevent that nobody has seen yet.
    ///
    /// # Safety
    /// It was made by [`create`], and nothing refers to it any more.
    pub(super) unsafe fn discard(self) {
        self.forget_events();
        self.free_buffers();
        self.free_lock();
        // SAFETY: the caller guarantees that this is the last use.
        unsafe { memory::free(self.allocation()) };
    }

    /// The memory of the events may become that of others, which debug mode would mistake for them.
    fn forget_events(self) {
        for direction in Direction::ALL {
            debug::note_teardown(self.event(direction));
        }
    }

    /// The lock is free.
    fn free_lock(self) {
        if self.has(flag::OWNS_LOCK) {
            // SAFETY: its last user is this bufferevent, which is at its end.
            unsafe { self.lock().free(threads::RECURSIVE) };
        }
    }

    /// The program frees the bufferevent: none of its functions is called any more.
    pub fn free(guard: Guard) {
        guard.set_callbacks(None, None, None, ptr::null_mut());
        guard.set_flags(flag::FREED);
        guard.cancel_all();
        guard.references.set(guard.references.get() - 1);
    }
}

/// Runs in the loop when no callback of the bufferevent can be running: frees everything.
unsafe extern "C-unwind" fn finalize(_entry: *mut EventCallback, argument: *mut c_void) {
    // SAFETY: every entry that this could be called for has its bufferevent as argument, and
    // nobody but this function frees it.
    unsafe {
        let Some(bufferevent) = BuffereventPtr::new(argument.cast()) else {
            return;
        };
        // Once the lock can be taken, the thread that released the last reference has also released
        // the lock.
        bufferevent.lock().acquire();
        let below = bufferevent.underlying();
        bufferevent.destruct();
        bufferevent.forget_events();
        bufferevent.free_buffers();
        bufferevent.free_limiter();
        bufferevent.free_peer();
        bufferevent.lock().release();
        bufferevent.free_lock();
        memory::free(bufferevent.allocation());
        if let Some(below) = below {
            drop(Guard::acquire(below.as_ptr()));
        }
    }
}

impl Guard {
    /// Takes the lock and a reference.
    ///
    /// # Safety
    /// `bufferevent` is live.
    #[inline]
    pub unsafe fn new(bufferevent: *mut Bufferevent) -> Guard {
        // SAFETY: the caller guarantees the bufferevent.
        let guard = unsafe { Guard::acquire(bufferevent) };
        guard.add_reference();
        guard
    }

    /// Takes the lock and takes over a reference.
    ///
    /// # Safety
    /// `bufferevent` is live and the reference is the caller's to give.
    #[inline]
    pub unsafe fn acquire(bufferevent: *mut Bufferevent) -> Guard {
        // SAFETY: the caller guarantees the bufferevent, which is therefore not null.
        let guard = unsafe { Guard::adopt(bufferevent) };
        guard.1.acquire();
        guard
    }

    /// Takes over a lock and a reference.
    ///
    /// # Safety
    /// `bufferevent` is live, locked by this thread, and the reference is the caller's to give.
    #[inline]
    pub unsafe fn adopt(bufferevent: *mut Bufferevent) -> Guard {
        // SAFETY: the caller guarantees the bufferevent, which is therefore not null.
        let pointer = BuffereventPtr(unsafe { NonNull::new_unchecked(bufferevent) });
        Guard(pointer, pointer.lock())
    }

    /// [`Guard::new`], if nobody has the lock, and if the bufferevent is not ending.
    ///
    /// # Safety
    /// As for [`Guard::new`].
    pub unsafe fn try_new(bufferevent: *mut Bufferevent) -> Option<Guard> {
        // SAFETY: the caller guarantees the bufferevent.
        let pointer = unsafe { BuffereventPtr::new(bufferevent) }?;
        let lock = pointer.lock();
        if !lock.try_acquire() {
            return None;
        }
        pointer.add_reference();
        Some(Guard(pointer, lock))
    }

    /// [`Guard::new`] for one whose last reference may be gone already; `None` then.
    ///
    /// # Safety
    /// `bufferevent` was not finalized yet.
    #[inline]
    pub unsafe fn if_alive(bufferevent: *mut Bufferevent) -> Option<Guard> {
        // SAFETY: the caller guarantees the memory.
        let guard = unsafe { Guard::new(bufferevent) };
        (guard.references() < DYING).then_some(guard)
    }

    /// Keeps the lock and the reference, for somebody to [`Guard::adopt`].
    pub fn keep(self) {
        forget(self);
    }

    /// Releases both; whether that was the last reference.
    pub fn release(self) -> bool {
        let Guard(bufferevent, lock) = self;
        forget(self);
        bufferevent.release(lock)
    }
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        self.0.release(self.1);
    }
}
