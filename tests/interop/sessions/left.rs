//! Commands that live on when their session has been closed, or their client has gone.

use super::*;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;
use strombus::connection::{ChannelEvent, ChannelId, Connection, Event, Step};
use strombus::crypto::SystemRng;
use strombus::driver::files::read_private_key;
use strombus::transport::{Client, ClientConfig, RecvBuf};
use strombus::userauth::{ClientUserauthConfig, ClientUserauthEvent};

/// As many as examples/sshd keeps a descriptor for once their client is gone.
const ORPHANS_MAX: usize = 64;

/// A client that closes its sessions while their commands run.
struct Leaver {
    stream: TcpStream,
    conn: Connection<Client>,
    input: RecvBuf,
}

/// What it hears.
enum Heard {
    LoggedIn,
    Opened,
    Refused,
    Started,
    Said(i32),
}

impl Leaver {
    fn log_in(case: &Case) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", case.server.port)).unwrap();
        stream.set_read_timeout(Some(deadline())).unwrap();
        let (config, user) = (Arc::new(ClientConfig::default()), ClientUserauthConfig { user_name: user() });
        let conn = Connection::new(config, user, Default::default(), Box::new(SystemRng), Instant::now());
        let mut leaver = Self { stream, conn, input: RecvBuf::new() };
        let key = Arc::new(read_private_key(&case.files.path("user_key")).unwrap());
        assert!(matches!(leaver.hear(Some(key)), Heard::LoggedIn));
        leaver
    }

    fn hear(&mut self, mut key: Option<Arc<strombus::crypto::sign::PrivateKey>>) -> Heard {
        loop {
            let output = self.conn.output();
            self.stream.write_all(output).unwrap();
            let n = output.len();
            self.conn.consume_output(n);
            match self.conn.handle_input(&mut self.input, Instant::now()).unwrap() {
                Step::Event(Event::Kex(host)) => {
                    let ticket = host.ticket;
                    self.conn.accept_host_key(ticket).unwrap();
                }
                Step::Event(Event::Userauth(ClientUserauthEvent::Continue { ticket, .. })) => {
                    self.conn.request_publickey(ticket, key.take().expect("it is not refused")).unwrap();
                }
                Step::Event(Event::Authenticated) => return Heard::LoggedIn,
                Step::Event(Event::Channel(id, event)) => match event {
                    ChannelEvent::Opened => return Heard::Opened,
                    ChannelEvent::OpenFailure { .. } => return Heard::Refused,
                    ChannelEvent::Reply { success: true } => return Heard::Started,
                    ChannelEvent::Data { data } => {
                        let pid = std::str::from_utf8(data).unwrap().trim().parse().unwrap();
                        self.conn.channel(id).unwrap().adjust_window(data.len()).unwrap();
                        return Heard::Said(pid);
                    }
                    _ => {}
                },
                Step::NeedInput => {
                    let n = self.stream.read(self.input.space()).unwrap();
                    assert!(n > 0, "the server has closed");
                    self.input.filled(n);
                }
                _ => {}
            }
        }
    }

    fn open(&mut self) -> Option<ChannelId> {
        let id = self.conn.open_session().unwrap();
        matches!(self.hear(None), Heard::Opened).then_some(id)
    }

    /// Without waiting for the server's CLOSE: OpenSSH's comes after the command's end.
    fn close(&mut self, id: ChannelId) {
        self.conn.channel(id).unwrap().close().unwrap();
    }

    /// Opens a session, has a command sleep in it, and closes it. Nothing if it is refused.
    fn leave_asleep(&mut self) -> Option<i32> {
        let id = self.open()?;
        self.conn.channel(id).unwrap().request_exec(b"echo $$; exec sleep 100000").unwrap();
        assert!(matches!(self.hear(None), Heard::Started));
        let Heard::Said(pid) = self.hear(None) else { panic!("it says its number") };
        self.close(id);
        Some(pid)
    }
}

fn end(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn a_session_that_was_closed_counts_until_its_command_has_ended() {
    for server in [Some(Generation::Trixie), None] {
        let case = Case::new(None, server, &[("MaxSessions", "3")]);
        let mut leaver = Leaver::log_in(&case);
        let asleep: Vec<_> = (0..3).map(|_| leaver.leave_asleep().unwrap()).collect();
        for _ in 0..3 {
            assert_eq!(leaver.leave_asleep(), None, "{}", case.name);
        }
        end(asleep[0]);
        let leaver = std::cell::RefCell::new(leaver);
        eventually("there is room again", || {
            let mut leaver = leaver.borrow_mut();
            let id = leaver.open();
            id.inspect(|id| leaver.close(*id)).is_some()
        });
        asleep[1..].iter().copied().for_each(end);
    }
}

#[test]
fn for_commands_whose_client_is_gone_no_more_descriptors_are_kept_than_the_bound() {
    let case = Case::new(None, None, &[("MaxSessions", "1000")]);
    let pid = case.server.running.child.id();
    let before = descriptors(pid);
    let mut asleep = Vec::new();
    for more in [ORPHANS_MAX / 2, ORPHANS_MAX / 2 + 9] {
        let mut leaver = Leaver::log_in(&case);
        asleep.extend((0..more).map(|_| leaver.leave_asleep().unwrap()));
    }
    eventually("the clients are gone", || descriptors(pid) == before + ORPHANS_MAX);
    // They were let be, and all are waited for when they have ended.
    assert_eq!(children(pid).len(), asleep.len());
    asleep.into_iter().for_each(end);
    // Those without a descriptor are looked at when a client goes.
    eventually("all commands are waited for", || {
        drop(Leaver::log_in(&case));
        children(pid).is_empty()
    });
    eventually("all is as before", || descriptors(pid) == before);
}
