//! Whoever follows one log: the file that has its name, and those that had it and may still be written.

use super::begin::place;
use super::files::{Files, Stat, Trouble};
use super::find::{Candidate, Fit, Opened, Question, Survey};
use super::ledger::{Account, Ledger};
use super::position::{Before, Checkpoint, Position};
use super::reading::Reading;
use super::source::Step;
use super::{DRAIN, Note, Options, PAST_MAX, Sink};
use crate::driver::task::{Timers, yield_now};
use core::time::Duration;
use std::rc::Rc;

/// Reads of the current file before its name is looked at again.
const STEPS_MAX: usize = 16;

/// What is said at the end of a log that is not followed, after what was wrong with a file.
const NOT_WHOLE: &str = "not read to its end; look for a whole copy";

/// What a turn says of the future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// There may be more at once.
    More,
    /// Nothing now.
    End,
}

/// Follows one log.
pub(crate) struct Follower<F: Files, S> {
    files: F,
    path: Vec<u8>,
    options: Options,
    timers: Rc<Timers>,
    ledger: Rc<Ledger>,
    sink: S,
    /// Rotated away and still read, the oldest first.
    past: Vec<Reading<F::File>>,
    /// What has the log's name.
    current: Option<Reading<F::File>>,
    /// What was wrong the last time, so that it is said once.
    said: Option<Note>,
    /// A file could not be read to its end.
    damaged: bool,
    idle: Duration,
}

impl<F: Files, S: Sink> Follower<F, S> {
    /// Of the log at `path`. Goes on where the ledger says, or begins as the options say if that knows nothing.
    pub(crate) fn new(
        files: F,
        path: Vec<u8>,
        options: Options,
        timers: Rc<Timers>,
        ledger: Rc<Ledger>,
        sink: S,
    ) -> Self {
        let idle = options.poll.0;
        let (past, current, said, damaged) = (Vec::new(), None, None, false);
        Self { files, path, options, timers, ledger, sink, past, current, said, damaged, idle }
    }

    /// Follows until it is dropped, or reads to the end. What the ledger holds is true at any moment, so that this may be
    /// given up at any time, and another follower goes on with the same ledger.
    ///
    /// # Errors
    /// The way to the files is lost. The log is no regular file at the beginning. Of one that is not followed: any, and that a
    /// packed file is damaged.
    pub(crate) async fn run(&mut self) -> Result<(), Trouble> {
        self.attach().await?;
        loop {
            match self.turn().await {
                Ok(Turn::More) => self.idle = self.options.poll.0,
                Ok(Turn::End) if self.options.follow => self.wait().await,
                Ok(Turn::End) => {
                    self.end();
                    let trouble = || Trouble::Other(NOT_WHOLE.to_owned());
                    return if self.damaged { Err(trouble()) } else { Ok(()) };
                }
                Err(trouble) => {
                    self.bear(trouble)?;
                    self.wait().await;
                    self.attach().await?;
                }
            }
        }
    }

    /// Goes on in spite of a trouble, unless that is the end.
    fn bear(&mut self, trouble: Trouble) -> Result<(), Trouble> {
        match trouble {
            Trouble::Lost => return Err(Trouble::Lost),
            trouble if !self.options.follow => return Err(trouble),
            Trouble::Missing => self.say(Note::Waiting),
            Trouble::Other(text) => self.say(Note::Trouble(text)),
            Trouble::Denied => self.say(Note::Trouble(trouble.to_string())),
            Trouble::Exhausted => self.say(Note::Trouble(format!("{trouble}; trying again"))),
        }
        Ok(())
    }

    fn say(&mut self, note: Note) {
        if self.said.as_ref() != Some(&note) {
            self.said = Some(note.clone());
            self.sink.note(note);
        }
    }

    fn gap(&mut self, gap: String) {
        self.ledger.gap(&gap);
        self.sink.note(Note::Gap(gap));
    }

    /// Of a file no more can be read.
    fn damage(&mut self, gap: String) {
        self.damaged = true;
        self.gap(gap);
    }

    fn publish(&self) {
        self.ledger.publish(self.past.iter().chain(&self.current).map(|reading| &reading.spot));
    }

    /// Waits for something new, as long as is sensible.
    async fn wait(&mut self) {
        let now = self.timers.now();
        let due = self.past.first().and_then(|first| first.idle).map(|idle| idle + DRAIN);
        let at_most = due.map_or(self.idle, |due| self.idle.min(due.saturating_duration_since(now)));
        self.files.wait(at_most).await;
        self.idle = (self.idle * 2).min(self.options.poll.1);
    }

    /// Finds the log, and the place in it.
    async fn attach(&mut self) -> Result<(), Trouble> {
        self.past.clear();
        self.current = None;
        let is_new = self.ledger.accounts().is_empty() && !self.ledger.is_late();
        let mut is_first = is_new;
        loop {
            let attached = if is_new { self.begin().await } else { self.resume().await };
            match attached {
                Ok(()) => break,
                Err(trouble @ Trouble::Other(_)) if is_first => return Err(trouble),
                Err(trouble) => self.bear(trouble)?,
            }
            is_first = false;
            self.wait().await;
        }
        self.publish();
        Ok(())
    }

    /// Begins where the options say.
    async fn begin(&mut self) -> Result<(), Trouble> {
        let question =
            Question { before: None, positions: &[], resuming: true, all_new: self.options.with_rotated };
        let mut survey = Survey::of(&self.files, &self.path, question).await?;
        let Some(named) = survey.named() else {
            if !self.options.follow {
                return Err(Trouble::Missing);
            }
            self.say(Note::Waiting);
            let all = survey.candidates.len();
            self.anchor(&mut survey, all).await?;
            self.ledger.set_late();
            return Ok(());
        };
        // Of what cannot be read only the name is told.
        let first = if self.options.with_rotated { 0 } else { named };
        let readable = |at: &usize| survey.candidates.get(*at).is_some_and(Candidate::is_readable);
        let wanted: Vec<usize> = (first..=named).filter(readable).collect();
        let generations: Vec<_> = wanted
            .iter()
            .filter_map(|at| survey.candidates.get(*at)?.opened.as_ref()?.as_ref().ok())
            .collect();
        let (place, offset) =
            place(&self.files, &generations, self.options.start, self.options.since.as_ref()).await?;
        let begin = wanted.get(place).copied().unwrap_or(named);
        self.anchor(&mut survey, begin).await?;
        // What is older than all that can be read is missing, too, if all is wanted.
        let from = if (place, offset) == (0, 0) { first } else { begin };
        let (mut readings, mut gaps) = (Vec::new(), Vec::new());
        for (at, candidate) in survey.candidates.into_iter().enumerate().skip(from) {
            let offset = if at == begin { offset } else { 0 };
            match candidate.take() {
                Ok(opened) => readings.push(Reading::at(&self.files, opened, offset).await?),
                Err(gap) => gaps.push(gap),
            }
        }
        gaps.into_iter().for_each(|gap| self.gap(gap));
        for reading in &mut readings {
            reading.spot.generation = self.ledger.begin();
            reading.fixed = reading.is_packed();
        }
        self.current = readings.pop();
        self.past = readings;
        Ok(())
    }

    /// Remembers the rotated file before the first one that is read: whatever comes after it is new.
    async fn anchor(&self, survey: &mut Survey<F::File>, begin: usize) -> Result<(), Trouble> {
        let mut before = Before::Nothing;
        for at in (0..begin).rev() {
            match survey.end(&self.files, at).await? {
                Some(empty) if empty.head.len == 0 => continue, // like any other
                Some(position) => before = Before::File(position),
                None => before = Before::Unknown,
            }
            break;
        }
        self.ledger.set_before(before);
        Ok(())
    }

    /// Goes on where the ledger says, in whichever files that is now.
    async fn resume(&mut self) -> Result<(), Trouble> {
        let before = self.ledger.before();
        let accounts = self.ledger.accounts();
        let positions: Vec<Position> = accounts.iter().map(|account| account.position.clone()).collect();
        let question = Question::new(&before, &positions, true);
        let survey = Survey::of(&self.files, &self.path, question).await?;
        if survey.named().is_none() && !self.options.follow {
            return Err(Trouble::Missing);
        }
        let found = survey.found.clone();
        let named = survey.named();
        let (mut readings, mut gaps, mut finished, mut gone) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (new_from, mut named_foreign) = (survey.new_from, None);
        for (account, found) in accounts.iter().zip(&found) {
            match found {
                Some((_, Fit::Same)) => {}
                Some((_, Fit::Shorter | Fit::No)) => finished.push(account.clone()),
                None => {
                    let position = &account.position;
                    if !position.ended && position.head.len > 0 {
                        named_foreign = survey.foreign(new_from);
                        gaps.push(lost(position, named_foreign.as_deref()));
                    }
                    gone.push(account.clone());
                }
            }
        }
        for (at, candidate) in survey.candidates.into_iter().enumerate() {
            let own = accounts.iter().zip(&found).find(|(_, found)| **found == Some((at, Fit::Same)));
            if own.is_none() && at < new_from {
                continue;
            }
            match candidate.take() {
                Ok(opened) => {
                    let account = own.map(|(account, _)| account.clone());
                    let offset = account.as_ref().map_or(0, |account| account.position.offset);
                    let mut reading = Reading::at(&self.files, opened, offset).await?;
                    reading.spot.ended = account.as_ref().is_some_and(|account| account.position.ended);
                    reading.fixed = reading.is_packed() && named != Some(at);
                    readings.push((reading, account, named == Some(at)));
                }
                Err(gap) if named_foreign.as_ref().is_some_and(|name| gap.starts_with(name)) => {}
                Err(gap) => gaps.push(gap),
            }
        }
        // From here on nothing waits: this happens as a whole.
        finished.iter().for_each(|account| self.ledger.finish(account));
        gone.iter().for_each(|account| self.ledger.lose(account));
        gaps.into_iter().for_each(|gap| self.gap(gap));
        for (mut reading, account, named) in readings {
            (reading.spot.generation, reading.spot.start) = match account {
                Some(account) => (account.generation, account.start),
                None => (self.ledger.begin(), 0),
            };
            if named {
                self.current = Some(reading);
            } else {
                self.past.push(reading);
            }
        }
        if self.current.is_none() {
            self.say(Note::Waiting);
        }
        Ok(())
    }

    /// Reads what is new, the old files first, and looks whether the name stands for another file.
    async fn turn(&mut self) -> Result<Turn, Trouble> {
        let mut turn = Turn::End;
        let end = self.end_seen().await?;
        for at in 0..self.past.len() {
            turn = turn.or(self.drain(at).await?);
        }
        self.let_go();
        if self.find_missed().await? {
            return Ok(Turn::More);
        }
        for _ in 0..STEPS_MAX {
            let Some(step) = self.step_current(end).await? else { break };
            match step {
                Step::More => turn = Turn::More,
                Step::End => break,
                Step::Replaced => {
                    self.begin_again().await?;
                    return Ok(Turn::More);
                }
                Step::Broken => {
                    // Nothing is known of what comes, until the name stands for another file.
                    let read = self.current.as_mut().map_or(0, Reading::give_up);
                    self.damage(format!("it cannot be inflated after byte {read} of its text"));
                    break;
                }
            }
        }
        if self.options.follow {
            turn = turn.or(self.look().await?);
        }
        Ok(turn)
    }

    /// Where the current file ends before old ones are read on: a writer who goes on in it has written to those before, and what
    /// stands behind is for the next turn.
    async fn end_seen(&self) -> Result<Option<u64>, Trouble> {
        match self.current.as_ref().filter(|current| !current.over) {
            Some(current) if self.past.iter().any(|reading| !reading.over) => {
                Ok(Some(self.files.fstat(&current.file).await?.size))
            }
            _ => Ok(None),
        }
    }

    /// Reads of a file that was rotated away: all at first, then a little at a time.
    async fn drain(&mut self, at: usize) -> Result<Turn, Trouble> {
        let mut turn = Turn::End;
        loop {
            self.sink.ready().await;
            let Some(reading) = self.past.get_mut(at).filter(|reading| !reading.over) else {
                return Ok(turn);
            };
            let step = match reading.step(&self.files, None, &mut self.sink).await {
                Ok(step) => step,
                Err(Trouble::Lost) => return Err(Trouble::Lost),
                Err(_) => Step::Broken, // the others are read on
            };
            let ended_before = reading.spot.ended;
            match step {
                Step::More => {
                    reading.idle = None;
                    turn = Turn::More;
                }
                Step::End => {
                    reading.idle = reading.idle.or(Some(self.timers.now()));
                    reading.spot.ended = true;
                    reading.over = reading.fixed;
                    if reading.fixed && !reading.is_whole() {
                        let at = reading.spot.read();
                        self.damage(ends_amid_text(at));
                    }
                }
                Step::Replaced | Step::Broken => {
                    reading.spot.ended = true;
                    let at = reading.give_up();
                    self.damage(format!("a rotated file cannot be read on after byte {at}"));
                }
            }
            if step == Step::More || !ended_before {
                self.publish();
            }
            yield_now().await;
            if step != Step::More || ended_before {
                return Ok(turn);
            }
        }
    }

    /// A file that was empty holds something: what it held before it was copied and truncated is not seen in it, but there is
    /// the copy. Whether there was one.
    async fn find_missed(&mut self) -> Result<bool, Trouble> {
        let checked = self.current.as_ref().is_none_or(|current| current.checked);
        if checked || !self.options.follow || !self.is_fresh().await? {
            return Ok(false);
        }
        let Checkpoint { before, files: mut positions } = self.ledger.checkpoint();
        positions.pop();
        let survey =
            match Survey::of(&self.files, &self.path, Question::new(&before, &positions, false)).await {
                Ok(survey) => survey,
                Err(trouble @ (Trouble::Lost | Trouble::Exhausted)) => return Err(trouble),
                Err(_) => return Ok(false), // looking at the name tells
            };
        // Only what is older than the file itself, whose name may be another one by now.
        let Some(own) = self.blank().await? else { return Ok(false) };
        let is_own =
            |candidate: &Candidate<F::File>| candidate.opened().is_some_and(|opened| opened.is_of(&own));
        let Some(own) = survey.candidates.iter().rposition(is_own) else { return Ok(false) };
        let mut readings = Vec::new();
        for candidate in survey.candidates.into_iter().take(own).skip(survey.new_from) {
            if let Some(opened) = candidate.take().ok().filter(|opened| !opened.head.is_empty()) {
                readings.push(Reading::at(&self.files, opened, 0).await?);
            }
        }
        if let Some(current) = &mut self.current {
            current.checked = true;
        }
        let any = !readings.is_empty();
        for mut reading in readings {
            reading.fixed = reading.is_packed();
            reading.spot.generation = self.ledger.begin();
            self.past.push(reading);
        }
        self.publish();
        Ok(any)
    }

    /// Whether the current file was empty and is no more.
    async fn is_fresh(&self) -> Result<bool, Trouble> {
        match self.current.as_ref().filter(|current| current.spot.is_blank() && !current.over) {
            Some(current) => Ok(self.files.fstat(&current.file).await?.size > 0),
            None => Ok(false),
        }
    }

    /// The current file, if it was empty, as it is now: it is not known from its position.
    async fn blank(&self) -> Result<Option<(Stat, Vec<u8>)>, Trouble> {
        let Some(current) = self.current.as_ref().filter(|current| current.spot.is_blank()) else {
            return Ok(None);
        };
        let stat = self.files.fstat(&current.file).await?;
        Ok(Some((stat, super::source::head(&self.files, &current.file).await?.0)))
    }

    async fn step_current(&mut self, end: Option<u64>) -> Result<Option<Step>, Trouble> {
        self.sink.ready().await;
        let Some(current) = self.current.as_mut().filter(|current| !current.over) else { return Ok(None) };
        let step = current.step(&self.files, end, &mut self.sink).await?;
        if step == Step::More {
            self.publish();
            yield_now().await;
        }
        Ok(Some(step))
    }

    /// Lets go of what has been idle for long, the oldest first.
    fn let_go(&mut self) {
        let now = self.timers.now();
        while let Some(first) = self.past.first() {
            let is_idle = first.idle.is_some_and(|idle| now.saturating_duration_since(idle) >= DRAIN);
            let too_many = self.past.len() > PAST_MAX || !self.options.follow;
            if !(first.over || (first.spot.ended && (first.fixed || is_idle || too_many))) {
                return;
            }
            let mut first = self.past.remove(0);
            first.finish(&mut self.sink);
            self.ledger.finish(&Account::of(&first.spot));
            self.publish();
        }
    }

    /// Everything was read.
    fn end(&mut self) {
        let Some(current) = &mut self.current else { return };
        let (is_packed, read) = (current.is_packed(), current.spot.read());
        let is_whole = !current.over && current.is_whole();
        let ends_amid = is_packed && !current.over && !is_whole;
        if is_packed || !self.options.leaves_unfinished {
            current.finish(&mut self.sink);
        }
        // Nobody finishes its last line any more.
        if is_packed && is_whole {
            current.spot.pass();
        }
        self.publish();
        if ends_amid {
            self.damage(ends_amid_text(read));
        }
    }

    /// Looks what the name stands for.
    async fn look(&mut self) -> Result<Turn, Trouble> {
        if self.is_fresh().await? {
            return Ok(Turn::More); // first it gets to be known by what it holds
        }
        let looked = match self.is_same().await {
            Ok(true) => {
                self.said = None;
                return Ok(Turn::End);
            }
            // Where files have no numbers, one that was truncated and has grown between two answers looks like another.
            Ok(false) if self.step_current(Some(0)).await? == Some(Step::Replaced) => {
                self.begin_again().await?;
                return Ok(Turn::More);
            }
            Ok(false) => self.go_on().await,
            Err(trouble) => Err(trouble),
        };
        match looked {
            Ok(turn) => Ok(turn),
            Err(trouble) => self.bear(trouble).map(|()| Turn::End),
        }
    }

    /// Whether the name stands for the file that is being read. Where files have no numbers: a file that has another size at the
    /// same time is another one; it may grow between two looks.
    async fn is_same(&mut self) -> Result<bool, Trouble> {
        let Some(current) = &mut self.current else {
            self.files.stat(&self.path).await?;
            return Ok(false);
        };
        let own = self.files.fstat(&current.file).await?;
        let named = self.files.stat(&self.path).await?;
        if own.identity.is_some() && named.identity.is_some() {
            current.see(&own);
            self.publish();
            return Ok(own.identity == named.identity);
        }
        let again = if is_as(&own, &named) { own } else { self.files.fstat(&current.file).await? };
        current.see(&again);
        let between = own.size <= named.size && named.size <= again.size;
        let between = between && (!is_as(&own, &again) || is_as(&own, &named));
        self.publish();
        // It was truncated meanwhile: reading tells.
        Ok(between || again.size < own.size)
    }

    /// The name stands for another file: those that came between are read before it.
    async fn go_on(&mut self) -> Result<Turn, Trouble> {
        let Checkpoint { before, files: positions } = self.ledger.checkpoint();
        let question = Question::new(&before, &positions, false);
        let survey = Survey::of(&self.files, &self.path, question).await?;
        let Some(named) = survey.named() else { return Err(Trouble::Missing) };
        let copy = survey.found.last().is_some_and(|found| *found == Some((named, Fit::Same)));
        let offset = positions.last().filter(|_| copy).map_or(0, |position| position.offset);
        let new_from = if copy { named } else { survey.new_from };
        let own = self.blank().await?;
        let (mut readings, mut gaps) = (Vec::new(), Vec::new());
        for candidate in survey.candidates.into_iter().skip(new_from) {
            let named = candidate.is_named();
            let is_held = |opened: &Opened<F::File>| own.as_ref().is_some_and(|own| opened.is_of(own));
            match candidate.take() {
                // An empty one cannot be told from those that are held.
                Ok(opened) if !named && (opened.head.is_empty() || is_held(&opened)) => {}
                Ok(opened) => readings.push(Reading::at(&self.files, opened, offset).await?),
                Err(gap) => gaps.push(gap),
            }
        }
        let rotated = readings.len().saturating_sub(1);
        readings.iter_mut().take(rotated).for_each(|reading| reading.fixed = reading.is_packed());
        // From here on nothing waits: this happens as a whole.
        let behind = self.ledger.behind();
        gaps.into_iter().for_each(|gap| self.gap(gap));
        let old = self.current.take().or_else(|| if copy { self.past.pop() } else { None });
        if let (true, Some(old), Some(reading)) = (copy, &old, readings.first_mut()) {
            (reading.spot.generation, reading.spot.start) = (old.spot.generation, old.spot.start);
        } else {
            if old.is_some() {
                self.sink.note(Note::Rotated { behind });
            }
            self.past.extend(old);
            for reading in &mut readings {
                reading.spot.generation = self.ledger.begin();
            }
        }
        self.current = readings.pop();
        self.past.extend(readings);
        self.said = None;
        self.publish();
        Ok(Turn::More)
    }

    /// The file was truncated, or written anew: what a copy of it has is read first, then it begins at 0 again.
    async fn begin_again(&mut self) -> Result<(), Trouble> {
        let Some(current) = &self.current else { return Ok(()) };
        let Checkpoint { before, files: positions } = self.ledger.checkpoint();
        let survey = Survey::of(&self.files, &self.path, Question::new(&before, &positions, false)).await?;
        let stat = self.files.fstat(&current.file).await?;
        let (head, packed) = super::source::head(&self.files, &current.file).await?;
        let seen = survey.named().and_then(|named| survey.candidates.get(named)?.opened());
        let seen = seen.filter(|seen| stat.identity.is_some() && seen.stat.identity == stat.identity);
        if seen.is_some_and(|seen| !head.starts_with(&seen.head)) {
            return Ok(()); // once more meanwhile, and its copy was not seen: the next read tells
        }
        let found = survey.found.last().copied().flatten();
        let copy = found.filter(|(_, fit)| *fit == Fit::Same).map(|(at, _)| at);
        let mut is_shorter = found.is_some_and(|(_, fit)| fit == Fit::Shorter);
        let at = current.spot.told();
        // The copy, and what was copied after it and never seen.
        let (mut readings, mut gaps) = (Vec::new(), Vec::new());
        let from = copy.unwrap_or(survey.new_from);
        for (n, candidate) in survey.candidates.into_iter().enumerate().skip(from) {
            if candidate.is_named() {
                break;
            }
            match candidate.take() {
                Ok(opened) if Some(n) == copy => {
                    let mut reading = Reading::at(&self.files, opened, at).await?;
                    (reading.spot.generation, reading.spot.start) =
                        (current.spot.generation, current.spot.start);
                    reading.fixed = true;
                    readings.push(reading);
                }
                Ok(opened) if opened.head.is_empty() => {}
                // A copy of what the file holds now: it is about to be truncated once more.
                Ok(opened) if opened.stat.size <= stat.size && head.starts_with(&opened.head) => {}
                // Too small to be known by its beginning.
                Ok(opened) if opened.stat.size < at && current.spot.head().starts_with(&opened.head) => {
                    is_shorter = true;
                }
                Ok(opened) => {
                    let mut reading = Reading::at(&self.files, opened, 0).await?;
                    reading.spot.generation = self.ledger.begin();
                    readings.push(reading);
                }
                Err(gap) => gaps.push(gap),
            }
        }
        let Some(mut old) = self.current.take() else { return Ok(()) };
        self.sink.note(Note::Truncated { at });
        if copy.is_none() {
            old.finish(&mut self.sink);
            self.ledger.finish(&Account::of(&old.spot));
            if !is_shorter {
                gaps.insert(
                    0,
                    format!("truncated, and nobody kept a copy: what came after byte {at}, if anything"),
                );
            }
        }
        gaps.into_iter().for_each(|gap| self.gap(gap));
        self.past.extend(readings);
        let opened = Opened { file: old.file, stat, head, packed };
        let mut current = Reading::new(opened);
        current.spot.generation = self.ledger.begin();
        self.current = Some(current);
        self.publish();
        Ok(())
    }
}

impl Turn {
    const fn or(self, other: Self) -> Self {
        match self {
            Self::More => Self::More,
            Self::End => other,
        }
    }
}

fn is_as(a: &Stat, b: &Stat) -> bool {
    (a.size, a.mtime) == (b.size, b.mtime)
}

/// What is said of a packed text that ends too early.
pub(crate) fn ends_amid_text(read: u64) -> String {
    format!("a packed file is damaged or ends amid its text, after byte {read}")
}

/// What is said of a file that is gone.
fn lost(position: &Position, foreign: Option<&str>) -> String {
    let at = position.offset;
    let time = position.mtime.map(|time| format!(" (last written at @{time})")).unwrap_or_default();
    let packed = foreign.map(|name| format!("; it may be in {name}")).unwrap_or_default();
    format!("the file that was read to byte {at}{time} is gone{packed}")
}
