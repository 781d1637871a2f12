//! Calling the program, at once or from the loop.

use super::abi::{
    BEV_EVENT_CONNECTED, BuffereventDataFn, BuffereventEventFn, BuffereventTriggerOptions,
};
use super::lifetime::{DEFER_CALLBACKS, UNLOCK_CALLBACKS};
use super::{BuffereventPtr, Direction, Guard, flag};
use crate::base::deferred;
use crate::event::EventCallback;
use crate::hooks::threads::Lock;
use crate::system::{errno, set_errno};
use std::ffi::{c_int, c_short, c_void};

const IGNORE_WATERMARKS: c_int = BuffereventTriggerOptions::BEV_TRIG_IGNORE_WATERMARKS as c_int;

/// Whether the lock is held while a function of the program runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum During {
    Locked,
    /// It is given up meanwhile: this one, as a bufferevent without a lock may have got one since.
    Unlocked(Lock),
}

fn pending_flag(direction: Direction) -> u16 {
    match direction {
        Direction::Read => flag::READ_CALLBACK_PENDING,
        Direction::Write => flag::WRITE_CALLBACK_PENDING,
    }
}

impl BuffereventPtr {
    /// Sets the program's functions and their argument.
    pub fn set_callbacks(
        self,
        read: Option<BuffereventDataFn>,
        write: Option<BuffereventDataFn>,
        event: Option<BuffereventEventFn>,
        argument: *mut c_void,
    ) {
        self.read_callback.set(read);
        self.write_callback.set(write);
        self.event_callback.set(event);
        self.argument.set(argument);
    }

    fn data_callback(self, direction: Direction) -> Option<BuffereventDataFn> {
        match direction {
            Direction::Read => self.read_callback.get(),
            Direction::Write => self.write_callback.get(),
        }
    }

    fn defers(self, options: c_int) -> bool {
        (self.options() | options) & DEFER_CALLBACKS != 0
    }

    /// Calls the read or write callback, or makes the loop call it. The caller has a guard.
    pub fn run_data_callback(self, direction: Direction, options: c_int) {
        if self.data_callback(direction).is_none() {
            return;
        }
        if self.defers(options) {
            self.set_flags(pending_flag(direction));
            self.schedule();
        } else {
            self.call_data(direction, During::Locked);
        }
    }

    /// [`BuffereventPtr::run_data_callback`] if the fill level calls for it, or the options do.
    pub fn trigger(self, direction: Direction, options: c_int) {
        if options & IGNORE_WATERMARKS != 0 || self.is_level_reached(direction) {
            self.run_data_callback(direction, options & DEFER_CALLBACKS);
        }
    }

    /// Calls the event callback, or makes the loop call it with the same errno. The caller has a
    /// guard.
    pub fn run_event_callback(self, what: c_short, options: c_int) {
        if self.event_callback.get().is_none() {
            return;
        }
        if self.defers(options) {
            self.pending_events.set(self.pending_events.get() | what);
            self.pending_errno.set(errno());
            self.schedule();
        } else {
            self.call_event(what, During::Locked);
        }
    }

    fn schedule(self) {
        // SAFETY: the base outlives its bufferevents; the reference keeps the entry alive.
        if unsafe { deferred::schedule(self.base.get(), self.deferred.get()) } {
            self.add_reference();
        }
    }

    fn call_data(self, direction: Direction, during: During) {
        let argument = self.argument.get();
        let Some(callback) = self.data_callback(direction) else {
            return;
        };
        let before = self.length(Direction::Read);
        self.call(during, || {
            // SAFETY: the program set this function to be called like this; a guard of the caller
            // keeps the bufferevent alive.
            unsafe { callback(self.as_ptr(), argument) }
        });
        if direction == Direction::Read {
            self.repeat_if_still_full(before);
        }
    }

    /// A read callback that took something, but leaves the input at its high mark, where nothing
    /// new comes in, is called again.
    fn repeat_if_still_full(self, before: usize) {
        let (length, high) = (
            self.length(Direction::Read),
            self.marks(Direction::Read).high,
        );
        if high != 0 && length >= high && length < before && self.is_enabled(Direction::Read) {
            self.run_data_callback(Direction::Read, DEFER_CALLBACKS);
        }
    }

    fn call_event(self, what: c_short, during: During) {
        let argument = self.argument.get();
        let Some(callback) = self.event_callback.get() else {
            return;
        };
        self.call(during, || {
            // SAFETY: as in `call_data`.
            unsafe { callback(self.as_ptr(), what, argument) }
        });
    }

    /// Runs a function of the program. The lock is taken again also when it unwinds.
    fn call(self, during: During, function: impl FnOnce()) {
        match during {
            During::Unlocked(lock) => lock.released(function),
            During::Locked => function(),
        }
    }

    /// Runs the pending callbacks in a fixed order. Those without a function stay pending. The caller
    /// holds the lock `held`.
    fn run_pending(self, held: Lock) {
        let during = if self.options() & UNLOCK_CALLBACKS != 0 {
            During::Unlocked(held)
        } else {
            During::Locked
        };
        let connected = self.pending_events.get() & BEV_EVENT_CONNECTED;
        if connected != 0 && self.event_callback.get().is_some() {
            self.pending_events
                .set(self.pending_events.get() & !BEV_EVENT_CONNECTED);
            self.call_event(BEV_EVENT_CONNECTED, during);
        }
        for direction in Direction::ALL {
            if self.has(pending_flag(direction)) && self.data_callback(direction).is_some() {
                self.clear_flags(pending_flag(direction));
                self.call_data(direction, during);
            }
        }
        let what = self.pending_events.get();
        if what != 0 && self.event_callback.get().is_some() {
            self.pending_events.set(0);
            set_errno(self.pending_errno.get());
            self.call_event(what, during);
        }
    }
}

/// What the loop calls for the queue entry of a bufferevent; none when the callbacks never run.
pub(super) unsafe extern "C-unwind" fn run_deferred(
    entry: *mut EventCallback,
    argument: *mut c_void,
) {
    // SAFETY: the queued entry held a reference, which becomes the guard's.
    let guard = unsafe { Guard::acquire(argument.cast()) };
    if !entry.is_null() {
        guard.run_pending(guard.1);
    }
}
