//! The locks of the process: made when lock callbacks are set, freed by the global shutdown.

use super::lock_debugging::{self, DebugLock};
use super::memory::OutOfMemory;
use super::thread_callbacks::program_lock_callbacks;
use super::threads::{Lock, LockCallbacks, RECURSIVE};
use crate::{require, warning_with_errno};
use std::ffi::{c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// The kind of every lock here: not recursive.
const KIND: c_uint = 0;

/// A lock of the process, null while there is none.
pub struct GlobalLock {
    lock: AtomicPtr<c_void>,
    name: &'static str,
}

/// Protects the table of events that debug mode keeps.
pub static DEBUG_TABLE: GlobalLock = GlobalLock::new("event_debug_map_lock_");
/// Protects the signal handlers' link to their base.
pub static SIGNAL: GlobalLock = GlobalLock::new("evsig_base_lock");

/// In the order in which they are made and freed.
const ALL: [&GlobalLock; 2] = [&DEBUG_TABLE, &SIGNAL];

impl GlobalLock {
    const fn new(name: &'static str) -> Self {
        GlobalLock {
            lock: AtomicPtr::new(ptr::null_mut()),
            name,
        }
    }

    /// The lock to use now.
    pub fn get(&self) -> Lock {
        Lock::from_ptr(self.lock.load(Relaxed))
    }

    /// Makes the lock (`enable`), or replaces it by a debug lock. See [`set_up`].
    pub fn set_up(&self, enable: bool) -> Result<(), OutOfMemory> {
        let old = self.lock.load(Relaxed);
        // SAFETY: the old lock is this global's, and nobody holds it while callbacks change.
        let new = unsafe { set_up(old, KIND, enable) };
        if new.is_null() {
            if !enable {
                self.lock.store(new, Relaxed);
            }
            warning_with_errno!("Couldn't allocate {}", self.name);
            return Err(OutOfMemory);
        }
        self.lock.store(new, Relaxed);
        Ok(())
    }

    /// Frees the lock through the callbacks in force.
    pub fn free(&self) {
        let lock = Lock::from_ptr(self.lock.swap(ptr::null_mut(), Relaxed));
        // SAFETY: the program shuts the library down when nothing of it is used any more.
        unsafe { lock.free(KIND) };
    }

    /// Frees what `callbacks`, which go out of force, made of the lock.
    fn give_back(&self, callbacks: &LockCallbacks) {
        let Some(free) = callbacks.free else { return };
        let lock = self.lock.load(Relaxed);
        if lock.is_null() {
            return;
        }
        if lock_debugging::wrappers_in_force() {
            // SAFETY: while the wrappers are in force every global lock is a debug lock.
            let real = unsafe { DebugLock::take_real(lock) };
            if !real.is_null() {
                // SAFETY: the real lock came from these callbacks, of this kind.
                unsafe { free(real, KIND | RECURSIVE) };
            }
        } else {
            self.lock.store(ptr::null_mut(), Relaxed);
            // SAFETY: the lock came from these callbacks, of this kind.
            unsafe { free(lock, KIND) };
        }
    }
}

/// Makes every lock, or replaces it by a debug lock, stopping at the first that fails.
pub fn set_up_all(enable: bool) -> Result<(), OutOfMemory> {
    ALL.iter().try_for_each(|lock| lock.set_up(enable))
}

/// Replaces every lock by a debug lock. One that cannot be made is absent from now on.
pub fn replace_by_debug_locks() {
    for lock in ALL {
        let _warned = lock.set_up(false);
    }
}

/// Frees what `callbacks`, which go out of force, made.
pub fn give_back(callbacks: &LockCallbacks) {
    for lock in ALL {
        lock.give_back(callbacks);
    }
}

/// Frees every lock.
pub fn free_all() {
    for lock in ALL {
        lock.free();
    }
}

/// The lock that a global should use from now on in place of `lock` (null: none so far): made
/// when callbacks were set (`enable`), replaced when lock debugging begins (not `enable`).
/// Null when memory is short; with `enable`, `lock` is then as it was, else it is gone.
///
/// # Safety
/// `lock` is null or of this `kind`, made by the callbacks (by the wrappers, if they are in force
/// and `enable` is set), and nobody holds it.
pub unsafe fn set_up(lock: *mut c_void, kind: c_uint, enable: bool) -> *mut c_void {
    // SAFETY: the callbacks are set before other threads use the library.
    let callbacks = unsafe { *program_lock_callbacks() };
    if !enable {
        // SAFETY: the caller gives the lock up.
        return unsafe { replace(lock, kind, &callbacks) };
    }
    if lock_debugging::wrappers_in_force() {
        // SAFETY: as the caller guarantees.
        return unsafe { DebugLock::complete(lock, kind, &callbacks) };
    }
    require!(lock.is_null(), "A global lock was to be made twice");
    match callbacks.alloc {
        // SAFETY: the program installed this function for this call.
        Some(alloc) => unsafe { alloc(kind) },
        None => ptr::null_mut(),
    }
}

/// A debug lock in place of the program's lock, around it where it already is recursive.
///
/// # Safety
/// As for [`set_up`].
unsafe fn replace(lock: *mut c_void, kind: c_uint, callbacks: &LockCallbacks) -> *mut c_void {
    if lock.is_null() {
        return DebugLock::make(kind, callbacks);
    }
    require!(
        callbacks.alloc.is_some(),
        "A global lock exists without lock callbacks"
    );
    if kind & RECURSIVE != 0 {
        return DebugLock::make_around(lock, kind);
    }
    if let Some(free) = callbacks.free {
        // SAFETY: the caller gives the lock up.
        unsafe { free(lock, kind) };
    }
    DebugLock::make(kind, callbacks)
}
