//! The rows: what is measured of a peer in one round, and the limit of the same. A further row is a further variant of [`Row`];
//! where those who are compared are no peers, a [`Contest`](crate::contest::Contest).

use crate::load::Work;
use crate::openssh::{Files, Server};
use crate::peers::{Names, Peer, guided, load, spent};
use crate::table::Column;
use crate::{cost, limits};
use std::process::Command;
use std::time::Duration;
use tempfile::NamedTempFile;

/// Sizes and counts of the command line.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub bytes: u64,
    pub logins: u64,
    pub connections: u64,
    pub seconds: u64,
    /// Of the link that copies go through.
    pub round_trip: Duration,
}

/// Of those who fork for each connection fewer are enough, and more than the machine would hold.
const LOGINS_OF_FORKS: u64 = 10;
const CONNECTIONS_OF_FORKS: u64 = 100;
const VIEWERS_OF_FORKS: u64 = 200;

/// A log with fewer lines a second is written to for twice the time, and no two of them share a packet.
const SLOW: u64 = 100;

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
    /// A log that is written to, with so many lines a second, and that so many follow. OpenSSH's are followed by a `tail` each;
    /// those for which the system has no inotify instance left (128 of a user's, by default) look once a second.
    Records { viewers: u64, rate: u64, names: Names },
    /// A byte there and back while many come on another channel.
    Keystroke(Names),
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
        for (viewers, rate) in [(200, 1000), (10_000, 10)] {
            rows.push(Self::Records { viewers, rate, names: with(CURVE) });
        }
        rows.extend(
            [CIPHERS[1], CIPHERS[0]].map(|(cipher, mac)| Self::Keystroke(Names { cipher, mac, kex: CURVE })),
        );
        rows
    }

    /// Whether a peer takes part: two workers only where they are to be compared with one, and those who fork only where the
    /// machine holds all their processes.
    pub fn takes(&self, peer: &Peer) -> bool {
        match self {
            Self::Records { viewers, .. } => *viewers <= VIEWERS_OF_FORKS || !peer.forks(),
            _ => *peer != Peer::OURS_ON_TWO,
        }
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
            Self::Records { viewers, .. } => format!("records-{viewers}"),
            Self::Keystroke(names) => format!("keystroke-{}", names.cipher),
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
            Self::Records { .. } => vec![
                column("server CPU µs a record", 2, true),
                column("both CPU µs a record", 2, false),
                column("median ms", 1, false),
                column("p99 ms", 1, true),
            ],
            Self::Keystroke(_) => vec![
                column("median ms", 2, true),
                column("p99 ms", 2, true),
                column("meanwhile s a GiB", 2, false),
            ],
        }
    }

    pub const fn names(&self) -> Names {
        match self {
            Self::Bulk { names, .. }
            | Self::Logins(names)
            | Self::Idle(names)
            | Self::Records { names, .. }
            | Self::Keystroke(names) => *names,
        }
    }

    /// Whose server is asked: one for all rounds, unless what a round leaves behind is in the way of the next.
    pub fn serve(&self, files: &Files, peer: &Peer) -> Option<Server> {
        let server = if matches!(self, Self::Bulk { is_client: true, .. }) { &Peer::OURS } else { peer };
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
                let after = guided(files, load(files, names, port, Work::Hold, count), |client| {
                    client.hear()?;
                    Some(cost::anonymous(pid))
                })?;
                Ok(vec![(after - before) / 1024.0 / count as f64])
            }
            Self::Records { viewers, rate, .. } => {
                let seconds = if *rate < SLOW { 2 * sizes.seconds } else { sizes.seconds };
                records(files, pid, load(files, names, port, Work::Follow, *viewers), *rate, seconds)
            }
            Self::Keystroke(_) => {
                let client = load(files, names, port, Work::Keystroke, sizes.seconds);
                guided(files, client, |client| client.hear_numbers::<3>()).map(Vec::from)
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
            Self::Idle(_) | Self::Records { .. } | Self::Keystroke(_) => None,
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

/// What is written to a log, from the moment at which all follow it until all have it.
fn records(
    files: &Files,
    server: u32,
    mut client: Command,
    rate: u64,
    seconds: u64,
) -> Result<Vec<f64>, String> {
    // A peer may remember a file by its name as long as it lives.
    let log = NamedTempFile::new_in(files.directory.path()).map_err(|error| error.to_string())?;
    client.arg(log.path()).args([rate.to_string(), seconds.to_string()]);
    guided(files, client, |client| {
        client.hear()?;
        let look = |client| (cost::processor_of_all(server), cost::processor(client));
        let before = look(client.pid);
        client.go_on();
        let [records, median, p99] = client.hear_numbers()?;
        let after = look(client.pid);
        let each = |seconds: f64| seconds * 1e6 / records;
        let own = after.0 - before.0;
        Some(vec![each(own), each(own + after.1 - before.1), median, p99])
    })
}
