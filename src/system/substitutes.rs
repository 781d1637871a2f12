//! System calls that are better than older ones, with the older ones in their place if they are
//! refused: by kernels that lack them, and by sandboxes that were made for programs on other event
//! libraries.
//!
//! An error that means a refusal may also mean something else. A call counts as refused, for the
//! rest of the process, once an older one has done what it could not.

use super::errno;
use libc::{iovec, sockaddr, socklen_t};
use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether a call is refused in this process.
struct Refusals(AtomicBool);

static ACCEPT4: Refusals = Refusals::unknown();
static EPOLL_CREATE1: Refusals = Refusals::unknown();
static PIPE2: Refusals = Refusals::unknown();
static RECV: Refusals = Refusals::unknown();
static SEND: Refusals = Refusals::unknown();

impl Refusals {
    const fn unknown() -> Refusals {
        Refusals(AtomicBool::new(false))
    }

    /// Makes the call, or the older ones where it is refused. A negative result is a failure.
    #[inline]
    fn or_else<R: Copy + Into<i64>>(
        &self,
        call: impl FnOnce() -> R,
        older: impl FnOnce() -> R,
    ) -> R {
        if !self.0.load(Relaxed) {
            let result = call();
            if result.into() >= 0 || !matches!(errno(), libc::EPERM | libc::ENOSYS) {
                return result;
            }
        }
        self.substitute(older)
    }

    #[cold]
    fn substitute<R: Copy + Into<i64>>(&self, older: impl FnOnce() -> R) -> R {
        let result = older();
        if result.into() >= 0 {
            self.0.store(true, Relaxed);
        }
        result
    }
}

/// Sets what `flags` say, `SOCK_NONBLOCK` and `SOCK_CLOEXEC`. It is not refused for a descriptor
/// that is new.
///
/// # Safety
/// The descriptor is the caller's.
unsafe fn set_flags(fd: c_int, flags: c_int) {
    // SAFETY: these commands take integers only.
    unsafe {
        if flags & libc::SOCK_NONBLOCK != 0 {
            super::fcntl(
                fd,
                libc::F_SETFL,
                super::fcntl(fd, libc::F_GETFL) | libc::O_NONBLOCK,
            );
        }
        if flags & libc::SOCK_CLOEXEC != 0 {
            super::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
}

/// See accept4(2).
///
/// # Safety
/// As for accept4.
pub unsafe fn accept4(
    fd: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
    flags: c_int,
) -> c_int {
    // SAFETY: as the caller guarantees; a new descriptor is ours.
    ACCEPT4.or_else(
        || unsafe { super::accept4(fd, address, length, flags) },
        || unsafe {
            let connection = super::accept(fd, address, length);
            if connection >= 0 {
                set_flags(connection, flags);
            }
            connection
        },
    )
}

/// See epoll_create1(2); the descriptor is closed by exec.
pub fn epoll_create() -> c_int {
    // SAFETY: no precondition; a new descriptor is ours.
    EPOLL_CREATE1.or_else(
        || unsafe { super::epoll_create1(libc::EPOLL_CLOEXEC) },
        || unsafe {
            let epoll = super::epoll_create(1);
            if epoll >= 0 {
                set_flags(epoll, libc::SOCK_CLOEXEC);
            }
            epoll
        },
    )
}

/// See pipe2(2), with both flags. In its place stands a pair of sockets: libc's `pipe` makes the
/// same call.
pub fn pipe(ends: &mut [c_int; 2]) -> c_int {
    const FLAGS: c_int = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    const _: () = assert!(FLAGS == libc::O_NONBLOCK | libc::O_CLOEXEC);
    let ends = ends.as_mut_ptr();
    // SAFETY: there is room for both ends; new descriptors are ours.
    PIPE2.or_else(
        || unsafe { super::pipe2(ends, FLAGS) },
        || unsafe { super::socketpair(libc::AF_UNIX, libc::SOCK_STREAM | FLAGS, 0, ends) },
    )
}

/// Receives from a socket into one place. Anything else is refused with ENOTSOCK, or read from.
///
/// # Safety
/// The place is writable.
#[inline]
pub unsafe fn recv(fd: c_int, place: &iovec) -> isize {
    // SAFETY: the caller guarantees that the place is writable for its whole length.
    RECV.or_else(
        || unsafe { super::recv(fd, place.iov_base, place.iov_len, 0) as i64 },
        || unsafe { super::readv(fd, place, 1) as i64 },
    ) as isize
}

/// Sends one piece through a socket. Anything else is refused with ENOTSOCK, or written to.
///
/// # Safety
/// The piece is readable.
#[inline]
pub unsafe fn send(fd: c_int, piece: &iovec, flags: c_int) -> isize {
    // SAFETY: the caller guarantees that the piece is readable for its whole length.
    SEND.or_else(
        || unsafe { super::send(fd, piece.iov_base, piece.iov_len, flags) as i64 },
        || unsafe { super::writev(fd, piece, 1) as i64 },
    ) as isize
}
