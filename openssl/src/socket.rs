//! TLS on a socket.
//!
//! # Writing at once
//!
//! As in the core, the kernel is not asked first whether output can be written: the write event is
//! made active for the next iteration of the loop, as if the socket had been reported writable.
//! Only if the socket takes no more is the event registered with the kernel. The program cannot
//! tell the difference: the event is pending in both cases.

use crate::ending::{Callbacks, set_errno};
use crate::interest::WaitFailed;
use crate::libevent::*;
use crate::openssl::{self, BIO_new_socket, SSL_set_bio};
use crate::tls::{Direction, Guard, TlsPtr};
use std::ffi::{c_int, c_short, c_void};

/// A flag in the result of an activated event: run it before the loop waits, if possible.
const BEFORE_WAIT: c_int = 1 << 16;

unsafe extern "C-unwind" {
    fn fcntl(descriptor: c_int, command: c_int, ...) -> c_int;
}

impl TlsPtr {
    /// Assigns the events, which are not pending, to a socket.
    pub fn bind(self, descriptor: c_int) {
        self.descriptor.set(descriptor);
        self.blocks.set(None);
        let callbacks: [ReadinessFn; 2] = [readable, writable];
        for (direction, callback) in Direction::ALL.into_iter().zip(callbacks) {
            let events = direction.kind() | kind::PERSIST | kind::FINALIZE;
            let (event, base) = (self.event(direction), self.common.base.get());
            // SAFETY: the event is part of the bufferevent and not pending; the base outlives it.
            // These kinds of interest never conflict.
            unsafe {
                let argument = self.as_ptr().cast();
                event_assign(event, base, descriptor, events, callback, argument);
            }
        }
    }

    /// Switches to another socket, for a new session. Settings and buffers stay.
    pub fn attach(self, descriptor: c_int) -> Result<(), WaitFailed> {
        // SAFETY: the SSL takes the new BIO over; the events are the bufferevent's own.
        unsafe {
            let bio = BIO_new_socket(descriptor, 0);
            if bio.is_null() {
                return Err(WaitFailed);
            }
            SSL_set_bio(self.ssl(), bio, bio);
            let priority = event_get_priority(self.event(Direction::Read));
            for direction in Direction::ALL {
                event_del(self.event(direction));
            }
            self.bind(descriptor);
            for direction in Direction::ALL {
                event_priority_set(self.event(direction), priority);
            }
        }
        self.restart()?;
        self.update_interest()
    }

    /// Starts or stops waiting for the socket to be ready in a direction.
    pub fn await_descriptor(self, direction: Direction, waits: bool) -> Result<(), WaitFailed> {
        let event = self.event(direction);
        let events = direction.kind() | kind::TIMEOUT;
        // SAFETY: the event is the bufferevent's own, whose lock is held.
        unsafe {
            let pending = event_pending(event, events, std::ptr::null_mut()) != 0;
            if waits && direction == Direction::Read && self.is_open() && self.has_unread() {
                // The kernel does not report that there is data inside the SSL.
                event_active_later_(event, c_int::from(kind::READ));
            }
            if waits == pending || waits && self.descriptor.get() < 0 {
                return Ok(());
            }
            let result = if !waits {
                event_del(event)
            } else if direction == Direction::Write && self.may_write_at_once() {
                event_active_later_(event, c_int::from(kind::WRITE) | BEFORE_WAIT);
                0
            } else {
                bufferevent_add_event_(event, &self.timeout(direction))
            };
            if result < 0 { Err(WaitFailed) } else { Ok(()) }
        }
    }

    /// Waits until the kernel reports room.
    pub fn await_room(self) -> Result<(), WaitFailed> {
        let (event, timeout) = (self.event(Direction::Write), self.timeout(Direction::Write));
        // SAFETY: as above.
        let result = unsafe { bufferevent_add_event_(event, &timeout) };
        if result < 0 { Err(WaitFailed) } else { Ok(()) }
    }

    /// Whether a write can be tried without waiting for the kernel to report room.
    fn may_write_at_once(self) -> bool {
        if !self.is_open() {
            return false;
        }
        let blocks = self.blocks.get().unwrap_or_else(|| {
            // SAFETY: only reads the state of a descriptor, and fails if the number is none.
            let flags = unsafe { fcntl(self.descriptor.get(), libc::F_GETFL) };
            flags < 0 || flags & libc::O_NONBLOCK == 0
        });
        self.blocks.set(Some(blocks));
        !blocks
    }

    /// Whether the TCP connection for the handshake is established, or how it failed.
    fn is_connected(self) -> bool {
        if !self.connect_pending().get() {
            return true;
        }
        // SAFETY: only reads the state of a descriptor, and fails if the number is none.
        match unsafe { evutil_socket_finished_connecting_(self.descriptor.get()) } {
            0 => return false,
            -1 if crate::ending::errno() != libc::ENOTSOCK => {
                let error = crate::ending::errno();
                self.halt();
                set_errno(error);
                self.run_event_callback(event_flag::ERROR, 0);
                return false;
            }
            _ => {}
        }
        self.connect_pending().set(false);
        true
    }

    /// The socket is ready. The caller has a guard.
    fn ready(self, direction: Direction) {
        if !self.is_open() {
            if !self.handshake_held().get() && self.is_connected() {
                self.do_handshake(Callbacks::AtOnce);
            }
            return;
        }
        match direction {
            Direction::Read => {
                self.needs_more().set(false);
                self.continue_reading();
            }
            Direction::Write => self.continue_writing(Callbacks::AtOnce),
        }
    }

    /// A timeout has passed. The event is persistent, so it waits again.
    fn time_out(self, direction: Direction) {
        let direction = if self.is_open() {
            direction.event_flag()
        } else {
            0
        };
        self.run_event_callback(event_flag::TIMEOUT | direction, 0);
    }
}

unsafe extern "C-unwind" fn readable(_: c_int, what: c_short, argument: *mut c_void) {
    // SAFETY: the event is part of the bufferevent that is its argument.
    unsafe { handle_event(argument, Direction::Read, what) };
}

unsafe extern "C-unwind" fn writable(_: c_int, what: c_short, argument: *mut c_void) {
    // SAFETY: as above.
    unsafe { handle_event(argument, Direction::Write, what) };
}

/// # Safety
/// The argument is the bufferevent that the event is part of.
unsafe fn handle_event(argument: *mut c_void, direction: Direction, what: c_short) {
    // SAFETY: the caller guarantees the argument.
    let Some(guard) = (unsafe { Guard::if_alive(argument) }) else {
        return;
    };
    if what == kind::TIMEOUT {
        guard.time_out(direction);
    } else {
        guard.ready(direction);
    }
}

/// Closes the socket.
pub fn close(descriptor: c_int) {
    if descriptor >= 0 {
        // SAFETY: the descriptor is the bufferevent's to close. Nothing could be done about a
        // failure.
        unsafe { evutil_closesocket(descriptor) };
    }
}

/// Gives an SSL a BIO on a socket, or uses the one it has. Returns the socket, or `None` if the SSL
/// has a different one or memory is short.
///
/// # Safety
/// The SSL is live.
pub unsafe fn bind_descriptor(ssl: *mut openssl::SSL, descriptor: c_int) -> Option<c_int> {
    // SAFETY: the caller guarantees the SSL, which takes the new BIO over.
    unsafe {
        if let Some(present) = openssl::take_over_descriptor(ssl) {
            return (descriptor < 0 || descriptor == present).then_some(present);
        }
        if descriptor >= 0 {
            let bio = BIO_new_socket(descriptor, 0);
            if bio.is_null() {
                return None;
            }
            SSL_set_bio(ssl, bio, bio);
        }
        Some(descriptor)
    }
}
