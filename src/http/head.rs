//! Writing the head of a message.

use super::connection::ConnectionPtr;
use super::headers::Evkeyvalq;
use super::request::RequestPtr;
use crate::buffer::Guard as BufferGuard;
use crate::hooks::memory::{Array, OutOfMemory};
use std::ffi::CStr;
use std::mem::MaybeUninit;

/// Most heads are shorter than this.
const ROOM: usize = 2048;

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
        let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let mut rest = text;
        while let Some(place) = rest.iter().position(is_line_end) {
            self.add(&rest[..place])?;
            self.add(b" ")?;
            rest = &rest[place + 1..];
        }
        self.add(rest)
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

    /// Puts the head, and behind it the body, into the output.
    pub fn write_with_body(
        &self,
        request: RequestPtr,
        connection: ConnectionPtr,
    ) -> Result<(), OutOfMemory> {
        let Some(output) = connection.output() else {
            return Err(OutOfMemory);
        };
        let moved = request.output().move_all_behind(self.text(), &output);
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

/// Appends a text to a buffer.
pub fn append(output: &BufferGuard, text: &[u8]) -> Result<(), OutOfMemory> {
    // SAFETY: the text is readable and not part of the buffer.
    unsafe { output.append(text.as_ptr(), text.len()) }.map_err(|_| OutOfMemory)
}
