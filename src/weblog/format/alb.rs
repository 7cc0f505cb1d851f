//! The access log of AWS's application load balancers. It has no referrer; fields are added to it at its end.
//!
//! ```text
//! https 2026-03-01T00:00:00.186641Z app/lb/50dc 203.0.113.7:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 "GET https://x.net:443/a HTTP/1.1" "curl/8" …
//! type  time                        balancer    client           target      seconds of three parts  status    received, sent
//! ```

use super::fields::{self, host_of_url, number, quoted, seconds, status, token, without_port};
use crate::weblog::record::{Escapes, Malformed, Record};
use crate::weblog::time::Stamp;
use core::time::Duration;

/// Reads a line.
pub(super) fn parse(line: &[u8]) -> Result<Record<'_>, Malformed> {
    let mut rest = line;
    let tokens: [&[u8]; 12] = core::array::from_fn(|_| {
        let (token, behind) = token(rest);
        rest = behind;
        token
    });
    let [kind, time, _, client, _, first, second, third, code, _, received, sent] = tokens;
    if !matches!(kind, b"http" | b"https" | b"h2" | b"grpcs" | b"ws" | b"wss") {
        return Err(Malformed);
    }
    number(received)?;
    let (request, rest) = quoted(rest, Escapes::Backslash)?;
    let (agent, _) = quoted(rest.strip_prefix(b" ").ok_or(Malformed)?, Escapes::Backslash)?;
    let mut record = Record {
        time: Some(Stamp::parse_rfc3339(time).map_err(|_| Malformed)?),
        client: fields::client(without_port(client))?,
        status: status(code)?,
        size: number(sent)?,
        has_size: true,
        agent,
        duration: [first, second, third]
            .iter()
            .try_fold(Duration::ZERO, |all, part| all.checked_add(seconds(part)?)),
        ..Record::default()
    };
    if let Some(request) = request {
        record.set_request(request);
        record.host = record.target.and_then(|url| url.part(host_of_url(url.bytes())?));
    }
    Ok(record)
}
