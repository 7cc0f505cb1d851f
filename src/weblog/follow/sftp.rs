//! A host's files by SFTP, over one channel that all logs of the host share.
//!
//! A handle stays the same file when its name goes to another, so that what a log's writer still has to say to a rotated one
//! is read. Version 3 tells no inode: [`Stat::identity`] is never known. What is read at a time is what the server takes, and
//! several READs are under way once one was not enough. It does not know what is followed, nor how the host was reached:
//! whoever owns the channel brings its data, and says when it is gone.

use super::NOT_REGULAR;
use super::files::{Files, Kind, Stat, Trouble};
use crate::connection::Connection;
use crate::driver::glob::{FITTING_MAX, TooMany};
use crate::driver::sftp::client::{Asked, Client, Entry, Failure, Handle, Token};
use crate::driver::task::Timers;
use crate::sftp::{Attributes, ClientChannel, Pflags, Request, StatusCode, is_component};
use crate::transport::Error;
use crate::userauth::UserauthSide;
use crate::wire::Fault;
use core::cell::Cell;
use core::convert::Infallible;
use core::time::Duration;
use rustix::fs::FileType;
use std::collections::VecDeque;
use std::rc::Rc;

/// READs of one file under way.
const READS_MAX: usize = 16;
/// STATs under way of those that are asked for together.
const STATS_MAX: usize = 32;
/// Of a path that is asked for (bytes).
const PATH_LEN_MAX: usize = crate::sftp::PATH_LEN_MAX;
/// How long a log that has nothing new is left alone at first.
const IDLE_MIN: Duration = Duration::from_millis(100);
/// And at most, so that a line is here within half a second.
const IDLE_MAX: Duration = Duration::from_millis(400);

/// The channel, as it is before it is ready and given to [`Host::new`].
pub(crate) type Channel = ClientChannel<Token<Infallible>>;

/// The SFTP server of one host.
pub(crate) struct Host {
    client: Client<Infallible>,
    timers: Rc<Timers>,
}

impl Host {
    /// On a channel that is ready; `timers` are those of the loop whose tasks ask.
    pub(crate) fn new(channel: Channel, timers: Rc<Timers>) -> Rc<Self> {
        Rc::new(Self { client: Client::new(channel), timers })
    }

    /// The files, for one log: each log has its own patience.
    pub(crate) fn files(self: &Rc<Self>) -> SftpFiles {
        SftpFiles { host: Rc::clone(self), idle: Cell::new(IDLE_MIN) }
    }

    /// Takes data of the channel; tasks that waited for it are woken.
    ///
    /// # Errors
    /// The server broke the protocol: the channel should be closed, and [`lose`](Self::lose) called.
    pub(crate) fn handle_data(&self, data: &[u8]) -> Result<(), Fault> {
        self.client.handle_data(data, |token, _| match token {})
    }

    /// Writes what the tasks asked, as far as the channel takes it. To be called after they ran, and when the channel is
    /// named as writable; then they should run again, until [`asked`](Self::asked) stays the same.
    ///
    /// # Errors
    /// The channel is gone.
    pub(crate) fn flush<S: UserauthSide>(&self, conn: &mut Connection<S>) -> Result<(), Error> {
        self.client.flush(conn)
    }

    /// Requests that were made so far.
    pub(crate) fn asked(&self) -> u64 {
        self.client.asked()
    }

    /// The channel is gone: whoever waits, and whoever asks from now on, gets [`Trouble::Lost`].
    pub(crate) fn lose(&self) {
        self.client.lose();
    }

    fn trouble(&self, failure: Failure) -> Trouble {
        match failure.code {
            _ if self.client.is_lost() => Trouble::Lost,
            Some(StatusCode::NO_SUCH_FILE) => Trouble::Missing,
            Some(StatusCode::PERMISSION_DENIED) => Trouble::Denied,
            _ => Trouble::Other(failure.text),
        }
    }

    async fn ask(&self, request: &Request<'_>) -> Result<Rc<Asked>, Trouble> {
        self.client.ask(request).await.map_err(|failure| self.trouble(failure))
    }

    async fn stat(&self, request: &Request<'_>) -> Result<Stat, Trouble> {
        let attrs = self.client.attrs(request).await.map_err(|failure| self.trouble(failure))?;
        Ok(stat(&attrs))
    }
}

/// No file is larger, whatever a server says of it (bytes).
const SIZE_MAX: u64 = i64::MAX as u64;

/// What is told of a file. One without a size is taken for empty, and read to its end all the same.
fn stat(attrs: &Attributes<'_>) -> Stat {
    let kind = attrs.permissions.map(FileType::from_raw_mode);
    Stat {
        size: attrs.size.unwrap_or(0).min(SIZE_MAX),
        mtime: attrs.ac_mod_time.map(|(_, mtime)| mtime.into()),
        identity: None,
        kind: kind.filter(|kind| *kind != FileType::Unknown).map(|kind| match kind {
            FileType::RegularFile => Kind::Regular,
            FileType::Directory => Kind::Directory,
            _ => Kind::Other,
        }),
    }
}

impl From<TooMany> for Trouble {
    fn from(too_many: TooMany) -> Self {
        Self::Other(too_many.to_string())
    }
}

/// The files of a host, as one log's follower sees them.
pub(crate) struct SftpFiles {
    host: Rc<Host>,
    /// How long it waits next.
    idle: Cell<Duration>,
}

/// An open file.
pub(crate) struct RemoteFile {
    handle: Handle,
    /// READs that are made at once: one while it is read as it grows, more and more as long as one was not enough.
    reads: Cell<usize>,
}

impl Files for SftpFiles {
    type File = RemoteFile;

    async fn open(&self, path: &[u8]) -> Result<RemoteFile, Trouble> {
        within(path)?;
        // An open that waits for the writer of a FIFO would hold up the whole server.
        if self.stat(path).await?.kind == Some(Kind::Other) {
            return Err(Trouble::Other(NOT_REGULAR.to_owned()));
        }
        let opened = self.host.client.open(path, Pflags::READ, None, None).await;
        let handle = opened.map_err(|failure| self.host.trouble(failure))?;
        Ok(RemoteFile { handle, reads: Cell::new(1) })
    }

    async fn stat(&self, path: &[u8]) -> Result<Stat, Trouble> {
        within(path)?;
        self.host.stat(&Request::Stat { path }).await
    }

    async fn stat_all(&self, paths: &[Vec<u8>]) -> Result<Vec<Result<Stat, Trouble>>, Trouble> {
        let (mut left, mut asked, mut stats) = (paths.iter(), VecDeque::new(), Vec::new());
        loop {
            while asked.len() < STATS_MAX
                && let Some(path) = left.next()
            {
                asked.push_back(match within(path) {
                    Ok(()) => Ok(self.host.ask(&Request::Stat { path }).await?),
                    Err(trouble) => Err(trouble),
                });
            }
            let stat = match asked.pop_front() {
                None => return Ok(stats),
                Some(Err(trouble)) => Err(trouble),
                Some(Ok(answer)) => {
                    let attrs = answer.attrs().await;
                    attrs.map(|attrs| stat(&attrs)).map_err(|failure| self.host.trouble(failure))
                }
            };
            match stat {
                Err(Trouble::Lost) => return Err(Trouble::Lost),
                stat => stats.push(stat),
            }
        }
    }

    async fn fstat(&self, file: &RemoteFile) -> Result<Stat, Trouble> {
        self.host.stat(&Request::Fstat { handle: file.handle.bytes() }).await
    }

    async fn read(
        &self,
        file: &RemoteFile,
        offset: u64,
        at_most: usize,
        into: &mut Vec<u8>,
    ) -> Result<usize, Trouble> {
        let block = self.host.client.channel.borrow().client.limits().read_len as usize;
        let mut asked = VecDeque::new();
        let (mut at, mut left) = (offset, at_most);
        while left > 0 && asked.len() < file.reads.get() {
            let len = left.min(block);
            let Ok(bytes) = u32::try_from(len) else { break };
            let request = Request::Read { handle: file.handle.bytes(), offset: at, len: bytes };
            asked.push_back((len, self.host.ask(&request).await?));
            let Some(next) = at.checked_add(bytes.into()) else { break };
            (at, left) = (next, left - len);
        }
        let mut n = 0;
        // Behind a short answer nothing is of use, and it is not waited for.
        let is_full = loop {
            let Some((len, answer)) = asked.pop_front() else { break true };
            let data = match answer.data().await {
                Ok(data) => data,
                Err(_) if n > 0 => break false, // what came is good; the next call will hear of it
                Err(failure) => return Err(self.host.trouble(failure)),
            };
            into.extend_from_slice(&data);
            n += data.len();
            if data.len() < len {
                break false;
            }
        };
        file.reads.set(if is_full { (file.reads.get() * 2).min(READS_MAX) } else { 1 });
        if n > 0 {
            self.idle.set(IDLE_MIN);
        }
        Ok(n)
    }

    async fn list(
        &self,
        directory: &[u8],
        fits: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<(Vec<u8>, Stat)>, Trouble> {
        within(directory)?;
        let trouble = |failure| self.host.trouble(failure);
        let handle = self.host.client.open_directory(directory).await.map_err(trouble)?;
        let (mut listed, mut links, mut told) = (Vec::new(), Vec::new(), 0);
        loop {
            let asked = self.host.ask(&Request::Readdir { handle: handle.bytes() }).await?;
            let Some(entries) = asked.names().await.map_err(trouble)? else { break };
            told += entries.len();
            // What is no name of a file there is not shown to anybody.
            let is_name =
                |Entry { name, .. }: &Entry| is_component(name) && name.len() <= NAME_LEN_MAX && fits(name);
            for Entry { name, attrs } in entries.into_iter().filter(is_name) {
                match attrs.permissions.map(FileType::from_raw_mode) {
                    None | Some(FileType::Symlink | FileType::Unknown) => links.push(name),
                    Some(_) => listed.push((name, stat(&attrs))),
                }
            }
            if told > FITTING_MAX {
                return Err(TooMany.into());
            }
        }
        drop(handle);
        self.look_through(directory, links, &mut listed).await?;
        Ok(listed)
    }

    /// A server cannot tell that something is new: it is asked again ever more seldom, until there was.
    async fn wait(&self, at_most: Duration) {
        let timers = &self.host.timers;
        let idle = self.idle.replace((self.idle.get() * 2).min(IDLE_MAX));
        timers.sleep_until(timers.now() + idle.min(at_most)).await;
    }
}

impl SftpFiles {
    /// What links in a directory stand for; those to nothing are left out.
    async fn look_through(
        &self,
        directory: &[u8],
        names: Vec<Vec<u8>>,
        listed: &mut Vec<(Vec<u8>, Stat)>,
    ) -> Result<(), Trouble> {
        let paths: Vec<_> = names.iter().map(|name| [directory, b"/", name.as_slice()].concat()).collect();
        let stats = self.stat_all(&paths).await?;
        listed.extend(names.into_iter().zip(stats).filter_map(|(name, stat)| Some((name, stat.ok()?))));
        Ok(())
    }
}

/// The longest name of a file (bytes), as file systems have it.
const NAME_LEN_MAX: usize = 255;

/// What no server takes is not there.
fn within(path: &[u8]) -> Result<(), Trouble> {
    if path.len() > PATH_LEN_MAX || path.contains(&0) { Err(Trouble::Missing) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
