//! What viewers of one view are shown: each record formatted once, in a bounded ring, however many watch.
//!
//! A viewer has a place in the ring. One that does not keep up loses records, is told how many, and costs nobody anything. It
//! does not know channels: it gives bytes to whoever takes some of them.

use super::logs::Logs;
use super::receipts::Since;
use super::ring::{Bounds, Ring};
use crate::weblog::lines::Line;
use crate::weblog::record::{Malformed, Record};
use crate::weblog::view::{End, Place as Origin, Run, View};
use std::collections::BTreeMap;
use std::time::Instant;

/// Bytes that are kept of what was shown. Twice as many are held at the most, and one record more, of
/// [`SHOWN_MAX`](crate::weblog::view::SHOWN_MAX) bytes, or one report.
pub const FEED_BYTES_MAX: usize = 2 << 20;

/// The records of one run of a view.
#[derive(Debug)]
pub(super) struct Feed {
    run: Run,
    /// Of which logs, by their numbers, growing.
    logs: Vec<usize>,
    /// Lines end by CR LF: they go to a terminal.
    crlf: bool,
    /// Tagged with the number of the log.
    ring: Ring<usize>,
    /// How many viewers are at which record.
    places: BTreeMap<u64, usize>,
    /// Viewers that are at records which are not kept any more.
    behind: u64,
    /// What goes to standard error at the end.
    last_words: Vec<u8>,
    /// What receipts begin with.
    since: Since,
    /// When its report is shown next.
    pub(super) due: Option<Instant>,
}

/// A viewer's place.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// The next record.
    record: u64,
    /// Where it begins.
    offset: u64,
    /// The rest of a record, or of a notice, that was taken in part.
    rest: Vec<u8>,
}

impl Feed {
    /// Nothing was shown yet of these logs. `records` are kept at the most.
    #[must_use]
    pub(super) const fn new(run: Run, logs: Vec<usize>, crlf: bool, records: usize, since: Since) -> Self {
        let ring = Ring::new(0, Bounds { records, bytes: FEED_BYTES_MAX });
        Self {
            run,
            logs,
            crlf,
            ring,
            places: BTreeMap::new(),
            behind: 0,
            last_words: Vec::new(),
            since,
            due: None,
        }
    }

    /// What shows it.
    #[must_use]
    pub(super) const fn run(&self) -> &Run {
        &self.run
    }

    /// Whether it shows the same as another would that began now.
    #[must_use]
    pub(super) fn is(&self, view: &View, logs: &[usize], crlf: bool) -> bool {
        !self.run.is_private() && self.crlf == crlf && self.logs == logs && **self.run.view() == *view
    }

    /// Whether nobody watches.
    #[must_use]
    pub(super) fn is_idle(&self) -> bool {
        self.behind == 0 && self.places.is_empty()
    }

    /// How many watch.
    #[must_use]
    pub(super) fn viewers(&self) -> u64 {
        self.behind + self.places.values().map(|count| *count as u64).sum::<u64>()
    }

    /// Of which logs.
    #[must_use]
    pub(super) fn logs(&self) -> &[usize] {
        &self.logs
    }

    /// Shows a line of a log, if it is of this feed; whether there is something new. `skip` is told that so many viewers miss
    /// a record of which log.
    pub(super) fn push(
        &mut self,
        log: usize,
        origin: Origin<'_>,
        line: &Line<'_>,
        record: Result<Option<&Record<'_>>, Malformed>,
        mut skip: impl FnMut(usize, u64),
    ) -> bool {
        if self.logs.binary_search(&log).is_err() || self.run.end().is_some() {
            return false;
        }
        let (before, left_out) = (self.ring.tail().len(), self.run.left_out());
        let mut shown = self.run.line(origin, line, record, self.ring.tail());
        if self.run.left_out() > left_out {
            skip(log, self.viewers());
        }
        if self.run.end().is_some() {
            shown = true; // the end is news, too
            self.run.finish(self.ring.tail(), &mut self.last_words);
        }
        if shown {
            self.keep(before, log, skip);
        }
        shown
    }

    /// Why nothing more comes, and what is to be said on standard error then.
    #[must_use]
    pub(super) fn end(&self) -> Option<(End, &[u8])> {
        self.run.end().map(|end| (end, &*self.last_words))
    }

    /// Shows the report so far.
    pub(super) fn report(&mut self, logs: &Logs) {
        let before = self.ring.tail().len();
        self.run.report(&self.since.receipts(logs, &self.logs), self.ring.tail());
        self.keep(before, self.logs.first().copied().unwrap_or_default(), |_, _| {});
    }

    /// The report so far, for a session that ends; nothing if none was asked for.
    pub(super) fn last_report(&self, logs: &Logs) -> Vec<u8> {
        let mut out = Vec::new();
        if self.run.is_private() {
            self.run.report(&self.since.receipts(logs, &self.logs), &mut out);
        }
        if self.crlf { crlf(&out) } else { out }
    }

    /// What was appended since `before` is a record.
    fn keep(&mut self, before: usize, log: usize, mut skip: impl FnMut(usize, u64)) {
        let tail = self.ring.tail();
        if self.crlf {
            let lines = tail.split_off(before);
            tail.extend_from_slice(&crlf(&lines));
        }
        let (places, behind) = (&mut self.places, &mut self.behind);
        self.ring.push(log, |record, log| {
            *behind += places.remove(&record).unwrap_or(0) as u64;
            if *behind > 0 {
                skip(log, *behind);
            }
        });
    }

    /// Another viewer, at the place behind all that was shown.
    pub(super) fn join(&mut self) -> Place {
        let place = Place { record: self.ring.next(), offset: self.ring.end(), rest: Vec::new() };
        self.enter(&place);
        place
    }

    fn enter(&mut self, place: &Place) {
        if place.record < self.ring.first() {
            self.behind += 1;
        } else {
            *self.places.entry(place.record).or_default() += 1;
        }
    }

    /// A viewer goes.
    pub(super) fn leave(&mut self, place: &Place) {
        if place.record < self.ring.first() {
            self.behind = self.behind.saturating_sub(1);
        } else if let Some(count) = self.places.get_mut(&place.record) {
            *count -= 1;
            if *count == 0 {
                self.places.remove(&place.record);
            }
        }
    }

    /// Offers what comes next to `take`, which returns how many bytes it took; until it takes less than all or there is no
    /// more. True if there is no more.
    pub(super) fn offer(&mut self, place: &mut Place, take: impl FnMut(&[u8]) -> usize) -> bool {
        self.leave(place);
        let all = self.offer_from(place, take);
        self.enter(place);
        all
    }

    fn offer_from(&self, place: &mut Place, mut take: impl FnMut(&[u8]) -> usize) -> bool {
        loop {
            if !place.rest.is_empty() {
                let taken = take(&place.rest).min(place.rest.len());
                place.rest.drain(..taken);
                if !place.rest.is_empty() {
                    return false;
                }
                place.rest = Vec::new();
            }
            if place.record < self.ring.first() {
                let count = self.ring.first() - place.record;
                self.run.view().show_skipped(Some(count), &mut place.rest);
                if self.crlf {
                    place.rest.pop();
                    place.rest.extend_from_slice(b"\r\n");
                }
                (place.record, place.offset) = (self.ring.first(), self.ring.start());
                continue;
            }
            let next = self.ring.from(place.offset);
            if next.is_empty() {
                return true;
            }
            let taken = take(next).min(next.len());
            self.advance(place, taken);
            if taken < next.len() {
                return false;
            }
        }
    }

    /// `taken` bytes went out from a place: it is now behind the record that they end in, and holds the rest of that.
    fn advance(&self, place: &mut Place, taken: usize) {
        let reached = place.offset + taken as u64;
        let (record, start, end) = self.ring.locate(reached);
        (place.record, place.offset) = (record, start);
        if start < reached {
            let rest = usize::try_from(end - reached).unwrap_or(usize::MAX);
            place.rest.extend_from_slice(self.ring.from(reached).get(..rest).unwrap_or_default());
            (place.record, place.offset) = (record + 1, end);
        }
    }
}

/// Lines as a terminal in raw mode wants them.
pub(super) fn crlf(lines: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(lines.len() + 16);
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n");
        out.extend_from_slice(text.unwrap_or(line));
        if text.is_some() {
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{FEED_BYTES_MAX, Feed, Since};
    use crate::weblog::lines::{LINE_MAX, Line};
    use crate::weblog::options::{Show, ViewOptions};
    use crate::weblog::record::Record;
    use crate::weblog::view::{Destination, PARTS_MAX, Place as Origin, Run, SHOWN_MAX, View};
    use proptest::prelude::{prop, prop_assert_eq, proptest};
    use std::sync::Arc;
    use std::time::SystemTime;

    const RECORDS: usize = 10_000;

    fn feed() -> Feed {
        let options = ViewOptions { show: Some(Show::Raw), ..ViewOptions::default() };
        let destination = Destination { escaped: true, ..Destination::default() };
        let view = View::new(&options, destination, SystemTime::now()).unwrap();
        Feed::new(Run::new(Arc::new(view)), vec![0], false, RECORDS, Since::default())
    }

    fn push(feed: &mut Feed, text: &str) {
        let line = Line { bytes: text.as_bytes(), offset: 0, cut: false, partial: false };
        feed.push(0, Origin { source: "s", seq: None }, &line, Ok(None), |_, _| {});
    }

    #[test]
    fn a_viewer_sees_what_comes_after_its_beginning() {
        let mut feed = feed();
        push(&mut feed, "before");
        let mut place = feed.join();
        push(&mut feed, "one");
        push(&mut feed, "two");
        let mut seen: Vec<u8> = Vec::new();
        assert!(feed.offer(&mut place, |b| {
            seen.extend(b);
            b.len()
        }));
        assert_eq!(seen, b"one\ntwo\n");
    }

    #[test]
    fn t107_a_viewer_that_stalls_loses_whole_records_and_is_told_how_many() {
        let mut feed = feed();
        let mut place = feed.join();
        push(&mut feed, "half taken");
        assert!(!feed.offer(&mut place, |_| 4));
        let long = "x".repeat(999);
        for _ in 0..10_000 {
            push(&mut feed, &long);
        }
        assert!(feed.ring.end() - feed.ring.start() <= FEED_BYTES_MAX as u64, "the ring is bounded");
        assert!(feed.ring.held() <= 2 * FEED_BYTES_MAX + 1000, "and what is behind it");
        let mut seen: Vec<u8> = Vec::new();
        assert!(feed.offer(&mut place, |b| {
            seen.extend(b);
            b.len()
        }));
        let seen = String::from_utf8(seen).unwrap();
        let mut lines = seen.lines();
        assert_eq!(lines.next(), Some(" taken"), "the record that was begun is finished");
        let notice = lines.next().unwrap();
        let skipped: usize = notice.replace(['…', ' '], "").replace("recordsskipped", "").parse().unwrap();
        assert_eq!(skipped + lines.count(), 10_000);
    }

    #[test]
    fn t107_of_a_form_that_multiplies_no_more_is_held_than_the_bound() {
        let options = ViewOptions { format: Some("{line}".repeat(PARTS_MAX)), ..ViewOptions::default() };
        let view = View::new(&options, Destination::default(), SystemTime::now()).unwrap();
        let mut feed = Feed::new(Run::new(Arc::new(view)), vec![0], false, RECORDS, Since::default());
        let mut place = feed.join();
        let mut skipped = 0;
        for length in [LINE_MAX, LINE_MAX / 5, LINE_MAX].repeat(10) {
            let text = "x".repeat(length);
            let line = Line { bytes: text.as_bytes(), offset: 0, cut: false, partial: false };
            let skip = |_, viewers| skipped += viewers;
            feed.push(0, Origin { source: "s", seq: None }, &line, Ok(Some(&Record::default())), skip);
            let (start, end) = (feed.ring.start(), feed.ring.end());
            assert!(end - start <= FEED_BYTES_MAX as u64);
            assert!(feed.ring.held() <= 2 * FEED_BYTES_MAX + SHOWN_MAX, "{}", feed.ring.held());
        }
        let mut seen: Vec<u8> = Vec::new();
        assert!(feed.offer(&mut place, |b| {
            seen.extend(b);
            b.len()
        }));
        let seen = String::from_utf8(seen).unwrap();
        let notices = seen.lines().filter(|line| line.ends_with("records skipped")).count();
        let whole = seen.lines().filter(|line| line.len() == PARTS_MAX * (LINE_MAX / 5)).count();
        assert_eq!(
            (whole, notices, seen.lines().count()),
            (2, 6, 8),
            "two fit, and what is over is told first"
        );
        // Those that were too long, and those that were passed over with what the ring forgot.
        assert_eq!(skipped, 20 + 23, "one viewer");
    }

    proptest! {
        #[test]
        fn a_viewer_that_keeps_up_sees_every_byte_once_however_it_takes_them(
            takes in prop::collection::vec((0_usize..9, 0_usize..3), 0..60),
        ) {
            let mut feed = feed();
            let mut place = feed.join();
            let (mut all, mut seen): (String, Vec<u8>) = Default::default();
            let mut number = 0;
            for (bytes, records) in takes {
                for _ in 0..records {
                    number += 1;
                    let text = "abc".repeat(number % 4 + 1);
                    push(&mut feed, &text);
                    all += &text;
                    all.push('\n');
                }
                feed.offer(&mut place, |b| {
                    let n = bytes.min(b.len());
                    seen.extend(&b[..n]);
                    n
                });
            }
            while !feed.offer(&mut place, |b| {
                seen.extend(b);
                b.len()
            }) {}
            prop_assert_eq!(String::from_utf8(seen).unwrap(), all);
        }
    }
}
