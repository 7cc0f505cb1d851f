//! What a connection costs before its login, whatever its peer does.
//!
//! One test, because the counters are the process's.

#[path = "common/alloc.rs"]
#[expect(dead_code, reason = "the number of allocations is looked at elsewhere")]
mod alloc;
#[path = "common/door.rs"]
mod door;

use door::{PASSWORD, Running, Told, UNJUDGED, allow_descriptors, come, is_long, log_in, serve};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use strombus::connection::{Connection, Event, Step};
use strombus::crypto::SystemRng;
use strombus::transport::{Client, PACKET_LENGTH_MAX_UNAUTHENTICATED, RecvBuf};
use strombus::userauth::{ClientUserauthConfig, ClientUserauthEvent};

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

/// What a stranger may make the server hold (bytes).
const STRANGER_MAX: usize = 64 * 1024;

/// Writes as much as the server takes, up to all of it.
fn push(stream: &mut TcpStream, bytes: &[u8]) {
    stream.set_nonblocking(true).unwrap();
    let mut rest = bytes;
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(n) => rest = &rest[n..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// One who says nothing.
fn silent(server: &Running) -> TcpStream {
    come(2, server.address)
}

/// What is sent after the rest was taken.
const LAST: [u8; 200] = [4; 200];

/// One whose first packet is as long as may be and, with [`LAST`], lacks one byte.
fn cut(server: &Running) -> TcpStream {
    let mut stream = come(2, server.address);
    let length = (PACKET_LENGTH_MAX_UNAUTHENTICATED / 8 * 8 - 4) as u32;
    let mut bytes = b"SSH-2.0-x\r\n".to_vec();
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.resize(bytes.len() + length as usize - 1 - LAST.len(), 4);
    push(&mut stream, &bytes);
    stream
}

/// One who waits for a verdict, and goes on sending meanwhile.
fn waiting(server: &Running) -> TcpStream {
    let mut stream = come(2, server.address);
    let user = ClientUserauthConfig { user_name: "ann".to_owned() };
    let mut conn = Connection::<Client>::new(
        Arc::default(),
        user,
        Default::default(),
        Box::new(SystemRng),
        Instant::now(),
    );
    let (mut input, mut asked) = (RecvBuf::new(), false);
    while !asked {
        stream.write_all(conn.output()).unwrap();
        conn.consume_output(conn.pending_output());
        let n = stream.read(input.space()).unwrap();
        input.filled(n);
        loop {
            match conn.handle_input(&mut input, Instant::now()).unwrap() {
                Step::NeedInput => break,
                Step::Event(Event::Kex(host)) => conn.accept_host_key(host.ticket).unwrap(),
                Step::Event(Event::Userauth(ClientUserauthEvent::Continue { ticket, .. })) => {
                    conn.request_password(ticket, UNJUDGED).unwrap();
                    asked = true;
                }
                _ => {}
            }
        }
    }
    // With the question in one piece, so that it is read with it.
    let mut bytes = conn.output().to_vec();
    bytes.resize(1 << 20, 0);
    push(&mut stream, &bytes);
    while !matches!(server.told.recv(), Ok(Told::Asked)) {}
    stream
}

/// What each of so many strangers makes the server hold in the end, and at most on the way.
fn held(
    server: &Running,
    count: usize,
    stranger: fn(&Running) -> TcpStream,
    last: &[u8],
) -> (usize, usize, Vec<TcpStream>) {
    // Who logs in makes the loop go round often enough for all who have something to say; and warms its buffers.
    let settle = || {
        assert_eq!(log_in(1, server.address, &[PASSWORD]).0, Ok(()));
        assert!(server.ended().0);
    };
    settle();
    let mut streams = Vec::with_capacity(count);
    alloc::peak();
    let before = alloc::held();
    streams.extend((0..count).map(|_| stranger(server)));
    settle();
    streams.iter_mut().for_each(|stream| push(stream, last));
    settle();
    let each = |bytes: usize| bytes.saturating_sub(before) / count;
    (each(alloc::held()), each(alloc::peak()), streams)
}

#[test]
fn t60_a_connection_before_its_login_holds_little_whatever_its_peer_sends() {
    allow_descriptors();
    let count = if is_long() { 1000 } else { 200 };
    let options = [("MaxStartups", "5000"), ("PerSourcePenalties", "no")];
    let server = serve(&options, Duration::from_secs(600));
    let mut kept = Vec::new();
    for (kind, stranger, last, at_least) in [
        ("is silent", silent as fn(&Running) -> TcpStream, &[][..], 0),
        ("sent the most of a packet", cut, &LAST, PACKET_LENGTH_MAX_UNAUTHENTICATED - 100),
        ("waits for a verdict and sends on", waiting, &LAST, 7 * 1024),
    ] {
        let (bytes, peak, streams) = held(&server, count, stranger, last);
        println!(
            "figure: a connection without a login holds {bytes} bytes, at most {peak}, when its peer {kind}"
        );
        assert!(bytes >= at_least, "{kind}: {bytes} bytes; less than what was sent");
        assert!(peak <= STRANGER_MAX, "{kind}: {peak} bytes");
        kept.extend(streams);
    }
    server.turn_away();
    for _ in &kept {
        assert!(matches!(server.ended(), (false, Ok(()))), "all were still there");
    }
    assert_eq!(server.stop(), (0, 0, 0));
}
