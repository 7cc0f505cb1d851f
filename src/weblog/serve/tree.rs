//! The files of logs as a client of SFTP sees them: `/NAME/BASENAME`, the rotated files beside it, and nothing else.
//!
//! A name is served if the log has a file of this base name, or if `follow::siblings` takes it for one that was rotated away
//! from such a file, and if the follower would read what stands under it: links are judged as it judges them, rotated files
//! are none, and what is no regular file is never opened. Names are looked up in the log's directory by its descriptor and are
//! no paths. Where a log has files of one base name in several directories, the first of them has it.
//!
//! It does not know SFTP, and not who may see which log; whom it is for it is told for the audit.

use super::audit;
use crate::driver::sftp::{Listing, Tree};
use crate::weblog::follow::opening::{look, look_at, reopen};
use crate::weblog::follow::siblings::{bases, split};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Dir, Mode, OFlags, openat};
use rustix::io::Errno;
use std::fs::{File, Metadata};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

/// A directory, and what of its names are a log's.
#[derive(Debug)]
struct Place {
    directory: Vec<u8>,
    /// In their order.
    bases: Vec<Vec<u8>>,
}

/// Where the files of one log are. It is shared by the trees of all who may see it, and may change at any time.
#[derive(Debug)]
pub struct LogFiles {
    name: String,
    places: RwLock<Arc<Vec<Place>>>,
}

impl LogFiles {
    /// None yet, of a log that is called so. A name that is no component of a path, such as one with `/`, is never found.
    #[must_use]
    pub fn new(name: String) -> Self {
        Self { name, places: RwLock::default() }
    }

    /// The files that are followed, by the paths that they are followed by: what was there before is forgotten.
    pub fn set(&self, paths: impl IntoIterator<Item = impl AsRef<Path>>) {
        let mut places: Vec<Place> = Vec::new();
        for path in paths {
            let (directory, base) = split(path.as_ref().as_os_str().as_bytes());
            match places.iter_mut().find(|place| place.directory == directory) {
                Some(place) => place.bases.push(base.to_vec()),
                None => places.push(Place { directory: directory.to_vec(), bases: vec![base.to_vec()] }),
            }
        }
        for place in &mut places {
            place.bases.sort();
            place.bases.dedup();
        }
        *self.places.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(places);
    }

    /// Whether a path is that of a file that was rotated away from one of these.
    pub(super) fn has_rotated(&self, path: &Path) -> bool {
        let (directory, name) = split(path.as_os_str().as_bytes());
        self.places().iter().any(|place| place.directory == directory && place.has_rotated(name))
    }

    fn places(&self) -> Arc<Vec<Place>> {
        Arc::clone(&self.places.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The logs that somebody may see.
#[derive(Debug)]
pub struct LogTree {
    logs: Vec<Arc<LogFiles>>,
    /// Who copies them, from where.
    user: Option<(Vec<u8>, Option<SocketAddr>)>,
}

impl LogTree {
    /// Of these logs; no two have one name.
    #[must_use]
    pub const fn new(logs: Vec<Arc<LogFiles>>) -> Self {
        Self { logs, user: None }
    }

    /// The same for this user at this address: the audit is told what he copies.
    #[must_use]
    pub fn copied_by(self, user: &[u8], address: Option<SocketAddr>) -> Self {
        Self { user: Some((user.to_vec(), address)), ..self }
    }

    fn places(&self, directory: &[u8]) -> io::Result<Arc<Vec<Place>>> {
        let log = self.logs.iter().find(|log| log.name.as_bytes() == directory);
        log.map(|log| log.places()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn look(&self, directory: &[u8], file: &[u8]) -> io::Result<(File, Metadata)> {
        look_in(&self.places(directory)?, file)
    }
}

impl Tree for LogTree {
    fn directories(&self) -> Vec<Vec<u8>> {
        self.logs.iter().map(|log| log.name.as_bytes().to_vec()).collect()
    }

    fn is_directory(&self, name: &[u8]) -> bool {
        self.logs.iter().any(|log| log.name.as_bytes() == name)
    }

    fn files(&self, directory: &[u8]) -> io::Result<Listing> {
        let places = self.places(directory)?;
        let files = (0..places.len()).flat_map(move |at| names_in(&places, at));
        Ok(Box::new(files))
    }

    fn metadata(&self, directory: &[u8], file: &[u8]) -> io::Result<Metadata> {
        Ok(self.look(directory, file)?.1)
    }

    fn open(&self, directory: &[u8], file: &[u8]) -> io::Result<File> {
        reopen(&self.look(directory, file)?.0).map_err(told)
    }

    fn closed(&self, directory: &[u8], file: &[u8], bytes: u64) {
        if let Some((user, address)) = &self.user {
            audit::transfer(user, *address, &[b"/", directory, b"/", file].concat(), bytes);
        }
    }
}

impl Place {
    /// Whether it is a log's own name.
    fn has_log(&self, name: &[u8]) -> bool {
        self.bases.binary_search_by(|base| base.as_slice().cmp(name)).is_ok()
    }

    /// Whether it is that of a file that was rotated away.
    fn has_rotated(&self, name: &[u8]) -> bool {
        bases(name).any(|base| self.has_log(base))
    }

    /// What stands under a name that is the log's.
    fn look(&self, name: &[u8]) -> io::Result<(File, Metadata)> {
        let look = match (self.has_log(name), self.has_rotated(name)) {
            (true, _) => look,
            (false, true) => look_at,
            (false, false) => return Err(io::ErrorKind::NotFound.into()),
        };
        look(self.open(OFlags::PATH)?.as_fd(), name).map_err(told)
    }

    fn open(&self, how: OFlags) -> io::Result<OwnedFd> {
        let flags = how | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, self.directory.as_slice(), flags, Mode::empty()).map_err(|error| told(error.into()))
    }
}

/// What stands under a name in the first of some places that has it. What else is wrong with another place is told only if
/// none has.
fn look_in(places: &[Place], name: &[u8]) -> io::Result<(File, Metadata)> {
    let mut why = io::Error::from(io::ErrorKind::NotFound);
    for place in places {
        match place.look(name) {
            Ok(found) => return Ok(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => why = error,
        }
    }
    Err(why)
}

/// The files of one place that no place before it has: the logs, and then what was rotated away. Where the directory cannot
/// be listed, these are not there.
fn names_in(places: &Arc<Vec<Place>>, at: usize) -> impl Iterator<Item = (Vec<u8>, Metadata)> + use<> {
    let [places, of_logs, of_rotated] = [(); 3].map(|()| Arc::clone(places));
    let logs = (0..).map_while(move |n| of_logs.get(at)?.bases.get(n).cloned());
    let directory = places.get(at).and_then(|place| Dir::new(place.open(OFlags::RDONLY).ok()?).ok());
    let entries = directory.into_iter().flatten().map_while(Result::ok);
    let rotated = entries.map(|entry| entry.file_name().to_bytes().to_vec()).filter(move |name| {
        of_rotated.get(at).is_some_and(|place| !place.has_log(name) && place.has_rotated(name))
    });
    logs.chain(rotated).filter_map(move |name| {
        let (before, from) = places.split_at_checked(at)?;
        if look_in(before, &name).is_ok() {
            return None;
        }
        let metadata = from.first()?.look(&name).ok()?.1;
        Some((name, metadata))
    })
}

/// What a client need not know of is not there.
fn told(error: io::Error) -> io::Error {
    let hidden = [Errno::LOOP, Errno::NOTDIR, Errno::NAMETOOLONG, Errno::NXIO];
    match Errno::from_io_error(&error) {
        Some(errno) if !hidden.contains(&errno) => error,
        _ => io::ErrorKind::NotFound.into(),
    }
}

#[cfg(test)]
mod tests;
