//! The agent protocol as a client speaks it (RFC 9987; OpenSSH's PROTOCOL.agent for `session-bind@openssh.com`).
//!
//! [`Agent`] has one request under way at a time: what is to be written is in [`output`](Agent::output), what was read goes into
//! [`handle_input`](Agent::handle_input), cut anywhere, and once it is a whole message an [`Answer`] comes out. An agent is a
//! peer like any other: its lengths are checked before they are believed, and once it has broken the protocol it is not
//! asked again. A refusal is an answer.
//!
//! It does not know sockets or time-outs, nor whether a signature holds: the server that it is for will say. Keys are not
//! added or removed, and no agent is served.

use core::fmt;

use crate::crypto::sign::SignatureAlgorithm;
use crate::crypto::sign::certificate::{CertificateError, PlainOrCertified};
use crate::crypto::sign::rsa::Scheme;
use crate::wire::{DecodeError, Reader, Writer};

/// The longest message in bytes, its length not counted (OpenSSH: the same).
pub const MESSAGE_MAX: usize = 256 * 1024;

/// The most identities of an answer (OpenSSH: the same).
pub const IDENTITIES_MAX: u32 = 2048;

/// The client's end of a connection to an agent.
#[derive(Debug)]
pub struct Agent {
    state: State,
    input: Vec<u8>,
    output: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Identities,
    Signature(SignatureAlgorithm),
    SessionBind,
    Failed,
}

impl Agent {
    /// A connection on which nothing was asked yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Idle, input: Vec::new(), output: Vec::new() }
    }

    /// Asks which keys it has: SSH_AGENTC_REQUEST_IDENTITIES.
    pub fn request_identities(&mut self) -> Result<(), CannotAsk> {
        self.ask(State::Identities, |w| w.byte(REQUEST_IDENTITIES))
    }

    /// Asks for a signature of `data` with the key or certificate `blob`: SSH_AGENTC_SIGN_REQUEST.
    pub fn request_signature(
        &mut self,
        blob: &[u8],
        data: &[u8],
        algorithm: SignatureAlgorithm,
    ) -> Result<(), CannotAsk> {
        let flags = match algorithm {
            SignatureAlgorithm::Rsa(Scheme::Sha256) => SIGN_RSA_SHA2_256,
            SignatureAlgorithm::Rsa(Scheme::Sha512) => SIGN_RSA_SHA2_512,
            SignatureAlgorithm::Rsa(Scheme::Sha1) => return Err(CannotAsk::WrongAlgorithm),
            _ => 0,
        };
        self.ask(State::Signature(algorithm), |w| {
            w.byte(SIGN_REQUEST);
            w.string(blob);
            w.string(data);
            w.uint32(flags);
        })
    }

    /// Tells it for which session it will sign, so that it can keep to the hosts that a key is for. It is the first that is
    /// asked on a connection; an agent that does not know it refuses, and that is no harm. `host_key`, `session_id` and
    /// `signature` are those of the first key exchange; `is_forwarding` when the connection is about to be handed on.
    pub fn request_session_bind(
        &mut self,
        host_key: &[u8],
        session_id: &[u8],
        signature: &[u8],
        is_forwarding: bool,
    ) -> Result<(), CannotAsk> {
        self.ask(State::SessionBind, |w| {
            w.byte(EXTENSION);
            w.string(SESSION_BIND);
            w.string(host_key);
            w.string(session_id);
            w.string(signature);
            w.boolean(is_forwarding);
        })
    }

    fn ask(&mut self, state: State, write: impl FnOnce(&mut Writer<'_>)) -> Result<(), CannotAsk> {
        match self.state {
            State::Idle => {}
            State::Failed => return Err(CannotAsk::Failed),
            _ => return Err(CannotAsk::Busy),
        }
        let start = self.output.len();
        Writer::new(&mut self.output).nested(write);
        if self.output.len() - start > MESSAGE_MAX + LENGTH_LEN {
            self.output.truncate(start);
            return Err(CannotAsk::TooLong);
        }
        self.state = state;
        Ok(())
    }

    /// What is to be written to the agent.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// The first `n` bytes of [`output`](Self::output) are written.
    pub fn consume_output(&mut self, n: usize) {
        self.output.drain(..n.min(self.output.len()));
    }

    /// Whether an answer is waited for.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        !matches!(self.state, State::Idle | State::Failed)
    }

    /// Takes what the agent has sent. An error ends the connection: no later answer can be told from another.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<Option<Answer>, AgentError> {
        let outcome = self.take(bytes);
        match &outcome {
            Ok(None) => {}
            Ok(Some(_)) => {
                self.state = State::Idle;
                self.input = Vec::new();
            }
            Err(_) => *self = Self { state: State::Failed, ..Self::new() },
        }
        outcome
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<Option<Answer>, AgentError> {
        match self.state {
            State::Failed => return Err(AgentError::Failed),
            State::Idle if !bytes.is_empty() => return Err(AgentError::Unasked),
            _ => {}
        }
        // No more is kept than the message has, and nothing is reserved for what it says it has.
        self.fill(&mut bytes, LENGTH_LEN);
        let mut r = Reader::new(&self.input);
        let Ok(length) = r.uint32() else { return Ok(None) };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !(1..=MESSAGE_MAX).contains(&length) {
            return Err(AgentError::Length);
        }
        self.fill(&mut bytes, length + LENGTH_LEN);
        if !bytes.is_empty() {
            return Err(AgentError::Unasked);
        }
        match self.input.get(LENGTH_LEN..length + LENGTH_LEN) {
            Some(message) => self.answer(message).map(Some),
            None => Ok(None),
        }
    }

    fn fill(&mut self, bytes: &mut &[u8], len: usize) {
        let wanted = len.saturating_sub(self.input.len()).min(bytes.len());
        let (now, later) = bytes.split_at(wanted);
        self.input.extend_from_slice(now);
        *bytes = later;
    }

    fn answer(&self, message: &[u8]) -> Result<Answer, AgentError> {
        let mut r = Reader::new(message);
        let number = r.byte()?;
        let answer = match (self.state, number) {
            (State::Identities, IDENTITIES_ANSWER) => Answer::Identities(identities(&mut r)?),
            (State::Signature(algorithm), SIGN_RESPONSE) => {
                let signature = r.string()?;
                if Reader::new(signature).string() == Ok(algorithm.name().as_bytes()) {
                    Answer::Signature(signature.to_vec())
                } else {
                    Answer::OtherAlgorithm
                }
            }
            (State::SessionBind, SUCCESS) => Answer::Bound,
            (_, FAILURE) | (State::SessionBind, EXTENSION_FAILURE) => {
                // Nothing is defined to follow, but some agents say why.
                return Ok(Answer::Refused);
            }
            (_, number) => return Err(AgentError::Unexpected(number)),
        };
        r.finish()?;
        Ok(answer)
    }
}

impl Default for Agent {
    fn default() -> Self {
        Self::new()
    }
}

/// `uint32 nkeys`, then as many times `string blob, string comment`.
fn identities(r: &mut Reader<'_>) -> Result<Vec<Identity>, AgentError> {
    let count = r.uint32()?;
    if count > IDENTITIES_MAX {
        return Err(AgentError::TooManyIdentities);
    }
    let mut identities = Vec::new();
    for _ in 0..count {
        let (blob, comment) = (r.string()?, r.string()?);
        identities.push(Identity {
            blob: blob.to_vec(),
            comment: comment.to_vec(),
            key: PlainOrCertified::from_blob(blob),
        });
    }
    Ok(identities)
}

/// A key that an agent has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The blob by which the agent is asked for it.
    pub blob: Vec<u8>,
    /// For people; any bytes.
    pub comment: Vec<u8>,
    /// The key or certificate in the blob; an error for one that is of no use here.
    pub key: Result<PlainOrCertified, CertificateError>,
}

/// What an agent answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its keys, in its order.
    Identities(Vec<Identity>),
    /// The signature blob; it names the algorithm that was asked for.
    Signature(Vec<u8>),
    /// A signature by another algorithm than was asked for, of no use. Some agents know ssh-rsa alone.
    OtherAlgorithm,
    /// The session is bound.
    Bound,
    /// It cannot or will not.
    Refused,
}

const FAILURE: u8 = 5;
const SUCCESS: u8 = 6;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
const EXTENSION: u8 = 27;
const EXTENSION_FAILURE: u8 = 28;

/// SSH_AGENT_RSA_SHA2_256 and SSH_AGENT_RSA_SHA2_512.
const SIGN_RSA_SHA2_256: u32 = 2;
const SIGN_RSA_SHA2_512: u32 = 4;

const SESSION_BIND: &[u8] = b"session-bind@openssh.com";

/// The length in front of a message.
const LENGTH_LEN: usize = 4;

/// Why a request was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CannotAsk {
    /// Another one is under way.
    Busy,
    /// It would be longer than [`MESSAGE_MAX`].
    TooLong,
    /// Agents are not asked for signatures by this algorithm.
    WrongAlgorithm,
    /// The agent has broken the protocol before.
    Failed,
}

impl fmt::Display for CannotAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "the agent has not answered yet",
            Self::TooLong => "the request is too long for an agent",
            Self::WrongAlgorithm => "agents are not asked for signatures with SHA-1",
            Self::Failed => "the agent has broken its protocol",
        })
    }
}

impl core::error::Error for CannotAsk {}

/// What an agent did wrong. Its text is safe to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentError {
    /// A message is empty or longer than [`MESSAGE_MAX`].
    Length,
    /// Bytes came that nobody asked for.
    Unasked,
    /// The message, of this number, is no answer to what was asked.
    Unexpected(u8),
    /// There are more than [`IDENTITIES_MAX`] identities.
    TooManyIdentities,
    /// A field reaches beyond the end, or bytes are left.
    Malformed(DecodeError),
    /// It did something of that before.
    Failed,
}

impl From<DecodeError> for AgentError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => write!(f, "the agent's message is empty or longer than {MESSAGE_MAX} bytes"),
            Self::Unasked => f.write_str("the agent sent what it was not asked for"),
            Self::Unexpected(number) => {
                write!(f, "the agent answered with message {number}, which is no answer")
            }
            Self::TooManyIdentities => write!(f, "the agent has more than {IDENTITIES_MAX} keys"),
            Self::Malformed(error) => write!(f, "the agent's message is damaged: {error}"),
            Self::Failed => CannotAsk::Failed.fmt(f),
        }
    }
}

impl core::error::Error for AgentError {}

#[cfg(test)]
mod tests;
