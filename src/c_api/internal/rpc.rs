//! Internal exported symbols of remote calls.

use crate::require;
use crate::rpc::request::{self, Request};

/// Frees a call at the server with all that belongs to it. It is not answered.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evrpc_reqstate_free_(rpc_state: *mut Request) {
    require!(!rpc_state.is_null(), "no call");
    // SAFETY: the caller guarantees the call.
    unsafe { request::free(rpc_state) };
}
