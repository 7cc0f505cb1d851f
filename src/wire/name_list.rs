//! `name-list`: names joined by commas (RFC 4251 §5 and §6).

use super::DecodeError;

/// The longest name (RFC 4251 §6).
pub const NAME_MAX: usize = 64;

/// The names of a list that are looked at; what follows them is as good as not there.
pub const NAMES_MAX: usize = 1000;

/// A list whose names are known to be not empty, printable US-ASCII and at most [`NAME_MAX`] long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameList<'a>(&'a str);

impl<'a> NameList<'a> {
    /// Takes the contents of the string; the work is linear in their length.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Ok(Self(""));
        }
        for name in bytes.split(|b| *b == b',') {
            if name.is_empty() {
                return Err(DecodeError::EmptyName);
            }
            if name.len() > NAME_MAX {
                return Err(DecodeError::NameTooLong);
            }
            if !name.iter().all(u8::is_ascii_graphic) {
                return Err(DecodeError::NameNotAscii);
            }
        }
        core::str::from_utf8(bytes).map(Self).map_err(|_| DecodeError::NameNotAscii)
    }

    /// A list of our own names, which need no check.
    pub(crate) const fn from_own(names: &'a str) -> Self {
        Self(names)
    }

    /// The names in order of preference, at most [`NAMES_MAX`].
    pub fn iter(self) -> impl Iterator<Item = &'a str> + Clone {
        self.0.split(',').filter(|name| !name.is_empty()).take(NAMES_MAX)
    }

    /// The first name, if there is one.
    #[must_use]
    pub fn first(self) -> Option<&'a str> {
        self.iter().next()
    }

    /// Whether exactly this name is listed, among the first [`NAMES_MAX`].
    #[must_use]
    pub fn contains(self, name: &str) -> bool {
        self.iter().any(|n| n == name)
    }

    /// The names as they stand, joined by commas.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t19_no_more_than_a_thousand_names_are_looked_at() {
        let bytes = [&b"a,".repeat(NAMES_MAX - 1)[..], b"last,behind", &b",a".repeat(130_000)].concat();
        let list = NameList::from_bytes(&bytes).unwrap();
        assert_eq!(list.iter().count(), NAMES_MAX);
        assert!(list.contains("last") && !list.contains("behind"));
        assert_eq!(list.as_str().len(), bytes.len(), "the list itself is as it came");
    }
}
