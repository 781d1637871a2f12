//! What a bufferevent waits for: whether it could do something in a direction, and which readiness
//! of the transport tells it so.

use crate::bulk::BulkPtr;
use crate::openssl::SSL_has_pending;
use crate::tls::{Direction, State, TlsPtr};
use std::ffi::c_short;

/// The transport refused an event or a BIO: waiting is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitFailed;

impl TlsPtr {
    /// Whether something can be done once the transport is ready in a direction, if these
    /// directions are not counted.
    fn waits_for(self, direction: Direction, unwanted: c_short) -> bool {
        if self.detached().get() {
            return false;
        }
        if !self.is_open() {
            return self.handshake_awaits() == direction
                && !self.handshake_held().get()
                && !self.halted(direction).get();
        }
        let [reads, writes] = Direction::ALL
            .map(|direction| self.is_running(direction) && unwanted & direction.kind() == 0);
        let reads = reads && !self.has_answer_backlog();
        let writes = writes && (self.output_length() > 0 || self.collected.get() > 0);
        match direction {
            Direction::Read => {
                reads && !self.read_needs_write().get() || writes && self.write_needs_read().get()
            }
            Direction::Write => {
                writes && !self.write_needs_read().get() || reads && self.read_needs_write().get()
            }
        }
    }

    /// What the next step of the handshake waits for. A server first waits for the client's hello.
    fn handshake_awaits(self) -> Direction {
        if self.state.get() == State::Accepting && !self.handshake_begun().get() {
            return Direction::Read;
        }
        self.handshake_waits_for.get()
    }

    /// Starts and stops waiting for each direction as the state requires.
    pub fn update_interest(self) -> Result<(), WaitFailed> {
        self.update_interest_without(0)
    }

    fn update_interest_without(self, unwanted: c_short) -> Result<(), WaitFailed> {
        let [read, write] =
            Direction::ALL.map(|direction| self.update_interest_in(direction, unwanted));
        read.and(write)
    }

    fn update_interest_in(self, direction: Direction, unwanted: c_short) -> Result<(), WaitFailed> {
        let waits = self.waits_for(direction, unwanted);
        if self.is_filter() {
            self.await_below(direction, waits);
            return Ok(());
        }
        self.await_descriptor(direction, waits)
    }

    /// Updates the waiting after data was added to the output.
    pub fn update_interest_in_writing(self) -> Result<(), WaitFailed> {
        if self.write_needs_read().get() {
            return self.update_interest();
        }
        self.update_interest_in(Direction::Write, 0)
    }

    /// Whether data that has already been received can be read.
    pub fn has_unread(self) -> bool {
        if self.needs_more().get() {
            return false;
        }
        // SAFETY: the SSL lives as long as the bufferevent; its lock is held.
        let has_pending = unsafe { SSL_has_pending(self.ssl()) != 0 };
        has_pending || self.bulk().is_some_and(BulkPtr::has_record)
    }

    /// Called when these directions are enabled, or no longer suspended.
    pub fn start(self, directions: c_short) -> Result<(), WaitFailed> {
        for direction in Direction::ALL {
            if directions & direction.kind() == 0 {
                continue;
            }
            let resumed = self.suspended(direction).replace(false);
            // SAFETY: the SSL lives as long as the bufferevent.
            let ended =
                direction == Direction::Read && unsafe { crate::openssl::has_ended(self.ssl()) };
            if !resumed && !ended {
                self.halted(direction).set(false);
            }
            if !resumed {
                self.handshake_held().set(false);
            }
        }
        self.update_interest()
    }

    /// Called when these directions are disabled or suspended.
    pub fn stop(self, directions: c_short) -> Result<(), WaitFailed> {
        for direction in Direction::ALL {
            if directions & direction.kind() == 0 {
                continue;
            }
            // The directions were suspended, not disabled.
            let suspended = self.is_enabled(direction);
            self.suspended(direction).set(suspended);
            if !suspended && self.handshake_waits_for.get() == direction {
                self.handshake_held().set(true);
            }
        }
        self.update_interest_without(directions)
    }
}
