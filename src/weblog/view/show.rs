//! One text a record, whole lines.
//!
//! What a client of the web server wrote can hold anything; whatever could act on a terminal is escaped here. It does not know
//! which records pass.

use super::json::{Object, number};
use super::mask::combined_line;
use super::template::Template;
use super::{Hit, Place};
use crate::driver::text::escape;
use crate::weblog::lines::Line;
use crate::weblog::record::{Record, Text, path_and_query};
use crate::weblog::time::Stamp;
use base64ct::{Base64, Encoding};
use core::time::Duration;
use std::borrow::Cow;
use std::io::Write;

/// The most bytes of a record as it is shown, without its end. All forms of a line keep to it but a template that names the same
/// fields again and again: a record that it makes longer is left out.
pub const SHOWN_MAX: usize = 1 << 20;

/// How lines are shown.
#[derive(Debug)]
pub(super) enum Form {
    Referrers,
    Hits { coloured: bool, names_sources: bool },
    Raw { escaped: bool },
    Json,
    Template(Template),
}

/// A field by its name in the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Time,
    Source,
    Offset,
    Seq,
    Client,
    User,
    Host,
    Method,
    Resource,
    Path,
    Query,
    Protocol,
    Status,
    Size,
    Referrer,
    Agent,
    Duration,
    ForwardedFor,
    /// The raw line, for templates only.
    Line,
}

/// All fields in their order.
pub(super) const FIELDS: [(&str, Field); 19] = [
    ("time", Field::Time),
    ("source", Field::Source),
    ("offset", Field::Offset),
    ("seq", Field::Seq),
    ("client", Field::Client),
    ("user", Field::User),
    ("host", Field::Host),
    ("method", Field::Method),
    ("resource", Field::Resource),
    ("path", Field::Path),
    ("query", Field::Query),
    ("protocol", Field::Protocol),
    ("status", Field::Status),
    ("size", Field::Size),
    ("referrer", Field::Referrer),
    ("agent", Field::Agent),
    ("duration", Field::Duration),
    ("forwarded_for", Field::ForwardedFor),
    ("line", Field::Line),
];

/// What a field is of a record.
enum Value<'v> {
    Absent,
    Time(Stamp),
    Text(Cow<'v, [u8]>),
    Number(u64),
    Seconds(Duration),
}

/// A record with all that its fields are taken from.
pub(super) struct Shown<'v> {
    place: Place<'v>,
    line: &'v Line<'v>,
    record: &'v Record<'v>,
    resource: Option<Cow<'v, [u8]>>,
    masked: bool,
}

impl<'v> Shown<'v> {
    pub(super) fn new(place: Place<'v>, line: &'v Line<'v>, hit: &'v Hit<'v>) -> Self {
        Self { place, line, record: hit.record(), resource: hit.record().resource(), masked: hit.is_masked() }
    }

    fn value(&'v self, field: Field) -> Value<'v> {
        let record = self.record;
        let resource = self.resource.as_deref();
        let text = |text: Option<Text<'v>>| text.map_or(Value::Absent, |text| Value::Text(text.decode()));
        let bytes = |bytes: Option<&'v [u8]>| match bytes {
            None | Some([]) => Value::Absent,
            Some(bytes) => Value::Text(Cow::Borrowed(bytes)),
        };
        match field {
            Field::Time => record.time.map_or(Value::Absent, Value::Time),
            Field::Source => bytes(Some(self.place.source.as_bytes())),
            Field::Offset => self.line.known_offset().map_or(Value::Absent, Value::Number),
            Field::Seq => self.place.seq.map_or(Value::Absent, Value::Number),
            Field::Client => text(record.client),
            Field::User => text(record.user),
            Field::Host => text(record.host),
            Field::Method => text(record.method),
            Field::Resource => bytes(resource),
            Field::Path => bytes(resource.map(|resource| path_and_query(resource).0)),
            Field::Query => bytes(resource.and_then(|resource| path_and_query(resource).1)),
            Field::Protocol => text(record.protocol),
            Field::Status => record.status.map_or(Value::Absent, |status| Value::Number(status.into())),
            Field::Size if record.has_size => Value::Number(record.size),
            Field::Size => Value::Absent,
            Field::Referrer => text(record.referrer),
            Field::Agent => text(record.agent),
            Field::Duration => record.duration.map_or(Value::Absent, Value::Seconds),
            Field::ForwardedFor => text(record.forwarded_for),
            Field::Line if self.masked => Value::Text(Cow::Owned(anew(record))),
            Field::Line => bytes(Some(self.line.bytes)),
        }
    }

    /// Appends a field as text, `-` for one that is absent.
    pub(super) fn field(&self, field: Field, out: &mut Vec<u8>) {
        match self.value(field) {
            Value::Absent => out.push(b'-'),
            Value::Time(time) => time.write_rfc3339(out),
            Value::Text(text) => escape(&text, out),
            Value::Number(value) => number(value, out),
            Value::Seconds(duration) => seconds(duration, out),
        }
    }

    /// Appends `TIME STATUS METHOD RESOURCE SIZE REFERRER`, the source in front if there are several.
    fn hit(&self, coloured: bool, names_sources: bool, out: &mut Vec<u8>) {
        if names_sources {
            self.field(Field::Source, out);
            out.push(b' ');
        }
        self.field(Field::Time, out);
        out.push(b' ');
        let colour: &[u8] = match self.record.status {
            Some(status) if coloured => match status {
                ..300 => b"\x1b[32m",
                300..400 => b"\x1b[36m",
                400..500 => b"\x1b[33m",
                500.. => b"\x1b[31m",
            },
            _ => b"",
        };
        out.extend_from_slice(colour);
        self.field(Field::Status, out);
        if !colour.is_empty() {
            out.extend_from_slice(b"\x1b[0m");
        }
        for field in [Field::Method, Field::Resource, Field::Size, Field::Referrer] {
            out.push(b' ');
            self.field(field, out);
        }
    }

    /// Appends an object of all fields that are there.
    fn json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        for (name, field) in FIELDS.into_iter().filter(|(_, field)| *field != Field::Line) {
            match self.value(field) {
                Value::Absent => {}
                Value::Time(time) => {
                    let out = object.name(name);
                    out.push(b'"');
                    time.write_rfc3339(out);
                    out.push(b'"');
                }
                Value::Text(text) => object.text(name, &text),
                Value::Number(value) => object.number(name, value),
                Value::Seconds(duration) => seconds(duration, object.name(name)),
            }
        }
        for (name, is) in [("partial", self.line.partial), ("cut", self.line.cut)] {
            if is {
                object.name(name).extend_from_slice(b"true");
            }
        }
        if !self.masked && core::str::from_utf8(self.line.bytes).is_err() {
            object.text("raw_b64", Base64::encode_string(self.line.bytes).as_bytes());
        }
        object.end();
    }
}

impl Form {
    /// Appends what is shown of a hit, with its end.
    pub(super) fn hit(&self, place: Place<'_>, line: &Line<'_>, hit: &Hit<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Raw { escaped } if hit.is_masked() => return raw(&anew(hit.record()), *escaped, out),
            Self::Raw { escaped } => return raw(line.bytes, *escaped, out),
            Self::Referrers if !hit.referred => return,
            _ => {}
        }
        let shown = Shown::new(place, line, hit);
        match self {
            Self::Raw { .. } => {}
            Self::Referrers => {
                shown.field(Field::Referrer, out);
                out.extend_from_slice(b"  --> ");
                shown.field(Field::Resource, out);
            }
            Self::Hits { coloured, names_sources } => shown.hit(*coloured, *names_sources, out),
            Self::Json => shown.json(out),
            Self::Template(template) => template.write(&shown, out),
        }
        out.push(b'\n');
    }
}

/// Appends a line as it stands.
pub(super) fn raw(line: &[u8], escaped: bool, out: &mut Vec<u8>) {
    if escaped {
        escape(line, out);
    } else {
        out.extend_from_slice(line);
    }
    out.push(b'\n');
}

/// A line of what is left of a record.
fn anew(record: &Record<'_>) -> Vec<u8> {
    let mut line = Vec::new();
    combined_line(record, &mut line);
    line
}

fn seconds(duration: Duration, out: &mut Vec<u8>) {
    let _into_memory = write!(out, "{}", duration.as_secs_f64());
}

/// A number in groups of three digits, a space between.
pub(in crate::weblog) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}
