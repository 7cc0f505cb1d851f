//! Key exchange as a state machine (RFC 4253 §7).
//!
//! ```text
//!          ┌──────────────────────────── peer's KEXINIT (ours goes out) ───────────────────────────┐
//!          │                                                                                       ▼
//! Idle ─ start ─▶ SentInit ─ peer's KEXINIT ───────────────────────────────────────────────▶ Exchange
//!   ▲                                                                                              │
//!   │                                                                     a method of two steps ◀──┤ again
//!   │                                client, first exchange: AwaitVerdict ◀─ reply, signature holds │
//!   │                                                             │ accepted                        │
//!   └─ peer's NEWKEYS ── NewKeys ◀── our NEWKEYS goes out ◀───────┴─────────────── half is done ◀───┘
//! ```
//!
//! Every state is consumed by the message that ends it; a handler that fails leaves none, and a connection without one
//! only fails. Any message that has no arm here ends the connection. It does not know users and channels.

mod client;
mod exchange_hash;
mod server;

pub(super) use exchange_hash::{Agreement, ExchangeHash};

use super::algorithms::{self, Compression, Direction, Negotiated, negotiate};
use super::error::Error;
use super::extension::{EXT_INFO_C, EXT_INFO_S};
use super::side::KexSide;
use super::{Link, UNEXPECTED_MESSAGE, identification};
use crate::crypto::sign::{SignatureAlgorithm, rsa::Scheme};
use crate::crypto::{OpeningKey, SealingKey, kdf};
use crate::wire::message::{KexInit, NewKeys};
use crate::wire::number::{self, Sender};
use crate::wire::{Decode, Encode, Fault, NameList, Writer};
use zeroize::Zeroizing;

/// Our marker of strict key exchange, and the peer's (draft-miller-sshm-strict-kex §2).
const STRICT_CLIENT: &str = "kex-strict-c-v00@openssh.com";
const STRICT_SERVER: &str = "kex-strict-s-v00@openssh.com";

/// Dropbear's marker: a guess is judged by the method alone.
const KEX_GUESS_2: &str = "kexguess2@matt.ucc.asn.au";

/// Strict key exchange: something came before the peer's KEXINIT.
pub const KEXINIT_NOT_FIRST: Fault = Fault::protocol("strict key exchange: KEXINIT was not the first packet");
/// A public value of the exchange is wrong.
pub const BAD_PUBLIC_VALUE: Fault = Fault::key_exchange("the public value of the exchange is wrong");
/// The group that a server gives is not one to exchange keys in.
pub const BAD_GROUP: Fault = Fault::key_exchange("the group of the exchange is not safe");
/// There is no group of the sizes that a client asks for.
pub const BAD_GROUP_REQUEST: Fault = Fault::key_exchange("no group is of the size that was asked for");
/// The exchange is not signed by the key it shows, with the algorithm agreed upon.
pub const BAD_HOST_SIGNATURE: Fault = Fault::key_exchange("the signature of the host key is wrong");
/// A later exchange shows another host key than the first.
pub const HOST_KEY_CHANGED: Fault = Fault {
    reason: crate::wire::DisconnectReason::HOST_KEY_NOT_VERIFIABLE,
    description: "the host key changed within the connection",
};

pub(super) enum Kex<S: KexSide> {
    /// No exchange.
    Idle,
    /// Our KEXINIT is out (its payload), the peer's is not in.
    SentInit(Vec<u8>),
    /// Both are; the peer's half of the exchange is not.
    Exchange(Box<Exchange<S>>),
    /// The reply's signature holds; the application judges the host key.
    AwaitVerdict(Box<(Agreement, Negotiated)>),
    /// Our NEWKEYS is out, the peer's is not in; then this key opens, and this method expands.
    NewKeys(OpeningKey, Compression),
}

/// What both KEXINITs settled.
pub(super) struct Exchange<S: KexSide> {
    negotiated: Negotiated,
    hash: ExchangeHash,
    own: S::Exchange,
}

/// Where an exchange stands after a message of its method.
pub enum KexNext<S: KexSide, E> {
    /// The method has another message.
    More(S::Exchange, ExchangeHash),
    /// The first exchange: the application is asked.
    AwaitVerdict(Agreement, E),
    /// Our half is done.
    SendNewKeys(Agreement),
}

impl<S: KexSide> Kex<S> {
    /// Sends our KEXINIT, unless an exchange is under way.
    pub(super) fn start(self, link: &mut Link<S>) -> Self {
        match self {
            Self::Idle => {
                let payload = kexinit(link);
                link.send.payload(&payload);
                link.kex_started = Some(link.now);
                Self::SentInit(payload)
            }
            under_way => under_way,
        }
    }

    /// Takes a message of numbers 20 to 49.
    pub(super) fn handle<'b>(
        self,
        payload: &'b [u8],
        link: &mut Link<S>,
    ) -> Result<(Self, Option<S::KexEvent<'b>>), Error> {
        match (self, payload.first().copied().unwrap_or_default()) {
            (state @ (Self::Idle | Self::SentInit(_)), KexInit::NUMBER) => {
                let Self::SentInit(own) = state.start(link) else { return Err(Error::Failed) };
                Ok((Self::Exchange(Box::new(Exchange::begin(&own, payload, link)?)), None))
            }
            (Self::Exchange(exchange), number::KEX_METHOD_FIRST..=number::KEX_METHOD_LAST) => {
                let Exchange { negotiated, hash, own } = *exchange;
                match S::exchange(own, &negotiated, hash, payload, link)? {
                    KexNext::More(own, hash) => {
                        Ok((Self::Exchange(Box::new(Exchange { negotiated, hash, own })), None))
                    }
                    KexNext::AwaitVerdict(agreement, event) => {
                        Ok((Self::AwaitVerdict(Box::new((agreement, negotiated))), Some(event)))
                    }
                    KexNext::SendNewKeys(agreement) => {
                        Ok((Self::send_new_keys(&agreement, &negotiated, link)?, None))
                    }
                }
            }
            (Self::NewKeys(key, compression), NewKeys::NUMBER) => {
                NewKeys::from_payload(payload)?;
                link.recv.set_key(key, compression, link.strict);
                link.keyed_at = link.now;
                link.exchanges = link.exchanges.saturating_add(1);
                (link.keyed, link.kex_started, link.peer_in_kex) = (true, None, false);
                Ok((Self::Idle, None))
            }
            _ => Err(UNEXPECTED_MESSAGE.into()),
        }
    }

    /// The application accepts the host key.
    pub(super) fn accept(self, link: &mut Link<S>) -> Result<Self, Error> {
        match self {
            Self::AwaitVerdict(pending) => Self::send_new_keys(&pending.0, &pending.1, link),
            _ => Err(Error::Failed),
        }
    }

    /// Our NEWKEYS uses the old key and number; what follows it the new ones.
    fn send_new_keys(
        agreement: &Agreement,
        negotiated: &Negotiated,
        link: &mut Link<S>,
    ) -> Result<Self, Error> {
        let session_id = &*link.session_id.get_or_insert(agreement.h);
        let client = keys(agreement, session_id.as_bytes(), &negotiated.client_to_server, *b"ACE");
        let server = keys(agreement, session_id.as_bytes(), &negotiated.server_to_client, *b"BDF");
        let (local, remote) = match S::ROLE {
            Sender::Client => (client, server),
            Sender::Server => (server, client),
        };
        let (sealing, opening) =
            (local.sealing().ok_or(Error::Failed)?, remote.opening().ok_or(Error::Failed)?);
        link.send.message(&NewKeys {});
        link.send.set_key(sealing, local.direction.compression.algorithm, link.strict);
        link.negotiated = Some(*negotiated);
        Ok(Self::NewKeys(opening, remote.direction.compression.algorithm))
    }

    /// Between our KEXINIT and our NEWKEYS only the exchange may be sent (RFC 4253 §7.1).
    pub(super) const fn bars_service_messages(&self) -> bool {
        matches!(self, Self::SentInit(_) | Self::Exchange(_) | Self::AwaitVerdict(_))
    }
}

/// A door for tests.
#[cfg(test)]
impl<S: KexSide> Kex<S> {
    pub(super) const fn state(&self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::SentInit(_) => "SentInit",
            Self::Exchange(_) => "Exchange",
            Self::AwaitVerdict(_) => "AwaitVerdict",
            Self::NewKeys(..) => "NewKeys",
        }
    }
}

/// A door for fuzz targets: what the KEXINITs of an exchange under way settled.
#[cfg(fuzzing)]
impl<S: KexSide> Kex<S> {
    pub(super) const fn agreed(&self) -> Option<&Negotiated> {
        if let Self::Exchange(exchange) = self { Some(&exchange.negotiated) } else { None }
    }
}

impl<S: KexSide> Exchange<S> {
    fn begin(own: &[u8], payload: &[u8], link: &mut Link<S>) -> Result<Self, Error> {
        let peer = KexInit::from_payload(payload)?;
        let first = !link.keyed;
        let (peer_marker, peer_wants_ext_info, i_c, i_s) = match S::ROLE {
            Sender::Client => (STRICT_SERVER, EXT_INFO_S, own, payload),
            Sender::Server => (STRICT_CLIENT, EXT_INFO_C, payload, own),
        };
        if first {
            link.strict = peer.kex_algorithms.contains(peer_marker);
            link.wants_ext_info = peer.kex_algorithms.contains(peer_wants_ext_info);
            link.remote_rsa = [Scheme::Sha512, Scheme::Sha256].into_iter().find(|scheme| {
                let algorithm = SignatureAlgorithm::Rsa(*scheme);
                [algorithm.name(), algorithm.certificate_name()]
                    .iter()
                    .any(|name| peer.server_host_key_algorithms.contains(name))
            });
            if link.strict && link.recv.last_sequence_number() != 0 {
                return Err(KEXINIT_NOT_FIRST.into());
            }
        }
        link.peer_in_kex = true;
        let local = S::algorithms(&link.config);
        let negotiated = negotiate(&local, &peer, S::ROLE).map_err(Error::Incompatible)?;
        link.skip_packet = peer.first_kex_packet_follows && !guessed_right(&local, &peer);
        let (v_c, v_s) = match S::ROLE {
            Sender::Client => (identification::LOCAL, &*link.remote_identification),
            Sender::Server => (&*link.remote_identification, identification::LOCAL),
        };
        let hash = ExchangeHash::new(negotiated.kex.algorithm.hash(), v_c, v_s, i_c, i_s);
        let own = S::begin(link, &negotiated);
        Ok(Self { negotiated, hash, own })
    }
}

/// Whether the peer's first names are ours too: then the packet that follows its KEXINIT counts (RFC 4253 §7).
fn guessed_right(local: &algorithms::Algorithms, peer: &KexInit<'_>) -> bool {
    let kex = peer.kex_algorithms.first() == local.kex.first().map(|row| row.name);
    let host_key = peer.server_host_key_algorithms.first() == local.host_key.first().map(|row| row.name);
    kex && (host_key || peer.kex_algorithms.contains(KEX_GUESS_2))
}

/// The payload of our KEXINIT. Markers stand in the first one only.
fn kexinit<S: KexSide>(link: &mut Link<S>) -> Vec<u8> {
    let algorithms = S::algorithms(&link.config);
    let mut cookie = [0; 16];
    link.send.rng().fill(&mut cookie);
    let markers: &[&str] = match (link.keyed, S::ROLE) {
        (true, _) => &[],
        (false, Sender::Client) => &[EXT_INFO_C, STRICT_CLIENT],
        (false, Sender::Server) => &[EXT_INFO_S, STRICT_SERVER],
    };
    let join = |names: Vec<&str>| names.join(",");
    let kex = join(algorithms::names(&algorithms.kex).chain(markers.iter().copied()).collect());
    let host_key = join(algorithms::names(&algorithms.host_key).collect());
    let cipher = join(algorithms::names(&algorithms.cipher).collect());
    let mac = join(algorithms::names(&algorithms.mac).collect());
    let compression = join(algorithms::names(&algorithms.compression).collect());
    let message = KexInit {
        cookie: &cookie,
        kex_algorithms: NameList::from_own(&kex),
        server_host_key_algorithms: NameList::from_own(&host_key),
        encryption_algorithms_client_to_server: NameList::from_own(&cipher),
        encryption_algorithms_server_to_client: NameList::from_own(&cipher),
        mac_algorithms_client_to_server: NameList::from_own(&mac),
        mac_algorithms_server_to_client: NameList::from_own(&mac),
        compression_algorithms_client_to_server: NameList::from_own(&compression),
        compression_algorithms_server_to_client: NameList::from_own(&compression),
        languages_client_to_server: NameList::from_own(""),
        languages_server_to_client: NameList::from_own(""),
        first_kex_packet_follows: false,
    };
    let mut payload = Vec::new();
    let mut w = Writer::new(&mut payload);
    w.byte(KexInit::NUMBER);
    message.encode(&mut w);
    payload
}

/// The keys of one direction (RFC 4253 §7.2).
struct Keys<'a> {
    direction: &'a Direction,
    iv: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
    mac_key: Zeroizing<Vec<u8>>,
}

fn keys<'a>(
    agreement: &Agreement,
    session_id: &[u8],
    direction: &'a Direction,
    letters: [u8; 3],
) -> Keys<'a> {
    let derive = |letter, length| {
        let mut out = Zeroizing::new(vec![0; length]);
        kdf::derive(agreement.hash, &agreement.k, agreement.h.as_bytes(), letter, session_id, &mut out);
        out
    };
    let [iv, key, mac_key] = letters;
    let cipher = direction.cipher.algorithm;
    Keys {
        direction,
        iv: derive(iv, cipher.iv_len()),
        key: derive(key, cipher.key_len()),
        mac_key: derive(mac_key, direction.mac.map_or(0, |mac| mac.algorithm.key_len())),
    }
}

impl Keys<'_> {
    fn sealing(&self) -> Option<SealingKey> {
        let mac = self.direction.mac.map(|mac| mac.algorithm);
        SealingKey::new(self.direction.cipher.algorithm, mac, &self.key, &self.iv, &self.mac_key)
    }

    fn opening(&self) -> Option<OpeningKey> {
        let mac = self.direction.mac.map(|mac| mac.algorithm);
        OpeningKey::new(self.direction.cipher.algorithm, mac, &self.key, &self.iv, &self.mac_key)
    }
}
