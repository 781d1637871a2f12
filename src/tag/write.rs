//! Appending items. Each item is one change of the buffer: all of it is appended or nothing.

use super::encoding::Encoded;
use crate::buffer::{Guard, Refused};
use libc::iovec;

/// Appends a tag alone. Returns its size.
pub fn tag(buffer: &Guard, tag: u32) -> Result<usize, Refused> {
    append(buffer, &Encoded::EMPTY.tag(tag))
}

/// Appends an integer alone.
pub fn integer(buffer: &Guard, value: u64) -> Result<usize, Refused> {
    append(buffer, &Encoded::EMPTY.integer(value))
}

/// Appends an item with a copy of the payload, which is not longer than a length can say.
pub fn item(buffer: &Guard, tag: u32, payload: &[u8]) -> Result<usize, Refused> {
    let length = u32::try_from(payload.len()).map_err(|_| Refused::Range)?;
    let mut item = header(tag, length);
    // A small one is put together first: one copy more is less work than room for pieces.
    if item.extend(payload) {
        return append(buffer, &item);
    }
    let vectors = [item.bytes(), payload].map(|piece| iovec {
        iov_base: piece.as_ptr().cast_mut().cast(),
        iov_len: piece.len(),
    });
    // SAFETY: the vectors describe the pieces, which are readable and outlive the call.
    unsafe { buffer.append_vectors(&vectors) }
}

/// Appends an item whose payload is an integer.
pub fn integer_item(buffer: &Guard, tag: u32, value: u64) -> Result<usize, Refused> {
    append(buffer, &Encoded::EMPTY.tag(tag).payload(value))
}

/// Appends an item whose payload is two integers: seconds and microseconds.
pub fn time_item(buffer: &Guard, tag: u32, seconds: u32, micros: u32) -> Result<usize, Refused> {
    let payload = Encoded::EMPTY.integer(seconds.into());
    let payload = payload.integer(micros.into());
    item(buffer, tag, payload.bytes())
}

/// Appends an item and moves all of `payload` into it, without copying. The buffers differ.
pub fn buffer_item(buffer: &Guard, tag: u32, payload: &Guard) -> Result<(), Refused> {
    let length = u32::try_from(payload.length()).map_err(|_| Refused::Range)?;
    payload.move_all_behind(header(tag, length).bytes(), buffer)
}

#[inline(always)]
fn header(tag: u32, length: u32) -> Encoded {
    Encoded::EMPTY.tag(tag).integer(length.into())
}

#[inline(always)]
fn append(buffer: &Guard, encoded: &Encoded) -> Result<usize, Refused> {
    let bytes = encoded.bytes();
    // SAFETY: the bytes are readable, and not in the buffer.
    unsafe { buffer.append(bytes.as_ptr(), bytes.len()) }?;
    Ok(bytes.len())
}
