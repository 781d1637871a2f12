//! Line ends, and taking whole lines out.

use super::position::Position;
use super::search::{Cursor, starts_with};
use super::substring::find_byte;
use super::{End, Evbuffer, Guard};
use crate::hooks::memory;
use crate::warning_with_errno;
use memchr::memchr2;

/// What ends a line. `enum evbuffer_eol_style`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum LineEnd {
    /// Any run of carriage returns and line feeds.
    Any,
    /// A line feed, with a carriage return directly before it if there is one.
    OptionalReturn,
    /// A carriage return and a line feed.
    ReturnAndFeed,
    /// A line feed.
    Feed,
    /// A zero byte.
    Zero,
}

impl LineEnd {
    /// The style with a number of the C interface.
    pub fn from_number(number: u32) -> Option<LineEnd> {
        use LineEnd::*;
        [Any, OptionalReturn, ReturnAndFeed, Feed, Zero]
            .get(number as usize)
            .copied()
    }

    /// Moves the cursor to the first line end at or after it, if there is one; its length.
    fn find(self, cursor: &mut Cursor) -> Option<usize> {
        match self {
            LineEnd::Any => {
                find_first(cursor, |bytes| memchr2(b'\r', b'\n', bytes))?;
                Some(run_length(*cursor))
            }
            LineEnd::OptionalReturn => find_optional_return(cursor),
            LineEnd::ReturnAndFeed => find_return_and_feed(cursor),
            LineEnd::Feed => find_first(cursor, |bytes| find_byte(b'\n', bytes)).map(|()| 1),
            LineEnd::Zero => find_first(cursor, |bytes| find_byte(0, bytes)).map(|()| 1),
        }
    }
}

/// Moves the cursor to the first byte that `find` finds.
fn find_first(cursor: &mut Cursor, find: impl Fn(&[u8]) -> Option<usize>) -> Option<()> {
    // In registers, however many chains are passed.
    let mut here = *cursor;
    loop {
        let bytes = here.bytes()?;
        match find(bytes) {
            Some(index) => {
                *cursor = here.within(index);
                return Some(());
            }
            None => here.pass(bytes.len())?,
        }
    }
}

fn find_optional_return(cursor: &mut Cursor) -> Option<usize> {
    // A carriage return at the very end of the chain before.
    let mut before = None;
    let mut here = *cursor;
    loop {
        let bytes = here.bytes()?;
        match find_byte(b'\n', bytes) {
            Some(0) => {
                *cursor = before.unwrap_or(here);
                return Some(1 + usize::from(before.is_some()));
            }
            Some(feed) => {
                let returns = usize::from(bytes[feed - 1] == b'\r');
                *cursor = here.within(feed - returns);
                return Some(returns + 1);
            }
            None => {
                let last = bytes.len() - 1;
                before = bytes.ends_with(b"\r").then(|| here.within(last));
                here.pass(bytes.len())?;
            }
        }
    }
}

fn find_return_and_feed(cursor: &mut Cursor) -> Option<usize> {
    loop {
        find_first(cursor, |bytes| find_byte(b'\r', bytes))?;
        if starts_with(*cursor, b"\r\n")? {
            return Some(2);
        }
        cursor.advance(1)?;
    }
}

/// How many carriage returns and line feeds follow each other here.
fn run_length(mut cursor: Cursor) -> usize {
    let mut length = 0;
    while let Some(bytes) = cursor.bytes() {
        let count = bytes
            .iter()
            .take_while(|&&byte| byte == b'\r' || byte == b'\n')
            .count();
        length += count;
        if count < bytes.len() || cursor.advance(count).is_none() {
            break;
        }
    }
    length
}

impl Evbuffer {
    /// Finds the first line end at or after `start` (the front, for `None`) and its length.
    pub fn search_line_end(&self, start: Option<&Position>, style: LineEnd) -> (Position, usize) {
        let Some(mut cursor) = self.cursor(start, self.length.get()) else {
            return (Position::NOT_FOUND, 0);
        };
        match style.find(&mut cursor) {
            Some(length) => (cursor.position(), length),
            None => (Position::NOT_FOUND, 0),
        }
    }
}

impl Guard {
    /// Removes the first line with its end. The line is returned in a block of its own, with a zero
    /// byte appended.
    pub fn read_line(&self, style: LineEnd) -> Option<(*mut u8, usize)> {
        self.check_frozen(End::Front).ok()?;
        let mut end = self.cursor(None, self.length.get())?;
        let end_length = style.find(&mut end)?;
        let length = end.offset();
        let line = memory::malloc(length + 1).cast::<u8>();
        if line.is_null() {
            warning_with_errno!("evbuffer_readln: out of memory");
            return None;
        }
        // SAFETY: the search has passed these bytes; the block has room for them and the terminator.
        unsafe {
            if Evbuffer::copy_from(self.first.get(), 0, line, length).is_err() {
                memory::free(line.cast());
                return None;
            }
            line.add(length).write(0);
        }
        self.take_line(length, end_length);
        Some((line, length))
    }

    /// Removes a line and its end. Callbacks see two changes.
    fn take_line(&self, length: usize, end_length: usize) {
        if self.is_unwatched() {
            self.discard(length + end_length).release();
            self.notify();
            return;
        }
        let references = self.references.get();
        if length > 0 {
            self.discard(length).release();
            self.notify();
        }
        // The callbacks may have freed, frozen or emptied the buffer.
        if !self.was_freed_since(references) {
            let _ = self.drain(end_length);
        }
    }
}
