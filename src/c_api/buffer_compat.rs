//! event2/buffer_compat.h: functions on buffers that the 1.x series had.

use super::status;
use crate::buffer::callbacks::EvbufferLegacyCallbackFn;
use crate::buffer::line::LineEnd;
use crate::buffer::{Evbuffer, Guard};
use std::ffi::{c_char, c_int, c_uchar, c_void};
use std::ptr;

/// Removes one line from a buffer, like evbuffer_readln() with `EVBUFFER_EOL_ANY` and no length.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_readline(buffer: *mut Evbuffer) -> *mut c_char {
    // SAFETY: the caller guarantees the buffer.
    unsafe { Guard::new(buffer) }
        .read_line(LineEnd::Any)
        .map_or(ptr::null_mut(), |(line, _)| line.cast())
}

/// Removes all callbacks of a buffer, then registers `cb` unless it is NULL.
///
/// Returns 0, or -1, with nothing changed, if memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_setcb(
    buffer: *mut Evbuffer,
    cb: Option<EvbufferLegacyCallbackFn>,
    cbarg: *mut c_void,
) -> c_int {
    // SAFETY: the caller guarantees the buffer.
    status(unsafe { Guard::new(buffer) }.replace_callbacks(cb, cbarg))
}

/// Finds the `len` bytes at `what` and makes the data up to their end contiguous.
///
/// Returns the address where they begin, valid until the buffer is changed; NULL if they are not
/// found, `len` is 0 or memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_find(
    buffer: *mut Evbuffer,
    what: *const c_uchar,
    len: usize,
) -> *mut c_uchar {
    if len == 0 || len > isize::MAX as usize {
        return ptr::null_mut();
    }
    // SAFETY: the caller guarantees the buffer and the string.
    unsafe {
        let what = std::slice::from_raw_parts(what, len);
        Guard::new(buffer).find(what).unwrap_or(ptr::null_mut())
    }
}
