//! Two connections in memory, and time taken by turns.
#![allow(dead_code, reason = "each bench uses a part of it")]

use std::sync::Arc;
use std::time::{Duration, Instant};
use strombus::connection::{ChannelEvent, ChannelId, ChannelLimits, Connection, Event, Step};
use strombus::crypto::SystemRng;
use strombus::crypto::sign::PrivateKey;
use strombus::transport::{Client, ClientConfig, RecvBuf, Server, ServerConfig};
use strombus::userauth::{ClientUserauthConfig, ClientUserauthEvent, Permissions};

pub struct Pair {
    pub client: Connection<Client>,
    pub server: Connection<Server>,
    pub up: RecvBuf,
    pub down: RecvBuf,
    pub now: Instant,
    pub here: Option<ChannelId>,
    pub keyed: bool,
}

/// Puts bytes into a buffer as a read would.
pub fn carry(output: &[u8], input: &mut RecvBuf) -> usize {
    let space = input.space();
    let n = output.len().min(space.len());
    space[..n].copy_from_slice(&output[..n]);
    input.filled(n);
    n
}

impl Pair {
    pub fn new(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>, limits: ChannelLimits) -> Self {
        let now = Instant::now();
        let ann = ClientUserauthConfig { user_name: "ann".to_owned() };
        Self {
            client: Connection::new(Arc::clone(client), ann, limits, Box::new(SystemRng), now),
            server: Connection::new(Arc::clone(server), Default::default(), limits, Box::new(SystemRng), now),
            up: RecvBuf::new(),
            down: RecvBuf::new(),
            now,
            here: None,
            keyed: false,
        }
    }

    pub fn round(&mut self) -> bool {
        let n = carry(self.client.output(), &mut self.up);
        self.client.consume_output(n);
        let mut moved = n > 0;
        loop {
            match self.server.handle_input(&mut self.up, self.now).expect("the client is right") {
                Step::NeedInput | Step::NeedVerdict => break,
                Step::Event(Event::Userauth(question)) => {
                    self.server.accept_user(question.ticket, &Permissions::FULL).expect("open");
                }
                Step::Event(Event::Channel(id, ChannelEvent::OpenRequest { .. })) => {
                    self.server.accept_channel(id).expect("offered");
                }
                Step::Event(Event::Channel(id, ChannelEvent::Data { data })) => {
                    let mut channel = self.server.channel(id).expect("open");
                    channel.adjust_window(data.len()).expect("so much was received");
                }
                _ => {}
            }
        }
        let n = carry(self.server.output(), &mut self.down);
        self.server.consume_output(n);
        moved |= n > 0;
        loop {
            match self.client.handle_input(&mut self.down, self.now).expect("the server is right") {
                Step::NeedInput | Step::NeedVerdict => return moved,
                Step::Event(Event::Kex(host)) => self.client.accept_host_key(host.ticket).expect("open"),
                Step::Event(Event::Userauth(ClientUserauthEvent::Continue { ticket, .. })) => {
                    self.keyed = true;
                    self.client.request_password(ticket, b"x").expect("open");
                }
                Step::Event(Event::Authenticated) => drop(self.client.open_session().expect("authenticated")),
                Step::Event(Event::Channel(id, ChannelEvent::Opened)) => self.here = Some(id),
                _ => {}
            }
        }
    }
}

pub fn server() -> Arc<ServerConfig> {
    let host_key = PrivateKey::generate_ed25519(&mut SystemRng);
    Arc::new(ServerConfig::new(vec![Arc::new(host_key)]))
}

/// Whether a line is wanted: all are, or those that have a word of the command line in their name.
pub fn is_wanted(name: &str) -> bool {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--")).peekable();
    words.peek().is_none() || words.any(|word| name.contains(&word))
}

pub fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// The least time of each of two works, taken by turns: what others do to the machine meets both.
pub fn least(
    rounds: usize,
    mut one: impl FnMut() -> Duration,
    mut other: impl FnMut() -> Duration,
) -> (Duration, Duration) {
    let mut least = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds {
        least = (least.0.min(one()), least.1.min(other()));
    }
    least
}
