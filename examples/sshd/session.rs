//! Sessions: the command of each, the pipes to it, and its end.

use mio::Interest;
use mio::unix::SourceFd;
use mio::unix::pipe::{Receiver, Sender};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use strombus::connection::{Channel, ChannelEvent, ChannelId, Connection, Request};
use strombus::driver::join::{Drain, Fed, feed};
use strombus::driver::{Context, Error, PeerId, Peers, SourceId, options};
use strombus::tell;
use strombus::transport::Server;
use strombus::userauth::Permissions;

/// Which channel of which peer.
pub type Session = (PeerId, ChannelId);

/// A command that runs, and the pipes to it.
struct Running {
    child: Child,
    end: (OwnedFd, SourceId),
    status: Option<std::process::ExitStatus>,
    stdin: Option<(Sender, SourceId)>,
    input: Drain,
    stdout: Option<(Receiver, SourceId)>,
    stderr: Option<(Receiver, SourceId)>,
}

/// All sessions of the server.
#[derive(Default)]
pub struct Sessions {
    running: HashMap<Session, Running>,
    sources: HashMap<SourceId, Session>,
    /// The sockets of the agents that clients forward.
    pub agents: HashMap<PeerId, PathBuf>,
    /// Commands whose channel is gone, until they end too.
    orphans: HashMap<SourceId, (Child, OwnedFd)>,
}

impl Sessions {
    fn start(
        &mut self,
        cx: &mut Context<'_>,
        session: Session,
        asked: Option<&[u8]>,
        permissions: &Permissions,
    ) -> io::Result<()> {
        let forced = permissions.force_command.as_deref();
        let command = forced.or(asked);
        let mut start = Command::new(options::shell());
        if let Some(command) = command {
            start.arg("-c").arg(OsStr::from_bytes(command));
        }
        start.env_clear().current_dir(options::home()).process_group(0);
        for name in ["HOME", "USER", "LOGNAME", "PATH", "SHELL"] {
            start.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        for (name, value) in &permissions.environment {
            start.env(name, OsStr::from_bytes(value));
        }
        if let Some(socket) = self.agents.get(&session.0) {
            start.env("SSH_AUTH_SOCK", socket);
        }
        if let (Some(_), Some(asked)) = (forced, asked) {
            start.env("SSH_ORIGINAL_COMMAND", OsStr::from_bytes(asked));
        }
        let mut child = start.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let mut stdin = Sender::from(child.stdin.take().ok_or_else(gone)?);
        let mut stdout = Receiver::from(child.stdout.take().ok_or_else(gone)?);
        let mut stderr = Receiver::from(child.stderr.take().ok_or_else(gone)?);
        stdin.set_nonblocking(true)?;
        stdout.set_nonblocking(true)?;
        stderr.set_nonblocking(true)?;
        let end = pidfd_open(Pid::from_child(&child), PidfdFlags::NONBLOCK)?;
        let ids = [
            cx.register(&mut stdin, Interest::WRITABLE)?,
            cx.register(&mut stdout, Interest::READABLE)?,
            cx.register(&mut stderr, Interest::READABLE)?,
            cx.register(&mut SourceFd(&end.as_raw_fd()), Interest::READABLE)?,
        ];
        self.sources.extend(ids.map(|id| (id, session)));
        let running = Running {
            child,
            end: (end, ids[3]),
            status: None,
            stdin: Some((stdin, ids[0])),
            input: Drain::default(),
            stdout: Some((stdout, ids[1])),
            stderr: Some((stderr, ids[2])),
        };
        self.running.insert(session, running);
        Ok(())
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
                let command = match request {
                    Request::Exec { command } => Some(Some(command)),
                    Request::Shell => Some(None),
                    // What is forced runs in place of a subsystem, too.
                    Request::Subsystem { subsystem_name } => {
                        permissions.force_command.is_some().then_some(Some(subsystem_name))
                    }
                    _ => None,
                };
                let started = match command.map(|command| self.start(cx, session, command, &permissions)) {
                    Some(Ok(())) => true,
                    Some(Err(error)) => {
                        tell!("cannot start a command: {error}");
                        false
                    }
                    None => false,
                };
                if want_reply {
                    conn.channel(id)?.reply(started)?;
                }
            }
            ChannelEvent::Data { data } => {
                let dealt = match self.running.get_mut(&session) {
                    Some(Running { stdin: Some((pipe, _)), input, .. }) => input.write(data, pipe),
                    _ => data.len(),
                };
                conn.channel(id)?.adjust_window(dealt)?;
            }
            ChannelEvent::Eof => {
                if let Some(running) = self.running.get_mut(&session) {
                    running.input.end();
                    self.pump(cx, session, conn)?;
                }
            }
            ChannelEvent::Closed => self.abandon(cx, session),
            _ => {}
        }
        Ok(())
    }

    /// Moves what can be moved between a command and its channel, and ends the channel after both ended.
    pub fn pump(
        &mut self,
        cx: &mut Context<'_>,
        session: Session,
        conn: &mut Connection<Server>,
    ) -> Result<(), Error> {
        let Some(running) = self.running.get_mut(&session) else { return Ok(()) };
        let mut channel = conn.channel(session.1)?;
        let mut closed = Vec::new();
        closed.extend(running.pump_input(cx, &mut channel)?);
        closed.extend(pump_output(cx, &mut running.stdout, |pipe| channel.fill(|buf| pipe.read(buf)))?);
        closed
            .extend(pump_output(cx, &mut running.stderr, |pipe| channel.fill_stderr(|buf| pipe.read(buf)))?);
        for id in closed {
            self.sources.remove(&id);
        }
        let silent = running.stdout.is_none() && running.stderr.is_none();
        if let (Some(status), true) = (running.status, silent) {
            match (status.code(), status.signal()) {
                (Some(code), _) => channel.send_exit_status(code.unsigned_abs())?,
                (None, signal) => {
                    channel.send_exit_signal(signal_name(signal).as_bytes(), status.core_dumped())?
                }
            }
            channel.send_eof()?;
            channel.close()?;
            self.abandon(cx, session);
        }
        Ok(())
    }

    /// Lets go of a command: its pipes close; if it still runs, it is waited for.
    fn abandon(&mut self, cx: &mut Context<'_>, session: Session) {
        let Some(mut running) = self.running.remove(&session) else { return };
        if let Some((mut pipe, id)) = running.stdin.take() {
            let _gone = cx.deregister(&mut pipe, id);
            self.sources.remove(&id);
        }
        for (mut pipe, id) in [running.stdout.take(), running.stderr.take()].into_iter().flatten() {
            let _gone = cx.deregister(&mut pipe, id);
            self.sources.remove(&id);
        }
        let (end, id) = running.end;
        self.sources.remove(&id);
        if running.status.is_some() {
            let _gone = cx.deregister(&mut SourceFd(&end.as_raw_fd()), id);
        } else {
            self.orphans.insert(id, (running.child, end));
        }
    }

    /// The peer is gone, and its commands are let go of.
    pub fn disconnect(&mut self, cx: &mut Context<'_>, peer: PeerId) {
        let sessions: Vec<_> = self.running.keys().filter(|session| session.0 == peer).copied().collect();
        for session in sessions {
            self.abandon(cx, session);
        }
        self.agents.remove(&peer);
    }

    /// A descriptor is ready, if it is one of a session's.
    pub fn source(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, Server>,
        id: SourceId,
    ) -> Result<(), Error> {
        if let Some((mut child, end)) = self.orphans.remove(&id) {
            let _reaped = child.try_wait();
            let _gone = cx.deregister(&mut SourceFd(&end.as_raw_fd()), id);
            return Ok(());
        }
        let Some(session) = self.sources.get(&id).copied() else { return Ok(()) };
        if let Some(running) = self.running.get_mut(&session).filter(|running| running.end.1 == id) {
            running.status = running.child.try_wait()?;
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

impl Running {
    /// The source of the pipe, if it was closed.
    fn pump_input(
        &mut self,
        cx: &mut Context<'_>,
        channel: &mut Channel<'_, Server>,
    ) -> Result<Option<SourceId>, Error> {
        let Some((pipe, id)) = &mut self.stdin else { return Ok(None) };
        channel.adjust_window(self.input.flush(pipe))?;
        if !self.input.is_over() {
            return Ok(None);
        }
        let id = *id;
        cx.deregister(pipe, id)?;
        self.stdin = None;
        Ok(Some(id))
    }
}

/// Reads a pipe into its channel until one of them has enough; the source of the pipe, if it ended.
fn pump_output(
    cx: &mut Context<'_>,
    slot: &mut Option<(Receiver, SourceId)>,
    mut fill: impl FnMut(&mut Receiver) -> io::Result<Option<usize>>,
) -> Result<Option<SourceId>, Error> {
    let Some((pipe, id)) = slot else { return Ok(None) };
    if feed(|| fill(pipe)) == Fed::Waits {
        return Ok(None);
    }
    let id = *id;
    cx.deregister(pipe, id)?;
    *slot = None;
    Ok(Some(id))
}

fn signal_name(signal: Option<i32>) -> &'static str {
    match signal {
        Some(1) => "HUP",
        Some(2) => "INT",
        Some(3) => "QUIT",
        Some(4) => "ILL",
        Some(6) => "ABRT",
        Some(8) => "FPE",
        Some(9) => "KILL",
        Some(10) => "USR1",
        Some(11) => "SEGV",
        Some(12) => "USR2",
        Some(13) => "PIPE",
        Some(14) => "ALRM",
        _ => "TERM",
    }
}
