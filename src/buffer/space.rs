//! Making room at the end, and handing that room out to be written from outside.

use super::chain::{ChainPtr, LONGEST, flag};
use super::chains::{Chains, Detached, Slot};
use super::{End, Evbuffer, Guard, Refused};
use crate::hooks::memory::OutOfMemory;
use crate::require;
use std::ffi::c_void;

/// Longest data that is copied to make a chain larger, or smaller.
pub(super) const LONGEST_COPY: usize = 4096;

impl Evbuffer {
    /// The slot of the chain that free space begins in: the tail, or its successor when the tail
    /// is full.
    pub(super) fn first_free_slot(&self) -> Slot {
        let slot = self.last_with_data.get();
        match slot.get() {
            Some(tail) if tail.space() == 0 => Slot::after(tail),
            _ => slot,
        }
    }

    /// Makes one chain at the end have `count` free bytes, and returns it.
    pub(super) fn make_single_room(&self, count: usize) -> Result<(ChainPtr, Detached), Refused> {
        if count > LONGEST {
            return Err(Refused::Range);
        }
        let Some(chain) = self.first_free_slot().get() else {
            return self.add_free_chain(count);
        };
        if chain.is(flag::IMMUTABLE | flag::PINNED) {
            return self.add_free_chain(count);
        }
        if chain.space() >= count {
            return Ok((chain, Detached::NONE));
        }
        let length = chain.length.get();
        if length == 0 {
            return self.add_free_chain(count);
        }
        if chain.should_slide(count) {
            chain.slide();
            return Ok((chain, Detached::NONE));
        }
        let (capacity, space) = (chain.capacity.get(), chain.space());
        let nearly_full = space < capacity / 8;
        // A chain that would be left mostly free, for a little that it lacks, is worth a longer copy.
        let longest_copy = if count <= space + space / 2 {
            LONGEST_COPY.max(capacity / 2)
        } else {
            LONGEST_COPY
        };
        if nearly_full || length > longest_copy || count >= LONGEST - length {
            return match chain.next.get() {
                Some(next) if next.space() >= count => Ok((next, Detached::NONE)),
                _ => {
                    let chain = allocate_for_more(count)?;
                    Ok((chain, self.insert_last(chain)))
                }
            };
        }
        let larger = allocate_for_more(length + count)?;
        // SAFETY: the new chain has room; a writable chain's data is in memory.
        unsafe { larger.push(chain.start(), length) };
        Ok((larger, self.replace_tail(larger)))
    }

    #[inline]
    fn add_free_chain(&self, count: usize) -> Result<(ChainPtr, Detached), Refused> {
        let chain = ChainPtr::allocate(count)?;
        Ok((chain, self.insert_last(chain)))
    }

    /// Makes room for `count` bytes at the end in at most `most` chains (two or more), without
    /// moving data.
    #[inline]
    pub(super) fn make_room(&self, count: usize, most: usize) -> Result<Detached, Refused> {
        if count > LONGEST {
            return Err(Refused::Range);
        }
        let Some(tail) = self.tail() else {
            return Ok(self.add_free_chain(count)?.1);
        };
        let mut available = 0usize;
        let mut used = 0;
        for chain in Chains::from(Some(tail)) {
            if chain.length.get() == 0 {
                Self::rewind_if_empty(chain);
            }
            if chain.space() > 0 {
                used += 1;
                available += chain.space();
            }
            if available >= count {
                return Ok(Detached::NONE);
            }
            if used == most {
                break;
            }
        }
        if used < most {
            let chain = ChainPtr::allocate(count - available)?;
            let last = self.last.get().unwrap_or(tail);
            last.next.set(Some(chain));
            self.last.set(Some(chain));
            return Ok(Detached::NONE);
        }
        let kept = if tail.length.get() > 0 {
            tail.space()
        } else {
            0
        };
        Ok(self.add_free_chain(count - kept)?.1)
    }

    /// Describes the free space from the tail on, up to `count` bytes if `exact`, else in whole
    /// chains until they suffice. Returns how many vectors were filled.
    #[inline]
    pub(super) fn free_vectors(
        &self,
        count: usize,
        vectors: &mut [libc::iovec],
        exact: bool,
    ) -> usize {
        let mut left = count;
        let mut used = 0;
        for chain in Chains::from(self.tail()) {
            if left == 0 || used == vectors.len() {
                break;
            }
            let space = chain.space();
            if space == 0 {
                continue;
            }
            vectors[used] = libc::iovec {
                iov_base: chain.free_start().cast::<c_void>(),
                iov_len: if exact { space.min(left) } else { space },
            };
            left -= space.min(left);
            used += 1;
        }
        used
    }

    /// The slot of the first chain with free space, starting at the tail.
    pub(super) fn first_slot_with_space(&self) -> Option<Slot> {
        let mut slot = self.last_with_data.get();
        while slot.get()?.space() == 0 {
            slot = Slot::after(slot.get()?);
        }
        Some(slot)
    }

    /// Turns `lengths` of the free space, beginning in the chain at `slot`, into data and counts
    /// it. Chains without space are passed over.
    ///
    /// Every length fits the chain it falls on; the caller has checked that.
    pub(super) fn commit(&self, mut slot: Slot, mut lengths: impl Iterator<Item = usize>) {
        let mut total = 0;
        while let Some(chain) = slot.get() {
            let here = slot;
            slot = Slot::after(chain);
            if chain.space() == 0 {
                continue;
            }
            let Some(length) = lengths.next() else {
                break;
            };
            chain.length.set(chain.length.get() + length);
            total += length;
            if length > 0 {
                self.last_with_data.set(here);
            }
        }
        self.count_added(total);
    }
}

/// A chain for a buffer that room was made in before. Where it is little, the next times need none.
fn allocate_for_more(count: usize) -> Result<ChainPtr, OutOfMemory> {
    if count <= 2 * LONGEST_COPY {
        ChainPtr::allocate_roomily(count)
    } else {
        ChainPtr::allocate(count)
    }
}

impl Guard {
    /// Makes one chain at the end have room for `count` bytes.
    pub fn expand(&self, count: usize) -> Result<(), Refused> {
        let (_, detached) = self.make_single_room(count)?;
        detached.release();
        Ok(())
    }

    /// Adds an empty chain for `count` bytes that will certainly be written, in pages that are there.
    pub fn expand_in_present_pages(&self, count: usize) -> Result<(), Refused> {
        let chain = ChainPtr::allocate_in_present_pages(count)?;
        self.insert_last(chain).release();
        Ok(())
    }

    /// Makes room for `count` bytes in at most `most` chains.
    pub fn expand_in_chains(&self, count: usize, most: usize) -> Result<(), Refused> {
        self.make_room(count, most)?.release();
        Ok(())
    }

    /// Describes free space at the end for at least `count` bytes. Returns how many vectors.
    #[inline]
    pub fn reserve(&self, count: usize, vectors: &mut [libc::iovec]) -> Result<usize, Refused> {
        self.check_frozen(End::Back)?;
        match vectors {
            [] => Err(Refused::Range),
            [vector] => {
                *vector = self.single_room(count)?;
                Ok(1)
            }
            _ => {
                self.make_room(count, vectors.len())?.release();
                Ok(self.free_vectors(count, vectors, false))
            }
        }
    }

    /// Free space of at least `size` contiguous bytes.
    #[inline]
    pub fn single_room(&self, size: usize) -> Result<libc::iovec, Refused> {
        self.check_frozen(End::Back)?;
        let tail = self.tail().filter(|tail| tail.space() >= size.max(1));
        let (chain, detached) = match tail {
            Some(tail) => (tail, Detached::NONE),
            None => self.make_single_room(size)?,
        };
        let room = libc::iovec {
            iov_base: chain.free_start().cast(),
            iov_len: chain.space(),
        };
        detached.release();
        Ok(room)
    }

    /// Turns reserved space into data. Nothing happens unless the vectors describe the starts of
    /// the free space of consecutive chains, and fit there; a single one may be in any chain after
    /// the data.
    #[inline]
    pub fn commit_vectors(&self, vectors: &[libc::iovec]) -> Result<(), Refused> {
        self.check_frozen(End::Back)?;
        let Some(first) = vectors.first() else {
            return Ok(());
        };
        if vectors.len() > 1 || !self.commit_in_tail(first) {
            self.commit_anywhere(first, vectors)?;
        }
        self.notify();
        Ok(())
    }

    #[cold]
    fn commit_anywhere(&self, first: &libc::iovec, vectors: &[libc::iovec]) -> Result<(), Refused> {
        let slot = if vectors.len() == 1 {
            self.slot_of_space_at(first.iov_base)
        } else {
            self.first_slot_with_space()
        }
        .ok_or(Refused::Range)?;
        self.check_vectors(slot, vectors)?;
        self.commit(slot, vectors.iter().map(|vector| vector.iov_len));
        Ok(())
    }

    /// The free space at the end as vectors, for a read from outside, and the slot of the first
    /// chain used. The room must exist.
    pub fn read_vectors(
        &self,
        count: usize,
        vectors: &mut [libc::iovec],
        exact: bool,
    ) -> (usize, Slot) {
        let slot = self.first_slot_with_space();
        require!(slot.is_some(), "no free space to read into");
        let used = self.free_vectors(count, vectors, exact);
        (used, slot.unwrap_or(self.first_slot()))
    }

    /// Commits into the tail chain, the usual case, if that is where the space is.
    #[inline]
    fn commit_in_tail(&self, vector: &libc::iovec) -> bool {
        let tail = self.tail().filter(|tail| {
            vector.iov_len <= tail.space()
                && tail.free_start().cast() == vector.iov_base
                && self.check_total(vector.iov_len).is_ok()
        });
        if let Some(tail) = tail {
            tail.length.set(tail.length.get() + vector.iov_len);
            self.count_added(vector.iov_len);
        }
        tail.is_some()
    }

    fn slot_of_space_at(&self, start: *mut c_void) -> Option<Slot> {
        let mut slot = self.last_with_data.get();
        loop {
            let chain = slot.get()?;
            if chain.space() > 0 && chain.free_start().cast() == start {
                return Some(slot);
            }
            slot = Slot::after(chain);
        }
    }

    fn check_vectors(&self, slot: Slot, vectors: &[libc::iovec]) -> Result<(), Refused> {
        let mut chains = Chains::from(slot.get()).filter(|chain| chain.space() > 0);
        let mut total = 0usize;
        for vector in vectors {
            let chain = chains.next().ok_or(Refused::Range)?;
            if chain.free_start().cast() != vector.iov_base || vector.iov_len > chain.space() {
                return Err(Refused::Range);
            }
            total += vector.iov_len;
        }
        self.check_total(total)
    }
}
