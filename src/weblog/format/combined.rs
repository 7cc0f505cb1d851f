//! The common and the combined format of Apache and nginx, and what nginx's `main` has behind it.
//!
//! ```text
//! 203.0.113.7 - ann [01/Mar/2026:00:00:00 +0000] "GET /a?q=1 HTTP/1.1" 200 512 "https://x.org/" "Mozilla/5.0" "10.0.0.9"
//! client   ident user time                        request           status size  referrer       agent        forwarded for
//! ```

use super::fields::{self, number, quoted, size, text_until_quote, until_quote};
use crate::weblog::record::{Escapes, Malformed, Record, Text};
use crate::weblog::time::Stamps;
use memchr::memchr;

/// Reads a line into an empty record; returns what follows the agent, `None` if there is neither referrer nor agent.
pub(super) fn parse<'a>(
    line: &'a [u8],
    stamps: &mut Stamps,
    record: &mut Record<'a>,
) -> Result<Option<&'a [u8]>, Malformed> {
    let (head, rest) = head_and_request(line)?;
    set_head(record, head, stamps)?;
    let (request, rest) = text_until_quote(rest, Escapes::Backslash)?;
    if let Some(request) = request {
        record.set_request(request);
    }
    let (status, rest) = rest.split_first_chunk::<5>().ok_or(Malformed)?;
    record.status = match status {
        [b' ', digits @ .., b' '] => Some(u16::try_from(number(digits)?).map_err(|_| Malformed)?),
        _ => return Err(Malformed),
    };
    let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
    let (bytes, rest) = rest.split_at_checked(end).ok_or(Malformed)?;
    (record.size, record.has_size) = (size(bytes)?, true);
    if rest.is_empty() {
        return Ok(None);
    }
    let (referrer, rest) = quoted(rest.strip_prefix(b" ").ok_or(Malformed)?, Escapes::Backslash)?;
    let (agent, rest) = quoted(rest.strip_prefix(b" ").ok_or(Malformed)?, Escapes::Backslash)?;
    if !matches!(rest, [] | [b' ', ..]) {
        return Err(Malformed);
    }
    (record.referrer, record.agent) = (referrer, agent);
    Ok(Some(rest))
}

/// The clients before the proxies, if the first token behind the agent is a quoted list of addresses.
pub(super) fn forwarded_for(behind: &[u8]) -> Option<Text<'_>> {
    let (list, _) = quoted(behind.strip_prefix(b" ")?, Escapes::Backslash).ok()?;
    let address =
        |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':' | b',' | b' ' | b'[' | b']');
    list.filter(|list| list.bytes().iter().all(address))
}

/// What stands before the request's quote, and what follows it. Apache writes an empty user as `""`, and a quote in one
/// with a backslash.
fn head_and_request(line: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let split = |at: usize| Some((line.get(..at)?, line.get(at + 1..)?));
    let quote = memchr(b'"', line).ok_or(Malformed)?;
    let (head, rest) = split(quote).ok_or(Malformed)?;
    if head.ends_with(b" ") && !rest.starts_with(b"\" [") {
        return Ok((head, rest));
    }
    let quote = match rest.strip_prefix(b"\" [") {
        Some(_) => quote + 2 + memchr(b'"', rest.get(1..).ok_or(Malformed)?).ok_or(Malformed)?,
        None => until_quote(line)?.0.len(),
    };
    split(quote).ok_or(Malformed)
}

/// `client ident user [time] `; the time has its place from the right, so a user may hold spaces.
fn set_head<'a>(record: &mut Record<'a>, head: &'a [u8], stamps: &mut Stamps) -> Result<(), Malformed> {
    let rest = head.strip_suffix(b"] ").ok_or(Malformed)?;
    let (rest, time) = rest.split_last_chunk::<26>().ok_or(Malformed)?;
    let rest = rest.strip_suffix(b" [").ok_or(Malformed)?;
    let space = rest.iter().position(|byte| *byte == b' ').filter(|at| *at > 0).ok_or(Malformed)?;
    let (client, names) = rest.split_at_checked(space).ok_or(Malformed)?;
    record.client = fields::client(client)?;
    record.time = Some(stamps.parse_common(time).map_err(|_| Malformed)?);
    if names != b" - -" {
        let names = names.get(1..).ok_or(Malformed)?;
        let user = names.get(memchr(b' ', names).ok_or(Malformed)? + 1..).ok_or(Malformed)?;
        record.user = Text::new(user, Escapes::Backslash).filter(|user| user.bytes() != b"\"\"");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::forwarded_for;
    use crate::weblog::record::{Malformed, Record, Text};
    use crate::weblog::time::Stamps;
    use proptest::prelude::{any, prop, proptest};

    fn parse(line: &[u8]) -> Result<Record<'_>, Malformed> {
        let mut record = Record::default();
        super::parse(line, &mut Stamps::default(), &mut record).map(|_| record)
    }

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
    fn a_quoted_list_of_addresses_behind_the_agent_names_the_clients_before_the_proxies() {
        for (behind, expected) in [
            (r#" "10.0.0.9, 2001:db8::1" 0.1"#, Some("10.0.0.9, 2001:db8::1")),
            (r#" "-""#, None),
            (r#" "req-7f""#, None),
            (" 0.004", None),
            ("", None),
        ] {
            assert_eq!(text(forwarded_for(behind.as_bytes())).as_deref(), expected, "{behind}");
        }
    }

    #[test]
    fn a_user_may_hold_spaces_and_escaped_quotes_and_be_empty() {
        let good = String::from_utf8(COMBINED.to_vec()).unwrap();
        for (user, expected) in [
            ("\"\"", None),
            (r#"a\"b"#, Some("a\"b")),
            ("-", None),
            (r"caf\xc3\xa9 x", Some("café x")),
            ("a [b", Some("a [b")),
        ] {
            let line = good.replacen("ann lee", user, 1);
            let record = parse(line.as_bytes()).unwrap();
            assert_eq!(text(record.user).as_deref(), expected, "{user}");
            assert_eq!(record.resource().as_deref(), Some(&b"/a?q=1"[..]), "{user}");
        }
    }

    #[test]
    fn a_line_cut_inside_its_request_with_the_next_glued_on_is_no_record() {
        let whole = String::from_utf8(COMBINED.to_vec()).unwrap();
        for at in 0..whole.len() {
            let glued = [&whole[..at], &whole].concat();
            if let Ok(record) = parse(glued.as_bytes()) {
                assert!(at <= whole.find('"').unwrap(), "{glued}");
                assert!(!text(record.user).unwrap_or_default().contains('"'), "{glued}");
            }
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
