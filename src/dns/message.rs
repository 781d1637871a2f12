//! Writing messages, with names compressed. What has no room is left out whole.

use super::wire::{self, Reader, labels_of};

/// The largest message in a datagram.
pub const LARGEST: usize = 512;
/// So many ends of names are remembered for pointers.
const MOST_SUFFIXES: usize = 128;

/// It does not fit, or cannot be written at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

/// A message that is being written.
pub struct Writer {
    bytes: [u8; LARGEST],
    length: usize,
    /// Where names, and ends of names, begin that were written as labels.
    suffixes: [u16; MOST_SUFFIXES],
    suffix_count: usize,
}

/// What [`Writer::undo`] goes back to.
pub struct Mark {
    length: usize,
    suffix_count: usize,
}

impl Writer {
    /// A message whose head is all zeros.
    pub fn new() -> Writer {
        Writer {
            bytes: [0; LARGEST],
            length: wire::HEADER,
            suffixes: [0; MOST_SUFFIXES],
            suffix_count: 0,
        }
    }

    /// What was written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Stores a word of the head.
    pub fn set_word(&mut self, place: usize, word: u16) {
        self.bytes[place..place + 2].copy_from_slice(&word.to_be_bytes());
    }

    /// Here.
    pub fn mark(&self) -> Mark {
        Mark {
            length: self.length,
            suffix_count: self.suffix_count,
        }
    }

    /// Takes back what was written since.
    pub fn undo(&mut self, mark: &Mark) {
        self.length = mark.length;
        self.suffix_count = mark.suffix_count;
    }

    /// Appends bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), NoRoom> {
        let end = self.length + bytes.len();
        let place = self.bytes.get_mut(self.length..end).ok_or(NoRoom)?;
        place.copy_from_slice(bytes);
        self.length = end;
        Ok(())
    }

    /// Appends a word.
    pub fn word(&mut self, word: u16) -> Result<(), NoRoom> {
        self.bytes(&word.to_be_bytes())
    }

    /// Appends a name; an end of it that was written before becomes a pointer.
    pub fn name(&mut self, text: &[u8]) -> Result<(), NoRoom> {
        let text = text.strip_suffix(b".").unwrap_or(text);
        let mut rest = text;
        for label in labels_of(text) {
            let label = label.ok_or(NoRoom)?;
            if let Some(place) = self.find_suffix(rest) {
                return self.word(0xc000 | place);
            }
            if self.suffix_count < MOST_SUFFIXES {
                self.suffixes[self.suffix_count] = self.length as u16;
                self.suffix_count += 1;
            }
            self.bytes(&[label.len() as u8])?;
            self.bytes(label)?;
            rest = rest.get(label.len() + 1..).unwrap_or_default();
        }
        if text.len() + 2 > wire::LONGEST_NAME {
            return Err(NoRoom);
        }
        self.bytes(&[0])
    }

    /// Where the same name was written before, letter by letter.
    fn find_suffix(&self, text: &[u8]) -> Option<u16> {
        let known = self.suffixes[..self.suffix_count].iter().copied();
        known
            .into_iter()
            .find(|&place| self.is_at(usize::from(place), text))
    }

    fn is_at(&self, place: usize, text: &[u8]) -> bool {
        let mut rest = Some(text);
        let read = Reader::at(self.as_bytes(), place).labels(|label| {
            let after = rest.and_then(|rest| rest.strip_prefix(label));
            rest = after.and_then(|after| match after {
                [] => Some(after),
                [b'.', more @ ..] => Some(more),
                _ => None,
            });
        });
        read.is_ok() && rest == Some(&[])
    }

    /// Appends a length, which `write` fills.
    pub fn counted(
        &mut self,
        write: impl FnOnce(&mut Writer) -> Result<(), NoRoom>,
    ) -> Result<(), NoRoom> {
        let place = self.length;
        self.word(0)?;
        write(self)?;
        let length = self.length - place - 2;
        self.set_word(place, u16::try_from(length).map_err(|_| NoRoom)?);
        Ok(())
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_names_are_shared() {
        let mut writer = Writer::new();
        writer.name(b"a.example.com").unwrap();
        writer.name(b"b.example.com").unwrap();
        writer.name(b"a.example.com").unwrap();
        writer.name(b"EXAMPLE.com").unwrap();
        writer.name(b"").unwrap();
        let written = &writer.as_bytes()[wire::HEADER..];
        assert_eq!(
            written,
            b"\x01a\x07example\x03com\0\x01b\xc0\x0e\xc0\x0c\x07EXAMPLE\xc0\x16\0"
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut writer = Writer::new();
        assert_eq!(writer.name("x".repeat(64).as_bytes()), Err(NoRoom));
        assert_eq!(writer.name(b"a..b"), Err(NoRoom));
        let mut writer = Writer::new();
        writer.bytes(&[0; LARGEST - wire::HEADER - 2]).unwrap();
        let mark = writer.mark();
        assert_eq!(writer.name(b"ab"), Err(NoRoom));
        writer.undo(&mark);
        assert_eq!(writer.as_bytes().len(), LARGEST - 2);
        writer.bytes(&[1, 2]).unwrap();
        assert_eq!(writer.bytes(&[3]), Err(NoRoom));
    }

    #[test]
    fn a_suffix_is_the_whole_rest_of_a_name() {
        let mut writer = Writer::new();
        writer.name(b"ab.c").unwrap();
        writer.name(b"a").unwrap();
        writer.name(b"ab").unwrap();
        writer.name(b"c.ab").unwrap();
        let written = &writer.as_bytes()[wire::HEADER..];
        assert_eq!(written, b"\x02ab\x01c\0\x01a\0\x02ab\0\x01c\xc0\x15");
    }
}
