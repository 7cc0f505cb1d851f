//! Which records pass: conditions of which all must hold.
//!
//! It sees a record as the view shows it, anonymized if that is asked for. It does not know lines, nor how a record is shown.

use super::when;
use crate::weblog::options::{Bots, ViewOptions};
use crate::weblog::record::{Record, Text};
use crate::weblog::time::Stamp;
use core::net::IpAddr;
use core::ops::RangeInclusive;
use ipnet::IpNet;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use memchr::memmem;
use regex::bytes::{Regex, RegexBuilder};

/// The most memory (bytes) that one regular expression may need, for itself and for its cache; less for those that a user of
/// the server asks for.
pub const REGEX_MAX: usize = 1 << 20;

/// Agents that are programs.
const BOTS: &str =
    "(?i-u)bot|crawl|spider|slurp|feed|^(?:curl|wget|python-requests|go-http-client)(?:[/ ]|$)|^$";

/// Seconds and nanoseconds.
type Instant = (i64, u32);

/// Conditions; in a list one of them must hold.
#[derive(Debug)]
pub(super) struct Filter {
    status: Vec<Vec<RangeInclusive<u16>>>,
    method: Vec<Vec<String>>,
    vhost: Vec<Vec<String>>,
    path: Vec<Regex>,
    referrer: Vec<Regex>,
    agent: Vec<Regex>,
    from: Vec<Vec<IpNet>>,
    bots: Vec<Bots>,
    /// What an agent that is a program holds, if that is asked.
    bot: Option<Regex>,
    pub(super) since: Option<Instant>,
    pub(super) until: Option<Instant>,
    /// Nothing is asked of a record: known once, for it is asked of each.
    is_empty: bool,
}

impl Filter {
    /// What `options` ask for; each expression may need `regex_max` bytes. Times are taken from `now` and in `zone`.
    pub(super) fn new(
        options: &ViewOptions,
        regex_max: usize,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Result<Self, String> {
        let instants = |name: &str, texts: &[String]| {
            let read = |text: &String| when::time(text, now, zone).map_err(|error| format!("{name} {error}"));
            texts.iter().map(|text| Ok(read(text)?.instant())).collect::<Result<Vec<_>, String>>()
        };
        let mut filter = Self {
            status: lists(
                "--status",
                &options.status,
                "write statuses from 100 to 599, as 404,5xx,400-499",
                statuses,
            )?,
            method: lists("--method", &options.method, "write methods as GET,POST", word)?,
            vhost: lists("--vhost", &options.vhost, "write host names as shop.example,www.example", host)?,
            path: expressions("--path", &options.path, regex_max)?,
            referrer: expressions("--referrer", &options.referrer, regex_max)?,
            agent: expressions("--agent", &options.agent, regex_max)?,
            from: lists("--from", &options.from, "write addresses as 192.0.2.7,2001:db8::/32", network)?,
            bots: options.bots.clone(),
            bot: if options.bots.is_empty() { None } else { Some(expression(BOTS, REGEX_MAX)?) },
            since: instants("--since", &options.since)?.into_iter().max(),
            until: instants("--until", &options.until)?.into_iter().min(),
            is_empty: false,
        };
        filter.is_empty = filter.asks_nothing();
        Ok(filter)
    }

    fn asks_nothing(&self) -> bool {
        self.status.is_empty()
            && self.method.is_empty()
            && self.vhost.is_empty()
            && self.path.is_empty()
            && self.referrer.is_empty()
            && self.agent.is_empty()
            && self.from.is_empty()
            && self.bots.is_empty()
            && self.since.is_none()
            && self.until.is_none()
    }

    /// Whether nothing is asked of a record.
    pub(super) const fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Whether texts are searched, which may take long.
    pub(super) const fn searches(&self) -> bool {
        !(self.path.is_empty() && self.referrer.is_empty() && self.agent.is_empty())
    }

    /// Whether the records of a format without virtual hosts can't pass.
    pub(super) fn needs_host(&self) -> bool {
        !self.vhost.is_empty()
    }

    /// Whether a record passes. What it lacks is in no list and at no time; expressions are searched in an empty text then.
    pub(super) fn passes(&self, record: &Record<'_>) -> bool {
        self.is_empty || self.meets_all(record)
    }

    fn meets_all(&self, record: &Record<'_>) -> bool {
        self.has_time(record)
            && self.status.iter().all(|list| {
                record.status.is_some_and(|status| list.iter().any(|range| range.contains(&status)))
            })
            && in_each(&self.method, record.method, |method, name| {
                method.eq_ignore_ascii_case(name.as_bytes())
            })
            && in_each(&self.vhost, record.host, is_on)
            && self.is_from(record.client)
            && found(&self.agent, || record.agent.map(Text::decode))
            && found(&self.referrer, || record.referrer.map(Text::decode))
            && found(&self.path, || record.resource())
            && self.bots.iter().all(|bots| self.is_bot(record.agent) == (*bots == Bots::Only))
    }

    fn has_time(&self, record: &Record<'_>) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        record.time.is_some_and(|time| {
            let time = time.instant();
            self.since.is_none_or(|since| since <= time) && self.until.is_none_or(|until| time < until)
        })
    }

    /// Whether a record is older than all that was asked for.
    pub(super) fn is_before(&self, record: &Record<'_>) -> bool {
        let time = record.time.map(Stamp::instant);
        self.since.zip(time).is_some_and(|(since, time)| time < since)
    }

    fn is_from(&self, client: Option<Text<'_>>) -> bool {
        if self.from.is_empty() {
            return true;
        }
        let Some(address) = client.and_then(|client| address(&client.decode())) else { return false };
        self.from.iter().all(|list| list.iter().any(|network| network.contains(&address)))
    }

    fn is_bot(&self, agent: Option<Text<'_>>) -> bool {
        let agent = agent.map(Text::decode).unwrap_or_default();
        self.bot.as_ref().is_some_and(|bot| bot.is_match(&agent))
    }
}

/// Whether the field is in each of the lists.
fn in_each(lists: &[Vec<String>], field: Option<Text<'_>>, is: impl Fn(&[u8], &str) -> bool) -> bool {
    lists.is_empty()
        || field.is_some_and(|field| {
            let field = field.decode();
            lists.iter().all(|list| list.iter().any(|name| is(&field, name)))
        })
}

/// Whether each expression is found in the field.
fn found<'a>(expressions: &[Regex], field: impl Fn() -> Option<std::borrow::Cow<'a, [u8]>>) -> bool {
    expressions.is_empty() || {
        let field = field().unwrap_or_default();
        expressions.iter().all(|expression| expression.is_match(&field))
    }
}

/// Each text is a list; `read` takes one of its parts.
pub(super) fn lists<T>(
    name: &str,
    texts: &[String],
    instead: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<Vec<T>>, String> {
    let wrong = |text: &str| format!("{name} {text}: {instead}");
    let list =
        |text: &String| text.split(',').map(|part| read(part.trim()).ok_or_else(|| wrong(text))).collect();
    texts.iter().map(list).collect()
}

/// `404`, `5xx`, `400-499`.
fn statuses(part: &str) -> Option<RangeInclusive<u16>> {
    let status = |text: &str| -> Option<u16> {
        let is_status = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        let status = if is_status { text.parse().ok() } else { None };
        status.filter(|status| (100..600).contains(status))
    };
    if let Some((first, last)) = part.split_once('-') {
        let (first, last) = (status(first)?, status(last)?);
        return (first <= last).then_some(first..=last);
    }
    match part.as_bytes() {
        [class @ b'1'..=b'5', b'x' | b'X', b'x' | b'X'] => {
            let first = u16::from(class - b'0') * 100;
            Some(first..=first + 99)
        }
        _ => status(part).map(|status| status..=status),
    }
}

fn word(part: &str) -> Option<String> {
    (!part.is_empty()).then(|| part.to_owned())
}

/// A host's name without port; `.shop.example` is written for its subdomains too, which a name always means.
pub(super) fn host(part: &str) -> Option<String> {
    let bare = core::str::from_utf8(bare_host(part.as_bytes())).ok()?;
    let bare = bare.strip_prefix('.').unwrap_or(bare);
    (!bare.is_empty() && !part.contains('/')).then(|| bare.to_ascii_lowercase())
}

fn network(part: &str) -> Option<IpNet> {
    part.parse::<IpNet>().ok().or_else(|| Some(part.parse::<IpAddr>().ok()?.to_canonical().into()))
}

fn expressions(name: &str, texts: &[String], max: usize) -> Result<Vec<Regex>, String> {
    let wrong = |text: &str, error: &str| format!("{name} {text}: {error}");
    texts.iter().map(|text| expression(text, max).map_err(|error| wrong(text, &error))).collect()
}

/// Compiles an expression that may need `max` bytes, and as many for its cache as any other; in a text that is not UTF-8 it is
/// searched as well.
pub(in crate::weblog) fn expression(text: &str, max: usize) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(max).dfa_size_limit(REGEX_MAX).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            "too large: write a shorter one, with smaller repetitions".to_owned()
        }
        error => {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("{reason}: write a regular expression, with \\ before what is meant as it stands")
        }
    })
}

/// An address as logs write it: bare, in brackets, or with a port. One of IPv4 in IPv6's clothes is one of IPv4.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok();
    let address = address.or_else(|| Some(text.parse::<core::net::SocketAddr>().ok()?.ip()))?;
    Some(address.to_canonical())
}

/// Whether a host, which may have a port, is `name` or below it; `name` is in lower case.
pub(super) fn is_on(host: &[u8], name: &str) -> bool {
    let (host, name) = (bare_host(host), name.as_bytes());
    let Some(at) = host.len().checked_sub(name.len()) else { return false };
    let (front, end) = host.split_at(at);
    end.eq_ignore_ascii_case(name) && matches!(front, [] | [.., b'.'])
}

/// A host without port, brackets and the dot of the root.
fn bare_host(host: &[u8]) -> &[u8] {
    let inside = host.strip_prefix(b"[").and_then(|rest| rest.get(..memchr::memchr(b']', rest)?));
    if let Some(inside) = inside {
        return inside;
    }
    let bare = match memchr::memchr(b':', host) {
        Some(at) if memchr::memrchr(b':', host) == Some(at) => host.get(..at).unwrap_or(host),
        _ => host, // none, or an address of IPv6
    };
    bare.strip_suffix(b".").unwrap_or(bare)
}

/// The host of a referrer, with its port.
pub(super) fn referrer_host(referrer: &[u8]) -> &[u8] {
    let rest = memmem::find(referrer, b"://").and_then(|at| referrer.get(at + 3..)).unwrap_or(referrer);
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#' | b'\\'));
    let authority = rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest);
    memchr::memrchr(b'@', authority).and_then(|at| authority.get(at + 1..)).unwrap_or(authority)
}
