//! `--via sh`: a follower in POSIX sh for a host without SFTP, and what it says, taken apart.
//!
//! It is sent on standard input to [`COMMAND`], the path inside it, so that whatever the login shell is sees nothing but these
//! words; nothing is installed. It looks once a second and holds the file open by its descriptor, so that a rotation loses
//! nothing. What it cannot see: what was written to a file between its last look and the moment that it was emptied; a file that
//! came and went between two looks; a file that was emptied and written anew with the same first 1,024 bytes and no fewer
//! bytes in all. The first is told as a [`Gap`]; the second and the third nobody notices, and that is why SFTP is better.
//!
//! It does not know channels: whoever has one sends [`script`](ShellFollower::begin) and brings what comes. Nor does it know
//! lines: what it gives are bytes at their offsets.

mod marks;

pub use marks::{MARK_LEN_MAX, MARK_TOO_LONG, Mark, Marks, NONCE_LEN, Piece, UNKNOWN_MARK};

use crate::driver::text::quoted;
use crate::wire::Fault;
use core::fmt::Write;
use memchr::{memchr_iter, memrchr};

/// What is run on the host.
pub const COMMAND: &str = "exec sh -s";

/// It is sent to it, behind what it should do.
const SCRIPT: &str = include_str!("shell.sh");

/// Bytes came that belong to no file.
pub const DATA_OF_NO_FILE: Fault = Fault::protocol("the follower there sends bytes of no file");

/// How many bytes before a position are compared before it is gone on with.
pub const COMPARED_MAX: usize = 256;

/// The last bytes of a file that are looked at first for its last lines; these are kept, so that nothing is sent twice.
pub const BACK_MIN: u64 = 256 * 1024;

/// How many times as many the next time.
const BACK_FACTOR: u64 = 16;

/// Where following begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// So many lines before the end.
    LinesBeforeEnd(u64),
    /// At this line, from 1.
    Line(u64),
    /// Where it ended another time.
    At(Position),
}

/// A place in a file, behind a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Of the file.
    pub inode: u64,
    /// Of the next line.
    pub offset: u64,
    /// What stands before it, at most [`COMPARED_MAX`] bytes: another file of the same number shows.
    pub before: Vec<u8>,
}

/// What happened to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A file is read from `offset` on; the one before may still be read too. After a new beginning the number of a file may
    /// come again: then what was held of a line is to be forgotten, it is sent again.
    Began {
        /// Counts the files of this log.
        generation: u64,
        /// Of the file.
        inode: u64,
        /// Where the next byte stands.
        offset: u64,
        /// When it was looked at (bytes).
        size: u64,
    },
    /// Bytes of a file, each once and in their order.
    Data {
        /// Of which file.
        generation: u64,
        /// Of the first byte.
        offset: u64,
        /// At least one.
        bytes: &'a [u8],
    },
    /// No more comes of this file.
    Ended {
        /// Of which.
        generation: u64,
    },
    /// The follower lives, and the file under the name had this size (bytes).
    Alive {
        /// When it was looked at.
        size: u64,
    },
    /// There is no such file; it is waited for.
    Missing,
    /// The file must not be read; it is waited for.
    Denied,
    /// Something was, or may have been, lost.
    Gap(Gap),
}

/// What is missing, or may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The file was emptied: what was written to it before that, and after it was looked at last, is not here.
    Truncated,
    /// The file was emptied and written anew: likewise; if that happened while it was read, a piece of the new may have been
    /// taken for more of the old.
    Rewritten,
    /// The file that should be gone on with is not beside the log any more: what was written behind the position is not here.
    NotFound,
    /// There is another in its place: likewise.
    NotTheSame,
}

impl core::fmt::Display for Gap {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Truncated => "truncated; what came in the second before may be missing",
            Self::Rewritten => "written anew; what came in the second before may be missing",
            Self::NotFound => {
                "rotated while away, and the rotated file is not there; the rest of it is missing"
            }
            Self::NotTheSame => "replaced while away; the rest of the old file is missing",
        })
    }
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More may come.
    Wait,
    /// The channel is of no use any more: [`COMMAND`] is to be run again, with what [`begin`](ShellFollower::begin) says then.
    Again,
    /// The path is of something that is no regular file.
    Special,
    /// All that is there has come, and no more was asked for.
    Done,
}

/// A file that is being read.
#[derive(Debug)]
struct Reading {
    generation: u64,
    inode: u64,
    offset: u64,
    /// Behind the last line end.
    line: Position,
    /// The bytes before `offset`, at most [`COMPARED_MAX`].
    recent: Vec<u8>,
}

/// What is passed over in the first file, before anything of it is given.
#[derive(Debug)]
enum Finding {
    /// So many lines, but nothing behind this offset.
    Lines(u64, u64),
    /// So many lines before this offset are wanted; line ends that were seen, and the bytes, if they are kept.
    Back { bytes: u64, lines: u64, size: u64, from: u64, seen: u64, kept: Option<Vec<u8>> },
    /// These bytes should come.
    Before(Vec<u8>),
}

/// How a run of the follower there begins.
#[derive(Debug)]
enum Wanted {
    /// At the beginning of the file, behind so many lines.
    Lines(u64),
    /// So many bytes before its end, for so many lines.
    Back { bytes: u64, lines: u64 },
    /// There, behind so many lines more.
    At(Position, u64),
}

/// Follows a log by a shell on its host.
#[derive(Debug)]
pub struct ShellFollower {
    path: Vec<u8>,
    once: bool,
    wanted: Wanted,
    marks: Option<Marks>,
    has_begun: bool,
    failed: Option<Fault>,
    /// Files that have begun so far.
    generations: u64,
    /// The number of the file that is to be gone on with.
    resumed: Option<u64>,
    current: Option<Reading>,
    old: Option<Reading>,
    /// Bytes are of the old file.
    is_old: bool,
    /// Of the current one: its size when it was opened, as long as nothing is given of it.
    finding: Option<(Finding, u64)>,
    next: Next,
}

impl ShellFollower {
    /// Of a path as the host's shell has it: relative to where the login begins, or absolute.
    #[must_use]
    pub fn new(path: &[u8], start: Start) -> Self {
        let wanted = match start {
            Start::LinesBeforeEnd(lines) => Wanted::Back { bytes: BACK_MIN, lines },
            Start::Line(line) => Wanted::Lines(line.saturating_sub(1)),
            Start::At(position) => Wanted::At(position, 0),
        };
        Self {
            path: path.to_vec(),
            once: false,
            wanted,
            marks: None,
            has_begun: false,
            failed: None,
            generations: 0,
            resumed: None,
            current: None,
            old: None,
            is_old: false,
            finding: None,
            next: Next::Wait,
        }
    }

    /// The same, which ends at the end of the log.
    #[must_use]
    pub fn to_the_end(self) -> Self {
        Self { once: true, ..self }
    }

    /// What is to be sent to [`COMMAND`] on a new channel, and then EOF. `random` is new each time, and nobody's but ours. A
    /// run before this one is over: what it read is gone on with.
    pub fn begin(&mut self, random: [u8; NONCE_LEN / 2]) -> Vec<u8> {
        if let Some(current) = self.current.take().filter(|_| self.finding.is_none()) {
            self.resumed = Some(current.generation);
            self.wanted = Wanted::At(current.line, 0);
        }
        (self.finding, self.failed, self.next) = (None, None, Next::Wait);
        (self.is_old, self.has_begun) = (false, false);
        let mut nonce = String::with_capacity(NONCE_LEN);
        for byte in random {
            let _it_is_long_enough = write!(nonce, "{byte:02x}");
        }
        self.marks = nonce.as_bytes().try_into().ok().map(Marks::new);
        let (want, off, back) = match &self.wanted {
            Wanted::Lines(_) => Default::default(),
            Wanted::Back { bytes, .. } => (String::new(), String::new(), bytes.to_string()),
            Wanted::At(Position { inode, offset, before }, _) => {
                (inode.to_string(), offset.saturating_sub(before.len() as u64).to_string(), String::new())
            }
        };
        let once = if self.once { "1" } else { "" };
        let values = format!("n={nonce} once={once} want={want} off={off} back={back} f=");
        [values.as_bytes(), &quoted(&self.path), b"\n", SCRIPT.as_bytes()].concat()
    }

    /// Whether the follower there has said anything: before that it may be that the host has no shell for us.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Behind the last line that was given whole, of the file under the name.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        self.current.as_ref().filter(|_| self.finding.is_none()).map(|current| &current.line)
    }

    /// Takes what came on standard output; `each` is told what happened.
    ///
    /// # Errors
    /// It is not of the follower there; nothing of the channel is of use any more.
    pub fn handle_data(&mut self, data: &[u8], mut each: impl FnMut(Event<'_>)) -> Result<Next, Fault> {
        let Some(mut marks) = self.marks.take() else { return self.failed.map_or(Ok(self.next), Err) };
        let taken = marks.push(data, |piece| match piece {
            _ if self.next != Next::Wait => Ok(()), // it will be begun anew
            Piece::Data(bytes) => self.take(bytes, &mut each),
            Piece::Mark(mark) => {
                self.handle_mark(mark, &mut each);
                Ok(())
            }
        });
        match taken {
            Ok(()) => self.marks = Some(marks),
            Err(fault) => self.failed = Some(fault),
        }
        taken.map(|()| self.next)
    }

    fn handle_mark(&mut self, mark: Mark, each: &mut impl FnMut(Event<'_>)) {
        match mark {
            Mark::Begun => {
                self.has_begun = true;
                self.end_old(each);
            }
            Mark::File { inode, offset, size } => {
                self.settle(each);
                self.end_old(each);
                self.old = self.current.take();
                self.open(inode, offset, size, each);
            }
            Mark::Truncated(inode, size) => self.emptied(Gap::Truncated, inode, size, each),
            Mark::Rewritten(inode, size) => self.emptied(Gap::Rewritten, inode, size, each),
            Mark::Old => self.is_old = true,
            Mark::Current => self.is_old = false,
            Mark::OldEnded => self.end_old(each),
            Mark::Alive(size) => each(Event::Alive { size }),
            Mark::Missing => {
                if self.current.is_none() {
                    self.wanted = Wanted::Lines(0);
                }
                each(Event::Missing);
            }
            Mark::Denied => each(Event::Denied),
            Mark::Special => self.next = Next::Special,
            Mark::NotFound => {
                self.wanted = Wanted::Lines(0);
                each(Event::Gap(Gap::NotFound));
                self.end_resumed(each);
            }
            Mark::Done => self.done(each),
        }
    }

    /// A file is open, and what follows is of it.
    fn open(&mut self, inode: u64, offset: u64, size: u64, each: &mut impl FnMut(Event<'_>)) {
        let line = Position { inode, offset, before: Vec::new() };
        self.current =
            Some(Reading { generation: self.generations, inode, offset, line, recent: Vec::new() });
        self.is_old = false;
        // It stays wanted until it is found: the run may end before.
        let finding = match &self.wanted {
            Wanted::At(position, lines) if position.before.is_empty() => Finding::Lines(*lines, size),
            Wanted::At(position, _) => Finding::Before(position.before.clone()),
            Wanted::Lines(lines) => Finding::Lines(*lines, size),
            &Wanted::Back { bytes, lines } => {
                let kept = (size.saturating_sub(offset) <= BACK_MIN).then(Vec::new);
                Finding::Back { bytes, lines, size, from: offset, seen: 0, kept }
            }
        };
        self.finding = Some((finding, size));
        self.find(&[], each);
    }

    /// It is known where the file begins for us.
    fn began(&mut self, size: u64, each: &mut impl FnMut(Event<'_>)) {
        let Some(current) = &mut self.current else { return };
        self.wanted = Wanted::Lines(0);
        current.generation = self.resumed.take().unwrap_or(self.generations);
        self.generations = self.generations.max(current.generation + 1);
        let Reading { generation, inode, offset, .. } = *current;
        each(Event::Began { generation, inode, offset, size });
    }

    fn emptied(&mut self, gap: Gap, inode: u64, size: u64, each: &mut impl FnMut(Event<'_>)) {
        self.settle(each);
        if let Some(Reading { generation, .. }) = self.current.take() {
            each(Event::Gap(gap));
            each(Event::Ended { generation });
        }
        self.open(inode, 0, size, each);
    }

    fn end_old(&mut self, each: &mut impl FnMut(Event<'_>)) {
        if let Some(Reading { generation, .. }) = self.old.take() {
            each(Event::Ended { generation });
        }
    }

    fn end_resumed(&mut self, each: &mut impl FnMut(Event<'_>)) {
        if let Some(generation) = self.resumed.take() {
            each(Event::Ended { generation });
        }
    }

    /// Another file comes: what was looked for in this one will not.
    fn settle(&mut self, each: &mut impl FnMut(Event<'_>)) {
        if let Some((finding, size)) = self.finding.take() {
            if matches!(finding, Finding::Before(_)) {
                self.not_the_same(each);
            }
            self.began(size, each);
        }
    }

    /// No more comes, even if the file had more when it was looked at.
    fn done(&mut self, each: &mut impl FnMut(Event<'_>)) {
        if let (Some((Finding::Back { size, .. }, _)), Some(current)) = (&mut self.finding, &self.current) {
            *size = current.offset;
        }
        self.find(&[], each);
        if self.next == Next::Wait {
            self.settle(each);
            self.next = Next::Done;
        }
    }

    fn not_the_same(&mut self, each: &mut impl FnMut(Event<'_>)) {
        each(Event::Gap(Gap::NotTheSame));
        self.end_resumed(each);
    }

    fn take(&mut self, bytes: &[u8], each: &mut impl FnMut(Event<'_>)) -> Result<(), Fault> {
        if !self.has_begun {
            return Ok(()); // of the login's, before it came to us
        }
        if self.is_old {
            match &mut self.old {
                Some(old) => old.give(bytes, each),
                None => return Err(DATA_OF_NO_FILE),
            }
        } else if self.finding.is_some() {
            self.find(bytes, each);
        } else {
            self.current.as_mut().ok_or(DATA_OF_NO_FILE)?.give(bytes, each);
        }
        Ok(())
    }

    /// Passes over what is not wanted; the first that is begins the file.
    fn find(&mut self, bytes: &[u8], each: &mut impl FnMut(Event<'_>)) {
        let (Some((finding, size)), Some(current)) = (&mut self.finding, &mut self.current) else { return };
        let before = current.offset;
        let found = match finding {
            Finding::Lines(lines, until) => {
                let (passed, ends) = pass(bytes, *lines, until.saturating_sub(before));
                *lines -= ends;
                current.pass(bytes.get(..passed).unwrap_or_default());
                (*lines == 0 || current.offset >= *until).then_some(passed)
            }
            Finding::Before(expected) => {
                let n = expected.len().min(bytes.len());
                let (came, wanted) =
                    (bytes.get(..n).unwrap_or_default(), expected.get(..n).unwrap_or_default());
                if came != wanted {
                    self.not_the_same(each);
                    return self.again(Wanted::Lines(0));
                }
                current.pass(came);
                let before = current.recent.clone();
                current.line = Position { inode: current.inode, offset: current.offset, before };
                expected.drain(..n);
                expected.is_empty().then_some(n)
            }
            Finding::Back { bytes: asked, lines, size, from, seen, kept } => {
                let n = bytes.len().min(usize::try_from(size.saturating_sub(before)).unwrap_or(usize::MAX));
                let backlog = bytes.get(..n).unwrap_or_default();
                *seen += memchr_iter(b'\n', backlog).count() as u64;
                if let Some(kept) = kept {
                    kept.extend_from_slice(backlog);
                }
                current.offset += n as u64;
                if current.offset < *size {
                    return;
                }
                let pass_over = seen.saturating_sub(*lines);
                let (inode, from, lines) = (current.inode, *from, *lines);
                if pass_over == 0 && from > 0 && *asked < u64::MAX {
                    let bytes = asked.saturating_mul(BACK_FACTOR);
                    return self.again(Wanted::Back { bytes, lines });
                }
                let Some(kept) = kept.take() else {
                    let position = Position { inode, offset: from, before: Vec::new() };
                    return self.again(Wanted::At(position, pass_over));
                };
                current.offset = from;
                let rest = [kept.as_slice(), bytes.get(n..).unwrap_or_default()].concat();
                self.finding = Some((Finding::Lines(pass_over, from + kept.len() as u64), *size));
                return self.find(&rest, each);
            }
        };
        let (Some(passed), size) = (found, *size) else { return };
        self.finding = None;
        self.began(size, each);
        let rest = bytes.get(passed..).filter(|rest| !rest.is_empty());
        if let (Some(rest), Some(current)) = (rest, &mut self.current) {
            current.give(rest, each);
        }
    }

    fn again(&mut self, wanted: Wanted) {
        (self.current, self.finding, self.wanted, self.next) = (None, None, wanted, Next::Again);
    }
}

/// How many bytes hold so many lines, but at most `until` of them; and how many lines they were.
fn pass(bytes: &[u8], lines: u64, until: u64) -> (usize, u64) {
    let within = bytes.get(..usize::try_from(until).unwrap_or(usize::MAX)).unwrap_or(bytes);
    let Some(last) = lines.checked_sub(1) else { return (0, 0) };
    let mut ends = memchr_iter(b'\n', within);
    match ends.nth(usize::try_from(last).unwrap_or(usize::MAX)) {
        Some(at) => (at + 1, lines),
        None => (within.len(), memchr_iter(b'\n', within).count() as u64),
    }
}

impl Reading {
    fn give(&mut self, bytes: &[u8], each: &mut impl FnMut(Event<'_>)) {
        each(Event::Data { generation: self.generation, offset: self.offset, bytes });
        self.pass(bytes);
    }

    /// These bytes are behind us.
    fn pass(&mut self, bytes: &[u8]) {
        if let Some(end) = memrchr(b'\n', bytes) {
            let whole = bytes.get(..=end).unwrap_or_default();
            let mut before = self.recent.clone();
            remember(&mut before, whole);
            self.line = Position { inode: self.inode, offset: self.offset + whole.len() as u64, before };
        }
        remember(&mut self.recent, bytes);
        self.offset += bytes.len() as u64;
    }
}

/// Keeps the last [`COMPARED_MAX`] bytes.
fn remember(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.extend_from_slice(bytes.get(bytes.len().saturating_sub(COMPARED_MAX)..).unwrap_or(bytes));
    kept.drain(..kept.len().saturating_sub(COMPARED_MAX));
}

#[cfg(test)]
mod tests;
