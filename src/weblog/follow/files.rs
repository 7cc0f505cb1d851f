//! Where a log lies: this machine's files, or those of a host.
//!
//! What follows a log asks these few things and nothing else, so that it is written once. Names are bytes, as the file system
//! has them.

use core::fmt;
use core::time::Duration;

/// What is known of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Bytes.
    pub(crate) size: u64,
    /// When it was written last (seconds since 1970).
    pub(crate) mtime: Option<i64>,
    /// Device and number, where they can be had: not by SFTP.
    pub(crate) identity: Option<(u64, u64)>,
    /// What it is; `None` where nobody says.
    pub(crate) kind: Option<Kind>,
}

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Regular,
    Directory,
    Other,
}

/// Why something could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// There is no such file.
    Missing,
    /// There is, but not for us.
    Denied,
    /// No more files can be opened now: this process has as many as it may, or the system has.
    Exhausted,
    /// The way to the files is gone; whoever follows goes on at its position over a new one.
    Lost,
    /// Anything else: a text for the user, harmless to show.
    Other(String),
}

/// What is said of [`Trouble::Missing`].
pub(crate) const MISSING: &str = "no such file";
/// What is said of [`Trouble::Denied`].
pub(crate) const DENIED: &str = "permission denied";

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str(MISSING),
            Self::Denied => f.write_str(DENIED),
            Self::Exhausted => {
                f.write_str("too many open files; name fewer logs, or allow more open files (ulimit -n)")
            }
            Self::Lost => f.write_str("connection lost"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// The files. All calls are awaited, and may be given up at any time.
pub(crate) trait Files {
    /// An open file: it stays the same one when its name goes to another. Closed when it is dropped.
    type File;

    /// Opens a file for reading; never waits for the writer of a FIFO.
    async fn open(&self, path: &[u8]) -> Result<Self::File, Trouble>;

    /// Of what a name stands for, links followed.
    async fn stat(&self, path: &[u8]) -> Result<Stat, Trouble>;

    /// The same of several, in their order; an error only if the way to the files is gone.
    async fn stat_all(&self, paths: &[Vec<u8>]) -> Result<Vec<Result<Stat, Trouble>>, Trouble> {
        let mut stats = Vec::with_capacity(paths.len());
        for path in paths {
            match self.stat(path).await {
                Err(Trouble::Lost) => return Err(Trouble::Lost),
                stat => stats.push(stat),
            }
        }
        Ok(stats)
    }

    /// Of an open file, whatever its name is now.
    async fn fstat(&self, file: &Self::File) -> Result<Stat, Trouble>;

    /// Appends what stands at `offset` to `into`, at most `at_most` bytes and maybe fewer; how many. 0 at the end. Of
    /// the first 4 KiB fewer only where the file ends.
    async fn read(
        &self,
        file: &Self::File,
        offset: u64,
        at_most: usize,
        into: &mut Vec<u8>,
    ) -> Result<usize, Trouble>;

    /// The names in a directory that `fits` says are wanted, and what they stand for, in no order; without `.` and `..`. A link
    /// is [`Kind::Other`], or what it leads to on a host. What others put there costs no more than its name.
    async fn list(
        &self,
        directory: &[u8],
        fits: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<(Vec<u8>, Stat)>, Trouble>;

    /// Waits until something may be new, as long as `at_most`. Who cannot be told waits as long as it says.
    async fn wait(&self, at_most: Duration);
}
