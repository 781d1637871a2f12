//! Reading messages. Every step is checked against the end of the message, takes no memory and
//! ends: a compression pointer leads only backwards, and a name has at most 255 bytes.

/// Bytes of a message's head.
pub const HEADER: usize = 12;
/// The longest label.
pub const LONGEST_LABEL: usize = 63;
/// The longest name in a message, the end of it included.
pub const LONGEST_NAME: usize = 255;

/// Bits of a head's second word.
#[allow(missing_docs)]
pub mod flag {
    pub const RESPONSE: u16 = 0x8000;
    pub const OPERATION: u16 = 0x7800;
    pub const AUTHORITATIVE: u16 = 0x0400;
    pub const TRUNCATED: u16 = 0x0200;
    pub const RECURSION_DESIRED: u16 = 0x0100;
    pub const RECURSION_AVAILABLE: u16 = 0x0080;
    pub const CHECKING_DISABLED: u16 = 0x0010;
    pub const RESULT: u16 = 0x000f;
}

/// Types and classes of records.
#[allow(missing_docs)]
pub mod record {
    pub const A: u16 = 1;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const AAAA: u16 = 28;
    /// The class of the Internet.
    pub const INTERNET: u16 = 1;
}

/// The message is cut or contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The head of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the reply repeats.
    pub id: u16,
    /// [`flag`] bits.
    pub flags: u16,
    /// How many of questions, answers, authority and additional records the sender says there are.
    pub counts: [u16; 4],
}

/// The fixed part of a record, and its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// [`record`].
    pub kind: u16,
    /// [`record::INTERNET`], usually.
    pub class: u16,
    /// Seconds.
    pub ttl: u32,
    /// The data, unchanged.
    pub data: &'a [u8],
    /// Where the data begins in the message, for names in it.
    pub start: usize,
}

/// A place in a message.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    message: &'a [u8],
    position: usize,
    /// Where a name begins that was read, or [`NONE`]: most records belong to it.
    read: usize,
}

impl<'a> Reader<'a> {
    /// At the first byte.
    pub fn new(message: &'a [u8]) -> Self {
        Reader::at(message, 0)
    }

    /// At some byte.
    pub fn at(message: &'a [u8], position: usize) -> Self {
        Reader {
            message,
            position,
            read: NONE,
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let end = self.position.checked_add(count).ok_or(Malformed)?;
        let taken = self.message.get(self.position..end).ok_or(Malformed)?;
        self.position = end;
        Ok(taken)
    }

    fn array<const COUNT: usize>(&mut self) -> Result<&'a [u8; COUNT], Malformed> {
        let rest = self.message.get(self.position..).ok_or(Malformed)?;
        let taken = rest.first_chunk().ok_or(Malformed)?;
        self.position += COUNT;
        Ok(taken)
    }

    /// The head.
    pub fn header(&mut self) -> Result<Header, Malformed> {
        let bytes = self.array::<HEADER>()?;
        let word = |place: usize| u16::from_be_bytes([bytes[place], bytes[place + 1]]);
        Ok(Header {
            id: word(0),
            flags: word(2),
            counts: [word(4), word(6), word(8), word(10)],
        })
    }

    /// Gives every label of a name, the root's left out, to `each`.
    pub fn labels(&mut self, mut each: impl FnMut(&'a [u8])) -> Result<(), Malformed> {
        let (mut place, mut part_start) = (self.position, self.position);
        let mut end = None;
        let mut length = 1;
        loop {
            let first = usize::from(*self.message.get(place).ok_or(Malformed)?);
            match first {
                0 => {
                    self.position = end.unwrap_or(place + 1);
                    return Ok(());
                }
                1..=LONGEST_LABEL => {
                    let label = self.message.get(place + 1..=place + first);
                    each(label.ok_or(Malformed)?);
                    length += first + 1;
                    place += first + 1;
                }
                0xc0.. => {
                    let second = *self.message.get(place + 1).ok_or(Malformed)?;
                    end.get_or_insert(place + 2);
                    place = (first & 0x3f) << 8 | usize::from(second);
                    if place >= part_start {
                        return Err(Malformed);
                    }
                    part_start = place;
                }
                _ => return Err(Malformed),
            }
            if length > LONGEST_NAME {
                return Err(Malformed);
            }
        }
    }

    /// How long a name is as text.
    pub fn name_length(&mut self) -> Result<usize, Malformed> {
        let mut length = 0;
        self.labels(|label| length += label.len() + 1)?;
        Ok(usize::saturating_sub(length, 1))
    }

    /// Writes a name as text to `out`, which has room for it.
    pub fn copy_name(&mut self, out: &mut [u8]) -> Result<(), Malformed> {
        let mut end = 0;
        self.labels(|label| {
            if end > 0 {
                out[end] = b'.';
                end += 1;
            }
            out[end..end + label.len()].copy_from_slice(label);
            end += label.len();
        })
    }

    /// A name as text.
    pub fn name(&mut self) -> Result<NameText, Malformed> {
        let mut text = NameText::EMPTY;
        self.labels(|label| text.push(label))?;
        Ok(text)
    }

    /// Whether the name here is `expected`, a name in wire form without pointers.
    pub fn name_is(&mut self, expected: &[u8], ignoring_case: bool) -> Result<bool, Malformed> {
        // Nearly always it is, to the letter.
        let (start, end) = (self.position, self.position + expected.len());
        if self.message.get(start..end) == Some(expected) {
            self.position = end;
            self.read = start;
            return Ok(true);
        }
        let alike = self.name_is_alike(expected, ignoring_case);
        if alike.is_ok() {
            self.read = start;
        }
        alike
    }

    /// Skips a name, which is only checked.
    fn skip_name(&mut self) -> Result<(), Malformed> {
        let rest = self.message.get(self.position..).unwrap_or_default();
        match rest.first_chunk() {
            Some(&[first, second]) if pointer(first, second) == Some(self.read) => {
                self.position += 2;
                Ok(())
            }
            _ => self.labels(|_| {}),
        }
    }

    fn name_is_alike(&mut self, expected: &[u8], ignoring_case: bool) -> Result<bool, Malformed> {
        let mut rest = expected;
        let mut same = true;
        self.labels(|label| {
            let Some((&length, after)) = rest.split_first() else {
                same = false;
                return;
            };
            let wanted = after.get(..usize::from(length)).unwrap_or_default();
            same &= if ignoring_case {
                label.eq_ignore_ascii_case(wanted)
            } else {
                label == wanted
            };
            rest = after.get(wanted.len()..).unwrap_or_default();
        })?;
        Ok(same && rest == [0])
    }

    /// The type and class after a question's name.
    pub fn type_and_class(&mut self) -> Result<(u16, u16), Malformed> {
        let &[a, b, c, d] = self.array()?;
        Ok((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
    }

    /// A record; its owner is only checked.
    pub fn record(&mut self) -> Result<Record<'a>, Malformed> {
        self.skip_name()?;
        let bytes = self.array::<10>()?;
        let word = |place: usize| u16::from_be_bytes([bytes[place], bytes[place + 1]]);
        let start = self.position;
        Ok(Record {
            kind: word(0),
            class: word(2),
            ttl: u32::from(word(4)) << 16 | u32::from(word(6)),
            data: self.take(usize::from(word(8)))?,
            start,
        })
    }

    /// The TTL that an SOA record gives to the absence of records: the last field of its data.
    pub fn negative_ttl(mut self) -> Result<u32, Malformed> {
        self.labels(|_| {})?;
        self.labels(|_| {})?;
        self.take(16)?;
        Ok(u32::from_be_bytes(*self.array()?))
    }
}

/// No place in a message.
const NONE: usize = usize::MAX;

/// Where the pointer leads that two bytes are, if they are one.
fn pointer(first: u8, second: u8) -> Option<usize> {
    (first >= 0xc0).then(|| usize::from(first & 0x3f) << 8 | usize::from(second))
}

/// A name with dots between its labels, whatever bytes these have.
#[derive(Clone, Copy)]
pub struct NameText {
    bytes: [u8; LONGEST_NAME + 1],
    length: usize,
}

impl NameText {
    const EMPTY: NameText = NameText {
        bytes: [0; LONGEST_NAME + 1],
        length: 0,
    };

    fn push(&mut self, label: &[u8]) {
        // The names that are read here are shorter than the room.
        let dot = usize::from(self.length > 0);
        let room = &mut self.bytes[self.length..];
        if dot + label.len() < room.len() {
            room[0] = b'.';
            room[dot..dot + label.len()].copy_from_slice(label);
            self.length += dot + label.len();
        }
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Writes the wire form of a name without compression; its length, or nothing when the text is no
/// name or does not fit. One dot at the end does not count.
pub fn write_name(text: &[u8], out: &mut [u8]) -> Option<usize> {
    if text == b"." {
        return None;
    }
    let text = text.strip_suffix(b".").unwrap_or(text);
    if text.is_empty() {
        *out.first_mut()? = 0;
        return Some(1);
    }
    let length = text.len() + 2;
    if length > LONGEST_NAME {
        return None;
    }
    // Each dot, and the place before the first label, becomes the length of the label that follows.
    let out = out.get_mut(..length)?;
    let (first, rest) = out.split_first_mut()?;
    let (end, rest) = rest.split_last_mut()?;
    rest.copy_from_slice(text);
    *end = 0;
    let mut label = 0;
    let dots = rest.iter_mut().rev().filter_map(|byte| {
        label += 1;
        (*byte == b'.').then(|| (byte, std::mem::take(&mut label) - 1))
    });
    let mut sound = true;
    for (dot, length) in dots {
        sound &= (1..=LONGEST_LABEL).contains(&length);
        *dot = length as u8;
    }
    *first = label as u8;
    (sound && (1..=LONGEST_LABEL).contains(&label)).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Option<Vec<u8>> {
        let mut out = [0; 300];
        write_name(text.as_bytes(), &mut out).map(|length| out[..length].to_vec())
    }

    fn read(message: &[u8], position: usize) -> Result<Vec<u8>, Malformed> {
        let mut reader = Reader::at(message, position);
        reader.name().map(|name| name.as_bytes().to_vec())
    }

    #[test]
    fn names_survive_their_wire_form() {
        for text in ["", "a", "example.com", "a b.\u{e4}"] {
            let wire = written(text).unwrap();
            assert_eq!(read(&wire, 0).unwrap(), text.as_bytes());
            assert!(Reader::new(&wire).name_is(&wire, false).unwrap());
        }
        assert_eq!(written("abs.").unwrap(), b"\x03abs\x00");
    }

    #[test]
    fn what_is_no_name_is_not_written() {
        for text in ["a..b", ".a", "a..", ".", &"x".repeat(64)] {
            assert_eq!(written(text), None, "{text}");
        }
        let longest = format!("{}.{}", vec!["x".repeat(63); 3].join("."), "y".repeat(61));
        assert_eq!(written(&longest).unwrap().len(), LONGEST_NAME);
        assert_eq!(written(&format!("{longest}y")), None);
    }

    #[test]
    fn pointers_lead_backwards_only() {
        let message = b"\x01a\x00\x01b\xc0\x00\xc0\x03";
        assert_eq!(read(message, 7).unwrap(), b"b.a");
        for hostile in [
            &b"\xc0\x00"[..],
            b"\xc0\x02\xc0\x00",
            b"\x01a\xc0\x00",
            b"\xc0\x02\x00",
            b"\x40\x00",
            b"\x80\x00",
            b"\x05ab",
            b"\xc0",
            b"\x01a",
            b"",
        ] {
            assert_eq!(read(hostile, 0), Err(Malformed), "{hostile:?}");
        }
        // A chain of names that together are too long.
        let mut message = Vec::new();
        message.extend([0]);
        let mut last = 0u16;
        for _ in 0..10 {
            let here = message.len() as u16;
            message.extend([30]);
            message.extend([b'x'; 30]);
            message.extend((0xc000 | last).to_be_bytes());
            last = here;
        }
        assert_eq!(read(&message, usize::from(last)), Err(Malformed));
        assert!(read(&message, 1 + 33 * 7).is_ok());
    }

    #[test]
    fn comparison_looks_at_whole_names() {
        let name = written("Example.com").unwrap();
        let is = |other: &str, ignoring| {
            let other = written(other).unwrap();
            Reader::new(&other).name_is(&name, ignoring).unwrap()
        };
        assert!(is("eXample.COM", true));
        assert!(!is("eXample.COM", false));
        for other in [
            "example",
            "example.com.x",
            "x.example.com",
            "",
            "example.co",
        ] {
            assert!(!is(other, true), "{other}");
        }
    }

    #[test]
    fn records_end_at_the_end() {
        let record = b"\x00\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x01\x02\x03\x04";
        let read = Reader::new(record).record().unwrap();
        assert_eq!((read.kind, read.class, read.ttl), (1, 1, 5));
        assert_eq!(read.data, [1, 2, 3, 4]);
        for cut in 0..record.len() {
            assert_eq!(Reader::new(&record[..cut]).record(), Err(Malformed));
        }
    }
}
