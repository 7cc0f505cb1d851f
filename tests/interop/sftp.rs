//! Files by SFTP: OpenSSH's `sftp` and `scp`, rclone and sshfs against `examples/sshd`.

use super::openssh::{
    Files, Generation, Server, deadline, descriptors, is_long, our_ssh, our_sshd, ours, run, user, wait,
};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;

/// Bytes of the large file.
fn large() -> usize {
    if is_long() { 512 << 20 } else { 12 << 20 }
}

/// Bytes that no part repeats.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 2026_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as u8
    };
    (0..length).map(next).collect()
}

/// A server that serves files, and two directories: `here` is the client's, `there` is the server's.
struct Case {
    files: Files,
    server: Server,
}

impl Case {
    fn new(subsystem: &str) -> Self {
        let files = Files::new();
        let line = format!("Subsystem=sftp internal-sftp -d {} {subsystem}", files.text("there"));
        let server = our_sshd(&files, &[&line]);
        files.known_hosts(server.port);
        fs::create_dir(files.path("here")).unwrap();
        fs::create_dir(files.path("there")).unwrap();
        Self { files, server }
    }

    /// What every client of OpenSSH is told, its port aside.
    fn client(&self, generation: Generation, name: &str) -> Command {
        let mut command = Command::new(generation.program(name));
        command.env_remove("SSH_AUTH_SOCK").current_dir(self.files.path("here"));
        command.args([
            "-q",
            "-F",
            "none",
            "-i",
            &self.files.text("user_key"),
            "-P",
            &self.server.port.to_string(),
        ]);
        command.arg("-S").arg(generation.program("ssh"));
        for option in self.options() {
            command.args(["-o", &option]);
        }
        command
    }

    fn options(&self) -> [String; 4] {
        [
            "IdentitiesOnly=yes".to_owned(),
            "StrictHostKeyChecking=yes".to_owned(),
            "GlobalKnownHostsFile=none".to_owned(),
            format!("UserKnownHostsFile={}", self.files.text("known_hosts")),
        ]
    }

    fn at(&self, path: &str) -> String {
        format!("{}@127.0.0.1:{path}", user())
    }

    /// Runs `sftp` on these lines, which must all succeed; what it wrote.
    fn batch(&self, generation: Generation, lines: &str) -> String {
        let output = self.try_batch(generation, lines);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{generation:?} {lines}: {told}\n{}",
            self.server.running.log()
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn try_batch(&self, generation: Generation, lines: &str) -> Output {
        let host = format!("{}@127.0.0.1", user());
        run(self.client(generation, "sftp").args(["-b", "-", &host]), lines.as_bytes())
    }

    /// A tree of files, directories and links at the client.
    fn make_tree(&self, name: &str) {
        let tree = self.files.path("here").join(name);
        fs::create_dir_all(tree.join("below/deeper")).unwrap();
        fs::create_dir_all(tree.join("empty")).unwrap();
        fs::write(tree.join("large"), noise(large())).unwrap();
        fs::write(tree.join("nothing"), b"").unwrap();
        fs::write(tree.join("below/a name with spaces"), b"spaces").unwrap();
        fs::write(tree.join("below/deeper/ünïcode"), b"letters").unwrap();
        for n in 0..130 {
            fs::write(tree.join(format!("below/{n}")), n.to_string()).unwrap();
        }
        fs::set_permissions(tree.join("below/7"), fs::Permissions::from_mode(0o750)).unwrap();
        let old = fs::File::options().write(true).open(tree.join("below/7")).unwrap();
        old.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000)).unwrap();
    }

    fn here(&self, name: &str) -> PathBuf {
        self.files.path("here").join(name)
    }

    fn there(&self, name: &str) -> PathBuf {
        self.files.path("there").join(name)
    }
}

/// Names, contents, and what -p keeps.
fn contents(tree: &Path, kept: bool) -> Vec<String> {
    let mut all = Vec::new();
    let mut waiting = vec![tree.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).unwrap_or_else(|error| panic!("{directory:?}: {error}")) {
            let path = entry.unwrap().path();
            let about = path.metadata().unwrap();
            let name = path.strip_prefix(tree).unwrap().display().to_string();
            let facts = if kept && about.is_file() { (about.mode() & 0o7777, about.mtime()) } else { (0, 0) };
            if about.is_dir() {
                all.push(format!("{name}/"));
                waiting.push(path);
            } else {
                let contents = fs::read(&path).unwrap();
                let sum = contents
                    .iter()
                    .fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
                all.push(format!("{name} {} {sum} {facts:?}", contents.len()));
            }
        }
    }
    all.sort();
    all
}

#[test]
fn sftp_of_both_generations_does_all_that_it_can() {
    for generation in Generation::ALL {
        let case = Case::new("");
        case.make_tree("tree");
        let told = case.batch(
            generation,
            "pwd\nput -r -p tree\nls -l tree\nls tree/below\nget -r -p tree back\nprogress\nget tree/large again\n",
        );
        assert!(told.contains(&format!("Remote working directory: {}", case.files.text("there"))), "{told}");
        assert!(told.lines().any(|line| line.starts_with("drwx") && line.ends_with("empty")), "{told}");
        assert!(told.contains(" 0 ") && told.contains("tree/below/129"), "{told}");
        let expected = contents(&case.here("tree"), true);
        assert_eq!(contents(&case.there("tree"), true), expected);
        assert_eq!(contents(&case.here("back"), true), expected);
        let told = case.batch(
            generation,
            "mkdir d\nput tree/below/7 d/new\nrename d/new d/newer\nln d/newer hard\nln -s d/newer soft\n\
             chmod 600 d/newer\nls -l\nls -ln d\ndf\ndf -h\ncd d\npwd\nget newer got\nrm newer\ncd ..\nrmdir d\nls -a\n-get d\n",
        );
        assert!(!case.there("d").exists());
        assert_eq!(fs::read(case.there("hard")).unwrap(), b"7");
        assert_eq!(fs::metadata(case.there("hard")).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_link(case.there("soft")).unwrap().to_str(), Some("d/newer"));
        assert_eq!(fs::read(case.here("got")).unwrap(), b"7");
        assert!(told.contains("%Capacity") && told.contains("-rw-------"), "{told}");
    }
}

#[test]
fn sftp_of_both_generations_uses_all_extensions_that_it_knows() {
    for generation in Generation::ALL {
        let case = Case::new("");
        let whole = noise(3_000_000);
        fs::write(case.there("file"), &whole).unwrap();
        fs::write(case.here("up"), b"up").unwrap();
        fs::write(case.there("behind"), b"x").unwrap();
        fs::set_permissions(case.there("behind"), fs::Permissions::from_mode(0o604)).unwrap();
        symlink("behind", case.there("link")).unwrap();
        let host = format!("{}@127.0.0.1", user());
        let lines = "cp file copy\nput -f up\nchmod -h 640 file\n-chmod -h 600 link\nls -l file\n";
        let output = run(case.client(generation, "sftp").args(["-vvv", "-b", "-", &host]), lines.as_bytes());
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{generation:?}: {told}");
        let asks = |name: &str| {
            let is = |line: &str| line.contains("Sen") && line.contains(name);
            assert!(told.lines().any(is), "{generation:?} {name}: {told}");
        };
        let groups = "users-groups-by-id@openssh.com";
        ["copy-data", "fsync@openssh.com", "lsetstat@openssh.com", groups].into_iter().for_each(asks);
        assert!(!told.contains("remote fsync:"), "{generation:?}: {told}");
        assert!(fs::read(case.there("copy")).unwrap() == whole, "{generation:?}");
        assert_eq!(fs::read(case.there("up")).unwrap(), b"up");
        let mode = |name| fs::metadata(case.there(name)).unwrap().mode() & 0o7777;
        // Of a link itself, whatever becomes of it, and not of what it leads to.
        assert_eq!((mode("file"), mode("behind")), (0o640, 0o604), "{generation:?}: {told}");
        let listed = String::from_utf8_lossy(&output.stdout);
        let line = listed.lines().find(|line| line.starts_with("-rw-r-----")).unwrap();
        assert_eq!(line.split_ascii_whitespace().nth(2), Some(&*user()), "{generation:?}: {line}");
    }
}

#[test]
fn a_tilde_is_where_a_session_starts_and_with_a_name_the_home_of_that_user() {
    let name = format!(".strombus-tilde-{}", std::process::id());
    for generation in Generation::ALL {
        let case = Case::new("");
        fs::write(case.here("up"), b"up").unwrap();
        let home = Path::new(&std::env::var_os("HOME").unwrap()).join(&name);
        // The second is one that only the server can tell.
        for (tilde, there) in [("~".to_owned(), case.there(&name)), (format!("~{}", user()), home)] {
            let remote = case.at(&format!("{tilde}/{name}"));
            for arguments in [["up", &*remote], [&*remote, "down"]] {
                let output = run(case.client(generation, "scp").arg("-s").args(arguments), b"");
                let told = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(0), "{generation:?} {arguments:?}: {told}");
            }
            assert_eq!(fs::read(case.here("down")).unwrap(), b"up");
            fs::remove_file(case.here("down")).unwrap();
            fs::remove_file(there).unwrap();
        }
    }
}

#[test]
fn what_was_cut_is_gone_on_with() {
    for generation in Generation::ALL {
        let case = Case::new("");
        let whole = noise(large());
        fs::write(case.here("up"), &whole).unwrap();
        fs::write(case.there("down"), &whole).unwrap();
        fs::write(case.there("up"), &whole[..whole.len() / 3]).unwrap();
        fs::write(case.here("down"), &whole[..whole.len() / 2]).unwrap();
        case.batch(generation, "reput up\nreget down\n");
        assert!(fs::read(case.there("up")).unwrap() == whole);
        assert!(fs::read(case.here("down")).unwrap() == whole);
    }
}

#[test]
fn what_fails_is_told() {
    let case = Case::new("");
    fs::write(case.there("file"), b"x").unwrap();
    for (lines, expected) in [
        ("get missing\n", "not found"),
        ("mkdir file\n", "Failure"),
        ("rmdir file\n", "No such file"),
        ("rename file missing/x\n", "No such file"),
        ("ls missing\n", "not found"),
    ] {
        let output = case.try_batch(Generation::Bookworm, lines);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && told.contains(expected), "{lines}: {told}");
    }
}

#[test]
fn a_read_only_server_gives_and_takes_nothing() {
    let case = Case::new("-R");
    fs::write(case.there("file"), b"x").unwrap();
    fs::write(case.here("new"), b"y").unwrap();
    for lines in ["put new\n", "rm file\n", "mkdir d\n", "chmod 600 file\n", "ln -s a b\n", "rename file f\n"]
    {
        let output = case.try_batch(Generation::Bookworm, lines);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && told.contains("ermission denied"), "{lines}: {told}");
    }
    case.batch(Generation::Bookworm, "get file\nls -l\n");
    assert_eq!(fs::read(case.here("file")).unwrap(), b"x");
    assert_eq!(contents(&case.files.path("there"), false).len(), 1);
}

#[test]
fn scp_of_both_generations_copies_trees_both_ways() {
    for generation in Generation::ALL {
        let case = Case::new("");
        case.make_tree("tree");
        let expected = contents(&case.here("tree"), true);
        for arguments in [
            &["-r", "-p", "tree", &case.at("up")][..],
            &["-r", "-p", &case.at("up"), "down"],
            &["tree/large", &case.at("one")],
            &[&case.at("one"), "one"],
            &[&case.at("up/below/1?"), "."],
        ] {
            let output = run(case.client(generation, "scp").args(arguments), b"");
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{generation:?} {arguments:?}: {told}");
        }
        assert_eq!(contents(&case.there("up"), true), expected);
        assert_eq!(contents(&case.here("down"), true), expected);
        assert!(fs::read(case.here("one")).unwrap() == fs::read(case.here("tree/large")).unwrap());
        assert_eq!(fs::read(case.here("19")).unwrap(), b"19");
    }
}

#[test]
fn a_forced_command_may_be_sftp_and_beats_it() {
    let case = Case::new("");
    fs::write(case.there("file"), b"x").unwrap();
    let key = fs::read_to_string(case.files.path("user_key.pub")).unwrap();
    let force = |command: &str| case.files.write("authorized_keys", &format!("command=\"{command}\" {key}"));
    force(&format!("internal-sftp -R -d {}", case.files.text("there")));
    case.batch(Generation::Bookworm, "get file\n");
    assert_eq!(fs::read(case.here("file")).unwrap(), b"x");
    let output = case.try_batch(Generation::Bookworm, "rm file\n");
    assert_eq!(output.status.code(), Some(1));
    force("echo this is no SFTP");
    let output = case.try_batch(Generation::Bookworm, "get file\n");
    assert_eq!(output.status.code(), Some(255));
    assert!(case.there("file").exists());
}

#[test]
fn without_a_subsystem_there_is_none() {
    let files = Files::new();
    let server = our_sshd(&files, &[]);
    files.known_hosts(server.port);
    fs::create_dir(files.path("here")).unwrap();
    let case = Case { files, server };
    let output = case.try_batch(Generation::Bookworm, "pwd\n");
    assert_eq!(output.status.code(), Some(255));
}

#[test]
fn t97_t123_a_packet_of_no_possible_length_ends_its_session_with_a_status_and_no_other() {
    let case = Case::new("");
    let session = |sent: &[u8]| {
        let mut ssh = our_ssh(&case.files, case.server.port);
        run(ssh.args(["-s", &format!("{}@127.0.0.1", user()), "sftp"]), sent)
    };
    let init = b"\0\0\0\x05\x01\0\0\0\x03";
    for length in [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\x04\0\x01"] {
        let output = session(&[&init[..], length].concat());
        assert_eq!(output.status.code(), Some(11), "{length:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.starts_with(b"\0\0") && output.stdout[4] == 2, "VERSION came first");
    }
    assert_eq!(session(init).status.code(), Some(0));
}

#[test]
fn rclone_copies_both_ways() {
    let case = Case::new("");
    case.make_tree("tree");
    let expected = contents(&case.here("tree"), false);
    let remote = |path: &str| {
        format!(
            ":sftp,host=127.0.0.1,port={},user={},key_file={},known_hosts_file={}:{path}",
            case.server.port,
            user(),
            case.files.text("user_key"),
            case.files.text("known_hosts"),
        )
    };
    let tree = case.here("tree").display().to_string();
    let down = case.here("down").display().to_string();
    for arguments in [[&tree, &remote("up")], [&remote("up"), &down]] {
        let mut rclone = Command::new("rclone");
        rclone.args(["copy", "--config", "/dev/null", "--create-empty-src-dirs", "--retries", "1"]);
        let output = run(rclone.args(arguments), b"");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {told}");
    }
    assert_eq!(contents(&case.there("up"), false), expected);
    assert_eq!(contents(Path::new(&down), false), expected);
}

/// A mount, ended with its owner.
struct Mount(PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        let _ended = Command::new("fusermount3").args(["-u", "-z"]).arg(&self.0).status();
    }
}

#[test]
fn sshfs_is_a_file_system() {
    for by_ours in [false, true] {
        sshfs_is_one(&Case::new(""), by_ours);
    }
}

fn sshfs_is_one(case: &Case, by_ours: bool) {
    fs::create_dir(case.files.path("mount")).unwrap();
    let mut sshfs = Command::new("sshfs");
    sshfs.env_remove("SSH_AUTH_SOCK").arg(case.at("")).arg(case.files.path("mount"));
    sshfs.args(["-p", &case.server.port.to_string(), "-F", "none"]);
    sshfs.args(["-o", &format!("IdentityFile={}", case.files.text("user_key"))]);
    if by_ours {
        sshfs.args(["-o", &format!("ssh_command={}", ours("ssh").get_program().to_str().unwrap())]);
    }
    for option in case.options() {
        sshfs.args(["-o", &option]);
    }
    let mounted = run(&mut sshfs, b"");
    assert!(mounted.status.success(), "{}", String::from_utf8_lossy(&mounted.stderr));
    let mount = Mount(case.files.path("mount"));
    case.make_tree("tree");
    let copied = run(Command::new("cp").arg("-r").arg(case.here("tree")).arg(&mount.0), b"");
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    let expected = contents(&case.here("tree"), false);
    assert_eq!(contents(&case.there("tree"), false), expected);
    assert_eq!(contents(&mount.0.join("tree"), false), expected);
    let new = mount.0.join("new");
    let mut file = fs::File::create(&new).unwrap();
    file.write_all(b"one\n").unwrap();
    drop(file);
    fs::File::options().append(true).open(&new).unwrap().write_all(b"two\n").unwrap();
    assert_eq!(fs::read(case.there("new")).unwrap(), b"one\ntwo\n");
    fs::File::options().write(true).open(&new).unwrap().set_len(2).unwrap();
    fs::rename(&new, mount.0.join("tree/nothing")).unwrap();
    assert_eq!(fs::read(case.there("tree/nothing")).unwrap(), b"on");
    symlink("tree/nothing", mount.0.join("link")).unwrap();
    assert_eq!(fs::read_link(case.there("link")).unwrap().to_str(), Some("tree/nothing"));
    fs::remove_file(mount.0.join("link")).unwrap();
    fs::remove_dir(mount.0.join("tree/empty")).unwrap();
    fs::set_permissions(mount.0.join("tree/large"), fs::Permissions::from_mode(0o400)).unwrap();
    assert_eq!(fs::metadata(case.there("tree/large")).unwrap().mode() & 0o7777, 0o400);
    assert!(!case.there("tree/empty").exists() && !case.there("link").exists());
}

#[test]
fn t97_sessions_that_come_and_go_leave_no_descriptor() {
    let case = Case::new("");
    fs::write(case.there("file"), b"x").unwrap();
    let descriptors = || descriptors(case.server.running.child.id());
    // One connection for all sessions.
    let control = case.files.text("control");
    let host = format!("{}@127.0.0.1", user());
    let mut master = Command::new(Generation::Bookworm.program("ssh"));
    master.env_remove("SSH_AUTH_SOCK").args(["-F", "none", "-i", &case.files.text("user_key"), "-p"]);
    master.args([&case.server.port.to_string(), "-M", "-S", &control, "-N", "-f"]);
    for option in case.options() {
        master.args(["-o", &option]);
    }
    let started = master.arg(&host).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(started.unwrap().success());
    let session = |lines: &str| {
        let mut sftp = Command::new(Generation::Bookworm.program("sftp"));
        sftp.args(["-q", "-b", "-", "-o", &format!("ControlPath={control}"), &host]);
        let output = run(sftp.current_dir(case.files.path("here")), lines.as_bytes());
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    };
    session("get file\nls\n");
    let before = descriptors();
    for _ in 0..if is_long() { 2000 } else { 40 } {
        session("get file\nls\n");
    }
    assert_eq!(descriptors(), before);
    let _ended = Command::new("ssh").args(["-S", &control, "-O", "exit", &host]).output();
}

#[test]
fn a_client_that_is_killed_in_the_middle_leaves_nothing_open() {
    let case = Case::new("");
    fs::write(case.there("large"), noise(large())).unwrap();
    let descriptors = || descriptors(case.server.running.child.id());
    case.batch(Generation::Bookworm, "get large warm\n");
    let before = descriptors();
    let host = format!("{}@127.0.0.1", user());
    let mut child = case
        .client(Generation::Bookworm, "sftp")
        .args(["-l", "1000", "-b", "-", &host])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"get large\n").unwrap();
    // It began once the file is there.
    let (_never, tick) = channel::<()>();
    let until = |is: &dyn Fn() -> bool| {
        for _ in 0..deadline().as_millis() / 20 {
            if is() {
                return;
            }
            let _tick = tick.recv_timeout(std::time::Duration::from_millis(20));
        }
        panic!("it never happened: {}", case.server.running.log());
    };
    until(&|| case.here("large").exists());
    assert!(descriptors() > before);
    child.kill().unwrap();
    wait(&mut child);
    // The first connection may have been there still.
    until(&|| descriptors() <= before);
}
