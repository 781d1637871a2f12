//! The names under which addresses are looked up.

use crate::util::text::Text;
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A name for an address.
pub type ReverseName = Text<80>;

/// The numbers backwards, below `in-addr.arpa`.
pub fn name_of_v4(address: Ipv4Addr) -> ReverseName {
    let [a, b, c, d] = address.octets();
    Text::of(format_args!("{d}.{c}.{b}.{a}.in-addr.arpa"))
}

/// The hexadecimal digits backwards, below `ip6.arpa`.
pub fn name_of_v6(address: Ipv6Addr) -> ReverseName {
    let mut name = Text::of(format_args!(""));
    for byte in address.octets().into_iter().rev() {
        let _ = write!(name, "{:x}.{:x}.", byte & 15, byte >> 4);
    }
    let _ = name.write_str("ip6.arpa");
    name
}
