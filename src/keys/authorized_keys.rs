//! authorized_keys: the keys with which a user may log in (sshd(8), "AUTHORIZED_KEYS FILE FORMAT").
//!
//! A line is `[options] type base64 [comment]`. Options mostly take rights away, so a line with one that is not obeyed
//! must not authorise at all; today that is every line with options. A line that cannot be read is refused by itself
//! and said so, it never changes the meaning of another. This file does not know users, and not whose file it reads.

use core::fmt;

use crate::crypto::sign::PublicKey;

use super::line::{self, KeyLineError, KeyText, LINE_MAX};

/// A line that authorises its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The line's number, from 1.
    pub line: usize,
    /// The key that may log in.
    pub key: PublicKey,
    /// What follows the key, for people; it may hold control characters.
    pub comment: String,
}

/// A line that authorises nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: Refusal,
}

/// Why a line authorises nothing. Its text is safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The line has these options, and options are not supported yet.
    Options(Vec<String>),
    /// A quote of the options is not closed.
    UnclosedQuote,
    /// There is no usable key.
    Key(KeyLineError),
}

/// The line of `file` that authorises exactly `key`: the first, if there are several.
#[must_use]
pub fn lookup(file: &[u8], key: &PublicKey) -> Option<Entry> {
    entries(file).filter_map(Result::ok).find(|entry| entry.key == *key)
}

/// What each line of `file` says, in order, without empty lines and comments.
pub fn entries(file: &[u8]) -> impl Iterator<Item = Result<Entry, Refused>> {
    line::significant_lines(file).map(|(line, text)| match parse_line(text) {
        Ok((key, comment)) => Ok(Entry { line, key, comment }),
        Err(reason) => Err(Refused { line, reason }),
    })
}

fn parse_line(text: &[u8]) -> Result<(PublicKey, String), Refusal> {
    // The length is judged on the whole line: the tail of a long one must not be read as a line of its own.
    if text.len() > LINE_MAX {
        return Err(Refusal::Key(KeyLineError::TooLong));
    }
    match KeyText::parse(text) {
        Ok(text) => {
            let comment = String::from_utf8_lossy(text.comment).into_owned();
            text.into_key().map(|key| (key, comment)).map_err(Refusal::Key)
        }
        // No key in front: what stands there may be options, if a key follows them.
        Err(error) => Err(options_in_front(text).unwrap_or(Refusal::Key(error))),
    }
}

fn options_in_front(text: &[u8]) -> Option<Refusal> {
    let Some((options, rest)) = split_unquoted(text, line::is_blank) else {
        return Some(Refusal::UnclosedQuote);
    };
    KeyText::parse(line::trim_start(rest)).ok()?;
    option_names(options).map(Refusal::Options)
}

/// The names in `name,name="value",…`; `None` if one of them is not made of letters, digits and hyphens.
fn option_names(mut options: &[u8]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    loop {
        let (option, rest) = split_unquoted(options, |byte| byte == b',')?;
        let name = option.split(|byte| *byte == b'=').next()?;
        if name.is_empty() || !name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-') {
            return None;
        }
        names.push(String::from_utf8_lossy(name).to_ascii_lowercase());
        match rest {
            [] => return Some(names),
            [_, after @ ..] => options = after,
        }
    }
}

/// Splits in front of the first byte outside double quotes that `ends` the part; `\"` opens and closes nothing. `None`
/// if a quote is not closed.
fn split_unquoted(text: &[u8], ends: impl Fn(u8) -> bool) -> Option<(&[u8], &[u8])> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate() {
        let literal = core::mem::take(&mut escaped);
        match byte {
            b'\\' => escaped = text.get(at + 1) == Some(&b'"'),
            b'"' if !literal => quoted = !quoted,
            byte if !quoted && ends(*byte) => return text.split_at_checked(at),
            _ => {}
        }
    }
    if quoted { None } else { Some((text, &[])) }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl core::error::Error for Refused {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Options(names) => write!(f, "options are not supported yet ({})", names.join(", ")),
            Self::UnclosedQuote => f.write_str("a quote in the options is not closed"),
            Self::Key(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
