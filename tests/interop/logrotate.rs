//! logrotate itself, with the configurations that distributions and administrators use, under logs that are followed here and
//! on hosts.

use super::openssh::{Files, Generation, ours, run, sshd};
use super::watch::Dice;
use super::weblog::{Watching, append, here, hit, ssh_weblog};
use rustix::process::Signal;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A log, how it is rotated, and how its writer goes on.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    words: &'static str,
    writer: Writer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// Goes on in the old file for a while, then opens the new one.
    Late,
    /// Has opened the new one before anything else happens, as a signal in `postrotate` asks for.
    Prompt,
    /// Never opens another.
    Same,
}

const CASES: [Case; 7] = [
    Case { name: "create", words: "create", writer: Writer::Late },
    Case { name: "delayed", words: "create\ncompress\ndelaycompress", writer: Writer::Late },
    Case { name: "packed", words: "create\ncompress", writer: Writer::Prompt },
    Case { name: "dated", words: "create\ndateext\ndateformat -%Y%m%d-%s", writer: Writer::Late },
    Case {
        name: "dated-packed",
        words: "create\ndateext\ndateformat -%Y%m%d-%s\ncompress\ndelaycompress",
        writer: Writer::Late,
    },
    Case { name: "copied", words: "copytruncate", writer: Writer::Same },
    Case { name: "copied-packed", words: "copytruncate\ncompress\ndelaycompress", writer: Writer::Same },
];

/// Times that each log is rotated, once or twice.
const ROUNDS: u64 = 8;

/// Rotated files that are kept: all.
const KEPT: u64 = 2 * ROUNDS;

/// A log as its server writes it.
struct Log {
    case: Case,
    file: File,
    written: u64,
}

impl Log {
    fn new(files: &Files, case: Case) -> Self {
        Self { case, file: Self::open(files, case), written: 1 }
    }

    fn open(files: &Files, case: Case) -> File {
        OpenOptions::new().append(true).create(true).open(files.path(&file(case.name))).unwrap()
    }

    fn write(&mut self, count: u64) {
        for _ in 0..count {
            let line = hit("-", &format!("/{}/{}", self.case.name, self.written), 200);
            self.file.write_all(line.as_bytes()).unwrap();
            self.written += 1;
        }
    }
}

fn file(name: &str) -> String {
    format!("{name}.log")
}

/// Rotates all of them, as cron does it.
fn rotate(files: &Files) {
    let mut config = String::new();
    for Case { name, words, .. } in CASES {
        config +=
            &format!("{} {{\nrotate {KEPT}\nifempty\nmissingok\n{words}\n}}\n", files.text(&file(name)));
    }
    let config = files.write("logrotate.conf", &config);
    let mut command = Command::new("/usr/sbin/logrotate");
    let output = run(command.args(["-f", "-s", &files.text("logrotate.state"), &config]), b"");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.is_empty(), "{told}");
}

fn clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// The clock that logrotate reads may be behind by so much.
const COARSE: Duration = Duration::from_millis(20);

/// Names with the time of day need a second that none has yet. Nobody tells of it.
fn await_second_after(last: u64) {
    let (_never, tick) = channel::<()>();
    while clock() < Duration::from_secs(last + 1) + COARSE {
        let _tick = tick.recv_timeout(Duration::from_millis(10));
    }
}

/// Writes and rotates, while `watching` prints paths and perhaps is stopped at times; each must come once and in its log's order.
fn each_line_comes_once(what: &str, files: &Files, mut watching: Watching, stops: bool) {
    let mut dice = Dice(2003);
    let mut logs = CASES.map(|case| Log::new(files, case));
    let mut next: HashMap<&str, u64> = CASES.map(|case| (case.name, 0)).into();
    let mut see = |watching: &mut Watching| {
        let line = watching.line().unwrap_or_else(|| panic!("{what}: {}", watching.running.log()));
        let (name, number) = line.strip_prefix('/').unwrap().split_once('/').unwrap();
        let next = next.get_mut(name).unwrap();
        assert_eq!(number.parse(), Ok(*next), "{what}: {line}: {}", watching.running.log());
        *next += 1;
    };
    // The line that was there: from now on they are followed.
    let mut seen = 0;
    while seen < CASES.len() as u64 {
        see(&mut watching);
        seen += 1;
    }
    let mut last = 0;
    for round in 0..ROUNDS {
        // Of what is rotated twice while nobody looks, one file is never seen under the log's name.
        let is_stopped = stops && round % 2 == 1;
        if is_stopped {
            // Not amid the search for what the last rotation has left.
            let written: u64 = logs.iter().map(|log| log.written).sum();
            while seen < written {
                see(&mut watching);
                seen += 1;
            }
            watching.running.signal(Signal::STOP);
        }
        for _ in 0..=u64::from(is_stopped) {
            logs.iter_mut().for_each(|log| log.write(1 + dice.throw(20)));
            await_second_after(last);
            rotate(files);
            last = clock().as_secs();
            for log in &mut logs {
                if log.case.writer == Writer::Late {
                    log.write(dice.throw(5));
                }
                if log.case.writer != Writer::Same {
                    log.file = Log::open(files, log.case);
                }
                log.write(1 + dice.throw(5));
            }
        }
        watching.running.signal(Signal::CONT);
        // Sometimes all of it is read before it goes on, sometimes it goes on at once.
        let written: u64 = logs.iter().map(|log| log.written).sum();
        while dice.throw(2) == 0 && seen < written {
            see(&mut watching);
            seen += 1;
        }
    }
    logs.iter_mut().for_each(|log| log.write(1));
    let written: u64 = logs.iter().map(|log| log.written).sum();
    while seen < written {
        see(&mut watching);
        seen += 1;
    }
    watching.running.signal(Signal::INT);
    assert_eq!(watching.line(), None, "{what}: nothing comes twice");
    assert_eq!(watching.running.wait().code(), Some(130));
    watching.running.wait_for("receipt ").unwrap();
    let told = watching.running.log();
    assert!(!told.contains(": gap"), "{what}: {told}");
}

fn start(files: &Files, mut command: Command, at: &str) -> Watching {
    for case in CASES {
        append(&files.path(&file(case.name)), &hit("-", &format!("/{}/0", case.name), 200));
        command.arg(format!("{at}{}", files.text(&file(case.name))));
    }
    Watching::start(command.args(["-v", "-n1", "--format", "{path}"]))
}

#[test]
fn what_logrotate_does_to_a_log_here_costs_and_doubles_no_line() {
    let files = Files::new();
    let watching = start(&files, ours("ssh-weblog"), "");
    each_line_comes_once("here", &files, watching, true);
}

#[test]
fn what_logrotate_does_to_a_log_on_a_host_costs_and_doubles_no_line_by_sftp() {
    for generation in Generation::ALL {
        let files = Files::new();
        let subsystem = format!("Subsystem sftp {}", generation.program("sftp-server").display());
        let server = sshd(generation, &files, &[&subsystem]);
        let mut command = ssh_weblog(&files, server.port);
        command.args(["--via", "sftp"]);
        let watching = start(&files, command, &format!("{}:", here()));
        each_line_comes_once(&format!("{generation:?}"), &files, watching, false);
    }
}
