//! Filling in events.

use super::{Closure, Event, EventCallbackFn, EventPtr, debug, kind, state};
use crate::base::{self, EventBase};
use crate::hooks::memory;
use crate::util::cold_path;
use crate::warning;
use std::ffi::{c_int, c_short, c_void};
use std::ptr::{self, NonNull};

/// The address that means the event itself as an argument.
static SELF_ARGUMENT: u8 = 0;

/// What a program passes as argument to get the event.
pub fn self_argument() -> *mut c_void {
    ptr::addr_of!(SELF_ARGUMENT).cast_mut().cast()
}

/// The combination of signal and descriptor interest makes no sense.
#[derive(Debug)]
pub struct Incompatible;

/// Fills an event in. What was in the memory does not count.
///
/// # Safety
/// `event` is writable, not pending and not active; `base` is live or null.
pub unsafe fn assign(
    event: *mut Event,
    base: *mut EventBase,
    fd: c_int,
    events: c_short,
    callback: Option<EventCallbackFn>,
    argument: *mut c_void,
) -> Result<(), Incompatible> {
    let base = base::or_current(base);
    // SAFETY: the caller guarantees the memory.
    let Some(event) = (unsafe { EventPtr::new(event) }) else {
        return Err(Incompatible);
    };
    // SAFETY: the caller guarantees the base.
    unsafe {
        if debug::enabled() {
            return assign_watched(event, base, fd, events, callback, argument);
        }
        debug::note_use();
        fill(event, base, fd, events, callback, argument);
    }
    compatible(events)
}

/// [`assign`] in debug mode.
///
/// # Safety
/// `base` is live or null.
#[cold]
unsafe fn assign_watched(
    event: EventPtr,
    base: *mut EventBase,
    fd: c_int,
    events: c_short,
    callback: Option<EventCallbackFn>,
    argument: *mut c_void,
) -> Result<(), Incompatible> {
    debug::require_nonblocking(fd, events);
    debug::require_not_added(event);
    // SAFETY: the caller guarantees the base.
    unsafe { fill(event, base, fd, events, callback, argument) };
    compatible(events)?;
    debug::note_setup(event);
    Ok(())
}

fn compatible(events: c_short) -> Result<(), Incompatible> {
    if events & kind::SIGNAL == 0 || events & kind::IO == 0 {
        return Ok(());
    }
    cold_path(|| {
        warning!("event_assign: EV_SIGNAL is not compatible with EV_READ, EV_WRITE or EV_CLOSED");
    });
    Err(Incompatible)
}

const NO_INTERVAL: libc::timeval = libc::timeval {
    tv_sec: 0,
    tv_usec: 0,
};

/// [`assign`] without checks.
///
/// # Safety
/// `base` is live or null.
unsafe fn fill(
    event: EventPtr,
    base: *mut EventBase,
    fd: c_int,
    events: c_short,
    callback: Option<EventCallbackFn>,
    argument: *mut c_void,
) {
    let entry = event.entry();
    let itself = argument == self_argument();
    event.set_base(base);
    entry.set_function(super::CallbackFunction {
        evcb_callback: callback,
    });
    entry.set_argument(if itself {
        event.as_ptr().cast()
    } else {
        argument
    });
    entry.set_flags(state::INITIALISED);
    event.set_fd(fd);
    event.set_events(events);
    event.set_result(0);
    event.clear_signal_calls();
    let closure = if events & kind::SIGNAL != 0 {
        Closure::EventSignal
    } else if events & kind::PERSIST != 0 {
        event.set_interval(NO_INTERVAL);
        Closure::EventPersist
    } else {
        Closure::Event
    };
    entry.set_closure(closure);
    event.clear_heap_position();
    if !base.is_null() {
        // SAFETY: the caller guarantees the base.
        entry.set_priority(unsafe { middle_priority(base) });
    }
}

/// The priority of an event that was given none.
///
/// # Safety
/// The base is live.
pub unsafe fn middle_priority(base: *mut EventBase) -> u8 {
    // SAFETY: the number of priorities changes only while the program uses the base alone.
    unsafe { ((*base).run.priorities / 2) as u8 }
}

/// Fills in an event of the library's own that counts like one of the program's.
///
/// # Safety
/// `event` stays where it is for as long as the result is used; `base` is live.
pub unsafe fn private(
    event: *mut Event,
    base: *mut EventBase,
    fd: c_int,
    events: c_short,
    callback: EventCallbackFn,
    argument: *mut c_void,
) -> EventPtr {
    // SAFETY: the caller guarantees a place, which is not null, and the base.
    let event = unsafe {
        let event = EventPtr(NonNull::new_unchecked(event));
        fill(event, base, fd, events, Some(callback), argument);
        event
    };
    debug::note_setup(event);
    event
}

/// Fills in an event of the library's own that the program does not see in its counts.
///
/// # Safety
/// As for [`private`].
pub unsafe fn internal(
    event: *mut Event,
    base: *mut EventBase,
    fd: c_int,
    events: c_short,
    callback: EventCallbackFn,
    argument: *mut c_void,
) -> EventPtr {
    // SAFETY: the caller guarantees the memory and the base, as `private` wants them.
    let event = unsafe { private(event, base, fd, events, callback, argument) };
    event.entry().insert(state::INTERNAL);
    event.entry().set_priority(0);
    event
}

/// A new event in memory from the hooks, or null.
///
/// # Safety
/// `base` is live or null.
pub unsafe fn new(
    base: *mut EventBase,
    fd: c_int,
    events: c_short,
    callback: Option<EventCallbackFn>,
    argument: *mut c_void,
) -> *mut Event {
    let Ok(event) = memory::allocate_zeroed::<Event>() else {
        return ptr::null_mut();
    };
    // SAFETY: the memory is new; the caller guarantees the base.
    if unsafe { assign(event.as_ptr(), base, fd, events, callback, argument) }.is_err() {
        // SAFETY: nobody knows the memory.
        unsafe { memory::free(event.as_ptr().cast()) };
        return ptr::null_mut();
    }
    event.as_ptr()
}
