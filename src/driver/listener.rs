//! Where peers come from: the socket that is listened on, and the gate before it.
//!
//! A round accepts its share and no more, and none for a while after the system had no descriptor left. Who is refused hears
//! why, even if he speaks first. It knows sockets, and what an end without a login counts as; which peers may come the gate knows, and on which thread they live the workers do.

use super::gate::{Gate, Offence, Place};
use super::{Application, Driver, Error, Stream, application::listener_token, context};
use crate::connection::Connection;
use crate::transport;
use crate::userauth::UserauthSide;
use core::time::Duration;
use mio::Interest;
use mio::net::{TcpListener, TcpStream};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Connections that are accepted, or refused, before the peers that are here have their turns.
const ACCEPTS_PER_ROUND: usize = 64;

/// How long no connection is accepted after the system had no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Sockets that were refused and are not closed yet.
const REFUSED_MAX: usize = 32;

/// How long they stay: closed at once, what their peers say would destroy the line on its way to them.
const REFUSED_LINGER: Duration = Duration::from_secs(1);

/// What is read of one of them before it is closed (bytes); more than a client says before it has heard the server.
const REFUSED_READ_MAX: u64 = 64 * 1024;

/// Makes the connection of a peer that was accepted.
pub type Accept<S> = Box<dyn FnMut(SocketAddr, Instant) -> Connection<S> + Send>;

pub(super) struct Listener {
    socket: TcpListener,
    /// No descriptor was left, or a round has had its share: not before this.
    pub(super) paused: Option<Instant>,
    /// The oldest first, each with its end.
    refused: VecDeque<(Instant, TcpStream)>,
}

impl Listener {
    /// When something is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.paused.into_iter().chain(self.refused.front().map(|(until, _)| *until)).min()
    }

    /// Says why, and closes later.
    fn refuse(&mut self, mut socket: TcpStream, line: &str, now: Instant) {
        let _it_may_not_hear = socket.write(line.as_bytes());
        let _gone = socket.shutdown(Shutdown::Write);
        if self.refused.len() >= REFUSED_MAX
            && let Some((_, oldest)) = self.refused.pop_front()
        {
            close(oldest);
        }
        self.refused.push_back((now + REFUSED_LINGER, socket));
    }

    pub(super) fn close_refused(&mut self, now: Instant) {
        while let Some((_, socket)) = self.refused.pop_front_if(|(until, _)| *until <= now) {
            close(socket);
        }
    }
}

/// Closes a socket that was refused; what is unread then would take the line with it.
fn close(socket: TcpStream) {
    let _that_was_all = io::copy(&mut socket.take(REFUSED_READ_MAX), &mut io::sink());
}

/// A peer that was admitted and has no connection yet.
pub(super) struct Newcomer {
    socket: TcpStream,
    address: SocketAddr,
    place: Option<Place>,
}

impl<S: UserauthSide, A: Application<S>> Driver<S, A> {
    /// Accepts peers from a socket, whoever they are and however many. A server for strangers wants
    /// [`listen_behind`](Self::listen_behind).
    ///
    /// # Errors
    /// The system's.
    pub fn listen(&mut self, socket: TcpListener, accept: Accept<S>) -> io::Result<()> {
        self.accept = Some(accept);
        self.listen_at(socket)
    }

    /// Accepts peers from another socket, too, as from the first.
    ///
    /// # Errors
    /// The system's.
    pub fn listen_at(&mut self, mut socket: TcpListener) -> io::Result<()> {
        let token = listener_token(self.listeners.len());
        self.poll.registry().register(&mut socket, token, Interest::READABLE)?;
        self.listeners.push(Listener { socket, paused: None, refused: VecDeque::new() });
        Ok(())
    }

    /// Accepts from a socket the peers that `gate` admits; the others are sent a line and closed.
    ///
    /// # Errors
    /// The system's.
    pub fn listen_behind(&mut self, gate: Gate, socket: TcpListener, accept: Accept<S>) -> io::Result<()> {
        self.gate = Some(Arc::new(Mutex::new(gate)));
        self.listen(socket, accept)
    }

    /// The gate, to look at its numbers; no peer comes or goes as long as it is held.
    #[must_use]
    pub fn gate(&self) -> Option<MutexGuard<'_, Gate>> {
        self.gate.as_deref().map(locked)
    }

    pub(super) fn is_paused(&self, index: usize, now: Instant) -> bool {
        self.listeners.get(index).is_some_and(|listener| listener.paused.is_some_and(|until| until > now))
    }

    /// Accepts from the listener of that number.
    pub(super) fn accept(&mut self, index: usize, now: Instant) {
        for _ in 0..ACCEPTS_PER_ROUND {
            let Some(listener) = self.listeners.get_mut(index) else { return };
            listener.paused = None;
            match listener.socket.accept() {
                Ok((socket, address)) => {
                    let stays =
                        self.admit(index, socket, address, now).and_then(|newcomer| self.hand_on(newcomer));
                    if stays.is_some_and(|newcomer| self.welcome(newcomer, now).is_err()) {
                        return self.pause_accepting(index, now + ACCEPT_PAUSE); // the system cannot watch more sockets
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => return self.pause_accepting(index, now + ACCEPT_PAUSE),
                },
            }
        }
        self.pause_accepting(index, now); // there may be more, of which the system does not tell again
    }

    /// Asks the gate.
    fn admit(
        &mut self,
        index: usize,
        socket: TcpStream,
        address: SocketAddr,
        now: Instant,
    ) -> Option<Newcomer> {
        let Some(gate) = &self.gate else { return Some(Newcomer { socket, address, place: None }) };
        let mut gate = locked(gate);
        let why = match gate.admit(address.ip(), now) {
            Ok(place) => return Some(Newcomer { socket, address, place: Some(place) }),
            Err(why) => why,
        };
        let untold = gate.tell(now);
        drop(gate); // the program may look at it
        if let Some(listener) = self.listeners.get_mut(index) {
            listener.refuse(socket, why.line(), now);
        }
        self.app.refused(&mut context!(self, now), address, why, untold);
        None
    }

    /// Makes the connection of a peer, which from here on lives on this thread.
    pub(super) fn welcome(&mut self, newcomer: Newcomer, now: Instant) -> io::Result<()> {
        let Newcomer { socket, address, place } = newcomer;
        let Some(accept) = &mut self.accept else { return Ok(()) };
        let conn = accept(address, now);
        let own = socket.local_addr();
        let added = self.add(Stream::Tcp(socket), conn, Some(address));
        match (&added, &self.gate, place) {
            (Ok(id), _, place) => {
                if let Some(peer) = self.peers.get_mut(id.slot) {
                    peer.place = place;
                }
                if let Ok(own) = own {
                    self.app.accepted(*id, own);
                }
            }
            (Err(_), Some(gate), Some(place)) => locked(gate).leave(place, None, now),
            (Err(_), ..) => {}
        }
        added.map(drop)
    }

    /// Meanwhile the backlog holds the peers, and those that are here may end.
    fn pause_accepting(&mut self, index: usize, until: Instant) {
        if let Some(listener) = self.listeners.get_mut(index) {
            listener.paused = Some(until);
        }
    }
}

/// A thread that failed with the gate in its hands ends the others too; until then its numbers do.
pub(super) fn locked(gate: &Mutex<Gate>) -> MutexGuard<'_, Gate> {
    gate.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a peer did, if it ended without a login.
pub(super) fn offence<S: UserauthSide>(conn: &Connection<S>, why: &Result<(), Error>) -> Option<Offence> {
    match why {
        _ if conn.is_authenticated() => None,
        Err(Error::Ssh(transport::Error::TimedOut)) => Some(Offence::GraceExceeded),
        Err(Error::Ssh(transport::Error::Misuse(_) | transport::Error::Failed)) => Some(Offence::Crash),
        _ if conn.has_tried() => Some(Offence::AuthFail),
        Ok(()) if conn.is_ended() => Some(Offence::RefuseConnection),
        _ => Some(Offence::NoAuth),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_those_who_were_refused_no_more_than_the_bound_linger_and_each_is_closed_in_its_time() {
        let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = own.local_addr().unwrap();
        let socket = TcpListener::from_std(own.try_clone().unwrap());
        let mut listener = Listener { socket, paused: None, refused: VecDeque::new() };
        let now = Instant::now();
        let mut clients = Vec::new();
        for _ in 0..REFUSED_MAX + 8 {
            clients.push(std::net::TcpStream::connect(address).unwrap());
            let (socket, _) = own.accept().unwrap();
            socket.set_nonblocking(true).unwrap();
            listener.refuse(TcpStream::from_std(socket), "Not allowed\r\n", now);
        }
        assert_eq!(listener.refused.len(), REFUSED_MAX);
        assert_eq!(listener.due(), Some(now + REFUSED_LINGER));
        listener.close_refused(now + REFUSED_LINGER);
        assert_eq!(listener.refused.len(), 0);
        for mut client in clients {
            let mut line = String::new();
            client.read_to_string(&mut line).unwrap();
            assert_eq!(line, "Not allowed\r\n", "nobody's line is lost");
        }
    }

    #[test]
    fn of_what_one_who_was_refused_says_only_the_first_is_read() {
        let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = std::net::TcpStream::connect(own.local_addr().unwrap()).unwrap();
        let (socket, _) = own.accept().unwrap();
        let mut left = socket.try_clone().unwrap();
        let said = vec![0; 2 * REFUSED_READ_MAX as usize];
        client.write_all(&said).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        close(TcpStream::from_std(socket));
        let read = said.len() as u64 - io::copy(&mut left, &mut io::sink()).unwrap();
        assert_eq!(read, REFUSED_READ_MAX);
    }
}
