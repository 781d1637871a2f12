//! C types and constants of event2/buffer.h that the buffer itself works with.

use super::Evbuffer;
use super::file::FileSegment as EvbufferFileSegment;
use std::ffi::{c_int, c_uint, c_void};
use std::mem::{offset_of, size_of};

/// The bytes of the buffer leave it only by being written to a descriptor, so that files added to it
/// need not be read into memory: the kernel can copy them.
pub const EVBUFFER_FLAG_DRAINS_TO_FD: u32 = 1;

/// The callback is called. Without the flag it is skipped, and changes in the meantime are never
/// reported to it.
pub const EVBUFFER_CB_ENABLED: u32 = 1;

/// Close the descriptor when the segment is freed.
pub const EVBUF_FS_CLOSE_ON_FREE: c_uint = 1;
/// Read the file instead of mapping it.
pub const EVBUF_FS_DISABLE_MMAP: c_uint = 2;
/// Do not let the kernel copy from the file: read the bytes into memory when the segment is made.
pub const EVBUF_FS_DISABLE_SENDFILE: c_uint = 4;
/// Give the segment no lock: it will be used by one thread at a time.
pub const EVBUF_FS_DISABLE_LOCKING: c_uint = 8;

/// What ends a line.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum EolStyle {
    /// Any run of CR and LF bytes. If the CR of a CR LF arrives first, the two count as two line
    /// ends, so this style suits hardly any protocol.
    EVBUFFER_EOL_ANY,
    /// An LF, together with a CR directly before it, if any.
    EVBUFFER_EOL_CRLF,
    /// A CR followed by an LF.
    EVBUFFER_EOL_CRLF_STRICT,
    /// An LF.
    EVBUFFER_EOL_LF,
    /// A zero byte.
    EVBUFFER_EOL_NUL,
}

/// How evbuffer_ptr_set() moves a position.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PtrHow {
    /// To that many bytes from the front of the buffer.
    EVBUFFER_PTR_SET,
    /// Forward by that many bytes.
    EVBUFFER_PTR_ADD,
}

/// What changed since the callbacks of a buffer were last called.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EvbufferCallbackInfo {
    /// Bytes in the buffer before.
    pub orig_size: usize,
    /// Bytes added since.
    pub n_added: usize,
    /// Bytes removed since.
    pub n_deleted: usize,
}

const _: () = {
    assert!(size_of::<EvbufferCallbackInfo>() == 24);
    assert!(offset_of!(EvbufferCallbackInfo, orig_size) == 0);
    assert!(offset_of!(EvbufferCallbackInfo, n_added) == 8);
    assert!(offset_of!(EvbufferCallbackInfo, n_deleted) == 16);
};

/// Called after a buffer has changed, with the buffer's lock held. It may change any buffer, add
/// and remove callbacks, and free the buffer.
pub type EvbufferCallbackFn = unsafe extern "C-unwind" fn(
    buffer: *mut Evbuffer,
    info: *const EvbufferCallbackInfo,
    arg: *mut c_void,
);

/// Called when no buffer refers to the memory any more, with its start and full length.
pub type EvbufferReferenceCleanupFn =
    unsafe extern "C-unwind" fn(data: *const c_void, datalen: usize, extra: *mut c_void);

/// Called after a segment is gone and its descriptor is closed: only the address of the segment is
/// still meaningful. `flags` are those that it was made with.
pub type EvbufferFileSegmentCleanupFn =
    unsafe extern "C-unwind" fn(seg: *const EvbufferFileSegment, flags: c_int, arg: *mut c_void);
