//! event2/event.h, first part: the hooks of the process, and events. Bases are in `event_base.rs`.

use super::{EvutilSocket, status};
use crate::base::pending::Blocking;
use crate::base::{EventBase, Guard, live};
use crate::event::{Event, EventCallbackFn, EventFinalizeFn, EventPtr, assign, debug, kind, state};
use crate::hooks::log::{FatalCallback as EventFatalFn, LogCallback as EventLogFn, Severity};
use crate::hooks::{log, memory, threads};
use crate::util::cold_path;
use crate::warning;
use libc::timeval;
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::ffi::{c_char, c_int, c_short, c_uint, c_void};
use std::mem::size_of;
use std::ptr;

/// The timeout has passed. Not needed in event_new(): whether there is a timeout is up to
/// event_add().
pub const EV_TIMEOUT: c_short = 0x01;
/// The descriptor can be read from.
pub const EV_READ: c_short = 0x02;
/// The descriptor can be written to.
pub const EV_WRITE: c_short = 0x04;
/// The signal was delivered. Cannot be combined with the bits for descriptors.
pub const EV_SIGNAL: c_short = 0x08;
/// The event stays pending when it becomes active; otherwise it must be added again.
pub const EV_PERSIST: c_short = 0x10;
/// Report only changes of readiness, if the backend can (`EV_FEATURE_ET`).
pub const EV_ET: c_short = 0x20;
/// event_del() does not wait for the event's callback. Free such an event with
/// event_free_finalize().
pub const EV_FINALIZE: c_short = 0x40;
/// The peer has closed the connection, if the backend can tell (`EV_FEATURE_EARLY_CLOSE`).
pub const EV_CLOSED: c_short = 0x80;

/// Severity of details for debugging; see event_enable_debug_logging().
pub const EVENT_LOG_DEBUG: c_int = 0;
/// Severity of information.
pub const EVENT_LOG_MSG: c_int = 1;
/// Severity of a failure that the library can recover from.
pub const EVENT_LOG_WARN: c_int = 2;
/// Severity of a failure that ends the process.
pub const EVENT_LOG_ERR: c_int = 3;

/// Mask for event_enable_debug_logging(): no debug messages.
pub const EVENT_DBG_NONE: c_uint = 0;
/// Mask for event_enable_debug_logging(): all debug messages.
pub const EVENT_DBG_ALL: c_uint = 0xffff_ffff;

const _: () = {
    assert!(EV_TIMEOUT == kind::TIMEOUT && EV_READ == kind::READ && EV_WRITE == kind::WRITE);
    assert!(EV_SIGNAL == kind::SIGNAL && EV_PERSIST == kind::PERSIST && EV_CLOSED == kind::CLOSED);
    assert!(EV_ET == kind::EDGE_TRIGGERED && EV_FINALIZE == kind::FINALIZE);
    assert!(
        EVENT_LOG_DEBUG == Severity::Debug as c_int && EVENT_LOG_MSG == Severity::Message as c_int
    );
    assert!(
        EVENT_LOG_WARN == Severity::Warning as c_int && EVENT_LOG_ERR == Severity::Error as c_int
    );
};

/// Sets the function that gets every message of the library; NULL restores stderr.
///
/// It may be called from any thread and while a base is locked, so it must not call the library.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_set_log_callback(callback: Option<EventLogFn>) {
    log::set_callback(callback);
}

/// Sets the function that is called with the exit code before the library ends the process; NULL
/// removes it. It need not return; if it does, the process exits with that code.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_set_fatal_callback(callback: Option<EventFatalFn>) {
    log::set_fatal_callback(callback);
}

/// Enables debug messages if any bit of `which` is set, and disables them for `EVENT_DBG_NONE`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_enable_debug_logging(which: u32) {
    log::enable_debug(which);
}

/// Sets the functions that the library uses to allocate memory; a NULL argument stands for the
/// function of libc.
///
/// Call it before anything else: blocks are freed with the functions that are set at that time. The
/// functions may be called from any thread, must align memory like `malloc()`, may return NULL, and
/// must not call the library.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_set_mem_functions(
    malloc_fn: Option<unsafe extern "C-unwind" fn(size: usize) -> *mut c_void>,
    realloc_fn: Option<unsafe extern "C-unwind" fn(block: *mut c_void, size: usize) -> *mut c_void>,
    free_fn: Option<unsafe extern "C-unwind" fn(block: *mut c_void)>,
) {
    memory::set_functions(malloc_fn, realloc_fn, free_fn);
}

/// The version of the library whose interface this is, such as "2.1.12-stable".
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_get_version() -> *const c_char {
    c"2.1.12-stable".as_ptr()
}

/// The version as a number: major, minor and patch in a byte each, the most significant first.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_get_version_number() -> u32 {
    0x0201_0c00
}

/// Frees what belongs to the process rather than to a base, and ends debug mode.
///
/// Call it after all other objects of the library have been freed; a leak checker then finds
/// nothing. The callbacks stay set. Not thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn libevent_global_shutdown() {
    debug::disable();
    threads::shutdown();
}

/// Prepares an event in memory that the program provides.
///
/// `base` may be NULL for the base of event_init(). `fd` is a descriptor, a signal number with
/// `EV_SIGNAL`, or -1. `events` are `EV_*` bits, or 0 for a timer. If `arg` is event_self_cbarg(),
/// the callback gets the event itself. The previous contents of the memory do not matter, but the
/// event must not be pending or active. A persistent event with a timeout repeats it.
///
/// The event gets the middle priority of the base. Returns 0, or -1 if `EV_SIGNAL` is combined with
/// bits for descriptors. Takes no lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_assign(
    event: *mut Event,
    base: *mut EventBase,
    fd: EvutilSocket,
    events: c_short,
    callback: Option<EventCallbackFn>,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: the caller guarantees the memory and the base.
    status(unsafe { assign::assign(event, base, fd, events, callback, arg) })
}

/// Makes an event; see event_assign() for the arguments.
///
/// Returns the event, to be freed with event_free(), or NULL if there is no memory or the arguments
/// are not valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_new(
    base: *mut EventBase,
    fd: EvutilSocket,
    events: c_short,
    callback: Option<EventCallbackFn>,
    arg: *mut c_void,
) -> *mut Event {
    // SAFETY: the caller guarantees the base.
    unsafe { assign::new(base, fd, events, callback, arg) }
}

/// Deletes an event made by event_new() and frees it. May be called from its own callback; NULL is
/// ignored.
///
/// In a thread other than the loop's, it first waits for the event's running callback to return,
/// unless the event has `EV_FINALIZE`. Do not hold a lock that the callback needs.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_free(event: *mut Event) {
    // SAFETY: the caller hands the event over.
    unsafe {
        let Some(pointer) = EventPtr::new(event) else {
            return;
        };
        event_del(event);
        debug::note_teardown(pointer);
        memory::free(event.cast());
    }
}

/// The argument for event_new() and event_assign() that stands for the event itself.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_self_cbarg() -> *mut c_void {
    assign::self_argument()
}

/// Moves an event that is neither pending nor active to another base, where it gets the middle
/// priority.
///
/// Returns 0, or -1 if the event was never assigned, or is pending or active. Takes no lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_set(base: *mut EventBase, event: *mut Event) -> c_int {
    // SAFETY: the caller guarantees both.
    unsafe {
        match EventPtr::new(event) {
            Some(pointer) if pointer.entry().flags() == state::INITIALISED && !base.is_null() => {
                debug::require_setup(pointer);
                pointer.set_base(base);
                pointer.entry().set_priority(assign::middle_priority(base));
                0
            }
            _ => -1,
        }
    }
}

/// The event and its base's lock; `None`, with a warning in the name of `caller`, for an event
/// without a base.
///
/// # Safety
/// The event and its base are live.
#[inline]
unsafe fn locked(event: *const Event, caller: &str) -> Option<(EventPtr, Guard)> {
    // SAFETY: the caller guarantees the event.
    let pointer = unsafe { EventPtr::new(event.cast_mut()) }?;
    if pointer.base().is_null() {
        cold_path(move || warning!("{caller}: event has no event_base set."));
        return None;
    }
    // SAFETY: the caller guarantees the base.
    Some((pointer, unsafe { Guard::lock(pointer.base()) }))
}

/// Makes the processor fetch the memory of the event at once. Otherwise it would first wait for
/// that of the base.
#[inline(always)]
fn fetch_ahead(event: *mut Event) {
    for offset in [0, size_of::<Event>() - 1] {
        // SAFETY: fetching reads nothing, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(event.cast::<i8>().wrapping_add(offset)) };
    }
}

/// Makes an event pending.
///
/// It then waits for what it was assigned, and, unless `timeout` is NULL, until that much time has
/// passed. If the event is already pending, a NULL timeout keeps its timeout and another one
/// replaces it. `{0, 0}` is due in the next pass of the loop.
///
/// Returns 0; or -1, with nothing changed, if the event has no base or is being finalized, memory
/// is short, or the system refuses the descriptor or signal (errno says why). May be called from
/// any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_add(event: *mut Event, timeout: *const timeval) -> c_int {
    // SAFETY: the caller guarantees the event, its base and the duration, or null.
    unsafe {
        fetch_ahead(event);
        let Some((pointer, mut guard)) = locked(event, "event_add") else {
            return -1;
        };
        debug::require_setup(pointer);
        guard.wait_for_signal_callback(pointer);
        status(guard.add_event(pointer, timeout.as_ref()))
    }
}

/// Removes an event's timeout, including the interval that a persistent event repeats; whatever
/// else it waits for stays. Returns 0, or -1 if the event has no base. May be called from any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_remove_timer(event: *mut Event) -> c_int {
    // SAFETY: the caller guarantees the event and its base.
    unsafe {
        let Some((pointer, mut guard)) = locked(event, "event_remove_timer") else {
            return -1;
        };
        debug::require_setup(pointer);
        guard.remove_timer(pointer);
        0
    }
}

/// # Safety
/// The event is live.
#[inline(always)]
unsafe fn delete(event: *mut Event, blocking: Blocking) -> c_int {
    // SAFETY: the caller guarantees the event; whether its base is still there is asked first,
    // because programs delete idle events after their base.
    unsafe {
        if let Some(pointer) = EventPtr::new(event) {
            let idle = !pointer.has(state::INSERTED | state::TIMEOUT | state::QUEUED);
            if idle && !pointer.base().is_null() && !live::is_live(pointer.base()) {
                return 0;
            }
        }
        let Some((pointer, mut guard)) = locked(event, "event_del_") else {
            return -1;
        };
        if debug::enabled() && !pointer.has(state::FINALIZING) {
            debug::require_setup_for_deletion(pointer);
        }
        status(guard.delete(pointer, blocking))
    }
}

/// Makes an event neither pending nor active. If it is neither already, nothing happens.
///
/// In a thread other than the loop's, it waits for the event's running callback to return, unless
/// the event has `EV_FINALIZE`. Do not hold a lock that the callback needs.
///
/// Returns 0, or -1 if the event has no base, or if the system refuses to watch the descriptor for
/// the remaining events; this event is deleted all the same. May be called from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_del(event: *mut Event) -> c_int {
    // SAFETY: the caller guarantees the event.
    unsafe { delete(event, Blocking::UnlessFinalizable) }
}

/// event_del() that never waits: the callback may still be running in the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_del_noblock(event: *mut Event) -> c_int {
    // SAFETY: the caller guarantees the event.
    unsafe { delete(event, Blocking::No) }
}

/// event_del() that waits for a running callback even if the event has `EV_FINALIZE`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_del_block(event: *mut Event) -> c_int {
    // SAFETY: the caller guarantees the event.
    unsafe { delete(event, Blocking::Yes) }
}

/// Makes an event active as if it had happened; it need not be pending.
///
/// Its callback gets `result`, `EV_*` bits. If the event is active already, the bits are added to
/// those it has. `ncalls` is how often the callback of a signal event is called; it is ignored for
/// other events. May be called from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_active(event: *mut Event, result: c_int, ncalls: c_short) {
    // SAFETY: the caller guarantees the event and its base.
    unsafe {
        if let Some((pointer, mut guard)) = locked(event, "event_active") {
            debug::require_setup(pointer);
            guard.activate(pointer, result as c_short, ncalls);
        }
    }
}

/// Which of the bits in `events` an event is pending or active for.
///
/// If `events` contains `EV_TIMEOUT` and the event has a timeout pending, `*expiry` is set to the
/// time of day when it is due, unless `expiry` is NULL. Returns `EV_*` bits. May be called from any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_pending(
    event: *const Event,
    events: c_short,
    expiry: *mut timeval,
) -> c_int {
    // SAFETY: the caller guarantees the event, its base, and the place unless it is null.
    unsafe {
        match pending_at_once(event, events, expiry) {
            Some(pending) => pending.into(),
            None => pending_with_lock(event, events, expiry).into(),
        }
    }
}

/// The answer, when nobody has to be asked or kept out for it: with no call, there is nothing to keep.
///
/// # Safety
/// As for `event_pending`.
#[inline(always)]
unsafe fn pending_at_once(
    event: *const Event,
    events: c_short,
    expiry: *mut timeval,
) -> Option<c_short> {
    // SAFETY: the caller guarantees the event, its base, and the place for the time or null.
    unsafe {
        let event = EventPtr::new(event.cast_mut())?;
        if event.base().is_null() || debug::enabled() || !(*event.base()).lock.is_none() {
            return None;
        }
        let flags = event.entry().flags();
        let pending = event.pending_kinds(flags) & events;
        if asks_for_time(pending, flags, expiry) {
            *expiry = Guard::held(event.base())
                .time
                .known_wall_clock_of(event.deadline())?;
        }
        Some(pending)
    }
}

/// # Safety
/// As for `event_pending`.
#[inline(never)]
unsafe fn pending_with_lock(event: *const Event, events: c_short, expiry: *mut timeval) -> c_short {
    // SAFETY: as above.
    unsafe {
        let Some((event, mut guard)) = locked(event, "event_pending") else {
            return 0;
        };
        debug::require_setup(event);
        let flags = event.entry().flags();
        let pending = event.pending_kinds(flags) & events;
        if asks_for_time(pending, flags, expiry) {
            *expiry = guard.wall_clock_deadline(event);
        }
        pending
    }
}

fn asks_for_time(pending: c_short, flags: c_short, expiry: *mut timeval) -> bool {
    pending & kind::TIMEOUT != 0 && flags & state::TIMEOUT != 0 && !expiry.is_null()
}

/// Deletes an event, and calls `callback` once no callback of the event is running any more.
///
/// Never waits, in any thread. The finalizer runs in the loop, or in event_base_free(), and gets
/// the event and its argument. Until then the event cannot be added or activated; afterwards it may
/// be assigned again or freed. `flags` must be 0. Returns 0, or -1 if the event has no base.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_finalize(
    flags: c_uint,
    event: *mut Event,
    callback: Option<EventFinalizeFn>,
) -> c_int {
    // SAFETY: the caller guarantees the event and its base, and keeps the event.
    unsafe { finalize(flags, event, callback, false) }
}

/// event_finalize() that then frees the event, which must have been made by event_new().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_free_finalize(
    flags: c_uint,
    event: *mut Event,
    callback: Option<EventFinalizeFn>,
) -> c_int {
    // SAFETY: the caller guarantees the event and its base, and hands the event over.
    unsafe { finalize(flags, event, callback, true) }
}

/// # Safety
/// The event and its base are live; with `then_free` the event is handed over.
unsafe fn finalize(
    _flags: c_uint,
    event: *mut Event,
    callback: Option<EventFinalizeFn>,
    then_free: bool,
) -> c_int {
    // SAFETY: the caller guarantees the event and its base.
    unsafe {
        let Some((pointer, mut guard)) = locked(event, "event_finalize_impl_") else {
            return -1;
        };
        if !pointer.has(state::FINALIZING) {
            debug::require_setup_for_deletion(pointer);
        }
        guard.finalize_event(pointer, callback, then_free);
        0
    }
}

/// Whether an event was assigned. The memory must be zero or must have been assigned.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_initialized(event: *const Event) -> c_int {
    // SAFETY: the caller guarantees the event.
    let pointer = unsafe { EventPtr::new(event.cast_mut()) };
    pointer
        .is_some_and(|pointer| pointer.has(state::INITIALISED))
        .into()
}

/// An assigned event; in debug mode it must be one.
///
/// # Safety
/// The event is live.
unsafe fn assigned(event: *const Event) -> Option<EventPtr> {
    // SAFETY: the caller guarantees the event.
    let pointer = unsafe { EventPtr::new(event.cast_mut()) }?;
    debug::require_setup(pointer);
    Some(pointer)
}

/// An event's descriptor or signal number; -1 if it has none. Takes no lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_get_fd(event: *const Event) -> EvutilSocket {
    // SAFETY: the caller guarantees the event.
    unsafe { assigned(event) }.map_or(-1, EventPtr::fd)
}

/// An event's base. Takes no lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_get_base(event: *const Event) -> *mut EventBase {
    // SAFETY: the caller guarantees the event.
    unsafe { assigned(event) }.map_or(ptr::null_mut(), EventPtr::base)
}

/// The `EV_*` bits that an event was assigned. Takes no lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_get_events(event: *const Event) -> c_short {
    // SAFETY: the caller guarantees the event.
    unsafe { assigned(event) }.map_or(0, EventPtr::events)
}

/// An event's callback. Takes no lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_get_callback(event: *const Event) -> Option<EventCallbackFn> {
    // SAFETY: the caller guarantees the event; it is not finalizing.
    unsafe { assigned(event).and_then(|pointer| pointer.entry().function().evcb_callback) }
}

/// An event's argument. Takes no lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_get_callback_arg(event: *const Event) -> *mut c_void {
    // SAFETY: the caller guarantees the event.
    unsafe { assigned(event) }.map_or(ptr::null_mut(), |pointer| pointer.entry().argument())
}

/// An event's priority; smaller numbers are more urgent. Takes no lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_get_priority(event: *const Event) -> c_int {
    // SAFETY: the caller guarantees the event.
    unsafe { assigned(event) }.map_or(0, |pointer| pointer.entry().priority().into())
}

/// Everything that an event was assigned, stored where the pointers are not NULL. Takes no lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_get_assignment(
    event: *const Event,
    base_out: *mut *mut EventBase,
    fd_out: *mut EvutilSocket,
    events_out: *mut c_short,
    callback_out: *mut Option<EventCallbackFn>,
    arg_out: *mut *mut c_void,
) {
    /// # Safety
    /// `place` is writable or null.
    unsafe fn store<T>(place: *mut T, value: T) {
        if !place.is_null() {
            // SAFETY: the caller guarantees the place.
            unsafe { place.write(value) };
        }
    }
    // SAFETY: the caller guarantees the event and the places.
    unsafe {
        if let Some(pointer) = assigned(event) {
            store(base_out, pointer.base());
            store(fd_out, pointer.fd());
            store(events_out, pointer.events());
            store(callback_out, pointer.entry().function().evcb_callback);
            store(arg_out, pointer.entry().argument());
        }
    }
}

/// The size of `struct event` in the library, for programs that allocate it without its definition.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_get_struct_event_size() -> usize {
    size_of::<Event>()
}

/// Sets the priority of an event, from 0, the most urgent, to one less than the number of
/// priorities of its base.
///
/// Returns 0, or -1 if the event is active or has no base, or the base has no such priority. Takes
/// no lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_priority_set(event: *mut Event, priority: c_int) -> c_int {
    // SAFETY: the caller guarantees the event and its base.
    unsafe {
        let Some(pointer) = assigned(event) else {
            return -1;
        };
        let base = pointer.base();
        if pointer.has(state::ACTIVE) || base.is_null() {
            return -1;
        }
        if priority < 0 || priority >= (*base).run.priorities {
            return -1;
        }
        pointer.entry().set_priority(priority as u8);
        0
    }
}

/// In debug mode, says that the memory of an event will be reused without a call of event_free().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_debug_unassign(event: *mut Event) {
    // SAFETY: the caller guarantees the event.
    if let Some(pointer) = unsafe { EventPtr::new(event) } {
        debug::require_not_added(pointer);
        debug::note_teardown(pointer);
        pointer.entry().remove(state::INITIALISED);
    }
}

/// Makes the library check that events are used correctly, at some cost; misuse is then a fatal
/// error.
///
/// Must be the first call of the library, before any event or base is made, and be made only once.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_enable_debug_mode() {
    debug::enable();
}
