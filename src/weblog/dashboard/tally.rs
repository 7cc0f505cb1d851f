//! What a dashboard shows of a log: counts, and the last lines, in bounded memory.
//!
//! Names are counted by [`Ranking`]s of [`COUNTERS`] counters: a number is too large by at most a [`COUNTERS`]th of all hits (such
//! ones are shown with `~` in front), and a name with more hits than that is never missing. All other numbers are exact. With the
//! [`LINES_KEPT`] last lines, of which [`LINE_KEPT`] bytes are kept each, a tally takes no more than some 4 MiB, whatever comes;
//! with the names of usual logs a tenth of that. It does not know who looks at it.

use crate::driver::text::escaped;
use crate::weblog::time::Stamp;
use crate::weblog::view::{Hit, LINE_TIME, Order, Patience, Ranking, Second, Seconds, Top, Topic};
use regex::bytes::Regex;
use std::collections::VecDeque;
use std::time::Instant;

/// The counters of each ranking.
pub const COUNTERS: usize = 1024;

/// So many of the last lines are kept.
pub const LINES_KEPT: usize = 500;

/// Of a longer line so many bytes are kept.
pub const LINE_KEPT: usize = 1024;

/// Rates are those of so many seconds.
pub const RATE_SECONDS: usize = 10;

/// The lines of a log, counted.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Grows with everything that changes what is shown.
    changes: u64,
    hits: u64,
    bytes: u64,
    skipped: u64,
    /// By the first digit of the status.
    classes: [u64; 10],
    rankings: [Ranking; 4],
    seconds: Seconds,
    /// The latest second that was ahead of the log's clock, and when it was heard of: from then on that clock goes with ours.
    clock: Option<(i64, Instant)>,
    lines: VecDeque<LiveLine>,
    /// Lines that came before those.
    forgotten: u64,
}

/// A line as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LiveLine {
    /// Nothing in it acts on a terminal.
    pub(super) text: Box<str>,
    pub(super) status: Option<u16>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            changes: 0,
            hits: 0,
            bytes: 0,
            skipped: 0,
            classes: [0; 10],
            rankings: Topic::ALL.map(|_| Ranking::new(COUNTERS)),
            seconds: Seconds::default(),
            clock: None,
            lines: VecDeque::new(),
            forgotten: 0,
        }
    }
}

impl Tally {
    /// A hit came; `line` is what [`View::show`](crate::weblog::view::View::show) wrote of it, with or without its end. It is
    /// counted at its own time; one without at the present.
    pub fn hit(&mut self, line: &[u8], hit: &Hit<'_>, now: Instant) {
        let record = hit.record();
        self.hits += 1;
        self.bytes = self.bytes.saturating_add(record.size);
        let class = record.status.and_then(|status| self.classes.get_mut(usize::from(status / 100)));
        class.into_iter().for_each(|hits| *hits += 1);
        let present = self.present(now);
        let time = record.time.unwrap_or_else(|| Stamp::utc(present.unwrap_or(0), 0, 0));
        if present.is_none_or(|present| present < time.seconds()) {
            self.clock = Some((time.seconds(), now));
        }
        self.seconds.add(time, record.status.is_some_and(|status| status >= 400));
        for (topic, ranking) in Topic::ALL.into_iter().zip(&mut self.rankings) {
            if let Some(name) = topic.name_in(hit) {
                ranking.add(&name, record.size);
            }
        }
        self.push(LiveLine { text: kept(line), status: record.status });
    }

    /// So many records were not told here.
    pub fn skipped(&mut self, count: u64) {
        self.skipped = self.skipped.saturating_add(count);
        let text = format!("… {} records skipped", super::grouped(count)).into();
        self.push(LiveLine { text, status: None });
    }

    /// Hits so far.
    #[must_use]
    pub const fn hits(&self) -> u64 {
        self.hits
    }

    /// Nothing counted, and the lines in which `filter` finds something: of the newest, as long as there is patience.
    pub(super) fn of_lines(&self, filter: &Regex, patience: &mut Patience) -> Self {
        let mut lines = VecDeque::new();
        for line in self.lines.iter().rev() {
            if patience.is_over() {
                break;
            }
            if patience.measure(|| filter.is_match(line.text.as_bytes())) {
                lines.push_front(line.clone());
            }
            patience.rest(LINE_TIME);
        }
        Self { lines, ..Self::default() }
    }

    fn push(&mut self, line: LiveLine) {
        self.changes += 1;
        if self.lines.len() >= LINES_KEPT {
            self.lines.pop_front();
            self.forgotten += 1;
        }
        self.lines.push_back(line);
    }

    pub(super) const fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) const fn records_skipped(&self) -> u64 {
        self.skipped
    }

    /// Hits with a status of a class: 2 for 2xx.
    pub(super) fn class(&self, class: usize) -> u64 {
        self.classes.get(class).copied().unwrap_or(0)
    }

    pub(super) fn tops(&self, topic: Topic, count: usize, order: Order) -> Vec<Top> {
        self.rankings.get(topic as usize).map(|ranking| ranking.tops(count, order)).unwrap_or_default()
    }

    /// How many names of a topic there are.
    pub(super) fn names(&self, topic: Topic) -> usize {
        self.rankings.get(topic as usize).map_or(0, Ranking::len)
    }

    /// The lines that are kept, by their numbers.
    pub(super) fn lines(&self) -> core::ops::Range<u64> {
        self.forgotten..self.forgotten + self.lines.len() as u64
    }

    pub(super) fn line(&self, number: u64) -> Option<&LiveLine> {
        self.lines.get(usize::try_from(number.checked_sub(self.forgotten)?).ok()?)
    }

    /// The second that it is in the log: that of the newest record when it came, and the time since then.
    fn present(&self, now: Instant) -> Option<i64> {
        let (second, heard) = self.clock?;
        let since = now.saturating_duration_since(heard).as_secs();
        Some(second.saturating_add_unsigned(since))
    }

    /// The last `count` seconds, the present one at the end.
    pub(super) fn seconds(&self, now: Instant, count: usize) -> Vec<Second> {
        self.present(now).map(|present| self.seconds.until(present, count).collect()).unwrap_or_default()
    }

    /// Hits and errors a second, of the last [`RATE_SECONDS`] that are over.
    pub(super) fn rates(&self, now: Instant) -> (f64, f64) {
        let Some(present) = self.present(now) else { return (0.0, 0.0) };
        let (mut hits, mut errors) = (0.0, 0.0);
        for second in self.seconds.until(present.saturating_sub(1), RATE_SECONDS) {
            hits += f64::from(second.hits);
            errors += f64::from(second.errors);
        }
        (hits / RATE_SECONDS as f64, errors / RATE_SECONDS as f64)
    }

    /// When the next second begins.
    pub(super) fn next_second(&self, now: Instant) -> Option<Instant> {
        let (_, heard) = self.clock?;
        let over = now.saturating_duration_since(heard).as_secs();
        Some(heard + core::time::Duration::from_secs(over.saturating_add(1)))
    }
}

/// The part of a line that is kept, harmless; no character is cut in two.
fn kept(line: &[u8]) -> Box<str> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let is_first = |at: &usize| line.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
    let end = (LINE_KEPT - 3..=LINE_KEPT).rev().find(is_first).unwrap_or(LINE_KEPT);
    escaped(line.get(..end).unwrap_or(line)).into()
}
