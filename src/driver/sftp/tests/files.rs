//! What requests do, and what is refused.

use super::*;
use crate::sftp::{LEN_MAX, PATH_LEN_MAX, PackedIds, is_component};
use rustix::fs::{CWD, FileType, Mode, mknodat, symlink};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};

const ATTRS: Attributes<'_> = Attributes { permissions: None, ..MODE_ONLY };

const fn write<'a>(handle: &'a [u8], offset: u64, data: &'a [u8]) -> Request<'a> {
    Request::Write { handle, offset, data }
}

/// Ready to change anything, and to read it.
fn read_only() -> (Place, Session) {
    let place = Place::new();
    fs::create_dir(place.path("root/d")).unwrap();
    symlink("file", place.path("root/link")).unwrap();
    let session = Session::new(Service { read_only: true, ..place.service() });
    (place, session)
}

#[test]
fn a_read_only_server_refuses_all_that_writes_and_nothing_else() {
    let (place, mut session) = read_only();
    let before = place.outside();
    let tree = |place: &Place| {
        let names: Vec<_> =
            fs::read_dir(place.path("root")).unwrap().map(|e| e.unwrap().file_name()).collect();
        let stat = fs::metadata(place.path("root/file")).unwrap();
        (names.len(), stat.mode(), stat.mtime_nsec(), stat.len(), fs::read(place.path("root/file")).unwrap())
    };
    let untouched = tree(&place);
    let handle = session.open(b"file", Pflags::READ).handle();
    let other = session.open(b"link", Pflags(0)).handle();
    let directory = session.ask(&Request::Opendir { path: b"d" }).handle();
    let (attrs, filename, path) = (touched(), &b"file"[..], &b"file"[..]);
    for pflags in [
        Pflags::WRITE,
        Pflags::READ | Pflags::WRITE,
        Pflags::CREAT,
        Pflags::READ | Pflags::CREAT,
        Pflags::READ | Pflags::TRUNC,
        Pflags::READ | Pflags::APPEND,
        Pflags::READ | Pflags::CREAT | Pflags::EXCL,
    ] {
        for filename in [filename, b"new"] {
            assert_eq!(session.open(filename, pflags), DENIED, "{pflags:?}");
        }
    }
    for request in [
        write(&handle[..], 0, b"x"),
        Request::Setstat { path, attrs },
        Request::Fsetstat { handle: &handle, attrs },
        Request::Fsetstat { handle: &directory, attrs },
        Request::Lsetstat { path, attrs },
        Request::Remove { filename },
        Request::Mkdir { path: b"new", attrs },
        Request::Rmdir { path: b"d" },
        Request::Rename { oldpath: path, newpath: b"new" },
        Request::PosixRename { oldpath: path, newpath: b"new" },
        Request::Symlink { targetpath: path, linkpath: b"new" },
        Request::Hardlink { oldpath: path, newpath: b"new" },
        Request::Fsync { handle: &handle },
        Request::CopyData {
            read_handle: &handle,
            read_offset: 0,
            read_length: 0,
            write_handle: &other,
            write_offset: 0,
        },
    ] {
        assert_eq!(session.ask(&request), DENIED, "{request:?}");
    }
    for request in [
        Request::Read { handle: &handle[..], offset: 0, len: 1 },
        Request::Stat { path },
        Request::Lstat { path },
        Request::Fstat { handle: &handle },
        Request::Readdir { handle: &directory },
        Request::Realpath { path },
        Request::Readlink { path: b"link" },
        Request::Statvfs { path },
        Request::Fstatvfs { handle: &handle },
        Request::ExpandPath { path: b"~" },
        Request::HomeDirectory { username: b"" },
        Request::UsersGroupsById { uids: PackedIds::default(), gids: PackedIds::default() },
    ] {
        let seen = session.ask(&request);
        assert!(!matches!(seen, Seen::Status(_)), "{request:?}: {seen:?}");
    }
    assert_eq!(session.ask(&Request::Close { handle: &handle }), OK);
    assert_eq!((tree(&place), place.outside()), (untouched, before));
}

#[test]
fn t97_handles_are_bounded_in_a_session_and_in_all() {
    let place = Place::new();
    let mut session = place.session();
    let handles: Vec<_> =
        (0..1000).map(|_| session.open(b"file", Pflags::READ)).take_while(|seen| *seen != FAILURE).collect();
    assert_eq!(handles.len(), super::super::HANDLES_MAX);
    let first = handles[0].clone().handle();
    assert_eq!(session.ask(&Request::Close { handle: &first }), OK);
    assert_eq!(session.ask(&Request::Read { handle: &first, offset: 0, len: 1 }), FAILURE, "a stale handle");
    let mut session = Session::holding(place.service(), Descriptors::new(3));
    let handles: Vec<_> = (0..3).map(|_| session.open(b"file", Pflags::READ).handle()).collect();
    assert_eq!(session.open(b"file", Pflags::READ), FAILURE);
    assert_eq!(session.ask(&Request::Opendir { path: b"/" }), FAILURE);
    assert_eq!(session.ask(&Request::Close { handle: &handles[1] }), OK);
    assert_eq!(session.open(b"missing", Pflags::READ), MISSING, "and holds none");
    let directory = session.ask(&Request::Opendir { path: b"/" }).handle();
    assert_eq!(session.open(b"file", Pflags::READ), FAILURE);
    assert_eq!(session.ask(&Request::Read { handle: &directory, offset: 0, len: 1 }), FAILURE);
    let descriptors = Arc::new(Descriptors::new(3));
    assert!(descriptors.take() && descriptors.take() && descriptors.take() && !descriptors.take());
    descriptors.give_back();
    assert!(descriptors.take());
}

#[test]
fn t97_sizes_of_requests_are_bounded() {
    let place = Place::new();
    fs::write(place.path("root/large"), vec![7; 300_000]).unwrap();
    let mut service = place.service();
    service.start = b"/some/where".to_vec();
    let mut session = Session::new(service);
    let handle = session.open(b"/large", Pflags::READ).handle();
    let read = |offset, len| Request::Read { handle: &handle[..], offset, len };
    let Seen::Data(data) = session.ask_rudely(&read(0, u32::MAX)) else { panic!() };
    assert_eq!(data.len(), LEN_MAX as usize);
    let Seen::Data(data) = session.ask_rudely(&read(LEN_MAX.into(), u32::MAX)) else { panic!() };
    assert_eq!(data.len(), 300_000 - LEN_MAX as usize);
    assert_eq!(session.ask_rudely(&read(299_999, 5)), Seen::Data(vec![7]));
    assert_eq!(session.ask_rudely(&read(300_000, 5)), EOF);
    assert_eq!(session.ask_rudely(&read(u64::MAX - 5, 5)), BAD, "no file is that long");
    assert_eq!(session.ask_rudely(&read(u64::MAX, 5)), FAILURE);
    let long = b"/x".repeat(PATH_LEN_MAX / 2);
    assert_eq!(session.ask_rudely(&Request::Stat { path: &long }), BAD);
    assert_eq!(session.ask_rudely(&Request::Stat { path: &long[1..] }), BAD);
    assert_eq!(
        session.ask_rudely(&Request::Mkdir { path: &[b'x'; 300], attrs: ATTRS }),
        MISSING,
        "the start is"
    );
    assert_eq!(
        session.ask_rudely(&Request::Mkdir { path: &[b"/", &[b'x'; 300][..]].concat(), attrs: ATTRS }),
        BAD
    );
    assert_eq!(session.ask_rudely(&Request::Stat { path: b"nul\0" }), FAILURE);
}

#[test]
fn files_are_made_written_read_and_appended_to() {
    let place = Place::new();
    let mut session = place.session();
    let all = Pflags::READ | Pflags::WRITE | Pflags::CREAT;
    let handle = session.open(b"new", all).handle();
    assert_eq!(session.ask(&write(&handle, 5, b"later")), OK);
    assert_eq!(session.ask(&write(&handle, 0, b"first")), OK);
    assert_eq!(
        session.ask(&Request::Read { handle: &handle, offset: 3, len: 4 }),
        Seen::Data(b"stla".to_vec())
    );
    assert_eq!(session.ask(&Request::Fsync { handle: &handle }), OK);
    assert_eq!(session.open(b"new", all | Pflags::EXCL), FAILURE);
    let append = session.open(b"new", Pflags::WRITE | Pflags::APPEND).handle();
    assert_eq!(session.ask(&write(&append, 0, b"!")), OK);
    assert_eq!(session.read(b"new"), Seen::Data(b"firstlater!".to_vec()));
    let emptied = session.open(b"new", Pflags::WRITE | Pflags::TRUNC).handle();
    assert_eq!(session.read(b"new"), EOF);
    assert_eq!(
        session.ask(&Request::Read { handle: &emptied, offset: 0, len: 1 }),
        MISSING,
        "not to be read"
    );
    assert_eq!(session.open(b"missing", Pflags::WRITE), MISSING);
    // Directories can be opened and not read, as OpenSSH's.
    let directory = session.open(b"/", Pflags::READ).handle();
    assert_eq!(session.ask(&Request::Read { handle: &directory, offset: 0, len: 1 }), FAILURE);
}

#[test]
fn modes_of_what_is_made_are_under_the_umask() {
    let place = Place::new();
    let mut session = place.session();
    let mode = |name: &str| fs::metadata(place.path(name)).unwrap().mode() & 0o7777;
    for (permissions, asked) in [(None, 0o666), (Some(0o777), 0o777), (Some(0o100_640), 0o640)] {
        let attrs = Attributes { permissions, ..ATTRS };
        let pflags = Pflags::WRITE | Pflags::CREAT;
        session.ask(&Request::Open { filename: b"new", pflags, attrs }).handle();
        fs::File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(asked)
            .open(place.path("same"))
            .unwrap();
        assert_eq!(mode("root/new"), mode("same"), "{permissions:?}");
        assert_eq!(session.ask(&Request::Remove { filename: b"new" }), OK);
        fs::remove_file(place.path("same")).unwrap();
    }
    let attrs = Attributes { permissions: Some(0o700), ..ATTRS };
    assert_eq!(session.ask(&Request::Mkdir { path: b"d", attrs }), OK);
    assert_eq!(mode("root/d"), 0o700);
    assert_eq!(session.ask(&Request::Mkdir { path: b"d", attrs }), FAILURE);
}

#[test]
fn neither_a_fifo_nor_a_device_holds_anybody_up() {
    let place = Place::new();
    mknodat(CWD, place.path("root/fifo"), FileType::Fifo, Mode::from(0o600), 0).unwrap();
    let mut session = place.session();
    let handle = session.open(b"fifo", Pflags::READ).handle();
    assert_eq!(session.ask(&Request::Read { handle: &handle, offset: 0, len: 9 }), FAILURE);
    assert_eq!(session.ask(&Request::Close { handle: &handle }), OK);
    assert_eq!(session.open(b"fifo", Pflags::WRITE), FAILURE, "nobody reads it");
    let attrs = Attributes { size: Some(0), ..ATTRS };
    assert_eq!(session.ask(&Request::Setstat { path: b"fifo", attrs }), BAD);
}

#[test]
fn attributes_are_set_by_path_by_handle_and_of_links() {
    let place = Place::new();
    symlink("file", place.path("root/link")).unwrap();
    symlink("missing", place.path("root/dangling")).unwrap();
    let mut session = place.session();
    let (uid, gid) = session.attrs(b"file").uid_gid.unwrap();
    let all = Attributes {
        size: Some(4),
        uid_gid: Some((uid, gid)),
        permissions: Some(0o100_604),
        ac_mod_time: Some((5, 4_000_000_000)),
        ..ATTRS
    };
    let set =
        |seen: Attributes<'_>| (seen.size, seen.permissions.unwrap() & 0o7777, seen.ac_mod_time.unwrap().1);
    let link = session.attrs(b"link");
    assert_eq!(session.ask(&Request::Setstat { path: b"link", attrs: all }), OK);
    assert_eq!(set(session.attrs(b"file")), (Some(4), 0o604, 4_000_000_000));
    assert_eq!(session.attrs(b"link").ac_mod_time, link.ac_mod_time);
    let handle = session.open(b"file", Pflags::READ | Pflags::WRITE).handle();
    let attrs = Attributes { size: Some(6), permissions: Some(0o640), ac_mod_time: Some((7, 8)), ..all };
    assert_eq!(session.ask(&Request::Fsetstat { handle: &handle, attrs }), OK);
    assert_eq!(set(session.attrs(b"file")), (Some(6), 0o640, 8));
    assert_eq!(session.ask(&Request::Fstat { handle: &handle }), Seen::Attrs(session.attrs(b"file")));
    // lsetstat sets a link's own, of which it has no mode and no size.
    let times = Attributes { ac_mod_time: Some((1, 2)), ..ATTRS };
    assert_eq!(session.ask(&Request::Lsetstat { path: b"link", attrs: times }), OK);
    assert_eq!(session.attrs(b"link").ac_mod_time.unwrap().1, 2);
    assert_eq!(set(session.attrs(b"file")), (Some(6), 0o640, 8));
    assert_eq!(session.ask(&Request::Lsetstat { path: b"link", attrs: MODE_ONLY }), FAILURE);
    assert_eq!(session.ask(&Request::Lsetstat { path: b"file", attrs: MODE_ONLY }), OK);
    assert_eq!(session.ask(&Request::Lsetstat { path: b"file", attrs: all }), BAD);
    assert_eq!(session.ask(&Request::Setstat { path: b"dangling", attrs: times }), MISSING);
    assert_eq!(session.ask(&Request::Setstat { path: b"file", attrs: ATTRS }), OK);
    let nobody = Attributes { uid_gid: Some((u32::MAX, u32::MAX)), ..ATTRS };
    assert_eq!(session.ask(&Request::Setstat { path: b"file", attrs: nobody }), OK);
    assert_eq!(session.attrs(b"file").uid_gid, Some((uid, gid)));
    // One thing that fails keeps nothing else from being set.
    let attrs = Attributes { size: Some(1), permissions: Some(0o755), ..ATTRS };
    fs::create_dir(place.path("root/d")).unwrap();
    assert_eq!(session.ask(&Request::Setstat { path: b"d", attrs }), FAILURE);
    assert_eq!(session.attrs(b"d").permissions, Some(0o40_755));
}

#[test]
fn names_are_moved_linked_and_removed() {
    let place = Place::new();
    fs::write(place.path("root/other"), b"other").unwrap();
    fs::create_dir(place.path("root/d")).unwrap();
    symlink("missing", place.path("root/dangling")).unwrap();
    let mut session = place.session();
    for newpath in [&b"other"[..], b"d", b"dangling"] {
        assert_eq!(session.ask(&Request::Rename { oldpath: b"file", newpath }), FAILURE);
    }
    assert_eq!(session.ask(&Request::Rename { oldpath: b"file", newpath: b"d/moved" }), OK);
    assert_eq!(session.ask(&Request::Rename { oldpath: b"file", newpath: b"new" }), MISSING);
    assert_eq!(session.ask(&Request::Rename { oldpath: b"d", newpath: b"d/below" }), BAD);
    assert_eq!(session.ask(&Request::PosixRename { oldpath: b"d/moved", newpath: b"other" }), OK);
    assert_eq!(session.read(b"other"), Seen::Data(b"0123456789".to_vec()));
    assert_eq!(session.ask(&Request::Hardlink { oldpath: b"other", newpath: b"second" }), OK);
    assert_eq!(fs::metadata(place.path("root/second")).unwrap().nlink(), 2);
    assert_eq!(session.ask(&Request::Hardlink { oldpath: b"other", newpath: b"second" }), FAILURE);
    assert_eq!(session.ask(&Request::Hardlink { oldpath: b"d", newpath: b"third" }), DENIED);
    assert_eq!(session.ask(&Request::Symlink { targetpath: b"any/where", linkpath: b"s" }), OK);
    assert_eq!(fs::read_link(place.path("root/s")).unwrap().to_str(), Some("any/where"));
    assert_eq!(session.ask(&Request::Readlink { path: b"s" }).name(), "any/where");
    assert_eq!(session.ask(&Request::Readlink { path: b"other" }), BAD);
    assert_eq!(session.ask(&Request::Remove { filename: b"d" }), FAILURE);
    assert_eq!(session.ask(&Request::Rmdir { path: b"other" }), MISSING);
    assert_eq!(session.ask(&Request::Rmdir { path: b"d" }), OK);
    assert_eq!(session.ask(&Request::Remove { filename: b"s" }), OK);
    assert_eq!(session.ask(&Request::Remove { filename: b"s" }), MISSING);
    assert_eq!(session.ask(&Request::Remove { filename: b"other/x" }), MISSING);
}

#[test]
fn a_directory_is_listed_in_parts_as_ls_lists_it() {
    let place = Place::new();
    fs::create_dir_all(place.path("root/etc")).unwrap();
    let stat = fs::metadata(place.path("root/file")).unwrap();
    fs::write(place.path("root/etc/passwd"), format!("# none\nann:x:{}:1::/home/ann:/bin/sh\n", stat.uid()))
        .unwrap();
    for n in 0..250 {
        fs::write(place.path(&format!("root/etc/{n}")), b"").unwrap();
    }
    let mut session = place.session();
    let handle = session.ask(&Request::Opendir { path: b"etc" }).handle();
    let mut all = Vec::new();
    while let Seen::Names(names) = session.ask(&Request::Readdir { handle: &handle }) {
        assert!((1..=super::super::NAMES_MAX).contains(&names.len()));
        all.extend(names.into_iter().map(|(name, ..)| name));
    }
    assert_eq!(session.ask(&Request::Readdir { handle: &handle }), EOF);
    all.sort();
    all.dedup();
    assert_eq!((all.len(), all.iter().filter(|name| is_component(name.as_bytes())).count()), (253, 251));
    fs::set_permissions(place.path("root/file"), fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(
        session.ask(&Request::Setstat {
            path: b"file",
            attrs: Attributes { ac_mod_time: Some((0, 0)), ..ATTRS }
        }),
        OK
    );
    let handle = session.ask(&Request::Opendir { path: b"/" }).handle();
    let Seen::Names(names) = session.ask(&Request::Readdir { handle: &handle }) else { panic!() };
    let (_, line, mode) = names.iter().find(|(name, ..)| name == "file").unwrap();
    let group = stat.gid().to_string();
    assert_eq!(*line, format!("-rw-r-----   1 ann      {group:<8}       10 Jan  1  1970 file"));
    assert_eq!(*mode, Some(0o100_640));
    assert_eq!(session.ask(&Request::Opendir { path: b"file" }), MISSING);
    assert_eq!(session.ask(&Request::Opendir { path: b"missing" }), MISSING);
}

#[test]
fn names_and_homes_are_those_below_the_root() {
    let place = Place::new();
    fs::create_dir_all(place.path("root/etc")).unwrap();
    fs::create_dir_all(place.path("root/home/ann")).unwrap();
    fs::write(place.path("root/etc/passwd"), "ann:x:4000000:1::/home/ann:/bin/sh\nbob:x:7\ncut").unwrap();
    fs::write(place.path("root/etc/group"), "staff:x:50:ann\n").unwrap();
    let mut service = place.service();
    service.start = b"/home".to_vec();
    let mut session = Session::new(service);
    let (uids, gids) = (PackedIds::pack(&[4_000_000, 7, 0]), PackedIds::pack(&[1, 50]));
    let request = Request::UsersGroupsById {
        uids: PackedIds::from_bytes(&uids).unwrap(),
        gids: PackedIds::from_bytes(&gids).unwrap(),
    };
    let text = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(session.ask(&request), Seen::UsersGroups(text(&["ann", "", ""]), text(&["", "staff"])));
    assert_eq!(session.ask(&Request::HomeDirectory { username: b"ann" }).name(), "/home/ann");
    assert_eq!(session.ask(&Request::HomeDirectory { username: b"bob" }), FAILURE);
    assert_eq!(session.ask(&Request::HomeDirectory { username: b"" }).name(), "/home", "where it starts");
    for (path, expected) in [
        (&b"~"[..], "/home"),
        (b"", "/home"),
        (b"~/x", "/home/x"),
        (b"~//x", "/home/x"),
        (b"~ann", "/home/ann"),
        (b"~ann/x", "/home/ann/x"),
        (b"ann/../x", "/home/x"),
        (b"/file", "/file"),
    ] {
        assert_eq!(session.ask(&Request::ExpandPath { path }).name(), expected, "{path:?}");
    }
    assert_eq!(session.ask(&Request::ExpandPath { path: b"~eve" }), MISSING);
}

#[test]
fn t97_names_that_do_not_fit_in_an_answer_are_a_failure() {
    let place = Place::new();
    fs::create_dir_all(place.path("root/etc")).unwrap();
    fs::write(place.path("root/etc/passwd"), format!("{}:x:0:0::/:\n", "a".repeat(256))).unwrap();
    let mut session = Session::new(place.service());
    let mut ask = |count: usize| {
        let uids = PackedIds::pack(&vec![0; count]);
        let uids = PackedIds::from_bytes(&uids).unwrap();
        session.ask(&Request::UsersGroupsById { uids, gids: PackedIds::default() })
    };
    let most = crate::sftp::PACKET_LEN_MAX / (4 + 256);
    assert!(matches!(ask(most - 1), Seen::UsersGroups(users, _) if users.len() == most - 1));
    assert_eq!(ask(65_000), FAILURE, "17 MB");
}

#[test]
fn t125_data_are_copied_at_the_server_but_not_within_a_file() {
    let place = Place::new();
    let length = 2 * super::super::COPY_SLICE + 3;
    let source = fs::File::create(place.path("root/large")).unwrap();
    source.set_len(length).unwrap();
    source.write_all_at(b"end", length - 3).unwrap();
    fs::hard_link(place.path("root/large"), place.path("root/same")).unwrap();
    let mut session = place.session();
    let from = session.open(b"large", Pflags::READ).handle();
    let to = session.open(b"copy", Pflags::READ | Pflags::WRITE | Pflags::CREAT).handle();
    let same = session.open(b"same", Pflags::READ | Pflags::WRITE).handle();
    let from = &from[..];
    let copy = |read_offset, read_length, write_offset| {
        move |write_handle| Request::CopyData {
            read_handle: from,
            read_offset,
            read_length,
            write_handle,
            write_offset,
        }
    };
    let contents = |name: &str| fs::read(place.path(name)).unwrap();
    assert_eq!(session.ask(&copy(0, 0, 0)(&to[..])), OK);
    assert!(contents("root/copy") == contents("root/large"));
    assert_eq!(session.ask(&copy(length - 3, 2, 1)(&to[..])), OK);
    assert_eq!(contents("root/copy")[..4], *b"\0en\0");
    assert_eq!(session.ask(&copy(length - 3, 9, 0)(&to[..])), EOF, "there are not so many");
    assert_eq!(contents("root/copy")[..4], *b"end\0");
    assert_eq!(session.ask(&copy(length, 0, 0)(&to[..])), OK);
    assert_eq!(session.ask(&copy(0, 3, 5)(&same[..])), FAILURE);
    assert_eq!(session.ask(&copy(0, 3, 5)(from)), FAILURE);
    assert_eq!(session.ask(&copy(0, u64::MAX, 0)(&to[..])), EOF);
}

#[test]
fn a_file_system_is_described() {
    let place = Place::new();
    let mut session = place.session();
    let handle = session.open(b"file", Pflags::READ).handle();
    let expected = rustix::fs::statvfs(place.path("root")).unwrap();
    for request in [Request::Statvfs { path: b"." }, Request::Fstatvfs { handle: &handle[..] }] {
        let Seen::StatVfs(seen) = session.ask(&request) else { panic!() };
        assert_eq!(
            (seen.bsize, seen.frsize, seen.blocks, seen.fsid, seen.namemax),
            (expected.f_bsize, expected.f_frsize, expected.f_blocks, expected.f_fsid, expected.f_namemax)
        );
    }
    assert_eq!(session.ask(&Request::Statvfs { path: b"missing" }), MISSING);
}
