//! Why a connection ended or a call was refused: by whose fault.

use super::algorithms::Incompatible;
use crate::crypto::Unauthentic;
use crate::wire::{DecodeError, DisconnectReason, Fault};
use core::fmt;

/// Why a connection ended, or why a call did nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol. It is told by SSH_MSG_DISCONNECT, which waits in the output.
    Peer(Fault),
    /// Both sides are right and have no algorithm in common.
    Incompatible(Box<Incompatible>),
    /// The peer ended the connection by SSH_MSG_DISCONNECT, or said in clear text that it will not talk (reason 0).
    Disconnected {
        /// The `reason_code` (RFC 4253 §11.1).
        reason: DisconnectReason,
        /// What the peer says of it: at most [`TEXT_MAX`] bytes, invalid UTF-8 replaced; escape it before it is shown.
        description: String,
    },
    /// A deadline passed: of the login, or of a key exchange.
    TimedOut,
    /// The application refused the host key.
    HostKeyRefused,
    /// A call was wrong; it changed nothing. Never caused by the peer's bytes.
    Misuse(Misuse),
    /// An earlier call failed or ended the connection.
    Failed,
}

/// Of a text of the peer's, what is kept (bytes).
pub const TEXT_MAX: usize = 1024;

/// A text of the peer's, cut at [`TEXT_MAX`] bytes, invalid UTF-8 replaced.
pub(crate) fn text_of_peer(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..TEXT_MAX).unwrap_or(bytes)).into_owned()
}

/// How a call was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misuse(pub &'static str);

/// A verdict was given that nobody asks for, or on a question of another attempt or connection.
pub const STALE_VERDICT: Misuse = Misuse("the verdict is on no question that is open");

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(fault) => write!(f, "the peer broke the protocol: {fault}"),
            Self::Incompatible(lists) => lists.fmt(f),
            Self::Disconnected { reason: DisconnectReason(0), description } => {
                write!(f, "the peer refused: {}", description.escape_debug())
            }
            Self::Disconnected { reason, description } => {
                write!(f, "the peer disconnected: {} (reason {})", description.escape_debug(), reason.0)
            }
            Self::TimedOut => f.write_str("the peer did not answer in time"),
            Self::HostKeyRefused => f.write_str("the host key was refused"),
            Self::Misuse(misuse) => f.write_str(misuse.0),
            Self::Failed => f.write_str("the connection has failed"),
        }
    }
}

impl core::error::Error for Error {}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Peer(fault)
    }
}

impl From<Misuse> for Error {
    fn from(misuse: Misuse) -> Self {
        Self::Misuse(misuse)
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::Peer(error.into())
    }
}

impl From<Unauthentic> for Error {
    fn from(_: Unauthentic) -> Self {
        Self::Peer(super::recv::MAC_ERROR)
    }
}
