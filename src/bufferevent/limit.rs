//! The limits of one bufferevent: bytes per read or write, and its own rate.

use super::bucket::{Bucket, BucketConfig};
use super::group::Group;
use super::timeouts;
use super::{Bufferevent, BuffereventPtr, Direction, Guard, suspension};
use crate::base::{self, EventBase, Guard as BaseGuard};
use crate::event::{Event, EventCallback, EventPtr, assign, debug, kind, state};
use crate::hooks::memory::{self, OutOfMemory};
use crate::list::{TailLink, links};
use crate::require;
use crate::timers::{Microseconds, time};
use libc::timeval;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_short, c_void};
use std::ptr;

/// Most bytes of one read or write that the program has not chosen.
pub const DEFAULT_SINGLE: usize = 16384;

/// Whether a bufferevent that leaves its group continues at once.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Resume {
    Yes,
    No,
}

/// What a bufferevent with a rate limit has in addition. Zero bytes mean no limits.
pub struct Limiter {
    /// Its place among the members of the group.
    links: UnsafeCell<TailLink<Limiter>>,
    pub(super) bufferevent: Cell<*mut Bufferevent>,
    pub(super) group: Cell<*mut Group>,
    /// The own limit: the program's configuration, or null, and the state.
    config: Cell<*const BucketConfig>,
    bucket: Cell<Bucket>,
    /// When the own limit began.
    began: Cell<Microseconds>,
    /// Wakes the directions that the own limit suspends. Filled in with the first configuration.
    refill: UnsafeCell<Event>,
}

links! {
    /// The links of the members of a group.
    pub struct MemberLinks: TailLink<Limiter> in cell links;
}

/// The time by which ticks are counted: that of the base's clock, which never goes back.
///
/// # Safety
/// The base is live or null, which means the current one.
pub unsafe fn now(base: *mut EventBase) -> Microseconds {
    // SAFETY: the caller guarantees the base.
    unsafe { BaseGuard::lock(base::or_current(base)) }
        .time
        .now()
}

/// The time since a limit began. Its ticks are counted from there: the bucket is full for the first
/// one, which therefore has its whole length before the second fills it again.
///
/// # Safety
/// As for [`now`].
pub unsafe fn time_since(began: Microseconds, base: *mut EventBase) -> timeval {
    // SAFETY: the caller guarantees the base. Another base may have cached an earlier time.
    time::to_timeval(unsafe { now(base) }.saturating_sub(began).max(0))
}

impl Limiter {
    fn config(&self) -> Option<&BucketConfig> {
        // SAFETY: the program keeps a configuration alive while it is in use.
        unsafe { self.config.get().as_ref() }
    }

    fn refill_event(&self) -> Option<EventPtr> {
        // SAFETY: part of a live object.
        unsafe { EventPtr::new(self.refill.get()) }.filter(|event| event.has(state::INITIALISED))
    }
}

impl Bufferevent {
    /// What the bufferevent has for limits, once it had one.
    pub(super) fn limiter(&self) -> Option<&Limiter> {
        // SAFETY: the block lives as long as the bufferevent.
        unsafe { self.limiter.get().as_ref() }
    }
}

impl BuffereventPtr {
    /// [`Bufferevent::limiter`], made when it is missing.
    pub(super) fn require_limiter(self) -> Result<*mut Limiter, OutOfMemory> {
        if self.limiter.get().is_null() {
            let block = memory::allocate_zeroed::<Limiter>()?.as_ptr();
            // SAFETY: the block is new.
            unsafe { (*block).bufferevent.set(self.as_ptr()) };
            self.limiter.set(block);
        }
        Ok(self.limiter.get())
    }

    /// Frees what [`BuffereventPtr::require_limiter`] made.
    pub(super) fn free_limiter(self) {
        if let Some(event) = self.limiter().and_then(Limiter::refill_event) {
            debug::note_teardown(event);
        }
        let limiter = self.limiter.replace(ptr::null_mut());
        // SAFETY: the block is this bufferevent's own, or null.
        unsafe { memory::free(limiter.cast()) };
    }

    fn max_single_cell(&self, direction: Direction) -> &Cell<usize> {
        match direction {
            Direction::Read => &self.max_single_read,
            Direction::Write => &self.max_single_write,
        }
    }

    /// Most bytes of one read or write.
    pub fn max_single(self, direction: Direction) -> usize {
        self.max_single_cell(direction).get()
    }

    /// Chooses them; 0 and impossible numbers mean the default.
    pub fn set_max_single(self, direction: Direction, size: usize) {
        let valid = (1..=isize::MAX as usize).contains(&size);
        self.max_single_cell(direction)
            .set(if valid { size } else { DEFAULT_SINGLE });
    }

    /// Back to the defaults.
    pub fn reset_single_sizes(self) {
        for direction in Direction::ALL {
            self.set_max_single(direction, 0);
        }
    }

    /// How much the next read or write may move. Notices when the group is used up.
    #[inline]
    pub fn transfer_limit(self, direction: Direction) -> usize {
        let single = self.max_single(direction);
        match self.limiter() {
            None => single,
            Some(limiter) => self.limited(direction, limiter, single as isize),
        }
    }

    #[cold]
    fn limited(self, direction: Direction, limiter: &Limiter, single: isize) -> usize {
        let own = self.own_limit(direction).unwrap_or(isize::MAX);
        let group = limiter.group.get();
        // SAFETY: a group outlives its membership.
        let share =
            unsafe { group.as_ref() }.map_or(isize::MAX, |group| group.share(self, direction));
        single.min(own).min(share).max(0) as usize
    }

    /// Counts bytes that have passed, and suspends the direction when a limit is used up.
    #[inline]
    pub fn charge(self, direction: Direction, count: isize) {
        if let Some(limiter) = self.limiter() {
            self.charge_limiter(limiter, direction, count);
        }
    }

    #[cold]
    fn charge_limiter(self, limiter: &Limiter, direction: Direction, count: isize) {
        if limiter.config().is_some() {
            self.charge_own(direction, count);
        }
        // SAFETY: a group outlives its membership.
        if let Some(group) = unsafe { limiter.group.get().as_ref() } {
            group.charge_member(direction, count);
        }
    }

    /// The program's configuration, or null.
    pub fn rate_limit(self) -> *const BucketConfig {
        self.limiter()
            .map_or(ptr::null(), |limiter| limiter.config.get())
    }

    /// Limits the rate by a configuration of the program; null removes the limit.
    ///
    /// # Safety
    /// The configuration outlives its use.
    pub unsafe fn set_rate_limit(self, config: *const BucketConfig) -> Result<(), OutOfMemory> {
        // SAFETY: the caller guarantees the configuration.
        let Some(new) = (unsafe { config.as_ref() }) else {
            self.end_rate_limit();
            return Ok(());
        };
        if self.rate_limit() == config {
            return Ok(());
        }
        self.require_limiter()?;
        let Some(limiter) = self.limiter() else {
            return Ok(());
        };
        // SAFETY: the base outlives its bufferevents.
        let tick = unsafe {
            if limiter.config().is_none() {
                limiter.began.set(now(self.base.get()));
            }
            new.tick_at(time_since(limiter.began.get(), self.base.get()))
        };
        limiter.bucket.set(match limiter.config() {
            Some(_) => limiter.bucket.get().reconfigured(new, tick),
            None => Bucket::new(new, tick),
        });
        limiter.config.set(config);
        self.stop_refill();
        self.set_up_refill(limiter);
        // What the limit lets through is started (again), as at the end of a limit: programs get a
        // write callback.
        for direction in Direction::ALL {
            if self.own_limit(direction).is_some_and(|limit| limit > 0) {
                self.resume(direction, suspension::BANDWIDTH);
            }
        }
        self.apply_own_limit();
        Ok(())
    }

    fn set_up_refill(self, limiter: &Limiter) {
        if limiter.refill_event().is_some() {
            return;
        }
        let (event, argument) = (limiter.refill.get(), self.as_ptr().cast());
        // SAFETY: the event is part of the block and not pending; the base outlives it. This kind
        // of interest conflicts with nothing.
        let _ = unsafe {
            assign::assign(
                event,
                self.base.get(),
                -1,
                kind::FINALIZE,
                Some(refill),
                argument,
            )
        };
    }

    fn end_rate_limit(self) {
        if self.rate_limit().is_null() {
            return;
        }
        if let Some(limiter) = self.limiter() {
            limiter.config.set(ptr::null());
        }
        self.stop_refill();
        for direction in Direction::ALL {
            self.resume(direction, suspension::BANDWIDTH);
        }
    }

    /// The queue entry of the timer that waits for the next tick, if there ever was one.
    pub(super) fn refill_entry(self) -> Option<*mut EventCallback> {
        let event = self.limiter().and_then(Limiter::refill_event)?;
        Some(event.entry().as_ptr())
    }

    /// Stops waiting for the next tick.
    pub(super) fn stop_refill(self) {
        if let Some(event) = self.limiter().and_then(Limiter::refill_event) {
            // A timer is never refused.
            let _ = timeouts::delete(event);
        }
    }

    /// Waits for the next tick in the present base, in place of another that was left.
    pub(super) fn move_refill(self) {
        self.stop_refill();
        if let Some(event) = self.limiter().and_then(Limiter::refill_event) {
            event.set_base(base::or_current(self.base.get()));
            event
                .entry()
                .set_priority(self.event(Direction::Read).entry().priority());
        }
        self.update_refill();
    }

    /// What the own limit allows now; `None` without one.
    pub fn own_limit(self, direction: Direction) -> Option<isize> {
        let limiter = self.limiter()?;
        let config = limiter.config()?;
        let mut bucket = limiter.bucket.get();
        // SAFETY: the base outlives its bufferevents.
        let time = unsafe { time_since(limiter.began.get(), self.base.get()) };
        bucket.update(config, config.tick_at(time));
        limiter.bucket.set(bucket);
        Some(bucket.limit(direction))
    }

    /// Takes bytes out of the own bucket, which must exist.
    pub fn charge_own(self, direction: Direction, count: isize) {
        let limiter = self.limiter().filter(|limiter| limiter.config().is_some());
        require!(
            limiter.is_some(),
            "bufferevent_decrement_limit: the bufferevent has no rate limit"
        );
        let Some(limiter) = limiter else { return };
        let mut bucket = limiter.bucket.get();
        bucket.charge(direction, count);
        limiter.bucket.set(bucket);
        self.apply_own_limit_to(direction, bucket.limit(direction));
        self.update_refill();
    }

    fn apply_own_limit(self) {
        for direction in Direction::ALL {
            if let Some(limit) = self.own_limit(direction) {
                self.apply_own_limit_to(direction, limit);
            }
        }
        self.update_refill();
    }

    fn apply_own_limit_to(self, direction: Direction, limit: isize) {
        if limit > 0 {
            self.resume_if_suspended(direction, suspension::BANDWIDTH);
        } else {
            self.suspend(direction, suspension::BANDWIDTH);
        }
    }

    /// The timer runs while the own limit suspends a direction.
    fn update_refill(self) {
        let Some(limiter) = self.limiter() else {
            return;
        };
        let (Some(config), Some(event)) = (limiter.config(), limiter.refill_event()) else {
            return;
        };
        let suspended = Direction::ALL
            .into_iter()
            .any(|direction| self.suspended(direction) & suspension::BANDWIDTH != 0);
        if !suspended {
            self.stop_refill();
        } else if !event.has(state::TIMEOUT) {
            // Without memory for the timer the next change of the limit tries again.
            // SAFETY: the base outlives its bufferevents.
            let time = unsafe { time_since(limiter.began.get(), self.base.get()) };
            let _ = timeouts::add(event, Some(config.until_next_tick(time)));
        }
    }
}

/// A tick has passed while the own limit suspended a direction.
unsafe extern "C-unwind" fn refill(_: c_int, _: c_short, argument: *mut c_void) {
    // SAFETY: the event belongs to the bufferevent that is its argument.
    if let Some(guard) = unsafe { Guard::if_alive(argument.cast()) } {
        guard.apply_own_limit();
    }
}
