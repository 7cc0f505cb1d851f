//! Text around base64: `-----BEGIN LABEL-----`, lines, `-----END LABEL-----` (RFC 7468).
//!
//! It is strict where it matters, at the ends: a file is one such block from its first byte on, and nothing but white space
//! follows. It does not know what the labels mean.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::error::Malformed;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// The label of the line that `file` begins with.
pub(super) fn label(file: &[u8]) -> Option<&[u8]> {
    let (label, _) = split_at(file.strip_prefix(BEGIN)?, DASHES)?;
    label.iter().all(|byte| matches!(byte, b' '..=b'~')).then_some(label)
}

/// What stands between the BEGIN line, which is there, and the END line, which must be there and last.
pub(super) fn inside<'a>(file: &'a [u8], label: &[u8]) -> Result<&'a [u8], Malformed> {
    let (text, after) = block(file, label).ok_or(Malformed::Armour)?;
    if after.iter().all(u8::is_ascii_whitespace) { Ok(text) } else { Err(Malformed::Armour) }
}

/// The text between the first line and the END line, and what follows that.
pub(super) fn block<'a>(file: &'a [u8], label: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let text = file.strip_prefix(BEGIN)?.strip_prefix(label)?.strip_prefix(DASHES)?;
    let end = [END, label, DASHES].concat();
    let (text, rest) = split_at(text, &end)?;
    Some((text, rest.strip_prefix(&*end)?))
}

/// Splits in front of the first `needle`.
fn split_at<'a>(text: &'a [u8], needle: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    text.split_at_checked(text.windows(needle.len()).position(|window| window == needle)?)
}

/// Decodes lines of base64.
pub(super) fn decode(lines: &[u8]) -> Result<Zeroizing<Vec<u8>>, Malformed> {
    let mut text = Zeroizing::new(Vec::with_capacity(lines.len()));
    text.extend(lines.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    let mut body = Zeroizing::new(vec![0; text.len() / 4 * 3]);
    let length = Base64::decode(&*text, &mut body).map_err(|_| Malformed::Base64)?.len();
    body.truncate(length);
    Ok(body)
}

/// Encodes `body` in lines of `columns`.
pub(super) fn encode(label: &str, body: &[u8], columns: usize) -> Zeroizing<String> {
    let base64 = Zeroizing::new(Base64::encode_string(body));
    let lines = base64.len().div_ceil(columns);
    let room = base64.len() + lines + 2 * (BEGIN.len() + label.len() + DASHES.len() + 1);
    let mut text = Zeroizing::new(String::with_capacity(room));
    for part in ["-----BEGIN ", label, "-----\n"] {
        text.push_str(part);
    }
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(columns));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    for part in ["-----END ", label, "-----\n"] {
        text.push_str(part);
    }
    text
}
