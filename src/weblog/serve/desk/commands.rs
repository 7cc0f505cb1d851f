//! What a command does, for whom it may.

use super::super::caps::Full;
use super::super::command::{Command, Ended, HELP, USAGE, duration};
use super::super::dash::Dash;
use super::super::feed::{Feed, crlf};
use super::super::jobs::Job;
use super::super::logs::open;
use super::super::metrics::{OfLog, Reason};
use super::super::receipts::Since;
use super::super::session::{
    Activity, Asked, CatchUp, Deadline, Ending, Session, SessionId, UNREAD, User, no_room,
};
use super::super::settings::Limits;
use super::super::users::Rights;
use super::{Desk, Logs, Who};
use crate::driver::text::{escaped, excerpt};
use crate::weblog::format::RecordParser;
use crate::weblog::options::{Show, ViewOptions};
use crate::weblog::view::{Destination, View};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Instant, SystemTime};

impl Desk {
    /// The last words of a session that has a terminal perhaps.
    pub(super) fn say(&mut self, id: SessionId, status: u32, out: &str, err: &str) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let out = match session.terminal {
            Some(_) => crlf(out.as_bytes()),
            None => out.as_bytes().to_vec(),
        };
        let ending = Ending { out, err: err.as_bytes().to_vec(), status: Some(status), hurries: false };
        session.end(&mut self.feeds, &self.logs, ending);
    }

    /// Does what a command asks for, or says how it ends.
    pub(super) fn run(
        &mut self,
        who: &Who<'_>,
        id: SessionId,
        command: Command,
        limits: &Limits,
        now: Instant,
    ) -> Result<(), Ended> {
        match command {
            Command::Help => self.say(id, 0, HELP, ""),
            Command::Metrics => {
                let text = self.metrics_for(who);
                self.say(id, 0, &text, "");
            }
            Command::Logs { json } => {
                let text = self.logs_for(who, json);
                self.say(id, 0, &text, "");
            }
            Command::Dashboard { mut view, logs } => {
                if view.show.is_some() || view.json || view.format.is_some() {
                    return Err(Ended::failed(USAGE, OWN_FORM));
                }
                view.dashboard = true;
                self.dashboard(who, id, &view, &logs, now)?;
            }
            Command::Tail { view, logs, .. } if view.dashboard => {
                self.dashboard(who, id, &view, &logs, now)?;
            }
            Command::Tail { view, after, logs } => {
                let logs = self.find(who, &logs)?;
                let begin = match (after, &*logs) {
                    (Some(seq), [log]) => Begin::After(*log, seq),
                    (Some(_), _) => {
                        return Err(Ended::failed(USAGE, "--after needs exactly one log; try help"));
                    }
                    (None, _) if !view.since.is_empty() => Begin::Kept,
                    (None, _) => Begin::Now,
                };
                let asked = self.asked(who, id, &view, logs, false)?;
                self.end_with_time(id, &asked, now);
                self.watch(id, asked, begin, limits)?;
            }
            Command::Wait { mut view, timeout, logs } => {
                if view.dashboard {
                    return Err(Ended::failed(USAGE, NO_DASHBOARD));
                }
                let timeout = timeout.map(|text| duration("--timeout", &text)).transpose()?;
                let timeout = timeout.and_then(|timeout| now.checked_add(timeout));
                if view.over.is_none() && !(view.show.is_some() || view.json || view.format.is_some()) {
                    view.show = Some(Show::Hits);
                }
                let logs = self.find(who, &logs)?;
                let asked = self.asked(who, id, &view, logs, true)?;
                // By then it has not come true either.
                let until = until(&asked, now);
                if let Some(at) = timeout.into_iter().chain(until).min() {
                    self.end_at(id, Deadline { at, status: 1, err: LATE });
                }
                self.watch(id, asked, Begin::Now, limits)?;
            }
            Command::Stats { mut view, logs } => {
                if view.show.is_some() || view.format.is_some() || view.dashboard {
                    return Err(Ended::failed(USAGE, NO_LINES));
                }
                view.stats = true;
                let logs = self.find(who, &logs)?;
                let asked = self.asked(who, id, &view, logs, false)?;
                self.end_with_time(id, &asked, now);
                self.read_report(id, asked)?;
            }
        }
        Ok(())
    }

    /// The session ends then, if not before.
    fn end_at(&mut self, id: SessionId, deadline: Deadline) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.deadline = Some(deadline);
            self.timed.push(id);
        }
    }

    /// The session ends when nothing passes any more.
    fn end_with_time(&mut self, id: SessionId, asked: &Asked, now: Instant) {
        if let Some(at) = until(asked, now) {
            self.end_at(id, Deadline { at, status: 0, err: "" });
        }
    }

    /// The rights of a user, who has all if nothing is said of him.
    pub(super) fn rights(&self, who: &Who<'_>) -> Rights {
        self.rights.get(who.user).cloned().unwrap_or_default()
    }

    /// The numbers of the logs that a user named, growing; all that are his if he named none.
    pub(super) fn find(&self, who: &Who<'_>, names: &[String]) -> Result<Vec<usize>, Ended> {
        let rights = self.rights(who);
        let his = |name: &str| rights.logs.as_ref().is_none_or(|logs| logs.iter().any(|log| log == name));
        let served = self.logs.served();
        let mut found = Vec::new();
        for name in names {
            let log = served.iter().find(|(_, log)| log.name == *name && his(&log.name));
            let (number, _) = log.ok_or_else(|| {
                let why =
                    format!("{}: no such log; logs names those that there are", excerpt(name.as_bytes()));
                Ended::failed(1, &why)
            })?;
            found.push(*number);
        }
        if names.is_empty() {
            found = served.iter().filter(|(_, log)| his(&log.name)).map(|(number, _)| *number).collect();
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// The view that is asked for, if it may be shown.
    fn asked(
        &mut self,
        who: &Who<'_>,
        id: SessionId,
        options: &ViewOptions,
        logs: Vec<usize>,
        is_wait: bool,
    ) -> Result<Asked, Ended> {
        let session = self.sessions.get(&id);
        let terminal = session.and_then(|session| session.terminal.as_ref());
        let coloured = terminal.is_some() && session.is_some_and(|session| session.look().coloured);
        let destination = Destination { escaped: true, coloured, names_sources: logs.len() > 1 };
        let rights = self.rights(who).view;
        // A report comes at the end of what is watched, too.
        let is_full = session.is_some_and(|session| session.unread.is_full());
        if (rights.reports() || options.reports()) && is_full {
            self.metrics.refuse(Reason::Busy, 1);
            return Err(Ended::failed(1, UNREAD));
        }
        let view = View::under(&rights, options, destination, SystemTime::now());
        let view = view.map_err(|why| Ended::failed(USAGE, &format!("{why}; try help")))?;
        let asked = Asked { view: Arc::new(view), logs, crlf: terminal.is_some(), is_wait };
        let notes = self.misfits(&asked);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.notes = if asked.crlf { crlf(notes.as_bytes()) } else { notes.into_bytes() };
        }
        Ok(asked)
    }

    /// What is to be said of logs whose format lacks what a view needs.
    fn misfits(&self, asked: &Asked) -> String {
        let misfit = |number: &usize| {
            let log = self.logs.get(*number)?;
            let of = |parser: &RecordParser| {
                asked.view.misfit(&log.name, parser.no_referrer(false), parser.has_host())
            };
            self.logs.parsers(*number).find_map(of)
        };
        asked.logs.iter().filter_map(misfit).map(|text| format!("ssh-weblog-server: {text}\n")).collect()
    }

    fn dashboard(
        &mut self,
        who: &Who<'_>,
        id: SessionId,
        options: &ViewOptions,
        names: &[String],
        now: Instant,
    ) -> Result<(), Ended> {
        let logs = self.find(who, names)?;
        let named = |log: &usize| self.logs.get(*log).map(|log| log.name.as_str());
        let title = logs.iter().filter_map(named).collect::<Vec<_>>().join(" ");
        let asked = self.asked(who, id, options, logs, false)?;
        let Some(Session { user, terminal, .. }) = self.sessions.get(&id) else { return Ok(()) };
        let Some(size) = terminal.as_ref().map(|terminal| terminal.size) else {
            return Err(Ended::failed(1, "the dashboard needs a terminal: ssh -t HOST dashboard"));
        };
        let user = User::clone(user);
        self.room_for_dashboard(&user).map_err(|why| {
            self.metrics.refuse(Reason::Busy, 1);
            let why = match why {
                Full::All => "too many dashboards at once".to_owned(),
                Full::OfUser(max) => format!("{max} dashboards of yours at once are as many as there may be"),
            };
            Ended::failed(1, &format!("{why}; the lines are there, too: ssh HOST tail"))
        })?;
        let since = self.since(&asked, Since::now);
        self.end_with_time(id, &asked, now);
        let Some(session) = self.sessions.get_mut(&id) else { return Ok(()) };
        let note = core::mem::take(&mut session.notes);
        let dash = Dash::new(asked, since, &title, &note, session.look(), size, now);
        session.activity = Activity::Dashboard(Box::new(dash));
        self.dashboards.push(id);
        Ok(())
    }

    /// Whether a user may have one more.
    fn room_for_dashboard(&mut self, user: &User) -> Result<(), Full> {
        let Self { dashboards, sessions, caps, rights, .. } = self;
        let of = |id: &SessionId| {
            let session = sessions.get(id)?;
            matches!(session.activity, Activity::Dashboard(_)).then_some(&session.user)
        };
        dashboards.retain(|id| of(id).is_some());
        let of_user = dashboards.iter().filter(|id| of(id) == Some(user)).count();
        caps.of_users(rights.len()).dashboards.fits(dashboards.len(), of_user)
    }

    /// Where receipts begin, if there is to be a report.
    fn since(&self, asked: &Asked, begin: impl Fn(&Logs, &[usize]) -> Since) -> Since {
        let reports = asked.view.options().reports();
        if reports { begin(&self.logs, &asked.logs) } else { Since::default() }
    }

    /// Whether a user may have one more view with something of its own, where those that go through kept lines count too.
    fn room_for_view(&mut self, user: &User) -> Result<(), Ended> {
        let alone = self.catching_up.iter().filter_map(|id| self.sessions.get(id));
        let users: Vec<_> = alone.filter(|session| session.catches_up_alone()).map(|s| &s.user).collect();
        let of_user = users.iter().filter(|other| **other == user).count();
        self.feeds.room(user, users.len(), of_user).map_err(|why| Ended {
            status: 1,
            out: String::new(),
            err: String::from_utf8_lossy(&no_room(why)).into(),
        })
    }

    fn watch(&mut self, id: SessionId, asked: Asked, begin: Begin, limits: &Limits) -> Result<(), Ended> {
        let since = self.since(&asked, Since::now);
        let run = asked.run();
        let user = self.sessions.get(&id).map(|session| User::clone(&session.user));
        if run.is_private()
            && !matches!(begin, Begin::Now)
            && let Some(user) = user
        {
            self.room_for_view(&user)?;
        }
        let Some(session) = self.sessions.get_mut(&id) else { return Ok(()) };
        let (at, pending) = match begin {
            Begin::Now => {
                session.watch(&mut self.feeds, &asked, run, since, limits.ring);
                return Ok(());
            }
            Begin::Kept => (asked.logs.iter().map(|log| (*log, 0)).collect(), Vec::new()),
            Begin::After(log, seq) => {
                let (first, next) = self.logs.range(log);
                let skipped = match seq.checked_add(1) {
                    Some(wanted) if (first..=next).contains(&wanted) => None,
                    Some(wanted) if wanted < first && wanted >= self.logs.begin(log) => {
                        Some(Some(first - wanted))
                    }
                    _ => Some(None), // numbers of another time
                };
                let mut pending = Vec::new();
                if let Some(count) = skipped {
                    asked.view.show_skipped(count, &mut pending);
                    self.logs.skip(log, count.unwrap_or(0));
                }
                if asked.crlf {
                    pending = crlf(&pending);
                }
                (vec![(log, if skipped.is_none() { seq + 1 } else { first })], pending)
            }
        };
        let catch_up = CatchUp { asked, run, at, read: Vec::new(), since, pending, rests: None };
        session.activity = Activity::CatchingUp(Box::new(catch_up));
        self.catching_up.push(id);
        Ok(())
    }

    fn read_report(&mut self, id: SessionId, asked: Asked) -> Result<(), Ended> {
        let Some(user) = self.sessions.get(&id).map(|session| User::clone(&session.user)) else {
            return Ok(());
        };
        if asked.view.every().is_some() {
            self.room_for_view(&user)?;
        }
        let named = |log: usize| self.logs.get(log).map(|log| log.name.clone()).unwrap_or_default();
        let files = asked.logs.iter().flat_map(|log| self.logs.paths(*log).map(|begun| (named(*log), begun)));
        let nothing = asked.logs.iter().filter(|log| self.logs.paths(**log).next().is_none());
        let troubles = nothing.map(|log| format!("{}: no file fits", escaped(named(*log).as_bytes())));
        let cancel = Arc::new(AtomicBool::new(false));
        let job = Job {
            about: id,
            user,
            run: asked.run_of_files(),
            files: files.collect(),
            troubles: troubles.collect(),
            cancel: Arc::clone(&cancel),
        };
        self.jobs.start(job).map_err(|why| {
            self.metrics.refuse(Reason::Busy, 1);
            let why = match why {
                Full::All => "too many reports are being read; come again later".to_owned(),
                Full::OfUser(max) => {
                    format!(
                        "{max} reports of yours are being read, as many as there may be; come again later"
                    )
                }
            };
            Ended::failed(1, &why)
        })?;
        let since = self.since(&asked, Since::beginning);
        let at = asked.logs.iter().map(|log| (*log, self.logs.range(*log).0)).collect();
        if let Some(session) = self.sessions.get_mut(&id) {
            session.activity = Activity::Reading { asked, at, since, cancel };
        }
        Ok(())
    }

    fn logs_for(&self, who: &Who<'_>, json: bool) -> String {
        let his = self.find(who, &[]).unwrap_or_default();
        let mut text = String::new();
        for (number, log) in self.logs.served() {
            if his.binary_search(&number).is_err() {
                continue;
            }
            let sizes = self.logs.paths(number).filter_map(|begun| open(&begun.path).ok());
            let size: u64 = sizes.map(|(_, size)| size).sum();
            text += &match json {
                true => format!("{}\n", serde_json::json!({ "name": log.name, "size": size })),
                false => format!("{} {size}\n", escaped(log.name.as_bytes())),
            };
        }
        text
    }

    fn metrics_for(&mut self, who: &Who<'_>) -> String {
        self.metrics.refuse(Reason::Busy, core::mem::take(&mut self.feeds.refused));
        let his = self.find(who, &[]).unwrap_or_default();
        let viewers = |number: usize| {
            let of_log = |feed: &&Feed| feed.logs().binary_search(&number).is_ok();
            let alone = self.sessions.values().filter_map(Session::shows_alone);
            let alone = alone.filter(|asked| asked.logs.binary_search(&number).is_ok()).count() as u64;
            self.feeds.iter().filter(of_log).map(Feed::viewers).sum::<u64>() + alone
        };
        let logs = his.iter().filter_map(|number| {
            let log = self.logs.get(*number)?;
            Some(OfLog { log, lag: self.logs.lag(*number), viewers: viewers(*number) })
        });
        self.metrics.write(self.connections, &logs.collect::<Vec<_>>())
    }
}

/// Ends what waits in vain.
const LATE: &str = "ssh-weblog-server: it did not come true in time\n";

/// Said to who wants to look on while he waits.
const NO_DASHBOARD: &str = "wait has no dashboard: write tail --dashboard; try help";

/// Said to who names another form for the dashboard.
const OWN_FORM: &str =
    "the dashboard has its own form: leave --show, --json and --format out, or write tail; try help";

/// Said to who asks for lines of a report.
const NO_LINES: &str =
    "a report has no lines: write tail --stats with --show, --format or --dashboard; try help";

/// When nothing passes any more, if it ever comes to that.
fn until(asked: &Asked, now: Instant) -> Option<Instant> {
    now.checked_add(asked.view.left(SystemTime::now())?)
}

/// Where a session begins to watch.
enum Begin {
    Now,
    /// With all lines that are kept.
    Kept,
    /// Behind the line of that number.
    After(usize, u64),
}
