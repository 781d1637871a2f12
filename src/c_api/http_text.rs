//! event2/http.h: lists of headers.

use super::{optional_string, status};
use crate::http::headers::{self, Evkeyvalq};
use std::ffi::{c_char, c_int};
use std::ptr;

/// Finds a header by its name, in any case of letters.
///
/// Returns the value of the first one of that name, NULL when there is none. The value belongs to
/// the list, and is valid until it is removed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_find_header(
    headers: *const Evkeyvalq,
    key: *const c_char,
) -> *const c_char {
    // SAFETY: the caller guarantees the list and the name.
    unsafe {
        let Some(key) = optional_string(key) else {
            return ptr::null();
        };
        let pair = headers::find(headers, key.to_bytes());
        if pair.is_null() {
            ptr::null()
        } else {
            (*pair).value
        }
    }
}

/// Removes the first header of a name, in any case of letters. Others of that name stay.
///
/// Returns 0, or -1 when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_remove_header(
    headers: *mut Evkeyvalq,
    key: *const c_char,
) -> c_int {
    // SAFETY: the caller guarantees the list and the name.
    unsafe {
        let removed = optional_string(key).filter(|key| headers::remove(headers, key.to_bytes()));
        status(removed.ok_or(()))
    }
}

/// Adds a header at the end of a list, which has to be initialised. Both strings are copied.
/// Headers of the same name stay, in front of it.
///
/// Nothing that is added here can end its line in a message: a name may have no line end and may
/// not be empty. A value may have line ends that a blank or a tab follows; such a line end and the
/// blanks and tabs behind it become one blank.
///
/// Returns 0, or -1 when a string has what it may not have or memory is short; nothing has changed
/// then.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_add_header(
    headers: *mut Evkeyvalq,
    key: *const c_char,
    value: *const c_char,
) -> c_int {
    // SAFETY: the caller guarantees the list and the strings.
    unsafe {
        let (Some(key), Some(value)) = (optional_string(key), optional_string(value)) else {
            return -1;
        };
        status(headers::add(headers, key.to_bytes(), value.to_bytes()))
    }
}

/// Removes all headers of a list, which can be used again.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_clear_headers(headers: *mut Evkeyvalq) {
    // SAFETY: the caller guarantees the list.
    unsafe { headers::clear(headers) };
}
