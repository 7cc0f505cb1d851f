//! Root is given up (T-111): by the program, and by a process with threads. One test, for a process can give it up once.

use rustix::process::{geteuid, getuid};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use strombus::weblog::serve::flags::Flags;
use strombus::weblog::serve::run_as::RunAs;
use strombus::weblog::serve::settings::Configuration;

/// Who is on every system and owns nothing.
const USER: &str = "nobody";
const UID: u32 = 65534;

/// The lines of each of a process's threads that say who it is.
fn who(pid: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of_task = |task: std::io::Result<fs::DirEntry>| {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let wanted = ["Uid:", "Gid:", "Groups:", "CapPrm:", "CapEff:"];
        let lines = status.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name)));
        lines.map(|line| line.trim_end().replace('\t', " ")).collect::<Vec<_>>().join("; ")
    };
    tasks.map(of_task).collect()
}

fn is_nobody(task: &str, gid: u32) -> bool {
    let no = "0000000000000000";
    task == format!(
        "Uid: {UID} {UID} {UID} {UID}; Gid: {gid} {gid} {gid} {gid}; Groups: {gid}; CapPrm: {no}; CapEff: {no}"
    )
}

#[test]
fn t111_root_is_given_up_for_ever_by_every_thread_and_what_is_made_is_the_users() {
    if !getuid().is_root() {
        // Who is not root becomes nobody else, and is told what to do.
        let told = RunAs::named(USER).unwrap().give_up_root().unwrap_err();
        assert!(told.contains("start it as root or as nobody, or leave run_as out"), "{told}");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let write = |name: &str, text: &str, mode: u32| {
        fs::write(path(name), text).unwrap();
        fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    write("a.log", "", 0o644);
    write("ann.pub", include_str!("../vectors/keys/ed25519.pub"), 0o644);
    let text = "run_as = 'nobody'\nlisten = ['127.0.0.1:0']\nstate_dir = 'state'\n[[log]]\npath = 'a.log'\n\
                [[user]]\nname = 'ann'\nauthorized_keys = 'ann.pub'\n";
    write("config.toml", text, 0o600);
    let gid = fs::read_to_string("/etc/passwd").unwrap();
    let gid = gid
        .lines()
        .find_map(|line| line.strip_prefix("nobody:x:65534:")?.split(':').next())
        .unwrap()
        .parse()
        .unwrap();
    let owner = |path: &Path| {
        let metadata = fs::metadata(path).unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
    };

    let program = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ssh-weblog-server"));
        command.args(words).current_dir("/").stdin(Stdio::null());
        command
    };
    let config = path("config.toml").to_str().unwrap().to_owned();
    let mut server = program(&["--config", &config]).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(server.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("listening on") {
        line.clear();
        assert!(told.read_line(&mut line).unwrap() > 0, "it ended");
    }
    let tasks = who(server.id());
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(tasks.len() > 1 && tasks.iter().all(|task| is_nobody(task, gid)), "{tasks:?}");
    let key = path("state/ssh_host_ed25519_key");
    assert_eq!((owner(&path("state")), owner(&key)), ((UID, gid, 0o700), (UID, gid, 0o600)));
    // A check sees what the user will: root could read these keys.
    write("ann.pub", include_str!("../vectors/keys/ed25519.pub"), 0o600);
    let checked = program(&["check", &config]).output().unwrap();
    let told = String::from_utf8(checked.stderr).unwrap();
    assert_eq!(checked.status.code(), Some(1), "{told}");
    assert!(
        told.contains("config.toml:6: user ann: authorized_keys: ") && told.contains("Permission denied"),
        "{told}"
    );
    chown(path("ann.pub"), Some(UID), None).unwrap();
    let checked = program(&["check", &config]).output().unwrap();
    assert_eq!((checked.status.code(), checked.stderr), (Some(0), Vec::new()), "his own file will do");

    // Now this process, with a thread that was there before.
    let (go, wait) = channel::<()>();
    let thread = std::thread::spawn(move || {
        let _end = wait.recv();
        geteuid().as_raw()
    });
    let flags = Flags { config: Some(path("config.toml")), ..Flags::default() };
    let configuration = Configuration::read(&flags).unwrap();
    let started = configuration.start().unwrap();
    assert_eq!((started.listeners.len(), started.config.host_keys.len()), (1, 1));
    let tasks = who(std::process::id());
    assert!(tasks.len() > 1 && tasks.iter().all(|task| is_nobody(task, gid)), "{tasks:?}");
    drop(go);
    assert_eq!(thread.join().unwrap(), UID);
    assert!(nix::unistd::setuid(nix::unistd::Uid::from_raw(0)).is_err(), "there is no way back");
    let told = configuration.read_again(&flags).unwrap_err();
    assert!(told.contains("config.toml: Permission denied"), "{told}");
    assert!(told.ends_with("; this runs as nobody, who must be able to read it"), "{told}");
}
