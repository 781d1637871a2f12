//! Short strings on the stack.

use std::fmt::{self, Write};

/// Text of limited length, built in place; what does not fit is cut.
pub struct Text<const SIZE: usize> {
    bytes: [u8; SIZE],
    length: usize,
}

impl<const SIZE: usize> Text<SIZE> {
    /// No text yet.
    pub fn empty() -> Self {
        Text {
            bytes: [0; SIZE],
            length: 0,
        }
    }

    /// The beginning of a text.
    pub fn copy_of(text: &[u8]) -> Self {
        let mut copy = Text::empty();
        let count = text.len().min(SIZE);
        copy.bytes[..count].copy_from_slice(&text[..count]);
        copy.length = count;
        copy
    }

    /// Appends a byte, if there is room.
    pub fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    /// The text of `arguments`.
    pub fn of(arguments: fmt::Arguments<'_>) -> Self {
        let mut text = Text::empty();
        let _ = text.write_fmt(arguments);
        text
    }

    /// The bytes, without a terminator.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl<const SIZE: usize> Write for Text<SIZE> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let count = text.len().min(SIZE - self.length);
        self.bytes[self.length..self.length + count].copy_from_slice(&text.as_bytes()[..count]);
        self.length += count;
        Ok(())
    }
}
