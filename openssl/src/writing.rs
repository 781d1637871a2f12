//! Writing: encrypts and sends what is in the output buffer.

use crate::bulk::{BulkPtr, Collecting, Push, RECORDS};
use crate::ending::{Callbacks, Trouble};
use crate::libevent::*;
use crate::openssl::{LONGEST_RECORD, SSL_ERROR_SYSCALL, SSL_write};
use crate::tls::{Direction, TlsPtr};
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;

/// A segment of the output that is at least this long is sent as it is. Shorter ones are copied
/// together, which costs less than a record, and a system call, for each.
const LONG_SEGMENT: usize = 12288;

/// The most segments that are considered at once.
const MOST_SEGMENTS: usize = 64;

/// How much is sent with one system call, and in one turn on a socket before it is the turn of
/// others.
const BATCH: usize = RECORDS * LONGEST_RECORD;

impl TlsPtr {
    /// Sends what there is, after anything that has to precede it. The caller has a guard.
    pub fn continue_writing(self, callbacks: Callbacks) {
        if self.read_needs_write().replace(false) {
            let session = self.session.get();
            self.read_records();
            if !self.is_still(session) || self.read_needs_write().get() || !self.is_open() {
                return;
            }
        }
        self.write_records(callbacks);
    }

    /// Sends records until the output is empty, the transport is full, or it is the turn of others.
    fn write_records(self, callbacks: Callbacks) {
        let mut count = 0;
        let mut trouble = None;
        while self.may_write() && (self.is_filter() || count < BATCH) {
            match self.write_some() {
                Ok(0) => break,
                Ok(length) => count += length,
                Err(why) => {
                    trouble = Some(why);
                    break;
                }
            }
            self.charge();
        }
        self.charge();
        // Output of which nothing could be sent has a timeout too; if it is running, it is not
        // restarted.
        if count > 0 || !self.has_timer(Direction::Write) {
            self.start_timers(kind::WRITE);
        }
        if count > 0 && self.output_length() <= self.common.write_marks.get().low {
            // Never from within bufferevent_write().
            // SAFETY: the caller has a guard.
            unsafe { bufferevent_run_writecb_(self.as_ptr(), option::DEFER_CALLBACKS) };
        }
        self.after_writing(trouble, callbacks);
    }

    fn after_writing(self, trouble: Option<Trouble>, callbacks: Callbacks) {
        let mut waiting = Ok(());
        match trouble {
            Some(Trouble::End(class, error)) => {
                return self.end(Direction::Write, class, error, callbacks);
            }
            Some(Trouble::NeedsRead) => {
                self.write_needs_read().set(true);
                self.needs_more().set(true);
            }
            Some(Trouble::NeedsWrite) if !self.is_filter() => waiting = self.await_room(),
            Some(Trouble::NeedsWrite) | None => {}
        }
        if waiting.and(self.update_interest()).is_err() {
            self.fail(event_flag::WRITING, libc::ENOMEM, callbacks);
        }
    }

    fn may_write(self) -> bool {
        self.is_running(Direction::Write)
            && !self.write_needs_read().get()
            && !self.read_needs_write().get()
    }

    /// Sends one record, or several at once. Returns how many bytes of the output that was; 0 if
    /// nothing may be sent.
    fn write_some(self) -> Result<usize, Trouble> {
        if self.collected.get() > 0 {
            return self.push_collected();
        }
        let is_more_than_one = self.output_length() > LONGEST_RECORD;
        let bulk = (is_more_than_one && self.unfinished_write.get() == 0)
            .then(|| self.bulk_or_new())
            .flatten();
        match bulk {
            Some(bulk) => self.write_collected(bulk),
            None => self.write_record(),
        }
    }

    /// Sends several records at once.
    fn write_collected(self, bulk: BulkPtr) -> Result<usize, Trouble> {
        let encrypted = self.encrypt_into(bulk);
        if self.collected.get() == 0 {
            return encrypted.map(|()| 0);
        }
        // A failure is reported by the next attempt.
        self.push_collected()
    }

    /// Encrypts records from the front of the output, without removing them.
    fn encrypt_into(self, bulk: BulkPtr) -> Result<(), Trouble> {
        let mut segments = [MaybeUninit::<libc::iovec>::uninit(); MOST_SEGMENTS];
        let segments = self.segments(BATCH, &mut segments);
        let mut copy = MaybeUninit::<[u8; LONGEST_RECORD]>::uninit();
        let mut place = Place::default();
        let whole = self.output_length();
        let _collecting = Collecting::begin(bulk, whole);
        while self.may_write()
            && (self.collected.get() as usize) < BATCH
            && self.output_length() == whole
        {
            let most = self.longest_write();
            let (data, length) = place.record(segments, most, copy.as_mut_ptr().cast());
            if length == 0 {
                break;
            }
            let sent = self.encrypt(data, length)?;
            place.advance(segments, sent);
            self.collected.set(self.collected.get() + sent as u32);
            self.charge();
        }
        Ok(())
    }

    /// Sends what was collected, and removes it from the output once all of it was sent; until
    /// then, the program can rely on it being there.
    fn push_collected(self) -> Result<usize, Trouble> {
        match self.bulk().map_or(Push::Done, BulkPtr::push) {
            Push::Done => {
                let sent = (self.collected.replace(0) as usize).min(self.output_length());
                self.take_out(sent)
            }
            Push::Blocked => Err(Trouble::NeedsWrite),
            Push::Failed(error) => {
                self.forget_errors();
                Err(Trouble::End(SSL_ERROR_SYSCALL, error))
            }
        }
    }

    /// The most bytes that may be written now, within a record.
    fn longest_write(self) -> usize {
        // SAFETY: the lock is held.
        let allowed = unsafe { bufferevent_get_write_max_(self.as_ptr()) };
        (allowed.max(0) as usize).min(LONGEST_RECORD)
    }

    /// Sends one record. Returns how many bytes of the output that was; 0 if nothing may be sent.
    fn write_record(self) -> Result<usize, Trouble> {
        // A write that was begun has to be repeated with all its bytes.
        let most = self
            .longest_write()
            .max(usize::from(self.unfinished_write.get()));
        let mut segments = [MaybeUninit::<libc::iovec>::uninit(); MOST_SEGMENTS];
        let segments = self.segments(most, &mut segments);
        let Some(first) = segments.first() else {
            return Ok(0);
        };
        let enough = first.iov_len >= most.min(LONG_SEGMENT) && self.unfinished_write.get() == 0;
        if segments.len() == 1 || enough {
            return self.send(first.iov_base, first.iov_len.min(most));
        }
        let mut copy = MaybeUninit::<[u8; LONGEST_RECORD]>::uninit();
        let length = copy_together(segments, most.min(LONGEST_RECORD), copy.as_mut_ptr().cast());
        self.send(copy.as_ptr().cast(), length)
    }

    /// The segments at the front of the output up to a length.
    fn segments(
        self,
        most: usize,
        vectors: &mut [MaybeUninit<libc::iovec>; MOST_SEGMENTS],
    ) -> &[libc::iovec] {
        // SAFETY: the output lives as long as the bufferevent and fills in as many as it returns,
        // or, if there were more, all of them.
        unsafe {
            let start = std::ptr::null_mut();
            let (vectors, room) = (vectors.as_mut_ptr().cast(), MOST_SEGMENTS as c_int);
            let output = self.common.output.get();
            let count = evbuffer_peek(output, most as isize, start, vectors, room);
            std::slice::from_raw_parts(vectors, count.clamp(0, room) as usize)
        }
    }

    /// Encrypts and sends bytes from the front of the output, and removes them.
    fn send(self, data: *const c_void, length: usize) -> Result<usize, Trouble> {
        if length == 0 {
            return Ok(0);
        }
        let sent = self.encrypt(data, length)?;
        self.take_out(sent)
    }

    /// Encrypts bytes from the front of the output.
    fn encrypt(self, data: *const c_void, length: usize) -> Result<usize, Trouble> {
        // SAFETY: the SSL lives as long as the bufferevent; the bytes are those of the output, or
        // a copy.
        let sent = self.attempt(|| unsafe { SSL_write(self.ssl(), data, length as c_int) });
        let unfinished = if sent.is_err() { length } else { 0 };
        // At most a record, so it fits.
        self.unfinished_write.set(unfinished as u16);
        sent
    }

    /// Removes from the output what was sent.
    fn take_out(self, sent: usize) -> Result<usize, Trouble> {
        // SAFETY: the output lives as long as the bufferevent.
        if unsafe { evbuffer_drain(self.common.output.get(), sent) } < 0 {
            // The program has frozen the front, so the bytes would be sent again.
            self.broken().set(true);
            return Err(Trouble::End(SSL_ERROR_SYSCALL, libc::EINVAL));
        }
        Ok(sent)
    }
}

/// A position in a list of segments.
#[derive(Default)]
struct Place {
    segment: usize,
    offset: usize,
}

impl Place {
    /// The bytes of the next record: those of one long segment in place, or of several, copied
    /// together.
    fn record(
        &self,
        segments: &[libc::iovec],
        most: usize,
        copy: *mut u8,
    ) -> (*const c_void, usize) {
        let Some(first) = segments.get(self.segment) else {
            return (std::ptr::null(), 0);
        };
        let rest = first.iov_len - self.offset;
        let start = first.iov_base.wrapping_byte_add(self.offset);
        if rest >= most.min(LONG_SEGMENT) || self.segment + 1 == segments.len() {
            return (start, rest.min(most));
        }
        let first = libc::iovec {
            iov_base: start,
            iov_len: rest,
        };
        let length = copy_together(&[first], most, copy);
        let others = &segments[self.segment + 1..];
        let more = copy_together(others, most - length, copy.wrapping_add(length));
        (copy.cast(), length + more)
    }

    /// Advances by this many bytes.
    fn advance(&mut self, segments: &[libc::iovec], count: usize) {
        self.offset += count;
        while let Some(segment) = segments.get(self.segment) {
            if self.offset < segment.iov_len {
                break;
            }
            self.offset -= segment.iov_len;
            self.segment += 1;
        }
    }
}

/// Copies segments, up to a length, into one place that has the room. Returns how much was copied.
fn copy_together(segments: &[libc::iovec], most: usize, place: *mut u8) -> usize {
    let mut length = 0;
    for segment in segments {
        let part = segment.iov_len.min(most - length);
        // SAFETY: the segment is live, and the caller guarantees the room.
        unsafe {
            std::ptr::copy_nonoverlapping(segment.iov_base.cast(), place.add(length), part);
        }
        length += part;
    }
    length
}

impl TlsPtr {
    /// Called when the output has changed: sends what was appended.
    pub fn output_changed(self, change: &BufferChange) {
        if self.is_filter() {
            self.output_changed_in_filter(change);
        } else if change.original_size == 0 || self.waits_vainly().get() {
            self.output_changed_on_socket(change);
        }
        // Otherwise the bufferevent already waits to send what was there before.
    }

    #[inline(never)]
    fn output_changed_in_filter(self, change: &BufferChange) {
        if self.may_write_what_was_added(change) {
            // SAFETY: the bufferevent is live.
            let guard = unsafe { crate::tls::Guard::new(self.as_ptr()) };
            guard.continue_writing(Callbacks::FromTheLoop);
        }
    }

    #[inline(never)]
    fn output_changed_on_socket(self, change: &BufferChange) {
        if self.may_write_what_was_added(change) {
            // If this fails, it is tried again at the next change.
            let waits = self.update_interest_in_writing();
            self.waits_vainly().set(waits.is_err());
        }
    }

    fn may_write_what_was_added(self, change: &BufferChange) -> bool {
        if change.added == 0 || self.detached().get() || !self.is_open() {
            return false;
        }
        if change.original_size == 0 {
            self.halted(Direction::Write).set(false);
        }
        self.is_running(Direction::Write)
    }
}
