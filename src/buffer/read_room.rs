//! Room for what a read may return, which is usually much more than it does return.

use super::chain::ChainPtr;
use super::space::LONGEST_COPY;
use crate::hooks::memory::{OutOfMemory, SpareBlock};

/// The most bytes of a read for which room is kept. Reads that are expected to return more take
/// room from the allocator, so that an idle base holds little.
pub const SHORT_READ: usize = LONGEST_COPY;

/// Where reads get room from. If there is a place to keep it, reads need not ask the allocator for
/// room of which most of them use little; what they return is copied out of it.
pub struct ReadRoom<'a>(Option<&'a SpareBlock>);

impl<'a> ReadRoom<'a> {
    /// From the allocator, for each read.
    pub const FRESH: ReadRoom<'static> = ReadRoom(None);

    /// Room that is kept.
    ///
    /// # Safety
    /// Nothing else is kept in that place.
    pub unsafe fn kept_in(place: &'a SpareBlock) -> ReadRoom<'a> {
        ReadRoom(Some(place))
    }

    /// Whether room for a short read is kept.
    pub fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// An empty chain with room for `size` bytes.
    pub fn take(&self, size: usize) -> Result<ChainPtr, OutOfMemory> {
        match self.0 {
            Some(place) if size <= SHORT_READ => {
                // SAFETY: only `give_back` keeps blocks there.
                match unsafe { ChainPtr::from_block(place.take()) } {
                    Some(kept) => Ok(kept),
                    None => ChainPtr::allocate(SHORT_READ),
                }
            }
            _ => ChainPtr::allocate(size),
        }
    }

    /// Takes back what [`ReadRoom::take`] gave, still empty.
    pub fn give_back(&self, chain: ChainPtr) {
        match self.0 {
            // SAFETY: an empty chain that is in no list is a block that nobody else refers to.
            Some(place) if chain.capacity.get() < 2 * SHORT_READ => unsafe {
                place.keep(chain.as_block());
            },
            _ => chain.release(),
        }
    }

    /// A chain with the `count` bytes that were read into `chain`, and not much more room than the
    /// `room` bytes that it should have in all.
    pub fn trim(&self, chain: ChainPtr, count: usize, room: usize) -> ChainPtr {
        if self.0.is_some() && count <= LONGEST_COPY {
            if let Ok(copy) = ChainPtr::allocate_exactly(count.max(room)) {
                // SAFETY: the new chain has room for the bytes that were read.
                unsafe { copy.push(chain.start(), count) };
                self.give_back(chain);
                return copy;
            }
        }
        chain.length.set(count);
        chain.shrink(room)
    }
}

/// Room that a read has. It goes back also when the read is left: a thread may be cancelled in it.
pub struct Lent<'a> {
    /// The room.
    pub chain: ChainPtr,
    /// Where the room comes from.
    pub room: &'a ReadRoom<'a>,
}

impl Lent<'_> {
    /// The read is over.
    #[inline]
    pub fn into_chain(self) -> ChainPtr {
        let chain = self.chain;
        std::mem::forget(self);
        chain
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.room.give_back(self.chain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_kept_for_short_reads() {
        let place = SpareBlock::new();
        // SAFETY: nothing else is kept there.
        let room = unsafe { ReadRoom::kept_in(&place) };
        let first = room.take(100).unwrap();
        assert!((SHORT_READ..2 * SHORT_READ).contains(&first.capacity.get()));
        // SAFETY: the room is larger.
        unsafe { first.start().copy_from(b"hello".as_ptr(), 5) };
        let few = room.trim(first, 5, 0);
        // SAFETY: the data of a plain chain is in memory.
        assert_eq!(unsafe { few.bytes() }, b"hello");
        assert!(few.capacity.get() < 100);
        few.release();
        let again = room.take(SHORT_READ).unwrap();
        assert!(again == first);
        let roomy = room.trim(again, 5, 3000);
        assert!((3000..4096).contains(&roomy.capacity.get()));
        roomy.release();
        let many = room.take(16384).unwrap();
        assert!(many != first && many.capacity.get() >= 16384);
        let many = room.trim(many, 10000, 0);
        assert_eq!(many.length.get(), 10000);
        many.release();
        let many = room.take(16384).unwrap();
        room.give_back(many);
        let still = room.take(1).unwrap();
        assert!(still == first);
        room.give_back(still);
    }
}
