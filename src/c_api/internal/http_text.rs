//! Internal exported symbols for encoded text.

use crate::http::encoding::{self, Plus};
use std::cmp::Ordering;
use std::ffi::{c_char, c_int};

/// Decodes `length` bytes to `ret`, which has room for one more and may be `uri`. A `+` becomes a
/// blank when `decode_plus` is 1, or negative and a question mark came before. The decoded length.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evhttp_decode_uri_internal(
    uri: *const c_char,
    length: usize,
    ret: *mut c_char,
    decode_plus: c_int,
) -> c_int {
    let plus = match decode_plus.cmp(&0) {
        Ordering::Less => Plus::BlankInQuery,
        Ordering::Greater if decode_plus == 1 => Plus::Blank,
        _ => Plus::Plus,
    };
    // SAFETY: the caller guarantees the bytes and the room.
    unsafe { encoding::decode(uri.cast(), length, ret.cast(), plus) as c_int }
}
