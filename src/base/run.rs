//! The loop.

use super::active::{Queues, Uncounted};
use super::{EventBase, Guard};
use crate::backend::{Backend, Report, Timeout, epoll};
use crate::debug_message;
use crate::event::{ActiveLinks, CallbackPtr, Closure, EventPtr, kind, prefetch, state};
use crate::hooks::threads;
use crate::list::TailQueue;
use crate::timers::Microseconds;
use crate::util::SystemError;
use crate::warning;
use std::ffi::{c_int, c_short, c_void};

/// Flags of a call of the loop.
#[allow(missing_docs)]
pub mod loop_flag {
    use std::ffi::c_int;
    pub const ONCE: c_int = 0x01;
    pub const NONBLOCK: c_int = 0x02;
    pub const NO_EXIT_ON_EMPTY: c_int = 0x04;
}

/// Why the loop returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Somebody asked for it, or the flags did.
    Stopped,
    /// There is nothing left to wait for.
    Empty,
}

/// Resets the state of a running loop when it is dropped, also when a callback unwinds.
struct Running(Guard);

impl Drop for Running {
    fn drop(&mut self) {
        let base = &mut *self.0;
        base.time.clear_cache();
        base.run.running = false;
        base.run.spurious = false;
        base.run.running_priority = -1;
    }
}

/// When a queue is left although it is not empty.
trait Limited {
    fn is_reached(&self, base: &mut EventBase, progress: &Progress) -> bool;
}

/// Never.
struct Unlimited;

impl Limited for Unlimited {
    #[inline(always)]
    fn is_reached(&self, _: &mut EventBase, _: &Progress) -> bool {
        false
    }
}

/// After a number of callbacks, or at a time.
struct Limit {
    callbacks: c_int,
    end: Option<Microseconds>,
}

impl Limited for Limit {
    fn is_reached(&self, base: &mut EventBase, progress: &Progress) -> bool {
        // While an interval is configured the time moves on after every callback.
        let late = |end| base.time.update_cache() >= end && progress.callbacks > 0;
        progress.callbacks >= self.callbacks || self.end.is_some_and(late)
    }
}

/// The result of running the active callbacks.
#[derive(Default)]
struct Progress {
    /// Callbacks that ran and were not internal.
    callbacks: c_int,
    broken: bool,
    /// One of those that ran turned out to have had nothing to do.
    spurious: bool,
}

impl Progress {
    /// Whether less urgent queues have to wait.
    #[inline]
    fn is_enough(&self) -> bool {
        self.broken || self.callbacks > 0
    }
}

impl Guard {
    /// Runs the loop in this thread.
    pub(crate) fn run_loop(&mut self, flags: c_int) -> Result<Outcome, SystemError> {
        if self.run.running {
            warning!(
                "event_base_loop: reentrant invocation.  \
                 Only one event_base_loop can run on each event_base at once."
            );
            return Err(SystemError);
        }
        self.run.running = true;
        // SAFETY: this guard, which has the lock, is there until the loop has ended. The loop has
        // one of its own so that the compiler can keep it in registers.
        let mut running = Running(unsafe { Guard::held(self.as_ptr()) });
        let guard = &mut running.0;
        guard.time.clear_cache();
        guard.owner = threads::current_thread();
        guard.signals.note_run();
        guard.run.exit_requested = false;
        guard.run.break_requested = false;
        guard.run.has_run = false;
        loop {
            if let Some(outcome) = guard.pass(flags)? {
                return Ok(outcome);
            }
        }
    }

    /// One pass; an outcome ends the loop.
    #[inline(always)]
    fn pass(&mut self, flags: c_int) -> Result<Option<Outcome>, SystemError> {
        self.run.continue_requested = false;
        self.run.deferred = 0;
        if let Some(outcome) = self.reason_to_end(flags) {
            return Ok(Some(outcome));
        }
        if self.run.active.now > 0 {
            if let Some(outcome) = self.begin_with_active(flags) {
                return Ok(Some(outcome));
            }
        }
        let timeout = self.wait_time(flags);
        if self.run.active.now > 0 {
            self.promote_later_entries();
        }
        self.time.clear_cache();
        self.wait(timeout)?;
        self.time.update_cache();
        self.expire_timers();
        self.process_signals();
        if self.run.active.now == 0 {
            return Ok((flags & loop_flag::NONBLOCK != 0).then_some(Outcome::Stopped));
        }
        let progress = self.run_active();
        if flags & loop_flag::ONCE == 0 {
            return Ok(None);
        }
        let enough = progress.is_enough() || progress.spurious && self.run.has_run;
        self.run.has_run |= progress.is_enough();
        // What a stream does before the next wait is as good as readiness that is not known yet.
        let done = enough && (self.run.active.now == 0 || self.has_only_work_before_wait());
        Ok(done.then_some(Outcome::Stopped))
    }

    /// The beginning of a pass while something is active: the library's own work may come before
    /// the wait. An outcome ends the loop.
    #[inline(never)]
    fn begin_with_active(&mut self, flags: c_int) -> Option<Outcome> {
        let waits = flags & (loop_flag::ONCE | loop_flag::NONBLOCK) == 0;
        if !waits || !self.may_run_before_waiting() {
            return None;
        }
        self.promote_work_before_wait();
        self.run_active();
        self.run.continue_requested = false;
        self.reason_to_end(flags)
    }

    /// The running callback turned out to have nothing to do, so a loop that is to end after one
    /// iteration with callbacks continues.
    pub(crate) fn callback_was_spurious(&mut self) {
        self.run.spurious = true;
    }

    #[inline(always)]
    fn reason_to_end(&self, flags: c_int) -> Option<Outcome> {
        if self.run.exit_requested || self.run.break_requested {
            return Some(Outcome::Stopped);
        }
        let may_be_empty = flags & loop_flag::NO_EXIT_ON_EMPTY == 0;
        (may_be_empty && self.is_empty()).then_some(Outcome::Empty)
    }

    /// Waits for readiness and makes the events active that it concerns.
    #[inline(always)]
    pub(crate) fn wait(&mut self, timeout: Timeout) -> Result<(), SystemError> {
        let base = &mut **self;
        let wait = base.backend.prepare(&mut base.interest, timeout)?;
        let ready = self.unlocked(|| wait.run());
        let base = &mut **self;
        let Backend::Epoll(epoll) = &mut base.backend else {
            return base.activate_ready_portably(ready);
        };
        let results = epoll.finish(ready)?;
        base.activate_ready(results);
        Ok(())
    }

    /// Runs the callbacks of the most urgent queue that has any but internal ones.
    #[inline(always)]
    fn run_active(&mut self) -> Progress {
        let mut progress = Progress::default();
        if self.run.limits.exist() {
            progress = self.run_active_within_limits();
        } else {
            for priority in 0..self.run.priorities {
                progress = self.run_queue(priority, &Unlimited);
                if progress.is_enough() {
                    break;
                }
            }
        }
        self.run.running_priority = -1;
        progress
    }

    #[inline(never)]
    fn run_active_within_limits(&mut self) -> Progress {
        let limits = self.run.limits;
        let end = limits
            .interval
            .map(|interval| self.time.update_cache().saturating_add(interval));
        let limit = Limit {
            callbacks: limits.callbacks,
            end,
        };
        let mut progress = Progress::default();
        for priority in 0..self.run.priorities {
            progress = if priority >= limits.min_priority {
                self.run_queue(priority, &limit)
            } else {
                self.run_queue(priority, &Unlimited)
            };
            if progress.is_enough() {
                break;
            }
        }
        progress
    }

    /// Runs the callbacks of one queue, also those that join it meanwhile, until it is empty, a
    /// limit is reached, or the pass is to end.
    #[inline(always)]
    fn run_queue(&mut self, priority: c_int, limit: &impl Limited) -> Progress {
        let mut progress = Progress::default();
        self.run.running_priority = priority;
        self.run.running_queue = self.queue(priority as u8);
        loop {
            // SAFETY: the queue is live and its entries are.
            let first = unsafe { CallbackPtr::new(TailQueue::first(self.run.running_queue)) };
            let Some(entry) = first else {
                break;
            };
            let flags = entry.flags();
            progress.callbacks += c_int::from(flags & state::INTERNAL == 0);
            self.run_entry(entry, flags);
            let run = &mut self.run;
            // Seldom any of them.
            if run.spurious | run.break_requested | run.continue_requested {
                if std::mem::take(&mut run.spurious) {
                    // The library's own, which is not internal.
                    progress.callbacks -= 1;
                    progress.spurious = true;
                }
                progress.broken = run.break_requested;
                if run.break_requested || run.continue_requested {
                    break;
                }
            }
            if limit.is_reached(self, &progress) {
                break;
            }
        }
        progress
    }

    /// Runs the callback at the head of the running queue.
    #[inline(always)]
    fn run_entry(&mut self, entry: CallbackPtr, flags: c_short) {
        // SAFETY: the entry is in the queue; nothing is read of the one behind it, if there is one.
        prefetch(unsafe { TailQueue::<ActiveLinks>::next(entry.as_ptr()) });
        let Some(event) = entry.event_by(flags) else {
            self.dequeue_first(entry, flags);
            return self.run_other(entry);
        };
        if event.wants(kind::PERSIST) || flags & state::FINALIZING != 0 {
            self.dequeue_first(entry, flags);
        } else {
            // Before the callback, which may close the descriptor. A refusal was logged.
            let _ = self.remove_event(event);
        }
        if entry.is_persistent() {
            self.rearm(event);
            return self.call_event(event);
        }
        match entry.closure() {
            Closure::Event => self.call_event(event),
            Closure::EventSignal => self.call_signal(event),
            _ => self.run_other(entry),
        }
    }

    /// Runs an entry, out of its queue, that is no callback of an event.
    #[inline(never)]
    fn run_other(&mut self, entry: CallbackPtr) {
        if !entry.closure().is_deferred() {
            // The object may be freed, so it is not the running one: nobody waits for it.
            return self.run_finalizer(entry);
        }
        let argument = entry.argument();
        // SAFETY: the closure says which member holds.
        if let Some(function) = unsafe { entry.function().evcb_selfcb } {
            // SAFETY: the entry was queued with a function for this call.
            self.invoke(entry, move || unsafe { function(entry.as_ptr(), argument) });
        }
    }

    #[inline(always)]
    fn call_event(&mut self, event: EventPtr) {
        let (fd, result, argument) = (event.fd(), event.result(), event.entry().argument());
        // SAFETY: the closure says which member holds.
        if let Some(callback) = unsafe { event.entry().function().evcb_callback } {
            self.run.current_event = Some(event);
            // SAFETY: the program made the event with this callback.
            self.invoke(event.entry(), move || unsafe {
                callback(fd, result, argument)
            });
        }
    }

    /// A signal callback runs once for every delivery, until the event is deleted.
    #[inline(never)]
    fn call_signal(&mut self, event: EventPtr) {
        self.run.calls_left = event.signal_calls();
        // Whether the event still exists is known by `calls_left` alone: deleting it ends the
        // repetitions.
        while self.run.calls_left > 0 && !self.run.break_requested {
            self.run.calls_left -= 1;
            event.set_signal_calls(self.run.calls_left);
            self.call_event(event);
        }
        self.run.calls_left = 0;
    }

    /// Runs a function of the program as the callback of `entry`.
    #[inline(always)]
    fn invoke(&mut self, entry: CallbackPtr, call: impl FnOnce()) {
        /// The callback has ended, also when it unwinds.
        struct Invocation<'a>(&'a mut Guard);
        impl Drop for Invocation<'_> {
            fn drop(&mut self) {
                let base = &mut **self.0;
                base.run.current = None;
                base.run.current_event = None;
                if base.waiters > 0 {
                    base.waiters = 0;
                    base.callback_ended.broadcast();
                }
            }
        }
        self.run.current = Some(entry);
        self.run.invocation = self.run.invocation.wrapping_add(1);
        let invocation = Invocation(self);
        invocation.0.unlocked(call);
    }
}

impl EventBase {
    /// Makes the events active that results of epoll concern.
    #[inline(always)]
    fn activate_ready(&mut self, results: epoll::Results) {
        match self.one_queue() {
            Some(queue) => self.queue_ready(results, &queue),
            None => self.activate_ready_generally(results),
        }
    }

    #[inline(never)]
    fn activate_ready_generally(&mut self, results: epoll::Results) {
        let count = results.count();
        debug_message!("event_base_loop: {count} descriptors are ready");
        let queues = self.many_queues();
        self.queue_ready(results, &queues);
    }

    #[inline(always)]
    fn queue_ready(&mut self, mut results: epoll::Results, queues: &impl Queues) {
        let mut uncounted = Uncounted::default();
        while let Some(result) = results.take() {
            let Some(slot) = result.slot(&mut self.interest) else {
                self.note_stale(result);
                continue;
            };
            let first = slot.first();
            if result.disarms(slot) {
                self.note_disarmed();
            }
            // Most reports are only this, and quickly understood.
            if result.is_readable_only() {
                self.queue_reported(Report::readable(first), queues, &mut uncounted);
            } else {
                self.queue_reported(result.report(first), queues, &mut uncounted);
            }
        }
        self.count(uncounted);
    }

    #[cold]
    fn note_stale(&mut self, found: epoll::Found) {
        if let Backend::Epoll(epoll) = &mut self.backend {
            epoll.note_stale(found);
        }
    }

    #[inline]
    fn note_disarmed(&mut self) {
        if let Backend::Epoll(epoll) = &mut self.backend {
            epoll.note_disarmed();
        }
    }

    /// The same for the other mechanisms.
    #[inline(never)]
    fn activate_ready_portably(
        &mut self,
        ready: Result<usize, SystemError>,
    ) -> Result<(), SystemError> {
        let count = self.backend.finish_portably(ready)?;
        debug_message!("event_base_loop: {count} descriptors are ready");
        for _ in 0..count {
            if let Some(report) = self.backend.report_portably(&mut self.interest) {
                self.activate_reported(report);
            }
        }
        Ok(())
    }

    /// How long the coming wait may last, by a fresh clock: callbacks may have taken their time.
    #[inline(always)]
    fn wait_time(&mut self, flags: c_int) -> Timeout {
        let something = self.run.active.now > 0 || self.signals.have_arrived();
        if something || flags & loop_flag::NONBLOCK != 0 {
            return Timeout::None;
        }
        match self.timers.heap.first() {
            None => Timeout::Forever,
            Some((due, _)) => match self.time.read() {
                now if now < due => Timeout::Until(due, now),
                _ => Timeout::None,
            },
        }
    }
}

/// Runs as the callback of a delayed exit.
pub(crate) unsafe extern "C-unwind" fn request_exit(_: c_int, _: c_short, base: *mut c_void) {
    // SAFETY: the base is the argument it was made with, and lives while its callback runs.
    unsafe { Guard::lock(base.cast()) }.run.exit_requested = true;
}
