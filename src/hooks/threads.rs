//! Locks, conditions and thread ids through the program's callbacks.
//!
//! The callbacks in force are exported data: other libraries of the family, and programs, read
//! them directly. An object made before there were callbacks has no lock for life.

use super::memory::OutOfMemory;
use super::{global_locks, lock_debugging, pthreads};
use crate::require;

pub use super::thread_abi::{
    ConditionCallbacks, EVTHREAD_LOCKTYPE_READWRITE as READWRITE,
    EVTHREAD_LOCKTYPE_RECURSIVE as RECURSIVE, EVTHREAD_READ as READ, EVTHREAD_TRY as TRY,
    EVTHREAD_WRITE as WRITE, LockCallbacks,
};
use std::ffi::{c_int, c_uint, c_ulong, c_void};
use std::ptr::{addr_of, fn_addr_eq};

/// Takes or releases a lock in a mode: 0 or an error number.
pub type LockFn = unsafe extern "C-unwind" fn(c_uint, *mut c_void) -> c_int;
/// A number that identifies the calling thread.
pub type IdCallback = unsafe extern "C-unwind" fn() -> c_ulong;

impl LockCallbacks {
    /// No locking.
    pub const NONE: Self = LockCallbacks {
        lock_api_version: 0,
        supported_locktypes: 0,
        alloc: None,
        free: None,
        lock: None,
        unlock: None,
    };

    /// Whether every function is there.
    pub fn is_complete(&self) -> bool {
        self.alloc.is_some() && self.free.is_some() && self.lock.is_some() && self.unlock.is_some()
    }
}

impl ConditionCallbacks {
    /// No conditions.
    pub const NONE: Self = ConditionCallbacks {
        condition_api_version: 0,
        alloc_condition: None,
        free_condition: None,
        signal_condition: None,
        wait_condition: None,
    };

    /// Whether every function is there.
    pub fn is_complete(&self) -> bool {
        self.alloc_condition.is_some()
            && self.free_condition.is_some()
            && self.signal_condition.is_some()
            && self.wait_condition.is_some()
    }
}

/// The lock callbacks in force: the program's, or the wrappers of lock debugging.
#[unsafe(no_mangle)]
pub static mut evthread_lock_fns_: LockCallbacks = LockCallbacks::NONE;

/// The condition callbacks in force.
#[unsafe(no_mangle)]
pub static mut evthread_cond_fns_: ConditionCallbacks = ConditionCallbacks::NONE;

/// The thread-id callback in force.
#[unsafe(no_mangle)]
pub static mut evthread_id_fn_: Option<IdCallback> = None;

/// Non-zero while lock debugging is on.
#[unsafe(no_mangle)]
pub static mut evthread_lock_debugging_enabled_: c_int = 0;

/// Non-zero while debug mode is on. Written by debug mode; read here, because the callbacks may
/// then not change any more once a base exists.
#[unsafe(no_mangle)]
pub static mut event_debug_mode_on_: c_int = 0;

/// Non-zero as soon as a base was made. Written by the base; see [`event_debug_mode_on_`].
#[unsafe(no_mangle)]
pub static mut event_debug_created_threadable_ctx_: c_int = 0;

fn lock_callbacks() -> *const LockCallbacks {
    // No reference is made to the exported variable: other code may write it.
    addr_of!(evthread_lock_fns_)
}

/// Whether lock callbacks are installed, so that new objects get locks.
pub fn locking_enabled() -> bool {
    // SAFETY: the callbacks are set before other threads start; reading a word is enough.
    unsafe { (*lock_callbacks()).alloc.is_some() }
}

/// This thread's id, if the program has said how to tell threads apart.
#[inline]
pub fn thread_id() -> Option<c_ulong> {
    // SAFETY: as in `locking_enabled`; neither function has a precondition.
    unsafe {
        match *addr_of!(evthread_id_fn_) {
            Some(id) if fn_addr_eq(id, pthreads::thread_id as IdCallback) => {
                Some(libc::pthread_self())
            }
            Some(id) => Some(id()),
            None => None,
        }
    }
}

/// This thread's id, or 0 while the program has not said how to tell threads apart.
#[inline]
pub fn current_thread() -> c_ulong {
    thread_id().unwrap_or(0)
}

/// The lock of debug mode's table; [`Lock::NONE`] while there are no lock callbacks.
pub fn debug_table_lock() -> Lock {
    global_locks::DEBUG_TABLE.get()
}

/// The lock of the signal handlers; [`Lock::NONE`] while there are no lock callbacks.
pub fn signal_lock() -> Lock {
    global_locks::SIGNAL.get()
}

/// Frees the locks of the process and ends lock debugging: the last step of the global shutdown.
/// The program's callbacks stay in force.
pub fn shutdown() {
    global_locks::free_all();
    lock_debugging::disable();
}

/// A lock made by the program's callbacks, or no lock at all ([`Lock::NONE`]).
///
/// A plain handle: copies refer to the same lock, which its allocator frees once, with the kind it
/// was allocated with.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Lock(*mut c_void);

impl Lock {
    /// Nothing to lock: every operation succeeds at once.
    pub const NONE: Lock = Lock(std::ptr::null_mut());

    /// A new lock (`kind` 0 or [`RECURSIVE`]); [`Lock::NONE`] when there are no callbacks.
    pub fn allocate(kind: c_uint) -> Result<Lock, OutOfMemory> {
        // SAFETY: as in `locking_enabled`.
        let Some(alloc) = (unsafe { (*lock_callbacks()).alloc }) else {
            return Ok(Lock::NONE);
        };
        // SAFETY: the program installed this function for this call.
        let lock = unsafe { alloc(kind) };
        if lock.is_null() {
            Err(OutOfMemory)
        } else {
            Ok(Lock(lock))
        }
    }

    /// The program's pointer.
    pub fn as_ptr(self) -> *mut c_void {
        self.0
    }

    /// Takes over a lock that the program made; null is [`Lock::NONE`].
    pub fn from_ptr(lock: *mut c_void) -> Lock {
        Lock(lock)
    }

    /// Whether there is nothing to lock.
    pub fn is_none(self) -> bool {
        self.0.is_null()
    }

    /// Waits for the lock and takes it.
    #[inline]
    pub fn acquire(self) {
        if !self.0.is_null() {
            self.acquire_with(0);
        }
    }

    /// Takes the lock if nobody else has it; whether it did.
    pub fn try_acquire(self) -> bool {
        self.0.is_null() || self.acquire_with(TRY) == 0
    }

    #[inline(never)]
    fn acquire_with(self, mode: c_uint) -> c_int {
        // SAFETY: as in `locking_enabled`; callbacks that were cleared mean no locking.
        match unsafe { (*lock_callbacks()).lock } {
            // SAFETY: the handle came from the same set of callbacks.
            Some(lock) if fn_addr_eq(lock, pthreads::lock as LockFn) => unsafe {
                pthreads::lock(mode, self.0)
            },
            // SAFETY: the handle came from the same set of callbacks.
            Some(lock) => unsafe { lock(mode, self.0) },
            None => 0,
        }
    }

    /// Releases the lock.
    #[inline]
    pub fn release(self) {
        if !self.0.is_null() {
            self.release_held();
        }
    }

    #[inline(never)]
    fn release_held(self) {
        // SAFETY: as in `acquire_with`; the caller holds the lock.
        match unsafe { (*lock_callbacks()).unlock } {
            // SAFETY: the handle came from the same set of callbacks.
            Some(unlock) if fn_addr_eq(unlock, pthreads::unlock as LockFn) => unsafe {
                pthreads::unlock(0, self.0);
            },
            // SAFETY: the handle came from the same set of callbacks.
            Some(unlock) => unsafe {
                unlock(0, self.0);
            },
            None => {}
        }
    }

    /// Runs `call` with the lock, which is held, given up. It is taken again also when `call`
    /// unwinds.
    #[inline]
    pub fn released<R>(self, call: impl FnOnce() -> R) -> R {
        struct Retake(Lock);
        impl Drop for Retake {
            #[inline]
            fn drop(&mut self) {
                self.0.acquire();
            }
        }
        self.release();
        let _retake = Retake(self);
        call()
    }

    /// While lock debugging is on: a broken invariant, unless the calling thread holds the lock.
    pub fn require_held(self) {
        // SAFETY: a word that is set before other threads start.
        if self.0.is_null() || unsafe { *addr_of!(evthread_lock_debugging_enabled_) } == 0 {
            return;
        }
        // SAFETY: while lock debugging is on every lock is a debug lock.
        let held = unsafe { lock_debugging::is_held(self.0) };
        require!(held, "A lock is not held where it must be");
    }

    /// Gives the lock back to the program's callbacks.
    ///
    /// # Safety
    /// Nobody holds it or uses a copy any more; `kind` is what it was allocated with.
    pub unsafe fn free(self, kind: c_uint) {
        if self.0.is_null() {
            return;
        }
        // SAFETY: as in `locking_enabled`.
        if let Some(free) = unsafe { (*lock_callbacks()).free } {
            // SAFETY: the caller guarantees that this is the last use.
            unsafe { free(self.0, kind) };
        }
    }
}

/// A condition made by the program's callbacks, or none.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Condition(*mut c_void);

impl Condition {
    /// Nothing to wait on.
    pub const NONE: Condition = Condition(std::ptr::null_mut());

    /// A new condition; [`Condition::NONE`] when there are no callbacks.
    pub fn allocate() -> Result<Condition, OutOfMemory> {
        // SAFETY: reading a word that is set before other threads start.
        let Some(alloc) = (unsafe { (*addr_of!(evthread_cond_fns_)).alloc_condition }) else {
            return Ok(Condition::NONE);
        };
        // SAFETY: the program installed this function for this call.
        let condition = unsafe { alloc(0) };
        if condition.is_null() {
            Err(OutOfMemory)
        } else {
            Ok(Condition(condition))
        }
    }

    /// Whether there is nothing to wait on.
    pub fn is_none(self) -> bool {
        self.0.is_null()
    }

    /// Wakes every waiter; the caller holds the lock they waited with.
    pub fn broadcast(self) {
        if self.0.is_null() {
            return;
        }
        // SAFETY: as in `allocate`.
        if let Some(signal) = unsafe { (*addr_of!(evthread_cond_fns_)).signal_condition } {
            // SAFETY: the handle came from the same set of callbacks.
            unsafe { signal(self.0, 1) };
        }
    }

    /// Releases `lock`, waits for a broadcast, and takes the lock again. May wake for no reason.
    pub fn wait(self, lock: Lock) {
        if self.0.is_null() {
            return;
        }
        // SAFETY: as in `allocate`.
        if let Some(wait) = unsafe { (*addr_of!(evthread_cond_fns_)).wait_condition } {
            // SAFETY: both handles came from the same set of callbacks and the lock is held.
            unsafe { wait(self.0, lock.0, std::ptr::null()) };
        }
    }

    /// Gives the condition back to the program's callbacks.
    ///
    /// # Safety
    /// Nobody waits on it or uses a copy any more.
    pub unsafe fn free(self) {
        if self.0.is_null() {
            return;
        }
        // SAFETY: as in `allocate`.
        if let Some(free) = unsafe { (*addr_of!(evthread_cond_fns_)).free_condition } {
            // SAFETY: the caller guarantees that this is the last use.
            unsafe { free(self.0) };
        }
    }
}
