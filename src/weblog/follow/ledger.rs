//! What was told of a log so far, kept outside of whoever follows it: positions to go on at, and what a receipt says.

use super::position::{Before, Checkpoint, Excerpt, Position, Spot};
use core::cell::RefCell;

/// Gaps that are kept by name; more are counted.
pub const GAPS_MAX: usize = 100;

/// What was told of one log.
#[derive(Debug, Default)]
pub struct Ledger(RefCell<Book>);

#[derive(Debug, Default)]
struct Book {
    before: Before,
    open: Vec<Account>,
    /// Files that were begun.
    begun: u64,
    /// It was looked for and not there: all of it is new.
    late: bool,
    finished: Receipt,
    /// Files that were finished and of which lines may wait to be taken, each with what there was before it. While what waits
    /// is as much as [`TRAY_MAX`](super::logs::TRAY_MAX), no further file is read to its end.
    untaken: Vec<(Before, Position, u64)>,
}

/// Bytes of some files together. Sizes are what others say: no sum of them is too large.
pub(in crate::weblog) fn sum(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}

/// One file: the place, and the bytes from where reading began.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    pub(super) position: Position,
    pub(super) generation: u64,
    pub(super) start: u64,
    pub(super) written: u64,
    pub(super) read: u64,
}

/// What was written there since the beginning, and what was told here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Bytes that were added to the log.
    pub written: u64,
    /// Bytes of those that were told.
    pub read: u64,
    /// Files that were read to their end, after the log went on in another.
    pub generations: u64,
    /// What was lost, or may have been.
    pub gaps: Vec<String>,
    /// Gaps beyond [`GAPS_MAX`].
    pub more_gaps: u64,
}

impl From<Checkpoint> for Ledger {
    fn from(checkpoint: Checkpoint) -> Self {
        let account = |(generation, position): (u64, Position)| Account {
            generation,
            start: position.offset,
            position,
            ..Account::default()
        };
        let begun = checkpoint.files.len() as u64;
        let open = (0..).zip(checkpoint.files).map(account).collect();
        Self(RefCell::new(Book { before: checkpoint.before, open, begun, late: true, ..Book::default() }))
    }
}

impl Ledger {
    /// Where to go on. What was told before this call is behind it.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        let book = self.0.borrow();
        let files = book.open.iter().map(|account| account.position.clone()).collect();
        Checkpoint { before: book.before.clone(), files }
    }

    /// What was written and read so far.
    #[must_use]
    pub fn receipt(&self) -> Receipt {
        let (written, read) = self.written_and_read();
        Receipt { written, read, ..self.0.borrow().finished.clone() }
    }

    /// The bytes of a receipt.
    #[must_use]
    pub fn written_and_read(&self) -> (u64, u64) {
        let book = self.0.borrow();
        let of =
            |finished, account: fn(&Account) -> u64| sum(book.open.iter().map(account).chain([finished]));
        (of(book.finished.written, |account| account.written), of(book.finished.read, |account| account.read))
    }

    /// Bytes that were seen there and not told yet.
    #[must_use]
    pub fn behind(&self) -> u64 {
        let (written, read) = self.written_and_read();
        written.saturating_sub(read)
    }

    pub(super) fn accounts(&self) -> Vec<Account> {
        self.0.borrow().open.clone()
    }

    pub(super) fn before(&self) -> Before {
        self.0.borrow().before.clone()
    }

    pub(super) fn set_before(&self, before: Before) {
        self.0.borrow_mut().before = before;
    }

    /// Whether its follower has begun. What is read as it comes, or by a command, keeps no place here.
    pub(crate) fn has_place(&self) -> bool {
        let book = self.0.borrow();
        book.begun > 0 || book.late
    }

    pub(super) fn is_late(&self) -> bool {
        self.0.borrow().late
    }

    pub(super) fn set_late(&self) {
        self.0.borrow_mut().late = true;
    }

    /// The number of a file that is begun.
    pub(super) fn begin(&self) -> u64 {
        let mut book = self.0.borrow_mut();
        book.begun += 1;
        book.begun - 1
    }

    /// What is open now, the oldest first.
    pub(super) fn publish<'s>(&self, spots: impl Iterator<Item = &'s Spot>) {
        self.0.borrow_mut().open = spots.map(Account::of).collect();
    }

    /// Nothing more comes of this file. An empty one could not be told from others.
    pub(super) fn finish(&self, account: &Account) {
        self.lose(account);
        let mut book = self.0.borrow_mut();
        book.finished.generations += 1;
        if account.position.head.len > 0 {
            let position = Position { ended: true, ..account.position.clone() };
            let before = core::mem::replace(&mut book.before, Before::File(position.clone()));
            book.untaken.push((before, position, account.generation));
        }
    }

    /// All that was told was taken.
    pub(crate) fn all_taken(&self) {
        self.0.borrow_mut().untaken.clear();
    }

    /// A line was told and not taken: it is wanted again, with all that follows it.
    pub(crate) fn take_back(&self, generation: u64, offset: u64) {
        let book = &mut *self.0.borrow_mut();
        if let Some(at) = book.untaken.iter().position(|(.., finished)| *finished == generation) {
            book.before = book.untaken.get(at).map(|(before, ..)| before.clone()).unwrap_or_default();
            let finished = book.untaken.drain(at..);
            let open = finished.map(|(_, position, generation)| Account {
                position,
                generation,
                ..Account::default()
            });
            book.open.splice(..0, open);
        }
        let account = book.open.iter_mut().find(|account| account.generation == generation);
        if let Some(Account { position, .. }) = account.filter(|account| offset < account.position.offset) {
            (position.offset, position.mark, position.ended) = (offset, Excerpt::of(b""), false);
        }
    }

    /// This file is not to be found any more.
    pub(super) fn lose(&self, account: &Account) {
        self.add(account.written, account.read);
    }

    /// So many bytes came of a log whose follower keeps its own place, or that has none.
    pub(crate) fn count(&self, bytes: u64) {
        self.add(bytes, bytes);
    }

    fn add(&self, written: u64, read: u64) {
        let finished = &mut self.0.borrow_mut().finished;
        finished.written = finished.written.saturating_add(written);
        finished.read = finished.read.saturating_add(read);
    }

    /// One of its files was read to its end.
    pub(super) fn count_generation(&self) {
        self.0.borrow_mut().finished.generations += 1;
    }

    pub(crate) fn gap(&self, gap: &str) {
        let finished = &mut self.0.borrow_mut().finished;
        if finished.gaps.len() < GAPS_MAX {
            finished.gaps.push(gap.to_owned());
        } else {
            finished.more_gaps += 1;
        }
    }
}

impl Account {
    pub(super) fn of(spot: &Spot) -> Self {
        let (written, read) = spot.written_and_read();
        Self { position: spot.position(), generation: spot.generation, start: spot.start, written, read }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t102_sizes_that_no_sum_holds_end_nobody() {
        let ledger = Ledger::default();
        let account = Account { written: i64::MAX as u64, read: 7, ..Account::default() };
        (0..3).for_each(|_| ledger.finish(&account));
        ledger.lose(&account);
        ledger.count(1);
        ledger.0.borrow_mut().open = vec![account; 3];
        assert_eq!(ledger.written_and_read(), (u64::MAX, 7 * 7 + 1));
        assert_eq!(ledger.behind(), u64::MAX - 50);
        assert_eq!(ledger.receipt().generations, 3);
    }

    #[test]
    fn a_place_is_had_by_whom_has_begun_and_not_by_whom_only_counts() {
        let ledger = Ledger::default();
        ledger.count(9);
        ledger.count_generation();
        ledger.gap("a gap");
        assert!(!ledger.has_place());
        ledger.set_late();
        assert!(ledger.has_place(), "all that comes is new");
        let ledger = Ledger::default();
        ledger.begin();
        assert!(ledger.has_place());
        assert!(Ledger::from(Checkpoint::default()).has_place());
    }

    #[test]
    fn gaps_beyond_the_bound_are_counted() {
        let ledger = Ledger::default();
        (0..GAPS_MAX + 3).for_each(|n| ledger.gap(&n.to_string()));
        let receipt = ledger.receipt();
        assert_eq!((receipt.gaps.len(), receipt.more_gaps), (GAPS_MAX, 3));
    }
}
