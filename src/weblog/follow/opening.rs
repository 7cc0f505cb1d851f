//! Opening a file that has a log's name, or that of one that was rotated away.
//!
//! Who can write to a log's directory must not choose what is read. So a link as the last part of a name is followed only
//! if it is root's or this user's, or leads to a file of the link's own owner; where it leads to another link, that one too.
//! Each is judged by the descriptor that it is followed by: what is put in its place meanwhile changes nothing. Links above
//! the last part are the business of whoever named the log.

use super::siblings::split;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, PROC_SUPER_MAGIC, fstat, fstatfs, openat, readlinkat};
use rustix::io::Errno;
use std::borrow::Cow;
use std::fs::{File, Metadata};
use std::io;

/// Links that are followed for a name, as many as the kernel does.
pub(crate) const LINKS_MAX: usize = 40;

/// What is told of a link that somebody else has made.
const FOREIGN_LINK: &str =
    "a link whose owner is neither root, nor this user, nor the owner of the file it leads to";

/// Where a path leads.
struct Found {
    directory: OwnedFd,
    name: Vec<u8>,
    /// Names it, and has opened nothing.
    looked: OwnedFd,
    /// Of the links that led there.
    owners: Vec<u32>,
    /// It is a link of the system's to something that need not have a name.
    is_magic: bool,
}

/// Opens what a path stands for, whatever that is, for reading; never waits for the writer of a FIFO.
///
/// # Errors
/// The system's; a link that is not to be trusted.
pub(crate) fn open(path: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    match openat(CWD, path, flags | OFlags::NOFOLLOW, Mode::empty()) {
        Err(Errno::LOOP) => {}
        opened => return Ok(opened?),
    }
    let found = Found::new(CWD, path)?;
    let follow = if found.is_magic { OFlags::empty() } else { OFlags::NOFOLLOW };
    let file = openat(&found.directory, &found.name, flags | follow, Mode::empty())?;
    found.judge(fstat(&file)?.st_uid)?;
    Ok(file)
}

/// A regular file in a directory, looked at and not opened, and what is known of it.
///
/// # Errors
/// The system's; a link that is not to be trusted; what is no regular file is not found.
pub(crate) fn look(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<(File, Metadata)> {
    Found::new(directory, name)?.regular()
}

/// The same, if the name is not that of a link: who rotates makes none, and one leads anywhere.
///
/// # Errors
/// The system's; it is a link; what is no regular file is not found.
pub(crate) fn look_at(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<(File, Metadata)> {
    let found = Found::new(directory, name)?;
    if found.is_magic || !found.owners.is_empty() {
        return Err(Errno::LOOP.into());
    }
    found.regular()
}

/// Opens for reading what was [looked](look) at, and nothing that has its name by now. It needs `/proc`.
///
/// # Errors
/// The system's.
pub(crate) fn reopen(looked: &File) -> io::Result<File> {
    let path = format!("/proc/self/fd/{}", looked.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(File::from(openat(CWD, path, flags, Mode::empty())?))
}

impl Found {
    fn new(start: BorrowedFd<'_>, path: &[u8]) -> io::Result<Self> {
        let (mut path, mut owners) = (Cow::Borrowed(path), Vec::new());
        let mut above: Option<OwnedFd> = None;
        loop {
            let (directory, name) = split(&path);
            let name = if name.is_empty() { b".".to_vec() } else { name.to_vec() };
            let start = above.as_ref().map_or(start, AsFd::as_fd);
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let directory = openat(start, directory, flags | OFlags::DIRECTORY, Mode::empty())?;
            let looked = openat(&directory, &name, flags | OFlags::NOFOLLOW, Mode::empty())?;
            let stat = fstat(&looked)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                return Ok(Self { directory, name, looked, owners, is_magic: false });
            }
            if fstatfs(&looked)?.f_type == PROC_SUPER_MAGIC {
                let looked = openat(&directory, &name, flags, Mode::empty())?;
                return Ok(Self { directory, name, looked, owners, is_magic: true });
            }
            if owners.len() == LINKS_MAX {
                return Err(Errno::LOOP.into());
            }
            owners.push(stat.st_uid);
            path = Cow::Owned(readlinkat(&looked, "", Vec::new())?.into_bytes());
            above = Some(directory);
        }
    }

    /// It, if it is a regular file that the links may lead to.
    fn regular(self) -> io::Result<(File, Metadata)> {
        let stat = fstat(&self.looked)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.judge(stat.st_uid)?;
        let looked = File::from(self.looked);
        let metadata = looked.metadata()?;
        Ok((looked, metadata))
    }

    /// Whether the links may lead to a file of this owner.
    fn judge(&self, owner: u32) -> io::Result<()> {
        let own = rustix::process::geteuid().as_raw();
        match self.owners.iter().all(|link| is_trusted(*link, owner, own)) {
            true => Ok(()),
            false => Err(io::Error::other(FOREIGN_LINK)),
        }
    }
}

/// Whether a link may be followed.
const fn is_trusted(link: u32, target: u32, own: u32) -> bool {
    link == 0 || link == own || link == target
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::fs;
    use std::io::Read;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{lchown, symlink};
    use std::path::Path;

    fn text(path: &Path) -> io::Result<String> {
        let mut text = String::new();
        File::from(open(path.as_os_str().as_bytes())?).read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn t102_a_link_is_followed_if_it_is_roots_or_ours_or_leads_to_its_owners_file() {
        const SHADOW: u32 = 0;
        assert!(!is_trusted(33, SHADOW, 1000) && !is_trusted(33, SHADOW, 0));
        assert!(is_trusted(33, 33, 0) && is_trusted(0, 33, 1000) && is_trusted(1000, 33, 1000));
    }

    #[test]
    fn t102_every_link_of_a_chain_is_judged() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("d")).unwrap();
        fs::write(path("d/secret"), "secret").unwrap();
        symlink("d/second", path("first")).unwrap();
        symlink("secret", path("d/second")).unwrap();
        symlink(path("first"), path("absolute")).unwrap();
        for name in ["first", "absolute", "d/second"] {
            assert_eq!(text(&path(name)).unwrap(), "secret", "relative to where each link lies");
        }
        // Only root can give a link to somebody; for others the rule itself is tested above.
        if lchown(path("d/second"), Some(33), None).is_ok() {
            for name in ["first", "absolute", "d/second"] {
                assert_eq!(text(&path(name)).unwrap_err().to_string(), FOREIGN_LINK, "{name}");
                let above = openat(CWD, directory.path(), OFlags::PATH, Mode::empty()).unwrap();
                assert!(look(above.as_fd(), name.as_bytes()).is_err(), "{name}");
            }
            lchown(path("d/secret"), Some(33), None).unwrap();
            assert_eq!(text(&path("first")).unwrap(), "secret", "it is its owner's file");
        }
    }

    #[test]
    fn a_chain_has_an_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = |at: usize| directory.path().join(at.to_string());
        fs::write(path(0), "text").unwrap();
        (0..=LINKS_MAX).for_each(|at| symlink(at.to_string(), path(at + 1)).unwrap());
        assert_eq!(text(&path(LINKS_MAX)).unwrap(), "text");
        assert_eq!(text(&path(LINKS_MAX + 1)).unwrap_err().raw_os_error(), Some(Errno::LOOP.raw_os_error()));
        symlink("round", directory.path().join("round")).unwrap();
        assert_eq!(
            text(&directory.path().join("round")).unwrap_err().raw_os_error(),
            Some(Errno::LOOP.raw_os_error())
        );
    }

    #[test]
    fn a_descriptor_of_this_process_is_a_name_too() {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"no name").unwrap();
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        assert_eq!(text(Path::new(&path)).unwrap(), "no name");
        let directory = tempfile::tempdir().unwrap();
        symlink(&path, directory.path().join("link")).unwrap();
        assert_eq!(text(&directory.path().join("link")).unwrap(), "no name");
    }

    #[test]
    fn what_is_looked_at_is_what_is_opened() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("log"), "old").unwrap();
        let above = openat(CWD, directory.path(), OFlags::PATH, Mode::empty()).unwrap();
        let (looked, metadata) = look(above.as_fd(), b"log").unwrap();
        fs::rename(directory.path().join("log"), directory.path().join("log.1")).unwrap();
        fs::write(directory.path().join("log"), "newer").unwrap();
        assert_eq!(metadata.len(), 3);
        let mut text = String::new();
        reopen(&looked).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "old");
        for special in ["fifo", "."] {
            if special == "fifo" {
                let path = directory.path().join(OsStr::new(special));
                rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).unwrap();
            }
            let kind = look(above.as_fd(), special.as_bytes()).unwrap_err().kind();
            assert_eq!(kind, io::ErrorKind::NotFound, "{special}");
        }
    }
}
