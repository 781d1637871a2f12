//! event2/http.h: lists of headers, queries, and encodings of text.

use super::{give, optional_string, status};
use crate::hooks::memory::OutOfMemory;
use crate::http::encoding::{self, Plus};
use crate::http::headers::{self, Evkeyvalq};
use crate::http::{query, uri};
use std::ffi::{c_char, c_int};
use std::ptr::{self, NonNull};

/// Finds a header by name, ignoring case.
///
/// Returns the value of the first header with that name, or NULL if there is none. The value
/// belongs to the list and is valid until the header is removed.
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

/// Removes the first header with a name, ignoring case. Other headers with that name stay.
///
/// Returns 0, or -1 if there is none.
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

/// Adds a header at the end of a list, which must have been initialised. Both strings are copied.
/// Headers with the same name stay, in front of it.
///
/// Headers added here cannot break the framing of a message: a name must not be empty or contain
/// line breaks. A value may contain line breaks that are followed by spaces or tabs; each such
/// break, with the spaces and tabs after it, becomes one space.
///
/// Returns 0, or -1, with nothing changed, if a string is not allowed or memory is short.
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

/// Removes all headers from a list, which can then be used again.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_clear_headers(headers: *mut Evkeyvalq) {
    // SAFETY: the caller guarantees the list.
    unsafe { headers::clear(headers) };
}

/// The text for the caller, null when there is none.
fn text(result: Result<NonNull<c_char>, OutOfMemory>) -> *mut c_char {
    result.map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Percent-encodes a string for a URI: all characters other than ASCII letters, digits and `-._~`
/// become `%XX`.
///
/// Returns a new string that the caller frees with free(), or NULL if memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_encode_uri(str: *const c_char) -> *mut c_char {
    // SAFETY: the caller guarantees the string.
    unsafe { evhttp_uriencode(str, -1, 0) }
}

/// Percent-encodes `size` bytes like evhttp_encode_uri(). A negative `size` means that the string
/// ends with a NUL. With `space_to_plus`, spaces become `+`.
///
/// Returns a new string that the caller frees with free(), or NULL if memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uriencode(
    str: *const c_char,
    size: isize,
    space_to_plus: c_int,
) -> *mut c_char {
    if str.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: the caller guarantees the bytes, or the NUL.
    unsafe {
        let length = usize::try_from(size).unwrap_or_else(|_| libc::strlen(str));
        let bytes = std::slice::from_raw_parts(str.cast(), length);
        text(encoding::encode(bytes, space_to_plus != 0))
    }
}

/// Decodes a string: `%XX` becomes the character, and after the first question mark `+` becomes a
/// space. This is not correct for any part of a URI: use evhttp_uridecode().
///
/// Returns a new string that the caller frees with free(), or NULL if memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_decode_uri(uri: *const c_char) -> *mut c_char {
    // SAFETY: the caller guarantees the string.
    let Some(uri) = (unsafe { optional_string(uri) }) else {
        return ptr::null_mut();
    };
    let decoded = encoding::decoded(uri.to_bytes(), Plus::BlankInQuery);
    text(decoded.map(|(text, _)| text))
}

/// Decodes a string: `%XX` becomes the character, and with `decode_plus` `+` becomes a space. A `%`
/// that is not followed by two hexadecimal digits stays.
///
/// The length of the result, which may contain NULs, is stored in `size_out` unless that is NULL.
/// Returns a new NUL-terminated string that the caller frees with free(), or NULL if memory is
/// short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uridecode(
    uri: *const c_char,
    decode_plus: c_int,
    size_out: *mut usize,
) -> *mut c_char {
    // SAFETY: the caller guarantees the string and the place for the size.
    unsafe {
        let Some(uri) = optional_string(uri) else {
            return ptr::null_mut();
        };
        let plus = if decode_plus != 0 {
            Plus::Blank
        } else {
            Plus::Plus
        };
        match encoding::decoded(uri.to_bytes(), plus) {
            Ok((text, length)) => {
                give(size_out, length);
                text.as_ptr()
            }
            Err(OutOfMemory) => ptr::null_mut(),
        }
    }
}

/// Extracts the parameters from the query of a URI into `headers`: see evhttp_parse_query_str().
///
/// Returns 0, also if there is no query; or -1 if the URI or its query is malformed or memory is
/// short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_parse_query(
    uri: *const c_char,
    headers: *mut Evkeyvalq,
) -> c_int {
    // SAFETY: the caller guarantees the string and the list.
    unsafe {
        Evkeyvalq::initialise(headers);
        let Some(uri) = optional_string(uri) else {
            return -1;
        };
        let query = uri::query_of(uri.to_bytes());
        status(query.and_then(|query| query::parse(query.unwrap_or(b""), headers)))
    }
}

/// Extracts the parameters from a query such as `one=1&two=2` into `headers`, which is initialised
/// here. The caller clears it with evhttp_clear_headers().
///
/// Names are kept as they are. Values are decoded: `%XX` becomes the character, and `+` a space. A
/// value ends at an encoded NUL.
///
/// Returns 0, also for an empty query and NULL; or -1, with an empty list, if a parameter has no
/// name or no `=`, or memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_parse_query_str(
    uri: *const c_char,
    headers: *mut Evkeyvalq,
) -> c_int {
    // SAFETY: the caller guarantees the string and the list.
    unsafe {
        Evkeyvalq::initialise(headers);
        let query = optional_string(uri).unwrap_or_default();
        status(query::parse(query.to_bytes(), headers))
    }
}

/// Escapes a string for HTML: the characters `<`, `>`, `"`, `'` and `&`.
///
/// Returns a new string that the caller frees with free(), or NULL if `html` is NULL or memory is
/// short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_htmlescape(html: *const c_char) -> *mut c_char {
    // SAFETY: the caller guarantees the string.
    unsafe { optional_string(html) }.map_or(ptr::null_mut(), |html| {
        text(encoding::escape_html(html.to_bytes()))
    })
}
