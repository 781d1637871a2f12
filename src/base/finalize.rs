//! Finalizers: functions that run when an event or a callback can no longer be running.

use super::{EventBase, Guard};
use crate::event::{
    CallbackFunction, CallbackPtr, Closure, EventFinalizeFn, EventPtr, SelfCallbackFn, debug, kind,
    state,
};
use crate::hooks::memory;

impl EventBase {
    /// Deletes an event and queues its finalizer in place of its callback.
    pub(crate) fn finalize_event(
        &mut self,
        event: EventPtr,
        finalizer: Option<EventFinalizeFn>,
        then_free: bool,
    ) {
        // A refusal was logged; the event is removed in any case. A finalizing one only gets the
        // new function.
        if !event.has(state::FINALIZING) {
            let _ = self.remove_event(event);
        }
        let closure = if then_free {
            Closure::EventFinalizeFree
        } else {
            Closure::EventFinalize
        };
        let function = CallbackFunction {
            evcb_evfinalize: finalizer,
        };
        event.set_result(kind::FINALIZE);
        self.queue_finalizer(event.entry(), closure, function);
    }

    /// Cancels an entry and queues `finalizer` in place of its function.
    pub(crate) fn finalize_entry(&mut self, entry: CallbackPtr, finalizer: SelfCallbackFn) {
        if entry.has(state::QUEUED) && !entry.has(state::FINALIZING) {
            self.cancel_entry(entry, false);
        }
        let function = CallbackFunction {
            evcb_cbfinalize: Some(finalizer),
        };
        self.queue_finalizer(entry, Closure::CallbackFinalize, function);
    }

    fn queue_finalizer(
        &mut self,
        entry: CallbackPtr,
        closure: Closure,
        function: CallbackFunction,
    ) {
        entry.set_closure(closure);
        entry.set_function(function);
        if !entry.has(state::ACTIVE) {
            self.queue_now(entry);
        }
        entry.insert(state::FINALIZING);
    }
}

/// Frees an event that was handed over, also when its finalizer unwinds.
struct FreeEvent(EventPtr);

impl Drop for FreeEvent {
    fn drop(&mut self) {
        // SAFETY: the program handed the event over with `event_free_finalize`.
        unsafe { memory::free(self.0.as_ptr().cast()) };
    }
}

impl Guard {
    /// Runs the finalizer of an entry that was taken out of its queue.
    pub(crate) fn run_finalizer(&mut self, entry: CallbackPtr) {
        let (function, argument) = (entry.function(), entry.argument());
        if entry.closure() == Closure::CallbackFinalize {
            // SAFETY: the closure says which member holds; the entry is live until it ran.
            unsafe {
                if let Some(finalizer) = function.evcb_cbfinalize {
                    self.unlocked(|| finalizer(entry.as_ptr(), argument));
                }
            }
            return;
        }
        let then_free = entry.closure() == Closure::EventFinalizeFree;
        let Some(event) = entry.event() else {
            return;
        };
        // From here on the program may use its memory for another event.
        debug::note_teardown(event);
        let _free = then_free.then(|| FreeEvent(event));
        // SAFETY: the closure says which member holds; the event is live until it ran.
        unsafe {
            if let Some(finalizer) = function.evcb_evfinalize {
                self.unlocked(|| finalizer(event.as_ptr(), argument));
            }
        }
    }
}
