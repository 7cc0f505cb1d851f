//! `--over N --for D`: more hits within a time than there may be.
//!
//! The window slides by the records' own times, a second at a step; records may come late by [`LATE_MAX`] seconds, those of
//! several logs, which may be read one after the other, by [`APART_MAX`]. It does not know the clock: without records nothing
//! comes true.

use super::json::Object;
use super::ranking::{Order, Ranking, Top};
use super::report::{Topic, write_top, write_tops};
use super::when;
use crate::weblog::record::{Record, Text, path_and_query};
use crate::weblog::time::Stamp;
use std::collections::VecDeque;
use std::io::Write;

/// The longest window: a day, in seconds.
pub const BUCKETS_MAX: usize = 86_400;

/// So many seconds a record may be older than the newest and still count where it belongs.
pub const LATE_MAX: usize = 60;

/// The same of several logs of which one may have been read much further than another: a month.
pub const APART_MAX: usize = 31 * 86_400;

/// So many records in a row that are older still: the times have gone back, and the window begins again there.
const STALE_MAX: u32 = 64;

/// The names that are counted for the evidence, in each quarter of the window.
const NAMES_OF_QUARTER: usize = 512;

/// Quarters whose names are kept: of one log, and of several that may be read one after the other.
const QUARTERS_MAX: (usize, usize) = (10, 64);

/// What `--over` and `--for` ask for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Over {
    /// `5/s`.
    over: String,
    /// `30s`.
    over_for: String,
    /// That N is of: `s`, `m` or `h`, and how many seconds that is.
    unit: (&'static str, f64),
    /// The length of the window (seconds).
    seconds: usize,
    /// So many hits there may be in it.
    allowed: f64,
}

impl Over {
    pub(super) fn new(over: Option<&str>, over_for: Option<&str>) -> Result<Option<Self>, String> {
        let Some(over) = over else {
            return match over_for {
                Some(text) => Err(format!("--for {text}: it belongs to --over: write --over 5/s --for 30s")),
                None => Ok(None),
            };
        };
        let wrong =
            || format!("--over {over}: write so many hits a second, minute or hour: 5/s, 300/m, 10000/h");
        let (number, unit) = over.split_once('/').unwrap_or((over, "s"));
        let units = [("s", 1.0), ("m", 60.0), ("h", 3600.0)];
        let unit = units.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let is_number = number.starts_with(|c: char| c.is_ascii_digit())
            && number.chars().all(|c| c.is_ascii_digit() || c == '.');
        let number_of = number.parse::<f64>().ok().filter(|_| is_number).ok_or_else(wrong)?;
        let over_for = over_for.unwrap_or("60s");
        let duration = when::duration(over_for).map_err(|error| format!("--for {error}"))?;
        let seconds = usize::try_from(duration.as_secs()).unwrap_or(usize::MAX);
        if seconds > BUCKETS_MAX {
            return Err(format!("--for {over_for}: too long: write 1d at the most"));
        }
        Ok(Some(Self {
            over: format!("{number}/{}", unit.0),
            over_for: over_for.to_owned(),
            unit,
            seconds,
            allowed: number_of * seconds as f64 / unit.1,
        }))
    }
}

/// Waits for too many hits.
#[derive(Debug)]
pub struct Alert {
    over: Over,
    top: usize,
    /// So many seconds a record may be late.
    late_max: usize,
    /// Hits of each second, the newest at the end: those of the window, and of so many seconds before it.
    buckets: VecDeque<u32>,
    /// Their sum.
    total: u64,
    newest: i64,
    /// Hits of the window that ends with the newest second.
    sum: u64,
    /// So many hits may still come, wherever they belong, before any window can have too many; below 0 that is not known.
    slack: f64,
    stale: u32,
    quarters_max: usize,
    /// The one that was counted in last at the end.
    quarters: VecDeque<Quarter>,
    evidence: Option<Evidence>,
}

/// The names of as many seconds as are a quarter of the window.
#[derive(Debug)]
struct Quarter {
    /// So many of them were before it.
    number: i64,
    paths: Ranking,
    hosts: Ranking,
}

/// That it came true.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    over: String,
    over_for: String,
    unit: (&'static str, f64),
    /// Within the window.
    pub hits: u64,
    /// Hits a second.
    pub rate: f64,
    /// The second of the first of them.
    pub first: Stamp,
    /// The second of the last of them.
    pub last: Stamp,
    /// The paths that came most in the window and up to a quarter of it before and behind; where several logs were read far
    /// from each other, only those of the last may be known.
    pub paths: Vec<Top>,
    /// The client addresses likewise.
    pub hosts: Vec<Top>,
}

impl Alert {
    pub(super) const fn new(over: Over, top: u16) -> Self {
        Self {
            over,
            top: top as usize,
            late_max: LATE_MAX,
            buckets: VecDeque::new(),
            total: 0,
            newest: 0,
            sum: 0,
            slack: 0.0,
            stale: 0,
            quarters_max: QUARTERS_MAX.0,
            quarters: VecDeque::new(),
            evidence: None,
        }
    }

    /// The records will be of several logs, of which one may be read before another.
    #[must_use]
    pub fn of_several(self) -> Self {
        Self { late_max: APART_MAX, quarters_max: QUARTERS_MAX.1, ..self }
    }

    /// A record passed. True once there were too many; nothing is counted after that. A record without time is not counted.
    pub fn hit(&mut self, record: &Record<'_>) -> bool {
        if self.evidence.is_none()
            && let Some(time) = record.time
            && let Some(late) = self.count(time.seconds())
        {
            self.count_names(time.seconds(), record);
            self.evidence = self.end_over(late).map(|(back, hits)| self.collect(time, back, hits));
        }
        self.evidence.is_some()
    }

    /// Why it came true; `None` if it did not yet.
    #[must_use]
    pub const fn evidence(&self) -> Option<&Evidence> {
        self.evidence.as_ref()
    }

    /// How many seconds are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.buckets.len()
    }

    /// How many names are counted at the most, of a kind and in a quarter.
    #[cfg(test)]
    pub(super) fn names(&self) -> usize {
        let counted = self.quarters.iter().map(|quarter| quarter.paths.len().max(quarter.hosts.len()));
        counted.max().unwrap_or(0)
    }

    /// Counts a hit in its second; how many seconds that is before the newest. `None` if it is too old.
    fn count(&mut self, second: i64) -> Option<usize> {
        if self.buckets.is_empty() {
            (self.newest, self.sum, self.total) = (second, 0, 0);
            self.buckets.push_back(0);
        }
        let late = usize::try_from(self.newest.saturating_sub(second)).unwrap_or(0);
        if late > self.late_max {
            self.stale += 1;
            if self.stale <= STALE_MAX {
                return None;
            }
            self.buckets.clear();
            self.quarters.clear();
            self.stale = 0;
            return self.count(second);
        }
        self.stale = 0;
        self.advance(second);
        while self.buckets.len() <= late {
            self.buckets.push_front(0);
        }
        let at = self.buckets.len() - 1 - late;
        if let Some(hits) = self.buckets.get_mut(at) {
            *hits = hits.saturating_add(1);
        }
        self.sum += u64::from(late < self.over.seconds);
        self.total += 1;
        self.slack -= 1.0;
        Some(late)
    }

    /// Lets the window end with `second`, if that is after its end.
    fn advance(&mut self, second: i64) {
        let ahead = usize::try_from(second.saturating_sub(self.newest)).unwrap_or(0);
        if ahead == 0 {
            return;
        }
        self.newest = second;
        if ahead >= self.over.seconds + self.late_max {
            self.buckets.clear();
            self.buckets.push_back(0);
            (self.sum, self.total) = (0, 0);
            return;
        }
        for _ in 0..ahead {
            self.buckets.push_back(0);
            self.sum -= self.hits_back(self.over.seconds);
            if self.buckets.len() > self.over.seconds + self.late_max {
                self.total -= u64::from(self.buckets.pop_front().unwrap_or(0));
            }
        }
    }

    /// The hits of so many seconds before the newest.
    fn hits_back(&self, back: usize) -> u64 {
        let at = self.buckets.len().checked_sub(back + 1);
        at.and_then(|at| self.buckets.get(at)).copied().unwrap_or(0).into()
    }

    /// Of the windows that hold a hit which came `late` seconds late: by how many seconds before the newest the first one ends that
    /// has too many hits, and how many.
    fn end_over(&mut self, late: usize) -> Option<(usize, u64)> {
        if self.total as f64 <= self.over.allowed || late > LATE_MAX && self.slack >= 0.0 {
            return None;
        }
        if late <= LATE_MAX {
            let first = (late + 1).saturating_sub(self.over.seconds);
            return self.windows(first).take(late + 1 - first).find(|(_, sum)| self.is_over(*sum));
        }
        // There are many of them: all are looked at, so that this need not be done again soon.
        let most = self.windows(0).take(self.buckets.len()).max_by_key(|(_, sum)| *sum)?;
        self.slack = self.over.allowed - most.1 as f64;
        self.is_over(most.1).then_some(most)
    }

    fn is_over(&self, sum: u64) -> bool {
        sum as f64 > self.over.allowed
    }

    /// The windows that end `first` and more seconds before the newest: how many, and their hits.
    fn windows(&self, first: usize) -> impl Iterator<Item = (usize, u64)> + '_ {
        let mut sum = match first {
            0 => self.sum,
            _ => (first..first + self.over.seconds).map(|back| self.hits_back(back)).sum(),
        };
        (first..).map(move |back| {
            let window = (back, sum);
            sum = (sum + self.hits_back(back + self.over.seconds)) - self.hits_back(back);
            window
        })
    }

    /// How many seconds a quarter of the window has.
    fn quarter(&self) -> i64 {
        i64::try_from(self.over.seconds.div_ceil(4)).unwrap_or(1)
    }

    fn count_names(&mut self, second: i64, record: &Record<'_>) {
        let number = second.div_euclid(self.quarter());
        match self.quarters.iter().rposition(|quarter| quarter.number == number) {
            Some(at) if at + 1 == self.quarters.len() => {}
            Some(at) => {
                let again = self.quarters.remove(at);
                self.quarters.extend(again);
            }
            None => {
                if self.quarters.len() == self.quarters_max {
                    self.quarters.pop_front();
                }
                let ranking = || Ranking::new(NAMES_OF_QUARTER);
                self.quarters.push_back(Quarter { number, paths: ranking(), hosts: ranking() });
            }
        }
        let Some(quarter) = self.quarters.back_mut() else { return };
        if let Some(resource) = record.resource() {
            quarter.paths.add(path_and_query(&resource).0, record.size);
        }
        if let Some(client) = record.client.map(Text::decode) {
            quarter.hosts.add(&client, record.size);
        }
    }

    fn collect(&self, time: Stamp, back: usize, hits: u64) -> Evidence {
        let has_hits = |back: &usize| self.hits_back(*back) > 0;
        let window = back..back + self.over.seconds;
        let last = window.clone().find(has_hits).unwrap_or(back);
        let first = window.rev().find(has_hits).unwrap_or(back);
        let stamp =
            |back: usize| same_zone(time, self.newest.saturating_sub(i64::try_from(back).unwrap_or(0)));
        let length = i64::try_from(self.over.seconds).unwrap_or(i64::MAX);
        let end = self.newest.saturating_sub(i64::try_from(back).unwrap_or(0));
        let numbers =
            end.saturating_sub(length - 1).div_euclid(self.quarter())..=end.div_euclid(self.quarter());
        let tops = |of: fn(&Quarter) -> &Ranking| {
            let mut all = Ranking::new(NAMES_OF_QUARTER);
            let quarters = self.quarters.iter().filter(|quarter| numbers.contains(&quarter.number));
            for top in quarters.flat_map(|quarter| of(quarter).tops(usize::MAX, Order::Hits)) {
                all.add_hits(&top.name, top.hits, top.bytes);
            }
            all.tops(self.top, Order::Hits)
        };
        Evidence {
            over: self.over.over.clone(),
            over_for: self.over.over_for.clone(),
            unit: self.over.unit,
            hits,
            rate: hits as f64 / self.over.seconds as f64,
            first: stamp(first),
            last: stamp(last),
            paths: tops(|quarter| &quarter.paths),
            hosts: tops(|quarter| &quarter.hosts),
        }
    }
}

/// Another second, told in the zone of `stamp`.
fn same_zone(stamp: Stamp, second: i64) -> Stamp {
    let text = stamp.rfc3339();
    let of_second = Stamp::utc(second, 0, 0);
    let offset = || {
        let as_if_utc = format!("{}Z", text.get(..19)?);
        let local = Stamp::parse_rfc3339(as_if_utc.as_bytes()).ok()?.seconds();
        let local = Stamp::utc(second + (local - stamp.seconds()), 0, 0).rfc3339();
        let moved = format!("{}{}", local.get(..19)?, text.get(text.len().checked_sub(6)?..)?);
        Stamp::parse_rfc3339(moved.as_bytes()).ok()
    };
    offset().unwrap_or(of_second)
}

impl Evidence {
    /// Appends the evidence as text: a line, then top paths and hosts.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        let Self { over, over_for, hits, unit: (unit, seconds), .. } = self;
        let rate = self.rate * seconds;
        let (first, last) = (self.first.rfc3339(), self.last.rfc3339());
        let _into_memory = writeln!(
            out,
            "over {over} for {over_for}: {hits} hits in {over_for} ({rate:.1}/{unit}), {first} to {last}"
        );
        write_tops(Topic::Paths, &self.paths, out);
        write_tops(Topic::Hosts, &self.hosts, out);
    }

    /// Appends the evidence as one object, and the end of a line.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.text("type", b"alert");
        object.text("over", self.over.as_bytes());
        object.text("for", self.over_for.as_bytes());
        object.number("hits", self.hits);
        object.float("rate", self.rate);
        object.text("first", self.first.rfc3339().as_bytes());
        object.text("last", self.last.rfc3339().as_bytes());
        let mut top = Object::new(object.name("top"));
        top.list(Topic::Paths.name(), &self.paths, write_top);
        top.list(Topic::Hosts.name(), &self.hosts, write_top);
        top.end();
        object.end();
        out.push(b'\n');
    }
}
