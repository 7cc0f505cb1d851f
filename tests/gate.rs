//! The gate on real sockets: who is turned away, who is not, and when the silent are ended.

#[path = "common/door.rs"]
mod door;

use door::{PASSWORD, Running, Told, allow_descriptors, come, is_long, log_in, log_in_on, serve};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use strombus::connection::{Connection, Event};
use strombus::crypto::SystemRng;
use strombus::driver::gate::{Gate, GateConfig, Refusal};
use strombus::driver::{Application, Context, Driver, Error, PeerId};
use strombus::transport::{self, Server, ServerConfig};

const GRACE: Duration = Duration::from_secs(120);

/// What the server says until it closes.
fn heard(mut stream: &TcpStream) -> String {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

/// Whether one that comes from there is spoken to.
fn is_admitted(n: u8, address: SocketAddr) -> bool {
    let mut first = [0; 4];
    come(n, address).read_exact(&mut first).unwrap();
    assert!(matches!(&first, b"SSH-" | b"Not "), "{first:?}");
    first == *b"SSH-"
}

#[test]
fn t60_a_thousand_silent_connections_of_one_source_keep_nobody_else_out() {
    allow_descriptors();
    let server = serve(&[], GRACE);
    let strangers: Vec<_> = (0..1000).map(|_| come(2, server.address)).collect();
    // Three quarters of the ten from which on chance decides.
    let (kept, refused) = strangers.split_at(7);
    for mut stream in kept {
        let mut first = [0; 8];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(first, *b"SSH-2.0-");
    }
    for stream in refused {
        assert_eq!(heard(stream), "Exceeded MaxStartups\r\n");
    }
    // Nor do those who are logged in, however many.
    let mut logged_in = Vec::new();
    for _ in 0..20 {
        let (outcome, connection) = log_in(1, server.address, &[PASSWORD]);
        assert_eq!(outcome, Ok(()));
        logged_in.push(connection);
    }
    let told = server.told.try_iter().find_map(|told| match told {
        Told::Refused(source, why) => Some((source.ip(), why)),
        _ => None,
    });
    assert_eq!(told, Some((IpAddr::from([127, 0, 0, 2]), Refusal::StartupsOfSource)));
    assert_eq!(server.stop(), (993, 7, 27));
    drop(logged_in);
}

/// Is done when so many have come.
struct Counter {
    connected: usize,
    until: usize,
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

    fn is_done(&self) -> bool {
        self.connected >= self.until
    }
}

/// Turns everybody away, and is done when one was.
struct Refuser(Option<Refusal>);

impl Application<Server> for Refuser {
    fn refused(&mut self, _: &mut Context<'_>, _: SocketAddr, why: Refusal, _: Option<u64>) {
        self.0 = Some(why);
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

    fn is_done(&self) -> bool {
        self.0.is_some()
    }
}

#[test]
fn t60_who_is_refused_hears_why_even_if_he_speaks_first_and_goes_on() {
    let listener = mio::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut stream = come(2, listener.local_addr().unwrap());
    stream.write_all(b"SSH-2.0-x\r\nand much more").unwrap();
    let mut driver = Driver::new(Refuser(None)).unwrap();
    let config = GateConfig { connections_max: 0, ..GateConfig::default() };
    let gate = Gate::new(config, Box::new(SystemRng));
    driver.listen_behind(gate, listener, Box::new(|_, _| unreachable!())).unwrap();
    driver.run().unwrap();
    assert_eq!(driver.app.0, Some(Refusal::Connections));
    for _ in 0..3 {
        stream.write_all(b"still").unwrap();
    }
    assert_eq!(heard(&stream), "Too many connections\r\n");
}

#[test]
fn t60_a_client_hears_why_it_is_refused_even_if_it_can_send_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = come(2, listener.local_addr().unwrap());
    let mut server = listener.accept().unwrap().0;
    server.write_all(b"Not now\r\n").unwrap();
    rustix::net::sockopt::set_socket_linger(&server, Some(Duration::ZERO)).unwrap();
    drop(server); // a reset
    let outcome = log_in_on(stream, &[]).0.unwrap_err();
    assert!(outcome.contains("Not now"), "{outcome}");
}

#[test]
fn t60_of_those_who_wait_to_be_accepted_a_round_takes_no_more_than_its_share() {
    let listener = mio::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let _waiting: Vec<_> = (0..100).map(|_| come(2, address)).collect();
    let mut driver = Driver::new(Counter { connected: 0, until: 1 }).unwrap();
    let accept = |_, now| {
        let config = Arc::new(ServerConfig::new(Vec::new()));
        Connection::new(config, Default::default(), Default::default(), Box::new(SystemRng), now)
    };
    driver.listen(listener, Box::new(accept)).unwrap();
    driver.run().unwrap();
    assert_eq!(driver.app.connected, 64);
    // The system does not tell of the others again.
    driver.app.until = 100;
    driver.run().unwrap();
    assert_eq!(driver.app.connected, 100);
}

#[test]
fn t60_after_failed_logins_a_source_is_refused_for_a_while_and_others_are_not() {
    let server = serve(&[("PerSourcePenalties", "authfail:1h min:9h max:20h")], GRACE);
    for _ in 0..10 {
        let (outcome, connection) = log_in(2, server.address, &[b"wrong"]);
        assert_eq!(outcome, Err("no password is left".to_owned()));
        drop(connection);
        assert!(!server.ended().0);
    }
    for password in [b"wrong", PASSWORD] {
        let outcome = log_in(2, server.address, &[password]).0.unwrap_err();
        assert!(outcome.contains("Not allowed at this time"), "{outcome}");
    }
    assert_eq!(log_in(1, server.address, &[PASSWORD]).0, Ok(()));
    assert_eq!(server.stop().0, 2);
}

/// Serves with a penalty for just this, lets it happen, and says whether there was one.
fn is_penalised(penalty: &str, happen: impl FnOnce(&Running)) -> bool {
    let words = "crash:0 authfail:0 noauth:0 grace-exceeded:0 refuseconnection:0 min:0 max:10h";
    let options = [("PerSourcePenalties", words), ("PerSourcePenalties", penalty)];
    let grace = if penalty.starts_with("grace") { Duration::ZERO } else { GRACE };
    let server = serve(&options, grace);
    happen(&server);
    drop(server.ended());
    let admitted = is_admitted(2, server.address);
    server.stop();
    !admitted
}

#[test]
fn an_end_without_a_login_counts_as_what_it_was() {
    let nothing = |server: &Running| drop(come(2, server.address));
    let identification = |server: &Running| come(2, server.address).write_all(b"SSH-2.0-x\r\n").unwrap();
    let no_ssh = |server: &Running| come(2, server.address).write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let silent = |server: &Running| drop(heard(&come(2, server.address)));
    let gives_up = |server: &Running| drop(log_in(2, server.address, &[b"wrong"]));
    let is_ended = |server: &Running| drop(log_in(2, server.address, &[b"wrong", b"wrong", b"wrong"]));
    let is_turned_away = |server: &Running| {
        let stream = come(2, server.address);
        assert!(matches!(server.told.recv(), Ok(Told::Connected)));
        server.turn_away();
        heard(&stream);
    };
    let logs_in = |server: &Running| drop(log_in(2, server.address, &[PASSWORD]));
    let kinds = ["noauth:1h", "authfail:1h", "grace-exceeded:1h", "crash:1h", "refuseconnection:1h"];
    for (name, happen, expected) in [
        ("nothing", &nothing as &dyn Fn(&Running), "noauth:1h"),
        ("identification", &identification, "noauth:1h"),
        ("no ssh", &no_ssh, "noauth:1h"),
        ("silent", &silent, "grace-exceeded:1h"),
        ("gives up", &gives_up, "authfail:1h"),
        ("is ended", &is_ended, "authfail:1h"),
        ("is turned away", &is_turned_away, "refuseconnection:1h"),
        ("logs in", &logs_in, "nothing"),
    ] {
        for penalty in kinds {
            // Only where there is a penalty for it the time for the login passes at once.
            if (name == "silent") == penalty.starts_with("grace") {
                assert_eq!(is_penalised(penalty, happen), expected == penalty, "{name}: {penalty}");
            }
        }
    }
}

/// One that comes and says so much of what a client says, and no more.
fn stuck(n: u8, address: SocketAddr, stage: usize) -> TcpStream {
    let mut stream = come(n, address);
    let says: &[u8] = match stage % 4 {
        0 => b"",
        1 => b"SSH-2.0-half",
        2 => b"SSH-2.0-x\r\n",
        _ => b"SSH-2.0-x\r\n\0\0\x02\x04\x04half a packet",
    };
    stream.write_all(says).unwrap();
    stream
}

#[test]
fn t61_the_silent_are_ended_when_their_time_has_passed_while_others_log_in() {
    allow_descriptors();
    let count = if is_long() { 1000 } else { 200 };
    let options = [("MaxStartups", "5000"), ("PerSourcePenalties", "no")];
    let server = serve(&options, Duration::from_secs(3));
    let (outcome, early) = log_in(1, server.address, &[PASSWORD]);
    assert_eq!(outcome, Ok(()));
    let silent: Vec<_> = (0..count).map(|n| stuck(2, server.address, n)).collect();
    let (mut timed_out, mut logins) = (0, 0);
    while timed_out < count {
        // From many addresses, whose ports the system keeps for a while.
        let source = 3 + (logins % 200) as u8;
        let (outcome, connection) = log_in(source, server.address, &[PASSWORD]);
        assert_eq!(outcome, Ok(()), "after {logins} logins and {timed_out} ends");
        drop(connection);
        logins += 1;
        // Its own end comes, and perhaps some of those who are silent.
        loop {
            match server.ended() {
                (true, _) => break,
                (false, why) => {
                    let expected = matches!(why, Err(Error::Ssh(transport::Error::TimedOut)));
                    assert!(expected, "{why:?}");
                    timed_out += 1;
                }
            }
        }
    }
    for stream in &silent {
        let said = heard(stream);
        assert!(said.starts_with("SSH-2.0-"), "{said}");
    }
    // Whoever was logged in all the time still is.
    server.turn_away();
    assert!(matches!(server.ended(), (_, Ok(()))));
    drop(early);
    println!("figure: {count} silent connections were ended in time while {logins} others logged in");
    assert_eq!(server.stop(), (0, 0, 0));
}
