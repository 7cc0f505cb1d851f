//! `ssh-weblog` with more local logs than it may open.

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

const LOGS: usize = 40;

/// Descriptors that the program may have at first: enough for itself and some of the logs.
const FEW: u64 = 24;

/// A line of its standard output or of its standard error.
enum Said {
    Out(String),
    Err(String),
}

/// Ended by its own pid, also by a test that fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

fn read(from: impl Read + Send + 'static, said: fn(String) -> Said, to: Sender<Said>) {
    thread::spawn(move || {
        BufReader::new(from).lines().map_while(Result::ok).map(said).try_for_each(|line| to.send(line))
    });
}

/// Processor time that a process has used, in the system's ticks.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_ascii_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

fn next(lines: &Receiver<Said>) -> Said {
    lines.recv_timeout(Duration::from_secs(60)).expect("it says something")
}

/// The name of the log that a line begins with.
fn name(line: &str) -> String {
    Path::new(line.split([':', ' ']).next().unwrap()).file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn t112_more_logs_than_descriptors_are_told_once_and_read_when_there_are_some() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -Sn {FEW}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_ssh-weblog")]);
    command.args(["-n", "+1", "--format", "{source} {resource}"]);
    for number in 0..LOGS {
        let path = directory.path().join(format!("{number}.log"));
        let line = "203.0.113.7 - - [01/Mar/2026:12:00:00 +0000] \"GET /a HTTP/1.1\" 200 5\n";
        fs::write(&path, line).unwrap();
        command.arg(path);
    }
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut running = Running(spawned.unwrap());
    let (sender, lines) = channel();
    read(running.0.stdout.take().unwrap(), Said::Out, sender.clone());
    read(running.0.stderr.take().unwrap(), Said::Err, sender);
    let (mut shown, mut told) = (BTreeSet::new(), BTreeSet::new());
    while shown.len() + told.len() < LOGS {
        match next(&lines) {
            Said::Out(line) => assert!(shown.insert(name(&line)), "{line}"),
            Said::Err(line) if line.contains("too many open files; name fewer logs") => {
                assert!(told.insert(name(&line)), "{line}");
            }
            Said::Err(line) => panic!("{line}"),
        }
    }
    assert!(!shown.is_empty() && told.len() > LOGS / 4, "{shown:?} {told:?}");
    // It tries again each second, of which nothing is said, and which costs nothing to speak of.
    let pid = running.0.id();
    let before = ticks(pid);
    match lines.recv_timeout(Duration::from_secs(3)) {
        Err(RecvTimeoutError::Timeout) => {}
        Ok(Said::Out(line) | Said::Err(line)) => panic!("{line}"),
        Err(RecvTimeoutError::Disconnected) => panic!("it has ended"),
    }
    let used = ticks(pid) - before;
    assert!(used < 100, "{used} of 300 ticks");
    let limit = Rlimit { current: Some(FEW + 4 * LOGS as u64), maximum: Some(FEW + 4 * LOGS as u64) };
    prlimit(Pid::from_raw(pid.try_into().unwrap()), Resource::Nofile, limit).unwrap();
    while shown.len() < LOGS {
        match next(&lines) {
            Said::Out(line) => assert!(shown.insert(name(&line)), "{line}"),
            Said::Err(line) => panic!("{line}"),
        }
    }
}
