//! The requests (draft §4, §6, §8; OpenSSH PROTOCOL §4).

use super::answer::Expected;
use super::{Attributes, Extension, HandleKind, PackedIds};
use crate::wire::{DecodeError, Reader, Writer};

pub(super) const INIT: u8 = 1;
pub(super) const VERSION: u8 = 2;
const OPEN: u8 = 3;
const CLOSE: u8 = 4;
const READ: u8 = 5;
const WRITE: u8 = 6;
const LSTAT: u8 = 7;
const FSTAT: u8 = 8;
const SETSTAT: u8 = 9;
const FSETSTAT: u8 = 10;
const OPENDIR: u8 = 11;
const READDIR: u8 = 12;
const REMOVE: u8 = 13;
const MKDIR: u8 = 14;
const RMDIR: u8 = 15;
const REALPATH: u8 = 16;
const STAT: u8 = 17;
const RENAME: u8 = 18;
const READLINK: u8 = 19;
const SYMLINK: u8 = 20;
const EXTENDED: u8 = 200;

/// How OPEN opens: `pflags`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pflags(pub u32);

impl Pflags {
    /// To read.
    pub const READ: Self = Self(0x1);
    /// To write.
    pub const WRITE: Self = Self(0x2);
    /// Each write goes to the end.
    pub const APPEND: Self = Self(0x4);
    /// Made if it is missing.
    pub const CREAT: Self = Self(0x8);
    /// Emptied if it is there.
    pub const TRUNC: Self = Self(0x10);
    /// An error if it is there.
    pub const EXCL: Self = Self(0x20);

    /// Whether all of `flags` are set.
    #[must_use]
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
}

impl core::ops::BitOr for Pflags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A request. Its handles are bytes at a client, and [`Handle`](super::Handle)s at a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the draft and of OpenSSH's PROTOCOL")]
pub enum Request<'a, H = &'a [u8]> {
    /// Opens a file; `attrs` are for one that is made.
    Open { filename: &'a [u8], pflags: Pflags, attrs: Attributes<'a> },
    /// Ends a handle.
    Close { handle: H },
    /// At most `len` bytes; fewer are not the end of the file.
    Read { handle: H, offset: u64, len: u32 },
    /// All of `data`.
    Write { handle: H, offset: u64, data: &'a [u8] },
    /// Attributes; of a symbolic link itself.
    Lstat { path: &'a [u8] },
    /// Attributes of what is open.
    Fstat { handle: H },
    /// Sets attributes.
    Setstat { path: &'a [u8], attrs: Attributes<'a> },
    /// Sets attributes of what is open.
    Fsetstat { handle: H, attrs: Attributes<'a> },
    /// Opens a directory.
    Opendir { path: &'a [u8] },
    /// The next entries.
    Readdir { handle: H },
    /// Removes what is no directory.
    Remove { filename: &'a [u8] },
    /// Makes a directory.
    Mkdir { path: &'a [u8], attrs: Attributes<'a> },
    /// Removes an empty directory.
    Rmdir { path: &'a [u8] },
    /// The absolute path; `.` is where the session starts.
    Realpath { path: &'a [u8] },
    /// Attributes; a symbolic link is followed.
    Stat { path: &'a [u8] },
    /// Renames, if `newpath` is free.
    Rename { oldpath: &'a [u8], newpath: &'a [u8] },
    /// What a symbolic link says.
    Readlink { path: &'a [u8] },
    /// Makes a symbolic link. The order on the wire is OpenSSH's, not the draft's.
    Symlink { targetpath: &'a [u8], linkpath: &'a [u8] },
    /// [`Extension::PosixRename`].
    PosixRename { oldpath: &'a [u8], newpath: &'a [u8] },
    /// [`Extension::Statvfs`].
    Statvfs { path: &'a [u8] },
    /// [`Extension::Fstatvfs`].
    Fstatvfs { handle: H },
    /// [`Extension::Hardlink`].
    Hardlink { oldpath: &'a [u8], newpath: &'a [u8] },
    /// [`Extension::Fsync`].
    Fsync { handle: H },
    /// [`Extension::Lsetstat`].
    Lsetstat { path: &'a [u8], attrs: Attributes<'a> },
    /// [`Extension::Limits`].
    Limits,
    /// [`Extension::ExpandPath`].
    ExpandPath { path: &'a [u8] },
    /// [`Extension::CopyData`]; a `read_length` of 0 is all up to the end.
    CopyData { read_handle: H, read_offset: u64, read_length: u64, write_handle: H, write_offset: u64 },
    /// [`Extension::HomeDirectory`]; OpenSSH refuses an empty name.
    HomeDirectory { username: &'a [u8] },
    /// [`Extension::UsersGroupsById`].
    UsersGroupsById { uids: PackedIds<'a>, gids: PackedIds<'a> },
    /// An extension that is not known here.
    Extended { request_name: &'a [u8], fields: &'a [u8] },
    /// A packet of another number.
    Unknown { number: u8, fields: &'a [u8] },
}

/// A packet's number, its id, and its fields. Not for INIT and VERSION, which have no id.
///
/// # Errors
/// It is shorter than that.
pub fn split(packet: &[u8]) -> Result<(u8, u32, &[u8]), DecodeError> {
    let mut r = Reader::new(packet);
    Ok((r.byte()?, r.uint32()?, r.remainder()?))
}

/// How paths and handles are taken when a request is read.
pub(super) trait Take<'a> {
    type Handle;
    type Error: From<DecodeError>;
    fn path(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Self::Error>;
    fn handle(&mut self, bytes: &'a [u8], kind: Option<HandleKind>) -> Result<Self::Handle, Self::Error>;
    /// The extension of that name, if its fields are to be read.
    fn extension(&self, name: &[u8]) -> Option<Extension> {
        Extension::from_name(name)
    }
}

/// As they are.
struct AsBytes;

impl<'a> Take<'a> for AsBytes {
    type Handle = &'a [u8];
    type Error = DecodeError;

    fn path(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], DecodeError> {
        Ok(bytes)
    }

    fn handle(&mut self, bytes: &'a [u8], _: Option<HandleKind>) -> Result<&'a [u8], DecodeError> {
        Ok(bytes)
    }
}

impl<'a> Request<'a> {
    /// Reads the fields of a packet, paths and handles as they are.
    ///
    /// # Errors
    /// A field is cut, bytes are left (but behind the data of a WRITE), or attributes have an unknown flag.
    pub fn decode(number: u8, fields: &'a [u8]) -> Result<Self, DecodeError> {
        decode(number, fields, &mut AsBytes)
    }
}

/// Reads a request, its paths and handles by `take`.
pub(super) fn decode<'a, T: Take<'a>>(
    number: u8,
    fields: &'a [u8],
    take: &mut T,
) -> Result<Request<'a, T::Handle>, T::Error> {
    use HandleKind::{Directory, File};
    let r = &mut Reader::new(fields);
    let request = match number {
        OPEN => Request::Open {
            filename: take.path(r.string()?)?,
            pflags: Pflags(r.uint32()?),
            attrs: Attributes::decode(r)?,
        },
        CLOSE => Request::Close { handle: take.handle(r.string()?, None)? },
        READ => Request::Read {
            handle: take.handle(r.string()?, Some(File))?,
            offset: r.uint64()?,
            len: r.uint32()?,
        },
        WRITE => Request::Write {
            handle: take.handle(r.string()?, Some(File))?,
            offset: r.uint64()?,
            data: r.string()?,
        },
        LSTAT => Request::Lstat { path: take.path(r.string()?)? },
        FSTAT => Request::Fstat { handle: take.handle(r.string()?, None)? },
        SETSTAT => Request::Setstat { path: take.path(r.string()?)?, attrs: Attributes::decode(r)? },
        FSETSTAT => {
            Request::Fsetstat { handle: take.handle(r.string()?, None)?, attrs: Attributes::decode(r)? }
        }
        OPENDIR => Request::Opendir { path: take.path(r.string()?)? },
        READDIR => Request::Readdir { handle: take.handle(r.string()?, Some(Directory))? },
        REMOVE => Request::Remove { filename: take.path(r.string()?)? },
        MKDIR => Request::Mkdir { path: take.path(r.string()?)?, attrs: Attributes::decode(r)? },
        RMDIR => Request::Rmdir { path: take.path(r.string()?)? },
        REALPATH => Request::Realpath { path: take.path(r.string()?)? },
        STAT => Request::Stat { path: take.path(r.string()?)? },
        RENAME => Request::Rename { oldpath: take.path(r.string()?)?, newpath: take.path(r.string()?)? },
        READLINK => Request::Readlink { path: take.path(r.string()?)? },
        SYMLINK => {
            Request::Symlink { targetpath: take.path(r.string()?)?, linkpath: take.path(r.string()?)? }
        }
        EXTENDED => decode_extended(r, take)?,
        number => Request::Unknown { number, fields: r.remainder()? },
    };
    // rclone 1.60 sends a whole buffer and names the part of it that counts; OpenSSH's server takes that.
    if number != WRITE {
        r.clone().finish()?;
    }
    Ok(request)
}

fn decode_extended<'a, T: Take<'a>>(
    r: &mut Reader<'a>,
    take: &mut T,
) -> Result<Request<'a, T::Handle>, T::Error> {
    use HandleKind::File;
    let request_name = r.string()?;
    let Some(extension) = take.extension(request_name) else {
        return Ok(Request::Extended { request_name, fields: r.remainder()? });
    };
    Ok(match extension {
        Extension::PosixRename => {
            Request::PosixRename { oldpath: take.path(r.string()?)?, newpath: take.path(r.string()?)? }
        }
        Extension::Statvfs => Request::Statvfs { path: take.path(r.string()?)? },
        Extension::Fstatvfs => Request::Fstatvfs { handle: take.handle(r.string()?, None)? },
        Extension::Hardlink => {
            Request::Hardlink { oldpath: take.path(r.string()?)?, newpath: take.path(r.string()?)? }
        }
        Extension::Fsync => Request::Fsync { handle: take.handle(r.string()?, Some(File))? },
        Extension::Lsetstat => {
            Request::Lsetstat { path: take.path(r.string()?)?, attrs: Attributes::decode(r)? }
        }
        Extension::Limits => Request::Limits,
        Extension::ExpandPath => Request::ExpandPath { path: take.path(r.string()?)? },
        Extension::CopyData => Request::CopyData {
            read_handle: take.handle(r.string()?, Some(File))?,
            read_offset: r.uint64()?,
            read_length: r.uint64()?,
            write_handle: take.handle(r.string()?, Some(File))?,
            write_offset: r.uint64()?,
        },
        Extension::HomeDirectory => Request::HomeDirectory { username: take.path(r.string()?)? },
        Extension::UsersGroupsById => Request::UsersGroupsById {
            uids: PackedIds::from_bytes(r.string()?)?,
            gids: PackedIds::from_bytes(r.string()?)?,
        },
    })
}

impl<H: AsRef<[u8]>> Request<'_, H> {
    /// Appends the packet with its length.
    pub fn encode(&self, id: u32, out: &mut Vec<u8>) {
        Writer::new(out).nested(|w| {
            let head = |w: &mut Writer<'_>, number: u8| {
                w.byte(number);
                w.uint32(id);
            };
            let strings = |w: &mut Writer<'_>, number: u8, strings: &[&[u8]]| {
                head(w, number);
                strings.iter().for_each(|string| w.string(string));
            };
            match self {
                Self::Open { filename, pflags, attrs } => {
                    strings(w, OPEN, &[filename]);
                    w.uint32(pflags.0);
                    attrs.encode(w);
                }
                Self::Close { handle } => strings(w, CLOSE, &[handle.as_ref()]),
                Self::Read { handle, offset, len } => {
                    strings(w, READ, &[handle.as_ref()]);
                    w.uint64(*offset);
                    w.uint32(*len);
                }
                Self::Write { handle, offset, data } => {
                    strings(w, WRITE, &[handle.as_ref()]);
                    w.uint64(*offset);
                    w.string(data);
                }
                Self::Lstat { path } => strings(w, LSTAT, &[path]),
                Self::Fstat { handle } => strings(w, FSTAT, &[handle.as_ref()]),
                Self::Setstat { path, attrs } => {
                    strings(w, SETSTAT, &[path]);
                    attrs.encode(w);
                }
                Self::Fsetstat { handle, attrs } => {
                    strings(w, FSETSTAT, &[handle.as_ref()]);
                    attrs.encode(w);
                }
                Self::Opendir { path } => strings(w, OPENDIR, &[path]),
                Self::Readdir { handle } => strings(w, READDIR, &[handle.as_ref()]),
                Self::Remove { filename } => strings(w, REMOVE, &[filename]),
                Self::Mkdir { path, attrs } => {
                    strings(w, MKDIR, &[path]);
                    attrs.encode(w);
                }
                Self::Rmdir { path } => strings(w, RMDIR, &[path]),
                Self::Realpath { path } => strings(w, REALPATH, &[path]),
                Self::Stat { path } => strings(w, STAT, &[path]),
                Self::Rename { oldpath, newpath } => strings(w, RENAME, &[oldpath, newpath]),
                Self::Readlink { path } => strings(w, READLINK, &[path]),
                Self::Symlink { targetpath, linkpath } => strings(w, SYMLINK, &[targetpath, linkpath]),
                Self::Unknown { number, fields } => {
                    head(w, *number);
                    w.bytes(fields);
                }
                extended => {
                    head(w, EXTENDED);
                    extended.encode_extended(w);
                }
            }
        });
    }

    fn encode_extended(&self, w: &mut Writer<'_>) {
        let name = self.extension().map_or(&b""[..], Extension::name);
        let strings = |w: &mut Writer<'_>, strings: &[&[u8]]| {
            w.string(name);
            strings.iter().for_each(|string| w.string(string));
        };
        match self {
            Self::PosixRename { oldpath, newpath } | Self::Hardlink { oldpath, newpath } => {
                strings(w, &[oldpath, newpath]);
            }
            Self::Statvfs { path } | Self::ExpandPath { path } => strings(w, &[path]),
            Self::Fstatvfs { handle } | Self::Fsync { handle } => strings(w, &[handle.as_ref()]),
            Self::Lsetstat { path, attrs } => {
                strings(w, &[path]);
                attrs.encode(w);
            }
            Self::CopyData { read_handle, read_offset, read_length, write_handle, write_offset } => {
                strings(w, &[read_handle.as_ref()]);
                w.uint64(*read_offset);
                w.uint64(*read_length);
                w.string(write_handle.as_ref());
                w.uint64(*write_offset);
            }
            Self::HomeDirectory { username } => strings(w, &[username]),
            Self::UsersGroupsById { uids, gids } => strings(w, &[uids.bytes(), gids.bytes()]),
            Self::Extended { request_name, fields } => {
                w.string(request_name);
                w.bytes(fields);
            }
            _ => strings(w, &[]),
        }
    }
}

impl<H> Request<'_, H> {
    /// The extension it belongs to, if it is one that is known here.
    #[must_use]
    pub const fn extension(&self) -> Option<Extension> {
        Some(match self {
            Self::PosixRename { .. } => Extension::PosixRename,
            Self::Statvfs { .. } => Extension::Statvfs,
            Self::Fstatvfs { .. } => Extension::Fstatvfs,
            Self::Hardlink { .. } => Extension::Hardlink,
            Self::Fsync { .. } => Extension::Fsync,
            Self::Lsetstat { .. } => Extension::Lsetstat,
            Self::Limits => Extension::Limits,
            Self::ExpandPath { .. } => Extension::ExpandPath,
            Self::CopyData { .. } => Extension::CopyData,
            Self::HomeDirectory { .. } => Extension::HomeDirectory,
            Self::UsersGroupsById { .. } => Extension::UsersGroupsById,
            _ => return None,
        })
    }

    /// What answers it, a STATUS that says why not aside.
    #[must_use]
    pub const fn expected(&self) -> Expected {
        match self {
            Self::Open { .. } | Self::Opendir { .. } => Expected::Handle,
            Self::Read { len, .. } => Expected::Data { len: *len },
            Self::Lstat { .. } | Self::Fstat { .. } | Self::Stat { .. } => Expected::Attrs,
            Self::Readdir { .. } => Expected::Names,
            Self::Realpath { .. }
            | Self::Readlink { .. }
            | Self::ExpandPath { .. }
            | Self::HomeDirectory { .. } => Expected::OneName,
            Self::Statvfs { .. } | Self::Fstatvfs { .. } => Expected::StatVfs,
            Self::Limits => Expected::Limits,
            Self::UsersGroupsById { uids, gids } => {
                Expected::UsersGroups { users: uids.len(), groups: gids.len() }
            }
            Self::Extended { .. } | Self::Unknown { .. } => Expected::Extended,
            _ => Expected::Status,
        }
    }

    /// What it names by path; READLINK's and REALPATH's too.
    pub(super) fn paths(&self) -> [&[u8]; 2] {
        match self {
            Self::Open { filename: path, .. }
            | Self::Lstat { path }
            | Self::Setstat { path, .. }
            | Self::Opendir { path }
            | Self::Remove { filename: path }
            | Self::Mkdir { path, .. }
            | Self::Rmdir { path }
            | Self::Realpath { path }
            | Self::Stat { path }
            | Self::Readlink { path }
            | Self::Statvfs { path }
            | Self::Lsetstat { path, .. }
            | Self::ExpandPath { path }
            | Self::HomeDirectory { username: path } => [path, b""],
            Self::Rename { oldpath: a, newpath: b }
            | Self::Symlink { targetpath: a, linkpath: b }
            | Self::PosixRename { oldpath: a, newpath: b }
            | Self::Hardlink { oldpath: a, newpath: b } => [a, b],
            _ => [b"", b""],
        }
    }
}
