//! Which file is which: a position's file among those that have the log's name or had it.

use super::NOT_REGULAR;
use super::files::{Files, Kind, Stat, Trouble};
use super::position::{Before, HEAD_MAX, MARK_MAX, Position, Spot};
use super::siblings::{Packing, Sibling, siblings, split};
use super::source::head;
use crate::driver::text::escaped;

/// How often the files are looked at again that were rotated meanwhile.
const TRIES: usize = 5;

/// What is said of one in two bytes a character.
pub(super) const UTF_16: &str = "UTF-16, which is not read: let it be written in UTF-8";

/// How far a file is the one of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    No,
    /// It has the same beginning, and ends before the place: a copy that was made earlier.
    Shorter,
    Same,
}

/// An open file, looked at.
#[derive(Debug)]
pub(super) struct Opened<T> {
    pub(super) file: T,
    pub(super) stat: Stat,
    /// How its text begins, at most [`HEAD_MAX`] bytes.
    pub(super) head: Vec<u8>,
    pub(super) packed: bool,
}

/// A file that may be one of the log's.
#[derive(Debug)]
pub(super) struct Candidate<T> {
    /// `None`: the one that has the log's name.
    pub(super) sibling: Option<Sibling>,
    pub(super) opened: Option<Result<Opened<T>, Trouble>>,
}

/// The files of a log, the oldest first, the one that has its name last.
#[derive(Debug)]
pub(super) struct Survey<T> {
    pub(super) candidates: Vec<Candidate<T>>,
    /// For each position, whether it was found, and which candidate it is.
    pub(super) found: Vec<Option<(usize, Fit)>>,
    /// The candidates from here on are not known, those of which nothing is wanted left out.
    pub(super) new_from: usize,
}

/// What is asked of a survey.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    /// The file of which nothing is wanted, if none of the others is found.
    pub(super) before: Option<&'a Position>,
    /// The oldest first.
    pub(super) positions: &'a [Position],
    /// The file that has the name may be that of the last position, too, and where each position is matters.
    pub(super) resuming: bool,
    /// If no position is found, every rotated file is new; otherwise those that were written since the last position.
    pub(super) all_new: bool,
}

impl<'a> Question<'a> {
    /// Where the positions are, and what came after them.
    pub(super) const fn new(before: &'a Before, positions: &'a [Position], resuming: bool) -> Self {
        Self { before: before.position(), positions, resuming, all_new: matches!(before, Before::Nothing) }
    }
}

impl<T> Candidate<T> {
    /// Of the log itself.
    pub(super) const fn is_named(&self) -> bool {
        self.sibling.is_none()
    }

    /// Whether it was opened, and can be read.
    pub(super) const fn is_readable(&self) -> bool {
        self.opened().is_some()
    }

    pub(super) const fn opened(&self) -> Option<&Opened<T>> {
        match &self.opened {
            Some(Ok(opened)) => Some(opened),
            _ => None,
        }
    }

    /// The file, or what is said of one that cannot be read.
    pub(super) fn take(self) -> Result<Opened<T>, String> {
        let name = self.sibling.map(|sibling| escaped(split(&sibling.path).1)).unwrap_or_default();
        match self.opened {
            Some(Ok(opened)) => Ok(opened),
            Some(Err(Trouble::Other(text))) => Err(format!("{name}: {text}")),
            Some(Err(_)) => Err(format!("{name}: permission denied")),
            None => Err(format!("{name}: packed in a way that is not read")),
        }
    }

    fn identity(&self) -> Option<(u64, u64)> {
        match (&self.opened, &self.sibling) {
            (Some(Ok(opened)), _) => opened.stat.identity,
            (_, Some(sibling)) => sibling.stat.identity,
            _ => None,
        }
    }

    async fn open<F: Files<File = T>>(&mut self, files: &F) -> Result<(), Trouble> {
        let Some(sibling) = self.sibling.as_ref().filter(|_| self.opened.is_none()) else { return Ok(()) };
        let opened = match open(files, &sibling.path).await {
            Ok(opened) if sibling.stat.identity.is_some_and(|own| opened.stat.identity != Some(own)) => {
                return Err(Trouble::Missing); // rotated since it was listed
            }
            Err(trouble @ (Trouble::Lost | Trouble::Missing | Trouble::Exhausted)) => return Err(trouble),
            other => other,
        };
        self.opened = Some(opened);
        Ok(())
    }
}

/// Opens a log, or one of its rotated files.
pub(super) async fn open<F: Files>(files: &F, path: &[u8]) -> Result<Opened<F::File>, Trouble> {
    let file = files.open(path).await?;
    let stat = files.fstat(&file).await?;
    if !matches!(stat.kind, None | Some(Kind::Regular)) {
        return Err(Trouble::Other(NOT_REGULAR.to_owned()));
    }
    let (head, packed) = head(files, &file).await?;
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return Err(Trouble::Other(UTF_16.to_owned()));
    }
    Ok(Opened { file, stat, head, packed })
}

impl<T> Opened<T> {
    /// The bytes before a place.
    pub(super) async fn mark<F: Files<File = T>>(&self, files: &F, offset: u64) -> Result<Vec<u8>, Trouble> {
        let length = offset.min(MARK_MAX as u64);
        let start = offset - length;
        let in_head = usize::try_from(start).ok().zip(usize::try_from(offset).ok());
        if let Some(known) = in_head.and_then(|(start, end)| self.head.get(start..end)) {
            return Ok(known.to_vec());
        }
        let mut mark = Vec::new();
        files
            .read(&self.file, start, MARK_MAX.min(usize::try_from(length).unwrap_or(MARK_MAX)), &mut mark)
            .await?;
        Ok(mark)
    }

    /// Whether this is the file of a position. Of one that is packed its beginning must do.
    pub(super) async fn fit<F: Files<File = T>>(
        &self,
        files: &F,
        position: &Position,
    ) -> Result<Fit, Trouble> {
        if !position.head.begins(&self.head) {
            return Ok(Fit::No);
        }
        if self.packed {
            return Ok(Fit::Same);
        }
        if self.stat.size < position.offset {
            return Ok(Fit::Shorter);
        }
        let mark = self.mark(files, position.offset).await?;
        let skip = mark.len().saturating_sub(usize::try_from(position.mark.len).unwrap_or(usize::MAX));
        let own = mark.get(skip..).unwrap_or_default();
        Ok(if position.mark.begins(own) { Fit::Same } else { Fit::No })
    }

    /// Whether this is the file that was then looked at so, and began so: it may have grown.
    pub(super) fn is_of(&self, (stat, head): &(Stat, Vec<u8>)) -> bool {
        match (self.stat.identity, stat.identity) {
            (Some(own), Some(other)) => own == other,
            _ => self.stat.size <= stat.size && !self.head.is_empty() && head.starts_with(&self.head),
        }
    }

    /// The place at its end.
    pub(super) async fn end<F: Files<File = T>>(&self, files: &F) -> Result<Position, Trouble> {
        let end = if self.packed { 0 } else { self.stat.size };
        let mark = self.mark(files, end).await?;
        let position = Spot::at(&self.stat, self.head.clone(), end, mark).position();
        Ok(Position { ended: true, ..position })
    }
}

impl<T> Survey<T> {
    /// Looks at the files of the log at `path`, all at the same moment as far as can be told: while they are being rotated,
    /// again.
    pub(super) async fn of<F>(files: &F, path: &[u8], question: Question<'_>) -> Result<Self, Trouble>
    where
        F: Files<File = T>,
    {
        let mut left = TRIES;
        loop {
            left -= 1;
            match Self::once(files, path, question, left == 0).await {
                Ok(Some(survey)) => return Ok(survey),
                Err(Trouble::Missing) if left == 0 => return Err(Trouble::Missing),
                Ok(None) | Err(Trouble::Missing) => {}
                Err(trouble) => return Err(trouble),
            }
        }
    }

    /// The file that has the log's name, if there is one.
    pub(super) fn named(&self) -> Option<usize> {
        self.candidates
            .len()
            .checked_sub(1)
            .filter(|last| self.candidates.get(*last).is_some_and(Candidate::is_named))
    }

    /// The name of the oldest file from `from` on that is packed in a way that is not read.
    pub(super) fn foreign(&self, from: usize) -> Option<String> {
        let mut siblings =
            self.candidates.iter().skip(from).filter_map(|candidate| candidate.sibling.as_ref());
        let foreign = siblings.find(|sibling| sibling.packing == Packing::Foreign)?;
        Some(escaped(split(&foreign.path).1))
    }

    /// The place at the end of a candidate, if that can be read.
    pub(super) async fn end<F>(&mut self, files: &F, at: usize) -> Result<Option<Position>, Trouble>
    where
        F: Files<File = T>,
    {
        let readable = |candidate: &&mut Candidate<T>| {
            candidate.sibling.as_ref().is_some_and(|sibling| sibling.packing == Packing::Readable)
        };
        let Some(candidate) = self.candidates.get_mut(at).filter(readable) else { return Ok(None) };
        let opened = match candidate.open(files).await {
            Err(trouble @ (Trouble::Lost | Trouble::Exhausted)) => return Err(trouble),
            _ => &candidate.opened,
        };
        match opened {
            Some(Ok(opened)) => opened.end(files).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn once<F>(
        files: &F,
        path: &[u8],
        question: Question<'_>,
        last: bool,
    ) -> Result<Option<Self>, Trouble>
    where
        F: Files<File = T>,
    {
        let before = siblings(files, path).await?;
        let named = match open(files, path).await {
            Ok(opened) => Some(Candidate { sibling: None, opened: Some(Ok(opened)) }),
            Err(Trouble::Missing) => None,
            Err(trouble) => return Err(trouble),
        };
        let listed = before.iter().cloned().map(|sibling| Candidate { sibling: Some(sibling), opened: None });
        let candidates = listed.chain(named).collect();
        let mut survey = Self { candidates, found: vec![None; question.positions.len()], new_from: 0 };
        survey.find_all(files, question).await?;
        for candidate in survey.candidates.iter_mut().skip(survey.new_from) {
            let readable =
                candidate.sibling.as_ref().is_some_and(|sibling| sibling.packing == Packing::Readable);
            if readable {
                candidate.open(files).await?;
            }
        }
        let same = before == siblings(files, path).await?;
        Ok((same || last).then_some(survey))
    }

    async fn find_all<F: Files<File = T>>(
        &mut self,
        files: &F,
        question: Question<'_>,
    ) -> Result<(), Trouble> {
        let mut newest = None;
        for (at, position) in question.positions.iter().enumerate().rev() {
            let is_last = at + 1 == question.positions.len();
            let found = self.find(files, position, question.resuming, is_last).await?;
            if let Some(slot) = self.found.get_mut(at) {
                *slot = found;
            }
            newest = newest.max(found.map(|(candidate, _)| candidate));
            if newest.is_some() && !question.resuming {
                break;
            }
        }
        if let (None, Some(before)) = (newest, question.before) {
            newest =
                self.find(files, before, question.resuming, false).await?.map(|(candidate, _)| candidate);
        }
        let since = question.positions.last().and_then(|position| position.mtime);
        let is_known = |candidate: &Candidate<T>| {
            let written = candidate.sibling.as_ref().map(|sibling| sibling.stat.mtime);
            !question.all_new && written.is_some_and(|written| since.is_none() || written <= since)
        };
        self.new_from = match newest {
            Some(newest) => newest + 1,
            None => self.candidates.iter().rposition(is_known).map_or(0, |known| known + 1),
        };
        Ok(())
    }

    /// Where the file of a position is: first by its number, then whichever holds the same.
    async fn find<F: Files<File = T>>(
        &mut self,
        files: &F,
        position: &Position,
        resuming: bool,
        is_last: bool,
    ) -> Result<Option<(usize, Fit)>, Trouble> {
        if position.head.len == 0 {
            return Ok(None); // an empty file is like any other, and its number may be used again
        }
        let is_own = |candidate: &Candidate<T>| {
            position.identity.is_some() && candidate.identity() == position.identity
        };
        let mut order: Vec<usize> = (0..self.candidates.len()).rev().collect();
        order.sort_by_key(|at| !self.candidates.get(*at).is_some_and(is_own));
        let mut shorter = None;
        for at in order {
            let is_taken = self.found.iter().flatten().any(|(taken, _)| *taken == at);
            let Some(candidate) = self.candidates.get_mut(at).filter(|_| !is_taken) else { continue };
            let foreign = candidate.sibling.as_ref().is_some_and(|own| own.packing == Packing::Foreign);
            // Whoever has rotated knows that the name stands for another file, unless that is a whole copy.
            let whole = resuming || position.head.len == HEAD_MAX as u64;
            let named = candidate.is_named();
            if foreign || (named && !(is_last && (whole || is_own(candidate)))) {
                continue;
            }
            candidate.open(files).await?;
            let Some(Ok(opened)) = &candidate.opened else { continue };
            match opened.fit(files, position).await? {
                Fit::Same => return Ok(Some((at, Fit::Same))),
                Fit::Shorter if !named => shorter = shorter.or(Some((at, Fit::Shorter))),
                Fit::Shorter | Fit::No => {}
            }
        }
        Ok(shorter)
    }
}
