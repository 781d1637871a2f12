//! One chain: a block of bytes, or a view of bytes that live elsewhere.
//!
//! The first 48 bytes are walked by validation code in other programs, so the order and the
//! meaning of the fields are fixed. What a chain owns beyond them follows the header in the same
//! block of memory: the payload of a plain chain, or the record of its kind.

use super::file::FileSegment;
use super::reference::UserMemory;
use crate::hooks::memory::{self, OutOfMemory};
use crate::require;
use crate::system::{self, errno, set_errno};
use std::cell::Cell;
use std::ffi::c_void;
use std::mem::{offset_of, size_of};
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, Ordering::*, fence};

/// What a chain is and what must not be done with it.
pub mod flag {
    /// The bytes belong to a file segment.
    pub const FILE_SEGMENT: u32 = 0x01;
    /// The bytes are still in the file: `memory` means nothing, `misalign` is a file offset.
    pub const SENDFILE: u32 = 0x02;
    /// The bytes belong to the program.
    pub const REFERENCE: u32 = 0x04;
    /// The memory is never written through this chain.
    pub const IMMUTABLE: u32 = 0x08;
    /// Somebody is reading into the free space: the chain stays where it is.
    pub const PINNED_FOR_READ: u32 = 0x10;
    /// Somebody is writing the bytes out: the chain stays where it is.
    pub const PINNED_FOR_WRITE: u32 = 0x20;
    /// Pinned in either way.
    pub const PINNED: u32 = PINNED_FOR_READ | PINNED_FOR_WRITE;
    /// Released while pinned: on no list any more, goes away when the pin does.
    pub const DANGLING: u32 = 0x40;
    /// The bytes belong to a chain of another buffer.
    pub const VIEW: u32 = 0x80;
}

/// The header.
///
/// Invariants, whenever no operation is in progress: `misalign + length <= capacity`; the data is
/// at `memory + misalign`; `references` is 1 for the list that the chain is in, plus 1 for every
/// view of it, and only that count is ever touched without the lock of the chain's buffer.
#[repr(C)]
#[allow(missing_docs)]
pub struct Chain {
    pub next: Cell<Option<ChainPtr>>,
    pub capacity: Cell<usize>,
    pub misalign: Cell<usize>,
    pub length: Cell<usize>,
    pub flags: Cell<u32>,
    pub references: AtomicI32,
    pub memory: Cell<*mut u8>,
}

const HEADER: usize = size_of::<Chain>();
const _: () = {
    assert!(HEADER == 48);
    assert!(offset_of!(Chain, next) == 0);
    assert!(offset_of!(Chain, capacity) == 8);
    assert!(offset_of!(Chain, misalign) == 16);
    assert!(offset_of!(Chain, length) == 24);
    assert!(offset_of!(Chain, flags) == 32);
    assert!(offset_of!(Chain, references) == 36);
    assert!(offset_of!(Chain, memory) == 40);
};

/// Large payloads begin on a line of the processor's cache, which makes copying them faster.
const CACHE_LINE: usize = 64;
/// No buffer and no chain holds more bytes than this.
pub const LONGEST: usize = isize::MAX as usize - HEADER - CACHE_LINE;
/// The largest block whose payload follows the header directly.
const PAGE: usize = 4096;
/// The block of the smallest plain chain. With the bookkeeping of the allocator it fills a bin.
const SMALLEST_BLOCK: usize = 504;
/// Plain chains of at least this many bytes no longer double the size of their successor.
const GROWTH_STOPS: usize = 2048;
/// The most bytes that are moved within a chain to make room in it.
const CHEAPLY_MOVED: usize = 2048;
/// No chain is made longer than this for the sake of future growth.
const LONGEST_GROWTH: usize = PAGE - HEADER;

/// The size of the block for `payload` bytes: powers of two for small ones, eight steps between two
/// powers above a page, so that little is wasted and growth stays geometric.
fn block_size(payload: usize) -> Option<usize> {
    if payload > LONGEST {
        return None;
    }
    let needed = payload + HEADER;
    if needed <= SMALLEST_BLOCK {
        return Some(SMALLEST_BLOCK);
    }
    if needed <= PAGE {
        return Some(needed.max(1024).next_power_of_two());
    }
    let needed = needed + CACHE_LINE;
    if needed >= isize::MAX as usize / 2 {
        return Some(needed);
    }
    let step = needed.next_power_of_two() / 16;
    Some(needed.div_ceil(step) * step)
}

/// The address of a live chain.
///
/// Invariant that makes the accessors safe: a pointer is only obtained from an allocation or from
/// the list of a buffer whose guard is held, and is not kept after the chain was released.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChainPtr(NonNull<Chain>);

impl Deref for ChainPtr {
    type Target = Chain;
    fn deref(&self) -> &Chain {
        // SAFETY: the invariant of the type: the chain is live. Its fields are cells or atomics,
        // so other shared references may exist.
        unsafe { self.0.as_ref() }
    }
}

impl ChainPtr {
    /// A plain chain with room for at least `payload` bytes, in no list.
    pub fn allocate(payload: usize) -> Result<ChainPtr, OutOfMemory> {
        Self::in_block(block_size(payload).ok_or(OutOfMemory)?)
    }

    /// A plain chain with room for `payload` bytes, and no more if they are few, in no list.
    pub fn allocate_exactly(payload: usize) -> Result<ChainPtr, OutOfMemory> {
        if payload < SMALLEST_BLOCK - HEADER {
            Self::in_block(HEADER + payload)
        } else {
            Self::allocate(payload)
        }
    }

    /// A plain chain for at least `payload` bytes in a block of twice the size of the one before,
    /// in no list.
    pub fn allocate_roomily(payload: usize) -> Result<ChainPtr, OutOfMemory> {
        let doubling = payload
            .checked_add(HEADER + CACHE_LINE)
            .ok_or(OutOfMemory)?;
        let size = doubling.checked_next_power_of_two().ok_or(OutOfMemory)?;
        Self::in_block(size.max(SMALLEST_BLOCK))
    }

    /// A plain chain for exactly `payload` bytes, many of them, in no list. The kernel is asked for all
    /// its pages at once, as filling it costs a fault for each otherwise. Large pages would cost less
    /// still, but up to three times as much where a virtual machine has given them back to its host.
    pub fn allocate_in_present_pages(payload: usize) -> Result<ChainPtr, OutOfMemory> {
        let size = payload
            .checked_add(HEADER + CACHE_LINE)
            .ok_or(OutOfMemory)?;
        let chain = Self::in_block(size)?;
        let block = chain.as_block();
        let before = block as usize % PAGE;
        let error = errno();
        // SAFETY: the advice changes nothing of what lies on the pages. A kernel that does not know
        // it, or has no pages left, refuses it; those that are missing come when they are written.
        unsafe {
            system::madvise(
                block.wrapping_byte_sub(before),
                before + size,
                libc::MADV_POPULATE_WRITE,
            )
        };
        set_errno(error);
        Ok(chain)
    }

    /// A plain chain in a block of that size.
    fn in_block(size: usize) -> Result<ChainPtr, OutOfMemory> {
        let block = memory::malloc(size);
        // SAFETY: the block, if there is one, has `size` bytes: the header and the rest.
        let chain = unsafe { Self::initialise(block.cast(), size - HEADER, 0) }?;
        if size > PAGE {
            let padding = (chain.memory.get() as usize).wrapping_neg() % CACHE_LINE;
            chain.memory.set(chain.memory.get().wrapping_add(padding));
            chain.capacity.set(size - HEADER - padding);
        }
        Ok(chain)
    }

    /// Writes the header of a chain whose payload or record follows it.
    ///
    /// # Safety
    /// `block` is null or a fresh block of at least `HEADER + capacity` bytes.
    unsafe fn initialise(
        block: *mut Chain,
        capacity: usize,
        flags: u32,
    ) -> Result<ChainPtr, OutOfMemory> {
        let chain = NonNull::new(block).ok_or(OutOfMemory)?;
        // SAFETY: the caller guarantees the size; allocators align for any type.
        unsafe {
            chain.as_ptr().write(Chain {
                next: Cell::new(None),
                capacity: Cell::new(capacity),
                misalign: Cell::new(0),
                length: Cell::new(0),
                flags: Cell::new(flags),
                references: AtomicI32::new(1),
                memory: Cell::new(chain.as_ptr().add(1).cast()),
            });
        }
        Ok(ChainPtr(chain))
    }

    /// A chain over memory that it does not own, with the record of its kind after the header.
    pub fn with_record<T>(
        flags: u32,
        memory: *mut u8,
        length: usize,
        record: T,
    ) -> Result<ChainPtr, OutOfMemory> {
        let block = memory::malloc(HEADER + size_of::<T>());
        // SAFETY: the block, if there is one, has room for the header and the record.
        let chain = unsafe { Self::initialise(block.cast(), length, flags) }?;
        chain.length.set(length);
        chain.memory.set(memory);
        // SAFETY: the place of the record is part of the block, and 8-aligned after the header.
        unsafe { chain.record::<T>().write(record) };
        Ok(chain)
    }

    /// The block of a plain chain that is in no list.
    pub fn as_block(self) -> *mut c_void {
        self.0.as_ptr().cast()
    }

    /// The chain of such a block; `None` for null.
    ///
    /// # Safety
    /// The block is null or was not changed since [`ChainPtr::as_block`].
    pub unsafe fn from_block(block: *mut c_void) -> Option<ChainPtr> {
        NonNull::new(block.cast()).map(ChainPtr)
    }

    /// The record after the header; the flags say of which type.
    pub fn record<T>(self) -> *mut T {
        // The header's end is inside, or one past, the block.
        self.0.as_ptr().wrapping_add(1).cast()
    }

    /// Whether any of the flags is set.
    #[inline]
    pub fn is(self, flags: u32) -> bool {
        self.flags.get() & flags != 0
    }

    /// Sets flags.
    pub fn set(self, flags: u32) {
        self.flags.set(self.flags.get() | flags);
    }

    /// Clears flags.
    pub fn clear(self, flags: u32) {
        self.flags.set(self.flags.get() & !flags);
    }

    /// The first data byte.
    #[inline]
    pub fn start(self) -> *mut u8 {
        self.memory.get().wrapping_add(self.misalign.get())
    }

    /// The data.
    ///
    /// # Safety
    /// The data is in memory (no sendfile chain), and the slice is not used after the chain
    /// changes or the guard is dropped.
    #[inline]
    pub unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.length.get() == 0 {
            return &[];
        }
        // SAFETY: the invariant of the header: `length` readable bytes at `start`.
        unsafe { std::slice::from_raw_parts(self.start(), self.length.get()) }
    }

    /// How many bytes may be written after the data.
    #[inline]
    pub fn space(self) -> usize {
        if self.is(flag::IMMUTABLE) {
            0
        } else {
            self.capacity.get() - self.misalign.get() - self.length.get()
        }
    }

    /// The start of the free space after the data.
    #[inline]
    pub fn free_start(self) -> *mut u8 {
        self.start().wrapping_add(self.length.get())
    }

    /// Copies bytes to just after the data. There must be room for them.
    ///
    /// # Safety
    /// `count <= space()`, and `source` has `count` readable bytes.
    #[inline]
    pub unsafe fn push(self, source: *const u8, count: usize) {
        // SAFETY: the caller guarantees both; the program may pass memory of this very chain.
        unsafe { ptr::copy(source, self.free_start(), count) };
        self.length.set(self.length.get() + count);
    }

    /// Removes bytes at the front; there are that many.
    #[inline]
    pub fn advance(self, count: usize) {
        self.misalign.set(self.misalign.get() + count);
        self.length.set(self.length.get() - count);
    }

    /// Whether sliding the data to the start of the memory makes room for `count` more bytes and
    /// is cheaper than a new chain.
    pub fn should_slide(self, count: usize) -> bool {
        let (capacity, length) = (self.capacity.get(), self.length.get());
        !self.is(flag::IMMUTABLE | flag::PINNED)
            && capacity - length >= count
            && length < capacity / 2
            && length <= CHEAPLY_MOVED
    }

    /// Slides the data to the start of the memory, which this chain may write.
    pub fn slide(self) {
        // SAFETY: source and destination lie in the chain's own memory; the caller has checked
        // with `should_slide` that it is writable.
        unsafe { ptr::copy(self.start(), self.memory.get(), self.length.get()) };
        self.misalign.set(0);
    }

    /// Whether the data can be moved to make room for this many bytes before it, and that is
    /// cheaper than a new chain.
    pub fn can_be_prefixed(self, count: usize) -> bool {
        let (capacity, length) = (self.capacity.get(), self.length.get());
        !self.is(flag::IMMUTABLE | flag::PINNED)
            && length <= CHEAPLY_MOVED
            && capacity - length >= count
    }

    /// Inserts bytes before the data, moving the data if necessary.
    ///
    /// # Safety
    /// [`ChainPtr::can_be_prefixed`] holds for their number, and they are not in this chain.
    pub unsafe fn put_in_front(self, bytes: &[u8]) {
        let (start, length) = (self.memory.get(), self.length.get());
        // SAFETY: the caller guarantees the room; the data may overlap its new place.
        unsafe {
            ptr::copy(self.start(), start.add(bytes.len()), length);
            ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len());
        }
        self.misalign.set(0);
        self.length.set(bytes.len() + length);
    }

    /// Whether the data is no more than can be copied in the time that a chain takes, and the chain
    /// is the buffer's own and mostly free: a waste of memory where it is one of many.
    pub fn is_wasteful(self) -> bool {
        let special = flag::REFERENCE | flag::FILE_SEGMENT | flag::VIEW | flag::IMMUTABLE;
        let length = self.length.get();
        length <= LONGEST_GROWTH
            && length < self.capacity.get() / 4 * 3
            && !self.is(special | flag::PINNED)
    }

    /// Whether the program's bytes lie in the memory of this chain.
    pub fn contains(self, bytes: *const u8) -> bool {
        (bytes as usize).wrapping_sub(self.memory.get() as usize) < self.capacity.get()
    }

    /// How long the next chain should at least be, so that many small additions make few chains.
    pub fn growth(self) -> usize {
        let capacity = self.capacity.get();
        if self.is(flag::IMMUTABLE) {
            0
        } else if capacity <= GROWTH_STOPS {
            capacity * 2
        } else {
            capacity.min(LONGEST_GROWTH)
        }
    }

    /// Gives back what a chain that is in no list has beyond its data and room for `room` bytes in
    /// all; the chain may move.
    pub fn shrink(self, room: usize) -> ChainPtr {
        let padding = self.memory.get() as usize - self.record::<u8>() as usize;
        let used = padding + self.misalign.get() + self.length.get().max(room);
        let Some(size) = block_size(used) else {
            return self;
        };
        if size >= HEADER + padding + self.capacity.get() {
            return self;
        }
        // SAFETY: a plain chain in no list is a block of its own, which nobody else refers to.
        let block = unsafe { memory::realloc(self.0.as_ptr().cast(), size) };
        let Some(block) = NonNull::new(block.cast::<Chain>()) else {
            return self;
        };
        let chain = ChainPtr(block);
        chain.capacity.set(size - HEADER - padding);
        chain.memory.set(chain.record::<u8>().wrapping_add(padding));
        chain
    }

    /// Marks the chain as in use by an operation outside the library's control.
    pub fn pin(self, flags: u32) {
        require!(!self.is(flags), "chain is pinned already");
        self.set(flags);
    }

    /// Ends a pin; a release that waited for it happens now.
    pub fn unpin(self, flags: u32) {
        require!(self.is(flags), "chain is not pinned");
        self.clear(flags);
        if self.is(flag::DANGLING) && !self.is(flag::PINNED) {
            self.release();
        }
    }

    /// Gives up one reference: that of the list the chain was taken from, or that of a view. The
    /// last one frees the chain and what it holds, which may call the program.
    #[inline]
    pub fn release(self) {
        // A count of one is ours alone: no view can appear any more. Otherwise the thread that
        // takes the last one must see everything the others did before.
        if self.references.load(Acquire) != 1 {
            if self.references.fetch_sub(1, Release) != 1 {
                return;
            }
            fence(Acquire);
        }
        // Flags are only looked at now: before, another thread may be setting some.
        if self.is(flag::PINNED) {
            self.references.store(1, Relaxed);
            self.set(flag::DANGLING);
            return;
        }
        if self.is(flag::REFERENCE | flag::FILE_SEGMENT | flag::VIEW) {
            self.release_record();
        }
        // SAFETY: nobody refers to the chain any more and its block came from the hooks.
        unsafe { memory::free(self.0.as_ptr().cast()) };
    }

    #[cold]
    fn release_record(self) {
        if self.is(flag::REFERENCE) {
            // SAFETY: the flag says what the record is; it is read once, on the last release.
            let record = unsafe { self.record::<UserMemory>().read() };
            record.clean_up(self.memory.get(), self.capacity.get());
        }
        if self.is(flag::FILE_SEGMENT) {
            // SAFETY: as above; the chain held a reference on the segment.
            unsafe { FileSegment::release(self.record::<NonNull<FileSegment>>().read()) };
        }
        if self.is(flag::VIEW) {
            // SAFETY: as above; the view held a reference on its source.
            unsafe { self.record::<ChainPtr>().read() }.release();
        }
    }

    /// A chain, in no list, that shares this one's data. This chain becomes immutable permanently.
    pub fn view(self) -> Result<ChainPtr, OutOfMemory> {
        let view = Self::with_record(
            flag::IMMUTABLE | flag::VIEW,
            self.memory.get(),
            self.capacity.get(),
            self,
        )?;
        view.misalign.set(self.misalign.get());
        view.length.set(self.length.get());
        self.references.fetch_add(1, Relaxed);
        self.set(flag::IMMUTABLE);
        Ok(view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_at_least_as_long_as_asked_and_waste_little() {
        assert_eq!(block_size(0), Some(504));
        assert_eq!(block_size(456), Some(504));
        assert_eq!(block_size(457), Some(1024));
        assert_eq!(block_size(976), Some(1024));
        assert_eq!(block_size(977), Some(2048));
        assert_eq!(block_size(4048), Some(4096));
        assert_eq!(block_size(LONGEST + 1), None);
        assert_eq!(block_size(LONGEST), Some(isize::MAX as usize));
        for payload in (0..200_000).chain([1 << 30, (1 << 40) + 1, LONGEST / 3]) {
            let block = block_size(payload).unwrap();
            assert!(block >= payload + HEADER);
            assert!(payload < PAGE || block - payload <= payload / 8 + HEADER + 2 * CACHE_LINE);
        }
    }

    #[test]
    fn a_view_keeps_its_source_alive() {
        let chain = ChainPtr::allocate(10).unwrap();
        // SAFETY: ten bytes fit.
        unsafe { chain.push(b"0123456789".as_ptr(), 10) };
        chain.advance(3);
        let view = chain.view().unwrap();
        chain.release();
        // SAFETY: the view's data is in memory.
        assert_eq!(unsafe { view.bytes() }, b"3456789");
        assert_eq!(view.space(), 0);
        view.release();
    }

    #[test]
    fn shrinking_keeps_the_data() {
        let chain = ChainPtr::allocate(16384).unwrap();
        // SAFETY: five bytes fit.
        unsafe { chain.push(b"hello".as_ptr(), 5) };
        let chain = chain.shrink(0);
        assert!(chain.capacity.get() <= SMALLEST_BLOCK - HEADER);
        // SAFETY: plain chain.
        assert_eq!(unsafe { chain.bytes() }, b"hello");
        chain.release();
    }
}
