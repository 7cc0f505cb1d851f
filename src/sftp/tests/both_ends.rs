//! Both ends on a channel of two connections in memory, whose windows are smaller than the packets.

use super::memory::Memory;
use super::*;
use crate::connection::ChannelLimits;
use crate::tests::pair::{Pair, Seen, Settings};

/// The two ends, and how much of what came each has taken.
struct Ends {
    pair: Pair,
    client: ClientChannel<u32>,
    server: ServerChannel,
    backend: Memory,
    taken: [usize; 2],
    answers: Vec<(u32, Vec<u8>)>,
    ready: bool,
}

impl Ends {
    fn new(window_size: u32) -> Self {
        let limits = ChannelLimits { window_size, ..Default::default() };
        let mut pair = Pair::authenticated(Settings { limits, ..Default::default() });
        let (here, there) = pair.open();
        // The server's end gives its credit itself.
        pair.server.consumes = false;
        let taken = [pair.client.seen.len(), pair.server.seen.len()];
        let server = ServerChannel::new(there, SftpServer::new(ServerLimits::default()));
        Self {
            pair,
            client: ClientChannel::new(here),
            server,
            backend: Memory::new(),
            taken,
            answers: Vec::new(),
            ready: false,
        }
    }

    /// Carries everything, until nothing comes any more: neither data nor, for a second time, credit.
    fn run(&mut self) {
        let mut idle = 0;
        while idle < 2 {
            self.client.flush(&mut self.pair.client.conn).unwrap();
            self.server.pump(&mut self.pair.server.conn, &mut self.backend).unwrap().unwrap();
            self.pair.drive();
            let came = |seen: &[Seen]| -> Vec<Vec<u8>> {
                let data = |seen: &Seen| if let Seen::Data(data) = seen { Some(data.clone()) } else { None };
                seen.iter().filter_map(data).collect()
            };
            let (down, up) = (
                came(&self.pair.client.seen[self.taken[0]..]),
                came(&self.pair.server.seen[self.taken[1]..]),
            );
            self.taken = [self.pair.client.seen.len(), self.pair.server.seen.len()];
            idle = if up.is_empty() && down.is_empty() { idle + 1 } else { 0 };
            for data in up {
                self.server
                    .handle_data(&mut self.pair.server.conn, &mut self.backend, &data)
                    .unwrap()
                    .unwrap();
            }
            let (answers, ready) = (&mut self.answers, &mut self.ready);
            for data in down {
                let act = |client: &mut SftpClient<u32>, event: ClientEvent<'_, u32>| match event {
                    ClientEvent::Ready => {
                        *ready = true;
                        // What is asked from within goes out too.
                        client.request(0, &Request::Stat { path: b"/a" }).unwrap();
                    }
                    ClientEvent::Answer { token, answer } => {
                        answers.push((
                            token,
                            match answer {
                                Answer::Handle(bytes) | Answer::Data(bytes) => bytes.to_vec(),
                                Answer::Status(status) => status.code.words().as_bytes().to_vec(),
                                Answer::Attrs(attrs) => attrs.size.unwrap().to_string().into_bytes(),
                                other => panic!("{other:?}"),
                            },
                        ));
                    }
                };
                self.client.handle_data(&data, act).unwrap();
            }
        }
    }

    fn ask(&mut self, token: u32, request: &Request<'_>) -> Vec<u8> {
        self.client.client.request(token, request).unwrap();
        self.run();
        let (answered, answer) = self.answers.pop().unwrap();
        assert_eq!((answered, self.answers.len()), (token, 0));
        answer
    }
}

#[test]
fn requests_and_answers_longer_than_the_window_pass_in_pieces_both_ways() {
    let mut ends = Ends::new(2000);
    ends.run();
    assert!(ends.ready);
    assert_eq!(ends.answers.drain(..).collect::<Vec<_>>(), [(0, b"10".to_vec())]);
    let pflags = Pflags::READ | Pflags::WRITE | Pflags::CREAT;
    let attrs = Attributes::default();
    let handle = ends.ask(1, &Request::Open { filename: b"/b", pflags, attrs });
    let data: Vec<u8> = (0..20_000_u32).map(|n| n as u8).collect();
    assert_eq!(ends.ask(2, &Request::Write { handle: &handle, offset: 0, data: &data }), b"done");
    assert_eq!(ends.ask(3, &Request::Read { handle: &handle, offset: 0, len: 32_768 }), data);
    assert_eq!(ends.ask(4, &Request::Read { handle: &handle, offset: 20_000, len: 1 }), b"end of file");
    assert_eq!(ends.ask(5, &Request::Close { handle: &handle }), b"done");
    assert!(ends.backend.is_all_closed() && ends.client.client.in_flight() == 0);
}

#[test]
fn a_server_that_breaks_the_protocol_ends_the_channel_and_not_the_connection() {
    let mut ends = Ends::new(2000);
    let fault = ends.client.handle_data(&framed(b"x"), |_, _| panic!("it is no event")).unwrap_err();
    assert_eq!(fault, NOT_VERSION);
    assert_eq!(ends.client.handle_data(b"", |_, _| ()).unwrap_err(), NOT_VERSION);
    assert!(!ends.pair.client.conn.is_ended());
}
