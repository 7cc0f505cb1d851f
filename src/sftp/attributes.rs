//! File attributes (draft §5), and the pairs of strings that extend things.

use crate::wire::{DecodeError, Reader, Writer};

const SIZE: u32 = 0x1;
const UIDGID: u32 = 0x2;
const PERMISSIONS: u32 = 0x4;
const ACMODTIME: u32 = 0x8;
const EXTENDED: u32 = 0x8000_0000;
const KNOWN: u32 = SIZE | UIDGID | PERMISSIONS | ACMODTIME | EXTENDED;

/// What is said of a file; what is `None` is not said, or not to be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// Bytes; a hint, for files grow and those of `/proc` say 0.
    pub size: Option<u64>,
    /// `uid` and `gid`.
    pub uid_gid: Option<(u32, u32)>,
    /// `st_mode`, the type of the file included.
    pub permissions: Option<u32>,
    /// `atime` and `mtime`, seconds since 1970.
    pub ac_mod_time: Option<(u32, u32)>,
    /// Types and data of extended attributes.
    pub extended: Pairs<'a>,
}

impl<'a> Attributes<'a> {
    /// # Errors
    /// An unknown flag is [`DecodeError::Invalid`]: what would follow cannot be read.
    pub(super) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let flags = r.uint32()?;
        if flags & !KNOWN != 0 {
            return Err(DecodeError::Invalid);
        }
        let mut attrs = Self::default();
        if flags & SIZE != 0 {
            attrs.size = Some(r.uint64()?);
        }
        if flags & UIDGID != 0 {
            attrs.uid_gid = Some((r.uint32()?, r.uint32()?));
        }
        if flags & PERMISSIONS != 0 {
            attrs.permissions = Some(r.uint32()?);
        }
        if flags & ACMODTIME != 0 {
            attrs.ac_mod_time = Some((r.uint32()?, r.uint32()?));
        }
        if flags & EXTENDED != 0 {
            attrs.extended = Pairs::decode_counted(r)?;
        }
        Ok(attrs)
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        let flag = |is_said: bool, flag: u32| if is_said { flag } else { 0 };
        w.uint32(
            flag(self.size.is_some(), SIZE)
                | flag(self.uid_gid.is_some(), UIDGID)
                | flag(self.permissions.is_some(), PERMISSIONS)
                | flag(self.ac_mod_time.is_some(), ACMODTIME)
                | flag(self.extended.count > 0, EXTENDED),
        );
        if let Some(size) = self.size {
            w.uint64(size);
        }
        if let Some((uid, gid)) = self.uid_gid {
            w.uint32(uid);
            w.uint32(gid);
        }
        if let Some(permissions) = self.permissions {
            w.uint32(permissions);
        }
        if let Some((atime, mtime)) = self.ac_mod_time {
            w.uint32(atime);
            w.uint32(mtime);
        }
        if self.extended.count > 0 {
            w.uint32(self.extended.count);
            w.bytes(self.extended.bytes);
        }
    }
}

/// Pairs of strings, a name and its data each: extended attributes, and the extensions of INIT and VERSION. They were read
/// through once, so that every one of them is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pairs<'a> {
    count: u32,
    bytes: &'a [u8],
}

impl<'a> Pairs<'a> {
    /// None.
    pub const NONE: Self = Self { count: 0, bytes: &[] };

    /// For tests: as many as are said to be there.
    #[cfg(test)]
    pub(super) const fn counted(count: u32, bytes: &'a [u8]) -> Self {
        Self { count, bytes }
    }

    /// All that is in `bytes`.
    ///
    /// # Errors
    /// A string is cut.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let mut count = 0;
        while !r.rest().is_empty() {
            r.string()?;
            r.string()?;
            count += 1;
        }
        Ok(Self { count, bytes })
    }

    /// As many as the `uint32` in front says.
    fn decode_counted(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = r.uint32()?;
        let bytes = r.rest();
        for _ in 0..count {
            r.string()?;
            r.string()?;
        }
        Ok(Self { count, bytes: bytes.get(..bytes.len() - r.rest().len()).unwrap_or_default() })
    }

    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each with its data.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut r = Reader::new(self.bytes);
        core::iter::from_fn(move || Some((r.string().ok()?, r.string().ok()?)))
    }

    /// The data of the first of that name.
    #[must_use]
    pub fn data(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.iter().find_map(|(known, data)| (known == name).then_some(data))
    }

    pub(super) const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}
