//! What the line formats share: lines, words, and a key written as `type base64 comment`.
//!
//! Blanks are the ASCII space and tab and nothing else: a parser that takes more, or fewer, than OpenSSH does reads
//! another file than the one its owner checked. It does not know what stands in front of the key.

use core::fmt;

use base64ct::{Base64, Encoding};

use crate::crypto::sign::{KeyError, PublicKey};
use crate::wire::{NAME_MAX, Reader};

/// The longest line of a `.pub` or authorized_keys file in bytes, its end not counted (OpenSSH: 8 KiB).
pub const LINE_MAX: usize = 8192;

/// The longest comment that is written with a key, in bytes.
pub const COMMENT_MAX: usize = 1024;

/// A key as it stands in a line: `type base64 [comment]`.
pub(super) struct KeyText<'a> {
    pub(super) key_type: &'a str,
    pub(super) blob: Vec<u8>,
    /// An error for a type that is not implemented or a size that is not taken: known_hosts may still compare the blob.
    pub(super) key: Result<PublicKey, KeyError>,
    pub(super) comment: &'a [u8],
}

impl<'a> KeyText<'a> {
    /// Reads `text`, which begins with the type.
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, KeyLineError> {
        let (key_type, blob, comment) = split_key(text)?;
        let key = match PublicKey::from_blob(&blob) {
            key @ (Ok(_) | Err(KeyError::UnknownType | KeyError::UnsupportedSize)) => key,
            Err(error) => return Err(KeyLineError::BadKey(error)),
        };
        Ok(Self { key_type, blob, key, comment })
    }

    /// The key, if its type is implemented and its size is taken.
    pub(super) fn into_key(self) -> Result<PublicKey, KeyLineError> {
        self.key.map_err(|error| match error {
            KeyError::UnknownType => KeyLineError::UnknownType(self.key_type.to_owned()),
            error => KeyLineError::BadKey(error),
        })
    }
}

/// The parts of `type base64 [comment]`, whatever the blob holds. The type word must equal the name inside the blob: one
/// decides what a person reads, the other what a program does.
pub(super) fn split_key(text: &[u8]) -> Result<(&str, Vec<u8>, &[u8]), KeyLineError> {
    let (type_word, rest) = split_word(text);
    let (base64, comment) = split_word(rest);
    if base64.is_empty() {
        return Err(KeyLineError::Missing);
    }
    let key_type = name(type_word).ok_or(KeyLineError::BadType)?;
    let blob = decode_base64(base64).ok_or(KeyLineError::NotBase64)?;
    if Reader::new(&blob).string() != Ok(type_word) {
        return Err(KeyLineError::TypeMismatch);
    }
    Ok((key_type, blob, comment))
}

/// The lines that say something, each with its number from 1: without their end, without blanks in front, and without
/// those that are empty or begin with `#`.
pub(super) fn significant_lines(file: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    file.split(|byte| *byte == b'\n')
        .zip(1..)
        .map(|(line, number)| (number, trim_start(line.strip_suffix(b"\r").unwrap_or(line))))
        .filter(|(_, line)| !matches!(line, [] | [b'#', ..]))
}

/// The bytes up to the first blank, and what follows behind all blanks there.
pub(super) fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| is_blank(*byte)).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (word, trim_start(rest))
}

pub(super) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

pub(super) fn trim_start(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
    text.split_at(blanks).1
}

/// `bytes` as the name of an algorithm or a type (RFC 4251 §6): text from a file that may be shown.
pub(super) fn name(bytes: &[u8]) -> Option<&str> {
    let named = (1..=NAME_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    core::str::from_utf8(bytes).ok().filter(|_| named)
}

/// Decodes padded base64; the buffer is bounded by the bytes that are there.
pub(super) fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    Base64::decode_vec(core::str::from_utf8(text).ok()?).ok()
}

/// Writes `type base64`, with a comment if it is not empty; no end of line.
pub(super) fn key_text(key: &PublicKey, comment: &str) -> Result<String, BadComment> {
    check_comment(comment)?;
    let blob = Base64::encode_string(&key.blob());
    let space = if comment.is_empty() { "" } else { " " };
    Ok(format!("{} {blob}{space}{comment}", key.key_type()))
}

/// A comment must not be able to end its line.
pub(super) fn check_comment(comment: &str) -> Result<(), BadComment> {
    if comment.len() > COMMENT_MAX || comment.contains(char::is_control) { Err(BadComment) } else { Ok(()) }
}

/// A comment that is longer than [`COMMENT_MAX`] or has control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadComment;

impl fmt::Display for BadComment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a comment is at most {COMMENT_MAX} bytes long and has no control characters")
    }
}

impl core::error::Error for BadComment {}

/// Why a line holds no key. Its text is safe to show: nothing of the line but the name of a type is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyLineError {
    /// There is no key on the line, or half of one.
    Missing,
    /// The line is longer than [`LINE_MAX`].
    TooLong,
    /// There is more than one line where one is expected.
    MoreThanOne,
    /// The word for the type is no name of RFC 4251 §6.
    BadType,
    /// The key is not base64.
    NotBase64,
    /// The type in front of the base64 is not the one inside it.
    TypeMismatch,
    /// The key is well written but its type is not implemented.
    UnknownType(String),
    /// The contents of the base64 are no key of their type, or one of a size that is not taken.
    BadKey(KeyError),
}

impl fmt::Display for KeyLineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no key where `type base64` is expected"),
            Self::TooLong => write!(f, "the line is longer than {LINE_MAX} bytes"),
            Self::MoreThanOne => f.write_str("more than one line where one key is expected"),
            Self::BadType => f.write_str("the key's type is not a name"),
            Self::NotBase64 => f.write_str("the key is not base64"),
            Self::TypeMismatch => f.write_str("the type in front of the key is not the key's own"),
            Self::UnknownType(key_type) => write!(f, "keys of type {key_type} are not supported yet"),
            Self::BadKey(KeyError::UnsupportedSize) => KeyError::UnsupportedSize.fmt(f),
            Self::BadKey(error) => write!(f, "the key is damaged: {error}"),
        }
    }
}

impl core::error::Error for KeyLineError {}
