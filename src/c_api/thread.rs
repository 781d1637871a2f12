//! event2/thread.h: using the library from several threads.

use super::status;
use crate::base::{EventBase, Guard};
use crate::hooks::threads::{ConditionCallbacks, LockCallbacks};
use crate::hooks::{lock_debugging, pthreads, thread_callbacks};
use std::ffi::{c_int, c_ulong};

/// Sets the functions that take and release locks.
///
/// Call it before anything else of the library except the memory and log hooks: an object made
/// earlier never gets a lock. The structure is copied. The library makes its few process-wide locks
/// before this returns.
///
/// Callbacks cannot be replaced by others; setting the same ones again has no effect. NULL removes
/// them, with a warning, and locks are then no longer taken. In debug mode, a call after the first
/// `event_base` was made is a fatal error.
///
/// Returns 0; or -1, with nothing changed, if a function is missing, other callbacks are already
/// set, or a process-wide lock cannot be made. Not thread-safe.
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
/// When to call it, how callbacks are replaced and removed, and what is returned are as for
/// evthread_set_lock_callbacks(). The structure is copied. Not thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evthread_set_condition_callbacks(
    callbacks: *const ConditionCallbacks,
) -> c_int {
    // SAFETY: the caller guarantees that the structure is readable, or null.
    let callbacks = unsafe { callbacks.as_ref() }.copied();
    status(thread_callbacks::set_condition_callbacks(callbacks))
}

/// Sets the function that identifies threads.
///
/// It returns a number that no other living thread has and that does not change during the thread's
/// life. Without it (NULL) the library assumes that every call comes from the thread that runs the
/// loop, so other threads do not wake a sleeping loop. Not thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evthread_set_id_callback(
    id_fn: Option<unsafe extern "C-unwind" fn() -> c_ulong>,
) {
    thread_callbacks::set_id_callback(id_fn);
}

/// Sets lock, condition and thread-id functions for POSIX threads; nothing else is needed.
///
/// Call it before anything else of the library except the memory and log hooks; memory for the
/// locks comes from the memory hooks. Lock or condition callbacks that the program has already set
/// stay in force, with a warning. A second call has no effect.
///
/// Returns 0, or -1 if there is no memory for the process-wide locks. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evthread_use_pthreads() -> c_int {
    status(pthreads::install())
}

/// Makes the library check how locks are used.
///
/// Taking a non-recursive lock twice, releasing a lock in a thread that does not hold it, freeing a
/// lock that is held, and similar mistakes end the process through the fatal-error callback. Works
/// with any lock callbacks, set before or after, and without them. Call it before any object with a
/// lock is made. It ends with libevent_global_shutdown(). Not thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evthread_enable_lock_debugging() {
    lock_debugging::enable();
}

/// The same as evthread_enable_lock_debugging(), under a name that older programs use.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evthread_enable_lock_debuging() {
    lock_debugging::enable();
}

/// Makes sure that other threads can wake the loop of a base while it sleeps.
///
/// A base that was made after lock callbacks were set can already be woken, so programs rarely need
/// this. Returns 0, or -1 if `base` is NULL or there are no descriptors or no memory left.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evthread_make_base_notifiable(base: *mut EventBase) -> c_int {
    if base.is_null() {
        return -1;
    }
    // SAFETY: the caller guarantees a living base.
    status(unsafe { Guard::lock(base) }.make_notifiable())
}
