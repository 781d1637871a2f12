//! Making events pending and taking them back: interest in descriptors and signals, and counting.
//! When they are due is a matter of [`super::deadline`].

use super::deadline::Due;
use super::{EventBase, Guard};
use crate::debug_message;
use crate::event::{EventPtr, debug, kind, state};
use crate::util::SystemError;
use libc::timeval;

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
    ) -> Result<(), SystemError> {
        self.wait_for_signal_callback(event);
        self.add_event(event, timeout)
    }

    /// [`EventBase::add_event_until`] for any thread.
    pub(crate) fn add_until(&mut self, event: EventPtr, due: Due) -> Result<(), SystemError> {
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

    /// Removes an event from everything, then waits for its running callback as `blocking` says.
    #[inline(always)]
    pub(crate) fn delete(
        &mut self,
        event: EventPtr,
        blocking: Blocking,
    ) -> Result<(), SystemError> {
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
    /// Registers what the event waits for and sets its deadline that long from now; a persistent
    /// event repeats it. On an error nothing has changed.
    #[inline(always)]
    pub(crate) fn add_event(
        &mut self,
        event: EventPtr,
        timeout: Option<&timeval>,
    ) -> Result<(), SystemError> {
        let due =
            timeout.map(|timeout| move |base: &mut EventBase| base.due_after(event, *timeout));
        self.make_pending(event, due)
    }

    /// The same with a deadline, which is not repeated.
    pub(crate) fn add_event_until(&mut self, event: EventPtr, due: Due) -> Result<(), SystemError> {
        self.make_pending(event, Some(|_: &mut EventBase| due))
    }

    #[inline(always)]
    fn make_pending(
        &mut self,
        event: EventPtr,
        due: Option<impl FnOnce(&mut EventBase) -> Due>,
    ) -> Result<(), SystemError> {
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
            return Err(SystemError);
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

    /// Registers interest; whether a waiting loop must be woken for that.
    fn insert(&mut self, event: EventPtr) -> Result<bool, SystemError> {
        let wake = if event.wants(kind::SIGNAL) {
            self.add_signal(event)?;
            true
        } else {
            self.interest.add(&mut self.backend, event)?
                && !self.backend.applies_changes_while_waiting()
        };
        self.count_state(event, state::INSERTED);
        Ok(wake)
    }

    /// Withdraws interest; whether a waiting loop must be woken for that. In any case the
    /// event is removed.
    #[inline(always)]
    pub(crate) fn withdraw(&mut self, event: EventPtr) -> Result<bool, SystemError> {
        self.uncount_state(event, state::INSERTED);
        if event.wants(kind::SIGNAL) {
            self.remove_signal(event).map(|()| true)
        } else {
            let changed = self.interest.remove(&mut self.backend, event)?;
            Ok(changed && !self.backend.applies_changes_while_waiting())
        }
    }

    #[inline]
    pub(super) fn count_state(&mut self, event: EventPtr, state: i16) {
        let flags = event.entry().flags();
        event.entry().set_flags(flags | state);
        if flags & state::INTERNAL == 0 {
            self.run.pending.increment();
        }
    }

    #[inline]
    pub(super) fn uncount_state(&mut self, event: EventPtr, state: i16) {
        let flags = event.entry().flags();
        event.entry().set_flags(flags & !state);
        if flags & state::INTERNAL == 0 {
            self.run.pending.decrement();
        }
    }

    /// Removes an event from all lists and queues, even if the kernel reports an error.
    #[inline(always)]
    pub(crate) fn remove_event(&mut self, event: EventPtr) -> Result<(), SystemError> {
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
    fn withdraw_all(&mut self, event: EventPtr) -> Result<(), SystemError> {
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
}
