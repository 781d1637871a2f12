//! Reading: decrypts what has arrived into the input buffer.

use crate::bulk::{Fetching, RECORDS};
use crate::ending::{Callbacks, Trouble};
use crate::libevent::*;
use crate::openssl::{LONGEST_RECORD, SSL_ERROR_SYSCALL, SSL_has_pending, SSL_pending, SSL_read};
use crate::tls::{Direction, TlsPtr};
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;

/// The start of a record of unknown length is read into this much room. After that the length of
/// the rest is known, and exactly that much room is made in the input.
const START: usize = 1024;

/// A shorter record that does not follow a long one is taken for a message.
const LONG_MESSAGE: usize = 1024;

impl TlsPtr {
    /// Reads what there is, up to a limit, and notifies the program. The caller has a guard.
    pub fn continue_reading(self) {
        if self.write_needs_read().replace(false) {
            self.continue_writing(Callbacks::AtOnce);
            if self.write_needs_read().get() || !self.is_open() {
                return;
            }
        }
        if self.read_needs_write().get() {
            return;
        }
        self.read_records();
    }

    /// Reads records until there are no more, the program has enough, or it is the turn of others.
    pub fn read_records(self) {
        let session = self.session.get();
        let (count, trouble) = self.read_turn(session);
        let mut waiting = Ok(());
        let end = match trouble {
            None => None,
            Some(Trouble::NeedsRead) => {
                self.needs_more().set(true);
                None
            }
            Some(Trouble::NeedsWrite) => {
                self.read_needs_write().set(true);
                if !self.is_filter() {
                    waiting = self.await_room();
                }
                None
            }
            Some(Trouble::End(class, error)) => Some((class, error)),
        };
        self.charge();
        if self.is_still(session) {
            self.set_flows(count);
        }
        let refused = end.is_none() && waiting.and(self.update_interest()).is_err();
        self.notify_input(count);
        if !self.is_still(session) {
            return;
        }
        if let Some((class, error)) = end {
            self.end(Direction::Read, class, error, Callbacks::AtOnce);
        } else if refused {
            self.fail(event_flag::READING, libc::ENOMEM, Callbacks::AtOnce);
        } else if trouble == Some(Trouble::NeedsRead) {
            self.report_end_below();
        }
    }

    /// Reads records. Returns how much data was in them, and what stopped it.
    ///
    /// On a socket, a message has a turn of its own, so that a program that answers each message
    /// sends the answers one by one.
    fn read_turn(self, session: u32) -> (usize, Option<Trouble>) {
        let mut count = 0;
        let flowing = self.bulk().filter(|bulk| bulk.flows());
        // SAFETY: the SSL lives as long as the bufferevent, for which the caller has a guard.
        let fetching = flowing.map(|bulk| unsafe { Fetching::begin(bulk, self.ssl()) });
        while self.is_running(Direction::Read)
            && !self.has_answer_backlog()
            && count < self.read_limit()
        {
            let length = match self.read_record() {
                Ok(length) => length,
                Err(why) => return (count, Some(why)),
            };
            count += length;
            if !self.is_still(session) {
                break;
            }
            self.charge();
            let is_message = length < LONG_MESSAGE && fetching.is_none();
            if !self.is_filter() && (is_message || !self.has_unread()) {
                break;
            }
        }
        (count, None)
    }

    /// How much was read decides how the next turn reads.
    fn set_flows(self, count: usize) {
        let flows = count > LONGEST_RECORD;
        let bulk = if flows {
            self.bulk_or_new()
        } else {
            self.bulk()
        };
        if let Some(bulk) = bulk {
            bulk.set_flows(flows);
        }
    }

    /// How much is read in a turn: the largest single read that the program allows, times the
    /// number of records fetched at once. The last record may exceed it.
    fn read_limit(self) -> usize {
        // SAFETY: the lock is held.
        let limit = unsafe { bufferevent_get_read_max_(self.as_ptr()) };
        limit.max(0) as usize * RECORDS
    }

    /// Calls the read callback if there is new input, and enough of it.
    fn notify_input(self, count: usize) {
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
        match self.length_ahead() {
            Some(length) if length > START => self.read_fetched(length),
            _ => self.read_unknown(),
        }
    }

    /// An upper bound of the data in the next record, if it is known already.
    fn length_ahead(self) -> Option<usize> {
        let length = self.bulk()?.next_data()?;
        // SAFETY: the SSL lives as long as the bufferevent, whose lock is held.
        let is_next = unsafe { SSL_has_pending(self.ssl()) == 0 };
        is_next.then_some(length.min(LONGEST_RECORD))
    }

    /// Reads a record of at most this length straight into the input.
    fn read_fetched(self, length: usize) -> Result<usize, Trouble> {
        let Some(room) = self.room(length) else {
            return self.read_unknown();
        };
        let count = self.read_into(room.cast(), length)?;
        self.commit(room, count)
    }

    /// Reads a record of unknown length.
    fn read_unknown(self) -> Result<usize, Trouble> {
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
            self.commit(room, count + more)
        }
    }

    /// Appends bytes that were written into the reserved room to the input.
    fn commit(self, room: *mut u8, count: usize) -> Result<usize, Trouble> {
        let mut filled = libc::iovec {
            iov_base: room.cast(),
            iov_len: count,
        };
        // SAFETY: the input lives as long as the bufferevent; nothing has touched it since the room
        // was made.
        let result = unsafe { evbuffer_commit_space(self.common.input.get(), &mut filled, 1) };
        self.accepted(result, count)
    }

    fn read_into(self, place: *mut c_void, room: usize) -> Result<usize, Trouble> {
        let output_below = self.output_below();
        // SAFETY: the SSL lives as long as the bufferevent; the caller guarantees the room.
        let result = self.attempt(|| unsafe { SSL_read(self.ssl(), place, room as c_int) });
        self.count_answers(output_below);
        result
    }

    fn append(self, data: *const c_void, length: usize) -> Result<usize, Trouble> {
        // SAFETY: the caller guarantees the data; the input lives as long as the bufferevent.
        let result = unsafe { evbuffer_add(self.common.input.get(), data, length) };
        self.accepted(result, length)
    }

    /// Handles the result of appending bytes to the input.
    fn accepted(self, result: c_int, length: usize) -> Result<usize, Trouble> {
        if result < 0 {
            // The bytes are lost, and what follows them is meaningless.
            self.broken().set(true);
            return Err(Trouble::End(SSL_ERROR_SYSCALL, libc::ENOMEM));
        }
        Ok(length)
    }

    /// Reserves contiguous room for this many bytes at the end of the input.
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
