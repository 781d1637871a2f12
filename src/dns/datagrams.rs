//! Receiving datagrams, several with one system call.

use crate::system::{self, errno};
use libc::{iovec, mmsghdr, msghdr, sockaddr, socklen_t};
use std::ffi::c_int;
use std::mem::{MaybeUninit, size_of};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Most datagrams at a time.
pub(super) const MOST: usize = 16;
/// Longer datagrams are cut.
const LONGEST: usize = 1500;

/// Set once a sandbox has refused the call for several datagrams.
static ONE_AT_A_TIME: AtomicBool = AtomicBool::new(false);

/// Room for an address of any family that datagrams come from.
#[repr(C, align(8))]
pub(super) struct Source {
    bytes: MaybeUninit<[u8; 128]>,
    length: socklen_t,
}

impl Source {
    /// The address, once a datagram was received.
    pub(super) fn as_ptr(&self) -> *const sockaddr {
        self.bytes.as_ptr().cast()
    }

    /// The length of the address.
    pub(super) fn length(&self) -> socklen_t {
        self.length
    }
}

/// Where datagrams are put.
struct Room {
    bytes: [[u8; LONGEST]; MOST],
    lengths: [usize; MOST],
    sources: [Source; MOST],
}

/// The datagrams that were received last. The room is large, so nothing of it is written before.
pub(super) struct Inbox {
    room: MaybeUninit<Room>,
    /// For this many, length, source and that many bytes are valid.
    count: usize,
}

impl Inbox {
    /// An empty one at a place. The compiler would fill a value of its own making with zeros.
    pub(super) fn begin(place: &mut MaybeUninit<Inbox>) -> &mut Inbox {
        // SAFETY: the count is written, and the room needs no value.
        unsafe {
            (&raw mut (*place.as_mut_ptr()).count).write(0);
            place.assume_init_mut()
        }
    }

    /// Receives up to `most` datagrams without waiting: how many, or an errno.
    pub(super) fn receive(&mut self, fd: c_int, most: usize) -> Result<usize, c_int> {
        let most = most.clamp(1, MOST);
        let several = most > 1 && !ONE_AT_A_TIME.load(Relaxed);
        match several.then(|| self.receive_several(fd, most)) {
            None => self.receive_one(fd).map(|()| 1),
            Some(Err(libc::ENOSYS | libc::EPERM)) => {
                self.receive_one(fd)?;
                ONE_AT_A_TIME.store(true, Relaxed);
                Ok(1)
            }
            Some(result) => result,
        }
    }

    fn receive_one(&mut self, fd: c_int) -> Result<(), c_int> {
        self.count = 0;
        let room = self.room.as_mut_ptr();
        // SAFETY: both places have the lengths that are given.
        unsafe {
            let source = &raw mut (*room).sources[0];
            (*source).length = size_of::<[u8; 128]>() as socklen_t;
            let length = system::recvfrom(
                fd,
                (&raw mut (*room).bytes[0]).cast(),
                LONGEST,
                libc::MSG_DONTWAIT,
                (&raw mut (*source).bytes).cast(),
                &raw mut (*source).length,
            );
            (*room).lengths[0] = usize::try_from(length).map_err(|_| errno())?;
        }
        self.count = 1;
        Ok(())
    }

    fn receive_several(&mut self, fd: c_int, most: usize) -> Result<usize, c_int> {
        self.count = 0;
        let room = self.room.as_mut_ptr();
        let mut parts = [iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: LONGEST,
        }; MOST];
        // SAFETY: zero bytes are a valid message.
        let mut messages: [mmsghdr; MOST] = unsafe { std::mem::zeroed() };
        self.offer_room(&mut messages[..most], &mut parts);
        // SAFETY: every message has room of the lengths that are given.
        let count = unsafe {
            system::recvmmsg(
                fd,
                messages.as_mut_ptr(),
                most as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| errno())?;
        for (i, message) in messages[..count].iter().enumerate() {
            // SAFETY: the room is there, and nobody has a reference to it.
            unsafe {
                (*room).lengths[i] = message.msg_len as usize;
                (*room).sources[i].length = message.msg_hdr.msg_namelen;
            }
        }
        self.count = count;
        Ok(count)
    }

    /// Points messages, and the part of each, at the room that the kernel is to fill.
    #[inline(always)]
    fn offer_room(&mut self, messages: &mut [mmsghdr], parts: &mut [iovec; MOST]) {
        let room = self.room.as_mut_ptr();
        for (i, message) in messages.iter_mut().enumerate() {
            let head: &mut msghdr = &mut message.msg_hdr;
            // SAFETY: only addresses are taken.
            unsafe {
                parts[i].iov_base = (&raw mut (*room).bytes[i]).cast();
                head.msg_name = (&raw mut (*room).sources[i].bytes).cast();
            }
            head.msg_namelen = size_of::<[u8; 128]>() as socklen_t;
            head.msg_iov = &raw mut parts[i];
            head.msg_iovlen = 1;
        }
    }

    /// One of the datagrams that were received last.
    pub(super) fn datagram(&self, index: usize) -> (&[u8], &Source) {
        assert!(index < self.count);
        let room = self.room.as_ptr();
        // SAFETY: the kernel has written the datagram, and its length and source are there.
        unsafe {
            let length = (*room).lengths[index].min(LONGEST);
            let bytes = (&raw const (*room).bytes[index]).cast::<u8>();
            (
                std::slice::from_raw_parts(bytes, length),
                &(*room).sources[index],
            )
        }
    }
}
