//! A mutex and a condition that are one word each, on which the kernel lets threads sleep.
//!
//! Nothing outside the word knows about waiting threads. A forked child, in which the other threads
//! are gone, can therefore continue to use the locks that the forking thread holds; a table of
//! waiters, as parking_lot keeps it, would name threads that do not exist there.

use crate::system::{self, errno};
use libc::{timespec, timeval};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering::*};

/// Sleeps while `word` is `expected`, at most until `deadline` on the monotonic clock; whether the
/// time is over. May return early for no reason.
fn sleep(word: &AtomicU32, expected: u32, deadline: Option<&timespec>) -> bool {
    // SAFETY: the word and the deadline outlive the call; the kernel only reads them.
    let result = unsafe {
        system::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG,
            expected,
            deadline.map_or(ptr::null(), ptr::from_ref),
            ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        )
    };
    result != 0 && errno() == libc::ETIMEDOUT
}

/// Wakes at most `count` threads that sleep on `word`.
fn wake(word: &AtomicU32, count: i32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the kernel only uses the address of the word.
    unsafe { system::syscall(libc::SYS_futex, word.as_ptr(), operation, count) };
}

/// The moment on the monotonic clock that is this much time from now; a negative time is now.
pub fn deadline(time: timeval) -> timespec {
    const NANOSECONDS: i64 = 1_000_000_000;
    let mut now = MaybeUninit::<timespec>::uninit();
    // SAFETY: every Linux has this clock, so the call fills the structure.
    let now = unsafe {
        system::clock_gettime(libc::CLOCK_MONOTONIC, now.as_mut_ptr());
        now.assume_init()
    };
    if time.tv_sec < 0 {
        return now;
    }
    let nanoseconds = time
        .tv_usec
        .saturating_mul(1000)
        .saturating_add(now.tv_nsec);
    timespec {
        tv_sec: now
            .tv_sec
            .saturating_add(time.tv_sec)
            .saturating_add(nanoseconds.div_euclid(NANOSECONDS)),
        tv_nsec: nanoseconds.rem_euclid(NANOSECONDS),
    }
}

/// Whether the process has no other thread: then nobody can come between two steps, and the word needs
/// none of the instructions that keep others away, which cost as much as all else of an operation.
#[inline]
fn is_only_thread() -> bool {
    // SAFETY: a byte of the C library, which it changes only while there is no other thread.
    unsafe { system::__libc_single_threaded.load(Relaxed) != 0 }
}

/// A mutex without guards: callers pair `lock` and `unlock` themselves.
pub struct RawMutex {
    state: AtomicU32,
}

const FREE: u32 = 0;
const TAKEN: u32 = 1;
/// Taken, and a thread may be asleep.
const CONTENDED: u32 = 2;

/// How often a taken mutex is looked at, which is as long as a thread holds it that is running.
const SPINS: u32 = 20;

impl RawMutex {
    /// A mutex that nobody holds.
    pub const fn new() -> Self {
        RawMutex {
            state: AtomicU32::new(FREE),
        }
    }

    /// Takes the mutex if it is free; whether it was.
    #[inline]
    pub fn try_lock(&self) -> bool {
        if is_only_thread() {
            let free = self.state.load(Relaxed) == FREE;
            if free {
                self.state.store(TAKEN, Relaxed);
            }
            return free;
        }
        self.state
            .compare_exchange(FREE, TAKEN, Acquire, Relaxed)
            .is_ok()
    }

    /// Waits until the mutex is free and takes it.
    #[inline]
    pub fn lock(&self) {
        if !self.try_lock() {
            self.wait_and_lock();
        }
    }

    #[cold]
    fn wait_and_lock(&self) {
        for _ in 0..SPINS {
            match self.state.load(Relaxed) {
                FREE if self.try_lock() => return,
                CONTENDED => break,
                _ => std::hint::spin_loop(),
            }
        }
        // A holder that woke this thread may have made room for it on its processor: it goes on
        // now, and needs nobody to wake when it is done. SAFETY: sched_yield takes no arguments and
        // touches no memory.
        unsafe { system::sched_yield() };
        if self.try_lock() {
            return;
        }
        // From here on, whoever takes the lock must assume that other threads sleep.
        while self.state.swap(CONTENDED, Acquire) != FREE {
            sleep(&self.state, CONTENDED, None);
        }
    }

    /// Releases the mutex. One that nobody holds stays free.
    #[inline]
    pub fn unlock(&self) {
        if is_only_thread() {
            self.state.store(FREE, Relaxed);
        } else if self.state.swap(FREE, Release) == CONTENDED {
            wake(&self.state, 1);
        }
    }
}

/// A condition without a mutex of its own: the number of signals so far.
pub struct RawCondition {
    signals: AtomicU32,
}

impl RawCondition {
    /// A condition that nobody waits for.
    pub const fn new() -> Self {
        RawCondition {
            signals: AtomicU32::new(0),
        }
    }

    /// Calls `unlock`, then sleeps until a signal that is sent after that, at most until
    /// `deadline` on the monotonic clock; whether the time is over.
    pub fn wait(&self, unlock: impl FnOnce(), deadline: Option<&timespec>) -> bool {
        let before = self.signals.load(Relaxed);
        unlock();
        while self.signals.load(Relaxed) == before {
            if sleep(&self.signals, before, deadline) {
                return true;
            }
        }
        false
    }

    /// Wakes one thread, or all.
    pub fn signal(&self, all: bool) {
        self.signals.fetch_add(1, Relaxed);
        wake(&self.signals, if all { i32::MAX } else { 1 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_comes_with_the_unlocking_is_not_missed() {
        for all in [false, true] {
            let condition = RawCondition::new();
            let late = deadline(timeval {
                tv_sec: 60,
                tv_usec: 0,
            });
            assert!(!condition.wait(|| condition.signal(all), Some(&late)));
        }
    }

    #[test]
    fn a_signal_before_the_wait_is_none() {
        let condition = RawCondition::new();
        condition.signal(true);
        let soon = deadline(timeval {
            tv_sec: 0,
            tv_usec: 1000,
        });
        assert!(condition.wait(|| (), Some(&soon)));
    }
}
