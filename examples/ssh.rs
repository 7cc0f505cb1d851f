//! A small ssh client: runs a command on a host, or its shell without a terminal.
//!
//! ```text
//! cargo run --example ssh -- -i ~/.ssh/id_ed25519 ann@host uname -a
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, clippy::use_self)]

use clap::Parser;
use std::alloc::System;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use strombus::connection::{ChannelEvent, ChannelId, Connection, Event, Request, open_failure};
use strombus::driver::algorithms::{PRESET_HELP, QUERIES, query};
use strombus::driver::config::{self, CommandLine, LoadError, Loaded};
use strombus::driver::login::{Login, Refused};
use strombus::driver::options::Options;
use strombus::driver::proxy::{self, ORIGINATOR, Tell, Unreached};
use strombus::driver::stdio::{Descriptor, Input, Output};
use strombus::driver::terminal;
use strombus::driver::text::escaped_lines as escaped;
use strombus::driver::{Application, Context, Driver, Error, PeerId, Peers, Source};
use strombus::tell;
use strombus::transport::Client;
use strombus::wire::DisconnectReason;
use zeroizing_alloc::ZeroAlloc;

/// Wipes what is freed, passwords among it.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// No connection, no login, or no exit status.
const FAILED: u8 = 255;

/// Runs a command on a host over SSH.
#[derive(Parser)]
#[command(name = "ssh", version, after_help = format!("{PRESET_HELP}\n\nExit status: that of the command; 255 if there is none."))]
struct Arguments {
    /// Port of the host
    #[arg(short)]
    port: Option<String>,
    /// Name of the user there
    #[arg(short = 'l', value_name = "USER")]
    login_name: Option<String>,
    /// File of a private key; may be repeated
    #[arg(short, value_name = "FILE")]
    identity: Vec<String>,
    /// An option by its name in ssh_config(5); may be repeated
    #[arg(short, value_name = "KEY=VALUE")]
    option: Vec<String>,
    /// File to be read instead of ~/.ssh/config and /etc/ssh/ssh_config; none for none
    #[arg(short = 'F', value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print what all of it comes to, as ssh -G does, and end
    #[arg(short = 'G')]
    print: bool,
    /// Hosts to go through
    #[arg(short = 'J', value_name = "HOSTS")]
    jump: Option<String>,
    /// Nothing runs there: the host connects to another, and standard input and output are that connection
    #[arg(short = 'W', value_name = "HOST:PORT", conflicts_with = "command")]
    forward: Option<String>,
    /// IPv4 only
    #[arg(short = '4', conflicts_with = "inet6")]
    inet: bool,
    /// IPv6 only
    #[arg(short = '6')]
    inet6: bool,
    /// Tell the story of the login; more of it with -vv and -vvv
    #[arg(short, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Ciphers, in the order of preference; +LIST appends to the default, -LIST removes, ^LIST puts in front
    #[arg(short, value_name = "LIST", allow_hyphen_values = true)]
    cipher: Option<String>,
    /// MACs, likewise
    #[arg(short, value_name = "LIST", allow_hyphen_values = true)]
    mac: Option<String>,
    /// Compress, if the host does
    #[arg(short = 'C')]
    compression: bool,
    /// Print the names of all algorithms of a kind: cipher, compression, kex, key, mac, sig
    #[arg(short = 'Q', value_name = "KIND")]
    query: Option<String>,
    /// No terminal, which is what happens anyway
    #[arg(short = 'T')]
    no_terminal: bool,
    /// [USER@]HOST
    #[arg(required_unless_present = "query")]
    destination: Option<String>,
    /// The command; without one, the user's shell
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

impl Arguments {
    fn loaded(&self) -> Result<Loaded, LoadError> {
        let destination = self.destination.as_deref().unwrap_or_default();
        let (user, host) = match destination.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, destination),
        };
        // ssh takes the first value of an option; what has a letter of its own comes first here, and so wins.
        let letters = [
            ("Port", self.port.as_deref()),
            ("Ciphers", self.cipher.as_deref()),
            ("MACs", self.mac.as_deref()),
            ("Compression", self.compression.then_some("yes")),
            ("LogLevel", config::log_level(self.verbose)),
            ("AddressFamily", self.inet.then_some("inet")),
            ("AddressFamily", self.inet6.then_some("inet6")),
        ];
        let letters =
            letters.into_iter().filter_map(|(keyword, value)| Some(config::option(keyword, value?)));
        let identities = self.identity.iter().map(|file| config::option("IdentityFile", file));
        let jump = self.jump.iter().map(|hosts| format!("ProxyJump={hosts}"));
        config::load(&CommandLine {
            host: host.to_owned(),
            user: user.or(self.login_name.as_deref()).map(str::to_owned),
            options: letters.chain(identities).chain(jump).chain(self.option.iter().cloned()).collect(),
            file: self.file.clone(),
        })
    }

    /// Where the host is to connect to.
    fn target(&self) -> Result<Option<(String, u16)>, String> {
        let Some(text) = &self.forward else { return Ok(None) };
        let parse = |text: &str| {
            let (host, port) = text.rsplit_once(':')?;
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            Some((host.to_owned(), port.parse().ok().filter(|port| *port > 0 && !host.is_empty())?))
        };
        parse(text).map(Some).ok_or_else(|| format!("ssh: -W {text}: write it as HOST:PORT"))
    }

    /// The command that runs there: none for the user's shell.
    fn command(&self, options: &Options) -> Result<Option<Vec<u8>>, String> {
        let typed = Some(self.command.join(" ")).filter(|command| !command.is_empty());
        let configured = options.config.remote_command.0.clone();
        if typed.is_some() && configured.is_some() {
            return Err("ssh: there is a command, and RemoteCommand is another".to_owned());
        }
        Ok(typed.or(configured).map(String::into_bytes))
    }
}

struct Ssh {
    login: Login,
    command: Option<Vec<u8>>,
    /// What the host connects to, instead of a command.
    target: Option<(String, u16)>,
    waker: Arc<mio::Waker>,
    peer: Option<PeerId>,
    channel: Option<ChannelId>,
    input: Option<Input>,
    out: Output,
    err: Output,
    /// Bytes that wait for standard output, and whether more may come.
    unwritten: usize,
    ended: bool,
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
            ChannelEvent::Opened => match &self.command {
                Some(command) => conn.channel(id)?.request_exec(command)?,
                None => conn.channel(id)?.request_shell()?,
            },
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
                let what = self.target.as_ref().map_or("session".to_owned(), |(host, _)| escaped(host));
                tell!("ssh: no {what}: {}: {}", open_failure(reason_code), description.escape_ascii());
                conn.disconnect(DisconnectReason::BY_APPLICATION, "no channel");
            }
            ChannelEvent::Closed => {
                self.channel = None;
                conn.disconnect(DisconnectReason::BY_APPLICATION, "disconnected by user");
            }
            _ => {}
        }
        Ok(())
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
        _: &mut Context<'_>,
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
                match &self.target {
                    Some((host, port)) => conn.open_direct_tcpip(host, *port, ORIGINATOR.0, ORIGINATOR.1)?,
                    None => conn.open_session()?,
                };
                Ok(())
            }
            Event::Global(event) => {
                self.login.global(conn, event);
                Ok(())
            }
            Event::Channel(id, event) => return self.channel_event(conn, id, event),
        };
        self.tell();
        judged.map_err(|why| self.refused(why))
    }

    fn writable(
        &mut self,
        _: &mut Context<'_>,
        _: PeerId,
        conn: &mut Connection<Client>,
        _: ChannelId,
    ) -> Result<(), Error> {
        self.pump_input(conn)
    }

    fn disconnect(&mut self, _: &mut Context<'_>, _: PeerId, why: Result<(), Error>) {
        self.done = true;
        match why {
            Ok(()) if self.channel.is_none() => {}
            Ok(()) => tell!("ssh: the host closed the connection"),
            Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::PermissionDenied => return,
            Err(error) => tell!("ssh: {}", escaped(&self.login.explain(&error))),
        }
        if self.channel.is_some() {
            self.status = FAILED;
        }
    }

    fn source(&mut self, _: &mut Context<'_>, peers: &mut Peers<'_, Client>, _: Source) -> Result<(), Error> {
        let Some(conn) = self.peer.and_then(|peer| peers.get(peer)) else { return Ok(()) };
        if let Err(why) = self.login.answered(conn) {
            let error = self.refused(why);
            self.done = true;
            return Err(error);
        }
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
        let login = Login::new(options, Arc::clone(&waker)).map_err(std::io::Error::other)?;
        let out = Output::spawn(Descriptor::Out, Arc::clone(&waker))?;
        let err = Output::spawn(Descriptor::Err, Arc::clone(&waker))?;
        let (peer, channel, input) = (None, None, None);
        let (unwritten, ended, status, done) = (0, false, FAILED, false);
        Ok(Ssh {
            login,
            command,
            target,
            waker,
            peer,
            channel,
            input,
            out,
            err,
            unwritten,
            ended,
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
