//! Following a local log: each line once, in order, through rotation by rename, truncation and replacement.
//!
//! The directory is watched by inotify, and looked at once a second besides, for file systems that tell nothing. Whoever owns
//! the loop calls [`read`](Follower::read) when the descriptor is ready or the second is over. It does not know what a line
//! means.

mod files;
mod find;
mod sftp;
pub mod shell;
pub mod via;

use super::lines::{Line, LineSplitter};
use core::time::Duration;
use inotify::{Inotify, WatchMask};
use rustix::fs::{Mode, OFlags};
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Bytes read in one call, so that nobody waits for a burst.
pub const READ_MAX: usize = 256 * 1024;

/// How often the file is looked at without being told.
pub const POLL: Duration = Duration::from_secs(1);

/// How long a file that was rotated away is still read after its last byte: its writer may not have noticed yet.
pub const DRAIN: Duration = Duration::from_secs(5);

/// Rotated files that are still read; the oldest is let go beyond that.
const OLD_MAX: usize = 8;

/// Of the bytes before our position, those that are compared before reading on: another file of the same length shows.
const MARK: usize = 256;

/// Where following begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// So many lines before the end.
    LinesBeforeEnd(u64),
    /// At this line, from 1.
    Line(u64),
}

/// One file that is being read.
#[derive(Debug)]
struct Reading {
    file: File,
    identity: (u64, u64),
    offset: u64,
    mark: Vec<u8>,
    lines: LineSplitter,
    /// When it was seen to have ended, of a file that was rotated away.
    ended: Option<Instant>,
}

/// Follows a file by its name.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    inotify: Inotify,
    watched: bool,
    current: Option<Reading>,
    /// Rotated away and still read, the oldest first.
    old: Vec<Reading>,
    chunk: Vec<u8>,
}

/// What a call of [`Follower::read`] says of the future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There may be more at once.
    More,
    /// Nothing now.
    AtEnd,
}

impl Follower {
    /// Begins; the file need not be there yet.
    ///
    /// # Errors
    /// The system's; the path is there and is no regular file.
    pub fn new(path: &Path, start: Start) -> io::Result<Self> {
        let mut own = Self {
            path: path.to_owned(),
            inotify: Inotify::init()?,
            watched: false,
            current: None,
            old: Vec::new(),
            chunk: vec![0; READ_MAX],
        };
        own.watch();
        own.current = match Reading::of(path) {
            Ok(open) => Some(open),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if let Some(open) = &mut own.current {
            open.start(start, &mut own.chunk)?;
        }
        Ok(own)
    }

    /// Whether the file was there when it was looked for last.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.current.is_some()
    }

    /// Watches the file's directory, as soon as there is one.
    fn watch(&mut self) {
        let directory = match self.path.parent() {
            Some(directory) if !directory.as_os_str().is_empty() => directory,
            _ => Path::new("."),
        };
        let mask =
            WatchMask::MODIFY | WatchMask::CREATE | WatchMask::MOVE | WatchMask::DELETE | WatchMask::ONLYDIR;
        self.watched = self.watched || self.inotify.watches().add(directory, mask).is_ok();
    }

    /// Reads what is new, at most [`READ_MAX`] bytes; `each` gets the whole lines.
    ///
    /// # Errors
    /// The system's, of the file that is there now; following goes on with the next call.
    pub fn read(&mut self, now: Instant, mut each: impl FnMut(Line<'_>)) -> io::Result<Progress> {
        self.forget_events();
        self.watch();
        for old in &mut self.old {
            if old.read(&mut self.chunk, &mut each)? > 0 {
                old.ended = None;
                return Ok(Progress::More);
            }
            old.ended = old.ended.or(Some(now));
        }
        self.old.retain_mut(|old| {
            let over = old.ended.is_some_and(|ended| now.saturating_duration_since(ended) >= DRAIN);
            if over {
                old.lines.finish(&mut each);
            }
            !over
        });
        let rotated = self.reopen()?;
        let Some(current) = &mut self.current else { return Ok(Progress::AtEnd) };
        if rotated {
            return Ok(Progress::More); // what the old one still holds comes first
        }
        current.begin_again_if_replaced(&mut each)?;
        let n = current.read(&mut self.chunk, &mut each)?;
        Ok(if n > 0 { Progress::More } else { Progress::AtEnd })
    }

    /// Looks whether the name stands for another file now; whether it does.
    fn reopen(&mut self) -> io::Result<bool> {
        let identity = match std::fs::metadata(&self.path) {
            Ok(metadata) => identity(&metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if self.current.as_ref().is_some_and(|current| current.identity == identity) {
            return Ok(false);
        }
        match Reading::of(&self.path) {
            Ok(next) => {
                self.old.extend(self.current.replace(next));
                if self.old.len() > OLD_MAX {
                    self.old.remove(0);
                }
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn forget_events(&mut self) {
        let mut events = [0; 4096];
        while self.inotify.read_events(&mut events).is_ok_and(|mut events| events.next().is_some()) {}
    }
}

impl AsFd for Follower {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

impl AsRawFd for Follower {
    fn as_raw_fd(&self) -> RawFd {
        self.inotify.as_raw_fd()
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Reading {
    /// Never waits for the writer of a FIFO; only regular files are followed.
    fn of(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let (identity, lines) = (identity(&metadata), LineSplitter::default());
        Ok(Self { file, identity, offset: 0, mark: Vec::new(), lines, ended: None })
    }

    fn start(&mut self, start: Start, chunk: &mut [u8]) -> io::Result<()> {
        let offset = match start {
            Start::LinesBeforeEnd(lines) => self.before_end(lines, chunk)?,
            Start::Line(line) => self.line(line, chunk)?,
        };
        self.seek(offset)
    }

    fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.offset = self.file.seek(SeekFrom::Start(offset))?;
        self.lines = LineSplitter::at(offset);
        let length = MARK.min(usize::try_from(offset).unwrap_or(MARK));
        self.mark.resize(length, 0);
        self.file.read_exact_at(&mut self.mark, offset - length as u64)
    }

    /// Where the last `lines` whole lines begin, found backwards. What follows the last line end belongs to the next line.
    fn before_end(&self, lines: u64, chunk: &mut [u8]) -> io::Result<u64> {
        let mut end = self.file.metadata()?.len();
        let mut ends = 0;
        while end > 0 {
            let length = chunk.len().min(usize::try_from(end).unwrap_or(chunk.len()));
            let block = chunk.get_mut(..length).unwrap_or_default();
            let start = end - length as u64;
            self.file.read_exact_at(block, start)?;
            for at in memchr::memrchr_iter(b'\n', block) {
                if ends == lines {
                    return Ok(start + at as u64 + 1);
                }
                ends += 1;
            }
            end = start;
        }
        Ok(0)
    }

    /// Where line number `line` begins; the end, if there are fewer.
    fn line(&self, line: u64, chunk: &mut [u8]) -> io::Result<u64> {
        let (mut offset, mut left) = (0, line.saturating_sub(1));
        while left > 0 {
            let n = self.file.read_at(chunk, offset)?;
            if n == 0 {
                break;
            }
            let block = chunk.get(..n).unwrap_or_default();
            let mut ends = memchr::memchr_iter(b'\n', block);
            match ends.nth(usize::try_from(left - 1).unwrap_or(usize::MAX)) {
                Some(at) => return Ok(offset + at as u64 + 1),
                None => left -= memchr::memchr_iter(b'\n', block).count() as u64,
            }
            offset += n as u64;
        }
        Ok(offset)
    }

    /// The file was truncated, or written anew under the same number: it begins at 0 again.
    fn begin_again_if_replaced(&mut self, each: impl FnMut(Line<'_>)) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        if length == self.offset && self.offset > 0 {
            return Ok(()); // nothing new to read at the wrong place
        }
        let mut mark = [0; MARK];
        let mark = mark.get_mut(..self.mark.len()).unwrap_or_default();
        let kept = length >= self.offset
            && self.file.read_exact_at(mark, self.offset - mark.len() as u64).is_ok()
            && *mark == *self.mark;
        if !kept {
            self.lines.finish(each);
            self.seek(0)?;
        }
        Ok(())
    }

    /// One read; how many bytes.
    fn read(&mut self, chunk: &mut [u8], each: impl FnMut(Line<'_>)) -> io::Result<usize> {
        let n = self.file.read(chunk)?;
        let new = chunk.get(..n).unwrap_or_default();
        self.offset += n as u64;
        self.mark.extend_from_slice(new.get(n.saturating_sub(MARK)..).unwrap_or_default());
        self.mark.drain(..self.mark.len().saturating_sub(MARK));
        self.lines.push(new, each);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::{DRAIN, Follower, Progress, Start};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::fs::{self, File, OpenOptions};
    use std::io::Write;
    use std::path::PathBuf;
    use std::time::{Duration, Instant};
    use tempfile::TempDir;

    struct Case {
        _directory: TempDir,
        path: PathBuf,
        follower: Follower,
        now: Instant,
    }

    impl Case {
        fn new(before: Option<&str>, start: Start) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("access.log");
            if let Some(before) = before {
                fs::write(&path, before).unwrap();
            }
            let follower = Follower::new(&path, start).unwrap();
            Self { _directory: directory, path, follower, now: Instant::now() }
        }

        fn append(&self, text: &str) {
            OpenOptions::new()
                .append(true)
                .create(true)
                .open(&self.path)
                .unwrap()
                .write_all(text.as_bytes())
                .unwrap();
        }

        fn rotate(&self, to: &str) {
            fs::rename(&self.path, self.path.with_extension(to)).unwrap();
        }

        fn read(&mut self) -> Vec<String> {
            let mut lines = Vec::new();
            let mut keep = |line: super::Line<'_>| {
                lines.push(
                    String::from_utf8(line.bytes.to_vec()).unwrap() + if line.partial { "|" } else { "" },
                );
            };
            while self.follower.read(self.now, &mut keep).unwrap() == Progress::More {}
            lines
        }

        /// The same, after inotify has told that there is something.
        fn told(&mut self) -> Vec<String> {
            let mut fds = [PollFd::new(&self.follower, PollFlags::IN)];
            let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
            assert_eq!(poll(&mut fds, Some(&limit)).unwrap(), 1, "inotify tells");
            self.read()
        }
    }

    const END: Start = Start::LinesBeforeEnd(0);

    #[test]
    fn what_is_appended_is_told_and_read_whole_lines_only() {
        let mut case = Case::new(Some("old\n"), END);
        assert!(case.read().is_empty());
        case.append("one\ntwo\nthr");
        assert_eq!(case.told(), ["one", "two"]);
        case.append("ee\n");
        assert_eq!(case.told(), ["three"]);
    }

    #[test]
    fn it_begins_where_it_is_told_to() {
        let lines = "1\n2\n3\n4\n";
        for (start, expected) in [
            (Start::LinesBeforeEnd(0), &[][..]),
            (Start::LinesBeforeEnd(2), &["3", "4"]),
            (Start::LinesBeforeEnd(9), &["1", "2", "3", "4"]),
            (Start::Line(1), &["1", "2", "3", "4"]),
            (Start::Line(3), &["3", "4"]),
            (Start::Line(9), &[]),
        ] {
            assert_eq!(Case::new(Some(lines), start).read(), expected, "{start:?}");
        }
        let long: String = (0..200_000).map(|i| format!("{i}\n")).collect();
        assert_eq!(
            Case::new(Some(&long), Start::LinesBeforeEnd(100_000)).read().len(),
            100_000,
            "over several blocks"
        );
        assert_eq!(Case::new(Some(&long), Start::Line(150_001)).read().len(), 50_000);
    }

    #[test]
    fn a_writer_that_keeps_the_rotated_file_loses_nothing_and_old_lines_come_first() {
        let mut case = Case::new(Some(""), END);
        let mut writer = OpenOptions::new().append(true).open(&case.path).unwrap();
        writer.write_all(b"a\n").unwrap();
        case.rotate("1");
        case.append("new\n");
        writer.write_all(b"b\n").unwrap();
        assert_eq!(case.told(), ["a", "b", "new"]);
        writer.write_all(b"late\n").unwrap();
        assert_eq!(case.told(), ["late"]);
        writer.write_all(b"half").unwrap();
        assert!(case.told().is_empty());
        case.now += DRAIN;
        assert_eq!(case.read(), ["half|"], "the drain has ended");
        case.append("on\n");
        assert_eq!(case.told(), ["on"]);
    }

    #[test]
    fn two_rotations_at_once_lose_nothing_that_was_open() {
        let mut case = Case::new(Some(""), END);
        case.append("a\n");
        assert_eq!(case.told(), ["a"]);
        case.append("b\n");
        case.rotate("1");
        case.append("c\n");
        assert_eq!(case.told(), ["b", "c"]);
        case.append("d\n");
        case.rotate("2");
        case.append("e\n");
        assert_eq!(case.told(), ["d", "e"]);
    }

    #[test]
    fn a_truncated_file_begins_again() {
        let mut case = Case::new(Some("old\n"), END);
        case.append("a\nhalf");
        assert_eq!(case.told(), ["a"]);
        File::options().write(true).open(&case.path).unwrap().set_len(0).unwrap();
        assert_eq!(case.told(), ["half|"]);
        case.append("b\n");
        assert_eq!(case.told(), ["b"]);
    }

    #[test]
    fn a_file_truncated_and_grown_past_the_old_length_begins_again() {
        let mut case = Case::new(Some(""), END);
        case.append("one line\n");
        assert_eq!(case.told(), ["one line"]);
        fs::write(&case.path, "other text\nlonger than before\n").unwrap();
        assert_eq!(case.told(), ["other text", "longer than before"]);
    }

    #[test]
    fn a_file_that_is_deleted_and_made_again_or_appears_late_is_read_from_its_beginning() {
        let mut case = Case::new(None, END);
        assert!(case.read().is_empty());
        assert!(!case.follower.is_open());
        case.append("first\n");
        assert_eq!(case.told(), ["first"]);
        fs::remove_file(&case.path).unwrap();
        assert!(case.told().is_empty());
        case.append("second\n");
        assert_eq!(case.told(), ["second"]);
    }

    #[test]
    fn a_directory_that_appears_late_is_found_by_looking() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("logs/access.log");
        let mut follower = Follower::new(&path, END).unwrap();
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, "late\n").unwrap();
        let mut lines = 0;
        while follower.read(Instant::now(), |_| lines += 1).unwrap() == Progress::More {}
        assert_eq!(lines, 1);
    }

    #[test]
    fn t102_what_is_no_regular_file_is_not_served() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
        assert!(Follower::new(directory.path(), END).is_err());
        assert!(Follower::new(&fifo, END).is_err());
    }

    #[test]
    fn a_burst_is_read_in_bounded_pieces() {
        let mut case = Case::new(Some(""), END);
        let burst = "0123456789abcde\n".repeat(200_000);
        case.append(&burst);
        let (mut lines, mut calls) = (0, 0);
        while case.follower.read(case.now + Duration::ZERO, |_| lines += 1).unwrap() == Progress::More {
            calls += 1;
        }
        assert_eq!(lines, 200_000);
        assert!(calls > 10, "{calls}");
    }
}
