//! This machine's files.
//!
//! The directories of all logs are watched by one inotify; each log is looked at once a second besides, for file systems that
//! tell nothing, a queue that ran over, and when there are no watches left. Reading a local file does not wait, so that so
//! many bytes are read in one turn of the loop and no more. Whoever owns the loop registers the descriptor and calls
//! `Local::turn`. It does not know which bytes are a line.

use super::NOT_REGULAR;
use super::files::{Files, Kind, Stat, Trouble};
use super::opening;
use crate::driver::glob::{FITTING_MAX, TooMany};
use crate::driver::task::{Timers, Waiting};
use crate::driver::text::escaped;
use core::cell::{Cell, RefCell};
use core::task::Poll;
use core::time::Duration;
use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread, retry_on_intr};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::time::Instant;

/// Bytes that are read in one turn of the loop, of all logs together.
pub const TURN_MAX: usize = 1024 * 1024;

/// The files of this machine, for many logs.
#[derive(Debug)]
pub(crate) struct Local {
    /// `None`: the system has none left.
    inotify: Option<RefCell<Inotify>>,
    /// Who wants to know of what happens in a directory: all names, or those that begin so.
    watched: RefCell<HashMap<WatchDescriptor, Watchers>>,
    timers: Rc<Timers>,
    left: Cell<usize>,
    hungry: Waiting,
}

/// Bells, each with how the names begin for which it rings.
type Watchers = Vec<(Weak<Bell>, Vec<u8>)>;

/// Rings when something may be new for a log.
#[derive(Debug)]
struct Bell {
    rung: Cell<bool>,
    /// Names have changed, perhaps of directories: they are watched anew.
    moved: Cell<bool>,
    waiting: Waiting,
}

/// The same for one log.
#[derive(Debug)]
pub(crate) struct LocalFiles {
    local: Rc<Local>,
    path: PathBuf,
    bell: Rc<Bell>,
    /// When it is looked at next without being told.
    due: Cell<Option<Instant>>,
}

impl Local {
    pub(crate) fn new(timers: Rc<Timers>) -> Rc<Self> {
        Self::told_by(timers, Inotify::init().ok())
    }

    #[cfg(test)]
    pub(crate) fn without_inotify(timers: Rc<Timers>) -> Rc<Self> {
        Self::told_by(timers, None)
    }

    fn told_by(timers: Rc<Timers>, inotify: Option<Inotify>) -> Rc<Self> {
        Rc::new(Self {
            inotify: inotify.map(RefCell::new),
            watched: RefCell::default(),
            timers,
            left: Cell::new(TURN_MAX),
            hungry: Waiting::default(),
        })
    }

    /// The files as one log needs them.
    pub(crate) fn log(self: &Rc<Self>, path: &Path) -> LocalFiles {
        let bell = Bell { rung: Cell::new(false), moved: Cell::new(true), waiting: Waiting::default() };
        LocalFiles {
            local: Rc::clone(self),
            path: path.to_owned(),
            bell: Rc::new(bell),
            due: Cell::new(None),
        }
    }

    /// Ready to read when something has happened, if the system has any left.
    pub(crate) fn descriptor(&self) -> Option<RawFd> {
        self.inotify.as_ref().map(|inotify| inotify.borrow().as_raw_fd())
    }

    /// A turn of the loop begins, because the descriptor is ready or for another reason.
    pub(crate) fn turn(&self) {
        self.left.set(TURN_MAX);
        self.hungry.wake();
        let Some(inotify) = &self.inotify else { return };
        let mut inotify = inotify.borrow_mut();
        let mut watches = inotify.watches();
        let mut buffer = [0; 4096];
        while let Ok(events) = inotify.read_events(&mut buffer) {
            for event in events {
                if self.ring(&event.wd, event.mask, event.name) {
                    let _gone = watches.remove(event.wd);
                }
            }
        }
    }

    /// Whether a log waits only for the next turn.
    pub(crate) fn wants_turn(&self) -> bool {
        self.left.get() == 0
    }

    /// Tells the logs of an event; whether its directory is nobody's any more.
    fn ring(&self, wd: &WatchDescriptor, mask: EventMask, name: Option<&OsStr>) -> bool {
        let mut watched = self.watched.borrow_mut();
        if mask.contains(EventMask::Q_OVERFLOW) {
            watched
                .values()
                .flatten()
                .filter_map(|(bell, _)| bell.upgrade())
                .for_each(|bell| bell.ring(true));
            return false;
        }
        let Some(bells) = watched.get_mut(wd) else { return false };
        let name = name.map(OsStr::as_bytes);
        bells.retain(|(bell, prefix)| {
            let Some(bell) = bell.upgrade() else { return false };
            if name.is_none_or(|name| name.starts_with(prefix)) {
                bell.ring(mask != EventMask::MODIFY);
            }
            true
        });
        let gone = bells.is_empty() || mask.contains(EventMask::IGNORED);
        if gone {
            watched.remove(wd);
        }
        gone
    }

    /// Watches a directory; whether that is new.
    fn watch(&self, directory: &Path, prefix: &[u8], bell: &Rc<Bell>) -> bool {
        let Some(inotify) = &self.inotify else { return false };
        let mask = WatchMask::MODIFY
            | WatchMask::ATTRIB
            | WatchMask::CREATE
            | WatchMask::MOVE
            | WatchMask::DELETE
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR;
        let Ok(wd) = inotify.borrow().watches().add(directory, mask) else { return false };
        let mut watched = self.watched.borrow_mut();
        let bells = watched.entry(wd).or_default();
        let known = bells.iter().any(|(own, of)| of == prefix && own.as_ptr() == Rc::as_ptr(bell));
        if !known {
            bells.push((Rc::downgrade(bell), prefix.to_owned()));
        }
        !known
    }
}

impl Bell {
    fn ring(&self, moved: bool) {
        self.rung.set(true);
        self.moved.set(self.moved.get() || moved);
        self.waiting.wake();
    }
}

impl LocalFiles {
    /// Watches the log's directory, and that of the file it is a link to; whether one was not watched before: what happened
    /// there meanwhile nobody has told.
    fn watch(&self) -> bool {
        let directory = match self.path.parent() {
            Some(directory) if !directory.as_os_str().is_empty() => directory,
            _ => Path::new("."),
        };
        let name = self.path.file_name().unwrap_or_default().as_bytes();
        let mut new = self.local.watch(directory, name, &self.bell);
        if self.path.is_symlink()
            && let Ok(target) = self.path.canonicalize()
            && let Some(directory) = target.parent()
        {
            new |= self.local.watch(directory, b"", &self.bell);
        }
        new
    }
}

impl Files for LocalFiles {
    type File = OwnedFd;

    async fn open(&self, path: &[u8]) -> Result<OwnedFd, Trouble> {
        opening::open(path).map_err(|error| trouble(&error))
    }

    async fn stat(&self, path: &[u8]) -> Result<Stat, Trouble> {
        let metadata = fs::metadata(Path::new(OsStr::from_bytes(path))).map_err(|error| trouble(&error))?;
        Ok(stat(&metadata))
    }

    async fn fstat(&self, file: &OwnedFd) -> Result<Stat, Trouble> {
        let found = rustix::fs::fstat(file).map_err(errno)?;
        let kind = match rustix::fs::FileType::from_raw_mode(found.st_mode) {
            rustix::fs::FileType::RegularFile => Kind::Regular,
            rustix::fs::FileType::Directory => Kind::Directory,
            _ => Kind::Other,
        };
        Ok(Stat {
            size: u64::try_from(found.st_size).unwrap_or_default(),
            mtime: Some(found.st_mtime),
            identity: Some((found.st_dev, found.st_ino)),
            kind: Some(kind),
        })
    }

    async fn read(
        &self,
        file: &OwnedFd,
        offset: u64,
        at_most: usize,
        into: &mut Vec<u8>,
    ) -> Result<usize, Trouble> {
        let local = &self.local;
        core::future::poll_fn(|cx| {
            if local.left.get() > 0 {
                return Poll::Ready(());
            }
            local.hungry.wait(cx);
            Poll::Pending
        })
        .await;
        // Exactly: as much is read as there is room for.
        into.reserve_exact(at_most);
        let length = into.len();
        retry_on_intr(|| pread(file, spare_capacity(into), offset)).map_err(errno)?;
        into.truncate(length + at_most);
        let read = into.len() - length;
        local.left.set(local.left.get().saturating_sub(read));
        Ok(read)
    }

    async fn list(
        &self,
        directory: &[u8],
        fits: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<(Vec<u8>, Stat)>, Trouble> {
        let entries =
            fs::read_dir(Path::new(OsStr::from_bytes(directory))).map_err(|error| trouble(&error))?;
        let named = |entry: io::Result<fs::DirEntry>| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_vec();
            let metadata = fits(&name).then(|| entry.metadata())?.ok()?;
            Some((name, stat(&metadata)))
        };
        let listed: Vec<_> = entries.filter_map(named).take(FITTING_MAX + 1).collect();
        if listed.len() > FITTING_MAX { Err(TooMany.into()) } else { Ok(listed) }
    }

    async fn wait(&self, at_most: Duration) {
        if self.bell.moved.replace(false) && self.watch() {
            return;
        }
        let timers = &self.local.timers;
        let until = timers.now() + at_most;
        // One time is waited for however often the bell rings before it.
        let until = self.due.get().filter(|due| *due > timers.now()).map_or(until, |due| due.min(until));
        self.due.set(Some(until));
        core::future::poll_fn(|cx| {
            if self.bell.rung.replace(false) {
                return Poll::Ready(());
            }
            if timers.is_over(until, cx) {
                self.bell.moved.set(true);
                return Poll::Ready(());
            }
            self.bell.waiting.wait(cx);
            Poll::Pending
        })
        .await;
    }
}

fn stat(metadata: &Metadata) -> Stat {
    let kind = match metadata.file_type() {
        kind if kind.is_file() => Kind::Regular,
        kind if kind.is_dir() => Kind::Directory,
        _ => Kind::Other,
    };
    Stat {
        size: metadata.len(),
        mtime: Some(metadata.mtime()),
        identity: Some((metadata.dev(), metadata.ino())),
        kind: Some(kind),
    }
}

fn errno(errno: Errno) -> Trouble {
    trouble(&errno.into())
}

/// What an error of the system's means for whoever reads a log.
pub(crate) fn trouble(error: &io::Error) -> Trouble {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE) => return Trouble::Exhausted,
        // A socket cannot even be opened.
        Some(Errno::NXIO) => return Trouble::Other(NOT_REGULAR.to_owned()),
        _ => {}
    }
    match error.kind() {
        io::ErrorKind::NotFound => Trouble::Missing,
        io::ErrorKind::PermissionDenied => Trouble::Denied,
        io::ErrorKind::IsADirectory => Trouble::Other(NOT_REGULAR.to_owned()),
        _ => Trouble::Other(escaped(error.to_string().as_bytes())),
    }
}
