//! Reading from and writing to descriptors.

use super::chain::{ChainPtr, flag};
use super::chains::{Chains, Slot};
use super::file::{self, FileSegment};
use super::read_room::{Lent, ReadRoom, SHORT_READ};
use super::{End, Evbuffer, Guard, Refused};
use crate::system::{self, errno, set_errno, substitutes};
use std::ffi::c_int;
use std::ptr::{self, NonNull};

/// Most bytes that one `evbuffer_read` takes.
pub const READ_LIMIT: usize = 4096;

/// Most pieces that one write hands to the kernel.
const WRITE_PIECES: usize = 128;
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
                (Descriptor::Socket(fd), [vector]) => substitutes::send(fd, vector),
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

    /// Writes up to `limit` bytes (all, for `None`) from the front with one system call, and
    /// removes what was written.
    pub fn write(&self, descriptor: Descriptor, limit: Option<usize>) -> Result<usize, Refused> {
        self.check_frozen(End::Front)?;
        let limit = limit.unwrap_or(usize::MAX).min(self.length.get());
        if limit == 0 {
            return Err(Refused::Range);
        }
        let first = self.chains().find(|chain| chain.length.get() > 0);
        let written = match first {
            Some(chain) if chain.is(flag::SENDFILE) => {
                self.write_from_file(descriptor, chain, limit)?
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
        let sent = send_file(descriptor.number(), chain, limit);
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

/// Sends bytes of a file that was never read.
fn send_file(descriptor: c_int, chain: ChainPtr, limit: usize) -> Result<usize, Refused> {
    // SAFETY: the flag says that the record is a segment, on which the chain holds a reference.
    let segment = unsafe { chain.record::<NonNull<FileSegment>>().read() };
    let mut offset = chain.misalign.get() as libc::off_t;
    let count = chain.length.get().min(limit);
    // SAFETY: the segment is live; the offset is a local variable.
    system_result(unsafe {
        system::sendfile(
            descriptor,
            segment.as_ref().descriptor(),
            &mut offset,
            count,
        )
    })
}
