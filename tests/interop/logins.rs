//! Logins against the real thing: keys, certificates and agents of both generations, chains of methods, passwords, and what
//! `authorized_keys` and certificates ask for.
//!
//! Everything is made at test time by the programs of OpenSSH and PuTTY. What a login came to is seen in what the command
//! there writes, or in that there is none.

mod chains;
mod client;
mod keys;
mod options;
mod programs;
mod raw;
mod unknown;

use super::openssh::{Files, Generation, run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// What is run there to see whether a login is made.
const COMMAND: &str = "echo in";

/// Runs a program that must succeed.
fn done(command: &mut Command) -> String {
    let output = run(command, b"");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a key and its public half beside it.
fn generate(generation: Generation, path: &Path, kind: &[&str], passphrase: &str) {
    let mut keygen = Command::new(generation.program("ssh-keygen"));
    // Few rounds of the key derivation: what it costs is not the point.
    keygen.args(["-q", "-a", "2", "-N", passphrase, "-C", "comment", "-t"]).args(kind).arg("-f").arg(path);
    done(&mut keygen);
}

/// Signs `path.pub`; the certificate lies beside it.
fn certify(generation: Generation, ca: &Path, path: &Path, arguments: &[&str]) {
    let mut keygen = Command::new(generation.program("ssh-keygen"));
    keygen.args(["-q", "-s"]).arg(ca).args(["-I", "identity"]).args(arguments);
    done(keygen.arg(beside(path, ".pub")));
}

/// A file by its name with an ending.
fn beside(path: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", path.display()))
}

fn public(path: &Path) -> String {
    fs::read_to_string(beside(path, ".pub")).unwrap()
}

/// `ssh-agent` of a generation, ended with its owner.
struct Agent {
    generation: Generation,
    child: Child,
    socket: PathBuf,
}

impl Agent {
    fn start(generation: Generation, files: &Files, name: &str) -> Self {
        let socket = files.path(name);
        let mut command = Command::new(generation.program("ssh-agent"));
        command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        // It says where it listens once it does.
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
        assert!(line.contains("SSH_AUTH_SOCK"), "{line}");
        Self { generation, child, socket }
    }

    fn add<'p>(&self, paths: impl IntoIterator<Item = &'p Path>) {
        let mut command = Command::new(self.generation.program("ssh-add"));
        done(command.env("SSH_AUTH_SOCK", &self.socket).arg("-q").args(paths));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// A program for SSH_ASKPASS that gives these answers by turns, and then declines; it notes what it was asked.
pub struct Answers {
    script: PathBuf,
}

impl Answers {
    pub fn new(files: &Files, name: &str, answers: &[&str]) -> Self {
        let script = files.path(name);
        let lines: Vec<_> =
            (1..).zip(answers).map(|(n, answer)| format!("{n}) printf '%s\\n' '{answer}';;\n")).collect();
        let text = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$1\" >>'{0}.asked'\nprintf . >>'{0}.count'\n\
             case $(wc -c <'{0}.count') in\n{1}*) exit 1;;\nesac\n",
            script.display(),
            lines.concat(),
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
        Self { script }
    }

    pub fn give(&self, command: &mut Command) {
        command.env("SSH_ASKPASS", &self.script).env("SSH_ASKPASS_REQUIRE", "force");
    }

    /// What was asked, a line each.
    pub fn asked(&self) -> Vec<String> {
        let asked = fs::read_to_string(beside(&self.script, ".asked")).unwrap_or_default();
        asked.lines().map(str::to_owned).collect()
    }
}

/// What a client came to: what the command wrote, or nothing if there was no login.
#[derive(Debug)]
struct Came {
    output: Output,
}

impl Came {
    fn of(command: &mut Command) -> Self {
        Self { output: run(command, b"") }
    }

    fn to(&self) -> Option<String> {
        match self.output.status.code() {
            Some(255) => None,
            _ => Some(String::from_utf8_lossy(&self.output.stdout).trim_end().to_owned()),
        }
    }

    fn told(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}

/// Options `-o`.
fn set(command: &mut Command, options: &[&str]) {
    for option in options {
        command.args(["-o", option]);
    }
}

/// A client that has just what it is given: the port and the trust of the test, no key.
fn bare(mut command: Command, port: u16, known_hosts: &str) -> Command {
    command.env_remove("SSH_AUTH_SOCK").args(["-F", "none", "-p", &port.to_string()]);
    let known_hosts = format!("UserKnownHostsFile={known_hosts}");
    set(&mut command, &[&known_hosts, "StrictHostKeyChecking=yes", "GlobalKnownHostsFile=none"]);
    command
}

/// `examples/ssh` as [`bare`] has it.
fn our_client(files: &Files, port: u16) -> Command {
    bare(super::openssh::ours("ssh"), port, &known_hosts(files, port))
}

/// OpenSSH's ssh, likewise.
fn their_client(generation: Generation, files: &Files, port: u16) -> Command {
    bare(Command::new(generation.program("ssh")), port, &known_hosts(files, port))
}

/// A known_hosts file of its own for each port.
fn known_hosts(files: &Files, port: u16) -> String {
    let key = fs::read_to_string(files.path("host_key.pub")).unwrap();
    files.write(&format!("known_hosts_{port}"), &format!("[127.0.0.1]:{port} {key}"))
}

/// The hash of a password.
pub fn hash(password: &str) -> String {
    let mut command = super::openssh::ours("ssh-weblog-server");
    let hash = run(command.arg("hash-password"), format!("{password}\n").as_bytes());
    assert!(hash.status.success());
    String::from_utf8(hash.stdout).unwrap().trim_end().to_owned()
}

/// A line of a password file.
fn hashed(user: &str, password: &str) -> String {
    format!("{user}:{}\n", hash(password))
}
