//! One connection from its login to its end: the loop's side of a copy.
//!
//! It carries bytes between the channel and the tasks, wakes them, and knows what a signal or a lost connection means; it does
//! not know what the tasks do.

use super::cat::{Cat, Job};
use super::limit::Limit;
use super::progress::Progress;
use super::remote::{FILES_MAX, Remote, Transfer};
use super::run::{Target, download, upload};
use super::work::{Manner, Work};
use super::{BROKEN_PIPE, FAILED, INTERRUPTED, NO_CONNECTION, TERMINATED};
use crate::connection::{ChannelEvent, ChannelId, Connection, Event, Request};
use crate::driver::login::{Login, Refused};
use crate::driver::options::Options;
use crate::driver::proxy::{self, Tell, Unreached};
use crate::driver::sftp::client::Token;
use crate::driver::stdio::{Descriptor, Output};
use crate::driver::task::{Permits, Tasks};
use crate::driver::terminal;
use crate::driver::text::{escaped, escaped_lines, excerpt, key_kind};
use crate::driver::{Application, Context, Driver, Error, PeerId, Peers, Source, SourceId};
use crate::sftp::{ClientChannel, ClientEvent};
use crate::tell;
use crate::transport::{self, Client};
use crate::wire::DisconnectReason;
use core::cell::Cell;
use mio::{Interest, Waker};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// What one connection is for.
pub(super) enum Errand {
    Down { sources: Vec<Vec<u8>>, target: Target },
    Up { sources: Vec<PathBuf>, path: Vec<u8> },
}

/// How it is done.
#[derive(Clone)]
pub(super) struct How {
    pub(super) manner: Manner,
    pub(super) limit: Option<u32>,
    pub(super) cat: bool,
    pub(super) quiet: bool,
    pub(super) verbose: bool,
    pub(super) umask: u32,
    pub(super) progress: Rc<Progress>,
}

enum Phase {
    /// No channel has been granted anything.
    Login,
    /// The server has not said its version.
    Starting(Box<ClientChannel<Token<Transfer>>>),
    Sftp(Rc<Work>),
    Cat(Box<Cat>),
}

struct Session {
    how: How,
    errand: Option<Errand>,
    host: String,
    login: Login,
    signals: Signals,
    signal_source: Option<SourceId>,
    peer: Option<PeerId>,
    channel: Option<ChannelId>,
    phase: Phase,
    tasks: Tasks,
    out: Option<Rc<Output>>,
    status: Option<u8>,
    done: bool,
}

/// Does an errand, and returns the exit status.
pub(super) fn run(options: &Options, errand: Errand, how: How) -> Result<u8, String> {
    let (quiet, verbose) = (how.quiet, how.verbose);
    let tell: Tell = Arc::new(move |text| {
        if !quiet {
            tell!("{text}");
        }
    });
    let (stream, _proxy) = match proxy::connect(options, verbose, &tell) {
        Ok(way) => way,
        Err(Unreached::Interrupted) => return Ok(INTERRUPTED),
        Err(Unreached::Failed(text)) => return Err(text),
    };
    let mut driver = Driver::with_waker(|waker| Session::new(options, errand, how, &waker))
        .map_err(|error| error.to_string())?;
    let conn = driver.app.login.connection(Instant::now());
    driver.app.tell_notices();
    driver
        .with(|app, cx, _| {
            app.signal_source = Some(cx.register(&mut app.signals, Interest::READABLE)?);
            Ok(())
        })
        .map_err(|error| error.to_string())?;
    driver.add(stream, conn, None).map_err(|error| error.to_string())?;
    let ended = driver.run();
    let app = driver.app;
    app.login.abort();
    // Whom a signal ends does not wait for a reader.
    let is_ended_at_once = matches!(app.status, Some(BROKEN_PIPE | INTERRUPTED | TERMINATED));
    if let Some(out) = app.out.as_ref().filter(|_| !is_ended_at_once) {
        out.finish();
        if let Some(error) = out.take_written().1 {
            return Ok(unwritten(&app.how.progress, &error));
        }
    }
    ended.map_err(|error| error.to_string())?;
    Ok(app.status.unwrap_or(NO_CONNECTION))
}

/// The exit status once standard output cannot be written: no word if nobody reads it, and the system's otherwise.
fn unwritten(progress: &Progress, error: &io::Error) -> u8 {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return BROKEN_PIPE;
    }
    progress.tell(&format!("ssh-weblog-cp: standard output: {error}"));
    FAILED
}

impl Session {
    fn new(options: &Options, errand: Errand, how: How, waker: &Arc<Waker>) -> io::Result<Self> {
        let to_standard = matches!(errand, Errand::Down { target: Target::Standard, .. });
        let out = to_standard.then(|| Output::spawn(Descriptor::Out, Arc::clone(waker))).transpose()?;
        terminal::leave_to_program(SIGTERM);
        Ok(Self {
            how,
            errand: Some(errand),
            host: escaped(options.host.as_bytes()),
            login: Login::new(options.clone(), Arc::clone(waker)).map_err(io::Error::other)?,
            signals: Signals::new([SIGINT, SIGTERM])?,
            signal_source: None,
            peer: None,
            channel: None,
            phase: Phase::Login,
            tasks: Tasks::default(),
            out: out.map(Rc::new),
            status: None,
            done: false,
        })
    }

    fn tell_notices(&mut self) {
        for notice in self.login.notices.drain(..).filter(|_| !self.how.quiet) {
            tell!("{}", escaped_lines(&notice));
        }
    }

    /// A text that is ours, with one of the peer's behind it, escaped.
    fn say(&self, what: &str) {
        self.how.progress.tell(&format!("ssh-weblog-cp: {}: {what}", self.host));
    }

    fn refused(&mut self, conn: &mut Connection<Client>, why: Refused) {
        self.tell_notices();
        self.end(conn, why.tell());
    }

    fn end(&mut self, conn: &mut Connection<Client>, status: u8) {
        self.status = Some(self.status.unwrap_or(status));
        conn.disconnect(DisconnectReason::BY_APPLICATION, "disconnected by user");
    }

    /// The server is ready.
    fn begin(&mut self, channel: ClientChannel<Token<Transfer>>) {
        let how = &self.how;
        let work = Rc::new(Work {
            remote: Remote::new(channel, how.limit.map(Limit::new)),
            starter: self.tasks.starter(),
            manner: how.manner,
            umask: how.umask,
            progress: Rc::clone(&how.progress),
            verbose: how.verbose,
            files: Permits::new(FILES_MAX),
            waiting: Cell::new(0),
            out: self.out.clone(),
            status: Cell::new(0),
        });
        if how.verbose {
            tell!("{}: via sftp", self.host);
        }
        match self.errand.take() {
            Some(Errand::Down { sources, target }) => {
                work.starter.start(download(Rc::clone(&work), sources, target));
            }
            Some(Errand::Up { sources, path }) => {
                work.starter.start(upload(Rc::clone(&work), sources, path));
            }
            None => {}
        }
        self.phase = Phase::Sftp(work);
    }

    /// There is no SFTP, or it is not wanted.
    fn fall_back(&mut self, conn: &mut Connection<Client>) -> Result<(), Error> {
        self.channel = None;
        if !self.how.cat {
            if self.how.manner.recursive {
                self.say("no sftp there, and without it nothing is copied with -r");
                self.end(conn, FAILED);
                return Ok(());
            }
            self.say("no sftp there; copying by cat instead");
        }
        let jobs = match self.errand.take() {
            Some(Errand::Down { sources, target }) => {
                sources.into_iter().map(|path| Job::Down { path, target: target.clone() }).collect()
            }
            Some(Errand::Up { sources, path })
                if sources.len() > 1 && !path.is_empty() && !path.ends_with(b"/") =>
            {
                let path = [path.as_slice(), b"/"].concat();
                sources.into_iter().map(|source| Job::Up { source, path: path.clone() }).collect()
            }
            Some(Errand::Up { sources, path }) => {
                sources.into_iter().map(|source| Job::Up { source, path: path.clone() }).collect()
            }
            None => Default::default(),
        };
        let progress = Rc::clone(&self.how.progress);
        self.phase = Phase::Cat(Box::new(Cat::new(jobs, self.out.clone(), self.how.umask, progress)));
        self.next_cat(conn)
    }

    /// Begins the next copy by `cat`, once the output of the last one is written: what is told of that is no credit of the
    /// next one's channel.
    fn next_cat(&mut self, conn: &mut Connection<Client>) -> Result<(), Error> {
        if let Some(out) = &self.out {
            if !out.is_written() {
                return Ok(());
            }
            if let Some(error) = out.take_written().1 {
                let status = unwritten(&self.how.progress, &error);
                self.end(conn, status);
                return Ok(());
            }
        }
        let Phase::Cat(cat) = &mut self.phase else { return Ok(()) };
        if cat.next() {
            cat.id = Some(conn.open_session()?);
        } else {
            let status = if cat.failed { FAILED } else { 0 };
            self.end(conn, status);
        }
        Ok(())
    }

    fn channel_event(
        &mut self,
        cx: &mut Context<'_>,
        conn: &mut Connection<Client>,
        id: ChannelId,
        event: ChannelEvent<'_>,
    ) -> Result<(), Error> {
        if let ChannelEvent::Stderr { data } = event {
            if !self.how.quiet {
                let text = data.strip_suffix(b"\n").unwrap_or(data);
                for line in text.split(|byte| *byte == b'\n') {
                    self.how.progress.tell(&format!("{}: {}", self.host, escaped(line)));
                }
            }
            conn.channel(id)?.adjust_window(data.len())?;
            return Ok(());
        }
        if let ChannelEvent::OpenFailure { description, .. } = event {
            self.say(&format!("no session {}", excerpt(description)));
            self.end(conn, NO_CONNECTION);
            return Ok(());
        }
        if let Phase::Cat(cat) = &mut self.phase
            && cat.id == Some(id)
        {
            match event {
                ChannelEvent::Opened => cat.start(&mut conn.channel(id)?)?,
                ChannelEvent::Reply { success: true } => cat.pump(&mut conn.channel(id)?)?,
                ChannelEvent::Reply { success: false } => {
                    cat.refused();
                    conn.channel(id)?.close()?;
                }
                ChannelEvent::Data { data } => {
                    let n = cat.data(data);
                    let mut channel = conn.channel(id)?;
                    channel.adjust_window(n)?;
                    if cat.has_failed() {
                        channel.close()?; // the rest would be of no use
                    }
                }
                ChannelEvent::Request { request: Request::ExitStatus { exit_status }, .. } => {
                    cat.exit_status(exit_status);
                }
                ChannelEvent::Closed => {
                    cat.closed();
                    self.next_cat(conn)?;
                }
                _ => {}
            }
            return Ok(());
        }
        if self.channel == Some(id) {
            return self.sftp_event(cx, conn, id, event);
        }
        Ok(())
    }

    fn sftp_event(
        &mut self,
        cx: &mut Context<'_>,
        conn: &mut Connection<Client>,
        id: ChannelId,
        event: ChannelEvent<'_>,
    ) -> Result<(), Error> {
        match (event, &mut self.phase) {
            (ChannelEvent::Opened, _) => conn.channel(id)?.request_subsystem(b"sftp")?,
            (ChannelEvent::Reply { success: true }, Phase::Login) => {
                let mut channel = ClientChannel::new(id);
                channel.flush(conn)?;
                self.phase = Phase::Starting(Box::new(channel));
            }
            (ChannelEvent::Reply { success: false }, _) => {
                conn.channel(id)?.close()?;
                self.fall_back(conn)?;
            }
            (ChannelEvent::Data { data }, Phase::Starting(channel)) => {
                let mut is_ready = false;
                let handled =
                    channel.handle_data(data, |_, event| is_ready |= matches!(event, ClientEvent::Ready));
                conn.channel(id)?.adjust_window(data.len())?;
                channel.flush(conn)?;
                if let Err(fault) = handled {
                    self.say(fault.description);
                    self.end(conn, NO_CONNECTION);
                } else if is_ready
                    && let Phase::Starting(channel) = core::mem::replace(&mut self.phase, Phase::Login)
                {
                    self.begin(*channel);
                    self.pump(cx, conn)?;
                }
            }
            (ChannelEvent::Data { data }, Phase::Sftp(work)) => {
                let handled = work.remote.handle_data(data);
                conn.channel(id)?.adjust_window(data.len())?;
                if let Err(fault) = handled {
                    self.say(fault.description);
                    self.end(conn, NO_CONNECTION);
                } else {
                    self.pump(cx, conn)?;
                }
            }
            // It was closed instead of granted, or it was granted and could not be started.
            (ChannelEvent::Closed, Phase::Login | Phase::Starting(_)) => self.fall_back(conn)?,
            (ChannelEvent::Eof, Phase::Starting(_)) => {
                conn.channel(id)?.close()?;
                self.fall_back(conn)?;
            }
            (ChannelEvent::Closed | ChannelEvent::Eof, Phase::Sftp(_)) if self.status.is_none() => {
                self.say("the sftp server there has ended");
                self.end(conn, NO_CONNECTION);
            }
            _ => {}
        }
        Ok(())
    }

    /// Runs the tasks as long as they have something to do or to ask.
    fn pump(&mut self, cx: &mut Context<'_>, conn: &mut Connection<Client>) -> Result<(), Error> {
        let Phase::Sftp(work) = &self.phase else { return Ok(()) };
        if conn.is_ended() {
            return Ok(());
        }
        let remote = &work.remote;
        remote.due.set(None);
        loop {
            let asked = remote.sftp.asked();
            self.tasks.run();
            remote.sftp.flush(conn)?;
            self.tasks.run();
            if remote.sftp.asked() == asked {
                break;
            }
        }
        cx.set_timer(remote.due.get());
        if self.tasks.is_empty() {
            let status = *self.status.get_or_insert(work.status.get());
            // As long as output waits for its reader, a signal is heard.
            if self.out.as_ref().is_none_or(|out| out.is_written()) {
                self.end(conn, status);
            }
        }
        Ok(())
    }
}

impl Application<Client> for Session {
    fn event(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Client>,
        event: Event<'_, Client>,
    ) -> Result<(), Error> {
        self.peer = Some(peer);
        let judged = match event {
            Event::Kex(question) => {
                if !self.how.quiet {
                    let fingerprint = question.key.fingerprint();
                    tell!("host key fingerprint: {fingerprint} ({}) {}", key_kind(&question.key), self.host);
                }
                self.login.judge(conn, question)
            }
            Event::Userauth(event) => self.login.userauth(conn, event),
            Event::Authenticated => {
                self.login.authenticated();
                if self.how.cat {
                    self.fall_back(conn)?;
                } else {
                    self.channel = Some(conn.open_session()?);
                }
                Ok(())
            }
            Event::Global(event) => {
                self.login.global(conn, event);
                Ok(())
            }
            Event::Channel(id, event) => return self.channel_event(cx, conn, id, event),
        };
        self.tell_notices();
        if let Err(why) = judged {
            self.refused(conn, why);
        }
        Ok(())
    }

    fn writable(
        &mut self,
        cx: &mut Context<'_>,
        _: PeerId,
        conn: &mut Connection<Client>,
        id: ChannelId,
    ) -> Result<(), Error> {
        match &mut self.phase {
            Phase::Starting(channel) if self.channel == Some(id) => Ok(channel.flush(conn)?),
            Phase::Cat(cat) if cat.id == Some(id) => Ok(cat.pump(&mut conn.channel(id)?)?),
            Phase::Sftp(_) if self.channel == Some(id) => self.pump(cx, conn),
            _ => Ok(()),
        }
    }

    fn disconnect(&mut self, _: &mut Context<'_>, _: PeerId, why: Result<(), Error>) {
        self.done = true;
        if self.status.is_some() {
            return;
        }
        let text = match why {
            Ok(()) => "the host closed the connection".to_owned(),
            Err(Error::Ssh(transport::Error::Disconnected { description, .. })) => {
                format!("the host ended the connection: {}", escaped(description.as_bytes()))
            }
            Err(error) => self.login.explain(&error),
        };
        self.say(&escaped_lines(&text));
        if matches!(self.phase, Phase::Sftp(_)) {
            self.how.progress.tell("What was copied in part is kept: --resume goes on with it.");
        }
    }

    fn source(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, Client>,
        source: Source,
    ) -> Result<(), Error> {
        let signal = match source {
            Source::Ready(_) => self.signals.pending().next(),
            _ => None,
        };
        let status = signal.map(|signal| if signal == SIGTERM { TERMINATED } else { INTERRUPTED });
        let Some(conn) = self.peer.and_then(|peer| peers.get(peer)) else {
            // Nothing was heard of the host yet: there is nobody to tell.
            if status.is_some() {
                self.done = true;
                self.status = status;
            }
            return Ok(());
        };
        if let Some(status) = status {
            self.status = Some(status);
            self.end(conn, status);
        }
        match source {
            Source::Ready(_) => {}
            Source::Timer => self.pump(cx, conn)?,
            Source::Woken => {
                if let Err(why) = self.login.answered(conn) {
                    self.refused(conn, why);
                }
                if let Some(out) = &self.out {
                    let (written, error) = out.take_written();
                    if let Some(error) = error {
                        let status = unwritten(&self.how.progress, &error);
                        self.status = Some(status);
                        self.end(conn, status);
                    } else if !conn.is_ended() {
                        match &self.phase {
                            Phase::Sftp(work) => work.remote.free(written),
                            Phase::Cat(cat) => match cat.id {
                                Some(id) => conn.channel(id)?.adjust_window(written)?,
                                None => self.next_cat(conn)?,
                            },
                            Phase::Login | Phase::Starting(_) => {}
                        }
                        self.pump(cx, conn)?;
                    }
                }
            }
        }
        self.tell_notices();
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.done
    }
}
