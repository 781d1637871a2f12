//! Reading: what has come is decrypted into the input.

use crate::ending::{Callbacks, Trouble};
use crate::libevent::*;
use crate::openssl::{SSL_ERROR_SYSCALL, SSL_pending, SSL_read};
use crate::tls::{Direction, TlsPtr};
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;

/// The start of a record is read into this much room. How long the rest is, is known then, and as
/// much room is made in the input.
const START: usize = 1024;

/// Longest that a record can be.
const LONGEST_RECORD: usize = 16384;

/// How many of the longest reads that the program allows make a turn.
const RECORDS: usize = 4;

impl TlsPtr {
    /// Reads what there is, up to a limit, and tells the program. The caller has a guard.
    pub fn go_on_reading(self) {
        if self.write_needs_read.replace(false) {
            self.go_on_writing(Callbacks::AtOnce);
            if self.write_needs_read.get() || !self.is_open() {
                return;
            }
        }
        if self.read_needs_write.get() {
            return;
        }
        self.read_records();
    }

    /// Reads records, until there are no more, the program has enough, or others get their turn.
    pub fn read_records(self) {
        let session = self.session.get();
        let mut count = 0;
        let mut trouble = None;
        while self.is_running(Direction::Read) && count < self.read_limit() {
            match self.read_record() {
                Ok(length) => count += length,
                Err(why) => {
                    trouble = Some(why);
                    break;
                }
            }
            self.charge();
            if !self.has_unread() && !self.is_filter() {
                break;
            }
        }
        let end = match trouble {
            None => None,
            Some(Trouble::NeedsRead) => {
                self.needs_more.set(true);
                None
            }
            Some(Trouble::NeedsWrite) => {
                self.read_needs_write.set(true);
                None
            }
            Some(Trouble::End(class, error)) => Some((class, error)),
        };
        self.charge();
        let refused = end.is_none() && self.update_interest().is_err();
        self.tell_of_input(count);
        if !self.is_still(session) {
            return;
        }
        if let Some((class, error)) = end {
            self.end(Direction::Read, class, error, Callbacks::AtOnce);
        } else if refused {
            self.fail(told::READING, libc::ENOMEM, Callbacks::AtOnce);
        } else if trouble == Some(Trouble::NeedsRead) {
            self.tell_of_end_below();
        }
    }

    /// How much is read in a turn. The last record may go beyond.
    fn read_limit(self) -> usize {
        // SAFETY: the lock is held.
        let limit = unsafe { bufferevent_get_read_max_(self.as_ptr()) };
        limit.max(0) as usize * RECORDS
    }

    /// Calls the read callback if there is something new, and enough.
    fn tell_of_input(self, count: usize) {
        if count == 0 {
            return;
        }
        self.start_timers(kind::READ);
        if self.input_length() >= self.common.read_marks.get().low {
            // SAFETY: the caller has a guard.
            unsafe { bufferevent_run_readcb_(self.as_ptr(), 0) };
        }
    }

    /// Reads one record, or what is left of one, into the input.
    fn read_record(self) -> Result<usize, Trouble> {
        let mut start = [MaybeUninit::<u8>::uninit(); START];
        let count = self.read_into(start.as_mut_ptr().cast(), START)?;
        // SAFETY: the SSL lives as long as the bufferevent, whose lock is held.
        let rest = unsafe { SSL_pending(self.ssl()) }.max(0) as usize;
        let rest = rest.min(LONGEST_RECORD);
        if count < START || rest == 0 {
            return self.append(start.as_ptr().cast(), count);
        }
        let Some(room) = self.room(count + rest) else {
            return self.append(start.as_ptr().cast(), count);
        };
        // SAFETY: the room holds both; nothing else has touched the input meanwhile.
        unsafe {
            std::ptr::copy_nonoverlapping(start.as_ptr().cast(), room, count);
            let more = self.read_into(room.add(count).cast(), rest).unwrap_or(0);
            let mut filled = libc::iovec {
                iov_base: room.cast(),
                iov_len: count + more,
            };
            let committed = evbuffer_commit_space(self.common.input.get(), &mut filled, 1);
            self.accepted(committed, count + more)
        }
    }

    fn read_into(self, place: *mut c_void, room: usize) -> Result<usize, Trouble> {
        // SAFETY: the SSL lives as long as the bufferevent; the caller guarantees the room.
        self.attempt(|| unsafe { SSL_read(self.ssl(), place, room as c_int) })
    }

    fn append(self, data: *const c_void, length: usize) -> Result<usize, Trouble> {
        // SAFETY: the caller guarantees the data; the input lives as long as the bufferevent.
        let result = unsafe { evbuffer_add(self.common.input.get(), data, length) };
        self.accepted(result, length)
    }

    /// What the input said to bytes that were read.
    fn accepted(self, result: c_int, length: usize) -> Result<usize, Trouble> {
        if result < 0 {
            // They are lost, and whatever comes behind them has no meaning.
            self.broken.set(true);
            return Err(Trouble::End(SSL_ERROR_SYSCALL, libc::ENOMEM));
        }
        Ok(length)
    }

    /// Room for so many bytes in one piece behind the input.
    fn room(self, size: usize) -> Option<*mut u8> {
        let mut room = libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        };
        // SAFETY: the input lives as long as the bufferevent.
        let made =
            unsafe { evbuffer_reserve_space(self.common.input.get(), size as isize, &mut room, 1) };
        (made == 1).then_some(room.iov_base.cast())
    }
}
