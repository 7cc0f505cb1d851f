//! Bulk from a server with one worker and with two, by turns in one run: `cargo bench --bench workers`. The clients, each a loop
//! on a thread of its own, take as much of the machine as the server does: with few cores the ratio says little.

use core::time::Duration;
use mio::net::{TcpListener, TcpStream};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Instant;
use strombus::connection::{ChannelEvent, ChannelId, Connection, Event};
use strombus::crypto::SystemRng;
use strombus::crypto::sign::PrivateKey;
use strombus::driver::{Application, Context, Driver, Error, PeerId, Stream, Workers};
use strombus::transport::{Client, Server, ServerConfig};
use strombus::userauth::{ClientUserauthConfig, ClientUserauthEvent, Permissions, ServerUserauthConfig};

const ROUNDS: usize = 5;
const CONNECTIONS: usize = 4;
const TIME: Duration = Duration::from_secs(1);

/// Sends as much as goes out, and is done when one of its peers is gone.
#[derive(Default)]
struct Service {
    done: bool,
}

impl Application<Server> for Service {
    fn event(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Server>,
        event: Event<'_, Server>,
    ) -> Result<(), Error> {
        match event {
            Event::Userauth(question) => drop(conn.accept_user(question.ticket, &Permissions::FULL)?),
            Event::Channel(id, ChannelEvent::OpenRequest { .. }) => conn.accept_channel(id)?,
            Event::Channel(id, ChannelEvent::Request { .. }) => {
                conn.channel(id)?.reply(true)?;
                self.writable(cx, peer, conn, id)?;
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
        let mut channel = conn.channel(id)?;
        while let Some(1..) = channel.fill(|space| Ok::<_, Error>(space.len()))? {}
        Ok(())
    }

    fn disconnect(&mut self, _: &mut Context<'_>, _: PeerId, _: Result<(), Error>) {
        self.done = true;
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

/// Counts what comes in a time.
#[derive(Default)]
struct Measure {
    since: Option<Instant>,
    received: usize,
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
                conn.request_password(ticket, b"x")?;
            }
            Event::Authenticated => drop(conn.open_session()?),
            Event::Channel(id, ChannelEvent::Opened) => conn.channel(id)?.request_shell()?,
            Event::Channel(id, ChannelEvent::Data { data }) => {
                conn.channel(id)?.adjust_window(data.len())?;
                self.received += data.len();
                self.done = self.since.get_or_insert_with(Instant::now).elapsed() >= TIME;
            }
            _ => {}
        }
        Ok(())
    }

    fn disconnect(&mut self, _: &mut Context<'_>, _: PeerId, _: Result<(), Error>) {
        self.done = true;
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

/// Bytes a second of one client, and its loop, which keeps the connection until all are measured.
fn measure(address: SocketAddr) -> (f64, Driver<Client, Measure>) {
    let mut driver = Driver::new(Measure::default()).expect("a loop");
    let ann = ClientUserauthConfig { user_name: "ann".to_owned() };
    let conn = Connection::new(Arc::default(), ann, Default::default(), Box::new(SystemRng), Instant::now());
    let stream = Stream::Tcp(TcpStream::connect(address).expect("it listens"));
    driver.add(stream, conn, None).expect("a peer");
    driver.run().expect("the loop ends when it is measured");
    let time = driver.app.since.map_or(TIME, |since| since.elapsed());
    (driver.app.received as f64 / time.as_secs_f64(), driver)
}

/// Bytes a second of all clients of so many workers.
fn rate(count: usize) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let address = listener.local_addr().expect("bound");
    let host_keys = vec![Arc::new(PrivateKey::generate_ed25519(&mut SystemRng))];
    let config = Arc::new(ServerConfig::new(host_keys));
    let accept = move |_, now| {
        let userauth = ServerUserauthConfig::default();
        Connection::new(Arc::clone(&config), userauth, Default::default(), Box::new(SystemRng), now)
    };
    let mut workers = Workers::new(count, |_, _| Ok(Service::default())).expect("loops");
    workers.listen(listener, accept).expect("listening");
    let server = thread::spawn(move || workers.run().expect("the loops end with a peer"));
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| thread::spawn(move || measure(address))).collect();
    let measured: Vec<_> = clients.into_iter().map(|client| client.join().expect("measured")).collect();
    let rate = measured.iter().map(|(rate, _)| rate).sum();
    drop(measured); // their sockets close
    server.join().expect("the server ends with a peer");
    rate
}

fn main() {
    let mut rates = [const { Vec::new() }; 2];
    for _ in 0..ROUNDS {
        for (count, rates) in (1..).zip(&mut rates) {
            rates.push(rate(count));
        }
    }
    let [one, two] = rates.map(|mut rates| {
        rates.sort_unstable_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    println!(
        "{CONNECTIONS} connections: {:.0} MB/s from one worker, {:.0} MB/s from two, {:.3} of one",
        one / 1e6,
        two / 1e6,
        two / one
    );
}
