//! A listener when the system has no descriptor left. One test, because the limit is the process's.

use mio::net::TcpListener;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;
use strombus::connection::{Connection, Event};
use strombus::crypto::SystemRng;
use strombus::driver::{Application, Context, Driver, Error, PeerId, Peers, Source};
use strombus::transport::{Server, ServerConfig};

const CLIENTS: usize = 10;

/// Is done when all have come, and when its time has.
#[derive(Default)]
struct Counter {
    connected: usize,
    time_is_over: bool,
}

impl Application<Server> for Counter {
    fn connect(&mut self, _: &mut Context<'_>, _: PeerId, _: Option<SocketAddr>) {
        self.connected += 1;
    }

    fn event(
        &mut self,
        _: &mut Context<'_>,
        _: PeerId,
        _: &mut Connection<Server>,
        _: Event<'_, Server>,
    ) -> Result<(), Error> {
        Ok(())
    }

    fn disconnect(&mut self, _: &mut Context<'_>, _: PeerId, _: Result<(), Error>) {}

    fn source(&mut self, _: &mut Context<'_>, _: &mut Peers<'_, Server>, _: Source) -> Result<(), Error> {
        self.time_is_over = true;
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.time_is_over || self.connected == CLIENTS
    }
}

#[test]
fn t112_without_descriptors_the_loop_tries_now_and_then_and_goes_on_when_there_are_some() {
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let _waiting: Vec<_> = (0..CLIENTS).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut driver = Driver::new(Counter::default()).unwrap();
    let accept = |_, now| {
        let config = Arc::new(ServerConfig::new(Vec::new()));
        Connection::new(config, Default::default(), Default::default(), Box::new(SystemRng), now)
    };
    driver.listen(listener, Box::new(accept)).unwrap();
    let before = getrlimit(Resource::Nofile);
    let next = u64::try_from(File::open("/dev/null").unwrap().as_raw_fd()).unwrap();
    setrlimit(Resource::Nofile, Rlimit { current: Some(next + 3), ..before }).unwrap();
    let a_second = |_: &mut Counter, cx: &mut Context<'_>, _: &mut Peers<'_, Server>| {
        cx.set_timer(Some(cx.now + Duration::from_secs(1)));
        Ok(())
    };
    driver.with(a_second).unwrap();
    driver.run().unwrap();
    setrlimit(Resource::Nofile, before).unwrap();
    let connected = driver.app.connected;
    assert!(driver.app.time_is_over && (1..=3).contains(&connected), "{connected} of {CLIENTS} came");
    // Five pauses; without them it would try a thousand times, a millisecond apart.
    assert!(driver.rounds() < 20, "{} rounds", driver.rounds());
    driver.app.time_is_over = false;
    driver.run().unwrap();
    assert_eq!(driver.app.connected, CLIENTS, "the system does not tell of them again");
}
