//! Internal exported symbols of the thread hooks. (The callback variables are in `hooks::threads`,
//! which reads them.)

use crate::c_api::status;
use crate::hooks::threads::{ConditionCallbacks, LockCallbacks, evthread_lock_debugging_enabled_};
use crate::hooks::{global_locks, lock_debugging, thread_callbacks};
use std::ffi::{c_int, c_uint, c_void};
use std::ptr::addr_of_mut;

/// The program's own lock callbacks, also while lock debugging puts wrappers in force.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evthread_get_lock_callbacks() -> *mut LockCallbacks {
    thread_callbacks::program_lock_callbacks()
}

/// The program's own condition callbacks, also while lock debugging puts wrappers in force.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evthread_get_condition_callbacks() -> *mut ConditionCallbacks {
    thread_callbacks::program_condition_callbacks()
}

/// 1 when the calling thread holds this debug lock; for no other kind of lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evthread_is_debug_lock_held_(lock: *mut c_void) -> c_int {
    // SAFETY: the caller guarantees a debug lock.
    c_int::from(unsafe { lock_debugging::is_held(lock) })
}

/// The program's lock inside a debug lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evthread_debug_get_real_lock_(lock: *mut c_void) -> *mut c_void {
    // SAFETY: the caller guarantees a debug lock.
    unsafe { lock_debugging::real_lock(lock) }
}

/// The lock that a global should use from now on; null when none can be made.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evthread_setup_global_lock_(
    lock: *mut c_void,
    kind: c_uint,
    enable: c_int,
) -> *mut c_void {
    // SAFETY: the caller guarantees a lock of this kind that nobody holds, or null.
    unsafe { global_locks::set_up(lock, kind, enable != 0) }
}

/// Switches the checks for held locks off; the wrappers stay in force.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evthreadimpl_disable_lock_debugging_() {
    // SAFETY: plain data of this library.
    unsafe { *addr_of_mut!(evthread_lock_debugging_enabled_) = 0 }
}

/// Makes the locks of the process (`enable`), or replaces them by debug locks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_global_setup_locks_(enable: c_int) -> c_int {
    status(global_locks::set_up_all(enable != 0))
}

/// The same for the lock of the signal handlers alone.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evsig_global_setup_locks_(enable: c_int) -> c_int {
    status(global_locks::SIGNAL.set_up(enable != 0))
}

/// Frees the lock of the signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evsig_free_globals_() {
    global_locks::SIGNAL.free();
}
