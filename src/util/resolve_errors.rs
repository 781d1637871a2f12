//! Error codes of name resolution and their messages.

use std::ffi::{c_char, c_int};

/// The request was cancelled.
pub const CANCELED: c_int = -90001;
/// The name must be looked up; never seen by programs.
pub const NEEDS_LOOKUP: c_int = -90002;

/// The libc crate lacks EAI_ADDRFAMILY.
pub const ADDRESS_FAMILY: c_int = -9;

/// The text of an error code, the same in every locale. Codes from -901 to -911 are those that
/// event2/util.h defines for programs that hide the system's.
pub fn text(code: c_int) -> *const c_char {
    let text = match code {
        0 => c"No error",
        CANCELED => c"Request canceled",
        ADDRESS_FAMILY | -901 => c"address family for nodename not supported",
        libc::EAI_AGAIN | -902 => c"temporary failure in name resolution",
        libc::EAI_BADFLAGS | -903 => c"invalid value for ai_flags",
        libc::EAI_FAIL | -904 => c"non-recoverable failure in name resolution",
        libc::EAI_FAMILY | -905 => c"ai_family not supported",
        libc::EAI_MEMORY | -906 => c"memory allocation failure",
        libc::EAI_NODATA | -907 => c"no address associated with nodename",
        libc::EAI_NONAME | -908 => c"nodename nor servname provided, or not known",
        libc::EAI_SERVICE | -909 => c"servname not supported for ai_socktype",
        libc::EAI_SOCKTYPE | -910 => c"ai_socktype not supported",
        libc::EAI_SYSTEM | -911 => c"system error",
        // SAFETY: gai_strerror takes any number and returns a constant string.
        other => return unsafe { libc::gai_strerror(other) },
    };
    text.as_ptr()
}
