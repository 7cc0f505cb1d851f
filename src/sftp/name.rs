//! SSH_FXP_NAME: the entries of a directory, or one path (draft §7).

use super::{Attributes, PACKET_LEN_MAX};
use crate::wire::{DecodeError, Reader, Writer};

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// In an answer to READDIR a name without directories, if the server is honest: see [`is_component`].
    pub filename: &'a [u8],
    /// A line of `ls -l`, to be shown and never to be read for facts.
    pub longname: &'a [u8],
    /// What is known of it.
    pub attrs: Attributes<'a>,
}

impl<'a> Name<'a> {
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { filename: r.string()?, longname: r.string()?, attrs: Attributes::decode(r)? })
    }
}

/// Whether a name can only mean an entry of the directory it was found in: not empty, not `.` or `..`, without `/` and NUL.
#[must_use]
pub fn is_component(filename: &[u8]) -> bool {
    !matches!(filename, b"" | b"." | b"..") && !filename.iter().any(|byte| matches!(byte, b'/' | 0))
}

/// The entries of a NAME; they were read through once, so that every one of them is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names<'a> {
    count: u32,
    bytes: &'a [u8],
}

impl<'a> Names<'a> {
    /// For tests: as many as are said to be there.
    #[cfg(test)]
    pub(super) const fn counted(count: u32, bytes: &'a [u8]) -> Self {
        Self { count, bytes }
    }

    pub(super) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = r.uint32()?;
        let bytes = r.rest();
        for _ in 0..count {
            Name::decode(r)?;
        }
        Ok(Self { count, bytes: bytes.get(..bytes.len() - r.rest().len()).unwrap_or_default() })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.uint32(self.count);
        w.bytes(self.bytes);
    }

    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each in its turn.
    pub fn iter(&self) -> impl Iterator<Item = Name<'a>> + use<'a> {
        let mut r = Reader::new(self.bytes);
        core::iter::from_fn(move || Name::decode(&mut r).ok())
    }
}

/// A NAME being made by a server.
#[derive(Debug, Default)]
pub struct NamesBuf {
    count: u32,
    bytes: Vec<u8>,
}

/// What stands in a NAME before its entries (bytes): number, id, count.
const HEAD_LEN: usize = 9;

impl NamesBuf {
    /// One without entries.
    #[must_use]
    pub const fn new() -> Self {
        Self { count: 0, bytes: Vec::new() }
    }

    /// Adds an entry; `false`, and nothing was added, if the packet would be too long.
    #[must_use]
    pub fn push(&mut self, name: &Name<'_>) -> bool {
        let start = self.bytes.len();
        let w = &mut Writer::new(&mut self.bytes);
        w.string(name.filename);
        w.string(name.longname);
        name.attrs.encode(w);
        let fits = self.bytes.len() + HEAD_LEN <= PACKET_LEN_MAX;
        if fits {
            self.count += 1;
        } else {
            self.bytes.truncate(start);
        }
        fits
    }

    /// What was added, for the answer.
    #[must_use]
    pub fn names(&self) -> Names<'_> {
        Names { count: self.count, bytes: &self.bytes }
    }
}
