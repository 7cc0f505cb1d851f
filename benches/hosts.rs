//! `ssh-weblog` at logs on hosts: how long a line takes from its write to its print by each way, and what a hundred hosts cost.
//!
//! ```text
//! cargo build --release --bins && cargo bench --bench hosts [-- HOSTS SECONDS]
//! ```
//!
//! The hosts are one sshd of the newer OpenSSH, by a hundred names, a connection each. A line carries the time of its write; what
//! is measured includes the pipe that it is read from. Lines come at odd times, so that they fall anywhere between two looks.

#[expect(dead_code, reason = "the interop tests use the rest")]
#[path = "../tests/interop/openssh.rs"]
mod openssh;

use openssh::{Files, Generation, Running, ours, sshd, user};
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdout, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const GENERATION: Generation = Generation::Trixie;

/// Lines whose delay is taken.
const LINES: u32 = 100;

fn line(path: &str) -> String {
    format!("203.0.113.7 - - [01/Mar/2026:00:00:00 +0000] \"GET {path} HTTP/1.1\" 200 512 \"-\" \"x\"\n")
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// A watch that prints paths.
struct Watching {
    running: Running,
    lines: BufReader<ChildStdout>,
}

impl Watching {
    fn start(files: &Files, words: &[&str], logs: impl Iterator<Item = String>) -> Self {
        let mut command = ours("ssh-weblog");
        command.args(["-F", &files.text("config"), "-n1", "--format", "{path}"]).args(words).args(logs);
        command.env_remove("SSH_AUTH_SOCK").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut running = Running::start(&mut command);
        let lines = BufReader::new(running.child.stdout.take().unwrap());
        Self { running, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.lines.read_line(&mut line).unwrap() > 0, "{}", self.running.log());
        line.trim_end().to_owned()
    }

    /// Processor time so far (seconds).
    fn processor(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.running.child.id())).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_ascii_whitespace().collect();
        fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
    }

    fn memory(&self) -> u64 {
        openssh::resident(self.running.child.id())
    }
}

/// Median, p99 and the most of some times (milliseconds).
fn figures(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times[((times.len() - 1) as f64 * part).round() as usize];
    format!("median {:.0} ms, p99 {:.0} ms, at most {:.0} ms", at(0.5), at(0.99), at(1.0))
}

fn delays(files: &Files, way: &str) {
    let log = files.path("one.log");
    append(&log, &line("/0"));
    let at = |via| ["--via", via, "-q"];
    let (words, name) = match way {
        "local" => (vec!["-q"], files.text("one.log")),
        via => (at(via).to_vec(), format!("{}@host0:{}", user(), files.text("one.log"))),
    };
    let mut watching = Watching::start(files, &words, [name].into_iter());
    watching.line();
    let mut times = Vec::new();
    for number in 1..=LINES {
        // Anywhere within a second, and the same each time.
        sleep(Duration::from_millis(u64::from(number * 7919 % 1000)));
        let begun = Instant::now();
        append(&log, &line(&format!("/{number}")));
        assert_eq!(watching.line(), format!("/{number}"));
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    println!("{way}: {LINES} lines, from write to print: {}", figures(times));
}

fn hosts(files: &Files, hosts: u64, seconds: u64) {
    let log = |host: u64| format!("{host}.log");
    (0..hosts).for_each(|host| append(&files.path(&log(host)), &line("/0")));
    let names = (0..hosts).map(|host| format!("{}@host{host}:{}", user(), files.text(&log(host))));
    let begun = Instant::now();
    let mut watching = Watching::start(files, &["-q", "--via", "sftp"], names);
    (0..hosts).for_each(|_| drop(watching.line()));
    let (there, login) = (begun.elapsed().as_secs_f64(), watching.processor());
    sleep(Duration::from_secs(seconds));
    let idle = watching.processor() - login;
    let before = watching.processor();
    for number in 1..=seconds {
        (0..hosts).for_each(|host| append(&files.path(&log(host)), &line(&format!("/{number}"))));
        (0..hosts).for_each(|_| drop(watching.line()));
    }
    println!(
        "{hosts} hosts: all there after {there:.1} s and {login:.2} s of processor time; idle {:.1} % of a core; {} lines with \
         {:.2} s; {:.1} MiB",
        idle * 100.0 / seconds as f64,
        hosts * seconds,
        watching.processor() - before,
        watching.memory() as f64 / f64::from(1 << 20)
    );
}

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let (count, seconds) = (numbers.first().copied().unwrap_or(100), numbers.get(1).copied().unwrap_or(30));
    let files = Files::new();
    let subsystem = format!("Subsystem sftp {}", GENERATION.program("sftp-server").display());
    let server = sshd(GENERATION, &files, &[&subsystem, "MaxStartups 200"]);
    let key = fs::read_to_string(files.path("host_key.pub")).unwrap();
    let known_hosts = files.write("known_hosts", &format!("bench {key}"));
    files.write(
        "config",
        &format!(
            "Host *\nHostName 127.0.0.1\nPort {}\nHostKeyAlias bench\nUserKnownHostsFile {known_hosts}\n\
             GlobalKnownHostsFile none\nIdentityFile {}\nBatchMode yes\n",
            server.port,
            files.text("user_key")
        ),
    );
    ["local", "sftp", "sh", "tail"].into_iter().for_each(|way| delays(&files, way));
    hosts(&files, count, seconds);
}
