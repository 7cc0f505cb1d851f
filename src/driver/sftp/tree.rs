//! A session's files from a tree that is nowhere so: directories in `/`, files in each of them, and nothing deeper.
//!
//! What is there is asked of a [`Tree`] with every request, so it may change in between. A path is only taken apart here, and
//! in it no links are: a name is handed on if it is one component, and never becomes part of a path again. Nothing is
//! written, and of the machine nothing is told but the names, sizes and times of what is served.
//!
//! It does not know where the files are, nor who may have them.

use super::files::{Held, Reply, read_at, writes};
use super::listing::longname;
use super::{Descriptors, NAMES_MAX};
use crate::sftp::{
    Attributes, Handle, Name, NamesBuf, PackedIds, PackedStrings, Pairs, Request, StatVfs, StatusCode,
    is_component, split,
};
use core::fmt;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The mode of a directory.
const DIRECTORY_MODE: u32 = 0o040_555;

/// The mode of a file.
const FILE_MODE: u32 = 0o100_444;

/// What it says of its room: there is none, it is only read (1), and has no programs of others (2).
const FILE_SYSTEM: StatVfs = StatVfs {
    bsize: 4096,
    frsize: 4096,
    blocks: 0,
    bfree: 0,
    bavail: 0,
    files: 0,
    ffree: 0,
    favail: 0,
    fsid: 0,
    flag: 3,
    namemax: 255,
};

/// Files with what is known of them. It may hold one descriptor.
pub type Listing = Box<dyn Iterator<Item = (Vec<u8>, Metadata)> + Send>;

/// What is served: regular files by two names each. All names are bytes.
///
/// It is asked on the threads of the workers, and may wait for a disk there. A directory or a file that is not there is
/// [`io::ErrorKind::NotFound`], and so is whatever else the client need not know of.
pub trait Tree: fmt::Debug + Send + Sync {
    /// The names of the directories.
    fn directories(&self) -> Vec<Vec<u8>>;

    /// Whether there is such a directory.
    fn is_directory(&self, name: &[u8]) -> bool {
        self.directories().iter().any(|own| own == name)
    }

    /// The files of a directory, each once, in any order.
    ///
    /// # Errors
    /// There is none of that name.
    fn files(&self, directory: &[u8]) -> io::Result<Listing>;

    /// What is known of a file.
    ///
    /// # Errors
    /// It is not there, or not to be had.
    fn metadata(&self, directory: &[u8], file: &[u8]) -> io::Result<Metadata>;

    /// Opens a file for reading.
    ///
    /// # Errors
    /// It is not there, or not to be had.
    fn open(&self, directory: &[u8], file: &[u8]) -> io::Result<File>;

    /// A file that was opened is closed, by its client or with its session. So many bytes were read for the client, those that
    /// it was to get again counted again.
    fn closed(&self, directory: &[u8], file: &[u8], bytes: u64) {
        let _nobody_asks = (directory, file, bytes);
    }
}

/// What a path means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place<'p> {
    Top,
    Directory(&'p [u8]),
    File(&'p [u8], &'p [u8]),
}

enum Opened {
    File(Reading),
    Directories(std::vec::IntoIter<Vec<u8>>),
    Files(Listing),
}

/// A file that is read.
struct Reading {
    file: File,
    tree: Arc<dyn Tree>,
    /// Its two names.
    directory: Vec<u8>,
    name: Vec<u8>,
    bytes: u64,
}

impl Reading {
    fn read(&mut self, offset: u64, len: u32, buffer: Vec<u8>) -> Result<Reply, Errno> {
        let reply = read_at(&self.file, offset, len, buffer)?;
        if let Reply::Data(_, n) = reply {
            self.bytes += n as u64;
        }
        Ok(reply)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.tree.closed(&self.directory, &self.name, self.bytes);
    }
}

/// The files of a session.
pub(super) struct TreeFiles {
    tree: Arc<dyn Tree>,
    opened: BTreeMap<Handle, (Opened, Held)>,
    descriptors: Arc<Descriptors>,
    /// When it began, which is the time of its directories (seconds since 1970).
    began: u32,
}

impl fmt::Debug for TreeFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreeFiles({:?}, {} handles)", self.tree, self.opened.len())
    }
}

impl TreeFiles {
    pub(super) fn new(tree: Arc<dyn Tree>, descriptors: Arc<Descriptors>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let began = u32::try_from(since.as_secs()).unwrap_or(u32::MAX);
        Self { tree, opened: BTreeMap::new(), descriptors, began }
    }

    /// Does what a packet with its length asks; `opens` is the handle for what is opened by it, and what is read goes to
    /// `buffer`.
    pub(super) fn run(
        &mut self,
        packet: &[u8],
        opens: Option<Handle>,
        buffer: impl FnOnce() -> Vec<u8>,
    ) -> Reply {
        let packet = packet.get(4..).unwrap_or_default();
        let request = split(packet).and_then(|(number, _, fields)| Request::decode(number, fields));
        let Ok(request) = request else { return Reply::status(StatusCode::BAD_MESSAGE) };
        if writes(&request) {
            return Reply::status(StatusCode::PERMISSION_DENIED);
        }
        let reply = match request {
            Request::Open { filename, .. } => self.open(opens, filename),
            Request::Opendir { path } => self.open_directory(opens, path),
            Request::Read { handle, offset, len } => match self.opened.get_mut(handle) {
                Some((Opened::File(file), _)) => file.read(offset, len, buffer()),
                _ => Err(Errno::BADF),
            },
            Request::Readdir { handle } => self.read_directory(handle),
            Request::Close { handle } => match self.opened.remove(handle) {
                Some(_) => Ok(Reply::OK),
                None => Err(Errno::BADF),
            },
            request => self.other(&request),
        };
        reply.unwrap_or_else(Reply::from)
    }

    fn other(&self, request: &Request<'_>) -> Result<Reply, Errno> {
        Ok(match request {
            Request::Stat { path } | Request::Lstat { path } => Reply::Attrs(self.attributes(path)?),
            Request::Fstat { handle } => {
                Reply::Attrs(match &self.opened.get(*handle).ok_or(Errno::BADF)?.0 {
                    Opened::File(file) => attributes(&file.file.metadata().map_err(errno)?),
                    Opened::Directories(_) | Opened::Files(_) => self.of_directory(),
                })
            }
            Request::Realpath { path: b"" } | Request::ExpandPath { path: b"" | b"~" } => {
                Reply::one_name(b"/")
            }
            Request::ExpandPath { path: [b'~', below @ ..] } => match below {
                [b'/', ..] => Reply::one_name(&self.place(below)?.path()),
                _ => Reply::Status(StatusCode::NO_SUCH_FILE, "no such user".into()),
            },
            Request::Realpath { path } | Request::ExpandPath { path } => {
                Reply::one_name(&self.place(path)?.path())
            }
            Request::HomeDirectory { username: b"" } => Reply::one_name(b"/"),
            Request::HomeDirectory { .. } => Reply::Status(StatusCode::FAILURE, "no such user".into()),
            Request::Readlink { path } => {
                self.attributes(path)?;
                return Err(Errno::INVAL);
            }
            Request::Statvfs { path } => {
                self.attributes(path)?;
                Reply::StatVfs(FILE_SYSTEM)
            }
            Request::Fstatvfs { handle } if self.opened.contains_key(*handle) => Reply::StatVfs(FILE_SYSTEM),
            Request::Fstatvfs { .. } => return Err(Errno::BADF),
            Request::UsersGroupsById { uids, gids } => Reply::UsersGroups(nobody(uids), nobody(gids)),
            _ => return Err(Errno::NOSYS),
        })
    }

    /// What stands before a slash has to be there; the last name need not.
    fn place<'p>(&self, path: &'p [u8]) -> Result<Place<'p>, Errno> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        let mut place = Place::Top;
        for component in path.split(|byte| *byte == b'/') {
            place = match (place, component) {
                (Place::File(..), _) => return Err(Errno::NOTDIR),
                (Place::Directory(directory), _) if !self.tree.is_directory(directory) => {
                    return Err(Errno::NOENT);
                }
                (place, b"" | b".") => place,
                (_, b"..") => Place::Top,
                (Place::Top, name) => Place::Directory(name),
                (Place::Directory(directory), name) => Place::File(directory, name),
            };
        }
        Ok(place)
    }

    fn attributes(&self, path: &[u8]) -> Result<Attributes<'static>, Errno> {
        match self.place(path)? {
            Place::Directory(name) if !self.tree.is_directory(name) => Err(Errno::NOENT),
            Place::Top | Place::Directory(_) => Ok(self.of_directory()),
            Place::File(directory, file) => {
                Ok(attributes(&self.tree.metadata(directory, file).map_err(errno)?))
            }
        }
    }

    const fn of_directory(&self) -> Attributes<'static> {
        Attributes {
            size: Some(0),
            uid_gid: None,
            permissions: Some(DIRECTORY_MODE),
            ac_mod_time: Some((self.began, self.began)),
            extended: Pairs::NONE,
        }
    }

    fn open(&mut self, opens: Option<Handle>, filename: &[u8]) -> Result<Reply, Errno> {
        let Place::File(directory, name) = self.place(filename)? else {
            self.attributes(filename)?;
            return Err(Errno::ISDIR);
        };
        let held = Held::take(&self.descriptors)?;
        let file = self.tree.open(directory, name).map_err(errno)?;
        let (tree, bytes) = (Arc::clone(&self.tree), 0);
        let reading = Reading { file, tree, directory: directory.to_vec(), name: name.to_vec(), bytes };
        self.keep(opens, Opened::File(reading), held)
    }

    fn open_directory(&mut self, opens: Option<Handle>, path: &[u8]) -> Result<Reply, Errno> {
        let held = Held::take(&self.descriptors)?;
        let opened = match self.place(path)? {
            Place::Top => Opened::Directories(self.tree.directories().into_iter()),
            Place::Directory(directory) => Opened::Files(self.tree.files(directory).map_err(errno)?),
            Place::File(..) => return Err(Errno::NOTDIR),
        };
        self.keep(opens, opened, held)
    }

    fn keep(&mut self, opens: Option<Handle>, opened: Opened, held: Held) -> Result<Reply, Errno> {
        let handle = opens.ok_or(Errno::BADF)?;
        self.opened.insert(handle, (opened, held));
        Ok(Reply::Handle(handle))
    }

    fn read_directory(&mut self, handle: &[u8]) -> Result<Reply, Errno> {
        let of_directory = self.of_directory();
        let mut next: Box<dyn FnMut() -> Option<(Vec<u8>, Attributes<'static>)>> =
            match self.opened.get_mut(handle) {
                Some((Opened::Directories(names), _)) => {
                    Box::new(move || names.next().map(|name| (name, of_directory)))
                }
                Some((Opened::Files(files), _)) => {
                    Box::new(|| files.next().map(|(name, metadata)| (name, attributes(&metadata))))
                }
                _ => return Err(Errno::BADF),
            };
        let mut names = NamesBuf::new();
        while names.names().len() < NAMES_MAX
            && let Some((filename, attrs)) = next()
        {
            // By another name nobody could ask for it.
            if !is_component(&filename) {
                continue;
            }
            let mtime = attrs.ac_mod_time.map_or(0, |(_, mtime)| mtime);
            let (mode, size) = (attrs.permissions.unwrap_or_default(), attrs.size.unwrap_or_default());
            let links = if mode == DIRECTORY_MODE { 2 } else { 1 };
            let longname = longname((mode, links), ("-", "-"), size, mtime.into(), &filename);
            if !names.push(&Name { filename: &filename, longname: &longname, attrs }) {
                return Err(Errno::OVERFLOW);
            }
        }
        Ok(Reply::Names(names))
    }
}

impl Place<'_> {
    /// Its absolute path.
    fn path(self) -> Vec<u8> {
        match self {
            Self::Top => b"/".to_vec(),
            Self::Directory(directory) => [b"/", directory].concat(),
            Self::File(directory, file) => [b"/", directory, b"/", file].concat(),
        }
    }
}

/// The file's own size and times; whose it is and who else may do what with it is not said.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "version 3 has 32 bits for a time"
)]
fn attributes(metadata: &Metadata) -> Attributes<'static> {
    Attributes {
        size: Some(metadata.len()),
        uid_gid: None,
        permissions: Some(FILE_MODE),
        ac_mod_time: Some((metadata.atime() as u32, metadata.mtime() as u32)),
        extended: Pairs::NONE,
    }
}

/// No name for any of these; that is no longer than the numbers were.
fn nobody(ids: &PackedIds<'_>) -> Vec<u8> {
    PackedStrings::pack(ids.iter().map(|_| &b""[..])).unwrap_or_default()
}

/// What has no number of the system's is a failure.
fn errno(error: io::Error) -> Errno {
    match error.kind() {
        io::ErrorKind::NotFound => Errno::NOENT,
        io::ErrorKind::PermissionDenied => Errno::ACCESS,
        _ => Errno::from_io_error(&error).unwrap_or(Errno::IO),
    }
}
