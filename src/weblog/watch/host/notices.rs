//! What a host says of itself, on standard error or of why a log cannot be read, as far as its user is to hear it.
//!
//! A host may say something in every turn, for weeks: what is shown of it is bounded, and what is beyond that is told once.

use crate::driver::text::escaped;
use crate::weblog::lines::LineSplitter;
use core::time::Duration;
use std::time::Instant;

/// Of a host's own words that are shown in [`NOTICES_EVERY`] (bytes, as they are shown).
pub(crate) const NOTICES_MAX: usize = 16 * 1024;

/// After this time as much is shown again.
pub(crate) const NOTICES_EVERY: Duration = Duration::from_secs(60 * 60);

/// The words of one host.
#[derive(Debug, Default)]
pub(in crate::weblog::watch) struct Notices {
    lines: LineSplitter,
    /// Since when it is counted.
    since: Option<Instant>,
    shown: usize,
    /// It was said that there are more.
    told: bool,
}

impl Notices {
    /// Takes what came; `each` gets the lines that are to be shown.
    pub(in crate::weblog::watch) fn push(&mut self, data: &[u8], now: Instant, mut each: impl FnMut(&str)) {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= NOTICES_EVERY) {
            (self.since, self.shown, self.told) = (Some(now), 0, false);
        }
        let Self { lines, shown, told, .. } = self;
        lines.push(data, |line| {
            // What is too long is not worth being escaped.
            let text = escaped(line.bytes.get(..NOTICES_MAX).unwrap_or(line.bytes));
            if *shown + text.len() < NOTICES_MAX && !*told {
                *shown += text.len() + 1;
                each(&text);
            } else if !core::mem::replace(told, true) {
                each("it says more than that; the rest is not shown for an hour");
            }
        });
    }
}

#[cfg(test)]
impl Notices {
    /// Whether more came than is shown.
    pub(in crate::weblog::watch) const fn is_silent(&self) -> bool {
        self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_words_are_shown_up_to_a_bound_and_again_after_its_time() {
        let (begin, mut notices) = (Instant::now(), Notices::default());
        let mut shown = Vec::new();
        let mut push = |data: &[u8], at| notices.push(data, begin + at, |line| shown.push(line.to_owned()));
        push(b"one\x1b\nt", Duration::ZERO);
        push(b"wo\n", Duration::ZERO);
        (0..NOTICES_MAX).for_each(|_| push(b"and another\n", NOTICES_EVERY - Duration::from_secs(1)));
        push(&[&vec![b'x'; 1 << 20][..], b"\n"].concat(), NOTICES_EVERY - Duration::from_secs(1));
        push(b"later\n", NOTICES_EVERY);
        assert_eq!(shown[..3], ["one\\x1b", "two", "and another"]);
        let [.., last, later] = &shown[..] else { panic!() };
        assert!(last.contains("not shown") && later == "later", "{last} {later}");
        let bytes: usize = shown[..shown.len() - 2].iter().map(|line| line.len() + 1).sum();
        assert!(bytes <= NOTICES_MAX && bytes > NOTICES_MAX - 20, "{bytes}");
    }

    #[test]
    fn one_line_that_is_longer_than_the_bound_is_not_shown() {
        let mut shown = Vec::new();
        let line = [&vec![b'\x1b'; NOTICES_MAX / 2][..], b"\nshort\n"].concat();
        Notices::default().push(&line, Instant::now(), |line| shown.push(line.len()));
        assert_eq!(shown.len(), 1);
        assert!(shown[0] < 100);
    }
}
