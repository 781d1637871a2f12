//! The callback structures and numbers of event2/thread.h, whose text is made from this file.

use std::ffi::{c_int, c_uint, c_void};
use std::mem::{offset_of, size_of};

/// Mode bit: a read-write lock is taken or given up by a writer.
pub const EVTHREAD_WRITE: c_uint = 0x04;
/// Mode bit: a read-write lock is taken or given up by a reader.
pub const EVTHREAD_READ: c_uint = 0x08;
/// Mode bit: take the lock only if that needs no waiting; else return non-zero at once.
pub const EVTHREAD_TRY: c_uint = 0x10;

/// Value of `lock_api_version`.
pub const EVTHREAD_LOCK_API_VERSION: c_int = 1;
/// Lock type: the thread that holds the lock may take it again, and gives it up as often.
pub const EVTHREAD_LOCKTYPE_RECURSIVE: c_uint = 1;
/// Lock type: many readers at a time, or one writer. The library never asks for one.
pub const EVTHREAD_LOCKTYPE_READWRITE: c_uint = 2;

/// How the library locks, for `evthread_set_lock_callbacks()`.
///
/// The functions are called from any thread that uses the library and must not call it.
#[repr(C)]
#[derive(Clone, Copy, PartialEq)]
#[allow(unpredictable_function_pointer_comparisons)] // the same set means the same addresses
pub struct LockCallbacks {
    /// `EVTHREAD_LOCK_API_VERSION`.
    pub lock_api_version: c_int,
    /// The lock types that `alloc` knows, or-ed; recursive locks are needed.
    pub supported_locktypes: c_uint,
    /// Makes a lock of type 0 or `EVTHREAD_LOCKTYPE_RECURSIVE`; `NULL` when it cannot.
    pub alloc: Option<unsafe extern "C-unwind" fn(locktype: c_uint) -> *mut c_void>,
    /// Frees a lock; gets the type it was made with.
    pub free: Option<unsafe extern "C-unwind" fn(lock: *mut c_void, locktype: c_uint)>,
    /// Takes a lock. The mode is 0 or `EVTHREAD_TRY`. Returns 0 when the lock is taken.
    pub lock: Option<unsafe extern "C-unwind" fn(mode: c_uint, lock: *mut c_void) -> c_int>,
    /// Gives up a lock, in the thread that took it. Returns 0.
    pub unlock: Option<unsafe extern "C-unwind" fn(mode: c_uint, lock: *mut c_void) -> c_int>,
}

const _: () = {
    assert!(size_of::<LockCallbacks>() == 40);
    assert!(offset_of!(LockCallbacks, lock_api_version) == 0);
    assert!(offset_of!(LockCallbacks, supported_locktypes) == 4);
    assert!(offset_of!(LockCallbacks, alloc) == 8);
    assert!(offset_of!(LockCallbacks, free) == 16);
    assert!(offset_of!(LockCallbacks, lock) == 24);
    assert!(offset_of!(LockCallbacks, unlock) == 32);
};

/// Value of `condition_api_version`.
pub const EVTHREAD_CONDITION_API_VERSION: c_int = 1;

/// How the library waits for conditions, for `evthread_set_condition_callbacks()`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq)]
#[allow(unpredictable_function_pointer_comparisons)] // the same set means the same addresses
pub struct ConditionCallbacks {
    /// `EVTHREAD_CONDITION_API_VERSION`.
    pub condition_api_version: c_int,
    /// Makes a condition; the type is always 0. `NULL` when it cannot.
    pub alloc_condition: Option<unsafe extern "C-unwind" fn(condtype: c_uint) -> *mut c_void>,
    /// Frees a condition that nobody waits for.
    pub free_condition: Option<unsafe extern "C-unwind" fn(cond: *mut c_void)>,
    /// Wakes all waiting threads (`broadcast` 1) or at least one (0). Called with the lock of the
    /// condition held. Returns 0, or -1 on failure.
    pub signal_condition:
        Option<unsafe extern "C-unwind" fn(cond: *mut c_void, broadcast: c_int) -> c_int>,
    /// Gives up `lock`, which the caller holds, waits for a signal, takes the lock again. Waits
    /// at most `timeout` when that is not `NULL`. Returns 0 when signalled, 1 when the time has
    /// passed, -1 on failure.
    pub wait_condition: Option<
        unsafe extern "C-unwind" fn(
            cond: *mut c_void,
            lock: *mut c_void,
            timeout: *const libc::timeval,
        ) -> c_int,
    >,
}

const _: () = {
    assert!(size_of::<ConditionCallbacks>() == 40);
    assert!(offset_of!(ConditionCallbacks, condition_api_version) == 0);
    assert!(offset_of!(ConditionCallbacks, alloc_condition) == 8);
    assert!(offset_of!(ConditionCallbacks, free_condition) == 16);
    assert!(offset_of!(ConditionCallbacks, signal_condition) == 24);
    assert!(offset_of!(ConditionCallbacks, wait_condition) == 32);
};
