//! A desk with visitors: connections in memory, under virtual time, and a log in a real directory.

mod bounds;
mod ends;
mod hostile;
mod reports;
mod stalled;

use super::super::caps::Caps;
use super::super::settings::{Limits, LogFile};
use super::super::users::Rights;
use super::{Connections, Desk, Who};
use crate::connection::{ChannelId, ChannelLimits, Connection, Event, Step, WindowSize};
use crate::driver::PeerId;
use crate::tests::pair::{Pair, Seen, Settings, receive, ship};
use crate::transport::Server;
use mio::{Events, Poll, Token, Waker};
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Sessions of a connection, more than any bound here.
const SESSIONS: usize = 600;

/// A window that all of a test fits into.
const WIDE: u32 = 2 << 20;

const TERMINAL: Option<(u32, u32)> = Some((80, 24));

/// The desk of a server that has the log `shop`.
struct Place {
    desk: Desk,
    visitors: Vec<Visitor>,
    limits: Limits,
    now: Instant,
    woken: Poll,
    directory: TempDir,
}

/// A connection of a user's.
struct Visitor {
    user: &'static str,
    pair: Pair,
}

/// What a session was told so far, and how it ended.
#[derive(Debug, Default, PartialEq)]
struct Told {
    out: String,
    err: String,
    status: Option<u32>,
    is_closed: bool,
}

impl Connections for Vec<Visitor> {
    fn get(&mut self, peer: PeerId) -> Option<&mut Connection<Server>> {
        self.get_mut(peer.slot).map(|visitor| &mut visitor.pair.server.conn)
    }
}

const fn peer(visitor: usize) -> PeerId {
    PeerId { slot: visitor, generation: 1 }
}

impl Place {
    /// With these users, who all see everything, and an empty log.
    fn new(users: &[&str], caps: Caps) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shop.log");
        std::fs::write(&path, "").unwrap();
        Self::of(users, caps, path, directory)
    }

    fn of(users: &[&str], caps: Caps, path: PathBuf, directory: TempDir) -> Self {
        let woken = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(woken.registry(), Token(0)).unwrap());
        let rights: HashMap<_, _> =
            users.iter().map(|user| (user.as_bytes().to_vec(), Rights::default())).collect();
        let log = LogFile { name: "shop".to_owned(), path, log_format: Some("combined".to_owned()) };
        let (now, limits) = (Instant::now(), Limits { max_sessions: SESSIONS as u32, ..Limits::default() });
        let desk = Desk::new(&waker, rights, &[log], limits.ring, caps, now).unwrap();
        let mut place = Self { desk, visitors: Vec::new(), limits, now, woken, directory };
        while place.desk.logs.paths(0).next().is_none() {
            place.turn();
        }
        place.turn();
        place
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("shop.log")
    }

    /// A visitor of this user, whose windows are of so many bytes; the number of it.
    fn visit(&mut self, user: &'static str, window: u32) -> usize {
        let limits =
            ChannelLimits { channels_max: SESSIONS, window_size: window, window_max: window, growth_max: 0 };
        let mut pair = Pair::authenticated(Settings { limits, ..Settings::default() });
        pair.client.seen.clear();
        self.visitors.push(Visitor { user, pair });
        self.visitors.len() - 1
    }

    /// What the loop does when it is woken, or a time has come.
    fn turn(&mut self) {
        self.now += Duration::from_millis(50);
        self.desk.read(self.now);
        self.desk.report(self.now);
        self.desk.show(&mut self.visitors, self.now);
        self.desk.expire(&mut self.visitors, &self.limits, self.now);
        self.desk.draw(&mut self.visitors, self.now);
        self.desk.catch_up(&mut self.visitors, self.now);
        self.settle();
    }

    /// Bytes go both ways, until nothing moves.
    fn settle(&mut self) {
        while (0..self.visitors.len()).any(|visitor| self.round(visitor)) {}
    }

    fn round(&mut self, number: usize) -> bool {
        let Visitor { user, pair } = &mut self.visitors[number];
        let who = Who { user: user.as_bytes(), address: None };
        let Pair { client, server, up, down, .. } = pair;
        let mut moved = ship(&mut client.conn, up, usize::MAX) | receive(&mut server.input, up);
        loop {
            match server.conn.handle_input(&mut server.input, self.now).unwrap() {
                Step::Event(Event::Channel(id, event)) => {
                    let conn = &mut server.conn;
                    self.desk.event(&who, (peer(number), id), conn, event, &self.limits, self.now).unwrap();
                }
                Step::NeedInput | Step::NeedVerdict => break,
                _ => {}
            }
            moved = true;
        }
        while let Some(id) = server.conn.poll_writable() {
            self.desk.pump((peer(number), id), &mut server.conn, self.now).unwrap();
        }
        moved |= ship(&mut server.conn, down, usize::MAX) | receive(&mut client.input, down);
        moved | client.pull(self.now)
    }

    /// A session that asks for this, on a terminal of so many columns and rows if there is one; its channel at the client.
    fn ask(&mut self, visitor: usize, terminal: Option<(u32, u32)>, command: &str) -> ChannelId {
        let id = self.visitors[visitor].pair.client.conn.open_session().unwrap();
        self.settle();
        let mut channel = self.visitors[visitor].pair.client.conn.channel(id).unwrap();
        if let Some((columns, rows)) = terminal {
            let size = WindowSize { columns, rows, ..WindowSize::default() };
            channel.request_pty(b"xterm", size, &[0]).unwrap();
        }
        channel.request_exec(command.as_bytes()).unwrap();
        self.settle();
        id
    }

    fn say(&mut self, visitor: usize, id: ChannelId, bytes: &[u8]) {
        let mut channel = self.visitors[visitor].pair.client.conn.channel(id).unwrap();
        assert_eq!(channel.write(bytes), bytes.len());
        self.settle();
    }

    /// What all sessions of a visitor were told since this was asked the last time.
    fn told(&mut self, visitor: usize) -> Told {
        let mut told = Told::default();
        for seen in core::mem::take(&mut self.visitors[visitor].pair.client.seen) {
            match seen {
                Seen::Data(data) => told.out += core::str::from_utf8(&data).unwrap(),
                Seen::Stderr(data) => told.err += core::str::from_utf8(&data).unwrap(),
                Seen::Closed => told.is_closed = true,
                Seen::Request(request) => {
                    let status = request.strip_prefix("ExitStatus { exit_status: ");
                    let status = status.map(|status| status.trim_end_matches(" }").parse().unwrap());
                    told.status = status.or(told.status);
                }
                _ => {}
            }
        }
        told
    }

    /// What a session is told of which that is all that happens.
    fn answer(&mut self, visitor: usize, terminal: Option<(u32, u32)>, command: &str) -> Told {
        self.told(visitor);
        self.ask(visitor, terminal, command);
        self.told(visitor)
    }

    /// So many reports are waited for, and told.
    fn read_reports(&mut self, count: usize) {
        for _ in 0..count {
            let done = loop {
                match self.desk.jobs.done() {
                    Some(done) => break done,
                    None => self.woken.poll(&mut Events::with_capacity(1), None).unwrap(),
                }
            };
            let id = done.about;
            self.desk.reported(done);
            let conn = self.visitors.get(id.0).unwrap();
            self.desk.pump(id, conn, self.now).unwrap();
            self.settle();
        }
    }

    /// Hits of these resources are logged, and read.
    fn log_hits(&mut self, resources: impl Iterator<Item = String>) {
        let mut log = OpenOptions::new().append(true).open(self.log()).unwrap();
        let before = self.desk.logs.get(0).unwrap().records;
        let mut count = 0;
        for resource in resources {
            count += 1;
            log.write_all(hit(&resource).as_bytes()).unwrap();
        }
        while self.desk.logs.get(0).unwrap().records < before + count {
            self.turn();
        }
        self.turn();
    }

    /// What the metrics have of refusals for want of room.
    fn busy(&mut self, visitor: usize) -> u64 {
        let metrics = self.answer(visitor, None, "metrics").out;
        let line = metrics.lines().find(|line| line.contains("{reason=\"busy\"}")).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}

impl Drop for Place {
    /// So that no thread reads on.
    fn drop(&mut self) {
        (0..self.visitors.len()).for_each(|visitor| self.desk.disconnect(peer(visitor)));
    }
}

/// Three hits of one second are in the log, and ann is there.
fn place() -> (Place, usize) {
    let mut place = Place::new(&["ann"], Caps::default());
    let ann = place.visit("ann", WIDE);
    place.log_hits((0..3).map(|number| format!("/old{number}")));
    (place, ann)
}

fn append(place: &Place, text: &str) {
    let mut log = OpenOptions::new().append(true).create(true).open(place.log()).unwrap();
    log.write_all(text.as_bytes()).unwrap();
}

fn hit(resource: &str) -> String {
    format!(
        "203.0.113.7 - - [01/Mar/2026:12:00:00 +0000] \"GET {resource} HTTP/1.1\" 200 5 \"https://a.example/\" \"-\"\n"
    )
}
