//! Internal exported symbols of the memory hooks.

use crate::hooks::memory;
use std::ffi::{c_char, c_void};

/// A block of `size` bytes through the hook; null for size 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_mm_malloc_(size: usize) -> *mut c_void {
    memory::malloc(size)
}

/// Zeroed memory for `count` objects of `size` bytes; null when either is 0, or with ENOMEM.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_mm_calloc_(count: usize, size: usize) -> *mut c_void {
    memory::calloc(count, size)
}

/// A copy of a string; null with EINVAL for null, with ENOMEM when memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_mm_strdup_(text: *const c_char) -> *mut c_char {
    // SAFETY: the caller guarantees a terminated string, or null.
    unsafe { memory::strdup(text) }
}

/// Changes the size of a block through the hook.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_mm_realloc_(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller guarantees a block of these hooks, or null.
    unsafe { memory::realloc(block, size) }
}

/// Frees a block through the hook.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_mm_free_(block: *mut c_void) {
    // SAFETY: the caller guarantees a block of these hooks, or null.
    unsafe { memory::free(block) }
}
