//! event2/http.h: URIs.

use super::{optional_string, status};
use crate::http::uri::{Part, Uri};
use std::ffi::{c_char, c_int, c_uint};
use std::ptr::{self, NonNull};

/// Makes a URI without any part. It is to be freed with evhttp_uri_free(). NULL when memory is
/// short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_new() -> *mut Uri {
    Uri::new().map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Changes the flags of a URI, which later changes of its parts obey: 0 or
/// `EVHTTP_URI_NONCONFORMANT`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_set_flags(uri: *mut Uri, flags: c_uint) {
    // SAFETY: the caller guarantees the URI.
    unsafe { (*uri).set_flags(flags) };
}

/// The scheme, such as `http`, or NULL. It belongs to the URI, until that part is changed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_get_scheme(uri: *const Uri) -> *const c_char {
    // SAFETY: the caller guarantees the URI.
    unsafe { (*uri).text(Part::Scheme) }
}

/// What stands before the `@` in front of the host, or NULL. It belongs to the URI, until that part is changed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_get_userinfo(uri: *const Uri) -> *const c_char {
    // SAFETY: the caller guarantees the URI.
    unsafe { (*uri).text(Part::Userinfo) }
}

/// The host, or NULL. An IPv6 address stands in brackets. It belongs to the URI, until that part is changed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_get_host(uri: *const Uri) -> *const c_char {
    // SAFETY: the caller guarantees the URI.
    unsafe { (*uri).text(Part::Host) }
}

/// The port, or -1 when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_get_port(uri: *const Uri) -> c_int {
    // SAFETY: the caller guarantees the URI.
    unsafe { (*uri).port() }
}

/// The path, encoded as it was. A parsed URI has one, if only an empty one. It belongs to the URI, until that part is changed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_get_path(uri: *const Uri) -> *const c_char {
    // SAFETY: the caller guarantees the URI.
    unsafe { (*uri).text(Part::Path) }
}

/// What stands behind the `?`, encoded as it was, or NULL when there is no `?`. It belongs to the URI, until that part is changed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_get_query(uri: *const Uri) -> *const c_char {
    // SAFETY: the caller guarantees the URI.
    unsafe { (*uri).text(Part::Query) }
}

/// What stands behind the `#`, or NULL when there is no `#`. It belongs to the URI, until that part is changed.
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

/// Changes the scheme of a URI. The string is copied; NULL takes the part away.
///
/// Returns 0, or -1 when the string is malformed or memory is short; nothing has changed then.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_set_scheme(
    uri: *mut Uri,
    scheme: *const c_char,
) -> c_int {
    // SAFETY: the caller guarantees the URI and the string.
    unsafe { set(uri, Part::Scheme, scheme) }
}

/// Changes what stands before the `@` in front of the host. The string is copied; NULL takes the
/// part away.
///
/// Returns 0, or -1 when the string is malformed or memory is short; nothing has changed then.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_set_userinfo(
    uri: *mut Uri,
    userinfo: *const c_char,
) -> c_int {
    // SAFETY: the caller guarantees the URI and the string.
    unsafe { set(uri, Part::Userinfo, userinfo) }
}

/// Changes the host of a URI. The string is copied; NULL takes the part away.
/// An IPv6 address stands in brackets.
///
/// Returns 0, or -1 when the string is malformed or memory is short; nothing has changed then.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_set_host(uri: *mut Uri, host: *const c_char) -> c_int {
    // SAFETY: the caller guarantees the URI and the string.
    unsafe { set(uri, Part::Host, host) }
}

/// Changes the port; -1 takes it away.
///
/// Returns 0, or -1 for a number below -1. The number is not compared with the highest port.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_set_port(uri: *mut Uri, port: c_int) -> c_int {
    // SAFETY: the caller guarantees the URI.
    unsafe { status((*uri).set_port(port)) }
}

/// Changes the path of a URI. The string is copied; NULL takes the part away.
/// The string is taken as encoded, and has no `?` and no `#`.
///
/// Returns 0, or -1 when the string is malformed or memory is short; nothing has changed then.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_set_path(uri: *mut Uri, path: *const c_char) -> c_int {
    // SAFETY: the caller guarantees the URI and the string.
    unsafe { set(uri, Part::Path, path) }
}

/// Changes what stands behind the `?`. The string is copied; NULL takes the part away.
/// The string is taken as encoded, and has no `#`.
///
/// Returns 0, or -1 when the string is malformed or memory is short; nothing has changed then.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_set_query(uri: *mut Uri, query: *const c_char) -> c_int {
    // SAFETY: the caller guarantees the URI and the string.
    unsafe { set(uri, Part::Query, query) }
}

/// Changes what stands behind the `#`. The string is copied; NULL takes the part away.
/// The string is taken as encoded.
///
/// Returns 0, or -1 when the string is malformed or memory is short; nothing has changed then.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_uri_set_fragment(
    uri: *mut Uri,
    fragment: *const c_char,
) -> c_int {
    // SAFETY: the caller guarantees the URI and the string.
    unsafe { set(uri, Part::Fragment, fragment) }
}

/// Takes a URI, or a reference such as `/path?query`, apart. Nothing is decoded.
///
/// With `EVHTTP_URI_NONCONFORMANT`, path, query and fragment may have characters that they may not
/// have in a URI, such as blanks. 0 means none of that.
///
/// Returns a URI that is to be freed with evhttp_uri_free(); NULL when the string is malformed or
/// memory is short.
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

/// The same as evhttp_uri_parse_with_flags() without flags.
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

/// Puts a URI together into `buf`, which has room for `limit` bytes.
///
/// Returns `buf`. NULL, with nothing written, when an argument is NULL, the URI does not fit, or
/// its text would have other parts: a path without slash behind a host, or one with two slashes
/// where there is no host.
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
