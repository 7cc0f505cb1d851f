//! What reports say was written and read of the logs, as of the moment.
//!
//! ```text
//!  file   0 ────────── whole ─────────── now
//!           by a report's │ what its follower told since
//!           own reading, or from the ring
//! ```
//!
//! It does not know what is shown.

use super::logs::Logs;
use crate::weblog::follow::ledger::{Ledger, Receipt as Told};
use crate::weblog::view::Receipt;
use std::collections::BTreeMap;

/// Where receipts begin. What was found later counts from its beginning.
#[derive(Clone, Debug, Default)]
pub(super) struct Since {
    files: BTreeMap<usize, Mark>,
    /// By the numbers of logs, those of the next lines then, if lines before them are shown again.
    next: BTreeMap<usize, u64>,
}

/// One file.
#[derive(Clone, Debug, Default)]
struct Mark {
    /// What its follower had told then.
    told: Told,
    /// Bytes before that count too.
    whole: u64,
    /// As far as it was read beside the follower.
    end: u64,
}

impl Since {
    /// Now: what comes counts, and what is shown [`again`](Self::again).
    pub(super) fn now(logs: &Logs, numbers: &[usize]) -> Self {
        let next = numbers.iter().map(|log| (*log, logs.range(*log).1)).collect();
        Self { next, ..Self::of(logs, numbers, |_| 0) }
    }

    /// Now, and all that stands in the files before the place where their followers are.
    pub(super) fn beginning(logs: &Logs, numbers: &[usize]) -> Self {
        Self::of(logs, numbers, |file| logs.place(file))
    }

    fn of(logs: &Logs, numbers: &[usize], whole: impl Fn(usize) -> u64) -> Self {
        let files = numbers.iter().flat_map(|log| logs.ledgers(*log));
        let mark = |file| Mark { whole: whole(file), ..Mark::default() };
        let files = files.map(|(file, ledger)| (file, Mark { told: ledger.receipt(), ..mark(file) }));
        Self { files: files.collect(), next: BTreeMap::new() }
    }

    /// A line is shown that is kept.
    pub(super) fn again(&mut self, log: usize, seq: u64, file: usize, line: &[u8]) {
        if self.next.get(&log).is_some_and(|next| seq < *next) {
            // With the LF that ended it.
            self.files.entry(file).or_default().whole += line.len() as u64 + 1;
        }
    }

    /// A file was read to `end`, whole lines of it.
    pub(super) fn read(&mut self, file: usize, end: u64) {
        self.files.entry(file).or_default().end = end;
    }

    /// A receipt for each file of these logs.
    pub(super) fn receipts(&self, logs: &Logs, numbers: &[usize]) -> Vec<Receipt> {
        let nothing = Mark::default();
        let of_log = |log: &usize| {
            let name = logs.get(*log).map(|log| log.name.clone()).unwrap_or_default();
            let receipt = |(file, ledger): (usize, &Ledger)| {
                self.files.get(&file).unwrap_or(&nothing).receipt(name.clone(), ledger.receipt())
            };
            logs.ledgers(*log).map(receipt).collect::<Vec<_>>()
        };
        numbers.iter().flat_map(of_log).collect()
    }
}

impl Mark {
    fn receipt(&self, source: String, now: Told) -> Receipt {
        let before = &self.told;
        let read = (self.whole + now.read.saturating_sub(before.read)).max(self.end);
        // The part of a line that stood there then is told with its line, so it counts; what was lost before does not.
        let lost = if before.gaps.is_empty() { before.read } else { before.written };
        let written = (self.whole + now.written.saturating_sub(lost)).max(read);
        let mut gaps = now.gaps.get(before.gaps.len()..).unwrap_or_default().to_vec();
        let more = now.more_gaps - before.more_gaps;
        if more > 0 {
            gaps.push(format!("{more} more"));
        }
        Receipt { source, written, read, generations: now.generations - before.generations, gaps }
    }
}
