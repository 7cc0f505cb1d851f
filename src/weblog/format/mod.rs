//! Lines as records: the formats of access logs, named, pasted or found out.
//!
//! A [`RecordParser`] reads the lines of one source. It does not know files, nor what a record is for.

mod alb;
mod combined;
mod directive;
mod fields;
mod json;
mod s3;
mod traefik;
mod vhost;
mod w3c;

use super::record::{Malformed, Record};
use super::time::Stamps;
use crate::driver::text::escaped;
use core::fmt;
use directive::Directive;
use json::Dialect;
use w3c::Columns;

/// Lines that are no records, one after the other, after which a format that was found out is looked for anew.
pub const BAD_LINES_MAX: u32 = 100;

/// Lines that are not empty and fit no format, after which the combined one is assumed.
pub const UNKNOWN_LINES_MAX: u32 = 20;

/// Records of Traefik's JSON without a referrer, from the first on, after which it is taken to write none: unless it is told to,
/// it leaves out the headers of requests.
pub const BARE_RECORDS_MAX: u32 = 20;

const NO_REFERRER: &str = "its format has no referrer: nothing is shown; try --show hits";

const BARE: &str = "no record has a referrer: nothing is shown; try --show hits, or have Traefik write it: \
                    accessLog.fields.headers.names.Referer: keep";

/// The names of formats, as they are written and told.
pub const NAMES: [&str; 11] =
    ["common", "combined", "vhost", "nginx", "caddy", "traefik", "json", "alb", "cloudfront", "w3c", "s3"];

/// The lines of one source, in a format that was named or is found out from them.
#[derive(Clone, Debug)]
pub struct RecordParser {
    format: Option<Format>,
    /// The user's choice: it stays, whatever lines come.
    named: bool,
    /// No format fits, so the combined one is assumed; the others are still tried.
    assumed: bool,
    /// That was told.
    told: bool,
    /// Lines in a row that are no records; while the format is not known, those that are not empty.
    bad: u32,
    news: Option<News>,
    /// The name that was told last.
    last: Option<&'static str>,
    /// Those of W3C, which its directives change.
    columns: Columns,
    stamps: Stamps,
}

/// What a source's user may want to know about its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It was named, or found out: this one.
    Found(&'static str),
    /// No format fits so many lines; the combined one is assumed.
    NotRecognised,
    /// The file is not of bytes at all.
    Utf16,
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found(name) => write!(f, "format {name}"),
            Self::NotRecognised => {
                f.write_str("format not recognised, combined assumed: name it with --log-format")
            }
            Self::Utf16 => f.write_str("UTF-16 is not read: have the log written as UTF-8"),
        }
    }
}

#[derive(Clone, Debug)]
enum Format {
    Common,
    Combined,
    Vhost,
    Nginx,
    /// JSON of any dialect.
    Json(Dialect),
    /// The common log format of its own, or JSON; which of them the last line was in.
    Traefik {
        is_common: bool,
        /// Records of JSON, as long as none had a referrer.
        bare: Option<u32>,
    },
    Alb,
    W3c,
    S3,
    Directive(Box<Directive>),
}

impl Default for RecordParser {
    fn default() -> Self {
        Self::detecting()
    }
}

impl RecordParser {
    /// Finds the format out from the first lines.
    #[must_use]
    pub fn detecting() -> Self {
        Self {
            format: None,
            named: false,
            assumed: false,
            told: false,
            bad: 0,
            news: None,
            last: None,
            columns: Columns::iis(),
            stamps: Stamps::default(),
        }
    }

    /// Reads lines of a format by its name, one of [`NAMES`], or by the server's own directive: Apache's `LogFormat` or nginx's
    /// `log_format`, with or without the directive's word.
    ///
    /// # Errors
    /// No such name, or what is wrong with the directive; and what to write.
    pub fn named(format: &str) -> Result<Self, String> {
        let mut parser = Self { named: true, ..Self::detecting() };
        parser.format = Some(match format.trim().to_ascii_lowercase().as_str() {
            "common" => Format::Common,
            "combined" => Format::Combined,
            "vhost" => Format::Vhost,
            "nginx" => Format::Nginx,
            "caddy" => Format::Json(Dialect::Caddy),
            "traefik" => Format::Traefik { is_common: false, bare: Some(0) },
            "json" => Format::Json(Dialect::Other),
            "alb" => Format::Alb,
            "cloudfront" => {
                parser.columns = Columns::cloudfront();
                Format::W3c
            }
            "w3c" => Format::W3c,
            "s3" => Format::S3,
            _ if format.contains(['%', '$']) => Format::Directive(Box::new(Directive::compile(format)?)),
            _ => {
                return Err(format!(
                    "no log format \"{}\": write {}, or paste the server's own LogFormat (\"%h %l …\") or log_format \
                     (\"$remote_addr - …\")",
                    escaped(format.trim().as_bytes()),
                    NAMES.join(", ")
                ));
            }
        });
        parser.found();
        Ok(parser)
    }

    /// Reads a line without its end. `None` for one that is no record by its format's own rules, as W3C's directives. NULs (the
    /// hole in a file that was truncated under its writer) and a byte order mark at the beginning of a line are passed over.
    ///
    /// # Errors
    /// A line that is no record of the format; an empty one too.
    pub fn parse<'a>(&mut self, line: &'a [u8]) -> Result<Option<Record<'a>>, Malformed> {
        let line = match line.first() {
            Some(0 | 0xef | 0xfe | 0xff) => self.begin(line),
            _ => line,
        };
        let Some(format) = &mut self.format else { return self.detect(line) };
        let record = format.parse(line, &mut self.columns, &mut self.stamps);
        match record {
            Ok(_) => self.bad = 0,
            Err(Malformed) => self.count_bad_line(),
        }
        record
    }

    #[cold]
    fn count_bad_line(&mut self) {
        if self.named {
            return;
        }
        self.bad += 1;
        if self.bad >= BAD_LINES_MAX {
            (self.format, self.bad, self.assumed) = (None, 0, false);
        }
    }

    /// Learns from the beginning of a file that is read from a later place: the directives of W3C and the format, but no
    /// records. What follows the last whole line is left out.
    pub fn learn(&mut self, head: &[u8]) {
        for line in head.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n")) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
            if line.starts_with(b"#") || self.format.is_none() {
                let _no_record = self.parse(line);
            }
        }
    }

    /// The format's name, once it is known or assumed; of a pasted one the directive's word.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        match &self.format {
            Some(format) => Some(format.name(&self.columns)),
            None => self.assumed.then_some("combined"),
        }
    }

    /// What is new since the last call.
    pub const fn take_news(&mut self) -> Option<News> {
        self.news.take()
    }

    /// No more lines come: what is still to be said. A log may be too short for [`UNKNOWN_LINES_MAX`].
    pub fn finish(&mut self) -> Option<News> {
        let unknown = self.last.is_none() && self.bad > 0 && !core::mem::replace(&mut self.told, true);
        unknown.then_some(News::NotRecognised)
    }

    /// That records have no referrer, and what to do about it; `None` if they may, and while the format is not known. `at_end`:
    /// no more lines come.
    #[must_use]
    pub fn no_referrer(&self, at_end: bool) -> Option<&'static str> {
        let (lacks, words) = match &self.format {
            Some(Format::Common | Format::Alb) => (true, NO_REFERRER),
            Some(Format::W3c) => (!self.columns.has_referrer(), NO_REFERRER),
            Some(Format::Directive(directive)) => (!directive.has_referrer(), NO_REFERRER),
            Some(Format::Traefik { is_common: false, bare: Some(bare) }) => {
                (*bare >= BARE_RECORDS_MAX || at_end && *bare > 0, BARE)
            }
            _ => (false, ""),
        };
        lacks.then_some(words)
    }

    /// Whether the next records may still tell that there are no referrers.
    #[must_use]
    pub const fn may_be_bare(&self) -> bool {
        matches!(&self.format, Some(Format::Traefik { is_common: false, bare: Some(0..BARE_RECORDS_MAX) }))
    }

    /// Whether it is sure before the first line what records have.
    #[must_use]
    pub const fn is_fixed(&self) -> bool {
        self.named && !matches!(&self.format, Some(Format::W3c | Format::Traefik { .. }))
    }

    /// Whether records of the format may have a virtual host. True while the format is not known; of Traefik's two it is that
    /// of the last line.
    #[must_use]
    pub fn has_host(&self) -> bool {
        match &self.format {
            Some(Format::Common | Format::Combined | Format::Nginx) => false,
            Some(Format::Traefik { is_common, .. }) => !is_common,
            Some(Format::W3c) => self.columns.has_host(),
            Some(Format::Directive(directive)) => directive.has_host(),
            Some(_) => true,
            None => !self.assumed,
        }
    }

    /// A line without what may stand before it.
    fn begin<'a>(&mut self, line: &'a [u8]) -> &'a [u8] {
        let nuls = line.iter().take_while(|byte| **byte == 0).count();
        let line = line.get(nuls..).unwrap_or_default();
        if self.last.is_none() && matches!(line, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
            (self.news, self.told) = (Some(News::Utf16), true);
        }
        line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
    }

    /// Takes the first format that fits the line; the record, if one does.
    fn detect<'a>(&mut self, line: &'a [u8]) -> Result<Option<Record<'a>>, Malformed> {
        if line.is_empty() {
            return Err(Malformed);
        }
        if let [b'#', ..] = line {
            if self.columns.directive(line) {
                self.format = Some(Format::W3c);
                self.found();
            }
            return if w3c::is_directive(line) { Ok(None) } else { Err(Malformed) };
        }
        let found = Format::of(line, &mut self.columns, &mut self.stamps);
        if let Some((format, record)) = found {
            (self.format, self.bad, self.assumed) = (Some(format), 0, false);
            self.found();
            return Ok(record);
        }
        self.bad = self.bad.saturating_add(1);
        if self.bad == UNKNOWN_LINES_MAX {
            self.assumed = true;
            if !self.told {
                (self.news, self.told) = (Some(News::NotRecognised), true);
            }
        }
        Err(Malformed)
    }

    /// Tells which format it is, if another one was told before.
    fn found(&mut self) {
        let name = self.format.as_ref().map(|format| format.name(&self.columns));
        if name != self.last {
            (self.last, self.news) = (name, name.map(News::Found));
        }
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Format {
    #[inline(always)] // a record is large: it is made where it is wanted
    fn parse<'a>(
        &mut self,
        line: &'a [u8],
        columns: &mut Columns,
        stamps: &mut Stamps,
    ) -> Result<Option<Record<'a>>, Malformed> {
        match self {
            Self::Common | Self::Combined => {
                let mut record = Record::default();
                combined::parse(line, stamps, &mut record)?;
                Ok(Some(record))
            }
            Self::Nginx => {
                let mut record = Record::default();
                let behind = combined::parse(line, stamps, &mut record)?;
                record.forwarded_for = behind.and_then(combined::forwarded_for);
                Ok(Some(record))
            }
            Self::Vhost => vhost::parse(line, stamps).map(Some),
            Self::Traefik { is_common, bare } => {
                *is_common = !line.starts_with(b"{");
                if *is_common {
                    return traefik::parse(line, stamps).map(Some);
                }
                let record = json::parse(line)?.map(|(record, _)| record);
                let is_bare = record.as_ref().is_none_or(|record| record.referrer.is_none());
                *bare = bare.filter(|_| is_bare).map(|bare| bare.saturating_add(1));
                Ok(record)
            }
            Self::Json(_) => Ok(json::parse(line)?.map(|(record, _)| record)),
            Self::Alb => alb::parse(line).map(Some),
            Self::W3c if line.starts_with(b"#") => {
                columns.directive(line);
                Ok(None)
            }
            Self::W3c => columns.parse(line).map(Some),
            Self::S3 => s3::parse(line, stamps).map(Some),
            Self::Directive(directive) => directive.parse(line, stamps).map(Some),
        }
    }

    /// The first format that fits a line, by priority, and what the line is in it. What is read strictly comes before what takes
    /// much: a line of Traefik's or with a virtual host passes for a combined one too.
    fn of<'a>(
        line: &'a [u8],
        columns: &mut Columns,
        stamps: &mut Stamps,
    ) -> Option<(Self, Option<Record<'a>>)> {
        if line.starts_with(b"{") {
            return json::parse(line).ok().map(|found| match found {
                Some((record, Dialect::Traefik)) => {
                    let bare = record.referrer.is_none().then_some(1);
                    (Self::Traefik { is_common: false, bare }, Some(record))
                }
                Some((record, dialect)) => (Self::Json(dialect), Some(record)),
                None => (Self::Json(Dialect::Caddy), None),
            });
        }
        if let Ok(record) = alb::parse(line) {
            return Some((Self::Alb, Some(record)));
        }
        if let Ok(record) = s3::parse(line, stamps) {
            return Some((Self::S3, Some(record)));
        }
        if let Ok(record) = traefik::parse(line, stamps) {
            return Some((Self::Traefik { is_common: true, bare: Some(0) }, Some(record)));
        }
        if let Ok(record) = vhost::parse(line, stamps)
            && vhost::is(line)
        {
            return Some((Self::Vhost, Some(record)));
        }
        let mut record = Record::default();
        if let Ok(behind) = combined::parse(line, stamps, &mut record) {
            let format = match behind {
                None => Self::Common,
                Some(b"") => Self::Combined,
                Some(behind) => {
                    record.forwarded_for = combined::forwarded_for(behind);
                    Self::Nginx
                }
            };
            return Some((format, Some(record)));
        }
        let without_directive = w3c::of(line, columns)?;
        *columns = without_directive;
        columns.parse(line).ok().map(|record| (Self::W3c, Some(record)))
    }

    const fn name(&self, columns: &Columns) -> &'static str {
        match self {
            Self::Common => "common",
            Self::Combined => "combined",
            Self::Vhost => "vhost",
            Self::Nginx => "nginx",
            Self::Json(Dialect::Caddy) => "caddy",
            Self::Json(_) => "json",
            Self::Traefik { .. } => "traefik",
            Self::Alb => "alb",
            Self::W3c if columns.cloudfront => "cloudfront",
            Self::W3c => "w3c",
            Self::S3 => "s3",
            Self::Directive(directive) => directive.name,
        }
    }
}

#[cfg(test)]
mod tests;
