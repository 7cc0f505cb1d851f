//! The last records of something, numbered, in one piece of memory.

use std::collections::VecDeque;

/// How many are kept at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) records: usize,
    /// The last record is kept even if it is longer; twice as many are held at the most, and the last record.
    pub(super) bytes: usize,
}

/// Records that are kept; each with a tag of its owner's.
#[derive(Debug)]
pub(super) struct Ring<T> {
    bytes: Vec<u8>,
    /// Where `bytes` begins in all that was ever put there.
    base: u64,
    /// Where the first record begins.
    start: u64,
    /// Where each ends.
    records: VecDeque<(u64, T)>,
    /// The number of the first.
    first: u64,
    bounds: Bounds,
}

impl<T: Copy> Ring<T> {
    /// Empty; the first record will have the number `first`.
    pub(super) const fn new(first: u64, bounds: Bounds) -> Self {
        Self { bytes: Vec::new(), base: 0, start: 0, records: VecDeque::new(), first, bounds }
    }

    /// Where the next record is written: append to it, then [`push`](Self::push).
    pub(super) const fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// What was appended is a record. `forget` is told of those that are kept no longer, by number and tag.
    pub(super) fn push(&mut self, tag: T, mut forget: impl FnMut(u64, T)) {
        let end = self.end();
        self.records.push_back((end, tag));
        let is_too_much = |ring: &Self| {
            ring.records.len() > ring.bounds.records || end - ring.start > ring.bounds.bytes as u64
        };
        while self.records.len() > 1 && is_too_much(self) {
            let Some((end, tag)) = self.records.pop_front() else { return };
            forget(self.first, tag);
            (self.start, self.first) = (end, self.first + 1);
        }
        // Moved seldom: as much was put there since as is moved.
        let gone = usize::try_from(self.start - self.base).unwrap_or(usize::MAX);
        if gone > self.bytes.len() / 2 {
            self.bytes.drain(..gone.min(self.bytes.len()));
            self.base = self.start;
        }
    }

    /// Other bounds, from the next record on.
    pub(super) const fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// The number of the first record that is kept, or will be.
    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    /// The number of the next record.
    pub(super) fn next(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    /// Bytes that are held.
    #[cfg(test)]
    pub(super) const fn held(&self) -> usize {
        self.bytes.len()
    }

    /// Where the first record begins, in all that was ever put there.
    pub(super) const fn start(&self) -> u64 {
        self.start
    }

    /// Where the last one ends.
    pub(super) const fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// All bytes from there on.
    pub(super) fn from(&self, offset: u64) -> &[u8] {
        let at = usize::try_from(offset.saturating_sub(self.base)).unwrap_or(usize::MAX);
        self.bytes.get(at..).unwrap_or_default()
    }

    /// The record of a number, with its tag; `None` if it is not kept.
    pub(super) fn record(&self, number: u64) -> Option<(&[u8], T)> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let (end, tag) = *self.records.get(index)?;
        let start = index.checked_sub(1).and_then(|before| self.records.get(before));
        let start = start.map_or(self.start, |(end, _)| *end);
        let bytes = self.from(start).get(..usize::try_from(end - start).ok()?)?;
        Some((bytes, tag))
    }

    /// The number of the record that `offset` is in or before, and where that one begins and ends.
    pub(super) fn locate(&self, offset: u64) -> (u64, u64, u64) {
        let whole = self.records.partition_point(|(end, _)| *end <= offset);
        let end_of = |index: usize| self.records.get(index).map(|(end, _)| *end);
        let start = whole.checked_sub(1).and_then(end_of).unwrap_or(self.start);
        (self.first + whole as u64, start, end_of(whole).unwrap_or(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_records_are_kept_with_their_numbers_and_the_others_are_told() {
        let mut ring = Ring::new(100, Bounds { records: 3, bytes: 1000 });
        let mut forgotten = Vec::new();
        for number in 0..10_u8 {
            ring.tail().extend([b'a' + number; 5]);
            ring.push(number, |at, tag| forgotten.push((at, tag)));
        }
        assert_eq!((ring.first(), ring.next()), (107, 110));
        assert_eq!(forgotten, (0..7).map(|tag| (100 + u64::from(tag), tag)).collect::<Vec<_>>());
        assert_eq!(ring.record(107), Some((&b"hhhhh"[..], 7)));
        assert_eq!(ring.record(109), Some((&b"jjjjj"[..], 9)));
        assert_eq!((ring.record(106), ring.record(110)), (None, None));
        assert_eq!(ring.from(ring.start()), b"hhhhhiiiiijjjjj");
        assert_eq!(ring.locate(ring.start() + 7), (108, ring.start() + 5, ring.start() + 10));
    }

    #[test]
    fn no_more_bytes_are_kept_than_the_bound_nor_twice_as_many_held() {
        let bounds = Bounds { records: usize::MAX, bytes: 1000 };
        let mut ring = Ring::new(0, bounds);
        for _ in 0..1000 {
            ring.tail().extend([b'x'; 90]);
            ring.push((), |_, ()| {});
            assert!(ring.end() - ring.start() <= 1000 && ring.bytes.len() <= 2 * 1000 + 90);
        }
        assert_eq!(ring.next() - ring.first(), 11);
        ring.tail().extend([b'y'; 5000]);
        ring.push((), |_, ()| {});
        assert_eq!(ring.record(1000).map(|(bytes, ())| bytes.len()), Some(5000), "the last one stays");
    }
}
