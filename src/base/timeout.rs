//! Expiry of deadlines, repeating timers and common timeouts.

use super::deadline::Due;
use super::{EventBase, Guard};
use crate::event::{EventPtr, assign, kind, state};
use crate::hooks::memory::OutOfMemory;
use crate::timers::common::{self, CommonTimeoutPtr};
use crate::timers::{Microseconds, time};
use crate::warning;
use libc::timeval;
use std::ffi::{c_int, c_short, c_void};
use std::ptr::{NonNull, addr_of_mut};

/// Whether a persistent event has an interval after which it comes again.
#[inline]
fn repeats(event: EventPtr) -> bool {
    let interval = event.interval();
    interval.tv_sec != 0 || interval.tv_usec != 0
}

impl EventBase {
    /// Makes every event active whose deadline has passed.
    pub(crate) fn expire_timers(&mut self) {
        if self.timers.heap.is_empty() {
            return;
        }
        let now = self.time.now();
        self.timers.heap.part_due(now);
        while let Some(event) = self.timers.heap.pop_due() {
            self.uncount_state(event, state::TIMEOUT);
            self.activate_expired(event);
        }
    }

    /// An event loses its deadline but keeps its interest in a descriptor until its callback runs,
    /// so that readiness in the same pass is reported too. A signal is no longer watched, nor is
    /// the descriptor of a persistent event with a zero interval, which is not added again.
    fn expire(&mut self, event: EventPtr) {
        self.drop_deadline(event);
        self.activate_expired(event);
    }

    fn activate_expired(&mut self, event: EventPtr) {
        let is_last = event.wants(kind::SIGNAL) || (event.wants(kind::PERSIST) && !repeats(event));
        if is_last && event.has(state::INSERTED) {
            // A refusal to restore the old handler was logged; the event is out all the same.
            let _ = self.withdraw(event);
        }
        self.activate_event(event, kind::TIMEOUT, 1);
    }

    /// Before the callback of a persistent event: its next deadline.
    #[inline]
    pub(crate) fn rearm(&mut self, event: EventPtr) {
        if repeats(event) {
            self.repeat(event, event.interval());
        }
    }

    #[inline(never)]
    fn repeat(&mut self, event: EventPtr, interval: timeval) {
        let list = self.timers.common.of(interval);
        let length = time::from_timeval(match list {
            Some(_) => common::unmarked(interval),
            None => interval,
        });
        let now = self.time.now();
        let from_now = time::later(now, length);
        // One whose deadline is still to come was activated by the program: it starts anew.
        let expired = event.result() & kind::TIMEOUT != 0 && !event.has(state::TIMEOUT);
        let due = if expired {
            let last = event.deadline();
            let last = if self.timers.common.of(last).is_some() {
                common::unmarked(last)
            } else {
                last
            };
            let next = time::later(time::from_timeval(last), length);
            // Periods that were missed are skipped.
            if next < now { from_now } else { next }
        } else {
            from_now
        };
        // Only memory or the kernel can be in the way; the latter was logged.
        let _ = self.add_event_until(event, Due { at: due, list });
    }

    /// Sets the timer of a list to the deadline of its first event; whether the waiting loop must
    /// learn of it.
    pub(crate) fn schedule_list(&mut self, list: CommonTimeoutPtr, due: Microseconds) -> bool {
        // SAFETY: the timer is part of the list and lives as long as the base.
        let timer = unsafe { EventPtr::new(addr_of_mut!((*list.as_ptr()).timer)) };
        timer.is_some_and(|timer| {
            self.add_event_until(timer, Due::at(due)).is_ok() && self.timers.heap.is_first(timer)
        })
    }

    /// The marked duration for a common timeout.
    pub(crate) fn common_timeout(&mut self, duration: timeval) -> Option<NonNull<timeval>> {
        let marked = |list: CommonTimeoutPtr| {
            // SAFETY: lists live as long as the base.
            NonNull::new(unsafe { addr_of_mut!((*list.as_ptr()).marked) })
        };
        if let Some(list) = self.timers.common.of(duration) {
            return marked(list);
        }
        // A mark that names no list is an ordinary, odd number of microseconds.
        let duration = time::from_timeval(duration);
        if let Some(list) = self.timers.common.find(duration) {
            return marked(list);
        }
        if self.timers.common.is_full() {
            warning!(
                "event_base_init_common_timeout: Too many common timeouts already in use; \
                 we only support {} per event_base",
                common::LIMIT
            );
            return None;
        }
        match self.timers.common.create(duration) {
            Ok(list) => {
                self.make_list_timer(list);
                marked(list)
            }
            Err(OutOfMemory) => {
                warning!("event_base_init_common_timeout: out of memory");
                None
            }
        }
    }

    fn make_list_timer(&mut self, list: CommonTimeoutPtr) {
        // SAFETY: the timer is part of the new list and stays where it is.
        unsafe {
            let timer = addr_of_mut!((*list.as_ptr()).timer);
            assign::internal(timer, self, -1, 0, list_timer_fired, list.as_ptr().cast());
        }
    }
}

/// Runs as the callback of a list's timer: makes the events active that are due.
unsafe extern "C-unwind" fn list_timer_fired(_: c_int, _: c_short, list: *mut c_void) {
    // SAFETY: the timer was made with its list as argument, and the base lives while it runs.
    unsafe {
        let list: CommonTimeoutPtr = NonNull::new_unchecked(list.cast());
        let mut guard = Guard::lock((*list.as_ptr()).timer.ev_base);
        let now = guard.time.now();
        while let Some(event) = common::first(list) {
            let due = time::from_timeval(common::unmarked(event.deadline()));
            if due > now {
                guard.schedule_list(list, due);
                break;
            }
            guard.expire(event);
        }
    }
}
