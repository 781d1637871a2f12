//! TLS on top of another bufferevent, called the one below: its callbacks, and when it reads.

use crate::bio;
use crate::ending::Callbacks;
use crate::interest::WaitFailed;
use crate::libevent::*;
use crate::openssl::SSL_set_bio;
use crate::tls::{Direction, Guard, TlsPtr};
use std::ffi::{c_int, c_short, c_void};

/// The most bytes of answers to the peer (key updates, for example) that may wait in the output
/// below.
const MOST_ANSWERS: u32 = 1 << 16;

impl TlsPtr {
    /// Makes the SSL read from and write to the bufferevent below.
    pub fn set_bio_below(self) -> Result<(), WaitFailed> {
        let bio = bio::on_bufferevent(self.below.get()).ok_or(WaitFailed)?;
        // SAFETY: the SSL is live and takes ownership of the BIO.
        unsafe { SSL_set_bio(self.ssl(), bio, bio) };
        Ok(())
    }

    /// Takes a reference of the bufferevent below and sets its callbacks.
    pub fn take_over_below(self) {
        let below = self.below.get();
        // SAFETY: this one's reference keeps it alive.
        unsafe {
            bufferevent_incref(below);
            self.set_callbacks_below();
            bufferevent_setwatermark(below, kind::READ, 0, 0);
            // Before it is enabled, so that it does not read before there is a use for it.
            let _ = self.update_interest();
            if bufferevent_enable(below, kind::READ | kind::WRITE) < 0 {
                // There is no result to report this with; the loop reports it like a failed
                // transfer.
                bufferevent_trigger_event(below, event_flag::ERROR, option::DEFER_CALLBACKS);
            }
        }
    }

    fn set_callbacks_below(self) {
        // SAFETY: as above.
        unsafe {
            bufferevent_setcb(
                self.below.get(),
                Some(readable_below),
                Some(writable_below),
                Some(event_below),
                self.as_ptr().cast(),
            );
        }
    }

    /// Whether the bufferevent below still has the callbacks that were set here.
    fn is_wired(self) -> bool {
        // SAFETY: as above.
        let below = unsafe { &*self.below.get() };
        std::ptr::eq(below.argument.get(), self.as_ptr().cast())
            && below
                .read_callback
                .get()
                .is_some_and(|callback| std::ptr::fn_addr_eq(callback, readable_below as DataFn))
    }

    /// Releases the bufferevent below when this one is destroyed.
    pub fn release_below(self) {
        let below = self.below.get();
        // SAFETY: this one's reference keeps it alive, and the core gives that up later. Both have
        // the same lock, which is held.
        unsafe {
            if self.common.options.get() & option::CLOSE_ON_FREE != 0 {
                // One reference of the creator and one of this bufferevent.
                if (*below).references.get() < 2 {
                    let text =
                        c"BEV_OPT_CLOSE_ON_FREE set on an bufferevent with too few references";
                    event_warnx(c"%s".as_ptr(), text.as_ptr());
                } else {
                    bufferevent_free(below);
                }
                return;
            }
            if self.is_wired() {
                bufferevent_setcb(below, None, None, None, std::ptr::null_mut());
                self.set_reading_below(true);
            }
        }
    }

    fn set_reading_below(self, reads: bool) {
        let below = self.below.get();
        // SAFETY: as above.
        unsafe {
            let rests = (*below).read_suspended.get() & SUSPENDED_BY_FILTER != 0;
            if reads && rests {
                bufferevent_unsuspend_read_(below, SUSPENDED_BY_FILTER);
            } else if !reads && !rests {
                bufferevent_suspend_read_(below, SUSPENDED_BY_FILTER);
            }
        }
    }

    /// Starts or stops waiting for the bufferevent below to be ready in a direction.
    pub fn await_below(self, direction: Direction, waits: bool) {
        if direction == Direction::Read {
            self.set_reading_below(waits);
        }
        let possible = match direction {
            Direction::Read => self.has_input_below() || self.is_open() && self.has_unread(),
            Direction::Write => self.has_room_below() && self.is_open(),
        };
        if waits && possible && !self.detached().get() {
            self.schedule_pass();
        }
    }

    fn has_input_below(self) -> bool {
        // SAFETY: this one's reference keeps the one below, and its buffers, alive.
        let length = unsafe { evbuffer_get_length((*self.below.get()).input.get()) };
        length > 0 && !self.needs_more().get()
    }

    fn has_room_below(self) -> bool {
        // SAFETY: as above.
        unsafe { bio::room(self.below.get()) > 0 }
    }

    /// Whether the transport is a pair, which is connected from the start and reports no event for
    /// it.
    fn is_usable_from_the_start(self) -> bool {
        let mut bottom = self.below.get();
        // SAFETY: each one's reference keeps the one below it alive.
        unsafe {
            loop {
                let below = bufferevent_get_underlying(bottom);
                if below.is_null() {
                    break;
                }
                bottom = below;
            }
            std::ptr::eq((*bottom).operations.get(), &raw const bufferevent_ops_pair)
        }
    }

    /// Makes the loop start the handshake, if nothing else will.
    pub fn schedule_handshake(self) {
        if !self.is_open() && self.is_usable_from_the_start() {
            self.schedule_pass();
        }
    }

    /// Sets another descriptor for the bufferevent below and begins a new session over it.
    pub fn attach_below(self, descriptor: c_int) -> Result<(), WaitFailed> {
        self.set_bio_below()?;
        self.set_callbacks_below();
        self.restart()?;
        let below = self.below.get();
        // SAFETY: this one's reference keeps the one below alive.
        unsafe {
            if descriptor < 0 {
                return self.update_interest();
            }
            // What the buffers hold belongs to the previous session.
            let buffers = [(*below).input.get(), (*below).output.get()];
            for buffer in buffers.into_iter().filter(|_| !self.is_open()) {
                evbuffer_drain(buffer, evbuffer_get_length(buffer));
            }
            if bufferevent_setfd(below, descriptor) < 0 {
                return Ok(());
            }
        }
        self.update_interest()
    }

    /// The number of bytes in the output of the bufferevent below; 0 on a socket.
    pub fn output_below(self) -> usize {
        if !self.is_filter() {
            return 0;
        }
        // SAFETY: as above.
        unsafe { evbuffer_get_length((*self.below.get()).output.get()) }
    }

    /// Counts what the SSL has sent to the peer because of a read, such as key updates.
    pub fn count_answers(self, output_before: usize) {
        let more = self.output_below().saturating_sub(output_before);
        let answers = (self.answers.get() as usize).saturating_add(more);
        self.answers.set(answers.min(u32::MAX as usize) as u32);
    }

    /// Whether so many answers wait for a peer that does not read them that reading has to pause.
    /// On a socket, the kernel's buffer limits this.
    pub fn has_answer_backlog(self) -> bool {
        if self.answers.get() > 0 && self.output_below() == 0 {
            self.answers.set(0);
        }
        self.answers.get() > MOST_ANSWERS
    }

    /// The bufferevent below has input, or room for output. The caller has a guard.
    fn continue_direction(self, direction: Direction) {
        if self.is_open() {
            match direction {
                Direction::Read => {
                    self.needs_more().set(false);
                    self.continue_reading();
                }
                Direction::Write => self.continue_writing(Callbacks::AtOnce),
            }
        } else if !self.handshake_held().get() && !self.halted(Direction::Read).get() {
            self.needs_more().set(false);
            self.do_handshake(Callbacks::AtOnce);
        }
    }

    /// Restarts the timeout of a direction, or stops it if the direction waits for nothing.
    fn restart_timer(self, direction: Direction) {
        let awaited = self.is_running(direction)
            && (direction == Direction::Read || self.output_length() > 0);
        let timeout = self.timeout(direction);
        // SAFETY: the event is the bufferevent's own. A timer only fails without memory.
        unsafe {
            if awaited && (timeout.tv_sec != 0 || timeout.tv_usec != 0) {
                bufferevent_add_event_(self.event(direction), &timeout);
            } else {
                event_del(self.event(direction));
            }
        }
    }

    /// Whether the timeout of a direction is running.
    pub fn has_timer(self, direction: Direction) -> bool {
        // SAFETY: the event is part of the bufferevent.
        unsafe { event_pending(self.event(direction), kind::TIMEOUT, std::ptr::null_mut()) != 0 }
    }

    /// Starts the timeouts of directions that are enabled. On a socket the events themselves have
    /// them.
    pub fn start_timers(self, directions: c_short) {
        for direction in Direction::ALL {
            if self.is_filter() && directions & direction.kind() != 0 {
                self.restart_timer(direction);
            }
        }
    }

    /// Stops the timeouts of these directions.
    pub fn stop_timers(self, directions: c_short) {
        for direction in Direction::ALL {
            if self.is_filter() && directions & direction.kind() != 0 {
                // SAFETY: the event is the bufferevent's own.
                unsafe { event_del(self.event(direction)) };
            }
        }
    }

    /// Reports the end of the transport below once everything that preceded it was read.
    pub fn report_end_below(self) {
        let what = self.end_below.replace(0);
        if what == 0 {
            return;
        }
        self.halt();
        self.run_event_callback(what, 0);
    }

    fn note_end_below(self) {
        // SAFETY: the SSL lives as long as the bufferevent.
        if unsafe { crate::openssl::has_ended(self.ssl()) } {
            // The program already knows, from the peer's close_notify.
            return;
        }
        let what = if self.allows_dirty_shutdown().get() {
            event_flag::EOF
        } else {
            event_flag::ERROR
        };
        self.end_below.set(what);
        let session = self.session.get();
        self.needs_more().set(false);
        if self.is_open() && self.is_running(Direction::Read) {
            // This reports the end when it finds nothing more to read.
            self.continue_reading();
        } else {
            self.continue_direction(Direction::Read);
        }
        let more = self.has_input_below() || self.has_unread();
        if self.is_still(session) && !(more && self.is_enabled(Direction::Read)) {
            self.report_end_below();
        }
    }

    /// Does what is possible without a callback of the bufferevent below. The caller has a guard.
    fn continue_from_loop(self) {
        if self.is_open() {
            let session = self.session.get();
            self.continue_writing(Callbacks::AtOnce);
            if self.is_still(session) && self.is_open() {
                self.continue_direction(Direction::Read);
            }
        } else {
            self.continue_direction(Direction::Write);
        }
        self.flush_after_end();
    }
}

/// Runs a function on the TLS bufferevent that is the argument of a callback of the one below.
///
/// # Safety
/// The argument is a TLS bufferevent on top of the one that calls back.
unsafe fn above(argument: *mut c_void, call: impl FnOnce(TlsPtr)) {
    // SAFETY: the caller guarantees the argument. The bufferevent below may call without the shared
    // lock (`BEV_OPT_UNLOCK_CALLBACKS`); taking it again is harmless.
    if let Some(guard) = unsafe { Guard::if_alive(argument) } {
        call(*guard);
    }
}

unsafe extern "C-unwind" fn readable_below(_: *mut Bufferevent, argument: *mut c_void) {
    // SAFETY: `set_callbacks_below` set this function together with a TLS bufferevent.
    unsafe { above(argument, |tls| tls.continue_direction(Direction::Read)) };
}

unsafe extern "C-unwind" fn writable_below(_: *mut Bufferevent, argument: *mut c_void) {
    // SAFETY: as above.
    unsafe {
        above(argument, |tls| {
            if tls.is_open() || tls.handshake_waits_for.get() == Direction::Write {
                tls.continue_direction(Direction::Write);
            }
        });
    }
}

unsafe extern "C-unwind" fn event_below(_: *mut Bufferevent, what: c_short, argument: *mut c_void) {
    // SAFETY: as above.
    unsafe {
        above(argument, |tls| {
            if what & event_flag::EOF != 0 {
                tls.note_end_below();
            } else if what & event_flag::CONNECTED != 0 {
                if !tls.is_open() {
                    tls.continue_direction(Direction::Write);
                }
            } else {
                tls.run_event_callback(what, 0);
            }
        });
    }
}

/// Called by the loop for the queue entry, or with a null entry if the base ends before.
///
/// # Safety
/// The argument is the bufferevent that the entry is part of, and the entry holds a reference.
pub unsafe extern "C-unwind" fn run_pass(entry: *mut EventCallback, argument: *mut c_void) {
    /// Releases the reference, also when a callback unwinds.
    struct Queued(*mut Bufferevent);
    impl Drop for Queued {
        fn drop(&mut self) {
            // SAFETY: the entry held the reference.
            unsafe { bufferevent_decref(self.0) };
        }
    }
    let queued = Queued(argument.cast());
    if entry.is_null() {
        return;
    }
    // SAFETY: the reference keeps the bufferevent alive.
    if let Some(guard) = unsafe { Guard::if_alive(queued.0.cast()) } {
        guard.continue_from_loop();
    }
}
