//! Local logs for a loop of whoever wants them: one descriptor, one call a turn.

use super::ledger::Ledger;
use super::local::Local;
use super::named::{self, look};
use super::{Follower, Note, Options, Sink};
use crate::driver::task::{Tasks, Timers, Waiting};
use crate::weblog::lines::Line;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::ops::{ControlFlow, Range};
use core::pin::pin;
use core::task::Poll;
use std::ffi::OsStr;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

/// Bytes of lines, and of what is kept of each, that wait to be taken; nothing more is read before.
pub const TRAY_MAX: usize = 1024 * 1024;

/// What there is of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told<'a> {
    /// A line of its file of this number, counted from the one that was read first.
    Line(u64, Line<'a>),
    /// What says how to read the lines that follow; it stands in the file before them.
    Directives(&'a [u8]),
    /// What happened to it.
    Note(&'a Note),
    /// Nothing more comes; a text for the user if that is because of a trouble.
    End(Option<&'a str>),
}

/// Lines and notes that were told and not taken yet, of several logs.
#[derive(Debug, Default)]
pub(crate) struct Tray {
    kept: RefCell<Kept>,
    taken: Waiting,
}

#[derive(Debug, Default)]
struct Kept {
    told: Vec<(usize, Item)>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
enum Item {
    Line { generation: u64, offset: u64, cut: bool, partial: bool, bytes: Range<usize> },
    Directives(Range<usize>),
    Note(Note),
    End(Option<String>),
}

/// What one log puts there.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) tray: Rc<Tray>,
    pub(crate) log: usize,
}

impl Tray {
    /// Takes everything, in its order; whoever waited for room is woken.
    pub(crate) fn take(&self, mut each: impl FnMut(usize, Told<'_>)) {
        self.take_until(|log, told| {
            each(log, told);
            ControlFlow::Continue(())
        });
    }

    /// The same, until `each` breaks: what it has broken at stays, with all behind it, and nobody is woken.
    pub(crate) fn take_until(&self, mut each: impl FnMut(usize, Told<'_>) -> ControlFlow<()>) {
        let mut kept = self.kept.take();
        let left = kept.told.iter().position(|(log, item)| {
            let told = match item {
                Item::Line { generation, offset, cut, partial, bytes } => {
                    let bytes = kept.bytes.get(bytes.clone()).unwrap_or_default();
                    let line = Line { bytes, offset: *offset, cut: *cut, partial: *partial };
                    Told::Line(*generation, line)
                }
                Item::Directives(text) => Told::Directives(kept.bytes.get(text.clone()).unwrap_or_default()),
                Item::Note(note) => Told::Note(note),
                Item::End(why) => Told::End(why.as_deref()),
            };
            each(*log, told).is_break()
        });
        if let Some(left) = left {
            kept.told.drain(..left);
            self.kept.replace(kept);
        } else {
            self.taken.wake();
        }
    }

    /// The lines that wait to be taken, of those of one file that follow each other the first: its log, the number of its file,
    /// and where it begins there.
    pub(crate) fn waiting(&self, mut each: impl FnMut(usize, u64, u64)) {
        let mut last = None;
        for (log, item) in &self.kept.borrow().told {
            if let Item::Line { generation, offset, .. } = item {
                let file = Some((*log, *generation));
                if core::mem::replace(&mut last, file) != file {
                    each(*log, *generation, *offset);
                }
            }
        }
    }

    /// Nothing more comes of a log; a text for the user if that is because of a trouble.
    pub(crate) fn end(&self, log: usize, why: Option<String>) {
        self.put(log, Item::End(why));
    }

    /// Whether nothing waits to be taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.kept.borrow().told.is_empty()
    }

    /// Whether there is so much that nothing more is read.
    pub(crate) fn is_full(&self) -> bool {
        let kept = self.kept.borrow();
        kept.bytes.len() + kept.told.len() * size_of::<(usize, Item)>() >= TRAY_MAX
    }

    fn keep(&self, bytes: &[u8]) -> Range<usize> {
        let kept = &mut self.kept.borrow_mut().bytes;
        let start = kept.len();
        kept.extend_from_slice(bytes);
        start..kept.len()
    }

    fn put(&self, log: usize, item: Item) {
        self.kept.borrow_mut().told.push((log, item));
    }
}

impl Sink for Share {
    async fn ready(&mut self) {
        core::future::poll_fn(|cx| {
            if !self.tray.is_full() {
                return Poll::Ready(());
            }
            self.tray.taken.wait(cx);
            Poll::Pending
        })
        .await;
    }

    fn line(&mut self, generation: u64, line: Line<'_>) {
        let bytes = self.tray.keep(line.bytes);
        let Line { offset, cut, partial, .. } = line;
        self.tray.put(self.log, Item::Line { generation, offset, cut, partial, bytes });
    }

    fn directives(&mut self, text: &[u8]) {
        let text = self.tray.keep(text);
        self.tray.put(self.log, Item::Directives(text));
    }

    fn note(&mut self, note: Note) {
        self.tray.put(self.log, Item::Note(note));
    }
}

/// Ends a task from outside.
#[derive(Debug, Default)]
struct Stop {
    is_set: Cell<bool>,
    waiting: Waiting,
}

impl Stop {
    fn set(&self) {
        self.is_set.set(true);
        self.waiting.wake();
    }

    /// `task` to its end, or to the stop; whether it came to its end.
    async fn or(&self, task: impl Future<Output = ()>) -> bool {
        let mut task = pin!(task);
        core::future::poll_fn(|cx| {
            if self.is_set.get() {
                return Poll::Ready(false);
            }
            self.waiting.wait(cx);
            task.as_mut().poll(cx).map(|()| true)
        })
        .await
    }
}

/// A log that is followed.
struct Followed {
    ledger: Rc<Ledger>,
    stop: Rc<Stop>,
}

/// What was found of a path that is looked for.
#[derive(Debug)]
pub struct Found {
    /// The number of the [`look`](LocalLogs::look).
    pub look: usize,
    /// Some may have been found before.
    pub paths: Vec<PathBuf>,
    /// A text for the user if there are none because of a trouble.
    pub trouble: Option<String>,
    /// It was looked for the first time.
    pub is_first: bool,
}

/// Local logs that are followed.
pub struct LocalLogs {
    tasks: Tasks,
    timers: Rc<Timers>,
    local: Rc<Local>,
    tray: Rc<Tray>,
    logs: Vec<Followed>,
    looks: Vec<Rc<Stop>>,
    found: Rc<RefCell<Vec<Found>>>,
}

impl LocalLogs {
    /// None yet; it is `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let timers = Rc::new(Timers::new(now));
        let local = Local::new(Rc::clone(&timers));
        let (logs, looks, found) = (Vec::new(), Vec::new(), Rc::default());
        Self { tasks: Tasks::default(), timers, local, tray: Rc::default(), logs, looks, found }
    }

    /// Follows the log at `path`, beginning with the next turn; the number it is told by. `ledger` says where to go on, or is
    /// a new one.
    pub fn add(&mut self, path: &Path, options: Options, ledger: Rc<Ledger>) -> usize {
        let log = self.logs.len();
        let tray = Rc::clone(&self.tray);
        let share = Share { tray: Rc::clone(&tray), log };
        let stop = Rc::new(Stop::default());
        self.logs.push(Followed { ledger: Rc::clone(&ledger), stop: Rc::clone(&stop) });
        let (files, bytes) = (self.local.log(path), path.as_os_str().as_bytes().to_vec());
        let mut follower = Follower::new(files, bytes, options, Rc::clone(&self.timers), ledger, share);
        self.tasks.starter().start(async move {
            let mut why = None;
            if stop.or(async { why = follower.run().await.err().map(|trouble| trouble.to_string()) }).await {
                tray.end(log, why);
            }
        });
        log
    }

    /// Follows a log no more; what of it is in the tray is still told.
    pub fn end(&mut self, log: usize) {
        if let Some(log) = self.logs.get(log) {
            log.stop.set();
        }
    }

    /// Looks for the files that a path means, beginning with the next turn; if it is a pattern, again from time to time. The
    /// number that [`found`](Self::found) tells them by.
    pub fn look(&mut self, path: &Path) -> usize {
        let number = self.looks.len();
        let stop = Rc::new(Stop::default());
        self.looks.push(Rc::clone(&stop));
        let (found, timers) = (Rc::clone(&self.found), Rc::clone(&self.timers));
        let (files, path) = (self.local.log(path), path.as_os_str().as_bytes().to_vec());
        self.tasks.starter().start(async move {
            let mut is_first = true;
            let tell = |new: named::Found| {
                let paths = new.paths.iter().map(|path| PathBuf::from(OsStr::from_bytes(path))).collect();
                let trouble = new.trouble.map(|trouble| trouble.to_string());
                let is_first = core::mem::take(&mut is_first);
                found.borrow_mut().push(Found { look: number, paths, trouble, is_first });
            };
            stop.or(look(&files, &path, true, &timers, tell)).await;
        });
        number
    }

    /// Looks no more.
    pub fn end_look(&mut self, look: usize) {
        if let Some(stop) = self.looks.get(look) {
            stop.set();
        }
    }

    /// What was found since this was asked last.
    pub fn found(&mut self) -> Vec<Found> {
        self.found.take()
    }

    /// Bytes that are known to be written to a log and were not told yet.
    #[must_use]
    pub fn behind(&self, log: usize) -> u64 {
        self.logs.get(log).map_or(0, |log| {
            let receipt = log.ledger.receipt();
            receipt.written.saturating_sub(receipt.read)
        })
    }

    /// Ready to read when something has happened. `None`: the system has no inotify left, and time alone tells.
    #[must_use]
    pub fn descriptor(&self) -> Option<RawFd> {
        self.local.descriptor()
    }

    /// A turn: the descriptor is ready, or the time has come that the last one has said. Reads what is new, a bounded part of
    /// it; when the next turn is due at the latest.
    pub fn turn(&mut self, now: Instant, each: impl FnMut(usize, Told<'_>)) -> Option<Instant> {
        self.local.turn();
        self.timers.handle_timeout(now);
        self.tasks.run();
        let full = self.tray.is_full();
        self.tray.take(each);
        self.logs.iter().for_each(|log| log.ledger.all_taken());
        let next = self.timers.handle_timeout(now);
        if full || self.local.wants_turn() { Some(now) } else { next }
    }
}

impl fmt::Debug for LocalLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalLogs({})", self.logs.len())
    }
}
