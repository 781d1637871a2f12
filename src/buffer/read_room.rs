//! Room for what a read may bring, which is mostly much more than what it brings.

use super::chain::ChainPtr;
use super::space::LONGEST_COPY;
use crate::hooks::memory::{OutOfMemory, SpareBlock};

/// No more room than this is kept from one read to the next.
const LONGEST_KEPT: usize = 32 * 1024;

/// Where reads get room from. With a place to keep it in, they do not ask the allocator for room
/// that most of them hardly use, and what they bring is copied out.
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

    /// An empty chain with room for `size` bytes.
    pub fn take(&self, size: usize) -> Result<ChainPtr, OutOfMemory> {
        // SAFETY: only `give_back` keeps blocks there.
        let kept = self
            .0
            .and_then(|place| unsafe { ChainPtr::from_block(place.take()) });
        match kept {
            Some(chain) if chain.capacity.get() >= size => Ok(chain),
            Some(chain) => {
                chain.release();
                ChainPtr::allocate(size)
            }
            None => ChainPtr::allocate(size),
        }
    }

    /// Takes back what [`ReadRoom::take`] gave, still empty.
    pub fn give_back(&self, chain: ChainPtr) {
        match self.0 {
            // SAFETY: an empty chain that is in no list is a block that nobody else knows.
            Some(place) if chain.capacity.get() <= LONGEST_KEPT => unsafe {
                place.keep(chain.as_block());
            },
            _ => chain.release(),
        }
    }

    /// A chain with the `count` bytes that were read into `chain`, and not much more room.
    pub fn trim(&self, chain: ChainPtr, count: usize) -> ChainPtr {
        if self.0.is_some() && count <= LONGEST_COPY {
            if let Ok(copy) = ChainPtr::allocate_exactly(count) {
                // SAFETY: the new chain has room for the bytes that were read.
                unsafe { copy.push(chain.start(), count) };
                self.give_back(chain);
                return copy;
            }
        }
        chain.length.set(count);
        chain.shrink_to_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_kept_until_a_read_fills_much_of_it() {
        let place = SpareBlock::new();
        // SAFETY: nothing else is kept there.
        let room = unsafe { ReadRoom::kept_in(&place) };
        let first = room.take(16384).unwrap();
        // SAFETY: the room is larger.
        unsafe { first.start().copy_from(b"hello".as_ptr(), 5) };
        let few = room.trim(first, 5);
        // SAFETY: the data of a plain chain is in memory.
        assert_eq!(unsafe { few.bytes() }, b"hello");
        assert!(few.capacity.get() < 100);
        few.release();
        let again = room.take(10000).unwrap();
        assert!(again == first);
        let many = room.trim(again, 10000);
        assert_eq!(many.length.get(), 10000);
        let other = room.take(16384).unwrap();
        assert!(other != many);
        many.release();
        room.give_back(other);
        let larger = room.take(20000).unwrap();
        assert!(larger.capacity.get() >= 20000);
        room.give_back(larger);
    }
}
