//! What programs and the layers above need from the system, in a portable form.

pub mod address;
pub mod ascii;
pub mod clock;
pub mod date;
pub mod environment;
pub mod file;
pub mod interfaces;
pub mod random;
pub mod resolve;
pub mod resolve_async;
pub mod resolve_errors;
mod services;
pub mod socket_address;
pub mod sockets;
pub mod text;
pub mod weak_random;

use crate::hooks::memory::OutOfMemory;
use crate::system::set_errno;

/// Calls `work`, for branches that are hardly ever taken: its code is kept apart, so that the way
/// that is usual is short, and keeps its values in registers if `work` takes copies of them.
#[cold]
#[inline(never)]
pub fn cold_path<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// The system refused, or there is no memory; errno says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemError;

impl From<OutOfMemory> for SystemError {
    fn from(_: OutOfMemory) -> SystemError {
        set_errno(libc::ENOMEM);
        SystemError
    }
}

/// The result of a call that reports failure by a negative number.
fn checked(result: std::ffi::c_int) -> Result<std::ffi::c_int, SystemError> {
    if result < 0 {
        Err(SystemError)
    } else {
        Ok(result)
    }
}

/// How most functions of the C interface report: 0, or -1 for a failure.
pub fn status<T, E>(result: Result<T, E>) -> std::ffi::c_int {
    match result {
        Ok(_) => 0,
        Err(_) => -1,
    }
}
