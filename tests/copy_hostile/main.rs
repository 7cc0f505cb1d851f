//! `ssh-weblog-cp` against servers that lie: over real sockets, with real logins, and a file system that is made up.

mod liar;

use liar::*;
use rustix::fs::{Mode, OFlags, symlinkat};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use strombus::connection::{ChannelEvent, ChannelId, Connection, Event, Request as ChannelRequest};
use strombus::crypto::SystemRng;
use strombus::crypto::sign::PrivateKey;
use strombus::driver::{Application, Context, Driver, Error, PeerId};
use strombus::sftp::*;
use strombus::transport::{Server, ServerConfig};
use strombus::userauth::{CredentialEvent, Permissions};
use strombus::wire::DisconnectReason;
use tempfile::TempDir;

/// A place for one test: a key, the target, and what lies outside of it.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(place.path("key"))
            .status();
        assert!(made.unwrap().success());
        fs::create_dir_all(place.path("outside/target")).unwrap();
        fs::write(place.path("outside/victim"), "whole").unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn target(&self, name: &str) -> PathBuf {
        self.path("outside/target").join(name)
    }

    /// The program, with a server of these lies; the operands are to follow.
    fn command(&self, lies: &Lies) -> (Command, thread::JoinHandle<()>) {
        let listener = mio::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (held, readdirs) = (Vec::new(), Vec::new());
        let liar = Liar { lies: lies.clone(), opened: HashMap::new(), held, readdirs, asked: None };
        let thread = thread::spawn(move || {
            let mut driver = Driver::new(Serving { liar, channel: None, done: false }).unwrap();
            let keys = vec![Arc::new(PrivateKey::generate_ed25519(&mut SystemRng))];
            let config = Arc::new(ServerConfig::new(keys));
            let accept = move |_, now| {
                Connection::new(
                    Arc::clone(&config),
                    Default::default(),
                    Default::default(),
                    Box::new(SystemRng),
                    now,
                )
            };
            driver.listen(listener, Box::new(accept)).unwrap();
            driver.run().unwrap();
        });
        let mut command = Command::new(env!("CARGO_BIN_EXE_ssh-weblog-cp"));
        command.env_remove("SSH_AUTH_SOCK").args(["-F", "none", "-B", "-o", "StrictHostKeyChecking=no"]);
        command.args(["-o", "UserKnownHostsFile=/dev/null", "-P", &port.to_string(), "-i"]);
        command.arg(self.path("key")).current_dir(self.path("outside/target"));
        (command, thread)
    }

    fn run(&self, lies: &Lies, arguments: &[&str]) -> (Option<i32>, String) {
        let (mut command, thread) = self.command(lies);
        let output: Output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
        thread.join().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    /// Nothing was written beside the target.
    fn assert_untouched(&self) {
        assert_eq!(names(&self.path("outside")), ["target", "victim"]);
        assert_eq!(fs::read(self.path("outside/victim")).unwrap(), b"whole");
        assert_eq!(names(self.directory.path()), ["key", "key.pub", "outside"]);
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn tree(names: &[(&[u8], u32)]) -> Lies {
    let names = names.iter().map(|(name, mode)| (name.to_vec(), *mode)).collect();
    Lies { directories: [(b"tree".to_vec(), names)].into(), ..Lies::default() }
}

#[test]
fn t94_t122_t125_names_that_lead_elsewhere_are_named_and_nothing_is_written_outside() {
    let place = Place::new();
    let absolute = place.path("outside/absolute").into_os_string();
    let mut names_sent: Vec<(&[u8], u32)> = Vec::new();
    for mode in [FILE, DIRECTORY, LINK] {
        for name in [
            &b"../x"[..],
            b"../victim",
            b"../../x",
            absolute.as_bytes(),
            b"/",
            b"",
            b"a/b",
            b"nul\0",
            b"\0",
            b".",
            b"..",
        ] {
            names_sent.push((name, mode));
        }
    }
    names_sent.push((b"...", FILE));
    for arguments in [&["-r", "h:tree", "."], &["-r", "h:tree", "new"], &["-rp", "h:tree", "resumed"]] {
        let mut arguments: Vec<_> = arguments.iter().map(|word| word.replace("h:", "127.0.0.1:")).collect();
        if arguments[2] == "resumed" {
            arguments.insert(0, "--resume".to_owned());
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let (status, told) = place.run(&tree(&names_sent), &arguments);
        assert_eq!(status, Some(1), "{told}");
        // `.` and `..` are in every listing; each of the others is named.
        assert_eq!(told.matches("the server sent what is no name of a file").count(), 9 * 3, "{told}");
        assert!(told.contains("tree/../victim: ") && told.contains("tree/nul\\x00: "), "{told}");
        place.assert_untouched();
    }
    assert_eq!(names(&place.target("")), ["new", "resumed", "tree"]);
    for copied in ["new", "resumed", "tree"] {
        assert_eq!(names(&place.target(copied)), ["..."], "{copied}");
    }
}

#[test]
fn t94_a_glob_takes_only_what_fits_and_is_a_name() {
    let place = Place::new();
    let mut lies = tree(&[]);
    let sent = [&b"a.log"[..], b"../a.log", b"b.txt", b".hidden.log", b"x/a.log", b"/etc/a.log", b"\0.log"];
    lies.directories.insert(b"logs".to_vec(), sent.map(|name| (name.to_vec(), FILE)).into());
    let (status, told) = place.run(&lies, &["127.0.0.1:logs/*.log", "."]);
    assert_eq!(status, Some(0), "{told}");
    assert_eq!(names(&place.target("")), ["a.log"]);
    // A file of exactly this name beats the pattern.
    lies.files.insert(b"logs/*.log".to_vec(), (FILE, b"exact".to_vec()));
    let (status, told) = place.run(&lies, &["127.0.0.1:logs/*.log", "."]);
    assert_eq!(status, Some(0), "{told}");
    assert_eq!(names(&place.target("")), ["*.log", "a.log"]);
    assert_eq!(fs::read(place.target("*.log")).unwrap(), b"exact");
    place.assert_untouched();
}

#[test]
fn t94_links_here_are_not_followed_and_links_there_make_none() {
    let place = Place::new();
    fs::create_dir(place.target("tree")).unwrap();
    fs::create_dir(place.path("outside/target/inner")).unwrap();
    symlink(place.path("outside"), place.target("tree/directory")).unwrap();
    symlink(place.path("outside/victim"), place.target("tree/file")).unwrap();
    symlink(place.path("outside/new"), place.target("tree/dangling")).unwrap();
    let mut lies = tree(&[
        (b"directory", DIRECTORY),
        (b"file", FILE),
        (b"dangling", FILE),
        // First a link, then what should go through it.
        (b"link", LINK),
        (b"link", DIRECTORY),
        (b"good", FILE),
    ]);
    for below in [&b"tree/directory"[..], b"tree/link"] {
        lies.directories.insert(below.to_vec(), vec![(b"victim".to_vec(), FILE), (b"x".to_vec(), FILE)]);
    }
    let (status, told) = place.run(&lies, &["-r", "127.0.0.1:tree", "."]);
    assert_eq!(status, Some(1), "{told}");
    place.assert_untouched();
    assert_eq!(fs::read(place.target("tree/good")).unwrap(), EVIL);
    // The link of the server's was to a directory and was passed over; the directory is one.
    assert!(fs::symlink_metadata(place.target("tree/link")).unwrap().is_dir());
    assert_eq!(fs::read(place.target("tree/link/x")).unwrap(), EVIL);
    for link in ["tree/directory", "tree/file", "tree/dangling"] {
        assert!(fs::symlink_metadata(place.target(link)).unwrap().is_symlink(), "{link}");
        assert!(told.contains(&format!("ssh-weblog-cp: {link}: ")), "{link}: {told}");
    }
    // As the target that the user names, too.
    let (status, told) = place.run(&lies, &["127.0.0.1:any", "tree/file"]);
    assert_eq!(status, Some(1), "{told}");
    assert!(told.contains("here it is a symbolic link"), "{told}");
    place.assert_untouched();
}

#[test]
fn t94_links_to_directories_are_not_followed_even_if_a_listing_does_not_call_them_links() {
    let place = Place::new();
    let mut lies = tree(&[(b"loop", DIRECTORY), (b"other", FILE), (b"good", FILE)]);
    lies.directories.insert(b"tree/loop".to_vec(), vec![(b"x".to_vec(), FILE)]);
    lies.links = vec![b"tree/loop".to_vec(), b"tree/other".to_vec()];
    let (status, told) = place.run(&lies, &["-r", "127.0.0.1:tree", "."]);
    assert_eq!(status, Some(1), "{told}");
    assert!(told.contains("tree/loop: ") && !told.contains("tree/other"), "{told}");
    assert_eq!(names(&place.target("tree")), ["good", "other"]);
}

#[test]
fn t103_a_link_in_place_of_the_partial_file_or_its_note_is_not_written_through() {
    let place = Place::new();
    let data = vec![7; 100_000];
    let mut lies = tree(&[]);
    lies.files.insert(b"big".to_vec(), (FILE, data.clone()));
    let victim = place.path("outside/victim");
    for resume in [false, true] {
        symlinkat(&victim, rustix::fs::CWD, place.target(".big.part")).unwrap();
        symlinkat(&victim, rustix::fs::CWD, place.target(".big.part.meta")).unwrap();
        let arguments: &[&str] =
            if resume { &["--resume", "127.0.0.1:big", "."] } else { &["127.0.0.1:big", "."] };
        let (status, told) = place.run(&lies, arguments);
        assert_eq!(status, Some(0), "{told}");
        place.assert_untouched();
        assert_eq!(names(&place.target("")), ["big"]);
        assert_eq!(fs::read(place.target("big")).unwrap(), data);
        fs::remove_file(place.target("big")).unwrap();
    }
    // A second name of a file outside: it would be gone on with, were it a part of ours.
    fs::write(&victim, &data[..70_000]).unwrap();
    fs::hard_link(&victim, place.target(".big.part")).unwrap();
    fs::write(place.target(".big.part.meta"), "size 100000\nmtime 1100000000\n").unwrap();
    let (status, told) = place.run(&lies, &["--resume", "127.0.0.1:big", "."]);
    assert_eq!(status, Some(0), "{told}");
    assert_eq!(fs::read(&victim).unwrap(), &data[..70_000]);
    assert_eq!(fs::read(place.target("big")).unwrap(), data);
}

#[test]
fn t95_names_and_texts_of_the_server_are_shown_escaped_and_never_act() {
    let place = Place::new();
    let name = &b"\x1b[2K\rok\xc2\x9b"[..];
    let lies = tree(&[(name, FIFO), (b"\x1b]0;title\x07/", FILE)]);
    let (status, told) = place.run(&lies, &["-r", "127.0.0.1:tree", "."]);
    assert_eq!(status, Some(1));
    assert!(told.contains("tree/\\x1b[2K\\x0dok\\x9b: a FIFO is not copied\n"), "{told}");
    assert!(told.contains("tree/\\x1b]0;title\\x07/: the server sent"), "{told}");
    assert!(!told.contains(['\x1b', '\r', '\x07', '\u{9b}']), "{told:?}");
}

#[test]
fn t82_t95_what_the_server_says_at_the_end_is_one_line() {
    let place = Place::new();
    let lies = Lies { unserved: Some(Unserved::Disconnected), ..Lies::default() };
    let (status, told) = place.run(&lies, &["127.0.0.1:f", "."]);
    assert_eq!(status, Some(255), "{told}");
    let end = "the host ended the connection: bye\\x0assh-weblog-cp: 9 files copied\\x0aann@";
    assert!(told.contains(end), "{told}");
    assert!(
        !told.lines().any(|line| line.starts_with("ssh-weblog-cp: 9") || line.starts_with("ann@")),
        "{told}"
    );
}

#[test]
fn t95_progress_on_a_terminal_shows_names_escaped_and_with_q_nothing() {
    let place = Place::new();
    let name = &b"\x1b]0;title\x07\rok"[..];
    let mut lies = tree(&[(name, FILE)]);
    lies.files.insert([b"tree/", name].concat(), (FILE, vec![1; 3_000_000]));
    for quiet in [false, true] {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let path = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(path, flags, Mode::empty()).unwrap();
        let (mut command, thread) = place.command(&lies);
        command.env("TERM", "xterm").arg(if quiet { "-rq" } else { "-r" }).args(["127.0.0.1:tree", "."]);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::from(slave)).spawn().unwrap();
        drop(command);
        let mut screen = Vec::new();
        // The end of a terminal is an error.
        let _ended = File::from(terminal).read_to_end(&mut screen);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        thread.join().unwrap();
        let screen = String::from_utf8(screen).unwrap();
        if quiet {
            assert_eq!(screen, "");
        } else {
            assert!(screen.contains("\\x1b]0;title\\x07\\x0dok"), "{screen:?}");
            assert!(screen.contains("2.86 MiB"), "{screen:?}");
            assert!(!screen.contains("\x1b]0;") && !screen.contains('\x07'), "{screen:?}");
        }
    }
}

#[test]
fn t96_bits_beyond_rwx_are_never_set() {
    let place = Place::new();
    let mut lies = tree(&[(b"f", FILE)]);
    lies.files.insert(b"tree/f".to_vec(), (0o106_755, b"x".to_vec()));
    lies.files.insert(b"f".to_vec(), (0o107_777, b"x".to_vec()));
    for (arguments, name, mode) in [
        (["-rp", "127.0.0.1:tree", "kept"], "kept/f", 0o755),
        (["-r", "127.0.0.1:tree", "new"], "new/f", 0o755),
        (["-p", "127.0.0.1:f", "f"], "f", 0o777),
    ] {
        let (status, told) = place.run(&lies, &arguments);
        assert_eq!(status, Some(0), "{told}");
        let metadata = fs::metadata(place.target(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, mode, "{name}");
        assert_eq!(metadata.mtime() == 1_100_000_000, arguments[0].contains('p'), "{name}");
    }
}

#[test]
fn of_a_directory_so_many_readdirs_are_under_way_and_no_more() {
    let place = Place::new();
    let together = Arc::new(Mutex::new(0));
    let lies = Lies { together: Some(Arc::clone(&together)), ..tree(&[(b"f", FILE)]) };
    let (status, told) = place.run(&lies, &["-r", "127.0.0.1:tree", "."]);
    assert_eq!((status, names(&place.target("tree"))), (Some(0), vec!["f".to_owned()]), "{told}");
    assert_eq!(*together.lock().unwrap(), 3);
}

/// The bytes that are compared are equal, and the others show whether they were sent again.
#[test]
fn what_is_noted_at_the_server_is_read_up_to_its_bound() {
    const NOTE_LEN_MAX: usize = 128;
    let place = Place::new();
    let data: Vec<u8> = (0..2_000_000_u32).map(|n| (n % 251) as u8).collect();
    fs::write(place.target("f"), &data).unwrap();
    let mtime = fs::metadata(place.target("f")).unwrap().mtime();
    let mut part = data[..1_500_000].to_vec();
    part[100_000] ^= 1;
    let note = |zeros| format!("size {}2000000\nmtime {mtime}\n", "0".repeat(zeros)).into_bytes();
    let zeros = NOTE_LEN_MAX - note(0).len();
    for (zeros, goes_on) in [(0, true), (zeros, true), (zeros + 1, false)] {
        let written = Written::default();
        for (name, data) in [(&b"./.up.part"[..], part.clone()), (b"./.up.part.meta", note(zeros))] {
            written.lock().unwrap().insert(name.to_vec(), (0o600, data));
        }
        let lies = Lies { written: Some(Arc::clone(&written)), ..Lies::default() };
        let (status, told) = place.run(&lies, &["--resume", "f", "127.0.0.1:up"]);
        assert_eq!(status, Some(0), "{told}");
        let written = written.lock().unwrap();
        assert_eq!(written.keys().collect::<Vec<_>>(), [b"./up"]);
        assert_eq!(written[&b"./up"[..]].1 != data, goes_on, "{zeros} zeros");
    }
}

#[test]
fn a_file_is_whole_however_short_and_in_which_order_its_answers_are() {
    let place = Place::new();
    let data: Vec<u8> = (0..500_000_u32).map(|n| (n % 251) as u8).collect();
    for (short, backwards) in [(Some(1), false), (Some(1000), false), (Some(60_000), false), (None, true)] {
        let mut lies = Lies { short, backwards, ..tree(&[]) };
        let data = if short == Some(1) { &data[..20_000] } else { &data[..] };
        lies.files.insert(b"f".to_vec(), (FILE, data.to_vec()));
        let (status, told) = place.run(&lies, &["127.0.0.1:f", "f"]);
        assert_eq!(status, Some(0), "{told}");
        assert!(fs::read(place.target("f")).unwrap() == data, "{short:?} {backwards}");
        let (mut command, thread) = place.command(&lies);
        let output = command.args(["127.0.0.1:f", "-"]).output().unwrap();
        thread.join().unwrap();
        assert!(output.stdout == data, "{short:?} {backwards}: on standard output");
    }
    assert_eq!(names(&place.target("")), ["f"]);
}

#[test]
fn a_file_that_ends_before_its_size_is_named_and_not_put_in_place() {
    let place = Place::new();
    let mut lies = Lies { ends: Some(90_000), ..tree(&[]) };
    lies.files.insert(b"f".to_vec(), (FILE, vec![1; 100_000]));
    fs::write(place.target("f"), "old").unwrap();
    let (status, told) = place.run(&lies, &["127.0.0.1:f", "."]);
    assert_eq!(status, Some(1));
    assert!(told.contains("f: ended after 90000 of 100000 bytes"), "{told}");
    assert_eq!(fs::read(place.target("f")).unwrap(), b"old");
}

#[test]
fn a_file_whose_size_is_told_last_is_measured_by_it() {
    let place = Place::new();
    for (late, whole) in [(100_001, false), (100_000, true)] {
        let mut lies = Lies { late: Some(late), ..tree(&[(b"f", FILE)]) };
        lies.files.insert(b"tree/f".to_vec(), (FILE, vec![1; 100_000]));
        let (status, told) = place.run(&lies, &["-r", "127.0.0.1:tree", "."]);
        assert_eq!(status, Some(i32::from(!whole)), "{told}");
        assert_eq!(told.contains("tree/f: ended after 100000 of 100001 bytes"), !whole, "{told}");
        assert_eq!(place.target("tree/f").exists(), whole);
    }
}

#[test]
fn what_says_that_it_is_empty_is_read_even_if_an_empty_file_is_here() {
    let place = Place::new();
    let mut lies = Lies { empty: true, ..tree(&[]) };
    lies.files.insert(b"f".to_vec(), (FILE, b"as in /proc".to_vec()));
    fs::write(place.target("f"), "").unwrap();
    let (status, told) = place.run(&lies, &["--resume", "127.0.0.1:f", "."]);
    assert_eq!(status, Some(0), "{told}");
    assert_eq!(fs::read(place.target("f")).unwrap(), b"as in /proc");
}

#[test]
fn t96_a_server_without_extensions_is_written_to_too_and_gets_no_bits_beyond_rwx() {
    let place = Place::new();
    let data: Vec<u8> = (0..300_000_u32).map(|n| (n % 253) as u8).collect();
    fs::write(place.target("f"), &data).unwrap();
    fs::set_permissions(place.target("f"), fs::Permissions::from_mode(0o6751)).unwrap();
    let written = Written::default();
    // What is there, and what an earlier try has left.
    for (name, mode) in [(&b"./up"[..], 0o644), (b"./.up.part", 0o600), (b"./.up.part.meta", 0o600)] {
        written.lock().unwrap().insert(name.to_vec(), (mode, b"old".to_vec()));
    }
    let lies = Lies { written: Some(Arc::clone(&written)), ..Lies::default() };
    let (status, told) = place.run(&lies, &["-p", "f", "127.0.0.1:up"]);
    assert_eq!(status, Some(0), "{told}");
    let written = written.lock().unwrap();
    assert_eq!(written.keys().collect::<Vec<_>>(), [b"./up"]);
    let (mode, up) = &written[&b"./up"[..]];
    assert_eq!(*mode, 0o751);
    assert!(*up == data);
}

#[test]
fn a_tree_without_an_end_ends_at_the_bound() {
    let place = Place::new();
    let lies = Lies { endless: true, ..Lies::default() };
    let (status, told) = place.run(&lies, &["-r", "127.0.0.1:d", "."]);
    assert_eq!(status, Some(1));
    assert!(told.contains("more than 64 directories within each other"), "{told}");
    let deepest = (0..64).fold(place.target(""), |path, _| path.join("d"));
    assert!(deepest.is_dir() && !deepest.join("d").exists());
}

#[test]
fn directories_that_wait_are_bounded() {
    const WAITING_MAX: usize = 65_536;
    let place = Place::new();
    let lies = Lies { wide: WAITING_MAX + 500, ..Lies::default() };
    let (status, told) = place.run(&lies, &["-r", "127.0.0.1:wide", "."]);
    assert_eq!(status, Some(1));
    let mut lines = told.lines().filter(|line| line.starts_with("ssh-weblog-cp: "));
    assert_eq!(lines.next(), Some("ssh-weblog-cp: wide: more than 65536 directories wait"));
    // Those that were found before it are tried then.
    assert!(lines.clone().all(|line| line.ends_with(": permission denied")), "{told:.300}");
    assert_eq!(lines.count(), WAITING_MAX);
}

/// Were those above finished first, half of all directories would be open at a time.
#[test]
fn of_a_tree_that_branches_at_each_level_few_directories_are_open() {
    const DEEP: usize = 11;
    // A chain for each listing under way, and something to work with.
    const DESCRIPTORS: u64 = 16 * DEEP as u64 + 40;
    let place = Place::new();
    let lies = Lies { wide: 2, deep: DEEP, ..Lies::default() };
    let (mut command, thread) = place.command(&lies);
    command.args(["-r", "127.0.0.1:wide", "."]).stdin(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let limit = Rlimit { current: Some(DESCRIPTORS), maximum: Some(DESCRIPTORS) };
    prlimit(Some(Pid::from_child(&child)), Resource::Nofile, limit).unwrap();
    let output = child.wait_with_output().unwrap();
    thread.join().unwrap();
    assert_eq!(output.status.code(), Some(0), "{:.300}", String::from_utf8_lossy(&output.stderr));
    let mut level = vec![place.target("wide")];
    for depth in 1..=DEEP {
        let below = |path: PathBuf| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        level = level.into_iter().flat_map(below).collect();
        assert_eq!(level.len(), 1 << depth);
    }
}

#[test]
fn t94_a_user_s_directory_that_the_server_names_gives_no_name_here() {
    let place = Place::new();
    let mut lies = Lies { home: Some(b"/x/canary"), ..tree(&[]) };
    lies.directories.insert(b"/x/canary/.".to_vec(), vec![(b"f".to_vec(), FILE)]);
    let (status, told) = place.run(&lies, &["127.0.0.1:~ann/notes", "."]);
    assert_eq!((status, names(&place.target(""))), (Some(0), vec!["notes".to_owned()]), "{told}");
    let (status, told) = place.run(&lies, &["-r", "127.0.0.1:~ann", "."]);
    assert_eq!(names(&place.target("")), ["f", "notes"], "{told}");
    assert_eq!(status, Some(0), "{told}");
    place.assert_untouched();
}

#[test]
fn what_a_pattern_finds_is_bounded() {
    let place = Place::new();
    let lies = Lies { wide: 66_000, ..Lies::default() };
    let (status, told) = place.run(&lies, &["127.0.0.1:wide/*", "."]);
    assert_eq!(status, Some(1));
    assert!(told.contains("wide/*: more than 65536 files fit"), "{told}");
    assert!(names(&place.target("")).is_empty());
}

#[test]
fn a_name_longer_than_any_here_is_none() {
    let place = Place::new();
    let long = vec![b'x'; 256];
    let lies = tree(&[(&long, DIRECTORY), (&long[1..], FILE)]);
    let (status, told) = place.run(&lies, &["-r", "127.0.0.1:tree", "."]);
    assert_eq!(status, Some(1));
    assert!(told.contains("xx: the server sent what is no name of a file"), "{told}");
    assert_eq!(names(&place.target("tree")), ["x".repeat(255)]);
    let (status, told) = place.run(&tree(&[(&long, FILE)]), &["127.0.0.1:tree/x*", "."]);
    assert_eq!(status, Some(1), "{told}");
    assert!(told.contains("tree/x*: "), "{told}");
}

#[test]
fn a_write_that_failed_leaves_no_hole_that_a_copy_goes_on_behind() {
    let place = Place::new();
    let data: Vec<u8> = (0..1_000_000_u32).flat_map(|n| (n ^ 0x5bd1_e995).to_be_bytes()).collect();
    fs::write(place.target("f"), &data).unwrap();
    let written = Written::default();
    let lies = Lies { written: Some(Arc::clone(&written)), refused: Some(261_120), ..Lies::default() };
    let (status, told) = place.run(&lies, &["f", "127.0.0.1:up"]);
    assert_eq!(status, Some(1), "{told}");
    assert!(written.lock().unwrap().is_empty(), "{:?}", written.lock().unwrap().keys());
    let (status, told) = place.run(&Lies { refused: None, ..lies }, &["--resume", "f", "127.0.0.1:up"]);
    assert_eq!(status, Some(0), "{told}");
    assert!(written.lock().unwrap()[&b"./up"[..]].1 == data);
}

#[test]
fn a_server_that_renames_nothing_keeps_what_it_has() {
    let place = Place::new();
    fs::write(place.target("f"), "new").unwrap();
    let written = Written::default();
    written.lock().unwrap().insert(b"./up".to_vec(), (0o644, b"old".to_vec()));
    let lies = Lies { written: Some(Arc::clone(&written)), fixed: true, ..Lies::default() };
    let (status, told) = place.run(&lies, &["f", "127.0.0.1:up"]);
    assert_eq!(status, Some(1), "{told}");
    let written = written.lock().unwrap();
    // A part that is too small to be noted is not left.
    assert_eq!(*written, [(b"./up".to_vec(), (0o644, b"old".to_vec()))].into());
}

/// Its note would be about other bytes: `--resume` would go on behind those of another source.
#[test]
fn a_partial_file_that_cannot_be_replaced_keeps_its_note() {
    let place = Place::new();
    fs::write(place.target("f"), vec![1; 4 << 20]).unwrap();
    let written = Written::default();
    let old =
        [(&b"./.up.part"[..], (0o600, b"old".to_vec())), (b"./.up.part.meta", (0o600, b"old".to_vec()))];
    let old: BTreeMap<_, _> = old.map(|(name, file)| (name.to_vec(), file)).into();
    written.lock().unwrap().clone_from(&old);
    let lies = Lies { written: Some(Arc::clone(&written)), stuck: true, ..Lies::default() };
    let (status, told) = place.run(&lies, &["f", "127.0.0.1:up"]);
    assert_eq!(status, Some(1), "{told}");
    assert_eq!(*written.lock().unwrap(), old);
}

#[test]
fn a_session_that_ends_before_it_begins_ends_the_copy() {
    let place = Place::new();
    for unserved in [Unserved::Closed, Unserved::Silent] {
        let lies = Lies { unserved: Some(unserved), ..Lies::default() };
        let (status, told) = place.run(&lies, &["127.0.0.1:f", "."]);
        assert_eq!(status, Some(1), "{unserved:?}: {told}");
        assert!(told.contains("no sftp there"), "{unserved:?}: {told}");
        assert!(names(&place.target("")).is_empty());
    }
}

#[test]
fn a_signal_ends_a_copy_whose_output_nobody_reads() {
    let place = Place::new();
    for (len, signal, expected) in
        [(8 << 20, Signal::INT, 130), (8 << 20, Signal::TERM, 143), (200_000, Signal::INT, 130)]
    {
        let mut lies = tree(&[]);
        lies.files.insert(b"f".to_vec(), (FILE, vec![b'x'; len]));
        let (mut command, thread) = place.command(&lies);
        command.args(["127.0.0.1:f", "-"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0]).unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(expected), "{len}");
        drop(stdout);
        thread.join().unwrap();
    }
}

#[test]
fn a_full_disk_behind_standard_output_is_named() {
    let place = Place::new();
    for unserved in [None, Some(Unserved::Printing)] {
        let lies = Lies { unserved, ..tree(&[]) };
        let (mut command, thread) = place.command(&lies);
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = command.args(["127.0.0.1:f", "-"]).stdin(Stdio::null()).stdout(full).output().unwrap();
        thread.join().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("standard output: No space left on device"), "{told}");
    }
}

#[test]
fn what_cannot_be_written_by_cat_is_not_waited_for_to_its_end() {
    let place = Place::new();
    let lies = Lies { unserved: Some(Unserved::Endless), ..Lies::default() };
    let (command, thread) = place.command(&lies);
    // Files end at 512 KiB here.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 1024; exec \"$0\" \"$@\""]).arg(command.get_program());
    limited.args(command.get_args()).env_remove("SSH_AUTH_SOCK").current_dir(place.target(""));
    let output = limited.args(["--cat", "127.0.0.1:f", "."]).stdin(Stdio::null()).output().unwrap();
    thread.join().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("f: File too large"), "{told}");
    assert!(names(&place.target("")).is_empty());
}

#[test]
fn what_several_files_by_cat_print_is_written_one_after_the_other() {
    let place = Place::new();
    let lies = Lies { unserved: Some(Unserved::Printing), ..Lies::default() };
    let (mut command, thread) = place.command(&lies);
    let operands = ["127.0.0.1:a", "127.0.0.1:b", "127.0.0.1:c", "-"];
    let output = command.args(operands).stdin(Stdio::null()).output().unwrap();
    thread.join().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout.len(), 3 * PRINTED_LEN);
}
