//! known_hosts: which host keys a client knows (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
//!
//! A line is `[@marker] hosts type base64 [comment]`; `hosts` is a list of patterns or one hashed name, HMAC-SHA1 keyed
//! with a salt. [`lookup`] weighs all lines of all files:
//!
//! - `@revoked` with this key beats everything;
//! - a plain line with this key makes it known, whatever other lines say;
//! - another key of the same type means the key has changed;
//! - a key of another type means the host is known, but not by this key;
//! - `@cert-authority` vouches for certificates and never for a plain key: [`lookup_certificate`].
//!
//! [`line_to_append`], [`plan_update`] and [`updated`] say what to write.
//!
//! A plain line that cannot be read is passed over: it could only have widened trust. A revocation that cannot be read,
//! or a marker that might be one, is an error, and an error is a refusal. The files' bytes come as arguments; this
//! module neither finds, locks nor writes files, and does not know what the user wants done with an unknown host.

use core::fmt;

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::crypto::Rng;
use crate::crypto::sign::certificate::Certificate;
use crate::crypto::sign::{PublicKey, SignatureAlgorithm};
use crate::wire::list_matches;

use super::certificate::{self, CheckedHost, Trust, check_host};
use super::line::{self, KeyText};

mod update;

pub use update::{ANNOUNCED_MAX, NoUpdate, Update, plan_update, updated};

/// The longest host name or alias in bytes; one of the DNS has at most 255 (RFC 1035 §2.3.4).
pub const HOST_MAX: usize = 1024;

/// The port that is not written.
const SSH_PORT: u16 = 22;

/// The length in bytes of both the salt and the hash of a hashed name.
const HASH_LEN: usize = 20;

const HASH_MARK: &[u8] = b"|1|";

/// The name under which a host stands in known_hosts: `host`, or `[host]:port` for a port other than 22, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    name: String,
    /// With the port, where it is written.
    entry: String,
}

impl Host {
    /// Names the host that the user asked for, an address or an alias, without brackets. Refused are names that are
    /// empty, longer than [`HOST_MAX`], or have a character that means something else in a line. An alias goes with
    /// port 22.
    pub fn new(host: &str, port: u16) -> Result<Self, BadHost> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b",*?!|#@[]".contains(&byte);
        if !(1..=HOST_MAX).contains(&host.len()) || !host.bytes().all(plain) {
            return Err(BadHost);
        }
        let name = host.to_ascii_lowercase();
        let entry = if port == SSH_PORT { name.clone() } else { format!("[{name}]:{port}") };
        Ok(Self { name, entry })
    }

    /// The name as a line has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.entry
    }
}

/// One file, read whole.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// What the user is told when a line of it matters.
    pub name: &'a str,
    /// Its bytes; none for a file that does not exist. One that exists and cannot be read must end in a refusal.
    pub contents: &'a [u8],
}

/// Where a line stands, and of what type its key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// [`File::name`].
    pub file: &'a str,
    /// The line's number, from 1.
    pub line: usize,
    /// The type of the key on the line.
    pub key_type: &'a str,
}

/// What the files say about a host and a key. Only [`Verdict::Known`] is a yes.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// No line is about this host: ask, or refuse.
    Unknown,
    /// The host is known by keys of other types only: whoever is in the middle can offer a type of his choice. Ask, with
    /// this line named, or refuse; never accept unasked.
    OtherType(Place<'a>),
    /// The host is known by another key of this type: refuse, with this line named.
    Changed(Place<'a>),
    /// The line has this key.
    Known(Place<'a>),
    /// The key is revoked for this host: refuse.
    Revoked(Place<'a>),
}

impl Verdict<'_> {
    const fn weight(&self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::OtherType(_) => 1,
            Self::Changed(_) => 2,
            Self::Known(_) => 3,
            Self::Revoked(_) => 4,
        }
    }
}

/// Judges the key that a host has shown. The places named are those of the first line that decides.
///
/// Fails if a line may revoke the key and cannot be read; such a failure is a refusal.
pub fn lookup<'a>(files: &[File<'a>], host: &Host, key: &PublicKey) -> Result<Verdict<'a>, UnreadableLine> {
    let blob = key.blob();
    let mut verdict = Verdict::Unknown;
    for line in lines(files) {
        let found = line.judge(host, key.key_type(), &blob).map_err(|fault| line.unreadable(fault))?;
        if found.weight() > verdict.weight() {
            verdict = found;
        }
    }
    Ok(verdict)
}

/// The types of the plain keys that are known for a host, each once, in the order of the lines. Offering algorithms for
/// these first keeps a host with several keys from looking like [`Verdict::OtherType`].
#[must_use]
pub fn key_types<'a>(files: &[File<'a>], host: &Host) -> Vec<&'a str> {
    let mut types = Vec::new();
    for line in lines(files) {
        if line.marker == Marker::None
            && line.matches(host) == Some(true)
            && let Ok(text) = KeyText::parse(line.key)
            && !types.contains(&text.key_type)
        {
            types.push(text.key_type);
        }
    }
    types
}

/// The lines that know a key under other names than this host's, each with its names; these are hidden where they are hashed.
#[must_use]
pub fn other_names<'a>(
    files: &[File<'a>],
    host: &Host,
    key: &PublicKey,
) -> Vec<(Place<'a>, Option<&'a [u8]>)> {
    let blob = key.blob();
    let mut names = Vec::new();
    for line in lines(files).filter(|line| line.marker == Marker::None && line.matches(host) != Some(true)) {
        if let Ok(text) = KeyText::parse(line.key)
            && text.blob == blob
        {
            let shown = Some(line.hosts).filter(|hosts| !hosts.starts_with(b"|"));
            names.push((line.place(text.key_type), shown));
        }
    }
    names
}

/// Whether a `@cert-authority` line is about a host. Then certificates are what to ask it for first.
#[must_use]
pub fn has_authority(files: &[File<'_>], host: &Host) -> bool {
    lines(files).any(|line| line.is_authority_for(host) && KeyText::parse(line.key).is_ok())
}

/// What the files say about a host and a certificate. Only [`CertificateVerdict::Vouched`] is a yes.
#[must_use]
#[derive(Clone, Debug)]
pub enum CertificateVerdict<'a, 'c> {
    /// No line speaks of its CA: ask [`lookup`] about the key in it, as if it had come without certificate.
    NoAuthority,
    /// The line has its CA, and the certificate does not count: refuse.
    Refused(Place<'a>, certificate::Refusal),
    /// The line has its CA, and all is well.
    Vouched(Place<'a>, CheckedHost<'c>),
    /// The key in it or the key of its CA is revoked for this host: refuse.
    Revoked(Place<'a>),
}

/// Judges the certificate that a host has shown.
///
/// Fails as [`lookup`] does; such a failure is a refusal.
pub fn lookup_certificate<'a, 'c>(
    files: &[File<'a>],
    host: &Host,
    certificate: &'c Certificate,
    ca_signature_algorithms: &[SignatureAlgorithm],
    now: u64,
) -> Result<CertificateVerdict<'a, 'c>, UnreadableLine> {
    for key in [certificate.key(), certificate.ca_key()] {
        if let Verdict::Revoked(place) = lookup(files, host, key)? {
            return Ok(CertificateVerdict::Revoked(place));
        }
    }
    let ca = certificate.ca_key();
    for line in lines(files).filter(|line| line.is_authority_for(host)) {
        let Ok(text) = KeyText::parse(line.key) else { continue };
        if text.key.as_ref() != Ok(ca) {
            continue;
        }
        let place = line.place(text.key_type);
        let authorities = core::slice::from_ref(ca);
        let trust = Trust { authorities, revoked: &[], ca_signature_algorithms };
        return Ok(match check_host(certificate, &trust, &host.name, now) {
            Ok(checked) => CertificateVerdict::Vouched(place, checked),
            Err(refusal) => CertificateVerdict::Refused(place, refusal),
        });
    }
    Ok(CertificateVerdict::NoAuthority)
}

/// How a name is written into a new line.
pub enum NameForm<'r> {
    /// As it is.
    Plain,
    /// Hashed with a salt of its own, so that the file does not tell which hosts it knows (HashKnownHosts).
    Hashed(&'r mut dyn Rng),
}

impl NameForm<'_> {
    fn write(&mut self, host: &Host) -> String {
        let Self::Hashed(rng) = self else { return host.entry.clone() };
        let mut salt = [0; HASH_LEN];
        rng.fill(&mut salt);
        let hash = hmac(&salt, host.entry.as_bytes()).map(|hmac| hmac.finalize().into_bytes());
        // HMAC takes keys of any length: there always is a hash.
        let hash = hash.map(|hash| Base64::encode_string(&hash)).unwrap_or_default();
        format!("|1|{}|{hash}", Base64::encode_string(&salt))
    }
}

/// The bytes to append to a file that has `contents`, so that it knows `host` by `key`: a line, with the end of the line
/// before it if that is missing.
#[must_use]
pub fn line_to_append(contents: &[u8], host: &Host, key: &PublicKey, mut form: NameForm<'_>) -> String {
    let end = if matches!(contents, [] | [.., b'\n']) { "" } else { "\n" };
    format!("{end}{}", new_line(host, key, &mut form))
}

fn new_line(host: &Host, key: &PublicKey, form: &mut NameForm<'_>) -> String {
    format!("{} {} {}\n", form.write(host), key.key_type(), Base64::encode_string(&key.blob()))
}

/// Every line that is neither empty nor a comment.
fn lines<'a>(files: &[File<'a>]) -> impl Iterator<Item = Line<'a>> {
    files.iter().flat_map(|file| {
        let name = file.name;
        line::significant_lines(file.contents).map(move |(number, text)| Line::split(name, number, text))
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    None,
    CertAuthority,
    Revoked,
    /// An unknown one, or more than one.
    Unknown,
}

/// A line in its parts, none of them checked yet.
#[derive(Clone, Copy)]
struct Line<'a> {
    file: &'a str,
    number: usize,
    marker: Marker,
    hosts: &'a [u8],
    /// `type base64 [comment]`.
    key: &'a [u8],
}

impl<'a> Line<'a> {
    fn split(file: &'a str, number: usize, text: &'a [u8]) -> Self {
        let (mut marker, mut rest) = (Marker::None, text);
        while rest.first() == Some(&b'@') {
            let (word, after) = line::split_word(rest);
            marker = match (marker, word) {
                (Marker::None, b"@cert-authority") => Marker::CertAuthority,
                (Marker::None, b"@revoked") => Marker::Revoked,
                _ => Marker::Unknown,
            };
            rest = after;
        }
        let (hosts, key) = line::split_word(rest);
        // A byte order mark or another blank than ours in front of a marker must not hide it.
        if hosts.windows(REVOKED.len()).any(|window| window == REVOKED) {
            marker = Marker::Unknown;
        }
        Self { file, number, marker, hosts, key }
    }

    fn judge(&self, host: &Host, key_type: &str, blob: &[u8]) -> Result<Verdict<'a>, LineFault> {
        let matches = self.matches(host);
        match self.marker {
            Marker::CertAuthority => Ok(Verdict::Unknown),
            Marker::None if matches != Some(true) => Ok(Verdict::Unknown),
            Marker::None => Ok(match KeyText::parse(self.key) {
                Err(_) => Verdict::Unknown,
                Ok(text) if text.blob == blob => Verdict::Known(self.place(text.key_type)),
                Ok(text) if text.key_type == key_type => Verdict::Changed(self.place(text.key_type)),
                Ok(text) => Verdict::OtherType(self.place(text.key_type)),
            }),
            Marker::Revoked => match (KeyText::parse(self.key), matches) {
                (Ok(text), Some(true)) if text.blob == blob => {
                    Ok(Verdict::Revoked(self.place(text.key_type)))
                }
                (Ok(_), Some(_)) => Ok(Verdict::Unknown),
                _ => Err(LineFault::Revocation),
            },
            Marker::Unknown => match (KeyText::parse(self.key), matches) {
                (Ok(_), Some(false)) => Ok(Verdict::Unknown),
                _ => Err(LineFault::Marker),
            },
        }
    }

    const fn place(&self, key_type: &'a str) -> Place<'a> {
        Place { file: self.file, line: self.number, key_type }
    }

    fn unreadable(&self, fault: LineFault) -> UnreadableLine {
        UnreadableLine { file: self.file.to_owned(), line: self.number, fault }
    }

    fn is_authority_for(&self, host: &Host) -> bool {
        self.marker == Marker::CertAuthority && self.matches(host) == Some(true)
    }

    /// Whether the line is about `host`; `None` if its hashed name cannot be read.
    fn matches(&self, host: &Host) -> Option<bool> {
        match self.hosts {
            [b'|', ..] => hash_matches(self.hosts, host.entry.as_bytes()),
            list => Some(list_matches(list, host.entry.as_bytes(), u8::eq_ignore_ascii_case)),
        }
    }
}

const REVOKED: &[u8] = b"@revoked";

/// Compares `|1|base64 of salt|base64 of hash` with a name; `None` if it is not of that form.
fn hash_matches(hashed: &[u8], name: &[u8]) -> Option<bool> {
    let (salt, hash) = {
        let mut parts = hashed.strip_prefix(HASH_MARK)?.splitn(2, |byte| *byte == b'|');
        (line::decode_base64(parts.next()?)?, line::decode_base64(parts.next()?)?)
    };
    if salt.len() != HASH_LEN || hash.len() != HASH_LEN {
        return None;
    }
    Some(hmac(&salt, name)?.verify_slice(&hash).is_ok())
}

fn hmac(salt: &[u8], name: &[u8]) -> Option<Hmac<Sha1>> {
    let mut hmac = Hmac::<Sha1>::new_from_slice(salt).ok()?;
    hmac.update(name);
    Some(hmac)
}

/// A line that must be mended before the file can be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableLine {
    /// [`File::name`].
    pub file: String,
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong.
    pub fault: LineFault,
}

/// What is wrong with an [`UnreadableLine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFault {
    /// A `@revoked` line whose host or key cannot be read.
    Revocation,
    /// A marker that is not known, or a second one, on a line that may be about this host.
    Marker,
}

impl fmt::Display for UnreadableLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.fault {
            LineFault::Revocation => "the @revoked line cannot be read",
            LineFault::Marker => "unknown marker, or more than one",
        };
        write!(f, "{}:{}: {reason}", self.file, self.line)
    }
}

impl core::error::Error for UnreadableLine {}

/// A name that cannot stand in known_hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadHost;

impl fmt::Display for BadHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host name is empty, too long, or has a character that known_hosts cannot hold")
    }
}

impl core::error::Error for BadHost {}

#[cfg(test)]
mod tests;
