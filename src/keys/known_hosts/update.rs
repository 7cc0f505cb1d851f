//! What `hostkeys-00@openssh.com` changes in known_hosts (OpenSSH's PROTOCOL §2.5, UpdateHostKeys): new keys in, old ones out.
//!
//! [`plan_update`] says which keys the server must prove, or why the files are better left alone; [`updated`] makes the new
//! contents of a file. What is not a plain line of exactly this host stays byte for byte. It does not know whether a proof
//! was given: whoever calls [`updated`] has checked all of them.

use core::fmt;

use super::{File, Host, Line, Marker, NameForm, lines, new_line};
use crate::crypto::sign::PublicKey;
use crate::keys::line::{KeyText, significant_lines};

/// The most keys that a server may announce.
pub const ANNOUNCED_MAX: usize = 32;

/// What is to be done so that the files know a host by exactly the keys that it announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update<'k> {
    /// The keys that are not known yet, to be proved before anything is written.
    pub to_prove: Vec<&'k PublicKey>,
    /// How many lines have a key that was not announced.
    pub to_remove: usize,
}

/// Compares the files that the user may have changed with the keys that a host announced; `shown` is the one that it proved in
/// the key exchange.
pub fn plan_update<'k>(
    files: &[File<'_>],
    host: &Host,
    shown: &PublicKey,
    announced: &'k [PublicKey],
) -> Result<Update<'k>, NoUpdate> {
    if announced.len() > ANNOUNCED_MAX {
        return Err(NoUpdate::TooMany);
    }
    if !announced.contains(shown) {
        return Err(NoUpdate::NotAnnounced);
    }
    let (mut known, mut old) = (Vec::new(), Vec::new());
    for line in lines(files) {
        let key = KeyText::parse(line.key).ok().and_then(|text| text.key.ok());
        match (line.marker, line.matches(host), key) {
            (Marker::None, Some(true), _) if !line.names_only(host) => return Err(NoUpdate::Pattern),
            (Marker::None, Some(true), Some(key)) if announced.contains(&key) => known.push(key),
            (Marker::None, Some(true), Some(key)) => old.push(key),
            (Marker::None, ..) => {}
            // A line that might be about this host is.
            (_, Some(false), _) => {}
            _ => return Err(NoUpdate::Marker),
        }
    }
    if !known.contains(shown) {
        return Err(NoUpdate::NotKnown);
    }
    let to_prove: Vec<_> = announced.iter().filter(|key| !known.contains(*key)).collect();
    let moved = |line: &Line<'_>| {
        let key = KeyText::parse(line.key).ok().and_then(|text| text.key.ok());
        line.matches(host) != Some(true)
            && key.is_some_and(|key| to_prove.contains(&&key) || old.contains(&key))
    };
    if lines(files).any(|line| moved(&line)) {
        return Err(NoUpdate::OtherName);
    }
    Ok(Update { to_prove, to_remove: old.len() })
}

/// The contents of a file without the plain lines of `host` whose key is not among `announced`, and with lines for the keys
/// of `add`. `None` if nothing changes.
pub fn updated<'k>(
    contents: &[u8],
    host: &Host,
    announced: &[PublicKey],
    add: impl IntoIterator<Item = &'k PublicKey>,
    mut form: NameForm<'_>,
) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(contents.len());
    for whole in contents.split_inclusive(|byte| *byte == b'\n') {
        if !is_old(whole, host, announced) {
            out.extend_from_slice(whole);
        }
    }
    for key in add {
        if !matches!(*out, [] | [.., b'\n']) {
            out.push(b'\n');
        }
        out.extend_from_slice(new_line(host, key, &mut form).as_bytes());
    }
    (out != contents).then_some(out)
}

/// Whether a line, with its end, has a key that the host does not use any more.
fn is_old(whole: &[u8], host: &Host, announced: &[PublicKey]) -> bool {
    significant_lines(whole).map(|(number, text)| Line::split("", number, text)).any(|line| {
        let key = KeyText::parse(line.key).ok().and_then(|text| text.key.ok());
        line.marker == Marker::None
            && line.names_only(host)
            && line.matches(host) == Some(true)
            && key.is_some_and(|key| !announced.contains(&key))
    })
}

impl Line<'_> {
    /// Whether the hosts are one name, plain or hashed, and no list or pattern.
    fn names_only(&self, host: &Host) -> bool {
        self.hosts.first() == Some(&b'|') || self.hosts.eq_ignore_ascii_case(host.entry.as_bytes())
    }
}

/// Why the files are left as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoUpdate {
    /// More than [`ANNOUNCED_MAX`] keys were announced.
    TooMany,
    /// The key that the host has proved is not among those that it announced.
    NotAnnounced,
    /// The key that the host has proved is not known by a plain line of these files.
    NotKnown,
    /// A line about the host has a list of names or a pattern.
    Pattern,
    /// A line about the host has a marker, or may be one that has.
    Marker,
    /// A key that would come or go stands under another name too.
    OtherName,
}

impl fmt::Display for NoUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => write!(f, "more than {ANNOUNCED_MAX} host keys were announced"),
            Self::NotAnnounced => f.write_str("the host key in use was not announced"),
            Self::NotKnown => f.write_str("the host key in use is not known by a line of its own"),
            Self::Pattern => f.write_str("a line about the host has a list or a pattern"),
            Self::Marker => f.write_str("a line about the host has a marker"),
            Self::OtherName => f.write_str("a key that would change is known under another name"),
        }
    }
}

impl core::error::Error for NoUpdate {}
