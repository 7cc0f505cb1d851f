//! A server behind a gate, on a thread of its own, and clients that come to it from any address of the loopback network.

use mio::net::TcpListener;
use std::cell::RefCell;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use strombus::connection::{Connection, Event};
use strombus::crypto::SystemRng;
use strombus::crypto::sign::PrivateKey;
use strombus::driver::gate::{Gate, GateConfig, Refusal};
use strombus::driver::{Application, Context, Driver, Error, PeerId, Peers, Source, Stream};
use strombus::transport::{Client, Server, ServerConfig, TransportConfig};
use strombus::userauth::{
    ClientUserauthConfig, ClientUserauthEvent, Credential, CredentialEvent, Permissions, ServerUserauthConfig,
};
use strombus::wire::DisconnectReason;

/// The one that logs in.
pub const PASSWORD: &[u8] = b"secret";
/// One that is never judged.
pub const UNJUDGED: &[u8] = b"unjudged";

/// Whether `tests/run long` asks for the counts that need time.
pub fn is_long() -> bool {
    std::env::var_os("STROMBUS_LONG").is_some()
}

/// A test holds both ends of many connections.
pub fn allow_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// What the server's program was told.
#[derive(Debug)]
pub enum Told {
    Connected,
    Asked,
    LoggedIn(PeerId),
    Refused(SocketAddr, Refusal),
    Ended(PeerId, Result<(), Error>),
}

struct Door {
    told: Sender<Told>,
    stop: Arc<AtomicBool>,
}

impl Application<Server> for Door {
    fn connect(&mut self, _: &mut Context<'_>, _: PeerId, _: Option<SocketAddr>) {
        self.tell(Told::Connected);
    }

    fn refused(&mut self, _: &mut Context<'_>, source: SocketAddr, why: Refusal, untold: Option<u64>) {
        if untold.is_some() {
            self.tell(Told::Refused(source, why));
        }
    }

    fn event(
        &mut self,
        _: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Server>,
        event: Event<'_, Server>,
    ) -> Result<(), Error> {
        let Event::Userauth(CredentialEvent { credential, ticket, .. }) = event else { return Ok(()) };
        self.tell(Told::Asked);
        match credential {
            Credential::Password(password) if **password == *PASSWORD => {
                conn.accept_user(ticket, &Permissions::FULL)?;
                self.tell(Told::LoggedIn(peer));
            }
            Credential::Password(password) if **password == *UNJUDGED => {}
            _ => conn.refuse_user(ticket)?,
        }
        Ok(())
    }

    fn disconnect(&mut self, _: &mut Context<'_>, peer: PeerId, why: Result<(), Error>) {
        self.tell(Told::Ended(peer, why));
    }

    fn source(&mut self, _: &mut Context<'_>, peers: &mut Peers<'_, Server>, _: Source) -> Result<(), Error> {
        for peer in peers.ids().collect::<Vec<_>>() {
            let conn = peers.get(peer).unwrap();
            conn.disconnect(DisconnectReason::BY_APPLICATION, "not now");
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Door {
    fn tell(&self, told: Told) {
        let _nobody_listens = self.told.send(told);
    }
}

/// A server that runs.
pub struct Running {
    pub address: SocketAddr,
    pub told: Receiver<Told>,
    logged_in: RefCell<Vec<PeerId>>,
    stop: Arc<AtomicBool>,
    waker: Arc<mio::Waker>,
    /// Gives refusals, startups and connections at the end.
    thread: JoinHandle<(u64, u32, u32)>,
}

/// Serves behind a gate with these options. The second wrong password ends a connection.
pub fn serve(options: &[(&str, &str)], login_grace: Duration) -> Running {
    let mut config = GateConfig::default();
    for (keyword, value) in options {
        config.set(keyword, value).unwrap().unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let (tell, told) = channel();
    let (give, waker) = channel();
    let door = Door { told: tell, stop: Arc::clone(&stop) };
    let thread = thread::spawn(move || {
        let mut driver = Driver::with_waker(|waker| {
            give.send(waker).unwrap();
            Ok(door)
        })
        .unwrap();
        let host_keys = vec![Arc::new(PrivateKey::generate_ed25519(&mut SystemRng))];
        let transport = TransportConfig { login_grace, ..TransportConfig::server() };
        let server = Arc::new(ServerConfig { transport, ..ServerConfig::new(host_keys) });
        let accept = move |_, now| {
            let userauth = ServerUserauthConfig { max_auth_tries: 1, ..Default::default() };
            Connection::new(Arc::clone(&server), userauth, Default::default(), Box::new(SystemRng), now)
        };
        let gate = Gate::new(config, Box::new(SystemRng));
        driver.listen_behind(gate, listener, Box::new(accept)).unwrap();
        driver.run().unwrap();
        let gate = driver.gate().unwrap();
        (gate.refusals(), gate.startups(), gate.connections())
    });
    Running { address, told, logged_in: RefCell::default(), stop, waker: waker.recv().unwrap(), thread }
}

impl Running {
    /// Ends it; refusals, startups and connections as they are then.
    pub fn stop(self) -> (u64, u32, u32) {
        self.stop.store(true, Ordering::Relaxed);
        self.waker.wake().unwrap();
        self.thread.join().unwrap()
    }

    /// The program ends all connections.
    pub fn turn_away(&self) {
        self.waker.wake().unwrap();
    }

    /// The end of the next connection to end, and whether it was logged in.
    pub fn ended(&self) -> (bool, Result<(), Error>) {
        let mut logged_in = self.logged_in.borrow_mut();
        loop {
            match self.told.recv().unwrap() {
                Told::LoggedIn(peer) => logged_in.push(peer),
                Told::Ended(peer, why) => return (logged_in.contains(&peer), why),
                Told::Refused(source, why) => panic!("{source} was refused: {why}"),
                _ => {}
            }
        }
    }
}

/// A stream to a server that comes from `127.0.0.n`.
pub fn come(n: u8, address: SocketAddr) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::from(([127, 0, 0, n], 0))).unwrap();
    connect(&socket, &address).unwrap();
    socket.into()
}

/// A client that gives these passwords in turn.
struct Login {
    passwords: Vec<&'static [u8]>,
    outcome: Option<Result<(), String>>,
}

impl Application<Client> for Login {
    fn event(
        &mut self,
        _: &mut Context<'_>,
        _: PeerId,
        conn: &mut Connection<Client>,
        event: Event<'_, Client>,
    ) -> Result<(), Error> {
        match event {
            Event::Kex(host) => conn.accept_host_key(host.ticket)?,
            Event::Userauth(ClientUserauthEvent::Continue { ticket, .. }) => match self.passwords.pop() {
                Some(password) => conn.request_password(ticket, password)?,
                None => self.outcome = Some(Err("no password is left".to_owned())),
            },
            Event::Authenticated => self.outcome = Some(Ok(())),
            _ => {}
        }
        Ok(())
    }

    fn disconnect(&mut self, _: &mut Context<'_>, _: PeerId, why: Result<(), Error>) {
        self.outcome.get_or_insert_with(|| Err(format!("{why:?}")));
    }

    fn is_done(&self) -> bool {
        self.outcome.is_some()
    }
}

/// Logs in from `127.0.0.n` with the last of these passwords first: what came of it, and what keeps the connection.
pub fn log_in(n: u8, address: SocketAddr, passwords: &[&'static [u8]]) -> (Result<(), String>, impl Sized) {
    log_in_on(come(n, address), passwords)
}

/// The same on a stream that is there.
pub fn log_in_on(stream: TcpStream, passwords: &[&'static [u8]]) -> (Result<(), String>, impl Sized) {
    stream.set_nonblocking(true).unwrap();
    let mut driver = Driver::new(Login { passwords: passwords.to_vec(), outcome: None }).unwrap();
    let user = ClientUserauthConfig { user_name: "ann".to_owned() };
    let conn = Connection::new(Arc::default(), user, Default::default(), Box::new(SystemRng), Instant::now());
    driver.add(Stream::Tcp(mio::net::TcpStream::from_std(stream)), conn, None).unwrap();
    driver.run().unwrap();
    (driver.app.outcome.take().unwrap(), driver)
}
