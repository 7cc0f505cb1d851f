//! The follower that is sent to a host's shell, in the shells that hosts have: dash, bash, and busybox.
//!
//! Nothing is skipped: `tests/setup` installs them.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;
use strombus::weblog::follow::shell::{COMMAND, Event, Gap, Next, Position, ShellFollower, Start};
use tempfile::TempDir;

/// Nothing here takes longer.
const DEADLINE: Duration = Duration::from_secs(90);

const SHELLS: [&[&str]; 3] = [&["dash", "-s"], &["bash", "-s"], &["busybox", "sh", "-s"]];

/// One test in all shells at once: each waits most of the time.
fn in_all_shells(test: fn(&'static [&'static str])) {
    thread::scope(|scope| {
        for shell in SHELLS {
            scope.spawn(move || test(shell));
        }
    });
}

/// What a run has told so far.
#[derive(Default)]
struct Told {
    /// Bytes of each file, in the order of their beginning.
    files: BTreeMap<u64, Vec<u8>>,
    /// Where each began.
    offsets: Vec<u64>,
    ended: Vec<u64>,
    gaps: Vec<Gap>,
    missing: usize,
    denied: usize,
    alive: Vec<u64>,
}

impl Told {
    fn texts(&self) -> Vec<String> {
        self.files.values().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }
}

/// A follower of a log, in one shell.
struct Case {
    directory: TempDir,
    log: PathBuf,
    shell: &'static [&'static str],
    follower: ShellFollower,
    child: Child,
    chunks: Receiver<Vec<u8>>,
    told: Told,
    runs: u8,
}

impl Case {
    /// `before` is in the log when it begins; without it there is none.
    fn new(shell: &'static [&'static str], before: Option<&str>, start: Start) -> Self {
        Self::named(shell, "access.log", before, start)
    }

    fn named(shell: &'static [&'static str], name: &str, before: Option<&str>, start: Start) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join(name);
        if let Some(before) = before {
            fs::write(&log, before).unwrap();
        }
        let mut follower = ShellFollower::new(name.as_bytes(), start);
        let (child, chunks) = run(shell, directory.path(), &mut follower, 1);
        Self { directory, log, shell, follower, child, chunks, told: Told::default(), runs: 1 }
    }

    /// Another run, as after a lost connection.
    fn again(&mut self) {
        self.end();
        self.runs += 1;
        (self.child, self.chunks) = run(self.shell, self.directory.path(), &mut self.follower, self.runs);
    }

    fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Takes what comes until it is enough.
    fn until(&mut self, what: &str, is_enough: impl Fn(&Told) -> bool) {
        while !is_enough(&self.told) {
            let chunk = self.chunks.recv_timeout(DEADLINE).unwrap_or_else(|_| {
                panic!("{:?}: {what} never came; {:?} {:?}", self.shell, self.told.texts(), self.told.gaps)
            });
            let told = &mut self.told;
            let next = self.follower.handle_data(&chunk, |event| match event {
                Event::Began { generation, offset, .. } => {
                    told.offsets.push(offset);
                    told.files.entry(generation).or_default();
                }
                Event::Data { generation, bytes, .. } => {
                    told.files.get_mut(&generation).unwrap().extend_from_slice(bytes);
                }
                Event::Ended { generation } => told.ended.push(generation),
                Event::Gap(gap) => told.gaps.push(gap),
                Event::Missing => told.missing += 1,
                Event::Denied => told.denied += 1,
                Event::Alive { size } => told.alive.push(size),
            });
            match next.unwrap() {
                Next::Wait => {}
                Next::Again => self.again(),
                Next::Special | Next::Done => panic!("{what}: {next:?}"),
            }
        }
    }

    fn until_all(&mut self, texts: &[&str]) {
        self.until(&format!("{texts:?}"), |told| told.texts().concat().len() >= texts.concat().len());
        assert_eq!(self.told.texts(), texts, "{:?}", self.shell);
    }

    /// Waits until it has just looked, and does not look again for a second.
    fn until_it_sleeps(&mut self) {
        let before = self.told.alive.len();
        self.until("a sign of life", |told| told.alive.len() > before);
    }

    fn append(&self, text: &str) {
        self.open().write_all(text.as_bytes()).unwrap();
    }

    /// The log as its writer has it.
    fn open(&self) -> File {
        OpenOptions::new().append(true).create(true).open(&self.log).unwrap()
    }

    fn rotate(&self, to: &str) {
        fs::rename(&self.log, self.directory.path().join(to)).unwrap();
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn run(
    shell: &[&str],
    directory: &Path,
    follower: &mut ShellFollower,
    random: u8,
) -> (Child, Receiver<Vec<u8>>) {
    let mut child = Command::new(shell[0])
        .args(&shell[1..])
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{shell:?}: {error}; tests/setup installs it"));
    child.stdin.take().unwrap().write_all(&follower.begin([random; 16])).unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (send, chunks) = channel();
    thread::spawn(move || {
        let mut chunk = [0; 65_536];
        while let Ok(n @ 1..) = stdout.read(&mut chunk) {
            if send.send(chunk[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    (child, chunks)
}

#[test]
fn lines_come_once_and_in_order_through_rotation_deletion_and_a_late_file() {
    in_all_shells(|shell| {
        let mut case = Case::new(shell, None, Start::LinesBeforeEnd(0));
        case.until("missing", |told| told.missing == 1);
        case.append("1\n2");
        case.until_all(&["1\n2"]);
        let mut writer = case.open();
        writer.write_all(b"\n3\n").unwrap();
        case.rotate("access.log.1");
        writer.write_all(b"4\n").unwrap();
        case.append("6\n");
        case.until_all(&["1\n2\n3\n4\n", "6\n"]);
        // Its writer has not noticed yet.
        writer.write_all(b"5\n").unwrap();
        case.until_all(&["1\n2\n3\n4\n5\n", "6\n"]);
        let mut writer = case.open();
        fs::remove_file(&case.log).unwrap();
        case.until("missing", |told| told.missing == 2);
        writer.write_all(b"7\n").unwrap();
        case.until_all(&["1\n2\n3\n4\n5\n", "6\n7\n"]);
        case.append("8\n");
        case.until_all(&["1\n2\n3\n4\n5\n", "6\n7\n", "8\n"]);
        case.until("the end of the old ones", |told| told.ended == [0, 1]);
        case.until("alive", |told| told.alive.last() == Some(&2));
        assert_eq!(case.told.gaps, []);
    });
}

#[test]
fn what_cannot_be_seen_of_a_file_that_was_emptied_is_a_gap_with_a_name() {
    in_all_shells(|shell| {
        let mut case = Case::new(shell, Some("old 1\nold 2\n"), Start::Line(1));
        case.until_all(&["old 1\nold 2\n"]);
        case.until_it_sleeps();
        fs::write(&case.log, "new 1\n").unwrap();
        case.until_all(&["old 1\nold 2\n", "new 1\n"]);
        assert_eq!(case.told.gaps, [Gap::Truncated]);
        case.until_it_sleeps();
        fs::write(&case.log, "much more than there was before\n").unwrap();
        case.until_all(&["old 1\nold 2\n", "new 1\n", "much more than there was before\n"]);
        assert_eq!(case.told.gaps, [Gap::Truncated, Gap::Rewritten]);
        case.append("and on\n");
        case.until("more", |told| told.texts()[2].ends_with("before\nand on\n"));
        assert_eq!(case.told.ended, [0, 1]);
    });
}

#[test]
fn it_begins_where_it_is_told_and_at_its_last_lines() {
    in_all_shells(|shell| {
        let lines: String = (0..60_000).map(|n| format!("{n:09}\n")).collect();
        for (start, offset) in [
            (Start::Line(7), 60),
            (Start::LinesBeforeEnd(0), 600_000),
            (Start::LinesBeforeEnd(3), 599_970),
            (Start::LinesBeforeEnd(50_000), 100_000),
            (Start::LinesBeforeEnd(70_000), 0),
        ] {
            let mut case = Case::new(shell, Some(&lines), start.clone());
            case.until("it begins", |told| !told.offsets.is_empty());
            case.append("end\n");
            case.until("the end", |told| told.texts().concat().ends_with("end\n"));
            let expected = [&lines[offset..], "end\n"].concat();
            assert!(case.told.texts() == [expected], "{shell:?} {start:?} {:?}", case.told.offsets);
            assert_eq!(case.told.offsets, [offset as u64]);
        }
    });
}

#[test]
fn it_goes_on_where_it_was_also_in_a_file_that_was_rotated_meanwhile() {
    in_all_shells(|shell| {
        // Beyond one block of dd's, and not at the end of one.
        let before = "x".repeat(99) + "\n";
        let before = before.repeat(1500);
        let mut case = Case::new(shell, Some(&before), Start::Line(1));
        case.until_all(&[&before]);
        case.end();
        case.append("here\n");
        case.again();
        let here = before.clone() + "here\n";
        case.until_all(&[&here]);
        case.end();
        case.append("rest\n");
        case.rotate("access.log-20260301");
        case.append("new\n");
        case.again();
        let rest = here + "rest\n";
        case.until_all(&[&rest, "new\n"]);
        case.until("the end of the old one", |told| told.ended == [0]);
        case.end();
        case.rotate("gone");
        case.append("another\n");
        case.again();
        case.until_all(&[&rest, "new\n", "another\n"]);
        assert_eq!(case.told.gaps, [Gap::NotFound]);
        // Another file with the same number.
        let position =
            Position { before: b"something else".to_vec(), ..case.follower.position().unwrap().clone() };
        let mut other = ShellFollower::new(b"access.log", Start::At(position));
        case.end();
        (case.child, case.chunks) = run(shell, case.directory.path(), &mut other, 9);
        (case.follower, case.told) = (other, Told::default());
        case.until_all(&["another\n"]);
        assert_eq!(case.told.gaps, [Gap::NotTheSame]);
    });
}

#[test]
fn t100_a_name_is_a_name_and_a_log_forges_no_mark() {
    in_all_shells(|shell| {
        for name in ["it's a log", "-n", "$(id)*[a]\n`id`", "\u{fc}"] {
            let nonce = "01".repeat(16);
            let forged = format!("\x1e{} W\n\x1e{nonce}\n\x1e\n\0\u{80}\u{81}\n", "02".repeat(16));
            let mut case = Case::named(shell, name, Some(&forged), Start::Line(1));
            case.until_all(&[&forged]);
            case.append("more\n");
            let all = forged + "more\n";
            case.until_all(&[&all]);
            assert_eq!((case.told.missing, case.told.gaps.len()), (0, 0));
        }
    });
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    in_all_shells(|shell| {
        let mut case = Case::new(shell, None, Start::Line(1));
        case.until("missing", |told| told.missing == 1);
        fs::create_dir(&case.log).unwrap();
        let special = loop {
            let chunk = case.chunks.recv_timeout(DEADLINE).unwrap();
            match case.follower.handle_data(&chunk, |_| {}).unwrap() {
                Next::Wait => {}
                next => break next,
            }
        };
        assert_eq!(special, Next::Special);
    });
}

#[test]
fn it_ends_when_nobody_reads_it_any_more() {
    in_all_shells(|shell| {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("access.log"), "a\n").unwrap();
        let mut follower = ShellFollower::new(b"access.log", Start::Line(1));
        let (mut child, chunks) = run(shell, directory.path(), &mut follower, 1);
        chunks.recv_timeout(DEADLINE).unwrap();
        drop(chunks); // the next chunk ends the thread, and with it the pipe; the one after ends the shell
        let pid = rustix::process::Pid::from_child(&child);
        let (over, ended) = channel::<()>();
        let watchdog = thread::spawn(move || {
            if ended.recv_timeout(DEADLINE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                let _ended = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                panic!("it runs on");
            }
        });
        child.wait().unwrap();
        drop(over);
        watchdog.join().unwrap();
    });
}

#[test]
fn a_login_shell_is_told_three_words() {
    assert_eq!(COMMAND, "exec sh -s");
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    fs::write(&log, "a\n").unwrap();
    let mut follower = ShellFollower::new(b"log", Start::Line(1));
    let (mut child, chunks) = run(&["sh", "-c", COMMAND], directory.path(), &mut follower, 1);
    let mut text = Vec::new();
    while text.is_empty() {
        let chunk = chunks.recv_timeout(DEADLINE).unwrap();
        let told = follower.handle_data(&chunk, |event| {
            if let Event::Data { bytes, .. } = event {
                text.extend_from_slice(bytes);
            }
        });
        assert_eq!(told, Ok(Next::Wait));
    }
    assert_eq!(text, b"a\n");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn one_that_is_to_go_to_the_end_says_when_it_is_there_and_ends() {
    in_all_shells(|shell| {
        for (before, start, expected) in [
            (Some("a\nb\nc"), Start::Line(2), "b\nc"),
            (Some("a\nb\nc"), Start::LinesBeforeEnd(1), "b\nc"),
            (Some(""), Start::Line(1), ""),
            (None, Start::Line(1), "missing"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            if let Some(before) = before {
                fs::write(directory.path().join("log"), before).unwrap();
            }
            let mut follower = ShellFollower::new(b"log", start).to_the_end();
            let (mut child, chunks) = run(shell, directory.path(), &mut follower, 1);
            let (mut came, mut next) = (String::new(), Next::Wait);
            while next == Next::Wait {
                let chunk =
                    chunks.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("{shell:?}: no end: {came}"));
                let taken = follower.handle_data(&chunk, |event| match event {
                    Event::Data { bytes, .. } => came += std::str::from_utf8(bytes).unwrap(),
                    Event::Missing => came += "missing",
                    _ => {}
                });
                next = taken.unwrap();
            }
            assert_eq!((next, came.as_str()), (Next::Done, expected), "{shell:?}");
            assert!(child.wait().unwrap().success(), "{shell:?}: it is gone by itself");
        }
    });
}
