//! Both ends on a channel of two connections in memory.

use super::*;
use crate::connection::ChannelId;
use crate::tests::pair::{Pair, Seen, Settings};
use std::collections::VecDeque;

/// The window of a channel (bytes).
const WINDOW: usize = 2 << 20;

/// Answers at once, or when it is told to.
#[derive(Default)]
struct Slow {
    waits: bool,
    asked: VecDeque<(Ticket, usize)>,
    taken: usize,
}

impl Slow {
    fn answer(&mut self, server: &mut SftpServer) {
        let (ticket, len) = self.asked.pop_front().unwrap();
        let data = vec![7; len];
        let answer = if len > 0 { Answer::Data(&data) } else { Answer::Status(Status::new(StatusCode::OK)) };
        server.answer(ticket, &answer).unwrap();
    }
}

impl Backend for Slow {
    fn handle_request(&mut self, ticket: Ticket, request: Request<'_, Handle>, server: &mut SftpServer) {
        self.taken += 1;
        match request {
            Request::Open { .. } => {
                let handle = ticket.handle().unwrap();
                return server.answer(ticket, &Answer::Handle(handle)).unwrap();
            }
            Request::Read { len, .. } => self.asked.push_back((ticket, len as usize)),
            _ => self.asked.push_back((ticket, 0)),
        }
        if !self.waits {
            self.answer(server);
        }
    }
}

/// Two connections with SFTP between them.
struct Joined {
    pair: Pair,
    there: ChannelId,
    client: ClientChannel<usize>,
    server: ServerChannel,
    backend: Slow,
    /// What the server said of the client.
    served: Result<(), Fault>,
    /// Tokens in the order of their answers.
    answered: Vec<usize>,
    handle: Vec<u8>,
    /// The client reads its answers.
    reads: bool,
    unread: Vec<u8>,
    kept_most: usize,
}

impl Joined {
    fn new(in_flight: usize) -> Self {
        let mut pair = Pair::running(Settings::default());
        let (here, there) = (pair.client.channel.unwrap(), pair.server.channel.unwrap());
        for seen in [&mut pair.client.seen, &mut pair.server.seen] {
            seen.clear();
        }
        (pair.client.consumes, pair.server.consumes) = (false, false);
        let limits = ServerLimits { in_flight, ..ServerLimits::default() };
        let mut joined = Self {
            pair,
            there,
            client: ClientChannel::new(here),
            server: ServerChannel::new(there, SftpServer::new(limits)),
            backend: Slow::default(),
            served: Ok(()),
            answered: Vec::new(),
            handle: Vec::new(),
            reads: true,
            unread: Vec::new(),
            kept_most: 0,
        };
        joined.drive();
        joined
    }

    /// With a file open.
    fn opened(in_flight: usize) -> Self {
        let mut joined = Self::new(in_flight);
        let (pflags, attrs) = (Pflags::READ, Attributes::default());
        joined.client.client.request(0, &Request::Open { filename: b"/f", pflags, attrs }).unwrap();
        joined.drive();
        assert_eq!((joined.answered.len(), joined.handle.len()), (1, 12));
        joined.answered.clear();
        joined.backend.taken = 0;
        joined
    }

    /// Until nothing moves.
    fn drive(&mut self) {
        loop {
            self.client.flush(&mut self.pair.client.conn).unwrap();
            let moved = self.pair.round();
            for seen in core::mem::take(&mut self.pair.server.seen) {
                let Seen::Data(data) = seen else { continue };
                let conn = &mut self.pair.server.conn;
                self.served = self.server.handle_data(conn, &mut self.backend, &data).unwrap();
                self.kept_most = self.kept_most.max(self.server.kept());
            }
            while let Some(id) = self.pair.server.conn.poll_writable() {
                assert_eq!(id, self.there);
                self.pump();
            }
            for seen in core::mem::take(&mut self.pair.client.seen) {
                if let Seen::Data(data) = seen {
                    self.unread.extend(data);
                }
            }
            if self.reads {
                self.read();
            }
            while self.pair.client.conn.poll_writable().is_some() {
                self.client.flush(&mut self.pair.client.conn).unwrap();
            }
            if !moved {
                return;
            }
        }
    }

    fn pump(&mut self) {
        self.served = self.server.pump(&mut self.pair.server.conn, &mut self.backend).unwrap();
    }

    /// The client takes what came.
    fn read(&mut self) {
        let data = core::mem::take(&mut self.unread);
        let (answered, handle) = (&mut self.answered, &mut self.handle);
        let told = self.client.handle_data(&data, |_, event| {
            if let ClientEvent::Answer { token, answer } = event {
                answered.push(token);
                if let Answer::Handle(opened) = answer {
                    *handle = opened.to_vec();
                }
            }
        });
        told.unwrap();
        let id = self.pair.client.channel.unwrap();
        self.pair.client.conn.channel(id).unwrap().adjust_window(data.len()).unwrap();
    }

    /// Asks until the channel takes no more; how often.
    fn ask(&mut self, request: &Request<'_>, times: usize) -> usize {
        for token in 0..times {
            if self.client.client.request(token, request).is_err() {
                return token;
            }
            self.drive();
        }
        times
    }
}

#[test]
fn a_busy_server_keeps_no_more_than_the_window_and_answers_all_in_the_end() {
    let mut joined = Joined::opened(1);
    joined.backend.waits = true;
    let (handle, data) = (joined.handle.clone(), vec![1; 200_000]);
    let asked = joined.ask(&Request::Write { handle: &handle, offset: 0, data: &data }, 40);
    assert!(asked < 40 && asked * data.len() > WINDOW, "{asked}");
    assert_eq!(joined.backend.taken, 1, "one is under way");
    assert!(joined.server.kept() > WINDOW / 4 * 3, "the rest of the window waits: {}", joined.server.kept());
    for done in 1..=asked {
        joined.backend.answer(&mut joined.server.server);
        joined.pump();
        joined.drive();
        assert_eq!(joined.backend.taken, (done + 1).min(asked));
    }
    assert!(joined.kept_most <= WINDOW + PACKET_LEN_MAX, "{}", joined.kept_most);
    assert_eq!((joined.answered, joined.server.kept()), (Vec::from_iter(0..asked), 0));
    assert!(joined.server.is_settled());
}

#[test]
fn t97_a_client_that_does_not_read_is_not_read() {
    let mut joined = Joined::opened(64);
    joined.reads = false;
    let handle = joined.handle.clone();
    let asked = joined.ask(&Request::Read { handle: &handle, offset: 0, len: 100_000 }, 64);
    let first = joined.backend.taken;
    let most = (WINDOW + OUTPUT_MARK) / 100_000 + 1;
    assert!(first > 0 && first <= most, "{first} of {asked}, but at most {most}");
    assert!(joined.server.server.output().len() < OUTPUT_MARK + 100_100);
    assert!(joined.unread.len() <= WINDOW && joined.served == Ok(()));
    assert!(!joined.server.is_settled());
    joined.drive();
    assert_eq!(joined.backend.taken, first);
    joined.reads = true;
    joined.read();
    joined.drive();
    assert_eq!((joined.answered, joined.backend.taken), (Vec::from_iter(0..asked), asked));
    assert!(joined.server.is_settled());
}

#[test]
fn answers_that_come_later_go_out_in_the_order_they_come() {
    let mut joined = Joined::opened(64);
    joined.backend.waits = true;
    let handle = joined.handle.clone();
    joined.ask(&Request::Read { handle: &handle, offset: 0, len: 10 }, 5);
    assert_eq!((joined.backend.taken, joined.server.is_settled()), (5, false));
    joined.backend.asked.rotate_left(2);
    (0..5).for_each(|_| joined.backend.answer(&mut joined.server.server));
    assert!(joined.answered.is_empty());
    joined.pump();
    joined.drive();
    assert_eq!(joined.answered, [2, 3, 4, 0, 1]);
}

#[test]
fn the_status_of_a_fault_goes_out_before_close() {
    let mut pair = Pair::running(Settings::default());
    let (here, there) = (pair.client.channel.unwrap(), pair.server.channel.unwrap());
    pair.server.consumes = false;
    pair.server.seen.clear();
    let mut request = Vec::new();
    Request::<'_, &[u8]>::encode(&Request::Stat { path: b"/" }, 5, &mut request);
    assert_eq!(pair.client.conn.channel(here).unwrap().write(&request), request.len());
    pair.drive();
    let data = pair.server.data();
    let mut server = ServerChannel::new(there, SftpServer::new(ServerLimits::default()));
    let conn = &mut pair.server.conn;
    assert_eq!(server.handle_data(conn, &mut Slow::default(), &data), Ok(Err(NOT_INIT)));
    assert!(server.is_settled());
    // The same again, whatever comes.
    assert_eq!(server.pump(conn, &mut Slow::default()), Ok(Err(NOT_INIT)));
    conn.channel(there).unwrap().close().unwrap();
    pair.client.seen.clear();
    pair.drive();
    let [Seen::Data(data), Seen::Closed] = &pair.client.seen[..] else { panic!("{:?}", pair.client.seen) };
    assert_eq!(codes(data), [StatusCode::BAD_MESSAGE.0]);
}

#[test]
fn what_was_answered_before_a_fault_goes_out_too() {
    let mut pair = Pair::running(Settings::default());
    let (here, there) = (pair.client.channel.unwrap(), pair.server.channel.unwrap());
    pair.server.consumes = false;
    pair.server.seen.clear();
    let mut sent = INIT_PACKET.to_vec();
    Request::<'_, &[u8]>::encode(&Request::Remove { filename: b"/f" }, 1, &mut sent);
    Request::<'_, &[u8]>::encode(&Request::Extended { request_name: b"x", fields: b"" }, 2, &mut sent);
    sent.extend([0; 4]);
    assert_eq!(pair.client.conn.channel(here).unwrap().write(&sent), sent.len());
    pair.drive();
    let (data, conn) = (pair.server.data(), &mut pair.server.conn);
    let limits = ServerLimits { in_flight: 1, ..ServerLimits::default() };
    let mut server = ServerChannel::new(there, SftpServer::new(limits));
    let mut backend = Slow { waits: true, ..Slow::default() };
    assert_eq!(server.handle_data(conn, &mut backend, &data), Ok(Ok(())), "the fault is not read yet");
    assert!(server.kept() > 0);
    backend.answer(&mut server.server);
    assert_eq!(server.pump(conn, &mut backend), Ok(Err(EMPTY_PACKET)));
    assert!(server.is_settled());
    pair.drive();
    assert_eq!(codes(&pair.client.data()), [0, StatusCode::OK.0, StatusCode::OP_UNSUPPORTED.0]);
}
