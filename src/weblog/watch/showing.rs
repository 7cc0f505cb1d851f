//! Lines of all sources to what is shown of them: records, reports, alerts, and words about the sources.
//!
//! It does not know where a line came from, nor where its bytes go.

use super::END_OF_ALERT;
use super::board::Board;
use crate::driver::text::escaped;
use crate::tell;
use crate::weblog::format::{News, RecordParser};
use crate::weblog::lines::Line;
use crate::weblog::time::Stamp;
use crate::weblog::view::{End, Place, Receipt, Run, View};
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// With `--sorted`, how long a line waits for earlier ones of other sources.
pub const SORTED_WINDOW: Duration = Duration::from_secs(1);

/// With `--sorted`, bytes that wait at the most; beyond that they are shown as they come.
pub const SORTED_MAX: usize = 4 * 1024 * 1024;

/// One source, as far as its lines are concerned.
struct Source {
    name: String,
    parser: RecordParser,
    /// What does not fit its format was said.
    told_misfit: bool,
    malformed: u64,
}

/// A record's time, and how many lines came before it.
type Rank = ((i64, u32), u64);

/// Lines that wait for earlier ones.
#[derive(Default)]
struct Sorted {
    waiting: BTreeMap<Rank, Vec<u8>>,
    /// The same in the order in which they came: by the count, when, and the record's time.
    came: BTreeMap<u64, (Instant, (i64, u32))>,
    bytes: usize,
    count: u64,
}

/// What is shown, of all sources together.
pub(super) struct Showing {
    run: Run,
    sources: Vec<Source>,
    sorted: Option<Sorted>,
    /// With `--dashboard` the lines go there, as they come.
    pub(super) board: Option<Board>,
    quiet: bool,
    verbose: bool,
    /// What is to be written next; with a dashboard, once that is away.
    pub(super) out: Vec<u8>,
    /// The watch is over, and this is its status.
    pub(super) end: Option<u8>,
}

impl Showing {
    pub(super) fn new(view: View, sorted: bool, quiet: bool, verbose: bool) -> Self {
        let several = view.destination().names_sources;
        let run = Run::new(Arc::new(view));
        Self {
            run: if several { run.of_several() } else { run },
            sources: Vec::new(),
            sorted: sorted.then(Sorted::default),
            board: None,
            quiet,
            verbose,
            out: Vec::new(),
            end: None,
        }
    }

    pub(super) fn view(&self) -> &View {
        self.run.view()
    }

    /// Another source; the number that its lines are shown by.
    pub(super) fn add(&mut self, name: String, parser: RecordParser) -> usize {
        self.sources.push(Source::new(name, parser, self.run.view(), self.quiet));
        self.sources.len() - 1
    }

    /// Another source has the number of one of which nothing more comes.
    pub(super) fn replace(&mut self, source: usize, name: String, parser: RecordParser) {
        let new = Source::new(name, parser, self.run.view(), self.quiet);
        if let Some(source) = self.sources.get_mut(source) {
            core::mem::replace(source, new).tell_last(self.run.view(), self.quiet);
        }
    }

    pub(super) fn name(&self, source: usize) -> &str {
        self.sources.get(source).map_or("", |source| &source.name)
    }

    /// What says how to read the lines of a source that follow.
    pub(super) fn learn(&mut self, source: usize, text: &[u8]) {
        if let Some(source) = self.sources.get_mut(source) {
            source.parser.learn(text);
        }
    }

    /// A line of a source. Nothing is shown any more once the watch is over.
    pub(super) fn line(&mut self, source: usize, line: &Line<'_>, now: Instant) {
        let Some(source) = self.sources.get_mut(source).filter(|_| self.end.is_none()) else { return };
        let record = source.parser.parse(line.bytes);
        if let Some(news) = source.parser.take_news()
            && (self.verbose || !matches!(news, News::Found(_)))
            && !self.quiet
        {
            tell!("{}: {news}", escaped(source.name.as_bytes()));
        }
        let malformed = record.is_err();
        if malformed {
            source.malformed += 1;
            if let Some(text) = self.run.view().not_understood(&source.name, line).filter(|_| self.verbose) {
                tell!("{text}");
            }
        }
        let record = record.as_ref().map(Option::as_ref).map_err(|error| *error);
        let told_misfit = source.told_misfit || !matches!(record, Ok(Some(_)));
        if !told_misfit {
            source.tell_misfit(self.run.view(), false, self.quiet);
        }
        let place = Place { source: &source.name, seq: None };
        match (&mut self.board, &mut self.sorted) {
            (Some(board), _) => board.line(&mut self.run, place, line, record, now),
            (None, None) => drop(self.run.line(place, line, record, &mut self.out)),
            (None, Some(sorted)) => {
                let (mut text, mut time) = (Vec::new(), None);
                if self.run.line_and(place, line, record, &mut text, |_, hit| time = hit.record().time) {
                    sorted.push(time.map(Stamp::instant), text, now);
                    sorted.flush(now, &mut self.out);
                }
            }
        }
        if let Some(end) = self.run.end() {
            self.flush();
            let mut err = Vec::new();
            self.run.finish(&mut self.out, &mut err);
            if !err.is_empty() {
                tell!("{}", String::from_utf8_lossy(&err).trim_end());
            }
            self.end = Some(if end == End::Alert { END_OF_ALERT } else { 0 });
        }
    }

    /// When lines that wait are to be shown, if some do.
    pub(super) fn due(&self) -> Option<Instant> {
        let (_, (came, _)) = self.sorted.as_ref()?.came.first_key_value()?;
        Some(*came + SORTED_WINDOW)
    }

    /// Shows the lines that have waited long enough.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Some(sorted) = &mut self.sorted {
            sorted.flush(now, &mut self.out);
        }
    }

    /// Shows the lines that wait.
    pub(super) fn flush(&mut self) {
        if let Some(sorted) = &mut self.sorted {
            sorted.flush_all(&mut self.out);
        }
    }

    /// The report so far, if one was asked for.
    pub(super) fn report(&mut self, receipts: &[Receipt]) {
        self.flush();
        self.run.report(receipts, &mut self.out);
    }

    pub(super) fn reports(&self) -> bool {
        self.run.view().options().reports()
    }

    /// What is said at the end of each source that lacks what is shown, or whose lines were not understood.
    pub(super) fn tell_last(&mut self) {
        self.sources.iter_mut().for_each(|source| source.tell_last(self.run.view(), self.quiet));
    }
}

impl Source {
    /// What does not fit a format that is fixed is told before anything is read.
    fn new(name: String, parser: RecordParser, view: &View, quiet: bool) -> Self {
        let mut new = Self { name, parser, told_misfit: false, malformed: 0 };
        if new.parser.is_fixed() {
            new.tell_misfit(view, false, quiet);
        }
        new
    }

    fn tell_misfit(&mut self, view: &View, at_end: bool, quiet: bool) {
        let (no_referrer, has_host) = (self.parser.no_referrer(at_end), self.parser.has_host());
        let text = view.misfit(&self.name, no_referrer, has_host);
        self.told_misfit = text.is_some() || !self.parser.may_be_bare();
        if let Some(text) = text.filter(|_| !quiet) {
            tell!("{text}");
        }
    }

    fn tell_last(&mut self, view: &View, quiet: bool) {
        if !self.told_misfit && self.parser.may_be_bare() {
            self.tell_misfit(view, true, quiet);
        }
        if self.malformed > 0 && !quiet {
            let name = escaped(self.name.as_bytes());
            if let Some(news) = self.parser.finish() {
                tell!("{name}: {news}");
            }
            let lines = if self.malformed == 1 { "line was" } else { "lines were" };
            tell!("{name}: {} {lines} not understood", self.malformed);
        }
    }
}

impl Sorted {
    /// A text without a time comes behind what is there.
    fn push(&mut self, time: Option<(i64, u32)>, text: Vec<u8>, now: Instant) {
        let last = || self.waiting.last_key_value().map_or((i64::MIN, 0), |((time, _), _)| *time);
        let time = time.unwrap_or_else(last);
        self.count += 1;
        self.bytes += text.len();
        self.waiting.insert((time, self.count), text);
        self.came.insert(self.count, (now, time));
    }

    /// Appends what waits no longer: the earliest, as long as they came long enough ago or too much waits.
    fn flush(&mut self, now: Instant, out: &mut Vec<u8>) {
        let is_over = |came: Instant| now.saturating_duration_since(came) >= SORTED_WINDOW;
        // One that has waited long enough takes along all that is earlier.
        let over = self.came.iter().take_while(|(_, (came, _))| is_over(*came));
        let last = over.map(|(count, (_, time))| (*time, *count)).max();
        while let Some((key, _)) = self.waiting.first_key_value()
            && (last.is_some_and(|last| *key <= last) || self.bytes > SORTED_MAX)
        {
            self.pop(out);
        }
    }

    fn flush_all(&mut self, out: &mut Vec<u8>) {
        while !self.waiting.is_empty() {
            self.pop(out);
        }
    }

    /// Appends the earliest.
    fn pop(&mut self, out: &mut Vec<u8>) {
        if let Some(((_, count), text)) = self.waiting.pop_first() {
            self.came.remove(&count);
            self.bytes -= text.len();
            out.extend_from_slice(&text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sorted_lines_wait_for_earlier_ones_and_no_longer_than_the_window() {
        let (begin, mut sorted, mut out) = (Instant::now(), Sorted::default(), Vec::new());
        sorted.push(Some((20, 0)), b"b".to_vec(), begin);
        sorted.push(Some((10, 0)), b"a".to_vec(), begin + SORTED_WINDOW / 2);
        sorted.push(None, b"c".to_vec(), begin + SORTED_WINDOW / 2);
        sorted.flush(begin + SORTED_WINDOW / 2, &mut out);
        assert!(out.is_empty());
        sorted.flush(begin + SORTED_WINDOW, &mut out);
        assert_eq!(out, b"ab");
        sorted.flush(begin + SORTED_WINDOW * 2, &mut out);
        assert_eq!((out.as_slice(), sorted.bytes), (&b"abc"[..], 0));
    }

    #[test]
    fn no_more_waits_than_the_bound() {
        let (now, mut sorted, mut out) = (Instant::now(), Sorted::default(), Vec::new());
        for second in 0..9 {
            sorted.push(Some((9 - second, 0)), vec![b'x'; SORTED_MAX / 8], now);
            sorted.flush(now, &mut out);
        }
        assert!(sorted.bytes <= SORTED_MAX && out.len() == SORTED_MAX / 8);
    }

    /// Lines that wait, each with its rank, in the order in which they came.
    #[derive(Default)]
    struct Simple(Vec<(Instant, Rank)>);

    impl Simple {
        /// The counts of those that wait no longer, in the order of their ranks.
        fn flush(&mut self, now: Instant) -> Vec<u64> {
            let over = self.0.iter().filter(|(came, _)| now.duration_since(*came) >= SORTED_WINDOW);
            let Some(last) = over.map(|(_, rank)| *rank).max() else { return Vec::new() };
            let mut shown: Vec<_> = self.0.extract_if(.., |(_, rank)| *rank <= last).collect();
            shown.sort_unstable_by_key(|(_, rank)| *rank);
            shown.into_iter().map(|(_, (_, count))| count).collect()
        }
    }

    proptest! {
        #[test]
        fn sorted_lines_come_as_if_each_were_looked_at_every_time(
            lines in prop::collection::vec((0..400_u64, prop::option::weighted(0.9, 0..9_i64)), 1..200),
        ) {
            let (mut now, mut sorted, mut simple) = (Instant::now(), Sorted::default(), Simple::default());
            for (count, (later, time)) in (1..).zip(lines) {
                now += Duration::from_millis(later);
                let last = || simple.0.iter().map(|(_, (time, _))| *time).max().unwrap_or((i64::MIN, 0));
                let rank = (time.map_or_else(last, |time| (time, 0)), count);
                simple.0.push((now, rank));
                sorted.push(time.map(|time| (time, 0)), count.to_le_bytes().to_vec(), now);
                let mut out = Vec::new();
                sorted.flush(now, &mut out);
                let expected: Vec<_> = simple.flush(now).into_iter().flat_map(u64::to_le_bytes).collect();
                prop_assert_eq!(out, expected);
                let due = sorted.came.first_key_value().map(|(_, (came, _))| *came);
                prop_assert_eq!(due, simple.0.iter().map(|(came, _)| *came).min());
                prop_assert_eq!(sorted.came.len(), sorted.waiting.len());
                prop_assert_eq!(sorted.bytes, 8 * sorted.waiting.len());
            }
        }
    }
}
