//! Global requests (RFC 4254 §4), and with them the host keys that a server announces and proves (OpenSSH PROTOCOL §2.5).
//!
//! A request that is not known is refused, which is the right answer to `keepalive@openssh.com` too: any reply proves life.
//! Replies carry no name: they come in the order of the requests, so what was asked is kept until it is answered, and a reply
//! of ours waits for those before it. What a client makes of a server's keys it does not know, nor files; what the requests
//! of forwarding mean stands in `forward`.

use super::channel::{NO_REPLY_OWED, knows_extensions};
use super::forward::{Bind, Expected, FORWARDS_MAX, NO_SUCH_FORWARD, TOO_MANY_FORWARDS, Wish};
use crate::crypto::sign::rsa::Scheme;
use crate::crypto::sign::{PrivateKey, PublicKey, SignatureAlgorithm};
use crate::transport::{Error, KexSide, Misuse, Transport};
use crate::wire::message::{GlobalRequest, RequestFailure, RequestSuccess};
use crate::wire::number::Sender;
use crate::wire::{Decode, DecodeError, Encode, Fault, Reader, Writer};
use std::collections::VecDeque;
use std::sync::Arc;

/// The most host keys that a server announces and that a client hears of. A longer list is passed over as a whole: half of
/// one would make the other half look forgotten.
pub const HOST_KEYS_MAX: usize = 32;

/// The most global requests of ours that wait for their replies.
pub const GLOBAL_ASKED_MAX: usize = 2 * FORWARDS_MAX;

/// The replies to global requests that may be owed to the peer at a time.
pub const GLOBAL_REPLIES_OWED_MAX: usize = 64;

/// Global requests faster than they are answered.
pub const TOO_MANY_GLOBAL_REQUESTS_OWED: Fault =
    Fault::protocol("too many global requests wait for their reply");

/// More host keys than a server may have.
pub const TOO_MANY_HOST_KEYS: Misuse = Misuse("more host keys than can be proved at once");
/// The peer owes too many replies.
pub const TOO_MANY_GLOBAL_REQUESTS: Misuse = Misuse("too many global requests wait for their replies");

const KEEPALIVE: &[u8] = b"keepalive@openssh.com";
const HOSTKEYS: &[u8] = b"hostkeys-00@openssh.com";
const HOSTKEYS_PROVE: &[u8] = b"hostkeys-prove-00@openssh.com";
const NO_MORE_SESSIONS: &[u8] = b"no-more-sessions@openssh.com";

/// Something happened that belongs to no channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GlobalEvent {
    /// The server announces its host keys: each plain one of a type that is known here, none twice. Told once a connection.
    /// Before one of them is believed,
    /// [`request_hostkeys_prove`](super::Connection::request_hostkeys_prove).
    HostKeys {
        /// All of them, also the one of the key exchange.
        keys: Vec<PublicKey>,
    },
    /// The server has proved that it holds these keys: each has signed for this connection.
    HostKeysProved {
        /// What was asked for.
        keys: Vec<PublicKey>,
    },
    /// The server has not proved all keys that it was asked for; then none counts.
    HostKeysNotProved,
    /// The server listens for us from now on (RFC 4254 §7.1).
    Forwarding {
        /// What we asked for.
        asked: Bind,
        /// Where it is: with the port that the server chose, if we left that to it.
        held: Bind,
    },
    /// The server does not.
    ForwardingRefused {
        /// What we asked for.
        asked: Bind,
    },
    /// The server has answered that it shall not listen any more.
    ForwardingCancelled {
        /// Where.
        bind: Bind,
        /// Whether it said so.
        success: bool,
    },
    /// The client asks us to listen (RFC 4254 §7.1): [`accept_global_request`](super::Connection::accept_global_request) or
    /// [`refuse_global_request`](super::Connection::refuse_global_request), if it wants a reply, now or later, in the order of
    /// the requests. Only servers that [expect](super::Connection::expect_forwarding) it are told.
    Forward {
        /// Where.
        bind: Bind,
        /// Whether a reply is owed.
        want_reply: bool,
    },
    /// The client asks us not to listen any more; answered likewise.
    CancelForward {
        /// Where.
        bind: Bind,
        /// Whether a reply is owed.
        want_reply: bool,
    },
}

/// What a request of ours was.
#[derive(Debug)]
enum Asked {
    HostKeysProve(Vec<PublicKey>),
    Keepalive,
    Wish(Wish),
}

/// A reply that is owed to the peer.
#[derive(Debug)]
enum Owed {
    /// The application decides, and a port is told if it grants.
    Undecided {
        tells_port: bool,
    },
    Success {
        response_fields: Vec<u8>,
    },
    Failure,
}

/// What outlives one request.
#[derive(Debug, Default)]
pub(super) struct Global {
    /// The oldest first.
    asked: VecDeque<Asked>,
    /// Replies owed, the oldest first.
    owed: VecDeque<Owed>,
    pub(super) expected: Expected,
    /// The server's announcement came.
    announced: bool,
    /// Of our host keys, those that have signed a proof.
    signed: Vec<usize>,
}

impl Global {
    /// Takes a message of numbers 80 to 82. A reply that nobody asked for means nothing.
    pub(super) fn handle<S: KexSide>(
        &mut self,
        payload: &[u8],
        transport: &mut Transport<S>,
    ) -> Result<Option<GlobalEvent>, Error> {
        if payload.first() != Some(&GlobalRequest::NUMBER) {
            return self.handle_reply(payload, transport);
        }
        let GlobalRequest { request_name, want_reply, request_fields } =
            GlobalRequest::from_payload(payload)?;
        if request_name == HOSTKEYS && S::ROLE == Sender::Client && !want_reply {
            if core::mem::replace(&mut self.announced, true) {
                return Ok(None);
            }
            return Ok(announced(request_fields)?.map(|keys| GlobalEvent::HostKeys { keys }));
        }
        if S::ROLE == Sender::Server && request_name == NO_MORE_SESSIONS {
            self.expected.no_more_sessions = true;
            let reply = Owed::Success { response_fields: Vec::new() };
            return if want_reply { self.owe(reply, transport) } else { Ok(None) };
        }
        let wish = match S::ROLE {
            Sender::Server if self.expected.forwarding => Wish::decode(request_name, request_fields)?,
            _ => None,
        };
        if let Some(wish) = wish {
            let tells_port = matches!(&wish, Wish::Forward(Bind::Tcpip { port: 0, .. }));
            if want_reply {
                self.owe(Owed::Undecided { tells_port }, transport)?;
            }
            return Ok(Some(match wish {
                Wish::Forward(bind) => GlobalEvent::Forward { bind, want_reply },
                Wish::Cancel(bind) => GlobalEvent::CancelForward { bind, want_reply },
            }));
        }
        if !want_reply {
            return Ok(None);
        }
        let response = match request_name {
            HOSTKEYS_PROVE => self.prove(request_fields, transport),
            _ => None,
        };
        let reply = response.map_or(Owed::Failure, |response_fields| Owed::Success { response_fields });
        self.owe(reply, transport)
    }

    /// A reply takes its place behind those that are owed already.
    fn owe<S: KexSide>(
        &mut self,
        reply: Owed,
        transport: &mut Transport<S>,
    ) -> Result<Option<GlobalEvent>, Error> {
        if self.owed.len() >= GLOBAL_REPLIES_OWED_MAX {
            return Err(TOO_MANY_GLOBAL_REQUESTS_OWED.into());
        }
        self.owed.push_back(reply);
        self.flush_replies(transport)?;
        Ok(None)
    }

    fn flush_replies<S: KexSide>(&mut self, transport: &mut Transport<S>) -> Result<(), Error> {
        loop {
            match self.owed.front() {
                Some(Owed::Success { response_fields }) => {
                    transport.reply(&RequestSuccess { response_fields })?
                }
                Some(Owed::Failure) => transport.reply(&RequestFailure {})?,
                Some(Owed::Undecided { .. }) | None => return Ok(()),
            }
            self.owed.pop_front();
        }
    }

    /// The application's answer to the oldest request that waits for it.
    pub(super) fn answer<S: KexSide>(
        &mut self,
        granted: Option<u16>,
        transport: &mut Transport<S>,
    ) -> Result<(), Error> {
        let Some(first @ Owed::Undecided { .. }) = self.owed.front_mut() else {
            return Err(NO_REPLY_OWED.into());
        };
        *first = match (granted, &*first) {
            (None, _) => Owed::Failure,
            (Some(port), Owed::Undecided { tells_port: true }) => {
                Owed::Success { response_fields: u32::from(port).to_be_bytes().to_vec() }
            }
            (Some(_), _) => Owed::Success { response_fields: Vec::new() },
        };
        self.flush_replies(transport)
    }

    /// Asks the server to listen, or not to listen any more.
    pub(super) fn wish<S: KexSide>(&mut self, wish: Wish, transport: &mut Transport<S>) -> Result<(), Error> {
        if self.asked.len() >= GLOBAL_ASKED_MAX {
            return Err(TOO_MANY_GLOBAL_REQUESTS.into());
        }
        let pending = self.asked.iter().filter(|asked| matches!(asked, Asked::Wish(Wish::Forward(_))));
        match &wish {
            Wish::Forward(_) if self.expected.held() + pending.count() >= FORWARDS_MAX => {
                return Err(TOO_MANY_FORWARDS.into());
            }
            Wish::Forward(_) => {}
            // From now on, whatever the server answers.
            Wish::Cancel(bind) if self.expected.let_go(bind) => {}
            Wish::Cancel(_) => return Err(NO_SUCH_FORWARD.into()),
        }
        let mut fields = Vec::new();
        wish.encode(&mut Writer::new(&mut fields));
        let request_name = wish.request_name();
        transport.send(&GlobalRequest { request_name, want_reply: true, request_fields: &fields });
        self.asked.push_back(Asked::Wish(wish));
        Ok(())
    }

    pub(super) fn send_no_more_sessions<S: KexSide>(&self, transport: &mut Transport<S>) {
        if knows_extensions(transport.remote_identification()) {
            let (request_name, want_reply) = (NO_MORE_SESSIONS, false);
            transport.send(&GlobalRequest { request_name, want_reply, request_fields: b"" });
        }
    }

    /// Tells a client all host keys, directly after the login.
    pub(super) fn announce<S: KexSide>(transport: &mut Transport<S>) {
        let config = transport.config();
        let own = S::announced(&config).iter().take(HOST_KEYS_MAX);
        let mut fields = Vec::new();
        own.for_each(|key| Writer::new(&mut fields).string(&key.public_key().blob()));
        if !fields.is_empty() {
            transport.send(&GlobalRequest {
                request_name: HOSTKEYS,
                want_reply: false,
                request_fields: &fields,
            });
        }
    }

    /// Signatures of the host keys that a client names, if all are ours and none has signed before: a server is no oracle and
    /// each key costs one signature a connection.
    pub(super) fn prove<S: KexSide>(&mut self, fields: &[u8], transport: &Transport<S>) -> Option<Vec<u8>> {
        let config = transport.config();
        let own: Vec<_> = S::announced(&config).iter().map(|key| (key, key.public_key().blob())).collect();
        let mut asked = Vec::new();
        let mut r = Reader::new(fields);
        while !r.rest().is_empty() {
            let named = r.string().ok()?;
            let at = own.iter().position(|(_, blob)| blob == named)?;
            if self.signed.contains(&at) || asked.contains(&at) {
                return None;
            }
            asked.push(at);
        }
        self.signed.extend_from_slice(&asked);
        let mut response = Vec::new();
        for (key, blob) in asked.iter().filter_map(|at| own.get(*at)) {
            let algorithm = signs_with(key, transport)?;
            let signature = key.sign(algorithm, &to_be_signed(transport.session_id(), blob)).ok()?;
            Writer::new(&mut response).string(&signature);
        }
        Some(response)
    }

    /// Asks whether the peer is there; any answer means so. During an exchange, and while it owes many replies, it is not asked.
    pub(super) fn request_keepalive<S: KexSide>(&mut self, transport: &mut Transport<S>) {
        if self.asked.len() < GLOBAL_ASKED_MAX && !transport.is_sending_kex() {
            self.asked.push_back(Asked::Keepalive);
            transport.send(&GlobalRequest { request_name: KEEPALIVE, want_reply: true, request_fields: b"" });
        }
    }

    /// Asks a server to prove keys.
    pub(super) fn request_hostkeys_prove<S: KexSide>(
        &mut self,
        keys: &[PublicKey],
        transport: &mut Transport<S>,
    ) -> Result<(), Error> {
        if keys.len() > HOST_KEYS_MAX {
            return Err(TOO_MANY_HOST_KEYS.into());
        }
        if self.asked.len() >= GLOBAL_ASKED_MAX {
            return Err(TOO_MANY_GLOBAL_REQUESTS.into());
        }
        let mut fields = Vec::new();
        keys.iter().for_each(|key| Writer::new(&mut fields).string(&key.blob()));
        self.asked.push_back(Asked::HostKeysProve(keys.to_vec()));
        let request_name = HOSTKEYS_PROVE;
        transport.send(&GlobalRequest { request_name, want_reply: true, request_fields: &fields });
        Ok(())
    }

    fn handle_reply<S: KexSide>(
        &mut self,
        payload: &[u8],
        transport: &Transport<S>,
    ) -> Result<Option<GlobalEvent>, Error> {
        let success = payload.first() == Some(&RequestSuccess::NUMBER);
        let response =
            if success { RequestSuccess::from_payload(payload)?.response_fields } else { Default::default() };
        Ok(Some(match self.asked.pop_front() {
            None | Some(Asked::Keepalive) => return Ok(None),
            Some(Asked::HostKeysProve(keys)) if success && are_proved(&keys, response, transport) => {
                GlobalEvent::HostKeysProved { keys }
            }
            Some(Asked::HostKeysProve(_)) => GlobalEvent::HostKeysNotProved,
            Some(Asked::Wish(Wish::Cancel(bind))) => GlobalEvent::ForwardingCancelled { bind, success },
            Some(Asked::Wish(Wish::Forward(asked))) if success => {
                let held = bound(&asked, response)?;
                self.expected.hold(held.clone());
                GlobalEvent::Forwarding { asked, held }
            }
            Some(Asked::Wish(Wish::Forward(asked))) => GlobalEvent::ForwardingRefused { asked },
        }))
    }
}

/// Where the server listens that was asked to, by its response.
fn bound(asked: &Bind, response: &[u8]) -> Result<Bind, DecodeError> {
    match asked {
        Bind::Tcpip { address, port: 0 } => {
            let port = u16::try_from(Reader::new(response).uint32()?).ok().filter(|port| *port != 0);
            Ok(Bind::Tcpip { address: address.clone(), port: port.ok_or(DecodeError::Invalid)? })
        }
        _ => Ok(asked.clone()),
    }
}

/// The keys of an announcement, without what cannot be read here; none if there are too many or one is there twice.
fn announced(fields: &[u8]) -> Result<Option<Vec<PublicKey>>, DecodeError> {
    let mut keys = Vec::new();
    let mut r = Reader::new(fields);
    for _ in 0..HOST_KEYS_MAX {
        if r.rest().is_empty() {
            break;
        }
        let Ok(key) = PublicKey::from_blob(r.string()?) else { continue };
        if keys.contains(&key) {
            return Ok(None);
        }
        keys.push(key);
    }
    Ok(Some(keys).filter(|keys| r.rest().is_empty() && !keys.is_empty()))
}

/// Whether there is a good signature by each key, in their order, and nothing else.
fn are_proved<S: KexSide>(keys: &[PublicKey], response: &[u8], transport: &Transport<S>) -> bool {
    let mut r = Reader::new(response);
    let each = keys.iter().all(|key| {
        let Ok(signature) = r.string() else { return false };
        let message = to_be_signed(transport.session_id(), &key.blob());
        proof_algorithms(key, transport).any(|algorithm| key.verify(algorithm, &message, signature).is_ok())
    });
    each && r.rest().is_empty()
}

/// What a proof of `key` may be signed by: for RSA the algorithm of the key exchange, if that was of RSA, else one of SHA-2's.
fn proof_algorithms<S: KexSide>(
    key: &PublicKey,
    transport: &Transport<S>,
) -> impl Iterator<Item = SignatureAlgorithm> {
    let (key_type, agreed) = (key.key_type(), agreed_rsa(transport));
    let all =
        SignatureAlgorithm::ALL.iter().copied().filter(move |algorithm| algorithm.key_type() == key_type);
    all.filter(move |algorithm| match algorithm {
        SignatureAlgorithm::Rsa(scheme) => {
            *scheme != Scheme::Sha1 && agreed.is_none_or(|agreed| agreed == *scheme)
        }
        _ => true,
    })
}

/// What a server signs a proof by: OpenSSH's clients insist on it.
fn signs_with<S: KexSide>(key: &Arc<PrivateKey>, transport: &Transport<S>) -> Option<SignatureAlgorithm> {
    match **key {
        PrivateKey::Rsa(_) => agreed_rsa(transport).or(transport.remote_rsa()).map(SignatureAlgorithm::Rsa),
        _ => key.algorithms().first().copied(),
    }
}

/// The scheme of the host key in the key exchange, if that is of RSA.
fn agreed_rsa<S: KexSide>(transport: &Transport<S>) -> Option<Scheme> {
    match transport.negotiated()?.host_key.algorithm.signature {
        SignatureAlgorithm::Rsa(scheme) => Some(scheme),
        _ => None,
    }
}

fn to_be_signed(session_id: &[u8], blob: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    let mut w = Writer::new(&mut message);
    [HOSTKEYS_PROVE, session_id, blob].iter().for_each(|field| w.string(field));
    message
}
