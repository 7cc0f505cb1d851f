//! Files that are read from their beginning for a report, beside the loop: a log may have many gigabytes.
//!
//! It does not know who asked.

use super::caps::{Full, Share};
use super::logs::Begun;
use super::session::User;
use crate::weblog::lines::LineSplitter;
use crate::weblog::view::{Place, Receipt, Run, View};
use mio::Waker;
use rustix::fs::{Mode, OFlags};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Reports that are read or wait for it; who asks beyond is told to come later.
pub const JOBS_MAX: usize = 32;

/// Those of one user, where there are others.
pub const JOBS_OF_USER_MAX: usize = JOBS_MAX / 4;

/// Threads that read.
const THREADS: usize = 2;

/// Bytes of a read.
const CHUNK: usize = 256 * 1024;

/// What is to be read, for whom.
pub(super) struct Job<T> {
    pub(super) about: T,
    pub(super) user: User,
    pub(super) view: Arc<View>,
    /// Each with the name of its log.
    pub(super) files: Vec<(String, Begun)>,
    /// Nobody waits any more.
    pub(super) cancel: Arc<AtomicBool>,
}

/// What came of it.
pub(super) struct Done<T> {
    pub(super) about: T,
    user: User,
    pub(super) run: Run,
    pub(super) receipts: Vec<Receipt>,
    /// How far each file was read.
    pub(super) read: Vec<(Begun, u64)>,
}

/// The threads.
pub(super) struct Jobs<T> {
    jobs: Sender<Job<T>>,
    done: Receiver<Done<T>>,
    pub(super) share: Share,
    /// Those that were started and not taken back: how many of whom. One that nobody waits for any more is among them until a
    /// thread has seen so.
    under_way: BTreeMap<User, usize>,
}

impl<T: Send + 'static> Jobs<T> {
    /// Starts the threads; `waker` is used after each job.
    pub(super) fn spawn(waker: &Arc<Waker>, share: Share) -> io::Result<Self> {
        let (jobs, theirs) = channel();
        let (done, ours) = channel();
        let theirs = Arc::new(Mutex::new(theirs));
        for _ in 0..THREADS {
            let (jobs, done, waker) = (Arc::clone(&theirs), done.clone(), Arc::clone(waker));
            thread::Builder::new().name("report".to_owned()).spawn(move || work(&jobs, &done, &waker))?;
        }
        Ok(Self { jobs, done: ours, share, under_way: BTreeMap::new() })
    }

    /// Reads later.
    ///
    /// # Errors
    /// There is no room for it.
    pub(super) fn start(&mut self, job: Job<T>) -> Result<(), Full> {
        let of_user = self.under_way.get(&job.user).copied().unwrap_or(0);
        self.share.fits(self.under_way.values().sum(), of_user)?;
        *self.under_way.entry(User::clone(&job.user)).or_default() += 1;
        self.jobs.send(job).map_err(|_| Full::All)
    }

    /// One that is done.
    pub(super) fn done(&mut self) -> Option<Done<T>> {
        let done = self.done.try_recv().ok()?;
        if let Some(count) = self.under_way.get_mut(&done.user) {
            *count -= 1;
            if *count == 0 {
                self.under_way.remove(&done.user);
            }
        }
        Some(done)
    }
}

fn work<T>(jobs: &Mutex<Receiver<Job<T>>>, done: &Sender<Done<T>>, waker: &Waker) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { about, user, view, files, cancel }) = job else { return };
        let mut run = Run::new(view);
        let (mut receipts, mut read) = (Vec::new(), Vec::new());
        for (source, begun) in files {
            // A file that is not there has nothing to report.
            let end = read_file(&source, &begun, &mut run, &cancel).unwrap_or_default();
            let receipt = Receipt { source, written: end, read: end, generations: 0, gaps: Vec::new() };
            receipts.push(receipt);
            read.push((begun, end));
        }
        if done.send(Done { about, user, run, receipts, read }).is_err() || waker.wake().is_err() {
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
