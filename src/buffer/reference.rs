//! Memory of the program that a buffer refers to without copying it.

use super::abi::EvbufferReferenceCleanupFn;
use super::chain::{ChainPtr, flag};
use crate::hooks::memory::OutOfMemory;
use std::ffi::c_void;

/// What a chain over the program's memory remembers.
pub struct UserMemory {
    cleanup: Option<EvbufferReferenceCleanupFn>,
    argument: *mut c_void,
}

impl UserMemory {
    /// A chain over `length` bytes at `data`.
    pub fn chain(
        data: *mut u8,
        length: usize,
        cleanup: Option<EvbufferReferenceCleanupFn>,
        argument: *mut c_void,
    ) -> Result<ChainPtr, OutOfMemory> {
        let record = UserMemory { cleanup, argument };
        ChainPtr::with_record(flag::REFERENCE | flag::IMMUTABLE, data, length, record)
    }

    /// Tells the program that its memory is free again.
    pub fn clean_up(self, data: *mut u8, length: usize) {
        if let Some(cleanup) = self.cleanup {
            // SAFETY: the program gave this function for this call, which happens once.
            unsafe { cleanup(data.cast(), length, self.argument) };
        }
    }
}
