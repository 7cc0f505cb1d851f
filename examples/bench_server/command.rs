//! The commands that are answered from memory, by their words.

use std::path::PathBuf;

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// `true`.
    True,
    /// `head -c N /dev/zero`.
    Zeros(u64),
    /// `cat >/dev/null`.
    Sink,
    /// `cat`.
    Echo,
    /// `tail -n0 -f FILE`.
    Follow(PathBuf),
    /// Any other.
    Unknown,
}

impl Command {
    /// Reads a command; its words are between blanks, without quotes.
    pub fn parse(command: &[u8]) -> Self {
        let Ok(text) = str::from_utf8(command) else { return Self::Unknown };
        let words: Vec<_> = text.split_ascii_whitespace().collect();
        match *words.as_slice() {
            ["true"] => Self::True,
            ["head", "-c", count, "/dev/zero"] => count.parse().map_or(Self::Unknown, Self::Zeros),
            ["cat", ">/dev/null"] => Self::Sink,
            ["cat"] => Self::Echo,
            ["tail", "-n0", "-f", path] => Self::Follow(path.into()),
            _ => Self::Unknown,
        }
    }
}
