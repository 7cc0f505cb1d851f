//! `ssh-weblog`: follows logs here and on hosts, and shows what is in them.
//!
//! ```text
//!   Host: connection ──▶ sftp::Host ─┐
//!                                    ├─▶ Follower (a task each) ──▶ Tray ──▶ Showing ──▶ Output
//!   Local: inotify ──────────────────┘                    └──▶ Board: a dashboard, with its keyboard
//! ```
//!
//! It holds these together in the turns of one loop. Nothing is read of any log while too much output waits.

mod board;
mod host;
mod progress;
mod showing;
mod sources;

pub use crate::driver::exit::{BROKEN_PIPE, INTERRUPTED, NO_CONNECTION, TERMINATED};
pub use progress::BACKLOG_MIN;
pub use showing::{SORTED_MAX, SORTED_WINDOW};
pub use sources::{LET_GO, LOGS_MAX, Place, Source};

use super::dashboard::End;
use super::follow::Start;
use super::follow::files::Trouble;
use super::follow::local::trouble;
use super::follow::state::State;
use super::follow::via::Via;
use super::format::RecordParser;
use super::options::ViewOptions;
use super::view::{Destination, View};
use crate::connection::{ChannelId, Connection, Event};
use crate::driver::options::Options;
use crate::driver::stdio::{Descriptor, Output};
use crate::driver::{Application, Context, Driver, Error, PeerId, Peers, Source as Ready, SourceId};
use crate::driver::{terminal, text};
use crate::tell;
use crate::transport::Client;
use board::Board;
use core::fmt;
use host::{Host, Manner, News};
use mio::unix::SourceFd;
use mio::{Interest, Waker};
use progress::Progress;
use showing::Showing;
use signal_hook::consts::{SIGCONT, SIGINT, SIGTERM, SIGWINCH};
use signal_hook_mio::v1_0::Signals;
use sources::{Places, Sources};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A source could not be read, or the file of positions not be written.
pub const UNREADABLE: u8 = 1;
/// `--over` came true.
pub const END_OF_ALERT: u8 = 3;

/// How long a host is given to take a farewell.
const FAREWELL: Duration = Duration::from_millis(500);

/// Above so much unwritten output (bytes) nothing is taken of the logs.
const OUTPUT_MARK: usize = 256 * 1024;

/// What is watched, and how it is shown.
#[derive(Debug)]
pub struct WatchOptions {
    /// The logs, in the order in which they were named.
    pub sources: Vec<Source>,
    /// The hosts that they are on.
    pub hosts: Vec<Options>,
    /// What is shown.
    pub view: ViewOptions,
    /// Where it goes.
    pub destination: Destination,
    /// The format of the lines; without it, it is found out from each log.
    pub log_format: Option<String>,
    /// Where each log begins. Without it with what comes, or with all of it if it is not followed.
    pub start: Option<Start>,
    /// The rotated files are read first.
    pub with_rotated: bool,
    /// Goes on at the end.
    pub follow: bool,
    /// The only way that may be taken to read logs on hosts.
    pub via: Option<Via>,
    /// How often a connection is tried again.
    pub retry: Option<u32>,
    /// Where positions are kept across runs.
    pub state: Option<PathBuf>,
    /// Lines of several sources are shown by their times, within [`SORTED_WINDOW`].
    pub sorted: bool,
    /// No fingerprint and no notices.
    pub quiet: bool,
    /// Tells of lines that are not understood, of formats and receipts.
    pub verbose: bool,
    /// The watch ends after this time.
    pub seconds: Option<u64>,
}

impl WatchOptions {
    /// What is shown, if all that is asked for can be understood.
    ///
    /// # Errors
    /// A text for the user.
    pub fn check(&self) -> Result<View, String> {
        let view = View::new(&self.view, self.destination, SystemTime::now())?;
        if self.view.dashboard && !io::stdout().is_terminal() {
            return Err("--dashboard: standard output is no terminal; run it in one (with ssh -t there), or leave it out \
                        for lines"
                .to_owned());
        }
        let reads_standard = self.sources.iter().any(|source| matches!(source.place, Place::Standard));
        if self.view.dashboard && reads_standard && io::stdin().is_terminal() {
            return Err(
                "--dashboard: standard input is the terminal that keys come from, and no log; write \
                        tail -f LOG | ssh-weblog --dashboard -"
                    .to_owned(),
            );
        }
        if let Some(format) = &self.log_format {
            RecordParser::named(format)?;
        }
        Ok(view)
    }
}

/// Why nothing is watched any more: a text for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchError {
    /// An option that can't be understood, or not be followed here. Nothing was done.
    Usage(String),
    /// The system refused something.
    System(String),
}

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(text) | Self::System(text)) = self;
        f.write_str(text)
    }
}

impl core::error::Error for WatchError {}

impl From<io::Error> for WatchError {
    fn from(error: io::Error) -> Self {
        Self::System(match trouble(&error) {
            exhausted @ Trouble::Exhausted => exhausted.to_string(),
            _ if error.kind() == ErrorKind::WouldBlock => {
                format!("{error}: no thread is left; allow more processes (ulimit -u)")
            }
            _ => error.to_string(),
        })
    }
}

impl From<Error> for WatchError {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => error.into(),
            Error::Ssh(error) => Self::System(error.to_string()),
        }
    }
}

struct Watch {
    options: WatchOptions,
    waker: Arc<Waker>,
    hosts: Vec<Host>,
    sources: Sources,
    showing: Showing,
    state: Option<State>,
    /// With `--sorted`: up to where the logs were taken at some time, which is kept once that is shown.
    places: Option<(Instant, Places)>,
    /// `None` in a process that has others.
    signals: Option<Signals>,
    signal_source: Option<SourceId>,
    /// The end that the clock brings; once the watch is over, that of the time in which hosts take a farewell.
    until: Option<Instant>,
    /// The next report.
    report_due: Option<Instant>,
    out: Output,
    /// What is written there is seen where a bar would be.
    out_is_terminal: bool,
    progress: Option<Progress>,
    /// To a question that is open there.
    gives_way: bool,
    /// Bytes given to the output and not written yet.
    unwritten: usize,
    /// Nothing is written any more, and so nothing counts as shown.
    out_failed: bool,
    status: Option<u8>,
    /// All was read, which has this status; the dashboard is looked at until it is left.
    rest: Option<u8>,
    told_unsaved: bool,
    /// A turn is to come.
    woken: bool,
}

/// Watches until the end, and returns the exit status.
///
/// # Errors
/// See [`WatchError`].
pub fn watch(mut options: WatchOptions) -> Result<u8, WatchError> {
    let view = options.check().map_err(WatchError::Usage)?;
    // Nothing comes any more that would pass.
    options.follow &= view.left(SystemTime::now()).is_none_or(|left| !left.is_zero());
    terminal::guard()?;
    let state = options.state.as_deref().map(State::load).transpose().map_err(WatchError::Usage)?;
    let mut driver = Driver::with_waker(|waker| {
        terminal::leave_to_program(SIGTERM);
        let signals = Signals::new([SIGINT, SIGTERM])?;
        let out = Output::spawn(Descriptor::Out, Arc::clone(&waker))?;
        out.watch(Arc::clone(&waker))?;
        Watch::new(options, view, state, Some(signals), out, waker)
    })?;
    driver.with(|app, cx, peers| app.start(cx, peers))?;
    let ended = driver.run();
    let status = driver.app.finish();
    ended?;
    Ok(status)
}

impl Watch {
    fn new(
        options: WatchOptions,
        view: View,
        state: Option<State>,
        signals: Option<Signals>,
        out: Output,
        waker: Arc<Waker>,
    ) -> io::Result<Self> {
        let now = Instant::now();
        let WatchOptions { quiet, verbose, retry, via, follow, .. } = options;
        let manner = Manner { quiet, verbose, retry, via, follow };
        let hosts = options.hosts.iter().map(|host| Host::new(host.clone(), manner, &waker)).collect();
        let until = view.left(SystemTime::now()).filter(|_| options.follow);
        let seconds = options.seconds.map(Duration::from_secs);
        let end = until.into_iter().chain(seconds).min().and_then(|left| now.checked_add(left));
        let mut showing = Showing::new(view, options.sorted, options.quiet, options.verbose);
        if options.view.dashboard {
            let names: Vec<_> = options.sources.iter().map(|source| source.name.as_str()).collect();
            showing.board = Some(Board::new(&names.join(", "), Arc::clone(&waker), now)?);
            if let Some(signals) = &signals {
                signals.add_signal(SIGWINCH)?;
                signals.add_signal(SIGCONT)?;
            }
        }
        let progress = Progress::new(options.quiet || options.view.dashboard, now);
        Ok(Self {
            hosts,
            sources: Sources::new(&options, showing.view(), now),
            signals,
            signal_source: None,
            until: end,
            report_due: showing.view().every().map(|every| now + every),
            out,
            out_is_terminal: io::stdout().is_terminal(),
            progress,
            gives_way: false,
            unwritten: 0,
            out_failed: false,
            status: None,
            rest: None,
            told_unsaved: false,
            woken: false,
            showing,
            state,
            places: None,
            waker,
            options,
        })
    }

    fn start(&mut self, cx: &mut Context<'_>, peers: &mut Peers<'_, Client>) -> Result<(), Error> {
        if let Some(signals) = &mut self.signals {
            self.signal_source = Some(cx.register(signals, Interest::READABLE)?);
        }
        let keyboard = self.showing.board.as_ref().map(Board::descriptor);
        for descriptor in self.sources.descriptor().into_iter().chain(keyboard) {
            cx.register(&mut SourceFd(&descriptor), Interest::READABLE)?;
        }
        self.sources.start_local(&self.options, &mut self.showing, &self.waker)?;
        self.turn(cx, peers)
    }

    /// Everything that can go on goes on.
    fn turn(&mut self, cx: &mut Context<'_>, peers: &mut Peers<'_, Client>) -> Result<(), Error> {
        self.woken = false;
        for host in &mut self.hosts {
            host.handle_timeout(cx.now, &self.waker);
            host.connected(cx.now, &self.waker, |stream, conn| peers.add(cx, stream, conn));
        }
        let mut next = self.sources.run(cx.now);
        let hosts = &self.hosts;
        let files = |host: usize| hosts.get(host).and_then(Host::files).cloned();
        let found = self.sources.take_found(&self.options, &mut self.showing, self.state.as_ref(), files);
        for host in &mut self.hosts {
            if let Some(peer) = host.peer().filter(|_| host.has_asked())
                && let Some(conn) = peers.get(peer)
            {
                host.flush(conn)?;
            }
        }
        let waiting = self.unwritten + self.showing.out.len();
        if waiting < OUTPUT_MARK && self.showing.end.is_none() {
            let full = self.sources.take(&mut self.showing, self.options.quiet, self.options.verbose, cx.now);
            self.showing.handle_timeout(cx.now);
            next = if full || found { Some(cx.now) } else { next };
            for host in &mut self.hosts {
                if let Some(peer) = host.peer().filter(|_| host.owes_credit())
                    && let Some(conn) = peers.get(peer)
                {
                    host.give_credit(conn)?;
                }
            }
        }
        self.report_in_time(cx.now);
        self.show_progress(cx.now);
        self.give_way(terminal::is_asking());
        self.write();
        self.draw(cx, peers)?;
        self.save(cx.now);
        self.look_for_the_end(cx, peers);
        let due = [
            next,
            self.until,
            self.report_due,
            self.progress.as_ref().and_then(Progress::due),
            self.showing.due(),
            self.showing.board.as_ref().and_then(Board::due).filter(|_| self.unwritten == 0),
            self.state.as_ref().and_then(|state| state.due(cx.now)),
        ];
        let hosts = self.hosts.iter().filter_map(Host::due);
        cx.set_timer(due.into_iter().flatten().chain(hosts).min());
        Ok(())
    }

    /// The bar, unless somebody may be asked meanwhile.
    fn show_progress(&mut self, now: Instant) {
        if let Some(progress) = &mut self.progress {
            // Lines that are still being written there would go on behind it.
            let is_in_use = self.out_is_terminal && self.unwritten > 0;
            let is_free = !is_in_use && self.hosts.iter().all(Host::is_settled);
            progress.turn(is_free, now, || self.sources.written_and_read());
        }
    }

    /// Nothing is written to the terminal while a question is open there. The dashboard does so by itself.
    fn give_way(&mut self, is_asking: bool) {
        let gives_way = is_asking && self.showing.board.is_none();
        if core::mem::replace(&mut self.gives_way, gives_way) == gives_way {
            return;
        }
        if gives_way {
            text::hold();
        } else {
            progress::write(text::release());
        }
    }

    /// Gives what is to be shown to the output.
    fn write(&mut self) {
        let may_write = !(self.gives_way && self.out_is_terminal);
        if !self.showing.out.is_empty() && self.showing.board.is_none() && may_write {
            if self.out_is_terminal {
                self.progress.iter_mut().for_each(Progress::clear);
            }
            self.out.push(&self.showing.out);
            self.unwritten += self.showing.out.len();
            self.showing.out.clear();
        }
    }

    /// A turn of the dashboard, if there is one and nobody has left it.
    fn draw(&mut self, cx: &Context<'_>, peers: &mut Peers<'_, Client>) -> Result<(), Error> {
        let Some(board) = self.showing.board.as_mut().filter(|_| self.status.is_none()) else {
            return Ok(());
        };
        let is_local = |source: &Source| !matches!(source.place, Place::Host { .. });
        let is_ready = self.options.sources.iter().any(is_local) || self.hosts.iter().any(Host::was_up);
        let mut drawn = Vec::new();
        let end = board.turn(is_ready, self.unwritten == 0, cx.now, &mut drawn)?;
        if !drawn.is_empty() {
            self.unwritten += drawn.len();
            self.out.push(&drawn);
        }
        match end {
            Some(End::Quit) => self.end(cx, peers, self.rest.unwrap_or(0)),
            Some(End::Interrupted) => self.end(cx, peers, INTERRUPTED),
            None => {}
        }
        Ok(())
    }

    fn report_in_time(&mut self, now: Instant) {
        if let Some(every) = self.showing.view().every()
            && self.report_due.is_some_and(|due| due <= now)
            && self.showing.board.is_none()
        {
            self.report_due = Some(now + every);
            let receipts = self.sources.receipts(&self.showing);
            self.showing.report(&receipts);
        }
    }

    /// Looks what became of the output. The status, if that has failed: of a reader who is gone without a word.
    fn look_at_output(&mut self) -> Option<u8> {
        let (written, error) = self.out.take_written();
        self.unwritten = self.unwritten.saturating_sub(written);
        let error = error?;
        self.out_failed = true;
        if error.kind() == ErrorKind::BrokenPipe {
            return Some(BROKEN_PIPE);
        }
        tell!("standard output: {error}; make room there, or send it elsewhere");
        Some(UNREADABLE)
    }

    /// Once all is written that was taken by some time, the positions of that time are those of what was shown.
    fn save(&mut self, now: Instant) {
        let is_written = self.unwritten == 0 && !self.out_failed && !self.sources.has_lines();
        let Some(state) = self.state.as_mut().filter(|_| is_written) else { return };
        // The first of what waits to be sorted came so long before; all that came earlier is shown.
        let due = self.showing.due();
        let is_shown = |at: Instant| due.is_none_or(|due| at + SORTED_WINDOW < due);
        if let Some((_, places)) = self.places.take_if(|(at, _)| is_shown(*at)) {
            places.keep(state);
        }
        if due.is_none() {
            self.sources.places(&self.showing).keep(state);
        } else if self.places.is_none() {
            self.places = Some((now, self.sources.places(&self.showing)));
        }
        if state.due(now).is_some_and(|due| due <= now)
            && let Err(error) = state.save(now)
            && !self.told_unsaved
        {
            self.told_unsaved = true;
            tell!("{error}");
        }
    }

    /// Ends the watch with a status, if it has not ended.
    fn end(&mut self, cx: &Context<'_>, peers: &mut Peers<'_, Client>, status: u8) {
        if self.status.is_some() {
            return;
        }
        self.status = Some(status);
        for host in &mut self.hosts {
            if let Some(conn) = host.peer().and_then(|peer| peers.get(peer)) {
                host.end(conn, status);
            }
        }
        self.until = Some(cx.now + FAREWELL);
    }

    fn look_for_the_end(&mut self, cx: &Context<'_>, peers: &mut Peers<'_, Client>) {
        if self.hosts.iter().any(|host| host.over() == Some(INTERRUPTED)) {
            return self.end(cx, peers, INTERRUPTED);
        }
        if let Some(status) = self.showing.end {
            return self.end(cx, peers, status);
        }
        for (at, host) in self.hosts.iter().enumerate() {
            if host.over().is_some() {
                self.sources.end_of_host(at);
            }
        }
        let of_hosts = self.hosts.iter().filter_map(Host::over).max();
        let own = if self.sources.unreadable { UNREADABLE } else { 0 };
        let so_far = of_hosts.unwrap_or(0).max(own);
        if self.sources.are_over() && !self.sources.has_lines() {
            match self.showing.board.as_mut().filter(|board| of_hosts.is_none() && board.has_hits()) {
                Some(board) if self.rest.is_none() => {
                    self.rest = Some(own);
                    board.note("all is read; q quits");
                }
                Some(_) => {}
                None => self.end(cx, peers, so_far),
            }
        } else if self.until.is_some_and(|until| until <= cx.now) {
            self.end(cx, peers, so_far);
        }
    }

    /// The last words.
    fn finish(mut self) -> u8 {
        let mut status = self.status.unwrap_or(NO_CONNECTION);
        self.progress.iter_mut().for_each(Progress::clear);
        self.give_way(false);
        let mut board = self.showing.board.take();
        if status == BROKEN_PIPE {
            return status;
        }
        if let Some(board) = &mut board {
            let mut drawn = Vec::new();
            board.leave(&mut drawn);
            self.out.push(&drawn);
        }
        let receipts = self.sources.receipts(&self.showing);
        self.showing.report(&receipts);
        self.write();
        self.out.finish();
        board.iter_mut().for_each(Board::release);
        match self.look_at_output() {
            Some(BROKEN_PIPE) => return BROKEN_PIPE,
            failed => status = status.max(failed.unwrap_or(0)),
        }
        if self.options.verbose && !self.showing.reports() {
            let mut text = Vec::new();
            receipts.iter().for_each(|receipt| receipt.write_text(&mut text));
            let _nobody_reads = io::stderr().write_all(&text);
        }
        if let Some(state) = &mut self.state {
            if !self.out_failed {
                self.sources.take_back();
                self.places.into_iter().for_each(|(_, places)| places.keep(state));
                self.sources.places(&self.showing).keep(state);
            }
            if let Err(error) = state.save(Instant::now()) {
                if !self.told_unsaved {
                    tell!("{error}");
                }
                status = status.max(UNREADABLE);
            }
        }
        self.showing.tell_last();
        status
    }

    /// What came is dealt with in a turn of its own, in which every host can be written to.
    fn wake(&mut self) {
        self.give_way(terminal::is_asking());
        if !core::mem::replace(&mut self.woken, true) {
            let _never_fails = self.waker.wake();
        }
    }

    /// The connection, still on its way, for what that one has no session for.
    fn overflow(&mut self, of: usize) -> usize {
        let Some(host) = self.hosts.get(of) else { return of };
        let is_coming = |to: &usize| self.hosts.get(*to).is_some_and(|host| !host.was_up());
        if let Some(to) = host.overflow.filter(is_coming) {
            return to;
        }
        let (to, another) = (self.hosts.len(), host.another(&self.waker));
        self.hosts.push(another);
        if let Some(host) = self.hosts.get_mut(of) {
            host.overflow = Some(to);
        }
        to
    }

    fn host(&mut self, peer: PeerId) -> Option<(usize, &mut Host)> {
        self.hosts.iter_mut().enumerate().find(|(_, host)| host.peer() == Some(peer))
    }
}

impl Application<Client> for Watch {
    fn event(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Client>,
        event: Event<'_, Client>,
    ) -> Result<(), Error> {
        let timers = std::rc::Rc::clone(self.sources.timers());
        let Some((at, host)) = self.host(peer) else { return Ok(()) };
        match host.event(conn, event, cx.now, &timers)? {
            News::Nothing => {}
            News::Ready => {
                if let Some(files) = host.files().cloned() {
                    self.sources.start_host(at, &files, &self.options);
                }
            }
            News::ReadyForCommands(via) => {
                let logs = self.sources.start_commands(at, via, &self.options, &mut self.showing);
                for log in logs {
                    if let Some(host) = self.hosts.get_mut(at) {
                        host.read_by(conn, log, cx.now)?;
                    }
                }
            }
            News::Full(log) => {
                let to = self.overflow(at);
                self.sources.move_to_host(log, to);
            }
        }
        self.wake();
        Ok(())
    }

    fn writable(
        &mut self,
        _: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Client>,
        id: ChannelId,
    ) -> Result<(), Error> {
        if let Some((_, host)) = self.host(peer) {
            host.writable(conn, id)?;
        }
        self.wake();
        Ok(())
    }

    fn disconnect(&mut self, cx: &mut Context<'_>, peer: PeerId, why: Result<(), Error>) {
        if let Some((_, host)) = self.host(peer) {
            host.disconnected(why, cx.now);
        }
        self.wake();
    }

    fn source(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, Client>,
        source: Ready,
    ) -> Result<(), Error> {
        match source {
            Ready::Ready(id) if Some(id) == self.signal_source => {
                let came: Vec<_> = self.signals.iter_mut().flat_map(Signals::pending).collect();
                for signal in came {
                    match (signal, &mut self.showing.board) {
                        (SIGWINCH, Some(board)) => board.resize(),
                        // At the end what was taken is given back, not taken again.
                        (SIGCONT, Some(board)) if self.status.is_none() => board.resume(),
                        (SIGTERM, _) => self.end(cx, peers, TERMINATED),
                        (SIGINT, _) => self.end(cx, peers, INTERRUPTED),
                        _ => {}
                    }
                }
            }
            Ready::Ready(_) | Ready::Timer => {}
            Ready::Woken => {
                for host in &mut self.hosts {
                    if let Some(peer) = host.peer().filter(|_| host.waits_for_answer())
                        && let Some(conn) = peers.get(peer)
                    {
                        host.answered(conn);
                    }
                }
                if let Some(status) = self.look_at_output() {
                    self.end(cx, peers, status);
                }
            }
        }
        self.turn(cx, peers)
    }

    fn is_done(&self) -> bool {
        let is_late = || self.until.is_some_and(|until| until <= Instant::now());
        self.status.is_some_and(|status| {
            status == BROKEN_PIPE || self.hosts.iter().all(|host| host.peer().is_none()) || is_late()
        })
    }
}

#[cfg(test)]
mod tests;
