//! Two loops over a socket: bulk both ways on one channel while single bytes go there and back on another, with keys renewed
//! never, each 64 MiB and each MiB, by turns in one run: `cargo bench --bench loopback [method]`.

use core::time::Duration;
use mio::net::{TcpListener, TcpStream};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;
use strombus::connection::{ChannelEvent, ChannelId, Connection, Event, Request};
use strombus::crypto::SystemRng;
use strombus::crypto::sign::PrivateKey;
use strombus::driver::{Application, Context, Driver, Error, PeerId, Stream};
use strombus::transport::algorithms::{KEX, pick};
use strombus::transport::{Client, ClientConfig, RekeyLimit, Server, ServerConfig, TransportConfig};
use strombus::userauth::{ClientUserauthConfig, ClientUserauthEvent, Permissions, ServerUserauthConfig};
use strombus::wire::DisconnectReason;

const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(2);

/// Sends as much as goes out on the channel of a shell, and sends back what comes on that of a command.
#[derive(Default)]
struct Service {
    bulk: Option<ChannelId>,
    done: bool,
}

/// Fills the channel as far as it takes bytes.
fn pour<S: strombus::userauth::UserauthSide>(conn: &mut Connection<S>, id: ChannelId) -> Result<(), Error> {
    let mut channel = conn.channel(id)?;
    while let Some(1..) = channel.fill(|space| Ok::<_, Error>(space.len()))? {}
    Ok(())
}

impl Application<Server> for Service {
    fn event(
        &mut self,
        _: &mut Context<'_>,
        _: PeerId,
        conn: &mut Connection<Server>,
        event: Event<'_, Server>,
    ) -> Result<(), Error> {
        match event {
            Event::Userauth(question) => {
                conn.accept_user(question.ticket, &Permissions::FULL)?;
            }
            Event::Channel(id, ChannelEvent::OpenRequest { .. }) => conn.accept_channel(id)?,
            Event::Channel(id, ChannelEvent::Request { request, .. }) => {
                conn.channel(id)?.reply(true)?;
                if request == Request::Shell {
                    self.bulk = Some(id);
                    pour(conn, id)?;
                }
            }
            Event::Channel(id, ChannelEvent::Data { data }) => {
                let mut channel = conn.channel(id)?;
                channel.adjust_window(data.len())?;
                if self.bulk != Some(id) {
                    channel.write(data);
                }
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
        // A byte that was refused during an exchange is said again.
        if self.bulk == Some(id) {
            return pour(conn, id);
        }
        conn.channel(id)?.write(b"x");
        Ok(())
    }

    fn disconnect(&mut self, _: &mut Context<'_>, _: PeerId, _: Result<(), Error>) {
        self.done = true;
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

/// What came in a time, and how long each byte took.
struct Measure {
    bulk: Option<ChannelId>,
    byte: Option<ChannelId>,
    said: Instant,
    end: Instant,
    received: usize,
    latencies: Vec<Duration>,
    done: bool,
}

impl Application<Client> for Measure {
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
                conn.request_password(ticket, b"x")?
            }
            Event::Authenticated => {
                (self.bulk, self.byte) = (Some(conn.open_session()?), Some(conn.open_session()?));
                self.end = Instant::now() + TIME;
            }
            Event::Channel(id, ChannelEvent::Opened) if self.bulk == Some(id) => {
                conn.channel(id)?.request_shell()?
            }
            Event::Channel(id, ChannelEvent::Opened) => conn.channel(id)?.request_exec(b"echo")?,
            Event::Channel(id, ChannelEvent::Reply { .. }) => self.begin(conn, id)?,
            Event::Channel(id, ChannelEvent::Data { data }) => {
                conn.channel(id)?.adjust_window(data.len())?;
                if self.bulk == Some(id) {
                    self.received += data.len();
                } else {
                    self.latencies.push(self.said.elapsed());
                    self.begin(conn, id)?;
                }
                if Instant::now() >= self.end {
                    conn.disconnect(DisconnectReason::BY_APPLICATION, "measured");
                    self.done = true;
                }
            }
            _ => {}
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
        if self.bulk == Some(id) {
            return pour(conn, id);
        }
        conn.channel(id)?.write(b"x");
        Ok(())
    }

    fn disconnect(&mut self, _: &mut Context<'_>, _: PeerId, _: Result<(), Error>) {
        self.done = true;
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

impl Measure {
    fn begin(&mut self, conn: &mut Connection<Client>, id: ChannelId) -> Result<(), Error> {
        if self.bulk == Some(id) {
            return pour(conn, id);
        }
        self.said = Instant::now();
        conn.channel(id)?.write(b"x");
        Ok(())
    }
}

fn transport(mut config: TransportConfig, kex: &str, bytes: u64) -> TransportConfig {
    config.algorithms.kex = pick(KEX, kex).expect("a name of the table");
    config.rekey_limit = RekeyLimit { bytes, ..Default::default() };
    config
}

fn serve(kex: &str, bytes: u64) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let address = listener.local_addr().expect("bound");
    let host_keys = vec![Arc::new(PrivateKey::generate_ed25519(&mut SystemRng))];
    let config = Arc::new(ServerConfig {
        transport: transport(TransportConfig::server(), kex, bytes),
        ..ServerConfig::new(host_keys)
    });
    let thread = thread::spawn(move || {
        let mut driver = Driver::new(Service::default()).expect("a loop");
        let accept = move |_, now| {
            let userauth = ServerUserauthConfig::default();
            Connection::new(Arc::clone(&config), userauth, Default::default(), Box::new(SystemRng), now)
        };
        driver.listen(listener, Box::new(accept)).expect("listening");
        driver.run().expect("the loop ends with its peer");
    });
    (address, thread)
}

/// Bytes a second of one direction, and the latencies, the least first.
fn measure(kex: &str, bytes: u64) -> (f64, Vec<Duration>) {
    let (address, server) = serve(kex, bytes);
    let now = Instant::now();
    let (bulk, byte, received, latencies) = (None, None, 0, Vec::new());
    let app = Measure { bulk, byte, said: now, end: now, received, latencies, done: false };
    let mut driver = Driver::new(app).expect("a loop");
    let config = Arc::new(ClientConfig { transport: transport(TransportConfig::client(), kex, bytes) });
    let ann = ClientUserauthConfig { user_name: "ann".to_owned() };
    let conn = Connection::new(config, ann, Default::default(), Box::new(SystemRng), now);
    let stream = Stream::Tcp(TcpStream::connect(address).expect("it listens"));
    driver.add(stream, conn, None).expect("a peer");
    driver.run().expect("the loop ends when it is measured");
    let (received, mut latencies) = (driver.app.received, core::mem::take(&mut driver.app.latencies));
    drop(driver); // its sockets close
    server.join().expect("the server ends with its peer");
    latencies.sort_unstable();
    (received as f64 / TIME.as_secs_f64(), latencies)
}

fn main() {
    let filter = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    for kex in ["curve25519-sha256", "mlkem768x25519-sha256"] {
        if filter.as_ref().is_some_and(|filter| !kex.contains(filter.as_str())) {
            continue;
        }
        let limits = [("never", 1 << 40), ("each 64 MiB", 64 << 20), ("each MiB", 1 << 20)];
        let mut rates = [const { Vec::new() }; 3];
        let mut latencies = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            for (which, (_, bytes)) in limits.iter().enumerate() {
                let (rate, mut taken) = measure(kex, *bytes);
                rates[which].push(rate);
                latencies[which].append(&mut taken);
            }
        }
        let median = |rates: &mut Vec<f64>| {
            rates.sort_unstable_by(f64::total_cmp);
            rates[rates.len() / 2]
        };
        let never = median(&mut rates[0]);
        for (which, (name, _)) in limits.iter().enumerate() {
            let taken = &mut latencies[which];
            taken.sort_unstable();
            let at = |part: f64| taken[((taken.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
            let rate = median(&mut rates[which]);
            println!(
                "{kex}, keys renewed {name}: {:.0} MB/s each way, {:.3} of never; a byte there and back on another \
                 channel: median {:.2} ms, p99 {:.2} ms, longest {:.2} ms of {}",
                rate / 1e6,
                rate / never,
                at(0.5),
                at(0.99),
                at(1.0),
                taken.len(),
            );
        }
    }
}
