//! One connection on its socket, and its turn.

use super::Error;
use super::application::{Application, Context, PeerId};
use super::gate::Place;
use super::pool::Pool;
use crate::connection::{Connection, Step};
use crate::transport::DATA_MARK;
use crate::userauth::UserauthSide;
use crate::wire::DisconnectReason;
use crate::wire::number::Sender;
use core::time::Duration;
use mio::net::{TcpStream, UnixStream};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::Instant;

/// Packets taken in one turn.
const PACKETS_PER_TURN: usize = 64;

/// Above so much unsent output (bytes) no packet is taken. Higher than the mark for data, on purpose: only replies reach
/// it, so two sides that both send in bulk go on reading each other.
pub const INPUT_MARK: usize = 2 * DATA_MARK;

/// The most that is read at once from a peer without a login (bytes): with a cut packet before it, it is well below the
/// 64 KiB that a stranger may hold.
const READ_MAX_UNAUTHENTICATED: usize = 8 * 1024;

/// Reads of what comes after the end in one turn.
const DRAINS_PER_TURN: usize = 4;

/// How long a connection that was ended waits for its output to go and for the peer to close.
const LINGER: Duration = Duration::from_secs(2);

/// The stream of a peer.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket, or one end of a pair.
    Unix(UnixStream),
}

impl Stream {
    pub(super) const fn source(&mut self) -> &mut dyn mio::event::Source {
        match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
        }
    }

    pub(super) fn shutdown(&self) {
        let _gone = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buf),
            Self::Unix(stream) => stream.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(buf),
            Self::Unix(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) struct Peer<S: UserauthSide> {
    pub(super) conn: Connection<S>,
    pub(super) generation: u64,
    /// Its place at the gate, if it came through one.
    pub(super) place: Option<Place>,
    stream: Stream,
    /// What was read and not taken, between turns: a cut packet, what waits for a verdict, or what is for the next turn; never
    /// more than was read at once.
    cut: Vec<u8>,
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The peer closed its direction: reading never blocks again.
    pub(super) read_closed: bool,
    hungry: bool,
    pub(super) queued: bool,
    /// The deadline that stands in the timers.
    pub(super) deadline: Option<Instant>,
    /// Ended here; until then it may send what is left.
    linger: Option<(Instant, Result<(), Error>)>,
    /// All was sent, and the peer hears so.
    shut: bool,
    /// Writing failed, and what the peer said before is still to be read.
    broken: Option<io::Error>,
}

/// What follows a turn.
pub(super) enum Turn {
    Wait,
    Again,
    Closed(Result<(), Error>),
}

impl<S: UserauthSide> Peer<S> {
    pub(super) const fn new(stream: Stream, conn: Connection<S>, generation: u64) -> Self {
        Self {
            conn,
            generation,
            place: None,
            stream,
            cut: Vec::new(),
            readable: false,
            writable: false,
            read_closed: false,
            hungry: true,
            queued: false,
            deadline: None,
            linger: None,
            shut: false,
            broken: None,
        }
    }

    pub(super) const fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// When a turn is due if nothing happens before.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.linger.as_ref().map_or_else(|| self.conn.poll_timeout(), |(until, _)| Some(*until))
    }

    /// One fair turn: send, read once, take packets, let the application write, send.
    pub(super) fn turn(
        &mut self,
        id: PeerId,
        app: &mut impl Application<S>,
        cx: &mut Context<'_>,
        pool: &mut Pool,
    ) -> Turn {
        if self.linger.is_some() {
            return self.linger(cx.now, pool);
        }
        pool.lend(&mut self.conn);
        pool.input.load(&mut self.cut);
        let result = self.work(id, app, cx, pool);
        pool.input.save(&mut self.cut);
        let why = match result {
            Ok(None) if !self.conn.is_ended() => return self.rest(pool),
            Ok(None) => Ok(()),
            Ok(Some(why)) => why,
            Err(error) => {
                // Of an error of the protocol the peer is told already; this does nothing then.
                self.conn.disconnect(DisconnectReason::BY_APPLICATION, "the application failed");
                Err(error)
            }
        };
        self.linger = Some((cx.now + LINGER, why));
        self.linger(cx.now, pool)
    }

    /// `Some` when the peer closed its stream.
    fn work(
        &mut self,
        id: PeerId,
        app: &mut impl Application<S>,
        cx: &mut Context<'_>,
        pool: &mut Pool,
    ) -> Result<Option<Result<(), Error>>, Error> {
        self.conn.handle_timeout(cx.now)?;
        self.send()?;
        if self.hungry && self.readable && self.conn.pending_output() < INPUT_MARK {
            let max = if self.conn.is_authenticated() { usize::MAX } else { READ_MAX_UNAUTHENTICATED };
            let space = pool.input.space();
            let n = space.len().min(max);
            let space = space.get_mut(..n).unwrap_or_default();
            match self.stream.read(space) {
                Ok(0) => {
                    let refusal = self.conn.handle_eof().map(Error::from);
                    return Ok(Some(refusal.or(self.broken.take().map(Error::from)).map_or(Ok(()), Err)));
                }
                Ok(n) => {
                    self.readable = n == space.len() || self.read_closed;
                    self.hungry = false;
                    pool.input.filled(n);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => match self.broken.take() {
                    None if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                    broken => return Ok(Some(Err(broken.unwrap_or(error).into()))),
                },
            }
        }
        let (mut packets, mut verdict_open) = (0, false);
        while packets < PACKETS_PER_TURN && self.conn.pending_output() < INPUT_MARK && !self.conn.is_ended() {
            match self.conn.handle_input(&mut pool.input, cx.now)? {
                Step::NeedInput => {
                    self.hungry = true;
                    break;
                }
                Step::NeedVerdict => {
                    verdict_open = true;
                    break;
                }
                Step::Progress => {}
                Step::Event(event) => app.event(cx, id, &mut self.conn, event)?,
            }
            packets += 1;
        }
        while let Some(channel) = self.conn.poll_writable() {
            app.writable(cx, id, &mut self.conn, channel)?;
        }
        self.send()?;
        self.queued = packets == PACKETS_PER_TURN || self.conn.has_writable();
        // A server that is gone waits for no answer; whoever is asked here should not be, either.
        if verdict_open && self.read_closed && S::ROLE == Sender::Client {
            return Ok(Some(Ok(())));
        }
        Ok(None)
    }

    /// Whether another turn has something to do; otherwise an event, a verdict or a time brings it.
    fn rest(&mut self, pool: &mut Pool) -> Turn {
        pool.reclaim(&mut self.conn);
        let room = self.conn.pending_output() < INPUT_MARK;
        let more = core::mem::take(&mut self.queued) || (self.readable && self.hungry);
        if more && room { Turn::Again } else { Turn::Wait }
    }

    /// Sends. A server that takes nothing may have said why, in the place of its identification line.
    fn send(&mut self) -> io::Result<()> {
        match self.flush() {
            Err(error) if S::ROLE == Sender::Client && self.conn.remote_identification().is_empty() => {
                (self.broken, self.readable, self.writable) = (Some(error), true, false);
                Ok(())
            }
            sent => sent,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.writable {
            let output = self.conn.output();
            if output.is_empty() {
                break;
            }
            match self.stream.write(output) {
                Ok(n) => {
                    self.writable = n == output.len();
                    self.conn.consume_output(n);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends what is left; then a server waits for the client to close, because closing on unread bytes would destroy
    /// what is still on its way to it.
    fn linger(&mut self, now: Instant, pool: &mut Pool) -> Turn {
        let (mut gone, mut more) = (self.flush().is_err(), false);
        if !gone && self.conn.pending_output() == 0 {
            pool.reclaim(&mut self.conn);
            // Once: the system tells of each, as if the peer had done something.
            if !core::mem::replace(&mut self.shut, true) {
                self.stream.shutdown();
            }
            gone = S::ROLE == Sender::Client || self.drain(pool);
            more = self.readable;
        }
        match &self.linger {
            Some((until, _)) if !gone && now < *until && more => Turn::Again,
            Some((until, _)) if !gone && now < *until => Turn::Wait,
            _ => Turn::Closed(self.linger.take().map_or(Ok(()), |(_, why)| why)),
        }
    }

    /// Reads and forgets its share; whether the peer has closed.
    fn drain(&mut self, pool: &mut Pool) -> bool {
        for _ in 0..DRAINS_PER_TURN {
            if !self.readable {
                break;
            }
            pool.input.clear();
            match self.stream.read(pool.input.space()) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{ChannelEvent, Event};
    use crate::crypto::SystemRng;
    use crate::tests::pair::{Pair, Settings, all_output};
    use crate::transport::{Client, ClientConfig, Server};
    use crate::userauth::ClientUserauthConfig;
    use mio::Poll;
    use slab::Slab;
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;

    #[test]
    fn of_what_comes_after_the_end_no_more_is_read_in_a_turn_than_its_share() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (receiver, _) = listener.accept().unwrap();
        receiver.set_nonblocking(true).unwrap();
        sender.set_nonblocking(true).unwrap();
        let (block, mut sent) = (vec![0; 64 * 1024], 0);
        while let Ok(n) = sender.write(&block) {
            sent += n;
        }
        let mut pool = Pool::new();
        let share = DRAINS_PER_TURN * pool.input.space().len();
        assert!(sent > share, "the system holds {sent} bytes");
        let conn = Connection::<Client>::new(
            Arc::<ClientConfig>::default(),
            ClientUserauthConfig { user_name: "ann".to_owned() },
            Default::default(),
            Box::new(SystemRng),
            Instant::now(),
        );
        let mut peer = Peer::new(Stream::Tcp(mio::net::TcpStream::from_std(receiver)), conn, 1);
        peer.readable = true;
        assert!(!peer.drain(&mut pool));
        sender.shutdown(Shutdown::Both).unwrap();
        let mut left = 0;
        while let Ok(n @ 1..) = peer.stream.read(pool.input.space()) {
            pool.input.clear();
            left += n;
        }
        assert!(sent - left <= share, "{sent} bytes, {left} left");
    }

    /// Counts what comes.
    struct Counting(usize);

    impl Application<Server> for Counting {
        fn event(
            &mut self,
            _: &mut Context<'_>,
            _: PeerId,
            conn: &mut Connection<Server>,
            event: Event<'_, Server>,
        ) -> Result<(), Error> {
            if let Event::Channel(id, ChannelEvent::Data { data }) = event {
                self.0 += data.len();
                conn.channel(id)?.adjust_window(data.len())?;
            }
            Ok(())
        }

        fn disconnect(&mut self, _: &mut Context<'_>, _: PeerId, _: Result<(), Error>) {}

        fn is_done(&self) -> bool {
            false
        }
    }

    /// A server's end of a connection, without the loop around it.
    struct Alone {
        peer: Peer<Server>,
        app: Counting,
        poll: Poll,
        sources: Slab<()>,
        pool: Pool,
    }

    impl Alone {
        /// With the client's end of its socket. What it has to send waits until the flag is set.
        fn new(conn: Connection<Server>) -> (Self, std::os::unix::net::UnixStream) {
            let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
            far.set_nonblocking(true).unwrap();
            let mut peer = Peer::new(Stream::Unix(UnixStream::from_std(far)), conn, 1);
            peer.readable = true;
            let (poll, sources, pool) = (Poll::new().unwrap(), Slab::new(), Pool::new());
            (Self { peer, app: Counting(0), poll, sources, pool }, near)
        }

        fn turn(&mut self, now: Instant) -> Turn {
            let (mut timer, mut listening) = (None, true);
            let mut cx = Context {
                registry: self.poll.registry(),
                sources: &mut self.sources,
                timer: &mut timer,
                listening: &mut listening,
                gate: None,
                now,
            };
            self.peer.turn(PeerId { slot: 0, generation: 1 }, &mut self.app, &mut cx, &mut self.pool)
        }
    }

    #[test]
    fn in_a_turn_no_more_packets_are_taken_than_its_share_and_the_rest_in_the_next_ones() {
        let mut pair = Pair::running(Settings::default());
        let id = pair.client.channel.unwrap();
        for _ in 0..2 * PACKETS_PER_TURN + 10 {
            assert_eq!(pair.client.conn.channel(id).unwrap().write(b"x"), 1);
        }
        let (mut alone, mut near) = Alone::new(pair.server.conn);
        near.write_all(&all_output(&mut pair.client.conn)).unwrap();
        alone.peer.writable = true;
        let mut taken = Vec::new();
        loop {
            let turn = alone.turn(pair.now);
            taken.push(core::mem::take(&mut alone.app.0));
            match turn {
                Turn::Again => {}
                Turn::Wait => break,
                Turn::Closed(why) => panic!("{why:?}"),
            }
        }
        taken.retain(|packets| *packets > 0);
        assert_eq!(taken, [PACKETS_PER_TURN, PACKETS_PER_TURN, 10]);
    }

    #[test]
    fn of_a_peer_that_reads_no_replies_nothing_is_taken_above_the_mark_and_the_rest_once_it_does() {
        let mut pair = Pair::authenticated(Settings::default());
        let (mut alone, mut near) = Alone::new(pair.server.conn);
        near.set_nonblocking(true).unwrap();
        // A global request that nobody knows.
        let request = [&b"\x50\0\0\0\x04ping"[..], &[1]].concat();
        let (mut asked, mut unsent, mut reply_len) = (0, Vec::new(), 0);
        while alone.peer.conn.pending_output() < INPUT_MARK {
            if unsent.is_empty() {
                pair.client.conn.send_payload(&request);
                unsent = all_output(&mut pair.client.conn);
                asked += 1;
            }
            match near.write(&unsent) {
                Ok(n) => drop(unsent.drain(..n)),
                Err(_) => {
                    alone.peer.readable = true;
                    alone.turn(pair.now);
                    if reply_len == 0 {
                        reply_len = alone.peer.conn.pending_output() / PACKETS_PER_TURN;
                    }
                }
            }
        }
        let pending = alone.peer.conn.pending_output();
        assert!(
            pending < INPUT_MARK + reply_len && asked * reply_len > pending,
            "{pending} bytes of {asked}"
        );
        for _ in 0..3 {
            alone.peer.readable = true;
            assert!(matches!(alone.turn(pair.now), Turn::Wait));
            assert_eq!(alone.peer.conn.pending_output(), pending);
        }
        let (mut came, mut buffer) = (0, vec![0; 64 * 1024]);
        while came < asked * reply_len {
            if let Ok(n) = near.write(&unsent) {
                unsent.drain(..n);
            }
            (alone.peer.readable, alone.peer.writable) = (true, true);
            assert!(!matches!(alone.turn(pair.now), Turn::Closed(_)));
            while let Ok(n) = near.read(&mut buffer) {
                came += n;
            }
        }
        assert_eq!((came, unsent.len()), (asked * reply_len, 0));
    }

    #[test]
    fn a_client_that_does_not_close_after_the_end_has_its_time_and_no_more() {
        for reads in [true, false] {
            let mut pair = Pair::authenticated(Settings::default());
            pair.server.conn.disconnect(DisconnectReason::BY_APPLICATION, "over");
            let (mut alone, _near) = Alone::new(pair.server.conn);
            alone.peer.writable = reads;
            let last = pair.now + LINGER - Duration::from_nanos(1);
            for now in [pair.now, last] {
                alone.peer.readable = true;
                assert!(matches!(alone.turn(now), Turn::Wait | Turn::Again), "{reads}");
                assert_eq!(alone.peer.poll_timeout(), Some(pair.now + LINGER));
            }
            assert!(matches!(alone.turn(pair.now + LINGER), Turn::Closed(Ok(()))), "{reads}");
        }
    }
}
