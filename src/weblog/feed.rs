//! What viewers of one view are shown: each record formatted once, in a bounded ring, however many watch.
//!
//! A viewer has a place in the ring. One that does not keep up loses records, is told how many, and costs nobody anything. It
//! does not know channels: it gives bytes to whoever takes some of them.

use super::lines::Line;
use super::record::Record;
use super::view::{Place as Origin, Room, View};
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes that are kept at least, once so many were shown; at most twice as many.
pub const RING_BYTES: usize = 1 << 20;

/// Records that are kept at the most.
pub const RING_RECORDS: usize = 10_000;

/// The records of one view.
#[derive(Debug)]
pub struct Feed {
    view: Arc<View>,
    room: Room,
    bytes: Vec<u8>,
    /// Where `bytes` begins in all that was ever shown.
    start: u64,
    /// Where each record ends, in all that was ever shown.
    ends: VecDeque<u64>,
    /// The number of the first of them.
    first: u64,
}

/// A viewer's place.
#[derive(Debug, Default)]
pub struct Place {
    /// The next record.
    record: u64,
    /// Where it begins.
    offset: u64,
    /// The rest of a record, or of a notice, that was taken in part.
    rest: Vec<u8>,
}

impl Feed {
    /// Nothing was shown yet.
    #[must_use]
    pub fn new(view: Arc<View>) -> Self {
        Self { view, room: Room::default(), bytes: Vec::new(), start: 0, ends: VecDeque::new(), first: 0 }
    }

    /// What it shows.
    #[must_use]
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Shows a line, if it is of this view; whether it is.
    pub fn push(&mut self, source: &str, line: &Line<'_>, record: Option<&Record<'_>>) -> bool {
        let hit = record.and_then(|record| self.view.hit(record, &mut self.room));
        if !self.view.show(Origin { source, seq: None }, line, hit.as_ref(), &mut self.bytes) {
            return false;
        }
        self.ends.push_back(self.end());
        if self.bytes.len() > 2 * RING_BYTES || self.ends.len() > RING_RECORDS {
            self.forget();
        }
        true
    }

    /// Lets go of the oldest records: half of the bytes, or a quarter of the records.
    fn forget(&mut self) {
        let enough = self.end() - RING_BYTES as u64;
        let by_bytes = self.ends.partition_point(|end| *end <= enough.max(self.start));
        let by_records = self.ends.len().saturating_sub(RING_RECORDS * 3 / 4);
        let gone = by_bytes.max(if self.ends.len() > RING_RECORDS { by_records } else { 0 });
        let Some(end) = gone.checked_sub(1).and_then(|last| self.ends.get(last)).copied() else { return };
        let length = usize::try_from(end - self.start).unwrap_or(usize::MAX).min(self.bytes.len());
        self.ends.drain(..gone);
        self.bytes.drain(..length);
        (self.start, self.first) = (end, self.first + gone as u64);
    }

    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// The place behind all that was shown.
    #[must_use]
    pub fn live(&self) -> Place {
        Place { record: self.first + self.ends.len() as u64, offset: self.end(), rest: Vec::new() }
    }

    /// Offers what comes next to `take`, which returns how many bytes it took; until it takes less than all or there is no
    /// more. True if there is no more.
    pub fn offer(&self, place: &mut Place, mut take: impl FnMut(&[u8]) -> usize) -> bool {
        loop {
            if !place.rest.is_empty() {
                let taken = take(&place.rest).min(place.rest.len());
                place.rest.drain(..taken);
                if !place.rest.is_empty() {
                    return false;
                }
                place.rest = Vec::new();
            }
            if place.record < self.first {
                self.view.show_skipped(self.first - place.record, &mut place.rest);
                (place.record, place.offset) = (self.first, self.start);
                continue;
            }
            let from = usize::try_from(place.offset - self.start).unwrap_or(usize::MAX);
            let next = self.bytes.get(from..).unwrap_or_default();
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
        let whole = self.ends.partition_point(|end| *end <= reached);
        let whole_end =
            whole.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(self.start);
        place.record = self.first + whole as u64;
        place.offset = whole_end;
        if whole_end < reached
            && let Some(end) = self.ends.get(whole)
        {
            let at = |offset: u64| usize::try_from(offset - self.start).unwrap_or(usize::MAX);
            place.rest.extend_from_slice(self.bytes.get(at(reached)..at(*end)).unwrap_or_default());
            place.record += 1;
            place.offset = *end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Feed, RING_BYTES, RING_RECORDS};
    use crate::weblog::lines::Line;
    use crate::weblog::options::{Show, ViewOptions};
    use crate::weblog::view::{Destination, View};
    use proptest::prelude::{prop, prop_assert_eq, proptest};
    use std::sync::Arc;
    use std::time::SystemTime;

    fn feed() -> Feed {
        let options = ViewOptions { show: Some(Show::Raw), ..ViewOptions::default() };
        let destination = Destination { escaped: true, ..Destination::default() };
        Feed::new(Arc::new(View::new(&options, destination, SystemTime::now()).unwrap()))
    }

    fn push(feed: &mut Feed, text: &str) {
        let line = Line { bytes: text.as_bytes(), offset: 0, cut: false, partial: false };
        assert!(feed.push("s", &line, None));
    }

    #[test]
    fn a_viewer_sees_what_comes_after_its_beginning() {
        let mut feed = feed();
        push(&mut feed, "before");
        let mut place = feed.live();
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
        let mut place = feed.live();
        push(&mut feed, "half taken");
        assert!(!feed.offer(&mut place, |_| 4));
        let long = "x".repeat(999);
        for _ in 0..10_000 {
            push(&mut feed, &long);
        }
        assert!(feed.bytes.len() <= 2 * RING_BYTES && feed.ends.len() <= RING_RECORDS, "the ring is bounded");
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

    proptest! {
        #[test]
        fn a_viewer_that_keeps_up_sees_every_byte_once_however_it_takes_them(
            takes in prop::collection::vec((0_usize..9, 0_usize..3), 0..60),
        ) {
            let mut feed = feed();
            let mut place = feed.live();
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
