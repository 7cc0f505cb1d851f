//! Methods of one curve: a public value each way, and K is the number that both sides come to (RFC 5656 §4, RFC 8731 §3).
//!
//! It does not know the curves: one is anything that is [`Ecdh`].

use super::{BadPublicValue, ClientKey, SharedBytes, SharedSecret};
use crate::crypto::Rng;

/// Diffie-Hellman on a curve. The value is an ephemeral key. Its owner uses it once and drops it where it lies: a move out of
/// the box would leave a copy behind.
pub(super) trait Ecdh: Send + Sized {
    fn new(rng: &mut dyn Rng) -> Self;

    fn public(&self) -> &[u8];

    /// The bytes shared with the owner of `public`, as many as the curve's field has.
    fn agree(&self, public: &[u8]) -> Result<SharedBytes, BadPublicValue>;
}

impl<E: Ecdh> ClientKey for E {
    fn public(&self) -> &[u8] {
        Ecdh::public(self)
    }

    fn agree(self: Box<Self>, q_s: &[u8]) -> Result<SharedSecret, BadPublicValue> {
        Ok(SharedSecret::from_mpint(&Ecdh::agree(&*self, q_s)?))
    }
}

/// The server's whole: Q_S and K.
pub(super) fn respond<E: Ecdh>(
    q_c: &[u8],
    rng: &mut dyn Rng,
) -> Result<(Vec<u8>, SharedSecret), BadPublicValue> {
    let ephemeral = E::new(rng);
    let q_s = ephemeral.public().to_vec();
    Ok((q_s, SharedSecret::from_mpint(&ephemeral.agree(q_c)?)))
}
