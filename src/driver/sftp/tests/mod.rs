//! A client and a server in memory before a real directory, with another beside it that must stay as it is; or before a tree.

mod files;
mod race;
mod root;
mod tree;
mod workers;

use super::served::Served;
use super::{AtOnce, Descriptors, Root, Service, Tree};
use crate::sftp::{
    Answer, Attributes, ClientEvent, Extension, Pflags, Reassembly, Request, ServerLimits, SftpClient,
    SftpServer, StatVfs, StatusCode, Step, split,
};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

const SECRET: &[u8] = b"nobody may read this";

/// `root`, which is served, and `outside`, which is not.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(place.path("root")).unwrap();
        fs::create_dir(place.path("outside")).unwrap();
        fs::write(place.path("outside/secret"), SECRET).unwrap();
        fs::write(place.path("root/file"), b"0123456789").unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// In bytes, as a client would send it.
    fn bytes(&self, name: &str) -> Vec<u8> {
        self.path(name).into_os_string().into_encoded_bytes()
    }

    fn root(&self) -> Root {
        Root::open(&self.path("root")).unwrap()
    }

    fn service(&self) -> Service {
        Service { root: self.root(), start: b"/".to_vec(), read_only: false }
    }

    fn session(&self) -> Session {
        Session::new(self.service())
    }

    /// Everything that could be seen to have changed outside.
    fn outside(&self) -> Vec<String> {
        let mut paths = vec![self.path("outside")];
        paths.extend(fs::read_dir(self.path("outside")).unwrap().map(|entry| entry.unwrap().path()));
        paths.sort();
        let state = |path: &PathBuf| {
            let stat = rustix::fs::lstat(path).unwrap();
            let contents = fs::read(path).unwrap_or_default();
            let facts = (stat.st_ino, stat.st_mode, stat.st_nlink, stat.st_size, stat.st_mtime_nsec);
            format!("{path:?} {facts:?} {contents:?}")
        };
        paths.iter().map(state).collect()
    }
}

/// An answer that can be kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    Status(StatusCode),
    Handle(Vec<u8>),
    Data(Vec<u8>),
    /// Names, longnames, modes.
    Names(Vec<(String, String, Option<u32>)>),
    Attrs(Attributes<'static>),
    StatVfs(StatVfs),
    UsersGroups(Vec<String>, Vec<String>),
}

pub(crate) const OK: Seen = Seen::Status(StatusCode::OK);
pub(crate) const EOF: Seen = Seen::Status(StatusCode::EOF);
pub(crate) const MISSING: Seen = Seen::Status(StatusCode::NO_SUCH_FILE);
pub(crate) const DENIED: Seen = Seen::Status(StatusCode::PERMISSION_DENIED);
pub(crate) const FAILURE: Seen = Seen::Status(StatusCode::FAILURE);
pub(crate) const BAD: Seen = Seen::Status(StatusCode::BAD_MESSAGE);

impl Seen {
    fn new(answer: &Answer<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        match answer {
            Answer::Status(status) => Self::Status(status.code),
            Answer::Handle(handle) => Self::Handle(handle.to_vec()),
            Answer::Data(data) => Self::Data(data.to_vec()),
            Answer::Names(names) => Self::Names(
                names
                    .iter()
                    .map(|name| (text(name.filename), text(name.longname), name.attrs.permissions))
                    .collect(),
            ),
            Answer::Attrs(attrs) => {
                assert!(attrs.extended.is_empty());
                Self::Attrs(Attributes { extended: crate::sftp::Pairs::NONE, ..*attrs })
            }
            Answer::StatVfs(statvfs) => Self::StatVfs(*statvfs),
            Answer::UsersGroups { usernames, groupnames } => {
                Self::UsersGroups(usernames.iter().map(text).collect(), groupnames.iter().map(text).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn handle(self) -> Vec<u8> {
        match self {
            Self::Handle(handle) => handle,
            other => panic!("no handle, but {other:?}"),
        }
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Names(mut names) if names.len() == 1 => names.remove(0).0,
            other => panic!("not one name, but {other:?}"),
        }
    }
}

pub(crate) struct Session {
    client: SftpClient<()>,
    server: SftpServer,
    files: AtOnce,
}

impl Session {
    fn new(service: Service) -> Self {
        Self::holding(service, Descriptors::new(1000))
    }

    pub(crate) fn of_tree(tree: Arc<dyn Tree>) -> Self {
        Self::before(AtOnce::of_tree(tree))
    }

    fn holding(service: Service, descriptors: Descriptors) -> Self {
        Self::before(AtOnce(Served::directory(Arc::new(service), Arc::new(descriptors))))
    }

    fn before(files: AtOnce) -> Self {
        let limits = ServerLimits {
            extensions: Extension::ALL.to_vec(),
            handles: super::HANDLES_MAX,
            ..ServerLimits::default()
        };
        let mut session = Self { client: SftpClient::new(), server: SftpServer::new(limits), files };
        session.exchange();
        assert!(session.client.is_writable());
        session
    }

    /// Carries bytes until neither side has more; the last answer.
    fn exchange(&mut self) -> Option<Seen> {
        let (mut up, mut down, mut seen) = (Reassembly::new(), Reassembly::new(), None);
        while !self.client.output().is_empty() {
            self.server.serve(&mut self.files, &mut up, self.client.output()).unwrap();
            self.client.consume_output(self.client.output().len());
            let mut data = self.server.output();
            loop {
                match self.client.handle_input(&mut down, &mut data).unwrap() {
                    Step::Event(ClientEvent::Answer { answer, .. }) => seen = Some(Seen::new(&answer)),
                    Step::NeedInput => break,
                    _ => {}
                }
            }
            self.server.consume_output(self.server.output().len());
        }
        seen
    }

    pub(crate) fn ask(&mut self, request: &Request<'_>) -> Seen {
        self.client.request((), request).unwrap();
        self.exchange().unwrap()
    }

    /// Past a client, which would not ask such a thing.
    pub(crate) fn ask_rudely(&mut self, request: &Request<'_>) -> Seen {
        let mut packet = Vec::new();
        request.encode(7, &mut packet);
        self.server.serve(&mut self.files, &mut Reassembly::new(), &packet).unwrap();
        let answer = self.server.output().to_vec();
        self.server.consume_output(answer.len());
        let (number, id, fields) = split(&answer[4..]).unwrap();
        assert_eq!(id, 7);
        Seen::new(&Answer::decode(number, fields, request.expected()).unwrap())
    }

    pub(crate) fn open(&mut self, filename: &[u8], pflags: Pflags) -> Seen {
        self.ask(&Request::Open { filename, pflags, attrs: Attributes::default() })
    }

    /// What is read of a file, which is closed again.
    pub(crate) fn read(&mut self, filename: &[u8]) -> Seen {
        let handle = match self.open(filename, Pflags::READ) {
            Seen::Handle(handle) => handle,
            other => return other,
        };
        let read = self.ask(&Request::Read { handle: &handle, offset: 0, len: 1000 });
        assert_eq!(self.ask(&Request::Close { handle: &handle }), OK);
        read
    }

    pub(crate) fn attrs(&mut self, path: &[u8]) -> Attributes<'static> {
        match self.ask(&Request::Lstat { path }) {
            Seen::Attrs(attrs) => attrs,
            other => panic!("{other:?}"),
        }
    }
}

const MODE_ONLY: Attributes<'_> = Attributes {
    size: None,
    uid_gid: None,
    permissions: Some(0o600),
    ac_mod_time: None,
    extended: crate::sftp::Pairs::NONE,
};

/// A mode and a time to set.
fn touched() -> Attributes<'static> {
    Attributes { ac_mod_time: Some((1, 2)), ..MODE_ONLY }
}
