//! Texts for a terminal or a log: those from outside made harmless, and ssh's words for keys.

use crate::crypto::sign::{PublicKey, sk};
use crate::transport::TEXT_MAX;
use core::fmt;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// Writes a line to standard error. That nobody reads it any more is no reason to end.
#[macro_export]
macro_rules! tell {
    ($($words:tt)*) => { $crate::driver::text::tell(format_args!($($words)*)) };
}

/// While standard error shows something else, so many of the last lines are kept for it.
pub const HELD_MAX: usize = 100;

/// The lines that are kept, while they are.
static HELD: Mutex<Option<VecDeque<String>>> = Mutex::new(None);

/// What [`tell!`](crate::tell) does.
pub fn tell(line: fmt::Arguments<'_>) {
    let line = format!("{line}\n");
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    match &mut *held {
        Some(lines) => {
            if lines.len() >= HELD_MAX {
                lines.pop_front();
            }
            lines.push_back(line);
        }
        None => {
            let _nobody_reads = io::stderr().lock().write_all(line.as_bytes());
        }
    }
}

/// From now on lines are kept instead of written; those that were since the last call, [`HELD_MAX`] at the most.
pub fn hold() -> VecDeque<String> {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    held.replace(VecDeque::new()).unwrap_or_default()
}

/// Lines are written again; those that were kept since the last call of [`hold`].
pub fn release() -> VecDeque<String> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
}

/// What the system says of an error, without the number that Rust puts behind it.
#[must_use]
pub fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error ").next().unwrap_or_default().to_owned()
}

/// Appends `bytes` with everything that could act escaped: C0, DEL and C1 as `\x1b`, bidirectional controls and line
/// separators as `\u{202e}`, invalid UTF-8 as U+FFFD. A backslash stays one.
pub fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    if copy_plain(bytes, out) {
        return;
    }
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid();
        let mut plain = 0;
        for (at, character) in valid.char_indices().filter(|(_, character)| acts(*character)) {
            out.extend_from_slice(valid.get(plain..at).unwrap_or_default().as_bytes());
            plain = at + character.len_utf8();
            let number = u32::from(character);
            let escaped =
                if number < 0x100 { format!("\\x{number:02x}") } else { format!("\\u{{{number:x}}}") };
            out.extend_from_slice(escaped.as_bytes());
        }
        out.extend_from_slice(valid.get(plain..).unwrap_or_default().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// So much of a plain text is looked at and copied at once.
const PIECE: usize = 32;

/// Appends printable ASCII, as most texts are; false, and nothing, for others. It goes by pieces of one size, of which the last
/// overlaps the one before it: texts are as short as the fields of a log, of which a tenth more are shown so (`benches/records.rs`).
fn copy_plain(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    let is_plain = |piece: &[u8]| piece.iter().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'));
    let Some(last) = bytes.last_chunk::<PIECE>() else {
        let plain = is_plain(bytes);
        if plain {
            out.extend_from_slice(bytes);
        }
        return plain;
    };
    let before = out.len();
    out.reserve(bytes.len() + PIECE);
    let mut plain = is_plain(last);
    for piece in bytes.as_chunks::<PIECE>().0 {
        plain &= is_plain(piece);
        out.extend_from_slice(piece);
    }
    if !plain {
        out.truncate(before);
        return false;
    }
    out.truncate(before + bytes.len() - PIECE);
    out.extend_from_slice(last);
    true
}

/// The same as a text of its own.
#[must_use]
pub fn escaped(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len());
    escape(bytes, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// The start of a text of the peer's, at most [`TEXT_MAX`] bytes of it, escaped.
#[must_use]
pub fn excerpt(bytes: &[u8]) -> String {
    escaped(bytes.get(..TEXT_MAX).unwrap_or(bytes))
}

/// The same for a text of several lines, whose ends stay.
#[must_use]
pub fn escaped_lines(text: &str) -> String {
    text.split('\n').map(|line| escaped(line.as_bytes())).collect::<Vec<_>>().join("\n")
}

/// Whether a character could act on a terminal, or on the order of a text.
#[must_use]
pub const fn acts(character: char) -> bool {
    matches!(
        character,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
        | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Quotes a name for a POSIX shell.
#[must_use]
pub fn quoted(name: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for byte in name {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

/// The name of a key's kind in ssh's messages.
#[must_use]
pub fn key_kind(key: &PublicKey) -> &'static str {
    match key {
        PublicKey::Ed25519(_) => "ED25519",
        PublicKey::Ecdsa(_) => "ECDSA",
        PublicKey::Rsa(_) => "RSA",
        PublicKey::Sk(key) if key.key_type() == sk::ED25519_NAME => "ED25519-SK",
        PublicKey::Sk(_) => "ECDSA-SK",
    }
}

#[cfg(test)]
mod tests {
    use super::{HELD_MAX, PIECE, escape, escaped, escaped_lines, hold, quoted, release};
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Command;

    #[test]
    fn t101_what_acts_is_shown_and_what_is_plain_stays() {
        assert_eq!(escaped("plain ö \\ 日本".as_bytes()), "plain ö \\ 日本");
        assert_eq!(escaped(b"\x1b]52;c;eA==\x07\t\x7f"), "\\x1b]52;c;eA==\\x07\\x09\\x7f");
        assert_eq!(escaped("\u{9b}31m\u{202e}a\u{2028}".as_bytes()), "\\x9b31m\\u{202e}a\\u{2028}");
        assert_eq!(escaped(b"caf\xe9 \xff\xfe."), "caf\u{fffd} \u{fffd}\u{fffd}.");
        assert_eq!(escaped_lines("a\nb\x07"), "a\nb\\x07");
    }

    #[test]
    fn t101_whatever_the_length_plain_text_stays_and_one_byte_that_acts_is_found_wherever_it_stands() {
        let text: Vec<u8> = (b' '..=b'~').cycle().take(3 * PIECE + 1).collect();
        for length in 0..=text.len() {
            let plain = String::from_utf8(text[..length].to_vec()).unwrap();
            assert_eq!(escaped(plain.as_bytes()), plain);
            for at in 0..length {
                let mut acting = plain.clone().into_bytes();
                acting[at] = 0x7f;
                let mut out = b"before".to_vec();
                escape(&acting, &mut out);
                let expected = format!("before{}\\x7f{}", &plain[..at], &plain[at + 1..]);
                assert_eq!(String::from_utf8(out).unwrap(), expected);
            }
        }
    }

    #[test]
    fn lines_that_are_held_are_the_last_and_no_more_than_the_bound() {
        hold();
        (0..=HELD_MAX).for_each(|n| tell!("held {n}"));
        let held = hold();
        // Tests beside this one may tell something too.
        assert!(held.len() == HELD_MAX && !held.contains(&"held 0\n".to_owned()), "{held:?}");
        tell!("held at last");
        assert!(release().contains(&"held at last\n".to_owned()));
        assert!(release().is_empty());
    }

    #[test]
    fn t100_a_shell_takes_a_quoted_name_as_it_is() {
        for name in [&b"a b"[..], b"it's", b"$(id)`id`;&|<>*?[~", b"-n", b"\"\\\n\t!", b"caf\xe9", b"''"] {
            let script = [b"printf %s ", quoted(name).as_slice()].concat();
            let output = Command::new("sh").arg("-c").arg(OsStr::from_bytes(&script)).output().unwrap();
            assert_eq!(output.stdout, name, "{}", name.escape_ascii());
        }
    }
}
