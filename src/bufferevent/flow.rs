//! Enabling, suspending and watermarks: when a direction runs.

use super::abi::BEV_EVENT_ERROR;
use super::lifetime::DEFER_CALLBACKS;
use super::operations::Failed;
use super::{Bufferevent, BuffereventPtr, Direction, Watermarks, flag, suspension};
use crate::buffer::abi::{EVBUFFER_CB_ENABLED, EvbufferCallbackInfo};
use crate::buffer::callbacks::{Function, NOT_DEFERRED};
use crate::buffer::{Evbuffer, Guard as BufferGuard};
use crate::event::kind;
use crate::hooks::memory::OutOfMemory;
use crate::warning;
use std::ffi::{c_short, c_void};

impl BuffereventPtr {
    /// The program wants these directions. They count as enabled also when starting them fails.
    pub fn enable(self, directions: c_short) -> Result<(), Failed> {
        self.enabled.set(self.enabled.get() | directions);
        let mut effective = directions;
        for direction in Direction::ALL {
            if self.suspended(direction) != 0 {
                effective &= !direction.kind();
            }
        }
        if effective == 0 {
            return Ok(());
        }
        self.start(effective)
    }

    /// [`BuffereventPtr::enable`] for a layer above: a refusal reaches it like a failed transfer.
    pub fn enable_or_give_up(self, direction: Direction) {
        if self.enable(direction.kind()).is_err() {
            self.give_up(direction);
        }
    }

    /// The program does not want these directions any more.
    pub fn disable(self, directions: c_short) -> Result<(), Failed> {
        self.enabled.set(self.enabled.get() & !directions);
        self.stop(directions)
    }

    /// [`BuffereventPtr::disable`] that also forgets that a connection is being made.
    pub fn disable_hard(self, directions: c_short) -> Result<(), Failed> {
        self.clear_flags(flag::CONNECTING);
        self.disable(directions)
    }

    /// Adds a reason for pausing a direction.
    pub fn suspend(self, direction: Direction, reason: u16) {
        if self.suspended(direction) == 0 {
            // A refusal was logged; what comes nevertheless is ignored while suspended.
            let _ = self.stop(direction.kind());
        }
        let reasons = self.suspensions(direction);
        reasons.set(reasons.get() | reason);
    }

    /// Removes a reason. Without any left, an enabled direction is started (again).
    pub fn resume(self, direction: Direction, reason: u16) {
        let reasons = self.suspensions(direction);
        reasons.set(reasons.get() & !reason);
        if self.is_running(direction) && self.start(direction.kind()).is_err() {
            self.give_up(direction);
        }
    }

    /// The system refuses to go on in a direction, and no call of the program can say so: it ends
    /// like one whose transfer failed, and the program is notified from the loop.
    pub(super) fn give_up(self, direction: Direction) {
        self.enabled.set(self.enabled.get() & !direction.kind());
        self.run_event_callback(BEV_EVENT_ERROR | direction.event_flag(), DEFER_CALLBACKS);
    }

    /// [`BuffereventPtr::resume`], unless the reason does not hold anyway.
    pub fn resume_if_suspended(self, direction: Direction, reason: u16) {
        if self.suspended(direction) & reason != 0 {
            self.resume(direction, reason);
        }
    }

    /// Sets the watermarks of some directions. Without memory for what watches the high mark of
    /// the input, those of the input stay.
    pub fn set_watermarks(self, directions: c_short, marks: Watermarks) {
        if directions & kind::WRITE != 0 {
            self.write_marks.set(marks);
        }
        if directions & kind::READ != 0 {
            if marks.high != 0 && self.watch_high_mark().is_err() {
                warning!("bufferevent_setwatermark: out of memory");
                return;
            }
            self.read_marks.set(marks);
            if self.is_input_full() {
                self.suspend(Direction::Read, suspension::WATERMARK);
            } else {
                self.resume(Direction::Read, suspension::WATERMARK);
            }
        }
    }

    fn watch_high_mark(self) -> Result<(), OutOfMemory> {
        if self.high_mark_entry.get().is_null() {
            // SAFETY: the buffer lives as long as the bufferevent.
            let input = unsafe { BufferGuard::new(self.input.get()) };
            let entry = input.add_callback(
                Function::Current(Some(input_changed)),
                self.as_ptr().cast(),
                EVBUFFER_CB_ENABLED | NOT_DEFERRED,
            )?;
            self.high_mark_entry.set(entry.as_ptr());
        }
        Ok(())
    }

    /// How much may come in before the high mark is reached; `None` is any number.
    pub fn input_room(self) -> Option<usize> {
        self.room_beside(self.length(Direction::Read))
    }

    fn room_beside(self, length: usize) -> Option<usize> {
        let high = self.marks(Direction::Read).high;
        // A mark that no buffer can reach is none.
        (high != 0 && high <= isize::MAX as usize).then(|| high.saturating_sub(length))
    }

    /// Whether the input is at its high mark.
    pub fn is_input_full(self) -> bool {
        self.input_room() == Some(0)
    }

    /// Whether it would be at its high mark with that much in it.
    pub(super) fn is_full_with(self, length: usize) -> bool {
        self.room_beside(length) == Some(0)
    }
}

/// A callback of the input, once there was a high mark.
unsafe extern "C-unwind" fn input_changed(
    _input: *mut Evbuffer,
    _info: *const EvbufferCallbackInfo,
    argument: *mut c_void,
) {
    // SAFETY: the argument is the bufferevent that the buffer belongs to, and the buffer's lock,
    // which is held, is its lock.
    let Some(bufferevent) = (unsafe { BuffereventPtr::new(argument.cast::<Bufferevent>()) }) else {
        return;
    };
    if bufferevent.is_input_full() {
        bufferevent.suspend(Direction::Read, suspension::WATERMARK);
    } else {
        bufferevent.resume_if_suspended(Direction::Read, suspension::WATERMARK);
    }
}
