//! The sessions of all users: what they ask for, and what they may have of it.
//!
//! It does not know how somebody logs in, nor the process.

mod commands;

use super::audit;
use super::caps::Caps;
use super::command::{Ended, parse};
use super::feed::crlf;
use super::feeds::Feeds;
use super::jobs::{Done, Jobs};
use super::logs::Logs;
use super::metrics::{Metrics, Reason};
use super::session::{
    Activity, CatchUp, Ending, INTERRUPTED, Session, SessionId, Terminal, UNREAD, Unread, User, status,
};
use super::settings::{Limits, LogFile};
use super::tree::LogTree;
use super::users::Rights;
use crate::connection::{
    ADMINISTRATIVELY_PROHIBITED, ChannelEvent, ChannelId, ChannelType, Connection, RESOURCE_SHORTAGE,
    Request, terminal_type,
};
use crate::driver::sftp::{Sessions as SftpSessions, Tree};
use crate::driver::text::escaped;
use crate::driver::{Error, PeerId, Peers};
use crate::transport::Server;
use crate::weblog::view::Place as Origin;
use core::cell::Cell;
use core::time::Duration;
use mio::Waker;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// Ended by SIGTERM or by the end of the terminal, as a shell says it.
const TERMINATED: u32 = 143;

/// How often idle sessions are looked for at the least.
const IDLE_CHECK: Duration = Duration::from_secs(1);

/// Refusals that the audit log tells of one connection. What comes after them is counted only.
pub(super) const REFUSED_TOLD_MAX: u32 = 16;

/// What is said to who asks for it.
pub(super) const FORWARDING: &str = "nothing is forwarded here";

/// What is said to whom nothing was written for long.
const IDLE: &str = "ssh-weblog-server: idle for too long\n";

/// What Ctrl-C and Ctrl-D send.
const INTERRUPT: u8 = 3;
const END_OF_INPUT: u8 = 4;

/// Who a session is of.
pub(super) struct Who<'u> {
    pub(super) user: &'u [u8],
    pub(super) address: Option<SocketAddr>,
}

/// The connections of the peers.
pub(super) trait Connections {
    /// One that lives; it gets a turn for what it has to send then.
    fn get(&mut self, peer: PeerId) -> Option<&mut Connection<Server>>;
}

impl Connections for Peers<'_, Server> {
    fn get(&mut self, peer: PeerId) -> Option<&mut Connection<Server>> {
        Self::get(self, peer)
    }
}

pub(super) struct Desk {
    logs: Logs,
    rights: HashMap<Vec<u8>, Rights>,
    feeds: Feeds,
    /// Feeds with something new.
    fresh: Vec<usize>,
    sessions: HashMap<SessionId, Session>,
    /// The sessions of each peer.
    of_peer: HashMap<PeerId, Vec<ChannelId>>,
    /// Refusals of each peer that were told, at most [`REFUSED_TOLD_MAX`].
    refused_told: HashMap<PeerId, u32>,
    /// Sessions with a dashboard.
    dashboards: Vec<SessionId>,
    /// Sessions that go through lines that are kept.
    catching_up: Vec<SessionId>,
    /// Bytes of answers that wait for the channels of each user.
    unread: HashMap<User, Rc<Cell<usize>>>,
    /// Sessions with a deadline.
    timed: Vec<SessionId>,
    /// When those are looked for to which nothing was written.
    idle_check: Instant,
    jobs: Jobs<SessionId>,
    sftp: SftpSessions,
    caps: Caps,
    pub(super) metrics: Metrics,
    pub(super) connections: usize,
}

impl Desk {
    pub(super) fn new(
        waker: &Arc<Waker>,
        rights: HashMap<Vec<u8>, Rights>,
        files: &[LogFile],
        ring: usize,
        caps: Caps,
        now: Instant,
    ) -> io::Result<Self> {
        let mut desk = Self {
            logs: Logs::new(now, caps),
            rights: HashMap::new(),
            feeds: Feeds::new(caps.feeds),
            fresh: Vec::new(),
            sessions: HashMap::new(),
            of_peer: HashMap::new(),
            refused_told: HashMap::new(),
            dashboards: Vec::new(),
            catching_up: Vec::new(),
            unread: HashMap::new(),
            timed: Vec::new(),
            idle_check: now,
            jobs: Jobs::spawn(waker, caps.jobs)?,
            sftp: SftpSessions::new(Arc::clone(waker)),
            caps,
            metrics: Metrics::default(),
            connections: 0,
        };
        desk.set(rights, files, ring);
        Ok(desk)
    }

    /// Other rights and logs. What is shown goes on; it is of rights that were.
    pub(super) fn set(&mut self, rights: HashMap<Vec<u8>, Rights>, files: &[LogFile], ring: usize) {
        let caps = self.caps.of_users(rights.len());
        (self.feeds.share, self.jobs.share) = (caps.feeds, caps.jobs);
        self.rights = rights;
        self.logs.set(files, ring);
    }

    pub(super) fn descriptor(&self) -> Option<RawFd> {
        self.logs.descriptor()
    }

    /// Reads what is new in the logs. Whether there is something to show, and when the logs want another turn.
    pub(super) fn read(&mut self, now: Instant) -> (bool, Option<Instant>) {
        let (feeds, fresh) = (&mut self.feeds, &mut self.fresh);
        let (dashboards, sessions, mut over) = (&self.dashboards, &mut self.sessions, Vec::new());
        let mut skipped: HashMap<usize, u64> = HashMap::new();
        let due = self.logs.read(now, |log, name, seq, line, record| {
            for (number, feed) in feeds.iter_mut() {
                let origin = Origin { source: name, seq: Some(seq) };
                let skip = |log, viewers| *skipped.entry(log).or_default() += viewers;
                if feed.push(log, origin, line, record, skip) && fresh.last() != Some(&number) {
                    fresh.push(number);
                }
            }
            for id in dashboards {
                let session = sessions.get_mut(id).map(|session| &mut session.activity);
                let Some(Activity::Dashboard(dash)) = session else { continue };
                let origin = Origin { source: name, seq: Some(seq) };
                if dash.asked.logs.binary_search(&log).is_ok() && dash.line(origin, line, record, now) {
                    over.push(*id);
                }
            }
        });
        for id in over {
            // Each is there as often as lines came behind its end.
            let session = self.sessions.get_mut(&id);
            if let Some(session) = session.filter(|session| session.goes_on()) {
                session.end(&mut self.feeds, &self.logs, Ending::default());
            }
        }
        skipped.into_iter().for_each(|(log, count)| self.logs.skip(log, count));
        (!self.fresh.is_empty(), due)
    }

    /// Reports that are due; whether there were some.
    pub(super) fn report(&mut self, now: Instant) -> bool {
        let mut any = false;
        for (number, feed) in self.feeds.iter_mut() {
            if feed.due.is_some_and(|due| due <= now) {
                feed.due = feed.run().view().every().map(|every| now + every);
                feed.report(&self.logs);
                self.fresh.push(number);
                any = true;
            }
        }
        any
    }

    /// Gives everyone what is new for him.
    pub(super) fn show(&mut self, peers: &mut impl Connections, now: Instant) {
        self.fresh.sort_unstable();
        self.fresh.dedup();
        let Self { sessions, feeds, logs, fresh, .. } = self;
        for (id, session) in sessions.iter_mut() {
            let is_fresh = match &session.activity {
                Activity::Watching { feed, .. } => fresh.binary_search(feed).is_ok(),
                _ => false,
            };
            if is_fresh
                && !session.full
                && let Some(conn) = peers.get(id.0)
            {
                // A connection that fails at that tells so in its own turn.
                let _ended = session.pump(conn, id.1, feeds, logs, now);
            }
        }
        self.fresh.clear();
    }

    /// Draws the dashboards that are due, and goes on with what was typed there.
    pub(super) fn draw(&mut self, peers: &mut impl Connections, now: Instant) {
        let Self { sessions, feeds, logs, dashboards, .. } = self;
        dashboards.retain(|id| {
            let Some(session) = sessions.get_mut(id) else { return false };
            let (goes_on, is_due) = match &mut session.activity {
                Activity::Dashboard(dash) if dash.due().is_some_and(|due| due <= now) => {
                    if let Some(end) = dash.go_on(now) {
                        session.end_dashboard(end, feeds, logs);
                    }
                    (true, true)
                }
                Activity::Dashboard(_) => (true, false),
                _ => (false, true),
            };
            if is_due
                && !session.full
                && let Some(conn) = peers.get(id.0)
            {
                let _ended = session.pump(conn, id.1, feeds, logs, now);
            }
            goes_on
        });
    }

    /// Goes on with the lines that are kept, for those who had their part of them in the turn before.
    pub(super) fn catch_up(&mut self, peers: &mut impl Connections, now: Instant) {
        let catching_up = core::mem::take(&mut self.catching_up);
        for id in catching_up {
            let Some(session) = self.sessions.get(&id) else { continue };
            if session.rests().is_some()
                && let Some(conn) = peers.get(id.0)
            {
                let _ended = self.pump(id, conn, now);
            }
            let session = self.sessions.get(&id);
            if session.is_some_and(|session| matches!(session.activity, Activity::CatchingUp(_))) {
                self.catching_up.push(id);
            }
        }
    }

    /// Whether a session goes on in the next turn.
    pub(super) fn rests(&self, id: &SessionId) -> bool {
        self.sessions.get(id).is_some_and(|session| session.rests().is_some())
    }

    /// The end has come: sessions close when everything is written that there is, and terminals are given back.
    pub(super) fn close(&mut self, peers: &mut impl Connections, now: Instant) {
        let Self { sessions, feeds, logs, .. } = self;
        for (id, session) in sessions {
            session.is_last = true;
            if let Some(conn) = peers.get(id.0) {
                let _ended = session.pump(conn, id.1, feeds, logs, now);
            }
        }
    }

    /// When something is due beside the logs.
    pub(super) fn due(&self, limits: &Limits) -> Option<Instant> {
        let reports = self.feeds.iter().filter_map(|feed| feed.due);
        let deadlines = self.timed.iter().filter_map(|id| Some(self.sessions.get(id)?.due()?.at));
        let idle = limits.idle.filter(|_| !self.sessions.is_empty()).map(|_| self.idle_check);
        let drawings = self.dashboards.iter().filter_map(|id| match &self.sessions.get(id)?.activity {
            Activity::Dashboard(dash) => dash.due(),
            _ => None,
        });
        let kept = self.catching_up.iter().filter_map(|id| self.sessions.get(id)?.rests());
        reports.chain(deadlines).chain(idle).chain(drawings).chain(kept).min()
    }

    /// Ends the sessions whose time is over.
    pub(super) fn expire(&mut self, peers: &mut impl Connections, limits: &Limits, now: Instant) {
        let Self { sessions, feeds, logs, metrics, timed, .. } = self;
        let mut over = Vec::new();
        timed.retain(|id| {
            let Some(session) = sessions.get(id).filter(|session| session.goes_on()) else { return false };
            let due = session.due().filter(|deadline| deadline.at <= now);
            over.extend(due.map(|deadline| (*id, deadline.err, deadline.status)));
            due.is_none()
        });
        if let Some(idle) = limits.idle.filter(|_| self.idle_check <= now) {
            // All are looked at, so not at every turn.
            self.idle_check = now + (idle / 4).min(IDLE_CHECK);
            let is_idle = |session: &Session| session.is_idle_bound() && session.active + idle <= now;
            let idle = sessions.iter().filter(|(_, session)| is_idle(session));
            let before = over.len();
            over.extend(idle.map(|(id, _)| (*id, IDLE, 1)));
            metrics.refuse(Reason::Idle, (over.len() - before) as u64);
        }
        for (id, err, status) in over {
            let Some(session) = sessions.get_mut(&id) else { continue };
            let (mut conn, went_on) = (peers.get(id.0), session.goes_on());
            if let Some(conn) = &mut conn {
                let _ended = session.pump(conn, id.1, feeds, logs, now);
            }
            if went_on && !session.goes_on() {
                continue; // it has come to its own end with that
            }
            // Nobody knows whether its channel will ever take what it ends with.
            let (err, hurries) = (err.into(), session.full);
            session.end(feeds, logs, Ending { out: Vec::new(), err, status: Some(status), hurries });
            if let Some(conn) = conn {
                let _ended = session.pump(conn, id.1, feeds, logs, now);
            }
        }
    }

    /// Whether a peer has sessions on which something is shown, or was and the client has not closed them.
    pub(super) fn is_busy(&self, peer: PeerId) -> bool {
        let of_peer = self.of_peer.get(&peer).into_iter().flatten();
        of_peer.filter_map(|id| self.sessions.get(&(peer, *id))).any(Session::is_busy)
    }

    pub(super) fn pump(
        &mut self,
        id: SessionId,
        conn: &mut Connection<Server>,
        now: Instant,
    ) -> Result<(), Error> {
        self.sftp.pump(id, conn)?;
        let Some(session) = self.sessions.get_mut(&id) else { return Ok(()) };
        let pumped = session.pump(conn, id.1, &mut self.feeds, &self.logs, now);
        self.note_report(id, now);
        pumped
    }

    pub(super) fn disconnect(&mut self, peer: PeerId) {
        self.sftp.disconnect(peer);
        self.refused_told.remove(&peer);
        for id in self.of_peer.remove(&peer).unwrap_or_default() {
            if let Some(mut session) = self.sessions.remove(&(peer, id)) {
                session.leave(&mut self.feeds);
            }
        }
    }

    /// What was worked at beside the loop: files, and reports.
    pub(super) fn answered(&mut self, peers: &mut Peers<'_, Server>, now: Instant) {
        self.sftp.answered(peers);
        while let Some(done) = self.jobs.done() {
            let id = done.about;
            self.reported(done);
            if let Some(conn) = peers.get(id.0) {
                let _ended = self.pump(id, conn, now);
            }
        }
    }

    /// Somebody is not served with what he asks for.
    pub(super) fn refuse(&mut self, peer: PeerId, who: &Who<'_>, reason: Reason, why: &str) {
        self.metrics.refuse(reason, 1);
        self.tell_refused(peer, who, why);
    }

    /// A line of the audit log, as long as its peer has not had his part of it.
    fn tell_refused(&mut self, peer: PeerId, who: &Who<'_>, why: &str) {
        let told = self.refused_told.entry(peer).or_default();
        if *told == REFUSED_TOLD_MAX {
            return;
        }
        *told += 1;
        let why = match *told {
            REFUSED_TOLD_MAX => &format!("{why} (more of this connection are not told)"),
            _ => why,
        };
        audit::refused(who.address, Some(who.user), why, None);
    }

    /// The part of a new session in what waits for its user.
    fn unread_of(&mut self, user: &[u8]) -> Unread {
        let of_user = self.unread.entry(user.into()).or_default();
        Unread::new(Rc::clone(of_user), self.caps.unread)
    }

    /// A report was read: it is told next, if its user takes what he asked for.
    fn reported(&mut self, done: Done<SessionId>) {
        let Done { about: id, run, receipts, troubles, read, .. } = done;
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Activity::Reading { asked, at, since, .. } = &mut session.activity else { return };
        let (asked, at, mut since) = (asked.clone(), core::mem::take(at), core::mem::take(since));
        let waits = run.end().is_none() && asked.view.every().is_some();
        let waiting = if waits { "; waiting for it" } else { "" };
        let told = troubles.iter().map(|why| format!("ssh-weblog-server: {why}{waiting}\n"));
        let (mut text, mut err) = (Vec::new(), told.collect::<String>().into_bytes());
        run.finish(&mut text, &mut err);
        run.report(&receipts, &mut text);
        if asked.crlf {
            (text, err) = (crlf(&text), crlf(&err));
        }
        if !session.unread.has_room(text.len()) {
            self.metrics.refuse(Reason::Busy, 1);
            return self.say(id, 1, "", &Ended::failed(1, UNREAD).err);
        }
        session.activity = match run.end() {
            None if waits => {
                session.notes.append(&mut err);
                read.iter().for_each(|(begun, end)| since.read(begun.file, *end));
                let run = run.bounded();
                self.catching_up.push(id);
                let catch_up = CatchUp { asked, run, at, read, since, pending: text, rests: None };
                Activity::CatchingUp(Box::new(catch_up))
            }
            end => {
                let unread = u32::from(!troubles.is_empty());
                let status = Some(end.map_or(unread, |end| status(end, asked.is_wait)));
                Activity::Ending(Ending { out: text, err, status, hurries: false })
            }
        };
        session.count_unread();
    }

    /// A session may have begun to watch something that reports.
    fn note_report(&mut self, id: SessionId, now: Instant) {
        if let Some(Activity::Watching { feed, .. }) = self.sessions.get(&id).map(|session| &session.activity)
            && let Some(feed) = self.feeds.get_mut(*feed)
            && let Some(every) = feed.run().view().every()
        {
            feed.due.get_or_insert(now + every);
        }
    }

    /// Something happened on a channel.
    pub(super) fn event(
        &mut self,
        who: &Who<'_>,
        id: SessionId,
        conn: &mut Connection<Server>,
        event: ChannelEvent<'_>,
        limits: &Limits,
        now: Instant,
    ) -> Result<(), Error> {
        match event {
            ChannelEvent::OpenRequest { channel_type: ChannelType::Session } => {
                let of_peer = self.of_peer.entry(id.0).or_default();
                if of_peer.len() < usize::try_from(limits.max_sessions).unwrap_or(usize::MAX) {
                    of_peer.push(id.1);
                    let session = Session::new(who.user, self.unread_of(who.user), now);
                    self.sessions.insert(id, session);
                    conn.accept_channel(id.1)?;
                } else {
                    let why = "too many sessions on this connection";
                    self.refuse(id.0, who, Reason::MaxSessions, why);
                    conn.refuse_channel(id.1, RESOURCE_SHORTAGE, why)?;
                }
            }
            ChannelEvent::OpenRequest { .. } => {
                self.refuse(id.0, who, Reason::Request, FORWARDING);
                conn.refuse_channel(id.1, ADMINISTRATIVELY_PROHIBITED, FORWARDING)?;
            }
            ChannelEvent::Request { request, want_reply } => {
                let granted = self.request(who, id, conn, &request, limits, now);
                match request {
                    _ if granted => {}
                    // A client sends what it has; of files it is said where they are.
                    Request::Env { .. } | Request::Subsystem { subsystem_name: b"sftp" } => {
                        self.metrics.refuse(Reason::Request, 1);
                    }
                    _ => {
                        let what = escaped(request.request_type());
                        self.refuse(id.0, who, Reason::Request, &format!("{what}: not served here"));
                    }
                }
                if want_reply {
                    conn.channel(id.1)?.reply(granted)?;
                }
                self.pump(id, conn, now)?;
            }
            ChannelEvent::Data { data } if self.sftp.contains(&id) => {
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.active = now;
                }
                self.sftp.handle_data(id, conn, data)?;
            }
            ChannelEvent::Eof => self.sftp.handle_eof(id, conn)?,
            ChannelEvent::Data { data } => {
                conn.channel(id.1)?.adjust_window(data.len())?;
                let Some(session) = self.sessions.get_mut(&id) else { return Ok(()) };
                session.active = now;
                if let Activity::Dashboard(dash) = &mut session.activity {
                    if let Some(end) = dash.input(data, now) {
                        session.end_dashboard(end, &mut self.feeds, &self.logs);
                    }
                    return self.pump(id, conn, now);
                }
                let is_key = |key: &u8| matches!(*key, INTERRUPT | END_OF_INPUT);
                if session.terminal.is_some()
                    && let Some(key) = data.iter().copied().find(is_key)
                {
                    let status = if key == INTERRUPT { INTERRUPTED } else { 0 };
                    self.interrupt(id, conn, status, now)?;
                    self.pump(id, conn, now)?;
                }
            }
            ChannelEvent::Closed => {
                self.sftp.close(&id);
                if let Some(mut session) = self.sessions.remove(&id) {
                    session.leave(&mut self.feeds);
                }
                self.of_peer.entry(id.0).or_default().retain(|channel| *channel != id.1);
            }
            _ => {}
        }
        Ok(())
    }

    /// The client ends a session: what was read is shown before, as much as its channel takes.
    fn interrupt(
        &mut self,
        id: SessionId,
        conn: &mut Connection<Server>,
        status: u32,
        now: Instant,
    ) -> Result<(), Error> {
        self.pump(id, conn, now)?;
        if let Some(session) = self.sessions.get_mut(&id).filter(|session| !session.is_over()) {
            let ending = Ending { status: Some(status), ..Ending::default() };
            session.end(&mut self.feeds, &self.logs, ending);
        }
        Ok(())
    }

    /// Whether a request is granted; then it is being done.
    fn request(
        &mut self,
        who: &Who<'_>,
        id: SessionId,
        conn: &mut Connection<Server>,
        request: &Request<'_>,
        limits: &Limits,
        now: Instant,
    ) -> bool {
        let permissions = conn.permissions();
        let forced = permissions.and_then(|permissions| permissions.force_command.clone());
        let may_have_pty = permissions.is_some_and(|permissions| permissions.pty);
        let Some(session) = self.sessions.get_mut(&id) else { return false };
        session.active = now;
        let command = match *request {
            Request::PtyReq { term, size, .. } if may_have_pty && !session.is_asked => {
                session.terminal = Some(Terminal { term: terminal_type(term).to_owned(), size });
                return true;
            }
            Request::Env { name, value } => {
                let is_taken = matches!(name, b"TERM" | b"LANG" | b"NO_COLOR") || name.starts_with(b"LC_");
                session.set_variable(name, value);
                return is_taken;
            }
            Request::WindowChange { size } => {
                if let Some(terminal) = &mut session.terminal {
                    terminal.size = size;
                }
                if let Activity::Dashboard(dash) = &mut session.activity {
                    dash.resize(size);
                }
                return true;
            }
            Request::Signal { signal_name } => {
                let status = match signal_name {
                    b"INT" => INTERRUPTED,
                    b"TERM" | b"HUP" => TERMINATED,
                    _ => return false,
                };
                return self.interrupt(id, conn, status, now).is_ok();
            }
            Request::Shell | Request::Exec { .. } | Request::Subsystem { .. } if session.is_asked => {
                return false; // one for each session
            }
            Request::Shell => forced.unwrap_or_else(|| session.default_command().to_vec()),
            Request::Exec { command } => forced.unwrap_or_else(|| command.to_vec()),
            Request::Subsystem { .. } if forced.is_some() => forced.unwrap_or_default(),
            Request::Subsystem { subsystem_name: b"sftp" } => return self.serve_files(who, id),
            _ => return false,
        };
        session.is_asked = true;
        let is_shell = matches!(request, Request::Shell);
        audit::command(who.user, who.address, if is_shell { b"" } else { &command });
        if let Err(ended) = parse(&command).and_then(|command| self.run(who, id, command, limits, now)) {
            let Ended { status, out, err } = ended;
            self.say(id, status, &out, &err);
        }
        true
    }

    /// The files of a user's logs, if he may copy them.
    fn serve_files(&mut self, who: &Who<'_>, id: SessionId) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else { return false };
        session.is_asked = true;
        if !self.rights(who).sftp {
            self.tell_refused(id.0, who, "sftp: not for this user");
            return false;
        }
        audit::command(who.user, who.address, b"sftp");
        let his = self.find(who, &[]).unwrap_or_default();
        let files = his.iter().filter_map(|log| Some(Arc::clone(&self.logs.get(*log)?.files)));
        let tree = LogTree::new(files.collect()).copied_by(who.user, who.address);
        let tree: Arc<dyn Tree> = Arc::new(tree);
        self.sftp.start_tree(id, &tree);
        true
    }
}

#[cfg(test)]
mod tests;
