//! `ssh-weblog`: logs in to a host, follows a log there, and shows its hits.

use super::format::RecordParser;
use super::lines::{Line, LineSplitter};
use super::view::{BYE, Place, Room, View};
use crate::connection::{ChannelEvent, ChannelId, Connection, Event, Request};
use crate::driver::login::{Login, Refused};
use crate::driver::options::Options;
use crate::driver::proxy::{self, Tell, Unreached};
use crate::driver::stdio::{Descriptor, Output};
use crate::driver::terminal;
use crate::driver::text::{escape, escaped, escaped_lines, key_kind};
use crate::driver::{Application, Context, Driver, Error, PeerId, Peers, Source, SourceId};
use crate::tell;
use crate::transport::{self, Client};
use crate::wire::DisconnectReason;
use mio::{Interest, Waker};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A source could not be read.
pub const UNREADABLE: u8 = 1;
/// Ctrl-C.
pub const INTERRUPTED: u8 = 130;
/// Nobody reads the output any more.
pub const BROKEN_PIPE: u8 = 141;
/// SIGTERM.
pub const TERMINATED: u8 = 143;
/// No connection, or no login.
pub const NO_CONNECTION: u8 = 255;

/// Above so much unwritten output (bytes) the host gets no credit for more lines.
const OUTPUT_MARK: usize = 256 * 1024;

/// What is watched, and how it is shown.
pub struct WatchOptions {
    /// Where to log in.
    pub connection: Options,
    /// The command there whose output is the log.
    pub command: String,
    /// What the source is called.
    pub source: String,
    /// What is shown.
    pub view: View,
    /// No fingerprint and no notices.
    pub quiet: bool,
    /// Tell of lines that are not understood.
    pub verbose: bool,
    /// The watch ends after this time.
    pub seconds: Option<u64>,
}

struct Watch {
    options: WatchOptions,
    login: Login,
    signals: Signals,
    signal_source: Option<SourceId>,
    until: Option<Instant>,
    peer: Option<PeerId>,
    channel: Option<ChannelId>,
    lines: LineSplitter,
    notices: LineSplitter,
    shown: Vec<u8>,
    out: Output,
    /// Bytes given to the output and not written yet.
    unwritten: usize,
    /// Bytes of the log whose credit waits for the output.
    credit: usize,
    malformed: u64,
    status: Option<u8>,
    done: bool,
}

/// Watches until the end, and returns the exit status.
///
/// # Errors
/// A text for the user; the status is then [`NO_CONNECTION`].
pub fn watch(options: WatchOptions) -> Result<u8, String> {
    terminal::guard().map_err(|error| error.to_string())?;
    let quiet = options.quiet;
    let tell: Tell = Arc::new(move |text| {
        if !quiet {
            tell!("{text}");
        }
    });
    let (stream, _proxy) = match proxy::connect(&options.connection, options.verbose, &tell) {
        Ok(way) => way,
        Err(Unreached::Interrupted) => return Ok(INTERRUPTED),
        Err(Unreached::Failed(text)) => return Err(text),
    };
    let mut driver = Driver::with_waker(|waker| Watch::new(options, &waker)).map_err(|e| e.to_string())?;
    let conn = driver.app.login.connection(Instant::now());
    driver.app.tell();
    driver.with(|app, cx, _| app.register(cx)).map_err(|error| error.to_string())?;
    driver.add(stream, conn, None).map_err(|error| error.to_string())?;
    let ended = driver.run();
    let app = driver.app;
    app.login.abort();
    if app.status != Some(BROKEN_PIPE) {
        app.out.finish();
    }
    if app.malformed > 0 && !app.options.quiet {
        tell!("{}: {} lines were not understood", escaped(app.options.source.as_bytes()), app.malformed);
    }
    ended.map_err(|error| error.to_string())?;
    Ok(app.status.unwrap_or(NO_CONNECTION))
}

impl Watch {
    fn new(options: WatchOptions, waker: &Arc<Waker>) -> io::Result<Self> {
        let login = Login::new(options.connection.clone(), Arc::clone(waker)).map_err(io::Error::other)?;
        Ok(Self {
            login,
            signals: {
                terminal::leave_to_program(SIGTERM);
                Signals::new([SIGINT, SIGTERM])?
            },
            signal_source: None,
            until: options.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds)),
            peer: None,
            channel: None,
            lines: LineSplitter::default(),
            notices: LineSplitter::default(),
            shown: Vec::new(),
            out: Output::spawn(Descriptor::Out, Arc::clone(waker))?,
            unwritten: 0,
            credit: 0,
            malformed: 0,
            status: None,
            done: false,
            options,
        })
    }

    fn register(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        self.signal_source = Some(cx.register(&mut self.signals, Interest::READABLE)?);
        cx.set_timer(self.until);
        Ok(())
    }

    fn tell(&mut self) {
        for notice in self.login.notices.drain(..).filter(|_| !self.options.quiet) {
            tell!("{}", escaped_lines(&notice));
        }
    }

    /// The login has ended; the connection tells the host.
    fn refused(&mut self, conn: &mut Connection<Client>, why: Refused) {
        self.tell();
        let status = match why {
            Refused::HostKey(text) | Refused::Denied(text) => {
                tell!("{}", escaped_lines(&text));
                NO_CONNECTION
            }
            Refused::Interrupted => INTERRUPTED,
        };
        self.end(conn, status);
    }

    fn end(&mut self, conn: &mut Connection<Client>, status: u8) {
        self.status = Some(self.status.unwrap_or(status));
        conn.disconnect(DisconnectReason::BY_APPLICATION, "disconnected by user");
    }

    fn channel_event(
        &mut self,
        conn: &mut Connection<Client>,
        id: ChannelId,
        event: ChannelEvent<'_>,
    ) -> Result<(), Error> {
        match event {
            ChannelEvent::Opened => {
                self.channel = Some(id);
                conn.channel(id)?.request_exec(self.options.command.as_bytes())?;
            }
            ChannelEvent::OpenFailure { description, .. } => {
                self.say("no session", description);
                self.end(conn, NO_CONNECTION);
            }
            ChannelEvent::Reply { success: false } => {
                self.say("the host runs no commands for this user", b"");
                self.end(conn, UNREADABLE);
            }
            ChannelEvent::Data { data } => {
                if self.take(data) {
                    self.end(conn, 0);
                    return Ok(());
                }
                self.credit += data.len();
                self.give_credit(conn)?;
            }
            ChannelEvent::Stderr { data } => {
                let (host, quiet) = (&self.options.connection.host, self.options.quiet);
                self.notices.push(data, |line| tell(host, &line, quiet));
                conn.channel(id)?.adjust_window(data.len())?;
            }
            ChannelEvent::Request { request: Request::ExitStatus { exit_status }, .. } => {
                if exit_status != 0 {
                    self.say(&format!("the command there ended with status {exit_status}"), b"");
                }
                self.status = self.status.or(Some(if exit_status == 0 { 0 } else { UNREADABLE }));
            }
            ChannelEvent::Request { request: Request::ExitSignal { signal_name, .. }, .. } => {
                self.say("the command there was ended by signal", signal_name);
                self.status = self.status.or(Some(UNREADABLE));
            }
            ChannelEvent::Closed => {
                self.channel = None;
                self.take_rest();
                self.end(conn, NO_CONNECTION);
            }
            _ => {}
        }
        Ok(())
    }

    fn say(&self, what: &str, peers_text: &[u8]) {
        let (host, text) = (escaped(self.options.connection.host.as_bytes()), escaped(peers_text));
        tell!("{}", format!("{host}: {what} {text}").trim_end());
    }

    /// Shows the lines in `data`; true if one of them ends the watch.
    fn take(&mut self, data: &[u8]) -> bool {
        let (options, shown, malformed) = (&self.options, &mut self.shown, &mut self.malformed);
        let mut stop = false;
        self.lines.push(data, |line| stop = stop || show(options, &line, shown, malformed));
        self.write_shown();
        stop
    }

    /// The last line, if its end never came.
    fn take_rest(&mut self) {
        let (options, shown, malformed) = (&self.options, &mut self.shown, &mut self.malformed);
        self.lines.finish(|line| {
            show(options, &line, shown, malformed);
        });
        self.write_shown();
    }

    fn write_shown(&mut self) {
        if !self.shown.is_empty() {
            self.out.push(&self.shown);
            self.unwritten += self.shown.len();
            self.shown.clear();
        }
    }

    fn give_credit(&mut self, conn: &mut Connection<Client>) -> Result<(), Error> {
        if let Some(id) = self.channel.filter(|_| self.unwritten < OUTPUT_MARK) {
            conn.channel(id)?.adjust_window(core::mem::take(&mut self.credit))?;
        }
        Ok(())
    }
}

/// Shows a line; true if it ends the watch.
fn show(options: &WatchOptions, line: &Line<'_>, shown: &mut Vec<u8>, malformed: &mut u64) -> bool {
    let record = RecordParser::default().parse(line.bytes).ok().flatten();
    if record.is_none() {
        *malformed += 1;
        let told = options.view.not_understood(&options.source, line);
        if let Some(text) = told.filter(|_| options.verbose) {
            tell!("{text}");
        }
    }
    let mut room = Room::default();
    let hit = record.as_ref().and_then(|record| options.view.hit(record, &mut room));
    let place = Place { source: &options.source, seq: None };
    options.view.show(place, line, hit.as_ref(), shown);
    let stop = record.as_ref().is_some_and(|record| options.view.is_stop(record));
    if stop {
        if options.view.is_json() {
            let _nobody_reads = io::stderr().write_all(BYE.as_bytes());
        } else {
            shown.extend_from_slice(BYE.as_bytes());
        }
    }
    stop
}

/// What the host says about the log.
fn tell(host: &str, line: &Line<'_>, quiet: bool) {
    if !quiet {
        let mut text = escaped(host.as_bytes()).into_bytes();
        text.extend_from_slice(b": ");
        escape(line.bytes, &mut text);
        text.push(b'\n');
        let _nobody_reads = io::stderr().write_all(&text);
    }
}

impl Application<Client> for Watch {
    fn event(
        &mut self,
        _: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Client>,
        event: Event<'_, Client>,
    ) -> Result<(), Error> {
        self.peer = Some(peer);
        let judged = match event {
            Event::Kex(question) => {
                if !self.options.quiet {
                    let (fingerprint, host) = (question.key.fingerprint(), &self.options.connection.host);
                    let host = escaped(host.as_bytes());
                    tell!("host key fingerprint: {fingerprint} ({}) {host}", key_kind(&question.key));
                }
                self.login.judge(conn, question)
            }
            Event::Userauth(event) => self.login.userauth(conn, event),
            Event::Authenticated => {
                self.login.authenticated();
                conn.open_session()?;
                Ok(())
            }
            Event::Global(event) => {
                self.login.global(conn, event);
                Ok(())
            }
            Event::Channel(id, event) => return self.channel_event(conn, id, event),
        };
        self.tell();
        if let Err(why) = judged {
            self.refused(conn, why);
        }
        Ok(())
    }

    fn disconnect(&mut self, _: &mut Context<'_>, _: PeerId, why: Result<(), Error>) {
        self.done = true;
        if self.status.is_some() {
            return;
        }
        let text = match why {
            Ok(()) => "the host closed the connection".to_owned(),
            Err(Error::Ssh(transport::Error::Disconnected { description, .. })) => {
                format!("the host ended the connection: {description}")
            }
            Err(error) => self.login.explain(&error),
        };
        self.say(&escaped_lines(&text), b"");
    }

    fn source(
        &mut self,
        _: &mut Context<'_>,
        peers: &mut Peers<'_, Client>,
        source: Source,
    ) -> Result<(), Error> {
        let Some(conn) = self.peer.and_then(|peer| peers.get(peer)) else {
            // Nothing was heard of the host yet: there is nobody to tell.
            if source != Source::Woken {
                self.done = true;
                self.status = Some(if source == Source::Timer { 0 } else { INTERRUPTED });
            }
            return Ok(());
        };
        match source {
            Source::Timer => self.end(conn, 0),
            Source::Ready(_) => match self.signals.pending().next() {
                Some(SIGTERM) => self.end(conn, TERMINATED),
                Some(_) => self.end(conn, INTERRUPTED),
                None => {}
            },
            Source::Woken => {
                if let Err(why) = self.login.answered(conn) {
                    self.refused(conn, why);
                }
                let (written, error) = self.out.take_written();
                self.unwritten = self.unwritten.saturating_sub(written);
                if error.is_some() {
                    self.end(conn, BROKEN_PIPE);
                } else if !conn.is_ended() {
                    self.give_credit(conn)?;
                }
            }
        }
        self.tell();
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.done
    }
}
