//! Adding bytes at either end.

use super::abi::EvbufferReferenceCleanupFn;
use super::chain::{ChainPtr, flag};
use super::chains::{Chains, Detached, Run, Slot};
use super::reference::UserMemory;
use super::{End, Evbuffer, Guard, Refused};
use std::ffi::c_void;

impl Evbuffer {
    /// Appends a copy of bytes and counts them. On failure nothing has changed.
    ///
    /// # Safety
    /// `data` has `count` readable bytes, which may lie in this buffer.
    #[inline]
    pub(super) unsafe fn store(&self, data: *const u8, count: usize) -> Result<Detached, Refused> {
        // SAFETY: the caller guarantees `count` readable bytes, which is all that both want.
        unsafe {
            if self.store_in_tail(data, count) {
                return Ok(Detached::NONE);
            }
            self.store_elsewhere(data, count)
        }
    }

    /// [`Evbuffer::store`] if the tail chain has room for the bytes as it is; whether it has.
    ///
    /// # Safety
    /// As for `store`.
    #[inline]
    unsafe fn store_in_tail(&self, data: *const u8, count: usize) -> bool {
        match self.tail() {
            Some(tail) if count <= tail.space() && self.check_total(count).is_ok() => {
                // SAFETY: there is room; the caller guarantees the data.
                unsafe { tail.push(data, count) };
                self.count_added(count);
                true
            }
            _ => false,
        }
    }

    /// [`Evbuffer::store`] if the tail chain has no room, or there is none.
    ///
    /// # Safety
    /// As for `store`.
    #[inline(never)]
    unsafe fn store_elsewhere(&self, data: *const u8, count: usize) -> Result<Detached, Refused> {
        // SAFETY: the caller guarantees `count` readable bytes, which is all that both want.
        unsafe {
            match self.tail() {
                Some(tail) => {
                    self.check_total(count)?;
                    self.store_behind(tail, data, count)
                }
                None => self.store_first(data, count),
            }
        }
    }

    /// [`Evbuffer::store`] when there is no chain yet.
    ///
    /// # Safety
    /// As for `store`.
    unsafe fn store_first(&self, data: *const u8, count: usize) -> Result<Detached, Refused> {
        if count == 0 {
            return Ok(Detached::NONE);
        }
        let chain = ChainPtr::allocate(count)?;
        // SAFETY: the chain was made for `count` bytes; the caller guarantees the data.
        unsafe { chain.push(data, count) };
        let detached = self.insert_last(chain);
        self.count_added(count);
        Ok(detached)
    }

    /// [`Evbuffer::store`] when the tail chain is too short: slides its data, uses the free chains
    /// after it, or makes a new one.
    ///
    /// # Safety
    /// As for `store`.
    unsafe fn store_behind(
        &self,
        tail: ChainPtr,
        data: *const u8,
        count: usize,
    ) -> Result<Detached, Refused> {
        if tail.should_slide(count) && !tail.contains(data) {
            tail.slide();
            // SAFETY: sliding made room; the caller guarantees the data.
            unsafe { tail.push(data, count) };
            self.count_added(count);
            return Ok(Detached::NONE);
        }
        let room = tail.space();
        let spare: usize = Chains::from(tail.next.get()).map(ChainPtr::space).sum();
        // SAFETY: the caller guarantees the data for all of these.
        unsafe {
            if count - room <= spare {
                self.fill(data, count);
                return Ok(Detached::NONE);
            }
            let rest = count - room;
            let chain = ChainPtr::allocate(rest.max(tail.growth()))?;
            chain.push(data.add(room), rest);
            tail.push(data, room);
            let detached = self.insert_last(chain);
            self.count_added(count);
            Ok(detached)
        }
    }

    /// Copies bytes into the free space of the tail chain and the chains after it.
    ///
    /// # Safety
    /// There is enough space; `data` has `count` readable bytes.
    pub(super) unsafe fn fill(&self, mut data: *const u8, count: usize) {
        let mut left = count;
        let mut slot = self.last_with_data.get();
        while let Some(chain) = slot.get() {
            let part = left.min(chain.space());
            if part > 0 {
                // SAFETY: `part` bytes fit and are left to copy.
                unsafe {
                    chain.push(data, part);
                    data = data.add(part);
                }
                left -= part;
                self.last_with_data.set(slot);
            }
            if left == 0 {
                break;
            }
            slot = Slot::after(chain);
        }
        self.count_added(count);
    }

    /// Makes an empty chain's free space start at its beginning.
    pub(super) fn rewind_if_empty(chain: ChainPtr) {
        if chain.length.get() == 0 && !chain.is(flag::IMMUTABLE | flag::PINNED) {
            chain.misalign.set(0);
        }
    }
}

impl Guard {
    /// Appends a copy of the bytes.
    ///
    /// # Safety
    /// `data` has `count` readable bytes, which may lie in this buffer.
    // Too long for the compiler to inline by itself, but the most frequent call of most programs.
    #[inline(always)]
    pub unsafe fn append(&self, data: *const u8, count: usize) -> Result<(), Refused> {
        self.check_frozen(End::Back)?;
        // SAFETY: the caller guarantees `count` readable bytes, which is all that both want.
        unsafe {
            if !self.store_in_tail(data, count) {
                self.store_elsewhere(data, count)?.release();
            }
        }
        self.notify();
        Ok(())
    }

    /// Appends copies of several pieces in order, as one change. Returns how many bytes.
    ///
    /// # Safety
    /// Every element describes readable memory outside this buffer's chains.
    pub unsafe fn append_vectors(&self, vectors: &[libc::iovec]) -> Result<usize, Refused> {
        self.check_frozen(End::Back)?;
        let total = vectors
            .iter()
            .try_fold(0usize, |sum, vector| sum.checked_add(vector.iov_len))
            .ok_or(Refused::Range)?;
        self.check_total(total)?;
        if total == 0 {
            return Ok(0);
        }
        let detached = self.make_room(total, 2)?;
        for vector in vectors {
            // SAFETY: room for the sum was made; the caller guarantees the memory.
            unsafe { self.fill(vector.iov_base.cast(), vector.iov_len) };
        }
        detached.release();
        self.notify();
        Ok(total)
    }

    /// Appends the program's memory without copying it. On failure the program keeps it.
    pub fn append_reference(
        &self,
        data: *mut u8,
        length: usize,
        cleanup: Option<EvbufferReferenceCleanupFn>,
        argument: *mut c_void,
    ) -> Result<(), Refused> {
        self.check_frozen(End::Back)?;
        self.check_total(length)?;
        let chain = UserMemory::chain(data, length, cleanup, argument)?;
        self.append_run(Run::of(chain)).release();
        self.notify();
        Ok(())
    }

    /// Prepends a copy of the bytes.
    ///
    /// # Safety
    /// `data` has `count` readable bytes, which may lie in this buffer.
    pub unsafe fn prepend(&self, data: *const u8, count: usize) -> Result<(), Refused> {
        if count == 0 {
            return Ok(());
        }
        self.check_frozen(End::Front)?;
        self.check_total(count)?;
        let first = self.first.get();
        let room = first.map_or(0, room_in_front).min(count);
        let rest = count - room;
        let mut new = None;
        if rest > 0 {
            let chain = ChainPtr::allocate(rest.max(first.map_or(0, growth_in_front)))?;
            chain.misalign.set(chain.capacity.get());
            // SAFETY: the chain was made for `rest` bytes.
            unsafe { push_front(chain, data, rest) };
            new = Some(chain);
        }
        if let Some(first) = first {
            // SAFETY: `room` bytes fit in front of the first chain's data.
            unsafe { push_front(first, data.wrapping_add(rest), room) };
        }
        if let Some(chain) = new {
            self.insert_first(chain);
        }
        self.count_added(count);
        self.notify();
        Ok(())
    }
}

/// How many bytes may be written in front of the data of a chain.
fn room_in_front(chain: ChainPtr) -> usize {
    if chain.is(flag::IMMUTABLE | flag::PINNED) {
        0
    } else if chain.length.get() == 0 {
        chain.capacity.get()
    } else {
        chain.misalign.get()
    }
}

/// The smallest size for a new chain before this one. A first chain with free space after its data
/// was not made by prepending: most often just one header is put before it.
fn growth_in_front(chain: ChainPtr) -> usize {
    if chain.space() > 0 { 0 } else { chain.growth() }
}

/// Copies bytes to just before the data of a chain.
///
/// # Safety
/// `count` bytes fit there; `data` has that many readable bytes.
unsafe fn push_front(chain: ChainPtr, data: *const u8, count: usize) {
    if count == 0 {
        return;
    }
    if chain.length.get() == 0 {
        chain.misalign.set(chain.capacity.get());
    }
    chain.misalign.set(chain.misalign.get() - count);
    // SAFETY: the caller guarantees both; the program may pass memory of this very chain.
    unsafe { std::ptr::copy(data, chain.start(), count) };
    chain.length.set(chain.length.get() + count);
}
