//! The server access log of Amazon S3. Fields are added to it at its end.
//!
//! ```text
//! OWNER bucket [01/Mar/2026:00:00:00 +0000] 203.0.113.7 requester ID REST.GET.OBJECT key "GET /b/key HTTP/1.1" 200 - 5 5 12 11 "https://x.org/" "curl/8" - …
//!                                                                                          status, error, bytes, size, ms, ms
//! ```

use super::fields::{self, quoted, size, status, token, without_port};
use crate::weblog::record::{Escapes, Malformed, Record, Text};
use crate::weblog::time::Stamps;
use core::time::Duration;

/// Reads a line.
pub(super) fn parse<'a>(line: &'a [u8], stamps: &mut Stamps) -> Result<Record<'a>, Malformed> {
    let (_owner, rest) = token(line);
    let (_bucket, rest) = token(rest);
    let (time, rest) =
        rest.strip_prefix(b"[").and_then(|rest| rest.split_first_chunk::<26>()).ok_or(Malformed)?;
    let mut rest = rest.strip_prefix(b"] ").ok_or(Malformed)?;
    let [client, requester, _, operation, _] = tokens(&mut rest);
    if memchr::memchr(b'.', operation).is_none() {
        return Err(Malformed);
    }
    let (request, rest) = field(rest)?;
    let mut rest = rest.strip_prefix(b" ").ok_or(Malformed)?;
    let [code, _error, sent, _object, total, _turn] = tokens(&mut rest);
    let (referrer, rest) = field(rest)?;
    let (agent, rest) = field(rest.strip_prefix(b" ").ok_or(Malformed)?)?;
    let mut rest = rest.strip_prefix(b" ").unwrap_or_default();
    let [_version, _id, _signature, _cipher, _authentication, host] = tokens(&mut rest);
    let mut record = Record {
        time: Some(stamps.parse_common(time).map_err(|_| Malformed)?),
        client: fields::client(client)?,
        user: Text::plain(requester),
        host: Text::plain(without_port(host)),
        status: status(code)?,
        size: size(sent)?,
        has_size: true,
        referrer,
        agent,
        duration: fields::number(total).ok().map(Duration::from_millis),
        ..Record::default()
    };
    if requester.contains(&b'"') {
        return Err(Malformed);
    }
    if let Some(request) = request {
        record.set_request(request);
    }
    Ok(record)
}

/// A quoted field; one that is absent stands as a bare `-`.
fn field(rest: &[u8]) -> Result<(Option<Text<'_>>, &[u8]), Malformed> {
    match rest {
        [b'-', rest @ ..] => Ok((None, rest)),
        _ => quoted(rest, Escapes::Backslash),
    }
}

fn tokens<'a, const N: usize>(rest: &mut &'a [u8]) -> [&'a [u8]; N] {
    core::array::from_fn(|_| {
        let (token, behind) = token(rest);
        *rest = behind;
        token
    })
}
