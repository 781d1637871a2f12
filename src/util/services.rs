//! Names of services, from the system's table.

use super::ascii;
use crate::system;
use libc::{addrinfo, protoent, servent};
use std::ffi::{CStr, c_char, c_int};
use std::mem::MaybeUninit;
use std::ptr;

/// Room for the strings of one table entry.
const SPACE: usize = 1024;

/// The port that a service's name or number means for a protocol.
pub fn port(service: &CStr, hints: &addrinfo) -> Option<u16> {
    if let Some(port) = ascii::decimal(service.to_bytes(), 65535) {
        return u16::try_from(port).ok();
    }
    if hints.ai_flags & libc::AI_NUMERICSERV != 0 {
        return None;
    }
    if hints.ai_protocol == 0 {
        return port_of_name(service, ptr::null());
    }
    with_protocol_name(hints.ai_protocol, |protocol| {
        port_of_name(service, protocol)
    })
}

fn port_of_name(service: &CStr, protocol: *const c_char) -> Option<u16> {
    let mut entry = MaybeUninit::<servent>::uninit();
    let mut space = [0; SPACE];
    let mut found = ptr::null_mut();
    // SAFETY: the names are terminated (or null, which means any protocol) and the rest is room
    // for the result, which is complete when `found` points to it.
    unsafe {
        let name = service.as_ptr();
        system::getservbyname_r(
            name,
            protocol,
            entry.as_mut_ptr(),
            space.as_mut_ptr(),
            SPACE,
            &mut found,
        );
        (!found.is_null()).then(|| u16::from_be((*found).s_port as u16))
    }
}

/// Calls `then` with the protocol's name; null, any protocol, when it has none.
fn with_protocol_name<R>(number: c_int, then: impl FnOnce(*const c_char) -> R) -> R {
    let mut entry = MaybeUninit::<protoent>::uninit();
    let mut space = [0; SPACE];
    let mut found = ptr::null_mut();
    // SAFETY: everything but the number is room for the result, which is complete when `found`
    // points to it and stays so during the call.
    unsafe {
        system::getprotobynumber_r(
            number,
            entry.as_mut_ptr(),
            space.as_mut_ptr(),
            SPACE,
            &mut found,
        );
        then(found.as_ref().map_or(ptr::null(), |entry| entry.p_name))
    }
}
