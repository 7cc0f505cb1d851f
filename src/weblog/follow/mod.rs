//! Following a log: each line once, in order, through rotation by rename, truncation, replacement and lost connections.
//!
//! ```text
//!            names                    places                         lines
//!   Files ──▶ find, siblings ──▶ Follower: past… current ──▶ Sink ──▶ whoever shows them
//!   (local, or a host's)             │
//!                                 Ledger ──▶ Checkpoint (goes on from there), Receipt (what was lost)
//! ```
//!
//! The algorithm stands once, over the trait `files::Files`. It does not know what a line means, nor how a host is reached.

mod begin;
pub(crate) mod files;
mod find;
mod follower;
pub mod ledger;
pub mod local;
pub mod logs;
pub(crate) mod named;
pub(crate) mod opening;
pub mod position;
mod reading;
pub(crate) mod sftp;
pub mod shell;
pub(crate) mod siblings;
mod source;
pub mod state;
pub(crate) mod stream;
#[cfg(test)]
mod tests;
pub mod via;

use super::lines::Line;
use core::fmt;
use core::time::Duration;
use files::{Files, Trouble};
use std::collections::HashSet;
use std::rc::Rc;

pub(crate) use follower::{Follower, ends_amid_text};

/// How often a log is looked at without being told.
pub const POLL: Duration = Duration::from_secs(1);

/// How long a file that was rotated away is still read after its last byte: its writer may not have noticed yet.
pub const DRAIN: Duration = Duration::from_secs(60);

/// Files that were rotated away and are still read for what may come; beyond that the oldest is let go.
pub const PAST_MAX: usize = 16;

/// What is said of a log that is no file.
pub(crate) const NOT_REGULAR: &str = "not a regular file";

/// Where following begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// So many lines before the end.
    LinesBeforeEnd(u64),
    /// At this line, from 1.
    Line(u64),
}

/// The time of a line.
pub type StampOf = dyn Fn(&[u8]) -> Option<i64>;

/// A time before which nothing is wanted.
#[derive(Clone)]
pub struct Since {
    /// Since 1970.
    pub seconds: i64,
    /// The time of a line, in seconds since 1970, if it has one.
    pub stamp: Rc<StampOf>,
}

impl fmt::Debug for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Since({})", self.seconds)
    }
}

/// How a log is followed.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to begin.
    pub start: Start,
    /// Begin no earlier than this; somewhat earlier lines may come.
    pub since: Option<Since>,
    /// The rotated files belong to it, too.
    pub with_rotated: bool,
    /// Go on at the end; otherwise the last line is told even without its end, and that is all.
    pub follow: bool,
    /// A line without its end is left for whoever goes on here: told now, it would be told again once it is whole.
    pub leaves_unfinished: bool,
    /// How often it is looked at: after something new, and when nothing was new for long.
    pub poll: (Duration, Duration),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            start: Start::LinesBeforeEnd(0),
            since: None,
            with_rotated: false,
            follow: true,
            leaves_unfinished: false,
            poll: (POLL, POLL),
        }
    }
}

/// What happened to a log. Each is told once, until it has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// It is not there.
    Waiting,
    /// It cannot be read: a text for the user.
    Trouble(String),
    /// It goes on in a new file; so many bytes of the old one were not read yet.
    Rotated {
        /// Bytes.
        behind: u64,
    },
    /// It was truncated, or written anew; what was told ends at `at`.
    Truncated {
        /// Bytes from the beginning.
        at: u64,
    },
    /// Lines are lost, or may be.
    Gap(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("not there; waiting for it"),
            Self::Trouble(text) => write!(f, "{text}"),
            Self::Rotated { behind: 0 } => f.write_str("rotated"),
            Self::Rotated { behind } => write!(f, "rotated, {behind} bytes behind"),
            Self::Truncated { at } => write!(f, "truncated, after byte {at}"),
            Self::Gap(text) => write!(f, "gap: {text}"),
        }
    }
}

/// Of some paths those that stand for different files: one log may have two names. Those that are not there stay.
///
/// # Errors
/// The way to the files is lost.
pub(crate) async fn distinct<F: Files>(files: &F, paths: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, Trouble> {
    let (mut seen, mut kept) = (HashSet::new(), Vec::new());
    let stats = files.stat_all(&paths).await?;
    for (path, stat) in paths.into_iter().zip(stats) {
        let identity = stat.ok().and_then(|stat| stat.identity);
        if identity.is_none_or(|identity| seen.insert(identity)) {
            kept.push(path);
        }
    }
    Ok(kept)
}

/// Takes what is told of a log.
pub(crate) trait Sink {
    /// Waits until it takes more. What a read brings then is taken.
    async fn ready(&mut self);

    /// A line of the log's file number `generation`, counted from the one that was read first.
    fn line(&mut self, generation: u64, line: Line<'_>);

    /// What stands before the lines that come and says how to read them; no lines of the log's.
    fn directives(&mut self, text: &[u8]);

    /// What happened.
    fn note(&mut self, note: Note);
}
