//! event2/tag.h: tagged items in buffers.

use super::buffer::bytes;
use super::{optional_string, status};
use crate::buffer::{Evbuffer, Guard, Refused};
use crate::tag::encoding::Width;
use crate::tag::read::{self, Unreadable};
use crate::tag::write;
use crate::warning;
use libc::timeval;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

/// Writers return nothing, so what went wrong goes to the log.
fn report<T>(function: &str, result: Result<T, Refused>) {
    match result {
        Ok(_) => {}
        Err(Refused::Range) => warning!("{function}: too long for one item"),
        Err(Refused::Frozen) => warning!("{function}: the buffer is frozen"),
        Err(_) => warning!("{function}: out of memory"),
    }
}

/// A count of bytes, which fits an `int`, as the result.
fn size(result: Result<usize, Unreadable>) -> c_int {
    result.map_or(-1, |size| size as c_int)
}

/// Stores a result where the caller wants it, unless there is none.
///
/// # Safety
/// `place` is null or can be written.
unsafe fn store<T>(place: *mut T, result: Result<T, Unreadable>) -> c_int {
    let Ok(value) = result else { return -1 };
    if !place.is_null() {
        // SAFETY: the caller guarantees the place.
        unsafe { place.write(value) };
    }
    0
}

/// Has no effect: no other function needs it.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_init() {}

/// Removes the tag and the length of an item from a buffer, which leaves the payload at its front.
///
/// The tag is stored in `ptag` unless that is NULL, even if the rest is bad.
///
/// Returns the length of the payload, all of which is in the buffer; or -1 if the payload is
/// incomplete or longer than `INT_MAX`, or the tag or length is incomplete or malformed. What could
/// be parsed is removed in any case.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_unmarshal_header(
    evbuf: *mut Evbuffer,
    ptag: *mut u32,
) -> c_int {
    let mut unwanted = 0;
    // SAFETY: the caller guarantees the buffer and the place for the tag.
    unsafe {
        let tag = ptag.as_mut().unwrap_or(&mut unwanted);
        size(read::take_header(&Guard::new(evbuf), tag))
    }
}

/// Appends an item with a copy of the `len` bytes at `data`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_marshal(
    evbuf: *mut Evbuffer,
    tag: u32,
    data: *const c_void,
    len: u32,
) {
    // SAFETY: the caller guarantees the buffer and the data.
    unsafe {
        if let Some(payload) = bytes(data.cast(), len as usize) {
            let result = write::item(&Guard::new(evbuf), tag, payload);
            report("evtag_marshal", result);
        }
    }
}

/// Appends an item and moves all of `data` into it, without copying.
///
/// `data` is empty afterwards and remains the caller's. Nothing happens if it is `evbuf` itself,
/// longer than 32 bits can express, memory is short, or a buffer is frozen.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_marshal_buffer(
    evbuf: *mut Evbuffer,
    tag: u32,
    data: *mut Evbuffer,
) {
    if evbuf == data {
        warning!("evtag_marshal_buffer: a buffer cannot be moved into itself");
        return;
    }
    let result = {
        // SAFETY: the caller guarantees the buffers.
        let (evbuf, data) = unsafe { Guard::pair(evbuf, data) };
        write::buffer_item(&evbuf, tag, &data)
    };
    report("evtag_marshal_buffer", result);
}

/// Appends an integer without tag and length: one to five bytes.
///
/// The bytes are the same on every machine. Small numbers take fewer bytes: the first nibble (half
/// byte) is the number of nibbles that follow, and leading zeros are left out.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_encode_int(evbuf: *mut Evbuffer, number: u32) {
    // SAFETY: the caller guarantees the buffer.
    let result = write::integer(&unsafe { Guard::new(evbuf) }, number.into());
    report("evtag_encode_int", result);
}

/// Appends a 64-bit integer like evtag_encode_int(): one to nine bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_encode_int64(evbuf: *mut Evbuffer, number: u64) {
    // SAFETY: the caller guarantees the buffer.
    let result = write::integer(&unsafe { Guard::new(evbuf) }, number);
    report("evtag_encode_int64", result);
}

/// Appends an item with an integer.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_marshal_int(evbuf: *mut Evbuffer, tag: u32, integer: u32) {
    // SAFETY: the caller guarantees the buffer.
    let result = write::integer_item(&unsafe { Guard::new(evbuf) }, tag, integer.into());
    report("evtag_marshal_int", result);
}

/// Appends an item with a 64-bit integer.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_marshal_int64(evbuf: *mut Evbuffer, tag: u32, integer: u64) {
    // SAFETY: the caller guarantees the buffer.
    let result = write::integer_item(&unsafe { Guard::new(evbuf) }, tag, integer);
    report("evtag_marshal_int64", result);
}

/// Appends an item with a string, without its terminating NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_marshal_string(
    buf: *mut Evbuffer,
    tag: u32,
    string: *const c_char,
) {
    // SAFETY: the caller guarantees the buffer and the string.
    unsafe {
        let Some(string) = optional_string(string) else {
            warning!("evtag_marshal_string: no string");
            return;
        };
        let result = write::item(&Guard::new(buf), tag, string.to_bytes());
        report("evtag_marshal_string", result);
    }
}

/// Appends an item with a time: the low 32 bits of its seconds and of its microseconds.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_marshal_timeval(
    evbuf: *mut Evbuffer,
    tag: u32,
    tv: *mut timeval,
) {
    // SAFETY: the caller guarantees the time and the buffer.
    unsafe {
        let (seconds, micros) = ((*tv).tv_sec as u32, (*tv).tv_usec as u32);
        let result = write::time_item(&Guard::new(evbuf), tag, seconds, micros);
        report("evtag_marshal_timeval", result);
    }
}

/// Removes an item from `src` and moves its payload to the end of `dst`, another buffer.
///
/// The tag is stored in `ptag` unless that is NULL. Returns the length of the payload; or -1 in the
/// same cases as evtag_unmarshal_header(), and if `dst` is frozen or memory is short. The payload,
/// or the rest of it, then stays in `src`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_unmarshal(
    src: *mut Evbuffer,
    ptag: *mut u32,
    dst: *mut Evbuffer,
) -> c_int {
    if src == dst {
        return -1;
    }
    let mut unwanted = 0;
    // SAFETY: the caller guarantees the buffers and the place for the tag.
    unsafe {
        let tag = ptag.as_mut().unwrap_or(&mut unwanted);
        let (src, dst) = Guard::pair(src, dst);
        size(read::take_into_buffer(&src, tag, &dst))
    }
}

/// Looks at the tag of the first item, and stores it in `ptag` unless that is NULL.
///
/// Returns how many bytes the tag takes, or -1 if it is incomplete or malformed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_peek(evbuf: *mut Evbuffer, ptag: *mut u32) -> c_int {
    // SAFETY: the caller guarantees the buffer and the place for the tag.
    unsafe {
        let Ok((tag, size)) = read::peek_tag(&Guard::new(evbuf)) else {
            return -1;
        };
        store(ptag, Ok(tag));
        size as c_int
    }
}

/// Gets the length of the first item: tag, length and payload together.
///
/// The payload need not be in the buffer yet: compare with evbuffer_get_length(). Returns 0; or -1,
/// with `plength` unchanged, if the tag or length is incomplete or malformed, or the sum exceeds 32
/// bits.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_peek_length(
    evbuf: *mut Evbuffer,
    plength: *mut u32,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and the place for the length.
    unsafe { store(plength, read::peek_item_length(&Guard::new(evbuf))) }
}

/// Gets the length of the payload of the first item.
///
/// The payload need not be in the buffer yet. Returns 0; or -1, with `plength` unchanged, if the
/// tag or length is incomplete or malformed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_payload_length(
    evbuf: *mut Evbuffer,
    plength: *mut u32,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and the place for the length.
    unsafe { store(plength, read::peek_payload_length(&Guard::new(evbuf))) }
}

/// Removes an item from a buffer and discards it. Returns 0, or -1 in the same cases as
/// evtag_unmarshal_header().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_consume(evbuf: *mut Evbuffer) -> c_int {
    // SAFETY: the caller guarantees the buffer.
    status(read::skip_item(&unsafe { Guard::new(evbuf) }))
}

/// Removes an item with an integer, written by evtag_marshal_int(), and stores the integer in
/// `pinteger`.
///
/// Returns how many bytes the integer took, one to five; or -1 in the same cases as
/// evtag_unmarshal_header(), if the item has another tag (its tag is then removed), or if the
/// payload is not a 32-bit integer (the item is then removed).
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_unmarshal_int(
    evbuf: *mut Evbuffer,
    need_tag: u32,
    pinteger: *mut u32,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and the place for the integer.
    unsafe {
        let result = read::take_integer_item(&Guard::new(evbuf), need_tag, Width::Word);
        let Ok((integer, size)) = result else {
            return -1;
        };
        store(pinteger, Ok(integer as u32));
        size as c_int
    }
}

/// Like evtag_unmarshal_int(), for integers of up to 64 bits, which take one to nine bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_unmarshal_int64(
    evbuf: *mut Evbuffer,
    need_tag: u32,
    pinteger: *mut u64,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and the place for the integer.
    unsafe {
        let result = read::take_integer_item(&Guard::new(evbuf), need_tag, Width::Long);
        let Ok((integer, size)) = result else {
            return -1;
        };
        store(pinteger, Ok(integer));
        size as c_int
    }
}

/// Removes an item whose payload has exactly `len` bytes, and copies them to `data`.
///
/// Returns 0; or -1 in the same cases as evtag_unmarshal_header(), and if the tag or length is a
/// different one. The payload then stays in the buffer.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_unmarshal_fixed(
    src: *mut Evbuffer,
    need_tag: u32,
    data: *mut c_void,
    len: usize,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and the room at `data`.
    unsafe {
        let src = Guard::new(src);
        status(read::take_fixed_item(&src, need_tag, data.cast(), len))
    }
}

/// Removes an item with a string. `pstring` gets a NUL-terminated copy of the payload, which the
/// caller frees with free() or the function that event_set_mem_functions() set in its place.
///
/// Returns 0; or -1 in the same cases as evtag_unmarshal_header(), if the item has another tag, or
/// if memory is short, in which case `pstring` is set to NULL. The payload then stays in the
/// buffer.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_unmarshal_string(
    evbuf: *mut Evbuffer,
    need_tag: u32,
    pstring: *mut *mut c_char,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and the place for the string.
    unsafe {
        let Ok(string) = read::take_string_item(&Guard::new(evbuf), need_tag) else {
            return -1;
        };
        pstring.write(string.map_or(ptr::null_mut(), |text| text.as_ptr().cast()));
        if string.is_some() { 0 } else { -1 }
    }
}

/// Removes an item with a time, written by evtag_marshal_timeval(), and stores it in `ptv`.
///
/// Returns 0; or -1 in the same cases as evtag_unmarshal_header(), and if the item has another tag
/// or its payload is not two 32-bit integers; the item is then removed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_unmarshal_timeval(
    evbuf: *mut Evbuffer,
    need_tag: u32,
    ptv: *mut timeval,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and the place for the time.
    unsafe {
        let time = read::take_time_item(&Guard::new(evbuf), need_tag);
        let time = time.map(|(seconds, micros)| timeval {
            tv_sec: seconds.into(),
            tv_usec: micros.into(),
        });
        store(ptv, time)
    }
}
