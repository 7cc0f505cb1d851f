//! Files here: directories by descriptor, one component at a time, and files that appear whole or not at all.
//!
//! No name is looked up by more than one component but the user's own, and below it no symbolic link is followed while
//! something is written. It does not know where names come from.

use super::operand::os;
use super::resume::{NAME_LEN_MAX, NOTE_LEN_MAX, Source, note, partial};
use crate::sftp::is_component;
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps, fchmod, fstat, futimens, mkdirat,
    openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

/// The bits of a mode that are ever set: set-user-ID and its like are not (CVE-2026-35385).
pub(super) const MODE_MASK: u32 = 0o777;

/// Mode and times that something gets in the end; what is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Finish {
    pub(super) mode: Option<u32>,
    /// `atime` and `mtime`, seconds since 1970.
    pub(super) times: Option<(u32, u32)>,
}

impl Finish {
    fn apply(&self, to: &impl AsFd) -> io::Result<()> {
        if let Some(mode) = self.mode {
            fchmod(to, Mode::from_raw_mode(mode & MODE_MASK))?;
        }
        if let Some((atime, mtime)) = self.times {
            let at = |seconds: u32| Timespec { tv_sec: seconds.into(), tv_nsec: 0 };
            futimens(to, &Timestamps { last_access: at(atime), last_modification: at(mtime) })?;
        }
        Ok(())
    }
}

/// The kind of a file, by its mode.
pub(super) fn kind(mode: u32) -> FileType {
    FileType::from_raw_mode(mode)
}

/// What a file that is neither is called.
pub(super) fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "no regular file",
    }
}

/// Whether a name of the server's can be one here: a component that is not too long, so that names are bounded too.
pub(super) fn is_name(name: &[u8]) -> bool {
    is_component(name) && name.len() <= NAME_LEN_MAX
}

/// A directory that is open.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Folder {
    /// The user's own path: links are followed.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::open(path, DIRECTORY, Mode::empty())?))
    }

    /// A directory below this one, which is no link.
    pub(super) fn child(&self, name: &[u8]) -> io::Result<Self> {
        Ok(Self(openat(&self.0, os(name), DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?))
    }

    /// The same, made if it is missing; and whether it was. It has its mode and the user's own rights at once: whoever goes
    /// on with a copy that was cut off finds it made.
    pub(super) fn make_child(&self, name: &[u8], mode: u32) -> io::Result<(Self, bool)> {
        let mode = Mode::from_raw_mode(mode & MODE_MASK) | Mode::RWXU;
        let fresh = match mkdirat(&self.0, os(name), mode) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        Ok((self.child(name)?, fresh))
    }

    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// What is there under a name; of a link itself.
    pub(super) fn look(&self, name: &[u8]) -> io::Result<Option<Stat>> {
        match statat(&self.0, os(name), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The same behind a link.
    pub(super) fn look_through(&self, name: &[u8]) -> io::Result<Stat> {
        Ok(statat(&self.0, os(name), AtFlags::empty())?)
    }

    /// Opens a file that is to be read; a link to a file is followed. Never waits for the other end of a FIFO.
    pub(super) fn open_file(&self, name: &[u8]) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(openat(&self.0, os(name), flags, Mode::empty())?.into())
    }

    /// Its names, as they come.
    pub(super) fn names(&self) -> io::Result<impl Iterator<Item = io::Result<Vec<u8>>> + use<>> {
        let names = Dir::read_from(&self.0)?.map(|entry| Ok(entry?.file_name().to_bytes().to_vec()));
        Ok(names.filter(|name| !matches!(name.as_deref(), Ok(b"." | b".."))))
    }

    pub(super) fn finish(&self, finish: &Finish) -> io::Result<()> {
        finish.apply(&self.0)
    }

    fn unlink(&self, name: &[u8]) -> io::Result<()> {
        match unlinkat(&self.0, os(name), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn create(&self, name: &[u8]) -> io::Result<File> {
        self.unlink(name)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&self.0, os(name), flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// A file of this name that nobody else can have put there: no link, not known by a second name, and the user's own.
    fn reopen(&self, name: &[u8]) -> Option<File> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&self.0, os(name), flags, Mode::empty()).ok()?;
        let stat = fstat(&file).ok()?;
        let own = kind(stat.st_mode) == FileType::RegularFile
            && stat.st_nlink == 1
            && stat.st_uid == rustix::process::geteuid().as_raw();
        own.then(|| file.into())
    }
}

/// A file on its way: under the name of its partial file until it is whole.
#[derive(Debug)]
pub(super) struct Part {
    folder: Rc<super::walk::Directory>,
    name: Vec<u8>,
    partial: Vec<u8>,
    pub(super) file: Rc<File>,
}

impl Part {
    /// Checks that a name is free, or is a file's that may be replaced.
    pub(super) fn check(folder: &Folder, name: &[u8]) -> io::Result<Option<Stat>> {
        let found = folder.look(name)?;
        match found.map(|stat| kind(stat.st_mode)) {
            None | Some(FileType::RegularFile) => Ok(found),
            Some(other) => Err(io::Error::other(format!("here it is {}", kind_name(other)))),
        }
    }

    /// Begins; what is left of an earlier try is thrown away.
    pub(super) fn create(folder: &Rc<super::walk::Directory>, name: &[u8]) -> io::Result<Self> {
        let partial = partial(name);
        folder.folder.unlink(&note(&partial))?;
        let file = Rc::new(folder.folder.create(&partial)?);
        Ok(Self { folder: Rc::clone(folder), name: name.to_vec(), partial, file })
    }

    /// What is left of an earlier try, with its length and the source that it is of.
    pub(super) fn left(
        folder: &Rc<super::walk::Directory>,
        name: &[u8],
    ) -> Option<(Self, u64, Option<Source>)> {
        let partial = partial(name);
        let file = folder.folder.reopen(&partial)?;
        let len = file.metadata().ok()?.len();
        let mut text = Vec::new();
        let noted = folder.folder.reopen(&note(&partial))?;
        noted.take(NOTE_LEN_MAX as u64).read_to_end(&mut text).ok()?;
        let part = Self { folder: Rc::clone(folder), name: name.to_vec(), partial, file: Rc::new(file) };
        Some((part, len, Source::from_note(&text)))
    }

    /// Notes beside it what it is a part of.
    pub(super) fn note(&self, source: Source) -> io::Result<()> {
        self.folder.folder.create(&note(&self.partial))?.write_all(source.note().as_bytes())
    }

    /// It is whole: mode, times, and its name.
    pub(super) fn finish(self, finish: &Finish) -> io::Result<()> {
        let folder = &self.folder.folder;
        finish.apply(&self.file)?;
        let (own, there) = (fstat(&self.file)?, folder.look(&self.partial)?);
        if there.is_none_or(|there| (there.st_dev, there.st_ino) != (own.st_dev, own.st_ino)) {
            return Err(io::Error::other("another file took the place of the partial one"));
        }
        Self::check(folder, &self.name)?;
        renameat(&folder.0, os(&self.partial), &folder.0, os(&self.name))?;
        folder.unlink(&note(&self.partial))
    }

    /// It is of no use: of a file that is begun again anyway.
    pub(super) fn discard(self) {
        let _it_stays = self.folder.folder.unlink(&self.partial);
    }
}

#[cfg(test)]
mod tests {
    use super::super::walk::Directory;
    use super::*;

    /// A copy that goes on finds it made, and gives it no mode any more.
    #[test]
    fn a_directory_has_its_mode_and_the_user_s_own_rights_from_the_beginning() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::open(directory.path()).unwrap();
        // Bits that no umask in use takes away.
        for (name, mode, expected) in [(b"a", 0o6500, 0o700), (b"b", 0o050, 0o750), (b"c", 0, 0o700)] {
            let (child, fresh) = folder.make_child(name, mode).unwrap();
            assert!(fresh && !folder.make_child(name, 0o777).unwrap().1);
            assert_eq!(fstat(&child.0).unwrap().st_mode & 0o7777, expected, "{mode:o}");
        }
    }

    #[test]
    fn of_a_note_only_the_beginning_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::open(directory.path()).unwrap();
        let (remote, shown, finish) = (Vec::new(), Vec::new(), None);
        let folder =
            Rc::new(Directory { parent: None, folder, remote, shown, depth: 0, fresh: false, finish });
        std::fs::write(directory.path().join(".f.part"), "part").unwrap();
        let ends = "size 7\nmtime 1\n".len();
        for (zeros, is_read) in [(0, true), (NOTE_LEN_MAX - ends, true), (NOTE_LEN_MAX - ends + 1, false)] {
            let note = format!("size {}7\nmtime 1\n", "0".repeat(zeros));
            std::fs::write(directory.path().join(".f.part.meta"), note).unwrap();
            let (_, len, source) = Part::left(&folder, b"f").unwrap();
            assert_eq!((len, source.is_some()), (4, is_read), "{zeros}");
        }
    }
}
