//! The program's answer to a question.

use super::message::{NoRoom, Writer};
use super::question::RequestPtr;
use super::wire::{flag, record};
use crate::hooks::memory::{Array, OutOfMemory};
use std::ffi::c_int;

/// The parts of an answer that hold records.
pub const SECTIONS: usize = 3;

/// The program asked for something that does not exist, or there is no memory.
#[derive(Debug)]
pub struct NotAdded;

impl From<OutOfMemory> for NotAdded {
    fn from(_: OutOfMemory) -> NotAdded {
        NotAdded
    }
}

/// A record that the program adds.
pub struct Added<'a> {
    /// Answer, authority or additional.
    pub section: c_int,
    /// The owner as text.
    pub name: &'a [u8],
    /// Its type.
    pub kind: u16,
    /// Its class.
    pub class: u16,
    /// Seconds.
    pub ttl: u32,
    /// Its data: the bytes, or a name as text.
    pub data: Data<'a>,
}

/// The data of a record.
#[derive(Clone, Copy)]
pub enum Data<'a> {
    /// As they are.
    Bytes(&'a [u8]),
    /// To be written as a name.
    Name(&'a [u8]),
}

/// Bytes in front of a kept record: its section, whether the data are a name, type, class, TTL, and
/// the lengths of owner and data.
const HEAD: usize = 1 + 1 + 2 + 2 + 4 + 4 + 4;

impl RequestPtr {
    /// Adds a record. The lock of the port is held.
    pub fn add_record(self, added: &Added<'_>) -> Result<(), NotAdded> {
        let section = u8::try_from(added.section).map_err(|_| NotAdded)?;
        if usize::from(section) >= SECTIONS {
            return Err(NotAdded);
        }
        let (is_name, data) = match added.data {
            Data::Bytes(data) => (0, data),
            Data::Name(data) => (1, data),
        };
        let length = |text: &[u8]| u32::try_from(text.len()).map_err(|_| NotAdded);
        let lengths = [length(added.name)?, length(data)?];
        // SAFETY: the port's lock is held, and nothing here calls the program.
        let records = unsafe { &mut *self.records.get() };
        records.try_reserve(HEAD + added.name.len() + data.len())?;
        let mut head = [0; HEAD];
        head[..2].copy_from_slice(&[section, is_name]);
        head[2..4].copy_from_slice(&added.kind.to_ne_bytes());
        head[4..6].copy_from_slice(&added.class.to_ne_bytes());
        head[6..10].copy_from_slice(&added.ttl.to_ne_bytes());
        head[10..14].copy_from_slice(&lengths[0].to_ne_bytes());
        head[14..].copy_from_slice(&lengths[1].to_ne_bytes());
        for bytes in [&head, added.name, data] {
            records.extend_reserved(bytes);
        }
        Ok(())
    }

    /// Adds one record for each address of an array.
    pub fn add_addresses(
        self,
        name: &[u8],
        kind: u16,
        addresses: &[u8],
        width: usize,
        ttl: u32,
    ) -> Result<(), NotAdded> {
        // All or none.
        // SAFETY: as in `add`.
        let before = unsafe { &*self.records.get() }.len();
        let added = addresses.chunks_exact(width).try_for_each(|address| {
            self.add_record(&Added {
                section: 0,
                name,
                kind,
                class: record::INTERNET,
                ttl,
                data: Data::Bytes(address),
            })
        });
        added.inspect_err(|_| {
            // SAFETY: as in `add`.
            unsafe { &mut *self.records.get() }.truncate(before);
        })
    }

    /// The answer with a result. When not all of it fits, it says so, and what is in it is whole.
    pub(super) fn write(self, result: c_int) -> Writer {
        let mut writer = Writer::new();
        let mut flags = self.kept | self.flags.get() | flag::RESPONSE;
        flags |= (result as u16) & flag::RESULT;
        let mut counts = [0u16; 1 + SECTIONS];
        if self.write_parts(&mut writer, &mut counts).is_err() {
            flags |= flag::TRUNCATED;
        }
        writer.set_word(0, self.id);
        writer.set_word(2, flags);
        for (i, count) in counts.into_iter().enumerate() {
            writer.set_word(4 + 2 * i, count);
        }
        writer
    }

    fn write_parts(
        self,
        writer: &mut Writer,
        counts: &mut [u16; 1 + SECTIONS],
    ) -> Result<(), NoRoom> {
        for (name, kind, class) in self.questions() {
            write_whole(writer, |writer| {
                writer.name(name)?;
                writer.word(kind)?;
                writer.word(class)
            })?;
            counts[0] += 1;
        }
        // SAFETY: the port's lock is held, and nothing here calls the program.
        let records: &Array<u8> = unsafe { &*self.records.get() };
        for section in 0..SECTIONS {
            let mut rest: &[u8] = records;
            while let Some((kept, after)) = Kept::read(rest) {
                rest = after;
                if kept.section == section {
                    write_whole(writer, |writer| kept.write(writer))?;
                    counts[1 + section] = counts[1 + section].saturating_add(1);
                }
            }
        }
        Ok(())
    }
}

/// Writes something, or nothing of it.
fn write_whole(
    writer: &mut Writer,
    write: impl FnOnce(&mut Writer) -> Result<(), NoRoom>,
) -> Result<(), NoRoom> {
    let mark = writer.mark();
    write(writer).inspect_err(|_| writer.undo(&mark))
}

/// A record as it was kept.
struct Kept<'a> {
    section: usize,
    is_name: bool,
    kind: u16,
    class: u16,
    ttl: u32,
    name: &'a [u8],
    data: &'a [u8],
}

impl<'a> Kept<'a> {
    fn read(kept: &'a [u8]) -> Option<(Kept<'a>, &'a [u8])> {
        let (head, rest) = kept.split_first_chunk::<HEAD>()?;
        let word = |place: usize| u16::from_ne_bytes([head[place], head[place + 1]]);
        let double = |place: usize| {
            u32::from_ne_bytes([
                head[place],
                head[place + 1],
                head[place + 2],
                head[place + 3],
            ])
        };
        let (name, rest) = rest.split_at_checked(double(10) as usize)?;
        let (data, rest) = rest.split_at_checked(double(14) as usize)?;
        let record = Kept {
            section: usize::from(head[0]),
            is_name: head[1] != 0,
            kind: word(2),
            class: word(4),
            ttl: double(6),
            name,
            data,
        };
        Some((record, rest))
    }

    fn write(&self, writer: &mut Writer) -> Result<(), NoRoom> {
        writer.name(self.name)?;
        writer.word(self.kind)?;
        writer.word(self.class)?;
        writer.bytes(&self.ttl.to_be_bytes())?;
        writer.counted(|writer| {
            if self.is_name {
                writer.name(self.data)
            } else {
                writer.bytes(self.data)
            }
        })
    }
}
