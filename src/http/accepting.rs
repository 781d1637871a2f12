//! Accepting connections for a server, and making their bufferevents.

use super::connection::{ConnectionPtr, LARGE_REPLY};
use super::server::ServerPtr;
use crate::bufferevent::{self, Bufferevent, BuffereventPtr, Direction, Guard};
use crate::listener::{Evconnlistener, Hold};
use crate::util::socket_address::SocketAddress;
use crate::util::text::Text;
use crate::util::{address, sockets};
use crate::warning;
use libc::sockaddr;
use std::ffi::{CStr, c_int, c_void};
use std::ptr::{self, NonNull};

/// Why there is no connection for an accepted descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NotAccepted;

impl ServerPtr {
    /// A bufferevent for an accepted descriptor.
    fn make_bufferevent(
        self,
        descriptor: c_int,
        nonblocking: bool,
    ) -> Option<NonNull<Bufferevent>> {
        let base = self.base.get();
        let made = self.bufferevent_maker.get().and_then(|maker| {
            // SAFETY: the program's function; the caller has a pin.
            NonNull::new(unsafe { maker(base, self.bufferevent_argument.get()) })
        });
        let Some(made) = made else {
            // SAFETY: the base outlives the server. The bufferevent is new.
            return unsafe {
                let made = bufferevent::socket::create(base, descriptor, 0)?;
                let bufferevent = Guard::new(made.as_ptr());
                bufferevent.set_max_single(Direction::Write, LARGE_REPLY);
                if nonblocking {
                    bufferevent.mark_nonblocking();
                    bufferevent.expect_input();
                }
                Some(made)
            };
        };
        // SAFETY: the program handed it over.
        let bufferevent = unsafe { Guard::new(made.as_ptr()) };
        if !base.is_null() && bufferevent.base.get() != base {
            // SAFETY: as above. A kind that stays where it is works there.
            let _ = unsafe { bufferevent.set_base(base) };
        }
        let attached = !self.freed.get() && bufferevent.set_descriptor(descriptor).is_ok();
        drop(bufferevent);
        if !attached {
            let NotAccepted = discarded(made);
            return None;
        }
        Some(made)
    }

    /// Makes a connection of an accepted descriptor, which stays the caller's if that fails.
    ///
    /// # Safety
    /// The address has `length` bytes.
    unsafe fn accept(
        self,
        descriptor: c_int,
        address: *const sockaddr,
        length: usize,
        nonblocking: bool,
    ) -> Result<(), NotAccepted> {
        let made = self.make_bufferevent(descriptor, nonblocking);
        let bufferevent = made.ok_or(NotAccepted)?;
        // SAFETY: the caller guarantees the address.
        let name = unsafe { name_of(address) };
        let Some((host, port)) = name.filter(|_| !self.freed.get()) else {
            return Err(discarded(bufferevent));
        };
        // SAFETY: the caller guarantees the address; the bufferevent is live.
        let made = unsafe {
            let _ = Guard::new(bufferevent.as_ptr()).set_peer_address(address, length);
            ConnectionPtr::create(self.base.get(), bufferevent.as_ptr(), host.as_bytes(), port)
        };
        let Ok(connection) = made else {
            return Err(discarded(bufferevent));
        };
        self.adopt(connection);
        Ok(())
    }
}

/// Gives a bufferevent up whose descriptor stays open.
fn discarded(bufferevent: NonNull<Bufferevent>) -> NotAccepted {
    // SAFETY: it was made for a connection that does not come to be.
    let bufferevent = unsafe { Guard::new(bufferevent.as_ptr()) };
    let _ = bufferevent.set_descriptor(-1);
    BuffereventPtr::free(bufferevent);
    NotAccepted
}

/// The address of a peer as text, and its port. A peer on a Unix socket is called localhost; one of
/// an unknown family has no name, so that it is not mistaken for another.
///
/// # Safety
/// The address is as long as its family says.
unsafe fn name_of(address: *const sockaddr) -> Option<(Text<64>, u16)> {
    // SAFETY: the caller guarantees the address.
    let (known, family) = unsafe { (SocketAddress::read(address), (*address).sa_family) };
    match known {
        Some(SocketAddress::V4(v4)) => {
            let text = address::format_ipv4(v4.sin_addr.s_addr.to_ne_bytes().into());
            Some((Text::copy_of(text.as_bytes()), u16::from_be(v4.sin_port)))
        }
        Some(SocketAddress::V6(v6)) => {
            // SAFETY: as above.
            let scoped = (v6.sin6_scope_id != 0).then(|| unsafe { numeric_name(address) });
            let text = scoped.flatten().unwrap_or_else(|| {
                let text = address::format_ipv6(v6.sin6_addr.s6_addr.into());
                Text::copy_of(text.as_bytes())
            });
            Some((text, u16::from_be(v6.sin6_port)))
        }
        None if c_int::from(family) == libc::AF_UNIX => Some((Text::copy_of(b"localhost"), 0)),
        None => None,
    }
}

/// What the system calls an address: with the name of the interface that it is local to.
///
/// # Safety
/// The address is one of IPv6.
unsafe fn numeric_name(address: *const sockaddr) -> Option<Text<64>> {
    let mut room = [0u8; 64];
    // SAFETY: the caller guarantees the address; the room has the size that is given.
    let result = unsafe {
        libc::getnameinfo(
            address,
            std::mem::size_of::<libc::sockaddr_in6>() as libc::socklen_t,
            room.as_mut_ptr().cast(),
            room.len() as libc::socklen_t,
            ptr::null_mut(),
            0,
            libc::NI_NUMERICHOST,
        )
    };
    let text = CStr::from_bytes_until_nul(&room).ok()?;
    (result == 0).then(|| Text::copy_of(text.to_bytes()))
}

/// A listener of a server has accepted a connection.
pub(super) unsafe extern "C-unwind" fn accepted(
    listener: *mut Evconnlistener,
    descriptor: c_int,
    address: *mut sockaddr,
    length: c_int,
    argument: *mut c_void,
) {
    let socket = sockets::OwnedSocket(descriptor);
    // SAFETY: a server that is freed frees its listeners, which call nobody afterwards; the address
    // is complete.
    unsafe {
        let Some(server) = ServerPtr::new(argument.cast()) else {
            return;
        };
        let _pin = server.pin();
        let nonblocking = Hold::new(listener).makes_nonblocking();
        match server.accept(descriptor, address, length as usize, nonblocking) {
            Ok(()) => {
                socket.into_inner();
            }
            Err(NotAccepted) => warning!("evhttp: a connection could not be set up"),
        }
    }
}
