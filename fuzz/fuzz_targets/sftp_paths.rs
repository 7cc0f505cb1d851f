//! Requests with arbitrary paths before a real directory: what is beside it stays as it is, and nothing of it comes back.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use strombus::driver::sftp::{AtOnce, Root, Service};
use strombus::sftp::*;

const SECRET: &[u8] = b"nobody may read this";

/// `root` is served; `outside` is not. Both are made again and again, for the fuzzer changes the first.
static PLACE: LazyLock<PathBuf> = LazyLock::new(|| {
    let place = std::env::temp_dir().join(format!("strombus-fuzz-{}", std::process::id()));
    fs::create_dir_all(place.join("outside/below")).expect("a temporary directory");
    fs::write(place.join("outside/secret"), SECRET).expect("a file");
    place
});

fn outside(directory: &Path, all: &mut Vec<String>) {
    let mut entries: Vec<_> =
        fs::read_dir(directory).expect("it is there").flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        let about = path.symlink_metadata().expect("it is there");
        let facts = (about.permissions(), about.modified().ok(), about.len());
        all.push(format!("{path:?} {facts:?} {:?}", fs::read(&path).ok()));
        if about.is_dir() {
            outside(&path, all);
        }
    }
}

/// The root as it is at first, with links that try to lead out.
fn fresh_root() -> PathBuf {
    let root = PLACE.join("root");
    let _gone = fs::remove_dir_all(&root);
    fs::create_dir_all(root.join("d/e")).expect("a directory");
    fs::write(root.join("f"), b"file").expect("a file");
    symlink("../outside", root.join("l")).expect("a link");
    symlink(PLACE.join("outside"), root.join("a")).expect("a link");
    symlink("../../outside/secret", root.join("d/s")).expect("a link");
    symlink("/proc/self/root", root.join("p")).expect("a link");
    root
}

/// Parts of paths, which bytes choose; some stand for themselves.
fn path(input: &mut &[u8]) -> Vec<u8> {
    const PARTS: [&[u8]; 15] = [
        b"/", b"..", b"/../", b".", b"l", b"a", b"d", b"e", b"f", b"s", b"p", b"secret", b"outside",
        b"below", b"new",
    ];
    let Some((count, rest)) = input.split_first() else { return Vec::new() };
    let (choices, rest) = rest.split_at(usize::from(count % 12).min(rest.len()));
    *input = rest;
    let mut path = Vec::new();
    for choice in choices {
        match choice {
            0..240 => path.extend_from_slice(PARTS[usize::from(*choice) % PARTS.len()]),
            240..248 => path.extend_from_slice(PLACE.join("outside").as_os_str().as_encoded_bytes()),
            _ => path.push(*choice),
        }
    }
    path
}

fn request<'b>(what: u8, one: &'b [u8], two: &'b [u8], handle: &'b [u8]) -> Request<'b> {
    let attrs = Attributes {
        size: (what & 0x40 != 0).then_some(3),
        permissions: Some(0o700 + u32::from(what)),
        ac_mod_time: (what & 0x80 != 0).then_some((1, 2)),
        ..Attributes::default()
    };
    match what % 22 {
        0 => Request::Open { filename: one, pflags: Pflags::READ, attrs },
        1 => Request::Open { filename: one, pflags: Pflags(0x1b), attrs },
        2 => Request::Open { filename: one, pflags: Pflags(0x3b), attrs },
        3 => Request::Read { handle, offset: 0, len: 100 },
        4 => Request::Write { handle, offset: 1, data: two },
        5 => Request::Stat { path: one },
        6 => Request::Lstat { path: one },
        7 => Request::Setstat { path: one, attrs },
        8 => Request::Lsetstat { path: one, attrs },
        9 => Request::Opendir { path: one },
        10 => Request::Readdir { handle },
        11 => Request::Remove { filename: one },
        12 => Request::Mkdir { path: one, attrs },
        13 => Request::Rmdir { path: one },
        14 => Request::Realpath { path: one },
        15 => Request::Rename { oldpath: one, newpath: two },
        16 => Request::PosixRename { oldpath: one, newpath: two },
        17 => Request::Hardlink { oldpath: one, newpath: two },
        18 => Request::Symlink { targetpath: one, linkpath: two },
        19 => Request::Readlink { path: one },
        20 => Request::ExpandPath { path: one },
        _ => Request::Close { handle },
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut before = Vec::new();
    outside(&PLACE.join("outside"), &mut before);
    let root = Root::open(&fresh_root()).expect("it is there");
    let mut session = AtOnce::new(Arc::new(Service { root, start: b"/".to_vec(), read_only: false }));
    let (mut up, mut server) = (
        Reassembly::new(),
        SftpServer::new(ServerLimits { extensions: Extension::ALL.to_vec(), handles: 8, in_flight: 1 }),
    );
    server.serve(&mut session, &mut up, b"\0\0\0\x05\x01\0\0\0\x03").expect("INIT");
    let (mut input, mut handle) = (bytes, Vec::new());
    while let Some((what, rest)) = input.split_first() {
        input = rest;
        server.consume_output(usize::MAX);
        let (one, two, mut packet) = (path(&mut input), path(&mut input), Vec::new());
        request(*what, &one, &two, &handle).encode(7, &mut packet);
        server.serve(&mut session, &mut up, &packet).expect("it is a request");
        let answer = server.output();
        assert!(!answer.windows(SECRET.len()).any(|part| part == SECRET), "it was read");
        if let [_, _, _, _, 102, _, _, _, _, _, _, _, _, opened @ ..] = answer {
            handle = opened.to_vec();
        }
    }
    let mut after = Vec::new();
    outside(&PLACE.join("outside"), &mut after);
    assert_eq!(before, after);
});
