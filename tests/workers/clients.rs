//! The clients of a test: many on one loop, each with a session whose bytes come back.

use super::*;

#[derive(Default)]
pub struct Line {
    pub channel: Option<ChannelId>,
    pub sent: usize,
    pub back: usize,
}

/// Clients that log in, and whose bytes come back.
pub struct Clients {
    pub password: &'static [u8],
    /// Bytes of each.
    pub goal: usize,
    pub lines: HashMap<PeerId, Line>,
    pub ended: usize,
}

impl Line {
    pub fn push(&mut self, conn: &mut Connection<Client>, goal: usize) -> Result<(), Error> {
        let Some(id) = self.channel else { return Ok(()) };
        let bytes: Vec<u8> = (self.sent..goal).map(byte).collect();
        self.sent += conn.channel(id)?.write(&bytes);
        Ok(())
    }
}

impl Application<Client> for Clients {
    fn connect(&mut self, _: &mut Context<'_>, peer: PeerId, _: Option<SocketAddr>) {
        self.lines.insert(peer, Line::default());
    }

    fn event(
        &mut self,
        _: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Client>,
        event: Event<'_, Client>,
    ) -> Result<(), Error> {
        let line = self.lines.get_mut(&peer).unwrap();
        match event {
            Event::Kex(host) => conn.accept_host_key(host.ticket)?,
            Event::Userauth(ClientUserauthEvent::Continue { ticket, .. }) => {
                conn.request_password(ticket, self.password)?;
            }
            Event::Authenticated => drop(conn.open_session()?),
            Event::Channel(id, ChannelEvent::Opened) => conn.channel(id)?.request_shell()?,
            Event::Channel(id, ChannelEvent::Reply { success: true }) => {
                line.channel = Some(id);
                line.push(conn, self.goal)?;
            }
            Event::Channel(id, ChannelEvent::Data { data }) => {
                assert!(data.iter().enumerate().all(|(i, b)| *b == byte(line.back + i)), "at {}", line.back);
                line.back += data.len();
                conn.channel(id)?.adjust_window(data.len())?;
            }
            _ => {}
        }
        Ok(())
    }

    fn writable(
        &mut self,
        _: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Client>,
        _: ChannelId,
    ) -> Result<(), Error> {
        self.lines.get_mut(&peer).unwrap().push(conn, self.goal)
    }

    fn disconnect(&mut self, _: &mut Context<'_>, peer: PeerId, _: Result<(), Error>) {
        self.lines.remove(&peer);
        self.ended += 1;
    }

    fn is_done(&self) -> bool {
        self.ended > 0 || self.lines.values().all(|line| line.channel.is_some() && line.back == self.goal)
    }
}

pub type Party = Driver<Client, Clients>;

/// So many clients from `127.0.0.n`, who are not yet logged in.
pub fn party(count: usize, n: u8, address: SocketAddr, password: &'static [u8]) -> Party {
    let clients = Clients { password, goal: 0, lines: HashMap::new(), ended: 0 };
    let mut driver = Driver::new(clients).unwrap();
    for _ in 0..count {
        let stream = come(n, address).unwrap();
        stream.set_nonblocking(true).unwrap();
        let user = ClientUserauthConfig { user_name: "ann".to_owned() };
        let conn =
            Connection::new(Arc::default(), user, Default::default(), Box::new(SystemRng), Instant::now());
        driver.add(Stream::Tcp(mio::net::TcpStream::from_std(stream)), conn, None).unwrap();
    }
    driver
}

/// Whether all of them send so many bytes more, and get them back.
pub fn echo(party: &mut Party, bytes: usize) -> bool {
    party.app.goal += bytes;
    let push = |clients: &mut Clients, _: &mut Context<'_>, peers: &mut Peers<'_, Client>| {
        let goal = clients.goal;
        clients.lines.iter_mut().try_for_each(|(peer, line)| line.push(peers.get(*peer).unwrap(), goal))
    };
    party.with(push).unwrap();
    party.run().unwrap();
    party.app.ended == 0
}

/// Logs one in from `127.0.0.n`.
pub fn log_in(n: u8, address: SocketAddr) -> Party {
    let mut party = party(1, n, address, b"secret");
    assert!(echo(&mut party, 0));
    party
}
