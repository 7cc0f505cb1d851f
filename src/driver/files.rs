//! Files of keys and hosts: read whole and bounded, written so that nobody else can read them.

use crate::crypto::sign::PrivateKey;
use crate::crypto::sign::certificate::{CertificateError, PlainOrCertified};
use crate::crypto::{Rng, SystemRng};
use crate::keys::certificate::{self, CertificateLineError};
use crate::keys::private_key::{self, ForeignFormat, PRIVATE_KEY_FILE_MAX, Parsed, PrivateKeyError};
use crate::keys::public_key;
use core::fmt;
use core::time::Duration;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use rustix::process::{geteuid, getuid};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use zeroize::Zeroizing;

/// The largest file of known hosts or authorised keys (bytes).
pub const TEXT_FILE_MAX: usize = 4 * 1024 * 1024;

/// Opens a regular file to read; never waits for a writer of a FIFO.
fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

fn read_all(file: File, max: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let mut contents = Zeroizing::new(Vec::with_capacity(length.min(max) + 1)); // does not move while it grows
    file.take(max as u64 + 1).read_to_end(&mut contents)?;
    if contents.len() > max { Err(io::Error::other("the file is too large")) } else { Ok(contents) }
}

/// Reads a text file of at most [`TEXT_FILE_MAX`] bytes.
///
/// # Errors
/// The system's; not a regular file; too large.
pub fn read_text(path: &Path) -> io::Result<Vec<u8>> {
    Ok(core::mem::take(&mut *read_all(open_regular(path)?, TEXT_FILE_MAX)?))
}

/// Reads a configuration of ssh's. With `checked` it must be the caller's or root's, and nobody else may write it; the open
/// file is judged, not its name.
///
/// # Errors
/// The system's; not a regular file; larger than [`CONFIG_FILE_MAX`]; of a wrong owner or mode.
///
/// [`CONFIG_FILE_MAX`]: crate::keys::ssh_config::FILE_MAX
pub fn read_config(path: &Path, checked: bool) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    if checked {
        check_owned(&file.metadata()?)?;
    }
    Ok(core::mem::take(&mut *read_all(file, crate::keys::ssh_config::FILE_MAX)?))
}

/// Reads a text file of at most [`TEXT_FILE_MAX`] bytes that decides who may log in: it and its directory must be the caller's
/// or root's, and nobody else may write them.
///
/// # Errors
/// The system's; not a regular file; too large; of a wrong owner or mode.
pub fn read_owned(path: &Path) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    check_owned(&file.metadata()?)?;
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    check_owned(&std::fs::metadata(directory.unwrap_or(Path::new(".")))?)?;
    Ok(core::mem::take(&mut *read_all(file, TEXT_FILE_MAX)?))
}

fn check_owned(metadata: &Metadata) -> io::Result<()> {
    let owned = [0, getuid().as_raw()].contains(&metadata.uid());
    if owned && metadata.mode() & 0o022 == 0 {
        return Ok(());
    }
    let mode = metadata.mode() & 0o7777;
    let what = if metadata.is_dir() { "its directory" } else { "it" };
    let text = format!("bad owner or permissions ({mode:04o}); others must not be able to write {what}");
    Err(io::Error::other(text))
}

/// Why a file gives no private key.
#[derive(Debug)]
pub enum KeyFileError {
    /// It cannot be read.
    Io(io::Error),
    /// It is the caller's and others may read it.
    Permissions(u32),
    /// Its contents.
    Key(PrivateKeyError),
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Permissions(mode) => write!(f, "mode {mode:04o} lets others read it; use chmod 600"),
            Self::Key(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for KeyFileError {}

/// Reads a file of a private key, encrypted or not. Like ssh it refuses a file of the caller's own that group or others may
/// read; the open file is judged, not its name. What is no private key has no secret, and is told as what it is.
///
/// # Errors
/// See [`KeyFileError`].
pub fn read_key_file(path: &Path) -> Result<Parsed, KeyFileError> {
    let file = open_regular(path).map_err(KeyFileError::Io)?;
    let metadata = file.metadata().map_err(KeyFileError::Io)?;
    let exposed = metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o077 != 0;
    let contents = read_all(file, PRIVATE_KEY_FILE_MAX).map_err(KeyFileError::Io)?;
    match private_key::parse(&contents) {
        Err(
            error @ (PrivateKeyError::NotAPrivateKey | PrivateKeyError::Foreign(ForeignFormat::PublicKey)),
        ) => Err(KeyFileError::Key(error)),
        _ if exposed => Err(KeyFileError::Permissions(metadata.mode() & 0o7777)),
        parsed => parsed.map_err(KeyFileError::Key),
    }
}

/// Reads a private key that needs no passphrase; otherwise as [`read_key_file`].
///
/// # Errors
/// See [`KeyFileError`].
pub fn read_private_key(path: &Path) -> Result<PrivateKey, KeyFileError> {
    read_key_file(path)?.plain().map(|file| file.key).map_err(KeyFileError::Key)
}

/// Reads a `.pub` file, of a key or of a certificate. Anybody may read it.
///
/// # Errors
/// The system's, of the kind `InvalidData` if the file is something else.
pub fn read_public(path: &Path) -> io::Result<PlainOrCertified> {
    let contents = read_text(path)?;
    match certificate::parse(&contents) {
        Ok(certificate) => return Ok(PlainOrCertified::Certified(Box::new(certificate))),
        Err(CertificateLineError::Certificate(CertificateError::NotACertificate)) => {}
        Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
    let line = public_key::parse(&contents);
    line.map(|line| PlainOrCertified::Plain(line.key))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Makes a file that must not exist, which only its owner may read, from the first moment.
///
/// # Errors
/// The system's.
pub fn create_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

/// A text file that others change too: whoever holds it is alone with it, as far as all ask for the lock. The lock is one of the
/// system's (flock(2)) on the file itself, and ends with this.
#[derive(Debug)]
pub struct LockedFile {
    file: File,
    /// Without symbolic links: what is replaced is the file, not the link to it.
    path: PathBuf,
}

impl LockedFile {
    /// Waits for a file that is there: whoever holds the lock only reads and writes it. Who locks several does it in the order of
    /// their paths.
    ///
    /// # Errors
    /// The system's; not a regular file.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::lock(path, false)
    }

    /// The same; makes the file (0600) and its directory (0700) where they are missing.
    ///
    /// # Errors
    /// The system's; not a regular file.
    pub fn create(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        Self::lock(path, true)
    }

    fn lock(path: &Path, create: bool) -> io::Result<Self> {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(create).mode(0o600).custom_flags(flags);
        for _ in 0..REPLACED_MAX {
            let file = options.open(path)?;
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                return Err(io::Error::other("not a regular file"));
            }
            lock_in_time(&file)?;
            // Whoever held it may have put another file in its place.
            let path = path.canonicalize()?;
            let there = std::fs::metadata(&path)?;
            if (there.dev(), there.ino()) == (metadata.dev(), metadata.ino()) {
                return Ok(Self { file, path });
            }
        }
        Err(io::Error::other("the file is replaced again and again"))
    }

    /// The contents, at most [`TEXT_FILE_MAX`] bytes.
    ///
    /// # Errors
    /// The system's; too large.
    pub fn read(&mut self) -> io::Result<Vec<u8>> {
        self.file.rewind()?;
        Ok(core::mem::take(&mut *read_all(self.file.try_clone()?, TEXT_FILE_MAX)?))
    }

    /// Appends in one write: whoever does not ask for the lock cannot write in between.
    ///
    /// # Errors
    /// The system's.
    pub fn append(&mut self, text: &[u8]) -> io::Result<()> {
        self.file.write_all(text)
    }

    /// Puts a file with these contents in the place of this one, with its mode and owner: whoever reads finds the one or the
    /// other, and a failure changes nothing.
    ///
    /// # Errors
    /// The system's.
    pub fn replace(self, contents: &[u8]) -> io::Result<()> {
        let metadata = self.file.metadata()?;
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        let mut random = [0; 8];
        SystemRng.fill(&mut random);
        name.push(format!(".{:016x}", u64::from_ne_bytes(random)));
        let beside = self.path.with_file_name(name);
        let written = Self::write_beside(&beside, contents, &metadata)
            .and_then(|()| std::fs::rename(&beside, &self.path));
        if written.is_err() {
            let _nothing_to_remove = std::fs::remove_file(&beside);
        }
        written
    }

    fn write_beside(beside: &Path, contents: &[u8], like: &Metadata) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
        file.write_all(contents)?;
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
            std::os::unix::fs::fchown(&file, Some(like.uid()), Some(like.gid()))?;
        }
        file.set_permissions(like.permissions())?;
        file.sync_all()
    }
}

/// Asks for the lock a few times: whoever holds it only reads and writes the file. One who does not let go is not waited for.
fn lock_in_time(file: &File) -> io::Result<()> {
    for _ in 1..LOCK_TRIES {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => thread::park_timeout(LOCK_PAUSE),
            result => return Ok(result?),
        }
    }
    flock(file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| io::Error::other("another process holds its lock"))
}

/// How often a lock is asked for, and the time between: a second in all.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// How often a file that was waited for may turn out to be another by then.
const REPLACED_MAX: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    const KEY: &[u8] = include_bytes!("../../vectors/keys/ed25519");

    #[test]
    fn t90_a_private_key_that_others_can_read_is_refused_with_advice() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, KEY).unwrap();
        for (mode, good) in [(0o600, true), (0o400, true), (0o644, false), (0o640, false), (0o601, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match read_private_key(&path) {
                Ok(_) => assert!(good, "{mode:o}"),
                Err(KeyFileError::Permissions(found)) => assert!(!good && found == mode, "{mode:o}"),
                Err(error) => panic!("{mode:o}: {error}"),
            }
        }
        assert!(KeyFileError::Permissions(0o644).to_string().contains("chmod 600"));
    }

    #[test]
    fn a_public_key_is_told_from_a_private_one_whoever_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pub");
        for (head, told) in [
            ("", PrivateKeyError::Foreign(ForeignFormat::PublicKey)),
            ("# mine\n", PrivateKeyError::NotAPrivateKey),
        ] {
            let line = include_str!("../../vectors/keys/ed25519.pub");
            fs::write(&path, head.to_owned() + line).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            assert!(matches!(read_key_file(&path), Err(KeyFileError::Key(error)) if error == told));
            assert!(matches!(read_public(&path), Ok(PlainOrCertified::Plain(_))));
        }
        fs::write(&path, include_bytes!("../../vectors/keys/cert-user-plain-cert.pub")).unwrap();
        assert!(matches!(read_public(&path), Ok(PlainOrCertified::Certified(_))));
        fs::write(&path, KEY).unwrap();
        assert_eq!(read_public(&path).unwrap_err().kind(), std::io::ErrorKind::InvalidData);
        // Encrypted, it is as secret.
        fs::write(&path, include_bytes!("../../vectors/keys/ecdsa-256.aes256-ctr")).unwrap();
        assert!(matches!(read_key_file(&path), Err(KeyFileError::Permissions(0o644))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(read_key_file(&path), Ok(Parsed::Encrypted(_))));
    }

    #[test]
    fn t90_a_fifo_or_a_directory_is_no_key_and_nobody_waits_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
        assert!(matches!(read_private_key(&fifo), Err(KeyFileError::Io(_))));
        assert!(read_text(directory.path()).is_err());
    }

    #[test]
    fn t120_a_private_file_is_private_from_the_first_moment_and_never_replaces_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        create_private(&path, KEY).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(create_private(&path, b"other").is_err());
        assert_eq!(fs::read(&path).unwrap(), KEY);
    }

    #[test]
    fn who_appends_and_who_replaces_at_once_lose_nothing() {
        const EACH: usize = 50;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("below/known_hosts");
        std::thread::scope(|scope| {
            for who in ["a", "b", "c", "d"] {
                let path = &path;
                scope.spawn(move || {
                    for n in 0..EACH {
                        let mut file = LockedFile::create(path).unwrap();
                        let line = format!("{who}{n}\n");
                        if who == "a" || n % 5 == 0 {
                            let contents = [file.read().unwrap(), line.into_bytes()].concat();
                            file.replace(&contents).unwrap();
                        } else {
                            file.append(line.as_bytes()).unwrap();
                        }
                    }
                });
            }
        });
        let contents = fs::read_to_string(&path).unwrap();
        let lines: BTreeSet<_> = contents.lines().collect();
        assert_eq!((lines.len(), contents.lines().count()), (4 * EACH, 4 * EACH));
        assert!(lines.iter().all(|line| line.starts_with(['a', 'b', 'c', 'd'])), "{contents}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_file_that_is_replaced_keeps_its_mode_its_owner_and_the_links_to_it() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        // Only root gives files away; others keep what is theirs.
        let owner = if geteuid().is_root() { 12345 } else { geteuid().as_raw() };
        std::os::unix::fs::chown(&path, Some(owner), None).unwrap();
        symlink(&path, &link).unwrap();
        let before = fs::metadata(&path).unwrap();
        LockedFile::open(&link).unwrap().replace(b"new").unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::read(&link).unwrap()), (b"new".to_vec(), b"new".to_vec()));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), owner, before.gid()));
        assert_ne!(after.ino(), before.ino(), "another file");
    }

    #[test]
    fn a_file_that_cannot_be_replaced_stays_and_nothing_is_left_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "old").unwrap();
        let locked = LockedFile::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(locked.replace(b"new").is_err(), "a directory stands in its place");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(LockedFile::open(&path).is_err());
        assert!(LockedFile::open(&directory.path().join("none")).is_err());
    }

    #[test]
    fn who_finds_another_file_in_its_place_every_time_gives_up() {
        let directory = tempfile::tempdir().unwrap();
        let (path, named_so) = (directory.path().join("file"), directory.path().join("file (deleted)"));
        fs::write(&path, "old").unwrap();
        let held = fs::File::open(&path).unwrap();
        // The link of the system's opens the file that is gone, and names the other one.
        let link = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&held)));
        LockedFile::open(&link).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&named_so, "new").unwrap();
        let error = LockedFile::open(&link).unwrap_err();
        assert_eq!(error.to_string(), "the file is replaced again and again");
    }

    #[test]
    fn a_text_file_is_read_up_to_its_bound_whoever_reads_it() {
        type Reader = fn(&Path) -> io::Result<Vec<u8>>;
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let path = directory.path().join("file");
        create_private(&path, b"").unwrap();
        let readers: [Reader; 3] = [read_text, read_owned, |path| LockedFile::open(path)?.read()];
        for (length, good) in [(TEXT_FILE_MAX, true), (TEXT_FILE_MAX + 1, false), (1 << 40, false)] {
            fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length as u64).unwrap();
            for read in readers {
                match read(&path) {
                    Ok(contents) => assert!(good && contents.len() == length, "{length}"),
                    Err(error) => assert!(!good && error.to_string() == "the file is too large", "{error}"),
                }
            }
        }
    }

    #[test]
    fn a_lock_that_another_keeps_is_not_waited_for_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let _kept = LockedFile::create(&path).unwrap();
        assert_eq!(LockedFile::open(&path).unwrap_err().to_string(), "another process holds its lock");
    }
}
