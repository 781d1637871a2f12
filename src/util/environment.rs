//! Environment variables that affect the library.

use std::ffi::{CStr, c_char};
use std::ptr;

/// The value of a variable; null when it is not set, or when the program runs with privileges
/// that its user does not have (set-id programs, file capabilities).
pub fn get(name: &CStr) -> *const c_char {
    // SAFETY: getauxval has no precondition and the name is terminated.
    unsafe {
        if libc::getauxval(libc::AT_SECURE) != 0 {
            return ptr::null();
        }
        libc::getenv(name.as_ptr())
    }
}

/// Whether a variable is set, also to nothing.
pub fn is_set(name: &CStr) -> bool {
    !get(name).is_null()
}
