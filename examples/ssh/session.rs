//! The session: the requests on it, and the way between it and standard input, output and the terminal here.

use super::plan::{Plan, What};
use mio::Interest;
use signal_hook::consts::{SIGINT, SIGQUIT, SIGWINCH};
use signal_hook_mio::v1_0::Signals;
use std::collections::VecDeque;
use std::sync::Arc;
use strombus::connection::{ChannelEvent, ChannelId, Connection, Request, open_failure};
use strombus::driver::proxy::ORIGINATOR;
use strombus::driver::stdio::{Descriptor, Input, Output};
use strombus::driver::terminal::escape::{Escape, Escapes, HELP, Typed};
use strombus::driver::terminal::{Raw, terminal_modes, window_size};
use strombus::driver::text::{escaped_lines, excerpt};
use strombus::driver::{Context, Error, SourceId};
use strombus::keys::ssh_config::{End, LogLevel};
use strombus::tell;
use strombus::transport::Client;
use strombus::wire::DisconnectReason;

/// No connection, no login, or no exit status.
pub const FAILED: u8 = 255;

/// How long the BREAK of an escape is (ms), as ssh has it.
const BREAK_LENGTH: u32 = 1000;

/// The levels between which the escapes move.
const LEVELS: [(LogLevel, &str); 8] = [
    (LogLevel::Quiet, "QUIET"),
    (LogLevel::Fatal, "FATAL"),
    (LogLevel::Error, "ERROR"),
    (LogLevel::Info, "INFO"),
    (LogLevel::Verbose, "VERBOSE"),
    (LogLevel::Debug, "DEBUG"),
    (LogLevel::Debug2, "DEBUG2"),
    (LogLevel::Debug3, "DEBUG3"),
];

/// A request that waits for its reply; replies come in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Agent,
    Terminal,
    Start,
    Break,
}

/// The session of the program.
pub struct Session {
    plan: Plan,
    waker: Arc<mio::Waker>,
    channel: Option<ChannelId>,
    asked: VecDeque<Asked>,
    /// The terminal here, while it shows that of the host.
    raw: Option<Raw>,
    signals: Option<(Signals, SourceId)>,
    /// Input is taken, or was: with a terminal before anything runs.
    started: bool,
    input: Option<Input>,
    /// What is typed, if escapes are found in it.
    typed: Option<Typed>,
    /// The host has said that nobody there reads what would still be typed.
    unread: bool,
    out: Output,
    err: Output,
    /// Bytes that wait for standard output, and whether more may come.
    unwritten: usize,
    ended: bool,
    /// The exit status of the program.
    pub status: u8,
    /// Why it failed.
    why: Option<String>,
    /// What it was for is over.
    pub over: bool,
    /// The person wants no more of it.
    pub done: bool,
}

impl Session {
    pub fn new(plan: Plan, waker: Arc<mio::Waker>) -> std::io::Result<Self> {
        Ok(Self {
            out: Output::spawn(Descriptor::Out, Arc::clone(&waker))?,
            err: Output::spawn(Descriptor::Err, Arc::clone(&waker))?,
            typed: plan.escape_char.map(|character| Typed::new(Escapes::new(character))),
            unread: false,
            plan,
            waker,
            channel: None,
            asked: VecDeque::new(),
            raw: None,
            signals: None,
            started: false,
            input: None,
            unwritten: 0,
            ended: false,
            status: FAILED,
            why: None,
            over: false,
            done: false,
        })
    }

    /// Tells the person something, if as much is wanted.
    pub fn say(&self, level: LogLevel, text: &str) {
        if self.plan.level >= level {
            // Nothing is translated in raw mode.
            tell!("{}{}", escaped_lines(text), if self.raw.is_some() { "\r" } else { "" });
        }
    }

    /// The login is complete.
    pub fn open(&mut self, conn: &mut Connection<Client>) -> Result<(), Error> {
        match &self.plan.what {
            What::Nothing => {}
            What::Connect(End::Tcp { host, port }) => {
                let host = host.as_deref().unwrap_or_default();
                conn.open_direct_tcpip(host, *port, ORIGINATOR.0, ORIGINATOR.1)?;
            }
            What::Connect(End::Unix(path)) => {
                conn.open_direct_streamlocal(path)?;
            }
            _ => {
                conn.open_session()?;
            }
        }
        Ok(())
    }

    /// Whether the agent may be offered to what runs there.
    pub const fn takes_agent(&self) -> bool {
        matches!(self.plan.what, What::Shell | What::Command(_) | What::Subsystem(_))
    }

    /// It was, and the host owes a reply.
    pub fn agent_offered(&mut self) {
        self.asked.push_back(Asked::Agent);
    }

    /// It is not what the person wants without what failed.
    pub fn give_up(&mut self, conn: &mut Connection<Client>, text: &str) {
        self.fail(&format!("Error: {text}"));
        self.over = true;
        conn.disconnect(DisconnectReason::BY_APPLICATION, "disconnected by user");
    }

    /// Something happened to the channel.
    pub fn event(
        &mut self,
        cx: &mut Context<'_>,
        conn: &mut Connection<Client>,
        id: ChannelId,
        event: ChannelEvent<'_>,
    ) -> Result<(), Error> {
        match event {
            ChannelEvent::Opened => self.opened(conn, id)?,
            ChannelEvent::Reply { success } => self.replied(cx, conn, id, success)?,
            ChannelEvent::Data { data } => {
                self.unwritten += data.len();
                self.out.push(data);
            }
            ChannelEvent::Stderr { data } => self.err.push(data),
            ChannelEvent::Eof if matches!(self.plan.what, What::Connect(_)) => {
                self.ended = true;
                self.pump_output(conn)?;
            }
            ChannelEvent::Request { request, want_reply } => {
                self.requested(request);
                if want_reply {
                    conn.channel(id)?.reply(true)?;
                }
            }
            ChannelEvent::OpenFailure { reason_code, description } => {
                let what = match &self.plan.what {
                    What::Connect(end) => end.to_string(),
                    _ => "session".to_owned(),
                };
                let text = format!("ssh: no {what}: {}: {}", open_failure(reason_code), excerpt(description));
                self.say(LogLevel::Error, &text);
                conn.disconnect(DisconnectReason::BY_APPLICATION, "no channel");
                self.over = true;
            }
            ChannelEvent::Closed => {
                self.channel = None;
                self.over = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// Asks for all at once; the replies come in the same order.
    fn opened(&mut self, conn: &mut Connection<Client>, id: ChannelId) -> Result<(), Error> {
        self.channel = Some(id);
        let mut channel = conn.channel(id)?;
        if let What::Connect(_) = self.plan.what {
            self.status = 0;
            return self.start_input(conn, id);
        }
        if let Some(term) = &self.plan.terminal {
            channel.request_pty(term, window_size(), &terminal_modes())?;
            self.asked.push_back(Asked::Terminal);
        }
        for (name, value) in &self.plan.environment {
            channel.send_env(name, value)?;
        }
        match &self.plan.what {
            What::Command(command) => channel.request_exec(command)?,
            What::Subsystem(name) => channel.request_subsystem(name)?,
            _ => channel.request_shell()?,
        }
        self.asked.push_back(Asked::Start);
        Ok(())
    }

    fn replied(
        &mut self,
        cx: &mut Context<'_>,
        conn: &mut Connection<Client>,
        id: ChannelId,
        success: bool,
    ) -> Result<(), Error> {
        match (self.asked.pop_front(), success) {
            (Some(Asked::Terminal), true) => {
                // With -tt there need not be a terminal here.
                self.raw = Raw::enter().ok();
                if self.raw.is_some() {
                    let mut signals = Signals::new([SIGWINCH, SIGINT, SIGQUIT])?;
                    let source = cx.register(&mut signals, Interest::READABLE)?;
                    self.signals = Some((signals, source));
                }
                // At once: whatever the host answers or not, escapes are found.
                self.start_input(conn, id)?;
            }
            (Some(Asked::Terminal), false) => {
                self.say(LogLevel::Info, "PTY allocation request failed");
                (self.plan.terminal, self.typed) = (None, None);
            }
            (Some(Asked::Start), true) => self.start_input(conn, id)?,
            (Some(Asked::Start), false) => {
                self.raw = None;
                self.say(LogLevel::Error, "ssh: the host does not run that");
                self.close(conn, id)?;
            }
            (Some(Asked::Break), false) => self.say(LogLevel::Info, "the host sends no BREAK"),
            // Without the agent it runs all the same.
            (Some(Asked::Agent | Asked::Break) | None, _) => {}
        }
        Ok(())
    }

    fn requested(&mut self, request: Request<'_>) {
        match request {
            Request::ExitStatus { exit_status } => {
                self.status = u8::try_from(exit_status & 0xff).unwrap_or(FAILED);
            }
            Request::ExitSignal { signal_name, core_dumped, error_message } => {
                let core = if core_dumped { " (core dumped)" } else { "" };
                let why = if error_message.is_empty() {
                    String::new()
                } else {
                    format!(": {}", excerpt(error_message))
                };
                self.say(
                    LogLevel::Info,
                    &format!("ssh: ended by signal {}{core}{why}", excerpt(signal_name)),
                );
            }
            // Escapes are still looked for: in raw mode there is no other way out.
            Request::Eow if self.typed.is_some() => self.unread = true,
            Request::Eow => self.input = None,
            _ => {}
        }
    }

    fn start_input(&mut self, conn: &mut Connection<Client>, id: ChannelId) -> Result<(), Error> {
        if self.channel.is_none() || core::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        if self.plan.stdin_null {
            conn.channel(id)?.send_eof()?;
        } else {
            self.input = Some(Input::spawn(Arc::clone(&self.waker))?);
        }
        Ok(())
    }

    /// Moves what can be moved between the channel and here.
    pub fn pump(&mut self, conn: &mut Connection<Client>) -> Result<(), Error> {
        while let Some(escape) = self.pump_input(conn)? {
            self.escape(conn, escape)?;
        }
        self.pump_output(conn)
    }

    /// Standard input to the channel, as far as it takes it, up to an escape.
    fn pump_input(&mut self, conn: &mut Connection<Client>) -> Result<Option<Escape>, Error> {
        let (Some(input), Some(id), false) = (&self.input, self.channel, self.done) else { return Ok(None) };
        let (mut channel, mut escape) = (conn.channel(id)?, None);
        let mut write = |bytes: &[u8]| if self.unread { bytes.len() } else { channel.write(bytes) };
        let over = match &mut self.typed {
            None => input.offer(write),
            Some(typed) => {
                typed.flush(&mut write);
                let ended = input.offer(|bytes| {
                    let (taken, found) = typed.take(bytes, &mut write);
                    escape = found;
                    taken
                });
                ended && !typed.waits()
            }
        };
        if over {
            channel.send_eof()?;
            self.input = None;
        }
        Ok(escape)
    }

    fn escape(&mut self, conn: &mut Connection<Client>, escape: Escape) -> Result<(), Error> {
        match (escape, self.channel) {
            (Escape::Disconnect, _) => self.end(conn),
            (Escape::Suspend, Some(id)) => {
                if let Some(raw) = &self.raw {
                    raw.suspend()?;
                    conn.channel(id)?.send_window_change(window_size())?;
                }
            }
            (Escape::Break, Some(id)) => {
                conn.channel(id)?.request_break(BREAK_LENGTH)?;
                self.asked.push_back(Asked::Break);
            }
            (Escape::Rekey, _) => conn.start_kex(),
            (Escape::Quieter | Escape::Louder, _) => {
                let at = LEVELS.iter().position(|(level, _)| *level == self.plan.level).unwrap_or_default();
                let to = if escape == Escape::Louder { at + 1 } else { at.saturating_sub(1) };
                if let Some((level, name)) = LEVELS.get(to.min(LEVELS.len() - 1)) {
                    self.plan.level = *level;
                    tell!("[LogLevel {name}]\r");
                }
            }
            (Escape::Help, _) => tell!("{HELP}\r"),
            (Escape::Suspend | Escape::Break, None) => {}
        }
        Ok(())
    }

    /// Ends it at once, whatever the host does.
    fn end(&mut self, conn: &mut Connection<Client>) {
        (self.status, self.over, self.done) = (FAILED, true, true);
        conn.disconnect(DisconnectReason::BY_APPLICATION, "disconnected by user");
    }

    /// A descriptor is ready, if it is the one of the signals.
    pub fn ready(&mut self, conn: &mut Connection<Client>, id: SourceId) -> Result<(), Error> {
        let Some((signals, _)) = self.signals.as_mut().filter(|(_, own)| *own == id) else { return Ok(()) };
        for signal in signals.pending().collect::<Vec<_>>() {
            match (signal, self.channel) {
                (SIGWINCH, Some(id)) => conn.channel(id)?.send_window_change(window_size())?,
                (SIGWINCH, None) => {}
                _ => {
                    self.say(LogLevel::Verbose, &format!("Killed by signal {signal}."));
                    self.end(conn);
                }
            }
        }
        Ok(())
    }

    /// Credit for what was written here.
    fn pump_output(&mut self, conn: &mut Connection<Client>) -> Result<(), Error> {
        let (out, err) = (self.out.take_written(), self.err.take_written());
        self.unwritten = self.unwritten.saturating_sub(out.0);
        if self.unwritten == 0 && core::mem::take(&mut self.ended) {
            end_output()?;
        }
        let Some(id) = self.channel else { return Ok(()) };
        let mut channel = conn.channel(id)?;
        channel.adjust_window(out.0 + err.0)?;
        // Nobody reads what comes: who makes it there is to end, and so its status still comes.
        if out.1.is_some() && (matches!(self.plan.what, What::Connect(_)) || !channel.send_eow()?) {
            self.close(conn, id)?;
        }
        Ok(())
    }

    /// Ends the channel; nothing goes out on it after that, neither input nor the size of the window.
    fn close(&mut self, conn: &mut Connection<Client>, id: ChannelId) -> Result<(), Error> {
        (self.channel, self.input) = (None, None);
        Ok(conn.channel(id)?.close()?)
    }

    /// The loop has ended: all is written, and the terminal is as it was before.
    pub fn finish(&mut self) {
        self.out.finish();
        self.err.finish();
        self.raw = None;
        if let Some(why) = self.why.take() {
            self.say(LogLevel::Error, &why);
        } else if self.plan.terminal.is_some() && self.over {
            self.say(LogLevel::Info, &format!("Connection to {} closed.", self.plan.host));
        }
    }

    /// It has failed, and why; told once the terminal is as it was before.
    pub fn fail(&mut self, text: &str) {
        self.status = FAILED;
        self.why = Some(text.to_owned());
    }

    /// What the person is told when the host has ended it.
    pub fn closed_there(&self) -> String {
        format!("Connection to {} closed by remote host.", self.plan.host)
    }
}

/// Whoever reads standard output sees its end, while input may go on.
fn end_output() -> std::io::Result<()> {
    let _no_socket = rustix::net::shutdown(std::io::stdout(), rustix::net::Shutdown::Write);
    Ok(rustix::stdio::dup2_stdout(std::fs::File::open("/dev/null")?)?)
}
