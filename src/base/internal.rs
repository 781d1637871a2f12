//! Events of the library's own: they do not count, do not keep the loop running, and are the most
//! urgent.

use super::EventBase;
use crate::event::{Event, EventCallbackFn, EventPtr, assign, debug, kind};
use crate::hooks::memory;
use crate::util::SystemError;
use std::ffi::{c_int, c_short};
use std::ptr;

impl EventBase {
    /// Calls `callback`, with the base as argument, whenever `fd` can be read from, or `manner` (0
    /// or the edge-triggered bit) each time that something to read arrives. `event` is one that
    /// this function made earlier, whose memory is used again: then none is needed.
    pub(crate) fn watch_internally(
        &mut self,
        event: &mut Option<EventPtr>,
        fd: c_int,
        manner: c_short,
        callback: EventCallbackFn,
    ) -> Result<(), SystemError> {
        let memory = match *event {
            Some(event) => event.as_ptr(),
            None => memory::allocate_zeroed::<Event>()?.as_ptr(),
        };
        let (base, events) = (ptr::from_mut(self), kind::READ | kind::PERSIST | manner);
        // SAFETY: the memory stays until the event is discarded, and is in no list.
        let watching = unsafe { assign::internal(memory, base, fd, events, callback, base.cast()) };
        *event = Some(watching);
        self.add_event(watching, None)
    }
}

/// Frees an event that [`EventBase::watch_internally`] made and that was removed.
pub(crate) fn discard(event: &mut Option<EventPtr>) {
    if let Some(event) = event.take() {
        debug::note_teardown(event);
        // SAFETY: the event is this module's own and in no list.
        unsafe { memory::free(event.as_ptr().cast()) };
    }
}
