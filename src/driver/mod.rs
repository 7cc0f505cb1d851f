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
//! share the buffers of the loop; an idle one holds none. More cores are more loops ([`Workers`]). This layer knows not one
//! byte of SSH.

#[cfg(feature = "programs")]
pub mod accounts;
#[cfg(feature = "programs")]
pub mod agent;
#[cfg(feature = "programs")]
pub mod algorithms;
mod application;
#[cfg(feature = "programs")]
pub mod arguments;
#[cfg(feature = "programs")]
pub mod authenticator;
#[cfg(feature = "programs")]
pub mod config;
mod connect;
#[cfg(feature = "programs")]
pub mod environment;
mod error;
#[cfg(feature = "programs")]
pub mod exit;
#[cfg(feature = "programs")]
pub mod files;
pub mod forward;
pub mod gate;
#[cfg(feature = "programs")]
pub mod glob;
#[cfg(feature = "programs")]
pub mod identities;
pub mod join;
mod listener;
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
pub(crate) mod task;
#[cfg(feature = "programs")]
pub mod terminal;
#[cfg(feature = "programs")]
pub mod text;
mod workers;

pub use application::{Application, Context, PeerId, Peers, Source, SourceId};
pub use connect::{Way, connect};
pub use error::Error;
pub use listener::Accept;
pub use peer::{INPUT_MARK, Stream};
pub use workers::{INBOX_MAX, WORKERS_MAX, Workers};

use crate::connection::Connection;
use crate::userauth::UserauthSide;
use application::{Named, WAKER, named};
use core::time::Duration;
use gate::Gate;
use listener::{Listener, locked, offence};
use mio::{Events, Poll, Waker};
use peer::{Peer, Turn};
use pool::Pool;
use slab::Slab;
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use workers::Seat;

/// Events fetched from the system at a time.
const EVENTS: usize = 256;

/// The loop of one thread, with its peers and its program.
pub struct Driver<S: UserauthSide, A> {
    /// The program.
    pub app: A,
    poll: Poll,
    /// Held, so that a wake-up is not lost with the last holder outside.
    waker: Arc<Waker>,
    listeners: Vec<Listener>,
    /// Makes the connections of those who are accepted, here or by another worker.
    accept: Option<Accept<S>>,
    gate: Option<Arc<Mutex<Gate>>>,
    /// The other workers, if there are some.
    seat: Option<Seat>,
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
        $crate::driver::Context {
            registry: $driver.poll.registry(),
            sources: &mut $driver.sources,
            timer: &mut $driver.timer,
            listening: &mut $driver.listening,
            gate: $driver.gate.as_deref(),
            now: $now,
        }
    };
}
use context;

macro_rules! peers {
    ($driver:ident) => {
        Peers {
            peers: &mut $driver.peers,
            queue: &mut $driver.queue,
            pool: &mut $driver.pool,
            generation: &mut $driver.generation,
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
            waker,
            listeners: Vec::new(),
            accept: None,
            gate: None,
            seat: None,
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

    /// Adds a peer; the stream may still be connecting.
    ///
    /// # Errors
    /// The system's.
    pub fn add(
        &mut self,
        stream: Stream,
        conn: Connection<S>,
        address: Option<SocketAddr>,
    ) -> io::Result<PeerId> {
        let mut cx = context!(self, Instant::now());
        let id = peers!(self).add(&mut cx, stream, conn)?;
        self.tell_number();
        let mut cx = context!(self, Instant::now());
        self.app.connect(&mut cx, id, address);
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
        let mut peers = peers!(self);
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
        loop {
            self.hear()?;
            if self.is_over() {
                return Ok(());
            }
            match self.poll.poll(&mut events, self.timeout()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            self.rounds += 1;
            let now = Instant::now();
            for event in &events {
                match named(event.token()) {
                    Named::Waker => self.source(Source::Woken, now)?,
                    Named::Source(id) if self.sources.contains(id.0) => {
                        self.source(Source::Ready(id), now)?
                    }
                    Named::Source(_) => {}
                    Named::Listener(index) if self.is_paused(index, now) => {} // its time brings it
                    Named::Listener(index) => self.accept(index, now),
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
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.queue.is_empty() {
            return Some(Duration::ZERO);
        }
        let listener = self.listeners.iter().filter_map(Listener::due).min();
        let next =
            [self.deadlines.first().map(|(at, _)| *at), self.timer, listener].into_iter().flatten().min()?;
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
        for index in 0..self.listeners.len() {
            let Some(listener) = self.listeners.get_mut(index) else { continue };
            listener.close_refused(now);
            if listener.paused.is_some_and(|at| at < now) {
                self.accept(index, now);
            }
        }
        Ok(())
    }

    fn source(&mut self, source: Source, now: Instant) -> Result<(), Error> {
        let mut cx = context!(self, now);
        let mut peers = peers!(self);
        let told = self.app.source(&mut cx, &mut peers, source);
        self.tell_number();
        told
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
        if let (Some(gate), Some(place)) = (&self.gate, &mut peer.place)
            && place.is_startup()
            && peer.conn.is_authenticated()
        {
            locked(gate).authenticated(place);
        }
        match turn {
            Turn::Wait => {}
            Turn::Again => self.enqueue(slot),
            Turn::Closed(why) => {
                let mut peer = self.peers.remove(slot);
                let _gone = self.poll.registry().deregister(peer.stream().source());
                if let (Some(gate), Some(place)) = (&self.gate, peer.place.take()) {
                    locked(gate).leave(place, offence(&peer.conn, &why), now);
                }
                self.tell_number();
                let mut cx = context!(self, now);
                self.app.disconnect(&mut cx, id, why);
            }
        }
    }
}
