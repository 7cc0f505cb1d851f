//! Decoding of the data types of RFC 4251 §5.
//!
//! A [`Reader`] borrows from the bytes it is given and allocates nothing. Every method either returns a value that lies
//! whole inside those bytes or a [`DecodeError`]; nothing here panics. It does not know which message it reads.

use super::{DecodeError, Mpint, NameList};

/// A cursor over encoded bytes (RFC 4251 §5).
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts at the first of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes that have not been read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// `byte[n]`: exactly `n` bytes without a length in front.
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    /// `byte[N]` as an array.
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], DecodeError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    /// `byte`.
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[b]| *b)
    }

    /// `boolean`: every value but 0 is true, as the RFC asks.
    pub fn boolean(&mut self) -> Result<bool, DecodeError> {
        self.byte().map(|b| b != 0)
    }

    /// `uint32`, most significant byte first.
    pub fn uint32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(|b| u32::from_be_bytes(*b))
    }

    /// `uint64`, most significant byte first.
    pub fn uint64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(|b| u64::from_be_bytes(*b))
    }

    /// `string`: a `uint32` length and as many bytes of any value.
    pub fn string(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.uint32()?;
        self.bytes(usize::try_from(length).map_err(|_| DecodeError::Truncated)?)
    }

    /// `string` that must be UTF-8 (RFC 4251 §5 for texts meant for people).
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        core::str::from_utf8(self.string()?).map_err(|_| DecodeError::NotUtf8)
    }

    /// `mpint` in its minimal form.
    pub fn mpint(&mut self) -> Result<Mpint<'a>, DecodeError> {
        Mpint::from_bytes(self.string()?)
    }

    /// `name-list`, each name checked.
    pub fn name_list(&mut self) -> Result<NameList<'a>, DecodeError> {
        NameList::from_bytes(self.string()?)
    }

    /// Everything that is left, for the fields that run to the end of a message.
    /// Never an error; a `Result` so that every data type is read in the same way.
    pub fn remainder(&mut self) -> Result<&'a [u8], DecodeError> {
        Ok(core::mem::take(&mut self.0))
    }

    /// Fails if anything is left: no field of a message is passed over.
    pub const fn finish(self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes) }
    }
}
