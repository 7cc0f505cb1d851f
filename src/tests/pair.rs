//! A client and a server in memory: no sockets, no clock, no chance.

use crate::connection::{
    ChannelEvent, ChannelId, ChannelLimits, ChannelType, Connection, Event, GlobalEvent, Request, Step,
};
use crate::crypto::sign::PrivateKey;
use crate::crypto::sign::certificate::Certificate;
use crate::crypto::{Cipher, Mac, Rng, hash};
use crate::transport::algorithms::{Algorithm, CIPHER, COMPRESSION, KEX, MAC, pick};
use crate::transport::{Client, ClientConfig, Error, RecvBuf, Server, ServerConfig, Ticket, TransportConfig};
use crate::userauth::{
    ClientUserauthConfig, ClientUserauthEvent, Credential, Permissions, Prompt, ServerUserauthConfig,
    SignatureRequest, UserauthSide,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// SHA-256 in counter mode: the same for the same seed.
pub(crate) struct SeededRng {
    seed: u64,
    counter: u64,
}

impl SeededRng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, counter: 0 }
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % n as u64) as usize
    }
}

impl Rng for SeededRng {
    fn fill(&mut self, out: &mut [u8]) {
        for block in out.chunks_mut(32) {
            let mut state = hash::Hash::Sha256.start();
            state.update(&self.seed.to_be_bytes());
            state.update(&self.counter.to_be_bytes());
            self.counter += 1;
            block.copy_from_slice(&state.finish().as_bytes()[..block.len()]);
        }
    }
}

/// An event that outlives the receive buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    HostKey(String),
    Banner(Vec<u8>),
    Continue(String),
    PasswordExpired,
    Sign(SignatureRequest),
    /// Prompts, a mark at those that may be shown.
    Asked(Vec<String>),
    Query(Vec<u8>),
    Publickey(Vec<u8>),
    Password(Vec<u8>, Vec<u8>),
    NoCredential,
    PasswordChange(Vec<u8>, Vec<u8>),
    KeyboardInteractive(Vec<u8>),
    Responses(Vec<Vec<u8>>),
    Authenticated,
    OpenRequest,
    Offered(String),
    Opened,
    OpenFailure(u32),
    Data(Vec<u8>),
    Stderr(Vec<u8>),
    Eof,
    Exec(Vec<u8>),
    Request(String),
    Reply(bool),
    Closed,
    Global(GlobalEvent),
}

pub(crate) trait TestSide: UserauthSide {
    fn see(event: Event<'_, Self>) -> (Option<Ticket>, Option<ChannelId>, Seen);
}

fn see_channel(event: &ChannelEvent<'_>) -> Seen {
    match *event {
        ChannelEvent::OpenRequest { channel_type: ChannelType::Session } => Seen::OpenRequest,
        ChannelEvent::OpenRequest { channel_type } => Seen::Offered(format!("{channel_type:?}")),
        ChannelEvent::Opened => Seen::Opened,
        ChannelEvent::OpenFailure { reason_code, .. } => Seen::OpenFailure(reason_code),
        ChannelEvent::Data { data } => Seen::Data(data.to_vec()),
        ChannelEvent::Stderr { data } => Seen::Stderr(data.to_vec()),
        ChannelEvent::Eof => Seen::Eof,
        ChannelEvent::Request { request: Request::Exec { command }, .. } => Seen::Exec(command.to_vec()),
        ChannelEvent::Request { request, .. } => Seen::Request(format!("{request:?}")),
        ChannelEvent::Reply { success } => Seen::Reply(success),
        ChannelEvent::Closed => Seen::Closed,
    }
}

impl TestSide for Client {
    fn see(event: Event<'_, Self>) -> (Option<Ticket>, Option<ChannelId>, Seen) {
        match event {
            Event::Kex(host) => (Some(host.ticket), None, Seen::HostKey(host.key.fingerprint())),
            Event::Userauth(ClientUserauthEvent::Banner { message }) => {
                (None, None, Seen::Banner(message.to_vec()))
            }
            Event::Userauth(ClientUserauthEvent::Continue {
                authentications_that_can_continue,
                ticket,
                ..
            }) => (Some(ticket), None, Seen::Continue(authentications_that_can_continue.as_str().to_owned())),
            Event::Userauth(ClientUserauthEvent::PasswordExpired { ticket, .. }) => {
                (Some(ticket), None, Seen::PasswordExpired)
            }
            Event::Userauth(ClientUserauthEvent::Sign { request, ticket }) => {
                (Some(ticket), None, Seen::Sign(request))
            }
            Event::Userauth(ClientUserauthEvent::InformationRequest { prompts, ticket, .. }) => {
                let text = |prompt: &Prompt<'_>| {
                    let mark = if prompt.echo { "+" } else { "" };
                    format!("{mark}{}", String::from_utf8_lossy(prompt.prompt))
                };
                (Some(ticket), None, Seen::Asked(prompts.iter().map(text).collect()))
            }
            Event::Authenticated => (None, None, Seen::Authenticated),
            Event::Global(event) => (None, None, Seen::Global(event)),
            Event::Channel(id, event) => (None, Some(id), see_channel(&event)),
        }
    }
}

impl TestSide for Server {
    fn see(event: Event<'_, Self>) -> (Option<Ticket>, Option<ChannelId>, Seen) {
        match event {
            Event::Kex(never) => match never {},
            Event::Userauth(question) => {
                let user = question.user_name.to_vec();
                let seen = match question.credential {
                    Credential::Query { .. } => Seen::Query(user),
                    Credential::Publickey { .. } => Seen::Publickey(user),
                    Credential::Password(password) => Seen::Password(user, password.to_vec()),
                    Credential::None => Seen::NoCredential,
                    Credential::PasswordChange { password, new_password } => {
                        Seen::PasswordChange(password.to_vec(), new_password.to_vec())
                    }
                    Credential::KeyboardInteractive { submethods } => Seen::KeyboardInteractive(submethods),
                    Credential::Responses(responses) => {
                        Seen::Responses(responses.iter().map(|response| response.to_vec()).collect())
                    }
                };
                (Some(question.ticket), None, seen)
            }
            Event::Authenticated => (None, None, Seen::Authenticated),
            Event::Global(event) => (None, None, Seen::Global(event)),
            Event::Channel(id, event) => (None, Some(id), see_channel(&event)),
        }
    }
}

/// One side with what it reads from and what happened to it.
pub(crate) struct End<S: TestSide> {
    pub(crate) conn: Connection<S>,
    pub(crate) input: RecvBuf,
    pub(crate) seen: Vec<Seen>,
    pub(crate) tickets: VecDeque<Ticket>,
    pub(crate) channel: Option<ChannelId>,
    pub(crate) error: Option<Error>,
    /// Give credit for data as it comes.
    pub(crate) consumes: bool,
}

impl<S: TestSide> End<S> {
    pub(crate) fn new(conn: Connection<S>) -> Self {
        let (input, seen, tickets) = (RecvBuf::new(), Vec::new(), VecDeque::new());
        Self { conn, input, seen, tickets, channel: None, error: None, consumes: true }
    }

    /// Takes what is in the buffer; whether anything happened.
    pub(crate) fn pull(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while self.step(now) {
            moved = true;
        }
        moved
    }

    /// Takes one packet.
    pub(crate) fn step(&mut self, now: Instant) -> bool {
        if self.error.is_some() {
            return false;
        }
        match self.conn.handle_input(&mut self.input, now) {
            Ok(Step::NeedInput | Step::NeedVerdict) => false,
            Ok(Step::Progress) => true,
            Ok(Step::Event(event)) => {
                let (ticket, id, seen) = S::see(event);
                self.tickets.extend(ticket);
                self.channel = id.or(self.channel);
                if let (Seen::Data(data) | Seen::Stderr(data), Some(id), true) = (&seen, id, self.consumes) {
                    self.conn.channel(id).unwrap().adjust_window(data.len()).unwrap();
                }
                self.seen.push(seen);
                true
            }
            Err(error) => {
                self.error = Some(error);
                true
            }
        }
    }

    pub(crate) fn ticket(&mut self) -> Ticket {
        self.tickets.pop_front().expect("a question is open")
    }

    pub(crate) fn data(&self) -> Vec<u8> {
        self.seen.iter().flat_map(|s| if let Seen::Data(d) = s { d.clone() } else { Vec::new() }).collect()
    }
}

/// Two sides and the bytes between them.
pub(crate) struct Pair {
    pub(crate) client: End<Client>,
    pub(crate) server: End<Server>,
    pub(crate) up: VecDeque<u8>,
    pub(crate) down: VecDeque<u8>,
    pub(crate) now: Instant,
    /// Bytes that each direction holds.
    pub(crate) pipe: usize,
}

pub(crate) fn user_key() -> Arc<PrivateKey> {
    Arc::new(PrivateKey::generate_ed25519(&mut SeededRng::new(7)))
}

pub(crate) fn host_key() -> Arc<PrivateKey> {
    Arc::new(PrivateKey::generate_ed25519(&mut SeededRng::new(8)))
}

/// What a test changes.
pub(crate) struct Settings {
    pub(crate) client: TransportConfig,
    pub(crate) server: TransportConfig,
    pub(crate) userauth: ServerUserauthConfig,
    pub(crate) limits: ChannelLimits,
    pub(crate) seed: u64,
    pub(crate) host_keys: Vec<Arc<PrivateKey>>,
    pub(crate) certificates: Vec<Certificate>,
    /// Not, in tests that are of something else.
    pub(crate) announces_host_keys: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let userauth = ServerUserauthConfig { failure_delay: Duration::ZERO, ..Default::default() };
        // The fastest method, in tests that are of something else.
        let kex = pick(KEX, "curve25519-sha256,curve25519-sha256@libssh.org").unwrap();
        let (mut client, mut server) = (TransportConfig::client(), TransportConfig::server());
        client.algorithms.kex.clone_from(&kex);
        server.algorithms.kex = kex;
        let limits = ChannelLimits::default();
        Self {
            client,
            server,
            userauth,
            limits,
            seed: 1,
            host_keys: vec![host_key()],
            certificates: Vec::new(),
            announces_host_keys: false,
        }
    }
}

impl Settings {
    /// Both sides know just this cipher and this MAC.
    pub(crate) fn protected(cipher: &str, mac: &str) -> Self {
        let mut settings = Self::default();
        for side in [&mut settings.client, &mut settings.server] {
            side.algorithms.cipher = pick(CIPHER, cipher).unwrap();
            side.algorithms.mac = pick(MAC, mac).unwrap();
        }
        settings
    }

    /// Both sides would rather compress.
    pub(crate) fn compressed() -> Self {
        let mut settings = Self::default();
        for side in [&mut settings.client, &mut settings.server] {
            side.algorithms.compression = pick(COMPRESSION, "zlib@openssh.com,none").unwrap();
        }
        settings
    }
}

/// Every cipher, with every MAC where it needs one.
pub(crate) fn protections() -> impl Iterator<Item = (Algorithm<Cipher>, Algorithm<Mac>)> {
    CIPHER.iter().flat_map(|cipher| {
        let macs = if cipher.algorithm.is_aead() { 1 } else { MAC.len() };
        MAC.iter().take(macs).map(move |mac| (*cipher, *mac))
    })
}

impl Pair {
    pub(crate) fn new(settings: Settings) -> Self {
        let now = Instant::now();
        let client = Connection::<Client>::new(
            Arc::new(ClientConfig { transport: settings.client }),
            ClientUserauthConfig { user_name: "ann".to_owned() },
            settings.limits,
            Box::new(SeededRng::new(settings.seed)),
            now,
        );
        let server = Connection::<Server>::new(
            Arc::new(ServerConfig {
                transport: settings.server,
                certificates: settings.certificates,
                announces_host_keys: settings.announces_host_keys,
                ..ServerConfig::new(settings.host_keys)
            }),
            settings.userauth,
            settings.limits,
            Box::new(SeededRng::new(settings.seed + 1)),
            now,
        );
        let (up, down) = (VecDeque::new(), VecDeque::new());
        Self { client: End::new(client), server: End::new(server), up, down, now, pipe: usize::MAX }
    }

    /// Moves bytes and packets until nothing moves.
    pub(crate) fn drive(&mut self) {
        while self.round() {}
    }

    /// Each side sends what the pipe takes, then takes what came.
    pub(crate) fn round(&mut self) -> bool {
        let mut moved = ship(&mut self.client.conn, &mut self.up, self.pipe);
        moved |= ship(&mut self.server.conn, &mut self.down, self.pipe);
        moved |= receive(&mut self.server.input, &mut self.up);
        moved |= self.server.pull(self.now);
        moved |= receive(&mut self.client.input, &mut self.down);
        moved | self.client.pull(self.now)
    }

    /// Passes time on both sides.
    pub(crate) fn wait(&mut self, time: Duration) {
        self.now += time;
        for error in
            [self.client.conn.handle_timeout(self.now).err(), self.server.conn.handle_timeout(self.now).err()]
        {
            assert_eq!(error, None);
        }
    }

    /// Until the client waits for a credential.
    pub(crate) fn keyed(settings: Settings) -> Self {
        let mut pair = Self::new(settings);
        pair.drive();
        let ticket = pair.client.ticket();
        pair.client.conn.accept_host_key(ticket).unwrap();
        pair.drive();
        pair
    }

    /// Until ann is logged in.
    pub(crate) fn authenticated(settings: Settings) -> Self {
        Self::authenticated_by(user_key(), settings)
    }

    /// The same with another key.
    pub(crate) fn authenticated_by(user_key: Arc<PrivateKey>, settings: Settings) -> Self {
        let mut pair = Self::keyed(settings);
        let ticket = pair.client.ticket();
        pair.client.conn.request_publickey(ticket, user_key).unwrap();
        for _ in 0..2 {
            pair.drive();
            let ticket = pair.server.ticket();
            pair.server.conn.accept_user(ticket, &Permissions::FULL).unwrap();
        }
        pair.drive();
        pair
    }

    /// Until a command runs on a channel.
    pub(crate) fn running(settings: Settings) -> Self {
        let mut pair = Self::authenticated(settings);
        pair.open();
        pair
    }

    /// Opens a session and starts a command on it; the ids of both sides.
    pub(crate) fn open(&mut self) -> (ChannelId, ChannelId) {
        self.client.conn.open_session().unwrap();
        self.drive();
        let there = self.server.channel.unwrap();
        self.server.conn.accept_channel(there).unwrap();
        self.drive();
        let here = self.client.channel.unwrap();
        self.client.conn.channel(here).unwrap().request_exec(b"cat").unwrap();
        self.drive();
        self.server.conn.channel(there).unwrap().reply(true).unwrap();
        self.drive();
        (here, there)
    }
}

/// Moves output into a pipe.
pub(crate) fn ship<S: UserauthSide>(
    conn: &mut Connection<S>,
    pipe: &mut VecDeque<u8>,
    capacity: usize,
) -> bool {
    let mut moved = false;
    loop {
        let output = conn.output();
        let n = output.len().min(capacity - pipe.len());
        if n == 0 {
            return moved;
        }
        pipe.extend(&output[..n]);
        conn.consume_output(n);
        moved = true;
    }
}

/// Moves bytes from a pipe into a buffer.
pub(crate) fn receive(input: &mut RecvBuf, pipe: &mut VecDeque<u8>) -> bool {
    if pipe.is_empty() {
        return false;
    }
    let space = input.space();
    let n = space.len().min(pipe.len());
    for (to, from) in space.iter_mut().zip(pipe.drain(..n)) {
        *to = from;
    }
    input.filled(n);
    n > 0
}

/// All that a connection has to send.
pub(crate) fn all_output<S: UserauthSide>(conn: &mut Connection<S>) -> Vec<u8> {
    let mut pipe = VecDeque::new();
    ship(conn, &mut pipe, usize::MAX);
    pipe.into()
}
