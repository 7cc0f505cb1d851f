//! The client's half of an exchange: it begins, checks the signature and asks who that is.

use super::exchange_hash::ChosenGroup;
use super::{BAD_GROUP, BAD_HOST_SIGNATURE, BAD_PUBLIC_VALUE, ExchangeHash, HOST_KEY_CHANGED, KexNext};
use crate::crypto::kex::{
    Ephemeral, Group, KeyExchange, MODULUS_BITS_MAX, MODULUS_BITS_MIN, MODULUS_BITS_PREFERRED,
};
use crate::crypto::sign::PrivateKey;
use crate::crypto::sign::certificate::PlainOrCertified;
use crate::transport::algorithms::{Algorithms, Negotiated};
use crate::transport::error::Error;
use crate::transport::side::{Client, ClientConfig, HostKey, KexSide, TransportConfig};
use crate::transport::{Link, UNEXPECTED_MESSAGE};
use crate::wire::message::{
    KexDhGexGroup, KexDhGexInit, KexDhGexReply, KexDhGexRequest, KexEcdhInit, KexEcdhReply,
};
use crate::wire::number::Sender;
use crate::wire::{Decode, Encode};
use std::sync::Arc;

/// What a client's message waits for.
pub enum ClientExchange {
    /// KEX_ECDH_INIT: KEX_ECDH_REPLY.
    Reply(Ephemeral),
    /// KEX_DH_GEX_REQUEST: KEX_DH_GEX_GROUP.
    Group(KexDhGexRequest),
    /// KEX_DH_GEX_INIT: KEX_DH_GEX_REPLY.
    GroupReply(Box<(ChosenGroup, Ephemeral)>),
}

impl KexSide for Client {
    const ROLE: Sender = Sender::Client;
    type Config = ClientConfig;
    type Exchange = ClientExchange;
    type KexEvent<'b> = HostKey<'b>;

    fn transport_config(config: &ClientConfig) -> &TransportConfig {
        &config.transport
    }

    fn algorithms(config: &ClientConfig) -> Algorithms {
        config.transport.algorithms.clone()
    }

    fn announced(_: &ClientConfig) -> &[Arc<PrivateKey>] {
        &[]
    }

    fn begin(link: &mut Link<Self>, negotiated: &Negotiated) -> ClientExchange {
        match negotiated.kex.algorithm {
            KeyExchange::OneStep(method) => {
                let ephemeral = method.client_start(link.send.rng());
                link.send.message(&KexEcdhInit { q_c: ephemeral.public() });
                ClientExchange::Reply(ephemeral)
            }
            KeyExchange::GroupExchange(_) => {
                let (min, n, max) = (MODULUS_BITS_MIN, MODULUS_BITS_PREFERRED, MODULUS_BITS_MAX);
                let request = KexDhGexRequest { min, n, max };
                link.send.message(&request);
                ClientExchange::Group(request)
            }
        }
    }

    fn exchange<'b>(
        own: ClientExchange,
        negotiated: &Negotiated,
        hash: ExchangeHash,
        payload: &'b [u8],
        link: &mut Link<Self>,
    ) -> Result<KexNext<Self, HostKey<'b>>, Error> {
        match (own, payload.first().copied().unwrap_or_default()) {
            (ClientExchange::Reply(ephemeral), KexEcdhReply::NUMBER) => {
                let reply = KexEcdhReply::from_payload(payload)?;
                finish(&reply, None, ephemeral, negotiated, hash, link)
            }
            (ClientExchange::Group(request), KexDhGexGroup::NUMBER) => {
                let KexDhGexGroup { p, g } = KexDhGexGroup::from_payload(payload)?;
                let group = Group::from_peer(p, g, request.min, request.max).map_err(|_| BAD_GROUP)?;
                let ephemeral = group.client_start(link.send.rng());
                link.send.message(&KexDhGexInit { e: ephemeral.public() });
                let own = ClientExchange::GroupReply(Box::new((ChosenGroup { request, group }, ephemeral)));
                Ok(KexNext::More(own, hash))
            }
            (ClientExchange::GroupReply(own), KexDhGexReply::NUMBER) => {
                let KexDhGexReply { k_s, f, signature } = KexDhGexReply::from_payload(payload)?;
                let reply = KexEcdhReply { k_s, q_s: f, signature };
                let (chosen, ephemeral) = *own;
                finish(&reply, Some(&chosen), ephemeral, negotiated, hash, link)
            }
            _ => Err(UNEXPECTED_MESSAGE.into()),
        }
    }
}

/// The server's reply: the secret, H, its signature, and whose it is.
fn finish<'b>(
    reply: &KexEcdhReply<'b>,
    chosen: Option<&ChosenGroup>,
    ephemeral: Ephemeral,
    negotiated: &Negotiated,
    hash: ExchangeHash,
    link: &mut Link<Client>,
) -> Result<KexNext<Client, HostKey<'b>>, Error> {
    let KexEcdhReply { k_s, q_s, signature } = *reply;
    let q_c = ephemeral.public().to_vec();
    let k = ephemeral.agree(q_s).map_err(|_| BAD_PUBLIC_VALUE)?;
    let agreement = hash.finish(k_s, chosen, &q_c, q_s, k);
    let algorithm = negotiated.host_key.algorithm;
    let shown = PlainOrCertified::for_algorithm(algorithm, k_s).map_err(|_| BAD_HOST_SIGNATURE)?;
    let proof = shown
        .key()
        .verify(algorithm.signature, agreement.h.as_bytes(), signature)
        .map_err(|_| BAD_HOST_SIGNATURE)?;
    match &link.k_s {
        Some(first) if **first == *k_s => Ok(KexNext::SendNewKeys(agreement)),
        Some(_) => Err(HOST_KEY_CHANGED.into()),
        None => {
            link.k_s = Some(k_s.into());
            let (key, certificate) = match shown {
                PlainOrCertified::Plain(key) => (key, None),
                PlainOrCertified::Certified(certificate) => (certificate.key().clone(), Some(certificate)),
            };
            let event = HostKey { key, certificate, proof, k_s, signature, ticket: link.tickets.issue() };
            Ok(KexNext::AwaitVerdict(agreement, event))
        }
    }
}
