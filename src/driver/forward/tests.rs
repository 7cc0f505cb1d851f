//! What is not seen from outside: what is done beside the loop and for whom, and how much of it in a round.

use super::*;
use crate::connection::Event;
use crate::driver::{Application, Driver};
use crate::tests::pair::{Pair, Settings};
use crate::transport::{Client, Server};
use std::os::unix::net::{UnixListener, UnixStream as Socket};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

/// A program that only forwards, on a loop that does not go round.
struct Program<S: ForwardSide>(Forwards<S>);

impl<S: ForwardSide> Application<S> for Program<S> {
    fn event(
        &mut self,
        _: &mut Context<'_>,
        _: PeerId,
        _: &mut Connection<S>,
        _: Event<'_, S>,
    ) -> Result<(), Error> {
        Ok(())
    }

    fn disconnect(&mut self, _: &mut Context<'_>, _: PeerId, _: Result<(), Error>) {}

    fn is_done(&self) -> bool {
        false
    }
}

/// With a peer, whose end of the socket is the last.
fn with_peer<S: ForwardSide>(conn: Connection<S>) -> (Driver<S, Program<S>>, PeerId, Socket) {
    let mut driver = Driver::with_waker(|waker| Ok(Program(Forwards::new(&waker)))).unwrap();
    let (near, far) = Socket::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let peer = driver.add(Stream::Unix(UnixStream::from_std(near)), conn, None).unwrap();
    (driver, peer, far)
}

/// A server whose client asks for a channel to this path, and the channel.
fn asked_for(path: &str) -> (Driver<Server, Program<Server>>, Key, Socket) {
    let mut pair = Pair::authenticated(Settings::default());
    pair.server.conn.expect_forwarding();
    pair.client.conn.open_direct_streamlocal(path).unwrap();
    pair.drive();
    let id = pair.server.channel.unwrap();
    let (driver, peer, far) = with_peer(pair.server.conn);
    (driver, (peer, id), far)
}

/// Waits until the link is no longer one that a connection is made for, as the loop would.
fn wait(driver: &mut Driver<Server, Program<Server>>, key: Key) {
    let is_connecting = |driver: &Driver<Server, Program<Server>>| {
        matches!(driver.app.0.links.get(&key), Some(Link::Connecting(_)))
    };
    while is_connecting(driver) {
        driver.poll.poll(&mut mio::Events::with_capacity(4), None).unwrap();
        driver.with(|app, cx, peers| app.0.source(cx, peers, Source::Woken)).unwrap();
    }
}

/// The file system that a path is in may not answer.
#[test]
fn a_unix_socket_is_connected_to_beside_the_loop() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let (mut driver, key, _far) = asked_for("s");
    for is_there in [true, false] {
        let target = Target::Unix(path.to_str().unwrap().to_owned());
        driver.app.0.connect(key, target);
        assert!(matches!(driver.app.0.links.get(&key), Some(Link::Connecting(_))));
        wait(&mut driver, key);
        assert_eq!(matches!(driver.app.0.links.get(&key), Some(Link::Joined(..))), is_there);
        if is_there {
            listener.accept().unwrap();
            std::fs::remove_file(&path).unwrap();
        }
    }
}

/// Hosts that do not answer before the sender is dropped, for this many channels, and who is told of those that are asked.
fn silent(forwards: &mut Forwards<Server>, key: Key, count: usize) -> (Sender, Receiver<()>) {
    let (open, gate) = channel::<()>();
    let (gate, (tell, told)) = (Arc::new(Mutex::new(gate)), channel());
    for _ in 0..count {
        let (gate, tell) = (Arc::clone(&gate), tell.clone());
        let make = move || {
            tell.send(()).unwrap();
            let _opened = gate.lock().unwrap().recv();
            Err(io::ErrorKind::TimedOut.into())
        };
        forwards.connect(key, Target::Made(Box::new(make)));
    }
    (open, told)
}

type Sender = std::sync::mpsc::Sender<()>;

#[test]
fn no_host_is_asked_for_a_peer_or_a_channel_that_is_gone() {
    for is_cut in [true, false] {
        let (mut driver, key, _far) = asked_for("s");
        let (open, told) = silent(&mut driver.app.0, key, DIALS_OF_PEER_MAX + 5);
        (0..DIALS_OF_PEER_MAX).for_each(|_| told.recv().unwrap());
        let ended = driver.with(|app, cx, peers| {
            match peers.get(key.0) {
                Some(conn) if !is_cut => drop(app.0.event(cx, key, conn, &ChannelEvent::Closed)?),
                _ => app.0.disconnect(cx, key.0),
            }
            Ok(())
        });
        ended.unwrap();
        drop(open);
        let mut answered = 0;
        while answered < DIALS_OF_PEER_MAX {
            driver.poll.poll(&mut mio::Events::with_capacity(4), None).unwrap();
            answered += core::iter::from_fn(|| driver.app.0.dialer.outcome()).count();
        }
        assert!(told.recv().is_err(), "nobody else is asked: {is_cut}");
    }
}

#[test]
fn of_those_who_call_no_more_are_accepted_in_a_round_than_the_bound() {
    let (mut driver, peer, _far) = with_peer::<Client>(Pair::authenticated(Settings::default()).client.conn);
    let (listeners, port) = Listener::tcp(&Address::Named("127.0.0.1".to_owned()), 0).unwrap();
    driver.with(|app, cx, _| Ok(app.0.listen(cx, peer, listeners, &Direct::Socks)?)).unwrap();
    let call = |_| std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let _callers: Vec<_> = (0..ACCEPTS_PER_ROUND + 5).map(call).collect();
    let id = *driver.app.0.listeners.keys().next().unwrap();
    for (source, accepted) in [(Source::Ready(id), ACCEPTS_PER_ROUND), (Source::Woken, ACCEPTS_PER_ROUND + 5)]
    {
        driver.with(|app, cx, peers| app.0.source(cx, peers, source)).unwrap();
        assert_eq!(driver.app.0.callers.len(), accepted);
    }
    // The second round was asked for.
    let mut events = mio::Events::with_capacity(4);
    driver.poll.poll(&mut events, Some(core::time::Duration::ZERO)).unwrap();
    assert!(events.iter().any(|event| event.token() == crate::driver::application::WAKER));
}

fn gone<S: ForwardSide>(driver: &mut Driver<S, Program<S>>, peer: PeerId) {
    let told = driver.with(|app, cx, _| {
        app.0.disconnect(cx, peer);
        Ok(())
    });
    told.unwrap();
}

#[test]
fn so_many_descriptors_are_held_and_what_is_beyond_is_refused() {
    let (mut driver, peer, _far) = with_peer::<Client>(Pair::authenticated(Settings::default()).client.conn);
    let descriptors = Arc::new(Descriptors::new(4));
    driver.app.0.descriptors = Arc::clone(&descriptors);
    let address = Address::Named("127.0.0.1".to_owned());
    let (listeners, port) = Listener::tcp(&address, 0).unwrap();
    let listen = |driver: &mut Driver<_, Program<Client>>, listeners, lead| {
        driver.with(|app, cx, _| Ok(app.0.listen(cx, peer, listeners, lead)?))
    };
    listen(&mut driver, listeners, &Direct::Socks).unwrap();
    let call = |_| std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut callers: Vec<_> = (0..5).map(call).collect();
    let id = *driver.app.0.listeners.keys().next().unwrap();
    driver.with(|app, cx, peers| app.0.source(cx, peers, Source::Ready(id))).unwrap();
    assert_eq!((driver.app.0.callers.len(), descriptors.used()), (3, 4));
    for caller in &mut callers[3..] {
        assert_eq!(caller.read(&mut [0]).unwrap(), 0, "it is closed");
    }
    let other = Direct::Streamlocal { socket_path: "/s".to_owned() };
    assert!(listen(&mut driver, Listener::tcp(&address, 0).unwrap().0, &other).is_err());
    gone(&mut driver, peer);
    assert_eq!(descriptors.used(), 0);
}

#[test]
fn a_connection_that_is_made_holds_a_descriptor_until_it_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    for max in [1, 0] {
        let (mut driver, key, _far) = asked_for("s");
        let descriptors = Arc::new(Descriptors::new(max));
        driver.app.0.descriptors = Arc::clone(&descriptors);
        driver.app.0.connect(key, Target::Unix(path.to_str().unwrap().to_owned()));
        assert_eq!(descriptors.used(), max);
        wait(&mut driver, key);
        assert_eq!((descriptors.used(), driver.app.0.joined.len()), (max, max));
        if max > 0 {
            drop(listener.accept().unwrap());
            gone(&mut driver, key.0);
        }
        assert_eq!((descriptors.used(), driver.app.0.links.len()), (0, 0));
    }
}
