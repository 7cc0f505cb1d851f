//! What a program implements, and what it may do from there.

use super::gate::{Gate, Refusal};
use super::listener::locked;
use super::peer::Peer;
use super::{Error, Stream, pool::Pool};
use crate::connection::{ChannelId, Connection, Event};
use crate::userauth::UserauthSide;
use mio::{Interest, Registry, Token, event};
use slab::Slab;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

/// A program around connections. Its methods are called from the loop and must not block.
pub trait Application<S: UserauthSide> {
    /// A peer is there: accepted by a listener, or added by the program. Nothing was read from it yet.
    fn connect(&mut self, cx: &mut Context<'_>, peer: PeerId, address: Option<SocketAddr>) {
        let _ = (cx, peer, address);
    }

    /// At which of its own addresses a listener accepted a peer; told after [`connect`](Self::connect).
    fn accepted(&mut self, peer: PeerId, own: SocketAddr) {
        let _ = (peer, own);
    }

    /// A peer was refused at the gate. At most once a second that is to be told, with the number of those before that were not:
    /// a flood of peers is no flood of lines.
    fn refused(&mut self, cx: &mut Context<'_>, source: SocketAddr, why: Refusal, untold: Option<u64>) {
        let _ = (cx, source, why, untold);
    }

    /// Something happened on a connection.
    ///
    /// # Errors
    /// End the connection.
    fn event(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<S>,
        event: Event<'_, S>,
    ) -> Result<(), Error>;

    /// A channel that was refused bytes would take some.
    ///
    /// # Errors
    /// End the connection.
    fn writable(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<S>,
        id: ChannelId,
    ) -> Result<(), Error> {
        let _ = (cx, peer, conn, id);
        Ok(())
    }

    /// A connection is gone; `why` is an error unless it was ended on purpose, here or by the peer's closing its stream.
    fn disconnect(&mut self, cx: &mut Context<'_>, peer: PeerId, why: Result<(), Error>);

    /// A descriptor of the program's own is ready, its time has come, or a [`Waker`](mio::Waker) was used.
    ///
    /// # Errors
    /// End the loop.
    fn source(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, S>,
        source: Source,
    ) -> Result<(), Error> {
        let _ = (cx, peers, source);
        Ok(())
    }

    /// No more peers come: the program of another worker has stopped listening ([`Workers`](super::Workers)). It is told
    /// once, after the last of the peers that were on their way; the loop goes on until this program, too, is done.
    ///
    /// # Errors
    /// End the loop.
    fn stopped_listening(&mut self, cx: &mut Context<'_>, peers: &mut Peers<'_, S>) -> Result<(), Error> {
        let _ = (cx, peers);
        Ok(())
    }

    /// Ends the loop when true.
    fn is_done(&self) -> bool;
}

/// What [`Application::source`] is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A descriptor that was registered by [`Context::register`]. Edge-triggered: use it until it would block.
    Ready(SourceId),
    /// The time set by [`Context::set_timer`] has come.
    Timer,
    /// The loop's [`Waker`](mio::Waker) was used; with several workers perhaps by one of them, which is nothing to the program.
    Woken,
}

/// Names a peer for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId {
    pub(crate) slot: usize,
    pub(crate) generation: u64,
}

/// Names a descriptor of the program's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub(super) usize);

/// The loop, as far as a program may touch it.
pub struct Context<'a> {
    pub(super) registry: &'a Registry,
    pub(super) sources: &'a mut Slab<()>,
    pub(super) timer: &'a mut Option<Instant>,
    pub(super) listening: &'a mut bool,
    pub(super) gate: Option<&'a Mutex<Gate>>,
    /// The time of this round of the loop.
    pub now: Instant,
}

impl Context<'_> {
    /// Registers a descriptor, edge-triggered.
    ///
    /// # Errors
    /// The system's.
    pub fn register(
        &mut self,
        source: &mut (impl event::Source + ?Sized),
        interest: Interest,
    ) -> io::Result<SourceId> {
        let slot = self.sources.vacant_entry();
        let id = SourceId(slot.key());
        source.register(self.registry, id.token(), interest)?;
        slot.insert(());
        Ok(id)
    }

    /// Undoes that; before the descriptor is closed.
    ///
    /// # Errors
    /// The system's.
    pub fn deregister(&mut self, source: &mut (impl event::Source + ?Sized), id: SourceId) -> io::Result<()> {
        self.sources.try_remove(id.0);
        source.deregister(self.registry)
    }

    /// Accepts no more peers; with several workers, wherever they would have gone.
    pub const fn stop_listening(&mut self) {
        *self.listening = false;
    }

    /// The gate, if there is one; no peer comes or goes as long as it is held.
    #[must_use]
    pub fn gate(&self) -> Option<MutexGuard<'_, Gate>> {
        self.gate.map(locked)
    }

    /// Sets or clears the program's one timer.
    pub const fn set_timer(&mut self, at: Option<Instant>) {
        *self.timer = at;
    }
}

const KINDS: usize = 3;
/// The first token is the loop's own.
const OWN: usize = 1;

impl SourceId {
    pub(super) const fn token(self) -> Token {
        Token(OWN + self.0 * KINDS + 1)
    }
}

pub(super) const fn peer_token(slot: usize) -> Token {
    Token(OWN + slot * KINDS)
}

pub(super) const fn listener_token(index: usize) -> Token {
    Token(OWN + index * KINDS + 2)
}

/// What a token names.
pub(super) enum Named {
    Waker,
    Listener(usize),
    Peer(usize),
    Source(SourceId),
}

pub(super) const WAKER: Token = Token(0);

pub(super) const fn named(token: Token) -> Named {
    let Some(number) = token.0.checked_sub(OWN) else { return Named::Waker };
    let index = number / KINDS;
    match number % KINDS {
        0 => Named::Peer(index),
        1 => Named::Source(SourceId(index)),
        _ => Named::Listener(index),
    }
}

/// All connections of the loop.
pub struct Peers<'a, S: UserauthSide> {
    pub(super) peers: &'a mut Slab<Peer<S>>,
    pub(super) queue: &'a mut VecDeque<usize>,
    pub(super) pool: &'a mut Pool,
    pub(super) generation: &'a mut u64,
}

impl<S: UserauthSide> Peers<'_, S> {
    /// Adds a peer of the program's own, as [`Driver::add`](super::Driver::add) does; [`Application::connect`] is not told.
    ///
    /// # Errors
    /// The system's.
    pub fn add(
        &mut self,
        cx: &mut Context<'_>,
        mut stream: Stream,
        conn: Connection<S>,
    ) -> io::Result<PeerId> {
        if let Stream::Tcp(stream) = &stream {
            let _unsupported = stream.set_nodelay(true); // whole turns are written at once; nothing is won by waiting
        }
        let slot = self.peers.vacant_key();
        cx.registry.register(stream.source(), peer_token(slot), Interest::READABLE | Interest::WRITABLE)?;
        *self.generation += 1;
        let mut peer = Peer::new(stream, conn, *self.generation);
        peer.queued = true;
        self.peers.insert(peer);
        self.queue.push_back(slot);
        Ok(PeerId { slot, generation: *self.generation })
    }

    /// A connection, to act on it; it gets a turn for what it has to send then.
    pub fn get(&mut self, id: PeerId) -> Option<&mut Connection<S>> {
        let peer = self.peers.get_mut(id.slot).filter(|peer| peer.generation == id.generation)?;
        if !core::mem::replace(&mut peer.queued, true) {
            self.queue.push_back(id.slot);
        }
        self.pool.lend(&mut peer.conn);
        Some(&mut peer.conn)
    }

    /// The connections that live.
    pub fn ids(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.peers.iter().map(|(slot, peer)| PeerId { slot, generation: peer.generation })
    }
}
