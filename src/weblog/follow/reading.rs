//! One open file of a log: its text as lines, and the place.

use super::Sink;
use super::begin::directives;
use super::files::{Files, Stat, Trouble};
use super::find::Opened;
use super::position::Spot;
use super::source::{Source, Step};
use crate::weblog::lines::{Line, LineSplitter};
use std::time::Instant;

/// What Windows puts before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A file that is being read.
#[derive(Debug)]
pub(super) struct Reading<T> {
    pub(super) file: T,
    source: Source,
    lines: LineSplitter,
    packed: bool,
    pub(super) spot: Spot,
    /// Of a packed text, what comes before is passed over.
    from: u64,
    /// What is to be told before the first line.
    directives: Vec<u8>,
    /// Nobody writes to it any more.
    pub(super) fixed: bool,
    /// It was looked for files that came before it and were never seen.
    pub(super) checked: bool,
    /// Nothing more is wanted of it.
    pub(super) over: bool,
    /// Since when there has been nothing new.
    pub(super) idle: Option<Instant>,
}

impl<T> Reading<T> {
    /// Reads from the beginning.
    pub(super) fn new(opened: Opened<T>) -> Self {
        let Opened { file, stat, head, packed } = opened;
        let spot = if packed { Spot::packed(&stat, head, 0) } else { Spot::at(&stat, head, 0, Vec::new()) };
        let (source, lines) = (Source::default(), LineSplitter::default());
        Self {
            file,
            source,
            lines,
            packed,
            spot,
            from: 0,
            directives: Vec::new(),
            fixed: false,
            checked: false,
            over: false,
            idle: None,
        }
    }

    /// Reads on at `offset`.
    pub(super) async fn at<F>(files: &F, opened: Opened<T>, offset: u64) -> Result<Self, Trouble>
    where
        F: Files<File = T>,
    {
        let directives = directives(files, &opened, offset).await?;
        if opened.packed {
            let (spot, lines) =
                (Spot::packed(&opened.stat, opened.head.clone(), offset), LineSplitter::at(offset));
            return Ok(Self { spot, lines, from: offset, directives, ..Self::new(opened) });
        }
        let mark = opened.mark(files, offset).await?;
        let spot = Spot::at(&opened.stat, opened.head.clone(), offset, mark.clone());
        let source = Source::plain(offset, mark);
        Ok(Self { spot, source, lines: LineSplitter::at(offset), directives, ..Self::new(opened) })
    }

    pub(super) const fn is_packed(&self) -> bool {
        self.packed || self.source.is_packed()
    }

    /// Nothing more is wanted of it; how far it was read.
    pub(super) const fn give_up(&mut self) -> u64 {
        self.over = true;
        self.spot.read()
    }

    /// The file was looked at again.
    pub(super) fn see(&mut self, stat: &Stat) {
        let size = if self.is_packed() { 0 } else { stat.size };
        self.spot.see(&Stat { size, ..*stat });
    }

    /// Reads some, before `end`; the whole lines are told.
    pub(super) async fn step<F: Files<File = T>>(
        &mut self,
        files: &F,
        end: Option<u64>,
        sink: &mut impl Sink,
    ) -> Result<Step, Trouble> {
        let step = self.source.step(files, &self.file, end).await?;
        if step == Step::More {
            // No mark stands before its beginning: that must be the one by which the file was found.
            let begins =
                self.spot.read() > 0 || self.is_packed() || self.source.text().starts_with(self.spot.head());
            if !begins {
                self.source = Source::default();
                return Ok(Step::Replaced);
            }
            if !self.directives.is_empty() {
                sink.directives(&core::mem::take(&mut self.directives));
            }
            let text = self.source.text();
            let passed = usize::try_from(self.from.saturating_sub(self.spot.read())).unwrap_or(usize::MAX);
            let generation = self.spot.generation;
            let new = text.get(passed..).unwrap_or_default();
            self.lines.push(new, |line| sink.line(generation, without_mark(line)));
            self.spot.advance(text, self.lines.line_start());
        } else {
            self.source.rest();
        }
        Ok(step)
    }

    /// Tells the last line, if its end is missing.
    pub(super) fn finish(&mut self, sink: &mut impl Sink) {
        let generation = self.spot.generation;
        self.lines.finish(|line| sink.line(generation, without_mark(line)));
        self.spot.finish();
    }

    /// Whether nothing is missing at the end of a packed file.
    pub(super) fn is_whole(&mut self) -> bool {
        self.source.is_whole()
    }
}

fn without_mark(line: Line<'_>) -> Line<'_> {
    match line.bytes.strip_prefix(BYTE_ORDER_MARK) {
        Some(bytes) if line.offset == 0 => Line { bytes, ..line },
        _ => line,
    }
}
