//! Lock debugging: wrappers around the program's callbacks that check how locks are used.
//!
//! Every lock is then a [`DebugLock`] that keeps its holder and depth and holds the program's
//! lock, always a recursive one, so that a wrong second lock meets the check and not a deadlock.

use super::global_locks;
use super::memory;
use super::threads::{
    ConditionCallbacks, LockCallbacks, READ, READWRITE, RECURSIVE, WRITE, evthread_cond_fns_,
    evthread_lock_debugging_enabled_, evthread_lock_fns_, thread_id,
};
use crate::require;
use std::ffi::{c_int, c_uint, c_void};
use std::ptr::{self, NonNull, addr_of_mut};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, Ordering::Relaxed};

/// The program's callbacks while the wrappers are in force.
static mut ORIGINAL_LOCK: LockCallbacks = LockCallbacks::NONE;
static mut ORIGINAL_CONDITION: ConditionCallbacks = ConditionCallbacks::NONE;

const WRAPPERS: LockCallbacks = LockCallbacks {
    lock_api_version: 1,
    supported_locktypes: RECURSIVE,
    alloc: Some(allocate),
    free: Some(free),
    lock: Some(lock),
    unlock: Some(unlock),
};

/// Whether locks are debug locks now.
pub fn wrappers_in_force() -> bool {
    // SAFETY: the callbacks are set before other threads use the library.
    unsafe { *addr_of_mut!(evthread_lock_fns_) == WRAPPERS }
}

/// Where the program's lock callbacks are kept.
pub fn original_lock_callbacks() -> *mut LockCallbacks {
    addr_of_mut!(ORIGINAL_LOCK)
}

/// Where the program's condition callbacks are kept.
pub fn original_condition_callbacks() -> *mut ConditionCallbacks {
    addr_of_mut!(ORIGINAL_CONDITION)
}

/// Puts the wrappers in force and makes the locks of the process anew.
pub fn enable() {
    // SAFETY: switched before other threads use the library.
    unsafe {
        *addr_of_mut!(evthread_lock_debugging_enabled_) = 1;
        if wrappers_in_force() {
            return;
        }
        ORIGINAL_LOCK = *addr_of_mut!(evthread_lock_fns_);
        ORIGINAL_CONDITION = *addr_of_mut!(evthread_cond_fns_);
        *addr_of_mut!(evthread_lock_fns_) = WRAPPERS;
    }
    rewrap_condition_callbacks();
    global_locks::replace_by_debug_locks();
}

/// Puts the program's callbacks back in force. No debug lock is in use any more.
pub fn disable() {
    // SAFETY: the program shuts the library down from one thread.
    unsafe {
        *addr_of_mut!(evthread_lock_debugging_enabled_) = 0;
        if wrappers_in_force() {
            *addr_of_mut!(evthread_lock_fns_) = ORIGINAL_LOCK;
            *addr_of_mut!(evthread_cond_fns_) = ORIGINAL_CONDITION;
        }
    }
}

/// After a change of the program's condition callbacks: those in force are the same, except that
/// waiting goes through the wrapper. Nothing to do without wrappers.
pub fn rewrap_condition_callbacks() {
    if wrappers_in_force() {
        // SAFETY: the callbacks are set before other threads use the library.
        unsafe {
            *addr_of_mut!(evthread_cond_fns_) = ConditionCallbacks {
                wait_condition: Some(wait),
                ..ORIGINAL_CONDITION
            };
        }
    }
}

/// Distinguishes a debug lock from other memory.
const SIGNATURE: c_uint = 0x6c6f_636b;

/// A lock that knows its kind, holder and depth.
#[repr(C)]
pub struct DebugLock {
    signature: c_uint,
    kind: c_uint,
    holder: AtomicU64,
    depth: AtomicI32,
    real: AtomicPtr<c_void>,
}

impl DebugLock {
    /// A debug lock around `real` (null: bookkeeping only), or null when memory is short.
    pub fn make_around(real: *mut c_void, kind: c_uint) -> *mut c_void {
        let Ok(lock) = memory::allocate_zeroed::<DebugLock>() else {
            return ptr::null_mut();
        };
        // SAFETY: the block was just allocated for this type.
        unsafe {
            lock.write(DebugLock {
                signature: SIGNATURE,
                kind,
                holder: AtomicU64::new(0),
                depth: AtomicI32::new(0),
                real: AtomicPtr::new(real),
            });
        }
        lock.as_ptr().cast()
    }

    /// A debug lock around a new lock of the program's, if it has callbacks; null when either
    /// cannot be made.
    pub fn make(kind: c_uint, callbacks: &LockCallbacks) -> *mut c_void {
        let lock = Self::make_around(ptr::null_mut(), kind);
        if lock.is_null() || callbacks.alloc.is_none() {
            return lock;
        }
        // SAFETY: the lock was just made.
        unsafe {
            if Self::complete(lock, kind, callbacks).is_null() {
                memory::free(lock);
                return ptr::null_mut();
            }
        }
        lock
    }

    /// Gives a debug lock (null: a new one) the program's lock that it still lacks. Null when
    /// that cannot be made; `lock` is then as it was.
    ///
    /// # Safety
    /// `lock` is null or a debug lock that nobody holds.
    pub unsafe fn complete(
        lock: *mut c_void,
        kind: c_uint,
        callbacks: &LockCallbacks,
    ) -> *mut c_void {
        if lock.is_null() {
            return Self::make(kind, callbacks);
        }
        // SAFETY: the caller guarantees a debug lock.
        let this = unsafe { Self::from_ptr(lock) };
        let Some(alloc) = callbacks.alloc else {
            return lock;
        };
        if this.real.load(Relaxed).is_null() {
            // SAFETY: the program installed this function for this call.
            let real = unsafe { alloc(kind | RECURSIVE) };
            if real.is_null() {
                return ptr::null_mut();
            }
            this.real.store(real, Relaxed);
        }
        lock
    }

    /// Takes the program's lock out of a debug lock; null when it has none.
    ///
    /// # Safety
    /// `lock` is a debug lock that nobody holds.
    pub unsafe fn take_real(lock: *mut c_void) -> *mut c_void {
        // SAFETY: the caller guarantees a debug lock.
        let this = unsafe { Self::from_ptr(lock) };
        this.real.swap(ptr::null_mut(), Relaxed)
    }

    /// Gives a debug lock that has none a lock of the program's.
    ///
    /// # Safety
    /// `lock` is a debug lock that nobody holds.
    pub unsafe fn put_real(lock: *mut c_void, real: *mut c_void) {
        // SAFETY: the caller guarantees a debug lock.
        unsafe { Self::from_ptr(lock) }.real.store(real, Relaxed);
    }

    /// # Safety
    /// `lock` is readable memory of this size that outlives the result.
    unsafe fn from_ptr<'a>(lock: *mut c_void) -> &'a DebugLock {
        // SAFETY: the caller guarantees the memory; every field is plain or atomic data.
        let this = unsafe { &*lock.cast::<DebugLock>() };
        require!(
            this.signature == SIGNATURE,
            "A lock made before lock debugging was enabled, or freed already, is used"
        );
        this
    }

    /// READ and WRITE are given exactly for read-write locks.
    fn check_mode(&self, mode: c_uint) {
        let names_access = mode & (READ | WRITE) != 0;
        let wants_access = self.kind & READWRITE != 0;
        require!(
            names_access == wants_access,
            "Lock mode {mode:#x} does not fit lock type {:#x}",
            self.kind
        );
    }

    fn mark_locked(&self) {
        let depth = self.depth.fetch_add(1, Relaxed) + 1;
        require!(
            self.kind & RECURSIVE != 0 || depth == 1,
            "A lock that is not recursive is taken twice"
        );
        if let Some(me) = thread_id() {
            require!(
                depth == 1 || self.holder.load(Relaxed) == me,
                "A lock is taken while another thread holds it"
            );
            self.holder.store(me, Relaxed);
        }
    }

    fn mark_unlocked(&self) {
        if let Some(me) = thread_id() {
            require!(
                self.holder.load(Relaxed) == me,
                "A lock is given up by a thread that does not hold it"
            );
        }
        let depth = self.depth.load(Relaxed);
        require!(depth > 0, "A lock that nobody holds is given up");
        if depth == 1 {
            self.holder.store(0, Relaxed);
        }
        self.depth.store(depth - 1, Relaxed);
    }

    fn is_held(&self) -> bool {
        self.depth.load(Relaxed) > 0 && thread_id().is_none_or(|me| self.holder.load(Relaxed) == me)
    }
}

/// Whether the calling thread (any thread, without an id callback) holds a debug lock.
///
/// # Safety
/// `lock` is a debug lock.
pub unsafe fn is_held(lock: *mut c_void) -> bool {
    // SAFETY: the caller guarantees a debug lock.
    unsafe { DebugLock::from_ptr(lock) }.is_held()
}

/// The program's lock inside a debug lock; null when it has none.
///
/// # Safety
/// `lock` is a debug lock.
pub unsafe fn real_lock(lock: *mut c_void) -> *mut c_void {
    // SAFETY: the caller guarantees a debug lock.
    unsafe { DebugLock::from_ptr(lock) }.real.load(Relaxed)
}

fn originals() -> LockCallbacks {
    // SAFETY: the callbacks are set before other threads use the library.
    unsafe { ORIGINAL_LOCK }
}

unsafe extern "C-unwind" fn allocate(kind: c_uint) -> *mut c_void {
    DebugLock::make(kind, &originals())
}

unsafe extern "C-unwind" fn free(lock: *mut c_void, kind: c_uint) {
    // SAFETY: the caller guarantees a lock that came from `allocate`.
    let this = unsafe { DebugLock::from_ptr(lock) };
    require!(
        this.depth.load(Relaxed) == 0,
        "A lock is freed while it is held"
    );
    require!(
        this.kind == kind,
        "A lock of type {:#x} is freed as one of type {kind:#x}",
        this.kind
    );
    let real = NonNull::new(this.real.load(Relaxed));
    if let (Some(real), Some(free)) = (real, originals().free) {
        // SAFETY: the real lock was allocated with this type and is used no more.
        unsafe { free(real.as_ptr(), kind | RECURSIVE) };
    }
    // SAFETY: the caller hands the lock over; the missing signature reveals a later use.
    unsafe {
        (*lock.cast::<DebugLock>()).signature = 0;
        memory::free(lock);
    }
}

unsafe extern "C-unwind" fn lock(mode: c_uint, lock: *mut c_void) -> c_int {
    // SAFETY: the caller guarantees a lock that came from `allocate`.
    let this = unsafe { DebugLock::from_ptr(lock) };
    this.check_mode(mode);
    let real = NonNull::new(this.real.load(Relaxed));
    let result = match (real, originals().lock) {
        // SAFETY: the real lock came from these callbacks.
        (Some(real), Some(lock)) => unsafe { lock(mode, real.as_ptr()) },
        _ => 0,
    };
    if result == 0 {
        this.mark_locked();
    }
    result
}

unsafe extern "C-unwind" fn unlock(mode: c_uint, lock: *mut c_void) -> c_int {
    // SAFETY: the caller guarantees a lock that came from `allocate`.
    let this = unsafe { DebugLock::from_ptr(lock) };
    this.check_mode(mode);
    this.mark_unlocked();
    let real = NonNull::new(this.real.load(Relaxed));
    match (real, originals().unlock) {
        // SAFETY: the real lock came from these callbacks.
        (Some(real), Some(unlock)) => unsafe { unlock(mode, real.as_ptr()) },
        _ => 0,
    }
}

unsafe extern "C-unwind" fn wait(
    condition: *mut c_void,
    lock: *mut c_void,
    timeout: *const libc::timeval,
) -> c_int {
    // SAFETY: the caller guarantees a lock that came from `allocate`.
    let this = unsafe { DebugLock::from_ptr(lock) };
    // SAFETY: the callbacks are set before other threads use the library.
    let Some(wait) = (unsafe { ORIGINAL_CONDITION.wait_condition }) else {
        return -1;
    };
    require!(this.is_held(), "A condition is waited for without its lock");
    this.mark_unlocked();
    // SAFETY: the condition and the real lock came from the program's callbacks.
    let result = unsafe { wait(condition, this.real.load(Relaxed), timeout) };
    this.mark_locked();
    result
}
