//! Messages, fatal errors and their hooks.
//!
//! A message is formatted into a fixed buffer on the stack: logging never allocates. The hook may
//! log again from inside, so no lock is held here. errno survives every message except a fatal one.

use crate::system;
use std::ffi::{c_char, c_int};
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

/// Receives every message: severity and text.
pub type LogCallback = unsafe extern "C-unwind" fn(c_int, *const c_char);
/// Called with the exit code when the library cannot go on.
pub type FatalCallback = unsafe extern "C-unwind" fn(c_int);

/// How bad it is, with the numbers of the C interface.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Severity {
    Debug = 0,
    Message = 1,
    Warning = 2,
    Error = 3,
}

/// Exit code for a broken invariant: without a fatal callback the process ends with `abort`.
pub const INTERNAL_ERROR: c_int = 0xdead_dead_u32 as c_int;

/// Bytes of a message, terminator included; longer ones are cut.
const MESSAGE_SIZE: usize = 1024;

static LOG: AtomicUsize = AtomicUsize::new(0);
static FATAL: AtomicUsize = AtomicUsize::new(0);

/// Non-zero: debug messages are wanted. Exported data; written by `event_enable_debug_logging`.
#[unsafe(no_mangle)]
pub static event_debug_logging_mask_: AtomicU32 = AtomicU32::new(0);

/// Replaces the destination of messages; `None` is stderr.
pub fn set_callback(callback: Option<LogCallback>) {
    LOG.store(callback.map_or(0, |f| f as usize), Relaxed);
}

/// Replaces what happens on a fatal error; `None` ends the process.
pub fn set_fatal_callback(callback: Option<FatalCallback>) {
    FATAL.store(callback.map_or(0, |f| f as usize), Relaxed);
}

/// Switches debug messages on with any bit, off with none.
pub fn enable_debug(which: u32) {
    event_debug_logging_mask_.store(which, Relaxed);
}

/// Whether debug messages are wanted.
#[inline]
pub fn debug_enabled() -> bool {
    event_debug_logging_mask_.load(Relaxed) != 0
}

/// The message being built: always NUL-terminated, never more than `MESSAGE_SIZE` bytes.
pub struct Line {
    bytes: [u8; MESSAGE_SIZE],
    length: usize,
}

impl Line {
    fn new() -> Self {
        Line {
            bytes: [0; MESSAGE_SIZE],
            length: 0,
        }
    }

    fn push(&mut self, text: &[u8]) {
        let count = text.len().min(MESSAGE_SIZE - 1 - self.length);
        self.bytes[self.length..self.length + count].copy_from_slice(&text[..count]);
        self.length += count;
        self.bytes[self.length] = 0;
    }

    /// Appends `: text` of an errno, if at least one byte of the text finds room.
    fn push_error_text(&mut self, text: &[u8]) {
        if self.length < MESSAGE_SIZE - 3 {
            self.push(b": ");
            self.push(text);
        }
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

/// Restores errno when dropped.
struct SavedErrno(c_int);

impl SavedErrno {
    fn new() -> Self {
        SavedErrno(system::errno())
    }

    /// libc's text for the saved number, to be copied before this thread asks for another.
    fn text(&self) -> &'static [u8] {
        // SAFETY: strerror returns a NUL-terminated string that stays valid until this thread
        // calls it again; it is consumed before that.
        unsafe { std::ffi::CStr::from_ptr(libc::strerror(self.0)).to_bytes() }
    }
}

impl Drop for SavedErrno {
    fn drop(&mut self) {
        system::set_errno(self.0);
    }
}

fn deliver(severity: c_int, line: &Line) {
    match LOG.load(Relaxed) {
        0 => print(severity, &line.bytes[..line.length]),
        hook => {
            // SAFETY: only `set_callback` stores here, and it stores a `LogCallback`.
            let callback = unsafe { std::mem::transmute::<usize, LogCallback>(hook) };
            // SAFETY: the line is NUL-terminated and outlives the call.
            unsafe { callback(severity, line.bytes.as_ptr().cast()) }
        }
    }
}

/// One write, so that lines of several threads do not mix.
fn print(severity: c_int, text: &[u8]) {
    let prefix: &[u8] = match severity {
        0 => b"[debug] ",
        1 => b"[msg] ",
        2 => b"[warn] ",
        3 => b"[err] ",
        _ => b"[???] ",
    };
    let parts = [prefix, text, b"\n"].map(|part| libc::iovec {
        iov_base: part.as_ptr().cast_mut().cast(),
        iov_len: part.len(),
    });
    // SAFETY: the three parts are valid for the call, which only reads them.
    unsafe { system::writev(libc::STDERR_FILENO, parts.as_ptr(), 3) };
}

/// Logs a message.
pub fn message(severity: Severity, text: fmt::Arguments<'_>) {
    let _errno = SavedErrno::new();
    let mut line = Line::new();
    let _ = line.write_fmt(text);
    deliver(severity as c_int, &line);
}

/// Logs a message followed by `: ` and the text of errno.
pub fn message_with_errno(severity: Severity, text: fmt::Arguments<'_>) {
    let errno = SavedErrno::new();
    let mut line = Line::new();
    let _ = line.write_fmt(text);
    line.push_error_text(errno.text());
    deliver(severity as c_int, &line);
}

/// Delivers text that C code formatted; `error` is appended as the text of an errno is.
pub fn formatted(severity: c_int, text: &[u8], error: Option<&[u8]>) {
    let _errno = SavedErrno::new();
    let mut line = Line::new();
    line.push(text);
    if let Some(error) = error {
        line.push_error_text(error);
    }
    deliver(severity, &line);
}

/// Delivers text that C code formatted, followed by the text of errno.
pub fn formatted_with_errno(severity: c_int, text: &[u8]) {
    let errno = SavedErrno::new();
    let mut line = Line::new();
    line.push(text);
    line.push_error_text(errno.text());
    deliver(severity, &line);
}

/// Logs an error and ends the process the documented way.
pub fn fatal(code: c_int, text: fmt::Arguments<'_>) -> ! {
    message(Severity::Error, text);
    end_process(code)
}

/// The fatal callback, then exit; without one, abort for a broken invariant, else exit.
pub fn end_process(code: c_int) -> ! {
    match FATAL.load(Relaxed) {
        0 if code == INTERNAL_ERROR => std::process::abort(),
        0 => {}
        hook => {
            // SAFETY: only `set_fatal_callback` stores here, and it stores a `FatalCallback`.
            unsafe { std::mem::transmute::<usize, FatalCallback>(hook)(code) }
        }
    }
    // SAFETY: exit runs the program's own handlers; the library keeps no state that they need.
    unsafe { system::exit(code) }
}

/// Logs a warning.
#[macro_export]
macro_rules! warning {
    ($($text:tt)*) => {
        $crate::hooks::log::message($crate::hooks::log::Severity::Warning, format_args!($($text)*))
    };
}

/// Logs a warning with the text of errno.
#[macro_export]
macro_rules! warning_with_errno {
    ($($text:tt)*) => {
        $crate::hooks::log::message_with_errno(
            $crate::hooks::log::Severity::Warning, format_args!($($text)*))
    };
}

/// Logs a debug message; the arguments are not evaluated while debug logging is off.
#[macro_export]
macro_rules! debug_message {
    ($($text:tt)*) => {
        if $crate::hooks::log::debug_enabled() {
            $crate::util::cold_path(move || $crate::hooks::log::message(
                $crate::hooks::log::Severity::Debug, format_args!($($text)*)))
        }
    };
}

/// Ends the process through the fatal callback when an invariant does not hold.
#[macro_export]
macro_rules! require {
    ($condition:expr, $($text:tt)*) => {
        if !$condition {
            $crate::hooks::log::fatal(
                $crate::hooks::log::INTERNAL_ERROR,
                format_args!("{}:{}: {}", file!(), line!(), format_args!($($text)*)),
            )
        }
    };
}
