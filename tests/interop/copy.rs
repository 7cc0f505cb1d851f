//! `ssh-weblog-cp` with OpenSSH's servers.

use super::openssh::{Files, Generation, Running, Server, is_long, ours, run, sshd, user};
use rustix::process::Signal;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// A server with sftp, and a directory for either side.
struct Place {
    files: Files,
    server: Server,
}

impl Place {
    fn new(generation: Generation) -> Self {
        Self::with(generation, &["Subsystem sftp internal-sftp"])
    }

    fn with(generation: Generation, lines: &[&str]) -> Self {
        let files = Files::new();
        let server = sshd(generation, &files, lines);
        for side in ["here", "there"] {
            fs::create_dir(files.path(side)).unwrap();
        }
        Self { files, server }
    }

    fn here(&self, name: &str) -> PathBuf {
        self.files.path("here").join(name)
    }

    fn there(&self, name: &str) -> PathBuf {
        self.files.path("there").join(name)
    }

    /// A path at the server.
    fn remote(&self, name: &str) -> String {
        format!("{}@127.0.0.1:{}", user(), self.there(name).display())
    }

    /// The program, working in `here`.
    fn command(&self) -> Command {
        self.command_at(self.server.port)
    }

    fn command_at(&self, port: u16) -> Command {
        let mut command = ours("ssh-weblog-cp");
        command.args(["-F", "none", "-B", "-P", &port.to_string(), "-i", &self.files.text("user_key")]);
        command.args(["-o", &format!("UserKnownHostsFile={}", self.files.known_hosts(port))]);
        command.env_remove("SSH_AUTH_SOCK").current_dir(self.files.path("here"));
        command
    }

    /// Runs it; its status, and what it said.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        ended(self.command().args(arguments))
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) {
        let (status, told) = self.run(arguments);
        assert_eq!(status, Some(0), "{arguments:?}: {told}");
    }
}

fn ended(command: &mut Command) -> (Option<i32>, String) {
    let output = run(command, b"");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Bytes that do not repeat.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Every file with its path, mode and bytes.
fn contents(directory: &Path) -> Vec<(Vec<u8>, u32, Vec<u8>)> {
    let mut all = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::metadata(&path).unwrap();
            let name = path.strip_prefix(directory).unwrap().as_os_str().as_bytes().to_vec();
            let mode = metadata.permissions().mode() & 0o7777;
            if metadata.is_dir() {
                all.push((name, mode, Vec::new()));
                directories.push(path);
            } else {
                all.push((name, mode, fs::read(&path).unwrap()));
            }
        }
    }
    all.sort();
    all
}

#[test]
fn files_empty_small_and_large_arrive_whole_both_ways() {
    for generation in Generation::ALL {
        let place = Place::new(generation);
        let large = if is_long() { 300 << 20 } else { 20 << 20 };
        for (name, len) in [("empty", 0), ("one", 1), ("block", 261_120), ("large", large + 7)] {
            let data = noise(len);
            fs::write(place.there(name), &data).unwrap();
            place.ok(&[&place.remote(name), "down"]);
            assert!(fs::read(place.here("down")).unwrap() == data, "{generation:?} {name} down");
            place.ok(&["down", &place.remote("up")]);
            assert!(fs::read(place.there("up")).unwrap() == data, "{generation:?} {name} up");
            let output = run(place.command().args(["-q", &place.remote(name), "-"]), b"");
            assert!(output.stdout == data, "{generation:?} {name} to standard output");
        }
        assert_eq!(names(&place.here("")), ["down"]);
        assert_eq!(names(&place.there("")), ["block", "empty", "large", "one", "up"]);
        // What has no size, as in /proc.
        place.ok(&[&format!("{}@127.0.0.1:/proc/version", user()), "."]);
        assert_eq!(fs::read(place.here("version")).unwrap(), fs::read("/proc/version").unwrap());
    }
}

const ODD: [&[u8]; 11] = [
    b"a b",
    b"two\nlines",
    b"caf\xe9",
    b"-r",
    b"it's",
    b"\"quoted\"",
    b"$(id)`id`",
    b"*?[x]",
    b"back\\slash",
    b"h:x",
    b"\x1b[2Kok",
];

#[test]
fn trees_with_odd_names_arrive_as_they_are_both_ways() {
    for generation in Generation::ALL {
        let place = Place::new(generation);
        let source = place.there("tree");
        for (n, name) in ODD.iter().enumerate() {
            let directory = source.join(OsStr::from_bytes(name));
            fs::create_dir_all(directory.join("empty")).unwrap();
            let file = directory.join(OsStr::from_bytes(name));
            fs::write(&file, noise(n * 1000)).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600 + n as u32 % 8)).unwrap();
            fs::set_permissions(&directory, fs::Permissions::from_mode(0o500)).unwrap();
        }
        symlink("a b/a b", source.join("link")).unwrap();
        place.ok(&["-rp", &place.remote("tree"), "."]);
        assert_eq!(contents(&place.here("tree")), contents(&source), "{generation:?}");
        place.ok(&["-r", "-p", "tree", &place.remote("back")]);
        assert_eq!(contents(&place.there("back")), contents(&source), "{generation:?}");
        // Into what is there, and into itself by a dot.
        fs::create_dir(place.there("into")).unwrap();
        place.ok(&["-rp", "tree", &place.remote("into")]);
        assert_eq!(contents(&place.there("into/tree")), contents(&source), "{generation:?}");
        place.ok(&["-rp", "tree/.", &place.remote("into")]);
        assert!(place.there("into/link").is_file(), "{generation:?}");
        // Each by its name.
        for name in ODD {
            let mut remote = place.remote("tree/").into_bytes();
            remote.extend([name, b"/", name].concat());
            let mut command = place.command();
            let (status, told) = ended(command.args([OsStr::from_bytes(&remote), OsStr::new("one")]));
            assert_eq!(status, Some(0), "{}: {told}", name.escape_ascii());
            let own = source.join(OsStr::from_bytes(name)).join(OsStr::from_bytes(name));
            assert_eq!(fs::read(place.here("one")).unwrap(), fs::read(own).unwrap());
        }
    }
}

#[test]
fn modes_and_times_are_kept_with_p_and_masked_without() {
    for generation in Generation::ALL {
        let place = Place::new(generation);
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            let file = fs::File::open(path).unwrap();
            let at = |seconds| std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            file.set_times(
                fs::FileTimes::new().set_accessed(at(1_000_000_000)).set_modified(at(1_100_000_000)),
            )
            .unwrap();
        };
        fs::create_dir(place.there("d")).unwrap();
        fs::write(place.there("d/f"), "x").unwrap();
        set(&place.there("d/f"), 0o6757);
        set(&place.there("d"), 0o775);
        place.ok(&["-rp", &place.remote("d"), "kept"]);
        place.ok(&["-r", &place.remote("d"), "new"]);
        let fact = |path: PathBuf| {
            let metadata = fs::metadata(path).unwrap();
            let times = [metadata.atime() == 1_000_000_000, metadata.mtime() == 1_100_000_000];
            (metadata.permissions().mode() & 0o7777, times)
        };
        let (kept, now) = ([true; 2], [false; 2]);
        assert_eq!((fact(place.here("kept")), fact(place.here("kept/f"))), ((0o775, kept), (0o757, kept)));
        assert_eq!((fact(place.here("new")), fact(place.here("new/f"))), ((0o755, now), (0o755, now)));
        set(&place.here("kept/f"), 0o6757);
        set(&place.here("kept"), 0o775);
        place.ok(&["-rp", "kept", &place.remote("up")]);
        place.ok(&["-r", "kept", &place.remote("up-new")]);
        assert_eq!((fact(place.there("up")), fact(place.there("up/f"))), ((0o775, kept), (0o757, kept)));
        assert_eq!(
            (fact(place.there("up-new")), fact(place.there("up-new/f"))),
            ((0o755, now), (0o755, now))
        );
    }
}

#[test]
fn patterns_are_expanded_there_and_an_exact_name_comes_first() {
    for generation in Generation::ALL {
        let place = Place::new(generation);
        for name in ["a.log", "b.log", "c.txt", ".h.log", "[x]", "x"] {
            fs::create_dir_all(place.there("one")).unwrap();
            fs::write(place.there("one").join(name), name).unwrap();
        }
        place.ok(&[&place.remote("*/*.log"), "."]);
        assert_eq!(names(&place.here("")), ["a.log", "b.log"]);
        place.ok(&[&place.remote("one/[x]"), "."]);
        assert_eq!(fs::read(place.here("[x]")).unwrap(), b"[x]");
        place.ok(&[&place.remote("one/?.txt"), "single"]);
        assert_eq!(fs::read(place.here("single")).unwrap(), b"c.txt");
        let output = run(place.command().args(["-q", &place.remote("one/*.log"), "-"]), b"");
        assert_eq!(output.stdout, b"a.logb.log");
        let (status, told) = place.run(&[&place.remote("one/*.none"), "."]);
        assert_eq!(status, Some(1), "{told}");
        assert!(told.contains("*.none: no such file or directory"), "{told}");
        assert_eq!(place.run(&[&place.remote("one/*.log"), "single"]).0, Some(2));
    }
}

#[test]
fn a_host_without_sftp_is_copied_from_and_to_by_cat() {
    for generation in Generation::ALL {
        // One that has no such subsystem, one whose program is missing, one where it was asked for.
        let nowhere = ["Subsystem sftp /nowhere/sftp-server"];
        for (lines, cat) in
            [(&[][..], false), (&nowhere[..], false), (&["Subsystem sftp internal-sftp"][..], true)]
        {
            let place = Place::with(generation, lines);
            let data = noise(3 << 20);
            fs::write(place.there("it's; a $(name)"), &data).unwrap();
            let remote = place.remote("it's; a $(name)");
            let with = |arguments: &[&str]| {
                let mut all = if cat { vec!["--cat"] } else { vec![] };
                all.extend(arguments);
                let (status, told) = place.run(&all);
                assert_eq!(told.contains("no sftp there; copying by cat instead"), !cat, "{told}");
                (status, told)
            };
            assert_eq!(with(&[&remote, "."]).0, Some(0));
            assert!(fs::read(place.here("it's; a $(name)")).unwrap() == data);
            assert_eq!(with(&["it's; a $(name)", &place.remote("up it's")]).0, Some(0));
            assert!(fs::read(place.there("up it's")).unwrap() == data);
            let mut command = place.command();
            command.args(if cat { &["--cat", "-q"][..] } else { &["-q"] }).args([&remote, "-"]);
            assert!(run(&mut command, b"").stdout == data);
            let (status, told) = with(&[&place.remote("missing"), "x"]);
            assert_eq!(status, Some(1), "{told}");
            assert!(told.contains("missing: cat ended with status"), "{told}");
            assert_eq!(names(&place.here("")), ["it's; a $(name)"]);
            if !cat {
                assert_eq!(place.run(&["-r", &place.remote(""), "x"]).0, Some(1));
                fs::write(place.there("two"), "2").unwrap();
                assert_eq!(with(&[&remote, &place.remote("two"), "."]).0, Some(0));
                assert_eq!(fs::read(place.here("two")).unwrap(), b"2");
            }
        }
    }
}

/// Stands between the program and the server, counts what comes down and goes up, and cuts at a count.
struct Wire {
    port: u16,
    down: Arc<AtomicU64>,
    up: Arc<AtomicU64>,
}

impl Wire {
    fn new(server: u16, cut_down: u64, cut_up: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (down, up) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let counts = (Arc::clone(&down), Arc::clone(&up));
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let (client2, server2) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (down, up) = (Arc::clone(&counts.0), Arc::clone(&counts.1));
                thread::spawn(move || carry(server2, client2, &down, cut_down));
                thread::spawn(move || carry(client, server, &up, cut_up));
            }
        });
        Self { port, down, up }
    }

    fn counted(&self) -> (u64, u64) {
        (self.down.load(Ordering::SeqCst), self.up.load(Ordering::SeqCst))
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64, cut: u64) {
    let mut bytes = vec![0; 65_536];
    while let Ok(n @ 1..) = from.read(&mut bytes) {
        let sum = count.fetch_add(n as u64, Ordering::SeqCst) + n as u64;
        if sum > cut || to.write_all(&bytes[..n]).is_err() {
            let _gone = from.shutdown(Shutdown::Both);
            break;
        }
    }
    let _gone = to.shutdown(Shutdown::Both);
}

const MIB: u64 = 1 << 20;

#[test]
fn a_copy_that_was_cut_off_goes_on_and_only_the_rest_is_sent() {
    for generation in Generation::ALL {
        let place = Place::new(generation);
        let data = noise(24 << 20);
        fs::write(place.there("down"), &data).unwrap();
        fs::write(place.here("up"), &data).unwrap();
        for is_up in [false, true] {
            let remote = if is_up { place.remote("up") } else { place.remote("down") };
            let operands: &[&str] = if is_up { &["up", &remote] } else { &[&remote, "."] };
            let (folder, name) = if is_up { ("there", "up") } else { ("here", "down") };
            let target = |name: &str| place.files.path(folder).join(name);
            let (part, note) = (target(&format!(".{name}.part")), target(&format!(".{name}.part.meta")));
            let cut = Wire::new(place.server.port, 14 * MIB, 14 * MIB);
            let (status, told) = ended(place.command_at(cut.port).args(operands));
            assert_eq!(status, Some(255), "{told}");
            assert!(told.contains("--resume goes on"), "{told}");
            assert!(!target(name).exists(), "nothing is in place that is not whole");
            assert!(note.exists());
            let have = wait_for_end(&part);
            assert!(have > 4 * MIB && have < 15 * MIB, "{generation:?} {folder}: {have}");
            let rest = data.len() as u64 - have;

            let whole = Wire::new(place.server.port, u64::MAX, u64::MAX);
            let (status, told) = ended(place.command_at(whole.port).args(["--resume", "-v"]).args(operands));
            assert_eq!(status, Some(0), "{told}");
            assert!(told.contains(&format!("goes on at {have} of {} bytes", data.len())), "{told}");
            assert!(fs::read(target(name)).unwrap() == data, "{generation:?} {folder}");
            assert!(!part.exists() && !note.exists());
            let (down, up) = whole.counted();
            // What is compared comes down: 64 KiB and 1 MiB.
            let (down, up) =
                if is_up { (down, up.saturating_sub(rest)) } else { (down.saturating_sub(rest), up) };
            assert!(down < 3 * MIB / 2 && up < MIB / 2, "{generation:?} {folder}: {down} {up}");

            // What is there already is left.
            let again = Wire::new(place.server.port, u64::MAX, u64::MAX);
            let inode = fs::metadata(target(name)).unwrap().ino();
            let (status, told) = ended(place.command_at(again.port).args(["--resume", "-v"]).args(operands));
            assert_eq!(status, Some(0), "{told}");
            assert!(told.contains("is there already"), "{told}");
            assert!(again.counted().0 < 3 * MIB / 2 && again.counted().1 < MIB / 2);
            assert_eq!(fs::metadata(target(name)).unwrap().ino(), inode);
        }
    }
}

/// Files of a tree but for the large one.
const SMALL: usize = 300;

#[test]
fn a_tree_that_was_cut_off_goes_on_and_only_the_rest_is_sent() {
    for generation in Generation::ALL {
        let place = Place::new(generation);
        let make = |tree: PathBuf| {
            // Half of the small ones come before the large one, half behind it.
            for n in 0..SMALL {
                let directory = if n % 2 == 0 { tree.clone() } else { tree.join(format!("below/{}", n % 7)) };
                fs::create_dir_all(&directory).unwrap();
                fs::write(directory.join(format!("f{n}")), noise(10 * n + 1)).unwrap();
            }
            fs::write(tree.join("below/large"), noise(16 << 20)).unwrap();
        };
        make(place.there("down"));
        make(place.here("up"));
        for is_up in [false, true] {
            let remote = place.remote(if is_up { "" } else { "down" });
            let operands: &[&str] = if is_up { &["-r", "up", &remote] } else { &["-r", &remote, "."] };
            let (source, target) = if is_up {
                (place.here("up"), place.there("up"))
            } else {
                (place.there("down"), place.here("down"))
            };
            let cut = Wire::new(place.server.port, 10 * MIB, 10 * MIB);
            let (status, told) = ended(place.command_at(cut.port).args(operands));
            assert_eq!(status, Some(255), "{told}");
            assert!(!target.join("below/large").exists(), "{generation:?} {is_up}: it was cut before");
            wait_for_end(&target.join("below/.large.part"));
            let bytes = |tree: &Path| contents(tree).iter().map(|file| file.2.len() as u64).sum::<u64>();
            let (all, have) = (bytes(&source), bytes(&target));
            assert!(have > 4 * MIB && have < 11 * MIB, "{generation:?} {is_up}: {have}");

            let whole = Wire::new(place.server.port, u64::MAX, u64::MAX);
            let (status, told) = ended(place.command_at(whole.port).args(["--resume", "-v"]).args(operands));
            assert_eq!(status, Some(0), "{told}");
            assert!(told.contains("large: goes on at"), "{told}");
            assert!(told.matches("is there already").count() > SMALL / 4, "{told}");
            assert!(contents(&target) == contents(&source), "{generation:?} {is_up}");
            // What is compared comes down: 64 KiB and 1 MiB of each file at most.
            let (down, up) = whole.counted();
            let rest = all.saturating_sub(have);
            let (down, up) =
                if is_up { (down, up.saturating_sub(rest)) } else { (down.saturating_sub(rest), up) };
            println!(
                "figure: {generation:?} {is_up}: {have} of {all} were there; {down} and {up} bytes more than the rest"
            );
            assert!(down < 3 * MIB && up < MIB, "{generation:?} {is_up}: {down} {up}");
        }
    }
}

#[test]
fn of_an_uploaded_tree_links_arrive_as_files_and_what_is_not_copied_is_named() {
    for generation in Generation::ALL {
        let place = Place::new(generation);
        fs::create_dir_all(place.here("tree/d")).unwrap();
        fs::write(place.here("tree/d/file"), "file").unwrap();
        symlink("d/file", place.here("tree/link")).unwrap();
        symlink("d", place.here("tree/other")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, place.here("tree/d/fifo"), rustix::fs::Mode::RWXU).unwrap();
        let (status, told) = place.run(&["-r", "tree", &place.remote("")]);
        assert_eq!(status, Some(1), "{generation:?}: {told}");
        for text in [
            "tree/other: a symbolic link to a directory is not followed",
            "tree/d/fifo: a FIFO is not copied",
        ] {
            assert!(told.contains(text), "{generation:?} {text}: {told}");
        }
        assert!(fs::symlink_metadata(place.there("tree/link")).unwrap().is_file(), "{generation:?}");
        assert_eq!(fs::read(place.there("tree/link")).unwrap(), b"file");
        assert_eq!(names(&place.there("tree")), ["d", "link"]);
        assert_eq!(names(&place.there("tree/d")), ["file"]);
    }
}

/// The length of a file once the server's process, whose connection is gone, has ended with it.
fn wait_for_end(part: &Path) -> u64 {
    let (mut last, mut same) = (0, 0);
    let (_never, tick) = std::sync::mpsc::channel::<()>();
    while same < 10 {
        let now = fs::metadata(part).unwrap().len();
        same = if now == last { same + 1 } else { 0 };
        last = now;
        let _tick = tick.recv_timeout(std::time::Duration::from_millis(20));
    }
    last
}

#[test]
fn a_copy_that_was_killed_goes_on_unless_the_source_is_another() {
    let place = Place::new(Generation::Trixie);
    let mut data = noise(8 << 20);
    fs::write(place.there("f"), &data).unwrap();
    let part = place.here(".f.part");
    for (signal, expected) in [(Signal::KILL, None), (Signal::INT, Some(130)), (Signal::TERM, Some(143))] {
        let mut command = place.command();
        // Slow, so that the signal comes in the middle.
        command.args(["-l", "40000", &place.remote("f"), "."]).stdin(Stdio::null());
        let mut running = Running::start(&mut command);
        let (_never, tick) = std::sync::mpsc::channel::<()>();
        while fs::metadata(&part).map_or(0, |metadata| metadata.len()) < 200_000 {
            let _tick = tick.recv_timeout(std::time::Duration::from_millis(5));
        }
        running.signal(signal);
        assert_eq!(running.wait().code(), expected, "{}", running.log());
        let have = fs::metadata(&part).unwrap().len();
        assert!(have < data.len() as u64 && !place.here("f").exists());
        assert!(fs::read(&part).unwrap() == data[..have as usize], "a part has no holes");
        let (status, told) = place.run(&["--resume", "-v", &place.remote("f"), "."]);
        assert_eq!(status, Some(0), "{told}");
        assert!(told.contains(&format!("goes on at {have} of")), "{told}");
        assert!(fs::read(place.here("f")).unwrap() == data);
        fs::remove_file(place.here("f")).unwrap();
    }
    // Another size, another time, other bytes at the beginning, others before the end of the part.
    let half = data.len() / 2;
    let modified = fs::metadata(place.there("f")).unwrap().mtime();
    let source = |size: usize, mtime: i64| format!("size {size}\nmtime {mtime}\n");
    for (noted, wrong_at) in [
        (source(data.len(), modified), None),
        (source(data.len() + 1, modified), None),
        (source(data.len(), modified - 1), None),
        (source(data.len(), modified), Some(100)),
        (source(data.len(), modified), Some(half - 1)),
        ("nonsense".to_owned(), None),
    ] {
        let mut left = data[..half].to_vec();
        if let Some(at) = wrong_at {
            left[at] ^= 1;
        }
        fs::write(&part, &left).unwrap();
        fs::write(place.here(".f.part.meta"), &noted).unwrap();
        let (status, told) = place.run(&["--resume", "-v", &place.remote("f"), "."]);
        assert_eq!(status, Some(0), "{told}");
        let goes_on = noted == source(data.len(), modified) && wrong_at.is_none();
        assert_eq!(told.contains("goes on at"), goes_on, "{noted} {wrong_at:?}: {told}");
        assert!(fs::read(place.here("f")).unwrap() == data);
        assert_eq!(names(&place.here("")), ["f"]);
        fs::remove_file(place.here("f")).unwrap();
    }
    // Of the same size, but another one at its end.
    fs::write(place.here("f"), &data).unwrap();
    *data.last_mut().unwrap() ^= 1;
    fs::write(place.there("f"), &data).unwrap();
    place.ok(&["--resume", &place.remote("f"), "."]);
    assert!(fs::read(place.here("f")).unwrap() == data);
}

#[test]
fn many_small_files_arrive_whole_both_ways() {
    let count = if is_long() { 10_000 } else { 1000 };
    for generation in Generation::ALL {
        let place = Place::new(generation);
        for n in 0..count {
            let directory = place.there(&format!("tree/{}", n % 37));
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join(format!("f{n}")), format!("{n}\n").repeat(n % 50)).unwrap();
        }
        place.ok(&["-r", &place.remote("tree"), "tree"]);
        assert_eq!(contents(&place.here("tree")), contents(&place.there("tree")), "{generation:?}");
        place.ok(&["-r", "tree", &place.remote("back")]);
        assert_eq!(contents(&place.there("back")), contents(&place.there("tree")), "{generation:?}");
        println!("figure: {generation:?}: {count} files both ways");
    }
}

#[test]
fn statuses_tell_what_went_wrong_and_each_file_is_named() {
    let place = Place::new(Generation::Bookworm);
    fs::write(place.there("good"), "good").unwrap();
    fs::create_dir(place.there("d")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, place.there("fifo"), rustix::fs::Mode::RWXU).unwrap();
    let remote = |name| place.remote(name);
    let (status, told) = place.run(&[&remote("good"), &remote("no\x1b"), &remote("d"), &remote("fifo"), "."]);
    assert_eq!(status, Some(1), "{told}");
    for text in
        ["no\\x1b: no such file or directory", "/d: is a directory; -r", "/fifo: a FIFO is not copied"]
    {
        assert!(told.contains(text), "{text}: {told}");
    }
    assert_eq!(names(&place.here("")), ["good"]);
    let (status, told) = place.run(&["good", "missing", &remote("d")]);
    assert_eq!(status, Some(1), "{told}");
    assert!(told.contains("missing: No such file or directory"), "{told}");
    assert_eq!(names(&place.there("d")), ["good"]);
    let (status, told) = place.run(&["good", &remote("missing/good")]);
    assert_eq!(status, Some(1), "{told}");
    assert!(told.contains("missing/good there: no such file or directory"), "{told}");
    // What is no file is not replaced.
    let (status, told) = place.run(&["good", &remote("fifo")]);
    assert_eq!((status, told.contains("there it is a FIFO")), (Some(1), true), "{told}");
    assert_eq!(names(&place.there("")), ["d", "fifo", "good"]);

    for wrong in [
        &["a", "b"][..],
        &["h:a"],
        &[],
        &["h:a", "h:b"],
        &["a", "h:b", "."],
        &["-r", "--cat", "h:a", "."],
        &["--cat", "h:a", "h:b", "."],
        &["-r", "h:a", "-"],
        &["--no-such-option", "h:a", "."],
        &["-o", "Nonsense=1", "h:a", "."],
        &["-l", "0", "h:a", "."],
        &["h:a", "h:b", "/dev/null"],
        &["h:a", "missing/"],
        &["ssh://h:x/a", "."],
    ] {
        assert_eq!(ended(ours("ssh-weblog-cp").args(wrong)).0, Some(2), "{wrong:?}");
    }
    let unknown = ended(ours("ssh-weblog-cp").args(["-o", "Nonsense=1", "h:a", "."])).1;
    assert!(unknown.contains("Nonsense") && unknown.contains("--help"), "{unknown}");
    assert_eq!(place.run(&["good", "good", &remote("missing")]).0, Some(2));
    assert_eq!(place.run(&["good", &remote("missing/")]).0, Some(2));
    for good in [&["--help"][..], &["--version"], &["-V"]] {
        assert_eq!(ended(ours("ssh-weblog-cp").args(good)).0, Some(0), "{good:?}");
    }
    assert_eq!(ended(place.command_at(1).args(["h@127.0.0.1:x", "."])).0, Some(255));

    // Nobody reads standard output any more.
    fs::write(place.there("big"), noise(8 << 20)).unwrap();
    let mut command = place.command();
    command.args(["-q", &remote("big"), "-"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut running = Running::start(&mut command);
    drop(running.child.stdout.take());
    assert_eq!(running.wait().code(), Some(141));
    assert_eq!(running.log(), "");
}

#[test]
fn a_target_that_cannot_be_written_is_no_bad_argument_and_one_that_is_no_directory_is() {
    let place = Place::new(Generation::Trixie);
    fs::write(place.there("f"), "f").unwrap();
    fs::write(place.here("f"), "f").unwrap();
    let (remote, lacking) = (place.remote("f"), place.remote("none/x"));
    let cases = [
        (vec![remote.as_str(), "none/x"], 1, "none: "),
        (vec!["f", &lacking], 1, "none/x there: "),
        (vec![&remote, "none/"], 2, "not a directory"),
        (vec![&remote, &remote, "none"], 2, "not a directory"),
        (vec!["f", "f", &lacking], 2, "not a directory"),
    ];
    for (arguments, status, words) in cases {
        let (ended, told) = place.run(&arguments);
        assert_eq!(ended, Some(status), "{arguments:?}: {told}");
        assert!(told.contains(words), "{arguments:?}: {told}");
    }
}

#[test]
fn what_a_host_says_no_more_of_than_failure_is_told_with_what_to_look_at() {
    for generation in Generation::ALL {
        let files = Files::new();
        let server = generation.program("sftp-server");
        // A disk that is full after 8 KiB.
        let small = format!("trap '' XFSZ; ulimit -f 8; exec {}", server.display());
        let place =
            Place::with(generation, &[&format!("Subsystem sftp sh {}", files.write("small", &small))]);
        fs::write(place.here("big"), noise(1 << 20)).unwrap();
        let (status, told) = place.run(&["big", &place.remote("")]);
        assert_eq!(status, Some(1), "{told}");
        let expected = "big: the host says only \"Failure\"; look at its disk and at DST\n";
        assert!(told.contains(expected), "{told}");
        // Where the host has a file, a directory can't be.
        fs::create_dir_all(place.here("tree/sub")).unwrap();
        fs::create_dir(place.there("tree")).unwrap();
        fs::write(place.there("tree/sub"), "").unwrap();
        let (status, told) = place.run(&["-r", "tree", &place.remote("")]);
        assert_eq!(status, Some(1), "{told}");
        assert!(told.contains("tree/sub: there it is no directory"), "{told}");
    }
}

#[test]
fn urls_users_and_the_login_directory_are_understood() {
    let place = Place::new(Generation::Trixie);
    fs::write(place.there("a b"), "x").unwrap();
    let url = |path: &str| format!("ssh://{}@127.0.0.1:{}/{path}", user(), place.server.port);
    let absolute = place.there("a%20b").display().to_string();
    let known = format!("UserKnownHostsFile={}", place.files.known_hosts(place.server.port));
    let mut again = ours("ssh-weblog-cp");
    again.args(["-F", "none", "-B", "-P", "1", "-i", &place.files.text("user_key"), "-o", &known]);
    again.env_remove("SSH_AUTH_SOCK").args(["-q", &url(absolute.trim_start_matches('/')), "-"]);
    assert_eq!(run(&mut again, b"").stdout, b"x", "the port of a URL beats -P");
    let mut named = ours("ssh-weblog-cp");
    named.args([
        "-F",
        "none",
        "-B",
        "-P",
        &place.server.port.to_string(),
        "-i",
        &place.files.text("user_key"),
    ]);
    named.env_remove("SSH_AUTH_SOCK").args(["-o", &known, "-o", &format!("User={}", user()), "-q"]);
    named.args([&format!("[127.0.0.1]:{}", place.there("a b").display()), "-"]);
    assert_eq!(run(&mut named, b"").stdout, b"x");
    let name = format!(".strombus-copy-{}", std::process::id());
    fs::write(place.here("f"), "home").unwrap();
    let home = |path: &str| format!("{}@127.0.0.1:{path}", user());
    for path in [name.clone(), format!("~/{name}"), format!("./{name}"), format!("~{}/{name}", user())] {
        place.ok(&["f", &home(&path)]);
        let output = run(place.command().args(["-q", &home(&name), "-"]), b"");
        assert_eq!(output.stdout, b"home", "{path}");
        let removed = Path::new(&std::env::var_os("HOME").unwrap()).join(&name);
        fs::remove_file(removed).unwrap();
    }
}
