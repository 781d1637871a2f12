//! Line ends, and taking whole lines out.

use super::position::Position;
use super::search::{starts_with, Cursor};
use super::{End, Evbuffer, Guard};
use crate::hooks::memory;
use crate::warning_with_errno;
use memchr::{memchr, memchr2};

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

    /// The first line end at or after the cursor, and its length.
    fn find(self, from: Cursor) -> Option<(Cursor, usize)> {
        match self {
            LineEnd::Any => {
                let start = find_byte(from, |bytes| memchr2(b'\r', b'\n', bytes))?.0;
                Some((start, run_length(start)))
            }
            LineEnd::OptionalReturn => find_optional_return(from),
            LineEnd::ReturnAndFeed => find_return_and_feed(from),
            LineEnd::Feed => Some((find_byte(from, |bytes| memchr(b'\n', bytes))?.0, 1)),
            LineEnd::Zero => Some((find_byte(from, |bytes| memchr(0, bytes))?.0, 1)),
        }
    }
}

/// The first byte that `find` finds, and the cursor at the last byte before the piece it is in.
fn find_byte(
    from: Cursor,
    find: impl Fn(&[u8]) -> Option<usize>,
) -> Option<(Cursor, Option<Cursor>)> {
    let mut before = None;
    let mut cursor = from;
    loop {
        let bytes = cursor.bytes()?;
        if let Some(index) = find(bytes) {
            let before = match index {
                0 => before,
                _ => cursor.advance(index - 1),
            };
            return Some((cursor.advance(index)?, before));
        }
        before = cursor.advance(bytes.len() - 1);
        cursor = cursor.advance(bytes.len())?;
    }
}

fn find_optional_return(from: Cursor) -> Option<(Cursor, usize)> {
    let (feed, before) = find_byte(from, |bytes| memchr(b'\n', bytes))?;
    match before {
        Some(before) if before.bytes()?.first() == Some(&b'\r') => Some((before, 2)),
        _ => Some((feed, 1)),
    }
}

fn find_return_and_feed(from: Cursor) -> Option<(Cursor, usize)> {
    let mut cursor = from;
    loop {
        let (found, _) = find_byte(cursor, |bytes| memchr(b'\r', bytes))?;
        if starts_with(found, b"\r\n")? {
            return Some((found, 2));
        }
        cursor = found.advance(1)?;
    }
}

/// How many carriage returns and line feeds follow each other here.
fn run_length(from: Cursor) -> usize {
    let mut length = 0;
    let mut cursor = Some(from);
    while let Some(bytes) = cursor.and_then(Cursor::bytes) {
        let count = bytes
            .iter()
            .take_while(|&&byte| byte == b'\r' || byte == b'\n')
            .count();
        length += count;
        if count < bytes.len() {
            break;
        }
        cursor = cursor.and_then(|cursor| cursor.advance(count));
    }
    length
}

impl Guard {
    /// Finds the first line end at or after `start` (the front, for `None`) and its length.
    pub fn search_line_end(&self, start: Option<&Position>, style: LineEnd) -> (Position, usize) {
        self.cursor(start, self.length.get())
            .and_then(|cursor| style.find(cursor))
            .map_or((Position::NOT_FOUND, 0), |(cursor, length)| {
                (cursor.position(), length)
            })
    }

    /// Takes the first line out with its end. The line is a block of its own from the allocator,
    /// with a zero byte appended.
    pub fn read_line(&self, style: LineEnd) -> Option<(*mut u8, usize)> {
        self.check_frozen(End::Front).ok()?;
        let (end, end_length) = style.find(self.cursor(None, self.length.get())?)?;
        let length = end.offset();
        let line = memory::malloc(length + 1).cast::<u8>();
        if line.is_null() {
            warning_with_errno!("evbuffer_readln: out of memory");
            return None;
        }
        // SAFETY: the search brought these bytes into memory; the block has room for them and
        // the terminator.
        unsafe {
            Evbuffer::copy_from(self.first.get(), 0, line, length);
            line.add(length).write(0);
        }
        self.take_line(length, end_length);
        Some((line, length))
    }

    /// Removes a line and its end. Callbacks are told in two steps.
    fn take_line(&self, length: usize, end_length: usize) {
        if self.has_no_callbacks() {
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
