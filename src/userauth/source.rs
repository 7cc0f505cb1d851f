//! Where a login may come from: the lists of `source-address` in certificates and of `from` in authorized_keys.
//!
//! Both hold networks as address and prefix length (RFC 4632 §3.1, RFC 4291 §2.3). `from` has patterns with `*` and `?` too, and
//! `!` in front for "not"; there a negated match decides, whatever else matches. It does not know how an address was found
//! out, and asks no name server.

use core::fmt;
use core::net::IpAddr;

use crate::wire::pattern_matches;

/// The most bytes of such a list: a line of authorized_keys is not longer.
pub const SOURCE_LIST_MAX: usize = 8192;

/// Where a login comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The peer's address; `None` where there is none, as on a Unix socket. Then no list matches.
    pub address: Option<IpAddr>,
    /// The peer's name, if one is known that the name server gives this very address for. Without one, patterns are held
    /// against the address alone.
    pub host_name: Option<&'a str>,
}

/// A list that a login's origin must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceList(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    negated: bool,
    pattern: Pattern,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Network { first: u128, prefix_len: u32, v4: bool },
    Text(Box<[u8]>),
}

impl SourceList {
    /// Reads the value of `source-address`: networks and addresses alone.
    pub fn networks(list: &[u8]) -> Result<Self, BadSourceList> {
        Self::parse(list, |entry| Some(Entry { negated: false, pattern: network(entry)?? }))
    }

    /// Reads the value of `from`: networks, addresses and patterns, each perhaps negated.
    pub fn patterns(list: &[u8]) -> Result<Self, BadSourceList> {
        Self::parse(list, |entry| {
            let (negated, text) = match entry {
                [b'!', rest @ ..] => (true, rest),
                _ => (false, entry),
            };
            let pattern = match network(text) {
                Some(network) => network?,
                None if text.is_empty() => return None,
                None => Pattern::Text(text.into()),
            };
            Some(Entry { negated, pattern })
        })
    }

    fn parse(list: &[u8], entry: impl Fn(&[u8]) -> Option<Entry>) -> Result<Self, BadSourceList> {
        if list.len() > SOURCE_LIST_MAX {
            return Err(BadSourceList);
        }
        list.split(|byte| *byte == b',').map(entry).collect::<Option<_>>().map(Self).ok_or(BadSourceList)
    }

    /// Whether an entry matches, and none that is negated does.
    #[must_use]
    pub fn matches(&self, origin: &Origin<'_>) -> bool {
        // A client of IPv4 at a socket of IPv6 is a client of IPv4.
        let Some(address) = origin.address.map(|address| address.to_canonical()) else { return false };
        let text = address.to_string();
        let names = [Some(text.as_str()), origin.host_name];
        let mut found = false;
        for Entry { negated, pattern } in &self.0 {
            let matches = match pattern {
                Pattern::Network { first, prefix_len, v4 } => {
                    let (bits, is_v4) = bits(address);
                    is_v4 == *v4 && network_of(bits, *prefix_len) == *first
                }
                Pattern::Text(text) => names
                    .iter()
                    .flatten()
                    .any(|name| pattern_matches(text, name.as_bytes(), u8::eq_ignore_ascii_case)),
            };
            match (matches, negated) {
                (true, true) => return false,
                (true, false) => found = true,
                (false, _) => {}
            }
        }
        found
    }
}

/// `address` or `address/prefix_len`: `None` if it is neither, `Some(None)` if bits are set behind the prefix or there are not
/// so many.
fn network(text: &[u8]) -> Option<Option<Pattern>> {
    let text = core::str::from_utf8(text).ok()?;
    let (address, prefix_len) = match text.split_once('/') {
        Some((address, prefix_len)) => (address, Some(prefix_len)),
        None => (text, None),
    };
    let (bits, v4) = bits(address.parse().ok()?);
    let width = if v4 { 32 } else { 128 };
    let prefix_len = match prefix_len {
        Some(digits) if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            return None;
        }
        Some(digits) => digits.parse().unwrap_or(u32::MAX),
        None => width,
    };
    if prefix_len > width {
        return Some(None);
    }
    // An IPv4 address is kept in the top bits, so that a prefix is one in either width.
    let network = Pattern::Network { first: bits, prefix_len, v4 };
    Some((network_of(bits, prefix_len) == bits).then_some(network))
}

/// The bits of an address from the top.
fn bits(address: IpAddr) -> (u128, bool) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, true),
        IpAddr::V6(address) => (address.to_bits(), false),
    }
}

fn network_of(bits: u128, prefix_len: u32) -> u128 {
    bits & u128::MAX.checked_shl(128_u32.saturating_sub(prefix_len)).unwrap_or(0)
}

/// A list that has an empty entry, bits set behind a prefix, or something else that it cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSourceList;

impl fmt::Display for BadSourceList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the list of addresses cannot be read")
    }
}

impl core::error::Error for BadSourceList {}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str, host_name: Option<&'static str>) -> Origin<'static> {
        Origin { address: Some(address.parse().unwrap()), host_name }
    }

    #[test]
    fn networks_hold_the_addresses_behind_their_prefix() {
        for (list, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "a00::", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "::1", true),
            ("::/0", "127.0.0.1", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1/32", "192.0.2.1", true),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("2001:db8::1/128", "2001:db8::1", true),
            ("127.0.0.0/8,::1/128,192.0.2.0/24", "::1", true),
            ("127.0.0.0/8,::1/128,192.0.2.0/24", "192.0.3.1", false),
        ] {
            for parsed in [SourceList::networks(list.as_bytes()), SourceList::patterns(list.as_bytes())] {
                assert_eq!(parsed.unwrap().matches(&from(address, None)), expected, "{list} {address}");
            }
        }
    }

    #[test]
    fn t88_lists_that_cannot_be_read_are_refused() {
        for list in [
            "",
            ",",
            "10.0.0.0/8,",
            ",10.0.0.0/8",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "::1/129",
            "::1/64",
            "10.0.0.0/4294967296",
        ] {
            assert_eq!(SourceList::networks(list.as_bytes()), Err(BadSourceList), "{list}");
            assert_eq!(SourceList::patterns(list.as_bytes()), Err(BadSourceList), "{list}");
        }
        for list in [
            "*",
            "!10.0.0.0/8",
            "host",
            "10.0.0",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0.0 ",
            "fe80::1%eth0",
            "\u{660}",
        ] {
            assert_eq!(SourceList::networks(list.as_bytes()), Err(BadSourceList), "{list}");
        }
        for list in ["!", "a,!"] {
            assert_eq!(SourceList::patterns(list.as_bytes()), Err(BadSourceList), "{list}");
        }
        let long = vec![b'*'; SOURCE_LIST_MAX];
        assert!(SourceList::patterns(&long).is_ok());
        assert_eq!(SourceList::patterns(&[&long[..], b"*"].concat()), Err(BadSourceList));
    }

    #[test]
    fn patterns_need_a_match_and_no_negated_one() {
        for (list, address, host_name, expected) in [
            ("*.example.com", "192.0.2.1", Some("a.example.com"), true),
            ("*.EXAMPLE.com", "192.0.2.1", Some("a.Example.com"), true),
            ("*.example.com", "192.0.2.1", None, false),
            ("*.example.com", "192.0.2.1", Some("a.example.com.evil"), false),
            ("192.0.2.*", "192.0.2.7", None, true),
            ("192.0.2.?", "192.0.2.77", None, false),
            ("!192.0.2.1", "192.0.2.2", None, false),
            ("*,!192.0.2.0/24", "192.0.2.2", None, false),
            ("!192.0.2.0/24,*", "192.0.2.2", Some("a.example.com"), false),
            ("*,!bad.example.com", "192.0.2.2", Some("bad.example.com"), false),
            ("*,!bad.example.com", "192.0.2.2", Some("good.example.com"), true),
            ("10.0.0.0/8,*.example.com,!10.1.0.0/16", "10.2.0.1", None, true),
            ("10.0.0.0/8,*.example.com,!10.1.0.0/16", "10.1.0.1", Some("a.example.com"), false),
        ] {
            let parsed = SourceList::patterns(list.as_bytes()).unwrap();
            assert_eq!(parsed.matches(&from(address, host_name)), expected, "{list} {address}");
            let nowhere = Origin { address: None, host_name };
            assert!(!parsed.matches(&nowhere), "{list}");
        }
    }
}
