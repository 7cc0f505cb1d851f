//! Files that are read from their beginning for a report, beside the loop: a log may have many gigabytes.
//!
//! It does not know who asked.

use super::logs::Begun;
use crate::weblog::lines::LineSplitter;
use crate::weblog::view::{Place, Receipt, Run, View};
use mio::Waker;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Reports that may wait; who asks beyond is told to come later.
pub const JOBS_MAX: usize = 32;

/// Threads that read.
const THREADS: usize = 2;

/// Bytes of a read.
const CHUNK: usize = 256 * 1024;

/// What is to be read, for whom.
pub(super) struct Job<T> {
    pub(super) about: T,
    pub(super) view: Arc<View>,
    /// Each with the name of its log.
    pub(super) files: Vec<(String, Begun)>,
    /// Nobody waits any more.
    pub(super) cancel: Arc<AtomicBool>,
}

/// What came of it.
pub(super) struct Done<T> {
    pub(super) about: T,
    pub(super) run: Run,
    pub(super) receipts: Vec<Receipt>,
    /// How far each file was read.
    pub(super) read: Vec<(Begun, u64)>,
}

/// The threads.
pub(super) struct Jobs<T> {
    jobs: SyncSender<Job<T>>,
    done: Receiver<Done<T>>,
}

impl<T: Send + 'static> Jobs<T> {
    /// Starts the threads; `waker` is used after each job.
    pub(super) fn spawn(waker: &Arc<Waker>) -> io::Result<Self> {
        let (jobs, theirs) = sync_channel(JOBS_MAX);
        let (done, ours) = channel();
        let theirs = Arc::new(Mutex::new(theirs));
        for _ in 0..THREADS {
            let (jobs, done, waker) = (Arc::clone(&theirs), done.clone(), Arc::clone(waker));
            thread::Builder::new().name("report".to_owned()).spawn(move || work(&jobs, &done, &waker))?;
        }
        Ok(Self { jobs, done: ours })
    }

    /// Reads later; whether there is room for it.
    pub(super) fn start(&self, job: Job<T>) -> bool {
        self.jobs.try_send(job).is_ok()
    }

    /// One that is done.
    pub(super) fn done(&self) -> Option<Done<T>> {
        self.done.try_recv().ok()
    }
}

fn work<T>(jobs: &Mutex<Receiver<Job<T>>>, done: &Sender<Done<T>>, waker: &Waker) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { about, view, files, cancel }) = job else { return };
        let mut run = Run::new(view);
        let (mut receipts, mut read) = (Vec::new(), Vec::new());
        for (source, begun) in files {
            // A file that is not there has nothing to report.
            let end = read_file(&source, &begun, &mut run, &cancel).unwrap_or_default();
            let receipt = Receipt { source, written: end, read: end, generations: 0, gaps: Vec::new() };
            receipts.push(receipt);
            read.push((begun, end));
        }
        if done.send(Done { about, run, receipts, read }).is_err() || waker.wake().is_err() {
            return;
        }
    }
}

/// Shows the whole lines of a file to a run; where the last one ends.
fn read_file(source: &str, begun: &Begun, run: &mut Run, cancel: &AtomicBool) -> io::Result<u64> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut file = File::from(rustix::fs::open(&begun.path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(0);
    }
    let (mut lines, mut parser) = (LineSplitter::default(), begun.parser.clone());
    let (mut chunk, mut nothing) = (vec![0; CHUNK], Vec::new());
    // What comes while this reads is for later: a busy log has no end.
    let mut left = metadata.len();
    while left > 0 && !cancel.load(Ordering::Relaxed) {
        let room = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = file.read(chunk.get_mut(..room).unwrap_or_default())?;
        if count == 0 {
            break;
        }
        left -= count as u64;
        lines.push(chunk.get(..count).unwrap_or_default(), |line| {
            let record = parser.parse(line.bytes);
            let record = record.as_ref().map(Option::as_ref).map_err(|error| *error);
            run.line(Place { source, seq: None }, &line, record, &mut nothing);
            nothing.clear();
        });
    }
    Ok(lines.line_start())
}
