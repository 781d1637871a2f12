//! `struct event_base`: what a loop owns, and the guard through which it is reached.
//!
//! Lock order: the base's lock first, then the lock of the signal handlers or the one of debug
//! mode's table ([`crate::hooks::threads`]), which are never held together.

pub mod active;
pub mod config;
pub mod create;
pub mod deadline;
pub mod deferred;
pub mod finalize;
pub mod inspect;
pub mod internal;
pub mod live;
pub mod once;
pub mod pending;
pub mod reinit;
pub mod run;
pub mod timeout;
pub mod wake;

use crate::backend::Backend;
use crate::event::{ActiveLinks, CallbackPtr, Event, EventPtr};
use crate::hooks::memory::SpareBlock;
use crate::hooks::threads::{self, Condition, Lock};
use crate::interest::Interest;
use crate::list::TailQueue;
use crate::signals::Signals;
use crate::timers::time::BaseTime;
use crate::timers::{Microseconds, Timers};
use std::ffi::{c_int, c_short, c_ulong};
use std::mem::{offset_of, size_of};
use std::ops::{Deref, DerefMut};
use std::ptr::{NonNull, addr_of};
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// How many of something there are, and the most there have been.
#[derive(Clone, Copy, Default)]
pub struct Count {
    /// Now.
    pub now: c_int,
    /// The high-water mark since it was last cleared.
    pub most: c_int,
}

impl Count {
    fn increment(&mut self) {
        self.increase(1);
    }

    fn increase(&mut self, more: c_int) {
        self.now += more;
        self.most = self.most.max(self.now);
    }

    fn decrement(&mut self) {
        self.now -= 1;
    }
}

/// When a pass stops running callbacks although more are active.
#[derive(Clone, Copy)]
pub struct DispatchLimits {
    /// After this long.
    pub interval: Option<Microseconds>,
    /// After this many callbacks.
    pub callbacks: c_int,
    /// Only queues from this priority on are limited; the greatest number: none.
    pub min_priority: c_int,
}

impl DispatchLimits {
    /// Whether there are any.
    #[inline]
    pub fn exist(&self) -> bool {
        self.min_priority != c_int::MAX
    }
}

/// The state of the loop and its queues.
pub struct Loop {
    /// One queue per priority, the most urgent first, followed by the queues of entries that
    /// become active in the next pass and before the next wait. The block is replaced only while
    /// every queue is empty.
    pub(crate) queues: *mut TailQueue<ActiveLinks>,
    pub(crate) priorities: c_int,
    /// The priority whose queue is being run; -1 outside.
    pub(crate) running_priority: c_int,
    /// That queue.
    pub(crate) running_queue: *mut TailQueue<ActiveLinks>,
    /// The entry whose callback is running.
    pub(crate) current: Option<CallbackPtr>,
    /// The event whose callback that is; the callback may have freed it.
    pub(crate) current_event: Option<EventPtr>,
    /// Counts callbacks, so that a waiter can tell the one it waits for from the next.
    pub(crate) invocation: u64,
    /// Repetitions that the running signal callback still has before it.
    pub(crate) calls_left: c_short,
    pub(crate) running: bool,
    pub(crate) exit_requested: bool,
    pub(crate) break_requested: bool,
    pub(crate) continue_requested: bool,
    /// The callback that is running, or has just ended, had nothing to do and does not count.
    pub(crate) spurious: bool,
    /// Callbacks ran in this call of the loop, which is to end with them, but more were active: it
    /// ends with those even if none of them has a reason.
    pub(crate) has_run: bool,
    /// Deferred callbacks queued in this pass or put off to it.
    pub(crate) deferred: c_int,
    /// Entries in the queues.
    pub(crate) active: Count,
    /// Reasons to stay in the loop that are no events.
    pub(crate) virtual_events: Count,
    /// Events that are not internal, counted once for each of: inserted, with deadline, queued.
    pub(crate) pending: Count,
    pub(crate) limits: DispatchLimits,
}

/// `struct event_base`. Three places are read by offset by programs that were compiled with
/// knowledge of the real structure; everything else is private, and fills the room in between.
#[repr(C)]
pub struct EventBase {
    pub(crate) run: Loop,
    pub(crate) interest: Interest,
    pub(crate) wake_event: Option<EventPtr>,
    /// Events of `event_base_once` that have not run.
    pub(crate) once: once::OnceList,
    before_signals: [u8; SIGNALS - BEFORE_SIGNALS],
    pub(crate) signals: Signals,
    pub(crate) backend: Backend,
    pub(crate) time: BaseTime,
    before_lock: [u8; LOCK - BEFORE_LOCK],
    pub(crate) lock: Lock,
    /// Broadcast when a callback has ended that somebody waits for.
    pub(crate) callback_ended: Condition,
    /// Threads that wait for the running callback to end.
    pub(crate) waiters: c_int,
    /// A wake-up is on its way to the loop.
    pub(crate) wake_pending: bool,
    /// The thread that entered the loop last.
    pub(crate) owner: c_ulong,
    before_wake: [u8; WAKE_FDS - 464],
    /// The descriptors that wake the loop: one eventfd, or a pipe; -1 without.
    pub(crate) wake_fds: [c_int; 2],
    pub(crate) timers: Timers,
}

// Where programs look, and how far the fields in front of that reach.
const SIGNALS: usize = 168;
const BEFORE_SIGNALS: usize =
    size_of::<(Loop, Interest, Option<EventPtr>)>() + size_of::<once::OnceList>();
const LOCK: usize = 432;
const BEFORE_LOCK: usize = SIGNALS + size_of::<(Signals, Backend, BaseTime)>();
const WAKE_FDS: usize = 500;

/// What is allocated for a base. References to the base are exclusive, so that what callbacks use
/// without its lock comes after it.
#[repr(C)]
struct BaseBlock {
    base: EventBase,
    /// Memory for what the loop's callbacks read; see [`EventBase::spare`].
    spare: SpareBlock,
}

const _: () = {
    assert!(offset_of!(EventBase, signals) == SIGNALS);
    assert!(offset_of!(EventBase, lock) == LOCK);
    assert!(offset_of!(EventBase, wake_fds) == WAKE_FDS);
};

/// The base of the 1.4 interface. Exported: other libraries of the family read it.
#[unsafe(no_mangle)]
pub static event_global_current_base_: AtomicPtr<EventBase> = AtomicPtr::new(std::ptr::null_mut());

/// The base that `event_init` made last, or null.
pub fn current() -> *mut EventBase {
    event_global_current_base_.load(Relaxed)
}

/// `base`, or the current one for null.
pub fn or_current(base: *mut EventBase) -> *mut EventBase {
    if base.is_null() { current() } else { base }
}

/// The base's lock, held, and the way to what it protects.
///
/// References to the base come from here and end before [`Guard::unlocked`], which takes the guard
/// exclusively: there functions of the program run. Only an enumeration calls one with the lock
/// held; it may look at the base, so that none but shared references are alive then.
pub struct Guard {
    base: NonNull<EventBase>,
    // What `unlocked` releases meanwhile.
    unlocks: Lock,
    // Whether dropping the guard releases the lock.
    releases: bool,
}

impl Guard {
    /// Takes the lock.
    ///
    /// # Safety
    /// `base` is a live base and stays so until the guard is gone.
    #[inline]
    pub unsafe fn lock(base: *mut EventBase) -> Guard {
        // SAFETY: the caller guarantees the base; its lock is taken below, before the guard is
        // used.
        let mut guard = unsafe { Guard::held(base) };
        guard.unlocks.acquire();
        guard.releases = true;
        guard
    }

    /// For functions whose caller holds the lock and keeps it.
    ///
    /// # Safety
    /// As for [`Guard::lock`]; and the lock is held.
    #[inline]
    pub unsafe fn held(base: *mut EventBase) -> Guard {
        // SAFETY: a live base is not null; its lock is set at construction and never changes.
        let (base, unlocks) = unsafe { (NonNull::new_unchecked(base), (*base).lock) };
        Guard {
            base,
            unlocks,
            releases: false,
        }
    }

    /// For the one owner of a base that nobody else uses: the lock is not touched.
    ///
    /// # Safety
    /// As for [`Guard::lock`]; and no other thread uses the base.
    pub unsafe fn exclusive(base: *mut EventBase) -> Guard {
        // SAFETY: a live base is not null.
        let base = unsafe { NonNull::new_unchecked(base) };
        Guard {
            base,
            unlocks: Lock::NONE,
            releases: false,
        }
    }

    /// The base as a pointer, to be given to functions of the program.
    #[inline]
    pub fn as_ptr(&self) -> *mut EventBase {
        self.base.as_ptr()
    }

    /// Runs `call` without the lock. The lock is taken again also when `call` unwinds.
    #[inline]
    pub fn unlocked<R>(&mut self, call: impl FnOnce() -> R) -> R {
        self.unlocks.released(call)
    }
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        if self.releases {
            self.unlocks.release();
        }
    }
}

impl Deref for Guard {
    type Target = EventBase;
    #[inline]
    fn deref(&self) -> &EventBase {
        // SAFETY: the base is live and the lock is held; see the type.
        unsafe { self.base.as_ref() }
    }
}

impl DerefMut for Guard {
    #[inline]
    fn deref_mut(&mut self) -> &mut EventBase {
        // SAFETY: the base is live and the lock is held; see the type.
        unsafe { self.base.as_mut() }
    }
}

impl EventBase {
    /// A block that callbacks may keep from one to the next. It needs no lock: mostly the loop's
    /// thread alone uses it, but the callback of a bufferevent that moves to this base meanwhile
    /// ends in the thread of the other one.
    ///
    /// # Safety
    /// The base is live for as long as the reference.
    pub(crate) unsafe fn spare<'a>(base: *mut EventBase) -> &'a SpareBlock {
        // SAFETY: the caller guarantees the base, which is the beginning of such a block; the field
        // never changes but by itself.
        unsafe { &*addr_of!((*base.cast::<BaseBlock>()).spare) }
    }

    /// Whether the loop runs in another thread than this one.
    #[inline]
    pub(crate) fn loop_runs_elsewhere(&self) -> bool {
        self.run.running && threads::current_thread() != self.owner
    }

    /// Keeps the loop running without an event.
    pub(crate) fn add_virtual_event(&mut self) {
        self.run.virtual_events.increment();
    }

    /// Takes back what [`EventBase::add_virtual_event`] did.
    pub(crate) fn remove_virtual_event(&mut self) {
        if self.run.virtual_events.now == 0 {
            crate::warning!("event_base_del_virtual_: there is no virtual event");
            return;
        }
        self.run.virtual_events.decrement();
        if self.run.virtual_events.now == 0 {
            self.wake_if_elsewhere();
        }
    }

    /// The event whose callback this thread is running, which may have freed it.
    pub(crate) fn running_event(&self) -> Option<*mut Event> {
        let here = threads::current_thread() == self.owner;
        self.run
            .current_event
            .filter(|_| here)
            .map(EventPtr::as_ptr)
    }

    /// Whether nothing is left that the loop would wait for.
    pub(crate) fn is_empty(&self) -> bool {
        self.run.pending.now == 0 && self.run.virtual_events.now == 0 && self.run.active.now == 0
    }
}
