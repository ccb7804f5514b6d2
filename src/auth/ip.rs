//! The ip scheme: the text of an address, and the masks an ACL may name (`IPAuthenticationProvider`).
//! Knows nothing of connections. Numbers are read as Java's `Integer.parseInt` reads ASCII: a sign is allowed.

use crate::proto::acl::Id;
use std::net::{IpAddr, Ipv6Addr};

/// The identity that each connection has from the start: its address as Java writes it, IPv6 without `::`.
/// An IPv4 address that came through an IPv6 socket is an IPv4 address.
pub fn identity(address: IpAddr) -> Id {
    Id::new("ip", text(address))
}

fn text(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => v6_text(address),
    }
}

fn v6_text(address: Ipv6Addr) -> String {
    address.segments().map(|segment| format!("{segment:x}")).join(":")
}

/// An address in an ACL. The two families never match each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Address {
    V4(u32),
    V6(u128),
}

impl Address {
    fn parse(text: &str) -> Option<Self> {
        if text.contains(':') { v6(text).map(Address::V6) } else { v4(text).map(Address::V4) }
    }

    fn bits(self) -> u32 {
        match self {
            Address::V4(_) => 32,
            Address::V6(_) => 128,
        }
    }

    /// Keeps the first bits.
    fn masked(self, bits: u32) -> Self {
        match self {
            Address::V4(address) => Address::V4(address & u32::MAX.checked_shl(32 - bits).unwrap_or(0)),
            Address::V6(address) => Address::V6(address & u128::MAX.checked_shl(128 - bits).unwrap_or(0)),
        }
    }
}

/// An address and how many of its bits count.
fn expression(text: &str) -> Option<(Address, u32)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (Address::parse(address)?, Some(bits)),
        None => (Address::parse(text)?, None),
    };
    let bits = match bits {
        Some(bits) => java_int(bits, 10).and_then(|bits| u32::try_from(bits).ok())?,
        None => address.bits(),
    };
    (bits <= address.bits()).then_some((address, bits))
}

/// Whether an ACL may name this.
pub(super) fn is_valid(id: &str) -> bool {
    expression(id).is_some()
}

/// Whether an address is inside what an ACL names.
pub(super) fn matches(id: &str, acl: &str) -> bool {
    let Some((wanted, bits)) = expression(acl) else { return false };
    match Address::parse(id) {
        Some(address) if address.bits() == wanted.bits() => address.masked(bits) == wanted.masked(bits),
        _ => false,
    }
}

fn v4(text: &str) -> Option<u32> {
    let mut address = 0u32;
    let mut parts = 0;
    for part in text.split('.') {
        let byte = java_int(part, 10).and_then(|number| u8::try_from(number).ok())?;
        address = address.checked_shl(8)? | u32::from(byte);
        parts += 1;
        if parts > 4 {
            return None;
        }
    }
    (parts == 4).then_some(address)
}

fn v6(text: &str) -> Option<u128> {
    let mut halves = text.split("::");
    let (head, tail) = (halves.next()?, halves.next());
    if halves.next().is_some() {
        return None;
    }
    let head_groups = groups(head, tail.is_some())?;
    let tail_groups = groups(tail.unwrap_or_default(), true)?;
    let given = head_groups.len() + tail_groups.len();
    let complete = if tail.is_some() { given < 8 } else { given == 8 };
    if !complete {
        return None;
    }
    let zeros = std::iter::repeat_n(0, 8 - given);
    let all = head_groups.into_iter().chain(zeros).chain(tail_groups);
    Some(all.fold(0, |address, group| address << 16 | u128::from(group)))
}

/// Groups of up to four digits; beside a `::` there may be none.
fn groups(text: &str, may_be_empty: bool) -> Option<Vec<u16>> {
    if text.is_empty() && may_be_empty {
        return Some(Vec::new());
    }
    let mut groups = Vec::with_capacity(8);
    for group in text.split(':') {
        if group.is_empty() || group.len() > 4 || groups.len() == 8 {
            return None;
        }
        let number = java_int(group, 16)?;
        // A sign is read as one: "-1" is the group ffff.
        groups.push(number as u16);
    }
    Some(groups)
}

fn java_int(text: &str, radix: u32) -> Option<i32> {
    i32::from_str_radix(text, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_java_writes_it() {
        let rows = [
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "0:0:0:0:0:0:0:1"),
            ("2001:db8::AB:0", "2001:db8:0:0:0:0:ab:0"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
        ];
        for (address, expected) in rows {
            assert_eq!(identity(address.parse().unwrap()), Id::new("ip", expected));
        }
    }

    /// Asked of `IPAuthenticationProvider.isValid`.
    #[test]
    fn acl_ids() {
        let valid = [
            "1.2.3.4",
            "01.+2.-0.255",
            "1.2.3.4/0",
            "1.2.3.4/32",
            "1.2.3.4/+8",
            "1.2.3.4/08",
            "::",
            "::1",
            "1::",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7::",
            "-1::+f",
            "::/0",
            "::/128",
            "FFFF::aBc",
        ];
        let invalid = [
            "",
            "localhost",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.256",
            "1.2.3.-1",
            "1.2.3.",
            "1.2.3.a",
            "1.2.3.4/33",
            "1.2.3.4/",
            "1.2.3.4/-1",
            "1.2.3.4/8/8",
            "1.2.3.4/2147483648",
            "/8",
            ":",
            ":::",
            "1:::2",
            "::1::",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4::5:6:7:8",
            "::12345",
            "::g",
            "::/129",
            "::ffff:1.2.3.4",
            "fe80::1%2",
            ".",
            "...",
        ];
        for id in valid {
            assert!(is_valid(id), "{id}");
        }
        for id in invalid {
            assert!(!is_valid(id), "{id}");
            assert!(!matches("1.2.3.4", id), "{id}");
        }
    }

    #[test]
    fn masks() {
        let rows = [
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("10.1.2.3", "10.1.2.2/31", true),
            ("10.1.2.3", "10.1.2.0/31", false),
            ("10.1.2.3", "10.255.255.255/8", true),
            ("10.1.2.3", "0.0.0.0/0", true),
            ("10.1.2.3", "::/0", false),
            ("0:0:0:0:0:0:0:1", "0.0.0.0/0", false),
            ("0:0:0:0:0:0:0:1", "::1", true),
            ("0:0:0:0:0:0:0:1", "::/127", true),
            ("0:0:0:0:0:0:0:1", "::/0", true),
            ("2001:db8:0:0:0:0:0:1", "2001:db8::/32", true),
            ("2001:db9:0:0:0:0:0:1", "2001:db8::/32", false),
            ("fe80:0:0:0:0:0:0:1%2", "fe80::1", false),
            ("", "0.0.0.0/0", false),
        ];
        for (id, acl, expected) in rows {
            assert_eq!(matches(id, acl), expected, "{id} in {acl}");
        }
    }
}
