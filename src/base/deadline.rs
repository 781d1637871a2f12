//! When events are due: setting, changing and forgetting deadlines.

use super::EventBase;
use crate::event::{Closure, EventPtr, kind, state};
use crate::timers::common::{self, CommonTimeoutPtr};
use crate::timers::{Microseconds, time};
use crate::util::SystemError;
use libc::timeval;

/// When an event is due.
#[derive(Clone, Copy)]
pub struct Due {
    /// The time of the base's clock.
    pub at: Microseconds,
    /// The common-timeout list to wait in, rather than in the heap.
    pub list: Option<CommonTimeoutPtr>,
}

impl Due {
    /// In the heap, at a time of the base's clock.
    pub fn at(at: Microseconds) -> Due {
        Due { at, list: None }
    }
}

impl EventBase {
    /// Sets only the deadline, that long from now, and does not repeat it.
    pub(crate) fn add_deadline(
        &mut self,
        event: EventPtr,
        timeout: timeval,
    ) -> Result<(), SystemError> {
        if event.has(state::FINALIZING) {
            return Err(SystemError);
        }
        self.timers.heap.try_reserve()?;
        let due = self.due_after(event, timeout);
        event.set_interval(time::to_timeval(0));
        if self.set_deadline(event, due) {
            self.wake_if_elsewhere();
        }
        Ok(())
    }

    /// When an event is due that is added now with this duration.
    #[inline(always)]
    pub(super) fn due_after(&mut self, event: EventPtr, duration: timeval) -> Due {
        if event.entry().closure() == Closure::EventPersist {
            event.set_interval(duration);
        }
        let list = self.timers.common.of(duration);
        let length = match list {
            Some(_) => common::unmarked(duration),
            None => duration,
        };
        let at = time::later(self.time.now(), time::from_timeval(length));
        Due { at, list }
    }

    /// Sets or changes the deadline, for which room was reserved; whether the waiting loop must
    /// learn of it.
    #[inline(always)]
    pub(super) fn set_deadline(&mut self, event: EventPtr, due: Due) -> bool {
        if event.has(state::ACTIVE) && event.result() & kind::TIMEOUT != 0 {
            self.cancel_run(event);
        }
        match due.list {
            Some(list) => self.wait_in_list(event, list, due.at),
            None => self.wait_in_heap(event, due.at),
        }
    }

    /// A new deadline replaces the expiry that is about to be reported.
    #[cold]
    fn cancel_run(&mut self, event: EventPtr) {
        self.dequeue(event.entry());
        if !event.has(state::INSERTED) || !event.wants(kind::IO) {
            return;
        }
        // What that run would have reported is news again.
        let fd = event.registration().fd();
        let edge = event.wants(kind::EDGE_TRIGGERED) && event.result() & kind::IO != 0;
        self.backend.report_again(fd, edge, &mut self.interest);
    }

    #[inline(always)]
    fn wait_in_heap(&mut self, event: EventPtr, due: Microseconds) -> bool {
        let waits = event.has(state::TIMEOUT);
        let first = if waits && self.timers.common.of(event.deadline()).is_none() {
            self.timers.heap.change(event, due)
        } else {
            if waits {
                self.drop_deadline(event);
            }
            self.count_state(event, state::TIMEOUT);
            self.timers.heap.insert(event, due)
        };
        event.set_deadline(time::to_timeval(due));
        first || self.may_run_elsewhere() && self.is_overdue_elsewhere()
    }

    #[inline(never)]
    fn wait_in_list(&mut self, event: EventPtr, list: CommonTimeoutPtr, due: Microseconds) -> bool {
        if event.has(state::TIMEOUT) {
            self.drop_deadline(event);
        }
        event.set_deadline(common::mark_deadline(list, due));
        // SAFETY: lists live as long as the base, and the event is in no list.
        let first = unsafe {
            common::insert(list, event);
            common::first(list) == Some(event)
        };
        self.count_state(event, state::TIMEOUT);
        first && self.schedule_list(list, due)
    }

    /// Whether a loop in another thread sleeps although a timer is due.
    #[inline(never)]
    fn is_overdue_elsewhere(&mut self) -> bool {
        if !self.loop_runs_elsewhere() {
            return false;
        }
        let now = self.time.now();
        self.timers.heap.first().is_some_and(|(due, _)| due < now)
    }

    /// Removes the deadline, which must exist; whether it was the first in the heap.
    #[inline(always)]
    pub(crate) fn drop_deadline(&mut self, event: EventPtr) -> bool {
        self.uncount_state(event, state::TIMEOUT);
        if let Some(list) = self.timers.common.of(event.deadline()) {
            // SAFETY: an event with such a deadline is in that list.
            unsafe { common::remove(list, event) };
            return false;
        }
        self.timers.heap.remove(event)
    }

    /// Drops the deadline and the repeat interval, keeping the interest.
    pub(crate) fn remove_timer(&mut self, event: EventPtr) {
        if !event.has(state::TIMEOUT) {
            return;
        }
        self.drop_deadline(event);
        if !event.wants(kind::SIGNAL) {
            event.set_interval(time::to_timeval(0));
        }
    }
}
