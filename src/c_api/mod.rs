//! The exported C functions, one file per public header: null and range checks, conversions, and
//! the documentation that becomes the text of the header. The logic is in the layers below.
//!
//! # How a file here becomes a header
//!
//! `headers/event2/NAME.h` is the hand-written part of a header: what cannot be expressed in Rust.
//! Its line `/* generated from src/c_api/NAME.rs */` is replaced by what cbindgen makes of that file.
//! cbindgen reads only that file, and puts these things into the header, in source order:
//!
//! - every `#[unsafe(no_mangle)] pub unsafe extern "C-unwind" fn`, as a prototype. Its parameter names
//!   are part of the header, so a C programmer must understand them.
//! - every `pub const` as a `#define`, so a constant that is not C API is `pub(crate)`:
//!   `pub const EV_READ: c_short = 0x02;`
//! - every `pub enum` that is `#[repr(C)]`, with its variants spelled as in C (and
//!   `#[allow(non_camel_case_types)]`): `pub enum EventMethodFeature { EV_FEATURE_ET = 0x01, }`.
//!   A value from C never has such a type, because it may be out of range: a parameter of the C
//!   type `enum evbuffer_eol_style` is declared with an alias of `c_uint`, `eol_style: EolStyleValue`.
//! - every `pub struct` that is `#[repr(C)]`.
//! - every `pub type` that is a function pointer, as a `typedef`. The alias is the bare function
//!   type, its name ends in `Fn`, and its parameters have names; uses say `Option<...>`:
//!   `pub type EventLogFn = unsafe extern "C-unwind" fn(severity: c_int, message: *const c_char);`
//!   `pub unsafe extern "C-unwind" fn event_set_log_callback(callback: Option<EventLogFn>)`.
//!   Where a lower layer owns the alias, the typedef stands in the hand-written part.
//!   A lower layer may also keep its C types and constants in a file of their own, such as
//!   `hooks/thread_abi.rs`, which the header then names in a marker line too.
//!
//! A doc line `cbindgen:ignore` keeps an item out. `cbindgen.toml` has the C spelling of each Rust
//! type (`EventBase = "struct event_base"`); a new type needs a line there.
//! Prefer the libc crate's names for system types: `libc::timeval`, `libc::sockaddr`, `libc::FILE`.
//! `usize` is `size_t`, `isize` is `ev_ssize_t`, `u32` and `u64` are `ev_uint32_t` and `ev_uint64_t`,
//! [`EvutilSocket`] is `evutil_socket_t`. Variadic functions, and those that take a `va_list`,
//! are declared by hand, for their format attribute.
//!
//! Doc comments are written for readers of the C header: plain text or backquotes, no links to Rust
//! items. They say what the function does, who owns what, which threads may call it, units, what is
//! returned, and how it fails.

// The C documentation says what callers must guarantee.
#![allow(clippy::missing_safety_doc)]

use crate::util::status;
use std::ffi::{CStr, c_char, c_int};

/// A descriptor, under the name that it has in the C headers.
pub type EvutilSocket = c_int;

pub mod buffer;
pub mod buffer_compat;
pub mod bufferevent;
pub mod bufferevent_compat;
pub mod bufferevent_rate;
pub mod dns;
pub mod dns_compat;
pub mod event;
pub mod event_base;
pub mod event_compat;
pub mod http;
pub mod http_client;
pub mod http_compat;
pub mod http_text;
pub mod http_uri;
mod internal;
pub mod listener;
pub mod rpc;
pub mod tag;
pub mod thread;
pub mod util;

/// A string that may be null.
///
/// # Safety
/// `text` is null or a NUL-terminated string that outlives the result.
unsafe fn optional_string<'a>(text: *const c_char) -> Option<&'a CStr> {
    // SAFETY: the caller guarantees the terminator.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}

/// Copies text and a terminator, truncated to `size` bytes.
///
/// # Safety
/// `out` has room for `size` bytes.
unsafe fn copy_text(text: &[u8], out: *mut c_char, size: usize) {
    if size > 0 {
        let count = text.len().min(size - 1);
        // SAFETY: the caller guarantees the room, of which the terminator takes the last byte.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr().cast(), out, count);
            out.add(count).write(0);
        }
    }
}

/// Stores a result, unless the caller passed null.
///
/// # Safety
/// `place` is null or writable.
unsafe fn give<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: the caller guarantees the place.
        unsafe { place.write(value) };
    }
}
