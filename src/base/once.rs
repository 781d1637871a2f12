//! `event_base_once`: a callback without an event of the program's.

use super::Guard;
use crate::event::{Event, EventCallbackFn, EventPtr, assign, debug, kind};
use crate::hooks::memory;
use crate::list::{List, ListLink, links};
use crate::util::SystemError;
use libc::timeval;
use std::ffi::{c_int, c_short, c_void};
use std::ptr::{NonNull, addr_of_mut};

/// A private event and what it is to call.
pub struct OnceEvent {
    // First, so that its address is that of the record.
    event: Event,
    links: ListLink<OnceEvent>,
    callback: EventCallbackFn,
    argument: *mut c_void,
}

links! {
    /// The links of a base's list of such events.
    pub struct OnceLinks: ListLink<OnceEvent> in links;
}

/// Records that have not run yet, so that freeing the base can free them.
pub type OnceList = List<OnceLinks>;

impl Guard {
    /// Runs `callback` once: when `fd` is ready for one of `events`, or after `timeout`. With
    /// neither a descriptor nor a duration it is active at once.
    pub(crate) fn once(
        &mut self,
        fd: c_int,
        events: c_short,
        callback: EventCallbackFn,
        argument: *mut c_void,
        timeout: Option<timeval>,
    ) -> Result<(), SystemError> {
        let record = memory::allocate_zeroed::<OnceEvent>()?.as_ptr();
        let watched = events & kind::IO;
        let fd = if watched != 0 { fd } else { -1 };
        // SAFETY: the record is new memory, which stays until it ran or the base is freed.
        let event = unsafe {
            (*record).callback = callback;
            (*record).argument = argument;
            let event = addr_of_mut!((*record).event);
            assign::private(event, self.as_ptr(), fd, watched, run_once, record.cast())
        };
        let due = timeout.filter(|timeout| timeout.tv_sec != 0 || timeout.tv_usec != 0);
        let added = if watched == 0 && due.is_none() {
            self.activate(event, kind::TIMEOUT, 1);
            Ok(())
        } else {
            self.add(event, timeout.as_ref())
        };
        // SAFETY: the record is live and in no list.
        unsafe {
            match added {
                Ok(()) => List::push_front(addr_of_mut!(self.once), record),
                Err(_) => free_record(record),
            }
        }
        added
    }

    /// Frees the records that have not run; their events are deleted already.
    pub(crate) fn free_once_events(&mut self) {
        while let Some(record) = NonNull::new(self.once.first()) {
            // SAFETY: records in the list are live and nobody else frees them.
            unsafe {
                List::remove(addr_of_mut!(self.once), record.as_ptr());
                free_record(record.as_ptr());
            }
        }
    }
}

/// # Safety
/// The record is live, in no list, and given up.
unsafe fn free_record(record: *mut OnceEvent) {
    // SAFETY: the caller hands the record over.
    unsafe {
        if let Some(event) = EventPtr::new(addr_of_mut!((*record).event)) {
            debug::note_teardown(event);
        }
        memory::free(record.cast());
    }
}

/// Runs as the callback of the private event.
unsafe extern "C-unwind" fn run_once(fd: c_int, result: c_short, record: *mut c_void) {
    struct FreeRecord(*mut OnceEvent);
    impl Drop for FreeRecord {
        fn drop(&mut self) {
            // SAFETY: the record left every list before its callback ran.
            unsafe { free_record(self.0) };
        }
    }
    let record: *mut OnceEvent = record.cast();
    // SAFETY: the event was made with its record as argument; the base lives while it runs.
    unsafe {
        {
            let mut guard = Guard::lock((*record).event.ev_base);
            List::remove(addr_of_mut!(guard.once), record);
        }
        // Also when the callback unwinds.
        let record = FreeRecord(record);
        ((*record.0).callback)(fd, result, (*record.0).argument);
    }
}
