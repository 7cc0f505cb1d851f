//! Methods of two halves, a key encapsulation mechanism and a curve: who breaks one of them still does not know K
//! (RFC 9941, RFC 10042).
//!
//! C_INIT, S_REPLY and what is hashed to K are each the post-quantum half with the classical half behind it, both of fixed
//! length and nothing between them. K is a `string`. It does not know which mechanism and which curve.

use zeroize::Zeroizing;

use super::ecdh::Ecdh;
use super::{BadPublicValue, ClientKey, SharedBytes, SharedSecret};
use crate::crypto::{Hash, Rng};

/// A key encapsulation mechanism. The value is an ephemeral decapsulation key, used once as [`Ecdh`] is.
///
/// A ciphertext of the right length always decapsulates: one that was not made for this key gives bytes that nobody else
/// has, and the exchange fails where H is verified.
pub(super) trait Kem: Send + Sized {
    const PUBLIC_KEY_LEN: usize;
    const CIPHERTEXT_LEN: usize;

    /// A key and its public key.
    fn new(rng: &mut dyn Rng) -> (Self, Vec<u8>);

    fn decapsulate(&self, ciphertext: &[u8]) -> Result<SharedBytes, BadPublicValue>;

    /// A ciphertext for the owner of `public_key`, and what is in it.
    fn encapsulate(public_key: &[u8], rng: &mut dyn Rng) -> Result<(Vec<u8>, SharedBytes), BadPublicValue>;
}

/// The client's keys of both halves.
pub(super) struct Hybrid<K, E> {
    hash: Hash,
    kem: K,
    ecdh: E,
    c_init: Vec<u8>,
}

impl<K: Kem, E: Ecdh> Hybrid<K, E> {
    pub(super) fn new(hash: Hash, rng: &mut dyn Rng) -> Self {
        let (kem, public_key) = K::new(rng);
        Self::of(hash, kem, public_key, E::new(rng))
    }

    pub(super) fn of(hash: Hash, kem: K, public_key: Vec<u8>, ecdh: E) -> Self {
        let mut c_init = public_key;
        c_init.extend_from_slice(ecdh.public());
        Self { hash, kem, ecdh, c_init }
    }
}

impl<K: Kem, E: Ecdh> ClientKey for Hybrid<K, E> {
    fn public(&self) -> &[u8] {
        &self.c_init
    }

    fn agree(self: Box<Self>, s_reply: &[u8]) -> Result<SharedSecret, BadPublicValue> {
        let (ciphertext, public) = s_reply.split_at_checked(K::CIPHERTEXT_LEN).ok_or(BadPublicValue)?;
        let k_pq = self.kem.decapsulate(ciphertext)?;
        let k_cl = self.ecdh.agree(public)?;
        Ok(combine(self.hash, &k_pq, &k_cl))
    }
}

/// The server's whole: S_REPLY and K.
pub(super) fn respond<K: Kem, E: Ecdh>(
    hash: Hash,
    c_init: &[u8],
    rng: &mut dyn Rng,
) -> Result<(Vec<u8>, SharedSecret), BadPublicValue> {
    let (public_key, public) = c_init.split_at_checked(K::PUBLIC_KEY_LEN).ok_or(BadPublicValue)?;
    let (mut s_reply, k_pq) = K::encapsulate(public_key, rng)?;
    let ecdh = E::new(rng);
    s_reply.extend_from_slice(ecdh.public());
    let k_cl = ecdh.agree(public)?;
    Ok((s_reply, combine(hash, &k_pq, &k_cl)))
}

/// K = HASH(K_PQ ‖ K_CL).
fn combine(hash: Hash, k_pq: &[u8], k_cl: &[u8]) -> SharedSecret {
    let mut state = hash.start();
    state.update(k_pq);
    state.update(k_cl);
    let k = Zeroizing::new(state.finish());
    SharedSecret::from_string(k.as_bytes())
}
