//! Sessions: what clients ask for on them, by what they may have, and what runs then.

use super::child::Running;
use super::orphans::Orphans;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use strombus::connection::{ChannelEvent, ChannelId, Connection, RESOURCE_SHORTAGE, Request, terminal_type};
use strombus::driver::environment::AcceptEnv;
use strombus::driver::pty::Pty;
use strombus::driver::{Context, Error, PeerId, Peers, SourceId, options, signal};
use strombus::tell;
use strombus::transport::Server;
use strombus::userauth::Permissions;

/// Which channel of which peer.
pub type Session = (PeerId, ChannelId);

/// What sessions may be.
#[derive(Clone)]
pub struct SessionOptions {
    /// PermitTTY.
    pub permit_tty: bool,
    /// AcceptEnv.
    pub accept_env: AcceptEnv,
    /// MaxSessions: of one connection. One that was closed counts until its command has ended, as with OpenSSH.
    pub max_sessions: usize,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self { permit_tty: true, accept_env: AcceptEnv::default(), max_sessions: 10 }
    }
}

/// What was asked for before anything runs.
#[derive(Default)]
struct Prepared {
    terminal: Option<(String, Pty)>,
    /// At most [`ENV_MAX`](strombus::connection::ENV_MAX).
    environment: Vec<(Vec<u8>, Vec<u8>)>,
}

enum Stage {
    Prepared(Prepared),
    Running(Box<Running>),
}

/// All sessions of the server.
pub struct Sessions {
    options: SessionOptions,
    peers: HashMap<PeerId, SocketAddr>,
    /// The addresses here that they came to.
    own: HashMap<PeerId, SocketAddr>,
    sessions: HashMap<Session, Stage>,
    sources: HashMap<SourceId, Session>,
    /// The sockets of the agents that clients forward.
    pub agents: HashMap<PeerId, PathBuf>,
    /// Commands whose channel is gone, until they end too.
    orphans: Orphans,
}

impl Sessions {
    pub fn new(options: SessionOptions) -> Self {
        let (peers, own, sessions) = (HashMap::new(), HashMap::new(), HashMap::new());
        let (sources, agents) = (HashMap::new(), HashMap::new());
        Self { options, peers, own, sessions, sources, agents, orphans: Orphans::default() }
    }

    /// A peer is there.
    pub fn connect(&mut self, peer: PeerId, address: Option<SocketAddr>) {
        self.peers.extend(address.map(|address| (peer, address)));
    }

    /// At which address a peer came in.
    pub fn accepted(&mut self, peer: PeerId, own: SocketAddr) {
        self.own.insert(peer, own);
    }

    /// A client asks for a session.
    pub fn open(&mut self, session: Session, conn: &mut Connection<Server>) -> Result<(), Error> {
        let open = self.sessions.keys().filter(|(peer, _)| *peer == session.0).count();
        if open + self.orphans.count(session.0) >= self.options.max_sessions {
            return Ok(conn.refuse_channel(session.1, RESOURCE_SHORTAGE, "too many sessions")?);
        }
        self.sessions.insert(session, Stage::Prepared(Prepared::default()));
        Ok(conn.accept_channel(session.1)?)
    }

    /// Something happened to a session.
    pub fn event(
        &mut self,
        cx: &mut Context<'_>,
        session: Session,
        conn: &mut Connection<Server>,
        event: ChannelEvent<'_>,
    ) -> Result<(), Error> {
        let id = session.1;
        match event {
            ChannelEvent::Request { request, want_reply } => {
                let permissions = conn.permissions().cloned().unwrap_or(Permissions::BARE);
                let granted = self.request(cx, session, request, &permissions);
                if want_reply {
                    conn.channel(id)?.reply(granted)?;
                }
                // It may have ended the output, and no descriptor be left that tells more.
                self.pump(cx, session, conn)?;
            }
            ChannelEvent::Data { data } => {
                let (dealt, is_over) = match self.running(session) {
                    Some(running) => (running.write(data), running.is_input_over()),
                    None => (data.len(), false),
                };
                conn.channel(id)?.adjust_window(dealt)?;
                if is_over {
                    self.pump(cx, session, conn)?;
                }
            }
            ChannelEvent::Eof => {
                if let Some(running) = self.running(session) {
                    running.end_input();
                    self.pump(cx, session, conn)?;
                }
            }
            ChannelEvent::Closed => self.abandon(cx, session),
            _ => {}
        }
        Ok(())
    }

    fn running(&mut self, session: Session) -> Option<&mut Running> {
        match self.sessions.get_mut(&session) {
            Some(Stage::Running(running)) => Some(running),
            _ => None,
        }
    }

    fn prepared(&mut self, session: Session) -> Option<&mut Prepared> {
        match self.sessions.get_mut(&session) {
            Some(Stage::Prepared(prepared)) => Some(prepared),
            _ => None,
        }
    }

    /// Whether a request is granted; what is granted was done.
    fn request(
        &mut self,
        cx: &mut Context<'_>,
        session: Session,
        request: Request<'_>,
        permissions: &Permissions,
    ) -> bool {
        let forced = permissions.force_command.is_some();
        match request {
            Request::PtyReq { term, size, modes } if permissions.pty && self.options.permit_tty => {
                let pty = Pty::open(size, modes).inspect_err(|error| tell!("no terminal: {error}"));
                let (Some(prepared), Ok(pty)) = (self.prepared(session), pty) else { return false };
                prepared.terminal = Some((terminal_type(term).to_owned(), pty));
                true
            }
            Request::Env { name, value } if self.options.accept_env.accepts(name) => {
                let Some(prepared) = self.prepared(session) else { return false };
                prepared.environment.push((name.to_vec(), value.to_vec()));
                true
            }
            Request::WindowChange { size } => match self.sessions.get(&session) {
                Some(Stage::Running(running)) => running.resize(size),
                Some(Stage::Prepared(Prepared { terminal: Some((_, pty)), .. })) => pty.resize(size).is_ok(),
                _ => false,
            },
            Request::Exec { command } => self.start(cx, session, Some(command), permissions),
            Request::Shell => self.start(cx, session, None, permissions),
            // What is forced runs in place of a subsystem, too.
            Request::Subsystem { subsystem_name } if forced => {
                self.start(cx, session, Some(subsystem_name), permissions)
            }
            // A client that may not choose what runs may not choose how it ends, either.
            Request::Signal { signal_name } if !forced => {
                let signal = signal::named(signal_name);
                self.running(session).zip(signal).is_some_and(|(running, signal)| running.signal(signal))
            }
            Request::Break { .. } => self.running(session).is_some_and(|running| running.send_break()),
            Request::Eow => self.running(session).map(|running| running.end_output(cx)).is_some(),
            _ => false,
        }
    }

    /// Starts a command, or the user's shell; what is forced goes before both.
    fn start(
        &mut self,
        cx: &mut Context<'_>,
        session: Session,
        asked: Option<&[u8]>,
        permissions: &Permissions,
    ) -> bool {
        let Some(prepared) = self.prepared(session).map(core::mem::take) else { return false };
        let command = self.command(session.0, asked, &prepared, permissions);
        let started = Running::start(cx, command, prepared.terminal.map(|(_, pty)| pty));
        match started {
            Ok(running) => {
                self.sources.extend(running.sources().map(|id| (id, session)));
                self.sessions.insert(session, Stage::Running(Box::new(running)));
                true
            }
            Err(error) => {
                tell!("cannot start a command: {error}");
                false
            }
        }
    }

    fn command(
        &self,
        peer: PeerId,
        asked: Option<&[u8]>,
        prepared: &Prepared,
        permissions: &Permissions,
    ) -> Command {
        let forced = permissions.force_command.as_deref();
        let shell = options::shell();
        let mut command = Command::new(&shell);
        match forced.or(asked) {
            Some(line) => {
                command.arg("-c").arg(OsStr::from_bytes(line));
            }
            None => {
                // A dash in front makes it a login shell.
                let name = Path::new(&shell).file_name().unwrap_or(&shell).to_string_lossy();
                command.arg0(format!("-{name}"));
            }
        }
        command.env_clear().current_dir(options::home());
        // What comes later counts: nothing of a client's stands in for what follows.
        for (name, value) in &prepared.environment {
            command.env(OsStr::from_bytes(name), OsStr::from_bytes(value));
        }
        for name in ["HOME", "USER", "LOGNAME", "PATH", "SHELL"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        for (name, value) in &permissions.environment {
            command.env(name, OsStr::from_bytes(value));
        }
        if let Some((client, server)) = self.peers.get(&peer).zip(self.own.get(&peer)) {
            let (ip, port) = (client.ip(), client.port());
            command.env("SSH_CLIENT", format!("{ip} {port} {}", server.port()));
            command.env("SSH_CONNECTION", format!("{ip} {port} {} {}", server.ip(), server.port()));
        }
        if let Some((term, pty)) = &prepared.terminal {
            command.env("TERM", term).env("SSH_TTY", pty.path());
        }
        if let Some(socket) = self.agents.get(&peer) {
            command.env("SSH_AUTH_SOCK", socket);
        }
        if let (Some(_), Some(asked)) = (forced, asked) {
            command.env("SSH_ORIGINAL_COMMAND", OsStr::from_bytes(asked));
        }
        command
    }

    /// Moves what can be moved between a command and its channel, and ends the channel after both ended.
    pub fn pump(
        &mut self,
        cx: &mut Context<'_>,
        session: Session,
        conn: &mut Connection<Server>,
    ) -> Result<(), Error> {
        let Some(running) = self.running(session) else { return Ok(()) };
        let mut channel = conn.channel(session.1)?;
        let over = running.pump(cx, &mut channel)?;
        if over {
            running.tell_end(&mut channel)?;
            channel.send_eof()?;
            channel.close()?;
        }
        self.forget_closed(session);
        if over {
            self.abandon(cx, session);
        }
        Ok(())
    }

    /// Another may have the numbers of sources that were closed.
    fn forget_closed(&mut self, session: Session) {
        let closed = self.running(session).map(Running::take_closed).unwrap_or_default();
        for id in closed {
            if self.sources.get(&id) == Some(&session) {
                self.sources.remove(&id);
            }
        }
    }

    /// Lets go of a session; a command that still runs is waited for.
    fn abandon(&mut self, cx: &mut Context<'_>, session: Session) {
        self.forget_closed(session);
        if let Some(Stage::Running(running)) = self.sessions.remove(&session) {
            for id in running.sources() {
                self.sources.remove(&id);
            }
            if let Some((id, orphan)) = running.let_go(cx) {
                self.orphans.keep(session.0, id, orphan);
            }
        }
    }

    /// The peer is gone, and its sessions are let go of.
    pub fn disconnect(&mut self, cx: &mut Context<'_>, peer: PeerId) {
        self.peers.remove(&peer);
        self.own.remove(&peer);
        self.agents.remove(&peer);
        let sessions: Vec<_> = self.sessions.keys().filter(|session| session.0 == peer).copied().collect();
        for session in sessions {
            self.abandon(cx, session);
        }
        self.orphans.disconnect(cx, peer);
    }

    /// A descriptor is ready, if it is one of a session's.
    pub fn source(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, Server>,
        id: SourceId,
    ) -> Result<(), Error> {
        if self.orphans.ended(cx, id) {
            return Ok(());
        }
        let Some(session) = self.sources.get(&id).copied() else { return Ok(()) };
        if let Some(running) = self.running(session) {
            running.ready(id);
        }
        if let Some(conn) = peers.get(session.0)
            && let Err(error) = self.pump(cx, session, conn)
        {
            tell!("a session failed: {error}");
            self.abandon(cx, session);
        }
        Ok(())
    }
}
