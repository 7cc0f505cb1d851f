//! A client of this library's by itself: it asks for what a program would not.

use super::*;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;
use strombus::connection::{Channel, ChannelEvent, ChannelId, Connection, Event, Request, Step, WindowSize};
use strombus::crypto::SystemRng;
use strombus::crypto::sign::PrivateKey;
use strombus::driver::files::read_private_key;
use strombus::transport::{Client, ClientConfig, RecvBuf};
use strombus::userauth::{ClientUserauthConfig, ClientUserauthEvent};

/// A client that believes every host.
pub struct Raw {
    stream: TcpStream,
    conn: Connection<Client>,
    input: RecvBuf,
    key: Option<Arc<PrivateKey>>,
    /// What commands said and nobody has taken yet.
    said: String,
}

/// What it hears.
enum Heard {
    LoggedIn,
    Opened,
    Refused,
    Reply(bool),
    Said,
    Ended(End),
}

/// How a command ended: its status, or the signal.
pub type End = Result<u32, String>;

impl Raw {
    pub fn log_in(case: &Case) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", case.server.port)).unwrap();
        stream.set_read_timeout(Some(deadline())).unwrap();
        let (config, user) = (Arc::new(ClientConfig::default()), ClientUserauthConfig { user_name: user() });
        let conn = Connection::new(config, user, Default::default(), Box::new(SystemRng), Instant::now());
        let key = Some(Arc::new(read_private_key(&case.files.path("user_key")).unwrap()));
        let mut raw = Self { stream, conn, input: RecvBuf::new(), key, said: String::new() };
        assert!(matches!(raw.hear(), Heard::LoggedIn));
        raw
    }

    /// Sends what waits.
    fn flush(&mut self) {
        let output = self.conn.output();
        self.stream.write_all(output).unwrap();
        let n = output.len();
        self.conn.consume_output(n);
    }

    fn hear(&mut self) -> Heard {
        loop {
            self.flush();
            match self.conn.handle_input(&mut self.input, Instant::now()).unwrap() {
                Step::Event(Event::Kex(host)) => {
                    let ticket = host.ticket;
                    self.conn.accept_host_key(ticket).unwrap();
                }
                Step::Event(Event::Userauth(ClientUserauthEvent::Continue { ticket, .. })) => {
                    let key = self.key.take().expect("it is not refused");
                    self.conn.request_publickey(ticket, key).unwrap();
                }
                Step::Event(Event::Authenticated) => return Heard::LoggedIn,
                Step::Event(Event::Channel(id, event)) => match event {
                    ChannelEvent::Opened => return Heard::Opened,
                    ChannelEvent::OpenFailure { .. } => return Heard::Refused,
                    ChannelEvent::Reply { success } => return Heard::Reply(success),
                    ChannelEvent::Data { data } => {
                        let length = data.len();
                        self.said += std::str::from_utf8(data).unwrap();
                        self.conn.channel(id).unwrap().adjust_window(length).unwrap();
                        return Heard::Said;
                    }
                    ChannelEvent::Request { request: Request::ExitStatus { exit_status }, .. } => {
                        return Heard::Ended(Ok(exit_status));
                    }
                    ChannelEvent::Request { request: Request::ExitSignal { signal_name, .. }, .. } => {
                        return Heard::Ended(Err(String::from_utf8_lossy(signal_name).into_owned()));
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

    pub fn channel(&mut self, id: ChannelId) -> Channel<'_, Client> {
        self.conn.channel(id).unwrap()
    }

    /// Opens a session. Nothing if it is refused.
    pub fn open(&mut self) -> Option<ChannelId> {
        let id = self.conn.open_session().unwrap();
        loop {
            match self.hear() {
                Heard::Opened => return Some(id),
                Heard::Refused => return None,
                _ => {} // of a session before
            }
        }
    }

    fn granted(&mut self) {
        loop {
            if let Heard::Reply(success) = self.hear() {
                return assert!(success);
            }
        }
    }

    pub fn terminal(&mut self, id: ChannelId) {
        let size = WindowSize { columns: 80, rows: 24, width_px: 0, height_px: 0 };
        self.channel(id).request_pty(b"dumb", size, b"").unwrap();
        self.granted();
    }

    pub fn exec(&mut self, id: ChannelId, command: &str) {
        self.channel(id).request_exec(command.as_bytes()).unwrap();
        self.granted();
    }

    /// The next line that a command says.
    pub fn line(&mut self) -> String {
        loop {
            if let Some((line, rest)) = self.said.split_once('\n') {
                let line = line.trim_end_matches('\r').to_owned();
                self.said = rest.to_owned();
                return line;
            }
            self.hear();
        }
    }

    /// How a command ends.
    pub fn end(&mut self) -> End {
        loop {
            if let Heard::Ended(end) = self.hear() {
                return end;
            }
        }
    }

    /// All that was said and not taken.
    pub fn rest(&mut self) -> String {
        core::mem::take(&mut self.said)
    }
}
