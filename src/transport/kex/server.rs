//! The server's half of an exchange: it answers and signs.

use super::exchange_hash::ChosenGroup;
use super::{BAD_GROUP_REQUEST, BAD_PUBLIC_VALUE, ExchangeHash, KexNext};
use crate::crypto::kex::{Group, KeyExchange, SharedSecret};
use crate::crypto::sign::PrivateKey;
use crate::crypto::sign::certificate::{Certificate, KeyAlgorithm, Role};
use crate::transport::algorithms::{Algorithms, Negotiated, Offered};
use crate::transport::error::Error;
use crate::transport::side::{KexSide, Server, ServerConfig, TransportConfig};
use crate::transport::{Link, UNEXPECTED_MESSAGE};
use crate::wire::message::{
    KexDhGexGroup, KexDhGexInit, KexDhGexReply, KexDhGexRequest, KexEcdhInit, KexEcdhReply,
};
use crate::wire::number::Sender;
use crate::wire::{Decode, Encode};
use core::convert::Infallible;
use std::sync::Arc;

/// What a server waits with.
pub struct ServerExchange {
    /// The host key that will sign; none only if the configuration has no key at all.
    host_key: Option<Shown>,
    /// KEX_DH_GEX_GROUP is out.
    chosen: Option<Box<ChosenGroup>>,
}

/// A host key as it is shown.
struct Shown {
    key: Arc<PrivateKey>,
    /// The blob of the key or of its certificate.
    k_s: Box<[u8]>,
}

impl KexSide for Server {
    const ROLE: Sender = Sender::Server;
    type Config = ServerConfig;
    type Exchange = ServerExchange;
    type KexEvent<'b> = Infallible;

    fn transport_config(config: &ServerConfig) -> &TransportConfig {
        &config.transport
    }

    fn algorithms(config: &ServerConfig) -> Algorithms {
        let mut algorithms = config.transport.algorithms.clone();
        algorithms
            .host_key
            .retain(|row| row.offered != Offered::Legacy && shown(config, row.algorithm).is_some());
        algorithms
    }

    fn announced(config: &ServerConfig) -> &[Arc<PrivateKey>] {
        if config.announces_host_keys { &config.host_keys } else { &[] }
    }

    fn begin(link: &mut Link<Self>, negotiated: &Negotiated) -> ServerExchange {
        let host_key = shown(&link.config, negotiated.host_key.algorithm);
        ServerExchange { host_key, chosen: None }
    }

    fn exchange(
        own: ServerExchange,
        negotiated: &Negotiated,
        hash: ExchangeHash,
        payload: &[u8],
        link: &mut Link<Self>,
    ) -> Result<KexNext<Self, Infallible>, Error> {
        let ServerExchange { host_key, chosen } = own;
        match (negotiated.kex.algorithm, chosen, payload.first().copied().unwrap_or_default()) {
            (KeyExchange::OneStep(method), None, KexEcdhInit::NUMBER) => {
                let KexEcdhInit { q_c } = KexEcdhInit::from_payload(payload)?;
                let answer = method.respond(q_c, link.send.rng()).map_err(|_| BAD_PUBLIC_VALUE)?;
                reply(host_key, None, q_c, answer, negotiated, hash, link)
            }
            (KeyExchange::GroupExchange(_), None, KexDhGexRequest::NUMBER) => {
                let request = KexDhGexRequest::from_payload(payload)?;
                let group = Group::by_size(request.min, request.n, request.max).ok_or(BAD_GROUP_REQUEST)?;
                link.send.message(&KexDhGexGroup { p: &group.p(), g: &group.g() });
                let chosen = Some(Box::new(ChosenGroup { request, group }));
                Ok(KexNext::More(ServerExchange { host_key, chosen }, hash))
            }
            (_, Some(chosen), KexDhGexInit::NUMBER) => {
                let KexDhGexInit { e } = KexDhGexInit::from_payload(payload)?;
                let answer = chosen.group.respond(e, link.send.rng()).map_err(|_| BAD_PUBLIC_VALUE)?;
                reply(host_key, Some(&chosen), e, answer, negotiated, hash, link)
            }
            _ => Err(UNEXPECTED_MESSAGE.into()),
        }
    }
}

/// The key for an algorithm, if there is one.
fn shown(config: &ServerConfig, algorithm: KeyAlgorithm) -> Option<Shown> {
    let mut keys = config.host_keys.iter().filter(|key| key.can_sign(algorithm.signature));
    if !algorithm.certified {
        return keys.next().map(|key| Shown { key: Arc::clone(key), k_s: key.public_key().blob().into() });
    }
    keys.find_map(|key| {
        let public = key.public_key();
        let is_its =
            |certificate: &&Certificate| certificate.role() == Role::Host && *certificate.key() == public;
        let certificate = config.certificates.iter().find(is_its)?;
        Some(Shown { key: Arc::clone(key), k_s: certificate.blob().into() })
    })
}

/// H, its signature, and the reply with both.
fn reply(
    host_key: Option<Shown>,
    chosen: Option<&ChosenGroup>,
    q_c: &[u8],
    (q_s, k): (Vec<u8>, SharedSecret),
    negotiated: &Negotiated,
    hash: ExchangeHash,
    link: &mut Link<Server>,
) -> Result<KexNext<Server, Infallible>, Error> {
    let Shown { key, k_s } = host_key.ok_or(Error::Failed)?;
    let agreement = hash.finish(&k_s, chosen, q_c, &q_s, k);
    let signature = key
        .sign(negotiated.host_key.algorithm.signature, agreement.h.as_bytes())
        .map_err(|_| Error::Failed)?;
    match chosen {
        None => link.send.message(&KexEcdhReply { k_s: &k_s, q_s: &q_s, signature: &signature }),
        Some(_) => link.send.message(&KexDhGexReply { k_s: &k_s, f: &q_s, signature: &signature }),
    }
    link.k_s.get_or_insert(k_s);
    Ok(KexNext::SendNewKeys(agreement))
}
