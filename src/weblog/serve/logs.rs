//! The logs that are served: each read once, each line parsed once, numbered, and kept for a while as it stands.
//!
//! It does not know who watches.

use super::audit;
use super::caps::Caps;
use super::ring::{Bounds, Ring};
use super::settings::LogFile;
use super::tree::LogFiles;
use crate::driver::text::escaped;
use crate::weblog::follow::ledger::{Ledger, sum};
use crate::weblog::follow::logs::{Found, LocalLogs, Told};
use crate::weblog::follow::{NOT_REGULAR, Options, Start, opening};
use crate::weblog::format::{News, RecordParser};
use crate::weblog::lines::Line;
use crate::weblog::record::{Malformed, Record};
use core::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Read};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Bytes of lines that are kept of a log, and twice as many are held at the most.
pub const LOG_BYTES_MAX: usize = 8 << 20;

/// Files of one log, where it is a pattern; of more, the first are followed.
pub const FILES_MAX: usize = 256;

/// A file of a pattern that was not found so often is gone: its place is for another. When a log is rotated, its name is away for
/// a moment only.
const LOOKS_IN_VAIN: u32 = 2;

/// What is read of the beginning of a file to learn its format (bytes).
const HEAD_MAX: u64 = 64 * 1024;

/// A line that is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    /// Of which file.
    pub(super) file: usize,
    generation: u64,
    offset: u64,
    cut: bool,
    partial: bool,
}

/// One file of a log.
struct File {
    /// The number of its log.
    log: usize,
    path: PathBuf,
    parser: RecordParser,
    /// Of the last line.
    generation: u64,
    /// What its follower says.
    ledger: Rc<Ledger>,
    /// How often its pattern was looked for without finding it.
    in_vain: u32,
    /// Another has its place.
    is_gone: bool,
}

/// A log.
pub(super) struct Log {
    pub(super) name: String,
    pub(super) path: PathBuf,
    log_format: Option<String>,
    /// What tells its files, if it is a pattern.
    look: usize,
    kept: Ring<Kept>,
    /// The number of the first line that was read.
    begin: u64,
    /// Where its files are, for those who copy them.
    pub(super) files: Arc<LogFiles>,
    pub(super) records: u64,
    pub(super) malformed: u64,
    /// Records that viewers have missed, added up over them.
    pub(super) skipped: Cell<u64>,
    /// Served no more.
    pub(super) is_gone: bool,
    /// It was said that not all of its files are read.
    is_full: bool,
}

/// Where reading of a file begins that was read before: what came later follows in the ring.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    pub(super) file: usize,
    pub(super) path: PathBuf,
    pub(super) generation: u64,
    /// Has read nothing.
    pub(super) parser: RecordParser,
}

/// All of them. A log keeps its number for as long as the server runs.
pub(super) struct Logs {
    files: LocalLogs,
    logs: Vec<Log>,
    /// By the numbers that `files` tells them by.
    read: Vec<File>,
    ring: usize,
    caps: Caps,
}

impl Logs {
    pub(super) fn new(now: Instant, caps: Caps) -> Self {
        Self { files: LocalLogs::new(now), logs: Vec::new(), read: Vec::new(), ring: 0, caps }
    }

    /// Serves these, and no others any more; a log that was served under the same name and path goes on. `ring` records are
    /// kept of each.
    pub(super) fn set(&mut self, files: &[LogFile], ring: usize) {
        self.ring = ring;
        let bounds = Bounds { records: ring, bytes: self.caps.log_bytes };
        let is = |log: &Log, file: &LogFile| {
            log.name == file.name && log.path == file.path && log.log_format == file.log_format
        };
        for log in self.logs.iter_mut().filter(|log| !log.is_gone) {
            log.kept.set_bounds(bounds);
            if !files.iter().any(|file| is(log, file)) {
                log.is_gone = true;
                // Nobody asks for its lines any more.
                log.kept = Ring::new(log.kept.next(), bounds);
                self.files.end_look(log.look);
            }
        }
        for (number, file) in self.read.iter().enumerate() {
            if self.logs.get(file.log).is_some_and(|log| log.is_gone) {
                self.files.end(number);
            }
        }
        for file in files {
            if self.logs.iter().any(|log| !log.is_gone && is(log, file)) {
                continue;
            }
            // Numbers grow over restarts, too, as long as a log has fewer than a million lines a second.
            let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
            let seq = u64::try_from(since).unwrap_or_default();
            self.logs.push(Log {
                name: file.name.clone(),
                path: file.path.clone(),
                log_format: file.log_format.clone(),
                look: self.files.look(&file.path),
                kept: Ring::new(seq, bounds),
                begin: seq,
                files: Arc::new(LogFiles::new(file.name.clone())),
                records: 0,
                malformed: 0,
                skipped: Cell::new(0),
                is_gone: false,
                is_full: false,
            });
        }
    }

    /// Records that are kept of each.
    pub(super) const fn ring(&self) -> usize {
        self.ring
    }

    pub(super) fn descriptor(&self) -> Option<RawFd> {
        self.files.descriptor()
    }

    pub(super) fn get(&self, log: usize) -> Option<&Log> {
        self.logs.get(log)
    }

    /// Viewers of a log have missed so many records, added up over them.
    pub(super) fn skip(&self, log: usize, count: u64) {
        if let Some(Log { skipped, .. }) = self.logs.get(log) {
            skipped.set(skipped.get().saturating_add(count));
        }
    }

    /// The logs that are served, with their numbers, by name.
    pub(super) fn served(&self) -> Vec<(usize, &Log)> {
        let mut served: Vec<_> = self.logs.iter().enumerate().filter(|(_, log)| !log.is_gone).collect();
        served.sort_by(|(_, log), (_, other)| log.name.cmp(&other.name));
        served
    }

    /// The files of a log that are followed.
    pub(super) fn paths(&self, log: usize) -> impl Iterator<Item = Begun> + '_ {
        let named = self.logs.get(log).and_then(|log| log.log_format.as_deref());
        let parser = named.and_then(|format| RecordParser::named(format).ok()).unwrap_or_default();
        self.of_log(log).map(move |(file, read)| Begun {
            file,
            path: read.path.clone(),
            generation: read.generation,
            parser: parser.clone(),
        })
    }

    /// What reads the files of a log, with what it knows of their format.
    pub(super) fn parsers(&self, log: usize) -> impl Iterator<Item = &RecordParser> {
        self.of_log(log).map(|(_, file)| &file.parser)
    }

    /// Bytes that were written to a log and not read yet.
    pub(super) fn lag(&self, log: usize) -> u64 {
        sum(self.paths(log).map(|begun| self.files.behind(begun.file)))
    }

    /// The files of a log that are followed, by their numbers, with what their followers say.
    pub(super) fn ledgers(&self, log: usize) -> impl Iterator<Item = (usize, &Ledger)> {
        self.of_log(log).map(|(file, read)| (file, &*read.ledger))
    }

    /// The files of a log that are followed, by their numbers.
    fn of_log(&self, log: usize) -> impl Iterator<Item = (usize, &File)> {
        self.read.iter().enumerate().filter(move |(_, file)| file.log == log && !file.is_gone)
    }

    /// Where the follower of a file is in it.
    pub(super) fn place(&self, file: usize) -> u64 {
        let checkpoint = self.read.get(file).map(|file| file.ledger.checkpoint());
        checkpoint.and_then(|checkpoint| checkpoint.files.last().map(|file| file.offset)).unwrap_or(0)
    }

    /// Reads what is new, a bounded part of it. `each` is told of a log, its name, the number of the line, the line and its
    /// record. When there is more to do at the latest.
    pub(super) fn read(
        &mut self,
        now: Instant,
        mut each: impl FnMut(usize, &str, u64, &Line<'_>, Result<Option<&Record<'_>>, Malformed>),
    ) -> Option<Instant> {
        let (logs, read) = (&mut self.logs, &mut self.read);
        let next = self.files.turn(now, |file, told| {
            let Some(file_read) = read.get_mut(file) else { return };
            let Some(log) = logs.get_mut(file_read.log).filter(|log| !log.is_gone) else { return };
            match told {
                Told::Line(generation, line) => {
                    file_read.generation = generation;
                    let seq = log.kept.next();
                    log.kept.tail().extend_from_slice(line.bytes);
                    let Line { offset, cut, partial, .. } = line;
                    log.kept.push(Kept { file, generation, offset, cut, partial }, |_, _| {});
                    let record = file_read.parser.parse(line.bytes);
                    if let Some(news) =
                        file_read.parser.take_news().filter(|news| !matches!(news, News::Found(_)))
                    {
                        audit::notice(&format!("{}: {news}", escaped(log.name.as_bytes())));
                    }
                    match &record {
                        Ok(Some(_)) => log.records += 1,
                        Ok(None) => {}
                        Err(_) => log.malformed += 1,
                    }
                    let record = record.as_ref().map(Option::as_ref).map_err(|error| *error);
                    each(file_read.log, &log.name, seq, &line, record);
                }
                Told::Directives(text) => file_read.parser.learn(text),
                Told::Note(note) => audit::notice(&format!("{}: {note}", escaped(log.name.as_bytes()))),
                Told::End(why) => {
                    let why = why.unwrap_or("the end");
                    audit::notice(&format!("{}: {why}", escaped(log.name.as_bytes())));
                }
            }
        });
        let found = self.files.found();
        let any = !found.is_empty();
        found.into_iter().for_each(|found| self.take_found(found));
        if any { Some(now) } else { next }
    }

    /// Follows what was found; what appears later is new from its beginning, unless it was rotated away from what is read.
    fn take_found(&mut self, found: Found) {
        let Found { look, paths, trouble, is_first } = found;
        let of_look = |log: &Log| !log.is_gone && log.look == look;
        let Some((number, log)) = self.logs.iter().enumerate().find(|(_, log)| of_look(log)) else { return };
        if is_first && paths.is_empty() {
            let why = trouble.as_deref().unwrap_or("no file fits; waiting for one");
            audit::notice(&format!("{}: {why}", escaped(log.name.as_bytes())));
        }
        if trouble.is_some() {
            return;
        }
        self.note_found(number, &paths);
        for path in paths {
            let is_new = !is_first && !self.logs.get(number).is_some_and(|log| log.files.has_rotated(&path));
            self.follow(number, path, if is_new { Start::Line(1) } else { Start::LinesBeforeEnd(0) });
        }
    }

    /// Counts how often files of a log were looked for in vain.
    fn note_found(&mut self, log: usize, found: &[PathBuf]) {
        let found: HashSet<_> = found.iter().collect();
        for file in self.read.iter_mut().filter(|file| file.log == log && !file.is_gone) {
            file.in_vain = if found.contains(&file.path) { 0 } else { file.in_vain + 1 };
        }
    }

    /// Makes room for another file of a log, if one is gone.
    fn forget_gone(&mut self, log: usize) -> bool {
        let is_gone = |file: &File| file.log == log && !file.is_gone && file.in_vain >= LOOKS_IN_VAIN;
        let Some(gone) = self.read.iter().position(is_gone) else { return false };
        self.files.end(gone);
        self.read.get_mut(gone).into_iter().for_each(|file| file.is_gone = true);
        true
    }

    /// Follows a file that is of a log, or fits its pattern.
    fn follow(&mut self, log: usize, path: PathBuf, start: Start) {
        let Some(Log { name, log_format, .. }) = self.logs.get(log) else { return };
        let (name, log_format) = (escaped(name.as_bytes()), log_format.clone());
        if self.of_log(log).any(|(_, file)| file.path == path) {
            return;
        }
        if self.of_log(log).count() >= self.caps.files && !self.forget_gone(log) {
            let max = self.caps.files;
            let text = format!("{name}: more than {max} files; the others are not read");
            if let Some(log) = self.logs.get_mut(log).filter(|log| !log.is_full) {
                log.is_full = true;
                audit::notice(&text);
            }
            return;
        }
        let parser = learned(log_format.as_deref(), &path);
        let ledger = Rc::default();
        self.files.add(&path, Options { start, ..Options::default() }, Rc::clone(&ledger));
        self.read.push(File { log, path, parser, generation: 0, ledger, in_vain: 0, is_gone: false });
        if let Some(of) = self.logs.get(log) {
            of.files.set(self.of_log(log).map(|(_, file)| &file.path));
        }
    }

    /// Hands out the lines that are kept of a log, from `seq` on, as [`read`](Self::read) did, until `each` says that it is
    /// enough. The number of the next line.
    pub(super) fn again(
        &self,
        log: usize,
        seq: u64,
        mut each: impl FnMut(&str, u64, &Line<'_>, Result<Option<&Record<'_>>, Malformed>, &Kept) -> bool,
    ) -> u64 {
        let Some(Log { name, kept, .. }) = self.logs.get(log) else { return seq };
        // What the formats are was found out by the live readers.
        let mut parsers = HashMap::new();
        let mut at = seq.max(kept.first());
        while let Some((bytes, tag)) = kept.record(at) {
            let line = Line { bytes, offset: tag.offset, cut: tag.cut, partial: tag.partial };
            let live = || self.read.get(tag.file).map(|file| file.parser.clone()).unwrap_or_default();
            let record = parsers.entry(tag.file).or_insert_with(live).parse(bytes);
            let record = record.as_ref().map(Option::as_ref).map_err(|error| *error);
            let goes_on = each(name, at, &line, record, &tag);
            at += 1;
            if !goes_on {
                break;
            }
        }
        at
    }

    /// The number of the first line that was read of a log.
    pub(super) fn begin(&self, log: usize) -> u64 {
        self.logs.get(log).map_or(0, |log| log.begin)
    }

    /// The numbers of the first line that is kept of a log, and of the next one.
    pub(super) fn range(&self, log: usize) -> (u64, u64) {
        self.logs.get(log).map_or((0, 0), |log| (log.kept.first(), log.kept.next()))
    }
}

impl Kept {
    /// Whether it was read at or behind a place of a file.
    pub(super) const fn is_behind(&self, file: usize, generation: u64, offset: u64) -> bool {
        self.file != file
            || self.generation > generation
            || (self.generation == generation && self.offset >= offset)
    }
}

/// The regular file that the follower of a log reads under this name, and how long it is.
///
/// # Errors
/// The system's; a link that is not to be trusted; it is no regular file.
pub(super) fn open(path: &Path) -> io::Result<(fs::File, u64)> {
    let file = fs::File::from(opening::open(path.as_os_str().as_bytes())?);
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata.len())) } else { Err(io::Error::other(NOT_REGULAR)) }
}

/// What reads a file whose format was named, or is found out by its beginning.
pub(super) fn learned(log_format: Option<&str>, path: &Path) -> RecordParser {
    let parser = log_format.and_then(|format| RecordParser::named(format).ok());
    let mut parser = parser.unwrap_or_default();
    if let Ok(head) = head(path) {
        parser.learn(&head);
    }
    parser
}

/// The beginning of a file, from which its format is known before a new line comes.
fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    open(path)?.0.take(HEAD_MAX).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use core::time::Duration;
    use std::fs::OpenOptions;
    use std::io::Write;

    fn file(path: PathBuf) -> LogFile {
        LogFile { name: "shop".to_owned(), path, log_format: Some("combined".to_owned()) }
    }

    /// A file of a log that has not begun.
    pub(in super::super) fn begun(path: &Path) -> Begun {
        Begun {
            file: 0,
            path: path.to_owned(),
            generation: 0,
            parser: RecordParser::named("combined").unwrap(),
        }
    }

    /// Reads once.
    fn turn(logs: &mut Logs, now: &mut Instant) -> Vec<u64> {
        *now += Duration::from_millis(50);
        let mut numbers = Vec::new();
        logs.read(*now, |_, _, seq, _, _| numbers.push(seq));
        numbers
    }

    #[test]
    fn t101_no_more_of_a_file_is_read_to_learn_its_format_than_the_bound() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shop.log");
        for (size, read) in [(0, 0), (HEAD_MAX, HEAD_MAX), (HEAD_MAX + 1, HEAD_MAX), (1 << 22, 64 << 10)] {
            fs::File::create(&path).unwrap().set_len(size).unwrap();
            assert_eq!(head(&path).unwrap().len() as u64, read, "of {size} bytes");
        }
    }

    #[test]
    fn no_more_bytes_of_a_log_are_kept_than_the_bound() {
        assert_eq!(Caps::default().log_bytes, LOG_BYTES_MAX);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shop.log");
        fs::write(&path, "").unwrap();
        let mut now = Instant::now();
        let mut logs = Logs::new(now, Caps { log_bytes: 1000, ..Caps::default() });
        logs.set(&[file(path.clone())], 10_000);
        while logs.paths(0).next().is_none() {
            turn(&mut logs, &mut now);
        }
        turn(&mut logs, &mut now);
        let mut log = OpenOptions::new().append(true).open(&path).unwrap();
        log.write_all(format!("{:099}\n", 0).repeat(50).as_bytes()).unwrap();
        let mut numbers = Vec::new();
        while numbers.len() < 50 {
            numbers.extend(turn(&mut logs, &mut now));
        }
        let (first, next) = logs.range(0);
        assert_eq!((next - first, next), (10, numbers[49] + 1), "1000 bytes are ten lines of 99");
        // A reload leaves it so.
        logs.set(&[file(path)], 5);
        log.write_all(b"x\n").unwrap();
        while turn(&mut logs, &mut now).is_empty() {}
        assert_eq!(logs.range(0).1 - logs.range(0).0, 5, "and no more records");
    }

    #[test]
    fn of_a_pattern_no_more_files_are_followed_than_the_bound() {
        assert_eq!(Caps::default().files, FILES_MAX);
        let directory = tempfile::tempdir().unwrap();
        (0..5).for_each(|number| fs::write(directory.path().join(format!("{number}.log")), "").unwrap());
        let mut now = Instant::now();
        let mut logs = Logs::new(now, Caps { files: 3, ..Caps::default() });
        let pattern = file(directory.path().join("*.log"));
        logs.set(&[pattern], 10);
        let said = super::audit::tests::lines(super::super::settings::AuditForm::Text, || {
            while logs.paths(0).count() < 3 {
                turn(&mut logs, &mut now);
            }
            // It is looked for again, every ten seconds.
            fs::write(directory.path().join("5.log"), "").unwrap();
            for _ in 0..3 {
                now += Duration::from_secs(10);
                (0..3).for_each(|_| drop(turn(&mut logs, &mut now)));
            }
        });
        assert_eq!(logs.paths(0).count(), 3);
        assert_eq!(said, ["shop: more than 3 files; the others are not read"], "it is said once");
        (0..6).for_each(|number| fs::write(directory.path().join(format!("{number}.log")), "x\n").unwrap());
        let mut count = 0;
        while count < 3 {
            count += turn(&mut logs, &mut now).len();
        }
        (0..20).for_each(|_| count += turn(&mut logs, &mut now).len());
        assert_eq!(count, 3, "a line of each that is followed");
    }

    #[test]
    fn what_appears_for_a_pattern_is_read_from_its_beginning_and_what_was_there_or_is_rotated_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mut now = Instant::now();
        let mut logs = Logs::new(now, Caps::default());
        let lines = |name: &str| fs::write(path(name), "a\nb\nc\n").unwrap();
        let look = |logs: &mut Logs, now: &mut Instant| {
            *now += Duration::from_secs(10);
            (0..4).map(|_| turn(logs, now).len()).sum::<usize>()
        };
        lines("q0.log");
        logs.set(&[file(path("q*.log*"))], 10);
        assert_eq!(look(&mut logs, &mut now), 0, "it was there");
        lines("q1.log");
        assert_eq!(look(&mut logs, &mut now), 3);
        lines("q0.log.1");
        assert_eq!((look(&mut logs, &mut now), logs.paths(0).count()), (0, 3), "they were in q0.log");
        // Another that a reload adds.
        let other = LogFile { name: "other".to_owned(), ..file(path("q1.*")) };
        logs.set(&[file(path("q*.log*")), other], 10);
        assert_eq!((look(&mut logs, &mut now), logs.paths(1).count()), (0, 1));
        lines("q1.new");
        assert_eq!((look(&mut logs, &mut now), logs.paths(1).count()), (3, 2));
    }

    #[test]
    fn t102_a_link_where_a_file_would_be_rotated_to_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("secret"), "secret\n").unwrap();
        fs::write(path("shop.log"), "old\n").unwrap();
        let mut now = Instant::now();
        let mut logs = Logs::new(now, Caps::default());
        logs.set(&[file(path("shop.log"))], 10);
        (0..3).for_each(|_| drop(turn(&mut logs, &mut now)));
        fs::rename(path("shop.log"), path("shop.log.2")).unwrap();
        std::os::unix::fs::symlink("secret", path("shop.log.1")).unwrap();
        fs::write(path("shop.log"), "new\n").unwrap();
        let mut seen = Vec::new();
        for _ in 0..100 {
            now += Duration::from_secs(1);
            logs.read(now, |_, _, _, line, _| seen.push(line.bytes.to_vec()));
        }
        assert_eq!(seen, [b"new"]);
    }

    #[test]
    fn a_pattern_that_nothing_fits_is_told_once() {
        let directory = tempfile::tempdir().unwrap();
        let mut now = Instant::now();
        let mut logs = Logs::new(now, Caps::default());
        let said = super::audit::tests::lines(super::super::settings::AuditForm::Text, || {
            logs.set(&[file(directory.path().join("q*.log"))], 10);
            for _ in 0..3 {
                now += Duration::from_secs(10);
                (0..3).for_each(|_| drop(turn(&mut logs, &mut now)));
            }
        });
        assert_eq!(said, ["shop: no file fits; waiting for one"]);
    }

    #[test]
    fn t107_the_place_of_a_file_that_is_gone_is_for_another_and_a_log_that_is_gone_keeps_no_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mut now = Instant::now();
        let mut logs = Logs::new(now, Caps { files: 2, ..Caps::default() });
        logs.set(&[file(path("*.log"))], 10);
        ["1.log", "2.log"].iter().for_each(|name| fs::write(path(name), "").unwrap());
        let look = |logs: &mut Logs, now: &mut Instant| {
            *now += Duration::from_secs(10);
            (0..3).map(|_| turn(logs, now).len()).sum::<usize>()
        };
        let paths = |logs: &Logs| logs.paths(0).map(|begun| begun.path).collect::<Vec<_>>();
        look(&mut logs, &mut now);
        assert_eq!(paths(&logs), [path("1.log"), path("2.log")]);
        // Away for a moment, as when a log is rotated.
        fs::rename(path("1.log"), path("old")).unwrap();
        fs::write(path("3.log"), "").unwrap();
        look(&mut logs, &mut now);
        assert_eq!(paths(&logs), [path("1.log"), path("2.log")]);
        fs::write(path("1.log"), "").unwrap();
        look(&mut logs, &mut now);
        fs::remove_file(path("1.log")).unwrap();
        look(&mut logs, &mut now);
        assert_eq!(paths(&logs), [path("1.log"), path("2.log")], "it was there between");
        look(&mut logs, &mut now);
        assert_eq!(paths(&logs), [path("2.log"), path("3.log")]);
        assert_eq!(logs.ledgers(0).count(), 2);
        fs::write(path("3.log"), "x\n").unwrap();
        while turn(&mut logs, &mut now).is_empty() {}
        let kept = |logs: &Logs| logs.range(0).1 - logs.range(0).0;
        assert_eq!(kept(&logs), 1);
        let next = logs.range(0).1;
        logs.set(&[], 10);
        assert_eq!((kept(&logs), logs.range(0).1, logs.get(0).unwrap().kept.held()), (0, next, 0));
    }
}
