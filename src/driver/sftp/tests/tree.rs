//! A tree that is nowhere so: paths, what it says, and what reaches whoever has the files.

use super::super::{HANDLES_MAX, Listing, NAMES_MAX};
use super::*;
use crate::sftp::{PackedIds, Pairs, is_component};
use proptest::prelude::{any, prop, proptest};
use std::fs::{File, Metadata};
use std::io;
use std::sync::Mutex;

/// `/shop` with `access.log` and `access.log.1`, `/empty`; each file is of the same temporary one.
#[derive(Debug)]
struct Few {
    file: PathBuf,
    /// Lists so many more files in `/shop`, which cannot be opened.
    more: usize,
    /// The names that somebody asked for.
    asked: Mutex<Vec<Vec<u8>>>,
    /// The names of those that were closed, and how much was read.
    closed: Mutex<Vec<(String, u64)>>,
}

impl Few {
    fn new(place: &Place, more: usize) -> Arc<Self> {
        Arc::new(Self {
            file: place.path("root/file"),
            more,
            asked: Mutex::default(),
            closed: Mutex::default(),
        })
    }

    fn session(self: &Arc<Self>) -> Session {
        Session::of_tree(Arc::clone(self) as Arc<dyn Tree>)
    }

    fn find(&self, directory: &[u8], file: &[u8]) -> io::Result<&PathBuf> {
        self.asked.lock().unwrap().extend([directory.to_vec(), file.to_vec()]);
        match (directory, file) {
            (b"shop", b"access.log" | b"access.log.1") => Ok(&self.file),
            (b"shop", b"secret") => Err(io::ErrorKind::PermissionDenied.into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Tree for Few {
    fn directories(&self) -> Vec<Vec<u8>> {
        [&b"shop"[..], b"..", b"a/b", b"", b"empty"].map(<[u8]>::to_vec).into()
    }

    fn files(&self, directory: &[u8]) -> io::Result<Listing> {
        let metadata = self.file.metadata()?;
        let names = match directory {
            b"shop" => vec!["access.log".to_owned(), "../up".to_owned(), "access.log.1".to_owned()],
            b"empty" => Vec::new(),
            _ => return Err(io::ErrorKind::NotFound.into()),
        };
        let more = if directory == b"shop" { self.more } else { 0 };
        let names = names.into_iter().chain((0..more).map(|number| format!("more-{number}")));
        Ok(Box::new(names.map(move |name| (name.into_bytes(), metadata.clone()))))
    }

    fn metadata(&self, directory: &[u8], file: &[u8]) -> io::Result<Metadata> {
        self.find(directory, file)?.metadata()
    }

    fn open(&self, directory: &[u8], file: &[u8]) -> io::Result<File> {
        File::open(self.find(directory, file)?)
    }

    fn closed(&self, directory: &[u8], file: &[u8], bytes: u64) {
        let name = String::from_utf8([directory, b"/", file].concat()).unwrap();
        self.closed.lock().unwrap().push((name, bytes));
    }
}

fn listed(session: &mut Session, path: &[u8]) -> Vec<(String, String, Option<u32>)> {
    let handle = session.ask(&Request::Opendir { path }).handle();
    let mut all = Vec::new();
    loop {
        match session.ask(&Request::Readdir { handle: &handle }) {
            Seen::Names(names) => {
                assert!((1..=NAMES_MAX).contains(&names.len()));
                all.extend(names);
            }
            end => {
                assert_eq!(end, EOF);
                assert_eq!(session.ask(&Request::Close { handle: &handle }), OK);
                return all;
            }
        }
    }
}

fn names(listed: &[(String, String, Option<u32>)]) -> Vec<&str> {
    listed.iter().map(|(name, ..)| name.as_str()).collect()
}

#[test]
fn two_levels_are_listed_and_read() {
    let place = Place::new();
    let mut session = Few::new(&place, 0).session();
    let top = listed(&mut session, b"/");
    assert_eq!(names(&top), ["shop", "empty"], "what could not be asked for is left out");
    assert!(top.iter().all(|(name, longname, mode)| {
        *mode == Some(0o40_555)
            && longname.starts_with("dr-xr-xr-x   2 -        -")
            && longname.ends_with(name)
    }));
    let shop = listed(&mut session, b"shop/.");
    assert_eq!(names(&shop), ["access.log", "access.log.1"]);
    assert!(shop.iter().all(|(_, longname, mode)| {
        *mode == Some(0o100_444) && longname.starts_with("-r--r--r--   1 -        -              10 ")
    }));
    assert!(listed(&mut session, b"/empty/").is_empty());
    assert_eq!(session.read(b"/shop/access.log"), Seen::Data(b"0123456789".to_vec()));
    assert_eq!(session.read(b"shop/../shop//./access.log.1"), Seen::Data(b"0123456789".to_vec()));
    assert_eq!(session.read(b"/shop/secret"), DENIED);
}

#[test]
fn what_was_read_of_a_file_is_told_when_it_is_closed_or_the_session_ends_with_it_open() {
    let place = Place::new();
    let few = Few::new(&place, 0);
    let mut session = few.session();
    let [one, other] = ["/shop/access.log", "/shop/access.log.1"]
        .map(|path| session.open(path.as_bytes(), Pflags::READ).handle());
    for (handle, offset, len) in [(&one, 0, 4), (&one, 2, 4), (&other, 0, 3), (&one, 10, 4)] {
        session.ask(&Request::Read { handle, offset, len });
    }
    assert_eq!(session.open(b"/shop/secret", Pflags::READ), DENIED);
    let closed = |name: &str, bytes| (name.to_owned(), bytes);
    assert_eq!(*few.closed.lock().unwrap(), []);
    assert_eq!(session.ask(&Request::Close { handle: &one }), OK);
    assert_eq!(*few.closed.lock().unwrap(), [closed("shop/access.log", 8)]);
    drop(session);
    let both = [closed("shop/access.log", 8), closed("shop/access.log.1", 3)];
    assert_eq!(*few.closed.lock().unwrap(), both);
}

#[test]
fn a_file_says_its_size_and_times_and_nothing_of_users() {
    use std::os::unix::fs::MetadataExt;
    let place = Place::new();
    let mut session = Few::new(&place, 0).session();
    let metadata = place.path("root/file").metadata().unwrap();
    let mtime = u32::try_from(metadata.mtime()).unwrap();
    let attrs = session.attrs(b"/shop/access.log");
    let expected = Attributes {
        size: Some(10),
        uid_gid: None,
        permissions: Some(0o100_444),
        ac_mod_time: Some((u32::try_from(metadata.atime()).unwrap(), mtime)),
        extended: Pairs::NONE,
    };
    assert_eq!(attrs, expected);
    let handle = session.open(b"/shop/access.log", Pflags::READ).handle();
    fs::write(place.path("root/file"), b"0123456789 and more").unwrap();
    let Seen::Attrs(grown) = session.ask(&Request::Fstat { handle: &handle }) else { panic!() };
    assert_eq!(grown.size, Some(19), "it grows");
    let read = session.ask(&Request::Read { handle: &handle, offset: 10, len: 1000 });
    assert_eq!(read, Seen::Data(b" and more".to_vec()));
    assert_eq!(session.ask(&Request::Read { handle: &handle, offset: 19, len: 1000 }), EOF);
    for path in [&b"/"[..], b"/shop"] {
        let attrs = session.attrs(path);
        assert_eq!((attrs.permissions, attrs.uid_gid), (Some(0o40_555), None));
        let Seen::StatVfs(told) = session.ask(&Request::Statvfs { path }) else { panic!() };
        assert_eq!((told.flag, told.bavail, told.namemax), (3, 0, 255));
    }
    let ids = [0, 0, 0, 0, 0, 0, 3, 232];
    let ids = PackedIds::from_bytes(&ids).unwrap();
    let nobody = vec![String::new(); 2];
    let asked = session.ask(&Request::UsersGroupsById { uids: ids, gids: ids });
    assert_eq!(asked, Seen::UsersGroups(nobody.clone(), nobody));
}

#[test]
fn paths_are_resolved_as_if_all_were_there() {
    let place = Place::new();
    let mut session = Few::new(&place, 0).session();
    for (path, real) in [
        (&b""[..], "/"),
        (b".", "/"),
        (b"/..", "/"),
        (b"../../shop", "/shop"),
        (b"shop/..", "/"),
        (b"/shop/./access.log", "/shop/access.log"),
        (b"/shop/new", "/shop/new"),
        (b"/new", "/new"),
        (b"~", "/~"),
    ] {
        assert_eq!(session.ask(&Request::Realpath { path }).name(), real, "{path:?}");
    }
    for path in [
        &b"/new/.."[..],
        b"/new/",
        b"/shop/access.log/",
        b"/shop/access.log/..",
        b"/shop/new/x",
        b"/shop/access.log/x",
    ] {
        for request in [Request::Realpath { path }, Request::Stat { path }, Request::Opendir { path }] {
            assert_eq!(session.ask(&request), MISSING, "{request:?}");
        }
        assert_eq!(session.read(path), MISSING);
    }
    for (path, real) in [(&b"~"[..], "/"), (b"", "/"), (b"~/shop", "/shop"), (b"shop", "/shop")] {
        assert_eq!(session.ask(&Request::ExpandPath { path }).name(), real, "{path:?}");
    }
    assert_eq!(session.ask(&Request::ExpandPath { path: b"~root/shop" }), MISSING);
    assert_eq!(session.ask(&Request::HomeDirectory { username: b"" }).name(), "/");
    assert_eq!(session.ask(&Request::HomeDirectory { username: b"root" }), FAILURE);
    assert_eq!(session.open(b"/shop", Pflags::READ), FAILURE, "a directory is no file");
    assert_eq!(session.ask(&Request::Opendir { path: b"/shop/access.log" }), MISSING);
    assert_eq!(session.ask(&Request::Readlink { path: b"/shop/access.log" }), BAD);
    assert_eq!(session.ask(&Request::Readlink { path: b"/shop/new" }), MISSING);
}

#[test]
fn nothing_can_be_changed_wherever_it_is() {
    let place = Place::new();
    let tree = Few::new(&place, 0);
    let mut session = tree.session();
    let open = session.open(b"/shop/access.log", Pflags::READ).handle();
    tree.asked.lock().unwrap().clear();
    let (handle, attrs) = (&open[..], touched());
    for path in [&b"/shop/access.log"[..], b"/shop/new", b"/new", b"/", b"../../etc/passwd"] {
        for pflags in [Pflags::WRITE, Pflags::READ | Pflags::APPEND, Pflags::CREAT, Pflags::TRUNC] {
            assert_eq!(session.open(path, pflags), DENIED, "{path:?}");
        }
        for request in [
            Request::Setstat { path, attrs },
            Request::Lsetstat { path, attrs },
            Request::Fsetstat { handle, attrs },
            Request::Remove { filename: path },
            Request::Mkdir { path, attrs },
            Request::Rmdir { path },
            Request::Rename { oldpath: path, newpath: b"/shop/x" },
            Request::PosixRename { oldpath: path, newpath: b"/shop/x" },
            Request::Symlink { targetpath: b"/etc/passwd", linkpath: path },
            Request::Hardlink { oldpath: path, newpath: b"/shop/x" },
            Request::Write { handle, offset: 0, data: b"x" },
            Request::Fsync { handle },
        ] {
            assert_eq!(session.ask(&request), DENIED, "{request:?}");
        }
    }
    assert!(tree.asked.lock().unwrap().is_empty(), "nobody was even asked");
    assert_eq!(fs::read(place.path("root/file")).unwrap(), b"0123456789");
}

#[test]
fn a_long_directory_comes_in_several_answers() {
    let place = Place::new();
    let mut session = Few::new(&place, NAMES_MAX * 3).session();
    let listed = listed(&mut session, b"/shop");
    assert_eq!(listed.len(), NAMES_MAX * 3 + 2);
    assert_eq!(listed.last().unwrap().0, format!("more-{}", NAMES_MAX * 3 - 1));
}

#[test]
fn t97_handles_of_a_tree_are_bounded_and_given_back() {
    let place = Place::new();
    let mut session = Few::new(&place, 0).session();
    let mut handles = Vec::new();
    for at in 0..HANDLES_MAX {
        let opened = match at % 3 {
            0 => session.open(b"/shop/access.log", Pflags::READ),
            1 => session.ask(&Request::Opendir { path: b"/shop" }),
            _ => session.ask(&Request::Opendir { path: b"/" }),
        };
        handles.push(opened.handle());
    }
    assert_eq!(session.open(b"/shop/access.log", Pflags::READ), FAILURE);
    assert_eq!(session.ask(&Request::Opendir { path: b"/" }), FAILURE);
    for handle in &handles {
        assert_eq!(session.ask(&Request::Close { handle }), OK);
    }
    for handle in &handles {
        assert_eq!(session.ask_rudely(&Request::Fstat { handle }), FAILURE, "stale");
    }
    assert!(matches!(session.open(b"/shop/access.log", Pflags::READ), Seen::Handle(_)));
}

#[test]
fn descriptors_of_all_sessions_are_bounded() {
    let place = Place::new();
    let tree: Arc<dyn Tree> = Few::new(&place, 0);
    let descriptors = Arc::new(Descriptors::new(2));
    let served = || AtOnce(Served::tree(Arc::clone(&tree), Arc::clone(&descriptors)));
    let (mut one, mut other) = (Session::before(served()), Session::before(served()));
    let handle = one.open(b"/shop/access.log", Pflags::READ).handle();
    other.ask(&Request::Opendir { path: b"/shop" }).handle();
    for session in [&mut one, &mut other] {
        assert_eq!(session.open(b"/shop/access.log", Pflags::READ), FAILURE);
        assert_eq!(session.ask(&Request::Opendir { path: b"/shop" }), FAILURE);
        assert!(matches!(session.ask(&Request::Stat { path: b"/shop/access.log" }), Seen::Attrs(_)));
    }
    assert_eq!(one.ask(&Request::Close { handle: &handle }), OK);
    assert_eq!(other.read(b"/shop/access.log"), Seen::Data(b"0123456789".to_vec()));
    drop((one, other));
    assert_eq!(descriptors.used(), 0);
}

/// Parts of paths, some of which exist.
const PARTS: [&[u8]; 12] = [
    b"shop",
    b"empty",
    b"access.log",
    b"access.log.1",
    b"..",
    b".",
    b"",
    b"etc",
    b"passwd",
    b"~",
    b"..\xff",
    b"access.log\n",
];

proptest! {
    #[test]
    fn only_whole_names_are_asked_for_and_only_what_is_there_is_had(
        parts in prop::collection::vec(prop::sample::select(PARTS.to_vec()), 0..8),
        is_absolute in any::<bool>(),
    ) {
        let place = Place::new();
        let tree = Few::new(&place, 0);
        let mut session = tree.session();
        let path = [if is_absolute { &b"/"[..] } else { b"" }, &parts.join(&b'/')].concat();
        let path = path.as_slice();
        for request in [Request::Stat { path }, Request::Lstat { path }, Request::Opendir { path }, Request::Statvfs { path }] {
            session.ask(&request);
        }
        let read = session.read(path);
        let asked = tree.asked.lock().unwrap();
        assert!(asked.iter().all(|name| is_component(name)), "{asked:?}");
        let is_there = asked.windows(2).any(|pair| pair[0] == b"shop" && pair[1].starts_with(b"access.log") && !pair[1].ends_with(b"\n"));
        assert_eq!(read == Seen::Data(b"0123456789".to_vec()), is_there, "{path:?} {asked:?}");
    }
}
