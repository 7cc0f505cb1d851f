//! Bulk by exec, by SFTP, by `-L` and by `-R`: our two programs beside the newer OpenSSH's two, in turns, over loopback, each pair
//! with the same cipher.
//!
//! ```text
//! cargo build --release --bins --examples && cargo bench --bench openssh [-- MIB ROUNDS]
//! ```
//!
//! Rates are from the first byte asked for to the last; processor seconds are those of all processes of either side, user and
//! system. Medians, and the ratio of ours to theirs with the range that single rounds had.

#[expect(dead_code, reason = "the interop tests use the rest")]
#[path = "../tests/interop/openssh.rs"]
mod openssh;

use openssh::{Files, Generation, Running, Server, deadline, our_ssh, our_sshd, ours, run, ssh, sshd};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const GENERATION: Generation = Generation::Trixie;

const CIPHERS: [&str; 2] = ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"];

/// Of the clock that processor time is counted by.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Ours,
    Theirs,
}

/// What one round took: seconds, and processor seconds of the client's and the server's side.
struct Round {
    wall: f64,
    client: f64,
    server: f64,
}

struct Bench {
    files: Files,
    servers: [Server; 2],
    /// Where a copy goes: in memory, where there is /dev/shm.
    place: TempDir,
    bytes: u64,
    cipher: &'static str,
}

impl Bench {
    fn client(&self, side: Side) -> Command {
        let port = self.server(side).port;
        let mut command = match side {
            Side::Ours => our_ssh(&self.files, port),
            Side::Theirs => ssh(GENERATION, &self.files, port),
        };
        command.args(["-c", self.cipher]);
        command
    }

    const fn server(&self, side: Side) -> &Server {
        let [ours, theirs] = &self.servers;
        match side {
            Side::Ours => ours,
            Side::Theirs => theirs,
        }
    }

    fn measure(&self, side: Side, work: impl FnOnce()) -> Round {
        let pid = self.server(side).running.child.id();
        let (client, server, begun) = (processor_seconds("self", true), idle_seconds(pid), Instant::now());
        work();
        let wall = begun.elapsed().as_secs_f64();
        Round { wall, client: processor_seconds("self", true) - client, server: idle_seconds(pid) - server }
    }

    fn exec(&self, side: Side) -> Round {
        let mut command = self.client(side);
        command.arg("127.0.0.1").arg(format!("head -c {} /dev/zero", self.bytes)).stdout(Stdio::null());
        self.measure(side, || assert!(command.stdin(Stdio::null()).status().unwrap().success()))
    }

    fn sftp(&self, side: Side) -> Round {
        let (from, to) = (self.files.text("bulk"), self.place.path().join("copy"));
        let mut command = match side {
            Side::Ours => {
                let mut command = ours("ssh-weblog-cp");
                command.args(["-q", "-F", "none", "-P", &self.server(side).port.to_string()]);
                command.args(["-i", &self.files.text("user_key")]);
                command
            }
            Side::Theirs => {
                let mut command = Command::new(GENERATION.program("scp"));
                command.args(["-q", "-F", "none", "-P", &self.server(side).port.to_string(), "-S"]);
                command.arg(GENERATION.program("ssh")).args(["-i", &self.files.text("user_key")]);
                command
            }
        };
        let known_hosts = self.files.known_hosts(self.server(side).port);
        command.args([
            "-o",
            &format!("UserKnownHostsFile={known_hosts}"),
            "-o",
            "BatchMode=yes",
            "-c",
            self.cipher,
        ]);
        let round = self.measure(side, || {
            let output = run(command.arg(format!("127.0.0.1:{from}")).arg(&to), b"");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        });
        assert_eq!(fs::metadata(&to).unwrap().len(), self.bytes);
        fs::remove_file(to).unwrap();
        round
    }

    /// Through a forwarded port: the source is behind one side, the sink behind the other, both in this process.
    fn forward(&self, side: Side, letter: &str) -> Round {
        let source = TcpListener::bind("127.0.0.1:0").unwrap();
        let (near, behind) = (openssh::free_port(), source.local_addr().unwrap().port());
        let mut command = self.client(side);
        command.args(["-o", "ExitOnForwardFailure=yes", letter]);
        command.arg(format!("127.0.0.1:{near}:127.0.0.1:{behind}"));
        let command = command.args(["127.0.0.1", "echo up >&2; exec cat"]).stdin(Stdio::piped());
        let bytes = self.bytes;
        let sender = thread::spawn(move || {
            let (mut socket, block) = (source.accept().unwrap().0, vec![0; 256 * 1024]);
            let mut left = bytes;
            while left > 0 {
                let n = socket.write(&block[..usize::try_from(left.min(block.len() as u64)).unwrap()]);
                left -= n.unwrap() as u64;
            }
        });
        let mut wall = 0.0;
        let round = self.measure(side, || {
            let mut client = Running::start(command.stdout(Stdio::null()));
            assert!(client.wait_for("up").is_some(), "{}", client.log());
            let begun = Instant::now();
            let (mut socket, mut block) =
                (TcpStream::connect(("127.0.0.1", near)).unwrap(), vec![0; 256 * 1024]);
            socket.set_read_timeout(Some(deadline())).unwrap();
            let mut came = 0;
            while came < bytes {
                match socket.read(&mut block).unwrap() {
                    0 => panic!("the stream ended early"),
                    n => came += n as u64,
                }
            }
            wall = begun.elapsed().as_secs_f64();
            drop((socket, client.child.stdin.take()));
            assert!(client.wait().success(), "{}", client.log());
        });
        sender.join().unwrap();
        Round { wall, ..round }
    }
}

/// Processor seconds of a process, with or without its own, and of those of its children that it has waited for.
fn processor_seconds(pid: &str, only_children: bool) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
    let first = if only_children { 13 } else { 11 };
    fields[first..15].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS_PER_SECOND
}

/// The same once it has no children any more.
fn idle_seconds(pid: u32) -> f64 {
    let until = Instant::now() + deadline();
    let children = format!("/proc/{pid}/task/{pid}/children");
    while !fs::read_to_string(&children).unwrap().trim().is_empty() {
        assert!(Instant::now() < until, "the server's children do not end");
        thread::park_timeout(Duration::from_millis(5));
    }
    processor_seconds(&pid.to_string(), false)
}

/// What is measured of one side.
type Work<'b> = Box<dyn Fn(Side) -> Round + 'b>;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let (mib, rounds) = (numbers.first().copied().unwrap_or(1024), numbers.get(1).copied().unwrap_or(5));
    let files = Files::new();
    let bytes = mib << 20;
    fs::File::create(files.path("bulk")).unwrap().set_len(bytes).unwrap();
    let sftp_server = format!("Subsystem sftp {}", GENERATION.program("sftp-server").display());
    let theirs = sshd(GENERATION, &files, &[&sftp_server]);
    let ours = our_sshd(&files, &["Subsystem=sftp internal-sftp"]);
    let memory = Path::new("/dev/shm");
    let place = tempfile::tempdir_in(if memory.exists() { memory } else { Path::new("/tmp") }).unwrap();
    let mut bench = Bench { files, servers: [ours, theirs], place, bytes, cipher: "" };
    println!("{mib} MiB, {rounds} rounds, ours beside OpenSSH 10.0");
    for cipher in CIPHERS {
        bench.cipher = cipher;
        compare(&bench, rounds);
    }
}

fn compare(bench: &Bench, rounds: u64) {
    println!("{}", bench.cipher);
    println!("work  MiB/s ours  theirs  ratio (range)       CPU s ours (client+server)  theirs  ratio");
    let works: [(&str, Work<'_>); 4] = [
        ("exec", Box::new(|side| bench.exec(side))),
        ("sftp", Box::new(|side| bench.sftp(side))),
        ("-L", Box::new(|side| bench.forward(side, "-L"))),
        ("-R", Box::new(|side| bench.forward(side, "-R"))),
    ];
    let mib = (bench.bytes >> 20) as f64;
    for (name, work) in &works {
        let all: Vec<_> = (0..rounds).map(|_| (work(Side::Ours), work(Side::Theirs))).collect();
        let of = |value: &dyn Fn(&(Round, Round)) -> f64| median(all.iter().map(value).collect());
        let (ours, theirs) = (of(&|pair| pair.0.wall), of(&|pair| pair.1.wall));
        let ratios: Vec<_> = all.iter().map(|pair| pair.1.wall / pair.0.wall).collect();
        let (low, high) =
            ratios.iter().fold((f64::MAX, 0.0_f64), |(low, high), r| (low.min(*r), high.max(*r)));
        let (client, server) = (of(&|pair| pair.0.client), of(&|pair| pair.0.server));
        let (their_client, their_server) = (of(&|pair| pair.1.client), of(&|pair| pair.1.server));
        println!(
            "{name:5} {:10.0} {:7.0}  {:.2} ({low:.2}–{high:.2})  {client:8.2}+{server:.2}  {their_client:8.2}+{their_server:.2}  {:.2}",
            mib / ours,
            mib / theirs,
            theirs / ours,
            (client + server) / (their_client + their_server),
        );
    }
}
