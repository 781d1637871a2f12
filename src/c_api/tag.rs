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

/// Does nothing. No other function needs it.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_init() {}

/// Takes the tag and the length of an item from a buffer, and leaves the payload at its front.
///
/// The tag goes to `ptag` unless that is NULL, even when the rest is bad.
///
/// Returns the length of the payload, all of which is in the buffer; -1 when it is not, when it is
/// longer than `INT_MAX`, or when tag or length is cut short or malformed. What was understood is
/// taken out nevertheless.
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

/// Appends an item: `len` bytes at `data`, which are copied.
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
/// `data` is empty afterwards and stays the caller's. Nothing happens when it is `evbuf` itself, is
/// longer than a length of 32 bits can say, memory is short, or a buffer is frozen.
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
/// The bytes are the same on every machine. Small numbers take fewer: the first half byte counts
/// the half bytes that follow, and leading zeros are left out.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_encode_int(evbuf: *mut Evbuffer, number: u32) {
    // SAFETY: the caller guarantees the buffer.
    let result = write::integer(&unsafe { Guard::new(evbuf) }, number.into());
    report("evtag_encode_int", result);
}

/// Appends an integer of 64 bits as evtag_encode_int() does: one to nine bytes.
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

/// Appends an item with an integer of 64 bits.
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

/// Appends an item with a time: its seconds and microseconds, of each the lowest 32 bits.
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

/// Takes an item from `src` and moves its payload to the end of `dst`, another buffer.
///
/// The tag goes to `ptag` unless that is NULL. Returns the length of the payload, or -1 as
/// evtag_unmarshal_header(), and when `dst` is frozen or memory is short; the payload, or the rest
/// of it, is then left in `src`.
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

/// Looks at the tag of the first item, which goes to `ptag` unless that is NULL.
///
/// Returns how many bytes the tag takes, or -1 when it is cut short or malformed.
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

/// Looks at how long the first item is: tag, length and payload together.
///
/// The payload need not be in the buffer yet: compare with evbuffer_get_length(). Returns -1, with
/// `plength` unchanged, when tag or length is cut short or malformed, or the sum takes more than
/// 32 bits.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_peek_length(
    evbuf: *mut Evbuffer,
    plength: *mut u32,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and the place for the length.
    unsafe { store(plength, read::peek_item_length(&Guard::new(evbuf))) }
}

/// Looks at how long the payload of the first item is.
///
/// It need not be in the buffer yet. Returns -1, with `plength` unchanged, when tag or length is
/// cut short or malformed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_payload_length(
    evbuf: *mut Evbuffer,
    plength: *mut u32,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and the place for the length.
    unsafe { store(plength, read::peek_payload_length(&Guard::new(evbuf))) }
}

/// Takes an item from a buffer and throws it away. Returns -1 as evtag_unmarshal_header().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_consume(evbuf: *mut Evbuffer) -> c_int {
    // SAFETY: the caller guarantees the buffer.
    status(read::skip_item(&unsafe { Guard::new(evbuf) }))
}

/// Takes an item with an integer, written by evtag_marshal_int(). The integer goes to `pinteger`.
///
/// Returns how many bytes the integer took, one to five. Returns -1 as evtag_unmarshal_header(),
/// when the item has another tag, of which the tag is then taken out, and when the payload is no
/// integer of 32 bits, in which case the item is taken out.
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

/// As evtag_unmarshal_int(), for integers of up to 64 bits, which take one to nine bytes.
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

/// Takes an item whose payload has exactly `len` bytes, which are copied to `data`.
///
/// Returns -1 as evtag_unmarshal_header(), and when tag or length is another; the payload is then
/// left in the buffer.
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

/// Takes an item with a string. `pstring` gets a copy of the payload with a NUL behind it, which
/// the caller frees with free() or what `event_set_mem_functions()` set in its place.
///
/// Returns -1 as evtag_unmarshal_header(), and when the item has another tag; also when memory is
/// short, in which case `pstring` gets NULL. The payload is then left in the buffer.
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

/// Takes an item with a time, written by evtag_marshal_timeval(), to `ptv`.
///
/// Returns -1 as evtag_unmarshal_header(); also when the item has another tag or its payload is not
/// two integers of 32 bits, in which cases the item is taken out.
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
