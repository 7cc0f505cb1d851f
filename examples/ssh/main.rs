//! A small ssh client: a command, a shell or a subsystem on a host, with a terminal there or without, and forwarding.
//!
//! ```text
//! cargo run --example ssh -- -i ~/.ssh/id_ed25519 ann@host uname -a
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, clippy::use_self)]

mod arguments;
mod forward;
mod plan;
mod session;

use arguments::Arguments;
use clap::Parser;
use forward::Forwarding;
use plan::Plan;
use session::{FAILED, Session};
use std::alloc::System;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use strombus::connection::{ChannelEvent, ChannelId, Connection, Event};
use strombus::driver::algorithms::{QUERIES, query};
use strombus::driver::config::LoadError;
use strombus::driver::login::{Login, Refused};
use strombus::driver::proxy::{self, Tell, Unreached};
use strombus::driver::terminal;
use strombus::driver::text::escaped_lines as escaped;
use strombus::driver::{Application, Context, Driver, Error, PeerId, Peers, Source};
use strombus::keys::ssh_config::LogLevel;
use strombus::tell;
use strombus::transport::Client;
use strombus::wire::DisconnectReason;
use zeroizing_alloc::ZeroAlloc;

/// Wipes what is freed, passwords among it.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

struct Ssh {
    login: Login,
    session: Session,
    forwarding: Forwarding,
    peer: Option<PeerId>,
    done: bool,
}

impl Ssh {
    fn tell(&mut self) {
        for notice in self.login.notices.drain(..) {
            self.session.say(LogLevel::Info, &notice);
        }
    }

    fn refused(&mut self, why: Refused) -> Error {
        self.tell();
        match why {
            Refused::HostKey(text) | Refused::Denied(text) => self.session.say(LogLevel::Error, &text),
            Refused::Interrupted => self.session.status = 130,
        }
        Error::Io(std::io::ErrorKind::PermissionDenied.into())
    }

    /// What the user wants after the login.
    fn start(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Client>,
    ) -> Result<(), Error> {
        if let Err(text) = self.forwarding.start(cx, peer, conn) {
            self.session.give_up(conn, &text);
            return Ok(());
        }
        self.session.open(conn)?;
        Ok(conn.send_no_more_sessions()?)
    }

    fn channel_event(
        &mut self,
        cx: &mut Context<'_>,
        channel: (PeerId, ChannelId),
        conn: &mut Connection<Client>,
        event: ChannelEvent<'_>,
    ) -> Result<(), Error> {
        if !self.forwarding.event(cx, channel, conn, &event)? {
            if event == ChannelEvent::Opened && self.session.takes_agent() {
                let binding = self.login.binding(conn);
                if self.forwarding.offer_agent(conn, channel.1, binding)? {
                    self.session.agent_offered();
                }
            }
            self.session.event(cx, conn, channel.1, event)?;
        }
        self.end_if_idle(conn);
        Ok(())
    }

    /// After the session the connection lasts as long as forwarded ones.
    fn end_if_idle(&self, conn: &mut Connection<Client>) {
        if self.session.over && self.forwarding.is_idle() {
            conn.disconnect(DisconnectReason::BY_APPLICATION, "disconnected by user");
        }
    }
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
                    self.session.give_up(conn, &text);
                }
                self.login.global(conn, event);
                Ok(())
            }
            Event::Channel(id, event) => return self.channel_event(cx, (peer, id), conn, event),
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
        self.session.pump(conn)
    }

    fn disconnect(&mut self, cx: &mut Context<'_>, peer: PeerId, why: Result<(), Error>) {
        self.done = true;
        self.forwarding.disconnect(cx, peer);
        let text = match why {
            _ if self.session.over => return,
            Ok(()) => self.session.closed_there(),
            Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::PermissionDenied => return,
            Err(error) => format!("ssh: {}", self.login.explain(&error)),
        };
        self.session.fail(&text);
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
        if let Source::Ready(id) = source {
            self.session.ready(conn, id)?;
        }
        self.end_if_idle(conn);
        self.session.pump(conn)
    }

    fn is_done(&self) -> bool {
        self.done || self.session.done
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
    let plan = Plan::new(arguments, &options)?;
    let quiet = plan.level < LogLevel::Error;
    let tell: Tell = Arc::new(|text| tell!("{text}"));
    let (stream, _proxy) = match proxy::connect(&options, arguments.verbose > 0, &tell) {
        Ok(way) => way,
        Err(Unreached::Interrupted) => return Ok(130),
        Err(Unreached::Failed(_)) if quiet => return Ok(FAILED),
        Err(Unreached::Failed(text)) => return Err(format!("ssh: {text}")),
    };
    let mut driver = Driver::with_waker(|waker| {
        let forwarding = Forwarding::new(&options, &waker);
        let login = Login::new(options, Arc::clone(&waker)).map_err(std::io::Error::other)?;
        let session = Session::new(plan, waker)?;
        Ok(Ssh { login, session, forwarding, peer: None, done: false })
    })
    .map_err(|error| format!("ssh: {error}"))?;
    let conn = driver.app.login.connection(Instant::now());
    driver.app.tell();
    driver.add(stream, conn, None).map_err(|error| format!("ssh: {error}"))?;
    let ended = driver.run();
    driver.app.login.abort();
    driver.app.session.finish();
    match ended {
        Err(Error::Ssh(error)) => Err(format!("ssh: {error}")),
        _ => Ok(driver.app.session.status),
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
