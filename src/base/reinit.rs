//! After a fork: kernel objects of the child's own.

use super::{EventBase, Guard};
use crate::util::SystemError;

impl Guard {
    /// Replaces everything in the kernel that is shared with the parent, keeping events, deadlines
    /// and queues. An error means that a descriptor could not be registered again or that the
    /// system refused a new object; what could be done is done.
    pub(crate) fn reinitialise(&mut self) -> Result<(), SystemError> {
        let base: &mut EventBase = self;
        let watches_signals = base.has_signal_pipe();
        let notifiable = base.wake_fds[0] >= 0;
        // First, so that nothing below takes registrations away from the parent.
        base.backend.abandon();
        base.close_signal_pipe();
        base.stop_waking();
        let mut result = base.backend.reinitialise(&mut base.interest);
        if watches_signals {
            result = result.and(base.open_signal_pipe());
        }
        if notifiable {
            result = result.and(base.make_notifiable());
        }
        result
    }
}
