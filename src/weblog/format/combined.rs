//! The common and the combined format of Apache and nginx.
//!
//! ```text
//! 203.0.113.7 - ann [01/Mar/2026:00:00:00 +0000] "GET /a?q=1 HTTP/1.1" 200 512 "https://x.org/" "Mozilla/5.0"
//! client   ident user time                        request           status size  referrer       agent
//! ```

use crate::weblog::record::{Escapes, Malformed, Record, Text};
use crate::weblog::time::Stamp;
use memchr::{memchr, memchr2};

/// Reads a line. Tokens after the agent are passed over.
pub(super) fn parse(line: &[u8]) -> Result<Record<'_>, Malformed> {
    let quote = memchr(b'"', line).ok_or(Malformed)?;
    let (head, rest) = line.split_at(quote);
    let mut record = Record::default();
    (record.client, record.user, record.time) = head_fields(head)?;
    let (request, rest) = quoted(rest)?;
    if let Some(request) = request {
        record.set_request(request);
    }
    let (status, rest) = rest.split_first_chunk::<4>().ok_or(Malformed)?;
    record.status = match status {
        [b' ', digits @ ..] => Some(u16::try_from(number(digits)?).map_err(|_| Malformed)?),
        _ => return Err(Malformed),
    };
    let rest = rest.strip_prefix(b" ").ok_or(Malformed)?;
    let (size, rest) = rest.split_at(memchr(b' ', rest).unwrap_or(rest.len()));
    record.size = if size == b"-" { 0 } else { number(size)? };
    if !rest.is_empty() {
        let (referrer, rest) = quoted(rest.strip_prefix(b" ").ok_or(Malformed)?)?;
        let (agent, rest) = quoted(rest.strip_prefix(b" ").ok_or(Malformed)?)?;
        if !matches!(rest, [] | [b' ', ..]) {
            return Err(Malformed);
        }
        (record.referrer, record.agent) = (referrer, agent);
    }
    Ok(record)
}

/// Client, user and time.
type Head<'a> = (Option<Text<'a>>, Option<Text<'a>>, Option<Stamp>);

/// ` ident user [time] ` stands between the client and the first quote; the time has its place from the right, so a user
/// may hold spaces.
fn head_fields(head: &[u8]) -> Result<Head<'_>, Malformed> {
    let space = memchr(b' ', head).filter(|at| *at > 0).ok_or(Malformed)?;
    let (client, rest) = head.split_at(space);
    let rest = rest.strip_suffix(b"] ").ok_or(Malformed)?;
    let (rest, time) = rest.split_last_chunk::<26>().ok_or(Malformed)?;
    let names = rest.strip_suffix(b" [").and_then(|rest| rest.strip_prefix(b" ")).ok_or(Malformed)?;
    let user = names.get(memchr(b' ', names).ok_or(Malformed)? + 1..).ok_or(Malformed)?;
    let time = Stamp::parse_common(time).map_err(|_| Malformed)?;
    Ok((Text::plain(client), Text::plain(user), Some(time)))
}

/// A quoted field at the beginning of `rest`, and what follows it.
fn quoted(rest: &[u8]) -> Result<(Option<Text<'_>>, &[u8]), Malformed> {
    let inside = rest.strip_prefix(b"\"").ok_or(Malformed)?;
    let mut end = 0;
    loop {
        let tail = inside.get(end..).ok_or(Malformed)?;
        end += memchr2(b'"', b'\\', tail).ok_or(Malformed)?;
        if inside.get(end) == Some(&b'"') {
            let (inside, rest) = inside.split_at(end);
            let rest = rest.get(1..).unwrap_or_default();
            return Ok((Text::new(inside, Escapes::Backslash), rest));
        }
        end += 2;
    }
}

fn number(digits: &[u8]) -> Result<u64, Malformed> {
    let digits = core::str::from_utf8(digits).map_err(|_| Malformed)?;
    if digits.starts_with('+') { Err(Malformed) } else { digits.parse().map_err(|_| Malformed) }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::weblog::record::{Malformed, Text};
    use proptest::prelude::{any, prop, proptest};

    fn text(field: Option<Text<'_>>) -> Option<String> {
        field.map(|field| String::from_utf8_lossy(&field.decode()).into_owned())
    }

    const COMBINED: &[u8] = br#"203.0.113.7 - ann lee [01/Mar/2026:12:34:56 +0130] "GET /a?q=1 HTTP/2.0" 200 512 "https://x.org/t?title=\"quoted\"" "Mozilla/5.0""#;

    #[test]
    fn a_combined_line_of_apache_gives_every_field() {
        let record = parse(COMBINED).unwrap();
        assert_eq!(text(record.client).unwrap(), "203.0.113.7");
        assert_eq!(text(record.user).unwrap(), "ann lee");
        assert_eq!(text(record.method).unwrap(), "GET");
        assert_eq!(&*record.resource().unwrap(), b"/a?q=1");
        assert_eq!(text(record.protocol).unwrap(), "HTTP/2.0");
        assert_eq!((record.status, record.size), (Some(200), 512));
        assert_eq!(text(record.referrer).unwrap(), "https://x.org/t?title=\"quoted\"");
        assert_eq!(text(record.agent).unwrap(), "Mozilla/5.0");
        assert_eq!(record.time.unwrap().rfc3339(), "2026-03-01T12:34:56+01:30");
        assert!(record.is_referred());
    }

    #[test]
    fn a_common_line_has_neither_referrer_nor_agent() {
        let record = parse(br#"h - - [31/Oct/2026:00:00:00 +0000] "GET /a HTTP/1.0" 304 -"#).unwrap();
        assert_eq!((record.status, record.size, record.referrer, record.agent), (Some(304), 0, None, None));
        assert!(!record.is_referred());
    }

    #[test]
    fn further_tokens_after_the_agent_are_passed_over() {
        let line = [COMBINED, br#" "10.0.0.9" 0.004 abc"#].concat();
        assert_eq!(parse(&line).unwrap().status, Some(200));
        assert_eq!(parse(&[COMBINED, b"x"].concat()), Err(Malformed));
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
            assert_eq!(parse(bad.as_bytes()), Err(Malformed), "{bad}");
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
            if let Ok(record) = parse(&line) {
                let _ = (record.resource(), text(record.agent), record.time.map(|time| time.rfc3339()));
            }
        }
    }
}
