//! `ssh-weblog-server`: the new records of logs for everyone who logs in.
//!
//! Each log is read once and each line parsed once; what equal views show is formatted once. A session without a command is
//! shown the article's lines; the commands take the options of `ssh-weblog`.

use super::feed::{Feed, Place};
use super::follow::Options;
use super::follow::logs::{LocalLogs, Told};
use super::format::RecordParser;
use super::options::{ViewOptions, words};
use super::serve::settings::{LogFile, Settings};
use super::serve::users::Users;
use super::view::{Destination, View};
use crate::connection::{ChannelEvent, ChannelId, ChannelLimits, Connection, Event, Request};
use crate::crypto::{Rng, SystemRng};
use crate::driver::authenticator::Authenticator;
use crate::driver::gate::{Gate, GateConfig, Refusal};
use crate::driver::text::escaped;
use crate::driver::{Application, Context, Driver, Error, PeerId, Peers, Source, SourceId};
use crate::tell;
use crate::transport::Error::Disconnected;
use crate::transport::{Server, ServerConfig};
use crate::userauth::ServerUserauthConfig;
use crate::wire::DisconnectReason;
use clap::Parser;
use mio::net::TcpListener;
use mio::unix::SourceFd;
use mio::{Interest, Waker};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use std::time::SystemTime;

/// A command that does not exist, as a shell says it.
const NOT_FOUND: u32 = 127;
/// A command with wrong arguments.
const WRONG_ARGUMENTS: u32 = 2;

/// What is served to whom.
#[derive(Debug)]
pub struct ServerOptions {
    /// Where it listens; one for now.
    pub listeners: Vec<std::net::TcpListener>,
    /// What the server is known by, and what it offers.
    pub config: ServerConfig,
    /// Users and logs.
    pub settings: Settings,
}

/// The commands of a session.
#[derive(Parser)]
#[command(name = "ssh-weblog-server", no_binary_name = true, disable_help_subcommand = true)]
enum Command {
    /// The records that come from now on
    Tail(Box<ViewOptions>),
    /// This text
    Help,
}

const HELP: &str = "Commands:\n  (none)                      referrer  --> resource of each hit that comes\n  tail [--show \
                    referrers|hits|raw] [--json]\n                              the records that come, in that form\n  \
                    help                        this text\n";

/// A log that is served.
struct Log {
    name: String,
    path: PathBuf,
    parser: RecordParser,
}

type Session = (PeerId, ChannelId);

struct Viewer {
    feed: usize,
    place: Place,
    /// The channel takes nothing now.
    full: bool,
}

struct App {
    authenticator: Authenticator,
    /// By the numbers that `files` tells them by.
    logs: Vec<Log>,
    files: LocalLogs,
    feeds: Vec<Feed>,
    viewers: HashMap<Session, Viewer>,
    peers: HashSet<PeerId>,
    signals: Option<(Signals, Option<SourceId>)>,
    stop: Arc<AtomicBool>,
    stopping: bool,
}

/// Ends a server from another thread.
#[derive(Clone, Debug)]
pub struct Stopper {
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl Stopper {
    /// What was read is sent, then the connections end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        let _gone = self.waker.wake();
    }
}

/// A server that listens.
pub struct WeblogServer {
    driver: Driver<Server, App>,
    stopper: Stopper,
    address: SocketAddr,
}

impl WeblogServer {
    /// Listens; `signals` says whether SIGTERM and SIGINT end it.
    ///
    /// # Errors
    /// A text for the user.
    pub fn bind(options: ServerOptions, signals: bool) -> Result<Self, String> {
        let ServerOptions { listeners, config, settings: Settings { users, logs, .. } } = options;
        let Users { accounts, passwords, methods, .. } = users;
        let mut files = LocalLogs::new(Instant::now());
        let log = |file: LogFile| {
            files.add(&file.path, Options::default(), Rc::default());
            Log { name: file.name, path: file.path, parser: RecordParser::default() }
        };
        let logs: Vec<Log> = logs.into_iter().map(log).collect();
        let mut refused = None;
        files.turn(Instant::now(), |log, told| match (logs.get(log), told) {
            (Some(log), Told::End(why)) => {
                refused = Some(format!("{}: {}", log.path.display(), why.unwrap_or("the end")));
            }
            (Some(log), Told::Note(note)) => tell!("{}: {note}", log.path.display()),
            _ => {}
        });
        if let Some(refused) = refused {
            return Err(refused);
        }
        let listener: [_; 1] = listeners.try_into().map_err(|_| "it listens at one address for now")?;
        let [listener] = listener.map(TcpListener::from_std);
        let text = |error: io::Error| error.to_string();
        let address = listener.local_addr().map_err(text)?;
        let userauth = ServerUserauthConfig { methods, ..Default::default() };
        let stop = Arc::new(AtomicBool::new(false));
        let mut wakers = None;
        let mut driver = Driver::with_waker(|waker| {
            let authenticator = Authenticator::new(accounts, passwords, &waker)?;
            let signals = if signals { Some((Signals::new([SIGTERM, SIGINT])?, None)) } else { None };
            wakers = Some(waker);
            Ok(App {
                authenticator,
                logs,
                files,
                feeds: Vec::new(),
                viewers: HashMap::new(),
                peers: HashSet::new(),
                signals,
                stop: Arc::clone(&stop),
                stopping: false,
            })
        })
        .map_err(text)?;
        let config = Arc::new(config);
        let accept = move |_, now| {
            let limits = ChannelLimits::default();
            let rng: Box<dyn Rng + Send> = Box::new(SystemRng);
            Connection::new(Arc::clone(&config), userauth.clone(), limits, rng, now)
        };
        let gate = Gate::new(GateConfig::default(), Box::new(SystemRng));
        driver.listen_behind(gate, listener, Box::new(accept)).map_err(text)?;
        driver.with(|app, cx, _| app.register(cx)).map_err(|error| error.to_string())?;
        let waker = wakers.ok_or("no waker")?;
        Ok(Self { driver, stopper: Stopper { stop, waker }, address })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// For another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    /// A text for the user.
    pub fn run(mut self) -> Result<(), String> {
        self.driver.run().map_err(|error| error.to_string())?;
        Ok(())
    }
}

impl App {
    fn register(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        if let Some(descriptor) = self.files.descriptor() {
            cx.register(&mut SourceFd(&descriptor), Interest::READABLE)?;
        }
        if let Some((signals, id)) = &mut self.signals {
            *id = Some(cx.register(signals, Interest::READABLE)?);
        }
        cx.set_timer(Some(cx.now));
        Ok(())
    }

    fn tell(&mut self) {
        for line in self.authenticator.log.drain(..) {
            tell!("{line}");
        }
    }

    fn channel_event(
        &mut self,
        session: Session,
        conn: &mut Connection<Server>,
        event: ChannelEvent<'_>,
    ) -> Result<(), Error> {
        let id = session.1;
        match event {
            ChannelEvent::OpenRequest { .. } => conn.accept_channel(id)?,
            ChannelEvent::Request { request, want_reply } => {
                let forced = conn.permissions().and_then(|permissions| permissions.force_command.clone());
                let (granted, command) = match (request, forced) {
                    (Request::Shell | Request::Exec { .. } | Request::Subsystem { .. }, Some(forced)) => {
                        (true, parse(&forced))
                    }
                    (Request::Shell, None) => (true, Ok(Command::Tail(Box::default()))),
                    (Request::Exec { command }, None) => (true, parse(command)),
                    _ => (false, Ok(Command::Help)),
                };
                if want_reply {
                    conn.channel(id)?.reply(granted)?;
                }
                match command {
                    _ if !granted => {}
                    Ok(Command::Tail(options)) if *options != options.of_lines() || options.dashboard => {
                        let text =
                            "tail shows lines only: no reports, no --over, no --stop-on, no --dashboard\n";
                        end(conn, id, WRONG_ARGUMENTS, "", text)?;
                    }
                    Ok(Command::Tail(options)) => match self.view(&options) {
                        Ok(view) => self.watch(session, view),
                        Err(text) => end(conn, id, WRONG_ARGUMENTS, "", &text)?,
                    },
                    Ok(Command::Help) => end(conn, id, 0, HELP, "")?,
                    Err((status, text)) => end(conn, id, status, "", &text)?,
                }
            }
            ChannelEvent::Data { data } => conn.channel(id)?.adjust_window(data.len())?, // nobody asked for input
            ChannelEvent::Closed => drop(self.viewers.remove(&session)),
            _ => {}
        }
        Ok(())
    }

    fn view(&self, options: &ViewOptions) -> Result<Arc<View>, String> {
        let destination = Destination { escaped: true, coloured: false, names_sources: self.logs.len() > 1 };
        let view = View::new(options, destination, SystemTime::now());
        view.map(Arc::new)
            .map_err(|text| format!("ssh-weblog-server: {}; try help\n", escaped(text.as_bytes())))
    }

    fn watch(&mut self, session: Session, view: Arc<View>) {
        let feed = self.feeds.iter().position(|feed| *feed.view() == view).unwrap_or_else(|| {
            self.feeds.push(Feed::new(view));
            self.feeds.len() - 1
        });
        if let Some(place) = self.feeds.get(feed).map(Feed::live) {
            self.viewers.insert(session, Viewer { feed, place, full: false });
        }
    }

    /// Reads what is new in every log and shows it to everyone who can take it.
    fn read(&mut self, cx: &mut Context<'_>, peers: &mut Peers<'_, Server>) {
        let (logs, feeds, mut news) = (&mut self.logs, &mut self.feeds, false);
        let next = self.files.turn(cx.now, |log, told| {
            let Some(log) = logs.get_mut(log) else { return };
            match told {
                Told::Line(_, line) => {
                    let record = log.parser.parse(line.bytes).ok().flatten();
                    for feed in feeds.iter_mut() {
                        news |= feed.push(&log.name, &line, record.as_ref());
                    }
                }
                Told::Note(note) => tell!("{}: {note}", log.path.display()),
                Told::End(why) => tell!("{}: {}", log.path.display(), why.unwrap_or("the end")),
            }
        });
        cx.set_timer(next);
        if news {
            for (session, viewer) in self.viewers.iter_mut().filter(|(_, viewer)| !viewer.full) {
                if let (Some(conn), Some(feed)) = (peers.get(session.0), self.feeds.get(viewer.feed)) {
                    viewer.pump(feed, conn, session.1);
                }
            }
        }
    }

    fn stop(&mut self, cx: &mut Context<'_>, peers: &mut Peers<'_, Server>) {
        self.stopping = true;
        cx.stop_listening();
        for peer in &self.peers {
            if let Some(conn) = peers.get(*peer) {
                conn.disconnect(DisconnectReason::BY_APPLICATION, "the server is stopping");
            }
        }
    }
}

impl Viewer {
    fn pump(&mut self, feed: &Feed, conn: &mut Connection<Server>, id: ChannelId) {
        if let Ok(mut channel) = conn.channel(id) {
            self.full = !feed.offer(&mut self.place, |bytes| channel.write(bytes));
        }
    }
}

/// A command of a session, or the status and the text that it ends with.
fn parse(command: &[u8]) -> Result<Command, (u32, String)> {
    let text = String::from_utf8_lossy(command);
    let words = words(&text).ok_or((WRONG_ARGUMENTS, "a quote is not closed\n".to_owned()))?;
    let name = words.first().map_or("", String::as_str);
    if !matches!(name, "tail" | "help") {
        let name = escaped(name.as_bytes());
        return Err((NOT_FOUND, format!("ssh-weblog-server: {name}: no such command; try help\n")));
    }
    Command::try_parse_from(&words).map_err(|error| (WRONG_ARGUMENTS, error.to_string()))
}

/// Answers a command that is over at once.
fn end(conn: &mut Connection<Server>, id: ChannelId, status: u32, out: &str, err: &str) -> Result<(), Error> {
    let mut channel = conn.channel(id)?;
    channel.write(out.as_bytes());
    channel.write_stderr(err.as_bytes());
    channel.send_exit_status(status)?;
    channel.send_eof()?;
    channel.close()?;
    Ok(())
}

impl Application<Server> for App {
    fn connect(&mut self, _: &mut Context<'_>, peer: PeerId, address: Option<SocketAddr>) {
        self.peers.insert(peer);
        self.authenticator.connect(peer, address);
    }

    fn refused(&mut self, _: &mut Context<'_>, source: SocketAddr, why: Refusal, passed_over: u64) {
        tell!("refused {source}: {why} ({passed_over} more since the last)");
    }

    fn event(
        &mut self,
        _: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Server>,
        event: Event<'_, Server>,
    ) -> Result<(), Error> {
        match event {
            Event::Kex(never) => match never {},
            Event::Userauth(question) => {
                let answered = self.authenticator.credential(peer, conn, question);
                self.tell();
                answered
            }
            Event::Authenticated | Event::Global(_) => Ok(()),
            Event::Channel(id, event) => self.channel_event((peer, id), conn, event),
        }
    }

    fn writable(
        &mut self,
        _: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Server>,
        id: ChannelId,
    ) -> Result<(), Error> {
        if let Some(viewer) = self.viewers.get_mut(&(peer, id))
            && let Some(feed) = self.feeds.get(viewer.feed)
        {
            viewer.pump(feed, conn, id);
        }
        Ok(())
    }

    fn disconnect(&mut self, _: &mut Context<'_>, peer: PeerId, why: Result<(), Error>) {
        match why {
            Ok(()) | Err(Error::Ssh(Disconnected { .. })) => {}
            Err(error) => tell!("connection ended: {}", escaped(error.to_string().as_bytes())),
        }
        self.authenticator.disconnect(peer);
        self.peers.remove(&peer);
        self.viewers.retain(|session, _| session.0 != peer);
    }

    fn source(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, Server>,
        source: Source,
    ) -> Result<(), Error> {
        match source {
            Source::Woken => {
                self.authenticator.answered(peers);
                self.tell();
                if self.stop.load(Ordering::Relaxed) {
                    self.stop(cx, peers);
                }
            }
            Source::Ready(id) => match &mut self.signals {
                Some((signals, own)) if *own == Some(id) => {
                    if signals.pending().count() > 0 {
                        self.read(cx, peers); // what was written is sent
                        self.stop(cx, peers);
                    }
                }
                _ => self.read(cx, peers),
            },
            Source::Timer => self.read(cx, peers),
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.stopping && self.peers.is_empty()
    }
}
