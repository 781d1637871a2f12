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
use crate::buffer::{End, Evbuffer, Guard, Held, Refused};
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

/// The caller's bytes, unless the number is impossible.
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

/// Makes an empty buffer. It takes no memory for data until there is some.
///
/// Returns NULL if memory is short. The caller owns it and frees it with evbuffer_free().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_new() -> *mut Evbuffer {
    Evbuffer::create().map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Frees a buffer; NULL is ignored.
///
/// Its data is freed too, and the cleanup functions of referenced memory are called. Callbacks are
/// not notified. If a deferred callback of the buffer is pending, the buffer stays in memory until
/// that has run.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_free(buf: *mut Evbuffer) {
    if !buf.is_null() {
        // SAFETY: the caller guarantees the buffer and gives up its reference.
        unsafe { Guard::new(buf) }.drop_reference();
    }
}

/// Makes a buffer usable from several threads.
///
/// `lock` is a recursive lock made by the lock callbacks; it remains the caller's and must outlive
/// the buffer. With NULL the buffer makes its own. The lock is held while callbacks and cleanup
/// functions run. Call this before the buffer is shared.
///
/// Returns 0, or -1 if the buffer already has a lock or none can be made: memory is short, or no
/// lock callbacks are set.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_enable_locking(
    buf: *mut Evbuffer,
    lock: *mut c_void,
) -> c_int {
    // SAFETY: the caller guarantees the buffer, which no other thread uses yet.
    status(unsafe { (*buf).enable_locking(Lock::from_ptr(lock)) })
}

/// Takes the lock of a buffer; does nothing if it has none. Calls nest.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_lock(buf: *mut Evbuffer) {
    // SAFETY: the caller guarantees the buffer.
    unsafe { (*buf).lock() }
}

/// Releases the lock that evbuffer_lock() took.
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
    unsafe { Held::new(buf) }.change_flags(flags as u32, 0);
    0
}

/// Clears flags of a buffer. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_clear_flags(buf: *mut Evbuffer, flags: u64) -> c_int {
    // SAFETY: the caller guarantees the buffer.
    unsafe { Held::new(buf) }.change_flags(0, flags as u32);
    0
}

/// The number of bytes in a buffer.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_get_length(buf: *const Evbuffer) -> usize {
    // SAFETY: the caller guarantees the buffer.
    unsafe { Held::new(buf) }.length()
}

/// The number of bytes at the front of a buffer that are contiguous in memory.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_get_contiguous_space(buf: *const Evbuffer) -> usize {
    // SAFETY: as above.
    unsafe { Held::new(buf) }.contiguous()
}

/// Allocates space so that appending `datlen` more bytes needs no memory.
///
/// Returns 0, or -1 if memory is short or the size is impossible.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_expand(buf: *mut Evbuffer, datlen: usize) -> c_int {
    // SAFETY: the caller guarantees the buffer.
    status(unsafe { Guard::new(buf) }.expand(datlen))
}

/// Makes free space for at least `size` bytes at the end of a buffer and says where it is, so that
/// the caller can write into it. evbuffer_commit_space() then turns it into data.
///
/// `vec` has `n_vec` elements, at least one. With one, the space is contiguous; with more it is
/// cheaper to find. There may be more space than asked for. Until it is committed, every change of
/// the buffer invalidates it, and another call returns the same space again.
///
/// Returns how many elements were filled, or -1 if memory is short, the end of the buffer is
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

/// Turns space that evbuffer_reserve_space() returned into data.
///
/// `vec` contains the first `n_vecs` elements that the reservation filled, with the lengths reduced
/// to what was written. Returns 0, or -1, with nothing changed, if they do not describe the free
/// space of the buffer or its end is frozen.
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
/// Returns 0, or -1 if memory is short or the end of the buffer is frozen.
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
/// Returns how many, or -1 if the front of the buffer is frozen or its data cannot be read.
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
/// Returns how many, or -1 in the same cases as evbuffer_remove().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_copyout(
    buf: *mut Evbuffer,
    data_out: *mut c_void,
    datlen: usize,
) -> isize {
    // SAFETY: the caller guarantees the buffer and the room at `data_out`.
    signed_count(unsafe { Held::new(buf).copy_out(data_out.cast(), datlen) })
}

/// Copies up to `datlen` bytes from a buffer, starting at the position `pos`; NULL means the front.
///
/// Returns how many, or -1 in the same cases as evbuffer_remove() and if there is no such position.
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
            Some(pos) => Held::new(buf).copy_out_from(pos, data_out.cast(), datlen),
            None => Held::new(buf).copy_out(data_out.cast(), datlen),
        }
    })
}

/// Moves up to `datlen` bytes from the front of `src` to the end of `dst`. Whole blocks are moved
/// without copying.
///
/// Returns how many bytes, or -1 if the front of `src` or the end of `dst` is frozen or memory is
/// short. If memory runs out half-way, fewer bytes are moved.
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

/// Removes one line from a buffer, together with its line end.
///
/// Returns the line without its end, NUL-terminated, in memory that the caller frees with free() or
/// the function that event_set_mem_functions() set in its place; its length is stored in
/// `n_read_out` unless that is NULL. Returns NULL, with length 0 and nothing removed, if there is
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
/// Returns 0, or -1 if the front of `inbuf` or the end of `outbuf` is frozen.
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

/// Appends the current contents of `inbuf` to `outbuf` without copying, and leaves them in `inbuf`.
///
/// The two buffers share the memory; each can then be changed, drained and freed independently.
///
/// Returns 0, or -1 if the end of `outbuf` is frozen, memory is short, the buffers are the same and
/// not empty, or `inbuf` contains parts of files or itself shares another buffer's memory.
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
/// The memory must stay unchanged until `cleanupfn` (which may be NULL) is called, once, with
/// `data`, `datlen` and `cleanupfn_arg`: when the last of it has been copied or has left this
/// buffer and all buffers that it was moved to. It is called with the buffer's lock held.
///
/// Returns 0; or -1, without calling `cleanupfn`, if memory is short or the end of the buffer is
/// frozen.
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

/// Appends `length` bytes of a file, starting at `offset`; -1 means everything to the end of the
/// file.
///
/// The buffer takes the descriptor over and closes it when the bytes are gone. Without
/// `EVBUFFER_FLAG_DRAINS_TO_FD` the file is mapped or read at once; with it, the kernel copies the
/// bytes directly when the buffer is written to a descriptor, and the file is read only if they are
/// accessed in another way. A bufferevent may send long parts of a mapped file directly, too: do
/// not overwrite the file before the peer has received the bytes.
///
/// Returns 0 or -1. The descriptor stays open if the range is impossible or the size of the file
/// cannot be determined; it is closed if memory is short, the end of the buffer is frozen, or the
/// file cannot be read.
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

/// Makes a segment: `length` bytes of a file (-1: everything to the end), starting at `offset`,
/// which can be added to any number of buffers. `flags` are `EVBUF_FS_*` bits.
///
/// The descriptor must stay open as long as the segment exists. The file must not become shorter.
///
/// Returns NULL, without closing the descriptor, if the range is impossible, the size cannot be
/// determined, the contents cannot be read (with `EVBUF_FS_DISABLE_SENDFILE`), or memory is short.
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

/// Releases the caller's reference to a segment, which is freed once no buffer refers to it.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_file_segment_free(seg: *mut EvbufferFileSegment) {
    if let Some(segment) = NonNull::new(seg) {
        // SAFETY: the caller guarantees the segment and gives up its reference.
        unsafe { EvbufferFileSegment::release(segment) };
    }
}

/// Sets the function, one per segment, that is called when the segment is gone. Call it before the
/// segment is shared with other threads.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_file_segment_add_cleanup_cb(
    seg: *mut EvbufferFileSegment,
    cb: Option<EvbufferFileSegmentCleanupFn>,
    arg: *mut c_void,
) {
    // SAFETY: the caller guarantees the segment.
    unsafe { (*seg).set_cleanup(cb, arg) }
}

/// Appends `length` bytes of a segment (negative: everything to its end), starting at `offset`
/// within it.
///
/// Returns 0, and the caller keeps its reference. Returns -1 if the range is not inside the
/// segment, the end of the buffer is frozen, the file cannot be read, or memory is short; the
/// caller's reference is then released.
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

/// Removes the first `len` bytes, or everything if there are fewer.
///
/// Returns 0, or -1 if the front of the buffer is frozen.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_drain(buf: *mut Evbuffer, len: usize) -> c_int {
    // SAFETY: the caller guarantees the buffer.
    status(unsafe { Guard::new(buf) }.drain(len))
}

/// Writes a buffer to a descriptor with one system call, and removes what was written.
///
/// Returns the number of bytes, which may be fewer than there are. Returns -1 with errno set if the
/// system call failed; also -1 if there is nothing to write or the front of the buffer is frozen.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_write(buffer: *mut Evbuffer, fd: EvutilSocket) -> c_int {
    // SAFETY: the caller guarantees the buffer.
    count(unsafe { Guard::new(buffer) }.write(Descriptor::Any(fd), None))
}

/// Like evbuffer_write(), but writes at most `howmuch` bytes; negative means no limit.
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

/// Reads from a descriptor to the end of a buffer with one system call, at most `howmuch` bytes and
/// at most 4096.
///
/// Returns the number of bytes, or 0 at the end of the file. Returns -1 with errno set if the
/// system call failed; also -1 if the end of the buffer is frozen or memory is short.
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

/// Finds the `len` bytes at `what`, starting at the position `start`; NULL means the front.
///
/// Returns the position where they begin, or one with a `pos` of -1 if they are not found. The time
/// is proportional to the data searched, whatever the length of `what`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_search(
    buffer: *mut Evbuffer,
    what: *const c_char,
    len: usize,
    start: *const EvbufferPtr,
) -> EvbufferPtr {
    // SAFETY: the caller guarantees the buffer, `len` bytes at `what`, and the position unless it
    // is null.
    unsafe { evbuffer_search_range(buffer, what, len, start, ptr::null()) }
}

/// Like evbuffer_search(), but the match must end at or before the position `end`; NULL means the
/// end of the data.
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
        let held = Held::new(buffer);
        match bytes(what, len) {
            Some(what) => held.search(what, start.as_ref(), end.as_ref()),
            None => EvbufferPtr::NOT_FOUND,
        }
    }
}

/// Moves a position: to `position` bytes from the front, or forward by that many.
///
/// The end of the data is a valid position. Returns 0. Returns -1 and invalidates the position if
/// the data ends earlier; returns -1 and leaves it unchanged if it is not valid and was to be moved
/// forward, or if the sum overflows.
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
        let held = Held::new(buffer);
        match how {
            SET => {
                *ptr = EvbufferPtr::NOT_FOUND;
                status(held.set_position(&mut *ptr, position))
            }
            ADD => status(held.advance_position(&mut *ptr, position)),
            _ => -1,
        }
    }
}

/// Finds the next line end, starting at the position `start`; NULL means the front.
///
/// Returns the position where the line end begins, and stores its length in `eol_len_out` unless
/// that is NULL; if there is none, `pos` is -1 and the length 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_search_eol(
    buffer: *mut Evbuffer,
    start: *mut EvbufferPtr,
    eol_len_out: *mut usize,
    eol_style: EolStyleValue,
) -> EvbufferPtr {
    // SAFETY: the caller guarantees the buffer, and a position in it or NULL.
    let (found, length) = unsafe {
        let held = Held::new(buffer);
        LineEnd::from_number(eol_style).map_or((EvbufferPtr::NOT_FOUND, 0), |style| {
            held.search_line_end(start.as_ref(), style)
        })
    };
    // SAFETY: the caller guarantees the place, or NULL.
    if let Some(eol_len_out) = unsafe { eol_len_out.as_mut() } {
        *eol_len_out = length;
    }
    found
}

/// Says where the data of a buffer is in memory, without copying or removing it.
///
/// At least `len` bytes from the position `start_at` (NULL: the front) are described, in as many
/// pieces as needed; the last piece may extend further. A negative `len` means as much as fits into
/// `n_vec` pieces or, if `n_vec` is 0, everything. Some pieces may be empty. The data must not be
/// changed, and every change of the buffer invalidates the pieces.
///
/// Returns the number of pieces needed, which may be more than `n_vec`; then only `n_vec` are
/// filled in. Returns -1 if data that is still in a file cannot be read.
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
    unsafe { count(Held::new(buffer).peek(len, start_at.as_ref(), array(vec_out, n_vec))) }
}

/// Registers a function that is called whenever bytes are added to or removed from a buffer.
///
/// It is called before the function that made the change returns, unless callbacks are deferred;
/// the one registered last is called first. Returns a handle, or NULL if memory is short.
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

/// Removes a callback by its handle. May be called from any callback, including that one. Returns
/// 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_remove_cb_entry(
    buffer: *mut Evbuffer,
    ent: *mut EvbufferCallbackEntry,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and a handle of it.
    unsafe { Guard::new(buffer).remove_entry(ent) };
    0
}

/// Removes the most recently added callback with this function and argument.
///
/// Returns 0, or -1 if there is none.
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

/// Makes the first `size` bytes of a buffer contiguous in memory; negative means everything.
///
/// Returns their address, which is valid until the buffer is changed. They may be written to,
/// unless they are memory that was added by reference, shared, or from a file. Returns NULL if
/// there are fewer bytes, `size` is 0, or memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_pullup(buf: *mut Evbuffer, size: isize) -> *mut c_uchar {
    // SAFETY: the caller guarantees the buffer.
    unsafe { Guard::new(buf) }
        .pull_up(usize::try_from(size).ok())
        .unwrap_or(ptr::null_mut())
}

/// Inserts a copy of `size` bytes at the front.
///
/// Returns 0, or -1 if memory is short or the front of the buffer is frozen.
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
/// Returns 0, or -1 if the front of either buffer is frozen.
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

/// Makes all changes at one end of a buffer fail: adding at the end, or removing and prepending at
/// the front. Freezing twice is the same as freezing once. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_freeze(buf: *mut Evbuffer, at_front: c_int) -> c_int {
    // SAFETY: the caller guarantees the buffer.
    unsafe { Held::new(buf) }.set_frozen(end(at_front), true);
    0
}

/// Allows changes at one end of a buffer again. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_unfreeze(buf: *mut Evbuffer, at_front: c_int) -> c_int {
    // SAFETY: the caller guarantees the buffer.
    unsafe { Held::new(buf) }.set_frozen(end(at_front), false);
    0
}

/// Makes the callbacks of a buffer run from the loop of `base` instead of inside the change.
///
/// Several changes are then reported as one. The base must outlive the buffer. This cannot be
/// undone. Returns 0, or -1, with nothing changed, if memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evbuffer_defer_callbacks(
    buffer: *mut Evbuffer,
    base: *mut EventBase,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and the base.
    status(unsafe { Guard::new(buffer).defer_callbacks(base) })
}

/// Appends copies of `n_vec` pieces of memory in order. Callbacks are called once.
///
/// Returns the number of bytes added; 0, with nothing added, if memory is short or the end of the
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
