//! Groups of bufferevents that share a rate limit.

use super::bucket::{Bucket, BucketConfig};
use super::limit::{self, Limiter, MemberLinks, Resume};
use super::operations::Failed;
use super::{BuffereventPtr, Direction, Guard, suspension, timeouts};
use crate::base::pending::Blocking;
use crate::base::{EventBase, Guard as BaseGuard};
use crate::event::{Event, EventPtr, assign, debug, kind};
use crate::hooks::memory::{self, OutOfMemory};
use crate::hooks::threads::{self, Lock};
use crate::list::TailQueue;
use crate::require;
use crate::timers::Microseconds;
use crate::util::weak_random::WeakRandom;
use std::cell::{Cell, RefCell, UnsafeCell};
use std::ffi::{c_int, c_short, c_void};
use std::ptr::NonNull;

/// Smallest share of a member that the program has not chosen.
const DEFAULT_MIN_SHARE: isize = 64;

/// One direction of a group.
#[derive(Default)]
struct Side {
    /// The bucket is used up: members that want to move something are suspended.
    suspended: Cell<bool>,
    /// Some members could not be resumed because they were in use.
    resume_again: Cell<bool>,
    /// Bytes moved by members since the totals were reset.
    total: Cell<u64>,
}

/// `struct bufferevent_rate_limit_group`. Everything is used with the lock held.
pub struct Group {
    lock: Lock,
    members: UnsafeCell<TailQueue<MemberLinks>>,
    count: Cell<usize>,
    config: Cell<BucketConfig>,
    bucket: Cell<Bucket>,
    /// When the limit began.
    began: Microseconds,
    sides: [Side; 2],
    /// Smallest share of a member, as the program wants it.
    min_share: Cell<isize>,
    random: RefCell<WeakRandom>,
    base: *mut EventBase,
    /// Fires with every tick.
    refill: UnsafeCell<Event>,
}

/// The lock, held.
struct Locked(Lock);

impl Drop for Locked {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Group {
    /// A group without members.
    ///
    /// # Safety
    /// `base` is live.
    pub unsafe fn create(
        base: *mut EventBase,
        config: &BucketConfig,
    ) -> Result<NonNull<Group>, OutOfMemory> {
        let lock = Lock::allocate(threads::RECURSIVE)?;
        let block = memory::malloc(size_of::<Group>()).cast::<Group>();
        let created = NonNull::new(block)
            .ok_or(OutOfMemory)
            // SAFETY: the caller guarantees the base; the block is new.
            .and_then(|block| unsafe { Group::fill(block, base, config, lock) }.map(|()| block));
        if created.is_err() {
            // SAFETY: nobody uses the lock or the block.
            unsafe {
                lock.free(threads::RECURSIVE);
                memory::free(block.cast());
            }
        }
        created
    }

    /// # Safety
    /// `base` is live and the block large enough.
    unsafe fn fill(
        block: NonNull<Group>,
        base: *mut EventBase,
        config: &BucketConfig,
        lock: Lock,
    ) -> Result<(), OutOfMemory> {
        // SAFETY: the caller guarantees both; zero bytes are an event to be filled in.
        unsafe {
            block.write(Group {
                lock,
                members: UnsafeCell::new(std::mem::zeroed()),
                count: Cell::new(0),
                config: Cell::new(*config),
                bucket: Cell::new(Bucket::new(config, 0)),
                began: limit::now(base),
                sides: [Side::default(), Side::default()],
                min_share: Cell::new(DEFAULT_MIN_SHARE),
                random: RefCell::new(WeakRandom::new(0)),
                base,
                refill: UnsafeCell::new(std::mem::zeroed()),
            });
            let group = block.as_ref();
            TailQueue::initialise(group.members.get());
            assign::private(
                group.refill.get(),
                base,
                -1,
                kind::FINALIZE,
                refill,
                block.as_ptr().cast(),
            );
            group.await_tick(config).map_err(|_| OutOfMemory)
        }
    }

    /// Frees a group, which must have no members.
    ///
    /// # Safety
    /// Nobody uses the group any more.
    pub unsafe fn free(group: NonNull<Group>) {
        // SAFETY: the caller guarantees the group.
        unsafe {
            let (this, lock) = (group.as_ref(), group.as_ref().lock);
            let empty = {
                let _locked = this.locked();
                this.count.get() == 0
            };
            require!(
                empty,
                "bufferevent_rate_limit_group_free: the group has members"
            );
            if let Some(event) = EventPtr::new(this.refill.get()) {
                // Waits for the callback: it must not find the group gone. A timer is never
                // refused.
                let _ = BaseGuard::lock(this.base).delete(event, Blocking::Yes);
                debug::note_teardown(event);
            }
            lock.free(threads::RECURSIVE);
            memory::free(group.as_ptr().cast());
        }
    }

    fn locked(&self) -> Locked {
        self.lock.acquire();
        Locked(self.lock)
    }

    fn side(&self, direction: Direction) -> &Side {
        &self.sides[direction as usize]
    }

    /// Sets the timer to the beginning of the next tick.
    fn await_tick(&self, config: &BucketConfig) -> Result<(), Failed> {
        // SAFETY: the base outlives the group, and the event is part of it.
        let (next, event) = unsafe {
            let next = config.until_next_tick(limit::time_since(self.began, self.base));
            (next, EventPtr::new(self.refill.get()))
        };
        event.map_or(Ok(()), |event| timeouts::add(event, Some(next)))
    }

    /// Changes the limit. What the bucket holds stays, as far as it fits.
    pub fn set_config(&self, config: &BucketConfig) {
        let _locked = self.locked();
        let same_ticks = config.has_same_ticks(&self.config.get());
        self.config.set(*config);
        // SAFETY: the base outlives the group.
        let tick = config.tick_at(unsafe { limit::time_since(self.began, self.base) });
        self.bucket
            .set(self.bucket.get().reconfigured(config, tick));
        if !same_ticks {
            // The timer has its place already, so it is not refused.
            let _ = self.await_tick(config);
        }
    }

    /// Chooses the smallest share of a member.
    pub fn set_min_share(&self, share: isize) {
        let _locked = self.locked();
        self.min_share.set(share);
    }

    /// The smallest share of a member: no more than a tick brings.
    fn effective_min_share(&self) -> isize {
        let config = self.config.get();
        let rates = config
            .rate(Direction::Read)
            .min(config.rate(Direction::Write));
        self.min_share.get().min(rates)
    }

    /// What the bucket holds.
    pub fn limit(&self, direction: Direction) -> isize {
        let _locked = self.locked();
        self.bucket.get().limit(direction)
    }

    /// Bytes moved by members.
    pub fn total(&self, direction: Direction) -> u64 {
        let _locked = self.locked();
        self.side(direction).total.get()
    }

    /// Starts counting again.
    pub fn reset_totals(&self) {
        let _locked = self.locked();
        for side in &self.sides {
            side.total.set(0);
        }
    }

    /// What a member may move now. Suspends it while the bucket is used up.
    pub(super) fn share(&self, member: BuffereventPtr, direction: Direction) -> isize {
        let _locked = self.locked();
        if self.side(direction).suspended.get() {
            member.suspend(direction, suspension::GROUP_BANDWIDTH);
            return 0;
        }
        let members = isize::try_from(self.count.get())
            .unwrap_or(isize::MAX)
            .max(1);
        let even = self.bucket.get().limit(direction) / members;
        // While the bucket holds anything a member may take a byte: else it would be notified again
        // and again that there is something to move, and could not.
        even.max(self.effective_min_share()).max(1)
    }

    /// Counts what a member has moved.
    pub(super) fn charge_member(&self, direction: Direction, count: isize) {
        let _locked = self.locked();
        let total = &self.side(direction).total;
        total.set(total.get().wrapping_add_signed(count as i64));
        self.charge(direction, count);
    }

    /// Takes bytes out of the bucket; a negative number puts some in.
    pub fn charge(&self, direction: Direction, count: isize) {
        let _locked = self.locked();
        let mut bucket = self.bucket.get();
        bucket.charge(direction, count);
        self.bucket.set(bucket);
        if bucket.limit(direction) <= 0 {
            self.suspend_members(direction);
        } else if self.side(direction).suspended.get() {
            self.resume_members(direction);
        }
    }

    fn suspend_members(&self, direction: Direction) {
        let side = self.side(direction);
        side.suspended.set(true);
        side.resume_again.set(false);
        self.visit_members(|member| {
            // One in use notices when it wants to move something.
            if let Some(member) = member {
                member.suspend(direction, suspension::GROUP_BANDWIDTH);
            }
        });
    }

    /// Resumes the members, starting with a random one.
    fn resume_members(&self, direction: Direction) {
        let side = self.side(direction);
        side.suspended.set(false);
        side.resume_again.set(false);
        let count = c_int::try_from(self.count.get()).unwrap_or(c_int::MAX);
        let first = self.random.borrow_mut().below(count);
        for _ in 0..first {
            self.rotate();
        }
        self.visit_members(|member| match member {
            Some(member) => member.resume_if_suspended(direction, suspension::GROUP_BANDWIDTH),
            None => side.resume_again.set(true),
        });
    }

    /// Moves the first member to the end.
    fn rotate(&self) -> Option<NonNull<Limiter>> {
        // SAFETY: members are live while they are in the list.
        unsafe {
            let members = self.members.get();
            let first = NonNull::new(TailQueue::first(members))?;
            TailQueue::remove(members, first.as_ptr());
            TailQueue::push_back(members, first.as_ptr());
            Some(first)
        }
    }

    /// Visits every member, or `None` for one that another thread is using. A visit may make
    /// members leave: the list is looked at anew for each.
    fn visit_members(&self, visit: impl Fn(Option<&Guard>)) {
        for _ in 0..self.count.get() {
            let Some(member) = self.rotate() else { return };
            // SAFETY: the member is live; it leaves the group before it ends.
            let guard = unsafe { Guard::try_new(member.as_ref().bufferevent.get()) };
            visit(guard.as_ref());
        }
    }

    /// A tick has passed.
    fn tick(&self) {
        let _locked = self.locked();
        let config = self.config.get();
        let mut bucket = self.bucket.get();
        // SAFETY: the base outlives the group.
        let time = unsafe { limit::time_since(self.began, self.base) };
        bucket.update(&config, config.tick_at(time));
        self.bucket.set(bucket);
        // The heap has room: the timer was in it until now.
        let _ = self.await_tick(&config);
        for direction in Direction::ALL {
            let side = self.side(direction);
            let refilled = bucket.limit(direction) >= self.effective_min_share().max(1);
            if side.resume_again.get() || (side.suspended.get() && refilled) {
                self.resume_members(direction);
            }
        }
    }
}

/// Called with every tick of a group.
unsafe extern "C-unwind" fn refill(_: c_int, _: c_short, argument: *mut c_void) {
    // SAFETY: the event belongs to the group that is its argument and ends before it.
    unsafe { &*argument.cast::<Group>() }.tick();
}

impl BuffereventPtr {
    /// Joins a group, and leaves another for it. The caller has a guard.
    ///
    /// # Safety
    /// The group is live until the bufferevent has left it.
    pub unsafe fn join_group(self, group: NonNull<Group>) -> Result<(), OutOfMemory> {
        let limiter = self.require_limiter()?;
        // SAFETY: the block lives as long as the bufferevent; the caller guarantees the group.
        let (limits, joined) = unsafe { (&*limiter, group.as_ref()) };
        if limits.group.get() == group.as_ptr() {
            return Ok(());
        }
        self.leave_group(Resume::Yes);
        let _locked = joined.locked();
        limits.group.set(group.as_ptr());
        joined.count.set(joined.count.get() + 1);
        // SAFETY: the block is in no list.
        unsafe { TailQueue::push_back(joined.members.get(), limiter) };
        for direction in Direction::ALL {
            if joined.side(direction).suspended.get() {
                self.suspend(direction, suspension::GROUP_BANDWIDTH);
            }
        }
        Ok(())
    }

    /// Leaves the group, if it is in one.
    pub fn leave_group(self, resume: Resume) {
        let limiter = self.limiter.get();
        let group = self.limiter().map(|limiter| limiter.group.get());
        // SAFETY: a group outlives its membership.
        let Some(group) = group.and_then(|group| unsafe { group.as_ref() }) else {
            return;
        };
        {
            let _locked = group.locked();
            group.count.set(group.count.get() - 1);
            // SAFETY: the block is in this list and lives as long as the bufferevent.
            unsafe {
                TailQueue::remove(group.members.get(), limiter);
                (*limiter).group.set(std::ptr::null_mut());
            }
        }
        if resume == Resume::Yes {
            for direction in Direction::ALL {
                self.resume(direction, suspension::GROUP_BANDWIDTH);
            }
        }
    }
}
