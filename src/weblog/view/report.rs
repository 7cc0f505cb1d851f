//! `--stats`: what came in all, in bounded memory.
//!
//! Names are counted by [`Ranking`]s of [`NAMES_MAX`] counters, which says how exact they are; all other numbers are exact. It
//! does not know what was read of a source: receipts are handed in.

use super::Hit;
use super::json::Object;
use super::ranking::{NAMES_MAX, Order, Ranking, Top};
use super::show::grouped;
use crate::driver::text::escape;
use crate::weblog::lines::Line;
use crate::weblog::record::{Text, path_and_query};
use crate::weblog::time::Stamp;
use core::fmt::Write as _;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;

/// What was read of a source, as proof that nothing is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// What it is called.
    pub source: String,
    /// Bytes added there since our start position.
    pub written: u64,
    /// Bytes read here.
    pub read: u64,
    /// Files that were finished, or begun.
    pub generations: u64,
    /// What is missing, by name.
    pub gaps: Vec<String>,
}

/// What the names of a ranking are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Referrers of hits with status 200, without those of one's own sites.
    Referrers,
    /// Resources without query.
    Paths,
    /// Client addresses.
    Hosts,
    /// What clients call themselves.
    Agents,
}

impl Topic {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 4] = [Self::Referrers, Self::Paths, Self::Hosts, Self::Agents];

    /// What they are called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Referrers => "referrers",
            Self::Paths => "paths",
            Self::Hosts => "hosts",
            Self::Agents => "agents",
        }
    }

    /// The name that a hit has there, if it has one.
    #[must_use]
    pub fn name_in<'r>(self, hit: &Hit<'r>) -> Option<Cow<'r, [u8]>> {
        let record = hit.record();
        match self {
            Self::Referrers => record.referrer.filter(|_| hit.referred).map(Text::decode),
            Self::Paths => record.resource().map(|resource| match resource {
                Cow::Borrowed(resource) => Cow::Borrowed(path_and_query(resource).0),
                Cow::Owned(mut resource) => {
                    resource.truncate(path_and_query(&resource).0.len());
                    Cow::Owned(resource)
                }
            }),
            Self::Hosts => record.client.map(Text::decode),
            Self::Agents => record.agent.map(Text::decode),
        }
    }
}

/// What came so far.
#[derive(Debug)]
pub struct Report {
    top: usize,
    lines: u64,
    malformed: u64,
    long: u64,
    hits: u64,
    referred: u64,
    bytes: u64,
    status: BTreeMap<u16, u64>,
    /// The earliest and the latest time of a hit.
    times: Option<(Stamp, Stamp)>,
    rankings: [Ranking; 4],
}

impl Report {
    /// Nothing came yet; each top is to have `top` names.
    #[must_use]
    pub fn new(top: u16) -> Self {
        Self {
            top: top.into(),
            lines: 0,
            malformed: 0,
            long: 0,
            hits: 0,
            referred: 0,
            bytes: 0,
            status: BTreeMap::new(),
            times: None,
            rankings: Topic::ALL.map(|_| Ranking::new(NAMES_MAX)),
        }
    }

    /// A line was read; `malformed` says that it should have been a record and is none.
    pub fn line(&mut self, line: &Line<'_>, malformed: bool) {
        self.lines += 1;
        self.malformed += u64::from(malformed);
        self.long += u64::from(line.cut);
    }

    /// A record passed.
    pub fn hit(&mut self, hit: &Hit<'_>) {
        let record = hit.record();
        self.hits += 1;
        self.referred += u64::from(hit.referred);
        self.bytes = self.bytes.saturating_add(record.size);
        if let Some(status) = record.status {
            *self.status.entry(status).or_default() += 1;
        }
        if let Some(time) = record.time {
            self.times = Some(match self.times {
                None => (time, time),
                Some((first, last)) if time.instant() < first.instant() => (time, last),
                Some((first, last)) if time.instant() > last.instant() => (first, time),
                Some(times) => times,
            });
        }
        for (topic, ranking) in Topic::ALL.into_iter().zip(&mut self.rankings) {
            if let Some(name) = topic.name_in(hit) {
                ranking.add(&name, record.size);
            }
        }
    }

    /// Hits so far.
    #[must_use]
    pub const fn hits(&self) -> u64 {
        self.hits
    }

    /// The first names of a topic, in an order.
    #[must_use]
    pub fn tops(&self, topic: Topic, count: usize, order: Order) -> Vec<Top> {
        self.rankings.get(topic as usize).map(|ranking| ranking.tops(count, order)).unwrap_or_default()
    }

    /// Hits of each class of statuses that came: 2 for 2xx.
    #[must_use]
    pub fn classes(&self) -> BTreeMap<u16, u64> {
        let mut classes = BTreeMap::new();
        for (status, hits) in &self.status {
            *classes.entry(status / 100).or_default() += hits;
        }
        classes
    }

    /// From the earliest to the latest hit, in seconds.
    fn duration(&self) -> f64 {
        self.times.map_or(0.0, |(first, last)| seconds_between(first, last))
    }

    /// Hits that came in no time count as of one second.
    fn rate(&self) -> f64 {
        let duration = self.duration();
        self.hits as f64 / if duration > 0.0 { duration } else { 1.0 }
    }

    /// Appends the report as text, the receipts at its end.
    pub fn write_text(&self, receipts: &[Receipt], out: &mut Vec<u8>) {
        let mut text = String::new();
        if let Some((first, last)) = self.times {
            let (first, last, seconds) = (first.rfc3339(), last.rfc3339(), self.duration());
            let _into_memory = writeln!(text, "time       {first} to {last}, {seconds} s");
        }
        for (name, value) in [
            ("lines", self.lines),
            ("hits", self.hits),
            ("referrers", self.referred),
            ("bytes", self.bytes),
            ("malformed", self.malformed),
            ("long", self.long),
        ] {
            let _into_memory = writeln!(text, "{name:<10} {}", grouped(value));
        }
        let _into_memory = writeln!(text, "hits/s     {:.1}", self.rate());
        let _into_memory = write!(text, "status    ");
        for (class, hits) in self.classes() {
            let _into_memory = write!(text, " {class}xx {} ", grouped(hits));
        }
        out.extend_from_slice(text.trim_end().as_bytes());
        out.push(b'\n');
        for topic in Topic::ALL {
            write_tops(topic, &self.tops(topic, self.top, Order::Hits), out);
        }
        if !receipts.is_empty() {
            out.push(b'\n');
        }
        receipts.iter().for_each(|receipt| receipt.write_text(out));
    }

    /// Appends the report as one object, and the end of a line.
    pub fn write_json(&self, receipts: &[Receipt], out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.text("type", b"stats");
        for (name, time) in [("first", self.times.map(|t| t.0)), ("last", self.times.map(|t| t.1))] {
            match time {
                Some(time) => object.text(name, time.rfc3339().as_bytes()),
                None => object.name(name).extend_from_slice(b"null"),
            }
        }
        object.float("seconds", self.duration());
        object.number("lines", self.lines);
        object.number("hits", self.hits);
        object.number("referrers", self.referred);
        object.number("malformed", self.malformed);
        object.number("long", self.long);
        object.number("bytes", self.bytes);
        object.float("hits_per_second", self.rate());
        let mut classes = Object::new(object.name("classes"));
        for (class, hits) in self.classes() {
            classes.number(&format!("{class}xx"), hits);
        }
        classes.end();
        let mut statuses = Object::new(object.name("status"));
        for (status, hits) in &self.status {
            statuses.number(&status.to_string(), *hits);
        }
        statuses.end();
        let mut top = Object::new(object.name("top"));
        for topic in Topic::ALL {
            top.list(topic.name(), self.tops(topic, self.top, Order::Hits), |name, out| {
                write_top(&name, out)
            });
        }
        top.end();
        object.list("receipts", receipts, Receipt::write_json);
        object.end();
        out.push(b'\n');
    }
}

/// From one time to another, in seconds.
fn seconds_between(first: Stamp, last: Stamp) -> f64 {
    let ((s1, n1), (s2, n2)) = (first.instant(), last.instant());
    // Of seconds far apart the fraction is lost.
    s2.saturating_sub(s1) as f64 + (f64::from(n2) - f64::from(n1)) / 1e9
}

/// Appends the names of a topic as text: hits, bytes, name; nothing if there are none.
pub(super) fn write_tops(topic: Topic, tops: &[Top], out: &mut Vec<u8>) {
    if tops.is_empty() {
        return;
    }
    let _into_memory = write!(out, "\n{:>12} {:>16}  {}\n", "hits", "bytes", topic.name());
    for top in tops {
        let _into_memory = write!(out, "{:>12} {:>16}  ", grouped(top.hits), grouped(top.bytes));
        escape(&top.name, out);
        out.extend_from_slice(if top.cut { "…\n" } else { "\n" }.as_bytes());
    }
}

/// Appends a name as an object.
pub(super) fn write_top(top: &Top, out: &mut Vec<u8>) {
    let mut object = Object::new(out);
    if top.cut {
        object.text("name", &[&*top.name, "…".as_bytes()].concat());
    } else {
        object.text("name", &top.name);
    }
    object.number("hits", top.hits);
    object.number("bytes", top.bytes);
    object.end();
}

impl Receipt {
    /// Appends `receipt SOURCE: written N, read N, generations N, gaps none`, with the end of a line.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"receipt ");
        escape(self.source.as_bytes(), out);
        let (written, read, generations) = (self.written, self.read, self.generations);
        let _into_memory = write!(out, ": written {written}, read {read}, generations {generations}, gaps ");
        if self.gaps.is_empty() {
            out.extend_from_slice(b"none");
        }
        escape(self.gaps.join("; ").as_bytes(), out);
        out.push(b'\n');
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.text("source", self.source.as_bytes());
        object.number("written", self.written);
        object.number("read", self.read);
        object.number("generations", self.generations);
        object.list("gaps", &self.gaps, |gap, out| super::json::string(gap.as_bytes(), out));
        object.end();
    }
}
