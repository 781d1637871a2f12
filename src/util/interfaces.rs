//! Which address families can reach other machines from here.

use super::socket_address::{SocketAddress, is_local_v4, is_local_v6};
use super::sockets;
use crate::{system, warning};
use libc::{addrinfo, ifaddrs, sockaddr_in6};
use std::ffi::c_int;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Families for which some interface has an address that is not local.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Families {
    v4: bool,
    v6: bool,
}

const BOTH: Families = Families { v4: true, v6: true };

/// Narrows an unspecified family to the only one that this machine has addresses of, where the
/// hints ask for that.
pub fn adjust_hints(hints: &mut addrinfo) {
    if hints.ai_flags & libc::AI_ADDRCONFIG == 0 || hints.ai_family != libc::AF_UNSPEC {
        return;
    }
    match families() {
        Families {
            v4: true,
            v6: false,
        } => hints.ai_family = libc::AF_INET,
        Families {
            v4: false,
            v6: true,
        } => hints.ai_family = libc::AF_INET6,
        _ => {}
    }
}

/// What the interfaces had when this was first asked. Two threads that ask first at the same time
/// find the same.
fn families() -> Families {
    const KNOWN: u8 = 4;
    static FOUND: AtomicU8 = AtomicU8::new(0);
    let found = FOUND.load(Relaxed);
    if found & KNOWN != 0 {
        return Families {
            v4: found & 1 != 0,
            v6: found & 2 != 0,
        };
    }
    let families = families_of_interfaces().unwrap_or_else(|| {
        warning!("Unable to call getifaddrs()");
        families_of_routes()
    });
    FOUND.store(
        KNOWN | u8::from(families.v4) | u8::from(families.v6) << 1,
        Relaxed,
    );
    families
}

fn families_of_interfaces() -> Option<Families> {
    let mut list: *mut ifaddrs = ptr::null_mut();
    // SAFETY: the list is written when the call reports success.
    if unsafe { system::getifaddrs(&mut list) } != 0 {
        return None;
    }
    let mut families = Families::default();
    let mut interface = list;
    while !interface.is_null() && families != BOTH {
        // SAFETY: elements of the list stay valid until it is freed; their addresses are null or
        // complete.
        unsafe {
            if !(*interface).ifa_addr.is_null() {
                families.note(SocketAddress::read((*interface).ifa_addr));
            }
            interface = (*interface).ifa_next;
        }
    }
    // SAFETY: the list came from getifaddrs.
    unsafe { libc::freeifaddrs(list) };
    Some(families)
}

impl Families {
    fn note(&mut self, address: Option<SocketAddress>) {
        match address {
            Some(SocketAddress::V4(v4)) => {
                self.v4 |= !is_local_v4(v4.sin_addr.s_addr.to_ne_bytes().into());
            }
            Some(SocketAddress::V6(v6)) => self.v6 |= !is_local_v6(v6.sin6_addr.s6_addr.into()),
            None => {}
        }
    }
}

/// The addresses from which datagrams to public addresses would be sent. None is sent.
fn families_of_routes() -> Families {
    let targets = [
        SocketAddress::v4(Ipv4Addr::new(8, 8, 8, 8), 53),
        SocketAddress::v6(
            Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888),
            53,
            0,
        ),
    ];
    let mut families = Families::default();
    for target in targets {
        families.note(source_address_for(&target));
    }
    families
}

fn source_address_for(target: &SocketAddress) -> Option<SocketAddress> {
    let family = match target {
        SocketAddress::V4(_) => libc::AF_INET,
        SocketAddress::V6(_) => libc::AF_INET6,
    };
    let fd = sockets::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0).ok()?;
    let source = source_address_of(fd, target);
    let _ = sockets::close(fd);
    source
}

fn source_address_of(fd: c_int, target: &SocketAddress) -> Option<SocketAddress> {
    // SAFETY: the target is complete; the longer of the two structures has room for either.
    unsafe {
        sockets::connect(fd, target.as_ptr(), target.length()).ok()?;
        let mut source: sockaddr_in6 = zeroed();
        let mut length = size_of::<sockaddr_in6>() as libc::socklen_t;
        let address = ptr::from_mut(&mut source).cast();
        if system::getsockname(fd, address, &mut length) != 0 {
            return None;
        }
        SocketAddress::read(address)
    }
}
