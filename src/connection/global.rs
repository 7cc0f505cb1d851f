//! Global requests (RFC 4254 §4), and with them the host keys that a server announces and proves (OpenSSH PROTOCOL §2.5).
//!
//! A request that is not known is refused, which is the right answer to `keepalive@openssh.com` too: any reply proves life.
//! Replies carry no name: they come in the order of the requests, so what was asked is kept until it is answered. What a
//! client makes of a server's keys it does not know, nor files.

use crate::crypto::sign::rsa::Scheme;
use crate::crypto::sign::{PrivateKey, PublicKey, SignatureAlgorithm};
use crate::transport::{Error, KexSide, Misuse, Transport};
use crate::wire::message::{GlobalRequest, RequestFailure, RequestSuccess};
use crate::wire::number::Sender;
use crate::wire::{Decode, DecodeError, Encode, Reader, Writer};
use std::collections::VecDeque;
use std::sync::Arc;

/// The most host keys that a server announces and that a client hears of. A longer list is passed over as a whole: half of
/// one would make the other half look forgotten.
pub const HOST_KEYS_MAX: usize = 32;

/// The most global requests of ours that wait for their replies.
pub const GLOBAL_ASKED_MAX: usize = 16;

/// More host keys than a server may have.
pub const TOO_MANY_HOST_KEYS: Misuse = Misuse("more host keys than can be proved at once");
/// The peer owes too many replies.
pub const TOO_MANY_GLOBAL_REQUESTS: Misuse = Misuse("too many global requests wait for their replies");

const KEEPALIVE: &[u8] = b"keepalive@openssh.com";
const HOSTKEYS: &[u8] = b"hostkeys-00@openssh.com";
const HOSTKEYS_PROVE: &[u8] = b"hostkeys-prove-00@openssh.com";

/// Something happened that belongs to no channel. Only clients are told of anything.
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
}

/// What a request of ours was.
#[derive(Debug)]
enum Asked {
    HostKeysProve(Vec<PublicKey>),
    Keepalive,
}

/// What outlives one request.
#[derive(Debug, Default)]
pub(super) struct Global {
    /// The oldest first.
    asked: VecDeque<Asked>,
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
        if !want_reply {
            return Ok(None);
        }
        let response = match request_name {
            HOSTKEYS_PROVE => self.prove(request_fields, transport),
            _ => None,
        };
        match response {
            Some(response_fields) => {
                transport.reply(&RequestSuccess { response_fields: &response_fields })?
            }
            None => transport.reply(&RequestFailure {})?,
        }
        Ok(None)
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
        let Some(Asked::HostKeysProve(keys)) = self.asked.pop_front() else { return Ok(None) };
        let proved = payload.first() == Some(&RequestSuccess::NUMBER)
            && are_proved(&keys, RequestSuccess::from_payload(payload)?.response_fields, transport);
        Ok(Some(if proved { GlobalEvent::HostKeysProved { keys } } else { GlobalEvent::HostKeysNotProved }))
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
