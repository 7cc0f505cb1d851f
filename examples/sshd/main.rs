//! A small sshd for the user who runs it: commands, shells with terminals and without, files and forwarding, by keys or
//! passwords.
//!
//! ```text
//! cargo run --example sshd -- -D -e -p 2222 -h host_key -o AuthorizedKeysFile=$PWD/authorized_keys
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, clippy::use_self)]

mod child;
mod forward;
mod options;
mod orphans;
mod session;
mod sftp;

use clap::Parser;
use forward::Forwarding;
use mio::net::TcpListener;
use options::Options;
use session::Sessions;
use sftp::Sftp;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU};
use std::alloc::System;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use strombus::connection::{ChannelEvent, ChannelId, ChannelLimits, Connection, Event, Request};
use strombus::crypto::SystemRng;
use strombus::driver::algorithms::{AlgorithmOptions, PRESET_HELP};
use strombus::driver::authenticator::Authenticator;
use strombus::driver::forward::listen_at;
use strombus::driver::gate::{Gate, Refusal};
use strombus::driver::text::escaped_lines as escaped;
use strombus::driver::{Application, Context, Error, PeerId, Peers, Source, Workers, files};
use strombus::tell;
use strombus::transport::{Server, ServerConfig};
use zeroizing_alloc::ZeroAlloc;

/// Wipes what is freed, passwords among it.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// Serves commands to the user who runs it.
#[derive(Parser)]
#[command(name = "sshd", version, disable_help_flag = true, after_help = PRESET_HELP)]
struct Arguments {
    /// Stay in the foreground, which is what happens anyway
    #[arg(short = 'D')]
    foreground: bool,
    /// Log to standard error, which is what happens anyway
    #[arg(short = 'e')]
    log: bool,
    /// File of options like those of -o, one a line as in sshd_config(5)
    #[arg(short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Port; 0 for one that is free
    #[arg(short)]
    port: Option<u16>,
    /// File of a host key; may be repeated, one of a type
    #[arg(short = 'h', value_name = "FILE")]
    host_key: Vec<PathBuf>,
    /// An option by its name in sshd_config(5); may be repeated
    #[arg(short, value_name = "KEY=VALUE")]
    option: Vec<String>,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

struct Sshd {
    algorithms: AlgorithmOptions,
    authenticator: Authenticator,
    sessions: Sessions,
    sftp: Sftp,
    forwarding: Forwarding,
}

impl Sshd {
    fn channel_event(
        &mut self,
        cx: &mut Context<'_>,
        channel: (PeerId, ChannelId),
        conn: &mut Connection<Server>,
        event: ChannelEvent<'_>,
    ) -> Result<(), Error> {
        if self.forwarding.event(cx, channel, conn, &event)? {
            return Ok(());
        }
        match event {
            ChannelEvent::OpenRequest { .. } => self.sessions.open(channel, conn),
            ChannelEvent::Request { request: Request::AuthAgentReq, want_reply } => {
                let socket = self.forwarding.agent(cx, channel.0, conn);
                if want_reply {
                    conn.channel(channel.1)?.reply(socket.is_some())?;
                }
                self.sessions.agents.extend(socket.map(|socket| (channel.0, socket)));
                Ok(())
            }
            event => {
                let taken = self.sftp.event(channel, conn, &event)?;
                // The end of a session is also that of what was prepared for it.
                if taken && event != ChannelEvent::Closed {
                    return Ok(());
                }
                self.sessions.event(cx, channel, conn, event)
            }
        }
    }

    fn tell(&mut self) {
        for entry in self.authenticator.log.drain(..) {
            tell!("{}", entry.text);
        }
    }
}

impl Application<Server> for Sshd {
    fn connect(&mut self, _: &mut Context<'_>, peer: PeerId, address: Option<SocketAddr>) {
        self.authenticator.connect(peer, address);
        self.sessions.connect(peer, address);
        if let Some(address) = address {
            tell!("connection from {address}");
        }
    }

    fn accepted(&mut self, peer: PeerId, own: SocketAddr) {
        self.sessions.accepted(peer, own);
    }

    fn refused(&mut self, _: &mut Context<'_>, source: SocketAddr, why: Refusal, untold: Option<u64>) {
        if let Some(untold) = untold {
            tell!("refused {source}: {why} ({untold} more since the last)");
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
                self.tell();
                answered
            }
            Event::Authenticated => Ok(()),
            Event::Global(event) => self.forwarding.global(cx, peer, conn, event),
            Event::Channel(id, event) => self.channel_event(cx, (peer, id), conn, event),
        }
    }

    fn writable(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Server>,
        id: ChannelId,
    ) -> Result<(), Error> {
        if self.forwarding.writable(cx, (peer, id), conn)? {
            return Ok(());
        }
        self.sftp.sessions.pump((peer, id), conn)?;
        self.sessions.pump(cx, (peer, id), conn)
    }

    fn disconnect(&mut self, cx: &mut Context<'_>, peer: PeerId, why: Result<(), Error>) {
        if let Err(error) = why {
            tell!("disconnected: {}", escaped(&self.algorithms.explain(&error)));
        }
        self.authenticator.disconnect(peer);
        self.sessions.disconnect(cx, peer);
        self.sftp.sessions.disconnect(peer);
        self.forwarding.disconnect(cx, peer);
    }

    fn source(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, Server>,
        source: Source,
    ) -> Result<(), Error> {
        self.forwarding.source(cx, peers, source)?;
        match source {
            Source::Ready(id) => self.sessions.source(cx, peers, id)?,
            Source::Timer => {}
            Source::Woken => {
                self.authenticator.answered(peers);
                self.tell();
                self.sftp.sessions.answered(peers);
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        false
    }
}

/// Whoever starts this may have it ignore signals, as nohup(1) and a shell's background do. Commands would inherit that; a signal
/// that is taken, and nothing done about it, they do not.
fn keep_ignored_signals_from_commands() -> std::io::Result<()> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default().trim();
    let ignored = u64::from_str_radix(mask, 16).unwrap_or_default();
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU] {
        if ignored & (1 << (signal - 1)) != 0 {
            signal_hook::flag::register(signal, Arc::default())?;
        }
    }
    Ok(())
}

/// Listens at all these addresses, as far as that can be.
fn listeners(hosts: &[(String, Option<u16>)], port: u16) -> Result<Vec<TcpListener>, String> {
    let mut listeners = Vec::new();
    for (host, own) in hosts {
        let addresses = (host.as_str(), own.unwrap_or(port)).to_socket_addrs();
        for address in addresses.map_err(|error| format!("{host}: {error}"))? {
            match listen_at(address) {
                Ok(listener) => listeners.push(TcpListener::from_std(listener)),
                Err(error) => tell!("Bind to port {} on {} failed: {error}.", address.port(), address.ip()),
            }
        }
    }
    Ok(listeners)
}

fn run(arguments: &Arguments) -> Result<(), String> {
    keep_ignored_signals_from_commands().map_err(|error| error.to_string())?;
    let options = Options::new(&arguments.option, arguments.file.as_deref())?;
    let mut host_keys = Vec::new();
    let paths = arguments.host_key.iter().chain(&options.host_keys);
    if paths.clone().next().is_none() {
        return Err("no host key: name one with -h; ssh-keygen -t ed25519 makes one".to_owned());
    }
    for path in paths {
        let key = files::read_private_key(path).map_err(|error| format!("{}: {error}", path.display()))?;
        host_keys.push(Arc::new(key));
    }
    let listeners = listeners(&options.listen, arguments.port.unwrap_or(options.port))?;
    let bound = listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>();
    let bound = bound.map_err(|error| error.to_string())?;
    let mut listeners = listeners.into_iter();
    let first = listeners.next().ok_or("Cannot bind any address.")?;
    let mut workers = Workers::new(options.workers, |_, waker| {
        let (accounts, passwords) = (options.accounts.clone(), options.passwords.clone());
        Ok(Sshd {
            algorithms: options.algorithms.clone(),
            authenticator: Authenticator::new(accounts, passwords, &waker)?,
            sessions: Sessions::new(options.sessions.clone()),
            forwarding: Forwarding::new(options.forward.clone(), &waker),
            sftp: Sftp::new(strombus::driver::sftp::Sessions::new(waker), options.sftp.clone()),
        })
    })
    .map_err(|error| error.to_string())?;
    let (transport, certificates) = (options.transport, options.certificates);
    let config = Arc::new(ServerConfig { transport, certificates, ..ServerConfig::new(host_keys) });
    let userauth = options.userauth;
    let keepalive = Some(options.keepalive);
    let accept = move |_, now| {
        let limits = ChannelLimits::default();
        let mut conn =
            Connection::new(Arc::clone(&config), userauth.clone(), limits, Box::new(SystemRng), now);
        conn.set_keepalive(keepalive, now);
        conn.expect_forwarding();
        conn
    };
    let gate = Gate::new(options.gate, Box::new(SystemRng));
    workers.listen_behind(gate, first, accept).map_err(|error| error.to_string())?;
    listeners.try_for_each(|listener| workers.listen_at(listener)).map_err(|error| error.to_string())?;
    for address in bound {
        tell!("Server listening on {} port {}.", address.ip(), address.port());
    }
    workers.run().map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            tell!("sshd: {text}");
            ExitCode::FAILURE
        }
    }
}
