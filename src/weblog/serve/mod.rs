//! `ssh-weblog-server`: the records of logs for everyone who logs in.
//!
//! ```text
//!  Logs      each log read once, each line parsed once, numbered, and kept for a while
//!   └─ Feed       each view formatted once, however many watch
//!       └─ Session    a place in a feed; what its channel does not take waits, and is passed over
//! ```
//!
//! One loop serves all; passwords, reports and files by SFTP are worked at beside it. It sees channels, never a packet.

pub mod audit;
mod caps;
mod command;
mod dash;
mod desk;
mod feed;
mod feeds;
pub mod flags;
mod jobs;
mod logs;
mod metrics;
pub mod notify;
mod receipts;
mod ring;
pub mod run_as;
mod session;
pub mod settings;
pub mod start;
mod tables;
pub mod tree;
pub mod users;

#[cfg(test)]
mod tests;

pub use command::COMMAND_MAX;
pub use dash::{DASHBOARDS_MAX, DASHBOARDS_OF_USER_MAX, TYPED_MAX};
pub use feed::FEED_BYTES_MAX;
pub use feeds::{FEEDS_MAX, FEEDS_OF_USER_MAX};
pub use jobs::{JOBS_MAX, JOBS_OF_USER_MAX};
pub use logs::{FILES_MAX, LOG_BYTES_MAX};
pub use session::UNREAD_MAX;

use crate::connection::{ChannelLimits, Connection, Event, GlobalEvent, Keepalive};
use crate::crypto::{Rng, SystemRng};
use crate::driver::authenticator::{Authenticator, Outcome};
use crate::driver::gate::{Gate, GateConfig, Offence, Penalties, Refusal};
use crate::driver::{Application, Context, Driver, Error, PeerId, Peers, Source, SourceId};
use crate::transport::{Server, ServerConfig};
use crate::userauth::ServerUserauthConfig;
use crate::wire::DisconnectReason;
use caps::Caps;
use core::time::Duration;
use desk::Desk;
use metrics::Reason;
use mio::net::TcpListener;
use mio::unix::SourceFd;
use mio::{Interest, Waker};
use notify::Notify;
use settings::{Limits, Settings};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Records that come within this time share a packet.
const TOGETHER: Duration = Duration::from_millis(20);

/// How long viewers may take for what was read before the end.
const DRAIN: Duration = Duration::from_secs(4);

/// What is said then, on each session's standard error and with DISCONNECT.
const STOPPING: &str = "the server is stopping";

/// So often in vain a silent peer is asked whether it is there.
const KEEPALIVES: u32 = 3;

/// Reads the settings again, for SIGHUP: also lines that an operator should know. An error is told, and changes nothing.
pub type Reload = Box<dyn FnMut() -> Result<(Settings, Vec<String>), String> + Send>;

/// What is served to whom.
pub struct ServerOptions {
    /// Where it listens; they do not block.
    pub listeners: Vec<std::net::TcpListener>,
    /// What the server is known by, and what it offers.
    pub config: ServerConfig,
    /// What a reload may change.
    pub settings: Settings,
    /// How to read them again; without it SIGHUP changes nothing.
    pub reload: Option<Reload>,
    /// Who is told how it stands.
    pub notify: Notify,
}

/// A peer.
struct Peer {
    address: Option<SocketAddr>,
    /// Once it is logged in.
    user: Option<Vec<u8>>,
    since: Instant,
    failures: u32,
}

/// How connections begin; a reload changes it.
struct Begin {
    config: Arc<ServerConfig>,
    userauth: ServerUserauthConfig,
    limits: ChannelLimits,
    keepalive: Option<Keepalive>,
}

/// Turns before it is told that it listens, or has reloaded, if they are wanted at once: by then its logs are followed, and what
/// is written to them is shown.
const FIRST_TURNS: usize = 16;

struct App {
    authenticator: Authenticator,
    limits: Limits,
    begin: Arc<Mutex<Begin>>,
    desk: Desk,
    peers: HashMap<PeerId, Peer>,
    signals: Option<(Signals, Option<SourceId>)>,
    reload: Option<Reload>,
    notify: Notify,
    stop: Arc<AtomicBool>,
    /// What was read is being sent; then, all is over.
    drain: Option<Instant>,
    is_over: bool,
    /// When the logs want a turn.
    logs_due: Option<Instant>,
    /// When viewers were shown something the last time, and whether there is more.
    shown: Instant,
    has_news: bool,
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
}

impl WeblogServer {
    /// Listens; `signals` says whether SIGTERM, SIGINT and SIGHUP are its.
    ///
    /// # Errors
    /// A text for the user.
    pub fn bind(options: ServerOptions, signals: bool) -> Result<Self, String> {
        let ServerOptions { listeners, config, settings, reload, notify } = options;
        let Settings { users, logs, limits } = settings;
        let text = |error: io::Error| error.to_string();
        let now = Instant::now();
        let begin = Arc::new(Mutex::new(Begin::new(Arc::new(config), &users.methods, &limits)));
        let gate = Gate::new(gate_config(&limits), Box::new(SystemRng));
        let stop = Arc::new(AtomicBool::new(false));
        let mut wakers = None;
        let mut driver = Driver::with_waker(|waker| {
            let authenticator = Authenticator::new(users.accounts, users.passwords, &waker)?;
            let signals = if signals { Some((Signals::new([SIGTERM, SIGINT, SIGHUP])?, None)) } else { None };
            let desk = Desk::new(&waker, users.rights, &logs, limits.ring, Caps::default(), now)?;
            wakers = Some(waker);
            Ok(App {
                authenticator,
                limits,
                begin: Arc::clone(&begin),
                desk,
                peers: HashMap::new(),
                signals,
                reload,
                notify,
                stop: Arc::clone(&stop),
                drain: None,
                is_over: false,
                logs_due: None,
                shown: now,
                has_news: false,
            })
        })
        .map_err(text)?;
        let accept = move |_, now| begin.lock().unwrap_or_else(PoisonError::into_inner).connection(now);
        let mut listeners = listeners.into_iter().map(TcpListener::from_std);
        let first = listeners.next().ok_or("nowhere to listen")?;
        driver.listen_behind(gate, first, Box::new(accept)).map_err(text)?;
        listeners.try_for_each(|listener| driver.listen_at(listener)).map_err(text)?;
        driver.with(|app, cx, peers| app.start(cx, peers)).map_err(|error| error.to_string())?;
        let waker = wakers.ok_or("no waker")?;
        driver.app.notify.ready();
        Ok(Self { driver, stopper: Stopper { stop, waker } })
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
        self.driver.run().map_err(|error| error.to_string())
    }
}

/// The gate's rules. Only a login that failed brings a penalty, and none comes to where somebody is logged in.
fn gate_config(limits: &Limits) -> GateConfig {
    let none = Duration::ZERO;
    GateConfig {
        startups: limits.max_startups,
        startups_per_source: Some(u32::MAX),
        connections_max: limits.max_connections,
        connections_per_source_max: if limits.per_source == 0 { u32::MAX } else { limits.per_source },
        penalties: Some(Penalties {
            crash: none,
            refuseconnection: none,
            noauth: none,
            grace_exceeded: none,
            ..Penalties::default()
        }),
        spares_logged_in: true,
        ..GateConfig::default()
    }
}

impl Begin {
    fn new(config: Arc<ServerConfig>, methods: &crate::userauth::MethodChains, limits: &Limits) -> Self {
        let mut config = ServerConfig::clone(&config);
        config.transport.login_grace = limits.login_grace.unwrap_or(Duration::MAX);
        Self {
            config: Arc::new(config),
            userauth: ServerUserauthConfig {
                methods: methods.clone(),
                max_auth_tries: limits.max_auth_tries,
                ..Default::default()
            },
            // One more than there may be: whoever asks for it is told why not, and is counted.
            limits: ChannelLimits {
                channels_max: usize::try_from(limits.max_sessions).unwrap_or(usize::MAX).saturating_add(1),
                ..ChannelLimits::default()
            },
            keepalive: limits.keepalive.map(|interval| Keepalive { interval, count_max: KEEPALIVES }),
        }
    }

    fn connection(&self, now: Instant) -> Connection<Server> {
        let rng: Box<dyn Rng + Send> = Box::new(SystemRng);
        let userauth = self.userauth.clone();
        let mut conn = Connection::new(Arc::clone(&self.config), userauth, self.limits, rng, now);
        conn.set_keepalive(self.keepalive, now);
        // Not to do it, but to count and to tell who asks for it.
        conn.expect_forwarding();
        conn
    }
}

impl App {
    fn start(&mut self, cx: &mut Context<'_>, peers: &mut Peers<'_, Server>) -> Result<(), Error> {
        if let Some(descriptor) = self.desk.descriptor() {
            cx.register(&mut SourceFd(&descriptor), Interest::READABLE)?;
        }
        if let Some((signals, id)) = &mut self.signals {
            *id = Some(cx.register(signals, Interest::READABLE)?);
        }
        self.begin_logs(cx, peers);
        Ok(())
    }

    /// Turns until the logs that are new are followed.
    fn begin_logs(&mut self, cx: &mut Context<'_>, peers: &mut Peers<'_, Server>) {
        for _ in 0..FIRST_TURNS {
            self.turn(cx, peers);
            if self.logs_due.is_none_or(|due| due > cx.now) {
                break;
            }
        }
    }

    /// Takes what the authenticator says.
    fn take_verdicts(&mut self) {
        for entry in self.authenticator.log.drain(..) {
            let peer = self.peers.get_mut(&entry.peer);
            let address = peer.as_ref().and_then(|peer| peer.address);
            match entry.verdict {
                None => audit::notice(&entry.text),
                Some(verdict) => {
                    let (user, with) = (&*verdict.user_name, &*verdict.with);
                    match verdict.outcome {
                        Outcome::Accepted => {
                            audit::login(user, address, verdict.method.name(), with);
                            self.desk.metrics.login(verdict.method);
                            if let Some(peer) = peer {
                                peer.user = Some(verdict.user_name);
                            }
                        }
                        Outcome::Partial => audit::notice(&entry.text),
                        Outcome::Failed => {
                            let method = verdict.method.name();
                            audit::refused(
                                address,
                                Some(user),
                                method,
                                Some(with).filter(|with| !with.is_empty()),
                            );
                            self.desk.metrics.refuse(Reason::Credential, 1);
                            if let Some(peer) = peer {
                                peer.failures += 1;
                            }
                        }
                    }
                }
            }
        }
    }

    /// Whatever is due: news of the logs, reports, ends of sessions.
    fn turn(&mut self, cx: &mut Context<'_>, peers: &mut Peers<'_, Server>) {
        let now = cx.now;
        let (has_news, due) = self.desk.read(now);
        (self.logs_due, self.has_news) = (due, self.has_news | has_news);
        self.has_news |= self.desk.report(now);
        let due = self.shown + TOGETHER;
        if self.has_news && (due <= now || self.drain.is_some()) {
            (self.shown, self.has_news) = (now, false);
            self.desk.show(peers, now);
        }
        self.desk.expire(peers, &self.limits, now);
        self.desk.draw(peers, now);
        self.desk.catch_up(peers, now);
        if let Some(deadline) = self.drain {
            // A session closes first, and its client says so: OpenSSH's forgets what it has not written when DISCONNECT comes.
            self.disconnect_idle(peers, now >= deadline);
            self.is_over |= now >= deadline + (DRAIN / 4);
        }
        self.schedule(cx);
    }

    fn schedule(&self, cx: &mut Context<'_>) {
        let show = self.has_news.then(|| self.shown + TOGETHER);
        let drain =
            self.drain.map(|deadline| if deadline > cx.now { deadline } else { deadline + DRAIN / 4 });
        let due = [self.logs_due, show, self.desk.due(&self.limits), drain];
        cx.set_timer(due.into_iter().flatten().min());
    }

    /// A signal, or its like.
    fn stop(&mut self, cx: &mut Context<'_>, peers: &mut Peers<'_, Server>) {
        if self.drain.is_some() {
            self.is_over = true;
            return;
        }
        self.notify.stopping();
        audit::notice("stopping: what was read is sent");
        cx.stop_listening();
        self.drain = Some(cx.now + DRAIN);
        self.turn(cx, peers);
        self.desk.close(peers, cx.now);
        self.turn(cx, peers);
    }

    fn disconnect_idle(&self, peers: &mut Peers<'_, Server>, all: bool) {
        for peer in self.peers.keys().filter(|peer| all || !self.desk.is_busy(**peer)) {
            if let Some(conn) = peers.get(*peer) {
                conn.disconnect(DisconnectReason::BY_APPLICATION, STOPPING);
            }
        }
    }

    fn reload(&mut self, cx: &mut Context<'_>, peers: &mut Peers<'_, Server>) {
        let Some(reload) = &mut self.reload else { return };
        self.notify.reloading();
        let read = reload();
        self.notify.ready();
        let (Settings { users, logs, limits }, notes) = match read {
            Ok(read) => read,
            Err(why) => return audit::notice(&format!("not reloaded: {why}")),
        };
        notes.iter().for_each(|note| audit::notice(note));
        if let Some(mut gate) = cx.gate() {
            gate.set_config(gate_config(&limits));
        }
        let mut begin = self.begin.lock().unwrap_or_else(PoisonError::into_inner);
        *begin = Begin::new(Arc::clone(&begin.config), &users.methods, &limits);
        drop(begin);
        for (id, peer) in &self.peers {
            let is_gone = |user: &Vec<u8>| users.accounts.account(user).is_none();
            if peer.user.as_ref().is_some_and(is_gone)
                && let Some(conn) = peers.get(*id)
            {
                conn.disconnect(DisconnectReason::BY_APPLICATION, "the user is gone");
            }
        }
        (self.authenticator.accounts, self.authenticator.passwords) = (users.accounts, users.passwords);
        self.desk.set(users.rights, &logs, limits.ring);
        self.limits = limits;
        self.begin_logs(cx, peers);
        audit::notice("reloaded");
    }

    fn signal(&mut self, cx: &mut Context<'_>, peers: &mut Peers<'_, Server>) {
        let pending = self.signals.as_mut().map(|(signals, _)| signals.pending().collect::<Vec<_>>());
        for signal in pending.unwrap_or_default() {
            match signal {
                SIGHUP => self.reload(cx, peers),
                _ => self.stop(cx, peers),
            }
        }
    }
}

impl Application<Server> for App {
    fn connect(&mut self, cx: &mut Context<'_>, peer: PeerId, address: Option<SocketAddr>) {
        self.peers.insert(peer, Peer { address, user: None, since: cx.now, failures: 0 });
        self.desk.connections = self.peers.len();
        self.authenticator.connect(peer, address);
    }

    fn refused(&mut self, _: &mut Context<'_>, source: SocketAddr, why: Refusal, untold: Option<u64>) {
        let reason = match why {
            Refusal::Startups | Refusal::StartupsOfSource => Reason::MaxStartups,
            Refusal::Connections => Reason::MaxConnections,
            Refusal::ConnectionsOfSource => Reason::PerSource,
            Refusal::Penalty(Offence::AuthFail | _) | Refusal::PenaltiesFull => Reason::Penalty,
        };
        self.desk.metrics.refuse(reason, 1);
        if let Some(untold) = untold {
            let why = format!("{why} ({untold} more since the last)");
            audit::refused(Some(source), None, &why, None);
        }
    }

    fn event(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Server>,
        event: Event<'_, Server>,
    ) -> Result<(), Error> {
        match event {
            Event::Kex(never) => match never {},
            Event::Userauth(question) => {
                let answered = self.authenticator.credential(peer, conn, question);
                self.take_verdicts();
                answered
            }
            Event::Authenticated => Ok(()),
            Event::Global(
                GlobalEvent::Forward { want_reply, .. } | GlobalEvent::CancelForward { want_reply, .. },
            ) => {
                self.desk.refuse(peer, &who(&self.peers, peer), Reason::Request, desk::FORWARDING);
                if want_reply {
                    conn.refuse_global_request()?;
                }
                Ok(())
            }
            Event::Global(_) => Ok(()),
            Event::Channel(id, event) => {
                let who = who(&self.peers, peer);
                self.desk.event(&who, (peer, id), conn, event, &self.limits, cx.now)?;
                if self.drain.is_some() && !self.desk.is_busy(peer) {
                    conn.disconnect(DisconnectReason::BY_APPLICATION, STOPPING);
                }
                self.schedule(cx);
                Ok(())
            }
        }
    }

    fn writable(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Server>,
        id: crate::connection::ChannelId,
    ) -> Result<(), Error> {
        self.desk.pump((peer, id), conn, cx.now)?;
        if self.desk.rests(&(peer, id)) {
            self.schedule(cx);
        }
        Ok(())
    }

    fn disconnect(&mut self, cx: &mut Context<'_>, id: PeerId, why: Result<(), Error>) {
        self.authenticator.disconnect(id);
        self.take_verdicts();
        self.desk.disconnect(id);
        let Some(peer) = self.peers.remove(&id) else { return };
        self.desk.connections = self.peers.len();
        let timed_out = matches!(why, Err(Error::Ssh(crate::transport::Error::TimedOut)));
        match &peer.user {
            None if timed_out => {
                self.desk.metrics.refuse(Reason::LoginGrace, 1);
                audit::refused(peer.address, None, "no login within login_grace", None);
            }
            None if peer.failures > self.limits.max_auth_tries => {
                self.desk.metrics.refuse(Reason::MaxAuthTries, 1);
            }
            Some(_) if timed_out => self.desk.metrics.refuse(Reason::Keepalive, 1),
            _ => {}
        }
        if let Some(user) = &peer.user {
            let why = match why {
                Ok(())
                | Err(Error::Ssh(crate::transport::Error::Disconnected {
                    reason: DisconnectReason::BY_APPLICATION,
                    ..
                })) => String::new(),
                Err(error) => error.to_string(),
            };
            audit::end(user, peer.address, cx.now.saturating_duration_since(peer.since), &why);
        }
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
                self.take_verdicts();
                self.desk.answered(peers, cx.now);
                if self.stop.load(Ordering::Relaxed) && self.drain.is_none() {
                    self.stop(cx, peers);
                }
                self.schedule(cx);
            }
            Source::Ready(id) if self.signals.as_ref().is_some_and(|(_, own)| *own == Some(id)) => {
                self.signal(cx, peers);
            }
            Source::Ready(_) | Source::Timer => self.turn(cx, peers),
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.is_over || (self.drain.is_some() && self.peers.is_empty())
    }
}

/// Who a connection is of.
fn who(peers: &HashMap<PeerId, Peer>, peer: PeerId) -> desk::Who<'_> {
    let peer = peers.get(&peer);
    desk::Who {
        user: peer.and_then(|peer| peer.user.as_deref()).unwrap_or_default(),
        address: peer.and_then(|peer| peer.address),
    }
}
