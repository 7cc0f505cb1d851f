//! What all copies of one connection share: what was asked for, how many at a time, what failed.

use super::local::{Finish, Folder, MODE_MASK};
use super::progress::Progress;
use super::remote::{Failure, Remote};
use super::walk::Directory;
use crate::driver::stdio::Output;
use crate::driver::task::{Permits, Starter};
use crate::driver::text::escaped;
use crate::sftp::Attributes;
use core::cell::Cell;
use std::rc::Rc;

/// How it is copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// Directories too, with all that is in them.
    pub recursive: bool,
    /// Modes and times are those of the source.
    pub preserve: bool,
    /// Go on where an earlier copy was cut off.
    pub resume: bool,
}

/// Of one connection.
pub(super) struct Work {
    pub(super) remote: Remote,
    pub(super) starter: Starter,
    pub(super) manner: Manner,
    pub(super) umask: u32,
    pub(super) progress: Rc<Progress>,
    pub(super) verbose: bool,
    pub(super) files: Rc<Permits>,
    /// Directories that were found and wait for their turn.
    pub(super) waiting: Cell<usize>,
    /// Standard output, if that is where it goes.
    pub(super) out: Option<Rc<Output>>,
    pub(super) status: Cell<u8>,
}

impl Work {
    /// Names what was not copied, and why.
    pub(super) fn failed(&self, name: &[u8], failure: &Failure) {
        self.status.set(self.status.get().max(super::FAILED));
        self.progress.tell(&format!("ssh-weblog-cp: {}: {}", escaped(name), failure.text));
    }

    pub(super) fn tell(&self, name: &[u8], text: &str) {
        if self.verbose {
            self.progress.tell(&format!("{}: {text}", escaped(name)));
        }
    }

    /// The mode that a copy gets.
    pub(super) const fn mode(&self, mode: u32) -> u32 {
        mode & MODE_MASK & if self.manner.preserve { MODE_MASK } else { !self.umask }
    }

    /// Mode and times of a copy whose source has these.
    pub(super) fn finish(&self, attrs: &Attributes<'_>, otherwise: u32) -> Finish {
        Finish {
            mode: Some(self.mode(attrs.permissions.unwrap_or(otherwise))),
            times: attrs.ac_mod_time.filter(|_| self.manner.preserve),
        }
    }

    /// The user's own directory, as the parent of what is copied from or to it.
    pub(super) fn top(folder: Folder, remote: Vec<u8>, shown: Vec<u8>) -> Rc<Directory> {
        Rc::new(Directory { parent: None, folder, remote, shown, depth: 0, fresh: false, finish: None })
    }
}

/// Waits for both.
pub(super) async fn both<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    use core::task::Poll;
    let (mut a, mut b) = (core::pin::pin!(a), core::pin::pin!(b));
    let (mut first, mut second) = (None, None);
    core::future::poll_fn(|cx| {
        if first.is_none()
            && let Poll::Ready(done) = a.as_mut().poll(cx)
        {
            first = Some(done);
        }
        if second.is_none()
            && let Poll::Ready(done) = b.as_mut().poll(cx)
        {
            second = Some(done);
        }
        match (first.take(), second.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (first, second) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}
