//! OpenSSH's extensions: their names, and the values of their answers (OpenSSH PROTOCOL §4).

use super::PACKET_LEN_MAX;
use crate::wire::{DecodeError, Reader, Writer};

/// An extension that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Renames over what is there.
    PosixRename,
    /// The file system of a path.
    Statvfs,
    /// The file system of a handle.
    Fstatvfs,
    /// A second name.
    Hardlink,
    /// Waits until it is on the disk.
    Fsync,
    /// SETSTAT that does not follow a link.
    Lsetstat,
    /// What the server takes.
    Limits,
    /// REALPATH that knows `~`.
    ExpandPath,
    /// Copies at the server.
    CopyData,
    /// The home of a user.
    HomeDirectory,
    /// Names of users and groups.
    UsersGroupsById,
}

impl Extension {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::PosixRename,
        Self::Statvfs,
        Self::Fstatvfs,
        Self::Hardlink,
        Self::Fsync,
        Self::Lsetstat,
        Self::Limits,
        Self::ExpandPath,
        Self::CopyData,
        Self::HomeDirectory,
        Self::UsersGroupsById,
    ];

    /// Its name in VERSION and in EXTENDED.
    #[must_use]
    pub const fn name(self) -> &'static [u8] {
        match self {
            Self::PosixRename => b"posix-rename@openssh.com",
            Self::Statvfs => b"statvfs@openssh.com",
            Self::Fstatvfs => b"fstatvfs@openssh.com",
            Self::Hardlink => b"hardlink@openssh.com",
            Self::Fsync => b"fsync@openssh.com",
            Self::Lsetstat => b"lsetstat@openssh.com",
            Self::Limits => b"limits@openssh.com",
            Self::ExpandPath => b"expand-path@openssh.com",
            Self::CopyData => b"copy-data",
            Self::HomeDirectory => b"home-directory",
            Self::UsersGroupsById => b"users-groups-by-id@openssh.com",
        }
    }

    /// Its version, the data beside its name in VERSION.
    #[must_use]
    pub const fn version(self) -> &'static [u8] {
        match self {
            Self::Statvfs | Self::Fstatvfs => b"2",
            _ => b"1",
        }
    }

    pub(super) fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|extension| extension.name() == name)
    }
}

/// The answer to `limits@openssh.com`; 0 is a limit that is not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of a packet (bytes).
    pub max_packet_length: u64,
    /// Of a READ (bytes).
    pub max_read_length: u64,
    /// Of a WRITE (bytes).
    pub max_write_length: u64,
    /// Of handles at a time; says nothing of requests under way.
    pub max_open_handles: u64,
}

impl Limits {
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            max_packet_length: r.uint64()?,
            max_read_length: r.uint64()?,
            max_write_length: r.uint64()?,
            max_open_handles: r.uint64()?,
        })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.uint64(self.max_packet_length);
        w.uint64(self.max_read_length);
        w.uint64(self.max_write_length);
        w.uint64(self.max_open_handles);
    }
}

/// The answer to `statvfs@openssh.com` and `fstatvfs@openssh.com`, as of statvfs(3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of statvfs(3)")]
pub struct StatVfs {
    pub bsize: u64,
    pub frsize: u64,
    pub blocks: u64,
    pub bfree: u64,
    pub bavail: u64,
    pub files: u64,
    pub ffree: u64,
    pub favail: u64,
    pub fsid: u64,
    /// 1: read-only; 2: no set-user-ID.
    pub flag: u64,
    pub namemax: u64,
}

impl StatVfs {
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            bsize: r.uint64()?,
            frsize: r.uint64()?,
            blocks: r.uint64()?,
            bfree: r.uint64()?,
            bavail: r.uint64()?,
            files: r.uint64()?,
            ffree: r.uint64()?,
            favail: r.uint64()?,
            fsid: r.uint64()?,
            flag: r.uint64()?,
            namemax: r.uint64()?,
        })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        let space = [self.bsize, self.frsize, self.blocks, self.bfree, self.bavail];
        let files = [self.files, self.ffree, self.favail, self.fsid, self.flag, self.namemax];
        space.into_iter().chain(files).for_each(|value| w.uint64(value));
    }
}

/// Numbers of users or groups, as a request holds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PackedIds<'a>(&'a [u8]);

impl<'a> PackedIds<'a> {
    /// # Errors
    /// The bytes are no whole number of `uint32`.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        if bytes.len().is_multiple_of(4) { Ok(Self(bytes)) } else { Err(DecodeError::Truncated) }
    }

    /// The bytes for [`from_bytes`](Self::from_bytes).
    #[must_use]
    pub fn pack(ids: &[u32]) -> Vec<u8> {
        ids.iter().flat_map(|id| id.to_be_bytes()).collect()
    }

    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len() / 4
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        let mut r = Reader::new(self.0);
        core::iter::from_fn(move || r.uint32().ok())
    }

    pub(super) const fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// Names of users or groups, in the order they were asked for; one that is unknown is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PackedStrings<'a>(&'a [u8]);

impl<'a> PackedStrings<'a> {
    /// # Errors
    /// A string is cut.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        while !r.rest().is_empty() {
            r.string()?;
        }
        Ok(Self(bytes))
    }

    /// The bytes for [`from_bytes`](Self::from_bytes); `None` if they don't fit in a packet.
    pub fn pack<'n>(names: impl IntoIterator<Item = &'n [u8]>) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for name in names {
            if bytes.len() + 4 + name.len() > PACKET_LEN_MAX {
                return None;
            }
            Writer::new(&mut bytes).string(name);
        }
        Some(bytes)
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut r = Reader::new(self.0);
        core::iter::from_fn(move || r.string().ok())
    }

    pub(super) const fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t97_names_are_gathered_only_as_far_as_they_fit() {
        let name = [b'a'; 60];
        let most = PACKET_LEN_MAX / 64;
        let packed = PackedStrings::pack(core::iter::repeat_n(&name[..], most));
        assert_eq!(packed.map(|bytes| bytes.len()), Some(PACKET_LEN_MAX));
        let mut taken = 0;
        let names = core::iter::repeat(&name[..]).inspect(|_| taken += 1);
        assert_eq!(PackedStrings::pack(names), None, "of names without end");
        assert_eq!(taken, most + 1);
    }
}
