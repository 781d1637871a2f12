//! What went wrong, or came to its end, and how the program is told.

use crate::libevent::{option, told};
use crate::openssl::{self, ERR_clear_error, ERR_get_error, ERR_peek_error};
use crate::tls::{Direction, MOST_ERRORS, TlsPtr};
use std::ffi::{c_int, c_short, c_ulong};
use std::mem::forget;

/// What an operation of OpenSSL that did not succeed would have wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// More from the transport.
    NeedsRead,
    /// Room in the transport.
    NeedsWrite,
    /// Nothing any more: it is the end. With the class of the error and errno.
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
    /// As an option of the core.
    pub fn options(self) -> c_int {
        match self {
            Callbacks::AtOnce => 0,
            Callbacks::FromTheLoop => option::DEFER_CALLBACKS,
        }
    }
}

/// An operation of OpenSSL that is under way. When code of the program that it has called unwinds,
/// the operation is done by half, and OpenSSL must not go on with the session: that has failed.
struct UnderWay(TlsPtr);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.broken().set(true);
        self.0.fail(0, libc::ECANCELED, Callbacks::FromTheLoop);
    }
}

impl TlsPtr {
    /// Runs an operation of OpenSSL, which is successful when its result is positive.
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

    /// Tells the program that a direction has ended, with an error of this class, and waits for
    /// nothing any more.
    pub fn end(self, direction: Direction, class: c_int, error: c_int, callbacks: Callbacks) {
        let what = if self.is_clean(class) {
            told::EOF
        } else {
            told::ERROR
        };
        self.record(class);
        self.rest();
        let session = self.session.get();
        // A write that fails behind the end of the peer is of the same class.
        let goes_on = class == openssl::SSL_ERROR_ZERO_RETURN && direction == Direction::Read;
        if goes_on && self.is_filter() {
            // The other direction goes on, behind the callback.
            self.schedule_pass();
        }
        set_errno(error);
        self.tell(direction.told() | what, callbacks.options());
        if goes_on && !self.is_filter() && self.is_still(session) {
            self.go_on_after_end();
        }
    }

    /// The peer has ended its side; the output still goes to it.
    pub fn go_on_after_end(self) {
        // SAFETY: the SSL lives as long as the bufferevent.
        let ended = unsafe { openssl::has_ended(self.ssl()) };
        let rests = self.rests(Direction::Write);
        if ended && self.is_open() && self.output_length() > 0 && rests.replace(false) {
            // What cannot be waited for now is waited for with the next change.
            let _ = self.update_interest();
        }
    }

    /// Waits for nothing, until the program asks for it.
    pub fn rest(self) {
        for direction in Direction::ALL {
            self.rests(direction).set(true);
        }
        // What fails to be deleted was logged.
        let _ = self.update_interest();
    }

    /// Whether the end is one that the program takes for a proper one.
    fn is_clean(self, class: c_int) -> bool {
        // SAFETY: reads this thread's queue.
        let first = unsafe { ERR_peek_error() };
        let dirty = match class {
            openssl::SSL_ERROR_ZERO_RETURN => return true,
            openssl::SSL_ERROR_SYSCALL => first == 0,
            openssl::SSL_ERROR_SSL => self.is_open() && openssl::is_unexpected_eof(first),
            _ => false,
        };
        dirty && self.allows_dirty_shutdown().get()
    }

    /// Keeps what the program can ask for: the class and this thread's queue, which is emptied.
    fn record(self, class: c_int) {
        use openssl::{SSL_ERROR_SSL, SSL_ERROR_SYSCALL, SSL_ERROR_WANT_X509_LOOKUP};
        match class {
            openssl::SSL_ERROR_ZERO_RETURN => {}
            SSL_ERROR_SSL | SSL_ERROR_SYSCALL | SSL_ERROR_WANT_X509_LOOKUP => {
                self.keep_error(class as c_ulong);
            }
            other => {
                // SAFETY: the format takes one number.
                unsafe {
                    let format = c"BUG: Unexpected OpenSSL error code %d";
                    crate::libevent::event_warnx(format.as_ptr(), other);
                }
            }
        }
        // SAFETY: takes from this thread's queue.
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

    /// Takes out the error that was kept last; 0 when there is none.
    pub fn take_error(self) -> c_ulong {
        let Some(left) = self.error_count.get().checked_sub(1) else {
            return 0;
        };
        self.error_count.set(left);
        c_ulong::from(self.errors.get()[usize::from(left)])
    }

    /// Tells the program of an error that OpenSSL does not know of.
    pub fn fail(self, what: c_short, error: c_int, callbacks: Callbacks) {
        self.rest();
        set_errno(error);
        self.tell(what | told::ERROR, callbacks.options());
    }

    /// Leaves nothing in this thread's queue that is nobody's business.
    pub fn forget_errors(self) {
        // SAFETY: empties this thread's queue.
        unsafe { ERR_clear_error() };
    }
}
