//! Whoever is compared: how its server is started, and how its client is.

use crate::cost;
use crate::load::Work;
use crate::openssh::{Files, Generation, Running, Server, ours, ssh, sshd};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The algorithms that both sides are held to.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    pub cipher: &'static str,
    /// Of a cipher that has none of its own.
    pub mac: &'static str,
    pub kex: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    Ours,
    /// The program of `benches/compare/russh`.
    Russh(PathBuf),
    /// The program of `benches/compare/go`.
    Go(PathBuf),
    OpenSsh(Generation),
}

impl Peer {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Russh(_) => "russh",
            Self::Go(_) => "Go x/crypto",
            Self::OpenSsh(Generation::Trixie) => "OpenSSH 10",
            Self::OpenSsh(Generation::Bookworm) => "OpenSSH 9.2",
        }
    }

    /// Whether a connection is a process or two.
    pub const fn forks(&self) -> bool {
        matches!(self, Self::OpenSsh(_))
    }

    /// Starts its server; nothing if it does not know the algorithms.
    pub fn serve(&self, files: &Files, names: Names) -> Option<Server> {
        let mut command = match self {
            Self::OpenSsh(generation) => {
                if !knows(*generation, names) {
                    return None;
                }
                let lines = [
                    format!("Ciphers {}", names.cipher),
                    format!("MACs {}", names.mac),
                    format!("KexAlgorithms {}", names.kex),
                    // It says where it listens, and logs each login besides. A bash of this level reads no ~/.bashrc, which is
                    // nothing of OpenSSH's.
                    "LogLevel INFO\nSetEnv SHLVL=1".to_owned(),
                ];
                let lines: Vec<_> = lines.iter().map(String::as_str).collect();
                return Some(sshd(*generation, files, &lines));
            }
            Self::Ours => {
                let mut command = ours("bench_server");
                command.args(["-p", "0", "-h", &files.text("host_key"), "-o"]);
                command.arg(format!("AuthorizedKeysFile={}", files.text("authorized_keys")));
                let of = [("Ciphers", names.cipher), ("MACs", names.mac), ("KexAlgorithms", names.kex)];
                for (keyword, name) in of {
                    command.args(["-o", &format!("{keyword}={name}")]);
                }
                command
            }
            Self::Russh(program) => {
                let mut command = Command::new(program);
                command.args(["server", "--host-key", &files.text("host_key")]);
                command.args(["--authorized-keys", &files.text("authorized_keys")]);
                named(&mut command, "--", names);
                command
            }
            Self::Go(program) => {
                let mut command = Command::new(program);
                command.args(["server", "-host-key", &files.text("host_key")]);
                command.args(["-authorized-keys", &files.text("authorized_keys")]);
                named(&mut command, "-", names);
                command
            }
        };
        let running = Running::start(&mut command);
        let line = running.wait_for("Server listening")?;
        let port = line.trim_end_matches('.').rsplit(' ').next()?.parse().ok()?;
        Some(Server { running, port })
    }

    /// Its client, that takes or pours so many bytes; ours is the load.
    pub fn client(&self, files: &Files, names: Names, port: u16, work: Work, count: u64) -> Command {
        let command = work.command(count).expect("bulk");
        let poured = if work == Work::Pour { count } else { 0 }.to_string();
        match self {
            Self::Ours => load(files, names, port, work, count),
            Self::Russh(program) => {
                let mut client = Command::new(program);
                client.args(["client", "--port", &port.to_string(), "--key", &files.text("user_key")]);
                named(&mut client, "--", names);
                client.args(["--pour", &poured, &command]);
                client
            }
            Self::Go(program) => {
                let mut client = Command::new(program);
                client.args(["client", "-port", &port.to_string(), "-key", &files.text("user_key")]);
                named(&mut client, "-", names);
                client.args(["-pour", &poured, &command]);
                client
            }
            Self::OpenSsh(generation) => {
                let mut client = ssh(*generation, files, port);
                client.args(["-c", names.cipher, "-m", names.mac, "-o"]);
                client.arg(format!("KexAlgorithms={}", names.kex)).args(["127.0.0.1", &command]);
                // Zeros of a file that has no blocks: nothing is read from anywhere.
                let zeros = File::create(files.path("zeros")).expect("a file");
                zeros.set_len(if work == Work::Pour { count } else { 0 }).expect("a length");
                client.stdin(File::open(files.path("zeros")).expect("a file"));
                client
            }
        }
    }
}

/// The client of all rows in which servers are compared: this program, as a process of its own.
pub fn load(files: &Files, names: Names, port: u16, work: Work, count: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["load", work.name(), &count.to_string(), &port.to_string(), &files.text("user_key")]);
    command.args([names.cipher, names.mac, names.kex]).env("RUST_BACKTRACE", "0");
    command
}

/// Runs a client to its end; its processor seconds, or what it said instead.
pub fn spent(files: &Files, mut command: Command) -> Result<f64, String> {
    let said = File::create(files.path("said")).expect("a file");
    let child = command.stdout(Stdio::null()).stderr(said).spawn().map_err(|error| error.to_string())?;
    match cost::wait(child) {
        (true, spent) => Ok(spent),
        (false, _) => Err(std::fs::read_to_string(files.path("said")).unwrap_or_default()),
    }
}

fn named(command: &mut Command, dashes: &str, names: Names) {
    for (option, name) in [("cipher", names.cipher), ("mac", names.mac), ("kex", names.kex)] {
        command.args([&format!("{dashes}{option}"), name]);
    }
}

fn knows(generation: Generation, names: Names) -> bool {
    let known = crate::openssh::names(&mut Command::new(generation.program("ssh")), "kex");
    known.iter().any(|name| name == names.kex)
}
