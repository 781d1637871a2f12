//! Appending items. Each item is one change of the buffer: all of it is appended or nothing.

use super::encoding::Encoded;
use crate::buffer::{Guard, Refused};
use libc::iovec;

/// Appends a tag alone. Returns its size.
pub fn tag(buffer: &Guard, tag: u32) -> Result<usize, Refused> {
    append(buffer, &[Encoded::EMPTY.tag(tag).bytes()])
}

/// Appends an integer alone.
pub fn integer(buffer: &Guard, value: u64) -> Result<usize, Refused> {
    append(buffer, &[Encoded::EMPTY.integer(value).bytes()])
}

/// Appends an item with a copy of the payload, which is not longer than a length can say.
pub fn item(buffer: &Guard, tag: u32, payload: &[u8]) -> Result<usize, Refused> {
    let length = u32::try_from(payload.len()).map_err(|_| Refused::Range)?;
    append(buffer, &[header(tag, length).bytes(), payload])
}

/// Appends an item whose payload is an integer.
pub fn integer_item(buffer: &Guard, tag: u32, value: u64) -> Result<usize, Refused> {
    item(buffer, tag, Encoded::EMPTY.integer(value).bytes())
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

fn header(tag: u32, length: u32) -> Encoded {
    Encoded::EMPTY.tag(tag).integer(length.into())
}

/// Items up to this size are put together first: one copy more is less work than room for pieces.
const SMALL: usize = 64;

/// Appends the pieces as one change.
#[inline]
fn append<const N: usize>(buffer: &Guard, pieces: &[&[u8]; N]) -> Result<usize, Refused> {
    let total: usize = pieces.iter().map(|piece| piece.len()).sum();
    if total > SMALL {
        return append_pieces(buffer, pieces);
    }
    let mut item = [0; SMALL];
    let mut end = 0;
    for piece in pieces {
        item[end..end + piece.len()].copy_from_slice(piece);
        end += piece.len();
    }
    // SAFETY: so many bytes of the item are filled.
    unsafe { buffer.append(item.as_ptr(), total) }?;
    Ok(total)
}

fn append_pieces<const N: usize>(buffer: &Guard, pieces: &[&[u8]; N]) -> Result<usize, Refused> {
    let vectors = pieces.map(|piece| iovec {
        iov_base: piece.as_ptr().cast_mut().cast(),
        iov_len: piece.len(),
    });
    // SAFETY: the vectors describe the pieces, which are readable and outlive the call.
    unsafe { buffer.append_vectors(&vectors) }
}
