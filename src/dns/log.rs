//! Messages of the resolver and the server: to the program's own function, or to the general log.

use crate::hooks::log::{self, Severity};
use crate::util::text::Text;
use std::ffi::{c_char, c_int};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Gets every message, and whether it is a warning.
pub type DnsLogFn = unsafe extern "C-unwind" fn(c_int, *const c_char);

static CALLBACK: AtomicUsize = AtomicUsize::new(0);

/// Longest message for the program's function.
const LONGEST: usize = 511;

/// Replaces the function; `None` is the general log.
pub fn set_callback(callback: Option<DnsLogFn>) {
    CALLBACK.store(callback.map_or(0, |callback| callback as usize), Relaxed);
}

/// Logs a message. The program's function also gets debug messages, and may call into the library:
/// at most the resolver's lock is held here.
pub fn message(severity: Severity, text: fmt::Arguments<'_>) {
    let callback = CALLBACK.load(Relaxed);
    if callback == 0 {
        if severity != Severity::Debug || log::debug_enabled() {
            log::message(severity, text);
        }
        return;
    }
    let text = Text::<LONGEST>::of(text);
    let mut terminated = [0; LONGEST + 1];
    terminated[..text.as_bytes().len()].copy_from_slice(text.as_bytes());
    let warning = c_int::from(severity == Severity::Warning);
    // SAFETY: only `set_callback` stores here, and it stores a `DnsLogFn`; the text is terminated.
    unsafe {
        std::mem::transmute::<usize, DnsLogFn>(callback)(warning, terminated.as_ptr().cast());
    }
}

/// Whether somebody wants messages for debugging.
pub fn wants_debug() -> bool {
    CALLBACK.load(Relaxed) != 0 || log::debug_enabled()
}
