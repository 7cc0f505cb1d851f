//! A format as the server's own configuration names it: Apache's `LogFormat`, nginx's `log_format`.
//!
//! The text is compiled once, to fields with the literals between them. A field that a quote opens and the next one closes ends
//! at the first bare quote; any other ends where the literal behind it comes first, once what the field itself holds of it is
//! passed. What a variable means is said in `apache` and `nginx`; one that is unknown is read over.

mod apache;
mod nginx;

use super::fields::{client, seconds, size, status, until_quote, without_port};
use crate::weblog::record::{Escapes, Malformed, Record, Text};
use crate::weblog::time::{NoStamp, Stamp, Stamps};
use jiff::fmt::strtime::BrokenDownTime;
use memchr::memmem::{self, Finder};

/// A compiled format.
#[derive(Clone, Debug)]
pub(super) struct Directive {
    /// What a line begins with.
    start: Vec<u8>,
    steps: Vec<Step>,
    /// How the server writes what could end a field.
    escapes: Escapes,
    /// The directive's word.
    pub(super) name: &'static str,
}

/// A field, and the literal that ends it; an empty one ends at the line's end.
#[derive(Clone, Debug)]
struct Step {
    field: Field,
    end: Finder<'static>,
    /// Quotes stand on both sides, and none inside without a backslash.
    quoted: bool,
    /// How often the field itself holds what ends it.
    inside: usize,
}

/// What stands between two literals.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Time(Form),
    Client,
    User,
    Host,
    Request,
    Method,
    Target,
    /// `http://host/target`, or the same without the scheme.
    HostAndTarget,
    Query,
    Protocol,
    Status,
    Size,
    Referrer,
    Agent,
    Duration(Unit),
    ForwardedFor,
    /// Read over.
    Other,
}

/// How a time is written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Common,
    Rfc3339,
    /// A number since 1970.
    Epoch,
    /// By a format of strftime.
    Strftime(String),
}

/// What a duration counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Seconds,
    Milliseconds,
    Microseconds,
}

/// A part of the text that is compiled. Of several fields that mean the same the one with the highest number is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Field(Field, u8),
}

impl Directive {
    /// Compiles a text with `%` or `$` in it.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let begins =
            |word: &str| text.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
        let variable = |(at, _): (usize, &str)| {
            text.as_bytes()
                .get(at + 1)
                .is_some_and(|next| next.is_ascii_alphabetic() || matches!(next, b'{' | b'_'))
        };
        let (pieces, escapes, name) =
            if begins("log_format") || !begins("LogFormat") && text.match_indices('$').any(variable) {
                let (pieces, escapes) = nginx::pieces(text)?;
                (pieces, escapes, "log_format")
            } else {
                (apache::pieces(text)?, Escapes::Backslash, "LogFormat")
            };
        Self::of(best(joined(pieces)), escapes, name)
    }

    fn of(pieces: Vec<Piece>, escapes: Escapes, name: &'static str) -> Result<Self, String> {
        let (mut start, mut steps) = (Vec::new(), Vec::<Step>::new());
        let mut pieces = pieces.into_iter().peekable();
        if let Some(Piece::Literal(_)) = pieces.peek()
            && let Some(Piece::Literal(literal)) = pieces.next()
        {
            start = literal;
        }
        let mut before = start.clone();
        while let Some(piece) = pieces.next() {
            let Piece::Field(field, _) = piece else { continue };
            let end = match pieces.peek() {
                Some(Piece::Literal(literal)) => literal.clone(),
                _ => Vec::new(),
            };
            let quoted = escapes != Escapes::None && before.ends_with(b"\"") && end.starts_with(b"\"");
            let inside = field.holds(&end);
            steps.push(Step { field, end: Finder::new(&end).into_owned(), quoted, inside });
            before = end;
        }
        if steps.iter().all(|step| step.field == Field::Other) {
            return Err(format!(
                "the {name} has no variable that is known: write one with {}",
                if name == "LogFormat" {
                    "%h, %t, %r, %>s"
                } else {
                    "$remote_addr, $time_local, $request, $status"
                }
            ));
        }
        Ok(Self { start, steps, escapes, name })
    }

    /// Reads a line.
    pub(super) fn parse<'a>(&self, line: &'a [u8], stamps: &mut Stamps) -> Result<Record<'a>, Malformed> {
        let mut rest = line.strip_prefix(self.start.as_slice()).ok_or(Malformed)?;
        let mut record = Record::default();
        let last = self.steps.len().saturating_sub(1);
        for (at, step) in self.steps.iter().enumerate() {
            let (field, behind) = step.split(rest, at == last)?;
            step.field.set(field, self.escapes, &mut record, stamps)?;
            rest = behind;
        }
        if rest.is_empty() { Ok(record) } else { Err(Malformed) }
    }

    /// Whether lines have a referrer.
    pub(super) fn has_referrer(&self) -> bool {
        self.steps.iter().any(|step| step.field == Field::Referrer)
    }

    /// Whether lines have a virtual host.
    pub(super) fn has_host(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.field, Field::Host | Field::HostAndTarget))
    }
}

impl Step {
    /// The field at the beginning of `rest`, and what follows the literal behind it.
    fn split<'a>(&self, rest: &'a [u8], last: bool) -> Result<(&'a [u8], &'a [u8]), Malformed> {
        let end = self.end.needle();
        if self.quoted {
            let (field, _) = until_quote(rest)?;
            let behind = rest.get(field.len()..).and_then(|rest| rest.strip_prefix(end));
            return Ok((field, behind.ok_or(Malformed)?));
        }
        if last {
            return Ok((rest.strip_suffix(end).ok_or(Malformed)?, b""));
        }
        let mut at = 0;
        for inside in (0..=self.inside).rev() {
            at += self.end.find(rest.get(at..).ok_or(Malformed)?).ok_or(Malformed)?;
            at += if inside > 0 { end.len() } else { 0 };
        }
        let (field, behind) = rest.split_at_checked(at).ok_or(Malformed)?;
        Ok((field, behind.get(end.len()..).ok_or(Malformed)?))
    }
}

impl Field {
    /// How often a value holds `end`.
    fn holds(&self, end: &[u8]) -> usize {
        let sample = match self {
            Self::Time(Form::Common) => "01/Mar/2026:00:00:00 +0000",
            Self::Time(Form::Rfc3339) => "2026-03-01T00:00:00+00:00",
            Self::Time(Form::Strftime(format)) => format,
            _ => return 0,
        };
        if end.is_empty() { 0 } else { memmem::find_iter(sample.as_bytes(), end).count() }
    }

    fn set<'a>(
        &self,
        bytes: &'a [u8],
        escapes: Escapes,
        record: &mut Record<'a>,
        stamps: &mut Stamps,
    ) -> Result<(), Malformed> {
        let text = Text::new(bytes, escapes);
        match self {
            Self::Time(_) if text.is_none() => {}
            Self::Time(form) => record.time = Some(form.read(bytes, stamps).map_err(|_| Malformed)?),
            Self::Client => record.client = client(without_port(bytes))?,
            Self::User => record.user = user(bytes, escapes)?,
            Self::Host => record.host = Text::new(without_port(bytes), escapes),
            Self::Request => {
                if let Some(request) = text {
                    record.set_request(request);
                }
            }
            Self::Method => record.method = text,
            Self::Target => record.target = text,
            Self::HostAndTarget => {
                let scheme = memmem::find(bytes, b"://").map_or(0, |at| at + 3);
                let rest = bytes.get(scheme..).unwrap_or_default();
                let (host, target) = rest
                    .split_at_checked(memchr::memchr(b'/', rest).unwrap_or(rest.len()))
                    .unwrap_or((rest, b""));
                record.host = Text::new(without_port(host), escapes);
                record.target = Text::new(target, escapes);
            }
            Self::Query => record.query = Text::new(bytes.strip_prefix(b"?").unwrap_or(bytes), escapes),
            Self::Protocol => record.protocol = text,
            Self::Status => record.status = if bytes.is_empty() { None } else { status(bytes)? },
            Self::Size if bytes.is_empty() => {}
            Self::Size => (record.size, record.has_size) = (size(bytes)?, true),
            Self::Referrer => record.referrer = text,
            Self::Agent => record.agent = text,
            Self::Duration(unit) => {
                record.duration = seconds(bytes).map(|number| number / unit.of_a_second())
            }
            Self::ForwardedFor => record.forwarded_for = text,
            Self::Other => {}
        }
        Ok(())
    }
}

impl Form {
    fn read(&self, bytes: &[u8], stamps: &mut Stamps) -> Result<Stamp, NoStamp> {
        match self {
            Self::Common => stamps.parse_common(bytes.try_into().map_err(|_| NoStamp)?),
            Self::Rfc3339 => Stamp::parse_rfc3339(bytes),
            Self::Epoch => Stamp::parse_epoch_of_any_unit(bytes),
            Self::Strftime(format) => strftime(format, bytes),
        }
    }
}

/// A time by its format; UTC where the format has no zone.
fn strftime(format: &str, bytes: &[u8]) -> Result<Stamp, NoStamp> {
    let time = BrokenDownTime::parse(format, bytes).map_err(|_| NoStamp)?;
    let offset = time.offset().map_or(0, |offset| offset.seconds());
    let instant = match time.to_timestamp() {
        Ok(instant) => instant,
        Err(_) => {
            let utc = time.to_datetime().and_then(|local| jiff::tz::TimeZone::UTC.to_timestamp(local));
            utc.map_err(|_| NoStamp)?
        }
    };
    let nanoseconds = u32::try_from(instant.subsec_nanosecond()).map_err(|_| NoStamp)?;
    let digits = [("%3f", 3), ("%6f", 6), ("%f", 9)].into_iter().find(|(mark, _)| format.contains(mark));
    let stamp = Stamp::utc(instant.as_second(), nanoseconds, digits.map_or(0, |(_, digits)| digits));
    Ok(stamp.east(i16::try_from(offset / 60).map_err(|_| NoStamp)?))
}

impl Unit {
    const fn of_a_second(self) -> u32 {
        match self {
            Self::Seconds => 1,
            Self::Milliseconds => 1000,
            Self::Microseconds => 1_000_000,
        }
    }
}

/// A user's name. With a bare quote in it two lines were glued together; Apache writes an empty one as two quotes.
fn user(bytes: &[u8], escapes: Escapes) -> Result<Option<Text<'_>>, Malformed> {
    let bare = match escapes {
        Escapes::None => memchr::memchr(b'"', bytes).is_some(),
        _ => until_quote(bytes).is_ok(),
    };
    match bytes {
        b"\"\"" => Ok(None),
        _ if bare => Err(Malformed),
        _ => Ok(Text::new(bytes, escapes)),
    }
}

/// Joins what lies side by side: literals, parts of a target, a host and a target, parts of a time, what is read over.
fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    for piece in pieces {
        let joined = match (out.as_slice(), &piece) {
            ([.., Piece::Literal(before)], Piece::Literal(literal)) => {
                (1, Piece::Literal([before.as_slice(), literal].concat()))
            }
            (
                [.., Piece::Field(Field::Time(Form::Strftime(before)), rank), Piece::Literal(between)],
                Piece::Field(Field::Time(Form::Strftime(format)), _),
            ) => {
                let between = String::from_utf8_lossy(between).replace('%', "%%");
                (
                    2,
                    Piece::Field(
                        Field::Time(Form::Strftime([before, between.as_str(), format].concat())),
                        *rank,
                    ),
                )
            }
            ([.., Piece::Field(before, rank)], Piece::Field(field, other)) => {
                let field = match (before, field) {
                    (Field::Target, Field::Query | Field::Other) => Field::Target,
                    (Field::Host | Field::HostAndTarget, Field::Target) => Field::HostAndTarget,
                    (Field::HostAndTarget, Field::Query | Field::Other) => Field::HostAndTarget,
                    (Field::Time(Form::Strftime(a)), Field::Time(Form::Strftime(b))) => {
                        Field::Time(Form::Strftime([a.as_str(), b].concat()))
                    }
                    _ => Field::Other,
                };
                (1, Piece::Field(field, *rank.max(other)))
            }
            _ => (0, piece),
        };
        out.truncate(out.len() - joined.0);
        out.push(joined.1);
    }
    out
}

/// Of fields that mean the same keeps the best; the others are read over.
fn best(mut pieces: Vec<Piece>) -> Vec<Piece> {
    let all = pieces.clone();
    let same = |a: &Field, b: &Field| core::mem::discriminant(a) == core::mem::discriminant(b);
    for (at, piece) in pieces.iter_mut().enumerate() {
        let Piece::Field(field, rank) = piece else { continue };
        let better = all.iter().enumerate().any(|(other_at, other)| match other {
            Piece::Field(other, other_rank) => {
                same(field, other) && (*other_rank > *rank || *other_rank == *rank && other_at < at)
            }
            Piece::Literal(_) => false,
        });
        if better {
            *field = Field::Other;
        }
    }
    pieces
}

#[cfg(test)]
mod tests;
