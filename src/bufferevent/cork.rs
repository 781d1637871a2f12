//! Holding output back for a moment.
//!
//! Code that calls the program because of input, and then writes the program's reply itself, need
//! not schedule the write in between.

use super::socket::bufferevent_ops_socket;
use super::{BuffereventPtr, Direction, Guard, flag};

/// While there is one, a socket bufferevent does not notice what is added to its output. Holds a
/// reference, but not the lock: the program runs meanwhile.
pub struct Cork(BuffereventPtr);

impl BuffereventPtr {
    /// Holds output back from now on; that of a kind that is no socket goes on. The caller has a
    /// guard.
    pub fn cork(self) -> Cork {
        self.add_reference();
        self.set_notices_output(false);
        Cork(self)
    }

    fn set_notices_output(self, notices: bool) {
        if self.is_kind(&bufferevent_ops_socket) {
            // SAFETY: the buffers live as long as the bufferevent, whose lock is held.
            unsafe { (*self.buffer(Direction::Write)).set_notifies_parent(notices) };
        }
    }
}

impl Cork {
    /// Writes what was added.
    pub fn pull(self) {
        let guard = self.take_out();
        std::mem::forget(self);
        if let Some(guard) = guard {
            guard.write_now();
        }
    }

    /// Ends the cork; there is a result when what was added is to be written.
    fn take_out(&self) -> Option<Guard> {
        // SAFETY: the reference is this one's, and given up.
        let guard = unsafe { Guard::acquire(self.0.as_ptr()) };
        guard.set_notices_output(true);
        let writes = guard.is_kind(&bufferevent_ops_socket)
            && !guard.has(flag::FREED)
            && guard.length(Direction::Write) > 0;
        writes.then_some(guard)
    }
}

/// When a function of the program throws, the loop writes what was added.
impl Drop for Cork {
    fn drop(&mut self) {
        if let Some(guard) = self.take_out() {
            guard.write_what_was_added();
        }
    }
}
