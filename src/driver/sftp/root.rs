//! A directory from which no name, link or race leads out.
//!
//! Names are resolved by the kernel, with the directory as their root (openat2(2), `RESOLVE_IN_ROOT`): an absolute link
//! means what is below it, `..` stays in it, and a directory that is swapped for a link in between cannot be told apart
//! from one that never was there. The links of `/proc` that jump anywhere are refused. What acts on a name and not on what
//! is there (to make, remove, rename it) acts in its parent's descriptor, and on a last part that is a name. A path as text
//! is an answer and is never opened again.
//!
//! The crate cap-std would refuse absolute links within the directory; here they work as after chroot(2). The root may be
//! `/` itself, where all of a user's files are as for any program of his.
//!
//! It does not know users and permissions: the kernel judges by the process's own. Linux 5.8.

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Stat, Timestamps, Uid, chmodat,
    chownat, fstat, linkat, mkdirat, openat2, readlinkat, renameat, renameat_with, symlinkat, unlinkat,
    utimensat,
};
use rustix::io::Errno;
use std::borrow::Cow;
use std::io;
use std::path::Path;

/// How often a name is resolved again that could not be because something was renamed meanwhile.
pub const RESOLVE_MAX: usize = 128;

/// Links that [`Root::real_path`] follows by itself, as many as the kernel does.
const LINKS_MAX: usize = 40;

/// Whether a link as the last part of a name is what is meant, or what it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// It is followed.
    Followed,
    /// It is meant itself.
    Meant,
}

/// The directory. All names are bytes, and relative to it whether they begin with `/` or not.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    is_whole: bool,
}

impl Root {
    /// Takes a directory of the process's name space.
    ///
    /// # Errors
    /// It is none; the kernel has no openat2, or forbids it; `/proc` is not there.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = Self { fd: rustix::fs::open(path, flags, Mode::empty())?, is_whole: path == "/" };
        root.look(b".", Links::Followed).map_err(|error| match error {
            Errno::NOSYS | Errno::PERM => io::Error::other("SFTP needs openat2(2), of Linux 5.6 and later"),
            error => error.into(),
        })?;
        root.path_of(&root.fd).map_err(|_| io::Error::other("SFTP needs /proc"))?;
        Ok(root)
    }

    /// Whether nothing is outside.
    pub(super) const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Opens what is there, or makes a file. A FIFO or a device is not waited for, and becomes nobody's terminal.
    pub(super) fn open_file(&self, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        self.resolve(path, flags | OFlags::NONBLOCK | OFlags::NOCTTY, mode)
    }

    /// A descriptor that names what is there and opens nothing.
    pub(super) fn look(&self, path: &[u8], links: Links) -> Result<OwnedFd, Errno> {
        let nofollow = if links == Links::Meant { OFlags::NOFOLLOW } else { OFlags::empty() };
        self.resolve(path, OFlags::PATH | nofollow, Mode::empty())
    }

    pub(super) fn stat(&self, path: &[u8], links: Links) -> Result<Stat, Errno> {
        fstat(self.look(path, links)?)
    }

    pub(super) fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, Errno> {
        let link = self.look(path, Links::Meant)?;
        if !is_link(&fstat(&link)?) {
            return Err(Errno::INVAL);
        }
        Ok(readlinkat(&link, "", Vec::new())?.into_bytes())
    }

    pub(super) fn make_directory(&self, path: &[u8], mode: Mode) -> Result<(), Errno> {
        let (parent, name) = self.parent(path)?;
        mkdirat(parent, name, mode)
    }

    /// Removes a name; `flags` say whether it is a directory's.
    pub(super) fn remove(&self, path: &[u8], flags: AtFlags) -> Result<(), Errno> {
        let (parent, name) = self.parent(path)?;
        unlinkat(parent, name, flags)
    }

    /// Renames over what is there.
    pub(super) fn replace(&self, old: &[u8], new: &[u8]) -> Result<(), Errno> {
        let ((old_parent, old), (new_parent, new)) = (self.parent(old)?, self.parent(new)?);
        renameat(old_parent, old, new_parent, new)
    }

    /// Renames if nothing is there.
    pub(super) fn rename(&self, old: &[u8], new: &[u8]) -> Result<(), Errno> {
        let ((old_parent, old_name), (new_parent, new_name)) = (self.parent(old)?, self.parent(new)?);
        match renameat_with(&old_parent, old_name, &new_parent, new_name, RenameFlags::NOREPLACE) {
            // Some file systems cannot do it in one step.
            Err(Errno::INVAL | Errno::NOSYS) if self.look(new, Links::Meant).err() == Some(Errno::NOENT) => {
                renameat(old_parent, old_name, new_parent, new_name)
            }
            result => result,
        }
    }

    /// Makes a link; its text is kept as it is, and means what it says only below the root.
    pub(super) fn symlink(&self, target: &[u8], path: &[u8]) -> Result<(), Errno> {
        let (parent, name) = self.parent(path)?;
        symlinkat(target, parent, name)
    }

    /// Gives what is there a second name; a symbolic link gets one itself.
    pub(super) fn link(&self, old: &[u8], new: &[u8]) -> Result<(), Errno> {
        let ((old_parent, old), (new_parent, new)) = (self.parent(old)?, self.parent(new)?);
        if old.contains(&b'/') {
            return Err(Errno::NOTDIR); // the kernel would follow a link for the sake of the slash
        }
        linkat(old_parent, old, new_parent, new, AtFlags::empty())
    }

    /// The absolute path without links, of which the last part need not be there. It is text: nothing may be opened by it
    /// but through this root.
    pub(super) fn real_path(&self, path: &[u8]) -> Result<Vec<u8>, Errno> {
        let mut path = Cow::Borrowed(path);
        for _ in 0..LINKS_MAX {
            match self.look(&path, Links::Followed) {
                Err(Errno::NOENT) => {}
                found => return self.path_of(&found?),
            }
            let (parent, name) = match self.parent(&path) {
                Err(Errno::BUSY) => return Err(Errno::NOENT), // such as missing/..
                parent => parent?,
            };
            if name.contains(&b'/') {
                return Err(Errno::NOENT);
            }
            let directory = self.path_of(&parent)?;
            match readlinkat(&parent, name, Vec::new()) {
                Ok(target) => path = Cow::Owned(joined(&directory, target.to_bytes())),
                Err(_) => return Ok(joined(&directory, name)),
            }
        }
        Err(Errno::LOOP)
    }

    fn resolve(&self, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        again(|| openat2(&self.fd, path, flags | OFlags::CLOEXEC, mode, resolve))
    }

    /// The directory that holds a name, and the name, which is neither `.` nor `..`. Slashes may follow it; the calls
    /// above do not follow a link for that.
    fn parent<'p>(&self, path: &'p [u8]) -> Result<(OwnedFd, &'p [u8]), Errno> {
        let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
        let start = path.iter().take(end).rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        let (directory, name) = path.split_at_checked(start).unwrap_or_default();
        if matches!(path.get(start..end), None | Some(b"" | b"." | b"..")) {
            return Err(if path.is_empty() { Errno::NOENT } else { Errno::BUSY });
        }
        let directory = if directory.is_empty() { b"." } else { directory };
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        Ok((self.resolve(directory, flags, Mode::empty())?, name))
    }

    /// Where it is, as text.
    fn path_of(&self, fd: &OwnedFd) -> Result<Vec<u8>, Errno> {
        let path = |fd: &OwnedFd| Ok(readlinkat(CWD, in_proc(fd), Vec::new())?.into_bytes());
        let path_in_whole: Vec<u8> = path(fd)?;
        if self.is_whole {
            return Ok(path_in_whole);
        }
        match path_in_whole.strip_prefix(&*path(&self.fd)?) {
            Some(b"") => Ok(b"/".to_vec()),
            Some(below @ [b'/', ..]) => Ok(below.to_vec()),
            _ => Err(Errno::NOENT), // moved away meanwhile
        }
    }
}

/// Tries until it is neither disturbed nor interrupted, [`RESOLVE_MAX`] times at the most.
fn again<T>(mut resolve: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    for _ in 1..RESOLVE_MAX {
        match resolve() {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
    resolve()
}

/// Sets the mode of what a descriptor of [`Root::look`] names.
pub(super) fn set_mode(fd: &OwnedFd, mode: Mode) -> Result<(), Errno> {
    if is_link(&fstat(fd)?) {
        return Err(Errno::OPNOTSUPP);
    }
    chmodat(CWD, in_proc(fd), mode, AtFlags::empty())
}

/// Sets its times.
pub(super) fn set_times(fd: &OwnedFd, times: &Timestamps) -> Result<(), Errno> {
    utimensat(fd, "", times, AtFlags::EMPTY_PATH)
}

/// Sets its owner.
pub(super) fn set_owner(fd: &OwnedFd, owner: Option<Uid>, group: Option<Gid>) -> Result<(), Errno> {
    chownat(fd, "", owner, group, AtFlags::EMPTY_PATH)
}

/// The one link of `/proc` that is used: from a descriptor of ours to what it names.
fn in_proc(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

fn is_link(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
}

/// A path from a directory on.
pub(super) fn joined(directory: &[u8], path: &[u8]) -> Vec<u8> {
    match path {
        [b'/', ..] => path.to_vec(),
        _ if directory.ends_with(b"/") => [directory, path].concat(),
        _ => [directory, b"/", path].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_name_that_is_disturbed_each_time_is_given_up_after_the_bound() {
        for disturbed in [Errno::AGAIN, Errno::INTR] {
            let mut tries = 0;
            let mut resolve = |good: usize| {
                tries = 0;
                let result = again(|| {
                    tries += 1;
                    if tries == good { Ok(()) } else { Err(disturbed) }
                });
                (result, tries)
            };
            assert_eq!(resolve(3), (Ok(()), 3));
            assert_eq!(resolve(RESOLVE_MAX), (Ok(()), RESOLVE_MAX));
            assert_eq!(resolve(usize::MAX), (Err(disturbed), RESOLVE_MAX));
        }
        assert_eq!(again(|| Err::<(), _>(Errno::NOENT)), Err(Errno::NOENT));
    }

    #[test]
    fn as_many_links_are_followed_to_what_is_missing_as_the_bound_says() {
        let directory = tempfile::tempdir().unwrap();
        for n in 1..=LINKS_MAX {
            symlink((n - 1).to_string(), directory.path().join(n.to_string())).unwrap();
        }
        let root = Root::open(directory.path()).unwrap();
        let real = |n: usize| root.real_path(n.to_string().as_bytes());
        assert_eq!(real(LINKS_MAX - 1).unwrap(), b"/0");
        assert_eq!(real(LINKS_MAX), Err(Errno::LOOP));
    }
}
