//! Characters and strings as ASCII, whatever the locale.

use std::arch::x86_64::{
    _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
};
use std::cmp::Ordering;
use std::ffi::c_char;

/// White space: tab to carriage return, and the blank.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, 0x09..=0x0d | b' ')
}

/// Visible characters and the blank.
pub fn is_printable(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e)
}

/// Whether a text has a control character.
#[inline(never)]
pub fn has_control(text: &[u8]) -> bool {
    // The bytes at the end may be seen twice.
    if let Some(last) = text.last_chunk::<BLOCK>() {
        let mut rest = text;
        while let Some((block, behind)) = rest.split_first_chunk::<BLOCK>() {
            if block_has_control(block) {
                return true;
            }
            rest = behind;
        }
        block_has_control(last)
    } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let halves = [u64::from_ne_bytes(*first), u64::from_ne_bytes(*last)];
        block_has_control(&block_of(halves))
    } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let halves = [u32::from_ne_bytes(*first), u32::from_ne_bytes(*last)];
        block_has_control(&block_of(
            [u64::from(halves[0]) << 32 | u64::from(halves[1]); 2],
        ))
    } else {
        text.iter().any(u8::is_ascii_control)
    }
}

/// So many bytes are looked at together.
const BLOCK: usize = 16;

fn block_of([first, second]: [u64; 2]) -> [u8; BLOCK] {
    (u128::from(first) | u128::from(second) << 64).to_ne_bytes()
}

/// Whether one of the bytes is less than a blank, or DEL.
#[inline(always)]
fn block_has_control(block: &[u8; BLOCK]) -> bool {
    // SAFETY: so many bytes are there. Every processor of this kind has these instructions.
    unsafe {
        let bytes = _mm_loadu_si128(block.as_ptr().cast());
        let below = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
        let delete = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
        _mm_movemask_epi8(_mm_or_si128(below, delete)) != 0
    }
}

/// The value of a hexadecimal digit.
pub fn hex_value(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The decimal number that is the whole text, at most `limit`: digits only, leading zeros allowed.
pub fn decimal(text: &[u8], limit: u32) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    text.iter().try_fold(0u32, |value, digit| {
        let value = value
            .checked_mul(10)?
            .checked_add(u32::from(digit - b'0'))?;
        (value <= limit).then_some(value)
    })
}

/// Compares two strings without regard to the case of letters, up to `limit` bytes. Bytes count
/// as signed: those above 127 come before all others.
///
/// # Safety
/// Both are NUL-terminated or at least `limit` bytes long.
pub unsafe fn compare_ignoring_case(a: *const c_char, b: *const c_char, limit: usize) -> Ordering {
    for i in 0..limit {
        // SAFETY: no terminator was met before, so this byte belongs to the string.
        let (a, b) = unsafe { (*a.add(i), *b.add(i)) };
        let lower = |byte: c_char| (byte as u8).to_ascii_lowercase() as i8;
        match lower(a).cmp(&lower(b)) {
            Ordering::Equal if a == 0 => return Ordering::Equal,
            Ordering::Equal => {}
            different => return different,
        }
    }
    Ordering::Equal
}

/// The text without blanks and tabs at its end.
pub fn without_trailing_blanks(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|&byte| byte != b' ' && byte != b'\t');
    &text[..end.map_or(0, |last| last + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(a: &std::ffi::CStr, b: &std::ffi::CStr, limit: usize) -> Ordering {
        // SAFETY: both are terminated.
        unsafe { compare_ignoring_case(a.as_ptr(), b.as_ptr(), limit) }
    }

    #[test]
    fn control_characters_are_found_wherever_they_stand() {
        for length in 0..50 {
            for other in [b' ', b'~', 0x80, 0xff] {
                let mut text = vec![other; length];
                assert!(!has_control(&text));
                for place in 0..length {
                    for control in [0, 1, b'\t', 0x1f, 0x7f] {
                        text[place] = control;
                        assert!(has_control(&text), "{control} at {place} of {length}");
                    }
                    text[place] = other;
                }
            }
        }
    }

    #[test]
    fn comparison_is_ascii_and_signed() {
        assert_eq!(
            compare(c"Content-Length", c"content-LENGTH", usize::MAX),
            Ordering::Equal
        );
        assert_eq!(compare(c"abc", c"abcd", usize::MAX), Ordering::Less);
        assert_eq!(compare(c"abc", c"abcd", 3), Ordering::Equal);
        assert_eq!(compare(c"\xe4", c"a", usize::MAX), Ordering::Less);
        assert_eq!(compare(c"[", c"A", usize::MAX), Ordering::Less);
        assert_eq!(compare(c"x", c"y", 0), Ordering::Equal);
    }

    #[test]
    fn decimal_is_strict() {
        assert_eq!(decimal(b"0065535", 65535), Some(65535));
        for text in [
            "",
            " 1",
            "1 ",
            "+1",
            "-0",
            "65536",
            "4294967376",
            "1x",
            "0x1",
        ] {
            assert_eq!(decimal(text.as_bytes(), 65535), None, "{text}");
        }
    }

    #[test]
    fn trailing_blanks_go_and_line_ends_stay() {
        assert_eq!(without_trailing_blanks(b"a b \t "), b"a b");
        assert_eq!(without_trailing_blanks(b"a\r\n"), b"a\r\n");
        assert_eq!(without_trailing_blanks(b" \t"), b"");
    }
}
