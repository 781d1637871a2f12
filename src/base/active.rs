//! Making things active: the queues of callbacks to run, and how entries get in and out.

use super::{EventBase, Guard};
use crate::backend::Report;
use crate::debug_message;
use crate::event::{ActiveLinks, CallbackPtr, EventPtr, kind, state};
use crate::hooks::{log, threads};
use crate::interest;
use crate::list::TailQueue;
use std::ffi::{c_int, c_short};

/// Queues beside those of the priorities.
pub(super) const MORE_QUEUES: usize = 2;

fn log_activation(event: EventPtr, result: c_short) {
    debug_message!(
        "event_active: {:p} (fd {}), res {result}",
        event.as_ptr(),
        event.fd()
    );
}

/// Where a walk over reports queues events, while no other queues are made.
pub(super) trait Queues {
    /// The queue for an entry.
    fn of(&self, entry: CallbackPtr) -> *mut TailQueue<ActiveLinks>;
    /// Logs an activation for debugging.
    fn log(&self, event: EventPtr, result: c_short);
}

/// There is only one priority, and debug messages are off.
pub(super) struct OneQueue(*mut TailQueue<ActiveLinks>);

impl Queues for OneQueue {
    #[inline(always)]
    fn of(&self, _: CallbackPtr) -> *mut TailQueue<ActiveLinks> {
        self.0
    }

    #[inline(always)]
    fn log(&self, _: EventPtr, _: c_short) {}
}

/// One for every priority.
pub(super) struct ManyQueues {
    first: *mut TailQueue<ActiveLinks>,
    least_urgent: c_int,
}

impl Queues for ManyQueues {
    #[inline(always)]
    fn of(&self, entry: CallbackPtr) -> *mut TailQueue<ActiveLinks> {
        let priority = c_int::from(entry.priority()).min(self.least_urgent);
        // SAFETY: there is one queue for every priority.
        unsafe { self.first.add(priority as usize) }
    }

    #[inline(always)]
    fn log(&self, event: EventPtr, result: c_short) {
        log_activation(event, result);
    }
}

/// What a walk over reports has queued and not counted yet: it counts all at once, at its end.
#[derive(Default)]
pub(super) struct Uncounted {
    entries: c_int,
    internal: c_int,
}

impl EventBase {
    /// The queue of a priority. One that does not exist (any more) means the least urgent.
    #[inline]
    pub(crate) fn queue(&mut self, priority: u8) -> *mut TailQueue<ActiveLinks> {
        let index = c_int::from(priority).min(self.run.priorities - 1);
        // SAFETY: there is one queue for every priority.
        unsafe { self.run.queues.add(index as usize) }
    }

    /// The number of queues.
    pub(super) fn queues(&self) -> c_int {
        self.run.priorities + MORE_QUEUES as c_int
    }

    /// The queue of entries that become active in the next pass.
    fn later_queue(&mut self) -> *mut TailQueue<ActiveLinks> {
        // SAFETY: it follows the queues of the priorities.
        unsafe { self.run.queues.add(self.run.priorities as usize) }
    }

    /// The queue of the library's own work that may run before the next wait.
    fn before_wait_queue(&mut self) -> *mut TailQueue<ActiveLinks> {
        // SAFETY: it follows the others.
        unsafe { self.run.queues.add(self.run.priorities as usize + 1) }
    }

    /// Whether there is such work, nothing is active, and nothing in the kernel could be more
    /// urgent.
    pub(super) fn may_run_before_waiting(&mut self) -> bool {
        // SAFETY: the queues are live.
        unsafe {
            !TailQueue::first(self.before_wait_queue()).is_null()
                && self.run.priorities == 1
                && TailQueue::first(self.queue(0)).is_null()
        }
    }

    /// Whether nothing is active but what the library does before the next wait.
    #[inline(never)]
    pub(super) fn has_only_work_before_wait(&self) -> bool {
        // That queue follows the others.
        (0..=self.run.priorities as usize)
            // SAFETY: there are these queues, and they are live.
            .all(|index| unsafe { TailQueue::first(self.run.queues.add(index)).is_null() })
    }

    #[inline]
    fn enqueue(&mut self, entry: CallbackPtr) {
        self.count_in(entry, state::ACTIVE);
        // SAFETY: the queue is live, and the entry was in none.
        unsafe { TailQueue::push_back(self.queue(entry.priority()), entry.as_ptr()) };
    }

    fn enqueue_later(&mut self, entry: CallbackPtr) {
        self.count_in(entry, state::ACTIVE_LATER);
        // SAFETY: as in `enqueue`.
        unsafe { TailQueue::push_back(self.later_queue(), entry.as_ptr()) };
    }

    fn enqueue_before_wait(&mut self, entry: CallbackPtr) {
        self.count_in(entry, state::ACTIVE_LATER | state::BEFORE_WAIT);
        // SAFETY: as in `enqueue`.
        unsafe { TailQueue::push_back(self.before_wait_queue(), entry.as_ptr()) };
    }

    #[inline]
    fn count_in(&mut self, entry: CallbackPtr, state: c_short) {
        let flags = entry.flags();
        entry.set_flags(flags | state);
        self.run.active.increment();
        if flags & state::INTERNAL == 0 {
            self.run.pending.increment();
        }
    }

    /// Takes out an entry that is in that queue.
    #[inline]
    fn dequeue_from(&mut self, queue: *mut TailQueue<ActiveLinks>, entry: CallbackPtr) {
        // SAFETY: the caller found the entry in that queue.
        unsafe { TailQueue::remove(queue, entry.as_ptr()) };
        self.count_out(entry, entry.flags());
    }

    /// Takes out an entry, with these flags, that is at the head of the running queue.
    #[inline(always)]
    pub(super) fn dequeue_first(&mut self, entry: CallbackPtr, flags: c_short) {
        // SAFETY: the caller found the entry there.
        unsafe { TailQueue::remove_first(self.run.running_queue, entry.as_ptr()) };
        self.count_out(entry, flags);
    }

    #[inline(always)]
    fn count_out(&mut self, entry: CallbackPtr, flags: c_short) {
        entry.set_flags(flags & !(state::QUEUED | state::BEFORE_WAIT));
        self.run.active.decrement();
        if flags & state::INTERNAL == 0 {
            self.run.pending.decrement();
        }
    }

    /// Takes an entry out of the queue it is in.
    #[inline]
    pub(crate) fn dequeue(&mut self, entry: CallbackPtr) {
        let flags = entry.flags();
        let queue = if flags & state::ACTIVE != 0 {
            self.queue(entry.priority())
        } else if flags & state::BEFORE_WAIT != 0 {
            self.before_wait_queue()
        } else {
            self.later_queue()
        };
        // The state bits say that the entry is in that queue; its priority does not change while it
        // is active.
        self.dequeue_from(queue, entry);
    }

    /// Queues an entry for this pass; whether it was in no queue before.
    pub(crate) fn activate_entry(&mut self, entry: CallbackPtr) -> bool {
        if entry.has(state::FINALIZING | state::ACTIVE) {
            return false;
        }
        self.queue_now(entry)
    }

    /// [`EventBase::activate_entry`] for an entry that is not active, also a finalizing one.
    #[inline]
    pub(crate) fn queue_now(&mut self, entry: CallbackPtr) -> bool {
        let new = !entry.has(state::ACTIVE_LATER);
        if !new {
            self.dequeue(entry);
        }
        self.enqueue(entry);
        self.wake_if_elsewhere();
        new
    }

    /// Queues an entry for the next pass; whether it was in no queue before.
    pub(crate) fn activate_entry_later(&mut self, entry: CallbackPtr) -> bool {
        if entry.has(state::QUEUED) {
            return false;
        }
        self.enqueue_later(entry);
        self.wake_if_elsewhere();
        true
    }

    /// Makes an event active with flags. `calls` is how often a signal callback is to run; it
    /// counts only when the event was not active yet.
    #[inline]
    pub(crate) fn activate_event(&mut self, event: EventPtr, result: c_short, calls: c_short) {
        log_activation(event, result);
        if event.has(state::FINALIZING | state::QUEUED) {
            self.activate_again(event, result, calls);
        } else {
            event.set_result(result);
            self.queue_event(event, calls);
        }
    }

    /// [`EventBase::activate_event`] for an event that is queued already, or finalizing.
    #[inline(never)]
    fn activate_again(&mut self, event: EventPtr, result: c_short, calls: c_short) {
        if event.has(state::FINALIZING) {
            return;
        }
        event.set_result(event.result() | result);
        if event.has(state::ACTIVE_LATER) {
            self.dequeue(event.entry());
            self.queue_event(event, calls);
        }
    }

    /// Queues an event that is in no queue and has its result.
    #[inline]
    fn queue_event(&mut self, event: EventPtr, calls: c_short) {
        if c_int::from(event.entry().priority()) < self.run.running_priority {
            // Something more urgent than what is being run: end the pass after this callback.
            self.run.continue_requested = true;
        }
        if event.wants(kind::SIGNAL) {
            event.set_signal_calls(calls);
        }
        self.enqueue(event.entry());
        self.wake_if_elsewhere();
    }

    /// Makes the events active that a report concerns. Runs in the loop between its callbacks:
    /// nobody needs to be woken, and no pass to end early.
    pub(crate) fn activate_reported(&mut self, report: Report) {
        let mut uncounted = Uncounted::default();
        let queues = self.many_queues();
        self.queue_reported(report, &queues, &mut uncounted);
        self.count(uncounted);
    }

    /// The queue, if there is only one priority and debug messages are off.
    #[inline]
    pub(super) fn one_queue(&self) -> Option<OneQueue> {
        let plain = self.run.priorities == 1 && !log::debug_enabled();
        plain.then_some(OneQueue(self.run.queues))
    }

    /// The queues of all priorities.
    #[inline]
    pub(super) fn many_queues(&self) -> ManyQueues {
        ManyQueues {
            first: self.run.queues,
            least_urgent: self.run.priorities - 1,
        }
    }

    /// [`EventBase::activate_reported`] without counting.
    #[inline(always)]
    pub(super) fn queue_reported(
        &mut self,
        report: Report,
        queues: &impl Queues,
        uncounted: &mut Uncounted,
    ) {
        let mut walk = report.first;
        while let Some(event) = walk {
            walk = interest::next(event);
            let ready = report.ready_for(event);
            if ready == 0 {
                continue;
            }
            queues.log(event, ready);
            let entry = event.entry();
            let flags = entry.flags();
            if flags & (state::FINALIZING | state::QUEUED) != 0 {
                self.activate_again(event, ready, 1);
                continue;
            }
            event.set_result(ready);
            entry.set_flags(flags | state::ACTIVE);
            uncounted.entries += 1;
            uncounted.internal += c_int::from(flags & state::INTERNAL != 0);
            // SAFETY: the queue is live, and the entry is in none.
            unsafe { TailQueue::push_back(queues.of(entry), entry.as_ptr()) };
        }
    }

    /// Counts what a walk has queued.
    #[inline(always)]
    pub(super) fn count(&mut self, uncounted: Uncounted) {
        self.run.active.increase(uncounted.entries);
        self.run
            .pending
            .increase(uncounted.entries - uncounted.internal);
    }

    /// Makes an event active in the next pass.
    pub(crate) fn activate_event_later(&mut self, event: EventPtr, result: c_short) {
        if self.note_result(event, result) {
            self.activate_entry_later(event.entry());
        }
    }

    /// Makes an event of the library's own active in the next pass, before its wait if possible: it
    /// often leaves nothing to do but to wait.
    pub(crate) fn activate_event_before_wait(&mut self, event: EventPtr, result: c_short) {
        if self.note_result(event, result) {
            self.enqueue_before_wait(event.entry());
            self.wake_if_elsewhere();
        }
    }

    /// Adds to what will be reported to an event; whether it is still to be queued.
    fn note_result(&self, event: EventPtr, result: c_short) -> bool {
        let entry = event.entry();
        if entry.has(state::FINALIZING) {
            return false;
        }
        let queued = entry.has(state::QUEUED);
        let noted = if queued { event.result() } else { 0 };
        event.set_result(noted | result);
        !queued
    }

    /// Makes what may run before the wait active.
    pub(super) fn promote_work_before_wait(&mut self) {
        let queue = self.before_wait_queue();
        self.promote(queue);
    }

    /// Makes what was put off to this pass active, in order.
    pub(super) fn promote_later_entries(&mut self) {
        for queue in [self.later_queue(), self.before_wait_queue()] {
            self.promote(queue);
        }
    }

    fn promote(&mut self, queue: *mut TailQueue<ActiveLinks>) {
        // SAFETY: the queue is live, and so are the entries in it.
        while let Some(entry) = unsafe { CallbackPtr::new(TailQueue::first(queue)) } {
            // It stays one of those that are counted.
            let flags = entry.flags() & !(state::QUEUED | state::BEFORE_WAIT);
            entry.set_flags(flags | state::ACTIVE);
            // SAFETY: the entry is the first, and both queues are live.
            unsafe {
                TailQueue::remove_first(queue, entry.as_ptr());
                TailQueue::push_back(self.queue(entry.priority()), entry.as_ptr());
            }
            // What was put off counts for what it queues itself.
            self.run.deferred += c_int::from(entry.closure().is_deferred());
        }
    }
}

impl Guard {
    /// [`EventBase::activate_event`] for any thread.
    #[inline]
    pub(crate) fn activate(&mut self, event: EventPtr, result: c_short, calls: c_short) {
        self.wait_for_signal_callback(event);
        self.activate_event(event, result, calls);
    }

    /// If the entry's callback is running in another thread, waits until that invocation ended.
    #[inline]
    pub(crate) fn wait_for_callback(&mut self, entry: CallbackPtr) {
        if self.run.current == Some(entry) {
            self.wait_for_invocation(entry);
        }
    }

    #[cold]
    fn wait_for_invocation(&mut self, entry: CallbackPtr) {
        let invocation = self.run.invocation;
        let elsewhere = threads::current_thread() != self.owner && !self.callback_ended.is_none();
        while elsewhere && self.run.current == Some(entry) && self.run.invocation == invocation {
            self.waiters += 1;
            let (condition, lock) = (self.callback_ended, self.lock);
            // The lock is free meanwhile, as in `unlocked`; no reference is alive here.
            condition.wait(lock);
        }
    }
}
