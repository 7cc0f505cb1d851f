//! One side: a machine with a generator that begins where it is told, a clock that counts reads, and an application that
//! acts on events alone. So what it puts out is a function of what it takes in.

use super::recording::{Rekey, Settings, Turn, hex};
use super::rng::SeededRng;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use strombus::connection::{Channel, ChannelEvent, ChannelId, ChannelType, Connection, Event, Request, Step};
use strombus::crypto::sign::PrivateKey;
use strombus::keys::private_key;
use strombus::transport::algorithms::{
    Algorithms, CIPHER, COMPRESSION, KEX, MAC, Negotiated, SIGNATURE, pick,
};
use strombus::transport::{
    Client, ClientConfig, Error, KexSide, RecvBuf, Server, ServerConfig, TransportConfig,
};
use strombus::userauth::{
    ClientUserauthConfig, ClientUserauthEvent, Credential, Permissions, ServerUserauthConfig, UserauthSide,
};
use strombus::wire::DisconnectReason;
use strombus::wire::number::Sender;

/// What the keys of both sides are, in `vectors/keys`.
pub const HOST_KEY: &str = "ed25519";
pub const USER_KEY: &str = "ed25519-no-comment";

/// The data of one round, which come back.
pub const ROUND_LEN: usize = 150;

/// The data of a round: some of it again and again, some not.
pub fn round(number: usize) -> Vec<u8> {
    (0..).flat_map(|line| format!("round {number} line {line} ").into_bytes()).take(ROUND_LEN).collect()
}

/// Of one side, what its application has in hand.
pub struct Application {
    settings: Settings,
    rounds_sent: usize,
    /// Waits for room, or for the end of an exchange.
    unsent: Vec<u8>,
    /// Nothing comes after `unsent`.
    last: bool,
    rekeyed: bool,
    received: Vec<u8>,
    exit_status: Option<u32>,
}

impl Application {
    fn next_round(&mut self) {
        self.unsent.extend(round(self.rounds_sent));
        self.rounds_sent += 1;
        self.last = self.rounds_sent == self.settings.rounds;
    }

    /// Renews the keys, once, if that is for this side to do.
    fn rekey<S: Side>(&mut self, conn: &mut Connection<S>) {
        if self.settings.rekey == Rekey::Local && !core::mem::replace(&mut self.rekeyed, true) {
            conn.start_kex();
        }
    }

    /// Writes what can go out now, and ends what there is to end.
    fn write<S: Side>(&mut self, conn: &mut Connection<S>, id: ChannelId) {
        let mut channel = conn.channel(id).unwrap();
        let n = channel.write(&self.unsent);
        self.unsent.drain(..n);
        if self.unsent.is_empty() && core::mem::take(&mut self.last) {
            S::finish(channel);
        }
    }
}

/// What the sides do differently.
pub trait Side: UserauthSide {
    fn connection(settings: &Settings, now: Instant) -> Connection<Self>;

    /// Acts on an event, and says what it was.
    fn answer(conn: &mut Connection<Self>, app: &mut Application, event: Event<'_, Self>) -> String;

    /// All data were written.
    fn finish(channel: Channel<'_, Self>);
}

fn key(name: &str) -> Arc<PrivateKey> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/keys").join(name);
    Arc::new(private_key::parse(&std::fs::read(path).unwrap()).unwrap().plain().unwrap().key)
}

/// One algorithm of each kind, no matter what the defaults are one day; and time renews no keys.
fn transport(settings: &Settings, default: TransportConfig) -> TransportConfig {
    let signature = pick(SIGNATURE, "ssh-ed25519").unwrap();
    let algorithms = Algorithms {
        kex: pick(KEX, &settings.kex).unwrap(),
        host_key: signature.clone(),
        user_key: signature,
        cipher: pick(CIPHER, &settings.cipher).unwrap(),
        mac: pick(MAC, &settings.mac).unwrap(),
        compression: pick(COMPRESSION, &settings.compression).unwrap(),
    };
    TransportConfig { algorithms, ..default }
}

/// An event of a channel in words.
fn words(event: &ChannelEvent<'_>) -> String {
    match event {
        ChannelEvent::Data { data } => format!("Data {}", hex(data)),
        ChannelEvent::Stderr { data } => format!("Stderr {}", hex(data)),
        ChannelEvent::Request { request: Request::Exec { command }, .. } => format!("Exec {}", hex(command)),
        ChannelEvent::OpenRequest { channel_type: ChannelType::Session } => "OpenRequest".to_owned(),
        other => format!("{other:?}"),
    }
}

impl Side for Client {
    fn connection(settings: &Settings, now: Instant) -> Connection<Self> {
        let config = ClientConfig { transport: transport(settings, TransportConfig::client()) };
        let user = ClientUserauthConfig { user_name: settings.user_name.clone() };
        let rng = Box::new(SeededRng::new(settings.seed));
        Connection::new(Arc::new(config), user, Default::default(), rng, now)
    }

    fn answer(conn: &mut Connection<Self>, app: &mut Application, event: Event<'_, Self>) -> String {
        match event {
            Event::Kex(host) => {
                assert_eq!(host.key, key(HOST_KEY).public_key());
                conn.accept_host_key(host.ticket).unwrap();
                format!("HostKey {}", host.key.fingerprint())
            }
            Event::Userauth(ClientUserauthEvent::Continue {
                authentications_that_can_continue: names,
                ticket,
                ..
            }) => {
                conn.request_publickey(ticket, key(USER_KEY)).unwrap();
                format!("Continue {}", names.as_str())
            }
            Event::Userauth(other) => panic!("{other:?}"),
            Event::Global(_) => panic!("it is passed over"),
            Event::Authenticated => {
                conn.open_session().unwrap();
                "Authenticated".to_owned()
            }
            Event::Channel(id, event) => {
                match event {
                    ChannelEvent::Opened => conn.channel(id).unwrap().request_exec(b"cat").unwrap(),
                    ChannelEvent::Reply { .. } => {
                        app.next_round();
                        app.write(conn, id);
                    }
                    ChannelEvent::Data { data } => {
                        app.received.extend(data);
                        conn.channel(id).unwrap().adjust_window(data.len()).unwrap();
                        let returned = app.received.len() == app.rounds_sent * ROUND_LEN;
                        if returned && app.rounds_sent < app.settings.rounds {
                            app.rekey(conn);
                            app.next_round();
                            app.write(conn, id);
                        }
                    }
                    ChannelEvent::Request { request: Request::ExitStatus { exit_status }, .. } => {
                        app.exit_status = Some(exit_status);
                    }
                    ChannelEvent::Closed => conn.disconnect(DisconnectReason::BY_APPLICATION, "done"),
                    _ => {}
                }
                words(&event)
            }
        }
    }

    fn finish(mut channel: Channel<'_, Self>) {
        channel.send_eof().unwrap();
    }
}

impl Side for Server {
    fn connection(settings: &Settings, now: Instant) -> Connection<Self> {
        let transport = transport(settings, TransportConfig::server());
        let config =
            ServerConfig { transport, announces_host_keys: false, ..ServerConfig::new(vec![key(HOST_KEY)]) };
        let userauth = ServerUserauthConfig { failure_delay: Duration::ZERO, ..Default::default() };
        let rng = Box::new(SeededRng::new(settings.seed));
        Connection::new(Arc::new(config), userauth, Default::default(), rng, now)
    }

    fn answer(conn: &mut Connection<Self>, app: &mut Application, event: Event<'_, Self>) -> String {
        match event {
            Event::Kex(never) => match never {},
            Event::Global(_) => panic!("it is passed over"),
            Event::Userauth(question) => {
                let (what, shown) = match question.credential {
                    Credential::Query { key } => ("Query", key),
                    Credential::Publickey { key, .. } => ("Publickey", key),
                    _ => panic!("nobody has a password"),
                };
                assert_eq!(*question.user_name, *app.settings.user_name.as_bytes());
                assert_eq!(*shown.key(), key(USER_KEY).public_key());
                conn.accept_user(question.ticket, &Permissions::FULL).unwrap();
                format!("{what} {}", shown.key().fingerprint())
            }
            Event::Authenticated => "Authenticated".to_owned(),
            Event::Channel(id, event) => {
                match event {
                    ChannelEvent::OpenRequest { .. } => conn.accept_channel(id).unwrap(),
                    ChannelEvent::Request { want_reply: true, .. } => {
                        conn.channel(id).unwrap().reply(true).unwrap();
                    }
                    ChannelEvent::Data { data } => {
                        app.received.extend(data);
                        app.unsent.extend(data);
                        conn.channel(id).unwrap().adjust_window(data.len()).unwrap();
                        app.rekey(conn);
                        app.write(conn, id);
                    }
                    ChannelEvent::Eof => {
                        app.last = true;
                        app.write(conn, id);
                    }
                    _ => {}
                }
                words(&event)
            }
        }
    }

    fn finish(mut channel: Channel<'_, Self>) {
        channel.send_exit_status(0).unwrap();
        channel.send_eof().unwrap();
        channel.close().unwrap();
    }
}

/// A machine with its application.
pub struct End<S: Side> {
    conn: Connection<S>,
    input: RecvBuf,
    now: Instant,
    app: Application,
    is_rekeying: bool,
    is_over: bool,
}

impl<S: Side> End<S> {
    pub fn new(settings: &Settings) -> Self {
        let now = Instant::now();
        let app = Application {
            settings: settings.clone(),
            rounds_sent: 0,
            unsent: Vec::new(),
            last: false,
            rekeyed: false,
            received: Vec::new(),
            exit_status: None,
        };
        let (conn, input) = (S::connection(settings, now), RecvBuf::new());
        Self { conn, input, now, app, is_rekeying: false, is_over: false }
    }

    /// Takes what one read brought; the output is consumed by as many bytes at a time.
    pub fn take(&mut self, bytes: &[u8], consumed: usize) -> Turn {
        self.now += Duration::from_millis(1);
        self.input.space()[..bytes.len()].copy_from_slice(bytes);
        self.input.filled(bytes.len());
        let (mut events, mut output) = (Vec::new(), Vec::new());
        while !self.is_over && self.step(&mut events) {}
        loop {
            let n = self.conn.output().len().min(consumed);
            if n == 0 {
                return Turn { input: bytes.to_vec(), events, output };
            }
            output.extend(&self.conn.output()[..n]);
            self.conn.consume_output(n);
        }
    }

    /// Takes one packet; whether there may be another.
    fn step(&mut self, events: &mut Vec<String>) -> bool {
        match self.conn.handle_input(&mut self.input, self.now) {
            Ok(Step::NeedInput) => return false,
            Ok(Step::NeedVerdict) => panic!("every question is answered at once"),
            // A host's further keys are no part of these conversations.
            Ok(Step::Progress | Step::Event(Event::Global(_))) => {}
            Ok(Step::Event(event)) => events.push(S::answer(&mut self.conn, &mut self.app, event)),
            Err(Error::Disconnected { reason: DisconnectReason(reason), description }) => {
                events.push(format!("Disconnected {reason} {description}"));
                self.is_over = true;
            }
            Err(error) => panic!("{error:?}"),
        }
        while let Some(id) = self.conn.poll_writable() {
            self.app.write(&mut self.conn, id);
        }
        self.is_over |= self.conn.is_ended();
        self.watch_exchange(events);
        true
    }

    /// A later exchange shows by its deadline, which comes long before time asks for another one.
    fn watch_exchange(&mut self, events: &mut Vec<String>) {
        let soon = self.now + TransportConfig::client().login_grace;
        let is_rekeying =
            self.conn.is_authenticated() && self.conn.poll_timeout().is_some_and(|at| at <= soon);
        if is_rekeying != core::mem::replace(&mut self.is_rekeying, is_rekeying) && !self.is_over {
            events.push(if is_rekeying { REKEY_BEGINS } else { REKEY_ENDS }.to_owned());
        }
    }

    /// Whether the conversation has ended.
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// The peer's identification line.
    pub fn peer(&self) -> String {
        String::from_utf8(self.conn.remote_identification().to_vec()).unwrap()
    }

    pub fn negotiated(&self) -> &Negotiated {
        self.conn.negotiated().unwrap()
    }

    /// Fails unless everything was said: the data went and came, and both sides ended in good order.
    pub fn assert_complete(&self) {
        let Settings { rounds, peer, .. } = &self.app.settings;
        assert!(self.is_over && self.app.unsent.is_empty());
        if *rounds > 0 {
            let data: Vec<u8> = (0..*rounds).flat_map(round).collect();
            assert_eq!(hex(&self.app.received), hex(&data), "with {peer}");
        }
        if <S as KexSide>::ROLE == Sender::Client {
            assert_eq!(self.app.exit_status, Some(0));
        }
    }
}

pub const REKEY_BEGINS: &str = "RekeyBegins";
pub const REKEY_ENDS: &str = "RekeyEnds";
