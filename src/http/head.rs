//! Writing the head of a message.

use super::connection::ConnectionPtr;
use super::headers::Evkeyvalq;
use super::request::RequestPtr;
use crate::buffer::{Evbuffer, Guard as BufferGuard};
use crate::hooks::memory::OutOfMemory;
use crate::util::ascii;
use memchr::memchr2;
use std::ffi::{CStr, c_char, c_int};
use std::mem::MaybeUninit;
use std::ptr;

/// Most heads are shorter than this.
const ROOM: usize = 2048;
/// A body up to this length is copied.
const SHORT_BODY: usize = 512;

/// The text of a head. It is put into the output in one piece, so that it is there whole or not at
/// all.
pub struct Head {
    short: [MaybeUninit<u8>; ROOM],
    length: usize,
    /// All of it once it is longer.
    long: Option<Long>,
}

/// A buffer of its own, out of which all that is in it can be moved.
struct Long(BufferGuard);

impl Long {
    fn create() -> Result<Long, OutOfMemory> {
        let buffer = Evbuffer::create()?;
        // SAFETY: the buffer is new, and lives until this is dropped.
        Ok(Long(unsafe { BufferGuard::new(buffer.as_ptr()) }))
    }

    fn move_to(&self, output: &BufferGuard) -> Result<(), OutOfMemory> {
        self.0.move_all_to(output).map_err(|_| OutOfMemory)
    }
}

impl Drop for Long {
    fn drop(&mut self) {
        self.0.drop_reference();
    }
}

impl Head {
    /// Empty.
    pub fn empty() -> Head {
        Head {
            short: [const { MaybeUninit::uninit() }; ROOM],
            length: 0,
            long: None,
        }
    }

    /// Appends a text.
    #[inline]
    pub fn add(&mut self, text: &[u8]) -> Result<(), OutOfMemory> {
        if self.has_room(text.len()) {
            // SAFETY: there is room for the text.
            unsafe { self.put(text) };
            return Ok(());
        }
        self.add_beyond(text)
    }

    /// [`Head::add`] where the room is too short.
    #[cold]
    fn add_beyond(&mut self, text: &[u8]) -> Result<(), OutOfMemory> {
        if let Some(long) = &self.long {
            return append(&long.0, text);
        }
        let long = Long::create()?;
        append(&long.0, self.text())?;
        append(&long.0, text)?;
        self.length = 0;
        self.long = Some(long);
        Ok(())
    }

    #[inline]
    fn has_room(&self, length: usize) -> bool {
        self.long.is_none() && length <= ROOM - self.length
    }

    /// # Safety
    /// There is room for the text.
    #[inline(always)]
    unsafe fn put(&mut self, text: &[u8]) {
        // SAFETY: as the caller guarantees; the text is no part of the room.
        unsafe {
            let end = self.short.as_mut_ptr().cast::<u8>().add(self.length);
            ptr::copy_nonoverlapping(text.as_ptr(), end, text.len());
        }
        self.length += text.len();
    }

    /// Appends a text that may not end its line: a program may have put line ends into a header
    /// without asking. They become blanks.
    pub fn add_in_line(&mut self, text: &[u8]) -> Result<(), OutOfMemory> {
        if !ascii::has_control(text) {
            return self.add(text);
        }
        self.add_without_line_ends(text)
    }

    #[cold]
    fn add_without_line_ends(&mut self, text: &[u8]) -> Result<(), OutOfMemory> {
        let mut rest = text;
        while let Some(place) = memchr2(b'\r', b'\n', rest) {
            self.add(&rest[..place])?;
            self.add(b" ")?;
            rest = &rest[place + 1..];
        }
        self.add(rest)
    }

    /// Appends version and code of a reply, with the blank behind them.
    pub fn add_status(
        &mut self,
        major: c_char,
        minor: c_char,
        code: c_int,
    ) -> Result<(), OutOfMemory> {
        if let (0..=9, 0..=9, 100..=999) = (major, minor, code) {
            let digit = |number: c_int| b'0' + number as u8;
            let version = [digit(major.into()), b'.', digit(minor.into()), b' '];
            let code = [
                digit(code / 100),
                digit(code / 10 % 10),
                digit(code % 10),
                b' ',
            ];
            let mut text = *b"HTTP/0.0 000 ";
            text[5..9].copy_from_slice(&version);
            text[9..].copy_from_slice(&code);
            return self.add(&text);
        }
        self.add_odd_status(major, minor, code)
    }

    #[cold]
    fn add_odd_status(
        &mut self,
        major: c_char,
        minor: c_char,
        code: c_int,
    ) -> Result<(), OutOfMemory> {
        self.add(b"HTTP/")?;
        self.add_number(major.into())?;
        self.add(b".")?;
        self.add_number(minor.into())?;
        self.add(b" ")?;
        self.add_number(code.into())?;
        self.add(b" ")
    }

    /// Appends a number.
    fn add_number(&mut self, number: i64) -> Result<(), OutOfMemory> {
        self.add(decimal(number, &mut [0; DIGITS]))
    }

    /// Appends the headers to go out and the empty line.
    pub fn add_headers(&mut self, request: RequestPtr) -> Result<(), OutOfMemory> {
        let before = self.length;
        if self.put_headers(request) {
            return self.add(b"\r\n");
        }
        self.length = before;
        self.add_headers_with_care(request)
    }

    /// [`Head::add_headers`] for headers as they nearly always are: there is room for them, and
    /// none has control characters, let alone line ends. Otherwise what this has added is to be
    /// taken back.
    fn put_headers(&mut self, request: RequestPtr) -> bool {
        // SAFETY: the list is the request's, and its texts are terminated. Room is asked for.
        unsafe {
            let mut pair = Evkeyvalq::first(request.output_headers.get());
            while !pair.is_null() {
                let key = CStr::from_ptr((*pair).key).to_bytes();
                let value = CStr::from_ptr((*pair).value).to_bytes();
                if !self.has_room(key.len() + value.len() + 4) {
                    return false;
                }
                let before = self.length;
                self.put(key);
                self.put(b": ");
                self.put(value);
                if ascii::has_control(&self.text()[before..]) {
                    return false;
                }
                self.put(b"\r\n");
                pair = Evkeyvalq::next(pair);
            }
        }
        true
    }

    #[cold]
    fn add_headers_with_care(&mut self, request: RequestPtr) -> Result<(), OutOfMemory> {
        // SAFETY: the list is the request's, and its texts are terminated.
        unsafe {
            let mut pair = Evkeyvalq::first(request.output_headers.get());
            while !pair.is_null() {
                self.add_in_line(CStr::from_ptr((*pair).key).to_bytes())?;
                self.add(b": ")?;
                self.add_in_line(CStr::from_ptr((*pair).value).to_bytes())?;
                self.add(b"\r\n")?;
                pair = Evkeyvalq::next(pair);
            }
        }
        self.add(b"\r\n")
    }

    /// All of it while it is short.
    fn text(&self) -> &[u8] {
        // SAFETY: so many bytes were written.
        unsafe { std::slice::from_raw_parts(self.short.as_ptr().cast(), self.length) }
    }

    /// Puts the head, and behind it the body, into the output. With a short body the head goes into
    /// its chain, or it is copied, so that all of it goes out in one piece.
    pub fn write_with_body(
        &mut self,
        request: RequestPtr,
        connection: ConnectionPtr,
    ) -> Result<(), OutOfMemory> {
        let Some(output) = connection.output() else {
            return Err(OutOfMemory);
        };
        let body = request.output();
        if let Some(long) = &self.long {
            body.move_all_to(&long.0).map_err(|_| OutOfMemory)?;
            return long.move_to(&output);
        }
        if body.move_only_chain_behind(self.text(), &output) {
            return Ok(());
        }
        let length = body.length();
        if (1..=SHORT_BODY).contains(&length) && self.length + length <= ROOM {
            let mut room = [0; SHORT_BODY];
            let bytes = body.look(&mut room[..length]).map_err(|_| OutOfMemory)?;
            self.add(bytes)?;
            append(&output, self.text())?;
            // The front of the body is not frozen.
            let _ = body.drain(length);
            return Ok(());
        }
        let moved = body.move_all_behind(self.text(), &output);
        moved.map_err(|_| OutOfMemory)
    }

    /// Puts the head into the output, the body follows later.
    pub fn write(&self, connection: ConnectionPtr) -> Result<(), OutOfMemory> {
        let Some(output) = connection.output() else {
            return Err(OutOfMemory);
        };
        match &self.long {
            Some(long) => long.move_to(&output),
            None => append(&output, self.text()),
        }
    }
}

/// Digits and a sign.
pub const DIGITS: usize = 20;

/// A number as text.
pub fn decimal(number: i64, room: &mut [u8; DIGITS]) -> &[u8] {
    let mut rest = number.unsigned_abs();
    let mut start = DIGITS;
    loop {
        start -= 1;
        room[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        start -= 1;
        room[start] = b'-';
    }
    &room[start..]
}

/// Appends a text to a buffer.
pub fn append(output: &BufferGuard, text: &[u8]) -> Result<(), OutOfMemory> {
    // SAFETY: the text is readable and not part of the buffer.
    unsafe { output.append(text.as_ptr(), text.len()) }.map_err(|_| OutOfMemory)
}

#[cfg(test)]
mod tests {
    use super::{DIGITS, decimal};

    #[test]
    fn numbers_are_written_whole() {
        for number in [0, 7, 10, -1, 2048, i64::MAX, i64::MIN] {
            let text = number.to_string();
            assert_eq!(decimal(number, &mut [0; DIGITS]), text.as_bytes());
        }
    }
}
