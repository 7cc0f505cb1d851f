//! A client of this library's without its manners: it shows what no client of people would.

use rustix::net::{AddressFamily, SocketType};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;
use strombus::connection::{Connection, Event, Step};
use strombus::crypto::SystemRng;
use strombus::transport::{Client, ClientConfig, Error, RecvBuf, Ticket};
use strombus::userauth::{ClientUserauthConfig, ClientUserauthEvent};

/// A client that believes every host.
pub struct Raw {
    stream: TcpStream,
    pub conn: Connection<Client>,
    input: RecvBuf,
    /// For the next request; nothing once the connection has ended.
    pub ticket: Option<Ticket>,
}

impl Raw {
    pub fn connect(port: u16, user_name: &str) -> Self {
        let config = Arc::new(ClientConfig::default());
        let user = ClientUserauthConfig { user_name: user_name.to_owned() };
        let stream = connect_from_elsewhere(port);
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(super::super::openssh::deadline())).unwrap();
        let conn = Connection::new(config, user, Default::default(), Box::new(SystemRng), Instant::now());
        Self { stream, conn, input: RecvBuf::new(), ticket: None }
    }

    /// The next answer of the login, as a text; the end of the connection, too.
    pub fn answer(&mut self) -> String {
        loop {
            let output = self.conn.output();
            self.stream.write_all(output).unwrap();
            let n = output.len();
            self.conn.consume_output(n);
            match self.conn.handle_input(&mut self.input, Instant::now()) {
                Ok(Step::Event(Event::Kex(question))) => {
                    let ticket = question.ticket;
                    self.conn.accept_host_key(ticket).unwrap();
                }
                Ok(Step::Event(Event::Userauth(event))) => {
                    let text = format!("{event:?}");
                    let (ClientUserauthEvent::Continue { ticket, .. }
                    | ClientUserauthEvent::Sign { ticket, .. }) = event
                    else {
                        panic!("{text}");
                    };
                    self.ticket = Some(ticket);
                    return text.split("ticket").next().unwrap().to_owned(); // it is another each time
                }
                Ok(Step::NeedInput) => {
                    let read = self.stream.read(self.input.space()).unwrap();
                    if read == 0 {
                        return "closed".to_owned();
                    }
                    self.input.filled(read);
                }
                Ok(Step::Event(_)) => panic!("logged in"),
                Ok(_) => {}
                Err(Error::Disconnected { reason, description }) => {
                    return format!("{reason:?} {description:?}");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Connects from an address of the loopback network that nobody else has: failures of one source are held against it.
fn connect_from_elsewhere(port: u16) -> TcpStream {
    static SOURCES: AtomicU8 = AtomicU8::new(2);
    let own = SocketAddr::from(([127, 0, 77, SOURCES.fetch_add(1, Ordering::Relaxed)], 0));
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &own).unwrap();
    rustix::net::connect(&socket, &SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    socket.into()
}
