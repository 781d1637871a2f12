//! When questions that were sent are due to be sent again. All wait equally long, so a queue in the
//! order of sending with one timer for its first does for any number.

use super::flight;
use super::request::{Place, RequestLinks, RequestPtr};
use super::resolver::{BasePtr, Hold};
use crate::base::Guard;
use crate::base::deadline::Due;
use crate::base::pending::Blocking;
use crate::event::{Event, EventPtr, assign, debug};
use crate::list::TailQueue;
use crate::timers::{Microseconds, time};
use crate::util::SystemError;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_short, c_void};

/// Questions by deadline, and the timer for the first of them.
pub struct Timeouts {
    pub(super) queue: UnsafeCell<TailQueue<RequestLinks>>,
    event: UnsafeCell<Event>,
    /// What the timer is set to.
    armed: Cell<Option<Microseconds>>,
}

impl Timeouts {
    pub(super) const fn new() -> Timeouts {
        // SAFETY: zero bytes are a valid event and a queue that is to be initialised.
        unsafe {
            Timeouts {
                queue: UnsafeCell::new(std::mem::zeroed()),
                event: UnsafeCell::new(std::mem::zeroed()),
                armed: Cell::new(None),
            }
        }
    }

    fn event(&self) -> EventPtr {
        // SAFETY: part of a live object; the address of a field is not null.
        unsafe { EventPtr::new(self.event.get()).unwrap_unchecked() }
    }

    fn first(&self) -> Option<RequestPtr> {
        // SAFETY: look-ups in the queue are live.
        unsafe { RequestPtr::new(TailQueue::first(self.queue.get())) }
    }

    /// Puts a question behind those that are due no later. That is the end, but after the time-out
    /// was made shorter.
    fn insert(&self, request: RequestPtr) {
        // SAFETY: the queue is initialised, and what is in it lives.
        unsafe {
            let mut place = RequestPtr::new(TailQueue::last(self.queue.get()));
            while let Some(earlier) = place {
                if earlier.deadline.get() <= request.deadline.get() {
                    let queue = self.queue.get();
                    TailQueue::insert_after(queue, earlier.as_ptr(), request.as_ptr());
                    return;
                }
                place = RequestPtr::new(TailQueue::<RequestLinks>::previous(earlier.as_ptr()));
            }
            TailQueue::push_front(self.queue.get(), request.as_ptr());
        }
    }

    /// Sets the timer as the queue needs it.
    fn settle(&self, base: BasePtr) -> Result<(), SystemError> {
        let due = self.first().map(|request| request.deadline.get());
        if due == self.armed.get() {
            return Ok(());
        }
        // SAFETY: the loop's base outlives the resolver.
        let mut guard = unsafe { Guard::lock(base.event_base) };
        match due {
            Some(due) => guard.add_until(self.event(), Due::at(due))?,
            None => guard.delete(self.event(), Blocking::No)?,
        }
        self.armed.set(due);
        Ok(())
    }

    /// Ends the timer; its callback is not running any more afterwards.
    fn end(&self, base: BasePtr) {
        if base.event_base.is_null() {
            return;
        }
        // SAFETY: the loop's base outlives the resolver. A refusal was logged; the event is out.
        let _ = unsafe { Guard::lock(base.event_base) }.delete(self.event(), Blocking::Yes);
        debug::note_teardown(self.event());
    }
}

impl BasePtr {
    /// Prepares queues and timers. Without a loop there are none: then there will be no server.
    ///
    /// # Safety
    /// The loop's base is live or null.
    pub(super) unsafe fn prepare_timeouts(self) {
        let argument = self.as_ptr().cast();
        // SAFETY: the fields stay where they are; the caller guarantees the base.
        unsafe {
            TailQueue::initialise(self.timeouts.queue.get());
            TailQueue::initialise(self.stream_timeouts.queue.get());
            TailQueue::initialise(self.probe_timeouts.queue.get());
            if !self.event_base.is_null() {
                let event = self.timeouts.event.get();
                assign::private(event, self.event_base, -1, 0, questions_are_due, argument);
                let event = self.stream_timeouts.event.get();
                let due = streamed_questions_are_due;
                assign::private(event, self.event_base, -1, 0, due, argument);
                let event = self.probe_timeouts.event.get();
                assign::internal(event, self.event_base, -1, 0, probes_are_due, argument);
            }
        }
    }

    pub(super) fn end_timeouts(self) {
        self.timeouts.end(self);
        self.stream_timeouts.end(self);
        self.probe_timeouts.end(self);
    }

    fn timeouts_of(&self, request: RequestPtr) -> &Timeouts {
        match request.probed() {
            Some(_) => &self.probe_timeouts,
            None if request.streamed.get() > 0 => &self.stream_timeouts,
            None => &self.timeouts,
        }
    }

    /// Lets a question that was just sent wait.
    pub(super) fn wait_for_answer(self, request: RequestPtr) {
        let deadline = time::later(self.now(), self.options.timeout.get());
        request.deadline.set(deadline);
        request.place.set(Place::Sent);
        self.timeouts_of(request).insert(request);
    }

    /// Takes a question out of the queue that it waits in.
    pub(super) fn stop_waiting(self, request: RequestPtr) {
        let queue = match request.place.replace(Place::Nowhere) {
            Place::Nowhere => return,
            Place::Waiting => self.waiting.get(),
            Place::Sent => self.timeouts_of(request).queue.get(),
            Place::Unsent => match request.server.get() {
                Some(server) => server.unsent.get(),
                None => return,
            },
        };
        // SAFETY: the look-up is in that queue, as its place says.
        unsafe { TailQueue::remove(queue, request.as_ptr()) };
    }

    /// Sets the timers as the queues need them. Where that fails, the timer stays at an earlier time.
    pub(super) fn settle_timeouts(self) {
        let _ = self.timeouts.settle(self);
        let _ = self.stream_timeouts.settle(self);
        let _ = self.probe_timeouts.settle(self);
    }

    /// The same for the timer of the program's questions, where the first is about to wait.
    pub(super) fn arm(self) -> Result<(), SystemError> {
        self.timeouts.settle(self)
    }

    /// The questions that are due, one at a time.
    fn expire(self, timeouts: &Timeouts) {
        timeouts.armed.set(None);
        let now = self.now();
        while let Some(request) = timeouts.first().filter(|first| first.deadline.get() <= now) {
            flight::expire(self, request);
        }
        flight::promote(self);
    }
}

/// Runs when the first of the program's questions is due.
unsafe extern "C-unwind" fn questions_are_due(_: c_int, _: c_short, base: *mut c_void) {
    // SAFETY: the memory stays until this function has returned.
    if let Some(hold) = unsafe { Hold::enter(base.cast()) } {
        hold.expire(&hold.timeouts);
    }
}

/// Runs when the first of the questions that were asked over connections is due.
unsafe extern "C-unwind" fn streamed_questions_are_due(_: c_int, _: c_short, base: *mut c_void) {
    // SAFETY: the memory stays until this function has returned.
    if let Some(hold) = unsafe { Hold::enter(base.cast()) } {
        hold.expire(&hold.stream_timeouts);
    }
}

/// Runs when the first of the probes is due.
unsafe extern "C-unwind" fn probes_are_due(_: c_int, _: c_short, base: *mut c_void) {
    // SAFETY: the memory stays until this function has returned.
    if let Some(hold) = unsafe { Hold::enter(base.cast()) } {
        hold.expire(&hold.probe_timeouts);
    }
}
