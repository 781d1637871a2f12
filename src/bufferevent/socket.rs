//! Socket bufferevents: streams on a descriptor.
//!
//! # Writing at once
//!
//! Output on a descriptor that is known to be connected and not to block is not announced to the
//! kernel first: the write event is made active for the next pass of the loop, as if the kernel
//! had reported the descriptor writable then. Only when a write is refused or falls short is the
//! event registered. So an armed write event is either registered or queued, and the program sees
//! it pending in both cases. The timeout runs from the moment when it is armed.
//!
//! # Reading at once
//!
//! Whoever knows that input is likely to be there already may say so: then the first read, and one
//! after it, are tried in the same way before the read event is registered. A connection that
//! brings a request, takes the reply and ends is never registered at all.

use super::abi::{BEV_EVENT_EOF, BEV_EVENT_ERROR};
use super::connect::Progress;
use super::operations::{Failed, Operations, Request, RequestData};
use super::timeouts::{self, activate_before_wait, await_descriptor, remove_timeout};
use super::{Bufferevent, BuffereventPtr, Direction, Guard, flag, lifetime, suspension};
use crate::base::{self, EventBase, Guard as BaseGuard, deferred};
use crate::buffer::abi::EVBUFFER_FLAG_DRAINS_TO_FD;
use crate::buffer::read_room::ReadRoom;
use crate::buffer::transport::Descriptor;
use crate::buffer::{End, Guard as BufferGuard, Refused};
use crate::event::{EventCallbackFn, assign, kind, state};
use crate::system::{errno, set_errno};
use crate::util::{sockets, status};
use std::ffi::{c_int, c_short, c_uint, c_void};
use std::ptr::NonNull;

/// The table of socket bufferevents.
#[unsafe(no_mangle)]
pub static bufferevent_ops_socket: Operations = Operations {
    name: c"socket".as_ptr(),
    offset: 0,
    enable,
    disable,
    unlink: None,
    destruct: Some(destruct),
    adjust_timeouts: Some(adjust_timeouts),
    flush: Some(flush),
    control: Some(control),
};

/// A bufferevent on a descriptor, or -1 for none yet.
///
/// # Safety
/// `base` is live or null.
pub unsafe fn create(
    base: *mut EventBase,
    descriptor: c_int,
    options: c_int,
) -> Option<NonNull<Bufferevent>> {
    // SAFETY: the caller guarantees the base; zero bytes are a valid bufferevent.
    let block = unsafe { lifetime::create::<Bufferevent>(base, &bufferevent_ops_socket, options) }?;
    let bufferevent = BuffereventPtr(block);
    bufferevent.bind(descriptor, base);
    bufferevent.set_up_buffers();
    Some(block)
}

/// Which end of a direction's buffer is the bufferevent's alone.
fn own_end(direction: Direction) -> End {
    match direction {
        Direction::Read => End::Back,
        Direction::Write => End::Front,
    }
}

impl BuffereventPtr {
    fn set_up_buffers(self) {
        // SAFETY: the buffers live as long as the bufferevent.
        unsafe {
            let output = BufferGuard::new(self.output.get());
            output.change_flags(EVBUFFER_FLAG_DRAINS_TO_FD, 0);
        }
        for direction in Direction::ALL {
            self.set_frozen(direction, true);
        }
    }

    /// Keeps the program from, or lets it into, the end of a buffer that the bufferevent uses.
    pub(super) fn set_frozen(self, direction: Direction, frozen: bool) {
        // SAFETY: the buffers live as long as the bufferevent, whose lock is held.
        unsafe { (*self.buffer(direction)).set_frozen(own_end(direction), frozen) };
    }

    /// Unfreezes the end of a buffer that the bufferevent uses, until the result is dropped: also
    /// when a callback of the buffer unwinds.
    pub(super) fn opened(self, direction: Direction) -> Opened {
        self.set_frozen(direction, false);
        Opened(self, direction)
    }

    /// Makes the events, which are not pending, those of a descriptor.
    fn bind(self, descriptor: c_int, base: *mut EventBase) {
        let callbacks: [EventCallbackFn; 2] = [readable, writable];
        for (direction, callback) in Direction::ALL.into_iter().zip(callbacks) {
            let events = direction.kind() | kind::PERSIST | kind::FINALIZE;
            let event = self.event(direction).as_ptr();
            let argument = self.as_ptr().cast();
            // SAFETY: the event is part of the bufferevent and not pending; the base outlives it.
            // These kinds of interest never conflict.
            let _ = unsafe {
                assign::assign(event, base, descriptor, events, Some(callback), argument)
            };
        }
    }

    /// Goes over to another descriptor; buffers, priority and all settings stay.
    fn attach(self, descriptor: c_int) -> Result<(), Failed> {
        self.cancel_lookup();
        let priority = self.event(Direction::Read).entry().priority();
        for direction in Direction::ALL {
            // A refusal was logged; the event is removed in any case.
            let _ = self.delete_event(direction);
            self.set_frozen(direction, false);
        }
        self.clear_flags(flag::DESCRIPTOR);
        self.bind(descriptor, self.base.get());
        for direction in Direction::ALL {
            self.event(direction).entry().set_priority(priority);
        }
        if descriptor >= 0 {
            return self.enable(self.enabled.get());
        }
        Ok(())
    }

    /// Whether a write may be tried without asking the kernel whether it would block.
    fn may_write_at_once(self) -> bool {
        if !self.has(flag::ESTABLISHED) || self.has(flag::CONNECTING) {
            return false;
        }
        if !self.has(flag::BLOCKING_KNOWN) {
            self.set_flags(flag::BLOCKING_KNOWN);
            if sockets::is_nonblocking(self.event(Direction::Write).fd()) {
                self.set_flags(flag::NONBLOCKING);
            }
        }
        self.has(flag::NONBLOCKING)
    }

    /// The descriptor is known not to block.
    pub fn mark_nonblocking(self) {
        self.set_flags(flag::BLOCKING_KNOWN | flag::NONBLOCKING);
    }

    /// Has the output written when that is possible; see the top of this file.
    fn arm_write(self) -> Result<(), Failed> {
        let event = self.event(Direction::Write);
        if event.has(state::INSERTED) || !self.may_write_at_once() {
            return self.add_event(Direction::Write);
        }
        activate_before_wait(event, kind::WRITE, self.timeout(Direction::Write));
        Ok(())
    }

    /// Has the input read when there is some; see the top of this file.
    fn arm_read(self) -> Result<(), Failed> {
        let event = self.event(Direction::Read);
        if !self.has(flag::READ_AT_ONCE) || event.has(state::INSERTED) {
            return self.add_event(Direction::Read);
        }
        activate_before_wait(event, kind::READ, self.timeout(Direction::Read));
        Ok(())
    }

    /// The peer of the descriptor, which is known not to block, is likely to have sent something.
    pub fn expect_input(self) {
        self.set_flags(flag::READ_AT_ONCE);
    }

    /// One read without knowing whether there is something. The caller has a guard.
    #[inline(never)]
    fn read_at_once(self, what: c_short) {
        if self.has(flag::ESTABLISHED) {
            self.clear_flags(flag::READ_AT_ONCE);
        }
        /// Also when the read callback throws, the event waits again, or for the first time.
        struct Rearm(BuffereventPtr);
        impl Drop for Rearm {
            fn drop(&mut self) {
                if self.0.lacks_read_event() {
                    self.0.enable_or_give_up(Direction::Read);
                }
            }
        }
        let rearm = Rearm(self);
        if self.read_when_ready() {
            return;
        }
        std::mem::forget(rearm);
        self.clear_flags(flag::READ_AT_ONCE);
        if !self.lacks_read_event() {
            return;
        }
        // The kernel would not have reported it ready.
        if what & kind::TIMEOUT != 0 {
            return self.time_out(Direction::Read);
        }
        let event = self.event(Direction::Read);
        // SAFETY: the base of an event outlives it.
        unsafe { BaseGuard::lock(event.base()) }.callback_was_spurious();
        if await_descriptor(event, self.timeout(Direction::Read)).is_err() {
            self.give_up(Direction::Read);
        }
    }

    /// Whether input is wanted, and nothing waits for it.
    fn lacks_read_event(self) -> bool {
        let event = self.event(Direction::Read);
        !self.has(flag::FREED)
            && self.is_running(Direction::Read)
            && !event.has(state::INSERTED | state::QUEUED)
            && event.fd() >= 0
    }

    /// Writes output if it can be tried without asking the kernel first; what is left waits as
    /// usual. The caller has a guard, and is not in a callback of the write event.
    pub(super) fn write_now(self) {
        if !self.is_running(Direction::Write) {
            return;
        }
        let event = self.event(Direction::Write);
        if event.has(state::INSERTED) || !self.may_write_at_once() {
            return self.write_what_was_added();
        }
        let came_to_nothing = !self.write_once(false);
        let waits = self.is_running(Direction::Write) && !self.is_write_armed();
        if came_to_nothing && waits && self.add_event(Direction::Write).is_err() {
            self.give_up(Direction::Write);
        }
    }

    fn is_write_armed(self) -> bool {
        self.event(Direction::Write)
            .has(state::INSERTED | state::QUEUED)
    }

    /// One read; whether it brought something. The caller has a guard.
    fn read_when_ready(self) -> bool {
        if self.has(flag::CONNECTING) && self.finish_connecting(Direction::Read) != Progress::Made {
            return false;
        }
        if self.is_input_full() {
            self.suspend(Direction::Read, suspension::WATERMARK);
            return false;
        }
        let allowed = self.transfer_limit(Direction::Read);
        let limit = allowed.min(self.input_room().unwrap_or(usize::MAX));
        let descriptor = self.event(Direction::Read).fd();
        if self.suspended(Direction::Read) != 0 || limit == 0 || descriptor < 0 {
            return false;
        }
        let opened = self.opened(Direction::Read);
        // SAFETY: the buffer lives as long as the bufferevent, and the base longer; only reads keep
        // room there.
        let (result, error) = self.transfer(descriptor, |descriptor| unsafe {
            let room = ReadRoom::kept_in(EventBase::spare(self.event(Direction::Read).base()));
            BufferGuard::new(self.input.get()).read(descriptor, limit, room)
        });
        drop(opened);
        let Some(count) = self.accept_result(Direction::Read, result, error) else {
            return false;
        };
        self.charge(Direction::Read, count as isize);
        self.trigger(Direction::Read, 0);
        true
    }

    /// What the write event is for: the end of connecting, and output. The caller has a guard.
    fn write_when_ready(self, what: c_short) {
        let connecting = self.has(flag::CONNECTING);
        if connecting {
            if self.finish_connecting(Direction::Write) != Progress::Made {
                return;
            }
            if !self.is_running(Direction::Write) {
                // A refusal was logged; the event is removed in any case.
                let _ = self.delete_event(Direction::Write);
                return;
            }
        }
        if !self.write_once(connecting) {
            self.await_writability(what);
        }
    }

    /// One write, if there is output, and the write callback, except where there was nothing to
    /// write and the event was for connecting. False when the write came to nothing. The caller has
    /// a guard.
    fn write_once(self, connecting: bool) -> bool {
        let limit = self.transfer_limit(Direction::Write);
        if self.suspended(Direction::Write) != 0 || self.event(Direction::Write).fd() < 0 {
            return true;
        }
        let pending = self.length(Direction::Write).min(limit);
        let mut written = 0;
        if pending > 0 {
            match self.write_output(pending) {
                Some(count) => written = count,
                None => return false,
            }
        }
        self.keep_writing(written == pending);
        if written > 0 || !connecting {
            self.trigger(Direction::Write, 0);
        }
        true
    }

    /// One write of up to `limit` bytes; how many it took, unless it failed.
    fn write_output(self, limit: usize) -> Option<usize> {
        let descriptor = self.event(Direction::Write).fd();
        let opened = self.opened(Direction::Write);
        // SAFETY: the buffer lives as long as the bufferevent.
        let (result, error) = self.transfer(descriptor, |descriptor| unsafe {
            BufferGuard::new(self.output.get()).write(descriptor, Some(limit))
        });
        drop(opened);
        let count = self.accept_result(Direction::Write, result, error)?;
        self.charge(Direction::Write, count as isize);
        Some(count)
    }

    /// A write moved nothing: it would have blocked, or the direction was disabled, and perhaps
    /// enabled again by the program.
    fn await_writability(self, what: c_short) {
        let event = self.event(Direction::Write);
        if !self.is_running(Direction::Write) || self.is_write_armed() {
            return;
        }
        // The kernel would not have reported it ready.
        if what & kind::TIMEOUT != 0 {
            self.time_out(Direction::Write);
            return;
        }
        // SAFETY: the base of an event outlives it.
        unsafe { BaseGuard::lock(event.base()) }.callback_was_spurious();
        if await_descriptor(event, self.timeout(Direction::Write)).is_err() {
            self.give_up(Direction::Write);
        }
    }

    /// One read or write, as of a socket until that turns out to be wrong; its result and errno.
    #[inline]
    fn transfer(
        self,
        descriptor: c_int,
        call: impl Fn(Descriptor) -> Result<usize, Refused>,
    ) -> (Result<usize, Refused>, c_int) {
        if !self.has(flag::NO_SOCKET) {
            let result = call(Descriptor::Socket(descriptor));
            let error = errno();
            if result != Err(Refused::System) || error != libc::ENOTSOCK {
                return (result, error);
            }
            self.set_flags(flag::NO_SOCKET);
        }
        (call(Descriptor::Any(descriptor)), errno())
    }

    /// After an attempt: goes on with the rest of the output, asking the kernel first unless all
    /// that was tried went out.
    fn keep_writing(self, all_went: bool) {
        if self.length(Direction::Write) == 0 {
            // In the event's callback, with the lock held: nobody else adds it meanwhile.
            if self.event(Direction::Write).is_pending() {
                // A refusal was logged.
                let _ = self.delete_event(Direction::Write);
            }
        } else if self.is_running(Direction::Write) && !self.is_write_armed() {
            let armed = if all_went {
                self.arm_write()
            } else {
                self.add_event(Direction::Write)
            };
            if armed.is_err() {
                self.give_up(Direction::Write);
            }
        }
    }

    /// Handles the result of a read or write: bytes, nothing yet, or the end of the direction,
    /// which is reported to the program.
    #[inline]
    fn accept_result(
        self,
        direction: Direction,
        result: Result<usize, Refused>,
        error: c_int,
    ) -> Option<usize> {
        match result {
            Ok(count) if count > 0 => {
                self.set_flags(flag::ESTABLISHED);
                Some(count)
            }
            Err(Refused::System) if sockets::read_write_retriable(error) => None,
            end => {
                self.end_direction(direction, end, error);
                None
            }
        }
    }

    /// Writes what was appended to the output.
    pub(super) fn write_what_was_added(self) {
        if self.is_running(Direction::Write) && !self.is_write_armed() {
            self.arm_write_somehow();
        }
    }

    #[inline(never)]
    fn arm_write_somehow(self) {
        let timed = self.timeout(Direction::Write).is_some();
        // Without memory for the timeout, what was accepted goes out without one.
        let armed = self.arm_write().is_ok()
            || (timed && timeouts::add(self.event(Direction::Write), None).is_ok());
        if !armed {
            self.give_up(Direction::Write);
        }
    }

    #[cold]
    fn end_direction(self, direction: Direction, result: Result<usize, Refused>, error: c_int) {
        let what = match result {
            Ok(_) => BEV_EVENT_EOF,
            Err(_) => BEV_EVENT_ERROR,
        };
        // A refusal was logged; the direction counts as disabled.
        let _ = self.disable(direction.kind());
        set_errno(match result {
            Err(Refused::OutOfMemory) => libc::ENOMEM,
            _ => error,
        });
        self.run_event_callback(direction.event_flag() | what, 0);
    }
}

/// See [`BuffereventPtr::opened`]. The caller has a guard.
pub(super) struct Opened(BuffereventPtr, Direction);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.set_frozen(self.1, true);
    }
}

unsafe extern "C-unwind" fn readable(_: c_int, what: c_short, argument: *mut c_void) {
    // SAFETY: the event is part of the bufferevent that is its argument.
    let Some(guard) = (unsafe { Guard::if_alive(argument.cast()) }) else {
        return;
    };
    if what == kind::TIMEOUT {
        guard.time_out(Direction::Read);
    } else if guard.has(flag::READ_AT_ONCE) {
        guard.read_at_once(what);
    } else {
        guard.read_when_ready();
    }
}

unsafe extern "C-unwind" fn writable(_: c_int, what: c_short, argument: *mut c_void) {
    // SAFETY: as in `readable`.
    let Some(guard) = (unsafe { Guard::if_alive(argument.cast()) }) else {
        return;
    };
    if what != kind::TIMEOUT {
        guard.write_when_ready(what);
        return;
    }
    if guard.has(flag::CONNECTING) {
        // The event goes on waiting for the connection, but the timeout is reported once.
        remove_timeout(guard.event(Direction::Write));
    }
    guard.time_out(Direction::Write);
}

/// # Safety
/// For all functions of the table: the bufferevent is live and its lock held.
unsafe fn pointer(bufferevent: *mut Bufferevent) -> BuffereventPtr {
    // SAFETY: as the caller guarantees; a live object is not at null.
    unsafe { BuffereventPtr::new(bufferevent).unwrap_unchecked() }
}

unsafe extern "C-unwind" fn enable(bufferevent: *mut Bufferevent, directions: c_short) -> c_int {
    // SAFETY: see `pointer`.
    let bufferevent = unsafe { pointer(bufferevent) };
    if directions & kind::READ != 0 && bufferevent.arm_read().is_err() {
        return -1;
    }
    if directions & kind::WRITE != 0 && bufferevent.arm_write().is_err() {
        return -1;
    }
    0
}

unsafe extern "C-unwind" fn disable(bufferevent: *mut Bufferevent, directions: c_short) -> c_int {
    // SAFETY: see `pointer`.
    let bufferevent = unsafe { pointer(bufferevent) };
    if directions & kind::READ != 0 && bufferevent.delete_event(Direction::Read).is_err() {
        return -1;
    }
    // What was waiting for the connection continues.
    let writes = directions & kind::WRITE != 0 && !bufferevent.has(flag::CONNECTING);
    if writes && bufferevent.delete_event(Direction::Write).is_err() {
        return -1;
    }
    0
}

unsafe extern "C-unwind" fn destruct(bufferevent: *mut Bufferevent) {
    // SAFETY: see `pointer`.
    let bufferevent = unsafe { pointer(bufferevent) };
    let descriptor = bufferevent.event(Direction::Read).fd();
    if bufferevent.options() & lifetime::CLOSE_ON_FREE != 0 && descriptor >= 0 {
        // Nothing could be done about a failure.
        let _ = sockets::close(descriptor);
    }
}

unsafe extern "C-unwind" fn adjust_timeouts(bufferevent: *mut Bufferevent) -> c_int {
    // SAFETY: see `pointer`.
    status(unsafe { pointer(bufferevent) }.adjust_waiting_events())
}

unsafe extern "C-unwind" fn flush(_: *mut Bufferevent, _: c_short, _: c_uint) -> c_int {
    0
}

unsafe extern "C-unwind" fn control(
    bufferevent: *mut Bufferevent,
    request: c_uint,
    data: *mut RequestData,
) -> c_int {
    // SAFETY: see `pointer`; the data fits the request.
    unsafe {
        let bufferevent = pointer(bufferevent);
        // First, because each write of the program brings one.
        if request == Request::OutputChanged as c_uint {
            bufferevent.write_what_was_added();
            return 0;
        }
        answer(bufferevent, request, data)
    }
}

/// The requests that are rare.
///
/// # Safety
/// The data fits the request.
#[inline(never)]
unsafe fn answer(bufferevent: BuffereventPtr, request: c_uint, data: *mut RequestData) -> c_int {
    // SAFETY: the caller guarantees the data.
    unsafe {
        match Request::from_number(request) {
            Some(Request::SetDescriptor) => return status(bufferevent.attach((*data).descriptor)),
            Some(Request::GetDescriptor) => {
                (*data).descriptor = bufferevent.event(Direction::Read).fd();
            }
            Some(Request::CancelAll) => bufferevent.cancel_lookup(),
            Some(Request::OutputChanged | Request::GetUnderlying) | None => return -1,
        }
    }
    0
}

impl BuffereventPtr {
    /// Moves to another base, with all that waits for the loop. Both events must be idle.
    ///
    /// # Safety
    /// `base` is live.
    pub unsafe fn set_base(self, base: *mut EventBase) -> Result<(), Failed> {
        let idle = |direction| {
            let event = self.event(direction);
            event.entry().flags() == state::INITIALISED
        };
        if !self.is_kind(&bufferevent_ops_socket) || !Direction::ALL.into_iter().all(idle) {
            return Err(Failed);
        }
        // What another thread is about to run would outlive a bufferevent that is freed in its new
        // base, whose loop does not know of it.
        if self.is_running_elsewhere() {
            return Err(Failed);
        }
        // SAFETY: the caller guarantees the base.
        let priority = unsafe { assign::middle_priority(base) };
        for direction in Direction::ALL {
            let event = self.event(direction);
            event.set_base(base);
            event.entry().set_priority(priority);
        }
        let left = self.base.replace(base);
        self.requeue_callbacks(left, priority);
        self.move_refill();
        Ok(())
    }

    /// Whether the loop, in another thread, is in a callback of the bufferevent or on its way
    /// there.
    fn is_running_elsewhere(self) -> bool {
        let base = base::or_current(self.base.get());
        let [read, write] = Direction::ALL.map(|direction| self.event(direction).entry().as_ptr());
        let refill = self.refill_entry().unwrap_or(std::ptr::null_mut());
        let own = [self.deferred.get(), read, write, refill];
        // SAFETY: the base outlives its bufferevents.
        let guard = unsafe { BaseGuard::lock(base) };
        let running = guard.run.current.map(|entry| entry.as_ptr());
        guard.loop_runs_elsewhere() && running.is_some_and(|entry| own.contains(&entry))
    }

    /// Puts callbacks that wait for the loop of the base that was left into the queue of a
    /// priority of the present one, like all that come after them.
    fn requeue_callbacks(self, left: *mut EventBase, priority: u8) {
        // SAFETY: bases outlive their bufferevents; the entry is part of this one.
        unsafe { deferred::requeue(left, self.base.get(), self.deferred.get(), priority) };
    }

    /// Sets the priority of both events and of deferred callbacks.
    pub fn set_priority(self, priority: c_int) -> Result<(), Failed> {
        let supported = self.is_kind(&bufferevent_ops_socket) || self.is_tls();
        let event = self.event(Direction::Read);
        // SAFETY: the base of an event outlives it.
        let priorities = unsafe { BaseGuard::lock(event.base()) }.run.priorities;
        let active = Direction::ALL
            .into_iter()
            .any(|direction| self.event(direction).has(state::ACTIVE));
        if !supported || active || !(0..priorities).contains(&priority) {
            return Err(Failed);
        }
        for direction in Direction::ALL {
            self.event(direction).entry().set_priority(priority as u8);
        }
        self.requeue_callbacks(self.base.get(), priority as u8);
        Ok(())
    }

    /// The priority of the events.
    pub fn priority(self) -> c_int {
        c_int::from(self.event(Direction::Read).entry().priority())
    }
}
