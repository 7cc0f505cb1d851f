//! The server's half of an exchange: it answers and signs.

use super::{BAD_PUBLIC_VALUE, ExchangeHash, KexNext};
use crate::crypto::sign::PrivateKey;
use crate::transport::algorithms::{Algorithms, Negotiated, Offered};
use crate::transport::error::Error;
use crate::transport::side::{KexSide, Server, ServerConfig, TransportConfig};
use crate::transport::{Link, UNEXPECTED_MESSAGE};
use crate::wire::message::{KexEcdhInit, KexEcdhReply};
use crate::wire::number::Sender;
use crate::wire::{Decode, Encode};
use core::convert::Infallible;
use std::sync::Arc;

impl KexSide for Server {
    const ROLE: Sender = Sender::Server;
    type Config = ServerConfig;
    /// The host key that will sign; none only if the configuration has no key at all.
    type Exchange = Option<Arc<PrivateKey>>;
    type KexEvent<'b> = Infallible;

    fn transport_config(config: &ServerConfig) -> &TransportConfig {
        &config.transport
    }

    fn algorithms(config: &ServerConfig) -> Algorithms {
        let mut algorithms = config.transport.algorithms.clone();
        algorithms.host_key.retain(|row| {
            row.offered != Offered::Legacy && config.host_keys.iter().any(|key| key.can_sign(row.algorithm))
        });
        algorithms
    }

    fn begin(link: &mut Link<Self>, negotiated: &Negotiated) -> Self::Exchange {
        link.config.host_keys.iter().find(|key| key.can_sign(negotiated.host_key.algorithm)).cloned()
    }

    fn exchange(
        own: Self::Exchange,
        negotiated: &Negotiated,
        hash: ExchangeHash,
        payload: &[u8],
        link: &mut Link<Self>,
    ) -> Result<KexNext<Infallible>, Error> {
        if payload.first() != Some(&KexEcdhInit::NUMBER) {
            return Err(UNEXPECTED_MESSAGE.into());
        }
        let init = KexEcdhInit::from_payload(payload)?;
        let host_key = own.ok_or(Error::Failed)?;
        let (q_s, k) =
            negotiated.kex.algorithm.respond(init.q_c, link.send.rng()).map_err(|_| BAD_PUBLIC_VALUE)?;
        let k_s = host_key.public_key().blob();
        let agreement = hash.finish(&k_s, init.q_c, &q_s, k);
        let signature = host_key
            .sign(negotiated.host_key.algorithm, agreement.h.as_bytes())
            .map_err(|_| Error::Failed)?;
        link.send.message(&KexEcdhReply { k_s: &k_s, q_s: &q_s, signature: &signature });
        link.k_s.get_or_insert_with(|| k_s.into());
        Ok(KexNext::SendNewKeys(agreement))
    }
}
