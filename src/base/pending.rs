//! Making events pending: interest in descriptors and signals, deadlines, and taking them back.

use super::{EventBase, Guard};
use crate::backend::Refused;
use crate::debug_message;
use crate::event::{Closure, EventPtr, debug, kind, state};
use crate::timers::common::{self, CommonTimeoutPtr};
use crate::timers::{Microseconds, time};
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

/// Whether deleting an event waits for its callback to end in another thread.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Blocking {
    /// Never.
    No,
    /// Always.
    Yes,
    /// Unless the event was made to be finalized.
    UnlessFinalizable,
    /// Never, and the event is deleted although it is finalizing.
    EvenIfFinalizing,
}

impl Guard {
    /// [`EventBase::add_event`] for any thread.
    pub(crate) fn add(
        &mut self,
        event: EventPtr,
        timeout: Option<&timeval>,
    ) -> Result<(), Refused> {
        self.wait_for_signal_callback(event);
        self.add_event(event, timeout)
    }

    /// [`EventBase::add_event_until`] for any thread.
    pub(crate) fn add_until(&mut self, event: EventPtr, due: Due) -> Result<(), Refused> {
        self.wait_for_signal_callback(event);
        self.add_event_until(event, due)
    }

    /// A signal callback that is running elsewhere ends first, because it reads the count of calls.
    #[inline]
    pub(crate) fn wait_for_signal_callback(&mut self, event: EventPtr) {
        if event.wants(kind::SIGNAL) {
            self.wait_for_callback(event.entry());
        }
    }

    /// Takes an event out of everything; then waits for its running callback as `blocking` says.
    #[inline(always)]
    pub(crate) fn delete(&mut self, event: EventPtr, blocking: Blocking) -> Result<(), Refused> {
        if event.has(state::FINALIZING) && blocking != Blocking::EvenIfFinalizing {
            return Ok(());
        }
        let result = self.remove_event(event);
        let waits = match blocking {
            Blocking::Yes => true,
            Blocking::UnlessFinalizable => !event.wants(kind::FINALIZE),
            Blocking::No | Blocking::EvenIfFinalizing => false,
        };
        if waits {
            self.wait_for_callback(event.entry());
        }
        result
    }
}

impl EventBase {
    /// Registers what the event waits for and sets its deadline so long from now; a persistent event
    /// repeats it. On an error nothing has changed.
    #[inline(always)]
    pub(crate) fn add_event(
        &mut self,
        event: EventPtr,
        timeout: Option<&timeval>,
    ) -> Result<(), Refused> {
        let due =
            timeout.map(|timeout| move |base: &mut EventBase| base.due_after(event, *timeout));
        self.make_pending(event, due)
    }

    /// The same with a deadline, which is not repeated.
    pub(crate) fn add_event_until(&mut self, event: EventPtr, due: Due) -> Result<(), Refused> {
        self.make_pending(event, Some(|_: &mut EventBase| due))
    }

    /// Sets only the deadline, so long from now, and does not repeat it.
    pub(crate) fn add_deadline(
        &mut self,
        event: EventPtr,
        timeout: timeval,
    ) -> Result<(), Refused> {
        if event.has(state::FINALIZING) {
            return Err(Refused);
        }
        self.timers.heap.try_reserve()?;
        let due = self.due_after(event, timeout);
        event.set_interval(time::to_timeval(0));
        if self.set_deadline(event, due) {
            self.wake_if_elsewhere();
        }
        Ok(())
    }

    #[inline(always)]
    fn make_pending(
        &mut self,
        event: EventPtr,
        due: Option<impl FnOnce(&mut EventBase) -> Due>,
    ) -> Result<(), Refused> {
        let timed = due.is_some();
        debug_message!(
            "event_add: event: {:p} (fd {}), events 0x{:x}{}",
            event.as_ptr(),
            event.fd(),
            event.events(),
            if timed { " with a timeout" } else { "" }
        );
        let flags = event.entry().flags();
        if flags & state::FINALIZING != 0 {
            return Err(Refused);
        }
        if timed {
            // The only step of setting the deadline that may fail, so it comes first.
            self.timers.heap.try_reserve()?;
        }
        let mut wake = false;
        if flags & state::INSERTED == 0 && event.wants(kind::IO | kind::SIGNAL) {
            wake = self.insert(event)?;
        }
        if let Some(due) = due {
            let due = due(self);
            wake |= self.set_deadline(event, due);
        }
        debug::note_added(event);
        if wake {
            self.wake_if_elsewhere();
        }
        Ok(())
    }

    /// When an event is due that is added now with this duration.
    #[inline(always)]
    fn due_after(&mut self, event: EventPtr, duration: timeval) -> Due {
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

    /// Registers interest; whether the waiting loop must learn of it.
    fn insert(&mut self, event: EventPtr) -> Result<bool, Refused> {
        let wake = if event.wants(kind::SIGNAL) {
            self.add_signal(event)?;
            true
        } else {
            self.interest.add(&mut self.backend, event)? && !self.backend.heeds_changes_at_once()
        };
        self.count_state(event, state::INSERTED);
        Ok(wake)
    }

    /// Withdraws interest; whether the waiting loop must learn of it. Always succeeds in that the
    /// event is out.
    pub(crate) fn withdraw(&mut self, event: EventPtr) -> Result<bool, Refused> {
        self.uncount_state(event, state::INSERTED);
        if event.wants(kind::SIGNAL) {
            self.remove_signal(event).map(|()| true)
        } else {
            let changed = self.interest.remove(&mut self.backend, event)?;
            Ok(changed && !self.backend.heeds_changes_at_once())
        }
    }

    #[inline]
    fn count_state(&mut self, event: EventPtr, state: i16) {
        let flags = event.entry().flags();
        event.entry().set_flags(flags | state);
        if flags & state::INTERNAL == 0 {
            self.run.pending.up();
        }
    }

    #[inline]
    pub(super) fn uncount_state(&mut self, event: EventPtr, state: i16) {
        let flags = event.entry().flags();
        event.entry().set_flags(flags & !state);
        if flags & state::INTERNAL == 0 {
            self.run.pending.down();
        }
    }

    /// Sets or changes the deadline, for which the heap has room; whether the waiting loop must
    /// learn of it.
    #[inline(always)]
    fn set_deadline(&mut self, event: EventPtr, due: Due) -> bool {
        if event.has(state::ACTIVE) && event.result() & kind::TIMEOUT != 0 {
            self.cancel_run(event);
        }
        match due.list {
            Some(list) => self.wait_in_list(event, list, due.at),
            None => self.wait_in_heap(event, due.at),
        }
    }

    /// A new deadline replaces the expiry that is about to be told.
    #[cold]
    fn cancel_run(&mut self, event: EventPtr) {
        self.dequeue(event.entry());
        if !event.has(state::INSERTED) || !event.wants(kind::IO) {
            return;
        }
        // What the run would have told is news again.
        let fd = event.registration().fd();
        let edge = event.wants(kind::EDGE_TRIGGERED) && event.result() & kind::IO != 0;
        self.backend.tell_again(fd, edge, &mut self.interest);
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

    /// Forgets the deadline, which there is; whether it was the first in the heap.
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

    /// Takes an event out of all lists and queues. It is out even when the kernel refuses.
    #[inline(always)]
    pub(crate) fn remove_event(&mut self, event: EventPtr) -> Result<(), Refused> {
        if self.run.current == Some(event.entry()) {
            // A signal callback is not repeated any more.
            self.run.calls_left = 0;
        }
        debug_message!("event_del: {:p} (fd {})", event.as_ptr(), event.fd());
        debug::note_deleted(event);
        let flags = event.entry().flags();
        if flags & (state::INSERTED | state::QUEUED) != 0 {
            return self.withdraw_all(event);
        }
        if flags & state::TIMEOUT != 0 && (self.drop_deadline(event) || self.is_empty()) {
            self.wake_if_elsewhere();
        }
        Ok(())
    }

    /// [`EventBase::remove_event`] for an event that is inserted or queued.
    #[inline(never)]
    fn withdraw_all(&mut self, event: EventPtr) -> Result<(), Refused> {
        let flags = event.entry().flags();
        let first = flags & state::TIMEOUT != 0 && self.drop_deadline(event);
        if flags & state::QUEUED != 0 {
            self.dequeue(event.entry());
        }
        let withdrawn = if flags & state::INSERTED != 0 {
            self.withdraw(event)
        } else {
            Ok(false)
        };
        if first || withdrawn == Ok(true) || self.is_empty() {
            self.wake_if_elsewhere();
        }
        withdrawn.map(|_| ())
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
