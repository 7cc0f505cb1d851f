//! A bar on standard error while a backlog is read, if that is a terminal.
//!
//! What is told meanwhile is written between two of its pictures. It knows bytes, not what they are of.

use crate::driver::text;
use core::time::Duration;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use std::time::Instant;

/// Less that is behind (bytes) is no backlog.
pub const BACKLOG_MIN: u64 = 1024 * 1024;

/// A backlog is read once no more of it is behind (bytes): whoever writes the log goes on.
const REST: u64 = BACKLOG_MIN / 16;

/// Between two looks at how far it is.
const BETWEEN: Duration = Duration::from_millis(100);

const LINE: &str = "reading {percent:>3}% [{wide_bar}] {binary_bytes:>11} of {binary_total_bytes} {binary_bytes_per_sec:>13} {eta:>5}";

pub(super) struct Progress {
    backlog: Backlog,
    bar: Option<ProgressBar>,
    /// It is not looked before.
    next: Instant,
}

impl Progress {
    /// Nothing yet; never anything if nobody would see it.
    pub(super) fn new(quiet: bool, now: Instant) -> Option<Self> {
        let is_seen = !quiet && io::stderr().is_terminal();
        is_seen.then_some(Self { backlog: Backlog::default(), bar: None, next: now })
    }

    /// When [`turn`](Self::turn) has something to do, if nothing else happens.
    pub(super) fn due(&self) -> Option<Instant> {
        self.bar.as_ref().map(|_| self.next)
    }

    /// Shows how far it is, if this is a time to say so; `amounts` are bytes that were written and read in all. While somebody
    /// else may want the terminal, `is_free` is false.
    pub(super) fn turn(&mut self, is_free: bool, now: Instant, amounts: impl FnOnce() -> (u64, u64)) {
        if !is_free {
            return self.clear();
        }
        self.tell();
        if now < self.next {
            return;
        }
        self.next = now + BETWEEN;
        let (written, read) = amounts();
        let Some((position, length)) = self.backlog.look(written, read) else { return self.clear() };
        let bar = self.bar.get_or_insert_with(|| {
            text::hold();
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style())
        });
        bar.set_length(length);
        bar.set_position(position);
    }

    /// Writes what was told since the last time.
    fn tell(&self) {
        if let Some(bar) = &self.bar {
            let told = text::hold();
            if !told.is_empty() {
                bar.suspend(|| write(told));
            }
        }
    }

    /// Takes it away: something else is to be written there.
    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
            write(text::release());
        }
    }
}

/// Whether there is one, and what was read before it.
#[derive(Default)]
struct Backlog(Option<u64>);

impl Backlog {
    /// How much of it is read, and how much there is.
    fn look(&mut self, written: u64, read: u64) -> Option<(u64, u64)> {
        let least = if self.0.is_some() { REST } else { BACKLOG_MIN };
        if written.saturating_sub(read) < least {
            self.0 = None;
            return None;
        }
        let from = *self.0.get_or_insert(read);
        Some((read.saturating_sub(from), written.saturating_sub(from)))
    }
}

/// Writes what was held.
pub(super) fn write(told: impl IntoIterator<Item = String>) {
    for text in told {
        let _nobody_reads = io::stderr().lock().write_all(text.as_bytes());
    }
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template(LINE).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_line_is_a_template() {
        assert!(ProgressStyle::with_template(LINE).is_ok());
    }

    #[test]
    fn a_backlog_is_one_from_its_least_to_its_rest_and_counts_from_where_it_began() {
        let mut backlog = Backlog::default();
        let (least, rest) = (BACKLOG_MIN, REST);
        assert_eq!(backlog.look(least - 1, 0), None);
        assert_eq!(backlog.look(9 * least, least), Some((0, 8 * least)));
        assert_eq!(backlog.look(10 * least, 3 * least), Some((2 * least, 9 * least)));
        assert_eq!(backlog.look(10 * least, 10 * least - rest), Some((9 * least - rest, 9 * least)));
        assert_eq!(backlog.look(10 * least, 10 * least - rest + 1), None);
        assert_eq!(backlog.look(10 * least + rest, 10 * least), None);
        // After a burst, or a connection that was lost.
        assert_eq!(backlog.look(12 * least, 10 * least), Some((0, 2 * least)));
    }
}
