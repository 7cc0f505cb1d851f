//! X25519 (RFC 7748 §5, RFC 8731 §3).

use super::{BadPublicValue, SharedSecret};
use crate::crypto::{Rng, Secret};
use core::fmt;
use x25519_dalek::{PublicKey, StaticSecret};

/// One secret scalar; it serves one agreement.
pub(super) struct Ephemeral {
    secret: StaticSecret,
    public: PublicKey,
}

impl Ephemeral {
    pub(super) fn generate(rng: &mut dyn Rng) -> Self {
        let mut scalar = Secret::new([0; 32]);
        rng.fill(scalar.as_bytes_mut());
        let secret = StaticSecret::from(*scalar.as_bytes());
        let public = PublicKey::from(&secret);
        Self { secret, public }
    }

    pub(super) fn public(&self) -> &[u8; 32] {
        self.public.as_bytes()
    }

    /// Refuses a value of another length, and one that gives zero whatever the secret is; the test is constant in time.
    pub(super) fn agree(self, public: &[u8]) -> Result<SharedSecret, BadPublicValue> {
        let public: [u8; 32] = public.try_into().map_err(|_| BadPublicValue)?;
        let shared = self.secret.diffie_hellman(&PublicKey::from(public));
        if shared.was_contributory() {
            Ok(SharedSecret::from_mpint(shared.as_bytes()))
        } else {
            Err(BadPublicValue)
        }
    }
}

impl fmt::Debug for Ephemeral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ephemeral(..)")
    }
}
