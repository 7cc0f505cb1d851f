//! Hits and errors of each of the last seconds, by the records' own times.

use crate::weblog::time::Stamp;
use std::collections::VecDeque;

/// So many seconds are kept, the newest of which is that of the newest record.
pub const SECONDS_KEPT: usize = 3600;

/// What came within a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Hits.
    pub hits: u32,
    /// Those of them with a status of 400 or above.
    pub errors: u32,
}

/// The last seconds of a log.
#[derive(Clone, Debug, Default)]
pub struct Seconds {
    /// The newest at the end.
    ring: VecDeque<Second>,
    newest: i64,
}

impl Seconds {
    /// A hit came. One from before the seconds that are kept is not counted.
    pub fn add(&mut self, time: Stamp, is_error: bool) {
        let second = time.seconds();
        if self.ring.is_empty() {
            self.newest = second;
        }
        let ahead = usize::try_from(second.saturating_sub(self.newest)).unwrap_or(0);
        if ahead >= SECONDS_KEPT {
            self.ring.clear();
        }
        if ahead > 0 {
            self.newest = second;
            self.ring.resize(self.ring.len() + ahead.min(SECONDS_KEPT), Second::default());
            self.ring.drain(..self.ring.len().saturating_sub(SECONDS_KEPT));
        }
        let Ok(late) = usize::try_from(self.newest.saturating_sub(second)) else { return };
        if late >= SECONDS_KEPT {
            return;
        }
        while self.ring.len() <= late {
            self.ring.push_front(Second::default());
        }
        let at = self.ring.len() - 1 - late;
        if let Some(count) = self.ring.get_mut(at) {
            count.hits = count.hits.saturating_add(1);
            count.errors = count.errors.saturating_add(is_error.into());
        }
    }

    /// The last `count` seconds up to `second` (since 1970), the oldest first.
    pub fn until(&self, second: i64, count: usize) -> impl Iterator<Item = Second> + '_ {
        (0..count).rev().map(move |back| {
            let late = i64::try_from(back)
                .ok()
                .and_then(|back| self.newest.checked_sub(second.checked_sub(back)?))
                .and_then(|late| usize::try_from(late).ok());
            let at = late.and_then(|late| self.ring.len().checked_sub(late + 1));
            at.and_then(|at| self.ring.get(at)).copied().unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{SECONDS_KEPT, Seconds};
    use crate::weblog::time::Stamp;

    fn last(seconds: &Seconds, second: i64, count: usize) -> Vec<(u32, u32)> {
        seconds.until(second, count).map(|s| (s.hits, s.errors)).collect()
    }

    fn add(seconds: &mut Seconds, second: i64, is_error: bool) {
        seconds.add(Stamp::utc(second, 0, 0), is_error);
    }

    #[test]
    fn each_second_has_its_hits_also_if_they_come_late() {
        let mut seconds = Seconds::default();
        for (second, is_error) in [(100, false), (103, true), (103, false), (101, true), (99, false)] {
            add(&mut seconds, second, is_error);
        }
        assert_eq!(last(&seconds, 103, 6), [(0, 0), (1, 0), (1, 0), (1, 1), (0, 0), (2, 1)]);
        assert_eq!(last(&seconds, 105, 3), [(2, 1), (0, 0), (0, 0)], "nothing came since");
        assert_eq!(last(&seconds, 100, 2), [(1, 0), (1, 0)]);
    }

    #[test]
    fn only_so_many_seconds_are_kept_however_far_the_times_jump() {
        let mut seconds = Seconds::default();
        for second in [0, 1 << 40, i64::MAX, i64::MIN, 5, i64::MAX - 3599, i64::MAX - 3600] {
            add(&mut seconds, second, false);
            assert!(seconds.ring.len() <= SECONDS_KEPT);
        }
        let kept = last(&seconds, i64::MAX, SECONDS_KEPT);
        assert_eq!(kept.iter().map(|second| second.0).sum::<u32>(), 2);
        let mut seconds = Seconds::default();
        for second in 0..i64::try_from(SECONDS_KEPT).unwrap() + 10 {
            add(&mut seconds, second, false);
        }
        assert_eq!(seconds.ring.len(), SECONDS_KEPT);
    }
}
