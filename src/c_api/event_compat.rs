//! event2/event_compat.h: the interface of the 1.x series, which has one base for the process.

use super::EvutilSocket;
use super::event_base::{
    event_base_get_method, event_base_loop, event_base_loopbreak, event_base_loopexit,
    event_base_once, event_base_priority_init,
};
use crate::base::{self, EventBase, config::EventConfig, create, event_global_current_base_};
use crate::event::{Event, EventCallbackFn, assign};
use crate::hooks::log;
use crate::require;
use libc::timeval;
use std::ffi::{c_char, c_int, c_short, c_void};
use std::ptr;
use std::sync::atomic::Ordering::Relaxed;

/// Makes a base, which functions without a base argument use from now on.
///
/// An earlier one is not freed. Returns the base, to be freed with event_base_free(); failure is
/// fatal.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_init() -> *mut EventBase {
    let base = create::new(&EventConfig::DEFAULT);
    if base.is_null() {
        log::fatal(
            1,
            format_args!("event_init: Unable to construct event_base"),
        );
    }
    event_global_current_base_.store(base, Relaxed);
    base
}

/// event_base_dispatch() on the base of event_init(); returns -1 without one.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_dispatch() -> c_int {
    // SAFETY: the current base is live.
    unsafe { event_base_loop(base::current(), 0) }
}

/// event_base_loop() on the base of event_init(); returns -1 without one.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_loop(flags: c_int) -> c_int {
    // SAFETY: the current base is live.
    unsafe { event_base_loop(base::current(), flags) }
}

/// event_base_loopexit() on the base of event_init(); returns -1 without one.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_loopexit(timeout: *const timeval) -> c_int {
    // SAFETY: the current base is live; the caller guarantees the duration, or null.
    unsafe { event_base_loopexit(base::current(), timeout) }
}

/// event_base_loopbreak() on the base of event_init(); returns -1 without one.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_loopbreak() -> c_int {
    // SAFETY: the current base is live.
    unsafe { event_base_loopbreak(base::current()) }
}

/// event_base_once() on the base of event_init(); returns -1 without one.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_once(
    fd: EvutilSocket,
    events: c_short,
    callback: Option<EventCallbackFn>,
    arg: *mut c_void,
    timeout: *const timeval,
) -> c_int {
    // SAFETY: the current base is live; the caller guarantees the duration, or null.
    unsafe { event_base_once(base::current(), fd, events, callback, arg, timeout) }
}

/// The backend of the base of event_init(); NULL without one.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_get_method() -> *const c_char {
    if base::current().is_null() {
        return ptr::null();
    }
    // SAFETY: the current base is live.
    unsafe { event_base_get_method(base::current()) }
}

/// event_base_priority_init() on the base of event_init(); returns -1 without one.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_priority_init(npriorities: c_int) -> c_int {
    // SAFETY: the current base is live.
    unsafe { event_base_priority_init(base::current(), npriorities) }
}

/// event_assign() for the base of event_init(). Invalid arguments are fatal. A program with several
/// bases calls event_base_set() next.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_set(
    event: *mut Event,
    fd: EvutilSocket,
    events: c_short,
    callback: Option<EventCallbackFn>,
    arg: *mut c_void,
) {
    // SAFETY: the caller guarantees the memory, and the current base is live.
    let result = unsafe { assign::assign(event, base::current(), fd, events, callback, arg) };
    require!(result.is_ok(), "Assertion r == 0 failed in event_set");
}
