//! Tags and integers as bytes.
//!
//! A tag is 32 bits in groups of seven, the lowest first; the high bit of a byte says that another
//! follows. An integer is a row of nibbles, the first of each two in the high half of a byte: how
//! many nibbles the value has, less one, then the nibbles of the value, the lowest first.

/// Bytes of the longest tag.
pub const LONGEST_TAG: usize = 5;

/// Value bits in each byte of a tag.
const TAG_BITS: usize = 7;
/// Set in every byte of a tag but the last.
const MORE: u8 = 0x80;
/// The highest value of the last byte of the longest tag: four bits are left of 32.
const HIGHEST_LAST: u8 = 0x0f;

/// How many nibbles an integer may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// 32 bits.
    Word = 8,
    /// 64 bits.
    Long = 16,
}

impl Width {
    /// Bytes of the longest integer of this width.
    pub const fn longest(self) -> usize {
        integer_size(self as usize)
    }
}

/// Bytes that an integer of that many nibbles takes, with the one in front that counts them.
const fn integer_size(nibbles: usize) -> usize {
    nibbles / 2 + 1
}

fn nibbles_of(value: u64) -> usize {
    (u64::BITS - (value | 1).leading_zeros()).div_ceil(4) as usize
}

/// A few encodings in a row.
pub struct Encoded {
    bytes: [u8; Self::CAPACITY],
    length: usize,
}

impl Encoded {
    /// Nothing yet.
    pub const EMPTY: Encoded = Encoded {
        bytes: [0; Self::CAPACITY],
        length: 0,
    };

    /// The most that is put together: two of the longest integers, or a small item.
    pub const CAPACITY: usize = 64;

    /// The bytes so far.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Appends bytes, if there is room for them; whether there was.
    #[inline(always)]
    pub fn extend(&mut self, bytes: &[u8]) -> bool {
        let end = self.length + bytes.len();
        let Some(place) = self.bytes.get_mut(self.length..end) else {
            return false;
        };
        place.copy_from_slice(bytes);
        self.length = end;
        true
    }

    /// Appends a tag.
    #[inline(always)]
    pub fn tag(mut self, tag: u32) -> Self {
        let mut left = tag;
        while left >= u32::from(MORE) {
            self.push(left as u8 | MORE);
            left >>= TAG_BITS;
        }
        self.push(left as u8);
        self
    }

    /// Appends an integer as the payload of an item: behind the length of its encoding, which is
    /// one byte.
    #[inline(always)]
    pub fn payload(self, value: u64) -> Self {
        let size = integer_size(nibbles_of(value));
        self.integer(size as u64).integer(value)
    }

    /// Appends an integer, with no more nibbles than it needs.
    #[inline(always)]
    pub fn integer(mut self, value: u64) -> Self {
        let nibbles = nibbles_of(value);
        self.push((nibbles as u8 - 1) << 4 | (value & 0xf) as u8);
        let mut left = value >> 4;
        for _ in 1..integer_size(nibbles) {
            self.push((left << 4) as u8 | (left >> 4 & 0xf) as u8);
            left >>= 8;
        }
        self
    }

    #[inline(always)]
    fn push(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }
}

/// The tag that the bytes begin with, and how many of them it takes. `None` when it is cut short
/// or longer than 32 bits.
#[inline]
pub fn decode_tag(bytes: &[u8]) -> Option<(u32, usize)> {
    match bytes.first() {
        // Most tags are as short as this.
        Some(&byte) if byte & MORE == 0 => Some((byte.into(), 1)),
        _ => decode_long_tag(bytes),
    }
}

fn decode_long_tag(bytes: &[u8]) -> Option<(u32, usize)> {
    let mut tag = 0;
    for (index, &byte) in bytes.iter().take(LONGEST_TAG).enumerate() {
        tag |= u32::from(byte & !MORE) << (TAG_BITS * index);
        if byte & MORE == 0 {
            let fits = index < LONGEST_TAG - 1 || byte <= HIGHEST_LAST;
            return fits.then_some((tag, index + 1));
        }
    }
    None
}

/// The integer that the bytes begin with, and how many of them it takes. `None` when it is cut
/// short or longer than its width allows.
pub fn decode_integer(bytes: &[u8], width: Width) -> Option<(u64, usize)> {
    let nibbles = usize::from(bytes.first()? >> 4) + 1;
    if nibbles > width as usize {
        return None;
    }
    let bytes = bytes.get(..integer_size(nibbles))?;
    // The first nibble is the count.
    let mut value = u64::from(bytes[0] & 0xf);
    let mut shift = 4;
    for &byte in &bytes[1..] {
        value |= u64::from(byte >> 4) << shift;
        // Of the longest integers this is the padding.
        if shift + 4 < u64::BITS {
            value |= u64::from(byte & 0xf) << (shift + 4);
        }
        shift += 8;
    }
    // An even number of nibbles is followed by one of padding.
    let bits = 4 * nibbles as u32;
    if bits < u64::BITS {
        value &= (1 << bits) - 1;
    }
    Some((value, bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGS: &[(u32, &[u8])] = &[
        (0, &[0]),
        (0x66, &[0x66]),
        (0x7f, &[0x7f]),
        (0x80, &[0x80, 0x01]),
        (0x166, &[0xe6, 0x02]),
        (u32::MAX, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
    ];

    const INTEGERS: &[(u64, &[u8])] = &[
        (0, &[0x00]),
        (1, &[0x01]),
        (15, &[0x0f]),
        (16, &[0x10, 0x10]),
        (0xaf0, &[0x20, 0xfa]),
        (0x1000, &[0x30, 0x00, 0x10]),
        (0xdead_beef, &[0x7f, 0xee, 0xbd, 0xae, 0xd0]),
        (0xffff_ffff, &[0x7f, 0xff, 0xff, 0xff, 0xf0]),
        (0x1_0000_0000, &[0x80, 0x00, 0x00, 0x00, 0x01]),
        (
            u64::MAX,
            &[0xf0 | 0xf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0],
        ),
    ];

    #[test]
    fn tags_encode_and_decode() {
        for &(tag, bytes) in TAGS {
            assert_eq!(Encoded::EMPTY.tag(tag).bytes(), bytes);
            assert_eq!(decode_tag(bytes), Some((tag, bytes.len())));
            for cut in 0..bytes.len() {
                assert_eq!(decode_tag(&bytes[..cut]), None);
            }
        }
    }

    #[test]
    fn tags_need_not_be_minimal_but_fit_32_bits() {
        assert_eq!(decode_tag(&[0x81, 0x00]), Some((1, 2)));
        assert_eq!(
            decode_tag(&[0x80, 0x80, 0x80, 0x80, 0x0f]),
            Some((0xf000_0000, 5))
        );
        assert_eq!(decode_tag(&[0xff, 0xff, 0xff, 0xff, 0x1f]), None);
        assert_eq!(decode_tag(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x01]), None);
    }

    #[test]
    fn integers_encode_and_decode() {
        for &(value, bytes) in INTEGERS {
            assert_eq!(Encoded::EMPTY.integer(value).bytes(), bytes);
            assert_eq!(
                decode_integer(bytes, Width::Long),
                Some((value, bytes.len()))
            );
            let word = (value <= u64::from(u32::MAX)).then_some((value, bytes.len()));
            assert_eq!(decode_integer(bytes, Width::Word), word);
            for cut in 0..bytes.len() {
                assert_eq!(decode_integer(&bytes[..cut], Width::Long), None);
            }
        }
    }

    #[test]
    fn every_single_bit_survives() {
        for bit in 0..64 {
            let value = 1 << bit;
            let encoded = Encoded::EMPTY.integer(value);
            let size = encoded.bytes().len();
            assert_eq!(size, integer_size(bit / 4 + 1));
            assert_eq!(
                decode_integer(encoded.bytes(), Width::Long),
                Some((value, size))
            );
        }
    }
}
