//! What runs in a session: a command with pipes or a terminal, its input and output, and its end.

use mio::Interest;
use mio::unix::SourceFd;
use mio::unix::pipe::{Receiver, Sender};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use strombus::connection::{Channel, WindowSize};
use strombus::driver::join::{Drain, Fed, feed};
use strombus::driver::pty::{Pty, Saying};
use strombus::driver::{Context, Error, SourceId, signal};
use strombus::transport::Server;

/// A command that runs, and the ways to it.
pub struct Running {
    child: Child,
    end: (OwnedFd, SourceId),
    status: Option<ExitStatus>,
    input: Drain,
    stdin: Option<(Sender, SourceId)>,
    stdout: Option<(Receiver, SourceId)>,
    stderr: Option<(Receiver, SourceId)>,
    terminal: Option<(Pty, SourceId)>,
    /// What is read of the terminal.
    saying: Saying,
    /// Sources that were closed since the last question.
    closed: Vec<SourceId>,
    /// The client was told that nobody reads.
    told: bool,
}

/// A command whose channel is gone, until it ends too.
pub struct Orphan {
    child: Child,
    end: OwnedFd,
}

impl Running {
    /// Starts a command: on a terminal, where it leads a session, or with pipes, where it leads a process group.
    pub fn start(cx: &mut Context<'_>, mut command: Command, mut terminal: Option<Pty>) -> io::Result<Self> {
        let child = match &mut terminal {
            Some(pty) => pty.spawn(command)?,
            None => {
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
                command.process_group(0).spawn()?
            }
        };
        let end = match pidfd_open(Pid::from_child(&child), PidfdFlags::NONBLOCK) {
            Ok(end) => cx.register(&mut SourceFd(&end.as_raw_fd()), Interest::READABLE).map(|id| (end, id)),
            Err(errno) => Err(errno.into()),
        };
        let mut running = Self::with(child, end)?;
        match running.join(cx, terminal) {
            Ok(()) => Ok(running),
            Err(error) => {
                let _killed = running.child.kill();
                running.status = running.child.wait().ok();
                drop(running.let_go(cx));
                Err(error)
            }
        }
    }

    /// Without an end to wait for it may not run.
    fn with(mut child: Child, end: io::Result<(OwnedFd, SourceId)>) -> io::Result<Self> {
        let end = end.inspect_err(|_| {
            let _killed = child.kill();
            let _reaped = child.wait();
        })?;
        let (stdin, stdout, stderr, terminal) = (None, None, None, None);
        let (input, saying, closed, told) = (Drain::default(), Saying::default(), Vec::new(), false);
        let status = None;
        Ok(Self { child, end, status, input, stdin, stdout, stderr, terminal, saying, closed, told })
    }

    /// Registers the ways to it.
    fn join(&mut self, cx: &mut Context<'_>, terminal: Option<Pty>) -> io::Result<()> {
        if let Some(mut pty) = terminal {
            let id = cx.register(&mut pty, Interest::READABLE | Interest::WRITABLE)?;
            self.terminal = Some((pty, id));
            return Ok(());
        }
        if let Some(pipe) = self.child.stdin.take() {
            let mut pipe = Sender::from(pipe);
            pipe.set_nonblocking(true)?;
            let id = cx.register(&mut pipe, Interest::WRITABLE)?;
            self.stdin = Some((pipe, id));
        }
        let mut readable = |mut pipe: Receiver| {
            pipe.set_nonblocking(true)?;
            let id = cx.register(&mut pipe, Interest::READABLE)?;
            Ok::<_, io::Error>((pipe, id))
        };
        self.stdout = self.child.stdout.take().map(|pipe| readable(pipe.into())).transpose()?;
        self.stderr = self.child.stderr.take().map(|pipe| readable(pipe.into())).transpose()?;
        Ok(())
    }

    /// All that the loop may name.
    pub fn sources(&self) -> impl Iterator<Item = SourceId> {
        let pipes = [self.stdout.as_ref(), self.stderr.as_ref()].into_iter().flatten().map(|(_, id)| *id);
        let others = self.stdin.iter().map(|(_, id)| *id).chain(self.terminal.iter().map(|(_, id)| *id));
        pipes.chain(others).chain([self.end.1])
    }

    /// Sources that were closed since the last call.
    pub fn take_closed(&mut self) -> Vec<SourceId> {
        core::mem::take(&mut self.closed)
    }

    /// Data came. How many bytes were dealt with.
    pub fn write(&mut self, data: &[u8]) -> usize {
        match (&mut self.stdin, &mut self.terminal) {
            (Some((pipe, _)), _) => self.input.write(data, pipe),
            (None, Some((pty, _))) => self.input.write(data, pty),
            (None, None) => data.len(),
        }
    }

    /// Nothing more goes in, whatever comes: it ended, or nobody there reads.
    pub fn is_input_over(&self) -> bool {
        self.input.is_over()
    }

    /// No more data comes. A terminal has no end: who is at it ends what runs.
    pub fn end_input(&mut self) {
        if self.terminal.is_none() {
            self.input.end();
        }
    }

    /// The client reads no more output.
    pub fn end_output(&mut self, cx: &mut Context<'_>) {
        if let Some((mut pipe, id)) = self.stdout.take() {
            let _gone = cx.deregister(&mut pipe, id);
            self.closed.push(id);
        }
    }

    /// A source is ready; if it is the one of the end, the command is waited for.
    pub fn ready(&mut self, id: SourceId) {
        if self.end.1 == id {
            // Where SIGCHLD is ignored the system keeps no status.
            let lost = |_| Some(ExitStatus::from_raw(0xff00));
            self.status = self.child.try_wait().unwrap_or_else(lost);
        }
    }

    /// Sends a signal to the process group of the command, unless that has ended.
    pub fn signal(&self, signal: Signal) -> bool {
        self.status.is_none() && kill_process_group(Pid::from_child(&self.child), signal).is_ok()
    }

    /// Gives the terminal another size.
    pub fn resize(&self, size: WindowSize) -> bool {
        self.terminal.as_ref().is_some_and(|(pty, _)| pty.resize(size).is_ok())
    }

    /// Sends a BREAK to the terminal.
    pub fn send_break(&self) -> bool {
        self.terminal.as_ref().is_some_and(|(pty, _)| pty.send_break().is_ok())
    }

    /// Moves what can be moved. Whether the command has ended and all that it said was passed on.
    pub fn pump(&mut self, cx: &mut Context<'_>, channel: &mut Channel<'_, Server>) -> Result<bool, Error> {
        self.pump_input(cx, channel)?;
        let closed = &mut self.closed;
        closed.extend(pump_output(cx, &mut self.stdout, |pipe| channel.fill(|buf| pipe.read(buf)))?);
        closed.extend(pump_output(cx, &mut self.stderr, |pipe| channel.fill_stderr(|buf| pipe.read(buf)))?);
        let has_ended = self.status.is_some();
        if let Some((pty, _)) = &mut self.terminal {
            self.saying.pump(has_ended, || channel.fill(|buf| pty.read(buf)));
        }
        let is_silent = self.terminal.is_none() || self.saying.is_over();
        Ok(has_ended && self.stdout.is_none() && self.stderr.is_none() && is_silent)
    }

    fn pump_input(&mut self, cx: &mut Context<'_>, channel: &mut Channel<'_, Server>) -> Result<(), Error> {
        let dealt = match (&mut self.stdin, &mut self.terminal) {
            (Some((pipe, _)), _) => self.input.flush(pipe),
            (None, Some((pty, _))) => self.input.flush(pty),
            (None, None) => 0,
        };
        channel.adjust_window(dealt)?;
        if self.input.is_broken() && channel.is_open_for_data() && !core::mem::replace(&mut self.told, true) {
            channel.send_eow()?;
        }
        if self.input.is_over()
            && let Some((mut pipe, id)) = self.stdin.take()
        {
            cx.deregister(&mut pipe, id)?;
            self.closed.push(id);
        }
        Ok(())
    }

    /// Tells the client how the command ended.
    pub fn tell_end(&self, channel: &mut Channel<'_, Server>) -> Result<(), Error> {
        let Some(status) = self.status else { return Ok(()) };
        match (status.code(), status.signal()) {
            (Some(code), _) => channel.send_exit_status(code.unsigned_abs())?,
            (None, number) => {
                let name = signal::name(number.unwrap_or_default());
                channel.send_exit_signal(name.as_bytes(), status.core_dumped(), "")?;
            }
        }
        Ok(())
    }

    /// Lets go of it: its pipes close, its terminal is hung up. If it still runs, it is to be waited for.
    pub fn let_go(mut self, cx: &mut Context<'_>) -> Option<(SourceId, Orphan)> {
        if let Some((mut pipe, id)) = self.stdin.take() {
            let _gone = cx.deregister(&mut pipe, id);
        }
        for (mut pipe, id) in [self.stdout.take(), self.stderr.take()].into_iter().flatten() {
            let _gone = cx.deregister(&mut pipe, id);
        }
        if let Some((mut pty, id)) = self.terminal.take() {
            self.signal(Signal::HUP);
            let _gone = cx.deregister(&mut pty, id);
        }
        let (end, id) = self.end;
        if self.status.is_some() {
            let _gone = cx.deregister(&mut SourceFd(&end.as_raw_fd()), id);
            return None;
        }
        Some((id, Orphan { child: self.child, end }))
    }
}

impl Orphan {
    /// It has ended, or nobody is told of it when it ends.
    pub fn unwatch(self, cx: &mut Context<'_>, id: SourceId) -> Child {
        let _gone = cx.deregister(&mut SourceFd(&self.end.as_raw_fd()), id);
        self.child
    }
}

/// Reads a pipe into its channel until one of them has enough; at its end closes it, and names the source that it was.
fn pump_output(
    cx: &mut Context<'_>,
    slot: &mut Option<(Receiver, SourceId)>,
    mut fill: impl FnMut(&mut Receiver) -> io::Result<Option<usize>>,
) -> Result<Option<SourceId>, Error> {
    if let Some((pipe, _)) = slot
        && feed(|| fill(pipe)) != Fed::Waits
        && let Some((mut pipe, id)) = slot.take()
    {
        cx.deregister(&mut pipe, id)?;
        return Ok(Some(id));
    }
    Ok(None)
}
