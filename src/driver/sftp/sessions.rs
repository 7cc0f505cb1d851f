//! The SFTP sessions of a loop: each joins a channel to a desk of the [workers](super::workers).
//!
//! The program decides what is asked for by which request of which user, and passes on what happens to the channel. A
//! session ends with its channel: after the client's EOF and the last answer by exit status 0 and CLOSE, after a fault by
//! exit status [`FAULT_STATUS`] once the client was told.

use super::served::Served;
use super::workers::{Desk, Done, Job, Workers};
use super::{Descriptors, HANDLES_MAX, IN_FLIGHT_MAX, Service, Tree};
use crate::connection::{ChannelId, Connection};
use crate::driver::{Error, PeerId, Peers};
use crate::sftp::{
    Backend, Extension, Handle, Request, ServerChannel, ServerLimits, SftpServer, StatusCode, Ticket,
};
use crate::transport::Server;
use mio::Waker;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The exit status after the client broke the protocol (OpenSSH: the same).
pub const FAULT_STATUS: u32 = 11;

/// Which channel of which peer.
type Key = (PeerId, ChannelId);

struct Session {
    channel: ServerChannel,
    desk: Arc<Desk<Key>>,
    /// What is told when all is answered.
    exit_status: Option<u32>,
}

/// All of them.
pub struct Sessions {
    open: HashMap<Key, Session>,
    workers: Workers<Key>,
    descriptors: Arc<Descriptors>,
}

impl Sessions {
    /// None yet; `waker` is the loop's.
    #[must_use]
    pub fn new(waker: Arc<Waker>) -> Self {
        Self { open: HashMap::new(), workers: Workers::new(waker), descriptors: Descriptors::shared() }
    }

    /// Serves on a channel whose request for it is granted.
    pub fn start(&mut self, key: (PeerId, ChannelId), service: &Arc<Service>) {
        self.serve(key, Served::directory(Arc::clone(service), Arc::clone(&self.descriptors)));
    }

    /// The same with a tree in place of a directory.
    pub fn start_tree(&mut self, key: (PeerId, ChannelId), tree: &Arc<dyn Tree>) {
        self.serve(key, Served::tree(Arc::clone(tree), Arc::clone(&self.descriptors)));
    }

    fn serve(&mut self, key: Key, files: Served) {
        let extensions = Extension::ALL.to_vec();
        let limits = ServerLimits { extensions, handles: HANDLES_MAX, in_flight: IN_FLIGHT_MAX };
        let session = Session {
            channel: ServerChannel::new(key.1, SftpServer::new(limits)),
            desk: Arc::new(Desk::new(key, files)),
            exit_status: None,
        };
        self.open.insert(key, session);
    }

    /// Whether a channel is served here.
    #[must_use]
    pub fn contains(&self, key: &(PeerId, ChannelId)) -> bool {
        self.open.contains_key(key)
    }

    /// How many are served.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Data came on the channel.
    ///
    /// # Errors
    /// The connection's.
    pub fn handle_data(
        &mut self,
        key: (PeerId, ChannelId),
        conn: &mut Connection<Server>,
        data: &[u8],
    ) -> Result<(), Error> {
        let Some(session) = self.open.get_mut(&key) else { return Ok(()) };
        if session.exit_status.is_some() {
            return Ok(()); // and it has no credit for more
        }
        let mut courier = Courier { workers: &self.workers, desk: &session.desk };
        let served = session.channel.handle_data(conn, &mut courier, data)?;
        session.exit_status = served.is_err().then_some(FAULT_STATUS);
        self.settle(key, conn)
    }

    /// No more data will come.
    ///
    /// # Errors
    /// The connection's.
    pub fn handle_eof(
        &mut self,
        key: (PeerId, ChannelId),
        conn: &mut Connection<Server>,
    ) -> Result<(), Error> {
        if let Some(session) = self.open.get_mut(&key) {
            session.exit_status.get_or_insert(0);
        }
        self.settle(key, conn)
    }

    /// The channel takes data again.
    ///
    /// # Errors
    /// The connection's.
    pub fn pump(&mut self, key: (PeerId, ChannelId), conn: &mut Connection<Server>) -> Result<(), Error> {
        let Some(session) = self.open.get_mut(&key) else { return Ok(()) };
        let mut courier = Courier { workers: &self.workers, desk: &session.desk };
        if session.channel.pump(conn, &mut courier)?.is_err() {
            session.exit_status = Some(FAULT_STATUS);
        }
        self.settle(key, conn)
    }

    /// The channel is gone.
    pub fn close(&mut self, key: &(PeerId, ChannelId)) {
        if let Some(session) = self.open.remove(key) {
            self.workers.end(&session.desk);
        }
    }

    /// The peer is gone.
    pub fn disconnect(&mut self, peer: PeerId) {
        let keys: Vec<_> = self.open.keys().filter(|key| key.0 == peer).copied().collect();
        keys.iter().for_each(|key| self.close(key));
    }

    /// The loop was woken: passes on what was answered. A connection that fails at that tells so in its own turn.
    pub fn answered(&mut self, peers: &mut Peers<'_, Server>) {
        let mut answered = BTreeSet::new();
        while let Some(Done { key, ticket, reply }) = self.workers.answer() {
            if let Some(session) = self.open.get_mut(&key) {
                // What cannot be the answer is told to the client as a failure.
                let _told = session.channel.server.answer(ticket, &reply.answer());
                answered.insert(key);
            }
            self.workers.give_back(reply);
        }
        for key in answered {
            let pumped = peers.get(key.0).map(|conn| self.pump(key, conn));
            if !matches!(pumped, Some(Ok(()))) {
                self.close(&key);
            }
        }
    }

    /// Ends the channel if nothing more is to be answered.
    fn settle(&mut self, key: Key, conn: &mut Connection<Server>) -> Result<(), Error> {
        let Some(session) = self.open.get_mut(&key) else { return Ok(()) };
        let Some(exit_status) = session.exit_status.filter(|_| session.channel.is_settled()) else {
            return Ok(());
        };
        let mut channel = conn.channel(key.1)?;
        channel.send_exit_status(exit_status)?;
        channel.send_eof()?;
        channel.close()?;
        self.close(&key);
        Ok(())
    }
}

/// Takes requests to a desk.
struct Courier<'s> {
    workers: &'s Workers<Key>,
    desk: &'s Arc<Desk<Key>>,
}

impl Backend for Courier<'_> {
    fn handle_request(&mut self, ticket: Ticket, request: Request<'_, Handle>, server: &mut SftpServer) {
        let mut packet = self.workers.buffer();
        request.encode(0, &mut packet);
        if let Err(ticket) = self.workers.submit(self.desk, Job { ticket, packet }) {
            let _told = server.answer_status(ticket, StatusCode::FAILURE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::workers::lock;
    use super::*;
    use crate::sftp::{ClientChannel, Request};
    use crate::tests::pair::{Pair, Seen, Settings};
    use mio::{Poll, Token};

    /// A session of the server's that runs, and what serves it.
    fn started() -> (Pair, Sessions, Key, (tempfile::TempDir, Poll)) {
        let directory = tempfile::tempdir().unwrap();
        let root = super::super::Root::open(directory.path()).unwrap();
        let service = Arc::new(Service { root, start: b"/".to_vec(), read_only: true });
        let (pair, poll) = (Pair::running(Settings::default()), Poll::new().unwrap());
        let mut sessions = Sessions::new(Arc::new(Waker::new(poll.registry(), Token(0)).unwrap()));
        let key = (PeerId { slot: 0, generation: 1 }, pair.server.channel.unwrap());
        sessions.start(key, &service);
        (pair, sessions, key, (directory, poll))
    }

    #[test]
    fn no_more_requests_of_a_session_are_under_way_than_the_bound() {
        let (mut pair, mut sessions, key, _alive) = started();
        let mut asked = b"\0\0\0\x05\x01\0\0\0\x03".to_vec();
        let stat: Request<'_> = Request::Stat { path: b"file" };
        for id in 0..2 * IN_FLIGHT_MAX as u32 {
            stat.encode(id, &mut asked);
        }
        // Nobody gets at the files, and so nothing is answered.
        let desk = Arc::clone(&sessions.open[&key].desk);
        let _held = lock(&desk.files);
        sessions.handle_data(key, &mut pair.server.conn, &asked).unwrap();
        assert_eq!(sessions.open[&key].channel.server.in_flight(), IN_FLIGHT_MAX);
    }

    #[test]
    fn a_client_is_told_how_many_handles_it_may_have() {
        let (mut pair, mut sessions, key, _alive) = started();
        pair.server.consumes = false; // it is the session that gives credit
        let mut client = ClientChannel::<()>::new(pair.client.channel.unwrap());
        let mut is_ready = false;
        while !is_ready {
            client.flush(&mut pair.client.conn).unwrap();
            pair.drive();
            let asked = core::mem::take(&mut pair.server.seen);
            for data in asked.into_iter().filter_map(data_of) {
                sessions.handle_data(key, &mut pair.server.conn, &data).unwrap();
            }
            pair.drive();
            let answers = core::mem::take(&mut pair.client.seen);
            for data in answers.into_iter().filter_map(data_of) {
                client.handle_data(&data, |_, _| is_ready = true).unwrap();
            }
        }
        assert_eq!(client.client.limits().open_handles, Some(HANDLES_MAX as u64));
    }

    fn data_of(seen: Seen) -> Option<Vec<u8>> {
        if let Seen::Data(data) = seen { Some(data) } else { None }
    }
}
