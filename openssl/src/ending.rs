//! Errors and ends of stream, and how they are reported to the program.

use crate::libevent::{event_flag, option};
use crate::openssl::{self, ERR_clear_error, ERR_get_error, ERR_peek_error};
use crate::tls::{Direction, MOST_ERRORS, TlsPtr};
use std::ffi::{c_int, c_short, c_ulong};
use std::mem::forget;

/// Why an OpenSSL operation did not succeed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It needs more bytes from the transport.
    NeedsRead,
    /// It needs room in the transport.
    NeedsWrite,
    /// The stream has ended or failed. Holds the result of `SSL_get_error` and errno.
    End(c_int, c_int),
}

/// This thread's errno.
pub fn errno() -> c_int {
    // SAFETY: the address that libc returns is this thread's errno.
    unsafe { *libc::__errno_location() }
}

/// Sets this thread's errno.
pub fn set_errno(error: c_int) {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = error }
}

/// Whether callbacks may run before the caller's function returns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Callbacks {
    /// They may.
    AtOnce,
    /// They run from the loop.
    FromTheLoop,
}

impl Callbacks {
    /// The same as an option for the core.
    pub fn options(self) -> c_int {
        match self {
            Callbacks::AtOnce => 0,
            Callbacks::FromTheLoop => option::DEFER_CALLBACKS,
        }
    }
}

/// An OpenSSL operation in progress. If program code that OpenSSL calls unwinds, the operation is
/// left half done and the session must not be used any more: it counts as failed.
struct UnderWay(TlsPtr);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.broken().set(true);
        self.0.fail(0, libc::ECANCELED, Callbacks::FromTheLoop);
    }
}

impl TlsPtr {
    /// Runs an OpenSSL operation, which has succeeded if its result is positive.
    pub fn attempt(self, operation: impl FnOnce() -> c_int) -> Result<usize, Trouble> {
        if self.broken().get() {
            return Err(Trouble::End(openssl::SSL_ERROR_SYSCALL, libc::ECANCELED));
        }
        // SAFETY: the SSL lives as long as the bufferevent; its lock is held.
        unsafe {
            ERR_clear_error();
            let under_way = UnderWay(self);
            let result = operation();
            forget(under_way);
            if result > 0 {
                return Ok(result as usize);
            }
            let error = errno();
            Err(match openssl::SSL_get_error(self.ssl(), result) {
                openssl::SSL_ERROR_WANT_READ => Trouble::NeedsRead,
                openssl::SSL_ERROR_WANT_WRITE => Trouble::NeedsWrite,
                class => Trouble::End(class, error),
            })
        }
    }

    /// Reports that a direction has ended, with an error of this class, and stops both directions.
    pub fn end(self, direction: Direction, class: c_int, error: c_int, callbacks: Callbacks) {
        let what = if self.is_clean(class) {
            event_flag::EOF
        } else {
            event_flag::ERROR
        };
        self.record(class);
        self.halt();
        let session = self.session.get();
        // A write that fails after the peer's close_notify has the same class.
        let goes_on = class == openssl::SSL_ERROR_ZERO_RETURN && direction == Direction::Read;
        if goes_on && self.is_filter() {
            // Writing continues after the callback.
            self.schedule_pass();
        }
        set_errno(error);
        self.run_event_callback(direction.event_flag() | what, callbacks.options());
        if goes_on && !self.is_filter() && self.is_still(session) {
            self.flush_after_end();
        }
    }

    /// After the peer's close_notify, what is in the output is still sent.
    pub fn flush_after_end(self) {
        // SAFETY: the SSL lives as long as the bufferevent.
        let ended = unsafe { openssl::has_ended(self.ssl()) };
        let halted = self.halted(Direction::Write);
        if ended && self.is_open() && self.output_length() > 0 && halted.replace(false) {
            // If this fails, it is tried again at the next change.
            let _ = self.update_interest();
        }
    }

    /// Stops both directions until the program enables one again.
    pub fn halt(self) {
        for direction in Direction::ALL {
            self.halted(direction).set(true);
        }
        // A failure was logged.
        let _ = self.update_interest();
    }

    /// Whether the program accepts this end as a regular one.
    fn is_clean(self, class: c_int) -> bool {
        // SAFETY: only reads this thread's error queue.
        let first = unsafe { ERR_peek_error() };
        let dirty = match class {
            openssl::SSL_ERROR_ZERO_RETURN => return true,
            openssl::SSL_ERROR_SYSCALL => first == 0,
            openssl::SSL_ERROR_SSL => self.is_open() && openssl::is_unexpected_eof(first),
            _ => false,
        };
        dirty && self.allows_dirty_shutdown().get()
    }

    /// Moves the class and this thread's error queue to where `bufferevent_get_openssl_error` finds
    /// them.
    fn record(self, class: c_int) {
        use openssl::{SSL_ERROR_SSL, SSL_ERROR_SYSCALL, SSL_ERROR_WANT_X509_LOOKUP};
        match class {
            openssl::SSL_ERROR_ZERO_RETURN => {}
            SSL_ERROR_SSL | SSL_ERROR_SYSCALL | SSL_ERROR_WANT_X509_LOOKUP => {
                self.keep_error(class as c_ulong);
            }
            other => {
                // SAFETY: the format takes one int, which is passed.
                unsafe {
                    let format = c"BUG: Unexpected OpenSSL error code %d";
                    crate::libevent::event_warnx(format.as_ptr(), other);
                }
            }
        }
        // SAFETY: only takes from this thread's error queue.
        while let error @ 1.. = unsafe { ERR_get_error() } {
            self.keep_error(error);
        }
    }

    fn keep_error(self, error: c_ulong) {
        let count = usize::from(self.error_count.get());
        if count < MOST_ERRORS {
            let mut errors = self.errors.get();
            errors[count] = error as u32;
            self.errors.set(errors);
            self.error_count.set(count as u8 + 1);
        }
    }

    /// Removes and returns the error that was recorded last, or 0 if there is none.
    pub fn take_error(self) -> c_ulong {
        let Some(left) = self.error_count.get().checked_sub(1) else {
            return 0;
        };
        self.error_count.set(left);
        c_ulong::from(self.errors.get()[usize::from(left)])
    }

    /// Reports an error that did not come from OpenSSL.
    pub fn fail(self, what: c_short, error: c_int, callbacks: Callbacks) {
        self.halt();
        set_errno(error);
        self.run_event_callback(what | event_flag::ERROR, callbacks.options());
    }

    /// Clears this thread's error queue, so that no other session is blamed for what is in it.
    pub fn forget_errors(self) {
        // SAFETY: only empties this thread's error queue.
        unsafe { ERR_clear_error() };
    }
}
