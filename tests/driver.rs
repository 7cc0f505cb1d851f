//! The loop on real sockets: bulk both ways under rekeys, and no rounds for nothing.

use mio::net::{TcpListener, TcpStream};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;
use strombus::connection::{ChannelEvent, ChannelId, Connection, Event, Request};
use strombus::crypto::SystemRng;
use strombus::crypto::sign::PrivateKey;
use strombus::driver::{Application, Context, Driver, Error, PeerId, Peers, Source, Stream};
use strombus::transport::{Client, ClientConfig, RekeyLimit, Server, ServerConfig, Ticket, TransportConfig};
use strombus::userauth::{
    ClientUserauthConfig, ClientUserauthEvent, Credential, CredentialEvent, Permissions, ServerUserauthConfig,
};

/// Sends back what comes, as far as it can go out.
struct Echo {
    held: Vec<u8>,
    /// Gives the verdict on a password only when woken.
    slow: Option<Sender<()>>,
    question: Option<(PeerId, Ticket)>,
    reads: bool,
    done: bool,
}

impl Echo {
    fn new() -> Self {
        Self { held: Vec::new(), slow: None, question: None, reads: true, done: false }
    }

    fn pump(&mut self, conn: &mut Connection<Server>, id: ChannelId) -> Result<(), Error> {
        let mut channel = conn.channel(id)?;
        let n = channel.write(&self.held);
        self.held.drain(..n);
        channel.adjust_window(n)?;
        Ok(())
    }
}

impl Application<Server> for Echo {
    fn event(
        &mut self,
        _: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Server>,
        event: Event<'_, Server>,
    ) -> Result<(), Error> {
        match event {
            Event::Userauth(CredentialEvent { credential: Credential::Password(_), ticket, .. }) => {
                match &self.slow {
                    Some(told) => {
                        self.question = Some((peer, ticket));
                        told.send(()).unwrap();
                    }
                    None => {
                        conn.accept_user(ticket, &Permissions::FULL)?;
                    }
                }
            }
            Event::Channel(id, ChannelEvent::OpenRequest { .. }) => conn.accept_channel(id)?,
            Event::Channel(id, ChannelEvent::Request { request: Request::Shell, .. }) => {
                let mut channel = conn.channel(id)?;
                channel.reply(true)?;
                channel.send_xon_xoff(true)?;
                channel.send_xon_xoff(false)?;
            }
            Event::Channel(id, ChannelEvent::Data { data }) if self.reads => {
                self.held.extend_from_slice(data);
                self.pump(conn, id)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn writable(
        &mut self,
        _: &mut Context<'_>,
        _: PeerId,
        conn: &mut Connection<Server>,
        id: ChannelId,
    ) -> Result<(), Error> {
        self.pump(conn, id)
    }

    fn disconnect(&mut self, _: &mut Context<'_>, _: PeerId, _: Result<(), Error>) {
        self.done = true;
    }

    fn source(&mut self, _: &mut Context<'_>, peers: &mut Peers<'_, Server>, _: Source) -> Result<(), Error> {
        if let Some((peer, ticket)) = self.question.take() {
            peers.get(peer).unwrap().accept_user(ticket, &Permissions::FULL)?;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

fn byte(at: usize) -> u8 {
    (at.wrapping_mul(2_654_435_761) >> 13) as u8
}

/// Sends `total` bytes and takes them back.
struct Bulk {
    total: usize,
    sent: usize,
    back: usize,
    /// After so many bytes nothing is done any more, for a test that counts rounds.
    until_sent: usize,
    /// What the server says of flow control.
    may_control: Vec<bool>,
    why: Option<String>,
}

impl Bulk {
    const fn new(total: usize) -> Self {
        Self { total, sent: 0, back: 0, until_sent: usize::MAX, may_control: Vec::new(), why: None }
    }

    fn push(&mut self, conn: &mut Connection<Client>, id: ChannelId) -> Result<(), Error> {
        while self.sent < self.total {
            let block: Vec<u8> = (self.sent..self.total.min(self.sent + 65_536)).map(byte).collect();
            let n = conn.channel(id)?.write(&block);
            self.sent += n;
            if n < block.len() {
                break;
            }
        }
        Ok(())
    }
}

impl Application<Client> for Bulk {
    fn event(
        &mut self,
        _: &mut Context<'_>,
        _: PeerId,
        conn: &mut Connection<Client>,
        event: Event<'_, Client>,
    ) -> Result<(), Error> {
        match event {
            Event::Kex(host) => conn.accept_host_key(host.ticket)?,
            Event::Userauth(ClientUserauthEvent::Continue { ticket, .. }) => {
                conn.request_password(ticket, b"secret")?;
            }
            Event::Userauth(_) | Event::Global(_) => {}
            Event::Authenticated => drop(conn.open_session()?),
            Event::Channel(id, ChannelEvent::Opened) => conn.channel(id)?.request_shell()?,
            Event::Channel(id, ChannelEvent::Reply { success: true }) => self.push(conn, id)?,
            Event::Channel(id, ChannelEvent::Data { data }) => {
                assert!(data.iter().enumerate().all(|(i, b)| *b == byte(self.back + i)), "at {}", self.back);
                self.back += data.len();
                conn.channel(id)?.adjust_window(data.len())?;
            }
            Event::Channel(_, ChannelEvent::Request { request, want_reply }) => {
                let Request::XonXoff { client_can_do } = request else { panic!("{request:?}") };
                assert!(!want_reply, "RFC 4254 §6.8");
                self.may_control.push(client_can_do);
            }
            Event::Channel(..) => {}
        }
        Ok(())
    }

    fn writable(
        &mut self,
        _: &mut Context<'_>,
        _: PeerId,
        conn: &mut Connection<Client>,
        id: ChannelId,
    ) -> Result<(), Error> {
        self.push(conn, id)
    }

    fn disconnect(&mut self, _: &mut Context<'_>, _: PeerId, why: Result<(), Error>) {
        self.why = Some(format!("{why:?}"));
    }

    fn is_done(&self) -> bool {
        self.back == self.total || self.sent >= self.until_sent || self.why.is_some()
    }
}

/// A server on a port of the kernel's, which ends with its first peer; the rounds its loop made.
fn serve(echo: Echo, rekey_limit: RekeyLimit) -> (SocketAddr, Arc<mio::Waker>, JoinHandle<u64>) {
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let (waker, got) = channel();
    let thread = thread::spawn(move || {
        let mut driver = Driver::with_waker(|own| {
            waker.send(own).unwrap();
            Ok(echo)
        })
        .unwrap();
        let host_keys = vec![Arc::new(PrivateKey::generate_ed25519(&mut SystemRng))];
        let transport = TransportConfig { rekey_limit, ..TransportConfig::server() };
        let config = Arc::new(ServerConfig { transport, ..ServerConfig::new(host_keys) });
        let accept = move |_, now| {
            let userauth = ServerUserauthConfig::default();
            Connection::new(Arc::clone(&config), userauth, Default::default(), Box::new(SystemRng), now)
        };
        driver.listen(listener, Box::new(accept)).unwrap();
        driver.run().unwrap();
        driver.rounds()
    });
    (address, got.recv().unwrap(), thread)
}

fn client(bulk: Bulk, address: SocketAddr, rekey_limit: RekeyLimit) -> Driver<Client, Bulk> {
    let mut driver = Driver::new(bulk).unwrap();
    let transport = TransportConfig { rekey_limit, ..TransportConfig::client() };
    let conn = Connection::new(
        Arc::new(ClientConfig { transport }),
        ClientUserauthConfig { user_name: "ann".to_owned() },
        Default::default(),
        Box::new(SystemRng),
        Instant::now(),
    );
    let stream = Stream::Tcp(TcpStream::connect(address).unwrap());
    driver.with(|_, cx, peers| Ok(peers.add(cx, stream, conn)?)).unwrap();
    driver
}

#[test]
fn bulk_goes_both_ways_over_tcp_while_keys_are_renewed() {
    let limit = RekeyLimit { bytes: 1 << 20, ..Default::default() };
    let (address, _waker, server) = serve(Echo::new(), RekeyLimit::default());
    let mut driver = client(Bulk::new(24_000_000), address, limit);
    driver.run().unwrap();
    assert_eq!((driver.app.back, &driver.app.why), (24_000_000, &None));
    drop(driver);
    server.join().unwrap();
}

#[test]
fn what_the_server_says_of_flow_control_comes_in_its_order() {
    let (address, _waker, server) = serve(Echo::new(), RekeyLimit::default());
    let mut driver = client(Bulk::new(1000), address, RekeyLimit::default());
    driver.run().unwrap();
    assert_eq!((driver.app.back, &driver.app.may_control), (1000, &vec![true, false]));
    drop(driver);
    server.join().unwrap();
}

#[test]
fn t109_a_pending_verdict_costs_no_rounds_and_is_heard_when_it_comes() {
    let (told, asked) = channel();
    let (address, waker, server) = serve(Echo { slow: Some(told), ..Echo::new() }, RekeyLimit::default());
    let verdict = thread::spawn(move || {
        asked.recv().unwrap();
        waker.wake().unwrap();
    });
    let mut driver = client(Bulk::new(1000), address, RekeyLimit::default());
    driver.run().unwrap();
    assert_eq!(driver.app.back, 1000);
    drop(driver);
    verdict.join().unwrap();
    let rounds = server.join().unwrap();
    assert!(rounds < 60, "{rounds} rounds for one login");
}

#[test]
fn t108_a_peer_that_stays_after_its_end_costs_no_rounds() {
    let (address, _waker, server) = serve(Echo::new(), RekeyLimit::default());
    let mut stranger = std::net::TcpStream::connect(address).unwrap();
    stranger.write_all(b"SSH-1.5-none\r\n").unwrap();
    let rounds = server.join().unwrap();
    assert!(rounds < 20, "{rounds} rounds until the server has closed");
}

#[test]
fn a_peer_that_does_not_consume_costs_no_rounds() {
    let (address, _waker, server) = serve(Echo { reads: false, ..Echo::new() }, RekeyLimit::default());
    let window = 2 << 20;
    let mut driver =
        client(Bulk { until_sent: window, ..Bulk::new(window * 2) }, address, RekeyLimit::default());
    driver.run().unwrap();
    assert_eq!(driver.app.sent, window, "no more than the window");
    let rounds = driver.rounds();
    assert!(rounds < 2000, "{rounds} rounds");
    drop(driver);
    server.join().unwrap();
}
