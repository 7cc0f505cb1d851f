//! A connection to a running agent, beside the loop.
//!
//! A thread connects, writes the requests and reads the answers, so that an agent that is silent, slow or waits for a person
//! never holds the loop up; what it answers comes with a [`Waker`]. The messages are those of
//! [`keys::agent`](crate::keys::agent), which judges them. This file knows a socket and how long to wait; which keys are
//! worth asking for it does not.

use crate::crypto::sign::SignatureAlgorithm;
use crate::keys::agent::{Agent, AgentError, Answer, CannotAsk};
use crate::keys::ssh_config::AgentSocket;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use mio::Waker;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SocketAddrUnix, SocketFlags, SocketType};
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread;
use std::time::Instant;

/// How long connecting may take, and each answer but a signature.
pub const ANSWER_TIME: Duration = Duration::from_secs(10);

/// So many times more a signature may take, for which a person may be asked: five minutes.
pub const SIGNATURE_TIMES: u32 = 30;

/// Requests whose answers were not fetched yet.
pub const REQUESTS_MAX: usize = 4;

/// One read (bytes).
const CHUNK: usize = 16 * 1024;

/// The variable that names the user's agent.
const SSH_AUTH_SOCK: &str = "SSH_AUTH_SOCK";

/// Where the agent is that the user wants to be asked (`IdentityAgent` of ssh_config(5), expanded): a path, `SSH_AUTH_SOCK`,
/// `$VARIABLE`, or nothing for `none` and for a variable that is not set or empty.
#[must_use]
pub fn socket(identity_agent: &AgentSocket, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = match identity_agent.0.as_deref() {
        None | Some(SSH_AUTH_SOCK) => variable(SSH_AUTH_SOCK)?,
        Some("none") => return None,
        Some(path) => match path.strip_prefix('$') {
            Some(name) => variable(name)?,
            None => path.into(),
        },
    };
    if path.is_empty() { None } else { Some(path.into()) }
}

/// What an agent is told of the connection that it works for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// The blob of the host's key.
    pub host_key: Vec<u8>,
    /// Of the first key exchange.
    pub session_id: Vec<u8>,
    /// The host's signature of that exchange.
    pub signature: Vec<u8>,
}

/// Connects to an agent for somebody at the other side of a connection, and tells it so first: keys that may be used here alone
/// are not used for him then. Blocks, for as long as an answer may take. An agent that does not know of that has no such keys.
///
/// # Errors
/// The agent is not there or does not answer.
pub fn connect_for_host(path: &Path, binding: &Binding) -> io::Result<UnixStream> {
    let mut stream = unconnected(ANSWER_TIME)?;
    rustix::net::connect(&stream, &SocketAddrUnix::new(path)?)?;
    stream.set_read_timeout(Some(ANSWER_TIME))?;
    let mut agent = Agent::new();
    let Binding { host_key, session_id, signature } = binding;
    agent.request_session_bind(host_key, session_id, signature, true).map_err(io::Error::other)?;
    stream.write_all(agent.output())?;
    let mut buffer = [0; 256];
    loop {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let answer = agent.handle_input(buffer.get(..n).unwrap_or_default());
        if answer.map_err(io::Error::other)?.is_some() {
            break;
        }
    }
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// What an agent is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Which keys it has.
    Identities,
    /// To remember the session that it will sign for; the first request, if it is made.
    SessionBind {
        /// The blob of the host's key.
        host_key: Vec<u8>,
        /// Of the first key exchange.
        session_id: Vec<u8>,
        /// The host's signature of that exchange.
        signature: Vec<u8>,
        /// The connection is about to be handed on.
        is_forwarding: bool,
    },
    /// A signature.
    Sign {
        /// The key or certificate as the agent listed it.
        blob: Vec<u8>,
        /// What is signed.
        data: Vec<u8>,
        /// By which algorithm.
        algorithm: SignatureAlgorithm,
    },
}

/// The client of one agent. Dropping it ends the connection, whatever the agent is at.
pub struct AgentClient {
    requests: SyncSender<Request>,
    answers: Receiver<Result<Answer, AgentFailure>>,
    /// Nothing if there was no socket or no thread.
    link: Option<Arc<Link>>,
    waker: Arc<Waker>,
    /// Requests whose answers were not fetched.
    waiting: usize,
    failure: Option<AgentFailure>,
}

/// What the thread and the loop share.
struct Link {
    stream: UnixStream,
    /// The client is gone. A socket that is not connected yet cannot be shut.
    closed: AtomicBool,
}

impl AgentClient {
    /// Starts to connect. That it failed is the answer to the first request.
    #[must_use]
    pub fn connect(path: &Path, waker: Arc<Waker>) -> Self {
        Self::connect_within(ANSWER_TIME, path, waker)
    }

    fn connect_within(limit: Duration, path: &Path, waker: Arc<Waker>) -> Self {
        let (requests, theirs) = sync_channel(REQUESTS_MAX);
        let (answer, answers) = channel();
        let (path, their_waker) = (path.to_owned(), Arc::clone(&waker));
        let started = unconnected(limit).and_then(|stream| {
            let link = Arc::new(Link { stream, closed: AtomicBool::new(false) });
            let their_link = Arc::clone(&link);
            thread::Builder::new().name("agent".to_owned()).spawn(move || {
                let talk = Talk { link: &their_link, limit, agent: Agent::new() };
                talk.run(&path, &theirs, &answer, &their_waker);
            })?;
            Ok(link)
        });
        let (link, failure) = match started {
            Ok(link) => (Some(link), None),
            Err(error) => (None, Some(AgentFailure::Connect(error.to_string()))),
        };
        Self { requests, answers, link, waker, waiting: 0, failure }
    }

    /// Asks; requests are answered in their order.
    ///
    /// # Errors
    /// The agent has failed before; or [`REQUESTS_MAX`] requests wait.
    pub fn ask(&mut self, request: Request) -> Result<(), AgentFailure> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if self.waiting >= REQUESTS_MAX {
            return Err(AgentFailure::Request(CannotAsk::Busy));
        }
        self.waiting += 1;
        if self.requests.try_send(request).is_err() {
            // The thread has left word why it ended.
            let _gone = self.waker.wake();
        }
        Ok(())
    }

    /// The next answer, once it is there. After a failure each request that waits has that failure for an answer.
    #[must_use]
    pub fn answer(&mut self) -> Option<Result<Answer, AgentFailure>> {
        if self.waiting == 0 {
            return None;
        }
        let answer = match (&self.failure, self.answers.try_recv()) {
            (Some(failure), _) => Err(failure.clone()),
            (None, Ok(answer)) => answer,
            (None, Err(TryRecvError::Empty)) => return None,
            (None, Err(TryRecvError::Disconnected)) => Err(AgentFailure::Closed),
        };
        self.waiting -= 1;
        match &answer {
            Ok(_) | Err(AgentFailure::Request(_)) => {}
            Err(failure) => self.failure = Some(failure.clone()),
        }
        Some(answer)
    }

    /// Whether an answer is waited for.
    #[cfg(test)]
    const fn is_busy(&self) -> bool {
        self.waiting > 0
    }
}

impl Drop for AgentClient {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            link.closed.store(true, Ordering::SeqCst);
            let _not_connected = link.stream.shutdown(Shutdown::Both);
        }
    }
}

/// A socket that gives up connecting, too, after `limit`: a listener whose queue is full makes one wait.
fn unconnected(limit: Duration) -> io::Result<UnixStream> {
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(limit))?;
    Ok(UnixStream::from(socket))
}

/// The thread's part.
struct Talk<'l> {
    link: &'l Link,
    limit: Duration,
    agent: Agent,
}

impl Talk<'_> {
    fn run(
        mut self,
        path: &Path,
        requests: &Receiver<Request>,
        answer: &Sender<Result<Answer, AgentFailure>>,
        waker: &Waker,
    ) {
        let tell = |result| answer.send(result).is_ok() && waker.wake().is_ok();
        if let Err(failure) = self.connect(path) {
            tell(Err(failure));
            return;
        }
        while let Ok(request) = requests.recv()
            && !self.link.closed.load(Ordering::SeqCst)
        {
            let result = self.exchange(&request);
            let goes_on = matches!(result, Ok(_) | Err(AgentFailure::Request(_)));
            if !tell(result) || !goes_on {
                break;
            }
        }
        let _not_connected = self.link.stream.shutdown(Shutdown::Both);
    }

    fn connect(&self, path: &Path) -> Result<(), AgentFailure> {
        let connect = || {
            let address = SocketAddrUnix::new(path)?;
            // A signal ends the call, for it has a time limit.
            rustix::io::retry_on_intr(|| rustix::net::connect(&self.link.stream, &address))
        };
        connect().map_err(|error| match error {
            rustix::io::Errno::AGAIN => AgentFailure::TimedOut,
            error => AgentFailure::Connect(error.to_string()),
        })
    }

    fn exchange(&mut self, request: &Request) -> Result<Answer, AgentFailure> {
        self.refuse_what_nobody_asked_for()?;
        match request {
            Request::Identities => self.agent.request_identities(),
            Request::SessionBind { host_key, session_id, signature, is_forwarding } => {
                self.agent.request_session_bind(host_key, session_id, signature, *is_forwarding)
            }
            Request::Sign { blob, data, algorithm } => self.agent.request_signature(blob, data, *algorithm),
        }
        .map_err(AgentFailure::Request)?;
        let deadline = Instant::now() + self.limit;
        self.write(deadline)?;
        let takes_its_time = matches!(request, Request::Sign { .. });
        self.read(if takes_its_time { deadline + self.limit * SIGNATURE_TIMES } else { deadline })
    }

    /// A second answer would be taken for that of the next request.
    fn refuse_what_nobody_asked_for(&mut self) -> Result<(), AgentFailure> {
        let mut byte = [0; 1];
        match rustix::net::recv(&self.link.stream, &mut byte, RecvFlags::DONTWAIT) {
            Err(rustix::io::Errno::AGAIN) => Ok(()),
            Err(error) => Err(AgentFailure::Connection(error.to_string())),
            Ok((0, _)) => Err(AgentFailure::Closed),
            Ok(_) => self.agent.handle_input(&byte).map(|_| ()).map_err(AgentFailure::Protocol),
        }
    }

    fn write(&mut self, deadline: Instant) -> Result<(), AgentFailure> {
        let mut stream = &self.link.stream;
        while !self.agent.output().is_empty() {
            stream.set_write_timeout(Some(remaining(deadline)?))?;
            match stream.write(self.agent.output()) {
                Ok(n) => self.agent.consume_output(n),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The deadline is that of the whole answer, so that one byte a second does not help.
    fn read(&mut self, deadline: Instant) -> Result<Answer, AgentFailure> {
        let mut stream = &self.link.stream;
        let mut chunk = vec![0; CHUNK];
        loop {
            stream.set_read_timeout(Some(remaining(deadline)?))?;
            let n = match stream.read(&mut chunk) {
                Ok(0) => return Err(AgentFailure::Closed),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let read = chunk.get(..n).unwrap_or_default();
            if let Some(answer) = self.agent.handle_input(read).map_err(AgentFailure::Protocol)? {
                return Ok(answer);
            }
        }
    }
}

fn remaining(deadline: Instant) -> Result<Duration, AgentFailure> {
    let remaining = deadline.saturating_duration_since(Instant::now());
    if remaining.is_zero() { Err(AgentFailure::TimedOut) } else { Ok(remaining) }
}

/// Why an agent gives no answer. Its text is for the user, and safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentFailure {
    /// Nobody listens there.
    Connect(String),
    /// The connection broke.
    Connection(String),
    /// The agent has closed the connection.
    Closed,
    /// It did not answer in time.
    TimedOut,
    /// What it sent was no answer.
    Protocol(AgentError),
    /// The request cannot be made; others can.
    Request(CannotAsk),
}

impl From<io::Error> for AgentFailure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => Self::Closed,
            _ => Self::Connection(error.to_string()),
        }
    }
}

impl fmt::Display for AgentFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "the agent cannot be reached: {error}"),
            Self::Connection(error) => write!(f, "the connection to the agent broke: {error}"),
            Self::Closed => f.write_str("the agent has closed the connection"),
            Self::TimedOut => f.write_str("the agent does not answer"),
            Self::Protocol(error) => error.fmt(f),
            Self::Request(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for AgentFailure {}

#[cfg(test)]
mod tests;
