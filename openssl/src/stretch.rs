//! Bytes on their way, in a block that is only there as long as they are.

use crate::libevent::{event_mm_free_, event_mm_malloc_, event_mm_realloc_};
use std::cell::Cell;
use std::ptr::{self, null_mut};

/// Bytes in order: added behind, taken from the front. Without a block there are none.
pub struct Stretch {
    block: Cell<*mut u8>,
    size: Cell<usize>,
    start: Cell<usize>,
    end: Cell<usize>,
}

impl Stretch {
    /// How many there are.
    pub fn length(&self) -> usize {
        self.end.get() - self.start.get()
    }

    /// They.
    pub fn bytes(&self) -> &[u8] {
        if self.block.get().is_null() {
            return &[];
        }
        // SAFETY: the block is filled up to the end.
        unsafe { std::slice::from_raw_parts(self.block.get().add(self.start.get()), self.length()) }
    }

    /// Whether there is a block with room for so many more; an empty stretch gets one if need be.
    pub fn has_room(&self, size: usize) -> bool {
        if self.length() == 0 {
            if self.size.get() < size {
                self.clear();
                // SAFETY: allocates.
                self.block.set(unsafe { event_mm_malloc_(size) }.cast());
                self.size
                    .set(if self.block.get().is_null() { 0 } else { size });
            }
            self.start.set(0);
            self.end.set(0);
        }
        self.size.get() - self.end.get() >= size
    }

    /// Where more is put.
    pub fn room(&self) -> *mut u8 {
        self.block.get().wrapping_add(self.end.get())
    }

    /// So many were put there.
    pub fn add(&self, count: usize) {
        self.end.set(self.end.get() + count);
    }

    /// So many are done with.
    pub fn take(&self, count: usize) {
        self.start.set(self.start.get() + count);
    }

    /// Gives back the block, with what is in it.
    pub fn clear(&self) {
        let block = self.block.replace(null_mut());
        if !block.is_null() {
            // SAFETY: the block is this one's own.
            unsafe { event_mm_free_(block.cast()) };
        }
        self.size.set(0);
        self.start.set(0);
        self.end.set(0);
    }

    /// Gives back what is not needed.
    pub fn shrink(&self) {
        let length = self.length();
        if length == 0 {
            return self.clear();
        }
        if length == self.size.get() {
            return;
        }
        // SAFETY: both places are in the block, which is this one's own.
        unsafe {
            let block = self.block.get();
            ptr::copy(block.add(self.start.get()), block, length);
            self.start.set(0);
            self.end.set(length);
            let smaller = event_mm_realloc_(block.cast(), length);
            if !smaller.is_null() {
                self.block.set(smaller.cast());
                self.size.set(length);
            }
        }
    }
}
