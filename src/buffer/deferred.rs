//! Callbacks that run from the event loop instead of inside the change.

use super::abi::EvbufferCallbackInfo;
use super::{Evbuffer, Guard};
use crate::base::{self, EventBase, deferred};
use crate::event::{CallbackPtr, EventCallback, state};
use crate::hooks::memory::{self, OutOfMemory};
use std::ffi::c_void;
use std::ptr::{self, addr_of_mut};
use std::sync::atomic::{AtomicPtr, Ordering::*};

/// The loop that runs a buffer's callbacks, and the entry in its queue.
pub struct Deferral {
    base: *mut EventBase,
    entry: EventCallback,
}

/// What a buffer does with the object that it is part of, its parent. All are called with the
/// buffer's address of the parent; all but `drop_reference` with the buffer's lock held.
pub struct ParentOperations {
    /// Takes a reference, while a notification is queued.
    pub add_reference: unsafe fn(*mut c_void),
    /// Gives it up, which may free parent and buffer.
    pub drop_reference: unsafe fn(*mut c_void),
    /// Notifies of a change that added bytes, and may have removed others.
    pub notify: unsafe fn(*mut c_void, &EvbufferCallbackInfo),
}

/// Set once, by the layer that has parents, before it makes the first.
static PARENT: AtomicPtr<ParentOperations> = AtomicPtr::new(ptr::null_mut());

/// Says what to do with parents.
pub fn set_parent_operations(operations: &'static ParentOperations) {
    PARENT.store(ptr::from_ref(operations).cast_mut(), Release);
}

fn parent_operations() -> Option<&'static ParentOperations> {
    // SAFETY: only `set_parent_operations` stores here, and it stores a static.
    unsafe { PARENT.load(Acquire).as_ref() }
}

impl Guard {
    /// Runs callbacks from the loop of `base` from now on; null is the current base.
    ///
    /// # Safety
    /// The base is live and outlives the buffer; no notification is queued.
    pub unsafe fn defer_callbacks(&self, base: *mut EventBase) -> Result<(), OutOfMemory> {
        let base = base::or_current(base);
        if self.deferral.get().is_null() {
            let deferral = memory::allocate_zeroed::<Deferral>()?;
            self.deferral.set(deferral.as_ptr());
        }
        let deferral = self.deferral.get();
        // SAFETY: the caller guarantees the base, and that the entry is in no queue.
        unsafe {
            (*deferral).base = base;
            let priority = deferred::priorities(base) / 2;
            let entry = addr_of_mut!((*deferral).entry);
            deferred::initialise_holding(entry, priority as u8, run_deferred, self.as_ptr().cast());
        }
        Ok(())
    }

    /// The queue entry, once callbacks are deferred.
    pub fn deferred_callback(&self) -> Option<*mut EventCallback> {
        let deferral = self.deferral.get();
        // SAFETY: the block is live as long as the buffer.
        (!deferral.is_null()).then(|| unsafe { addr_of_mut!((*deferral).entry) })
    }

    /// Sets what the buffer is part of, which must not change while a notification is queued.
    pub fn set_parent(&self, parent: *mut c_void) {
        self.parent.set(parent);
    }

    /// Notifies the parent of a change, if it asked for that.
    pub(super) fn notify_parent(&self, info: &EvbufferCallbackInfo) {
        let wanted = self.notifies_parent.get() && info.n_added > 0;
        if let Some(operations) = parent_operations().filter(|_| wanted) {
            // SAFETY: the parent sets itself only while it lives.
            unsafe { (operations.notify)(self.parent.get(), info) };
        }
    }

    /// Queues a notification, which holds a reference on the buffer and its parent.
    pub(super) fn schedule_callbacks(&self) {
        let Some(entry) = self.deferred_callback() else {
            return;
        };
        // Where it seems to be queued it has not locked the buffer yet, so it will see the change.
        // SAFETY: the entry is live as long as the buffer.
        if unsafe { CallbackPtr::new(entry) }.is_some_and(|entry| entry.has(state::ACTIVE)) {
            return;
        }
        // SAFETY: the program keeps the base alive; the reference keeps the entry alive.
        if !unsafe { deferred::schedule((*self.deferral.get()).base, entry) } {
            return;
        }
        self.add_reference();
        let parent = self.parent.get();
        if let Some(operations) = parent_operations().filter(|_| !parent.is_null()) {
            // SAFETY: the parent sets itself only while it lives.
            unsafe { (operations.add_reference)(parent) };
        }
    }
}

/// Called by the loop. The buffer is `argument`, and the guard takes over the reference of the
/// queued notification. A null entry means that the base has ended and the callbacks will not run.
unsafe extern "C-unwind" fn run_deferred(entry: *mut EventCallback, argument: *mut c_void) {
    let buffer = argument.cast::<Evbuffer>();
    // SAFETY: the notification holds a reference on the buffer, and one on its parent.
    unsafe {
        (*buffer).lock();
        let guard = Guard::adopt(buffer);
        let parent = guard.parent.get();
        if !entry.is_null() {
            guard.run_queued_callbacks();
        }
        drop(guard);
        if let Some(operations) = parent_operations().filter(|_| !parent.is_null()) {
            (operations.drop_reference)(parent);
        }
    }
}
