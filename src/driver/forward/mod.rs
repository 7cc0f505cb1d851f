//! Forwarding: sockets that are listened on, connections that are made, and the channels that they are joined to.
//!
//! ```text
//! listener ─ accepted ─┬─────────▶ channel asked for ─▶ opened ──┐
//!                      └ SOCKS ──▶                               ├─▶ Join, until both have ended
//! channel asked for by the peer ─┬▶ a thread connects ─▶ accepted┘
//!                    (or SOCKS) ─┘
//! ```
//!
//! [`Forwards`] is the part of a program that does this for all its peers: the program hands it the events of its channels,
//! and decides before who may have what. Its descriptors are counted together with those of SFTP, and are half of the process's
//! at most, so that however much is forwarded there are some for logins. It does not know users, configurations or what the
//! bytes mean.

mod dial;
mod listen;
mod requests;
mod side;

pub use dial::{DIAL_TIMEOUT, DIALS_MAX, DIALS_OF_PEER_MAX, DIALS_WAITING_MAX};
pub use listen::{Address, GatewayPorts, Listener, listen_at};
pub use requests::{Ask, Requests};
pub use side::{Direct, ForwardSide, Forwarded};

use super::Error;
use super::application::{Context, PeerId, Peers, Source, SourceId};
use super::connect::connect_by;
use super::join::Join;
use super::peer::Stream;
use super::sftp::{Descriptors, Held};
use super::socks::{Handshake, Outcome, Refused, SAID_MAX, Said};
use crate::connection::{
    ADMINISTRATIVELY_PROHIBITED, CONNECT_FAILED, Channel, ChannelEvent, ChannelId, Connection,
};
use dial::Dialer;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Waker};
use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::sync::Arc;

/// The sockets that are listened on for one peer.
pub const LISTENERS_MAX: usize = 128;

/// The connections that have not said yet by SOCKS where they go.
pub const GREETINGS_MAX: usize = 128;

/// The sockets whose channel or peer is gone, and that did not take yet what came for them. Of more the first ones are closed:
/// a peer that opens and closes without end keeps no more memory and no more descriptors here.
pub const LEFT_MAX: usize = 32;

/// What waits for them, all together (bytes).
pub const LEFT_BYTES_MAX: usize = 64 << 20;

/// Connections accepted before others have their turn.
const ACCEPTS_PER_ROUND: usize = 64;

/// What a channel of the peer's is to be joined to.
pub enum Target {
    /// A host.
    Tcp(String, u16),
    /// A Unix socket.
    Unix(String),
    /// What this makes, on a thread of its own.
    Made(Box<dyn FnOnce() -> io::Result<Stream> + Send>),
}

/// Which channel of which peer.
type Key = (PeerId, ChannelId);

/// A channel on its way to a socket.
enum Link {
    /// Asked for here, for this socket.
    Opening(Stream, Option<Handshake>, Held),
    /// Its peer says by SOCKS where it goes, and was not told this yet.
    Greeting(Handshake, Vec<u8>),
    /// Its peer is told why not, and then it ends.
    Refusing(Vec<u8>),
    /// A connection is being made for it.
    Connecting(Early),
    /// It is there; and whether the channel is gone.
    Joined(Join, bool, #[expect(dead_code, reason = "it is given back when the socket is closed")] Held),
    /// Nothing is left but the end of the channel.
    Over,
}

/// What a channel has said already to a connection that is being made.
#[derive(Default)]
struct Early {
    socks: Option<Handshake>,
    /// What the channel does not take yet: an answer of SOCKS.
    unsaid: Vec<u8>,
    /// At most the channel's window: there is no credit for it.
    bytes: Vec<u8>,
    ended: bool,
}

/// An accepted socket that says by SOCKS where it goes.
struct Caller {
    peer: PeerId,
    stream: TcpStream,
    from: (String, u16),
    handshake: Handshake,
    held: Held,
}

/// All that is forwarded for the peers of a program.
pub struct Forwards<S: ForwardSide> {
    waker: Arc<Waker>,
    dialer: Dialer<Key, (Stream, Held)>,
    /// What is listened on, connected or being connected holds one each. Who wants more is refused.
    descriptors: Arc<Descriptors>,
    listeners: HashMap<SourceId, (PeerId, Listener, S::Lead)>,
    callers: HashMap<SourceId, Caller>,
    links: HashMap<Key, Link>,
    joined: HashMap<SourceId, Key>,
    /// Of [`Link::Joined`] those whose channel is gone; the first comes first.
    left: VecDeque<Key>,
    /// Listeners that have more to accept than they were let, or than there were descriptors for.
    waiting: Vec<SourceId>,
}

impl<S: ForwardSide> Forwards<S> {
    /// Forwards nothing yet. `waker` is that of the loop.
    #[must_use]
    pub fn new(waker: &Arc<Waker>) -> Self {
        Self {
            waker: Arc::clone(waker),
            dialer: Dialer::new(Arc::clone(waker)),
            descriptors: Descriptors::shared(),
            listeners: HashMap::new(),
            callers: HashMap::new(),
            links: HashMap::new(),
            joined: HashMap::new(),
            left: VecDeque::new(),
            waiting: Vec::new(),
        }
    }

    /// Makes a channel of each connection that these accept, until the peer is gone.
    ///
    /// # Errors
    /// The system's, or there are [`LISTENERS_MAX`], or no more descriptors may be held; then none of them listens.
    pub fn listen(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        listeners: Vec<Listener>,
        lead: &S::Lead,
    ) -> io::Result<()> {
        let there = self.listeners.values().filter(|(of, ..)| *of == peer).count();
        if there + listeners.len() > LISTENERS_MAX {
            return Err(io::Error::other("too many sockets are listened on"));
        }
        for mut listener in listeners {
            let registered = Held::take(&self.descriptors).map_err(io::Error::from).and_then(|held| {
                listener.held = Some(held);
                cx.register(listener.source(), Interest::READABLE)
            });
            match registered {
                Ok(id) => drop(self.listeners.insert(id, (peer, listener, lead.clone()))),
                Err(error) => {
                    self.stop_listening(cx, peer, lead);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Accepts no more connections that lead there; whether any were accepted. Those that are there stay.
    pub fn stop_listening(&mut self, cx: &mut Context<'_>, peer: PeerId, lead: &S::Lead) -> bool {
        let is = |(of, _, to): &(PeerId, Listener, S::Lead)| *of == peer && to == lead;
        let gone: Vec<_> = self.listeners.iter().filter(|(_, entry)| is(entry)).map(|(id, _)| *id).collect();
        gone.iter().for_each(|id| self.close_listener(cx, *id));
        !gone.is_empty()
    }

    /// Whether anything is listened on for the peer that leads there.
    #[must_use]
    pub fn is_listening(&self, peer: PeerId, lead: &S::Lead) -> bool {
        self.listeners.values().any(|(of, _, to)| *of == peer && to == lead)
    }

    fn close_listener(&mut self, cx: &mut Context<'_>, id: SourceId) {
        if let Some((_, mut listener, _)) = self.listeners.remove(&id) {
            let _gone = cx.deregister(listener.source(), id);
        }
    }

    /// Connects to where a channel of the peer's is to lead; once that is done the channel is accepted, or refused with the
    /// reason.
    pub fn connect(&mut self, key: (PeerId, ChannelId), target: Target) {
        self.links.insert(key, Link::Connecting(Early::default()));
        self.dial(key, target);
    }

    /// Accepts a channel of the peer's, which says by SOCKS what to connect to.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn accept_socks(&mut self, key: (PeerId, ChannelId), conn: &mut Connection<S>) -> Result<(), Error> {
        self.links.insert(key, Link::Greeting(Handshake::default(), Vec::new()));
        Ok(conn.accept_channel(key.1)?)
    }

    fn dial(&mut self, key: Key, target: Target) {
        let make: Box<dyn FnOnce() -> io::Result<Stream> + Send> = match target {
            Target::Tcp(host, port) => Box::new(move || {
                let stream = connect_by(&host, port, DIAL_TIMEOUT)?;
                let _unsupported = stream.set_nodelay(true);
                Ok(Stream::Tcp(stream))
            }),
            // Its listener is not waited for, but its file system may be.
            Target::Unix(path) => Box::new(move || UnixStream::connect(path).map(Stream::Unix)),
            Target::Made(make) => make,
        };
        let held = Held::take(&self.descriptors);
        let make_held = move || {
            let held = held?;
            Ok((make()?, held))
        };
        self.dialer.start(key, Box::new(make_held));
    }

    /// A connection was made, or not.
    fn connected(
        &mut self,
        cx: &mut Context<'_>,
        key: Key,
        conn: &mut Connection<S>,
        outcome: io::Result<(Stream, Held)>,
    ) -> Result<(), Error> {
        if !matches!(self.links.get(&key), Some(Link::Connecting(_))) {
            return Ok(());
        }
        let Some(Link::Connecting(mut early)) = self.links.remove(&key) else { return Ok(()) };
        let joined = outcome.and_then(|(stream, held)| Ok((Join::new(cx, key.1, stream)?, held)));
        match (joined, &early.socks) {
            (Ok((mut join, held)), socks) => {
                match socks {
                    Some(socks) => {
                        early.unsaid.extend_from_slice(socks.answer(Outcome::Connected));
                        join.say_first(early.unsaid);
                    }
                    None => conn.accept_channel(key.1)?,
                }
                join.pump(cx, Some(conn))?;
                if !early.bytes.is_empty() {
                    join.event(cx, conn, &ChannelEvent::Data { data: &early.bytes })?;
                }
                if early.ended {
                    join.event(cx, conn, &ChannelEvent::Eof)?;
                }
                self.keep(key, join, held);
                self.settle(cx, key);
            }
            (Err(_), Some(socks)) => {
                early.unsaid.extend_from_slice(socks.answer(Outcome::Failed));
                self.refuse(key, conn, early.unsaid)?;
            }
            (Err(error), None) => conn.refuse_channel(key.1, CONNECT_FAILED, &short(&error))?,
        }
        Ok(())
    }

    /// Ends an accepted channel, once it has taken this.
    fn refuse(&mut self, key: Key, conn: &mut Connection<S>, mut unsaid: Vec<u8>) -> Result<(), Error> {
        let mut channel = conn.channel(key.1)?;
        let link = if say(&mut channel, &mut unsaid) {
            channel.close()?;
            Link::Over
        } else {
            Link::Refusing(unsaid)
        };
        self.links.insert(key, link);
        Ok(())
    }

    fn keep(&mut self, key: Key, join: Join, held: Held) {
        self.joined.extend(join.source().map(|source| (source, key)));
        self.links.insert(key, Link::Joined(join, false, held));
    }

    /// Something happened to a channel. Whether it is one of those here; the program knows the others.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn event(
        &mut self,
        cx: &mut Context<'_>,
        key: (PeerId, ChannelId),
        conn: &mut Connection<S>,
        event: &ChannelEvent<'_>,
    ) -> Result<bool, Error> {
        let Some(link) = self.links.get_mut(&key) else { return Ok(false) };
        match (link, event) {
            (Link::Joined(join, closed, _), event) => {
                *closed |= *event == ChannelEvent::Closed;
                join.event(cx, conn, event)?;
                self.settle(cx, key);
            }
            (_, ChannelEvent::Closed) => {
                self.links.remove(&key);
                self.dialer.forget(|of| of == key);
            }
            (Link::Opening(..), ChannelEvent::Opened) => self.opened(cx, key, conn)?,
            (Link::Opening(..), ChannelEvent::OpenFailure { reason_code, .. }) => {
                if let Some(Link::Opening(mut stream, Some(socks), _)) = self.links.remove(&key) {
                    let outcome = match *reason_code {
                        ADMINISTRATIVELY_PROHIBITED => Outcome::Prohibited,
                        _ => Outcome::Failed,
                    };
                    let _it_may_not_hear = stream.write(socks.answer(outcome));
                }
                self.accept_waiting();
            }
            (Link::Greeting(..), ChannelEvent::Data { data }) => self.greeted(key, conn, data)?,
            (Link::Greeting(..), ChannelEvent::Eof) => {
                conn.channel(key.1)?.close()?;
                self.links.insert(key, Link::Over);
            }
            (Link::Connecting(early), ChannelEvent::Data { data }) => early.bytes.extend_from_slice(data),
            (Link::Connecting(early), ChannelEvent::Eof) => early.ended = true,
            _ => {}
        }
        Ok(true)
    }

    /// The peer has opened the channel that a socket waits for.
    fn opened(&mut self, cx: &mut Context<'_>, key: Key, conn: &mut Connection<S>) -> Result<(), Error> {
        let Some(Link::Opening(mut stream, socks, held)) = self.links.remove(&key) else { return Ok(()) };
        // Nothing was written to the socket before: it takes so few bytes at once, or is broken.
        let answer = socks.map_or(&b""[..], |socks| socks.answer(Outcome::Connected));
        let answered = stream.write_all(answer);
        match answered.and_then(|()| Join::new(cx, key.1, stream)) {
            Ok(mut join) => {
                join.event(cx, conn, &ChannelEvent::Opened)?;
                self.keep(key, join, held);
                self.settle(cx, key);
            }
            Err(_) => {
                conn.channel(key.1)?.close()?;
                self.links.insert(key, Link::Over);
            }
        }
        Ok(())
    }

    /// A channel's peer has said something by SOCKS.
    fn greeted(&mut self, key: Key, conn: &mut Connection<S>, data: &[u8]) -> Result<(), Error> {
        let Some(Link::Greeting(handshake, unsaid)) = self.links.get_mut(&key) else { return Ok(()) };
        let mut channel = conn.channel(key.1)?;
        let mut rest = data;
        while !rest.is_empty() {
            match handshake.handle(rest) {
                Ok((n, said)) => {
                    channel.adjust_window(n)?;
                    rest = rest.get(n..).unwrap_or_default();
                    match said {
                        Said::Incomplete => {}
                        Said::Answer(answer) => {
                            unsaid.extend_from_slice(answer);
                            say(&mut channel, unsaid);
                        }
                        Said::Connect { host, port } => {
                            let socks = Some(core::mem::take(handshake));
                            let unsaid = core::mem::take(unsaid);
                            let early = Early { socks, unsaid, bytes: rest.to_vec(), ended: false };
                            self.links.insert(key, Link::Connecting(early));
                            self.dial(key, Target::Tcp(host, port));
                            return Ok(());
                        }
                    }
                }
                Err(Refused(answer)) => {
                    unsaid.extend_from_slice(answer);
                    let unsaid = core::mem::take(unsaid);
                    return self.refuse(key, conn, unsaid);
                }
            }
        }
        Ok(())
    }

    /// A channel that was refused bytes would take some. Whether it is one of those here.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn writable(
        &mut self,
        cx: &mut Context<'_>,
        key: (PeerId, ChannelId),
        conn: &mut Connection<S>,
    ) -> Result<bool, Error> {
        let Some(link) = self.links.get_mut(&key) else { return Ok(false) };
        match link {
            Link::Joined(join, ..) => {
                join.pump(cx, Some(conn))?;
                self.settle(cx, key);
            }
            Link::Greeting(_, unsaid) | Link::Connecting(Early { unsaid, .. }) => {
                say(&mut conn.channel(key.1)?, unsaid);
            }
            Link::Refusing(unsaid) => {
                let unsaid = core::mem::take(unsaid);
                self.refuse(key, conn, unsaid)?;
            }
            Link::Opening(..) | Link::Over => {}
        }
        Ok(true)
    }

    /// A descriptor is ready or the loop was woken, perhaps for something else.
    ///
    /// # Errors
    /// None that a peer could cause.
    pub fn source(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, S>,
        source: Source,
    ) -> Result<(), Error> {
        match source {
            Source::Ready(id) if self.listeners.contains_key(&id) => self.accept(cx, peers, id),
            Source::Ready(id) if self.callers.contains_key(&id) => self.called(cx, peers, id),
            Source::Ready(id) => {
                let Some(key) = self.joined.get(&id).copied() else { return Ok(()) };
                let Some(Link::Joined(join, ..)) = self.links.get_mut(&key) else { return Ok(()) };
                if join.pump(cx, peers.get(key.0)).is_err() {
                    join.abandon(cx); // its channel is not what it was taken for
                }
                self.settle(cx, key);
            }
            Source::Woken => {
                while let Some((key, outcome)) = self.dialer.outcome() {
                    let Some(conn) = peers.get(key.0) else { continue };
                    if self.connected(cx, key, conn, outcome).is_err() {
                        self.links.insert(key, Link::Over); // the connection is ending
                    }
                }
                for id in core::mem::take(&mut self.waiting) {
                    self.accept(cx, peers, id);
                }
            }
            Source::Timer => {}
        }
        Ok(())
    }

    /// Accepts what waits at a listener.
    fn accept(&mut self, cx: &mut Context<'_>, peers: &mut Peers<'_, S>, id: SourceId) {
        for _ in 0..ACCEPTS_PER_ROUND {
            let Some((peer, listener, lead)) = self.listeners.get(&id) else { return };
            let (peer, lead) = (*peer, lead.clone());
            match listener.accept() {
                Ok((stream, from)) => self.accepted(cx, peers, peer, &lead, stream, from),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    // No descriptor is left. The end of another connection, or the next one to come, brings it again.
                    _ => return self.wait(id),
                },
            }
        }
        self.wait(id);
        self.accept_waiting();
    }

    fn wait(&mut self, id: SourceId) {
        if !self.waiting.contains(&id) {
            self.waiting.push(id);
        }
    }

    fn accepted(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, S>,
        peer: PeerId,
        lead: &S::Lead,
        stream: Stream,
        from: (String, u16),
    ) {
        // Where no place is left it is closed.
        let (Some(conn), Ok(held)) = (peers.get(peer), Held::take(&self.descriptors)) else { return };
        match (S::open(conn, lead, (&from.0, from.1)), stream) {
            (Ok(Some(channel)), stream) => {
                self.links.insert((peer, channel), Link::Opening(stream, None, held));
            }
            (Ok(None), Stream::Tcp(mut stream)) if self.callers.len() < GREETINGS_MAX => {
                if let Ok(id) = cx.register(&mut stream, Interest::READABLE) {
                    let handshake = Handshake::default();
                    self.callers.insert(id, Caller { peer, stream, from, handshake, held });
                }
            }
            // Too many channels, for instance; it is closed.
            _ => {}
        }
    }

    /// A socket says something by SOCKS.
    fn called(&mut self, cx: &mut Context<'_>, peers: &mut Peers<'_, S>, id: SourceId) {
        let Some(caller) = self.callers.get_mut(&id) else { return };
        let lead = match caller.listen() {
            Ok(None) => return,
            Ok(Some((host, port))) => S::by_socks(host, port),
            Err(_) => None,
        };
        let Some(mut caller) = self.callers.remove(&id) else { return };
        let _gone = cx.deregister(&mut caller.stream, id);
        if let (Some(lead), Some(conn)) = (lead, peers.get(caller.peer)) {
            match S::open(conn, &lead, (&caller.from.0, caller.from.1)) {
                Ok(Some(channel)) => {
                    let link = Link::Opening(Stream::Tcp(caller.stream), Some(caller.handshake), caller.held);
                    self.links.insert((caller.peer, channel), link);
                }
                _ => drop(caller.stream.write(caller.handshake.answer(Outcome::Failed))),
            }
        }
        self.accept_waiting();
    }

    /// Lets go of what has ended.
    fn settle(&mut self, cx: &mut Context<'_>, key: Key) {
        let Some(Link::Joined(join, closed, _)) = self.links.get(&key) else { return };
        if !join.is_over() {
            if *closed && !self.left.contains(&key) {
                self.left.push_back(key);
                self.bound_left(cx);
            }
            return;
        }
        if *closed {
            self.links.remove(&key);
            self.left.retain(|of| *of != key);
        } else {
            self.links.insert(key, Link::Over);
        }
        self.joined.retain(|_, of| *of != key);
        self.accept_waiting();
    }

    /// Closes the first of those that are left, until as many are left as may be.
    fn bound_left(&mut self, cx: &mut Context<'_>) {
        let held = |links: &HashMap<Key, Link>, key: &Key| match links.get(key) {
            Some(Link::Joined(join, ..)) => join.held(),
            _ => 0,
        };
        let mut bytes: usize = self.left.iter().map(|key| held(&self.links, key)).sum();
        while (self.left.len() > LEFT_MAX || bytes > LEFT_BYTES_MAX)
            && let Some(first) = self.left.front().copied()
        {
            bytes -= held(&self.links, &first);
            if let Some(Link::Joined(join, ..)) = self.links.get_mut(&first) {
                join.abandon(cx);
            }
            self.links.remove(&first);
            self.joined.retain(|_, of| *of != first);
            self.left.pop_front();
        }
    }

    /// There may be descriptors again.
    fn accept_waiting(&self) {
        if !self.waiting.is_empty() {
            let _gone = self.waker.wake();
        }
    }

    /// The peer is gone: what it was to have still gets what was sent to it, and everything else is closed.
    pub fn disconnect(&mut self, cx: &mut Context<'_>, peer: PeerId) {
        let listeners: Vec<_> =
            self.listeners.iter().filter(|(_, (of, ..))| *of == peer).map(|(id, _)| *id).collect();
        listeners.iter().for_each(|id| self.close_listener(cx, *id));
        let callers: Vec<_> =
            self.callers.iter().filter(|(_, caller)| caller.peer == peer).map(|(id, _)| *id).collect();
        for id in callers {
            if let Some(mut caller) = self.callers.remove(&id) {
                let _gone = cx.deregister(&mut caller.stream, id);
            }
        }
        self.dialer.forget(|of| of.0 == peer);
        let keys: Vec<_> = self.links.keys().filter(|key| key.0 == peer).copied().collect();
        for key in keys {
            if let Some(Link::Joined(join, closed, _)) = self.links.get_mut(&key) {
                *closed = true;
                let _nobody_left = join.pump::<S>(cx, None);
                self.settle(cx, key);
            } else {
                self.links.remove(&key);
            }
        }
        self.accept_waiting();
    }

    /// Whether no forwarded connection is there or on its way; who has not said yet where to by SOCKS has none.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.links.values().all(|link| matches!(link, Link::Over))
    }
}

impl Caller {
    /// Takes what it says, and not a byte beyond its request: where it goes, once that was said.
    fn listen(&mut self) -> io::Result<Option<(String, u16)>> {
        let mut buffer = [0; SAID_MAX];
        loop {
            let n = match self.stream.peek(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            match self.handshake.handle(buffer.get(..n).unwrap_or_default()) {
                Ok((taken, said)) => {
                    self.stream.read_exact(buffer.get_mut(..taken).unwrap_or_default())?;
                    match said {
                        Said::Incomplete => {}
                        Said::Answer(answer) => self.stream.write_all(answer)?,
                        Said::Connect { host, port } => return Ok(Some((host, port))),
                    }
                }
                Err(Refused(answer)) => {
                    // What is unread when a socket is closed takes with it what was written.
                    let _read = self.stream.read(&mut buffer);
                    self.stream.write_all(answer)?;
                    return Err(io::ErrorKind::InvalidData.into());
                }
            }
        }
    }
}

/// Says as much as the channel takes; whether that is all.
fn say<S: ForwardSide>(channel: &mut Channel<'_, S>, unsaid: &mut Vec<u8>) -> bool {
    unsaid.drain(..channel.write(unsaid));
    unsaid.is_empty()
}

/// The system's words without its number.
fn short(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
