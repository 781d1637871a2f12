//! Reading from and writing to descriptors.

use super::chain::{ChainPtr, flag};
use super::chains::{Chains, Slot};
use super::file;
use super::read_room::{Lent, ReadRoom, SHORT_READ};
use super::{End, Evbuffer, Guard, Refused};
use crate::system::{self, errno, set_errno, substitutes};
use crate::util::sockets;
use std::ffi::c_int;
use std::ptr;

/// Most bytes that one `evbuffer_read` takes.
pub const READ_LIMIT: usize = 4096;

/// Most pieces that one write hands to the kernel.
const WRITE_PIECES: usize = 128;
/// A piece of a file that is worth system calls of its own.
const LONG_PIECE: usize = 65536;
/// Most pieces of present free space that one read fills.
const READ_PIECES: usize = 3;

const NO_VECTOR: libc::iovec = libc::iovec {
    iov_base: ptr::null_mut(),
    iov_len: 0,
};

/// The first `length` bytes of a chain's data.
fn data_vector(chain: ChainPtr, length: usize) -> libc::iovec {
    libc::iovec {
        iov_base: chain.start().cast(),
        iov_len: length,
    }
}

fn system_result(count: isize) -> Result<usize, Refused> {
    usize::try_from(count).map_err(|_| Refused::System)
}

/// What is read from or written to.
#[derive(Clone, Copy)]
pub enum Descriptor {
    /// Anything.
    Any(c_int),
    /// A socket, for which the kernel has a shorter way. Anything else is refused with ENOTSOCK.
    Socket(c_int),
}

impl Descriptor {
    fn number(self) -> c_int {
        let (Descriptor::Any(number) | Descriptor::Socket(number)) = self;
        number
    }

    /// Whether a chain that is in memory, of which `limit` bytes are to be written, goes out without
    /// being copied.
    fn is_fed_from_file(self, chain: ChainPtr, limit: usize) -> bool {
        let is_long = chain.length.get().min(limit) >= LONG_PIECE;
        is_long && matches!(self, Descriptor::Socket(_)) && file::place_in_file(chain).is_some()
    }

    fn read(self, vectors: &mut [libc::iovec]) -> Result<usize, Refused> {
        // SAFETY: the vectors describe writable memory of the buffer.
        system_result(unsafe {
            match (self, &*vectors) {
                (Descriptor::Any(fd), [vector]) => {
                    system::read(fd, vector.iov_base, vector.iov_len)
                }
                (Descriptor::Socket(fd), [vector]) => substitutes::recv(fd, vector),
                _ => system::readv(self.number(), vectors.as_ptr(), vectors.len() as c_int),
            }
        })
    }

    fn write(self, vectors: &[libc::iovec]) -> Result<usize, Refused> {
        // SAFETY: the vectors describe data of the buffer.
        system_result(unsafe {
            match (self, vectors) {
                (Descriptor::Any(fd), [vector]) => {
                    system::write(fd, vector.iov_base, vector.iov_len)
                }
                (Descriptor::Socket(fd), [vector]) => substitutes::send(fd, vector, 0),
                _ => system::writev(self.number(), vectors.as_ptr(), vectors.len() as c_int),
            }
        })
    }
}

impl Guard {
    /// Reads up to `limit` bytes behind the data. 0 is the end of the file.
    ///
    /// One system call does it, but for the first of many bytes, which are only expected when the
    /// last read brought many: most reads bring few, for which room is kept.
    pub fn read(
        &self,
        descriptor: Descriptor,
        limit: usize,
        room: ReadRoom,
    ) -> Result<usize, Refused> {
        self.check_frozen(End::Back)?;
        self.check_total(limit)?;
        if limit == 0 {
            return Ok(0);
        }
        let short = limit.min(SHORT_READ);
        if !room.is_kept() || self.expects_much.get() || short == limit {
            let result = self.read_once(descriptor, limit, &room);
            self.end_read(result)
        } else {
            let mut result = self.read_once(descriptor, short, &room);
            if result == Ok(short) {
                // An error, or the end, shows in the next read too.
                let more = self.read_once(descriptor, limit - short, &room);
                result = Ok(short + more.unwrap_or(0));
            }
            self.end_read(result)
        }
    }

    fn end_read(&self, result: Result<usize, Refused>) -> Result<usize, Refused> {
        if let Ok(count) = result {
            self.expects_much.set(count > SHORT_READ);
            self.notify();
        }
        result
    }

    /// One system call. Bytes go into the free space at the end and, beyond that, into a new chain
    /// that is cut to what arrived: no buffer holds memory for the whole limit.
    fn read_once(
        &self,
        descriptor: Descriptor,
        limit: usize,
        room: &ReadRoom,
    ) -> Result<usize, Refused> {
        let mut vectors = [NO_VECTOR; READ_PIECES + 1];
        let mut used = self.free_vectors(limit, &mut vectors[..READ_PIECES], true);
        let present: usize = vectors[..used].iter().map(|vector| vector.iov_len).sum();
        let mut overflow = None;
        if present < limit {
            match room.take(limit - present) {
                Ok(chain) => {
                    vectors[used] = libc::iovec {
                        iov_base: chain.start().cast(),
                        iov_len: limit - present,
                    };
                    used += 1;
                    overflow = Some(Lent { chain, room });
                }
                Err(error) if used == 0 => return Err(error.into()),
                Err(_) => {}
            }
        }
        let result = descriptor.read(&mut vectors[..used]);
        let count = *result.as_ref().unwrap_or(&0);
        let in_place = count.min(present);
        if let Some(slot) = self.first_slot_with_space().filter(|_| in_place > 0) {
            self.commit_count(slot, in_place);
        }
        if let Some(lent) = overflow {
            self.keep_overflow(lent.into_chain(), count - in_place, room);
        }
        result
    }

    /// Takes over the `count` bytes that were read into another chain.
    fn keep_overflow(&self, chain: ChainPtr, count: usize, room: &ReadRoom) {
        if count == 0 {
            // The program's allocator may change it before the caller reports it.
            let error = errno();
            room.give_back(chain);
            set_errno(error);
            return;
        }
        // Alone, a piece is kept in little more than its size: most are taken out before the next
        // one comes. Behind others it brings room for those to come, because a peer that sends byte
        // by byte must not make a chain of each.
        let more = match self.tail() {
            Some(tail) if tail.length.get() > 0 => tail.growth(),
            _ => 0,
        };
        let detached = self.insert_last(room.trim(chain, count, more));
        self.count_added(count);
        detached.release();
    }

    /// Writes up to `limit` bytes (all, for `None`) from the front, and removes what was written.
    ///
    /// One system call does it, except that a long piece of a file takes one of its own.
    pub fn write(&self, descriptor: Descriptor, limit: Option<usize>) -> Result<usize, Refused> {
        self.check_frozen(End::Front)?;
        let limit = limit.unwrap_or(usize::MAX).min(self.length.get());
        if limit == 0 {
            return Err(Refused::Range);
        }
        if let Some(lead) = self.lead_of_file(descriptor, limit) {
            return self.write_lead_and_file(descriptor, limit, lead);
        }
        let in_front = !self.is_fed_from_file(descriptor, limit);
        let written = self.write_front(descriptor, limit)?;
        let rest = limit - written;
        if !in_front || !self.is_fed_from_file(descriptor, rest) {
            return Ok(written);
        }
        // What is wrong, the next write will report too.
        let more = self.write_front(descriptor, rest);
        Ok(written + more.unwrap_or(0))
    }

    /// What is to be sent in front of a long piece of a file, if it lies in one chain.
    fn lead_of_file(&self, descriptor: Descriptor, limit: usize) -> Option<ChainPtr> {
        let lead = self.first_with_data()?;
        let rest = limit.checked_sub(lead.length.get())?;
        if rest < LONG_PIECE || lead.is(flag::FILE_SEGMENT) {
            return None;
        }
        let mut behind = Chains::from(lead.next.get()).filter(|chain| chain.length.get() > 0);
        let piece = behind.next()?;
        descriptor.is_fed_from_file(piece, rest).then_some(lead)
    }

    /// Two system calls: a TCP socket holds the end of the lead back for the first segment of the
    /// piece.
    #[cold]
    fn write_lead_and_file(
        &self,
        descriptor: Descriptor,
        limit: usize,
        lead: ChainPtr,
    ) -> Result<usize, Refused> {
        let length = lead.length.get();
        let vector = data_vector(lead, length);
        // SAFETY: the vector describes data of the buffer.
        let sent = unsafe { substitutes::send(descriptor.number(), &vector, libc::MSG_MORE) };
        let sent = system_result(sent)?;
        if sent > 0 {
            self.drain(sent)?;
        }
        let piece = self.first_with_data().filter(|piece| {
            let rest = limit - sent;
            sent == length && descriptor.is_fed_from_file(*piece, rest)
        });
        let Some(piece) = piece else { return Ok(sent) };
        // Where more follows, the end of the piece would be a segment of its own.
        let is_all = piece.length.get() == self.length.get().min(limit - sent);
        let begun = if is_all { Segment::Begun } else { Segment::New };
        // What is wrong, the next write will report too.
        let more = write_mapped(descriptor, piece, limit - sent, begun).unwrap_or(0);
        if more > 0 {
            self.drain(more)?;
        }
        Ok(sent + more)
    }

    fn first_with_data(&self) -> Option<ChainPtr> {
        self.chains().find(|chain| chain.length.get() > 0)
    }

    /// Whether what comes next goes out without being copied although it is in memory.
    fn is_fed_from_file(&self, descriptor: Descriptor, limit: usize) -> bool {
        self.first_with_data()
            .is_some_and(|chain| descriptor.is_fed_from_file(chain, limit))
    }

    /// One system call of a write.
    fn write_front(&self, descriptor: Descriptor, limit: usize) -> Result<usize, Refused> {
        let written = match self.first_with_data() {
            Some(chain) if chain.is(flag::SENDFILE) => {
                self.write_from_file(descriptor, chain, limit)?
            }
            Some(chain) if descriptor.is_fed_from_file(chain, limit) => {
                write_mapped(descriptor, chain, limit, Segment::New)?
            }
            Some(chain) if chain.length.get() >= limit => {
                descriptor.write(&[data_vector(chain, limit)])?
            }
            _ => self.write_from_memory(descriptor, limit)?,
        };
        if written > 0 {
            self.drain(written)?;
        }
        Ok(written)
    }

    /// By sendfile, or from memory where a sandbox has no sendfile.
    fn write_from_file(
        &self,
        descriptor: Descriptor,
        chain: ChainPtr,
        limit: usize,
    ) -> Result<usize, Refused> {
        let sent = send_file(descriptor.number(), chain, limit, Segment::New);
        if sent.is_err() && matches!(errno(), libc::ENOSYS | libc::EPERM) {
            file::load(chain)?;
            return self.write_from_memory(descriptor, limit);
        }
        sent
    }

    fn write_from_memory(&self, descriptor: Descriptor, limit: usize) -> Result<usize, Refused> {
        let mut vectors = [NO_VECTOR; WRITE_PIECES];
        let mut used = 0;
        let mut left = limit;
        for chain in self.chains() {
            if left == 0 || used == WRITE_PIECES || chain.is(flag::SENDFILE) {
                break;
            }
            if descriptor.is_fed_from_file(chain, left) {
                break;
            }
            let length = chain.length.get().min(left);
            if length == 0 {
                continue;
            }
            vectors[used] = data_vector(chain, length);
            used += 1;
            left -= length;
        }
        descriptor.write(&vectors[..used])
    }
}

impl Evbuffer {
    /// Turns `count` bytes of the free space that begins at `slot` into data and counts them.
    fn commit_count(&self, slot: Slot, count: usize) {
        let mut left = count;
        let spaces = Chains::from(slot.get())
            .map(ChainPtr::space)
            .filter(|&space| space > 0);
        let lengths = spaces.map_while(|space| {
            let part = space.min(left);
            left -= part;
            (part > 0).then_some(part)
        });
        self.commit(slot, lengths);
    }
}

/// Sends bytes that are mapped from their file, from memory where the kernel cannot do otherwise.
fn write_mapped(
    descriptor: Descriptor,
    chain: ChainPtr,
    limit: usize,
    segment: Segment,
) -> Result<usize, Refused> {
    match send_file(descriptor.number(), chain, limit, segment) {
        Err(Refused::System) if sockets::read_write_retriable(errno()) => Err(Refused::System),
        // At the end of a file that was cut, too: then the write fails.
        Ok(0) | Err(_) => descriptor.write(&[data_vector(chain, chain.length.get().min(limit))]),
        sent => sent,
    }
}

/// Where bytes of a file begin as a TCP socket sends them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Segment {
    /// In a segment of their own.
    New,
    /// Behind what was sent before, which waits for them; and nothing follows them for now.
    Begun,
}

/// Sends bytes of a file.
fn send_file(
    descriptor: c_int,
    chain: ChainPtr,
    limit: usize,
    segment: Segment,
) -> Result<usize, Refused> {
    let (file, mut offset) = file::place_in_file(chain).ok_or(Refused::Unsuitable)?;
    let count = chain.length.get().min(limit);
    let is_cut_up = count >= LONG_PIECE && segment == Segment::New;
    let full_segments = is_cut_up.then(|| FullSegments::of(descriptor));
    // SAFETY: the chain keeps its segment, which has the file open; the offset is a local variable.
    let sent = system_result(unsafe { system::sendfile(descriptor, file, &mut offset, count) });
    drop(full_segments);
    sent
}

/// While there is one, a TCP socket sends full segments only, and the rest at its end: else the rest
/// of each piece waits until all before it has arrived, and what comes next is cut up by that. A
/// socket for which the program has asked for the same stays as it is.
struct FullSegments(Option<c_int>);

impl FullSegments {
    fn of(descriptor: c_int) -> FullSegments {
        let present = sockets::option(descriptor, libc::IPPROTO_TCP, libc::TCP_CORK);
        let set = present == Ok(0) && set_full_segments(descriptor, true);
        FullSegments(set.then_some(descriptor))
    }
}

impl Drop for FullSegments {
    fn drop(&mut self) {
        if let Some(descriptor) = self.0 {
            let error = errno();
            set_full_segments(descriptor, false);
            set_errno(error);
        }
    }
}

fn set_full_segments(descriptor: c_int, on: bool) -> bool {
    sockets::set_option(descriptor, libc::IPPROTO_TCP, libc::TCP_CORK, on.into()).is_ok()
}
