//! The server's files: requests whose answers are awaited, and bulk that goes straight through.
//!
//! What is under way is bounded three times: by what the client of [`sftp`](crate::sftp) takes, by the bytes that were asked
//! for and are not written here yet, and by handles. It does not know why something is asked.

use super::limit::Limit;
use super::transfer::{Incoming, Outgoing};
use crate::driver::task::{Permit, Permits, Waiting};
use crate::driver::text::escaped;
use crate::sftp::{
    Answer, Attributes, ClientChannel, ClientEvent, Extension, IN_FLIGHT_MAX, Names, Pairs, Pflags, Request,
    Status, StatusCode,
};
use crate::transport::Misuse;
use core::cell::{Cell, RefCell};
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::Instant;

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
/// Of a text of the server's that is shown (bytes).
const MESSAGE_LEN_MAX: usize = 200;

/// Why something was not done: a text for the user, without the file's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) text: String,
    /// What the server said.
    pub(super) code: Option<StatusCode>,
}

impl Failure {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: None }
    }

    fn of(status: &Status<'_>) -> Self {
        let message = status.message.get(..MESSAGE_LEN_MAX).unwrap_or(status.message);
        let text = match status.code {
            StatusCode::FAILURE if !message.is_empty() => escaped(message),
            code => code.words().to_owned(),
        };
        Self { text, code: Some(status.code) }
    }

    pub(super) fn is_missing(&self) -> bool {
        self.code == Some(StatusCode::NO_SUCH_FILE)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<rustix::io::Errno> for Failure {
    fn from(error: rustix::io::Errno) -> Self {
        io::Error::from(error).into()
    }
}

impl From<Misuse> for Failure {
    fn from(misuse: Misuse) -> Self {
        Self::new(misuse.0)
    }
}

/// An entry of a directory.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) attrs: Attributes<'static>,
}

/// An answer, kept until its task takes it.
#[derive(Debug)]
pub(super) enum Reply {
    Done,
    Handle(Vec<u8>),
    Attrs(Attributes<'static>),
    Names(Vec<Entry>),
    Failed(Failure),
}

fn without_extended(attrs: &Attributes<'_>) -> Attributes<'static> {
    Attributes {
        size: attrs.size,
        uid_gid: attrs.uid_gid,
        permissions: attrs.permissions,
        ac_mod_time: attrs.ac_mod_time,
        extended: Pairs::NONE,
    }
}

fn entries(names: Names<'_>) -> Vec<Entry> {
    names
        .iter()
        .map(|name| Entry { name: name.filename.to_vec(), attrs: without_extended(&name.attrs) })
        .collect()
}

impl Reply {
    fn of(answer: &Answer<'_>) -> Self {
        match answer {
            Answer::Status(status) if status.code == StatusCode::OK => Self::Done,
            Answer::Status(status) => Self::Failed(Failure::of(status)),
            Answer::Handle(handle) => Self::Handle(handle.to_vec()),
            Answer::Attrs(attrs) => Self::Attrs(without_extended(attrs)),
            Answer::Names(names) => Self::Names(entries(*names)),
            // Nothing is asked here that has another answer.
            _ => Self::Failed(Failure::new("the answer is of no use")),
        }
    }
}

/// A request under way. Answers may be awaited later than they come, so that several are under way at once.
#[derive(Debug, Default)]
pub(super) struct Asked {
    reply: RefCell<Option<Reply>>,
    waker: RefCell<Option<Waker>>,
}

impl Asked {
    fn answer(&self, reply: Reply) {
        *self.reply.borrow_mut() = Some(reply);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    async fn reply(&self) -> Reply {
        core::future::poll_fn(|cx| match self.reply.take() {
            Some(reply) => Poll::Ready(reply),
            None => {
                *self.waker.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    pub(super) async fn done(&self) -> Result<(), Failure> {
        match self.reply().await {
            Reply::Failed(failure) => Err(failure),
            _ => Ok(()),
        }
    }

    pub(super) async fn attrs(&self) -> Result<Attributes<'static>, Failure> {
        match self.reply().await {
            Reply::Attrs(attrs) => Ok(attrs),
            Reply::Failed(failure) => Err(failure),
            _ => Err(Failure::new("the answer is of no use")),
        }
    }

    /// `None` at the end.
    pub(super) async fn names(&self) -> Result<Option<Vec<Entry>>, Failure> {
        match self.reply().await {
            // A listing without names is its end too (OpenSSH: the same), or it might never come.
            Reply::Names(entries) => Ok(Some(entries).filter(|entries| !entries.is_empty())),
            Reply::Failed(failure) if failure.code == Some(StatusCode::EOF) => Ok(None),
            Reply::Failed(failure) => Err(failure),
            _ => Err(Failure::new("the answer is of no use")),
        }
    }
}

/// What a request is known by.
pub(super) enum Token {
    Asked(Rc<Asked>),
    Read {
        to: Rc<Incoming>,
        offset: u64,
        len: u32,
    },
    Written {
        of: Rc<Outgoing>,
        len: usize,
    },
    /// Of a handle that nobody waits for.
    Closed(#[expect(dead_code, reason = "it is given back when the answer comes")] Option<Permit>),
}

/// Something open at the server; closed when it is dropped.
pub(super) struct Handle {
    bytes: Vec<u8>,
    permit: Option<Permit>,
    closing: Option<Rc<Closing>>,
}

/// Handles that were dropped and are to be closed.
type Closing = RefCell<VecDeque<(Vec<u8>, Option<Permit>)>>;

impl Handle {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(closing) = self.closing.take() {
            closing.borrow_mut().push_back((core::mem::take(&mut self.bytes), self.permit.take()));
        }
    }
}

/// The server's end, as the tasks see it.
pub(super) struct Remote {
    pub(super) channel: RefCell<ClientChannel<Token>>,
    /// Tasks that wait for room for a request.
    pub(super) room: Waiting,
    /// Of files; those of directories are as many as are listed.
    handles: Rc<Permits>,
    pub(super) listings: Rc<Permits>,
    closing: Rc<Closing>,
    transfers: Cell<usize>,
    transfers_allowed: Cell<usize>,
    bytes: Cell<usize>,
    limit: RefCell<Option<Limit>>,
    /// When the limit allows more, if a task waits for that.
    pub(super) due: Cell<Option<Instant>>,
    /// Requests that were made so far.
    pub(super) asked: Cell<u64>,
}

impl Remote {
    /// On a channel that is ready.
    pub(super) fn new(channel: ClientChannel<Token>, limit: Option<Limit>) -> Self {
        let told = channel.client.limits().open_handles;
        let handles = told.map_or(HANDLES_UNTOLD, |told| usize::try_from(told).unwrap_or(usize::MAX));
        let listings = (handles / 4).clamp(1, LISTINGS_MAX);
        Self {
            channel: RefCell::new(channel),
            room: Waiting::default(),
            handles: Permits::new(handles.saturating_sub(listings).clamp(1, FILES_MAX)),
            listings: Permits::new(listings),
            closing: Rc::default(),
            transfers: Cell::new(0),
            transfers_allowed: Cell::new(TRANSFERS_START),
            bytes: Cell::new(0),
            limit: RefCell::new(limit),
            due: Cell::new(None),
            asked: Cell::new(0),
        }
    }

    /// Takes data of the channel to whom it concerns.
    pub(super) fn handle_data(&self, data: &[u8]) -> Result<(), crate::wire::Fault> {
        self.channel.borrow_mut().handle_data(data, |_, event| match event {
            ClientEvent::Ready => {}
            ClientEvent::Answer { token, answer } => self.answer(token, &answer),
        })
    }

    fn answer(&self, token: Token, answer: &Answer<'_>) {
        match token {
            Token::Asked(asked) => asked.answer(Reply::of(answer)),
            Token::Closed(_) => {}
            Token::Read { to, offset, len } => {
                self.transferred();
                let freed = match answer {
                    Answer::Data(data) => to.data(offset, len, data),
                    Answer::Status(status) if status.code == StatusCode::EOF => to.eof(offset, len),
                    Answer::Status(status) => to.fail(len, Failure::of(status)),
                    _ => to.fail(len, Failure::new("the answer is of no use")),
                };
                self.free(freed);
            }
            Token::Written { of, len } => {
                self.transferred();
                self.free(len);
                of.written(
                    len,
                    match answer {
                        Answer::Status(status) if status.code == StatusCode::OK => Ok(()),
                        Answer::Status(status) => Err(Failure::of(status)),
                        _ => Err(Failure::new("the answer is of no use")),
                    },
                );
            }
        }
    }

    fn transferred(&self) {
        self.transfers.set(self.transfers.get().saturating_sub(1));
        self.transfers_allowed.set((self.transfers_allowed.get() + 1).min(TRANSFERS_MAX));
    }

    /// What [`may_transfer`](Self::may_transfer) allowed was not made.
    pub(super) fn not_transferred(&self, len: usize) {
        self.transfers.set(self.transfers.get().saturating_sub(1));
        self.free(len);
    }

    /// So many bytes are dealt with.
    pub(super) fn free(&self, len: usize) {
        self.bytes.set(self.bytes.get().saturating_sub(len));
    }

    pub(super) fn supports(&self, extension: Extension) -> bool {
        self.channel.borrow().client.supports(extension)
    }

    /// Of a READ (bytes).
    pub(super) fn read_len(&self) -> u32 {
        self.limited(self.channel.borrow().client.limits().read_len)
    }

    /// Of a WRITE (bytes).
    pub(super) fn write_len(&self) -> u32 {
        /// What a WRITE has beside its data (bytes), with the longest handle.
        const HEAD: usize = 512;
        let limits = *self.channel.borrow().client.limits();
        let packet = u32::try_from(limits.packet_len.saturating_sub(HEAD)).unwrap_or(u32::MAX);
        self.limited(limits.write_len.min(packet).max(1))
    }

    fn limited(&self, len: u32) -> u32 {
        self.limit.borrow().as_ref().map_or(len, |limit| limit.block(len))
    }

    /// Makes a request; its answer can be awaited then.
    pub(super) async fn ask(&self, request: &Request<'_>) -> Result<Rc<Asked>, Failure> {
        core::future::poll_fn(|cx| {
            if !self.channel.borrow().client.is_writable() {
                self.room.wait(cx);
                return Poll::Pending;
            }
            let asked = Rc::new(Asked::default());
            Poll::Ready(self.request(Token::Asked(Rc::clone(&asked)), request).map(|()| asked))
        })
        .await
    }

    pub(super) fn request(&self, token: Token, request: &Request<'_>) -> Result<(), Failure> {
        self.asked.set(self.asked.get() + 1);
        Ok(self.channel.borrow_mut().client.request(token, request)?)
    }

    /// Whether a READ or WRITE of so many bytes may be made now; if so, it is counted. Otherwise the task is woken when it
    /// may look again.
    pub(super) fn may_transfer(&self, len: usize, cx: &Context<'_>) -> bool {
        let (transfers, bytes) = (self.transfers.get(), self.bytes.get());
        let mut may = self.channel.borrow().client.is_writable()
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
            self.room.wait(cx);
        }
        may
    }

    /// Closes what was dropped, as far as there is room.
    pub(super) fn close_dropped(&self) {
        while self.channel.borrow().client.is_writable() {
            let Some((handle, permit)) = self.closing.borrow_mut().pop_front() else { return };
            let _gone = self.request(Token::Closed(permit), &Request::Close { handle: &handle });
        }
    }

    pub(super) async fn done(&self, request: &Request<'_>) -> Result<(), Failure> {
        self.ask(request).await?.done().await
    }

    pub(super) async fn attrs(&self, request: &Request<'_>) -> Result<Attributes<'static>, Failure> {
        self.ask(request).await?.attrs().await
    }

    /// The same, and `None` for what does not exist.
    pub(super) async fn attrs_if_any(
        &self,
        request: &Request<'_>,
    ) -> Result<Option<Attributes<'static>>, Failure> {
        match self.attrs(request).await {
            Ok(attrs) => Ok(Some(attrs)),
            Err(failure) if failure.is_missing() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    pub(super) async fn open(
        &self,
        filename: &[u8],
        pflags: Pflags,
        permissions: Option<u32>,
    ) -> Result<Handle, Failure> {
        let attrs = Attributes { permissions, ..Attributes::default() };
        let permit = self.handles.take().await;
        self.handle(&Request::Open { filename, pflags, attrs }, Some(permit)).await
    }

    /// Of a directory; who asks has a permit to list.
    pub(super) async fn open_directory(&self, path: &[u8]) -> Result<Handle, Failure> {
        self.handle(&Request::Opendir { path }, None).await
    }

    async fn handle(&self, request: &Request<'_>, permit: Option<Permit>) -> Result<Handle, Failure> {
        match self.ask(request).await?.reply().await {
            Reply::Handle(bytes) => Ok(Handle { bytes, permit, closing: Some(Rc::clone(&self.closing)) }),
            Reply::Failed(failure) => Err(failure),
            _ => Err(Failure::new("the answer is of no use")),
        }
    }

    /// Closes a handle; its answer can be awaited.
    pub(super) async fn close(&self, mut handle: Handle) -> Result<(Rc<Asked>, Option<Permit>), Failure> {
        let asked = self.ask(&Request::Close { handle: &handle.bytes }).await?;
        handle.closing = None;
        Ok((asked, handle.permit.take()))
    }

    /// Renames over what is there, atomically if the server can do that.
    pub(super) async fn rename_over(&self, oldpath: &[u8], newpath: &[u8]) -> Result<(), Failure> {
        if self.supports(Extension::PosixRename) {
            return self.done(&Request::PosixRename { oldpath, newpath }).await;
        }
        match self.done(&Request::Rename { oldpath, newpath }).await {
            // Version 3 has no code of its own for what exists.
            Err(failure) if failure.code == Some(StatusCode::FAILURE) => {
                self.done(&Request::Remove { filename: newpath }).await.map_err(|_| failure)?;
                self.done(&Request::Rename { oldpath, newpath }).await
            }
            done => done,
        }
    }
}

#[cfg(test)]
mod tests;
