//! The date of replies, made once a second.

use crate::util::date;
use std::cell::Cell;

/// The length of a date.
pub const LENGTH: usize = 29;

/// Remembers the date of the last second for which there was one.
pub struct DateCache(Cell<(libc::time_t, [u8; LENGTH])>);

impl DateCache {
    /// Without any.
    pub const fn empty() -> DateCache {
        DateCache(Cell::new((0, [0; LENGTH])))
    }

    /// The present date.
    pub fn now(&self) -> [u8; LENGTH] {
        // SAFETY: `time` takes a null pointer.
        let second = unsafe { libc::time(std::ptr::null_mut()) };
        let (last, text) = self.0.get();
        if last == second {
            return text;
        }
        let mut text = [b' '; LENGTH];
        if let Some(date) = date::rfc1123(&date::now()) {
            let bytes = date.as_bytes();
            let count = bytes.len().min(LENGTH);
            text[..count].copy_from_slice(&bytes[..count]);
        }
        self.0.set((second, text));
        text
    }
}
