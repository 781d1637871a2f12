//! C types and constants of event2/bufferevent.h that the bufferevents themselves work with.

use super::Bufferevent;
use crate::buffer::Evbuffer;
use std::ffi::{c_short, c_uint, c_void};

/// Bit of an event callback's `what`: it happened while reading.
pub const BEV_EVENT_READING: c_short = 0x01;
/// It happened while writing.
pub const BEV_EVENT_WRITING: c_short = 0x02;
/// The stream has ended in that direction.
pub const BEV_EVENT_EOF: c_short = 0x10;
/// Reading, writing, connecting or looking up the name failed; errno says why, unless
/// bufferevent_socket_get_dns_error() does.
pub const BEV_EVENT_ERROR: c_short = 0x20;
/// A timeout has passed in that direction, which is now disabled.
pub const BEV_EVENT_TIMEOUT: c_short = 0x40;
/// The connection is established.
pub const BEV_EVENT_CONNECTED: c_short = 0x80;

/// Called when there is enough to read, or when the output has run low.
pub type BuffereventDataFn = unsafe extern "C-unwind" fn(bev: *mut Bufferevent, ctx: *mut c_void);

/// Called when the connection is established, ends, fails or times out; `what` consists of
/// `BEV_EVENT_*` bits.
pub type BuffereventEventFn =
    unsafe extern "C-unwind" fn(bev: *mut Bufferevent, what: c_short, ctx: *mut c_void);

/// Options for making a bufferevent.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy)]
pub enum BuffereventOptions {
    /// Freeing it also closes the descriptor, or frees the bufferevent that it is based on.
    BEV_OPT_CLOSE_ON_FREE = 1,
    /// It has a lock and may be used from several threads.
    BEV_OPT_THREADSAFE = 2,
    /// Callbacks are called from the loop, never from within a function that the program calls.
    BEV_OPT_DEFER_CALLBACKS = 4,
    /// Callbacks are called without the lock held. Requires `BEV_OPT_DEFER_CALLBACKS`.
    BEV_OPT_UNLOCK_CALLBACKS = 8,
}

/// How much bufferevent_flush() moves.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy)]
pub enum BuffereventFlushMode {
    /// As much as would be moved anyway.
    BEV_NORMAL = 0,
    /// Everything.
    BEV_FLUSH = 1,
    /// Everything, and nothing will follow.
    BEV_FINISHED = 2,
}

/// Options for bufferevent_trigger() and bufferevent_trigger_event().
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy)]
pub enum BuffereventTriggerOptions {
    /// Call the callbacks whatever the watermarks are.
    BEV_TRIG_IGNORE_WATERMARKS = 0x10000,
    /// Call them from the loop.
    BEV_TRIG_DEFER_CALLBACKS = 4,
}

/// What a filter function returns.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy)]
pub enum BuffereventFilterResult {
    /// Data was moved; call the function again if there is more.
    BEV_OK = 0,
    /// More data is needed before any can be moved.
    BEV_NEED_MORE = 1,
    /// The data is not valid; give up.
    BEV_ERROR = 2,
}

/// A number that should be one of `enum bufferevent_flush_mode`.
/// cbindgen:ignore
pub(crate) type FlushModeValue = c_uint;
/// A number that should be one of `enum bufferevent_filter_result`.
/// cbindgen:ignore
pub(crate) type FilterResultValue = c_uint;

/// Moves data from `src` to `dst`, transforming it, until `src` is empty or `dst` has grown by
/// `dst_limit` bytes (-1: without limit).
///
/// In mode `BEV_NORMAL` the filter decides how much to hold back; with `BEV_FLUSH` it should hold
/// back as little as it can, and `BEV_FINISHED` means that nothing will follow.
pub type BuffereventFilterFn = unsafe extern "C-unwind" fn(
    src: *mut Evbuffer,
    dst: *mut Evbuffer,
    dst_limit: isize,
    mode: FlushModeValue,
    ctx: *mut c_void,
) -> FilterResultValue;
