//! The logs that are watched: found by their names, followed by a task each.
//!
//! It does not know how a host is reached, nor what becomes of a line.

mod advice;
mod named;
mod rotated;
mod streams;

use super::WatchOptions;
use super::host::{ByCommand, Notices};
use super::showing::Showing;
use crate::driver::glob::Pattern;
use crate::driver::stdio::Input;
use crate::driver::task::{Tasks, Timers};
use crate::driver::text::escaped;
use crate::tell;
use crate::weblog::follow::files::{Files, MISSING, Trouble};
use crate::weblog::follow::ledger::{Ledger, sum};
use crate::weblog::follow::local::Local;
use crate::weblog::follow::logs::{Share, Told, Tray};
use crate::weblog::follow::named::{Found, look};
use crate::weblog::follow::position::Checkpoint;
use crate::weblog::follow::shell;
use crate::weblog::follow::state::State;
use crate::weblog::follow::stream::{ShellLog, TailLog};
use crate::weblog::follow::via::{Via, tail_command};
use crate::weblog::follow::{Follower, Note, Options, Since, Start, sftp};
use crate::weblog::format::RecordParser;
use crate::weblog::time::Stamp;
use crate::weblog::view::{Receipt, View};
use advice::{advice, meant, nothing_fits};
use core::cell::{Cell, RefCell};
use core::ops::ControlFlow;
use core::task::Poll;
use core::time::Duration;
use mio::Waker;
pub use named::{Place, Source};
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use streams::{Stream, is_stream};

/// Logs of one pattern that are followed, or were and are not forgotten.
pub const LOGS_MAX: usize = 4096;

/// A log that a pattern has not found for so long is not followed any more. Where it was read to is kept until another log
/// needs the room.
pub const LET_GO: Duration = Duration::from_secs(60 * 60);

/// What is said of a pattern where a command reads logs.
const PATTERNS: &str = "patterns need sftp: name each log";

/// One log.
struct Log {
    operand: usize,
    path: Vec<u8>,
    ledger: Rc<Ledger>,
    /// Its follower in a shell there, across connections.
    shell: Option<Rc<RefCell<ShellLog>>>,
    /// When it was found last, if by a pattern.
    seen: Instant,
    /// Its follower is to end: it is let go.
    leaves: Rc<Cell<bool>>,
    /// Nothing more comes of it.
    ended: bool,
}

impl Log {
    /// A follower in a shell there looks for a file of exactly this name, and has never seen one.
    fn is_pattern_in_a_shell(&self) -> bool {
        self.shell.is_some() && Pattern::is_one(&self.path) && self.ledger.written_and_read() == (0, 0)
    }
}

/// How a name is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looking {
    /// It is being looked for, or waits to be.
    Yes,
    /// All is found that will be.
    Done,
}

pub(super) struct Sources {
    tasks: Tasks,
    timers: Rc<Timers>,
    tray: Rc<Tray>,
    local: Rc<Local>,
    operands: Vec<(Source, Looking)>,
    logs: Vec<Log>,
    found: Rc<RefCell<Vec<(usize, Found)>>>,
    streams: Vec<Stream>,
    /// Patterns that nothing fits, which was said.
    told_missing: HashSet<usize>,
    /// Patterns that were looked for: what fits later is new, and all of it is read.
    looked_for: HashSet<usize>,
    /// Patterns that more fits than is followed, which was said.
    told_full: HashSet<usize>,
    /// Of each host, why its logs cannot be read: it may say something else each time.
    troubles: HashMap<usize, Notices>,
    /// Names of logs that others have the room of.
    forgotten: Vec<String>,
    /// A log could not be read.
    pub(super) unreadable: bool,
    follow: bool,
    /// What is not there would be waited for if it were followed: `--until` has not passed.
    waits: bool,
    since: Option<Stamp>,
}

impl Sources {
    pub(super) fn new(options: &WatchOptions, view: &View, now: Instant) -> Self {
        let timers = Rc::new(Timers::new(now));
        Self {
            tasks: Tasks::default(),
            local: Local::new(Rc::clone(&timers)),
            timers,
            tray: Rc::default(),
            operands: options.sources.iter().map(|source| (source.clone(), Looking::Yes)).collect(),
            logs: Vec::new(),
            found: Rc::default(),
            streams: Vec::new(),
            told_missing: HashSet::new(),
            looked_for: HashSet::new(),
            told_full: HashSet::new(),
            troubles: HashMap::new(),
            forgotten: Vec::new(),
            unreadable: false,
            follow: options.follow,
            waits: view.left(SystemTime::now()).is_none_or(|left| !left.is_zero()),
            since: view.since(),
        }
    }

    pub(super) const fn timers(&self) -> &Rc<Timers> {
        &self.timers
    }

    pub(super) fn descriptor(&self) -> Option<RawFd> {
        self.local.descriptor()
    }

    /// Whether nothing more comes of any log.
    pub(super) fn are_over(&self) -> bool {
        self.operands.iter().all(|(_, looking)| *looking == Looking::Done)
            && self.logs.iter().all(|log| log.ended)
    }

    /// Nothing more comes of the logs of a host.
    pub(super) fn end_of_host(&mut self, number: usize) {
        let is_there = |source: &Source| matches!(source.place, Place::Host { host, .. } if host == number);
        for (at, (source, looking)) in self.operands.iter_mut().enumerate() {
            if is_there(source) {
                *looking = Looking::Done;
                self.logs.iter_mut().filter(|log| log.operand == at).for_each(|log| log.ended = true);
            }
        }
    }

    /// Looks for the names that are here, and begins to read what is no file.
    pub(super) fn start_local(
        &mut self,
        options: &WatchOptions,
        showing: &mut Showing,
        waker: &Arc<Waker>,
    ) -> io::Result<()> {
        for at in 0..self.operands.len() {
            let Some((source, looking)) = self.operands.get_mut(at) else { continue };
            let name = source.name.clone();
            let input = match &source.place {
                Place::Host { .. } => continue,
                Place::Standard => Input::spawn(Arc::clone(waker))?,
                Place::Local(path) if is_stream(path) => Input::open(path.clone(), Arc::clone(waker))?,
                Place::Local(path) => {
                    let (files, path) = (self.local.log(path), path.as_os_str().as_bytes().to_vec());
                    self.look(files, at, path);
                    continue;
                }
            };
            *looking = Looking::Done;
            let log = self.add(at, Vec::new(), name, options, showing, None);
            self.streams.push(Stream::new(input, log));
        }
        Ok(())
    }

    /// Another log, beginning where `state` says.
    fn add(
        &mut self,
        operand: usize,
        path: Vec<u8>,
        name: String,
        options: &WatchOptions,
        showing: &mut Showing,
        state: Option<&State>,
    ) -> usize {
        let checkpoint = state.and_then(|state| state.checkpoint(&name)).cloned();
        let ledger = Rc::new(checkpoint.map(Ledger::from).unwrap_or_default());
        let (seen, leaves) = (self.timers.now(), Rc::default());
        let log = Log { operand, path, ledger, shell: None, seen, leaves, ended: false };
        let parser = options.log_format.as_deref().and_then(|format| RecordParser::named(format).ok());
        match self.room(operand).and_then(|at| Some((at, self.logs.get_mut(at)?))) {
            Some((at, place)) => {
                *place = log;
                self.forgotten.extend(state.map(|_| showing.name(at).to_owned()));
                showing.replace(at, name, parser.unwrap_or_default());
                at
            }
            None => {
                self.logs.push(log);
                showing.add(name, parser.unwrap_or_default())
            }
        }
    }

    fn of(&self, operand: usize) -> impl Iterator<Item = (usize, &Log)> {
        self.logs.iter().enumerate().filter(move |(_, log)| log.operand == operand)
    }

    fn is_full(&self, operand: usize) -> bool {
        self.of(operand).count() >= LOGS_MAX
    }

    /// Of a pattern that has as many logs as it may, the one that was let go the longest ago.
    fn room(&self, operand: usize) -> Option<usize> {
        let is_free = |log: &Log| log.ended && log.leaves.get();
        let free = self.of(operand).filter(|(_, log)| is_free(log)).min_by_key(|(_, log)| log.seen);
        free.map(|(at, _)| at).filter(|_| self.is_full(operand))
    }

    /// A host can be read, for the first time or again: its logs go on where they were.
    pub(super) fn start_host(&mut self, number: usize, files: &Rc<sftp::Host>, options: &WatchOptions) {
        for (at, (source, _)) in self.operands.iter().enumerate() {
            if let Place::Host { host, path } = &source.place
                && *host == number
            {
                self.look(files.files(), at, path.clone());
            }
        }
        for at in 0..self.logs.len() {
            if self.host_of(at) == Some(number)
                && let Some(log) = self.logs.get_mut(at)
            {
                log.ended |= log.leaves.get();
                if !log.ended {
                    self.follow(files.files(), at, options, false);
                }
            }
        }
    }

    /// A host's logs are read by commands: what they are, from where each was read to. A pattern is a name there.
    pub(super) fn start_commands(
        &mut self,
        number: usize,
        via: Via,
        options: &WatchOptions,
        showing: &mut Showing,
    ) -> Vec<ByCommand> {
        let mut is_first = false;
        for at in 0..self.operands.len() {
            let Some((Source { name, place: Place::Host { host, path } }, looking)) =
                self.operands.get_mut(at)
            else {
                continue;
            };
            if *host == number && *looking == Looking::Yes {
                (*looking, is_first) = (Looking::Done, true);
                let (name, path) = (name.clone(), path.clone());
                if via == Via::Tail && options.follow && Pattern::is_one(&path) {
                    tell!("{}: {PATTERNS}", escaped(name.as_bytes()));
                }
                let log = self.add(at, path, name, options, showing, None);
                self.refuse_packed(log, via);
            }
        }
        let lacking = [
            (options.state.is_some(), "--state keeps no positions of logs there"),
            (options.with_rotated, "--with-rotated reads no rotated files there"),
        ];
        for (_, what) in lacking.into_iter().filter(|(asked, _)| *asked && is_first) {
            let host = options.hosts.get(number).map(|host| escaped(host.typed_host.as_bytes()));
            tell!("{}: via {}: {what}; that needs sftp", host.unwrap_or_default(), via.name());
        }
        let start = match options.start {
            Some(Start::LinesBeforeEnd(lines)) => shell::Start::LinesBeforeEnd(lines),
            Some(Start::Line(line)) => shell::Start::Line(line),
            None if options.follow && self.since.is_none() => shell::Start::LinesBeforeEnd(0),
            None => shell::Start::Line(1),
        };
        let mut readers = Vec::new();
        for log in 0..self.logs.len() {
            if self.host_of(log) != Some(number) {
                continue;
            }
            let Some(Log { path, ledger, shell, ended: false, .. }) = self.logs.get_mut(log) else {
                continue;
            };
            let share = Share { tray: Rc::clone(&self.tray), log };
            readers.push(match via {
                Via::Tail => {
                    let command = tail_command(path, &start, options.follow);
                    ByCommand::Tail(TailLog::new(share, Rc::clone(ledger)), command)
                }
                _ => ByCommand::Shell(Rc::clone(shell.get_or_insert_with(|| {
                    let ledger = Rc::clone(ledger);
                    Rc::new(RefCell::new(ShellLog::new(path, start.clone(), options.follow, share, ledger)))
                }))),
            });
        }
        readers
    }

    /// What a command there says of a packed log is no text.
    fn refuse_packed(&mut self, log: usize, via: Via) {
        let is_packed =
            |log: &Log| self.operands.get(log.operand).is_some_and(|(of, _)| of.place.is_packed());
        if let Some(refused) = self.logs.get_mut(log).filter(|log| is_packed(log)) {
            refused.ended = true;
            self.tray.end(log, Some(format!("via {}: a packed log is read by sftp only", via.name())));
        }
    }

    /// A log that a command reads is read by another connection, once that is there.
    pub(super) fn move_to_host(&mut self, log: usize, number: usize) {
        if let Some(log) = self.logs.get(log)
            && let Some((Source { place: Place::Host { host, .. }, .. }, _)) =
                self.operands.get_mut(log.operand)
        {
            *host = number;
        }
    }

    fn host_of(&self, log: usize) -> Option<usize> {
        let operand = self.logs.get(log)?.operand;
        match self.operands.get(operand)?.0.place {
            Place::Host { host, .. } => Some(host),
            Place::Local(_) | Place::Standard => None,
        }
    }

    /// Whether an operand's logs are followed.
    fn follows(&self, operand: usize) -> bool {
        self.follow && self.operands.get(operand).is_some_and(|(source, _)| !source.place.is_packed())
    }

    /// Starts the task that finds what a name stands for.
    fn look<F: Files + 'static>(&self, files: F, operand: usize, path: Vec<u8>) {
        let (found, timers, follow) =
            (Rc::clone(&self.found), Rc::clone(&self.timers), self.follows(operand));
        self.tasks.starter().start(async move {
            look(&files, &path, follow, &timers, |new| found.borrow_mut().push((operand, new))).await;
        });
    }

    /// Starts the task that follows a log.
    fn follow<F: Files + 'static>(&self, files: F, log: usize, options: &WatchOptions, is_new: bool) {
        let Some(Log { operand, path, ledger, leaves, .. }) = self.logs.get(log) else { return };
        let follow = self.follows(*operand);
        let how = Options {
            start: match options.start {
                Some(start) if !is_new => start,
                _ if is_new || !follow || self.since.is_some() => Start::Line(1),
                _ => Start::LinesBeforeEnd(0),
            },
            since: self.since.map(|since| since_of(since, options.log_format.as_deref())),
            with_rotated: options.with_rotated && !is_new,
            follow,
            leaves_unfinished: options.state.is_some(),
            ..Options::default()
        };
        let share = Share { tray: Rc::clone(&self.tray), log };
        let (timers, ledger, tray) = (Rc::clone(&self.timers), Rc::clone(ledger), Rc::clone(&self.tray));
        let leaves = Rc::clone(leaves);
        let mut follower = Follower::new(files, path.clone(), how, timers, ledger, share);
        self.tasks.starter().start(async move {
            let mut following = core::pin::pin!(follower.run());
            // It looks at its log every now and then, and at the latest then it sees that it is to end.
            let ended = core::future::poll_fn(|cx| {
                if leaves.get() { Poll::Ready(Ok(())) } else { following.as_mut().poll(cx) }
            });
            match ended.await {
                Err(Trouble::Lost) => {} // another goes on, once there is a way again
                ended => tray.end(log, ended.err().map(|trouble| trouble.to_string())),
            }
        });
    }

    /// A turn of the tasks; when the next is due at the latest.
    pub(super) fn run(&mut self, now: Instant) -> Option<Instant> {
        self.local.turn();
        self.timers.handle_timeout(now);
        self.tasks.run();
        let next = self.timers.handle_timeout(now);
        if self.local.wants_turn() { Some(now) } else { next }
    }

    /// Takes up what the tasks have found; whether that was anything. `files` are those of a host, if it can be read.
    pub(super) fn take_found(
        &mut self,
        options: &WatchOptions,
        showing: &mut Showing,
        state: Option<&State>,
        files: impl Fn(usize) -> Option<Rc<sftp::Host>>,
    ) -> bool {
        let found = self.found.take();
        let any = !found.is_empty();
        for (operand, Found { paths, by_pattern, trouble, is_last: last }) in found {
            let Some((source, looking)) = self.operands.get_mut(operand) else { continue };
            let source = source.clone();
            let is_new = by_pattern && self.looked_for.contains(&operand);
            let has_some = self.logs.iter().any(|log| log.operand == operand);
            if last {
                *looking = Looking::Done;
            }
            if trouble.is_some() || (paths.is_empty() && !has_some) {
                self.tell_nothing_fits(operand, &source, trouble.as_ref(), last, options.quiet);
            }
            if trouble.is_some() {
                continue;
            }
            self.looked_for.insert(operand);
            let (known, mut is_full) = (self.see(operand, &paths), false);
            let leaves_rotated = options.with_rotated || is_new;
            let read =
                if leaves_rotated { self.rotated(&source.place, &paths) } else { vec![false; paths.len()] };
            let wanted = paths.into_iter().zip(known).zip(read).filter(|(_, read)| !read);
            for ((path, known), _) in wanted {
                let log = match known {
                    None if is_full => continue,
                    None if self.is_full(operand) && self.room(operand).is_none() => {
                        is_full = true;
                        self.tell_full(operand, &source, last);
                        continue;
                    }
                    None => {
                        let name = if by_pattern { source.found(&path) } else { source.name.clone() };
                        self.add(operand, path.clone(), name, options, showing, state)
                    }
                    Some(log) if self.comes_back(log) => log,
                    Some(_) => continue,
                };
                match &source.place {
                    Place::Standard => {}
                    Place::Local(_) => {
                        let path = PathBuf::from(std::ffi::OsStr::from_bytes(&path));
                        self.follow(self.local.log(&path), log, options, is_new);
                    }
                    Place::Host { host, .. } => {
                        if let Some(files) = files(*host) {
                            self.follow(files.files(), log, options, is_new);
                        }
                    }
                }
            }
        }
        any
    }

    /// Which of the paths, sorted, are logs already. Those that were not found for long are let go.
    fn see(&mut self, operand: usize, paths: &[Vec<u8>]) -> Vec<Option<usize>> {
        let (now, mut known) = (self.timers.now(), vec![None; paths.len()]);
        for (at, log) in self.logs.iter_mut().enumerate().filter(|(_, log)| log.operand == operand) {
            match paths.binary_search(&log.path).ok().and_then(|found| known.get_mut(found)) {
                Some(known) => (log.seen, *known) = (now, Some(at)),
                None if now.saturating_duration_since(log.seen) >= LET_GO => log.leaves.set(true),
                None => {}
            }
        }
        known
    }

    /// Whether a log that was let go is there again, to be followed from where it was read to.
    fn comes_back(&mut self, log: usize) -> bool {
        let Some(log) = self.logs.get_mut(log).filter(|log| log.ended && log.leaves.get()) else {
            return false;
        };
        (log.ended, log.leaves) = (false, Rc::default());
        true
    }

    /// Once for each pattern.
    fn tell_nothing_fits(
        &mut self,
        operand: usize,
        source: &Source,
        trouble: Option<&Trouble>,
        last: bool,
        quiet: bool,
    ) {
        self.unreadable |= last;
        let is_told = !self.told_missing.insert(operand);
        if last || !(quiet || is_told) {
            let name = escaped(source.name.as_bytes());
            match trouble {
                Some(trouble) => tell!("{name}: {trouble}"),
                None if last => tell!("{name}: no file fits{}", nothing_fits(&source.place, self.waits)),
                None => tell!("{name}: no file fits; waiting for one"),
            }
        }
    }

    /// Once for each pattern, whether its user wants to hear it or not.
    fn tell_full(&mut self, operand: usize, source: &Source, last: bool) {
        self.unreadable |= last;
        if self.told_full.insert(operand) {
            let name = escaped(source.name.as_bytes());
            tell!(
                "{name}: more than {LOGS_MAX} files fit; the others are not read: name them by another pattern"
            );
        }
    }

    /// Whether there is something to take.
    pub(super) fn has_lines(&self) -> bool {
        !self.tray.is_empty()
    }

    /// Takes all lines that came, or those up to the one that ends the watch. Whether the logs waited for that, or more waits.
    pub(super) fn take(&mut self, showing: &mut Showing, quiet: bool, verbose: bool, now: Instant) -> bool {
        let full = self.tray.is_full();
        let (logs, operands, troubles, waits) =
            (&mut self.logs, &self.operands, &mut self.troubles, self.waits);
        let unreadable = &mut self.unreadable;
        let place = |log: Option<&Log>| Some(&operands.get(log?.operand)?.0.place);
        let mut take = |log: usize, told: Told<'_>, showing: &mut Showing| match told {
            Told::Line(_, line) => showing.line(log, &line, now),
            Told::Directives(text) => showing.learn(log, text),
            Told::Note(Note::Waiting) if logs.get(log).is_some_and(Log::is_pattern_in_a_shell) => {
                *unreadable = true;
                if let Some(log) = logs.get_mut(log) {
                    log.ended = true;
                }
                tell!("{}: {MISSING}; {PATTERNS}", escaped(showing.name(log).as_bytes()));
            }
            Told::Note(note) => {
                let said = match note {
                    Note::Rotated { .. } | Note::Truncated { .. } => verbose,
                    Note::Waiting | Note::Trouble(_) => !quiet,
                    Note::Gap(_) => true,
                };
                if said {
                    let name = escaped(showing.name(log).as_bytes());
                    let Some(place) = place(logs.get(log)) else { return };
                    let words = match note {
                        Note::Trouble(text) => format!("{text}{}\n", advice(text, place, waits)),
                        Note::Waiting => format!("{note}{}\n", meant(place)),
                        _ => format!("{note}\n"),
                    };
                    match place {
                        Place::Host { host, .. } => {
                            let troubles = troubles.entry(*host).or_default();
                            troubles.push(words.as_bytes(), now, |text| tell!("{name}: {text}"));
                        }
                        _ => tell!("{name}: {}", words.trim_end()),
                    }
                }
            }
            Told::End(why) => {
                if let Some(log) = logs.get_mut(log) {
                    log.ended = true;
                }
                if let Some(why) = why {
                    *unreadable = true;
                    let is_of_that_name = |path: &Vec<u8>| logs.get(log).is_some_and(|log| log.path == *path);
                    let advice = match place(logs.get(log)) {
                        // What sftp finds by a pattern has another name.
                        Some(Place::Host { path, .. }) if Pattern::is_one(path) && is_of_that_name(path) => {
                            format!("; {PATTERNS}")
                        }
                        Some(place) => advice(why, place, waits),
                        None => String::new(),
                    };
                    tell!("{}: {why}{advice}", escaped(showing.name(log).as_bytes()));
                }
            }
        };
        self.tray.take_until(|log, told| {
            if showing.end.is_some() {
                return ControlFlow::Break(());
            }
            take(log, told, showing);
            ControlFlow::Continue(())
        });
        if self.tray.is_empty() {
            self.logs.iter().for_each(|log| log.ledger.all_taken());
        }
        self.take_streams(showing, now) || full
    }

    /// Bytes that were written to all logs, as far as was seen, and read of them.
    pub(super) fn written_and_read(&self) -> (u64, u64) {
        let amounts = || self.logs.iter().map(|log| log.ledger.written_and_read());
        (sum(amounts().map(|(written, _)| written)), sum(amounts().map(|(_, read)| read)))
    }

    /// What was read of each log.
    pub(super) fn receipts(&self, showing: &Showing) -> Vec<Receipt> {
        let receipt = |(at, log): (usize, &Log)| {
            let receipt = log.ledger.receipt();
            let mut gaps = receipt.gaps;
            if receipt.more_gaps > 0 {
                gaps.push(format!("{} more", receipt.more_gaps));
            }
            let (written, read, generations) = (receipt.written, receipt.read, receipt.generations);
            Receipt { source: showing.name(at).to_owned(), written, read, generations, gaps }
        };
        self.logs.iter().enumerate().map(receipt).collect()
    }

    /// No more is taken: what was told and waits is not behind the places of its logs.
    pub(super) fn take_back(&self) {
        self.tray.waiting(|log, generation, offset| {
            if let Some(log) = self.logs.get(log) {
                log.ledger.take_back(generation, offset);
            }
        });
    }

    /// Up to where all logs were told. Of one that has no place the one from before stays.
    pub(super) fn places(&mut self, showing: &Showing) -> Places {
        let known = self.logs.iter().enumerate().filter(|(_, log)| log.ledger.has_place());
        let known = known.map(|(at, log)| (showing.name(at).to_owned(), log.ledger.checkpoint())).collect();
        Places { forgotten: core::mem::take(&mut self.forgotten), known }
    }
}

/// Up to where logs were taken at some time.
pub(super) struct Places {
    forgotten: Vec<String>,
    known: Vec<(String, Checkpoint)>,
}

impl Places {
    /// All that was taken by then was shown.
    pub(super) fn keep(self, state: &mut State) {
        self.forgotten.iter().for_each(|name| state.forget(name));
        self.known.into_iter().for_each(|(name, checkpoint)| state.set(&name, checkpoint));
    }
}

fn since_of(since: Stamp, log_format: Option<&str>) -> Since {
    let parser = log_format.and_then(|format| RecordParser::named(format).ok()).unwrap_or_default();
    let parser = RefCell::new(parser);
    let stamp = move |line: &[u8]| {
        let record = parser.borrow_mut().parse(line).ok().flatten()?;
        record.time.map(Stamp::seconds)
    };
    Since { seconds: since.seconds(), stamp: Rc::new(stamp) }
}

#[cfg(test)]
mod tests;
