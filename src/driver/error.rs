//! Why a connection or the loop ended: SSH's reasons and the system's.

use crate::transport;
use core::fmt;
use std::io;

/// Why a connection or the loop ended.
#[derive(Debug)]
pub enum Error {
    /// A reason of the protocol.
    Ssh(transport::Error),
    /// The system refused something.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ssh(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Error {}

impl From<transport::Error> for Error {
    fn from(error: transport::Error) -> Self {
        Self::Ssh(error)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
