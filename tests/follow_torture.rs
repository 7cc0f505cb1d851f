//! A log that is rotated under a writer in a hurry, followed in a loop that is told by the system: nothing lost, nothing doubled.

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use strombus::weblog::follow::logs::{LocalLogs, Told};
use strombus::weblog::follow::{Options, Start};

/// Lines of a scenario.
const LINES: u64 = 4000;

/// Lines between two rotations.
const EVERY: u64 = 400;

/// How long at the most nothing new may come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A writer and whoever rotates its log.
struct Writer {
    path: PathBuf,
    file: File,
    written: u64,
    /// What the reader has.
    seen: std::sync::mpsc::Receiver<u64>,
    read: u64,
}

impl Writer {
    fn open(path: &Path) -> File {
        OpenOptions::new().append(true).create(true).open(path).unwrap()
    }

    fn write(&mut self, count: u64) {
        for number in self.written..self.written + count {
            self.file
                .write_all(format!("{number} 203.0.113.7 \"GET /x HTTP/1.1\" 200 1\n").as_bytes())
                .unwrap();
        }
        self.written += count;
    }

    /// Until all that was written has been read.
    fn catch_up(&mut self) {
        while self.read < self.written {
            match self.seen.recv_timeout(PATIENCE) {
                Ok(read) => self.read = read,
                Err(RecvTimeoutError::Timeout) => panic!("{} of {} are read", self.read, self.written),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn sibling(&self, number: u64) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    fn shift(&self) {
        for number in (1..40).rev() {
            let _none = fs::rename(self.sibling(number), self.sibling(number + 1));
        }
    }

    fn rename(&mut self) -> File {
        self.shift();
        fs::rename(&self.path, self.sibling(1)).unwrap();
        core::mem::replace(&mut self.file, Self::open(&self.path))
    }
}

/// The new file is there, and the writer writes to the old one for a while.
fn rename_create_late_reopen(writer: &mut Writer) {
    let old = writer.rename();
    let new = core::mem::replace(&mut writer.file, old);
    writer.write(60);
    writer.catch_up(); // so that it was seen after the rename
    writer.write(60);
    writer.file = new;
}

fn rename_create_burst(writer: &mut Writer) {
    writer.write(200);
    writer.rename();
}

/// What comes between the copy and the truncation is lost by this way of rotating; nothing comes here.
fn copy_truncate(writer: &mut Writer) {
    writer.write(50);
    writer.shift();
    fs::copy(&writer.path, writer.sibling(1)).unwrap();
    writer.file.set_len(0).unwrap();
}

fn truncate_and_grow_beyond(writer: &mut Writer) {
    writer.catch_up();
    writer.file.set_len(0).unwrap();
    writer.write(EVERY * 2);
}

fn delete_and_create(writer: &mut Writer) {
    writer.catch_up();
    fs::remove_file(&writer.path).unwrap();
    writer.file = Writer::open(&writer.path);
}

fn two_rotations_at_once(writer: &mut Writer) {
    writer.rename();
    writer.write(40);
    writer.rename();
}

fn torture(scenario: fn(&mut Writer), is_ordered: bool) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let file = Writer::open(&path);
    let (see, seen) = channel();
    let (finish, finished) = channel();
    let mut writer = Writer { path: path.clone(), file, written: 0, seen, read: 0 };
    let writing = thread::spawn(move || {
        writer.write(1);
        writer.catch_up(); // it is followed
        while writer.written < LINES {
            writer.write(EVERY);
            scenario(&mut writer);
        }
        writer.write(1);
        finish.send(writer.written).unwrap();
    });
    let numbers = follow(&path, &see, &finished);
    writing.join().unwrap();
    let total = numbers.len() as u64;
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    let doubled = sorted.windows(2).filter(|pair| pair[0] == pair[1]).count();
    sorted.dedup();
    println!("figure: {total} lines, {doubled} doubled, {} lost", LINES.max(total) - sorted.len() as u64);
    assert_eq!(sorted, (0..sorted.len() as u64).collect::<Vec<_>>(), "lost");
    assert_eq!(doubled, 0);
    assert!(!is_ordered || numbers == sorted, "out of order");
}

/// What is read until everything is.
fn follow(path: &Path, see: &Sender<u64>, finished: &std::sync::mpsc::Receiver<u64>) -> Vec<u64> {
    let mut logs = LocalLogs::new(Instant::now());
    let ledger = Rc::default();
    logs.add(path, Options { start: Start::Line(1), ..Options::default() }, Rc::clone(&ledger));
    let (mut poll, mut events) = (Poll::new().unwrap(), Events::with_capacity(8));
    let descriptor = logs.descriptor().unwrap();
    poll.registry().register(&mut SourceFd(&descriptor), Token(0), Interest::READABLE).unwrap();
    let (mut numbers, mut wanted, mut changed) = (Vec::new(), None, Instant::now());
    loop {
        let now = Instant::now();
        let before = numbers.len();
        let next = logs.turn(now, |_, told| match told {
            Told::Line(_, line) => {
                let text = str::from_utf8(line.bytes).unwrap();
                assert!(text.ends_with(" 200 1") && !line.partial, "{text}");
                numbers.push(text.split(' ').next().unwrap().parse().unwrap());
            }
            Told::Directives(_) | Told::Note(_) => {}
            Told::End(why) => panic!("{why:?}"),
        });
        if numbers.len() > before {
            changed = now;
            let _nobody_waits = see.send(numbers.len() as u64);
        }
        wanted = wanted.or_else(|| finished.try_recv().ok());
        // A look after the last one, for what would be doubled.
        let waited = now.duration_since(changed);
        if wanted.is_some_and(|wanted| numbers.len() as u64 >= wanted) && waited > Duration::from_secs(2) {
            let receipt = ledger.receipt();
            assert_eq!(receipt.written, receipt.read);
            return numbers;
        }
        assert!(waited < PATIENCE, "{} of {wanted:?}", numbers.len());
        let timeout = next.map(|next| next.saturating_duration_since(now));
        poll.poll(&mut events, timeout.map(|time| time.min(Duration::from_secs(1)))).unwrap();
    }
}

#[test]
fn renamed_and_made_anew_while_the_writer_keeps_the_old_file() {
    torture(rename_create_late_reopen, false);
}

#[test]
fn renamed_and_made_anew_after_a_burst() {
    torture(rename_create_burst, true);
}

#[test]
fn copied_and_truncated() {
    torture(copy_truncate, true);
}

#[test]
fn truncated_and_grown_past_the_old_size() {
    torture(truncate_and_grow_beyond, true);
}

#[test]
fn deleted_and_made_anew() {
    torture(delete_and_create, true);
}

#[test]
fn rotated_twice_at_once() {
    torture(two_rotations_at_once, true);
}
