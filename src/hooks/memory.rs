//! Memory through the program's allocator hooks (`event_set_mem_functions`).
//!
//! Every block that the library holds for a program comes from here. The hooks may refuse any
//! request, so everything is fallible: callers report their documented error and keep what they
//! had.

use crate::system::set_errno;
use std::ffi::{c_char, c_void};
use std::mem::{align_of, size_of};
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};
use std::sync::atomic::{
    AtomicPtr, AtomicUsize,
    Ordering::{AcqRel, Relaxed},
};

/// `malloc` replacement of the program.
pub type MallocFn = unsafe extern "C-unwind" fn(usize) -> *mut c_void;
/// `realloc` replacement of the program.
pub type ReallocFn = unsafe extern "C-unwind" fn(*mut c_void, usize) -> *mut c_void;
/// `free` replacement of the program.
pub type FreeFn = unsafe extern "C-unwind" fn(*mut c_void);

// The addresses of the program's functions, 0 where libc serves. Set before anything else is
// called and read from every thread: single words, so no order between them is needed.
static MALLOC: AtomicUsize = AtomicUsize::new(0);
static REALLOC: AtomicUsize = AtomicUsize::new(0);
static FREE: AtomicUsize = AtomicUsize::new(0);

/// The allocator refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// Installs the program's functions; `None` restores the one of libc.
pub fn set_functions(malloc: Option<MallocFn>, realloc: Option<ReallocFn>, free: Option<FreeFn>) {
    MALLOC.store(malloc.map_or(0, |f| f as usize), Relaxed);
    REALLOC.store(realloc.map_or(0, |f| f as usize), Relaxed);
    FREE.store(free.map_or(0, |f| f as usize), Relaxed);
}

/// A block of `size` bytes, uninitialised; null for size 0 or when the allocator refuses.
pub fn malloc(size: usize) -> *mut c_void {
    if size == 0 {
        return ptr::null_mut();
    }
    match MALLOC.load(Relaxed) {
        // SAFETY: malloc has no precondition.
        0 => unsafe { libc::malloc(size) },
        // SAFETY: only `set_functions` stores here, and it stores a `MallocFn`.
        hook => unsafe { std::mem::transmute::<usize, MallocFn>(hook)(size) },
    }
}

/// Zeroed memory for `count` objects of `size` bytes; null when either is 0, the product
/// overflows (ENOMEM) or the allocator refuses.
pub fn calloc(count: usize, size: usize) -> *mut c_void {
    if count == 0 || size == 0 {
        return ptr::null_mut();
    }
    if MALLOC.load(Relaxed) == 0 {
        // SAFETY: calloc has no precondition.
        return unsafe { libc::calloc(count, size) };
    }
    let Some(total) = count.checked_mul(size) else {
        set_errno(libc::ENOMEM);
        return ptr::null_mut();
    };
    let block = malloc(total);
    if block.is_null() {
        set_errno(libc::ENOMEM);
    } else {
        // SAFETY: the allocator just returned `total` writable bytes.
        unsafe { ptr::write_bytes(block.cast::<u8>(), 0, total) };
    }
    block
}

/// Changes the size of a block.
///
/// # Safety
/// `block` is null or came from this module under the same hooks, and is given up on success.
pub unsafe fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    match REALLOC.load(Relaxed) {
        // SAFETY: the caller guarantees the block.
        0 => unsafe { libc::realloc(block, size) },
        // SAFETY: only `set_functions` stores here, and it stores a `ReallocFn`; block as above.
        hook => unsafe { std::mem::transmute::<usize, ReallocFn>(hook)(block, size) },
    }
}

/// Frees a block. The program's function never sees null: it may look at what precedes
/// the block, or count.
///
/// # Safety
/// `block` is null or came from this module under the same hooks, and nobody uses it any more.
pub unsafe fn free(block: *mut c_void) {
    if block.is_null() {
        return;
    }
    match FREE.load(Relaxed) {
        // SAFETY: the caller guarantees the block.
        0 => unsafe { libc::free(block) },
        // SAFETY: only `set_functions` stores here, and it stores a `FreeFn`; block as above.
        hook => unsafe { std::mem::transmute::<usize, FreeFn>(hook)(block) },
    }
}

/// A copy of a C string; null with EINVAL for null, with ENOMEM when the allocator refuses.
///
/// # Safety
/// `text` is null or a NUL-terminated string.
pub unsafe fn strdup(text: *const c_char) -> *mut c_char {
    if text.is_null() {
        set_errno(libc::EINVAL);
        return ptr::null_mut();
    }
    // SAFETY: the caller guarantees the terminator.
    let length = unsafe { libc::strlen(text) } + 1;
    let copy = malloc(length).cast::<c_char>();
    if copy.is_null() {
        set_errno(libc::ENOMEM);
    } else {
        // SAFETY: both blocks have `length` bytes and the new one overlaps nothing.
        unsafe { ptr::copy_nonoverlapping(text, copy, length) };
    }
    copy
}

/// A copy of a text, with a terminating NUL.
pub fn copy_text(text: &[u8]) -> Result<NonNull<c_char>, OutOfMemory> {
    let Some(copy) = NonNull::new(malloc(text.len() + 1).cast::<c_char>()) else {
        set_errno(libc::ENOMEM);
        return Err(OutOfMemory);
    };
    // SAFETY: the block has a byte more than the text, and overlaps nothing.
    unsafe {
        ptr::copy_nonoverlapping(text.as_ptr().cast(), copy.as_ptr(), text.len());
        copy.as_ptr().add(text.len()).write(0);
    }
    Ok(copy)
}

/// Memory for one `T`, all bytes zero. For a small block `malloc` and zeroing it here take half the
/// time of libc's `calloc`, which does without the thread's store of free blocks.
#[inline]
pub fn allocate_zeroed<T>() -> Result<NonNull<T>, OutOfMemory> {
    const { assert!(align_of::<T>() <= 16 && size_of::<T>() > 0) };
    let Some(block) = NonNull::new(malloc(size_of::<T>()).cast::<T>()) else {
        set_errno(libc::ENOMEM);
        return Err(OutOfMemory);
    };
    // SAFETY: the allocator just returned that many writable bytes.
    unsafe { ptr::write_bytes(block.as_ptr(), 0, 1) };
    Ok(block)
}

/// A place for one block that is needed again and again, between its uses. Any thread may use it.
pub struct SpareBlock(AtomicPtr<c_void>);

impl SpareBlock {
    /// No block.
    pub const fn new() -> SpareBlock {
        SpareBlock(AtomicPtr::new(ptr::null_mut()))
    }

    /// Takes the block out; null when there is none.
    pub fn take(&self) -> *mut c_void {
        self.0.swap(ptr::null_mut(), AcqRel)
    }

    /// Keeps a block, and frees the one that was kept before.
    ///
    /// # Safety
    /// `block` is null or came from this module, and is the caller's to give.
    pub unsafe fn keep(&self, block: *mut c_void) {
        let old = self.0.swap(block, AcqRel);
        if !old.is_null() {
            // SAFETY: blocks here came from this module and nobody else knows them.
            unsafe { free(old) };
        }
    }
}

impl Default for SpareBlock {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for SpareBlock {
    fn drop(&mut self) {
        // SAFETY: as in `keep`; null is passed on.
        unsafe { free(self.take()) };
    }
}

/// A growable array of plain values whose memory comes from the hooks.
///
/// Elements are `Copy`: growing moves bytes and nothing is dropped.
pub struct Array<T: Copy> {
    // Invariant: `start` is dangling while `capacity` is 0, else a hook block of `capacity`
    // elements of which the first `length` are initialised.
    start: NonNull<T>,
    length: usize,
    capacity: usize,
}

// SAFETY: an array owns its block alone, like a vector.
unsafe impl<T: Copy + Send> Send for Array<T> {}

impl<T: Copy> Array<T> {
    /// An array without memory.
    pub const fn new() -> Self {
        Array {
            start: NonNull::dangling(),
            length: 0,
            capacity: 0,
        }
    }

    /// Makes room for `additional` more elements (at least doubling), or changes nothing.
    pub fn try_reserve(&mut self, additional: usize) -> Result<(), OutOfMemory> {
        let needed = self.length.checked_add(additional).ok_or(OutOfMemory)?;
        if needed <= self.capacity {
            return Ok(());
        }
        self.try_set_capacity(needed.max(self.capacity.saturating_mul(2)).max(8))
    }

    /// Makes room for exactly that many elements, not fewer than there are, or changes nothing.
    pub fn try_set_capacity(&mut self, capacity: usize) -> Result<(), OutOfMemory> {
        let capacity = capacity.max(self.length).max(1);
        let bytes = capacity.checked_mul(size_of::<T>()).ok_or(OutOfMemory)?;
        let old = if self.capacity == 0 {
            ptr::null_mut()
        } else {
            self.start.as_ptr().cast()
        };
        // SAFETY: `old` is null or this array's own block.
        let block = unsafe { realloc(old, bytes) };
        self.start = NonNull::new(block.cast()).ok_or(OutOfMemory)?;
        self.capacity = capacity;
        Ok(())
    }

    /// Appends a value, or changes nothing.
    pub fn try_push(&mut self, value: T) -> Result<(), OutOfMemory> {
        self.try_reserve(1)?;
        self.push_reserved(value);
        Ok(())
    }

    /// Appends a value for which [`Array::try_reserve`] has made room.
    #[inline]
    pub fn push_reserved(&mut self, value: T) {
        assert!(self.length < self.capacity);
        // SAFETY: there is room after the last element.
        unsafe { self.start.as_ptr().add(self.length).write(value) };
        self.length += 1;
    }

    /// Appends values for which [`Array::try_reserve`] has made room.
    pub fn extend_reserved(&mut self, values: &[T]) {
        assert!(values.len() <= self.capacity - self.length);
        // SAFETY: there is room after the last element, which nobody else has a reference to.
        unsafe {
            let end = self.start.as_ptr().add(self.length);
            ptr::copy_nonoverlapping(values.as_ptr(), end, values.len());
        }
        self.length += values.len();
    }

    /// Lengthens the array to `length` elements with copies of `value`, or changes nothing.
    pub fn try_extend_to(&mut self, length: usize, value: T) -> Result<(), OutOfMemory> {
        self.try_reserve(length.saturating_sub(self.length))?;
        while self.length < length {
            // SAFETY: the reservation made room up to `length`.
            unsafe { self.start.as_ptr().add(self.length).write(value) };
            self.length += 1;
        }
        Ok(())
    }

    /// Removes and returns the last value.
    pub fn pop(&mut self) -> Option<T> {
        let last = *self.last()?;
        self.length -= 1;
        Some(last)
    }

    /// Shortens the array; the memory stays.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// How many elements fit without asking the allocator.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The address of the first element, for system calls that fill the array.
    pub fn as_mut_ptr(&mut self) -> *mut T {
        self.start.as_ptr()
    }
}

impl<T: Copy> Default for Array<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Copy> Deref for Array<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: the invariant: `length` initialised elements at `start`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl<T: Copy> DerefMut for Array<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: the invariant: `length` initialised elements at `start`.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl<T: Copy> Drop for Array<T> {
    fn drop(&mut self) {
        if self.capacity != 0 {
            // SAFETY: the block is this array's own and dies with it.
            unsafe { free(self.start.as_ptr().cast()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn an_array_keeps_its_values_while_it_grows() {
        let mut array = Array::new();
        for i in 0..1000u32 {
            array.try_push(i).unwrap();
        }
        assert!(array.iter().copied().eq(0..1000));
        assert_eq!(array.pop(), Some(999));
        array.truncate(2);
        assert_eq!(&array[..], &[0, 1]);
        array.try_extend_to(4, 7).unwrap();
        assert_eq!(&array[..], &[0, 1, 7, 7]);
    }

    #[test]
    fn an_impossible_reservation_changes_nothing() {
        let mut array = Array::new();
        array.try_push(1u64).unwrap();
        assert_eq!(array.try_reserve(usize::MAX), Err(OutOfMemory));
        assert_eq!(array.try_reserve(usize::MAX / 8), Err(OutOfMemory));
        assert_eq!(&array[..], &[1]);
    }

    #[test]
    fn zero_sizes_give_null() {
        // The compiler knows what calloc does, and takes a block that nobody sees for granted.
        assert!(black_box(malloc(0)).is_null());
        assert!(black_box(calloc(0, 4)).is_null());
        assert!(black_box(calloc(usize::MAX, 2)).is_null());
    }
}
