//! What is wrong with bytes, and what the peer is told about it (RFC 4253 §11.1).

use core::fmt;

/// The `reason_code` of SSH_MSG_DISCONNECT (RFC 4253 §11.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisconnectReason(pub u32);

impl DisconnectReason {
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(2);
    /// No common algorithm, a bad public value or a bad host signature.
    pub const KEY_EXCHANGE_FAILED: Self = Self(3);
    /// A packet failed its check.
    pub const MAC_ERROR: Self = Self(5);
    /// A compressed payload is none, or too long.
    pub const COMPRESSION_ERROR: Self = Self(6);
    /// The service that was asked for is not offered.
    pub const SERVICE_NOT_AVAILABLE: Self = Self(7);
    /// Not SSH-2.
    pub const PROTOCOL_VERSION_NOT_SUPPORTED: Self = Self(8);
    /// The client does not accept the host key.
    pub const HOST_KEY_NOT_VERIFIABLE: Self = Self(9);
    /// The connection is given up, for instance because the peer is silent.
    pub const CONNECTION_LOST: Self = Self(10);
    /// The application ends the connection.
    pub const BY_APPLICATION: Self = Self(11);
    /// Too many tries, or nothing left to try.
    pub const NO_MORE_AUTH_METHODS_AVAILABLE: Self = Self(14);
}

/// Why bytes are no value of RFC 4251 §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// A value reaches beyond the end of the message.
    Truncated,
    /// Bytes are left after the last field.
    TrailingBytes,
    /// An `mpint` has a leading byte too many.
    NonMinimalMpint,
    /// An `mpint` is zero or negative where only positive numbers make sense.
    NotPositive,
    /// A name-list has a name without characters.
    EmptyName,
    /// A name is longer than 64 characters.
    NameTooLong,
    /// A name has a character that is not printable US-ASCII.
    NameNotAscii,
    /// A text is not UTF-8.
    NotUtf8,
    /// A field has a value that its message does not allow.
    Invalid,
}

/// What the peer did wrong: a constant beside the line that finds it, and the very words of the SSH_MSG_DISCONNECT that
/// tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The `reason_code`.
    pub reason: DisconnectReason,
    /// The `description`; nothing of the connection is in it.
    pub description: &'static str,
}

impl Fault {
    /// A fault with [`DisconnectReason::PROTOCOL_ERROR`].
    #[must_use]
    pub const fn protocol(description: &'static str) -> Self {
        Self { reason: DisconnectReason::PROTOCOL_ERROR, description }
    }

    /// A fault with [`DisconnectReason::KEY_EXCHANGE_FAILED`].
    #[must_use]
    pub const fn key_exchange(description: &'static str) -> Self {
        Self { reason: DisconnectReason::KEY_EXCHANGE_FAILED, description }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description)
    }
}

/// A message whose fields cannot be read.
pub const MALFORMED: Fault = Fault::protocol("malformed message");

impl From<DecodeError> for Fault {
    fn from(_: DecodeError) -> Self {
        MALFORMED
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "a value reaches beyond the end",
            Self::TrailingBytes => "bytes are left after the last field",
            Self::NonMinimalMpint => "an mpint is not in its minimal form",
            Self::NotPositive => "an mpint is not positive",
            Self::EmptyName => "a name-list has an empty name",
            Self::NameTooLong => "a name is longer than 64 characters",
            Self::NameNotAscii => "a name is not printable US-ASCII",
            Self::NotUtf8 => "a text is not UTF-8",
            Self::Invalid => "a field has a value that is not allowed",
        })
    }
}

impl core::error::Error for DecodeError {}
