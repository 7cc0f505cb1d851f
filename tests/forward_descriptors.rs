//! Forwarding when the system has no descriptor left. One test, because the limit is the process's.

#[path = "common/forwarding.rs"]
mod forwarding;

use forwarding::{Programs, Told};
use rustix::net::{AddressFamily, SocketType};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{TryRecvError, channel};
use strombus::driver::forward::{Address, Ask, Direct, Listener};

const CALLERS: usize = 8;

#[test]
fn t112_who_calls_when_there_is_no_descriptor_waits_without_rounds_until_there_is_one() {
    let far = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = far.local_addr().unwrap().port();
    let (send, listening) = channel();
    let programs = Programs::new(
        Box::new(move |forwards, cx, peer, _| {
            let (listeners, port) = Listener::tcp(&Address::Named("127.0.0.1".to_owned()), 0).unwrap();
            let lead = Direct::Tcpip { host: "127.0.0.1".to_owned(), port: to };
            forwards.listen(cx, peer, listeners, &lead).unwrap();
            send.send(port).unwrap();
        }),
        0,
        |_| Ask::Refuse,
    );
    let address = SocketAddr::from(([127, 0, 0, 1], listening.recv().unwrap()));
    let mut first = TcpStream::connect(address).unwrap();
    let mut first_there = far.accept().unwrap().0;
    assert_eq!(programs.told.recv(), Ok(Told::Event("opened")));
    // The sockets are there before the limit, so that they can call without a descriptor more.
    let socket = |_| rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let callers: Vec<_> = (0..CALLERS).map(socket).collect();
    let before = getrlimit(Resource::Nofile);
    let next = u64::try_from(File::open("/dev/null").unwrap().as_raw_fd()).unwrap();
    setrlimit(Resource::Nofile, Rlimit { current: Some(next), ..before }).unwrap();
    callers.iter().for_each(|caller| rustix::net::connect(caller, &address).unwrap());
    // The first one still works, and a loop that tried again and again would go round many times meanwhile.
    for _ in 0..1000 {
        first.write_all(b"x").unwrap();
        first_there.read_exact(&mut [0]).unwrap();
    }
    assert_eq!(programs.told.try_recv(), Err(TryRecvError::Empty), "nobody else was let in");
    setrlimit(Resource::Nofile, before).unwrap();
    // What the first leaves when it ends is for those who wait, of whom the system does not tell again.
    drop((first, first_there));
    for _ in 0..CALLERS {
        assert_eq!(programs.told.recv(), Ok(Told::Event("opened")));
    }
    drop((callers, far));
    let rounds = programs.finish();
    assert!(rounds.iter().all(|rounds| *rounds < 6000), "{rounds:?} rounds");
}
