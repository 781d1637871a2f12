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
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Source {
    bytes: MaybeUninit<[u8; 128]>,
    length: socklen_t,
}

impl Source {
    const EMPTY: Source = Source {
        bytes: MaybeUninit::uninit(),
        length: 0,
    };

    /// The address, once a datagram has come.
    pub(super) fn as_ptr(&self) -> *const sockaddr {
        self.bytes.as_ptr().cast()
    }

    /// The length of the address.
    pub(super) fn length(&self) -> socklen_t {
        self.length
    }
}

/// Where datagrams are put.
pub(super) struct Inbox {
    bytes: [[MaybeUninit<u8>; LONGEST]; MOST],
    lengths: [usize; MOST],
    sources: [Source; MOST],
}

impl Inbox {
    pub(super) fn new() -> Inbox {
        Inbox {
            bytes: [[MaybeUninit::uninit(); LONGEST]; MOST],
            lengths: [0; MOST],
            sources: [Source::EMPTY; MOST],
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
        let source = &mut self.sources[0];
        source.length = size_of::<[u8; 128]>() as socklen_t;
        // SAFETY: both places have the lengths that are given.
        let length = unsafe {
            system::recvfrom(
                fd,
                self.bytes[0].as_mut_ptr().cast(),
                LONGEST,
                libc::MSG_DONTWAIT,
                source.bytes.as_mut_ptr().cast(),
                &mut source.length,
            )
        };
        self.lengths[0] = usize::try_from(length).map_err(|_| errno())?;
        Ok(())
    }

    fn receive_several(&mut self, fd: c_int, most: usize) -> Result<usize, c_int> {
        let mut parts = [iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: LONGEST,
        }; MOST];
        // SAFETY: zero bytes are a valid message.
        let mut messages: [mmsghdr; MOST] = unsafe { std::mem::zeroed() };
        for i in 0..most {
            parts[i].iov_base = self.bytes[i].as_mut_ptr().cast();
            let head: &mut msghdr = &mut messages[i].msg_hdr;
            head.msg_name = self.sources[i].bytes.as_mut_ptr().cast();
            head.msg_namelen = size_of::<[u8; 128]>() as socklen_t;
            head.msg_iov = &raw mut parts[i];
            head.msg_iovlen = 1;
        }
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
            self.lengths[i] = message.msg_len as usize;
            self.sources[i].length = message.msg_hdr.msg_namelen;
        }
        Ok(count)
    }

    /// One of the datagrams that were received last.
    pub(super) fn datagram(&self, index: usize) -> (&[u8], &Source) {
        let length = self.lengths[index].min(LONGEST);
        // SAFETY: the kernel has written so much.
        let bytes =
            unsafe { std::slice::from_raw_parts(self.bytes[index].as_ptr().cast::<u8>(), length) };
        (bytes, &self.sources[index])
    }
}
