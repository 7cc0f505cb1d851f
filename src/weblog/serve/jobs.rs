//! Files that are read from their beginning for a report, beside the loop: a log may have many gigabytes.
//!
//! It does not know who asked.

use super::caps::{Full, Share};
use super::logs::{Begun, open};
use super::session::User;
use crate::driver::text::escaped;
use crate::weblog::follow::files::Trouble;
use crate::weblog::follow::local::trouble;
use crate::weblog::format::RecordParser;
use crate::weblog::lines::{Line, LineSplitter};
use crate::weblog::view::{Place, Receipt, Run};
use mio::Waker;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
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

/// Of them one user has no more at a time: what he asks for may take hours.
const THREADS_OF_USER: usize = THREADS - 1;

/// Bytes of a read.
const CHUNK: usize = 256 * 1024;

/// What is to be read, for whom.
pub(super) struct Job<T> {
    pub(super) about: T,
    pub(super) user: User,
    /// What sees the lines.
    pub(super) run: Run,
    /// Each with the name of its log.
    pub(super) files: Vec<(String, Begun)>,
    /// What is wrong with logs that have none: lines.
    pub(super) troubles: Vec<String>,
    /// Nobody waits any more.
    pub(super) cancel: Arc<AtomicBool>,
}

/// What came of it.
pub(super) struct Done<T> {
    pub(super) about: T,
    user: User,
    pub(super) run: Run,
    pub(super) receipts: Vec<Receipt>,
    /// What could not be read: lines, with the names of the logs.
    pub(super) troubles: Vec<String>,
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
    /// Those of them that no thread has yet.
    waiting: VecDeque<Job<T>>,
    /// Whose the threads read.
    at_work: Vec<User>,
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
        Ok(Self {
            jobs,
            done: ours,
            share,
            under_way: BTreeMap::new(),
            waiting: VecDeque::new(),
            at_work: Vec::new(),
        })
    }

    /// Reads later.
    ///
    /// # Errors
    /// There is no room for it.
    pub(super) fn start(&mut self, job: Job<T>) -> Result<(), Full> {
        let of_user = self.under_way.get(&job.user).copied().unwrap_or(0);
        self.share.fits(self.under_way.values().sum(), of_user)?;
        *self.under_way.entry(User::clone(&job.user)).or_default() += 1;
        self.waiting.push_back(job);
        self.set_to_work();
        Ok(())
    }

    /// Gives threads the first of those that may have one.
    fn set_to_work(&mut self) {
        while self.at_work.len() < THREADS {
            let of = |user: &User| self.at_work.iter().filter(|other| *other == user).count();
            let next = self.waiting.iter().position(|job| of(&job.user) < THREADS_OF_USER);
            let Some(job) = next.and_then(|next| self.waiting.remove(next)) else { return };
            self.at_work.push(User::clone(&job.user));
            // The threads live as long as this.
            let _sent = self.jobs.send(job);
        }
    }

    /// One that is done.
    pub(super) fn done(&mut self) -> Option<Done<T>> {
        let done = self.done.try_recv().ok()?;
        if let Some(at) = self.at_work.iter().position(|user| *user == done.user) {
            self.at_work.swap_remove(at);
        }
        self.set_to_work();
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
        let Ok(Job { about, user, mut run, files, mut troubles, cancel }) = job else { return };
        let (mut receipts, mut read) = (Vec::new(), Vec::new());
        let (mut unread, mut readable) = (Vec::new(), BTreeSet::new());
        for (source, begun) in files {
            let end = read_file(&source, &begun, &mut run, &cancel);
            match &end {
                Ok(_) => {
                    readable.insert(source.clone());
                }
                Err(error) => unread.push((source.clone(), trouble(error))),
            }
            let end = end.unwrap_or_default();
            let receipt = Receipt { source, written: end, read: end, generations: 0, gaps: Vec::new() };
            receipts.push(receipt);
            read.push((begun, end));
        }
        // A file that is gone is no loss where its log has others.
        unread.retain(|(log, why)| *why != Trouble::Missing || !readable.contains(log));
        unread.dedup();
        troubles.extend(unread.iter().map(|(log, why)| format!("{}: {why}", escaped(log.as_bytes()))));
        if done.send(Done { about, user, run, receipts, troubles, read }).is_err() || waker.wake().is_err() {
            return;
        }
    }
}

/// Shows the whole lines of a file to a run; where the last one ends.
fn read_file(source: &str, begun: &Begun, run: &mut Run, cancel: &AtomicBool) -> io::Result<u64> {
    // What comes while this reads is for later: a busy log has no end.
    let (mut file, mut left) = open(&begun.path)?;
    let (mut lines, mut parser) = (LineSplitter::default(), begun.parser.clone());
    let mut chunk = vec![0; CHUNK];
    while left > 0 && !cancel.load(Ordering::Relaxed) {
        let room = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = file.read(chunk.get_mut(..room).unwrap_or_default())?;
        if count == 0 {
            break;
        }
        left -= count as u64;
        let chunk = chunk.get(..count).unwrap_or_default();
        lines.push(chunk, |line| show(source, &line, &mut parser, run, cancel));
    }
    Ok(lines.line_start())
}

/// Shows a line to a run, unless nobody waits for it any more: to search one may take long, and a chunk has many.
fn show(source: &str, line: &Line<'_>, parser: &mut RecordParser, run: &mut Run, cancel: &AtomicBool) {
    if cancel.load(Ordering::Relaxed) {
        return;
    }
    let record = parser.parse(line.bytes);
    let record = record.as_ref().map(Option::as_ref).map_err(|error| *error);
    // A report has no lines.
    run.line(Place { source, seq: None }, line, record, &mut Vec::new());
}

#[cfg(test)]
mod tests {
    use super::super::logs::tests::begun;
    use super::*;
    use crate::weblog::options::ViewOptions;
    use crate::weblog::view::{Destination, View};
    use mio::{Events, Poll, Token};
    use std::time::SystemTime;

    fn start(jobs: &mut Jobs<u32>, about: u32, user: &str, path: &std::path::Path) -> Arc<AtomicBool> {
        let cancel = Arc::new(AtomicBool::new(false));
        let view = View::new(&ViewOptions::default(), Destination::default(), SystemTime::now()).unwrap();
        jobs.start(Job {
            about,
            user: user.as_bytes().into(),
            run: Run::new(Arc::new(view)),
            files: vec![("shop".to_owned(), begun(path))],
            troubles: Vec::new(),
            cancel: Arc::clone(&cancel),
        })
        .unwrap();
        cancel
    }

    #[test]
    fn t109_one_user_does_not_have_all_threads_and_what_nobody_waits_for_ends_between_lines() {
        let directory = tempfile::tempdir().unwrap();
        let (endless, short) = (directory.path().join("endless"), directory.path().join("short"));
        std::fs::File::create(&endless).unwrap().set_len(1 << 40).unwrap();
        std::fs::write(&short, "x\n").unwrap();
        let mut poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let mut jobs = Jobs::spawn(&waker, Share { all: 10, of_user: 10 }).unwrap();
        let mut done = |jobs: &mut Jobs<u32>| loop {
            match jobs.done() {
                Some(done) => return done.about,
                None => poll.poll(&mut Events::with_capacity(1), None).unwrap(),
            }
        };
        let cancels = [1, 2, 3].map(|about| start(&mut jobs, about, "ann", &endless));
        assert_eq!((jobs.at_work.len(), jobs.waiting.len()), (1, 2));
        for about in [4, 5, 6] {
            start(&mut jobs, about, "bob", &short);
        }
        assert_eq!(
            [done(&mut jobs), done(&mut jobs), done(&mut jobs)],
            [4, 5, 6],
            "bob has a thread, in his order"
        );
        cancels.iter().for_each(|cancel| cancel.store(true, Ordering::Relaxed));
        assert_eq!([done(&mut jobs), done(&mut jobs), done(&mut jobs)], [1, 2, 3]);
        assert!(jobs.at_work.is_empty() && jobs.waiting.is_empty() && jobs.under_way.is_empty());
    }

    #[test]
    fn t109_what_nobody_waits_for_is_not_searched_to_the_end_of_what_was_read() {
        let options = ViewOptions { stats: true, ..ViewOptions::default() };
        let view = Arc::new(View::new(&options, Destination::default(), SystemTime::now()).unwrap());
        let (mut run, cancel) = (Run::new(view), AtomicBool::new(false));
        let hit = br#"h - - [01/Mar/2026:12:00:00 +0000] "GET /a HTTP/1.1" 200 5 "-" "-""#;
        let line = Line { bytes: hit, offset: 0, cut: false, partial: false };
        for _ in 0..3 {
            show("shop", &line, &mut RecordParser::default(), &mut run, &cancel);
        }
        cancel.store(true, Ordering::Relaxed);
        show("shop", &line, &mut RecordParser::default(), &mut run, &cancel);
        assert_eq!(run.into_report().unwrap().hits(), 3);
    }
}
