//! When questions that were sent are due to be sent again. All wait equally long, so a queue in the
//! order of sending, with one timer for its first, is enough for any number: one queue for
//! questions that were sent as datagrams, and one for each connection. A probe uses the timer of
//! its server.

use super::flight;
use super::health;
use super::request::{Place, RequestLinks, RequestPtr};
use super::resolver::{BasePtr, Hold};
use super::stream::StreamPtr;
use crate::base::Guard;
use crate::base::deadline::Due;
use crate::base::pending::Blocking;
use crate::event::{Event, EventCallbackFn, EventPtr, assign, debug};
use crate::list::TailQueue;
use crate::timers::{Microseconds, time};
use crate::util::SystemError;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_short, c_void};

/// Questions by deadline, and the timer for the first of them.
pub struct Timeouts {
    pub(super) queue: UnsafeCell<TailQueue<RequestLinks>>,
    event: UnsafeCell<Event>,
    /// What the timer is set to, or [`NEVER`].
    armed: Cell<Microseconds>,
}

/// No question waits.
const NEVER: Microseconds = Microseconds::MAX;

impl Timeouts {
    pub(super) const fn new() -> Timeouts {
        // SAFETY: zero bytes are a valid event and a queue that is to be initialised.
        unsafe {
            Timeouts {
                queue: UnsafeCell::new(std::mem::zeroed()),
                event: UnsafeCell::new(std::mem::zeroed()),
                armed: Cell::new(NEVER),
            }
        }
    }

    /// Prepares queue and timer. Without a loop there is no timer: then there will be no server.
    ///
    /// # Safety
    /// This stays where it is until [`Timeouts::end`]; the loop's base is live or null.
    pub(super) unsafe fn prepare(
        &self,
        base: BasePtr,
        is_due: EventCallbackFn,
        argument: *mut c_void,
    ) {
        // SAFETY: the caller guarantees the place and the base.
        unsafe {
            TailQueue::initialise(self.queue.get());
            if !base.event_base.is_null() {
                assign::private(self.event.get(), base.event_base, -1, 0, is_due, argument);
            }
        }
    }

    fn event(&self) -> EventPtr {
        // SAFETY: part of a live object; the address of a field is not null.
        unsafe { EventPtr::new(self.event.get()).unwrap_unchecked() }
    }

    /// The question that is due first.
    pub(super) fn first(&self) -> Option<RequestPtr> {
        // SAFETY: look-ups in the queue are live.
        unsafe { RequestPtr::new(TailQueue::first(self.queue.get())) }
    }

    /// Queues a question after those that are due no later. That is the end of the queue, except
    /// after the time-out was shortened.
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

    /// Sets the timer as the queue needs it. Where that fails, it stays at an earlier time.
    #[inline]
    pub(super) fn update_timer(&self, base: BasePtr) -> Result<(), SystemError> {
        let due = self.first().map_or(NEVER, |first| first.deadline.get());
        if due == self.armed.get() {
            return Ok(());
        }
        self.arm(base, due)
    }

    fn arm(&self, base: BasePtr, due: Microseconds) -> Result<(), SystemError> {
        // SAFETY: the loop's base outlives the resolver.
        let mut guard = unsafe { Guard::lock(base.event_base) };
        if due == NEVER {
            guard.delete(self.event(), Blocking::No)?;
        } else {
            guard.add_until(self.event(), Due::at(due))?;
        }
        self.armed.set(due);
        Ok(())
    }

    /// Ends the timer; its callback is not running any more afterwards.
    pub(super) fn end(&self, base: BasePtr) {
        if base.event_base.is_null() {
            return;
        }
        // SAFETY: the loop's base outlives the resolver. A refusal was logged; the event is out.
        let _ = unsafe { Guard::lock(base.event_base) }.delete(self.event(), Blocking::Yes);
        debug::note_teardown(self.event());
    }

    /// Deals with the questions that are due, one at a time.
    pub(super) fn expire(&self, base: BasePtr) {
        self.armed.set(NEVER);
        let now = base.now();
        while let Some(request) = self.first().filter(|first| first.deadline.get() <= now) {
            flight::expire(base, request);
        }
        let _ = self.update_timer(base);
        flight::promote(base);
    }
}

impl BasePtr {
    /// Lets a question that was just sent wait.
    pub(super) fn wait_for_answer(self, request: RequestPtr) {
        let pause = self.options.timeout.get();
        request.place.set(Place::Sent);
        if let Some(server) = request.probed() {
            // Without a timer, what the server is asked when no other is up says that it is back.
            health::wait(self, server, pause);
            return;
        }
        request.deadline.set(time::later(self.now(), pause));
        match stream_of(request) {
            Some(stream) => {
                stream.timeouts.insert(request);
                let _ = stream.timeouts.update_timer(self);
            }
            None => self.timeouts.insert(request),
        }
    }

    /// Takes a question out of the queue that it waits in.
    pub(super) fn stop_waiting(self, request: RequestPtr) {
        let place = request.place.replace(Place::Nowhere);
        let server = request.server.get();
        let stream = stream_of(request);
        let queue = match (place, server, stream) {
            (Place::Nowhere, ..) | (Place::Unsent, None, _) => return,
            (Place::Waiting, ..) => self.waiting.get(),
            (Place::Unsent, Some(server), _) => server.unsent.get(),
            (Place::Sent, ..) if request.probed().is_some() => return,
            (Place::Sent, _, Some(stream)) => stream.timeouts.queue.get(),
            (Place::Sent, _, None) => self.timeouts.queue.get(),
        };
        // SAFETY: the look-up is in that queue, as its place says.
        unsafe { TailQueue::remove(queue, request.as_ptr()) };
        if let (Place::Sent, Some(stream)) = (place, stream) {
            let _ = stream.timeouts.update_timer(self);
        }
    }
}

/// The connection that a question was sent over.
fn stream_of(request: RequestPtr) -> Option<StreamPtr> {
    if request.streamed.get() == 0 {
        return None;
    }
    request.server.get()?.stream.get()
}

/// Runs when the first of the program's questions is due.
///
/// # Safety
/// The argument is a resolver whose memory is there.
pub unsafe extern "C-unwind" fn questions_are_due(_: c_int, _: c_short, base: *mut c_void) {
    // SAFETY: the memory stays until this function has returned.
    if let Some(hold) = unsafe { Hold::enter(base.cast()) } {
        hold.timeouts.expire(*hold);
    }
}
