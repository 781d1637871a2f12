//! A queue of bytes whose memory block is freed as soon as the queue is empty.

use crate::libevent::{event_mm_free_, event_mm_malloc_, event_mm_realloc_};
use std::cell::Cell;
use std::ptr::{self, null_mut};

/// A queue of bytes: added at the end, taken from the front. An empty queue may have no block.
pub struct ByteQueue {
    block: Cell<*mut u8>,
    size: Cell<usize>,
    start: Cell<usize>,
    end: Cell<usize>,
}

impl ByteQueue {
    /// The number of bytes.
    pub fn length(&self) -> usize {
        self.end.get() - self.start.get()
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        if self.block.get().is_null() {
            return &[];
        }
        // SAFETY: the block is initialised from `start` to `end`.
        unsafe { std::slice::from_raw_parts(self.block.get().add(self.start.get()), self.length()) }
    }

    /// Whether the block has room for this many more bytes. An empty queue gets a block if needed.
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

    /// The place where more bytes are to be written.
    pub fn room(&self) -> *mut u8 {
        self.block.get().wrapping_add(self.end.get())
    }

    /// This many bytes were written at [`ByteQueue::room`].
    pub fn add(&self, count: usize) {
        self.end.set(self.end.get() + count);
    }

    /// Removes this many bytes from the front.
    pub fn take(&self, count: usize) {
        self.start.set(self.start.get() + count);
    }

    /// Frees the block and what is in it.
    pub fn clear(&self) {
        let block = self.block.replace(null_mut());
        if !block.is_null() {
            // SAFETY: the queue owns the block, and forgets it here.
            unsafe { event_mm_free_(block.cast()) };
        }
        self.size.set(0);
        self.start.set(0);
        self.end.set(0);
    }

    /// Shrinks the block to the bytes that are in it.
    pub fn shrink(&self) {
        let length = self.length();
        if length == 0 {
            return self.clear();
        }
        if length == self.size.get() {
            return;
        }
        // SAFETY: source and destination are in the block, which the queue owns.
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
