//! event2/http.h: lists of headers, queries, and encodings of text.

use super::{give, optional_string, status};
use crate::hooks::memory::OutOfMemory;
use crate::http::encoding::{self, Plus};
use crate::http::headers::{self, Evkeyvalq};
use crate::http::{query, uri};
use std::ffi::{c_char, c_int};
use std::ptr::{self, NonNull};

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

/// The text for the caller, null when there is none.
fn text(result: Result<NonNull<c_char>, OutOfMemory>) -> *mut c_char {
    result.map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Encodes a string for a URI: all characters but ASCII letters, digits and `-._~` become `%XX`.
///
/// Returns a new string that the caller frees with free(), or NULL when memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_encode_uri(str: *const c_char) -> *mut c_char {
    // SAFETY: the caller guarantees the string.
    unsafe { evhttp_uriencode(str, -1, 0) }
}

/// Encodes `size` bytes as evhttp_encode_uri() does. A negative `size` means that the text ends
/// with a NUL. With `space_to_plus`, blanks become `+`.
///
/// Returns a new string that the caller frees with free(), or NULL when memory is short.
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

/// Decodes a string: `%XX` becomes the character, and `+` a blank behind the first question mark.
/// It is right for no part of a URI: use evhttp_uridecode().
///
/// Returns a new string that the caller frees with free(), or NULL when memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_decode_uri(uri: *const c_char) -> *mut c_char {
    // SAFETY: the caller guarantees the string.
    let Some(uri) = (unsafe { optional_string(uri) }) else {
        return ptr::null_mut();
    };
    let decoded = encoding::decoded(uri.to_bytes(), Plus::BlankInQuery);
    text(decoded.map(|(text, _)| text))
}

/// Decodes a string: `%XX` becomes the character, and with `decode_plus` `+` becomes a blank. A `%`
/// without two hexadecimal digits behind it stays.
///
/// The length of the result, which may contain NULs, goes to `size_out` unless that is NULL.
/// Returns a new string, with a NUL at its end, that the caller frees with free(); NULL when
/// memory is short.
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

/// Takes the parameters out of the query of a URI, into `headers`: see evhttp_parse_query_str().
///
/// Returns 0, also when there is no query; -1 when the URI or its query is malformed, or memory is
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

/// Takes the parameters out of a query, such as `one=1&two=2`, into `headers`, which is
/// initialised here and to be cleared with evhttp_clear_headers().
///
/// Names are kept as they are. Values are decoded: `%XX` becomes the character, `+` a blank. A
/// value ends at an encoded NUL.
///
/// Returns 0, also for an empty query and NULL; -1, with an empty list, when a parameter has no
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
/// Returns a new string that the caller frees with free(), or NULL for NULL and when memory is
/// short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_htmlescape(html: *const c_char) -> *mut c_char {
    // SAFETY: the caller guarantees the string.
    unsafe { optional_string(html) }.map_or(ptr::null_mut(), |html| {
        text(encoding::escape_html(html.to_bytes()))
    })
}
