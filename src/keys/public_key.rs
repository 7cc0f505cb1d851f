//! The one-line form of a public key, `type base64 [comment]`: what stands in a `.pub` file.
//!
//! The base64 is the key blob of RFC 4253 §6.6. Lines with options in front belong to `authorized_keys`. A key's
//! fingerprint is [`PublicKey::fingerprint`].

use crate::crypto::sign::PublicKey;

use super::line::{self, BadComment, KeyLineError, KeyText, LINE_MAX};

/// A public key and what was written beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKeyLine {
    /// The key.
    pub key: PublicKey,
    /// The rest of the line, for people; bytes that are not UTF-8 are replaced. It may hold control characters:
    /// escape it before it reaches a terminal.
    pub comment: String,
}

/// Reads a `.pub` file: one line of at most [`LINE_MAX`] bytes; empty lines and lines that begin with `#` may stand
/// around it.
pub fn parse(file: &[u8]) -> Result<PublicKeyLine, KeyLineError> {
    let mut lines = line::significant_lines(file);
    let (_, text) = lines.next().ok_or(KeyLineError::Missing)?;
    if text.len() > LINE_MAX {
        return Err(KeyLineError::TooLong);
    }
    if lines.next().is_some() {
        return Err(KeyLineError::MoreThanOne);
    }
    let text = KeyText::parse(text)?;
    let comment = String::from_utf8_lossy(text.comment).into_owned();
    Ok(PublicKeyLine { key: text.into_key()?, comment })
}

/// Writes the line with its end.
pub fn write(key: &PublicKey, comment: &str) -> Result<String, BadComment> {
    line::key_text(key, comment).map(|text| text + "\n")
}

#[cfg(test)]
pub(super) mod tests;
