//! X25519 (RFC 7748, RFC 8731).
//!
//! It gives the 32 bytes of the result as they are; what they become in a hash differs by method.

use subtle::ConstantTimeEq;
use x25519_dalek::{PublicKey, StaticSecret};

use super::BadPublicValue;
use crate::crypto::{Rng, Secret};

/// An ephemeral key, used once.
pub(super) struct Ephemeral {
    // `StaticSecret` because it is made from bytes: those of our own generator, which tests can seed.
    secret: StaticSecret,
    public: PublicKey,
}

impl Ephemeral {
    pub(super) fn new(rng: &mut dyn Rng) -> Self {
        let scalar = Secret::<32>::random(rng);
        let secret = StaticSecret::from(*scalar.as_bytes());
        let public = PublicKey::from(&secret);
        Self { secret, public }
    }

    pub(super) fn public(&self) -> &[u8; 32] {
        self.public.as_bytes()
    }

    /// The shared 32 bytes; not zero (RFC 7748 §6.1), which is compared in constant time.
    pub(super) fn agree(self, public: &[u8]) -> Result<Secret<32>, BadPublicValue> {
        let public: [u8; 32] = public.try_into().map_err(|_| BadPublicValue)?;
        let shared = self.secret.diffie_hellman(&PublicKey::from(public));
        if shared.as_bytes().ct_eq(&[0; 32]).into() {
            return Err(BadPublicValue);
        }
        Ok(Secret::new(shared.to_bytes()))
    }
}
