//! Taking bytes from the front, and looking at them in place.

use super::chain::{ChainPtr, flag};
use super::chains::{Chains, Detached, Slot};
use super::position::Position;
use super::{End, Evbuffer, Guard, Refused, file};
use crate::warning_with_errno;
use std::ptr;

impl Evbuffer {
    /// Removes up to `count` bytes at the front, with the chains that become empty, and counts
    /// them. All chains go when all bytes do.
    #[inline]
    pub(super) fn discard(&self, count: usize) -> Detached {
        match self.first.get() {
            Some(first) if count < first.length.get() => {
                first.advance(count);
                self.count_deleted(count);
                Detached::NONE
            }
            _ => self.discard_chains(count),
        }
    }

    /// [`Evbuffer::discard`] when it takes more than a part of the first chain.
    #[inline(never)]
    fn discard_chains(&self, count: usize) -> Detached {
        let total = self.length.get();
        if count < total {
            return self.discard_leading_chains(count);
        }
        let detached = self.detach_data();
        self.count_deleted(total);
        detached
    }

    /// [`Evbuffer::discard`] when bytes are left.
    fn discard_leading_chains(&self, count: usize) -> Detached {
        let mut detached = Detached::NONE;
        let mut left = count;
        while let Some(first) = self.first.get() {
            if left < first.length.get() {
                first.advance(left);
                break;
            }
            left -= first.length.get();
            self.pop_first();
            detached.push(first);
        }
        self.count_deleted(count);
        detached
    }

    /// Brings the bytes of the sendfile chains among the first that hold `count` bytes, counted
    /// from `chain`, into memory.
    pub(super) fn load(&self, chain: Option<ChainPtr>, count: usize) -> Result<(), Refused> {
        let mut left = count;
        for chain in Chains::from(chain) {
            if left == 0 {
                break;
            }
            if chain.is(flag::SENDFILE) {
                file::load(chain)?;
            }
            left -= left.min(chain.length.get());
        }
        Ok(())
    }

    /// Copies bytes out, beginning `offset` bytes into `chain`. They are there; those that are still in
    /// a file are brought into memory first.
    ///
    /// # Safety
    /// `target` has room for `count` bytes.
    #[inline]
    pub(super) unsafe fn copy_from(
        chain: Option<ChainPtr>,
        mut offset: usize,
        mut target: *mut u8,
        count: usize,
    ) -> Result<(), Refused> {
        let mut left = count;
        for chain in Chains::from(chain) {
            file::load(chain)?;
            let part = left.min(chain.length.get() - offset);
            // SAFETY: the chain has `part` bytes there; the caller guarantees the target, which is
            // outside the data being copied.
            unsafe { ptr::copy(chain.start().wrapping_add(offset), target, part) };
            target = target.wrapping_add(part);
            left -= part;
            if left == 0 {
                break;
            }
            offset = 0;
        }
        Ok(())
    }

    /// The chain that will hold the first `count` bytes, and how many it already holds: the first
    /// one if it is writable and long enough, otherwise a new one. If the first already holds most
    /// of the bytes, the new one is made larger than needed, so that a program that pulls up
    /// everything after each addition copies each byte only a few times.
    fn pullup_target(&self, count: usize) -> Result<ChainPtr, Refused> {
        let Some(first) = self.first.get() else {
            return Ok(ChainPtr::allocate(count)?);
        };
        let writable = !first.is(flag::IMMUTABLE | flag::PINNED);
        if writable && first.capacity.get() - first.misalign.get() >= count {
            return Ok(first);
        }
        if writable && first.length.get() > count / 2 {
            if let Ok(roomy) = ChainPtr::allocate_roomily(count) {
                return Ok(roomy);
            }
        }
        Ok(ChainPtr::allocate(count)?)
    }

    /// Moves the first `count` bytes, which span several chains, into one chain at the front.
    /// Returns the chains that are no longer needed.
    fn gather(&self, count: usize) -> Result<Detached, Refused> {
        self.load(self.first.get(), count)?;
        self.check_unpinned(count)?;
        let target = self.pullup_target(count)?;
        let last_with_data = self.tail();
        if self.first.get() == Some(target) {
            self.pop_first();
        }
        let mut detached = Detached::NONE;
        let mut left = count - target.length.get();
        while let Some(chain) = self.first.get() {
            let part = left.min(chain.length.get());
            // SAFETY: the target was made for `count` bytes, and these are in memory.
            unsafe { target.push(chain.start(), part) };
            left -= part;
            if part < chain.length.get() {
                chain.advance(part);
                break;
            }
            self.pop_first();
            detached.push(chain);
            if left == 0 {
                break;
            }
        }
        self.link_gathered(target, last_with_data);
        Ok(detached)
    }

    /// Puts the gathered chain before what is left. `last_with_data` is the chain that was the last
    /// one with data before.
    fn link_gathered(&self, target: ChainPtr, last_with_data: Option<ChainPtr>) {
        let rest = self.first.get();
        target.next.set(rest);
        if rest.is_none() {
            self.last.set(Some(target));
        } else if rest == last_with_data && rest.is_some_and(|chain| chain.length.get() > 0) {
            self.last_with_data.set(Slot::after(target));
        }
        self.first.set(Some(target));
    }

    /// Refuses when a chain that holds some of the first `count` bytes must stay where it is.
    fn check_unpinned(&self, count: usize) -> Result<(), Refused> {
        let mut left = count;
        for chain in self.chains() {
            if left == 0 {
                break;
            }
            if chain.is(flag::PINNED) {
                return Err(Refused::Unsuitable);
            }
            left -= left.min(chain.length.get());
        }
        Ok(())
    }

    /// Copies up to `count` bytes from the front. Returns how many.
    ///
    /// # Safety
    /// `target` has room for `count` bytes, outside this buffer.
    #[inline]
    pub unsafe fn copy_out(&self, target: *mut u8, count: usize) -> Result<usize, Refused> {
        let count = count.min(self.length.get());
        if count == 0 {
            return Ok(0);
        }
        self.check_frozen(End::Front)?;
        // SAFETY: the bytes are there; the caller guarantees the target.
        unsafe { Evbuffer::copy_from(self.first.get(), 0, target, count) }?;
        Ok(count)
    }

    /// Copies up to `count` bytes from a position on. Returns how many.
    ///
    /// # Safety
    /// The position is of this buffer as it is; `target` has room for `count` bytes outside it.
    pub unsafe fn copy_out_from(
        &self,
        position: &Position,
        target: *mut u8,
        count: usize,
    ) -> Result<usize, Refused> {
        let before = position.offset().ok_or(Refused::Range)?;
        if count > isize::MAX as usize - before {
            return Err(Refused::Range);
        }
        let count = count.min(
            self.length
                .get()
                .checked_sub(before)
                .ok_or(Refused::Range)?,
        );
        if count == 0 {
            return Ok(0);
        }
        self.check_frozen(End::Front)?;
        let chain = position.chain().ok_or(Refused::Range)?;
        // SAFETY: the bytes are there; the caller guarantees the target.
        unsafe { Evbuffer::copy_from(Some(chain), position.offset_in_chain(), target, count) }?;
        Ok(count)
    }

    /// Describes the data in place, beginning at a position (`None`: the front), in whole chains
    /// until they hold `count` bytes (`None`: as many chains as there are vectors, or all data if
    /// there are no vectors). Returns how many vectors that takes, and fills those that exist.
    #[inline]
    pub fn peek(
        &self,
        count: Option<usize>,
        start: Option<&Position>,
        vectors: &mut [libc::iovec],
    ) -> Result<usize, Refused> {
        // First without anything that could call the system.
        let in_memory = |chain: ChainPtr| match chain.is(flag::SENDFILE) {
            true => Err(Refused::Unsuitable),
            false => Ok(()),
        };
        match self.describe(count, start, vectors, in_memory) {
            Err(_) => self.load_and_describe(count, start, vectors),
            described => described,
        }
    }

    #[cold]
    fn load_and_describe(
        &self,
        count: Option<usize>,
        start: Option<&Position>,
        vectors: &mut [libc::iovec],
    ) -> Result<usize, Refused> {
        self.describe(count, start, vectors, file::load)
    }

    /// [`Evbuffer::peek`] with what makes sure that the data of a chain is in memory.
    #[inline(always)]
    fn describe(
        &self,
        count: Option<usize>,
        start: Option<&Position>,
        vectors: &mut [libc::iovec],
        load: impl Fn(ChainPtr) -> Result<(), Refused>,
    ) -> Result<usize, Refused> {
        let (mut ahead, mut offset, before) = match start {
            None => (self.first.get(), 0, 0),
            Some(start) => (
                start.chain(),
                start.offset_in_chain(),
                start.offset().unwrap_or(0),
            ),
        };
        let as_many_as_fit = count.is_none() && !vectors.is_empty();
        let wanted = match count {
            Some(count) => count,
            None if as_many_as_fit => usize::MAX,
            None => self.length.get() - before,
        };
        if wanted == 0 && start.is_none() {
            return Ok(0);
        }
        let mut vectors = vectors.iter_mut();
        let (mut seen, mut needed) = (0, 0);
        // The chain that a position is in is described always.
        while let Some(chain) = ahead {
            let vector = vectors.next();
            if vector.is_none() && as_many_as_fit {
                break;
            }
            load(chain)?;
            let length = chain.length.get() - offset;
            if let Some(vector) = vector {
                vector.iov_base = chain.start().wrapping_add(offset).cast();
                vector.iov_len = length;
            }
            needed += 1;
            seen += length;
            if seen >= wanted {
                break;
            }
            offset = 0;
            ahead = chain.next.get();
        }
        Ok(needed)
    }
}

impl Guard {
    /// Removes up to `count` bytes at the front.
    #[inline]
    pub fn drain(&self, count: usize) -> Result<(), Refused> {
        if self.length.get() == 0 {
            return Ok(());
        }
        self.check_frozen(End::Front)?;
        self.discard(count).release();
        self.notify();
        Ok(())
    }

    /// Copies as many bytes from the front as there are and as fit, and returns them. A frozen
    /// front may be read.
    #[inline(never)]
    pub fn look<'a>(&self, room: &'a mut [u8]) -> Result<&'a [u8], Refused> {
        let count = room.len().min(self.length.get());
        // SAFETY: the bytes are there, and the room is not part of the buffer.
        unsafe { Evbuffer::copy_from(self.first.get(), 0, room.as_mut_ptr(), count) }?;
        Ok(&room[..count])
    }

    /// [`Guard::look`], which only copies what does not lie in one piece.
    ///
    /// # Safety
    /// The buffer does not change while the result is used.
    #[inline]
    pub unsafe fn look_in_place<'a>(&'a self, room: &'a mut [u8]) -> Result<&'a [u8], Refused> {
        let count = room.len().min(self.length.get());
        match self.first.get() {
            Some(first) if first.length.get() >= count && !first.is(flag::SENDFILE) => {
                // SAFETY: the bytes are in memory; the caller guarantees that they stay there.
                Ok(unsafe { &first.bytes()[..count] })
            }
            _ => self.look(room),
        }
    }

    /// Moves up to `count` bytes from the front into the program's memory. Returns how many.
    ///
    /// # Safety
    /// As for [`Evbuffer::copy_out`].
    #[inline]
    pub unsafe fn remove(&self, target: *mut u8, count: usize) -> Result<usize, Refused> {
        // SAFETY: the caller guarantees room for `count` bytes.
        let count = unsafe { self.copy_out(target, count) }?;
        if count > 0 {
            self.discard(count).release();
            self.notify();
        }
        Ok(count)
    }

    /// Makes the first `count` bytes (all, for `None`) contiguous and returns their address.
    /// Chains whose bytes were copied are released.
    #[inline]
    pub fn pull_up(&self, count: Option<usize>) -> Result<*mut u8, Refused> {
        let count = count.unwrap_or(self.length.get());
        match self.first.get() {
            Some(first)
                if count > 0 && count <= first.length.get() && !first.is(flag::SENDFILE) =>
            {
                Ok(first.start())
            }
            _ => self.pull_up_chains(count),
        }
    }

    #[inline(never)]
    fn pull_up_chains(&self, count: usize) -> Result<*mut u8, Refused> {
        if count == 0 || count > self.length.get() {
            return Err(Refused::Range);
        }
        let contiguous = self.first.get().filter(|first| first.length.get() >= count);
        if let Some(first) = contiguous {
            file::load(first)?;
            return Ok(first.start());
        }
        let detached = self.gather(count).inspect_err(|refused| {
            if *refused == Refused::OutOfMemory {
                warning_with_errno!("evbuffer_pullup: out of memory");
            }
        })?;
        let start = self.first.get().map_or(ptr::null_mut(), ChainPtr::start);
        detached.release();
        Ok(start)
    }
}
