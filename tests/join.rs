//! Channels joined to real sockets, one at each end of a connection: what goes in at one socket comes out at the other.

use mio::net::UnixStream;
use rustix::net::sockopt::set_socket_linger;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream as Socket;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use strombus::connection::{ChannelEvent, ChannelId, ChannelLimits, Connection, Event, Request};
use strombus::crypto::SystemRng;
use strombus::crypto::sign::PrivateKey;
use strombus::driver::join::Join;
use strombus::driver::{Application, Context, Driver, Error, PeerId, Peers, Source, Stream};
use strombus::transport::{self, Client, ClientConfig, Server, ServerConfig, TransportConfig};
use strombus::userauth::{
    ClientUserauthConfig, ClientUserauthEvent, Credential, CredentialEvent, Permissions,
    ServerUserauthConfig, UserauthSide,
};

/// What an end tells its test.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// A whole window is held.
    Full,
    /// As many bytes came as it waits for.
    Came,
    /// The channel is gone.
    Closed,
}

/// One end: its socket, joined to the channel once that is there.
struct End {
    stream: Option<Stream>,
    join: Option<Join>,
    peer: Option<PeerId>,
    window: usize,
    /// Tells once so many bytes came.
    mark: usize,
    /// And closes the channel then.
    closes: bool,
    came: usize,
    tell: Sender<Told>,
    max_held: usize,
    why: Option<Result<(), Error>>,
}

impl End {
    fn join(&mut self, cx: &mut Context<'_>, id: ChannelId) -> Result<(), Error> {
        self.join = Some(Join::new(cx, id, self.stream.take().unwrap())?);
        Ok(())
    }

    fn look(&mut self) {
        let held = self.join.as_ref().map_or(0, Join::held);
        self.max_held = self.max_held.max(held);
        if held == self.window {
            let _nobody_asks = self.tell.send(Told::Full);
        }
    }

    fn channel_event<S: UserauthSide>(
        &mut self,
        cx: &mut Context<'_>,
        conn: &mut Connection<S>,
        id: ChannelId,
        event: &ChannelEvent<'_>,
    ) -> Result<(), Error> {
        if let Some(join) = &mut self.join {
            join.event(cx, conn, event)?;
        }
        self.look();
        if let ChannelEvent::Data { data } = event {
            self.came += data.len();
            if self.came == self.mark {
                let _nobody_asks = self.tell.send(Told::Came);
                if self.closes {
                    conn.channel(id)?.close()?;
                }
            }
        }
        if *event == ChannelEvent::Closed {
            let _nobody_asks = self.tell.send(Told::Closed);
        }
        Ok(())
    }
}

/// What both sides do alike.
macro_rules! like_both {
    ($side:ty) => {
        fn writable(
            &mut self,
            cx: &mut Context<'_>,
            _: PeerId,
            conn: &mut Connection<$side>,
            _: ChannelId,
        ) -> Result<(), Error> {
            self.join.as_mut().unwrap().pump(cx, Some(conn))
        }

        fn disconnect(&mut self, cx: &mut Context<'_>, _: PeerId, why: Result<(), Error>) {
            if let Some(join) = &mut self.join {
                join.pump::<$side>(cx, None).unwrap();
            }
            self.why = Some(why);
        }

        fn source(
            &mut self,
            cx: &mut Context<'_>,
            peers: &mut Peers<'_, $side>,
            _: Source,
        ) -> Result<(), Error> {
            let conn = self.peer.and_then(|peer| peers.get(peer));
            self.join.as_mut().unwrap().pump(cx, conn)?;
            self.look();
            Ok(())
        }

        fn is_done(&self) -> bool {
            self.why.is_some() && self.join.as_ref().is_none_or(Join::is_over)
        }
    };
}

impl Application<Client> for End {
    fn event(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Client>,
        event: Event<'_, Client>,
    ) -> Result<(), Error> {
        self.peer = Some(peer);
        match event {
            Event::Kex(host) => conn.accept_host_key(host.ticket)?,
            Event::Userauth(ClientUserauthEvent::Continue { ticket, .. }) => {
                conn.request_password(ticket, b"secret")?;
            }
            Event::Userauth(_) | Event::Global(_) => {}
            Event::Authenticated => {
                let id = conn.open_session()?;
                self.join(cx, id)?;
            }
            Event::Channel(id, event) => {
                if event == ChannelEvent::Opened {
                    conn.channel(id)?.request_shell()?;
                }
                self.channel_event(cx, conn, id, &event)?;
                if event == ChannelEvent::Closed {
                    conn.disconnect(strombus::wire::DisconnectReason::BY_APPLICATION, "done");
                }
            }
        }
        Ok(())
    }

    like_both!(Client);
}

impl Application<Server> for End {
    fn event(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Server>,
        event: Event<'_, Server>,
    ) -> Result<(), Error> {
        self.peer = Some(peer);
        match event {
            Event::Userauth(CredentialEvent { credential: Credential::Password(_), ticket, .. }) => {
                conn.accept_user(ticket, &Permissions::FULL)?;
            }
            Event::Channel(id, ChannelEvent::OpenRequest { .. }) => {
                conn.accept_channel(id)?;
                self.join(cx, id)?;
            }
            Event::Channel(id, ChannelEvent::Request { request: Request::Shell, .. }) => {
                conn.channel(id)?.reply(true)?;
            }
            Event::Channel(id, event) => self.channel_event(cx, conn, id, &event)?,
            _ => {}
        }
        Ok(())
    }

    like_both!(Server);
}

/// Two sockets with a connection between them, and what its ends tell.
struct Chain<A> {
    here: A,
    there: A,
    told_here: Receiver<Told>,
    told_there: Receiver<Told>,
    client: JoinHandle<End>,
    server: JoinHandle<End>,
    /// A second name of the stream under the connection: to cut it.
    under: Socket,
}

/// A socket of ours and the one that is joined.
trait Pair: Sized {
    fn pair() -> (Self, Stream);
    /// Says that no more comes.
    fn end(&self);
}

impl Pair for Socket {
    fn pair() -> (Self, Stream) {
        let (own, joined) = Self::pair().unwrap();
        joined.set_nonblocking(true).unwrap();
        (own, Stream::Unix(UnixStream::from_std(joined)))
    }

    fn end(&self) {
        self.shutdown(Shutdown::Write).unwrap();
    }
}

impl Pair for TcpStream {
    fn pair() -> (Self, Stream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = Self::connect(listener.local_addr().unwrap()).unwrap();
        let joined = listener.accept().unwrap().0;
        joined.set_nonblocking(true).unwrap();
        (own, Stream::Tcp(mio::net::TcpStream::from_std(joined)))
    }

    fn end(&self) {
        self.shutdown(Shutdown::Write).unwrap();
    }
}

fn run<S>(
    end: End,
    stream: Socket,
    conn: impl FnOnce(Instant) -> Connection<S> + Send + 'static,
) -> JoinHandle<End>
where
    S: UserauthSide + 'static,
    End: Application<S>,
{
    stream.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        let mut driver = Driver::<S, End>::new(end).unwrap();
        driver.add(Stream::Unix(UnixStream::from_std(stream)), conn(Instant::now()), None).unwrap();
        driver.run().unwrap();
        driver.app
    })
}

impl<A: Pair> Chain<A> {
    fn new(window: usize) -> Self {
        Self::marked(window, usize::MAX, false)
    }

    /// The server tells of so many bytes, and may close the channel then.
    fn marked(window: usize, mark: usize, closes: bool) -> Self {
        let (near, far) = Socket::pair().unwrap();
        let under = near.try_clone().unwrap();
        let window_size = u32::try_from(window).unwrap();
        let limits = ChannelLimits { window_size, window_max: window_size, ..Default::default() };
        let end = |mark| {
            let ((own, joined), (tell, told)) = (A::pair(), channel());
            let end = End {
                stream: Some(joined),
                join: None,
                peer: None,
                window,
                mark,
                closes,
                came: 0,
                tell,
                max_held: 0,
                why: None,
            };
            (own, end, told)
        };
        let (here, client, told_here) = end(usize::MAX);
        let (there, server, told_there) = end(mark);
        let client = run::<Client>(client, near, move |now| {
            let config = Arc::new(ClientConfig { transport: TransportConfig::client() });
            let userauth = ClientUserauthConfig { user_name: "ann".to_owned() };
            Connection::new(config, userauth, limits, Box::new(SystemRng), now)
        });
        let server = run::<Server>(server, far, move |now| {
            let host_keys = vec![Arc::new(PrivateKey::generate_ed25519(&mut SystemRng))];
            let config = Arc::new(ServerConfig::new(host_keys));
            Connection::new(config, ServerUserauthConfig::default(), limits, Box::new(SystemRng), now)
        });
        Self { here, there, told_here, told_there, client, server, under }
    }

    /// Both ends end, neither by an error of the protocol; what each held at the most.
    fn finish(self) -> [usize; 2] {
        drop((self.here, self.there));
        [self.client, self.server].map(|thread| {
            let end = thread.join().unwrap();
            let told = matches!(end.why, Some(Err(Error::Ssh(transport::Error::Disconnected { .. }))));
            assert!(told || matches!(end.why, Some(Ok(()) | Err(Error::Io(_)))), "{:?}", end.why);
            assert!(end.max_held <= end.window, "{} of {}", end.max_held, end.window);
            end.max_held
        })
    }
}

/// The byte of a stream at a place; streams differ by their seed.
fn byte(seed: usize, at: usize) -> u8 {
    ((at + seed).wrapping_mul(2_654_435_761) >> 13) as u8
}

fn send(mut to: impl Write, seed: usize, total: usize) {
    let mut sent = 0;
    while sent < total {
        let block: Vec<u8> = (sent..total.min(sent + 50_000)).map(|at| byte(seed, at)).collect();
        to.write_all(&block).unwrap();
        sent += block.len();
    }
}

/// Reads to the end and checks each byte; how many came.
fn receive(mut from: impl Read, seed: usize) -> usize {
    let (mut came, mut block) = (0, vec![0; 70_000]);
    loop {
        match from.read(&mut block).unwrap() {
            0 => return came,
            n => {
                let right = |(i, b): (usize, &u8)| *b == byte(seed, came + i);
                assert!(block[..n].iter().enumerate().all(right), "another byte after {came}");
                came += n;
            }
        }
    }
}

fn bulk_both_ways<A>(window: usize, total: usize)
where
    A: Pair + Sync + 'static,
    for<'a> &'a A: Read + Write,
{
    let chain = Chain::<A>::new(window);
    thread::scope(|scope| {
        for (own, other, seed) in [(&chain.here, &chain.there, 1), (&chain.there, &chain.here, 2)] {
            scope.spawn(move || {
                send(own, seed, total);
                own.end();
            });
            scope.spawn(move || assert_eq!(receive(other, seed), total));
        }
    });
    assert_eq!(chain.told_here.iter().find(|told| *told == Told::Closed), Some(Told::Closed));
    chain.finish();
}

#[test]
fn t78_bulk_both_ways_at_once_arrives_whole() {
    bulk_both_ways::<TcpStream>(32 * 1024, 64 << 20);
    bulk_both_ways::<Socket>(100_000, 64 << 20);
    bulk_both_ways::<Socket>(1000, 1 << 20);
}

#[test]
fn each_direction_ends_apart_in_either_order() {
    for here_first in [true, false] {
        let chain = Chain::<TcpStream>::new(10_000);
        let (first, second) =
            if here_first { (&chain.here, &chain.there) } else { (&chain.there, &chain.here) };
        send(first, 1, 5);
        first.end();
        assert_eq!(receive(second, 1), 5);
        // The other direction still goes, far beyond the window.
        thread::scope(|scope| {
            scope.spawn(|| {
                send(second, 2, 300_000);
                second.end();
            });
            assert_eq!(receive(first, 2), 300_000);
        });
        for told in [&chain.told_here, &chain.told_there] {
            assert_eq!(told.iter().find(|told| *told == Told::Closed), Some(Told::Closed));
        }
        chain.finish();
    }
}

#[test]
fn t77_no_byte_is_lost_at_the_end() {
    let window = 40_000;
    for total in [0, 1, 4096, 32_767, 32_768, 32_769, window - 1, window, window + 1, 3 * window] {
        let chain = Chain::<Socket>::new(window);
        thread::scope(|scope| {
            scope.spawn(|| {
                send(&chain.here, 3, total);
                chain.here.end();
            });
            assert_eq!(receive(&chain.there, 3), total);
        });
        chain.finish();
    }
}

#[test]
fn who_reads_nothing_is_held_no_more_for_than_the_window() {
    let (window, total) = (50_000, 4 << 20);
    let chain = Chain::<Socket>::new(window);
    thread::scope(|scope| {
        scope.spawn(|| {
            send(&chain.here, 4, total);
            chain.here.end();
        });
        assert_eq!(chain.told_there.recv(), Ok(Told::Full));
        assert_eq!(receive(&chain.there, 4), total);
    });
    assert_eq!(chain.finish()[1], window);
}

#[test]
fn a_socket_that_is_reset_closes_the_channel_and_what_is_joined_to_it() {
    for here in [true, false] {
        let chain = Chain::<TcpStream>::new(20_000);
        let Chain { here: one, there: other, told_here, told_there, client, server, under } = chain;
        let (reset, left) = if here { (one, other) } else { (other, one) };
        send(&reset, 5, 10);
        let mut ten = [0; 10];
        (&left).read_exact(&mut ten).unwrap();
        set_socket_linger(&reset, Some(Duration::ZERO)).unwrap();
        // Both send; nobody reads.
        let sender = left.try_clone().unwrap();
        let thread = thread::spawn(move || {
            let block = [0; 10_000];
            while (&sender).write_all(&block).is_ok() {}
        });
        drop(reset);
        // It ends for the other side, by an end or an error.
        let mut rest = Vec::new();
        let _cut = (&left).read_to_end(&mut rest);
        thread.join().unwrap();
        let closed = |told: Receiver<Told>| told.iter().any(|told| told == Told::Closed);
        assert!(closed(told_here) && closed(told_there));
        drop((left, under));
        assert!(matches!(client.join().unwrap().why, Some(Ok(()))));
        server.join().unwrap();
    }
}

#[test]
fn what_came_before_the_channel_or_the_connection_went_reaches_the_socket() {
    let total = 500_000; // more than a socket takes that nobody reads
    for closes in [true, false] {
        let chain = Chain::<Socket>::marked(2 * total, total, closes);
        send(&chain.here, 6, total);
        assert_eq!(chain.told_there.recv(), Ok(Told::Came));
        if closes {
            assert_eq!(chain.told_there.recv(), Ok(Told::Closed));
        } else {
            chain.under.shutdown(Shutdown::Both).unwrap();
        }
        assert_eq!(receive(&chain.here, 0), 0, "it ends here, too");
        assert_eq!(receive(&chain.there, 6), total);
        assert!(chain.finish()[1] > 0, "some was held");
    }
}
