//! Connections of the loads: where to, by which algorithms, and up to the sessions that each has. Whatever the server's host key
//! is, it is taken. This does not know what is asked for.

use mio::net::TcpStream;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use strombus::connection::{ChannelEvent, ChannelId, ChannelLimits, Connection, Event};
use strombus::crypto::SystemRng;
use strombus::crypto::sign::PrivateKey;
use strombus::driver::algorithms::AlgorithmOptions;
use strombus::driver::{Context, Error, Peers, Stream, files};
use strombus::transport::{Client, ClientConfig, TransportConfig};
use strombus::userauth::{ClientUserauthConfig, ClientUserauthEvent};
use strombus::wire::number::Sender as Role;

pub struct Login {
    address: SocketAddr,
    key: Arc<PrivateKey>,
    config: Arc<ClientConfig>,
}

impl Login {
    /// By the words PORT KEY CIPHER MAC KEX.
    pub fn new([port, key, cipher, mac, kex]: [&str; 5]) -> Self {
        let mut algorithms = AlgorithmOptions::new(Role::Client);
        for (keyword, name) in [("Ciphers", cipher), ("MACs", mac), ("KexAlgorithms", kex)] {
            algorithms.set(keyword, name).expect("a keyword").expect("a name");
        }
        let algorithms = algorithms.chosen().clone();
        let port: u16 = port.parse().expect("a port");
        Self {
            address: ([127, 0, 0, 1], port).into(),
            key: Arc::new(files::read_private_key(Path::new(key)).expect("a key")),
            config: Arc::new(ClientConfig {
                transport: TransportConfig { algorithms, ..TransportConfig::client() },
            }),
        }
    }

    /// One more.
    pub fn begin(&self, cx: &mut Context<'_>, peers: &mut Peers<'_, Client>) -> Result<(), Error> {
        let stream = Stream::Tcp(TcpStream::connect(self.address)?);
        let user = ClientUserauthConfig { user_name: "root".to_owned() };
        let (limits, rng) = (ChannelLimits::default(), Box::new(SystemRng));
        peers.add(cx, stream, Connection::new(Arc::clone(&self.config), user, limits, rng, cx.now))?;
        Ok(())
    }

    /// Answers what is asked on the way to so many sessions; what happens on them is handed back.
    pub fn event<'b>(
        &self,
        conn: &mut Connection<Client>,
        sessions: usize,
        event: Event<'b, Client>,
    ) -> Result<Option<(ChannelId, ChannelEvent<'b>)>, Error> {
        match event {
            Event::Kex(host) => conn.accept_host_key(host.ticket)?,
            Event::Userauth(ClientUserauthEvent::Continue { ticket, .. }) => {
                conn.request_publickey(ticket, Arc::clone(&self.key))?;
            }
            Event::Authenticated => {
                for _ in 0..sessions {
                    conn.open_session()?;
                }
            }
            Event::Channel(id, event) => return Ok(Some((id, event))),
            _ => {}
        }
        Ok(None)
    }
}
