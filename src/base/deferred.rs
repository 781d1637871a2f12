//! Callbacks without an event, which the layers above queue to run from the loop.
//!
//! Most hold something while they are queued, such as a reference to the object they are part of.
//! When the base is freed before they could run, they are called with no entry: to let go of it,
//! and to do nothing else.

use super::{EventBase, Guard, or_current};
use crate::event::{CallbackFunction, CallbackPtr, Closure, EventCallback, SelfCallbackFn, state};
use std::ffi::{c_int, c_void};
use std::ptr;

/// More than this many in one pass wait for the next, so that callbacks which queue callbacks
/// cannot keep the loop from looking at descriptors.
const MOST_IN_A_PASS: c_int = 32;

/// Prepares an entry.
///
/// # Safety
/// `callback` is writable and not queued.
pub unsafe fn initialise(
    callback: *mut EventCallback,
    priority: u8,
    function: SelfCallbackFn,
    argument: *mut c_void,
) {
    // SAFETY: the caller guarantees the memory; zero bytes are a valid entry.
    unsafe {
        callback.write(std::mem::zeroed());
        (*callback).evcb_cb_union = CallbackFunction {
            evcb_selfcb: Some(function),
        };
        (*callback).evcb_arg = argument;
        (*callback).evcb_pri = priority;
        (*callback).evcb_closure = Closure::Callback as u8;
    }
}

/// [`initialise`] for a callback that holds something while it is queued, and lets go of it when it
/// is called with a null entry.
///
/// # Safety
/// As for [`initialise`].
pub unsafe fn initialise_holding(
    callback: *mut EventCallback,
    priority: u8,
    function: SelfCallbackFn,
    argument: *mut c_void,
) {
    // SAFETY: the caller guarantees an entry that is writable and not queued.
    unsafe {
        initialise(callback, priority, function, argument);
        (*callback).evcb_closure = Closure::HoldingCallback as u8;
    }
}

/// Queues an entry; whether it was in no queue before. A null base is the current one.
///
/// # Safety
/// The base is live, and the entry stays so until it has run or was cancelled.
pub unsafe fn schedule(base: *mut EventBase, callback: *mut EventCallback) -> bool {
    // SAFETY: the caller guarantees both.
    let (mut guard, Some(entry)) = (unsafe { Guard::lock(or_current(base)) }, unsafe {
        CallbackPtr::new(callback)
    }) else {
        return false;
    };
    if guard.run.deferred > MOST_IN_A_PASS {
        return guard.activate_entry_later(entry);
    }
    let queued = guard.activate_entry(entry);
    guard.run.deferred += c_int::from(queued);
    queued
}

/// Takes an entry out of its queue. A null base is the current one.
///
/// # Safety
/// As for [`schedule`].
pub unsafe fn cancel(base: *mut EventBase, callback: *mut EventCallback) {
    // SAFETY: the caller guarantees both.
    unsafe {
        let mut guard = Guard::lock(or_current(base));
        if let Some(entry) = CallbackPtr::new(callback) {
            guard.cancel_entry(entry, false);
        }
    }
}

/// Gives an entry another base and priority; a queued one is queued there. Null bases are the
/// current one.
///
/// # Safety
/// As for [`schedule`], for both bases.
pub unsafe fn requeue(
    from: *mut EventBase,
    to: *mut EventBase,
    callback: *mut EventCallback,
    priority: u8,
) {
    // SAFETY: the caller guarantees all three.
    let Some(entry) = (unsafe { CallbackPtr::new(callback) }) else {
        return;
    };
    let queued = {
        // SAFETY: as above.
        let mut guard = unsafe { Guard::lock(or_current(from)) };
        let queued = entry.has(state::QUEUED);
        guard.cancel_entry(entry, false);
        entry.set_priority(priority);
        queued
    };
    if queued {
        // SAFETY: as above.
        unsafe { schedule(to, callback) };
    }
}

/// Cancels all entries and queues `finalizer` to run once, after none of them can be running any
/// more. A null base is the current one. Returns 0.
///
/// # Safety
/// As for [`schedule`]; the entry that the finalizer gets stays alive until it has run.
pub unsafe fn finalize_many(
    base: *mut EventBase,
    callbacks: &[*mut EventCallback],
    finalizer: SelfCallbackFn,
) -> c_int {
    // SAFETY: the caller guarantees the base.
    let mut guard = unsafe { Guard::lock(or_current(base)) };
    let mut last = None;
    for callback in callbacks {
        // SAFETY: the caller guarantees the entries.
        let Some(entry) = (unsafe { CallbackPtr::new(*callback) }) else {
            continue;
        };
        guard.cancel_entry(entry, false);
        // The one that is running must be the one that the finalizer waits for.
        if last.is_none() || guard.run.current == Some(entry) {
            last = Some(entry);
        }
    }
    if let Some(entry) = last {
        guard.finalize_entry(entry, finalizer);
    }
    0
}

/// How many priorities a base has.
///
/// # Safety
/// The base is live.
pub unsafe fn priorities(base: *mut EventBase) -> c_int {
    // SAFETY: the caller guarantees the base.
    unsafe { Guard::lock(base).run.priorities }
}

impl Guard {
    /// Makes an entry that will never run release what it holds.
    pub(super) fn release_unrun(&mut self, entry: CallbackPtr) {
        let argument = entry.argument();
        // SAFETY: the closure says which member holds, and that null is expected.
        unsafe {
            if let Some(function) = entry.function().evcb_selfcb {
                self.unlocked(|| function(ptr::null_mut(), argument));
            }
        }
    }
}

impl EventBase {
    /// Takes an entry out of its queue, or deletes the event that it is part of. A finalizing one
    /// is left alone unless the caller insists.
    pub(crate) fn cancel_entry(&mut self, entry: CallbackPtr, even_if_finalizing: bool) {
        if entry.has(state::FINALIZING) && !even_if_finalizing {
            return;
        }
        if let Some(event) = entry.event() {
            // A refusal was logged; the event is removed in any case.
            let _ = self.remove_event(event);
        } else if entry.has(state::QUEUED) {
            self.dequeue(entry);
        }
    }
}
