//! Copies by `cat`, for a host without SFTP: `cat < NAME` or `cat > NAME`, one file after the other, as in the article.
//!
//! No mode and no time is known so, and what is there is overwritten as it comes. It does not know how the host was reached.

use super::local::{Finish, Part};
use super::operand::{base_name, joined};
use super::progress::{Bar, Progress};
use super::remote::Failure;
use super::run::Target;
use crate::connection::{Channel, ChannelId};
use crate::driver::stdio::Output;
use crate::driver::text::{escaped, quoted};
use crate::sftp::is_component;
use crate::transport::{Client, Error};
use rustix::fs::{Mode, OFlags};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::rc::Rc;

/// One copy.
pub(super) enum Job {
    Down { path: Vec<u8>, target: Target },
    Up { source: PathBuf, path: Vec<u8> },
}

impl Job {
    /// What the user is told it is.
    fn name(&self) -> Vec<u8> {
        match self {
            Self::Down { path, .. } => path.clone(),
            Self::Up { source, .. } => source.as_os_str().as_bytes().to_vec(),
        }
    }
}

enum Stream {
    File(Part),
    Out(Rc<Output>),
    From(File),
}

struct Running {
    name: Vec<u8>,
    command: Vec<u8>,
    stream: Stream,
    bar: Bar,
    /// All of it, and our EOF.
    is_sent: bool,
    status: Option<u32>,
    failed: Option<Failure>,
}

/// All of them.
pub(super) struct Cat {
    jobs: VecDeque<Job>,
    running: Option<Running>,
    pub(super) id: Option<ChannelId>,
    umask: u32,
    progress: Rc<Progress>,
    pub(super) failed: bool,
    out: Option<Rc<Output>>,
}

impl Cat {
    pub(super) fn new(
        jobs: VecDeque<Job>,
        out: Option<Rc<Output>>,
        umask: u32,
        progress: Rc<Progress>,
    ) -> Self {
        Self { jobs, running: None, id: None, umask, progress, failed: false, out }
    }

    fn tell(&mut self, name: &[u8], failure: &Failure) {
        self.failed = true;
        self.progress.tell(&format!("ssh-weblog-cp: {}: {}", escaped(name), failure.text));
    }

    /// Begins the next; false if there is none. A session is to be opened for it then.
    pub(super) fn next(&mut self) -> bool {
        while let Some(job) = self.jobs.pop_front() {
            let name = job.name();
            match self.begin(job) {
                Ok(running) => {
                    self.running = Some(running);
                    return true;
                }
                Err(failure) => self.tell(&name, &failure),
            }
        }
        false
    }

    fn begin(&self, job: Job) -> Result<Running, Failure> {
        let name = job.name();
        let (command, stream, size) = match job {
            Job::Down { path, target } => {
                let stream = match target {
                    Target::Standard => match &self.out {
                        Some(out) => Stream::Out(Rc::clone(out)),
                        None => return Err(Failure::new("there is no standard output")),
                    },
                    Target::Named(folder, name) => {
                        Part::check(&folder.folder, &name)?;
                        Stream::File(Part::create(&folder, &name)?)
                    }
                    Target::Into(folder) => {
                        let name = base_name(&path).filter(|name| is_component(name));
                        let name = name.ok_or_else(|| Failure::new("has no name to be copied to"))?;
                        Part::check(&folder.folder, name)?;
                        Stream::File(Part::create(&folder, name)?)
                    }
                };
                ([b"cat < ", quoted(&path).as_slice()].concat(), stream, 0)
            }
            Job::Up { source, path } => {
                // Never waits for the other end of a FIFO.
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = File::from(rustix::fs::open(&source, flags, Mode::empty())?);
                let attrs = file.metadata()?;
                if !attrs.is_file() {
                    return Err(Failure::new("is no file"));
                }
                let path = match base_name(source.as_os_str().as_bytes()) {
                    Some(name) if path.is_empty() || path.ends_with(b"/") => joined(&path, name),
                    _ => path,
                };
                ([b"cat > ", quoted(&path).as_slice()].concat(), Stream::From(file), attrs.len())
            }
        };
        let bar = self.progress.file(&escaped(&name), size);
        Ok(Running { name, command, stream, bar, is_sent: false, status: None, failed: None })
    }

    /// Its channel is open.
    pub(super) fn start(&self, channel: &mut Channel<'_, Client>) -> Result<(), Error> {
        self.running.as_ref().map_or(Ok(()), |running| channel.request_exec(&running.command))
    }

    /// Data came; returns how many bytes are dealt with.
    pub(super) fn data(&mut self, data: &[u8]) -> usize {
        let Some(running) = &mut self.running else { return data.len() };
        running.bar.advance(data.len() as u64);
        match &running.stream {
            Stream::Out(out) => {
                out.push(data);
                return 0;
            }
            Stream::File(part) if running.failed.is_none() => {
                if let Err(error) = (&*part.file).write_all(data) {
                    running.failed = Some(error.into());
                }
            }
            Stream::File(_) | Stream::From(_) => {}
        }
        data.len()
    }

    /// What comes can't be written.
    pub(super) fn has_failed(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.failed.is_some())
    }

    /// Sends what the channel takes.
    pub(super) fn pump(&mut self, channel: &mut Channel<'_, Client>) -> Result<(), Error> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let Stream::From(file) = &mut running.stream else { return channel.send_eof() };
        loop {
            match channel.fill(|buffer| file.read(buffer)) {
                Ok(None) => return Ok(()),
                Ok(Some(0)) => {
                    running.is_sent = true;
                    return channel.send_eof();
                }
                Ok(Some(n)) => running.bar.advance(n as u64),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    running.failed = Some(error.into());
                    return channel.close();
                }
            }
        }
    }

    /// The command ended so.
    pub(super) fn exit_status(&mut self, status: u32) {
        if let Some(running) = &mut self.running {
            running.status = Some(status);
        }
    }

    /// It could not be started.
    pub(super) fn refused(&mut self) {
        if let Some(running) = &mut self.running {
            running.failed = Some(Failure::new("the host runs no commands for this user"));
        }
    }

    /// Its channel is gone.
    pub(super) fn closed(&mut self) {
        self.id = None;
        let Some(running) = self.running.take() else { return };
        let ended = match (running.failed, running.status) {
            (Some(failure), _) => Err(failure),
            (None, Some(0)) if matches!(running.stream, Stream::From(_)) && !running.is_sent => {
                Err(Failure::new("cat ended before it had all of it there"))
            }
            (None, Some(0)) => Ok(()),
            (None, Some(status)) => Err(Failure::new(format!("cat ended with status {status} there"))),
            (None, None) => Err(Failure::new("cat did not end by itself there")),
        };
        let finished = match (running.stream, ended) {
            (Stream::File(part), Ok(())) => {
                let finish = Finish { mode: Some(0o666 & !self.umask), times: None };
                part.finish(&finish).map_err(Failure::from)
            }
            (Stream::File(part), Err(failure)) => {
                part.discard();
                Err(failure)
            }
            (_, ended) => ended,
        };
        if let Err(failure) = finished {
            self.tell(&running.name, &failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cat, Job};
    use crate::copy::progress::Progress;
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::path::PathBuf;
    use std::rc::Rc;

    fn up(source: PathBuf) -> Cat {
        let job = Job::Up { source, path: b"there".to_vec() };
        Cat::new([job].into(), None, 0, Rc::new(Progress::new(true)))
    }

    #[test]
    fn a_command_that_ends_well_before_all_was_sent_has_not_copied_it() {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("f");
        std::fs::write(&source, "all of it").unwrap();
        let mut cat = up(source);
        assert!(cat.next());
        cat.exit_status(0);
        cat.closed();
        assert!(cat.failed);
    }

    #[test]
    fn nobody_is_waited_for_at_a_fifo() {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("fifo");
        mknodat(CWD, &source, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let mut cat = up(source);
        assert!(!cat.next() && cat.failed);
    }
}
