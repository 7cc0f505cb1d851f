//! What a session asks of the file system, done at once and answered as OpenSSH's `sftp-server` does: its codes for the
//! system's errors, its order of what SETSTAT sets, its refusals.
//!
//! It may block, so it runs on a [worker](super::workers). It does not know the channel.

use super::listing::{Users, attributes};
use super::root::{Links, joined, set_mode, set_owner, set_times};
use super::{COPY_SLICE, Descriptors, NAMES_MAX, Service};
use crate::sftp::{
    Answer, Attributes, Handle, Name, NamesBuf, PackedIds, PackedStrings, Pflags, Request, StatVfs, Status,
    StatusCode, split,
};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, StatVfs as Statvfs, StatVfsMountFlags, Timespec,
    Timestamps, Uid, fstat, fstatvfs, fsync, ftruncate, statat,
};
use rustix::io::{Errno, pread, pwrite, retry_on_intr};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// An answer that outlives its request.
#[derive(Debug)]
pub(super) enum Reply {
    Status(StatusCode, Cow<'static, str>),
    Handle(Handle),
    /// The first bytes of a buffer.
    Data(Vec<u8>, usize),
    Names(NamesBuf),
    Attrs(Attributes<'static>),
    StatVfs(StatVfs),
    UsersGroups(Vec<u8>, Vec<u8>),
}

impl Reply {
    pub(super) const OK: Self = Self::status(StatusCode::OK);

    pub(super) const fn status(code: StatusCode) -> Self {
        Self::Status(code, Cow::Borrowed(code.words()))
    }

    pub(super) fn one_name(path: &[u8]) -> Self {
        let mut names = NamesBuf::new();
        let name = Name { filename: path, longname: path, attrs: Attributes::default() };
        if names.push(&name) { Self::Names(names) } else { Self::status(StatusCode::FAILURE) }
    }

    pub(super) fn answer(&self) -> Answer<'_, Handle> {
        match self {
            Self::Status(code, message) => Answer::Status(Status::with_message(*code, message.as_bytes())),
            Self::Handle(handle) => Answer::Handle(*handle),
            Self::Data(buffer, n) => Answer::Data(buffer.get(..*n).unwrap_or_default()),
            Self::Names(names) => Answer::Names(names.names()),
            Self::Attrs(attrs) => Answer::Attrs(*attrs),
            Self::StatVfs(statvfs) => Answer::StatVfs(*statvfs),
            Self::UsersGroups(users, groups) => Answer::UsersGroups {
                usernames: PackedStrings::from_bytes(users).unwrap_or_default(),
                groupnames: PackedStrings::from_bytes(groups).unwrap_or_default(),
            },
        }
    }
}

impl From<Errno> for Reply {
    fn from(error: Errno) -> Self {
        let code = match error {
            Errno::NOENT | Errno::NOTDIR | Errno::BADF | Errno::LOOP => StatusCode::NO_SUCH_FILE,
            Errno::PERM | Errno::ACCESS | Errno::FAULT => StatusCode::PERMISSION_DENIED,
            Errno::NAMETOOLONG | Errno::INVAL => StatusCode::BAD_MESSAGE,
            Errno::NOSYS => StatusCode::OP_UNSUPPORTED,
            _ => StatusCode::FAILURE,
        };
        let words = io::Error::from(error).to_string();
        let words = words.split(" (os error").next().unwrap_or_default();
        Self::Status(code, words.to_owned().into())
    }
}

#[derive(Debug)]
enum Opened {
    File(OwnedFd),
    Directory(Box<Dir>),
}

/// The files of a session.
#[derive(Debug)]
pub(super) struct Files {
    service: Arc<Service>,
    opened: BTreeMap<Handle, (Opened, Held)>,
    descriptors: Arc<Descriptors>,
    /// Read once they are needed.
    users: Option<Users>,
    /// Of a copy-data that is not done yet.
    copied: u64,
}

impl Files {
    pub(super) const fn new(service: Arc<Service>, descriptors: Arc<Descriptors>) -> Self {
        Self { service, opened: BTreeMap::new(), descriptors, users: None, copied: 0 }
    }

    /// Does what a packet with its length asks; `opens` is the handle for what is opened by it, and what is read goes to
    /// `buffer`. Nothing if it is not done yet: the same again goes on with it.
    pub(super) fn run(
        &mut self,
        packet: &[u8],
        opens: Option<Handle>,
        buffer: impl FnOnce() -> Vec<u8>,
    ) -> Option<Reply> {
        let packet = packet.get(4..).unwrap_or_default();
        let request = split(packet).and_then(|(number, _, fields)| Request::decode(number, fields));
        let Ok(request) = request else { return Some(Reply::status(StatusCode::BAD_MESSAGE)) };
        if self.service.read_only && writes(&request) {
            return Some(Reply::status(StatusCode::PERMISSION_DENIED));
        }
        let reply = match request {
            Request::Read { handle, offset, len } => {
                self.file(handle).and_then(|fd| read_at(fd, offset, len, buffer()))
            }
            Request::CopyData { read_handle, read_offset, read_length, write_handle, write_offset } => {
                let (from, to) = ((read_handle, read_offset), (write_handle, write_offset));
                self.copy(from, to, read_length).transpose()?
            }
            Request::Open { filename, pflags, attrs } => self.open(opens, filename, pflags, &attrs),
            Request::Opendir { path } => self.open_directory(opens, path),
            Request::Readdir { handle } => self.read_directory(handle),
            Request::UsersGroupsById { uids, gids } => self.names(&uids, &gids),
            Request::HomeDirectory { username } => Ok(self.home(username)),
            Request::ExpandPath { path } => self.expand(path),
            request => self.other(&request),
        };
        Some(reply.unwrap_or_else(Reply::from))
    }

    fn other(&mut self, request: &Request<'_>) -> Result<Reply, Errno> {
        let root = &self.service.root;
        match request {
            Request::Close { handle } => {
                self.opened.remove(*handle).ok_or(Errno::BADF)?;
            }
            Request::Write { handle, offset, data } => write_all(self.file(handle)?, data, *offset)?,
            Request::Lstat { path } => {
                return Ok(Reply::Attrs(attributes(&root.stat(&self.path(path)?, Links::Meant)?)));
            }
            Request::Stat { path } => {
                return Ok(Reply::Attrs(attributes(&root.stat(&self.path(path)?, Links::Followed)?)));
            }
            Request::Fstat { handle } => {
                return Ok(Reply::Attrs(attributes(&fstat(self.descriptor(handle)?)?)));
            }
            Request::Setstat { path, attrs } => self.set(&self.path(path)?, Links::Followed, attrs)?,
            Request::Lsetstat { attrs: Attributes { size: Some(_), .. }, .. } => return Err(Errno::INVAL),
            Request::Lsetstat { path, attrs } => self.set(&self.path(path)?, Links::Meant, attrs)?,
            Request::Fsetstat { handle, attrs } => set_opened(self.descriptor(handle)?, attrs)?,
            Request::Remove { filename } => root.remove(&self.path(filename)?, AtFlags::empty())?,
            Request::Mkdir { path, attrs } => {
                root.make_directory(&self.path(path)?, mode_of(attrs.permissions.unwrap_or(0o777)))?;
            }
            Request::Rmdir { path } => root.remove(&self.path(path)?, AtFlags::REMOVEDIR)?,
            Request::Realpath { path } => {
                let path = if path.is_empty() { b"." } else { *path };
                return Ok(Reply::one_name(&root.real_path(&self.path(path)?)?));
            }
            Request::Rename { oldpath, newpath } => {
                root.rename(&self.path(oldpath)?, &self.path(newpath)?)?
            }
            Request::PosixRename { oldpath, newpath } => {
                root.replace(&self.path(oldpath)?, &self.path(newpath)?)?;
            }
            Request::Readlink { path } => return Ok(Reply::one_name(&root.read_link(&self.path(path)?)?)),
            Request::Symlink { targetpath, linkpath } => root.symlink(targetpath, &self.path(linkpath)?)?,
            Request::Hardlink { oldpath, newpath } => {
                root.link(&self.path(oldpath)?, &self.path(newpath)?)?
            }
            Request::Statvfs { path } => {
                let fd = root.look(&self.path(path)?, Links::Followed)?;
                return Ok(Reply::StatVfs(file_system(&fstatvfs(fd)?)));
            }
            Request::Fstatvfs { handle } => {
                return Ok(Reply::StatVfs(file_system(&fstatvfs(self.descriptor(handle)?)?)));
            }
            Request::Fsync { handle } => fsync(self.file(handle)?)?,
            _ => return Err(Errno::NOSYS),
        }
        Ok(Reply::OK)
    }

    /// Relative paths begin where the session does.
    fn path<'p>(&self, path: &'p [u8]) -> Result<Cow<'p, [u8]>, Errno> {
        match path {
            b"" => Err(Errno::NOENT),
            [b'/', ..] => Ok(path.into()),
            _ => Ok(joined(&self.service.start, path).into()),
        }
    }

    fn file(&self, handle: &[u8]) -> Result<&OwnedFd, Errno> {
        match self.opened.get(handle) {
            Some((Opened::File(fd), _)) => Ok(fd),
            _ => Err(Errno::BADF),
        }
    }

    fn descriptor(&self, handle: &[u8]) -> Result<BorrowedFd<'_>, Errno> {
        match &self.opened.get(handle).ok_or(Errno::BADF)?.0 {
            Opened::File(fd) => Ok(fd.as_fd()),
            Opened::Directory(directory) => directory.fd(),
        }
    }

    fn open(
        &mut self,
        opens: Option<Handle>,
        filename: &[u8],
        pflags: Pflags,
        attrs: &Attributes<'_>,
    ) -> Result<Reply, Errno> {
        let mut flags = match (pflags.contains(Pflags::READ), pflags.contains(Pflags::WRITE)) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            (_, false) => OFlags::RDONLY,
        };
        for (asked, flag) in [
            (Pflags::APPEND, OFlags::APPEND),
            (Pflags::CREAT, OFlags::CREATE),
            (Pflags::TRUNC, OFlags::TRUNC),
            (Pflags::EXCL, OFlags::EXCL),
        ] {
            flags.set(flag, pflags.contains(asked));
        }
        // What is not made has no mode for openat2(2).
        let mode = attrs.permissions.unwrap_or(0o666);
        let mode = if pflags.contains(Pflags::CREAT) { mode_of(mode) } else { Mode::empty() };
        let held = Held::take(&self.descriptors)?;
        let fd = self.service.root.open_file(&self.path(filename)?, flags, mode)?;
        self.keep(opens, Opened::File(fd), held)
    }

    fn open_directory(&mut self, opens: Option<Handle>, path: &[u8]) -> Result<Reply, Errno> {
        let held = Held::take(&self.descriptors)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let fd = self.service.root.open_file(&self.path(path)?, flags, Mode::empty())?;
        self.keep(opens, Opened::Directory(Box::new(Dir::new(fd)?)), held)
    }

    fn keep(&mut self, opens: Option<Handle>, opened: Opened, held: Held) -> Result<Reply, Errno> {
        let handle = opens.ok_or(Errno::BADF)?;
        self.opened.insert(handle, (opened, held));
        Ok(Reply::Handle(handle))
    }

    fn read_directory(&mut self, handle: &[u8]) -> Result<Reply, Errno> {
        let users = self.users.get_or_insert_with(|| Users::read(&self.service.root));
        let Some((Opened::Directory(directory), _)) = self.opened.get_mut(handle) else {
            return Err(Errno::BADF);
        };
        let mut names = NamesBuf::new();
        while names.names().len() < NAMES_MAX
            && let Some(entry) = directory.read().transpose()?
        {
            let filename = entry.file_name().to_bytes();
            // What is above the directory may be above the root by now.
            let looked_at =
                if filename == b".." && !self.service.root.is_whole() { c"." } else { entry.file_name() };
            // One that is gone meanwhile is left out, as OpenSSH does.
            let Ok(stat) = statat(directory.fd()?, looked_at, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let longname = users.longname(filename, &stat);
            let name = Name { filename, longname: &longname, attrs: attributes(&stat) };
            if !names.push(&name) {
                return Err(Errno::OVERFLOW);
            }
        }
        Ok(Reply::Names(names))
    }

    /// Goes on with a copy, at most [`COPY_SLICE`] bytes of it at a time. Nothing if there is more to do.
    fn copy(&mut self, from: (&[u8], u64), to: (&[u8], u64), length: u64) -> Result<Option<Reply>, Errno> {
        let done = core::mem::take(&mut self.copied);
        let (source, sink) = (self.file(from.0)?, self.file(to.0)?);
        if is_same(&fstat(source)?, &fstat(sink)?) {
            let why = "a file cannot be copied to itself";
            return Ok(Some(Reply::Status(StatusCode::FAILURE, why.into())));
        }
        let slice = if length == 0 { COPY_SLICE } else { COPY_SLICE.min(length - done) };
        let mut buffer = vec![0; 64 * 1024];
        let mut copied = 0;
        while copied < slice {
            let at = done + copied;
            let max = usize::try_from(slice - copied).unwrap_or(usize::MAX).min(buffer.len());
            let offset = from.1.checked_add(at).ok_or(Errno::INVAL)?;
            let n = retry_on_intr(|| pread(source, buffer.get_mut(..max).unwrap_or_default(), offset))?;
            if n == 0 {
                let code = if length == 0 { StatusCode::OK } else { StatusCode::EOF };
                return Ok(Some(Reply::status(code)));
            }
            let offset = to.1.checked_add(at).ok_or(Errno::INVAL)?;
            write_all(sink, buffer.get(..n).unwrap_or_default(), offset)?;
            copied += n as u64;
        }
        if length != 0 && done + copied == length {
            return Ok(Some(Reply::OK));
        }
        self.copied = done + copied;
        Ok(None)
    }

    /// Sets all that is asked for; the last error is told.
    fn set(&self, path: &[u8], links: Links, attrs: &Attributes<'_>) -> Result<(), Errno> {
        let root = &self.service.root;
        let fd = root.look(path, links)?;
        let size = attrs.size.map_or(Ok(()), |size| {
            match FileType::from_raw_mode(fstat(&fd)?.st_mode) {
                FileType::RegularFile => {}
                FileType::Directory => return Err(Errno::ISDIR),
                _ => return Err(Errno::INVAL),
            }
            ftruncate(root.open_file(path, OFlags::WRONLY, Mode::empty())?, size)
        });
        let mode = attrs.permissions.map_or(Ok(()), |mode| set_mode(&fd, mode_of(mode)));
        let times = attrs.ac_mod_time.map_or(Ok(()), |times| set_times(&fd, &timestamps(times)));
        let owner = attrs.uid_gid.map_or(Ok(()), |(uid, gid)| set_owner(&fd, owner(uid), group(gid)));
        owner.and(times).and(mode).and(size)
    }

    fn users(&mut self) -> &Users {
        self.users.get_or_insert_with(|| Users::read(&self.service.root))
    }

    fn names(&mut self, uids: &PackedIds<'_>, gids: &PackedIds<'_>) -> Result<Reply, Errno> {
        let users = self.users();
        let packed = (
            PackedStrings::pack(uids.iter().map(|uid| users.user(uid))),
            PackedStrings::pack(gids.iter().map(|gid| users.group(gid))),
        );
        let (Some(users), Some(groups)) = packed else { return Err(Errno::OVERFLOW) };
        Ok(Reply::UsersGroups(users, groups))
    }

    /// Without a name that of whoever serves; where he has none, the session's start will do.
    fn home(&mut self, username: &[u8]) -> Reply {
        let users = self.users();
        let own = users.user(rustix::process::geteuid().as_raw());
        match users.home(if username.is_empty() { own } else { username }) {
            Some(home) if !home.is_empty() => Reply::one_name(home),
            _ if username.is_empty() => Reply::one_name(&self.service.start),
            _ => Reply::Status(StatusCode::FAILURE, "no such user".into()),
        }
    }

    fn expand(&mut self, path: &[u8]) -> Result<Reply, Errno> {
        let path = match path {
            b"" | b"~" => self.service.start.clone(),
            [b'~', b'/', rest @ ..] => [&self.service.start[..], b"/", rest].concat(),
            [b'~', rest @ ..] => {
                let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
                let (user, below) = rest.split_at_checked(end).unwrap_or_default();
                let Some(home) = self.users().home(user) else {
                    return Ok(Reply::Status(StatusCode::NO_SUCH_FILE, "no such user".into()));
                };
                [home, below].concat()
            }
            path => self.path(path)?.into_owned(),
        };
        Ok(Reply::one_name(&self.service.root.real_path(&path)?))
    }
}

/// A place among the descriptors that may be held; given back with it.
#[derive(Debug)]
pub(in crate::driver) struct Held(Arc<Descriptors>);

impl Held {
    pub(in crate::driver) fn take(descriptors: &Arc<Descriptors>) -> Result<Self, Errno> {
        if descriptors.take() { Ok(Self(Arc::clone(descriptors))) } else { Err(Errno::NFILE) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

/// Whether a read-only server refuses it: OpenSSH's list.
pub(super) fn writes(request: &Request<'_>) -> bool {
    match request {
        Request::Open { pflags, .. } => [Pflags::WRITE, Pflags::APPEND, Pflags::CREAT, Pflags::TRUNC]
            .iter()
            .any(|flag| pflags.contains(*flag)),
        Request::Write { .. }
        | Request::Setstat { .. }
        | Request::Fsetstat { .. }
        | Request::Lsetstat { .. }
        | Request::Remove { .. }
        | Request::Mkdir { .. }
        | Request::Rmdir { .. }
        | Request::Rename { .. }
        | Request::PosixRename { .. }
        | Request::Symlink { .. }
        | Request::Hardlink { .. }
        | Request::Fsync { .. }
        | Request::CopyData { .. } => true,
        _ => false,
    }
}

/// Reads what stands at `offset`, at most `len` bytes of it.
pub(super) fn read_at(fd: impl AsFd, offset: u64, len: u32, mut buffer: Vec<u8>) -> Result<Reply, Errno> {
    let len = len as usize;
    if buffer.len() < len {
        buffer.resize(len, 0);
    }
    let n = retry_on_intr(|| pread(&fd, buffer.get_mut(..len).unwrap_or_default(), offset))?;
    Ok(Reply::Data(buffer, n))
}

fn set_opened(fd: BorrowedFd<'_>, attrs: &Attributes<'_>) -> Result<(), Errno> {
    let size = attrs.size.map_or(Ok(()), |size| ftruncate(fd, size));
    let mode = attrs.permissions.map_or(Ok(()), |mode| rustix::fs::fchmod(fd, mode_of(mode)));
    let times = attrs.ac_mod_time.map_or(Ok(()), |times| rustix::fs::futimens(fd, &timestamps(times)));
    let owner = attrs.uid_gid.map_or(Ok(()), |(uid, gid)| rustix::fs::fchown(fd, owner(uid), group(gid)));
    owner.and(times).and(mode).and(size)
}

/// Writes all of it; of a full disk is told once what fits is there.
fn write_all(fd: &OwnedFd, mut data: &[u8], mut offset: u64) -> Result<(), Errno> {
    while !data.is_empty() {
        let n = retry_on_intr(|| pwrite(fd, data, offset))?;
        if n == 0 {
            return Err(Errno::IO);
        }
        offset += n as u64;
        data = data.get(n..).unwrap_or_default();
    }
    Ok(())
}

const fn mode_of(permissions: u32) -> Mode {
    Mode::from_bits_truncate(permissions & 0o7777)
}

fn timestamps((atime, mtime): (u32, u32)) -> Timestamps {
    let at = |seconds: u32| Timespec { tv_sec: seconds.into(), tv_nsec: 0 };
    Timestamps { last_access: at(atime), last_modification: at(mtime) }
}

/// −1 is nobody, and means that nothing is changed.
fn owner(uid: u32) -> Option<Uid> {
    (uid != u32::MAX).then(|| Uid::from_raw(uid))
}

fn group(gid: u32) -> Option<Gid> {
    (gid != u32::MAX).then(|| Gid::from_raw(gid))
}

const fn is_same(a: &Stat, b: &Stat) -> bool {
    a.st_dev == b.st_dev && a.st_ino == b.st_ino
}

fn file_system(of: &Statvfs) -> StatVfs {
    let flag = |flag: StatVfsMountFlags, bit| if of.f_flag.contains(flag) { bit } else { 0 };
    StatVfs {
        bsize: of.f_bsize,
        frsize: of.f_frsize,
        blocks: of.f_blocks,
        bfree: of.f_bfree,
        bavail: of.f_bavail,
        files: of.f_files,
        ffree: of.f_ffree,
        favail: of.f_favail,
        fsid: of.f_fsid,
        flag: flag(StatVfsMountFlags::RDONLY, 1) | flag(StatVfsMountFlags::NOSUID, 2),
        namemax: of.f_namemax,
    }
}
