//! Lists of addresses for the program, and what hosts files say about a name.

use super::resolver::BasePtr;
use crate::util::resolve;
use crate::util::resolve_errors::ADDRESS_FAMILY;
use crate::util::socket_address::SocketAddress;
use libc::addrinfo;
use std::ffi::c_int;
use std::ptr;

/// What can be reported to the program at once.
pub(super) struct Found {
    pub(super) code: c_int,
    pub(super) list: *mut addrinfo,
}

/// A list that grows at its end.
pub(super) struct Addresses {
    pub(super) first: *mut addrinfo,
    last: *mut addrinfo,
}

impl Addresses {
    pub(super) const fn new() -> Addresses {
        Addresses {
            first: ptr::null_mut(),
            last: ptr::null_mut(),
        }
    }

    /// Appends an address; whether there was memory for it.
    pub(super) fn push(&mut self, address: &SocketAddress, hints: &addrinfo) -> bool {
        // SAFETY: the address is complete, and the list was made here.
        unsafe {
            let more = resolve::new_list(address.as_ptr(), address.length(), hints);
            if more.is_null() {
                return false;
            }
            if self.first.is_null() {
                self.first = more;
            } else {
                (*self.last).ai_next = more;
            }
            self.last = more;
            while !(*self.last).ai_next.is_null() {
                self.last = (*self.last).ai_next;
            }
        }
        true
    }

    pub(super) fn free(self) {
        // SAFETY: the list was made here, and nobody else has it.
        unsafe { resolve::free_list(self.first) };
    }
}

/// Sets the port of an address; returns the family of the address.
fn set_port(address: &mut SocketAddress, port: u16) -> c_int {
    match address {
        SocketAddress::V4(v4) => {
            v4.sin_port = port.to_be();
            libc::AF_INET
        }
        SocketAddress::V6(v6) => {
            v6.sin6_port = port.to_be();
            libc::AF_INET6
        }
    }
}

/// The addresses that hosts files give to a name, if they know it.
pub(super) fn find_in_hosts(
    base: BasePtr,
    name: &[u8],
    hints: &addrinfo,
    port: u16,
) -> Option<Found> {
    let mut addresses = Addresses::new();
    let (mut known, mut complete) = (false, true);
    // SAFETY: the lock is held, and nothing here calls the program.
    let hosts = unsafe { &mut *base.hosts.get() }.get()?;
    hosts.find(name, |mut address| {
        known = true;
        let family = set_port(&mut address, port);
        if [libc::AF_UNSPEC, family].contains(&hints.ai_family) {
            complete &= addresses.push(&address, hints);
        }
    });
    if !known {
        return None;
    }
    let code = match (complete, addresses.first.is_null()) {
        (false, _) => libc::EAI_MEMORY,
        (true, true) => ADDRESS_FAMILY,
        (true, false) => 0,
    };
    if code != 0 {
        addresses.free();
        return Some(Found {
            code,
            list: ptr::null_mut(),
        });
    }
    Some(Found {
        code,
        list: addresses.first,
    })
}
