//! An SFTP client whose answers are awaited, by many tasks on one channel.
//!
//! What is under way is bounded by what the client of [`sftp`](crate::sftp) takes; tasks wait for room. Handles are closed when
//! they are dropped. Whoever moves bulk knows its requests by tokens of its own, and takes their answers as they come. It does
//! not know why something is asked, nor who is asked: what was asked and the loop's side are the caller's.

use crate::connection::Connection;
use crate::driver::glob::TooMany;
use crate::driver::task::{Permit, Waiting};
use crate::driver::text::escaped;
use crate::sftp::{
    Answer, Attributes, ClientChannel, ClientEvent, Extension, Names, Pairs, Pflags, Request, StatusCode,
};
use crate::transport::{Error, Misuse};
use crate::userauth::UserauthSide;
use core::cell::{Cell, RefCell};
use core::task::{Poll, Waker};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

/// Of a text of the server's that is shown (bytes).
const MESSAGE_LEN_MAX: usize = 200;

/// An answer of the right type that says nothing.
const OF_NO_USE: &str = "the answer is of no use";

/// What is told of a status that has no other words: those of OpenSSH's server for all that it has no code for.
pub(crate) const ONLY_FAILURE: &str = "the host says only \"Failure\"";

/// Why something was not done: a text for the user, without the file's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) text: String,
    /// What the server said.
    pub(crate) code: Option<StatusCode>,
}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: None }
    }

    /// Of an answer that is not what was asked for.
    pub(crate) fn of(answer: &Answer<'_>) -> Self {
        let Answer::Status(status) = answer else { return Self::new(OF_NO_USE) };
        let message = status.message.get(..MESSAGE_LEN_MAX).unwrap_or(status.message);
        let text = match status.code {
            StatusCode::FAILURE if matches!(message, b"" | b"Failure") => ONLY_FAILURE.to_owned(),
            StatusCode::FAILURE => escaped(message),
            code => code.words().to_owned(),
        };
        Self { text, code: Some(status.code) }
    }

    pub(crate) fn is_missing(&self) -> bool {
        self.code == Some(StatusCode::NO_SUCH_FILE)
    }
}

impl From<TooMany> for Failure {
    fn from(too_many: TooMany) -> Self {
        Self::new(too_many.to_string())
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
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) attrs: Attributes<'static>,
}

/// An answer, kept until its task takes it.
#[derive(Debug)]
pub(crate) enum Reply {
    Done,
    Handle(Vec<u8>),
    Attrs(Attributes<'static>),
    Names(Vec<Entry>),
    Data(Vec<u8>),
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
            Answer::Handle(handle) => Self::Handle(handle.to_vec()),
            Answer::Attrs(attrs) => Self::Attrs(without_extended(attrs)),
            Answer::Names(names) => Self::Names(entries(*names)),
            Answer::Data(data) => Self::Data(data.to_vec()),
            // Nothing is asked here that has another answer.
            answer => Self::Failed(Failure::of(answer)),
        }
    }
}

/// A request under way. Answers may be awaited later than they come, so that several are under way at once.
#[derive(Debug, Default)]
pub(crate) struct Asked {
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

    pub(crate) async fn done(&self) -> Result<(), Failure> {
        match self.reply().await {
            Reply::Failed(failure) => Err(failure),
            _ => Ok(()),
        }
    }

    pub(crate) async fn attrs(&self) -> Result<Attributes<'static>, Failure> {
        match self.reply().await {
            Reply::Attrs(attrs) => Ok(attrs),
            Reply::Failed(failure) => Err(failure),
            _ => Err(Failure::new(OF_NO_USE)),
        }
    }

    /// Of a READ; none at the end.
    pub(crate) async fn data(&self) -> Result<Vec<u8>, Failure> {
        match self.reply().await {
            Reply::Data(data) => Ok(data),
            Reply::Failed(failure) if failure.code == Some(StatusCode::EOF) => Ok(Vec::new()),
            Reply::Failed(failure) => Err(failure),
            _ => Err(Failure::new(OF_NO_USE)),
        }
    }

    /// `None` at the end.
    pub(crate) async fn names(&self) -> Result<Option<Vec<Entry>>, Failure> {
        match self.reply().await {
            // A listing without names is its end too (OpenSSH: the same), or it might never come.
            Reply::Names(entries) => Ok(Some(entries).filter(|entries| !entries.is_empty())),
            Reply::Failed(failure) if failure.code == Some(StatusCode::EOF) => Ok(None),
            Reply::Failed(failure) => Err(failure),
            _ => Err(Failure::new(OF_NO_USE)),
        }
    }
}

/// What a request is known by.
#[derive(Debug)]
pub(crate) enum Token<T> {
    Asked(Rc<Asked>),
    /// The caller's own.
    Own(T),
    /// Of a handle that nobody waits for.
    Closed(#[expect(dead_code, reason = "it is given back when the answer comes")] Option<Permit>),
}

/// Something open at the server; closed when it is dropped.
#[derive(Debug)]
pub(crate) struct Handle {
    bytes: Vec<u8>,
    permit: Option<Permit>,
    closing: Option<Rc<Closing>>,
}

/// Handles that were dropped and are to be closed.
type Closing = RefCell<VecDeque<(Vec<u8>, Option<Permit>)>>;

impl Handle {
    pub(crate) fn bytes(&self) -> &[u8] {
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
pub(crate) struct Client<T> {
    pub(crate) channel: RefCell<ClientChannel<Token<T>>>,
    /// Tasks that wait for room for a request.
    pub(crate) room: Waiting,
    closing: Rc<Closing>,
    asked: Cell<u64>,
    is_lost: Cell<bool>,
}

impl<T> Client<T> {
    /// On a channel that is ready.
    pub(crate) fn new(channel: ClientChannel<Token<T>>) -> Self {
        Self {
            channel: RefCell::new(channel),
            room: Waiting::default(),
            closing: Rc::default(),
            asked: Cell::new(0),
            is_lost: Cell::new(false),
        }
    }

    /// Takes data of the channel to whom it concerns; `own` gets the answers to the caller's own requests.
    pub(crate) fn handle_data(
        &self,
        data: &[u8],
        mut own: impl FnMut(T, &Answer<'_>),
    ) -> Result<(), crate::wire::Fault> {
        self.channel.borrow_mut().handle_data(data, |_, event| match event {
            ClientEvent::Answer { token: Token::Asked(asked), answer } => asked.answer(Reply::of(&answer)),
            ClientEvent::Answer { token: Token::Own(token), answer } => own(token, &answer),
            ClientEvent::Answer { token: Token::Closed(_), .. } | ClientEvent::Ready => {}
        })
    }

    /// Closes what was dropped, writes what waits as far as the channel takes it, and wakes who waits for room.
    pub(crate) fn flush<S: UserauthSide>(&self, conn: &mut Connection<S>) -> Result<(), Error> {
        self.close_dropped();
        self.channel.borrow_mut().flush(conn)?;
        self.room.wake();
        Ok(())
    }

    /// Requests that were made so far.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.get()
    }

    /// The channel is gone: whoever waits for an answer or for room fails, and whoever asks from now on. The caller's own
    /// tokens are dropped.
    pub(crate) fn lose(&self) {
        self.is_lost.set(true);
        for token in core::mem::take(&mut self.channel.borrow_mut().client).into_tokens() {
            if let Token::Asked(asked) = token {
                asked.answer(Reply::Failed(Self::lost()));
            }
        }
        self.room.wake();
    }

    /// Whether the channel is gone.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.get()
    }

    fn lost() -> Failure {
        Failure::new("the connection is lost")
    }

    pub(crate) fn supports(&self, extension: Extension) -> bool {
        self.channel.borrow().client.supports(extension)
    }

    /// Whether a request can be made now.
    pub(crate) fn is_writable(&self) -> bool {
        self.channel.borrow().client.is_writable()
    }

    /// Makes a request; its answer can be awaited then.
    pub(crate) async fn ask(&self, request: &Request<'_>) -> Result<Rc<Asked>, Failure> {
        core::future::poll_fn(|cx| {
            if self.is_lost.get() {
                return Poll::Ready(Err(Self::lost()));
            }
            if !self.is_writable() {
                self.room.wait(cx);
                return Poll::Pending;
            }
            let asked = Rc::new(Asked::default());
            Poll::Ready(self.request(Token::Asked(Rc::clone(&asked)), request).map(|()| asked))
        })
        .await
    }

    pub(crate) fn request(&self, token: Token<T>, request: &Request<'_>) -> Result<(), Failure> {
        self.asked.set(self.asked.get() + 1);
        Ok(self.channel.borrow_mut().client.request(token, request)?)
    }

    /// Closes what was dropped, as far as there is room.
    pub(crate) fn close_dropped(&self) {
        while self.is_writable() {
            let Some((handle, permit)) = self.closing.borrow_mut().pop_front() else { return };
            let _gone = self.request(Token::Closed(permit), &Request::Close { handle: &handle });
        }
    }

    pub(crate) async fn done(&self, request: &Request<'_>) -> Result<(), Failure> {
        self.ask(request).await?.done().await
    }

    pub(crate) async fn attrs(&self, request: &Request<'_>) -> Result<Attributes<'static>, Failure> {
        self.ask(request).await?.attrs().await
    }

    /// The same, and `None` for what does not exist.
    pub(crate) async fn attrs_if_any(
        &self,
        request: &Request<'_>,
    ) -> Result<Option<Attributes<'static>>, Failure> {
        match self.attrs(request).await {
            Ok(attrs) => Ok(Some(attrs)),
            Err(failure) if failure.is_missing() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Opens a file; the permit is given back once the handle is closed.
    pub(crate) async fn open(
        &self,
        filename: &[u8],
        pflags: Pflags,
        permissions: Option<u32>,
        permit: Option<Permit>,
    ) -> Result<Handle, Failure> {
        let attrs = Attributes { permissions, ..Attributes::default() };
        self.handle(&Request::Open { filename, pflags, attrs }, permit).await
    }

    /// Of a directory.
    pub(crate) async fn open_directory(&self, path: &[u8]) -> Result<Handle, Failure> {
        self.handle(&Request::Opendir { path }, None).await
    }

    async fn handle(&self, request: &Request<'_>, permit: Option<Permit>) -> Result<Handle, Failure> {
        match self.ask(request).await?.reply().await {
            Reply::Handle(bytes) => Ok(Handle { bytes, permit, closing: Some(Rc::clone(&self.closing)) }),
            Reply::Failed(failure) => Err(failure),
            _ => Err(Failure::new(OF_NO_USE)),
        }
    }

    /// Closes a handle; its answer can be awaited.
    pub(crate) async fn close(&self, mut handle: Handle) -> Result<(Rc<Asked>, Option<Permit>), Failure> {
        let asked = self.ask(&Request::Close { handle: &handle.bytes }).await?;
        handle.closing = None;
        Ok((asked, handle.permit.take()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sftp::Status;
    use core::task::Context;

    #[test]
    fn an_answer_without_names_ends_a_listing() {
        let asked = Asked::default();
        asked.answer(Reply::Names(Vec::new()));
        let mut names = core::pin::pin!(asked.names());
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(matches!(names.as_mut().poll(cx), Poll::Ready(Ok(None))));
    }

    #[test]
    fn of_a_text_of_the_servers_only_the_first_bytes_are_shown() {
        for (length, shown) in [(MESSAGE_LEN_MAX, MESSAGE_LEN_MAX), (100_000, MESSAGE_LEN_MAX)] {
            let text = vec![b'x'; length];
            let status = Status::with_message(StatusCode::FAILURE, &text);
            assert_eq!(Failure::of(&Answer::Status(status)).text, "x".repeat(shown));
        }
    }
}
