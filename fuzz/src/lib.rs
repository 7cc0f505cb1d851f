//! Two connections for the targets, by the library's public face.
#![forbid(unsafe_code)]

use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use strombus::connection::{ChannelEvent, ChannelId, ChannelLimits, Connection, Event, Step};
use strombus::crypto::Rng;
use strombus::crypto::sign::{PrivateKey, ecdsa::Curve};
use strombus::transport::algorithms::{KEX, pick};
use strombus::transport::{
    Client, ClientConfig, Error, RecvBuf, Server, ServerConfig, Ticket, TransportConfig,
};
use strombus::userauth::{
    ClientUserauthConfig, ClientUserauthEvent, MethodChains, Permissions, ServerUserauthConfig, UserauthSide,
};
use strombus::wire::{Encode, message::NewKeys};

/// The same bytes for the same seed.
pub struct SeededRng(pub u64, pub u64);

impl Rng for SeededRng {
    fn fill(&mut self, out: &mut [u8]) {
        for block in out.chunks_mut(32) {
            let digest = Sha256::new().chain_update(self.0.to_be_bytes()).chain_update(self.1.to_be_bytes());
            self.1 += 1;
            block.copy_from_slice(&digest.finalize()[..block.len()]);
        }
    }
}

/// A server's keys, the fastest first.
pub static HOST_KEYS: LazyLock<Vec<Arc<PrivateKey>>> = LazyLock::new(|| {
    let rng = &mut SeededRng(1, 0);
    let mut keys = vec![PrivateKey::generate_ed25519(rng)];
    keys.extend(Curve::ALL.iter().map(|curve| PrivateKey::generate_ecdsa(*curve, rng)));
    keys.into_iter().map(Arc::new).collect()
});

/// The default with the fastest exchange, for targets that are of something else.
pub fn quick() -> TransportConfig {
    let mut transport = TransportConfig::server();
    transport.algorithms.kex = pick(KEX, "curve25519-sha256").expect("a name of the table");
    transport
}

/// What the input chooses, byte by byte; zeros behind its end.
pub struct Choices<'a>(pub &'a [u8]);

impl<'a> Choices<'a> {
    pub fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or_default()
    }

    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    pub fn one_of<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }

    /// As many as there are, but no more than `n`.
    pub fn bytes(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// A packet before there are keys.
pub fn clear(payload: &[u8]) -> Vec<u8> {
    let padding = 4 + (8 - (5 + payload.len() + 4) % 8) % 8;
    let packet_length = u32::try_from(1 + payload.len() + padding).expect("short");
    [&packet_length.to_be_bytes(), &[padding as u8][..], payload, &vec![0; padding]].concat()
}

/// The payloads of packets up to NEWKEYS, behind an identification line if there is one.
pub fn payloads(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    if bytes.starts_with(b"SSH-") {
        bytes = bytes.split_at(bytes.iter().position(|b| *b == b'\n').expect("a line") + 1).1;
    }
    let mut payloads = Vec::new();
    while payloads.last().is_none_or(|last: &Vec<u8>| *last != [NewKeys::NUMBER])
        && let Some(([a, b, c, d, padding], rest)) = bytes.split_first_chunk()
    {
        let (packet, rest) = rest.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize - 1);
        payloads.push(packet[..packet.len() - usize::from(*padding)].to_vec());
        bytes = rest;
    }
    payloads
}

/// Puts into a buffer what it has space for, and says how much that was: nothing where a verdict is waited for.
pub fn fill(input: &mut RecvBuf, bytes: &[u8]) -> usize {
    let space = input.space();
    let n = space.len().min(bytes.len());
    space[..n].copy_from_slice(&bytes[..n]);
    input.filled(n);
    n
}

/// All that a side has to send.
pub fn all_output<S: UserauthSide>(conn: &mut Connection<S>) -> Vec<u8> {
    let mut pipe = VecDeque::new();
    ship(conn, &mut pipe, usize::MAX);
    pipe.into()
}

/// One side, its input, and what it was told.
pub struct End<S: UserauthSide> {
    pub conn: Connection<S>,
    pub input: RecvBuf,
    pub tickets: VecDeque<Ticket>,
    pub seen: Seen,
    pub error: Option<Error>,
}

/// What happened to its channel.
#[derive(Default)]
pub struct Seen {
    pub channel: Option<ChannelId>,
    pub opened: bool,
    pub data: Vec<u8>,
    /// Bytes of data that were not credited yet.
    pub owed: usize,
    pub eof: bool,
    pub closed: bool,
}

/// What an event leaves behind, of either side.
pub trait Side: UserauthSide {
    fn ticket(event: Event<'_, Self>) -> Option<Ticket>;
}

impl Side for Client {
    fn ticket(event: Event<'_, Self>) -> Option<Ticket> {
        match event {
            Event::Kex(host) => Some(host.ticket),
            Event::Userauth(ClientUserauthEvent::Continue { ticket, .. }) => Some(ticket),
            Event::Userauth(ClientUserauthEvent::PasswordExpired { ticket, .. }) => Some(ticket),
            _ => None,
        }
    }
}

impl Side for Server {
    fn ticket(event: Event<'_, Self>) -> Option<Ticket> {
        match event {
            Event::Userauth(question) => Some(question.ticket),
            _ => None,
        }
    }
}

impl End<Client> {
    pub fn client(transport: TransportConfig, limits: ChannelLimits, now: Instant) -> Self {
        let ann = ClientUserauthConfig { user_name: "ann".to_owned() };
        let config = Arc::new(ClientConfig { transport });
        Self::new(Connection::new(config, ann, limits, Box::new(SeededRng(2, 0)), now))
    }
}

impl End<Server> {
    pub fn server(transport: TransportConfig, limits: ChannelLimits, now: Instant) -> Self {
        Self::server_asking(ServerUserauthConfig::default().methods, transport, limits, now)
    }

    /// A server that asks for these methods.
    pub fn server_asking(
        methods: MethodChains,
        transport: TransportConfig,
        limits: ChannelLimits,
        now: Instant,
    ) -> Self {
        let userauth = ServerUserauthConfig { methods, failure_delay: Duration::ZERO, ..Default::default() };
        let config = Arc::new(ServerConfig { transport, ..ServerConfig::new(HOST_KEYS.clone()) });
        Self::new(Connection::new(config, userauth, limits, Box::new(SeededRng(3, 0)), now))
    }
}

impl<S: Side> End<S> {
    fn new(conn: Connection<S>) -> Self {
        Self { conn, input: RecvBuf::new(), tickets: VecDeque::new(), seen: Seen::default(), error: None }
    }

    /// Takes what is in the buffer.
    pub fn pull(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while self.error.is_none() && self.conn.pending_output() < 512 * 1024 {
            match self.conn.handle_input(&mut self.input, now) {
                Ok(Step::NeedInput | Step::NeedVerdict) => break,
                Ok(Step::Progress) => {}
                Ok(Step::Event(Event::Channel(id, event))) => self.seen.take(id, &event),
                Ok(Step::Event(event)) => self.tickets.extend(S::ticket(event)),
                Err(error) => self.error = Some(error),
            }
            moved = true;
        }
        moved
    }

    /// Puts bytes into the buffer and takes them.
    pub fn feed(&mut self, mut bytes: &[u8], now: Instant) {
        while self.error.is_none()
            && let n @ 1.. = fill(&mut self.input, bytes)
        {
            bytes = &bytes[n..];
            self.pull(now);
        }
    }
}

impl Seen {
    fn take(&mut self, id: ChannelId, event: &ChannelEvent<'_>) {
        self.channel = Some(id);
        match event {
            ChannelEvent::Opened => self.opened = true,
            ChannelEvent::Data { data } => {
                assert!(!self.eof && !self.closed);
                self.owed += data.len();
                self.data.extend_from_slice(data);
            }
            ChannelEvent::Eof => self.eof = true,
            ChannelEvent::Closed | ChannelEvent::OpenFailure { .. } => self.closed = true,
            _ => {}
        }
    }
}

/// Two sides and the bytes between them.
pub struct Pair {
    pub client: End<Client>,
    pub server: End<Server>,
    pub up: VecDeque<u8>,
    pub down: VecDeque<u8>,
    pub now: Instant,
}

impl Pair {
    /// Both sides offer what they offer by default.
    pub fn new(limits: ChannelLimits) -> Self {
        Self::with(TransportConfig::client(), TransportConfig::server(), limits)
    }

    pub fn with(client: TransportConfig, server: TransportConfig, limits: ChannelLimits) -> Self {
        let now = Instant::now();
        let (client, server) = (End::client(client, limits, now), End::server(server, limits, now));
        Self { client, server, up: VecDeque::new(), down: VecDeque::new(), now }
    }

    /// Moves everything until nothing moves.
    pub fn drive(&mut self) {
        while self.up(usize::MAX) | self.down(usize::MAX) {}
    }

    /// Moves at most so many bytes from the client to the server.
    pub fn up(&mut self, width: usize) -> bool {
        ship(&mut self.client.conn, &mut self.up, width) | receive(&mut self.server, &mut self.up, self.now)
    }

    /// And back.
    pub fn down(&mut self, width: usize) -> bool {
        ship(&mut self.server.conn, &mut self.down, width)
            | receive(&mut self.client, &mut self.down, self.now)
    }

    /// Until the client is asked for a credential.
    pub fn keyed(transport: TransportConfig, limits: ChannelLimits) -> Self {
        let mut pair = Self::with(transport.clone(), transport, limits);
        pair.drive();
        let ticket = pair.client.tickets.pop_front().expect("asked about the host key");
        pair.client.conn.accept_host_key(ticket).expect("it is the open question");
        pair.drive();
        pair
    }

    /// Until a session is open.
    pub fn running(transport: TransportConfig, limits: ChannelLimits) -> Self {
        let mut pair = Self::keyed(transport, limits);
        let ticket = pair.client.tickets.pop_front().expect("asked for a credential");
        pair.client.conn.request_password(ticket, b"x").expect("it is the open question");
        pair.drive();
        let ticket = pair.server.tickets.pop_front().expect("asked about the password");
        pair.server.conn.accept_user(ticket, &Permissions::FULL).expect("it is the open question");
        pair.drive();
        pair.client.conn.open_session().expect("authenticated");
        pair.drive();
        let id = pair.server.seen.channel.expect("asked for a session");
        pair.server.conn.accept_channel(id).expect("it was offered");
        pair.drive();
        assert!(pair.client.seen.opened);
        pair
    }
}

fn ship<S: UserauthSide>(conn: &mut Connection<S>, pipe: &mut VecDeque<u8>, width: usize) -> bool {
    let mut moved = false;
    loop {
        let output = conn.output();
        let n = output.len().min(width.saturating_sub(pipe.len()));
        if n == 0 {
            return moved;
        }
        pipe.extend(&output[..n]);
        conn.consume_output(n);
        moved = true;
    }
}

fn receive<S: Side>(end: &mut End<S>, pipe: &mut VecDeque<u8>, now: Instant) -> bool {
    let mut moved = false;
    if !pipe.is_empty() && end.conn.pending_output() < 512 * 1024 {
        let n = fill(&mut end.input, pipe.make_contiguous());
        pipe.drain(..n);
        moved = n > 0;
    }
    end.pull(now) || moved
}
