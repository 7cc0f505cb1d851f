//! Debian's `vhost_combined` of Apache: the combined format behind the virtual host and its port.
//!
//! ```text
//! example.net:80 203.0.113.7 - ann [01/Mar/2026:00:00:00 +0000] "GET / HTTP/1.1" 304 - "-" "curl/8"
//! ```

use super::combined;
use super::fields::{token, without_port};
use crate::weblog::record::{Malformed, Record, Text};
use crate::weblog::time::Stamps;
use core::net::IpAddr;

/// Reads a line.
pub(super) fn parse<'a>(line: &'a [u8], stamps: &mut Stamps) -> Result<Record<'a>, Malformed> {
    let (host, rest) = token(line);
    let mut record = Record::default();
    combined::parse(rest, stamps, &mut record)?;
    record.host = Text::plain(without_port(host));
    Ok(record)
}

/// Whether a line that can be read as one is one: a combined line of an IPv6 client may begin like a host with its port.
pub(super) fn is(line: &[u8]) -> bool {
    let (host, rest) = token(line);
    let (client, _) = token(rest);
    let name = without_port(host);
    name.len() < host.len() && !name.is_empty() && client != b"-" && (address(client) || !address(host))
}

fn address(bytes: &[u8]) -> bool {
    core::str::from_utf8(bytes).is_ok_and(|text| text.parse::<IpAddr>().is_ok())
}
