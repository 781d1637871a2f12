//! The callback structures and numbers of event2/thread.h, whose text is made from this file.

use std::ffi::{c_int, c_uint, c_void};
use std::mem::{offset_of, size_of};

/// Mode bit: a writer takes or releases a read-write lock.
pub const EVTHREAD_WRITE: c_uint = 0x04;
/// Mode bit: a reader takes or releases a read-write lock.
pub const EVTHREAD_READ: c_uint = 0x08;
/// Mode bit: take the lock only if it is free; otherwise return non-zero at once.
pub const EVTHREAD_TRY: c_uint = 0x10;

/// Value of `lock_api_version`.
pub const EVTHREAD_LOCK_API_VERSION: c_int = 1;
/// Lock type: the thread that holds the lock may take it again, and releases it as many times.
pub const EVTHREAD_LOCKTYPE_RECURSIVE: c_uint = 1;
/// Lock type: many readers at a time, or one writer. The library never uses it.
pub const EVTHREAD_LOCKTYPE_READWRITE: c_uint = 2;

/// How the library locks, for evthread_set_lock_callbacks().
///
/// The functions are called from any thread that uses the library, and must not call it themselves.
#[repr(C)]
#[derive(Clone, Copy, PartialEq)]
#[allow(unpredictable_function_pointer_comparisons)] // the same set means the same addresses
pub struct LockCallbacks {
    /// `EVTHREAD_LOCK_API_VERSION`.
    pub lock_api_version: c_int,
    /// The lock types that `alloc` supports, as bits; recursive locks are required.
    pub supported_locktypes: c_uint,
    /// Makes a lock of type 0 or `EVTHREAD_LOCKTYPE_RECURSIVE`; returns NULL on failure.
    pub alloc: Option<unsafe extern "C-unwind" fn(locktype: c_uint) -> *mut c_void>,
    /// Frees a lock of the given type.
    pub free: Option<unsafe extern "C-unwind" fn(lock: *mut c_void, locktype: c_uint)>,
    /// Takes a lock. The mode is 0 or `EVTHREAD_TRY`. Returns 0 if the lock was taken.
    pub lock: Option<unsafe extern "C-unwind" fn(mode: c_uint, lock: *mut c_void) -> c_int>,
    /// Releases a lock, in the thread that took it. Returns 0.
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

/// How the library waits for conditions, for evthread_set_condition_callbacks().
#[repr(C)]
#[derive(Clone, Copy, PartialEq)]
#[allow(unpredictable_function_pointer_comparisons)] // the same set means the same addresses
pub struct ConditionCallbacks {
    /// `EVTHREAD_CONDITION_API_VERSION`.
    pub condition_api_version: c_int,
    /// Makes a condition; the type is always 0. Returns NULL on failure.
    pub alloc_condition: Option<unsafe extern "C-unwind" fn(condtype: c_uint) -> *mut c_void>,
    /// Frees a condition that no thread is waiting for.
    pub free_condition: Option<unsafe extern "C-unwind" fn(cond: *mut c_void)>,
    /// Wakes all waiting threads (`broadcast` 1) or at least one (0). Called with the lock of the
    /// condition held. Returns 0, or -1 on failure.
    pub signal_condition:
        Option<unsafe extern "C-unwind" fn(cond: *mut c_void, broadcast: c_int) -> c_int>,
    /// Releases `lock`, which the caller holds, waits for a signal, and takes the lock again. Waits
    /// no longer than `timeout`, unless that is NULL. Returns 0 if signalled, 1 if the time has
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
