//! A line of an access log in the common or the combined format, as a record that borrows from it.
//!
//! ```text
//! 203.0.113.7 - ann [01/Mar/2026:00:00:00 +0000] "GET /a?q=1 HTTP/1.1" 200 512 "https://x.org/" "Mozilla/5.0"
//! client   ident user time                        request           status size  referrer       agent
//! ```
//!
//! Nothing is copied or decoded before it is asked for. What an Apache or an nginx writes inside quotes is read by one
//! decoder. It does not know files, filters or how a record is shown.

use memchr::{memchr, memchr2};
use std::borrow::Cow;

/// A line that is no record of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// One request as it was logged. Absent, empty and `-` are the same: `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The client's address.
    pub client: &'a [u8],
    /// When.
    pub time: Time<'a>,
    /// The authenticated user; may hold spaces, never a `"`.
    pub user: Option<&'a [u8]>,
    /// The request line.
    pub request: Quoted<'a>,
    /// The status of the response.
    pub status: u16,
    /// Bytes of the response; 0 for `-`.
    pub size: u64,
    /// Where the client came from.
    pub referrer: Option<Quoted<'a>>,
    /// What the client calls itself.
    pub agent: Option<Quoted<'a>>,
}

/// `01/Mar/2026:00:00:00 +0000`, its shape checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time<'a>(&'a [u8; 26]);

/// The inside of a quoted field, still escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted<'a>(&'a [u8]);

impl<'a> Record<'a> {
    /// Reads a line. Tokens after the agent are passed over.
    pub fn parse(line: &'a [u8]) -> Result<Self, Malformed> {
        let quote = memchr(b'"', line).ok_or(Malformed)?;
        let (head, rest) = line.split_at(quote);
        let (client, user, time) = head_fields(head)?;
        let (request, rest) = quoted(rest)?;
        let (status, rest) = rest.split_first_chunk::<4>().ok_or(Malformed)?;
        let status = match status {
            [b' ', digits @ ..] => number(digits)?.try_into().map_err(|_| Malformed)?,
            _ => return Err(Malformed),
        };
        let rest = rest.strip_prefix(b" ").ok_or(Malformed)?;
        let (size, rest) = rest.split_at(memchr(b' ', rest).unwrap_or(rest.len()));
        let size = if size == b"-" { 0 } else { number(size)? };
        let mut record = Self { client, time, user, request, status, size, referrer: None, agent: None };
        if !rest.is_empty() {
            let (referrer, rest) = quoted(rest.strip_prefix(b" ").ok_or(Malformed)?)?;
            let (agent, rest) = quoted(rest.strip_prefix(b" ").ok_or(Malformed)?)?;
            if !matches!(rest, [] | [b' ', ..]) {
                return Err(Malformed);
            }
            (record.referrer, record.agent) = (referrer.present(), agent.present());
        }
        Ok(record)
    }

    /// The method, if the request has the form of one.
    #[must_use]
    pub fn method(&self) -> Option<&'a [u8]> {
        let (method, _) = self.request.0.split_at_checked(memchr(b' ', self.request.0)?)?;
        (!method.is_empty()).then_some(method)
    }

    /// The protocol, if the request names one.
    #[must_use]
    pub fn protocol(&self) -> Option<&'a [u8]> {
        let last = self.request.0.rsplit(|b| *b == b' ').next()?;
        last.starts_with(b"HTTP/").then_some(last)
    }

    /// The target as it was logged: what stands between method and protocol, or all of a request of another form.
    #[must_use]
    pub fn resource(&self) -> Option<Quoted<'a>> {
        let target = self.request.0;
        let target = match self.method() {
            Some(method) => target.get(method.len() + 1..)?,
            None => target,
        };
        let end = target.len() - self.protocol().map_or(0, <[u8]>::len);
        Quoted(target.get(..end)?.trim_ascii_end()).present()
    }

    /// Whether it is a hit of the article's: found, and the client came from somewhere.
    #[must_use]
    pub const fn is_referred(&self) -> bool {
        self.status == 200 && self.referrer.is_some()
    }
}

/// Client, user and time.
type Head<'a> = (&'a [u8], Option<&'a [u8]>, Time<'a>);

/// ` ident user [time] ` stands between the client and the first quote; the time has its place from the right, so a user
/// may hold spaces.
fn head_fields(head: &[u8]) -> Result<Head<'_>, Malformed> {
    let space = memchr(b' ', head).filter(|at| *at > 0).ok_or(Malformed)?;
    let (client, rest) = head.split_at(space);
    let rest = rest.strip_suffix(b"] ").ok_or(Malformed)?;
    let (rest, time) = rest.split_last_chunk::<26>().ok_or(Malformed)?;
    let names = rest.strip_suffix(b" [").and_then(|rest| rest.strip_prefix(b" ")).ok_or(Malformed)?;
    let user = names.get(memchr(b' ', names).ok_or(Malformed)? + 1..).ok_or(Malformed)?;
    Ok((client, present(user), Time::parse(time)?))
}

/// A quoted field at the beginning of `rest`, and what follows it.
fn quoted(rest: &[u8]) -> Result<(Quoted<'_>, &[u8]), Malformed> {
    let inside = rest.strip_prefix(b"\"").ok_or(Malformed)?;
    let mut end = 0;
    loop {
        let tail = inside.get(end..).ok_or(Malformed)?;
        end += memchr2(b'"', b'\\', tail).ok_or(Malformed)?;
        if inside.get(end) == Some(&b'"') {
            let (inside, rest) = inside.split_at(end);
            return Ok((Quoted(inside), rest.get(1..).unwrap_or_default()));
        }
        end += 2;
    }
}

fn number(digits: &[u8]) -> Result<u64, Malformed> {
    let digits = core::str::from_utf8(digits).map_err(|_| Malformed)?;
    if digits.starts_with('+') { Err(Malformed) } else { digits.parse().map_err(|_| Malformed) }
}

fn present(field: &[u8]) -> Option<&[u8]> {
    (!matches!(field, b"" | b"-")).then_some(field)
}

impl<'a> Quoted<'a> {
    /// A field without escapes.
    #[must_use]
    pub const fn plain(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn present(self) -> Option<Self> {
        present(self.0).map(Self)
    }

    /// The field with its escapes undone: `\"`, `\\`, `\xHH` in either case, `\b \n \r \t \v`; any other stays as it is.
    #[must_use]
    pub fn decode(self) -> Cow<'a, [u8]> {
        let Some(first) = memchr(b'\\', self.0) else { return Cow::Borrowed(self.0) };
        let mut out = Vec::with_capacity(self.0.len());
        let (plain, mut rest) = self.0.split_at(first);
        out.extend_from_slice(plain);
        while let [byte, tail @ ..] = rest {
            let (decoded, length) = if *byte == b'\\' { escape(tail) } else { (*byte, 0) };
            out.push(decoded);
            rest = tail.get(length..).unwrap_or_default();
        }
        Cow::Owned(out)
    }
}

/// What follows a backslash stands for, and how long it is; nothing that is known stands for the backslash itself.
fn escape(tail: &[u8]) -> (u8, usize) {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    match *tail {
        [b @ (b'"' | b'\\'), ..] => (b, 1),
        [b'b', ..] => (8, 1),
        [b't', ..] => (9, 1),
        [b'n', ..] => (10, 1),
        [b'v', ..] => (11, 1),
        [b'r', ..] => (13, 1),
        [b'x', high, low, ..] => match (digit(high), digit(low)) {
            (Some(high), Some(low)) => (high << 4 | low, 3),
            _ => (b'\\', 0),
        },
        _ => (b'\\', 0),
    }
}

const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

impl<'a> Time<'a> {
    fn parse(bytes: &'a [u8; 26]) -> Result<Self, Malformed> {
        let shape = b"00/aaa/0000:00:00:00 +0000";
        let fits = bytes.iter().zip(shape).all(|(byte, place)| match place {
            b'0' => byte.is_ascii_digit(),
            b'a' => byte.is_ascii_alphabetic(),
            b'+' => matches!(byte, b'+' | b'-'),
            _ => byte == place,
        });
        let own = Self(bytes);
        if fits && own.month().is_some() { Ok(own) } else { Err(Malformed) }
    }

    fn month(self) -> Option<usize> {
        MONTHS.iter().position(|month| self.0.get(3..6) == Some(*month)).map(|at| at + 1)
    }

    /// Appends it in the form of RFC 3339, with the log's own offset.
    pub fn write_rfc3339(self, out: &mut Vec<u8>) {
        let Self([d1, d2, _, _, _, _, _, y1, y2, y3, y4, _, clock @ .., _, sign, z1, z2, z3, z4]) = self;
        let month = self.month().unwrap_or(1);
        let (tens, ones) = (b'0' + u8::from(month >= 10), b'0' + u8::try_from(month % 10).unwrap_or(0));
        out.extend_from_slice(&[*y1, *y2, *y3, *y4, b'-', tens, ones, b'-', *d1, *d2, b'T']);
        out.extend_from_slice(clock);
        out.extend_from_slice(&[*sign, *z1, *z2, b':', *z3, *z4]);
    }
}

#[cfg(test)]
mod tests {
    use super::{Malformed, Quoted, Record};
    use proptest::prelude::{any, prop, proptest};

    fn text(field: Option<Quoted<'_>>) -> Option<String> {
        field.map(|f| String::from_utf8_lossy(&f.decode()).into_owned())
    }

    const COMBINED: &[u8] = br#"203.0.113.7 - ann lee [01/Mar/2026:12:34:56 +0130] "GET /a?q=1 HTTP/2.0" 200 512 "https://x.org/t?title=\"quoted\"" "Mozilla/5.0""#;

    #[test]
    fn a_combined_line_of_apache_gives_every_field() {
        let record = Record::parse(COMBINED).unwrap();
        assert_eq!(record.client, b"203.0.113.7");
        assert_eq!(record.user, Some(&b"ann lee"[..]));
        assert_eq!(record.method(), Some(&b"GET"[..]));
        assert_eq!(text(record.resource()).as_deref(), Some("/a?q=1"));
        assert_eq!(record.protocol(), Some(&b"HTTP/2.0"[..]));
        assert_eq!((record.status, record.size), (200, 512));
        assert_eq!(text(record.referrer).as_deref(), Some("https://x.org/t?title=\"quoted\""));
        assert_eq!(text(record.agent).as_deref(), Some("Mozilla/5.0"));
        let mut time = Vec::new();
        record.time.write_rfc3339(&mut time);
        assert_eq!(time, b"2026-03-01T12:34:56+01:30");
        assert!(record.is_referred());
    }

    #[test]
    fn the_dialect_of_nginx_and_the_common_format_are_read() {
        let line = br#"2001:db8::7 - - [31/Dec/2026:00:00:00 -0800] "GET /a HTTP/1.1" 200 5 "https://x.org/caf\xC3\xA9\x22\x5c" "-""#;
        let record = Record::parse(line).unwrap();
        assert_eq!(text(record.referrer).as_deref(), Some("https://x.org/café\"\\"));
        assert_eq!((record.agent, record.user), (None, None));
        let record = Record::parse(br#"h - - [31/Oct/2026:00:00:00 +0000] "GET /a HTTP/1.0" 304 -"#).unwrap();
        assert_eq!((record.status, record.size, record.referrer), (304, 0, None));
        assert!(!record.is_referred());
    }

    #[test]
    fn further_tokens_after_the_agent_are_passed_over() {
        let line = [COMBINED, br#" "10.0.0.9" 0.004 abc"#].concat();
        assert_eq!(Record::parse(&line).unwrap().status, 200);
        assert_eq!(Record::parse(&[COMBINED, b"x"].concat()), Err(Malformed));
    }

    #[test]
    fn a_garbage_request_is_still_a_record() {
        for (request, resource) in [
            (r"\x16\x03\x01", Some("\x16\x03\x01")),
            ("-", None),
            ("", None),
            ("GET /a b c", Some("/a b c")),
            ("GET  HTTP/1.1", None),
            (r"GET /\q\x4 HTTP/1.1", Some(r"/\q\x4")),
        ] {
            let line = format!(r#"h - - [01/Mar/2026:00:00:00 +0000] "{request}" 400 0 "-" "-""#);
            assert_eq!(
                text(Record::parse(line.as_bytes()).unwrap().resource()).as_deref(),
                resource,
                "{request}"
            );
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let good = String::from_utf8(COMBINED.to_vec()).unwrap();
        for (from, to) in [
            (good.as_str(), ""),
            ("203.0.113.7", ""),
            ("ann lee", "ann\"lee"),
            ("01/Mar", "1/Mar"),
            ("Mar", "Mrz"),
            ("+0130", "*0130"),
            ("] \"GET", "]\"GET"),
            (" 200 ", " 20 "),
            (" 200 ", " +20 "),
            (" 512 ", " 5x2 "),
            (" 512 ", "  "),
            ("512 \"", "512  \""),
            ("Mozilla/5.0\"", "Mozilla/5.0"),
            ("Mozilla/5.0\"", "Mozilla/5.0\\\""),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_eq!(Record::parse(bad.as_bytes()), Err(Malformed), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            at in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 0..6), keep in any::<bool>(),
        ) {
            let at = at.index(COMBINED.len());
            let tail = if keep { &COMBINED[at..] } else { &COMBINED[COMBINED.len().min(at + bytes.len())..] };
            let line = [&COMBINED[..at], &bytes, tail].concat();
            if let Ok(record) = Record::parse(&line) {
                let _ = (text(record.resource()), record.method(), record.protocol(), text(record.agent));
                record.time.write_rfc3339(&mut Vec::new());
            }
        }
    }
}
