//! IPv4 and IPv6 addresses as text.

use super::ascii;
use super::text::Text;
use crate::system;
use std::fmt::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest text of an IPv6 address with an IPv4 part, and then some.
pub type AddressText = Text<48>;

/// Dotted decimal.
pub fn format_ipv4(address: Ipv4Addr) -> AddressText {
    let mut text = Text::empty();
    for (place, octet) in address.octets().into_iter().enumerate() {
        if place > 0 {
            text.push(b'.');
        }
        if octet >= 100 {
            text.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            text.push(b'0' + octet / 10 % 10);
        }
        text.push(b'0' + octet % 10);
    }
    text
}

/// Lower-case groups; the first of the longest runs of two or more zero groups becomes `::`.
/// The last four bytes are an IPv4 address after `::ffff:`, and after `::` when neither of their
/// groups is zero.
pub fn format_ipv6(address: Ipv6Addr) -> AddressText {
    let groups = address.segments();
    let mut text = Text::of(format_args!(""));
    let _ = match groups {
        [0, 0, 0, 0, 0, 0xffff, _, _] => {
            write!(text, "::ffff:").and_then(|()| write_ipv4_part(&mut text, address))
        }
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 && low != 0 => {
            write!(text, "::").and_then(|()| write_ipv4_part(&mut text, address))
        }
        _ => write_groups(&mut text, &groups),
    };
    text
}

fn write_ipv4_part(text: &mut AddressText, address: Ipv6Addr) -> fmt::Result {
    let [.., a, b, c, d] = address.octets();
    write!(text, "{a}.{b}.{c}.{d}")
}

fn write_groups(text: &mut AddressText, groups: &[u16; 8]) -> fmt::Result {
    let (start, length) = longest_zero_run(groups);
    if length < 2 {
        return write_joined(text, groups);
    }
    write_joined(text, &groups[..start])?;
    write!(text, "::")?;
    write_joined(text, &groups[start + length..])
}

fn write_joined(text: &mut AddressText, groups: &[u16]) -> fmt::Result {
    for (i, group) in groups.iter().enumerate() {
        let separator = if i == 0 { "" } else { ":" };
        write!(text, "{separator}{group:x}")?;
    }
    Ok(())
}

/// Start and length of the first of the longest runs of zero groups.
fn longest_zero_run(groups: &[u16; 8]) -> (usize, usize) {
    let mut longest = (0, 0);
    for start in 0..groups.len() {
        let length = groups[start..]
            .iter()
            .take_while(|group| **group == 0)
            .count();
        if length > longest.1 {
            longest = (start, length);
        }
    }
    longest
}

/// Four decimal numbers up to 255 between dots; leading zeros do not make them octal.
pub fn parse_ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split(|&byte| byte == b'.');
    for octet in &mut octets {
        *octet = u8::try_from(ascii::decimal(parts.next()?, 255)?).ok()?;
    }
    parts.next().is_none().then(|| octets.into())
}

/// Eight groups of up to four hexadecimal digits between colons. The last two may be an IPv4
/// address; `::` stands once for one or more zero groups.
pub fn parse_ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    let mut groups = GroupReader::default();
    let mut rest = text;
    if let Some(after) = rest.strip_prefix(b"::") {
        groups.gap = Some(0);
        rest = after;
    }
    while !rest.is_empty() {
        let end = rest
            .iter()
            .position(|&byte| byte == b':')
            .unwrap_or(rest.len());
        let (group, after) = rest.split_at(end);
        if after.is_empty() {
            groups.push_last(group)?;
            break;
        }
        groups.push(parse_group(group)?)?;
        rest = &after[1..];
        match rest {
            [] => return None,
            [b':', after @ ..] if groups.gap.is_none() => {
                groups.gap = Some(groups.count);
                rest = after;
            }
            _ => {}
        }
    }
    groups.finish()
}

fn parse_group(text: &[u8]) -> Option<u16> {
    if text.is_empty() || text.len() > 4 {
        return None;
    }
    text.iter().try_fold(0, |value, &digit| {
        Some(value << 4 | u16::from(ascii::hex_value(digit)?))
    })
}

/// The groups read so far; `gap` is where `::` stands among them.
#[derive(Default)]
struct GroupReader {
    groups: [u16; 8],
    count: usize,
    gap: Option<usize>,
}

impl GroupReader {
    fn push(&mut self, group: u16) -> Option<()> {
        *self.groups.get_mut(self.count)? = group;
        self.count += 1;
        Some(())
    }

    fn push_last(&mut self, text: &[u8]) -> Option<()> {
        if !text.contains(&b'.') {
            return self.push(parse_group(text)?);
        }
        let [a, b, c, d] = parse_ipv4(text)?.octets();
        self.push(u16::from_be_bytes([a, b]))?;
        self.push(u16::from_be_bytes([c, d]))
    }

    fn finish(mut self) -> Option<Ipv6Addr> {
        match self.gap {
            None if self.count == 8 => {}
            Some(gap) if self.count < 8 => {
                // The groups after the gap move to the end; what they leave behind is zero.
                self.groups[gap..].rotate_right(8 - self.count);
            }
            _ => return None,
        }
        Some(self.groups.into())
    }
}

/// An IPv6 address with an optional zone: the address, if it is one, and the interface's number.
pub struct ScopedIpv6 {
    /// The part before `%`.
    pub address: Option<Ipv6Addr>,
    /// The part after it; 0 without one. `None`: neither an interface's name nor a number.
    pub zone: Option<u32>,
}

/// Splits at the first `%` and reads both parts.
pub fn parse_scoped_ipv6(text: &[u8]) -> ScopedIpv6 {
    match text.iter().position(|&byte| byte == b'%') {
        None => ScopedIpv6 {
            address: parse_ipv6(text),
            zone: Some(0),
        },
        Some(percent) => ScopedIpv6 {
            address: parse_ipv6(&text[..percent]),
            zone: parse_zone(&text[percent + 1..]),
        },
    }
}

/// An interface's name, or else its number; nothing at all is 0.
fn parse_zone(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return Some(0);
    }
    interface_number(text).or_else(|| ascii::decimal(text, u32::MAX))
}

fn interface_number(name: &[u8]) -> Option<u32> {
    let mut terminated = [0; libc::IF_NAMESIZE];
    if name.len() >= terminated.len() {
        return None;
    }
    terminated[..name.len()].copy_from_slice(name);
    // SAFETY: the name is shorter than the zeroed array, so a terminator follows it.
    match unsafe { system::if_nametoindex(terminated.as_ptr().cast()) } {
        0 => None,
        number => Some(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipv6(text: &str) -> Option<String> {
        let address = parse_ipv6(text.as_bytes())?;
        Some(String::from_utf8(format_ipv6(address).as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn ipv4_is_strict_but_takes_leading_zeros() {
        assert_eq!(
            parse_ipv4(b"01.002.0003.4"),
            Some(Ipv4Addr::new(1, 2, 3, 4))
        );
        for text in [
            "",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "1.2.3.4 ",
            " 1.2.3.4",
            "1. 2.3.4",
            "+1.2.3.4",
            "-0.1.2.3",
            "4294967297.0.0.1",
            "0x1.2.3.4",
            "1..2.3",
            ".1.2.3.4",
            "1.2.3.4.",
        ] {
            assert_eq!(parse_ipv4(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn ipv6_texts_and_their_normal_form() {
        for (text, normal) in [
            ("::", "::"),
            ("::1", "::1"),
            ("1::", "1::"),
            ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
            ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
            ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
            ("::ffff:01.2.3.4", "::ffff:1.2.3.4"),
            ("::1.2.3.4", "::1.2.3.4"),
            ("::1.2.0.0", "::102:0"),
            ("::0.1.0.0", "::1:0"),
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
            ("1:0:0:2:3:0:0:4", "1::2:3:0:0:4"),
            ("FE80::ABCD", "fe80::abcd"),
        ] {
            assert_eq!(ipv6(text).as_deref(), Some(normal), "{text}");
        }
    }

    #[test]
    fn what_is_no_ipv6_address() {
        for text in [
            "",
            ":",
            ":1",
            "1:",
            "1:2:3:4:5:6:7::8",
            "1::1::1",
            ":::",
            "::12345",
            "::1%lo",
            "::1.2.3",
            "1.2.3.4",
            "1:2:3:4:5:6:7:8:",
            "::1:",
            "::0x1",
            "0x1::",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4:5:6:7:1.2.3.4",
            "::1.2.3.4:1",
            "g::",
            "1:::2",
            "::-1",
        ] {
            assert_eq!(ipv6(text), None, "{text}");
        }
    }

    #[test]
    fn every_address_survives_its_text() {
        let mut state = 1u64;
        for _ in 0..20_000 {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let mask = state >> 48;
            let groups: [u16; 8] = std::array::from_fn(|i| {
                let value = (state >> (i * 5)) as u16;
                if mask >> i & 1 == 1 { 0 } else { value }
            });
            let address = Ipv6Addr::from(groups);
            assert_eq!(parse_ipv6(format_ipv6(address).as_bytes()), Some(address));
        }
    }

    #[test]
    fn zones() {
        let zone = |text: &str| parse_scoped_ipv6(text.as_bytes()).zone;
        assert_eq!(zone("fe80::1"), Some(0));
        assert_eq!(zone("fe80::1%"), Some(0));
        assert_eq!(zone("fe80::1%7"), Some(7));
        for text in [
            "fe80::1%-1",
            "fe80::1% 7",
            "fe80::1%4294967297",
            "fe80::1%no-such-interface",
        ] {
            assert_eq!(zone(text), None, "{text}");
        }
    }
}
