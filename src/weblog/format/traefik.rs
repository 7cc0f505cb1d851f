//! Traefik's own common log format. Nothing in it is escaped, so a line is read from both ends.
//!
//! ```text
//! 203.0.113.7 - ann [01/Mar/2026:00:00:00 +0000] "GET /a HTTP/1.1" 200 5 "https://x.org/" "curl/8" 42 "router" "http://10.0.0.2:80" 1ms
//! ```
//!
//! From the right come the duration, the server's URL, the router and the count of requests. Of what is left the request ends
//! at the first quote that status, size and another quote follow (a path holds no space), and the referrer at the first `" "`.

use super::fields::{self, number, size, status, token};
use crate::weblog::record::{Malformed, Record, Text};
use crate::weblog::time::Stamps;
use core::time::Duration;
use memchr::{memchr, memchr_iter, memmem};

/// Reads a line.
pub(super) fn parse<'a>(line: &'a [u8], stamps: &mut Stamps) -> Result<Record<'a>, Malformed> {
    let (line, duration) = tail(line)?;
    let quote = memchr(b'"', line).ok_or(Malformed)?;
    let (head, rest) = line.split_at_checked(quote).ok_or(Malformed)?;
    let mut record = Record::default();
    set_head(&mut record, head, stamps)?;
    let rest = rest.get(1..).ok_or(Malformed)?;
    let (request, status, size, rest) =
        memchr_iter(b'"', rest).find_map(|at| numbers(rest, at)).ok_or(Malformed)?;
    let between = memmem::find(rest, b"\" \"").ok_or(Malformed)?;
    let (referrer, agent) = rest.split_at_checked(between).ok_or(Malformed)?;
    if let Some(request) = Text::plain(request) {
        record.set_request(request);
    }
    (record.status, record.size, record.has_size) = (status, size, true);
    record.referrer = Text::plain(referrer);
    record.agent = agent.get(3..).and_then(Text::plain);
    record.duration = Some(Duration::from_millis(duration));
    Ok(record)
}

/// The line up to the agent's last quote, and the milliseconds at its end.
fn tail(line: &[u8]) -> Result<(&[u8], u64), Malformed> {
    let rest = line.strip_suffix(b"ms").ok_or(Malformed)?;
    let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (mut rest, duration) = rest.split_at_checked(rest.len() - digits).ok_or(Malformed)?;
    for _ in ["server", "router"] {
        let inside = rest.strip_suffix(b"\" ").or_else(|| rest.strip_suffix(b"\"")).ok_or(Malformed)?;
        let quote = memmem::rfind(inside, b" \"").ok_or(Malformed)?;
        rest = inside.get(..quote).ok_or(Malformed)?;
    }
    let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = rest.get(..rest.len() - digits).filter(|_| digits > 0).ok_or(Malformed)?;
    Ok((rest.strip_suffix(b"\" ").ok_or(Malformed)?, number(duration)?))
}

/// `client - user [time] `.
fn set_head<'a>(record: &mut Record<'a>, head: &'a [u8], stamps: &mut Stamps) -> Result<(), Malformed> {
    let rest = head.strip_suffix(b"] ").ok_or(Malformed)?;
    let (rest, time) = rest.split_last_chunk::<26>().ok_or(Malformed)?;
    let (client, user) = token(rest.strip_suffix(b" [").ok_or(Malformed)?);
    record.client = fields::client(client)?;
    record.user = Text::plain(user.strip_prefix(b"- ").ok_or(Malformed)?);
    record.time = Some(stamps.parse_common(time).map_err(|_| Malformed)?);
    Ok(())
}

type Numbers<'a> = (&'a [u8], Option<u16>, u64, &'a [u8]);

/// The request if it ends at this quote, with what follows: status, size, and what stands behind the referrer's quote.
fn numbers(rest: &[u8], at: usize) -> Option<Numbers<'_>> {
    let (request, behind) = rest.split_at_checked(at)?;
    let (code, behind) = token(behind.strip_prefix(b"\" ")?);
    let (bytes, behind) = token(behind);
    let code = if code == b"0" { None } else { status(code).ok()? };
    Some((request, code, size(bytes).ok()?, behind.strip_prefix(b"\"")?))
}
