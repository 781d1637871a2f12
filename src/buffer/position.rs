//! Positions in a buffer: an offset from its front, with the chain and the offset in it.

use super::chain::ChainPtr;
use super::chains::Chains;
use super::{Evbuffer, Refused};
use std::mem::{offset_of, size_of};

/// `struct evbuffer_ptr`: valid until the buffer's chains change.
///
/// A position at the end has an offset but no chain; "not found" has offset -1 and no chain.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Position {
    pos: isize,
    chain: Option<ChainPtr>,
    pos_in_chain: usize,
}

const _: () = {
    assert!(size_of::<Position>() == 24);
    assert!(offset_of!(Position, pos) == 0);
    assert!(offset_of!(Position, chain) == 8);
    assert!(offset_of!(Position, pos_in_chain) == 16);
};

impl Position {
    /// The answer of a search that found nothing.
    pub const NOT_FOUND: Position = Position {
        pos: -1,
        chain: None,
        pos_in_chain: 0,
    };

    /// A position inside a chain.
    pub fn new(offset: usize, chain: ChainPtr, offset_in_chain: usize) -> Position {
        Position {
            pos: offset as isize,
            chain: Some(chain),
            pos_in_chain: offset_in_chain,
        }
    }

    /// A position that belongs to no chain.
    pub fn without_chain(offset: isize) -> Position {
        Position {
            pos: offset,
            ..Position::NOT_FOUND
        }
    }

    /// The offset from the front of the buffer; none for "not found".
    pub fn offset(&self) -> Option<usize> {
        usize::try_from(self.pos).ok()
    }

    /// The chain that the byte there is in.
    pub fn chain(&self) -> Option<ChainPtr> {
        self.chain
    }

    /// The offset from the start of the data of that chain.
    pub fn offset_in_chain(&self) -> usize {
        self.pos_in_chain
    }
}

impl Evbuffer {
    /// The position `offset` bytes from the front, which may be the end.
    pub(super) fn position_at(&self, offset: usize) -> Option<Position> {
        if offset > self.length.get() {
            return None;
        }
        walk(Chains::from(self.first.get()), 0, offset)
    }
}

/// The position `left` bytes after the start of the first of the chains, which begins at
/// `offset`.
fn walk(chains: Chains, offset: usize, left: usize) -> Option<Position> {
    let mut start = offset;
    let end = offset.checked_add(left)?;
    for chain in chains {
        let length = chain.length.get();
        if end - start < length {
            return Some(Position::new(end, chain, end - start));
        }
        start += length;
    }
    (start == end).then_some(Position::without_chain(end as isize))
}

impl Evbuffer {
    /// Moves a position to `offset` bytes from the front.
    pub fn set_position(&self, position: &mut Position, offset: usize) -> Result<(), Refused> {
        let found = self.position_at(offset);
        *position = found.unwrap_or(Position::NOT_FOUND);
        found.map(|_| ()).ok_or(Refused::Range)
    }

    /// Moves a position `count` bytes forward.
    pub fn advance_position(&self, position: &mut Position, count: usize) -> Result<(), Refused> {
        let offset = position.offset().ok_or(Refused::Range)?;
        let end = offset.checked_add(count).ok_or(Refused::Range)?;
        if position.chain.is_none() && count == 0 {
            return Ok(());
        }
        let found = match position.chain {
            Some(chain) if end <= self.length.get() => walk(
                Chains::from(Some(chain)),
                offset - position.pos_in_chain,
                position.pos_in_chain + count,
            ),
            _ => None,
        };
        *position = found.unwrap_or(Position::NOT_FOUND);
        found.map(|_| ()).ok_or(Refused::Range)
    }
}
