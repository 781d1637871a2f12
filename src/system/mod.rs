//! The system calls of the whole crate, and errno.
//!
//! A thread may be cancelled (`pthread_cancel`) in most of them, so that they unwind: all are
//! declared "C-unwind" here, while the `libc` crate says "C", through which unwinding ends the
//! process. clippy.toml refuses the functions of that crate that are declared here.

pub mod substitutes;

use std::ffi::{c_char, c_int, c_long, c_uint, c_void};

use libc::{
    FILE, addrinfo, clockid_t, epoll_event, fd_set, ifaddrs, iovec, itimerspec, mmsghdr, msghdr,
    nfds_t, off_t, pollfd, protoent, servent, size_t, sockaddr, socklen_t, ssize_t, stat, timespec,
    timeval,
};
use std::sync::atomic::AtomicU8;

// The declarations are those of the C library's headers.
#[allow(missing_docs)]
unsafe extern "C-unwind" {
    /// Not 0 as long as the process has one thread.
    pub static __libc_single_threaded: AtomicU8;
    pub fn accept(fd: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int;
    pub fn accept4(
        fd: c_int,
        address: *mut sockaddr,
        length: *mut socklen_t,
        flags: c_int,
    ) -> c_int;
    pub fn bind(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int;
    pub fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int;
    pub fn connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int;
    pub fn epoll_create(size: c_int) -> c_int;
    pub fn epoll_create1(flags: c_int) -> c_int;
    pub fn epoll_ctl(epoll: c_int, operation: c_int, fd: c_int, event: *mut epoll_event) -> c_int;
    pub fn epoll_wait(
        epoll: c_int,
        events: *mut epoll_event,
        count: c_int,
        milliseconds: c_int,
    ) -> c_int;
    pub fn eventfd(initial: c_uint, flags: c_int) -> c_int;
    pub fn exit(status: c_int) -> !;
    pub fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    pub fn fstat(fd: c_int, status: *mut stat) -> c_int;
    pub fn fwrite(data: *const c_void, size: size_t, count: size_t, file: *mut FILE) -> size_t;
    pub fn getaddrinfo(
        node: *const c_char,
        service: *const c_char,
        hints: *const addrinfo,
        result: *mut *mut addrinfo,
    ) -> c_int;
    pub fn getifaddrs(result: *mut *mut ifaddrs) -> c_int;
    pub fn getpeername(fd: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int;
    pub fn getprotobynumber_r(
        number: c_int,
        entry: *mut protoent,
        space: *mut c_char,
        size: size_t,
        result: *mut *mut protoent,
    ) -> c_int;
    pub fn getrandom(block: *mut c_void, length: size_t, flags: c_uint) -> ssize_t;
    pub fn getservbyname_r(
        name: *const c_char,
        protocol: *const c_char,
        entry: *mut servent,
        space: *mut c_char,
        size: size_t,
        result: *mut *mut servent,
    ) -> c_int;
    pub fn getsockname(fd: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int;
    pub fn getsockopt(
        fd: c_int,
        level: c_int,
        option: c_int,
        value: *mut c_void,
        length: *mut socklen_t,
    ) -> c_int;
    pub fn gettimeofday(time: *mut timeval, zone: *mut c_void) -> c_int;
    pub fn if_nametoindex(name: *const c_char) -> c_uint;
    pub fn listen(fd: c_int, backlog: c_int) -> c_int;
    pub fn madvise(address: *mut c_void, length: size_t, advice: c_int) -> c_int;
    pub fn mmap(
        address: *mut c_void,
        length: size_t,
        protection: c_int,
        flags: c_int,
        fd: c_int,
        offset: off_t,
    ) -> *mut c_void;
    pub fn munmap(address: *mut c_void, length: size_t) -> c_int;
    pub fn nanosleep(time: *const timespec, left: *mut timespec) -> c_int;
    pub fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    pub fn pipe2(pair: *mut c_int, flags: c_int) -> c_int;
    pub fn poll(fds: *mut pollfd, count: nfds_t, milliseconds: c_int) -> c_int;
    pub fn pread(fd: c_int, block: *mut c_void, length: size_t, offset: off_t) -> ssize_t;
    pub fn pthread_setcancelstate(state: c_int, previous: *mut c_int) -> c_int;
    pub fn read(fd: c_int, block: *mut c_void, length: size_t) -> ssize_t;
    pub fn readv(fd: c_int, vectors: *const iovec, count: c_int) -> ssize_t;
    pub fn recv(fd: c_int, block: *mut c_void, length: size_t, flags: c_int) -> ssize_t;
    pub fn recvfrom(
        fd: c_int,
        block: *mut c_void,
        length: size_t,
        flags: c_int,
        address: *mut sockaddr,
        address_length: *mut socklen_t,
    ) -> ssize_t;
    pub fn recvmmsg(
        fd: c_int,
        messages: *mut mmsghdr,
        count: c_uint,
        flags: c_int,
        timeout: *mut timespec,
    ) -> c_int;
    pub fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t;
    pub fn sched_yield() -> c_int;
    pub fn select(
        count: c_int,
        readers: *mut fd_set,
        writers: *mut fd_set,
        exceptions: *mut fd_set,
        timeout: *mut timeval,
    ) -> c_int;
    pub fn send(fd: c_int, data: *const c_void, length: size_t, flags: c_int) -> ssize_t;
    pub fn sendfile(to: c_int, from: c_int, offset: *mut off_t, count: size_t) -> ssize_t;
    pub fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t;
    pub fn sendto(
        fd: c_int,
        data: *const c_void,
        length: size_t,
        flags: c_int,
        address: *const sockaddr,
        address_length: socklen_t,
    ) -> ssize_t;
    pub fn setsockopt(
        fd: c_int,
        level: c_int,
        option: c_int,
        value: *const c_void,
        length: socklen_t,
    ) -> c_int;
    pub fn shutdown(fd: c_int, how: c_int) -> c_int;
    pub fn sigaction(
        number: c_int,
        action: *const libc::sigaction,
        previous: *mut libc::sigaction,
    ) -> c_int;
    pub fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
    pub fn socketpair(domain: c_int, kind: c_int, protocol: c_int, pair: *mut c_int) -> c_int;
    pub fn syscall(number: c_long, ...) -> c_long;
    pub fn timerfd_create(clock: clockid_t, flags: c_int) -> c_int;
    pub fn timerfd_settime(
        timer: c_int,
        flags: c_int,
        new: *const itimerspec,
        old: *mut itimerspec,
    ) -> c_int;
    pub fn unlink(path: *const c_char) -> c_int;
    pub fn write(fd: c_int, data: *const c_void, length: size_t) -> ssize_t;
    pub fn writev(fd: c_int, vectors: *const iovec, count: c_int) -> ssize_t;
}

/// Calls in which no thread is cancelled. With those on descriptors of the library's own, which
/// never block, nothing that they have to tell is lost; and what is taken apart is so entirely.
pub mod uncancelled {
    use super::{pthread_setcancelstate, syscall};
    use std::ffi::{c_int, c_void};

    /// See read(2).
    ///
    /// # Safety
    /// `block` has room for `length` bytes.
    pub unsafe fn read(fd: c_int, block: *mut c_void, length: usize) -> isize {
        // SAFETY: the caller guarantees the block.
        unsafe { syscall(libc::SYS_read, fd, block, length) as isize }
    }

    /// See write(2). May be called by a signal handler.
    ///
    /// # Safety
    /// `data` has `length` bytes.
    pub unsafe fn write(fd: c_int, data: *const c_void, length: usize) -> isize {
        // SAFETY: the caller guarantees the data.
        unsafe { syscall(libc::SYS_write, fd, data, length) as isize }
    }

    /// See close(2). By libc's name, so that programs may put a function of their own there.
    ///
    /// # Safety
    /// Nobody else uses the descriptor.
    #[allow(clippy::disallowed_methods)]
    pub unsafe fn close(fd: c_int) -> c_int {
        let _uncancelled = Uncancelled::new();
        // SAFETY: the caller guarantees the descriptor.
        unsafe { libc::close(fd) }
    }

    /// While there is one, this thread is not cancelled.
    pub struct Uncancelled {
        before: c_int,
    }

    impl Uncancelled {
        /// From now on.
        #[allow(clippy::new_without_default)]
        pub fn new() -> Uncancelled {
            /// `PTHREAD_CANCEL_DISABLE`
            const DISABLE: c_int = 1;
            let mut before = 0;
            // SAFETY: the state is a local variable.
            unsafe { pthread_setcancelstate(DISABLE, &mut before) };
            Uncancelled { before }
        }
    }

    impl Drop for Uncancelled {
        fn drop(&mut self) {
            // SAFETY: the state is the one that this thread had.
            unsafe { pthread_setcancelstate(self.before, std::ptr::null_mut()) };
        }
    }
}

/// This thread's errno.
#[inline]
pub fn errno() -> c_int {
    // SAFETY: the address that libc returns is this thread's errno.
    unsafe { *libc::__errno_location() }
}

/// Sets this thread's errno.
#[inline]
pub fn set_errno(value: c_int) {
    // SAFETY: as in `errno`.
    unsafe { *libc::__errno_location() = value }
}
