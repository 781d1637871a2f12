//! The locks of the process: made when lock callbacks are set, freed by the global shutdown.
//!
//! When the callbacks are cleared, what they made is kept: only they may free it, and they can no
//! longer be asked. Should they come back, it is used again, or freed if it is of the wrong kind:
//! lock debugging began meanwhile.

use super::lock_debugging::{self, DebugLock};
use super::memory::OutOfMemory;
use super::thread_callbacks::program_lock_callbacks;
use super::threads::{Lock, LockCallbacks, RECURSIVE};
use crate::{require, warning_with_errno};
use std::ffi::{c_uint, c_void};
use std::ptr::{self, addr_of};
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering::Relaxed};

/// The kind of every lock here: not recursive.
const KIND: c_uint = 0;

/// A lock of the process, null while there is none.
pub struct GlobalLock {
    lock: AtomicPtr<c_void>,
    /// What callbacks that were cleared, [`KEPT_OF`], had made, and its kind; null if nothing.
    kept: AtomicPtr<c_void>,
    kept_kind: AtomicU32,
    name: &'static str,
}

/// Protects the table of events that debug mode keeps.
pub static DEBUG_TABLE: GlobalLock = GlobalLock::new("event_debug_map_lock_");
/// Protects the signal handlers' link to their base.
pub static SIGNAL: GlobalLock = GlobalLock::new("evsig_base_lock");

/// The callbacks that made what is kept. Set before other threads use the library.
static mut KEPT_OF: LockCallbacks = LockCallbacks::NONE;

/// In the order in which they are made and freed.
static ALL: [&GlobalLock; 2] = [&DEBUG_TABLE, &SIGNAL];

impl GlobalLock {
    const fn new(name: &'static str) -> Self {
        GlobalLock {
            lock: AtomicPtr::new(ptr::null_mut()),
            kept: AtomicPtr::new(ptr::null_mut()),
            kept_kind: AtomicU32::new(KIND),
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
        if enable && self.use_kept() {
            return Ok(());
        }
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

    /// Takes out what the program's callbacks made of the lock, which may be null, with its kind.
    fn take(&self) -> (*mut c_void, c_uint) {
        if !lock_debugging::wrappers_in_force() {
            return (self.lock.swap(ptr::null_mut(), Relaxed), KIND);
        }
        let lock = self.lock.load(Relaxed);
        let real = match lock.is_null() {
            true => lock,
            // SAFETY: while the wrappers are in force every global lock is a debug lock.
            false => unsafe { DebugLock::take_real(lock) },
        };
        (real, KIND | RECURSIVE)
    }

    /// Uses what is kept, if the callbacks that made it are in force again.
    fn use_kept(&self) -> bool {
        let debugging = lock_debugging::wrappers_in_force();
        let wanted = if debugging { KIND | RECURSIVE } else { KIND };
        // SAFETY: the callbacks are set before other threads use the library.
        let callbacks = unsafe { *program_lock_callbacks() };
        // SAFETY: as above.
        if unsafe { *addr_of!(KEPT_OF) } != callbacks {
            return false;
        }
        let kept = self.kept.swap(ptr::null_mut(), Relaxed);
        if kept.is_null() {
            return false;
        }
        let kind = self.kept_kind.load(Relaxed);
        let lock = self.lock.load(Relaxed);
        if kind != wanted || lock.is_null() == debugging {
            if let Some(free) = callbacks.free {
                // SAFETY: the lock came from these callbacks, of this kind, and nobody has it.
                unsafe { free(kept, kind) };
            }
            return false;
        }
        if debugging {
            // SAFETY: while the wrappers are in force every global lock is a debug lock, and this
            // one lost its real lock when the callbacks were cleared.
            unsafe { DebugLock::put_real(lock, kept) };
        } else {
            self.lock.store(kept, Relaxed);
        }
        true
    }

    /// Frees what `callbacks`, which go out of force, made of the lock.
    fn give_back(&self, callbacks: &LockCallbacks) {
        let (lock, kind) = self.take();
        if let Some(free) = callbacks.free.filter(|_| !lock.is_null()) {
            // SAFETY: the lock came from these callbacks, of this kind.
            unsafe { free(lock, kind) };
        }
    }

    /// Keeps the lock that the callbacks that are being cleared have made, in place of one that
    /// earlier callbacks may have left.
    fn keep(&self, callbacks: LockCallbacks) {
        let (lock, kind) = self.take();
        if !lock.is_null() {
            self.kept.store(lock, Relaxed);
            self.kept_kind.store(kind, Relaxed);
            // SAFETY: the callbacks are set before other threads use the library.
            unsafe { KEPT_OF = callbacks };
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

/// Keeps what `callbacks` made, which are being cleared.
pub fn keep(callbacks: LockCallbacks) {
    for lock in ALL {
        lock.keep(callbacks);
    }
}

/// Frees what `callbacks`, which could not be installed, made.
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
        // SAFETY: the caller hands the lock over.
        return unsafe { replace(lock, kind, &callbacks) };
    }
    if lock_debugging::wrappers_in_force() {
        // SAFETY: the caller guarantees that the wrappers made the lock and that nobody holds it.
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
        // SAFETY: the caller hands the lock over.
        unsafe { free(lock, kind) };
    }
    DebugLock::make(kind, callbacks)
}
