//! What the bufferevent of a connection and the loop call, and what keeps such calls in order while
//! functions of the program run.

use super::connection::{ConnectionPtr, Pin, bit};
use super::{client, incoming};
use crate::base::{self, Guard as BaseGuard, deferred};
use crate::bufferevent::Bufferevent;
use crate::event::{EventCallback, assign};
use std::ffi::{c_short, c_void};

/// A function of the program is running after which there is more to do. If it ends with an
/// exception, or the thread is cancelled, the loop does that.
pub(super) struct Unfinished {
    connection: ConnectionPtr,
    /// The bits to set in the connection in that case.
    bits: u16,
}

impl Unfinished {
    /// Call this when the function has returned.
    pub(super) fn finish(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.connection.is_freed() {
            self.connection.insert(self.bits);
            self.connection.schedule();
        }
    }
}

/// The library is writing to a connection: what the bufferevent reports until this is dropped
/// waits.
pub(super) struct Busy {
    connection: ConnectionPtr,
    before: u16,
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.before == 0 {
            self.connection.remove(bit::BUSY);
        }
    }
}

impl ConnectionPtr {
    /// Prepares the entry by which the loop calls [`run_deferred`], if there is a base.
    pub(super) fn prepare_deferred(self) {
        let base = base::or_current(self.base.get());
        if base.is_null() {
            return;
        }
        // SAFETY: the entry is part of the connection and not queued; the base is live.
        unsafe {
            let priority = assign::middle_priority(base);
            deferred::initialise(
                self.deferred.get(),
                priority,
                run_deferred,
                self.as_ptr().cast(),
            );
        }
    }

    /// Makes the bufferevent call this layer.
    pub(super) fn take_callbacks(self) {
        if let Some(bufferevent) = self.held_bufferevent() {
            let argument = self.as_ptr().cast();
            bufferevent.set_callbacks(Some(readable), Some(written), Some(handle_event), argument);
        }
    }

    /// Before a function of the program is called. The caller has a pin.
    pub(super) fn unfinished(self, bits: u16) -> Unfinished {
        Unfinished {
            connection: self,
            bits,
        }
    }

    /// Before something is written. The caller has a pin.
    pub(super) fn busy(self) -> Busy {
        let before = self.bits.get() & bit::BUSY;
        self.insert(bit::BUSY);
        Busy {
            connection: self,
            before,
        }
    }

    /// Whether a callback of the program has asked the loop to return: then nothing more is called.
    pub(super) fn is_loop_broken(self) -> bool {
        // SAFETY: the base of a connection is live.
        let base = unsafe { BaseGuard::lock(base::or_current(self.base())) };
        base.run.break_requested
    }

    /// Makes the loop call [`run_deferred`].
    pub(super) fn schedule(self) {
        if !self.has(bit::SCHEDULED) {
            self.insert(bit::SCHEDULED);
            // SAFETY: the base outlives its connections; the entry is taken out before it ends.
            unsafe { deferred::schedule(self.base.get(), self.deferred.get()) };
        }
    }

    /// Cancels what the loop was to do for the connection.
    pub(super) fn unschedule(self) {
        if self.has(bit::SCHEDULED) {
            // SAFETY: the base outlives its connections.
            unsafe { deferred::cancel(self.base.get(), self.deferred.get()) };
        }
    }
}

/// The connection that a callback of this layer is for.
///
/// # Safety
/// `argument` is a connection that is not freed.
unsafe fn pinned(argument: *mut c_void) -> Option<Pin> {
    // SAFETY: the caller guarantees the connection.
    unsafe { ConnectionPtr::new(argument.cast()) }.map(ConnectionPtr::pin)
}

/// Something has arrived.
unsafe extern "C-unwind" fn readable(_: *mut Bufferevent, argument: *mut c_void) {
    // SAFETY: a connection that is freed takes these functions away.
    let Some(connection) = (unsafe { pinned(argument) }) else {
        return;
    };
    let cork = connection
        .bufferevent()
        .map(|bufferevent| bufferevent.cork());
    if connection.is_incoming() {
        incoming::readable(*connection);
    } else {
        client::readable(*connection);
    }
    // Replies go out one by one, not after all requests that came in at the same time: what belongs
    // to them is still near.
    if let Some(cork) = cork {
        cork.pull();
    }
}

/// The output was written.
unsafe extern "C-unwind" fn written(_: *mut Bufferevent, argument: *mut c_void) {
    // SAFETY: as in `readable`.
    let Some(connection) = (unsafe { pinned(argument) }) else {
        return;
    };
    if connection.has(bit::BUSY) || connection.is_loop_broken() {
        connection.schedule();
    } else if connection.is_incoming() {
        incoming::written(*connection);
    } else {
        client::written(*connection);
    }
}

/// The connection was made, has ended, failed or timed out.
unsafe extern "C-unwind" fn handle_event(
    _: *mut Bufferevent,
    what: c_short,
    argument: *mut c_void,
) {
    // SAFETY: as in `readable`.
    let Some(connection) = (unsafe { pinned(argument) }) else {
        return;
    };
    if connection.is_incoming() {
        incoming::handle_event(*connection, what);
    } else {
        client::handle_event(*connection, what);
    }
}

/// Called by the loop for a connection that was scheduled.
unsafe extern "C-unwind" fn run_deferred(_: *mut EventCallback, argument: *mut c_void) {
    // SAFETY: the entry is taken out when the connection is freed.
    let Some(connection) = (unsafe { pinned(argument) }) else {
        return;
    };
    connection.remove(bit::SCHEDULED);
    if connection.is_incoming() {
        incoming::run_deferred(*connection);
    } else {
        client::run_deferred(*connection);
    }
}
