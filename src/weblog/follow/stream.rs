//! A FIFO as a log: its lines as they come, without a position; what was read is gone.

use crate::weblog::lines::{Line, LineSplitter};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Bytes read in one call.
const CHUNK: usize = 64 * 1024;

/// What a read says of the future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// There may be more at once.
    More,
    /// Nothing now: the descriptor tells.
    Later,
}

/// An open FIFO. Its writers may come and go: it has no end.
#[derive(Debug)]
pub struct Fifo {
    file: File,
    lines: LineSplitter,
    chunk: Vec<u8>,
}

impl Fifo {
    /// Opens it, without waiting for a writer.
    ///
    /// # Errors
    /// The system's; it is no FIFO.
    pub fn open(path: &Path) -> io::Result<Self> {
        // Writing, too, so that the last writer's end is none.
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        if !path.metadata()?.file_type().is_fifo() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a FIFO"));
        }
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        if !file.metadata()?.file_type().is_fifo() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a FIFO"));
        }
        Ok(Self { file, lines: LineSplitter::default(), chunk: vec![0; CHUNK] })
    }

    /// Reads some; `each` gets the whole lines.
    ///
    /// # Errors
    /// The system's.
    pub fn read(&mut self, each: impl FnMut(Line<'_>)) -> io::Result<Flow> {
        match self.file.read(&mut self.chunk) {
            Ok(0) => Ok(Flow::Later),
            Ok(n) => {
                self.lines.push(self.chunk.get(..n).unwrap_or_default(), each);
                Ok(Flow::More)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Flow::Later),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Flow::More),
            Err(error) => Err(error),
        }
    }

    /// The last line, if its end is missing; nothing more will be read.
    pub fn finish(mut self, each: impl FnOnce(Line<'_>)) {
        self.lines.finish(each);
    }
}

impl AsFd for Fifo {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for Fifo {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_fifo_gives_its_lines_through_the_ends_of_its_writers() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        let mut fifo = Fifo::open(&path).unwrap();
        let mut lines = Vec::new();
        let mut keep = |line: Line<'_>| lines.push((line.bytes.to_vec(), line.partial));
        assert_eq!(fifo.read(&mut keep).unwrap(), Flow::Later);
        for text in ["a\nb", "c\nd"] {
            File::options().write(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
            assert_eq!(fifo.read(&mut keep).unwrap(), Flow::More);
            assert_eq!(fifo.read(&mut keep).unwrap(), Flow::Later);
        }
        fifo.finish(keep);
        assert_eq!(lines, [(b"a".to_vec(), false), (b"bc".to_vec(), false), (b"d".to_vec(), true)]);
        assert!(Fifo::open(directory.path()).is_err());
    }
}
