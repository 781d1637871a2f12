//! Short texts on the stack.

use std::fmt::{self, Write};

/// Text of limited length, built in place; what does not fit is cut.
pub struct Text<const SIZE: usize> {
    bytes: [u8; SIZE],
    length: usize,
}

impl<const SIZE: usize> Text<SIZE> {
    /// The text of `arguments`.
    pub fn of(arguments: fmt::Arguments<'_>) -> Self {
        let mut text = Text {
            bytes: [0; SIZE],
            length: 0,
        };
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
