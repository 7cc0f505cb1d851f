//! An SFTP server's file system: what clients ask is done on a few threads beside the loop, below a [`Root`] or in
//! a [`Tree`].
//!
//! ```text
//! channel ─▶ Sessions: SftpServer ─▶ a queue of each session's ─▶ a worker: Files ─▶ Root ─▶ kernel
//!         ◀─        its answers   ◀─────── Waker, one queue ◀──── Reply       or Tree ─▶ whatever it has
//! ```
//!
//! A session's requests are done one after another, in their order; sessions take turns. A disk that hangs holds up those
//! whose requests are on it, and [`THREADS_MAX`] of them hold up all sessions, but never the loop. What waits is bounded by
//! [`SftpServer`](crate::sftp::SftpServer): requests, their bytes and handles of a session; the descriptors of all sessions
//! and of what is forwarded together by half of what the process may have.
//!
//! A server whose users may do less than the process can should not be dumpable (prctl(2)), as OpenSSH's `sftp-server`
//! is not: the root `/` has `/proc/self/mem` in it.
//!
//! It does not know who may use it, and how it is asked for. Beside it stands the programs' client, whose answers are awaited.

#[cfg(feature = "programs")]
pub(crate) mod client;
mod files;
mod listing;
mod root;
mod served;
mod sessions;
mod tree;
mod workers;

pub(super) use files::Held;
pub use listing::NAMES_LEN_MAX;
pub use root::{Links, RESOLVE_MAX, Root};
pub use served::AtOnce;
pub use sessions::{FAULT_STATUS, Sessions};
pub use tree::{Listing, Tree};
pub use workers::{SPARE_MAX, THREADS_MAX, TURN_MAX};

use core::sync::atomic::{AtomicUsize, Ordering};
use rustix::process::{Resource, getrlimit};
use std::sync::{Arc, OnceLock};

/// Handles of a session.
pub const HANDLES_MAX: usize = 256;

/// Requests of a session that are under way.
pub const IN_FLIGHT_MAX: usize = 64;

/// Entries in an answer to READDIR (OpenSSH: the same).
pub const NAMES_MAX: usize = 100;

/// Of a copy-data that is done at once (bytes): then other sessions have their turns.
pub const COPY_SLICE: u64 = 4 * 1024 * 1024;

/// What a session serves.
#[derive(Debug)]
pub struct Service {
    /// All that there is for it.
    pub root: Root,
    /// Where relative paths begin: an absolute path in the root.
    pub start: Vec<u8>,
    /// Nothing is changed.
    pub read_only: bool,
}

/// Descriptors that handles of all sessions hold, and what is forwarded.
#[derive(Debug)]
pub(super) struct Descriptors {
    used: AtomicUsize,
    max: usize,
}

impl Descriptors {
    pub(super) const fn new(max: usize) -> Self {
        Self { used: AtomicUsize::new(0), max }
    }

    /// Half of the process's, which all its loops share, so that they can go on accepting and starting.
    pub(super) fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<Descriptors>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| {
            let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
            Arc::new(Self::new(usize::try_from(limit / 2).unwrap_or(usize::MAX)))
        });
        Arc::clone(shared)
    }

    fn take(&self) -> bool {
        let one_more = |used: usize| (used < self.max).then_some(used + 1);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn give_back(&self) {
        self.used.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
pub(crate) mod tests;
