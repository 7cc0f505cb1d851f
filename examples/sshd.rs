//! A small sshd for the user who runs it: commands, by keys or passwords.
//!
//! ```text
//! cargo run --example sshd -- -D -e -p 2222 -h host_key -o AuthorizedKeysFile=authorized_keys
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, clippy::use_self)]

use clap::Parser;
use mio::Interest;
use mio::net::TcpListener;
use mio::unix::SourceFd;
use mio::unix::pipe::{Receiver, Sender};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;
use strombus::connection::{Channel, ChannelEvent, ChannelId, ChannelLimits, Connection, Event, Request};
use strombus::crypto::SystemRng;
use strombus::crypto::sign::PublicKey;
use strombus::crypto::sign::certificate::Certificate;
use strombus::driver::algorithms::{AlgorithmOptions, PRESET_HELP};
use strombus::driver::passwords::{Checker, Passwords};
use strombus::driver::{
    Application, Context, Driver, Error, PeerId, Peers, Source, SourceId, files, options,
};
use strombus::keys::{authorized_keys, certificate};
use strombus::transport::{Server, ServerConfig, Ticket, TransportConfig};
use strombus::userauth::{Credential, CredentialEvent, ServerUserauthConfig};
use strombus::wire::number::Sender as Role;

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
    authorized_keys: PathBuf,
    certificates: Vec<Certificate>,
    passwords: Option<Arc<Passwords>>,
    algorithms: AlgorithmOptions,
    transport: TransportConfig,
    userauth: ServerUserauthConfig,
}

impl Options {
    fn new(given: &[String]) -> Result<Self, String> {
        let mut own = Self {
            address: "127.0.0.1".to_owned(),
            authorized_keys: options::home().join(".ssh/authorized_keys"),
            certificates: Vec::new(),
            passwords: None,
            algorithms: AlgorithmOptions::new(Role::Server),
            transport: TransportConfig::server(),
            userauth: ServerUserauthConfig { password: false, ..Default::default() },
        };
        // The first of two counts, as in sshd_config(5).
        for option in given.iter().rev() {
            let (keyword, value) = option.split_once('=').ok_or("write options as Keyword=Value")?;
            own.set(keyword, value).map_err(|why| format!("-o {option}: {why}"))?;
        }
        own.transport.algorithms = own.algorithms.chosen().clone();
        Ok(own)
    }

    fn set(&mut self, keyword: &str, value: &str) -> Result<(), String> {
        match keyword.to_ascii_lowercase().as_str() {
            "authorizedkeysfile" => self.authorized_keys = value.into(),
            "hostcertificate" => {
                let text = files::read_text(value.as_ref()).map_err(|error| error.to_string())?;
                self.certificates.push(certificate::parse(&text).map_err(|error| error.to_string())?);
            }
            "listenaddress" => value.clone_into(&mut self.address),
            "logingracetime" => {
                self.transport.login_grace = Duration::from_secs(value.parse().map_err(|_| "seconds")?);
            }
            "maxauthtries" => self.userauth.max_auth_tries = value.parse().map_err(|_| "a number")?,
            "passwordfile" => {
                let text = files::read_text(value.as_ref()).map_err(|error| error.to_string())?;
                let text = String::from_utf8(text).map_err(|_| "not UTF-8")?;
                let passwords =
                    Passwords::parse(&text, None).map_err(|(line, why)| format!("line {line}: {why}"))?;
                self.passwords = Some(Arc::new(passwords));
                self.userauth.password = true;
            }
            "rekeylimit" => {
                self.transport.rekey_limit =
                    options::rekey_limit(value).ok_or("bytes with K, M or G, perhaps seconds")?;
            }
            _ => {
                return self
                    .algorithms
                    .set(keyword, value)
                    .unwrap_or_else(|| Err("unknown keyword".to_owned()));
            }
        }
        Ok(())
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
    /// Input that the pipe did not take yet; the peer has no credit for it.
    input: Vec<u8>,
    input_ended: bool,
    stdout: Option<(Receiver, SourceId)>,
    stderr: Option<(Receiver, SourceId)>,
}

struct Sshd {
    algorithms: AlgorithmOptions,
    authorized_keys: PathBuf,
    passwords: Option<Arc<Passwords>>,
    checker: Checker<(PeerId, Ticket)>,
    running: HashMap<Session, Running>,
    sources: HashMap<SourceId, Session>,
    /// Commands whose channel is gone, until they end too.
    orphans: HashMap<SourceId, (Child, OwnedFd)>,
}

impl Sshd {
    /// The user is whoever runs this program; every name is his.
    fn may_log_in(&self, key: &PublicKey) -> bool {
        match files::read_text(&self.authorized_keys) {
            Ok(file) => authorized_keys::plain_lookup(&file, key).is_some(),
            Err(error) => {
                eprintln!("{}: {error}", self.authorized_keys.display());
                false
            }
        }
    }

    fn credential(
        &mut self,
        peer: PeerId,
        conn: &mut Connection<Server>,
        question: CredentialEvent<'_>,
    ) -> Result<(), Error> {
        let CredentialEvent { user_name, credential, ticket } = question;
        let yes = match credential {
            Credential::Query { key } | Credential::Publickey { key, .. } => self.may_log_in(&key),
            Credential::Password(password) => match &self.passwords {
                Some(passwords) => match self.checker.check(passwords, user_name, password, (peer, ticket)) {
                    Ok(()) => return Ok(()),
                    Err((_, ticket)) => return Ok(conn.refuse_user(ticket)?), // too many wait
                },
                None => false,
            },
        };
        if yes {
            conn.accept_user(ticket)?
        } else {
            conn.refuse_user(ticket)?
        }
        Ok(())
    }

    fn start(&mut self, cx: &mut Context<'_>, session: Session, command: Option<&[u8]>) -> io::Result<()> {
        let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
        let mut start = Command::new(&shell);
        if let Some(command) = command {
            start.arg("-c").arg(std::os::unix::ffi::OsStrExt::from_bytes(command) as &std::ffi::OsStr);
        }
        start.env_clear().current_dir(options::home()).process_group(0);
        for name in ["HOME", "USER", "LOGNAME", "PATH", "SHELL"] {
            start.envs(std::env::var_os(name).map(|value| (name, value)));
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
            input: Vec::new(),
            input_ended: false,
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
                let command = match request {
                    Request::Exec { command } => Some(Some(command)),
                    Request::Shell => Some(None),
                    _ => None,
                };
                let started = match command.map(|command| self.start(cx, session, command)) {
                    Some(Ok(())) => true,
                    Some(Err(error)) => {
                        eprintln!("cannot start a command: {error}");
                        false
                    }
                    None => false,
                };
                if want_reply {
                    conn.channel(id)?.reply(started)?;
                }
            }
            ChannelEvent::Data { data } => match self.running.get_mut(&session) {
                Some(running) if running.stdin.is_some() => {
                    running.input.extend_from_slice(data);
                    self.pump(cx, session, conn)?;
                }
                _ => conn.channel(id)?.adjust_window(data.len())?,
            },
            ChannelEvent::Eof => {
                if let Some(running) = self.running.get_mut(&session) {
                    running.input_ended = true;
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
        let mut written = 0;
        let mut broken = false;
        while written < self.input.len() {
            match pipe.write(&self.input[written..]) {
                Ok(n) => written += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    broken = true; // the command reads no more: what comes is thrown away
                    written = self.input.len();
                }
            }
        }
        self.input.drain(..written);
        channel.adjust_window(written)?;
        if broken || (self.input_ended && self.input.is_empty()) {
            let id = *id;
            cx.deregister(pipe, id)?;
            self.stdin = None;
            return Ok(Some(id));
        }
        Ok(None)
    }
}

/// Reads a pipe into its channel until one of them has enough; the source of the pipe, if it ended.
fn pump_output(
    cx: &mut Context<'_>,
    slot: &mut Option<(Receiver, SourceId)>,
    mut fill: impl FnMut(&mut Receiver) -> io::Result<Option<usize>>,
) -> Result<Option<SourceId>, Error> {
    let Some((pipe, id)) = slot else { return Ok(None) };
    loop {
        match fill(pipe) {
            Ok(Some(0)) => break,
            Ok(Some(_)) => {}
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
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
    fn connect(&mut self, _: &mut Context<'_>, _: PeerId, address: Option<SocketAddr>) {
        if let Some(address) = address {
            eprintln!("connection from {address}");
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
            Event::Userauth(question) => self.credential(peer, conn, question),
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
            eprintln!("disconnected: {}", self.algorithms.explain(&error));
        }
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
                while let Some(((peer, ticket), yes)) = self.checker.answer() {
                    if let Some(conn) = peers.get(peer) {
                        // A refusal may end the connection; its own turn tells.
                        let _ended = if yes { conn.accept_user(ticket) } else { conn.refuse_user(ticket) };
                    }
                }
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
            eprintln!("a session failed: {error}");
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
            authorized_keys: options.authorized_keys,
            passwords: options.passwords,
            checker: Checker::spawn(&waker)?,
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
    driver.listen(listener, Box::new(accept)).map_err(|error| error.to_string())?;
    eprintln!("Server listening on {} port {}.", bound.ip(), bound.port());
    driver.run().map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("sshd: {text}");
            ExitCode::FAILURE
        }
    }
}
