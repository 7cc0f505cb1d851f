//! The part of a program that forwards, on real loops: the order of answers, bounds, and connections that fail.

#[path = "common/forwarding.rs"]
mod forwarding;

use forwarding::{Programs, Start, Told};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::mpsc::channel;
use strombus::connection::{Bind, ChannelLimits, GlobalEvent};
use strombus::driver::forward::{
    Address, Ask, Direct, GREETINGS_MAX, LEFT_BYTES_MAX, LEFT_MAX, LISTENERS_MAX, Listener,
};

fn bind(address: &str, port: u16) -> Bind {
    Bind::Tcpip { address: address.to_owned(), port }
}

/// Asks the server to listen on these, in this order.
fn asking(binds: Vec<(String, u16)>) -> Start {
    Box::new(move |_, _, _, conn| {
        binds.iter().for_each(|(address, port)| conn.request_tcpip_forward(address, *port).unwrap());
    })
}

/// A client that listens here for this, and where.
fn listening(lead: Direct) -> (Programs, u16) {
    listening_at(ChannelLimits::default(), lead)
}

/// The same at a server with these limits.
fn listening_at(limits: ChannelLimits, lead: Direct) -> (Programs, u16) {
    let (send, port) = channel();
    let start: Start = Box::new(move |forwards, cx, peer, _| {
        let (listeners, port) = Listener::tcp(&Address::Named("127.0.0.1".to_owned()), 0).unwrap();
        forwards.listen(cx, peer, listeners, &lead).unwrap();
        assert!(forwards.is_listening(peer, &lead));
        send.send(port).unwrap();
    });
    let programs = Programs::with(limits, start, 0, |_| Ask::Refuse);
    let port = port.recv().unwrap();
    (programs, port)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn an_address_that_must_be_looked_up_is_answered_before_what_was_asked_after_it() {
    let port = free_port();
    let binds = [("name", 0), ("127.0.0.1", port), ("refused", 1), ("127.0.0.1", 0)];
    let binds: Vec<_> = binds.iter().map(|(address, port)| ((*address).to_owned(), *port)).collect();
    let programs = Programs::new(asking(binds), 0, |bind| match bind {
        Bind::Tcpip { address, port } if address != "refused" => {
            let at = if address == "name" { "localhost" } else { "127.0.0.1" };
            Ask::Tcp { address, port, at: Address::Named(at.to_owned()) }
        }
        _ => Ask::Refuse,
    });
    let mut told = Vec::new();
    for _ in 0..4 {
        let Told::Global(event) = programs.told.recv().unwrap() else { panic!() };
        told.push(event);
    }
    let chosen = |event: &GlobalEvent| match event {
        GlobalEvent::Forwarding { held: Bind::Tcpip { address, port }, .. } => (address.clone(), *port),
        _ => panic!("{event:?}"),
    };
    let (first, last) = (chosen(&told[0]), chosen(&told[3]));
    assert_eq!((&*first.0, &*last.0), ("name", "127.0.0.1"));
    assert!(first.1 != 0 && last.1 != 0 && first.1 != last.1);
    let second = GlobalEvent::Forwarding { asked: bind("127.0.0.1", port), held: bind("127.0.0.1", port) };
    assert_eq!(told[1..3], [second, GlobalEvent::ForwardingRefused { asked: bind("refused", 1) }]);
    programs.finish();
    // All of it is closed.
    for port in [first.1, port, last.1] {
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    }
}

#[test]
fn a_connection_that_nobody_takes_at_the_other_end_ends_here() {
    let (programs, port) = listening(Direct::Tcpip { host: "127.0.0.1".to_owned(), port: free_port() });
    for _ in 0..3 {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        assert_eq!(programs.told.recv(), Ok(Told::Event("failure")));
    }
    programs.finish();
}

#[test]
fn t69_no_more_is_listened_on_for_a_peer_than_the_bound() {
    let (send, outcome) = channel();
    let start: Start = Box::new(move |forwards, cx, peer, _| {
        let one = || Listener::tcp(&Address::Named("127.0.0.1".to_owned()), 0).unwrap().0;
        let all = (0..LISTENERS_MAX).flat_map(|_| one()).collect();
        let (lead, other) = (Direct::Socks, Direct::Streamlocal { socket_path: "/s".to_owned() });
        forwards.listen(cx, peer, all, &lead).unwrap();
        send.send(forwards.listen(cx, peer, one(), &other).is_err()).unwrap();
        assert!(forwards.stop_listening(cx, peer, &lead) && !forwards.stop_listening(cx, peer, &lead));
        send.send(forwards.listen(cx, peer, one(), &other).is_ok()).unwrap();
    });
    let programs = Programs::new(start, 0, |_| Ask::Refuse);
    assert_eq!(outcome.iter().take(2).collect::<Vec<_>>(), [true, true]);
    programs.finish();
}

#[test]
fn who_says_nothing_by_socks_takes_no_more_places_than_there_are() {
    let far = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = far.local_addr().unwrap().port();
    let (programs, port) = listening(Direct::Socks);
    let call = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let mut silent: Vec<_> = (0..GREETINGS_MAX).map(|_| call()).collect();
    let mut one_more = call();
    assert_eq!(one_more.read(&mut [0]).unwrap(), 0, "there is no place");
    // One of them speaks, which makes room: byte by byte, and already the first bytes of the connection behind it.
    let mut said = b"\x05\x01\0\x05\x01\0\x01\x7f\0\0\x01".to_vec();
    said.extend_from_slice(&to.to_be_bytes());
    said.extend_from_slice(b"hello");
    let mut speaker = silent.pop().unwrap();
    said.iter().for_each(|byte| speaker.write_all(&[*byte]).unwrap());
    let mut answer = [0; 12];
    speaker.read_exact(&mut answer).unwrap();
    assert_eq!(&answer[..4], b"\x05\0\x05\0");
    let mut heard = [0; 5];
    far.accept().unwrap().0.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
    // And the next one is listened to; what it says is nonsense.
    let mut nonsense = call();
    nonsense.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut came = Vec::new();
    nonsense.read_to_end(&mut came).unwrap();
    assert_eq!(came, b"");
    programs.finish();
    // The silent ones end with the connection.
    let mut last = silent.pop().unwrap();
    assert_eq!(last.read(&mut [0]).unwrap(), 0);
}

#[test]
fn an_answer_of_socks_is_whole_however_little_the_channel_takes_at_a_time() {
    let far = TcpListener::bind("127.0.0.1:0").unwrap();
    let limits = ChannelLimits { window_size: 1, window_max: 1, ..ChannelLimits::default() };
    let asks = asking(vec![("127.0.0.1".to_owned(), 0)]);
    let programs = Programs::with(limits, asks, 0, |bind| match bind {
        Bind::Tcpip { address, port } => Ask::Tcp { at: Address::Named(address.clone()), address, port },
        Bind::Streamlocal { .. } => Ask::Refuse,
    });
    let Ok(Told::Global(GlobalEvent::Forwarding { held: Bind::Tcpip { port, .. }, .. })) =
        programs.told.recv()
    else {
        panic!()
    };
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let to = far.local_addr().unwrap().port().to_be_bytes();
    stream.write_all(&[&b"\x05\x01\0\x05\x01\0\x01\x7f\0\0\x01"[..], &to].concat()).unwrap();
    far.accept().unwrap().0.write_all(b"hello").unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"\x05\0\x05\0\0\x01\0\0\0\0\0\0hello");
    drop(stream);
    // And one that is refused.
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.write_all(b"\x05\x01\0\x05\x02\0\x01").unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"\x05\0\x05\x07\0\x01\0\0\0\0\0\0");
    programs.finish();
}

/// Of so many connections to what reads nothing, each with so many bytes on its way, how many still got all of them after the
/// peer was gone.
fn left_whole(limits: ChannelLimits, count: usize, said: usize) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("far");
    let far = UnixListener::bind(&path).unwrap();
    let lead = Direct::Streamlocal { socket_path: path.to_str().unwrap().to_owned() };
    let (programs, port) = listening_at(limits, lead);
    let mut pairs = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.write_all(&vec![7; said]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        pairs.push((stream, far.accept().unwrap().0));
        assert_eq!(programs.told_there.recv(), Ok("eof"));
    }
    programs.cut();
    assert_eq!(programs.told_there.recv(), Ok("gone"));
    let mut whole = 0;
    for (_, far) in &mut pairs {
        let mut came = Vec::new();
        far.read_to_end(&mut came).unwrap();
        whole += usize::from(came.len() == said);
    }
    programs.finish();
    whole
}

#[test]
fn t107_of_those_who_read_nothing_no_more_than_the_bounds_outlive_their_peer() {
    // More than a Unix socket takes.
    assert_eq!(left_whole(ChannelLimits::default(), LEFT_MAX + 8, 1 << 20), LEFT_MAX);
    let limits = ChannelLimits { window_size: 16 << 20, ..ChannelLimits::default() };
    assert_eq!(left_whole(limits, 6, 15 << 20), LEFT_BYTES_MAX / (15 << 20));
}
