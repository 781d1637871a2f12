//! Waking a loop that sleeps in the kernel, from another thread.

use super::{EventBase, Guard};
use crate::backend::FEATURE_EDGE_TRIGGERED;
use crate::event::kind;
use crate::system::{errno, uncancelled};
use crate::util::SystemError;
use crate::util::sockets;
use crate::{warning, warning_with_errno};
use std::ffi::{c_int, c_short, c_void};
use std::ptr;

/// The read end and the write end; an eventfd is both.
fn ends(fds: [c_int; 2]) -> (c_int, c_int) {
    (fds[0], if fds[1] < 0 { fds[0] } else { fds[1] })
}

fn close_all(fds: &mut [c_int; 2]) {
    for fd in fds {
        if *fd >= 0 {
            // SAFETY: the descriptor is the base's own.
            unsafe { uncancelled::close(*fd) };
        }
        *fd = -1;
    }
}

fn open() -> Result<[c_int; 2], SystemError> {
    let flags = libc::EFD_CLOEXEC | libc::EFD_NONBLOCK;
    if let Ok(fd) = sockets::event_descriptor(0, flags) {
        return Ok([fd, -1]);
    }
    sockets::internal_pipe().inspect_err(|_| {
        warning_with_errno!("event_base: cannot make a descriptor for wake-ups");
    })
}

impl EventBase {
    /// Gives the base its wake-up descriptor, unless it has one.
    pub(crate) fn make_notifiable(&mut self) -> Result<(), SystemError> {
        if self.wake_fds[0] >= 0 {
            return Ok(());
        }
        let mut fds = open()?;
        let mut event = self.wake_event;
        let flags = self.watch_flags(fds);
        let watched = self.watch_internally(&mut event, fds[0], flags, woken);
        self.wake_event = event;
        if watched.is_ok() {
            self.wake_fds = fds;
            self.wake_pending = false;
        } else {
            close_all(&mut fds);
        }
        watched
    }

    /// Each write to an eventfd is an edge, also when nobody takes the earlier ones away.
    fn watch_flags(&self, fds: [c_int; 2]) -> c_short {
        let mechanism = self.backend.mechanism();
        let knows_edges =
            mechanism.is_some_and(|mechanism| mechanism.features() & FEATURE_EDGE_TRIGGERED != 0);
        if knows_edges && fds[1] < 0 {
            kind::EDGE_TRIGGERED
        } else {
            0
        }
    }

    /// The opposite of [`EventBase::make_notifiable`]. The event's memory is kept for the next
    /// time.
    pub(crate) fn stop_waking(&mut self) {
        if let Some(event) = self.wake_event {
            // A refusal was logged, and the descriptor is closed next.
            let _ = self.remove_event(event);
        }
        self.wake_pending = false;
        close_all(&mut self.wake_fds);
    }

    /// Makes the loop return from the kernel soon.
    pub(crate) fn wake(&mut self) -> Result<(), SystemError> {
        let (_, write_end) = ends(self.wake_fds);
        if write_end < 0 {
            return Err(SystemError);
        }
        if self.wake_pending {
            return Ok(());
        }
        let one = 1u64;
        loop {
            // SAFETY: eight bytes are read from `one`.
            if unsafe { uncancelled::write(write_end, ptr::from_ref(&one).cast(), 8) } >= 0 {
                break;
            }
            match errno() {
                libc::EINTR => continue,
                // Full: a wake-up is waiting to be read.
                libc::EAGAIN => break,
                _ => {
                    warning!("event_base: a wake-up could not be sent");
                    return Err(SystemError);
                }
            }
        }
        self.wake_pending = true;
        Ok(())
    }

    /// Whether the loop runs, perhaps in another thread: a quick look.
    #[inline]
    pub(crate) fn may_run_elsewhere(&self) -> bool {
        self.wake_fds[0] >= 0 && self.run.running
    }

    /// Wakes the loop if it runs in another thread.
    #[inline]
    pub(crate) fn wake_if_elsewhere(&mut self) {
        if self.may_run_elsewhere() {
            // A base that cannot be woken notices at its next pass.
            let _ = self.interrupt();
        }
    }

    /// [`EventBase::wake_if_elsewhere`] that reports when the loop could not be woken.
    #[inline(never)]
    pub(crate) fn interrupt(&mut self) -> Result<(), SystemError> {
        if self.loop_runs_elsewhere() {
            self.wake()
        } else {
            Ok(())
        }
    }
}

/// Runs as the callback of the wake-up event: takes the notice away, unless it was an edge.
unsafe extern "C-unwind" fn woken(fd: c_int, result: c_short, base: *mut c_void) {
    // SAFETY: the event was made with its base as argument, which lives while its callback runs.
    let mut guard = unsafe { Guard::lock(base.cast()) };
    guard.wake_pending = false;
    if result & kind::EDGE_TRIGGERED == 0 {
        let mut notices = [0u64; 64];
        // A pipe may hold more; the descriptor stays ready then.
        // SAFETY: the buffer is as large as said.
        unsafe { uncancelled::read(fd, notices.as_mut_ptr().cast(), size_of_val(&notices)) };
    }
}
