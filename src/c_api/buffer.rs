//! event2/buffer.h: byte queues.

use super::{EvutilSocket, status};
use crate::base::EventBase;
use crate::buffer::abi::{
    EVBUFFER_CB_ENABLED, EvbufferCallbackFn, EvbufferFileSegmentCleanupFn,
    EvbufferReferenceCleanupFn, PtrHow,
};
use crate::buffer::callbacks::{CallbackEntry as EvbufferCallbackEntry, Function};
use crate::buffer::file::FileSegment as EvbufferFileSegment;
use crate::buffer::line::LineEnd;
use crate::buffer::position::Position as EvbufferPtr;
use crate::buffer::read_room::ReadRoom;
use crate::buffer::transport::{Descriptor, READ_LIMIT};
use crate::buffer::{End, Evbuffer, Guard, Refused};
use crate::hooks::threads::Lock;
use libc::{iovec, off_t};
use std::ffi::{c_char, c_int, c_uchar, c_uint, c_void};
use std::ptr::{self, NonNull};

/// A number that should be one of `enum evbuffer_eol_style`.
/// cbindgen:ignore
type EolStyleValue = c_uint;
/// A number that should be one of `enum evbuffer_ptr_how`.
/// cbindgen:ignore
type PtrHowValue = c_uint;

fn count(result: Result<usize, Refused>) -> c_int {
    result.map_or(-1, |count| c_int::try_from(count).unwrap_or(c_int::MAX))
}

fn signed_count(result: Result<usize, Refused>) -> isize {
    result.map_or(-1, |count| count as isize)
}

/// A part of a file: offset and length, of which -1 means all to the end.
fn range(offset: off_t, length: off_t) -> Option<(usize, Option<usize>)> {
    let offset = usize::try_from(offset).ok()?;
    match length {
        -1 => Some((offset, None)),
        length => Some((offset, Some(usize::try_from(length).ok()?))),
    }
}

fn end(at_front: c_int) -> End {
    if at_front != 0 { End::Front } else { End::Back }
}

/// The caller's array; empty for null or a count that is not positive.
///
/// # Safety
/// `vectors` is null or has `count` elements that nobody else uses meanwhile.
unsafe fn array<'a>(vectors: *mut iovec, count: c_int) -> &'a mut [iovec] {
    match usize::try_from(count) {
        Ok(count) if !vectors.is_null() => {
            // SAFETY: the caller guarantees the elements.
            unsafe { std::slice::from_raw_parts_mut(vectors, count) }
        }
        _ => &mut [],
    }
}

/// The caller's bytes, unless there cannot be so many.
///
/// # Safety
/// `data` has `length` readable bytes that do not change meanwhile.
pub(super) unsafe fn bytes<'a>(data: *const c_char, length: usize) -> Option<&'a [u8]> {
    if length == 0 {
        return Some(&[]);
    }
    if length > isize::MAX as usize {
        return None;
    }
    // SAFETY: the caller guarantees the bytes.
    Some(unsafe { std::slice::from_raw_parts(data.cast(), length) })
}

/// Makes an empty buffer. It takes no memory for data before there is some.
///
/// Returns NULL when memory is short. The caller owns it: evbuffer_free().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_new() -> *mut Evbuffer {
    Evbuffer::create().map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Gives a buffer up; NULL is ignored.
///
/// Its data goes with it, and the cleanup functions of referenced memory are called. Callbacks
/// are not told. While a deferred callback of the buffer is pending, the buffer lives on for it.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_free(buf: *mut Evbuffer) {
    if !buf.is_null() {
        // SAFETY: the caller guarantees the buffer and gives up its reference.
        unsafe { Guard::new(buf) }.drop_reference();
    }
}

/// Makes a buffer usable from several threads.
///
/// `lock` is a recursive lock of the kind that the lock callbacks make, which stays the caller's
/// and must outlive the buffer; NULL lets the buffer make its own. The lock is held while
/// callbacks and cleanup functions run. Call it before the buffer is shared.
///
/// Returns -1 when the buffer has a lock already, or one cannot be made: memory is short, or no
/// lock callbacks are set.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_enable_locking(
    buf: *mut Evbuffer,
    lock: *mut c_void,
) -> c_int {
    // SAFETY: the caller guarantees the buffer, which no other thread uses yet.
    status(unsafe { (*buf).enable_locking(Lock::from_ptr(lock)) })
}

/// Takes the lock of a buffer; without a lock it does nothing. Calls nest.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_lock(buf: *mut Evbuffer) {
    // SAFETY: the caller guarantees the buffer.
    unsafe { (*buf).lock() }
}

/// Gives up the lock that evbuffer_lock() took.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_unlock(buf: *mut Evbuffer) {
    // SAFETY: the caller guarantees the buffer, and holds its lock.
    unsafe { (*buf).unlock() }
}

/// Sets flags of a buffer: `EVBUFFER_FLAG_DRAINS_TO_FD`. They apply to what is added later.
/// Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_set_flags(buf: *mut Evbuffer, flags: u64) -> c_int {
    // SAFETY: the caller guarantees the buffer.
    unsafe { Guard::new(buf) }.change_flags(flags as u32, 0);
    0
}

/// Clears flags of a buffer. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_clear_flags(buf: *mut Evbuffer, flags: u64) -> c_int {
    // SAFETY: the caller guarantees the buffer.
    unsafe { Guard::new(buf) }.change_flags(0, flags as u32);
    0
}

/// The number of bytes in a buffer.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_get_length(buf: *const Evbuffer) -> usize {
    // SAFETY: the caller guarantees the buffer, whose reference count may be changed.
    unsafe { Guard::new(buf.cast_mut()) }.length()
}

/// The number of bytes at the front of a buffer that are contiguous in memory already.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_get_contiguous_space(buf: *const Evbuffer) -> usize {
    // SAFETY: as above.
    unsafe { Guard::new(buf.cast_mut()) }.contiguous()
}

/// Makes room, so that appending `datlen` more bytes needs no memory.
///
/// Returns -1 when memory is short or the size is impossible.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_expand(buf: *mut Evbuffer, datlen: usize) -> c_int {
    // SAFETY: the caller guarantees the buffer.
    status(unsafe { Guard::new(buf) }.expand(datlen))
}

/// Makes free space at the end of a buffer for at least `size` bytes and tells where it is, so
/// that the caller can write into it. evbuffer_commit_space() then makes it data.
///
/// `vec` has `n_vec` elements, at least one; with one, the space is contiguous, with more it is
/// cheaper to find. There may be more space than asked for. Until it is committed, every change
/// of the buffer invalidates it, and another call hands the same space out again.
///
/// Returns how many elements were filled, or -1 when memory is short, the end of the buffer is
/// frozen, or an argument is out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_reserve_space(
    buf: *mut Evbuffer,
    size: isize,
    vec: *mut iovec,
    n_vec: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and the array.
    unsafe { count(Guard::new(buf).reserve(size as usize, array(vec, n_vec))) }
}

/// Makes space data that evbuffer_reserve_space() handed out.
///
/// `vec` has the `n_vecs` first elements that the reservation filled, with the lengths reduced to
/// what was written. Returns -1, with nothing changed, when they do not describe the free space
/// of the buffer or its end is frozen.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_commit_space(
    buf: *mut Evbuffer,
    vec: *mut iovec,
    n_vecs: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and the array.
    status(unsafe { Guard::new(buf).commit_vectors(array(vec, n_vecs)) })
}

/// Appends a copy of `datlen` bytes.
///
/// Returns -1 when memory is short or the end of the buffer is frozen.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_add(
    buf: *mut Evbuffer,
    data: *const c_void,
    datlen: usize,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and the data.
    status(unsafe { Guard::new(buf).append(data.cast(), datlen) })
}

/// Moves up to `datlen` bytes from the front of a buffer to `data`.
///
/// Returns how many, or -1 when the front of the buffer is frozen or its data cannot be read.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_remove(
    buf: *mut Evbuffer,
    data: *mut c_void,
    datlen: usize,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and the room at `data`.
    count(unsafe { Guard::new(buf).remove(data.cast(), datlen.min(c_int::MAX as usize)) })
}

/// Copies up to `datlen` bytes from the front of a buffer to `data_out`; they stay in the buffer.
///
/// Returns how many, or -1 as evbuffer_remove().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_copyout(
    buf: *mut Evbuffer,
    data_out: *mut c_void,
    datlen: usize,
) -> isize {
    // SAFETY: the caller guarantees the buffer and the room at `data_out`.
    signed_count(unsafe { Guard::new(buf).copy_out(data_out.cast(), datlen) })
}

/// Copies up to `datlen` bytes from the position `pos` of a buffer on; NULL is the front.
///
/// Returns how many, or -1 as evbuffer_remove() and when there is no such position.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_copyout_from(
    buf: *mut Evbuffer,
    pos: *const EvbufferPtr,
    data_out: *mut c_void,
    datlen: usize,
) -> isize {
    // SAFETY: the caller guarantees the buffer, a position in it and the room at `data_out`.
    signed_count(unsafe {
        match pos.as_ref() {
            Some(pos) => Guard::new(buf).copy_out_from(pos, data_out.cast(), datlen),
            None => Guard::new(buf).copy_out(data_out.cast(), datlen),
        }
    })
}

/// Moves up to `datlen` bytes from the front of `src` to the end of `dst`. Whole blocks change
/// hands without being copied.
///
/// Returns how many bytes, or -1 when the front of `src` or the end of `dst` is frozen or memory
/// is short. When memory runs out half-way, fewer are moved.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_remove_buffer(
    src: *mut Evbuffer,
    dst: *mut Evbuffer,
    datlen: usize,
) -> c_int {
    if src == dst {
        return 0;
    }
    // SAFETY: the caller guarantees the two buffers.
    let (src, dst) = unsafe { Guard::pair(src, dst) };
    count(src.move_to(&dst, datlen))
}

/// Takes one line out of a buffer, together with its end.
///
/// Returns the line without its end, followed by a zero byte, in memory that the caller frees
/// with free() or what `event_set_mem_functions()` set in its place; its length goes to
/// `n_read_out` unless that is NULL. Returns NULL, with length 0 and nothing taken, when there is
/// no line end yet, the front of the buffer is frozen, or memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_readln(
    buffer: *mut Evbuffer,
    n_read_out: *mut usize,
    eol_style: EolStyleValue,
) -> *mut c_char {
    // SAFETY: the caller guarantees the buffer.
    let guard = unsafe { Guard::new(buffer) };
    let line = LineEnd::from_number(eol_style).and_then(|style| guard.read_line(style));
    let (line, length) = line.unwrap_or((ptr::null_mut(), 0));
    // SAFETY: the caller guarantees the place, or NULL.
    if let Some(n_read_out) = unsafe { n_read_out.as_mut() } {
        *n_read_out = length;
    }
    line.cast()
}

/// Moves everything from `inbuf` to the end of `outbuf` without copying.
///
/// Returns -1 when the front of `inbuf` or the end of `outbuf` is frozen.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_add_buffer(
    outbuf: *mut Evbuffer,
    inbuf: *mut Evbuffer,
) -> c_int {
    if outbuf == inbuf {
        return 0;
    }
    // SAFETY: the caller guarantees the two buffers.
    let (outbuf, inbuf) = unsafe { Guard::pair(outbuf, inbuf) };
    status(inbuf.move_all_to(&outbuf))
}

/// Appends what `inbuf` holds now to `outbuf` without copying, and leaves it in `inbuf`.
///
/// The two buffers share the memory; each can then be changed, drained and freed independently.
///
/// Returns -1 when the end of `outbuf` is frozen, memory is short, the buffers are the same and
/// not empty, or `inbuf` holds parts of files or itself shares another buffer's memory.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_add_buffer_reference(
    outbuf: *mut Evbuffer,
    inbuf: *mut Evbuffer,
) -> c_int {
    if outbuf == inbuf {
        // SAFETY: the caller guarantees the buffer.
        let length = unsafe { Guard::new(inbuf) }.length();
        return if length == 0 { 0 } else { -1 };
    }
    // SAFETY: the caller guarantees the two buffers.
    let (outbuf, inbuf) = unsafe { Guard::pair(outbuf, inbuf) };
    status(outbuf.append_views(&inbuf))
}

/// Appends memory of the program without copying it.
///
/// The memory must stay as it is until `cleanupfn` (which may be NULL) is called, once, with
/// `data`, `datlen` and `cleanupfn_arg`: when the last of it has left the buffer and every buffer
/// that it went to, or was copied. It is called with the buffer's lock held.
///
/// Returns -1 when memory is short or the end of the buffer is frozen; `cleanupfn` is not called
/// then.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_add_reference(
    outbuf: *mut Evbuffer,
    data: *const c_void,
    datlen: usize,
    cleanupfn: Option<EvbufferReferenceCleanupFn>,
    cleanupfn_arg: *mut c_void,
) -> c_int {
    // SAFETY: the caller guarantees the buffer.
    let outbuf = unsafe { Guard::new(outbuf) };
    status(outbuf.append_reference(data.cast_mut().cast(), datlen, cleanupfn, cleanupfn_arg))
}

/// Appends `length` bytes of a file, beginning at `offset`; -1 means all to the end of the file.
///
/// The descriptor belongs to the buffer from now on and is closed when the bytes are gone.
/// Without `EVBUFFER_FLAG_DRAINS_TO_FD` the file is mapped or read at once; with it, the bytes go
/// from the file to where the buffer is written, and only other uses read the file.
///
/// Returns -1 when the range is impossible or the size of the file cannot be found, in which case
/// the descriptor stays open; or when memory is short, the end of the buffer is frozen or the
/// file cannot be read, in which cases the descriptor is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_add_file(
    outbuf: *mut Evbuffer,
    fd: c_int,
    offset: off_t,
    length: off_t,
) -> c_int {
    let Some((offset, length)) = range(offset, length) else {
        return -1;
    };
    // SAFETY: the caller guarantees the buffer.
    status(unsafe { Guard::new(outbuf) }.append_file(fd, offset, length))
}

/// Makes a segment: `length` bytes (-1: all to the end) of a file from `offset` on, which can be
/// added to any number of buffers. `flags` are the `EVBUF_FS_` constants.
///
/// The descriptor must stay open as long as the segment lives. The file must not become shorter.
///
/// Returns NULL when the range is impossible, the size or, with `EVBUF_FS_DISABLE_SENDFILE`, the
/// contents of the file cannot be read, or memory is short. The descriptor is not closed then.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_file_segment_new(
    fd: c_int,
    offset: off_t,
    length: off_t,
    flags: c_uint,
) -> *mut EvbufferFileSegment {
    let Some((offset, length)) = range(offset, length) else {
        return ptr::null_mut();
    };
    EvbufferFileSegment::create(fd, offset, length, flags).map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Gives up the caller's reference to a segment. It lives until no buffer refers to it.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_file_segment_free(seg: *mut EvbufferFileSegment) {
    if let Some(segment) = NonNull::new(seg) {
        // SAFETY: the caller guarantees the segment and gives up its reference.
        unsafe { EvbufferFileSegment::release(segment) };
    }
}

/// Sets the one function that is called when a segment is gone. Set it before the segment is
/// shared with other threads.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_file_segment_add_cleanup_cb(
    seg: *mut EvbufferFileSegment,
    cb: Option<EvbufferFileSegmentCleanupFn>,
    arg: *mut c_void,
) {
    // SAFETY: the caller guarantees the segment.
    unsafe { (*seg).set_cleanup(cb, arg) }
}

/// Appends `length` bytes (negative: all to its end) of a segment, from `offset` of it on.
///
/// The caller keeps its reference when that succeeds. Returns -1 when the range is not inside the
/// segment, the end of the buffer is frozen, the file cannot be read, or memory is short; the
/// caller's reference is given up then.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_add_file_segment(
    buf: *mut Evbuffer,
    seg: *mut EvbufferFileSegment,
    offset: off_t,
    length: off_t,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and the segment.
    unsafe {
        let buffer = Guard::new(buf);
        let segment = NonNull::new_unchecked(seg);
        let added = match usize::try_from(offset) {
            Ok(offset) => buffer.append_segment(segment, offset, usize::try_from(length).ok()),
            Err(_) => Err(Refused::Range),
        };
        if added.is_err() {
            // Programs that use the reference count on it: they do not free the segment again.
            EvbufferFileSegment::release(segment);
        }
        status(added)
    }
}

/// Removes the first `len` bytes, or all when there are fewer.
///
/// Returns -1 when the front of the buffer is frozen.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_drain(buf: *mut Evbuffer, len: usize) -> c_int {
    // SAFETY: the caller guarantees the buffer.
    status(unsafe { Guard::new(buf) }.drain(len))
}

/// Writes a buffer to a descriptor with one system call, and removes what was written.
///
/// Returns the number of bytes, which may be less than there are, or -1 with errno when the system
/// call failed; also -1 when there is nothing to write or the front of the buffer is frozen.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_write(buffer: *mut Evbuffer, fd: EvutilSocket) -> c_int {
    // SAFETY: the caller guarantees the buffer.
    count(unsafe { Guard::new(buffer) }.write(Descriptor::Any(fd), None))
}

/// The same as evbuffer_write(), but at most `howmuch` bytes; negative means all.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_write_atmost(
    buffer: *mut Evbuffer,
    fd: EvutilSocket,
    howmuch: isize,
) -> c_int {
    let limit = usize::try_from(howmuch).ok();
    // SAFETY: the caller guarantees the buffer.
    count(unsafe { Guard::new(buffer) }.write(Descriptor::Any(fd), limit))
}

/// Reads from a descriptor to the end of a buffer with one system call, at most `howmuch` bytes
/// and at most 4096.
///
/// Returns the number of bytes, 0 at the end of the file, or -1 with errno when the system call
/// failed; also -1 when the end of the buffer is frozen or memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_read(
    buffer: *mut Evbuffer,
    fd: EvutilSocket,
    howmuch: c_int,
) -> c_int {
    let limit = usize::try_from(howmuch)
        .unwrap_or(READ_LIMIT)
        .min(READ_LIMIT);
    // SAFETY: the caller guarantees the buffer.
    count(unsafe { Guard::new(buffer) }.read(Descriptor::Any(fd), limit, ReadRoom::FRESH))
}

/// Finds the string of `len` bytes at `what`, at the position `start` or behind it; NULL is the
/// front.
///
/// Returns the position where it begins; its `pos` is -1 when the string is not there. The time
/// grows with the data searched, not with the length of the string.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_search(
    buffer: *mut Evbuffer,
    what: *const c_char,
    len: usize,
    start: *const EvbufferPtr,
) -> EvbufferPtr {
    // SAFETY: passed on.
    unsafe { evbuffer_search_range(buffer, what, len, start, ptr::null()) }
}

/// The same as evbuffer_search(), but the string must end at the position `end` or before it;
/// NULL is the end of the data.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_search_range(
    buffer: *mut Evbuffer,
    what: *const c_char,
    len: usize,
    start: *const EvbufferPtr,
    end: *const EvbufferPtr,
) -> EvbufferPtr {
    // SAFETY: the caller guarantees the buffer, the string, and positions in the buffer or NULL.
    unsafe {
        let guard = Guard::new(buffer);
        match bytes(what, len) {
            Some(what) => guard.search(what, start.as_ref(), end.as_ref()),
            None => EvbufferPtr::NOT_FOUND,
        }
    }
}

/// Moves a position: to `position` bytes from the front, or so many bytes forward.
///
/// The end of the data is a position, too. Returns -1, with the position set to none, when the
/// data ends before; and -1, with it untouched, when there is no position to move forward or the
/// sum overflows.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_ptr_set(
    buffer: *mut Evbuffer,
    ptr: *mut EvbufferPtr,
    position: usize,
    how: PtrHowValue,
) -> c_int {
    const SET: c_uint = PtrHow::EVBUFFER_PTR_SET as c_uint;
    const ADD: c_uint = PtrHow::EVBUFFER_PTR_ADD as c_uint;
    // SAFETY: the caller guarantees the buffer, and a position in it that may be changed.
    unsafe {
        let guard = Guard::new(buffer);
        match how {
            SET => {
                *ptr = EvbufferPtr::NOT_FOUND;
                status(guard.set_position(&mut *ptr, position))
            }
            ADD => status(guard.advance_position(&mut *ptr, position)),
            _ => -1,
        }
    }
}

/// Finds the end of a line, at the position `start` or behind it; NULL is the front.
///
/// Returns the position where the line end begins, and its length in `eol_len_out` unless that is
/// NULL; a `pos` of -1 and length 0 when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_search_eol(
    buffer: *mut Evbuffer,
    start: *mut EvbufferPtr,
    eol_len_out: *mut usize,
    eol_style: EolStyleValue,
) -> EvbufferPtr {
    // SAFETY: the caller guarantees the buffer, and a position in it or NULL.
    let (found, length) = unsafe {
        let guard = Guard::new(buffer);
        LineEnd::from_number(eol_style).map_or((EvbufferPtr::NOT_FOUND, 0), |style| {
            guard.search_line_end(start.as_ref(), style)
        })
    };
    // SAFETY: the caller guarantees the place, or NULL.
    if let Some(eol_len_out) = unsafe { eol_len_out.as_mut() } {
        *eol_len_out = length;
    }
    found
}

/// Tells where the data of a buffer lies in memory, without copying or removing it.
///
/// The data begins at the position `start_at`, NULL being the front, and at least `len` bytes of
/// it are described, in as many pieces as it takes: the last may go beyond. A negative `len`
/// means as much as `n_vec` pieces can describe or, when `n_vec` is 0, all. Some pieces may be
/// empty. The data must not be changed, and every change of the buffer invalidates the pieces.
///
/// Returns how many pieces it takes, which may be more than `n_vec`: then `n_vec` are filled. -1
/// when data that is still in a file cannot be read.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_peek(
    buffer: *mut Evbuffer,
    len: isize,
    start_at: *mut EvbufferPtr,
    vec_out: *mut iovec,
    n_vec: c_int,
) -> c_int {
    let len = usize::try_from(len).ok();
    // SAFETY: the caller guarantees the buffer, a position in it or NULL, and the array.
    unsafe { count(Guard::new(buffer).peek(len, start_at.as_ref(), array(vec_out, n_vec))) }
}

/// Registers a function that is called whenever bytes are added to or removed from a buffer.
///
/// It is called before the function that made the change returns, unless callbacks are deferred;
/// the one registered last is called first. Returns a handle, or NULL when memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_add_cb(
    buffer: *mut Evbuffer,
    cb: Option<EvbufferCallbackFn>,
    cbarg: *mut c_void,
) -> *mut EvbufferCallbackEntry {
    // SAFETY: the caller guarantees the buffer.
    unsafe { Guard::new(buffer) }
        .add_callback(Function::Current(cb), cbarg, EVBUFFER_CB_ENABLED)
        .map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Removes a callback by its handle, also from inside a callback. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_remove_cb_entry(
    buffer: *mut Evbuffer,
    ent: *mut EvbufferCallbackEntry,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and a handle of it.
    unsafe { Guard::new(buffer).remove_entry(ent) };
    0
}

/// Removes the newest callback with this function and argument.
///
/// Returns -1 when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_remove_cb(
    buffer: *mut Evbuffer,
    cb: Option<EvbufferCallbackFn>,
    cbarg: *mut c_void,
) -> c_int {
    // SAFETY: the caller guarantees the buffer.
    status(unsafe { Guard::new(buffer) }.remove_callback(cb, cbarg))
}

/// Sets flags of a callback: `EVBUFFER_CB_ENABLED`. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_cb_set_flags(
    buffer: *mut Evbuffer,
    cb: *mut EvbufferCallbackEntry,
    flags: u32,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and a handle of it.
    unsafe { Guard::new(buffer).change_callback_flags(cb, flags, 0) };
    0
}

/// Clears flags of a callback. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_cb_clear_flags(
    buffer: *mut Evbuffer,
    cb: *mut EvbufferCallbackEntry,
    flags: u32,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and a handle of it.
    unsafe { Guard::new(buffer).change_callback_flags(cb, 0, flags) };
    0
}

/// Makes the first `size` bytes of a buffer contiguous in memory; negative means all.
///
/// Returns their address, which is valid until the buffer is changed, and which may be written to
/// unless it is memory that was added by reference, shared or from a file. NULL when there are
/// not so many bytes, for size 0, and when memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_pullup(buf: *mut Evbuffer, size: isize) -> *mut c_uchar {
    // SAFETY: the caller guarantees the buffer.
    unsafe { Guard::new(buf) }
        .pull_up(usize::try_from(size).ok())
        .unwrap_or(ptr::null_mut())
}

/// Puts a copy of `size` bytes in front of the data.
///
/// Returns -1 when memory is short or the front of the buffer is frozen.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_prepend(
    buf: *mut Evbuffer,
    data: *const c_void,
    size: usize,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and the data.
    status(unsafe { Guard::new(buf).prepend(data.cast(), size) })
}

/// Moves everything from `src` to the front of `dst` without copying.
///
/// Returns -1 when the front of either buffer is frozen.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_prepend_buffer(
    dst: *mut Evbuffer,
    src: *mut Evbuffer,
) -> c_int {
    if dst == src {
        return 0;
    }
    // SAFETY: the caller guarantees the two buffers.
    let (dst, src) = unsafe { Guard::pair(dst, src) };
    status(src.move_all_before(&dst))
}

/// Makes all changes at one end of a buffer fail: adding at the back, or removing and prepending
/// at the front. Freezing twice is freezing once. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_freeze(buf: *mut Evbuffer, at_front: c_int) -> c_int {
    // SAFETY: the caller guarantees the buffer.
    unsafe { Guard::new(buf) }.set_frozen(end(at_front), true);
    0
}

/// Allows changes at one end of a buffer again. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_unfreeze(buf: *mut Evbuffer, at_front: c_int) -> c_int {
    // SAFETY: the caller guarantees the buffer.
    unsafe { Guard::new(buf) }.set_frozen(end(at_front), false);
    0
}

/// Makes callbacks run from the loop of `base` from now on, instead of inside the change.
///
/// Several changes are then reported as one. The base must outlive the buffer. It cannot be
/// undone. Returns -1, with nothing changed, when memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_defer_callbacks(
    buffer: *mut Evbuffer,
    base: *mut EventBase,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and the base.
    status(unsafe { Guard::new(buffer).defer_callbacks(base) })
}

/// Appends copies of `n_vec` pieces of memory in order. Callbacks are told once.
///
/// Returns the number of bytes; 0, with nothing added, when memory is short or the end of the
/// buffer is frozen.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_add_iovec(
    buffer: *mut Evbuffer,
    vec: *mut iovec,
    n_vec: c_int,
) -> usize {
    // SAFETY: the caller guarantees the buffer and the memory.
    unsafe { Guard::new(buffer).append_vectors(array(vec, n_vec)) }.unwrap_or(0)
}
