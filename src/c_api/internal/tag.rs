//! Internal exported symbols of tagged items. Generated RPC code declares and calls them.

use crate::buffer::{Evbuffer, Guard};
use crate::c_api::status;
use crate::tag::encoding::{Encoded, Width};
use crate::tag::{read, write};
use crate::warning;
use std::ffi::c_int;

/// Appends a tag alone, unless the buffer is null; returns its size.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_encode_tag(evbuf: *mut Evbuffer, tag: u32) -> c_int {
    // SAFETY: the caller guarantees the buffer, or null.
    if !evbuf.is_null() && write::tag(&unsafe { Guard::new(evbuf) }, tag).is_err() {
        warning!("evtag_encode_tag: cannot append to the buffer");
    }
    Encoded::EMPTY.tag(tag).bytes().len() as c_int
}

/// Takes a tag alone; returns its size, or -1 with nothing taken. `ptag` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_decode_tag(ptag: *mut u32, evbuf: *mut Evbuffer) -> c_int {
    // SAFETY: the caller guarantees the buffer and the place for the tag.
    unsafe {
        let Ok((tag, size)) = read::take_tag(&Guard::new(evbuf)) else {
            return -1;
        };
        if let Some(ptag) = ptag.as_mut() {
            *ptag = tag;
        }
        size as c_int
    }
}

/// Takes an integer of 32 bits alone; 0, or -1 with nothing taken.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_decode_int(pnumber: *mut u32, evbuf: *mut Evbuffer) -> c_int {
    // SAFETY: the caller guarantees the buffer and the place for the number.
    unsafe {
        let number = read::take_integer(&Guard::new(evbuf), Width::Word);
        status(number.map(|number| pnumber.write(number as u32)))
    }
}

/// Takes an integer of 64 bits alone; 0, or -1 with nothing taken.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evtag_decode_int64(
    pnumber: *mut u64,
    evbuf: *mut Evbuffer,
) -> c_int {
    // SAFETY: the caller guarantees the buffer and the place for the number.
    unsafe {
        let number = read::take_integer(&Guard::new(evbuf), Width::Long);
        status(number.map(|number| pnumber.write(number)))
    }
}
