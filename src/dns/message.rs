//! Writing messages, with names compressed. Records that do not fit are left out completely.

use super::wire;

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

/// The state that [`Writer::undo`] restores.
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
        // Most records belong to the name that was asked for.
        if let Some(&first) = self.suffixes[..self.suffix_count].first() {
            if self.is_text_at(usize::from(first), text) {
                return self.word(0xc000 | first);
            }
        }
        if self.suffix_count == 0 {
            return self.first_name(text);
        }
        let mut name = [0; wire::LONGEST_NAME];
        let length = wire_form(text, &mut name)?;
        let mut rest = &name[..length];
        while rest[0] != 0 {
            if let Some(place) = self.find_suffix(rest) {
                return self.word(0xc000 | place);
            }
            self.remember_suffix();
            let (label, after) = rest.split_at(1 + usize::from(rest[0]));
            self.bytes(label)?;
            rest = after;
        }
        self.bytes(rest)
    }

    /// Appends a name of which nothing was written before.
    fn first_name(&mut self, text: &[u8]) -> Result<(), NoRoom> {
        let room = &mut self.bytes[self.length..];
        let longest = room.len().min(wire::LONGEST_NAME);
        let end = self.length + wire_form(text, &mut room[..longest])?;
        while self.bytes[self.length] != 0 {
            self.remember_suffix();
            self.length += 1 + usize::from(self.bytes[self.length]);
        }
        self.length = end;
        Ok(())
    }

    /// What is written here is the end of a name.
    fn remember_suffix(&mut self) {
        if let Some(suffix) = self.suffixes.get_mut(self.suffix_count) {
            *suffix = self.length as u16;
            self.suffix_count += 1;
        }
    }

    /// Whether a text is, letter by letter, that of the labels that stand at a place without a
    /// pointer.
    fn is_text_at(&self, place: usize, text: &[u8]) -> bool {
        let mut written = self.as_bytes().get(place..).unwrap_or_default();
        let mut rest = text;
        loop {
            let Some((&length, after)) = written.split_first() else {
                return false;
            };
            let Some((label, after)) = after.split_at_checked(usize::from(length)) else {
                return false;
            };
            match rest.strip_prefix(label) {
                Some([b'.', more @ ..]) if !label.is_empty() && !more.is_empty() => rest = more,
                Some([]) => return after.first() == Some(&0),
                _ => return false,
            }
            written = after;
        }
    }

    /// Where the same name, in wire form, was written before, letter by letter.
    fn find_suffix(&self, name: &[u8]) -> Option<u16> {
        let known = self.suffixes[..self.suffix_count].iter().copied();
        known
            .into_iter()
            .find(|&place| self.is_at(usize::from(place), name))
    }

    /// Whether the name at a place, which was written here, is `name`.
    fn is_at(&self, mut place: usize, name: &[u8]) -> bool {
        let mut rest = name;
        loop {
            let Some(&[first, second]) = self.as_bytes().get(place..).and_then(<[u8]>::first_chunk)
            else {
                // The end of the root's name, at the end of what was written.
                return rest == [0] && self.as_bytes().get(place) == Some(&0);
            };
            if first >= 0xc0 {
                place = usize::from(u16::from_be_bytes([first & 0x3f, second]));
                continue;
            }
            let label = 1 + usize::from(first);
            match self.as_bytes().get(place..place + label) {
                Some(written) if rest.starts_with(written) => rest = &rest[label..],
                _ => return false,
            }
            if rest.is_empty() {
                return true;
            }
            place += label;
        }
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

/// Writes the wire form of a name, or of the root; its length.
fn wire_form(text: &[u8], out: &mut [u8]) -> Result<usize, NoRoom> {
    let text = if text == b"." { b"" } else { text };
    wire::write_name(text, out).ok_or(NoRoom)
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
