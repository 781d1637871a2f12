//! The loop.

use super::{EventBase, Guard};
use crate::backend::Timeout;
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

/// The state of a running loop ends with this, also when a callback unwinds.
struct Running<'a>(&'a mut Guard);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.time.clear_cache();
        self.0.run.running = false;
        self.0.run.running_priority = -1;
    }
}

/// What running the active callbacks came to.
#[derive(Default)]
struct Progress {
    /// Callbacks that ran and were not internal.
    callbacks: c_int,
    broken: bool,
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
        let running = Running(self);
        let guard = &mut *running.0;
        guard.time.clear_cache();
        guard.owner = threads::current_thread();
        guard.run.exit_requested = false;
        guard.run.break_requested = false;
        loop {
            if let Some(outcome) = guard.pass(flags)? {
                return Ok(outcome);
            }
        }
    }

    /// One pass; an outcome ends the loop.
    fn pass(&mut self, flags: c_int) -> Result<Option<Outcome>, SystemError> {
        self.run.continue_requested = false;
        self.run.deferred = 0;
        if let Some(outcome) = self.reason_to_end(flags) {
            return Ok(Some(outcome));
        }
        if flags & (loop_flag::ONCE | loop_flag::NONBLOCK) == 0 && self.may_run_before_waiting() {
            self.promote_work_before_wait();
            self.run_active();
            self.run.continue_requested = false;
            if let Some(outcome) = self.reason_to_end(flags) {
                return Ok(Some(outcome));
            }
        }
        let timeout = self.wait_time(flags);
        self.promote_later_entries();
        self.time.clear_cache();
        self.wait(timeout)?;
        self.time.update_cache();
        self.expire_timers();
        self.notice_signals();
        if self.run.active.now == 0 {
            return Ok((flags & loop_flag::NONBLOCK != 0).then_some(Outcome::Stopped));
        }
        let progress = self.run_active();
        let ran = progress.callbacks > 0 || progress.broken;
        let done = flags & loop_flag::ONCE != 0 && self.run.active.now == 0 && ran;
        Ok(done.then_some(Outcome::Stopped))
    }

    /// The running callback turned out to have no reason: a pass that waits for one goes on.
    pub(crate) fn callback_was_spurious(&mut self) {
        self.run.spurious = true;
    }

    fn reason_to_end(&self, flags: c_int) -> Option<Outcome> {
        if self.run.exit_requested || self.run.break_requested {
            return Some(Outcome::Stopped);
        }
        let may_be_empty = flags & loop_flag::NO_EXIT_ON_EMPTY == 0;
        (may_be_empty && self.is_empty()).then_some(Outcome::Empty)
    }

    /// Waits for readiness and makes the events active that it concerns.
    pub(crate) fn wait(&mut self, timeout: Timeout) -> Result<(), SystemError> {
        let base = &mut **self;
        let wait = base.backend.prepare(&mut base.interest, timeout)?;
        let ready = self.unlocked(|| wait.run());
        let count = self.backend.finish(ready)?;
        debug_message!("event_base_loop: {count} descriptors are ready");
        for index in 0..count {
            let base = &mut **self;
            let Some(report) = base.backend.report(index, &mut base.interest) else {
                continue;
            };
            base.activate_reported(report);
        }
        Ok(())
    }

    /// Runs the callbacks of the most urgent queue that has any but internal ones.
    fn run_active(&mut self) -> Progress {
        let limits = self.run.limits;
        let end = limits
            .interval
            .map(|interval| self.time.update_cache().saturating_add(interval));
        let mut progress = Progress::default();
        for priority in 0..self.run.priorities {
            let limited = priority >= limits.min_priority;
            let most = if limited {
                limits.callbacks
            } else {
                c_int::MAX
            };
            self.run.running_priority = priority;
            progress = self.run_queue(priority as u8, most, end.filter(|_| limited));
            if progress.broken || progress.callbacks > 0 {
                break;
            }
        }
        self.run.running_priority = -1;
        progress
    }

    /// Runs the callbacks of one queue, also those that join it meanwhile, until it is empty, a
    /// limit is reached, or the pass is to end.
    fn run_queue(&mut self, priority: u8, most: c_int, end: Option<Microseconds>) -> Progress {
        let mut progress = Progress::default();
        loop {
            // A callback may have given the base other queues, while these were empty.
            let queue = self.queue(priority);
            // SAFETY: the queue is live and its entries are.
            let Some(entry) = (unsafe { CallbackPtr::new(TailQueue::first(queue)) }) else {
                break;
            };
            let internal = entry.has(state::INTERNAL);
            self.run.spurious = false;
            self.run_entry(queue, entry);
            progress.callbacks += c_int::from(!internal && !self.run.spurious);
            if self.run.break_requested {
                progress.broken = true;
                break;
            }
            if progress.callbacks >= most || self.run.continue_requested {
                break;
            }
            if let Some(end) = end {
                // While an interval is configured the time moves on after every callback.
                if self.time.update_cache() >= end && progress.callbacks > 0 {
                    break;
                }
            }
        }
        progress
    }

    /// Runs the callback at the head of a queue.
    #[inline]
    fn run_entry(&mut self, queue: *mut TailQueue<ActiveLinks>, entry: CallbackPtr) {
        // SAFETY: the entry is in the queue; nothing is read of the one behind it, if there is one.
        prefetch(unsafe { TailQueue::<ActiveLinks>::next(entry.as_ptr()) });
        let Some(event) = entry.event() else {
            self.dequeue_from(queue, entry);
            return self.run_other(entry);
        };
        if event.wants(kind::PERSIST) || entry.has(state::FINALIZING) {
            self.dequeue_from(queue, entry);
        } else {
            // Before the callback, which may close the descriptor. A refusal was logged.
            let _ = self.remove_event(event);
        }
        match entry.closure() {
            closure @ (Closure::Event | Closure::EventPersist) => {
                if closure == Closure::EventPersist {
                    self.rearm(event);
                }
                self.call_event(event);
            }
            Closure::EventSignal => self.call_signal(event),
            _ => self.run_other(entry),
        }
    }

    /// Runs an entry, out of its queue, that stands for no callback of an event.
    #[inline(never)]
    fn run_other(&mut self, entry: CallbackPtr) {
        if entry.closure() != Closure::Callback {
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
    /// How long the coming wait may last, by a fresh clock: callbacks may have taken their time.
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
