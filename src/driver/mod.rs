//! The loop: mio, sockets and the clock (Linux).
//!
//! ```text
//! poll ──▶ readiness is two flags of a peer, and a place in the queue
//!      ──▶ one turn for each peer in the queue:
//!            send ─▶ read once ─▶ take ≤ 64 packets: Application::event ─▶ Application::writable ─▶ send
//!            again at the back of the queue if there is more to do; else an event, a verdict or a time brings it
//! ```
//!
//! A peer is registered once, edge-triggered. A pending verdict and a peer that does not read cost no rounds. Connections
//! share the buffers of the loop; an idle one holds none. This layer knows not one byte of SSH.

#[cfg(feature = "programs")]
pub mod accounts;
#[cfg(feature = "programs")]
pub mod agent;
#[cfg(feature = "programs")]
pub mod algorithms;
mod application;
#[cfg(feature = "programs")]
pub mod authenticator;
#[cfg(feature = "programs")]
pub mod config;
mod connect;
#[cfg(feature = "programs")]
pub mod environment;
mod error;
#[cfg(feature = "programs")]
pub mod files;
pub mod forward;
pub mod gate;
#[cfg(feature = "programs")]
pub mod glob;
#[cfg(feature = "programs")]
pub mod identities;
pub mod join;
#[cfg(feature = "programs")]
pub mod login;
#[cfg(feature = "programs")]
pub mod options;
#[cfg(feature = "programs")]
pub mod passwords;
mod peer;
mod pool;
#[cfg(feature = "programs")]
pub mod proxy;
#[cfg(feature = "programs")]
pub mod pty;
pub mod sftp;
pub mod signal;
pub mod socks;
pub mod stdio;
#[cfg(feature = "programs")]
pub mod terminal;
#[cfg(feature = "programs")]
pub mod text;

pub use application::{Application, Context, PeerId, Peers, Source, SourceId};
pub use connect::{Way, connect};
pub use error::Error;
pub use peer::{INPUT_MARK, Stream};

use crate::connection::Connection;
use crate::transport;
use crate::userauth::UserauthSide;
use application::{LISTENER, Named, WAKER, named, peer_token};
use core::time::Duration;
use gate::{Gate, Offence};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Waker};
use peer::{Peer, Turn};
use pool::Pool;
use slab::Slab;
use std::collections::{BTreeSet, VecDeque};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// Events fetched from the system at a time.
const EVENTS: usize = 256;

/// Connections that are accepted, or refused, before the peers that are here have their turns.
const ACCEPTS_PER_ROUND: usize = 64;

/// How long no connection is accepted after the system had no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Makes the connection of a peer that was accepted.
pub type Accept<S> = Box<dyn FnMut(SocketAddr, Instant) -> Connection<S> + Send>;

struct Listener<S: UserauthSide> {
    socket: TcpListener,
    accept: Accept<S>,
    /// No descriptor was left, or a round has had its share: not before this.
    paused: Option<Instant>,
}

/// The loop of one thread, with its peers and its program.
pub struct Driver<S: UserauthSide, A> {
    /// The program.
    pub app: A,
    poll: Poll,
    /// Held, so that a wake-up is not lost with the last holder outside.
    _waker: Arc<Waker>,
    listener: Option<Listener<S>>,
    gate: Option<Gate>,
    peers: Slab<Peer<S>>,
    /// Slots of peers that have a turn to come; each once.
    queue: VecDeque<usize>,
    sources: Slab<()>,
    deadlines: BTreeSet<(Instant, usize)>,
    timer: Option<Instant>,
    /// Whether peers are accepted, as far as the program wants it.
    listening: bool,
    pool: Pool,
    generation: u64,
    rounds: u64,
}

/// The loop's parts, borrowed apart: the context and the peers.
macro_rules! context {
    ($driver:ident, $now:expr) => {
        Context {
            registry: $driver.poll.registry(),
            sources: &mut $driver.sources,
            timer: &mut $driver.timer,
            listening: &mut $driver.listening,
            now: $now,
        }
    };
}

impl<S: UserauthSide, A: Application<S>> Driver<S, A> {
    /// A loop without peers.
    ///
    /// # Errors
    /// The system's.
    pub fn new(app: A) -> io::Result<Self> {
        Self::with_waker(|_| Ok(app))
    }

    /// The same for a program whose threads wake the loop: [`Application::source`] is told [`Source::Woken`].
    ///
    /// # Errors
    /// The system's, and those of `make`.
    pub fn with_waker(make: impl FnOnce(Arc<Waker>) -> io::Result<A>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Self {
            app: make(Arc::clone(&waker))?,
            poll,
            _waker: waker,
            listener: None,
            gate: None,
            peers: Slab::new(),
            queue: VecDeque::new(),
            sources: Slab::new(),
            deadlines: BTreeSet::new(),
            timer: None,
            listening: true,
            pool: Pool::new(),
            generation: 0,
            rounds: 0,
        })
    }

    /// Accepts peers from a socket, whoever they are and however many. A server for strangers wants
    /// [`listen_behind`](Self::listen_behind).
    ///
    /// # Errors
    /// The system's.
    pub fn listen(&mut self, mut socket: TcpListener, accept: Accept<S>) -> io::Result<()> {
        self.poll.registry().register(&mut socket, LISTENER, Interest::READABLE)?;
        self.listener = Some(Listener { socket, accept, paused: None });
        Ok(())
    }

    /// Accepts from a socket the peers that `gate` admits; the others are sent a line and closed.
    ///
    /// # Errors
    /// The system's.
    pub fn listen_behind(&mut self, gate: Gate, socket: TcpListener, accept: Accept<S>) -> io::Result<()> {
        self.gate = Some(gate);
        self.listen(socket, accept)
    }

    /// The gate, to look at its numbers.
    #[must_use]
    pub const fn gate(&self) -> Option<&Gate> {
        self.gate.as_ref()
    }

    /// Adds a peer; the stream may still be connecting.
    ///
    /// # Errors
    /// The system's.
    pub fn add(
        &mut self,
        mut stream: Stream,
        conn: Connection<S>,
        address: Option<SocketAddr>,
    ) -> io::Result<PeerId> {
        if let Stream::Tcp(stream) = &stream {
            let _unsupported = stream.set_nodelay(true); // whole turns are written at once; nothing is won by waiting
        }
        let slot = self.peers.vacant_key();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(stream.source(), peer_token(slot), interest)?;
        self.generation += 1;
        let id = PeerId { slot, generation: self.generation };
        self.peers.insert(Peer::new(stream, conn, self.generation));
        let mut cx = context!(self, Instant::now());
        self.app.connect(&mut cx, id, address);
        self.enqueue(slot);
        Ok(id)
    }

    /// Runs something of the program's outside of its turn.
    ///
    /// # Errors
    /// Those of `act`.
    pub fn with<T>(
        &mut self,
        act: impl FnOnce(&mut A, &mut Context<'_>, &mut Peers<'_, S>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut cx = context!(self, Instant::now());
        let mut peers = Peers { peers: &mut self.peers, queue: &mut self.queue, pool: &mut self.pool };
        act(&mut self.app, &mut cx, &mut peers)
    }

    /// How often the loop went round; a test holds it small.
    #[must_use]
    pub const fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Goes round until the program is done.
    ///
    /// # Errors
    /// Those of the system's poll and of [`Application::source`]. The end of a connection is not one.
    pub fn run(&mut self) -> Result<(), Error> {
        let mut events = Events::with_capacity(EVENTS);
        while !self.app.is_done() {
            match self.poll.poll(&mut events, self.timeout()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            self.rounds += 1;
            let now = Instant::now();
            if !self.listening {
                self.listener = None;
            }
            for event in &events {
                match named(event.token()) {
                    Named::Waker => self.source(Source::Woken, now)?,
                    Named::Source(id) if self.sources.contains(id.0) => {
                        self.source(Source::Ready(id), now)?
                    }
                    Named::Source(_) => {}
                    Named::Listener if self.is_paused(now) => {} // its time brings it
                    Named::Listener => self.accept(now),
                    Named::Peer(slot) => {
                        if let Some(peer) = self.peers.get_mut(slot) {
                            peer.readable |= event.is_readable() || event.is_read_closed();
                            peer.writable |= event.is_writable() || event.is_write_closed();
                            peer.read_closed |= event.is_read_closed();
                            self.enqueue(slot);
                        }
                    }
                }
            }
            self.expire(now)?;
            for _ in 0..self.queue.len() {
                if let Some(slot) = self.queue.pop_front() {
                    self.turn(slot, now);
                }
            }
        }
        Ok(())
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.queue.is_empty() {
            return Some(Duration::ZERO);
        }
        let paused = self.listener.as_ref().and_then(|listener| listener.paused);
        let next =
            [self.deadlines.first().map(|(at, _)| *at), self.timer, paused].into_iter().flatten().min()?;
        // A millisecond is what the system waits in; one more, and the deadline has surely passed.
        Some(next.saturating_duration_since(Instant::now()) + Duration::from_millis(1))
    }

    fn expire(&mut self, now: Instant) -> Result<(), Error> {
        while let Some(&(at, slot)) = self.deadlines.first()
            && at <= now
        {
            self.deadlines.pop_first();
            if let Some(peer) = self.peers.get_mut(slot) {
                peer.deadline = None;
                self.enqueue(slot);
            }
        }
        if self.timer.is_some_and(|at| at <= now) {
            self.timer = None;
            self.source(Source::Timer, now)?;
        }
        if self.listener.as_ref().is_some_and(|listener| listener.paused.is_some_and(|at| at < now)) {
            self.accept(now);
        }
        Ok(())
    }

    fn source(&mut self, source: Source, now: Instant) -> Result<(), Error> {
        let mut cx = context!(self, now);
        let mut peers = Peers { peers: &mut self.peers, queue: &mut self.queue, pool: &mut self.pool };
        self.app.source(&mut cx, &mut peers, source)
    }

    fn enqueue(&mut self, slot: usize) {
        if let Some(peer) = self.peers.get_mut(slot)
            && !core::mem::replace(&mut peer.queued, true)
        {
            self.queue.push_back(slot);
        }
    }

    fn turn(&mut self, slot: usize, now: Instant) {
        let Some(peer) = self.peers.get_mut(slot) else { return };
        peer.queued = false;
        let id = PeerId { slot, generation: peer.generation };
        let mut cx = context!(self, now);
        let turn = peer.turn(id, &mut self.app, &mut cx, &mut self.pool);
        let closed = matches!(turn, Turn::Closed(_));
        let deadline = if closed { None } else { peer.poll_timeout() };
        if peer.deadline != deadline {
            if let Some(old) = peer.deadline {
                self.deadlines.remove(&(old, slot));
            }
            if let Some(new) = deadline {
                self.deadlines.insert((new, slot));
            }
            peer.deadline = deadline;
        }
        if let (Some(gate), Some(place), true) =
            (&mut self.gate, &mut peer.place, peer.conn.is_authenticated())
        {
            gate.authenticated(place);
        }
        match turn {
            Turn::Wait => {}
            Turn::Again => self.enqueue(slot),
            Turn::Closed(why) => {
                let mut peer = self.peers.remove(slot);
                let _gone = self.poll.registry().deregister(peer.stream().source());
                if let (Some(gate), Some(place)) = (&mut self.gate, peer.place.take()) {
                    gate.leave(place, offence(&peer.conn, &why), now);
                }
                self.app.disconnect(&mut cx, id, why);
            }
        }
    }

    fn is_paused(&self, now: Instant) -> bool {
        self.listener.as_ref().is_some_and(|listener| listener.paused.is_some_and(|until| until > now))
    }

    fn accept(&mut self, now: Instant) {
        for _ in 0..ACCEPTS_PER_ROUND {
            let Some(listener) = &mut self.listener else { return };
            listener.paused = None;
            match listener.socket.accept() {
                Ok((socket, address)) => {
                    if self.receive(socket, address, now).is_err() {
                        return self.pause_accepting(now + ACCEPT_PAUSE); // the system cannot watch more sockets
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => return self.pause_accepting(now + ACCEPT_PAUSE),
                },
            }
        }
        self.pause_accepting(now); // there may be more, of which the system does not tell again
    }

    fn receive(&mut self, mut socket: TcpStream, address: SocketAddr, now: Instant) -> io::Result<()> {
        let place = match self.gate.as_mut().map(|gate| gate.admit(address.ip(), now)).transpose() {
            Ok(place) => place,
            Err(why) => {
                let _it_may_not_hear = socket.write(why.line().as_bytes());
                if let Some(passed_over) = self.gate.as_mut().and_then(|gate| gate.tell(now)) {
                    self.app.refused(&mut context!(self, now), address, why, passed_over);
                }
                return Ok(());
            }
        };
        let Some(listener) = &mut self.listener else { return Ok(()) };
        let conn = (listener.accept)(address, now);
        let added = self.add(Stream::Tcp(socket), conn, Some(address));
        match (&added, &mut self.gate, place) {
            (Ok(id), _, place) => {
                if let Some(peer) = self.peers.get_mut(id.slot) {
                    peer.place = place;
                }
            }
            (Err(_), Some(gate), Some(place)) => gate.leave(place, None, now),
            (Err(_), ..) => {}
        }
        added.map(drop)
    }

    /// Meanwhile the backlog holds the peers, and those that are here may end.
    const fn pause_accepting(&mut self, until: Instant) {
        if let Some(listener) = &mut self.listener {
            listener.paused = Some(until);
        }
    }
}

/// What a peer did, if it ended without a login.
fn offence<S: UserauthSide>(conn: &Connection<S>, why: &Result<(), Error>) -> Option<Offence> {
    match why {
        _ if conn.is_authenticated() => None,
        Err(Error::Ssh(transport::Error::TimedOut)) => Some(Offence::GraceExceeded),
        Err(Error::Ssh(transport::Error::Misuse(_) | transport::Error::Failed)) => Some(Offence::Crash),
        _ if conn.has_tried() => Some(Offence::AuthFail),
        Ok(()) if conn.is_ended() => Some(Offence::RefuseConnection),
        _ => Some(Offence::NoAuth),
    }
}
