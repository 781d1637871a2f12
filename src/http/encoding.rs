//! Percent-encoding of text for URIs, and escaping of text for HTML.

use crate::hooks::memory::{self, OutOfMemory};
use crate::util::ascii::hex_value;
use std::ffi::c_char;
use std::ptr::NonNull;

/// What a `+` means in encoded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plus {
    /// Itself.
    Plus,
    /// A blank.
    Blank,
    /// A blank after the first question mark, and itself before.
    BlankInQuery,
}

/// Whether a byte represents itself in every part of a URI.
pub const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// A text, which `write` gives byte by byte to what it is handed: counted first, then put into a
/// block of that size.
fn collect(write: impl Fn(&mut dyn FnMut(&[u8]))) -> Result<NonNull<c_char>, OutOfMemory> {
    let mut length = 0usize;
    write(&mut |bytes| length = length.saturating_add(bytes.len()));
    let size = length.checked_add(1).ok_or(OutOfMemory)?;
    let block = NonNull::new(memory::malloc(size).cast::<u8>()).ok_or(OutOfMemory)?;
    let mut end = block.as_ptr();
    // SAFETY: the block has room for all that was counted, and for the NUL.
    unsafe {
        write(&mut |bytes| {
            end.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            end = end.add(bytes.len());
        });
        end.write(0);
    }
    Ok(block.cast())
}

/// The text with all bytes but the unreserved ones as `%XX`; with `plus`, blanks as `+`.
pub fn encode(text: &[u8], plus: bool) -> Result<NonNull<c_char>, OutOfMemory> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    collect(|put| {
        for &byte in text {
            if is_unreserved(byte) {
                put(&[byte]);
            } else if plus && byte == b' ' {
                put(b"+");
            } else {
                let digit = |value: u8| DIGITS[usize::from(value)];
                put(&[b'%', digit(byte >> 4), digit(byte & 0xf)]);
            }
        }
    })
}

/// The text with the five characters that mean something in HTML as references.
pub fn escape_html(text: &[u8]) -> Result<NonNull<c_char>, OutOfMemory> {
    collect(|put| {
        for byte in text {
            match byte {
                b'<' => put(b"&lt;"),
                b'>' => put(b"&gt;"),
                b'"' => put(b"&quot;"),
                b'\'' => put(b"&#039;"),
                b'&' => put(b"&amp;"),
                other => put(std::slice::from_ref(other)),
            }
        }
    })
}

/// Decodes `length` bytes at `text` to `out` and appends a NUL. Returns the number of decoded
/// bytes. A `%` that two hexadecimal digits do not follow stays.
///
/// # Safety
/// `text` has `length` bytes, `out` room for one more; `out` is `text` or apart from it.
pub unsafe fn decode(text: *const u8, length: usize, out: *mut u8, plus: Plus) -> usize {
    let (mut plus_is_blank, mut from, mut to) = (plus == Plus::Blank, 0, 0);
    // SAFETY: the caller guarantees the bytes and the room. What is written is never in front of
    // what is read next.
    unsafe {
        let digit = |place: usize| (place < length).then(|| hex_value(*text.add(place)))?;
        while from < length {
            let mut byte = *text.add(from);
            from += 1;
            match byte {
                b'?' if plus == Plus::BlankInQuery => plus_is_blank = true,
                b'+' if plus_is_blank => byte = b' ',
                b'%' => {
                    if let (Some(high), Some(low)) = (digit(from), digit(from + 1)) {
                        byte = high << 4 | low;
                        from += 2;
                    }
                }
                _ => {}
            }
            out.add(to).write(byte);
            to += 1;
        }
        out.add(to).write(0);
    }
    to
}

/// The decoded text in a block of its own, and its length.
pub fn decoded(text: &[u8], plus: Plus) -> Result<(NonNull<c_char>, usize), OutOfMemory> {
    let block = memory::malloc(text.len() + 1).cast::<u8>();
    let block = NonNull::new(block).ok_or(OutOfMemory)?;
    // SAFETY: the block has a byte more than the text.
    let length = unsafe { decode(text.as_ptr(), text.len(), block.as_ptr(), plus) };
    Ok((block.cast(), length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn text(block: Result<NonNull<c_char>, OutOfMemory>) -> String {
        let block = block.unwrap();
        // SAFETY: the block is a terminated string and this test's own.
        unsafe {
            let text = CStr::from_ptr(block.as_ptr()).to_str().unwrap().to_owned();
            memory::free(block.as_ptr().cast());
            text
        }
    }

    #[test]
    fn text_is_encoded_with_capital_digits() {
        assert_eq!(
            text(encode(b"aZ9-._~/+ \0\xff", false)),
            "aZ9-._~%2F%2B%20%00%FF"
        );
        assert_eq!(text(encode(b"a +", true)), "a+%2B");
        assert_eq!(text(encode(b"", true)), "");
    }

    #[test]
    fn html_is_escaped() {
        assert_eq!(
            text(escape_html(b"<a b='c' d=\"e\">&amp;")),
            "&lt;a b=&#039;c&#039; d=&quot;e&quot;&gt;&amp;amp;"
        );
    }

    #[test]
    fn escapes_are_decoded_and_broken_ones_stay() {
        for (encoded, plus, wanted) in [
            ("a%41%4a%4A", Plus::Plus, "aAJJ"),
            ("%", Plus::Plus, "%"),
            ("%4", Plus::Plus, "%4"),
            ("%%41%g1%1g", Plus::Plus, "%A%g1%1g"),
            ("a+b?c+d", Plus::Plus, "a+b?c+d"),
            ("a+b?c+d", Plus::Blank, "a b?c d"),
            ("a+%3f+?c+?d+", Plus::BlankInQuery, "a+?+?c ?d "),
        ] {
            let (block, length) = decoded(encoded.as_bytes(), plus).unwrap();
            assert_eq!(length, wanted.len());
            assert_eq!(text(Ok(block)), wanted);
        }
    }

    #[test]
    fn decoding_in_place_is_the_same() {
        let mut bytes = *b"%00%41+%4x\0";
        let start = bytes.as_mut_ptr();
        // SAFETY: the array has a byte more than is decoded.
        let length = unsafe { decode(start, bytes.len() - 1, start, Plus::Blank) };
        assert_eq!(&bytes[..length + 1], b"\0A %4x\0");
    }
}
