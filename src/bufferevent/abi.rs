//! C types and constants of event2/bufferevent.h that the bufferevents themselves work with.

use super::Bufferevent;
use crate::buffer::Evbuffer;
use std::ffi::{c_short, c_uint, c_void};

/// What an event callback is told: it happened while reading.
pub const BEV_EVENT_READING: c_short = 0x01;
/// It happened while writing.
pub const BEV_EVENT_WRITING: c_short = 0x02;
/// The stream has ended in that direction.
pub const BEV_EVENT_EOF: c_short = 0x10;
/// Reading, writing, connecting or the look-up of the name failed; errno tells why, unless
/// bufferevent_socket_get_dns_error() does.
pub const BEV_EVENT_ERROR: c_short = 0x20;
/// A timeout has passed in that direction, which is disabled now.
pub const BEV_EVENT_TIMEOUT: c_short = 0x40;
/// The connection is made.
pub const BEV_EVENT_CONNECTED: c_short = 0x80;

/// Called when there is enough to read, or when the output has run low.
pub type BuffereventDataFn = unsafe extern "C-unwind" fn(bev: *mut Bufferevent, ctx: *mut c_void);

/// Called when the connection is made, ends, fails or times out; `what` is or-ed from the
/// `BEV_EVENT_*` flags.
pub type BuffereventEventFn =
    unsafe extern "C-unwind" fn(bev: *mut Bufferevent, what: c_short, ctx: *mut c_void);

/// How a bufferevent is made.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy)]
pub enum BuffereventOptions {
    /// Freeing it closes the descriptor, or frees the bufferevent below.
    BEV_OPT_CLOSE_ON_FREE = 1,
    /// It has a lock and may be used from several threads.
    BEV_OPT_THREADSAFE = 2,
    /// Callbacks are called from the loop, never from inside a function of the program.
    BEV_OPT_DEFER_CALLBACKS = 4,
    /// Callbacks are called without the lock held. Needs `BEV_OPT_DEFER_CALLBACKS`.
    BEV_OPT_UNLOCK_CALLBACKS = 8,
}

/// How much bufferevent_flush() moves.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy)]
pub enum BuffereventFlushMode {
    /// What is moved anyway.
    BEV_NORMAL = 0,
    /// All there is.
    BEV_FLUSH = 1,
    /// All there is, and nothing will follow.
    BEV_FINISHED = 2,
}

/// How bufferevent_trigger() and bufferevent_trigger_event() call.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy)]
pub enum BuffereventTriggerOptions {
    /// Whatever the watermarks say.
    BEV_TRIG_IGNORE_WATERMARKS = 0x10000,
    /// From the loop.
    BEV_TRIG_DEFER_CALLBACKS = 4,
}

/// What a filter function returns.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy)]
pub enum BuffereventFilterResult {
    /// It moved data; call it again while there is more.
    BEV_OK = 0,
    /// It needs more data before it can move any.
    BEV_NEED_MORE = 1,
    /// It cannot go on with this data.
    BEV_ERROR = 2,
}

/// A number that should be one of `enum bufferevent_flush_mode`.
/// cbindgen:ignore
pub(crate) type FlushModeValue = c_uint;
/// A number that should be one of `enum bufferevent_filter_result`.
/// cbindgen:ignore
pub(crate) type FilterResultValue = c_uint;

/// Moves data from `src` to `dst`, changing it as it likes, until `src` is empty or `dst` has
/// taken `dst_limit` more bytes (-1: any number).
///
/// `BEV_NORMAL` as mode leaves it to the filter how much to hold back; with `BEV_FLUSH` it should
/// hold back as little as it can, and `BEV_FINISHED` means that nothing will follow.
pub type BuffereventFilterFn = unsafe extern "C-unwind" fn(
    src: *mut Evbuffer,
    dst: *mut Evbuffer,
    dst_limit: isize,
    mode: FlushModeValue,
    ctx: *mut c_void,
) -> FilterResultValue;
