//! The options in front of a key: `name,name="value",…`.
//!
//! All that sshd knows are known here; one that is not, or that has a value it cannot have, refuses the line. `restrict` and
//! the pairs `no-x` and `x` act in their order.

use crate::userauth::{Endpoint, Permissions, SourceList, Tunnel};

use super::Refusal;

/// The bytes of an unknown option's name that are shown.
const SHOWN_MAX: usize = 64;

/// The greatest number of a tunnel device (OpenSSH).
const TUNNEL_MAX: u32 = 0x7fff_fffd;

/// The options of one line.
pub(super) struct Options {
    pub(super) permissions: Permissions,
    pub(super) cert_authority: bool,
    pub(super) principals: Option<Vec<Vec<u8>>>,
    /// As they are named, for a log.
    pub(super) names: Vec<&'static str>,
}

impl Options {
    pub(super) const fn none() -> Self {
        Self { permissions: Permissions::FULL, cert_authority: false, principals: None, names: Vec::new() }
    }

    pub(super) fn parse(mut options: &[u8]) -> Result<Self, Refusal> {
        let mut parsed = Self::none();
        loop {
            let (option, rest) =
                split_unquoted(options, |byte| byte == b',').ok_or(Refusal::UnclosedQuote)?;
            parsed.apply(option)?;
            match rest {
                [] => break,
                [_, after @ ..] => options = after,
            }
        }
        if parsed.principals.is_some() && !parsed.cert_authority {
            return Err(Refusal::PrincipalsWithoutCa);
        }
        Ok(parsed)
    }

    fn apply(&mut self, option: &[u8]) -> Result<(), Refusal> {
        let (name, value) = match option.iter().position(|byte| *byte == b'=') {
            Some(at) => {
                option.split_at_checked(at).map_or((option, None), |(name, value)| (name, Some(value)))
            }
            None => (option, None),
        };
        let unknown = || {
            let shown = name.get(..SHOWN_MAX).unwrap_or(name);
            Refusal::UnknownOption(shown.escape_ascii().to_string())
        };
        let known = NAMES.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(name));
        let name = *known.ok_or_else(unknown)?;
        let text = value.map(|value| dequote(value).ok_or(Refusal::BadOption(name))).transpose()?;
        match text {
            None => self.flag(name)?,
            Some(text) => self.valued(name, text)?,
        }
        self.names.push(name);
        Ok(())
    }

    fn flag(&mut self, name: &'static str) -> Result<(), Refusal> {
        let p = &mut self.permissions;
        match name {
            "restrict" => {
                (p.pty, p.port_forwarding, p.agent_forwarding) = (false, false, false);
                (p.x11_forwarding, p.user_rc, p.tunnel) = (false, false, Tunnel::None);
            }
            "pty" => p.pty = true,
            "no-pty" => p.pty = false,
            "port-forwarding" => p.port_forwarding = true,
            "no-port-forwarding" => p.port_forwarding = false,
            "agent-forwarding" => p.agent_forwarding = true,
            "no-agent-forwarding" => p.agent_forwarding = false,
            "x11-forwarding" => p.x11_forwarding = true,
            "no-x11-forwarding" => p.x11_forwarding = false,
            "user-rc" => p.user_rc = true,
            "no-user-rc" => p.user_rc = false,
            "touch-required" => p.touch_required = true,
            "no-touch-required" => p.touch_required = false,
            "verify-required" => p.verify_required = true,
            "no-verify-required" => p.verify_required = false,
            "cert-authority" => self.cert_authority = true,
            _ => return Err(Refusal::BadOption(name)),
        }
        Ok(())
    }

    fn valued(&mut self, name: &'static str, text: Vec<u8>) -> Result<(), Refusal> {
        let bad = Refusal::BadOption(name);
        let p = &mut self.permissions;
        let again = match name {
            "command" => p.force_command.replace(text).is_some(),
            "from" => {
                p.sources.push(SourceList::patterns(&text).map_err(|_| bad)?);
                p.sources.len() > 1
            }
            "principals" => {
                let list: Vec<_> = text.split(|byte| *byte == b',').map(<[u8]>::to_vec).collect();
                if list.iter().any(Vec::is_empty) {
                    return Err(bad);
                }
                self.principals.replace(list).is_some()
            }
            "environment" => {
                let (name, value) = environment(&text).ok_or(bad)?;
                // The first of a name counts.
                if !p.environment.iter().any(|(known, _)| *known == name) {
                    p.environment.push((name, value));
                }
                false
            }
            "expiry-time" => {
                let last = expiry(&text)?;
                p.expires = p.expires.into_iter().chain([last]).min();
                false
            }
            "permitopen" => push(&mut p.permit_open, endpoint(&text).ok_or(bad)?),
            "permitlisten" => push(&mut p.permit_listen, listener(&text).ok_or(bad)?),
            "tunnel" => {
                p.tunnel = tunnel(&text).ok_or(bad)?;
                false
            }
            _ => return Err(bad),
        };
        if again { Err(Refusal::Twice(name)) } else { Ok(()) }
    }
}

const NAMES: [&str; 24] = [
    "restrict",
    "pty",
    "no-pty",
    "port-forwarding",
    "no-port-forwarding",
    "agent-forwarding",
    "no-agent-forwarding",
    "x11-forwarding",
    "no-x11-forwarding",
    "user-rc",
    "no-user-rc",
    "touch-required",
    "no-touch-required",
    "verify-required",
    "no-verify-required",
    "cert-authority",
    "command",
    "from",
    "principals",
    "environment",
    "expiry-time",
    "permitopen",
    "permitlisten",
    "tunnel",
];

/// The text of `="text"`: `\"` is a quote, every other backslash means itself.
fn dequote(value: &[u8]) -> Option<Vec<u8>> {
    let mut rest = value.strip_prefix(b"=\"")?.strip_suffix(b"\"")?;
    let mut text = Vec::with_capacity(rest.len());
    loop {
        (text, rest) = match rest {
            [] => return Some(text),
            [b'\\', b'"', after @ ..] => (pushed(text, b'"'), after),
            // A backslash at the end made the last quote one of the text.
            [b'"' | 0, ..] | [b'\\'] => return None,
            [byte, after @ ..] => (pushed(text, *byte), after),
        };
    }
}

fn pushed(mut text: Vec<u8>, byte: u8) -> Vec<u8> {
    text.push(byte);
    text
}

/// All of a line are one list. That it grows is no fault.
fn push(lists: &mut Vec<Vec<Endpoint>>, endpoint: Endpoint) -> bool {
    match lists.first_mut() {
        Some(list) => list.push(endpoint),
        None => lists.push(vec![endpoint]),
    }
    false
}

/// `NAME=value`.
fn environment(text: &[u8]) -> Option<(String, Vec<u8>)> {
    let at = text.iter().position(|byte| *byte == b'=')?;
    let (name, value) = text.split_at_checked(at)?;
    let named = !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let name = core::str::from_utf8(name).ok().filter(|_| named)?;
    Some((name.to_owned(), value.strip_prefix(b"=")?.to_vec()))
}

/// Reads `host:port` or `[address]:port`; either may be `*`.
#[must_use]
pub fn endpoint(text: &[u8]) -> Option<Endpoint> {
    let (host, port) = core::str::from_utf8(text).ok()?.rsplit_once(':')?;
    let host = match host.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
        Some(address) => address?,
        // Without brackets a colon is one too many.
        None if host.contains([':', ']']) => return None,
        None => host,
    };
    if host.is_empty() || host.contains(|c: char| c.is_control() || c == ' ') {
        return None;
    }
    let port = match port {
        "*" => None,
        digits => Some(number::<u16>(digits).filter(|port| *port > 0)?),
    };
    Some(Endpoint { host: (host != "*").then(|| host.to_owned()), port })
}

/// Reads the same, or a port alone for any host; here the host may be a pattern.
#[must_use]
pub fn listener(text: &[u8]) -> Option<Endpoint> {
    if text.contains(&b':') { endpoint(text) } else { endpoint(&[b"*:", text].concat()) }
}

fn tunnel(text: &[u8]) -> Option<Tunnel> {
    match core::str::from_utf8(text).ok()? {
        any if any.eq_ignore_ascii_case("any") => Some(Tunnel::Any),
        digits => number(digits).filter(|device| *device <= TUNNEL_MAX).map(Tunnel::Device),
    }
}

fn number<T: core::str::FromStr>(digits: &str) -> Option<T> {
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `YYYYMMDDZ`, `YYYYMMDDHHMMZ` or `YYYYMMDDHHMMSSZ` as seconds since 1970. Without the `Z` it is a time of a place that is not
/// known here, and half a day too long is too long.
fn expiry(text: &[u8]) -> Result<u64, Refusal> {
    let digits = text.strip_suffix(b"Z").or_else(|| text.strip_suffix(b"z")).unwrap_or(text);
    let seconds = utc(digits).ok_or(Refusal::BadOption("expiry-time"))?;
    if digits.len() == text.len() { Err(Refusal::LocalTime) } else { Ok(seconds) }
}

fn utc(digits: &[u8]) -> Option<u64> {
    if !matches!(digits.len(), 8 | 12 | 14) {
        return None;
    }
    let text = core::str::from_utf8(digits).ok()?;
    let field = |from: usize, len: usize| match text.get(from..from.checked_add(len)?) {
        Some(digits) => number::<u64>(digits),
        None => Some(0),
    };
    let (year, month, day) = (field(0, 4)?, field(4, 2)?, field(6, 2)?);
    let (hour, minute, second) = (field(8, 2)?, field(10, 2)?, field(12, 2)?);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let lengths = [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = lengths.get(..usize::try_from(month).ok()?.checked_sub(1)?)?;
    let length = *lengths.get(before.len())?;
    if year < 1970 || !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days: u64 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum::<u64>()
        + before.iter().sum::<u64>()
        + (day - 1);
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// Splits in front of the first byte outside double quotes that `ends` the part; `\"` opens and closes nothing. `None`
/// if a quote is not closed.
pub(super) fn split_unquoted(text: &[u8], ends: impl Fn(u8) -> bool) -> Option<(&[u8], &[u8])> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate() {
        let literal = core::mem::take(&mut escaped);
        match byte {
            b'\\' => escaped = text.get(at + 1) == Some(&b'"'),
            b'"' if !literal => quoted = !quoted,
            byte if !quoted && ends(*byte) => return text.split_at_checked(at),
            _ => {}
        }
    }
    if quoted { None } else { Some((text, &[])) }
}
