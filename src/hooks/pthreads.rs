//! Our own lock, condition and id callbacks (`evthread_use_pthreads`).
//!
//! They come into force like a program's: through the exported callback variables. The handles in
//! `threads` call `lock` and `unlock` directly when these are the callbacks in force.

use super::futex::{self, RawCondition, RawMutex};
use super::memory;
use super::thread_callbacks::{self, SetError};
use super::threads::{ConditionCallbacks, LockCallbacks, RECURSIVE, TRY};
use std::ffi::{c_int, c_uint, c_ulong, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

const LOCK_CALLBACKS: LockCallbacks = LockCallbacks {
    lock_api_version: 1,
    supported_locktypes: RECURSIVE,
    alloc: Some(allocate_lock),
    free: Some(free_lock),
    lock: Some(lock),
    unlock: Some(unlock),
};

const CONDITION_CALLBACKS: ConditionCallbacks = ConditionCallbacks {
    condition_api_version: 1,
    alloc_condition: Some(allocate_condition),
    free_condition: Some(free_condition),
    signal_condition: Some(signal),
    wait_condition: Some(wait),
};

/// Installs the callbacks of this module. Callbacks of the program that are there already stay
/// (with a warning, which is no failure).
pub fn install() -> Result<(), memory::OutOfMemory> {
    static ONE_AT_A_TIME: RawMutex = RawMutex::new();

    // May end the process or jump away, so before the lock is taken.
    thread_callbacks::require_early_call();
    ONE_AT_A_TIME.lock();
    let result = install_callbacks();
    ONE_AT_A_TIME.unlock();
    result
}

fn install_callbacks() -> Result<(), memory::OutOfMemory> {
    if thread_callbacks::set_lock_callbacks(Some(LOCK_CALLBACKS)) == Err(SetError::OutOfMemory) {
        return Err(memory::OutOfMemory);
    }
    let _conflict = thread_callbacks::set_condition_callbacks(Some(CONDITION_CALLBACKS));
    thread_callbacks::set_id_callback(Some(thread_id));
    Ok(())
}

/// The calling thread as a number.
pub(super) unsafe extern "C-unwind" fn thread_id() -> c_ulong {
    // SAFETY: pthread_self has no precondition.
    unsafe { libc::pthread_self() }
}

/// A mutex that its holder may take again when it is recursive.
///
/// Invariant of recursive ones: `owner` is the holder's id while `raw` is locked, else 0; only
/// the holder writes `owner` and `depth`, so a thread that reads its own id there is the holder.
struct PthreadLock {
    raw: RawMutex,
    recursive: bool,
    depth: AtomicU32,
    owner: AtomicUsize,
}

impl PthreadLock {
    fn take(&self, mode: c_uint) -> c_int {
        if mode & TRY == 0 {
            self.raw.lock();
        } else if !self.raw.try_lock() {
            return libc::EBUSY;
        }
        0
    }

    fn take_again_or_wait(&self, mode: c_uint) -> c_int {
        // SAFETY: pthread_self can be called at any time.
        let me = unsafe { libc::pthread_self() } as usize;
        if self.owner.load(Relaxed) == me {
            let depth = self.depth.load(Relaxed);
            if depth == u32::MAX {
                return libc::EAGAIN;
            }
            self.depth.store(depth + 1, Relaxed);
            return 0;
        }
        let result = self.take(mode);
        if result == 0 {
            self.owner.store(me, Relaxed);
            self.depth.store(1, Relaxed);
        }
        result
    }

    /// Whether the mutex itself is to be released now; an error when the caller does not hold it.
    fn leave(&self) -> Result<bool, c_int> {
        // SAFETY: pthread_self can be called at any time.
        if self.owner.load(Relaxed) != unsafe { libc::pthread_self() } as usize {
            return Err(libc::EPERM);
        }
        let depth = self.depth.load(Relaxed) - 1;
        self.depth.store(depth, Relaxed);
        if depth == 0 {
            self.owner.store(0, Relaxed);
        }
        Ok(depth == 0)
    }
}

unsafe extern "C-unwind" fn allocate_lock(kind: c_uint) -> *mut c_void {
    let Ok(lock) = memory::allocate_zeroed::<PthreadLock>() else {
        return ptr::null_mut();
    };
    // SAFETY: the block was just allocated for this type.
    unsafe {
        lock.write(PthreadLock {
            raw: RawMutex::new(),
            recursive: kind & RECURSIVE != 0,
            depth: AtomicU32::new(0),
            owner: AtomicUsize::new(0),
        });
    }
    lock.as_ptr().cast()
}

unsafe extern "C-unwind" fn free_lock(lock: *mut c_void, _kind: c_uint) {
    // SAFETY: the caller gives up a lock that `allocate_lock` made; it needs no destructor.
    unsafe { memory::free(lock) }
}

/// The lock callback.
///
/// # Safety
/// `lock` is null-free memory that [`allocate_lock`] made and nobody freed.
pub(super) unsafe extern "C-unwind" fn lock(mode: c_uint, lock: *mut c_void) -> c_int {
    // SAFETY: the caller guarantees the lock; its fields are shared between threads by design.
    let lock = unsafe { &*lock.cast::<PthreadLock>() };
    if lock.recursive {
        lock.take_again_or_wait(mode)
    } else {
        lock.take(mode)
    }
}

/// The unlock callback. A lock that is not held stays as it is.
///
/// # Safety
/// As for [`lock`].
pub(super) unsafe extern "C-unwind" fn unlock(_mode: c_uint, lock: *mut c_void) -> c_int {
    // SAFETY: as in `lock`.
    let lock = unsafe { &*lock.cast::<PthreadLock>() };
    if lock.recursive {
        match lock.leave() {
            Ok(true) => {}
            Ok(false) => return 0,
            Err(error) => return error,
        }
    }
    lock.raw.unlock();
    0
}

unsafe extern "C-unwind" fn allocate_condition(_kind: c_uint) -> *mut c_void {
    let Ok(condition) = memory::allocate_zeroed::<RawCondition>() else {
        return ptr::null_mut();
    };
    // SAFETY: the block was just allocated for this type.
    unsafe { condition.write(RawCondition::new()) };
    condition.as_ptr().cast()
}

unsafe extern "C-unwind" fn free_condition(condition: *mut c_void) {
    // SAFETY: the caller gives up a condition that `allocate_condition` made; it needs no destructor.
    unsafe { memory::free(condition) }
}

unsafe extern "C-unwind" fn signal(condition: *mut c_void, broadcast: c_int) -> c_int {
    // SAFETY: the caller guarantees a condition that `allocate_condition` made.
    let condition = unsafe { &*condition.cast::<RawCondition>() };
    condition.signal(broadcast != 0);
    0
}

/// 0 when signalled, 1 when `timeout` (null: none) passed first.
unsafe extern "C-unwind" fn wait(
    condition: *mut c_void,
    lock: *mut c_void,
    timeout: *const libc::timeval,
) -> c_int {
    // The lock may be the program's own kind, so its own functions release and take it.
    // SAFETY: the callbacks are set before other threads start.
    let callbacks = unsafe { *thread_callbacks::program_lock_callbacks() };
    let (Some(lock_again), Some(unlock)) = (callbacks.lock, callbacks.unlock) else {
        return -1;
    };
    // SAFETY: the caller guarantees that the timeout is null or readable.
    let deadline = unsafe { timeout.as_ref() }.map(|timeout| futex::deadline(*timeout));
    // SAFETY: as in `signal`.
    let condition = unsafe { &*condition.cast::<RawCondition>() };
    let give_up = || {
        // SAFETY: the caller holds the lock.
        unsafe { unlock(0, lock) };
    };
    let timed_out = condition.wait(give_up, deadline.as_ref());
    // SAFETY: the lock was the caller's and is again.
    unsafe { lock_again(0, lock) };
    c_int::from(timed_out)
}
