//! The timers of both directions.

use super::abi::BEV_EVENT_TIMEOUT;
use super::operations::Failed;
use super::{BuffereventPtr, Direction, Guard};
use crate::base::Guard as BaseGuard;
use crate::base::pending::Blocking;
use crate::event::{EventPtr, assign, kind, state};
use crate::timers::time;
use libc::timeval;
use std::ffi::{c_int, c_short, c_void};

/// Adds an event with a timeout or, also if it had one before, without.
pub fn add(event: EventPtr, timeout: Option<timeval>) -> Result<(), Failed> {
    if timeout.is_none() && waits_without_timeout(event) {
        return Ok(());
    }
    // SAFETY: the base of an event outlives it.
    let mut base = unsafe { BaseGuard::lock(event.base()) };
    if timeout.is_none() {
        forget_timeout(&mut base, event);
    }
    base.add(event, timeout.as_ref()).map_err(|_| Failed)
}

/// Whether an event waits for its descriptor, and had no timeout when it was added.
fn waits_without_timeout(event: EventPtr) -> bool {
    let flags = event.entry().flags();
    let waits = flags & (state::INSERTED | state::TIMEOUT | state::FINALIZING) == state::INSERTED;
    let interval = event.interval();
    waits && interval.tv_sec == 0 && interval.tv_usec == 0
}

/// Makes an event active in the next pass of the loop, before its wait. Its timeout runs from now
/// on, and is not restarted by that; without memory for the timeout there is none.
pub fn activate_before_wait(event: EventPtr, result: c_short, timeout: Option<timeval>) {
    // SAFETY: as in `add`.
    let mut base = unsafe { BaseGuard::lock(event.base()) };
    let _ = start_timer(&mut base, event, timeout);
    base.activate_event_before_wait(event, result);
}

/// Starts the timeout of an event, or ends it, without having it wait for its descriptor.
fn start_timer(
    base: &mut BaseGuard,
    event: EventPtr,
    timeout: Option<timeval>,
) -> Result<(), Failed> {
    forget_timeout(base, event);
    timeout.map_or(Ok(()), |timeout| {
        base.add_deadline(event, timeout).map_err(|_| Failed)
    })
}

/// Has an event wait for its descriptor too, while the timeout that was started runs on.
pub fn await_descriptor(event: EventPtr, timeout: Option<timeval>) -> Result<(), Failed> {
    // SAFETY: as in `add`.
    let mut base = unsafe { BaseGuard::lock(event.base()) };
    event.set_interval(timeout.unwrap_or(time::to_timeval(0)));
    base.add(event, None).map_err(|_| Failed)
}

/// Ends the timeout of an event, which keeps waiting for its descriptor.
pub fn remove_timeout(event: EventPtr) {
    // SAFETY: as in `add`.
    forget_timeout(&mut unsafe { BaseGuard::lock(event.base()) }, event);
}

fn forget_timeout(base: &mut BaseGuard, event: EventPtr) {
    base.remove_timer(event);
    // One that is not running now would come back with the next activation.
    event.set_interval(time::to_timeval(0));
}

/// Takes an event out of everything, without waiting for its callback.
pub fn delete(event: EventPtr) -> Result<(), Failed> {
    // SAFETY: as in `add`.
    unsafe { BaseGuard::lock(event.base()) }
        .delete(event, Blocking::UnlessFinalizable)
        .map_err(|_| Failed)
}

impl BuffereventPtr {
    /// Sets the timeouts; zero is none.
    pub fn set_timeouts(self, read: timeval, write: timeval) -> Result<(), Failed> {
        self.read_timeout.set(read);
        self.write_timeout.set(write);
        self.adjust_timeouts()
    }

    /// Adds the event of a direction with the timeout of the direction.
    pub fn add_event(self, direction: Direction) -> Result<(), Failed> {
        add(self.event(direction), self.timeout(direction))
    }

    /// Deletes the event of a direction.
    pub fn delete_event(self, direction: Direction) -> Result<(), Failed> {
        delete(self.event(direction))
    }

    /// Gives events that wait for a descriptor the timeouts as they are now.
    pub fn adjust_waiting_events(self) -> Result<(), Failed> {
        let mut result = Ok(());
        for direction in Direction::ALL {
            let event = self.event(direction);
            if event.has(state::INSERTED) {
                result = result.and(self.add_event(direction));
            } else if event.has(state::QUEUED) {
                // SAFETY: as in `add`.
                let mut base = unsafe { BaseGuard::lock(event.base()) };
                result = result.and(start_timer(&mut base, event, self.timeout(direction)));
            }
        }
        result
    }

    /// For kinds without a descriptor: makes the events mere timers.
    pub fn make_events_timers(self) {
        let argument: *mut c_void = self.as_ptr().cast();
        for (direction, callback) in [
            (
                Direction::Read,
                read_timeout as crate::event::EventCallbackFn,
            ),
            (Direction::Write, write_timeout),
        ] {
            let event = self.event(direction).as_ptr();
            // SAFETY: the event is part of the bufferevent and not pending; the base outlives it.
            // These kinds of interest never conflict.
            let _ = unsafe {
                assign::assign(
                    event,
                    self.base.get(),
                    -1,
                    kind::FINALIZE,
                    Some(callback),
                    argument,
                )
            };
        }
    }

    /// Whether the timer of a direction should run: there is something to wait for. For output
    /// that is its being taken.
    fn awaits_progress(self, direction: Direction) -> bool {
        self.is_running(direction)
            && (direction == Direction::Read || self.length(Direction::Write) > 0)
    }

    /// For mere timers: (re)starts or stops the timer of a direction.
    pub fn restart_timer(self, direction: Direction) -> Result<(), Failed> {
        self.start_timer_if(self.awaits_progress(direction), direction)
    }

    /// [`BuffereventPtr::restart_timer`], but it starts also with no output to be taken: that of a
    /// filter does, when writing is enabled and after each write, on which programs rely.
    pub fn restart_timer_also_idle(self, direction: Direction) -> Result<(), Failed> {
        self.start_timer_if(self.is_running(direction), direction)
    }

    fn start_timer_if(self, starts: bool, direction: Direction) -> Result<(), Failed> {
        if starts && self.timeout(direction).is_some() {
            self.add_event(direction)
        } else {
            self.delete_event(direction)
        }
    }

    /// [`BuffereventPtr::restart_timer`], but a timer that runs rightly is left to run.
    pub fn update_timer(self, direction: Direction) -> Result<(), Failed> {
        let runs = self.event(direction).has(state::TIMEOUT);
        if runs && self.awaits_progress(direction) {
            return Ok(());
        }
        self.restart_timer(direction)
    }

    /// For mere timers: gives both the timeouts as they are now.
    pub fn restart_timers(self) -> Result<(), Failed> {
        let read = self.restart_timer(Direction::Read);
        read.and(self.restart_timer(Direction::Write))
    }

    /// A timeout has passed: disables the direction and notifies the program.
    pub fn time_out(self, direction: Direction) {
        // A refusal was logged; the direction counts as disabled.
        let _ = self.disable(direction.kind());
        self.run_event_callback(BEV_EVENT_TIMEOUT | direction.event_flag(), 0);
    }
}

unsafe extern "C-unwind" fn read_timeout(_: c_int, _: c_short, argument: *mut c_void) {
    // SAFETY: the event is part of the bufferevent that is its argument.
    if let Some(guard) = unsafe { Guard::if_alive(argument.cast()) } {
        guard.time_out(Direction::Read);
    }
}

unsafe extern "C-unwind" fn write_timeout(_: c_int, _: c_short, argument: *mut c_void) {
    // SAFETY: as in `read_timeout`.
    if let Some(guard) = unsafe { Guard::if_alive(argument.cast()) } {
        guard.time_out(Direction::Write);
    }
}
