//! Sockets, pipes and their flags.

use super::{SystemError, checked};
use crate::system::{self, errno, set_errno, substitutes, uncancelled};
use crate::warning_with_errno;
use libc::{sockaddr, sockaddr_in, socklen_t};
use std::ffi::{c_int, c_uint, c_void};
use std::mem::{MaybeUninit, size_of};
use std::ptr;

/// How far a connection attempt got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connecting {
    /// It is still under way; the socket becomes writable when it ends.
    InProgress = 0,
    /// Connected.
    Done = 1,
    /// The peer refused.
    Refused = 2,
}

/// A connect that returned this error is still under way.
pub fn connect_goes_on(error: c_int) -> bool {
    error == libc::EINTR || error == libc::EINPROGRESS
}

/// A read or write that ended with this error may be tried again.
pub fn read_write_retriable(error: c_int) -> bool {
    error == libc::EINTR || error == libc::EAGAIN
}

/// An accept that ended with this error may be tried again.
pub fn accept_retriable(error: c_int) -> bool {
    read_write_retriable(error) || error == libc::ECONNABORTED
}

/// Makes operations on a descriptor return at once; its other flags stay.
pub fn make_nonblocking(fd: c_int) -> Result<(), SystemError> {
    // SAFETY: fcntl with these commands takes integers only.
    let flags = unsafe { system::fcntl(fd, libc::F_GETFL) };
    if flags < 0 {
        warning_with_errno!("fcntl({fd}, F_GETFL)");
        return Err(SystemError);
    }
    // SAFETY: as above.
    let set = |flags: c_int| unsafe { system::fcntl(fd, libc::F_SETFL, flags) };
    if flags & libc::O_NONBLOCK == 0 && set(flags | libc::O_NONBLOCK) < 0 {
        warning_with_errno!("fcntl({fd}, F_SETFL)");
        return Err(SystemError);
    }
    Ok(())
}

/// Whether operations on a descriptor return at once.
pub fn is_nonblocking(fd: c_int) -> bool {
    // SAFETY: as in `make_nonblocking`.
    let flags = unsafe { system::fcntl(fd, libc::F_GETFL) };
    flags >= 0 && flags & libc::O_NONBLOCK != 0
}

/// Whether a number is a descriptor's.
pub fn is_open(fd: c_int) -> bool {
    // SAFETY: as in `make_nonblocking`.
    unsafe { system::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// Keeps a descriptor from programs started by exec.
pub fn make_close_on_exec(fd: c_int) -> Result<(), SystemError> {
    // SAFETY: as in `make_nonblocking`.
    let flags = unsafe { system::fcntl(fd, libc::F_GETFD) };
    if flags < 0 {
        warning_with_errno!("fcntl({fd}, F_GETFD)");
        return Err(SystemError);
    }
    // SAFETY: as above.
    let set = |flags: c_int| unsafe { system::fcntl(fd, libc::F_SETFD, flags) };
    if flags & libc::FD_CLOEXEC == 0 && set(flags | libc::FD_CLOEXEC) < 0 {
        warning_with_errno!("fcntl({fd}, F_SETFD)");
        return Err(SystemError);
    }
    Ok(())
}

/// Sets a socket option that is an integer.
pub fn set_option(fd: c_int, level: c_int, option: c_int, value: c_int) -> Result<(), SystemError> {
    let value = ptr::from_ref(&value).cast();
    // SAFETY: the value is an integer that outlives the call.
    checked(unsafe {
        system::setsockopt(fd, level, option, value, size_of::<c_int>() as socklen_t)
    })?;
    Ok(())
}

/// A socket option that is an integer.
pub fn option(fd: c_int, level: c_int, option: c_int) -> Result<c_int, SystemError> {
    let mut value: c_int = 0;
    let mut length = size_of::<c_int>() as socklen_t;
    let place = ptr::from_mut(&mut value).cast::<c_void>();
    // SAFETY: the value has the length that is given.
    checked(unsafe { system::getsockopt(fd, level, option, place, &mut length) })?;
    Ok(value)
}

/// Closes a descriptor.
pub fn close(fd: c_int) -> Result<(), SystemError> {
    // SAFETY: closing a descriptor that is not open is reported, nothing else.
    checked(unsafe { uncancelled::close(fd) })?;
    Ok(())
}

/// Closes a descriptor after a failure whose errno is still to be reported.
fn close_keeping_errno(fd: c_int) {
    let error = errno();
    let _ = close(fd);
    set_errno(error);
}

/// A socket; `kind` may contain `SOCK_NONBLOCK` and `SOCK_CLOEXEC`.
pub fn socket(domain: c_int, kind: c_int, protocol: c_int) -> Result<c_int, SystemError> {
    // SAFETY: socket takes integers only.
    checked(unsafe { system::socket(domain, kind, protocol) })
}

/// Gives a socket its address.
///
/// # Safety
/// `address` points to `length` bytes.
pub unsafe fn bind(
    fd: c_int,
    address: *const sockaddr,
    length: socklen_t,
) -> Result<(), SystemError> {
    // SAFETY: the caller guarantees the address.
    checked(unsafe { system::bind(fd, address, length) })?;
    Ok(())
}

/// Lets a bound socket queue up to `backlog` connections.
pub fn listen(fd: c_int, backlog: c_int) -> Result<(), SystemError> {
    // SAFETY: listen takes integers only.
    checked(unsafe { system::listen(fd, backlog) })?;
    Ok(())
}

/// Accepts a connection with `SOCK_NONBLOCK` and `SOCK_CLOEXEC` as flags.
///
/// # Safety
/// `address` and `length` are null, or `length` says how many bytes `address` has room for.
pub unsafe fn accept(
    fd: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
    flags: c_int,
) -> Result<c_int, SystemError> {
    // SAFETY: the caller guarantees the room.
    checked(unsafe { substitutes::accept4(fd, address, length, flags) })
}

/// Whether something can be read, or accepted, or the kernel does not say.
pub fn may_be_readable(fd: c_int) -> bool {
    let mut wanted = libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one descriptor is given.
    unsafe { system::poll(&mut wanted, 1, 0) != 0 }
}

/// A connected pair of sockets.
pub fn socket_pair(domain: c_int, kind: c_int, protocol: c_int) -> Result<[c_int; 2], SystemError> {
    let mut pair = [-1; 2];
    // SAFETY: the array has the two elements that are written.
    checked(unsafe { system::socketpair(domain, kind, protocol, pair.as_mut_ptr()) })?;
    Ok(pair)
}

/// A pipe, or a pair of sockets where there are none, read end first; both ends are non-blocking
/// and close-on-exec.
pub fn internal_pipe() -> Result<[c_int; 2], SystemError> {
    let mut pipe = [-1; 2];
    checked(substitutes::pipe(&mut pipe))
        .inspect_err(|_| warning_with_errno!("evutil_make_internal_pipe_: pipe"))?;
    Ok(pipe)
}

/// An event descriptor; flags `EFD_CLOEXEC` and `EFD_NONBLOCK`.
pub fn event_descriptor(initial: c_uint, flags: c_int) -> Result<c_int, SystemError> {
    // SAFETY: eventfd takes integers only.
    checked(unsafe { system::eventfd(initial, flags) })
}

/// A non-blocking, close-on-exec stream socket of an address's family.
pub fn stream_socket(family: c_int) -> Result<c_int, SystemError> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    socket(family, libc::SOCK_STREAM | flags, 0)
}

/// Connects an existing socket.
///
/// # Safety
/// `address` points to `length` bytes.
pub unsafe fn connect(
    fd: c_int,
    address: *const sockaddr,
    length: socklen_t,
) -> Result<Connecting, SystemError> {
    // SAFETY: the caller guarantees the address.
    if unsafe { system::connect(fd, address, length) } == 0 {
        return Ok(Connecting::Done);
    }
    match errno() {
        error if connect_goes_on(error) => Ok(Connecting::InProgress),
        libc::ECONNREFUSED => Ok(Connecting::Refused),
        _ => Err(SystemError),
    }
}

/// Makes a stream socket for an address and connects it.
///
/// # Safety
/// `address` points to `length` bytes.
pub unsafe fn connect_new(
    address: *const sockaddr,
    length: socklen_t,
) -> Result<(c_int, Connecting), SystemError> {
    // SAFETY: the caller guarantees the address.
    let fd = stream_socket(c_int::from(unsafe { (*address).sa_family }))?;
    // SAFETY: as above.
    match unsafe { connect(fd, address, length) } {
        Ok(progress) => Ok((fd, progress)),
        Err(error) => {
            close_keeping_errno(fd);
            Err(error)
        }
    }
}

/// What became of a connection attempt, once the socket is writable; sets errno to the error of
/// one that failed. The kernel reports an error once.
pub fn finished_connecting(fd: c_int) -> Result<Connecting, SystemError> {
    match option(fd, libc::SOL_SOCKET, libc::SO_ERROR)? {
        0 => Ok(Connecting::Done),
        error if connect_goes_on(error) => Ok(Connecting::InProgress),
        error => {
            set_errno(error);
            Err(SystemError)
        }
    }
}

/// A connected pair made over TCP on the loopback address: both blocking, inherited by exec.
pub fn loopback_pair(
    family: c_int,
    kind: c_int,
    protocol: c_int,
) -> Result<[c_int; 2], SystemError> {
    if protocol != 0 || (family != libc::AF_INET && family != libc::AF_UNIX) {
        set_errno(libc::EAFNOSUPPORT);
        return Err(SystemError);
    }
    let listener = OwnedSocket(socket(libc::AF_INET, kind, 0)?);
    bind_to_loopback(listener.0)?;
    listen(listener.0, 1)?;
    let target = local_address(listener.0)?;
    let connector = OwnedSocket(socket(libc::AF_INET, kind, 0)?);
    let address = ptr::from_ref(&target).cast();
    // SAFETY: the address is complete.
    checked(unsafe { system::connect(connector.0, address, INET_LENGTH) })?;
    let mut peer = loopback();
    let mut length = INET_LENGTH;
    // SAFETY: the peer's address has the length that is given.
    let acceptor = OwnedSocket(unsafe {
        accept(listener.0, ptr::from_mut(&mut peer).cast(), &mut length, 0)?
    });
    // Anybody on this machine could have connected first.
    let own = local_address(connector.0)?;
    if length != INET_LENGTH || !same_endpoint(&own, &peer) {
        set_errno(libc::ECONNABORTED);
        return Err(SystemError);
    }
    Ok([connector.into_inner(), acceptor.into_inner()])
}

const INET_LENGTH: socklen_t = size_of::<sockaddr_in>() as socklen_t;

/// A descriptor that is closed, with errno kept, unless it is taken out.
pub struct OwnedSocket(pub c_int);

impl OwnedSocket {
    /// The descriptor, which stays open.
    pub fn into_inner(self) -> c_int {
        let fd = self.0;
        std::mem::forget(self);
        fd
    }
}

impl Drop for OwnedSocket {
    fn drop(&mut self) {
        close_keeping_errno(self.0);
    }
}

/// 127.0.0.1, any port.
fn loopback() -> sockaddr_in {
    sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: 0,
        sin_addr: libc::in_addr {
            s_addr: libc::INADDR_LOOPBACK.to_be(),
        },
        sin_zero: [0; 8],
    }
}

fn bind_to_loopback(fd: c_int) -> Result<(), SystemError> {
    let address = loopback();
    // SAFETY: the address is complete.
    unsafe { bind(fd, ptr::from_ref(&address).cast(), INET_LENGTH) }
}

fn local_address(fd: c_int) -> Result<sockaddr_in, SystemError> {
    let mut address = MaybeUninit::new(loopback());
    let mut length = INET_LENGTH;
    // SAFETY: the structure was initialised and is overwritten by one of the same family.
    unsafe {
        checked(system::getsockname(
            fd,
            address.as_mut_ptr().cast(),
            &mut length,
        ))?;
        Ok(address.assume_init())
    }
}

fn same_endpoint(a: &sockaddr_in, b: &sockaddr_in) -> bool {
    a.sin_family == b.sin_family
        && a.sin_port == b.sin_port
        && a.sin_addr.s_addr == b.sin_addr.s_addr
}
