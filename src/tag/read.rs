//! Looking at the first item of a buffer, and taking it out.
//!
//! How much a failed attempt takes out is part of the interface: see `Bad`.

use super::encoding::{LONGEST_TAG, Width, decode_integer, decode_tag};
use crate::buffer::{Guard, Refused};
use crate::hooks::memory;
use crate::warning_with_errno;
use std::ffi::c_void;
use std::ptr::NonNull;

/// The buffer does not begin with what was asked for, or it cannot be taken out or stored.
pub struct Unreadable;

impl From<Refused> for Unreadable {
    fn from(_: Refused) -> Self {
        Unreadable
    }
}

/// Longest payload that is taken: lengths are returned as `int`.
const LONGEST_PAYLOAD: usize = i32::MAX as usize;
/// Longest tag and length.
const LONGEST_HEADER: usize = LONGEST_TAG + Width::Word.longest();

/// A bad item, and how many bytes of it are taken out nevertheless: what was understood before it
/// turned out to be bad.
struct Bad {
    taken: usize,
}

/// The first bytes of a buffer.
struct Front<'a> {
    bytes: &'a [u8],
    /// How many bytes the whole buffer has.
    total: usize,
}

/// What precedes a payload.
struct Header {
    tag: u32,
    /// Bytes of the tag and the length.
    size: usize,
    /// Bytes of the payload, as declared.
    payload: usize,
}

impl<'a> Front<'a> {
    /// As many bytes as find room.
    #[inline]
    fn of(buffer: &'a Guard, room: &'a mut [u8]) -> Result<Self, Unreadable> {
        Ok(Front {
            // SAFETY: here, the buffer only changes after the last look at its front.
            bytes: unsafe { buffer.look_in_place(room) }?,
            total: buffer.length(),
        })
    }

    /// The tag, and its size.
    fn tag(&self) -> Result<(u32, usize), Bad> {
        decode_tag(self.bytes).ok_or(Bad { taken: 0 })
    }

    /// Tag and length, as declared.
    fn header(&self) -> Result<Header, Bad> {
        let (tag, tag_size) = self.tag()?;
        let (payload, length_size) =
            decode_integer(&self.bytes[tag_size..], Width::Word).ok_or(Bad { taken: tag_size })?;
        Ok(Header {
            tag,
            size: tag_size + length_size,
            payload: payload as usize,
        })
    }

    /// Tag and length of an item that is here whole.
    fn item(&self) -> Result<Header, Bad> {
        let header = self.header()?;
        if header.payload > LONGEST_PAYLOAD || header.payload > self.total - header.size {
            return Err(Bad { taken: header.size });
        }
        Ok(header)
    }

    /// The part of an item's payload that is among the bytes.
    fn payload(&self, header: &Header) -> &[u8] {
        let end = (header.size + header.payload).min(self.bytes.len());
        &self.bytes[header.size..end]
    }

    /// An item with an integer, its size, and the size of the integer.
    fn integer_item(&self, need_tag: u32, width: Width) -> Result<((u64, usize), usize), Bad> {
        let (tag, tag_size) = self.tag()?;
        if tag != need_tag {
            return Err(Bad { taken: tag_size });
        }
        let header = self.item()?;
        let size = header.size + header.payload;
        let integer = decode_integer(self.payload(&header), width);
        integer
            .map(|integer| (integer, size))
            .ok_or(Bad { taken: size })
    }

    /// An item with seconds and microseconds, and its size.
    fn time_item(&self, need_tag: u32) -> Result<((u32, u32), usize), Bad> {
        let header = self.item()?;
        let size = header.size + header.payload;
        let time = two_words(self.payload(&header)).filter(|_| header.tag == need_tag);
        time.map(|time| (time, size)).ok_or(Bad { taken: size })
    }
}

fn two_words(bytes: &[u8]) -> Option<(u32, u32)> {
    let (first, size) = decode_integer(bytes, Width::Word)?;
    let (second, _) = decode_integer(&bytes[size..], Width::Word)?;
    Some((first as u32, second as u32))
}

/// Takes out what was read and its size, or what goes with a bad item, as one change.
fn take<T>(buffer: &Guard, read: Result<(T, usize), Bad>) -> Result<T, Unreadable> {
    let (size, result) = match read {
        Ok((value, size)) => (size, Ok(value)),
        Err(Bad { taken }) => (taken, Err(Unreadable)),
    };
    if size > 0 {
        buffer.drain(size)?;
    }
    result
}

/// The tag, and its size. Takes nothing.
pub fn peek_tag(buffer: &Guard) -> Result<(u32, usize), Unreadable> {
    let mut room = [0; LONGEST_TAG];
    Front::of(buffer, &mut room)?.tag().map_err(|_| Unreadable)
}

/// The declared length of the payload, which need not be there. Takes nothing.
pub fn peek_payload_length(buffer: &Guard) -> Result<u32, Unreadable> {
    let header = peek_header(buffer)?;
    Ok(header.payload as u32)
}

/// The declared length of the item, which need not be there. Takes nothing.
pub fn peek_item_length(buffer: &Guard) -> Result<u32, Unreadable> {
    let header = peek_header(buffer)?;
    u32::try_from(header.size + header.payload).map_err(|_| Unreadable)
}

fn peek_header(buffer: &Guard) -> Result<Header, Unreadable> {
    let mut room = [0; LONGEST_HEADER];
    let front = Front::of(buffer, &mut room)?;
    front.header().map_err(|_| Unreadable)
}

/// Takes a tag alone; returns it and its size.
pub fn take_tag(buffer: &Guard) -> Result<(u32, usize), Unreadable> {
    let mut room = [0; LONGEST_TAG];
    let tag = Front::of(buffer, &mut room)?.tag();
    take(buffer, tag.map(|(tag, size)| ((tag, size), size)))
}

/// Takes an integer alone.
pub fn take_integer(buffer: &Guard, width: Width) -> Result<u64, Unreadable> {
    let mut room = [0; Width::Long.longest()];
    let bytes = buffer.look(&mut room)?;
    take(buffer, decode_integer(bytes, width).ok_or(Bad { taken: 0 }))
}

/// Takes tag and length and leaves the payload, whose length is returned. The tag is stored as soon
/// as it is known, even when the rest is bad.
pub fn take_header(buffer: &Guard, tag: &mut u32) -> Result<usize, Unreadable> {
    let mut room = [0; LONGEST_HEADER];
    let front = Front::of(buffer, &mut room)?;
    if let Ok((found, _)) = front.tag() {
        *tag = found;
    }
    let item = front.item();
    take(buffer, item.map(|header| (header.payload, header.size)))
}

/// Takes an item and forgets it.
pub fn skip_item(buffer: &Guard) -> Result<(), Unreadable> {
    let mut room = [0; LONGEST_HEADER];
    let item = Front::of(buffer, &mut room)?.item();
    take(
        buffer,
        item.map(|header| ((), header.size + header.payload)),
    )
}

/// Takes an item and appends its payload to `target`'s data. Returns the length of the payload.
/// The buffers differ.
///
/// When memory is short, the item is lost: its header is gone, and a part of the payload, or all,
/// is left in the buffer.
pub fn take_into_buffer(
    buffer: &Guard,
    tag: &mut u32,
    target: &Guard,
) -> Result<usize, Unreadable> {
    let length = take_header(buffer, tag)?;
    if buffer.move_to(target, length)? == length {
        Ok(length)
    } else {
        Err(Unreadable)
    }
}

/// Takes an item with an integer; returns it and the size of its encoding. What follows the
/// integer in the payload is skipped.
pub fn take_integer_item(
    buffer: &Guard,
    need_tag: u32,
    width: Width,
) -> Result<(u64, usize), Unreadable> {
    let mut room = [0; LONGEST_HEADER + Width::Long.longest()];
    let item = Front::of(buffer, &mut room)?.integer_item(need_tag, width);
    take(buffer, item)
}

/// Takes an item with seconds and microseconds. What follows them in the payload is skipped.
pub fn take_time_item(buffer: &Guard, need_tag: u32) -> Result<(u32, u32), Unreadable> {
    let mut room = [0; LONGEST_HEADER + 2 * Width::Word.longest()];
    let item = Front::of(buffer, &mut room)?.time_item(need_tag);
    take(buffer, item)
}

/// Takes an item whose payload has exactly `length` bytes, and copies it.
///
/// # Safety
/// `target` has room for `length` bytes, outside this buffer.
pub unsafe fn take_fixed_item(
    buffer: &Guard,
    need_tag: u32,
    target: *mut u8,
    length: usize,
) -> Result<(), Unreadable> {
    let mut tag = 0;
    if take_header(buffer, &mut tag)? != length || tag != need_tag {
        return Err(Unreadable);
    }
    // SAFETY: the caller guarantees the target.
    if unsafe { buffer.remove(target, length) }? == length {
        Ok(())
    } else {
        Err(Unreadable)
    }
}

/// Takes an item; its payload becomes a block of its own from the allocator, with a zero byte
/// appended.
///
/// When memory is short, `Ok(None)`: the header is gone, and the payload is left.
pub fn take_string_item(buffer: &Guard, need_tag: u32) -> Result<Option<NonNull<u8>>, Unreadable> {
    let mut tag = 0;
    let length = take_header(buffer, &mut tag)?;
    if tag != need_tag {
        return Err(Unreadable);
    }
    let Some(text) = NonNull::new(memory::malloc(length + 1).cast::<u8>()) else {
        warning_with_errno!("evtag_unmarshal_string: no memory for {length} bytes");
        return Ok(None);
    };
    // SAFETY: the block has room for the payload and the zero byte.
    let removed = unsafe {
        text.add(length).write(0);
        buffer.remove(text.as_ptr(), length)
    };
    if removed == Ok(length) {
        return Ok(Some(text));
    }
    // SAFETY: the block is still this function's own.
    unsafe { memory::free(text.as_ptr().cast::<c_void>()) };
    Err(Unreadable)
}
