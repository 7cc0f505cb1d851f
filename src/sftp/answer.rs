//! The answers (draft §7; OpenSSH PROTOCOL §4).
//!
//! Which answer may come depends on the request, so none is read without what is [`Expected`].

use super::client::{
    ANSWER_OF_ANOTHER_TYPE, DATA_EXCEEDS_REQUEST, EMPTY_DATA, HANDLE_TOO_LONG, NOT_ONE_NAME,
    STATUS_WITHOUT_ANSWER,
};
use super::{
    Attributes, HANDLE_LEN_MAX, Limits, Names, PACKET_LEN_MAX, PATH_LEN_MAX, PackedStrings, StatVfs, Status,
    StatusCode,
};
use crate::wire::{Fault, Reader, Writer};

const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;
const EXTENDED_REPLY: u8 = 201;

/// What answers a request, a STATUS that says why not aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A STATUS, whatever it says.
    Status,
    /// HANDLE.
    Handle,
    /// DATA.
    Data {
        /// At most so many bytes, and at least one.
        len: u32,
    },
    /// NAME.
    Names,
    /// NAME with one entry.
    OneName,
    /// ATTRS.
    Attrs,
    /// EXTENDED_REPLY of statvfs.
    StatVfs,
    /// EXTENDED_REPLY of limits.
    Limits,
    /// EXTENDED_REPLY of users-groups-by-id.
    UsersGroups {
        /// So many names of users.
        users: usize,
        /// So many names of groups.
        groups: usize,
    },
    /// Whatever an extension that is not known here answers by.
    Extended,
}

impl Expected {
    /// The most bytes that the answer can have.
    pub(super) const fn len_max(self) -> usize {
        match self {
            Self::Data { len } => len as usize + 16,
            Self::Names | Self::UsersGroups { .. } | Self::Extended => PACKET_LEN_MAX,
            Self::OneName => 3 * PATH_LEN_MAX,
            _ => PATH_LEN_MAX,
        }
    }
}

/// An answer. Its handle is bytes at a client, and a [`Handle`](super::Handle) at a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a, H = &'a [u8]> {
    /// How it went.
    Status(Status<'a>),
    /// What was opened; at most [`HANDLE_LEN_MAX`] bytes without a meaning to the client.
    Handle(H),
    /// What was read: never empty, and never more than was asked for. If it is less, the rest should be asked for: the end
    /// of the file is [`StatusCode::EOF`].
    Data(&'a [u8]),
    /// Entries of a directory, never none; or one path.
    Names(Names<'a>),
    /// Attributes.
    Attrs(Attributes<'a>),
    /// Of a file system.
    StatVfs(StatVfs),
    /// What the server takes.
    Limits(Limits),
    /// Names of users and groups.
    UsersGroups {
        /// One for each that was asked for.
        usernames: PackedStrings<'a>,
        /// One for each that was asked for.
        groupnames: PackedStrings<'a>,
    },
    /// The fields of EXTENDED_REPLY to an extension that is not known here.
    Extended(&'a [u8]),
}

impl<'a> Answer<'a> {
    /// Reads the fields of an answer to a request.
    ///
    /// # Errors
    /// It is no answer to such a request, or its fields cannot be read. NAME without entries is [`StatusCode::EOF`], as
    /// some servers mean it.
    pub fn decode(number: u8, fields: &'a [u8], expected: Expected) -> Result<Self, Fault> {
        let r = &mut Reader::new(fields);
        let answer = match (number, expected) {
            (STATUS, _) => Self::Status(Status::decode(r)?),
            (HANDLE, Expected::Handle) => Self::Handle(r.string()?),
            (DATA, Expected::Data { .. }) => Self::Data(r.string()?),
            (NAME, Expected::Names | Expected::OneName) => Self::Names(Names::decode(r)?),
            (ATTRS, Expected::Attrs) => Self::Attrs(Attributes::decode(r)?),
            (EXTENDED_REPLY, Expected::StatVfs) => Self::StatVfs(StatVfs::decode(r)?),
            (EXTENDED_REPLY, Expected::Limits) => Self::Limits(Limits::decode(r)?),
            (EXTENDED_REPLY, Expected::UsersGroups { .. }) => Self::UsersGroups {
                usernames: PackedStrings::from_bytes(r.string()?)?,
                groupnames: PackedStrings::from_bytes(r.string()?)?,
            },
            (EXTENDED_REPLY, Expected::Extended) => Self::Extended(r.remainder()?),
            _ => return Err(ANSWER_OF_ANOTHER_TYPE),
        };
        r.clone().finish()?;
        answer.check(expected)?;
        match answer {
            Self::Names(names) if names.is_empty() => Ok(Self::Status(Status::new(StatusCode::EOF))),
            answer => Ok(answer),
        }
    }
}

impl<H: AsRef<[u8]>> Answer<'_, H> {
    /// Whether it answers what is expected.
    pub(super) fn check(&self, expected: Expected) -> Result<(), Fault> {
        match (self, expected) {
            (Self::Status(status), expected) if status.code == StatusCode::OK => match expected {
                Expected::Status | Expected::Extended => Ok(()),
                _ => Err(STATUS_WITHOUT_ANSWER),
            },
            (Self::Status(_), _)
            | (Self::Names(_), Expected::Names)
            | (Self::Attrs(_), Expected::Attrs)
            | (Self::StatVfs(_), Expected::StatVfs)
            | (Self::Limits(_), Expected::Limits)
            | (Self::Extended(_), Expected::Extended) => Ok(()),
            (Self::Handle(handle), Expected::Handle) => match handle.as_ref().len() {
                0..=HANDLE_LEN_MAX => Ok(()),
                _ => Err(HANDLE_TOO_LONG),
            },
            (Self::Data(data), Expected::Data { len }) => match data.len() {
                0 => Err(EMPTY_DATA),
                n if n <= len as usize => Ok(()),
                _ => Err(DATA_EXCEEDS_REQUEST),
            },
            (Self::Names(names), Expected::OneName) => {
                let usable =
                    |path: &[u8]| !path.is_empty() && path.len() <= PATH_LEN_MAX && !path.contains(&0);
                if names.len() == 1 && names.iter().all(|name| usable(name.filename)) {
                    Ok(())
                } else {
                    Err(NOT_ONE_NAME)
                }
            }
            (Self::UsersGroups { usernames, groupnames }, Expected::UsersGroups { users, groups })
                if usernames.iter().count() == users && groupnames.iter().count() == groups =>
            {
                Ok(())
            }
            _ => Err(ANSWER_OF_ANOTHER_TYPE),
        }
    }

    /// Appends the packet with its length.
    pub fn encode(&self, id: u32, out: &mut Vec<u8>) {
        Writer::new(out).nested(|w| {
            w.byte(match self {
                Self::Status(_) => STATUS,
                Self::Handle(_) => HANDLE,
                Self::Data(_) => DATA,
                Self::Names(_) => NAME,
                Self::Attrs(_) => ATTRS,
                Self::StatVfs(_) | Self::Limits(_) | Self::UsersGroups { .. } | Self::Extended(_) => {
                    EXTENDED_REPLY
                }
            });
            w.uint32(id);
            match self {
                Self::Status(status) => status.encode(w),
                Self::Handle(handle) => w.string(handle.as_ref()),
                Self::Data(data) => w.string(data),
                Self::Names(names) => names.encode(w),
                Self::Attrs(attrs) => attrs.encode(w),
                Self::StatVfs(statvfs) => statvfs.encode(w),
                Self::Limits(limits) => limits.encode(w),
                Self::UsersGroups { usernames, groupnames } => {
                    w.string(usernames.bytes());
                    w.string(groupnames.bytes());
                }
                Self::Extended(fields) => w.bytes(fields),
            }
        });
    }
}
