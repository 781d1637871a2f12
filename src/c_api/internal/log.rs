//! Internal exported symbols of the log area; the variadic ones are in `variadic.c`, which ends
//! here. (`event_debug_logging_mask_` is with the code that reads it, in `hooks::log`.)

use crate::c_api::optional_string;
use crate::hooks::log;
use std::ffi::{CStr, c_char, c_int};

/// Delivers a formatted line, followed by `: error` where `error` is not null.
///
/// # Safety
/// Both are null or NUL-terminated.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn libevent_rs_log_text(
    severity: c_int,
    text: *const c_char,
    error: *const c_char,
) {
    // SAFETY: the caller guarantees both strings.
    let (text, error) = unsafe { (optional_string(text), optional_string(error)) };
    log::formatted(
        severity,
        text.map_or(b"", CStr::to_bytes),
        error.map(CStr::to_bytes),
    );
}

/// Delivers a formatted line followed by the text of errno.
///
/// # Safety
/// `text` is null or NUL-terminated.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn libevent_rs_log_text_with_errno(severity: c_int, text: *const c_char) {
    // SAFETY: the caller guarantees the string.
    let text = unsafe { optional_string(text) };
    log::formatted_with_errno(severity, text.map_or(b"", CStr::to_bytes));
}

/// The fatal callback, then the end of the process.
#[unsafe(no_mangle)]
extern "C-unwind" fn libevent_rs_end_process(code: c_int) -> ! {
    log::end_process(code)
}
