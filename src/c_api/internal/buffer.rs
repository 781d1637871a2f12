//! Internal exported symbols of the buffer. The caller holds the buffer's lock where a function
//! does not say that it takes it.

use crate::buffer::chain::ChainPtr;
use crate::buffer::{Evbuffer, Guard};
use crate::c_api::status;
use crate::event::EventCallback;
use crate::require;
use libc::iovec;
use std::ffi::{c_int, c_uint, c_void};
use std::mem::forget;

/// Adds a reference; takes the lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_incref_(buf: *mut Evbuffer) {
    // SAFETY: the caller guarantees the buffer.
    unsafe { Guard::new(buf) }.add_reference();
}

/// Adds a reference; takes the lock and keeps it.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_incref_and_lock_(buf: *mut Evbuffer) {
    // SAFETY: the caller guarantees the buffer.
    forget(unsafe { Guard::new(buf) });
}

/// Releases a reference and the lock; the last reference frees the buffer.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_decref_and_unlock_(buffer: *mut Evbuffer) {
    // SAFETY: the caller guarantees the buffer, its lock and the reference it gives up.
    drop(unsafe { Guard::adopt(buffer) });
}

/// Keeps a chain where it is, for reading (0x10) or writing (0x20); it was not pinned that way.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_chain_pin_(chain: ChainPtr, flag: c_uint) {
    chain.pin(flag);
}

/// Ends a pin; a chain whose release was waiting for that is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_chain_unpin_(chain: ChainPtr, flag: c_uint) {
    chain.unpin(flag);
}

/// Makes space for `datlen` bytes at the end in at most `n` chains, two or more. 0 or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_expand_fast_(
    buf: *mut Evbuffer,
    datlen: usize,
    n: c_int,
) -> c_int {
    require!(n >= 2, "evbuffer_expand_fast_: fewer than two chains");
    // SAFETY: the caller guarantees the buffer.
    status(unsafe { Guard::new(buf) }.expand_in_chains(datlen, n as usize))
}

/// Describes the free space at the end, which must exist, limited to `howmuch` if `exact`; stores
/// the slot that points at the first chain in `chainp`. The number of elements, or -1 for a
/// negative size.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_read_setup_vecs_(
    buf: *mut Evbuffer,
    howmuch: isize,
    vecs: *mut iovec,
    n_vecs: c_int,
    chainp: *mut *mut Option<ChainPtr>,
    exact: c_int,
) -> c_int {
    let (Ok(howmuch), Ok(n_vecs)) = (usize::try_from(howmuch), usize::try_from(n_vecs)) else {
        return -1;
    };
    // SAFETY: the caller guarantees the buffer, the array and the place for the slot.
    unsafe {
        let vecs = std::slice::from_raw_parts_mut(vecs, n_vecs);
        let (used, slot) = Guard::new(buf).read_vectors(howmuch, vecs, exact != 0);
        *chainp = slot.as_ptr();
        used as c_int
    }
}

/// Sets the bufferevent that the buffer is part of, or null; takes the lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_set_parent_(buf: *mut Evbuffer, parent: *mut c_void) {
    // SAFETY: the caller guarantees the buffer.
    unsafe { Guard::new(buf) }.set_parent(parent);
}

/// Stores the queue entry of deferred callbacks; takes the lock. The number of entries: 0 while
/// callbacks are not deferred, otherwise 1, or -1 if there is no space for it.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_get_callbacks_(
    buffer: *mut Evbuffer,
    cbs: *mut *mut EventCallback,
    max_cbs: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the buffer.
    match unsafe { Guard::new(buffer) }.deferred_callback() {
        None => 0,
        Some(_) if max_cbs < 1 => -1,
        Some(entry) => {
            // SAFETY: the caller guarantees `max_cbs` places.
            unsafe { cbs.write(entry) };
            1
        }
    }
}

/// Calls the callbacks, now or from the loop, with what changed since they were last called.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_invoke_callbacks_(buf: *mut Evbuffer) {
    // SAFETY: the caller guarantees the buffer.
    unsafe { Guard::new(buf) }.notify();
}

/// Free space that is enough for any short text.
const SHORT_TEXT: usize = 64;

/// Locks the buffer and makes space for formatted text. 0, or -1 with nothing locked.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn libevent_rs_buffer_format_begin(
    buffer: *mut Evbuffer,
    room: *mut iovec,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and the place for the answer.
    unsafe {
        let guard = Guard::new(buffer);
        let Ok(found) = guard.single_room(SHORT_TEXT) else {
            return -1;
        };
        *room = found;
        forget(guard);
    }
    0
}

/// Makes space for `size` bytes of formatted text. 0 or -1.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn libevent_rs_buffer_format_grow(
    buffer: *mut Evbuffer,
    size: usize,
    room: *mut iovec,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and the place for the answer.
    unsafe {
        let Ok(found) = Guard::new(buffer).single_room(size) else {
            return -1;
        };
        *room = found;
    }
    0
}

/// Turns formatted text into data, if there is any, and unlocks the buffer. Its length, or -1.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn libevent_rs_buffer_format_end(
    buffer: *mut Evbuffer,
    text: *const iovec,
) -> c_int {
    // SAFETY: the caller holds the lock and the reference that the beginning took.
    let guard = unsafe { Guard::adopt(buffer) };
    // SAFETY: the caller guarantees the text, or null.
    let Some(text) = (unsafe { text.as_ref() }) else {
        return -1;
    };
    match guard.commit_vectors(std::slice::from_ref(text)) {
        Ok(()) => text.iov_len as c_int,
        Err(_) => -1,
    }
}
