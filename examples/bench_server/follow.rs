//! `tail -n0 -f`: what is added to a file, for any number of channels that follow it.
//!
//! A file is read once for all who are up to date; they get the block that was read: what is added within [`TOGETHER`] shares a
//! packet and a write. Whoever does not take all of it reads the rest by himself, to where it is sealed, once his channel has
//! room: nothing is kept for him. Files only grow.

use core::time::Duration;
use inotify::{Inotify, WatchDescriptor, WatchMask};
use mio::Interest;
use mio::unix::SourceFd;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;
use strombus::connection::{ChannelId, Connection};
use strombus::driver::{Context, Error, PeerId, Peers};
use strombus::transport::Server;

/// Read at a time (bytes).
const BLOCK: usize = 64 * 1024;

/// What is added within this time of what was handed on is handed on together. The loop's times are up to two milliseconds late.
const TOGETHER: Duration = Duration::from_millis(4);

/// A channel of a peer's.
pub type Place = (PeerId, ChannelId);

/// A file that is followed.
pub type FileId = WatchDescriptor;

/// A file, how far it was read, and how far each of its followers is.
struct Followed {
    file: File,
    end: u64,
    followers: BTreeMap<Place, u64>,
}

/// The files that are followed.
#[derive(Default)]
pub struct Follower {
    inotify: Option<Inotify>,
    files: HashMap<FileId, Followed>,
    /// Nothing is handed on before.
    due: Option<Instant>,
    block: Vec<u8>,
}

impl Follower {
    /// Follows a file from its present end.
    pub fn follow(&mut self, cx: &mut Context<'_>, place: Place, path: &Path) -> io::Result<FileId> {
        let file = File::open(path)?;
        let inotify = match &mut self.inotify {
            Some(inotify) => inotify,
            none => {
                let inotify = Inotify::init()?;
                cx.register(&mut SourceFd(&inotify.as_raw_fd()), Interest::READABLE)?;
                none.insert(inotify)
            }
        };
        let id = inotify.watches().add(path, WatchMask::MODIFY)?;
        let followed = self.files.entry(id.clone());
        let end = file.metadata()?.len();
        let followed = followed.or_insert_with(|| Followed { file, end, followers: BTreeMap::new() });
        followed.followers.insert(place, followed.end);
        Ok(id)
    }

    /// A channel follows it no more.
    pub fn forget(&mut self, place: Place, id: FileId) {
        let Some(followed) = self.files.get_mut(&id) else { return };
        followed.followers.remove(&place);
        if followed.followers.is_empty() {
            self.files.remove(&id);
            let _it_is_gone = self.inotify.as_ref().map(|inotify| inotify.watches().remove(id));
        }
    }

    /// Something was written to some of them; or it is time to look.
    pub fn changed(&mut self, cx: &mut Context<'_>, peers: &mut Peers<'_, Server>) -> Result<(), Error> {
        let Some(inotify) = &mut self.inotify else { return Ok(()) };
        if let Some(due) = self.due.filter(|due| cx.now < *due) {
            // What is not fetched yet wakes nobody again.
            cx.set_timer(Some(due));
            return Ok(());
        }
        self.due = Some(cx.now + TOGETHER);
        let mut names = [0; 4096];
        let mut changed = Vec::new();
        while let Ok(events) = inotify.read_events(&mut names) {
            for event in events {
                if !changed.contains(&event.wd) {
                    changed.push(event.wd);
                }
            }
        }
        self.block.resize(BLOCK, 0);
        for id in changed {
            if let Some(followed) = self.files.get_mut(&id) {
                followed.hand_on(peers, &mut self.block)?;
            }
        }
        Ok(())
    }

    /// A channel has room for what it could not take.
    pub fn catch_up(
        &mut self,
        place: Place,
        id: &FileId,
        conn: &mut Connection<Server>,
    ) -> Result<(), Error> {
        let Some(followed) = self.files.get_mut(id) else { return Ok(()) };
        let Some(at) = followed.followers.get_mut(&place) else { return Ok(()) };
        while *at < followed.end {
            let left = usize::try_from(followed.end - *at).unwrap_or(usize::MAX);
            let filled = conn.channel(place.1)?.fill(|space| {
                let n = space.len().min(left);
                followed.file.read_at(space.get_mut(..n).unwrap_or_default(), *at)
            })?;
            let Some(n @ 1..) = filled else { break };
            *at += n as u64;
        }
        Ok(())
    }
}

impl Followed {
    /// Reads what is new, a block at a time, and offers each to those who have all that was before it.
    fn hand_on(&mut self, peers: &mut Peers<'_, Server>, block: &mut [u8]) -> Result<(), Error> {
        loop {
            let n = self.file.read_at(block, self.end)?;
            let new = block.get(..n).unwrap_or_default();
            if new.is_empty() {
                return Ok(());
            }
            for (place, at) in &mut self.followers {
                // Of a channel that is just being closed its own turn tells.
                if *at == self.end
                    && let Some(conn) = peers.get(place.0)
                    && let Ok(mut channel) = conn.channel(place.1)
                {
                    *at += channel.write(new) as u64;
                }
            }
            self.end += n as u64;
        }
    }
}
