//! event2/thread.h: what a program with several threads tells the library.

use super::status;
use crate::base::{EventBase, Guard};
use crate::hooks::threads::{ConditionCallbacks, LockCallbacks};
use crate::hooks::{lock_debugging, pthreads, thread_callbacks};
use std::ffi::{c_int, c_ulong};

/// Sets the functions that lock and unlock.
///
/// Call it before anything else of the library, except for the memory and log hooks: an object
/// made earlier has no lock for life. The structure is copied. The library makes the few locks
/// that belong to the process before this function returns.
///
/// Callbacks cannot be replaced by others: setting the same ones again does nothing. `NULL`
/// removes them, with a warning, and every lock is then left untaken. While debug mode is on, a
/// call after the first `event_base` was made is a fatal error.
///
/// Returns 0, or -1 when a function is missing, other callbacks are set already, or a lock of the
/// process cannot be made; nothing is changed then. Not thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evthread_set_lock_callbacks(
    callbacks: *const LockCallbacks,
) -> c_int {
    // SAFETY: the caller guarantees that the structure is readable, or null.
    let callbacks = unsafe { callbacks.as_ref() }.copied();
    status(thread_callbacks::set_lock_callbacks(callbacks))
}

/// Sets the functions that wait for and signal conditions.
///
/// The rules about when to call it, about replacing and removing callbacks, and the results are
/// those of `evthread_set_lock_callbacks()`. The structure is copied. Not thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evthread_set_condition_callbacks(
    callbacks: *const ConditionCallbacks,
) -> c_int {
    // SAFETY: the caller guarantees that the structure is readable, or null.
    let callbacks = unsafe { callbacks.as_ref() }.copied();
    status(thread_callbacks::set_condition_callbacks(callbacks))
}

/// Sets the function that tells threads apart.
///
/// It returns a number that no other living thread has and that stays the same as long as the
/// thread lives. Without it (`NULL`) the library takes every call for one of the thread that runs
/// the loop, and other threads do not wake a loop that sleeps. Not thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evthread_set_id_callback(
    id_fn: Option<unsafe extern "C-unwind" fn() -> c_ulong>,
) {
    thread_callbacks::set_id_callback(id_fn);
}

/// Sets lock, condition and thread-id functions for programs that use POSIX threads: all that
/// such a program has to do.
///
/// Call it before anything else of the library, except for the memory and log hooks; the locks
/// come from the memory hooks. Lock or condition callbacks of the program that are set already
/// stay in force, with a warning. A second call does nothing.
///
/// Returns 0, or -1 when there is no memory for the locks of the process. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evthread_use_pthreads() -> c_int {
    status(pthreads::install())
}

/// Makes the library check how locks are used.
///
/// A lock that its holder takes twice although it is not recursive, that is given up by a thread
/// that does not hold it or freed while it is held, and other errors of that sort end the process
/// through the fatal-error callback. Works with any callbacks, set before or after, and without;
/// call it before any object with a lock is made. It ends with `libevent_global_shutdown()`.
/// Not thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evthread_enable_lock_debugging() {
    lock_debugging::enable();
}

/// The same as `evthread_enable_lock_debugging()`, under the name that older programs know.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evthread_enable_lock_debuging() {
    lock_debugging::enable();
}

/// Makes sure that other threads can wake the loop of a base while it sleeps.
///
/// A base that was made after lock callbacks were set can be woken already, so programs rarely
/// call this. Returns 0, or -1 when `base` is `NULL` or there are no descriptors or memory left.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evthread_make_base_notifiable(base: *mut EventBase) -> c_int {
    if base.is_null() {
        return -1;
    }
    // SAFETY: the caller guarantees a living base.
    status(unsafe { Guard::lock(base) }.make_notifiable())
}
