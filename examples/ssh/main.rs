//! A small ssh client: runs a command on a host, or its shell without a terminal, and forwards connections.
//!
//! ```text
//! cargo run --example ssh -- -i ~/.ssh/id_ed25519 ann@host uname -a
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, clippy::use_self)]

mod arguments;
mod forward;

use arguments::Arguments;
use clap::Parser;
use forward::Forwarding;
use std::alloc::System;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use strombus::connection::{ChannelEvent, ChannelId, Connection, Event, Request, open_failure};
use strombus::driver::algorithms::{QUERIES, query};
use strombus::driver::config::LoadError;
use strombus::driver::login::{Login, Refused};
use strombus::driver::proxy::{self, ORIGINATOR, Tell, Unreached};
use strombus::driver::stdio::{Descriptor, Input, Output};
use strombus::driver::terminal;
use strombus::driver::text::escaped_lines as escaped;
use strombus::driver::{Application, Context, Driver, Error, PeerId, Peers, Source};
use strombus::keys::ssh_config::End;
use strombus::tell;
use strombus::transport::Client;
use strombus::wire::DisconnectReason;
use zeroizing_alloc::ZeroAlloc;

/// Wipes what is freed, passwords among it.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// No connection, no login, or no exit status.
const FAILED: u8 = 255;

struct Ssh {
    login: Login,
    command: Option<Vec<u8>>,
    /// What the host connects to, instead of a command.
    target: Option<End>,
    forwarding: Forwarding,
    /// Nothing runs there.
    no_command: bool,
    /// The host owes a reply about the agent, before that about the command.
    agent_offered: bool,
    waker: Arc<mio::Waker>,
    peer: Option<PeerId>,
    channel: Option<ChannelId>,
    input: Option<Input>,
    out: Output,
    err: Output,
    /// Bytes that wait for standard output, and whether more may come.
    unwritten: usize,
    ended: bool,
    /// The command has ended.
    ending: bool,
    status: u8,
    done: bool,
}

impl Ssh {
    fn tell(&mut self) {
        for notice in self.login.notices.drain(..) {
            tell!("{}", escaped(&notice));
        }
    }

    fn refused(&mut self, why: Refused) -> Error {
        self.tell();
        match why {
            Refused::HostKey(text) | Refused::Denied(text) => tell!("{}", escaped(&text)),
            Refused::Interrupted => self.status = 130,
        }
        Error::Io(std::io::ErrorKind::PermissionDenied.into())
    }

    fn channel_event(
        &mut self,
        conn: &mut Connection<Client>,
        id: ChannelId,
        event: ChannelEvent<'_>,
    ) -> Result<(), Error> {
        match event {
            ChannelEvent::Opened if self.target.is_some() => {
                self.status = 0;
                self.start_input(id)?;
            }
            ChannelEvent::Opened => {
                let binding = self.login.binding(conn);
                self.agent_offered = self.forwarding.offer_agent(conn, id, binding)?;
                match &self.command {
                    Some(command) => conn.channel(id)?.request_exec(command)?,
                    None => conn.channel(id)?.request_shell()?,
                }
            }
            // About the agent: without it the command runs all the same.
            ChannelEvent::Reply { .. } if core::mem::take(&mut self.agent_offered) => {}
            ChannelEvent::Reply { success: true } => self.start_input(id)?,
            ChannelEvent::Reply { success: false } => {
                tell!("ssh: the host does not run that");
                conn.channel(id)?.close()?;
            }
            ChannelEvent::Data { data } => {
                self.unwritten += data.len();
                self.out.push(data);
            }
            ChannelEvent::Eof if self.target.is_some() => {
                self.ended = true;
                self.pump_output(conn)?;
            }
            ChannelEvent::Stderr { data } => self.err.push(data),
            ChannelEvent::Request { request: Request::ExitStatus { exit_status }, .. } => {
                self.status = u8::try_from(exit_status & 0xff).unwrap_or(FAILED);
            }
            ChannelEvent::Request { request: Request::ExitSignal { signal_name, .. }, .. } => {
                tell!("ssh: ended by signal {}", signal_name.escape_ascii());
            }
            ChannelEvent::OpenFailure { reason_code, description } => {
                let what = self.target.as_ref().map_or("session".to_owned(), |to| escaped(&to.to_string()));
                tell!("ssh: no {what}: {}: {}", open_failure(reason_code), description.escape_ascii());
                conn.disconnect(DisconnectReason::BY_APPLICATION, "no channel");
            }
            ChannelEvent::Closed => {
                (self.channel, self.ending) = (None, true);
                self.end_if_idle(conn);
            }
            _ => {}
        }
        Ok(())
    }

    /// After the command the connection lasts as long as forwarded ones.
    fn end_if_idle(&self, conn: &mut Connection<Client>) {
        if self.ending && self.forwarding.is_idle() {
            conn.disconnect(DisconnectReason::BY_APPLICATION, "disconnected by user");
        }
    }

    /// What the user wants after the login.
    fn start(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Client>,
    ) -> Result<(), Error> {
        if let Err(text) = self.forwarding.start(cx, peer, conn) {
            self.give_up(conn, &text);
            return Ok(());
        }
        match &self.target {
            Some(End::Tcp { host, port }) => {
                let host = host.as_deref().unwrap_or_default();
                conn.open_direct_tcpip(host, *port, ORIGINATOR.0, ORIGINATOR.1)?;
            }
            Some(End::Unix(path)) => drop(conn.open_direct_streamlocal(path)?),
            None if self.no_command => {}
            None => drop(conn.open_session()?),
        }
        Ok(conn.send_no_more_sessions()?)
    }

    fn give_up(&mut self, conn: &mut Connection<Client>, text: &str) {
        tell!("Error: {}", escaped(text));
        (self.status, self.ending) = (FAILED, true);
        conn.disconnect(DisconnectReason::BY_APPLICATION, "disconnected by user");
    }

    fn start_input(&mut self, id: ChannelId) -> Result<(), Error> {
        self.channel = Some(id);
        self.input = Some(Input::spawn(Arc::clone(&self.waker))?);
        Ok(())
    }

    /// Standard input to the channel, as far as it takes it.
    fn pump_input(&mut self, conn: &mut Connection<Client>) -> Result<(), Error> {
        let (Some(input), Some(id)) = (&self.input, self.channel) else { return Ok(()) };
        let mut channel = conn.channel(id)?;
        if input.offer(|bytes| channel.write(bytes)) {
            channel.send_eof()?;
            self.input = None;
        }
        Ok(())
    }

    /// Credit for what was written here.
    fn pump_output(&mut self, conn: &mut Connection<Client>) -> Result<(), Error> {
        let (out, err) = (self.out.take_written(), self.err.take_written());
        self.unwritten -= out.0;
        if self.unwritten == 0 && core::mem::take(&mut self.ended) {
            end_output()?;
        }
        let Some(id) = self.channel else { return Ok(()) };
        let mut channel = conn.channel(id)?;
        channel.adjust_window(out.0 + err.0)?;
        if out.1.is_some() {
            channel.close()?; // nobody reads what comes
        }
        Ok(())
    }
}

/// Whoever reads standard output sees its end, while input may go on.
fn end_output() -> std::io::Result<()> {
    let _no_socket = rustix::net::shutdown(std::io::stdout(), rustix::net::Shutdown::Write);
    Ok(rustix::stdio::dup2_stdout(std::fs::File::open("/dev/null")?)?)
}

impl Application<Client> for Ssh {
    fn event(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Client>,
        event: Event<'_, Client>,
    ) -> Result<(), Error> {
        self.peer = Some(peer);
        let judged = match event {
            Event::Kex(question) => self.login.judge(conn, question),
            Event::Userauth(event) => self.login.userauth(conn, event),
            Event::Authenticated => {
                self.login.authenticated();
                self.start(cx, peer, conn)?;
                Ok(())
            }
            Event::Global(event) => {
                if let Err(text) = self.forwarding.global(&event) {
                    self.give_up(conn, &text);
                }
                self.login.global(conn, event);
                Ok(())
            }
            Event::Channel(id, event) => {
                if self.forwarding.event(cx, (peer, id), conn, &event)? {
                    self.end_if_idle(conn);
                    return Ok(());
                }
                return self.channel_event(conn, id, event);
            }
        };
        self.tell();
        judged.map_err(|why| self.refused(why))
    }

    fn writable(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Client>,
        id: ChannelId,
    ) -> Result<(), Error> {
        if self.forwarding.writable(cx, (peer, id), conn)? {
            self.end_if_idle(conn);
            return Ok(());
        }
        self.pump_input(conn)
    }

    fn disconnect(&mut self, cx: &mut Context<'_>, peer: PeerId, why: Result<(), Error>) {
        self.done = true;
        self.forwarding.disconnect(cx, peer);
        match why {
            Ok(()) if self.ending || (self.channel.is_none() && !self.no_command) => {}
            Ok(()) => tell!("ssh: the host closed the connection"),
            Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::PermissionDenied => return,
            Err(error) => tell!("ssh: {}", escaped(&self.login.explain(&error))),
        }
        if self.channel.is_some() {
            self.status = FAILED;
        }
    }

    fn source(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, Client>,
        source: Source,
    ) -> Result<(), Error> {
        self.forwarding.source(cx, peers, source)?;
        let Some(conn) = self.peer.and_then(|peer| peers.get(peer)) else { return Ok(()) };
        if let Err(why) = self.login.answered(conn) {
            let error = self.refused(why);
            self.done = true;
            return Err(error);
        }
        self.end_if_idle(conn);
        self.pump_input(conn)?;
        self.pump_output(conn)
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

fn run(arguments: &Arguments) -> Result<u8, String> {
    if let Some(what) = &arguments.query {
        let names = query(what)
            .ok_or_else(|| format!("ssh: -Q {}: it may be {}", escaped(what), QUERIES.join(", ")))?;
        let _nobody_reads = writeln!(std::io::stdout(), "{}", names.join("\n"));
        return Ok(0);
    }
    terminal::guard().map_err(|error| format!("ssh: {error}"))?;
    let told = |error: LoadError| format!("ssh: {}", error.text());
    let loaded = arguments.loaded().map_err(told)?;
    if arguments.print {
        let _nobody_reads = std::io::stdout().write_all(loaded.lines().map_err(told)?.as_bytes());
        return Ok(0);
    }
    let options = loaded.options().map_err(told)?;
    if arguments.verbose > 0 {
        options.passed_over.iter().for_each(|text| tell!("{}", escaped(text)));
    }
    let command = arguments.command(&options)?;
    let target = arguments.target()?;
    let tell: Tell = Arc::new(|text| tell!("{text}"));
    let (stream, _proxy) = match proxy::connect(&options, arguments.verbose > 0, &tell) {
        Ok(way) => way,
        Err(Unreached::Interrupted) => return Ok(130),
        Err(Unreached::Failed(text)) => return Err(format!("ssh: {text}")),
    };
    let mut driver = Driver::with_waker(|waker| {
        let forwarding = Forwarding::new(&options, &waker);
        let login = Login::new(options, Arc::clone(&waker)).map_err(std::io::Error::other)?;
        let out = Output::spawn(Descriptor::Out, Arc::clone(&waker))?;
        let err = Output::spawn(Descriptor::Err, Arc::clone(&waker))?;
        let (peer, channel, input) = (None, None, None);
        let (unwritten, ended, ending, status, done) = (0, false, false, FAILED, false);
        Ok(Ssh {
            login,
            command,
            target,
            forwarding,
            no_command: arguments.no_command,
            agent_offered: false,
            waker,
            peer,
            channel,
            input,
            out,
            err,
            unwritten,
            ended,
            ending,
            status,
            done,
        })
    })
    .map_err(|error| format!("ssh: {error}"))?;
    let conn = driver.app.login.connection(Instant::now());
    driver.app.tell();
    driver.add(stream, conn, None).map_err(|error| format!("ssh: {error}"))?;
    let ended = driver.run();
    driver.app.login.abort();
    driver.app.out.finish();
    driver.app.err.finish();
    match ended {
        Err(Error::Ssh(error)) => Err(format!("ssh: {error}")),
        _ => Ok(driver.app.status),
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(status) => ExitCode::from(status),
        Err(text) => {
            tell!("{}", escaped(&text));
            ExitCode::from(FAILED)
        }
    }
}
