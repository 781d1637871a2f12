//! The handshake, including renegotiation.

use crate::ending::{Callbacks, Trouble};
use crate::interest::WaitFailed;
use crate::libevent::event_flag;
use crate::openssl::{self, SSL_do_handshake};
use crate::tls::{Direction, State, TlsPtr};
use std::ffi::c_int;

/// The state of a handshake after a step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Finished, and reported to the program.
    Done,
    /// Waiting for the transport.
    Waiting,
    /// Failed, and reported to the program.
    Failed,
}

impl TlsPtr {
    /// Prepares the SSL for the handshake in the role that the initial state gives.
    pub fn begin(self) -> Result<(), WaitFailed> {
        let state = self.first_state.get();
        self.state.set(state);
        let connects = state == State::Connecting && self.descriptor.get() >= 0;
        self.connect_pending().set(connects);
        self.handshake_begun().set(false);
        self.handshake_waits_for.set(Direction::Write);
        self.handshake_held().set(false);
        // SAFETY: the SSL lives as long as the bufferevent, whose lock is held.
        unsafe {
            if state != State::Open && openssl::SSL_clear(self.ssl()) <= 0 {
                self.forget_errors();
                return Err(WaitFailed);
            }
            match state {
                State::Open => {}
                State::Connecting => openssl::SSL_set_connect_state(self.ssl()),
                State::Accepting => openssl::SSL_set_accept_state(self.ssl()),
            }
            if !self.is_filter() {
                openssl::read_ahead(self.ssl(), true);
            }
        }
        Ok(())
    }

    /// Discards the session and everything that belonged to it, for a new one over a new transport.
    pub fn restart(self) -> Result<(), WaitFailed> {
        self.session.set(self.session.get().wrapping_add(1));
        self.read_needs_write().set(false);
        self.write_needs_read().set(false);
        self.needs_more().set(false);
        self.unfinished_write.set(0);
        self.collected.set(0);
        self.answers.set(0);
        self.charged.iter().for_each(|count| count.set(0));
        self.broken().set(false);
        self.error_count.set(0);
        self.end_below.set(0);
        for direction in Direction::ALL {
            self.halted(direction).set(false);
        }
        self.begin()
    }

    /// Does one step of the handshake. The caller has a guard.
    pub fn do_handshake(self, callbacks: Callbacks) -> Progress {
        self.handshake_begun().set(true);
        // SAFETY: the SSL lives as long as the bufferevent, whose lock is held.
        let result = self.attempt(|| unsafe { SSL_do_handshake(self.ssl()) });
        self.charge();
        match result {
            Ok(_) => {
                self.finish_handshake(callbacks);
                Progress::Done
            }
            Err(Trouble::End(class, error)) => {
                self.end(Direction::Read, class, error, callbacks);
                Progress::Failed
            }
            Err(Trouble::NeedsRead) => {
                self.needs_more().set(true);
                self.wait_in_handshake(Direction::Read, callbacks)
            }
            Err(Trouble::NeedsWrite) => self.wait_in_handshake(Direction::Write, callbacks),
        }
    }

    fn wait_in_handshake(self, direction: Direction, callbacks: Callbacks) -> Progress {
        self.handshake_waits_for.set(direction);
        if self.update_interest().is_err() {
            self.fail(event_flag::READING, libc::ENOMEM, callbacks);
            return Progress::Failed;
        }
        if direction == Direction::Read {
            // The transport has ended.
            self.report_end_below();
        }
        Progress::Waiting
    }

    fn finish_handshake(self, callbacks: Callbacks) {
        self.state.set(State::Open);
        self.needs_more().set(false);
        if self.update_interest().is_err() {
            self.fail(event_flag::READING, libc::ENOMEM, callbacks);
            return;
        }
        // Data that arrived with the end of the handshake is read from the loop, after the
        // callback.
        if self.is_filter() {
            self.schedule_pass();
        }
        self.run_event_callback(event_flag::CONNECTED, callbacks.options());
    }

    /// Renegotiates: 1 if done, 0 if begun, -1 if refused or failed.
    pub fn renegotiate(self) -> c_int {
        if self.broken().get() {
            return -1;
        }
        // SAFETY: the SSL lives as long as the bufferevent, whose lock is held.
        let result = unsafe { openssl::SSL_renegotiate(self.ssl()) };
        self.forget_errors();
        if result < 0 {
            return -1;
        }
        self.state.set(State::Connecting);
        self.handshake_waits_for.set(Direction::Write);
        self.handshake_held().set(false);
        if self.is_filter() {
            self.schedule_pass();
            return 0;
        }
        match self.do_handshake(Callbacks::AtOnce) {
            Progress::Done => 1,
            Progress::Waiting => 0,
            Progress::Failed => -1,
        }
    }
}
