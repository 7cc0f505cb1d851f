//! What a session shows, and how that goes to its channel: in the order of its states, as much as the channel takes.
//!
//! ```text
//!  None ──> Reading ──> CatchingUp ──> Watching ──> Ending ──> Over, once the channel is closed
//!      a report's files │ kept lines   │ a feed, or │ the last words and the status
//!                                     │ a dashboard
//! ```
//!
//! It does not know what a command is, nor who may see what.

use super::STOPPING;
use super::caps::Full;
use super::dash::Dash;
use super::feed::{Place, crlf};
use super::feeds::Feeds;
use super::logs::{Begun, Logs};
use super::receipts::Since;
use crate::connection::{ChannelId, Connection, WindowSize};
use crate::driver::{Error, PeerId};
use crate::transport::Server;
use crate::weblog::dashboard::{self, Look};
use crate::weblog::view::{End, Place as Origin, Run, View};
use core::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Bytes of finished reports that wait for one user's channels. With so many no more are begun, and of those that are being read
/// only one that is alone is told beyond.
pub const UNREAD_MAX: usize = 4 << 20;

/// Bytes of kept lines that wait for a channel.
const CATCH_UP_MAX: usize = 64 * 1024;

/// Kept lines that a session looks at in a turn of the loop, whether they are shown or not.
pub(super) const AGAIN_MAX: usize = 256;

/// What is said to whom no more reports are made.
pub(super) const UNREAD: &str =
    "other reports of yours are not read yet; read them, or end their sessions, first";

/// A longer value of a variable is taken for none (bytes).
pub(super) const VALUE_MAX: usize = 256;

/// Ended by Ctrl-C, as a shell says it.
pub(super) const INTERRUPTED: u32 = 130;

/// `--over` came true, as for `ssh-weblog`.
const ALERT: u32 = 3;

pub(super) type SessionId = (PeerId, ChannelId);

/// The name of a user, shared.
pub(super) type User = Arc<[u8]>;

/// A terminal at the client.
#[derive(Clone, Debug)]
pub(super) struct Terminal {
    /// As [`terminal_type`](crate::connection::terminal_type) leaves it.
    pub(super) term: String,
    pub(super) size: WindowSize,
}

/// When a session ends at the latest, and what it ends with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    pub(super) status: u32,
    pub(super) err: &'static str,
}

/// What is shown, of what.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) view: Arc<View>,
    /// Numbers of logs, growing.
    pub(super) logs: Vec<usize>,
    /// Lines go to a terminal.
    pub(super) crlf: bool,
    /// Until something comes true.
    pub(super) is_wait: bool,
}

impl Asked {
    /// What shows it, from the beginning.
    pub(super) fn run(&self) -> Run {
        let run = Run::new(Arc::clone(&self.view)).bounded();
        if self.is_wait { run.until_true() } else { run }
    }

    /// What sees files, one after the other. What an alert of several keeps may be tens of MiB: not for one that goes on.
    pub(super) fn run_of_files(&self) -> Run {
        let run = Run::new(Arc::clone(&self.view));
        if self.logs.len() > 1 && self.view.every().is_none() { run.of_several() } else { run }
    }
}

/// Kept lines that are shown before the feed.
pub(super) struct CatchUp {
    pub(super) asked: Asked,
    pub(super) run: Run,
    /// The logs, and the number of the next line of each.
    pub(super) at: Vec<(usize, u64)>,
    /// What a report has read of the files: older lines are in it already.
    pub(super) read: Vec<(Begun, u64)>,
    /// What receipts begin with.
    pub(super) since: Since,
    /// What the channel did not take yet.
    pub(super) pending: Vec<u8>,
    /// It has looked at as many lines as it may in a turn, and goes on in the next one: since then.
    pub(super) rests: Option<Instant>,
}

/// The last words.
#[derive(Debug, Default)]
pub(super) struct Ending {
    pub(super) out: Vec<u8>,
    pub(super) err: Vec<u8>,
    /// None if the server ends it: a client says 255 then.
    pub(super) status: Option<u32>,
    /// It waits for nobody: what the channel does not take at once is not said.
    pub(super) hurries: bool,
}

impl Ending {
    /// The server ends it, and says so here: OpenSSH's client is gone with its last channel, before DISCONNECT.
    fn stopped() -> Self {
        Self { err: format!("ssh-weblog-server: {STOPPING}\n").into_bytes(), ..Self::default() }
    }
}

pub(super) enum Activity {
    /// Nothing was asked for yet.
    None,
    /// A report is being read.
    Reading {
        asked: Asked,
        at: Vec<(usize, u64)>,
        since: Since,
        cancel: Arc<AtomicBool>,
    },
    CatchingUp(Box<CatchUp>),
    Watching {
        feed: usize,
        place: Place,
        is_wait: bool,
    },
    Dashboard(Box<Dash>),
    Ending(Ending),
    /// All is over; the client has not closed the channel yet.
    Over,
}

/// Bytes that wait for the channels of a user: of all, and the part of one.
pub(super) struct Unread {
    of_user: Rc<Cell<usize>>,
    own: usize,
    /// What there may be of all.
    max: usize,
}

impl Unread {
    /// Nothing waits for this one yet.
    pub(super) const fn new(of_user: Rc<Cell<usize>>, max: usize) -> Self {
        Self { of_user, own: 0, max }
    }

    fn set(&mut self, own: usize) {
        self.of_user.set(self.of_user.get() - self.own + own);
        self.own = own;
    }

    /// Whether so many bytes may wait beside what waits for the others.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let others = self.of_user.get() - self.own;
        others == 0 || others + bytes <= self.max
    }

    /// A report, if there is room for it; if not, a word of that goes to `err`.
    fn bound(&self, report: Vec<u8>, err: &mut Vec<u8>) -> Vec<u8> {
        if report.is_empty() || self.has_room(report.len()) {
            return report;
        }
        err.extend_from_slice(format!("ssh-weblog-server: {UNREAD}\n").as_bytes());
        Vec::new()
    }

    /// Whether something more may be begun that will have to wait.
    pub(super) fn is_full(&self) -> bool {
        self.of_user.get() >= self.max
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A session channel.
pub(super) struct Session {
    pub(super) user: User,
    pub(super) unread: Unread,
    pub(super) terminal: Option<Terminal>,
    /// Variables that are set there.
    pub(super) env: HashMap<String, String>,
    pub(super) activity: Activity,
    /// The channel takes nothing now.
    pub(super) full: bool,
    /// What is to be said on standard error before anything is shown.
    pub(super) notes: Vec<u8>,
    pub(super) deadline: Option<Deadline>,
    /// When something was written to it, or came, the last time.
    pub(super) active: Instant,
    /// It ends when everything is written that there is now.
    pub(super) is_last: bool,
    /// A command, a shell or a subsystem was asked for.
    pub(super) is_asked: bool,
}

impl Session {
    pub(super) fn new(user: &[u8], unread: Unread, now: Instant) -> Self {
        Self {
            user: user.into(),
            unread,
            terminal: None,
            env: HashMap::new(),
            activity: Activity::None,
            full: false,
            notes: Vec::new(),
            deadline: None,
            active: now,
            is_last: false,
            is_asked: false,
        }
    }

    /// What its terminal can show.
    pub(super) fn look(&self) -> Look {
        let term = self.terminal.as_ref().map(|terminal| &terminal.term);
        Look::of(|name| if name == "TERM" { term.cloned() } else { self.env.get(name).cloned() })
    }

    /// What is done where nothing is asked for.
    pub(super) fn default_command(&self) -> &'static [u8] {
        match &self.terminal {
            Some(terminal) if terminal.term != "dumb" => b"dashboard",
            _ => b"tail",
        }
    }

    /// Whether something is shown on it, or its client has not said that it has everything.
    pub(super) const fn is_busy(&self) -> bool {
        !matches!(self.activity, Activity::None)
    }

    /// Whether it has not come to its last words.
    pub(super) const fn goes_on(&self) -> bool {
        !matches!(self.activity, Activity::Ending(_) | Activity::Over)
    }

    /// Its deadline, if it keeps it now: what was there when it began is read and shown to its end.
    pub(super) fn due(&self) -> Option<Deadline> {
        let is_behind = matches!(self.activity, Activity::Reading { .. } | Activity::CatchingUp(_));
        self.deadline.filter(|_| self.goes_on() && !is_behind)
    }

    /// What it shows beside all feeds.
    pub(super) fn shows_alone(&self) -> Option<&Asked> {
        match &self.activity {
            Activity::Dashboard(dash) => Some(&dash.asked),
            Activity::CatchingUp(catch_up) => Some(&catch_up.asked),
            _ => None,
        }
    }

    /// Whether its channel is closed here.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.activity, Activity::Over)
    }

    /// Whether it ends when nothing is written to it for long: it is not being worked for. A dashboard that is not changed by
    /// anything is looked at, unless its channel takes nothing.
    pub(super) const fn is_idle_bound(&self) -> bool {
        match self.activity {
            Activity::None
            | Activity::Watching { .. }
            | Activity::CatchingUp(_)
            | Activity::Ending(Ending { hurries: false, .. }) => true,
            Activity::Dashboard(_) => self.full,
            Activity::Reading { .. } | Activity::Ending(_) | Activity::Over => false,
        }
    }

    /// Takes a variable that its client sets, if it is one of those that [`Look::of`] asks for.
    pub(super) fn set_variable(&mut self, name: &[u8], value: &[u8]) {
        let asked: [&[u8]; 4] = [b"NO_COLOR", b"LC_ALL", b"LC_CTYPE", b"LANG"];
        if asked.contains(&name) && value.len() <= VALUE_MAX {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            self.env.insert(text(name), text(value));
        }
    }

    /// Counts the bytes of a report, or of another answer, that its channel did not take yet.
    pub(super) fn count_unread(&mut self) {
        let answer = match &self.activity {
            Activity::CatchingUp(catch_up) => catch_up.pending.len(),
            Activity::Ending(ending) => ending.out.len() + ending.err.len(),
            _ => 0,
        };
        self.unread.set(answer + self.notes.len());
    }

    /// Since when it goes on with lines that are kept, if its channel takes more.
    pub(super) fn rests(&self) -> Option<Instant> {
        match &self.activity {
            Activity::CatchingUp(catch_up) if !self.full => catch_up.rests,
            _ => None,
        }
    }

    /// Whether it goes through kept lines with something of its own, as large as that of a feed.
    pub(super) fn catches_up_alone(&self) -> bool {
        matches!(&self.activity, Activity::CatchingUp(catch_up) if catch_up.run.is_private())
    }

    /// Says its last words next, whatever it does now: before them a report, if one was asked for and its user has read others.
    /// A dashboard gives the terminal back before.
    pub(super) fn end(&mut self, feeds: &mut Feeds, logs: &Logs, mut ending: Ending) {
        let report = match &self.activity {
            Activity::Watching { feed, .. } => feeds.get(*feed).map(|feed| feed.last_report(logs)),
            Activity::CatchingUp(catch_up) => Some(catch_up.last_report(logs)),
            Activity::Dashboard(dash) => Some(dash.last_report(logs)),
            _ => None,
        };
        let mut report = self.unread.bound(report.unwrap_or_default(), &mut ending.err);
        self.leave(feeds);
        if let Activity::Dashboard(dash) = core::mem::replace(&mut self.activity, Activity::None) {
            let (why, out) = dash.into_last_words(&report);
            report = out;
            ending.status = why.map_or(ending.status, |why| Some(status(why, false)));
        }
        report.append(&mut ending.out);
        ending.out = report;
        if self.terminal.is_some() {
            ending.err = crlf(&ending.err);
        }
        // From here on they wait no longer than the last words do.
        ending.err.splice(..0, self.notes.drain(..));
        self.activity = Activity::Ending(ending);
        self.count_unread();
    }

    /// A key has ended its dashboard.
    pub(super) fn end_dashboard(&mut self, end: dashboard::End, feeds: &mut Feeds, logs: &Logs) {
        self.end(feeds, logs, Ending { status: Some(end.status().into()), ..Ending::default() });
    }

    /// Watches and waits for nothing any more.
    pub(super) fn leave(&mut self, feeds: &mut Feeds) {
        match &self.activity {
            Activity::Watching { feed, place, .. } => feeds.leave(*feed, place, &self.user),
            Activity::Reading { cancel, .. } => cancel.store(true, Ordering::Relaxed),
            Activity::Dashboard(_) => return,
            Activity::None | Activity::CatchingUp(_) | Activity::Ending(_) | Activity::Over => {}
        }
        self.activity = Activity::None;
    }

    /// Watches from now on. There is a feed of it already, or room for one; if there is none, it ends.
    pub(super) fn watch(&mut self, feeds: &mut Feeds, asked: &Asked, run: Run, since: Since, records: usize) {
        self.activity = match feeds.join(&self.user, asked, run, since, records) {
            Ok((feed, place)) => Activity::Watching { feed, place, is_wait: asked.is_wait },
            Err(why) => {
                let mut err = no_room(why);
                if asked.crlf {
                    err = crlf(&err);
                }
                Activity::Ending(Ending { err, status: Some(1), ..Ending::default() })
            }
        };
    }

    /// Writes what there is, as much as the channel takes, and of the kept lines as many as go into a turn.
    pub(super) fn pump(
        &mut self,
        conn: &mut Connection<Server>,
        id: ChannelId,
        feeds: &mut Feeds,
        logs: &Logs,
        now: Instant,
    ) -> Result<(), Error> {
        let pumped = self.write_all(conn, id, feeds, logs, now);
        self.count_unread();
        pumped
    }

    fn write_all(
        &mut self,
        conn: &mut Connection<Server>,
        id: ChannelId,
        feeds: &mut Feeds,
        logs: &Logs,
        now: Instant,
    ) -> Result<(), Error> {
        let mut channel = conn.channel(id)?;
        let mut again = AGAIN_MAX;
        loop {
            self.full = false;
            if !self.notes.is_empty() {
                let taken = channel.write_stderr(&self.notes);
                self.notes.drain(..taken.min(self.notes.len()));
                self.full = !self.notes.is_empty();
                if self.full {
                    return Ok(());
                }
            }
            match &mut self.activity {
                Activity::None | Activity::Over => return Ok(()),
                Activity::Reading { .. } if self.is_last => self.end(feeds, logs, Ending::stopped()),
                Activity::Reading { .. } => return Ok(()),
                Activity::Dashboard(_) if self.is_last => self.end(feeds, logs, Ending::stopped()),
                Activity::Watching { feed, place, is_wait } => {
                    let Some(feed) = feeds.get_mut(*feed) else { return Ok(()) };
                    let mut count = 0;
                    self.full = !feed.offer(place, |bytes| {
                        let taken = channel.write(bytes);
                        count += taken;
                        taken
                    });
                    if count > 0 {
                        self.active = now;
                    }
                    match feed.end() {
                        Some((why, err)) if !self.full => {
                            let ending = Ending {
                                out: Vec::new(),
                                err: err.to_vec(),
                                status: Some(status(why, *is_wait)),
                                hurries: false,
                            };
                            self.end(feeds, logs, ending);
                        }
                        None if !self.full && self.is_last => self.end(feeds, logs, Ending::stopped()),
                        _ => return Ok(()),
                    }
                }
                Activity::Dashboard(dash) => {
                    let mut count = 0;
                    self.full = !dash.offer(now, |bytes| {
                        let taken = channel.write(bytes);
                        count += taken;
                        taken
                    });
                    if count > 0 {
                        self.active = now;
                    }
                    return Ok(());
                }
                Activity::CatchingUp(catch_up) => {
                    catch_up.rests = None;
                    let taken = channel.write(&catch_up.pending);
                    catch_up.pending.drain(..taken.min(catch_up.pending.len()));
                    if taken > 0 {
                        self.active = now;
                    }
                    if !catch_up.pending.is_empty() {
                        self.full = true;
                        return Ok(());
                    }
                    if let Some(why) = catch_up.run.end() {
                        let mut ending =
                            Ending { status: Some(status(why, catch_up.asked.is_wait)), ..Ending::default() };
                        catch_up.run.finish(&mut ending.out, &mut ending.err);
                        let report = self.unread.bound(catch_up.last_report(logs), &mut ending.err);
                        if catch_up.asked.crlf {
                            (ending.out, ending.err) = (crlf(&ending.out), crlf(&ending.err));
                        }
                        ending.out.extend_from_slice(&report);
                        self.activity = Activity::Ending(ending);
                    } else if again == 0 {
                        catch_up.rests = Some(now);
                        return Ok(());
                    } else if !catch_up.go_on(logs, &mut again) {
                        let Activity::CatchingUp(catch_up) =
                            core::mem::replace(&mut self.activity, Activity::None)
                        else {
                            return Ok(());
                        };
                        let CatchUp { asked, run, since, .. } = *catch_up;
                        self.watch(feeds, &asked, run, since, logs.ring());
                    }
                }
                Activity::Ending(ending) => {
                    let mut taken = channel.write(&ending.out);
                    ending.out.drain(..taken.min(ending.out.len()));
                    if ending.out.is_empty() {
                        let of_err = channel.write_stderr(&ending.err);
                        ending.err.drain(..of_err.min(ending.err.len()));
                        taken += of_err;
                    }
                    if taken > 0 {
                        self.active = now;
                    }
                    if !(ending.hurries || ending.out.is_empty() && ending.err.is_empty()) {
                        self.full = true;
                        return Ok(());
                    }
                    if let Some(status) = ending.status {
                        channel.send_exit_status(status)?;
                    }
                    channel.send_eof()?;
                    channel.close()?;
                    self.activity = Activity::Over;
                    return Ok(());
                }
            }
        }
    }
}

/// What is said where there is no room for another feed.
pub(super) fn no_room(why: Full) -> Vec<u8> {
    let why = match why {
        Full::All => "too many different views at once; come again later".to_owned(),
        Full::OfUser(max) => format!(
            "{max} different views of yours at once are as many as there may be; end one of them first"
        ),
    };
    format!("ssh-weblog-server: {why}\n").into_bytes()
}

/// The status of a session that ends by itself.
pub(super) const fn status(why: End, is_wait: bool) -> u32 {
    match why {
        End::Alert if !is_wait => ALERT,
        End::Alert | End::Stop | End::True => 0,
        End::Slow => 1,
    }
}

impl CatchUp {
    /// The report so far; nothing if none was asked for.
    fn last_report(&self, logs: &Logs) -> Vec<u8> {
        let mut out = Vec::new();
        self.run.report(&self.since.receipts(logs, &self.asked.logs), &mut out);
        if self.asked.crlf { crlf(&out) } else { out }
    }

    /// Shows more of the kept lines, `left` at the most; false if there are none.
    fn go_on(&mut self, logs: &Logs, left: &mut usize) -> bool {
        let Self { asked, run, at, read, since, pending, .. } = self;
        for (log, seq) in at {
            let first = logs.range(*log).0;
            if (1..first).contains(seq) {
                // They came, and are not kept any more.
                asked.view.show_skipped(Some(first - *seq), pending);
                logs.skip(*log, first - *seq);
                *seq = first;
            }
            let before = *seq;
            *seq = logs.again(*log, *seq, |name, seq, line, record, kept| {
                if read.iter().all(|(begun, end)| kept.is_behind(begun.file, begun.generation, *end)) {
                    run.line(Origin { source: name, seq: Some(seq) }, line, record, pending);
                    since.again(*log, seq, kept.file, line.bytes);
                }
                *left -= 1;
                *left > 0 && pending.len() < CATCH_UP_MAX && run.end().is_none()
            });
            if asked.crlf {
                *pending = crlf(pending);
            }
            if *seq > before || !pending.is_empty() {
                return true;
            }
        }
        false
    }
}
