//! event2/http.h: URIs.

use super::{optional_string, status};
use crate::http::uri::{Part, Uri};
use std::ffi::{c_char, c_int, c_uint};
use std::ptr::{self, NonNull};

/// Makes an empty URI. Returns NULL if memory is short. The caller frees it with evhttp_uri_free().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_new() -> *mut Uri {
    Uri::new().map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Sets the flags of a URI, 0 or `EVHTTP_URI_NONCONFORMANT`, which apply to later changes of its
/// parts.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_set_flags(uri: *mut Uri, flags: c_uint) {
    // SAFETY: the caller guarantees the URI.
    unsafe { (*uri).set_flags(flags) };
}

/// The scheme, such as `http`, or NULL. Valid until that part is changed or the URI is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_get_scheme(uri: *const Uri) -> *const c_char {
    // SAFETY: the caller guarantees the URI.
    unsafe { (*uri).text(Part::Scheme) }
}

/// The user information, in front of the `@` before the host, or NULL. Valid until that part is
/// changed or the URI is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_get_userinfo(uri: *const Uri) -> *const c_char {
    // SAFETY: the caller guarantees the URI.
    unsafe { (*uri).text(Part::Userinfo) }
}

/// The host, or NULL. An IPv6 address is in brackets. Valid until that part is changed or the URI
/// is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_get_host(uri: *const Uri) -> *const c_char {
    // SAFETY: the caller guarantees the URI.
    unsafe { (*uri).text(Part::Host) }
}

/// The port, or -1 if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_get_port(uri: *const Uri) -> c_int {
    // SAFETY: the caller guarantees the URI.
    unsafe { (*uri).port() }
}

/// The path, still encoded. A parsed URI always has a path, which may be empty. Valid until that
/// part is changed or the URI is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_get_path(uri: *const Uri) -> *const c_char {
    // SAFETY: the caller guarantees the URI.
    unsafe { (*uri).text(Part::Path) }
}

/// The query, after the `?`, still encoded, or NULL if there is no `?`. Valid until that part is
/// changed or the URI is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_get_query(uri: *const Uri) -> *const c_char {
    // SAFETY: the caller guarantees the URI.
    unsafe { (*uri).text(Part::Query) }
}

/// The fragment, after the `#`, or NULL if there is no `#`. Valid until that part is changed or the
/// URI is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_get_fragment(uri: *const Uri) -> *const c_char {
    // SAFETY: the caller guarantees the URI.
    unsafe { (*uri).text(Part::Fragment) }
}

/// The caller's string as a part of the URI.
///
/// # Safety
/// The URI is live, the string terminated or null.
unsafe fn set(uri: *mut Uri, part: Part, text: *const c_char) -> c_int {
    // SAFETY: the caller guarantees the URI and the string.
    unsafe {
        let text = optional_string(text).map(|text| text.to_bytes());
        status((*uri).set_part(part, text))
    }
}

/// Sets the scheme of a URI. The string is copied; NULL removes the part.
///
/// Returns 0, or -1, with nothing changed, if the string is malformed or memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_set_scheme(
    uri: *mut Uri,
    scheme: *const c_char,
) -> c_int {
    // SAFETY: the caller guarantees the URI and the string.
    unsafe { set(uri, Part::Scheme, scheme) }
}

/// Sets the user information of a URI, in front of the `@` before the host. The string is copied;
/// NULL removes the part.
///
/// Returns 0, or -1, with nothing changed, if the string is malformed or memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_set_userinfo(
    uri: *mut Uri,
    userinfo: *const c_char,
) -> c_int {
    // SAFETY: the caller guarantees the URI and the string.
    unsafe { set(uri, Part::Userinfo, userinfo) }
}

/// Sets the host of a URI. The string is copied; NULL removes the part. An IPv6 address must be in
/// brackets.
///
/// Returns 0, or -1, with nothing changed, if the string is malformed or memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_set_host(uri: *mut Uri, host: *const c_char) -> c_int {
    // SAFETY: the caller guarantees the URI and the string.
    unsafe { set(uri, Part::Host, host) }
}

/// Sets the port of a URI; -1 removes it.
///
/// Returns 0, or -1 for a number below -1. Numbers above 65535 are accepted.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_set_port(uri: *mut Uri, port: c_int) -> c_int {
    // SAFETY: the caller guarantees the URI.
    unsafe { status((*uri).set_port(port)) }
}

/// Sets the path of a URI. The string is copied; NULL removes the part. It must already be encoded,
/// and contain no `?` and no `#`.
///
/// Returns 0, or -1, with nothing changed, if the string is malformed or memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_set_path(uri: *mut Uri, path: *const c_char) -> c_int {
    // SAFETY: the caller guarantees the URI and the string.
    unsafe { set(uri, Part::Path, path) }
}

/// Sets the query of a URI, after the `?`. The string is copied; NULL removes the part. It must
/// already be encoded, and contain no `#`.
///
/// Returns 0, or -1, with nothing changed, if the string is malformed or memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_set_query(uri: *mut Uri, query: *const c_char) -> c_int {
    // SAFETY: the caller guarantees the URI and the string.
    unsafe { set(uri, Part::Query, query) }
}

/// Sets the fragment of a URI, after the `#`. The string is copied; NULL removes the part. It must
/// already be encoded.
///
/// Returns 0, or -1, with nothing changed, if the string is malformed or memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_set_fragment(
    uri: *mut Uri,
    fragment: *const c_char,
) -> c_int {
    // SAFETY: the caller guarantees the URI and the string.
    unsafe { set(uri, Part::Fragment, fragment) }
}

/// Parses a URI, or a reference such as `/path?query`. Nothing is decoded.
///
/// `flags` is 0 or `EVHTTP_URI_NONCONFORMANT`, which allows path, query and fragment to contain
/// characters that URIs do not allow, such as spaces.
///
/// Returns the URI, which the caller frees with evhttp_uri_free(), or NULL if the string is
/// malformed or memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_parse_with_flags(
    source_uri: *const c_char,
    flags: c_uint,
) -> *mut Uri {
    // SAFETY: the caller guarantees the string.
    let Some(source) = (unsafe { optional_string(source_uri) }) else {
        return ptr::null_mut();
    };
    Uri::parse(source.to_bytes(), flags).map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Like evhttp_uri_parse_with_flags() without flags.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_parse(source_uri: *const c_char) -> *mut Uri {
    // SAFETY: the caller guarantees the string.
    unsafe { evhttp_uri_parse_with_flags(source_uri, 0) }
}

/// Frees a URI and its parts.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_free(uri: *mut Uri) {
    if !uri.is_null() {
        // SAFETY: the caller guarantees the URI.
        unsafe { Uri::free(uri) };
    }
}

/// Writes a URI as text into `buf`, which has room for `limit` bytes.
///
/// Returns `buf`; or NULL, with nothing written, if an argument is NULL, the text does not fit, or
/// the text would parse into different parts: a path without a leading slash after a host, or one
/// with two leading slashes without a host.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_join(
    uri: *mut Uri,
    buf: *mut c_char,
    limit: usize,
) -> *mut c_char {
    // SAFETY: the caller guarantees the URI and the room.
    let joined = !uri.is_null() && !buf.is_null() && unsafe { (*uri).join(buf.cast(), limit) };
    if joined { buf } else { ptr::null_mut() }
}
