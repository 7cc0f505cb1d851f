//! The server's files: requests whose answers are awaited, and bulk that goes straight through.
//!
//! What is under way is bounded three times: by what the client of [`sftp`](crate::sftp) takes, by the bytes that were asked
//! for and are not written here yet, and by handles. It does not know why something is asked.

use super::limit::Limit;
use super::transfer::{Incoming, Outgoing};
use crate::driver::sftp::client::{Client, Token};
use crate::driver::task::Permits;
use crate::sftp::{Answer, ClientChannel, Extension, IN_FLIGHT_MAX, Pflags, Request, StatusCode};
use core::cell::{Cell, RefCell};
use core::task::Context;
use std::rc::Rc;
use std::time::Instant;

pub(super) use crate::driver::sftp::client::{Entry, Failure, Handle, ONLY_FAILURE};

/// Files on their way at a time, and their handles, if the server does not allow fewer.
pub(super) const FILES_MAX: usize = 192;
/// Directories that are being listed or made.
pub(super) const LISTINGS_MAX: usize = 16;
/// READs and WRITEs under way at first; each answer allows one more, up to [`TRANSFERS_MAX`].
pub(super) const TRANSFERS_START: usize = 64;
/// READs and WRITEs under way. The rest of what the client takes is for everything else.
pub(super) const TRANSFERS_MAX: usize = IN_FLIGHT_MAX - 32;
/// Bytes asked for and not written here, or sent and not acknowledged: 10 Gbit/s at 25 ms.
pub(super) const BYTES_MAX: usize = 32 * 1024 * 1024;
/// Handles of a server that tells nothing.
const HANDLES_UNTOLD: usize = 64;

/// What a request for bulk is known by.
pub(super) enum Transfer {
    Read { to: Rc<Incoming>, offset: u64, len: u32 },
    Written { of: Rc<Outgoing>, len: usize },
}

/// The server's end, as the tasks see it.
pub(super) struct Remote {
    pub(super) sftp: Client<Transfer>,
    /// Of files; those of directories are as many as are listed.
    handles: Rc<Permits>,
    pub(super) listings: Rc<Permits>,
    transfers: Cell<usize>,
    transfers_allowed: Cell<usize>,
    bytes: Cell<usize>,
    limit: RefCell<Option<Limit>>,
    /// When the limit allows more, if a task waits for that.
    pub(super) due: Cell<Option<Instant>>,
}

impl Remote {
    /// On a channel that is ready.
    pub(super) fn new(channel: ClientChannel<Token<Transfer>>, limit: Option<Limit>) -> Self {
        let told = channel.client.limits().open_handles;
        let handles = told.map_or(HANDLES_UNTOLD, |told| usize::try_from(told).unwrap_or(usize::MAX));
        let listings = (handles / 4).clamp(1, LISTINGS_MAX);
        Self {
            sftp: Client::new(channel),
            handles: Permits::new(handles.saturating_sub(listings).clamp(1, FILES_MAX)),
            listings: Permits::new(listings),
            transfers: Cell::new(0),
            transfers_allowed: Cell::new(TRANSFERS_START),
            bytes: Cell::new(0),
            limit: RefCell::new(limit),
            due: Cell::new(None),
        }
    }

    /// Takes data of the channel to whom it concerns.
    pub(super) fn handle_data(&self, data: &[u8]) -> Result<(), crate::wire::Fault> {
        self.sftp.handle_data(data, |token, answer| self.answer(token, answer))
    }

    fn answer(&self, token: Transfer, answer: &Answer<'_>) {
        self.transferred();
        match token {
            Transfer::Read { to, offset, len } => {
                let came = if let Answer::Data(data) = answer { data.len() } else { 0 };
                if let Some(limit) = self.limit.borrow_mut().as_mut() {
                    limit.give_back((len as usize).saturating_sub(came));
                }
                let freed = match answer {
                    Answer::Data(data) => to.data(offset, len, data),
                    Answer::Status(status) if status.code == StatusCode::EOF => to.eof(offset, len),
                    answer => to.fail(len, Failure::of(answer)),
                };
                self.free(freed);
            }
            Transfer::Written { of, len } => {
                self.free(len);
                of.written(
                    len,
                    match answer {
                        Answer::Status(status) if status.code == StatusCode::OK => Ok(()),
                        answer => Err(Failure::of(answer)),
                    },
                );
            }
        }
    }

    fn transferred(&self) {
        self.transfers.set(self.transfers.get().saturating_sub(1));
        self.transfers_allowed.set((self.transfers_allowed.get() + 1).min(TRANSFERS_MAX));
    }

    /// So many bytes are dealt with.
    pub(super) fn free(&self, len: usize) {
        self.bytes.set(self.bytes.get().saturating_sub(len));
    }

    /// Of a READ (bytes).
    pub(super) fn read_len(&self) -> u32 {
        self.limited(self.sftp.channel.borrow().client.limits().read_len)
    }

    /// Of a WRITE (bytes).
    pub(super) fn write_len(&self) -> u32 {
        /// What a WRITE has beside its data (bytes), with the longest handle.
        const HEAD: usize = 512;
        let limits = *self.sftp.channel.borrow().client.limits();
        let packet = u32::try_from(limits.packet_len.saturating_sub(HEAD)).unwrap_or(u32::MAX);
        self.limited(limits.write_len.min(packet).max(1))
    }

    fn limited(&self, len: u32) -> u32 {
        self.limit.borrow().as_ref().map_or(len, |limit| limit.block(len))
    }

    pub(super) fn transfer(&self, token: Transfer, request: &Request<'_>) -> Result<(), Failure> {
        self.sftp.request(Token::Own(token), request)
    }

    /// Whether a READ or WRITE of so many bytes may be made now; if so, it is counted. Otherwise the task is woken when it
    /// may look again.
    pub(super) fn may_transfer(&self, len: usize, cx: &Context<'_>) -> bool {
        let (transfers, bytes) = (self.transfers.get(), self.bytes.get());
        let mut may = self.sftp.is_writable()
            && transfers < self.transfers_allowed.get()
            && (bytes == 0 || bytes + len <= BYTES_MAX);
        if may
            && let Some(until) =
                self.limit.borrow_mut().as_mut().and_then(|limit| limit.take(len, Instant::now()))
        {
            self.due.set(Some(until));
            may = false;
        }
        if may {
            self.transfers.set(transfers + 1);
            self.bytes.set(bytes + len);
        } else {
            self.sftp.room.wait(cx);
        }
        may
    }

    /// Opens a file, once there is a handle for it.
    pub(super) async fn open(
        &self,
        filename: &[u8],
        pflags: Pflags,
        permissions: Option<u32>,
    ) -> Result<Handle, Failure> {
        let permit = self.handles.take().await;
        self.sftp.open(filename, pflags, permissions, Some(permit)).await
    }

    /// Renames over what is there, atomically if the server can do that.
    pub(super) async fn rename_over(&self, oldpath: &[u8], newpath: &[u8]) -> Result<(), Failure> {
        if self.sftp.supports(Extension::PosixRename) {
            return self.sftp.done(&Request::PosixRename { oldpath, newpath }).await;
        }
        match self.sftp.done(&Request::Rename { oldpath, newpath }).await {
            // Version 3 has no code of its own for what exists.
            Err(failure) if failure.code == Some(StatusCode::FAILURE) => {
                self.sftp.done(&Request::Remove { filename: newpath }).await.map_err(|_| failure)?;
                self.sftp.done(&Request::Rename { oldpath, newpath }).await
            }
            done => done,
        }
    }
}

#[cfg(test)]
mod tests;
