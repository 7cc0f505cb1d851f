//! A small sshd for the user who runs it: commands, by keys or passwords.
//!
//! ```text
//! cargo run --example sshd -- -D -e -p 2222 -h host_key -o AuthorizedKeysFile=$PWD/authorized_keys
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, clippy::use_self)]

mod options;
mod session;

use clap::Parser;
use mio::net::TcpListener;
use options::Options;
use session::Sessions;
use std::alloc::System;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use strombus::connection::{ChannelEvent, ChannelId, ChannelLimits, Connection, Event};
use strombus::crypto::SystemRng;
use strombus::driver::algorithms::{AlgorithmOptions, PRESET_HELP};
use strombus::driver::authenticator::Authenticator;
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
    /// Port; 0 for one that is free
    #[arg(short, default_value = "22")]
    port: u16,
    /// File of a host key; may be repeated, one of a type
    #[arg(short = 'h', value_name = "FILE", required = true)]
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
}

impl Sshd {
    fn tell(&mut self) {
        for line in self.authenticator.log.drain(..) {
            tell!("{line}");
        }
    }
}

impl Application<Server> for Sshd {
    fn connect(&mut self, _: &mut Context<'_>, peer: PeerId, address: Option<SocketAddr>) {
        self.authenticator.connect(peer, address);
        if let Some(address) = address {
            tell!("connection from {address}");
        }
    }

    fn refused(&mut self, _: &mut Context<'_>, source: SocketAddr, why: Refusal, passed_over: u64) {
        tell!("refused {source}: {why} ({passed_over} more since the last)");
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
            Event::Authenticated | Event::Global(_) => Ok(()),
            Event::Channel(id, ChannelEvent::OpenRequest) => Ok(conn.accept_channel(id)?),
            Event::Channel(id, event) => self.sessions.event(cx, (peer, id), conn, event),
        }
    }

    fn writable(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Server>,
        id: ChannelId,
    ) -> Result<(), Error> {
        self.sessions.pump(cx, (peer, id), conn)
    }

    fn disconnect(&mut self, cx: &mut Context<'_>, peer: PeerId, why: Result<(), Error>) {
        if let Err(error) = why {
            tell!("disconnected: {}", escaped(&self.algorithms.explain(&error)));
        }
        self.authenticator.disconnect(peer);
        self.sessions.disconnect(cx, peer);
    }

    fn source(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, Server>,
        source: Source,
    ) -> Result<(), Error> {
        match source {
            Source::Ready(id) => self.sessions.source(cx, peers, id)?,
            Source::Timer => {}
            Source::Woken => {
                self.authenticator.answered(peers);
                self.tell();
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        false
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let options = Options::new(&arguments.option)?;
    let mut host_keys = Vec::new();
    for path in &arguments.host_key {
        let key = files::read_private_key(path).map_err(|error| format!("{}: {error}", path.display()))?;
        host_keys.push(Arc::new(key));
    }
    let address = format!("{}:{}", options.address, arguments.port);
    let address = address.parse().map_err(|_| format!("{address}: not an address"))?;
    let listener = TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
    let bound = listener.local_addr().map_err(|error| error.to_string())?;
    let mut workers = Workers::new(options.workers, |_, waker| {
        let (accounts, passwords) = (options.accounts.clone(), options.passwords.clone());
        Ok(Sshd {
            algorithms: options.algorithms.clone(),
            authenticator: Authenticator::new(accounts, passwords, &waker)?,
            sessions: Sessions::default(),
        })
    })
    .map_err(|error| error.to_string())?;
    let (transport, certificates) = (options.transport, options.certificates);
    let config = Arc::new(ServerConfig { transport, certificates, ..ServerConfig::new(host_keys) });
    let userauth = options.userauth;
    let accept = move |_, now| {
        let limits = ChannelLimits::default();
        Connection::new(Arc::clone(&config), userauth.clone(), limits, Box::new(SystemRng), now)
    };
    let gate = Gate::new(options.gate, Box::new(SystemRng));
    workers.listen_behind(gate, listener, accept).map_err(|error| error.to_string())?;
    tell!("Server listening on {} port {}.", bound.ip(), bound.port());
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
