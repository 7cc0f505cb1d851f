//! SSH_FXP_STATUS: how a request went (draft §7).

use crate::wire::{DecodeError, Reader, Writer};

/// The code of a STATUS; others than these exist, and mean a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusCode(pub u32);

impl StatusCode {
    /// It is done.
    pub const OK: Self = Self(0);
    /// The end of the file or directory.
    pub const EOF: Self = Self(1);
    /// No such file, or a directory on the way is missing.
    pub const NO_SUCH_FILE: Self = Self(2);
    /// The user may not.
    pub const PERMISSION_DENIED: Self = Self(3);
    /// Everything that has no code of its own.
    pub const FAILURE: Self = Self(4);
    /// The request could not be read.
    pub const BAD_MESSAGE: Self = Self(5);
    /// Only a client says so, to its user.
    pub const NO_CONNECTION: Self = Self(6);
    /// Only a client says so, to its user.
    pub const CONNECTION_LOST: Self = Self(7);
    /// The server does not know the request.
    pub const OP_UNSUPPORTED: Self = Self(8);

    /// What it says, in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::OK => "done",
            Self::EOF => "end of file",
            Self::NO_SUCH_FILE => "no such file or directory",
            Self::PERMISSION_DENIED => "permission denied",
            Self::BAD_MESSAGE => "bad message",
            Self::NO_CONNECTION => "no connection",
            Self::CONNECTION_LOST => "connection lost",
            Self::OP_UNSUPPORTED => "operation not supported",
            _ => "failure",
        }
    }
}

/// A STATUS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status<'a> {
    /// How it went.
    pub code: StatusCode,
    /// For people; escape it before it is shown. Empty at servers that leave it out.
    pub message: &'a [u8],
    /// Of the message (RFC 3066).
    pub language_tag: &'a [u8],
}

impl Status<'_> {
    /// A code with its own words.
    #[must_use]
    pub const fn new(code: StatusCode) -> Self {
        Self { code, message: code.words().as_bytes(), language_tag: b"en" }
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.uint32(self.code.0);
        w.string(self.message);
        w.string(self.language_tag);
    }
}

impl<'a> Status<'a> {
    /// A code with a text, which is for people and in English.
    #[must_use]
    pub const fn with_message(code: StatusCode, message: &'a [u8]) -> Self {
        Self { code, message, language_tag: b"en" }
    }

    /// Old servers leave out the two strings.
    pub(super) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let code = StatusCode(r.uint32()?);
        if r.rest().is_empty() {
            return Ok(Self { code, message: b"", language_tag: b"" });
        }
        Ok(Self { code, message: r.string()?, language_tag: r.string()? })
    }
}
