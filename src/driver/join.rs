//! A channel joined to a socket, or to the pipes of a command: bytes and ends both ways, neither side faster than the other
//! takes.
//!
//! ```text
//! channel ──▶ Drain: written at once; what is not taken is held, and the peer has no credit for it ──▶ descriptor
//! channel ◀── feed: read only while the channel takes, and straight into the output                ◀── descriptor
//! ```
//!
//! A [`Join`] is both for a socket, whose two directions end apart as those of a channel do. Commands have a [`Drain`] for
//! their input, and [`feed`] reads what they say. Nothing here knows what the bytes mean, or why the channel was opened.

use super::Error;
use super::application::{Context, SourceId};
use super::peer::Stream;
use crate::connection::{ChannelEvent, ChannelId, Connection};
use crate::userauth::UserauthSide;
use mio::Interest;
use std::collections::VecDeque;
use std::io::{self, Read, Write};

/// The bytes of a channel on their way to a descriptor that does not block.
#[derive(Debug, Default)]
pub struct Drain {
    /// What the descriptor did not take yet: at most the channel's window.
    held: VecDeque<u8>,
    /// Nothing comes after what is held.
    ended: bool,
    /// The descriptor takes nothing any more: what comes is thrown away.
    broken: bool,
}

impl Drain {
    /// Writes what `to` takes of `data` and holds the rest. How many bytes were dealt with: they are to be credited.
    pub fn write(&mut self, data: &[u8], to: &mut impl Write) -> usize {
        // What is held waits for the descriptor; an event tells.
        let now = if self.held.is_empty() { write_now(&mut self.broken, data, to) } else { 0 };
        self.held.extend(data.get(now..).unwrap_or_default());
        now
    }

    /// Writes what is held, as far as `to` takes it. How many bytes were dealt with.
    pub fn flush(&mut self, to: &mut impl Write) -> usize {
        let before = self.held.len();
        while !self.held.is_empty() {
            let first = self.held.as_slices().0;
            let (n, all) = (write_now(&mut self.broken, first, to), first.len());
            self.held.drain(..n);
            if n < all {
                return before - self.held.len();
            }
        }
        self.held = VecDeque::new(); // who waits holds no buffer
        before
    }

    /// No more data will come.
    pub const fn end(&mut self) {
        self.ended = true;
    }

    /// Whether the descriptor has all of it, or takes nothing any more: it may be closed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.broken || (self.ended && self.held.is_empty())
    }

    /// Whether the descriptor takes nothing any more.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.broken
    }

    /// Bytes that wait for the descriptor.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }
}

/// How many bytes were written, or are thrown away because nobody takes them.
fn write_now(broken: &mut bool, data: &[u8], to: &mut impl Write) -> usize {
    let mut rest = data;
    while !rest.is_empty() && !*broken {
        match to.write(rest) {
            Ok(0) => *broken = true,
            Ok(n) => rest = rest.get(n..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return data.len() - rest.len(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => *broken = true,
        }
    }
    data.len()
}

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// Nothing is there now, or the channel takes nothing: an event or
    /// [`poll_writable`](Connection::poll_writable) tells when to go on.
    Waits,
    /// All of it was read.
    Ended,
    /// The descriptor failed.
    Failed,
}

/// Reads a descriptor that does not block until it or its channel has enough. `fill` is one
/// [`Channel::fill`](crate::connection::Channel::fill) from it.
pub fn feed(mut fill: impl FnMut() -> io::Result<Option<usize>>) -> Fed {
    loop {
        match fill() {
            Ok(Some(0)) => return Fed::Ended,
            Ok(Some(_)) => {}
            Ok(None) => return Fed::Waits,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Fed::Waits,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Fed::Failed,
        }
    }
}

/// A channel joined to a socket.
#[derive(Debug)]
pub struct Join {
    channel: ChannelId,
    /// Nothing once it is over.
    stream: Option<(Stream, SourceId)>,
    drain: Drain,
    /// What the channel is told before what the socket says.
    first: Vec<u8>,
    /// The socket was told that the channel ended.
    shut: bool,
    /// The channel was told that the socket ended.
    fed: bool,
}

impl Join {
    /// Joins them. The channel may still be being opened: nothing is read before it is.
    ///
    /// # Errors
    /// The system's.
    pub fn new(cx: &mut Context<'_>, channel: ChannelId, mut stream: Stream) -> io::Result<Self> {
        let source = cx.register(stream.source(), Interest::READABLE | Interest::WRITABLE)?;
        let (drain, first) = (Drain::default(), Vec::new());
        Ok(Self { channel, stream: Some((stream, source)), drain, first, shut: false, fed: false })
    }

    /// Tells the channel this first; before the first event.
    pub fn say_first(&mut self, bytes: Vec<u8>) {
        self.first = bytes;
    }

    /// Whether both directions have ended: the socket is closed, and the channel too, or closing.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.stream.is_none()
    }

    /// The socket, as the loop names it, until it is over.
    #[must_use]
    pub fn source(&self) -> Option<SourceId> {
        self.stream.as_ref().map(|(_, source)| *source)
    }

    /// Bytes that wait for the socket: at most the channel's window.
    #[must_use]
    pub fn held(&self) -> usize {
        self.drain.held()
    }

    /// Something happened to the channel.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn event<S: UserauthSide>(
        &mut self,
        cx: &mut Context<'_>,
        conn: &mut Connection<S>,
        event: &ChannelEvent<'_>,
    ) -> Result<(), Error> {
        match event {
            ChannelEvent::Data { data } => {
                let dealt = match &mut self.stream {
                    Some((stream, _)) => self.drain.write(data, stream),
                    None => data.len(),
                };
                conn.channel(self.channel)?.adjust_window(dealt)?;
                if self.drain.is_over() { self.pump(cx, Some(conn)) } else { Ok(()) }
            }
            ChannelEvent::Stderr { data } => Ok(conn.channel(self.channel)?.adjust_window(data.len())?),
            ChannelEvent::Eof => {
                self.drain.end();
                self.pump(cx, Some(conn))
            }
            ChannelEvent::Opened | ChannelEvent::Closed => self.pump(cx, Some(conn)),
            _ => Ok(()),
        }
    }

    /// Moves what can be moved: when the socket is ready, when the channel is writable, and without a connection when that is
    /// gone. What the peer sent before its channel or connection went still reaches the socket.
    ///
    /// # Errors
    /// Those of the connection. What fails at the socket is the channel's end.
    pub fn pump<S: UserauthSide>(
        &mut self,
        cx: &mut Context<'_>,
        conn: Option<&mut Connection<S>>,
    ) -> Result<(), Error> {
        let Some((stream, _)) = &mut self.stream else { return Ok(()) };
        let dealt = self.drain.flush(stream);
        let mut channel = conn.and_then(|conn| conn.channel(self.channel).ok());
        match &mut channel {
            Some(channel) => {
                channel.adjust_window(dealt)?;
                self.first.drain(..channel.write(&self.first));
                match if self.fed || !self.first.is_empty() {
                    Fed::Waits
                } else {
                    feed(|| channel.fill(|buf| stream.read(buf)))
                } {
                    Fed::Waits => {}
                    Fed::Ended => {
                        self.fed = true;
                        channel.send_eof()?;
                    }
                    Fed::Failed => {
                        // Without EOF: the peer shall not take for whole what was cut.
                        channel.close()?;
                        self.abandon(cx);
                        return Ok(());
                    }
                }
            }
            None => {
                self.drain.end();
                self.fed = true;
            }
        }
        if self.drain.is_over() && !core::mem::replace(&mut self.shut, true) {
            stream.shutdown();
        }
        if self.shut && self.fed {
            if let Some(mut channel) = channel {
                channel.close()?;
            }
            self.abandon(cx);
        }
        Ok(())
    }

    /// Closes the socket, whatever it still should have got.
    pub fn abandon(&mut self, cx: &mut Context<'_>) {
        if let Some((mut stream, source)) = self.stream.take() {
            let _gone = cx.deregister(stream.source(), source);
        }
        self.drain = Drain::default();
    }
}
