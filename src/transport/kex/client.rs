//! The client's half of an exchange: it begins, checks the signature and asks who that is.

use super::{BAD_HOST_SIGNATURE, BAD_PUBLIC_VALUE, ExchangeHash, HOST_KEY_CHANGED, KexNext};
use crate::crypto::kex::Ephemeral;
use crate::crypto::sign::PublicKey;
use crate::transport::algorithms::{Algorithms, Negotiated};
use crate::transport::error::Error;
use crate::transport::side::{Client, ClientConfig, HostKey, KexSide, TransportConfig};
use crate::transport::{Link, UNEXPECTED_MESSAGE};
use crate::wire::message::{KexEcdhInit, KexEcdhReply};
use crate::wire::number::Sender;
use crate::wire::{Decode, Encode};

impl KexSide for Client {
    const ROLE: Sender = Sender::Client;
    type Config = ClientConfig;
    type Exchange = Ephemeral;
    type KexEvent<'b> = HostKey<'b>;

    fn transport_config(config: &ClientConfig) -> &TransportConfig {
        &config.transport
    }

    fn algorithms(config: &ClientConfig) -> Algorithms {
        config.transport.algorithms.clone()
    }

    fn begin(link: &mut Link<Self>, negotiated: &Negotiated) -> Ephemeral {
        let ephemeral = negotiated.kex.algorithm.client_start(link.send.rng());
        link.send.message(&KexEcdhInit { q_c: ephemeral.public() });
        ephemeral
    }

    fn exchange<'b>(
        own: Ephemeral,
        negotiated: &Negotiated,
        hash: ExchangeHash,
        payload: &'b [u8],
        link: &mut Link<Self>,
    ) -> Result<KexNext<HostKey<'b>>, Error> {
        if payload.first() != Some(&KexEcdhReply::NUMBER) {
            return Err(UNEXPECTED_MESSAGE.into());
        }
        let reply = KexEcdhReply::from_payload(payload)?;
        let q_c = own.public().to_vec();
        let k = own.agree(reply.q_s).map_err(|_| BAD_PUBLIC_VALUE)?;
        let agreement = hash.finish(reply.k_s, &q_c, reply.q_s, k);
        let algorithm = negotiated.host_key.algorithm;
        let key = PublicKey::for_algorithm(algorithm, reply.k_s).map_err(|_| BAD_HOST_SIGNATURE)?;
        let proof =
            key.verify(algorithm, agreement.h.as_bytes(), reply.signature).map_err(|_| BAD_HOST_SIGNATURE)?;
        match &link.k_s {
            Some(first) if **first == *reply.k_s => Ok(KexNext::SendNewKeys(agreement)),
            Some(_) => Err(HOST_KEY_CHANGED.into()),
            None => {
                link.k_s = Some(reply.k_s.into());
                let event = HostKey { key, proof, k_s: reply.k_s, ticket: link.tickets.issue() };
                Ok(KexNext::AwaitVerdict(agreement, event))
            }
        }
    }
}
