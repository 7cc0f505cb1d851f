//! The rows: what is measured of a peer in one round, and the limit of the same. A further row is a further variant of [`Row`];
//! where those who are compared are no peers, a [`Contest`](crate::contest::Contest).

use crate::load::Work;
use crate::openssh::{Files, Server};
use crate::peers::{Names, Peer, load, spent};
use crate::table::Column;
use crate::{cost, limits};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Sizes and counts of the command line.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub bytes: u64,
    pub logins: u64,
    pub connections: u64,
}

/// Of those who fork for each connection fewer are enough, and more than the machine would hold.
const LOGINS_OF_FORKS: u64 = 10;
const CONNECTIONS_OF_FORKS: u64 = 100;

const CIPHERS: [(&str, &str); 4] = [
    ("chacha20-poly1305@openssh.com", "hmac-sha2-256-etm@openssh.com"),
    ("aes128-gcm@openssh.com", "hmac-sha2-256-etm@openssh.com"),
    ("aes256-gcm@openssh.com", "hmac-sha2-256-etm@openssh.com"),
    ("aes256-ctr", "hmac-sha2-256-etm@openssh.com"),
];
const CURVE: &str = "curve25519-sha256";
const HYBRID: &str = "mlkem768x25519-sha256";

#[derive(Clone, Copy, Debug)]
pub enum Row {
    /// Bytes by one cipher between the peer's server and our client, or the peer's client and our server.
    Bulk { work: Work, is_client: bool, names: Names },
    /// Whole connections: exchange, publickey, session, `true`, end.
    Logins(Names),
    /// Connections that are logged in and have a session, and do nothing.
    Idle(Names),
}

impl Row {
    pub fn all() -> Vec<Self> {
        let with = |kex| Names { cipher: "aes128-gcm@openssh.com", mac: CIPHERS[0].1, kex };
        let mut rows = Vec::new();
        for is_client in [false, true] {
            for (cipher, mac) in CIPHERS {
                let names = Names { cipher, mac, kex: CURVE };
                rows.extend([Work::Take, Work::Pour].map(|work| Self::Bulk { work, is_client, names }));
            }
        }
        rows.extend([CURVE, HYBRID].map(|kex| Self::Logins(with(kex))));
        rows.push(Self::Idle(with(CURVE)));
        rows
    }

    /// By which it is asked for.
    pub fn name(&self) -> String {
        match self {
            Self::Bulk { work, is_client, names } => {
                let role = if *is_client { "client" } else { "server" };
                let does = match (work, is_client) {
                    (Work::Take, false) | (Work::Pour, true) => "sends",
                    _ => "receives",
                };
                format!("{role}-{does}-{}", names.cipher)
            }
            Self::Logins(names) => format!("logins-{}", names.kex),
            Self::Idle(_) => "idle".to_owned(),
        }
    }

    pub fn columns(&self) -> Vec<Column> {
        let column = |head, digits, is_compared| Column { head, digits, is_compared };
        match self {
            Self::Bulk { .. } => {
                vec![column("its CPU s", 3, true), column("both CPU s", 3, true), column("wall s", 2, false)]
            }
            Self::Logins(_) => vec![column("server CPU ms", 3, true), column("both CPU ms", 3, false)],
            Self::Idle(_) => vec![column("KiB each", 1, true)],
        }
    }

    pub const fn names(&self) -> Names {
        match self {
            Self::Bulk { names, .. } | Self::Logins(names) | Self::Idle(names) => *names,
        }
    }

    /// Whose server is asked: one for all rounds, unless what a round leaves behind is in the way of the next.
    pub fn serve(&self, files: &Files, peer: &Peer) -> Option<Server> {
        let server = if matches!(self, Self::Bulk { is_client: true, .. }) { &Peer::Ours } else { peer };
        server.serve(files, self.names())
    }

    pub const fn wants_a_fresh_server(&self) -> bool {
        matches!(self, Self::Idle(_))
    }

    /// One round: a value for each column, or what went wrong.
    pub fn measure(
        &self,
        files: &Files,
        sizes: Sizes,
        peer: &Peer,
        server: &Server,
    ) -> Result<Vec<f64>, String> {
        let (pid, port, names) = (server.running.child.id(), server.port, self.names());
        match self {
            Self::Bulk { work, is_client, .. } => {
                let command = match is_client {
                    true => peer.client(files, names, port, *work, sizes.bytes),
                    false => load(files, names, port, *work, sizes.bytes),
                };
                let both = sides(files, pid, command)?;
                Ok(vec![
                    if *is_client { both.client } else { both.server },
                    both.client + both.server,
                    both.wall,
                ])
            }
            Self::Logins(_) => {
                let count = if peer.forks() { sizes.logins.div_ceil(LOGINS_OF_FORKS) } else { sizes.logins };
                let both = sides(files, pid, load(files, names, port, Work::Login, count))?;
                Ok([both.server, both.client + both.server]
                    .map(|seconds| seconds * 1e3 / count as f64)
                    .to_vec())
            }
            Self::Idle(_) => {
                let count = match peer.forks() {
                    true => sizes.connections.min(CONNECTIONS_OF_FORKS),
                    false => sizes.connections,
                };
                // What is made once is no connection's.
                spent(files, load(files, names, port, Work::Login, 1))?;
                cost::settled(pid);
                let before = cost::anonymous(pid);
                let after = held(load(files, names, port, Work::Hold, count), || cost::anonymous(pid))?;
                Ok(vec![(after - before) / 1024.0 / count as f64])
            }
        }
    }

    /// What the machine can do, in the columns of the row, NaN where that says nothing; not every row has one.
    pub fn limit(&self, sizes: Sizes) -> Option<(&'static str, Vec<f64>)> {
        match self {
            Self::Bulk { work, is_client, names } => {
                let limits::Sides { sender, receiver } = limits::bulk(names.cipher, sizes.bytes);
                let sends = (*work == Work::Take) != *is_client;
                let own = if sends { sender } else { receiver };
                Some(("limit: cipher, one copy, loopback", vec![own, sender + receiver, f64::NAN]))
            }
            Self::Logins(names) => {
                Some(("limit: primitives, bare TCP", vec![limits::login(names.kex) * 1e3, f64::NAN]))
            }
            Self::Idle(_) => None,
        }
    }
}

/// Seconds of a load, and processor seconds of its two sides.
pub struct Spent {
    pub server: f64,
    pub client: f64,
    pub wall: f64,
}

pub fn sides(files: &Files, server: u32, client: Command) -> Result<Spent, String> {
    let (before, begin) = (cost::settled(server), std::time::Instant::now());
    let client = spent(files, client)?;
    let wall = begin.elapsed().as_secs_f64();
    Ok(Spent { server: cost::settled(server) - before, client, wall })
}

/// Looks while the client holds its connections.
fn held<T>(mut client: Command, look: impl FnOnce() -> T) -> Result<T, String> {
    let mut child =
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
    let mut line = String::new();
    let heard = BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line);
    let seen =
        if heard.is_ok() && line == "ready\n" { Ok(look()) } else { Err("they are not held".to_owned()) };
    drop(child.stdin.take());
    let (_, _) = cost::wait(child);
    seen
}
