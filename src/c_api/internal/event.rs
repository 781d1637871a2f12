//! Internal exported symbols of events, callbacks and bases. Names with `nolock` are for callers
//! that hold the base's lock.

use crate::base::deadline::Due;
use crate::base::inspect::EventForeachFn;
use crate::base::pending::Blocking;
use crate::base::{EventBase, Guard, deferred};
use crate::c_api::event_base::lock;
use crate::c_api::status;
use crate::event::debug::{self, DebugTable};
use crate::event::{CallbackPtr, Event, EventCallback, EventPtr, SelfCallbackFn};
use crate::timers::time;
use libc::timeval;
use std::ffi::{c_int, c_short, c_uint, c_void};

/// An event and its base, whose lock the caller holds; `None` for null and without a base.
///
/// # Safety
/// The event and its base are live, and the lock is held.
unsafe fn held(event: *mut Event) -> Option<(EventPtr, Guard)> {
    // SAFETY: the caller guarantees all of it.
    unsafe {
        let event = EventPtr::new(event)?;
        (!event.base().is_null()).then(|| (event, Guard::held(event.base())))
    }
}

/// Adds an event; the time is a deadline on the base's clock if `absolute`. 0 or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_add_nolock_(
    event: *mut Event,
    time: *const timeval,
    absolute: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the event, its base, and the time or null.
    unsafe {
        held(event).map_or(-1, |(event, mut guard)| {
            status(match time.as_ref() {
                Some(time) if absolute != 0 => {
                    guard.add_until(event, Due::at(time::from_timeval(*time)))
                }
                duration => guard.add(event, duration),
            })
        })
    }
}

/// Deletes an event. `blocking`: 0 never waits, 1 waits for a running callback, 2 does so unless
/// the event has `EV_FINALIZE`, 3 deletes also while finalizing. 0 or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_del_nolock_(event: *mut Event, blocking: c_int) -> c_int {
    let blocking = match blocking {
        0 => Blocking::No,
        1 => Blocking::Yes,
        2 => Blocking::UnlessFinalizable,
        _ => Blocking::EvenIfFinalizing,
    };
    // SAFETY: the caller guarantees the event and its base.
    unsafe { held(event) }.map_or(-1, |(event, mut guard)| {
        status(guard.delete(event, blocking))
    })
}

/// Forgets an event's timeout. 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_remove_timer_nolock_(event: *mut Event) -> c_int {
    // SAFETY: the caller guarantees the event and its base.
    if let Some((event, mut guard)) = unsafe { held(event) } {
        guard.remove_timer(event);
    }
    0
}

/// Makes an event active.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_active_nolock_(
    event: *mut Event,
    result: c_int,
    count: c_short,
) {
    // SAFETY: the caller guarantees the event and its base.
    if let Some((event, mut guard)) = unsafe { held(event) } {
        guard.activate(event, result as c_short, count);
    }
}

/// With this bit in the result, which is above those that results use, libevent_openssl asks that
/// the event become active before the wait of the next pass, if possible.
const BEFORE_WAIT: c_int = 1 << 16;

/// Makes an event active in the next pass of the loop.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_active_later_(event: *mut Event, result: c_int) {
    // SAFETY: the caller guarantees the event and its base.
    unsafe {
        if let Some(pointer) = EventPtr::new(event) {
            if let Some(mut guard) = lock(pointer.base()) {
                if result & BEFORE_WAIT != 0 {
                    guard.activate_event_before_wait(pointer, result as c_short);
                } else {
                    guard.activate_event_later(pointer, result as c_short);
                }
            }
        }
    }
}

/// The same with the lock held.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_active_later_nolock_(event: *mut Event, result: c_int) {
    // SAFETY: the caller guarantees the event and its base.
    if let Some((event, mut guard)) = unsafe { held(event) } {
        guard.activate_event_later(event, result as c_short);
    }
}

/// Zeroes an entry and gives it the base's least urgent priority.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_callback_init_(
    base: *mut EventBase,
    callback: *mut EventCallback,
) {
    // SAFETY: the caller guarantees both; zero bytes are a valid entry.
    unsafe {
        callback.write(std::mem::zeroed());
        (*callback).evcb_pri = (deferred::priorities(base) - 1) as u8;
    }
}

/// Queues an entry; 1 when it was in no queue before.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_callback_activate_(
    base: *mut EventBase,
    callback: *mut EventCallback,
) -> c_int {
    // SAFETY: the caller guarantees both.
    unsafe {
        with_entry(lock(base), callback, |guard, entry| {
            guard.activate_entry(entry)
        })
    }
}

/// The same with the lock held.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_callback_activate_nolock_(
    base: *mut EventBase,
    callback: *mut EventCallback,
) -> c_int {
    // SAFETY: the caller guarantees both.
    unsafe {
        with_entry(Some(Guard::held(base)), callback, |guard, entry| {
            guard.activate_entry(entry)
        })
    }
}

/// Queues an entry for the next pass; 1 when it was in no queue before.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_callback_activate_later_nolock_(
    base: *mut EventBase,
    callback: *mut EventCallback,
) -> c_int {
    // SAFETY: the caller guarantees both.
    unsafe {
        with_entry(Some(Guard::held(base)), callback, |guard, entry| {
            guard.activate_entry_later(entry)
        })
    }
}

/// # Safety
/// The entry is live or null.
unsafe fn with_entry(
    guard: Option<Guard>,
    callback: *mut EventCallback,
    call: impl FnOnce(&mut Guard, CallbackPtr) -> bool,
) -> c_int {
    // SAFETY: the caller guarantees the entry.
    match (guard, unsafe { CallbackPtr::new(callback) }) {
        (Some(mut guard), Some(entry)) => call(&mut guard, entry).into(),
        _ => 0,
    }
}

/// Takes an entry out of its queue, or deletes the event it is part of. 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_callback_cancel_(
    base: *mut EventBase,
    callback: *mut EventCallback,
) -> c_int {
    // SAFETY: the caller guarantees both.
    unsafe { deferred::cancel(base, callback) };
    0
}

/// The same with the lock held, for finalizing entries only if the caller insists.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_callback_cancel_nolock_(
    base: *mut EventBase,
    callback: *mut EventCallback,
    even_if_finalizing: c_int,
) -> c_int {
    // SAFETY: the caller guarantees both.
    unsafe {
        with_entry(Some(Guard::held(base)), callback, |guard, entry| {
            guard.cancel_entry(entry, even_if_finalizing != 0);
            false
        })
    }
}

/// Cancels an entry and calls `finalizer` once it cannot be running any more.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_callback_finalize_(
    base: *mut EventBase,
    _flags: c_uint,
    callback: *mut EventCallback,
    finalizer: SelfCallbackFn,
) {
    // SAFETY: the caller guarantees both.
    unsafe { deferred::finalize_many(base, &[callback], finalizer) };
}

/// The same with the lock held.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_callback_finalize_nolock_(
    base: *mut EventBase,
    _flags: c_uint,
    callback: *mut EventCallback,
    finalizer: SelfCallbackFn,
) {
    // SAFETY: the caller guarantees both.
    unsafe {
        with_entry(Some(Guard::held(base)), callback, |guard, entry| {
            guard.finalize_entry(entry, finalizer);
            false
        });
    }
}

/// Cancels entries and calls `finalizer` once for all, when none can be running any more. 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_callback_finalize_many_(
    base: *mut EventBase,
    count: c_int,
    callbacks: *mut *mut EventCallback,
    finalizer: SelfCallbackFn,
) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    if count == 0 || callbacks.is_null() {
        return 0;
    }
    // SAFETY: the caller guarantees the base and an array of this many entries.
    unsafe {
        let callbacks = std::slice::from_raw_parts(callbacks, count);
        deferred::finalize_many(base, callbacks, finalizer)
    }
}

/// Prepares an entry that calls a function with itself.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_deferred_cb_init_(
    callback: *mut EventCallback,
    priority: u8,
    function: SelfCallbackFn,
    arg: *mut c_void,
) {
    // SAFETY: the caller guarantees the memory.
    unsafe { deferred::initialise(callback, priority, function, arg) };
}

/// Changes the priority of an entry that is not queued.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_deferred_cb_set_priority_(
    callback: *mut EventCallback,
    priority: u8,
) {
    // SAFETY: the caller guarantees the entry.
    unsafe { (*callback).evcb_pri = priority };
}

/// Queues an entry, for the next pass when there were many in this one; 1 when newly queued.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_deferred_cb_schedule_(
    base: *mut EventBase,
    callback: *mut EventCallback,
) -> c_int {
    // SAFETY: the caller guarantees both.
    unsafe { deferred::schedule(base, callback) }.into()
}

/// Takes an entry out of its queue.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_deferred_cb_cancel_(
    base: *mut EventBase,
    callback: *mut EventCallback,
) {
    // SAFETY: the caller guarantees both.
    unsafe { deferred::cancel(base, callback) };
}

/// Keeps the loop running although there may be no event.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_add_virtual_(base: *mut EventBase) {
    // SAFETY: the caller guarantees the base.
    if let Some(mut guard) = unsafe { lock(base) } {
        guard.add_virtual_event();
    }
}

/// Removes one such reason.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_del_virtual_(base: *mut EventBase) {
    // SAFETY: the caller guarantees the base.
    if let Some(mut guard) = unsafe { lock(base) } {
        guard.remove_virtual_event();
    }
}

/// Ends the process when a structure of the base contradicts itself.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_assert_ok_(base: *mut EventBase) {
    // SAFETY: the caller guarantees the base.
    if let Some(mut guard) = unsafe { lock(base) } {
        guard.require_consistency();
    }
}

/// The same with the lock held.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_assert_ok_nolock_(base: *mut EventBase) {
    // SAFETY: the caller guarantees the base and holds its lock.
    unsafe { Guard::held(base) }.require_consistency();
}

/// `event_base_foreach_event()` with the lock held.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_foreach_event_nolock_(
    base: *mut EventBase,
    callback: EventForeachFn,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: the caller guarantees the base and a function for this call.
    unsafe { Guard::held(base).for_each_event(|event| callback(base, event.as_ptr(), arg)) }
}

/// For another operating system: fails.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_start_iocp_(
    _base: *mut EventBase,
    _cpus: c_int,
) -> c_int {
    -1
}

/// For another operating system: there is nothing to stop.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_stop_iocp_(_base: *mut EventBase) {}

/// Ends debug mode and forgets all events.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_disable_debug_mode() {
    debug::disable();
}

/// Makes a debug table larger. 0 or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_debug_map_HT_GROW(
    table: *mut DebugTable,
    capacity: c_uint,
) -> c_int {
    // SAFETY: the caller guarantees the table.
    status(unsafe { (*table).grow(capacity) })
}

/// Empties a debug table; its entries are not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_debug_map_HT_CLEAR(table: *mut DebugTable) {
    // SAFETY: the caller guarantees the table.
    unsafe { (*table).free_chains() };
}

/// 0 when a debug table is consistent.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_debug_map_HT_REP_IS_BAD_(table: *const DebugTable) -> c_int {
    // SAFETY: the caller guarantees the table.
    c_int::from(!unsafe { (*table).is_consistent() })
}
