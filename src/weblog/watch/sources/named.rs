//! What is watched, as its user has named it.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A log, or several by a pattern, as it was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// As it was typed.
    pub name: String,
    /// Where it is.
    pub place: Place,
}

impl Source {
    /// What a log is called that was found by a pattern: as it was typed, with the path in place of the pattern.
    pub(super) fn found(&self, path: &[u8]) -> String {
        let path = String::from_utf8_lossy(path);
        match &self.place {
            Place::Local(_) | Place::Standard => path.into_owned(),
            Place::Host { path: pattern, .. } => {
                let pattern = String::from_utf8_lossy(pattern);
                let before = self.name.strip_suffix(&*pattern).unwrap_or_default();
                format!("{before}{path}")
            }
        }
    }
}

/// Where a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a host, by its number.
    Host {
        /// Of [`WatchOptions::hosts`](super::super::WatchOptions::hosts).
        host: usize,
        /// From the login directory, if it is not absolute.
        path: Vec<u8>,
    },
    /// Here.
    Local(PathBuf),
    /// Standard input.
    Standard,
}

impl Place {
    /// Whether it is that of packed logs, by its name: nobody writes to them any more.
    pub(super) fn is_packed(&self) -> bool {
        let path = match self {
            Self::Host { path, .. } => path,
            Self::Local(path) => path.as_os_str().as_bytes(),
            Self::Standard => return false,
        };
        path.ends_with(b".gz")
    }
}
