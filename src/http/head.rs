//! Writing the head of a message.

use super::connection::ConnectionPtr;
use super::headers::Evkeyvalq;
use super::request::RequestPtr;
use crate::buffer::Guard as BufferGuard;
use crate::hooks::memory::{Array, OutOfMemory};
use memchr::memchr2;
use std::ffi::CStr;
use std::mem::MaybeUninit;

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
    long: Array<u8>,
}

impl Head {
    /// Empty.
    pub fn empty() -> Head {
        Head {
            short: [const { MaybeUninit::uninit() }; ROOM],
            length: 0,
            long: Array::new(),
        }
    }

    /// Appends a text.
    pub fn add(&mut self, text: &[u8]) -> Result<(), OutOfMemory> {
        let end = self.length + text.len();
        if self.long.is_empty() && end <= ROOM {
            for (place, byte) in self.short[self.length..end].iter_mut().zip(text) {
                place.write(*byte);
            }
            self.length = end;
            return Ok(());
        }
        self.long.try_reserve(self.length + text.len())?;
        for place in 0..self.length {
            // SAFETY: so many bytes were written.
            let byte = unsafe { self.short[place].assume_init() };
            self.long.push_reserved(byte);
        }
        self.length = 0;
        for byte in text {
            self.long.push_reserved(*byte);
        }
        Ok(())
    }

    /// Appends a text that may not end its line: a program may have put line ends into a header
    /// without asking. They become blanks.
    pub fn add_in_line(&mut self, text: &[u8]) -> Result<(), OutOfMemory> {
        let mut rest = text;
        while let Some(place) = memchr2(b'\r', b'\n', rest) {
            self.add(&rest[..place])?;
            self.add(b" ")?;
            rest = &rest[place + 1..];
        }
        self.add(rest)
    }

    /// Appends a number.
    pub fn add_number(&mut self, number: i64) -> Result<(), OutOfMemory> {
        self.add(decimal(number, &mut [0; DIGITS]))
    }

    /// Appends the headers to go out and the empty line.
    pub fn add_headers(&mut self, request: RequestPtr) -> Result<(), OutOfMemory> {
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

    fn text(&self) -> &[u8] {
        if !self.long.is_empty() {
            return &self.long;
        }
        // SAFETY: so many bytes were written.
        unsafe { std::slice::from_raw_parts(self.short.as_ptr().cast(), self.length) }
    }

    /// Puts the head, and behind it the body, into the output. A short body is copied, so that all
    /// of it goes out in one piece.
    pub fn write_with_body(
        &mut self,
        request: RequestPtr,
        connection: ConnectionPtr,
    ) -> Result<(), OutOfMemory> {
        let Some(output) = connection.output() else {
            return Err(OutOfMemory);
        };
        let body = request.output();
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
        append(&output, self.text())
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
