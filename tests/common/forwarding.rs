//! Two programs that forward, each on a loop of its own, with a connection between them.

use mio::net::UnixStream;
use std::net::Shutdown;
use std::os::unix::net::UnixStream as Socket;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;
use strombus::connection::{
    Bind, ChannelEvent, ChannelId, ChannelLimits, ChannelType, Connection, Event, GlobalEvent,
};
use strombus::crypto::SystemRng;
use strombus::crypto::sign::PrivateKey;
use strombus::driver::forward::{Ask, Forwards, Requests, Target};
use strombus::driver::{Application, Context, Driver, Error, PeerId, Peers, Source, Stream};
use strombus::transport::{Client, ClientConfig, Server, ServerConfig, TransportConfig};
use strombus::userauth::{
    ClientUserauthConfig, ClientUserauthEvent, Credential, CredentialEvent, Permissions, ServerUserauthConfig,
};

/// What the client does after its login.
pub type Start =
    Box<dyn FnOnce(&mut Forwards<Client>, &mut Context<'_>, PeerId, &mut Connection<Client>) + Send>;

/// What is heard of the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    Started,
    Global(GlobalEvent),
    Event(&'static str),
}

struct Here {
    forwards: Forwards<Client>,
    start: Option<Start>,
    /// Where the server's connections lead; 0 if they say it by SOCKS.
    target: u16,
    tell: Sender<Told>,
    gone: bool,
}

struct There {
    forwards: Forwards<Server>,
    requests: Requests,
    ask: fn(Bind) -> Ask,
    gone: bool,
    tell: Sender<&'static str>,
}

/// What both sides do alike.
macro_rules! like_both {
    ($side:ty) => {
        fn writable(
            &mut self,
            cx: &mut Context<'_>,
            peer: PeerId,
            conn: &mut Connection<$side>,
            id: ChannelId,
        ) -> Result<(), Error> {
            assert!(self.forwards.writable(cx, (peer, id), conn)?);
            Ok(())
        }

        fn disconnect(&mut self, cx: &mut Context<'_>, peer: PeerId, _: Result<(), Error>) {
            self.forwards.disconnect(cx, peer);
            self.gone = true;
            self.tell_gone();
        }

        fn is_done(&self) -> bool {
            self.gone && self.forwards.is_idle()
        }
    };
}

impl Here {
    const fn tell_gone(&self) {}
}

impl There {
    fn tell_gone(&self) {
        let _nobody_asks = self.tell.send("gone");
    }
}

impl Application<Client> for Here {
    fn event(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Client>,
        event: Event<'_, Client>,
    ) -> Result<(), Error> {
        match event {
            Event::Kex(host) => conn.accept_host_key(host.ticket)?,
            Event::Userauth(ClientUserauthEvent::Continue { ticket, .. }) => {
                conn.request_password(ticket, b"secret")?;
            }
            Event::Userauth(_) => {}
            Event::Authenticated => {
                self.start.take().unwrap()(&mut self.forwards, cx, peer, conn);
                self.tell.send(Told::Started).unwrap();
            }
            Event::Global(event) => drop(self.tell.send(Told::Global(event))),
            Event::Channel(id, ChannelEvent::OpenRequest { .. }) if self.target == 0 => {
                self.forwards.accept_socks((peer, id), conn)?;
            }
            Event::Channel(id, ChannelEvent::OpenRequest { .. }) => {
                let target = Target::Tcp("127.0.0.1".to_owned(), self.target);
                self.forwards.connect((peer, id), target);
            }
            Event::Channel(id, event) => {
                match event {
                    ChannelEvent::Opened => drop(self.tell.send(Told::Event("opened"))),
                    ChannelEvent::OpenFailure { .. } => drop(self.tell.send(Told::Event("failure"))),
                    _ => {}
                }
                assert!(self.forwards.event(cx, (peer, id), conn, &event)?);
            }
        }
        Ok(())
    }

    fn source(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, Client>,
        source: Source,
    ) -> Result<(), Error> {
        self.forwards.source(cx, peers, source)
    }

    like_both!(Client);
}

impl Application<Server> for There {
    fn event(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Server>,
        event: Event<'_, Server>,
    ) -> Result<(), Error> {
        match event {
            Event::Userauth(CredentialEvent { credential: Credential::Password(_), ticket, .. }) => {
                conn.accept_user(ticket, &Permissions::FULL)?;
            }
            Event::Global(GlobalEvent::Forward { bind, want_reply }) => {
                let ask = ((self.ask)(bind), want_reply);
                self.requests.serve(cx, &mut self.forwards, peer, conn, ask)?;
            }
            Event::Global(GlobalEvent::CancelForward { bind, want_reply }) => {
                let ask = (Ask::Stop(bind), want_reply);
                self.requests.serve(cx, &mut self.forwards, peer, conn, ask)?;
            }
            Event::Channel(id, ChannelEvent::OpenRequest { channel_type }) => {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let target = match channel_type {
                    ChannelType::DirectTcpip { host, port, .. } => Target::Tcp(text(host), port),
                    ChannelType::DirectStreamlocal { socket_path } => Target::Unix(text(socket_path)),
                    _ => panic!(),
                };
                self.forwards.connect((peer, id), target);
            }
            Event::Channel(id, event) => {
                assert!(self.forwards.event(cx, (peer, id), conn, &event)?);
                if event == ChannelEvent::Eof {
                    let _nobody_asks = self.tell.send("eof");
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn source(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, Server>,
        source: Source,
    ) -> Result<(), Error> {
        self.forwards.source(cx, peers, source)?;
        if source == Source::Woken {
            self.requests.woken(cx, &mut self.forwards, peers);
        }
        Ok(())
    }

    like_both!(Server);
}

/// The two, running.
pub struct Programs {
    pub told: Receiver<Told>,
    /// What is heard of the server: the end of a channel's data, and of the connection.
    pub told_there: Receiver<&'static str>,
    client: JoinHandle<u64>,
    server: JoinHandle<u64>,
    under: Socket,
}

impl Programs {
    /// The client does `start`; what the server opens leads to `target` here; the server listens as `ask` says.
    pub fn new(start: Start, target: u16, ask: fn(Bind) -> Ask) -> Self {
        Self::with(ChannelLimits::default(), start, target, ask)
    }

    /// The same with these limits of the server's.
    pub fn with(limits: ChannelLimits, start: Start, target: u16, ask: fn(Bind) -> Ask) -> Self {
        let (near, far) = Socket::pair().unwrap();
        let under = near.try_clone().unwrap();
        let (tell, told) = channel();
        let (tell_there, told_there) = channel();
        let client = thread::spawn(move || {
            let mut driver = Driver::<Client, _>::with_waker(|waker| {
                let (forwards, start) = (Forwards::new(&waker), Some(start));
                Ok(Here { forwards, start, target, tell, gone: false })
            })
            .unwrap();
            let config = Arc::new(ClientConfig { transport: TransportConfig::client() });
            let userauth = ClientUserauthConfig { user_name: "ann".to_owned() };
            let rng = Box::new(SystemRng);
            let conn = Connection::<Client>::new(config, userauth, Default::default(), rng, Instant::now());
            driver.add(stream(near), conn, None).unwrap();
            driver.run().unwrap();
            driver.rounds()
        });
        let server = thread::spawn(move || {
            let mut driver = Driver::<Server, _>::with_waker(|waker| {
                let (forwards, requests) = (Forwards::new(&waker), Requests::new(&waker));
                Ok(There { forwards, requests, ask, gone: false, tell: tell_there })
            })
            .unwrap();
            let host_keys = vec![Arc::new(PrivateKey::generate_ed25519(&mut SystemRng))];
            let (config, userauth) = (
                Arc::new(ServerConfig { announces_host_keys: false, ..ServerConfig::new(host_keys) }),
                ServerUserauthConfig::default(),
            );
            let rng = Box::new(SystemRng);
            let mut conn = Connection::<Server>::new(config, userauth, limits, rng, Instant::now());
            conn.expect_forwarding();
            driver.add(stream(far), conn, None).unwrap();
            driver.run().unwrap();
            driver.rounds()
        });
        let programs = Self { told, told_there, client, server, under };
        assert_eq!(programs.told.recv(), Ok(Told::Started));
        programs
    }

    /// Cuts the connection.
    pub fn cut(&self) {
        self.under.shutdown(Shutdown::Both).unwrap();
    }

    /// Cuts it, and waits for the end of both; how often each loop went round.
    pub fn finish(self) -> [u64; 2] {
        self.cut();
        self.told_there.into_iter().for_each(drop); // it is told until the server's program has ended
        [self.client, self.server].map(|thread| thread.join().unwrap())
    }
}

fn stream(socket: Socket) -> Stream {
    socket.set_nonblocking(true).unwrap();
    Stream::Unix(UnixStream::from_std(socket))
}
