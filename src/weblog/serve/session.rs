//! What a session shows, and how that goes to its channel: in the order of its states, as much as the channel takes.
//!
//! ```text
//!  None ──> Reading ──> CatchingUp ──> Watching ──> Ending ──> Over, once the channel is closed
//!      a report's files │ kept lines   │ a feed, or │ the last words and the status
//!                                     │ a dashboard
//! ```
//!
//! It does not know what a command is, nor who may see what.

use super::caps::Full;
use super::dash::Dash;
use super::feed::Place;
use super::feeds::Feeds;
use super::logs::{Begun, Logs};
use super::receipts::Since;
use crate::connection::{ChannelId, Connection, WindowSize};
use crate::driver::{Error, PeerId};
use crate::transport::Server;
use crate::weblog::dashboard::Look;
use crate::weblog::view::{End, Place as Origin, Run, View};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Bytes of finished reports that wait for one user's channels. With so many no more are begun, and of those that are being read
/// only one that is alone is told beyond.
pub const UNREAD_MAX: usize = 4 << 20;

/// Bytes of kept lines that wait for a channel.
const CATCH_UP_MAX: usize = 64 * 1024;

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
    pub(super) term: Vec<u8>,
    pub(super) size: WindowSize,
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
        let run = Run::new(Arc::clone(&self.view));
        if self.is_wait { run.until_true() } else { run }
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

/// A session channel.
pub(super) struct Session {
    pub(super) user: User,
    pub(super) terminal: Option<Terminal>,
    /// Variables that are set there.
    pub(super) env: HashMap<String, String>,
    pub(super) activity: Activity,
    /// The channel takes nothing now.
    pub(super) full: bool,
    /// It ends then.
    pub(super) deadline: Option<Instant>,
    /// When something was written to it, or came, the last time.
    pub(super) active: Instant,
    /// It ends when everything is written that there is now.
    pub(super) is_last: bool,
    /// A command, a shell or a subsystem was asked for.
    pub(super) is_asked: bool,
}

impl Session {
    pub(super) fn new(user: &[u8], now: Instant) -> Self {
        Self {
            user: user.into(),
            terminal: None,
            env: HashMap::new(),
            activity: Activity::None,
            full: false,
            deadline: None,
            active: now,
            is_last: false,
            is_asked: false,
        }
    }

    /// What its terminal can show.
    pub(super) fn look(&self) -> Look {
        let term =
            self.terminal.as_ref().map(|terminal| String::from_utf8_lossy(&terminal.term).into_owned());
        Look::of(|name| if name == "TERM" { term.clone() } else { self.env.get(name).cloned() })
    }

    /// What is done where nothing is asked for.
    pub(super) fn default_command(&self) -> &'static [u8] {
        match &self.terminal {
            Some(terminal) if terminal.term != b"dumb" => b"dashboard",
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

    /// Bytes of a report, or of another answer, that its channel did not take yet.
    pub(super) fn unread(&self) -> usize {
        match &self.activity {
            Activity::CatchingUp(catch_up) => catch_up.pending.len(),
            Activity::Ending(ending) => ending.out.len(),
            _ => 0,
        }
    }

    /// Says its last words next, whatever it does now: before them a report, if one was asked for. A dashboard gives the terminal
    /// back before.
    pub(super) fn end(&mut self, feeds: &mut Feeds, logs: &Logs, mut ending: Ending) {
        let mut before = match &self.activity {
            Activity::Watching { feed, .. } => feeds.get(*feed).map(|feed| feed.last_report(logs)),
            Activity::CatchingUp(catch_up) => Some(catch_up.last_report(logs)),
            _ => None,
        };
        self.leave(feeds);
        if let Activity::Dashboard(dash) = core::mem::replace(&mut self.activity, Activity::None) {
            let (why, out) = dash.into_last_words(logs);
            before = Some(out);
            ending.status = why.map_or(ending.status, |why| Some(status(why, false)));
        }
        if let Some(mut out) = before {
            out.append(&mut ending.out);
            ending.out = out;
        }
        self.activity = Activity::Ending(ending);
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
                    err = super::feed::crlf(&err);
                }
                Activity::Ending(Ending { err, status: Some(1), ..Ending::default() })
            }
        };
    }

    /// Writes what there is, as much as the channel takes.
    pub(super) fn pump(
        &mut self,
        conn: &mut Connection<Server>,
        id: ChannelId,
        feeds: &mut Feeds,
        logs: &Logs,
        now: Instant,
    ) -> Result<(), Error> {
        let mut channel = conn.channel(id)?;
        loop {
            self.full = false;
            match &mut self.activity {
                Activity::None | Activity::Over => return Ok(()),
                Activity::Reading { .. } if self.is_last => self.end(feeds, logs, Ending::default()),
                Activity::Reading { .. } => return Ok(()),
                Activity::Dashboard(_) if self.is_last => self.end(feeds, logs, Ending::default()),
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
                        None if !self.full && self.is_last => self.end(feeds, logs, Ending::default()),
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
                        if catch_up.asked.crlf {
                            ending.out = super::feed::crlf(&ending.out);
                        }
                        ending.out.extend_from_slice(&catch_up.last_report(logs));
                        self.activity = Activity::Ending(ending);
                    } else if !catch_up.go_on(logs) {
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

const fn status(why: End, is_wait: bool) -> u32 {
    match why {
        End::Alert if !is_wait => ALERT,
        End::Alert | End::Stop | End::True => 0,
    }
}

impl CatchUp {
    /// The report so far; nothing if none was asked for.
    fn last_report(&self, logs: &Logs) -> Vec<u8> {
        let mut out = Vec::new();
        self.run.report(&self.since.receipts(logs, &self.asked.logs), &mut out);
        if self.asked.crlf { super::feed::crlf(&out) } else { out }
    }

    /// Shows more of the kept lines; false if there are none.
    fn go_on(&mut self, logs: &Logs) -> bool {
        let Self { asked, run, at, read, since, pending } = self;
        for (log, seq) in at {
            let before = *seq;
            *seq = logs.again(*log, *seq, |name, seq, line, record, kept| {
                if read.iter().all(|(begun, end)| kept.is_behind(begun.file, begun.generation, *end)) {
                    run.line(Origin { source: name, seq: Some(seq) }, line, record, pending);
                    since.again(*log, seq, kept.file, line.bytes);
                }
                pending.len() < CATCH_UP_MAX && run.end().is_none()
            });
            if asked.crlf {
                *pending = super::feed::crlf(pending);
            }
            if *seq > before {
                return true;
            }
        }
        false
    }
}
