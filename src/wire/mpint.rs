//! `mpint`, the signed integer of any length (RFC 4251 §5).

use super::DecodeError;

/// The bytes of an `mpint` in their one minimal form: two's complement, most significant byte first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mpint<'a>(&'a [u8]);

impl<'a> Mpint<'a> {
    /// Takes the contents of the string; a byte too many is refused, as the RFC asks.
    pub const fn from_bytes(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        match bytes {
            [0] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => Err(DecodeError::NonMinimalMpint),
            _ => Ok(Self(bytes)),
        }
    }

    /// The contents as on the wire, a sign byte included.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The big-endian bytes of a number above zero, without a sign byte; [`DecodeError::NotPositive`] for any other.
    pub const fn positive(self) -> Result<&'a [u8], DecodeError> {
        match self.0 {
            [] | [0x80..=0xff, ..] => Err(DecodeError::NotPositive),
            [0, magnitude @ ..] | magnitude => Ok(magnitude),
        }
    }
}
