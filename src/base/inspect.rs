//! Looking at a base: counts, enumeration, dump, self-check; and activation by descriptor.

use super::{Count, EventBase, Guard};
use crate::event::{ActiveLinks, CallbackPtr, CommonTimeoutLinks, Event, EventPtr, kind, state};
use crate::list::TailQueue;
use crate::require;
use crate::timers::{common, time};
use std::ffi::{c_int, c_short, c_uint, c_void};
use std::fmt::{self, Write};

/// What is counted.
#[allow(missing_docs)]
pub mod counted {
    use std::ffi::c_uint;
    pub const ACTIVE: c_uint = 1;
    pub const VIRTUAL: c_uint = 2;
    pub const ADDED: c_uint = 4;
}

/// Gets every event of a base; other results than 0 end the enumeration.
pub type EventForeachFn =
    unsafe extern "C-unwind" fn(*const EventBase, *const Event, *mut c_void) -> c_int;

impl EventBase {
    fn counts(&mut self, kinds: c_uint) -> impl Iterator<Item = &mut Count> {
        let run = &mut self.run;
        [
            (counted::ACTIVE, &mut run.active),
            (counted::VIRTUAL, &mut run.virtual_events),
            (counted::ADDED, &mut run.pending),
        ]
        .into_iter()
        .filter(move |(kind, _)| kinds & kind != 0)
        .map(|(_, count)| count)
    }

    /// How many there are, summed over the kinds.
    pub(crate) fn number_of_events(&mut self, kinds: c_uint) -> c_int {
        self.counts(kinds).map(|count| count.now).sum()
    }

    /// The most there have been, summed over the kinds.
    pub(crate) fn most_events(&mut self, kinds: c_uint, clear: bool) -> c_int {
        let mut sum = 0;
        for count in self.counts(kinds) {
            sum += count.most;
            if clear {
                count.most = 0;
            }
        }
        sum
    }

    /// Ends the process when a structure of the base contradicts itself.
    pub(crate) fn require_consistency(&mut self) {
        require!(
            self.timers.heap.is_consistent(),
            "the timer heap is out of order"
        );
        for (_, slot) in self.interest.slots() {
            require!(slot.is_consistent(), "the counts of a descriptor are wrong");
        }
        let mut queued = 0;
        for index in 0..self.queues() {
            let expected = if index < self.run.priorities {
                state::ACTIVE
            } else {
                state::ACTIVE_LATER
            };
            for_each_queued(self, index, |entry| {
                queued += 1;
                require!(
                    entry.has(expected),
                    "a queued callback is not marked as queued"
                );
                0
            });
        }
        require!(
            queued == self.run.active.now,
            "the count of active callbacks is wrong"
        );
    }
}

/// Calls `visit` for the entries of a queue until it returns something other than 0.
fn for_each_queued(
    base: &EventBase,
    index: c_int,
    mut visit: impl FnMut(CallbackPtr) -> c_int,
) -> c_int {
    // SAFETY: the base has this queue; queued entries are live.
    let mut next =
        unsafe { CallbackPtr::new(TailQueue::first(base.run.queues.add(index as usize))) };
    while let Some(entry) = next {
        // SAFETY: as above.
        next = unsafe { CallbackPtr::new(TailQueue::<ActiveLinks>::next(entry.as_ptr())) };
        let result = visit(entry);
        if result != 0 {
            return result;
        }
    }
    0
}

impl Guard {
    /// Makes the events on a descriptor active as if it were ready; or, when asked for timeouts,
    /// every event with that descriptor that has a deadline.
    pub(crate) fn activate_by_fd(&mut self, fd: c_int, events: c_short) {
        if events & kind::TIMEOUT != 0 {
            self.for_each_deadline(|guard, event| {
                if event.fd() == fd {
                    guard.activate_event(event, kind::TIMEOUT, 1);
                }
            });
            return;
        }
        let events_on_fd = self.interest.get(fd).map(|slot| slot.iter());
        for event in events_on_fd.into_iter().flatten() {
            let ready = event.events() & events & kind::IO;
            if ready != 0 {
                self.activate_event(event, ready, 1);
            }
        }
    }

    /// Calls `visit`, which changes no deadline, for every event that has one.
    fn for_each_deadline(&mut self, mut visit: impl FnMut(&mut Guard, EventPtr)) {
        for index in 0.. {
            let Some(event) = self.timers.heap.get(index) else {
                break;
            };
            visit(self, event);
        }
        for index in 0.. {
            let Some(list) = self.timers.common.iter().nth(index) else {
                break;
            };
            // SAFETY: lists and the events in them are live.
            let mut next = unsafe { common::first(list) };
            while let Some(event) = next {
                // SAFETY: as above.
                next =
                    unsafe { EventPtr::new(TailQueue::<CommonTimeoutLinks>::next(event.as_ptr())) };
                visit(self, event);
            }
        }
    }

    /// Calls `visit` once for every event that is pending or queued, until it returns something
    /// other than 0, which is the result. The lock stays held; `visit` changes nothing.
    pub(crate) fn for_each_event(&mut self, mut visit: impl FnMut(EventPtr) -> c_int) -> c_int {
        let mut result = self.for_each_registered(&mut visit);
        self.for_each_deadline(|_, event| {
            if result == 0 && !event.has(state::INSERTED) {
                result = visit(event);
            }
        });
        for index in 0..self.queues() {
            if result != 0 {
                break;
            }
            result = for_each_queued(self, index, |entry| match entry.event() {
                Some(event) if !event.has(state::INSERTED | state::TIMEOUT) => visit(event),
                _ => 0,
            });
        }
        result
    }

    /// [`Guard::for_each_event`] for events on a descriptor or signal.
    pub(crate) fn for_each_registered(
        &mut self,
        mut visit: impl FnMut(EventPtr) -> c_int,
    ) -> c_int {
        let mut from = 0;
        while let Some(fd) = self.interest.next_watched(from) {
            let events = self.interest.slot(fd).iter();
            if let Some(result) = events.map(&mut visit).find(|result| *result != 0) {
                return result;
            }
            from = fd + 1;
        }
        for number in 0..crate::signals::LIMIT as c_int {
            let events = self.signals.events(number);
            if let Some(result) = events.map(&mut visit).find(|result| *result != 0) {
                return result;
            }
        }
        0
    }

    /// Writes a line for every pending and every active event.
    pub(crate) fn dump(&mut self, out: &mut dyn Write) -> fmt::Result {
        out.write_str("Inserted events:\n")?;
        let base = self.as_ptr();
        let mut written = Ok(());
        self.for_each_event(|event| {
            if event.has(state::INSERTED | state::TIMEOUT) {
                // SAFETY: the base is live and its lock is held; nothing else refers to the times.
                let due = unsafe { (*base).wall_clock_deadline(event) };
                written = written.and(dump_pending(out, event, due));
            }
            0
        });
        written?;
        out.write_str("Active events:\n")?;
        self.for_each_event(|event| {
            if event.has(state::QUEUED) {
                written = written.and(dump_active(out, event));
            }
            0
        });
        written
    }
}

impl EventBase {
    /// An event's deadline as the time of day.
    #[inline]
    pub(crate) fn wall_clock_deadline(&mut self, event: EventPtr) -> libc::timeval {
        let deadline = event.deadline();
        // A time that is marked as that of a list is no ordinary one.
        match self.time.known_wall_clock_of(deadline) {
            Some(time) => time,
            None => self.wall_clock_of(deadline),
        }
    }

    #[inline(never)]
    fn wall_clock_of(&mut self, deadline: libc::timeval) -> libc::timeval {
        let plain = match self.timers.common.of(deadline) {
            Some(_) => common::unmarked(deadline),
            None => deadline,
        };
        time::to_timeval(self.time.wall_clock_of(time::from_timeval(plain)))
    }
}

fn dump_source(out: &mut dyn Write, event: EventPtr) -> fmt::Result {
    let source = if event.wants(kind::SIGNAL) {
        "sig"
    } else {
        "fd "
    };
    write!(out, "  {:p} [{source} {}", event.as_ptr(), event.fd())
}

fn dump_kinds(out: &mut dyn Write, bits: c_short) -> fmt::Result {
    let kinds = [
        (kind::READ, " Read"),
        (kind::WRITE, " Write"),
        (kind::CLOSED, " EOF"),
        (kind::SIGNAL, " Signal"),
    ];
    kinds
        .iter()
        .filter(|(kind, _)| bits & kind != 0)
        .try_for_each(|(_, name)| out.write_str(name))
}

fn dump_pending(out: &mut dyn Write, event: EventPtr, due: libc::timeval) -> fmt::Result {
    dump_source(out, event)?;
    out.write_str("]")?;
    dump_kinds(out, event.events())?;
    if event.wants(kind::PERSIST) {
        out.write_str(" Persist")?;
    }
    if event.wants(kind::EDGE_TRIGGERED) {
        out.write_str(" ET")?;
    }
    if event.has(state::INTERNAL) {
        out.write_str(" Internal")?;
    }
    if event.has(state::TIMEOUT) {
        write!(out, " Timeout={}.{:06}", due.tv_sec, due.tv_usec)?;
    }
    out.write_str("\n")
}

fn dump_active(out: &mut dyn Write, event: EventPtr) -> fmt::Result {
    dump_source(out, event)?;
    write!(out, ", priority={}]", event.entry().priority())?;
    dump_kinds(out, event.result())?;
    if event.result() & kind::TIMEOUT != 0 {
        out.write_str(" Timeout")?;
    }
    out.write_str(" active")?;
    if event.has(state::INTERNAL) {
        out.write_str(" [Internal]")?;
    }
    if event.has(state::ACTIVE_LATER) {
        out.write_str(" [NextTime]")?;
    }
    out.write_str("\n")
}
