//! A server for measurements, which has no processes: it answers a few commands from memory, as fast as the library lets it.
//!
//! ```text
//! cargo run --release --example bench_server -- -p 0 -h host_key -o AuthorizedKeysFile=$PWD/authorized_keys
//! ```
//!
//! Commands: `true`, `head -c N /dev/zero`, `cat >/dev/null`, `cat`, `tail -n0 -f FILE`; any other ends with 127. Of the options
//! of `examples/sshd` it takes `-D`, `-e`, `-p`, `-h` and of `-o` `AuthorizedKeysFile`, `Workers`, `RekeyLimit` and those that
//! choose algorithms. The keys are read once; who has one of them may log in by any name. There is no gate, and a failure is told
//! at once: this is for a loopback interface, and nothing else.
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, clippy::use_self)]

mod command;
mod echo;
mod follow;

use clap::Parser;
use command::Command;
use core::time::Duration;
use echo::Echo;
use follow::{FileId, Follower, Place};
use mio::net::TcpListener;
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use strombus::connection::{ChannelEvent, ChannelId, ChannelLimits, Connection, Event, Request};
use strombus::crypto::SystemRng;
use strombus::crypto::sign::PublicKey;
use strombus::driver::algorithms::AlgorithmOptions;
use strombus::driver::{Application, Context, Error, PeerId, Peers, Source, Workers, files, options};
use strombus::keys::authorized_keys;
use strombus::transport::{Server, ServerConfig, TransportConfig};
use strombus::userauth::{
    Credential, CredentialEvent, Method, MethodChains, Permissions, ServerUserauthConfig,
};
use strombus::wire::number::Sender as Role;

/// Answers commands from memory.
#[derive(Parser)]
#[command(name = "bench_server", version, disable_help_flag = true)]
struct Arguments {
    /// Stay in the foreground, which is what happens anyway
    #[arg(short = 'D')]
    foreground: bool,
    /// Log to standard error, which is what happens anyway
    #[arg(short = 'e')]
    log: bool,
    /// Port; 0 for one that is free
    #[arg(short, default_value_t = 0)]
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

/// What the options say.
struct Options {
    keys: Arc<[PublicKey]>,
    workers: usize,
    algorithms: AlgorithmOptions,
    transport: TransportConfig,
}

impl Options {
    fn new(given: &[String]) -> Result<Self, String> {
        let mut own = Self {
            keys: Arc::default(),
            workers: 1,
            algorithms: AlgorithmOptions::new(Role::Server),
            transport: TransportConfig::server(),
        };
        for option in given {
            let (keyword, value) = option.split_once('=').ok_or_else(|| format!("-o {option}: no value"))?;
            own.set(keyword, value).map_err(|why| format!("-o {option}: {why}"))?;
        }
        own.transport.algorithms = own.algorithms.chosen().clone();
        Ok(own)
    }

    fn set(&mut self, keyword: &str, value: &str) -> Result<(), String> {
        match keyword.to_ascii_lowercase().as_str() {
            "authorizedkeysfile" => {
                let text = files::read_text(value.as_ref()).map_err(|error| error.to_string())?;
                let entries = authorized_keys::plain_entries(&text).filter_map(Result::ok);
                self.keys = entries.map(|entry| entry.key).collect();
            }
            "rekeylimit" => {
                self.transport.rekey_limit =
                    options::rekey_limit(value).ok_or("bytes with K, M or G, perhaps seconds")?;
            }
            "workers" => self.workers = value.parse().map_err(|_| "a number")?,
            _ => {
                let unknown = || Err("no keyword that this server acts on".to_owned());
                return self.algorithms.set(keyword, value).unwrap_or_else(unknown);
            }
        }
        Ok(())
    }
}

/// A command that sends as long as it lasts.
enum Work {
    /// Zeros still to be sent.
    Zeros(u64),
    Echo(Echo),
    Follow(FileId),
}

struct Bench {
    keys: Arc<[PublicKey]>,
    /// Of each peer that has some, its channels with such a command: few.
    works: HashMap<PeerId, Vec<(ChannelId, Work)>>,
    follower: Follower,
}

impl Bench {
    fn channel_event(
        &mut self,
        cx: &mut Context<'_>,
        place: Place,
        conn: &mut Connection<Server>,
        event: ChannelEvent<'_>,
    ) -> Result<(), Error> {
        let id = place.1;
        match event {
            ChannelEvent::OpenRequest { .. } => conn.accept_channel(id)?,
            ChannelEvent::Data { data } => match self.work(place) {
                Some(Work::Echo(echo)) => echo.take(conn.channel(id)?, data)?,
                _ => conn.channel(id)?.adjust_window(data.len())?,
            },
            // Only what reads ends with its input.
            ChannelEvent::Eof => match self.work(place) {
                None => end(conn, id, 0)?,
                Some(Work::Echo(echo)) => {
                    echo.end();
                    self.proceed(place, conn)?;
                }
                Some(Work::Zeros(_) | Work::Follow(_)) => {}
            },
            ChannelEvent::Request { request: Request::Exec { command }, want_reply } => {
                if want_reply {
                    conn.channel(id)?.reply(true)?;
                }
                self.begin(cx, place, conn, &Command::parse(command))?;
            }
            ChannelEvent::Request { want_reply: true, .. } => conn.channel(id)?.reply(false)?,
            ChannelEvent::Closed => self.forget(place),
            _ => {}
        }
        Ok(())
    }

    fn begin(
        &mut self,
        cx: &mut Context<'_>,
        place: Place,
        conn: &mut Connection<Server>,
        command: &Command,
    ) -> Result<(), Error> {
        let work = match command {
            Command::Sink => return Ok(()),
            Command::True => return end(conn, place.1, 0),
            Command::Unknown => return end(conn, place.1, 127),
            Command::Zeros(count) => Work::Zeros(*count),
            Command::Echo => Work::Echo(Echo::default()),
            Command::Follow(path) => match self.follower.follow(cx, place, path) {
                Ok(file) => Work::Follow(file),
                Err(_) => return end(conn, place.1, 1),
            },
        };
        self.works.entry(place.0).or_default().push((place.1, work));
        self.proceed(place, conn)
    }

    fn work(&mut self, place: Place) -> Option<&mut Work> {
        let works = self.works.get_mut(&place.0)?;
        works.iter_mut().find(|(id, _)| *id == place.1).map(|(_, work)| work)
    }

    /// Sends as far as the channel takes it.
    fn proceed(&mut self, place: Place, conn: &mut Connection<Server>) -> Result<(), Error> {
        match self.work(place) {
            None => return Ok(()),
            Some(Work::Follow(file)) => {
                let file = file.clone();
                return self.follower.catch_up(place, &file, conn);
            }
            Some(Work::Echo(echo)) => {
                if !echo.proceed(conn.channel(place.1)?)? {
                    return Ok(());
                }
            }
            Some(Work::Zeros(left)) => {
                while *left > 0 {
                    let filled = conn.channel(place.1)?.fill(|space| {
                        let n = space.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                        space.iter_mut().take(n).for_each(|octet| *octet = 0);
                        Ok::<_, Error>(n)
                    })?;
                    let Some(n @ 1..) = filled else { return Ok(()) };
                    *left -= n as u64;
                }
            }
        }
        self.forget(place);
        end(conn, place.1, 0)
    }

    /// A channel has nothing to send any more.
    fn forget(&mut self, place: Place) {
        let Some(works) = self.works.get_mut(&place.0) else { return };
        if let Some(at) = works.iter().position(|(id, _)| *id == place.1)
            && let (_, Work::Follow(file)) = works.swap_remove(at)
        {
            self.follower.forget(place, file);
        }
        if works.is_empty() {
            self.works.remove(&place.0);
        }
    }
}

/// A command is done.
fn end(conn: &mut Connection<Server>, id: ChannelId, status: u32) -> Result<(), Error> {
    let mut channel = conn.channel(id)?;
    // It was closed before: nobody asks any more.
    if channel.is_open_for_data() {
        channel.send_exit_status(status)?;
        channel.send_eof()?;
        channel.close()?;
    }
    Ok(())
}

impl Application<Server> for Bench {
    fn event(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Server>,
        event: Event<'_, Server>,
    ) -> Result<(), Error> {
        match event {
            Event::Kex(never) => match never {},
            Event::Userauth(CredentialEvent { credential, ticket, .. }) => {
                let is_known = match &credential {
                    Credential::Query { key } | Credential::Publickey { key, .. } => {
                        self.keys.contains(key.key())
                    }
                    _ => false,
                };
                match is_known {
                    true => drop(conn.accept_user(ticket, &Permissions::FULL)?),
                    false => conn.refuse_user(ticket)?,
                }
                Ok(())
            }
            Event::Authenticated | Event::Global(_) => Ok(()),
            Event::Channel(id, event) => self.channel_event(cx, (peer, id), conn, event),
        }
    }

    fn writable(
        &mut self,
        _: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Server>,
        id: ChannelId,
    ) -> Result<(), Error> {
        self.proceed((peer, id), conn)
    }

    fn disconnect(&mut self, _: &mut Context<'_>, peer: PeerId, _: Result<(), Error>) {
        for (id, work) in self.works.remove(&peer).unwrap_or_default() {
            if let Work::Follow(file) = work {
                self.follower.forget((peer, id), file);
            }
        }
    }

    fn source(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, Server>,
        _: Source,
    ) -> Result<(), Error> {
        self.follower.changed(cx, peers)
    }

    fn is_done(&self) -> bool {
        false
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let Options { keys, workers, transport, .. } = Options::new(&arguments.option)?;
    let mut host_keys = Vec::new();
    for path in &arguments.host_key {
        let key = files::read_private_key(path).map_err(|error| format!("{}: {error}", path.display()))?;
        host_keys.push(Arc::new(key));
    }
    let listener =
        TcpListener::bind(([127, 0, 0, 1], arguments.port).into()).map_err(|error| error.to_string())?;
    let bound = listener.local_addr().map_err(|error| error.to_string())?;
    let mut workers = Workers::new(workers, |_, _| {
        Ok(Bench { keys: Arc::clone(&keys), works: HashMap::new(), follower: Follower::default() })
    })
    .map_err(|error| error.to_string())?;
    let config = Arc::new(ServerConfig { transport, ..ServerConfig::new(host_keys) });
    let userauth = ServerUserauthConfig {
        methods: MethodChains::any_of(&[Method::Publickey]),
        failure_delay: Duration::ZERO,
        ..Default::default()
    };
    let accept = move |_, now| {
        let limits = ChannelLimits::default();
        Connection::new(Arc::clone(&config), userauth.clone(), limits, Box::new(SystemRng), now)
    };
    workers.listen(listener, accept).map_err(|error| error.to_string())?;
    eprintln!("Server listening on {} port {}.", bound.ip(), bound.port());
    workers.run().map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("bench_server: {text}");
            ExitCode::FAILURE
        }
    }
}
