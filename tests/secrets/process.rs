//! Processes that are spoken to and looked into.

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};
use strombus::crypto::{Rng, SystemRng};

/// Nothing here takes longer.
const DEADLINE: Duration = Duration::from_secs(60);
/// Where a state can only be asked for.
const TICK: Duration = Duration::from_millis(20);

/// What is found of a secret: any so many bytes of it.
const PART: usize = 8;
/// Memory is read in pieces.
const PIECE: usize = 4 << 20;

/// Where a part of a secret is.
#[derive(Debug, PartialEq, Eq)]
pub struct Find {
    pub name: &'static str,
    /// Which part.
    pub at: usize,
    pub address: u64,
    pub region: String,
    pub around: String,
}

/// Letters and digits at random.
pub fn random_text(length: usize) -> String {
    let mut bytes = vec![0; length];
    SystemRng.fill(&mut bytes);
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    bytes.iter().map(|byte| char::from(letters[usize::from(byte % 64)])).collect()
}

/// A process that is ended with its owner.
pub struct Process {
    child: Child,
    said: Mutex<Vec<u8>>,
    pieces: Receiver<Vec<u8>>,
    terminal: Option<File>,
}

impl Process {
    /// One whose standard error is listened to.
    pub fn start(command: &mut Command) -> Self {
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stderr = child.stderr.take().unwrap();
        Self { child, said: Mutex::default(), pieces: listen(stderr), terminal: None }
    }

    /// One on a terminal of its own.
    pub fn on_a_terminal(program: &Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let end = || Stdio::from(rustix::fs::open(&name, flags, rustix::fs::Mode::empty()).unwrap());
        let mut command = Command::new("setsid");
        command.arg("-c").arg(program.get_program()).args(program.get_args());
        command.env_remove("SSH_AUTH_SOCK").stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().expect("setsid of util-linux");
        let master = File::from(master);
        let pieces = listen(master.try_clone().unwrap());
        Self { child, said: Mutex::default(), pieces, terminal: Some(master) }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The port that it says it listens on.
    pub fn port(&self) -> u16 {
        let of = |said: &str| {
            let (address, _) = said.split_once("istening on ")?.1.split_once('\n')?;
            address.trim_end_matches('.').rsplit([' ', ':']).next()?.parse().ok()
        };
        self.until(of, || {})
    }

    /// Waits until it has said this.
    pub fn wait_for(&self, text: &str) {
        self.wait_for_and(text, || {});
    }

    /// The same, and does something whenever it has waited a little.
    pub fn wait_for_and(&self, text: &str, meanwhile: impl FnMut()) {
        self.until(|said| said.contains(text).then_some(()), meanwhile);
    }

    fn until<T>(&self, found: impl Fn(&str) -> Option<T>, mut meanwhile: impl FnMut()) -> T {
        let until = Instant::now() + DEADLINE;
        loop {
            let said = String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned();
            if let Some(found) = found(&said) {
                return found;
            }
            assert!(Instant::now() < until, "it said all but what was waited for: {said}");
            match self.pieces.recv_timeout(TICK) {
                Ok(piece) => self.said.lock().unwrap().extend(piece),
                Err(_) => meanwhile(),
            }
        }
    }

    /// Types a line once the terminal shows nothing of it.
    pub fn type_unseen(&self, line: &str) {
        let mut terminal = self.terminal.as_ref().unwrap();
        let (_never, tick) = channel::<()>();
        let until = Instant::now() + DEADLINE;
        while tcgetattr(terminal).unwrap().local_modes.contains(LocalModes::ECHO) {
            assert!(Instant::now() < until, "the terminal shows what is typed");
            let _tick = tick.recv_timeout(TICK);
        }
        terminal.write_all(format!("{line}\r").as_bytes()).unwrap();
    }

    /// Whether a part of the secret is in what it said.
    pub fn said(&self, secret: &[u8]) -> bool {
        while let Ok(piece) = self.pieces.try_recv() {
            self.said.lock().unwrap().extend(piece);
        }
        contains(&self.said.lock().unwrap(), secret)
    }

    /// Whether a part of the secret is in its arguments or its environment.
    pub fn was_given(&self, secret: &[u8]) -> bool {
        ["cmdline", "environ"].iter().any(|name| {
            let given = fs::read(format!("/proc/{}/{name}", self.pid())).unwrap();
            assert!(!given.is_empty());
            contains(&given, secret)
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn listen(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (send, pieces) = channel();
    thread::spawn(move || {
        let mut piece = vec![0; 4096];
        while let Ok(n @ 1..) = from.read(&mut piece) {
            if send.send(piece[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    pieces
}

fn parts(secret: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    (0..).step_by(PART).zip(secret.chunks_exact(PART))
}

fn contains(all: &[u8], secret: &[u8]) -> bool {
    parts(secret).any(|(_, part)| memchr::memmem::find(all, part).is_some())
}

/// Searches all memory of a process that can be read.
pub fn find(pid: u32, secrets: &[(&'static str, Vec<u8>)]) -> Vec<Find> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = OpenOptions::new().read(true).open(format!("/proc/{pid}/mem"));
    let memory = memory.unwrap_or_else(|error| panic!("the memory of a process of one's own: {error}"));
    let mut found = Vec::new();
    let mut searched = 0;
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|digits| u64::from_str_radix(digits, 16).unwrap());
        // The kernel's own pages cannot be read so.
        if !rest.starts_with('r') || rest.ends_with("[vvar]") || rest.ends_with("[vsyscall]") {
            continue;
        }
        let mut piece = vec![0; PIECE.min((end - start) as usize)];
        let mut at = start;
        while at < end {
            let n = memory.read_at(&mut piece, at).unwrap_or(0);
            if n == 0 {
                break;
            }
            for (name, secret) in secrets {
                for (offset, part) in parts(secret) {
                    found.extend(memchr::memmem::find_iter(&piece[..n], part).map(|i| Find {
                        name,
                        at: offset,
                        address: at + i as u64,
                        region: rest.split_ascii_whitespace().last().unwrap().to_owned(),
                        around: piece[i.saturating_sub(48)..(i + 48).min(n)].escape_ascii().to_string(),
                    }));
                }
            }
            searched += n;
            // A part may lie across the edge.
            at += if n > PART && at + (n as u64) < end { n - PART } else { n } as u64;
        }
    }
    assert!(searched > 1 << 20, "only {searched} bytes of memory could be read");
    found
}
