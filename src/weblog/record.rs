//! One request as a log has it: fields that borrow from the line.
//!
//! Nothing is copied or decoded before it is asked for. It does not know how a line of any format is taken apart, nor files,
//! filters or how a record is shown.

use super::time::Stamp;
use core::time::Duration;
use memchr::memchr;
use std::borrow::Cow;

/// A line that is no record of its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// One request as it was logged. Absent, empty and `-` are the same: `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record<'a> {
    /// When.
    pub time: Option<Stamp>,
    /// The client's address.
    pub client: Option<Text<'a>>,
    /// The authenticated user; may hold spaces, never a `"`.
    pub user: Option<Text<'a>>,
    /// The virtual host, without port.
    pub host: Option<Text<'a>>,
    /// The method, if the request has the form of one.
    pub method: Option<Text<'a>>,
    /// What was requested, with its query if that was logged with it: all between method and protocol, or all of a request of
    /// another form.
    pub target: Option<Text<'a>>,
    /// The query, where it was logged apart from the target; without its `?`.
    pub query: Option<Text<'a>>,
    /// The protocol, if the request names one.
    pub protocol: Option<Text<'a>>,
    /// The status of the response.
    pub status: Option<u16>,
    /// Bytes of the response; 0 for `-`, and where nothing is said of them.
    pub size: u64,
    /// Something is said of them.
    pub has_size: bool,
    /// Where the client came from.
    pub referrer: Option<Text<'a>>,
    /// What the client calls itself.
    pub agent: Option<Text<'a>>,
    /// How long the response took.
    pub duration: Option<Duration>,
    /// The clients before the proxies, as those said.
    pub forwarded_for: Option<Text<'a>>,
}

/// How a log writes what could end a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escapes {
    /// As it is.
    #[default]
    None,
    /// `\"`, `\\`, `\xHH` in either case, `\b \n \r \t \v`: Apache's and nginx's.
    Backslash,
    /// Those of a JSON string.
    Json,
    /// `%HH`: CloudFront's.
    Percent,
    /// `+` for a space: IIS's.
    Plus,
}

/// A field as it stands in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    bytes: &'a [u8],
    escapes: Escapes,
}

impl<'a> Text<'a> {
    /// A field of so many bytes; `None` for an empty one and for `-`.
    #[must_use]
    pub fn new(bytes: &'a [u8], escapes: Escapes) -> Option<Self> {
        (!matches!(bytes, b"" | b"-")).then_some(Self { bytes, escapes })
    }

    /// A field without escapes.
    #[must_use]
    pub fn plain(bytes: &'a [u8]) -> Option<Self> {
        Self::new(bytes, Escapes::None)
    }

    /// The field as it stands.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// A part of the field, with the same escapes.
    #[must_use]
    pub fn part(self, bytes: &'a [u8]) -> Option<Self> {
        Self::new(bytes, self.escapes)
    }

    /// The field with its escapes undone, once; what is no escape stays as it is. Nothing is copied if there are none.
    #[must_use]
    pub fn decode(self) -> Cow<'a, [u8]> {
        let (mark, escape): (u8, Undo) = match self.escapes {
            Escapes::None => return Cow::Borrowed(self.bytes),
            Escapes::Backslash => (b'\\', backslash),
            Escapes::Json => (b'\\', json),
            Escapes::Percent => (b'%', percent),
            Escapes::Plus => (b'+', plus),
        };
        let Some(first) = memchr(mark, self.bytes) else { return Cow::Borrowed(self.bytes) };
        let (plain, mut rest) = self.bytes.split_at(first);
        let mut out = Vec::with_capacity(self.bytes.len());
        out.extend_from_slice(plain);
        while let [_, tail @ ..] = rest {
            let length = escape(tail, &mut out);
            if length == 0 {
                out.push(mark);
            }
            let tail = tail.get(length.saturating_sub(1)..).unwrap_or_default();
            let (plain, next) = tail.split_at(memchr(mark, tail).unwrap_or(tail.len()));
            out.extend_from_slice(plain);
            rest = next;
        }
        Cow::Owned(out)
    }
}

/// Undoes one escape: appends what it stands for, and says how long it is with its mark; 0 if it is none.
type Undo = fn(&[u8], &mut Vec<u8>) -> usize;

/// What a backslash and `tail` stand for, appended; how long they are, 0 if they are no escape.
fn backslash(tail: &[u8], out: &mut Vec<u8>) -> usize {
    let (byte, length) = match *tail {
        [byte @ (b'"' | b'\\'), ..] => (byte, 2),
        [b'b', ..] => (8, 2),
        [b't', ..] => (9, 2),
        [b'n', ..] => (10, 2),
        [b'v', ..] => (11, 2),
        [b'r', ..] => (13, 2),
        [b'x', high, low, ..] => match hexadecimal(&[high, low]) {
            Some(byte) => (u8::try_from(byte).unwrap_or_default(), 4),
            None => return 0,
        },
        _ => return 0,
    };
    out.push(byte);
    length
}

/// The same of a JSON string.
fn json(tail: &[u8], out: &mut Vec<u8>) -> usize {
    let byte = match *tail {
        [byte @ (b'"' | b'\\' | b'/'), ..] => byte,
        [b'b', ..] => 8,
        [b't', ..] => 9,
        [b'n', ..] => 10,
        [b'f', ..] => 12,
        [b'r', ..] => 13,
        [b'u', ..] => return unicode(tail, out),
        _ => return 0,
    };
    out.push(byte);
    2
}

/// `uHHHH`, of which two may be the halves of one character.
fn unicode(tail: &[u8], out: &mut Vec<u8>) -> usize {
    let unit = |at: usize| tail.get(at..at + 4).and_then(hexadecimal);
    let Some(first) = unit(1) else { return 0 };
    let second = if tail.get(5..7) == Some(b"\\u") { unit(7) } else { None };
    let (character, length) = match (first, second) {
        (0xd800..=0xdbff, Some(second @ 0xdc00..=0xdfff)) => {
            (char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)), 12)
        }
        _ => (char::from_u32(first), 6),
    };
    let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    length
}

/// The same of `%HH`.
fn percent(tail: &[u8], out: &mut Vec<u8>) -> usize {
    let Some(byte) = tail.get(..2).and_then(hexadecimal) else { return 0 };
    out.push(u8::try_from(byte).unwrap_or_default());
    3
}

/// The same of `+`.
fn plus(_: &[u8], out: &mut Vec<u8>) -> usize {
    out.push(b' ');
    1
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| Some(number << 4 | char::from(*digit).to_digit(16)?))
}

impl<'a> Record<'a> {
    /// Takes a request line apart: method, target and protocol. One of another form is all target.
    pub fn set_request(&mut self, request: Text<'a>) {
        let line = request.bytes;
        let method = line.iter().position(|byte| *byte == b' ').and_then(|at| line.get(..at));
        let method = method.filter(|method| !method.is_empty());
        let rest = method.and_then(|method| line.get(method.len() + 1..)).unwrap_or(line);
        let last = match rest.split_last_chunk::<9>() {
            Some((_, [b' ', last @ ..])) if last.starts_with(b"HTTP/") => last,
            _ => rest.rsplit(|byte| *byte == b' ').next().unwrap_or_default(),
        };
        let protocol = last.starts_with(b"HTTP/").then_some(last);
        let target = rest.get(..rest.len() - protocol.map_or(0, <[u8]>::len)).unwrap_or(rest);
        self.method = method.and_then(|method| request.part(method));
        self.target = request.part(target.trim_ascii_end());
        self.protocol = protocol.and_then(|protocol| request.part(protocol));
    }

    /// The target with its query, decoded.
    #[must_use]
    pub fn resource(&self) -> Option<Cow<'a, [u8]>> {
        let target = self.target.map(Text::decode);
        let Some(query) = self.query else { return target };
        let mut resource = target.unwrap_or_default().into_owned();
        resource.push(b'?');
        resource.extend_from_slice(&query.decode());
        Some(Cow::Owned(resource))
    }

    /// Whether it is a hit of the article's: found, and the client came from somewhere.
    #[must_use]
    pub const fn is_referred(&self) -> bool {
        matches!(self.status, Some(200)) && self.referrer.is_some()
    }
}

/// A resource up to its `?`, and what follows it.
#[must_use]
pub fn path_and_query(resource: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr(b'?', resource) {
        Some(at) => {
            (resource.get(..at).unwrap_or(resource), resource.get(at + 1..).filter(|query| !query.is_empty()))
        }
        None => (resource, None),
    }
}

#[cfg(test)]
mod tests {
    use super::{Escapes, Record, Text, path_and_query};

    fn decoded(field: &str, escapes: Escapes) -> String {
        Text::new(field.as_bytes(), escapes)
            .map(|text| String::from_utf8_lossy(&text.decode()).into_owned())
            .unwrap()
    }

    #[test]
    fn each_dialect_of_escapes_is_undone_once_and_what_is_none_stays() {
        let cases = [
            (Escapes::None, r#"a\x41%41+"#, r#"a\x41%41+"#),
            (Escapes::Backslash, r#"\"q\" \\x41 \x41\x7a\t\q\x4\"#, "\"q\" \\x41 Az\t\\q\\x4\\"),
            (Escapes::Backslash, r"caf\xC3\xA9 caf\xc3\xa9", "café café"),
            (Escapes::Json, r#"\"\\\/\n\u00e9\ud83d\ude00\ud83dx\u12"#, "\"\\/\né😀\u{fffd}x\\u12"),
            (Escapes::Percent, "a%20b%2520%zz%", "a b%20%zz%"),
            (Escapes::Plus, "Mozilla/5.0+(X11)+", "Mozilla/5.0 (X11) "),
        ];
        for (escapes, field, expected) in cases {
            assert_eq!(decoded(field, escapes), expected, "{escapes:?}");
        }
    }

    #[test]
    fn a_request_is_taken_apart_and_garbage_is_all_target() {
        let text =
            |text: Option<Text<'_>>| text.map(|text| String::from_utf8_lossy(&text.decode()).into_owned());
        for (request, method, target, protocol) in [
            ("GET /a?q=1 HTTP/2.0", Some("GET"), Some("/a?q=1"), Some("HTTP/2.0")),
            (r"\x16\x03\x01", None, Some("\x16\x03\x01"), None),
            ("GET /a b c", Some("GET"), Some("/a b c"), None),
            ("GET  HTTP/1.1", Some("GET"), None, Some("HTTP/1.1")),
            (r"GET /\q\x4 HTTP/1.1", Some("GET"), Some(r"/\q\x4"), Some("HTTP/1.1")),
            ("GET", None, Some("GET"), None),
        ] {
            let mut record = Record::default();
            record.set_request(Text::new(request.as_bytes(), Escapes::Backslash).unwrap());
            let parts = (text(record.method), text(record.target), text(record.protocol));
            assert_eq!(
                parts,
                (method.map(Into::into), target.map(Into::into), protocol.map(Into::into)),
                "{request}"
            );
        }
    }

    #[test]
    fn a_query_that_was_logged_apart_comes_behind_the_target() {
        let target = Text::new(b"/caf%C3%A9", Escapes::Percent);
        let record = Record { target, query: Text::plain(b"q=1"), ..Record::default() };
        let resource = record.resource().unwrap();
        assert_eq!(resource, "/café?q=1".as_bytes());
        assert_eq!(path_and_query(&resource), ("/café".as_bytes(), Some(&b"q=1"[..])));
        assert_eq!(path_and_query(b"/a?"), (&b"/a"[..], None));
    }
}
