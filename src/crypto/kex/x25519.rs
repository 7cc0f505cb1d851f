//! X25519 (RFC 7748, RFC 8731).
//!
//! It gives the 32 bytes of the result as they are; what they become in a hash differs by method.

use subtle::ConstantTimeEq;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::ecdh::Ecdh;
use super::{BadPublicValue, SharedBytes};
use crate::crypto::{Rng, Secret};

/// An ephemeral key.
pub(super) struct X25519 {
    // `StaticSecret` because it is made from bytes: those of our own generator, which tests can seed.
    secret: StaticSecret,
    public: PublicKey,
}

impl Ecdh for X25519 {
    fn new(rng: &mut dyn Rng) -> Self {
        let scalar = Secret::<32>::random(rng);
        let secret = StaticSecret::from(*scalar.as_bytes());
        let public = PublicKey::from(&secret);
        Self { secret, public }
    }

    fn public(&self) -> &[u8] {
        self.public.as_bytes()
    }

    /// Not zero (RFC 7748 §6.1), which is compared in constant time.
    fn agree(&self, public: &[u8]) -> Result<SharedBytes, BadPublicValue> {
        let public: [u8; 32] = public.try_into().map_err(|_| BadPublicValue)?;
        let shared = self.secret.diffie_hellman(&PublicKey::from(public));
        if shared.as_bytes().ct_eq(&[0; 32]).into() {
            return Err(BadPublicValue);
        }
        Ok(Zeroizing::new(shared.as_bytes().to_vec()))
    }
}
