//! Socket addresses: text with port, comparison, what is local.

use super::address::{format_ipv4, format_ipv6, parse_ipv4, parse_scoped_ipv6};
use super::ascii;
use super::text::Text;
use libc::{in6_addr, sockaddr, sockaddr_in, sockaddr_in6, socklen_t};
use std::cmp::Ordering;
use std::ffi::{c_int, c_void};
use std::mem::size_of;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ptr;

/// An IPv4 or IPv6 socket address.
#[derive(Clone, Copy)]
pub enum SocketAddress {
    /// `struct sockaddr_in`.
    V4(sockaddr_in),
    /// `struct sockaddr_in6`.
    V6(sockaddr_in6),
}

impl SocketAddress {
    /// An IPv4 address and port.
    pub fn v4(address: Ipv4Addr, port: u16) -> Self {
        SocketAddress::V4(sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: port.to_be(),
            sin_addr: libc::in_addr {
                s_addr: u32::from_ne_bytes(address.octets()),
            },
            sin_zero: [0; 8],
        })
    }

    /// An IPv6 address, port and interface number.
    pub fn v6(address: Ipv6Addr, port: u16, scope: u32) -> Self {
        SocketAddress::V6(sockaddr_in6 {
            sin6_family: libc::AF_INET6 as libc::sa_family_t,
            sin6_port: port.to_be(),
            sin6_flowinfo: 0,
            sin6_addr: in6_addr {
                s6_addr: address.octets(),
            },
            sin6_scope_id: scope,
        })
    }

    /// Reads an address; `None` for any other family.
    ///
    /// # Safety
    /// `address` points to a socket address as long as its family says.
    pub unsafe fn read(address: *const sockaddr) -> Option<Self> {
        // SAFETY: the caller guarantees the family and the length that belongs to it; the memory
        // need not be aligned for the longer structure.
        unsafe {
            match c_int::from((*address).sa_family) {
                libc::AF_INET => Some(SocketAddress::V4(ptr::read_unaligned(address.cast()))),
                libc::AF_INET6 => Some(SocketAddress::V6(ptr::read_unaligned(address.cast()))),
                _ => None,
            }
        }
    }

    /// The C structure.
    pub fn as_ptr(&self) -> *const sockaddr {
        match self {
            SocketAddress::V4(address) => ptr::from_ref(address).cast(),
            SocketAddress::V6(address) => ptr::from_ref(address).cast(),
        }
    }

    /// The length of the C structure.
    pub fn length(&self) -> socklen_t {
        match self {
            SocketAddress::V4(_) => size_of::<sockaddr_in>() as socklen_t,
            SocketAddress::V6(_) => size_of::<sockaddr_in6>() as socklen_t,
        }
    }

    /// Copies the C structure to `out`.
    ///
    /// # Safety
    /// `out` has room for [`SocketAddress::length`] bytes.
    pub unsafe fn write(&self, out: *mut c_void) {
        // SAFETY: the caller guarantees the room.
        unsafe { ptr::copy_nonoverlapping(self.as_ptr().cast(), out, self.length() as usize) };
    }
}

/// Reads `[v6]:port`, `[v6]`, `v6`, `v4:port` or `v4`, all numeric. Without a port it is 0, a port
/// that is given is not.
pub fn parse(text: &[u8]) -> Option<SocketAddress> {
    if let Some(inside) = text.strip_prefix(b"[") {
        let end = inside.iter().position(|&byte| byte == b']')?;
        return parse_v6(
            bounded(&inside[..end])?,
            parse_port_suffix(&inside[end + 1..])?,
        );
    }
    let colon = text
        .iter()
        .position(|&byte| byte == b':')
        .unwrap_or(text.len());
    let (before, suffix) = text.split_at(colon);
    if suffix.iter().filter(|&&byte| byte == b':').count() > 1 {
        return parse_v6(text, 0);
    }
    let port = parse_port_suffix(suffix)?;
    Some(SocketAddress::v4(parse_ipv4(bounded(before)?)?, port))
}

/// The longest text of an address that may come with a port.
fn bounded(text: &[u8]) -> Option<&[u8]> {
    (text.len() <= 127).then_some(text)
}

fn parse_v6(text: &[u8], port: u16) -> Option<SocketAddress> {
    let parsed = parse_scoped_ipv6(text);
    Some(SocketAddress::v6(parsed.address?, port, parsed.zone?))
}

/// Nothing, or a colon and a port.
fn parse_port_suffix(text: &[u8]) -> Option<u16> {
    if text.is_empty() {
        return Some(0);
    }
    let port = ascii::decimal(text.strip_prefix(b":")?, 65535)?;
    u16::try_from(port).ok().filter(|&port| port != 0)
}

/// `1.2.3.4:80` or `[::1]:80`; another family is named by its number.
///
/// # Safety
/// `address` points to a socket address as long as its family says.
pub unsafe fn format(address: *const sockaddr) -> Text<64> {
    // SAFETY: the caller guarantees the address.
    match unsafe { SocketAddress::read(address) } {
        Some(SocketAddress::V4(v4)) => {
            let text = format_ipv4(v4.sin_addr.s_addr.to_ne_bytes().into());
            join(
                format_args!(""),
                text.as_bytes(),
                format_args!(":{}", u16::from_be(v4.sin_port)),
            )
        }
        Some(SocketAddress::V6(v6)) => {
            let text = format_ipv6(v6.sin6_addr.s6_addr.into());
            join(
                format_args!("["),
                text.as_bytes(),
                format_args!("]:{}", u16::from_be(v6.sin6_port)),
            )
        }
        None => {
            // SAFETY: as above.
            let family = unsafe { (*address).sa_family };
            Text::of(format_args!("<addr with socktype {family}>"))
        }
    }
}

fn join(
    before: std::fmt::Arguments<'_>,
    address: &[u8],
    after: std::fmt::Arguments<'_>,
) -> Text<64> {
    let address = std::str::from_utf8(address).unwrap_or_default();
    Text::of(format_args!("{before}{address}{after}"))
}

/// Orders two addresses by family, address and (`with_port`) port; not by scope. An address of a
/// family other than IPv4 and IPv6 equals only itself and is greater than any other.
///
/// # Safety
/// Both point to socket addresses as long as their families say.
pub unsafe fn compare(a: *const sockaddr, b: *const sockaddr, with_port: bool) -> c_int {
    // SAFETY: the caller guarantees both.
    let (families, addresses) = unsafe {
        let families = c_int::from((*a).sa_family) - c_int::from((*b).sa_family);
        (families, (SocketAddress::read(a), SocketAddress::read(b)))
    };
    if families != 0 {
        return families;
    }
    let (address, ports) = match addresses {
        (Some(SocketAddress::V4(a)), Some(SocketAddress::V4(b))) => (
            a.sin_addr.s_addr.cmp(&b.sin_addr.s_addr),
            (a.sin_port, b.sin_port),
        ),
        (Some(SocketAddress::V6(a)), Some(SocketAddress::V6(b))) => (
            a.sin6_addr.s6_addr.cmp(&b.sin6_addr.s6_addr),
            (a.sin6_port, b.sin6_port),
        ),
        _ => return c_int::from(a != b),
    };
    match address {
        Ordering::Less => -1,
        Ordering::Greater => 1,
        Ordering::Equal if with_port => c_int::from(ports.0) - c_int::from(ports.1),
        Ordering::Equal => 0,
    }
}

/// 127.0.0.0/8 and ::1.
///
/// # Safety
/// `address` points to a socket address as long as its family says.
pub unsafe fn is_loopback(address: *const sockaddr) -> bool {
    // SAFETY: the caller guarantees the address.
    match unsafe { SocketAddress::read(address) } {
        Some(SocketAddress::V4(v4)) => {
            Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes()).is_loopback()
        }
        Some(SocketAddress::V6(v6)) => Ipv6Addr::from(v6.sin6_addr.s6_addr).is_loopback(),
        None => false,
    }
}

/// Not to be reached from another network: unspecified, loopback, link-local, multicast. Private
/// ranges are not local in this sense.
pub fn is_local_v4(address: Ipv4Addr) -> bool {
    address.is_unspecified()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
}

/// The same for IPv6; also all of ::/64, unique local and the old site-local addresses.
pub fn is_local_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.octets();
    address.segments()[..4] == [0; 4]
        || a & 0xfe == 0xfc
        || (a == 0xfe && b & 0x80 != 0)
        || a == 0xff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &str) -> Option<String> {
        let address = parse(text.as_bytes())?;
        // SAFETY: a complete address.
        let text = unsafe { format(address.as_ptr()) };
        Some(String::from_utf8(text.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn every_form_is_read() {
        for (text, expected) in [
            ("[::1]:80", "[::1]:80"),
            ("[::1]", "[::1]:0"),
            ("::1", "[::1]:0"),
            ("::1:80", "[::0.1.0.128]:0"),
            ("1.2.3.4:65535", "1.2.3.4:65535"),
            ("1.2.3.4:080", "1.2.3.4:80"),
            ("1.2.3.4", "1.2.3.4:0"),
            ("[fe80::1%3]:9", "[fe80::1]:9"),
        ] {
            assert_eq!(normal(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "[",
            "[]",
            "[]:80",
            "[1.2.3.4]:80",
            "[::1",
            "[::1]x:80",
            "[::1]:",
            "[::1]:0",
            "1.2.3.4:",
            "1.2.3.4:0",
            "1.2.3.4:65536",
            "1.2.3.4: 80",
            "1.2.3.4:+80",
            "1.2.3.4:80x",
            "1.2.3.4:4294967376",
            "localhost:80",
            ":80",
            "[::1%]x",
            "1.2.3.4:-1",
        ] {
            assert_eq!(normal(text), None, "{text}");
        }
        let zeros = format!("{}1.2.3.4:80", "0".repeat(121));
        assert_eq!(normal(&zeros), None);
        assert!(normal(&zeros[1..]).is_some());
    }

    #[test]
    fn local_ranges() {
        for (text, local) in [
            ("0.0.0.0", true),
            ("127.255.0.1", true),
            ("169.254.9.9", true),
            ("224.0.0.1", true),
            ("239.255.255.255", true),
            ("240.0.0.1", false),
            ("10.0.0.1", false),
            ("192.168.1.1", false),
            ("0.0.0.1", false),
            ("8.8.8.8", false),
        ] {
            assert_eq!(
                is_local_v4(parse_ipv4(text.as_bytes()).unwrap()),
                local,
                "{text}"
            );
        }
        for (text, local) in [
            ("::1", true),
            ("::", true),
            ("::ffff:8.8.8.8", true),
            ("fc00::1", true),
            ("fdff::1", true),
            ("fe80::1", true),
            ("febf::1", true),
            ("fec0::1", true),
            ("feff::1", true),
            ("ff02::1", true),
            ("fe00::1", false),
            ("2001:db8::1", false),
            ("0:0:0:1::", false),
        ] {
            let address = super::super::address::parse_ipv6(text.as_bytes()).unwrap();
            assert_eq!(is_local_v6(address), local, "{text}");
        }
    }
}
