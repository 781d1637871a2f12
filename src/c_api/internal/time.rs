//! Internal exported symbols about time.

use crate::c_api::util::{evutil_configure_monotonic_time, evutil_gettime_monotonic};
use crate::util::clock::{self, MonotonicClock};
use libc::timeval;
use std::ffi::{c_int, c_long};

/// Milliseconds, rounded up; -1 when they do not fit or the microseconds are out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_tv_to_msec_(tv: *const timeval) -> c_long {
    // SAFETY: the caller guarantees the time.
    clock::to_milliseconds(unsafe { *tv }).unwrap_or(-1)
}

/// Sleeps once; a signal ends it early. Does nothing for null.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_usleep_(tv: *const timeval) {
    // SAFETY: the caller guarantees the time, or null.
    if let Some(time) = unsafe { tv.as_ref() } {
        clock::sleep(*time);
    }
}

/// The same as `evutil_configure_monotonic_time`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_configure_monotonic_time_(
    timer: *mut MonotonicClock,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the timer.
    unsafe { evutil_configure_monotonic_time(timer, flags) }
}

/// The same as `evutil_gettime_monotonic`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_gettime_monotonic_(
    timer: *mut MonotonicClock,
    tv: *mut timeval,
) -> c_int {
    // SAFETY: the caller guarantees the timer and the place.
    unsafe { evutil_gettime_monotonic(timer, tv) }
}
