//! The extended format of W3C, as IIS and CloudFront write it: directives say which columns follow.
//!
//! ```text
//! #Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status …
//! 2026-03-01 00:00:00 10.0.0.9 GET /a q=1 443 - 203.0.113.7 Mozilla/5.0+(X11) https://x.org/ 200 …
//! ```
//!
//! `#Fields` may come again with other columns in the middle of a file. IIS separates by spaces and writes `+` for one inside;
//! CloudFront separates by tabs and writes `%HH`. Columns may be added behind those that are named. Times are UTC.

use super::fields::{client, number, seconds, size, status, without_port};
use crate::weblog::record::{Escapes, Malformed, Record, Text};
use crate::weblog::time::Stamp;
use core::time::Duration;
use std::borrow::Cow;

/// Which column holds what, and what it is for when none was named: IIS's own choice.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    columns: Cow<'static, [Column]>,
    /// The day of `#Date`, for columns without one.
    day: Option<[u8; 10]>,
    /// CloudFront wrote it.
    pub(super) cloudfront: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Date,
    Time,
    Client,
    User,
    /// The virtual host; the higher number is nearer to what the client asked for.
    Host(u8),
    Method,
    Stem,
    Query,
    Protocol,
    Status,
    Size,
    Referrer,
    Agent,
    Duration,
    ForwardedFor,
    Other,
}

/// What IIS writes unless it is told otherwise.
const IIS: [Column; 15] = [
    Column::Date,
    Column::Time,
    Column::Other,
    Column::Method,
    Column::Stem,
    Column::Query,
    Column::Other,
    Column::User,
    Column::Client,
    Column::Agent,
    Column::Referrer,
    Column::Status,
    Column::Other,
    Column::Other,
    Column::Duration,
];

/// The first columns of CloudFront, which has more behind them.
const CLOUDFRONT: [Column; 24] = [
    Column::Date,
    Column::Time,
    Column::Other,
    Column::Size,
    Column::Client,
    Column::Method,
    Column::Host(2),
    Column::Stem,
    Column::Status,
    Column::Referrer,
    Column::Agent,
    Column::Query,
    Column::Other,
    Column::Other,
    Column::Other,
    Column::Host(3),
    Column::Other,
    Column::Other,
    Column::Duration,
    Column::ForwardedFor,
    Column::Other,
    Column::Other,
    Column::Other,
    Column::Protocol,
];

impl Columns {
    /// Those of IIS, until a directive names others.
    pub(super) const fn iis() -> Self {
        Self { columns: Cow::Borrowed(&IIS), day: None, cloudfront: false }
    }

    /// Those of CloudFront.
    pub(super) const fn cloudfront() -> Self {
        Self { columns: Cow::Borrowed(&CLOUDFRONT), day: None, cloudfront: true }
    }

    fn named(names: &[u8]) -> Self {
        let cloudfront = memchr::memmem::find(names, b"x-edge-").is_some();
        let words = names.split(|byte| matches!(byte, b' ' | b'\t')).filter(|name| !name.is_empty());
        Self {
            columns: words.map(|name| Column::named(&name.to_ascii_lowercase())).collect(),
            day: None,
            cloudfront,
        }
    }

    /// Takes a line that begins with `#`; true if it named the columns.
    pub(super) fn directive(&mut self, line: &[u8]) -> bool {
        if let Some(names) = line.strip_prefix(b"#Fields:") {
            *self = Self { day: self.day, ..Self::named(names) };
            return true;
        }
        if let Some(date) = line.strip_prefix(b"#Date:") {
            self.day = date.trim_ascii_start().first_chunk().copied();
        }
        false
    }

    /// Reads a line that is no directive.
    pub(super) fn parse<'a>(&self, line: &'a [u8]) -> Result<Record<'a>, Malformed> {
        let separator = if memchr::memchr(b'\t', line).is_some() { b'\t' } else { b' ' };
        let mut values = line.split(|byte| *byte == separator);
        let (mut record, mut host, mut time) = (Record::default(), 0, None);
        let mut day = self.day.as_ref().map(<[u8; 10]>::as_slice);
        for column in self.columns.iter() {
            let value = values.next().ok_or(Malformed)?;
            match *column {
                Column::Date => day = Some(value),
                Column::Time => time = Some(value),
                Column::Host(rank) if rank > host => {
                    record.host = Text::plain(without_port(value)).or(record.host);
                    host = if record.host.is_some() { rank } else { host };
                }
                column => self.set(column, value, &mut record)?,
            }
        }
        if let (Some(day), Some(time)) = (day, time) {
            record.time = Some(stamp(day, time)?);
        }
        if record.status.is_none() && record.target.is_none() {
            return Err(Malformed);
        }
        Ok(record)
    }

    fn set<'a>(&self, column: Column, value: &'a [u8], record: &mut Record<'a>) -> Result<(), Malformed> {
        let escapes = if self.cloudfront { Escapes::Percent } else { Escapes::Plus };
        let of_target = if self.cloudfront { Escapes::Percent } else { Escapes::None };
        match column {
            Column::Client => record.client = client(value)?,
            Column::User if value.contains(&b'"') => return Err(Malformed),
            Column::User => record.user = Text::plain(value),
            Column::Method => record.method = Text::plain(value),
            Column::Stem => record.target = Text::new(value, of_target),
            Column::Query => record.query = Text::new(value, of_target),
            Column::Protocol => record.protocol = Text::plain(value),
            Column::Status if self.cloudfront && value == b"000" => {}
            Column::Status => record.status = status(value)?,
            Column::Size => (record.size, record.has_size) = (size(value)?, true),
            Column::Referrer => record.referrer = Text::new(value, escapes),
            Column::Agent => record.agent = Text::new(value, escapes),
            Column::Duration => record.duration = self.duration(value),
            Column::ForwardedFor => record.forwarded_for = Text::new(value, escapes),
            Column::Date | Column::Time | Column::Host(_) | Column::Other => {}
        }
        Ok(())
    }

    /// CloudFront counts seconds, with a fraction; IIS whole milliseconds.
    fn duration(&self, value: &[u8]) -> Option<Duration> {
        match number(value) {
            Ok(milliseconds) if !self.cloudfront => Some(Duration::from_millis(milliseconds)),
            _ => seconds(value),
        }
    }

    /// Whether a column holds the referrer.
    pub(super) fn has_referrer(&self) -> bool {
        self.columns.contains(&Column::Referrer)
    }

    /// Whether a column holds the virtual host.
    pub(super) fn has_host(&self) -> bool {
        self.columns.iter().any(|column| matches!(column, Column::Host(_)))
    }
}

impl Column {
    /// By its name in small letters.
    fn named(name: &[u8]) -> Self {
        match name {
            b"date" => Self::Date,
            b"time" => Self::Time,
            b"c-ip" => Self::Client,
            b"cs-username" => Self::User,
            b"x-host-header" => Self::Host(3),
            b"cs-host" | b"cs(host)" => Self::Host(2),
            b"cs-method" => Self::Method,
            b"cs-uri-stem" | b"cs-uri" => Self::Stem,
            b"cs-uri-query" => Self::Query,
            b"cs-version" | b"cs-protocol-version" => Self::Protocol,
            b"sc-status" => Self::Status,
            b"sc-bytes" => Self::Size,
            b"cs(referer)" | b"cs(referrer)" => Self::Referrer,
            b"cs(user-agent)" => Self::Agent,
            b"time-taken" => Self::Duration,
            b"x-forwarded-for" | b"cs(x-forwarded-for)" => Self::ForwardedFor,
            _ => Self::Other,
        }
    }
}

/// Day and time stand in columns of their own.
fn stamp(day: &[u8], time: &[u8]) -> Result<Stamp, Malformed> {
    let mut text = [b' '; 40];
    let length = day.len() + 1 + time.len();
    let (to_day, to_time) =
        text.get_mut(..length).and_then(|text| text.split_at_mut_checked(day.len())).ok_or(Malformed)?;
    to_day.copy_from_slice(day);
    to_time.get_mut(1..).ok_or(Malformed)?.copy_from_slice(time);
    text.get(..length).and_then(|text| Stamp::parse_rfc3339(text).ok()).ok_or(Malformed)
}

/// Whether a line that begins with `#` is a directive of W3C's.
pub(super) fn is_directive(line: &[u8]) -> bool {
    let names: [&[u8]; 7] =
        [b"#Version:", b"#Fields:", b"#Software:", b"#Date:", b"#Start-Date:", b"#End-Date:", b"#Remark:"];
    names.iter().any(|name| line.starts_with(name))
}

/// The columns that a line has whose directives were not seen, if it begins with a day and a time: those named before, of IIS,
/// or of CloudFront.
pub(super) fn of(line: &[u8], named: &Columns) -> Option<Columns> {
    let (day_and_time, rest) = line.split_first_chunk::<19>()?;
    let (day, time) = day_and_time.split_first_chunk::<10>()?;
    let (separator, time) = time.split_first()?;
    stamp(day, time).ok()?;
    let fits = |columns: &Columns| columns.parse(line).is_ok();
    let choices = match (*separator, rest.first()) {
        (b'\t', Some(b'\t')) => [named.clone(), Columns::cloudfront()],
        (b' ', Some(b' ')) => [named.clone(), Columns::iis()],
        _ => return None,
    };
    choices.into_iter().find(fits)
}
