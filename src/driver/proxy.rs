//! The way to a host: straight, through a command (`ProxyCommand`), or through other hosts (`ProxyJump`).
//!
//! ```text
//! program ─ stream ─ socket pair ─ Join ─ direct-tcpip ─ connection to the last jump ─ stream ─ socket pair ─ Join ─ …
//!           └───────────────── a thread of that jump ─────────────────────────┘
//! ```
//!
//! What comes out is a stream; the connection on it knows nothing of the way. A jump is a connection of its own, with its own
//! options, host key and login. One is there before the next begins, so questions at the terminal come one after the other.
//! Nothing here knows what the connection at the end is for.

use super::config::{self, CommandLine, load};
use super::join::Join;
use super::login::{Login, Refused};
use super::options::{Options, shell};
use super::text::{escaped, escaped_lines, excerpt, words};
use super::{Application, Context, Driver, Error, PeerId, Peers, Source, Stream};
use crate::connection::{ChannelEvent, ChannelId, Connection, Event, open_failure};
use crate::transport::Client;
use crate::wire::DisconnectReason;
use core::convert::Infallible;
use core::time::Duration;
use mio::net::UnixStream;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Blocking;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Instant;

/// Hosts on the way to one, those that their own configurations add included.
pub const JUMPS_MAX: usize = 16;

/// How long what carried the stream may take to end after it (seconds).
const END_MAX: i64 = 2;

/// Who connects, as the jump is told; servers look for an address and a port here, and there is none.
pub const ORIGINATOR: (&str, u16) = ("127.0.0.1", 65535);

/// Is told what the user should know, one text a call, ready for the terminal.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// Why a host was not reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreached {
    /// A text for the user; parts of it are the peer's.
    Failed(String),
    /// Ctrl-C in a question.
    Interrupted,
}

impl From<io::Error> for Unreached {
    fn from(error: io::Error) -> Self {
        Self::Failed(words(&error))
    }
}

/// What carries the stream. It ends when this is dropped, which comes after the stream's end.
#[derive(Debug, Default)]
pub struct Proxy {
    command: Option<Child>,
    /// Each jump's thread holds a sender.
    jumps: Option<(Sender<Infallible>, Receiver<Infallible>)>,
}

/// Connects to the host of the options, by the way that they say. Blocks, and asks at the terminal what the hosts on the way
/// want to know: for a client that has nothing else to do yet.
///
/// # Errors
/// See [`Unreached`].
pub fn connect(options: &Options, verbose: bool, tell: &Tell) -> Result<(Stream, Proxy), Unreached> {
    let jumps = jumps(options)?;
    let mut proxy = Proxy::default();
    let mut stream = proxy.start(jumps.first().unwrap_or(options))?;
    let targets = jumps.iter().skip(1).chain([options]);
    for (jump, target) in jumps.iter().zip(targets) {
        if verbose {
            jump.passed_over.iter().for_each(|text| tell(&escaped(text.as_bytes())));
        }
        stream = proxy.jump(jump, stream, target, tell)?;
    }
    Ok((stream, proxy))
}

/// The hosts on the way, the first to be connected to first. As ssh has it, the target's options are not those of a jump: it
/// has what is configured for its own name, in the same file if one was named. Where nobody is to be asked at the target,
/// nobody is at a jump. Before a jump come those before it in the list; the first one's own configuration may add more.
fn jumps(options: &Options) -> Result<Vec<Options>, Unreached> {
    let mut jumps: Vec<Options> = Vec::new();
    while let Some((last, before)) = jumps.last().unwrap_or(options).config.proxy_jump.0.split_last() {
        if jumps.len() >= JUMPS_MAX {
            let text = format!("more than {JUMPS_MAX} hosts on the way: one may lead to itself");
            return Err(Unreached::Failed(text));
        }
        let before: Vec<_> = before.iter().map(ToString::to_string).collect();
        let given = [
            ("Port", last.port.map(|port| port.to_string())),
            ("BatchMode", options.batch_mode.then(|| "yes".to_owned())),
            ("LogLevel", config::log_level(options.config.log_level.debug()).map(str::to_owned)),
        ];
        let given = given.into_iter().filter_map(|(keyword, value)| Some(config::option(keyword, &value?)));
        let before = Some(before.join(",")).filter(|hosts| !hosts.is_empty());
        let line = CommandLine {
            host: last.host.clone(),
            user: last.user.clone(),
            options: given.chain(before.map(|hosts| format!("ProxyJump={hosts}"))).collect(),
            file: options.file.clone(),
        };
        let loaded = load(&line).and_then(config::Loaded::options);
        jumps.push(loaded.map_err(|error| Unreached::Failed(error.text().to_owned()))?);
    }
    jumps.reverse();
    Ok(jumps)
}

impl Proxy {
    /// The first stream: a command's, or TCP.
    fn start(&mut self, options: &Options) -> Result<Stream, Unreached> {
        if let Some(command) = &options.proxy_command {
            let (stream, child) = run(command)
                .map_err(|error| Unreached::Failed(format!("ProxyCommand: {}", words(&error))))?;
            self.command = Some(child);
            return Ok(stream);
        }
        let (host, port) = (&options.host, options.port);
        let stream = super::connect(host, port, &options.way());
        let stream = stream.map_err(|error| {
            Unreached::Failed(format!("connect to host {host} port {port}: {}", words(&error)))
        })?;
        Ok(Stream::Tcp(stream))
    }

    /// Goes one host further: logs in at the jump that `stream` leads to, and has it connect to the target.
    fn jump(
        &mut self,
        jump: &Options,
        stream: Stream,
        target: &Options,
        tell: &Tell,
    ) -> Result<Stream, Unreached> {
        let (own, joined) = UnixStream::pair()?;
        let (reached, outcome) = sync_channel(1);
        let mut driver = Driver::with_waker(|waker| {
            Ok(Jump {
                login: Login::new(jump.clone(), waker).map_err(io::Error::other)?,
                host: jump.host.clone(),
                target: (target.host.clone(), target.port),
                timeout: target.connect_timeout,
                stream: Some(Stream::Unix(joined)),
                join: None,
                peer: None,
                reached: Some(reached),
                tell: Arc::clone(tell),
                gone: false,
            })
        })?;
        let conn = driver.app.login.connection(Instant::now());
        driver.app.notices();
        driver.app.peer = Some(driver.add(stream, conn, None)?);
        let (alive, _) = self.jumps.get_or_insert_with(channel);
        let alive = alive.clone();
        thread::Builder::new().name("jump".to_owned()).spawn(move || {
            let ended = driver.run();
            driver.app.login.abort();
            if let Err(error) = ended {
                driver.app.ended(&error.to_string());
            }
            drop((driver, alive));
        })?;
        match outcome.recv() {
            Ok(Ok(())) => Ok(Stream::Unix(own)),
            Ok(Err(why)) => Err(why),
            Err(_) => Err(Unreached::Failed(format!("{}: it was given up", jump.host))),
        }
    }
}

/// Runs a command by the user's shell, as ssh does it: one end of a socket pair is its input and its output.
fn run(command: &str) -> io::Result<(Stream, Child)> {
    let (own, theirs) = Blocking::pair()?;
    let output = OwnedFd::from(theirs.try_clone()?);
    let child = Command::new(shell())
        .arg("-c")
        .arg(format!("exec {command}"))
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::from(output))
        .spawn()?;
    own.set_nonblocking(true)?;
    Ok((Stream::Unix(UnixStream::from_std(own)), child))
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some((own, others)) = self.jumps.take() {
            drop(own);
            let _none_came = others.recv_timeout(Duration::from_secs(END_MAX.unsigned_abs()));
        }
        if let Some(mut child) = self.command.take() {
            let pid = Pid::from_child(&child);
            // As ssh does; and the other one for a command that inherited from nohup(1) not to hear it.
            for signal in [Signal::HUP, Signal::TERM] {
                let _gone = kill_process(pid, signal);
            }
            if let Ok(end) = pidfd_open(pid, PidfdFlags::empty()) {
                let patience = Timespec { tv_sec: END_MAX, tv_nsec: 0 };
                let _waited = poll(&mut [PollFd::new(&end, PollFlags::IN)], Some(&patience));
            }
            let _reaped = child.try_wait();
        }
    }
}

/// One host on the way: the program of its thread.
struct Jump {
    login: Login,
    /// Its name.
    host: String,
    /// What it is to connect to.
    target: (String, u16),
    /// How long it may take to.
    timeout: Duration,
    /// Our end of the socket pair, until the channel is there.
    stream: Option<Stream>,
    join: Option<Join>,
    peer: Option<PeerId>,
    /// Who waits, until it is told.
    reached: Option<SyncSender<Result<(), Unreached>>>,
    tell: Tell,
    /// The connection has ended.
    gone: bool,
}

impl Jump {
    fn notices(&mut self) {
        for notice in self.login.notices.drain(..) {
            (self.tell)(&escaped_lines(&notice));
        }
    }

    fn answer(&mut self, outcome: Result<(), Unreached>) {
        if let Some(reached) = self.reached.take() {
            let _nobody_waits = reached.send(outcome);
        }
    }

    /// It cannot be passed: whoever waits is told why, and the connection ends.
    fn give_up(&mut self, conn: &mut Connection<Client>, why: Unreached) {
        self.answer(Err(why));
        conn.disconnect(DisconnectReason::BY_APPLICATION, "disconnected by user");
    }

    fn refused(&mut self, conn: &mut Connection<Client>, why: Refused) {
        let why = match why {
            Refused::HostKey(text) | Refused::Denied(text) => Unreached::Failed(text),
            Refused::Interrupted => Unreached::Interrupted,
        };
        self.give_up(conn, why);
    }

    /// The connection ended by itself.
    fn ended(&mut self, why: &str) {
        let text = format!("{}: {why}", self.host);
        if self.reached.is_some() {
            self.answer(Err(Unreached::Failed(text)));
        } else if self.join.as_ref().is_some_and(|join| !join.is_over()) {
            (self.tell)(&escaped_lines(&text));
        }
    }

    fn channel_event(
        &mut self,
        cx: &mut Context<'_>,
        conn: &mut Connection<Client>,
        id: ChannelId,
        event: &ChannelEvent<'_>,
    ) -> Result<(), Error> {
        match (event, self.stream.take()) {
            (ChannelEvent::Opened, Some(stream)) => {
                cx.set_timer(None);
                self.join = Some(Join::new(cx, id, stream)?);
                self.answer(Ok(()));
            }
            (ChannelEvent::OpenFailure { reason_code, description }, _) => {
                let ((host, port), reason) = (&self.target, open_failure(*reason_code));
                let why = excerpt(description);
                let text =
                    format!("{}: no connection to {host} port {port} from there: {reason}: {why}", self.host);
                self.give_up(conn, Unreached::Failed(text.trim_end_matches([':', ' ']).to_owned()));
            }
            (_, stream) => self.stream = stream,
        }
        if let Some(join) = &mut self.join {
            join.event(cx, conn, event)?;
        }
        self.end_if_over(conn);
        Ok(())
    }

    fn end_if_over(&self, conn: &mut Connection<Client>) {
        if self.join.as_ref().is_some_and(Join::is_over) {
            conn.disconnect(DisconnectReason::BY_APPLICATION, "disconnected by user");
        }
    }
}

impl Application<Client> for Jump {
    fn event(
        &mut self,
        cx: &mut Context<'_>,
        _: PeerId,
        conn: &mut Connection<Client>,
        event: Event<'_, Client>,
    ) -> Result<(), Error> {
        let judged = match event {
            Event::Kex(question) => self.login.judge(conn, question),
            Event::Userauth(event) => self.login.userauth(conn, event),
            Event::Authenticated => {
                self.login.authenticated();
                let (host, port) = &self.target;
                conn.open_direct_tcpip(host, *port, ORIGINATOR.0, ORIGINATOR.1)?;
                cx.set_timer(Some(cx.now + self.timeout));
                Ok(())
            }
            Event::Global(event) => {
                self.login.global(conn, event);
                Ok(())
            }
            Event::Channel(id, event) => return self.channel_event(cx, conn, id, &event),
        };
        self.notices();
        if let Err(why) = judged {
            self.refused(conn, why);
        }
        Ok(())
    }

    fn writable(
        &mut self,
        cx: &mut Context<'_>,
        _: PeerId,
        conn: &mut Connection<Client>,
        _: ChannelId,
    ) -> Result<(), Error> {
        let Some(join) = &mut self.join else { return Ok(()) };
        join.pump(cx, Some(conn))?;
        self.end_if_over(conn);
        Ok(())
    }

    fn disconnect(&mut self, cx: &mut Context<'_>, _: PeerId, why: Result<(), Error>) {
        self.gone = true;
        let text = match why {
            Ok(()) => "the host closed the connection".to_owned(),
            Err(error) => self.login.explain(&error),
        };
        self.ended(&text);
        if let Some(join) = &mut self.join {
            let _nobody_left = join.pump::<Client>(cx, None);
        }
    }

    fn source(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, Client>,
        source: Source,
    ) -> Result<(), Error> {
        let mut conn = self.peer.and_then(|peer| peers.get(peer));
        match (source, &mut conn) {
            (Source::Ready(_), _) => {
                if let Some(join) = &mut self.join {
                    join.pump(cx, conn.as_deref_mut())?;
                }
                if let Some(conn) = conn {
                    self.end_if_over(conn);
                }
            }
            (Source::Timer, Some(conn)) => {
                let text = format!("{}: no answer about {} in time", self.host, self.target.0);
                self.give_up(conn, Unreached::Failed(text));
            }
            (Source::Woken, Some(conn)) => {
                let answered = self.login.answered(conn);
                self.notices();
                if let Err(why) = answered {
                    self.refused(conn, why);
                }
            }
            (_, None) => {}
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.gone && self.join.as_ref().is_none_or(Join::is_over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// The options of a host by a configuration.
    fn options(directory: &TempDir, text: &str, given: &[&str]) -> Options {
        let file = directory.path().join("config");
        std::fs::write(&file, text).unwrap();
        let line = CommandLine {
            host: "target".to_owned(),
            options: given.iter().map(|option| (*option).to_owned()).collect(),
            file: Some(file),
            ..CommandLine::default()
        };
        load(&line).unwrap().options().unwrap()
    }

    fn way(options: &Options) -> Vec<String> {
        let jumps = jumps(options).unwrap();
        jumps.iter().map(|jump| format!("{}@{}:{}", jump.user, jump.host, jump.port)).collect()
    }

    #[test]
    fn a_jump_has_what_is_configured_for_its_name_and_nothing_of_the_targets() {
        let directory = TempDir::new().unwrap();
        let text = "Host a\nHostName a.example\nPort 1\nUser ann\nHost b\nUser bob\nHost target\nPort 3\n\
                    ProxyJump a,eve@b:9,[::1]\nStrictHostKeyChecking no\nHost *\nUser other\n";
        let target = options(&directory, text, &["ConnectTimeout=5", "UserKnownHostsFile=/x"]);
        assert_eq!(way(&target), ["ann@a.example:1", "eve@b:9", "other@::1:22"]);
        for jump in jumps(&target).unwrap() {
            assert_eq!(jump.connect_timeout, super::super::options::CONNECT_TIMEOUT);
            assert_ne!(jump.user_known_hosts_files, target.user_known_hosts_files);
            assert_ne!(jump.strict_host_key_checking, target.strict_host_key_checking);
            assert!(!jump.batch_mode);
        }
        let silent = options(&directory, text, &["BatchMode=yes"]);
        assert!(jumps(&silent).unwrap().iter().all(|jump| jump.batch_mode), "nobody is to be asked");
    }

    #[test]
    fn only_the_first_jump_goes_a_way_of_its_own() {
        let directory = TempDir::new().unwrap();
        let text = "User u\nHost a\nProxyJump first\nHost b\nProxyJump never\nHost target\nProxyJump a,b\n";
        assert_eq!(way(&options(&directory, text, &[])), ["u@first:22", "u@a:22", "u@b:22"]);
        assert_eq!(way(&options(&directory, text, &["ProxyJump=none"])), [""; 0]);
    }

    #[test]
    fn hosts_that_lead_to_each_other_have_a_bound() {
        let directory = TempDir::new().unwrap();
        for text in ["ProxyJump target", "Host a\nProxyJump b\nHost b\nProxyJump a\nHost target\nProxyJump a"]
        {
            let why = jumps(&options(&directory, text, &[])).unwrap_err();
            assert!(matches!(why, Unreached::Failed(text) if text.contains("more than 16 hosts")));
        }
        let hosts: Vec<_> = (0..JUMPS_MAX).map(|n| format!("h{n}")).collect();
        let longest = format!("Host target\nProxyJump {}", hosts.join(","));
        assert_eq!(way(&options(&directory, &longest, &[])).len(), JUMPS_MAX);
        let longer = format!("{longest},more");
        assert!(jumps(&options(&directory, &longer, &[])).is_err());
    }

    #[test]
    fn a_broken_line_for_a_jump_and_a_name_that_cannot_be_one_are_told() {
        let directory = TempDir::new().unwrap();
        let text = "Host target\nProxyJump a\nHost a\nCanonicalizeHostname yes";
        let why = jumps(&options(&directory, text, &[])).unwrap_err();
        assert!(matches!(why, Unreached::Failed(text) if text.contains("config:4: CanonicalizeHostname")));
        for name in ["a;b", "-x", "$(x)", "eve;@a"] {
            let options = options(&directory, &format!("ProxyJump {name}"), &[]);
            assert!(jumps(&options).is_err(), "{name}");
        }
    }

    #[test]
    fn a_command_reads_and_writes_one_socket_and_ends_with_the_proxy() {
        use std::io::{Read, Write};
        for command in ["cat", "sh -c \"trap '' HUP; exec cat\""] {
            let (stream, child) = run(command).unwrap();
            let Stream::Unix(stream) = stream else { panic!("it is a socket pair") };
            let mut stream = Blocking::from(OwnedFd::from(stream));
            stream.set_nonblocking(false).unwrap();
            stream.write_all(b"there and back").unwrap();
            let mut back = [0; 14];
            stream.read_exact(&mut back).unwrap();
            assert_eq!(&back, b"there and back");
            let pid = child.id();
            // Our end is still open: the command would go on for ever.
            drop(Proxy { command: Some(child), jumps: None });
            assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{command}");
            assert_eq!(stream.read(&mut back).unwrap(), 0);
        }
    }

    /// What goes on in spite of its end, as an own process and as a thread.
    #[test]
    fn what_does_not_end_is_not_waited_for_without_end() {
        let (own, others) = channel();
        let goes_on = own.clone();
        drop(Proxy { command: None, jumps: Some((own, others)) });
        drop(goes_on);
        let (stream, child) = run("sh -c \"trap '' HUP TERM; echo; exec cat\"").unwrap();
        let Stream::Unix(stream) = stream else { panic!("it is a socket pair") };
        let mut stream = Blocking::from(OwnedFd::from(stream));
        stream.set_nonblocking(false).unwrap();
        std::io::Read::read_exact(&mut stream, &mut [0]).unwrap(); // it hears no signal any more
        let end = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        drop(Proxy { command: Some(child), jumps: None });
        let now = Some(&Timespec { tv_sec: 0, tv_nsec: 0 });
        assert_eq!(poll(&mut [PollFd::new(&end, PollFlags::IN)], now).unwrap(), 0, "it still runs");
        drop(stream);
        poll(&mut [PollFd::new(&end, PollFlags::IN)], None).unwrap();
    }
}
