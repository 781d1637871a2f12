//! On another bufferevent, the one below: its callbacks, and its reading.

use crate::bio;
use crate::ending::Callbacks;
use crate::interest::NotAwaited;
use crate::libevent::*;
use crate::openssl::SSL_set_bio;
use crate::tls::{Direction, Guard, TlsPtr};
use std::ffi::{c_int, c_short, c_void};

/// Most bytes that may wait for a peer because of what it sends.
const MOST_ANSWERS: u32 = 1 << 16;

impl TlsPtr {
    /// Puts the BIO of the one below into the SSL.
    pub fn set_bio_below(self) -> Result<(), NotAwaited> {
        let bio = bio::on_bufferevent(self.below.get()).ok_or(NotAwaited)?;
        // SAFETY: the SSL takes it over.
        unsafe { SSL_set_bio(self.ssl(), bio, bio) };
        Ok(())
    }

    /// Becomes the callbacks of the one below.
    pub fn take_over_below(self) {
        let below = self.below.get();
        // SAFETY: this one's reference keeps it alive.
        unsafe {
            bufferevent_incref(below);
            self.set_callbacks_below();
            bufferevent_setwatermark(below, kind::READ, 0, 0);
            // Before it is enabled: reading rests until there is a use for it.
            let _ = self.update_interest();
            if bufferevent_enable(below, kind::READ | kind::WRITE) < 0 {
                // Nobody can be told here: it is heard of from the loop, like a failed transfer.
                bufferevent_trigger_event(below, told::ERROR, option::DEFER_CALLBACKS);
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

    /// Whether the callbacks of the one below are this one's.
    fn is_wired(self) -> bool {
        // SAFETY: as above.
        let below = unsafe { &*self.below.get() };
        std::ptr::eq(below.argument.get(), self.as_ptr().cast())
            && below
                .read_callback
                .get()
                .is_some_and(|callback| std::ptr::fn_addr_eq(callback, readable_below as DataFn))
    }

    /// Lets the one below go, at the end.
    pub fn release_below(self) {
        let below = self.below.get();
        // SAFETY: this one's reference keeps it alive, and the core gives that up later. Both have
        // the same lock, which is held.
        unsafe {
            if self.common.options.get() & option::CLOSE_ON_FREE != 0 {
                // The creator's and this one's.
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
                self.let_below_read(true);
            }
        }
    }

    fn let_below_read(self, reads: bool) {
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

    /// Waits, or does not wait, for the one below.
    pub fn await_below(self, direction: Direction, waits: bool) {
        if direction == Direction::Read {
            self.let_below_read(waits);
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

    /// Whether the handshake over the one below can start without being told by that: it goes to
    /// the other end of a pair.
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

    /// Has the handshake begin from the loop, if nothing else will make it begin.
    pub fn schedule_handshake(self) {
        if !self.is_open() && self.is_usable_from_the_start() {
            self.schedule_pass();
        }
    }

    /// Another descriptor for the one below, and a new session over it.
    pub fn attach_below(self, descriptor: c_int) -> Result<(), NotAwaited> {
        self.set_bio_below()?;
        self.set_callbacks_below();
        self.begin_again()?;
        let below = self.below.get();
        // SAFETY: this one's reference keeps the one below alive.
        unsafe {
            if descriptor < 0 {
                return self.update_interest();
            }
            // What is there belongs to the session before.
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

    /// How much waits to be sent by the one below, if there is one.
    pub fn output_below(self) -> usize {
        if !self.is_filter() {
            return 0;
        }
        // SAFETY: as above.
        unsafe { evbuffer_get_length((*self.below.get()).output.get()) }
    }

    /// Counts what reading has had the SSL say to the peer, like new keys that were asked for.
    pub fn count_answers(self, output_before: usize) {
        let more = self.output_below().saturating_sub(output_before);
        let answers = (self.answers.get() as usize).saturating_add(more);
        self.answers.set(answers.min(u32::MAX as usize) as u32);
    }

    /// Whether a peer that takes no answers has asked so much that reading has to rest. On a
    /// descriptor, the kernel sees to that.
    pub fn owes_much(self) -> bool {
        if self.answers.get() > 0 && self.output_below() == 0 {
            self.answers.set(0);
        }
        self.answers.get() > MOST_ANSWERS
    }

    /// Something came from below, or can go there. The caller has a guard.
    fn go_on(self, direction: Direction) {
        if self.is_open() {
            match direction {
                Direction::Read => {
                    self.needs_more().set(false);
                    self.go_on_reading();
                }
                Direction::Write => self.go_on_writing(Callbacks::AtOnce),
            }
        } else if !self.handshake_held().get() && !self.rests(Direction::Read).get() {
            self.needs_more().set(false);
            self.shake_hands(Callbacks::AtOnce);
        }
    }

    /// Timers: runs the one of a direction from now on, if something is to happen.
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

    /// Whether the timer of a direction runs.
    pub fn has_timer(self, direction: Direction) -> bool {
        // SAFETY: the event is part of the bufferevent.
        unsafe { event_pending(self.event(direction), kind::TIMEOUT, std::ptr::null_mut()) != 0 }
    }

    /// Starts the timers of directions that are started, for there is no descriptor to wait for.
    pub fn start_timers(self, directions: c_short) {
        for direction in Direction::ALL {
            if self.is_filter() && directions & direction.kind() != 0 {
                self.restart_timer(direction);
            }
        }
    }

    /// Stops them.
    pub fn stop_timers(self, directions: c_short) {
        for direction in Direction::ALL {
            if self.is_filter() && directions & direction.kind() != 0 {
                // SAFETY: the event is the bufferevent's own.
                unsafe { event_del(self.event(direction)) };
            }
        }
    }

    /// The end of the one below is told when all that came before it was read.
    pub fn tell_of_end_below(self) {
        let what = self.end_below.replace(0);
        if what == 0 {
            return;
        }
        self.rest();
        self.tell(what, 0);
    }

    fn hear_of_end_below(self) {
        // SAFETY: the SSL lives as long as the bufferevent.
        if unsafe { crate::openssl::has_ended(self.ssl()) } {
            // That is what the program has been told already.
            return;
        }
        let what = if self.allows_dirty_shutdown().get() {
            told::EOF
        } else {
            told::ERROR
        };
        self.end_below.set(what);
        let session = self.session.get();
        self.needs_more().set(false);
        if self.is_open() && self.is_running(Direction::Read) {
            // Tells, when it finds nothing more.
            self.go_on_reading();
        } else {
            self.go_on(Direction::Read);
        }
        let more = self.has_input_below() || self.has_unread();
        if self.is_still(session) && !(more && self.is_enabled(Direction::Read)) {
            self.tell_of_end_below();
        }
    }

    /// What can be done without being told by the one below. The caller has a guard.
    fn go_on_from_the_loop(self) {
        if self.is_open() {
            let session = self.session.get();
            self.go_on_writing(Callbacks::AtOnce);
            if self.is_still(session) && self.is_open() {
                self.go_on(Direction::Read);
            }
        } else {
            self.go_on(Direction::Write);
        }
        self.go_on_after_end();
    }
}

/// Runs a function on the bufferevent above the one that calls back.
///
/// # Safety
/// The argument is the one above.
unsafe fn above(argument: *mut c_void, call: impl FnOnce(TlsPtr)) {
    // SAFETY: the caller guarantees the argument. The one below calls without the lock if it was
    // made to; taking it again is harmless.
    if let Some(guard) = unsafe { Guard::if_alive(argument) } {
        call(*guard);
    }
}

unsafe extern "C-unwind" fn readable_below(_: *mut Bufferevent, argument: *mut c_void) {
    // SAFETY: the argument was set with this function.
    unsafe { above(argument, |tls| tls.go_on(Direction::Read)) };
}

unsafe extern "C-unwind" fn writable_below(_: *mut Bufferevent, argument: *mut c_void) {
    // SAFETY: as above.
    unsafe {
        above(argument, |tls| {
            if tls.is_open() || tls.handshake_waits_for.get() == Direction::Write {
                tls.go_on(Direction::Write);
            }
        });
    }
}

unsafe extern "C-unwind" fn event_below(_: *mut Bufferevent, what: c_short, argument: *mut c_void) {
    // SAFETY: as above.
    unsafe {
        above(argument, |tls| {
            if what & told::EOF != 0 {
                tls.hear_of_end_below();
            } else if what & told::CONNECTED != 0 {
                if !tls.is_open() {
                    tls.go_on(Direction::Write);
                }
            } else {
                tls.tell(what, 0);
            }
        });
    }
}

/// What the loop calls for the queue entry; without one, when it never will.
///
/// # Safety
/// The argument is the bufferevent that the entry is part of; the entry held a reference.
pub unsafe extern "C-unwind" fn run_pass(entry: *mut EventCallback, argument: *mut c_void) {
    /// Given up also when a callback unwinds.
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
        guard.go_on_from_the_loop();
    }
}
