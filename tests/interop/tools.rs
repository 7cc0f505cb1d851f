//! Programs that run over ssh: rsync, git and scp of the old protocol, through our client and to our server.

use super::openssh::{Files, Generation, Server, our_sshd, ours, run, ssh, sshd};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A client and a server, of which one at least is ours.
struct Case {
    name: String,
    files: Files,
    _server: Server,
    /// A program that is `ssh` for another: options, keys and port are in it.
    ssh: PathBuf,
}

impl Case {
    fn all() -> Vec<Self> {
        let mut cases = vec![Self::new(None, None)];
        for generation in Generation::ALL {
            cases.push(Self::new(Some(generation), None));
            cases.push(Self::new(None, Some(generation)));
        }
        cases
    }

    /// Whose client and whose server; ours where none is named.
    fn new(client: Option<Generation>, server: Option<Generation>) -> Self {
        let files = Files::new();
        let running = match server {
            Some(generation) => {
                let subsystem = format!("Subsystem sftp {}", generation.program("sftp-server").display());
                sshd(generation, &files, &[&subsystem])
            }
            None => our_sshd(&files, &["Subsystem=sftp internal-sftp"]),
        };
        let command = match client {
            Some(generation) => ssh(generation, &files, running.port),
            None => super::openssh::our_ssh(&files, running.port),
        };
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        let script = files.write("the-ssh", &format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" ")));
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
        let name = format!("{client:?} to {server:?}");
        Self { name, files, _server: running, ssh: script.into() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path(name)
    }

    fn run(&self, command: &mut Command) -> Output {
        let output = run(command, b"");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {command:?}: {said}", self.name);
        output
    }
}

/// Some files, one of them large enough to need many packets.
fn make_tree(at: &Path) {
    fs::create_dir_all(at.join("a/b")).unwrap();
    fs::write(at.join("a/b/small"), "small\n").unwrap();
    fs::write(at.join("a/ with a blank"), "").unwrap();
    let large: Vec<u8> =
        (0..3_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    fs::write(at.join("large"), large).unwrap();
    fs::set_permissions(at.join("large"), fs::Permissions::from_mode(0o640)).unwrap();
}

/// The names and contents of all files below, in order.
fn tree(at: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(at).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            all.extend(
                tree(&entry.path())
                    .into_iter()
                    .map(|(name, data)| (Path::new(&entry.file_name()).join(name), data)),
            );
        } else {
            all.push((entry.file_name().into(), fs::read(entry.path()).unwrap()));
        }
    }
    all.sort();
    all
}

#[test]
fn rsync_copies_both_ways_and_a_second_time_sends_only_what_changed() {
    for case in Case::all() {
        let (from, there, back) = (case.path("from"), case.path("there"), case.path("back"));
        make_tree(&from);
        let rsync = || {
            let mut command = Command::new("rsync");
            command.arg("-a").arg("--stats").arg("-e").arg(&case.ssh);
            command
        };
        let up = format!("127.0.0.1:{}/", there.display());
        case.run(rsync().arg(format!("{}/", from.display())).arg(&up));
        assert!(tree(&there) == tree(&from), "{}", case.name);
        case.run(rsync().arg(&up).arg(format!("{}/", back.display())));
        assert!(tree(&back) == tree(&from), "{}", case.name);
        let mode = fs::metadata(back.join("large")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        let mut large = fs::read(from.join("large")).unwrap();
        large[5_000_000] ^= 1;
        fs::write(from.join("large"), &large).unwrap();
        // Its time may be the same.
        let output = case.run(rsync().arg("--checksum").arg(format!("{}/", from.display())).arg(&up));
        assert!(fs::read(there.join("large")).unwrap() == large, "{}", case.name);
        let stats = String::from_utf8(output.stdout).unwrap();
        let sent = stats.lines().find_map(|line| line.strip_prefix("Total bytes sent: ")).unwrap();
        let sent: u64 = sent.replace(',', "").parse().unwrap();
        assert!(sent < 1_000_000, "{}: {sent} bytes", case.name);
    }
}

#[test]
fn git_clones_fetches_and_pushes() {
    for case in Case::all() {
        let (bare, clone, other) = (case.path("bare.git"), case.path("clone"), case.path("other"));
        let git = |at: &Path, arguments: &[&str]| {
            let mut command = Command::new("git");
            command.env("GIT_SSH", &case.ssh).env("GIT_CONFIG_GLOBAL", "/dev/null");
            command.args(["-c", "user.name=ann", "-c", "user.email=ann@example", "-c", "protocol.version=2"]);
            case.run(command.current_dir(at).args(arguments))
        };
        let here = case.path("");
        git(&here, &["init", "-q", "--bare", "-b", "main", bare.to_str().unwrap()]);
        let url = format!("ssh://127.0.0.1{}", bare.display());
        git(&here, &["clone", "-q", &url, clone.to_str().unwrap()]);
        make_tree(&clone);
        git(&clone, &["checkout", "-q", "-b", "main"]);
        git(&clone, &["add", "."]);
        git(&clone, &["commit", "-q", "-m", "first"]);
        git(&clone, &["push", "-q", "origin", "main"]);
        git(&here, &["clone", "-q", &url, other.to_str().unwrap()]);
        assert_eq!(fs::read(other.join("a/b/small")).unwrap(), b"small\n", "{}", case.name);
        fs::write(clone.join("a/b/small"), "changed\n").unwrap();
        git(&clone, &["commit", "-q", "-a", "-m", "second"]);
        git(&clone, &["push", "-q", "origin", "main"]);
        git(&other, &["pull", "-q", "--ff-only"]);
        assert_eq!(fs::read(other.join("a/b/small")).unwrap(), b"changed\n", "{}", case.name);
        git(&other, &["fsck", "--full"]);
    }
}

/// `scp -O`: the protocol of rcp, by commands that `scp` itself runs there. Without it, by SFTP.
#[test]
fn scp_of_either_protocol_copies_trees_both_ways() {
    for generation in Generation::ALL {
        for case in Case::all() {
            let (from, there, back) = (case.path("from"), case.path("there"), case.path("back"));
            make_tree(&from);
            for protocol in ["-O", "-s"] {
                let scp = || {
                    let mut command = Command::new(generation.program("scp"));
                    command.args([protocol, "-r", "-p", "-q", "-S"]).arg(&case.ssh);
                    command
                };
                let host = format!("127.0.0.1:{}", there.display());
                case.run(scp().arg(&from).arg(&host));
                assert!(tree(&there) == tree(&from), "{} {protocol}", case.name);
                case.run(scp().arg(&host).arg(&back));
                assert!(tree(&back) == tree(&from), "{} {protocol}", case.name);
                fs::remove_dir_all(&there).unwrap();
                fs::remove_dir_all(&back).unwrap();
            }
        }
    }
}

/// A pager, a filter and a here-document: what people type.
#[test]
fn pipes_and_scripts_work_as_with_ssh() {
    for case in Case::all() {
        let script = "set -e\nread line\necho \"got $line\"\nexit 7\n";
        let output = run(
            Command::new("sh").arg("-c").arg(format!(
                "printf '%s\\nhello\\n' \"$SCRIPT\" | '{}' 127.0.0.1 'cat >/dev/null; seq 5 | sort -r | head -n 2; exit 7'",
                case.ssh.display()
            )).env("SCRIPT", script),
            b"",
        );
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(7), &b"5\n4\n"[..]), "{}", case.name);
        let output = run(Command::new(&case.ssh).args(["127.0.0.1", "sh", "-s"]), script.as_bytes());
        assert_eq!(output.status.code(), Some(1), "{}: the script read its own rest", case.name);
    }
    assert!(ours("ssh").arg("-Q").arg("cipher").output().unwrap().status.success());
}
