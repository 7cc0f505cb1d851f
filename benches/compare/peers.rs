//! Whoever is compared: how its server is started, and how its client is.

use crate::cost;
use crate::load::Work;
use crate::openssh::{Files, Generation, Running, Server, ours, ssh, sshd};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

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
    /// `examples/bench_server`.
    Ours {
        workers: usize,
    },
    /// The program of `benches/compare/russh`.
    Russh(PathBuf),
    /// The program of `benches/compare/go`.
    Go(PathBuf),
    OpenSsh(Generation),
}

impl Peer {
    pub const OURS: Self = Self::Ours { workers: 1 };
    pub const OURS_ON_TWO: Self = Self::Ours { workers: 2 };

    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ours { workers: 1 } => "ours",
            Self::Ours { .. } => "ours, 2 workers",
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
            Self::Ours { workers } => {
                let mut command = ours("bench_server");
                command.args(["-p", "0", "-h", &files.text("host_key")]);
                let (keys, workers) = (files.text("authorized_keys"), workers.to_string());
                let options = [
                    ("AuthorizedKeysFile", keys.as_str()),
                    ("Workers", &workers),
                    ("Ciphers", names.cipher),
                    ("MACs", names.mac),
                    ("KexAlgorithms", names.kex),
                ];
                for (keyword, value) in options {
                    command.args(["-o", &format!("{keyword}={value}")]);
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
            Self::Ours { .. } => load(files, names, port, work, count),
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

/// A client that works with whoever runs it.
pub struct Guided {
    pub pid: u32,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Guided {
    /// What it says next; nothing if it ends instead.
    pub fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).ok().filter(|n| *n > 0)?;
        Some(line.trim_end().to_owned())
    }

    /// The numbers that it says next.
    pub fn hear_numbers<const N: usize>(&mut self) -> Option<[f64; N]> {
        let line = self.hear()?;
        let numbers: Vec<f64> = line.split(' ').map_while(|word| word.parse().ok()).collect();
        numbers.try_into().ok()
    }

    pub fn go_on(&mut self) {
        // If it has ended, it says no more.
        let _ended = self.input.write_all(b"\n");
    }
}

/// Runs a client and does `guide` meanwhile, after which it ends; what that gives, or what the client said instead.
pub fn guided<T>(
    files: &Files,
    mut command: Command,
    guide: impl FnOnce(&mut Guided) -> Option<T>,
) -> Result<T, String> {
    let said = File::create(files.path("said")).expect("a file");
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(said).spawn();
    let mut child = child.map_err(|error| error.to_string())?;
    let (input, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let mut client = Guided { pid: child.id(), input, output: BufReader::new(output) };
    let heard = guide(&mut client);
    drop(client);
    cost::wait(child);
    heard.ok_or_else(|| std::fs::read_to_string(files.path("said")).unwrap_or_default())
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
