//! The list of chains of a buffer.
//!
//! Invariants, whenever no operation is in progress:
//! - `first` and `last` are both null or neither; the last chain's `next` is null;
//! - `length` is the sum of the chains' lengths;
//! - `last_with_data` is the slot (the buffer's `first` or a chain's `next`) that points at the
//!   last chain with data; when no chain has data it is the slot `first`;
//! - chains after that one are empty: free space. There may also be empty chains before it.
//!
//! Chains that leave a list are collected as [`Detached`] and released once the buffer is
//! consistent again, because releasing may run code of the program that uses the buffer.

use super::Evbuffer;
use super::chain::{ChainPtr, flag};
use crate::hooks::memory::OutOfMemory;
use std::cell::Cell;
use std::ptr::NonNull;

/// So many small pieces that are moved to a buffer keep their chains.
const MOST_PIECES: u8 = 24;

/// The address of the place that points at a chain: `first` of a buffer or `next` of a chain.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Slot(NonNull<Cell<Option<ChainPtr>>>);

impl Slot {
    /// The slot at an address.
    pub fn at(place: NonNull<Cell<Option<ChainPtr>>>) -> Slot {
        Slot(place)
    }

    fn of(place: &Cell<Option<ChainPtr>>) -> Slot {
        Slot(NonNull::from(place))
    }

    /// The slot that points at the chain after this one.
    #[inline]
    pub fn after(chain: ChainPtr) -> Slot {
        Slot::of(&chain.next)
    }

    /// The chain it points at.
    #[inline]
    pub fn get(self) -> Option<ChainPtr> {
        // SAFETY: slots are made of live buffers and chains, and the list functions below replace
        // `last_with_data` before the chain that holds it leaves the list.
        unsafe { self.0.as_ref() }.get()
    }

    /// Makes it point at another chain.
    #[inline]
    pub fn set(self, chain: Option<ChainPtr>) {
        // SAFETY: as in `get`.
        unsafe { self.0.as_ref() }.set(chain);
    }

    /// The address, for the interface that hands it out.
    pub fn as_ptr(self) -> *mut Option<ChainPtr> {
        self.0.as_ptr().cast()
    }
}

/// Chains in order, beginning with a given one.
pub struct Chains(Option<ChainPtr>);

impl Chains {
    /// From this chain on.
    #[inline]
    pub fn from(chain: Option<ChainPtr>) -> Chains {
        Chains(chain)
    }
}

impl Iterator for Chains {
    type Item = ChainPtr;
    #[inline]
    fn next(&mut self) -> Option<ChainPtr> {
        let chain = self.0?;
        self.0 = chain.next.get();
        Some(chain)
    }
}

/// Chains that were taken out of a list, in order, still to be released.
#[must_use = "the chains leak"]
pub struct Detached {
    first: Option<ChainPtr>,
    last: Option<ChainPtr>,
}

impl Detached {
    /// No chains.
    pub const NONE: Detached = Detached {
        first: None,
        last: None,
    };

    /// Adds a chain that has just left its list.
    #[inline]
    pub fn push(&mut self, chain: ChainPtr) {
        chain.next.set(None);
        match self.last {
            Some(last) => last.next.set(Some(chain)),
            None => self.first = Some(chain),
        }
        self.last = Some(chain);
    }

    /// These chains, then the others.
    pub fn and(mut self, others: Detached) -> Detached {
        for chain in Chains::from(others.first) {
            self.push(chain);
        }
        self
    }

    /// Releases all. The program's code may run and change any buffer.
    #[inline]
    pub fn release(self) {
        if let Some(first) = self.first {
            release_chains(first);
        }
    }
}

#[inline(never)]
fn release_chains(first: ChainPtr) {
    if first.next.get().is_none() {
        return first.release();
    }
    for chain in Chains::from(Some(lowest_first(first))) {
        chain.release();
    }
}

/// The list, turned around when it leads downwards in memory, as after prepending: an allocator
/// that gives the end of its memory back to the system would do so at each step.
fn lowest_first(first: ChainPtr) -> ChainPtr {
    match first.next.get() {
        Some(second) if second.as_block() < first.as_block() => reversed(first),
        _ => first,
    }
}

/// Cleanups of the program are not called in another order: then the list stays as it is.
#[cold]
fn reversed(first: ChainPtr) -> ChainPtr {
    let chains = || Chains::from(Some(first));
    if chains().any(|chain| chain.is(flag::REFERENCE | flag::FILE_SEGMENT | flag::VIEW)) {
        return first;
    }
    let mut front = None;
    for chain in chains() {
        chain.next.set(front);
        front = Some(chain);
    }
    front.unwrap_or(first)
}

/// Linked chains on their way from one buffer to another.
pub struct Run {
    first: ChainPtr,
    last: ChainPtr,
    /// Slot of the last chain with data; `None` means the slot that points at `first`.
    last_with_data: Option<Slot>,
    length: usize,
}

impl Run {
    /// One chain.
    pub fn of(chain: ChainPtr) -> Run {
        Run {
            first: chain,
            last: chain,
            last_with_data: None,
            length: chain.length.get(),
        }
    }

    /// Adds a chain at the end.
    pub fn push(&mut self, chain: ChainPtr) {
        self.last.next.set(Some(chain));
        if chain.length.get() > 0 {
            self.last_with_data = Some(Slot::after(self.last));
            self.length += chain.length.get();
        }
        self.last = chain;
    }

    /// The number of bytes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The chain, if there is only one, and it has data.
    fn single(&self) -> Option<ChainPtr> {
        (self.first == self.last && self.length > 0).then_some(self.first)
    }

    /// Gives the chains up.
    pub fn discard(self) {
        let chains = Detached {
            first: Some(self.first),
            last: Some(self.last),
        };
        chains.release();
    }
}

impl Evbuffer {
    /// The slot that points at the first chain.
    pub(super) fn first_slot(&self) -> Slot {
        Slot::of(&self.first)
    }

    /// The chains, first to last.
    pub(super) fn chains(&self) -> Chains {
        Chains::from(self.first.get())
    }

    /// The chain that data is appended to: the last one with data, else the first.
    #[inline]
    pub(super) fn tail(&self) -> Option<ChainPtr> {
        self.last_with_data.get().get()
    }

    /// The slot after the last chain with data, and that chain.
    fn end_of_data(&self) -> (Slot, Option<ChainPtr>) {
        match self.tail() {
            Some(chain) if chain.length.get() > 0 => (Slot::after(chain), Some(chain)),
            _ => (self.first_slot(), None),
        }
    }

    /// Takes out the empty chains at the end, except pinned ones.
    pub(super) fn sweep_tail(&self) -> Detached {
        let (mut slot, mut last) = self.end_of_data();
        let mut detached = Detached::NONE;
        while let Some(chain) = slot.get() {
            if chain.is(flag::PINNED) {
                slot = Slot::after(chain);
                last = Some(chain);
            } else {
                slot.set(chain.next.get());
                detached.push(chain);
            }
        }
        self.last.set(last);
        detached
    }

    /// Puts a chain at the end in place of the empty ones there. Does not count its bytes.
    #[inline]
    pub(super) fn insert_last(&self, chain: ChainPtr) -> Detached {
        if self.last.get().is_some() {
            return self.insert_behind_data(chain);
        }
        self.first.set(Some(chain));
        self.last.set(Some(chain));
        Detached::NONE
    }

    #[inline(never)]
    fn insert_behind_data(&self, chain: ChainPtr) -> Detached {
        let detached = self.sweep_tail();
        let slot = match self.last.get() {
            Some(last) => Slot::after(last),
            None => self.first_slot(),
        };
        slot.set(Some(chain));
        self.last.set(Some(chain));
        if chain.length.get() > 0 {
            self.last_with_data.set(slot);
        }
        detached
    }

    /// Prepends a chain with data. Does not count its bytes.
    pub(super) fn insert_first(&self, chain: ChainPtr) {
        let old = self.first.get();
        chain.next.set(old);
        match old {
            None => self.last.set(Some(chain)),
            Some(old) => {
                if self.last_with_data.get() == self.first_slot() && old.length.get() > 0 {
                    self.last_with_data.set(Slot::after(chain));
                }
            }
        }
        self.first.set(Some(chain));
    }

    /// Replaces the last chain with data, and all chains after it, by `new`, which holds the same
    /// data.
    pub(super) fn replace_tail(&self, new: ChainPtr) -> Detached {
        let slot = self.last_with_data.get();
        let mut detached = Detached::NONE;
        let mut last_kept = new;
        for chain in Chains::from(slot.get()) {
            if chain.is(flag::PINNED) {
                last_kept.next.set(Some(chain));
                last_kept = chain;
            } else {
                detached.push(chain);
            }
        }
        last_kept.next.set(None);
        slot.set(Some(new));
        self.last.set(Some(last_kept));
        detached
    }

    /// Takes all chains out. Does not count their bytes.
    pub(super) fn detach_all(&self) -> Detached {
        let detached = Detached {
            first: self.first.get(),
            last: self.last.get(),
        };
        self.forget_chains();
        detached
    }

    #[inline]
    pub(super) fn forget_chains(&self) {
        self.first.set(None);
        self.last.set(None);
        self.last_with_data.set(self.first_slot());
    }

    /// Takes the first chain out. Does not count its bytes.
    #[inline]
    pub(super) fn pop_first(&self) -> Option<ChainPtr> {
        let chain = self.first.get()?;
        let next = chain.next.get();
        self.first.set(next);
        if next.is_none() {
            self.last.set(None);
        }
        let slot = self.last_with_data.get();
        if slot == Slot::after(chain) {
            self.last_with_data.set(self.first_slot());
        }
        chain.next.set(None);
        Some(chain)
    }

    /// The first chain, starting at the last one with data, that a read is filling.
    #[inline]
    fn pinned_for_read(&self) -> Option<(Slot, ChainPtr)> {
        let mut slot = self.last_with_data.get();
        loop {
            let chain = slot.get()?;
            if chain.is(flag::PINNED_FOR_READ) {
                return Some((slot, chain));
            }
            slot = Slot::after(chain);
        }
    }

    /// Takes out all data and all chains but those that a read is going into: they stay, empty,
    /// and the rest of their memory remains usable. Does not count the bytes.
    #[inline]
    pub(super) fn detach_data(&self) -> Detached {
        let Some((slot, pinned)) = self.pinned_for_read() else {
            return self.detach_all();
        };
        slot.set(None);
        let mut detached = Detached::NONE;
        for chain in self.chains() {
            detached.push(chain);
        }
        pinned.advance(pinned.length.get());
        self.first.set(Some(pinned));
        self.last_with_data.set(self.first_slot());
        detached
    }

    /// Takes out everything for another buffer. Data in a chain that a read is going into is
    /// copied; the chain stays. Counts nothing. On failure nothing has changed.
    #[inline]
    pub(super) fn take_run(&self) -> Result<Option<Run>, OutOfMemory> {
        let (Some(first), Some(last)) = (self.first.get(), self.last.get()) else {
            return Ok(None);
        };
        let slot = self.last_with_data.get();
        let inner_slot = (slot != self.first_slot()).then_some(slot);
        let length = self.length.get();
        let Some((pinned_slot, pinned)) = self.pinned_for_read() else {
            self.forget_chains();
            return Ok(Some(Run {
                first,
                last,
                last_with_data: inner_slot,
                length,
            }));
        };
        self.take_run_but(pinned_slot, pinned)
    }

    #[cold]
    fn take_run_but(
        &self,
        pinned_slot: Slot,
        pinned: ChainPtr,
    ) -> Result<Option<Run>, OutOfMemory> {
        let copy = match pinned.length.get() {
            0 => None,
            length => {
                let copy = ChainPtr::allocate(length)?;
                // SAFETY: the copy has room; a pinned chain is plain, its data is in memory.
                unsafe { copy.push(pinned.start(), length) };
                pinned.advance(length);
                Some(copy)
            }
        };
        pinned_slot.set(copy);
        let first_of_run = self.first.get().filter(|&chain| chain != pinned);
        self.first.set(Some(pinned));
        self.last_with_data.set(self.first_slot());
        let mut run: Option<Run> = None;
        for chain in Chains::from(first_of_run) {
            match &mut run {
                Some(run) => run.push(chain),
                None => run = Some(Run::of(chain)),
            }
        }
        Ok(run)
    }

    /// Appends a run in place of the empty chains at the end, and adds its length to the total and
    /// to the count for the callbacks.
    #[inline]
    pub(super) fn append_run(&self, run: Run) -> Detached {
        let detached = match self.last.get() {
            None => Detached::NONE,
            Some(_) => self.sweep_tail(),
        };
        let slot = match self.last.get() {
            Some(last) => Slot::after(last),
            None => self.first_slot(),
        };
        slot.set(Some(run.first));
        self.last.set(Some(run.last));
        if run.length > 0 {
            self.last_with_data.set(run.last_with_data.unwrap_or(slot));
        }
        self.count_added(run.length);
        detached
    }

    /// [`Evbuffer::append_run`], except that a few bytes in a large chain are copied into the free
    /// space after other data, so that many small moves do not result in many chains. The first
    /// ones do: programs that move pieces into an empty buffer find them apart when they peek.
    #[inline]
    pub(super) fn append_moved(&self, run: Run) -> Detached {
        if self.length.get() == 0 {
            self.pieces.set(0);
        } else if let Some(chain) = run.single().filter(|chain| chain.is_wasteful()) {
            if self.pieces.get() == MOST_PIECES {
                return self.append_copy(run, chain);
            }
            self.pieces.set(self.pieces.get() + 1);
        }
        self.append_run(run)
    }

    #[inline(never)]
    fn append_copy(&self, run: Run, chain: ChainPtr) -> Detached {
        // SAFETY: the data of a plain chain is in memory, and outside of this buffer.
        match unsafe { self.store(chain.start(), chain.length.get()) } {
            Ok(mut swept) => {
                swept.push(chain);
                swept
            }
            // No memory for the copy: the chain itself needs none.
            Err(_) => self.append_run(run),
        }
    }

    /// Prepends a run, and counts as [`Evbuffer::append_run`] does.
    pub(super) fn prepend_run(&self, run: Run) {
        run.last.next.set(self.first.get());
        if self.first.get().is_none() {
            self.last.set(Some(run.last));
        }
        if self.length.get() == 0 {
            self.last_with_data
                .set(run.last_with_data.unwrap_or(self.first_slot()));
        } else if self.last_with_data.get() == self.first_slot() {
            self.last_with_data.set(Slot::after(run.last));
        }
        self.first.set(Some(run.first));
        self.count_added(run.length);
    }
}
