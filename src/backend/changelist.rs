//! Descriptors whose registration changed since the last wait, for the mode that passes all changes
//! to epoll at once.

use crate::hooks::memory::{self, OutOfMemory};
use crate::interest::{Interest, Slot};
use crate::util::SystemError;
use std::ffi::c_int;
use std::mem::size_of;
use std::ptr;

/// The bit of a slot that says that the descriptor is in the list.
pub const NOTED: u8 = 0x08;

/// The list; the layout of the structure which the exported internal functions take.
///
/// Invariant: `changes` points to `size` integers from the hooks, or is null with 0; the first
/// `count` of them are descriptors whose slots have the bit [`NOTED`].
#[repr(C)]
pub struct Changelist {
    changes: *mut c_int,
    count: c_int,
    size: c_int,
}

impl Changelist {
    /// An empty list without memory.
    pub const fn new() -> Changelist {
        Changelist {
            changes: ptr::null_mut(),
            count: 0,
            size: 0,
        }
    }

    /// Notes that changes of `fd` must be passed to the kernel before the next wait.
    pub fn note(&mut self, fd: c_int, slot: &mut Slot) -> Result<(), SystemError> {
        if slot.backend_bits & NOTED != 0 {
            return Ok(());
        }
        if self.count == self.size {
            self.grow()?;
        }
        // SAFETY: `count` is below `size`.
        unsafe { *self.changes.add(self.count as usize) = fd };
        self.count += 1;
        slot.backend_bits |= NOTED;
        Ok(())
    }

    fn grow(&mut self) -> Result<(), OutOfMemory> {
        let size = self.size.checked_mul(2).ok_or(OutOfMemory)?.max(64);
        // SAFETY: `changes` is this list's own block or null.
        let block =
            unsafe { memory::realloc(self.changes.cast(), size as usize * size_of::<c_int>()) };
        if block.is_null() {
            return Err(OutOfMemory);
        }
        self.changes = block.cast();
        self.size = size;
        Ok(())
    }

    /// The descriptors, in the order in which they were noted.
    pub fn noted(&self) -> &[c_int] {
        if self.changes.is_null() {
            return &[];
        }
        // SAFETY: `changes` points to `count` initialised entries; see the type.
        unsafe { std::slice::from_raw_parts(self.changes, self.count as usize) }
    }

    /// Empties the list without passing anything to the kernel.
    pub fn forget(&mut self, interest: &mut Interest) {
        self.forget_from(0, interest);
    }

    /// Empties the list but for its first `kept` entries.
    pub fn forget_from(&mut self, kept: usize, interest: &mut Interest) {
        for fd in self.noted().iter().skip(kept) {
            interest.slot(*fd).backend_bits &= !NOTED;
        }
        self.count = self.count.min(kept as c_int);
    }

    /// Two entries change places.
    pub fn exchange(&mut self, one: usize, other: usize) {
        let count = self.noted().len();
        if one < count && other < count {
            // SAFETY: both are among the first `count`.
            unsafe { ptr::swap(self.changes.add(one), self.changes.add(other)) };
        }
    }

    /// Gives the memory back; the list is empty afterwards.
    pub fn free(&mut self) {
        // SAFETY: the block is this list's own or null.
        unsafe { memory::free(self.changes.cast()) };
        *self = Changelist::new();
    }
}

impl Default for Changelist {
    fn default() -> Self {
        Self::new()
    }
}
