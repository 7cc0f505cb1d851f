//! A file system that is a map, behind a server.

use super::*;
use std::collections::BTreeMap;

/// What a handle stands for.
enum Opened {
    File(Vec<u8>),
    Directory { listed: bool },
}

/// Files by their paths; every name in it is in one directory.
#[derive(Default)]
pub(super) struct Memory {
    pub files: BTreeMap<Vec<u8>, Vec<u8>>,
    opened: BTreeMap<usize, Opened>,
    /// The most bytes that one READ gives.
    pub short: usize,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self {
            files: [(b"/a".to_vec(), b"0123456789".to_vec())].into(),
            opened: BTreeMap::new(),
            short: usize::MAX,
        }
    }

    pub(super) fn is_all_closed(&self) -> bool {
        self.opened.is_empty()
    }

    fn path(&self, handle: &Handle) -> Vec<u8> {
        match self.opened.get(&handle.slot()) {
            Some(Opened::File(path)) => path.clone(),
            _ => panic!("no file at {handle:?}"),
        }
    }

    fn file(&self, path: &[u8]) -> Result<&Vec<u8>, StatusCode> {
        self.files.get(path).ok_or(StatusCode::NO_SUCH_FILE)
    }

    fn open(&mut self, ticket: &Ticket, opened: Opened) -> Handle {
        let handle = ticket.handle().unwrap();
        assert!(self.opened.insert(handle.slot(), opened).is_none(), "a place is given away twice");
        handle
    }

    fn moved(&mut self, from: &[u8], to: &[u8], over: bool) -> Result<(), StatusCode> {
        if !over && self.files.contains_key(to) {
            return Err(StatusCode::FAILURE);
        }
        let file = self.files.remove(from).ok_or(StatusCode::NO_SUCH_FILE)?;
        self.files.insert(to.to_vec(), file);
        Ok(())
    }

    fn write(&mut self, path: &[u8], offset: u64, data: &[u8]) {
        let file = self.files.get_mut(path).unwrap();
        let offset = usize::try_from(offset).unwrap();
        file.resize(file.len().max(offset + data.len()), 0);
        file[offset..offset + data.len()].copy_from_slice(data);
    }
}

fn size(file: &[u8]) -> Answer<'static, Handle> {
    Answer::Attrs(Attributes { size: Some(file.len() as u64), ..Attributes::default() })
}

const OK: Answer<'_, Handle> = Answer::Status(Status::new(StatusCode::OK));

impl Backend for Memory {
    fn handle_request(&mut self, ticket: Ticket, request: Request<'_, Handle>, server: &mut SftpServer) {
        let mut names = NamesBuf::new();
        let mut one = |path: &[u8]| {
            let name = Name { filename: path, longname: path, attrs: Attributes::default() };
            assert!(names.push(&name));
        };
        let answer = match &request {
            Request::Open { filename, pflags, .. } => {
                if pflags.contains(Pflags::CREAT) {
                    self.files.entry(filename.to_vec()).or_default();
                }
                self.file(filename)
                    .map(|_| ())
                    .map(|()| Answer::Handle(self.open(&ticket, Opened::File(filename.to_vec()))))
            }
            Request::Opendir { .. } => {
                Ok(Answer::Handle(self.open(&ticket, Opened::Directory { listed: false })))
            }
            Request::Close { handle } => {
                assert!(self.opened.remove(&handle.slot()).is_some());
                Ok(OK)
            }
            Request::Read { handle, offset, len } => {
                let file = self.file(&self.path(handle)).unwrap();
                let rest = file.get(usize::try_from(*offset).unwrap()..).unwrap_or_default();
                let data = rest[..rest.len().min(*len as usize).min(self.short)].to_vec();
                return server.answer(ticket, &Answer::Data(&data)).unwrap();
            }
            Request::Write { handle, offset, data } => {
                self.write(&self.path(handle), *offset, data);
                Ok(OK)
            }
            Request::Lstat { path } | Request::Stat { path } => self.file(path).map(|file| size(file)),
            Request::Fstat { handle } => self.file(&self.path(handle)).map(|file| size(file)),
            Request::Readdir { handle } => {
                let Some(Opened::Directory { listed }) = self.opened.get_mut(&handle.slot()) else {
                    panic!()
                };
                if !core::mem::replace(listed, true) {
                    self.files.keys().for_each(|path| one(&path[1..]));
                }
                Ok(Answer::Names(names.names()))
            }
            Request::Remove { filename } => {
                self.files.remove(*filename).map(|_| OK).ok_or(StatusCode::NO_SUCH_FILE)
            }
            Request::Realpath { path } | Request::Readlink { path } | Request::ExpandPath { path } => {
                one(&[b"/home/", *path].concat());
                Ok(Answer::Names(names.names()))
            }
            Request::HomeDirectory { .. } => {
                one(b"/home");
                Ok(Answer::Names(names.names()))
            }
            Request::Rename { oldpath, newpath } => self.moved(oldpath, newpath, false).map(|()| OK),
            Request::PosixRename { oldpath, newpath } => self.moved(oldpath, newpath, true).map(|()| OK),
            Request::Statvfs { .. } | Request::Fstatvfs { .. } => {
                Ok(Answer::StatVfs(StatVfs { bsize: 512, ..StatVfs::default() }))
            }
            Request::CopyData { read_handle, read_offset, write_handle, write_offset, .. } => {
                let data = self.file(&self.path(read_handle)).unwrap()
                    [usize::try_from(*read_offset).unwrap()..]
                    .to_vec();
                self.write(&self.path(write_handle), *write_offset, &data);
                Ok(OK)
            }
            Request::UsersGroupsById { uids, gids } => {
                let text = |ids: &PackedIds<'_>| {
                    let names: Vec<_> = ids.iter().map(|id| format!("u{id}").into_bytes()).collect();
                    PackedStrings::pack(names.iter().map(|name| &name[..])).unwrap()
                };
                let (users, groups) = (text(uids), text(gids));
                let usernames = PackedStrings::from_bytes(&users).unwrap();
                let groupnames = PackedStrings::from_bytes(&groups).unwrap();
                return server.answer(ticket, &Answer::UsersGroups { usernames, groupnames }).unwrap();
            }
            Request::Limits | Request::Extended { .. } | Request::Unknown { .. } => panic!("{request:?}"),
            _ => Ok(OK),
        };
        let answer = answer.unwrap_or_else(|code| Answer::Status(Status::new(code)));
        server.answer(ticket, &answer).unwrap();
    }
}
