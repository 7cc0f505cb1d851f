//! Copies by SFTP: `ssh-weblog-cp` beside OpenSSH's `sftp` and `scp`, from and to a server of either; whole runs, logins included,
//! all with the same cipher. What arrived is counted after each. Files lie in memory where there is /dev/shm. `tar` through `ssh`,
//! which is no SFTP, shows what small files could take.

use crate::contest::{Contest, Contestant};
use crate::cost;
use crate::delay::Link;
use crate::openssh::{Files, Generation, Server, our_sshd, ours, sshd};
use crate::rows::{Sizes, sides};
use crate::table::Column;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use tempfile::TempDir;

const GENERATION: Generation = Generation::Trixie;
const CIPHER: &str = "aes128-gcm@openssh.com";

/// One of the small files (bytes).
const SMALL: usize = 4096;

/// So many of them; through the link, where scp takes several round trips each, fewer.
const MANY: usize = 10_000;
const MANY_FAR: usize = 200;

/// Through the link a large file is such a part of what is asked for.
const PART_FAR: u64 = 16;

#[derive(Clone, Copy)]
struct Copies {
    is_large: bool,
    is_far: bool,
    is_up: bool,
}

pub fn all() -> Vec<Box<dyn Contest>> {
    let mut all: Vec<Box<dyn Contest>> = Vec::new();
    for is_far in [false, true] {
        for is_large in [true, false] {
            all.extend([false, true].map(|is_up| Box::new(Copies { is_large, is_far, is_up }) as _));
        }
    }
    all
}

impl Contest for Copies {
    fn name(&self) -> String {
        let what = if self.is_large { "large" } else { "small" };
        let (link, way) = (if self.is_far { "-link" } else { "" }, if self.is_up { "up" } else { "down" });
        format!("copy-{what}{link}-{way}")
    }

    fn columns(&self) -> Vec<Column> {
        let column = |head, digits| Column { head, digits, is_compared: true };
        vec![column("wall s", 2), column("both CPU s", 2)]
    }

    fn contestants<'f>(&self, files: &'f Files, sizes: Sizes) -> Vec<Contestant<'f>> {
        // sshd waits for no sftp-server whose client has gone before.
        cost::adopt();
        let place = Rc::new(Place::new(*self, files, sizes));
        let mut all = vec![
            (Program::Ours, Side::Ours),
            (Program::Ours, Side::Theirs),
            (Program::Sftp, Side::Ours),
            (Program::Sftp, Side::Theirs),
            (Program::Scp, Side::Theirs),
        ];
        if !self.is_large {
            all.push((Program::Tar, Side::Theirs));
        }
        let contestant = |(program, side)| {
            let place = Rc::clone(&place);
            Contestant { name: name(program, side), round: Box::new(move || place.copy(program, side)) }
        };
        all.into_iter().map(contestant).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Ours,
    Sftp,
    Scp,
    Tar,
}

/// Whose server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Ours,
    Theirs,
}

const fn name(program: Program, side: Side) -> &'static str {
    match (program, side) {
        (Program::Ours, Side::Ours) => "ours, with ours",
        (Program::Ours, Side::Theirs) => "ours, with OpenSSH 10",
        (Program::Sftp, Side::Ours) => "sftp of OpenSSH 10, with ours",
        (Program::Sftp, Side::Theirs) => "sftp of OpenSSH 10, with its own",
        (Program::Scp, Side::Ours) => "scp of OpenSSH 10, with ours",
        (Program::Scp, Side::Theirs) => "scp of OpenSSH 10, with its own",
        (Program::Tar, _) => "tar through ssh of OpenSSH 10",
    }
}

/// Servers and files of a row.
struct Place<'f> {
    files: &'f Files,
    is_up: bool,
    /// Each with the port that it is reached by.
    servers: [(Server, u16); 2],
    known_hosts: String,
    directory: TempDir,
    /// What is there to be copied.
    whole: (usize, u64),
}

impl<'f> Place<'f> {
    fn new(row: Copies, files: &'f Files, sizes: Sizes) -> Self {
        let key = fs::read_to_string(files.path("host_key.pub")).expect("a key");
        let known_hosts = files.write("known_hosts_of_copies", &format!("bench {key}"));
        let sftp_server = format!("Subsystem sftp {}", GENERATION.program("sftp-server").display());
        // A bash of this level reads no ~/.bashrc, which is nothing of OpenSSH's.
        let theirs = sshd(GENERATION, files, &[&sftp_server, "LogLevel INFO", "SetEnv SHLVL=1"]);
        let servers = [our_sshd(files, &["Subsystem=sftp internal-sftp"]), theirs].map(|server| {
            let link = Link { delay: sizes.round_trip / 2, rate: None };
            let port = if row.is_far { link.to(server.port) } else { server.port };
            (server, port)
        });
        let memory = Path::new("/dev/shm");
        let directory = if memory.exists() { memory.to_owned() } else { std::env::temp_dir() };
        let directory = tempfile::tempdir_in(directory).expect("a directory");
        let from = directory.path().join("from");
        fs::create_dir(&from).expect("a directory");
        if row.is_large {
            let mut large = File::create(from.join("large")).expect("a file");
            let bytes = if row.is_far { sizes.bytes / PART_FAR } else { sizes.bytes };
            (0..bytes >> 20).for_each(|_| large.write_all(&[b'x'; 1 << 20]).expect("room"));
        } else {
            let many = if row.is_far { MANY_FAR } else { MANY };
            (0..many).for_each(|n| fs::write(from.join(format!("file{n}")), [b'x'; SMALL]).expect("room"));
        }
        let whole = size(&from);
        Self { files, is_up: row.is_up, servers, known_hosts, directory, whole }
    }

    fn copy(&self, program: Program, side: Side) -> Result<Vec<f64>, String> {
        let to = self.directory.path().join("to");
        let _none_yet = fs::remove_dir_all(&to);
        let [ours, theirs] = &self.servers;
        let (server, port) = match side {
            Side::Ours => ours,
            Side::Theirs => theirs,
        };
        let command = self.command(program, *port, &self.directory.path().join("from"), &to);
        let both = sides(self.files, server.running.child.id(), command)?;
        let of_adopted = cost::of_adopted(&[ours, theirs].map(|(server, _)| server.running.child.id()));
        match size(&to) {
            arrived if arrived == self.whole => Ok(vec![both.wall, both.client + both.server + of_adopted]),
            (files, bytes) => Err(format!("{files} files and {bytes} bytes arrived")),
        }
    }

    fn command(&self, program: Program, port: u16, from: &Path, to: &Path) -> Command {
        let (port, from, to) = (port.to_string(), from.display(), to.display());
        let ssh = GENERATION.program("ssh");
        let mut command = match program {
            Program::Ours => ours("ssh-weblog-cp"),
            Program::Sftp => Command::new(GENERATION.program("sftp")),
            Program::Scp => Command::new(GENERATION.program("scp")),
            Program::Tar => Command::new("sh"),
        };
        let (send, receive) = (format!("tar -cf - -C '{from}' ."), format!("tar -xf - -C '{to}'"));
        if program == Program::Tar {
            fs::create_dir(to.to_string()).expect("a directory");
            let ssh_there = r#""$@" 127.0.0.1 "$THERE""#;
            let (script, there) = match self.is_up {
                true => (format!("{send} | {ssh_there}"), receive),
                false => (format!("{ssh_there} | {receive}"), send),
            };
            command.env("THERE", there).args(["-c", &script, "sh"]).arg(&ssh);
        }
        command.args(["-q", "-F", "none", "-c", CIPHER, "-i", &self.files.text("user_key")]);
        command.args(["-o", &format!("UserKnownHostsFile={}", self.known_hosts)]);
        command.args(["-o", "HostKeyAlias=bench", "-o", "BatchMode=yes"]);
        command.args([if program == Program::Tar { "-p" } else { "-P" }, &port]);
        if matches!(program, Program::Sftp | Program::Scp) {
            command.arg("-S").arg(&ssh);
        }
        match program {
            Program::Ours | Program::Scp => {
                let (near, far) = if self.is_up { ("127.0.0.1:", "") } else { ("", "127.0.0.1:") };
                command.args(["-r", &format!("{far}{from}"), &format!("{near}{to}")]);
            }
            Program::Sftp => {
                let word = if self.is_up { "put" } else { "get" };
                let batch = self.files.write("batch", &format!("{word} -r {from} {to}\n"));
                command.args(["-b", &batch, "127.0.0.1"]);
            }
            Program::Tar => {}
        }
        command.env_remove("SSH_AUTH_SOCK").stdin(Stdio::null());
        command
    }
}

/// Files and bytes of a directory.
fn size(of: &Path) -> (usize, u64) {
    let entries = fs::read_dir(of).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .fold((0, 0), |(files, bytes), file| (files + 1, bytes + file.len()))
}
