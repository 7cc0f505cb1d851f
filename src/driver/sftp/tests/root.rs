//! Nothing leads out.

use super::*;
use rustix::fs::symlink;
use std::os::unix::fs::MetadataExt;

/// Every way to act on a thing by a path.
fn every_request<'a>(path: &'a [u8], below: &'a [u8]) -> Vec<Request<'a>> {
    let attrs = touched();
    let open = |filename, pflags| Request::Open { filename, pflags, attrs };
    let all = Pflags::READ | Pflags::WRITE | Pflags::CREAT | Pflags::TRUNC;
    vec![
        open(below, Pflags::READ),
        open(below, all),
        open(below, Pflags::WRITE | Pflags::APPEND),
        Request::Stat { path: below },
        Request::Lstat { path: below },
        Request::Setstat { path: below, attrs },
        Request::Setstat { path: below, attrs: Attributes { size: Some(3), ..attrs } },
        Request::Lsetstat { path: below, attrs },
        Request::Opendir { path },
        Request::Readlink { path: below },
        Request::Statvfs { path },
        Request::Remove { filename: below },
        Request::Rmdir { path: below },
        Request::Mkdir { path: below, attrs },
        Request::Rename { oldpath: below, newpath: b"/taken" },
        Request::Rename { oldpath: b"/file", newpath: below },
        Request::PosixRename { oldpath: below, newpath: b"/taken" },
        Request::PosixRename { oldpath: b"/file", newpath: below },
        Request::Hardlink { oldpath: below, newpath: b"/taken" },
        Request::Hardlink { oldpath: b"/file", newpath: below },
        Request::Symlink { targetpath: b"x", linkpath: below },
    ]
}

#[test]
fn t98_neither_links_nor_dots_lead_out() {
    let place = Place::new();
    let before = place.outside();
    symlink("../outside", place.path("root/relative")).unwrap();
    symlink(place.path("outside"), place.path("root/absolute")).unwrap();
    symlink("relative", place.path("root/twice")).unwrap();
    symlink("../outside/secret", place.path("root/to_the_file")).unwrap();
    symlink(place.path("outside/new"), place.path("root/to_a_new_file")).unwrap();
    symlink("/proc/self/root", place.path("root/magic")).unwrap();
    let mut session = place.session();
    let outside = place.bytes("outside");
    let up = [&b"../".repeat(40), &outside[1..]].concat();
    let dots = [b"/relative/../../..", &outside[..]].concat();
    for path in [
        &b"relative"[..],
        b"/absolute",
        b"/absolute/",
        b"./twice",
        b"../outside",
        b"/../outside",
        b"/file/../../outside",
        b"/to_the_file/..",
        b"magic",
        &up,
        &dots,
        &outside,
    ] {
        let below = [path, b"/secret"].concat();
        for request in every_request(path, &below) {
            assert_eq!(session.ask(&request), MISSING, "{request:?}");
        }
    }
    assert_eq!(session.read(b"/to_the_file"), MISSING);
    // What is made through a link is made below the root, or not at all.
    assert_eq!(session.open(b"/to_a_new_file", Pflags::WRITE | Pflags::CREAT), MISSING);
    assert_eq!(place.outside(), before);
    assert_eq!(session.read(b"file"), Seen::Data(b"0123456789".to_vec()), "and all of it is still there");
}

#[test]
fn t98_links_lead_where_they_would_after_chroot() {
    let place = Place::new();
    fs::create_dir(place.path("root/outside")).unwrap();
    fs::write(place.path("root/outside/secret"), b"of the root").unwrap();
    symlink("/outside", place.path("root/absolute")).unwrap();
    symlink("../../outside", place.path("root/relative")).unwrap();
    symlink("/outside/new", place.path("root/to_a_new_file")).unwrap();
    let mut session = place.session();
    for path in [
        &b"absolute/secret"[..],
        b"/relative/secret",
        b"/../../outside/secret",
        b"outside/../outside//secret",
    ] {
        assert_eq!(session.read(path), Seen::Data(b"of the root".to_vec()), "{path:?}");
    }
    let handle = session.open(b"/to_a_new_file", Pflags::WRITE | Pflags::CREAT).handle();
    assert_eq!(session.ask(&Request::Write { handle: &handle, offset: 0, data: b"x" }), OK);
    assert_eq!(fs::read(place.path("root/outside/new")).unwrap(), b"x");
    // A mode set through a link is its target's.
    assert_eq!(session.ask(&Request::Setstat { path: b"/absolute", attrs: touched() }), OK);
    assert_eq!(fs::metadata(place.path("root/outside")).unwrap().mode() & 0o7777, 0o600);
    assert!(!place.path("outside/new").exists());
}

#[test]
fn t98_the_parent_of_the_root_is_the_root() {
    let place = Place::new();
    fs::create_dir(place.path("root/below")).unwrap();
    let mut session = place.session();
    let attrs = session.attrs(b"/");
    for path in [&b".."[..], b"/..", b"/../..", b"below/../.."] {
        assert_eq!(session.attrs(path), attrs, "{path:?}");
        assert_eq!(session.ask(&Request::Realpath { path }).name(), "/");
    }
    let change = |mode: u32| rustix::fs::chmod(place.directory.path(), mode.into()).unwrap();
    change(0o711);
    let handle = session.ask(&Request::Opendir { path: b"/" }).handle();
    let Seen::Names(names) = session.ask(&Request::Readdir { handle: &handle }) else { panic!() };
    let (_, _, mode) = names.iter().find(|(name, ..)| name == "..").unwrap();
    assert_eq!(*mode, attrs.permissions);
    change(0o700);
}

#[test]
fn t98_names_that_are_no_names_are_not_acted_on() {
    let place = Place::new();
    let before = place.outside();
    fs::create_dir(place.path("root/d")).unwrap();
    let mut session = place.session();
    for path in [&b"/"[..], b"//", b".", b"..", b"/..", b"d/..", b"d/../..", b"d/.", b"/../", b"d/../"] {
        let attrs = Attributes::default();
        for request in [
            Request::Mkdir { path, attrs },
            Request::Rmdir { path },
            Request::Remove { filename: path },
            Request::Rename { oldpath: path, newpath: b"new" },
            Request::Rename { oldpath: b"file", newpath: path },
            Request::PosixRename { oldpath: path, newpath: b"new" },
            Request::PosixRename { oldpath: b"file", newpath: path },
            Request::Hardlink { oldpath: path, newpath: b"new" },
            Request::Hardlink { oldpath: b"file", newpath: path },
            Request::Symlink { targetpath: b"file", linkpath: path },
        ] {
            assert_eq!(session.ask(&request), FAILURE, "{request:?}");
        }
    }
    for request in [
        Request::Stat { path: b"" },
        Request::Remove { filename: b"" },
        Request::Opendir { path: b"" },
        Request::Mkdir { path: b"", attrs: Attributes::default() },
        Request::Symlink { targetpath: b"x", linkpath: b"" },
    ] {
        assert_eq!(session.ask(&request), MISSING, "{request:?}");
    }
    assert_eq!(place.outside(), before);
}

#[test]
fn a_slash_behind_a_name_says_that_it_is_a_directory() {
    let place = Place::new();
    fs::create_dir(place.path("root/d")).unwrap();
    symlink("d", place.path("root/link")).unwrap();
    let mut session = place.session();
    assert_eq!(session.ask(&Request::Mkdir { path: b"new//", attrs: MODE_ONLY }), OK);
    assert_eq!(session.ask(&Request::Rename { oldpath: b"new/", newpath: b"newer/" }), OK);
    assert_eq!(session.ask(&Request::Rmdir { path: b"newer/" }), OK);
    assert_eq!(session.ask(&Request::Remove { filename: b"file/" }), MISSING);
    assert_eq!(session.ask(&Request::Rmdir { path: b"link/" }), MISSING);
    assert_eq!(session.ask(&Request::Hardlink { oldpath: b"link/", newpath: b"new" }), MISSING);
    assert_eq!(session.ask(&Request::Hardlink { oldpath: b"file", newpath: b"new/" }), MISSING);
    assert_eq!(session.ask(&Request::Hardlink { oldpath: b"link", newpath: b"new" }), OK);
    assert_eq!(session.ask(&Request::Readlink { path: b"new" }).name(), "d", "the link got a second name");
}

#[test]
fn the_root_may_be_all_there_is() {
    let place = Place::new();
    let link = place.bytes("root/link");
    let mut session = Session::new(Service {
        root: Root::open("/".as_ref()).unwrap(),
        start: place.bytes("root"),
        read_only: false,
    });
    assert_eq!(session.read(b"file"), Seen::Data(b"0123456789".to_vec()));
    assert_eq!(session.read(b"../outside/secret"), Seen::Data(SECRET.to_vec()));
    assert_eq!(session.read(&place.bytes("outside/secret")), Seen::Data(SECRET.to_vec()));
    let request = Request::Symlink { targetpath: b"../outside", linkpath: b"link" };
    assert_eq!(session.ask(&request), OK);
    assert_eq!(session.read(&[&link[..], b"/secret"].concat()), Seen::Data(SECRET.to_vec()));
    let real = fs::canonicalize(place.path("outside")).unwrap();
    assert_eq!(session.ask(&Request::Realpath { path: b"link" }).name(), real.to_str().unwrap());
    assert_eq!(session.read(b"/proc/self/status").clone(), session.read(b"/proc/self/status"));
    assert_eq!(session.read(b"/proc/self/fd/0"), MISSING, "a link of /proc jumps anywhere");
}

#[test]
fn a_real_path_has_no_links_and_its_last_part_may_be_missing() {
    let place = Place::new();
    fs::create_dir_all(place.path("root/a/b")).unwrap();
    symlink("a/b", place.path("root/link")).unwrap();
    symlink("/a/missing", place.path("root/dangling")).unwrap();
    symlink("a", place.path("root/a/b/relative")).unwrap();
    symlink("round", place.path("root/round")).unwrap();
    let mut service = place.service();
    service.start = b"/a".to_vec();
    let mut session = Session::new(service);
    for (path, expected) in [
        (&b""[..], "/a"),
        (b".", "/a"),
        (b"b", "/a/b"),
        (b"../file", "/file"),
        (b"/", "/"),
        (b"//a//./b/", "/a/b"),
        (b"/link", "/a/b"),
        (b"/link/..", "/a"),
        (b"new", "/a/new"),
        (b"/link/new", "/a/b/new"),
        (b"/dangling", "/a/missing"),
        (b"/link/relative", "/a/b/a"),
        (b"/../../new", "/new"),
    ] {
        let text = String::from_utf8_lossy(path).into_owned();
        assert_eq!(session.ask(&Request::Realpath { path }).name(), expected, "{text}");
    }
    for path in [&b"/missing/new"[..], b"/missing/..", b"/round", b"/round/x", b"/file/x", b"/new/"] {
        assert_eq!(session.ask(&Request::Realpath { path }), MISSING, "{path:?}");
    }
}

#[test]
fn what_is_no_directory_is_no_root() {
    let place = Place::new();
    assert!(Root::open(&place.path("root/file")).is_err());
    assert!(Root::open(&place.path("missing")).is_err());
}
