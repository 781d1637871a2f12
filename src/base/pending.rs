//! Making events pending: interest in descriptors and signals, deadlines, and taking them back.

use super::{EventBase, Guard};
use crate::backend::Refused;
use crate::debug_message;
use crate::event::{debug, kind, state, Closure, EventPtr};
use crate::timers::common::{self, CommonTimeoutPtr};
use crate::timers::{time, Microseconds};
use libc::timeval;

/// When a deadline is to be.
#[derive(Clone, Copy)]
pub enum Deadline {
    /// So long from now; a persistent event repeats it.
    After(timeval),
    /// At a time of the base's clock.
    At(Microseconds),
    /// At a time of the base's clock, in a common-timeout list.
    InList(CommonTimeoutPtr, Microseconds),
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
    #[inline]
    pub(crate) fn add(
        &mut self,
        event: EventPtr,
        deadline: Option<Deadline>,
    ) -> Result<(), Refused> {
        if event.wants(kind::SIGNAL) {
            self.wait_for_callback(event.entry());
        }
        self.add_event(event, deadline)
    }

    /// Takes an event out of everything; then waits for its running callback as `blocking` says.
    #[inline]
    pub(crate) fn delete(&mut self, event: EventPtr, blocking: Blocking) -> Result<(), Refused> {
        if event.has(state::FINALIZING) && blocking != Blocking::EvenIfFinalizing {
            return Ok(());
        }
        let waits = match blocking {
            Blocking::Yes => true,
            Blocking::UnlessFinalizable => !event.wants(kind::FINALIZE),
            Blocking::No | Blocking::EvenIfFinalizing => false,
        };
        let result = self.remove_event(event);
        if waits {
            self.wait_for_callback(event.entry());
        }
        result
    }
}

impl EventBase {
    /// Registers what the event waits for and sets its deadline. On an error nothing has changed.
    pub(crate) fn add_event(
        &mut self,
        event: EventPtr,
        deadline: Option<Deadline>,
    ) -> Result<(), Refused> {
        debug_message!(
            "event_add: event: {:p} (fd {}), events 0x{:x}{}",
            event.as_ptr(),
            event.fd(),
            event.events(),
            if deadline.is_some() {
                " with a timeout"
            } else {
                ""
            }
        );
        if event.has(state::FINALIZING) {
            return Err(Refused);
        }
        if deadline.is_some() {
            // The only step of setting the deadline that may fail, so it comes first.
            self.timers.heap.try_reserve()?;
        }
        let mut wake = false;
        if event.wants(kind::IO | kind::SIGNAL) && !event.has(state::INSERTED) {
            wake = self.insert(event)?;
        }
        if let Some(deadline) = deadline {
            wake |= self.set_deadline(event, deadline);
        }
        debug::note_added(event);
        if wake {
            self.wake_if_elsewhere();
        }
        Ok(())
    }

    /// Registers interest; whether the waiting loop must learn of it.
    fn insert(&mut self, event: EventPtr) -> Result<bool, Refused> {
        let changed = if event.wants(kind::SIGNAL) {
            self.add_signal(event)?;
            true
        } else {
            self.interest.add(&mut self.backend, event)?
        };
        self.count_state(event, state::INSERTED);
        Ok(changed)
    }

    /// Withdraws interest; whether the waiting loop must learn of it. Always succeeds in that the
    /// event is out.
    pub(crate) fn withdraw(&mut self, event: EventPtr) -> Result<bool, Refused> {
        self.uncount_state(event, state::INSERTED);
        if event.wants(kind::SIGNAL) {
            self.remove_signal(event).map(|()| true)
        } else {
            self.interest.remove(&mut self.backend, event)
        }
    }

    fn count_state(&mut self, event: EventPtr, state: i16) {
        event.entry().insert(state);
        if !event.has(state::INTERNAL) {
            self.run.pending.up();
        }
    }

    fn uncount_state(&mut self, event: EventPtr, state: i16) {
        event.entry().remove(state);
        if !event.has(state::INTERNAL) {
            self.run.pending.down();
        }
    }

    /// Sets or changes the deadline, for which the heap has room; whether the waiting loop must
    /// learn of it.
    fn set_deadline(&mut self, event: EventPtr, deadline: Deadline) -> bool {
        let list = match deadline {
            Deadline::After(duration) => {
                if event.entry().closure() == Closure::EventPersist {
                    event.set_interval(duration);
                }
                self.timers.common.of(duration)
            }
            Deadline::InList(list, _) => Some(list),
            Deadline::At(_) => None,
        };
        let due = match deadline {
            Deadline::After(duration) => {
                let duration = if list.is_some() {
                    common::unmarked(duration)
                } else {
                    duration
                };
                self.time.now().saturating_add(time::from_timeval(duration))
            }
            Deadline::At(due) | Deadline::InList(_, due) => due,
        };
        if event.has(state::ACTIVE) && event.result() & kind::TIMEOUT != 0 {
            self.cancel_run(event);
        }
        match list {
            Some(list) => self.wait_in_list(event, list, due),
            None => self.wait_in_heap(event, due),
        }
    }

    /// A new deadline replaces the expiry that is about to be told.
    fn cancel_run(&mut self, event: EventPtr) {
        self.dequeue(event.entry());
        if !event.has(state::INSERTED) || !event.wants(kind::IO) {
            return;
        }
        // What the run would have told is news again. A refusal was logged.
        let fd = event.registration().fd();
        let Some(slot) = self.interest.get(fd) else {
            return;
        };
        let told = slot.told;
        if event.wants(kind::EDGE_TRIGGERED) && event.result() & kind::IO != 0 {
            // The kernel tells an edge again when it is registered again.
            slot.told = told.silent();
        }
        if self.backend.update(fd, &mut self.interest).is_err() {
            self.interest.slot(fd).told = told;
        }
    }

    fn wait_in_heap(&mut self, event: EventPtr, due: Microseconds) -> bool {
        let in_heap =
            event.has(state::TIMEOUT) && self.timers.common.of(event.deadline()).is_none();
        if in_heap {
            self.timers.heap.change(event, due);
        } else {
            self.drop_deadline(event);
            // The caller made room.
            let _ = self.timers.heap.insert(event, due);
            self.count_state(event, state::TIMEOUT);
        }
        event.set_deadline(time::to_timeval(due));
        self.first_timer_is(event)
    }

    fn wait_in_list(&mut self, event: EventPtr, list: CommonTimeoutPtr, due: Microseconds) -> bool {
        self.drop_deadline(event);
        event.set_deadline(common::mark_deadline(list, due));
        // SAFETY: lists live as long as the base, and the event is in no list.
        let first = unsafe {
            common::insert(list, event);
            common::first(list) == Some(event)
        };
        self.count_state(event, state::TIMEOUT);
        first && self.schedule_list(list, due)
    }

    /// Whether the wait must end earlier because of this event, or is overdue.
    fn first_timer_is(&mut self, event: EventPtr) -> bool {
        match self.timers.heap.first() {
            Some((_, first)) if first == event => true,
            Some((due, _)) if self.loop_runs_elsewhere() => due < self.time.now(),
            _ => false,
        }
    }

    /// Forgets the deadline, if there is one.
    pub(crate) fn drop_deadline(&mut self, event: EventPtr) {
        if !event.has(state::TIMEOUT) {
            return;
        }
        match self.timers.common.of(event.deadline()) {
            // SAFETY: an event with such a deadline is in that list.
            Some(list) => unsafe { common::remove(list, event) },
            None => self.timers.heap.remove(event),
        }
        self.uncount_state(event, state::TIMEOUT);
    }

    /// Takes an event out of all lists and queues. It is out even when the kernel refuses.
    pub(crate) fn remove_event(&mut self, event: EventPtr) -> Result<(), Refused> {
        if self.run.current == Some(event.entry()) {
            // A signal callback is not repeated any more.
            self.run.calls_left = 0;
        }
        debug_message!("event_del: {:p} (fd {})", event.as_ptr(), event.fd());
        debug::note_deleted(event);
        let mut wake = false;
        if event.has(state::TIMEOUT) {
            wake = self
                .timers
                .heap
                .first()
                .is_some_and(|(_, first)| first == event);
            self.drop_deadline(event);
        }
        if event.has(state::QUEUED) {
            self.dequeue(event.entry());
        }
        let withdrawn = if event.has(state::INSERTED) {
            self.withdraw(event)
        } else {
            Ok(false)
        };
        if wake || withdrawn == Ok(true) || self.is_empty() {
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
