//! Finding a string. The time is linear in the data searched, however it is split into chains
//! and whatever the string repeats.

use super::chain::ChainPtr;
use super::position::Position;
use super::substring::{Substring, find_byte};
use super::{Evbuffer, Guard, file};
use crate::hooks::memory::Array;

/// A place in the data that knows how much follows.
#[derive(Clone, Copy)]
pub struct Cursor {
    chain: ChainPtr,
    offset_in_chain: usize,
    offset: usize,
    left: usize,
}

impl Cursor {
    /// At a position, with the data up to `limit` bytes from the front ahead; none when nothing
    /// is there.
    pub fn new(position: &Position, limit: usize) -> Option<Cursor> {
        let offset = position.offset()?;
        let mut cursor = Cursor {
            chain: position.chain()?,
            offset_in_chain: position.offset_in_chain(),
            offset,
            left: limit.checked_sub(offset)?,
        };
        cursor.enter_chain_with_data()?;
        Some(cursor)
    }

    /// Moves to the chain that has the next byte; none at the end.
    #[inline]
    fn enter_chain_with_data(&mut self) -> Option<()> {
        if self.left == 0 {
            return None;
        }
        while self.offset_in_chain >= self.chain.length.get() {
            self.offset_in_chain -= self.chain.length.get();
            self.chain = self.chain.next.get()?;
        }
        Some(())
    }

    /// Moves `count` bytes further; none when the data ends there, or before.
    #[inline]
    pub fn advance(&mut self, count: usize) -> Option<()> {
        self.left = self.left.checked_sub(count)?;
        self.offset += count;
        self.offset_in_chain += count;
        self.enter_chain_with_data()
    }

    /// The cursor that many bytes further in the same chain.
    #[inline]
    pub fn within(mut self, count: usize) -> Cursor {
        self.left -= count;
        self.offset += count;
        self.offset_in_chain += count;
        self
    }

    /// The cursor that many bytes further.
    #[inline]
    fn moved(mut self, count: usize) -> Option<Cursor> {
        self.advance(count).map(|()| self)
    }

    /// Moves past the `count` bytes that [`Cursor::bytes`] gave; none if the data ends there.
    #[inline]
    pub fn pass(&mut self, count: usize) -> Option<()> {
        self.left -= count;
        self.offset += count;
        if self.left == 0 {
            return None;
        }
        self.offset_in_chain = 0;
        self.chain = self.chain.next.get()?;
        while self.chain.length.get() == 0 {
            self.chain = self.chain.next.get()?;
        }
        Some(())
    }

    /// The bytes from here to the end of the chain or of the data; none when they cannot be
    /// brought into memory.
    #[inline]
    pub fn bytes<'a>(&self) -> Option<&'a [u8]> {
        file::load(self.chain).ok()?;
        let ahead = self.chain.length.get().checked_sub(self.offset_in_chain)?;
        let start = self.chain.start().wrapping_add(self.offset_in_chain);
        // SAFETY: the data is in memory now, has this many bytes up to its end, and is not used
        // after the search, for which the guard is held.
        Some(unsafe { std::slice::from_raw_parts(start, ahead.min(self.left)) })
    }

    /// Where this is, for the program.
    pub fn position(&self) -> Position {
        Position::new(self.offset, self.chain, self.offset_in_chain)
    }

    /// The offset from the front.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

/// Bytes collected around the boundaries of chains.
struct Scratch {
    /// Enough for strings up to half of its size.
    fixed: [u8; 256],
    allocated: Array<u8>,
}

impl Scratch {
    fn new() -> Self {
        Scratch {
            fixed: [0; 256],
            allocated: Array::new(),
        }
    }

    /// At least twice `length` bytes, if memory allows.
    fn room(&mut self, length: usize) -> Option<&mut [u8]> {
        if length <= self.fixed.len() / 2 {
            return Some(&mut self.fixed);
        }
        let size = length.checked_mul(4)?;
        self.allocated.try_extend_to(size, 0).ok()?;
        Some(&mut self.allocated)
    }

    /// Copies bytes from the cursor on, across chains: all but the last one of `length` in the
    /// first chain that has that many, or until the room is full.
    #[inline(never)]
    fn collect(&mut self, mut cursor: Cursor, length: usize) -> Option<&[u8]> {
        let room = self.room(length)?;
        let overlap = length - 1;
        let mut used = 0;
        loop {
            let bytes = cursor.bytes()?;
            let long = used > 0 && bytes.len() > overlap;
            let part = if long { &bytes[..overlap] } else { bytes };
            let part = &part[..part.len().min(room.len() - used)];
            room[used..used + part.len()].copy_from_slice(part);
            used += part.len();
            if long || used == room.len() || cursor.advance(part.len()).is_none() {
                return Some(&room[..used]);
            }
        }
    }
}

/// The first occurrence of the string at or after the cursor. Often it is where its first byte first
/// is; then there is nothing to prepare.
#[inline]
fn find(what: &[u8], mut cursor: Cursor) -> Option<Cursor> {
    if cursor.left < what.len() {
        return None;
    }
    let bytes = cursor.bytes()?;
    match find_byte(what[0], bytes) {
        Some(begin) if bytes[begin..].starts_with(what) => return Some(cursor.within(begin)),
        Some(begin) => cursor = cursor.within(begin),
        None => cursor.pass(bytes.len())?,
    }
    find_further(what, cursor)
}

#[inline(never)]
fn find_further(what: &[u8], mut cursor: Cursor) -> Option<Cursor> {
    let length = what.len();
    let mut substring = Substring::new(what);
    let mut scratch = None;
    while cursor.left >= length {
        let bytes = cursor.bytes()?;
        // Mostly nothing begins in the whole of a short chain.
        let Some(mut begin) = find_byte(what[0], bytes) else {
            cursor.pass(bytes.len())?;
            continue;
        };
        if bytes.len() - begin >= length {
            if let Some(index) = substring.find_in(&bytes[begin..]) {
                return Some(cursor.within(begin + index));
            }
            // The last bytes may begin an occurrence that ends further on. Mostly they do not.
            begin = bytes.len() - (length - 1);
            let Some(index) = first_of_few(what[0], &bytes[begin..]) else {
                cursor.pass(bytes.len())?;
                continue;
            };
            begin += index;
        }
        cursor.advance(begin)?;
        if cursor.left < length {
            break;
        }
        let scratch = scratch.get_or_insert_with(Scratch::new);
        let Some(collected) = scratch.collect(cursor, length) else {
            return find_in_place(what, cursor);
        };
        if let Some(index) = substring.find_in(collected) {
            return cursor.moved(index);
        }
        cursor.advance(collected.len() - (length - 1))?;
    }
    None
}

/// Where a byte first occurs among few, for which a call of a function is too much.
#[inline]
fn first_of_few(byte: u8, bytes: &[u8]) -> Option<usize> {
    if bytes.len() < 8 {
        return bytes.iter().position(|other| *other == byte);
    }
    find_byte(byte, bytes)
}

/// [`find`] without memory for scratch: slower, for when there is none.
#[cold]
fn find_in_place(what: &[u8], mut cursor: Cursor) -> Option<Cursor> {
    while !starts_with(cursor, what)? {
        cursor.advance(1)?;
    }
    Some(cursor)
}

/// Whether the bytes at the cursor are these.
pub fn starts_with(mut cursor: Cursor, mut expected: &[u8]) -> Option<bool> {
    loop {
        let bytes = cursor.bytes()?;
        let count = bytes.len().min(expected.len());
        if bytes[..count] != expected[..count] {
            return Some(false);
        }
        expected = &expected[count..];
        if expected.is_empty() {
            return Some(true);
        }
        if cursor.advance(count).is_none() {
            return Some(false);
        }
    }
}

impl Evbuffer {
    /// A cursor at a position, or at the front.
    pub(super) fn cursor(&self, start: Option<&Position>, limit: usize) -> Option<Cursor> {
        match start {
            Some(start) => Cursor::new(start, limit),
            None => Cursor::new(&Position::new(0, self.first.get()?, 0), limit),
        }
    }
}

impl Evbuffer {
    /// Finds `what` at or after `start` (the front, for `None`), ending at or before `end` (the
    /// end of the data, for `None`). An empty string is found at once.
    pub fn search(
        &self,
        what: &[u8],
        start: Option<&Position>,
        end: Option<&Position>,
    ) -> Position {
        if what.is_empty() {
            let front = || self.position_at(0).unwrap_or(Position::NOT_FOUND);
            return start.copied().unwrap_or_else(front);
        }
        let limit = match end {
            Some(end) => end.offset().unwrap_or(0).min(self.length.get()),
            None => self.length.get(),
        };
        let found = self
            .cursor(start, limit)
            .and_then(|cursor| find(what, cursor));
        found.map_or(Position::NOT_FOUND, |cursor| cursor.position())
    }
}

impl Guard {
    /// Finds `what` and makes everything up to its end contiguous; the address of the match.
    pub fn find(&self, what: &[u8]) -> Option<*mut u8> {
        if what.is_empty() {
            return None;
        }
        let offset = self.search(what, None, None).offset()?;
        let start = self.pull_up(Some(offset + what.len())).ok()?;
        Some(start.wrapping_add(offset))
    }
}
