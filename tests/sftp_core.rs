//! SFTP with OpenSSH of both generations over pipes: our client with its sftp-server, its sftp with our server.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use strombus::sftp::*;
use tempfile::TempDir;

/// A program of Debian 12, and the one of Debian 13 that `tests/run` installs.
fn generations(bookworm: &str) -> [PathBuf; 2] {
    let bookworm = PathBuf::from(bookworm);
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || Path::new(&std::env::var_os("HOME").expect("HOME is set")).join(".cache");
    let trixie = cache.unwrap_or_else(home).join("strombus/bin").join(bookworm.file_name().unwrap());
    let both = [bookworm, trixie];
    for path in &both {
        assert!(path.exists(), "{} is missing: tests/run installs it", path.display());
    }
    both
}

/// An sftp-server that works in a directory of its own, and our client of it.
struct Session {
    child: Child,
    client: SftpClient<u64>,
    reassembly: Reassembly,
    directory: TempDir,
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let status = self.child.wait().unwrap();
        assert!(std::thread::panicking() || status.success(), "{status}");
    }
}

impl Session {
    fn start(program: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command.current_dir(&directory).stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn().unwrap();
        let mut session = Self { child, client: SftpClient::new(), reassembly: Reassembly::new(), directory };
        session.run(|event| matches!(event, ClientEvent::Ready));
        session
    }

    fn flush(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(self.client.output()).unwrap();
        self.client.consume_output(usize::MAX);
    }

    /// Tells each event, until one says that it was the last.
    fn run(&mut self, mut event: impl FnMut(ClientEvent<'_, u64>) -> bool) {
        let mut bytes = vec![0; 10_000];
        let mut is_done = false;
        while !is_done {
            self.flush();
            let n = self.child.stdout.as_mut().unwrap().read(&mut bytes).unwrap();
            assert!(n > 0, "the server has hung up");
            let mut data = &bytes[..n];
            loop {
                match self.client.handle_input(&mut self.reassembly, &mut data).unwrap() {
                    Step::NeedInput => break,
                    Step::Event(told) => is_done |= event(told),
                    Step::Progress | Step::Busy => {}
                }
            }
        }
    }

    /// What `take` makes of the answer to a request.
    fn ask<R>(&mut self, request: &Request<'_>, mut take: impl FnMut(Answer<'_>) -> R) -> R {
        self.client.request(0, request).unwrap();
        let mut taken = None;
        self.run(|event| match event {
            ClientEvent::Answer { answer, .. } => {
                taken = Some(take(answer));
                true
            }
            ClientEvent::Ready => false,
        });
        taken.unwrap()
    }

    fn code(&mut self, request: &Request<'_>) -> StatusCode {
        self.ask(request, |answer| match answer {
            Answer::Status(status) => status.code,
            answer => panic!("{answer:?}"),
        })
    }

    fn handle(&mut self, request: &Request<'_>) -> Vec<u8> {
        self.ask(request, |answer| match answer {
            Answer::Handle(handle) => handle.to_vec(),
            answer => panic!("{answer:?}"),
        })
    }

    fn open(&mut self, filename: &[u8], pflags: Pflags) -> Vec<u8> {
        self.handle(&Request::Open { filename, pflags, attrs: Attributes::default() })
    }

    fn attrs(&mut self, request: &Request<'_>) -> (u64, u32, u32) {
        self.ask(request, |answer| match answer {
            Answer::Attrs(attrs) => {
                (attrs.size.unwrap(), attrs.permissions.unwrap(), attrs.ac_mod_time.unwrap().1)
            }
            answer => panic!("{answer:?}"),
        })
    }

    fn path(&mut self, request: &Request<'_>) -> PathBuf {
        self.ask(request, |answer| match answer {
            Answer::Names(names) => {
                PathBuf::from(std::ffi::OsString::from_vec(names.iter().next().unwrap().filename.to_vec()))
            }
            answer => panic!("{answer:?}"),
        })
    }

    fn here(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn servers() -> impl Iterator<Item = Session> {
    generations("/usr/lib/openssh/sftp-server").into_iter().map(|program| Session::start(&program))
}

#[test]
fn our_client_knows_what_openssh_offers_and_takes() {
    for session in servers() {
        assert!(Extension::ALL.iter().all(|extension| session.client.supports(*extension)));
        let limits = session.client.limits();
        assert_eq!(
            (limits.packet_len, limits.read_len, limits.write_len),
            (PACKET_LEN_MAX, LEN_MAX, LEN_MAX)
        );
        assert!(limits.open_handles.is_some());
    }
}

#[test]
fn our_client_does_each_request_with_openssh() {
    let none = Attributes::default();
    for mut s in servers() {
        fs::write(s.here("f"), "content").unwrap();
        let real = s.directory.path().canonicalize().unwrap();
        assert_eq!(s.path(&Request::Realpath { path: b"." }), real);
        assert_eq!(s.path(&Request::ExpandPath { path: b"f" }), real.join("f"));
        assert!(s.path(&Request::HomeDirectory { username: b"root" }).is_absolute());

        let mode = Attributes { permissions: Some(0o640), ac_mod_time: Some((1, 2)), ..none };
        assert_eq!(s.code(&Request::Setstat { path: b"f", attrs: mode }), StatusCode::OK);
        assert_eq!(s.attrs(&Request::Stat { path: b"f" }), (7, 0o100_640, 2));
        assert_eq!(s.code(&Request::Symlink { targetpath: b"f", linkpath: b"l" }), StatusCode::OK);
        assert_eq!(fs::read_link(s.here("l")).unwrap(), Path::new("f"));
        assert_eq!(s.path(&Request::Readlink { path: b"l" }), Path::new("f"));
        let time = Attributes { ac_mod_time: Some((3, 4)), ..none };
        assert_eq!(s.code(&Request::Lsetstat { path: b"l", attrs: time }), StatusCode::OK);
        assert_eq!(s.attrs(&Request::Lstat { path: b"l" }).2, 4);
        assert_eq!(s.attrs(&Request::Stat { path: b"l" }).2, 2);

        let f: &[u8] = &s.open(b"f", Pflags::READ);
        let g: &[u8] = &s.open(b"g", Pflags::WRITE | Pflags::CREAT | Pflags::EXCL);
        assert_eq!(s.attrs(&Request::Fstat { handle: f }).0, 7);
        let copy = Request::CopyData {
            read_handle: f,
            read_offset: 3,
            read_length: 0,
            write_handle: g,
            write_offset: 1,
        };
        assert_eq!(s.code(&copy), StatusCode::OK);
        assert_eq!(s.code(&Request::Write { handle: g, offset: 0, data: b">" }), StatusCode::OK);
        assert_eq!(s.code(&Request::Fsync { handle: g }), StatusCode::OK);
        assert_eq!(fs::read(s.here("g")).unwrap(), b">tent");
        let shorter = Attributes { size: Some(2), ..none };
        assert_eq!(s.code(&Request::Fsetstat { handle: g, attrs: shorter }), StatusCode::OK);
        assert_eq!(fs::read(s.here("g")).unwrap(), b">t");
        for request in [Request::Statvfs { path: b"." }, Request::Fstatvfs { handle: f }] {
            s.ask(&request, |answer| {
                let Answer::StatVfs(vfs) = answer else { panic!("{answer:?}") };
                assert!(vfs.bsize > 0 && vfs.namemax >= 255 && vfs.blocks >= vfs.bfree);
            });
        }
        assert_eq!(s.code(&Request::Close { handle: f }), StatusCode::OK);
        assert_eq!(s.code(&Request::Close { handle: g }), StatusCode::OK);
        assert_eq!(s.code(&Request::Close { handle: g }), StatusCode::NO_SUCH_FILE, "EBADF");

        assert_eq!(s.code(&Request::Rename { oldpath: b"f", newpath: b"g" }), StatusCode::FAILURE);
        assert_eq!(s.code(&Request::PosixRename { oldpath: b"f", newpath: b"g" }), StatusCode::OK);
        assert_eq!(s.code(&Request::Hardlink { oldpath: b"g", newpath: b"h" }), StatusCode::OK);
        assert_eq!(fs::metadata(s.here("g")).unwrap().ino(), fs::metadata(s.here("h")).unwrap().ino());
        assert_eq!(s.code(&Request::Rename { oldpath: b"h", newpath: b"i" }), StatusCode::OK);
        assert_eq!(s.code(&Request::Remove { filename: b"i" }), StatusCode::OK);
        assert_eq!(s.code(&Request::Mkdir { path: b"d", attrs: none }), StatusCode::OK);
        assert_eq!(s.code(&Request::Rmdir { path: b"d" }), StatusCode::OK);
        assert_eq!(s.code(&Request::Stat { path: b"d" }), StatusCode::NO_SUCH_FILE);

        let ids = PackedIds::pack(&[0, 4_000_000_000]);
        let ids = PackedIds::from_bytes(&ids).unwrap();
        s.ask(&Request::UsersGroupsById { uids: ids, gids: PackedIds::default() }, |answer| {
            let Answer::UsersGroups { usernames, groupnames } = answer else { panic!("{answer:?}") };
            assert!(usernames.iter().eq([&b"root"[..], b""]) && groupnames.iter().count() == 0);
        });
        let unknown = Request::Extended { request_name: b"x@example.com", fields: b"" };
        assert_eq!(s.code(&unknown), StatusCode::OP_UNSUPPORTED);
        assert_eq!(s.client.in_flight(), 0);
    }
}

#[test]
fn our_client_lists_a_directory_of_openssh_to_its_end() {
    for mut s in servers() {
        let all: BTreeSet<_> = (0..250).map(|i| format!("name {i}")).collect();
        all.iter().for_each(|name| fs::write(s.here(name), "").unwrap());
        let handle = &s.handle(&Request::Opendir { path: b"." });
        let (mut found, mut answers) = (BTreeSet::new(), 0);
        loop {
            let is_end = s.ask(&Request::Readdir { handle }, |answer| match answer {
                Answer::Names(names) => {
                    let names = names.iter().filter(|name| is_component(name.filename));
                    found.extend(names.map(|name| String::from_utf8(name.filename.to_vec()).unwrap()));
                    false
                }
                Answer::Status(status) => status.code == StatusCode::EOF,
                answer => panic!("{answer:?}"),
            });
            answers += 1;
            if is_end {
                break;
            }
        }
        assert!(found == all && answers > 2, "{answers}");
    }
}

#[test]
fn our_client_writes_and_reads_with_many_requests_under_way() {
    let content: Vec<u8> =
        (0..3_000_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    for mut s in servers() {
        let handle: &[u8] = &s.open(b"f", Pflags::READ | Pflags::WRITE | Pflags::CREAT);
        let block = s.client.limits().write_len as usize;
        let mut last = 0;
        for (offset, data) in (0..).step_by(block).zip(content.chunks(block)) {
            while !s.client.is_writable() {
                s.flush();
            }
            s.client.request(offset, &Request::Write { handle, offset, data }).unwrap();
            last = offset;
        }
        s.run(|event| match event {
            ClientEvent::Answer { token, answer: Answer::Status(status) } => {
                assert_eq!(status.code, StatusCode::OK);
                token == last
            }
            event => panic!("{event:?}"),
        });
        assert!(fs::read(s.here("f")).unwrap() == content);

        let (mut read, mut to_ask) = (BTreeMap::new(), Vec::new());
        let len = s.client.limits().read_len;
        let offsets: Vec<_> = (0..content.len() as u64).step_by(len as usize).collect();
        for offset in &offsets {
            s.client.request(*offset, &Request::Read { handle, offset: *offset, len }).unwrap();
        }
        let mut missing = offsets.len();
        s.run(|event| match event {
            ClientEvent::Answer { token, answer: Answer::Data(data) } => {
                let end = (token + u64::from(len)).min(content.len() as u64);
                if token + (data.len() as u64) < end {
                    to_ask.push(token + data.len() as u64);
                }
                read.insert(token, data.to_vec());
                missing -= 1;
                missing == 0
            }
            event => panic!("{event:?}"),
        });
        assert!(to_ask.is_empty(), "a file on a disk is read whole");
        assert!(read.into_values().flatten().eq(content.iter().copied()));
        let beyond = Request::Read { handle, offset: content.len() as u64, len };
        assert_eq!(s.code(&beyond), StatusCode::EOF);
    }
}

/// A directory behind our server; it follows links, for nobody is kept out here.
struct Directory {
    root: PathBuf,
    files: BTreeMap<usize, File>,
    listings: BTreeMap<usize, Vec<PathBuf>>,
}

fn attributes(metadata: &fs::Metadata) -> Attributes<'static> {
    let seconds = |time: i64| u32::try_from(time).unwrap();
    Attributes {
        size: Some(metadata.size()),
        uid_gid: Some((metadata.uid(), metadata.gid())),
        permissions: Some(metadata.mode()),
        ac_mod_time: Some((seconds(metadata.atime()), seconds(metadata.mtime()))),
        ..Attributes::default()
    }
}

impl Directory {
    fn at(&self, path: &[u8]) -> PathBuf {
        self.root.join(std::ffi::OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(path)))
    }

    fn open(&mut self, path: &[u8], pflags: Pflags, ticket: &Ticket) -> std::io::Result<Handle> {
        let mut options = OpenOptions::new();
        options.read(pflags.contains(Pflags::READ)).write(pflags.contains(Pflags::WRITE));
        options.create(pflags.contains(Pflags::CREAT)).truncate(pflags.contains(Pflags::TRUNC));
        let handle = ticket.handle().unwrap();
        self.files.insert(handle.slot(), options.open(self.at(path))?);
        Ok(handle)
    }

    fn list(&mut self, path: &[u8], ticket: &Ticket) -> std::io::Result<Handle> {
        let entries: std::io::Result<Vec<_>> =
            fs::read_dir(self.at(path))?.map(|entry| Ok(entry?.path())).collect();
        let handle = ticket.handle().unwrap();
        self.listings.insert(handle.slot(), entries?);
        Ok(handle)
    }
}

impl Backend for Directory {
    fn handle_request(&mut self, ticket: Ticket, request: Request<'_, Handle>, server: &mut SftpServer) {
        const OK: Answer<'_, Handle> = Answer::Status(Status::new(StatusCode::OK));
        let (mut names, mut data) = (NamesBuf::new(), Vec::new());
        let answer = match request {
            Request::Open { filename, pflags, .. } => {
                self.open(filename, pflags, &ticket).map(Answer::Handle)
            }
            Request::Opendir { path } => self.list(path, &ticket).map(Answer::Handle),
            Request::Close { handle } => {
                self.files.remove(&handle.slot());
                self.listings.remove(&handle.slot());
                Ok(OK)
            }
            Request::Read { handle, offset, len } => {
                data.resize(len as usize, 0);
                self.files[&handle.slot()].read_at(&mut data, offset).map(|n| Answer::Data(&data[..n]))
            }
            Request::Write { handle, offset, data } => {
                self.files[&handle.slot()].write_all_at(data, offset).map(|()| OK)
            }
            Request::Readdir { handle } => {
                for path in self.listings.get_mut(&handle.slot()).unwrap().drain(..) {
                    let filename = path.file_name().unwrap().as_bytes();
                    let attrs = attributes(&fs::symlink_metadata(&path).unwrap());
                    assert!(names.push(&Name { filename, longname: filename, attrs }));
                }
                Ok(Answer::Names(names.names()))
            }
            Request::Realpath { path } => {
                let path = [b"/", path.trim_ascii_start().strip_prefix(b"/").unwrap_or(path)].concat();
                let path = if path == b"/." { b"/".to_vec() } else { path };
                let attrs = Attributes::default();
                assert!(names.push(&Name { filename: &path, longname: &path, attrs }));
                Ok(Answer::Names(names.names()))
            }
            Request::Stat { path } => fs::metadata(self.at(path)).map(|m| Answer::Attrs(attributes(&m))),
            Request::Lstat { path } => {
                fs::symlink_metadata(self.at(path)).map(|m| Answer::Attrs(attributes(&m)))
            }
            Request::Fstat { handle } => {
                self.files[&handle.slot()].metadata().map(|m| Answer::Attrs(attributes(&m)))
            }
            Request::Setstat { path, attrs } => attrs.permissions.map_or(Ok(OK), |mode| {
                fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).map(|()| OK)
            }),
            Request::Fsetstat { .. } => Ok(OK),
            Request::Remove { filename } => fs::remove_file(self.at(filename)).map(|()| OK),
            Request::Mkdir { path, .. } => fs::create_dir(self.at(path)).map(|()| OK),
            Request::Rmdir { path } => fs::remove_dir(self.at(path)).map(|()| OK),
            Request::PosixRename { oldpath, newpath } => {
                fs::rename(self.at(oldpath), self.at(newpath)).map(|()| OK)
            }
            Request::Symlink { targetpath, linkpath } => {
                symlink(std::ffi::OsStr::from_bytes(targetpath), self.at(linkpath)).map(|()| OK)
            }
            request => panic!("{request:?}"),
        };
        let answer = answer.unwrap_or_else(|error| {
            Answer::Status(Status::new(match error.kind() {
                std::io::ErrorKind::NotFound => StatusCode::NO_SUCH_FILE,
                _ => StatusCode::FAILURE,
            }))
        });
        server.answer(ticket, &answer).unwrap();
    }
}

/// Serves what `sftp -D` writes into a pipe, until it ends.
fn serve(root: &Path, up: &Path, down: &Path) {
    let extensions = vec![Extension::PosixRename];
    let mut server = SftpServer::new(ServerLimits { extensions, ..ServerLimits::default() });
    let mut backend = Directory { root: root.to_owned(), files: BTreeMap::new(), listings: BTreeMap::new() };
    let mut reassembly = Reassembly::new();
    let (mut up, mut down) = (File::open(up).unwrap(), File::create(down).unwrap());
    let mut bytes = vec![0; 10_000];
    loop {
        let n = up.read(&mut bytes).unwrap();
        if n == 0 {
            break;
        }
        server.serve(&mut backend, &mut reassembly, &bytes[..n]).unwrap();
        while !server.output().is_empty() {
            down.write_all(server.output()).unwrap();
            server.consume_output(usize::MAX);
            server.serve(&mut backend, &mut reassembly, b"").unwrap();
        }
    }
    assert!(server.open_handles() == 0 && backend.files.is_empty() && reassembly.unread().is_empty());
}

/// Stands where sftp expects a server, and passes bytes through two named pipes.
const RELAY: &str = "#!/bin/sh
cd \"${0%/*}\" && exec 3<&0
cat <&3 >up &
exec cat <down
";

#[test]
fn openssh_s_sftp_works_with_our_server() {
    let content: Vec<u8> =
        (0..1_000_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    for program in generations("/usr/bin/sftp") {
        let directory = tempfile::tempdir().unwrap();
        let here = |name: &str| directory.path().join(name);
        fs::create_dir(here("root")).unwrap();
        fs::write(here("put"), &content).unwrap();
        fs::write(here("relay"), RELAY).unwrap();
        fs::set_permissions(here("relay"), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(Command::new("mkfifo").args([here("up"), here("down")]).status().unwrap().success());
        let batch = "put put new\nls -l\nrename new moved\nget moved got\nmkdir d\nput put d/x\nrm d/x\nrmdir d\n\
                     ln -s moved link\nchmod 600 moved\n-get none\nls\n";
        fs::write(here("batch"), batch).unwrap();
        let (root, up, down) = (here("root"), here("up"), here("down"));
        let serving = std::thread::spawn(move || serve(&root, &up, &down));
        let mut command = Command::new(&program);
        command.arg("-D").arg(here("relay")).arg("-b").arg(here("batch")).current_dir(&directory);
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        let listed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}: {told}\n{listed}", program.display());
        serving.join().unwrap();
        assert!(
            fs::read(here("got")).unwrap() == content && fs::read(here("root/moved")).unwrap() == content
        );
        assert_eq!(fs::metadata(here("root/moved")).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_link(here("root/link")).unwrap(), Path::new("moved"));
        assert!(!here("root/d").exists());
        assert!(listed.lines().any(|line| line.starts_with("link") && line.contains("moved")), "{listed}");
    }
}
