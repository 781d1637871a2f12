//! Address lists: the part of name resolution that needs no name server.

use super::address::{parse_ipv4, parse_scoped_ipv6};
use super::resolve_errors::NEEDS_LOOKUP;
use super::services;
use super::socket_address::SocketAddress;
use crate::hooks::memory;
use crate::system;
use libc::{addrinfo, sockaddr, socklen_t};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ptr;

/// Flag of an element that came from the memory hooks and not from the system's resolver.
pub const OURS: c_int = 0x8000_0000_u32 as c_int;

/// The blocking resolver of the system.
///
/// # Safety
/// The strings are null or terminated, `hints` is null or readable, `result` is writable.
pub unsafe fn resolve(
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    result: *mut *mut addrinfo,
) -> c_int {
    // SAFETY: the caller guarantees the pointers; hints of zeros mean that nothing is wanted.
    unsafe {
        let mut wanted: addrinfo = zeroed();
        if let Some(hints) = hints.as_ref() {
            wanted = *hints;
            wanted.ai_flags &= !OURS;
        }
        system::getaddrinfo(node, service, &wanted, result)
    }
}

/// Frees a list whose elements may come from the memory hooks or the system, in any mixture.
///
/// # Safety
/// Every element is from [`new_list`] (or made like it) or from [`resolve`], and is given up.
pub unsafe fn free_list(mut list: *mut addrinfo) {
    while !list.is_null() {
        // SAFETY: the caller guarantees the element, which is unlinked before it is freed.
        unsafe {
            let next = (*list).ai_next;
            if (*list).ai_flags & OURS == 0 {
                (*list).ai_next = ptr::null_mut();
                libc::freeaddrinfo(list);
            } else {
                if !(*list).ai_canonname.is_null() {
                    memory::free((*list).ai_canonname.cast());
                }
                memory::free(list.cast());
            }
            list = next;
        }
    }
}

/// A list with one address: an element as the hints say, or one for TCP and one for UDP when they
/// name neither socket type nor protocol. Null when memory is short.
///
/// # Safety
/// `address` points to `length` bytes.
pub unsafe fn new_list(
    address: *const sockaddr,
    length: socklen_t,
    hints: &addrinfo,
) -> *mut addrinfo {
    // SAFETY: the caller guarantees the address.
    let element = |kind, protocol| unsafe { new_element(address, length, kind, protocol) };
    if hints.ai_socktype != 0 || hints.ai_protocol != 0 {
        return element(hints.ai_socktype, hints.ai_protocol);
    }
    let stream = element(libc::SOCK_STREAM, libc::IPPROTO_TCP);
    if stream.is_null() {
        return stream;
    }
    let datagram = element(libc::SOCK_DGRAM, libc::IPPROTO_UDP);
    // SAFETY: the first element was just made.
    unsafe {
        if datagram.is_null() {
            free_list(stream);
            return datagram;
        }
        (*stream).ai_next = datagram;
    }
    stream
}

/// The element, followed in the same block by the address.
///
/// # Safety
/// As for [`new_list`].
unsafe fn new_element(
    address: *const sockaddr,
    length: socklen_t,
    kind: c_int,
    protocol: c_int,
) -> *mut addrinfo {
    let element: *mut addrinfo = memory::calloc(1, size_of::<addrinfo>() + length as usize).cast();
    if element.is_null() {
        return element;
    }
    // SAFETY: the block has room for the element and the address, which the caller guarantees.
    unsafe {
        let copy = element.add(1).cast::<c_void>();
        ptr::copy_nonoverlapping(address.cast::<c_void>(), copy, length as usize);
        (*element).ai_flags = OURS;
        (*element).ai_family = c_int::from((*address).sa_family);
        (*element).ai_socktype = kind;
        (*element).ai_protocol = protocol;
        (*element).ai_addrlen = length;
        (*element).ai_addr = copy.cast();
    }
    element
}

/// Appends one list to another; either may be null.
///
/// # Safety
/// Both are null or lists, which become one.
pub unsafe fn append(first: *mut addrinfo, second: *mut addrinfo) -> *mut addrinfo {
    if first.is_null() {
        return second;
    }
    let mut last = first;
    // SAFETY: the caller guarantees the list.
    unsafe {
        while !(*last).ai_next.is_null() {
            last = (*last).ai_next;
        }
        (*last).ai_next = second;
    }
    first
}

/// What can be said without a name server.
pub enum Immediate {
    /// The answer; the list belongs to the caller.
    Addresses(*mut addrinfo),
    /// The node is a name, to be looked up for this port.
    NeedsLookup(u16),
}

/// Answers what needs no name server, and completes the hints. Fails with a resolver's error code.
pub fn resolve_immediately(
    node: Option<&CStr>,
    service: Option<&CStr>,
    hints: &mut addrinfo,
) -> Result<Immediate, c_int> {
    if node.is_none() && service.is_none() {
        return Err(libc::EAI_NONAME);
    }
    if ![libc::AF_UNSPEC, libc::AF_INET, libc::AF_INET6].contains(&hints.ai_family) {
        return Err(libc::EAI_FAMILY);
    }
    infer_type_and_protocol(hints);
    let port = match service {
        None => 0,
        Some(service) => services::port(service, hints).ok_or(libc::EAI_NONAME)?,
    };
    let Some(node) = node else {
        return own_addresses(hints, port).map(Immediate::Addresses);
    };
    if let Some(address) = parse_node(node.to_bytes(), hints.ai_family, port) {
        return list_of(&[address], hints).map(Immediate::Addresses);
    }
    if hints.ai_flags & libc::AI_NUMERICHOST != 0 {
        return Err(libc::EAI_NONAME);
    }
    Ok(Immediate::NeedsLookup(port))
}

impl Immediate {
    /// The C form of a result: a code, and the output that belongs to it.
    ///
    /// # Safety
    /// Both outputs are writable.
    pub unsafe fn write(
        result: Result<Immediate, c_int>,
        addresses: *mut *mut addrinfo,
        port: *mut c_int,
    ) -> c_int {
        // SAFETY: the caller guarantees the outputs.
        unsafe {
            match result {
                Ok(Immediate::Addresses(list)) => {
                    *addresses = list;
                    0
                }
                Ok(Immediate::NeedsLookup(number)) => {
                    *port = c_int::from(number);
                    NEEDS_LOOKUP
                }
                Err(code) => code,
            }
        }
    }
}

/// A socket type names its usual protocol, and a protocol its socket type.
fn infer_type_and_protocol(hints: &mut addrinfo) {
    if hints.ai_protocol == 0 {
        hints.ai_protocol = match hints.ai_socktype {
            libc::SOCK_STREAM => libc::IPPROTO_TCP,
            libc::SOCK_DGRAM => libc::IPPROTO_UDP,
            _ => 0,
        };
    }
    if hints.ai_socktype == 0 {
        hints.ai_socktype = match hints.ai_protocol {
            libc::IPPROTO_TCP | libc::IPPROTO_SCTP => libc::SOCK_STREAM,
            libc::IPPROTO_UDP => libc::SOCK_DGRAM,
            _ => 0,
        };
    }
}

/// The addresses to listen on or, without AI_PASSIVE, to reach this machine at.
fn own_addresses(hints: &addrinfo, port: u16) -> Result<*mut addrinfo, c_int> {
    let (v4, v6) = if hints.ai_flags & libc::AI_PASSIVE != 0 {
        (Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED)
    } else {
        (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST)
    };
    let both = [SocketAddress::v4(v4, port), SocketAddress::v6(v6, port, 0)];
    match hints.ai_family {
        libc::AF_INET => list_of(&both[..1], hints),
        libc::AF_INET6 => list_of(&both[1..], hints),
        _ => list_of(&both, hints),
    }
}

fn parse_node(text: &[u8], family: c_int, port: u16) -> Option<SocketAddress> {
    if family != libc::AF_INET {
        let parsed = parse_scoped_ipv6(text);
        if let (Some(address), Some(zone)) = (parsed.address, parsed.zone) {
            return Some(SocketAddress::v6(address, port, zone));
        }
    }
    if family != libc::AF_INET6 {
        return Some(SocketAddress::v4(parse_ipv4(text)?, port));
    }
    None
}

fn list_of(addresses: &[SocketAddress], hints: &addrinfo) -> Result<*mut addrinfo, c_int> {
    let mut list = ptr::null_mut();
    for address in addresses {
        // SAFETY: the address is complete; both lists were made here.
        unsafe {
            let more = new_list(address.as_ptr(), address.length(), hints);
            if more.is_null() {
                free_list(list);
                return Err(libc::EAI_MEMORY);
            }
            list = append(list, more);
        }
    }
    Ok(list)
}
