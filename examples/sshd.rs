//! A small sshd for the user who runs it: commands, by keys or passwords.
//!
//! ```text
//! cargo run --example sshd -- -D -e -p 2222 -h host_key -o AuthorizedKeysFile=$PWD/authorized_keys
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, clippy::use_self)]

use clap::Parser;
use mio::Interest;
use mio::net::TcpListener;
use mio::unix::SourceFd;
use mio::unix::pipe::{Receiver, Sender};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::alloc::System;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;
use strombus::connection::{Channel, ChannelEvent, ChannelId, ChannelLimits, Connection, Event, Request};
use strombus::crypto::SystemRng;
use strombus::crypto::sign::certificate::Certificate;
use strombus::driver::accounts::{Account, Accounts, Names};
use strombus::driver::algorithms::{AlgorithmOptions, PRESET_HELP};
use strombus::driver::authenticator::Authenticator;
use strombus::driver::gate::{Gate, GateConfig, Refusal};
use strombus::driver::join::{Drain, Fed, feed};
use strombus::driver::passwords::Passwords;
use strombus::driver::text::escaped_lines as escaped;
use strombus::driver::{
    Application, Context, Driver, Error, PeerId, Peers, Source, SourceId, config, files, options,
};
use strombus::keys::{certificate, ssh_config};
use strombus::tell;
use strombus::transport::{Server, ServerConfig, TransportConfig};
use strombus::userauth::{Method, MethodChains, Permissions, ServerUserauthConfig};
use strombus::wire::number::Sender as Role;
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

/// What the options say.
struct Options {
    address: String,
    account: Account,
    accounts: Accounts,
    /// AuthorizedKeysFile is `none`.
    no_key_files: bool,
    methods: Methods,
    certificates: Vec<Certificate>,
    passwords: Option<Arc<Passwords>>,
    algorithms: AlgorithmOptions,
    gate: GateConfig,
    transport: TransportConfig,
    userauth: ServerUserauthConfig,
}

impl Options {
    fn new(given: &[String]) -> Result<Self, String> {
        let mut own = Self {
            address: "127.0.0.1".to_owned(),
            account: Account::default(),
            accounts: Accounts::new(Names::Any { account: Account::default(), name: Vec::new() }),
            no_key_files: false,
            methods: Methods { publickey: true, password: true, interactive: true, chains: None },
            certificates: Vec::new(),
            passwords: None,
            algorithms: AlgorithmOptions::new(Role::Server),
            gate: GateConfig::default(),
            transport: TransportConfig::server(),
            userauth: ServerUserauthConfig::default(),
        };
        // The first of two counts, as in sshd_config(5).
        for option in given.iter().rev() {
            let (keyword, value) = option.split_once('=').ok_or("write options as Keyword=Value")?;
            own.set(keyword, value).map_err(|why| format!("-o {option}: {why}"))?;
        }
        own.transport.algorithms = own.algorithms.chosen().clone();
        if own.account.authorized_keys.is_empty() && !own.no_key_files {
            let ssh = options::home().join(".ssh");
            own.account.authorized_keys = vec![ssh.join("authorized_keys"), ssh.join("authorized_keys2")];
        }
        let name = config::own_name().into_bytes();
        own.accounts.names = Names::Any { account: own.account.clone(), name };
        own.userauth.methods = own.methods.chains(own.passwords.is_some())?;
        Ok(own)
    }

    fn set(&mut self, keyword: &str, value: &str) -> Result<(), String> {
        match keyword.to_ascii_lowercase().as_str() {
            "authenticationmethods" if value == "any" => self.methods.chains = None,
            "authenticationmethods" => {
                self.methods.chains = Some(MethodChains::parse(value).map_err(|error| error.to_string())?);
            }
            "authorizedkeysfile" => {
                let files = value.split_ascii_whitespace().filter_map(named).map(|path| of_user(&path));
                self.account.authorized_keys = files.collect::<Result<_, _>>()?;
                self.no_key_files = self.account.authorized_keys.is_empty();
            }
            "authorizedprincipalsfile" => {
                self.account.authorized_principals = named(value).map(|path| of_user(&path)).transpose()?;
            }
            "banner" => {
                let banner = named(value).map(|path| files::read_text(&path)).transpose();
                let banner = banner.map_err(|error| error.to_string())?;
                self.userauth.banner = banner.map(|text| String::from_utf8_lossy(&text).into_owned());
            }
            "hostcertificate" => {
                let text = files::read_text(value.as_ref()).map_err(|error| error.to_string())?;
                self.certificates.push(certificate::parse(&text).map_err(|error| error.to_string())?);
            }
            "listenaddress" => value.clone_into(&mut self.address),
            "logingracetime" => {
                let seconds = ssh_config::seconds(value).ok_or("a time")?;
                let seconds = if seconds == 0 { u32::MAX } else { seconds }; // no end, as good as
                self.transport.login_grace = Duration::from_secs(seconds.into());
            }
            "kbdinteractiveauthentication" => self.methods.interactive = yes(value)?,
            "maxauthtries" => self.userauth.max_auth_tries = value.parse().map_err(|_| "a number")?,
            "passwordfile" => {
                let text = files::read_text(value.as_ref()).map_err(|error| error.to_string())?;
                let text = String::from_utf8(text).map_err(|_| "not UTF-8")?;
                let passwords =
                    Passwords::parse(&text, None).map_err(|(line, why)| format!("line {line}: {why}"))?;
                self.passwords = Some(Arc::new(passwords));
            }
            "passwordauthentication" => self.methods.password = yes(value)?,
            "permituserenvironment" => self.accounts.permits_environment = yes(value)?,
            "pubkeyauthentication" => self.methods.publickey = yes(value)?,
            "rekeylimit" => {
                self.transport.rekey_limit =
                    options::rekey_limit(value).ok_or("bytes with K, M or G, perhaps seconds")?;
            }
            "revokedkeys" => self.accounts.revoked_keys = named(value),
            "strictmodes" => self.accounts.strict_modes = yes(value)?,
            "trustedusercakeys" => self.account.trusted_ca_keys = named(value),
            _ => {
                return self
                    .algorithms
                    .set(keyword, value)
                    .or_else(|| self.gate.set(keyword, value))
                    .unwrap_or_else(|| Err("unknown keyword".to_owned()));
            }
        }
        Ok(())
    }
}

/// Which methods may be tried.
struct Methods {
    publickey: bool,
    password: bool,
    interactive: bool,
    chains: Option<MethodChains>,
}

impl Methods {
    fn chains(&self, passwords: bool) -> Result<MethodChains, String> {
        let alone = [
            (Method::Publickey, self.publickey),
            (Method::Password, self.password && passwords),
            (Method::KeyboardInteractive, self.interactive && passwords),
        ];
        let alone: Vec<_> = alone.iter().filter(|(_, is)| *is).map(|(method, _)| *method).collect();
        let Some(chains) = &self.chains else { return Ok(MethodChains::any_of(&alone)) };
        let mut off = chains.methods().filter(|method| *method != Method::None && !alone.contains(method));
        match off.next() {
            Some(method) => {
                Err(format!("AuthenticationMethods names {}, which is switched off", method.name()))
            }
            None => Ok(chains.clone()),
        }
    }
}

/// A file's name with `%h`, `%u` and `%%` in it; a relative one is in the user's home.
fn of_user(path: &Path) -> Result<PathBuf, String> {
    let (mut whole, mut rest) = (String::new(), path.to_str().ok_or("not UTF-8")?);
    while let Some((before, after)) = rest.split_once('%') {
        whole.push_str(before);
        match after.chars().next() {
            Some('h') => whole.push_str(&options::home().display().to_string()),
            Some('u') => whole.push_str(&config::own_name()),
            Some('%') => whole.push('%'),
            _ => return Err("%h, %u and %% are what it may have".to_owned()),
        }
        rest = &after[1..];
    }
    whole.push_str(rest);
    Ok(options::home().join(whole))
}

/// A file's name, unless it is `none`.
fn named(value: &str) -> Option<PathBuf> {
    if value.eq_ignore_ascii_case("none") { None } else { Some(value.into()) }
}

fn yes(value: &str) -> Result<bool, String> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("yes or no".to_owned()),
    }
}

/// Which channel of which peer.
type Session = (PeerId, ChannelId);

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

struct Sshd {
    algorithms: AlgorithmOptions,
    authenticator: Authenticator,
    running: HashMap<Session, Running>,
    sources: HashMap<SourceId, Session>,
    /// Commands whose channel is gone, until they end too.
    orphans: HashMap<SourceId, (Child, OwnedFd)>,
}

impl Sshd {
    fn tell(&mut self) {
        for line in self.authenticator.log.drain(..) {
            tell!("{line}");
        }
    }

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

    fn channel_event(
        &mut self,
        cx: &mut Context<'_>,
        session: Session,
        conn: &mut Connection<Server>,
        event: ChannelEvent<'_>,
    ) -> Result<(), Error> {
        let id = session.1;
        match event {
            ChannelEvent::OpenRequest => conn.accept_channel(id)?,
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
    fn pump(
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
        self.pump(cx, (peer, id), conn)
    }

    fn disconnect(&mut self, cx: &mut Context<'_>, peer: PeerId, why: Result<(), Error>) {
        if let Err(error) = why {
            tell!("disconnected: {}", escaped(&self.algorithms.explain(&error)));
        }
        self.authenticator.disconnect(peer);
        let sessions: Vec<_> = self.running.keys().filter(|session| session.0 == peer).copied().collect();
        for session in sessions {
            self.abandon(cx, session);
        }
    }

    fn source(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, Server>,
        source: Source,
    ) -> Result<(), Error> {
        let id = match source {
            Source::Ready(id) => id,
            Source::Timer => return Ok(()),
            Source::Woken => {
                self.authenticator.answered(peers);
                self.tell();
                return Ok(());
            }
        };
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
    let mut driver = Driver::with_waker(|waker| {
        Ok(Sshd {
            algorithms: options.algorithms,
            authenticator: Authenticator::new(options.accounts, options.passwords, &waker)?,
            running: HashMap::new(),
            sources: HashMap::new(),
            orphans: HashMap::new(),
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
    driver.listen_behind(gate, listener, Box::new(accept)).map_err(|error| error.to_string())?;
    tell!("Server listening on {} port {}.", bound.ip(), bound.port());
    driver.run().map_err(|error| error.to_string())
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
