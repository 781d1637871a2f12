//! Internal exported symbols about characters, strings, files and the environment.
#![allow(non_snake_case)]

use crate::require;
use crate::util::file::{self, ReadError};
use crate::util::{ascii, environment};
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;

/// 1 for an ASCII letter.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn EVUTIL_ISALPHA_(c: c_char) -> c_int {
    c_int::from((c as u8).is_ascii_alphabetic())
}

/// 1 for an ASCII letter or digit.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn EVUTIL_ISALNUM_(c: c_char) -> c_int {
    c_int::from((c as u8).is_ascii_alphanumeric())
}

/// 1 for ASCII white space.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn EVUTIL_ISSPACE_(c: c_char) -> c_int {
    c_int::from(ascii::is_space(c as u8))
}

/// 1 for a decimal digit.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn EVUTIL_ISDIGIT_(c: c_char) -> c_int {
    c_int::from((c as u8).is_ascii_digit())
}

/// 1 for a hexadecimal digit.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn EVUTIL_ISXDIGIT_(c: c_char) -> c_int {
    c_int::from((c as u8).is_ascii_hexdigit())
}

/// 1 for a visible ASCII character or a space.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn EVUTIL_ISPRINT_(c: c_char) -> c_int {
    c_int::from(ascii::is_printable(c as u8))
}

/// 1 for a lower-case ASCII letter.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn EVUTIL_ISLOWER_(c: c_char) -> c_int {
    c_int::from((c as u8).is_ascii_lowercase())
}

/// 1 for an upper-case ASCII letter.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn EVUTIL_ISUPPER_(c: c_char) -> c_int {
    c_int::from((c as u8).is_ascii_uppercase())
}

/// An ASCII letter in lower case; every other byte as it is.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn EVUTIL_TOLOWER_(c: c_char) -> c_char {
    (c as u8).to_ascii_lowercase() as c_char
}

/// An ASCII letter in upper case; every other byte as it is.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn EVUTIL_TOUPPER_(c: c_char) -> c_char {
    (c as u8).to_ascii_uppercase() as c_char
}

/// The value of a hexadecimal digit, or -1.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn evutil_hex_char_to_int_(c: c_char) -> c_int {
    ascii::hex_value(c as u8).map_or(-1, c_int::from)
}

/// Removes spaces and tabs from the end of a string, in place.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_rtrim_lws_(str: *mut c_char) {
    if str.is_null() {
        return;
    }
    // SAFETY: the caller guarantees a writable, terminated string; the bytes from the kept length
    // on belong to it.
    unsafe {
        let text = CStr::from_ptr(str).to_bytes();
        let (length, kept) = (text.len(), ascii::without_trailing_blanks(text).len());
        ptr::write_bytes(str.add(kept), 0, length - kept);
    }
}

/// Copies at most `size - 1` bytes and a terminator; the length of the source.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_strlcpy_(
    dst: *mut c_char,
    src: *const c_char,
    size: usize,
) -> usize {
    // SAFETY: the caller guarantees a terminated source and `size` bytes of room.
    unsafe {
        let length = libc::strlen(src);
        if size > 0 {
            let count = length.min(size - 1);
            ptr::copy_nonoverlapping(src, dst, count);
            dst.add(count).write(0);
        }
        length
    }
}

/// What `evutil_memclear_` calls: through a variable, so that no compiler can see what it does.
#[unsafe(no_mangle)]
pub static mut evutil_memset_volatile_: unsafe extern "C" fn(
    *mut c_void,
    c_int,
    usize,
) -> *mut c_void = libc::memset;

/// Zeroes memory that nobody reads again, such as keys.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_memclear_(memory: *mut c_void, length: usize) {
    // SAFETY: the caller guarantees the memory; the variable holds memset or what replaced it.
    unsafe {
        let set = ptr::read_volatile(ptr::addr_of!(evutil_memset_volatile_));
        set(memory, 0, length);
    }
}

/// The value of an environment variable; null in programs with special privileges.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_getenv_(name: *const c_char) -> *const c_char {
    // SAFETY: the caller guarantees a terminated name.
    environment::get(unsafe { CStr::from_ptr(name) })
}

/// Reads a whole file into a block of the memory hooks: 0, -1 when it cannot be opened, -2 for
/// any other failure.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_read_file_(
    filename: *const c_char,
    content_out: *mut *mut c_char,
    length_out: *mut usize,
    _is_binary: c_int,
) -> c_int {
    require!(
        !content_out.is_null() && !length_out.is_null(),
        "evutil_read_file_ needs both outputs"
    );
    // SAFETY: the caller guarantees a terminated name and writable outputs.
    unsafe {
        (*content_out, *length_out) = (ptr::null_mut(), 0);
        match file::read(CStr::from_ptr(filename)) {
            Ok(content) => {
                (*content_out, *length_out) = content;
                0
            }
            Err(ReadError::Open) => -1,
            Err(ReadError::Read) => -2,
        }
    }
}

/// open() with O_CLOEXEC added.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_open_closeonexec_(
    pathname: *const c_char,
    flags: c_int,
    mode: c_uint,
) -> c_int {
    // SAFETY: the caller guarantees a terminated path.
    file::open(unsafe { CStr::from_ptr(pathname) }, flags, mode).unwrap_or(-1)
}
